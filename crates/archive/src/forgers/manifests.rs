//! Manifests that nobody made who knows the root key.

use serde_json::{Value, json};
use vmrewind_model::canonical;

use super::*;
use crate::manifest;

/// Splits a manifest into its members and its check.
fn members(bytes: &[u8]) -> (Value, Option<String>) {
    let text = std::str::from_utf8(bytes).expect("UTF-8").trim_end();
    let value: Value = serde_json::from_str(text).expect("JSON");
    let mac = value.get("mac").map(|mac| mac.as_str().expect("a text").to_owned());
    (value, mac)
}

/// Writes a manifest, with a check that was made for something else.
fn written(mut value: Value, mac: Option<&str>) -> Bytes {
    value.as_object_mut().expect("an object").remove("mac");
    let text = canonical::canonicalize(value.to_string().as_bytes()).expect("JSON");
    let mut text = String::from_utf8(text).expect("UTF-8");
    if let Some(mac) = mac {
        text.truncate(text.len() - 1);
        text += &format!(",\"mac\":\"{mac}\"}}");
    }
    (text + "\n").into()
}

/// Rewrites all manifests, each so that it follows the one before by all that needs no key.
async fn rewrite(store: &Store, newest: u64, change: impl Fn(&mut Value), checked: bool) {
    let mut before: Option<Bytes> = None;
    for n in 1..=newest {
        let (mut value, mac) = members(&bytes_of(store, &paths::manifest(n)).await);
        change(&mut value);
        if let Some(before) = &before {
            value["prev"] = json!(Digest::of(before).hex());
        }
        let bytes = written(value, mac.as_deref().filter(|_| checked));
        replace(store, &paths::manifest(n), bytes.clone()).await;
        before = Some(bytes);
    }
}

/// Has windows that lie before an instant, and what reaches back before it, vanish from what a reader opens.
fn hides(value: &mut Value) {
    let windows = value["windows"].as_array_mut().expect("windows");
    let Some(last) = windows.len().checked_sub(1) else { return };
    let t = windows[last]["firstTime"].clone();
    for window in &mut windows[1..last] {
        (window["firstTime"], window["lastTime"], window["earliest"]) = (t.clone(), t.clone(), json!({}));
    }
}

#[test]
fn manifests_that_a_stranger_wrote_anew_change_no_answer() {
    now(async {
        for (checked, expected) in [(true, Code::Manifest), (false, Code::Manifest)] {
            let store = Store::in_memory();
            let archive = rolled_up(&store).await;
            let good = told(&archive, minutes(31)).await.expect("readable");
            assert_eq!(rv(&good), Some(3));
            let newest = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest;
            assert!(newest.windows.len() > 4, "{}", newest.windows.len());
            rewrite(&store, newest.n, hides, checked).await;
            let archive = opened(&store).await;
            let error = told(&archive, minutes(31)).await.expect_err("the newest manifest is not ours");
            assert_eq!(code(&error), Some(expected), "{error}");
            let state = told(&archive.passing_over_damage(), minutes(31)).await.expect("the log tells");
            assert_eq!(format!("{:?}", state.objects), format!("{:?}", good.objects));
            assert_eq!(state.damage.len(), 1, "and it says so: {:?}", state.damage);
        }
    });
}

#[test]
fn a_manifest_that_has_no_check_is_refused_and_so_is_an_older_one_of_ours_under_a_newer_name() {
    now(async {
        let store = Store::in_memory();
        let archive = lived(&store).await;
        roll(&archive).await;
        own(&archive, fence(2, minutes(55), vec![])).await.expect("fenced");
        roll(&archive).await;
        let newest = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest.n;
        assert!(newest > 1, "{newest}");
        let good = bytes_of(&store, &paths::manifest(newest)).await;
        let (mut plain, _) = members(&good);
        plain["format"] = json!("0.2");
        let first = bytes_of(&store, &paths::manifest(newest - 1)).await;
        for (n, bytes, expected) in [
            (newest, written(plain.clone(), None), Code::Plain),
            (newest, first.clone(), Code::Name),
            (newest + 1, first, Code::Name),
            (newest + 1, good.clone(), Code::Name),
        ] {
            replace(&store, &paths::manifest(n), bytes).await;
            let error = manifest::newest(&opened(&store).await).await.expect_err("refused");
            assert_eq!(code(&error), Some(expected), "{error}");
            if n > newest {
                store.delete(&paths::manifest(n)).await.expect("deleted");
            }
            replace(&store, &paths::manifest(newest), good.clone()).await;
        }
        manifest::newest(&opened(&store).await).await.expect("as it was");
    });
}

#[test]
fn no_byte_of_a_manifest_can_be_changed_without_the_root_key() {
    now(async {
        let store = Store::in_memory();
        let archive = rolled_up(&store).await;
        let found = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest;
        let good = bytes_of(&store, &paths::manifest(found.n)).await;
        let (home, n) = (archive.home(), found.n);
        assert_eq!(manifest::Manifest::parse(&good, &home, n).expect("good"), found);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(manifest::Manifest::parse(&bytes, &home, n).is_err(), "bit {bit} of byte {at}");
            }
            assert!(manifest::Manifest::parse(&good[..at], &home, n).is_err(), "cut at {at}");
        }
        let other = Home { archive: samples::ARCHIVE, lock: samples::lock_of([0x66; 32]) };
        let theirs = found.to_bytes(&other).expect("good by itself");
        assert_eq!(manifest::Manifest::parse(&theirs, &home, n).expect_err("a stranger's").code, Code::Manifest);
        let shut = Home { archive: samples::ARCHIVE, lock: Lock::Shut };
        assert!(manifest::Manifest::parse(&theirs, &shut, n).is_ok(), "without a key nobody can tell");
    });
}

#[test]
fn a_window_behind_the_instant_is_not_opened_if_its_manifest_is_vouched_for() {
    now(async {
        let store = Store::in_memory();
        let archive = rolled_up(&store).await;
        let good = told(&archive, minutes(31)).await.expect("readable");
        let windows = manifest::newest(&archive).await.expect("readable").expect("a manifest").manifest.windows;
        let behind = &windows[windows.len() - 2];
        assert!(behind.window.times[0] > minutes(31));
        // If it were opened, its segments would be read in its place; and these are gone, too.
        store.delete(&behind.parts[0].name()).await.expect("deleted");
        for slot in behind.window.slots[0]..=behind.window.slots[1] {
            store.delete(&paths::segment(slot)).await.expect("deleted");
        }
        let state = told(&opened(&store).await, minutes(31)).await.expect("nothing of it is needed");
        assert_eq!(format!("{state:?}"), format!("{good:?}"));
    });
}
