//! Writes. Every one is sent once: only the caller knows what may be done twice.

use http::Method;
use serde_json::{Value, json};
use vmrewind_model::{RawObject, Rv};

use crate::{
    Cluster, ClusterError, ServedType, Target,
    call::{Answer, Call, request},
    read::take_object,
};

/// How a write is to be done. The default writes for good, strictly, under the server's idea of who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Only ask what would happen: admission and validation run, nothing is stored.
    pub dry_run: bool,
    /// The name under which the server notes who set a field. An apply needs one.
    pub field_manager: Option<String>,
    /// What happens to fields that the type's schema does not know.
    pub validation: FieldValidation,
}

/// What the server does about fields that occur twice or that the schema of the type does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Refuses the write and names them.
    #[default]
    Strict,
    /// Drops them and names them in warnings.
    Warn,
    /// Drops them in silence.
    Ignore,
}

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The object as it is stored now. After a dry run: as it would be; a created one then has no version, so that
    /// [`RawObject::head`] fails.
    pub object: RawObject,
    /// What the server warns of.
    pub warnings: Vec<String>,
}

/// What a deletion came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The object, where it is still there because finalizers must be dealt with first.
    pub pending: Option<RawObject>,
    /// What the server warns of.
    pub warnings: Vec<String>,
}

/// Which incarnation and which state of an object may be deleted. Anything else is a [`ClusterError::Conflict`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Only the incarnation with this uid.
    pub uid: Option<String>,
    /// Only if nothing changed since this version.
    pub rv: Option<Rv>,
}

/// What happens to the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first; until then the object stays.
    Foreground,
    /// They stay and lose the reference to it.
    Orphan,
}

impl Cluster {
    /// Creates an object (POST). Its namespace stands in the object.
    ///
    /// # Errors
    /// [`ClusterError::AlreadyExists`] if there is one of that name; [`ClusterError::Invalid`] if it is not taken. See
    /// [`ClusterError::may_have_happened`].
    pub async fn create(
        &self,
        type_: &ServedType,
        object: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ClusterError> {
        let target = place(type_, object);
        let call = Call::new("create", &target, name_of(object));
        let body = ("application/json", bytes(object));
        self.write(&call, Method::POST, &target.collection_path(), options, &[], body).await
    }

    /// Replaces an object (PUT). With a `metadata.resourceVersion` in it, only that state is replaced.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] if the object has another version by now.
    pub async fn replace(
        &self,
        type_: &ServedType,
        object: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ClusterError> {
        let target = place(type_, object);
        let call = Call::new("update", &target, name_of(object));
        let body = ("application/json", bytes(object));
        self.write(&call, Method::PUT, &target.object_path(name_of(object)), options, &[], body).await
    }

    /// Applies an object on the server's side, creating it where it does not exist. Fields that another manager owns
    /// are taken over with `force`, and are a conflict without. It takes no field away that another manager set.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] as said.
    pub async fn apply(
        &self,
        type_: &ServedType,
        object: &Value,
        force: bool,
        options: &WriteOptions,
    ) -> Result<Written, ClusterError> {
        let target = place(type_, object);
        let call = Call::new("patch", &target, name_of(object));
        let force: &[(&str, &str)] = if force { &[("force", "true")] } else { &[] };
        let body = ("application/apply-patch+yaml", bytes(object));
        self.write(&call, Method::PATCH, &target.object_path(name_of(object)), options, force, body).await
    }

    /// Changes an object by a JSON merge patch. With `metadata.resourceVersion` in it, only that state is changed.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] if the object does not exist.
    pub async fn patch_merge(
        &self,
        target: &Target,
        name: &str,
        patch: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ClusterError> {
        self.patch(target, name, ("application/merge-patch+json", bytes(patch)), options).await
    }

    /// Changes an object by a JSON patch: an array of operations.
    ///
    /// # Errors
    /// [`ClusterError::Invalid`] if a `test` operation fails.
    pub async fn patch_json(
        &self,
        target: &Target,
        name: &str,
        patch: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ClusterError> {
        self.patch(target, name, ("application/json-patch+json", bytes(patch)), options).await
    }

    async fn patch(
        &self,
        target: &Target,
        name: &str,
        body: (&str, Vec<u8>),
        options: &WriteOptions,
    ) -> Result<Written, ClusterError> {
        let call = Call::new("patch", target, name);
        self.write(&call, Method::PATCH, &target.object_path(name), options, &[], body).await
    }

    /// Deletes an object. Of the options only `dry_run` counts.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] if it is not the object that the preconditions name, [`ClusterError::NotFound`] if it
    /// does not exist.
    pub async fn delete(
        &self,
        target: &Target,
        name: &str,
        preconditions: &Preconditions,
        propagation: Propagation,
        options: &WriteOptions,
    ) -> Result<Deleted, ClusterError> {
        let call = Call::new("delete", target, name);
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": match propagation {
                Propagation::Background => "Background",
                Propagation::Foreground => "Foreground",
                Propagation::Orphan => "Orphan",
            },
        });
        if let Some(uid) = &preconditions.uid {
            body["preconditions"]["uid"] = json!(uid);
        }
        if let Some(rv) = &preconditions.rv {
            body["preconditions"]["resourceVersion"] = json!(rv.to_string());
        }
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let body = ("application/json", bytes(&body));
        let answer =
            self.call(&call, request(&call, Method::DELETE, &target.object_path(name), &[], Some(body))?).await?;
        // What is gone at once is answered with a Status by built-in types and with its last state by a few; only what
        // has finalizers and a deletion timestamp is still there.
        let object = RawObject::from_server(&answer.body).map_err(|error| call.protocol(error.to_string()))?;
        let value = object.value().map_err(|error| call.protocol(error.to_string()))?;
        let waits = value.pointer("/metadata/deletionTimestamp").is_some()
            && value.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        Ok(Deleted { pending: waits.then_some(object), warnings: answer.warnings() })
    }

    /// Puts a body to a subresource, for example `status`, or `freeze` of `subresources.kubevirt.io`, whose answer may
    /// have no body at all. Of the options only `dry_run` and `field_manager` count.
    ///
    /// Returns the bytes of the answer and the server's warnings.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] if the object or the subresource does not exist.
    pub async fn put_subresource(
        &self,
        target: &Target,
        name: &str,
        subresource: &str,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<(bytes::Bytes, Vec<String>), ClusterError> {
        let inner = Target { plural: format!("{}/{subresource}", target.plural), ..target.clone() };
        let call = Call::new("update", &inner, name);
        let path = format!("{}/{subresource}", target.object_path(name));
        let query = common_query(options);
        let request = request(&call, Method::PUT, &path, &query, Some(("application/json", bytes(body))))?;
        let answer = self.call(&call, request).await?;
        Ok((answer.body.clone(), answer.warnings()))
    }

    async fn write(
        &self,
        call: &Call,
        method: Method,
        path: &str,
        options: &WriteOptions,
        more: &[(&str, &str)],
        body: (&str, Vec<u8>),
    ) -> Result<Written, ClusterError> {
        let validation = match options.validation {
            FieldValidation::Strict => "Strict",
            FieldValidation::Warn => "Warn",
            FieldValidation::Ignore => "Ignore",
        };
        let mut query = vec![("fieldValidation", validation)];
        query.extend(common_query(options));
        query.extend_from_slice(more);
        let answer: Answer = self.call(call, request(call, method, path, &query, Some(body))?).await?;
        // What a dry run would create has no version, so that it is no object that could be recorded.
        let object = if options.dry_run {
            RawObject::from_server(&answer.body).map_err(|error| call.protocol(error.to_string()))?
        } else {
            take_object(call, &answer.body)?
        };
        Ok(Written { object, warnings: answer.warnings() })
    }
}

fn common_query(options: &WriteOptions) -> Vec<(&str, &str)> {
    let mut query = Vec::new();
    query.extend(options.dry_run.then_some(("dryRun", "All")));
    query.extend(options.field_manager.as_deref().map(|manager| ("fieldManager", manager)));
    query
}

fn place(type_: &ServedType, object: &Value) -> Target {
    type_.target(object.pointer("/metadata/namespace").and_then(Value::as_str))
}

fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
