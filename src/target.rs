//! What the verbs that talk to a target cluster share: the way in, the waves and approvals on
//! disk, and what an error of the cluster comes to.

use std::collections::BTreeSet;
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use executor::{Class, Cluster};
use jiff::Timestamp;
use kube::ResourceExt as _;
use schemas::approval::WaveApproval;
use schemas::file::File;
use schemas::gate::StepRef;
use schemas::ids::{TargetName, WaveName, WorkloadName};
use schemas::site::ApprovalPolicy;
use schemas::wave::MigrationWave;

use crate::diagnostic::{Diagnostic, Level};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Loaded, LoadedPlan};

/// What an error of the cluster comes to, before anything was begun.
pub fn failed(error: executor::Error) -> Failure {
    let outcome = match error.class() {
        Class::Refused => Outcome::Refused,
        Class::Usage => Outcome::Misused,
        Class::Unavailable => Outcome::Outside,
        Class::Unfinished => Outcome::Unfinished,
    };
    let hint = error.hint();
    let failure = Failure::new(outcome, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The target of `plan` that `--target` names, or the only one.
pub fn choose(
    plan: &LoadedPlan,
    wanted: Option<&TargetName>,
    waves: &[Loaded<MigrationWave>],
) -> Result<TargetName, Failure> {
    if let Some(name) = wanted {
        let targets = &plan.site().targets;
        if targets.iter().any(|target| target.name == *name) {
            return Ok(name.clone());
        }
        let there = list(targets.iter().map(|target| &target.name));
        let error = TargetError::Unknown { name: name.clone() };
        return Err(Failure::misused(error).hint(format!("the site has {there}")));
    }
    let of_waves: BTreeSet<&TargetName> = waves
        .iter()
        .map(|wave| &wave.value.spec.target.name)
        .collect();
    match (of_waves.len(), of_waves.first()) {
        (1, Some(name)) => Ok((*name).clone()),
        (0, _) => Ok(plan.spec().target.name.clone()),
        _ => Err(Failure::misused(TargetError::Several).hint(format!(
            "choose one with --target: {}",
            list(of_waves.into_iter())
        ))),
    }
}

/// The cluster of a target, by the context that the site gives it.
pub async fn connect(plan: &LoadedPlan, target: &TargetName) -> Result<Cluster, Failure> {
    let found = plan.site().targets.iter().find(|t| t.name == *target);
    let context = found.and_then(|target| target.context.as_deref());
    Cluster::from_kubeconfig(context).await.map_err(failed)
}

/// Whether people call a wave so: by its name, its file, or its file's stem.
pub fn is_called(wave: &Loaded<MigrationWave>, name: &str) -> bool {
    let path = &wave.file.path;
    wave.value.name_any() == name
        || path == name
        || path.file_name() == Some(name)
        || path.file_stem() == Some(name)
}

/// The waves in `folder`, by file name. A wave whose digest does not match its content, or that is
/// of another plan, is refused.
pub fn waves(plan: &LoadedPlan, folder: &Utf8Path) -> Result<Vec<Loaded<MigrationWave>>, Failure> {
    let waves: Vec<Loaded<MigrationWave>> = objects(folder)?;
    let mut mistakes = Vec::new();
    for wave in &waves {
        let spec = &wave.value.spec;
        let computed = spec.compute_digest();
        if spec.digest != computed {
            mistakes.push(Diagnostic {
                level: Level::Error,
                kind: "digestMismatch",
                message: "the digest does not match the wave: it was edited by hand".to_owned(),
                spot: wave.spot("spec.digest"),
                notes: vec![format!("its content gives `{computed}`")],
                hint: Some("run `windrow plan` again, and change the plan instead".to_owned()),
            });
        }
        if spec.plan != plan.name()
            || wave.value.namespace().as_deref() != Some(plan.namespace().as_str())
        {
            mistakes.push(Diagnostic {
                level: Level::Error,
                kind: "otherPlan",
                message: format!("the wave is of another plan than `{}`", plan.name()),
                spot: wave.spot("spec.plan"),
                notes: vec![format!(
                    "`{}` is in namespace `{}`",
                    plan.name(),
                    plan.namespace()
                )],
                hint: Some("name its folder with --waves, or plan again".to_owned()),
            });
        }
    }
    if mistakes.is_empty() {
        Ok(waves)
    } else {
        Err(Failure::diagnostics(mistakes))
    }
}

/// The approvals beside a plan.
pub fn approvals(plan: &LoadedPlan) -> Result<Vec<Loaded<WaveApproval>>, Failure> {
    approvals_in(&approvals_folder(plan))
}

/// The approvals in a folder.
pub fn approvals_in(folder: &Utf8Path) -> Result<Vec<Loaded<WaveApproval>>, Failure> {
    objects(folder)
}

/// Where the approvals of a plan are.
pub fn approvals_folder(plan: &LoadedPlan) -> Utf8PathBuf {
    plan.folder().join("approvals")
}

/// Where the waves of a plan are, unless told otherwise.
pub fn waves_folder(plan: &LoadedPlan, wanted: Option<&Utf8PathBuf>) -> Utf8PathBuf {
    wanted
        .cloned()
        .unwrap_or_else(|| plan.folder().join("waves"))
}

/// Whether `wave` may run now as far as approvals go; the machine asks again at every step.
pub fn is_approved<'a>(
    wave: &MigrationWave,
    approvals: impl IntoIterator<Item = &'a WaveApproval>,
    now: Timestamp,
) -> bool {
    let spec = &wave.spec;
    let occurrence = spec.window.as_ref().map(|window| &window.occurrence);
    spec.approval == ApprovalPolicy::None
        || approvals.into_iter().any(|approval| {
            let approval = &approval.spec;
            approval.is_of(&wave.name_any(), &spec.digest)
                && (approval.occurrence.is_none() || approval.occurrence.as_ref() == occurrence)
                && approval.expires.is_none_or(|expires| now < expires)
        })
}

/// The approval of `wave` as it is: for its occurrence, and no longer than its window.
pub fn approval_of(wave: &MigrationWave, reference: Option<String>) -> WaveApproval {
    let window = wave.spec.window.as_ref();
    let spec = schemas::approval::ApprovalSpec {
        wave: Some(WaveName::new(wave.name_any())),
        digest: Some(wave.spec.digest.clone()),
        step: None,
        occurrence: window.map(|window| window.occurrence.clone()),
        expires: window.map(|window| window.to),
        reference,
    };
    let mut approval = WaveApproval::new(&wave.name_any(), spec);
    approval.metadata.namespace = wave.namespace();
    approval
}

/// The word that a step outside of a plan is done.
pub fn approval_of_step(
    plan: &LoadedPlan,
    step: &WorkloadName,
    reference: Option<String>,
) -> WaveApproval {
    let spec = schemas::approval::ApprovalSpec {
        wave: None,
        digest: None,
        step: Some(StepRef {
            plan: plan.name(),
            name: step.clone(),
        }),
        occurrence: None,
        expires: None,
        reference,
    };
    let mut approval = WaveApproval::new(&format!("{}-step-{step}", plan.name()), spec);
    approval.metadata.namespace = Some(plan.namespace().to_string());
    approval
}

/// Writes the word that a step is done beside the plan; gives its path.
pub fn write_step(
    plan: &LoadedPlan,
    step: &WorkloadName,
    approval: &WaveApproval,
) -> Result<Utf8PathBuf, Failure> {
    write(plan, &format!("step-{step}.yaml"), approval)
}

/// The targets of some waves, each once.
pub fn of_waves(waves: &[Loaded<MigrationWave>]) -> BTreeSet<&TargetName> {
    let targets = waves.iter().map(|wave| &wave.value.spec.target.name);
    targets.collect()
}

/// Writes an approval beside the plan, in the file that is called like the wave's; gives its path.
pub fn write_approval(
    plan: &LoadedPlan,
    wave: &Loaded<MigrationWave>,
    approval: &WaveApproval,
) -> Result<Utf8PathBuf, Failure> {
    let file = wave.file.path.file_name().unwrap_or("wave.yaml");
    write(plan, file, approval)
}

fn write(plan: &LoadedPlan, file: &str, approval: &WaveApproval) -> Result<Utf8PathBuf, Failure> {
    let folder = approvals_folder(plan);
    let path = folder.join(file);
    let failed = |source| {
        Failure::misused(TargetError::Write {
            path: path.clone(),
            source,
        })
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::write(&path, schemas::yaml::write_file(approval, &[])).map_err(failed)?;
    Ok(path)
}

/// The objects of kind `T` in the `*.yaml` of `folder`, by file name; none where it is not there.
fn objects<T: File>(folder: &Utf8Path) -> Result<Vec<Loaded<T>>, Failure> {
    let failed = |source| {
        Failure::misused(TargetError::List {
            path: folder.to_owned(),
            source,
        })
    };
    let entries = match folder.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.into_path();
        if path.extension() == Some("yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| load::file(path)).collect()
}

/// `a`, `b` and `c`, in backticks.
pub fn list<T: std::fmt::Display>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Why there is no target, or no file.
#[derive(Debug, thiserror::Error)]
enum TargetError {
    /// The site has no such target.
    #[error("find the target `{name}`")]
    Unknown {
        /// What was asked for.
        name: TargetName,
    },
    /// The waves are for several.
    #[error("choose a target: the waves are for several")]
    Several,
    /// A folder cannot be read.
    #[error("list `{path}`")]
    List {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("write `{path}`")]
    Write {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}
