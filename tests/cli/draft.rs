//! Starting from nothing: `init`, `import-csv`, `fmt`, and what a shell completes.

use std::path::Path;

use insta::assert_snapshot;

use crate::harness::Folder;

/// A folder with the snapshots of the ERP plan and nothing else.
fn snapshots() -> Folder {
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp");
    let folder = Folder::copy_of(&plan);
    for file in ["plan.yaml", "site.yaml", "forecast.json"] {
        std::fs::remove_file(folder.path().join(file)).expect("it was there");
    }
    std::fs::create_dir(folder.path().join(".git")).expect("a folder");
    folder
}

// A draft is valid, can be planned, and is not written over.
#[test]
fn init() {
    let folder = snapshots();
    assert_snapshot!(folder.run(&["init", "--name", "exit", "--namespace", "migrations"]));
    let text = std::fs::read_to_string(folder.path().join("plan.yaml")).expect("written");
    assert_snapshot!(text);
    assert_eq!(folder.run(&["validate"]).code, Some(0));
    let plan = folder.run(&["plan"]);
    assert_eq!(plan.code, Some(0), "{plan}");
    assert_eq!(folder.run(&["init"]).code, Some(1));
    assert_eq!(
        folder
            .run(&["init", "--out", "-", "--name", "Not A Name"])
            .code,
        Some(2)
    );
    for by in ["vapp", "rule", "tag", "folder", "name", "network"] {
        let run = folder.run(&["init", "--by", by, "--out", &format!("{by}.yaml")]);
        assert_eq!(run.code, Some(0), "{run}");
        assert_eq!(
            folder.run(&["validate", &format!("{by}.yaml")]).code,
            Some(0),
            "{by}"
        );
    }
    assert_eq!(Folder::new().run(&["init"]).code, Some(2), "no snapshots");
}

// A spreadsheet with a mark in front, semicolons and Windows' line ends; and one with mistakes.
#[test]
fn import_csv() {
    let folder = snapshots()
        .file("good.csv", "\u{feff}Server;Application;Move Group;Depends on\r\nERP-DB-01;Database;1;\r\n\"erp-app-01\";\"App; tier\";2;Database\r\n")
        .file("bad.csv", "Server,Application\nERP-DB-9,db\nerp-app-01,\n")
        .file("other.csv", "Box\tTeam\nERP-DB-01\tdb\n");
    let run = folder.run(&["import-csv", "good.csv", "--name", "exit"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(folder.run(&["validate"]).code, Some(0));
    assert_eq!(folder.run(&["plan"]).code, Some(0));
    assert_snapshot!(folder.run(&["import-csv", "bad.csv", "--out", "-"]));
    assert_snapshot!(folder.run(&["import-csv", "other.csv", "--out", "-"]));
    let columns = [
        "import-csv",
        "other.csv",
        "--out",
        "-",
        "--column",
        "vm=Box",
        "--column",
        "workload=Team",
    ];
    assert_eq!(folder.run(&columns).code, Some(0));
}

// Comments stay, the meaning stays, and the second time nothing is changed.
#[test]
fn fmt() {
    let folder = Folder::with_plan();
    assert_eq!(folder.run(&["fmt", "plan.yaml", "site.yaml"]).code, Some(0));
    let folder = folder.change("plan.yaml", "spec:\n", "spec:   \n\n\n\n  # why\n");
    let before = std::fs::read_to_string(folder.path().join("plan.yaml")).expect("there");
    assert_eq!(folder.run(&["fmt", "--check"]).code, Some(1));
    assert_eq!(
        std::fs::read_to_string(folder.path().join("plan.yaml")).expect("there"),
        before
    );
    assert_eq!(folder.run(&["fmt"]).code, Some(0));
    let after = std::fs::read_to_string(folder.path().join("plan.yaml")).expect("there");
    assert!(
        after.contains("\n  # why\n") && !after.contains("spec: "),
        "{after}"
    );
    assert_eq!(folder.run(&["fmt", "--check"]).code, Some(0));
    assert_eq!(folder.run(&["validate"]).code, Some(0));
    let folder = folder.file("other.yaml", "kind: Pod\n");
    assert_eq!(folder.run(&["fmt", "other.yaml"]).code, Some(1));
}

// Every verb is completed, in every shell that there is.
#[test]
fn completions() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = folder.run(&["completions", shell]);
        assert_eq!(run.code, Some(0));
        for word in ["render", "import-csv", "--detailed-exitcode"] {
            assert!(
                run.stdout.contains(word.trim_start_matches("--")),
                "{shell}: {word}"
            );
        }
    }
}
