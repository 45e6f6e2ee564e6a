//! Where the tool keeps what it must remember from one run to the next.
//!
//! Does not: know what that is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Returns the directory for one kind of things: below `vmrewind` in `$XDG_STATE_HOME` or `~/.local/state`; none if there is
/// no home directory.
pub(crate) fn directory(what: &str) -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    state.map(|state| state.join("vmrewind").join(what))
}

/// Makes a directory that only its owner can read.
///
/// # Errors
/// Those of the file system.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Replaces a file that only its owner can read, at once: whoever reads it sees the old content or the new one.
///
/// # Errors
/// Those of the file system.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let fresh = file.with_extension(format!("new-{}", std::process::id()));
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    out.write_all(content)?;
    out.sync_all()?;
    fs::rename(&fresh, file)
}
