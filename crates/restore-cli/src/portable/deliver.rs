//! Writes a file or a directory so that it is there whole or not at all.
//!
//! Does not: know what is written.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::error::{CliError, Kind};

/// Refuses a place where something is, before any work is done.
///
/// # Errors
/// [`Kind::Conflict`] if something is there and must not be replaced.
pub(crate) fn check(path: &Path, overwrite: bool) -> Result<(), CliError> {
    if overwrite || fs::symlink_metadata(path).is_err() { Ok(()) } else { Err(exists(path)) }
}

fn exists(path: &Path) -> CliError {
    CliError::new(Kind::Conflict, format!("{} exists already.", path.display()))
        .hint("name another file, or replace it with --overwrite.")
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::new(Kind::Unavailable, format!("cannot write {}: {error}.", path.display()))
}

/// The place where a file is made before it gets its name.
fn beside(path: &Path) -> Result<(PathBuf, PathBuf), CliError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| CliError::usage(format!("{} names no file.", path.display())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    Ok((parent.to_owned(), parent.join(format!(".{name}.new-{}", std::process::id()))))
}

/// Writes a file that only its owner can read: the name appears when all of it is durable.
///
/// # Errors
/// [`Kind::Conflict`] if something is there and must not be replaced, those of `write`, and those of the file system. Nothing is left
/// then.
pub(crate) fn file(
    path: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
) -> Result<(), CliError> {
    check(path, overwrite)?;
    let (parent, fresh) = beside(path)?;
    let result = made(&fresh, write).and_then(|()| {
        let named = if overwrite { fs::rename(&fresh, path) } else { name_new(&fresh, path) };
        named.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => failed(path, &error),
        })?;
        File::open(&parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(path, &error))
    });
    if result.is_err() && fresh.exists() {
        fs::remove_file(&fresh).map_err(|error| failed(&fresh, &error))?;
    }
    result
}

fn made(fresh: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>) -> Result<(), CliError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh);
    let mut out = BufWriter::new(open.map_err(|error| failed(fresh, &error))?);
    write(&mut out)?;
    let file = out.into_inner().map_err(|error| failed(fresh, error.error()))?;
    file.sync_all().map_err(|error| failed(fresh, &error))
}

/// Gives a file a name that nothing has.
fn name_new(fresh: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(fresh, path) {
        Ok(()) => fs::remove_file(fresh),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links: somebody else's file of this very moment would be replaced.
        Err(_) => fs::rename(fresh, path),
    }
}

/// Writes a directory of files that only its owner can read: the name appears when all of it is durable. A directory that is
/// replaced may hold nothing but files with names of `files`.
///
/// # Errors
/// As [`file`].
pub(crate) fn directory(path: &Path, overwrite: bool, files: &[(String, Vec<u8>)]) -> Result<(), CliError> {
    check(path, overwrite)?;
    let (parent, fresh) = beside(path)?;
    let old = fresh.with_extension(format!("old-{}", std::process::id()));
    let result = fill(&fresh, files).and_then(|()| {
        let replaced = match fs::read_dir(path) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(|error| failed(path, &error))?.file_name();
                    if !files.iter().any(|(known, _)| name.to_str() == Some(known)) {
                        return Err(CliError::new(
                            Kind::Conflict,
                            format!("{} holds {}, which would be lost.", path.display(), name.display()),
                        )
                        .hint("name another directory."));
                    }
                }
                fs::rename(path, &old).map_err(|error| failed(path, &error))?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(path, &error)),
        };
        fs::rename(&fresh, path).map_err(|error| failed(path, &error))?;
        if replaced {
            fs::remove_dir_all(&old).map_err(|error| failed(&old, &error))?;
        }
        File::open(&parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(path, &error))
    });
    if result.is_err() && fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|error| failed(&fresh, &error))?;
    }
    result
}

fn fill(fresh: &Path, files: &[(String, Vec<u8>)]) -> Result<(), CliError> {
    DirBuilder::new().mode(0o700).create(fresh).map_err(|error| failed(fresh, &error))?;
    for (name, content) in files {
        made(&fresh.join(name), |out| Ok(out.write_all(content)?))?;
    }
    File::open(fresh).and_then(|made| made.sync_all()).map_err(|error| failed(fresh, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory").flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().display().to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all_and_is_replaced_only_on_demand() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out");
        let broken = file(&path, false, |out| {
            out.write_all(b"half")?;
            Err(CliError::usage("it broke."))
        });
        assert!(broken.is_err() && names(dir.path()).is_empty());
        file(&path, false, |out| Ok(out.write_all(b"one")?)).expect("written");
        let again = file(&path, false, |out| Ok(out.write_all(b"two")?)).expect_err("it exists");
        assert_eq!((again.kind, fs::read(&path).expect("there")), (Kind::Conflict, b"one".to_vec()));
        file(&path, true, |out| Ok(out.write_all(b"two")?)).expect("replaced");
        assert_eq!((fs::read(&path).expect("there"), names(dir.path())), (b"two".to_vec(), vec!["out".to_owned()]));
    }

    #[test]
    fn a_directory_with_other_files_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("backup");
        let files = |text: &str| vec![("a".to_owned(), text.as_bytes().to_vec())];
        directory(&path, false, &files("one")).expect("written");
        assert_eq!(directory(&path, false, &files("two")).expect_err("it exists").kind, Kind::Conflict);
        directory(&path, true, &files("two")).expect("replaced");
        assert_eq!(fs::read(path.join("a")).expect("there"), b"two");
        fs::write(path.join("diary"), "x").expect("written");
        assert_eq!(directory(&path, true, &files("three")).expect_err("it holds more").kind, Kind::Conflict);
        assert_eq!(
            (names(dir.path()), names(&path)),
            (vec!["backup".to_owned()], vec!["a".to_owned(), "diary".to_owned()])
        );
    }
}
