//! Tables in the manner of kubectl: columns of equal width, three blanks between, no lines.
//!
//! Does not: cut text: what does not fit wraps, so nothing is hidden.

use std::io::{self, Write};

use super::style;

/// Rows held back until the widths of their columns are known.
const HELD: usize = 256;

/// Returns how many columns of a terminal a text takes, escape sequences aside.
fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c == 'm' {
                    break;
                }
            }
        } else {
            columns += 1;
        }
    }
    columns
}

/// One line of a table.
enum Line {
    Row(Vec<String>),
    Note(String),
}

/// A table that is printed while it grows: widths are fixed after the first rows and grow later if they must.
pub(crate) struct Table {
    headers: Vec<&'static str>,
    widths: Vec<usize>,
    held: Vec<Line>,
    started: bool,
}

impl Table {
    /// Makes a table with these column headers.
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self {
            headers: headers.to_vec(),
            widths: headers.iter().map(|header| width(header)).collect(),
            held: Vec::new(),
            started: false,
        }
    }

    /// Makes a table without a header line.
    pub(crate) fn bare(columns: usize) -> Self {
        Self { headers: Vec::new(), widths: vec![0; columns], held: Vec::new(), started: false }
    }

    /// Tells whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        !self.started && self.held.is_empty()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn row(&mut self, out: &mut dyn Write, cells: Vec<String>) -> io::Result<()> {
        for (cell, width_) in cells.iter().zip(&mut self.widths) {
            *width_ = (*width_).max(width(cell));
        }
        self.line(out, Line::Row(cells))
    }

    /// Adds a line that stands outside of the columns.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn note(&mut self, out: &mut dyn Write, text: String) -> io::Result<()> {
        self.line(out, Line::Note(text))
    }

    /// Prints what was held back.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.flush(out)
    }

    fn line(&mut self, out: &mut dyn Write, line: Line) -> io::Result<()> {
        self.held.push(line);
        if self.started || self.held.len() >= HELD { self.flush(out) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.started {
            self.started = true;
            let headers: Vec<String> = self.headers.iter().map(|header| (*header).to_owned()).collect();
            let bold = style::HEADING;
            if !headers.is_empty() {
                writeln!(out, "{bold}{}{bold:#}", self.aligned(&headers))?;
            }
        }
        for line in std::mem::take(&mut self.held) {
            match line {
                Line::Row(cells) => writeln!(out, "{}", self.aligned(&cells))?,
                Line::Note(text) => writeln!(out, "{text}")?,
            }
        }
        Ok(())
    }

    fn aligned(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (index, cell) in cells.iter().enumerate() {
            line.push_str(cell);
            if index + 1 < cells.len() {
                let blanks = self.widths[index].saturating_sub(width(cell)) + 3;
                line.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(rows: usize) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(&["NAME", "AGE"]);
        for row in 0..rows {
            table.row(&mut out, vec![format!("vm-{row}"), "5m".to_owned()]).expect("in memory");
        }
        table.finish(&mut out).expect("in memory");
        anstream::adapter::strip_str(&String::from_utf8(out).expect("text")).to_string()
    }

    #[test]
    fn aligns_columns_and_leaves_no_trailing_blanks() {
        assert_eq!(printed(2), "NAME   AGE\nvm-0   5m\nvm-1   5m\n");
    }

    #[test]
    fn prints_long_tables_without_holding_them_whole() {
        let text = printed(2_000);
        assert_eq!(text.lines().count(), 2_001);
        assert!(text.ends_with("vm-1999   5m\n"));
    }

    #[test]
    fn escape_sequences_take_no_room() {
        assert_eq!(width("\u{1b}[1mab\u{1b}[0m"), 2);
    }
}
