//! Black-box tests of the tool: archives are written through the archive crate, and the binary is run on them.

mod bad_input;
mod certainty;
mod cluster;
mod compare;
mod deleted;
mod drawing;
mod harness;
mod info;
mod listing;
mod reference;
mod schema;
mod secrets;
mod stories;
mod timeline;
