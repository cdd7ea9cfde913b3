//! OpenStack: the real one of `tests/testbed`, seeded and with 3,000 servers more, read by us and by
//! openstacksdk in turns.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{Bench, Line, Measure, Outcome, pull, write_source};
use crate::bench::measure::{self, Cost};

/// Servers beside the 51 of the seed and the one that the others are copies of.
const CLONES: u32 = 3_000;
/// The rig's network, unless `NET` names another: it stays up, since it takes minutes to begin.
const NET: &str = "windrow-bench";

/// Measures it.
pub fn run(bench: &Bench<'_>) -> Result<Outcome> {
    let rig = Rig::up(bench)?;
    let folder = bench.folder("openstack-run")?;
    let secret = json!({
        "username": "admin",
        "password": "testbed-admin",
        "project_name": "admin",
        "domain_name": "Default",
    });
    write_source(
        &folder,
        "openstack: { endpoint: \"http://127.0.0.1:5000/v3\", region: RegionOne }",
        &secret,
    )?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let _ = std::fs::remove_dir_all(folder.join("out"));
        let command = pull(bench, &folder);
        ours.push(measure::run_behind(
            &rig.inside,
            &command,
            &folder.join("pull.out"),
        )?);
        theirs.push(measure::run_behind(
            &rig.inside,
            &rig.sdk(),
            &folder.join("sdk.json"),
        )?);
    }
    let count = super::lines(&folder.join("out/source/vms.jsonl"))?;
    let [ours, theirs] = [ours, theirs].map(|runs| Cost::median(&runs));
    let line = |what: &str, cost| Line {
        what: format!("{what}, {count} servers"),
        cost,
    };
    Ok(Outcome {
        measures: vec![
            Measure {
                what: format!(
                    "OpenStack: client CPU {:.3} of the SDK's, at most 0.08",
                    ours.cpu / theirs.cpu
                ),
                holds: ours.cpu <= 0.08 * theirs.cpu,
            },
            Measure {
                what: format!("OpenStack: memory {:.1} MiB, at most 64 MiB", ours.rss),
                holds: ours.rss <= 64.0,
            },
        ],
        lines: vec![
            line("OpenStack: `windrow inventory pull`", ours),
            line("OpenStack: openstacksdk, the same lists", theirs),
        ],
    })
}

/// The rig, and the way into its network.
struct Rig {
    scripts: PathBuf,
    state: PathBuf,
    inside: Vec<String>,
}

impl Rig {
    /// Brings it up, unless it is, and adds the clones, unless they are there.
    fn up(bench: &Bench<'_>) -> Result<Self> {
        let testbed = bench.root.join("tests/testbed");
        let net = std::env::var("NET").unwrap_or_else(|_| NET.to_owned());
        let up = Command::new(testbed.join("up"))
            .arg("openstack")
            .env("NET", &net)
            .output()
            .context("start tests/testbed/up")?;
        if !up.status.success() {
            bail!("tests/testbed/up: {}", String::from_utf8_lossy(&up.stderr));
        }
        let state = String::from_utf8_lossy(&up.stdout).trim().to_owned();
        let rig = Self {
            scripts: testbed.join("openstack"),
            inside: ["ip", "netns", "exec", &net].map(str::to_owned).into(),
            state: PathBuf::from(&state).join("openstack-testbed"),
        };
        let seeded = Command::new(&rig.inside[0])
            .args(&rig.inside[1..])
            .arg(rig.scripts.join("seed"))
            .args(["--clone", &CLONES.to_string()])
            .env("TESTBED_DIR", state)
            .status()
            .context("start tests/testbed/openstack/seed")?;
        if !seeded.success() {
            bail!("tests/testbed/openstack/seed ended with {seeded}");
        }
        Ok(rig)
    }

    /// The rig's yardstick: one program with openstacksdk that makes the same lists.
    fn sdk(&self) -> Command {
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg("-s")
            .arg(self.scripts.join("yardstick"))
            .args(["--once", "sdk", "--cloud", "testbed"])
            .env("OS_CLIENT_CONFIG_FILE", self.state.join("clouds.yaml"))
            .env("STATE", &self.state)
            .env("LC_ALL", "C.UTF-8");
        command
    }
}
