//! What a request asks for.

use http::{Method, Uri, request::Parts};

use super::{answer::Refusal, types::FakeType};

/// A request that is understood as far as its path and query go.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) verb: &'static str,
    pub(super) served: FakeType,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) subresource: String,
    pub(super) query: Vec<(String, String)>,
}

impl Asked {
    /// # Errors
    /// 404 for paths that lead nowhere, 405 for methods that do nothing there.
    pub(super) fn read(parts: &Parts, types: &[FakeType]) -> Result<Self, Refusal> {
        let lost = || Refusal::new(404, "the server could not find the requested resource");
        let segments: Vec<String> = parts.uri.path().split('/').skip(1).map(decode).collect();
        let (group, version, rest) = match segments.as_slice() {
            [root, version, rest @ ..] if root == "api" => ("", version, rest),
            [root, group, version, rest @ ..] if root == "apis" => (group.as_str(), version, rest),
            _ => return Err(lost()),
        };
        // `/namespaces/NAME` is an object, `/namespaces/NAME/secrets` is a collection in it.
        let (namespace, rest) = match rest {
            [word, namespace, rest @ ..] if word == "namespaces" && !rest.is_empty() && rest[0] != "status" => {
                (Some(namespace.clone()), rest)
            }
            _ => (None, rest),
        };
        let (plural, rest) = rest.split_first().ok_or_else(lost)?;
        let fits = |served: &&FakeType| served.group == group && served.version == *version && served.plural == *plural;
        let served = types.iter().find(fits).ok_or_else(lost)?.clone();
        let (name, subresource) = match rest {
            [] => (String::new(), String::new()),
            [name] => (name.clone(), String::new()),
            [name, subresource] if subresource == "status" && served.status => (name.clone(), subresource.clone()),
            _ => return Err(lost()),
        };
        let query = query(&parts.uri);
        let watch = query.iter().any(|(name, value)| name == "watch" && (value == "true" || value == "1"));
        let verb = match (&parts.method, name.is_empty()) {
            (&Method::GET, true) if watch => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, true) => "create",
            (&Method::PUT, false) => "update",
            (&Method::PATCH, false) => "patch",
            (&Method::DELETE, false) => "delete",
            _ => return Err(Refusal::new(405, "the server does not allow this method on the requested resource")),
        };
        Ok(Self { verb, served, namespace, name, subresource, query })
    }

    /// Returns a parameter, empty if it is not there.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    pub(super) fn dry_run(&self) -> bool {
        self.parameter("dryRun") == "All"
    }

    /// Whether an object of the type is in the place asked for.
    pub(super) fn covers(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
    }

    /// The words in which the server speaks of the object.
    pub(super) fn what(&self, name: &str) -> String {
        let dot = if self.served.group.is_empty() { "" } else { "." };
        format!("{}{dot}{} {name:?}", self.served.plural, self.served.group)
    }
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
