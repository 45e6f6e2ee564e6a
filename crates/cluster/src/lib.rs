//! How to talk to an API server in raw bytes: discover, list, watch, get, walk back, write.
//!
//! ```text
//! Cluster (cheap to clone)
//!   connect    kubeconfig, context, impersonation -> a client that retries nothing by itself
//!   discover   which types are served, and which groups are stale
//!   list, watch, get, state_as_of     -> RawObject: the server's bytes, never a typed struct
//!   create, replace, apply, patch, delete, put_subresource
//! ```
//!
//! Every call ends in bounded time, but for the stream of a watch: whoever reads it decides when silence is a stall
//! (see [`Watch`]). Nothing is retried in here, because only callers know what may be done twice.
//!
//! Does not: know archives, keep state between calls, read a clock, or put the body of an object into an error or a log.

mod call;
mod cause;
mod connect;
mod discovery;
mod error;
mod list;
mod read;
mod redact;
mod rejected;
mod target;
mod watch;
mod write;

pub use connect::{ConnectOptions, install_crypto_provider};
pub use discovery::{Discovery, StaleGroup};
pub use error::{Cause, ClusterError, ErrorKind};
pub use list::Listing;
pub use read::{AsOf, ClusterIdentity};
pub use rejected::Rejected;
pub use target::{ServedType, Target};
pub use watch::{Watch, WatchEvent};
pub use write::{Deleted, FieldValidation, Preconditions, Propagation, WriteOptions, Written};

/// A connection to one API server. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    /// The namespace of the kubeconfig's context.
    default_namespace: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("default_namespace", &self.default_namespace).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Uses a client that was made elsewhere, for example for a fake API server. The client must not retry by itself.
    #[must_use]
    pub fn from_client(client: kube::Client) -> Self {
        let default_namespace = client.default_namespace().to_owned();
        Self { client, default_namespace }
    }

    /// Returns the namespace that commands without `-n` mean: the one of the kubeconfig's context, or `default`.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    /// Returns the client, for kube-runtime (recorders, conditions). It retries nothing by itself.
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        &self.client
    }
}
