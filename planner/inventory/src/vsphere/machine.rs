//! One VM in two passes: what is cheap for all, then devices and files for those that matter.
//!
//! Takes objects of the light and the heavy list, gives [`Vm`] (configuration) and [`Observed`]
//! (what changes by itself). A VM whose host is away may lack all configuration: it is kept, and
//! says so in its gaps.

use std::collections::BTreeMap;

use schemas::ids::{VmId, VmName};
use schemas::inventory::{Gap, GuestOs, Observed, Power, Vm};

use super::devices::Devices;
use super::places::{Datacenter, Places, whole_gib};
use super::properties::{Object, Wanted};
use super::session::Ref;
use crate::xml::Node;

/// The light pass. One small structure is cheaper than its leaves.
pub(crate) const LIGHT: &Wanted = &[(
    "VirtualMachine",
    &[
        "name",
        "parent",
        "parentVApp",
        "resourcePool",
        "summary.config",
        "runtime.powerState",
        "runtime.connectionState",
        "runtime.faultToleranceState",
        "runtime.host",
        "rootSnapshot",
        "customValue",
        "guest.toolsRunningStatus",
    ],
)];

/// The heavy pass.
pub(crate) const HEAVY: &Wanted = &[(
    "VirtualMachine",
    &[
        "config.version",
        "config.firmware",
        "config.bootOptions",
        "config.changeTrackingEnabled",
        "config.keyId",
        "config.hardware.numCPU",
        "config.hardware.numCoresPerSocket",
        "config.hardware.memoryMB",
        "config.hardware.device",
        "layoutEx",
        "guest.net",
        "guest.disk",
    ],
)];

/// The heavy pass for VMs with snapshots, whose tree is large.
pub(crate) const HEAVY_WITH_SNAPSHOTS: &Wanted = &[(
    "VirtualMachine",
    &[
        "config.version",
        "config.firmware",
        "config.bootOptions",
        "config.changeTrackingEnabled",
        "config.keyId",
        "config.hardware.numCPU",
        "config.hardware.numCoresPerSocket",
        "config.hardware.memoryMB",
        "config.hardware.device",
        "layoutEx",
        "guest.net",
        "guest.disk",
        "snapshot",
    ],
)];

/// A VM between the passes.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Its reference.
    pub(crate) reference: Ref,
    /// Whether it has snapshots.
    pub(crate) has_snapshots: bool,
    /// Its configuration so far.
    pub(crate) vm: Vm,
    /// What was observed so far.
    pub(crate) observed: Observed,
}

impl Draft {
    /// What the light pass says; `None` for a VM that was deleted meanwhile, and for one that this
    /// account may know of but not see.
    pub(crate) fn new(
        object: &Object,
        dc: &Datacenter,
        places: &Places,
        fields: &BTreeMap<String, String>,
    ) -> Option<Self> {
        if object.is_gone() {
            return None;
        }
        let name = object.text("name")?;
        let config = object.get("summary.config");
        let text = |name| {
            config
                .and_then(|config| config.text_of(name))
                .map(str::to_owned)
        };
        let reference = object.reference.clone();
        let id = text("instanceUuid").unwrap_or_else(|| format!("moref:{}", reference.id));
        let parent = object.text("parent");
        let vapp = object.text("parentVApp");
        let place = places.place(dc, parent.as_deref(), vapp.as_deref());
        let guest_id = text("guestId");
        let family = guest_id
            .as_deref()
            .and_then(guest_family)
            .map(str::to_owned);
        let os = GuestOs {
            id: guest_id,
            family,
            ..GuestOs::default()
        };
        let ft = object
            .text("runtime.faultToleranceState")
            .filter(|ft| ft != "notConfigured");
        let vm = Vm {
            id: VmId::new(&id),
            r#ref: Some(reference.id.clone()),
            display_name: decoded(&name),
            name: VmName::new(name),
            dc: Some(dc.path.clone()),
            folder: place.folder,
            description: text("annotation"),
            template: config
                .and_then(|config| config.value("template"))
                .unwrap_or_default(),
            bios_uuid: text("uuid"),
            guest_os: Some(os).filter(|os| *os != GuestOs::default()),
            hw_version: text("hwVersion"),
            tpm: config.and_then(|config| config.value("tpmPresent")),
            ft,
            host_group: object
                .text("runtime.host")
                .and_then(|host| places.cluster(&host)),
            pool: object
                .text("resourcePool")
                .and_then(|pool| places.pool(&pool)),
            vapp: place.vapp,
            attributes: attributes(object.list("customValue"), fields),
            gaps: gaps(object),
            ..Vm::default()
        };
        Some(Self {
            has_snapshots: !object.list("rootSnapshot").is_empty(),
            observed: observed(object, id),
            reference,
            vm,
        })
    }

    /// Adds what the heavy pass says.
    pub(crate) fn add(&mut self, object: &Object, places: &Places) {
        let vm = &mut self.vm;
        let boot_options = object.get("config.bootOptions");
        let list = object.list("config.hardware.device");
        let devices = Devices::new(list, boot_options.and_then(first_boot_disk), places);
        let is_known = object.get("config.hardware.device").is_some();
        let has_key = object.get("config.keyId").is_some();

        vm.hw_version = object.text("config.version").or(vm.hw_version.take());
        vm.firmware = object.text("config.firmware");
        vm.secure_boot = boot_options.and_then(|boot| boot.value("efiSecureBootEnabled"));
        vm.cbt = object.value("config.changeTrackingEnabled");
        vm.vcpus = object.value("config.hardware.numCPU");
        vm.cores_per_socket = object.value("config.hardware.numCoresPerSocket");
        vm.memory_mib = object.value("config.hardware.memoryMB");
        vm.tpm = if devices.tpm { Some(true) } else { vm.tpm };
        vm.encrypted = (is_known || has_key).then(|| {
            has_key
                || devices
                    .disks
                    .iter()
                    .any(|disk| disk.encrypted == Some(true))
        });
        vm.passthrough = devices.passthrough.into_iter().collect();
        vm.other_devices = devices.others.into_iter().collect();
        vm.disks = devices.disks;
        vm.nics = devices.nics;
        vm.snapshots = object
            .get("snapshot")
            .map(count_snapshots)
            .filter(|count| *count > 0);
        vm.gaps.extend(gaps(object));
        if !is_known && vm.gaps.is_empty() {
            vm.gaps.push(Gap {
                what: "config".to_owned(),
                object: None,
                reason: match &self.observed.connection_state {
                    Some(state) => format!("the server has none while the VM is {state}"),
                    None => "the server gives none".to_owned(),
                },
            });
        }
        vm.gaps.sort();

        let observed = &mut self.observed;
        observed.used_bytes = object.get("layoutEx").map(used_bytes).unwrap_or_default();
        observed.guest_ips = guest_ips(object.list("guest.net"));
        observed.guest_used_bytes = guest_used(object.list("guest.disk"));
    }
}

/// A name as people see it, where that differs: vCenter stores three characters as `%2f`, `%5c`
/// and `%25`.
fn decoded(name: &str) -> Option<String> {
    let mut shown = name.to_owned();
    for (stored, character) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\")] {
        shown = shown.replace(stored, character);
    }
    let shown = shown.replace("%25", "%");
    (shown != name).then_some(shown)
}

/// The family of a configured guest, in vSphere's words. `guest.guestFamily` would say it too, but
/// only while the tools run: power must not change a VM's configuration.
fn guest_family(id: &str) -> Option<&'static str> {
    const LINUX: &[&str] = &[
        "almalinux",
        "amazonlinux",
        "asianux",
        "centos",
        "coreos",
        "crxPod",
        "crxSys",
        "debian",
        "fedora",
        "flatcar",
        "linux",
        "mandrake",
        "mandriva",
        "nld",
        "oes",
        "opensuse",
        "oracleLinux",
        "redhat",
        "rhel",
        "rockylinux",
        "sjds",
        "sles",
        "suse",
        "turboLinux",
        "ubuntu",
        "vmwarePhoton",
    ];
    let is_linux = LINUX.iter().any(|prefix| id.starts_with(prefix)) || id.contains("Linux");
    match id {
        _ if id.starts_with("win") => Some("windowsGuest"),
        _ if is_linux => Some("linuxGuest"),
        _ if id.starts_with("darwin") => Some("darwinGuestFamily"),
        _ if id.starts_with("solaris") => Some("solarisGuest"),
        _ if id.starts_with("netware") => Some("netwareGuest"),
        "" => None,
        _ => Some("otherGuestFamily"),
    }
}

/// Custom attributes by their field's name.
fn attributes(values: &[Node], fields: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let pairs = values.iter().filter_map(|value| {
        let name = fields.get(value.text_of("key")?)?;
        Some((name.clone(), value.child("value")?.text.clone()))
    });
    pairs.collect()
}

fn gaps(object: &Object) -> Vec<Gap> {
    let gap = |(path, kind): &(String, String)| Gap {
        what: path.clone(),
        object: None,
        reason: kind.clone(),
    };
    object.refused.iter().map(gap).collect()
}

fn observed(object: &Object, id: String) -> Observed {
    let status = object.text("runtime.powerState");
    let connection_state = object.text("runtime.connectionState");
    Observed {
        id,
        power: status.as_deref().map(|status| match status {
            "poweredOn" => Power::On,
            "poweredOff" => Power::Off,
            "suspended" => Power::Suspended,
            _ => Power::Other,
        }),
        status,
        connection_state: connection_state.filter(|state| state != "connected"),
        tools: object.text("guest.toolsRunningStatus"),
        ..Observed::default()
    }
}

/// The first disk of an explicit boot order.
fn first_boot_disk(boot: &Node) -> Option<&str> {
    let is_disk =
        |node: &&Node| node.class.as_deref() == Some("VirtualMachineBootOptionsBootableDiskDevice");
    boot.all("bootOrder").find(is_disk)?.text_of("deviceKey")
}

/// Snapshots in the tree, counted without recursion.
fn count_snapshots(tree: &Node) -> u32 {
    let mut count = 0;
    let mut open: Vec<&Node> = tree.all("rootSnapshotList").collect();
    while let Some(snapshot) = open.pop() {
        count += 1;
        open.extend(snapshot.all("childSnapshotList"));
    }
    count
}

/// Bytes of all files in each disk's chain: base, snapshots and the parents of a linked clone.
fn used_bytes(layout: &Node) -> BTreeMap<String, schemas::units::Bytes> {
    let sizes: BTreeMap<&str, u64> = layout
        .all("file")
        .filter_map(|file| Some((file.text_of("key")?, file.value("size")?)))
        .collect();
    let used = layout.all("disk").filter_map(|disk| {
        let files = disk.all("chain").flat_map(|link| link.all("fileKey"));
        let bytes: u64 = files.filter_map(|file| sizes.get(file.text.as_str())).sum();
        let key = disk.text_of("key")?.to_owned();
        (bytes > 0).then(|| (key, whole_gib(bytes)))
    });
    used.collect()
}

fn guest_ips(nics: &[Node]) -> Vec<String> {
    let mut ips: Vec<_> = nics
        .iter()
        .flat_map(|nic| nic.all("ipAddress"))
        .map(|ip| ip.text.clone())
        .filter(|ip| !ip.is_empty())
        .collect();
    ips.sort();
    ips.dedup();
    ips
}

fn guest_used(disks: &[Node]) -> Option<schemas::units::Bytes> {
    let used = disks.iter().filter_map(|disk| {
        let capacity: u64 = disk.value("capacity")?;
        Some(capacity.saturating_sub(disk.value("freeSpace")?))
    });
    let used: Vec<u64> = used.collect();
    (!used.is_empty()).then(|| whole_gib(used.iter().sum()))
}
