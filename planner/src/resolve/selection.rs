//! Which selector takes each VM, and why the others do not: for people who wonder.
//!
//! It is told from plan and inventory alone, also where the plan has mistakes: that is when it is
//! asked for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::ids::{SourceName, VmKey, VmName};
use schemas::inventory::Inventory;
use schemas::natural::natural;
use schemas::plan::{MigrationPlan, Selector};
use schemas::site::SiteSpec;
use serde::Serialize;

use super::index::Index;
use super::matcher::Matcher;
use super::pattern::Pattern;
use super::{expand, select, site};
use crate::diagnostic::{Diagnostics, count, list};
use crate::report::text::paragraph;

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.selection/1";

/// Which selector takes each VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The VMs that were asked for, by key.
    pub vms: Vec<SelectedVm>,
}

/// One VM and the selectors of its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectedVm {
    /// Which.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// Who has it; absent: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// It is a template.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// It is a template that somebody has otherwise than by its id, and so is not moved.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
    /// Why selectors do not take it, in the plan's order. For a VM that was asked for by name: all
    /// of them; else the one that comes nearest, of a VM that nobody takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not: Vec<NotTaken>,
}

/// Who has a VM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// The selector, as in `workloads[1].select[0]` or `outOfScope[2]`.
    pub path: String,
    /// The workload; absent: it is out of scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
}

/// A selector that does not take a VM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotTaken {
    /// The selector.
    pub path: String,
    /// Why not, a reason for each field.
    pub why: Vec<String>,
}

/// Tells it of the VMs that `wanted` means: a glob on `NAME`, `SOURCE/NAME` or `SOURCE/ID`; of all
/// where it is absent.
pub fn selection(
    plan: &MigrationPlan,
    site: &SiteSpec,
    inventory: &Inventory,
    wanted: Option<&str>,
) -> Selection {
    // Mistakes are told by `plan` and `validate`; here only what could be read counts.
    let mut unheard = Diagnostics::default();
    let out = &mut unheard;
    let spec = &plan.spec;
    let site = site::look_up(site, spec.inline_site.is_some(), inventory, out);
    let index = Index::of(inventory);
    let mut look = select::Look::new(&site, &index);
    let mut claims = select::claim(spec, &mut look, out);
    let generated = expand::expand(spec, &mut look, &mut claims, out);
    let mut matchers: BTreeMap<&SourceName, Vec<(String, Matcher<'_>)>> = BTreeMap::new();
    let mut add = |path: String, selector| {
        let selector: &Selector = selector;
        if let Some((name, source)) = index.sources().find(|(name, _)| **name == selector.source)
            && let Some(matcher) = Matcher::new(selector, source.kind(), &path, out)
        {
            matchers.entry(name).or_default().push((path, matcher));
        }
    };
    for (w, workload) in spec.workloads.iter().enumerate() {
        for (i, selector) in workload.select.iter().enumerate() {
            add(format!("workloads[{w}].select[{i}]"), selector);
        }
    }
    for (i, entry) in spec.out_of_scope.iter().enumerate() {
        add(format!("outOfScope[{i}]"), &entry.vms);
    }
    let excludes = excludes(plan, &index, out);
    let pattern = wanted.and_then(|wanted| Pattern::name(wanted).ok());
    let mut vms = Vec::new();
    for (source_name, source) in index.sources() {
        for vm in source.vms() {
            let key = VmKey::new(source_name.clone(), vm.id.clone());
            let asked = pattern.as_ref().is_none_or(|pattern| {
                pattern.holds(vm.name.as_str())
                    || pattern.holds(&key.to_string())
                    || pattern.holds(&format!("{source_name}/{}", vm.name))
            });
            if !asked {
                continue;
            }
            let stays = vm.template && claims.by_vm.get(&key).is_some_and(|claim| !claim.by_id);
            let claim = claims.by_vm.get(&key).map(|claim| Taken {
                path: claim.path.clone(),
                workload: Some(match claim.workload.checked_sub(spec.workloads.len()) {
                    Some(made) => generated[made].workload.name.to_string(),
                    None => spec.workloads[claim.workload].name.to_string(),
                }),
            });
            let out_of_scope = claims.out_of_scope.get(&key).map(|entry| Taken {
                path: format!("outOfScope[{entry}]"),
                workload: None,
            });
            let taken = claim.or(out_of_scope);
            let of_source = matchers.get(source_name).map_or(&[][..], Vec::as_slice);
            let mut not: Vec<NotTaken> = Vec::new();
            if wanted.is_some() || taken.is_none() {
                for (path, matcher) in of_source {
                    let misses = matcher.misses(vm, source);
                    let mut why: Vec<String> = misses.iter().map(ToString::to_string).collect();
                    if why.is_empty() {
                        let left = excludes.iter().find(|(workload, _, exclude)| {
                            path.starts_with(&format!("workloads[{workload}]."))
                                && exclude.selector().source == *source_name
                                && exclude.takes(vm, source)
                        });
                        match left {
                            Some((_, at, _)) => why.push(format!("{at} leaves it out")),
                            None => continue,
                        }
                    }
                    let path = path.clone();
                    not.push(NotTaken { path, why });
                }
            }
            if wanted.is_none() {
                let nearest = not.into_iter().min_by_key(|not| not.why.len());
                not = nearest.into_iter().collect();
            }
            vms.push(SelectedVm {
                vm: key,
                name: vm.name.clone(),
                taken,
                template: vm.template,
                stays,
                not,
            });
        }
    }
    Selection {
        schema: SCHEMA,
        vms,
    }
}

/// All `exclude` items that could be read: their workload's position and their path.
fn excludes<'p>(
    plan: &'p MigrationPlan,
    index: &Index<'_>,
    out: &mut Diagnostics,
) -> Vec<(usize, String, Matcher<'p>)> {
    let mut excludes = Vec::new();
    for (w, workload) in plan.spec.workloads.iter().enumerate() {
        for (i, selector) in workload.exclude.iter().enumerate() {
            let path = format!("workloads[{w}].exclude[{i}]");
            if let Some(source) = index.source(&selector.source)
                && let Some(matcher) = Matcher::new(selector, source.kind(), &path, out)
            {
                excludes.push((w, path, matcher));
            }
        }
    }
    excludes
}

impl SelectedVm {
    /// Its name, and whether it is a template.
    fn label(&self) -> String {
        match (self.template, self.stays) {
            (_, true) => format!("{} (a template, which stays)", self.name),
            (true, false) => format!("{} (a template)", self.name),
            (false, false) => self.name.to_string(),
        }
    }
}

impl Selection {
    /// In words: one entry for each selector, then who is left by the reason that comes nearest; or,
    /// of VMs that were asked for, everything. `locate` says where a path stands.
    pub fn text(&self, detailed: bool, locate: &dyn Fn(&str) -> String) -> String {
        if detailed {
            return self.one_by_one(locate);
        }
        let mut text = String::new();
        let mut taken: BTreeMap<_, Vec<String>> = BTreeMap::new();
        let mut left: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for vm in &self.vms {
            match (&vm.taken, vm.not.first()) {
                (Some(by), _) => taken.entry((natural(&by.path), by)).or_default(),
                (None, not) => left
                    .entry(not.map(|not| (natural(&not.path), not)))
                    .or_default(),
            }
            .push(vm.label());
        }
        for ((_, by), names) in &taken {
            let who = match &by.workload {
                Some(workload) => format!("workload {workload}"),
                None => "out of scope".to_owned(),
            };
            let head = format!("{who}, by {} ({})", by.path, locate(&by.path));
            paragraph(&mut text, "", &head);
            paragraph(&mut text, "  ", &named(names));
        }
        let number: usize = left.values().map(Vec::len).sum();
        if number > 0 {
            writeln!(text, "\n{} that nothing takes", count(number, "VM")).expect(INFALLIBLE);
        }
        for (not, names) in &left {
            let why = not.as_ref().map_or_else(
                || "no selector is about their source".to_owned(),
                |(_, not)| {
                    format!(
                        "nearest {} ({}): {}",
                        not.path,
                        locate(&not.path),
                        not.why.join("; ")
                    )
                },
            );
            paragraph(&mut text, "  ", &format!("{}: {why}", named(names)));
        }
        text
    }

    fn one_by_one(&self, locate: &dyn Fn(&str) -> String) -> String {
        let mut text = String::new();
        for vm in &self.vms {
            paragraph(&mut text, "", &format!("{}  {}", vm.name, vm.vm));
            let taken = match &vm.taken {
                None => "nothing takes it".to_owned(),
                Some(by) => {
                    let who = by
                        .workload
                        .as_deref()
                        .map(|name| format!("workload {name}"));
                    let who = who.unwrap_or_else(|| "out of scope".to_owned());
                    format!("{who}, by {} ({})", by.path, locate(&by.path))
                }
            };
            paragraph(&mut text, "  ", &taken);
            if vm.stays {
                let line = "a template, which stays: one is moved only where its id is given";
                paragraph(&mut text, "  ", line);
            } else if vm.template {
                paragraph(&mut text, "  ", "a template");
            }
            for not in &vm.not {
                let line = format!(
                    "not {} ({}): {}",
                    not.path,
                    locate(&not.path),
                    not.why.join("; ")
                );
                paragraph(&mut text, "  ", &line);
            }
        }
        if self.vms.is_empty() {
            text.push_str("no VM of the inventory is called so\n");
        }
        text
    }
}

const INFALLIBLE: &str = "a String takes everything";

fn named(names: &[String]) -> String {
    format!("{} ({})", count(names.len(), "VM"), list(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    // A template that a name or folder meets is marked as one that stays; by its id it moves.
    #[test]
    fn templates() {
        let told = |selector: &str| {
            let plan =
                format!("\nworkloads:\n- name: all\n  select: [ {{ source: dc1, {selector} }} ]\n");
            let fixture = Fixture::new(&plan).vm("dc1", "erp-app-01", |vm| vm.template = true);
            let (plan, site) = (&fixture.plan, &fixture.site);
            let told = selection(plan, site, &fixture.inventory, Some("erp-app-01"));
            told.text(true, &|path| path.to_owned())
        };
        let by_name = told("names: [erp-app-01]");
        assert!(by_name.contains("a template, which stays"), "{by_name}");
        let by_id = told("ids: [42-app1]");
        assert!(by_id.ends_with("a template\n"), "{by_id}");
    }
}
