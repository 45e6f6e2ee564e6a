//! A crash at every single call to the store: what was acknowledged stays, nothing else is invented.

use futures::FutureExt as _;
use vmrewind_archive::{ArchiveError, Store};
use vmrewind_model::Record;
use vmrewind_testkit::store::{Fault, FaultyStore, How};

use crate::world::{self, Clock, commit, make, open, own, read_all, records};

/// Makes the archive, takes it over and commits three segments; notes what was acknowledged.
async fn life(store: &Store, clock: &Clock, acknowledged: &mut u64) -> Result<(), ArchiveError> {
    make(store).await?;
    let mut writer = own(store, 1, clock).await?;
    for size in [3, 1, 4] {
        *acknowledged = commit(&mut writer, size, clock).await?.get().last.0;
    }
    Ok(())
}

/// Lives on after a crash: makes the archive if there is none, takes over, and commits the rest.
async fn next_life(store: &Store, clock: &Clock) -> Result<Vec<Record>, ArchiveError> {
    match make(store).await {
        Ok(_) | Err(ArchiveError::AlreadyArchive { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut writer = own(store, 2, clock).await?;
    while writer.head().seq.0 < 10 {
        let size = (10 - writer.head().seq.0).min(2);
        commit(&mut writer, size, clock).await?;
    }
    let survey = open(store).await?.survey().await?;
    assert_eq!(survey.damage, []);
    read_all(store).await
}

/// Runs a life that fails at the `nth` call; false if it is over before that call.
fn crashes_at(nth: u64, how: &How) -> bool {
    let clock = Clock::default();
    let (faulty, store): (FaultyStore, Store) = world::faulty();
    faulty.fail(Fault::any(nth, how.clone()));
    let mut acknowledged = 0;
    // A lost answer never comes: dropping the future is the crash.
    let ended = life(&store, &clock, &mut acknowledged).now_or_never();
    let reached = faulty.calls().len() as u64 > nth;
    faulty.heal();
    let found = read_all(&store).now_or_never().expect("memory answers at once");
    let found = match (found, ended) {
        (Ok(found), _) => found,
        (Err(ArchiveError::NoArchive { .. }), Some(Err(_)) | None) => Vec::new(),
        (Err(error), _) => panic!("call {nth}: {error}"),
    };
    assert!(found.len() as u64 >= acknowledged, "call {nth}: {} of {acknowledged} are left", found.len());
    assert_eq!(found, records(1, found.len() as u64), "call {nth}");
    let all = next_life(&store, &clock).now_or_never().expect("memory answers at once");
    assert_eq!(all.unwrap_or_else(|error| panic!("call {nth}: {error}")), records(1, 10), "call {nth}");
    reached
}

#[test]
fn a_crash_at_any_call_loses_nothing_that_was_acknowledged_and_leaves_a_good_archive() {
    for how in [How::Before, How::After, How::LostAnswer] {
        let reached = (0..2000).take_while(|nth| crashes_at(*nth, &how)).count();
        assert!((150..2000).contains(&reached), "{how:?}: {reached} calls");
    }
}
