//! vSphere: the simulated vCenter, read by us, by us again, and by `govc`, which the rig builds with Go.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Bench, Line, Measure, Outcome};
use crate::bench::measure::{self, Cost};

/// Where the rig of this benchmark listens, so that it meets no other.
const PORT: u16 = 9189;

/// What `govc` is asked for: the properties of our two passes.
const PROPERTIES: &[&str] = &[
    "name",
    "parent",
    "parentVApp",
    "resourcePool",
    "summary.config",
    "summary.storage",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.faultToleranceState",
    "runtime.host",
    "runtime.question",
    "config.changeVersion",
    "rootSnapshot",
    "snapshot",
    "customValue",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.guestId",
    "guest.guestFamily",
    "guest.guestFullName",
    "guest.hostName",
    "guest.ipAddress",
    "config.version",
    "config.createDate",
    "config.firmware",
    "config.bootOptions",
    "config.changeTrackingEnabled",
    "config.keyId",
    "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled",
    "config.cpuAllocation",
    "config.memoryAllocation",
    "config.nestedHVEnabled",
    "config.latencySensitivity",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "layoutEx",
    "guest.net",
    "guest.disk",
];

/// Measures it.
pub fn run(bench: &Bench<'_>, vms: u32) -> Result<Outcome> {
    let rig = Rig::up(bench, vms)?;
    let folder = bench.folder("vsphere-run")?;
    let count = rig.write_plan(&folder)?;
    let (mut first, mut second, mut rival) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for place in ["cache", "out"] {
            let _ = std::fs::remove_dir_all(folder.join(place));
        }
        first.push(measure::run(
            &pull(bench, &folder),
            &folder.join("first.out"),
        )?);
        second.push(measure::run(
            &pull(bench, &folder),
            &folder.join("second.out"),
        )?);
        rival.push(measure::run(&collect(&rig)?, &folder.join("govc.json"))?);
    }
    let [first, second, rival] = [first, second, rival].map(|runs| Cost::median(&runs));
    let line = |what: &str, cost| Line {
        what: format!("{what}, {count} VMs"),
        cost,
    };
    let measure = |what: String, holds| Measure { what, holds };
    // The measures are per 10,000 VMs.
    let share = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / 10_000.0;
    Ok(Outcome {
        measures: vec![
            measure(
                format!("client CPU {:.2} s, at most 2 s for 10,000 VMs", first.cpu),
                first.cpu <= 2.0 * share.max(1.0),
            ),
            measure(
                format!("memory {:.0} MiB, at most 128 MiB", first.rss),
                first.rss <= 128.0,
            ),
            measure(
                format!(
                    "wall time {:.2} of govc's, at most 0.8",
                    first.wall / rival.wall
                ),
                first.wall <= 0.8 * rival.wall,
            ),
            measure(
                format!(
                    "CPU of a second pull {:.2} of the first's, at most 0.25",
                    second.cpu / first.cpu
                ),
                second.cpu <= 0.25 * first.cpu,
            ),
        ],
        lines: vec![
            line("vSphere: `windrow inventory pull`", first),
            line("vSphere: the same again, nothing changed", second),
            line(
                "vSphere: `govc object.collect` of the same properties",
                rival,
            ),
        ],
    })
}

fn pull(bench: &Bench<'_>, folder: &Path) -> Command {
    let mut pull = Command::new(&bench.windrow);
    pull.args([
        "inventory",
        "pull",
        "plan.yaml",
        "--credentials",
        "secrets.yaml",
        "--out",
        "out",
    ])
    .env("XDG_CACHE_HOME", folder.join("cache"))
    .env_remove("KUBECONFIG")
    .env("HOME", folder)
    .current_dir(folder);
    for source in std::fs::read_to_string(folder.join("sources"))
        .unwrap_or_default()
        .lines()
    {
        pull.args(["--source", source]);
    }
    pull
}

fn collect(rig: &Rig) -> Result<Command> {
    let settings =
        std::fs::read_to_string(rig.state.join("env")).context("read the rig's settings")?;
    let mut collect = Command::new(rig.state.join("bin/govc"));
    for line in settings.lines() {
        let pair = line
            .strip_prefix("export ")
            .and_then(|line| line.split_once('='));
        if let Some((name, value)) = pair {
            collect.env(name, value.trim_matches('\''));
        }
    }
    collect
        .args(["object.collect", "-json", "-type", "VirtualMachine", "/"])
        .args(PROPERTIES);
    Ok(collect)
}

/// A simulated vCenter of its own; stopped when it is dropped.
struct Rig {
    scripts: PathBuf,
    state: PathBuf,
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The process is the operating system's to end, if this fails.
        let _ = Command::new(self.scripts.join("down"))
            .env("STATE", &self.state)
            .status();
    }
}

impl Rig {
    fn up(bench: &Bench<'_>, vms: u32) -> Result<Self> {
        let rig = Self {
            scripts: bench.root.join("tests/testbed/vsphere"),
            state: bench.state.join("vsphere-testbed"),
        };
        let status = Command::new(rig.scripts.join("up"))
            .args(["--vms", &vms.to_string(), "--port", &PORT.to_string()])
            .env("STATE", &rig.state)
            .status()
            .context("start tests/testbed/vsphere/up")?;
        if !status.success() {
            bail!("tests/testbed/vsphere/up ended with {status}");
        }
        Ok(rig)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.state.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))
    }

    /// A plan with all datacenters as sources, and their Secret; gives the number of VMs.
    fn write_plan(&self, folder: &Path) -> Result<usize> {
        let truth: Value = serde_json::from_str(&self.read("ground-truth.json")?)?;
        let users: Value = serde_json::from_str(&self.read("users.json")?)?;
        let user = users
            .as_array()
            .into_iter()
            .flatten()
            .find(|user| user["may"] == "everything")
            .context("the rig has no user who may everything")?;
        let secret = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "vcenter" },
            "stringData": {
                "username": user["user"],
                "password": user["password"],
                "caCert": self.read("ca.pem")?,
            },
        });
        let mut plan = String::from(
            "apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\nmetadata: { name: bench, namespace: bench }\n\
             spec:\n  target: { name: hv1, namespace: bench }\n  inlineSite:\n    targets:\n    - { name: hv1, storageClass: longhorn }\n    sources:\n",
        );
        let mut sources = String::new();
        for (at, dc) in truth["datacenters"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let path = dc["path"].as_str().context("a datacenter has a path")?;
            writeln!(sources, "dc{at}")?;
            writeln!(
                plan,
                "    - name: dc{at}\n      vmware: {{ endpoint: \"https://127.0.0.1:{PORT}/sdk\", datacenter: {} }}\n      credentials: {{ engine: vcenter }}",
                serde_json::to_string(path)?
            )?;
        }
        plan.push_str(
            "  workloads:\n  - { name: all, select: [ { source: dc0, match: \"*\" } ] }\n",
        );
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))
        };
        write("plan.yaml", &plan)?;
        write("secrets.yaml", &serde_json::to_string(&secret)?)?;
        write("sources", &sources)?;
        Ok(truth["vms"].as_array().map_or(0, Vec::len))
    }
}
