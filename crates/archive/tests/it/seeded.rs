//! Writers under failures that a seed draws: lost answers, errors before and after the effect, timeouts, refusals, torn reads,
//! lists that lack the newest names; in virtual time.

use std::collections::BTreeSet;

use tokio::time::Instant;
use vmrewind_archive::{
    ArchiveError, Cpu, ErrorKind, Fence, FenceOutcome, Patience, SegmentInput, Store, StoreKind, Writer,
};
use vmrewind_model::{Era, Record, Seq, Timestamp};
use vmrewind_testkit::store::{FaultyStore, Script};

use crate::world::{self, make, open, read_all, state, t, vm};

/// How many lives are lived; each from a seed of its own.
const SEEDS: u64 = 200;
/// How many steps a life has.
const STEPS: u64 = 40;

/// What one writer is about to hear.
#[derive(Default)]
struct Seat {
    writer: Option<Writer>,
    pending: Vec<Record>,
}

/// What happened in a life.
#[derive(Debug, Default, PartialEq)]
struct Life {
    sent: Vec<Record>,
    acknowledged: Vec<Record>,
    troubles: u32,
    ends: u32,
}

/// Becomes the owner, or finds out why not.
async fn start(store: &Store, nonce: u8, now: &(dyn Fn() -> Timestamp + Sync)) -> Result<Option<Writer>, ArchiveError> {
    match make(store).await {
        Ok(_) | Err(ArchiveError::AlreadyArchive { .. }) => {}
        Err(error) => return Err(error),
    }
    let archive = open(store).await?;
    let head = archive.head().await?;
    let fence = Fence { nonce: [nonce; 16], software: "test 1".into(), t: now(), resume: Vec::new() };
    match Writer::fence(&archive, &head, fence, Cpu::Inline, now).await? {
        FenceOutcome::Owner(writer) => Ok(Some(writer)),
        FenceOutcome::Taken(_) => Ok(None),
    }
}

/// Takes one step in a seat: opens, commits, or finishes what is pending.
async fn step(
    seat: &mut Seat,
    life: &mut Life,
    store: &Store,
    (step, size): (u64, u64),
    now: &(dyn Fn() -> Timestamp + Sync),
) {
    let Some(writer) = &mut seat.writer else {
        match start(store, u8::try_from(step + 1).expect("few steps"), now).await {
            Ok(writer) => seat.writer = writer,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                life.troubles += 1;
            }
        }
        return;
    };
    let result = if writer.pending().is_some() {
        writer.resume_commit(now).await
    } else {
        let head = writer.head().clone();
        let first = head.t.max(now());
        let micros = std::time::Duration::from_micros;
        let record = |n: u64| Record {
            seq: Seq(head.seq.0 + n),
            t: first.plus(micros(n)),
            lo: None,
            era: Era(1),
            change: state(&vm(&format!("{step}-{n}")), 1),
        };
        seat.pending = (1..=size).map(record).collect();
        life.sent.extend(seat.pending.clone());
        let input = SegmentInput { records: seat.pending.clone(), resume: Vec::new(), complete: false };
        writer.commit(input, now).await
    };
    match result {
        Ok(durable) => {
            assert_eq!(durable.get().last, seat.pending.last().expect("some").seq);
            life.acknowledged.append(&mut seat.pending);
        }
        Err(error) if error.ends_writer() => {
            let clear = matches!(error, ArchiveError::Fenced { .. } | ArchiveError::Stalled { .. });
            assert!(clear, "no script forks a log: {error:?}");
            life.ends += 1;
            *seat = Seat::default();
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            assert!(writer.pending().is_some(), "it can be finished later");
            life.troubles += 1;
        }
    }
}

/// Two writers that do not know of each other, on a store that fails; then the store is well, and a third goes on.
async fn live(seed: u64) -> Life {
    let begun = Instant::now();
    let now = || t(i64::try_from(begun.elapsed().as_micros()).expect("a short life"));
    let mut dice = Script::new(!seed);
    let faulty = FaultyStore::new(std::sync::Arc::new(object_store::memory::InMemory::new()));
    let inner = faulty.clone().listing_late(usize::try_from(dice.draw(6)).expect("small"));
    let store = Store::from_parts(std::sync::Arc::new(inner), StoreKind::Remote).with_patience(Patience::SERVICE);
    faulty.follow(Script::new(seed).one_in(2 + dice.draw(8)));
    let (mut life, mut seats) = (Life::default(), [Seat::default(), Seat::default()]);
    for n in 0..STEPS {
        let seat = usize::from(dice.draw(7) == 0);
        step(&mut seats[seat], &mut life, &store, (n, 1 + dice.draw(4)), &now).await;
    }
    drop(seats);
    faulty.heal();
    let mut seat = Seat::default();
    for n in STEPS..STEPS + 3 {
        step(&mut seat, &mut life, &store, (n, 2), &now).await;
    }
    let found = read_all(&store).await.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    for (n, record) in (1..).zip(&found) {
        assert_eq!(record.seq, Seq(n), "seed {seed}: no holes");
        assert!(life.sent.contains(record), "seed {seed}: {record:?} was never sent");
    }
    for record in &life.acknowledged {
        let index = usize::try_from(record.seq.0 - 1).expect("small");
        assert_eq!(found.get(index), Some(record), "seed {seed}: acknowledged and lost");
    }
    let names: BTreeSet<_> =
        found.iter().filter_map(|record| record.change.key()).map(|key| &key.object.name).collect();
    assert_eq!(names.len(), found.len(), "seed {seed}: something is there twice");
    assert_eq!(life.acknowledged.last(), found.last(), "seed {seed}: the writer after all that goes on");
    let survey = world::open(&store).await.expect("opened").survey().await.expect("a survey");
    assert_eq!(survey.damage, [], "seed {seed}");
    life
}

fn lived(seed: u64) -> Life {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(live(seed))
}

#[test]
fn under_any_script_nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let (mut acknowledged, mut unacknowledged, mut troubles, mut ends) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let life = lived(seed);
        acknowledged += life.acknowledged.len();
        unacknowledged += life.sent.len() - life.acknowledged.len();
        troubles += life.troubles;
        ends += life.ends;
    }
    // What is claimed above was put to the test.
    let seen = format!("{acknowledged} acknowledged, {unacknowledged} not, {troubles} troubles, {ends} ends");
    assert!(acknowledged > 5_000 && unacknowledged > 200 && troubles > 200 && ends > 100, "{seen}");
    println!("{seen}");
}

#[test]
fn the_same_seed_lives_the_same_life() {
    assert_eq!(lived(7), lived(7));
    assert_ne!(lived(7), lived(8));
}
