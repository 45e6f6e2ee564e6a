//! `graph`: what an object needs, or what needs it.
//!
//! Does not: know which references there are; crate `graph` has the table.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use serde_json::Value;
use vmrewind_graph::{Deps, Graph, closure, reverse};
use vmrewind_model::ObjectKey;
use vmrewind_restore::World;

use crate::{
    args::{AtArg, OneNamespace},
    certainty::{self, Touch, Touched},
    consulted::Consulted,
    context::Ctx,
    error::CliError,
    missing::not_there,
    moment::Moment,
    names::parse_one,
    output::{Format, choose, envelope, to_json},
    render::graph as draw,
};

/// Show what an object needs, or what needs it
///
/// What is missing stays in the drawing and is marked: absent (known not to exist), withheld (content not recorded), unknown
/// (never looked for). Marks: ! the machine does not work without it.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// TYPE/NAME or TYPE NAME
    #[arg(required = true, num_args = 1..=2, value_name = "TYPE/NAME")]
    what: Vec<String>,
    #[command(flatten)]
    at: AtArg,
    #[command(flatten)]
    scope: OneNamespace,
    /// Show what needs the object instead of what it needs
    #[arg(long)]
    reverse: bool,
    /// Form of the answer: table (a tree), json, dot, mermaid
    #[arg(short, long, value_name = "FORMAT", default_value = "table",
        value_parser = choose(&["table", "json", "dot", "mermaid"]))]
    output: Format,
}

/// Draws the graph.
pub(crate) async fn run(ctx: &mut Ctx, args: GraphArgs) -> Result<u8, CliError> {
    let archive = ctx.archive().await?;
    let types = ctx.types(&archive, &args.what).await?;
    let target = parse_one(&types, &args.what)?;
    let namespace = ctx.namespace(args.scope.namespace.as_deref())?;
    let key = target.key(&namespace).ok_or_else(|| CliError::bug("an object without a name was accepted."))?;
    let moment = Moment::read(ctx, &archive, args.at.at, Some(&key), &|_| true).await?;
    let world = World::of(&moment.state, archive.identity());
    let itself = Touched::Some(vec![Touch::new(&target.type_, Some(&key.namespace), Some(&key.name))]);
    let (graph, touched) = if args.reverse {
        let all: Vec<ObjectKey> = world.keys().cloned().collect();
        (reverse(&world, &all, &key), Touched::All(None))
    } else {
        let consulted = Consulted::new(&world);
        let graph = closure(&consulted, std::slice::from_ref(&key), Deps::All);
        let touched = consulted.touched(&types);
        (graph, touched)
    };
    if world.value(&key).is_none() && graph.edges.is_empty() {
        certainty::check(ctx, &moment, &itself)?;
        return Err(not_there(ctx, &archive, &moment, &target.type_, &key).await?);
    }
    certainty::check(ctx, &moment, &touched)?;
    for warning in &graph.warnings {
        ctx.talk.warn(warning)?;
    }
    print(ctx, &args, &graph)
}

fn print(ctx: &mut Ctx, args: &GraphArgs, graph: &Graph) -> Result<u8, CliError> {
    let text = match args.output {
        Format::Json => {
            let mut members: Value = serde_json::to_value(graph)
                .map_err(|error| CliError::bug(format!("a graph cannot be written as JSON: {error}.")))?;
            for (node, written) in graph.nodes.values().zip(members["nodes"].as_array_mut().into_iter().flatten()) {
                written["presence"] = draw::presence(node.presence).into();
            }
            to_json(&envelope("Graph", members))?
        }
        Format::Dot => draw::dot(graph),
        Format::Mermaid => draw::mermaid(graph),
        _ => draw::tree(graph, args.reverse),
    };
    write!(ctx.out, "{text}")?;
    if args.output == Format::Table && !graph.edges.is_empty() && io::stdout().is_terminal() {
        ctx.out.flush()?;
        ctx.talk.note("! marks what it does not work without; the path is where it is named.")?;
    }
    Ok(0)
}
