//! A table of figures, each with what it is held against.

use std::time::Duration;

/// The figures of one run, in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<[String; 4]>);

impl Figures {
    /// Adds a figure: what it is, its value, what it is held against, and the ratio of the two.
    pub(crate) fn add(&mut self, what: &str, value: String, against: String, ratio: f64) {
        let row = [what.to_owned(), value, against, format!("{ratio:.2}")];
        self.announce(&row);
        self.0.push(row);
    }

    /// Prints the table.
    #[allow(clippy::print_stdout, reason = "the table is the output of the program")]
    pub(crate) fn print(&self) {
        println!("\n| figure | measured | against | ratio |\n| --- | --- | --- | --- |");
        for [what, value, against, ratio] in &self.0 {
            println!("| {what} | {value} | {against} | {ratio} |");
        }
    }

    #[allow(clippy::print_stderr, reason = "talk, so that a long run can be followed")]
    fn announce(&self, row: &[String; 4]) {
        eprintln!("[{}] {}: {} ({}: {})", self.0.len() + 1, row[0], row[1], row[2], row[3]);
    }
}

/// Prints what is being done.
#[allow(clippy::print_stderr, reason = "talk, so that a long run can be followed")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Returns the value below which the share `p` of the sorted `values` lies.
pub(crate) fn percentile(values: &mut [Duration], p: f64) -> Duration {
    values.sort();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
    let at = ((values.len() as f64 * p) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or_default()
}

/// Returns `a / b` of two counts.
#[allow(clippy::cast_precision_loss, reason = "a ratio of counts far below 2^52")]
pub(crate) fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}

/// Returns a number of mebibytes as text.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", ratio(bytes, 1 << 20))
}
