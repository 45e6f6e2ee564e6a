//! A cluster in memory, with failures on schedule.
//!
//! Does not: validate, or play controllers but for the one that makes and removes instances.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, json};
use vmrewind_graph::{self as graph, mutate};
use vmrewind_model::ObjectKey;

use crate::{DeleteGuard, ServedKind, Target, TargetError, Write, Written};

/// What happens to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing goes wrong.
    None,
    /// It never reaches the server, and nobody says so.
    Lost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It meets a conflict.
    Conflict,
    /// It is refused.
    Forbidden,
    /// The server is too busy to take it.
    Busy,
}

/// A cluster in memory.
pub(crate) struct Fake {
    state: Mutex<State>,
    travelling: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectKey, Value>,
    version: u64,
    faults: VecDeque<Fault>,
    log: Vec<String>,
    dry: Vec<String>,
}

impl Fake {
    pub(crate) fn of(objects: &[Value]) -> Self {
        let keyed = objects.iter().filter_map(|object| Some((graph::key(object)?, object.clone())));
        let state = State { objects: keyed.collect(), version: 1000, ..State::default() };
        Self { state: Mutex::new(state), travelling: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// A write is on its way: others may be sent meanwhile.
    async fn travel(&self) {
        let now = self.travelling.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.travelling.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many writes were on their way at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// The next writes end so; those after them well.
    pub(crate) fn schedule(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults = faults.into_iter().collect();
    }

    pub(crate) fn live(&self, key: &ObjectKey) -> Option<Value> {
        self.state().objects.get(key).cloned()
    }

    /// Everything there is, without what changes with every write.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Value> {
        let plain = |(key, object): (&ObjectKey, &Value)| {
            let owners = object["metadata"]["ownerReferences"].clone();
            (
                key.to_string(),
                json!({"object": graph::comparable(object), "owners": owners, "uid": object["metadata"]["uid"]}),
            )
        };
        self.state().objects.iter().map(plain).collect()
    }

    /// What was done, in order: `create Secret/prod/s1`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// What was asked for as a dry run.
    pub(crate) fn dry(&self) -> Vec<String> {
        self.state().dry.clone()
    }

    /// Changes an object behind everybody's back.
    pub(crate) fn meddle(&self, key: &ObjectKey, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let mut object = state.objects.get(key).cloned().expect("an object to meddle with");
        change(&mut object);
        state.store(key, object);
    }

    pub(crate) fn remove(&self, key: &ObjectKey) {
        self.state().objects.remove(key);
    }

    /// Plays the garbage collector: deletes what has owners that are all gone, and names it.
    pub(crate) fn collect(&self) -> Vec<String> {
        let mut state = self.state();
        let uids: Vec<Value> = state.objects.values().map(|object| object["metadata"]["uid"].clone()).collect();
        let gone: Vec<ObjectKey> = state
            .objects
            .iter()
            .filter(|(_, object)| {
                let owners = object["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
                !owners.is_empty() && owners.iter().all(|owner| !uids.contains(&owner["uid"]))
            })
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().for_each(|key| drop(state.objects.remove(key)));
        gone.iter().map(ToString::to_string).collect()
    }

    fn write(
        &self,
        verb: &str,
        key: &ObjectKey,
        dry_run: bool,
        act: impl FnOnce(&mut State) -> Result<Value, TargetError>,
    ) -> Result<Value, TargetError> {
        let mut state = self.state();
        if dry_run {
            state.dry.push(format!("{verb} {key}"));
            let before = (state.objects.clone(), state.version);
            let answer = act(&mut state);
            (state.objects, state.version) = before;
            return answer;
        }
        let fault = state.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::Lost => return Err(TargetError::Ambiguous("the connection broke".into())),
            Fault::Conflict => return Err(TargetError::Conflict("on schedule".into())),
            Fault::Busy => return Err(TargetError::Unreachable("too many requests".into())),
            Fault::Forbidden => return Err(TargetError::Forbidden("on schedule".into())),
            Fault::None | Fault::AnswerLost => {}
        }
        let answer = act(&mut state)?;
        state.log.push(format!("{verb} {key}"));
        state.control();
        if fault == Fault::AnswerLost { Err(TargetError::Ambiguous("the answer was lost".into())) } else { Ok(answer) }
    }
}

impl State {
    fn store(&mut self, key: &ObjectKey, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key.clone(), object.clone());
        object
    }

    /// Plays virt-controller: a machine that is on has an instance, one that is off has none.
    fn control(&mut self) {
        let machines: Vec<(ObjectKey, Value)> = self
            .objects
            .iter()
            .filter(|(key, _)| key.kind == "VirtualMachine")
            .map(|(key, vm)| (key.clone(), vm.clone()))
            .collect();
        for (key, vm) in machines {
            let instance = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &key.namespace, &key.name);
            match mutate::power(&vm) {
                mutate::Power::Running(true) => self.boot(&instance),
                mutate::Power::RunStrategy(strategy) if strategy == "Always" => self.boot(&instance),
                mutate::Power::RunStrategy(strategy) if strategy == "Manual" => {}
                _ => drop(self.objects.remove(&instance)),
            }
        }
    }

    fn boot(&mut self, key: &ObjectKey) {
        if !self.objects.contains_key(key) {
            let instance = json!({"apiVersion": "kubevirt.io/v1", "kind": key.kind, "status": {"phase": "Running"},
                "metadata": {"name": key.name, "namespace": key.namespace, "uid": format!("uid-{}", self.version)}});
            self.store(key, instance);
        }
    }
}

fn merge(object: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return *object = patch.clone() };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            object.as_object_mut().expect("made an object").remove(name);
        } else {
            merge(&mut object[name], value);
        }
    }
}

fn checked(state: &State, key: &ObjectKey, wanted: &Value) -> Result<Value, TargetError> {
    let live = state.objects.get(key).cloned().ok_or_else(|| TargetError::NotFound(key.to_string()))?;
    let version = &wanted["metadata"]["resourceVersion"];
    if !version.is_null() && *version != live["metadata"]["resourceVersion"] {
        return Err(TargetError::Conflict(format!("{key} has another version")));
    }
    Ok(live)
}

impl Target for Fake {
    fn identity(&self) -> BoxFuture<'_, Result<(String, String), TargetError>> {
        async { Ok(("cluster-1".to_owned(), "v1.36.3".to_owned())) }.boxed()
    }

    fn kinds(&self) -> BoxFuture<'_, Result<Vec<ServedKind>, TargetError>> {
        async { Ok(super::served()) }.boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Value>, TargetError>> {
        async { Ok(self.live(key)) }.boxed()
    }

    fn list<'a>(&'a self, group: &'a str, kind: &'a str) -> BoxFuture<'a, Result<Vec<Value>, TargetError>> {
        async move {
            Ok(self
                .state()
                .objects
                .iter()
                .filter(|(key, _)| key.is(group, kind))
                .map(|(_, object)| object.clone())
                .collect())
        }
        .boxed()
    }

    fn create<'a>(&'a self, object: &'a Value, write: Write) -> BoxFuture<'a, Result<Written, TargetError>> {
        async move {
            self.travel().await;
            let key = graph::key(object).expect("an object with a name");
            let created = self.write("create", &key, write.dry_run, |state| {
                if !key.namespace.is_empty()
                    && !state.objects.contains_key(&ObjectKey::new("", "Namespace", "", &key.namespace))
                {
                    return Err(TargetError::NotFound(format!("namespace {}", key.namespace)));
                }
                if state.objects.contains_key(&key) {
                    return Err(TargetError::AlreadyExists(key.to_string()));
                }
                let mut object = object.clone();
                object["metadata"]["uid"] = json!(format!("uid-{}", state.version + 1));
                object["metadata"]["creationTimestamp"] = json!("2026-11-22T12:00:00Z");
                Ok(state.store(&key, object))
            })?;
            let unknown = created["spec"]
                .get("unknownToTheSchema")
                .map(|_| r#"unknown field "spec.unknownToTheSchema""#.to_owned());
            Ok((created, unknown.into_iter().collect()))
        }
        .boxed()
    }

    fn replace<'a>(&'a self, object: &'a Value, write: Write) -> BoxFuture<'a, Result<Written, TargetError>> {
        async move {
            self.travel().await;
            let key = graph::key(object).expect("an object with a name");
            let replaced = self.write("replace", &key, write.dry_run, |state| {
                let live = checked(state, &key, object)?;
                let mut object = object.clone();
                object["metadata"]["uid"] = live["metadata"]["uid"].clone();
                Ok(state.store(&key, object))
            })?;
            Ok((replaced, Vec::new()))
        }
        .boxed()
    }

    fn patch<'a>(
        &'a self,
        key: &'a ObjectKey,
        patch: &'a Value,
        write: Write,
    ) -> BoxFuture<'a, Result<Value, TargetError>> {
        async move {
            self.travel().await;
            self.write("patch", key, write.dry_run, |state| {
                let mut object = checked(state, key, patch)?;
                merge(&mut object, patch);
                Ok(state.store(key, object))
            })
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey, guard: &'a DeleteGuard) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            self.travel().await;
            self.write("delete", key, guard.dry_run, |state| {
                let live = checked(state, key, &json!({}))?;
                if live["metadata"]["uid"] != guard.uid.as_str() {
                    return Err(TargetError::Conflict("another uid".into()));
                }
                state.objects.remove(key);
                for object in state.objects.values_mut() {
                    if let Some(owners) = object["metadata"].get_mut("ownerReferences").and_then(Value::as_array_mut) {
                        owners.retain(|owner| owner["uid"] != guard.uid.as_str());
                    }
                }
                Ok(Value::Null)
            })?;
            Ok(())
        }
        .boxed()
    }

    fn start<'a>(&'a self, vm: &'a ObjectKey) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            self.travel().await;
            self.write("start", vm, false, |state| {
                state.boot(&ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &vm.namespace, &vm.name));
                Ok(Value::Null)
            })?;
            Ok(())
        }
        .boxed()
    }

    fn pause(&self, _: Duration) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
