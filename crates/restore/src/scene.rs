//! Scenes for tests: an archived world, a target, a request.
//!
//! Does not: hold assertions.

pub(crate) mod fake;
pub(crate) mod schema;

use serde_json::Value;
use vmrewind_graph as graph;
use vmrewind_model::{ObjectKey, Timestamp};
use vmrewind_testkit::build::{Build, namespace};

use crate::{
    Action, Nodes, PlanRequest, RefusalKind, RestoreError, RestorePlan, Seen, Selection, ServedKind, Step, TargetView,
    World, identity, needs, ownership, plan,
};

/// What was captured, what is live, and what is asked for.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) live: Vec<Value>,
    pub(crate) request: PlanRequest,
    pub(crate) unserved: Vec<&'static str>,
    pub(crate) nodes: Nodes,
}

/// Returns the key of `Kind/name` in namespace `prod`, or of an object without a namespace.
pub(crate) fn key(text: &str) -> ObjectKey {
    let (kind, name) = text.split_once('/').expect("Kind/name");
    let row = graph::kinds().iter().find(|row| row.kind == kind).expect("a known kind");
    ObjectKey::new(row.group, kind, if row.namespaced { "prod" } else { "" }, name)
}

/// What the target serves: everything.
pub(crate) fn served() -> Vec<ServedKind> {
    let kind = |row: &graph::KindRow| ServedKind {
        group: row.group.to_owned(),
        kind: row.kind.to_owned(),
        preferred: "v1".to_owned(),
        versions: ["v1", "v1beta1"].map(str::to_owned).to_vec(),
        namespaced: row.namespaced,
    };
    graph::kinds().iter().map(kind).collect()
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live: Vec<String> = self.live.iter().filter_map(graph::key).map(|key| key.to_string()).collect();
        let captured: Vec<String> = self.world.keys().map(ToString::to_string).collect();
        write!(f, "captured {captured:?} live {live:?} {:?}", self.request)
    }
}

impl Scene {
    /// Captured objects; the namespace `prod` is captured and live as well. Nothing else is live.
    pub(crate) fn captured(objects: impl IntoIterator<Item = Build>) -> Self {
        let prod = namespace("prod").label("team", "a");
        let all = objects.into_iter().chain([prod.clone()]).map(Build::json);
        let world = World::from_objects(all);
        Self {
            world,
            live: vec![prod.json()],
            request: PlanRequest::default(),
            unserved: Vec::new(),
            nodes: Nodes::default(),
        }
    }

    pub(crate) fn live(mut self, objects: impl IntoIterator<Item = Build>) -> Self {
        self.live.extend(objects.into_iter().map(Build::json));
        self
    }

    pub(crate) fn roots(mut self, roots: &[&str]) -> Self {
        self.request.selection =
            Selection { roots: roots.iter().map(|text| key(text)).collect(), ..Selection::default() };
        self
    }

    pub(crate) fn request(mut self, change: impl FnOnce(&mut PlanRequest)) -> Self {
        change(&mut self.request);
        self
    }

    pub(crate) fn view(&self) -> Result<TargetView, RestoreError> {
        let needs = needs(&self.world, &self.request)?;
        let live = |key: &ObjectKey| self.live.iter().find(|object| graph::key(object).as_ref() == Some(key));
        let seen = |key: ObjectKey| {
            let seen = live(&key).map_or(Seen::Absent, |object| Seen::Present(object.clone()));
            (key, seen)
        };
        let identities = self
            .live
            .iter()
            .flat_map(|object| graph::key(object).map_or_else(Vec::new, |key| identity::in_use(&key, object)));
        let mut view = TargetView {
            cluster: "cluster-1".to_owned(),
            server: "v1.36.3".to_owned(),
            objects: needs.keys.into_iter().map(seen).collect(),
            kinds: served().into_iter().filter(|kind| !self.unserved.contains(&kind.kind.as_str())).collect(),
            identities: identities.collect(),
            identities_unread: None,
            nodes: if needs.nodes { self.nodes.clone() } else { Nodes::NotAsked },
        };
        for _ in 0..ownership::GENERATIONS {
            let owners = ownership::unseen(&view);
            view.objects.extend(owners.into_iter().map(seen));
        }
        Ok(view)
    }

    pub(crate) fn try_plan(&self) -> Result<RestorePlan, RestoreError> {
        plan(&self.world, &self.request, &self.view()?, Timestamp::MIN)
    }

    pub(crate) fn plan(&self) -> RestorePlan {
        self.try_plan().expect("a plan")
    }
}

/// Returns the step about an object itself.
pub(crate) fn step_of<'a>(plan: &'a RestorePlan, text: &str) -> &'a Step {
    let from = key(text);
    let mut steps = plan.steps.iter().filter(|step| step.from == from && step.action.of_object());
    let step = steps.next().unwrap_or_else(|| panic!("{text} is in the plan:\n{}", shown(plan)));
    assert!(steps.next().is_none(), "{text} is in the plan once:\n{}", shown(plan));
    step
}

/// Returns the action about an object itself.
pub(crate) fn action(plan: &RestorePlan, text: &str) -> Action {
    step_of(plan, text).action
}

/// Returns the kinds of the refusals, each once.
pub(crate) fn refusals(plan: &RestorePlan) -> Vec<RefusalKind> {
    let mut kinds: Vec<RefusalKind> = plan.refusals.iter().map(|refusal| refusal.kind).collect();
    kinds.dedup();
    kinds
}

/// Returns the place of a step in the order.
pub(crate) fn place(plan: &RestorePlan, wanted: Action, text: &str) -> u32 {
    let from = key(text);
    let step = plan.steps.iter().find(|step| step.action == wanted && step.from == from);
    step.unwrap_or_else(|| panic!("{} {text} is in the plan:\n{}", wanted.text(), shown(plan))).id
}

/// Shows a plan in a few lines.
pub(crate) fn shown(plan: &RestorePlan) -> String {
    let steps =
        plan.steps.iter().map(|step| format!("{} {} {} {:?}", step.id, step.action.text(), step.key, step.notes));
    let refusals = plan.refusals.iter().map(|refusal| format!("REFUSED {:?} {}", refusal.kind, refusal.message));
    let warnings = plan.warnings.iter().map(|warning| format!("WARNING {}", warning.message));
    steps.chain(refusals).chain(warnings).collect::<Vec<_>>().join("\n")
}
