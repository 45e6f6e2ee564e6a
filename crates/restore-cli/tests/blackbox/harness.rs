//! Stories: what a watcher would have recorded, written as an archive, and the tool run on it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use vmrewind_archive::{
    Archive, ArchiveUrl, Cpu, Fence, FenceOutcome, NewArchive, NewKeys, Recipients, SecretKey, SegmentInput, Store,
    Writer, init,
};
use vmrewind_model::{
    Change, Era, Gap, GapCause, ObjectKey, ObjectOp, ProofState, Record, RecordKey, ResourceId, ResumeEntry, Rv, Seq,
    Timestamp,
};
use vmrewind_testkit::build::Build;

/// When every story begins.
pub(crate) const BEGIN: &str = "2026-11-22T10:00:00Z";
/// The present of every run of the tool.
pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";
/// The uid of the cluster of every story.
pub(crate) const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";

/// What a watcher would have recorded, in the order in which it is told.
pub(crate) struct Story {
    t: Timestamp,
    seq: u64,
    rv: u64,
    lo: Option<Timestamp>,
    segments: Vec<SegmentInput>,
    open: Vec<Record>,
    resume: BTreeMap<ResourceId, ResumeEntry>,
    gaps: BTreeMap<ResourceId, (Seq, Timestamp)>,
    left_out: Vec<ResourceId>,
}

/// Parses a time.
pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

impl Story {
    /// Begins with all kinds of the scope being watched.
    pub(crate) fn new() -> Self {
        let t = time(BEGIN);
        let entry = |row: &vmrewind_graph::KindRow| ResumeEntry {
            id: ResourceId::new(row.group, row.plural, ""),
            kind: row.kind.to_owned(),
            api_version: if row.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", row.group) },
            rv: Some(Rv(100)),
            proven_at: Some(t),
            state: ProofState::Live,
            era: Era(1),
            detail: String::new(),
        };
        let resume = vmrewind_graph::kinds().iter().map(entry).map(|entry| (entry.id.clone(), entry)).collect();
        Self {
            t,
            seq: 0,
            rv: 100,
            lo: None,
            segments: Vec::new(),
            open: Vec::new(),
            resume,
            gaps: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// Lets seconds pass, during which nothing happens and everything stays proven.
    pub(crate) fn wait(mut self, seconds: u64) -> Self {
        self.t = self.t.plus(Duration::from_secs(seconds));
        self
    }

    /// Says of the next record only that it lies after `lo`.
    pub(crate) fn late_since(mut self, lo: &str) -> Self {
        self.lo = Some(time(lo));
        self
    }

    pub(crate) fn added(self, object: &Build) -> Self {
        self.object(ObjectOp::Added, object)
    }

    pub(crate) fn modified(self, object: &Build) -> Self {
        self.object(ObjectOp::Modified, object)
    }

    pub(crate) fn seen(self, object: &Build) -> Self {
        self.object(ObjectOp::Seen, object)
    }

    fn object(mut self, op: ObjectOp, object: &Build) -> Self {
        self.rv += 1;
        let object = object.clone().rv(self.rv).raw();
        let key = key_of(&object);
        let change = Change::Object { op, key, rv: Rv(self.rv), object, from_seq: None };
        self.record(change)
    }

    /// Records an object that was created, given as the bytes of the server.
    pub(crate) fn added_bytes(mut self, bytes: &[u8]) -> Self {
        let object = vmrewind_model::RawObject::from_server(bytes).expect("an object");
        let rv = object.head().expect("an object").rv;
        self.rv = self.rv.max(rv.0);
        let key = key_of(&object);
        self.record(Change::Object { op: ObjectOp::Added, key, rv, object, from_seq: None })
    }

    /// Records a deletion that the server reported.
    pub(crate) fn deleted(mut self, object: &Build) -> Self {
        self.rv += 1;
        let object = object.clone().rv(self.rv).raw();
        let (key, rv) = (key_of(&object), Some(Rv(self.rv)));
        self.record(Change::Deleted { key, rv, object: Some(object), inferred: false })
    }

    /// Records a deletion that follows from a later list.
    pub(crate) fn gone(self, object: &Build) -> Self {
        let key = key_of(&object.raw());
        self.record(Change::Deleted { key, rv: None, object: None, inferred: true })
    }

    /// Records that an object that is named does not exist.
    pub(crate) fn absent(self, key: ObjectKey) -> Self {
        self.record(Change::Absent {
            key: RecordKey { home: String::new(), object: key, uid: String::new() },
            from_seq: None,
        })
    }

    /// Records an object without its content.
    pub(crate) fn withheld(mut self, object: &Build) -> Self {
        self.rv += 1;
        let (key, rv) = (key_of(&object.raw()), Rv(self.rv));
        self.record(Change::Withheld { key, rv, reason: "capture.secrets: skip".to_owned() })
    }

    /// Opens a gap in a resource at this moment.
    pub(crate) fn gap_opens(mut self, group: &str, plural: &str, cause: GapCause) -> Self {
        let resource = ResourceId::new(group, plural, "");
        let from = self.t;
        self.gaps.insert(resource.clone(), (Seq(self.seq + 1), from));
        self.resume.get_mut(&resource).expect("a resource of the scope").proven_at = Some(from);
        let gap = Gap {
            resource,
            object: None,
            from,
            to: None,
            cause,
            detail: "the watch fell behind".to_owned(),
            opened: None,
        };
        self.record(Change::Gap(gap))
    }

    /// Closes the gap in a resource.
    pub(crate) fn gap_closes(self, group: &str, plural: &str, cause: GapCause) -> Self {
        let mut story = self;
        let resource = ResourceId::new(group, plural, "");
        let (opened, from) = story.gaps.remove(&resource).expect("an open gap");
        let to = Some(story.t);
        let gap = Gap {
            resource,
            object: None,
            from,
            to,
            cause,
            detail: "the watch fell behind".to_owned(),
            opened: Some(opened),
        };
        story = story.record(Change::Gap(gap));
        story
    }

    /// Loses the right to read a resource: its proof stays where it is.
    pub(crate) fn denied(mut self, group: &str, plural: &str, verb: &str) -> Self {
        self = self.commit();
        let entry = self.resume.get_mut(&ResourceId::new(group, plural, "")).expect("a resource of the scope");
        entry.state = ProofState::Denied;
        entry.detail = format!("{verb} is forbidden");
        self.commit()
    }

    /// Leaves a resource out of what is captured, from the beginning.
    pub(crate) fn without_resource(mut self, group: &str, plural: &str) -> Self {
        let id = ResourceId::new(group, plural, "");
        self.resume.remove(&id);
        self.left_out.push(id.clone());
        for segment in &mut self.segments {
            segment.resume.retain(|entry| entry.id != id);
        }
        self
    }

    fn record(mut self, change: Change) -> Self {
        self.seq += 1;
        let t = self.t.plus(Duration::from_micros(1));
        self.t = t;
        self.open.push(Record { seq: Seq(self.seq), t, lo: self.lo.take(), era: Era(1), change });
        self
    }

    /// Ends a segment: all resources that are read are proven up to now.
    pub(crate) fn commit(mut self) -> Self {
        let now = self.t;
        for entry in self.resume.values_mut() {
            if entry.state == ProofState::Live && !self.gaps.contains_key(&entry.id) {
                entry.proven_at = Some(now);
            }
        }
        if self.open.is_empty() {
            self.seq += 1;
            self.t = now.plus(Duration::from_micros(1));
            self.open.push(Record { seq: Seq(self.seq), t: self.t, lo: None, era: Era(1), change: Change::Heartbeat });
        }
        let records = std::mem::take(&mut self.open);
        self.segments.push(SegmentInput { records, resume: self.resume.values().cloned().collect(), complete: true });
        self
    }

    /// Writes the archive to a new directory.
    pub(crate) fn write(self) -> Told {
        self.write_for(CLUSTER)
    }

    /// Writes the archive of a cluster to a new directory.
    pub(crate) fn write_for(self, cluster: &str) -> Told {
        self.write_to(cluster, &[])
    }

    /// Writes the archive to a new directory, encrypted to some keys.
    pub(crate) fn write_sealed(self, keys: &[SecretKey]) -> Told {
        self.write_to(CLUSTER, keys)
    }

    fn write_to(mut self, cluster: &str, keys: &[SecretKey]) -> Told {
        if !self.open.is_empty() {
            self = self.commit();
        }
        let first = Self::new();
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("archive");
        std::fs::create_dir(&place).expect("a directory");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let url: ArchiveUrl = place.display().to_string().parse().expect("an archive URL");
            let store = Store::open(&url).expect("a store");
            let archive = uuid::Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
            let software = "story 1".to_owned();
            let recipients = Recipients::new(keys.iter().map(SecretKey::recipient).collect(), true).ok();
            let sealed = recipients.map(|recipients| NewKeys { recipients, root_key: [1; 32], seed: [2; 32] });
            let new = NewArchive { archive, cluster: cluster.to_owned(), created: first.t, software, keys: sealed };
            init(&store, new).await.expect("an empty place");
            let archive = Archive::open(store).await.expect("an archive");
            let archive = archive.unlock(keys.to_vec(), [3; 32]).await.expect("opened");
            let head = archive.head().await.expect("a head");
            let resume = first.resume.values().filter(|entry| !self.left_out.contains(&entry.id)).cloned().collect();
            let fence = Fence { nonce: [7; 16], software: "story 1".to_owned(), t: first.t, resume };
            let outcome = Writer::fence(&archive, &head, fence, Cpu::Inline, &|| first.t).await.expect("a fence");
            let FenceOutcome::Owner(mut writer) = outcome else { panic!("somebody else owns a new archive") };
            for segment in self.segments {
                // The writer's own clock stands still: its stall rule is not what the stories are about.
                writer.commit(segment, &|| first.t).await.expect("a commit");
            }
        });
        Told { place, dir }
    }
}

fn key_of(object: &vmrewind_model::RawObject) -> RecordKey {
    let head = object.head().expect("a built object has a head");
    RecordKey { home: String::new(), object: head.key, uid: head.uid }
}

/// An archive that was written, and the tool to run on it.
pub(crate) struct Told {
    place: PathBuf,
    dir: TempDir,
}

/// What a run of the tool left.
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Ran {
    /// Returns everything that a user sees, and the exit code.
    pub(crate) fn all(&self) -> String {
        let mut text = self.stdout.clone();
        if !self.stderr.is_empty() {
            text.push_str("--- stderr\n");
            text.push_str(&self.stderr);
        }
        if self.code != 0 {
            text.push_str(&format!("[exit status: {}]\n", self.code));
        }
        text
    }

    /// Returns the JSON on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.all()))
    }

    /// Returns the JSON documents on standard output, one per line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl Told {
    /// Returns where the archive lies.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Runs the tool on the archive; words are separated by blanks.
    pub(crate) fn run(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split(' ').collect();
        self.run_words(&words)
    }

    /// Runs the tool on the archive.
    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(words);
        finish(command, &self.place)
    }

    /// Returns a path for a file of the user's own.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Returns the tool, ready to be run on the archive.
    pub(crate) fn command(&self) -> Command {
        let mut command = tool(self.dir.path());
        command.env("VMREWIND_ARCHIVE", &self.place);
        command
    }

    /// Returns the files of the segments, in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.place.join("log")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
            }
        }
        files.sort();
        files
    }
}

/// Runs the tool without any archive.
pub(crate) fn run_alone(words: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = tool(dir.path());
    command.args(words);
    finish(command, dir.path())
}

fn tool(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-vmrewind"));
    command.env_clear().env("HOME", home).env("VMREWIND_NOW", NOW).stdin(Stdio::null());
    command
}

fn finish(mut command: Command, place: &Path) -> Ran {
    let output = command.output().expect("the tool runs");
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace(&place.display().to_string(), "[ARCHIVE]")
    };
    Ran {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code().expect("it ended by itself"),
    }
}
