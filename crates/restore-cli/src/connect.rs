//! The connection to the cluster that the flags name.
//!
//! Does not: connect before a command needs it.

use vmrewind_cluster::{Cluster, ClusterError, ConnectOptions, ErrorKind};

use crate::{
    context::Ctx,
    error::{CliError, Kind, chain},
};

impl Ctx {
    /// Connects to the cluster that the flags or the kubeconfig name. Says nothing and sends nothing yet.
    ///
    /// # Errors
    /// If no cluster is named, or the kubeconfig cannot be used.
    pub(crate) async fn cluster(&self) -> Result<Cluster, CliError> {
        let options = ConnectOptions {
            kubeconfig: self.global.kubeconfig.clone(),
            context: self.global.context.clone(),
            impersonate_user: self.global.as_user.clone(),
            impersonate_groups: self.global.as_group.clone(),
            ..ConnectOptions::from_env()
        };
        Ok(Cluster::connect(&options).await?)
    }
}

impl From<ClusterError> for CliError {
    fn from(error: ClusterError) -> Self {
        let kind = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Denied | ErrorKind::Gone => Kind::Unavailable,
            ErrorKind::Invalid | ErrorKind::NotFound => Kind::Usage,
            ErrorKind::Conflict => Kind::Conflict,
            ErrorKind::Bug => Kind::Bug,
        };
        Self::new(kind, chain(&error)).maybe_hint(error.hint())
    }
}
