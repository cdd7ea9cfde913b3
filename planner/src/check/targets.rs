//! Targets, and dependencies between them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::{Severity, Subject};
use schemas::ids::{TargetName, WorkloadName};

use super::table::Check;
use super::{Estate, Hit};
use crate::diagnostic::list;

/// A storage class that flips Harvester to another kind of image.
pub const S06: Check = Check {
    code: "S06",
    severity: Severity::Warning,
    title: "has a Longhorn storage class that does not name its data engine",
    reads: "provisioner and parameters of the storage class, in the target's snapshot",
    why: "Without `dataEngine: v1` Harvester imports through CDI instead of a backing image: a \
          different life of the machine and its disks (SCU:33-43; measured). Harvester's own \
          `harvester-longhorn` is one of those.",
    when: "the site's storage class is one of Longhorn without the parameter `dataEngine`",
    see: "`kubectl get storageclass NAME -o yaml`",
    remedy: "make a storage class with the parameter `dataEngine: v1`, and name it in the site",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let classes = snapshot.map(|snapshot| snapshot.about.storage_classes.as_slice());
            let class = classes
                .unwrap_or(&[])
                .iter()
                .find(|class| class.name == target.storage_class);
            let Some(class) = class else { continue };
            if class.provisioner == "driver.longhorn.io"
                && !class.parameters.contains_key("dataEngine")
            {
                let evidence = format!("storage class `{}` has no `dataEngine`", class.name);
                let prefix = &estate.plan.site_prefix;
                hits.push(
                    Hit::on(Subject::Target(target.name.clone()), evidence)
                        .at(format!("{prefix}targets[{}].storageClass", target.position)),
                );
            }
        }
        hits
    },
};

/// A dependency that no single controller sees.
pub const WR001: Check = Check {
    code: "WR001",
    severity: Severity::Warning,
    title: "waits for machines on another target",
    reads: "the targets of a workload's machines and of those that it depends on",
    why: "A controller in one cluster does not see the ledger of another, so it would wait for ever. \
          `windrow apply` sees all targets and keeps the order.",
    when: "a workload waits for one whose machines go to another target",
    see: "`windrow explain` on both workloads, or the `target` of each in the plan",
    remedy: "run this plan with `windrow apply`, or move both workloads to one target",
    never_waived: None,
    run: wr001,
};

fn wr001(estate: &Estate<'_>) -> Vec<Hit> {
    let mut targets: BTreeMap<&WorkloadName, BTreeSet<&TargetName>> = BTreeMap::new();
    for vm in &estate.plan.vms {
        targets.entry(&vm.workload).or_default().insert(&vm.target);
    }
    let none = BTreeSet::new();
    let mut hits = Vec::new();
    for workload in &estate.plan.workloads {
        let own = targets.get(&workload.name).unwrap_or(&none);
        for name in estate.plan.before(workload).sets {
            let others: Vec<_> = targets.get(name).unwrap_or(&none).difference(own).collect();
            if !others.is_empty() && !own.is_empty() {
                let evidence = format!(
                    "depends on `{name}`, which has machines on {}",
                    list(&others)
                );
                hits.push(
                    Hit::on(Subject::Workload(workload.name.clone()), evidence)
                        .at(format!("{}.dependsOn", estate.plan.workload_path(workload))),
                );
            }
        }
    }
    hits
}

/// A dependency on another plan's machines that the executor would never see.
pub const WR008: Check = Check {
    code: "WR008",
    severity: Severity::Blocker,
    title: "waits for machines that another plan moves to another target",
    reads: "the targets of a workload's machines, and those in the waves of the other plan",
    why: "Whoever drives one cluster sees the ledger of that cluster alone: the other plan's machines \
          would never be there, and it would wait for ever.",
    when: "a workload waits for one of another plan whose waves are for another target",
    see: "`prerequisites` and `target` in the waves of both plans",
    remedy: "move both to one target, or wait for a step outside (`external`) that a person or a port \
             says is done",
    never_waived: Some("what it waits for can never be seen where it runs"),
    run: wr008,
};

fn wr008(estate: &Estate<'_>) -> Vec<Hit> {
    let plan = estate.plan;
    let mut hits = Vec::new();
    for vm in &plan.vms {
        let Some(workload) = plan.workload(&vm.workload) else {
            continue;
        };
        let own = plan.targets.get(&vm.target);
        let own_uid = own.and_then(|target| target.cluster_uid.as_ref());
        for name in plan.before(workload).others {
            let Some(other) = plan.others.get(name) else {
                continue;
            };
            // A cluster is known by its uid; a name may be another site's.
            let is_here = |(target, uid): &&(TargetName, Option<String>)| match (uid, own_uid) {
                (Some(uid), Some(own)) => uid == own,
                _ => *target == vm.target,
            };
            let elsewhere = other.targets.iter().filter(|it| !is_here(it));
            let elsewhere: BTreeSet<&TargetName> = elsewhere.map(|(target, _)| target).collect();
            if !elsewhere.is_empty() {
                let elsewhere: Vec<_> = elsewhere.into_iter().collect();
                let evidence = format!(
                    "goes to `{}` and waits for `{name}`, whose machines go to {}",
                    vm.target,
                    list(&elsewhere)
                );
                let path = format!("{}.dependsOn", plan.workload_path(workload));
                hits.push(Hit::vm(vm, evidence).at(path));
            }
        }
    }
    hits
}

/// Nothing is known of a target.
pub const WR003: Check = Check {
    code: "WR003",
    severity: Severity::Warning,
    title: "has no snapshot, so less is checked",
    reads: "whether the inventory holds a snapshot of each target",
    why: "Machines that are there already (N01, N02), networks and storage classes (P09), the kind \
          of scratch (S02) and the ledger are read from it. Without the ledger, VMs that were moved \
          before are planned again, and the executor finds out.",
    when: "the inventory has no folder of that target",
    see: "look for `inventory/TARGET/target.json` beside the plan",
    remedy: "pull it: `windrow inventory pull PLAN`",
    never_waived: None,
    run: |estate| {
        estate
            .targets()
            .filter(|(_, snapshot)| snapshot.is_none())
            .map(|(target, _)| {
                let evidence = "nothing is known of its machines, networks, storage and ledger";
                Hit::on(Subject::Target(target.name.clone()), evidence)
            })
            .collect()
    },
};
