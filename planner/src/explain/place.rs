//! Where a VM is, and where it goes.

use schemas::units::Bytes;

use super::Subject;
use crate::diagnostic::{count, list};
use crate::report::LeftOut;
use crate::resolve::NicFate;

/// What its source says of it: enough to tell it from a twin.
pub(super) fn source(subject: &Subject<'_>) -> Vec<String> {
    let vm = subject.vm;
    let mut lines = Vec::new();
    let mut place = subject.key.source.to_string();
    for part in [&vm.dc, &vm.folder].into_iter().flatten() {
        if !part.is_empty() {
            place.push('/');
            place.push_str(part);
        }
    }
    if let Some(project) = &vm.project {
        let name = project.name.as_ref().unwrap_or(&project.id);
        place = format!("{place}, project {name}");
    }
    lines.push(place);
    let bytes: Bytes = vm.disks.iter().map(|disk| disk.capacity_bytes).sum();
    let networks: Vec<&str> = vm
        .nics
        .iter()
        .filter_map(|nic| nic.network_name.as_deref())
        .collect();
    let on = match networks.as_slice() {
        [] => String::new(),
        networks => format!(" on {}", list(networks)),
    };
    lines.push(format!(
        "{}, {bytes}; {}{on}",
        count(vm.disks.len(), "disk"),
        count(vm.nics.len(), "NIC")
    ));
    lines
}

/// What the plan makes of it.
pub(super) fn plan(subject: &Subject<'_>) -> Vec<String> {
    let plan = &subject.planned.checked.plan;
    if let Some(vm) = plan.vm(subject.key) {
        let mut lines = vec![
            format!(
                "workload {}, by {} ({})",
                vm.workload,
                vm.path,
                (subject.locate)(&vm.path)
            ),
            format!(
                "to {}, namespace {}, as `{}`, storage class {}",
                vm.target, vm.namespace, vm.machine, vm.storage_class
            ),
        ];
        for nic in &vm.nics {
            let from = nic.network.as_ref().map_or("?", |network| network.as_str());
            lines.push(match &nic.fate {
                NicFate::Mapped(network) => format!("network `{from}` becomes {}", network.to),
                NicFate::Dropped => format!("network `{from}` is left behind, as the site says"),
                NicFate::Unmapped => format!("network `{from}` has no mapping"),
            });
        }
        return lines;
    }
    match LeftOut::of(plan)
        .into_iter()
        .find(|out| out.vm == *subject.key)
    {
        Some(out) => vec![format!("not moved: {}", out.reason)],
        None => vec!["no workload selects it".to_owned()],
    }
}
