mod checked;
mod checkpoints;
mod crashes;
mod histories;
mod life;

use std::time::Duration;

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
        most_records: 1 << 20,
        most_windows: 1_000,
        windows_at_once: 5,
        checkpoint_level: lowest,
        least_history: 2_000,
        ends: Duration::from_secs(20_000),
        cut: Cut { member: 900, stored: 1, content: 2_000, part: 700 },
    }
}

async fn open(store: &Store) -> Archive {
    Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline)
}

/// Salts that never come twice.
fn salts() -> impl Fn() -> [u8; 16] + Sync {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    || u128::from(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).to_le_bytes()
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
    let (mut windows, mut parts, mut levels, mut checkpoints) = (0, 0, [0; 5], 0);
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
            checkpoints += found.manifest.checkpoints.len();
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
    assert!(checkpoints > 8, "{checkpoints}");
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
                let name = rolled.parts[rolled.parts.len() - 1].name();
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

#[test]
fn what_a_writer_passed_over_is_read_from_the_log_from_then_on_and_from_the_windows_before() {
    let check = async {
        let (mut before, mut behind) = (0, 0);
        for seed in 0..3 {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 40 + seed, 60).await;
            let lived = life.records.len() as u64;
            let sound = states(&open(&store).await.reading_the_log_only(), &moments(&life)).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let slot = life.slots / 2;
            life::damage(&store, slot).await;
            life.account_for(&store, slot).await;
            let moments = moments(&life);
            let archive = open(&store).await;
            let log = answers(&archive.clone().reading_the_log_only(), &moments).await;
            let rolled = answers(&archive, &moments).await;
            for (n, (at, state)) in moments.iter().zip(states(&archive, &moments).await).enumerate() {
                match state {
                    Ok(state) if state.0.0 <= lived => {
                        let known = sound.iter().flatten().find(|sound| sound.0 == state.0);
                        assert!(known.is_none_or(|known| *known == state), "seed {seed}: {at:?}");
                        before += usize::from(known.is_some());
                    }
                    _ => {
                        assert_eq!(rolled[n], log[n], "seed {seed}");
                        behind += 1;
                    }
                }
            }
        }
        assert!(before > 20 && behind > 5, "{before} {behind}");
    };
    check.now_or_never().expect("memory answers at once");
}

/// As [`answers`], but the last record and the objects only, of all objects.
async fn states(archive: &Archive, moments: &[At]) -> Vec<Result<(Seq, String), String>> {
    let mut all = Vec::new();
    for at in moments {
        let state = archive.state_at(*at, &|_| true, &Silent).await;
        let told = state.map(|state| (state.seq, format!("{:?}", state.objects)));
        all.push(told.map_err(|error| error.to_string()));
    }
    all
}

#[test]
fn a_lost_or_changed_bundle_is_made_anew_and_no_window_is_left_behind() {
    let check = async {
        let mut remade = 0;
        for (seed, lost) in [(0, true), (1, false), (2, true)] {
            let (store, twin) = (Store::in_memory(), Store::in_memory());
            let mut life = life::lived(&store, 60 + seed, 40).await;
            let mut same = life::lived(&twin, 60 + seed, 40).await;
            roll_up(&store, &small(1), now(&life)).await.expect("rolled up");
            roll_up(&twin, &small(1), now(&same)).await.expect("rolled up");
            let found = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
            for (n, rolled) in found.manifest.windows.iter().enumerate().skip(usize::try_from(seed).expect("small")) {
                let part = if n % 2 == 0 { &rolled.parts[0] } else { &rolled.parts[rolled.parts.len() - 1] };
                spoil(&store, &part.name(), lost).await;
            }
            life.live(&store, 60).await;
            same.live(&twin, 60).await;
            let done = roll_up(&store, &small(1), now(&life)).await.expect("maintained in spite of it");
            assert_eq!(done.damage, [], "seed {seed}");
            remade += done.remade;
            let sound = roll_up(&twin, &small(1), now(&same)).await.expect("rolled up");
            assert_eq!((done.standing, done.covered), (sound.standing, sound.covered), "seed {seed}");
            let again = roll_up(&store, &small(1), now(&life)).await.expect("nothing to do");
            assert_eq!((again.windows, again.manifest), (0, done.manifest), "seed {seed}");
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            assert_eq!(answers(&open(&store).await, &moments).await, log, "seed {seed}");
        }
        assert!(remade > 4, "{remade}");
    };
    check.now_or_never().expect("memory answers at once");
}

/// Takes an object away, or changes one of its bytes.
async fn spoil(store: &Store, name: &str, lost: bool) {
    let mut bytes = store.get(name, u64::MAX - 1).await.expect("readable").expect("there").to_vec();
    store.delete(name).await.expect("deleted");
    if !lost {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert!(store.settle(name, &bytes.into()).await.expect("written").is_none());
    }
}

#[test]
fn a_window_that_cannot_be_made_anew_is_named_and_everything_else_is_maintained() {
    let check = async {
        for part in [0, 1] {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 71, 40).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let found = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
            let last = found.manifest.windows.last().expect("a window");
            let name = last.parts[part.min(last.parts.len() - 1)].name();
            spoil(&store, &name, true).await;
            life::damage(&store, last.window.slots[0]).await;
            life.live(&store, 60).await;
            let done = roll_up(&store, &small(2), now(&life)).await.expect("maintained in spite of it");
            assert!(done.covered > last.window.slots[1] + 20, "{done:?}");
            assert!(done.remade == 0 && done.damage.iter().any(|damage| damage.object == name), "{done:?}");
            let again = roll_up(&store, &small(2), now(&life)).await.expect("nothing to do");
            assert_eq!((again.windows, again.manifest), (0, done.manifest));
            let moments = moments(&life);
            let passing = open(&store).await.passing_over_damage();
            let log_only = passing.clone().reading_the_log_only();
            assert_eq!(states(&passing, &moments).await, states(&log_only, &moments).await);
            // Behind an earlier moment, the manifest tells that nothing in the window reaches back to it: nothing is lost then.
            let inside = |at: &At| match at {
                At::Latest => true,
                At::Time(t) => *t >= last.window.times[0],
                At::Seq(seq) => *seq >= last.window.seqs.first,
            };
            let inside: Vec<At> = moments.into_iter().filter(inside).collect();
            assert_eq!(answers(&passing, &inside).await, answers(&log_only, &inside).await);
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_segment_that_is_put_back_is_rolled_up_and_what_is_behind_it_is_made_anew() {
    let check = async {
        let mut remade = 0;
        for seed in 0..10 {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 80 + seed, 60).await;
            let slot = life.slots / 2;
            let bytes = life::bytes(&store, slot).await;
            life::damage(&store, slot).await;
            let damaged = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            life::put_back(&store, slot, &bytes).await;
            life.live(&store, 5).await;
            let before = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &before).await;
            assert_eq!(answers(&open(&store).await, &before).await, log, "seed {seed}, before maintenance");
            let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            remade += done.remade;
            let again = roll_up(&store, &small(2), now(&life)).await.expect("nothing to do");
            assert_eq!((again.windows, again.bytes, again.manifest), (0, 0, done.manifest), "seed {seed}");
            let found = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
            assert!(found.manifest.windows.iter().all(|rolled| !rolled.stale), "seed {seed}");
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            assert_eq!(answers(&open(&store).await, &moments).await, log, "seed {seed}");
            checked::nothing_is_wrong(&store).await;
            // As it was after each manifest since then: nothing is deleted but these.
            for n in (damaged.manifest + 1..=done.manifest).rev() {
                assert_eq!(answers(&open(&store).await, &moments).await, log, "seed {seed}, manifest {n}");
                store.delete(&crate::paths::manifest(n)).await.expect("deleted");
            }
        }
        assert!(remade > 4, "{remade}");
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_writer_that_is_told_to_gets_behind_a_log_whose_end_was_cut_off() {
    let check = async {
        let store = Store::in_memory();
        let mut life = life::lived(&store, 5, 60).await;
        let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let lost = done.covered - 1..=done.covered + 1;
        for slot in done.covered - 1..=life.slots {
            store.delete(&crate::paths::segment(slot)).await.expect("deleted");
        }
        let archive = open(&store).await;
        assert!(archive.head().await.expect_err("segments were lost").to_string().contains("E_MISSING"));
        let timeline = archive.timeline().await.expect("readable");
        assert_eq!(
            timeline.damage.iter().filter_map(|damage| damage.segment).collect::<Vec<_>>(),
            Vec::from_iter(lost.clone())
        );
        let head = archive.head_behind_damage().await.expect("known as far as it can be");
        assert_eq!(head.segment, done.covered + 1, "of this one the manifest tells");
        life.go_on_behind(&store, &head, &Vec::from_iter(lost.clone())).await;
        let archive = open(&store).await;
        let moments = moments(&life);
        let log = answers(&archive.clone().reading_the_log_only(), &[At::Latest]).await;
        assert_eq!(answers(&archive, &[At::Latest]).await, log, "what the writer did not know counts no more");
        assert!(log[0].contains("Ok("), "it accounts for what was lost: {log:?}");
        let known = states(&archive, &moments).await.into_iter().filter(Result::is_ok).count();
        assert!(known > moments.len() / 2, "what was rolled up can be read");
        roll_up(&store, &small(2), now(&life)).await.expect("maintained");
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn whoever_comes_late_to_a_log_that_was_rolled_up_meanwhile_finds_it_taken() {
    let check = async {
        let store = Store::in_memory();
        let mut life = life::lived(&store, 6, 10).await;
        let late = open(&store).await;
        let head = late.head().await.expect("readable");
        life.live(&store, 50).await;
        roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let outcome = life::fence(&late, &head, 250, now(&life)).await.expect("an answer");
        assert!(matches!(outcome, crate::FenceOutcome::Taken(newer) if newer.segment == life.slots));
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn the_newest_of_thousands_of_manifests_is_found_also_behind_one_that_is_missing() {
    let check = async {
        let store = Store::in_memory();
        life::lived(&store, 1, 1).await;
        let archive = open(&store).await;
        for n in 1..=5_200 {
            let name = crate::paths::manifest(n);
            assert!(store.settle(&name, &bytes::Bytes::from_static(b"x")).await.expect("written").is_none());
            if [1, 999, 1_000, 1_001, 2_500, 5_200].contains(&n) {
                assert_eq!(manifest::listed(&archive).await.expect("listed"), n);
            }
        }
        for hole in [1, 1_001, 3_000, 5_199] {
            store.delete(&crate::paths::manifest(hole)).await.expect("deleted");
            assert_eq!(manifest::listed(&archive).await.expect("listed"), 5_200, "without {hole}");
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_segment_between_windows_that_does_not_fit_is_refused_as_the_log_refuses_it() {
    let check = async {
        for (seed, follows) in [(8, false), (9, true), (10, true), (11, false)] {
            let store = Store::in_memory();
            let life = life::lived(&store, seed, 60).await;
            let slot = life.slots / 2;
            let whole = life::bytes(&store, slot).await;
            life::damage(&store, slot).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            life::put_back(&store, slot, &whole).await;
            life::forge(&store, slot, follows).await;
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            assert_eq!(answers(&open(&store).await, &moments).await, log, "seed {seed}");
            let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            assert!(done.damage.iter().any(|damage| damage.segment == Some(slot)), "{done:?}");
            assert_eq!(answers(&open(&store).await, &moments).await, log, "seed {seed}");
            assert!(log.iter().any(|answer| answer.contains("Err(Damaged")), "seed {seed}");
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_log_of_more_windows_than_a_manifest_takes_is_rolled_up_all_the_same() {
    let check = async {
        for seed in [3, 4] {
            let (store, twin) = (Store::in_memory(), Store::in_memory());
            let life = life::lived(&store, seed, 150).await;
            life::lived(&twin, seed, 150).await;
            let free = roll_up(&twin, &small(1), now(&life)).await.expect("rolled up");
            let rules = Rules { most_windows: usize::try_from(free.standing).expect("small") + 2, ..small(1) };
            assert!(free.windows > 2 * rules.most_windows as u64, "it is a limit: {free:?}");
            let done = roll_up(&store, &rules, now(&life)).await.expect("rolled up");
            assert_eq!((done.covered, done.standing), (free.covered, free.standing), "seed {seed}");
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn where_the_log_ends_no_manifest_tells_alone() {
    let check = async {
        for more in [3, 4_000_000_000] {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 21, 60).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let mut found =
                manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest").manifest;
            found.windows.last_mut().expect("a window").window.slots[1] += more;
            let name = crate::paths::manifest(found.n);
            store.delete(&name).await.expect("deleted");
            let bytes = found.to_bytes(&found.archive.into()).expect("good by itself");
            assert!(store.settle(&name, &bytes).await.expect("written").is_none());
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            assert_eq!(answers(&open(&store).await, &moments).await, log);
            life.live(&store, 20).await;
            let archive = open(&store).await;
            assert_eq!(archive.head().await.expect("it goes on").segment, life.slots);
            assert_eq!(archive.timeline().await.expect("readable").damage, []);
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn what_a_manifest_alone_says_of_a_window_changes_no_answer_and_ends_no_maintenance() {
    let check = async {
        let changes: [fn(&mut manifest::Rolled); 5] = [
            |rolled| rolled.window.times[0] = rolled.window.times[1],
            |rolled| rolled.window.earliest = crate::format::bundle::Earliest::default(),
            |rolled| rolled.root = vmrewind_model::Digest([7; 32]),
            |rolled| rolled.window.level = 1,
            |rolled| rolled.parts[0].size += 1,
        ];
        let (mut named, mut windows) = (0, 0);
        for (n, change) in changes.into_iter().enumerate() {
            for seed in [2, 3, 4] {
                let store = Store::in_memory();
                let mut life = life::lived(&store, seed, 120).await;
                roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
                let found = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
                let mut lie = found.manifest;
                let which = usize::try_from(seed).expect("small") % lie.windows.len();
                windows += lie.windows.len();
                change(&mut lie.windows[which]);
                let (name, bytes) =
                    (crate::paths::manifest(lie.n), lie.to_bytes(&lie.archive.into()).expect("good by itself"));
                for n in 1..=lie.n {
                    store.delete(&crate::paths::manifest(n)).await.expect("deleted");
                }
                assert!(store.settle(&name, &bytes).await.expect("written").is_none());
                for on in [false, true] {
                    let moments = moments(&life);
                    let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
                    assert_eq!(answers(&open(&store).await, &moments).await, log, "change {n} of window {which}, {on}");
                    life.live(&store, 30).await;
                    let done = roll_up(&store, &small(2), now(&life)).await.expect("maintained");
                    named += usize::from(!done.damage.is_empty());
                }
            }
        }
        assert!(named > 0 && windows > 30, "what cannot be made anew is named: {named} in {windows}");
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_manifest_that_nobody_needs_may_be_damaged_or_lost() {
    let check = async {
        for lost in [true, false] {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 22, 60).await;
            let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let before = crate::paths::manifest(done.manifest - 1);
            spoil(&store, &before, true).await;
            if !lost {
                let unreadable = bytes::Bytes::from_static(b"{");
                assert!(store.settle(&before, &unreadable).await.expect("written").is_none());
            }
            let moments = moments(&life);
            let log = answers(&open(&store).await.reading_the_log_only(), &moments).await;
            assert_eq!(answers(&open(&store).await, &moments).await, log);
            life.live(&store, 30).await;
            let on = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            assert!(on.manifest > done.manifest && on.covered > done.covered, "{on:?}");
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn if_the_end_of_the_log_is_cut_off_reads_say_so_and_still_hold_what_was_rolled_up() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 5, 60).await;
        let done = roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let moments = moments(&life);
        let sound = states(&open(&store).await, &moments).await;
        for slot in done.covered / 2..=life.slots {
            store.delete(&crate::paths::segment(slot)).await.expect("deleted");
        }
        let mut same = 0;
        for (sound, now) in sound.iter().zip(states(&open(&store).await, &moments).await) {
            match now {
                Ok(now) => {
                    assert_eq!(Ok(now), *sound);
                    same += 1;
                }
                Err(error) => assert!(error.contains("E_MISSING") || sound.is_err(), "{error}"),
            }
        }
        assert!(same > moments.len() / 2, "what windows hold can be read: {same} of {}", moments.len());
        let error = open(&store).await.state_at(At::Latest, &|_| true, &Silent).await.expect_err("cut off");
        assert!(error.to_string().contains("E_MISSING"), "{error}");
        let passing = open(&store).await.passing_over_damage();
        let state = passing.state_at(At::Latest, &|_| true, &Silent).await.expect("told to go on");
        assert_eq!(state.damage.iter().map(|damage| damage.segment).collect::<Vec<_>>(), [Some(done.covered + 1)]);
        let found = manifest::newest(&passing).await.expect("readable").expect("a manifest");
        let last = found.manifest.windows.last().expect("a window");
        assert_eq!(state.seq, last.window.seqs.last, "all that was rolled up counts");
    };
    check.now_or_never().expect("memory answers at once");
}
