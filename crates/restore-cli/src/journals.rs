//! Where the journals of restores lie, and by which id a user names one.
//!
//! Does not: read or write what stands in them; crate `restore` does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use vmrewind_model::Timestamp;
use vmrewind_restore::{Journal, RestorePlan};

use crate::{
    error::{CliError, Kind},
    state_home,
};

/// Where journals are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct JournalArgs {
    /// Directory of the journals; the default is vmrewind/journals in XDG_STATE_HOME or ~/.local/state
    #[arg(long, value_name = "DIR", env = "VMREWIND_JOURNALS", hide_env_values = true)]
    journal_dir: Option<PathBuf>,
}

impl JournalArgs {
    fn dir(&self) -> Result<PathBuf, CliError> {
        if let Some(dir) = &self.journal_dir {
            return Ok(dir.clone());
        }
        state_home::directory("journals").ok_or_else(|| {
            CliError::usage("it is not known where to keep the journal: there is no home directory.")
                .hint("name a directory with --journal-dir.")
        })
    }

    /// Begins the journal of a plan and returns its id.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn begin(&self, plan: &RestorePlan, now: Timestamp) -> Result<(String, Journal), CliError> {
        let dir = self.dir()?;
        state_home::make_private(&dir).map_err(|error| {
            CliError::new(Kind::Unavailable, format!("cannot make {}: {error}.", dir.display()))
                .hint("nothing is done without a journal; name another directory with --journal-dir.")
        })?;
        let stamp = jiff::Timestamp::from(now).strftime("%Y%m%d-%H%M%S").to_string();
        let base = format!("{stamp}-{}", plan.id.get(..6).unwrap_or(&plan.id));
        let free = |id: &String| !file(&dir, id).exists();
        let ids = std::iter::once(base.clone()).chain((2..100).map(|number| format!("{base}-{number}")));
        let id = ids.into_iter().find(free).ok_or_else(|| CliError::bug("a hundred restores began in one second."))?;
        let journal = Journal::create(&file(&dir, &id), plan, now)?;
        Ok((id, journal))
    }

    /// Opens a journal by its id, the beginning of it, or the path of its file.
    ///
    /// # Errors
    /// If there is none or more than one, or it cannot be read.
    pub(crate) fn open(&self, id: &str) -> Result<(String, Journal), CliError> {
        if id.contains('/') {
            let path = Path::new(id);
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            return Ok((name, Journal::open(path)?));
        }
        let dir = self.dir()?;
        let mut found: Vec<String> = self.ids()?.into_iter().filter(|known| known.starts_with(id)).collect();
        if let Some(exact) = found.iter().position(|known| known == id) {
            found = vec![found.swap_remove(exact)];
        }
        match found.as_slice() {
            [one] => Ok((one.clone(), Journal::open(&file(&dir, one))?)),
            [] => Err(CliError::usage(format!("there is no journal {id:?} in {}.", dir.display()))
                .hint("undo without an id lists the journals.")),
            several => {
                Err(CliError::usage(format!("{id:?} may be {}.", several.join(" or "))).hint("write more of the id."))
            }
        }
    }

    /// Returns the ids of all journals, oldest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(crate) fn ids(&self) -> Result<Vec<String>, CliError> {
        let dir = self.dir()?;
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(CliError::new(Kind::Unavailable, format!("cannot read {}: {error}.", dir.display())));
            }
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        let mut ids: Vec<String> =
            names.iter().filter_map(|name| name.strip_suffix(".journal")).map(str::to_owned).collect();
        ids.sort();
        Ok(ids)
    }
}

fn file(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.journal"))
}
