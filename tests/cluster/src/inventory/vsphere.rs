//! (inventory-vsphere) `windrow inventory pull` against the simulated vCenter: every VM as the ground
//! truth has it, twice the same bytes, nothing called but reads, no session left behind.

mod faults;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Puller, Report, WRONG_PASSWORD, plan, refused_once, secret};
use crate::command::{Background, Run};
use crate::truth::list;
use crate::truth::vsphere::Pulled;

/// What may be called: reads, questions, logins and logouts.
const READS: &[&str] = &[
    "calls./sdk/vimServiceVersions.xml",
    "calls.RetrieveServiceContent",
    "calls.Login",
    "calls.CreateContainerView",
    "calls.RetrievePropertiesEx",
    "calls.ContinueRetrievePropertiesEx",
    "calls.DestroyView",
    "calls.HasPrivilegeOnEntities",
    "calls.HasUserPrivilegeOnEntities",
    "calls.Logout",
    "calls./rest/com/vmware/cis/session",
    "calls./rest/com/vmware/cis/tagging/tag",
    "calls./rest/com/vmware/cis/tagging/tag/id:",
    "calls./rest/com/vmware/cis/tagging/category/id:",
    "calls./rest/com/vmware/cis/tagging/tag-association",
];
/// Longest that a program told to stop may take.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// A rig to read, and the program that reads it.
pub struct Inventory {
    /// The program under test, and a folder for plan and snapshots.
    pub puller: Puller,
    /// What the vSphere rig keeps.
    pub rig: PathBuf,
}

impl Inventory {
    /// Runs all checks.
    pub fn check(&self) -> Result<Report> {
        let truth: Value = serde_json::from_str(&self.read("ground-truth.json")?)?;
        let sources = self.write_plan(&truth)?;
        self.control("DELETE", "faults")?;
        self.control("DELETE", "stats")?;
        // Somebody else may have some: the engine never closes its own.
        let others = self.open_sessions()?;
        let mut failures = Vec::new();
        for (out, more) in [
            ("first", None),
            ("second", None),
            ("fresh", Some("--fresh")),
        ] {
            self.puller.pulled(out, &sources, more)?;
        }
        let mut pulled = Pulled::default();
        for source in &sources {
            pulled.add(&self.puller.folder.join("first").join(source))?;
            for again in ["second", "fresh"] {
                failures.extend(self.puller.same_bytes(("first", source), (again, source))?);
            }
        }
        let (fields, differences) = pulled.differences(&truth);
        let counts = vec![format!(
            "{} VMs: {fields} fields compared with the ground truth, {} differ",
            list(&truth["vms"]).len(),
            differences.len()
        )];
        failures.extend(differences);
        failures.extend(self.only_reads(others)?);
        failures.extend(self.wrong_password(&sources)?);
        failures.extend(self.interrupted(&sources, others)?);
        let mut report = Report { counts, failures };
        self.misbehaving(&mut report, &sources[0])?;
        Ok(report)
    }

    /// What the rig's access log has beyond reads, and sessions that are still open.
    fn only_reads(&self, others: u64) -> Result<Vec<String>> {
        let stats: Value = serde_json::from_str(&self.control("GET", "stats")?)?;
        let calls = stats
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name);
        let mut failures: Vec<String> = calls
            .filter(|name| name.starts_with("calls.") && !READS.contains(&name.as_str()))
            .map(|name| format!("`{name}` was called"))
            .collect();
        failures.extend(self.left_open("three pulls", others)?);
        Ok(failures)
    }

    fn open_sessions(&self) -> Result<u64> {
        let sessions: Value = serde_json::from_str(&self.control("GET", "sessions")?)?;
        sessions["open"].as_u64().context("a number of sessions")
    }

    /// Sessions that were not there before.
    fn left_open(&self, after: &str, others: u64) -> Result<Option<String>> {
        let open = self.open_sessions()?.saturating_sub(others);
        Ok((open != 0).then(|| format!("after {after}, {open} sessions are open")))
    }

    /// A wrong password is tried once for each source, and in no words of ours.
    fn wrong_password(&self, sources: &[String]) -> Result<Vec<String>> {
        self.control("DELETE", "stats")?;
        let one = &sources[..1];
        let output = self
            .puller
            .pull("wrong", "wrong.yaml", one, None)
            .output()?;
        let stats: Value = serde_json::from_str(&self.control("GET", "stats")?)?;
        let logins = stats["calls.Login"].as_u64().unwrap_or_default();
        Ok(refused_once(&output, logins))
    }

    /// Ctrl-C while the server takes its time: at a login, a list, a question about rights, a tag.
    fn interrupted(&self, sources: &[String], others: u64) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        for method in [
            "^Login$",
            "^RetrievePropertiesEx$",
            "^HasPriv",
            "tagging/tag$",
            "cis/session$",
        ] {
            self.control("DELETE", "faults")?;
            let fault = json!({"kind": "delay", "method": method, "millis": 4000, "count": 1});
            self.post("faults", &fault)?;
            let _ = std::fs::remove_dir_all(self.puller.folder.join("cache"));
            let (code, took) = self.stop_while_delayed(&sources[..1])?;
            let what = format!("Ctrl-C during `{method}`");
            if code == 0 || took > STOP_TIME_MAX {
                failures.push(format!("{what}: exit code {code} after {took:?}"));
            }
            failures.extend(self.left_open(&what, others)?);
        }
        self.control("DELETE", "faults")?;
        Ok(failures)
    }

    /// Starts a pull, sends SIGINT as soon as the fault was met, and waits for its end: its exit code,
    /// and how long that took.
    fn stop_while_delayed(&self, sources: &[String]) -> Result<(i32, Duration)> {
        let run = self.puller.pull("stopped", "secrets.yaml", sources, None);
        let mut windrow = run.background(&self.puller.folder.join("stopped.log"))?;
        self.until_met(&mut windrow)?;
        windrow.signal("INT")?;
        let interrupted = Instant::now();
        let output = windrow.wait(Duration::from_mins(1))?;
        Ok((output.code, interrupted.elapsed()))
    }

    /// Waits until a pull has met the only fault.
    fn until_met(&self, windrow: &mut Background) -> Result<()> {
        let began = Instant::now();
        loop {
            let faults: Value = serde_json::from_str(&self.control("GET", "faults")?)?;
            if faults[0]["hits"].as_u64().is_some_and(|hits| hits > 0) {
                return Ok(());
            }
            if let Some(code) = windrow.ended() {
                bail!(
                    "windrow ended with {code} before it met the fault: {}",
                    windrow.said()
                );
            }
            if began.elapsed() > STOP_TIME_MAX {
                bail!("windrow did not call what is delayed: {faults}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A plan with every datacenter as a source, and its Secrets; gives the sources' names.
    fn write_plan(&self, truth: &Value) -> Result<Vec<String>> {
        self.puller.clear()?;
        let users: Value = serde_json::from_str(&self.read("users.json")?)?;
        // The one whose password has everything in it that can be escaped wrongly.
        let user = users
            .as_array()
            .into_iter()
            .flatten()
            .find(|user| user["user"] == "windrow@vsphere.local")
            .context("the rig has no user `windrow`")?;
        let ca = self.read("ca.pem")?;
        let account = |password: &Value| {
            let data = json!({"username": user["user"], "password": password, "caCert": ca});
            secret("vcenter", &data)
        };
        let endpoint = self.setting("GOVC_URL")?;
        let datacenters = list(&truth["datacenters"]).iter().enumerate();
        let places = datacenters.map(|(at, datacenter)| {
            let path = &datacenter["path"];
            let place = format!("vmware: {{ endpoint: \"{endpoint}\", datacenter: {path} }}");
            (format!("dc{at}"), place, "vcenter")
        });
        let places: Vec<_> = places.collect();
        let write = |name: &str, text: &str| self.puller.write(name, text);
        write("plan.yaml", &plan(&places))?;
        write("secrets.yaml", &account(&user["password"]))?;
        write("wrong.yaml", &account(&json!(WRONG_PASSWORD)))?;
        Ok(places.into_iter().map(|(name, ..)| name).collect())
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.rig.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))
    }

    /// A variable of the rig's `env`.
    fn setting(&self, name: &str) -> Result<String> {
        let env = self.read("env")?;
        let start = format!("export {name}=");
        let value = env.lines().find_map(|line| line.strip_prefix(&start));
        let value = value.with_context(|| format!("the rig's `env` has no {name}"))?;
        Ok(value.trim_matches('\'').to_owned())
    }

    /// Asks the rig's side door.
    fn control(&self, method: &str, path: &str) -> Result<String> {
        let url = format!("{}/ctl/{path}", self.setting("VSPHERE_TESTBED_CTL")?);
        Run::new("curl").args(["-sf", "-X", method, &url]).text()
    }

    fn post(&self, path: &str, body: &Value) -> Result<String> {
        let url = format!("{}/ctl/{path}", self.setting("VSPHERE_TESTBED_CTL")?);
        Run::new("curl")
            .args(["-sf", "-X", "POST", "-d", &body.to_string(), &url])
            .text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The same by hand, against a rig that is up: WINDROW is the program, RIG the rig's folder.
    #[test]
    #[ignore = "needs tests/testbed/vsphere/up; `cargo xtask e2e inventory-vsphere` runs it, too"]
    fn a_rig_that_is_up() {
        let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect(name));
        let inventory = Inventory {
            puller: Puller {
                windrow: variable("WINDROW"),
                folder: std::env::temp_dir().join("windrow-inventory-vsphere"),
            },
            rig: variable("RIG"),
        };
        let Report { counts, failures } = inventory.check().expect("the checks can be made");
        assert!(failures.is_empty(), "{counts:?}\n{}", failures.join("\n"));
    }
}
