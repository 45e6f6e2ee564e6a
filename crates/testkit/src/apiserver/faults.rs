//! What goes wrong on command.

use http::StatusCode;

/// Something that goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server answers with this status (429, 500, 503, 504 …) and does nothing.
    Status(u16),
    /// The server answers 410 by status. (Without faults a watch that starts too early gets it in the stream.)
    Gone,
    /// The connection breaks before anything is done.
    Cut,
    /// The request is carried out, but the connection breaks before the answer.
    LostAnswer,
    /// There is never an answer.
    Stall,
    /// A watch is accepted, delivers this many events and then breaks.
    CutStream(usize),
    /// A watch is accepted, delivers this many events and then says nothing any more, nor ends.
    StallStream(usize),
    /// The events of a watch have `object` before `type`.
    Reversed,
    /// Just before the request is carried out something else is written and all history is compacted.
    Compact,
    /// The answer carries a warning.
    Warn(String),
}

/// A fault and the requests it is for.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) verb: String,
    pub(super) plural: String,
    pub(super) fault: Fault,
    pub(super) times: usize,
}

impl Rule {
    pub(super) fn matches(&self, verb: &str, plural: &str) -> bool {
        let fits = |wanted: &str, given: &str| wanted == "*" || wanted == given;
        self.times > 0 && fits(&self.verb, verb) && fits(&self.plural, plural)
    }
}

/// The reason that belongs to a status (`kubernetes/kubernetes:
/// staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go`, `StatusReason`).
pub(super) fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Expired",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}
