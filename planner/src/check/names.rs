//! Names: what the machine will be called, which files the engine will write, and whether it finds
//! the VM at all.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::Severity;
use schemas::ids::{Namespace, ObjectName, TargetName, VmKey};
use schemas::inventory::SourceKind;
use schemas::machine::Stage;
use schemas::shown::shown;

use super::finder::{Finder, Outcome};
use super::table::Check;
use super::{Estate, Hit};
use crate::diagnostic::list;
use crate::resolve::ResolvedVm;

/// Two machines of one name in one namespace.
pub const N01: Check = Check {
    code: "N01",
    severity: Severity::Blocker,
    title: "would have the name of another machine in its namespace",
    reads: "target, namespace and lower-cased name of every VM of the plan, and the machines that \
            the target's snapshot lists as imported",
    why: "The engine names the machine after the lower-cased source name. Where an imported machine \
          of that name exists, it creates nothing and reports Running: the second VM is never \
          imported, and nothing says so (VM:703-720; measured).",
    when: "two VMs of the plan, or one and an imported machine of the target, have the same \
             lower-cased name in one namespace",
    see: "`kubectl get vm -n NAMESPACE NAME --show-labels`: the label \
             `migration.harvesterhci.io/imported` says that the engine made it",
    remedy: "give one of them another namespace under `machines`, or rename it at the source",
    never_waived: Some("the engine would report an import that never was"),
    run: n01,
};

type Place<'a> = (&'a TargetName, &'a Namespace, &'a ObjectName);

fn place(vm: &ResolvedVm) -> Place<'_> {
    (&vm.target, &vm.namespace, &vm.machine)
}

/// Whether the machine of that name on the target may be this VM's own, from an import under way.
fn under_way(vm: &ResolvedVm) -> bool {
    vm.ledger
        .as_ref()
        .is_some_and(|moved| moved.target == vm.target && moved.stage != Stage::Failed)
}

fn n01(estate: &Estate<'_>) -> Vec<Hit> {
    let mut places: BTreeMap<Place<'_>, Vec<&ResolvedVm>> = BTreeMap::new();
    for vm in &estate.plan.vms {
        places.entry(place(vm)).or_default().push(vm);
    }
    let mut hits = Vec::new();
    for vm in &estate.plan.vms {
        let here = format!("`{}/{}` on {}", vm.namespace, vm.machine, vm.target);
        let twins: Vec<&VmKey> = places[&place(vm)]
            .iter()
            .map(|twin| &twin.key)
            .filter(|key| **key != vm.key)
            .collect();
        if !twins.is_empty() {
            hits.push(Hit::vm(
                vm,
                format!("{here} would be the machine of {} too", list(&twins)),
            ));
        }
        if taken(estate, vm, true) {
            hits.push(Hit::vm(vm, format!("{here} is there already, imported before")).remedy(
                "give it another namespace under `machines`, rename it at the source, or remove \
                 the machine that is there",
            ));
        }
    }
    hits
}

/// Whether the target has a machine where this one is to be, made by the engine or not.
fn taken(estate: &Estate<'_>, vm: &ResolvedVm, imported: bool) -> bool {
    !under_way(vm) && estate.machine_there(vm) == Some(imported)
}

/// A machine of that name that the engine did not make.
pub const N02: Check = Check {
    code: "N02",
    severity: Severity::Blocker,
    title: "has the name of a machine that is there already",
    reads: "the machines that the target's snapshot lists",
    why: "After a full export, with the guest off, the engine cannot create the machine and retries \
          for ever (VM:715-719; measured).",
    when: "the target has a machine of that name which was not imported",
    see: "`kubectl get vm -n NAMESPACE NAME`",
    remedy: "give it another namespace under `machines`, or rename one of the two",
    never_waived: None,
    run: |estate| {
        let here = |vm: &ResolvedVm| {
            Hit::vm(
                vm,
                format!("`{}/{}` exists on {}", vm.namespace, vm.machine, vm.target),
            )
        };
        estate
            .plan
            .vms
            .iter()
            .filter(|vm| taken(estate, vm, false))
            .map(here)
            .collect()
    },
};

/// Longest machine name: a DNS label (RFC 1123).
const LABEL_CHARACTERS_MAX: usize = 63;

/// A name that Kubernetes does not take.
pub const P07: Check = Check {
    code: "P07",
    severity: Severity::Blocker,
    title: "has a name that no machine on the target can have",
    reads: "the lower-cased name: at most 63 of `a-z`, `0-9` and `-`, a letter or digit at both ends",
    why: "The engine lower-cases the source's name and rewrites nothing else; what is no DNS label \
          ends as Invalid (VM:972-979; measured). There is no field for the machine's name (#10797).",
    when: "the name has capitals with an accent, blanks, `_`, `.`, `%2f` or other scripts, begins \
             or ends with `-`, or is longer than 63 characters",
    see: "`govc find / -type m -name NAME` or `openstack server show ID -c name`, and compare \
             with `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`",
    remedy: "rename the VM at the source, and pull the inventory again",
    never_waived: Some("the engine refuses the import"),
    run: |estate| {
        let fault = |vm: &ResolvedVm| Some(Hit::vm(vm, label_fault(vm.machine.as_str())?));
        estate.plan.vms.iter().filter_map(fault).collect()
    },
};

/// What keeps `name` from being a DNS label (RFC 1123).
fn label_fault(name: &str) -> Option<String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let odd: BTreeSet<char> = name.chars().filter(|c| !is_inner(*c)).collect();
    let characters = name.chars().count();
    if name.is_empty() {
        Some("it has no name".to_owned())
    } else if !odd.is_empty() {
        let odd: Vec<String> = odd
            .into_iter()
            .map(|c| shown(&c.to_string()).into_owned())
            .collect();
        Some(format!("`{name}` has {}", list(&odd)))
    } else if characters > LABEL_CHARACTERS_MAX {
        Some(format!(
            "`{name}` has {characters} characters, {LABEL_CHARACTERS_MAX} fit"
        ))
    } else if name.starts_with('-') || name.ends_with('-') {
        Some(format!("`{name}` begins or ends with `-`"))
    } else {
        None
    }
}

/// VMware: the engine's finder meets none or several.
pub const V10: Check = Check {
    code: "V10",
    severity: Severity::Blocker,
    title: "is not what the engine finds under its folder and name",
    reads: "folder and name of every VM of the datacenter, matched as the engine matches them",
    why: "The engine joins folder and name and lets govmomi's finder match each component as a \
          shell pattern (`*`, `?`, `[…]`, `\\`); anything but one hit is an error, retried for ever \
          once the import is valid (VW findVM).",
    when: "the VM or a folder above it has `*`, `?`, `[`, `]` or `\\` in its name, or two VMs of \
             a folder share a name",
    see: "`govc ls -l /DC/vm/FOLDER/NAME`: exactly one line must come back",
    remedy: "rename the VM or its folder without `*`, `?`, `[`, `]` and `\\`, and pull the \
             inventory again",
    never_waived: Some("the engine would not find it, or find another"),
    run: |estate| {
        let finders: BTreeMap<_, _> = estate
            .index()
            .sources()
            .filter(|(_, source)| source.kind() == SourceKind::Vmware)
            .map(|(name, source)| (name, Finder::new(source.vms())))
            .collect();
        let mut hits = Vec::new();
        for (resolved, vm) in estate.vms() {
            let Some(finder) = finders.get(&resolved.key.source) else {
                continue;
            };
            let Some(folder) = &vm.folder else {
                hits.push(Hit::vm(resolved, "its folder could not be read").remedy(
                    "give the inventory's account the role Read-only on all folders above it, and \
                     pull again",
                ));
                continue;
            };
            let path = format!("`{}`", [folder.as_str(), vm.name.as_str()].join("/"));
            let evidence = match finder.find(folder, vm.name.as_str()) {
                Outcome::Found(found) if found == &vm.id => continue,
                Outcome::Found(other) => format!("{path} finds another VM: `{other}`"),
                Outcome::Nothing => format!("{path} finds nothing"),
                Outcome::Several(ids) => format!("{path} finds {} VMs: {}", ids.len(), list(&ids)),
                Outcome::BadPattern => format!("{path} is a pattern that cannot be read"),
                Outcome::ThroughVm(id) => format!("{path} leads through the VM `{id}`"),
            };
            hits.push(Hit::vm(resolved, evidence));
        }
        hits
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    // Labels as RFC 1123 has them: 63 characters fit, 64 do not, ends are letters or digits.
    #[test]
    fn labels() {
        assert_eq!(label_fault(&"a".repeat(63)), None);
        assert!(label_fault(&"a".repeat(64)).is_some());
        for name in ["web-1", "0", "a--b"] {
            assert_eq!(label_fault(name), None, "{name}");
        }
        for name in ["", "-a", "a-", "a_b", "a.b", "a b", "web%2f1", "größe", "A"] {
            assert!(label_fault(name).is_some(), "{name}");
        }
    }
}
