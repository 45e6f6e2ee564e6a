//! Objects that were received but cannot be recorded.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use vmrewind_model::{ObjectKey, Rv};

use crate::Target;

/// An object that the server sent and that cannot be recorded, with what could be read of it. It is never dropped in
/// silence: whoever receives it records a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Group and kind as asked for; namespace and name as far as they could be read, else empty.
    pub key: ObjectKey,
    /// Its uid, empty if it could not be read.
    pub uid: String,
    /// Its resource version, if it could be read and ordered.
    pub rv: Option<Rv>,
    /// Whether it came with the news of its deletion.
    pub deleted: bool,
    /// Why it cannot be recorded, without any of its content.
    pub reason: String,
}

impl Rejected {
    /// Reads what can be read. Members that occur twice or have another type than expected yield nothing.
    pub(crate) fn new(target: &Target, bytes: &[u8], deleted: bool, reason: String) -> Box<Self> {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            metadata: &'a RawValue,
        }
        // `Value` takes what comes last where a member occurs twice, which is what the server does.
        let metadata: Value = serde_json::from_slice::<Outer<'_>>(bytes)
            .ok()
            .and_then(|outer| serde_json::from_str(outer.metadata.get()).ok())
            .unwrap_or_default();
        let text = |member: &str| metadata.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        Box::new(Self {
            key: ObjectKey::new(&target.group, &target.kind, &text("namespace"), &text("name")),
            uid: text("uid"),
            rv: text("resourceVersion").parse().ok(),
            deleted,
            reason,
        })
    }
}
