//! The one change to an object's bytes that a setting may ask for.
//!
//! Does not: change anything else; number tokens and all other members stay as they are.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use vmrewind_model::RawObject;

/// Returns the object without `metadata.managedFields`; unchanged if it has none.
pub(super) fn without_managed_fields(object: &RawObject) -> RawObject {
    strip(object.bytes()).map_or_else(|| object.clone(), |bytes| RawObject::from_archive(bytes.into()))
}

/// Members of canonical JSON are canonical themselves, and `BTreeMap` sorts as canonical JSON does.
fn strip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).ok()?;
    let mut metadata: BTreeMap<String, &RawValue> = serde_json::from_str(members.get("metadata")?.get()).ok()?;
    metadata.remove("managedFields")?;
    let metadata = serde_json::value::to_raw_value(&metadata).ok()?;
    members.insert("metadata".to_owned(), &metadata);
    let bytes = serde_json::to_vec(&members).ok()?;
    vmrewind_model::canonical::canonicalize(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_managed_fields_away_and_keeps_every_other_byte() {
        let with =
            br#"{"a":1.10,"metadata":{"managedFields":[{"manager":"x"}],"name":"n"},"z":12345678901234567890123}"#;
        let object = RawObject::from_server(with).expect("canonical");
        let without = without_managed_fields(&object);
        assert_eq!(&without.bytes()[..], br#"{"a":1.10,"metadata":{"name":"n"},"z":12345678901234567890123}"#);
    }

    #[test]
    fn leaves_an_object_without_managed_fields_alone() {
        let object = RawObject::from_server(br#"{"metadata":{"name":"n"}}"#).expect("canonical");
        assert_eq!(without_managed_fields(&object), object);
    }
}
