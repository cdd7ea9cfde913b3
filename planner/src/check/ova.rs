//! OVA archives: what the engine's reader of them refuses, loses or crashes on.

use schemas::finding::Severity;
use schemas::inventory::{Disk, OvaFacts, ScratchKind, SourceKind};
use schemas::units::Seconds;

use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::list;

fn each(estate: &Estate<'_>, look: impl Fn(&Row<'_>, &OvaFacts) -> Option<String>) -> Vec<Hit> {
    estate.each_of(SourceKind::Ova, |row| look(row, row.vm.ova.as_ref()?))
}

/// Seconds that the engine gives a download where its source cannot say otherwise.
const HTTP_TIMEOUT: Seconds = Seconds(600);

/// A download that is cut off.
pub const A02: Check = Check {
    code: "A02",
    severity: Severity::Warning,
    title: "takes longer to download than this engine allows",
    reads: "the archive's size, the rate that the site assumes, and whether the engine's source \
            object has a timeout",
    why: "The engine gives a download 600 s, body included, unless its source says otherwise. Windrow \
          says that there is no limit; an engine that does not know the field keeps its 600 s, and \
          the import fails (OV:746-751).",
    when: "the engine has no field `httpTimeoutSeconds` and the archive is large for the rate",
    see: "`kubectl get crd ovasources.migration.harvesterhci.io -o yaml`, and `curl -sI URL` for its \
          size",
    remedy: "upgrade the add-on, or host the archive nearer to the cluster",
    never_waived: None,
    run: |estate| {
        let rate = estate.plan.assumptions.export_bytes_per_second.0;
        each(estate, |row, ova| {
            let fields = &row.target?.about.ova_source_fields;
            let takes = ova.archive_bytes.at_rate(rate);
            let limited = !fields.is_empty() && !fields.iter().any(|f| f == "httpTimeoutSeconds");
            (limited && takes > HTTP_TIMEOUT)
                .then(|| format!("{} at {rate}/s assumed take {takes}", ova.archive_bytes))
        })
    },
};

/// No manifest that the engine reads.
pub const A03: Check = Check {
    code: "A03",
    severity: Severity::Blocker,
    title: "has no manifest that the engine can check",
    reads: "the manifest (`*.mf`) in the archive, the digest that it uses, its line for each disk",
    why: "After the whole download the engine looks for a manifest with SHA-1 or SHA-256 and fails \
          without one, or without a line for a disk (OV:366-393).",
    when: "the archive has no `*.mf`, one with SHA-512, or one without a line for each disk; of a \
           name with a parenthesis the engine reads no line",
    see: "`tar -tf FILE.ova`, and the first line of the manifest",
    remedy: "pack it again: `ovftool --shaAlgorithm=SHA256 FILE.ovf FILE.ova`",
    never_waived: Some("the engine refuses the archive"),
    run: |estate| {
        each(estate, |row, ova| match ova.manifest.as_deref() {
            // Where the archive could not be read to its end, nothing is known of it.
            None if row.vm.gaps.is_empty() && ova.virtual_systems > 0 => {
                Some("no manifest".to_owned())
            }
            None => None,
            Some(digest) if !matches!(digest.to_ascii_lowercase().as_str(), "sha1" | "sha256") => {
                Some(format!("its manifest uses `{digest}`"))
            }
            Some(_) => (!ova.unlisted_disks.is_empty())
                .then(|| format!("its manifest has no line for {}", list(&ova.unlisted_disks))),
        })
    },
};

/// Several machines in one archive.
pub const A04: Check = Check {
    code: "A04",
    severity: Severity::Blocker,
    title: "describes several machines, and the engine takes one",
    reads: "the number of virtual systems in the descriptor",
    why: "The engine reads a single virtual system. In a collection it finds no disks and ends as \
          Invalid, after the whole download (OV).",
    when: "the descriptor has a VirtualSystemCollection: it was exported from a vApp",
    see: "`tar -xOf FILE.ova '*.ovf' | grep -c '<VirtualSystem '`",
    remedy: "export each machine by itself",
    never_waived: Some("the engine finds no disks in it"),
    run: |estate| {
        each(estate, |_, ova| {
            (ova.virtual_systems > 1).then(|| format!("{} virtual systems", ova.virtual_systems))
        })
    },
};

/// A disk without a file.
pub const A05: Check = Check {
    code: "A05",
    severity: Severity::Blocker,
    title: "has a disk without a file, on which the engine crashes",
    reads: "the disks of the descriptor and the files that they name",
    why: "The engine takes a file for granted and ends with a nil pointer, again after each restart, \
          and downloads the archive each time (OV:617,674; measured). While it is down nobody's \
          import moves.",
    when: "the descriptor has a blank disk: one without `fileRef`",
    see: "`tar -xOf FILE.ova '*.ovf' | grep '<Disk '`: each must have `ovf:fileRef`",
    remedy: "remove the blank disk from the machine and export it again",
    never_waived: Some("it takes the engine down for everybody"),
    run: |estate| {
        each(estate, |_, ova| {
            let blank = &ova.blank_disks;
            (!blank.is_empty()).then(|| format!("disk {} has no file", list(blank)))
        })
    },
};

/// The items of the descriptor that lack one of these fields.
fn lacking(estate: &Estate<'_>, fields: &[&str]) -> Vec<Hit> {
    each(estate, |_, ova| {
        let items: Vec<&str> = (ova.incomplete_items.iter())
            .filter(|item| fields.iter().any(|field| item.ends_with(field)))
            .map(String::as_str)
            .collect();
        (!items.is_empty()).then(|| format!("item {}", list(&items)))
    })
}

/// A disk or NIC without what it hangs on.
pub const A06: Check = Check {
    code: "A06",
    severity: Severity::Blocker,
    title: "has a disk or NIC that names nothing, on which the engine crashes",
    reads: "the hardware items of the descriptor",
    why: "The engine takes the first host resource of a disk and the first connection of a NIC; where \
          there is none it ends with an index out of range, again after each restart \
          (OV:609,614,671).",
    when: "a disk item has no `HostResource`, or a network item no `Connection`",
    see: "`tar -xOf FILE.ova '*.ovf'`, the items of resource type 17 and 10",
    remedy: "mend the descriptor and its digest in the manifest, or export the machine again",
    never_waived: Some("it takes the engine down for everybody"),
    run: |estate| lacking(estate, &["HostResource", "Connection"]),
};

/// CPU or memory without a number.
pub const A07: Check = Check {
    code: "A07",
    severity: Severity::Blocker,
    title: "has a CPU or memory item without a number, on which the engine crashes",
    reads: "the hardware items of the descriptor",
    why: "The engine takes the quantity of CPU and memory for granted and ends with a nil pointer, \
          again after each restart (OV:470,580).",
    when: "an item of resource type 3 or 4 has no `VirtualQuantity`",
    see: "`tar -xOf FILE.ova '*.ovf'`, the items of resource type 3 and 4",
    remedy: "mend the descriptor and its digest in the manifest, or export the machine again",
    never_waived: Some("it takes the engine down for everybody"),
    run: |estate| lacking(estate, &["VirtualQuantity"]),
};

/// A disk of another kind than the engine reads.
pub const A08: Check = Check {
    code: "A08",
    severity: Severity::Blocker,
    title: "has a disk file that is no plain VMDK",
    reads: "the names of the disk files in the archive, their format, compression and chunks",
    why: "The engine hands each file to qemu-img as a VMDK. A compressed or chunked one, or one of \
          another format, fails after the whole download (OV:580-590).",
    when: "a disk's file ends with something else than `.vmdk`, or the descriptor calls it packed or \
           in chunks",
    see: "`tar -tf FILE.ova`",
    remedy: "convert the disks (`qemu-img convert -O vmdk -o subformat=streamOptimized`) and pack the \
             archive again",
    never_waived: None,
    run: |estate| {
        each(estate, |row, _| {
            let is_plain = |disk: &Disk| {
                let file = disk.file.as_deref().unwrap_or(&disk.key);
                let ending = file.rsplit_once('.').map(|(_, ending)| ending);
                ending.is_some_and(|ending| ending.eq_ignore_ascii_case("vmdk"))
                    && disk
                        .backing
                        .as_deref()
                        .is_none_or(|backing| backing == "vmdk")
            };
            let odd: Vec<&str> = (row.vm.disks.iter())
                .filter(|disk| !is_plain(disk))
                .map(|disk| disk.file.as_deref().unwrap_or(&disk.key))
                .collect();
            (!odd.is_empty()).then(|| format!("file {}", list(&odd)))
        })
    },
};

/// A disk that the engine does not find.
pub const WR033: Check = Check {
    code: "WR033",
    severity: Severity::Blocker,
    title: "has a disk that the engine does not find in the archive",
    reads: "the disks of the descriptor, the files that they name, and the archive's members",
    why: "The engine takes a file's name for a pattern and compares it with the last part of each \
          member's name, so it never finds a path, and for a name with brackets another file or none: \
          it fails after the whole download. A disk item that names no disk or file of the descriptor \
          it passes over, and the machine lacks that disk (OV:395-402, 609-632).",
    when: "a file lies in a folder, its name has one of `*?[\\`, or it is missing; or an item names a \
           file where a disk belongs",
    see: "`tar -tf FILE.ova`, beside the descriptor's `<File>`, `<Disk>` and `HostResource`",
    remedy: "pack the archive again with all files at its top, plain names, and a disk for each item",
    never_waived: Some("the engine fails, or the machine lacks a disk"),
    run: |estate| {
        each(estate, |_, ova| {
            (!ova.unfound_disks.is_empty()).then(|| ova.unfound_disks.join("; "))
        })
    },
};

/// An archive that a restart loses.
pub const A09: Check = Check {
    code: "A09",
    severity: Severity::Warning,
    title: "is lost from the scratch when the engine's pod restarts",
    reads: "what the engine's scratch is made of, in the target's snapshot",
    why: "The engine reads the descriptor once more, from the archive, when it makes the machine. On \
          an emptyDir the archive is gone after a restart, and the import never goes on \
          (OV:424, VM:659).",
    when: "the scratch is an emptyDir, and an OVA is imported",
    see: "`kubectl -n harvester-system get deployment harvester-vm-import-controller -o \
          jsonpath='{.spec.template.spec.volumes}'`",
    remedy: "give the add-on a claim: `pvcClaim.enabled: true` with a size, before the first wave",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Ova, |row| {
            let scratch = row.target?.about.scratch.as_ref()?;
            (scratch.kind == ScratchKind::EmptyDir)
                .then(|| format!("the scratch of {} is an emptyDir", row.to.target))
        })
    },
};
