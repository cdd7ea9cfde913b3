//! Disks: whether the engine exports all of them.

use schemas::finding::Severity;
use schemas::inventory::{Disk, RootDisk, SourceKind, Vm};

use super::Hit;
use super::table::Check;
use crate::diagnostic::list;

/// OpenStack: disks that are no volumes.
pub const O03: Check = Check {
    code: "O03",
    severity: Severity::Blocker,
    title: "has a disk that is no volume, and only volumes are exported",
    reads: "where the server's root disk is; ephemeral and swap disks of its flavor",
    why: "The engine exports attached volumes only (OS:468). A server booted from an image ends \
          without disks after its shutdown (HP:51), or, where it has a data volume, as a machine \
          without its system disk.",
    when: "the server was booted from an image, or its flavor adds an ephemeral or swap disk",
    see: "`openstack server show ID -c image -c volumes_attached -c flavor`: an image means that \
             the root disk is no volume; `openstack flavor show FLAVOR -c OS-FLV-EXT-DATA:ephemeral \
             -c swap`",
    remedy: "make a snapshot of it, create a boot volume from that, and boot the server from the \
             volume",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (resolved, vm) in estate
            .vms()
            .filter(|(vm, _)| vm.kind == SourceKind::Openstack)
        {
            if vm.root_disk == Some(RootDisk::Ephemeral) {
                let volumes = vm.disks.len();
                let evidence = format!("booted from an image; {volumes} of its disks are volumes");
                hits.push(Hit::vm(resolved, evidence));
            }
            let flavor = vm.flavor.as_ref();
            if let Some(gib) = flavor.and_then(|flavor| flavor.ephemeral_gib) {
                let evidence = format!("its flavor adds an ephemeral disk of {gib} GiB");
                let remedy = "move its data to a volume, then waive this or resize to a flavor \
                              without an ephemeral disk";
                hits.push(Hit::vm(resolved, evidence).remedy(remedy));
            }
            if let Some(mib) = flavor.and_then(|flavor| flavor.swap_mib) {
                let evidence = format!("its flavor adds a swap disk of {mib} MiB");
                let remedy = "make sure that the guest boots without it (fstab)";
                let hit = Hit::vm(resolved, evidence)
                    .severity(Severity::Warning)
                    .remedy(remedy);
                hits.push(hit);
            }
        }
        hits
    },
};

/// Disks that cannot be exported, or not once for all who use them.
pub const V07: Check = Check {
    code: "V07",
    severity: Severity::Blocker,
    title: "has a disk that is shared, independent or a raw device",
    reads: "sharing, mode and backing of each disk, and the sharing of its controller",
    why: "vSphere leaves such disks out of an export or refuses it (OvfUnsupportedDeviceExport), \
          after the guest is off; a shared volume would be copied once for each VM, and the copies \
          then differ.",
    when: "a disk is a raw device in physical mode, independent of snapshots, or written by \
             several VMs",
    see: "`govc device.info -vm PATH 'disk-*'` (mode, sharing, backing) and `govc device.info \
             -vm PATH 'scsi-*'` (shared bus)",
    remedy: "detach the disk, or change it to a persistent virtual disk of this VM alone",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        // Shared and encrypted volumes of OpenStack are another story (O11).
        let vms = estate.vms();
        for (resolved, vm) in vms.filter(|(vm, _)| vm.kind != SourceKind::Openstack) {
            let faults: Vec<String> = vm.disks.iter().filter_map(disk_fault).collect();
            if !faults.is_empty() {
                hits.push(Hit::vm(resolved, format!("disk {}", list(&faults))));
            }
        }
        hits
    },
};

fn disk_fault(disk: &Disk) -> Option<String> {
    let independent = disk
        .mode
        .as_ref()
        .filter(|mode| mode.starts_with("independent"));
    let raw = disk
        .backing
        .as_ref()
        .filter(|backing| *backing == "rdm-physical");
    let what = disk.sharing.as_ref().or(independent).or(raw);
    let what = what
        .map(String::as_str)
        .or(disk.first_class.then_some("first class disk"))?;
    Some(format!("{}: {what}", disk.key))
}

/// Nothing to import.
pub const WR005: Check = Check {
    code: "WR005",
    severity: Severity::Blocker,
    title: "has no disk that the inventory knows",
    reads: "the VM's disks, and what could not be read of it",
    why: "The engine finds out after the shutdown that there is nothing to export (HP:51), and a \
          VM whose sizes are unknown cannot be fitted into the scratch.",
    when: "the source gave no disks for the VM, or the VM has none",
    see: "`govc device.info -vm PATH 'disk-*'` or `openstack server show ID -c volumes_attached`",
    remedy: "see why its disks could not be read, pull the inventory again, or leave it out",
    never_waived: Some("its sizes are not known"),
    run: |estate| {
        let no_disk = |vm: &Vm| vm.disks.is_empty() && vm.root_disk != Some(RootDisk::Ephemeral);
        let evidence = |vm: &Vm| match vm.gaps.first() {
            Some(gap) => format!("`{}` could not be read: {}", gap.what, gap.reason),
            None => "it has none".to_owned(),
        };
        estate
            .vms()
            .filter(|(_, vm)| no_disk(vm))
            .map(|(resolved, vm)| Hit::vm(resolved, evidence(vm)))
            .collect()
    },
};
