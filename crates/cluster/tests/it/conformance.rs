//! One suite for the fake API server and a real one, so that the fake cannot drift.

use vmrewind_cluster::Cluster;
use vmrewind_testkit::{
    apiserver::FakeApiServer,
    controlplane::{ControlPlane, Options},
};

use crate::suite;

#[tokio::test]
async fn the_fake_api_server_conforms() -> anyhow::Result<()> {
    suite::apiserver_conformance(&Cluster::from_client(FakeApiServer::new().client())).await
}

#[tokio::test]
async fn a_real_api_server_conforms() -> anyhow::Result<()> {
    vmrewind_cluster::install_crypto_provider();
    let plane = ControlPlane::start(Options { without_controllers: true, ..Options::default() }).await?;
    suite::wait_for_namespace(&plane.client().await?, "default").await?;
    suite::apiserver_conformance(&Cluster::from_client(plane.client().await?)).await
}
