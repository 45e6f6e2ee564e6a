//! Where output goes: data to one stream, talk to the other.
//!
//! Does not: decide on colours; the streams strip them where they are not wanted.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

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

/// Remembers why output was lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost(Rc<RefCell<Option<io::Error>>>);

impl Lost {
    /// Tells whether output was lost.
    pub(crate) fn any(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Returns why output was lost first, if it was.
    pub(crate) fn take(&self) -> Option<io::Error> {
        self.0.borrow_mut().take()
    }
}

/// A stream that never fails: after the first error everything is dropped, and the error is remembered.
pub(crate) struct Patient<W> {
    inner: W,
    lost: Lost,
}

impl<W: Write> Patient<W> {
    /// Writes to `inner` as long as that is possible.
    pub(crate) fn new(inner: W, lost: Lost) -> Self {
        Self { inner, lost }
    }

    fn attempt<T>(&mut self, instead: T, write: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        if self.lost.any() {
            return Ok(instead);
        }
        match write(&mut self.inner) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                *self.lost.0.borrow_mut() = Some(error);
                Ok(instead)
            }
            result => result,
        }
    }
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(bytes.len(), |inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), Write::flush)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one write and refuses all others.
    struct Full(bool);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_that_fails_stops_nothing_and_the_first_failure_is_remembered() {
        let lost = Lost::default();
        let mut out = Patient::new(Full(false), lost.clone());
        writeln!(out, "one").expect("it never fails");
        writeln!(out, "two").expect("it never fails");
        writeln!(out, "three").and_then(|()| out.flush()).expect("it never fails");
        assert!(lost.any());
        assert_eq!(lost.take().expect("an error").kind(), io::ErrorKind::StorageFull);
    }
}
