//! How much scratch an import needs, and what its export moves.
//!
//! Takes the sizes of a VM's disks and gives peak, resident and transferred bytes with their
//! basis. Every disk passes through the engine's one scratch directory as a raw file and stays
//! there until the machine runs (SV:15,48; VM:175-204); on the way there each kind of source needs
//! more. The formulas are those of `docs/engine.md` §3, which held to the MiB where they were
//! measured (§6).
//!
//! Symbols, per disk: P provisioned, U bytes that the raw file really takes, Z the stream-optimized
//! VMDK that vCenter hands out, A the OVA archive, V the VMDK inside it.

use std::fmt;

use schemas::inventory::{SourceKind, Vm};
use schemas::units::{Bytes, MIB, Quantity};
use schemas::wave::WaveSize;

/// What is known of one disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSizes {
    /// P: what the guest sees.
    pub provisioned: Bytes,
    /// U: bytes in use, if measured; else P is taken for it.
    pub used: Option<Bytes>,
    /// V: size of its file in the OVA, if it is in one; else P is taken for it.
    pub archived: Option<Bytes>,
}

impl DiskSizes {
    /// U. A raw file never takes more than the disk's provisioned size.
    fn written(&self) -> Bytes {
        self.used
            .map_or(self.provisioned, |used| used.min(self.provisioned))
    }

    /// V.
    fn packed(&self) -> Bytes {
        self.archived.unwrap_or(self.provisioned)
    }
}

/// Where the sizes come from: the weakest of all disks'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Given in the plan.
    Given,
    /// Bytes in use were measured at the source.
    Measured,
    /// Provisioned sizes: an upper bound.
    Provisioned,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Given => "given in the plan",
            Self::Measured => "bytes in use, as measured at the source",
            Self::Provisioned => "provisioned sizes, an upper bound",
        })
    }
}

/// What one import needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Most scratch bytes while it is exported.
    pub peak: Bytes,
    /// Scratch bytes from then until its machine runs.
    pub resident: Bytes,
    /// Bytes that its export moves.
    pub transfer: Bytes,
    /// Provisioned bytes of its disks: what the image phase reads, because a raw file's
    /// Content-Length is its apparent size (VM:808; measured §8).
    pub disks: Bytes,
    /// Where these come from.
    pub basis: Basis,
}

impl Footprint {
    /// Of an import from a source of `kind`. `archive` is the OVA's size (A), if it is one.
    pub fn new(kind: SourceKind, disks: &[DiskSizes], archive: Option<Bytes>) -> Self {
        let provisioned: Bytes = disks.iter().map(|disk| disk.provisioned).sum();
        let written: Bytes = disks.iter().map(DiskSizes::written).sum();
        let measured = disks.iter().all(|disk| disk.used.is_some());
        let (peak, resident, transfer) = match kind {
            SourceKind::Vmware => (vmware_peak(disks), written, written),
            // Streamed and fully written, without holes (measured §6): U is always P.
            SourceKind::Openstack => (provisioned, provisioned, provisioned),
            SourceKind::Ova => {
                let archive = archive.unwrap_or_else(|| disks.iter().map(DiskSizes::packed).sum());
                (
                    archive + ova_peak_beside_archive(disks),
                    archive + written,
                    archive,
                )
            }
        };
        Self {
            peak,
            resident,
            transfer,
            disks: provisioned,
            basis: match kind {
                SourceKind::Openstack => Basis::Provisioned,
                _ if measured => Basis::Measured,
                _ => Basis::Provisioned,
            },
        }
    }

    /// Of a VM as the inventory has it. Bytes in use are left out on purpose: they change by
    /// themselves, and a wave must not change with them; the plan may give what it knows better.
    pub fn of_vm(kind: SourceKind, vm: &Vm) -> Self {
        let disks: Vec<DiskSizes> = vm
            .disks
            .iter()
            .map(|disk| DiskSizes {
                provisioned: disk.capacity_bytes,
                used: None,
                archived: disk.file_bytes,
            })
            .collect();
        Self::new(kind, &disks, vm.ova.as_ref().map(|ova| ova.archive_bytes))
    }

    /// The same import, with the room on the scratch that the plan gives for it.
    #[must_use]
    pub fn with_scratch(self, room: Bytes) -> Self {
        Self {
            peak: room,
            resident: self.resident.min(room),
            basis: Basis::Given,
            ..self
        }
    }

    /// As a wave pins it: each size rounded up to whole MiB, so that its text is exact.
    pub fn size(&self) -> WaveSize {
        let whole = |bytes: Bytes| Quantity(Bytes(bytes.0.next_multiple_of(MIB)));
        WaveSize {
            peak: whole(self.peak),
            resident: whole(self.resident),
            transfer: whole(self.transfer),
            disks: whole(self.disks),
        }
    }
}

/// All VMDKs are downloaded first; then one by one is converted and removed:
/// `max_k (Σ_{i≥k} Z_i + Σ_{i≤k} U_i)`, with U for Z (≈ U compressed, never more than P).
fn vmware_peak(disks: &[DiskSizes]) -> Bytes {
    let mut held: Bytes = disks.iter().map(DiskSizes::written).sum();
    let mut peak = held;
    for disk in disks {
        held += disk.written();
        peak = peak.max(held);
        held -= disk.written();
    }
    peak
}

/// Beside the archive, one disk after the other: its VMDK is extracted, its raw written, the VMDK
/// removed: `max_k (V_k + Σ_{i≤k} U_i)`.
fn ova_peak_beside_archive(disks: &[DiskSizes]) -> Bytes {
    let (mut raws, mut peak) = (Bytes::ZERO, Bytes::ZERO);
    for disk in disks {
        raws += disk.written();
        peak = peak.max(raws + disk.packed());
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(provisioned: u64) -> DiskSizes {
        DiskSizes {
            provisioned: Bytes::from_gib(provisioned),
            ..DiskSizes::default()
        }
    }

    // VMware: one disk needs 2P, n equal disks (n+1)/n · ΣP, any set at most ΣP + max P (§3).
    #[test]
    fn vmware() {
        let one = Footprint::new(SourceKind::Vmware, &[disk(100)], None);
        assert_eq!(
            (one.peak, one.resident),
            (Bytes::from_gib(200), Bytes::from_gib(100))
        );
        let four = Footprint::new(SourceKind::Vmware, &[disk(10); 4], None);
        assert_eq!(four.peak, Bytes::from_gib(50));
        let mixed = Footprint::new(SourceKind::Vmware, &[disk(10), disk(70), disk(5)], None);
        assert_eq!(mixed.peak, Bytes::from_gib(85 + 70));
    }

    // OpenStack: raws are streamed, so the peak is what stays (§3; measured §6: P without holes).
    #[test]
    fn openstack() {
        let it = Footprint::new(SourceKind::Openstack, &[disk(1), disk(4)], None);
        assert_eq!(
            (it.peak, it.resident, it.transfer),
            (Bytes::from_gib(5), Bytes::from_gib(5), Bytes::from_gib(5))
        );
    }

    // OVA: A = V = U = 40 MiB failed in 100 MB and succeeded in 130 MB: A + V + U = 120 MiB, with
    // 80 MiB left resident (measured §9).
    #[test]
    fn ova() {
        let full = DiskSizes {
            provisioned: Bytes::from_mib(40),
            used: Some(Bytes::from_mib(40)),
            archived: Some(Bytes::from_mib(40)),
        };
        let it = Footprint::new(SourceKind::Ova, &[full], Some(Bytes::from_mib(40)));
        assert_eq!(
            (it.peak, it.resident),
            (Bytes::from_mib(120), Bytes::from_mib(80))
        );
        assert_eq!(it.basis, Basis::Measured);
    }

    // The plan's figure replaces the peak, and what stays is never more than it.
    #[test]
    fn given() {
        let it = Footprint::new(SourceKind::Vmware, &[disk(100)], None)
            .with_scratch(Bytes::from_gib(30));
        assert_eq!(
            (it.peak, it.resident, it.disks),
            (
                Bytes::from_gib(30),
                Bytes::from_gib(30),
                Bytes::from_gib(100)
            )
        );
    }
}
