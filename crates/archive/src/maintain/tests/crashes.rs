//! A stop at every single call to the store.

use std::sync::Arc;

use futures::FutureExt as _;
use object_store::{ObjectStore, memory::InMemory};
use vmrewind_testkit::store::{Fault, FaultyStore, How};

use super::{answers, life, moments, now, open, roll_up, small};
use crate::{At, Store, StoreKind, manifest};

/// Copies all objects.
async fn copy(from: &dyn ObjectStore) -> Arc<InMemory> {
    use futures::TryStreamExt as _;
    use object_store::ObjectStoreExt as _;
    let to = InMemory::new();
    let all: Vec<_> = from.list(None).try_collect().await.expect("listed");
    for meta in all {
        let bytes = from.get(&meta.location).await.expect("there").bytes().await.expect("read");
        to.put(&meta.location, bytes.into()).await.expect("put");
    }
    Arc::new(to)
}

#[test]
fn a_maintainer_that_is_stopped_at_any_call_leaves_an_archive_that_answers_as_before_and_the_next_one_goes_on() {
    let check = async {
        let inner = Arc::new(InMemory::new());
        let plain = Store::from_parts(inner.clone(), StoreKind::Remote);
        let life = life::lived(&plain, 11, 40).await;
        let moments: Vec<At> = moments(&life).into_iter().step_by(7).collect();
        let expected = answers(&open(&plain).await.reading_the_log_only(), &moments).await;
        for how in [How::Before, How::After, How::LostAnswer] {
            let mut reached = 0;
            for nth in 0..5_000 {
                let copy = copy(&*inner).await;
                let faulty = FaultyStore::new(copy);
                let store = Store::from_parts(Arc::new(faulty.clone()), StoreKind::Remote);
                // A lost answer never comes: dropping the future is the stop.
                faulty.fail(Fault::any(nth, how.clone()));
                let ended = roll_up(&store, &small(1), now(&life)).now_or_never();
                let over = faulty.calls().len() as u64 <= nth;
                faulty.heal();
                assert_eq!(answers(&open(&store).await, &moments).await, expected, "call {nth} {how:?}: {ended:?}");
                let done = roll_up(&store, &small(1), now(&life)).await.expect("goes on");
                assert!(done.covered > 0, "call {nth} {how:?}");
                if nth % 10 == 0 {
                    assert_eq!(answers(&open(&store).await, &moments).await, expected, "call {nth} {how:?}, then on");
                }
                if over {
                    reached = nth;
                    break;
                }
            }
            assert!(reached > 100, "{how:?}: only {reached} calls");
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn a_repair_that_is_stopped_at_any_call_leaves_an_archive_that_answers_as_before_and_the_next_run_ends_it() {
    let check = async {
        let inner = Arc::new(InMemory::new());
        let plain = Store::from_parts(inner.clone(), StoreKind::Remote);
        let mut life = life::lived(&plain, 13, 30).await;
        let slot = life.slots / 3;
        let whole = life::bytes(&plain, slot).await;
        life::damage(&plain, slot).await;
        roll_up(&plain, &small(1), now(&life)).await.expect("rolled up");
        life::put_back(&plain, slot, &whole).await;
        let found = manifest::newest(&open(&plain).await).await.expect("readable").expect("a manifest");
        let last = found.manifest.windows.last().expect("a window");
        plain.delete(&last.parts[0].name()).await.expect("deleted");
        life.live(&plain, 10).await;
        let moments: Vec<At> = moments(&life).into_iter().step_by(7).collect();
        let expected = answers(&open(&plain).await.reading_the_log_only(), &moments).await;
        let mut reached = 0;
        for nth in 0..5_000 {
            let copy = copy(&*inner).await;
            let faulty = FaultyStore::new(copy);
            let store = Store::from_parts(Arc::new(faulty.clone()), StoreKind::Remote);
            faulty.fail(Fault::any(nth, How::After));
            let ended = roll_up(&store, &small(1), now(&life)).now_or_never();
            let over = faulty.calls().len() as u64 <= nth;
            faulty.heal();
            assert_eq!(answers(&open(&store).await, &moments).await, expected, "call {nth}: {ended:?}");
            let done = roll_up(&store, &small(1), now(&life)).await.expect("goes on");
            let mended = manifest::newest(&open(&store).await).await.expect("readable").expect("a manifest");
            assert!(mended.manifest.windows.iter().all(|rolled| !rolled.stale) && done.damage.is_empty(), "call {nth}");
            assert_eq!(answers(&open(&store).await, &moments).await, expected, "call {nth}, then on");
            if over {
                reached = nth;
                break;
            }
        }
        assert!(reached > 50, "only {reached} calls");
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn of_two_maintainers_at_once_one_works_for_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::in_memory();
        let life = life::lived(&store, 12, 80).await;
        let moments = moments(&life);
        let expected = answers(&open(&store).await.reading_the_log_only(), &moments).await;
        let rules = small(2);
        let (one, other) = futures::join!(roll_up(&store, &rules, now(&life)), roll_up(&store, &rules, now(&life)));
        let (one, other) = (one.expect("done"), other.expect("done"));
        assert_eq!((one.covered, one.standing), (other.covered, other.standing));
        assert_eq!(answers(&open(&store).await, &moments).await, expected);
    });
}
