//! Archive URLs.
//!
//! Does not: hold credentials; those come from each cloud's own environment variables.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

/// Where an archive lies: a plain path, `file:///dir`, `s3://bucket/prefix`, `gs://bucket/prefix` or
/// `az://container/prefix`, the last three with `?endpoint=…&region=…&allow_http=true` where needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveUrl(pub(crate) Place);

/// What an [`ArchiveUrl`] can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A directory, as an absolute path.
    Directory(PathBuf),
    /// A bucket or container of an object store.
    Bucket {
        /// `s3`, `gs` or `az`.
        scheme: &'static str,
        /// Name of the bucket or container.
        bucket: String,
        /// Prefix in it, without slashes at its ends; may be empty.
        prefix: String,
        /// `endpoint`, `region`, `allow_http`.
        options: BTreeMap<String, String>,
    },
}

/// A text that is no archive URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an archive URL: {reason}")]
pub struct UrlError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Options of a bucket URL.
const OPTIONS: [&str; 3] = ["allow_http", "endpoint", "region"];

impl FromStr for ArchiveUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse(text).map(Self).map_err(|reason| UrlError { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Place, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        let path = std::path::absolute(text).map_err(|error| error.to_string())?;
        return Ok(Place::Directory(path));
    };
    let scheme = match scheme {
        "file" if rest.starts_with('/') => return Ok(Place::Directory(PathBuf::from(decode(rest)?))),
        "file" => return Err("a file URL has three slashes and an absolute path".into()),
        "s3" => "s3",
        "gs" => "gs",
        "az" => "az",
        _ => return Err("it is neither a path nor a file, s3, gs or az URL".into()),
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_matches('/');
    if bucket.is_empty() || bucket.contains(['@', ':']) {
        return Err("it names no bucket; credentials and ports do not belong there".into());
    }
    if !prefix.is_empty() && prefix.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err("its prefix has an empty part or dots".into());
    }
    let mut options = BTreeMap::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or_else(|| format!("the option {option:?} has no value"))?;
        if !OPTIONS.contains(&name) {
            return Err(format!("there is no option {name:?}, only {}", OPTIONS.join(", ")));
        }
        let value = decode(value)?;
        if name == "allow_http" && value != "true" && value != "false" {
            return Err("allow_http is true or false".into());
        }
        if value.contains('@') {
            return Err(format!("the option {name:?} must not hold credentials"));
        }
        if options.insert(name.to_owned(), value).is_some() {
            return Err(format!("the option {name:?} occurs twice"));
        }
    }
    Ok(Place::Bucket { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned(), options })
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        let value = value.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(value.ok_or("a percent sign is not followed by two hex digits")?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
}

impl fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, prefix, options) = match &self.0 {
            Place::Directory(path) => return path.display().fmt(f),
            Place::Bucket { scheme, bucket, prefix, options } => (scheme, bucket, prefix, options),
        };
        write!(f, "{scheme}://{bucket}")?;
        if !prefix.is_empty() {
            write!(f, "/{prefix}")?;
        }
        let mut separator = '?';
        for (name, value) in options {
            write!(f, "{separator}{name}={}", value.replace('%', "%25").replace('&', "%26"))?;
            separator = '&';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
