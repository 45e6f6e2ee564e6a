//! Whose archive it is: the fingerprint of its root key, which recipients and UUID do not tell.

use super::*;

/// An archive of somebody who knows only what everybody can see: UUID, cluster and recipients are ours, the root key is his.
async fn foreign(ours: &Store, root: u8) -> Store {
    let store = Store::in_memory();
    for name in [paths::IDENTITY] {
        let bytes = ours.get(name, limits::IDENTITY).await.expect("readable").expect("there");
        assert!(store.settle(name, &bytes).await.expect("written").is_none());
    }
    let mut new = new(Some(&[1, 2]));
    new.keys.as_mut().expect("keys").root_key = [root; 32];
    init(&store, new).await.expect("made");
    store
}

#[test]
fn an_archive_of_a_stranger_with_our_uuid_and_recipients_has_another_fingerprint() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let ours = opened(&store, &[1], 1).await.expect("opened");
        let told = ours.fingerprint().expect("it is open");
        assert_eq!(opened(&store, &[2], 9).await.expect("opened").fingerprint(), Some(told), "whoever opens it");
        ours.pinned_to(told).expect("it is ours");
        let theirs = opened(&foreign(&store, 0x66).await, &[1], 1).await.expect("nothing else tells them apart");
        assert_eq!((&theirs.identity, theirs.recipients()), (&ours.identity, ours.recipients()));
        theirs.encrypts_to(Some(&to(&[1, 2]))).expect("the recipients do not");
        let found = theirs.fingerprint().expect("it is open");
        let error = theirs.pinned_to(told).expect_err("it is not ours");
        assert_eq!(error.kind(), ErrorKind::Locked);
        for fingerprint in [told, found] {
            assert!(error.to_string().contains(&fingerprint.to_string()), "{error}");
        }
        let shut = Archive::open(store.clone()).await.expect("there");
        assert!(shut.fingerprint().is_none() && shut.pinned_to(told).is_err());
        let plain = Store::in_memory();
        init(&plain, new(None)).await.expect("made");
        let plain = opened(&plain, &[], 1).await.expect("opened");
        assert!(plain.fingerprint().is_none() && plain.pinned_to(told).is_err());
    });
}

/// As `spec/encryption.md` 5 says it, worked out by Python.
#[test]
fn the_fingerprint_is_the_one_of_the_specification() {
    let root = RootKey(Zeroizing::new([7; 32]));
    let archive = Uuid::from_bytes([9; 16]);
    assert_eq!(root.fingerprint(archive).to_string(), "51dfd0f5199243a59515c1c331a0aaaa");
}

#[test]
fn whoever_made_an_archive_writes_to_it_without_an_identity() {
    now(async {
        let store = Store::in_memory();
        init(&store, new(Some(&[1, 2]))).await.expect("made");
        let archive = Archive::open(store.clone()).await.expect("there").with_cpu(Cpu::Inline);
        let maker = archive.clone().unlock_as_maker(&to(&[1, 2]), samples::ROOT_KEY, [8; 32]).await.expect("ours");
        let fence = Fence { nonce: [1; 16], software: "test 1".into(), t: samples::t(0), resume: vec![] };
        let outcome = Writer::fence(&maker, &Head::EMPTY, fence, Cpu::Inline, &|| samples::t(0)).await;
        assert!(matches!(outcome.expect("fenced"), FenceOutcome::Owner(_)));
        write(&opened(&store, &[2], 2).await.expect("opened"), 2).await;
        assert_eq!(seqs(&opened(&store, &[1], 2).await.expect("opened")).await.expect("readable"), 1);
        let error = archive.unlock_as_maker(&to(&[1, 2]), [0x66; 32], [8; 32]).await.expect_err("not its root key");
        assert_eq!(error.kind(), ErrorKind::Data);
    });
}
