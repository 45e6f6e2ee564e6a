//! A graph as a tree, as Graphviz and as Mermaid.
//!
//! Does not: leave out what is missing.

use std::{collections::BTreeSet, fmt::Write as _};

use vmrewind_graph::{Graph, GraphEdge, NodePresence, Strength};
use vmrewind_model::ObjectKey;

use crate::output::style;

/// Draws a tree for a terminal. An object that occurs again is named, but not drawn a second time.
pub(crate) fn tree(graph: &Graph, reverse: bool) -> String {
    let mut drawn = BTreeSet::new();
    let mut out = String::new();
    for root in &graph.roots {
        let bold = style::HEADING;
        out.push_str(&format!("{bold}{root}{bold:#}{}\n", mark(graph, root)));
        branches(graph, root, reverse, "", &mut drawn, &mut out);
    }
    let missing = graph.missing().filter(|(_, node, _)| node.needed == Strength::Hard).count();
    let all = graph.missing().count();
    if all > 0 {
        let warn = style::WARN;
        out.push_str(&format!("{warn}{all} missing, {missing} of them needed for it to work.{warn:#}\n"));
    }
    out
}

fn branches(
    graph: &Graph,
    key: &ObjectKey,
    reverse: bool,
    indent: &str,
    drawn: &mut BTreeSet<ObjectKey>,
    out: &mut String,
) {
    if !drawn.insert(key.clone()) {
        return;
    }
    let mut edges: Vec<&GraphEdge> =
        if reverse { graph.edges_to(key).collect() } else { graph.edges_from(key).collect() };
    let end = |edge: &GraphEdge| if reverse { edge.from.clone() } else { edge.to.clone() };
    edges.sort_by_key(|edge| (end(edge), edge.strength != Strength::Hard, edge.path.clone()));
    let mut groups: Vec<(ObjectKey, Vec<&GraphEdge>)> = Vec::new();
    for edge in edges {
        match groups.last_mut() {
            Some((last, group)) if *last == end(edge) => group.push(edge),
            _ => groups.push((end(edge), vec![edge])),
        }
    }
    let count = groups.len();
    for (index, (next, group)) in groups.into_iter().enumerate() {
        let last = index + 1 == count;
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let hard = if group.iter().any(|edge| edge.strength == Strength::Hard) { "! " } else { "" };
        let paths: Vec<&str> =
            group.iter().map(|edge| if edge.path.is_empty() { edge.rule } else { edge.path.as_str() }).collect();
        let again = if drawn.contains(&next) && has_children(graph, &next, reverse) { " (see above)" } else { "" };
        let dim = style::DIM;
        out.push_str(&format!(
            "{indent}{branch}{hard}{next}{}{again}  {dim}{}{dim:#}\n",
            mark(graph, &next),
            paths.join(", ")
        ));
        branches(graph, &next, reverse, &format!("{indent}{below}"), drawn, out);
    }
}

fn has_children(graph: &Graph, key: &ObjectKey, reverse: bool) -> bool {
    if reverse { graph.edges_to(key).next().is_some() } else { graph.edges_from(key).next().is_some() }
}

fn mark(graph: &Graph, key: &ObjectKey) -> String {
    let (bad, warn) = (style::BAD, style::WARN);
    match graph.nodes.get(key).map(|node| node.presence) {
        Some(NodePresence::Absent) => format!(" {bad}[absent]{bad:#}"),
        Some(NodePresence::Withheld) => format!(" {warn}[withheld]{warn:#}"),
        Some(NodePresence::Unknown) => format!(" {warn}[unknown]{warn:#}"),
        Some(NodePresence::Present) | None => String::new(),
    }
}

/// Draws with Graphviz: missing objects in red, soft references dashed.
pub(crate) fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph vmrewind {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for (key, node) in &graph.nodes {
        let label = format!("{}\\n{}", key.kind, place(key));
        let colour = match node.presence {
            NodePresence::Present => String::new(),
            other => format!(", color=red, xlabel=\"{}\"", presence(other)),
        };
        let _ = writeln!(out, "  {:?} [label=\"{label}\"{colour}];", key.to_string());
    }
    for edge in &graph.edges {
        let line = if edge.strength == Strength::Hard { "solid" } else { "dashed" };
        let (from, to) = (edge.from.to_string(), edge.to.to_string());
        let _ = writeln!(out, "  {from:?} -> {to:?} [style={line}, label={:?}];", edge.path);
    }
    out.push_str("}\n");
    out
}

/// Draws with Mermaid: missing objects in red, soft references dotted.
pub(crate) fn mermaid(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    let ids: Vec<&ObjectKey> = graph.nodes.keys().collect();
    let id = |key: &ObjectKey| ids.binary_search(&key).map_or_else(|_| "n".to_owned(), |index| format!("n{index}"));
    for (key, node) in &graph.nodes {
        let class = if node.presence == NodePresence::Present { "" } else { ":::missing" };
        let _ = writeln!(out, "  {}[\"{}<br/>{}\"]{class}", id(key), key.kind, place(key));
    }
    for edge in &graph.edges {
        let arrow = if edge.strength == Strength::Hard { "-->" } else { "-.->" };
        let _ = writeln!(out, "  {} {arrow} {}", id(&edge.from), id(&edge.to));
    }
    out.push_str("  classDef missing stroke:#c00,stroke-dasharray:4\n");
    out
}

fn place(key: &ObjectKey) -> String {
    if key.namespace.is_empty() { key.name.clone() } else { format!("{}/{}", key.namespace, key.name) }
}

/// Returns the word for what is known of a node.
pub(crate) fn presence(presence: NodePresence) -> &'static str {
    match presence {
        NodePresence::Present => "present",
        NodePresence::Absent => "absent",
        NodePresence::Withheld => "withheld",
        NodePresence::Unknown => "unknown",
    }
}
