//! History that was rolled up: the programs as an operator runs them, and the second reader, on days of recorded life.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use vmrewind_archive::{Archive, ArchiveUrl, Cpu, Fence, FenceOutcome, NewArchive, SegmentInput, Store, Writer, init};
use vmrewind_model::{
    Change, Era, Gap, GapCause, ObjectOp, ProofState, RawObject, Record, RecordKey, ResourceId, ResumeEntry, Seq,
    Timestamp,
};
use vmrewind_testkit::{bench::programs::program, scratch};
use vmrewind_tests::{Tool, agree_with_python_reader};

/// Minutes from one segment to the next, over and over: a busy hour, pauses, a night.
const PAUSES: [u64; 12] = [1, 1, 1, 2, 4, 9, 30, 1, 1, 61, 7, 600];
const SEGMENTS: usize = 60;

/// Who writes the archive, and what was last.
struct Author {
    writer: Writer,
    t: Timestamp,
    rv: u64,
}

fn machines() -> ResourceId {
    ResourceId::new("kubevirt.io", "virtualmachines", "")
}

fn known(proven_at: Timestamp, rv: u64) -> ResumeEntry {
    ResumeEntry {
        id: machines(),
        kind: "VirtualMachine".into(),
        api_version: "kubevirt.io/v1".into(),
        rv: Some(vmrewind_model::Rv(rv)),
        proven_at: Some(proven_at),
        state: ProofState::Live,
        era: Era(1),
        detail: String::new(),
    }
}

async fn own(store: &Store, nonce: u8, t: Timestamp, rv: u64) -> anyhow::Result<Author> {
    let archive = Archive::open(store.clone()).await?;
    let head = archive.head().await?;
    let resume = if rv == 0 { Vec::new() } else { vec![known(head.t, rv)] };
    let fence = Fence { nonce: [nonce; 16], software: "test 1".into(), t, resume };
    match Writer::fence(&archive, &head, fence, Cpu::Inline, &|| t).await? {
        FenceOutcome::Owner(writer) => Ok(Author { writer, t, rv }),
        FenceOutcome::Taken(_) => anyhow::bail!("nobody else is there"),
    }
}

impl Author {
    fn object(&mut self, name: &str, op: ObjectOp) -> anyhow::Result<Change> {
        self.rv += 1;
        let rv = self.rv;
        let uid = format!("uid-{name}");
        let value = json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "spec": {"turn": rv},
            "metadata": {"namespace": "prod", "name": name, "uid": uid, "resourceVersion": rv.to_string()},
        });
        let object = RawObject::from_server(value.to_string().as_bytes())?;
        let head = object.head()?;
        let key = RecordKey { home: format!("prod/{name}"), object: head.key, uid };
        Ok(Change::Object { op, key, rv: head.rv, object, from_seq: None })
    }

    /// Commits some changes, a second apart.
    async fn commit(&mut self, changes: Vec<(Change, Option<Timestamp>)>) -> anyhow::Result<()> {
        let mut records = Vec::new();
        for (change, lo) in changes {
            self.t = self.t.plus(Duration::from_secs(1));
            let seq = Seq(self.writer.head().seq.0 + 1 + records.len() as u64);
            records.push(Record { seq, t: self.t, lo, era: Era(1), change });
        }
        let t = self.t;
        let input = SegmentInput { records, resume: vec![known(t, self.rv)], complete: false };
        // The stall rule has a clock of its own.
        self.writer.commit(input, &|| Timestamp::MIN).await?;
        Ok(())
    }
}

/// Writes days of life: five machines that change, a gap that is found after the fact, one that opens and closes, a late change,
/// a deletion, a new machine under the old name, and a second writer.
async fn write(folder: &Path) -> anyhow::Result<()> {
    let url: ArchiveUrl = folder.display().to_string().parse()?;
    let store = Store::open_or_make(&url)?;
    let mut t: Timestamp = "2026-03-01T08:00:00Z".parse()?;
    let new = NewArchive {
        archive: "0f0e0d0c-0b0a-4908-8706-050403020100".parse()?,
        cluster: "c".into(),
        created: t,
        software: "test 1".into(),
        keys: None,
    };
    init(&store, new).await?;
    let mut author = own(&store, 1, Timestamp::MIN.max(t), 0).await?;
    let mut opened = None;
    for n in 0..SEGMENTS {
        t = author.t.max(t).plus(Duration::from_secs(60 * PAUSES[n % PAUSES.len()]));
        author.t = t;
        let name = ["web", "db", "a.b", "queue", "ü"][n % 4];
        let op = if n < 4 { ObjectOp::Added } else { ObjectOp::Modified };
        let late = (n % 9 == 8).then(|| t.minus(Duration::from_secs(30)));
        let mut changes = vec![(author.object(name, op)?, late)];
        let gap = |from: Timestamp, to: Option<Timestamp>, opened: Option<Seq>| {
            let (resource, cause) = (machines(), GapCause::Expired);
            Change::Gap(Gap { resource, object: None, from, to, cause, detail: String::new(), opened })
        };
        let next = Seq(author.writer.head().seq.0 + 2);
        match n {
            10 => changes.push((gap(t.minus(Duration::from_secs(200)), Some(t), None), None)),
            20 => {
                opened = Some((next, t));
                changes.push((gap(t, None, None), None));
            }
            31 => {
                let (seq, from) = opened.context("it was opened")?;
                changes.push((gap(from, Some(t), Some(seq)), None));
            }
            40 => changes.push((Change::Heartbeat, None)),
            _ => {}
        }
        author.commit(changes).await?;
        if n == 35 {
            let rv = author.rv;
            author = own(&store, 2, author.t.plus(Duration::from_secs(5)), rv).await?;
        }
    }
    Ok(())
}

/// What the tool answers at instants all over the archive.
async fn answers(tool: &Tool, at: &[String]) -> anyhow::Result<Vec<Vec<Value>>> {
    let mut all = Vec::new();
    for at in at {
        let dump = ["dump", "-A", "--at", at, "--allow-gaps", "--allow-late", "-o", "jsonl"];
        all.push(tool.ok(&dump).await?.lines()?);
    }
    Ok(all)
}

fn maintain(archive: &Path) -> anyhow::Result<String> {
    let mut command = std::process::Command::new(program("vmrewind-watcher")?);
    let output = command.args(["maintain", "--once", "--archive"]).arg(archive).output()?;
    ensure!(output.status.success(), "maintain: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn days_of_life_answer_as_before_once_they_are_rolled_up_and_both_readers_agree() -> anyhow::Result<()> {
    let folder = scratch::directory("rollup")?;
    let archive = folder.path().join("archive");
    write(&archive).await?;
    let tool = Tool::new(&folder.path().join("kubeconfig"), &archive, folder.path())?;
    let moments: Vec<String> = (1..=60).step_by(7).map(|seq| format!("seq:{seq}")).chain(["latest".into()]).collect();
    let before = answers(&tool, &moments).await?;
    agree_with_python_reader(&tool, &archive).await.context("before the rollup")?;

    let said = maintain(&archive)?;
    ensure!(said.contains("segments lie in"), "{said}");
    let windows = count(&archive.join("hist"));
    ensure!(windows > 10 && count(&archive.join("man")) > 1, "{windows} bundles: {said}");
    ensure!(answers(&tool, &moments).await? == before, "the answers differ: {said}");
    agree_with_python_reader(&tool, &archive).await.context("after the rollup")?;

    ensure!(maintain(&archive)?.starts_with("Nothing is due"), "twice");
    ensure!(count(&archive.join("hist")) == windows, "nothing is written twice");
    Ok(())
}

#[test]
fn maintenance_says_what_is_wrong_where_there_is_no_archive() -> anyhow::Result<()> {
    let folder = scratch::directory("nothing")?;
    let run = |args: &[&str]| -> anyhow::Result<(Option<i32>, String)> {
        let mut command = std::process::Command::new(program("vmrewind-watcher")?);
        let output = command.arg("maintain").args(args).env_remove("VMREWIND_ARCHIVE").output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };
    let place = folder.path().display().to_string();
    let (code, said) = run(&["--once", "--archive", &place])?;
    ensure!(code == Some(10) && said.contains("Hint:"), "{code:?} {said}");
    let (code, said) = run(&["--once", "--archive", &format!("{place}/lost")])?;
    ensure!(code == Some(10) && said.contains("Hint:"), "{code:?} {said}");
    let (code, said) = run(&["--once"])?;
    ensure!(code == Some(2) && said.contains("no archive is named"), "{code:?} {said}");
    let (code, said) = run(&["--archive", &place])?;
    ensure!(code == Some(2) && said.contains("--once"), "{code:?} {said}");
    let (code, said) = run(&["--loop", "--every=0s", "--archive", &place])?;
    ensure!(code == Some(2) && said.contains("--every is zero"), "{code:?} {said}");
    Ok(())
}
