//! The only place that prints. stdout is data, stderr is talk.
//!
//! A reader that goes away (`windrow plan | head`) is no error: what is printed after that is
//! dropped, and the command goes on to its end. Data that is lost for any other reason (a full
//! disk) makes the exit code say so: see [`Output::lost`].

use std::borrow::Cow;
use std::env;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemas::shown;
use serde::de::IgnoredAny;

use crate::cli::Global;

/// Columns where neither `COLUMNS` nor a terminal says how many there are.
const WIDTH_DEFAULT: usize = 100;

/// How much to say besides data and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    Nothing,
    Normal,
    Detailed,
}

/// How and where to print.
#[derive(Clone, Debug)]
pub struct Output {
    talk: Talk,
    color: bool,
    progress: bool,
    width: usize,
    lost: Arc<AtomicBool>,
}

impl Output {
    /// By the options, the environment (`NO_COLOR`, `COLUMNS`, `TERM`) and what is a terminal.
    pub fn new(global: &Global) -> Self {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let terminal =
            || terminal_size::terminal_size().map(|(terminal_size::Width(w), _)| usize::from(w));
        Self {
            talk: match (global.quiet, global.verbose) {
                (true, _) => Talk::Nothing,
                (false, false) => Talk::Normal,
                (false, true) => Talk::Detailed,
            },
            color: !set("NO_COLOR") && !dumb && io::stdout().is_terminal(),
            progress: !global.quiet && !global.no_progress && !dumb && io::stderr().is_terminal(),
            width: columns.or_else(terminal).unwrap_or(WIDTH_DEFAULT),
            lost: Arc::default(),
        }
    }

    /// Columns to print in.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether data on stdout may be coloured.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Whether progress may be drawn on stderr: only on a terminal, and not with `--quiet` or
    /// `--no-progress`.
    pub fn progress(&self) -> bool {
        self.progress
    }

    /// Whether there is a person to ask: both ends are a terminal.
    pub fn interactive(&self) -> bool {
        self.talk != Talk::Nothing && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Prints data to stdout, exactly as it is, but for characters that would hide or forge some of
    /// it, or command the pipeline that runs us: those are written out, in JSON as JSON does it.
    /// None of our own output has any.
    pub fn data(&self, text: &str) {
        let lines = shown::lines(text);
        let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
        let safe = match lines {
            Cow::Owned(_) if is_json() => shown::json(text),
            lines => lines,
        };
        self.exact(&safe);
    }

    /// Prints data in a form of its own (YAML, XML, CSV, HTML, commands to a pipeline) to stdout,
    /// exactly as it is: whoever wrote it has escaped what others chose.
    pub fn exact(&self, text: &str) {
        if let Err(error) = print(io::stdout().lock(), text)
            && error.kind() != ErrorKind::BrokenPipe
            && !self.lost.swap(true, Ordering::Relaxed)
        {
            self.complain(&format!(
                "error: failed to write to stdout\n  because: {error}\n"
            ));
        }
    }

    /// Whether data was lost on its way to stdout, otherwise than by a reader that went away.
    pub fn lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Prints a line of talk to stderr, unless `--quiet` is given.
    pub fn say(&self, line: &str) {
        if self.talk != Talk::Nothing {
            self.complain(&format!("{line}\n"));
        }
    }

    /// Prints a line of talk to stderr if `--verbose` is given.
    pub fn detail(&self, line: &str) {
        if self.talk == Talk::Detailed {
            self.say(line);
        }
    }

    /// Prints what went wrong to stderr; `--quiet` does not hide it.
    pub fn complain(&self, text: &str) {
        // Where stderr is gone, nobody is left to tell but the exit code.
        let _ = print(io::stderr().lock(), &shown::lines(text));
    }
}

fn print(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}
