//! What is wrong with some bytes, before it is known whose bytes they are.
//!
//! Does not: quote content.

use vmrewind_model::Timestamp;

use super::{Code, SeqRange};
use crate::Damage;

/// What is wrong with some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) offset: Option<u64>,
    pub(crate) detail: String,
    pub(crate) readable: Vec<SeqRange>,
}

/// The result of looking at bytes.
pub(crate) type Checked<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, offset: None, detail: detail.into(), readable: Vec::new() }
    }

    /// Adds where, in bytes from the start of the object.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Adds whose bytes they are.
    pub(crate) fn in_object(self, object: String, segment: Option<u64>) -> Damage {
        Damage {
            object,
            segment,
            code: self.code,
            offset: self.offset,
            detail: self.detail,
            readable: self.readable,
            held: None,
            after: None,
            before: None,
            accounted: false,
        }
    }
}

/// Returns `Ok` if `holds`, else a fault.
pub(crate) fn demand(holds: bool, code: Code, detail: &str) -> Checked<()> {
    if holds { Ok(()) } else { Err(Fault::new(code, detail)) }
}

/// Takes a time as stored.
pub(crate) fn time(micros: i64, code: Code) -> Checked<Timestamp> {
    Timestamp::from_micros(micros).map_err(|error| Fault::new(code, error.to_string()))
}
