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

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A file.
    File,
    /// A directory of files.
    Directory,
}

/// Refuses a place where something is, before any work is done.
///
/// # Errors
/// [`Kind::Conflict`] if something is there and must not be replaced; [`Kind::Usage`] if it is not what would be written: a link, a
/// device, a pipe.
pub(crate) fn check(path: &Path, overwrite: bool, what: What) -> Result<(), CliError> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    let (same, name) = match what {
        What::File => (there.is_file(), "file"),
        What::Directory => (there.is_dir(), "directory"),
    };
    match (same, overwrite) {
        (_, false) => Err(exists(path)),
        (true, true) => Ok(()),
        (false, true) => Err(CliError::usage(format!("{} is no regular {name}, and is not replaced.", path.display()))
            .hint("name another place; -f - writes to standard output.")),
    }
}

fn exists(path: &Path) -> CliError {
    CliError::new(Kind::Conflict, format!("{} exists already.", path.display()))
        .hint("name another file, or replace it with --overwrite.")
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::new(Kind::Unavailable, format!("cannot write {}: {error}.", path.display()))
}

/// The place where something is made before it gets its name. `unique` is random: processes of two containers have the same number.
fn beside(path: &Path, unique: &str) -> Result<(PathBuf, PathBuf), CliError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| CliError::usage(format!("{} names no file.", path.display())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    Ok((parent.to_owned(), parent.join(format!(".{name}.new-{unique}"))))
}

/// Writes a file that only its owner can read: the name appears when all of it is durable. `unique` is part of its name until then.
///
/// # Errors
/// [`Kind::Conflict`] if something is there and must not be replaced, those of [`check`], of `write`, and of the file system. Nothing
/// is left then.
pub(crate) fn file(
    path: &Path,
    overwrite: bool,
    unique: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
) -> Result<(), CliError> {
    check(path, overwrite, What::File)?;
    let (parent, fresh) = beside(path, unique)?;
    let file = create(&fresh)?;
    // From here on it is ours, and is taken away again.
    let result = fill_file(file, &fresh, write).and_then(|()| {
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

fn create(fresh: &Path) -> Result<File, CliError> {
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh);
    open.map_err(|error| failed(fresh, &error))
}

fn fill_file(
    file: File,
    fresh: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut out = BufWriter::new(file);
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
pub(crate) fn directory(
    path: &Path,
    overwrite: bool,
    unique: &str,
    files: &[(String, Vec<u8>)],
) -> Result<(), CliError> {
    check(path, overwrite, What::Directory)?;
    let (parent, fresh) = beside(path, unique)?;
    DirBuilder::new().mode(0o700).create(&fresh).map_err(|error| failed(&fresh, &error))?;
    // From here on it is ours, and is taken away again.
    let result = fill(&fresh, files).and_then(|()| {
        match fs::read_dir(path) {
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
                swap(&fresh, path, &fresh.with_extension(format!("old-{unique}")))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::rename(&fresh, path).map_err(|error| failed(path, &error))?;
            }
            Err(error) => return Err(failed(path, &error)),
        }
        File::open(&parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(path, &error))
    });
    if result.is_err() && fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(|error| failed(&fresh, &error))?;
    }
    result
}

/// Puts a directory in the place of another. If the new one cannot get the name, the old one gets it back.
fn swap(fresh: &Path, path: &Path, old: &Path) -> Result<(), CliError> {
    fs::rename(path, old).map_err(|error| failed(path, &error))?;
    if let Err(error) = fs::rename(fresh, path) {
        let failed = failed(path, &error);
        return match fs::rename(old, path) {
            Ok(()) => Err(failed),
            Err(_) => Err(failed.hint(format!("what was there before lies in {}.", old.display()))),
        };
    }
    fs::remove_dir_all(old).map_err(|error| failed(old, &error))
}

fn fill(fresh: &Path, files: &[(String, Vec<u8>)]) -> Result<(), CliError> {
    for (name, content) in files {
        let path = fresh.join(name);
        fill_file(create(&path)?, &path, |out| Ok(out.write_all(content)?))?;
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
        let broken = file(&path, false, "7", |out| {
            out.write_all(b"half")?;
            Err(CliError::usage("it broke."))
        });
        assert!(broken.is_err() && names(dir.path()).is_empty());
        file(&path, false, "7", |out| Ok(out.write_all(b"one")?)).expect("written");
        let again = file(&path, false, "7", |out| Ok(out.write_all(b"two")?)).expect_err("it exists");
        assert_eq!((again.kind, fs::read(&path).expect("there")), (Kind::Conflict, b"one".to_vec()));
        file(&path, true, "7", |out| Ok(out.write_all(b"two")?)).expect("replaced");
        assert_eq!((fs::read(&path).expect("there"), names(dir.path())), (b"two".to_vec(), vec!["out".to_owned()]));
    }

    #[test]
    fn a_directory_with_other_files_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("backup");
        let files = |text: &str| vec![("a".to_owned(), text.as_bytes().to_vec())];
        directory(&path, false, "7", &files("one")).expect("written");
        assert_eq!(directory(&path, false, "7", &files("two")).expect_err("it exists").kind, Kind::Conflict);
        directory(&path, true, "7", &files("two")).expect("replaced");
        assert_eq!(fs::read(path.join("a")).expect("there"), b"two");
        fs::write(path.join("diary"), "x").expect("written");
        assert_eq!(directory(&path, true, "7", &files("three")).expect_err("it holds more").kind, Kind::Conflict);
        assert_eq!(
            (names(dir.path()), names(&path)),
            (vec!["backup".to_owned()], vec!["a".to_owned(), "diary".to_owned()])
        );
    }

    #[test]
    fn what_somebody_else_is_writing_is_not_taken_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out");
        fs::write(dir.path().join(".out.new-7"), "theirs").expect("written");
        file(&path, false, "7", |out| Ok(out.write_all(b"mine")?)).expect_err("the name is taken");
        directory(&path, false, "7", &[]).expect_err("the name is taken");
        assert_eq!(fs::read(dir.path().join(".out.new-7")).expect("there"), b"theirs");
        file(&path, false, "8", |out| Ok(out.write_all(b"mine")?)).expect("another name");
        assert_eq!(names(dir.path()), [".out.new-7", "out"]);
    }

    #[test]
    fn only_files_are_replaced_by_files_and_directories_by_directories() {
        let dir = tempfile::tempdir().expect("a directory");
        let (target, link, sub) = (dir.path().join("target"), dir.path().join("link"), dir.path().join("sub"));
        fs::write(&target, "old").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        fs::create_dir(&sub).expect("made");
        for path in [&link, &sub] {
            let error = file(path, true, "7", |out| Ok(out.write_all(b"new")?)).expect_err("it is no file");
            assert!(error.kind == Kind::Usage && error.message.contains("is not replaced"), "{}", error.message);
        }
        for path in [&link, &target] {
            assert_eq!(directory(path, true, "7", &[]).expect_err("it is no directory").kind, Kind::Usage);
        }
        assert!(link.is_symlink() && fs::read(&target).expect("there") == b"old");
        assert_eq!(names(dir.path()), ["link", "sub", "target"]);
    }

    #[test]
    fn the_old_directory_gets_its_name_back_if_the_new_one_cannot_have_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, old) = (dir.path().join("backup"), dir.path().join(".old"));
        fs::create_dir(&path).expect("made");
        fs::write(path.join("a"), "old").expect("written");
        assert_eq!(swap(&dir.path().join("none"), &path, &old).expect_err("nothing to name").kind, Kind::Unavailable);
        assert_eq!((names(dir.path()), names(&path)), (vec!["backup".to_owned()], vec!["a".to_owned()]));
    }
}
