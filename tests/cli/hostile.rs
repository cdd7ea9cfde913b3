//! Text that somebody else chose: names, cells and files made to hide, forge or exhaust something.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::harness::{Folder, Run};

/// ANSI sequences, a line break with a forged line, a carriage return, marks that turn the direction
/// and letters without width; quotes and expansions of a shell; a formula.
const NAME: &str = "=cmd('x')\u{1b}[2K\r\n0 blockers\u{202e}\u{200b}'\"`id`$(id)";

/// Characters that no output of ours holds.
fn hidden(text: &str) -> Vec<char> {
    let harmless = |c: &char| *c == '\n' || !c.is_control();
    let marks = ['\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}'];
    text.chars()
        .filter(|c| !harmless(c) || marks.contains(c))
        .collect()
}

fn visible(run: &Run) {
    assert_eq!(hidden(&run.stdout), [], "{run}");
    assert_eq!(hidden(&run.stderr), [], "{run}");
    let forged = |text: &str| text.lines().any(|line| line.starts_with("0 blockers"));
    assert!(!forged(&run.stdout) && !forged(&run.stderr), "{run}");
}

/// The example plan, with one VM more that bears the name; it is selected by its folder.
fn estate() -> Folder {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/pilot");
    let folder = Folder::copy_of(&root);
    let path = "inventory/cloud1/vms.jsonl";
    let lines = fs::read_to_string(folder.path().join(path)).expect("the snapshot");
    let mut vms: Vec<&str> = lines.lines().collect();
    let mut vm: serde_json::Value = serde_json::from_str(vms[1]).expect("a VM");
    vm["id"] = "ffffffff-0000-4000-8000-000000000001".into();
    vm["name"] = NAME.into();
    vm["nics"][0]["network_name"] = "net\u{1b}[31m\u{202e}".into();
    let line = vm.to_string();
    vms.push(&line);
    let text = format!("{}\n", vms.join("\n"));
    folder.file(path, &text).change(
        "plan.yaml",
        "  workloads:\n",
        "  workloads:\n  - { name: hostile, select: [ { source: cloud1, ids: [ffffffff-0000-4000-8000-000000000001] } ] }\n",
    )
}

// Such a VM is found to be wrong, in every form, and no form shows its name as it is.
#[test]
fn names() {
    let folder = estate();
    for form in ["table", "json", "yaml", "sarif", "junit", "github"] {
        let run = folder.run(&["plan", ".", "--check", "-o", form]);
        visible(&run);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains("P07"), "{run}");
    }
    let json = folder.run(&["plan", ".", "--check", "-o", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    let names = findings
        .iter()
        .filter_map(|f| f["subject"]["vm"]["name"].as_str());
    assert!(names.into_iter().any(|name| name == NAME), "{json:#}");
    for command in [
        &["plan", ".", "--show-selection"][..],
        &["plan", ".", "--show-selection=cloud1/ffff*"],
        &[
            "explain",
            "--plan",
            ".",
            "cloud1/ffffffff-0000-4000-8000-000000000001",
        ],
        &["coverage", "."],
        &["coverage", ".", "-o", "json"],
        &["remedy", "--plan", ".", "--as", "openstack"],
        &["inventory", "show", "inventory/cloud1"],
    ] {
        visible(&folder.run(command));
    }
}

// A spreadsheet opens the table of coverage without computing anything.
#[test]
fn csv_cells() {
    let folder = estate();
    let run = folder.run(&["coverage", ".", "-o", "csv"]);
    visible(&run);
    for line in run.stdout.lines() {
        for cell in line.split(',') {
            let cell = cell.trim_start_matches('"');
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{line}");
        }
    }
    assert!(run.stdout.contains("'=cmd('x')"), "{run}");
}

// What `remedy` writes is a script that a shell takes word by word: run with commands that only
// print their words, it prints the new name once and runs nothing that a name asks for.
#[test]
fn script() {
    let folder = estate();
    let run = folder.run(&[
        "remedy",
        "--plan",
        ".",
        "--as",
        "openstack",
        "--code",
        "P07",
    ]);
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let tool = bin.join("openstack");
    fs::write(&tool, "#!/bin/sh\nprintf '%s|' \"$@\"\n").expect("a command");
    assert!(
        Command::new("chmod")
            .arg("+x")
            .arg(&tool)
            .status()
            .expect("chmod")
            .success()
    );
    let script = folder.path().join("script.sh");
    fs::write(&script, &run.stdout).expect("the script");
    let output = Command::new("/bin/sh")
        .arg(&script)
        .env_clear()
        .env("PATH", &bin)
        .output()
        .expect("a shell");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{}", run.stdout);
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "{}",
        run.stdout
    );
    let words: Vec<&str> = printed.split('|').collect();
    assert_eq!(words[..3], ["server", "set", "--name"], "{}", run.stdout);
    assert_eq!(words[4], "ffffffff-0000-4000-8000-000000000001");
}

// A plan of 50 MB is refused before it is parsed.
#[test]
fn fifty_megabytes() {
    let line = "  # nothing\n";
    let folder = Folder::with_plan().file("big.yaml", &line.repeat((50 << 20) / line.len()));
    let begin = Instant::now();
    let run = folder.run(&["validate", "big.yaml"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("more than"), "{}", run.stderr);
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

/// How long `plan` takes for a selector with so many names that nothing bears.
fn names_taken(number: usize) -> (f64, Run) {
    let mut names = String::new();
    for i in 0..number {
        write!(names, "nobody-{i:07}, ").expect("a String takes everything");
    }
    let select = format!(
        "select: [ {{ source: cloud1, names: [{}] }} ]",
        names.trim_end_matches(", ")
    );
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/pilot");
    let folder = Folder::copy_of(&root).change(
        "plan.yaml",
        "  workloads:\n",
        &format!("  workloads:\n  - {{ name: many, {select} }}\n"),
    );
    let begin = Instant::now();
    let run = folder.run(&["plan", ".", "--check"]);
    (begin.elapsed().as_secs_f64(), run)
}

// A hundred thousand names that are all wrong are all counted, the first ones told, in a time that
// grows with their number and not with its square.
#[test]
fn a_hundred_thousand_names() {
    let (few, _) = names_taken(12_500);
    let (many, run) = names_taken(100_000);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("no VM is called `nobody-0000000`"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("and 99980 more of the kind `unknown`"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.len() < 100_000, "{} bytes", run.stderr.len());
    // Eight times as many: square would be 64 times as long.
    assert!(many < few.max(0.2) * 24.0, "{few:.2} s, then {many:.2} s");
}

// A table of facts cannot hide or run anything either, and its mistakes are told at their cells.
#[test]
fn facts() {
    let table =
        "hostname,virtio,as_of\n\"bad\u{1b}[2K\u{202e}\",=1+1,2026-11-20\ndb,ready,someday\n";
    let folder = estate().file("prep.csv", table).change(
        "plan.yaml",
        "  workloads:\n",
        "  start: \"2026-11-28T00:00:00Z\"\n  workloads:\n",
    );
    let folder = folder.change(
        "plan.yaml",
        "  inlineSite:\n",
        "  inlineSite:\n    facts: [ { file: prep.csv, key: hostname } ]\n",
    );
    let run = folder.run(&["plan", ".", "--check"]);
    visible(&run);
    assert!(run.stderr.contains("./prep.csv:3:10"), "{run}");
}

// Mistakes without end do not keep anybody waiting: a thousand are noted, the first ones told.
#[test]
fn endless_mistakes() {
    let words = "- no\n".repeat(400_000);
    let folder = Folder::with_plan().file("many.yaml", &words);
    let begin = Instant::now();
    let run = folder.run(&["validate", "many.yaml"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("more than 1000 mistakes"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.len() < 100_000, "{} bytes", run.stderr.len());
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

// A shell can read every script that `remedy` writes: one for each code and command of its table.
#[test]
fn scripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/planner/src/remedy/snapshots");
    let mut read = 0;
    for entry in fs::read_dir(folder)
        .expect("scripts of all remedies")
        .flatten()
    {
        let text = fs::read_to_string(entry.path()).expect("a script");
        let (_, script) = (text
            .strip_prefix("---\n")
            .and_then(|text| text.split_once("\n---\n")))
        .expect("a snapshot has a head");
        let mut shell = Command::new("bash")
            .args(["-n", "-s"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash");
        let mut input = shell.stdin.take().expect("a pipe");
        input.write_all(script.as_bytes()).expect("it reads");
        drop(input);
        let output = shell.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{}: {said}",
            entry.path().display()
        );
        read += 1;
    }
    assert!(read > 20, "{read} scripts");
}
