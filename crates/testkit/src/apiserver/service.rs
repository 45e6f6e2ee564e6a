//! The server as a `tower::Service`, and what tests do to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, StatusCode, header, request::Parts};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::{BoxError, Service};
use vmrewind_model::Timestamp;

use super::{
    FakeType, Fault,
    answer::{Answer, Refusal, answer, json_answer},
    faults::Rule,
    list::list,
    request::Asked,
    state::{Place, State},
    types::{default_types, discovery},
    watch::watch,
    write::{get, write},
};

/// The server. Cheap to clone; all clones are one server.
#[derive(Clone, Debug)]
pub struct FakeApiServer {
    inner: Arc<Inner>,
}

/// A lock and not a channel, because requests and commands of tests must see each other's effects at once.
#[derive(Debug)]
pub(super) struct Inner {
    state: Mutex<State>,
    /// Grows with every change that a watch may want to know of.
    pub(super) changed: tokio::sync::watch::Sender<u64>,
    started: Instant,
    start_time: Timestamp,
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked has failed already; others should not hide why.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_watches(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn now(&self) -> Timestamp {
        self.start_time.plus(self.started.elapsed())
    }
}

impl Default for FakeApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeApiServer {
    /// Makes a server with the usual types and the namespaces `default` and `kube-system`. Must be called in a tokio
    /// runtime, whose clock is that of the server; it begins at 2026-01-01T00:00:00Z.
    ///
    /// # Panics
    /// Never: the time is a valid one.
    #[must_use]
    pub fn new() -> Self {
        Self::with_types(default_types())
    }

    /// As [`Self::new`], with other types. `Namespace` should be among them.
    ///
    /// # Panics
    /// Never: the time is a valid one.
    #[must_use]
    pub fn with_types(types: Vec<FakeType>) -> Self {
        // Versions do not begin at 1 on a real server either.
        let state = State { types, revision: 100, ..State::default() };
        let server = Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                changed: tokio::sync::watch::Sender::new(0),
                started: Instant::now(),
                start_time: "2026-01-01T00:00:00Z".parse().expect("a valid time"),
            }),
        };
        for namespace in ["default", "kube-system"] {
            server.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        }
        server
    }

    /// Returns a client of this server, which does not retry by itself.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Returns the server's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// Returns the newest version.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.inner.lock().revision
    }

    /// Stores an object as it is, in place of one of that name, as somebody else would; returns its version. Missing
    /// uid and creation time are filled in. With the annotation `test.vmrewind.io/twice` the server sends it in a form
    /// that cannot be recorded.
    ///
    /// # Panics
    /// If it has no metadata or its type is not served.
    pub fn put(&self, object: &Value) -> u64 {
        let mut object = object.clone();
        let now = whole_seconds(self.now());
        let mut state = self.inner.lock();
        let place = place_of(&state, &object);
        let uid = match state.objects.get(&place) {
            Some(present) => present["metadata"]["uid"].clone(),
            None => json!(state.new_uid()),
        };
        let metadata = object["metadata"].as_object_mut().expect("an object has metadata");
        metadata.entry("uid").or_insert(uid);
        metadata.entry("creationTimestamp").or_insert(json!(now));
        state.store(place, object);
        let revision = state.revision;
        drop(state);
        self.inner.tell_watches();
        revision
    }

    /// Deletes an object at once, whatever its finalizers say. Returns the version of the deletion, or none if there is
    /// no such object.
    ///
    /// # Panics
    /// If its type is not served.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) -> Option<u64> {
        let mut state = self.inner.lock();
        let served = state.types.iter().find(|served| served.kind == kind).expect("a served kind").clone();
        let removed = state.remove(&Place::new(&served, namespace, name)).map(|_| state.revision);
        drop(state);
        self.inner.tell_watches();
        removed
    }

    /// Returns an object as it is now.
    #[must_use]
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.inner.lock();
        let served = state.types.iter().find(|served| served.kind == kind)?;
        state.objects.get(&Place::new(served, namespace, name)).cloned()
    }

    /// Begins to serve a type, as after the installation of its definition.
    pub fn add_type(&self, served: FakeType) {
        self.inner.lock().types.push(served);
    }

    /// Ends to serve a type; its objects are gone, and its watches are cut.
    pub fn remove_type(&self, kind: &str) {
        let mut state = self.inner.lock();
        let (gone, types) = std::mem::take(&mut state.types).into_iter().partition(|served| served.kind == kind);
        state.types = types;
        let gone: Vec<FakeType> = gone;
        state.objects.retain(|place, _| !gone.iter().any(|served| place.is_of(served)));
        state.cuts += 1;
        drop(state);
        self.inner.tell_watches();
    }

    /// Makes discovery tell that the types of a group are not known to be complete.
    pub fn set_stale(&self, group: &str) {
        self.inner.lock().stale.push(group.to_owned());
    }

    /// Answers 403 to a verb (`*` for all) on a type from now on.
    pub fn deny(&self, verb: &str, plural: &str) {
        self.inner.lock().denied.insert((verb.to_owned(), plural.to_owned()));
    }

    /// Takes a [`Self::deny`] back.
    pub fn allow(&self, verb: &str, plural: &str) {
        self.inner.lock().denied.remove(&(verb.to_owned(), plural.to_owned()));
    }

    /// Lets the next `times` requests with this verb (`list`, `watch`, `get`, `create`, `update`, `patch`, `delete`, or
    /// `*`) on this plural name (or `*`) fail. Faults that were asked for earlier come first.
    pub fn fail(&self, verb: &str, plural: &str, fault: Fault, times: usize) {
        self.inner.lock().rules.push(Rule { verb: verb.to_owned(), plural: plural.to_owned(), fault, times });
    }

    /// Breaks the connections of all watches.
    pub fn cut_watches(&self) {
        self.inner.lock().cuts += 1;
        self.inner.tell_watches();
    }

    /// Sends a bookmark to all watches.
    pub fn send_bookmarks(&self) {
        self.inner.lock().bookmarks += 1;
        self.inner.tell_watches();
    }

    /// Forgets events before now, as a restart does: watches are cut, and those from an older version get 410.
    pub fn restart(&self) {
        let mut state = self.inner.lock();
        state.window = state.revision;
        state.cuts += 1;
        drop(state);
        self.inner.tell_watches();
    }

    /// Forgets states before now: reads at an exact older version get 410, and so do pages of lists begun earlier.
    /// Watches go on.
    pub fn compact(&self) {
        let mut state = self.inner.lock();
        state.compacted = state.revision;
    }

    /// Puts the storage back to an earlier version, as the restore of a backup does: what came later never happened, and
    /// its versions are used again. Watches are cut.
    pub fn rewind(&self, revision: u64) {
        self.inner.lock().rewind(revision);
        self.inner.tell_watches();
    }

    /// Returns the requests that arrived so far, as `verb plural`, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.inner.lock().requests.clone()
    }

    async fn serve(self, parts: Parts, body: Body) -> Result<Answer, BoxError> {
        let body = body.collect_bytes().await?;
        let (outcome, fault) = self.handle(&parts, &body);
        match fault {
            Some(Fault::Stall) => return std::future::pending().await,
            Some(Fault::Cut | Fault::LostAnswer) => return Err("the connection was cut".into()),
            _ => {}
        }
        let mut answer = outcome.unwrap_or_else(|refusal| refusal.answer());
        if let Some(Fault::Warn(text)) = fault {
            answer.headers_mut().insert(header::WARNING, format!("299 - {}", json!(text)).parse()?);
        }
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.now().into())?;
        answer.headers_mut().insert(header::DATE, date.parse()?);
        Ok(answer)
    }

    /// Does what a request asks for, unless a fault forbids it.
    fn handle(&self, parts: &Parts, body: &[u8]) -> (Result<Answer, Refusal>, Option<Fault>) {
        let mut state = self.inner.lock();
        if let Some(answer) = about_itself(&state, parts.uri.path()) {
            return (Ok(answer), None);
        }
        let asked = match Asked::read(parts, &state.types) {
            Ok(asked) => asked,
            Err(refusal) => return (Err(refusal), None),
        };
        let (verb, plural) = (asked.verb, asked.served.plural.clone());
        state.requests.push(format!("{verb} {plural}"));
        let denied = [verb, "*"].iter().any(|verb| state.denied.contains(&((*verb).to_owned(), plural.clone())));
        if denied {
            let text = format!("User \"test\" cannot {verb} resource {plural:?} in API group {:?}", asked.served.group);
            return (Err(Refusal::new(403, text)), None);
        }
        let fault = state.take_fault(verb, &plural);
        match &fault {
            Some(Fault::Status(status)) => return (Err(Refusal::new(*status, "a fault was asked for")), fault),
            Some(Fault::Gone) => return (Err(Refusal::new(410, "too old resource version")), fault),
            Some(Fault::Cut | Fault::Stall) => return (Err(Refusal::new(500, "never sent")), fault),
            Some(Fault::Compact) => {
                state.revision += 1;
                state.compacted = state.revision;
            }
            _ => {}
        }
        let content_type =
            parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let outcome = match verb {
            "list" => list(&state, &asked),
            "watch" => watch(&self.inner, &state, asked, fault.clone()),
            "get" => get(&state, &asked),
            _ => write(&mut state, &asked, content_type, body, &whole_seconds(self.inner.now())),
        };
        drop(state);
        self.inner.tell_watches();
        (outcome, fault)
    }
}

impl Service<Request<Body>> for FakeApiServer {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        Box::pin(self.clone().serve(parts, body))
    }
}

/// Answers what is not about objects.
fn about_itself(state: &State, path: &str) -> Option<Answer> {
    let typed = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let told = |core| answer(StatusCode::OK, typed, discovery(&state.types, core, &state.stale).to_string());
    match path {
        "/api" => Some(told(true)),
        "/apis" => Some(told(false)),
        "/version" => {
            Some(json_answer(StatusCode::OK, &json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0-fake"})))
        }
        "/readyz" | "/livez" => Some(answer(StatusCode::OK, "text/plain", "ok".to_owned())),
        _ => None,
    }
}

fn place_of(state: &State, object: &Value) -> Place {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let by_kind: BTreeMap<_, _> =
        state.types.iter().map(|served| ((served.api_version(), served.kind.as_str()), served)).collect();
    let served = by_kind.get(&(text("/apiVersion").to_owned(), text("/kind"))).expect("a served type");
    Place::new(served, text("/metadata/namespace"), text("/metadata/name"))
}

/// The time in metadata, which has whole seconds.
fn whole_seconds(time: Timestamp) -> String {
    let micros = time.micros() - time.micros().rem_euclid(1_000_000);
    Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN).to_string()
}
