//! Every record of an archive as `log -A --all -o jsonl` prints it, and what must be true of them.
//!
//! Does not: know how records are stored.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;
use vmrewind_graph::{Capture, KindRow, kinds};
use vmrewind_testkit::bench::{Journal, PATIENCE, Version};
use vmrewind_testkit::wait::{Seen, wait_for};

use crate::Tool;

/// One record.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Place in the order.
    pub seq: u64,
    /// When it was observed, RFC 3339.
    pub t: String,
    /// The earliest instant at which it can have happened, if that is not `t`.
    pub lo: Option<String>,
    /// What happened: one letter.
    pub op: String,
    /// API group.
    pub group: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Incarnation.
    pub uid: Option<String>,
    /// Resource version, as text or number.
    pub resource_version: Value,
    /// Era.
    #[serde(default)]
    pub era: Value,
    /// Whether nobody reported it.
    pub inferred: bool,
    /// Digest of the stored state.
    pub content_id: Option<String>,
    /// The gap, in a gap's record.
    #[serde(default)]
    pub gap: Value,
}

impl Line {
    /// Returns the resource version as text.
    pub fn rv(&self) -> Option<String> {
        match &self.resource_version {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Tells whether it is about this object.
    pub fn is(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.kind.as_deref() == Some(kind)
            && self.namespace.as_deref().unwrap_or_default() == namespace
            && self.name.as_deref() == Some(name)
    }

    fn holds_state(&self) -> bool {
        matches!(self.op.as_str(), "A" | "M" | "S" | "W")
    }

    fn version(&self) -> Option<Version> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Some(Version {
            group: text(&self.group),
            kind: text(&self.kind),
            namespace: text(&self.namespace),
            name: text(&self.name),
            uid: self.uid.clone()?,
            rv: self.rv()?,
        })
    }
}

/// All records of an archive, in order.
#[derive(Debug, Clone)]
pub struct History {
    /// The records.
    pub lines: Vec<Line>,
}

impl History {
    /// Reads all records with the command line tool.
    ///
    /// # Errors
    /// If the tool fails.
    pub async fn read(tool: &Tool) -> anyhow::Result<Self> {
        let answer = tool.ok(&["log", "-A", "--all", "-o", "jsonl"]).await?;
        let lines = answer.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned()));
        Ok(Self { lines: lines.collect::<Result<_, _>>()? })
    }

    /// Returns the records of one object.
    pub fn of<'a>(&'a self, kind: &'a str, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.is(kind, namespace, name))
    }

    /// Returns the gaps.
    pub fn gaps(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.op == "G")
    }

    fn versions(&self) -> BTreeSet<Version> {
        self.lines.iter().filter(|line| line.holds_state()).filter_map(Line::version).collect()
    }

    /// Returns the versions among these that should have been recorded and were not.
    pub fn lacking<'a>(&self, expected: impl IntoIterator<Item = &'a Version>) -> Vec<Version> {
        let recorded = self.versions();
        let first = self.first_versions();
        let owed = |version: &&Version| match scope_of(version).map(|row| row.capture) {
            None => false,
            Some(Capture::ByName) => {
                let number = |rv: &str| rv.parse::<u64>().unwrap_or_default();
                first.get(&version.uid).is_some_and(|first| number(&version.rv) >= *first)
            }
            Some(_) => true,
        };
        expected.into_iter().filter(owed).filter(|version| !recorded.contains(version)).cloned().collect()
    }

    fn first_versions(&self) -> BTreeMap<String, u64> {
        let mut first = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line.holds_state()) {
            if let (Some(uid), Some(rv)) = (&line.uid, line.rv().and_then(|rv| rv.parse().ok())) {
                first.entry(uid.clone()).or_insert(rv);
            }
        }
        first
    }

    /// Proves what is true of every archive: order without holes, strictly increasing times, nothing twice.
    ///
    /// # Errors
    /// With the first record that breaks it.
    pub fn assert_sound(&self) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        for (index, line) in self.lines.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &self.lines[before]);
            ensure!(before.is_none_or(|before| before.seq + 1 == line.seq), "a hole before {line:?}");
            ensure!(before.is_none_or(|before| before.t < line.t), "time does not increase at {line:?}");
            ensure!(line.lo.as_ref().is_none_or(|lo| *lo < line.t), "an empty interval: {line:?}");
            if let (true, Some(version)) = (line.holds_state(), line.version()) {
                ensure!(seen.insert((line.era.to_string(), version.uid, version.rv)), "recorded twice: {line:?}");
            }
        }
        Ok(())
    }
}

/// Returns the row of the scope that a version belongs to. Of definitions, only those of kinds in scope are recorded; other
/// kinds that are recorded in part (revisions of others) are written by the bench for machines only.
fn scope_of(version: &Version) -> Option<&'static KindRow> {
    let definition = version.kind == "CustomResourceDefinition";
    let of_scope = || kinds().iter().any(|row| version.name == format!("{}.{}", row.plural, row.group));
    let row = kinds().iter().find(|row| row.group == version.group && row.kind == version.kind);
    row.filter(|_| !definition || of_scope())
}

/// Waits until everything that the journal holds and that is in scope stands in the archive, and returns the history:
/// sound, with a deletion for every object that was seen deleted.
///
/// # Errors
/// If something is lacking after two minutes; with the first of it.
pub async fn assert_complete(tool: &Tool, journal: &Journal) -> anyhow::Result<History> {
    wait_for("everything in the archive", PATIENCE, async || {
        let expected: BTreeSet<Version> = journal.acknowledged().union(&journal.observed()).cloned().collect();
        let deleted = journal.deleted();
        let history = History::read(tool).await?;
        history.assert_sound()?;
        let lacking = history.lacking(&expected);
        let ends: BTreeSet<&String> =
            history.lines.iter().filter(|line| line.op == "D").filter_map(|line| line.uid.as_ref()).collect();
        let recorded: BTreeSet<&String> = history.lines.iter().filter_map(|line| line.uid.as_ref()).collect();
        let alive: Vec<&Version> = deleted
            .values()
            .filter(|last| scope_of(last).is_some() && recorded.contains(&last.uid) && !ends.contains(&last.uid))
            .collect();
        let complete = lacking.is_empty() && alive.is_empty();
        let said = || {
            let mut kinds = BTreeMap::<&str, usize>::new();
            for version in &lacking {
                *kinds.entry(&version.kind).or_default() += 1;
            }
            let gaps: Vec<&Value> = history.gaps().map(|line| &line.gap).take(5).collect();
            format!(
                "of {} versions {} are lacking ({kinds:?}), for example {:?}; of {} deletions {} are lacking, for example \
                 {:?}; the first gaps: {gaps:?}",
                expected.len(),
                lacking.len(),
                lacking.first(),
                deleted.len(),
                alive.len(),
                alive.first()
            )
        };
        Ok(Seen::or_not_yet(complete.then(|| history.clone()), said))
    })
    .await
}
