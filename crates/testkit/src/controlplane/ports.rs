//! Free loopback ports, unlikely to be wanted by another test at the same moment.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::anyhow;

/// Below 32768, where Linux takes the ports of outgoing connections from, so that none of those can be in the way.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// Finds a port that nobody listens on now. Each process starts to look at another place and never looks twice at one
/// soon, so that a clash is rare; whoever uses the port must still be ready for one.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(anyhow!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT))
}
