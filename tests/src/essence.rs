//! What of an object a restore must put back exactly.
//!
//! Does not: use the rules of the product, which it is there to check.

use serde_json::{Map, Value, json};

/// Prefixes of annotations that controllers keep on what they manage.
const OF_CONTROLLERS: [&str; 5] = [
    "kubevirt.io/latest-observed",
    "kubevirt.io/storage-observed",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "cdi.kubevirt.io/",
];

/// Returns the object without what the server sets and what controllers wrote on that incarnation: uid, versions, times,
/// owners, finalizers, status, and the marks of [`OF_CONTROLLERS`].
pub fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    let kept = |member: &str, drop: &dyn Fn(&str) -> bool| {
        let all = object["metadata"][member].as_object().into_iter().flatten();
        all.filter(|(key, _)| !drop(key)).map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>()
    };
    let annotations = kept("annotations", &|key| OF_CONTROLLERS.iter().any(|prefix| key.starts_with(prefix)));
    let labels = kept("labels", &|key| key == "kubevirt.io/created-by");
    object["metadata"] = json!({
        "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
        "labels": labels, "annotations": annotations,
    });
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_essence_of_two_incarnations_is_equal_and_that_of_another_specification_is_not() {
        let object = |uid: &str, memory: &str| {
            json!({"kind": "VirtualMachine", "spec": {"memory": memory}, "status": {"ready": true},
                "metadata": {"name": "a", "uid": uid, "annotations": {"owner": "me", "cdi.kubevirt.io/x": uid}}})
        };
        assert_eq!(essence(&object("1", "2Gi")), essence(&object("2", "2Gi")));
        assert_ne!(essence(&object("1", "2Gi")), essence(&object("1", "4Gi")));
    }
}
