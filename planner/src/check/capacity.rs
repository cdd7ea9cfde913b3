//! Whether it all fits: what the plan needs of scratch, storage, nodes and quotas, beside what is
//! there. What does not fit is a finding with both numbers; the report has the margin of the rest.

use std::collections::BTreeMap;

use schemas::finding::{Severity, Subject};
use schemas::ids::{Namespace, SourceName, TargetName, VmKey};
use schemas::inventory::{TargetInventory, TargetNode};
use schemas::units::{Bytes, MIB};
use serde::Serialize;

use super::openstack::{quotas_left, quotas_needed};
use super::table::Check;
use super::{Estate, Hit, Row};
use crate::resolve::ResolvedTarget;
use crate::schedule::Room;

/// One thing that the plan needs, and what there is of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityLine {
    /// The finding's code where it does not fit.
    pub code: &'static str,
    /// Target or source.
    pub place: String,
    /// What, as in `storage of 3 replicas`.
    pub what: String,
    /// What the plan needs.
    pub needs: u64,
    /// What there is for it.
    pub has: u64,
    /// What is counted.
    pub unit: Unit,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Thousandths of a core.
    MilliCpu,
    /// Things.
    Number,
}

impl Unit {
    /// The number, for people.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Bytes => Bytes(value).to_string(),
            Self::MilliCpu if value.is_multiple_of(1000) => format!("{} CPUs", value / 1000),
            Self::MilliCpu => format!("{value}m CPUs"),
            Self::Number => value.to_string(),
        }
    }
}

impl CapacityLine {
    /// Whether there is enough.
    pub fn fits(&self) -> bool {
        self.needs <= self.has
    }

    /// Hundredths of what there is that the plan needs, rounded up.
    pub fn percent(&self) -> u64 {
        let (needs, has) = (u128::from(self.needs), u128::from(self.has.max(1)));
        u64::try_from((needs * 100).div_ceil(has)).unwrap_or(u64::MAX)
    }

    fn evidence(&self) -> String {
        let (needs, has) = (self.unit.show(self.needs), self.unit.show(self.has));
        format!("{}: {needs} needed, {has} there", self.what)
    }
}

/// Copies that Longhorn keeps where neither class nor settings say: Harvester's own default.
const REPLICAS_DEFAULT: u64 = 3;

/// How many copies the class of a target's disks keeps.
fn replicas(target: &ResolvedTarget, snapshot: &TargetInventory) -> u64 {
    let classes = &snapshot.about.storage_classes;
    let class = classes
        .iter()
        .find(|class| class.name == target.storage_class);
    let said = class.and_then(|class| class.parameters.get("numberOfReplicas"));
    let default = snapshot
        .about
        .longhorn
        .as_ref()
        .and_then(|set| set.default_replicas);
    said.and_then(|text| text.parse().ok())
        .or(default.map(u64::from))
        .unwrap_or(REPLICAS_DEFAULT)
}

/// Bytes that Longhorn may still promise to volumes, over all disks that take new ones.
fn promisable(snapshot: &TargetInventory) -> Option<u64> {
    let disks = &snapshot.about.disks;
    let longhorn = snapshot.about.longhorn.as_ref();
    let percent = longhorn
        .and_then(|set| set.over_provisioning_percent)
        .unwrap_or(100);
    let room = |disk: &schemas::inventory::TargetDisk| {
        let size = disk.capacity_bytes.saturating_sub(disk.reserved_bytes);
        let promise = u128::from(size.0) * u128::from(percent) / 100;
        u64::try_from(promise)
            .unwrap_or(u64::MAX)
            .saturating_sub(disk.scheduled_bytes.0)
    };
    let takes = disks.iter().filter(|disk| disk.schedulable);
    (!disks.is_empty()).then(|| takes.map(room).fold(0, u64::saturating_add))
}

/// Bytes that are really free on those disks, above what Longhorn keeps free.
fn free(snapshot: &TargetInventory) -> Option<u64> {
    let disks = &snapshot.about.disks;
    let longhorn = snapshot.about.longhorn.as_ref();
    let percent = longhorn
        .and_then(|set| set.minimal_available_percent)
        .unwrap_or(0);
    let room = |disk: &schemas::inventory::TargetDisk| {
        let kept = u128::from(disk.capacity_bytes.0) * u128::from(percent) / 100;
        disk.available_bytes
            .0
            .saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX))
    };
    let takes = disks.iter().filter(|disk| disk.schedulable);
    (!disks.is_empty()).then(|| takes.map(room).fold(0, u64::saturating_add))
}

/// What one machine asks its node for.
#[derive(Clone, Copy, Default)]
struct Request {
    memory: u64,
    cpu: u64,
}

/// What Harvester asks for a machine of this VM: its memory and CPUs by the target's overcommit.
/// What is not known counts as nothing.
fn request(row: &Row<'_>) -> Request {
    let over = row.target.and_then(|target| target.about.overcommit);
    let by = |value: u64, percent: Option<u32>| {
        let percent = percent
            .filter(|percent| *percent > 0)
            .map_or(100, u128::from);
        u64::try_from(u128::from(value) * 100 / percent).unwrap_or(u64::MAX)
    };
    let memory = row.vm.memory_mib.unwrap_or(0).saturating_mul(MIB);
    let cpu = u64::from(row.vm.vcpus.unwrap_or(0)).saturating_mul(1000);
    Request {
        memory: by(memory, over.map(|over| over.memory_percent)),
        cpu: by(cpu, over.map(|over| over.cpu_percent)),
    }
}

fn takes_machines(node: &TargetNode) -> bool {
    node.ready && node.schedulable
}

/// What the machines of one target need together.
#[derive(Clone, Copy, Default)]
struct Total {
    largest_scratch: u64,
    disks: u64,
    request: Request,
    known: bool,
}

fn totals<'a>(estate: &Estate<'a>) -> BTreeMap<&'a TargetName, Total> {
    let mut totals: BTreeMap<_, Total> = BTreeMap::new();
    for row in estate.rows() {
        let total = totals.entry(&row.to.target).or_default();
        let own = request(row);
        total.largest_scratch = total.largest_scratch.max(row.to.footprint.peak.0);
        total.disks = total.disks.saturating_add(row.to.footprint.disks.0);
        total.request.memory = total.request.memory.saturating_add(own.memory);
        total.request.cpu = total.request.cpu.saturating_add(own.cpu);
        total.known |= row.vm.memory_mib.is_some();
    }
    totals
}

/// All that the plan needs of what is limited, where both sides are known.
pub(super) fn lines(estate: &Estate<'_>) -> Vec<CapacityLine> {
    let totals = totals(estate);
    let mut lines = Vec::new();
    for (target, snapshot) in estate.targets() {
        let Some(total) = totals.get(&target.name) else {
            continue;
        };
        let mut line = |code, what: String, needs, has, unit| {
            let place = target.name.to_string();
            lines.push(CapacityLine {
                code,
                place,
                what,
                needs,
                has,
                unit,
            });
        };
        let scratch = "scratch of the largest import".to_owned();
        line(
            "S01",
            scratch,
            total.largest_scratch,
            target.usable.0,
            Unit::Bytes,
        );
        let Some(snapshot) = snapshot else { continue };
        storage(target, snapshot, total, &mut line);
        nodes(snapshot, total, &mut line);
    }
    lines.extend(quota_needs(estate).into_iter().map(|need| need.line()));
    let left = quotas_left(estate);
    for ((source, what), needs) in quotas_needed(estate) {
        if let Some((left, _)) = left.get(&(source.clone(), what.clone())) {
            lines.push(source_line(&source, &what, needs, *left));
        }
    }
    lines
}

fn source_line(source: &SourceName, what: &str, needs: u64, has: u64) -> CapacityLine {
    let what = format!("quota of {what} for one export");
    let place = source.to_string();
    CapacityLine {
        code: "O08",
        place,
        what,
        needs,
        has,
        unit: Unit::Number,
    }
}

/// What machines may still take of each target, and what each machine takes: storage that is promised,
/// copies included, memory and CPUs. What nobody knows is no limit.
pub(super) fn rooms(estate: &Estate<'_>) -> (BTreeMap<TargetName, Room>, BTreeMap<VmKey, Room>) {
    let mut rooms = BTreeMap::new();
    let mut copies = BTreeMap::new();
    for (target, snapshot) in estate.targets() {
        let Some(snapshot) = snapshot else { continue };
        let (memory, cpu) = left_on_nodes(snapshot);
        let room = Room {
            memory: Bytes(memory.unwrap_or(u64::MAX)),
            cpu_milli: cpu.unwrap_or(u64::MAX),
            storage: Bytes(promisable(snapshot).unwrap_or(u64::MAX)),
        };
        copies.insert(&target.name, replicas(target, snapshot));
        rooms.insert(target.name.clone(), room);
    }
    let takes = estate.rows().iter().filter_map(|row| {
        let own = request(row);
        let copies = copies.get(&row.to.target)?;
        let room = Room {
            memory: Bytes(own.memory),
            cpu_milli: own.cpu,
            storage: Bytes(row.to.footprint.disks.0.saturating_mul(*copies)),
        };
        Some((row.to.key.clone(), room))
    });
    (rooms, takes.collect())
}

/// Memory and CPUs that are left on all nodes that take machines; nothing where nobody knows.
fn left_on_nodes(snapshot: &TargetInventory) -> (Option<u64>, Option<u64>) {
    let nodes = &snapshot.about.nodes;
    if nodes.is_empty() {
        return (None, None);
    }
    let nodes = || nodes.iter().filter(|node| takes_machines(node));
    let memory = nodes().try_fold(0u64, |sum, node| {
        let left = node
            .memory_bytes
            .saturating_sub(node.memory_reserved_bytes?);
        Some(sum.saturating_add(left.0))
    });
    let cpu = nodes().try_fold(0u64, |sum, node| {
        Some(sum.saturating_add(node.cpu_milli.saturating_sub(node.cpu_reserved_milli?)))
    });
    (memory, cpu)
}

/// What takes a line's parts.
type Line<'l> = dyn FnMut(&'static str, String, u64, u64, Unit) + 'l;

fn storage(
    target: &ResolvedTarget,
    snapshot: &TargetInventory,
    total: &Total,
    line: &mut Line<'_>,
) {
    let copies = replicas(target, snapshot);
    // Volumes are promised their whole size in each copy; beside them the images stay, written
    // once as they are read and kept as long as the machine (S12).
    let needs = total.disks.saturating_mul(copies);
    if let Some(room) = promisable(snapshot) {
        line(
            "S05",
            format!("storage to promise, {copies} copies"),
            needs,
            room,
            Unit::Bytes,
        );
    }
    if let Some(room) = free(snapshot) {
        let what =
            format!("free storage for images and volumes, {copies} copies, if all is written");
        line("S05", what, needs.saturating_mul(2), room, Unit::Bytes);
    }
}

fn nodes(snapshot: &TargetInventory, total: &Total, line: &mut Line<'_>) {
    if !total.known {
        return;
    }
    let (memory, cpu) = left_on_nodes(snapshot);
    if let Some(has) = memory {
        line(
            "T04",
            "memory of all nodes".to_owned(),
            total.request.memory,
            has,
            Unit::Bytes,
        );
    }
    if let Some(has) = cpu {
        line(
            "T04",
            "CPU of all nodes".to_owned(),
            total.request.cpu,
            has,
            Unit::MilliCpu,
        );
    }
}

/// What a namespace's machines need of one of its quotas.
struct QuotaNeed<'a> {
    target: &'a TargetName,
    namespace: &'a Namespace,
    name: &'a str,
    resource: &'a str,
    unit: Unit,
    needs: u64,
    left: u64,
}

impl QuotaNeed<'_> {
    fn line(&self) -> CapacityLine {
        CapacityLine {
            code: "S10",
            place: self.target.to_string(),
            what: format!(
                "`{}` of quota `{}` in `{}`",
                self.resource, self.name, self.namespace
            ),
            needs: self.needs,
            has: self.left,
            unit: self.unit,
        }
    }
}

/// What one machine takes of a resource that quotas speak of; nothing for those it does not touch.
fn of_resource(row: &Row<'_>, resource: &str) -> Option<(u64, Unit)> {
    let memory = row.vm.memory_mib.map(|mib| mib.saturating_mul(MIB));
    let cpu = row
        .vm
        .vcpus
        .map(|vcpus| u64::from(vcpus).saturating_mul(1000));
    Some(match resource {
        "limits.memory" => (memory?, Unit::Bytes),
        "requests.memory" => (memory.map(|_| request(row).memory)?, Unit::Bytes),
        "limits.cpu" => (cpu?, Unit::MilliCpu),
        "requests.cpu" => (cpu.map(|_| request(row).cpu)?, Unit::MilliCpu),
        "requests.storage" => (row.to.footprint.disks.0, Unit::Bytes),
        "persistentvolumeclaims" | "count/persistentvolumeclaims" => {
            (row.vm.disks.len() as u64, Unit::Number)
        }
        "count/virtualmachines.kubevirt.io" | "pods" | "count/pods" => (1, Unit::Number),
        _ => return None,
    })
}

fn quota_needs<'a>(estate: &Estate<'a>) -> Vec<QuotaNeed<'a>> {
    let mut needs = Vec::new();
    let mut by_place: BTreeMap<(&TargetName, &Namespace), Vec<&Row<'_>>> = BTreeMap::new();
    for row in estate.rows() {
        by_place
            .entry((&row.to.target, &row.to.namespace))
            .or_default()
            .push(row);
    }
    for (target, snapshot) in &estate.inventory().targets {
        for quota in &snapshot.about.quotas {
            let Some(rows) = by_place.get(&(target, &quota.namespace)) else {
                continue;
            };
            for (resource, hard) in &quota.hard {
                let parts: Vec<_> = rows
                    .iter()
                    .filter_map(|row| of_resource(row, resource))
                    .collect();
                let Some((_, unit)) = parts.first().copied() else {
                    continue;
                };
                needs.push(QuotaNeed {
                    target,
                    namespace: &quota.namespace,
                    name: &quota.name,
                    resource,
                    unit,
                    needs: parts
                        .iter()
                        .fold(0, |sum, (part, _)| sum.saturating_add(*part)),
                    left: hard.saturating_sub(quota.used.get(resource).copied().unwrap_or(0)),
                });
            }
        }
    }
    needs
}

/// The lines of that code which do not fit, as hits on their targets.
fn short(estate: &Estate<'_>, code: &str) -> Vec<Hit> {
    lines(estate)
        .into_iter()
        .filter(|line| line.code == code && !line.fits())
        .map(|line| {
            Hit::on(
                Subject::Target(TargetName::new(line.place.clone())),
                line.evidence(),
            )
        })
        .collect()
}

/// Storage of the target.
pub const S05: Check = Check {
    code: "S05",
    severity: Severity::Warning,
    title: "has too little storage for the disks of the plan",
    reads: "Longhorn's disks, what is promised and free on them, its settings, and the copies that the \
            storage class keeps",
    why: "When the storage is full an image never gets complete, and its download begins again and \
          again; the import waits for it for ever, with the guest off (#8849). Longhorn promises a \
          volume its whole size in each copy, and keeps the image beside it (S12).",
    when: "the provisioned size of all disks, times the copies, is more than may still be promised; or \
           twice that is more than is free, should all be written",
    see: "`kubectl -n longhorn-system get nodes.longhorn.io -o yaml`, fields `storageAvailable`, \
          `storageScheduled`, `storageMaximum`",
    remedy: "add disks or nodes, take a storage class with fewer copies, or move fewer VMs at first",
    never_waived: None,
    run: |estate| short(estate, "S05"),
};

/// Quotas of namespaces.
pub const S10: Check = Check {
    code: "S10",
    severity: Severity::Warning,
    title: "has a namespace whose quota the machines exceed",
    reads: "the quotas of the namespaces that machines go to, and what is used of them",
    why: "Where a quota refuses the image, the volume or the machine, the engine tries again for ever, \
          after the whole export (VM:655-719; measured).",
    when: "the machines that go to a namespace need more of a resource than is left",
    see: "`kubectl -n NAMESPACE describe resourcequota`",
    remedy: "raise the quota, or give some of the machines another namespace",
    never_waived: None,
    run: |estate| short(estate, "S10"),
};

/// Room on the nodes.
pub const T04: Check = Check {
    code: "T04",
    severity: Severity::Blocker,
    title: "finds no node that could run it",
    reads: "memory and CPUs of the VM, of each node that takes machines, what is asked for there, and \
            how far Harvester overcommits",
    why: "A machine that no node can take stays `virtualMachineCreated` for ever; its guest is off and \
          its disks keep the engine's scratch (HP:96-100).",
    when: "a VM asks for more than any node has (a blocker), or all of them together for more than is \
           left on all nodes (a warning on the target)",
    see: "`kubectl describe nodes`, sections Allocatable and Allocated resources",
    remedy: "add nodes or memory, or make the VM smaller before its wave",
    never_waived: None,
    run: |estate| {
        let mut largest: BTreeMap<&TargetName, (u64, u64)> = BTreeMap::new();
        for (name, snapshot) in &estate.inventory().targets {
            for node in snapshot
                .about
                .nodes
                .iter()
                .filter(|node| takes_machines(node))
            {
                let (memory, cpu) = largest.entry(name).or_default();
                *memory = (*memory).max(node.memory_bytes.0);
                *cpu = (*cpu).max(node.cpu_milli);
            }
        }
        let mut hits = estate.each(|row| {
            let (memory, cpu) = *largest.get(&row.to.target)?;
            let own = request(row);
            let compare = |what: &str, unit: Unit, needs: u64, has: u64| {
                (needs > has).then(|| {
                    let (needs, has) = (unit.show(needs), unit.show(has));
                    format!(
                        "it asks for {needs} of {what}, the largest node of {} has {has}",
                        row.to.target
                    )
                })
            };
            compare("memory", Unit::Bytes, own.memory, memory)
                .or_else(|| compare("CPU", Unit::MilliCpu, own.cpu, cpu))
        });
        hits.extend(
            short(estate, "T04")
                .into_iter()
                .map(|hit| hit.severity(Severity::Warning)),
        );
        hits
    },
};

/// Provisioners that have no block volume for several nodes at once.
const NO_SHARED_BLOCK: [&str; 3] = [
    "lvm.driver.harvesterhci.io",
    "rancher.io/local-path",
    "kubernetes.io/no-provisioner",
];

/// What the storage class can do.
pub const S15: Check = Check {
    code: "S15",
    severity: Severity::Warning,
    title: "has a storage class without block volumes for several nodes",
    reads: "what the storage class can do by its CDI profile, else its provisioner",
    why: "The engine asks for each volume as ReadWriteMany and Block (VM:801-803). A class that has no \
          such volumes leaves the claim pending, after the whole export.",
    when: "the class's profile lists no `ReadWriteMany/Block`, or its provisioner is known to have none",
    see: "`kubectl get storageprofile CLASS -o yaml`",
    remedy: "name another storage class in the site, one of Longhorn for instance",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let classes = snapshot.map_or(&[][..], |snapshot| &snapshot.about.storage_classes);
            let Some(class) = classes
                .iter()
                .find(|class| class.name == target.storage_class)
            else {
                continue;
            };
            let can = &class.capabilities;
            let lacks = if can.is_empty() {
                NO_SHARED_BLOCK.contains(&class.provisioner.as_str())
            } else {
                !can.iter().any(|can| can == "ReadWriteMany/Block")
            };
            if lacks {
                let how = if can.is_empty() {
                    class.provisioner.clone()
                } else {
                    can.join(", ")
                };
                let evidence = format!("storage class `{}`: {how}", class.name);
                let prefix = &estate.plan.site_prefix;
                let subject = Subject::Target(target.name.clone());
                hits.push(
                    Hit::on(subject, evidence)
                        .at(format!("{prefix}targets[{}].storageClass", target.position)),
                );
            }
        }
        hits
    },
};
