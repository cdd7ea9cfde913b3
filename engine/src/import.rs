//! What the simulation is told of one import: who it is, what its disks take, how long each of its
//! steps lasts, and what goes wrong with it.

use std::sync::Arc;

use schemas::ids::{Namespace, ObjectName};
use schemas::inventory::SourceKind;
use schemas::units::{Bytes, Seconds};
use schemas::wave::WaveSize;

use crate::time::Millis;

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// So long.
    After(Millis),
    /// Until the simulation is told that it is over (or for ever).
    External,
}

impl From<Seconds> for Timing {
    fn from(seconds: Seconds) -> Self {
        Self::After(seconds.into())
    }
}

/// The guest at its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Switched off already. The engine then passes at once (measured §8).
    Off,
    /// Running: from being asked to shut down until it is off.
    On(Timing),
}

/// One disk of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// Name of its raw file in the scratch ([`file_names`]). Equal names overwrite each other.
    pub file: Arc<str>,
    /// Bytes that the raw file takes.
    pub written: Bytes,
    /// How long Harvester takes to take its image in, alone.
    pub image: Timing,
}

/// What goes wrong with an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its source is not ready: it stays in the empty state until [`crate::Sim::heal`] (P04).
    SourceNotReady,
    /// Preflight refuses it: `virtualMachineImportInvalid`, the reason only in the log (W10, P09).
    Invalid,
    /// The VM is not found at its source: `sourceReady` without a condition, for ever (O02, P06).
    VmGone,
    /// The export breaks off after this share of its time (hundredths).
    ExportFails {
        /// Hundredths of its time that it takes until then.
        at: u8,
        /// What the condition `VMExportFailed` says.
        message: String,
    },
    /// Harvester cannot take the image of this disk in: `RetryLimitExceeded`, which the engine
    /// never notices (S08).
    ImageFails {
        /// The disk, counted from 0.
        disk: usize,
    },
    /// The machine cannot be created (a webhook, a quota, a name that is taken): retried for ever
    /// in `diskImagesReady`, until [`crate::Sim::heal`] (N02, S10; measured 12).
    MachineRefused,
    /// The write at the end of its first export meets a conflict nobody caused, and it is exported
    /// twice (measured-admission, surprises).
    ExportedTwice,
    /// The engine panics when it looks the VM up (O01), until the import is deleted.
    PanicOnLookup,
    /// The engine panics at the end of the export (A05), until the import is deleted.
    PanicAfterExport,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSpec {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
    /// The machine's name on the target: the source's in lower case, which the engine writes to
    /// `importedVirtualMachineName`.
    pub machine: ObjectName,
    /// The kind of its source.
    pub kind: SourceKind,
    /// The guest at its source.
    pub guest: Guest,
    /// VMware: after so long the engine cuts a guest's power (default 60 s, V03).
    pub shutdown_timeout: Millis,
    /// Most scratch bytes while it is exported.
    pub peak: Bytes,
    /// OVA: name and size of the archive, which stays beside the raws.
    pub archive: Option<(Arc<str>, Bytes)>,
    /// Its disks, in device order.
    pub disks: Vec<DiskSpec>,
    /// How long the export takes.
    pub export: Timing,
    /// From the machine's creation until it is ready.
    pub boot: Timing,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

impl ImportSpec {
    /// Scratch bytes from the end of its export until its machine runs.
    pub fn resident(&self) -> Bytes {
        let archive = self.archive.as_ref().map_or(Bytes::ZERO, |(_, size)| *size);
        self.disks.iter().map(|disk| disk.written).sum::<Bytes>() + archive
    }

    /// An import by its planned sizes: one raw file of the resident size, with the OVA's archive
    /// in it. For those who plan and do not ask which file is whose.
    pub fn of_size(
        (namespace, name, machine): (Namespace, ObjectName, ObjectName),
        kind: SourceKind,
        size: &WaveSize,
        guest: Guest,
        (export, images, boot): (Timing, Timing, Timing),
    ) -> Self {
        let file = match kind {
            SourceKind::Vmware => format!("{name}-{namespace}-disk-0.img"),
            SourceKind::Openstack | SourceKind::Ova => format!("{machine}-0.img"),
        };
        Self {
            namespace,
            name,
            machine,
            kind,
            guest,
            shutdown_timeout: Millis::from_seconds(60),
            peak: size.peak.0,
            archive: None,
            disks: vec![DiskSpec {
                file: file.into(),
                written: size.resident.0,
                image: images,
            }],
            export,
            boot,
            fault: None,
        }
    }
}

/// Names of the raw files that the engine will write: the import's own for VMware, the machine's
/// for OpenStack and OVA, whatever the namespace (N03; VW:353, OS:443, OV:430; measured §8, §4).
/// `bases` are the OVA's VMDK names, or anything of the same number.
pub fn file_names(
    kind: SourceKind,
    namespace: &Namespace,
    import: &ObjectName,
    machine: &ObjectName,
    bases: &[&str],
) -> Vec<Arc<str>> {
    bases
        .iter()
        .enumerate()
        .map(|(k, base)| match kind {
            SourceKind::Vmware => format!("{import}-{namespace}-disk-{k}.img").into(),
            SourceKind::Openstack => format!("{machine}-{k}.img").into(),
            SourceKind::Ova => {
                let stem = base.strip_suffix(".vmdk").unwrap_or(base);
                format!("{machine}-{stem}.img").into()
            }
        })
        .collect()
}

/// Name of the archive that the engine keeps of an OVA (OV:426).
pub fn archive_name(machine: &ObjectName) -> Arc<str> {
    format!("{machine}.ova").into()
}
