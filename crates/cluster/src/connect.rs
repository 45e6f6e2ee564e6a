//! From a kubeconfig, or a pod's service account, to a connection.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::{Cluster, ClusterError};

/// How long a connection may take to come about.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Where the cluster is and who we are, in the words of kubectl's flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// `--kubeconfig`: this file, in place of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The value of the environment variable `KUBECONFIG`: files, separated as in `PATH`.
    pub kubeconfig_env: Option<OsString>,
    /// The user's home directory, for `.kube/config` in it.
    pub home: Option<PathBuf>,
    /// Whether a pod's service account will do where there is no kubeconfig.
    pub in_cluster: bool,
    /// `--context`: this one in place of the current one.
    pub context: Option<String>,
    /// `--as`: the user to act as.
    pub impersonate_user: Option<String>,
    /// `--as-group`: the groups to act as.
    pub impersonate_groups: Vec<String>,
}

impl ConnectOptions {
    /// Takes the places where a kubeconfig is looked for from the environment; a service account will do, too.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            kubeconfig_env: std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()),
            home: std::env::home_dir(),
            in_cluster: true,
            ..Self::default()
        }
    }

    /// The files to read, in order of priority.
    fn files(&self) -> Vec<PathBuf> {
        if let Some(file) = &self.kubeconfig {
            return vec![file.clone()];
        }
        if let Some(value) = &self.kubeconfig_env {
            let files: Vec<_> = std::env::split_paths(value).filter(|path| !path.as_os_str().is_empty()).collect();
            if !files.is_empty() {
                return files;
            }
        }
        self.home.iter().map(|home| home.join(".kube/config")).collect()
    }
}

/// Chooses the cryptography behind TLS for the process: ring. To be called before the first connection; calling it
/// again does nothing.
pub fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none()
        && rustls::crypto::ring::default_provider().install_default().is_err()
    {
        // Another thread was faster; there is a provider either way.
    }
}

impl Cluster {
    /// Makes a connection from a kubeconfig or, where none is found and none was named, from the service account of the
    /// pod. Nothing is sent yet: the first call tells whether the server answers.
    ///
    /// # Errors
    /// [`ClusterError::NoKubeconfig`], [`ClusterError::Kubeconfig`], [`ClusterError::UnknownContext`],
    /// [`ClusterError::Options`] for groups without a user, [`ClusterError::Credentials`] if what the kubeconfig names
    /// cannot be used.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ClusterError> {
        let mut config = load(options).await?;
        // Who calls decides what is done twice; and kube would go on for hours.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_PATIENCE);
        impersonate(&mut config, options)?;
        let client = kube::Client::try_from(config).map_err(|error| match error {
            kube::Error::Auth(error) => ClusterError::Credentials { reason: error.to_string() },
            other => ClusterError::Kubeconfig {
                path: options.files().into_iter().next().unwrap_or_default(),
                reason: other.to_string(),
            },
        })?;
        Ok(Self::from_client(client))
    }
}

async fn load(options: &ConnectOptions) -> Result<kube::Config, ClusterError> {
    let files = options.files();
    let first = files.first().cloned().unwrap_or_default();
    let unusable = |path: &Path, error: &KubeconfigError| ClusterError::Kubeconfig {
        path: path.to_owned(),
        reason: explain(error),
    };
    let named = options.kubeconfig.is_some();
    let mut merged: Option<Kubeconfig> = None;
    for file in &files {
        // As for kubectl, a file in KUBECONFIG that does not exist is not an error, one named by a flag is.
        if !named && !file.exists() {
            continue;
        }
        let read = Kubeconfig::read_from(file).map_err(|error| unusable(file, &error))?;
        merged = Some(match merged.take() {
            Some(earlier) => earlier.merge(read).map_err(|error| unusable(file, &error))?,
            None => read,
        });
    }
    let Some(kubeconfig) = merged else {
        let service_account = options.in_cluster.then(kube::Config::incluster).and_then(Result::ok);
        return service_account.ok_or(ClusterError::NoKubeconfig { tried: files });
    };
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let chosen = options.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    if !known.contains(&chosen) {
        return Err(ClusterError::UnknownContext { name: chosen, known });
    }
    let choice = KubeConfigOptions { context: Some(chosen), ..KubeConfigOptions::default() };
    kube::Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|error| unusable(&first, &error))
}

/// kube reads `act-as` of a kubeconfig, but does not send it.
fn impersonate(config: &mut kube::Config, options: &ConnectOptions) -> Result<(), ClusterError> {
    let (user, groups) = match &options.impersonate_user {
        Some(user) => (Some(user.clone()), options.impersonate_groups.clone()),
        None if !options.impersonate_groups.is_empty() => {
            return Err(ClusterError::Options {
                reason: "--as-group needs --as: groups alone cannot be acted as".to_owned(),
            });
        }
        None => (config.auth_info.impersonate.clone(), config.auth_info.impersonate_groups.clone().unwrap_or_default()),
    };
    let Some(user) = user else { return Ok(()) };
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| ClusterError::Options { reason: format!("{text:?} cannot be sent as a user or a group") })
    };
    config.headers.push((HeaderName::from_static("impersonate-user"), value(&user)?));
    for group in &groups {
        config.headers.push((HeaderName::from_static("impersonate-group"), value(group)?));
    }
    Ok(())
}

/// Says what is wrong with a kubeconfig without quoting it, as it may hold tokens.
fn explain(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("it is not a kubeconfig in YAML (line {}, column {})", at.line(), at.column()),
            None => "it is not a kubeconfig in YAML".to_owned(),
        },
        other => other.to_string(),
    }
}
