//! Names that the engine makes: files on its scratch, display names of images, imports.
//!
//! Two imports that would write one file must not be under way at the same time: that is no
//! blocker but a mutual exclusion, which the schedule keeps ([`exclusive`]). Everything else that
//! two may not share has a check here or in [`super::names`].

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::Severity;
use schemas::ids::{TargetName, VmKey};
use schemas::inventory::{SourceKind, TargetImage, TargetImport};

use super::queue::{import_stem, state};
use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::list;

/// What vSphere calls a disk in an export, as the engine takes it for a file's name.
fn lease_path(disk: usize) -> String {
    format!("disk-{disk}.img")
}

/// Whether the engine takes the VM's name for a prefix of vSphere's own file names and then leaves
/// out what makes them unique (VW:296-298).
fn is_lease_prefix(name: &str) -> bool {
    !name.is_empty() && "disk-0.vmdk".starts_with(name)
}

/// The files that an import writes and that others might write too. VMware's bear the import's name
/// and its namespace and are left out, unless the engine forgets them (N05).
pub(super) fn files(row: &Row<'_>) -> Vec<String> {
    let machine = &row.to.machine;
    let disks = row.vm.disks.len();
    match row.to.kind {
        SourceKind::Vmware if is_lease_prefix(&row.to.find) => (0..disks).map(lease_path).collect(),
        SourceKind::Vmware => Vec::new(),
        SourceKind::Openstack => (0..disks.max(1))
            .map(|i| format!("{machine}-{i}.img"))
            .collect(),
        SourceKind::Ova => {
            let raws = row.vm.disks.iter().map(|disk| {
                format!(
                    "{machine}-{}.img",
                    base_name(disk.file.as_deref().unwrap_or(&disk.key))
                )
            });
            raws.chain([format!("{machine}.ova")]).collect()
        }
    }
}

/// A file's name without its folder and its last ending, as the engine takes it.
fn base_name(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(base, _)| base)
}

/// VMs that would write one file, by target and file; only those that are not alone. OpenStack's
/// and OVA's of one name count as sharing, whatever their disks are called: the engine tidies by
/// name.
fn shared<'a>(estate: &Estate<'a>) -> BTreeMap<(&'a TargetName, String), BTreeSet<&'a VmKey>> {
    let mut writers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in estate.rows() {
        let (to, target) = (row.to, &row.to.target);
        if to.kind != SourceKind::Vmware {
            writers
                .entry((target, format!("{}-…img", to.machine)))
                .or_default()
                .insert(&to.key);
        }
        for file in files(row) {
            writers.entry((target, file)).or_default().insert(&to.key);
        }
    }
    writers.retain(|_, vms| vms.len() > 1);
    writers
}

/// For each VM those that must not be under way with it.
pub(super) fn exclusive(estate: &Estate<'_>) -> BTreeMap<VmKey, Vec<VmKey>> {
    let mut exclusive: BTreeMap<VmKey, BTreeSet<VmKey>> = BTreeMap::new();
    for vms in shared(estate).into_values() {
        for key in &vms {
            let others = vms
                .iter()
                .filter(|other| *other != key)
                .map(|other| (*other).clone());
            exclusive.entry((*key).clone()).or_default().extend(others);
        }
    }
    exclusive
        .into_iter()
        .map(|(key, others)| (key, others.into_iter().collect()))
        .collect()
}

/// Files of one name on the scratch.
pub const N03: Check = Check {
    code: "N03",
    severity: Severity::Info,
    title: "shares the names of its scratch files with another VM",
    reads: "the files that each import from OpenStack and OVA will write, on each target, whatever \
            the namespaces",
    why: "The engine writes `<name>-0.img` and `<name>.ova` into one directory for all namespaces and \
          sources but VMware's (OS:443, OV:424-435; measured): two such imports under way at the same \
          time overwrite each other's disks.",
    when: "two VMs from OpenStack or OVA have the same lower-cased name, or an OVA's name and disk \
           add up to another's (`a` + `b-1`, `a-b` + `1`)",
    see: "list the scratch while an import runs: `kubectl get --raw \
          /api/v1/namespaces/harvester-system/services/harvester-vm-import-controller:8080/proxy/`",
    remedy: "nothing: the wave says that they exclude each other, and they are imported one after \
             the other",
    never_waived: Some("it holds nothing back"),
    run: |estate| {
        let shared = shared(estate);
        let mut by_vm: BTreeMap<&VmKey, (&str, BTreeSet<&VmKey>)> = BTreeMap::new();
        for ((_, file), vms) in &shared {
            for key in vms {
                let (_, others) = by_vm.entry(key).or_insert((file, BTreeSet::new()));
                others.extend(vms.iter().filter(|other| *other != key));
            }
        }
        estate.hits(|row| {
            let (file, others) = by_vm.get(&row.to.key)?;
            let others: Vec<_> = others.iter().collect();
            Some(Hit::vm(
                row.to,
                format!("`{file}` is also written for {}", list(&others)),
            ))
        })
    },
};

/// What an import of the snapshot is called on the scratch: its machine's name.
fn import_machine(import: &TargetImport) -> String {
    let name = import.imported_name.as_deref();
    name.unwrap_or(&import.virtual_machine_name).to_lowercase()
}

/// Files of an import of others.
pub const N04: Check = Check {
    code: "N04",
    severity: Severity::Warning,
    title: "writes files that an import of others will remove",
    reads: "the imports of any state in the target's snapshot that are not Windrow's, and their disks",
    why: "A finished or failed import is tidied up again: two minutes after its end, at each restart, \
          every ten hours, and when it is deleted. With equal file names that removes the raw file \
          of the one under way, whose image then fails for good (VM:175-232, SH:113-128; measured).",
    when: "somebody else's import from OpenStack or OVA has the same machine name, in any namespace",
    see: "`kubectl get virtualmachineimports -A -o wide`",
    remedy: "delete that import once its machine runs: machine, disks and images stay. Windrow waits \
             until it is gone",
    never_waived: None,
    run: |estate| {
        let mut taken: BTreeMap<(&TargetName, String), &str> = BTreeMap::new();
        for (target, snapshot) in estate.targets() {
            let imports = snapshot.map_or(&[][..], |snapshot| &snapshot.imports);
            for import in imports.iter().filter(|import| !import.ours) {
                if import.source_kind != "VmwareSource" {
                    let stem = format!("{}-…img", import_machine(import));
                    taken.insert((&target.name, stem), &import.id);
                }
                for disk in &import.disks {
                    taken.insert((&target.name, disk.file.clone()), &import.id);
                }
            }
        }
        if taken.is_empty() {
            return Vec::new();
        }
        estate.each(|row| {
            let stem =
                (row.to.kind != SourceKind::Vmware).then(|| format!("{}-…img", row.to.machine));

            stem.into_iter().chain(files(row)).find_map(|file| {
                let import = taken.get(&(&row.to.target, file.clone()))?;
                Some(format!("import `{import}` has `{file}` too"))
            })
        })
    },
};

/// A name that vSphere's own files begin with.
pub const N05: Check = Check {
    code: "N05",
    severity: Severity::Warning,
    title: "has a name with which its files are no longer told apart",
    reads: "the VM's name, against the names that vSphere gives to the disks of an export",
    why: "The engine puts import and namespace in front of vSphere's `disk-0.vmdk`, unless that begins \
          with the VM's name: then the file is `disk-0.img`, and whoever has such a name overwrites \
          it (VW:296-298).",
    when: "a VMware VM is called `d`, `di`, `dis`, `disk`, `disk-` or `disk-0`",
    see: "`govc find / -type m -name 'd*'`, and compare",
    remedy: "rename it at the source. Until then the wave keeps such VMs from being imported at the \
             same time",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            is_lease_prefix(&row.to.find).then(|| {
                format!(
                    "`{}` is how `disk-0.vmdk` begins: its files are `{}`, …",
                    row.to.find,
                    lease_path(0)
                )
            })
        })
    },
};

/// Longest label value and display name that Harvester's webhooks take.
const LABEL_CHARACTERS_MAX: usize = 63;

/// The longest display name that an import's images will have, at its first attempt.
fn display_name(row: &Row<'_>) -> String {
    let import = format!("{}1", import_stem(&row.to.record));
    let (machine, namespace) = (&row.to.machine, &row.to.namespace);
    let last = row.vm.disks.len().saturating_sub(1);
    let file = match row.to.kind {
        SourceKind::Vmware if is_lease_prefix(&row.to.find) => lease_path(last),
        SourceKind::Vmware => format!("{import}-{namespace}-disk-{last}.img"),
        SourceKind::Openstack => format!("{machine}-{last}.img"),
        SourceKind::Ova => {
            let bases = row
                .vm
                .disks
                .iter()
                .map(|disk| disk.file.as_deref().unwrap_or(&disk.key));
            let base = bases
                .map(base_name)
                .max_by_key(|base| base.len())
                .unwrap_or_default();
            format!("{machine}-{base}.img")
        }
    };
    format!("vm-import-{import}-{file}")
}

/// Whether Kubernetes takes it as the value of a label.
fn is_label_value(text: &str) -> bool {
    let end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.len() <= LABEL_CHARACTERS_MAX
        && end(text.bytes().next())
        && end(text.bytes().last())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The budget of 63 characters.
pub const N06: Check = Check {
    code: "N06",
    severity: Severity::Blocker,
    title: "has a name that makes its images' names too long for Harvester",
    reads: "the display name that the engine will give to the VM's last or longest disk, and \
            Harvester's version",
    why: "The engine calls images `vm-import-<import>-<file>`. Harvester 1.7.3, 1.8.2 and 1.9 refuse \
          one that is no label value of at most 63 characters: the import stays `disksExported` for \
          ever, after the whole export (VM:867; HV: image/common/validator.go:115, \
          virtualmachineimage/mutator.go:68).",
    when: "VMware: the namespace has more than 20 characters; OpenStack: the name more than 36; OVA: \
           name and disk file together more than 37, or the file's name has odd characters",
    see: "count, or try: `kubectl create --dry-run=server` of a VirtualMachineImage with that \
          displayName",
    remedy: "VMware: a shorter namespace under `machines`; OpenStack: rename the server; OVA: a \
             shorter `name` in the site, or repack with shorter file names",
    never_waived: None,
    run: |estate| {
        estate.hits(|row| {
            // Most names fit by far; making the text costs more than counting.
            let name = display_name(row);
            if is_label_value(&name) {
                return None;
            }
            let characters = name.chars().count();
            let fault = if characters > LABEL_CHARACTERS_MAX {
                format!("`{name}` has {characters} characters, {LABEL_CHARACTERS_MAX} fit")
            } else {
                format!("`{name}` is no value for a label")
            };
            Some(match row.harvester {
                Some(version) if version.refuses_long_display_names() => Hit::vm(
                    row.to,
                    format!("{fault}; {} has Harvester {version}", row.to.target),
                ),
                Some(version) => {
                    let evidence =
                        format!("{fault}; Harvester {version} takes it, the next may not");
                    Hit::vm(row.to, evidence).severity(Severity::Info)
                }
                None => {
                    let evidence =
                        format!("{fault}; the version of {} is not known", row.to.target);
                    Hit::vm(row.to, evidence).severity(Severity::Warning)
                }
            })
        })
    },
};

/// What of the target's images and imports looks like an attempt of Windrow's, by name.
struct Attempts<'a> {
    images: BTreeMap<(&'a TargetName, &'a str, &'a str), Vec<&'a TargetImage>>,
    imports: BTreeMap<(&'a TargetName, &'a str, &'a str), &'a TargetImport>,
}

impl<'a> Attempts<'a> {
    /// By target, namespace and the stem of the import's name: all but the number of the attempt.
    fn of(estate: &Estate<'a>) -> Self {
        let (mut images, mut imports) = (BTreeMap::new(), BTreeMap::new());
        for (target, snapshot) in &estate.inventory().targets {
            for image in &snapshot.images {
                let rest = image.display_name.strip_prefix("vm-import-");
                let name = rest.and_then(|rest| rest.split('-').next()).and_then(stem);
                if let Some(stem) = name {
                    let place = (target, image.namespace.as_str(), stem);
                    images.entry(place).or_insert_with(Vec::new).push(image);
                }
            }
            for import in &snapshot.imports {
                if let Some((namespace, name)) = import.id.split_once('/')
                    && let Some(stem) = stem(name)
                {
                    imports.insert((target, namespace, stem), import);
                }
            }
        }
        Self { images, imports }
    }

    fn is_empty(&self) -> bool {
        self.images.is_empty() && self.imports.is_empty()
    }
}

/// `w` and eight digits, of a name that goes on with the number of an attempt.
fn stem(name: &str) -> Option<&str> {
    let (stem, attempt) = name.split_at_checked(9)?;
    let hex = stem
        .strip_prefix('w')?
        .bytes()
        .all(|b| b.is_ascii_hexdigit());
    (hex && !attempt.is_empty() && attempt.bytes().all(|b| b.is_ascii_digit())).then_some(stem)
}

/// What an earlier attempt left, and nobody remembers.
pub const N07: Check = Check {
    code: "N07",
    severity: Severity::Blocker,
    title: "has images or an import on the target that the ledger does not know",
    reads: "images and imports of the target's snapshot that bear the name of this VM's first attempt, \
            and the ledger",
    why: "The engine looks an image up by its name before it makes one. What an earlier attempt left \
          is used again, with the old data, and the import ends as Running (VM:870-889,789-793; \
          measured: silent wrong data). Windrow gives each attempt a new name; that needs its ledger.",
    when: "the ledger was deleted or is in another namespace, and images of the attempt are there",
    see: "`kubectl get virtualmachineimages -A | grep vm-import-w`, `kubectl get machinemigrations -A`",
    remedy: "bring the ledger back from a backup; or delete these images once no machine uses them",
    never_waived: Some("the machine would get old disks, and nothing would say so"),
    run: |estate| {
        let attempts = Attempts::of(estate);
        if attempts.is_empty() {
            return Vec::new();
        }
        estate.each(|row| {
            if row.to.ledger.is_some() {
                return None;
            }
            let stem = import_stem(&row.to.record);
            let place = (&row.to.target, row.to.namespace.as_str(), stem.as_str());
            if let Some(image) = attempts
                .images
                .get(&place)
                .and_then(|images| images.first())
            {
                let deleting = if image.deleting {
                    ", being deleted"
                } else {
                    ""
                };
                return Some(format!(
                    "image `{}` ({}){deleting}",
                    image.id, image.display_name
                ));
            }
            let import = attempts.imports.get(&place)?;
            Some(format!("import `{}` is `{}`", import.id, state(import)))
        })
    },
};

/// Two images of one name.
pub const N08: Check = Check {
    code: "N08",
    severity: Severity::Warning,
    title: "has several images of one name, among which the engine does not choose",
    reads: "display names of the images in the target's snapshot that belong to imports",
    why: "Where two images have the name that the engine looks for, it stops with an error and tries \
          again for ever (VM:884-887); newer Harvesters refuse the second one (HV: \
          image/common/validator.go:94-106).",
    when: "an image of an import was copied or made twice by hand",
    see: "`kubectl get virtualmachineimages -n NAMESPACE -o custom-columns=N:.metadata.name,D:.spec.displayName`",
    remedy: "delete the one that no machine uses",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let mut names: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for image in snapshot.map_or(&[][..], |snapshot| &snapshot.images) {
                if image.display_name.starts_with("vm-import-") {
                    let place = (image.namespace.as_str(), image.display_name.as_str());
                    *names.entry(place).or_default() += 1;
                }
            }
            for ((namespace, name), number) in names.into_iter().filter(|(_, number)| *number > 1) {
                let evidence = format!("{number} images called `{name}` in `{namespace}`");
                let subject = schemas::finding::Subject::Target(target.name.clone());
                hits.push(Hit::on(subject, evidence));
            }
        }
        hits
    },
};

/// File names that break a URL.
pub const N09: Check = Check {
    code: "N09",
    severity: Severity::Blocker,
    title: "has a disk file whose name breaks the address that Harvester fetches it from",
    reads: "the names of the disk files that the descriptor refers to",
    why: "The engine puts the name as it is into the address of the raw file. With a blank, `#`, `%` or \
          `?` the download fails, and a failed one is final (VM:915, OV:429, S08).",
    when: "a disk file of the archive has one of these characters in its name",
    see: "`tar -tf FILE.ova`",
    remedy: "rename the files and their references in the descriptor and the manifest, and pack it \
             again",
    never_waived: Some("the image cannot be fetched"),
    run: |estate| {
        estate.each_of(SourceKind::Ova, |row| {
            let odd: Vec<&str> = (row.vm.disks.iter())
                .map(|disk| disk.file.as_deref().unwrap_or(&disk.key))
                .filter(|file| file.contains([' ', '#', '%', '?']))
                .collect();
            (!odd.is_empty()).then(|| format!("file {}", list(&odd)))
        })
    },
};
