//! The histories that actors write, beside those of a recorded virt-controller: which phases follow each other, and which
//! status fields and conditions are there in each.
//!
//! Does not: compare values, or how kinds interleave; watches of different kinds are not ordered against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use kube_runtime::WatchStreamExt as _;
use kube_runtime::watcher::{Config, Event, watcher};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::{Bench, PATIENCE, extra_folder, named, run, shapes, shared, vm};
use vmrewind_testkit::wait::{Seen, wait_for};

/// The kinds that are compared, by their name in the recording.
const KINDS: [(&str, Kind); 5] =
    [("vm", Kind::Vm), ("vmi", Kind::Vmi), ("pod", Kind::Pod), ("dv", Kind::DataVolume), ("pvc", Kind::Claim)];
/// The phase of what is no more.
const GONE: &str = "gone";

type Fields = BTreeSet<String>;

/// Versions of one object: each with whether it is the last one, of a deletion.
#[derive(Debug, Default, Clone)]
struct History(Vec<(bool, Value)>);

impl History {
    /// Returns the phases in order, with the fields that were there in each. `!` marks those during a deletion.
    fn walk(&self) -> Vec<(String, Fields)> {
        let mut walk: Vec<(String, Fields)> = Vec::new();
        for (gone, object) in &self.0 {
            let status = &object["status"];
            let named = status["printableStatus"].as_str().or(status["phase"].as_str()).unwrap_or_default();
            let named = match (object["kind"].as_str(), named) {
                // The recorded cluster had no volumes: its claims were lost once bound, and its machines said that they
                // waited for volumes where with volumes they say that they start.
                (Some("PersistentVolumeClaim"), "Lost") => "Bound",
                (Some("VirtualMachine"), "WaitingForVolumeBinding") => "Starting",
                (_, named) => named,
            };
            let mark = if object["metadata"]["deletionTimestamp"].is_null() { "" } else { "!" };
            let phase = if *gone { GONE.to_owned() } else { format!("{named}{mark}") };
            let mut fields: Fields = status.as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect();
            let conditions = status["conditions"].as_array().into_iter().flatten();
            fields.extend(conditions.map(|condition| format!("condition {}", condition["type"])));
            match walk.last_mut() {
                Some((last, seen)) if *last == phase => seen.extend(fields),
                _ => walk.push((phase, fields)),
            }
        }
        walk
    }

    fn phases(&self) -> Vec<String> {
        self.walk().into_iter().map(|(phase, _)| phase).collect()
    }
}

/// Histories by kind and name.
type Histories = BTreeMap<(Kind, String), History>;

/// Returns how histories differ from recorded ones, in words.
fn drift(recorded: &Histories, ours: &Histories) -> Vec<String> {
    let mut found = Vec::new();
    for (_, kind) in KINDS {
        let of = |all: &Histories| -> Vec<(String, History)> {
            let of_kind = all.iter().filter(|((its, _), _)| *its == kind);
            of_kind.map(|((_, name), history)| (name.clone(), history.clone())).collect()
        };
        let model = of(recorded);
        let walks: BTreeSet<Vec<String>> = model.iter().map(|(_, history)| history.phases()).collect();
        let mut always: BTreeMap<String, Fields> = BTreeMap::new();
        let mut ever: BTreeMap<String, Fields> = BTreeMap::new();
        for (phase, fields) in model.iter().flat_map(|(_, history)| history.walk()) {
            let both = always.get(&phase).map_or_else(|| fields.clone(), |known| known & &fields);
            always.insert(phase.clone(), both);
            ever.entry(phase).or_default().extend(fields);
        }
        for (name, history) in of(ours) {
            let (phases, named) = (history.phases(), format!("{} {name}", kind.name()));
            if !walks.iter().any(|walk| walk.starts_with(&phases)) {
                found.push(format!("{named}: nobody was seen to go through {phases:?}, but {walks:?}"));
                continue;
            }
            for (phase, fields) in history.walk().into_iter().filter(|(phase, _)| phase != GONE) {
                let always = &always[&phase];
                // A deletion takes nothing away.
                let ever = &ever[&phase] | &ever.get(phase.trim_end_matches('!')).cloned().unwrap_or_default();
                // Whether a machine is still ready when its status says that it is on its way out depends on who is faster.
                let leaving = kind == Kind::Vm && ["Stopping", "Terminating"].iter().any(|way| phase.starts_with(way));
                let lacking = always.difference(&fields).filter(|field| !(leaving && *field == "ready"));
                found.extend(lacking.map(|field| format!("{named}: {field} is lacking while {phase:?}")));
                found.extend(
                    fields.difference(&ever).map(|field| format!("{named}: {field} was never seen while {phase:?}")),
                );
            }
        }
        if of(ours).is_empty() {
            found.push(format!("no {} at all", kind.name()));
        }
    }
    found
}

fn recording(file: &Path) -> anyhow::Result<Histories> {
    let bytes = zstd::decode_all(std::fs::File::open(file)?)?;
    let mut histories = Histories::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line)?;
        let (event, object) = (&line["e"]["type"], &line["e"]["object"]);
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| line["k"] == *name) else { continue };
        let Some(name) = object["metadata"]["name"].as_str() else { continue }; // a bookmark
        let history = histories.entry((*kind, name.to_owned())).or_default();
        let mut object = object.clone();
        object["kind"] = json!(kind.name());
        history.0.push((event == "DELETED", object));
    }
    Ok(histories)
}

/// Notes every version of every object of a namespace from its return on, until the tasks are dropped.
async fn observe(bench: &Bench, ns: &str) -> anyhow::Result<(JoinSet<anyhow::Result<()>>, Arc<Mutex<Histories>>)> {
    let histories = Arc::new(Mutex::new(Histories::new()));
    let mut tasks = JoinSet::new();
    for (_, kind) in KINDS {
        let (api, notes) = (kind.api(bench.client(), ns), Arc::clone(&histories));
        let mut events = watcher(api, Config::default()).default_backoff().boxed();
        // The versions before the watch's list would never be seen.
        while !matches!(events.try_next().await?.context("a list")?, Event::InitDone) {}
        tasks.spawn(async move {
            while let Some(event) = events.try_next().await? {
                let (gone, object) = match event {
                    Event::Init | Event::InitDone => continue,
                    Event::InitApply(object) | Event::Apply(object) => (false, object),
                    Event::Delete(object) => (true, object),
                };
                let name = object.metadata.name.clone().context("a name")?;
                let mut object = serde_json::to_value(object)?;
                object["kind"] = json!(kind.name());
                let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.entry((kind, name)).or_default().0.push((gone, object));
            }
            Ok(())
        });
    }
    Ok((tasks, histories))
}

#[test]
fn histories_go_through_the_phases_of_a_recorded_virt_controller_with_the_same_status_fields() {
    run(async {
        let Some(folder) = extra_folder() else {
            return Ok(()); // only where the recording is at hand
        };
        let recorded = recording(&folder.join("fixtures/virt-controller-stream.jsonl.zst"))?;
        let (bench, ns) = (shared(), "recorded");
        bench.namespace(ns).await?;
        let (mut watching, histories) = observe(bench, ns).await?;
        for name in ["gone", "stopped", "stays"] {
            bench.create_all(&shapes::with_template_disk(ns, name)).await?;
        }
        for name in ["gone", "stopped", "stays"] {
            bench.wait_running(ns, name).await?;
        }
        bench.delete(&vm(ns, "gone")).await?;
        bench.patch(&vm(ns, "stopped"), &json!({"spec": {"runStrategy": "Halted"}})).await?;
        bench.wait_gone(&named(Kind::Claim, ns, "gone-root")).await?;
        bench.wait_gone(&named(Kind::Vmi, ns, "stopped")).await?;
        let stopped = |vm: Option<&Value>| vm.is_some_and(|vm| vm["status"]["printableStatus"] == "Stopped");
        bench.wait(&vm(ns, "stopped"), "stopped", stopped).await?;
        // Each watch gets there in its own time.
        let notes = || histories.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ours = wait_for("the end of the histories", PATIENCE, async || {
            let notes = notes();
            let ends = |kind: Kind, name: &str, phase: &str| {
                notes.iter().any(|((its, named), history)| {
                    *its == kind && named.starts_with(name) && history.phases().last().is_some_and(|last| last == phase)
                })
            };
            let all = ends(Kind::Vm, "gone", GONE)
                && ends(Kind::Vm, "stopped", "Stopped")
                && ends(Kind::Vmi, "gone", GONE)
                && ends(Kind::Vmi, "stopped", GONE)
                && ends(Kind::Pod, "virt-launcher-gone-", GONE)
                && ends(Kind::Pod, "virt-launcher-stopped-", GONE)
                && ends(Kind::DataVolume, "gone-root", GONE)
                && ends(Kind::Claim, "gone-root", GONE);
            let last = || {
                let last = notes
                    .iter()
                    .map(|((kind, name), history)| format!("{} {name}: {:?}", kind.name(), history.phases()));
                last.collect::<Vec<_>>().join("\n")
            };
            Ok(Seen::or_not_yet(all.then(|| notes.clone()), last))
        });
        let ours = ours.await?;
        watching.shutdown().await;
        let drifted = drift(&recorded, &ours);
        assert!(drifted.is_empty(), "{}", drifted.join("\n"));
        Ok(())
    });
}

#[test]
fn a_phase_out_of_order_and_a_field_too_few_or_too_many_count_as_drift() {
    let version = |phase: &str, fields: &[&str]| {
        let mut status = json!({"phase": phase});
        for field in fields {
            status[field] = json!(true);
        }
        (false, json!({"kind": "Pod", "status": status}))
    };
    let histories = |pod: Vec<(bool, Value)>| {
        let mut all: Histories =
            KINDS.iter().map(|(_, kind)| ((*kind, "a".to_owned()), History(vec![(false, json!({}))]))).collect();
        all.insert((Kind::Pod, "a".to_owned()), History(pod));
        all
    };
    let recorded = histories(vec![version("Pending", &[]), version("Running", &["podIP"])]);
    assert_eq!(drift(&recorded, &recorded), [""; 0]);
    assert_eq!(drift(&recorded, &histories(vec![version("Pending", &[])])), [""; 0], "it may not have got there yet");
    for (wrong, said) in [
        (vec![version("Running", &["podIP"])], "go through"),
        (vec![version("Pending", &[]), version("Running", &[])], "podIP is lacking"),
        (vec![version("Pending", &["hostIP"]), version("Running", &["podIP"])], "hostIP was never seen"),
    ] {
        let found = drift(&recorded, &histories(wrong));
        assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
    }
}
