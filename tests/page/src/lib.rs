//! The HTML report in a real browser: Chromium opens, searches, sorts, hovers, prints it, by mouse and
//! by keyboard, with names that somebody hostile chose and with thousands of machines.
//!
//! Run by `cargo xtask e2e report-page`, which installs Chromium where it can. Pictures and PDFs of
//! what was seen are left for people to look at.

mod browser;
mod checks;
mod estate;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::browser::Browser;
use crate::checks::Checks;

/// What to drive.
#[derive(Clone, Debug)]
pub struct Options {
    /// The repository.
    pub root: PathBuf,
    /// The program under test.
    pub windrow: PathBuf,
    /// A folder with a plan and inventory of thousands of VMs.
    pub estate: PathBuf,
    /// Where pictures go.
    pub out: PathBuf,
}

/// Drives the report; true if every check held.
pub fn run(options: &Options) -> Result<bool> {
    let chromium = chromium()?;
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("make `{}`", options.out.display()))?;
    let mut browser = Browser::start(&chromium)?;
    say(&browser.version()?);
    let mut checks = Checks::new(options);
    checks.example(&mut browser).context("the example")?;
    checks.hostile(&mut browser).context("hostile names")?;
    checks.ran(&mut browser).context("after a run")?;
    checks
        .thousands(&mut browser)
        .context("thousands of machines")?;
    say(&format!("pictures: {}", options.out.display()));
    Ok(checks.told())
}

/// Chromium's program; installed where it is missing and that can be done.
fn chromium() -> Result<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = || {
        names.iter().find_map(|name| {
            let found = std::env::split_paths(&path).map(|folder| folder.join(name));
            found.into_iter().find(|program| program.is_file())
        })
    };
    if let Some(program) = find() {
        return Ok(program);
    }
    say("installing chromium");
    let installed = Command::new("apt-get")
        .args(["install", "--yes", "--no-install-recommends", "chromium"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
    match (installed, find()) {
        (Ok(status), Some(program)) if status.success() => Ok(program),
        _ => bail!("Chromium is missing: install it, as with `apt-get install chromium`"),
    }
}

/// Writes a report of the plan in `folder`.
pub(crate) fn report(windrow: &Path, folder: &Path, to: &Path) -> Result<()> {
    let output = Command::new(windrow)
        .args(["report", ".", "--out"])
        .arg(to)
        .current_dir(folder)
        .output()
        .with_context(|| format!("run `{}`", windrow.display()))?;
    if !output.status.success() {
        bail!(
            "windrow report: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// A line for people. A closed pipe is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
