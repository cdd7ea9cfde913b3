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
        for name in estate.plan.before(workload).0 {
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
