//! One request and its answer: the only place where bytes go to the server and come back.
//!
//! Not kube's `Client::request`, because that logs whole bodies when it cannot decode them, hides the headers of the
//! answer and loses which call an error belongs to.
//!
//! Does not: retry, or understand objects.

use std::{error::Error as StdError, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected};
use kube::client::Body;
use serde::Deserialize;
use vmrewind_model::Timestamp;

use crate::{Cause, Cluster, ClusterError, Target, cause, redact::redact, target::escape};

/// How long an answer may take, body included. The server itself gives up after 60 s
/// (`kubernetes/kubernetes: staging/src/k8s.io/apiserver/pkg/server/options/server_run_options.go`, `RequestTimeout`).
const PATIENCE: Duration = Duration::from_secs(75);

/// What is asked for, in the words of errors, logs and roles.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The verb as roles spell it.
    pub(crate) verb: &'static str,
    /// `plural.group`.
    resource: String,
    namespace: String,
    name: String,
}

/// A complete answer that says yes.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(verb: &'static str, target: &Target, name: &str) -> Self {
        Self {
            verb,
            resource: vmrewind_model::ResourceId::new(&target.group, &target.plural, "").to_string(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }

    /// A call that is about no object, for example `get /version`.
    pub(crate) fn plain(verb: &'static str, path: &str) -> Self {
        Self { verb, resource: path.to_owned(), namespace: String::new(), name: String::new() }
    }

    fn text(&self) -> String {
        let mut text = format!("{} {}", self.verb, self.resource);
        if !self.name.is_empty() {
            text.push_str(&format!(" {:?}", self.name));
        }
        if !self.namespace.is_empty() {
            text.push_str(&format!(" in namespace {}", self.namespace));
        }
        text
    }

    pub(crate) fn protocol(&self, reason: impl Into<String>) -> ClusterError {
        ClusterError::Protocol { call: self.text(), reason: reason.into() }
    }

    pub(crate) fn inconsistent(&self, attempts: u32) -> ClusterError {
        ClusterError::Inconsistent { call: self.text(), attempts }
    }

    pub(crate) fn broken(&self, error: &(dyn StdError + 'static)) -> ClusterError {
        ClusterError::Unreachable { call: self.text(), reason: cause::chain(error) }
    }

    /// Builds the error that a status of the server stands for.
    pub(crate) fn refused(&self, status: u16, body: &[u8], retry_after: Option<Duration>) -> ClusterError {
        let told: Status = serde_json::from_slice(body).unwrap_or_default();
        let retry_after = retry_after.or_else(|| told.details.retry_after_seconds.map(Duration::from_secs));
        let call = self.text();
        let message = match told.message.as_str() {
            "" => "the server gives no reason".to_owned(),
            message => redact(message),
        };
        match (status, told.reason.as_str()) {
            (401, _) => ClusterError::Unauthorized { call },
            (403, _) => ClusterError::Forbidden {
                call,
                verb: self.verb,
                resource: self.resource.clone(),
                namespace: self.namespace.clone(),
                message,
            },
            (404, _) => ClusterError::NotFound { call },
            (409, "AlreadyExists") => ClusterError::AlreadyExists { call },
            (409, _) => ClusterError::Conflict { call, message },
            (410, _) => ClusterError::Gone { call },
            (429, _) => ClusterError::TooMany { call, retry_after },
            (400 | 405 | 406 | 413 | 415 | 422, _) => {
                let causes = told.details.causes.into_iter().map(|cause| Cause {
                    field: cause.field,
                    reason: cause.reason,
                    message: redact(&cause.message),
                });
                ClusterError::Invalid { call, status, message, causes: causes.collect() }
            }
            _ => ClusterError::Server { call, status, message, retry_after },
        }
    }

    /// Builds the error for what kube's client says about a request that got no answer.
    fn failed(&self, error: &kube::Error) -> ClusterError {
        let call = self.text();
        match error {
            kube::Error::Auth(auth) => ClusterError::Credentials { reason: cause::credentials(auth) },
            _ => match cause::certificate(error) {
                Some(reason) => ClusterError::Certificate { call, reason },
                None => ClusterError::Unreachable { call, reason: cause::network(error) },
            },
        }
    }
}

impl Answer {
    /// The server's clock when it answered, to a second.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        date(&self.headers)
    }

    /// The texts of the `Warning` headers.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.headers.get_all(header::WARNING).iter().filter_map(|value| warning_text(value.to_str().ok()?)).collect()
    }
}

impl Cluster {
    /// Sends a request and reads the whole answer, in bounded time.
    pub(crate) async fn call(&self, call: &Call, request: Request<Vec<u8>>) -> Result<Answer, ClusterError> {
        let talk = async {
            let (parts, body) = self.open(call, request).await?.into_parts();
            let body = body.collect().await.map_err(|error| call.broken(&error))?.to_bytes();
            Ok(Answer { headers: parts.headers, body })
        };
        tokio::time::timeout(PATIENCE, talk)
            .await
            .map_err(|_| ClusterError::Timeout { call: call.text(), after: PATIENCE })?
    }

    /// Sends a request and returns as soon as the server says yes; the body is still to come.
    pub(crate) async fn open(&self, call: &Call, request: Request<Vec<u8>>) -> Result<Response<Body>, ClusterError> {
        let talk = async {
            let response = self.client.send(request.map(Body::from)).await.map_err(|error| call.failed(&error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let retry_after = retry_after(response.headers());
            // Whatever body there is only explains a status that is known already.
            let body = response.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
            Err(call.refused(status.as_u16(), &body, retry_after))
        };
        tokio::time::timeout(PATIENCE, talk)
            .await
            .map_err(|_| ClusterError::Timeout { call: call.text(), after: PATIENCE })?
    }
}

/// Builds a request; `query` holds names and values that are not escaped yet.
pub(crate) fn request(
    call: &Call,
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    body: Option<(&str, Vec<u8>)>,
) -> Result<Request<Vec<u8>>, ClusterError> {
    let mut uri = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        uri.push_str(name);
        uri.push('=');
        uri.push_str(&escape(value));
    }
    let mut builder = Request::builder().method(method).uri(uri).header(header::ACCEPT, "application/json");
    let mut bytes = Vec::new();
    if let Some((content_type, body)) = body {
        builder = builder.header(header::CONTENT_TYPE, content_type);
        bytes = body;
    }
    builder
        .body(bytes)
        .map_err(|error| ClusterError::Options { reason: format!("{} cannot be sent: {error}", call.text()) })
}

/// The server's clock, from the `Date` header.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Timestamp::try_from(zoned).ok()
}

/// The error of a `Status` that came as an event of a watch.
pub(crate) fn status_of_event(call: &Call, object: &[u8]) -> ClusterError {
    let told: Status = serde_json::from_slice(object).unwrap_or_default();
    let code = told.code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR.as_u16());
    call.refused(code, object, None)
}

/// The part of `metav1.Status` that is of use.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    message: String,
    reason: String,
    code: Option<u16>,
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    causes: Vec<StatusCause>,
    retry_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusCause {
    field: String,
    reason: String,
    message: String,
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// Reads `299 - "text"`, the only form the API server sends
/// (`kubernetes/kubernetes: staging/src/k8s.io/apimachinery/pkg/util/net/http.go`, `NewWarningHeader`).
fn warning_text(header: &str) -> Option<String> {
    let quoted = header.split_once(" \"")?.1;
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(redact(&text)),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}
