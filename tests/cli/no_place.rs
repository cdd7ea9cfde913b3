//! What can have no place: a blocker that says what would give it one, and a plan of the rest.

use std::path::Path;

use serde_json::Value;

use crate::harness::Folder;

fn erp() -> Folder {
    Folder::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp"))
}

/// Blockers of a plan, and who is left out.
fn told(case: &str, folder: &Folder) -> String {
    let run = folder.run(&["plan", ".", "--out", "other", "-o", "json"]);
    assert_eq!(run.code, Some(0), "{run}");
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let mut text = format!("## {case}\n");
    for finding in report["findings"].as_array().expect("findings") {
        if finding["severity"] == "blocker" && finding["waivedBy"].is_null() {
            let field = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            let line = format!(
                "{}: {}\n  {}\n",
                field("code"),
                field("evidence"),
                field("remedy")
            );
            if !text.contains(&line) {
                text += &line;
            }
        }
    }
    let out = report["leftOut"].as_array().expect("a list").iter();
    let out: Vec<String> = out
        .map(|vm| format!("{}: {}", vm["name"], vm["reason"]))
        .collect();
    format!("{text}{}\n", out.join("\n"))
}

// A VM larger than the scratch, a window shorter than its longest VM, a blackout that swallows all, a
// dependency that moves in a later occurrence.
#[test]
fn told_with_a_way_out() {
    let weekend = "lasts: 8h }\n    lockout: 30m";
    let freeze = "  freezes: [ { from: 2026-11-01, to: 2028-12-31, reason: year end } ]\n  policy:";
    let pins = "occurrence: 2026-12-05 }\n  - { name: web, workloads: [web], window: weekend, \
                occurrence: 2026-11-28 }";
    let cases = [
        (
            "a scratch that is smaller than the largest import",
            erp().change("site.yaml", "capacity: 800Gi", "capacity: 200Gi"),
        ),
        (
            "a window that is shorter than the longest import",
            erp().change(
                "site.yaml",
                weekend,
                "lasts: 40m }\n    rollbackReserve: 10m",
            ),
        ),
        (
            "a freeze that swallows all",
            erp().change("site.yaml", "  policy:", freeze),
        ),
        (
            "a dependency across a later pinned wave",
            erp().change("plan.yaml", "occurrence: 2026-11-28 }", pins),
        ),
    ];
    let shown = cases.map(|(case, folder)| told(case, &folder));
    insta::assert_snapshot!(shown.join("\n"));
}

// How sure the times are: the same numbers each time, for people and for programs, and nothing is
// written.
#[test]
fn simulated() {
    let folder = erp();
    let before = folder.run(&["plan", ".", "--check"]);
    assert_eq!(before.code, Some(0), "{before}");
    let text = folder.run(&["simulate", ".", "--runs", "20"]);
    assert_eq!(text.code, Some(0), "{text}");
    assert_eq!(
        text.stdout,
        folder.run(&["simulate", ".", "--runs", "20"]).stdout
    );
    let json = folder.run(&["simulate", ".", "--runs", "20", "-o", "json"]);
    let value: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(value["schema"], "windrow.simulation/1");
    assert_eq!((&value["runs"], &value["seed"]), (&20.into(), &1.into()));
    assert!(
        text.stdout
            .starts_with("erp: 20 runs on the engine's model"),
        "{text}"
    );
    assert_eq!(folder.run(&["simulate", ".", "--runs", "0"]).code, Some(2));
    assert_eq!(folder.run(&["plan", ".", "--check"]).code, Some(0));
}
