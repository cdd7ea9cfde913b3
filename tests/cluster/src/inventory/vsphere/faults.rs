//! What a vCenter does on a bad day, by the switches of the rig: what passes leaves the same bytes,
//! what stays is a gap, and what cannot be lived with ends the pull and leaves the old snapshot.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::super::Report;
use super::Inventory;
use crate::command::tail;
use crate::truth::{lines, list, text};

/// The snapshot that nothing happened to, and those that something did.
const FIRST: &str = "first";
const OUT: &str = "faults";
/// How long the call takes in which the sessions end.
const DELAY_MS: u64 = 2000;

impl Inventory {
    /// Reads one datacenter again and again while the server misbehaves.
    pub(super) fn misbehaving(&self, report: &mut Report, source: &str) -> Result<()> {
        self.passing(report, source)?;
        for mode in ["missingset", "fault"] {
            self.sessions_end(report, source, mode)?;
        }
        self.gaps(report, source)?;
        self.deleted_meanwhile(report, source)?;
        self.ends(report, source)?;
        self.control("DELETE", "faults")?;
        Ok(())
    }

    fn same_as_first(&self, source: &str) -> Result<Vec<String>> {
        self.puller.same_bytes((FIRST, source), (OUT, source))
    }

    /// What goes over by itself, all in one pull.
    fn passing(&self, report: &mut Report, source: &str) -> Result<()> {
        let list = "^RetrievePropertiesEx$";
        let rules = [
            json!({"kind": "http", "method": "^RetrieveServiceContent$", "status": 503, "retryAfter": "0"}),
            json!({"kind": "reset", "method": "^CreateContainerView$"}),
            json!({"kind": "truncate", "method": list, "afterBytes": 500}),
            json!({"kind": "fault", "method": list, "fault": "NotAuthenticated"}),
            json!({"kind": "fault", "method": list, "skip": 3, "fault": "InvalidProperty", "path": "token"}),
            json!({"kind": "http", "method": "^HasPrivilege", "status": 502}),
            json!({"kind": "http", "method": "tagging/tag$", "status": 429, "retryAfter": "1"}),
            json!({"kind": "delay", "method": "tag-association", "millis": 500}),
        ];
        self.control("DELETE", "faults")?;
        for rule in &rules {
            let mut rule = rule.clone();
            rule["count"] = json!(1);
            self.post("faults", &rule)?;
        }
        self.control("POST", "set?empty-props=true")?;
        self.puller.pulled(OUT, &[source], Some("--fresh"))?;
        let struck: Value = serde_json::from_str(&self.control("GET", "faults")?)?;
        let unmet: Vec<String> = crate::truth::list(&struck)
            .iter()
            .filter(|rule| rule["hits"] == 0)
            .map(|rule| format!("not met: {rule}"))
            .collect();
        let met = rules.len() - unmet.len();
        report
            .counts
            .push(format!("{} faults that pass, {met} met", rules.len()));
        report.failures.extend(unmet);
        report.failures.extend(self.same_as_first(source)?);
        Ok(())
    }

    /// All sessions end while a list is asked for, in either way that a server says so.
    fn sessions_end(&self, report: &mut Report, source: &str, mode: &str) -> Result<()> {
        self.control("DELETE", "faults")?;
        let delay = json!({"kind": "delay", "method": "^RetrievePropertiesEx$", "skip": 3,
                           "millis": DELAY_MS, "count": 1});
        self.post("faults", &delay)?;
        let run = self
            .puller
            .pull(OUT, "secrets.yaml", &[source], Some("--fresh"));
        let mut windrow = run.background(&self.puller.folder.join("sessions-end.log"))?;
        self.until_met(&mut windrow)?;
        self.control("POST", &format!("expire?mode={mode}"))?;
        let output = windrow.wait(Duration::from_mins(1))?;
        if output.code != 0 {
            let said = tail(&output.all(), 10);
            report
                .failures
                .push(format!("sessions that end ({mode}): {said}"));
        }
        report.failures.extend(self.same_as_first(source)?);
        let left = self.left_open(&format!("sessions that end ({mode})"), 0)?;
        report.failures.extend(left);
        Ok(())
    }

    /// What this account may not read, and what this server does not know, is a gap; the rest is as
    /// ever.
    fn gaps(&self, report: &mut Report, source: &str) -> Result<()> {
        let before = self.vms(FIRST, source)?;
        let denied = before
            .iter()
            .find(|vm| vm["gaps"].is_null() && !list(&vm["disks"]).is_empty())
            .context("no VM has disks")?;
        let id = text(&denied["ref"]);
        self.control("DELETE", "faults")?;
        self.control("POST", &format!("deny/VirtualMachine/{id}?path=layoutEx"))?;
        self.control("POST", "refuse?path=config.createDate&mode=fault")?;
        self.control("POST", "refuse?path=guest.hostName&mode=missing")?;
        self.post(
            "faults",
            &json!({"kind": "http", "method": "tagging/tag$", "status": 403}),
        )?;
        self.post(
            "faults",
            &json!({"kind": "fault", "method": "^HasPrivilege", "fault": "NoPermission"}),
        )?;
        self.puller.pulled(OUT, &[source], Some("--fresh"))?;

        let path = self
            .puller
            .folder
            .join(OUT)
            .join(source)
            .join("source.json");
        let about: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let told: Vec<String> = list(&about["gaps"])
            .iter()
            .map(|gap| text(&gap["what"]))
            .collect();
        for what in ["config.createDate", "guest.hostName", "privileges", "tags"] {
            if !told.iter().any(|told| told == what) {
                report
                    .failures
                    .push(format!("`{what}` is no gap of {about}"));
            }
        }
        let gap = json!([{"what": "layoutEx", "reason": "NoPermission"}]);
        let expected = before.into_iter().map(|mut vm| {
            for key in ["created", "tags", "missing_privileges"] {
                if let Some(vm) = vm.as_object_mut() {
                    vm.remove(key);
                }
            }
            if vm["ref"] == *id {
                vm["gaps"] = gap.clone();
            }
            vm
        });
        let found = self.vms(OUT, source)?;
        report
            .failures
            .extend(differing("gaps", &expected.collect::<Vec<_>>(), &found));
        report.counts.push(format!(
            "{} gaps told, nothing else missing",
            told.len() + 1
        ));

        // The next pull is whole again, without being told to read everything.
        self.control("DELETE", "faults")?;
        self.puller.pulled(OUT, &[source], None)?;
        report.failures.extend(self.same_as_first(source)?);
        Ok(())
    }

    /// A VM that is deleted between the two passes is not in the snapshot; the rest is.
    fn deleted_meanwhile(&self, report: &mut Report, source: &str) -> Result<()> {
        let before = self.vms(FIRST, source)?;
        let gone = before
            .iter()
            .find(|vm| vm["gaps"].is_null() && vm["template"].is_null() && vm["vapp"].is_null())
            .context("no VM can be deleted")?;
        let id = text(&gone["ref"]);
        self.control("DELETE", "faults")?;
        let rule = json!({"kind": "delete-vm", "method": "^RetrievePropertiesEx$", "skip": 3,
                          "vm": id, "count": 1});
        self.post("faults", &rule)?;
        self.puller.pulled(OUT, &[source], Some("--fresh"))?;
        self.control("POST", "restore")?;
        let expected: Vec<Value> = before.into_iter().filter(|vm| vm["ref"] != *id).collect();
        let found = self.vms(OUT, source)?;
        report
            .failures
            .extend(differing("a deleted VM", &expected, &found));
        self.control("DELETE", "faults")?;
        self.puller.pulled(OUT, &[source], None)?;
        report.failures.extend(self.same_as_first(source)?);
        Ok(())
    }

    /// What nobody can live with: said in the server's own words, and the old snapshot stays.
    fn ends(&self, report: &mut Report, source: &str) -> Result<()> {
        let others = self.open_sessions()?;
        for (rule, said) in [
            (
                json!({"kind": "fault", "method": "^RetrievePropertiesEx$", "skip": 2,
                       "fault": "SystemError"}),
                "`SystemError`",
            ),
            (
                json!({"kind": "garbage", "method": "^RetrievePropertiesEx$", "skip": 2}),
                "vSphere Web Client",
            ),
            (
                json!({"kind": "fault", "method": "^Login$", "fault": "NoPermission"}),
                "`NoPermission`",
            ),
        ] {
            self.control("DELETE", "faults")?;
            self.post("faults", &rule)?;
            let output = self
                .puller
                .pull(OUT, "secrets.yaml", &[source], Some("--fresh"))
                .output()?;
            if output.code == 0 || !output.stderr.contains(said) {
                report.failures.push(format!(
                    "{rule}: exit code {}, {}",
                    output.code,
                    tail(&output.all(), 10)
                ));
            }
            report.failures.extend(self.same_as_first(source)?);
            report
                .failures
                .extend(self.left_open(&rule.to_string(), others)?);
        }
        self.control("DELETE", "faults")?;
        Ok(())
    }

    fn vms(&self, out: &str, source: &str) -> Result<Vec<Value>> {
        let vms = lines(&self.puller.folder.join(out).join(source).join("vms.jsonl"))?;
        ensure!(!vms.is_empty(), "{out}/{source} has no VMs");
        Ok(vms)
    }
}

/// VMs that are not as expected.
fn differing(what: &str, expected: &[Value], found: &[Value]) -> Vec<String> {
    let mut differing = Vec::new();
    if expected.len() != found.len() {
        differing.push(format!(
            "{what}: {} VMs, not {}",
            found.len(),
            expected.len()
        ));
    }
    for (expected, found) in expected.iter().zip(found) {
        if expected != found {
            differing.push(format!("{what}: a VM is {found}, not {expected}"));
        }
    }
    differing
}
