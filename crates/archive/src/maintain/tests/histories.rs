//! Histories: out of windows they are those of the log, in its order.

use std::collections::BTreeSet;

use futures::{FutureExt as _, StreamExt as _};
use vmrewind_model::{ObjectKey, Record, RecordKey, Seq};

use super::{life, life::Life, now, open, roll_up, small, spoil};
use crate::{Archive, SeqRange, Store, Told, manifest};

/// Some objects: two that live, and one that nobody ever saw.
fn some() -> BTreeSet<ObjectKey> {
    let key = |kind, name| ObjectKey::new("", kind, "prod", name);
    BTreeSet::from([key("VirtualMachine", "a"), key("Secret", "d/e"), key("Pod", "never")])
}

/// What is told of some ranges: of everything, of what passes a test, and of some objects.
async fn told(archive: &Archive, life: &Life) -> Vec<String> {
    let last = life.records.len() as u64;
    let ranges = [
        (0, u64::MAX),
        (1, last / 3),
        (last / 3, last / 3),
        (last / 2, last - 1),
        (last, u64::MAX),
        (last + 1, last + 9),
    ];
    let filter = |key: &RecordKey| key.object.name != "b";
    let (mut all, some) = (Vec::new(), some());
    for (first, last) in ranges {
        let range = SeqRange::new(Seq(first), Seq(last));
        let records: Vec<_> = archive.records(range).collect().await;
        let told: Vec<_> = archive.told(&filter, range).collect().await;
        let of: Vec<_> = archive.told_of(&some, range).collect().await;
        all.push(format!("{first} to {last}: {records:?}"));
        all.push(format!("{first} to {last}, tested: {told:?}"));
        all.push(format!("{first} to {last}, some: {of:?}"));
    }
    all
}

async fn agree(store: &Store, life: &Life, about: &str) {
    let log = told(&open(store).await.reading_the_log_only(), life).await;
    for (log, rolled) in log.iter().zip(told(&open(store).await, life).await) {
        assert_eq!(*log, rolled, "{about}");
    }
}

#[test]
fn the_history_that_was_rolled_up_is_that_of_the_log_in_its_order() {
    for seed in 0..6 {
        let check = async {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 400 + seed, 80).await;
            if seed == 5 {
                life::damage(&store, life.slots / 2).await;
            }
            roll_up(&store, &small(1 + u16::try_from(seed % 2).expect("small")), now(&life)).await.expect("rolled up");
            agree(&store, &life, "all of it is rolled up").await;
            life.live(&store, 15).await;
            agree(&store, &life, "the end is not").await;
            if seed != 5 {
                let records: Vec<Record> =
                    open(&store).await.records(SeqRange::ALL).map(|record| record.expect("readable")).collect().await;
                assert_eq!(records, life.records, "seed {seed}");
            }
        };
        check.now_or_never().expect("memory answers at once");
    }
}

#[test]
fn a_history_goes_on_through_a_lost_bundle_and_tells_of_a_lost_manifest() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 410, 80).await;
        roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let found = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
        let middle = &found.manifest.windows[found.manifest.windows.len() / 2];
        spoil(&store, &middle.parts.last().expect("one").name(), true).await;
        agree(&store, &life, "a bundle is lost").await;
        spoil(&store, &crate::paths::manifest(found.manifest.n), false).await;
        let archive = open(&store).await;
        let told: Vec<_> = archive.told(&|_| true, SeqRange::ALL).map(|told| told.expect("readable")).collect().await;
        assert!(matches!(&told[0], Told::Damage(damage) if damage.object.starts_with("man/")), "{:?}", told[0]);
        assert_eq!(told.len(), life.records.len() + 1, "and the log");
        let strict: Vec<_> = archive.records(SeqRange::ALL).collect().await;
        assert!(strict.len() == 1 && strict[0].is_err(), "{strict:?}");
        let passing = archive.passing_over_damage();
        assert_eq!(passing.records(SeqRange::ALL).count().await, life.records.len());
    };
    check.now_or_never().expect("memory answers at once");
}
