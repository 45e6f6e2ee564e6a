//! What a service said when it failed.
//!
//! `object_store` keeps the types of these errors to itself (`src/client/retry.rs`, `src/client/get.rs`), so that all there is
//! to go by is their text. Whatever is not found in it is treated as trouble that passes.
//!
//! Does not: decide what becomes of the operation.

use std::{error::Error as _, fmt, io};

/// What a service answered: enough for people, and without what else stands in the body of such an answer (key ids,
/// strings that were signed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The service's own code, such as `NoSuchBucket`.
    pub(crate) code: Option<String>,
    /// What it says to that.
    message: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

impl std::error::Error for Answer {}

/// What stands before the status in the text of an error.
const STATUS: &str = "status code: ";

/// How much of a message is kept.
const LONGEST: usize = 300;

impl Answer {
    /// Finds the answer in an error; none if no answer came.
    pub(crate) fn of(error: &object_store::Error) -> Option<Self> {
        let text = error.to_string();
        let (_, rest) = text.split_once(STATUS)?;
        let status = rest.get(..3)?.parse().ok()?;
        let member = |name: &str| {
            let (_, rest) = rest.split_once(&format!("<{name}>"))?;
            let (text, _) = rest.split_once(&format!("</{name}>"))?;
            let line: Vec<&str> = text.split_whitespace().collect();
            Some(line.join(" ").chars().take(LONGEST).collect::<String>()).filter(|text| !text.is_empty())
        };
        Some(Self { status, code: member("Code"), message: member("Message") })
    }

    /// Tells whether it is not the object that is missing, but the bucket.
    pub(crate) fn lacks_bucket(&self) -> bool {
        // Amazon S3 and Google Cloud Storage; Azure Blob Storage.
        matches!(self.code.as_deref(), Some("NoSuchBucket" | "ContainerNotFound"))
    }

    /// Tells whether it is the object that is missing, as far as one can tell: the answer to a HEAD has no body.
    pub(crate) fn lacks_object(&self) -> bool {
        // Amazon S3 and Google Cloud Storage; Azure Blob Storage. Everything else is another matter: versitygw answers 404
        // to unknown credentials, too (its `s3err/s3err.go`, `XAdminUserNotFound`).
        matches!(self.code.as_deref(), None | Some("NoSuchKey" | "NoSuchVersion" | "BlobNotFound" | "ResourceNotFound"))
    }

    /// Tells whether it does not know who is asking, rather than not letting them.
    pub(crate) fn doubts_credentials(&self) -> bool {
        const CODES: [&str; 10] = [
            "AuthenticationFailed",
            "AuthenticationRequired",
            "ExpiredToken",
            "InvalidAccessKeyId",
            "InvalidSecurity",
            "InvalidToken",
            "NoAuthenticationInformation",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "XAdminUserNotFound", // versitygw with one user
        ];
        self.status == 401 || self.code.as_deref().is_some_and(|code| CODES.contains(&code))
    }
}

/// Tells whether the same may well succeed a moment later.
pub(super) fn passes(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::Generic { .. } => match Answer::of(error) {
            Some(Answer { status, .. }) => {
                matches!(status, 408 | 425 | 429 | 500 | 502..=599) // 501: not implemented
            }
            None => !ignores_ranges(error) && !is_final(error),
        },
        object_store::Error::JoinError { .. } => true,
        _ => false,
    }
}

/// Tells whether the whole object came though a range was asked for, which `object_store` refuses.
pub(super) fn ignores_ranges(error: &object_store::Error) -> bool {
    error.to_string().contains("Received non-partial response when range requested")
}

/// Tells whether access is refused, by a service or by the file system.
pub(super) fn denies(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    // A list that is refused comes as a generic error; and see `Answer::lacks_object`.
    let refused =
        || Answer::of(error).is_some_and(|answer| matches!(answer.status, 401 | 403) || answer.doubts_credentials());
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) || denied_by_files(error) || refused()
}

/// Tells whether the file system refuses.
pub(super) fn denied_by_files(error: &object_store::Error) -> bool {
    io_error(error).is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
}

/// An error of this module or of a file system says all there is to say.
fn is_final(error: &object_store::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<Unfit>() {
            return true;
        }
        cause = error.source();
    }
    // The wrong region of Amazon S3.
    error.to_string().contains("Received redirect without LOCATION")
}

/// An answer that asking again does not make better.
#[derive(Debug)]
pub(super) struct Unfit(pub(super) String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}
