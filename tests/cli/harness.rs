//! Runs the binary as nobody's terminal does: empty environment, fixed width, a folder of its own.

use std::fmt;
use std::path::Path;
use std::process::Command;

use assert_fs::TempDir;
use assert_fs::prelude::*;

/// A good plan; cases change one thing in it.
pub const PLAN: &str = include_str!("files/plan.yaml");
/// The site that it names.
pub const SITE: &str = include_str!("files/site.yaml");

/// A folder with files, in which commands run.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one. It is the root of a repository, so that nothing above it is looked at.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        folder
            .child(".git")
            .create_dir_all()
            .expect("a folder in it");
        Self(folder)
    }

    /// One with the good plan and its site.
    pub fn with_plan() -> Self {
        Self::new().file("plan.yaml", PLAN).file("site.yaml", SITE)
    }

    /// A copy of a folder with all that is in it; no repository yet.
    pub fn copy_of(from: &Path) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        folder.copy_from(from, &["**"]).expect("a copy");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds or replaces a file.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.0
            .child(path)
            .write_str(text)
            .expect("a file in our folder");
        self
    }

    /// Replaces a piece of a file that is there.
    pub fn change(self, path: &str, from: &str, to: &str) -> Self {
        let text = std::fs::read_to_string(self.0.child(path).path()).expect("the file is there");
        assert!(text.contains(from), "{path} has no `{from}`");
        self.file(path, &text.replacen(from, to, 1))
    }

    /// Runs `windrow` with `arguments` in it.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_windrow"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1")
            .env("HOME", self.0.path())
            // `diff` asks Git.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .output()
            .expect("the binary that cargo has built");
        Run {
            command: arguments.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("we print UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("we print UTF-8"),
        }
    }
}

/// What a command did; as text, a snapshot.
pub struct Run {
    command: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ windrow {}", self.command)?;
        match self.code {
            Some(code) => writeln!(f, "exit code: {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "----- {name}\n{text}")?;
                if !text.ends_with('\n') {
                    writeln!(f, "⏎ missing")?;
                }
            }
        }
        Ok(())
    }
}
