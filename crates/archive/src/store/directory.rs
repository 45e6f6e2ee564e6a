//! What a directory needs beyond what `object_store` does: modes, and durability of what others wrote.
//!
//! Does not: write content.

use std::{
    fs::{DirBuilder, File, Permissions, set_permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use crate::paths;

/// Runs file work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(io::Error::other)?,
        Err(_) => work(),
    }
}

/// Makes a file readable by its owner only.
pub(super) fn restrict(file: &Path) -> io::Result<()> {
    set_permissions(file, Permissions::from_mode(0o600))
}

/// Makes the directories of an archive, open to their owner only, and durable.
pub(super) fn prepare(root: &Path) -> io::Result<()> {
    let log = root.join(paths::LOG);
    let mut missing = log.as_path();
    while let Some(parent) = missing.parent().filter(|_| !missing.exists()) {
        missing = parent;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&log)?;
    for made in log.ancestors().take_while(|path| *path != missing) {
        File::open(made)?.sync_all()?;
    }
    File::open(missing)?.sync_all()
}

/// Makes a file and all directories from it up to `root` durable.
pub(super) fn sync(root: &Path, file: &Path) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    for directory in file.ancestors().skip(1) {
        File::open(directory)?.sync_all()?;
        if directory == root {
            break;
        }
    }
    Ok(())
}
