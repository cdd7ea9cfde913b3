//! `workloadsFrom`: one workload for each value of a tag, an attribute or a folder.
//!
//! What comes out is a plan as a person could have written it: workloads with ids. So everything
//! behind it knows one kind of workload.

use std::collections::{BTreeMap, BTreeSet};

use schemas::digest;
use schemas::ids::{Namespace, VmKey, WorkloadName, WorkloadRef};
use schemas::inventory::{SourceKind, Vm};
use schemas::plan::{PlanSpec, Selector, TargetOverride, Workload, WorkloadsFrom};

use super::matcher::Matcher;
use super::pattern::Pattern;
use super::select::{Claim, Claims, Look};
use crate::diagnostic::{Diagnostic, Diagnostics, File, Kind, Place, Problem, nearest};

/// Longest name of a workload, as its schema says.
const WORKLOAD_NAME_CHARACTERS_MAX: usize = 52;
/// Longest name of a namespace.
const NAMESPACE_CHARACTERS_MAX: usize = 63;
/// Hexadecimal digits that tell names apart which would be one.
const HASH_DIGITS: usize = 6;

/// A workload that no person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The workload, with the ids of its VMs.
    pub workload: Workload,
    /// The position of what made it in the plan's `workloadsFrom`.
    pub from: usize,
}

/// What VMs of a workload have in common.
enum GroupBy<'a> {
    Tag(&'a str),
    Attribute(&'a str),
    /// The first names of the folder's path; all of them where no number is given.
    Folder(Option<usize>),
}

impl<'a> GroupBy<'a> {
    fn read(text: &'a str) -> Self {
        match text.split_once(':') {
            Some(("tag", category)) => Self::Tag(category),
            Some(("attribute", name)) => Self::Attribute(name),
            // The schema lets nothing else through.
            Some((_, depth)) => Self::Folder(depth.parse().ok()),
            None => Self::Folder(None),
        }
    }

    /// The values that a VM has, of which it should have one.
    fn keys(&self, vm: &Vm) -> BTreeSet<String> {
        let keys: BTreeSet<String> = match self {
            Self::Tag(category) => {
                let value = |tag: &String| {
                    let (of, value) = tag.split_once('/').or_else(|| tag.split_once('='))?;
                    (of == *category).then(|| value.to_owned())
                };
                vm.tags.iter().filter_map(value).collect()
            }
            Self::Attribute(name) => vm.attributes.get(*name).cloned().into_iter().collect(),
            Self::Folder(depth) => {
                let names = vm.folder.iter().flat_map(|folder| folder.split('/'));
                let names: Vec<&str> = names.take(depth.unwrap_or(usize::MAX)).collect();
                BTreeSet::from([names.join("/")])
            }
        };
        keys.into_iter()
            .filter(|key| !key.trim().is_empty())
            .collect()
    }
}

/// Makes the workloads and claims their VMs. Positions count on from those of `workloads`.
pub(super) fn expand(
    spec: &PlanSpec,
    look: &mut Look<'_, '_>,
    claims: &mut Claims,
    out: &mut Diagnostics,
) -> Vec<Generated> {
    let mut generated: Vec<Generated> = Vec::new();
    let mut names: BTreeSet<WorkloadName> = spec
        .workloads
        .iter()
        .map(|workload| workload.name.clone())
        .collect();
    for (k, from) in spec.workloads_from.iter().enumerate() {
        for (workload, vms) in workloads(spec, k, from, look, claims, out) {
            if !names.insert(workload.name.clone()) {
                let name = workload.name.to_string();
                let kind = Kind::Workload;
                out.error(place(k, ".groupBy"), Problem::Duplicate { kind, name });
                continue;
            }
            let claim = Claim {
                workload: spec.workloads.len() + generated.len(),
                path: format!("workloadsFrom[{k}]"),
                by_id: false,
            };
            for vm in vms {
                claims.by_vm.insert(vm, claim.clone());
            }
            generated.push(Generated { workload, from: k });
        }
    }
    for (k, from) in spec.workloads_from.iter().enumerate() {
        for (n, name) in from.depends_on.iter().enumerate() {
            let Some(name) = name.own() else { continue };
            if !names.contains(name) {
                let problem = Problem::Unknown {
                    kind: Kind::Workload,
                    name: name.to_string(),
                    within: None,
                    nearest: nearest(name.as_str(), names.iter().map(WorkloadName::as_str)),
                };
                out.error(place(k, &format!(".dependsOn[{n}]")), problem);
            }
        }
    }
    for made in &mut generated {
        let is_known = |name: &WorkloadRef| name.own().is_none_or(|name| names.contains(name));
        made.workload.depends_on.retain(is_known);
    }
    generated
}

/// The plan with the workloads that were made, as a person could have written it.
pub(super) fn expanded(spec: &PlanSpec, generated: &[Generated]) -> PlanSpec {
    let mut spec = spec.clone();
    let made = generated.iter().map(|made| made.workload.clone());
    spec.workloads.extend(made);
    spec
}

/// Gives mistakes about workloads that were made the place of what made them.
pub(super) fn name_places(spec: &PlanSpec, generated: &[Generated], found: &mut [Diagnostic]) {
    for diagnostic in found {
        let path = &diagnostic.place.path;
        let Some((number, _)) = path
            .strip_prefix("workloads[")
            .and_then(|rest| rest.split_once(']'))
        else {
            continue;
        };
        let made = number
            .parse()
            .ok()
            .and_then(|n: usize| n.checked_sub(spec.workloads.len()));
        if let Some(made) = made.and_then(|made| generated.get(made)) {
            diagnostic.place.path = format!("workloadsFrom[{}]", made.from);
        }
    }
}

fn place(k: usize, field: &str) -> Place {
    Place {
        file: File::Plan,
        path: format!("workloadsFrom[{k}]{field}"),
    }
}

/// The workloads of one entry, by key, each with its VMs.
fn workloads(
    spec: &PlanSpec,
    k: usize,
    from: &WorkloadsFrom,
    look: &mut Look<'_, '_>,
    claims: &Claims,
    out: &mut Diagnostics,
) -> Vec<(Workload, Vec<VmKey>)> {
    let Some(groups) = groups(k, from, look, claims, out) else {
        return Vec::new();
    };
    let slugs = slugs(groups.keys());
    let mut made = Vec::with_capacity(groups.len());
    for (key, vms) in groups {
        let slug = &slugs[&key];
        let template = from.name.as_deref().unwrap_or("{key}");
        let name = shortened(
            &template.replace("{key}", slug),
            &key,
            WORKLOAD_NAME_CHARACTERS_MAX,
        );
        let namespace = from.namespace.as_ref().map(|template| {
            let name = template.replace("{key}", slug);
            Namespace::new(shortened(&name, &key, NAMESPACE_CHARACTERS_MAX))
        });
        let workload = Workload {
            name: WorkloadName::new(name),
            select: vec![Selector {
                source: from.source.clone(),
                ids: Some(vms.iter().map(|vm| vm.id.clone()).collect()),
                ..Selector::default()
            }],
            depends_on: from.depends_on.clone(),
            target: namespace.map(|namespace| TargetOverride {
                name: None,
                namespace: Some(namespace),
            }),
            ..Workload::default()
        };
        made.push((workload, vms));
    }
    if made.is_empty() {
        let problem = Problem::GroupsNothing {
            group_by: from.group_by.clone(),
            source_name: from.source.clone(),
        };
        // Where everything is selected by name already, nothing is wrong.
        let place = place(k, ".groupBy");
        if spec.workloads.is_empty() {
            out.error(place, problem);
        } else {
            out.warning(place, problem);
        }
    }
    made
}

/// VMs that nobody else has, by the value that they have in common.
fn groups(
    k: usize,
    from: &WorkloadsFrom,
    look: &mut Look<'_, '_>,
    claims: &Claims,
    out: &mut Diagnostics,
) -> Option<BTreeMap<String, Vec<VmKey>>> {
    let path = format!("workloadsFrom[{k}]");
    let source = look.source(&from.source, &path, out)?;
    let group_by = GroupBy::read(&from.group_by);
    let by_folder = matches!(group_by, GroupBy::Folder(_));
    if (from.folder.is_some() || by_folder) && source.kind() != SourceKind::Vmware {
        let field = if by_folder { "groupBy" } else { "folder" };
        let problem = Problem::NotOfKind {
            source_name: from.source.clone(),
            field: "folder",
            only: SourceKind::Vmware,
        };
        out.error(place(k, &format!(".{field}")), problem);
        return None;
    }
    let folder = match from.folder.as_deref().map(Pattern::folder).transpose() {
        Ok(folder) => folder,
        Err(reason) => {
            let pattern = from.folder.clone().unwrap_or_default();
            out.error(place(k, ".folder"), Problem::BadPattern { pattern, reason });
            return None;
        }
    };
    let mut exclude = Vec::new();
    for (i, selector) in from.exclude.iter().enumerate() {
        let path = format!("{path}.exclude[{i}]");
        let source = look.source(&selector.source, &path, out)?;
        let matcher = Matcher::new(selector, source.kind(), &path, out)?;
        exclude.push(matcher);
    }
    let (mut groups, mut unlabelled, mut several) = (BTreeMap::new(), Vec::new(), Vec::new());
    for vm in source.vms() {
        let key = VmKey::new(from.source.clone(), vm.id.clone());
        let inside = folder
            .as_ref()
            .is_none_or(|folder| vm.folder.as_ref().is_some_and(|f| folder.holds(f)));
        let left = exclude
            .iter()
            .any(|matcher| matcher.selector().source == from.source && matcher.takes(vm, source));
        let spoken_for = claims.by_vm.contains_key(&key) || claims.out_of_scope.contains_key(&key);
        if vm.template || !inside || left || spoken_for {
            continue;
        }
        let mut keys = group_by.keys(vm).into_iter();
        match (keys.next(), keys.next()) {
            (Some(group), None) => groups.entry(group).or_insert_with(Vec::new).push(key),
            (None, _) => unlabelled.push(format!("{key} ({})", vm.name)),
            (Some(one), Some(two)) => {
                several.push(format!("{key} ({}): {one}, {two}", vm.name));
            }
        }
    }
    let group_by = from.group_by.clone();
    if !several.is_empty() {
        let group_by = group_by.clone();
        let vms = several;
        out.error(
            place(k, ".groupBy"),
            Problem::SeveralGroups { group_by, vms },
        );
    }
    if !unlabelled.is_empty() {
        let vms = unlabelled;
        out.warning(place(k, ".groupBy"), Problem::Unlabelled { group_by, vms });
    }
    Some(groups)
}

/// For each key a name that DNS takes. Keys that would have one name get digits of their own, but
/// for one that is such a name as it stands.
fn slugs<'k>(keys: impl Iterator<Item = &'k String>) -> BTreeMap<String, String> {
    let mut by_slug: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for key in keys {
        by_slug.entry(slug(key)).or_default().push(key);
    }
    let mut slugs = BTreeMap::new();
    for (slug, keys) in by_slug {
        let alone = keys.len() == 1 && !slug.is_empty();
        for key in keys {
            let name = if alone || *key == slug {
                slug.clone()
            } else {
                with_hash(&slug, key)
            };
            slugs.insert(key.clone(), name);
        }
    }
    slugs
}

/// Lower-case letters and digits; whatever else stands between becomes one `-`.
fn slug(key: &str) -> String {
    let words = key.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}

fn with_hash(slug: &str, key: &str) -> String {
    let digest = digest::of(&key).to_string();
    let digits = &digest[digest.len() - HASH_DIGITS..];
    let between = if slug.is_empty() { "" } else { "-" };
    format!("{slug}{between}{digits}")
}

/// A name that is too long, cut, with digits in the place of what is cut off.
fn shortened(name: &str, key: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let kept = name[..max - HASH_DIGITS - 1].trim_end_matches('-');
    with_hash(kept, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every name is one that DNS takes; two keys never share one, and a name that fits is kept.
    #[test]
    fn names() {
        let keys = ["erp", "ERP", "E R P", "CRM 2", "Größe", "東京"].map(str::to_owned);
        let slugs = slugs(keys.iter());
        let distinct: BTreeSet<&String> = slugs.values().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(slugs["erp"], "erp");
        assert_eq!(slugs["CRM 2"], "crm-2");
        assert!(slugs["ERP"].starts_with("erp-"), "{}", slugs["ERP"]);
        let dns = |name: &str| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !name.starts_with('-')
                && !name.ends_with('-')
                && !name.is_empty()
        };
        assert!(slugs.values().all(|name| dns(name)), "{slugs:?}");
        let long = shortened(&"a".repeat(80), "key", WORKLOAD_NAME_CHARACTERS_MAX);
        assert_eq!(long.len(), WORKLOAD_NAME_CHARACTERS_MAX);
    }
}
