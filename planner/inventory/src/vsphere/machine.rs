//! One VM in two passes: what is cheap for all, then devices and files for those that matter.
//!
//! Takes objects of the light and the heavy list, gives [`Vm`] (configuration) and [`Observed`]
//! (what changes by itself). A VM whose host is away may lack all configuration: it is kept, and
//! says so in its gaps.

use std::collections::BTreeMap;

use schemas::ids::{VmId, VmName};
use schemas::inventory::{Gap, GuestOs, Lookup, Observed, Power, Vm};
use schemas::units::{Bytes, GIB};
use serde::Serialize;

use super::cache::Digest;
use super::devices::Devices;
use super::guest::guest_family;
use super::layout::{Layout, share_committed};
use super::places::{Datacenter, Places, whole_gib};
use super::properties::{Object, Wanted};
use super::soap::Ref;
use crate::xml::Element;

/// The light pass: what changes without a change of the configuration, and that itself.
pub(crate) const LIGHT: &Wanted = &[(
    "VirtualMachine",
    &[
        "name",
        "parent",
        "parentVApp",
        "resourcePool",
        "summary.config.template",
        // Its leaves, without the time at which they were computed.
        "summary.storage.committed",
        "summary.storage.uncommitted",
        "runtime.powerState",
        "runtime.connectionState",
        "runtime.faultToleranceState",
        "runtime.host",
        "runtime.question",
        "config.changeVersion",
        "rootSnapshot",
        "snapshot.currentSnapshot",
        "customValue",
        "guest.toolsRunningStatus",
        "guest.toolsVersionStatus2",
        "guest.guestId",
        "guest.guestFamily",
        "guest.guestFullName",
        "guest.hostName",
        "guest.ipAddress",
    ],
)];

macro_rules! heavy {
    ($($more:literal)?) => {
        &[(
            "VirtualMachine",
            &[
                "summary.config",
                "config.version",
                "config.createDate",
                "config.firmware",
                "config.bootOptions",
                "config.changeTrackingEnabled",
                "config.keyId",
                "config.cpuHotAddEnabled",
                "config.memoryHotAddEnabled",
                "config.cpuAllocation",
                "config.memoryAllocation",
                "config.nestedHVEnabled",
                "config.latencySensitivity",
                "config.hardware.numCPU",
                "config.hardware.numCoresPerSocket",
                "config.hardware.memoryMB",
                "config.hardware.device",
                "layoutEx",
                "guest.net",
                "guest.disk",
                $($more,)?
            ],
        )]
    };
}

/// The heavy pass. One small structure is cheaper than its leaves.
pub(crate) const HEAVY: &Wanted = heavy!();

/// The heavy pass for VMs with snapshots, whose tree is large.
pub(crate) const HEAVY_WITH_SNAPSHOTS: &Wanted = heavy!("snapshot");

/// What servers before 6.7 do not know.
pub(crate) const SINCE_67: &str = "config.createDate";

/// A VM between the passes.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Its reference.
    pub(crate) reference: Ref,
    /// What its details hang on: as long as this is the same, they need not be read again. `None`
    /// for a VM of which the server says too little.
    pub(crate) version: Option<String>,
    /// What the light pass says, word for word, as a digest. `None` where the server refused a part.
    pub(crate) light: Option<Digest>,
    /// Whether it has snapshots.
    pub(crate) has_snapshots: bool,
    /// The folder or vApp that it is right in.
    pub(crate) parent: Option<String>,
    /// The vApp that it is in.
    pub(crate) vapp: Option<String>,
    /// Whether its details are worth keeping for the next pull: all of them were read.
    pub(crate) is_whole: bool,
    /// Its configuration so far. Its id is known with the details.
    pub(crate) vm: Vm,
    /// What was observed so far.
    pub(crate) observed: Observed,
}

/// What is known of a VM only together with all others, or from elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Extras<'a> {
    /// Its tags.
    pub(crate) tags: &'a [String],
    /// What the engine's account may not do with it.
    pub(crate) missing_privileges: &'a [String],
    /// What the engine finds in its place.
    pub(crate) lookup: Option<&'a Lookup>,
}

impl Extras<'_> {
    /// Puts them into the VM.
    pub(crate) fn apply(self, vm: &mut Vm) {
        self.tags.clone_into(&mut vm.tags);
        self.missing_privileges
            .clone_into(&mut vm.missing_privileges);
        vm.lookup = self.lookup.cloned();
    }

    /// Those that are in a VM.
    pub(crate) fn of(vm: &Vm) -> Extras<'_> {
        Extras {
            tags: &vm.tags,
            missing_privileges: &vm.missing_privileges,
            lookup: vm.lookup.as_ref(),
        }
    }
}

/// What the heavy pass says of a VM.
#[derive(Debug)]
pub(crate) struct Details {
    /// Its reference.
    pub(crate) id: String,
    /// The part of its configuration that the light pass does not give.
    pub(crate) vm: Vm,
    /// Likewise.
    pub(crate) observed: Observed,
    /// Whether the server gave its devices.
    has_config: bool,
    /// Bytes of files that are no disks: swap, and the memory of a suspended VM.
    other_bytes: u64,
}

impl Draft {
    /// What the light pass says; `None` for a VM that was deleted meanwhile, and for one that this
    /// account may know of but not see.
    pub(crate) fn new(
        object: &Object<'_>,
        dc: &Datacenter,
        places: &Places,
        fields: &BTreeMap<String, String>,
    ) -> Option<Self> {
        if object.is_gone() {
            return None;
        }
        let name = object.text("name")?;
        let parent = object.text("parent");
        let vapp = object.text("parentVApp");
        let place = places.place(dc, parent, vapp);
        let host = object.text("runtime.host");
        let ft = object
            .text("runtime.faultToleranceState")
            .filter(|ft| *ft != "notConfigured");
        let vm = Vm {
            r#ref: Some(object.id.to_owned()),
            display_name: decoded(name),
            name: VmName::new(name),
            dc: Some(dc.path.clone()),
            folder: place.folder,
            template: object.value("summary.config.template").unwrap_or_default(),
            ft: ft.map(str::to_owned),
            host_group: host
                .and_then(|host| places.cluster(host))
                .map(str::to_owned),
            pool: object
                .text("resourcePool")
                .and_then(|pool| places.pool(pool)),
            vapp: place.vapp,
            attributes: attributes(object.list("customValue"), fields),
            gaps: gaps(object),
            ..Vm::default()
        };
        Some(Self {
            reference: Ref::new(object.kind, object.id),
            version: version(object),
            light: object.refused.is_empty().then(|| Digest::of(object.text)),
            has_snapshots: object.list("rootSnapshot").next().is_some(),
            parent: parent.map(str::to_owned),
            vapp: vapp.map(str::to_owned),
            is_whole: false,
            observed: observed(object),
            vm,
        })
    }

    /// Puts the details of the heavy pass, or of an earlier one, under what the light pass says.
    pub(crate) fn complete(&mut self, details: Details) {
        let Details {
            mut vm,
            mut observed,
            has_config,
            other_bytes,
            ..
        } = details;
        if observed.used_bytes.is_empty() {
            let committed = self.observed.committed_bytes.map_or(0, |bytes| bytes.0);
            observed.used_bytes = share_committed(&vm.disks, committed.saturating_sub(other_bytes));
        }
        self.is_whole = has_config && vm.gaps.is_empty();
        let light = std::mem::take(&mut self.vm);
        vm.r#ref = light.r#ref;
        vm.name = light.name;
        vm.display_name = light.display_name;
        vm.dc = light.dc;
        vm.folder = light.folder;
        vm.template = light.template;
        vm.ft = light.ft;
        vm.host_group = light.host_group;
        vm.pool = light.pool;
        vm.vapp = light.vapp;
        vm.attributes = light.attributes;
        vm.gaps.extend(light.gaps);
        if !has_config && vm.gaps.is_empty() {
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
        vm.gaps.dedup();
        if vm.id.as_str().is_empty() {
            vm.id = VmId::new(format!("moref:{}", self.reference.id));
        }
        self.observed.id = vm.id.to_string();
        self.observed.used_bytes = observed.used_bytes;
        self.observed.snapshot_bytes = observed.snapshot_bytes;
        self.observed.guest_ips = observed.guest_ips;
        self.observed.guest_used_bytes = observed.guest_used_bytes;
        self.vm = vm;
    }

    /// Gives it an id of its own, where its instance UUID is not.
    pub(crate) fn be_called_by_reference(&mut self) {
        let id = format!("moref:{}", self.reference.id);
        self.vm.id = VmId::new(&id);
        self.observed.id = id;
        // It may be alone the next time.
        self.is_whole = false;
    }

    /// One of which an earlier pull has left this in the cache.
    pub(crate) fn kept(id: &str, vm: Vm, observed: Observed) -> Self {
        Self {
            reference: Ref::new("VirtualMachine", id),
            version: None,
            light: None,
            has_snapshots: vm.snapshots.is_some(),
            parent: None,
            vapp: None,
            is_whole: true,
            vm,
            observed,
        }
    }
}

impl Details {
    /// Reads an object of the heavy pass.
    pub(crate) fn new(object: &Object<'_>, places: &Places) -> Self {
        let config = object.get("summary.config");
        let owned = |name| {
            config
                .and_then(|config| config.text_of(name))
                .map(str::to_owned)
        };
        let boot_options = object.get("config.bootOptions");
        let devices = Devices::new(
            object.list("config.hardware.device"),
            boot_options.and_then(first_boot_disk),
            places,
        );
        let has_config = object.get("config.hardware.device").is_some();
        let has_key = object.get("config.keyId").is_some();
        let is_encrypted = has_key
            || devices
                .disks
                .iter()
                .any(|disk| disk.encrypted == Some(true));
        let family = config.and_then(|config| guest_family(config.text_of("guestId")?));
        let os = GuestOs {
            id: owned("guestId"),
            family: family.map(str::to_owned),
            name: owned("guestFullName"),
        };
        let tpm = config.and_then(|config| config.value("tpmPresent"));
        let snapshots = object.get("snapshot").map(count_snapshots);
        let latency = object
            .get("config.latencySensitivity")
            .and_then(|latency| latency.text_of("level"));
        let hot_add = [
            ("cpu", "config.cpuHotAddEnabled"),
            ("memory", "config.memoryHotAddEnabled"),
        ];
        let vm = Vm {
            id: VmId::new(owned("instanceUuid").unwrap_or_default()),
            description: owned("annotation"),
            bios_uuid: owned("uuid"),
            guest_os: Some(os).filter(|os| *os != GuestOs::default()),
            hw_version: object
                .owned("config.version")
                .or_else(|| owned("hwVersion")),
            vcpus: object.value("config.hardware.numCPU"),
            cores_per_socket: object.value("config.hardware.numCoresPerSocket"),
            memory_mib: object.value("config.hardware.memoryMB"),
            cpu_reservation_mhz: allocation(object, "config.cpuAllocation", "reservation"),
            cpu_limit_mhz: allocation(object, "config.cpuAllocation", "limit"),
            memory_reservation_mib: allocation(object, "config.memoryAllocation", "reservation"),
            memory_limit_mib: allocation(object, "config.memoryAllocation", "limit"),
            hot_add: hot_add
                .into_iter()
                .filter(|(_, path)| object.value(path) == Some(true))
                .map(|(what, _)| what.to_owned())
                .collect(),
            nested_hv: object.value("config.nestedHVEnabled").unwrap_or_default(),
            latency_sensitivity: latency
                .filter(|level| *level != "normal")
                .map(str::to_owned),
            firmware: object.owned("config.firmware"),
            secure_boot: boot_options.and_then(|boot| boot.value("efiSecureBootEnabled")),
            tpm: if devices.tpm { Some(true) } else { tpm },
            encrypted: (has_config || has_key).then_some(is_encrypted),
            disks: devices.disks,
            nics: devices.nics,
            passthrough: devices.passthrough.into_iter().collect(),
            other_devices: devices.others.into_iter().collect(),
            cbt: object.value("config.changeTrackingEnabled"),
            snapshots: snapshots.filter(|count| *count > 0),
            created: object.owned("config.createDate"),
            gaps: gaps(object),
            ..Vm::default()
        };
        let layout = object.get("layoutEx").map(Layout::new).unwrap_or_default();
        let observed = Observed {
            used_bytes: layout.disks,
            snapshot_bytes: snapshots
                .filter(|count| *count > 0)
                .map(|_| whole_gib(layout.snapshot_bytes)),
            guest_ips: guest_ips(object),
            guest_used_bytes: guest_used(object),
            ..Observed::default()
        };
        Self {
            id: object.id.to_owned(),
            vm,
            observed,
            has_config,
            other_bytes: layout.other_bytes,
        }
    }

    /// Details that an earlier pull has read; the rest of `vm` and `observed` is not used.
    pub(crate) fn known(id: String, vm: Vm, observed: Observed) -> Self {
        Self {
            id,
            vm,
            observed,
            has_config: true,
            other_bytes: 0,
        }
    }
}

/// What a VM's details hang on. The configuration has a version of its own; snapshots, guests that
/// start or stop, and disks that grow by whole GiB show in what the light pass reads anyway.
fn version(object: &Object<'_>) -> Option<String> {
    let mut version = object.owned("config.changeVersion")?;
    let connection = object.text("runtime.connectionState");
    if connection.is_some_and(|state| state != "connected") {
        return None;
    }
    let committed: u64 = object
        .value("summary.storage.committed")
        .unwrap_or_default();
    let texts = [
        "runtime.powerState",
        "snapshot.currentSnapshot",
        "guest.toolsRunningStatus",
        "guest.ipAddress",
    ];
    for text in texts {
        version.push('|');
        version.push_str(object.text(text).unwrap_or_default());
    }
    version.push('|');
    version.push_str(&committed.div_ceil(GIB).to_string());
    for snapshot in object.list("rootSnapshot") {
        version.push('|');
        version.push_str(snapshot.text());
    }
    Some(version)
}

/// A name as people see it, where that differs: vCenter stores three characters as `%2f`, `%5c`
/// and `%25`.
fn decoded(name: &str) -> Option<String> {
    if !name.contains('%') {
        return None;
    }
    let mut shown = name.to_owned();
    for (stored, character) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\")] {
        shown = shown.replace(stored, character);
    }
    let shown = shown.replace("%25", "%");
    (shown != name).then_some(shown)
}

/// Custom attributes by their field's name.
fn attributes<'a>(
    values: impl Iterator<Item = Element<'a>>,
    fields: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let pairs = values.filter_map(|value| {
        let name = fields.get(value.text_of("key")?)?;
        Some((name.clone(), value.child("value")?.text().to_owned()))
    });
    pairs.collect()
}

fn gaps(object: &Object<'_>) -> Vec<Gap> {
    let gap = |(path, kind): &(&str, &str)| Gap {
        what: (*path).to_owned(),
        object: None,
        reason: (*kind).to_owned(),
    };
    object.refused.iter().map(gap).collect()
}

fn observed(object: &Object<'_>) -> Observed {
    let status = object.owned("runtime.powerState");
    let bytes = |path| object.value(path).map(whole_gib);
    let os = GuestOs {
        id: object.owned("guest.guestId"),
        family: object.owned("guest.guestFamily"),
        name: object.owned("guest.guestFullName"),
    };
    Observed {
        power: status.as_deref().map(|status| match status {
            "poweredOn" => Power::On,
            "poweredOff" => Power::Off,
            "suspended" => Power::Suspended,
            _ => Power::Other,
        }),
        status,
        connection_state: object
            .owned("runtime.connectionState")
            .filter(|state| state != "connected"),
        host: object.owned("runtime.host"),
        question: object
            .get("runtime.question")
            .and_then(|question| question.text_of("text"))
            .map(str::to_owned),
        tools: object.owned("guest.toolsRunningStatus"),
        tools_version: object.owned("guest.toolsVersionStatus2"),
        guest_os: Some(os).filter(|os| *os != GuestOs::default()),
        hostname: object.owned("guest.hostName"),
        committed_bytes: bytes("summary.storage.committed"),
        uncommitted_bytes: bytes("summary.storage.uncommitted"),
        ..Observed::default()
    }
}

/// A part of an allocation; none if nothing is set aside, or if there is no limit (-1).
fn allocation(object: &Object<'_>, path: &str, part: &str) -> Option<u64> {
    let amount: i64 = object.get(path)?.value(part)?;
    u64::try_from(amount).ok().filter(|amount| *amount > 0)
}

/// The first disk of an explicit boot order.
fn first_boot_disk(boot: Element<'_>) -> Option<&str> {
    let is_disk =
        |one: &Element<'_>| one.class() == Some("VirtualMachineBootOptionsBootableDiskDevice");
    boot.all("bootOrder").find(is_disk)?.text_of("deviceKey")
}

/// Snapshots in the tree, counted without recursion.
fn count_snapshots(tree: Element<'_>) -> u32 {
    let mut count = 0;
    let mut open: Vec<Element<'_>> = tree.all("rootSnapshotList").collect();
    while let Some(snapshot) = open.pop() {
        count += 1;
        open.extend(snapshot.all("childSnapshotList"));
    }
    count
}

fn guest_ips(object: &Object<'_>) -> Vec<String> {
    let mut ips: Vec<_> = object
        .list("guest.net")
        .flat_map(|nic| nic.all("ipAddress"))
        .map(Element::text)
        .filter(|ip| !ip.is_empty())
        .collect();
    ips.sort_unstable();
    ips.dedup();
    ips.into_iter().map(str::to_owned).collect()
}

fn guest_used(object: &Object<'_>) -> Option<Bytes> {
    let used = object.list("guest.disk").filter_map(|disk| {
        let capacity: u64 = disk.value("capacity")?;
        Some(capacity.saturating_sub(disk.value("freeSpace")?))
    });
    used.reduce(|a, b| a + b).map(whole_gib)
}
