//! Where a disk's data come from, in the marks that CDI and the volume binder read.
//!
//! Does not: know whether the data are there. Marking an empty claim as populated makes an empty disk that
//! reports success.

use serde_json::{Value, json};

use super::{Changed, Quantity, QuantityError, annotate, remove, remove_annotation, set};
use crate::{names, view};

/// Tells CDI that the DataVolume's claim has its data already: it makes no claim and imports nothing, and waits
/// until the claim of the same name exists. Only the presence of the mark counts; CDI writes the claim's name.
pub fn mark_prepopulated(dv: &mut Value, claim: &str) -> Vec<Changed> {
    annotate(dv, names::PRE_POPULATED, claim)
}

/// Lets CDI import the DataVolume anew.
pub fn unmark_prepopulated(dv: &mut Value) -> Vec<Changed> {
    remove_annotation(dv, names::PRE_POPULATED)
}

/// Tells CDI that the claim holds the data of the DataVolume of that name, which must be the claim's own name:
/// the DataVolume adopts it and imports nothing.
pub fn mark_populated(claim: &mut Value, dv_name: &str) -> Vec<Changed> {
    annotate(claim, names::POPULATED_FOR, dv_name)
}

/// Takes back [`mark_populated`].
pub fn unmark_populated(claim: &mut Value) -> Vec<Changed> {
    remove_annotation(claim, names::POPULATED_FOR)
}

/// Lets the DataVolume adopt a claim of its name that nobody owns, even without a mark on the claim.
pub fn allow_claim_adoption(dv: &mut Value) -> Vec<Changed> {
    annotate(dv, names::ALLOW_ADOPTION, "true")
}

/// Binds a claim to a volume by name.
pub fn set_volume_name(claim: &mut Value, volume: &str) -> Vec<Changed> {
    set(claim, "spec.volumeName", volume.into())
}

/// Fills a claim from a VolumeSnapshot in its namespace, in both fields that say so. No volume is named then.
pub fn set_snapshot_source(claim: &mut Value, snapshot: &str) -> Vec<Changed> {
    let names::GroupKind { group, kind } = names::VOLUME_SNAPSHOT;
    let reference = json!({"apiGroup": group, "kind": kind, "name": snapshot});
    let mut changed = remove(claim, "spec.volumeName");
    changed.extend(set(claim, "spec.dataSource", reference.clone()));
    changed.extend(set(claim, "spec.dataSourceRef", reference));
    changed
}

/// Raises the requested size of a claim to `size`, if it asks for less: a snapshot may be larger than what was
/// requested, and cannot be restored into less.
///
/// # Errors
/// [`QuantityError`] if `size` or what is requested is no quantity; the claim is not changed then.
pub fn at_least(claim: &mut Value, size: &str) -> Result<Vec<Changed>, QuantityError> {
    const REQUEST: &str = "spec.resources.requests.storage";
    let wanted: Quantity = size.parse()?;
    let requested = match view::text(claim, REQUEST) {
        "" => None,
        text => Some(text.parse::<Quantity>()?),
    };
    Ok(if requested.is_some_and(|requested| requested >= wanted) {
        Vec::new()
    } else {
        set(claim, REQUEST, size.into())
    })
}
