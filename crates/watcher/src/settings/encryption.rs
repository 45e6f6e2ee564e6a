//! Whom the archive is encrypted to, and what opens it.
//!
//! Does not: open an archive.

use std::sync::atomic::{AtomicBool, Ordering};

use vmrewind_archive::{ArchiveError, Fingerprint, IdentityFile, Readable, Recipient, Recipients, SecretKey};

use super::{Encryption, SettingsError};
use crate::error::WatcherError;

/// Whether it was said that others can read an identity file: it is read again and again.
static TOLD: AtomicBool = AtomicBool::new(false);

impl Encryption {
    /// Returns whom the archive is encrypted to; nobody if it is not.
    ///
    /// # Errors
    /// [`SettingsError`] if one is no recipient, or there are too few or too many.
    pub fn told(&self) -> Result<Option<Recipients>, SettingsError> {
        if self.recipients.is_empty() {
            let stray = self.single_recipient;
            let error =
                || SettingsError::invalid("a single recipient is enough, but there is none", "give --recipient.");
            return if stray { Err(error()) } else { Ok(None) };
        }
        let mut recipients = Vec::new();
        for text in &self.recipients {
            let read = text.parse::<Recipient>().map_err(|error| {
                let what = format!("encryption.recipients: {text:?}: {error}");
                SettingsError::invalid(&what, "`kubectl vmrewind key generate` makes a key and prints its recipient.")
            });
            recipients.push(read?);
        }
        Recipients::new(recipients, self.single_recipient).map(Some).map_err(|error| {
            let hint =
                "give a second recipient, whose key is kept offline; or say --single-recipient if that is meant.";
            SettingsError::invalid(&format!("encryption.recipients: {error}"), hint)
        })
    }

    /// Returns the fingerprint that the archive's key must have; none if any will do.
    ///
    /// # Errors
    /// [`SettingsError`] if it is none, or there are no recipients.
    pub fn pin(&self) -> Result<Option<Fingerprint>, SettingsError> {
        let Some(text) = &self.fingerprint else { return Ok(None) };
        if self.recipients.is_empty() {
            let what = "encryption.fingerprint is given, but no recipients";
            return Err(SettingsError::invalid(what, "give --recipient: what is not encrypted has no key."));
        }
        let read = text.parse::<Fingerprint>();
        read.map(Some).map_err(|error| {
            let hint = "the watcher logs it when it opens the archive; leave it out to begin a new archive.";
            SettingsError::invalid(&format!("encryption.fingerprint: {text:?}: {error}"), hint)
        })
    }

    /// Returns whom the archive is encrypted to, and what opens it, for somebody who writes.
    ///
    /// # Errors
    /// As [`Self::told`] and [`Self::secrets`]; [`ArchiveError::Locked`] if nothing opens what would be written: then the next start,
    /// and longer windows, would be impossible.
    pub fn writing(&self) -> Result<(Option<Recipients>, Vec<SecretKey>), WatcherError> {
        let (told, identities) = (self.told()?, self.secrets()?);
        if told.as_ref().is_some_and(|told| !told.opened_by(&identities)) {
            let what = "no identity that was given opens what is encrypted to the recipients that are configured";
            return Err(ArchiveError::Locked { what: what.to_owned() }.into());
        }
        Ok((told, identities))
    }

    /// Reads the files of identities.
    ///
    /// # Errors
    /// [`SettingsError`] if one cannot be read, or holds something else.
    pub fn secrets(&self) -> Result<Vec<SecretKey>, SettingsError> {
        let mut keys = Vec::new();
        for path in &self.identities {
            let file = IdentityFile::open(path).map_err(|error| {
                let what = format!("encryption.identities: {}: {error}", path.display());
                SettingsError::invalid(&what, "give a file that `kubectl vmrewind key generate` or `age-keygen` made.")
            })?;
            // The group of a Secret that is mounted with an fsGroup must be able to.
            if file.readable == Readable::All && !TOLD.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    path = %path.display(),
                    "everybody on this machine can read the identity file, and so the archive: chmod 600, or defaultMode: 0440"
                );
            }
            keys.extend(file.keys);
        }
        Ok(keys)
    }
}
