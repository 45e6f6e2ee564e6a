//! Objects of one instant as one file, and back: our own tarball, a Velero backup, YAML for kubectl.
//!
//! ```text
//! state -> gather -> Export -> manifest + pack | velero | manifests (YAML) -> deliver (atomic)
//! ```
//!
//! Does not: read an archive, or know any verb.

pub(crate) mod deliver;
pub(crate) mod gather;
pub(crate) mod manifest;
pub(crate) mod manifests;
pub(crate) mod pack;
pub(crate) mod velero;
