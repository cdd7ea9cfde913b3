//! Networks: which NICs a machine will have, and whether the target knows them.

use schemas::finding::Severity;
use schemas::inventory::SourceKind;

use super::table::Check;
use super::{Estate, Hit};
use crate::diagnostic::{count, list};
use crate::resolve::{NicFate, ResolvedNic, ResolvedVm};

/// Some NICs have no mapping.
pub const W01: Check = Check {
    code: "W01",
    severity: Severity::Blocker,
    title: "has a NIC that no mapping covers and that the engine would drop",
    reads: "the network of each NIC, by the name that the engine computes, and the target's mapping",
    why: "Once one NIC is mapped, the engine drops all others without a word (SN:18-38,66; \
          measured), although its manual says that they go to the management network.",
    when: "a network of the VM is not in the target's `networks`",
    see: "`govc device.info -vm PATH 'ethernet-*'` or `openstack port list --server ID --long`",
    remedy: "add the network to the target's `networks`, or `drop: true` for it",
    never_waived: None,
    run: |estate| {
        let partly = |vm: &ResolvedVm| vm.nics.iter().any(|nic| nic.fate != NicFate::Unmapped);
        unmapped(estate, partly, "would be dropped")
    },
};

/// No NIC has a mapping.
pub const W02: Check = Check {
    code: "W02",
    severity: Severity::Blocker,
    title: "has no NIC that is mapped: the engine would put it on the pod network",
    reads: "the network of each NIC, by the name that the engine computes, and the target's mapping",
    why: "Where no NIC is mapped, the engine gives the machine one NIC on the pod network, behind \
          masquerading and with a new MAC address (SN:66; measured).",
    when: "none of the VM's networks is in the target's `networks`, or it has no NIC at all",
    see: "`govc device.info -vm PATH 'ethernet-*'` or `openstack port list --server ID --long`",
    remedy: "add the network to the target's `networks`",
    never_waived: None,
    run: |estate| {
        let none = |vm: &ResolvedVm| vm.nics.iter().all(|nic| nic.fate == NicFate::Unmapped);
        let mut hits = unmapped(estate, none, "is the only kind it has");
        // Without a NIC, or with all of them meant to be left behind: it gets one all the same.
        for vm in &estate.plan.vms {
            if vm.nics.iter().all(|nic| nic.fate == NicFate::Dropped) {
                let has = if vm.nics.is_empty() {
                    "it has no NIC"
                } else {
                    "all its NICs are dropped"
                };
                hits.push(
                    Hit::vm(vm, format!("{has}, and gets one on the pod network"))
                        .severity(Severity::Warning)
                        .remedy(
                            "remove that NIC from the machine once it runs, if it must have none",
                        ),
                );
            }
        }
        hits
    },
};

fn unmapped(estate: &Estate<'_>, applies: impl Fn(&ResolvedVm) -> bool, what: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for vm in &estate.plan.vms {
        let mut names: Vec<String> = vm
            .nics
            .iter()
            .filter(|nic| nic.fate == NicFate::Unmapped)
            .map(|nic| {
                nic.network
                    .as_ref()
                    .map_or("(not readable)".to_owned(), ToString::to_string)
            })
            .collect();
        if names.is_empty() || !applies(vm) {
            continue;
        }
        let number = names.len();
        names.sort();
        names.dedup();
        let evidence = format!(
            "{} on {} {what}; {} maps nothing for it",
            count(number, "NIC"),
            list(&names),
            vm.target
        );
        hits.push(Hit::vm(vm, evidence).at(networks_path(estate, vm)));
    }
    hits
}

/// The mapping that a line would have to be added to.
fn networks_path(estate: &Estate<'_>, vm: &ResolvedVm) -> String {
    let position = estate
        .plan
        .targets
        .get(&vm.target)
        .map_or(0, |target| target.position);
    format!("{}targets[{position}].networks", estate.plan.site_prefix)
}

/// Classes of NICs that the engine looks at.
const KNOWN_CLASSES: [&str; 6] = [
    "VirtualE1000",
    "VirtualE1000e",
    "VirtualPCNet32",
    "VirtualVmxnet",
    "VirtualVmxnet2",
    "VirtualVmxnet3",
];

/// VMware: a kind of NIC that the engine does not look at.
pub const W06: Check = Check {
    code: "W06",
    severity: Severity::Blocker,
    title: "has a kind of NIC that the engine ignores",
    reads: "the class of each NIC of a VMware VM",
    why: "The engine takes E1000, E1000e, PCNet32 and VMXNET 1 to 3 and leaves out all others, such \
          as SR-IOV and RDMA, without a word (VW:494-569).",
    when: "a NIC is passed through by SR-IOV, or is a paravirtual RDMA one",
    see: "`govc device.info -vm PATH 'ethernet-*'`, line Type",
    remedy: "replace it by a VMXNET 3 at the source, or waive it and add a NIC on the target",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (resolved, vm) in estate.vms().filter(|(vm, _)| vm.kind == SourceKind::Vmware) {
            let classes: Vec<&str> = vm
                .nics
                .iter()
                .filter_map(|nic| nic.model.as_deref())
                .filter(|class| !KNOWN_CLASSES.contains(class))
                .collect();
            if !classes.is_empty() {
                hits.push(Hit::vm(
                    resolved,
                    format!("NIC of class {}", list(&classes)),
                ));
            }
        }
        hits
    },
};

/// Something that the import names is not there.
pub const P09: Check = Check {
    code: "P09",
    severity: Severity::Blocker,
    title: "is to use a network or storage class that the target does not have",
    reads: "networks and storage classes of the target's snapshot",
    why: "The engine looks both up before anything else and ends as Invalid, without a reason in \
          the import's status (VM:262-310).",
    when: "the site names a network or a storage class that the target's snapshot does not list",
    see: "`kubectl get net-attach-def -n NAMESPACE NAME`, `kubectl get storageclass NAME`",
    remedy: "create it on the target and pull again, or name another one in the site",
    never_waived: None,
    run: p09,
};

fn p09(estate: &Estate<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for vm in &estate.plan.vms {
        let Some(target) = estate.target(vm) else {
            continue;
        };
        let about = &target.about;
        let gap = |what: &str| about.gaps.iter().any(|gap| gap.what.contains(what));
        if !gap("storage")
            && !about
                .storage_classes
                .iter()
                .any(|class| class.name == vm.storage_class)
        {
            let evidence = format!("{} has no storage class `{}`", vm.target, vm.storage_class);
            let position = estate
                .plan
                .targets
                .get(&vm.target)
                .map_or(0, |target| target.position);
            let path = format!(
                "{}targets[{position}].storageClass",
                estate.plan.site_prefix
            );
            hits.push(Hit::vm(vm, evidence).at(path));
        }
        for nic in vm.nics.iter().filter(|_| !gap("network")) {
            if let ResolvedNic {
                fate: NicFate::Mapped(network),
                path: Some(path),
                ..
            } = nic
                && !about
                    .networks
                    .iter()
                    .any(|known| network.to == known.id.as_str())
            {
                let evidence = format!("{} has no network `{}`", vm.target, network.to);
                hits.push(Hit::vm(vm, evidence).at(format!("{path}.to")));
            }
        }
    }
    hits
}
