//! Objects of one instant as one file, and back: our own tarball, a Velero backup, YAML for kubectl.
//!
//! ```text
//! state -> gather -> Export -> manifest + pack | velero | manifests (YAML) -> deliver (atomic)
//! file -> unpack (hostile) -> incoming (checked in full) -> intake (what is proven) -> record (a new archive)
//! ```
//!
//! Does not: know any verb.

pub(crate) mod coverage;
pub(crate) mod deliver;
pub(crate) mod gather;
pub(crate) mod incoming;
pub(crate) mod intake;
pub(crate) mod limits;
pub(crate) mod manifest;
pub(crate) mod manifests;
pub(crate) mod pack;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod unpack;
pub(crate) mod velero;

/// Makes a part of a name that nobody else takes.
pub(crate) fn unique(random: [u8; 16]) -> String {
    format!("{:016x}", u128::from_le_bytes(random) >> 64)
}
