//! Opening: which cluster, which archive, what it says, and the fence that makes it ours.
//!
//! Does not: capture anything.

use std::time::Duration;

use futures::{TryStreamExt as _, pin_mut};
use tokio::sync::watch;
use uuid::Uuid;
use vmrewind_archive::{
    Archive, ArchiveError, Damage, Fence, FenceOutcome, Fingerprint, Head, MAX_TEXT, NewArchive, NewKeys, Part, Store,
    Writer, damage_detail,
};
use vmrewind_cluster::{ClusterError, ClusterIdentity, ErrorKind};
use vmrewind_model::Timestamp;

use super::{SOFTWARE, Watcher, draw};
use crate::{
    engine::{MAX_APART, State, Status},
    error::WatcherError,
    report::Report,
};

/// How often a cluster or store that does not answer is asked before that is an error.
const TRIES: u32 = 5;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);
/// How often somebody else may be faster before that is an error.
const FENCES: u32 = 20;

/// Opens the archive, rebuilds `state` from it, and takes it over.
pub(super) async fn open(
    watcher: &Watcher,
    state: &mut State,
    reports: &watch::Sender<Report>,
) -> Result<Writer, WatcherError> {
    let cluster = identify(watcher).await?;
    trust_clock(watcher, reports).await?;
    let archive = open_or_init(watcher, &cluster).await?;
    let identity = archive.identity();
    let adopting = identity.cluster != cluster.uid;
    if adopting {
        if !watcher.settings.adopt {
            return Err(WatcherError::OtherCluster {
                place: watcher.store.place().to_owned(),
                theirs: identity.cluster.clone(),
                ours: cluster.uid,
            });
        }
        tracing::warn!(theirs = %identity.cluster, ours = %cluster.uid, "adopting the archive of another cluster");
    }
    tracing::info!(
        archive = %identity.archive, cluster = %cluster.uid, server = %cluster.server_version, "archive opened"
    );
    let mut replayed = Head::EMPTY;
    let mut head = archive.head_behind_damage().await?;
    let mut damage = Vec::new();
    for _ in 0..FENCES {
        damage.extend(replay(&archive, state, &replayed, &head).await?);
        let damage = unaccounted(watcher, &archive, &damage).await?;
        replayed = head.clone();
        let (now, steady) = ((watcher.clock)(), (watcher.steady)());
        let fence = Fence {
            nonce: (watcher.entropy)(),
            software: SOFTWARE.to_owned(),
            t: now,
            resume: state.resume_entries(true, steady),
        };
        match take_over(watcher, &archive, &head, fence).await? {
            FenceOutcome::Owner(writer) => {
                state.replay_until(writer.head().t);
                if adopting {
                    state.adopt();
                }
                state.replayed((watcher.steady)());
                lose(state, &damage);
                tracing::info!(epoch = %writer.head().epoch, segment = writer.head().segment, "archive taken over");
                return Ok(writer);
            }
            FenceOutcome::Taken(newer) => {
                tracing::info!(segment = newer.segment, "another writer was faster; replaying its segment");
                head = newer;
            }
        }
    }
    Err(ArchiveError::Fenced { slot: head.segment, epoch: head.epoch }.into())
}

async fn identify(watcher: &Watcher) -> Result<ClusterIdentity, WatcherError> {
    let mut tries = 0;
    loop {
        match watcher.cluster.identity().await {
            Ok(identity) => return Ok(identity),
            Err(error) if tries < TRIES && retryable(&error) => {
                tries += 1;
                tracing::warn!(%error, "the cluster does not answer; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Compares this machine's clock with the API server's before anything is written: a fence cannot be taken back, and
/// nothing can be recorded before its instant. Waits, and says so, while the clock is wrong or cannot be compared.
async fn trust_clock(watcher: &Watcher, reports: &watch::Sender<Report>) -> Result<(), WatcherError> {
    let mut last = None;
    loop {
        let date = match watcher.cluster.date().await {
            Ok(date) => date,
            Err(error) if retryable(&error) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(doubt) = doubt(date, (watcher.clock)()) else { break };
        if last.as_ref() != Some(&doubt) {
            tracing::warn!(reason = doubt, "nothing is written yet: the clock is not trusted");
        }
        let status = Status { clock: Some(doubt.clone()), ..Status::default() };
        reports.send_replace(Report { at: Some((watcher.steady)()), status, ..Report::default() });
        last = Some(doubt);
        tokio::time::sleep(PAUSE).await;
    }
    if last.is_some() {
        tracing::info!("the clock is trusted");
        reports.send_replace(Report::default());
    }
    Ok(())
}

/// Why times are not trusted, given what the API server says; none if they are.
fn doubt(date: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let Some(date) = date else {
        let why = "the API server does not tell its time, so that this machine's clock cannot be compared with it";
        return Some(format!("{why} (is its Date header taken away by a proxy?)"));
    };
    let (ahead, behind) = (now.since(date), date.since(now));
    let (apart, side) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let seconds = apart.as_secs();
    (apart > MAX_APART).then(|| {
        format!("this machine's clock is {side} the API server's by {seconds} s; set it (NTP), and capture goes on")
    })
}

fn retryable(error: &ClusterError) -> bool {
    error.kind() == ErrorKind::Unavailable
}

async fn open_or_init(watcher: &Watcher, cluster: &ClusterIdentity) -> Result<Archive, WatcherError> {
    let (told, identities) = watcher.settings.encryption.writing()?;
    let pin = watcher.settings.encryption.pin()?;
    let mut tries = 0;
    loop {
        let opened = match begun(&watcher.store).await {
            Ok(None) => {
                if let Some(pin) = pin {
                    return Err(ArchiveError::OtherKey {
                        place: watcher.store.place().to_owned(),
                        what: format!(
                            "there is none, or it has no keys, and the fingerprint of its key should be {pin}"
                        ),
                    }
                    .into());
                }
                let draw = || draw(&watcher.entropy);
                let keys = |recipients| NewKeys { recipients, root_key: draw(), seed: draw() };
                let new = NewArchive {
                    archive: Uuid::from_bytes((watcher.entropy)()),
                    cluster: cluster.uid.clone(),
                    created: (watcher.clock)(),
                    software: SOFTWARE.to_owned(),
                    keys: told.clone().map(keys),
                };
                match vmrewind_archive::init(&watcher.store, new).await {
                    Ok(_) | Err(ArchiveError::AlreadyArchive { .. }) => Archive::open(watcher.store.clone()).await,
                    Err(error) => Err(error),
                }
            }
            Ok(Some(archive)) => Ok(archive),
            Err(error) => Err(error),
        };
        let opened = match opened {
            Ok(archive) => archive.unlock(identities.clone(), draw(&watcher.entropy)).await,
            Err(error) => Err(error),
        };
        match opened {
            Err(error @ ArchiveError::Unavailable { .. }) if tries < TRIES => {
                tries += 1;
                tracing::warn!(%error, "the store does not answer; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            opened => {
                let archive = opened?.with_cpu(watcher.cpu);
                archive.encrypts_to(told.as_ref())?;
                trust_key(&archive, pin)?;
                return Ok(archive);
            }
        }
    }
}

/// Checks, before anything is written, that the archive's root key is the one that was configured: recipients are public, and
/// anybody can make an archive for them.
fn trust_key(archive: &Archive, pin: Option<Fingerprint>) -> Result<(), ArchiveError> {
    let Some(fingerprint) = archive.fingerprint() else { return Ok(()) };
    match pin {
        Some(pin) => archive.pinned_to(pin)?,
        None => tracing::warn!(
            %fingerprint,
            "the archive's key is not pinned: whoever can write to the store can have this watcher write to an archive of his own; \
             configure encryption.fingerprint (--fingerprint, VMREWIND_FINGERPRINT) with this fingerprint if it is the right one"
        ),
    }
    tracing::info!(%fingerprint, "the archive is encrypted");
    Ok(())
}

/// Opens the archive; none if there is none, or if its making was stopped.
async fn begun(store: &Store) -> Result<Option<Archive>, ArchiveError> {
    match Archive::open(store.clone()).await {
        Err(ArchiveError::NoArchive { .. }) => Ok(None),
        Ok(archive) => Ok(if archive.lacks_keys().await? { None } else { Some(archive) }),
        Err(error) => Err(error),
    }
}

/// Replays the segments after `from` up to `to`, with what is left of those that are damaged. Returns the damage.
async fn replay(archive: &Archive, state: &mut State, from: &Head, to: &Head) -> Result<Vec<Damage>, ArchiveError> {
    let mut found = Vec::new();
    if from.segment >= to.segment {
        return Ok(found);
    }
    let parts = archive.parts(from.segment + 1..=to.segment);
    pin_mut!(parts);
    while let Some(part) = parts.try_next().await? {
        let segment = match part {
            Part::Whole(segment) => segment,
            Part::Damaged(damage, left) => {
                found.push(*damage);
                let Some(left) = left else { continue };
                left
            }
        };
        for record in segment.records() {
            state.replay(&record?);
        }
        state.replay_resume(&segment.resume.entries);
        state.replay_until(segment.summary.t_last);
    }
    state.replay_behind(to.seq, to.t);
    Ok(found)
}

/// Leaves out what an earlier start has recorded. What is left is an error, unless it is to be passed over.
async fn unaccounted(watcher: &Watcher, archive: &Archive, found: &[Damage]) -> Result<Vec<Damage>, WatcherError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let timeline = archive.timeline().await?;
    let (old, new): (Vec<_>, Vec<_>) = found.iter().cloned().partition(|damage| timeline.accounts_for(damage));
    for damage in &old {
        tracing::warn!(%damage, "the archive is damaged, and gaps say so since an earlier start");
    }
    match new.first() {
        Some(first) if !watcher.settings.pass_over_damage => Err(ArchiveError::from(first.clone()).into()),
        Some(_) if damage_detail(&slots(&new)).len() > MAX_TEXT => {
            Err(WatcherError::TooDamaged { place: watcher.store.place().to_owned(), segments: new.len() })
        }
        _ => Ok(new),
    }
}

fn slots(damage: &[Damage]) -> Vec<u64> {
    damage.iter().filter_map(|damage| damage.segment).collect()
}

/// Has a gap recorded for everything, and everything listed anew, if segments were passed over.
fn lose(state: &mut State, damage: &[Damage]) {
    let Some(after) = damage.iter().map(|damage| damage.after.unwrap_or(Timestamp::MIN)).min() else { return };
    for damage in damage {
        tracing::error!(%damage, "the archive is damaged; passing over it, with a gap for every resource");
    }
    state.lose(after, damage_detail(&slots(damage)));
}

async fn take_over(
    watcher: &Watcher,
    archive: &Archive,
    head: &Head,
    fence: Fence,
) -> Result<FenceOutcome, ArchiveError> {
    let now = || (watcher.steady)();
    let mut tries = 0;
    loop {
        match Writer::fence(archive, head, fence.clone(), watcher.cpu, &now).await {
            Err(error @ ArchiveError::Unavailable { .. }) if tries < TRIES => {
                tries += 1;
                tracing::warn!(%error, "the store does not answer; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
