//! The crate as others use it: on the fake API server, on a real control plane, and on bytes that make no sense.

mod conformance;
mod connect;
mod controlplane;
mod faults;
mod history;
mod suite;
mod wire;
