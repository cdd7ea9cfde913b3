//! `cargo xtask e2e`: the end-to-end scenarios of `tests/cluster`.

mod replay;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;

use crate::estate;

/// Run the end-to-end scenarios on real components
///
/// Starts the rigs of tests/testbed (root, Debian 12; the first time takes a while), builds windrow,
/// and runs scenarios against a real Kubernetes API server, real sources, and the real
/// vm-import-controller where its program is found: --engine, else `WINDROW_TEST_ENGINE`, else
/// `vm-import-controller` on the PATH. Without it, our double of it is used, and the output says so.
/// The last line is `N passed, N failed, N skipped`.
///
/// `report-page` needs no rig: it drives the HTML report in Chromium (which it installs where it is
/// missing), and leaves its pictures in target/e2e/report-page. It runs when it is named.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Arguments {
    /// Scenarios by name (see docs/e2e.md); all when none is given
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Program of the import controller; `double` for ours
    #[arg(long, value_name = "PROGRAM")]
    engine: Option<PathBuf>,
    /// Leave what the scenarios made, to look at it
    #[arg(long)]
    keep: bool,
    /// Build and run windrow in release mode
    #[arg(long)]
    release: bool,
    /// Take the programs that are built already, and build nothing
    #[arg(long)]
    built: bool,
    /// Compare the last transcripts of the real engine and the double, and run nothing
    #[arg(long, conflicts_with_all = ["engine", "keep", "built"])]
    compare: bool,
    /// Replay the last transcripts of the real engine in the model that plans are made with, and run
    /// nothing
    #[arg(long, conflicts_with_all = ["engine", "keep", "built", "compare"])]
    replay: bool,
    /// The half inside of the testbed's network; set by the half outside
    #[arg(long, hide = true, value_name = "ENGINE", requires = "windrow")]
    inside: Option<String>,
    /// The program under test; set by the half outside
    #[arg(long, hide = true, value_name = "PATH")]
    windrow: Option<PathBuf>,
}

/// Runs them; false if one failed.
pub fn run(root: &Path, arguments: Arguments) -> Result<bool> {
    if let (Some(engine), Some(windrow)) = (&arguments.inside, &arguments.windrow) {
        return cluster::run_inside(engine, windrow, arguments.keep, &arguments.scenarios);
    }
    if arguments.scenarios == ["report-page"] {
        return report_page(root, &arguments);
    }
    if arguments.compare {
        return cluster::compare(root, &arguments.scenarios);
    }
    if arguments.replay {
        return replay::run(root, &arguments.scenarios);
    }
    cluster::run(&cluster::Options {
        root: root.to_owned(),
        scenarios: arguments.scenarios,
        engine: arguments.engine,
        keep: arguments.keep,
        release: arguments.release,
        built: arguments.built,
    })
}

/// VMs of the estate that the report is driven with.
const PAGE_VMS: u64 = 5000;

/// Drives the HTML report in Chromium.
fn report_page(root: &Path, arguments: &Arguments) -> Result<bool> {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    let profile = if arguments.release {
        "release"
    } else {
        "debug"
    };
    if !arguments.built {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build
            .current_dir(root)
            .args(["build", "--quiet", "--package", "windrow"]);
        if arguments.release {
            build.arg("--release");
        }
        if !build.status().context("run cargo")?.success() {
            bail!("windrow does not build");
        }
    }
    let out = target.join("e2e/report-page");
    let estate = out.join("estate");
    let folder = Utf8PathBuf::try_from(estate.clone()).context("name a folder")?;
    estate::write(PAGE_VMS, 1, &folder)?;
    page::run(&page::Options {
        root: root.to_owned(),
        windrow: target.join(profile).join("windrow"),
        estate,
        out,
    })
}
