//! Plans come in here: the plan's file, its site, and where everything stands in them.
//!
//! The site is inline in the plan, or the `MigrationSite` of that name in a `site.yaml` beside the
//! plan or in a folder above it, up to the root of the repository.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use kube::ResourceExt as _;
use planner::Before;
use schemas::facts::Knowledge;
use schemas::file::File;
use schemas::ids::{Namespace, PlanName};
use schemas::inventory::Inventory;
use schemas::plan::{MigrationPlan, PlanSpec};
use schemas::site::{MigrationSite, SiteSpec, default_namespace};
use schemas::yaml::{self, PathIndex};

use crate::cli::InputArguments;
use crate::diagnostic::{Diagnostic, Level, SourceFile, Spot};
use crate::facts::{self, LoadedTable};
use crate::failure::Failure;
use crate::others;
use crate::plan::files;
use crate::target;

/// A file's object, and where everything stands in it.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The object.
    pub value: T,
    /// Path and text.
    pub file: Arc<SourceFile>,
    /// Made when it is asked for the first time: most files are never asked.
    index: OnceLock<PathIndex>,
}

impl<T> Loaded<T> {
    /// Where the field at `path` (as in `spec.workloads[0].name`) stands; where the file does not
    /// have it, what is around it.
    pub fn spot(&self, path: &str) -> Spot {
        let text = &self.file.text;
        let index = self.index.get_or_init(|| PathIndex::of(text));
        let span = index.point(text, path);
        Spot {
            file: Arc::clone(&self.file),
            path: path.to_owned(),
            span,
        }
    }
}

/// A plan with its site.
#[derive(Clone, Debug)]
pub struct LoadedPlan {
    /// The plan.
    pub plan: Loaded<MigrationPlan>,
    /// Its site, unless that is inline.
    pub site_file: Option<Loaded<MigrationSite>>,
    /// The tables that its site names, by their position there; only where they were asked for.
    pub tables: BTreeMap<usize, LoadedTable>,
}

impl LoadedPlan {
    /// The plan's name.
    pub fn name(&self) -> PlanName {
        PlanName::new(self.plan.value.name_any())
    }

    /// The namespace of the plan and everything that belongs to it.
    pub fn namespace(&self) -> Namespace {
        self.plan
            .value
            .namespace()
            .map_or_else(default_namespace, Namespace::new)
    }

    /// What the plan says.
    pub fn spec(&self) -> &PlanSpec {
        &self.plan.value.spec
    }

    /// The site, wherever it stands.
    pub fn site(&self) -> &SiteSpec {
        match (&self.site_file, &self.plan.value.spec.inline_site) {
            (Some(site), _) => &site.value.spec,
            (None, Some(site)) => site,
            (None, None) => unreachable!("the YAML door asks for one of the two, `plan` finds it"),
        }
    }

    /// Mistakes that the planner found, with their places in the two files.
    pub fn diagnostics(&self, found: &[planner::diagnostic::Diagnostic]) -> Vec<Diagnostic> {
        found
            .iter()
            .map(|found| {
                let path = match found.place.path.as_str() {
                    "" => "spec".to_owned(),
                    path => format!("spec.{path}"),
                };
                Diagnostic {
                    level: match found.level {
                        planner::diagnostic::Level::Error => Level::Error,
                        planner::diagnostic::Level::Warning => Level::Warning,
                    },
                    kind: found.problem.kind(),
                    message: found.problem.to_string(),
                    spot: self.spot(found.place.file, &path),
                    notes: found
                        .problem
                        .also()
                        .into_iter()
                        .map(|(place, what)| {
                            let spot = self.spot(place.file, &format!("spec.{}", place.path));
                            format!("{what}: {}:{}", spot.file.path, spot.position().line)
                        })
                        .collect(),
                    hint: found.problem.hint(),
                }
            })
            .collect()
    }

    fn spot(&self, file: planner::diagnostic::File, path: &str) -> Spot {
        match (file, &self.site_file) {
            (planner::diagnostic::File::Facts { row, column }, _) => {
                let entry = path.trim_start_matches("spec.facts[").trim_end_matches(']');
                let table = entry
                    .parse()
                    .ok()
                    .and_then(|entry: usize| self.tables.get(&entry));
                table
                    .expect("only a table that was read has rows")
                    .spot(row, column)
            }
            (planner::diagnostic::File::Site, Some(site)) => site.spot(path),
            _ => self.plan.spot(path),
        }
    }

    /// Where a field of plan or site stands, as in `plans/erp/plan.yaml:22`.
    pub fn locate(&self, path: &str) -> String {
        let spot = self.spot_of(path);
        format!("{}:{}", spot.file.path, spot.position().line)
    }

    /// Where a field of plan or site stands. An inline site's fields begin with `inlineSite.`.
    pub fn spot_of(&self, path: &str) -> Spot {
        // Only a site has these.
        let of_site = [
            "sources[", "targets[", "windows[", "freezes[", "facts[", "require[",
        ]
        .iter()
        .any(|field| path.starts_with(field));
        let path = match path {
            "" => "spec".to_owned(),
            path => format!("spec.{path}"),
        };
        match &self.site_file {
            Some(site) if of_site => site.spot(&path),
            _ => self.plan.spot(&path),
        }
    }

    /// The folder of the plan's file, where `inventory/` and `waves/` are.
    pub fn folder(&self) -> &Utf8Path {
        folder_of(&self.plan.file.path)
    }
}

/// Reads the plan at `path` (a file, or the folder of a `plan.yaml`) and its site.
pub fn plan(path: &Utf8Path) -> Result<LoadedPlan, Failure> {
    let path = if path.is_dir() {
        path.join("plan.yaml")
    } else {
        path.to_owned()
    };
    with_site(file(&path)?)
}

/// The same of a text, as if it stood in the file at `path`.
pub fn plan_of_text(path: &Utf8Path, text: String) -> Result<LoadedPlan, Failure> {
    with_site(parse(path, text)?)
}

fn with_site(plan: Loaded<MigrationPlan>) -> Result<LoadedPlan, Failure> {
    let site_file = match &plan.value.spec.site {
        Some(name) => Some(site(name.as_str(), &plan)?),
        None => None,
    };
    Ok(LoadedPlan {
        plan,
        site_file,
        tables: BTreeMap::new(),
    })
}

/// All that a plan is decided from.
#[derive(Debug)]
pub struct Inputs {
    /// The plan and its site.
    pub plan: LoadedPlan,
    /// The snapshots, and what people know.
    pub inventory: Inventory,
    /// What `plan` wrote before: the waves on disk, and the forecast beside them.
    pub committed: Before,
}

/// Reads all that a plan is decided from: the plan and its site, the snapshots, the tables of facts,
/// and the waves in `waves` (absent: beside the plan).
pub fn inputs(
    path: &Utf8Path,
    arguments: &InputArguments,
    waves: Option<&Utf8PathBuf>,
) -> Result<Inputs, Failure> {
    let mut plan = plan(path)?;
    let folder = arguments.inventory.as_deref();
    let folder = folder.map_or_else(|| plan.folder().join("inventory"), Utf8Path::to_owned);
    let mut inventory = inventory::snapshot::read(&folder).map_err(|error| {
        let hint = error.hint().unwrap_or_else(|| {
            let plan = &plan.plan.file.path;
            format!("run `windrow inventory pull {plan} --out {folder}` first")
        });
        Failure::misused(error).hint(hint)
    })?;
    inventory.knowledge = knowledge(&mut plan, arguments.as_of)?;
    let waves = target::waves_folder(&plan, waves);
    let committed = files::committed(&waves, &plan.name())?;
    inventory.knowledge.committed = files::names(&committed);
    // It says how imports of different waves come between each other, and one that cannot be read
    // (as with the marks of a merge) says nothing.
    let forecast = files::forecast(&waves).ok().flatten();
    Ok(Inputs {
        plan,
        inventory,
        committed: Before {
            waves: committed,
            forecast,
        },
    })
}

/// Reads the tables of facts that the site of a plan names, and the other plans that it waits for.
pub fn knowledge(loaded: &mut LoadedPlan, as_of: Option<Date>) -> Result<Knowledge, Failure> {
    let others = others::read(loaded)?;
    let mut knowledge = Knowledge {
        as_of,
        plans: others.plans,
        plans_below: others.below,
        ..Knowledge::default()
    };
    let (folder, prefix) = match &loaded.site_file {
        Some(site) => (folder_of(&site.file.path).to_owned(), "spec"),
        None => (loaded.folder().to_owned(), "spec.inlineSite"),
    };
    let mut found = Vec::new();
    for (i, entry) in loaded.site().facts.clone().iter().enumerate() {
        let path = format!("{prefix}.facts[{i}].file");
        let named = match &loaded.site_file {
            Some(site) => site.spot(&path),
            None => loaded.plan.spot(&path),
        };
        if let Some((table, facts)) = facts::read(entry, &folder, &named, &mut found) {
            loaded.tables.insert(i, table);
            knowledge.tables.insert(entry.file.clone(), facts);
        }
    }
    if found.is_empty() {
        Ok(knowledge)
    } else {
        Err(Failure::diagnostics(found))
    }
}

/// Reads a file of kind `T`.
pub fn file<T: File>(path: &Utf8Path) -> Result<Loaded<T>, Failure> {
    let text = fs::read_to_string(path).map_err(|source| {
        Failure::misused(LoadError::Read {
            path: path.to_owned(),
            source,
        })
    })?;
    parse(path, text)
}

fn parse<T: File>(path: &Utf8Path, text: String) -> Result<Loaded<T>, Failure> {
    let read = yaml::read::<T>(&text).map(|document| document.value);
    let file = Arc::new(SourceFile::new(path.to_owned(), text));
    match read {
        Ok(value) => Ok(Loaded {
            value,
            file,
            index: OnceLock::new(),
        }),
        Err(error) => Err(Failure::diagnostics(
            error
                .problems
                .iter()
                .map(|p| Diagnostic::from_problem(&file, p))
                .collect(),
        )),
    }
}

/// Finds the site `name` beside the plan or above it.
fn site(name: &str, plan: &Loaded<MigrationPlan>) -> Result<Loaded<MigrationSite>, Failure> {
    let mut others = Vec::new();
    for folder in folders_up(&plan.file.path)? {
        let path = folder.join("site.yaml");
        if !path.is_file() {
            continue;
        }
        let site: Loaded<MigrationSite> = file(&path)?;
        let found = site.value.name_any();
        if found == name {
            return Ok(site);
        }
        others.push(format!("`{path}` holds the site `{found}`"));
    }
    let hint = if others.is_empty() {
        "put the site into `site.yaml` beside the plan or in a folder above it, or inline"
    } else {
        "name a site that is there"
    };
    Err(Failure::diagnostics(vec![Diagnostic {
        level: Level::Error,
        kind: "missing-site",
        message: format!("no `site.yaml` beside the plan or above it holds a site `{name}`"),
        spot: plan.spot("spec.site"),
        notes: others,
        hint: Some(hint.to_owned()),
    }]))
}

/// The folder of the file at `path` and those above it, up to the root of the repository; written
/// relative to where we are as far as that goes.
pub(crate) fn folders_up(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let here = |source| {
        Failure::misused(LoadError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let absolute = camino::absolute_utf8(path).map_err(here)?;
    let root = camino::absolute_utf8(".").map_err(here)?;
    let mut folders = Vec::new();
    for folder in absolute.ancestors().skip(1) {
        let shown = folder.strip_prefix(&root).unwrap_or(folder);
        folders.push(if path.is_absolute() {
            folder.to_owned()
        } else {
            shown.to_owned()
        });
        if folder.join(".git").exists() {
            break;
        }
    }
    Ok(folders)
}

pub(crate) fn folder_of(path: &Utf8Path) -> &Utf8Path {
    match path.parent() {
        Some(folder) if folder != "" => folder,
        _ => Utf8Path::new("."),
    }
}

/// Why a file could not be loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    /// It cannot be read.
    #[error("read `{path}`")]
    Read {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}
