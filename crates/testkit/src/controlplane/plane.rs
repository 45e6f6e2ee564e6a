//! Starting, stopping and breaking a control plane.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Lifetime, Process, binaries, etcd,
    files::{ADMIN, Layout, copy_directory, new_directory},
    flags,
    ports::free_port,
};
use crate::wait::{Seen, wait_for};

/// How long a program may take to be ready; it takes about three seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a control plane should be like. The default has one user with all rights.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Further users, with what they may do.
    pub users: Vec<User>,
    /// Custom resource definitions that exist before the controllers start. The garbage collector looks for new types
    /// only every 30 seconds, so that deletes of types installed later cascade with that delay.
    pub crds: Vec<Value>,
    /// Leave out the controller manager: nothing is garbage collected, namespaces never end.
    pub without_controllers: bool,
    /// Further flags of the API server, for example `--watch-cache-sizes=…`.
    pub apiserver_flags: Vec<String>,
    /// Whether it ends with the process that started it.
    pub lifetime: Lifetime,
}

/// A user, known to the API server by a token.
#[derive(Clone, Debug)]
pub struct User {
    /// The name; lower-case letters, digits and `-`.
    pub name: String,
    /// Rules of a `ClusterRole` of its own, for example `{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}`.
    pub rules: Vec<Value>,
}

/// One program of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
}

/// A state of the storage, to go back to.
#[derive(Debug)]
pub struct Snapshot {
    directory: TempDir,
    revision: u64,
}

impl Snapshot {
    /// Returns the storage's newest revision at the time it was taken.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

/// A running control plane. Dropping it ends its programs and removes its directory, unless it is detached.
#[derive(Debug)]
pub struct ControlPlane {
    // The order in which these are dropped: what uses another one first.
    controllers: Option<Process>,
    apiserver: Option<Process>,
    etcd: Option<Process>,
    directory: Option<TempDir>,
    layout: Layout,
    programs: PathBuf,
    options: Options,
    etcd_port: u16,
    port: u16,
}

impl ControlPlane {
    /// Starts a control plane and waits until it answers, definitions are served and users have their rights.
    ///
    /// # Errors
    /// If the programs cannot be had or do not get ready; the message ends with the last words of the culprit.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        const TRIES: u32 = 4;
        let programs = binaries().await?;
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_start(&programs, &options).await {
                Ok(plane) => return Ok(plane),
                // Somebody took a port between our look and its use.
                Err(error) if format!("{error:#}").contains("address already in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow!("no attempt was made")))
    }

    async fn try_start(programs: &Path, options: &Options) -> anyhow::Result<Self> {
        let directory = new_directory(options.lifetime)?;
        let layout = Layout { root: directory.path().to_owned() };
        layout.write(&options.users)?;
        let mut plane = Self {
            controllers: None,
            apiserver: None,
            etcd: None,
            layout,
            programs: programs.to_owned(),
            options: options.clone(),
            etcd_port: free_port()?,
            port: free_port()?,
            directory: Some(directory),
        };
        for user in std::iter::once(ADMIN).chain(options.users.iter().map(|user| user.name.as_str())) {
            plane.layout.write_kubeconfig(user, &plane.url())?;
        }
        if let Err(error) = plane.bring_up().await {
            // What is detached does not end by being dropped.
            plane.kill_all()?;
            return Err(error);
        }
        if options.lifetime == Lifetime::Detached
            && let Some(directory) = plane.directory.take()
        {
            plane.layout.root = directory.keep();
        }
        Ok(plane)
    }

    async fn bring_up(&mut self) -> anyhow::Result<()> {
        // The API server waits for etcd by itself, and they take their time side by side.
        self.spawn(Component::Etcd)?;
        self.spawn(Component::ApiServer)?;
        self.wait_until_ready().await?;
        let options = self.options.clone();
        for user in &options.users {
            self.grant(&user.name, &user.rules).await?;
        }
        self.install_crds(&options.crds).await?;
        if !options.without_controllers {
            self.spawn(Component::ControllerManager)?;
        }
        Ok(())
    }

    /// Ends all programs and removes the directory, also where they are detached.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn shut_down(mut self) -> anyhow::Result<()> {
        self.kill_all()?;
        self.directory = None;
        match std::fs::remove_dir_all(&self.layout.root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("removing the directory"),
            _ => Ok(()),
        }
    }

    fn kill_all(&mut self) -> anyhow::Result<()> {
        for component in [Component::ControllerManager, Component::ApiServer, Component::Etcd] {
            self.kill_9(component)?;
        }
        Ok(())
    }

    /// Returns the URL of the API server, for example `https://127.0.0.1:12345`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the port of the API server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the port on which etcd serves clients.
    #[must_use]
    pub fn etcd_port(&self) -> u16 {
        self.etcd_port
    }

    /// Returns the kubeconfig of the user with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig(ADMIN)
    }

    /// Returns the kubeconfig of one of the users that were asked for.
    #[must_use]
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.layout.kubeconfig(user)
    }

    /// Returns the directory with the logs and all else.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.layout.root
    }

    /// Returns a client with all rights, which does not retry by itself.
    ///
    /// # Errors
    /// If the kubeconfig cannot be read.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        self.client_of(ADMIN).await
    }

    /// Returns a client for one of the users that were asked for.
    ///
    /// # Errors
    /// If there is no such user.
    pub async fn client_of(&self, user: &str) -> anyhow::Result<kube::Client> {
        let file = kube::config::Kubeconfig::read_from(self.layout.kubeconfig(user))?;
        let mut config =
            kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?;
        config.default_retry = false;
        Ok(kube::Client::try_from(config)?)
    }

    /// Returns the process id of a program, if it runs.
    #[must_use]
    pub fn pid(&self, component: Component) -> Option<u32> {
        self.slot(component).as_ref().map(Process::pid)
    }

    /// Kills a program the hard way; what it did not store is lost. Nothing happens if it does not run.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill_9(&mut self, component: Component) -> anyhow::Result<()> {
        self.slot_mut(component).take().map_or(Ok(()), Process::kill_9)
    }

    /// Starts a program that was killed, on its old port, and waits until everything that runs is ready.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn revive(&mut self, component: Component) -> anyhow::Result<()> {
        if self.slot(component).is_none() {
            self.spawn(component)?;
        }
        self.wait_until_ready().await
    }

    /// Kills the API server and starts it again. Its watch cache is gone, so that a watch from before gets a 410
    /// unless etcd still has all events.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn restart_apiserver(&mut self) -> anyhow::Result<()> {
        self.kill_9(Component::ApiServer)?;
        self.revive(Component::ApiServer).await
    }

    /// Makes etcd forget all revisions before the newest, and returns that one. Reads at an exact older version fail
    /// from then on; the API server's watch cache still has its events until it is restarted.
    ///
    /// # Errors
    /// If etcd refuses.
    pub async fn compact_etcd(&self) -> anyhow::Result<u64> {
        etcd::compact(self.etcd_port).await
    }

    /// Copies the storage. etcd is killed for it and revived, which ends all watches.
    ///
    /// # Errors
    /// If it cannot be copied, or etcd does not come back.
    pub async fn snapshot_etcd(&mut self) -> anyhow::Result<Snapshot> {
        let revision = etcd::revision(self.etcd_port).await?;
        self.kill_9(Component::Etcd)?;
        let directory = tempfile::Builder::new().prefix("etcd-snapshot-").tempdir_in(&self.layout.root)?;
        copy_directory(&self.layout.etcd(), &directory.path().join("etcd"))?;
        self.revive(Component::Etcd).await?;
        Ok(Snapshot { directory, revision })
    }

    /// Puts the storage back to an earlier state: what was written since never happened, and its resource versions
    /// will be used a second time. All programs are restarted, as administrators are told to.
    ///
    /// # Errors
    /// If it cannot be copied, or a program does not come back.
    pub async fn restore_etcd(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let with_controllers = self.controllers.is_some();
        self.kill_all()?;
        std::fs::remove_dir_all(self.layout.etcd()).context("removing the storage")?;
        copy_directory(&snapshot.directory.path().join("etcd"), &self.layout.etcd())?;
        self.spawn(Component::Etcd)?;
        self.spawn(Component::ApiServer)?;
        self.wait_until_ready().await?;
        if with_controllers {
            self.spawn(Component::ControllerManager)?;
        }
        Ok(())
    }

    /// Waits until etcd and the API server, as far as they run, are ready.
    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let ready = wait_for("the control plane is ready", PATIENCE, async || {
            for process in [&mut self.etcd, &mut self.apiserver].into_iter().flatten() {
                if let Some(status) = process.ended()? {
                    bail!("{} ended: {status}", process.log().display());
                }
            }
            let storage = self.etcd.is_none() || etcd::ready(self.etcd_port).await;
            // Without storage the API server cannot be ready, and that is then what was asked for.
            let serving = self.apiserver.is_none() || self.etcd.is_none() || self.apiserver_is_ready().await;
            let seen = || format!("the storage is ready: {storage}, the API server is: {serving}");
            Ok(Seen::or_not_yet((storage && serving).then_some(()), seen))
        });
        let Err(error) = ready.await else { return Ok(()) };
        let tails = [&self.etcd, &self.apiserver].into_iter().flatten();
        let tails: Vec<_> = tails.map(|process| format!("{}:\n{}", process.log().display(), process.tail())).collect();
        Err(error.context(tails.join("\n")))
    }

    async fn apiserver_is_ready(&self) -> bool {
        // The certificate appears only once the server has started, so this may fail at any step.
        let ask = async {
            let client = self.client().await?;
            let request = http::Request::get("/readyz").body(Vec::new())?;
            anyhow::Ok(client.request_text(request).await? == "ok")
        };
        matches!(tokio::time::timeout(Duration::from_secs(5), ask).await, Ok(Ok(true)))
    }

    fn spawn(&mut self, component: Component) -> anyhow::Result<()> {
        let (name, flags) = match component {
            Component::Etcd => ("etcd", flags::etcd(&self.layout, self.etcd_port)),
            Component::ApiServer => {
                let more = &self.options.apiserver_flags;
                ("kube-apiserver", flags::apiserver(&self.layout, self.etcd_port, self.port, more))
            }
            Component::ControllerManager => ("kube-controller-manager", flags::controller_manager(&self.layout)),
        };
        let mut command = Command::new(self.programs.join(name));
        command.args(flags).current_dir(&self.layout.root);
        let process = Process::start(name, command, &self.layout.log(name), self.options.lifetime)?;
        *self.slot_mut(component) = Some(process);
        Ok(())
    }

    fn slot(&self, component: Component) -> &Option<Process> {
        match component {
            Component::Etcd => &self.etcd,
            Component::ApiServer => &self.apiserver,
            Component::ControllerManager => &self.controllers,
        }
    }

    fn slot_mut(&mut self, component: Component) -> &mut Option<Process> {
        match component {
            Component::Etcd => &mut self.etcd,
            Component::ApiServer => &mut self.apiserver,
            Component::ControllerManager => &mut self.controllers,
        }
    }
}
