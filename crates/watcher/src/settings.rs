//! What can be set, where it comes from, and what is the case where nothing is said.
//!
//! Flags win over environment variables, those over the file.
//!
//! Does not: open anything but the file.

mod encryption;
mod file;
mod span;

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use serde::Serialize;

pub use file::{Capture, Encryption, File, Limits, Logging, ManagedFields, Secrets, SettingsError, Timing};
pub use span::{Bytes, Span};

/// The API version and kind of the file.
pub const API_VERSION: &str = "vmrewind.io/v1alpha1";
/// See [`API_VERSION`].
pub const KIND: &str = "WatcherConfig";

/// What can be given as flags or environment variables; the rest is in the file.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file (YAML, `kind: WatcherConfig`).
    #[arg(long, value_name = "FILE", env = "VMREWIND_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the archive is or is to be: a directory, or s3://, gs://, az:// and a bucket.
    #[arg(long, value_name = "URL", env = "VMREWIND_ARCHIVE", hide_env_values = true)]
    pub archive: Option<String>,
    /// Go on in an archive that another cluster began (after a cluster was rebuilt).
    #[arg(long)]
    pub adopt: bool,
    /// Go on behind damaged segments of the archive, with a gap for every resource.
    #[arg(long)]
    pub pass_over_damage: bool,
    /// The kubeconfig; without one, the pod's service account.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME", env = "VMREWIND_CONTEXT")]
    pub context: Option<String>,
    /// Where /healthz, /readyz and /metrics are served; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", env = "VMREWIND_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Capture namespaced kinds in this namespace only; may be repeated.
    #[arg(long = "namespace", short = 'n', value_name = "NAME", env = "VMREWIND_NAMESPACES", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Do not capture this resource (`plural.group`); may be repeated.
    #[arg(long, value_name = "RESOURCE", env = "VMREWIND_EXCLUDE", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Encrypt the archive to this age recipient (`age1…`); give at least two.
    #[arg(long = "recipient", value_name = "RECIPIENT", env = "VMREWIND_RECIPIENTS", value_delimiter = ',')]
    pub recipients: Vec<String>,
    /// A single recipient is enough: with its key, everything is lost.
    #[arg(long)]
    pub single_recipient: bool,
    /// The fingerprint of the encrypted archive's key, as it is logged: another archive is not written to.
    #[arg(long, value_name = "FINGERPRINT", env = "VMREWIND_FINGERPRINT")]
    pub fingerprint: Option<String>,
    /// A file with an age identity that opens the encrypted archive; may be repeated.
    #[arg(long = "identity", value_name = "FILE", env = "VMREWIND_IDENTITY")]
    pub identities: Vec<PathBuf>,
    /// Whether the content of Secrets is recorded.
    #[arg(long, value_name = "MODE", env = "VMREWIND_SECRETS")]
    pub secrets: Option<Secrets>,
    /// Whether metadata.managedFields are recorded.
    #[arg(long, value_name = "MODE", env = "VMREWIND_MANAGED_FIELDS")]
    pub managed_fields: Option<ManagedFields>,
    /// How long a watch lasts, which bounds the age of the proof of what never changes (50s).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_WATCH_TIMEOUT")]
    pub watch_timeout: Option<Span>,
    /// How long a change waits for others before it is committed (250ms).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_LINGER")]
    pub linger: Option<Span>,
    /// How long the archive stays silent at most (60s).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_HEARTBEAT")]
    pub heartbeat: Option<Span>,
    /// How often it is looked which types are served (30s).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_DISCOVERY")]
    pub discovery: Option<Span>,
    /// How often each resource is listed to check its watch (6h).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_AUDIT")]
    pub audit: Option<Span>,
    /// How often the archive is maintained by this process (not at all; see `maintain`).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_MAINTAIN_EVERY")]
    pub maintain_every: Option<Span>,
    /// What is logged, as in RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "VMREWIND_LOG")]
    pub log: Option<String>,
}

/// Everything that is set: what `config` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// See [`API_VERSION`].
    pub api_version: String,
    /// See [`KIND`].
    pub kind: String,
    /// See [`File::archive`].
    pub archive: String,
    /// See [`File::adopt`].
    pub adopt: bool,
    /// See [`File::pass_over_damage`].
    pub pass_over_damage: bool,
    /// See [`File::kubeconfig`].
    pub kubeconfig: Option<PathBuf>,
    /// See [`File::context`].
    pub context: Option<String>,
    /// See [`File::listen`].
    pub listen: SocketAddr,
    /// See [`File::namespaces`].
    pub namespaces: Vec<String>,
    /// See [`File::exclude`].
    pub exclude: Vec<String>,
    /// See [`File::encryption`].
    pub encryption: Encryption,
    /// See [`File::capture`].
    pub capture: Capture,
    /// See [`File::timing`].
    pub timing: Timing,
    /// See [`File::limits`].
    pub limits: Limits,
    /// See [`File::log`].
    pub log: Logging,
}

impl Default for Settings {
    fn default() -> Self {
        let file = File::default();
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            archive: String::new(),
            adopt: false,
            pass_over_damage: false,
            kubeconfig: None,
            context: None,
            listen: file.listen,
            namespaces: Vec::new(),
            exclude: Vec::new(),
            encryption: file.encryption,
            capture: file.capture,
            timing: file.timing,
            limits: file.limits,
            log: file.log,
        }
    }
}

impl Settings {
    /// Puts flags (which clap has filled from the environment where they are missing) over the file.
    ///
    /// # Errors
    /// [`SettingsError`] if the file cannot be used or a value is not allowed.
    pub fn load(flags: Flags) -> Result<Self, SettingsError> {
        let file = flags.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let settings = Self::merge(flags, file);
        settings.check()?;
        Ok(settings)
    }

    /// As [`Self::load`], for a process that maintains and does not capture: what concerns capture alone is not checked.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_for_maintenance(flags: Flags) -> Result<Self, SettingsError> {
        let file = flags.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let settings = Self::merge(flags, file);
        settings.check_archive()?;
        Ok(settings)
    }

    /// Flag over file, one line per setting.
    fn merge(flags: Flags, file: File) -> Self {
        let (mut capture, mut timing, mut log) = (file.capture, file.timing, file.log);
        let mut encryption = file.encryption;
        if !flags.recipients.is_empty() {
            encryption.recipients = flags.recipients;
        }
        if !flags.identities.is_empty() {
            encryption.identities = flags.identities;
        }
        encryption.fingerprint = flags.fingerprint.or(encryption.fingerprint);
        encryption.single_recipient |= flags.single_recipient;
        capture.secrets = flags.secrets.or(capture.secrets);
        capture.managed_fields = flags.managed_fields.unwrap_or(capture.managed_fields);
        timing.watch = flags.watch_timeout.unwrap_or(timing.watch);
        timing.linger = flags.linger.unwrap_or(timing.linger);
        timing.heartbeat = flags.heartbeat.unwrap_or(timing.heartbeat);
        timing.discovery = flags.discovery.unwrap_or(timing.discovery);
        timing.audit = flags.audit.unwrap_or(timing.audit);
        timing.maintain = flags.maintain_every.or(timing.maintain);
        log.filter = flags.log.unwrap_or(log.filter);
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            archive: flags.archive.or(file.archive).unwrap_or_default(),
            adopt: flags.adopt || file.adopt,
            pass_over_damage: flags.pass_over_damage || file.pass_over_damage,
            kubeconfig: flags.kubeconfig.or(file.kubeconfig),
            context: flags.context.or(file.context),
            listen: flags.listen.unwrap_or(file.listen),
            namespaces: if flags.namespaces.is_empty() { file.namespaces } else { flags.namespaces },
            exclude: if flags.exclude.is_empty() { file.exclude } else { flags.exclude },
            encryption,
            capture,
            timing,
            limits: file.limits,
            log,
        }
    }

    fn check_archive(&self) -> Result<(), SettingsError> {
        match self.archive.is_empty() {
            true => Err(SettingsError::invalid(
                "no archive is named",
                "give --archive URL, VMREWIND_ARCHIVE, or `archive:` in the file.",
            )),
            false => self.encryption.told().and_then(|_| self.encryption.pin()).map(drop),
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        let invalid = |what: &str, hint: &str| Err(SettingsError::invalid(what, hint));
        self.check_archive()?;
        let remote = ["s3://", "gs://", "az://"].iter().any(|scheme| self.archive.starts_with(scheme));
        if remote && self.capture.secrets.is_none() && self.encryption.recipients.is_empty() {
            return invalid(
                "readable Secrets would go to a remote store, and nobody has said so",
                "write `capture: {secrets: store}` (or --secrets=store) if that is meant, else `skip`; or encrypt the archive \
                 (docs/watcher.md).",
            );
        }
        if self.timing.maintain.is_some_and(|every| every.duration().is_zero()) {
            return invalid("timing.maintain is zero", "give a duration like 1m, or leave it out.");
        }
        if self.timing.watch.duration() < std::time::Duration::from_secs(3) {
            return invalid(
                "timing.watch is below 3s",
                "the server sends its last bookmark two seconds before the end.",
            );
        }
        Ok(())
    }

    /// Tells whether `exclude` names a resource.
    #[must_use]
    pub fn excludes(&self, plural: &str, group: &str) -> bool {
        self.exclude.iter().any(|name| match name.split_once('.') {
            Some((resource, of)) => resource == plural && of == group,
            None => name == plural && group.is_empty(),
        })
    }

    /// Returns the settings as YAML, which can be used as a file.
    ///
    /// # Errors
    /// [`SettingsError`] if that is not possible.
    pub fn to_yaml(&self) -> Result<String, SettingsError> {
        serde_saphyr::to_string(self).map_err(|error| SettingsError::invalid(&error.to_string(), ""))
    }
}

#[cfg(test)]
mod tests;
