//! The configuration file.
//!
//! Does not: accept a field that it does not know.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{API_VERSION, Bytes, KIND, Span};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SettingsError {
    what: String,
    hint: String,
}

impl SettingsError {
    pub(crate) fn invalid(what: &str, hint: &str) -> Self {
        Self { what: what.to_owned(), hint: hint.to_owned() }
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }
}

/// The file, with defaults for what it does not say.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct File {
    /// `vmrewind.io/v1alpha1`.
    pub api_version: String,
    /// `WatcherConfig`.
    pub kind: String,
    /// Where the archive is or is to be: a directory, or s3://, gs://, az:// and a bucket.
    pub archive: Option<String>,
    /// Go on in an archive that another cluster began.
    pub adopt: bool,
    /// Go on behind damaged segments of the archive, with a gap for every resource, of which everything is listed anew.
    pub pass_over_damage: bool,
    /// The kubeconfig; without one, `KUBECONFIG`, `~/.kube/config`, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    pub context: Option<String>,
    /// Where /healthz, /readyz and /metrics are served; port 0 takes a free one. Default `0.0.0.0:8080`.
    pub listen: SocketAddr,
    /// The namespaces to capture; all if empty. Kinds without a namespace are always captured.
    pub namespaces: Vec<String>,
    /// Resources that are not captured, as `plural.group`.
    pub exclude: Vec<String>,
    /// Whether the archive is encrypted, and to whom.
    pub encryption: Encryption,
    /// What is recorded of objects.
    pub capture: Capture,
    /// How long things take.
    pub timing: Timing,
    /// How much there may be.
    pub limits: Limits,
    /// What is logged.
    pub log: Logging,
}

impl Default for File {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            archive: None,
            adopt: false,
            pass_over_damage: false,
            kubeconfig: None,
            context: None,
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            namespaces: Vec::new(),
            exclude: Vec::new(),
            encryption: Encryption::default(),
            capture: Capture::default(),
            timing: Timing::default(),
            limits: Limits::default(),
            log: Logging::default(),
        }
    }
}

/// Whether the archive is encrypted, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Encryption {
    /// Whom the archive is encrypted to: age recipients (`age1…`), at least two. An archive that is encrypted to others, or not at
    /// all, is not written to. Default: nobody, and the archive is not encrypted.
    pub recipients: Vec<String>,
    /// A single recipient is enough: with its key, everything is lost.
    pub single_recipient: bool,
    /// The fingerprint of the archive's key, as the watcher logs it and `kubectl vmrewind key list` shows it: another archive for the
    /// same recipients is not written to, and no new one is made. Default: any.
    pub fingerprint: Option<String>,
    /// Files with age identities, one of which opens the archive: needed to start again and to roll up.
    pub identities: Vec<PathBuf>,
}

/// What is recorded of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capture {
    /// Whether the content of Secrets is recorded. Must be said for a remote store; else `store`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Whether `metadata.managedFields` are recorded: who changed which field. Default `keep`.
    pub managed_fields: ManagedFields,
    /// How long a Secret, ConfigMap or ServiceAccount is followed after nothing names it any more, so that its
    /// deletion shortly after its machine's is seen. Default `5m`.
    pub unfollow_after: Span,
}

impl Default for Capture {
    fn default() -> Self {
        Self { secrets: None, managed_fields: ManagedFields::Keep, unfollow_after: Span::seconds(300) }
    }
}

/// Whether the content of Secrets is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Secrets {
    /// It is, readable for everybody who can read the archive.
    Store,
    /// It is if the archive is encrypted; else only that and when they change.
    EncryptOnly,
    /// Only that and when they change.
    Skip,
}

/// Whether `metadata.managedFields` are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ManagedFields {
    /// They are.
    Keep,
    /// They are taken out before an object is recorded.
    Drop,
}

/// How long things take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timing {
    /// How long a watch lasts. The server's last bookmark comes two seconds before its end, which bounds the age of
    /// the proof of what never changes. Default `50s`, at least `3s`.
    pub watch: Span,
    /// While objects change, how old the proof of what does not change may get: its watch is then renewed this often.
    /// Default `6s`.
    pub proof: Span,
    /// How long a watch lasts that has to catch up. Default `4s`.
    pub catch_up: Span,
    /// After how long a request counts as unanswered. Default `15s`.
    pub request: Span,
    /// How long a change waits for others before it is committed. Default `250ms`.
    pub linger: Span,
    /// How much longer it waits for an object that it names. Default `750ms`.
    pub hold: Span,
    /// How long the archive stays silent at most: then a heartbeat carries the proof forward. Default `1m`.
    pub heartbeat: Span,
    /// How often it is looked which types are served; changes of definitions are noticed at once. Default `30s`.
    pub discovery: Span,
    /// How long a type must be missing before it counts as removed. Default `20s`.
    pub removed_after: Span,
    /// How often each resource is listed to check its watch (with jitter, half of that at least). Default `6h`.
    pub audit: Span,
    /// How often a refused resource is tried again. Default `30s`.
    pub denied_retry: Span,
    /// When a resource that cannot be read is called stalled. Default `1m`.
    pub stalled_after: Span,
    /// How often this process also maintains the archive, as `maintain --loop` does. Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintain: Option<Span>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            watch: Span::seconds(50),
            proof: Span::seconds(6),
            catch_up: Span::seconds(4),
            request: Span::seconds(15),
            linger: Span::millis(250),
            hold: Span::millis(750),
            heartbeat: Span::seconds(60),
            discovery: Span::seconds(30),
            removed_after: Span::seconds(20),
            audit: Span::seconds(6 * 3600),
            denied_retry: Span::seconds(30),
            stalled_after: Span::seconds(60),
            maintain: None,
        }
    }
}

/// How much there may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// When this much waits for the store, watches are closed and resumed later. Default `64MiB`.
    pub buffer: Bytes,
    /// A segment is cut at this size after compression. Default `4MiB`.
    pub segment: Bytes,
    /// A segment is cut at this size before compression. Default `48MiB`, which is the most a segment may hold.
    pub segment_raw: Bytes,
}

impl Default for Limits {
    fn default() -> Self {
        Self { buffer: Bytes(64 << 20), segment: Bytes(4 << 20), segment_raw: Bytes(48 << 20) }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logging {
    /// Which events, as in `RUST_LOG`. Default `info,kube_client=error`.
    pub filter: String,
}

impl Default for Logging {
    fn default() -> Self {
        Self { filter: "info,kube_client=error".to_owned() }
    }
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SettingsError`] if it is not there, is no YAML, or holds something that is not known.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let place = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            SettingsError::invalid(&format!("the configuration {place} cannot be read: {error}"), "check --config.")
        })?;
        Self::parse(&text).map_err(|error| SettingsError { what: format!("{place}: {}", error.what), ..error })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let file: Self = serde_saphyr::from_str(text).map_err(|error| {
            let what = error.to_string();
            let what = what.lines().next().unwrap_or_default().trim_start_matches("error: ");
            SettingsError::invalid(what, &nearest(what).unwrap_or_else(|| "docs/watcher.md lists the fields.".into()))
        })?;
        if file.api_version != API_VERSION || file.kind != KIND {
            let what = format!("this is {} {}, not {API_VERSION} {KIND}", file.api_version, file.kind);
            return Err(SettingsError::invalid(&what, "give the file of the watcher."));
        }
        Ok(file)
    }
}

/// Finds the field that an unknown one was probably meant to be, in "unknown field `x`, expected one of a, b".
fn nearest(message: &str) -> Option<String> {
    let (_, rest) = message.lines().next()?.split_once("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let (_, known) = rest.split_once("expected ")?;
    let known = known.trim_start_matches("one of ").split(", ").map(|name| name.trim_matches('`'));
    let nearest = known.min_by_key(|name| distance(unknown, name))?;
    Some(format!("did you mean `{nearest}`?"))
}

/// The edit distance of two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
