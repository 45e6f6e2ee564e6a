//! What a command is about: `TYPE`, `TYPE NAME…`, `TYPE/NAME…`, `TYPE/NAMESPACE/NAME`.
//!
//! Does not: check that the objects exist.

use vmrewind_model::ObjectKey;

use super::{TypeName, Types};
use crate::error::CliError;

/// A type, and perhaps one object of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The type.
    pub(crate) type_: TypeName,
    /// The namespace, if the argument itself names one.
    pub(crate) namespace: Option<String>,
    /// The object's name; none means all of the type.
    pub(crate) name: Option<String>,
}

impl Target {
    /// Returns the key of the object, given the namespace that holds where the argument names none.
    pub(crate) fn key(&self, default_namespace: &str) -> Option<ObjectKey> {
        let namespace = match (self.type_.namespaced, &self.namespace) {
            (false, _) => "",
            (true, Some(namespace)) => namespace,
            (true, None) => default_namespace,
        };
        Some(ObjectKey::new(&self.type_.group, &self.type_.kind, namespace, self.name.as_deref()?))
    }
}

/// Parses the arguments of a command that takes any number of types and objects.
///
/// # Errors
/// If a type is unknown, or the forms are mixed in a way that has no meaning.
pub(crate) fn parse_targets(types: &Types, words: &[String]) -> Result<Vec<Target>, CliError> {
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    if words.iter().all(|word| word.contains('/')) {
        return words.iter().map(|word| slashed(types, word)).collect();
    }
    if let Some(odd) = words.iter().find(|word| word.contains('/')) {
        return Err(CliError::usage(format!("{odd:?} stands beside arguments of another form."))
            .hint("write either TYPE NAME… or TYPE/NAME….")); // as kubectl does
    }
    let named: Vec<&TypeName> = first.split(',').map(|word| types.resolve(word)).collect::<Result<_, _>>()?;
    let names = &words[1..];
    let target =
        |type_: &TypeName, name: Option<&String>| Target { type_: type_.clone(), namespace: None, name: name.cloned() };
    Ok(named
        .into_iter()
        .flat_map(|type_| match names {
            [] => vec![target(type_, None)],
            names => names.iter().map(|name| target(type_, Some(name))).collect(),
        })
        .collect())
}

/// Refuses a selector beside names, as kubectl does: one of the two would be ignored.
///
/// # Errors
/// If both are given.
pub(crate) fn refuse_selector_with_names(targets: &[Target], selector: bool) -> Result<(), CliError> {
    let named = targets.iter().find_map(|target| target.name.as_deref()).filter(|_| selector);
    named.map_or(Ok(()), |name| {
        Err(CliError::usage(format!("{name:?} is a name, and names cannot stand beside a selector (-l)."))
            .hint("leave out the name or the selector."))
    })
}

/// Returns the one object that targets are about, whose life an instant like "before it was deleted" refers to: the object that is
/// named, given the namespace that holds where it names none; without any target a whole namespace, if one was asked for.
pub(crate) fn anchor(targets: &[Target], namespace: Option<&str>, asked: Option<&str>) -> Option<ObjectKey> {
    match targets {
        [target] => target.key(namespace.unwrap_or_default()),
        // A whole namespace: what is deleted is the namespace itself.
        [] => asked.map(|name| ObjectKey::new("", "Namespace", "", name)),
        _ => None,
    }
}

/// Parses the arguments of a command that takes one object: `TYPE/NAME` or `TYPE NAME`.
///
/// # Errors
/// If they name no object or more than one.
pub(crate) fn parse_one(types: &Types, words: &[String]) -> Result<Target, CliError> {
    let mut targets = parse_targets(types, words)?;
    match (targets.pop(), targets.len()) {
        (Some(target), 0) if target.name.is_some() => Ok(target),
        (Some(target), 0) => {
            Err(CliError::usage(format!("which {}? The argument names a type only.", target.type_.kind))
                .hint(format!("write TYPE/NAME, for example {}/my-name.", target.type_.shortest())))
        }
        (Some(_), _) => Err(CliError::usage("more than one object is named, and this command takes one.")),
        (None, _) => Err(CliError::usage("no object is named.").hint("write TYPE/NAME, for example vm/my-name.")),
    }
}

/// Parses `TYPE/NAME` or `TYPE/NAMESPACE/NAME`, the form in which keys are printed.
fn slashed(types: &Types, word: &str) -> Result<Target, CliError> {
    let parts: Vec<&str> = word.split('/').collect();
    let (type_, namespace, name) = match parts[..] {
        [type_, name] => (type_, None, name),
        [type_, namespace, name] if !namespace.is_empty() => (type_, Some(namespace.to_owned()), name),
        _ => return Err(CliError::usage(format!("{word:?} is not of the form TYPE/NAME."))),
    };
    let type_ = types.resolve(type_)?.clone();
    if name.is_empty() {
        return Err(CliError::usage(format!("{word:?} names no object: nothing follows the last slash.")));
    }
    Ok(Target { type_, namespace, name: Some(name.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Vec<String>, CliError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let targets = parse_targets(&Types::built_in(), &words)?;
        Ok(targets
            .iter()
            .map(|target| target.key("default").map_or_else(|| target.type_.full(), |key| key.to_string()))
            .collect())
    }

    #[test]
    fn understands_types_and_objects_as_kubectl_does() {
        assert_eq!(parse(&["vm"]).expect("valid"), ["virtualmachines.kubevirt.io"]);
        assert_eq!(parse(&["vm,pvc"]).expect("valid"), ["virtualmachines.kubevirt.io", "persistentvolumeclaims"]);
        assert_eq!(parse(&["secret", "a", "b"]).expect("valid"), ["Secret/default/a", "Secret/default/b"]);
        assert_eq!(
            parse(&["vm/a", "sc/fast"]).expect("valid"),
            ["VirtualMachine.kubevirt.io/default/a", "StorageClass.storage.k8s.io/fast"]
        );
    }

    #[test]
    fn understands_keys_as_they_are_printed() {
        let key = "VirtualMachine.kubevirt.io/prod/db-1";
        assert_eq!(parse(&[key]).expect("valid"), [key]);
    }

    #[test]
    fn refuses_what_has_no_meaning() {
        for words in [&["vm/"][..], &["/a"], &["vm", "pvc/a"], &["vm/a/b/c"], &["nonsense"], &["vm//a"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_command_about_one_object_refuses_a_bare_type() {
        let error = parse_one(&Types::built_in(), &["vm".to_owned()]).expect_err("a type only");
        assert!(error.hint.expect("a hint").contains("vm/my-name"));
    }
}
