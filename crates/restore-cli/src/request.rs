//! The flags that shape a plan, shared by `plan` and `restore`, and the request they amount to.
//!
//! Does not: plan; crate `restore` does.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use vmrewind_archive::State;
use vmrewind_model::ObjectKey;
use vmrewind_restore::{
    IdentityPolicy, LabelSelector, Mutations, OnConflict, PlanRequest, RestoreError, RunStrategy, RunningVm, Selection,
    Volumes, WithDeps,
};

use crate::{
    args::{AtArg, Scope},
    context::unreadable,
    error::CliError,
    names::Target,
    objects::present,
};

/// The flags that shape a plan.
#[derive(Clone, Debug, Args)]
pub(crate) struct RequestArgs {
    /// TYPE, TYPE NAME… or TYPE/NAME…; with -n, -l or -A alone: everything that they select
    #[arg(value_name = "TYPE[/NAME]")]
    pub(crate) what: Vec<String>,
    #[command(flatten)]
    pub(crate) at: AtArg,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Label selector, as for kubectl
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<LabelSelector>,
    /// What comes along: all that is needed or owned, owned (only children), none
    #[arg(long, value_name = "WHICH", default_value_t = WithDeps::All)]
    with_deps: WithDeps,
    /// Leave out what lies in this namespace; may be repeated
    #[arg(long, value_name = "NAME")]
    exclude_namespace: Vec<String>,

    /// Restore into another namespace: OLD=NEW[,OLD=NEW], or NEW if only one namespace is selected by -n
    #[arg(long, value_name = "MAP", help_heading = "Changes on the way")]
    namespace_map: Option<String>,
    /// Create namespaces that the cluster lacks, with the captured labels and annotations
    #[arg(long, help_heading = "Changes on the way")]
    create_namespace: bool,
    /// Use other storage classes: OLD=NEW[,OLD=NEW]
    #[arg(long, value_name = "MAP", value_parser = map, help_heading = "Changes on the way")]
    storage_class_map: Option<BTreeMap<String, String>>,
    /// MAC addresses: auto (kept in place, new in a copy), keep, clear, regenerate or map:VM/INTERFACE=MAC,…
    #[arg(long, value_name = "POLICY", default_value = "auto", help_heading = "Changes on the way")]
    mac: IdentityPolicy,
    /// SMBIOS serials: auto, keep, clear, regenerate or map:VM=SERIAL,…
    #[arg(long, value_name = "POLICY", default_value = "auto", help_heading = "Changes on the way")]
    serial: IdentityPolicy,
    /// SMBIOS UUIDs: auto, keep, clear, regenerate or map:VM=UUID,…
    #[arg(long, value_name = "POLICY", default_value = "auto", help_heading = "Changes on the way")]
    firmware_uuid: IdentityPolicy,
    /// Text from which new identities are derived; the same text gives the same ones
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Changes on the way"
    )]
    seed: String,
    /// Power state: keep, Always, RerunOnFailure, Manual, Halted or Once
    #[arg(long, value_name = "STRATEGY", default_value = "keep", help_heading = "Changes on the way")]
    run_strategy: RunStrategy,
    /// Where the data of volumes comes from: keep, rebind, reimport or blank, then exceptions: reimport,VM/VOLUME=blank
    #[arg(long, value_name = "POLICY", default_value = "keep", help_heading = "Changes on the way")]
    volumes: Volumes,
    /// Leave an annotation on what is created that names archive and instant
    #[arg(long, help_heading = "Changes on the way")]
    mark: bool,

    /// What to do where an object exists and differs: refuse the plan, leave it, or replace it (the old one is journaled)
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail", help_heading = "Conflicts")]
    on_conflict: Conflict,
    /// Replace machines while they run
    #[arg(long, conflicts_with = "stop", help_heading = "Conflicts")]
    live: bool,
    /// Stop machines before they are replaced
    #[arg(long, help_heading = "Conflicts")]
    stop: bool,
    /// Create cluster-scoped objects that the cluster lacks (storage classes, instancetypes …)
    #[arg(long, help_heading = "Conflicts")]
    cluster_scoped: bool,
    /// Go on although something that a machine needs exists neither in the archive nor in the cluster
    #[arg(long, help_heading = "Conflicts")]
    allow_missing: bool,
}

/// See [`OnConflict`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Conflict {
    Fail,
    Skip,
    Replace,
}

/// How far a command goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// All the way.
    #[default]
    None,
    /// The plan is shown and nothing is sent.
    Client,
    /// The server is asked about each step, and nothing is stored.
    Server,
}

/// Parses `a=b,c=d`.
fn map(text: &str) -> Result<BTreeMap<String, String>, String> {
    text.split(',')
        .map(|pair| match pair.split_once(['=', ':']) {
            Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
            _ => Err(format!("{pair:?} is not OLD=NEW")),
        })
        .collect()
}

impl RequestArgs {
    /// Refuses a command line that selects nothing: a whole namespace is never taken by accident.
    ///
    /// # Errors
    /// If neither objects nor a namespace nor labels nor -A are given.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        let narrowed = self.scope.namespace.is_some() || self.scope.all_namespaces || self.selector.is_some();
        if self.what.is_empty() && !narrowed {
            return Err(CliError::usage("nothing is selected.")
                .hint("name objects as TYPE/NAME, or select with -n NAMESPACE, -l SELECTOR or -A."));
        }
        Ok(())
    }

    /// Makes the request, given what the names mean and which objects there are.
    ///
    /// # Errors
    /// If a map has no meaning, or a type selects nothing.
    pub(crate) fn request(
        &self,
        targets: &[Target],
        namespace: Option<&str>,
        state: &State,
    ) -> Result<PlanRequest, CliError> {
        Ok(PlanRequest {
            selection: self.selection(targets, namespace, state)?,
            mutations: Mutations {
                namespace_map: self.namespace_map()?,
                storage_class_map: self.storage_class_map.clone().unwrap_or_default(),
                mac: self.mac.clone(),
                serial: self.serial.clone(),
                firmware_uuid: self.firmware_uuid.clone(),
                run_strategy: self.run_strategy.clone(),
                volumes: self.volumes.clone(),
                seed: self.seed.clone(),
                mark: self.mark,
            },
            on_conflict: match self.on_conflict {
                Conflict::Fail => OnConflict::Fail,
                Conflict::Skip => OnConflict::Skip,
                Conflict::Replace => OnConflict::Replace,
            },
            running: match (self.live, self.stop) {
                (true, _) => RunningVm::Live,
                (false, true) => RunningVm::Stop,
                (false, false) => RunningVm::Refuse,
            },
            create_namespace: self.create_namespace,
            cluster_scoped: self.cluster_scoped,
            allow_missing: self.allow_missing,
        })
    }

    fn selection(&self, targets: &[Target], namespace: Option<&str>, state: &State) -> Result<Selection, CliError> {
        let mut selection = Selection {
            exclude_namespaces: self.exclude_namespace.clone(),
            with_deps: self.with_deps,
            ..Selection::default()
        };
        if targets.is_empty() {
            selection.labels = self.selector.clone();
            match namespace {
                Some(namespace) => selection.namespaces.push(namespace.to_owned()),
                None => selection.all = true,
            }
            return Ok(selection);
        }
        for target in targets {
            match (target.key(namespace.unwrap_or_default()), namespace) {
                (Some(key), Some(_)) => selection.roots.push(key),
                _ => selection.roots.extend(self.matching(target, namespace, state)?),
            }
        }
        Ok(selection)
    }

    /// Finds the objects of a type, or of one name in all namespaces.
    fn matching(&self, target: &Target, namespace: Option<&str>, state: &State) -> Result<Vec<ObjectKey>, CliError> {
        let touch = crate::certainty::Touch::new(
            &target.type_,
            target.namespace.as_deref().or(namespace),
            target.name.as_deref(),
        );
        let mut found = Vec::new();
        for (key, entry) in state.objects.iter().filter(|(key, _)| touch.object(key)) {
            let Some(object) = present(entry) else { continue };
            let chosen = match &self.selector {
                Some(selector) => selector.matches(&object.value().map_err(unreadable)?),
                None => true,
            };
            if chosen {
                found.push(key.clone());
            }
        }
        if found.is_empty() {
            return Err(CliError::usage(format!("no {} is selected at that instant.", target.type_.kind))
                .hint(format!("get {} -A lists what there is; give the same --at.", target.type_.shortest())));
        }
        Ok(found)
    }

    fn namespace_map(&self) -> Result<BTreeMap<String, String>, CliError> {
        let Some(text) = &self.namespace_map else { return Ok(BTreeMap::new()) };
        if !text.contains(['=', ':']) {
            let Some(from) = &self.scope.namespace else {
                return Err(CliError::usage(format!(
                    "--namespace-map {text} does not say which namespace it replaces."
                ))
                .hint(format!("write OLD={text}, or select the old one with -n.")));
            };
            return Ok(BTreeMap::from([(from.clone(), text.clone())]));
        }
        map(text).map_err(|reason| CliError::usage(format!("--namespace-map: {reason}.")))
    }
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> Self {
        use vmrewind_restore::ErrorKind;

        use crate::error::{Kind, chain};
        let kind = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Denied => Kind::Unavailable,
            ErrorKind::Data => Kind::Damaged,
            ErrorKind::Invalid | ErrorKind::NotFound => Kind::Usage,
            ErrorKind::Conflict => Kind::Conflict,
            ErrorKind::Drifted => Kind::Drifted,
            ErrorKind::Refused => Kind::Refused,
            ErrorKind::Partial => Kind::Partly,
            ErrorKind::Cancelled => Kind::Interrupted,
            ErrorKind::Bug => Kind::Bug,
        };
        Self::new(kind, chain(&error)).maybe_hint(error.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_written_with_an_equals_sign_or_as_velero_does_with_a_colon() {
        assert_eq!(
            map("a=b,c:d").expect("valid"),
            BTreeMap::from([("a".into(), "b".into()), ("c".into(), "d".into())])
        );
        for text in ["", "a", "a=", "=b", "a=b,"] {
            assert!(map(text).is_err(), "{text}");
        }
    }
}
