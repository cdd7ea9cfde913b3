//! What the machine will look like to its guest: CPUs, firmware, buses, drivers.

use schemas::finding::Severity;
use schemas::inventory::{Disk, Power, SourceKind};
use schemas::site::NicModel;

use super::table::Check;
use super::{Hit, Row};
use crate::diagnostic::list;
use crate::resolve::NicFate;

/// Whether the guest is a Windows, as far as anybody says so.
pub(super) fn is_windows(row: &Row<'_>) -> bool {
    let said = row.vm.guest_os.as_ref();
    let seen = row.seen.and_then(|seen| seen.guest_os.as_ref());
    [said, seen].into_iter().flatten().any(|os| {
        let family = os.family.as_deref().unwrap_or_default();
        family.starts_with("windows") || os.id.as_deref().is_some_and(windows_id)
    })
}

fn windows_id(id: &str) -> bool {
    // vSphere's: winNTGuest, win2000ServGuest, windows9Server64Guest, …
    id.starts_with("win")
}

/// Guests for which there never were drivers of virtio or AHCI, by how vSphere's ids begin.
const NEVER_VIRTIO: [&str; 12] = [
    "dos",
    "eComStation",
    "netware",
    "openServer",
    "os2",
    "solaris6",
    "solaris7",
    "solaris8",
    "solaris9",
    "unixWare",
    "win3",
    "winNT",
];

/// Guests whose drivers must be put in by hand, and for which that works.
const OLD_WINDOWS: [&str; 7] = [
    "win2000", "win95", "win98", "winMe", "winNet", "winXP", "winVista",
];

/// What a disk is plugged into on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bus {
    /// AHCI.
    Sata,
    /// virtio-scsi: the one kind of SCSI that KubeVirt has.
    Scsi,
    /// virtio-blk.
    Virtio,
    /// USB.
    Usb,
}

impl Bus {
    /// In one word, as `KubeVirt` calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sata => "sata",
            Self::Scsi => "scsi",
            Self::Virtio => "virtio",
            Self::Usb => "usb",
        }
    }
}

/// The bus that the engine chooses for a disk (VW:592-616; OV `detectDiskBusType`); nothing where it
/// takes the import's default, virtio.
pub(super) fn bus(kind: SourceKind, disk: &Disk) -> Option<Bus> {
    let class = disk.controller.as_deref()?.to_ascii_lowercase();
    let has = |part: &str| class.contains(part);
    if kind == SourceKind::Openstack {
        return Some(Bus::Virtio);
    }
    Some(
        if kind == SourceKind::Vmware && (has("paravirtualscsi") || has("pvscsi")) {
            Bus::Sata
        } else if has("scsi") || has("buslogic") || has("lsilogic") {
            Bus::Scsi
        } else if has("ahci") || has("sata") || has("ide") || has("piix") {
            Bus::Sata
        } else if has("nvme") || has("virtio") {
            Bus::Virtio
        } else if has("usb") {
            Bus::Usb
        } else {
            return None;
        },
    )
}

/// Cores a socket.
pub const T01: Check = Check {
    code: "T01",
    severity: Severity::Blocker,
    title: "has several cores a socket, which the engine takes for sockets",
    reads: "cores a socket of the VM, and Harvester's version",
    why: "The engine writes all CPUs as cores and the cores a socket as sockets (SH:58-61). Harvester \
          1.6.1 to 1.8.2 sets one socket as the most, so that KubeVirt refuses the machine for ever, \
          after the whole export (#11410). 1.9 takes it: the machine then sees CPUs times cores a \
          socket, with the power of its CPUs (HV: virtualmachine/mutator.go).",
    when: "a VMware VM has more than one core a socket",
    see: "`govc vm.info -json PATH`, field `config.hardware.numCoresPerSocket`",
    remedy: "while it is off: `govc vm.change -vm PATH -e cpuid.coresPerSocket=1`; the guest sees the \
             same number of CPUs. Mind licences by socket",
    never_waived: None,
    run: |estate| {
        estate.hits(|row| {
            let cores = row.vm.cores_per_socket.filter(|cores| *cores > 1)?;
            if row.to.kind != SourceKind::Vmware {
                return None;
            }
            let vcpus = row
                .vm
                .vcpus
                .map_or("its".to_owned(), |vcpus| vcpus.to_string());
            let sees = row.vm.vcpus.map(|vcpus| vcpus.saturating_mul(cores));
            let sees = sees.map_or(String::new(), |sees| {
                format!(", so the guest will see {sees}")
            });
            let what = format!("{vcpus} CPUs at {cores} cores a socket");
            Some(match row.harvester {
                Some(version) if version.refuses_sockets() => Hit::vm(
                    row.to,
                    format!("{what}; Harvester {version} refuses the machine"),
                ),
                Some(version) => Hit::vm(row.to, format!("{what} on Harvester {version}{sees}"))
                    .severity(Severity::Warning),
                None => {
                    let target = &row.to.target;
                    Hit::vm(
                        row.to,
                        format!("{what}; the version of {target} is not known{sees}"),
                    )
                    .severity(Severity::Warning)
                }
            })
        })
    },
};

/// It was off, and will run.
pub const T03: Check = Check {
    code: "T03",
    severity: Severity::Warning,
    title: "is off at its source, and will be started on the target",
    reads: "the power state, when the inventory was pulled",
    why: "The engine makes every machine with the strategy RerunOnFailure: it starts at once, with its \
          old MAC and IP addresses, whatever it did at the source (SH:47).",
    when: "the VM was powered off when the inventory was pulled",
    see: "`govc vm.info PATH` or `openstack server show ID -c status`",
    remedy: "make sure that nothing else has its addresses by now; stop the machine once it is made, \
             or leave it out",
    never_waived: None,
    run: |estate| {
        estate
            .each(|row| (row.to.power == Some(Power::Off)).then(|| "it is powered off".to_owned()))
    },
};

/// A TPM whose content stays behind.
pub const T06: Check = Check {
    code: "T06",
    severity: Severity::Warning,
    title: "has a TPM or secure boot, whose secrets stay behind",
    reads: "firmware, secure boot and TPM",
    why: "The machine gets an empty TPM and empty UEFI variables, and neither lasts: what was sealed \
          (BitLocker, measured boot) and keys of one's own are gone. On a BIOS machine a TPM is \
          left out altogether (SH:82-109).",
    when: "the VM has a TPM, or is a Windows guest with secure boot",
    see: "`govc vm.info -json PATH`, fields `summary.config.tpmPresent`, `config.bootOptions`; in the \
          guest: `manage-bde -status`",
    remedy: "suspend BitLocker before the wave and have the recovery key at hand; enrol keys of your \
             own again on the target",
    never_waived: None,
    run: |estate| {
        estate.each(|row| {
            let efi = row.vm.firmware.as_deref() == Some("efi");
            match (row.vm.tpm, row.vm.secure_boot) {
                (Some(true), _) if efi => Some("it has a TPM".to_owned()),
                (Some(true), _) => Some("it has a TPM and a BIOS: the TPM is left out".to_owned()),
                (_, Some(true)) if is_windows(row) => Some("Windows with secure boot".to_owned()),
                _ => None,
            }
        })
    },
};

/// Drivers that the guest needs and may not have.
pub const T08: Check = Check {
    code: "T08",
    severity: Severity::Warning,
    title: "needs drivers that its guest may not have",
    reads: "the guest's kind, the bus of its system disk and the models of its NICs as the engine \
            chooses them",
    why: "The engine copies disks and converts nothing in the guest. It plugs LSI and BusLogic disks \
          into virtio-scsi, NVMe into virtio, and VMXNET into virtio-net (VW:494-616). A Windows \
          without these drivers stops with INACCESSIBLE_BOOT_DEVICE or comes up without network \
          (#4281, #5143). Whether they are there, no inventory says.",
    when: "a Windows guest, an image for another bus than virtio, or a guest that never had such drivers \
           (a blocker)",
    see: "in the guest: `pnputil /enum-drivers | findstr /i \"viostor vioscsi netkvm\"`, or \
          `lsinitrd | grep virtio`",
    remedy: "install the virtio drivers before the wave, those of the system disk as boot drivers; or \
             choose another `model` in the network mapping; then say so by a waiver",
    never_waived: None,
    run: |estate| estate.hits(t08),
};

fn t08(row: &Row<'_>) -> Option<Hit> {
    let id = row
        .vm
        .guest_os
        .as_ref()
        .and_then(|os| os.id.as_deref())
        .unwrap_or_default();
    if row.to.kind == SourceKind::Vmware && NEVER_VIRTIO.iter().any(|old| id.starts_with(old)) {
        let evidence = format!("guest `{id}`: there are no drivers for what the target has");
        return Some(
            Hit::vm(row.to, evidence)
                .severity(Severity::Blocker)
                .remedy(
                    "leave it out; if it has been seen to boot under KubeVirt, say so by a waiver",
                ),
        );
    }
    let mut needs = Vec::new();
    let windows = is_windows(row);
    let boot = row
        .vm
        .disks
        .iter()
        .find(|disk| disk.boot == Some(true))
        .or(row.vm.disks.first());
    let boot_bus = boot.and_then(|disk| bus(row.to.kind, disk));
    if windows {
        match boot_bus {
            Some(Bus::Scsi) => {
                needs.push("its system disk will be on virtio-scsi (vioscsi)".to_owned());
            }
            Some(Bus::Virtio) => {
                needs.push("its system disk will be on virtio (viostor)".to_owned());
            }
            Some(Bus::Sata | Bus::Usb) | None => {}
        }
        if virtio_nics(row) {
            needs.push("its network will be virtio (NetKVM)".to_owned());
        }
        if OLD_WINDOWS.iter().any(|old| id.starts_with(old)) {
            needs.push(format!("guest `{id}` has none by itself"));
        }
    }
    let told = boot.and_then(|disk| disk.image_properties.get("hw_disk_bus"));
    if let Some(bus) = told.filter(|bus| row.to.kind == SourceKind::Openstack && *bus != "virtio") {
        needs.push(format!(
            "its image asks for the bus `{bus}`, it will be virtio"
        ));
    }
    (!needs.is_empty()).then(|| Hit::vm(row.to, needs.join("; ")))
}

/// Whether a NIC that comes along will be a virtio one.
fn virtio_nics(row: &Row<'_>) -> bool {
    row.vm
        .nics
        .iter()
        .zip(&row.to.nics)
        .any(|(nic, resolved)| match &resolved.fate {
            NicFate::Mapped(network) => match network.model {
                Some(model) => model == NicModel::Virtio,
                None => nic.model.as_deref().is_none_or(|class| {
                    let class = class.to_ascii_lowercase();
                    class.contains("vmxnet") || class.contains("virtio")
                }),
            },
            NicFate::Dropped | NicFate::Unmapped => false,
        })
}

/// Devices of the host.
pub const T07: Check = Check {
    code: "T07",
    severity: Severity::Warning,
    title: "has devices of its host, which stay behind",
    reads: "devices passed through, reservations and limits, nested virtualization, latency sensitivity",
    why: "The engine takes CPUs, memory, disks and NICs, and drops the rest without a word: the guest \
          comes up without its GPU, dongle or reserved CPU (VW generate, OS:535-640).",
    when: "a PCI device, virtual GPU or USB device is passed through, or the VM runs a hypervisor",
    see: "`govc device.ls -vm PATH`",
    remedy: "attach a device of the target to the machine once it is made (Harvester's PCI and USB \
             devices), and test without it before",
    never_waived: None,
    run: |estate| {
        estate.each(|row| {
            let mut what: Vec<&str> = row.vm.passthrough.iter().map(String::as_str).collect();
            if row.vm.nested_hv {
                what.push("nested virtualization");
            }
            (!what.is_empty()).then(|| list(&what))
        })
    },
};

/// Disks on several kinds of bus.
pub const V17: Check = Check {
    code: "V17",
    severity: Severity::Info,
    title: "has disks on several controllers that become different buses",
    reads: "the controller of each disk, and the bus that the engine makes of it",
    why: "PVSCSI and IDE become SATA, LSI and BusLogic become SCSI, NVMe becomes virtio \
          (VW:592-616). Where a VM has several kinds, its disks are called `sda` and `vda` \
          side by side, in another order than before.",
    when: "a VM's disks end up on more than one bus",
    see: "`govc device.ls -vm PATH`; in the guest: `lsblk`, and `/etc/fstab` for names like `/dev/sdb1`",
    remedy: "have the guest mount by UUID or label before the wave",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let mut buses: Vec<Bus> = row
                .vm
                .disks
                .iter()
                .filter_map(|disk| bus(row.to.kind, disk))
                .collect();
            buses.sort_unstable();
            buses.dedup();
            let words: Vec<&str> = buses.iter().map(|bus| bus.word()).collect();
            (words.len() > 1).then(|| format!("{} become {}", row.vm.disks.len(), list(&words)))
        })
    },
};
