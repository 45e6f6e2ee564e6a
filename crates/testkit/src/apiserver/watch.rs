//! Watches: events from a version on, bookmarks, and an end.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{Response, header};
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::BoxError;

use super::{
    answer::{Answer, Refusal, serialise},
    faults::Fault,
    request::Asked,
    selector::Selector,
    service::Inner,
    state::{Logged, State},
};

/// How long before its end a watch sends a bookmark (`kubernetes/kubernetes:
/// staging/src/k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go`, `bookmarkFrequency` and `nextBookmarkTime`).
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// One running watch.
struct Running {
    inner: Arc<Inner>,
    asked: Asked,
    selector: Selector,
    fault: Option<Fault>,
    changed: tokio::sync::watch::Receiver<u64>,
    /// Lines that are ready to be sent.
    ready: VecDeque<String>,
    /// Up to where events are sent.
    cursor: u64,
    sent: usize,
    cuts: u64,
    bookmarks: u64,
    last_bookmark: Option<Instant>,
    end: Option<Instant>,
}

enum Next {
    Line(String),
    Break,
    End,
}

/// Begins a watch.
pub(super) fn watch(inner: &Arc<Inner>, state: &State, asked: Asked, fault: Option<Fault>) -> Result<Answer, Refusal> {
    let selector = Selector::read(&asked)?;
    let from: u64 = match asked.parameter("resourceVersion") {
        "" => 0,
        text => text.parse().map_err(|_| Refusal::new(400, "resourceVersion is not a number"))?,
    };
    let bookmarks = asked.parameter("allowWatchBookmarks") == "true";
    let seconds = asked.parameter("timeoutSeconds").parse().ok().map(Duration::from_secs);
    let end = seconds.map(|seconds| Instant::now() + seconds);
    let mut running = Running {
        selector,
        fault,
        changed: inner.changed.subscribe(),
        ready: VecDeque::new(),
        cursor: if from == 0 { state.revision } else { from },
        sent: 0,
        cuts: state.cuts,
        bookmarks: state.bookmarks,
        last_bookmark: end.filter(|_| bookmarks).and_then(|end| end.checked_sub(BOOKMARK_BEFORE_END)),
        end,
        inner: Arc::clone(inner),
        asked,
    };
    if from == 0 {
        let present = state.as_of(&running.asked.served, state.revision);
        let present = present
            .iter()
            .filter(|(place, object)| running.asked.covers(&place.namespace) && running.selector.matches(object));
        let lines: Vec<_> = present.map(|(_, object)| running.line("ADDED", object)).collect();
        running.ready.extend(lines);
    } else if from < state.window {
        // The real server says yes first and tells in the stream that it has no history so far back.
        let refusal = Refusal::new(410, format!("too old resource version: {from} ({})", state.window));
        let line = running.line("ERROR", &refusal.body());
        running.ready.push_back(line);
        running.end = Some(Instant::now());
        running.last_bookmark = None;
    }
    let frames = stream::unfold(Some(running), |running| async move {
        let mut running = running?;
        match running.next().await {
            Next::Line(line) => Some((Ok(http_body::Frame::data(Bytes::from(line))), Some(running))),
            Next::Break => Some((Err(BoxError::from("the connection was cut")), None)),
            Next::End => None,
        }
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(answer)
}

impl Running {
    async fn next(&mut self) -> Next {
        match self.fault {
            Some(Fault::CutStream(events)) if self.sent >= events => return Next::Break,
            Some(Fault::StallStream(events)) if self.sent >= events => return std::future::pending().await,
            _ => {}
        }
        loop {
            if let Some(line) = self.ready.pop_front() {
                self.sent += 1;
                return Next::Line(line);
            }
            let now = Instant::now();
            if self.last_bookmark.is_some_and(|at| at <= now) {
                self.last_bookmark = None;
                self.collect();
                let line = self.bookmark();
                self.ready.push_back(line);
                continue;
            }
            if self.end.is_some_and(|end| end <= now) {
                return Next::End;
            }
            self.changed.mark_unchanged();
            if self.collect() {
                return Next::Break;
            }
            if !self.ready.is_empty() {
                continue;
            }
            let wake = self.last_bookmark.or(self.end);
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { return Next::Break },
                () = timer => {}
            }
        }
    }

    /// Takes over what happened since, and tells whether the watch was cut.
    fn collect(&mut self) -> bool {
        let inner = Arc::clone(&self.inner);
        let state = inner.lock();
        if state.cuts != self.cuts {
            return true;
        }
        let news = state.log.iter().filter(|logged| {
            logged.revision > self.cursor
                && logged.place.is_of(&self.asked.served)
                && self.asked.covers(&logged.place.namespace)
        });
        let lines: Vec<_> = news.filter_map(|logged| self.event(logged)).collect();
        self.ready.extend(lines);
        self.cursor = self.cursor.max(state.revision);
        if state.bookmarks != self.bookmarks {
            self.bookmarks = state.bookmarks;
            let line = self.bookmark();
            self.ready.push_back(line);
        }
        false
    }

    /// What a change is for this watch: objects that leave the selection are told as deleted.
    fn event(&self, logged: &Logged) -> Option<String> {
        let was = logged.before.as_ref().is_some_and(|object| self.selector.matches(object));
        let is = logged.after.as_ref().is_some_and(|object| self.selector.matches(object));
        match (was, is, &logged.after) {
            (false, true, Some(object)) => Some(self.line("ADDED", object)),
            (true, true, Some(object)) => Some(self.line("MODIFIED", object)),
            (true, false, None) => Some(self.line("DELETED", &logged.last)),
            (true, false, Some(_)) => {
                // Its state before, with the version of the change (`kubernetes/kubernetes:
                // staging/src/k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go`, `convertToWatchEvent`).
                let mut last = logged.before.clone()?;
                last["metadata"]["resourceVersion"] = json!(logged.revision.to_string());
                Some(self.line("DELETED", &last))
            }
            _ => None,
        }
    }

    fn bookmark(&self) -> String {
        let served = &self.asked.served;
        let object = json!({"kind": served.kind, "apiVersion": served.api_version(),
            "metadata": {"resourceVersion": self.cursor.to_string(), "creationTimestamp": null}});
        self.line("BOOKMARK", &object)
    }

    fn line(&self, type_: &str, object: &Value) -> String {
        let object = serialise(object);
        if self.fault == Some(Fault::Reversed) {
            return format!("{{\"object\":{object},\"type\":\"{type_}\"}}\n");
        }
        format!("{{\"type\":\"{type_}\",\"object\":{object}}}\n")
    }
}
