//! Everything a test may need: launchers of the real servers, a fake API server, players of controllers.
//!
//! Does not: appear in anything that is shipped, or know any crate of ours but the model.

pub mod actors;
pub mod apiserver;
pub mod bench;
pub mod build;
pub mod controlplane;
pub mod s3;
pub mod scratch;
pub mod store;
pub mod wait;
