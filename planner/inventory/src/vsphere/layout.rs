//! Bytes on datastores: what a VM's disks, snapshots and other files take.

use std::collections::BTreeMap;

use schemas::inventory::Disk;
use schemas::units::Bytes;

use super::places::whole_gib;
use crate::xml::Element;

/// What `layoutEx` says.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// All files in each disk's chain (base, snapshots and the parents of a linked clone), by disk
    /// key; whole GiB.
    pub(crate) disks: BTreeMap<String, Bytes>,
    /// What is there for snapshots only.
    pub(crate) snapshot_bytes: u64,
    /// Swap, and the memory of a suspended VM.
    pub(crate) other_bytes: u64,
}

impl Layout {
    /// Reads it.
    pub(crate) fn new(layout: Element<'_>) -> Self {
        let mut result = Self::default();
        let mut sizes: Vec<(&str, u64)> = Vec::new();
        for file in layout.all("file") {
            let (Some(key), Some(size)) = (file.text_of("key"), file.value::<u64>("size")) else {
                continue;
            };
            sizes.push((key, size));
            match file.text_of("type") {
                Some("snapshotData" | "snapshotMemory" | "snapshotList") => {
                    result.snapshot_bytes += size;
                }
                Some("swap" | "uwswap" | "suspend" | "suspendMemory") => {
                    result.other_bytes += size;
                }
                _ => {}
            }
        }
        let size = |link: Element<'_>| -> u64 {
            let of = |wanted: Element<'_>| {
                let found = sizes.iter().find(|(key, _)| *key == wanted.text());
                found.map_or(0, |(_, size)| *size)
            };
            link.all("fileKey").map(of).sum()
        };
        for disk in layout.all("disk") {
            let mut bytes = 0;
            // From the base to what is written now.
            for (depth, link) in disk.all("chain").enumerate() {
                let link = size(link);
                bytes += link;
                if depth > 0 {
                    result.snapshot_bytes += link;
                }
            }
            if let Some(key) = disk.text_of("key").filter(|_| bytes > 0) {
                result.disks.insert(key.to_owned(), whole_gib(bytes));
            }
        }
        result
    }
}

/// Where the server does not say which files are whose: what the VM takes as a whole, shared by
/// capacity, each disk at most its own.
pub(crate) fn share_committed(disks: &[Disk], committed: u64) -> BTreeMap<String, Bytes> {
    let total: u128 = disks
        .iter()
        .map(|disk| u128::from(disk.capacity_bytes.0))
        .sum();
    if total == 0 || committed == 0 {
        return BTreeMap::new();
    }
    let share = |disk: &Disk| {
        let capacity = disk.capacity_bytes.0;
        let share = u128::from(committed) * u128::from(capacity) / total;
        let share = u64::try_from(share).unwrap_or(u64::MAX).min(capacity);
        (disk.key.clone(), whole_gib(share))
    };
    disks.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use schemas::units::GIB;

    use super::*;
    use crate::xml;

    fn gib(gib: u64) -> Bytes {
        Bytes(gib * GIB)
    }

    // A chain counts as a whole, its links after the first also as snapshots; swap is no disk.
    #[test]
    fn chains_and_other_files() {
        let file = |key: u32, kind: &str, size: u64| {
            format!("<file><key>{key}</key><type>{kind}</type><size>{size}</size></file>")
        };
        let text = format!(
            "<val>{}{}{}{}{}<disk><key>2000</key><chain><fileKey>0</fileKey><fileKey>1</fileKey>\
             </chain><chain><fileKey>2</fileKey></chain></disk>\
             <disk><key>2001</key><chain><fileKey>9</fileKey></chain></disk></val>",
            file(0, "diskDescriptor", 500),
            file(1, "diskExtent", 3 * GIB),
            file(2, "diskExtent", GIB),
            file(3, "swap", 2 * GIB),
            file(4, "snapshotMemory", GIB),
        );
        let tree = xml::read_flat(&text).expect("fine");
        let layout = Layout::new(tree.root());
        assert_eq!(layout.disks, [("2000".to_owned(), gib(5))].into());
        assert_eq!(layout.snapshot_bytes, 2 * GIB);
        assert_eq!(layout.other_bytes, 2 * GIB);
    }

    // Without a layout, disks share what the VM takes by their capacity, and never take more.
    #[test]
    fn shares() {
        let disk = |key: &str, capacity| Disk {
            key: key.to_owned(),
            capacity_bytes: gib(capacity),
            ..Disk::default()
        };
        let disks = [disk("a", 30), disk("b", 10)];
        let shares = share_committed(&disks, 20 * GIB);
        assert_eq!(shares["a"], gib(15));
        assert_eq!(shares["b"], gib(5));
        assert_eq!(share_committed(&disks, 900 * GIB)["b"], gib(10));
        assert!(share_committed(&disks, 0).is_empty());
        assert!(share_committed(&[], GIB).is_empty());
    }
}
