//! Opening an archive for reading although files of its keys are damaged or missing.
//!
//! Does not: let anybody write: writers open an archive with [`Archive::unlock`], which takes no such file.

use super::{Found, MOST, damaged, locked, missing};
use crate::{
    Archive, ArchiveError, Code, Damage, Fingerprint, SecretKey,
    format::{fault::Fault, home::RootKey, limits},
    keys::text::Members,
    paths,
};
use vmrewind_model::Digest;

/// How many files in a row may be missing in front of another one.
pub(super) const HOLE: u64 = 16;

impl Archive {
    /// Opens an encrypted archive for reading only, with the root key of whichever file of keys is intact. One that is not encrypted
    /// stays as it is. Returns what is wrong with the others.
    ///
    /// If intact files hold different root keys, somebody else wrote some of them: then `told` says which is the archive's.
    ///
    /// # Errors
    /// [`ArchiveError::Locked`] if no identity opens it, [`ArchiveError::Damaged`] if no file is intact, or if they disagree and
    /// nothing tells which to believe, and those of the store.
    pub async fn unlock_for_reading(
        self,
        identities: Vec<SecretKey>,
        told: Option<Fingerprint>,
    ) -> Result<(Self, Vec<Damage>), ArchiveError> {
        if !self.identity.encrypted {
            return Ok((self, Vec::new()));
        }
        let place = self.store.place().to_owned();
        if identities.is_empty() {
            return Err(ArchiveError::Locked { what: format!("{place} is encrypted, and no identity was given") });
        }
        let (files, mut faults) = self.files_that_are_left().await?;
        let root = self.root_that_is_left(&files, &mut faults, &identities, told)?;
        let mut good: Vec<&Found> = Vec::new();
        for file in &files {
            let n = file.members.n;
            if faults.iter().any(|(faulty, _)| *faulty == n) {
                continue;
            }
            match file.members.verify(&file.bytes, &root) {
                Ok(()) => good.push(file),
                Err(fault) => faults.push((n, fault)),
            }
        }
        // A check goes on without `archive.json`, and then has read none.
        let begin = (self.root != Digest([0; 32])).then_some(self.root);
        faults.extend(out_of_order(&good, begin));
        faults.sort_by_key(|(n, _)| *n);
        let recipients = good.last().map(|file| file.members.recipients.clone()).unwrap_or_default();
        let damage = faults.into_iter().map(|(n, fault)| fault.in_object(paths::keys(n), None)).collect();
        Ok((self.opened(root, recipients, identities, None), damage))
    }

    /// Reads the files that are there and can be read, and why others cannot.
    async fn files_that_are_left(&self) -> Result<(Vec<Found>, Vec<(u64, Fault)>), ArchiveError> {
        let (mut files, mut faults, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for n in 1..=MOST {
            let bytes = match self.store.get(&paths::keys(n), limits::KEYS).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) if (absent.len() as u64) < HOLE => {
                    absent.push(n);
                    continue;
                }
                Ok(None) => break,
                Err(ArchiveError::Damaged(damage)) => {
                    faults.push((n, Fault::new(damage.code, damage.detail)));
                    continue;
                }
                Err(error) => return Err(error),
            };
            faults.extend(absent.drain(..).map(|n| (n, Fault::new(Code::Missing, "it is not there"))));
            let members = Members::parse(&bytes).and_then(|members| members.belongs(self.identity.archive, n));
            match members {
                Ok(members) => files.push(Found { members, bytes }),
                Err(fault) => faults.push((n, fault)),
            }
        }
        if files.is_empty() && faults.is_empty() { Err(missing(1)) } else { Ok((files, faults)) }
    }

    /// Finds the root key in the files that are consistent in themselves.
    fn root_that_is_left(
        &self,
        files: &[Found],
        faults: &mut Vec<(u64, Fault)>,
        identities: &[SecretKey],
        told: Option<Fingerprint>,
    ) -> Result<RootKey, ArchiveError> {
        let mut roots: Vec<(u64, RootKey)> = Vec::new();
        for file in files {
            let n = file.members.n;
            let read = file.members.root_key(identities);
            match read.and_then(|root| file.members.verify(&file.bytes, &root).map(|()| root)) {
                Ok(root) if roots.iter().any(|(_, other)| *other == root) => {}
                Ok(root) => roots.push((n, root)),
                // Whether it is intact is known once the root key is.
                Err(fault) if fault.code == Code::NoKey => {}
                Err(fault) => faults.push((n, fault)),
            }
        }
        if let Some(told) = told
            && roots.iter().any(|(_, root)| root.fingerprint(self.identity.archive) == told)
        {
            roots.retain(|(_, root)| root.fingerprint(self.identity.archive) == told);
        }
        if let Some((n, _)) = roots.get(1) {
            let detail = "it holds another root key than the one before it: somebody else wrote one of them, and only the \
                          fingerprint of the archive's key tells which";
            return Err(damaged(*n, Fault::new(Code::Keys, detail)));
        }
        match (roots.pop(), faults.is_empty()) {
            (Some((_, root)), _) => Ok(root),
            (None, false) if files.len() <= faults.len() => {
                let (n, fault) = faults.swap_remove(0);
                Err(damaged(n, fault))
            }
            (None, _) => Err(locked(self.store.place())),
        }
    }
}

/// Finds the files that do not follow the one before them; `begin` is the digest of `archive.json`.
fn out_of_order(files: &[&Found], begin: Option<Digest>) -> Vec<(u64, Fault)> {
    let mut faults = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let members = &file.members;
        let before = at.checked_sub(1).and_then(|at| files.get(at)).filter(|before| before.members.n + 1 == members.n);
        let prev = before.map(|before| Digest::of(&before.bytes)).or(begin.filter(|_| members.n == 1));
        if prev.is_some_and(|prev| prev != members.prev) {
            faults.push((members.n, Fault::new(Code::Chain, "it does not follow the one before it")));
        } else if before.is_some_and(|before| members.valid_from < before.members.valid_from) {
            faults.push((members.n, Fault::new(Code::Time, "it is older than the one before it")));
        }
    }
    faults
}
