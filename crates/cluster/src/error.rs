//! What can go wrong in a conversation with an API server, and what the operator can do about it.

use std::{path::PathBuf, time::Duration};

/// Why a call to the API server did not do what it should.
///
/// `call` says which call it was in a few words, for example `list secrets in namespace prod`. Words of the server are
/// passed on without the values it quotes. No variant ever holds content of an object.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is neither a kubeconfig nor a service account.
    #[error("no kubeconfig was found (looked for {}), and this is no pod with a service account", looked_for(.tried))]
    NoKubeconfig {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// A kubeconfig is there, but cannot be used.
    #[error("kubeconfig {} cannot be used: {reason}", .path.display())]
    Kubeconfig {
        /// The file (the first one, where `KUBECONFIG` names several).
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The kubeconfig has no such context.
    #[error("the kubeconfig has no context {name:?}{}", known_contexts(.known))]
    UnknownContext {
        /// The context asked for; empty if none was asked for and none is current.
        name: String,
        /// The contexts it has.
        known: Vec<String>,
    },
    /// The options of the connection contradict each other or cannot be sent.
    #[error("{reason}")]
    Options {
        /// What is wrong with them.
        reason: String,
    },
    /// The credentials could not be obtained, for example because an exec plugin failed.
    #[error("credentials for the API server could not be obtained: {reason}")]
    Credentials {
        /// What went wrong.
        reason: String,
    },
    /// The server's certificate is not trusted, or ours is unusable.
    #[error("{call}: the TLS certificate was refused: {reason}")]
    Certificate {
        /// The call.
        call: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or it broke before the answer was complete. A write may have happened.
    #[error("{call}: the API server cannot be reached: {reason}")]
    Unreachable {
        /// The call.
        call: String,
        /// What the network says.
        reason: String,
    },
    /// No complete answer in time. A write may have happened.
    #[error("{call}: no answer within {} s", .after.as_secs())]
    Timeout {
        /// The call.
        call: String,
        /// How long was waited.
        after: Duration,
    },
    /// 401: the server does not know who we are.
    #[error("{call}: the API server does not accept the credentials (401)")]
    Unauthorized {
        /// The call.
        call: String,
    },
    /// 403: we may not do that, or an admission policy refuses it.
    #[error("{call}: forbidden (403): {message}")]
    Forbidden {
        /// The call.
        call: String,
        /// The verb, as roles spell it.
        verb: &'static str,
        /// The resource, as `plural.group`.
        resource: String,
        /// The namespace, empty for all.
        namespace: String,
        /// What the server says.
        message: String,
    },
    /// 404: the object, its namespace or its type does not exist.
    #[error("{call}: not found (404)")]
    NotFound {
        /// The call.
        call: String,
    },
    /// 409: an object of that name exists.
    #[error("{call}: it exists already (409)")]
    AlreadyExists {
        /// The call.
        call: String,
    },
    /// 409: the object is not in the state that the write expected (uid, version, fields of another owner).
    #[error("{call}: conflict (409): {message}")]
    Conflict {
        /// The call.
        call: String,
        /// What the server says.
        message: String,
    },
    /// 410: the server has no history back to that version any more.
    #[error("{call}: the server has forgotten that version (410)")]
    Gone {
        /// The call.
        call: String,
    },
    /// The pages of a list never belonged to one version, however often it was started again.
    #[error("{call}: {attempts} attempts gave no list that belongs to one version")]
    Inconsistent {
        /// The call.
        call: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// 400, 405, 413, 415 or 422: the server does not take the object or the request.
    #[error("{call}: refused ({status}): {}", reasons(.message, .causes))]
    Invalid {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// What the server says.
        message: String,
        /// Which fields it objects to.
        causes: Vec<Cause>,
    },
    /// 429: the server asks for less.
    #[error("{call}: too many requests (429)")]
    TooMany {
        /// The call.
        call: String,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// 5xx or a status that has no meaning here. A write may have happened, above all at 504.
    #[error("{call}: the server failed ({status}): {message}")]
    Server {
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// What the server says.
        message: String,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the API promises. Most often something that is no API server answers.
    #[error("{call}: the answer makes no sense: {reason}")]
    Protocol {
        /// The call.
        call: String,
        /// What is wrong with it, without its content.
        reason: String,
    },
}

/// A field that the server objects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The path of the field, for example `spec.template.spec.domain`; may be empty.
    pub field: String,
    /// The machine-readable reason, for example `FieldValueRequired`.
    pub reason: String,
    /// The words of the server, without values.
    pub message: String,
}

/// What the operator must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Try again later.
    Unavailable,
    /// Grant a right, or give other credentials.
    Denied,
    /// Fix the input or the configuration.
    Invalid,
    /// It does not exist.
    NotFound,
    /// Something else is there, or changed it meanwhile.
    Conflict,
    /// The version asked for is forgotten: read the present state instead.
    Gone,
    /// Report it.
    Bug,
}

impl ClusterError {
    /// Says what the operator must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::TooMany { .. }
            | Self::Server { .. }
            | Self::Inconsistent { .. } => ErrorKind::Unavailable,
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::Credentials { .. } => ErrorKind::Denied,
            Self::NoKubeconfig { .. }
            | Self::Kubeconfig { .. }
            | Self::UnknownContext { .. }
            | Self::Options { .. }
            | Self::Certificate { .. }
            | Self::Invalid { .. }
            | Self::Protocol { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Gone { .. } => ErrorKind::Gone,
        }
    }

    /// Tells whether a write that ended so may have happened nevertheless: read before writing again.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::Server { .. } | Self::Protocol { .. })
    }

    /// Returns how long the server asks us to wait before we try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Says what to do next, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoKubeconfig { .. } => {
                "Give --kubeconfig FILE, set KUBECONFIG, or run it in a pod with a service account.".to_owned()
            }
            Self::Kubeconfig { path, .. } => {
                format!("Look at it with `kubectl --kubeconfig {} config view`.", path.display())
            }
            Self::UnknownContext { name, .. } if name.is_empty() => {
                "Choose one with --context, or `kubectl config use-context NAME`.".to_owned()
            }
            Self::UnknownContext { .. } => "`kubectl config get-contexts` lists them.".to_owned(),
            Self::Options { .. } | Self::NotFound { .. } => return None,
            Self::Credentials { .. } => {
                "`kubectl auth whoami` with the same kubeconfig shows whether the credentials still work.".to_owned()
            }
            Self::Certificate { .. } => {
                "Check certificate-authority and server in the kubeconfig: the certificate must be signed by the one \
                 and made out to the other."
                    .to_owned()
            }
            Self::Unreachable { .. } => {
                "Check that the server in the kubeconfig is right and up: `kubectl get --raw /readyz`.".to_owned()
            }
            Self::Timeout { .. } => "The server or the way to it is overloaded; try again.".to_owned(),
            Self::Unauthorized { .. } => {
                "The token or client certificate has expired or belongs to another cluster: log in again.".to_owned()
            }
            Self::Forbidden { verb, resource, namespace, .. } => {
                let place = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
                format!("If this is a matter of rights, `kubectl auth can-i {verb} {resource}{place}` says no: grant it by a role.")
            }
            Self::AlreadyExists { .. } => "Choose another name or another way to treat conflicts.".to_owned(),
            Self::Conflict { .. } => "Somebody changed it meanwhile: read it again and repeat.".to_owned(),
            Self::Gone { .. } => "Read the present state and go on from there.".to_owned(),
            Self::Inconsistent { .. } => "The server forgets faster than it can be read: try again.".to_owned(),
            Self::Invalid { .. } => "The type's schema or an admission policy of this cluster does not take it.".to_owned(),
            Self::TooMany { .. } => "Try again later.".to_owned(),
            Self::Server { .. } => "Look at the API server's log, and at webhooks and aggregated APIs it calls.".to_owned(),
            Self::Protocol { .. } => {
                "Check that the server in the kubeconfig is a Kubernetes API server (1.30 or newer), not a proxy's page.".to_owned()
            }
        })
    }
}

fn looked_for(tried: &[PathBuf]) -> String {
    let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
    if tried.is_empty() { "nothing: HOME is not set".to_owned() } else { tried.join(", ") }
}

fn known_contexts(known: &[String]) -> String {
    if known.is_empty() { "; it has none at all".to_owned() } else { format!("; it has {}", known.join(", ")) }
}

fn reasons(message: &str, causes: &[Cause]) -> String {
    if causes.is_empty() {
        return message.to_owned();
    }
    let causes: Vec<_> = causes
        .iter()
        .map(
            |Cause { field, message, .. }| {
                if field.is_empty() { message.clone() } else { format!("{field}: {message}") }
            },
        )
        .collect();
    causes.join("; ")
}
