//! A real control plane for tests: etcd, kube-apiserver and kube-controller-manager on free loopback ports.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use vmrewind_testkit::controlplane::{ControlPlane, Options};
//! let plane = ControlPlane::start(Options::default()).await?;
//! let client = plane.client().await?;                   // cluster admin
//! let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(client);
//! # Ok(()) }
//! ```
//!
//! The programs come from `tests/controlplane/build.sh`. They end with the [`ControlPlane`], and also when the
//! process that started them dies in any way. Nothing outside of one temporary directory is touched, in particular not
//! the user's own kubeconfig.
//!
//! Does not: play virt-controller or CDI, or wait for the garbage collector.

mod binaries;
mod etcd;
mod files;
mod flags;
mod furnish;
mod plane;
mod ports;
mod process;

pub use binaries::binaries;
pub(crate) use binaries::built_by;
pub use plane::{Component, ControlPlane, Options, Snapshot, User};
pub(crate) use ports::free_port;
pub use process::{Lifetime, Process};
