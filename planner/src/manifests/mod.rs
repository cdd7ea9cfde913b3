//! Waves → manifests for those who may not run our controller: Argo CD, Flux, or plain kubectl.
//!
//! Takes the waves of one target as they were reviewed; gives files, with what such static order
//! cannot do said in a README among them. Sources come first, then a folder for each wave, or for
//! each step of one (see `steps`). Imports are byte for byte the same from commit to commit as long
//! as their decision is: no date, no digest, no counter is in them, for a write to an import that
//! runs makes the engine export everything again (Q06).

pub mod fields;
mod steps;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Environment;
use schemas::ids::{Namespace, TargetName};
use schemas::machine::import_name;
use schemas::objects::{self, SourceSpec};
use schemas::site::ApprovalPolicy;
use schemas::units::{Bytes, Seconds, Span};
use schemas::wave::{MigrationWave, WaveImport};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::diagnostic::count;
pub use fields::{Fields, Release, ReleaseError};

/// What is in the head of every file of ours, by which a later run knows it.
pub const HEADER_MARK: &str = "written by `windrow render`";

/// Most imports of one Argo CD Application.
const APPLICATION_IMPORTS_MAX: usize = 500;

/// Health scripts for Argo CD.
const ARGOCD_HEALTH: &str = include_str!("../../../deploy/argocd/argocd-cm.yaml");

/// Where the sources are.
const SOURCES: &str = "000-sources";

/// Who applies the manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Argo CD, with sync waves.
    Argocd,
    /// Flux, with a Kustomization for each step.
    Flux,
    /// kubectl, with a script that waits.
    Plain,
}

/// What the manifests need to know besides the waves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who applies them.
    pub tool: Tool,
    /// What the target's engine takes.
    pub fields: Fields,
    /// Most imports that are created at once; absent: as many as fit onto the scratch.
    pub at_once: Option<usize>,
    /// Argo CD: the repository's URL. Flux: the name of its `GitRepository`.
    pub repository: Option<String>,
    /// Argo CD: the branch.
    pub revision: String,
    /// Where the files will be in the repository, without a slash at either end.
    pub path: String,
    /// Flux: how long a step may take.
    pub timeout: Span,
}

/// Files by their path, and what is to be said about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSet {
    /// Their text, by path below the output folder.
    pub files: BTreeMap<String, String>,
    /// What the manifests cannot hold, or could not say.
    pub warnings: Vec<String>,
}

/// Why there are no manifests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The target's engine has no such kind.
    #[error(
        "render source `{0}`: the target's engine has no `OvaSource`; Harvester 1.7 is the first with it"
    )]
    NoOva(String),
    /// One import alone is more than the scratch takes.
    #[error("render `{0}`: it needs more scratch than there is")]
    TooLarge(String),
}

/// One folder with what is created together.
struct Step<'a> {
    folder: String,
    wave: &'a MigrationWave,
    number: usize,
    imports: Vec<&'a WaveImport>,
}

/// Makes the manifests of `waves`, which are all of one target and in the order of their names.
pub fn render(
    plan: &str,
    target: &TargetName,
    namespace: &Namespace,
    waves: &[&MigrationWave],
    options: &Options,
) -> Result<ManifestSet, RenderError> {
    let environment = template::environment();
    let steps = all_steps(plan, waves, options)?;
    let mut files = BTreeMap::new();
    files.insert(
        format!("{SOURCES}/sources.yaml"),
        sources(&environment, namespace, waves, options)?,
    );
    for step in &steps {
        let text = imports(&environment, namespace, step, options);
        files.insert(format!("{}/imports.yaml", step.folder), text);
    }
    match options.tool {
        Tool::Argocd => argocd(&environment, plan, namespace, &steps, options, &mut files),
        Tool::Flux => {
            let text = kustomizations(&environment, plan, &steps, options);
            files.insert("flux/kustomizations.yaml".to_owned(), text);
        }
        Tool::Plain => {
            let text = fill(
                &environment,
                "run.sh.j2",
                json!({ "mark": HEADER_MARK, "sources": SOURCES, "steps": step_list(&steps) }),
            );
            files.insert("run.sh".to_owned(), text);
        }
    }
    let warnings = warnings(waves, &steps, options);
    let readme = readme(
        &environment,
        plan,
        target,
        waves,
        &steps,
        &warnings,
        options,
    );
    files.insert("README.md".to_owned(), readme);
    Ok(ManifestSet { files, warnings })
}

fn fill(environment: &Environment<'_>, template: &str, context: Value) -> String {
    let context = minijinja::Value::from(minijinja::value::Serde(context));
    let template = environment
        .get_template(template)
        .expect("it is in the list");
    template
        .render(context)
        .expect("every value that it names is given; tests fill all of them")
}

fn all_steps<'a>(
    plan: &str,
    waves: &[&'a MigrationWave],
    options: &Options,
) -> Result<Vec<Step<'a>>, RenderError> {
    let mut all = Vec::new();
    // Sync waves: ten for each wave of ours, and more where one has more steps than that.
    let of_waves: Vec<_> = waves
        .iter()
        .map(|wave| steps::steps(wave, options.at_once))
        .collect();
    let most = of_waves.iter().map(Vec::len).max().unwrap_or(0);
    let spacing = if most <= 10 {
        10
    } else {
        most.next_multiple_of(10)
    };
    for ((wave, steps), n) in waves.iter().zip(of_waves).zip(1..) {
        for import in &wave.spec.imports {
            if import.size.peak.0 > wave.spec.scratch.0 {
                return Err(RenderError::TooLarge(import.name.to_string()));
            }
        }
        let stem = stem(plan, wave);
        let digits = steps.len().to_string().len();
        let single = steps.len() == 1;
        for (imports, k) in steps.into_iter().zip(0..) {
            let folder = if single {
                stem.clone()
            } else {
                format!("{stem}/{:0digits$}", k + 1)
            };
            all.push(Step {
                folder,
                wave,
                number: n * spacing + k,
                imports,
            });
        }
    }
    Ok(all)
}

/// The file stem of a wave: its name without that of the plan.
fn stem(plan: &str, wave: &MigrationWave) -> String {
    let name = wave.metadata.name.as_deref().unwrap_or_default();
    name.strip_prefix(plan)
        .and_then(|rest| rest.strip_prefix('-'))
        .unwrap_or(name)
        .to_owned()
}

/// Annotations by which the tool keeps its hands off an object that must not be made twice.
fn annotations(tool: Tool, number: i64) -> BTreeMap<&'static str, String> {
    match tool {
        Tool::Argocd => [
            (
                "argocd.argoproj.io/compare-options",
                "IgnoreExtraneous".to_owned(),
            ),
            (
                "argocd.argoproj.io/sync-options",
                "Prune=false,Delete=false".to_owned(),
            ),
            ("argocd.argoproj.io/sync-wave", number.to_string()),
        ]
        .into(),
        Tool::Flux => [
            ("kustomize.toolkit.fluxcd.io/prune", "disabled".to_owned()),
            (
                "kustomize.toolkit.fluxcd.io/substitute",
                "disabled".to_owned(),
            ),
        ]
        .into(),
        Tool::Plain => BTreeMap::new(),
    }
}

fn sources(
    environment: &Environment<'_>,
    namespace: &Namespace,
    waves: &[&MigrationWave],
    options: &Options,
) -> Result<String, RenderError> {
    let mut namespaces: BTreeSet<&str> = [namespace.as_str()].into();
    let mut sources = BTreeMap::new();
    for wave in waves {
        namespaces.extend(
            wave.spec
                .imports
                .iter()
                .map(|import| import.namespace.as_str()),
        );
        for source in &wave.spec.sources {
            let Some(spec) = SourceSpec::of(namespace, source) else {
                continue;
            };
            if matches!(spec, SourceSpec::Ova(_)) && !options.fields.has_ova() {
                return Err(RenderError::NoOva(source.name.to_string()));
            }
            let value = match &spec {
                SourceSpec::Vmware(spec) => to_value(spec),
                SourceSpec::Openstack(spec) => to_value(spec),
                SourceSpec::Ova(spec) => to_value(spec),
            };
            sources.insert(
                source.name.as_str(),
                json!({ "kind": spec.kind(), "name": source.name, "spec": value }),
            );
        }
    }
    // It is always there, and not ours.
    namespaces.remove("default");
    Ok(fill(
        environment,
        "sources.yaml.j2",
        json!({
            "mark": HEADER_MARK,
            "namespace": namespace.as_str(),
            "namespaces": namespaces,
            "namespace_annotations": annotations(options.tool, -20),
            "sources": sources.values().collect::<Vec<_>>(),
            "source_annotations": annotations(options.tool, -10),
        }),
    ))
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("our types have a JSON form")
}

fn imports(
    environment: &Environment<'_>,
    namespace: &Namespace,
    step: &Step<'_>,
    options: &Options,
) -> String {
    let number = i64::try_from(step.number).unwrap_or(i64::MAX);
    let imports: Vec<Value> = step
        .imports
        .iter()
        .filter_map(|import| {
            let spec = objects::import_spec(namespace, &step.wave.spec, import)?;
            Some(json!({
                "name": import_name(&import.record, 1),
                "namespace": import.namespace,
                "vm": import.vm.to_string(),
                "vmName": import.name,
                "spec": known(to_value(&spec), &options.fields),
            }))
        })
        .collect();
    fill(
        environment,
        "imports.yaml.j2",
        json!({
            "mark": HEADER_MARK,
            "imports": imports,
            "annotations": annotations(options.tool, number),
        }),
    )
}

/// A spec with the fields only that the target has.
fn known(spec: Value, fields: &Fields) -> Value {
    let Value::Object(spec) = spec else {
        return spec;
    };
    let mut kept: Map<String, Value> = spec
        .into_iter()
        .filter(|(name, _)| fields.has(name))
        .collect();
    if let Some(Value::Array(mapping)) = kept.get_mut("networkMapping")
        && !fields.has("networkInterfaceModel")
    {
        for network in mapping.iter_mut().filter_map(Value::as_object_mut) {
            network.remove("networkInterfaceModel");
        }
    }
    Value::Object(kept)
}

fn step_list<'s>(steps: &'s [Step<'_>]) -> Vec<&'s str> {
    steps.iter().map(|step| step.folder.as_str()).collect()
}

/// One Application, or several where there are more imports than one should have.
fn argocd(
    environment: &Environment<'_>,
    plan: &str,
    namespace: &Namespace,
    steps: &[Step<'_>],
    options: &Options,
    files: &mut BTreeMap<String, String>,
) {
    files.insert(
        "argocd/argocd-cm.yaml".to_owned(),
        format!("# {HEADER_MARK}\n{ARGOCD_HEALTH}"),
    );
    let mut parts: Vec<Vec<&Step<'_>>> = vec![Vec::new()];
    let mut held = 0;
    for step in steps {
        if held + step.imports.len() > APPLICATION_IMPORTS_MAX && held > 0 {
            parts.push(Vec::new());
            held = 0;
        }
        held += step.imports.len();
        parts.last_mut().expect("there is one").push(step);
    }
    let single = parts.len() == 1;
    for (part, n) in parts.iter().zip(1..) {
        let name = if single {
            plan.to_owned()
        } else {
            format!("{plan}-{n}")
        };
        let folders: Vec<&str> = part.iter().map(|step| step.folder.as_str()).collect();
        // The sources are of the first; the others find them there.
        let folders = if n == 1 {
            [vec![SOURCES], folders].concat()
        } else {
            folders
        };
        let globs: Vec<String> = folders
            .iter()
            .map(|folder| format!("{folder}/*.yaml"))
            .collect();
        let include = format!("{{{}}}", globs.join(","));
        let text = fill(
            environment,
            "application.yaml.j2",
            json!({
                "mark": HEADER_MARK,
                "name": name,
                "repository": options.repository.as_deref().unwrap_or(NO_REPOSITORY),
                "revision": options.revision,
                "path": options.path,
                "include": include,
                "namespace": namespace.as_str(),
            }),
        );
        let file = if single {
            "argocd/application.yaml".to_owned()
        } else {
            format!("argocd/application-{n:02}.yaml")
        };
        files.insert(file, text);
    }
}

/// Stands where no repository was named; nothing can be synced from it.
const NO_REPOSITORY: &str = "https://git.example/CHANGE-ME.git";

/// A Kustomization for the sources and one for each step, each waiting for the one before.
fn kustomizations(
    environment: &Environment<'_>,
    plan: &str,
    steps: &[Step<'_>],
    options: &Options,
) -> String {
    let name = |folder: &str| format!("{plan}-{}", folder.replace('/', "-"));
    let folders = [SOURCES]
        .into_iter()
        .chain(steps.iter().map(|step| step.folder.as_str()));
    let mut before: Option<String> = None;
    let mut list = Vec::new();
    for folder in folders {
        let path = if options.path.is_empty() {
            format!("./{folder}")
        } else {
            format!("./{}/{folder}", options.path)
        };
        list.push(json!({ "name": name(folder), "path": path, "after": before }));
        before = Some(name(folder));
    }
    fill(
        environment,
        "kustomizations.yaml.j2",
        json!({
            "mark": HEADER_MARK,
            "kustomizations": list,
            "repository": options.repository.as_deref().unwrap_or("flux-system"),
            "timeout": options.timeout.to_string(),
        }),
    )
}

/// What the manifests cannot hold, or could not say.
fn warnings(waves: &[&MigrationWave], steps: &[Step<'_>], options: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    let fields = &options.fields;
    if !fields.has("storageClass") {
        warnings.push(
            "the target's engine has no `storageClass`: disks go to the cluster's default class, whatever the waves say"
                .to_owned(),
        );
    }
    if !fields.has("gracefulShutdownTimeoutSeconds") {
        warnings.push(
            "the target's engine has no `gracefulShutdownTimeoutSeconds`: how long a guest may take to shut down is not \
             up to the waves"
                .to_owned(),
        );
    }
    let models = || {
        let imports = waves.iter().flat_map(|wave| &wave.spec.imports);
        imports
            .flat_map(|import| &import.networks)
            .any(|network| network.model.is_some())
    };
    if !fields.has("networkInterfaceModel") && models() {
        warnings.push(
            "the target's engine has no `networkInterfaceModel`: interfaces get the model that it chooses".to_owned(),
        );
    }
    warnings.extend(unkept(waves));
    let unmet = steps::unmet(waves);
    if !unmet.is_empty() {
        let some: Vec<String> = unmet.iter().take(3).map(|vm| format!("`{vm}`")).collect();
        let more = unmet.len().saturating_sub(some.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        warnings.push(format!(
            "{} wait for {} that none of these waves moves before: see to it that they run ({}{more})",
            "imports",
            count(unmet.len(), "machine"),
            some.join(", ")
        ));
    }
    if options.tool == Tool::Argocd && options.repository.is_none() {
        warnings.push(format!(
            "no repository was named, so the Application has `{NO_REPOSITORY}`: give `--repo URL`"
        ));
    }
    if options.tool == Tool::Flux && steps.len() > KUSTOMIZATIONS_MANY {
        warnings.push(format!(
            "{} wait for each other one by one; our controller is made for so many",
            count(steps.len(), "Kustomization")
        ));
    }
    warnings
}

/// Gates, steps outside and other plans, for which no static order can wait.
fn unkept(waves: &[&MigrationWave]) -> Vec<String> {
    let mut gates: BTreeSet<String> = BTreeSet::new();
    let mut steps: BTreeSet<String> = BTreeSet::new();
    let mut others: BTreeSet<String> = BTreeSet::new();
    for wave in waves {
        let held = wave.spec.workloads.iter().filter(|it| it.gate.is_some());
        gates.extend(held.map(|workload| workload.name.to_string()));
        steps.extend(wave.spec.steps.iter().map(|step| step.name.to_string()));
        let elsewhere = wave.spec.prerequisites.iter();
        let elsewhere = elsewhere.filter(|before| before.workload.plan.is_some());
        others.extend(elsewhere.map(|before| before.workload.to_string()));
    }
    let list = |names: BTreeSet<String>| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let mut said = Vec::new();
    if !gates.is_empty() {
        said.push(format!(
            "the gates of {} are not tried: what waits for these machines starts as soon as they run",
            list(gates)
        ));
    }
    if !steps.is_empty() {
        said.push(format!(
            "the steps outside {} are not waited for: see to it that each is done before you let go on what \
             depends on it",
            list(steps)
        ));
    }
    if !others.is_empty() {
        said.push(format!(
            "{}, of other plans, are not waited for: see to it that their machines run before you let go on what \
             depends on them",
            list(others)
        ));
    }
    said
}

/// From so many Kustomizations on it is said that there are many: each waits up to its timeout.
const KUSTOMIZATIONS_MANY: usize = 100;

/// What the README says of one step.
#[derive(Serialize)]
struct StepLine {
    folder: String,
    number: usize,
    vms: usize,
    window: Option<String>,
    scratch: String,
    down: String,
}

fn readme(
    environment: &Environment<'_>,
    plan: &str,
    target: &TargetName,
    waves: &[&MigrationWave],
    steps: &[Step<'_>],
    warnings: &[String],
    options: &Options,
) -> String {
    let lines: Vec<StepLine> = steps.iter().map(step_line).collect();
    let secrets: BTreeSet<&str> = waves
        .iter()
        .flat_map(|wave| &wave.spec.sources)
        .filter_map(|source| {
            source
                .credentials
                .as_ref()
                .map(schemas::ids::ObjectName::as_str)
        })
        .collect();
    let windows: BTreeSet<&str> = waves
        .iter()
        .filter_map(|wave| wave.spec.window.as_ref().map(|window| window.name.as_str()))
        .collect();
    let approvals = waves
        .iter()
        .filter(|wave| wave.spec.approval == ApprovalPolicy::Required)
        .count();
    let imports: usize = steps.iter().map(|step| step.imports.len()).sum();
    let applications = if options.tool == Tool::Argocd {
        imports.div_ceil(APPLICATION_IMPORTS_MAX)
    } else {
        0
    };
    fill(
        environment,
        "README.md.j2",
        json!({
            "mark": HEADER_MARK,
            "plan": plan,
            "target": target.as_str(),
            "tool": match options.tool {
                Tool::Argocd => "argocd",
                Tool::Flux => "flux",
                Tool::Plain => "plain",
            },
            "basis": options.fields.basis,
            "steps": lines,
            "sources": SOURCES,
            "secrets": secrets,
            "windows": windows,
            "approvals": approvals,
            "warnings": warnings,
            "applications": applications,
            "at_once": options.at_once,
            "vms": count(imports, "VM"),
            "waves": count(waves.len(), "wave"),
        }),
    )
}

/// What a step comes to, where all of it is created at once: its guests go off together, and are
/// exported one after the other.
fn step_line(step: &Step<'_>) -> StepLine {
    let sizes = step.imports.iter().map(|import| &import.size);
    let transfer: Bytes = sizes.clone().map(|size| size.transfer.0).sum();
    let scratch: Bytes = sizes.map(|size| size.peak.0).sum();
    let rate = step.wave.spec.rates.export_bytes_per_second.0;
    let window = step.wave.spec.window.as_ref();
    let down: Seconds = transfer.at_rate(rate);
    StepLine {
        folder: step.folder.clone(),
        number: step.number,
        vms: step.imports.len(),
        window: window.map(|window| format!("{} {}", window.name, window.occurrence)),
        scratch: scratch.to_string(),
        down: down.to_string(),
    }
}
