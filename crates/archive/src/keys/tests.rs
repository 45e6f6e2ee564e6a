//! Files of keys in a store: making, opening, adding, rotating, and what somebody may have put there.

mod lost;
mod pins;

use futures::FutureExt as _;

use super::*;
use crate::{
    At, Cpu, Door, ErrorKind, Fence, FenceOutcome, Head, NewArchive, Rules, SegmentInput, SeqRange, Silent, Writer,
    init, maintain, samples,
};

fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("memory answers at once")
}

fn to(keys: &[u8]) -> Recipients {
    Recipients::new(keys.iter().map(|n| samples::secret(*n).recipient()).collect(), true).expect("some")
}

fn new(keys: Option<&[u8]>) -> NewArchive {
    let keys = keys.map(|keys| NewKeys { recipients: to(keys), root_key: samples::ROOT_KEY, seed: [6; 32] });
    let software = "test 1".to_owned();
    NewArchive { archive: samples::ARCHIVE, cluster: "c".into(), created: samples::t(0), software, keys }
}

async fn opened(store: &Store, keys: &[u8], seed: u8) -> Result<Archive, ArchiveError> {
    let own = keys.iter().map(|n| samples::secret(*n)).collect();
    Archive::open(store.clone()).await?.with_cpu(Cpu::Inline).unlock(own, [seed; 32]).await
}

/// Commits one record as a new writer.
async fn write(archive: &Archive, nonce: u8) {
    let head = archive.head().await.expect("a head");
    let fence = Fence { nonce: [nonce; 16], software: "test 1".into(), t: samples::t(0), resume: vec![] };
    let clock = || samples::t(0);
    let outcome = Writer::fence(archive, &head, fence, Cpu::Inline, &clock).await.expect("fenced");
    let FenceOutcome::Owner(mut writer) = outcome else { panic!("nobody else is there") };
    let seq = writer.head().seq.0 + 1;
    let change = samples::set(vmrewind_model::ObjectOp::Added, samples::vm_key("db-1", "u1"), seq, None);
    let input = SegmentInput { records: vec![samples::record(seq, change)], resume: vec![], complete: false };
    writer.commit(input, &clock).await.expect("committed");
}

async fn seqs(archive: &Archive) -> Result<usize, ArchiveError> {
    use futures::TryStreamExt as _;
    let records: Vec<_> = archive.records(SeqRange::ALL).try_collect().await?;
    Ok(records.len())
}

#[test]
fn each_recipient_reads_and_writes_and_nobody_else_reads_anything() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        write(&opened(&store, &[1], 1).await.expect("opened"), 1).await;
        write(&opened(&store, &[2], 2).await.expect("opened"), 2).await;
        for keys in [&[1][..], &[2], &[9, 2]] {
            assert_eq!(seqs(&opened(&store, keys, 3).await.expect("opened")).await.expect("readable"), 2);
        }
        for keys in [&[9][..], &[]] {
            let error = opened(&store, keys, 3).await.expect_err("it stays shut");
            assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        }
        let shut = Archive::open(store.clone()).await.expect("there").with_cpu(Cpu::Inline);
        assert_eq!(crate::read::end(&shut, 2).await.expect("ends are plain").0.records, 1);
        assert_eq!(seqs(&shut).await.expect_err("shut").kind(), ErrorKind::Locked);
        assert_eq!(shut.head().await.expect_err("shut").kind(), ErrorKind::Locked);
        let state = shut.passing_over_damage().state_at(At::Latest, &|_| true, &Silent).await;
        assert_eq!(state.expect_err("a lock is no damage").kind(), ErrorKind::Locked);
    });
}

#[test]
fn nothing_in_the_store_holds_a_name_or_a_plain_hash_of_what_was_written() {
    now(async {
        let (sealed, plain) = (Store::in_memory(), Store::in_memory());
        init(&sealed, new(Some(&[1, 2]))).await.expect("made");
        init(&plain, new(None)).await.expect("made");
        let archives = [opened(&sealed, &[1], 1).await.expect("opened"), opened(&plain, &[], 1).await.expect("opened")];
        let mut shown = Vec::new();
        for archive in &archives {
            write(archive, 1).await;
            let bytes = archive.store.get(&paths::segment(2), u64::MAX - 1).await.expect("readable").expect("there");
            let end = &bytes[bytes.len() - 384..];
            shown.push((bytes.clone(), end[224..256].to_vec(), end[256..288].to_vec()));
        }
        let [(bytes, root, index), (plain_bytes, plain_root, plain_index)] = &shown[..] else { panic!("two") };
        assert!(root != plain_root && index != plain_index);
        let holds = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        for text in [&b"db-1"[..], b"VirtualMachine\"", plain_root, plain_index] {
            assert!(!holds(bytes, text));
        }
        assert!(holds(plain_bytes, plain_root), "the test can fail");
    });
}

#[test]
fn a_recipient_that_was_added_reads_what_comes_and_one_that_was_left_out_what_was() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = opened(&store, &[1], 1).await.expect("opened");
        write(&archive, 1).await;
        let file = archive.encrypt_to(&to(&[1, 2, 3]), samples::t(5), "test 2").await.expect("added");
        assert_eq!((file.n, file.recipients.len(), file.valid_from), (2, 3, samples::t(5)));
        let archive = opened(&store, &[1], 2).await.expect("opened");
        assert_eq!(archive.recipients().map(<[_]>::len), Some(3));
        write(&archive, 2).await;
        // A clock that went back makes no file that is refused.
        archive.encrypt_to(&to(&[2, 3]), samples::t(1), "test 3").await.expect("rotated");
        write(&opened(&store, &[2], 3).await.expect("opened"), 3).await;
        let numbers = |files: &[KeyFile]| files.iter().map(|file| file.recipients.len()).collect::<Vec<_>>();
        assert_eq!(numbers(&archive.key_files().await.expect("readable")), [2, 3, 2]);
        assert_eq!(seqs(&opened(&store, &[2], 4).await.expect("opened")).await.expect("all"), 3);
        let old = opened(&store, &[1], 4).await.expect("it knows the root key");
        assert_eq!(seqs(&old).await.expect_err("what is new").kind(), ErrorKind::Locked);
        use futures::TryStreamExt as _;
        let first: Vec<_> = old.segments(1..=2).try_collect().await.expect("what was");
        assert_eq!(first.len(), 2);
        let added = opened(&store, &[3], 4).await.expect("it knows the root key");
        assert_eq!(
            added.segments(1..=2).try_collect::<Vec<_>>().await.expect_err("what was").kind(),
            ErrorKind::Locked
        );
        assert_eq!(added.segments(3..=6).try_collect::<Vec<_>>().await.expect("what came").len(), 4);
    });
}

#[test]
fn fewer_than_two_recipients_must_be_meant_and_one_that_is_there_twice_is_one() {
    let one = samples::secret(1).recipient();
    for (recipients, single, fine) in
        [(vec![], true, false), (vec![one], false, false), (vec![one; 2], false, false), (vec![one], true, true)]
    {
        assert_eq!(Recipients::new(recipients, single).is_ok(), fine);
    }
    let many = |n: u8| (1..=n).map(|n| samples::secret(n).recipient()).collect();
    assert!(Recipients::new(many(16), false).is_ok() && Recipients::new(many(17), false).is_err());
}

#[test]
fn an_archive_whose_making_was_stopped_before_it_had_keys_is_finished() {
    now(async {
        let store = Store::in_memory();
        let bytes = Identity {
            format: crate::format::VERSION,
            features: crate::Features::default(),
            archive: samples::ARCHIVE,
            encrypted: true,
            cluster: "c".into(),
            created: samples::t(0),
            software: "test 1".into(),
        };
        let bytes = bytes.to_bytes().expect("good");
        assert!(store.settle(paths::IDENTITY, &bytes).await.expect("written").is_none());
        let archive = Archive::open(store.clone()).await.expect("there");
        assert!(archive.lacks_keys().await.expect("asked"));
        let error = opened(&store, &[1], 1).await.expect_err("no keys");
        assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.code == Code::Missing), "{error}");
        let other = NewArchive { cluster: "other".into(), ..new(Some(&[1, 2])) };
        assert!(matches!(init(&store, other).await, Err(ArchiveError::AlreadyArchive { .. })));
        assert!(matches!(init(&store, new(None)).await, Err(ArchiveError::AlreadyArchive { .. })));
        init(&store, new(Some(&[1, 2]))).await.expect("finished");
        write(&opened(&store, &[1], 1).await.expect("opened"), 1).await;
        assert!(matches!(init(&store, new(Some(&[1, 2]))).await, Err(ArchiveError::AlreadyArchive { .. })));
    });
}

/// What somebody who can write to the store, but knows no key, puts there.
#[test]
fn a_file_of_keys_of_a_stranger_is_refused_whatever_he_encrypts_it_with() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = opened(&store, &[1], 1).await.expect("opened");
        let files = read_all(&store, &archive.identity, archive.root).await.expect("readable");
        // His own root key, encrypted to the recipients and himself: they are public.
        let theirs = RootKey(Zeroizing::new([0x66; 32]));
        let recipients = to(&[1, 2, 9]);
        let members = Members {
            archive: samples::ARCHIVE,
            n: 2,
            prev: Digest::of(&files[0].bytes),
            recipients: recipients.0.clone(),
            valid_from: samples::t(9),
            software: "test 1".into(),
            root_key: wrapped(&theirs, &recipients.0, &Seed::new([7; 32])).expect("sealed"),
        };
        let bytes = members.to_bytes(&theirs).expect("good");
        assert!(store.settle(&paths::keys(2), &bytes).await.expect("written").is_none());
        let error = opened(&store, &[1], 1).await.expect_err("the files disagree");
        assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.code == Code::Keys), "{error}");
    });
}

#[test]
fn an_archive_that_was_encrypted_is_rolled_up_and_read_from_what_came_of_it() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        for n in 1..=4 {
            write(&opened(&store, &[1], n).await.expect("opened"), n).await;
        }
        let archive = opened(&store, &[2], 9).await.expect("opened");
        let rules = Rules::of(&archive, "test 1");
        let far = samples::t(600_000_000);
        let fence = Fence { nonce: [40; 16], software: "test 1".into(), t: far, resume: vec![] };
        let head = archive.head().await.expect("a head");
        Writer::fence(&archive, &head, fence, Cpu::Inline, &|| far).await.expect("fenced");
        let door = Door { now: &|| far, salt: &|| [8; 16] };
        let shut = Archive::open(store.clone()).await.expect("there").with_cpu(Cpu::Inline);
        assert_eq!(maintain(&shut, &rules, door).await.expect_err("shut").kind(), ErrorKind::Locked);
        let done = maintain(&archive, &rules, door).await.expect("rolled up");
        assert!(done.windows > 0 && done.damage.is_empty(), "{done:?}");
        let log = archive.clone().reading_the_log_only().state_at(At::Latest, &|_| true, &Silent).await;
        let rolled = archive.state_at(At::Latest, &|_| true, &Silent).await;
        assert_eq!(format!("{rolled:?}"), format!("{log:?}"));
        assert_eq!(rolled.expect("readable").objects.len(), 1);
        assert_ne!(head, Head::EMPTY);
    });
}
