//! Finding the head, and opening stores by URL.

use vmrewind_archive::{ArchiveUrl, Store, StoreKind};
use vmrewind_testkit::store::{Call, Fault, How};

use crate::world::{Clock, commit, lived, open, own};

#[tokio::test]
async fn the_head_is_found_however_many_segments_there_are_and_however_far_a_list_lags() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    for _ in 0..40 {
        let before = faulty.calls().len();
        faulty.fail(Fault::on(Call::List, 1, How::Torn(usize::MAX)));
        let archive = open(&store).await.expect("opened");
        assert_eq!(&archive.head().await.expect("a head"), writer.head());
        let asked = faulty.calls()[before..].iter().filter(|(call, _)| *call == Call::Head).count();
        assert!(asked <= 14, "{asked} requests for {} segments", writer.head().segment);
        commit(&mut writer, 1, &clock).await.expect("committed");
    }
}

#[tokio::test]
async fn an_open_archive_follows_the_head_from_where_it_was() {
    let clock = Clock::default();
    let (faulty, store, mut writer) = lived(&clock).await;
    let archive = open(&store).await.expect("opened");
    archive.head().await.expect("a head");
    commit(&mut writer, 1, &clock).await.expect("committed");
    let before = faulty.calls().len();
    assert_eq!(&archive.head().await.expect("a head"), writer.head());
    let asked = faulty.calls()[before..].iter().filter(|(call, _)| *call == Call::Head).count();
    assert!(asked <= 3, "{asked} requests");
}

#[tokio::test]
async fn a_fence_whose_clock_is_behind_is_raised_to_the_head() {
    let clock = Clock::default();
    let (_, store, writer) = lived(&clock).await;
    let next = own(&store, 2, &clock).await.expect("owned");
    assert!(clock.now() < writer.head().t);
    assert_eq!(next.head().t, writer.head().t);
}

#[test]
fn opens_the_stores_of_every_cloud_without_a_request() {
    // The binaries do this in main(); another test may have been faster.
    drop(rustls::crypto::ring::default_provider().install_default());
    for text in [
        "s3://bucket/prefix?allow_http=true&endpoint=http://127.0.0.1:1&region=here",
        "gs://bucket/prefix",
        "az://container/prefix?allow_http=true&endpoint=http://127.0.0.1:1/account",
    ] {
        let url: ArchiveUrl = text.parse().expect(text);
        match Store::open(&url) {
            Ok(store) => {
                assert_eq!((store.kind(), store.place()), (&StoreKind::Remote, text));
            }
            // Azure has no default for the account, which comes from the environment.
            Err(error) => assert!(text.starts_with("az") && error.to_string().contains("ccount"), "{text}: {error}"),
        }
    }
}
