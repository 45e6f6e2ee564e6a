//! The loop: inputs into the engine, records into batches, batches into the archive.
//!
//! Does not: block; whatever takes long is a task that hands its answer back.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use vmrewind_archive::{ArchiveError, SegmentInput, Writer};
use vmrewind_model::{Change, Record, Timestamp};

use super::{
    Watcher,
    committer::{self, Outcome},
    requests::{Arrival, Requests},
};
use crate::{
    batcher::{Batcher, Due},
    engine::{Action, Input, State, step},
    error::WatcherError,
    report::Report,
    scope,
};

/// How often the engine looks at the time.
const TICK: Duration = Duration::from_millis(200);
/// How often figures are published.
const PUBLISH: Duration = Duration::from_secs(1);
/// Every so-many-th segment says what is known of every resource.
const FULL_EVERY: u64 = 64;
/// A change of states is committed this long after the last heartbeat, so that they do not flap into the archive.
const NEWS: Duration = Duration::from_secs(1);
/// Discovery is not asked more often than this.
const DISCOVERY_PAUSE: Duration = Duration::from_secs(1);
/// Nothing can begin before discovery was answered once.
const FIRST_DISCOVERY_RETRY: Duration = Duration::from_secs(3);
/// Inputs taken before timers are looked at again.
const BURST: usize = 256;

struct Loop {
    watcher: Watcher,
    state: State,
    batcher: Batcher,
    requests: Requests,
    batches: mpsc::Sender<SegmentInput>,
    report: Report,
    sealed: u64,
    last_seal: Timestamp,
    discover_at: Option<Timestamp>,
    discovered: Timestamp,
    published: Option<Timestamp>,
}

/// Runs until `stop`, or until something ends it.
pub(super) async fn run(
    watcher: Watcher,
    state: State,
    writer: Writer,
    reports: watch::Sender<Report>,
    stop: CancellationToken,
) -> Result<(), WatcherError> {
    let (inputs, mut arrivals) = mpsc::unbounded_channel::<Arrival>();
    let (batches, queue) = mpsc::channel(1);
    let (outcomes, mut outcome) = mpsc::unbounded_channel();
    let epoch = writer.head().epoch;
    let clock = watcher.clock.clone();
    let committer = tokio::spawn(committer::run(writer, clock.clone(), queue, outcomes));
    let patience = watcher.settings.timing.request.duration();
    let requests = Requests::new(watcher.cluster.clone(), clock.clone(), patience, inputs.clone());
    let now = clock();
    let mut this = Loop {
        batcher: Batcher::new(watcher.limits()),
        watcher,
        state,
        requests,
        batches,
        report: Report { epoch: Some(epoch), ..Report::default() },
        sealed: 0,
        last_seal: now,
        discover_at: Some(now),
        discovered: Timestamp::MIN,
        published: None,
    };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = this.pump(&reports)?;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(outcome) = outcome.recv() => this.committed(outcome)?,
            _ = ticks.tick() => {
                this.step(Input::Tick);
                this.discover(&inputs);
                if let Some(panic) = this.requests.reap() {
                    return Err(WatcherError::Bug(panic));
                }
            }
            Some((input, permit)) = arrivals.recv() => {
                this.step(input);
                drop(permit);
                for _ in 1..BURST {
                    let Ok((input, permit)) = arrivals.try_recv() else { break };
                    this.step(input);
                    drop(permit);
                }
            }
            () = sleep_until(due, &clock), if due.is_some() => {}
        }
    }
    tracing::info!("stopping: committing everything that was received");
    this.requests.shutdown().await;
    while let Ok((input, _permit)) = arrivals.try_recv() {
        this.step(input);
    }
    this.finish(&mut outcome).await?;
    drop(this.batches);
    committer.await.map_err(|error| WatcherError::Bug(error.to_string()))?;
    tracing::info!(segment = this.report.commits.segment, "stopped");
    Ok(())
}

async fn sleep_until(due: Option<Timestamp>, clock: &super::Clock) {
    if let Some(due) = due {
        tokio::time::sleep(due.since(clock())).await;
    }
}

impl Loop {
    fn now(&self) -> Timestamp {
        (self.watcher.clock)()
    }

    /// Gives an input to the engine and carries out what it says.
    fn step(&mut self, input: Input) {
        let now = self.now();
        let mut records = Vec::new();
        for action in step(&mut self.state, input, now) {
            match action {
                Action::Record(record) => {
                    tell(&record);
                    records.push(record);
                }
                Action::StopWatch(_, ticket) => self.requests.stop_watch(ticket),
                Action::Discover => self.discover_at = Some(now),
                Action::Probe(ref id, _)
                | Action::List(ref id, _)
                | Action::Watch(ref id, ..)
                | Action::Get(ref id, ..)
                | Action::AsOf(ref id, ..) => {
                    let spec = self.state.spec(id).cloned();
                    self.requests.perform(action, spec.as_ref());
                }
            }
        }
        if self.batcher.push(records, now) {
            self.seal(now);
        }
        match self.batcher.pressure() {
            Some(true) => {
                tracing::warn!(
                    bytes = self.batcher.waiting(),
                    "the store is slower than the cluster: watches are closed"
                );
                self.step(Input::Overflowed);
            }
            Some(false) => self.step(Input::Drained),
            None => {}
        }
    }

    fn seal(&mut self, now: Timestamp) {
        self.sealed += 1;
        let full = self.sealed % FULL_EVERY == 1;
        let resume = self.state.resume_entries(full, now);
        self.batcher.seal(resume, full);
        self.last_seal = now;
    }

    /// Cuts and hands out batches; returns when to look again.
    fn pump(&mut self, reports: &watch::Sender<Report>) -> Result<Option<Timestamp>, WatcherError> {
        let now = self.now();
        let silent = now.since(self.last_seal);
        let idle = self.batcher.is_empty() && !self.batcher.busy() && self.state.may_commit();
        let news = silent >= NEWS && (self.state.states_changed(now) || self.state.proof_is_news());
        if idle && (news || silent >= self.watcher.settings.timing.heartbeat.duration()) {
            self.step(Input::Heartbeat);
        }
        let mut again = None;
        match self.batcher.due(now, self.state.fetching()) {
            Due::Now if self.state.may_commit() => self.seal(now),
            Due::At(at) => again = Some(at),
            Due::Now | Due::Never => {}
        }
        if self.state.may_commit()
            && let Some(batch) = self.batcher.take()
        {
            let input = SegmentInput { records: batch.records, resume: batch.resume, complete: batch.complete };
            // The committer takes one at a time, and the batcher hands out one at a time.
            self.batches.try_send(input).map_err(|error| WatcherError::Bug(format!("the committer ended: {error}")))?;
        }
        if self.published.is_none_or(|at| now.since(at) >= PUBLISH) {
            self.published = Some(now);
            self.report.at = Some(now);
            self.report.status = self.state.status(now);
            self.report.waiting = self.batcher.waiting();
            reports.send_replace(self.report.clone());
        }
        Ok(again)
    }

    /// A segment is durable, or will never be.
    fn committed(&mut self, outcome: Outcome) -> Result<(), WatcherError> {
        match outcome {
            Outcome::Stored { segment, began } => {
                let segment = segment.get();
                self.batcher.stored(segment.raw, segment.bytes);
                let took = self.now().since(began);
                let commits = &mut self.report.commits;
                commits.segments += 1;
                commits.records += segment.last.0 + 1 - segment.first.0;
                commits.bytes += segment.bytes;
                commits.raw += segment.raw;
                commits.segment = segment.segment;
                commits.t = Some(segment.t);
                commits.latency.0.observe(took.as_secs_f64());
                self.report.store_trouble = None;
                tracing::info!(
                    segment = segment.segment,
                    seq = segment.last.0,
                    records = segment.last.0 + 1 - segment.first.0,
                    bytes = segment.bytes,
                    seconds = took.as_secs_f64(),
                    "committed"
                );
                Ok(())
            }
            Outcome::Trouble(error) => {
                tracing::warn!(error, "the store does not answer; trying again");
                self.report.commits.errors += 1;
                self.report.store_trouble = Some(error);
                Ok(())
            }
            Outcome::Ended(error) => Err(error.into()),
        }
    }

    /// Asks which types are served, if it is time.
    fn discover(&mut self, inputs: &mpsc::UnboundedSender<Arrival>) {
        let now = self.now();
        let every = match self.state.has_started() {
            true => self.watcher.settings.timing.discovery.duration(),
            false => FIRST_DISCOVERY_RETRY,
        };
        let wanted = self.discover_at.is_some() && now.since(self.discovered) >= DISCOVERY_PAUSE;
        if !wanted && now.since(self.discovered) < every {
            return;
        }
        self.discovered = now;
        self.discover_at = None;
        let (cluster, settings, inputs) = (self.watcher.cluster.clone(), self.watcher.settings.clone(), inputs.clone());
        self.requests.spawn(async move {
            match cluster.discover().await {
                Ok(discovery) => {
                    let (served, stale) = scope::resources(&discovery, &settings);
                    if inputs.send((Input::Discovered { served, stale }, None)).is_err() {
                        tracing::debug!("an answer came after the end");
                    }
                }
                // Nothing is concluded from silence; it is asked again.
                Err(error) => tracing::warn!(%error, "it is not known which types are served"),
            }
        });
    }

    /// Commits everything that was received, with what is known of every resource.
    async fn finish(&mut self, outcomes: &mut mpsc::UnboundedReceiver<Outcome>) -> Result<(), WatcherError> {
        if !self.state.may_commit() {
            tracing::warn!("times are not trusted: what is not committed will be received again after the next start");
            return Ok(());
        }
        if self.batcher.is_empty() {
            self.step(Input::Heartbeat);
        }
        let resume = self.state.resume_entries(true, self.now());
        self.batcher.seal(resume, true);
        while self.batcher.busy() {
            if let Some(batch) = self.batcher.take() {
                let input = SegmentInput { records: batch.records, resume: batch.resume, complete: batch.complete };
                self.batches
                    .try_send(input)
                    .map_err(|error| WatcherError::Bug(format!("the committer ended: {error}")))?;
            }
            match outcomes.recv().await {
                Some(outcome) => self.committed(outcome)?,
                None => return Err(ArchiveError::Bug("the committer ended".into()).into()),
            }
        }
        Ok(())
    }
}

/// Says what an operator should know; never what an object holds.
fn tell(record: &Record) {
    if let Change::Gap(gap) = &record.change {
        let (resource, cause) = (gap.resource.to_string(), format!("{:?}", gap.cause).to_lowercase());
        let object = gap.object.as_ref().map(ToString::to_string).unwrap_or_default();
        match gap.to {
            None => tracing::warn!(resource, object, cause, detail = gap.detail, from = %gap.from, "gap opened"),
            Some(to) => tracing::warn!(resource, object, cause, from = %gap.from, to = %to, "gap closed"),
        }
    }
}
