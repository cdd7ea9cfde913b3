//! `windrow diff` in a Git repository: what it compares with, and its exit codes.

use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use crate::harness::Folder;

/// The ERP plan of the repository, committed with its waves.
fn committed() -> Folder {
    let folder = Folder::copy_of(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("plans/erp")
            .as_path(),
    );
    for arguments in [
        &["init", "--quiet", "."][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "plan"],
    ] {
        git(&folder, arguments);
    }
    folder
}

fn git(folder: &Folder, arguments: &[&str]) {
    let status = Command::new("git")
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", folder.path())
        .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
        .args(arguments)
        .status()
        .expect("git is there");
    assert!(status.success(), "git {arguments:?}");
}

// Nothing, then a source that drifted: what it says before comes from the commit, and Git is left
// as it was.
#[test]
fn drift() {
    let folder = committed();
    assert_snapshot!(folder.run(&["diff"]));
    let folder = folder.change(
        "inventory/dc1/vms.jsonl",
        r#""capacity_bytes":107374182400"#,
        r#""capacity_bytes":214748364800"#,
    );
    assert_snapshot!(folder.run(&["diff"]));
    assert_eq!(folder.run(&["diff", "--quiet", "-o", "json"]).code, Some(1));
    git(&folder, &["diff", "--quiet", "--", "waves", "plan.yaml"]);

    // Once it is planned and committed, nothing is left; against the commit before, it is the same.
    assert_eq!(folder.run(&["plan"]).code, Some(0));
    assert_eq!(folder.run(&["diff"]).code, Some(0));
    git(
        &folder,
        &["commit", "--quiet", "--all", "--message", "again"],
    );
    assert_eq!(folder.run(&["diff"]).code, Some(0));
    assert_snapshot!(folder.run(&["diff", "--base", "HEAD~1", "-o", "markdown"]));
}

// Errors are 2, also those that are 1 elsewhere.
#[test]
fn errors() {
    let folder = committed();
    for arguments in [
        &["diff", "--nope"][..],
        &["diff", "--base", "nope"],
        &["diff", "--base", "--output=x"],
        &["diff", "missing.yaml"],
        &["diff", "--before", "nowhere"],
    ] {
        assert_eq!(folder.run(arguments).code, Some(2), "{arguments:?}");
    }
    let folder = folder.change("plan.yaml", "names: [ERP-DB-01", "names: [ERP-DB-07");
    assert_eq!(folder.run(&["diff"]).code, Some(2));
}
