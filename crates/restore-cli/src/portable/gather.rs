//! From a state and a choice of objects to what a file of them says.
//!
//! Does not: choose the objects, or write anything.

use std::collections::BTreeSet;

use vmrewind_archive::{Entry, Identity, Presence};
use vmrewind_model::{Change, ObjectKey, RawObject, Seq, Timestamp};

use super::manifest::{self, Held, LeftOut, Manifest, Missing, Named, Resource, Selected};
use crate::{
    certainty::{Doubt, Touched, doubts},
    context::{Ctx, unreadable},
    error::{CliError, Kind},
    moment::Moment,
    names::Types,
    objects::present,
    output::{API_VERSION, breaks},
};

/// Which objects are to be exported.
pub(crate) struct Choice {
    /// Those that exist, and those of which more is known than that they are not there.
    pub(crate) keys: BTreeSet<ObjectKey>,
    /// What was asked for.
    pub(crate) selected: Selected,
    /// What the answer depends on.
    pub(crate) touched: Touched,
}

/// Objects of one instant, and what is known of them.
pub(crate) struct Export<'a> {
    /// The archive.
    pub(crate) identity: &'a Identity,
    /// The last record that counts.
    pub(crate) seq: Seq,
    /// The instant.
    pub(crate) t: Timestamp,
    /// The instant in the user's words.
    pub(crate) label: String,
    /// What was asked for.
    pub(crate) selected: Selected,
    /// The objects, in the order of their keys.
    pub(crate) items: Vec<Item<'a>>,
    /// What is not held.
    pub(crate) missing: Vec<Missing>,
    /// What is proven of each type.
    pub(crate) resources: Vec<Resource>,
    /// What was left out on purpose.
    pub(crate) left_out: Vec<LeftOut>,
    /// What is not certain, in sentences.
    pub(crate) uncertain: Vec<String>,
}

/// An object that exists.
pub(crate) struct Item<'a> {
    /// Which object.
    pub(crate) key: &'a ObjectKey,
    /// What the archive says of it.
    pub(crate) entry: &'a Entry,
    /// Its state.
    pub(crate) object: &'a RawObject,
    /// `plural.group`.
    pub(crate) type_: String,
}

/// Puts an export together.
///
/// # Errors
/// If the plural name of a type is not known, or an object cannot be read.
pub(crate) fn gather<'a>(
    ctx: &Ctx,
    identity: &'a Identity,
    moment: &'a Moment,
    types: &Types,
    choice: Choice,
) -> Result<Export<'a>, CliError> {
    let Choice { keys, selected, touched } = choice;
    let state = &moment.state;
    let (mut items, mut missing) = (Vec::new(), Vec::new());
    for key in &keys {
        match state.objects.get_key_value(key) {
            Some((key, entry)) => match present(entry) {
                Some(object) => items.push(Item { key, entry, object, type_: type_of(moment, types, key)? }),
                None => missing.push(not_held(key, entry)),
            },
            None => missing.push(Missing {
                key: key.into(),
                presence: manifest::Presence::Unknown,
                uid: String::new(),
                resource_version: None,
                reason: String::new(),
            }),
        }
    }
    let mut masker = ctx.masker();
    let uncertain = doubts(moment, &touched).iter().map(|doubt| doubt.sentence(moment, &mut masker)).collect();
    let resources = resources(moment, types, &touched, &selected, &items);
    Ok(Export {
        identity,
        seq: state.seq,
        t: state.t,
        label: moment.label(),
        selected,
        items,
        missing,
        resources,
        left_out: Vec::new(),
        uncertain,
    })
}

/// Returns `plural.group` of an object's type.
fn type_of(moment: &Moment, types: &Types, key: &ObjectKey) -> Result<String, CliError> {
    let of = |group: &str, plural: &str| if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    let watched = moment.state.proofs.iter().map(|proof| &proof.entry);
    let mut watched = watched.filter(|entry| entry.id.group == key.group && entry.kind == key.kind);
    let plural = watched.next().map(|entry| entry.id.resource.clone());
    plural.or_else(|| types.of(&key.group, &key.kind).map(|type_| type_.plural.clone())).map_or_else(
        || {
            Err(CliError::new(
                Kind::Damaged,
                format!("the archive does not tell the plural name of the type of {key}."),
            ))
        },
        |plural| Ok(of(&key.group, &plural)),
    )
}

fn not_held(key: &ObjectKey, entry: &Entry) -> Missing {
    let presence = match entry.presence {
        Presence::Absent => manifest::Presence::Absent,
        Presence::Withheld | Presence::Present => manifest::Presence::Withheld,
    };
    let change = &entry.record.change;
    Missing {
        key: key.into(),
        presence,
        uid: change.key().map(|key| key.uid.clone()).unwrap_or_default(),
        resource_version: change.rv().map(|rv| rv.to_string()),
        reason: if let Change::Withheld { reason, .. } = change { reason.clone() } else { String::new() },
    }
}

/// Says of each type whether all of it is there.
fn resources(
    moment: &Moment,
    types: &Types,
    touched: &Touched,
    selected: &Selected,
    items: &[Item<'_>],
) -> Vec<Resource> {
    let doubts = doubts(moment, touched);
    let everything = selected.roots.is_empty() && !selected.graph;
    let mut found = Vec::new();
    for proof in &moment.state.proofs {
        let entry = &proof.entry;
        let of_type = |key: &ObjectKey| key.is(&entry.id.group, &entry.kind);
        let held = items.iter().any(|item| of_type(item.key));
        let namespaced =
            types.of(&entry.id.group, &entry.kind).map_or(!entry.id.scope.is_empty(), |type_| type_.namespaced);
        let scope = match &selected.namespace {
            Some(namespace) if namespaced && (entry.id.scope.is_empty() || entry.id.scope == *namespace) => namespace,
            Some(_) if !held => continue,
            Some(_) | None => &entry.id.scope,
        };
        let all_of_it = everything && (selected.namespace.is_none() || namespaced);
        if !held && !all_of_it {
            continue;
        }
        let doubted = doubts.iter().any(|doubt| match doubt {
            Doubt::Gap(span) => match &span.gap.object {
                Some(key) => of_type(key),
                None => span.gap.resource == entry.id,
            },
            Doubt::Unproven(other) => other.entry.id == entry.id,
            Doubt::Late(late) => of_type(&late.key.object),
            Doubt::Damage(_) => true,
            Doubt::NeverCaptured(_) => false,
        });
        let t = moment.state.t;
        let proven = entry.proven_at.filter(|_| proof.since.is_some_and(|since| since <= t)).map(|at| at.min(t));
        found.push(Resource {
            group: entry.id.group.clone(),
            resource: entry.id.resource.clone(),
            scope: scope.clone(),
            kind: entry.kind.clone(),
            api_version: entry.api_version.clone(),
            proven_at: proven.filter(|_| all_of_it && !doubted),
        });
    }
    found
}

impl Export<'_> {
    /// Says of what is named and not here what is known of it, each in one line.
    pub(crate) fn not_here(&self) -> Vec<(ObjectKey, String)> {
        let said = |missing: &Missing| {
            let word = match missing.presence {
                manifest::Presence::Absent => "known not to exist",
                manifest::Presence::Withheld => "its content is not recorded",
                manifest::Presence::Unknown => "not known",
            };
            let key = ObjectKey::from(&missing.key);
            let sentence = format!("{key}: {word}").replace(breaks, " ");
            (key, sentence)
        };
        self.missing.iter().map(said).collect()
    }

    /// Says of what was left out why, each in one line.
    pub(crate) fn why_left_out(&self) -> Vec<(ObjectKey, String)> {
        let said = |left: &LeftOut| {
            let key = ObjectKey::from(&left.key);
            let sentence = format!("{key}: {}", left.reason).replace(breaks, " ");
            (key, sentence)
        };
        self.left_out.iter().map(said).collect()
    }

    /// Leaves objects out for which `test` gives a reason.
    pub(crate) fn leave_out(&mut self, test: impl Fn(&Item<'_>) -> Option<String>) {
        let left_out = &mut self.left_out;
        self.items.retain(|item| match test(item) {
            Some(reason) => {
                left_out.push(LeftOut { key: item.key.into(), reason });
                false
            }
            None => true,
        });
        for resource in &mut self.resources {
            let of_type = |key: &Named| key.group == resource.group && key.kind == resource.kind;
            if self.left_out.iter().any(|left| of_type(&left.key)) {
                resource.proven_at = None;
            }
        }
    }

    /// Returns the objects that hold values which are not shown; `plain` makes the form in which an object is written.
    ///
    /// # Errors
    /// If an object cannot be read.
    pub(crate) fn secret(&self, plain: impl Fn(&mut serde_json::Value)) -> Result<Vec<&ObjectKey>, CliError> {
        let mut secret = Vec::new();
        for item in &self.items {
            let mut value = item.object.value().map_err(unreadable)?;
            plain(&mut value);
            if vmrewind_graph::mask_secrets(&mut value) > 0 {
                secret.push(item.key);
            }
        }
        Ok(secret)
    }

    /// Returns the manifest of a tarball, with the path that `path` gives to each object.
    ///
    /// # Errors
    /// If an object has no path.
    pub(crate) fn manifest(&self, path: impl Fn(&Item<'_>) -> Result<String, CliError>) -> Result<Manifest, CliError> {
        let held = |item: &Item<'_>| {
            let record = &item.entry.record;
            Ok(Held {
                key: item.key.into(),
                uid: record.change.key().map(|key| key.uid.clone()).unwrap_or_default(),
                resource_version: record.change.rv().map(|rv| rv.to_string()).unwrap_or_default(),
                content_id: item.object.content_id().to_string(),
                seq: record.seq.0,
                t: record.t,
                path: path(item)?,
            })
        };
        Ok(Manifest {
            api_version: API_VERSION.to_owned(),
            kind: manifest::KIND.to_owned(),
            archive: self.identity.archive.to_string(),
            cluster: self.identity.cluster.clone(),
            seq: self.seq.0,
            t: self.t,
            selection: self.selected.clone(),
            resources: self.resources.clone(),
            objects: self.items.iter().map(held).collect::<Result<_, CliError>>()?,
            missing: self.missing.clone(),
            left_out: self.left_out.clone(),
            uncertain: self.uncertain.clone(),
        })
    }
}
