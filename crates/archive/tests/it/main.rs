//! The archive as a whole, on stores that work and on stores that fail.

mod conformance;
mod copies;
mod crash;
mod damage;
mod directory;
mod faults;
mod golden;
mod opening;
mod seeded;
mod verify;
mod world;
