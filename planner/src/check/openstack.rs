//! OpenStack: servers, volumes and images that the engine cannot take as they are.

use std::collections::BTreeMap;

use schemas::finding::{Severity, Subject};
use schemas::ids::SourceName;
use schemas::inventory::{Disk, OBSERVED_QUOTAS, Power, Project, RootDisk, SourceKind};
use schemas::units::{GIB, Seconds};

use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::list;

/// No image to read the firmware from.
pub const O04: Check = Check {
    code: "O04",
    severity: Severity::Blocker,
    title: "boots from a volume whose image is not known or gone",
    reads: "the image that the boot volume's metadata names, and whether Glance still has it",
    why: "After the whole export the engine reads the firmware from that image. Without one it fails \
          and tries again for ever, with the guest off (OS:712-734).",
    when: "the boot volume has no `volume_image_metadata`, or its image was deleted or hidden",
    see: "`openstack volume show VOLUME -c volume_image_metadata -c bootable`, then `openstack image \
          show IMAGE_ID`",
    remedy: "name an image that exists: `openstack volume set --image-property image_id=IMAGE_ID \
             VOLUME`; its `hw_firmware_type` decides between BIOS and UEFI",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            if row.vm.root_disk != Some(RootDisk::Volume) {
                return None;
            }
            if let (Some(image), Some(false)) = (&row.vm.boot_image, row.vm.boot_image_exists) {
                return Some(format!("image `{image}` is gone"));
            }
            // Where volumes could not be read in full, nothing is known of their images.
            let known = |bootable| move |disk: &Disk| disk.bootable == Some(bootable);
            let disks = &row.vm.disks;
            if row.vm.boot_image.is_some() || unread(row, "image") || unread(row, "volume") {
                None
            } else if !disks.is_empty() && disks.iter().all(known(false)) {
                Some("none of its volumes is bootable".to_owned())
            } else {
                let mut bootable = disks.iter().filter(|disk| known(true)(disk));
                let nameless = |disk: &&Disk| disk.image.is_none();
                let disk = bootable.find(nameless)?;
                Some(format!("its boot volume `{}` names no image", disk.key))
            }
        })
    },
};

/// Whether something of that kind could not be read of the VM or its source: what is not known
/// blocks nobody.
fn unread(row: &Row<'_>, what: &str) -> bool {
    let of = |gap: &schemas::inventory::Gap| gap.what.contains(what);
    row.vm.gaps.iter().any(of) || row.source.about.gaps.iter().any(of)
}

/// No flavor.
pub const O05: Check = Check {
    code: "O05",
    severity: Severity::Blocker,
    title: "has a flavor that was deleted",
    reads: "whether the server's flavor still exists",
    why: "After the whole export the engine asks for the flavor by its id, to learn CPUs and memory. \
          Without one it fails and tries again for ever, with the guest off (OS:535).",
    when: "the flavor was deleted after the server was made",
    see: "`openstack server show ID -c flavor`, then `openstack flavor show FLAVOR`",
    remedy: "resize the server to a flavor that exists and confirm the resize",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            let flavor = row.vm.flavor.as_ref().filter(|flavor| !flavor.exists)?;
            let name = flavor.name.as_deref().or(flavor.id.as_deref());
            Some(format!("flavor `{}` is gone", name.unwrap_or("not known")))
        })
    },
};

/// How often the engine asks whether an upload is through, and how long it waits in between, where
/// its source says nothing (OS:391-429).
const UPLOAD_RETRIES: u64 = 30;
const UPLOAD_DELAY: u64 = 10;

/// A volume that is uploaded for longer than the engine waits.
pub const O06: Check = Check {
    code: "O06",
    severity: Severity::Warning,
    title: "has a volume that may take longer to become an image than the engine waits",
    reads: "the largest volume, the rate that the site assumes, and the retries of its source object",
    why: "The engine asks 30 times, 10 s apart, whether Glance has the image; then the import fails, \
          with the guest off, and a volume and a snapshot stay behind. Meanwhile nothing else moves \
          (OS:391-429).",
    when: "size over rate is more than retries times delay: 300 s where the source object says nothing",
    see: "`openstack volume show VOLUME -c size`; time one `openstack image create --volume` of that \
          backend",
    remedy: "raise it at the source object: `kubectl patch openstacksource NAME --type merge -p \
             '{\"spec\":{\"uploadImageRetryCount\":360}}'`, or correct the assumed rate",
    never_waived: None,
    run: |estate| {
        let mut patience: BTreeMap<String, u64> = BTreeMap::new();
        for (target, snapshot) in estate.targets() {
            for source in snapshot.map_or(&[][..], |snapshot| &snapshot.sources) {
                let said = |value: Option<i64>, default: u64| {
                    value
                        .and_then(|value| u64::try_from(value).ok())
                        .unwrap_or(default)
                };
                let seconds = said(source.upload_retry_count, UPLOAD_RETRIES)
                    .saturating_mul(said(source.upload_retry_seconds, UPLOAD_DELAY));
                patience.insert(format!("{} {}", target.name, source.id), seconds);
            }
        }
        let rate = estate.plan.assumptions.export_bytes_per_second.0;
        estate.each_of(SourceKind::Openstack, |row| {
            let largest = row.vm.disks.iter().map(|disk| disk.capacity_bytes).max()?;
            let takes = largest.at_rate(rate);
            if takes.0 <= UPLOAD_DELAY {
                return None;
            }
            let (to, plan) = (row.to, &estate.plan);
            let id = format!(
                "{} OpenstackSource/{}/{}",
                to.target, plan.namespace, to.source.name
            );
            let waits = Seconds(
                patience
                    .get(&id)
                    .copied()
                    .unwrap_or(UPLOAD_RETRIES * UPLOAD_DELAY),
            );
            (takes > waits).then(|| {
                format!("{largest} at {rate}/s assumed take {takes}, the engine waits {waits}")
            })
        })
    },
};

/// A volume in trouble.
pub const O07: Check = Check {
    code: "O07",
    severity: Severity::Blocker,
    title: "has a volume that is in an error state",
    reads: "the state of each attached volume, when the inventory was pulled",
    why: "A snapshot of such a volume ends in error, and the engine does not look for that: it waits \
          up to two hours a step, and nothing else moves meanwhile (OS:41,342,370).",
    when: "Cinder calls the volume something with `error`; another state than `in-use` is a warning",
    see: "`openstack volume show VOLUME -c status`, and Cinder's log",
    remedy: "mend the volume; `openstack volume set --state` only once the backend is sound",
    never_waived: None,
    run: |estate| {
        estate.hits(|row| {
            let states = &row.seen?.disk_states;
            let (volume, state) = (states.iter())
                .find(|(_, state)| state.contains("error"))
                .or_else(|| states.first_key_value())?;
            let hit = Hit::vm(row.to, format!("volume `{volume}` is `{state}`"));
            Some(if state.contains("error") {
                hit
            } else {
                hit.severity(Severity::Warning)
                    .remedy("wait until it is `in-use` again, and pull the inventory")
            })
        })
    },
};

/// What one export needs of the project, beyond what is used: a snapshot, a volume made of it, and
/// the room of both; one disk at a time (OS:318-385).
fn needs(row: &Row<'_>, what: &str) -> u64 {
    let largest = row.vm.disks.iter().map(|disk| disk.capacity_bytes.0).max();
    match what {
        "volumes" | "snapshots" => 1,
        "gigabytes" => largest.unwrap_or(0).div_ceil(GIB).saturating_mul(2),
        _ => 0,
    }
}

/// What is left of a project's quotas, by source and resource; only limited ones.
pub(super) fn quotas_left(estate: &Estate<'_>) -> BTreeMap<(SourceName, String), (u64, u64)> {
    let mut left = BTreeMap::new();
    for (name, source) in &estate.inventory().sources {
        let used = source.observed.get(OBSERVED_QUOTAS).map(|seen| &seen.used);
        for quota in &source.about.quotas {
            let used = used.and_then(|used| used.get(&quota.what)).copied();
            if let (Some(limit), Some(used)) = (quota.limit, used) {
                let key = (name.clone(), quota.what.clone());
                left.insert(key, (limit.saturating_sub(used), limit));
            }
        }
    }
    left
}

/// The most that one VM of each source needs of each of its quotas.
pub(super) fn quotas_needed(estate: &Estate<'_>) -> BTreeMap<(SourceName, String), u64> {
    let mut needed: BTreeMap<_, u64> = BTreeMap::new();
    for row in estate
        .rows()
        .iter()
        .filter(|row| row.to.kind == SourceKind::Openstack)
    {
        for what in ["volumes", "snapshots", "gigabytes"] {
            let most = needed
                .entry((row.to.key.source.clone(), what.to_owned()))
                .or_default();
            *most = (*most).max(needs(row, what));
        }
    }
    needed
}

/// No room in the project.
pub const O08: Check = Check {
    code: "O08",
    severity: Severity::Blocker,
    title: "needs more of its project's quota than is left",
    reads: "the project's limits of volumes, snapshots and gigabytes, and what is used of them",
    why: "Each disk is exported by way of a snapshot, a volume made of it and an image. Where Cinder \
          refuses one of them the import fails, after the shutdown (OS:318-385). One disk is done \
          after the other, so the largest decides.",
    when: "less than one snapshot, one volume or twice the largest volume's size is left",
    see: "`openstack limits show --absolute`, or `openstack quota show --usage PROJECT`",
    remedy: "raise the quota (`openstack quota set --gigabytes N --snapshots N --volumes N PROJECT`) \
             or remove what is not needed, then pull again",
    never_waived: None,
    run: |estate| {
        let left = quotas_left(estate);
        if left.is_empty() {
            return Vec::new();
        }
        estate.each_of(SourceKind::Openstack, |row| {
            let short: Vec<String> = ["volumes", "snapshots", "gigabytes"]
                .into_iter()
                .filter_map(|what| {
                    let (left, limit) = left.get(&(row.to.key.source.clone(), what.to_owned()))?;
                    let needs = needs(row, what);
                    (needs > *left)
                        .then(|| format!("{needs} more {what} needed, {left} of {limit} left"))
                })
                .collect();
            (!short.is_empty()).then(|| short.join("; "))
        })
    },
};

/// A state in which Nova does not stop a server.
pub const O09: Check = Check {
    code: "O09",
    severity: Severity::Blocker,
    title: "is in a state in which Nova does not stop it",
    reads: "the server's status, task and lock, when the inventory was pulled",
    why: "Nova answers the engine's stop with a conflict, and that is tried again for ever. A server \
          in ERROR takes the stop and never becomes SHUTOFF (OS:505-518).",
    when: "it is paused, suspended, shelved, rescued, waiting for a resize to be confirmed, in error, \
           or locked while it runs; a task under way is a warning",
    see: "`openstack server show ID -c status -c OS-EXT-STS:task_state -c locked`",
    remedy: "bring it back to ACTIVE or SHUTOFF: `openstack server unpause`, `resume`, `unshelve`, \
             `unrescue`, `resize confirm` or `unlock`; then pull again",
    never_waived: None,
    run: o09,
};

fn o09(estate: &Estate<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    let rows = estate.rows().iter();
    for row in rows.filter(|row| row.to.kind == SourceKind::Openstack) {
        let status = row.seen.and_then(|seen| seen.status.as_deref());
        if let Some(status) = status.filter(|status| !matches!(*status, "ACTIVE" | "SHUTOFF")) {
            hits.push(Hit::vm(row.to, format!("its status is `{status}`")));
        }
        if row.vm.locked == Some(true) && row.to.power != Some(Power::Off) {
            let hit = Hit::vm(row.to, "it is locked, and it runs");
            hits.push(hit.remedy("`openstack server unlock ID`, before its wave"));
        }
        if let Some(task) = row.seen.and_then(|seen| seen.task_state.as_deref()) {
            let hit = Hit::vm(row.to, format!("task `{task}` is under way"));
            hits.push(
                hit.severity(Severity::Warning)
                    .remedy("wait until it is done, and pull the inventory again"),
            );
        }
    }
    hits
}

/// Encrypted and shared volumes.
pub const O11: Check = Check {
    code: "O11",
    severity: Severity::Blocker,
    title: "has a volume that is encrypted or attached to several servers",
    reads: "encryption and multi-attach of each volume",
    why: "Of an encrypted volume the ciphertext is exported, and nothing on the target has the key. A \
          shared one is copied once for each server, and the copies then differ (OS:313).",
    when: "the volume's type encrypts, or the volume is multi-attach and has several attachments",
    see: "`openstack volume show VOLUME -c encrypted -c multiattach -c attachments`",
    remedy: "copy its data to a volume of a plain type, or take the shared volume off all but one \
             server",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            let faults: Vec<String> = (row.vm.disks.iter())
                .filter_map(|disk| {
                    let encrypted = (disk.encrypted == Some(true)).then_some("encrypted");
                    let what = encrypted.or(disk.sharing.as_deref())?;
                    Some(format!("{}: {what}", disk.key))
                })
                .collect();
            (!faults.is_empty()).then(|| format!("volume {}", list(&faults)))
        })
    },
};

/// Devices and addresses that somebody relies on.
pub const O12: Check = Check {
    code: "O12",
    severity: Severity::Warning,
    title: "has devices or floating addresses that stay behind",
    reads: "the flavor's extra specs, the kind of each port, floating addresses",
    why: "The engine takes CPUs, memory, volumes and ports, and nothing else: PCI and GPU devices, \
          SR-IOV ports and floating addresses are dropped without a word (OS:535-640). What else is \
          lost stands in the report's losses.",
    when: "the flavor asks for a PCI device or a virtual GPU, a port is not a plain virtual one, or a \
           floating address leads to the server",
    see: "`openstack flavor show FLAVOR -c properties`, `openstack port list --server ID --long`, \
          `openstack floating ip list --port PORT`",
    remedy: "give the machine its device and its outside address on the target, and have names and \
             firewalls point there",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            let mut what = Vec::new();
            let specs = row.vm.flavor.iter().flat_map(|flavor| &flavor.extra_specs);
            for (key, value) in specs {
                if key.starts_with("pci_passthrough:") || key == "resources:VGPU" {
                    what.push(format!("`{key}={value}`"));
                }
            }
            for nic in &row.vm.nics {
                if let Some(kind) = nic.vnic_type.as_deref() {
                    what.push(format!("port `{}` of type `{kind}`", nic.key));
                }
                if !nic.floating_ips.is_empty() {
                    what.push(format!("floating address {}", list(&nic.floating_ips)));
                }
            }
            (!what.is_empty()).then(|| what.join(", "))
        })
    },
};

/// A server that the engine's token may not reach.
pub const WR032: Check = Check {
    code: "WR032",
    severity: Severity::Warning,
    title: "is of another project than the account that read it",
    reads: "the server's project, and that of the account of the inventory",
    why: "The engine asks for the server by its id, with a token of the one project that its Secret \
          names. Only an administrator gets an answer for another project's server; for everybody \
          else it is not there, and the import repeats that question for ever, before anything is \
          copied (OS:648-709, 795-803).",
    when: "the account of the inventory may list all projects, and a selector meets a server outside \
           of its own",
    see: "`openstack server show ID -c project_id` with the engine's own account",
    remedy: "make a source for each project, whose Secret names that project, or give the engine an \
             account that may reach all of them",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            let (of_server, of_account) =
                (row.vm.project.as_ref()?, row.source.about.project.as_ref()?);
            let name = |project: &Project| project.name.as_ref().unwrap_or(&project.id).clone();
            (of_server.id != of_account.id).then(|| {
                let (server, account) = (name(of_server), name(of_account));
                format!("the server's project is `{server}`, the account's is `{account}`")
            })
        })
    },
};

/// An account that the engine cannot use.
pub const O13: Check = Check {
    code: "O13",
    severity: Severity::Warning,
    title: "is read by an account that the engine could not use",
    reads: "how the account of the inventory logged in",
    why: "The engine's Secret has a user's name, a password, a project and one domain for both. An \
          application credential, a token, or a user of another domain than the project, cannot be \
          written in it: the source never becomes ready (OS:70-140).",
    when: "the inventory was pulled with an application credential, with a token or across two domains",
    see: "`openstack --os-cloud NAME token issue`, and the keys of the Secret that the site names as \
          `engine`",
    remedy: "make a user with a password in the project's own domain for the engine",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (name, source) in &estate.inventory().sources {
            let Some(identity) = source.about.identity else {
                continue;
            };
            let what = if identity.application_credential {
                "an application credential"
            } else if identity.token {
                "a token"
            } else if identity.two_domains {
                "a user and a project of two domains"
            } else {
                continue;
            };
            hits.push(Hit::on(
                Subject::Source(name.clone()),
                format!("it was {what}"),
            ));
        }
        hits
    },
};
