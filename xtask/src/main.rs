//! Tasks of this repository: `cargo xtask TASK`.

mod bench;
mod check;
mod clippy;
mod e2e;
mod estate;
mod exit;
mod gates;
mod generated;
mod plans;
mod sim;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

/// Tasks of this repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
enum Task {
    Bench(bench::Arguments),
    Check(check::Arguments),
    E2e(e2e::Arguments),
    Gates(gates::Arguments),
    Gen(Gen),
    Sim(sim::Arguments),
}

/// Write the generated files, or an estate to try things on
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct Gen {
    #[command(flatten)]
    files: generated::Arguments,
    /// And what the program writes beside the example plans: waves, forecasts, reports, manifests
    #[arg(long, conflicts_with = "check")]
    plans: bool,
    #[command(subcommand)]
    other: Option<GenOther>,
}

/// What is written only when asked for.
#[derive(Debug, clap::Subcommand)]
enum GenOther {
    Estate(estate::Arguments),
    /// Write the inventory of plans/datacenter-exit
    Exit,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Not by `main`'s own result: that prints a backtrace where RUST_BACKTRACE is set.
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does the task; false if it found something wrong.
fn run() -> anyhow::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("find the repository")?;
    Ok(match Task::parse() {
        Task::Bench(arguments) => bench::run(root, &arguments)?,
        Task::Check(_) => check::run(root)?,
        Task::E2e(arguments) => e2e::run(root, arguments)?,
        Task::Gates(_) => gates::run(root)?,
        Task::Gen(Gen {
            other: Some(GenOther::Estate(arguments)),
            ..
        }) => estate::run(&arguments)?,
        Task::Gen(Gen {
            other: Some(GenOther::Exit),
            ..
        }) => {
            let folder = root.join("plans/datacenter-exit/inventory");
            for (path, text) in exit::inventory(None, &[]) {
                let path = folder.join(path);
                let parent = path.parent().context("a file is in a folder")?;
                std::fs::create_dir_all(parent)?;
                std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            }
            true
        }
        Task::Gen(Gen { files, plans, .. }) => {
            if plans {
                plans::run(root)?;
            }
            generated::run(root, &files)?
        }
        Task::Sim(arguments) => sim::run(&arguments),
    })
}
