use object_store::{ObjectStoreExt as _, memory::InMemory};

use std::time::Duration;

use super::*;

fn store() -> FaultyStore {
    FaultyStore::new(Arc::new(InMemory::new()))
}

#[tokio::test]
async fn fails_only_the_call_that_is_due_and_only_once() {
    let store = store();
    store.fail(Fault::on(Call::Put, 1, How::Before).below("a"));
    let put = async |name: &str| store.put(&Path::from(name), "x".into()).await.is_ok();
    assert!(put("a/1").await && put("b/1").await);
    assert!(!put("a/2").await);
    assert!(put("a/2").await);
    assert_eq!(store.calls().len(), 4);
}

#[tokio::test]
async fn a_put_that_fails_after_or_in_the_middle_leaves_what_it_says() {
    let store = store();
    store.fail(Fault::any(0, How::After));
    assert!(store.put(&Path::from("after"), "whole".into()).await.is_err());
    store.fail(Fault::any(0, How::Torn(2)));
    assert!(store.put(&Path::from("torn"), "whole".into()).await.is_err());
    let read = async |name: &str| store.get(&Path::from(name)).await.expect("there").bytes().await.expect("whole");
    assert_eq!(read("after").await, "whole");
    assert_eq!(read("torn").await, "wh");
}

#[tokio::test]
async fn a_rival_wins_the_race_for_a_name() {
    let store = store();
    store.fail(Fault::on(Call::Put, 0, How::Race("theirs".into())));
    let put = store.put_opts(&Path::from("a"), "ours".into(), PutMode::Create.into()).await;
    assert!(matches!(put, Err(Error::AlreadyExists { .. })));
}

#[tokio::test]
async fn a_list_can_lag_behind() {
    let store = store();
    for name in ["a", "b"] {
        store.put(&Path::from(name), "x".into()).await.expect("stored");
    }
    store.fail(Fault::on(Call::List, 0, How::Torn(1)));
    let count = async || store.list(None).try_collect::<Vec<_>>().await.expect("listed").len();
    assert_eq!(count().await, 1);
    assert_eq!(count().await, 2);
}

#[tokio::test]
async fn a_status_becomes_the_error_that_the_client_library_makes_of_it() {
    let store = store();
    let put = async |code| {
        store.fail(Fault::on(Call::Put, 0, How::Status(code)));
        store.put(&Path::from("a"), "x".into()).await.expect_err("it fails")
    };
    assert!(matches!(put(403).await, Error::PermissionDenied { .. }));
    assert!(matches!(put(409).await, Error::AlreadyExists { .. }));
    assert!(matches!(put(412).await, Error::Precondition { .. }));
    assert!(matches!(put(503).await, Error::Generic { .. }));
    assert!(matches!(store.get(&Path::from("a")).await, Err(Error::NotFound { .. })), "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_takes_its_time_and_is_done_or_not() {
    let store = store();
    let begun = tokio::time::Instant::now();
    for (name, done) in [("done", true), ("not", false)] {
        store.fail(Fault::on(Call::Put, 0, How::TimedOut { done, after: Duration::from_secs(30) }));
        assert!(store.put(&Path::from(name), "x".into()).await.is_err());
        assert_eq!(store.get(&Path::from(name)).await.is_ok(), done);
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
}

#[tokio::test]
async fn a_store_that_ignores_ranges_says_what_it_returns() {
    let store = store().ignoring_ranges();
    store.put(&Path::from("a"), "whole".into()).await.expect("stored");
    let options = GetOptions { range: Some(object_store::GetRange::Bounded(1..3)), ..GetOptions::default() };
    let result = store.get_opts(&Path::from("a"), options).await.expect("there");
    assert_eq!(result.range, 0..5);
    assert_eq!(result.bytes().await.expect("whole"), "whole");
}

#[tokio::test]
async fn a_store_that_lists_late_hides_the_newest_names_for_a_while() {
    let store = store().listing_late(3);
    let names = async || store.list(None).try_collect::<Vec<_>>().await.expect("listed").len();
    store.put(&Path::from("a"), "x".into()).await.expect("stored");
    store.put(&Path::from("b"), "x".into()).await.expect("stored");
    let seen = [names().await, names().await, names().await];
    assert_eq!(seen, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_script_is_the_same_for_the_same_seed_and_another_for_another() {
    let run = async |seed| {
        let store = store();
        store.follow(Script::new(seed).one_in(3));
        let mut outcomes = Vec::new();
        for n in 0..60_u32 {
            let name = Path::from(format!("{}", n / 2));
            let put = tokio::time::timeout(Duration::from_secs(600), store.put(&name, "x".into())).await;
            let get = tokio::time::timeout(Duration::from_secs(600), store.get(&name)).await;
            outcomes.push((put.map(|put| put.is_ok()).ok(), get.map(|get| get.is_ok()).ok()));
        }
        outcomes
    };
    let (one, again, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    let failed = one.iter().filter(|(put, _)| *put != Some(true)).count();
    assert!((5..40).contains(&failed), "{failed} of 60 puts failed");
}
