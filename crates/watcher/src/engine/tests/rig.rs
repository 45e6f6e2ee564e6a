//! A watcher around the engine that can be killed: for tests of the engine.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde_json::Value;
use vmrewind_graph::Home;
use vmrewind_model::{Change, ObjectKey, Record, ResourceId, ResumeEntry, Rv, Timestamp};

use super::server::{Server, kind_of};
use crate::engine::{
    Action, Choice, Edges, Event, Failure, Input, Listing, Probe, Rejected, ResourceSpec, Rules, State, Ticket, step,
};

pub(super) const VM: &str = "virtualmachines";
pub(super) const SECRET: &str = "secrets";
pub(super) const POD: &str = "pods";

pub(super) fn at(seconds: u64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().expect("valid").plus(Duration::from_secs(seconds))
}

fn wanted(object: &Value) -> Vec<ObjectKey> {
    let names = object["spec"]["secrets"].as_array().cloned().unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(|name| ObjectKey::new("", "Secret", "n", name)).collect()
}

fn home(object: &Value) -> Home {
    match object["kind"].as_str() {
        Some("VirtualMachine") => Home::Own(format!("n/{}", object["metadata"]["name"].as_str().unwrap_or_default())),
        _ => Home::None,
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        edges: Edges {
            wanted,
            home,
            in_scope: |_| true,
            by_name: |_, kind| kind == "Secret",
            is_root: |_, kind| kind == "VirtualMachine",
        },
        withhold_secrets: false,
        drop_managed_fields: false,
        watch_timeout: Duration::from_secs(50),
        catch_up_timeout: Duration::from_secs(4),
        proof: Duration::from_secs(6),
        refusals: 1,
        request_timeout: Duration::from_secs(15),
        audit_every: Duration::from_secs(6 * 3600),
        stalled_after: Duration::from_secs(60),
        denied_retry: Duration::from_secs(30),
        removed_after: Duration::from_secs(10),
        unfollow_after: Duration::from_secs(300),
        seed: 7,
    }
}

pub(super) fn specs() -> Vec<ResourceSpec> {
    let spec = |group: &str, plural: &str, kind: &str, api: &str| ResourceSpec {
        id: ResourceId::new(group, plural, ""),
        kind: kind.into(),
        api_version: api.into(),
        namespaced: true,
        choice: Choice::Every,
        selector: None,
        root: kind == "VirtualMachine",
        filtered: false,
    };
    vec![
        spec("kubevirt.io", VM, "VirtualMachine", "kubevirt.io/v1"),
        ResourceSpec { choice: Choice::ByName, ..spec("", SECRET, "Secret", "v1") },
        ResourceSpec { selector: Some("launcher=yes".into()), ..spec("", POD, "Pod", "v1") },
    ]
}

pub(super) fn key(kind: &str, name: &str) -> ObjectKey {
    ObjectKey::new(if kind == "VirtualMachine" { "kubevirt.io" } else { "" }, kind, "n", name)
}

/// A version of a machine that cannot be recorded.
pub(super) fn rejected(name: &str, uid: &str, rv: Option<u64>, deleted: bool) -> Rejected {
    let (key, reason) = (Some(key("VirtualMachine", name)), "too deep".into());
    Rejected { key, uid: uid.into(), rv: rv.map(Rv), deleted, reason }
}

/// A watch as the server sees it.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) id: ResourceId,
    /// How far it has delivered.
    pub(super) cursor: u64,
    /// When the server ends it, once it has accepted it.
    ends: Option<Timestamp>,
    timeout: Duration,
}

/// A running watcher: the engine, its open watches and requests, and what it has committed.
pub(super) struct Rig {
    pub(super) server: Server,
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) date: Option<Timestamp>,
    /// Requests that are not answered yet.
    pub(super) asked: VecDeque<Action>,
    /// Open watches.
    pub(super) watches: BTreeMap<Ticket, Open>,
    pub(super) pending: Vec<Record>,
    pub(super) committed: Vec<Record>,
    pub(super) resume: Vec<Vec<ResumeEntry>>,
    pub(super) timeouts: Vec<Duration>,
    pub(super) rules: Rules,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(rules())
    }

    pub(super) fn with(rules: Rules) -> Self {
        Self {
            server: Server { rv: 100, ..Server::default() },
            state: State::new(rules.clone()),
            rules,
            now: at(0),
            date: None,
            asked: VecDeque::new(),
            watches: BTreeMap::new(),
            pending: Vec::new(),
            committed: Vec::new(),
            resume: Vec::new(),
            timeouts: Vec::new(),
        }
    }

    /// Starts and answers everything until nothing is open but the watches.
    pub(super) fn started() -> Self {
        let mut rig = Self::new();
        rig.start();
        rig
    }

    pub(super) fn start(&mut self) {
        self.discover(specs());
        self.settle();
    }

    pub(super) fn discover(&mut self, served: Vec<ResourceSpec>) {
        self.input(Input::Discovered { served, stale: BTreeSet::new() });
    }

    pub(super) fn id(plural: &str) -> ResourceId {
        ResourceId::new(if plural == VM { "kubevirt.io" } else { "" }, plural, "")
    }

    pub(super) fn input(&mut self, input: Input) {
        let actions = step(&mut self.state, input, self.now);
        for action in actions {
            match action {
                Action::Record(record) => self.pending.push(record),
                Action::Watch(id, ticket, from, timeout) => {
                    self.timeouts.push(timeout);
                    self.watches.insert(ticket, Open { id: id.clone(), cursor: from.0, ends: None, timeout });
                    self.asked.push_back(Action::Watch(id, ticket, from, timeout));
                }
                Action::StopWatch(_, ticket) => {
                    self.watches.remove(&ticket);
                    self.asked.retain(|asked| !matches!(asked, Action::Watch(_, of, ..) if *of == ticket));
                }
                other => self.asked.push_back(other),
            }
        }
    }

    pub(super) fn tick(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            self.date = self.date.map(|date| date.plus(Duration::from_secs(1)));
            self.input(Input::Tick);
        }
    }

    /// Answers the oldest request; false if there is none.
    pub(super) fn answer(&mut self) -> bool {
        let Some(action) = self.asked.pop_front() else { return false };
        let server = &self.server;
        let refused = |id: &ResourceId| server.denied.contains(id.resource.as_str());
        let forbidden = || Failure::Forbidden("list is forbidden".into());
        let (asked, date) = (self.now, self.date);
        let input = match action {
            Action::Probe(id, ticket) => {
                let result = match refused(&id) {
                    true => Err(forbidden()),
                    false => Ok(Probe { rv: Rv(server.rv), date, asked }),
                };
                Input::Probed(id, ticket, result)
            }
            Action::List(id, ticket) => {
                let items = server.live.iter();
                let items = items.filter(|(key, body)| key.kind == kind_of(&id) && Server::selected(&id, body));
                let items = items.map(|(_, body)| Server::raw(body)).collect();
                Input::Listed(id, ticket, Ok(Listing { rv: Rv(server.rv), items, rejected: vec![], date, asked }))
            }
            Action::Watch(id, ticket, from, _) if from.0 < server.window => {
                self.watches.remove(&ticket);
                Input::Ended(id, ticket, Err(Failure::Gone))
            }
            Action::Watch(id, ticket, ..) => {
                if let Some(open) = self.watches.get_mut(&ticket) {
                    open.ends = Some(asked.plus(Duration::from_secs(open.timeout.as_secs())));
                }
                Input::Opened(id, ticket)
            }
            Action::Get(id, ticket, key) => {
                let object = server.live.get(&key).map(Server::raw);
                let result = match server.denied_gets.contains(id.resource.as_str()) {
                    true => Err(Failure::Forbidden(format!("get {} is forbidden", id.resource))),
                    false if refused(&id) => Err(forbidden()),
                    false => Ok(object),
                };
                Input::Fetched(id, ticket, key, result)
            }
            Action::AsOf(id, ticket, key, rv) => Input::WasThen(id, ticket, Ok(server.as_of(&key, rv))),
            Action::Discover | Action::StopWatch(..) | Action::Record(_) => return true,
        };
        self.input(input);
        true
    }

    /// The watches of a resource, the oldest first.
    pub(super) fn watches_of(&self, id: &ResourceId) -> Vec<Ticket> {
        self.watches.iter().filter(|(_, open)| open.id == *id).map(|(ticket, _)| *ticket).collect()
    }

    /// The oldest watch of a resource.
    pub(super) fn watch_of(&self, id: &ResourceId) -> Ticket {
        self.watches_of(id)[0]
    }

    /// Delivers one event of the oldest watch, or a bookmark if there is none; false if no watch is open.
    pub(super) fn deliver(&mut self, id: &ResourceId) -> bool {
        self.watches_of(id).first().copied().is_some_and(|ticket| self.deliver_on(ticket))
    }

    /// Delivers one event of a watch, or a bookmark if there is none; false if it is not open.
    pub(super) fn deliver_on(&mut self, ticket: Ticket) -> bool {
        let Some(open) = self.watches.get_mut(&ticket) else { return false };
        let (rv, event) = match self.server.events(&open.id, open.cursor).pop_front() {
            Some(next) => next,
            None => (self.server.rv, Event::Bookmark(Rv(self.server.rv))),
        };
        open.cursor = rv;
        let id = open.id.clone();
        self.input(Input::Watched(id, ticket, event));
        true
    }

    pub(super) fn end_watch(&mut self, id: &ResourceId, result: Result<(), Failure>) {
        if let Some(ticket) = self.watches_of(id).first() {
            self.end(*ticket, result);
        }
    }

    pub(super) fn end(&mut self, ticket: Ticket, result: Result<(), Failure>) {
        self.asked.retain(|asked| !matches!(asked, Action::Watch(_, of, ..) if *of == ticket));
        if let Some(open) = self.watches.remove(&ticket) {
            self.input(Input::Ended(open.id, ticket, result));
        }
    }

    /// Lets the server do as it does for a while: it answers at once, delivers what happens, sends a bookmark two
    /// seconds before the end of a watch, and ends it. `every` second something is written.
    pub(super) fn live(&mut self, seconds: u64, mut every: impl FnMut(&mut Server)) {
        for _ in 0..seconds {
            self.tick(1);
            while self.answer() {}
            every(&mut self.server);
            let open: Vec<Ticket> = self.watches.keys().copied().collect();
            for ticket in open {
                while self
                    .watches
                    .get(&ticket)
                    .is_some_and(|open| !self.server.events(&open.id, open.cursor).is_empty())
                {
                    self.deliver_on(ticket);
                }
                let Some(ends) = self.watches.get(&ticket).and_then(|open| open.ends) else { continue };
                if ends.since(self.now) == Duration::from_secs(2) {
                    self.deliver_on(ticket);
                }
                if ends <= self.now {
                    self.end(ticket, Ok(()));
                }
            }
            while self.answer() {}
        }
    }

    /// Answers all requests and delivers all events and bookmarks.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.answer() {
                continue;
            }
            let behind: Vec<Ticket> = self
                .watches
                .iter()
                .filter(|(_, open)| open.cursor < self.server.rv)
                .map(|(ticket, _)| *ticket)
                .collect();
            if behind.is_empty() {
                return;
            }
            for ticket in behind {
                self.deliver_on(ticket);
            }
        }
        panic!("does not settle");
    }

    pub(super) fn commit(&mut self) {
        self.committed.append(&mut self.pending);
        let entries = self.state.resume_entries(false, self.now);
        self.resume.push(entries);
    }

    /// Kills the process: what is not committed is gone. Then starts it again.
    pub(super) fn crash(&mut self) {
        self.crash_with(rules());
    }

    pub(super) fn crash_with(&mut self, rules: Rules) {
        self.restart(rules, false);
    }

    /// As [`Self::crash`], and goes on with another cluster.
    pub(super) fn crash_adopting(&mut self) {
        self.restart(rules(), true);
    }

    fn restart(&mut self, rules: Rules, adopt: bool) {
        self.pending.clear();
        self.asked.clear();
        self.watches.clear();
        self.state = State::new(rules);
        for record in &self.committed {
            self.state.replay(record);
        }
        for entries in &self.resume {
            self.state.replay_resume(entries);
        }
        if adopt {
            self.state.adopt();
        }
        self.state.replayed(self.now);
        self.discover(specs());
    }

    pub(super) fn records(&self) -> Vec<&Record> {
        self.committed.iter().chain(&self.pending).collect()
    }

    /// One line per record: op, kind/name, version, and marks.
    pub(super) fn lines(&self) -> Vec<String> {
        self.records().into_iter().map(line).collect()
    }

    pub(super) fn entry(&self, plural: &str) -> ResumeEntry {
        let id = Self::id(plural);
        let resource = &self.state.resources[&id];
        resource.entry(self.now, rules().stalled_after, self.state.refused_get(&resource.spec))
    }
}

pub(super) fn line(record: &Record) -> String {
    let change = &record.change;
    let mut line = format!("{}", change.op().letter());
    if let Change::Gap(gap) = change {
        line += &format!(" {} {:?}", gap.resource.resource, gap.cause);
        line += if gap.opened.is_some() {
            " closes"
        } else if gap.to.is_some() {
            " was"
        } else {
            " opens"
        };
    }
    if let Some(key) = change.key() {
        line += &format!(" {}/{}", key.object.kind, key.object.name);
    }
    if let Some(rv) = change.rv() {
        line += &format!(" {rv}");
    }
    if change.inferred() {
        line += " inferred";
    }
    if record.lo.is_some() {
        line += " late";
    }
    if let Some(seq) = change.back_dated_to() {
        line += &format!(" from {seq}");
    }
    line
}
