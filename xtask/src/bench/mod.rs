//! `cargo xtask bench`: measures, beside a rival where there is one.
//!
//! Each benchmark is a file or folder here, prints a table in Markdown, and has a section in
//! `docs/benchmarks.md` with the command that makes it.

mod checks;
mod estates;
mod inventory;
mod measure;
mod psplib;

use std::path::Path;

use anyhow::Result;

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
}

/// Runs one; false if it missed a measure that it was told to keep.
pub fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    match &arguments.what {
        What::Estates(arguments) => estates::run(arguments),
        What::Inventory(arguments) => inventory::run(root, arguments),
        What::Checks(arguments) => checks::run(arguments),
        What::Psplib(arguments) => psplib::run(arguments),
    }
}
