//! `cargo xtask gen --plans`: what the program writes beside the example plans, written anew by the
//! program itself: waves, forecasts, reports, manifests. The golden tests of `tests/pipeline` hold it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Plans whose outputs are checked in.
const PLANS: [&str; 3] = ["plans/erp", "plans/ova-shelf", "plans/pilot"];

/// Those that also have a page: two are enough to look at.
const PAGES: [&str; 2] = ["plans/erp", "plans/pilot"];

/// Writes all of them; each is a command that a person could type in the repository's root.
pub fn run(root: &Path) -> Result<()> {
    let windrow = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--package", "windrow", "--"])
            .args(arguments)
            .current_dir(root)
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .status()
            .context("start cargo")?;
        ensure!(done.success(), "`windrow {}` failed", arguments.join(" "));
        Ok(())
    };
    for plan in PLANS {
        windrow(&["plan", plan])?;
        for form in ["markdown", "csv"] {
            windrow(&["report", plan, "--output", form])?;
        }
        if PAGES.contains(&plan) {
            windrow(&["report", plan])?;
        }
        for tool in ["argocd", "flux", "plain"] {
            let out = format!("{plan}/rendered/{tool}");
            let repository = match tool {
                "flux" => "migrations",
                _ => "https://git.example/migrations.git",
            };
            windrow(&[
                "render", plan, "--for", tool, "--out", &out, "--repo", repository,
            ])?;
        }
    }
    Ok(())
}
