//! `cargo xtask bench`: measures, beside a rival where there is one.
//!
//! Each benchmark is a file or folder here, prints a table in Markdown, and has a section in
//! `docs/benchmarks.md` with the command that makes it. What is measured is the program that users
//! get: started from an unoptimised build, the command builds and runs the optimised one.

mod checks;
mod estates;
mod inventory;
mod measure;
mod psplib;
mod render;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Measure something, beside a rival where there is one
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Estates(estates::Arguments),
    Inventory(inventory::Arguments),
    Checks(checks::Arguments),
    Psplib(psplib::Arguments),
    Render(render::Arguments),
}

/// Runs one; false if it missed a measure that it was told to keep.
pub fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    // What reads an inventory or renders is a program of its own, built for release by its benchmark.
    let measures_itself = !matches!(arguments.what, What::Inventory(_) | What::Render(_));
    if cfg!(debug_assertions) && measures_itself {
        return optimised(root);
    }
    match &arguments.what {
        What::Estates(arguments) => estates::run(arguments),
        What::Inventory(arguments) => inventory::run(root, arguments),
        What::Checks(arguments) => checks::run(arguments),
        What::Psplib(arguments) => psplib::run(arguments),
        What::Render(arguments) => render::run(root, arguments),
    }
}

/// The same command, in an optimised build.
fn optimised(root: &Path) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--release", "--package", "xtask", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .status()
        .context("run cargo")?;
    Ok(status.success())
}

/// Builds the program as users get it.
fn build(root: &Path) -> Result<PathBuf> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "-p", "windrow"])
        .current_dir(root)
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("`cargo build --release -p windrow` ended with {status}");
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/windrow"))
}
