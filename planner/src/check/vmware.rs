//! vSphere: what the engine's shutdown, lease and lookup cannot do.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::{Severity, Subject};
use schemas::inventory::{Power, SourceKind};
use schemas::units::Seconds;

use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::{count, list};

fn runs(row: &Row<'_>) -> bool {
    row.to.power == Some(Power::On)
}

/// No guest tools.
pub const V01: Check = Check {
    code: "V01",
    severity: Severity::Blocker,
    title: "runs, and its VMware Tools do not",
    reads: "power state and state of the guest tools, as they were when the inventory was pulled",
    why: "The engine asks the guest to shut down, and only the tools can pass that on. It refuses \
          the import before it touches anything, and ends as Invalid without a reason in its status \
          (VW:159-185).",
    when: "the VM is powered on, its tools are not installed or not running, and power may not be cut",
    see: "`govc vm.info -json PATH`, field `guest.toolsRunningStatus`",
    remedy: "install or start the tools, or shut the guest down from inside before its wave; then \
             pull the inventory again",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let tools = row.seen?.tools.as_deref()?;
            let version = row.seen.and_then(|seen| seen.tools_version.as_deref());
            let version = version.map(|version| format!(" (`{version}`)"));
            (runs(row) && tools == "guestToolsNotRunning")
                .then(|| format!("powered on, tools `{tools}`{}", version.unwrap_or_default()))
        })
    },
};

/// Guest tools that may be gone a moment later.
pub const V02: Check = Check {
    code: "V02",
    severity: Severity::Warning,
    title: "has VMware Tools that are busy or may stop",
    reads: "the state of the guest tools, as it was when the inventory was pulled",
    why: "Where the tools stop between the engine's preflight and its shutdown, every try fails and \
          is repeated for ever. The timer that would cut the power never starts (VW:387, VM:403).",
    when: "the tools were running scripts when the inventory was pulled: the guest was starting or \
           going down",
    see: "`govc vm.info -json PATH`, field `guest.toolsRunningStatus`; look twice, a minute apart",
    remedy: "look at it again before its wave; power it off by hand if its tools stay so",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let tools = row.seen?.tools.as_deref()?;
            (runs(row) && tools == "guestToolsExecutingScripts").then(|| format!("tools `{tools}`"))
        })
    },
};

/// Windows that installs updates at shutdown takes this long and longer.
const SHUTDOWN_SLOW_GUEST: Seconds = Seconds(600);

/// A shutdown that may be cut off.
pub const V03: Check = Check {
    code: "V03",
    severity: Severity::Warning,
    title: "may lose power before its guest is down",
    reads: "the guest's family, and how long the plan lets it shut down",
    why: "When the time is over the engine cuts the power, also where nobody asked for force: the \
          copy is crash-consistent and nothing says so (VM:435-457). Guests with databases, and \
          Windows with updates to install, take long.",
    when: "a Windows guest runs and `shutdownTimeout` is below ten minutes",
    see: "shut it down once by hand and take the time; `govc vm.info -json PATH`, field \
          `guest.guestFamily`",
    remedy: "raise `shutdownTimeout` of the workload or the policy to 10 to 30 minutes",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let timeout = row.to.shutdown_timeout.0;
            (runs(row) && super::guests::is_windows(row) && timeout < SHUTDOWN_SLOW_GUEST)
                .then(|| format!("a Windows guest, and its power is cut after {timeout}"))
        })
    },
};

/// Suspended.
pub const V04: Check = Check {
    code: "V04",
    severity: Severity::Blocker,
    title: "is suspended",
    reads: "the power state, as it was when the inventory was pulled",
    why: "A suspended VM is not powered off, and its tools do not run: the engine refuses it as \
          Invalid. Cutting its power would discard its memory (VW:167-185).",
    when: "`runtime.powerState` is `suspended`",
    see: "`govc vm.info PATH`, line Power state",
    remedy: "resume it and shut its guest down, then pull the inventory again",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            (row.to.power == Some(Power::Suspended)).then(|| "it is suspended".to_owned())
        })
    },
};

/// Encrypted, or with a virtual TPM.
pub const V06: Check = Check {
    code: "V06",
    severity: Severity::Blocker,
    title: "is encrypted or has a virtual TPM, which vSphere does not export",
    reads: "the encryption of the VM and of each disk, and its virtual TPM",
    why: "vSphere refuses to export such a VM as OVF. The engine asks for it only after the guest is \
          off, so the import fails and the guest stays down (VW:202; vSphere's security guide).",
    when: "the VM or a disk has a key, or the VM has a TPM device",
    see: "`govc vm.info -json PATH`, fields `config.keyId` and `summary.config.tpmPresent`; `govc \
          device.info -vm PATH 'disk-*'`",
    remedy: "decrypt it; where it has a TPM: suspend BitLocker, keep its recovery key, and remove \
             the device while it is off",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let mut what = Vec::new();
            if row.vm.encrypted == Some(true) {
                what.push("the VM is encrypted".to_owned());
            }
            let keys: Vec<&str> = (row.vm.disks.iter())
                .filter(|disk| disk.encrypted == Some(true))
                .map(|disk| disk.key.as_str())
                .collect();
            if !keys.is_empty() {
                what.push(format!("disk {} is encrypted", list(&keys)));
            }
            if row.vm.tpm == Some(true) {
                what.push("it has a virtual TPM".to_owned());
            }
            (!what.is_empty()).then(|| what.join(", "))
        })
    },
};

/// Media that are connected.
pub const V08: Check = Check {
    code: "V08",
    severity: Severity::Warning,
    title: "has media connected that may refuse the export",
    reads: "CD drives and floppies that are connected at power-on",
    why: "vSphere may refuse to export a VM with an ISO or a host's device connected \
          (OvfConnectedIso and its kin), after the guest is off. None of them comes along (VW:202).",
    when: "a CD drive or floppy is connected at power-on, to an ISO, a host's drive or a client",
    see: "`govc device.info -vm PATH 'cdrom-*' 'floppy-*'`, line Connected",
    remedy: "disconnect it at the source: `govc device.disconnect -vm PATH cdrom-3000`",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            // The collector keeps these classes only where they are connected at power-on.
            let media = ["VirtualCdrom", "VirtualFloppy"];
            let is_media = |class: &&String| media.contains(&class.as_str());
            let media: Vec<&String> = row.vm.other_devices.iter().filter(is_media).collect();
            (!media.is_empty()).then(|| format!("connected: {}", list(&media)))
        })
    },
};

/// Snapshots and linked clones.
pub const V09: Check = Check {
    code: "V09",
    severity: Severity::Info,
    title: "has snapshots or is a linked clone: its present state alone is exported",
    reads: "the number of snapshots, and what each disk's file builds on",
    why: "The export is the VM as it is now. Its history stays behind, and a linked clone becomes a \
          full copy: its files at the source are much smaller than what arrives (VW:202).",
    when: "the VM has snapshots, or a disk builds on a file of another VM",
    see: "`govc snapshot.tree -vm PATH`, `govc device.info -vm PATH 'disk-*'`",
    remedy: "nothing, if the history is not needed; else keep the source. Consolidating before the \
             wave makes the export faster",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let snapshots = row.vm.snapshots.filter(|number| *number > 0);
            let clone = (row.vm.disks.iter()).any(is_clone);
            let snapshots = snapshots.map(|number| count(number as usize, "snapshot"));
            match (snapshots, clone) {
                (None, false) => None,
                (Some(snapshots), false) => Some(snapshots),
                (None, true) => Some("a linked clone".to_owned()),
                (Some(snapshots), true) => Some(format!("{snapshots}, and a linked clone")),
            }
        })
    },
};

/// Whether a disk builds on a file in another VM's folder: its own snapshots' lie beside it.
fn is_clone(disk: &schemas::inventory::Disk) -> bool {
    let folder = |file: &str| file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let own = disk.file.as_deref().and_then(folder);
    own.is_some() && (disk.parents.iter()).any(|parent| folder(parent) != own)
}

/// In another datacenter than its source names.
pub const V11: Check = Check {
    code: "V11",
    severity: Severity::Blocker,
    title: "is in another datacenter than its source names",
    reads: "the datacenter of the VM and that of the source in the site",
    why: "A source object names one datacenter, and the engine looks below its VM folder only. What \
          is elsewhere is not found, and that is tried again for ever (VW findVM).",
    when: "the VM's datacenter is not the source's, also where they differ in a folder above",
    see: "`govc ls -l -i /DC/vm/FOLDER/NAME` with the datacenter's whole path",
    remedy: "make a source of its own for that datacenter in the site",
    never_waived: Some("the engine would not find it"),
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let wanted = row.to.source.vmware.as_ref()?.datacenter.trim_matches('/');
            let dc = row.vm.dc.as_deref()?;
            (dc.trim_matches('/') != wanted)
                .then(|| format!("it is in `{dc}`, its source names `{wanted}`"))
        })
    },
};

/// Hosts that the engine must reach, and those that do not answer.
pub const V12: Check = Check {
    code: "V12",
    severity: Severity::Info,
    title: "exports from its hosts, each of which the engine must reach by name",
    reads: "the host of each VM, and the names of the source's hosts",
    why: "vCenter hands out one address for each host, and the engine downloads from there. Where \
          its pod cannot resolve the name or reach port 443, the import fails after the shutdown \
          (VW:314-318).",
    when: "always; it is a mistake of names or firewalls that only shows when the guest is off",
    see: "from a pod in `harvester-system`: `curl -k https://HOST/`, for each host that is named",
    remedy: "make sure that the cluster resolves and reaches all of them on port 443",
    never_waived: None,
    run: |estate| {
        let mut hosts: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for row in estate
            .rows()
            .iter()
            .filter(|row| row.to.kind == SourceKind::Vmware)
        {
            let Some(host) = row.seen.and_then(|seen| seen.host.as_deref()) else {
                continue;
            };
            hosts.entry(&row.to.key.source).or_default().insert(host);
        }
        let mut hits = Vec::new();
        for (source, ids) in hosts {
            let known = &estate.inventory().sources[source].hosts;
            let names: Vec<&str> = (known.iter())
                .filter(|host| ids.contains(host.id.as_str()))
                .map(|host| host.name.as_str())
                .collect();
            if !names.is_empty() {
                let evidence = format!("{}: {}", count(names.len(), "host"), list(&names));
                hits.push(Hit::on(Subject::Source(source.clone()), evidence));
            }
        }
        hits
    },
};

/// Privileges that the engine's account lacks.
pub const V16: Check = Check {
    code: "V16",
    severity: Severity::Blocker,
    title: "may not be exported or switched off by the engine's account",
    reads: "the privileges of the engine's account on each VM, where they could be asked for",
    why: "The engine finds out when it needs them: it has switched the guest off and then may not \
          export it, or may not even do that (vSphere's manual).",
    when: "the account lacks `VApp.Export` or `VirtualMachine.Interact.PowerOff` on the VM or a folder \
           above it",
    see: "`govc permissions.ls PATH`, and the role of the engine's account",
    remedy: "give the account a role with both privileges on the folder, with propagation, and pull \
             again",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let missing = &row.vm.missing_privileges;
            let who = row
                .source
                .about
                .importer
                .as_deref()
                .unwrap_or("the engine's account");
            (!missing.is_empty()).then(|| format!("`{who}` lacks {}", list(missing)))
        })
    },
};

/// The boot disk is not the first one.
pub const V18: Check = Check {
    code: "V18",
    severity: Severity::Warning,
    title: "boots from a disk that will not be the first",
    reads: "the order of the disks and the one that the VM boots from",
    why: "The engine numbers the boot order by the order of the disks in the export, whatever the \
          firmware of the source says (VM:673-695). The machine is Ready although nothing boots.",
    when: "the boot order of the VM names a disk that is not the first by its key",
    see: "`govc device.boot -vm PATH` and `govc device.ls -vm PATH`",
    remedy: "set the boot order of the machine once it is there, or put the system disk first at \
             the source",
    never_waived: None,
    run: |estate| estate.each_of(SourceKind::Vmware, |row| boot_not_first(row)),
};

fn boot_not_first(row: &Row<'_>) -> Option<String> {
    let (place, disk) =
        (row.vm.disks.iter().enumerate()).find(|(_, disk)| disk.boot == Some(true))?;
    let first = row.vm.disks.first()?;
    (place > 0).then(|| {
        format!(
            "it boots from disk `{}`, and `{}` comes first",
            disk.key, first.key
        )
    })
}

/// A datastore or host that does not answer or is about to be emptied.
pub const WR030: Check = Check {
    code: "WR030",
    severity: Severity::Blocker,
    title: "is on a datastore that cannot be reached",
    reads: "whether each datastore with a disk of the VM is accessible, when the inventory was pulled",
    why: "Its disks cannot be read, so the export fails, after the guest was switched off; and a \
          guest that is off may not come up again.",
    when: "the datastore is marked inaccessible, or is in maintenance (a warning)",
    see: "`govc datastore.info DATASTORE`",
    remedy: "bring the datastore back or move the disks (`govc vm.migrate -ds`), then pull again",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for row in estate
            .rows()
            .iter()
            .filter(|row| row.to.kind == SourceKind::Vmware)
        {
            let (mut gone, mut leaving) = (BTreeSet::new(), BTreeSet::new());
            for store in row
                .vm
                .disks
                .iter()
                .filter_map(|disk| disk.storage.as_deref())
            {
                let Some(seen) = row.source.observed.get(store) else {
                    continue;
                };
                if seen.accessible == Some(false) {
                    gone.insert(name_of(row, store));
                } else if seen.maintenance {
                    leaving.insert(name_of(row, store));
                }
            }
            let told = |names: BTreeSet<&str>| list(&names.into_iter().collect::<Vec<_>>());
            if !gone.is_empty() {
                let evidence = format!("{} cannot be reached", told(gone));
                hits.push(Hit::vm(row.to, evidence));
            }
            if !leaving.is_empty() {
                let evidence = format!("{} is in maintenance", told(leaving));
                hits.push(Hit::vm(row.to, evidence).severity(Severity::Warning));
            }
        }
        hits
    },
};

fn name_of<'a>(row: &Row<'a>, store: &'a str) -> &'a str {
    let known = row.source.storage.iter().find(|known| known.id == store);
    known.map_or(store, |known| known.name.as_str())
}

/// A host that does not answer, or is about to be emptied.
pub const WR031: Check = Check {
    code: "WR031",
    severity: Severity::Warning,
    title: "is on a host that is in maintenance or not connected",
    reads: "the host of the VM and its state, when the inventory was pulled",
    why: "An export is read from that host. One in maintenance sends its VMs elsewhere, and a host \
          that is not connected exports nothing.",
    when: "the host is in maintenance mode, or vCenter has lost it",
    see: "`govc host.info HOST`, line State; `govc object.collect HOST runtime.inMaintenanceMode`",
    remedy: "wait until the host is back, or move the VM, before its wave",
    never_waived: None,
    run: |estate: &Estate<'_>| {
        estate.each_of(SourceKind::Vmware, |row| {
            let id = row.seen?.host.as_deref()?;
            let seen = row.source.observed.get(id)?;
            let what = match seen.connection_state.as_deref() {
                Some(state) => format!("is `{state}`"),
                None if seen.maintenance => "is in maintenance".to_owned(),
                None => return None,
            };
            let known = row.source.hosts.iter().find(|host| host.id == id);
            Some(format!(
                "host `{}` {what}",
                known.map_or(id, |host| host.name.as_str())
            ))
        })
    },
};
