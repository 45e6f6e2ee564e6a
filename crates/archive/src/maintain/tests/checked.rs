//! What was rolled up, as a check of the whole archive sees it: many parts, many windows, fences and damage in between.

use futures::FutureExt as _;
use vmrewind_model::Digest;

use super::{life, now, open, roll_up, small};
use crate::{
    Cpu, Silent, Store,
    manifest::{self, Found, PartRef, Rolled},
    paths,
    verify::{About, Depth, Options, Report, verify},
};

pub(super) const DEPTHS: [Depth; 3] = [Depth::Ends, Depth::Data, Depth::Deep];

pub(super) async fn report(store: &Store, depth: Depth) -> Report {
    verify(store, Cpu::Inline, &Options { depth, sample: None, identities: vec![], told: None }, &Silent)
        .await
        .expect("a report")
}

/// Codes and names of what is wrong with bundles and manifests.
pub(super) async fn wrong(store: &Store, depth: Depth) -> Vec<(String, String)> {
    let problems = report(store, depth).await.problems.into_iter();
    let rolled =
        problems.filter(|problem| [About::Bundles, About::Manifests, About::Checkpoints].contains(&problem.about));
    rolled.map(|problem| (problem.symptom.to_string(), problem.object)).collect()
}

/// Checks everything.
pub(super) async fn nothing_is_wrong(store: &Store) {
    for depth in DEPTHS {
        assert_eq!(wrong(store, depth).await, [], "{depth:?}");
    }
}

async fn newest(store: &Store) -> Found {
    manifest::newest(&open(store).await).await.expect("readable").expect("a manifest")
}

async fn replace(store: &Store, name: &str, bytes: Vec<u8>) {
    store.delete(name).await.expect("deleted");
    assert!(store.settle(name, &bytes.into()).await.expect("written").is_none());
}

/// Writes a manifest behind the newest one.
async fn write_next(store: &Store, change: impl FnOnce(&mut Vec<Rolled>)) -> String {
    let Found { mut manifest, digest } = newest(store).await;
    (manifest.n, manifest.prev) = (manifest.n + 1, digest);
    change(&mut manifest.windows);
    let name = paths::manifest(manifest.n);
    assert!(
        store
            .settle(&name, &manifest.to_bytes(&manifest.archive.into()).expect("good"))
            .await
            .expect("written")
            .is_none()
    );
    name
}

#[test]
fn nothing_is_wrong_with_what_a_maintainer_made_whatever_was_lived_and_damaged_before() {
    let (mut windows, mut bundles) = (0, 0);
    for seed in 0..10 {
        let check = async {
            let store = Store::in_memory();
            let life = life::lived(&store, seed, 100).await;
            if seed % 3 == 2 {
                life::damage(&store, life.slots / 2).await;
            }
            let level = 1 + u16::try_from(seed % 2).expect("small");
            roll_up(&store, &small(level), now(&life)).await.expect("rolled up");
            for depth in DEPTHS {
                assert_eq!(wrong(&store, depth).await, [], "seed {seed}, {depth:?}");
            }
            let history = report(&store, Depth::Deep).await.checked.history;
            assert_eq!((history.windows_read, history.read), (history.windows, history.bytes), "seed {seed}");
            windows += history.windows;
            bundles += history.bundles;
        };
        check.now_or_never().expect("memory answers at once");
    }
    assert!(bundles > windows && windows > 20, "{windows} windows of {bundles} bundles");
}

#[test]
fn every_bundle_that_is_changed_or_lost_is_named() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 7, 80).await;
        roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        for part in newest(&store).await.manifest.windows.iter().flat_map(|rolled| &rolled.parts) {
            let name = part.name();
            let good = store.get(&name, u64::MAX - 1).await.expect("readable").expect("there").to_vec();
            let mut bytes = good.clone();
            bytes[450] ^= 1;
            replace(&store, &name, bytes).await;
            assert_eq!(wrong(&store, Depth::Ends).await, [], "its end is as it was");
            for depth in [Depth::Data, Depth::Deep] {
                assert_eq!(wrong(&store, depth).await, [("E_BODY_HASH".to_owned(), name.clone())], "{depth:?}");
            }
            store.delete(&name).await.expect("deleted");
            for depth in DEPTHS {
                assert_eq!(wrong(&store, depth).await, [("E_MISSING".to_owned(), name.clone())], "{depth:?}");
            }
            assert!(store.settle(&name, &good.into()).await.expect("written").is_none());
        }
    };
    check.now_or_never().expect("memory answers at once");
}

#[test]
fn what_only_all_parts_of_a_window_show_together_is_found_by_reading_all_of_them() {
    let check = async {
        let store = Store::in_memory();
        let life = life::lived(&store, 7, 80).await;
        roll_up(&store, &small(2), now(&life)).await.expect("rolled up");
        let windows = newest(&store).await.manifest.windows;
        let many = windows.iter().position(|rolled| rolled.parts.len() > 1).expect("a window of several parts");
        let names: Vec<String> = windows[many].parts.iter().map(PartRef::name).collect();
        let swapped = write_next(&store, |windows| windows[many].parts.swap(0, 1)).await;
        assert_eq!(wrong(&store, Depth::Ends).await, [], "the end of a part does not tell which it is");
        let meta = |name: &String| ("E_META".to_owned(), name.clone());
        assert_eq!(wrong(&store, Depth::Data).await, [meta(&names[1]), meta(&names[0])]);
        store.delete(&swapped).await.expect("deleted");
        let other = write_next(&store, |windows| windows[many].root = Digest([1; 32])).await;
        let manifest = ("E_MANIFEST".to_owned(), other);
        assert_eq!(wrong(&store, Depth::Ends).await, std::slice::from_ref(&manifest), "it was another root before");
        let root = ("E_ROOT".to_owned(), names[0].clone());
        assert_eq!(wrong(&store, Depth::Data).await, [manifest, root]);
    };
    check.now_or_never().expect("memory answers at once");
}
