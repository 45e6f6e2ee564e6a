//! A small API server without sockets, and a watcher around the engine that can be killed: for tests of the engine.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use vmrewind_graph::Home;
use vmrewind_model::{Change, ObjectKey, RawObject, Record, ResourceId, ResumeEntry, Rv, Timestamp};

use crate::engine::{
    Action, AsOf, Choice, Edges, Event, Failure, Input, Listing, Probe, ResourceSpec, Rules, State, Ticket, step,
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

fn kind_of(id: &ResourceId) -> &'static str {
    match id.resource.as_str() {
        VM => "VirtualMachine",
        SECRET => "Secret",
        _ => "Pod",
    }
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) rv: u64,
    pub(super) key: ObjectKey,
    /// None: deleted.
    pub(super) body: Option<Value>,
    last: Value,
}

/// The API server: every write ever, and from when on it still knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) rv: u64,
    pub(super) writes: Vec<Write>,
    pub(super) live: BTreeMap<ObjectKey, Value>,
    pub(super) uids: u64,
    /// Watches cannot begin before this version.
    pub(super) window: u64,
    /// Exact reads cannot be made before this version.
    pub(super) compacted: u64,
    pub(super) denied: BTreeSet<&'static str>,
    /// Resources of which no single object may be read.
    pub(super) denied_gets: BTreeSet<&'static str>,
}

impl Server {
    #[allow(clippy::needless_pass_by_value, reason = "calls read better")]
    pub(super) fn put(&mut self, kind: &str, name: &str, spec: Value) -> u64 {
        self.rv += 1;
        let key = key(kind, name);
        let uid = match self.live.get(&key) {
            Some(old) => old["metadata"]["uid"].clone(),
            None => {
                self.uids += 1;
                json!(format!("u{}", self.uids))
            }
        };
        let api = if kind == "VirtualMachine" { "kubevirt.io/v1" } else { "v1" };
        let body = json!({"apiVersion": api, "kind": kind, "spec": spec, "metadata":
            {"namespace": "n", "name": name, "uid": uid, "resourceVersion": self.rv.to_string()}});
        self.live.insert(key.clone(), body.clone());
        self.writes.push(Write { rv: self.rv, key, body: Some(body.clone()), last: body });
        self.rv
    }

    pub(super) fn delete(&mut self, kind: &str, name: &str) -> bool {
        let key = key(kind, name);
        let Some(mut last) = self.live.remove(&key) else { return false };
        self.rv += 1;
        last["metadata"]["resourceVersion"] = json!(self.rv.to_string());
        self.writes.push(Write { rv: self.rv, key, body: None, last });
        true
    }

    fn selected(id: &ResourceId, body: &Value) -> bool {
        id.resource != POD || body["spec"]["label"] == "yes"
    }

    pub(super) fn raw(body: &Value) -> RawObject {
        RawObject::from_server(body.to_string().as_bytes()).expect("canonical")
    }

    fn as_of(&self, key: &ObjectKey, rv: Rv) -> AsOf {
        if rv.0 < self.compacted {
            return AsOf::Compacted;
        }
        match self.writes.iter().rev().find(|write| write.key == *key && write.rv <= rv.0).map(|write| &write.body) {
            Some(Some(body)) => AsOf::Found(Self::raw(body)),
            _ => AsOf::NotThere,
        }
    }

    /// The events after `from`, as a watch of the resource reports them.
    fn events(&self, id: &ResourceId, from: u64) -> VecDeque<(u64, Event)> {
        let mut before: BTreeMap<ObjectKey, bool> = BTreeMap::new();
        let mut events = VecDeque::new();
        for write in self.writes.iter().filter(|write| write.key.kind == kind_of(id)) {
            let was = before.get(&write.key).copied().unwrap_or(false);
            let is = write.body.as_ref().is_some_and(|body| Self::selected(id, body));
            before.insert(write.key.clone(), is);
            if write.rv <= from {
                continue;
            }
            let raw = Self::raw(&write.last);
            match (was, is) {
                (false, true) => events.push_back((write.rv, Event::Added(raw))),
                (true, true) => events.push_back((write.rv, Event::Modified(raw))),
                (true, false) => events.push_back((write.rv, Event::Deleted(raw))),
                (false, false) => {}
            }
        }
        events
    }
}

/// A running watcher: the engine, its open watches and requests, and what it has committed.
pub(super) struct Rig {
    pub(super) server: Server,
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) date: Option<Timestamp>,
    /// Requests that are not answered yet.
    pub(super) asked: VecDeque<Action>,
    /// Open watches: ticket and how far they have delivered.
    pub(super) watches: BTreeMap<ResourceId, (Ticket, u64)>,
    pub(super) pending: Vec<Record>,
    pub(super) committed: Vec<Record>,
    pub(super) resume: Vec<Vec<ResumeEntry>>,
    pub(super) timeouts: Vec<Duration>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(rules())
    }

    pub(super) fn with(rules: Rules) -> Self {
        Self {
            server: Server { rv: 100, ..Server::default() },
            state: State::new(rules),
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
                    self.watches.insert(id.clone(), (ticket, from.0));
                    self.asked.push_back(Action::Watch(id, ticket, from, timeout));
                }
                Action::StopWatch(id) => {
                    self.watches.remove(&id);
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
                self.watches.remove(&id);
                Input::Ended(id, ticket, Err(Failure::Gone))
            }
            Action::Watch(id, ticket, ..) => Input::Opened(id, ticket),
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
            Action::Discover | Action::StopWatch(_) | Action::Record(_) => return true,
        };
        self.input(input);
        true
    }

    /// Delivers one event of a watch, or a bookmark if there is none; false if the watch is not open.
    pub(super) fn deliver(&mut self, id: &ResourceId) -> bool {
        let Some((ticket, cursor)) = self.watches.get(id).copied() else { return false };
        let (rv, event) = match self.server.events(id, cursor).pop_front() {
            Some(next) => next,
            None => (self.server.rv, Event::Bookmark(Rv(self.server.rv))),
        };
        self.watches.insert(id.clone(), (ticket, rv));
        self.input(Input::Watched(id.clone(), ticket, event));
        true
    }

    pub(super) fn end_watch(&mut self, id: &ResourceId, result: Result<(), Failure>) {
        if let Some((ticket, _)) = self.watches.remove(id) {
            self.input(Input::Ended(id.clone(), ticket, result));
        }
    }

    /// Answers all requests and delivers all events and bookmarks.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.answer() {
                continue;
            }
            let behind: Vec<ResourceId> = self
                .watches
                .iter()
                .filter(|(_, (_, cursor))| *cursor < self.server.rv)
                .map(|(id, _)| id.clone())
                .collect();
            if behind.is_empty() {
                return;
            }
            for id in behind {
                self.deliver(&id);
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
