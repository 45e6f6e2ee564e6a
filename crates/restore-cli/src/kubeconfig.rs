//! The kubeconfig's context and its namespace: all that reading an archive takes from it.
//!
//! Does not: connect; crate `cluster` reads the file for that.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::CliError;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Config {
    current_context: Option<String>,
    contexts: Vec<NamedContext>,
}

#[derive(Debug, Deserialize)]
struct NamedContext {
    name: String,
    #[serde(default)]
    context: Context,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Context {
    namespace: Option<String>,
}

/// Returns the namespace of the context, `default` where no file or context names one.
///
/// # Errors
/// If a file is named by a flag and cannot be read, or a file is no kubeconfig.
pub(crate) fn namespace(file: Option<&Path>, context: Option<&str>) -> Result<String, CliError> {
    let (wanted, contexts) = read(file, context)?;
    let found = wanted.and_then(|wanted| contexts.into_iter().find(|context| context.name == wanted));
    let namespace = found.and_then(|context| context.context.namespace).filter(|namespace| !namespace.is_empty());
    Ok(namespace.unwrap_or_else(|| "default".to_owned()))
}

/// Returns the name of the context that holds: the one asked for, or the current one; none where no file names one.
///
/// # Errors
/// As [`namespace`].
pub(crate) fn context_name(file: Option<&Path>, context: Option<&str>) -> Result<Option<String>, CliError> {
    Ok(read(file, context)?.0)
}

/// Reads the context that holds and all contexts there are.
fn read(file: Option<&Path>, context: Option<&str>) -> Result<(Option<String>, Vec<NamedContext>), CliError> {
    let mut wanted = context.map(str::to_owned);
    let mut contexts = Vec::new();
    for path in file.map_or_else(default_files, |file| vec![file.to_owned()]) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(CliError::usage(format!("cannot read the kubeconfig {}: {error}.", path.display()))
                    .hint("name the namespace with -n, or correct --kubeconfig or KUBECONFIG."));
            }
        };
        let config = parse(&text).ok_or_else(|| {
            CliError::usage(format!("{} is not a kubeconfig.", path.display()))
                .hint("name the namespace with -n, or correct --kubeconfig or KUBECONFIG.")
        })?;
        wanted = wanted.or(config.current_context.filter(|name| !name.is_empty()));
        contexts.extend(config.contexts);
    }
    Ok((wanted, contexts))
}

fn parse(text: &str) -> Option<Config> {
    if text.trim().is_empty() { Some(Config::default()) } else { serde_saphyr::from_str(text).ok() }
}

/// Returns the files that kubectl would read.
fn default_files() -> Vec<PathBuf> {
    match std::env::var_os("KUBECONFIG") {
        Some(list) if !list.is_empty() => {
            std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect()
        }
        _ => std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {cluster: x, namespace: prod}\n- name: b\n  context: {cluster: x}\n";

    #[test]
    fn takes_the_namespace_of_the_context() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config");
        std::fs::write(&file, FILE).expect("written");
        assert_eq!(namespace(Some(&file), None).expect("readable"), "prod");
        assert_eq!(namespace(Some(&file), Some("b")).expect("readable"), "default");
    }

    #[test]
    fn a_file_that_was_named_must_be_a_kubeconfig() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config");
        assert!(namespace(Some(&file), None).is_err(), "missing");
        std::fs::write(&file, "contexts: 7").expect("written");
        assert!(namespace(Some(&file), None).is_err(), "not a kubeconfig");
    }
}
