//! The plan as bytes and as a file, its id, and what makes two plans differ.
//!
//! Does not: hold content of objects.

use std::{collections::BTreeMap, fs, io::Write as _, path::Path};

use vmrewind_model::{Digest, Timestamp};

use super::{API_VERSION, RefusalKind, RestorePlan, Step};
use crate::error::RestoreError;

impl RestorePlan {
    /// Returns the steps that write.
    pub fn writes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.action.writes())
    }

    /// Tells whether executing it would change nothing.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.writes().next().is_none()
    }

    /// Returns the refusal as an error, if there is one.
    ///
    /// # Errors
    /// [`RestoreError::Refused`] if the plan cannot be executed.
    pub fn check_refusals(&self) -> Result<(), RestoreError> {
        let Some(first) = self.refusals.first() else { return Ok(()) };
        Err(RestoreError::Refused {
            count: self.refusals.len(),
            first: first.message.clone(),
            hint: first.hint.clone(),
            only_conflicts: self.refusals.iter().all(|refusal| refusal.kind == RefusalKind::Conflict),
        })
    }

    /// Returns the JSON text, with a newline at the end. The same plan always gives the same bytes.
    ///
    /// # Errors
    /// [`RestoreError::Bug`] if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, RestoreError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| RestoreError::Bug(error.to_string()))?;
        Ok(text + "\n")
    }

    /// Writes the plan to a new file that only the user can read. An existing file is replaced as a whole.
    ///
    /// # Errors
    /// [`RestoreError::File`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RestoreError> {
        let text = self.to_json()?;
        let at = |source| RestoreError::File { path: path.to_owned(), source };
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = Path::new(&temporary);
        let mut file = private_file(temporary).map_err(at)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at)?;
        fs::rename(temporary, path).map_err(at)
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// [`RestoreError::File`] if it cannot be read, [`RestoreError::Format`] if it is no plan of this version.
    pub fn load(path: &Path) -> Result<Self, RestoreError> {
        let text = fs::read_to_string(path).map_err(|source| RestoreError::File { path: path.to_owned(), source })?;
        let bad = |reason: String| RestoreError::Format { path: path.to_owned(), reason };
        let plan: Self = serde_json::from_str(&text).map_err(|error| bad(format!("not a plan: {error}")))?;
        if plan.api_version != API_VERSION || plan.kind != "RestorePlan" {
            return Err(bad(format!("expected {API_VERSION} RestorePlan, found {} {}", plan.api_version, plan.kind)));
        }
        if plan.id != plan.computed_id()? {
            return Err(bad("the plan was changed after it was made: its id does not match its content".to_owned()));
        }
        Ok(plan)
    }

    /// Says what another plan for the same request would do differently, one sentence each; empty if nothing.
    pub(crate) fn drift(&self, now: &Self) -> Vec<String> {
        if self.id == now.id {
            return Vec::new();
        }
        let mut changes = Vec::new();
        if self.archive != now.archive {
            changes.push("the archive yields another state".to_owned());
        }
        let name = |step: &Step| {
            let releases = step.action == crate::Action::ReleaseOwner;
            (step.key.clone(), step.action.of_object(), releases, step.owner.clone())
        };
        let before: BTreeMap<_, &Step> = self.steps.iter().map(|step| (name(step), step)).collect();
        let after: BTreeMap<_, &Step> = now.steps.iter().map(|step| (name(step), step)).collect();
        for (name, step) in &before {
            let (key, action) = (&step.key, step.action.text());
            match after.get(name) {
                None => changes.push(format!("{key}: {action} is not needed any more")),
                Some(other) if other.action != step.action => {
                    changes.push(format!("{key}: was {action}, is now {}", other.action.text()));
                }
                Some(other) if other.live != step.live => changes.push(format!("{key}: the live object changed")),
                Some(other) if other.object_digest != step.object_digest => {
                    changes.push(format!("{key}: another object would be written"));
                }
                Some(_) => {}
            }
        }
        for (name, step) in after.iter().filter(|(name, _)| !before.contains_key(name)) {
            changes.push(format!("{}: {} is needed now", name.0, step.action.text()));
        }
        if changes.is_empty() {
            changes.push("its volumes, identities or refusals would be others".to_owned());
        }
        changes
    }

    /// Derives the id from what would be done: everything but `id`, `created`, the warnings, and what dry runs said.
    /// Warnings advise of what may change at any time and changes no write, such as the nodes of the target.
    pub(crate) fn computed_id(&self) -> Result<String, RestoreError> {
        let mut plain = self.clone();
        plain.id.clear();
        plain.created = Timestamp::MIN;
        plain.warnings.clear();
        plain.summary.warnings = 0;
        plain.steps.iter_mut().for_each(|step| step.check = None);
        let bytes = serde_json::to_vec(&plain).map_err(|error| RestoreError::Bug(error.to_string()))?;
        Ok(Digest::of(&bytes).short())
    }
}

/// Opens a new file (or empties an existing one) that only the user can read.
fn private_file(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}
