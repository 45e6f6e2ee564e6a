//! Where output goes: data to one stream, talk to the other.
//!
//! Does not: decide on colours; the streams strip them where they are not wanted.

use std::io::{self, Write};

/// Colours, by meaning.
pub(crate) mod style {
    use anstyle::{AnsiColor, Style};

    /// Headers of columns and sections.
    pub(crate) const HEADING: Style = Style::new().bold();
    /// What is wrong or lost.
    pub(crate) const BAD: Style = AnsiColor::Red.on_default();
    /// What needs attention.
    pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
    /// What is fine or new.
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
    /// What may be skipped when reading.
    pub(crate) const DIM: Style = Style::new().dimmed();
}

/// The stream of data.
pub(crate) type Out = Box<dyn Write>;

/// The stream of talk: notes and warnings for the person at the terminal.
pub(crate) struct Talk {
    stream: Box<dyn Write>,
    quiet: bool,
}

impl Talk {
    /// Talks on this stream; a quiet one prints warnings only.
    pub(crate) fn new(stream: Box<dyn Write>, quiet: bool) -> Self {
        Self { stream, quiet }
    }

    /// Says something that may be left out.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        if self.quiet { Ok(()) } else { writeln!(self.stream, "{text}") }
    }

    /// Asks something; the answer is awaited on the same line.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<()> {
        write!(self.stream, "{question}")?;
        self.stream.flush()
    }

    /// Says something that must not be missed.
    ///
    /// # Errors
    /// If the stream cannot be written.
    pub(crate) fn warn(&mut self, text: &str) -> io::Result<()> {
        let style = style::WARN;
        writeln!(self.stream, "{style}Warning:{style:#} {text}")
    }
}
