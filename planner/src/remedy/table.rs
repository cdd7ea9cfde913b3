//! What can be done about each code at its source, command by command: one place for each.
//!
//! vSphere: a VM is named by its managed object reference (`VirtualMachine:vm-12`), which is unique
//! and has no characters that govc's paths or a shell take for something; disks by govc's names
//! (`disk-1000-0`: controller and unit). OpenStack: servers and volumes by id.

use schemas::inventory::{Disk, Nic, Power};

use super::{Patient, Step, Tool};

/// What can be done about one code with one command.
pub struct Remedy {
    /// The code.
    pub code: &'static str,
    /// The command.
    pub tool: Tool,
    /// Whether the VM must be off for it.
    pub off: bool,
    /// The steps; none where what is needed is not known.
    pub steps: fn(&Patient<'_>) -> Vec<Step>,
}

/// The remedy of a code.
pub(super) fn find(code: &str, tool: Tool) -> Option<&'static Remedy> {
    REMEDIES
        .iter()
        .find(|remedy| remedy.code == code && remedy.tool == tool)
}

const fn govc(code: &'static str, off: bool, steps: fn(&Patient<'_>) -> Vec<Step>) -> Remedy {
    let tool = Tool::Govc;
    Remedy {
        code,
        tool,
        off,
        steps,
    }
}

const fn openstack(code: &'static str, off: bool, steps: fn(&Patient<'_>) -> Vec<Step>) -> Remedy {
    let tool = Tool::Openstack;
    Remedy {
        code,
        tool,
        off,
        steps,
    }
}

/// All remedies, by code.
pub const REMEDIES: &[Remedy] = &[
    govc("N01", false, rename_vm),
    openstack("N01", false, rename_server),
    govc("N02", false, rename_vm),
    openstack("N02", false, rename_server),
    openstack("O03", false, boot_from_volume),
    openstack("O05", false, |p| {
        vec![
            note("name a flavor of the same size that there is:"),
            consider([
                "openstack",
                "server",
                "resize",
                "--flavor",
                "FLAVOR",
                "--wait",
                id(p),
            ]),
            consider(["openstack", "server", "resize", "confirm", id(p)]),
        ]
    }),
    openstack("O07", false, |p| {
        let volume = |disk: &Disk| consider(["openstack", "volume", "show", &disk.key]);
        let mut steps: Vec<Step> = p.vm.disks.iter().map(volume).collect();
        steps.push(note(
            "mend what its state says; an administrator can set it:",
        ));
        steps.push(consider([
            "openstack",
            "volume",
            "set",
            "--state",
            "in-use",
            "VOLUME",
        ]));
        steps
    }),
    openstack("O09", false, release_server),
    openstack("O11", false, detach_volumes),
    govc("P07", false, rename_vm),
    openstack("P07", false, rename_server),
    govc("T01", true, |p| {
        let change = "cpuid.coresPerSocket=1";
        on(p, |vm| {
            vec![
                run(["govc", "vm.change", "-vm", vm, "-e", change]),
                note("this must say 1; where it does not: Edit Settings, CPU, Cores per Socket: 1"),
                run([
                    "govc",
                    "object.collect",
                    "-s",
                    vm,
                    "config.hardware.numCoresPerSocket",
                ]),
            ]
        })
    }),
    govc("V01", false, |p| shut_down(Tool::Govc, p)),
    govc("V04", false, |p| {
        on(p, |vm| {
            vec![
                run(["govc", "vm.power", "-on", vm]),
                note("it goes on where it was suspended; then shut its guest down:"),
                consider(["govc", "vm.power", "-s", vm]),
            ]
        })
    }),
    govc("V05", false, |p| {
        if !p.vm.template {
            return Vec::new();
        }
        on(p, |vm| {
            vec![
                note("name the resource pool that it is to be in:"),
                consider(["govc", "vm.markasvm", "-pool", "POOL", vm]),
            ]
        })
    }),
    govc("V06", true, |p| {
        if p.vm.tpm != Some(true) {
            return Vec::new();
        }
        on(p, |vm| {
            vec![
                note(
                    "keys that the guest keeps in its TPM are lost: save BitLocker's recovery keys first",
                ),
                run(["govc", "device.remove", "-vm", vm, "vtpm-*"]),
            ]
        })
    }),
    govc("V07", true, mend_disks),
    govc("V08", false, |p| {
        on(p, |vm| {
            vec![
                run(["govc", "device.cdrom.eject", "-vm", vm]),
                note("what else is connected; take the names from the list:"),
                consider(["govc", "device.ls", "-vm", vm]),
                consider(["govc", "device.disconnect", "-vm", vm, "DEVICE"]),
            ]
        })
    }),
    govc("V09", false, |p| {
        if p.vm.snapshots.is_none() {
            return Vec::new();
        }
        on(p, |vm| {
            vec![
                note("all of its snapshots, for good; its disks then hold what it is now:"),
                run(["govc", "snapshot.remove", "-vm", vm, "*"]),
            ]
        })
    }),
    govc("V10", false, rename_vm),
    govc("V18", false, |p| {
        on(p, |vm| {
            vec![consider([
                "govc",
                "device.boot",
                "-vm",
                vm,
                "-order",
                "disk",
            ])]
        })
    }),
    govc("W06", true, |p| {
        change_nics(p, |model| model.contains("Sriov") || model.contains("Rdma"))
    }),
    openstack("W08", false, |p| {
        let ports = p.vm.nics.iter().filter(|nic| nic.connected == Some(false));
        let fix = |nic: &Nic| {
            let address = "subnet=SUBNET,ip-address=ADDRESS";
            consider(["openstack", "port", "set", "--fixed-ip", address, &nic.key])
        };
        ports.map(fix).collect()
    }),
    govc("W11", false, |p| {
        let mut steps = Vec::new();
        for nic in p.vm.nics.iter().filter(|nic| nic.connected == Some(false)) {
            if let Some(name) = nic_name(nic) {
                steps.extend(on(p, |vm| {
                    vec![
                        note("it will be connected on the target: connect it, or take it out"),
                        consider(["govc", "device.connect", "-vm", vm, &name]),
                        consider(["govc", "device.remove", "-vm", vm, &name]),
                    ]
                }));
            }
        }
        steps
    }),
];

/// How its guest is shut down; nothing where it is off.
pub(super) fn shut_down(tool: Tool, patient: &Patient<'_>) -> Vec<Step> {
    if patient.seen.and_then(|seen| seen.power) == Some(Power::Off) {
        return Vec::new();
    }
    match tool {
        Tool::Govc => on(patient, |vm| {
            vec![
                consider(["govc", "vm.power", "-s", "-wait", vm]),
                note("where its tools do not run, from inside of the guest"),
            ]
        }),
        Tool::Openstack => vec![consider([
            "openstack",
            "server",
            "stop",
            "--wait",
            id(patient),
        ])],
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn run<const N: usize>(command: [&str; N]) -> Step {
    Step::Run(words(command))
}

fn consider<const N: usize>(command: [&str; N]) -> Step {
    Step::Consider(words(command))
}

fn note(text: &str) -> Step {
    Step::Note(text.to_owned())
}

/// OpenStack's server id.
fn id<'p>(patient: &Patient<'p>) -> &'p str {
    patient.key.id.as_str()
}

/// Steps on a vSphere VM by its reference; none where a snapshot does not have it.
fn on(patient: &Patient<'_>, steps: impl FnOnce(&str) -> Vec<Step>) -> Vec<Step> {
    match &patient.vm.r#ref {
        Some(reference) => steps(&format!("VirtualMachine:{reference}")),
        None => Vec::new(),
    }
}

/// A name that DNS takes and that no other VM is likely to have: the old one's letters and digits,
/// and digits of its id.
fn new_name(patient: &Patient<'_>) -> String {
    const LETTERS_MAX: usize = 50;
    const DIGITS: usize = 6;
    let parts = patient
        .vm
        .name
        .as_str()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty());
    let mut name = parts.collect::<Vec<_>>().join("-").to_lowercase();
    name.truncate(LETTERS_MAX);
    let digest = schemas::digest::of(&patient.key).to_string();
    let digits = &digest[digest.len() - DIGITS..];
    match name.trim_end_matches('-') {
        "" => format!("vm-{digits}"),
        name => format!("{name}-{digits}"),
    }
}

fn rename_vm(patient: &Patient<'_>) -> Vec<Step> {
    on(patient, |vm| {
        vec![
            note(
                "its name at the source becomes that on the target; write another one if you like",
            ),
            run(["govc", "object.rename", vm, &new_name(patient)]),
        ]
    })
}

fn rename_server(patient: &Patient<'_>) -> Vec<Step> {
    let name = new_name(patient);
    vec![
        note("its name at the source becomes that on the target; write another one if you like"),
        run(["openstack", "server", "set", "--name", &name, id(patient)]),
    ]
}

/// A server that was booted from an image becomes one that boots from a volume.
fn boot_from_volume(patient: &Patient<'_>) -> Vec<Step> {
    let name = format!("{}-system", new_name(patient));
    let mut steps = Vec::new();
    if patient.vm.root_disk == Some(schemas::inventory::RootDisk::Ephemeral) {
        steps.extend([
            note(
                "its system disk as an image, that as a volume, and a new server from the volume:",
            ),
            run([
                "openstack",
                "server",
                "image",
                "create",
                "--wait",
                "--name",
                &name,
                id(patient),
            ]),
            consider([
                "openstack",
                "volume",
                "create",
                "--bootable",
                "--image",
                &name,
                "--size",
                "GIB",
                &name,
            ]),
            consider([
                "openstack",
                "server",
                "create",
                "--volume",
                &name,
                "--flavor",
                "FLAVOR",
                "--network",
                "NETWORK",
                "NAME",
            ]),
            note("then select the new server in the plan, and the old one no longer"),
        ]);
    }
    let flavor = patient.vm.flavor.as_ref();
    if flavor.is_some_and(|flavor| flavor.ephemeral_gib.is_some() || flavor.swap_mib.is_some()) {
        steps.extend([
            note("move what is on the ephemeral or swap disk to a volume, then take a flavor without:"),
            consider(["openstack", "server", "resize", "--flavor", "FLAVOR", "--wait", id(patient)]),
            consider(["openstack", "server", "resize", "confirm", id(patient)]),
        ]);
    }
    steps
}

/// Disks that cannot be exported: an independent one becomes a persistent one; a raw device or a
/// shared disk is a person's decision.
fn mend_disks(patient: &Patient<'_>) -> Vec<Step> {
    on(patient, |vm| {
        let mut steps = Vec::new();
        for disk in &patient.vm.disks {
            let independent = disk
                .mode
                .as_ref()
                .is_some_and(|mode| mode.starts_with("independent"));
            let raw = disk.backing.as_deref() == Some("rdm-physical");
            let file = disk.file.as_deref().unwrap_or("unknown");
            if raw || disk.sharing.is_some() {
                let what = if raw {
                    "a raw device"
                } else {
                    "a disk that others use too"
                };
                steps.push(note(&format!(
                    "{} is {what} ({file}): copy what is needed, then take it out; its file stays",
                    disk.label.as_deref().unwrap_or(&disk.key)
                )));
                if let Some(name) = disk_name(disk) {
                    steps.push(consider([
                        "govc",
                        "device.remove",
                        "-vm",
                        vm,
                        "-keep",
                        &name,
                    ]));
                }
            } else if independent {
                let (key, mode) = (disk.key.as_str(), "persistent");
                steps.push(run([
                    "govc",
                    "vm.disk.change",
                    "-vm",
                    vm,
                    "-disk.key",
                    key,
                    "-mode",
                    mode,
                ]));
            }
        }
        steps
    })
}

/// A server that Nova does not stop as it is.
fn release_server(patient: &Patient<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if patient.vm.locked == Some(true) {
        steps.push(run(["openstack", "server", "unlock", id(patient)]));
    }
    let status = patient.seen.and_then(|seen| seen.status.as_deref());
    match status {
        Some("PAUSED") => steps.push(run(["openstack", "server", "unpause", id(patient)])),
        Some("SUSPENDED") => steps.push(run(["openstack", "server", "resume", id(patient)])),
        Some("RESCUE") => steps.push(run(["openstack", "server", "unrescue", id(patient)])),
        Some("SHELVED" | "SHELVED_OFFLOADED") => {
            steps.push(run(["openstack", "server", "unshelve", id(patient)]));
        }
        Some("VERIFY_RESIZE") => steps.push(consider([
            "openstack",
            "server",
            "resize",
            "confirm",
            id(patient),
        ])),
        _ => {}
    }
    steps
}

/// Volumes that others have too.
fn detach_volumes(patient: &Patient<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for disk in patient
        .vm
        .disks
        .iter()
        .filter(|disk| disk.sharing.is_some())
    {
        steps.push(note(
            "another server has this volume too; it can come with one of them only",
        ));
        steps.push(consider([
            "openstack",
            "server",
            "remove",
            "volume",
            id(patient),
            &disk.key,
        ]));
    }
    steps
}

/// govc's name of a disk: its controller's key and its unit. vSphere numbers controllers by kind.
fn disk_name(disk: &Disk) -> Option<String> {
    let controller = disk.controller.as_ref()?;
    let first = match controller.as_str() {
        kind if kind.contains("IDE") => 200,
        kind if kind.contains("NVME") => 31_000,
        kind if kind.contains("AHCI") || kind.contains("SATA") => 15_000,
        _ => 1000,
    };
    Some(format!(
        "disk-{}-{}",
        first + disk.bus.unwrap_or(0),
        disk.unit?
    ))
}

/// NICs of kinds that the engine ignores become vmxnet3.
fn change_nics(patient: &Patient<'_>, wrong: impl Fn(&str) -> bool) -> Vec<Step> {
    on(patient, |vm| {
        let mut steps = Vec::new();
        for nic in &patient.vm.nics {
            let (Some(model), Some(name)) = (&nic.model, nic_name(nic)) else {
                continue;
            };
            if wrong(model) {
                let network = nic.network_name.as_deref().unwrap_or("NETWORK");
                steps.push(note(&format!(
                    "{name} is a {model}; a new adapter has another name in the guest"
                )));
                steps.push(consider(["govc", "device.remove", "-vm", vm, &name]));
                steps.push(consider([
                    "govc",
                    "vm.network.add",
                    "-vm",
                    vm,
                    "-net",
                    network,
                    "-net.adapter",
                    "vmxnet3",
                ]));
            }
        }
        steps
    })
}

/// govc's name of a NIC, by the key that vSphere gives it.
fn nic_name(nic: &Nic) -> Option<String> {
    let number = nic.key.parse::<u32>().ok()?.checked_sub(4000)?;
    Some(format!("ethernet-{number}"))
}
