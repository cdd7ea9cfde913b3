//! Disks that several VMs have, whatever their source: they move together or not at all.

use schemas::ids::VmId;
use schemas::inventory::{Disk, Rule, RuleKind, Vm};

/// Where these rules come from.
const ORIGIN: &str = "disks";

/// A rule for each disk that two VMs or more have, of VMs and their [`disks_of`].
pub(crate) fn shared_disks<'a>(vms: impl Iterator<Item = (&'a VmId, Vec<String>)>) -> Vec<Rule> {
    let mut holders: Vec<(String, &VmId)> = vms
        .flat_map(|(id, disks)| disks.into_iter().map(move |disk| (disk, id)))
        .collect();
    holders.sort_unstable();
    holders.dedup();
    holders
        .chunk_by(|one, other| one.0 == other.0)
        .filter(|members| members.len() > 1)
        .map(|members| Rule {
            id: format!("shared-disk:{}", members[0].0),
            kind: RuleKind::SharedDisk,
            name: Some(members[0].0.clone()),
            members: members.iter().map(|(_, id)| (*id).clone()).collect(),
            enabled: true,
            origin: ORIGIN.to_owned(),
            ..Rule::default()
        })
        .collect()
}

/// What tells a VM's disks from all others: the same file (vSphere), the same LUN behind a raw
/// device mapping, the same volume. Templates own nothing, and what a linked clone builds on is not
/// its own.
pub(crate) fn disks_of(vm: &Vm) -> Vec<String> {
    let disks = vm.disks.iter().filter(|_| !vm.template);
    disks.filter_map(identity).collect()
}

/// What is the same for all that have a disk.
fn identity(disk: &Disk) -> Option<String> {
    if let Some(lun) = &disk.lun {
        return Some(format!("lun:{lun}"));
    }
    if disk.backing.as_deref() == Some("volume") {
        return Some(format!("volume:{}", disk.key));
    }
    // A file in an OVA is that archive's own.
    disk.file
        .as_ref()
        .filter(|_| disk.backing.as_deref() != Some("vmdk"))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(id: &str, disk: Disk) -> Vm {
        Vm {
            id: id.into(),
            disks: vec![disk],
            ..Vm::default()
        }
    }

    // The same file, LUN or volume ties VMs together; a template's does not, nor does a parent.
    #[test]
    fn what_is_shared() {
        let file = |file: &str| Disk {
            file: Some(file.to_owned()),
            parents: vec!["[ds] gold.vmdk".to_owned()],
            ..Disk::default()
        };
        let lun = |file: &str| Disk {
            file: Some(file.to_owned()),
            lun: Some("02".to_owned()),
            ..Disk::default()
        };
        let volume = |key: &str| Disk {
            key: key.to_owned(),
            backing: Some("volume".to_owned()),
            ..Disk::default()
        };
        let mut template = vm("t", file("[ds] a.vmdk"));
        template.template = true;
        let vms = [
            vm("1", file("[ds] a.vmdk")),
            vm("2", file("[ds] a.vmdk")),
            vm("3", file("[ds] b.vmdk")),
            vm("4", lun("[ds] c.vmdk")),
            vm("5", lun("[ds] d.vmdk")),
            vm("6", volume("v")),
            vm("7", volume("v")),
            vm("8", volume("w")),
            template,
        ];
        let found: Vec<_> = shared_disks(vms.iter().map(|vm| (&vm.id, disks_of(vm))))
            .iter()
            .map(|rule| (rule.name.clone().unwrap_or_default(), rule.members.clone()))
            .collect();
        let ids = |a: &str, b: &str| vec![VmId::from(a), VmId::from(b)];
        assert_eq!(
            found,
            [
                ("[ds] a.vmdk".to_owned(), ids("1", "2")),
                ("lun:02".to_owned(), ids("4", "5")),
                ("volume:v".to_owned(), ids("6", "7")),
            ]
        );
    }
}
