//! Looking for needed objects that were deleted before the instant of a plan: when they went, and where they still are.
//!
//! Does not: read anything more unless something is lacking.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, pin_mut};
use vmrewind_archive::{Archive, ArchiveError, At, SeqRange, Told};
use vmrewind_model::{Change, ObjectKey, Record, RecordKey, Seq};
use vmrewind_restore::{Departure, Departures, PlanRequest, World, lacking};

use crate::{context::Ctx, error::CliError, objects::present};

/// Tells a world what its archive knows of what it lacks for a request.
///
/// # Errors
/// If the archive cannot be read, or is damaged where changes up to the instant may have been, unless that is allowed or
/// accounted for.
pub(crate) async fn find(ctx: &Ctx, archive: &Archive, world: World, request: &PlanRequest) -> Result<World, CliError> {
    let wanted = lacking(&world, request)?;
    if wanted.is_empty() {
        return Ok(world);
    }
    let history = archive.told_of(&wanted, SeqRange::ALL);
    pin_mut!(history);
    let mut fates: BTreeMap<ObjectKey, Fate> = BTreeMap::new();
    while let Some(told) = history.next().await {
        let record = match told? {
            Told::Record(record) => *record,
            Told::Damage(damage) => {
                // What it held is later than the instant, or the state was answered without it as well.
                let needed = damage.touches(world.archive().t) && !ctx.global.allow_damage;
                if needed && !archive.timeline().await?.accounts_for(&damage) {
                    return Err(ArchiveError::from(damage).into());
                }
                continue;
            }
        };
        if record.counts_from() > world.archive().seq {
            continue;
        }
        if let Some(key) = record.change.key() {
            fates.entry(key.object.clone()).or_default().take(&record);
        }
    }
    let each: Vec<Departure> = fates.into_values().filter_map(|fate| fate.departure).collect();
    let together = together(ctx, archive, request, &each).await?;
    Ok(world.with_departures(Departures { each, together }))
}

/// What became of one object so far.
#[derive(Default)]
struct Fate {
    /// The uid that is being deleted, and the record before that began.
    dying: Option<(String, Seq)>,
    departure: Option<Departure>,
}

impl Fate {
    fn take(&mut self, record: &Record) {
        let Some(key) = record.change.key() else { return };
        let before = Seq(record.counts_from().0.saturating_sub(1));
        match &record.change {
            Change::Object { object, .. } => {
                self.departure = None;
                if object.head().is_ok_and(|head| head.deletion_timestamp.is_none()) {
                    self.dying = None;
                } else if self.dying.as_ref().is_none_or(|(uid, _)| *uid != key.uid) {
                    self.dying = Some((key.uid.clone(), before));
                }
            }
            Change::Withheld { .. } => *self = Self::default(),
            Change::Deleted { .. } => {
                let last = self.dying.take().filter(|(uid, _)| *uid == key.uid).map_or(before, |(_, last)| last);
                let (t, record) = (record.t, record.seq);
                self.departure = Some(Departure { key: key.object.clone(), t, record, last });
            }
            Change::Unobserved { .. } | Change::Absent { .. } | Change::Gap(_) | Change::Heartbeat => {}
        }
    }
}

/// Finds a record at which everything that went and everything that was asked for by name is there.
async fn together(
    ctx: &Ctx,
    archive: &Archive,
    request: &PlanRequest,
    gone: &[Departure],
) -> Result<Option<Seq>, CliError> {
    let Some(seq) = gone.iter().map(|one| one.last).min() else { return Ok(None) };
    let mut wanted: BTreeSet<&ObjectKey> = request.selection.roots.iter().collect();
    if wanted.is_empty() {
        return Ok(None); // a whole namespace or archive: what it held then is another question
    }
    wanted.extend(gone.iter().map(|one| &one.key));
    let filter = |key: &RecordKey| wanted.contains(&key.object);
    match archive.state_at(At::Seq(seq), &filter, &ctx.bar("reading the archive")).await {
        Ok(state) => {
            let there = |key: &&&ObjectKey| state.objects.get(**key).is_some_and(|entry| present(entry).is_some());
            Ok((wanted.iter().filter(there).count() == wanted.len()).then_some(seq))
        }
        Err(ArchiveError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
