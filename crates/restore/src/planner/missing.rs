//! What the objects of a plan need and the plan does not bring.
//!
//! Does not: cover disks, storage classes and namespaces; they have rules of their own.

use vmrewind_graph::{GraphEdge, NodePresence, Strength};
use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    plan::{Missing, RefusalKind},
    survey::Candidate,
    view::Seen,
};

impl Draft<'_> {
    /// Lists every reference of a restored object to something that is not in the plan; refuses those without which
    /// a machine would not start, unless it lacked them already when it was captured.
    pub(super) fn missing(&mut self) {
        let survey = self.survey;
        for edge in survey.whole.edges.iter().filter(|edge| survey.is_restored(&edge.from)) {
            let Some(presence) = self.is_missing(edge) else { continue };
            let place = self.places.of(&edge.to);
            let in_target = match self.view.objects.get(&place) {
                Some(Seen::Present(_)) => "present",
                Some(Seen::Absent) => "absent",
                Some(Seen::Unreadable(_)) | None => "unknown",
            };
            let strength = if edge.strength == Strength::Hard { "hard" } else { "soft" };
            self.out.missing.push(Missing {
                from: edge.from.clone(),
                path: edge.path.clone(),
                target: edge.to.to_string(),
                strength: strength.to_owned(),
                presence: presence.to_owned(),
                in_target: in_target.to_owned(),
            });
            if strength == "soft" || in_target == "present" {
                continue;
            }
            self.refuse_missing(edge, &place, presence);
        }
    }

    /// Refuses what a restored object does not work without, with the way out that fits, or warns of it.
    fn refuse_missing(&mut self, edge: &GraphEdge, place: &ObjectKey, presence: &str) {
        let needed_by = self.places.of(&edge.from);
        let mut message = format!("{needed_by} needs {place}, which is neither in the plan nor in the target");
        let departure = self.world.departure(&edge.to).cloned();
        if let Some(departure) = &departure {
            message.push_str(&format!(": {}", departure.told()));
        } else if presence == "absent" {
            self.warn(&needed_by, format!("{message}; it was missing already when it was captured"));
            return;
        }
        if self.request.allow_missing {
            self.warn(&needed_by, message);
            return;
        }
        let first = match (&departure, presence) {
            (Some(departure), _) => {
                let together = self.world.together().map_or_else(String::new, |seq| {
                    format!(", or restore everything as it was before that with --at seq:{seq}")
                });
                format!("Run `{}` first, then this again{together}", departure.command(place))
            }
            (None, "not selected") => "Select it too (--with-deps=all brings everything that is needed)".to_owned(),
            (None, "excluded") => format!("Leave out --exclude-namespace {}", edge.to.namespace),
            (None, _) => "The archive does not hold it: create it yourself".to_owned(),
        };
        let hint = format!("{first}, or go on without it with --allow-missing.");
        self.refuse(RefusalKind::MissingPrerequisite, place, message, hint);
    }

    /// Tells in which way the target of a reference is missing; none if it is not, or if another rule covers it.
    fn is_missing(&self, edge: &GraphEdge) -> Option<&'static str> {
        if has_own_rule(&edge.to) {
            return None;
        }
        match self.survey.candidates.get(&edge.to) {
            Some(Candidate::Restore | Candidate::Withheld) => return None,
            Some(Candidate::Skip { rule, .. }) if rule == "excluded-namespace" => return Some("excluded"),
            // What a controller makes again is not missing.
            Some(Candidate::Skip { .. }) => return None,
            None => {}
        }
        Some(match self.survey.whole.nodes.get(&edge.to).map(|node| node.presence) {
            Some(NodePresence::Present) => "not selected",
            Some(NodePresence::Absent) => "absent",
            Some(NodePresence::Withheld) => "withheld",
            Some(NodePresence::Unknown) | None => "unknown",
        })
    }
}

fn has_own_rule(key: &ObjectKey) -> bool {
    matches!(
        (key.group.as_str(), key.kind.as_str()),
        ("", "PersistentVolumeClaim" | "PersistentVolume" | "Pod" | "Namespace")
            | ("cdi.kubevirt.io", "DataVolume")
            | ("kubevirt.io", "VirtualMachineInstance")
            | ("storage.k8s.io", "StorageClass")
    )
}
