//! The guide is true: every command in `docs/guide/README.md` is run, in order, in a fresh repository,
//! and says what the guide shows. `…` on a line of its own stands for any lines.
//!
//! After a change that is meant: `INSTA_UPDATE=always` writes what is said into the guide, where nothing
//! is left out; then read the difference as a reader would.
//!
//! What a reader does between the commands is done here: the edit that the guide shows, and a disk that
//! has grown.

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use assert_fs::TempDir;

use super::root;

/// A fenced block of the guide: its language and its lines.
struct Block<'t> {
    language: &'t str,
    lines: Vec<&'t str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                let lines = Vec::new();
                blocks.push(Block { language, lines });
            }
            None if open => blocks.last_mut().expect("one is open").lines.push(line),
            None => {}
        }
    }
    blocks
}

/// A repository with what a pull gave.
fn repository() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    copy(
        &root().join("plans/erp/inventory"),
        &folder.path().join("inventory"),
    );
    run(&folder, "git init --quiet --initial-branch main");
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in from.read_dir().expect("a folder") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// What a command says, on both streams, as a reader's shell shows it.
fn run(folder: &TempDir, command: &str) -> String {
    let program = cargo_bin("windrow");
    let mut path: Vec<PathBuf> = vec![program.parent().expect("in a folder").to_owned()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").expect("set"),
    ));
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::join_paths(path).expect("a path"))
        .env("HOME", folder.path())
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "reader")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "reader@example")))
        .output()
        .expect("a shell");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether `shown` is what was said, lines that are left out aside.
fn is_shown(shown: &[&str], said: &[&str]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((&"…", rest)) => (0..=said.len()).any(|skip| is_shown(rest, &said[skip..])),
        Some((line, rest)) => said
            .split_first()
            .is_some_and(|(first, others)| line == first && is_shown(rest, others)),
    }
}

/// Puts the networks into the draft as the guide shows them, instead of the commented ones.
fn edit(folder: &TempDir, networks: &[&str]) {
    let path = folder.path().join("plan.yaml");
    let text = std::fs::read_to_string(&path).expect("a draft");
    let mut lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.trim() == "# networks:")
        .expect("the draft proposes networks");
    let end = at
        + 1
        + lines[at + 1..]
            .iter()
            .take_while(|line| line.trim().starts_with("# - {"))
            .count();
    lines.splice(at..end, networks.iter().copied());
    std::fs::write(path, lines.join("\n") + "\n").expect("written");
}

/// A disk of the database has grown by 50 GiB since the first pull.
fn grow(folder: &TempDir) {
    let path = folder.path().join("inventory/dc1/vms.jsonl");
    let text = std::fs::read_to_string(&path).expect("an inventory");
    let small = r#""key":"2002","controller":"ParaVirtualSCSIController","bus":0,"unit":2,"capacity_bytes":107374182400"#;
    assert_eq!(text.matches(small).count(), 1, "`ERP-DB-01` has it");
    let large = small.replace("107374182400", "161061273600");
    std::fs::write(path, text.replace(small, &large)).expect("written");
}

#[test]
fn the_guide() {
    let text = std::fs::read_to_string(root().join("docs/guide/README.md")).expect("a guide");
    let folder = repository();
    let (mut commands, mut proposed) = (0, false);
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always");
    let mut updated = text.clone();
    for block in blocks(&text) {
        match block.language {
            "console" => {}
            "yaml" if !proposed => {
                let draft =
                    std::fs::read_to_string(folder.path().join("plan.yaml")).expect("a draft");
                let shown = block.lines.join("\n");
                assert!(
                    draft.contains(&shown),
                    "not in the draft:\n{shown}\n---\n{draft}"
                );
                proposed = true;
                continue;
            }
            "yaml" => {
                edit(&folder, &block.lines);
                continue;
            }
            other => panic!("nobody knows what to do with a block of `{other}`"),
        }
        let mut at = 0;
        while at < block.lines.len() {
            let command = block.lines[at]
                .strip_prefix("$ ")
                .expect("a command comes first");
            let shown = &block.lines[at + 1..];
            let shown = &shown[..shown
                .iter()
                .position(|line| line.starts_with("$ "))
                .unwrap_or(shown.len())];
            at += 1 + shown.len();
            commands += 1;
            let said = run(&folder, command);
            let lines: Vec<&str> = said.lines().collect();
            if update && !shown.is_empty() && !shown.contains(&"…") {
                let of = |lines: &[&str]| format!("$ {command}\n{}\n", lines.join("\n"));
                updated = updated.replacen(&of(shown), &of(&lines), 1);
            } else {
                assert!(
                    is_shown(shown, &lines),
                    "`{command}` says something else than the guide:\n{said}"
                );
            }
            if command == "windrow diff" && shown.len() == 1 {
                grow(&folder);
            }
        }
    }
    assert!(commands >= 8, "{commands} commands");
    if updated != text {
        std::fs::write(root().join("docs/guide/README.md"), updated).expect("written");
    }
}

// Lines may be left out where the guide says so, and nowhere else.
#[test]
fn left_out() {
    assert!(is_shown(&["a", "…", "d"], &["a", "b", "c", "d"]));
    assert!(is_shown(&["…"], &[]));
    assert!(!is_shown(&["a", "d"], &["a", "b", "d"]));
    assert!(!is_shown(&["a"], &["a", "b"]));
}
