//! What an imported archive says: when, of which cluster, and what exactly is proven at that one instant.
//!
//! Does not: read files, or write the archive.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vmrewind_model::{Change, Era, ObjectKey, ProofState, RecordKey, ResourceId, ResumeEntry, Timestamp};

use super::{
    coverage::{self, coverage},
    incoming::{Incoming, Origin, Type, bad},
    manifest::{Manifest, Presence},
    velero,
};
use crate::error::CliError;

/// The objects that a backup's list of resources names: group and kind, and the names in Velero's form.
pub(crate) type Listed = BTreeMap<(String, String), BTreeSet<String>>;

/// What is known besides the tarball.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What describes a Velero backup.
    pub(crate) backup: Option<Value>,
    /// The list of resources beside it.
    pub(crate) listed: Option<Listed>,
    /// The instant, if the user says it.
    pub(crate) time: Option<Timestamp>,
    /// The cluster, if the user says it.
    pub(crate) cluster: Option<String>,
    /// Whether the user says that the backup holds everything.
    pub(crate) complete: bool,
}

/// What is to be recorded besides the objects.
#[derive(Debug)]
pub(crate) struct Intake {
    /// The instant.
    pub(crate) t: Timestamp,
    /// Who says so.
    pub(crate) t_from: &'static str,
    /// The cluster.
    pub(crate) cluster: String,
    /// Who says so.
    pub(crate) cluster_from: &'static str,
    /// What is proven of each type.
    pub(crate) resources: Vec<ResumeEntry>,
    /// Why not everything is proven; none if all is.
    pub(crate) unproven: Option<String>,
    /// What is known of objects that are not there.
    pub(crate) absent: Vec<Change>,
    /// Where objects belong.
    pub(crate) homes: BTreeMap<ObjectKey, String>,
}

/// Works out what the archive will say.
///
/// # Errors
/// If no instant is known, or what is said of it makes no sense.
pub(crate) fn plan(incoming: &Incoming, facts: &Facts) -> Result<Intake, CliError> {
    match &incoming.origin {
        Origin::Export(manifest) => of_export(incoming, manifest, facts),
        Origin::Velero => of_velero(incoming, facts),
    }
}

fn of_export(incoming: &Incoming, manifest: &Manifest, facts: &Facts) -> Result<Intake, CliError> {
    if facts.complete || facts.time.is_some() || facts.backup.is_some() {
        return Err(CliError::usage("an export says itself when it was and what it holds.")
            .hint("leave out --time, --complete and --backup-json; they are about Velero backups."));
    }
    let mut resources = BTreeMap::new();
    let detail = format!("imported from an export of archive {} at record {}", manifest.archive, manifest.seq);
    for resource in &manifest.resources {
        if resource.proven_at.is_some_and(|proven| proven > manifest.t) {
            return Err(bad("its manifest proves what is later than its instant"));
        }
        let id = ResourceId::new(&resource.group, &resource.resource, &resource.scope);
        let entry = entry(id.clone(), &resource.kind, &resource.api_version, resource.proven_at, &detail);
        if resources.insert(id, entry).is_some() {
            return Err(bad("its manifest names a type twice"));
        }
    }
    add_lacking(&mut resources, incoming, &detail);
    let mut absent = Vec::new();
    for missing in &manifest.missing {
        let object = ObjectKey::from(&missing.key);
        let key = |uid: &str| RecordKey { home: String::new(), object: object.clone(), uid: uid.to_owned() };
        match missing.presence {
            Presence::Unknown => {}
            Presence::Absent => absent.push(Change::Absent { key: key(""), from_seq: None }),
            Presence::Withheld => {
                let rv = missing.resource_version.as_deref().and_then(|rv| rv.parse().ok());
                let rv = rv.ok_or_else(|| bad(format!("its manifest tells no version of {object}")))?;
                absent.push(Change::Withheld { key: key(&missing.uid), rv, reason: missing.reason.clone() });
            }
        }
    }
    let part = "the export holds a part of what there was, or was uncertain when it was made";
    Ok(Intake {
        t: manifest.t,
        t_from: "the instant of the export",
        cluster: facts.cluster.clone().unwrap_or_else(|| manifest.cluster.clone()),
        cluster_from: if facts.cluster.is_some() { "as said by --cluster" } else { "as the export says" },
        unproven: resources.values().any(|entry| entry.proven_at.is_none()).then(|| part.to_owned()),
        resources: resources.into_values().collect(),
        absent,
        homes: incoming.homes(),
    })
}

fn of_velero(incoming: &Incoming, facts: &Facts) -> Result<Intake, CliError> {
    let (t, t_from) = instant(incoming, facts)?;
    let objects = (incoming.objects.len() + incoming.broken.len()) as u64;
    let covers = match &facts.backup {
        _ if incoming.exported => Err(coverage::EXPORTED.to_owned()),
        // Some backups hold an object again in other API versions, and count each of them.
        Some(backup) => coverage(backup, facts.complete, &[objects, objects + incoming.other_versions]),
        None => Err("no velero-backup.json says what the backup was to hold".to_owned()),
    };
    let began = facts.backup.as_ref().and_then(|backup| backup["status"]["startTimestamp"].as_str());
    let began = began.map(|began| began.parse::<Timestamp>().map_err(|error| bad(format!("startTimestamp: {error}"))));
    let read = began.transpose()?;
    let read =
        read.map_or_else(String::new, |began| format!(" (its objects were read from {began} on, one after the other)"));
    let detail = format!("imported from a Velero backup{read}");
    let mut resources = BTreeMap::new();
    let mut add = |type_: &str, told: &Type, scope: &str, proven: bool| {
        let (plural, group) = type_.split_once('.').unwrap_or((type_, ""));
        let id = ResourceId::new(group, plural, scope);
        resources.insert(id.clone(), entry(id, &told.kind, &told.api_version, proven.then_some(t), &detail));
    };
    let (mut unproven, mut partial) = (Vec::new(), Vec::new());
    for (type_, told) in &incoming.types {
        let covered = covers.as_ref().map_or_else(|_| Vec::new(), |covers| covers.scopes(type_, told.namespaced));
        let agrees = facts.listed.as_ref().is_none_or(|listed| same(incoming, type_, told, listed));
        if !agrees && !covered.is_empty() {
            unproven.push(format!("the backup's list of resources names other {type_}"));
        }
        if covered.is_empty() || !agrees {
            add(type_, told, "", false);
            partial.extend(covered.is_empty().then_some(type_.as_str()));
        } else {
            covered.iter().for_each(|scope| add(type_, told, scope, true));
        }
    }
    match &covers {
        Err(why) => unproven.push(why.clone()),
        Ok(covers) => {
            unproven
                .extend(covers.namespaces.as_ref().map(|names| format!("the backup is of {} only", names.join(", "))));
            if !partial.is_empty() {
                unproven.push(format!("the backup was not to hold all {}", partial.join(", ")));
            }
        }
    }
    let own = incoming.objects.values().find(|found| found.key == ObjectKey::new("", "Namespace", "", "kube-system"));
    let (cluster, cluster_from) = match (&facts.cluster, own) {
        (Some(said), _) => (said.clone(), "as said by --cluster"),
        (None, Some(found)) if !found.uid.is_empty() => (found.uid.clone(), "the uid of its namespace kube-system"),
        (None, _) => (
            format!("imported-{}", &incoming.digest.hex()[..32]),
            "made from the content, since the backup does not tell: name it with --cluster",
        ),
    };
    Ok(Intake {
        t,
        t_from,
        cluster,
        cluster_from,
        unproven: (!unproven.is_empty()).then(|| unproven.join("; ")),
        resources: resources.into_values().collect(),
        absent: Vec::new(),
        homes: incoming.homes(),
    })
}

/// Tells whether the objects of a type are those that the backup's list of resources names.
fn same(incoming: &Incoming, type_: &str, told: &Type, listed: &Listed) -> bool {
    let group = type_.split_once('.').map_or("", |(_, group)| group);
    let name = |key: &ObjectKey| match key.namespace.as_str() {
        "" => key.name.clone(),
        namespace => format!("{namespace}/{}", key.name),
    };
    let good = incoming.objects.values().map(|found| &found.key);
    let keys = good.chain(incoming.broken.iter().map(|broken| &broken.key));
    let there: BTreeSet<String> = keys.filter(|key| key.is(group, &told.kind)).map(name).collect();
    listed.get(&(group.to_owned(), told.kind.clone())) == Some(&there)
}

/// Says what is known of a type, at one instant or never.
fn entry(id: ResourceId, kind: &str, api_version: &str, proven_at: Option<Timestamp>, detail: &str) -> ResumeEntry {
    let (state, detail) = match proven_at {
        Some(_) => (ProofState::Live, format!("{detail}; nothing later is known")),
        None => (ProofState::Stalled, format!("{detail}; not known to be all there was")),
    };
    // Without a version to go on from: a watcher that takes the archive over lists, and records the gap.
    ResumeEntry {
        id,
        kind: kind.to_owned(),
        api_version: api_version.to_owned(),
        rv: None,
        proven_at,
        state,
        era: Era(1),
        detail,
    }
}

/// Adds types of which there are objects and nothing else is said.
fn add_lacking(resources: &mut BTreeMap<ResourceId, ResumeEntry>, incoming: &Incoming, detail: &str) {
    for (type_, told) in &incoming.types {
        let (plural, group) = type_.split_once('.').unwrap_or((type_, ""));
        if !resources.keys().any(|id| id.group == group && id.resource == plural) {
            let id = ResourceId::new(group, plural, "");
            resources.insert(id.clone(), entry(id, &told.kind, &told.api_version, None, detail));
        }
    }
}

/// Finds out when a backup was.
fn instant(incoming: &Incoming, facts: &Facts) -> Result<(Timestamp, &'static str), CliError> {
    if let Some(time) = facts.time {
        return Ok((time, "as said by --time"));
    }
    if let Some(backup) = &facts.backup {
        let Some(text) = backup["status"]["completionTimestamp"].as_str() else {
            return Err(CliError::usage("the backup was not completed: its status tells no completionTimestamp.")
                .hint("--time says for which instant it counts."));
        };
        let time: Timestamp =
            text.parse().map_err(|error| bad(format!("the backup's completionTimestamp: {error}")))?;
        let exact = backup["metadata"]["annotations"][velero::INSTANT].as_str().and_then(|text| text.parse().ok());
        let exact = exact.filter(|exact: &Timestamp| exact.micros().div_euclid(1_000_000) == time.micros() / 1_000_000);
        return Ok((exact.unwrap_or(time), "the end of the backup"));
    }
    let newest = i64::try_from(incoming.newest).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
    newest
        .and_then(|micros| Timestamp::from_micros(micros).ok())
        .map(|time| (time, "the newest file of the backup"))
        .ok_or_else(|| {
            CliError::usage("nothing tells when the backup was made.")
                .hint("say it with --time, or give --backup-json.")
        })
}
