//! `plans/datacenter-exit`: 500 VMs of two sources into two targets. Too big to read, so it is held by
//! hashes; and big enough to measure how little of the waves a change touches.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use assert_fs::TempDir;
use serde_json::{Value, json};

use super::{root, windrow_in};

#[path = "../../xtask/src/exit.rs"]
mod estate;

/// The plan with an inventory, in a folder of its own.
fn folder(inventory: &BTreeMap<String, String>) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for name in ["plan.yaml", "site.yaml"] {
        let from = root().join("plans/datacenter-exit").join(name);
        std::fs::copy(from, folder.path().join(name)).expect("copied");
    }
    write(&folder, inventory);
    folder
}

fn write(folder: &TempDir, inventory: &BTreeMap<String, String>) {
    for (path, text) in inventory {
        let path = folder.path().join("inventory").join(path);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

/// Runs a verb in the folder; what it said.
fn done(folder: &TempDir, arguments: &[&str]) -> String {
    let (code, said, talk) = windrow_in(folder.path(), arguments);
    assert_eq!(code, 0, "{arguments:?}: {said}{talk}");
    said
}

/// Every file below a folder, by path, with its hash.
fn hashes(folder: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in folder.join(below).read_dir().expect("a folder") {
        let entry = entry.expect("readable");
        let path = format!("{below}/{}", entry.file_name().to_str().expect("UTF-8"));
        if entry.path().is_dir() {
            hashes(folder, &path, found);
        } else {
            let text = std::fs::read_to_string(entry.path()).expect("text");
            found.insert(path, schemas::digest::of(&text).to_string());
        }
    }
}

// All of it is planned, and waves, forecast and manifests are those that were looked at once.
#[test]
fn by_hashes() {
    let folder = folder(&estate::inventory(None, &[]));
    let said = done(&folder, &["plan"]);
    std::fs::create_dir(folder.path().join("reports")).expect("made");
    for target in ["hv1", "hv2"] {
        for tool in ["argocd", "flux", "plain"] {
            let out = format!("rendered/{target}/{tool}");
            let repo = "https://git.example/exit.git";
            done(
                &folder,
                &[
                    "render", "--target", target, "--for", tool, "--out", &out, "--path", tool,
                    "--repo", repo,
                ],
            );
        }
    }
    let mut found = BTreeMap::new();
    for form in ["markdown", "csv", "html"] {
        done(
            &folder,
            &[
                "report",
                "--output",
                form,
                "--out",
                &format!("reports/{form}"),
            ],
        );
    }
    done(&folder, &["notice"]);
    for below in ["inventory", "notices", "reports", "waves", "rendered"] {
        hashes(folder.path(), below, &mut found);
    }
    let mut text = said;
    // A folder a line: what is in it, and one hash over all of that.
    let mut folders: BTreeMap<&str, Vec<(&String, &String)>> = BTreeMap::new();
    for (path, hash) in &found {
        let parts: Vec<&str> = path.splitn(4, '/').collect();
        let depth = match parts[0] {
            "rendered" => 3,
            "notices" | "reports" => 1,
            _ => parts.len().min(2),
        };
        let end = parts[..depth].join("/").len();
        folders.entry(&path[..end]).or_default().push((path, hash));
    }
    for (name, files) in folders {
        let all = schemas::digest::of(&files);
        writeln!(text, "{name}: {} in {all}", files.len()).expect("a String takes everything");
    }
    insta::assert_snapshot!("datacenter-exit", text);
}

/// Lines that differ between two folders of waves, as a reviewer would see them: added and removed.
fn lines_changed(before: &Path, after: &Path) -> usize {
    let output = Command::new("git")
        .args(["diff", "--no-index", "--no-renames", "--numstat"])
        .args([before, after])
        .output()
        .expect("git is there");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .flat_map(|line| line.split('\t').take(2))
        .map(|count| count.parse::<usize>().expect("a count"))
        .sum()
}

/// Plans a changed estate over the waves of the unchanged one; the lines of wave files that differ.
fn changed(change: impl FnOnce(&TempDir)) -> (usize, TempDir, TempDir) {
    let before = folder(&estate::inventory(None, &[]));
    done(&before, &["plan"]);
    let after = folder(&estate::inventory(None, &[]));
    done(&after, &["plan"]);
    change(&after);
    done(&after, &["plan"]);
    let lines = lines_changed(&before.path().join("waves"), &after.path().join("waves"));
    (lines, before, after)
}

// A disk that has grown is its machine's line and the digests of its wave.
#[test]
fn one_vm_resized() {
    for vm in ["hr-app-07", "erp-db-03", "lab-web-11"] {
        let resized = estate::inventory(Some((vm, 20)), &[]);
        let (lines, _, _) = changed(|folder| write(folder, &resized));
        assert!((1..=10).contains(&lines), "{vm}: {lines} lines");
    }
}

// What finished imports teach changes the forecast and no wave.
#[test]
fn rates_learned() {
    let moved = |n: u64| {
        let at = |seconds: u64| format!("2026-12-20T00:{:02}:{:02}Z", seconds / 60, seconds % 60);
        json!({
            "id": format!("migrations/gone-{n}"), "stage": "Running",
            "vm": format!("cloud1/gone-{n}"), "wave": "pilot-010-web",
            "size": { "peak": "20Gi", "resident": "20Gi", "transfer": "20Gi", "disks": "20Gi" },
            "times": {
                "created": at(0), "shutdown": at(1), "poweredOff": at(21), "exported": at(1221 + n),
                "machine": at(1500), "ready": at(1560), "ended": at(1570),
            },
        })
    };
    let ledger: Vec<Value> = (0..6).map(moved).collect();
    let learned = estate::inventory(None, &ledger);
    let (lines, before, after) = changed(|folder| write(folder, &learned));
    assert_eq!(lines, 0);
    let forecast = |folder: &TempDir| {
        std::fs::read_to_string(folder.path().join("forecast.json")).expect("a forecast")
    };
    assert_ne!(forecast(&before), forecast(&after), "it was learned");
}

// Of three systems the web servers go before the application servers now: sixty machines change their
// place, and no line of any other machine does.
#[test]
fn sixty_vms_reordered() {
    let (lines, before, after) = changed(|folder| {
        let path = folder.path().join("plan.yaml");
        let mut text = std::fs::read_to_string(&path).expect("a plan");
        for system in ["erp", "crm", "mes"] {
            for (tier, from, to) in [("app", "db", "web"), ("web", "app", "db")] {
                let line = text
                    .lines()
                    .find(|line| line.contains(&format!("name: {system}-{tier}, target")))
                    .expect("the workload")
                    .to_owned();
                let depends = |on| format!("dependsOn: [{system}-{on}]");
                text = text.replace(&line, &line.replace(&depends(from), &depends(to)));
            }
        }
        std::fs::write(path, text).expect("written");
    });
    assert!(lines <= 150, "{lines} lines");
    let orders = |folder: &TempDir| {
        let mut orders = BTreeMap::new();
        for entry in folder.path().join("waves").read_dir().expect("waves") {
            let text = std::fs::read_to_string(entry.expect("readable").path()).expect("text");
            for line in text
                .lines()
                .filter_map(|line| line.strip_prefix("  - {vm: "))
            {
                let mut fields = line.split(", ");
                orders.insert(
                    fields.next().expect("a VM").to_owned(),
                    fields.next().expect("an order").to_owned(),
                );
            }
        }
        orders
    };
    let (before, after) = (orders(&before), orders(&after));
    assert_eq!(before.len(), 500);
    let moved = before
        .iter()
        .filter(|(vm, order)| after.get(*vm) != Some(order));
    assert_eq!(moved.count(), 60);
}
