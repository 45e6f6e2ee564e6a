//! `vmrewind-watcher`: wiring of clock, randomness, settings, signals and exit code.
//!
//! Does not: decide anything.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use vmrewind_archive::{Cpu, Store};
use vmrewind_cluster::{Cluster, ConnectOptions};
use vmrewind_model::Timestamp;
use vmrewind_watcher::{
    driver::{Clock, Entropy, Watcher, open_existing_store, open_store},
    error::WatcherError,
    maintaining::{self, MaintainFlags, Maintainer},
    report::Report,
    serve,
    settings::{Flags, Settings},
};

/// Captures every change to virtual machines and all they depend on into an archive.
#[derive(Parser)]
#[command(name = "vmrewind-watcher", version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Captures until it is told to stop (SIGTERM, SIGINT).
    Run(Box<Flags>),
    /// Rolls the log up into history, so that reading takes few requests. Safe to stop anywhere and to run twice at once.
    Maintain(MaintainFlags),
    /// Prints the settings that `run` would use, as a configuration file.
    Config(Box<Flags>),
    /// Prints the version.
    Version,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(flags) => Settings::load(*flags).map_err(WatcherError::from).and_then(run),
        Command::Maintain(flags) => maintain(&flags),
        Command::Config(flags) => {
            Settings::load(*flags).and_then(|settings| settings.to_yaml()).map_err(Into::into).map(|text| say(&text))
        }
        Command::Version => {
            say(concat!("vmrewind-watcher ", env!("CARGO_PKG_VERSION"), "\n"));
            Ok(())
        }
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    complain(&format!("Error: {error}\n"));
    if let Some(hint) = error.hint() {
        complain(&format!("Hint: {hint}\n"));
    }
    ExitCode::from(error.exit_code())
}

fn say(text: &str) {
    // Whoever closed the pipe does not want to know more.
    if std::io::stdout().write_all(text.as_bytes()).is_err() {}
}

fn complain(text: &str) {
    if std::io::stderr().write_all(text.as_bytes()).is_err() {}
}

fn run(settings: Settings) -> Result<(), WatcherError> {
    log(&settings.log.filter);
    on_runtime(capture(settings))
}

fn maintain(flags: &MaintainFlags) -> Result<(), WatcherError> {
    let (settings, pause) = (Settings::load_for_maintenance(flags.shared())?, flags.pause()?);
    log(&settings.log.filter);
    on_runtime(async {
        let maintainer = maintainer(open_existing_store(&settings)?, &settings);
        if flags.once {
            say(&maintaining::summary(&maintainer.once().await?));
            return Ok(());
        }
        let stop = CancellationToken::new();
        let signals = tokio::spawn(await_signal(stop.clone()));
        maintainer.again_and_again(pause, &stop).await;
        signals.abort();
        Ok(())
    })
}

fn maintainer(store: Store, settings: &Settings) -> Maintainer {
    let encryption = settings.encryption.clone();
    Maintainer { store, clock: Arc::new(wall), entropy: entropy(), cpu: Cpu::Blocking, encryption }
}

fn log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info,kube_client=error"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn on_runtime(work: impl Future<Output = Result<(), WatcherError>>) -> Result<(), WatcherError> {
    vmrewind_cluster::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| WatcherError::Bug(format!("no runtime: {error}")))?;
    let result = runtime.block_on(work);
    // A blocked file system must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

async fn capture(settings: Settings) -> Result<(), WatcherError> {
    let stop = CancellationToken::new();
    let (clock, steady): (Clock, Clock) = (Arc::new(wall), steady());
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|source| WatcherError::Listen { address: settings.listen, source })?;
    let address = listener.local_addr().map_or_else(|_| settings.listen.to_string(), |address| address.to_string());
    tracing::info!(address, version = env!("CARGO_PKG_VERSION"), "serving");
    let (reports, latest) = watch::channel(Report::default());
    let server = tokio::spawn(serve::serve(listener, latest, (clock.clone(), steady.clone()), stop.clone()));
    let signals = tokio::spawn(await_signal(stop.clone()));
    let options = ConnectOptions {
        kubeconfig: settings.kubeconfig.clone(),
        context: settings.context.clone(),
        ..ConnectOptions::from_env()
    };
    let store = open_store(&settings)?;
    let maintenance = settings.timing.maintain.map(|every| {
        let (maintainer, stop) = (maintainer(store.clone(), &settings), stop.clone());
        tokio::spawn(async move { maintainer.again_and_again(every.duration(), &stop).await })
    });
    let watcher = Watcher {
        cluster: Cluster::connect(&options).await?,
        store,
        settings,
        clock,
        steady,
        entropy: entropy(),
        cpu: Cpu::Blocking,
    };
    let result = watcher.run(reports, stop.clone()).await;
    stop.cancel();
    signals.abort();
    if let Some(maintenance) = maintenance {
        // It was told to stop, and nothing of it is ever half done.
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(1), maintenance).await {
            tracing::error!(%error, "maintenance ended");
        }
    }
    if let Ok(Ok(Err(error))) = tokio::time::timeout(Duration::from_secs(1), server).await {
        tracing::warn!(%error, "the port failed");
    }
    result
}

async fn await_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received; only SIGKILL will end this process");
        return;
    };
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "told to stop");
    stop.cancel();
}

/// Begins at the wall clock and from then on only counts the time that passes, sleep of the machine included.
fn steady() -> Clock {
    let began = (wall(), awake());
    Arc::new(move || began.0.plus(awake().saturating_sub(began.1)))
}

#[allow(clippy::disallowed_methods, reason = "the one place where the real clock is read")]
fn wall() -> Timestamp {
    Timestamp::try_from(jiff::Timestamp::now()).unwrap_or(Timestamp::MIN)
}

fn awake() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[allow(clippy::disallowed_methods, reason = "the one place where randomness is drawn")]
fn entropy() -> Entropy {
    Arc::new(|| {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        bytes
    })
}
