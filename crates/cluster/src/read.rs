//! Reads of one object and of facts about the cluster.

use http::Method;
use serde::Deserialize;
use vmrewind_model::{RawObject, Rv, Timestamp};

use crate::{
    Cluster, ClusterError, Target,
    call::{Call, request},
    list::{Page, take_item},
};

/// Which cluster it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// The uid of the namespace `kube-system`, by which clusters are told apart.
    pub uid: String,
    /// The version of the API server, for example `v1.36.3`.
    pub server_version: String,
}

/// What an object was at an earlier version of its resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// It was this.
    Found(RawObject),
    /// It did not exist.
    NotThere,
    /// The server has forgotten that version.
    Compacted,
}

impl Cluster {
    /// Finds out which cluster it is.
    ///
    /// # Errors
    /// [`ClusterError::Forbidden`] if the namespace `kube-system` may not be read.
    pub async fn identity(&self) -> Result<ClusterIdentity, ClusterError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let namespaces = Target {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            plural: "namespaces".to_owned(),
            namespace: None,
            selector: None,
        };
        let call = Call::new("get", &namespaces, "kube-system");
        let object = self.get(&namespaces, "kube-system").await?;
        let object = object.ok_or_else(|| call.protocol("there is no namespace kube-system"))?;
        let uid = object.head().map_err(|error| call.protocol(error.to_string()))?.uid;
        if uid.is_empty() {
            return Err(call.protocol("the namespace kube-system has no uid"));
        }
        let call = Call::plain("get", "/version");
        let answer = self.call(&call, request(&call, Method::GET, "/version", &[], None)?).await?;
        let version: Result<Version, _> = serde_json::from_slice(&answer.body);
        let version = version.map_err(|_| call.protocol("the body is no version"))?;
        Ok(ClusterIdentity { uid, server_version: version.git_version })
    }

    /// Asks for the server's clock, to a second; none if the answer does not tell it.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn date(&self) -> Result<Option<Timestamp>, ClusterError> {
        let call = Call::plain("get", "/version");
        Ok(self.call(&call, request(&call, Method::GET, "/version", &[], None)?).await?.date())
    }

    /// Reads an object as of now (a quorum read). The target names its namespace; a selector does not count.
    ///
    /// Returns none if the object does not exist, also where its namespace or its type does not.
    ///
    /// # Errors
    /// [`ClusterError::Protocol`] if it exists but cannot be recorded.
    pub async fn get(&self, target: &Target, name: &str) -> Result<Option<RawObject>, ClusterError> {
        let call = Call::new("get", target, name);
        match self.call(&call, request(&call, Method::GET, &target.object_path(name), &[], None)?).await {
            Ok(answer) => take_object(&call, &answer.body).map(Some),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the newest version of a resource, and the server's clock: nothing that was written before can have a
    /// higher version. (A quorum list of one item.)
    ///
    /// # Errors
    /// As [`Cluster::list_consistent`].
    pub async fn newest_version(&self, target: &Target) -> Result<(Rv, Option<Timestamp>), ClusterError> {
        let call = Call::new("list", target, "");
        let request = request(&call, Method::GET, &target.collection_path(), &[("limit", "1")], None)?;
        let answer = self.call(&call, request).await?;
        let rv = Page::read(&call, &answer)?.rv(&call)?;
        Ok((rv, answer.date()))
    }

    /// Reads an object as it was when the resource was at version `rv` (walks back). The target names its namespace; a
    /// selector does not count. The object found has its own version, which is `rv` or lower.
    ///
    /// `rv` must not lie in the future: the server waits for it some seconds and then fails.
    ///
    /// # Errors
    /// [`ClusterError::Protocol`] if the object exists but cannot be recorded.
    pub async fn state_as_of(&self, target: &Target, name: &str, rv: Rv) -> Result<AsOf, ClusterError> {
        let call = Call::new("list", target, name);
        let (field, version) = (format!("metadata.name={name}"), rv.to_string());
        let query =
            [("fieldSelector", field.as_str()), ("resourceVersion", &version), ("resourceVersionMatch", "Exact")];
        let request = request(&call, Method::GET, &target.collection_path(), &query, None)?;
        let answer = match self.call(&call, request).await {
            Err(ClusterError::Gone { .. }) => return Ok(AsOf::Compacted),
            answer => answer?,
        };
        let page = Page::read(&call, &answer)?;
        if page.rv(&call)? != rv {
            return Err(call.protocol("the server answered for another version than asked for"));
        }
        let mut items = page.items();
        let Some(item) = items.next() else { return Ok(AsOf::NotThere) };
        if items.next().is_some() {
            return Err(call.protocol("the name stands for several objects: a namespace is needed"));
        }
        let object = take_item(target, item).map_err(|rejected| call.protocol(rejected.reason))?;
        Ok(AsOf::Found(object))
    }
}

/// Takes the object of an answer that is one.
pub(crate) fn take_object(call: &Call, body: &[u8]) -> Result<RawObject, ClusterError> {
    let object = RawObject::from_server(body).and_then(|object| object.head().map(|_| object));
    object.map_err(|error| call.protocol(error.to_string()))
}
