//! The stream of changes of a resource from a version on.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use http::{Method, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::Deserialize;
use serde_json::value::RawValue;
use vmrewind_model::{RawObject, Rv, Timestamp};

use crate::{
    Cluster, ClusterError, Rejected, Target,
    call::{Call, date, request, status_of_event},
};

/// Longest event that is read: many times what etcd stores of an object by default (1.5 MiB).
const MAX_EVENT: usize = 64 << 20;

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The object came into being, or into the selection.
    Added(RawObject),
    /// The object changed.
    Modified(RawObject),
    /// The object was deleted, or left the selection; this is its last state. Its version is that of the deletion.
    Deleted(RawObject),
    /// Nothing is missing up to this version.
    Bookmark(Rv),
    /// An object that cannot be recorded. The watch goes on.
    Rejected(Rejected),
}

/// The events of a running watch, in the order of their versions.
///
/// Ends without an error when the server ends it (the timeout is over); go on from the version of the last event. Ends
/// with one error when the connection breaks ([`ClusterError::Unreachable`]), when the server says so
/// ([`ClusterError::Gone`], for a 410 in the stream as for a 410 at the start), or when an event cannot be understood
/// ([`ClusterError::Protocol`]). Nothing follows an error.
///
/// Silence is not treated here: a server sends a bookmark about once a minute, and one about two seconds before the
/// timeout of the watch, so a stream without anything for two minutes, or beyond its timeout by more than some seconds,
/// is stalled and should be dropped.
pub struct Watch {
    date: Option<Timestamp>,
    events: BoxStream<'static, Result<WatchEvent, ClusterError>>,
}

impl Watch {
    /// Returns the server's clock when it accepted the watch, to a second.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, ClusterError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("date", &self.date).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Watches a target for all that happened after version `from`. The server ends the watch after about `timeout`
    /// (whole seconds, at least one); short timeouts give frequent bookmarks.
    ///
    /// A watch from a version that lies in the future reports nothing and skips what happens until then: compare
    /// `from` with [`Cluster::newest_version`] first.
    ///
    /// # Errors
    /// [`ClusterError::Gone`] if the server's history does not reach back to `from`.
    pub async fn watch(&self, target: &Target, from: Rv, timeout: Duration) -> Result<Watch, ClusterError> {
        let call = Call::new("watch", target, "");
        let (from, seconds) = (from.to_string(), timeout.as_secs().max(1).to_string());
        let mut query = vec![
            ("watch", "true"),
            ("resourceVersion", from.as_str()),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", seconds.as_str()),
        ];
        query.extend(target.selector.as_deref().map(|selector| ("labelSelector", selector)));
        let mut request = request(&call, Method::GET, &target.collection_path(), &query, None)?;
        // Servers from 1.37 on compress each event by itself, of which decoders read the first one only.
        request.headers_mut().insert(header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
        let response = self.open(&call, request).await?;
        let date = date(response.headers());
        let reader = Reader {
            target: target.clone(),
            call,
            body: response.into_body(),
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        };
        let events = stream::unfold(reader, |mut reader| async move {
            let next = reader.next().await?;
            reader.ended = next.is_err();
            Some((next, reader))
        });
        Ok(Watch { date, events: events.boxed() })
    }
}

/// Cuts a body into lines and reads events out of them.
struct Reader {
    target: Target,
    call: Call,
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of a line.
    searched: usize,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<WatchEvent, ClusterError>> {
        if self.ended {
            return None;
        }
        match self.next_line().await {
            Ok(Some(line)) => Some(read_event(&self.target, &self.call, &line)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Returns the next line that is not empty; none where the server ended the stream in good order.
    async fn next_line(&mut self) -> Result<Option<Bytes>, ClusterError> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(self.searched + at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_EVENT {
                return Err(self.call.protocol(format!("an event is longer than {MAX_EVENT} bytes")));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(self.call.broken(&error)),
                None if self.buffer.iter().all(u8::is_ascii_whitespace) => return Ok(None),
                None => return Err(self.call.protocol("the stream ends in the middle of an event")),
            }
        }
    }
}

fn read_event(target: &Target, call: &Call, line: &[u8]) -> Result<WatchEvent, ClusterError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        type_: String,
        #[serde(borrow)]
        object: &'a RawValue,
    }
    let event: Event<'_> = serde_json::from_slice(line).map_err(|_| call.protocol("an event is no JSON"))?;
    let bytes = event.object.get().as_bytes();
    let object = |deleted| {
        let object = RawObject::from_server(bytes).and_then(|object| object.head().map(|_| object));
        object.map_err(|error| Rejected::new(target, bytes, deleted, error.to_string()))
    };
    let made = match event.type_.as_str() {
        "ADDED" => object(false).map(WatchEvent::Added),
        "MODIFIED" => object(false).map(WatchEvent::Modified),
        "DELETED" => object(true).map(WatchEvent::Deleted),
        "BOOKMARK" => return read_bookmark(call, bytes).map(WatchEvent::Bookmark),
        "ERROR" => return Err(status_of_event(call, bytes)),
        _ => return Err(call.protocol("an event of an unknown type")),
    };
    Ok(made.unwrap_or_else(|rejected| WatchEvent::Rejected(*rejected)))
}

fn read_bookmark(call: &Call, bytes: &[u8]) -> Result<Rv, ClusterError> {
    #[derive(Deserialize)]
    struct Bookmark {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        resource_version: String,
    }
    let bookmark: Bookmark =
        serde_json::from_slice(bytes).map_err(|_| call.protocol("a bookmark without a version"))?;
    let version = bookmark.metadata.resource_version;
    version.parse().map_err(|error: vmrewind_model::RvError| call.protocol(error.to_string()))
}
