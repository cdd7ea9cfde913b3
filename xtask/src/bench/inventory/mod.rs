//! `cargo xtask bench inventory`: what reading a source costs, beside the tool of its vendor.
//!
//! Each part (vSphere, …) starts a rig of its own, runs ours and the rival in turns, and gives lines
//! of one table.

mod fake;
mod openstack;
mod vsphere;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::measure::{self, Cost};

/// Measure `windrow inventory pull` beside the vendors' own tools, in turns
///
/// Starts its own rigs (tests/testbed), with state outside of the repository, and stops them. Prints
/// a table in Markdown: the median of the rounds. False if a measure is missed.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only these parts; all when none is given
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
    /// VMs of the simulated vCenter
    #[arg(long, default_value_t = 10_000)]
    vms: u32,
    /// Servers of the fake OpenStack
    #[arg(long, default_value_t = 20_000)]
    servers: usize,
    /// Rounds; the table has their medians
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Folder for rigs, rivals and results [default: `windrow-bench` in the temporary folder]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Take this program instead of building one
    #[arg(long, value_name = "PROGRAM")]
    windrow: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A simulated vCenter, beside `govc`
    Vsphere,
    /// The real OpenStack, beside openstacksdk
    Openstack,
    /// A fake OpenStack, for its size
    Fake,
}

/// Where everything is, for the parts.
struct Bench<'a> {
    root: &'a Path,
    state: PathBuf,
    windrow: PathBuf,
    rounds: u32,
}

impl Bench<'_> {
    /// A folder of a part's own, empty.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.state.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("clear `{}`", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("make `{}`", folder.display()))?;
        Ok(folder)
    }
}

/// A line of the table.
struct Line {
    what: String,
    cost: Cost,
}

/// A measure: what must hold, and whether it does.
struct Measure {
    what: String,
    holds: bool,
}

/// What a part found.
#[derive(Default)]
struct Outcome {
    lines: Vec<Line>,
    measures: Vec<Measure>,
}

/// Runs the parts; false if one misses a measure.
#[expect(clippy::print_stdout, reason = "its result")]
pub fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    measure::check()?;
    let state = match &arguments.state {
        Some(state) => state.clone(),
        None => std::env::temp_dir().join("windrow-bench"),
    };
    std::fs::create_dir_all(&state).with_context(|| format!("make `{}`", state.display()))?;
    let bench = Bench {
        root,
        windrow: match &arguments.windrow {
            Some(windrow) => windrow
                .canonicalize()
                .context("find the program to measure")?,
            None => super::build(root)?,
        },
        state,
        rounds: arguments.rounds.max(1),
    };
    let wanted = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let mut outcomes = Vec::new();
    if wanted(Part::Vsphere) {
        outcomes.push(vsphere::run(&bench, arguments.vms)?);
    }
    if wanted(Part::Openstack) {
        outcomes.push(openstack::run(&bench)?);
    }
    if wanted(Part::Fake) {
        outcomes.push(fake::run(&bench, arguments.servers)?);
    }
    println!("| what | wall s | CPU s | RSS MiB |\n| --- | ---: | ---: | ---: |");
    for line in outcomes.iter().flat_map(|outcome| &outcome.lines) {
        let Cost { wall, cpu, rss } = line.cost;
        println!("| {} | {wall:.2} | {cpu:.2} | {rss:.0} |", line.what);
    }
    println!();
    let mut all_hold = true;
    for measure in outcomes.iter().flat_map(|outcome| &outcome.measures) {
        let word = if measure.holds { "met" } else { "missed" };
        println!("- {}: {word}", measure.what);
        all_hold &= measure.holds;
    }
    Ok(all_hold)
}

/// A plan with one source, `source`, and its Secret.
fn write_source(folder: &Path, place: &str, secret: &Value) -> Result<()> {
    let plan = format!(
        "apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\nmetadata: {{ name: bench, namespace: bench }}\n\
         spec:\n  target: {{ name: hv1, namespace: bench }}\n  inlineSite:\n    targets:\n\
         \x20   - {{ name: hv1, storageClass: longhorn }}\n    sources:\n\
         \x20   - {{ name: source, {place}, credentials: {{ engine: source }} }}\n\
         \x20 workloads:\n  - {{ name: all, select: [ {{ source: source, match: \"*\" }} ] }}\n"
    );
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "source" },
        "stringData": secret,
    });
    for (name, text) in [("plan.yaml", plan), ("secrets.yaml", secret.to_string())] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
    }
    Ok(())
}

/// A pull of that source into `out`.
fn pull(bench: &Bench<'_>, folder: &Path) -> Command {
    let mut pull = Command::new(&bench.windrow);
    pull.args(["inventory", "pull", "plan.yaml", "--out", "out"])
        .args(["--credentials", "secrets.yaml", "--source", "source"])
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("HOME", folder)
        .env_remove("KUBECONFIG")
        .env_remove("OS_CLOUD")
        .current_dir(folder);
    pull
}

/// How many objects a snapshot's file has, behind the line that names its schema.
fn lines(path: &Path) -> Result<usize> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    Ok(text.lines().count().saturating_sub(1))
}
