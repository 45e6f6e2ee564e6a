//! Whom the archive is encrypted to, and what opens it.
//!
//! Does not: open an archive.

use vmrewind_archive::{Recipient, Recipients, SecretKey};

use super::{Encryption, SettingsError};

/// The largest file that may hold identities.
const MOST: u64 = 64 * 1024;

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

    /// Reads the files of identities.
    ///
    /// # Errors
    /// [`SettingsError`] if one cannot be read, or holds something else.
    pub fn secrets(&self) -> Result<Vec<SecretKey>, SettingsError> {
        let mut keys = Vec::new();
        for path in &self.identities {
            let wrong = |why: &str| {
                let what = format!("encryption.identities: {}: {why}", path.display());
                SettingsError::invalid(&what, "give a file that `kubectl vmrewind key generate` or `age-keygen` made.")
            };
            let size = std::fs::metadata(path).map_err(|error| wrong(&error.to_string()))?.len();
            if size > MOST {
                return Err(wrong("it is too large"));
            }
            let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
            keys.extend(SecretKey::read_file(&text).map_err(|error| wrong(&error.to_string()))?);
        }
        Ok(keys)
    }
}
