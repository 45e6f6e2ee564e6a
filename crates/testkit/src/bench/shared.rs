//! One bench for all tests of a test program, on one runtime.
//!
//! Does not: keep tests apart. Each takes namespaces of its own and breaks nothing that others use.

use std::sync::{LazyLock, OnceLock};

use tokio::runtime::Runtime;

use super::{Bench, BenchOptions};

/// Connections belong to the runtime they were made on, so that all tests that share a bench share this as well.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("the operating system lets a test have threads"));

/// Runs a test to its end on the runtime that the shared bench lives on.
///
/// # Panics
/// If the test fails: that is what it is for.
pub fn run(test: impl Future<Output = anyhow::Result<()>>) {
    if let Err(error) = RUNTIME.block_on(test) {
        panic!("{error:#}");
    }
}

/// Returns the bench that all tests of this program share, starting it at first. It ends with the program.
///
/// # Panics
/// If it cannot be started.
pub fn shared() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        // Not on the caller's thread, which may be inside the runtime.
        let start = || RUNTIME.block_on(Bench::start(BenchOptions::default()));
        let started = std::thread::scope(|scope| scope.spawn(start).join());
        match started {
            Ok(Ok(bench)) => bench,
            Ok(Err(error)) => panic!("the bench does not start: {error:#}"),
            Err(_) => panic!("the bench panicked while it started"),
        }
    })
}
