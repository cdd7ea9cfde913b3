//! The half of a run that is inside of the testbed's network: one scenario after another, as one
//! engine serves all.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::case::Case;
use crate::command::{Background, Run, tail};
use crate::kube::Kube;
use crate::{Summary, scenario};

/// Where everything is.
pub struct World {
    /// The repository.
    pub root: PathBuf,
    /// What the rigs keep (`TESTBED_DIR`).
    pub state: PathBuf,
    /// The cluster, as its admin.
    pub kube: Kube,
    /// The program under test.
    pub windrow: PathBuf,
    /// `real` or `double`.
    pub engine: String,
    /// Folder of the transcripts.
    pub out: PathBuf,
    /// Leave what scenarios made.
    pub keep: bool,
    /// What is done beside the scenarios.
    chores: Mutex<Vec<JoinHandle<Result<()>>>>,
}

impl World {
    /// A script of the testbed.
    pub fn script(&self, path: &str) -> Run {
        Run::new(self.root.join("tests/testbed").join(path))
            .env("TESTBED_DIR", &self.state)
            .without("STATE")
    }

    /// Harvester's rig.
    pub fn harvester(&self) -> PathBuf {
        self.state.join("harvester-testbed")
    }

    /// `windrow ARGUMENTS`, as the cluster's admin, in `folder`.
    pub fn windrow<S: AsRef<std::ffi::OsStr>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Run {
        Run::new(&self.windrow)
            .args(arguments)
            .folder(folder)
            .env("KUBECONFIG", self.kube.kubeconfig())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "120")
            .without("RUST_LOG")
            .limit(Duration::from_mins(2))
    }

    /// Does something beside the scenarios; the end of the run waits for it.
    pub fn later(&self, chore: impl FnOnce() -> Result<()> + Send + 'static) {
        let mut chores = self.chores.lock().unwrap_or_else(PoisonError::into_inner);
        chores.push(std::thread::spawn(chore));
    }

    /// Waits for that; why some of it failed.
    fn finish_chores(&self) -> Vec<String> {
        let mut chores = self.chores.lock().unwrap_or_else(PoisonError::into_inner);
        chores
            .drain(..)
            .filter_map(|chore| match chore.join() {
                Ok(done) => done.err().map(|error| format!("{error:#}")),
                Err(_) => Some("a thread panicked".to_owned()),
            })
            .collect()
    }

    /// What the program under test calls itself.
    pub fn version(&self) -> Result<String> {
        Ok(self
            .windrow(&self.root, ["--version"])
            .text()?
            .trim()
            .to_owned())
    }

    /// Windrow's kinds, as its own command gives them.
    fn install_kinds(&self) -> Result<()> {
        let text = self
            .windrow(&self.root, ["crd"])
            .text()
            .context("get the kinds by `windrow crd`")?;
        self.kube.apply(&text).context("install Windrow's kinds")?;
        self.kube
            .run([
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "-f",
                "-",
            ])
            .input(text)
            .limit(Duration::from_mins(2))
            .text()
            .map(drop)
    }

    /// How often the engine was started: one that crashed shows here.
    pub fn engine_starts(&self) -> usize {
        let history = std::fs::read_to_string(self.harvester().join("run/engine.history"))
            .unwrap_or_default();
        history
            .lines()
            .filter(|line| line.ends_with("start"))
            .count()
    }

    /// `tests/testbed/harvester/engine WORD`.
    pub fn engine(&self, word: &str) -> Result<String> {
        self.script("harvester/engine")
            .args([word])
            .limit(Duration::from_mins(3))
            .text()
    }
}

/// Runs scenarios; true if none failed. For `xtask`, which `run` starts once more inside.
pub fn run_inside(engine: &str, windrow: &Path, keep: bool, names: &[String]) -> Result<bool> {
    let variable = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).with_context(|| {
            format!("`{name}` is not set: start `cargo xtask e2e` without --inside")
        })
    };
    let (root, state) = (variable("WINDROW_E2E_ROOT")?, variable("TESTBED_DIR")?);
    let program = variable("WINDROW_E2E_ENGINE")?;
    let out = crate::outside::target(&root).join("e2e").join(engine);
    std::fs::create_dir_all(&out).with_context(|| format!("make `{}`", out.display()))?;
    let world = World {
        kube: Kube::new(&state.join("harvester-testbed/kubeconfig")),
        root,
        state,
        windrow: windrow.to_owned(),
        engine: engine.to_owned(),
        out,
        keep,
        chores: Mutex::default(),
    };
    world.install_kinds()?;
    world.kube.set_knobs(&[])?;

    let (all, mut summary) = (Instant::now(), Summary::default());
    for scenario in scenario::choose(names)? {
        if let Some(reason) = (scenario.skip)(&world) {
            crate::say(&format!(
                "skip  {}  {}: {reason}",
                scenario.name, scenario.title
            ));
            summary.skipped += 1;
            continue;
        }
        let began = Instant::now();
        let failures = Case::run(&world, scenario);
        let seconds = began.elapsed().as_secs();
        if failures.is_empty() {
            crate::say(&format!(
                "pass  {}  {} ({seconds} s)",
                scenario.name, scenario.title
            ));
            summary.passed += 1;
        } else {
            crate::say(&format!(
                "FAIL  {}  {} ({seconds} s)",
                scenario.name, scenario.title
            ));
            for failure in &failures {
                crate::say(&format!("      {}", failure.replace('\n', "\n      ")));
            }
            summary.failed += 1;
        }
    }
    let left = world.finish_chores();
    for failure in &left {
        crate::say(&format!("clean up: {failure}"));
    }
    crate::say(&format!(
        "transcripts: {} ({} s)",
        world.out.display(),
        all.elapsed().as_secs()
    ));
    crate::say(&format!("engine: {engine}, {}", program.display()));
    crate::say(&summary.to_string());
    Ok(summary.failed == 0 && left.is_empty())
}

/// Waits until `probe` gives something; looks every `pause`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            anyhow::bail!("gave up waiting for {what} after {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits likewise, but not longer than a program behind us runs: its end is an error.
pub fn wait_while<T>(
    what: &str,
    program: &mut Background,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut ended = None;
    wait_for(what, limit, || {
        let found = probe()?;
        if found.is_none() {
            // It may have ended because of what we wait for: look once more after its end.
            if let Some(code) = ended {
                anyhow::bail!(
                    "`{}` ended with {code} before {what}: {}",
                    program.line(),
                    tail(&program.said(), 15)
                );
            }
            ended = program.ended();
        }
        Ok(found)
    })
    .with_context(|| format!("`{}` said: {}", program.line(), tail(&program.said(), 15)))
}
