//! What can go wrong for a user: what, why, and a hint; and the exit code that says it to a script.
//!
//! Does not: print. `main` prints the error of a command once.

use std::fmt;

/// What an exit code means. The table of codes is part of the contract of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A check failed or a policy refused (1).
    Refused,
    /// The command line is wrong, or what it names is unknown (2).
    Usage,
    /// Some of the work is done; the journal tells which (3).
    Partly,
    /// The cluster changed since the plan was made, in a way that matters (4).
    Drifted,
    /// Something exists that is not to be touched (5).
    Conflict,
    /// The archive does not prove the answer at the instant asked for (6).
    Uncertain,
    /// What is stored or restored is not what it should be (7).
    Damaged,
    /// A server or store did not answer, or did not allow it; nothing was done (8).
    Unavailable,
    /// There is no archive here (10).
    NoArchive,
    /// Another writer leads the archive (11).
    Fenced,
    /// The archive is encrypted, and the key that was given does not open it (12).
    WrongKey,
    /// A fault of this program (70).
    Bug,
    /// Interrupted by the user (130).
    Interrupted,
    /// The reader of our output went away: not an error (0).
    BrokenPipe,
}

impl Kind {
    /// Returns the exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::Drifted => 4,
            Self::Conflict => 5,
            Self::Uncertain => 6,
            Self::Damaged => 7,
            Self::Unavailable => 8,
            Self::NoArchive => 10,
            Self::Fenced => 11,
            Self::WrongKey => 12,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }
}

/// An error for people: what happened and why, and what to do next.
#[derive(Debug)]
pub(crate) struct CliError {
    /// Which kind of error; decides the exit code.
    pub(crate) kind: Kind,
    /// What and why: one or more lines, the first one a sentence that stands alone.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl CliError {
    /// Makes an error without a hint.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Makes an error about the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Makes an error about a fault of this program.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, message).hint("this is a fault of the program: please report it with the command you ran.")
    }

    /// Returns the same error with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the same error with a hint, if there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nHint: {hint}")?;
        }
        Ok(())
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Kind::BrokenPipe, "the reader of the output went away");
        }
        Self::new(Kind::Unavailable, format!("cannot write the output: {error}"))
    }
}

/// Joins an error and its causes into one line, leaving out causes that the line before already tells.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_stands_on_a_line_of_its_own() {
        let error = CliError::usage("nothing is called that.").hint("try another name.");
        assert_eq!(error.to_string(), "Error: nothing is called that.\nHint: try another name.");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let error = CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(error.kind.exit_code(), 0);
    }
}
