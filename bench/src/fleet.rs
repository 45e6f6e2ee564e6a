//! Days in the life of a fleet of machines, made from a seed: what virt-controller, virt-handler, CDI and people write.
//!
//! Machines are made in a storm of an hour (imports with their progress, phases, the first report of the guest), then live: the
//! guest agent reports, conditions flap, machines are migrated (another launcher pod) and edited. Names, uids, addresses, times
//! and versions are made as a cluster makes them, so that a compressor finds no more than it would there.
//!
//! Does not: write archives.

mod life;

use serde_json::{Map, Value, json};
use vmrewind_model::Timestamp;

use self::life::{DAY, Life, stamp};
use crate::history::What;

/// How much machines have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variety {
    /// Four templates; names, identities and a few sizes differ, as in a fleet that a tool made.
    Templates,
    /// Twenty shapes, and every label, annotation, script and name of a machine is its own.
    NothingShared,
}

/// What happened to one object.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) t: Timestamp,
    pub(crate) what: What,
    /// The home of its machine.
    pub(crate) home: String,
    pub(crate) object: Value,
}

/// Returns the events of `days` days of `machines` machines from midnight of 2026-01-01, by time. With `managed`, objects have
/// the `managedFields` of whoever writes them.
pub(crate) fn days(seed: u64, machines: usize, days: u64, (variety, managed): (Variety, bool)) -> Vec<Event> {
    let mut all: Vec<(u64, What, String, Value)> = Vec::new();
    for index in 0..machines {
        let mut life = Life::new(seed, index, variety);
        life.begin();
        for day in 0..days {
            life.live(day * DAY);
        }
        all.append(&mut life.events);
    }
    all.sort_by_key(|(at, ..)| *at);
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let versioned = all.into_iter().enumerate().map(|(version, (at, what, home, mut object))| {
        // Other objects of the cluster take most of the versions.
        object["metadata"]["resourceVersion"] = json!((81_234_567 + version * 37 + version % 11).to_string());
        if managed {
            object["metadata"]["managedFields"] = managed_fields(&object, at);
        }
        Event { t: start.plus(std::time::Duration::from_micros(at)), what, home, object }
    });
    versioned.collect()
}

/// The finaliser of SplitMix64: numbers without a pattern that are the same in every run.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn uid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            a & 0xffff,
            (a >> 16) & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }

    /// What Kubernetes hangs on generated names.
    fn suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(LETTERS[usize::try_from(self.below(LETTERS.len() as u64)).unwrap_or(0)])).collect()
    }

    fn word(&mut self) -> String {
        format!("{:x}", self.next())
            .chars()
            .filter_map(|digit| char::from_digit(digit.to_digit(16)? + 10, 36))
            .take(8)
            .collect()
    }
}

/// `managedFields` as the API server keeps them: the tree of the fields that somebody set.
fn managed_fields(object: &Value, at: u64) -> Value {
    fn fields(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                members.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect::<Map<_, _>>().into()
            }
            _ => json!({}),
        }
    }
    let manager = match object["kind"].as_str() {
        Some("DataVolume" | "PersistentVolumeClaim") => "cdi-controller",
        Some("Secret") => "kubectl-client-side-apply",
        _ => "virt-controller",
    };
    let of = |members: &[&str]| {
        members
            .iter()
            .filter_map(|member| Some((format!("f:{member}"), fields(object.get(*member)?))))
            .collect::<Map<_, _>>()
    };
    let entry = |operation: &str, of: Map<String, Value>| json!({"manager": manager, "operation": operation, "apiVersion": object["apiVersion"], "time": stamp(at), "fieldsType": "FieldsV1", "fieldsV1": of});
    let mut entries = vec![entry("Update", of(&["spec", "data"]))];
    if object.get("status").is_some() {
        let mut status = entry("Update", of(&["status"]));
        status["subresource"] = json!("status");
        entries.push(status);
    }
    json!(entries)
}
