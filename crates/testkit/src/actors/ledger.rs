//! What was done to the data of disks, so that a test can prove that a disk was adopted and not filled again.
//!
//! Disks of the test bench hold nothing. The annotation [`DATA`] of a PersistentVolume stands for what a disk
//! holds: it is written once, when the volume is made, and goes with the volume.
//!
//! Does not: survive the process. The annotation does.

use std::sync::{Mutex, PoisonError};

/// Annotation of a PersistentVolume: what its disk holds. `import-7 docker://…` after an import, `blank-3` for an
/// empty disk that was asked for, `empty-4` for one that was provisioned and never filled.
pub const DATA: &str = "bench.vmrewind.io/data";

/// One time that a disk was filled, or taken over as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    /// Namespace of the DataVolume.
    pub namespace: String,
    /// Name of the DataVolume and of its claim.
    pub data_volume: String,
    /// Incarnation of the DataVolume.
    pub uid: String,
    /// What the disk holds since, or `None` if the claim was adopted with whatever it holds.
    pub data: Option<String>,
}

/// The record of all fillings, in order.
#[derive(Debug, Default)]
pub struct Ledger {
    fillings: Mutex<Vec<Filling>>,
}

impl Ledger {
    /// Adds what was done. That a DataVolume adopted its claim is said once: a controller may do it again before it
    /// sees what it did.
    pub(crate) fn add(&self, filling: Filling) {
        let mut fillings = self.fillings.lock().unwrap_or_else(PoisonError::into_inner);
        if filling.data.is_some() || !fillings.contains(&filling) {
            fillings.push(filling);
        }
    }

    /// Returns everything that was done to the disk of a DataVolume of this name, in order.
    pub fn of(&self, namespace: &str, data_volume: &str) -> Vec<Filling> {
        let fillings = self.fillings.lock().unwrap_or_else(PoisonError::into_inner);
        fillings.iter().filter(|f| f.namespace == namespace && f.data_volume == data_volume).cloned().collect()
    }

    /// Returns how often the disk of a DataVolume of this name was filled.
    pub fn imports(&self, namespace: &str, data_volume: &str) -> usize {
        self.of(namespace, data_volume).iter().filter(|f| f.data.is_some()).count()
    }
}
