//! Which archive lay where: what the tool remembers of encrypted archives, so that another one in the same place is noticed.
//!
//! Recipients are public: anybody can make an archive that our keys open, with the UUID of ours. Only the fingerprint of the root
//! key tells them apart, and nothing in a store can vouch for that. So it is remembered when an archive is opened for the first
//! time, as ssh remembers hosts.
//!
//! Does not: stop a read because nothing can be remembered; that is said.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use vmrewind_archive::Archive;
use vmrewind_model::{Digest, Timestamp};

use crate::{
    context::Ctx,
    error::{CliError, Kind},
    state_home,
};

/// What is known of one archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    /// Where it lies.
    place: String,
    /// Its UUID.
    archive: String,
    /// The fingerprint of its root key.
    fingerprint: String,
    /// When it was remembered.
    since: Timestamp,
}

/// What was found now.
struct Found<'a> {
    place: &'a str,
    archive: &'a str,
    /// None if it is not encrypted.
    fingerprint: Option<&'a str>,
}

/// What memory says to that.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is the one that is remembered, or there is nothing to remember.
    Known,
    /// It was not seen before.
    New,
    /// It is not the one that is remembered.
    Other(String),
}

/// Compares what was found with what is remembered of the place, and of the UUID.
fn judge(found: &Found<'_>, of_place: Option<&Known>, of_archive: Option<&Known>) -> Verdict {
    let same = |known: &Known| known.archive == found.archive && Some(known.fingerprint.as_str()) == found.fingerprint;
    let Some(other) = of_place.into_iter().chain(of_archive).find(|known| !same(known)) else {
        let new = found.fingerprint.is_some() && (of_place.is_none() || of_archive.is_none());
        return if new { Verdict::New } else { Verdict::Known };
    };
    let is = match found.fingerprint {
        Some(fingerprint) => format!("this one is {}, the fingerprint of its key is {fingerprint}", found.archive),
        None => format!("this one is {}, and is not encrypted", found.archive),
    };
    Verdict::Other(format!(
        "{} is not the archive that was opened before: that was {} in {}, first seen {}, the fingerprint of its key was {}; {is}.",
        found.place, other.archive, other.place, other.since, other.fingerprint
    ))
}

/// The directory in which it is remembered.
struct Memory(PathBuf);

impl Memory {
    fn of_place(&self, place: &str) -> PathBuf {
        self.0.join(format!("place-{}.json", Digest::of(place.as_bytes()).hex()))
    }

    fn of_archive(&self, archive: &str) -> PathBuf {
        self.0.join(format!("archive-{archive}.json"))
    }

    fn remember(&self, known: &Known) -> io::Result<()> {
        state_home::make_private(&self.0)?;
        let bytes = serde_json::to_vec(known)?;
        state_home::replace(&self.of_place(&known.place), &bytes)?;
        state_home::replace(&self.of_archive(&known.archive), &bytes)
    }
}

/// Reads what is remembered; none if that is nothing.
fn recall(file: &std::path::Path) -> io::Result<Option<Known>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the name of a place under which it is remembered: the same from every working directory, another one for every service.
fn name(place: &str) -> String {
    if place.contains("://") {
        let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].map(std::env::var);
        let endpoint = endpoint.into_iter().find_map(|value| value.ok().filter(|value| !value.is_empty()));
        return endpoint.map_or_else(|| place.to_owned(), |endpoint| format!("{place} at {endpoint}"));
    }
    fs::canonicalize(place).map_or_else(|_| place.to_owned(), |path| path.display().to_string())
}

impl Ctx {
    /// Checks that an archive that was opened is the one that the flags name, and the one that was opened in this place before.
    ///
    /// # Errors
    /// If it is another one.
    pub(crate) fn recognise(&mut self, archive: &Archive) -> Result<(), CliError> {
        let told = self.global.fingerprint;
        if let Some(told) = told {
            archive.pinned_to(told)?;
        }
        let fingerprint = archive.fingerprint().map(|fingerprint| fingerprint.to_string());
        let Some(dir) = state_home::directory("known") else {
            if fingerprint.is_some() && told.is_none() {
                self.talk.warn("there is no home directory, so that it cannot be checked whether this is the archive that was opened before; --fingerprint tells.")?;
            }
            return Ok(());
        };
        let (memory, place, id) = (Memory(dir), name(archive.store().place()), archive.identity().archive.to_string());
        let files = [memory.of_place(&place), memory.of_archive(&id)];
        let mut known = [None, None];
        for (known, file) in known.iter_mut().zip(&files) {
            match recall(file) {
                Ok(found) => *known = found,
                Err(error) if fingerprint.is_some() && told.is_none() => {
                    let file = file.display();
                    self.talk.warn(&format!("{file} cannot be read ({error}): it was not checked whether this is the archive that was opened before."))?;
                    return Ok(());
                }
                Err(_) => {}
            }
        }
        let found = Found { place: &place, archive: &id, fingerprint: fingerprint.as_deref() };
        let verdict = judge(&found, known[0].as_ref(), known[1].as_ref());
        let first = known[0].is_none();
        match (verdict, fingerprint) {
            (Verdict::Other(what), None) => {
                let files = files.map(|file| file.display().to_string()).join(" and ");
                Err(CliError::new(Kind::WrongKey, what).hint(format!(
                    "somebody may have put an archive of his own into the place of yours. If it is the one that is meant, delete {files}."
                )))
            }
            (Verdict::Other(what), Some(fingerprint)) if told.is_none() => Err(CliError::new(Kind::WrongKey, what).hint(format!(
                "somebody may have put an archive of his own into the place of yours. If it is the one that is meant, give \
                 --fingerprint {fingerprint} once: it is then remembered instead."
            ))),
            (Verdict::New | Verdict::Other(_), Some(fingerprint)) => {
                let known = Known { place, archive: id, fingerprint, since: self.now };
                match memory.remember(&known) {
                    Ok(()) if first && told.is_none() => self.talk.note(&format!(
                        "The fingerprint of this archive's key is {}. It is remembered; compare it with the one that the watcher logs.",
                        known.fingerprint
                    ))?,
                    Ok(()) => {}
                    Err(error) => self.talk.warn(&format!("the fingerprint of this archive's key cannot be remembered in {} ({error}).", memory.0.display()))?,
                }
                Ok(())
            }
            (Verdict::Known | Verdict::New, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(place: &str, archive: &str, fingerprint: &str) -> Known {
        let since = Timestamp::MIN;
        Known { place: place.into(), archive: archive.into(), fingerprint: fingerprint.into(), since }
    }

    #[test]
    fn another_archive_in_the_same_place_or_under_the_same_uuid_is_told_with_both_fingerprints() {
        let found = |fingerprint| Found { place: "p", archive: "a", fingerprint };
        let (same, elsewhere) = (known("p", "a", "f"), known("q", "a", "f"));
        assert_eq!(judge(&found(Some("f")), None, None), Verdict::New);
        assert_eq!(judge(&found(Some("f")), None, Some(&elsewhere)), Verdict::New, "a copy");
        assert_eq!(judge(&found(Some("f")), Some(&same), Some(&elsewhere)), Verdict::Known);
        assert_eq!(judge(&found(None), None, None), Verdict::Known, "a plain archive is not remembered");
        for (place, archive) in [
            (Some(known("p", "b", "f")), None),
            (Some(known("p", "a", "g")), None),
            (None, Some(known("q", "a", "g"))),
            (Some(same.clone()), Some(known("q", "a", "g"))),
        ] {
            let other = place.iter().chain(&archive).find(|known| **known != same).expect("one").fingerprint.clone();
            let Verdict::Other(what) = judge(&found(Some("f")), place.as_ref(), archive.as_ref()) else {
                panic!("{place:?} {archive:?}")
            };
            assert!(what.contains("key is f") && what.contains(&format!("key was {other}")), "{what}");
        }
        assert!(
            matches!(judge(&found(None), Some(&same), None), Verdict::Other(what) if what.contains("not encrypted"))
        );
    }
}
