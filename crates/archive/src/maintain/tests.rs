mod checked;
mod crashes;
mod life;

use futures::FutureExt as _;
use vmrewind_model::{Seq, Timestamp};

use super::{Cut, Door, Maintained, Rules, maintain};
use crate::{Archive, At, Cpu, Silent, Store, manifest};
use life::Life;

/// Rules that cut small, so that few records already make several members, frames, parts, windows and manifests.
fn small(lowest: u16) -> Rules {
    Rules {
        software: "test 1".into(),
        lowest,
        most_raw: 6_000,
        windows_at_once: 5,
        cut: Cut { member: 900, stored: 1, content: 2_000, part: 700 },
    }
}

async fn open(store: &Store) -> Archive {
    Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline)
}

/// Salts that never come twice.
fn salts() -> impl Fn() -> [u8; 16] + Sync {
    let next = std::sync::atomic::AtomicU64::new(0);
    move || {
        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        u128::from(n).to_le_bytes()
    }
}

async fn roll_up(store: &Store, rules: &Rules, now: Timestamp) -> Result<Maintained, crate::ArchiveError> {
    let salt = salts();
    let archive = Archive::open(store.clone()).await?.with_cpu(Cpu::Inline);
    maintain(&archive, rules, Door { now: &|| now, salt: &salt }).await
}

/// Moments from before the first record to behind the last one, most of them around records.
fn moments(life: &Life) -> Vec<At> {
    const ABOUT: usize = 36;
    let mut all = vec![At::Latest, At::Seq(Seq(0)), At::Seq(Seq(life.records.len() as u64 + 1))];
    for (n, record) in life.records.iter().enumerate().step_by(life.records.len() / ABOUT + 1) {
        let instant = |micros| At::Time(Timestamp::from_micros(micros).expect("in range"));
        let micros = record.t.micros();
        all.push(match n % 5 {
            0 => At::Seq(record.seq),
            1 => instant(micros),
            2 => instant(micros - 1),
            3 => instant(micros + 40_000_000),
            _ => instant(micros - 2_000_000_000),
        });
    }
    all
}

/// What the archive answers for each moment: of all objects, or of some.
async fn answers(archive: &Archive, moments: &[At]) -> Vec<String> {
    let mut all = Vec::new();
    for (n, at) in moments.iter().enumerate() {
        let filter = move |key: &vmrewind_model::RecordKey| n % 3 > 0 || key.object.name != "b";
        all.push(format!("{at:?}: {:?}", archive.state_at(*at, &filter, &Silent).await));
    }
    all
}

fn now(life: &Life) -> Timestamp {
    life.records.last().map_or(Timestamp::MIN, |record| record.t)
}

#[test]
fn what_was_rolled_up_answers_as_the_log_does_at_every_moment() {
    let (mut windows, mut parts, mut levels) = (0, 0, [0; 5]);
    for seed in 0..8 {
        let store = Store::in_memory();
        let life = life::lived(&store, seed, 120).now_or_never().expect("memory answers at once");
        let moments = moments(&life);
        let check = async {
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            let rules = small(1 + u16::try_from(seed % 2).expect("small"));
            let done = roll_up(&store, &rules, now(&life)).await.expect("rolled up");
            assert!(done.covered > done.all / 2, "seed {seed}: {done:?}");
            let archive = open(&store).await;
            for (log, rolled) in log.iter().zip(answers(&archive, &moments).await) {
                assert_eq!(*log, rolled, "seed {seed}");
            }
            let found = manifest::newest(&archive).await.expect("readable").expect("a manifest");
            for rolled in &found.manifest.windows {
                windows += 1;
                parts += rolled.parts.len();
                levels[usize::from(rolled.window.level)] += 1;
            }
            let again = roll_up(&store, &rules, now(&life)).await.expect("nothing to do");
            assert_eq!((again.windows, again.manifest), (0, done.manifest), "seed {seed}");
        };
        check.now_or_never().expect("memory answers at once");
    }
    // What is claimed above was put to the test.
    assert!(parts > windows && levels[2] > 0 && levels[3] > 0 && levels[4] > 0, "{windows} {parts} {levels:?}");
}

#[test]
fn a_damaged_segment_is_left_in_the_log_and_what_is_around_it_is_rolled_up() {
    for seed in 0..4 {
        let store = Store::in_memory();
        let check = async {
            let life = life::lived(&store, 100 + seed, 100).await;
            let slot = life.slots / 3 + seed;
            life::damage(&store, slot).await;
            let moments = moments(&life);
            let passing = || async { open(&store).await.passing_over_damage() };
            let log = answers(&passing().await.reading_the_log_only(), &moments).await;
            let strict = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            assert_eq!(done.damage.iter().filter_map(|damage| damage.segment).collect::<Vec<_>>(), [slot]);
            for (log, rolled) in log.iter().zip(answers(&passing().await, &moments).await) {
                assert_eq!(*log, rolled, "seed {seed}");
            }
            for (log, rolled) in strict.iter().zip(answers(&open(&store).await, &moments).await) {
                assert_eq!(*log, rolled, "seed {seed}");
            }
        };
        check.now_or_never().expect("memory answers at once");
    }
}

#[test]
fn a_bundle_that_is_lost_or_changed_is_passed_over_and_its_segments_are_read() {
    let check = async {
        for lost in [true, false] {
            let store = Store::in_memory();
            let life = life::lived(&store, 7, 100).await;
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let archive = open(&store).await;
            let found = manifest::newest(&archive).await.expect("readable").expect("a manifest");
            for rolled in &found.manifest.windows {
                let name = crate::paths::bundle(&rolled.parts[rolled.parts.len() - 1].digest);
                let mut bytes = store.get(&name, u64::MAX - 1).await.expect("readable").expect("there").to_vec();
                store.delete(&name).await.expect("deleted");
                if !lost {
                    bytes[500] ^= 1;
                    assert!(store.settle(&name, &bytes.into()).await.expect("written").is_none());
                }
            }
            assert_eq!(answers(&archive, &moments).await, log);
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn the_maintainer_goes_on_where_it_ended_as_the_log_grows() {
    let check = async {
        let store = Store::in_memory();
        let mut life = Life::begin(&store, 3).await;
        let mut covered = 0;
        for _ in 0..6 {
            life.live(&store, 20).await;
            let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            assert!(done.covered >= covered, "{done:?}");
            covered = done.covered;
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            assert_eq!(answers(&open(&store).await, &moments).await, log);
        }
        assert!(covered > 60, "{covered}");
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_writer_stops_if_the_log_ends_before_what_was_rolled_up_of_it() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 5, 60).await;
        let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        for slot in done.covered - 1..=life.slots {
            store.delete(&crate::paths::segment(slot)).await.expect("deleted");
        }
        let error = life::own(&store, 200, now(&life)).await.expect_err("segments were lost");
        assert!(error.to_string().contains("E_MISSING"), "{error}");
    };
    check.now_or_never().expect("memory answers at once");
}
