//! `cargo xtask bench render`: how long `windrow render` takes for an estate that was planned.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::measure::{self, Cost};
use crate::estate;

/// Time `windrow render` of a planned estate, for each tool
///
/// Generates the estate, plans it, and renders its waves: into an empty folder, and again where
/// nothing has changed. Prints a table in Markdown: the median of the rounds. False if one takes
/// longer than it may.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// VMs of the estate
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    vms: u64,
    /// How often each is done
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
    /// Seconds of processor time that one may take
    #[arg(long, value_name = "S", default_value_t = 0.3)]
    most: f64,
    /// Folder for estate and output [default: `windrow-bench-render` in the temporary folder]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Take this program instead of building one
    #[arg(long, value_name = "PROGRAM")]
    windrow: Option<PathBuf>,
}

/// Measures; false if one took longer than it may.
#[expect(clippy::print_stdout, reason = "its result")]
pub fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    measure::check()?;
    let windrow = match &arguments.windrow {
        Some(windrow) => windrow
            .canonicalize()
            .context("find the program to measure")?,
        None => super::build(root)?,
    };
    let state = match &arguments.state {
        Some(state) => state.clone(),
        None => std::env::temp_dir().join("windrow-bench-render"),
    };
    if state.exists() {
        std::fs::remove_dir_all(&state).with_context(|| format!("clear `{}`", state.display()))?;
    }
    std::fs::create_dir_all(&state).with_context(|| format!("make `{}`", state.display()))?;
    let folder = camino::Utf8PathBuf::try_from(state.clone()).context("name the folder")?;
    estate::write(arguments.vms, 1, &folder)?;
    let said = state.join("said");
    let mut plan = Command::new(&windrow);
    plan.current_dir(&state).arg("plan");
    measure::run(&plan, &said)?;
    let waves = state.join("waves").read_dir().context("list the waves")?;
    println!(
        "{} VMs in {} waves, {} rounds\n",
        arguments.vms,
        waves.count(),
        arguments.rounds.max(1)
    );

    println!("| for | | wall s | CPU s | RSS MiB |\n| --- | --- | ---: | ---: | ---: |");
    let mut kept = true;
    for tool in ["argocd", "flux", "plain"] {
        let out = state.join(tool);
        let mut render = Command::new(&windrow);
        render
            .current_dir(&state)
            .args(["render", "--for", tool, "--out", tool]);
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds.max(1) {
            if out.exists() {
                std::fs::remove_dir_all(&out)?;
            }
            first.push(measure::run(&render, &said)?);
            again.push(measure::run(&render, &said)?);
        }
        for (what, runs) in [
            ("into an empty folder", first),
            ("nothing has changed", again),
        ] {
            let Cost { wall, cpu, rss } = Cost::median(&runs);
            println!("| {tool} | {what} | {wall:.2} | {cpu:.2} | {rss:.0} |");
            // Of the processor, not of the clock: others may use the machine.
            kept &= cpu <= arguments.most;
        }
    }
    Ok(kept)
}
