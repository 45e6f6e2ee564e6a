//! What somebody who may write to the store of an encrypted archive, but knows no key of it, puts there; and what chance does.

mod manifests;
mod ranges;

use bytes::Bytes;
use futures::FutureExt as _;
use vmrewind_model::{Change, Digest, ObjectOp, Record, RecordKey, ResumeEntry, Timestamp};

use crate::{
    Archive, ArchiveError, At, Code, Cpu, Door, Fence, FenceOutcome, Maintained, NewArchive, NewKeys, Part, Recipients,
    ResumeMap, Rules, SegmentInput, Silent, State, Store, Writer,
    format::{
        decode::decode,
        encode::{Draft, encode},
        footer::{Footer, Kind, LEN},
        home::{Home, Lock},
        public,
    },
    init, maintain, paths, read, samples,
};

const SOFTWARE: &str = "test 1";

fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("memory answers at once")
}

fn minutes(n: i64) -> Timestamp {
    samples::t(n * 60_000_000)
}

/// Makes an archive for the first two keys.
async fn made(store: &Store) -> Archive {
    let recipients = Recipients::new([1, 2].map(|n| samples::secret(n).recipient()).to_vec(), false).expect("two");
    let keys = Some(NewKeys { recipients, root_key: samples::ROOT_KEY, seed: [6; 32] });
    let software = SOFTWARE.to_owned();
    let new = NewArchive { archive: samples::ARCHIVE, cluster: "c".into(), created: samples::t(0), software, keys };
    init(store, new).await.expect("made");
    opened(store).await
}

/// Opens it with the first key.
async fn opened(store: &Store) -> Archive {
    let archive = Archive::open(store.clone()).await.expect("there").with_cpu(Cpu::Inline);
    archive.unlock(vec![samples::secret(1)], [9; 32]).await.expect("opened")
}

fn fence(nonce: u8, t: Timestamp, resume: Vec<ResumeEntry>) -> Fence {
    Fence { nonce: [nonce; 16], software: SOFTWARE.into(), t, resume }
}

async fn own(archive: &Archive, fence: Fence) -> Result<FenceOutcome, ArchiveError> {
    let head = archive.head().await?;
    let t = fence.t;
    Writer::fence(archive, &head, fence, Cpu::Inline, &|| t).await
}

fn vm() -> RecordKey {
    samples::vm_key("db-1", "u1")
}

fn changed(seq: u64, t: Timestamp) -> Record {
    let op = if seq == 1 { ObjectOp::Added } else { ObjectOp::Modified };
    Record { t, ..samples::record(seq, samples::set(op, vm(), seq, None)) }
}

/// A fence, and a change of one object in every tenth minute, each in a segment of its own: up to the fifth.
async fn lived(store: &Store) -> Archive {
    let archive = made(store).await;
    let resume = vec![samples::resume("virtualmachines", 1, 1)];
    let FenceOutcome::Owner(mut writer) = own(&archive, fence(1, minutes(0), resume)).await.expect("fenced") else {
        panic!("nobody else is there")
    };
    for n in 1..=5 {
        let records = vec![changed(n, minutes(10 * n.cast_signed()))];
        let resume = vec![samples::resume("virtualmachines", n, 600_000_000 * n.cast_signed())];
        let input = SegmentInput { records, resume, complete: false };
        writer.commit(input, &|| minutes(0)).await.expect("committed");
    }
    archive
}

/// As [`lived`], rolled up: a window for each segment but the last, which is a fence.
async fn rolled_up(store: &Store) -> Archive {
    let archive = lived(store).await;
    own(&archive, fence(2, minutes(55), vec![])).await.expect("fenced");
    let done = roll(&archive).await;
    assert!(done.windows > 4 && done.damage.is_empty(), "{done:?}");
    opened(store).await
}

async fn roll(archive: &Archive) -> Maintained {
    let door = Door { now: &|| minutes(56), salt: &|| [8; 16] };
    maintain(archive, &Rules::of(archive, SOFTWARE), door).await.expect("rolled up")
}

async fn bytes_of(store: &Store, name: &str) -> Bytes {
    store.get(name, u64::MAX - 1).await.expect("readable").expect("there")
}

/// Puts bytes in the place of what is there.
async fn replace(store: &Store, name: &str, bytes: Bytes) {
    if store.size(name).await.expect("asked").is_some() {
        store.delete(name).await.expect("deleted");
    }
    assert!(store.settle(name, &bytes).await.expect("written").is_none());
}

/// Which state of the object an archive tells for an instant.
async fn told(archive: &Archive, t: Timestamp) -> Result<State, ArchiveError> {
    archive.state_at(At::Time(t), &|_| true, &Silent).await
}

fn rv(state: &State) -> Option<u64> {
    match &state.objects.get(&vm().object)?.record.change {
        Change::Object { rv, .. } => Some(rv.0),
        _ => None,
    }
}

fn code(error: &ArchiveError) -> Option<Code> {
    match error {
        ArchiveError::Damaged(damage) => Some(damage.code),
        _ => None,
    }
}

/// Changes the footer of an object and what stands before it, and makes the hashes anew that need no key.
fn forged(good: &Bytes, kind: Kind, change: impl FnOnce(&mut Vec<u8>, &mut Footer)) -> Bytes {
    let mut footer = Footer::parse(good.last_chunk().expect("a footer"), kind).expect("good");
    let mut bytes = good[..good.len() - LEN].to_vec();
    change(&mut bytes, &mut footer);
    footer.body_sha256 = Digest::of(&bytes);
    bytes.extend_from_slice(&footer.to_bytes());
    bytes.into()
}

/// A segment that a stranger sealed to the recipients, who are public, under a root key of his own. It says that it has a record more
/// than it has, so that nothing need match its event root.
fn strange(slot: u64, epoch: u64, seq: u64, t: Timestamp) -> Bytes {
    let home = Home { archive: samples::ARCHIVE, lock: samples::lock_of([0x66; 32]) };
    let mut draft = Draft { home, slot, ..samples::draft(vec![changed(seq, t)]) };
    draft.epoch = vmrewind_model::Epoch(epoch);
    draft.after = (vmrewind_model::Seq(seq - 1), minutes(0));
    let bytes = encode(&draft).expect("good by itself").bytes;
    forged(&bytes, Kind::Log, |_, footer| {
        footer.records += 1;
        footer.seqs[1] += 1;
    })
}

#[test]
fn nothing_is_taken_from_a_segment_of_a_stranger_not_even_what_its_footer_says() {
    now(async {
        let store = Store::in_memory();
        let archive = lived(&store).await;
        for (slot, t) in [(4, 30), (6, 50)] {
            let good = bytes_of(&store, &paths::segment(slot)).await;
            replace(&store, &paths::segment(slot), strange(slot, 1 << 40, slot - 1, minutes(t))).await;
            let archive = opened(&store).await;
            match read::part(&archive, slot).await.expect("read") {
                Part::Damaged(damage, None) => {
                    assert_eq!((damage.code, damage.readable.len(), damage.held), (Code::IndexHash, 0, None));
                }
                part => panic!("{part:?}"),
            }
            assert_eq!(
                read::end(&archive, slot).await.map_err(|error| code(&error)).err(),
                Some(Some(Code::IndexHash))
            );
            let passing = archive.clone().passing_over_damage();
            let state = told(&passing, minutes(t + 1)).await.expect("it goes on");
            assert_eq!(rv(&state), Some(slot - 2), "the change before it");
            assert!(state.damage.iter().any(|damage| damage.segment == Some(slot)), "and says so");
            let head = archive.head_behind_damage().await.expect("known");
            assert!(head.epoch.0 < 10, "{head:?}");
            replace(&store, &paths::segment(slot), good).await;
        }
        assert_eq!(rv(&told(&archive, minutes(51)).await.expect("readable")), Some(5));
    });
}

#[test]
fn an_answer_of_the_store_that_no_writer_made_is_not_taken_for_a_fence_of_ones_own() {
    now(async {
        // The store saw what the writer wants to write.
        let seen = Store::in_memory();
        own(&made(&seen).await, fence(1, minutes(0), vec![samples::resume("virtualmachines", 1, 1)]))
            .await
            .expect("ok");
        let ours = bytes_of(&seen, &paths::segment(1)).await;
        let lie = forged(&ours, Kind::Log, |bytes, footer| {
            let entries = vec![samples::resume("virtualmachines", 9, 1_000_000_000)];
            bytes.truncate(usize::try_from(footer.body_length).expect("small"));
            bytes.extend_from_slice(&public::encode(&ResumeMap { complete: true, entries }).expect("good"));
        });
        for (answer, fine) in [(ours, true), (lie, false)] {
            let store = Store::in_memory();
            let archive = made(&store).await;
            let head = crate::Head::EMPTY;
            replace(&store, &paths::segment(1), answer).await;
            let fence = fence(1, minutes(1), vec![samples::resume("virtualmachines", 2, 1)]);
            let outcome = Writer::fence(&archive, &head, fence, Cpu::Inline, &|| minutes(1)).await;
            match outcome {
                Ok(FenceOutcome::Owner(_)) => assert!(fine, "it went on with what somebody else wrote"),
                Err(error) if !fine => assert_eq!(code(&error), Some(Code::IndexHash), "{error}"),
                outcome => panic!("{outcome:?}"),
            }
        }
    });
}

#[test]
fn a_writer_does_not_believe_a_stranger_about_who_took_over() {
    now(async {
        let store = Store::in_memory();
        let archive = made(&store).await;
        let FenceOutcome::Owner(mut writer) = own(&archive, fence(1, minutes(0), vec![])).await.expect("fenced") else {
            panic!("nobody else is there")
        };
        replace(&store, &paths::segment(2), strange(2, 77, 1, minutes(1))).await;
        let input = SegmentInput { records: vec![changed(1, minutes(1))], resume: vec![], complete: false };
        let error = writer.commit(input, &|| minutes(0)).await.expect_err("the slot is taken");
        assert!(matches!(error, ArchiveError::Fork { slot: 2, epoch } if epoch.0 == 0), "{error}");
    });
}

#[test]
fn the_keys_vouch_for_the_archive_json_that_was_read_and_for_no_other() {
    now(async {
        let store = Store::in_memory();
        made(&store).await;
        let good = bytes_of(&store, paths::IDENTITY).await;
        let lie = String::from_utf8(good.to_vec()).expect("JSON").replace("\"c\"", "\"d\"");
        assert_ne!(good, lie);
        replace(&store, paths::IDENTITY, lie.into()).await;
        let archive = Archive::open(store.clone()).await.expect("good by itself").with_cpu(Cpu::Inline);
        // Whoever asks again sees what was written.
        replace(&store, paths::IDENTITY, good).await;
        let error = archive.unlock(vec![samples::secret(1)], [9; 32]).await.expect_err("of another cluster");
        assert_eq!(code(&error), Some(Code::Chain), "{error}");
    });
}
