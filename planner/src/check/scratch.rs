//! The engine's scratch: whether each import fits by itself, and what it is made of.

use schemas::finding::{Severity, Subject};
use schemas::inventory::ScratchKind;
use schemas::units::{Bytes, GIB};

use super::Hit;
use super::table::Check;

/// One VM alone is larger than the scratch.
pub const S01: Check = Check {
    code: "S01",
    severity: Severity::Blocker,
    title: "needs more scratch than there is",
    reads: "the import's peak by the sizes of its disks, and the target's scratch less its reserve",
    why: "All disks pass through the engine's scratch. When it is full the export fails, after the \
          shutdown, and the raw files of all other imports keep their space (measured).",
    when: "one import alone is larger than the scratch less its reserve",
    see: "`kubectl -n harvester-system get pvc`, and add up: VMware all disks and the largest \
             once more, OpenStack all volumes, OVA the archive, all disks and the largest VMDK",
    remedy: "enlarge the scratch volume and `scratch.capacity`; if the inventory's sizes mislead, \
             give the room it needs as `scratch` under `machines`",
    never_waived: Some("no schedule could place it"),
    run: |estate| {
        let mut hits = Vec::new();
        for target in estate.plan.targets.values() {
            // The reserve keeps its share of a larger volume too.
            let enough = |peak: Bytes| {
                let (peak, usable) = (u128::from(peak.0), target.usable.0.max(1));
                let bytes = (peak * u128::from(target.capacity.0)).div_ceil(usable.into());
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                Bytes(bytes.checked_next_multiple_of(GIB).unwrap_or(bytes))
            };
            let vms = estate
                .plan
                .vms
                .iter()
                .filter(|vm| vm.target == target.name && vm.footprint.peak > target.usable);
            let vms: Vec<_> = vms.collect();
            let Some(largest) = vms.iter().map(|vm| vm.footprint.peak).max() else {
                continue;
            };
            let remedy = format!(
                "give {} a scratch of at least {}, enough for each of them, and say so in \
                 `scratch.capacity`; if their disks hold less, give the room that one needs as \
                 `scratch` under `machines`",
                target.name,
                enough(largest)
            );
            for vm in vms {
                let evidence = format!(
                    "needs {} ({}), {} of {} are usable on {}; a scratch of {} would do",
                    vm.footprint.peak,
                    vm.footprint.basis,
                    target.usable,
                    target.capacity,
                    target.name,
                    enough(vm.footprint.peak)
                );
                hits.push(Hit::vm(vm, evidence).remedy(remedy.clone()));
            }
        }
        hits
    },
};

/// The scratch is on the node's own disk.
pub const S02: Check = Check {
    code: "S02",
    severity: Severity::Warning,
    title: "has its scratch on a node's own disk",
    reads: "the volume of the add-on's Deployment, in the target's snapshot",
    why: "By default the scratch is an emptyDir in the node's /var/lib/kubelet: a full one puts the \
          node under disk pressure, and the engine and its neighbours are evicted in mid-batch. \
          After a restart all raw files are gone.",
    when: "the add-on's `pvcClaim.enabled` is false, its default",
    see: "`kubectl -n harvester-system get deployment harvester-vm-import-controller -o \
             jsonpath='{.spec.template.spec.volumes}'`",
    remedy: "give the add-on a claim: `pvcClaim.enabled: true` with a size, before the first wave",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let scratch = snapshot.and_then(|snapshot| snapshot.about.scratch.as_ref());
            let Some(scratch) = scratch.filter(|s| s.kind == ScratchKind::EmptyDir) else {
                continue;
            };
            let limit = scratch.capacity_bytes.map_or_else(
                || "without limit".to_owned(),
                |bytes| format!("limited to {bytes}"),
            );
            let evidence = format!("an emptyDir {limit}; {} are planned with", target.capacity);
            hits.push(Hit::on(Subject::Target(target.name.clone()), evidence));
        }
        hits
    },
};
