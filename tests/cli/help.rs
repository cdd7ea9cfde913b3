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
    let page = std::fs::read_to_string(format!("{root}/docs/commands.md"));
    let made = folder.run(&["man", "--markdown"]).stdout;
    let stale = "stale: `windrow man --markdown > docs/commands.md`";
    assert_eq!(made, page.expect("it is checked in"), "{stale}");
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

// Every verb has a man page.
#[test]
fn man() {
    let folder = Folder::new();
    let page = folder.run(&["man", "--markdown"]).stdout;
    assert_eq!(folder.run(&["man", "man1"]).code, Some(0));
    let verbs = page.lines().filter_map(|line| line.strip_prefix("## `"));
    let mut count = 0;
    for verb in verbs {
        let file = verb.trim_end_matches('`').replace(' ', "-");
        let path = folder.path().join(format!("man1/{file}.1"));
        let text = std::fs::read_to_string(path).expect("a page");
        assert!(text.contains(".SH NAME"), "{file}");
        count += 1;
    }
    assert!(count > 20, "{count} pages");
}

// A reader that goes away is no error; a full disk is one.
#[test]
#[cfg(target_os = "linux")]
fn lost_output() {
    let crd = |stdout: std::fs::File| {
        std::process::Command::new(env!("CARGO_BIN_EXE_windrow"))
            .arg("crd")
            .stdout(stdout)
            .output()
            .expect("the binary that cargo has built")
    };
    let full = std::fs::File::create("/dev/full").expect("Linux has it");
    let run = crd(full);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("failed to write to stdout"));

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = crd(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
    assert_eq!((run.status.code(), run.stderr.len()), (Some(0), 0));
}
