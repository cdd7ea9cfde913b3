//! The plans in `plans/`, each with its inventory, planned by the real binary: the waves and the
//! forecast that are checked in are byte for byte those that it writes, and what it says is a
//! snapshot.
//!
//! After a change that is meant: `cargo xtask gen --plans`, and `cargo insta accept` (or
//! `INSTA_UPDATE=always`) for what is said; then read the diff as a reviewer would.

mod exit;
mod guide;

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `windrow` in the repository's root; gives exit code, stdout and stderr.
fn windrow(arguments: &[&str]) -> (i32, String, String) {
    windrow_in(root(), arguments)
}

/// The same in another folder.
fn windrow_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("windrow")
        .expect("the binary is built with its tests")
        .current_dir(folder)
        .env_clear()
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .args(arguments)
        .output()
        .expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    (
        output.status.code().expect("it exits by itself"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Folders of plans whose waves are checked in.
fn plans() -> Vec<PathBuf> {
    let entries = root().join("plans").read_dir().expect("there are plans");
    let mut plans: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    plans.retain(|plan| plan.join("waves").is_dir());
    plans.sort();
    plans
}

fn name(plan: &Path) -> String {
    plan.strip_prefix(root())
        .expect("in the repository")
        .to_str()
        .expect("UTF-8")
        .to_owned()
}

// What is checked in is what is planned, and what is said is as it was.
#[test]
fn as_checked_in() {
    let plans = plans();
    assert!(plans.len() >= 2, "pilot and erp at least: {plans:?}");
    for plan in plans {
        let plan = name(&plan);
        let (code, said, talk) = windrow(&["plan", &plan, "--check"]);
        insta::assert_snapshot!(plan.replace('/', "-"), format!("{said}\n{talk}"));
        assert_eq!(
            code, 0,
            "run `windrow plan {plan}` and look at the difference:\n{talk}"
        );
    }
}

// The reports that are checked in are those of the plans: the comment on a pull request, the table, and
// of two of them the page.
#[test]
fn reported() {
    for plan in ["plans/erp", "plans/ova-shelf", "plans/pilot"] {
        for (form, file) in [
            ("markdown", "report.md"),
            ("csv", "report.csv"),
            ("html", "report.html"),
        ] {
            let path = root().join(plan).join(file);
            if form == "html" && !path.exists() {
                assert_eq!(plan, "plans/ova-shelf", "{plan} has a page");
                continue;
            }
            let (code, said, talk) = windrow(&["report", plan, "--output", form, "--out", "-"]);
            assert_eq!(code, 0, "{talk}");
            let held = std::fs::read_to_string(&path).expect("a report is beside the plan");
            assert!(
                held == said,
                "{plan}/{file} is another one: run `cargo xtask gen --plans` and look at the difference"
            );
        }
    }
}

// What is rendered for each tool is what is checked in: read it as a reviewer would.
#[test]
fn rendered() {
    for plan in ["plans/erp", "plans/ova-shelf", "plans/pilot"] {
        for tool in ["argocd", "flux", "plain"] {
            let out = format!("{plan}/rendered/{tool}");
            let repository = if tool == "flux" {
                "migrations"
            } else {
                "https://git.example/migrations.git"
            };
            let render = [
                "render", plan, "--for", tool, "--out", &out, "--repo", repository,
            ];
            let (code, said, talk) = windrow(&[&render[..], &["--check"]].concat());
            assert_eq!(
                (code, said.as_str()),
                (0, ""),
                "run `windrow {}`:\n{talk}",
                render.join(" ")
            );
        }
    }
}

// Into an empty folder: the same bytes; again: nothing is touched; stale files of ours go, others stay.
#[test]
fn rendered_on_disk() {
    let folder = assert_fs::TempDir::new().expect("a folder");
    let out = folder.path().to_str().expect("UTF-8");
    let render = |more: &[&str]| {
        let fixed = [
            "render",
            "plans/erp",
            "--for",
            "plain",
            "--path",
            "x",
            "--out",
            out,
        ];
        windrow(&[&fixed[..], more].concat())
    };
    assert_eq!(render(&["--check"]).0, 1, "differs");
    assert!(
        !folder.path().join("README.md").exists(),
        "--check changes nothing"
    );
    assert_eq!(render(&[]).0, 0);
    assert_eq!(render(&["--check"]).0, 0, "equal");
    std::fs::write(folder.path().join("mine.yaml"), "kind: Mine\n").expect("written");
    assert_eq!(render(&["--at-once", "1", "--check"]).0, 1, "differs");
    assert_eq!(render(&["--at-once", "1"]).0, 0);
    assert!(folder.path().join("030-app/1/imports.yaml").exists());
    assert!(
        !folder.path().join("030-app/imports.yaml").exists(),
        "it is stale"
    );
    assert!(folder.path().join("mine.yaml").exists());
    assert_eq!(render(&["--nope", "--check"]).0, 2, "usage");
    assert_eq!(render(&["--harvester", "0.9"]).0, 2, "usage");
}

// Into an empty folder: the same bytes; again: nothing is touched; a stale wave of ours goes, a
// foreign file and an approved wave stay.
#[test]
fn files_on_disk() {
    let folder = assert_fs::TempDir::new().expect("a folder");
    let waves = folder.path().join("waves");
    let out = waves.to_str().expect("UTF-8");
    let plan = ["plan", "plans/erp", "--out", out, "--detailed-exitcode"];
    assert_eq!(windrow(&plan).0, 2, "changes");
    let written = files(&waves);
    assert_eq!(written, files(&root().join("plans/erp/waves")));
    assert_eq!(
        std::fs::read(folder.path().join("forecast.json")).expect("a forecast"),
        std::fs::read(root().join("plans/erp/forecast.json")).expect("a forecast"),
    );
    let before = modified(&waves);
    assert_eq!(windrow(&plan).0, 0, "nothing to change");
    assert_eq!(modified(&waves), before);

    let (first, text) = &written[0];
    let stale = text.replace(first.trim_end_matches(".yaml"), "990-old");
    std::fs::write(waves.join("990-old.yaml"), stale).expect("written");
    std::fs::write(waves.join("mine.yaml"), "# by hand\n").expect("written");
    assert_eq!(
        windrow(&["plan", "plans/erp", "--out", out, "--check"]).0,
        1,
        "differs"
    );
    assert!(
        waves.join("990-old.yaml").exists(),
        "--check changes nothing"
    );
    let (code, _, talk) = windrow(&plan);
    assert_eq!(code, 2);
    assert!(
        talk.contains("removed ") && talk.contains("990-old.yaml"),
        "{talk}"
    );
    assert!(!waves.join("990-old.yaml").exists());
    assert!(waves.join("mine.yaml").exists());
}

// A wave that an approval names stays, even when it is no longer planned.
#[test]
fn approved_waves_stay() {
    let folder = assert_fs::TempDir::new().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    std::fs::copy(root().join("plans/pilot/plan.yaml"), at("plan.yaml")).expect("copied");
    let plan = at("plan.yaml").to_str().expect("UTF-8").to_owned();
    let plan = ["plan", &plan, "--inventory", "plans/pilot/inventory"];
    assert_eq!(windrow(&plan).0, 0);
    let wave = std::fs::read_to_string(at("waves/010-db.yaml")).expect("a wave");
    let digest = wave
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("  digest: "));
    let old = wave.replace("pilot-010-db", "pilot-990-old");
    std::fs::write(at("waves/990-old.yaml"), &old).expect("written");
    std::fs::create_dir(at("approvals")).expect("made");
    let approval = format!(
        "apiVersion: windrow.dev/v1alpha1\nkind: WaveApproval\nmetadata: {{ name: old, namespace: migrations }}\nspec: {{ wave: pilot-990-old, digest: \"{}\" }}\n",
        digest.expect("a digest")
    );
    std::fs::write(at("approvals/990-old.yaml"), approval).expect("written");
    let (code, _, talk) = windrow(&plan);
    assert_eq!(code, 0, "{talk}");
    assert!(
        talk.contains("990-old.yaml: no longer planned, but an approval names it"),
        "{talk}"
    );
    assert_eq!(
        std::fs::read_to_string(at("waves/990-old.yaml")).expect("there"),
        old
    );
}

/// VM and record of each import of a wave's file, in its order there.
fn imports(wave: &str) -> Vec<(String, String)> {
    let lines = wave.lines().filter(|line| line.contains("{vm: "));
    let word = |line: &str, key: &str| {
        let rest = line.split_once(key).expect("a field").1;
        rest.split(',').next().expect("a value").to_owned()
    };
    lines
        .map(|line| (word(line, "{vm: "), word(line, "record: ")))
        .collect()
}

// The rest of a run, from what `windrow status -o json` said of it: the database runs, one web server is
// being copied, two wait. No file of a wave changes; the rest is foretold from that moment on.
#[test]
fn rest_of_a_run() {
    let folder = assert_fs::TempDir::new().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    std::fs::copy(root().join("plans/pilot/plan.yaml"), at("plan.yaml")).expect("copied");
    let plan = at("plan.yaml").to_str().expect("UTF-8").to_owned();
    let plan = ["plan", &plan, "--inventory", "plans/pilot/inventory"];
    assert_eq!(windrow(&plan).0, 0);
    let read = |path: &str| std::fs::read_to_string(at(path)).expect("a file");
    let (db, web) = (read("waves/010-db.yaml"), read("waves/020-web.yaml"));
    let machine = |(vm, record): &(String, String), wave: &str, rest: &str| {
        format!(
            r#"{{ "vm": "{vm}", "wave": "{wave}", "record": {{ "namespace": "migrations", "name": "{record}" }}, {rest} }}"#
        )
    };
    let (one, webs) = (imports(&db), imports(&web));
    let machines = [
        machine(&one[0], "pilot-010-db", r#""stage": "Running""#),
        machine(
            &webs[0],
            "pilot-020-web",
            r#""stage": "Exporting", "times": { "poweredOff": "2026-11-23T20:00:00Z" }"#,
        ),
        machine(&webs[1], "pilot-020-web", r#""stage": null"#),
    ];
    let status = |schema: &str| {
        let machines = machines.join(", ");
        let text = format!(
            r#"{{ "schema": "{schema}", "at": "2026-11-23T20:01:00Z", "target": "hv1", "machines": [{machines}] }}"#
        );
        std::fs::write(at("status.json"), text).expect("written");
    };
    let file = at("status.json").to_str().expect("UTF-8").to_owned();
    let rest = [&plan[..], &["--keep", "--status", &file]].concat();

    status("windrow.status/1");
    let (code, said, talk) = windrow(&rest);
    assert_eq!(code, 0, "{talk}");
    assert!(said.contains("3 VMs"), "{said}");
    assert_eq!(read("waves/020-web.yaml"), web);
    assert_eq!(read("waves/010-db.yaml"), db);
    assert!(talk.contains("kept "), "{talk}");
    let forecast = read("forecast.json");
    assert!(
        forecast.contains(r#""origin": "2026-11-23T20:01:00Z""#),
        "{forecast}"
    );
    assert!(!forecast.contains(&one[0].0), "what runs is not foretold");

    status("something/1");
    let (code, _, talk) = windrow(&rest);
    assert_eq!(code, 1, "{talk}");
    assert!(talk.contains("windrow status PLAN -o json"), "{talk}");
}

// A plan with mistakes, and one without an inventory: refused with the place, nothing written.
#[test]
fn refused() {
    let folder = assert_fs::TempDir::new().expect("a folder");
    let text = std::fs::read_to_string(root().join("plans/pilot/plan.yaml")).expect("a plan");
    let plan = folder.path().join("plan.yaml");
    std::fs::write(&plan, text.replace("names: [db]", "names: [bd]")).expect("written");
    let plan = plan.to_str().expect("UTF-8");
    let (code, said, talk) = windrow(&["plan", plan]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(talk.contains("windrow inventory pull"), "{talk}");
    let (code, said, talk) = windrow(&["plan", plan, "--inventory", "plans/pilot/inventory"]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(talk.contains("no VM is called `bd`"), "{talk}");
    assert!(talk.contains("plan.yaml:13:"), "{talk}");
    assert!(!folder.path().join("waves").exists());
    let (code, said, _) = windrow(&[
        "plan",
        plan,
        "--inventory",
        "plans/pilot/inventory",
        "-o",
        "json",
    ]);
    assert_eq!(code, 1);
    assert!(
        said.contains(r#""path": "spec.workloads[0].select[0].names[0]""#),
        "{said}"
    );
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = folder
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = entries
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_str()
                .expect("UTF-8")
                .to_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    files.sort();
    files
}

fn modified(folder: &Path) -> Vec<std::time::SystemTime> {
    let entries = folder
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("readable").path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths
        .iter()
        .map(|path| path.metadata().expect("there").modified().expect("known"))
        .collect()
}
