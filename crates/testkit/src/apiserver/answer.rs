//! Answers, and objects as bytes.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tower::BoxError;

use super::faults::reason;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// A request that is turned down: what becomes a `Status`.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// The token to go on at a newer version, as offered with a 410 in the middle of a list.
    pub(super) token: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, reason: reason(status), message: message.into(), token: String::new() }
    }

    pub(super) fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }

    pub(super) fn body(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {"continue": self.token}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.status.as_u16(),
        })
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = json_answer(self.status, &self.body());
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        answer
    }
}

pub(super) fn json_answer(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/json", serialise(body))
}

pub(super) fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    answer
}

/// The annotation of objects that are sent with a member that occurs twice, so that no client can record them.
pub(super) const TWICE: &str = "test.vmrewind.io/twice";

/// Writes JSON; objects that ask for it get a member twice, wherever in `value` they are.
pub(super) fn serialise(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(TWICE) {
        return text;
    }
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(serialise).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut parts: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), serialise(value)))
                .collect();
            if value.pointer("/metadata/annotations").is_some_and(|all| all.get(TWICE).is_some()) {
                parts.push(r#""twice":1,"twice":2"#.to_owned());
            }
            format!("{{{}}}", parts.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text,
    }
}
