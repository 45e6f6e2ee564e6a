//! What every command works with: the flags, the clock, the streams, the archive.
//!
//! Does not: know any verb.

use std::io::IsTerminal as _;

use vmrewind_archive::{
    Archive, ArchiveError, ArchiveUrl, At, Damage, ErrorKind, IdentityFile, Readable, SecretKey, Store,
};
use vmrewind_model::{RecordKey, Timestamp};

use crate::{
    args::{Global, Scope},
    error::{CliError, Kind, chain},
    kubeconfig,
    mask::Masker,
    names::{TypeName, Types},
    output::{Lost, Out, Talk},
    progress::Bar,
};

/// What every command works with.
pub(crate) struct Ctx {
    /// Flags of all verbs.
    pub(crate) global: Global,
    /// The present.
    pub(crate) now: Timestamp,
    /// The clock, for what takes long.
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Sync>,
    /// Random bytes.
    pub(crate) entropy: fn() -> Result<[u8; 16], CliError>,
    /// Where data goes.
    pub(crate) out: Out,
    /// Where talk goes.
    pub(crate) talk: Talk,
    /// Tells whether data was lost on its way out.
    pub(crate) lost: Lost,
    /// What the identity files hold, once they were read.
    pub(crate) identities: Option<Vec<SecretKey>>,
}

/// Group and kind of the definitions of types.
pub(crate) const DEFINITION: (&str, &str) = ("apiextensions.k8s.io", "CustomResourceDefinition");

/// Tells whether a key is that of a definition of a type.
pub(crate) fn is_definition(key: &RecordKey) -> bool {
    key.object.is(DEFINITION.0, DEFINITION.1)
}

impl Ctx {
    /// Opens the archive that the flags name.
    ///
    /// # Errors
    /// If none is named, or it cannot be opened.
    pub(crate) async fn archive(&mut self) -> Result<Archive, CliError> {
        let archive = Archive::open(self.store()?).await?;
        if !self.global.allow_damage {
            return self.unlocked(archive).await;
        }
        let (archive, damage) = self.unlocked_for_reading(archive).await?;
        for damage in damage {
            self.talk.warn(&format!("the archive is damaged, and was opened with another file of keys: {damage}."))?;
        }
        Ok(archive.passing_over_damage())
    }

    /// Opens an archive that is encrypted. One that is not, although an identity was given, is refused: somebody may have put it
    /// into the place of one that was.
    ///
    /// # Errors
    /// If no identity that was given opens it.
    pub(crate) async fn unlocked(&mut self, archive: Archive) -> Result<Archive, CliError> {
        let identities = self.identities_for(&archive)?;
        let archive = archive.unlock(identities, self.secret()?).await?;
        self.recognise(&archive)?;
        Ok(archive)
    }

    /// As [`Self::unlocked`], but goes on with what is left of files of keys that are damaged, and returns what is wrong with them.
    ///
    /// # Errors
    /// If no identity that was given opens it.
    pub(crate) async fn unlocked_for_reading(&mut self, archive: Archive) -> Result<(Archive, Vec<Damage>), CliError> {
        let identities = self.identities_for(&archive)?;
        let (archive, damage) = archive.unlock_for_reading(identities, self.global.fingerprint).await?;
        self.recognise(&archive)?;
        Ok((archive, damage))
    }

    fn identities_for(&mut self, archive: &Archive) -> Result<Vec<SecretKey>, CliError> {
        let identities = self.identities()?;
        if !archive.identity().encrypted && !identities.is_empty() {
            let place = archive.store().place();
            let message = format!("{place} is not encrypted, although an identity was given.");
            return Err(CliError::new(Kind::WrongKey, message).hint(
                "leave out --identity and VMREWIND_IDENTITY if that is as it should be; else it is not your archive.",
            ));
        }
        Ok(identities)
    }

    /// Reads the identity files that the flags name, once.
    ///
    /// # Errors
    /// If one cannot be read or holds something else.
    pub(crate) fn identities(&mut self) -> Result<Vec<SecretKey>, CliError> {
        if let Some(known) = &self.identities {
            return Ok(known.clone());
        }
        let mut keys = Vec::new();
        for path in &self.global.identity {
            let file = IdentityFile::open(path).map_err(|error| {
                CliError::usage(format!("the identity file {} cannot be used: {error}.", path.display()))
                    .hint("`kubectl vmrewind key generate` makes one, and so does age-keygen.")
            })?;
            let who = match file.readable {
                Readable::Owner => None,
                Readable::Group => Some("its group"),
                Readable::All => Some("everybody on this machine"),
            };
            if let Some(who) = who {
                let path = path.display();
                self.talk
                    .warn(&format!("{who} can read the identity file {path}, and so the archive: chmod 600 {path}"))?;
            }
            keys.extend(file.keys);
        }
        self.identities = Some(keys.clone());
        Ok(keys)
    }

    /// Draws 32 random bytes.
    ///
    /// # Errors
    /// If this machine has none.
    pub(crate) fn secret(&self) -> Result<[u8; 32], CliError> {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&(self.entropy)()?);
        bytes[16..].copy_from_slice(&(self.entropy)()?);
        Ok(bytes)
    }

    /// Opens the store that the flags name, whatever lies in it.
    ///
    /// # Errors
    /// If none is named, or it cannot be opened.
    pub(crate) fn store(&self) -> Result<Store, CliError> {
        Ok(Store::open(&self.url()?)?)
    }

    /// Returns the place that the flags name.
    ///
    /// # Errors
    /// If none is named, or it is no archive URL.
    pub(crate) fn url(&self) -> Result<ArchiveUrl, CliError> {
        let url = self.global.archive.as_deref().filter(|url| !url.is_empty()).ok_or_else(|| {
            CliError::usage("no archive is named.")
                .hint("use --archive URL or set VMREWIND_ARCHIVE, for example to a directory or s3://bucket/prefix.")
        })?;
        Ok(url.parse::<ArchiveUrl>().map_err(ArchiveError::from)?)
    }

    /// Returns the namespace that names without one belong to.
    ///
    /// # Errors
    /// If the kubeconfig that would tell it cannot be understood.
    pub(crate) fn namespace(&mut self, flag: Option<&str>) -> Result<String, CliError> {
        if let Some(namespace) = flag {
            return Ok(namespace.to_owned());
        }
        kubeconfig::namespace(self.global.kubeconfig.as_deref(), self.global.context.as_deref())
    }

    /// Returns the namespaces that a list covers: one, or none for all of them.
    ///
    /// # Errors
    /// As [`Self::namespace`].
    pub(crate) fn namespaces(&mut self, scope: &Scope) -> Result<Option<String>, CliError> {
        if scope.all_namespaces { Ok(None) } else { self.namespace(scope.namespace.as_deref()).map(Some) }
    }

    /// Returns a masker for one answer.
    pub(crate) fn masker(&self) -> Masker {
        Masker::new(self.global.show_secrets)
    }

    /// Makes a progress bar; it draws nothing if standard error is no terminal or the user wants quiet.
    pub(crate) fn bar(&self, what: &'static str) -> Bar {
        Bar::new(what, !self.global.quiet && std::io::stderr().is_terminal())
    }

    /// Returns the types that can be named. The archive is asked only if `words` hold a name that is not built in.
    ///
    /// # Errors
    /// If the archive cannot be read.
    pub(crate) async fn types(&self, archive: &Archive, words: &[String]) -> Result<Types, CliError> {
        let mut types = Types::built_in();
        let first = words.first().map(|word| word.split(',')).into_iter().flatten();
        let slashed = words.iter().filter_map(|word| word.split_once('/')).map(|(type_, _)| type_);
        let unknown = first
            .filter(|word| !word.contains('/'))
            .chain(slashed)
            .any(|word| !word.starts_with("sha256:") && types.find(word).is_none());
        if unknown {
            let state = archive.state_at(At::Latest, &is_definition, &self.bar("reading type definitions")).await?;
            for entry in state.objects.values() {
                if let Some(object) = entry.record.change.object() {
                    types.add_definition(&object.value().map_err(unreadable)?);
                }
            }
            for proof in &state.proofs {
                types.add(TypeName {
                    group: proof.entry.id.group.clone(),
                    kind: proof.entry.kind.clone(),
                    plural: proof.entry.id.resource.clone(),
                    short: Vec::new(),
                    namespaced: true,
                });
            }
        }
        Ok(types)
    }
}

/// Turns the refusal to parse a stored object into an error; the archive promises that it does not happen.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(crate) fn unreadable(error: vmrewind_model::RawError) -> CliError {
    CliError::new(Kind::Damaged, format!("an archived object cannot be read: {error}"))
}

/// Says how to get an answer in spite of a damaged segment.
pub(crate) fn around(damage: &Damage) -> String {
    let before =
        damage.after.map_or_else(String::new, |after| format!("what lies before it is intact: --at {after}; "));
    format!(
        "{before}--allow-damage passes over it and says what may be missing; info lists all damage. If a copy of the archive \
         has {} intact, put that in its place.",
        damage.object
    )
}

impl From<ArchiveError> for CliError {
    fn from(error: ArchiveError) -> Self {
        let hint = match &error {
            ArchiveError::Damaged(damage) if damage.segment.is_some() => Some(around(damage)),
            error => error.hint(),
        };
        let kind = match (&error, error.kind()) {
            (ArchiveError::NoPlace { .. } | ArchiveError::NoArchive { .. } | ArchiveError::Unsupported { .. }, _) => {
                Kind::NoArchive
            }
            (_, ErrorKind::Unavailable | ErrorKind::Denied) => Kind::Unavailable,
            (_, ErrorKind::Locked) => Kind::WrongKey,
            (_, ErrorKind::Fenced) => Kind::Fenced,
            (_, ErrorKind::Data) => Kind::Damaged,
            (_, ErrorKind::Invalid | ErrorKind::NotFound) => Kind::Usage,
            (_, ErrorKind::Conflict) => Kind::Conflict,
            (_, ErrorKind::Bug) => Kind::Bug,
        };
        Self::new(kind, chain(&error)).maybe_hint(hint)
    }
}
