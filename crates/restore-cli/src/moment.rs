//! What an instant means in an archive, and the state there.
//!
//! Does not: judge whether the state is certain; see [`crate::certainty`].

use std::collections::BTreeSet;

use futures::{StreamExt as _, pin_mut};
use vmrewind_archive::{Archive, ArchiveError, At, SeqRange, State};
use vmrewind_model::{Change, ObjectKey, Record, RecordKey, Rv, Seq, Timestamp};

use crate::{
    age,
    at::Instant,
    context::{Ctx, is_definition},
    error::{CliError, Kind},
};

/// The state at an instant that a user asked for.
pub(crate) struct Moment {
    /// The instant in the user's words.
    pub(crate) asked: Instant,
    /// The state, with the definitions of types besides what was asked for.
    pub(crate) state: State,
}

impl Moment {
    /// Reads the state at `asked` of the objects that pass `filter`. `object` is the one that `rv:` and
    /// `before-delete` are about.
    ///
    /// # Errors
    /// If the instant has no meaning in this archive, or the archive cannot be read.
    pub(crate) async fn read(
        ctx: &Ctx,
        archive: &Archive,
        asked: Instant,
        object: Option<&ObjectKey>,
        filter: &(dyn Fn(&RecordKey) -> bool + Sync),
    ) -> Result<Self, CliError> {
        let at = locate(ctx, archive, asked, object).await?;
        let with_definitions = |key: &RecordKey| filter(key) || is_definition(key);
        match archive.state_at(at, &with_definitions, &ctx.bar("reading the archive")).await {
            Ok(state) => Ok(Self { asked, state }),
            Err(ArchiveError::NotFound { .. }) => Err(too_early(ctx, archive, asked, at).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Names the instant for messages.
    pub(crate) fn label(&self) -> String {
        match self.asked {
            Instant::Time(_) => self.state.t.to_string(),
            asked => format!("{asked} ({})", self.state.t),
        }
    }
}

/// Finds the place in the archive that an instant stands for.
///
/// # Errors
/// If it stands for none.
pub(crate) async fn locate(
    ctx: &Ctx,
    archive: &Archive,
    asked: Instant,
    object: Option<&ObjectKey>,
) -> Result<At, CliError> {
    match asked {
        Instant::Latest => Ok(At::Latest),
        Instant::Time(time) => Ok(At::Time(time)),
        Instant::Ago(age) => Ok(At::Time(ctx.now.minus(age))),
        Instant::Seq(seq) => {
            // Where the end of the archive is damaged, the answer for `seq` tells whether there is such a record.
            let head = match archive.head().await {
                Err(ArchiveError::Damaged(_)) => None,
                head => Some(head?),
            };
            if let Some(head) = head.filter(|head| seq > head.seq) {
                return Err(CliError::usage(format!("the archive has no record {seq}: its newest is {}.", head.seq))
                    .hint(format!("use --at seq:{} or --at latest.", head.seq)));
            }
            Ok(At::Seq(seq))
        }
        Instant::Rv(rv) => at_version(archive, rv, named(asked, object)?).await,
        Instant::BeforeDelete => before_delete(archive, named(asked, object)?).await,
    }
}

fn named(asked: Instant, object: Option<&ObjectKey>) -> Result<&ObjectKey, CliError> {
    object.ok_or_else(|| {
        CliError::usage(format!("{asked} is about one object, and what is named is not one object."))
            .hint("name exactly one, as TYPE/NAME, or give a time: deleted -A tells when each was deleted.")
    })
}

async fn at_version(archive: &Archive, rv: Rv, key: &ObjectKey) -> Result<At, CliError> {
    let one = BTreeSet::from([key.clone()]);
    let history = archive.history_of(&one, SeqRange::ALL);
    pin_mut!(history);
    let (mut found, mut nearest): (Option<Seq>, Option<Rv>) = (None, None);
    while let Some(record) = history.next().await {
        let record = record?;
        let Some(seen) = record.change.rv().filter(|_| record.change.key().is_some()) else { continue };
        if seen == rv {
            found = Some(record.seq); // the newest, should an era have used the version again
        }
        if nearest.is_none_or(|best| best.0.abs_diff(rv.0) > seen.0.abs_diff(rv.0)) {
            nearest = Some(seen);
        }
    }
    found.map(At::Seq).ok_or_else(|| {
        let error = CliError::usage(format!("the archive has no version {rv} of {key}."));
        match nearest {
            Some(nearest) => error.hint(format!("the nearest one is rv:{nearest}; log lists all.")),
            None => error.hint("it has no version of that object at all; log -A lists what there is."),
        }
    })
}

/// Finds the place just before the newest deletion of an object began: the first version of that incarnation
/// with a deletion timestamp, else the record of the deletion.
async fn before_delete(archive: &Archive, key: &ObjectKey) -> Result<At, CliError> {
    let one = BTreeSet::from([key.clone()]);
    let history = archive.history_of(&one, SeqRange::ALL);
    pin_mut!(history);
    let mut known = false;
    let mut dying: Option<(String, Seq)> = None;
    let mut newest: Option<Seq> = None;
    while let Some(record) = history.next().await {
        let record = record?;
        let Some(uid) = record.change.key().map(|key| key.uid.clone()) else { continue };
        known |= record.change.object().is_some();
        let begun = dying.as_ref().filter(|(other, _)| *other == uid).map(|(_, seq)| *seq);
        match &record.change {
            Change::Deleted { .. } => newest = Some(begun.unwrap_or(record.seq)),
            Change::Object { object, .. } if begun.is_none() && is_dying(object) => {
                dying = Some((uid, record.counts_from()));
                newest = Some(record.counts_from());
            }
            _ => {}
        }
    }
    match newest {
        Some(Seq(begin)) => Ok(At::Seq(Seq(begin.saturating_sub(1)))),
        None if known => Err(CliError::usage(format!("the archive holds no deletion of {key}."))
            .hint(format!("log {key} shows what happened to it; for the newest state use --at latest."))),
        None => Err(CliError::usage(format!("the archive holds no record of {key}."))
            .hint("deleted -A lists what was deleted; log -A lists everything.")),
    }
}

fn is_dying(object: &vmrewind_model::RawObject) -> bool {
    object.head().is_ok_and(|head| head.deletion_timestamp.is_some())
}

/// Says where the archive begins, for an instant before that.
async fn too_early(ctx: &Ctx, archive: &Archive, asked: Instant, at: At) -> Result<CliError, CliError> {
    let timeline = archive.timeline().await?;
    let Some(first) = timeline.first else {
        return Ok(CliError::new(Kind::Uncertain, "the archive holds no record yet.")
            .hint("info shows whether a watcher is writing to it."));
    };
    let instant = match at {
        At::Time(time) => time.to_string(),
        At::Seq(_) | At::Latest => asked.to_string(),
    };
    Ok(CliError::new(
        Kind::Uncertain,
        format!("{instant} lies before the first record of the archive ({first}, {}).", age::ago(ctx.now, first)),
    )
    .hint(format!("use --at {first} or later.")))
}

/// Returns the newest time that an object itself tells: its creation, its deletion, or its last change.
pub(crate) fn told_time(record: &Record) -> Option<(Timestamp, &'static str)> {
    let object = record.change.object()?.value().ok()?;
    let metadata = &object["metadata"];
    let time = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let managed = metadata["managedFields"].as_array().into_iter().flatten().filter_map(|entry| time(&entry["time"]));
    let told = [
        (managed.max(), "its newest managedFields entry"),
        (time(&metadata["deletionTimestamp"]), "its deletionTimestamp"),
        (time(&metadata["creationTimestamp"]), "its creationTimestamp"),
    ];
    let deleting = matches!(record.change, Change::Deleted { .. });
    let mut known = told.into_iter().filter_map(|(time, what)| time.map(|time| (time, what)));
    if deleting { known.find(|(_, what)| what.contains("deletion")) } else { known.next() }
}
