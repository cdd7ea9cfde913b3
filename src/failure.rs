//! Why a command did not do what it should: what it came to, and what to tell.

use std::error::Error;
use std::fmt::Write as _;

use schemas::shown::shown;

use crate::diagnostic::{self, Diagnostic};
use crate::exit::Outcome;

/// Why a command did not do what it should.
#[derive(Debug)]
pub struct Failure {
    /// What it came to; decides the exit code.
    pub outcome: Outcome,
    what: What,
}

#[derive(Debug)]
enum What {
    /// An operation that failed, and perhaps the way out.
    Error {
        error: Box<dyn Error + Send + Sync>,
        hint: Option<String>,
    },
    /// Mistakes in files.
    Diagnostics(Vec<Diagnostic>),
}

impl Failure {
    /// The operation `error` failed, and the command came to `outcome`.
    pub fn new(outcome: Outcome, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            outcome,
            what: What::Error {
                error: error.into(),
                hint: None,
            },
        }
    }

    /// The input is not good, and nothing was changed.
    pub fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Outcome::Refused, error)
    }

    /// The command line is wrong, or a file cannot be read or written.
    pub fn misused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Outcome::Misused, error)
    }

    /// An outside system failed.
    pub fn outside(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Outcome::Outside, error)
    }

    /// Files have mistakes, and nothing was changed.
    pub fn diagnostics(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            outcome: Outcome::Refused,
            what: What::Diagnostics(diagnostics),
        }
    }

    /// With a way out, if it is an operation that failed; diagnostics have their own.
    #[must_use]
    pub fn hint(mut self, way_out: impl Into<String>) -> Self {
        if let What::Error { hint, .. } = &mut self.what {
            *hint = Some(way_out.into());
        }
        self
    }

    /// The mistakes in files, where these are the reason.
    pub fn as_diagnostics(&self) -> Option<&[Diagnostic]> {
        match &self.what {
            What::Diagnostics(diagnostics) => Some(diagnostics),
            What::Error { .. } => None,
        }
    }

    /// What a person reads: the whole chain once, then the way out.
    pub fn render(&self) -> String {
        match &self.what {
            What::Diagnostics(diagnostics) => diagnostic::render(diagnostics),
            What::Error { error, hint } => {
                let mut text = format!("error: failed to {}\n", shown(&error.to_string()));
                let mut cause = error.source();
                while let Some(error) = cause {
                    writeln!(text, "  because: {}", shown(&error.to_string()))
                        .expect("a String takes everything");
                    cause = error.source();
                }
                if let Some(hint) = hint {
                    writeln!(text, "hint: {}", shown(hint)).expect("a String takes everything");
                }
                text
            }
        }
    }
}
