//! The files that `windrow plan` owns: what is to be in them, what is there, and what changes.
//!
//! Equal files are left untouched. Waves that are no longer made are removed, if they carry our
//! header and are of this plan; never one that the ledger or an approval names. Each file is
//! written beside its place and then moved there, so that none is ever half-written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use kube::ResourceExt as _;
use planner::Planned;
use schemas::forecast::Forecast;
use schemas::ids::{PlanName, SourceName, VmId, VmName};
use schemas::wave::MigrationWave;
use schemas::{shown, yaml};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::load::LoadedPlan;

/// What is in the head of every file that we may remove.
const HEADER_MARK: &str = "written by `windrow plan`";

/// The files of a plan.
pub(crate) struct Files {
    folder: Utf8PathBuf,
    wanted: Vec<(Utf8PathBuf, String)>,
}

/// What becomes of one file.
pub(crate) struct FileChange {
    /// Which.
    pub path: Utf8PathBuf,
    /// What.
    pub change: Change,
    /// What will be in it.
    pub content: Option<String>,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is right as it is.
    Unchanged,
    /// It is new, or has new content.
    Written,
    /// It is no longer made.
    Removed,
    /// It is no longer made, but something speaks of it.
    Kept(&'static str),
}

impl Files {
    /// Of a plan whose waves go into `folder`.
    pub fn of(planned: &Planned, folder: &Utf8Path) -> Self {
        let rendered = &planned.rendered;
        let wave = |wave: &planner::waves::RenderedWave| {
            (
                folder.join(format!("{}.yaml", wave.stem)),
                yaml::write_wave(&wave.object),
            )
        };
        let mut wanted: Vec<_> = rendered.waves.iter().map(wave).collect();
        let forecast =
            serde_json::to_string_pretty(&rendered.forecast).expect("the forecast has a JSON form");
        wanted.push((
            beside(folder, "forecast.json"),
            format!("{}\n", shown::json(&forecast)),
        ));
        Self {
            folder: folder.to_owned(),
            wanted,
        }
    }

    /// What would have to change on disk. `keep`: waves by name that must stay, and why.
    pub fn compare(
        self,
        plan: &LoadedPlan,
        keep: &[(String, &'static str)],
    ) -> Result<Vec<FileChange>, Failure> {
        let stale = stale(&self.folder, &plan.name(), &self.wanted)?;
        let mut changes = Vec::with_capacity(self.wanted.len());
        for (path, content) in self.wanted {
            let same = match fs::read_to_string(&path) {
                Ok(there) => there == content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(source) => return Err(Failure::misused(FileError::Read { path, source })),
            };
            let change = if same {
                Change::Unchanged
            } else {
                Change::Written
            };
            changes.push(FileChange {
                path,
                change,
                content: Some(content),
            });
        }
        for (path, wave) in stale {
            let name = wave.name_any();
            let named = keep.iter().find(|(kept, _)| *kept == name);
            let change = named.map_or(Change::Removed, |(_, why)| Change::Kept(why));
            changes.push(FileChange {
                path,
                change,
                content: None,
            });
        }
        Ok(changes)
    }
}

impl FileChange {
    /// Whether something is done to it.
    pub fn is_change(&self) -> bool {
        matches!(self.change, Change::Written | Change::Removed)
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let change = match self.change {
            Change::Unchanged => "unchanged",
            Change::Written => "written",
            Change::Removed => "removed",
            Change::Kept(_) => "kept",
        };
        json!({ "path": self.path, "change": change })
    }
}

/// `waves` → `forecast.json` beside it; `waves` in the current folder too.
fn beside(folder: &Utf8Path, name: &str) -> Utf8PathBuf {
    match folder.parent() {
        Some(parent) => parent.join(name),
        None => folder.join("..").join(name),
    }
}

/// Waves of this plan in `folder` that `plan` wrote once and that are not wanted, by path.
fn stale(
    folder: &Utf8Path,
    plan: &PlanName,
    wanted: &[(Utf8PathBuf, String)],
) -> Result<Vec<(Utf8PathBuf, MigrationWave)>, Failure> {
    let failed = |source| {
        let path = folder.to_owned();
        Failure::misused(FileError::List { path, source })
    };
    let entries = match folder.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.into_path();
        if path.extension() != Some("yaml") || wanted.iter().any(|(wanted, _)| *wanted == path) {
            continue;
        }
        if let Some(wave) = ours(&path).filter(|wave| wave.spec.plan == *plan) {
            found.push((path, wave));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// The waves of a plan in `folder` that `windrow plan` wrote, by file name.
pub(crate) fn committed(folder: &Utf8Path, plan: &PlanName) -> Result<Vec<MigrationWave>, Failure> {
    let found = stale(folder, plan, &[])?;
    Ok(found.into_iter().map(|(_, wave)| wave).collect())
}

/// The forecast beside the waves' folder, if there is one.
pub(crate) fn forecast(folder: &Utf8Path) -> Result<Option<Forecast>, Failure> {
    let path = beside(folder, "forecast.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Failure::misused(FileError::Read { path, source })),
    };
    match serde_json::from_str(&text) {
        Ok(forecast) => Ok(Some(forecast)),
        Err(error) => {
            let source = io::Error::from(error);
            Err(Failure::misused(FileError::Read { path, source })
                .hint("remove it, or run `windrow plan` without `--keep` to write it anew"))
        }
    }
}

/// The wave in a file that `plan` wrote. What cannot be read as one is not ours to remove.
fn ours(path: &Utf8Path) -> Option<MigrationWave> {
    let text = fs::read_to_string(path).ok()?;
    let mut head = text.lines().take_while(|line| line.starts_with('#'));
    if !head.any(|line| line.contains(HEADER_MARK)) {
        return None;
    }
    Some(yaml::read::<MigrationWave>(&text).ok()?.value)
}

/// The VMs of waves, by source and name.
pub(crate) fn names(waves: &[MigrationWave]) -> Names {
    let mut found = Names::new();
    for import in waves.iter().flat_map(|wave| &wave.spec.imports) {
        let names = found.entry(import.vm.source.clone()).or_default();
        let ids = names.entry(import.name.clone()).or_default();
        ids.insert(import.vm.id.clone());
    }
    found
}

type Names = BTreeMap<SourceName, BTreeMap<VmName, BTreeSet<VmId>>>;

/// Writes and removes.
pub(crate) fn apply(changes: &[FileChange]) -> Result<(), Failure> {
    for change in changes {
        let path = change.path.clone();
        match (change.change, &change.content) {
            (Change::Written, Some(content)) => {
                let written = write(&path, content);
                written.map_err(|source| Failure::misused(FileError::Write { path, source }))?;
            }
            (Change::Removed, _) => {
                let removed = fs::remove_file(&path);
                removed.map_err(|source| Failure::misused(FileError::Remove { path, source }))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn write(path: &Utf8Path, content: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default();
    let folder = match path.parent() {
        Some(folder) if folder != "" => folder,
        _ => Utf8Path::new("."),
    };
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let written = match fs::write(&draft, content) {
        // Of many files only the first finds no folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            fs::write(&draft, content)
        }
        written => written,
    };
    let written = written.and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // Best effort: the error that matters is the one above.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// What was done, or would be, in a line or two.
pub(crate) fn told(changes: &[FileChange], check: bool) -> Vec<String> {
    let paths = |wanted: fn(&Change) -> bool| -> Vec<&Utf8Path> {
        changes
            .iter()
            .filter(|c| wanted(&c.change))
            .map(|c| c.path.as_path())
            .collect()
    };
    let mut lines = Vec::new();
    let mut tell = |verb: &str, paths: &[&Utf8Path]| {
        if !paths.is_empty() {
            lines.push(format!("{verb} {}", shortened(paths)));
        }
    };
    let written = paths(|change| *change == Change::Written);
    let removed = paths(|change| *change == Change::Removed);
    tell(if check { "would write" } else { "wrote" }, &written);
    tell(if check { "would remove" } else { "removed" }, &removed);
    tell("unchanged", &paths(|change| *change == Change::Unchanged));
    for change in changes {
        if let Change::Kept(why) = change.change {
            lines.push(format!(
                "kept {}: no longer planned, but {why} names it",
                change.path
            ));
        }
    }
    lines
}

/// Most paths that are told one by one.
const PATHS_TOLD_MAX: usize = 6;

fn shortened(paths: &[&Utf8Path]) -> String {
    let mut text = paths
        .iter()
        .take(PATHS_TOLD_MAX)
        .map(|path| path.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > PATHS_TOLD_MAX {
        let more = paths.len() - PATHS_TOLD_MAX;
        write!(text, ", and {more} more").expect("a String takes everything");
    }
    text
}

/// Why a file could not be read, written or removed.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("read `{path}`")]
    Read {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("list `{path}`")]
    List {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("write `{path}`")]
    Write {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("remove `{path}`")]
    Remove {
        path: Utf8PathBuf,
        source: io::Error,
    },
}
