//! Files of keys that are lost or damaged: no new root key is made, and readers go on with what is left if they are told to.

use super::*;
use crate::Damage;

async fn take_away(store: &Store, name: &str) -> Bytes {
    let bytes = store.get(name, u64::MAX - 1).await.expect("readable").expect("there");
    store.delete(name).await.expect("deleted");
    bytes
}

async fn replace(store: &Store, n: u64, bytes: impl Into<Bytes>) {
    store.delete(&paths::keys(n)).await.expect("deleted");
    assert!(store.settle(&paths::keys(n), &bytes.into()).await.expect("written").is_none());
}

async fn left(store: &Store, keys: &[u8], told: Option<Fingerprint>) -> Result<(Archive, Vec<Damage>), ArchiveError> {
    let own = keys.iter().map(|n| samples::secret(*n)).collect();
    Archive::open(store.clone()).await?.with_cpu(Cpu::Inline).unlock_for_reading(own, told).await
}

fn codes(damage: &[Damage]) -> Vec<(String, Code)> {
    damage.iter().map(|damage| (damage.object.clone(), damage.code)).collect()
}

#[test]
fn no_new_root_key_is_made_for_an_archive_that_is_in_use() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = opened(&store, &[1], 1).await.expect("opened");
        let after_keys = archive.encrypt_to(&to(&[2, 3]), samples::t(5), "test 2").await.expect("rotated");
        write(&archive, 1).await;
        let first = take_away(&store, &paths::keys(1)).await;
        let missing = |error: &ArchiveError| matches!(error, ArchiveError::Damaged(damage) if damage.code == Code::Missing && damage.object == paths::keys(1));
        for gone in [None, Some(paths::keys(after_keys.n)), Some(paths::segment(1))] {
            if let Some(name) = gone {
                take_away(&store, &name).await;
            }
            let errors = [
                init(&store, new(Some(&[1, 2]))).await.expect_err("it is in use"),
                Archive::open(store.clone()).await.expect("there").lacks_keys().await.expect_err("it had keys"),
                opened(&store, &[1], 1).await.expect_err("its keys are gone"),
            ];
            for error in &errors {
                assert!(missing(error) && error.hint().expect("a hint").contains("from a copy"), "{error}");
            }
            assert!(store.size(&paths::keys(1)).await.expect("asked").is_none(), "nothing was written");
        }
        // Segment 2 is left: put back, the file opens it.
        assert!(store.settle(&paths::keys(1), &first).await.expect("written").is_none());
        opened(&store, &[1], 1).await.expect("opened");
    });
}

#[test]
fn nobody_writes_where_a_file_in_between_is_lost_and_no_other_one_takes_its_place() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = opened(&store, &[1], 1).await.expect("opened");
        for n in 2..=4 {
            archive.encrypt_to(&to(&[1, n]), samples::t(n.into()), "test").await.expect("rotated");
        }
        let missing = |error: &ArchiveError, n| matches!(error, ArchiveError::Damaged(damage) if damage.code == Code::Missing && damage.object == paths::keys(n));
        let third = take_away(&store, &paths::keys(3)).await;
        let error = opened(&store, &[1], 1).await.expect_err("keys/3 is lost");
        assert!(missing(&error, 3), "{error}");
        // Two in a row are taken for the end, but nothing is put there.
        let second = take_away(&store, &paths::keys(2)).await;
        let archive = opened(&store, &[1], 1).await.expect("by the first");
        let error = archive.encrypt_to(&to(&[1, 9]), samples::t(9), "test").await.expect_err("keys/4 is there");
        assert!(missing(&error, 2), "{error}");
        for (n, bytes) in [(2, second), (3, third)] {
            assert!(store.settle(&paths::keys(n), &bytes).await.expect("written").is_none());
        }
        assert_eq!(opened(&store, &[1], 1).await.expect("whole").recipients(), Some(to(&[1, 4]).as_slice()));
    });
}

#[test]
fn keys_vouch_for_the_very_bytes_of_the_identity_that_were_read() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = Archive::open(store.clone()).await.expect("there");
        let other = take_away(&store, paths::IDENTITY).await;
        let other = String::from_utf8(other.to_vec()).expect("text").replace("test 1", "test 2");
        assert!(store.settle(paths::IDENTITY, &other.into()).await.expect("written").is_none());
        archive.unlock(vec![samples::secret(1)], [1; 32]).await.expect("it was read before");
        let changed = Archive::open(store.clone()).await.expect("well-formed");
        let error = changed.unlock(vec![samples::secret(1)], [1; 32]).await.expect_err("others vouch for it");
        assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.code == Code::Chain), "{error}");
    });
}

#[test]
fn readers_that_pass_over_damage_go_on_with_the_root_key_of_another_file_and_writers_do_not() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = opened(&store, &[1], 1).await.expect("opened");
        write(&archive, 1).await;
        archive.encrypt_to(&to(&[1, 2, 3]), samples::t(5), "test 2").await.expect("added");
        archive.encrypt_to(&to(&[1, 2]), samples::t(6), "test 3").await.expect("rotated");
        let (whole, damage) = left(&store, &[1], None).await.expect("opened");
        assert!(damage.is_empty() && whole.recipients() == Some(to(&[1, 2]).as_slice()));
        for n in 1..=3 {
            let good = store.get(&paths::keys(n), limits::KEYS).await.expect("readable").expect("there");
            for at in (0..good.len()).step_by(7) {
                let mut bad = good.to_vec();
                bad[at] ^= 1;
                replace(&store, n, bad).await;
                let strict = opened(&store, &[1], 2).await.expect_err("a writer does not go on");
                assert!(matches!(strict.kind(), ErrorKind::Data | ErrorKind::Locked), "{strict}");
                let (archive, damage) = left(&store, &[1], None).await.expect("the others are intact");
                assert_eq!(codes(&damage).len(), 1, "{damage:?}");
                assert_eq!(damage[0].object, paths::keys(n), "{damage:?}");
                assert_eq!(seqs(&archive).await.expect("readable"), 1);
            }
            store.delete(&paths::keys(n)).await.expect("deleted");
            if n < 3 {
                let (archive, damage) = left(&store, &[1], None).await.expect("the others are there");
                assert_eq!(codes(&damage), [(paths::keys(n), Code::Missing)]);
                assert_eq!(seqs(&archive).await.expect("readable"), 1);
            }
            assert!(store.settle(&paths::keys(n), &good).await.expect("written").is_none());
        }
        let error = left(&store, &[9], None).await.expect_err("not his");
        assert_eq!(error.kind(), ErrorKind::Locked);
        for n in 1..=3 {
            replace(&store, n, "rot").await;
        }
        assert_eq!(left(&store, &[1], None).await.expect_err("none is intact").kind(), ErrorKind::Data);
    });
}

#[test]
fn a_file_of_keys_of_a_stranger_is_passed_over_only_if_the_fingerprint_tells_which_is_his() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = opened(&store, &[1], 1).await.expect("opened");
        write(&archive, 1).await;
        let ours = archive.fingerprint().expect("open");
        let files = read_all(&store, &archive.identity, archive.root).await.expect("readable");
        let theirs = RootKey(Zeroizing::new([0x66; 32]));
        let members = Members {
            n: 2,
            prev: Digest::of(&files[0].bytes),
            root_key: wrapped(&theirs, &to(&[1, 2]).0, &Seed::new([7; 32])).expect("sealed"),
            ..files[0].members.clone()
        };
        replace(&store, 2, members.to_bytes(&theirs).expect("good")).await;
        let error = left(&store, &[1], None).await.expect_err("which one is it?");
        assert!(matches!(&error, ArchiveError::Damaged(damage) if damage.code == Code::Keys), "{error}");
        let (archive, damage) = left(&store, &[1], Some(ours)).await.expect("told");
        assert_eq!(codes(&damage), [(paths::keys(2), Code::Keys)]);
        assert_eq!((archive.fingerprint(), seqs(&archive).await.expect("readable")), (Some(ours), 1));
    });
}
