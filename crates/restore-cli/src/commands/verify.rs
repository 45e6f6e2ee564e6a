//! `verify`: whether the whole archive is as it was written, and what is lost if it is not.
//!
//! Does not: repair, or write to the archive.

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use vmrewind_archive::{
    Archive, ArchiveError, Cpu,
    verify::{Depth, Options, Report, Sample, Slots, verify},
};

use crate::{
    context::Ctx,
    coverage::Coverage,
    error::{CliError, Kind},
    output::{Format, choose, to_json, to_yaml},
    render::verify::{Sampled, advice, answer, print},
};

/// Check the whole archive, and say what is wrong and what is lost
///
/// Without --data and --deep only names, manifests and the ends of all segments and history bundles are read: one request for each.
/// That proves that the archive is complete and in order, and that footers, resume maps and indexes are as they were written; it
/// proves nothing about the bytes before them.
///
/// Exit code 7 if there is a problem. What the watcher passed over and recorded as gaps is told, and is no problem.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Read every byte: hashes of segments, frames and predecessors, every line, event roots; and of all history bundles
    #[arg(long)]
    data: bool,
    /// As --data, and check every object, what the records say of each other, and what was rolled up beside its segments
    #[arg(long)]
    deep: bool,
    /// Read only this share of the segments in full, for example 1%, and the windows that end with one of them; repeated runs read
    /// others until all were read
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    sample: Option<u32>,
    /// Choose the sample by this number alone, whatever was read before: the same archive and number, the same sample
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,
    /// Directory that remembers what was read; the default is vmrewind/verify in XDG_STATE_HOME or ~/.local/state
    #[arg(long, value_name = "DIR", requires = "sample")]
    state_dir: Option<PathBuf>,
    /// Form of the answer: table, json, yaml
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = choose(&["table", "json", "yaml"]))]
    output: Format,
}

/// Reads a share, in parts of a million: `1%`, `0.5%`, `25`.
fn share(text: &str) -> Result<u32, String> {
    let refuse = || "expected a percentage above 0 and up to 100, for example 1%".to_owned();
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most: usize| {
        let plain = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse::<u32>().map_err(|_| refuse()) } else { Err(refuse()) }
    };
    let parts = digits(whole, 3)? * 10_000 + digits(&format!("{part:0<4}"), 4)?;
    if (1..=1_000_000).contains(&parts) { Ok(parts) } else { Err(refuse()) }
}

/// Checks the archive.
pub(crate) async fn run(ctx: &mut Ctx, args: VerifyArgs) -> Result<u8, CliError> {
    let depth = match (args.deep, args.data) {
        (true, _) => Depth::Deep,
        (false, true) => Depth::Data,
        (false, false) => Depth::Ends,
    };
    if args.sample.is_some() && depth == Depth::Ends {
        return Err(CliError::usage("--sample needs --data or --deep.")
            .hint("without them, the ends of all segments are read, which is one request for each."));
    }
    let store = ctx.store()?;
    let (mut coverage, mut sampled) = (None, None);
    if let Some(parts) = args.sample {
        // Which archive it is decides which file remembers; one that does not tell is sampled without.
        let known = match Archive::open(store.clone()).await {
            Ok(archive) => Some(Coverage::open(args.state_dir, &archive.identity().archive.to_string())?),
            Err(ArchiveError::NoArchive { .. } | ArchiveError::Damaged(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let covered = match (&known, args.seed) {
            (Some(known), None) => known.covered(depth)?,
            _ => Slots::default(),
        };
        let seed = args.seed.unwrap_or(ctx.now.micros().unsigned_abs());
        sampled = Some(Sampled { sample: Sample { parts, seed, covered }, covered: None });
        coverage = known;
    }
    let told = match Archive::open(store.clone()).await {
        // Damage is for the report.
        Err(ArchiveError::NoArchive { .. } | ArchiveError::Damaged(_)) => ctx.global.fingerprint,
        opened => ctx.unlocked_for_reading(opened?).await?.0.fingerprint(),
    };
    let sample = sampled.as_ref().map(|sampled| sampled.sample.clone());
    let options = Options { depth, sample, identities: ctx.identities()?, told };
    let report = {
        let bar = ctx.bar("checking segments");
        verify(&store, Cpu::Blocking, &options, &bar).await?
    };
    if let (Some(coverage), Some(sampled)) = (&mut coverage, &mut sampled) {
        sampled.covered = Some(coverage.remember(depth, &report.checked.whole, &report.checked.found)?);
    }
    match args.output {
        Format::Json => write!(ctx.out, "{}", to_json(&answer(&report, sampled.as_ref()))?)?,
        Format::Yaml => write!(ctx.out, "{}", to_yaml(&answer(&report, sampled.as_ref()))?)?,
        _ => print(&mut ctx.out, &report, sampled.as_ref())?,
    }
    ctx.out.flush()?;
    refuse(&report)
}

/// Fails if there is a problem.
fn refuse(report: &Report) -> Result<u8, CliError> {
    let Some(first) = report.problems.first() else { return Ok(0) };
    let (code, object, detail) = (first.symptom, &first.object, &first.detail);
    let first_one = format!("{code} in {object}: {detail}");
    let message = match report.problems.len() {
        1 => format!("the archive has a problem: {first_one}."),
        count => format!("the archive has {count} problems; the first: {first_one}."),
    };
    Err(CliError::new(Kind::Damaged, message).hint(advice(first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        for (text, parts) in [("1%", 10_000), ("0.5%", 5_000), ("25", 250_000), ("100%", 1_000_000), ("0.0001%", 1)] {
            assert_eq!(share(text), Ok(parts), "{text}");
        }
        for text in ["0%", "", "%", "101%", "-1", "1.23456%", "1e2", "1.%%", "999999999999"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
