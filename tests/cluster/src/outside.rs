//! The half of a run that is outside of the testbed's network: find the engine, build, bring the
//! rigs up, and go in.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::Run;
use crate::{Engine, Options, scenario};

/// Bringing everything up on a machine that has nothing takes 15 min on two busy cores.
const UP_LIMIT: Duration = Duration::from_mins(45);

/// Where the scenarios leave what they make.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Runs scenarios; true if none failed. Their count is the last line on standard output.
pub fn run(options: &Options) -> Result<bool> {
    let root = &options.root;
    let chosen = scenario::choose(&options.scenarios)?;
    let profile = if options.release { "release" } else { "debug" };
    let target = target(root);
    let engine = Engine::find(
        options.engine.as_deref(),
        &target.join(profile).join("double"),
    )?;
    crate::say(&engine.describe());
    if options.scenarios.is_empty() {
        for (name, why) in scenario::apart() {
            crate::say(&format!("not run unless it is named: {name}: {why}"));
        }
    }
    if Run::new("id").args(["-u"]).text()?.trim() != "0" {
        bail!("the testbed needs root: it makes a network namespace");
    }

    let began = Instant::now();
    if !options.built {
        build(root, options.release, matches!(engine, Engine::Double(_)))?;
    }
    let bin = target.join("e2e").join("bin");
    // Copies, so that a build by somebody else does not change what runs half-way.
    let windrow = copy(&target.join(profile).join("windrow"), &bin)?;
    let this = copy(&std::env::current_exe().context("find this program")?, &bin)?;
    let built = began.elapsed();

    let began = Instant::now();
    let rigs: BTreeSet<&str> = chosen.iter().flat_map(|s| s.rigs.iter().copied()).collect();
    let testbed = root.join("tests/testbed");
    up(&testbed, &engine, &rigs)?;
    crate::say(&format!(
        "built in {} s; rigs ({}) up in {} s",
        built.as_secs(),
        rigs.iter().copied().collect::<Vec<_>>().join(", "),
        began.elapsed().as_secs()
    ));

    let mut inside = Command::new(testbed.join("in-net"));
    inside
        .arg(&this)
        .args(["e2e", "--inside", engine.word(), "--windrow"])
        .arg(&windrow);
    if options.keep {
        inside.arg("--keep");
    }
    inside.args(chosen.iter().map(|s| s.name));
    inside
        .env("WINDROW_E2E_ROOT", root)
        .env("WINDROW_E2E_ENGINE", engine.program());
    let status = inside
        .stdin(Stdio::null())
        .status()
        .context("run the scenarios inside of the network")?;
    Ok(status.success())
}

fn build(root: &Path, release: bool, double: bool) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args([
        "build",
        "--quiet",
        "--package",
        "windrow",
        "--bin",
        "windrow",
    ]);
    if double {
        command.args(["--package", "double", "--bin", "double"]);
    }
    if release {
        command.arg("--release");
    }
    let status = command.stdin(Stdio::null()).status().context("run cargo")?;
    if !status.success() {
        bail!("windrow does not build");
    }
    Ok(())
}

fn copy(from: &Path, folder: &Path) -> Result<PathBuf> {
    let name = from.file_name().context("a program has a name")?;
    // Linux shows a program that was replaced on disk as `NAME (deleted)`.
    let name = name
        .to_string_lossy()
        .trim_end_matches(" (deleted)")
        .to_owned();
    let (part, to) = (folder.join(format!("{name}.part")), folder.join(name));
    let attempt = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        if std::fs::copy(from, &part).is_err() {
            // Replaced while it runs: what runs is still to be had here.
            std::fs::copy("/proc/self/exe", &part)?;
        }
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o755))?;
        std::fs::rename(&part, &to)
    };
    attempt().with_context(|| format!("copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(to)
}

fn up(testbed: &Path, engine: &Engine, rigs: &BTreeSet<&str>) -> Result<()> {
    let state = Run::new(testbed.join("in-net"))
        .args(["printenv", "TESTBED_DIR"])
        .text()?;
    let harvester = Path::new(state.trim()).join("harvester-testbed");
    // A running engine that is another program than ours would be left running.
    if let Ok(current) = std::fs::read_link(harvester.join("engine"))
        && current != engine.program()
    {
        Run::new(testbed.join("in-net"))
            .arg_path(&testbed.join("harvester/engine"))
            .args(["stop"])
            .text()?;
    }
    let run = Run::new(testbed.join("up"))
        .args(["--engine"])
        .arg_path(engine.program())
        .args(rigs)
        .limit(UP_LIMIT);
    let output = run.output()?;
    if output.code != 0 {
        bail!(
            "the rigs do not come up: `{}` ended with {}:\n{}",
            run.line(),
            output.code,
            crate::command::tail(&output.all(), 30)
        );
    }
    Ok(())
}

impl Run {
    fn arg_path(self, path: &Path) -> Self {
        self.args([path])
    }
}
