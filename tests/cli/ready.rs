//! Whether a wave may go.

use std::fs;
use std::path::Path;

use crate::harness::{Folder, Run};

/// A day before the window of the wave 020-db opens.
const DAY_BEFORE: &str = "2026-11-27T21:30:00Z";

fn erp() -> Folder {
    let folder = Folder::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp"));
    fs::create_dir(folder.path().join(".git")).expect("the root of a repository");
    folder
}

fn ready(folder: &Folder, wave: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["ready", wave, "--offline", "--at", DAY_BEFORE];
    arguments.extend(more);
    folder.run(&arguments)
}

// Nobody has approved it: no go, and each check says what it read and when.
#[test]
fn not_approved() {
    let folder = erp();
    let run = ready(&folder, "020-db", &[]);
    assert_eq!(run.code, Some(1), "{run}");
    insta::assert_snapshot!(run.to_string());
}

// Approved as it is, it may go; a day later its window is over.
#[test]
fn approved() {
    let folder = erp();
    let run = folder.run(&["approve", "020-db", "--reference", "CHG0034567"]);
    assert_eq!(run.code, Some(0), "{run}");
    let run = ready(&folder, "020-db", &[]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(
        run.stdout.starts_with("erp-020-db: go, 23 h 30 min before"),
        "{run}"
    );
    let late = [
        "ready",
        "020-db",
        "--offline",
        "--at",
        "2026-11-29T12:00:00Z",
    ];
    let run = folder.run(&late);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(
        run.stdout.contains("nothing starts in it any more"),
        "{run}"
    );
}

// A disk that has grown since is drift, in every form that CI takes.
#[test]
fn drifted() {
    let folder = erp();
    folder.run(&["approve", "020-db"]);
    let path = "inventory/dc1/vms.jsonl";
    let before = fs::read_to_string(folder.path().join(path)).expect("the snapshot");
    let line = before
        .lines()
        .find(|line| line.contains("\"ERP-DB-01\""))
        .expect("it is there");
    let mut vm: serde_json::Value = serde_json::from_str(line).expect("a VM");
    let size = vm["disks"][0]["capacity_bytes"].as_u64().expect("a size");
    vm["disks"][0]["capacity_bytes"] = (size + (50 << 30)).into();
    let folder = folder.file(path, &before.replace(line, &vm.to_string()));
    let run = ready(&folder, "020-db", &["-o", "json"]);
    assert_eq!(run.code, Some(1), "{run}");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(json["schema"], "windrow.ready/1");
    assert_eq!(json["go"], false);
    let checks = json["checks"].as_array().expect("checks");
    let drift = checks
        .iter()
        .find(|check| check["kind"] == "drift")
        .expect("drift");
    assert_eq!(drift["state"], "noGo", "{json:#}");
    let run = ready(&folder, "020-db", &["-o", "junit"]);
    assert!(run.stdout.contains("type=\"drift\""), "{run}");
    let run = ready(&folder, "020-db", &["-o", "github"]);
    assert!(run.stdout.contains("::error file="), "{run}");
}

// A source that cannot be reached is a failed login, asked once, and the answer is no.
#[test]
fn unreachable() {
    let folder = erp().change(
        "site.yaml",
        "https://vcenter.example/sdk",
        "https://127.0.0.1:1/sdk",
    );
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: vsphere-read, namespace: migrations }\n\
                  stringData: { username: reader, password: not-a-word }\n";
    let folder = folder.file("secret.yaml", secret);
    folder.run(&["plan", "."]);
    let run = folder.run(&[
        "ready",
        "020-db",
        "--credentials",
        "secret.yaml",
        "--at",
        DAY_BEFORE,
    ]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("NO GO  login dc1"), "{run}");
    assert!(!run.stdout.contains("not-a-word"), "{run}");
}

// A wave that is not there is told with those that are.
#[test]
fn unknown() {
    let run = ready(&erp(), "099-none", &[]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("erp-020-db"), "{run}");
}

/// What `-o json` says of one kind of check.
fn check(run: &Run, kind: &str) -> serde_json::Value {
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let checks = json["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["kind"] == kind);
    found.unwrap_or_else(|| panic!("{kind}: {json:#}")).clone()
}

// A step that the wave waits for: what it waits for itself, when it is expected, by which command it
// is said; and said, it is no matter any more.
#[test]
fn a_step() {
    let folder = erp();
    folder.run(&["approve", "030-app"]);
    let run = ready(&folder, "030-app", &["-o", "json"]);
    assert_eq!(run.code, Some(0), "{run}");
    let step = check(&run, "step");
    assert_eq!(step["subject"], "repoint");
    assert_eq!(step["state"], "caution", "{step:#}");
    let found = step["found"].as_str().expect("what was found");
    for part in [
        "point the applications at the new databases",
        "nobody has said that it is done",
        "it waits for `db`",
        "expected to be done at Sat 28 Nov 23:44 UTC, 4 h 46 min before the last start",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(
        step["remedy"],
        "once it is done: windrow approve --step repoint"
    );
    let run = ready(&folder, "030-app", &["-o", "junit"]);
    assert!(run.stdout.contains("name=\"step repoint\""), "{run}");
    let run = ready(&folder, "030-app", &["-o", "github"]);
    assert!(run.stdout.contains("::warning file="), "{run}");
    assert!(run.stdout.contains("step repoint"), "{run}");
    let run = folder.run(&["approve", "--step", "repoint"]);
    assert_eq!(run.code, Some(0), "{run}");
    let step = check(&ready(&folder, "030-app", &["-o", "json"]), "step");
    assert_eq!(step["state"], "go", "{step:#}");
    assert!(step.get("remedy").is_none(), "{step:#}");
}

// A step that is done only after the last start of the wave: nothing of it could begin, so it is no go.
#[test]
fn a_step_too_late() {
    let folder = erp().change("plan.yaml", "estimate: 30m", "estimate: 9h");
    let run = ready(&folder, "030-app", &["-o", "json"]);
    assert_eq!(run.code, Some(1), "{run}");
    let step = check(&run, "step");
    assert_eq!(step["state"], "noGo", "{step:#}");
    let found = step["found"].as_str().expect("what was found");
    assert!(found.contains("after the last start"), "{found}");
}

// A gate: what will be tried of which machines, for how long, and whose address nobody knows yet. Nothing
// is tried here.
#[test]
fn a_gate() {
    let folder = erp();
    folder.run(&["approve", "020-db"]);
    let gate = check(&ready(&folder, "020-db", &["-o", "json"]), "gate");
    assert_eq!(
        (&gate["subject"], &gate["state"]),
        (&"db".into(), &"go".into())
    );
    let found = gate["found"].as_str().expect("what was found");
    for part in [
        "port 5432 of each of 2 machines",
        "from where the executor runs, for 15 min at most",
        "for 5 min without a break",
        "its own address is known only once it runs",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    // A host by name is looked up by whoever may connect; who may not says so.
    let host = "gate: { tcp: [ { port: 5432, address: db.invalid } ], soak: 5m }";
    let folder = erp().change(
        "plan.yaml",
        "gate: { tcp: [ { port: 5432 } ], soak: 5m }",
        host,
    );
    folder.run(&["plan", "."]);
    let gate = check(&ready(&folder, "020-db", &["-o", "json"]), "gate");
    assert_eq!(gate["state"], "caution", "{gate:#}");
    let found = gate["found"].as_str().expect("what was found");
    assert!(found.contains("nobody looked up `db.invalid`"), "{found}");
}
