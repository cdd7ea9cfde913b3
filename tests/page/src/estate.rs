//! The example plan with machines, services and words that somebody hostile chose.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Names that are markup, templates, formulas and ends of lines None is one that a
/// machine can have on the target: all are left out, and told.
pub const NAMES: [&str; 7] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "{{ 7*7 }} ${HOME} `id`",
    "a & b <b>x</b>",
    "line\nbreak\u{202e}",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "'\"><svg onload=alert(3)>",
];

/// An owner and a change that are no better.
pub const OWNER: &str = "=HYPERLINK(\"http://evil.example\",\"x\") <img src=x onerror=alert(4)>";

const SERVICES: &str = r"
  services:
  - { name: erp, workloads: [db, repoint], owner: OWNER, refs: { change: '<script>alert(5)</script>' } }
  - { name: shop, workloads: [web], downtimeBudget: 5m, owner: web-team, refs: { change: CHG0034567 } }
";

/// Copies `plans/erp` and adds them.
pub fn hostile(root: &Path, to: &Path) -> Result<()> {
    copy(&root.join("plans/erp"), to)?;
    // The root of a repository: nothing above it is looked at.
    fs::create_dir_all(to.join(".git")).context("make a folder")?;
    let path = to.join("inventory/dc1/vms.jsonl");
    let text = fs::read_to_string(&path).context("read the snapshot")?;
    let mut lines: Vec<Value> = Vec::new();
    for line in text.lines() {
        lines.push(serde_json::from_str(line).context("read a line of the snapshot")?);
    }
    let model = lines.iter().find(|vm| vm["name"] == "erp-app-01");
    let model = model
        .context("the example has an application server")?
        .clone();
    for (number, name) in NAMES.iter().enumerate() {
        let mut vm = model.clone();
        vm["id"] = json!(format!("50ff0000-0000-4000-8000-00000000000{number}"));
        vm["name"] = json!(name);
        // Beside the tiers, so that nothing waits for them.
        vm["folder"] = json!("hostile");
        vm["bios_uuid"] = json!(format!("42ff0000-0000-4000-8000-00000000000{number}"));
        vm["nics"][0]["mac"] = json!(format!("00:50:56:aa:bb:0{number}"));
        lines.push(vm);
    }
    for vm in lines.iter_mut().filter(|vm| vm["name"] == "erp-app-02") {
        // A device that stays behind: shown among the losses.
        vm["other_devices"] = json!(["<img src=x onerror=alert(6)> ${x} {{ y }}"]);
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&path, format!("{}\n", lines.join("\n"))).context("write the snapshot")?;
    let path = to.join("plan.yaml");
    let plan = fs::read_to_string(&path).context("read the plan")?;
    let owner = format!("'{OWNER}'");
    let workload =
        "  workloads:\n  - { name: hostile, select: [ { source: dc1, folder: hostile } ] }\n";
    let plan = plan.replacen("  workloads:\n", workload, 1);
    let title = "title: point the applications at the new databases";
    let plan = plan.replacen(
        title,
        "title: \"{{ 7*7 }} <img src=x onerror=alert(7)>\"",
        1,
    );
    let plan = plan.trim_end().to_owned() + &SERVICES.replace("OWNER", &owner);
    fs::write(&path, plan).context("write the plan")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("make `{}`", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("list `{}`", from.display()))? {
        let entry = entry.context("list the example")?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).with_context(|| format!("copy `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// Steps that an estate gets.
pub const STEPS: usize = 10;

/// Gives every database of an estate a gate, and the first applications a step outside after it.
pub fn outside(folder: &Path) -> Result<()> {
    let path = folder.join("plan.yaml");
    let mut plan = fs::read_to_string(&path).context("read the estate's plan")?;
    let gate = "-db\n    gate: { tcp: [ { port: 5432 } ], soak: 1m }\n";
    plan = plan.replace("-db\n    target", &format!("{gate}    target"));
    for number in 0..STEPS {
        let (db, step) = (format!("a{number:04}-db"), format!("a{number:04}-step"));
        plan = plan.replace(
            &format!("dependsOn: [{db}]"),
            &format!("dependsOn: [{step}]"),
        );
        let done = "done: { approval: required, tcp: [ { host: scan, port: 1521 } ] }";
        let step = format!(
            "  - name: {step}\n    dependsOn: [{db}]\n    external: {{ title: repoint the listeners, \
             estimate: 20m, {done} }}\n"
        );
        plan = plan.replacen("  workloads:\n", &format!("  workloads:\n{step}"), 1);
    }
    fs::write(&path, plan).context("write the estate's plan")
}

/// Copies `plans/erp` as it is after its run, which was 20 min late.
pub fn ran(root: &Path, to: &Path) -> Result<()> {
    copy(&root.join("plans/erp"), to)?;
    fs::create_dir_all(to.join(".git")).context("make a folder")?;
    after_a_run(to, 1200)
}

/// Says in the ledger of the example's target that its machines run: each came `late` seconds after
/// what was foretold, and took a tenth longer.
fn after_a_run(folder: &Path, late: i64) -> Result<()> {
    let forecast = fs::read_to_string(folder.join("forecast.json")).context("read the forecast")?;
    let forecast: Value = serde_json::from_str(&forecast).context("read the forecast")?;
    let origin = forecast["origin"].as_str().context("an origin")?;
    let origin: Timestamp = origin.parse().context("read the origin")?;
    let mut lines = String::from("{\"schema\":\"windrow.inventory/1\",\"kind\":\"ledger\"}\n");
    for wave in forecast["waves"].as_array().into_iter().flatten() {
        for import in wave["imports"].as_array().into_iter().flatten() {
            let created = import["created"].as_i64().unwrap_or_default();
            let at = |step: &str| {
                let after = import[step].as_i64().unwrap_or_default() - created;
                let seconds = created + late + after + after / 10;
                (origin + SignedDuration::from_secs(seconds)).to_string()
            };
            // The last gate counts because somebody said so.
            let gate = import["gate"].as_i64().map(|_| {
                let accepted = import["name"] == "ERP-DB-02";
                let message = accepted.then_some("accepted by the administrator");
                json!({ "since": at("ready"), "holds": at("gate"), "message": message })
            });
            let vm = import["vm"].as_str().unwrap_or_default();
            let (source, id) = vm.split_once('/').context("a VM has a source and an id")?;
            let instance = instance(folder, source)?;
            let digits = Sha256::digest(format!("{instance}\0{id}"));
            let digits = u32::from_be_bytes([digits[0], digits[1], digits[2], digits[3]]);
            let line = json!({
                "id": format!("migrations/vm-{digits:08x}"),
                "instance": instance,
                "vm": vm,
                "stage": "Running",
                "wave": wave["wave"],
                "size": { "peak": "20Gi", "resident": "20Gi", "transfer": "20Gi", "disks": "20Gi" },
                "times": {
                    "created": at("created"),
                    "poweredOff": at("off"),
                    "exported": at("exported"),
                    "machine": at("machine"),
                    "ready": at("ready"),
                    "ended": at("released"),
                },
                "gate": gate,
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    let path = folder.join("inventory/hv1/ledger.jsonl");
    fs::write(&path, lines).with_context(|| format!("write `{}`", path.display()))
}

/// What the source calls itself.
fn instance(folder: &Path, source: &str) -> Result<String> {
    let path = folder.join("inventory").join(source).join("source.json");
    let text = fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    let about: Value = serde_json::from_str(&text).context("read what a source is")?;
    Ok(about["instance"].as_str().unwrap_or_default().to_owned())
}
