//! Tests whether a store keeps the one promise that everything rests on: a name is created once.
//!
//! Does not: believe what a store says of itself.

use bytes::Bytes;
use futures::future::{join_all, try_join_all};

use crate::{
    ArchiveError, Store,
    format::limits,
    paths,
    store::{ATTEMPTS, Created},
};

/// How many names are tried.
const NAMES: usize = 8;

/// How many attempts are made at once to create each name.
const RIVALS: usize = 16;

/// Creates each of some names many times at once: one attempt must win, and its bytes must come back.
///
/// # Errors
/// [`ArchiveError::UnsafeStore`] if the store breaks the promise, and why it cannot be used at all.
pub(crate) async fn exclusive(store: &Store, salt: &str) -> Result<(), ArchiveError> {
    let names: Vec<String> = (0..NAMES).map(|n| paths::probe(salt, n)).collect();
    let result = try_join_all(names.iter().map(|name| contest(store, name))).await;
    for name in &names {
        store.forget_probe(name).await;
    }
    result.map(|_| ())
}

async fn contest(store: &Store, name: &str) -> Result<(), ArchiveError> {
    let entry = |n: usize| Bytes::from(format!("{name} {n}\n"));
    let results = join_all((0..RIVALS).map(|n| store.create(name, entry(n)))).await;
    let mut winners = Vec::new();
    let mut unknown = None;
    for (n, result) in results.into_iter().enumerate() {
        match result? {
            Created::Yes => winners.push(n),
            Created::Exists => {}
            Created::Unknown(error) => unknown = Some(error),
        }
    }
    let unsafe_store = |reason: &str| ArchiveError::UnsafeStore { place: store.place().into(), reason: reason.into() };
    let found = store.get(name, 1024).await?;
    match (&winners[..], found, unknown) {
        ([], None, Some(error)) => Err(error),
        ([], None, None) => Err(unsafe_store("it says that an object exists which cannot be read")),
        (_, None, _) => Err(unsafe_store("what was created cannot be read back")),
        ([_, _, ..], _, _) => Err(unsafe_store("it lets two create the same object")),
        ([winner], Some(found), _) if found != entry(*winner) => {
            Err(unsafe_store("it lets an object that exists be overwritten"))
        }
        // A winner's own answer may have been lost on the way.
        ([], Some(found), _) if !(0..RIVALS).any(|n| entry(n) == found) => {
            Err(unsafe_store("it returns other bytes than were stored"))
        }
        ([] | [_], Some(_), _) => Ok(()),
    }
}

/// Creates `archive.json` again, with the very bytes that it has, so that a store which overwrites does no harm: that must
/// be refused.
///
/// # Errors
/// As [`exclusive`], and [`ArchiveError::NoArchive`] if it is gone.
pub(crate) async fn refuses_to_overwrite(store: &Store) -> Result<(), ArchiveError> {
    let Some(bytes) = store.get(paths::IDENTITY, limits::IDENTITY).await? else {
        return Err(ArchiveError::NoArchive { place: store.place().into() });
    };
    let mut failures = 0;
    loop {
        match store.create(paths::IDENTITY, bytes.clone()).await? {
            Created::Exists => return Ok(()),
            Created::Yes => {
                let reason = "it lets an object that exists be overwritten".into();
                return Err(ArchiveError::UnsafeStore { place: store.place().into(), reason });
            }
            Created::Unknown(error) => {
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(error);
                }
                store.rest(failures).await;
            }
        }
    }
}
