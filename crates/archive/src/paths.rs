//! Every name of an object in the store, formatted and parsed here only.
//!
//! Does not: know where the store lies.

use vmrewind_model::Digest;

use crate::format::{footer::Kind, limits};

/// Name of the identity.
pub(crate) const IDENTITY: &str = "archive.json";

/// Prefix of the segments of shard 0.
pub(crate) const LOG: &str = "log/0000";

/// Prefix of manifests.
pub(crate) const MANIFESTS: &str = "man";

/// Prefix of history bundles.
pub(crate) const HISTORY: &str = "hist";

/// Prefix of parts of checkpoints.
pub(crate) const CHECKPOINTS: &str = "ckpt";

/// Prefix of the files that name recipients.
pub(crate) const KEYS: &str = "keys";

/// Prefix of what the probe leaves.
pub(crate) const PROBE: &str = "probe";

/// Returns the name of the segment in `slot`.
pub(crate) fn segment(slot: u64) -> String {
    format!("{LOG}/{slot:016x}")
}

/// Returns the slot that a name is of; none if it is not the name of a segment.
pub(crate) fn parse_segment(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(LOG)?.strip_prefix('/')?;
    let slot = u64::from_str_radix(digits, 16).ok()?;
    (segment(slot) == name).then_some(slot)
}

/// Returns the name of the `n`th manifest.
pub(crate) fn manifest(n: u64) -> String {
    format!("{MANIFESTS}/{n:016x}")
}

/// Returns the number that the name of a manifest holds; none if it is not the name of a manifest.
pub(crate) fn parse_manifest(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(MANIFESTS)?.strip_prefix('/')?;
    let n = u64::from_str_radix(digits, 16).ok().filter(|n| (1..=limits::NUMBER).contains(n))?;
    (manifest(n) == name).then_some(n)
}

/// Returns the name of the `n`th file of keys.
pub(crate) fn keys(n: u64) -> String {
    format!("{KEYS}/{n:016x}.json")
}

/// Returns the number that the name of a file of keys holds; none if it is not the name of one.
pub(crate) fn parse_keys(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(KEYS)?.strip_prefix('/')?.strip_suffix(".json")?;
    let n = u64::from_str_radix(digits, 16).ok().filter(|n| (1..=limits::NUMBER).contains(n))?;
    (keys(n) == name).then_some(n)
}

/// Returns the name of the bundle with this digest.
pub(crate) fn bundle(kind: Kind, digest: &Digest) -> String {
    let prefix = match kind {
        Kind::Log => LOG,
        Kind::History => HISTORY,
        Kind::Checkpoint => CHECKPOINTS,
    };
    format!("{prefix}/{}", digest.hex())
}

/// Tells whether a name is one that a probe leaves.
pub(crate) fn is_probe(name: &str) -> bool {
    name.strip_prefix(PROBE).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns what the name of a bundle holds, of history or of a checkpoint; none if it is not the name of one.
pub(crate) fn parse_bundle(name: &str) -> Option<(Kind, Digest)> {
    let (prefix, digits) = name.split_once('/')?;
    let kind = match prefix {
        HISTORY => Kind::History,
        CHECKPOINTS => Kind::Checkpoint,
        _ => return None,
    };
    let digest = format!("sha256:{digits}").parse::<Digest>().ok()?;
    (bundle(kind, &digest) == name).then_some((kind, digest))
}

/// Returns the `n`th name that a probe tries.
pub(crate) fn probe(salt: &str, n: usize) -> String {
    format!("{PROBE}/{salt}-{n}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parsing_undoes_formatting(slot: u64) {
            prop_assert_eq!(parse_segment(&segment(slot)), Some(slot));
            let n = slot >> 1;
            prop_assert_eq!(parse_keys(&keys(n)), Some(n).filter(|n| *n > 0));
            prop_assert_eq!(parse_manifest(&manifest(n)), Some(n).filter(|n| *n > 0));
            prop_assert_eq!(parse_manifest(&manifest(slot | 1 << 63)), None);
            let digest = Digest::of(&slot.to_le_bytes());
            for kind in [Kind::History, Kind::Checkpoint] {
                prop_assert_eq!(parse_bundle(&bundle(kind, &digest)), Some((kind, digest)));
            }
        }
    }

    #[test]
    fn names_sort_as_their_numbers_do() {
        assert!(segment(9) < segment(10) && segment(255) < segment(256));
    }

    #[test]
    fn refuses_names_that_are_no_segment() {
        for name in [
            "archive.json",
            "log/0000/1",
            "log/0001/0000000000000001",
            "log/0000/000000000000000A",
            "log/0000/+000000000000001",
        ] {
            assert_eq!(parse_segment(name), None, "{name}");
        }
    }
}
