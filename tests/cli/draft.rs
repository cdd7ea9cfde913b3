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

// Whatever a spreadsheet saves: UTF-16 of either kind, a line for Excel in front, signs of other tables
// within quotes, names over several lines, rows that end early, empty rows.
#[test]
fn messy_tables() {
    let plain =
        "\u{feff}VM\tApp, or team\tDepends on\r\nERP-DB-01\tdb\r\n\r\nerp-app-01\t\"app\"\tdb\r\n";
    let wide = |unit: fn(u16) -> [u8; 2]| plain.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let folder = snapshots()
        .file(
            "sep.csv",
            "sep=;\r\nVM;\"App, or\nteam\";Depends on\r\nERP-DB-01;db;\r\nerp-app-01;app;db\r\n",
        )
        .file("latin.csv", "");
    for (file, bytes) in [
        ("le.txt", wide(u16::to_le_bytes)),
        ("be.txt", wide(u16::to_be_bytes)),
        ("latin.csv", b"VM,App\nERP-DB-01,Gr\xf6\xdfe\n".to_vec()),
    ] {
        std::fs::write(folder.path().join(file), bytes).expect("written");
    }
    for (file, column) in [
        ("le.txt", "workload=App, or team"),
        ("be.txt", "workload=App, or team"),
        ("sep.csv", "workload=App, or\nteam"),
    ] {
        let run = folder.run(&["import-csv", file, "--column", column, "--out", "-"]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(
            run.stdout
                .contains("- name: app\n    dependsOn:\n    - db\n"),
            "{run}"
        );
    }
    let run = folder.run(&["import-csv", "latin.csv", "--out", "-"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("save it as `CSV UTF-8`"), "{run}");
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
