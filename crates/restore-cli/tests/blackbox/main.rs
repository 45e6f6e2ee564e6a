//! Black-box tests of the tool: archives are written through the archive crate, and the binary is run on them.

mod bad_input;
mod certainty;
mod cluster;
mod compare;
mod completing;
mod copying;
mod damage;
mod deleted;
mod drawing;
mod exporting;
mod harness;
mod importing;
mod info;
mod interactive;
mod listing;
mod pinned;
mod reference;
mod schema;
mod sealed;
mod secrets;
mod site;
mod stories;
mod target;
mod timeline;
mod verify;
