//! `windrow render`: manifests for those who may not run our controller. Reads files only.

use std::collections::BTreeMap;
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use kube::ResourceExt as _;
use planner::manifests::{self, Fields, HEADER_MARK, Options, Release, Tool};
use schemas::ids::TargetName;
use schemas::units::Span;
use schemas::wave::MigrationWave;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, LoadedPlan};
use crate::output::Output;
use crate::plan::files::{self, Change, FileChange};
use crate::target;

/// Write manifests for Argo CD, Flux or kubectl
///
/// For small batches where neither our controller nor `windrow apply` may run. Takes the waves as
/// they were reviewed, and writes one folder for each, sources first, with what makes the tool keep
/// their order; a wave that would not fit onto the scratch volume at once is cut into several. The
/// README among the files says what such static order cannot do: no window, no retry, no budget, no
/// approval, and guests that go off with their whole folder.
///
/// The same waves give the same bytes; commit the files. Only fields that the target's engine has
/// are written: by the target's snapshot, or by `--harvester`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    /// Who applies them
    #[arg(long = "for", value_enum, value_name = "TOOL")]
    tool: ToolName,
    /// Where they go
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
    /// Write nothing; fail if what is there is not what would be written
    #[arg(long)]
    check: bool,
    /// Where the waves are [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    waves: Option<Utf8PathBuf>,
    /// Where the target's snapshot is [default: `inventory` beside the plan]
    #[arg(long, value_name = "DIR")]
    inventory: Option<Utf8PathBuf>,
    /// The target, where the waves are for several
    #[arg(long)]
    target: Option<TargetName>,
    /// The target's release, as in `1.8`, where there is no snapshot of it
    #[arg(long, value_name = "VERSION")]
    harvester: Option<Release>,
    /// Most imports that are created at once [default: as many as fit onto the scratch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// Argo CD: the repository's URL; Flux: its `GitRepository` [default: `flux-system`]
    #[arg(long, value_name = "URL|NAME")]
    repo: Option<String>,
    /// Argo CD: the branch
    #[arg(long, value_name = "NAME", default_value = "main")]
    revision: String,
    /// Where DIR is in the repository [default: DIR as given]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Flux: how long one folder may take
    #[arg(long, value_name = "DURATION", default_value = "12h")]
    timeout: Span,
}

/// Who applies manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ToolName {
    /// Argo CD, by sync waves
    Argocd,
    /// Flux, by a Kustomization for each folder
    Flux,
    /// kubectl, by a script that waits
    Plain,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let loaded = load::plan(&arguments.plan)?;
    let folder = target::waves_folder(&loaded, arguments.waves.as_ref());
    let waves = target::waves(&loaded, &folder)?;
    let chosen = target::choose(&loaded, arguments.target.as_ref(), &waves)?;
    let mut waves: Vec<&MigrationWave> = waves
        .iter()
        .map(|wave| &wave.value)
        .filter(|wave| wave.spec.target.name == chosen)
        .collect();
    waves.sort_by_key(|wave| wave.name_any());
    if waves.is_empty() {
        return Err(Failure::refused(NoWaves(folder))
            .hint(format!("run `windrow plan {}` first", arguments.plan)));
    }
    let options = Options {
        tool: match arguments.tool {
            ToolName::Argocd => Tool::Argocd,
            ToolName::Flux => Tool::Flux,
            ToolName::Plain => Tool::Plain,
        },
        fields: fields(arguments, &loaded, &chosen)?,
        at_once: arguments.at_once.map(|most| most as usize),
        repository: arguments.repo.clone(),
        revision: arguments.revision.clone(),
        path: path(arguments),
        timeout: arguments.timeout,
    };
    let made = manifests::render(
        loaded.name().as_str(),
        &chosen,
        &loaded.namespace(),
        &waves,
        &options,
    )
    .map_err(Failure::refused)?;
    let changes = compare(&arguments.out, made.files)?;
    if !arguments.check {
        files::apply(&changes)?;
        executable(&arguments.out.join("run.sh"))?;
    }
    for warning in &made.warnings {
        output.say(&format!("warning: {warning}"));
    }
    for line in files::told(&changes, arguments.check) {
        output.say(&line);
    }
    let differs = changes.iter().any(FileChange::is_change);
    Ok(if differs && arguments.check {
        Outcome::Differs
    } else {
        Outcome::Done
    })
}

/// What the target's engine takes.
fn fields(
    arguments: &Arguments,
    loaded: &LoadedPlan,
    chosen: &TargetName,
) -> Result<Fields, Failure> {
    if let Some(release) = arguments.harvester {
        return Ok(Fields::of_release(release));
    }
    let folder = arguments
        .inventory
        .clone()
        .unwrap_or_else(|| loaded.folder().join("inventory"));
    let about = inventory::snapshot::read_about(&folder.join(chosen.as_str())).ok();
    about.as_ref().and_then(Fields::of_target).ok_or_else(|| {
        Failure::refused(NoFields(chosen.clone()))
            .hint("pull its inventory, or name its release, as in `--harvester 1.8`")
    })
}

/// Where the files will be in the repository.
fn path(arguments: &Arguments) -> String {
    let path = arguments.path.as_deref().unwrap_or(arguments.out.as_str());
    let path = path.strip_prefix("./").unwrap_or(path);
    if path == "." {
        String::new()
    } else {
        path.trim_matches('/').to_owned()
    }
}

/// What would have to change on disk: files of ours that are no longer made go.
fn compare(out: &Utf8Path, wanted: BTreeMap<String, String>) -> Result<Vec<FileChange>, Failure> {
    let mut stale = Vec::new();
    let is_wanted = |path: &str| wanted.contains_key(path);
    ours(out, out, &is_wanted, &mut stale).map_err(|source| {
        Failure::misused(ReadError {
            path: out.to_owned(),
            source,
        })
    })?;
    let mut changes = Vec::with_capacity(wanted.len());
    for (path, content) in wanted {
        let path = out.join(path);
        let same = fs::read(&path).is_ok_and(|there| there == content.as_bytes());
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
    changes.extend(stale.into_iter().map(|path| FileChange {
        path: out.join(path),
        change: Change::Removed,
        content: None,
    }));
    Ok(changes)
}

/// Files below `folder` that a run of ours wrote and that are not wanted, by their path below `out`.
/// Links are not followed.
fn ours(
    out: &Utf8Path,
    folder: &Utf8Path,
    is_wanted: &impl Fn(&str) -> bool,
    found: &mut Vec<String>,
) -> io::Result<()> {
    let entries = match folder.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            ours(out, path, is_wanted, found)?;
        } else if kind.is_file() {
            let below = path.strip_prefix(out).unwrap_or(path).as_str();
            if !is_wanted(below) && is_ours(path) {
                found.push(below.to_owned());
            }
        }
    }
    Ok(())
}

/// Whether one of its first two lines has our mark.
fn is_ours(path: &Utf8Path) -> bool {
    let text = fs::read(path).unwrap_or_default();
    let mut head = text.split(|byte| *byte == b'\n').take(2);
    head.any(|line| String::from_utf8_lossy(line).contains(HEADER_MARK))
}

/// The script may be run.
fn executable(path: &Utf8Path) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if path.is_file() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|source| {
                Failure::misused(ReadError {
                    path: path.to_owned(),
                    source,
                })
            })?;
        }
    }
    Ok(())
}

/// A file or folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read `{path}`")]
struct ReadError {
    path: Utf8PathBuf,
    source: io::Error,
}

/// There is nothing to render.
#[derive(Debug, thiserror::Error)]
#[error("render: `{0}` has no waves")]
struct NoWaves(Utf8PathBuf);

/// Nobody knows what the target's engine takes.
#[derive(Debug, thiserror::Error)]
#[error("render for `{0}`: nothing says which fields its engine has")]
struct NoFields(TargetName);
