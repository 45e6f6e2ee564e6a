//! Maintenance of an archive: once, or again and again, by itself or beside capture.
//!
//! Does not: decide what is due; the archive does.

use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;
use vmrewind_archive::{Archive, ArchiveError, Cpu, Door, Maintained, Rules, Store, maintain};

use crate::{
    driver::{Clock, Entropy, SOFTWARE, draw},
    error::WatcherError,
    settings::{Encryption, Flags, SettingsError, Span},
};

/// How often the archive is maintained if nothing is said.
const EVERY: Span = Span::seconds(60);

/// What `maintain` is told.
#[derive(Args, Clone, Debug, Default)]
pub struct MaintainFlags {
    /// Roll up what is due, say what was done, and end.
    #[arg(long, conflicts_with = "loop_", required_unless_present = "loop_")]
    pub once: bool,
    /// Do so again and again until told to stop (SIGTERM, SIGINT).
    #[arg(long = "loop", id = "loop_")]
    pub looping: bool,
    /// How long to wait between two times (1m).
    #[arg(long, value_name = "DURATION", env = "VMREWIND_MAINTAIN_EVERY", conflicts_with = "once")]
    pub every: Option<Span>,
    /// The configuration file of the watcher (YAML, `kind: WatcherConfig`): its archive and its log filter count.
    #[arg(long, value_name = "FILE", env = "VMREWIND_CONFIG")]
    pub config: Option<std::path::PathBuf>,
    /// Where the archive is: a directory, or s3://, gs://, az:// and a bucket.
    #[arg(long, value_name = "URL", env = "VMREWIND_ARCHIVE", hide_env_values = true)]
    pub archive: Option<String>,
    /// The archive is encrypted to this age recipient (`age1…`), and so is what is written; may be repeated.
    #[arg(long = "recipient", value_name = "RECIPIENT", env = "VMREWIND_RECIPIENTS", value_delimiter = ',')]
    pub recipients: Vec<String>,
    /// A single recipient is enough.
    #[arg(long)]
    pub single_recipient: bool,
    /// The fingerprint of the encrypted archive's key, as it is logged: another archive is not written to.
    #[arg(long, value_name = "FINGERPRINT", env = "VMREWIND_FINGERPRINT")]
    pub fingerprint: Option<String>,
    /// A file with an age identity that opens the encrypted archive; may be repeated.
    #[arg(long = "identity", value_name = "FILE", env = "VMREWIND_IDENTITY")]
    pub identities: Vec<std::path::PathBuf>,
    /// What is logged, as in RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "VMREWIND_LOG")]
    pub log: Option<String>,
}

impl MaintainFlags {
    /// Returns the flags of `run` that count here, too.
    #[must_use]
    pub fn shared(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            archive: self.archive.clone(),
            recipients: self.recipients.clone(),
            single_recipient: self.single_recipient,
            fingerprint: self.fingerprint.clone(),
            identities: self.identities.clone(),
            log: self.log.clone(),
            ..Flags::default()
        }
    }

    /// Returns how long to wait between two times.
    ///
    /// # Errors
    /// [`SettingsError`] if that is no time at all.
    pub fn pause(&self) -> Result<Duration, SettingsError> {
        let pause = self.every.unwrap_or(EVERY).duration();
        match pause.is_zero() {
            true => Err(SettingsError::invalid("--every is zero", "give a duration like 1m.")),
            false => Ok(pause),
        }
    }
}

/// What maintenance needs from outside.
#[derive(Clone)]
pub struct Maintainer {
    /// Where the archive is.
    pub store: Store,
    /// The wall clock.
    pub clock: Clock,
    /// See [`Entropy`].
    pub entropy: Entropy,
    /// Where compression and hashing run.
    pub cpu: Cpu,
    /// Whether the archive is encrypted, to whom, and what opens it.
    pub encryption: Encryption,
}

impl std::fmt::Debug for Maintainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maintainer").field("store", &self.store.place()).finish_non_exhaustive()
    }
}

impl Maintainer {
    /// Does all that is due.
    ///
    /// # Errors
    /// As [`maintain`].
    pub async fn once(&self) -> Result<Maintained, WatcherError> {
        let (told, identities) = self.encryption.writing()?;
        let archive = Archive::open(self.store.clone()).await?.with_cpu(self.cpu);
        let archive = archive.unlock(identities, draw(&self.entropy)).await?;
        archive.encrypts_to(told.as_ref())?;
        if let Some(pin) = self.encryption.pin()? {
            archive.pinned_to(pin)?;
        }
        let rules = Rules::of(&archive, SOFTWARE);
        let (now, salt) = (|| (self.clock)(), || (self.entropy)());
        Ok(maintain(&archive, &rules, Door { now: &now, salt: &salt }).await?)
    }

    /// Does what is due, waits, and does so again until `stop` is cancelled. What fails is logged, and tried again the next
    /// time. It may be stopped anywhere: nothing is half done.
    pub async fn again_and_again(&self, pause: Duration, stop: &CancellationToken) {
        let mut told = Vec::new();
        loop {
            let done = tokio::select! {
                done = self.once() => done,
                () = stop.cancelled() => return,
            };
            match done {
                Ok(done) => {
                    if done.windows > 0 || done.checkpoints > 0 {
                        tracing::info!(
                            segments = done.segments,
                            windows = done.windows,
                            checkpoints = done.checkpoints,
                            remade = done.remade,
                            bytes = done.bytes,
                            manifest = done.manifest,
                            "history rolled up"
                        );
                    }
                    for damage in done.damage.iter().filter(|damage| !told.contains(*damage)) {
                        tracing::warn!(%damage, "damage: not rolled up");
                    }
                    told = done.damage;
                }
                Err(WatcherError::Archive(ArchiveError::NoArchive { .. })) => {
                    tracing::debug!("there is no archive yet");
                }
                Err(error) => tracing::warn!(%error, "the archive could not be maintained"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Says what was done, for people.
#[must_use]
pub fn summary(done: &Maintained) -> String {
    let checkpoints = match done.checkpoints {
        0 => String::new(),
        n => format!(", and {}", count(n, "checkpoint")),
    };
    let mut text = match (done.windows, done.checkpoints) {
        (0, 0) => "Nothing is due: ".to_owned(),
        (0, n) => format!("Made {} of {} bytes. ", count(n, "checkpoint"), done.bytes),
        (windows, _) => format!(
            "Rolled up {}, in {}{checkpoints} of {} bytes. ",
            count(done.segments, "segment"),
            count(windows, "window"),
            done.bytes
        ),
    };
    text += &format!("{} of {} lie in {}", done.covered, count(done.all, "segment"), count(done.standing, "window"));
    text += &match done.manifest {
        0 => ".\n".to_owned(),
        n => format!(" (manifest {n}).\n"),
    };
    if done.remade > 0 {
        text += &format!("Made anew from the log: {}.\n", count(done.remade, "window"));
    }
    for damage in &done.damage {
        let what = if damage.segment.is_some() { "Left in the log" } else { "Cannot be made anew" };
        text += &format!("{what}: {damage}\n");
    }
    text
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_done_and_what_is_left_in_the_log() {
        let done = Maintained {
            segments: 7,
            windows: 1,
            checkpoints: 0,
            bytes: 99,
            manifest: 3,
            standing: 2,
            covered: 9,
            all: 10,
            remade: 0,
            damage: vec![],
        };
        let said = "Rolled up 7 segments, in 1 window of 99 bytes. 9 of 10 segments lie in 2 windows (manifest 3).\n";
        assert_eq!(summary(&done), said);
        let mended = format!("{said}Made anew from the log: 2 windows.\n");
        assert_eq!(summary(&Maintained { remade: 2, ..done.clone() }), mended);
        let both = summary(&Maintained { checkpoints: 1, ..done.clone() });
        assert!(both.starts_with("Rolled up 7 segments, in 1 window, and 1 checkpoint of 99 bytes. "), "{both}");
        let alone = summary(&Maintained { segments: 0, windows: 0, checkpoints: 2, ..done.clone() });
        assert!(alone.starts_with("Made 2 checkpoints of 99 bytes. "), "{alone}");
        let idle = Maintained { segments: 0, windows: 0, ..done };
        assert_eq!(summary(&idle), "Nothing is due: 9 of 10 segments lie in 2 windows (manifest 3).\n");
    }

    #[test]
    fn a_pause_of_nothing_is_refused() {
        assert!(MaintainFlags { every: Some(Span::seconds(0)), ..MaintainFlags::default() }.pause().is_err());
        assert_eq!(MaintainFlags::default().pause().expect("a pause"), Duration::from_secs(60));
    }
}
