//! The custom resource definitions of the bench: our own small ones, or the real schemas where they are at hand.
//!
//! Does not: install them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// Environment variable that names a folder with `crds/` (real definitions, JSON) and `fixtures/` (real objects).
pub const EXTRA: &str = "VMREWIND_EXTRA_FIXTURES";

/// Returns our own definitions: right names, versions, scopes and subresources, and no schema.
///
/// # Errors
/// If a file cannot be read, which is a mistake in the repository.
pub fn own() -> anyhow::Result<Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/crds");
    let mut all = Vec::new();
    for file in files(&folder, "yaml")? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| file.display().to_string())?;
        all.extend(documents.into_iter().filter(|document| !document.is_null()));
    }
    Ok(all)
}

/// Returns the folder that [`EXTRA`] names, if it is set and there.
pub fn extra_folder() -> Option<PathBuf> {
    std::env::var_os(EXTRA).map(PathBuf::from).filter(|folder| folder.join("crds").is_dir())
}

/// Returns the real definitions of the folder, and our own for what it lacks.
///
/// # Errors
/// If a file cannot be read.
pub fn real(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for file in files(&folder.join("crds"), "json")? {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        all.push(serde_json::from_str::<Value>(&text).with_context(|| file.display().to_string())?);
    }
    let lacking = |own: &Value| all.iter().all(|real| real["metadata"]["name"] != own["metadata"]["name"]);
    let own: Vec<Value> = own()?.into_iter().filter(lacking).collect();
    all.extend(own);
    Ok(all)
}

fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served_with_status(kind: &str) -> bool {
        let all = own().unwrap();
        let crd = all.iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
        crd["spec"]["versions"][0]["subresources"]["status"].is_object()
    }

    #[test]
    fn our_definitions_have_status_subresources_where_upstream_has_them() {
        for kind in ["VirtualMachine", "VirtualMachineInstanceReplicaSet", "DataVolume", "VirtualMachineSnapshot"] {
            assert!(served_with_status(kind), "{kind}");
        }
        for kind in ["VirtualMachineInstance", "VirtualMachineInstancetype", "NetworkAttachmentDefinition"] {
            assert!(!served_with_status(kind), "{kind}");
        }
    }

    #[test]
    fn our_definitions_store_exactly_one_version_each_and_are_named_after_their_plural() {
        for crd in own().unwrap() {
            let versions = crd["spec"]["versions"].as_array().unwrap();
            assert_eq!(versions.iter().filter(|version| version["storage"] == true).count(), 1, "{crd}");
            let plural = crd["spec"]["names"]["plural"].as_str().unwrap();
            assert_eq!(crd["metadata"]["name"], format!("{plural}.{}", crd["spec"]["group"].as_str().unwrap()));
        }
    }

    #[test]
    fn real_definitions_agree_with_ours_about_names_scope_and_status() {
        let Some(folder) = extra_folder() else {
            return; // only where the real schemas are at hand
        };
        let ours = own().unwrap();
        for real in real(&folder).unwrap() {
            let ours = ours.iter().find(|own| own["metadata"]["name"] == real["metadata"]["name"]).unwrap();
            assert_eq!(ours["spec"]["scope"], real["spec"]["scope"], "{}", real["metadata"]["name"]);
            assert_eq!(ours["spec"]["names"]["kind"], real["spec"]["names"]["kind"]);
            let status = |crd: &Value| crd["spec"]["versions"][0]["subresources"]["status"].is_object();
            assert_eq!(status(ours), status(&real), "{}", real["metadata"]["name"]);
        }
    }
}
