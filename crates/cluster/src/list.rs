//! A list whose items all belong to one version of the resource.

use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use vmrewind_model::{RawObject, Rv, Timestamp};

use crate::{
    Cluster, ClusterError, Rejected, Target,
    call::{Answer, Call, request},
};

/// How often a list is started again when its pages fall apart.
const ATTEMPTS: u32 = 5;

/// All objects of a resource as of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The version to which all items belong. A watch from here on misses nothing.
    pub rv: Rv,
    /// The objects, equal to what a GET returns.
    pub items: Vec<RawObject>,
    /// The objects that cannot be recorded.
    pub rejected: Vec<Rejected>,
    /// The server's clock when it answered the first page, to a second: the list shows a state no older than that,
    /// give or take the length of that answer.
    pub date: Option<Timestamp>,
}

/// One answer to a list request; items stay bytes.
#[derive(Deserialize)]
pub(crate) struct Page<'a> {
    pub(crate) metadata: PageMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(rename = "continue", default)]
    token: String,
}

impl<'a> Page<'a> {
    pub(crate) fn read(call: &Call, answer: &'a Answer) -> Result<Self, ClusterError> {
        serde_json::from_slice(&answer.body).map_err(|_| call.protocol("the body is no list"))
    }

    pub(crate) fn rv(&self, call: &Call) -> Result<Rv, ClusterError> {
        self.metadata
            .resource_version
            .parse()
            .map_err(|error: vmrewind_model::RvError| call.protocol(error.to_string()))
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &'a [u8]> {
        self.items.iter().flatten().map(|item| item.get().as_bytes())
    }
}

impl Cluster {
    /// Lists all objects of a target, `page` at a time (see [`Target::page_size`]), as of one version. When the server
    /// forgets that version between two pages, it starts again with larger pages; the token that the server offers to
    /// go on with is never used, since it goes on at a newer version and changes to what was read already would be lost.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] if the type is not served, [`ClusterError::Inconsistent`] after five attempts.
    pub async fn list_consistent(&self, target: &Target, page: u32) -> Result<Listing, ClusterError> {
        let call = Call::new("list", target, "");
        let mut limit = page.max(1);
        for _ in 0..ATTEMPTS {
            if let Some(listing) = self.try_list(&call, target, limit).await? {
                return Ok(listing);
            }
            limit = limit.saturating_mul(4);
        }
        Err(call.inconsistent(ATTEMPTS))
    }

    /// Returns nothing if the pages do not belong together.
    async fn try_list(&self, call: &Call, target: &Target, limit: u32) -> Result<Option<Listing>, ClusterError> {
        let limit = limit.to_string();
        let mut listing: Option<Listing> = None;
        let mut token = String::new();
        loop {
            let mut query = vec![("limit", limit.as_str())];
            query.extend(target.selector.as_deref().map(|selector| ("labelSelector", selector)));
            if !token.is_empty() {
                query.push(("continue", &token));
            }
            let request = request(call, Method::GET, &target.collection_path(), &query, None)?;
            let answer = match self.call(call, request).await {
                Err(ClusterError::Gone { .. }) if listing.is_some() => return Ok(None),
                answer => answer?,
            };
            let page = Page::read(call, &answer)?;
            let rv = page.rv(call)?;
            let listing_so_far = listing.get_or_insert_with(|| Listing {
                rv,
                items: Vec::new(),
                rejected: Vec::new(),
                date: answer.date(),
            });
            if listing_so_far.rv != rv {
                return Ok(None);
            }
            for item in page.items() {
                match take_item(target, item) {
                    Ok(object) => listing_so_far.items.push(object),
                    Err(rejected) => listing_so_far.rejected.push(*rejected),
                }
            }
            // A server that hands out the same token again would keep us here for ever.
            if page.metadata.token == token && !token.is_empty() {
                return Err(call.protocol("a page follows itself"));
            }
            token = page.metadata.token;
            if token.is_empty() {
                return Ok(listing);
            }
        }
    }
}

/// Makes an item of a list the object that a GET returns.
pub(crate) fn take_item(target: &Target, item: &[u8]) -> Result<RawObject, Box<Rejected>> {
    let taken = RawObject::from_list_item(item, &target.api_version(), &target.kind);
    let taken = taken.and_then(|object| object.head().map(|_| object));
    taken.map_err(|error| Rejected::new(target, item, false, error.to_string()))
}
