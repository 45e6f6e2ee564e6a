//! Lists, in pages and at exact versions.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, json_answer},
    request::Asked,
    selector::Selector,
    state::State,
};

/// # Errors
/// 410 for versions that are forgotten, 504 for versions in the future, as the real server.
pub(super) fn list(state: &State, asked: &Asked) -> Result<Answer, Refusal> {
    let selector = Selector::read(asked)?;
    let limit: usize = asked.parameter("limit").parse().unwrap_or(0);
    let token = asked.parameter("continue");
    let mut after = None;
    let mut revision = state.revision;
    if !token.is_empty() {
        let (at, last) = token.split_once(':').ok_or_else(|| Refusal::new(400, "continue key is not valid"))?;
        revision = at.parse().map_err(|_| Refusal::new(400, "continue key is not valid"))?;
        after = Some(last.to_owned());
        if revision < state.compacted {
            let mut refusal = Refusal::new(410, "The provided continue parameter is too old");
            // What a client must not use: it goes on at the present version.
            refusal.token = format!("{}:{last}", state.revision);
            return Err(refusal);
        }
    } else if asked.parameter("resourceVersionMatch") == "Exact" {
        revision = asked
            .parameter("resourceVersion")
            .parse()
            .map_err(|_| Refusal::new(400, "resourceVersion is not a number"))?;
        if revision > state.revision {
            let text = format!("Too large resource version: {revision}, current: {}", state.revision);
            return Err(Refusal::new(504, text));
        }
        if revision < state.compacted {
            let text = format!("The resourceVersion for the provided list is too old: {revision}");
            return Err(Refusal::new(410, text));
        }
    }
    let found = state.as_of(&asked.served, revision);
    let mut found = found
        .iter()
        .filter(|(place, object)| asked.covers(&place.namespace) && selector.matches(object))
        .map(|(place, object)| (format!("{}/{}", place.namespace, place.name), object))
        .skip_while(|(key, _)| after.as_deref().is_some_and(|after| key.as_str() <= after))
        .peekable();
    let mut items = Vec::new();
    let mut next = String::new();
    while let Some((key, object)) = found.next() {
        items.push(as_item(asked, object));
        if items.len() == limit && found.peek().is_some() {
            next = format!("{revision}:{key}");
            break;
        }
    }
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if !next.is_empty() {
        metadata["continue"] = json!(next);
    }
    let body = json!({
        "kind": format!("{}List", asked.served.kind), "apiVersion": asked.served.api_version(),
        "metadata": metadata, "items": items,
    });
    Ok(json_answer(StatusCode::OK, &body))
}

/// Items of the core group come without `apiVersion` and `kind`, those of custom resources with them.
fn as_item(asked: &Asked, object: &Value) -> Value {
    let mut item = object.clone();
    if asked.served.group.is_empty()
        && let Some(members) = item.as_object_mut()
    {
        members.remove("apiVersion");
        members.remove("kind");
    }
    item
}
