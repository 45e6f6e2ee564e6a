//! Which object needs which other object, how each kind is sanitised, and in which order to put them back.
//!
//! ```text
//! kinds     what is recorded              rules + edges   what an object refers to     home   beside which root it is stored
//! walk      closure and reverse           sanitise        what must go before a create order  what is put back first
//! mutate    changes a restore may make    mask            what nobody should see         ties   what binds a machine to its place
//! ```
//!
//! Everything here is a table or a pure function on untyped JSON. No shape of JSON makes it panic, and members
//! that it does not know stay as they are.
//!
//! Does not: know where objects come from, talk to anything, read a clock or draw random numbers.

mod edges;
mod edit;
mod home;
mod kinds;
mod mask;
pub mod mutate;
mod names;
mod order;
mod path;
mod rules;
mod sanitise;
mod template;
mod ties;
mod view;
mod walk;

pub use edges::{
    Edge, EdgeRule, Find, Found, NamespaceRule, Pick, Relation, Source, Strength, Table, Target, edges, wanted,
    wanted_by,
};
pub use home::{Home, home};
pub use kinds::{Capture, KindRow, in_scope, kind_row, kinds};
pub use mask::{MASK, mask_secrets};
pub use names::GroupKind;
pub use order::wave;
pub use rules::{TABLE_VERSION, tables};
pub use sanitise::{Applied, Difference, Verdict, comparable, differences, noise, sanitise, verdict};
pub use ties::{Tie, TiedTo, ties};
pub use view::key;
pub use walk::{Deps, Graph, GraphEdge, Node, NodePresence, Presence, World, closure, reverse};
