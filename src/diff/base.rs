//! What is compared with: the waves on disk or in another commit, and the snapshots that they were
//! made from.
//!
//! Git is asked by its own program, and only read: files of a commit are put into a folder of the
//! system's for temporary files, with an index of its own there.

use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use schemas::approval::WaveApproval;
use schemas::forecast::Forecast;
use schemas::inventory::Inventory;
use schemas::wave::MigrationWave;

use super::{Arguments, forecast, inventory};
use crate::failure::Failure;
use crate::load::LoadedPlan;
use crate::target;

/// What is compared with.
#[derive(Debug)]
pub(super) struct Base {
    /// The waves.
    pub waves: Vec<MigrationWave>,
    /// Their forecast.
    pub forecast: Option<Forecast>,
    /// Approvals.
    pub approvals: Vec<WaveApproval>,
    /// The snapshots that the waves were made from, where these are known.
    pub inventory: Option<Inventory>,
}

impl Base {
    /// Reads it from where the arguments say.
    pub fn read(arguments: &Arguments, loaded: &LoadedPlan) -> Result<Self, Failure> {
        let folder = loaded.folder();
        if let Some(reference) = &arguments.base {
            let checkout = Checkout::of(
                folder,
                reference,
                &["waves", "forecast.json", "approvals", "inventory"],
            )
            .map_err(|error| {
                Failure::misused(error).hint("name a commit, branch or tag that Git knows here")
            })?;
            let at = &checkout.folder;
            return Self::from_folder(
                loaded,
                &at.join("waves"),
                &at.join("approvals"),
                inventory(&at.join("inventory")),
            );
        }
        let waves = target::waves_folder(loaded, arguments.waves.as_ref());
        let snapshots = match &arguments.before {
            Some(before) => Some(inventory::snapshot::read(before).map_err(Failure::misused)?),
            None => committed_with(folder, &waves),
        };
        Self::from_folder(loaded, &waves, &target::approvals_folder(loaded), snapshots)
    }

    fn from_folder(
        loaded: &LoadedPlan,
        waves: &Utf8Path,
        approvals: &Utf8Path,
        inventory: Option<Inventory>,
    ) -> Result<Self, Failure> {
        let beside = waves.parent().unwrap_or(waves).join("forecast.json");
        let found = target::waves(loaded, waves)?;
        Ok(Self {
            waves: found.into_iter().map(|wave| wave.value).collect(),
            forecast: forecast(&beside),
            approvals: target::approvals_in(approvals)?
                .into_iter()
                .map(|approval| approval.value)
                .collect(),
            inventory,
        })
    }
}

/// The snapshots beside the plan in the last commit that changed its waves; nothing where there is
/// no Git, no such commit, or no snapshot in it.
fn committed_with(folder: &Utf8Path, waves: &Utf8Path) -> Option<Inventory> {
    let waves = camino::absolute_utf8(waves).ok()?;
    let commit = git(
        folder.as_std_path(),
        &["log", "-1", "--format=%H", "--", waves.as_str()],
    )
    .ok()?;
    let commit = commit.trim();
    if commit.is_empty() {
        return None;
    }
    let checkout = Checkout::of(folder, commit, &["inventory"]).ok()?;
    inventory(&checkout.folder.join("inventory"))
}

/// Files of a commit, in a folder that is removed at the end.
struct Checkout {
    /// Where the plan's folder is in it.
    folder: Utf8PathBuf,
    root: Utf8PathBuf,
}

impl Checkout {
    /// Those below `paths` of the plan's `folder`, as far as the commit has them.
    fn of(folder: &Utf8Path, reference: &str, paths: &[&str]) -> Result<Self, GitError> {
        let prefix = git(folder.as_std_path(), &["rev-parse", "--show-prefix"])?;
        // Also says whether there is such a commit; an option is not taken for one.
        let commit = git(
            folder.as_std_path(),
            &[
                "rev-parse",
                "--verify",
                "--end-of-options",
                &format!("{reference}^{{commit}}"),
            ],
        )?;
        let root = std::env::temp_dir().join(format!("windrow-diff-{}", std::process::id()));
        let root = Utf8PathBuf::from_path_buf(root).map_err(|_| GitError::Folder)?;
        std::fs::create_dir_all(&root).map_err(GitError::Make)?;
        let checkout = Self {
            folder: root.join(prefix.trim_end_matches(['\n', '/'])),
            root: root.clone(),
        };
        let there = git(
            folder.as_std_path(),
            &[
                &["ls-tree", "-z", "--name-only", commit.trim(), "--"][..],
                paths,
            ]
            .concat(),
        )?;
        let there: Vec<&str> = there.split('\0').filter(|path| !path.is_empty()).collect();
        if !there.is_empty() {
            let index = root.join(".index");
            let work_tree = format!("--work-tree={root}");
            let source = format!("--source={}", commit.trim());
            let mut command = Command::new("git");
            let top = git(folder.as_std_path(), &["rev-parse", "--show-toplevel"])?;
            let directory = git(folder.as_std_path(), &["rev-parse", "--absolute-git-dir"])?;
            command
                .current_dir(top.trim_end_matches('\n'))
                .env("GIT_INDEX_FILE", index.as_str())
                .arg(format!("--git-dir={}", directory.trim_end_matches('\n')))
                .args([&work_tree, "restore", &source, "--worktree", "--"])
                .args(
                    there.iter().map(|path| {
                        format!(":(top,literal){}{path}", prefix.trim_end_matches('\n'))
                    }),
                );
            told(&mut command, "restore")?;
        }
        Ok(checkout)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // Best effort: it is a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// What `git` prints, run in `folder`.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments);
    told(&mut command, arguments[0])
}

fn told(command: &mut Command, verb: &str) -> Result<String, GitError> {
    let output = command.output().map_err(GitError::Run)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(GitError::Failed {
            verb: verb.to_owned(),
            said: said.lines().next().unwrap_or_default().to_owned(),
        });
    }
    String::from_utf8(output.stdout).map_err(|_| GitError::Folder)
}

/// Why Git did not tell.
#[derive(Debug, thiserror::Error)]
enum GitError {
    /// There is no `git`, or it cannot be run.
    #[error("run `git`")]
    Run(#[source] std::io::Error),
    /// It says no.
    #[error("ask Git: `git {verb}` says `{said}`")]
    Failed {
        /// Which of its verbs.
        verb: String,
        /// The first line of what it says.
        said: String,
    },
    /// A path is not UTF-8.
    #[error("ask Git: a path is not UTF-8")]
    Folder,
    /// There is no room for temporary files.
    #[error("make a folder for temporary files")]
    Make(#[source] std::io::Error),
}
