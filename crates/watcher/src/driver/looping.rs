//! The loop: inputs into the engine, records into batches, batches into the archive.
//!
//! Does not: block; whatever takes long is a task that hands its answer back.

use std::{collections::VecDeque, time::Duration};

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
    requests::{Arrival, Requests, deliver},
};
use crate::{
    arrivals::{Arrivals, MOST, SETTLE},
    batcher::{Batcher, Due},
    engine::{Action, Input, Moment, State, Ticket, step},
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
    arrivals: Arrivals<Ticket, Arrival>,
    /// What has waited long enough, in order.
    ready: VecDeque<(Arrival, Timestamp)>,
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
    let steady = watcher.steady.clone();
    let committer = tokio::spawn(committer::run(writer, steady.clone(), queue, outcomes));
    let patience = watcher.settings.timing.request.duration();
    let requests = Requests::new(watcher.cluster.clone(), watcher.clock.clone(), patience, inputs.clone());
    let now = steady();
    let mut this = Loop {
        arrivals: Arrivals::new(SETTLE, MOST),
        ready: VecDeque::new(),
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
                this.step(Input::Tick, None);
                this.discover(&inputs);
                if let Some(panic) = this.requests.reap() {
                    return Err(WatcherError::Bug(panic));
                }
            }
            Some(arrival) = arrivals.recv() => {
                this.arrived(arrival);
                for _ in 1..BURST {
                    let Ok(arrival) = arrivals.try_recv() else { break };
                    this.arrived(arrival);
                }
            }
            () = sleep_until(due, &steady), if due.is_some() => {}
        }
    }
    tracing::info!("stopping: committing everything that was received");
    this.requests.shutdown().await;
    while let Ok(arrival) = arrivals.try_recv() {
        this.arrived(arrival);
    }
    this.flush();
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
    /// A time that only ever passes.
    fn now(&self) -> Timestamp {
        (self.watcher.steady)()
    }

    /// Lets what watches deliver wait for what belongs before it; everything else goes to the engine at once.
    fn arrived(&mut self, arrival: Arrival) {
        let stream = match &arrival.input {
            Input::Watched(_, ticket, _) | Input::Opened(_, ticket) | Input::Ended(_, ticket, _) => *ticket,
            _ => return self.step(arrival.input, None),
        };
        let (place, at, bytes) = (arrival.place, arrival.at, arrival.share.as_ref().map_or(0, |(bytes, _)| *bytes));
        let now = self.now();
        self.arrivals.push(stream, place, arrival, bytes, (now, at));
        self.release(now);
    }

    fn release(&mut self, now: Timestamp) {
        let released = self.arrivals.release(now);
        self.take(released);
    }

    /// Waits for nothing more.
    fn flush(&mut self) {
        let released = self.arrivals.flush();
        self.take(released);
    }

    /// A step can release more, which comes behind what was released before.
    fn take(&mut self, released: Vec<(Arrival, Timestamp)>) {
        self.ready.extend(released);
        while let Some((arrival, at)) = self.ready.pop_front() {
            self.step(arrival.input, Some(at));
        }
    }

    /// Gives an input to the engine, now or as one that arrived a moment ago, and carries out what it says.
    fn step(&mut self, input: Input, arrived: Option<Timestamp>) {
        let (now, wall) = (self.now(), (self.watcher.clock)());
        let moment = Moment { steady: now, wall, arrived: arrived.map_or(wall, |arrived| arrived.min(wall)) };
        let mut records = Vec::new();
        for action in step(&mut self.state, input, moment) {
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
        // What waited for its order has lingered meanwhile.
        let since = now.minus(wall.since(moment.arrived));
        if self.batcher.push(records, since) {
            self.seal(now);
        }
        match self.batcher.pressure() {
            Some(true) => {
                tracing::warn!(
                    bytes = self.batcher.waiting(),
                    "the store is slower than the cluster: watches are closed"
                );
                // What has been received already is not to be received again.
                self.flush();
                self.step(Input::Overflowed, None);
            }
            Some(false) => self.step(Input::Drained, None),
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
        self.release(now);
        let silent = now.since(self.last_seal);
        let idle = self.batcher.is_empty() && !self.batcher.busy() && self.state.may_commit();
        let news = silent >= NEWS && (self.state.states_changed(now) || self.state.proof_is_news());
        if idle && (news || silent >= self.watcher.settings.timing.heartbeat.duration()) {
            self.step(Input::Heartbeat, None);
        }
        let mut again = self.arrivals.due();
        match self.batcher.due(now, self.state.fetching()) {
            Due::Now if self.state.may_commit() => self.seal(now),
            Due::At(at) => again = Some(again.map_or(at, |again| again.min(at))),
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
        let clock = self.watcher.clock.clone();
        self.requests.spawn(async move {
            match cluster.discover().await {
                Ok(discovery) => {
                    let (served, stale) = scope::resources(&discovery, &settings);
                    deliver(&inputs, Input::Discovered { served, stale }, clock());
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
            self.step(Input::Heartbeat, None);
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
