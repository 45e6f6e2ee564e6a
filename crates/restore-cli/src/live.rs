//! Objects of the cluster, to be compared with archived ones.
//!
//! Does not: read more than the comparison needs: kinds that are recorded by name are read by name.

use std::collections::{BTreeMap, BTreeSet};

use vmrewind_cluster::{Cluster, ServedType};
use vmrewind_graph::{Capture, kind_row};
use vmrewind_model::{ObjectKey, RawObject};

use crate::{certainty::Touched, context::Ctx, error::CliError, names::Types};

/// Reads the objects that are touched: all of the kinds that are recorded always, and of the other kinds those that
/// the archive has.
///
/// # Errors
/// If the cluster cannot be read.
pub(crate) async fn objects(
    ctx: &mut Ctx,
    cluster: &Cluster,
    types: &Types,
    touched: &Touched,
    namespace: Option<&str>,
    archived: &BTreeMap<ObjectKey, RawObject>,
) -> Result<BTreeMap<ObjectKey, RawObject>, CliError> {
    let discovery = cluster.discover().await?;
    let mut kinds: BTreeSet<(String, String)> =
        archived.keys().map(|key| (key.group.clone(), key.kind.clone())).collect();
    match touched {
        Touched::Some(touches) => kinds.extend(touches.iter().map(|touch| (touch.group.clone(), touch.kind.clone()))),
        Touched::All(_) => {
            let always = vmrewind_graph::kinds().iter().filter(|row| row.capture == Capture::Always);
            kinds.extend(always.map(|row| (row.group.to_owned(), row.kind.to_owned())));
        }
    }
    let mut found = BTreeMap::new();
    for (group, kind) in kinds {
        let Some(served) = discovery.by_kind(&group, &kind) else {
            if archived.keys().any(|key| key.is(&group, &kind)) {
                let name = types.of(&group, &kind).map_or_else(|| kind.clone(), crate::names::TypeName::full);
                ctx.talk.warn(&format!("the cluster does not serve {name}: its objects count as gone."))?;
            }
            continue;
        };
        read_kind(cluster, served, touched, namespace, archived, &mut found).await?;
    }
    Ok(found)
}

async fn read_kind(
    cluster: &Cluster,
    served: &ServedType,
    touched: &Touched,
    namespace: Option<&str>,
    archived: &BTreeMap<ObjectKey, RawObject>,
    found: &mut BTreeMap<ObjectKey, RawObject>,
) -> Result<(), CliError> {
    let row = kind_row(&served.group, &served.kind);
    let one = match touched {
        Touched::Some(touches) => {
            touches.iter().all(|touch| touch.name.is_some() && touch.namespace.is_some() == served.namespaced)
        }
        Touched::All(_) => false,
    };
    if one || row.is_none_or(|row| row.capture != Capture::Always) {
        let mut keys: BTreeSet<ObjectKey> =
            archived.keys().filter(|key| key.is(&served.group, &served.kind)).cloned().collect();
        if let Touched::Some(touches) = touched {
            let named = touches.iter().filter(|touch| touch.group == served.group && touch.kind == served.kind);
            keys.extend(named.filter_map(|touch| {
                let namespace = touch.namespace.as_deref().unwrap_or_default();
                Some(ObjectKey::new(&touch.group, &touch.kind, namespace, touch.name.as_deref()?))
            }));
        }
        for key in keys.into_iter().filter(|key| touched.object(key)) {
            if let Some(object) = cluster.get(&served.target(Some(&key.namespace)), &key.name).await? {
                found.insert(key, object);
            }
        }
        return Ok(());
    }
    let namespace = namespace.filter(|_| served.namespaced);
    let target = served.target(namespace).with_selector(row.and_then(|row| row.selector));
    for object in cluster.list_consistent(&target, target.page_size()).await?.items {
        let head = object.head().map_err(crate::context::unreadable)?;
        let in_scope = row.is_none_or(|row| !row.filtered)
            || vmrewind_graph::in_scope(&object.value().map_err(crate::context::unreadable)?);
        if in_scope && touched.object(&head.key) {
            found.insert(head.key, object);
        }
    }
    Ok(())
}
