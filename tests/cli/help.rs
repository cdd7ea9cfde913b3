//! The command line as a whole: help, usage errors and their exit codes, generated data.

use insta::assert_snapshot;

use crate::harness::Folder;

// The root's help lists every verb that works, and no other.
#[test]
fn help() {
    assert_snapshot!(Folder::new().run(&["--help"]));
}

// A usage error is 2; for `plan` it is 1, because 2 means changes there.
#[test]
fn usage() {
    let folder = Folder::new();
    assert_snapshot!(folder.run(&["validate", "--nope"]));
    assert_snapshot!(folder.run(&["nope"]));
    for (arguments, code) in [
        (&["plan", "--nope"][..], 1),
        (&["--quiet", "plan", "--nope"], 1),
        (&["plan", "--check", "--nope"], 2),
        (&["apply", "--nope"], 2),
        (&["validate", "a", "b"], 2),
        (&["crd", "--help"], 0),
        (&["--version"], 0),
        (&[], 2),
    ] {
        assert_eq!(folder.run(arguments).code, Some(code), "{arguments:?}");
    }
}

// What is generated comes out as it is checked in.
#[test]
fn generated() {
    let folder = Folder::new();
    let root = env!("CARGO_MANIFEST_DIR");
    let crds = folder.run(&["crd"]).stdout;
    for plural in [
        "machinemigrations",
        "migrationplans",
        "migrationsites",
        "migrationwaves",
        "waveapprovals",
    ] {
        let file = std::fs::read_to_string(format!("{root}/deploy/crds/{plural}.yaml"));
        let file = file.expect("it is checked in");
        let (_, body) = file
            .split_once("---\n")
            .expect("a header, then the definition");
        assert!(crds.contains(body), "{plural}");
    }
    for (kind, file) in [
        ("plan", "migrationplan"),
        ("site", "migrationsite"),
        ("wave", "migrationwave"),
        ("approval", "waveapproval"),
    ] {
        let file = std::fs::read_to_string(format!("{root}/schemas/json/{file}.schema.json"));
        assert_eq!(
            folder.run(&["schema", kind]).stdout,
            file.expect("it is checked in")
        );
    }
}
