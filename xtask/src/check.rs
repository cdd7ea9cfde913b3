//! `cargo xtask check`: everything that is checked besides the tests.

#![expect(clippy::print_stderr, reason = "what it has to say")]

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{gates, generated};

/// Check format, lints, documentation, generated files and gates
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs all checks, also after one has failed; false if one has.
pub fn run(root: &Path) -> Result<bool> {
    let mut good = true;
    for (what, arguments, flags) in [
        ("format", &["fmt", "--all", "--check"][..], None),
        (
            "lints",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "--deny",
                "warnings",
            ],
            None,
        ),
        (
            "documentation",
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--quiet",
            ],
            Some(("RUSTDOCFLAGS", "--deny warnings")),
        ),
    ] {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(program)
            .args(arguments)
            .envs(flags)
            .current_dir(root)
            .status()
            .with_context(|| format!("run cargo {}", arguments.join(" ")))?;
        good &= told(what, status.success());
    }
    good &= told(
        "generated files",
        generated::run(root, &generated::Arguments { check: true })?,
    );
    good &= told("gates", gates::run(root)?);
    Ok(good)
}

fn told(what: &str, good: bool) -> bool {
    eprintln!("{} {what}", if good { "ok    " } else { "FAILED" });
    good
}
