//! `windrow validate`: every mistake with its place and the way out.

use insta::assert_snapshot;

use crate::harness::{Folder, PLAN, SITE};

/// Validates the good plan after one change to it.
fn validate(from: &str, to: &str) -> String {
    Folder::with_plan()
        .change("plan.yaml", from, to)
        .run(&["validate", "plan.yaml"])
        .to_string()
}

// A good plan is said to be good, on stderr: there is no data.
#[test]
fn good() {
    assert_snapshot!(Folder::with_plan().run(&["validate", "plan.yaml"]));
}

// The plan is `plan.yaml` unless told otherwise, and `--quiet` leaves only the exit code.
#[test]
fn quiet() {
    assert_snapshot!(Folder::with_plan().run(&["--quiet", "validate"]));
}

// A misspelt field is named, with the field that was meant.
#[test]
fn unknown_field() {
    assert_snapshot!(validate("shutdownTimeout", "shutdownTimout"));
}

// A value without its unit, and one with a wrong unit.
#[test]
fn wrong_unit() {
    assert_snapshot!(validate("1h30m", "90"));
    assert_snapshot!(validate("1h30m", "90 min"));
}

// Anchors are not part of the YAML that is read.
#[test]
fn anchor() {
    assert_snapshot!(validate("names: [", "names: &names ["));
}

// A key that is given twice, with the place of the first.
#[test]
fn repeated_key() {
    assert_snapshot!(validate("  site: exit\n", "  site: exit\n  site: other\n"));
}

// A VM called `no` needs quotes, or Kubernetes reads `false`.
#[test]
fn unquoted_no() {
    assert_snapshot!(validate("ERP-DB-02", "no"));
}

// All mistakes of a file at once, in the order of the file.
#[test]
fn several() {
    let folder = Folder::with_plan()
        .change("plan.yaml", "site: exit", "site: 5")
        .change("plan.yaml", "name: db", "name: DB")
        .change("plan.yaml", "match", "mtach");
    assert_snapshot!(folder.run(&["validate"]));
}

// Names that nothing bears, and workloads that wait for each other, need no inventory to be seen.
#[test]
fn references() {
    let folder = Folder::with_plan()
        .change(
            "plan.yaml",
            "    shutdownTimeout",
            "    dependsOn: [app]\n    shutdownTimeout",
        )
        .change("plan.yaml", "source: dc1, match", "source: dc2, match");
    assert_snapshot!(folder.run(&["validate"]));
}

// No `site.yaml` at all, and one that holds another site.
#[test]
fn missing_site() {
    let alone = Folder::new().file("plan.yaml", PLAN);
    assert_snapshot!(alone.run(&["validate"]));
    let other = Folder::with_plan().change("site.yaml", "name: exit", "name: other");
    assert_snapshot!(other.run(&["validate"]));
}

// The site is found above the plan, and a mistake in it is shown in its own file.
#[test]
fn site_above() {
    let folder = Folder::new()
        .file("plans/erp/plan.yaml", PLAN)
        .file("site.yaml", SITE)
        .change("site.yaml", "400Gi", "400GB");
    assert_snapshot!(folder.run(&["validate", "plans/erp"]));
}

// A file that is not a plan is not looked at any further.
#[test]
fn wrong_kind() {
    assert_snapshot!(Folder::with_plan().run(&["validate", "site.yaml"]));
    let secret = Folder::new().file("plan.yaml", "apiVersion: v1\nkind: Secret\ndata: {}\n");
    assert_snapshot!(secret.run(&["validate"]));
}

// A file that is not there, or that is no YAML.
#[test]
fn unreadable() {
    assert_snapshot!(Folder::new().run(&["validate", "plan.yaml"]));
    let folder = Folder::new().file("plan.yaml", "spec: [\n");
    assert_snapshot!(folder.run(&["validate"]));
}

// Programs get the same as data.
#[test]
fn json() {
    let folder = Folder::with_plan().change("plan.yaml", "1h30m", "90");
    assert_snapshot!(folder.run(&["validate", "--output", "json"]));
    assert_snapshot!(Folder::with_plan().run(&["validate", "--output", "json"]));
}
