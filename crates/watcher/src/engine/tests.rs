//! Each rule of capture as a test of the pure engine.

mod clocks;
mod ends;
mod follow;
mod histories;
mod lags;
mod lists;
mod renewals;
mod rig;
mod server;
mod watches;
