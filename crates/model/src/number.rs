//! Numbers that have a meaning: each is a type of its own, so that they cannot be swapped.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Returns the number that follows this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The place of a record in the order of the archive. Starts at 1, has no holes.
    Seq(u64)
}
number! {
    /// The reign of one writer of an archive. Grows by one with every fence.
    Epoch(u64)
}
number! {
    /// The lifetime of the cluster's storage: a new era begins when the storage went back in time,
    /// after which resource versions may be used a second time for other states. Starts at 1.
    Era(u32)
}

/// A resource version: the API server's own order of the changes to one resource.
///
/// Versions of one resource type may be compared as decimal numbers, says KEP-5504
/// (`kubernetes/enhancements: keps/sig-api-machinery/5504-comparable-resource-version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rv(pub u64);

/// A resource version that is not a decimal number and therefore cannot be ordered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("resource version {0:?} is not a decimal number")]
pub struct RvError(pub String);

impl FromStr for Rv {
    type Err = RvError;

    fn from_str(text: &str) -> Result<Self, RvError> {
        let canonical =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        match text.parse() {
            Ok(number) if canonical => Ok(Self(number)),
            _ => Err(RvError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Rv {
    type Error = RvError;

    fn try_from(text: String) -> Result<Self, RvError> {
        text.parse()
    }
}

impl From<Rv> for String {
    fn from(rv: Rv) -> Self {
        rv.0.to_string()
    }
}

impl fmt::Display for Rv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_resource_versions_as_numbers_and_not_as_text() {
        let nine: Rv = "9".parse().expect("decimal");
        let ten: Rv = "10".parse().expect("decimal");
        assert!(nine < ten);
    }

    #[test]
    fn refuses_a_resource_version_that_is_not_a_canonical_decimal() {
        for text in ["", "-1", "+1", "1.0", "0x10", "007", "a", "18446744073709551616", " 1"] {
            assert_eq!(text.parse::<Rv>(), Err(RvError(text.to_owned())));
        }
    }
}
