//! The other plans of the estate come in here, where a plan waits for workloads of one.
//!
//! Each is a `plan.yaml` in a folder of its own below the folder of the site (where the site is inline or
//! beside the plan: below the folder around the plan's own), with its waves and its forecast beside it.
//! They are found by name, as the site is. A file that cannot be read as a plan is nobody's concern here, unless no
//! other one bears the name that is looked for.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use kube::ResourceExt as _;
use schemas::ids::{Namespace, PlanName, WorkloadRef};
use schemas::other::OtherPlan;
use schemas::plan::{MigrationPlan, PlanSpec};
use schemas::site::default_namespace;

use crate::failure::Failure;
use crate::load::{self, LoadedPlan};
use crate::plan::files;

/// How deep below the site's folder plans are looked for: `plans/erp/plan.yaml`, and one more.
const DEPTH_MAX: usize = 4;
/// Folders that are looked into at most: an estate has a few thousand.
const FOLDERS_MAX: usize = 20_000;
/// Folders that plans and tools write many files into, and no plan.
const PASSED_OVER: [&str; 6] = [
    "inventory",
    "waves",
    "approvals",
    "rendered",
    "node_modules",
    "target",
];

/// A plan by namespace and name.
type Key = (Namespace, PlanName);

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// All plans but the one that asks. Of those that are waited for, with what was decided.
    pub plans: Vec<OtherPlan>,
    /// Where they were looked for, where somebody asks for one.
    pub below: Option<String>,
}

/// Reads the plans that `asking` waits for, and those that these wait for.
pub(crate) fn read(asking: &LoadedPlan) -> Result<Others, Failure> {
    let own = (asking.namespace(), asking.name());
    if named(asking.spec(), &own.0).next().is_none() {
        return Ok(Others::default());
    }
    let below = root(asking)?;
    let found = plans(&below, &asking.plan.file.path);
    let mut wanted: BTreeSet<Key> = BTreeSet::from([own.clone()]);
    let mut open: Vec<Key> = named(asking.spec(), &own.0).collect();
    while let Some(key) = open.pop() {
        if wanted.insert(key.clone()) {
            let of_it = found.iter().filter(|(_, other)| key_of(other) == key);
            open.extend(of_it.flat_map(|(_, other)| named(&other.spec, &key.0)));
        }
    }
    let mut plans = Vec::new();
    for (path, other) in &found {
        let key = key_of(other);
        if key == own {
            continue;
        }
        let folder = load::folder_of(path).join("waves");
        let (waves, forecast) = if wanted.contains(&key) {
            let waves = files::committed(&folder, &key.1)?;
            (waves, files::forecast(&folder).ok().flatten())
        } else {
            (Vec::new(), None)
        };
        let about = (key.0, key.1, path.to_string());
        plans.push(OtherPlan::of(about, &other.spec, &waves, forecast.as_ref()));
    }
    plans.sort_by(|a, b| (&a.namespace, &a.name, &a.path).cmp(&(&b.namespace, &b.name, &b.path)));
    Ok(Others {
        plans,
        below: Some(below.to_string()),
    })
}

/// The plans whose workloads a plan in `namespace` waits for.
fn named<'a>(spec: &'a PlanSpec, namespace: &'a Namespace) -> impl Iterator<Item = Key> + 'a {
    let written = spec.workloads.iter().flat_map(|it| &it.depends_on);
    let made = spec.workloads_from.iter().flat_map(|it| &it.depends_on);
    written.chain(made).filter_map(|asked: &WorkloadRef| {
        let plan = asked.plan.as_ref()?;
        let namespace = plan.namespace.as_ref().unwrap_or(namespace);
        Some((namespace.clone(), plan.name.clone()))
    })
}

fn key_of(plan: &MigrationPlan) -> Key {
    let namespace = plan.namespace().map(Namespace::new);
    let namespace = namespace.unwrap_or_else(default_namespace);
    (namespace, PlanName::new(plan.name_any()))
}

/// Below which folder plans are looked for.
fn root(asking: &LoadedPlan) -> Result<Utf8PathBuf, Failure> {
    if let Some(site) = &asking.site_file {
        let folder = load::folder_of(&site.file.path);
        if folder != asking.folder() {
            return Ok(folder.to_owned());
        }
    }
    let folders = load::folders_up(&asking.plan.file.path)?;
    let around = folders.get(1).or(folders.first());
    Ok(match around {
        Some(folder) if folder != "" => folder.clone(),
        _ => Utf8PathBuf::from("."),
    })
}

/// All plans below a folder but the one at `own`, by path.
fn plans(below: &Utf8Path, own: &Utf8Path) -> BTreeMap<Utf8PathBuf, MigrationPlan> {
    let is_own = |path: &Utf8Path| {
        let same =
            |a: &Utf8Path, b: &Utf8Path| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
        same(path, own).unwrap_or(false)
    };
    let mut found = BTreeMap::new();
    let mut open = vec![(below.to_owned(), 0)];
    let mut looked = 0;
    while let Some((folder, depth)) = open.pop() {
        looked += 1;
        let path = folder.join("plan.yaml");
        if path.is_file()
            && !is_own(&path)
            && let Ok(plan) = load::file::<MigrationPlan>(&path)
        {
            let shown = path.strip_prefix(".").unwrap_or(&path);
            found.insert(shown.to_owned(), plan.value);
        }
        if depth == DEPTH_MAX || looked > FOLDERS_MAX {
            continue;
        }
        let Ok(entries) = folder.read_dir_utf8() else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            // A link may lead anywhere, back here too.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !name.starts_with('.') && !PASSED_OVER.contains(&name) {
                open.push((entry.path().to_owned(), depth + 1));
            }
        }
    }
    found
}
