//! `windrow inventory pull` against the real sources: all that is there, twice the same, nothing
//! called but reads.

pub mod openstack;
pub mod vsphere;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::command::{Output, Run, tail};

/// Files of a snapshot that an unchanged source leaves as they are; `source.json` says how it was
/// reached, too.
const CONFIGURATION: &[&str] = &[
    "source.json",
    "vms.jsonl",
    "networks.jsonl",
    "storage.jsonl",
    "hosts.jsonl",
    "rules.jsonl",
];

/// A password that no rig has.
const WRONG_PASSWORD: &str = "hunter2";

/// A plan of sources: name, place in YAML's flow style, Secret.
fn plan(sources: &[(String, String, &str)]) -> String {
    let mut plan = String::from(
        "apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\n\
         metadata: { name: estate, namespace: estate }\n\
         spec:\n  target: { name: hv1, namespace: estate }\n  inlineSite:\n\
         \x20   targets:\n    - { name: hv1, storageClass: longhorn }\n    sources:\n",
    );
    for (name, place, secret) in sources {
        plan.extend(["    - name: ", name, "\n      ", place]);
        plan.extend(["\n      credentials: { engine: ", secret, " }\n"]);
    }
    let first = sources.first().map_or("none", |(name, ..)| name);
    plan.extend(["  workloads:\n  - { name: all, select: [ { source: ", first]);
    plan.push_str(", match: \"*\" } ] }\n");
    plan
}

/// The manifest of a Secret.
fn secret(name: &str, data: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data})
        .to_string()
}

/// What is wrong with how a pull took [`WRONG_PASSWORD`]: it is tried once, and never repeated.
fn refused_once(output: &Output, tries: u64) -> Vec<String> {
    let mut failures = Vec::new();
    if output.code != 1 || tries != 1 {
        failures.push(format!(
            "a wrong password: exit code {}, {tries} tries",
            output.code
        ));
    }
    if output.all().contains(WRONG_PASSWORD) {
        failures.push("a wrong password is repeated".to_owned());
    }
    failures
}

/// The program under test, and a folder for its plan and snapshots.
pub struct Puller {
    /// The program.
    pub windrow: PathBuf,
    /// The folder: `plan.yaml`, `secrets.yaml`, a folder for each pull.
    pub folder: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What was counted, in words.
    pub counts: Vec<String>,
    /// What did not hold.
    pub failures: Vec<String>,
}

impl Puller {
    /// Makes the folder anew.
    fn clear(&self) -> Result<()> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)
                .with_context(|| format!("clear `{}`", self.folder.display()))?;
        }
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("make `{}`", self.folder.display()))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))
    }

    /// A pull of some sources into the folder `out`, with the Secrets of a file.
    fn pull<S: AsRef<str>>(
        &self,
        out: &str,
        secrets: &str,
        sources: &[S],
        more: Option<&str>,
    ) -> Run {
        let mut run = Run::new(&self.windrow)
            .args([
                "inventory",
                "pull",
                "plan.yaml",
                "--credentials",
                secrets,
                "--out",
                out,
            ])
            .args(more)
            .folder(&self.folder)
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
            .env("NO_COLOR", "1")
            .without("KUBECONFIG")
            .without("GOVC_URL")
            .without("OS_CLOUD")
            .limit(Duration::from_mins(5));
        for source in sources {
            run = run.args(["--source", source.as_ref()]);
        }
        run
    }

    /// The same, done; an error where it fails.
    fn pulled<S: AsRef<str>>(
        &self,
        out: &str,
        sources: &[S],
        more: Option<&str>,
    ) -> Result<Output> {
        let output = self.pull(out, "secrets.yaml", sources, more).output()?;
        if output.code != 0 {
            bail!(
                "`inventory pull` ended with {}: {}",
                output.code,
                tail(&output.all(), 10)
            );
        }
        Ok(output)
    }

    /// Files of configuration that differ between two snapshots, each a pull and a source.
    fn same_bytes(&self, one: (&str, &str), other: (&str, &str)) -> Result<Vec<String>> {
        self.same_files(CONFIGURATION, one, other)
    }

    /// The same for some of the files.
    fn same_files(
        &self,
        files: &[&str],
        one: (&str, &str),
        other: (&str, &str),
    ) -> Result<Vec<String>> {
        let read = |(out, source): (&str, &str), file: &str| {
            let path = self.folder.join(out).join(source).join(file);
            std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))
        };
        let mut failures = Vec::new();
        for file in files {
            if read(one, file)? != read(other, file)? {
                failures.push(format!(
                    "{file}: {}/{} is not what {}/{} is",
                    other.0, other.1, one.0, one.1
                ));
            }
        }
        Ok(failures)
    }
}
