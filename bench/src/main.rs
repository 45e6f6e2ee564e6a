//! Speed and memory of the real programs, each figure beside what it is measured against in the same run.
//!
//! Does not: assert anything. Figures depend on the machine; ratios are what to compare.

mod capture;
mod commit;
mod day;
mod density;
mod figures;
mod fleet;
mod git;
mod history;
mod memory;
mod plan;
mod programs;

use clap::{Parser, ValueEnum};

use crate::figures::Figures;

/// Measures and prints.
#[derive(Debug, Parser)]
struct Args {
    /// What to measure; everything if none is named.
    #[arg(value_enum)]
    what: Vec<What>,
    /// How many seconds to write as fast as the API server takes it.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How many objects the watcher holds when its memory is measured.
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// Of how many machines a day is rolled up.
    #[arg(long, default_value_t = 100)]
    machines: usize,
    /// How many versions the archive holds from which a plan is made.
    #[arg(long, default_value_t = 50_000)]
    versions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Rate and lag of capture, on a real control plane.
    Capture,
    /// Rate and lag of capture into an S3 server.
    Remote,
    /// Bytes per version.
    Density,
    /// Bytes per version of a whole day, beside git.
    Day,
    /// How long a commit takes, and what one core encodes.
    Commit,
    /// Time to plan the restore of one machine.
    Plan,
    /// Memory of the watcher.
    Memory,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |what| args.what.is_empty() || args.what.contains(&what);
    let mut figures = Figures::default();
    if wanted(What::Density) {
        density::measure(&mut figures).await?;
    }
    if wanted(What::Day) {
        day::measure(&mut figures, args.machines).await?;
    }
    if wanted(What::Commit) {
        commit::measure(&mut figures).await?;
    }
    if wanted(What::Plan) {
        plan::measure(&mut figures, args.versions).await?;
    }
    if wanted(What::Capture) {
        capture::measure(&mut figures, args.seconds, capture::Into::Directory).await?;
    }
    if wanted(What::Remote) {
        capture::measure(&mut figures, args.seconds, capture::Into::Bucket).await?;
    }
    if wanted(What::Memory) {
        memory::measure(&mut figures, args.objects).await?;
    }
    figures.print();
    Ok(())
}
