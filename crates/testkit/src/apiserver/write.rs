//! Create, update, patch, delete.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, json_answer},
    request::Asked,
    state::{Place, State},
};

/// # Errors
/// What a real server answers: 404, 409 for what exists or has another version or uid, 400 and 422.
pub(super) fn write(
    state: &mut State,
    asked: &Asked,
    content_type: &str,
    body: &[u8],
    now: &str,
) -> Result<Answer, Refusal> {
    match asked.verb {
        "create" => create(state, asked, parse(body)?, now),
        "update" => update(state, asked, parse(body)?),
        "patch" => patch(state, asked, content_type, &parse(body)?, now),
        _ => delete(state, asked, body, now),
    }
}

fn create(state: &mut State, asked: &Asked, mut object: Value, now: &str) -> Result<Answer, Refusal> {
    let namespace = asked.namespace.clone().unwrap_or_default();
    if asked.served.namespaced {
        let home = Place {
            group: String::new(),
            plural: "namespaces".to_owned(),
            namespace: String::new(),
            name: namespace.clone(),
        };
        if !state.objects.contains_key(&home) {
            return Err(Refusal::new(404, format!("namespaces {namespace:?} not found")));
        }
        check_namespace(&object, &namespace)?;
        object["metadata"]["namespace"] = json!(namespace);
    }
    let uid = state.new_uid();
    let metadata = metadata_of(&mut object)?;
    if metadata.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
        return Err(Refusal::new(400, "resourceVersion should not be set on objects to be created"));
    }
    let generated =
        metadata.get("generateName").and_then(Value::as_str).map(|prefix| format!("{prefix}{}", &uid[31..]));
    if let (None, Some(name)) = (metadata.get("name"), generated) {
        metadata.insert("name".to_owned(), json!(name));
    }
    let Some(name) = metadata.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned)
    else {
        return Err(Refusal::new(422, "name or generateName is required"));
    };
    metadata.insert("uid".to_owned(), json!(uid));
    metadata.insert("creationTimestamp".to_owned(), json!(now));
    metadata.remove("deletionTimestamp");
    metadata.remove("deletionGracePeriodSeconds");
    if object.get("spec").is_some() {
        object["metadata"]["generation"] = json!(1);
    }
    if asked.served.status
        && let Some(members) = object.as_object_mut()
    {
        members.remove("status");
    }
    object["apiVersion"] = json!(asked.served.api_version());
    object["kind"] = json!(asked.served.kind);
    let place = Place::new(&asked.served, &namespace, &name);
    if state.objects.contains_key(&place) {
        return Err(Refusal::new(409, format!("{} already exists", asked.what(&name))).because("AlreadyExists"));
    }
    let stored = if asked.dry_run() { object } else { state.store(place, object) };
    Ok(json_answer(StatusCode::CREATED, &stored))
}

fn update(state: &mut State, asked: &Asked, mut object: Value) -> Result<Answer, Refusal> {
    let (place, present) = present(state, asked)?;
    check_namespace(&object, &place.namespace)?;
    let metadata = metadata_of(&mut object)?;
    if metadata.get("name").and_then(Value::as_str) != Some(&asked.name) {
        return Err(Refusal::new(400, "the name of the object does not match the name on the URL"));
    }
    settle(state, asked, &place, &present, object)
}

fn patch(state: &mut State, asked: &Asked, content_type: &str, patch: &Value, now: &str) -> Result<Answer, Refusal> {
    let applies = content_type == "application/apply-patch+yaml";
    if applies && asked.parameter("fieldManager").is_empty() {
        return Err(Refusal::new(400, "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value"));
    }
    let place = place(asked);
    let Some(present) = state.objects.get(&place).cloned() else {
        if applies {
            return create(state, asked, patch.clone(), now);
        }
        return Err(Refusal::new(404, format!("{} not found", asked.what(&asked.name))));
    };
    let mut object = present.clone();
    match content_type {
        "application/merge-patch+json" | "application/apply-patch+yaml" => json_patch::merge(&mut object, patch),
        "application/json-patch+json" => {
            let patch: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|error| Refusal::new(400, error.to_string()))?;
            json_patch::patch(&mut object, &patch).map_err(|error| Refusal::new(422, error.to_string()))?;
        }
        other => return Err(Refusal::new(415, format!("patches of type {other} are not supported"))),
    }
    settle(state, asked, &place, &present, object)
}

fn delete(state: &mut State, asked: &Asked, body: &[u8], now: &str) -> Result<Answer, Refusal> {
    let options = if body.is_empty() { json!({}) } else { parse(body)? };
    let (place, present) = present(state, asked)?;
    for (condition, member) in [("/preconditions/uid", "uid"), ("/preconditions/resourceVersion", "resourceVersion")] {
        if let Some(wanted) = options.pointer(condition)
            && Some(wanted) != present.pointer(&format!("/metadata/{member}"))
        {
            let text = format!("the {member} in the precondition does not match that of {}", asked.what(&asked.name));
            return Err(Refusal::new(409, text));
        }
    }
    let dry_run = asked.dry_run() || options.pointer("/dryRun/0").is_some();
    if has_finalizers(&present) {
        let mut object = present;
        if object.pointer("/metadata/deletionTimestamp").is_none() {
            object["metadata"]["deletionTimestamp"] = json!(now);
            object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            object = if dry_run { object } else { state.store(place, object) };
        }
        return Ok(json_answer(StatusCode::OK, &object));
    }
    if !dry_run {
        state.remove(&place);
    }
    let details = json!({"name": asked.name, "kind": asked.served.plural, "uid": present["metadata"]["uid"]});
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(json_answer(StatusCode::OK, &status))
}

/// Finishes a change of an object that exists: checks, keeps what clients cannot change, stores.
fn settle(
    state: &mut State,
    asked: &Asked,
    place: &Place,
    present: &Value,
    mut object: Value,
) -> Result<Answer, Refusal> {
    for member in ["resourceVersion", "uid"] {
        let wanted = object.pointer(&format!("/metadata/{member}")).and_then(Value::as_str).unwrap_or_default();
        if !wanted.is_empty() && Some(wanted) != present["metadata"][member].as_str() {
            let text =
                format!("{}: the object has been modified; its {member} is another one", asked.what(&asked.name));
            return Err(Refusal::new(409, text));
        }
    }
    if asked.subresource == "status" {
        let status = object["status"].take();
        object = present.clone();
        object["status"] = status;
    } else if asked.served.status {
        match present.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.as_object_mut().map(|members| members.remove("status"))),
        }
    }
    let kept = [
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "namespace",
    ];
    for member in kept {
        match present["metadata"].get(member) {
            Some(value) => object["metadata"][member] = value.clone(),
            None => drop(metadata_of(&mut object)?.remove(member)),
        }
    }
    if let Some(generation) =
        present["metadata"]["generation"].as_i64().filter(|_| object.get("spec") != present.get("spec"))
    {
        object["metadata"]["generation"] = json!(generation + 1);
    }
    object["apiVersion"] = present["apiVersion"].clone();
    object["kind"] = present["kind"].clone();
    // A write that changes nothing makes no new version.
    let stored = if object == *present || asked.dry_run() {
        object
    } else if object.pointer("/metadata/deletionTimestamp").is_some() && !has_finalizers(&object) {
        state.remove(place);
        object
    } else {
        state.store(place.clone(), object)
    };
    Ok(json_answer(StatusCode::OK, &stored))
}

fn place(asked: &Asked) -> Place {
    Place::new(&asked.served, asked.namespace.as_deref().unwrap_or_default(), &asked.name)
}

fn present(state: &State, asked: &Asked) -> Result<(Place, Value), Refusal> {
    let place = place(asked);
    match state.objects.get(&place) {
        Some(object) => Ok((place, object.clone())),
        None => Err(Refusal::new(404, format!("{} not found", asked.what(&asked.name)))),
    }
}

/// Reads one object as of now.
pub(super) fn get(state: &State, asked: &Asked) -> Result<Answer, Refusal> {
    Ok(json_answer(StatusCode::OK, &present(state, asked)?.1))
}

fn check_namespace(object: &Value, namespace: &str) -> Result<(), Refusal> {
    match object.pointer("/metadata/namespace").and_then(Value::as_str) {
        Some(given) if given != namespace => Err(Refusal::new(
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => Ok(()),
    }
}

fn has_finalizers(object: &Value) -> bool {
    object.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty())
}

fn metadata_of(object: &mut Value) -> Result<&mut serde_json::Map<String, Value>, Refusal> {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    metadata.ok_or_else(|| Refusal::new(400, "the object has no metadata"))
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::new(400, "the body is no JSON"))
}
