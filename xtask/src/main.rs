//! Tasks of this repository: `cargo xtask TASK`.

mod check;
mod clippy;
mod e2e;
mod gates;
mod generated;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

/// Tasks of this repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
enum Task {
    Check(check::Arguments),
    E2e(e2e::Arguments),
    Gates(gates::Arguments),
    Gen(generated::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("find the repository")?;
    let good = match Task::parse() {
        Task::Check(_) => check::run(root)?,
        Task::E2e(arguments) => e2e::run(root, arguments)?,
        Task::Gates(_) => gates::run(root)?,
        Task::Gen(arguments) => generated::run(root, &arguments)?,
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
