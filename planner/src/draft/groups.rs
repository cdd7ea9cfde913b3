//! Which VMs belong together, by what their source says of them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{SourceName, VmKey};
use schemas::inventory::{Inventory, RuleKind, SourceInventory, SourceKind, Vm};
use schemas::shown::shown;

use super::Group;

/// Longest name of a workload, less room for a number.
const NAME_CHARACTERS_MAX: usize = 48;

/// By what VMs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The vApp that they are in.
    Vapp,
    /// An affinity rule that they share.
    Rule,
    /// A tag: of the category that most have (vSphere), or the first (OpenStack).
    Tag,
    /// Their folder.
    Folder,
    /// Their name without the number at its end.
    Name,
    /// The network of their first interface.
    Network,
}

/// What is tried for a VM, one after the other, until something puts it beside another one.
const ORDER: [By; 6] = [
    By::Vapp,
    By::Rule,
    By::Tag,
    By::Folder,
    By::Name,
    By::Network,
];

/// Words in a name that say which tier it is; lower ones run first.
const TIERS: [(&str, u8); 21] = [
    ("ad", 0),
    ("dc", 0),
    ("dns", 0),
    ("infra", 0),
    ("ldap", 0),
    ("db", 1),
    ("database", 1),
    ("mysql", 1),
    ("oracle", 1),
    ("postgres", 1),
    ("sql", 1),
    ("mq", 2),
    ("queue", 2),
    ("app", 3),
    ("backend", 3),
    ("api", 3),
    ("front", 4),
    ("frontend", 4),
    ("lb", 4),
    ("proxy", 4),
    ("web", 4),
];

/// The groups of all VMs, by name.
pub(super) fn of(inventory: &Inventory, by: Option<By>) -> Vec<Group> {
    let mut found: BTreeMap<(By, String), (BTreeSet<VmKey>, String)> = BTreeMap::new();
    for (name, source) in &inventory.sources {
        for (vm, by, key) in keys(source, by) {
            let why = why(by, &key);
            let members = &mut found
                .entry((by, key))
                .or_insert_with(|| (BTreeSet::new(), why))
                .0;
            members.insert(VmKey::new(name.as_str(), vm.id.as_str()));
        }
    }
    let mut taken = BTreeSet::new();
    let mut groups: Vec<Group> = found
        .into_iter()
        .map(|((_, key), (members, why))| Group {
            name: unique(&slug(&key), &mut taken),
            why,
            members: members.into_iter().collect(),
            after: BTreeMap::new(),
            wave: None,
            namespace: None,
        })
        .collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    propose(inventory, &mut groups);
    groups
}

/// For each VM of a source what puts it into which group.
fn keys(source: &SourceInventory, by: Option<By>) -> Vec<(&Vm, By, String)> {
    let rules = rules(source);
    let category = category(source);
    let key = |vm: &Vm, by: By| match by {
        By::Vapp => vm.vapp.clone(),
        By::Rule => rules.get(vm.id.as_str()).cloned(),
        By::Tag => vm
            .tags
            .iter()
            .find_map(|tag| match (&category, tag.split_once('/')) {
                (Some(category), Some((of, value))) if of == category => Some(value.to_owned()),
                (None, None) => Some(tag.clone()),
                _ => None,
            }),
        By::Folder => vm.folder.clone().filter(|folder| !folder.is_empty()),
        By::Name => Some(stem(vm.name.as_str())),
        By::Network => vm.nics.iter().find_map(|nic| nic.network_name.clone()),
    };
    let vms: Vec<&Vm> = source.vms.iter().filter(|vm| !vm.template).collect();
    let tried: Vec<By> = by.map_or_else(|| ORDER.to_vec(), |by| vec![by]);
    // How many would stand beside each other.
    let mut sizes: BTreeMap<(By, String), usize> = BTreeMap::new();
    for vm in &vms {
        for by in &tried {
            if let Some(key) = key(vm, *by) {
                *sizes.entry((*by, key)).or_default() += 1;
            }
        }
    }
    vms.into_iter()
        .map(|vm| {
            let several = tried.iter().find_map(|by| {
                let key = key(vm, *by)?;
                (sizes[&(*by, key.clone())] > 1).then_some((*by, key))
            });
            // Alone: by its folder or its name.
            let alone = || {
                let key = key(vm, By::Folder).unwrap_or_else(|| stem(vm.name.as_str()));
                (
                    if key == stem(vm.name.as_str()) {
                        By::Name
                    } else {
                        By::Folder
                    },
                    key,
                )
            };
            let (by, key) = several.unwrap_or_else(alone);
            (vm, by, key)
        })
        .collect()
}

/// The affinity rule that each VM is in, by the VM's id; of several the first by name.
fn rules(source: &SourceInventory) -> BTreeMap<&str, String> {
    let mut found = BTreeMap::new();
    let mut rules: Vec<_> = source
        .rules
        .iter()
        .filter(|rule| rule.enabled && rule.kind == RuleKind::Affinity && rule.members.len() > 1)
        .collect();
    rules.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    for rule in rules {
        let name = rule.name.clone().unwrap_or_else(|| rule.id.clone());
        for member in &rule.members {
            found.entry(member.as_str()).or_insert_with(|| name.clone());
        }
    }
    found
}

/// vSphere: the category with several tags that most VMs have one of. Nothing for OpenStack, whose
/// tags have no category.
fn category(source: &SourceInventory) -> Option<String> {
    if source.about.kind != SourceKind::Vmware {
        return None;
    }
    let mut found: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for vm in &source.vms {
        for (category, tag) in vm.tags.iter().filter_map(|tag| tag.split_once('/')) {
            let entry = found.entry(category).or_default();
            entry.0 += 1;
            entry.1.insert(tag);
        }
    }
    let several = found.into_iter().filter(|(_, (_, tags))| tags.len() > 1);
    let most = several.max_by_key(|(name, (vms, _))| (*vms, std::cmp::Reverse(*name)));
    // A word that is no category, so that no tag is taken where none fits.
    Some(most.map_or_else(String::new, |(name, _)| name.to_owned()))
}

/// A name without the number at its end: `erp-web-1` → `erp-web`.
fn stem(name: &str) -> String {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = bare.trim_end_matches(['-', '_', '.', ' ']);
    if bare.is_empty() {
        name.to_owned()
    } else {
        bare.to_lowercase()
    }
}

fn why(by: By, key: &str) -> String {
    let key = shown(key);
    match by {
        By::Vapp => format!("in the vApp `{key}`"),
        By::Rule => format!("kept together by the rule `{key}`"),
        By::Tag => format!("tagged `{key}`"),
        By::Folder => format!("in the folder `{key}`"),
        By::Name => format!("called `{key}` and a number"),
        By::Network => format!("on the network `{key}`"),
    }
}

/// A name as workloads may have it.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug: String = slug
        .trim_matches('-')
        .chars()
        .take(NAME_CHARACTERS_MAX)
        .collect();
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "vms".to_owned()
    } else {
        slug.to_owned()
    }
}

/// The name, or one with a number where it is taken.
fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|n: u32| format!("{name}-{n}"));
    let name = std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .expect("numbers do not end");
    taken.insert(name.clone());
    name
}

/// Adds dependencies that rules of the source or the names of the groups suggest.
fn propose(inventory: &Inventory, groups: &mut [Group]) {
    let of: BTreeMap<VmKey, usize> = groups
        .iter()
        .enumerate()
        .flat_map(|(i, group)| group.members.iter().map(move |key| (key.clone(), i)))
        .collect();
    for (name, source) in &inventory.sources {
        for (before, after, why) in said(name, source) {
            if let (Some(before), Some(after)) = (of.get(&before), of.get(&after)) {
                add(groups, *before, *after, &why);
            }
        }
    }
    for after in 0..groups.len() {
        for before in 0..groups.len() {
            let (Some(first), Some(second)) =
                (tier(&groups[before].name), tier(&groups[after].name))
            else {
                continue;
            };
            // The tier just before, of the same system.
            let nearest = groups
                .iter()
                .filter_map(|group| tier(&group.name))
                .filter(|(base, rank)| *base == second.0 && *rank < second.1)
                .map(|(_, rank)| rank)
                .max();
            if first.0 == second.0 && Some(first.1) == nearest {
                add(groups, before, after, "their names say so");
            }
        }
    }
}

/// What rules of a source say: which VM comes before which.
fn said(name: &SourceName, source: &SourceInventory) -> Vec<(VmKey, VmKey, String)> {
    let rules = source.rules.iter().filter(|rule| {
        rule.enabled && matches!(rule.kind, RuleKind::Depends | RuleKind::StartOrder)
    });
    let key = |id: &schemas::ids::VmId| VmKey::new(name.as_str(), id.as_str());
    rules
        .flat_map(|rule| {
            let why = format!(
                "the rule `{}` says so",
                shown(rule.name.as_deref().unwrap_or(&rule.id))
            );
            rule.after.iter().flat_map(move |before| {
                let why = why.clone();
                rule.members
                    .iter()
                    .map(move |after| (key(before), key(after), why.clone()))
            })
        })
        .collect()
}

/// A name without the word that says its tier, and that tier.
fn tier(name: &str) -> Option<(String, u8)> {
    let words: Vec<&str> = name.split('-').collect();
    let (at, rank) = words.iter().enumerate().rev().find_map(|(at, word)| {
        TIERS
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, rank)| (at, *rank))
    })?;
    let base: Vec<&str> = words
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != at)
        .map(|(_, word)| *word)
        .collect();
    Some((base.join("-"), rank))
}

/// `after` waits for `before`, unless that would be a circle.
fn add(groups: &mut [Group], before: usize, after: usize, why: &str) {
    if before == after || reaches(groups, before, after) {
        return;
    }
    let name = groups[before].name.clone();
    groups[after]
        .after
        .entry(name)
        .or_insert_with(|| Some(why.to_owned()));
}

/// Whether `from` waits for `to`, directly or not.
fn reaches(groups: &[Group], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            let named = groups[at].after.keys();
            next.extend(
                named.filter_map(|name| groups.iter().position(|group| group.name == *name)),
            );
        }
    }
    false
}
