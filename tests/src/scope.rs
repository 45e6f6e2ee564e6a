//! The resources in scope, as a bench serves them.
//!
//! Does not: decide what is in scope; the table of `graph` does.

use kube::Client;
use kube::core::ApiResource;
use vmrewind_graph::kinds;

/// Returns the resources of all kinds in scope that the server has, with the selectors of their watches.
///
/// # Errors
/// If the server cannot be asked.
pub async fn scope(client: &Client) -> anyhow::Result<Vec<(ApiResource, Option<String>)>> {
    let served = kube::Discovery::new(client.clone()).run().await?;
    let mut found = Vec::new();
    for row in kinds() {
        let group = served.groups().find(|group| group.name() == row.group);
        let resource = group.and_then(|group| group.recommended_kind(row.kind));
        found.extend(resource.map(|(resource, _)| (resource, row.selector.map(str::to_owned))));
    }
    Ok(found)
}
