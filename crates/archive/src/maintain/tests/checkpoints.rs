//! Checkpoints: answers that begin with one are those of the log, whatever was lived, lost, passed over or put back.

use futures::FutureExt as _;
use vmrewind_model::{Change, ObjectOp, Record, Seq, Timestamp};

use super::{checked, life, life::Life, moments, now, open, roll_up, small, spoil};
use crate::{
    Archive, At, SegmentInput, Silent, Store,
    manifest::{self, Rolled},
    samples,
    verify::Depth,
};

async fn standing(store: &Store) -> (Vec<Rolled>, Vec<Rolled>) {
    let found = manifest::newest(&open(store).await).await.expect("readable").expect("a manifest");
    (found.manifest.windows, found.manifest.checkpoints)
}

/// What is there at each moment, how certain it is, and why not; without the damage that was met on the way.
async fn states(archive: &Archive, moments: &[At]) -> Vec<String> {
    let mut all = Vec::new();
    for at in moments {
        let state = archive.state_at(*at, &|_| true, &Silent).await.map(|state| {
            let doubts = state.doubtful().count();
            (state.seq, state.t, state.objects, state.proofs, state.late, state.gaps, doubts)
        });
        all.push(format!("{at:?}: {state:?}"));
    }
    all
}

/// Compares with the log wherever that has an answer; where it does not, since a segment is damaged, windows may have one.
async fn agree(store: &Store, life: &Life, about: &str) {
    agree_but_in(store, life, about, [Seq(0); 2]).await;
}

/// As [`agree`], but not at moments from one record on until another one, at which windows know what the log has lost.
async fn agree_but_in(store: &Store, life: &Life, about: &str, but: [Seq; 2]) {
    let seq_at = |at: &At| match at {
        At::Latest => Seq(u64::MAX),
        At::Time(t) => life.records.iter().rev().find(|record| record.t <= *t).map_or(Seq(0), |record| record.seq),
        At::Seq(seq) => *seq,
    };
    let compared = |at: &At| !(but[0]..but[1]).contains(&seq_at(at));
    let moments: Vec<At> = moments(life).into_iter().filter(compared).collect();
    let log = states(&open(store).await.reading_the_log_only(), &moments).await;
    let answered = log.iter().filter(|log| log.contains(": Ok(")).count();
    assert!(answered * 2 >= moments.len(), "{about}: the log answers for {answered} of {} moments", moments.len());
    for (log, rolled) in log.iter().zip(states(&open(store).await, &moments).await) {
        assert!(*log == rolled || log.contains(": Err(Damaged("), "{about}:\n{log}\n{rolled}");
    }
}

#[test]
fn an_answer_behind_a_checkpoint_needs_nothing_that_came_before_it() {
    let mut checkpoints = 0;
    for seed in 0..6 {
        let check = async {
            let store = Store::in_memory();
            let life = life::lived(&store, 300 + seed, 100).await;
            let everything = open(&store).await.reading_the_log_only();
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let (windows, points) = standing(&store).await;
            let Some(last) = points.last() else { return };
            let behind = |at: &At| match at {
                At::Latest => true,
                At::Time(t) => *t >= last.window.times[1],
                At::Seq(seq) => *seq >= last.window.seqs.last,
            };
            let moments: Vec<At> = moments(&life).into_iter().filter(behind).collect();
            // Of what comes later, only what counts from long before it needs more.
            let back = life.records.iter().any(|record| {
                record.seq > last.window.seqs.last && record.counts_from() < last.point.as_ref().expect("one").ends_from
            });
            if back || moments.len() < 2 {
                return;
            }
            let log = states(&everything, &moments).await;
            for rolled in windows.iter().filter(|rolled| rolled.window.slots[1] <= last.window.slots[1]) {
                for part in &rolled.parts {
                    store.delete(&part.name()).await.expect("deleted");
                }
            }
            for slot in 1..=last.window.slots[1] {
                life::damage(&store, slot).await;
            }
            assert_eq!(states(&open(&store).await, &moments).await, log, "seed {seed}");
            checkpoints += 1;
        };
        check.now_or_never().expect("memory answers at once");
    }
    assert!(checkpoints > 2, "{checkpoints}");
}

#[test]
fn a_lost_or_changed_checkpoint_is_passed_over_told_by_a_check_and_made_anew() {
    let check = async {
        for lost in [true, false] {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 311, 90).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let (_, points) = standing(&store).await;
            assert!(points.len() > 1, "{}", points.len());
            let last = points.last().expect("one");
            let name = last.parts.last().expect("one").name();
            spoil(&store, &name, lost).await;
            agree(&store, &life, "behind the checkpoint before").await;
            for point in &points {
                for part in &point.parts {
                    if part.name() != name {
                        spoil(&store, &part.name(), lost).await;
                    }
                }
            }
            agree(&store, &life, "without any checkpoint").await;
            let told = checked::wrong(&store, Depth::Data).await;
            assert_eq!(told.len(), points.iter().map(|point| point.parts.len()).sum::<usize>(), "{told:?}");
            assert!(told.iter().all(|(_, object)| object.starts_with("ckpt/")), "{told:?}");
            life.live(&store, 30).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let (_, later) = standing(&store).await;
            assert!(later.len() > 1 && later.iter().all(|point| !points.contains(point)), "all of them were lost");
            checked::nothing_is_wrong(&store).await;
            agree(&store, &life, "behind new checkpoints").await;
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn behind_damage_that_was_passed_over_there_are_no_checkpoints_and_answers_are_those_of_the_log() {
    let (mut made, mut refused) = (0, 0);
    for seed in 0..8 {
        let check = async {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 330 + seed, 50).await;
            let slot = life.slots - 10;
            if seed % 2 == 0 {
                // Rolled up before it was lost: windows and checkpoints hold more than the writer knew.
                roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            }
            let bytes = life::bytes(&store, slot).await;
            let told = Seq(life.records.len() as u64 + 1);
            // Windows know what reaches back from there as well.
            let but = if seed % 2 == 0 { [Seq(0), told] } else { [Seq(0); 2] };
            life::damage(&store, slot).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            let (_, before) = standing(&store).await;
            if seed % 2 == 1 {
                assert!(before.iter().all(|point| point.window.slots[1] < slot), "seed {seed}: nobody accounts for it");
            }
            life.account_for(&store, slot).await;
            agree_but_in(&store, &life, "accounted for", but).await;
            life.live(&store, 60).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            agree_but_in(&store, &life, "rolled up behind it", but).await;
            for depth in checked::DEPTHS {
                assert_eq!(checked::wrong(&store, depth).await, [], "seed {seed}, {depth:?}");
            }
            let (_, points) = standing(&store).await;
            assert!(points.iter().all(|point| before.contains(point) || point.window.slots[1] < slot), "seed {seed}");
            (made, refused) =
                (made + points.len(), refused + points.iter().filter(|at| at.window.slots[1] >= slot).count());
            life::put_back(&store, slot, &bytes).await;
            agree(&store, &life, "put back").await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            agree(&store, &life, "put back and rolled up").await;
        };
        check.now_or_never().expect("memory answers at once");
    }
    assert!(made > 8 && refused > 1, "{made} {refused}");
}

#[test]
fn what_is_left_of_a_damaged_segment_before_the_first_window_ends_no_maintenance() {
    for seed in 0..4 {
        let check = async {
            let store = Store::in_memory();
            let mut life = life::lived(&store, 400 + seed, 6).await;
            let name = crate::paths::segment(2);
            let mut bytes = life::bytes(&store, 2).await.to_vec();
            // In the public frame: all frames of lines are left.
            let at = bytes.len() - 384 - 20;
            bytes[at] ^= 1;
            store.delete(&name).await.expect("deleted");
            assert!(store.settle(&name, &bytes.into()).await.expect("written").is_none());
            life.account_for(&store, 2).await;
            life.live(&store, 80).await;
            roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
            agree(&store, &life, "behind what is left of the first").await;
            checked::nothing_is_wrong(&store).await;
        };
        check.now_or_never().expect("memory answers at once");
    }
}

#[test]
fn of_more_windows_than_are_read_at_once_a_checkpoint_of_the_first_is_made_first() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 420, 400).await;
        // Windows that never become longer ones, and a checkpoint only at the ends of days.
        let rules = super::Rules { most_records: 1, checkpoint_level: 2, least_history: 1 << 40, ..small(2) };
        roll_up(&store, &rules, now(&life)).await.expect("rolled up");
        let (windows, points) = standing(&store).await;
        assert!(windows.len() > 70 && points.is_empty(), "{} {}", windows.len(), points.len());
        let bytes: u64 = windows.iter().flat_map(|rolled| &rolled.parts).map(|part| part.size).sum();
        let rules = super::Rules { least_history: bytes / 10 * 9, ..rules };
        roll_up(&store, &rules, now(&life)).await.expect("maintained");
        let (_, points) = standing(&store).await;
        assert_eq!(points[0].window.slots[1], windows[63].window.slots[1]);
        agree(&store, &life, "with them").await;
        checked::nothing_is_wrong(&store).await;
    };
    check.now_or_never().expect("memory answers at once");
}

/// Commits one segment with these changes, each at its own instant.
async fn commit(store: &Store, seq: &mut u64, at: i64, changes: Vec<Change>) {
    let mut writer =
        life::own(store, u8::try_from(*seq % 200).expect("small") + 1, samples::t(at)).await.expect("owned");
    let mut records = Vec::new();
    for (n, change) in (1..).zip(changes) {
        *seq += 1;
        records.push(Record { t: samples::t(at + n), ..samples::record(*seq, change) });
    }
    let resume = vec![samples::resume("virtualmachines", *seq, at)];
    let input = SegmentInput { records, resume, complete: false };
    writer.commit(input, &|| samples::t(0)).await.expect("committed");
}

#[test]
fn a_state_that_counts_from_before_the_ends_of_a_checkpoint_is_not_answered_from_it() {
    const HOUR: i64 = 3_600_000_000;
    let check = async {
        let store = Store::in_memory();
        Life::begin(&store, 0).await;
        let mut seq = 0;
        let (one, two) = (|| samples::vm_key("one", "u1"), || samples::vm_key("two", "u2"));
        commit(&store, &mut seq, 1, vec![samples::set(ObjectOp::Added, two(), 1, None)]).await;
        let gone = Change::Deleted { key: one(), rv: None, object: None, inferred: true };
        commit(&store, &mut seq, HOUR, vec![samples::set(ObjectOp::Added, one(), 2, None), gone]).await;
        for hour in 2..80 {
            commit(
                &store,
                &mut seq,
                hour * HOUR,
                vec![samples::set(ObjectOp::Modified, two(), 10 + hour.cast_unsigned(), None)],
            )
            .await;
        }
        let rules = super::Rules { least_history: 1, ..small(2) };
        roll_up(&store, &rules, samples::t(80 * HOUR)).await.expect("rolled up");
        let (_, points) = standing(&store).await;
        let last = points.last().expect("a checkpoint");
        assert!(last.point.as_ref().expect("one").ends_from > Seq(10));
        // Fetched only now, but referred to since before it was deleted: it lies before what the checkpoint knows of ends.
        let fetched = samples::set(ObjectOp::Seen, one(), 2, Some(2));
        commit(&store, &mut seq, 90 * HOUR, vec![fetched]).await;
        let at = [At::Latest, At::Seq(Seq(seq - 1)), At::Time(last.window.times[1])];
        let log = states(&open(&store).await.reading_the_log_only(), &at).await;
        assert_eq!(states(&open(&store).await, &at).await, log);
        assert!(!log[0].contains("name: \"one\""), "it was deleted: {}", log[0]);
        // Another checkpoint is made from an older one, or from everything.
        for hour in 91..120 {
            commit(
                &store,
                &mut seq,
                hour * HOUR,
                vec![samples::set(ObjectOp::Modified, two(), 10 + hour.cast_unsigned(), None)],
            )
            .await;
        }
        roll_up(&store, &rules, samples::t(120 * HOUR)).await.expect("rolled up");
        let (_, later) = standing(&store).await;
        assert!(later.last().expect("one").window.seqs.last > last.window.seqs.last);
        let log = states(&open(&store).await.reading_the_log_only(), &at).await;
        assert_eq!(states(&open(&store).await, &at).await, log);
        checked::nothing_is_wrong(&store).await;
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn of_an_object_with_two_homes_no_checkpoint_is_made() {
    let check = async {
        let store = Store::in_memory();
        Life::begin(&store, 0).await;
        let mut seq = 0;
        let key = samples::vm_key("one", "u1");
        let moved = vmrewind_model::RecordKey { home: "elsewhere/two".into(), ..key.clone() };
        commit(&store, &mut seq, 1, vec![samples::set(ObjectOp::Added, key, 1, None)]).await;
        let gone = Change::Deleted { key: moved, rv: None, object: None, inferred: true };
        commit(&store, &mut seq, 1_000_000_000, vec![gone]).await;
        commit(&store, &mut seq, 400_000_000_000, vec![Change::Heartbeat]).await;
        let rules = super::Rules { least_history: 1, ..small(2) };
        let done = roll_up(&store, &rules, samples::t(500_000_000_000)).await.expect("rolled up");
        let (windows, points) = standing(&store).await;
        assert!(windows.last().expect("one").window.seqs.last >= Seq(2), "{windows:?}");
        assert!(points.iter().all(|point| point.window.seqs.last < Seq(2)), "{points:?}");
        let again = roll_up(&store, &rules, samples::t(500_000_000_000)).await.expect("nothing to do");
        assert_eq!((again.checkpoints, again.manifest), (0, done.manifest));
        let state = open(&store).await.state_at(At::Latest, &|_| true, &Silent).await.expect("readable");
        assert_eq!(state.objects.len(), 0);
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_checkpoint_that_does_not_say_what_the_log_comes_to_is_told() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 360, 90).await;
        roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let found = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
        let mut lie = found.manifest.clone();
        (lie.n, lie.prev) = (lie.n + 1, found.digest);
        // A checkpoint stands for a slot more than it was made from.
        let behind = |point: &Rolled| {
            lie.windows.iter().find(|rolled| rolled.window.slots[0] == point.window.slots[1] + 1).cloned()
        };
        let (mut last, next) = lie
            .checkpoints
            .iter()
            .find_map(|point| Some((point.clone(), behind(point)?)))
            .expect("one ends with a window");
        last.window.slots[1] = next.window.slots[1];
        last.window.seqs.last = next.window.seqs.last;
        last.window.times[1] = next.window.times[1];
        last.window.head = next.window.head;
        lie.checkpoints = vec![last];
        for n in 1..=found.manifest.n {
            store.delete(&crate::paths::manifest(n)).await.expect("deleted");
        }
        let bytes = lie.to_bytes(&lie.archive.into()).expect("good by itself");
        assert!(store.settle(&crate::paths::manifest(lie.n), &bytes).await.expect("written").is_none());
        agree(&store, &life, "it is not what its parts say").await;
        for depth in checked::DEPTHS {
            let told = checked::wrong(&store, depth).await;
            let of_it = told.iter().filter(|(_, object)| object.starts_with("ckpt/")).count();
            assert!(of_it > 0 && told.iter().filter(|(code, _)| code == "E_COUNT").count() == of_it, "{told:?}");
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_checkpoint_is_never_of_an_instant_before_its_own_records() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 370, 80).await;
        roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let (_, points) = standing(&store).await;
        let times: Vec<Timestamp> = points.iter().map(|point| point.window.times[1]).collect();
        let around = times.iter().flat_map(|t| [t.micros() - 1, t.micros(), t.micros() + 1]);
        let mut at: Vec<At> = around.map(|t| At::Time(Timestamp::from_micros(t).expect("in range"))).collect();
        let seqs = points.iter().flat_map(|point| [point.window.seqs.last.0 - 1, point.window.seqs.last.0]);
        at.extend(seqs.map(|seq| At::Seq(Seq(seq))));
        let log = states(&open(&store).await.reading_the_log_only(), &at).await;
        assert_eq!(states(&open(&store).await, &at).await, log);
        assert!(points.len() > 2, "{}", points.len());
    };
    check.now_or_never().expect("memory answers at once");
}
