//! The metrics: each has a question as help text.
//!
//! Does not: keep counts; they are in the report.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::ConstCounter, family::Family, gauge::Gauge},
    registry::Registry,
};
use vmrewind_model::{ProofState, Timestamp};

use crate::report::Report;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfResource {
    resource: String,
    kind: String,
    namespace: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfState {
    resource: String,
    kind: String,
    namespace: String,
    state: &'static str,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfOp {
    op: String,
}

/// Writes the report as OpenMetrics.
pub(super) fn encode_metrics(report: &Report, now: Timestamp) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("vmrewind_watcher");
    resources(&mut registry, report, now);
    counts(&mut registry, report);
    commits(&mut registry, report, now);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn state_name(state: ProofState) -> &'static str {
    match state {
        ProofState::Live => "live",
        ProofState::Late => "late",
        ProofState::Relisting => "relisting",
        ProofState::Stalled => "stalled",
        ProofState::Denied => "denied",
        ProofState::Removed => "removed",
    }
}

fn resources(registry: &mut Registry, report: &Report, now: Timestamp) {
    let lag: Family<OfResource, Gauge<f64, std::sync::atomic::AtomicU64>> = Family::default();
    let state: Family<OfState, Gauge> = Family::default();
    for resource in &report.status.resources {
        let group = if resource.id.group.is_empty() { String::new() } else { format!(".{}", resource.id.group) };
        let name = format!("{}{group}", resource.id.resource);
        let (kind, namespace) = (resource.kind.clone(), resource.id.scope.clone());
        if let Some(proven) = resource.proven_at {
            let labels = OfResource { resource: name.clone(), kind: kind.clone(), namespace: namespace.clone() };
            lag.get_or_create(&labels).set(now.since(proven).as_secs_f64());
        }
        let labels = OfState {
            resource: name,
            kind,
            namespace,
            state: state_name(resource.state),
            reason: resource.detail.clone(),
        };
        state.get_or_create(&labels).set(1);
    }
    registry.register("lag_seconds", "How many seconds ago was the last instant up to which a resource is proven", lag);
    registry.register("resource_state", "In which state is the capture of a resource, and why", state);
    let ready = i64::from(report.at.is_some() && report.reasons().is_empty());
    gauge(registry, "ready", "Is every resource proven and nothing wanted", ready);
}

fn counts(registry: &mut Registry, report: &Report) {
    let (status, counters) = (&report.status, &report.status.counters);
    gauge(registry, "followed_objects", "How many objects are followed", big(status.followed));
    gauge(
        registry,
        "wanted_objects",
        "Of how many objects that are named is nothing known yet",
        big(status.wanted.len()),
    );
    gauge(registry, "absent_objects", "How many objects that are named do not exist", big(status.absent));
    gauge(registry, "open_gaps", "How many gaps are open", big(status.open_gaps));
    gauge(registry, "era", "Which lifetime of the cluster's storage is it", i64::from(status.era.0));
    gauge(registry, "clock_trusted", "Does the clock agree with the API server's", i64::from(status.clock.is_none()));
    let versions: Family<OfKind, Gauge> = Family::default();
    for (kind, count) in &counters.versions {
        versions.get_or_create(&OfKind { kind: kind.clone() }).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    registry.register("versions", "How many versions of objects were recorded since the start, per kind", versions);
    let records: Family<OfOp, Gauge> = Family::default();
    for (op, count) in &counters.records {
        records.get_or_create(&OfOp { op: op.to_string() }).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    registry.register("records", "How many records were made since the start, per op", records);
    for (name, help, count) in [
        ("events", "How many events did watches deliver", counters.events),
        ("duplicates", "How many states were received that were recorded already", counters.duplicates),
        ("inferred_deletions", "How many deletions did nobody report", counters.inferred),
        ("walked_back_versions", "How many versions were read back after a 410", counters.walked_back),
        ("renewals", "How often did a watch take over from one that was about to end", counters.renewals),
        ("expired_watches", "How many watches could not go on where they were (410)", counters.expired),
        ("storage_rollbacks", "How often did the cluster's storage go back", counters.rollbacks),
        ("gaps", "How many gaps were recorded", counters.gaps),
        ("audits", "How many periodic lists were compared with the watch", counters.audits),
        ("corrections", "How often did a periodic list disagree with the watch", counters.corrections),
        ("buffer_overflows", "How often were watches closed because the store was too slow", counters.overflows),
    ] {
        registry.register(name, help, ConstCounter::new(count));
    }
}

fn commits(registry: &mut Registry, report: &Report, now: Timestamp) {
    let commits = &report.commits;
    for (name, help, count) in [
        ("segments", "How many segments were committed", commits.segments),
        ("acknowledged_records", "How many records are durable", commits.records),
        ("stored_bytes", "How many bytes were stored", commits.bytes),
        ("raw_bytes", "How many bytes were that before compression", commits.raw),
        ("store_errors", "How often did the store not answer", commits.errors),
    ] {
        registry.register(name, help, ConstCounter::new(count));
    }
    gauge(registry, "segment", "Which segment was committed last", i64::try_from(commits.segment).unwrap_or(i64::MAX));
    let epoch = report.epoch.map_or(0, |epoch| i64::try_from(epoch.0).unwrap_or(i64::MAX));
    gauge(registry, "epoch", "Which reign of the archive is this", epoch);
    gauge(registry, "buffer_bytes", "How many bytes wait for the store", big(report.waiting));
    let age: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    age.set(commits.t.map_or(0.0, |t| now.since(t).as_secs_f64()));
    registry.register("durable_age_seconds", "How many seconds ago was the newest durable instant", age);
    registry.register("commit_latency_seconds", "How long does it take to store a segment", commits.latency.0.clone());
    if let Some(bytes) = resident() {
        gauge(registry, "resident_memory_bytes", "How much memory does the process use", bytes);
    }
}

fn gauge(registry: &mut Registry, name: &'static str, help: &'static str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn big(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Resident memory as Linux tells it; none elsewhere.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: i64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}
