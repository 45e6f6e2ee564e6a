//! What a tarball holds: our own export or a Velero backup, checked in full before anything is made of it.
//!
//! Does not: record, or keep contents; they are read a second time.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use serde_json::Value;
use vmrewind_graph::Home;
use vmrewind_model::{Digest, ObjectKey, RawError, RawObject, Rv, canonical::CanonicalError};

use super::{
    limits::check_key,
    manifest::{self, Held, Manifest},
    place::{self, Object, Place},
    unpack::{Limits, Member, Members},
};
use crate::error::{CliError, Kind};

/// What a tarball is.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Our own, with its manifest.
    Export(Box<Manifest>),
    /// Velero's.
    Velero,
}

/// What a tarball holds.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// What it is.
    pub(crate) origin: Origin,
    /// The objects that can be recorded, by path.
    pub(crate) objects: BTreeMap<String, Found>,
    /// Those that cannot, and why.
    pub(crate) broken: Vec<Broken>,
    /// Every type of which there is an object, by `plural.group`.
    pub(crate) types: BTreeMap<String, Type>,
    /// Whether a Velero backup was exported from an archive, as a file in it tells.
    pub(crate) exported: bool,
    /// The newest time of a file, in seconds since 1970; 0 if none is told.
    pub(crate) newest: u64,
    /// Files that are no objects, the first few of them, and how many there are.
    pub(crate) foreign: Vec<String>,
    /// See [`Self::foreign`].
    pub(crate) foreign_count: u64,
    /// How many objects are there again in another API version.
    pub(crate) other_versions: u64,
    /// Names all of the content.
    pub(crate) digest: Digest,
}

/// An object that can be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Which object.
    pub(crate) key: ObjectKey,
    /// Its uid.
    pub(crate) uid: String,
    /// Its resource version.
    pub(crate) rv: Rv,
    /// Its content.
    pub(crate) id: Digest,
    /// Where it belongs.
    pub(crate) home: Home,
}

/// An object that cannot be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// `plural.group`.
    pub(crate) type_: String,
    /// Which object.
    pub(crate) key: ObjectKey,
    /// Why.
    pub(crate) reason: String,
}

/// A type of which there is an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    /// The kind; empty until an object tells it.
    pub(crate) kind: String,
    /// The API version.
    pub(crate) api_version: String,
    /// Whether its objects have namespaces.
    pub(crate) namespaced: bool,
}

/// How many names of foreign files are kept.
const NAMES: usize = 16;

/// Makes an error about the tarball.
pub(crate) fn bad(what: impl std::fmt::Display) -> CliError {
    CliError::new(Kind::Damaged, format!("the file cannot be imported: {what}."))
        .hint("nothing was made of it. If it was cut off or changed on its way, fetch it again.")
}

/// What one member says.
enum Said {
    Good { found: Box<Found>, type_: Type },
    Broken(String),
}

/// One candidate for an object: which form of it, where it stands, and what it says.
struct Candidate {
    form: place::Form,
    path: String,
    said: Said,
}

/// Reads and checks all of a tarball.
///
/// # Errors
/// If it is damaged, larger than a limit, no export and no backup, or says two things about one object.
pub(crate) fn read(path: &Path, limits: Limits) -> Result<Incoming, CliError> {
    let mut members = Members::open(path, limits)?;
    let mut all: BTreeMap<(String, String, String), Vec<Candidate>> = BTreeMap::new();
    // Digests, because whoever made the file chooses the names.
    let (mut paths, mut foreign, mut foreign_count) = (HashSet::new(), Vec::new(), 0);
    let (mut described, mut version, mut own, mut exported, mut newest) = (None, None, false, false, 0);
    while let Some(Member { path, mtime, content }) = members.next()? {
        if !paths.insert(Digest::of(path.as_bytes()).0) {
            return Err(bad(format!("{path} is there twice")));
        }
        match place::of(&path) {
            Place::Manifest => described = Some(content.ok_or_else(|| bad("its manifest is too large"))?),
            Place::Exported => exported = true,
            Place::Version => version = Some(content.unwrap_or_default()),
            Place::Foreign => {
                foreign_count += 1;
                if foreign.len() < NAMES {
                    foreign.push(path);
                }
            }
            Place::Object(object) => {
                own |= object.own;
                newest = newest.max(mtime);
                let said = inspect(&object, &path, content)?;
                let at = (object.type_.to_owned(), object.namespace.to_owned(), object.name.to_owned());
                let form = object.form;
                all.entry(at).or_default().push(Candidate { form, said, path });
            }
        }
    }
    let origin = origin(described, version.as_deref(), own, &all)?;
    let mut incoming = Incoming {
        origin,
        objects: BTreeMap::new(),
        broken: Vec::new(),
        types: BTreeMap::new(),
        exported,
        newest,
        foreign,
        foreign_count,
        other_versions: 0,
        digest: Digest([0; 32]),
    };
    let mut unkeyed = Vec::new();
    for ((type_, namespace, name), candidates) in all {
        incoming.choose(&type_, &namespace, &name, candidates, &mut unkeyed)?;
        if unkeyed.len() > limits.broken {
            return Err(bad(format!("more than {} objects in it cannot be recorded", limits.broken)));
        }
    }
    incoming.key_broken(unkeyed)?;
    incoming.finish()?;
    Ok(incoming)
}

/// Tells our own tarballs from Velero's, by what is in them.
fn origin<K, V>(
    described: Option<Vec<u8>>,
    version: Option<&[u8]>,
    own: bool,
    all: &BTreeMap<K, V>,
) -> Result<Origin, CliError> {
    match (described, version) {
        (Some(_), Some(_)) => Err(bad("it is a Velero backup and an export at once")),
        (Some(bytes), None) => {
            let manifest: Manifest = serde_json::from_slice(&bytes)
                .map_err(|error| bad(format!("its manifest is not as it should be: {error}")))?;
            if manifest.api_version != crate::output::API_VERSION || manifest.kind != manifest::KIND {
                return Err(bad(format!("its manifest is {} {}", manifest.api_version, manifest.kind)));
            }
            if !own && !all.is_empty() {
                return Err(bad("its manifest is that of an export, its objects are those of a Velero backup"));
            }
            Ok(Origin::Export(Box::new(manifest)))
        }
        (None, Some(version)) => {
            let text = String::from_utf8_lossy(version);
            let text = text.trim();
            if text != "1" && !text.starts_with("1.") {
                return Err(bad(format!("it is a Velero backup of format {text:?}, and only 1 is known")));
            }
            if own { Err(bad("it has objects of an export beside those of Velero")) } else { Ok(Origin::Velero) }
        }
        (None, None) => {
            Err(bad("it is neither an export (it has no manifest.json) nor a Velero backup (no metadata/version)"))
        }
    }
}

/// Reads one object, and checks that it is the one that its path names.
fn inspect(object: &Object<'_>, path: &str, content: Option<Vec<u8>>) -> Result<Said, CliError> {
    let Some(content) = content else { return Ok(Said::Broken("it is too large to be an object".to_owned())) };
    let raw = match RawObject::from_server(&content) {
        Ok(raw) => raw,
        Err(error @ RawError::Canonical(CanonicalError::Syntax { .. })) => {
            return Err(bad(format!("{path} is {error}")));
        }
        Err(error) => return Ok(Said::Broken(error.to_string())),
    };
    if object.own && *raw.bytes() != content {
        return Err(bad(format!("{path} is not as it was exported")));
    }
    let value = match raw.value() {
        Ok(value) => value,
        Err(error) => return Ok(Said::Broken(format!("it cannot be read: {error}"))),
    };
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let (Some(api_version), Some(kind), Some(name)) = (text("/apiVersion"), text("/kind"), text("/metadata/name"))
    else {
        return Err(bad(format!("{path} is no object of Kubernetes: it lacks apiVersion, kind or a name")));
    };
    let namespace = text("/metadata/namespace").unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let of_path = object.type_.split_once('.').map_or("", |(_, group)| group);
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let same = name == object.name
        && namespace == object.namespace
        && group == of_path
        && object.version.is_none_or(|of_path| of_path == version);
    if !same {
        let key = ObjectKey::new(group, kind, namespace, name);
        return Err(bad(format!("{path} holds another object: {key} of {api_version}")));
    }
    let head = match raw.head() {
        Ok(head) => head,
        Err(error) => return Ok(Said::Broken(error.to_string())),
    };
    check_key(&head.key, &head.uid)?;
    let type_ =
        Type { kind: kind.to_owned(), api_version: api_version.to_owned(), namespaced: !object.namespace.is_empty() };
    let home = vmrewind_graph::home(&value);
    let found = Found { key: head.key, uid: head.uid, rv: head.rv, id: raw.content_id(), home };
    Ok(Said::Good { found: Box::new(found), type_ })
}

/// An object that cannot be recorded and does not tell its kind.
struct Unkeyed {
    type_: String,
    namespace: String,
    name: String,
    reason: String,
}

impl Incoming {
    /// Takes the best form of an object; the forms must not contradict each other.
    fn choose(
        &mut self,
        type_: &str,
        namespace: &str,
        name: &str,
        mut candidates: Vec<Candidate>,
        unkeyed: &mut Vec<Unkeyed>,
    ) -> Result<(), CliError> {
        candidates.sort_by(|a, b| (a.form, &b.path).cmp(&(b.form, &a.path)));
        let mut candidates = candidates.into_iter();
        let Some(best) = candidates.next() else { return Ok(()) };
        for other in candidates {
            match (&best.said, &other.said) {
                _ if other.form == place::Form::OtherVersion => self.other_versions += 1,
                (Said::Good { found, .. }, Said::Good { found: twin, .. }) if found.id == twin.id => {}
                (Said::Broken(_), Said::Broken(_)) => {}
                _ => return Err(bad(format!("{} and {} are not the same", best.path, other.path))),
            }
        }
        match best.said {
            Said::Good { found, type_: told } => {
                let known = self.types.entry(type_.to_owned()).or_insert_with(|| told.clone());
                if (&known.kind, known.namespaced) != (&told.kind, told.namespaced) {
                    return Err(bad(format!(
                        "{type_} has objects of more than one kind, or with and without namespaces"
                    )));
                }
                self.objects.insert(best.path, *found);
            }
            Said::Broken(reason) => unkeyed.push(Unkeyed {
                type_: type_.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                reason,
            }),
        }
        Ok(())
    }

    /// Finds the kinds of objects that do not tell them.
    fn key_broken(&mut self, unkeyed: Vec<Unkeyed>) -> Result<(), CliError> {
        for Unkeyed { type_, namespace, name, reason } in unkeyed {
            let (plural, group) = type_.split_once('.').unwrap_or((&type_, ""));
            let row = vmrewind_graph::kinds().iter().find(|row| row.group == group && row.plural == plural);
            let known =
                self.types.get(&type_).map(|known| known.kind.clone()).or_else(|| row.map(|row| row.kind.to_owned()));
            let Some(kind) = known else {
                return Err(bad(format!("{type_}/{name} cannot be recorded ({reason}), and nothing tells its kind")));
            };
            let api_version = place::usual_version(group);
            let namespaced = !namespace.is_empty();
            self.types.entry(type_.clone()).or_insert(Type { kind: kind.clone(), api_version, namespaced });
            let key = ObjectKey::new(group, &kind, &namespace, &name);
            check_key(&key, "")?;
            self.broken.push(Broken { type_, key, reason });
        }
        Ok(())
    }

    /// Checks that no object is there under two types, and that a manifest and the objects are those of each other.
    fn finish(&mut self) -> Result<(), CliError> {
        let mut keys = BTreeSet::new();
        for (path, found) in &self.objects {
            if !keys.insert(&found.key) {
                return Err(bad(format!("{path}: {} is there twice", found.key)));
            }
        }
        if let Origin::Export(manifest) = &self.origin {
            let held: BTreeMap<&String, &Held> = manifest.objects.iter().map(|held| (&held.path, held)).collect();
            if let Some(broken) = self.broken.first() {
                return Err(bad(format!("{} is not as it was exported: {}", broken.key, broken.reason)));
            }
            super::limits::check(manifest, &keys.into_iter().cloned().collect())?;
            if held.len() != manifest.objects.len() {
                return Err(bad("its manifest names a path twice"));
            }
            for (path, held) in &held {
                let found = self.objects.get(*path).ok_or_else(|| bad(format!("{path} is missing")))?;
                let same = ObjectKey::from(&held.key) == found.key
                    && held.uid == found.uid
                    && held.content_id == found.id.to_string()
                    && held.resource_version == found.rv.to_string();
                if !same {
                    return Err(bad(format!("{path} is not the object that the manifest names")));
                }
            }
            if let Some(extra) = self.objects.keys().find(|path| !held.contains_key(path)) {
                return Err(bad(format!("{extra} is not in the manifest")));
            }
        }
        let mut text = String::new();
        for (path, found) in &self.objects {
            text.push_str(&format!("{path} {}\n", found.id));
        }
        self.digest = Digest::of(text.as_bytes());
        Ok(())
    }

    /// Returns the home of an object: what it tells itself, or that of what it belongs to.
    pub(crate) fn homes(&self) -> BTreeMap<ObjectKey, String> {
        /// A claim of a volume of a snapshot of …: longer chains do not occur.
        const DEPTH: usize = 8;
        let told: BTreeMap<&ObjectKey, &Home> = self.objects.values().map(|found| (&found.key, &found.home)).collect();
        let mut homes = BTreeMap::new();
        for start in told.keys() {
            let mut at = vec![*start];
            for _ in 0..DEPTH {
                let own = at.iter().find_map(|key| match told.get(key) {
                    Some(Home::Own(home)) => Some(home.clone()),
                    _ => None,
                });
                if let Some(home) = own {
                    homes.insert((*start).clone(), home);
                    break;
                }
                let next = at.iter().filter_map(|key| match told.get(key) {
                    Some(Home::Of(keys)) => Some(keys),
                    _ => None,
                });
                at = next.flatten().collect();
            }
        }
        homes
    }
}
