//! Which segments of an archive samples have covered, so that repeated ones cover everything.
//!
//! Does not: choose segments; crate `archive` does.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use vmrewind_archive::verify::{Depth, Slots};

use crate::{
    error::{CliError, Kind},
    state_home,
};

/// The file of one archive.
pub(crate) struct Coverage {
    file: PathBuf,
    content: Content,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Content {
    /// Segments that were read in full at least.
    #[serde(default)]
    data: Round,
    /// Segments whose objects were checked.
    #[serde(default)]
    deep: Round,
}

/// How far the samples of one depth have come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Round {
    /// As `1-5,9`.
    covered: String,
    /// How often everything was covered.
    rounds: u64,
}

impl Coverage {
    /// Reads what is remembered of an archive; nothing if it was never sampled.
    ///
    /// # Errors
    /// If it cannot be read, or makes no sense.
    pub(crate) fn open(dir: Option<PathBuf>, archive: &str) -> Result<Self, CliError> {
        let dir = dir.or_else(|| state_home::directory("verify")).ok_or_else(|| {
            CliError::usage("it is not known where to remember what was read: there is no home directory.")
                .hint("name a directory with --state-dir.")
        })?;
        let file = dir.join(format!("{archive}.json"));
        let content = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                CliError::usage(format!("{} makes no sense: {error}.", file.display()))
                    .hint("remove it: samples then begin anew.")
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(unusable(&file, &error)),
        };
        Ok(Self { file, content })
    }

    /// Returns the segments that samples of a depth have covered.
    ///
    /// # Errors
    /// If what is remembered makes no sense.
    pub(crate) fn covered(&self, depth: Depth) -> Result<Slots, CliError> {
        let round = if depth == Depth::Deep { &self.content.deep } else { &self.content.data };
        slots(round).map_err(|error| {
            CliError::usage(format!("{} makes no sense: {error}.", self.file.display()))
                .hint("remove it: samples then begin anew.")
        })
    }

    /// Remembers that segments were read, of those that there are; returns how many are covered then, and how often all were.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn remember(&mut self, depth: Depth, read: &Slots, found: &Slots) -> Result<(u64, u64), CliError> {
        advance(&mut self.content.data, read, found);
        if depth == Depth::Deep {
            advance(&mut self.content.deep, read, found);
        }
        if let Some(dir) = self.file.parent() {
            state_home::make_private(dir).map_err(|error| unusable(&self.file, &error))?;
        }
        let bytes = serde_json::to_vec(&self.content).map_err(|error| CliError::bug(error.to_string()))?;
        state_home::replace(&self.file, &bytes).map_err(|error| unusable(&self.file, &error))?;
        let round = if depth == Depth::Deep { &self.content.deep } else { &self.content.data };
        let covered = slots(round).unwrap_or_default().count();
        Ok((if covered == 0 { found.count() } else { covered }, round.rounds))
    }
}

fn slots(round: &Round) -> Result<Slots, vmrewind_archive::verify::SlotsError> {
    round.covered.parse()
}

/// Adds what was read; once everything is covered, the next round begins.
fn advance(round: &mut Round, read: &Slots, found: &Slots) {
    let mut covered = slots(round).unwrap_or_default();
    covered.extend(read);
    if covered.contains_all(found) {
        covered = Slots::default();
        round.rounds += 1;
    }
    round.covered = covered.to_string();
}

fn unusable(file: &std::path::Path, error: &io::Error) -> CliError {
    CliError::new(Kind::Unavailable, format!("cannot remember in {} what was read: {error}.", file.display()))
        .hint("name another directory with --state-dir.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_everything_is_covered_the_next_round_begins() {
        let set = |text: &str| text.parse::<Slots>().expect("good");
        let mut round = Round::default();
        advance(&mut round, &set("1-2"), &set("1-4"));
        assert_eq!(round, Round { covered: "1-2".to_owned(), rounds: 0 });
        advance(&mut round, &set("4"), &set("1-5"));
        assert_eq!(round, Round { covered: "1-2,4".to_owned(), rounds: 0 }, "a segment came");
        advance(&mut round, &set("3,5"), &set("1-5"));
        assert_eq!(round, Round { covered: String::new(), rounds: 1 });
    }

    #[test]
    fn what_is_remembered_is_read_back_and_deep_covers_data_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let set = |text: &str| text.parse::<Slots>().expect("good");
        let open = || Coverage::open(Some(dir.path().join("verify")), "a").expect("readable");
        assert_eq!(open().covered(Depth::Data).expect("nothing"), Slots::default());
        assert_eq!(open().remember(Depth::Deep, &set("2"), &set("1-3")).expect("written"), (1, 0));
        assert_eq!(open().remember(Depth::Data, &set("3"), &set("1-3")).expect("written"), (2, 0));
        assert_eq!(open().covered(Depth::Data).expect("good"), set("2-3"));
        assert_eq!(open().covered(Depth::Deep).expect("good"), set("2"));
        assert_eq!(open().remember(Depth::Data, &set("1"), &set("1-3")).expect("written"), (3, 1));
    }
}
