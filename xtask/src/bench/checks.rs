//! `cargo xtask bench checks`: how long the checks of a plan take, and how that grows.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use planner::check::check;
use planner::resolve::resolve;

use crate::estate::Estate;

/// Time the checks of generated estates of 5,000 VMs and ten times that, on one thread
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Sizes of the estates, in VMs
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [5_000, 10_000, 50_000])]
    vms: Vec<u64>,
    /// How often each is checked: the fastest counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that the checks of 5,000 VMs may take
    #[arg(long, value_name = "MS", default_value_t = 250)]
    most: u64,
}

/// The size that the measure is given for.
const MEASURED_VMS: u64 = 5_000;

/// Measures; false if 5,000 VMs took longer than they may, by the rate of the smallest estate.
#[expect(clippy::print_stdout, reason = "a table")]
pub fn run(arguments: &Arguments) -> Result<bool> {
    println!("| VMs | checks | µs a VM | findings |\n|---|---|---|---|");
    let mut kept = true;
    for vms in &arguments.vms {
        let (plan, inventory) = Estate::new(*vms, 1).parts()?;
        let site = plan
            .spec
            .inline_site
            .clone()
            .context("the estate has its site inline")?;
        let mut best = Duration::MAX;
        let mut findings = 0;
        for _ in 0..arguments.rounds.max(1) {
            let resolved =
                resolve(&plan, &site, &inventory).map_err(|wrong| anyhow!("{wrong:?}"))?;
            let begin = Instant::now();
            let checked = check(resolved, &inventory);
            best = best.min(begin.elapsed());
            findings = checked.findings.len();
        }
        let each = best.as_micros() / u128::from((*vms).max(1));
        println!("| {vms} | {} ms | {each} | {findings} |", best.as_millis());
        let limit = u128::from(arguments.most) * u128::from((*vms).max(MEASURED_VMS));
        kept &= best.as_millis() * u128::from(MEASURED_VMS) <= limit;
    }
    Ok(kept)
}
