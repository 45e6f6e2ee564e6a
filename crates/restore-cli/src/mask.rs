//! What is shown of secrets: nothing, but whether two of them are equal.
//!
//! Does not: know where secrets sit in an object; the graph crate's table of them does.

use std::collections::HashMap;

use serde_json::Value;
use vmrewind_model::Digest;

/// What a masked value begins with where two states are compared; equal values carry equal numbers.
const MARK: &str = "<masked #";

/// Masks objects before they are shown, unless the user asked to see secrets.
///
/// One masker serves one answer: it numbers the secret values it meets, so that two states can be compared
/// without showing or hashing what they hold.
#[derive(Debug, Default)]
pub(crate) struct Masker {
    show: bool,
    seen: HashMap<Digest, usize>,
}

impl Masker {
    /// Makes a masker; one that shows secrets masks nothing.
    pub(crate) fn new(show: bool) -> Self {
        Self { show, seen: HashMap::new() }
    }

    /// Masks one object and returns how many values were masked.
    pub(crate) fn mask(&self, object: &mut Value) -> usize {
        if self.show { 0 } else { vmrewind_graph::mask_secrets(object) }
    }

    /// Masks an object that will be compared with another one: each masked value becomes a number.
    pub(crate) fn comparable(&mut self, object: &Value) -> Value {
        let mut masked = object.clone();
        if !self.show && vmrewind_graph::mask_secrets(&mut masked) > 0 {
            self.number(object, &mut masked);
        }
        masked
    }

    /// Replaces what masking has changed by the number of the value that stood there.
    fn number(&mut self, original: &Value, masked: &mut Value) {
        match (original, masked) {
            (Value::Object(original), Value::Object(masked)) if original.len() == masked.len() => {
                for (name, masked) in masked.iter_mut() {
                    if let Some(original) = original.get(name) {
                        self.number(original, masked);
                    }
                }
            }
            (Value::Array(original), Value::Array(masked)) if original.len() == masked.len() => {
                for (original, masked) in original.iter().zip(masked) {
                    self.number(original, masked);
                }
            }
            (original, masked) if original != masked => {
                let next = self.seen.len() + 1;
                let number = *self.seen.entry(Digest::of(original.to_string().as_bytes())).or_insert(next);
                *masked = format!("{MARK}{number}>").into();
            }
            _ => {}
        }
    }
}

/// Tells whether a value stands for a masked one.
pub(crate) fn is_masked(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(MARK))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
            "data": {"password": value, "user": "YQ=="}})
    }

    #[test]
    fn equal_secrets_get_equal_numbers_and_no_value_survives() {
        let mut masker = Masker::new(false);
        let [a, b, c] = ["aHVudGVyMg==", "aHVudGVyMg==", "b3RoZXI="].map(|value| masker.comparable(&secret(value)));
        assert_eq!(a, b);
        assert_ne!(a["data"]["password"], c["data"]["password"]);
        assert_eq!(a["data"]["user"], c["data"]["user"]);
        assert!(is_masked(&c["data"]["password"]));
        assert!(!format!("{a}{c}").contains("aHVudGVyMg"));
    }

    #[test]
    fn shows_secrets_only_to_those_who_ask() {
        let mut object = secret("aHVudGVyMg==");
        assert_eq!(Masker::new(true).mask(&mut object), 0);
        assert_eq!(object, secret("aHVudGVyMg=="));
        assert!(Masker::new(false).mask(&mut object) > 0);
        assert!(!object.to_string().contains("aHVudGVyMg"));
    }
}
