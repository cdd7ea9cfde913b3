//! Each VM that a workload has: where it goes, under which name, with which networks.

use std::collections::{BTreeMap, BTreeSet};

use engine::footprint::Footprint;
use schemas::ids::{Namespace, ObjectName, SourceNetworkName, TargetName, VmId, VmKey};
use schemas::inventory::{Inventory, LedgerLine, Nic, SourceKind, Vm};
use schemas::machine::{MachineId, Stage};
use schemas::plan::{Machine, PlanSpec, TargetOverride, VmRef, Workload};
use schemas::site::{Source, Target};
use schemas::wave::WaveNetwork;

use super::index::{Index, SourceIndex};
use super::select::{Claim, Claims};
use super::site::{Site, source_object};
use super::{Exclusion, ExclusionReason, Moved, NicFate, ResolvedNic, ResolvedVm};
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, count, nearest};

/// Resolves all claimed VMs; gives those to move and those that are not, each sorted by key.
pub(super) fn resolve(
    spec: &PlanSpec,
    site: &Site<'_>,
    index: &Index<'_>,
    claims: &Claims,
    own: &BTreeMap<VmKey, usize>,
    inventory: &Inventory,
    out: &mut Diagnostics,
) -> (Vec<ResolvedVm>, Vec<Exclusion>) {
    check_targets(spec, site, out);
    let ledger = Ledger::new(inventory);
    let (mut vms, mut exclusions) = (Vec::new(), Vec::new());
    for (key, claim) in &claims.by_vm {
        let (Some(source), Some(snapshot)) = (site.source(&key.source), index.source(&key.source))
        else {
            continue;
        };
        let Some(vm) = snapshot.id(&key.id) else {
            continue;
        };
        let context = Context {
            spec,
            site,
            workload: &spec.workloads[claim.workload],
            entry: own.get(key).copied(),
            machine: own.get(key).map(|i| &spec.machines[*i]),
            source,
            snapshot,
        };
        let id = machine_id(snapshot, vm);
        let known = ledger.find(&id, vm);
        let excluded = |reason| Exclusion {
            key: key.clone(),
            name: vm.name.clone(),
            workload: context.workload.name.clone(),
            reason,
        };
        if let Some((record, moved)) = &known
            && moved.stage == Stage::Running
        {
            let (record, moved) = (record.clone(), moved.clone());
            exclusions.push(excluded(ExclusionReason::Moved { record, moved }));
        } else if vm.template && !claim.by_id {
            exclusions.push(excluded(ExclusionReason::Template));
        } else if let Some(resolved) = context.resolve(key, claim, vm, &id, known) {
            vms.push(resolved);
        }
    }
    check_empty(spec, claims, &vms, &exclusions, out);
    (vms, exclusions)
}

/// All that is needed to resolve one VM.
struct Context<'a> {
    spec: &'a PlanSpec,
    site: &'a Site<'a>,
    workload: &'a Workload,
    entry: Option<usize>,
    machine: Option<&'a Machine>,
    source: &'a Source,
    snapshot: &'a SourceIndex<'a>,
}

impl<'a> Context<'a> {
    /// Nothing where its target is unknown, which is told elsewhere.
    fn resolve(
        &self,
        key: &VmKey,
        claim: &Claim,
        vm: &Vm,
        id: &MachineId,
        known: Option<(ObjectName, Moved)>,
    ) -> Option<ResolvedVm> {
        let (target, namespace) = self.target();
        let target = self.site.target(target)?;
        let kind = self.snapshot.kind();
        let item = self
            .source
            .ova
            .as_ref()
            .and_then(|shelf| shelf.items.iter().find(|item| item.name == vm.id.as_str()));
        let observed = self.snapshot.inventory.observed.get(key.id.as_str());
        Some(ResolvedVm {
            key: key.clone(),
            name: vm.name.clone(),
            kind,
            workload: self.workload.name.clone(),
            path: claim.path.clone(),
            by_id: claim.by_id,
            entry: self.entry,
            target: target.name.clone(),
            namespace: namespace.clone(),
            machine: machine_name(kind, vm),
            record: known
                .as_ref()
                .map_or_else(|| id.record_name(&vm.name), |(record, _)| record.clone()),
            source: source_object(self.source, item),
            find: find(kind, vm),
            folder: match kind {
                SourceKind::Vmware => vm.folder.clone(),
                SourceKind::Openstack | SourceKind::Ova => None,
            },
            storage_class: target.storage_class.clone(),
            nics: vm.nics.iter().map(|nic| self.nic(target, nic)).collect(),
            shutdown_timeout: self
                .workload
                .shutdown_timeout
                .unwrap_or(self.site.spec.policy.shutdown_timeout),
            footprint: self.footprint(kind, vm),
            after: Vec::new(),
            power: observed.and_then(|seen| seen.power),
            ledger: known.map(|(_, moved)| moved),
        })
    }

    fn footprint(&self, kind: SourceKind, vm: &Vm) -> Footprint {
        let footprint = Footprint::of_vm(kind, vm);
        match self.machine.and_then(|own| own.scratch) {
            Some(room) => footprint.with_scratch(room.0),
            None => footprint,
        }
    }

    /// What is said nearest to the VM counts: its own entry, its workload, the plan.
    fn target(&self) -> (&'a TargetName, &'a Namespace) {
        let own = self.machine.and_then(|machine| machine.target.as_ref());
        let workload = self.workload.target.as_ref();
        let said = |field: fn(&TargetOverride) -> Option<&TargetName>| {
            own.and_then(field).or_else(|| workload.and_then(field))
        };
        let name = said(|over| over.name.as_ref()).unwrap_or(&self.spec.target.name);
        let namespace = own
            .and_then(|over| over.namespace.as_ref())
            .or_else(|| workload.and_then(|over| over.namespace.as_ref()))
            .unwrap_or(&self.spec.target.namespace);
        (name, namespace)
    }

    fn nic(&self, target: &'a Target, nic: &Nic) -> ResolvedNic {
        let network = nic.network_name.as_deref().map(SourceNetworkName::from);
        let line = network
            .as_ref()
            .and_then(|from| self.site.network(target, &self.source.name, from));
        let fate = match &line {
            Some((line, _)) => match &line.to {
                Some(to) => NicFate::Mapped(WaveNetwork {
                    from: line.from.clone(),
                    to: to.clone(),
                    model: line.model,
                }),
                None => NicFate::Dropped,
            },
            None => NicFate::Unmapped,
        };
        ResolvedNic {
            network,
            fate,
            path: line.map(|(_, path)| path),
        }
    }
}

/// What the machine will be called on the target: the engine lower-cases the source's name and
/// never rewrites it (`virtualmachine.go`, `sanitizeVirtualMachineImport`; P07). An OVA's machine
/// is called what its item is.
fn machine_name(kind: SourceKind, vm: &Vm) -> ObjectName {
    match kind {
        SourceKind::Vmware | SourceKind::Openstack => {
            ObjectName::new(vm.name.as_str().to_lowercase())
        }
        SourceKind::Ova => ObjectName::new(vm.id.as_str()),
    }
}

/// What the engine is to look for. OpenStack: the id, always; a name is a regular expression to
/// Nova and may meet a server that bears another (O01: the engine crashes), or two (O02).
fn find(kind: SourceKind, vm: &Vm) -> String {
    match kind {
        SourceKind::Vmware => vm.name.to_string(),
        SourceKind::Openstack | SourceKind::Ova => vm.id.to_string(),
    }
}

/// What names the machine for ever. An OVA has no instance but its address.
fn machine_id(source: &SourceIndex<'_>, vm: &Vm) -> MachineId {
    let about = &source.inventory.about;
    let instance = vm
        .url
        .as_deref()
        .filter(|_| about.kind == SourceKind::Ova)
        .or(about.instance.as_deref())
        .unwrap_or(&about.endpoint);
    MachineId::new(instance, &vm.id)
}

/// All ledgers of the site: a machine that runs on one target is not moved to another.
struct Ledger<'a> {
    by_vm: BTreeMap<&'a VmId, Vec<(&'a TargetName, &'a LedgerLine)>>,
}

impl<'a> Ledger<'a> {
    fn new(inventory: &'a Inventory) -> Self {
        let mut by_vm: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (target, snapshot) in &inventory.targets {
            for line in &snapshot.ledger {
                by_vm.entry(&line.vm.id).or_default().push((target, line));
            }
        }
        Self { by_vm }
    }

    /// The record of a machine, whatever its VM was called when it was made: the digits at the end
    /// of a record's name are those of the machine, the rest is for people.
    fn find(&self, id: &MachineId, vm: &Vm) -> Option<(ObjectName, Moved)> {
        let digits = |record: &str| record.rsplit('-').next().unwrap_or_default().to_owned();
        let wanted = digits(id.record_name(&vm.name).as_str());
        let mut found: Vec<_> = self
            .by_vm
            .get(&vm.id)?
            .iter()
            .filter(|(_, line)| digits(&line.id) == wanted)
            .map(|(target, line)| {
                let record = line.id.rsplit('/').next().unwrap_or_default();
                let moved = Moved {
                    target: (*target).clone(),
                    stage: line.stage,
                    times: Box::new(line.times.clone()),
                    wave: line.wave.clone(),
                };
                (ObjectName::new(record), moved)
            })
            .collect();
        // Where several ledgers know it, the one that says it runs counts.
        found.sort_by_key(|(_, moved)| (moved.stage != Stage::Running, moved.target.clone()));
        found.into_iter().next()
    }
}

/// The VMs of all sources that a ledger says run on their target, each with that target: also those
/// that no plan selects any more.
pub fn moved(inventory: &Inventory) -> BTreeMap<VmKey, TargetName> {
    let (index, ledger) = (Index::of(inventory), Ledger::new(inventory));
    let mut moved = BTreeMap::new();
    for (source, vms) in index.sources() {
        for vm in vms.vms() {
            if let Some((_, there)) = ledger.find(&machine_id(vms, vm), vm)
                && there.stage == Stage::Running
            {
                moved.insert(VmKey::new(source.clone(), vm.id.clone()), there.target);
            }
        }
    }
    moved
}

/// For each VM that `machines` speaks of, the entry's position.
pub(super) fn own_entries(
    spec: &PlanSpec,
    site: &Site<'_>,
    index: &Index<'_>,
    claims: &Claims,
    out: &mut Diagnostics,
) -> BTreeMap<VmKey, usize> {
    let mut own = BTreeMap::new();
    for (i, machine) in spec.machines.iter().enumerate() {
        let path = format!("machines[{i}]");
        if let Some(target) = machine
            .target
            .as_ref()
            .and_then(|target| target.name.as_ref())
        {
            site.known_target(target, plan(&format!("{path}.target.name")), out);
        }
        let Some(key) = one_vm(&machine.vm, site, index, &format!("{path}.vm"), out) else {
            continue;
        };
        if !claims.by_vm.contains_key(&key) {
            out.error(plan(&format!("{path}.vm")), Problem::NotSelected(key));
        } else if own.insert(key.clone(), i).is_some() {
            out.error(plan(&format!("{path}.vm")), Problem::MachineTwice(key));
        }
    }
    own
}

/// The one VM that a reference means.
pub(super) fn one_vm(
    vm: &VmRef,
    site: &Site<'_>,
    index: &Index<'_>,
    path: &str,
    out: &mut Diagnostics,
) -> Option<VmKey> {
    site.known_source(&vm.source, plan(&format!("{path}.source")), out)?;
    // A missing snapshot is told where a selector needs it.
    let source = index.source(&vm.source)?;
    let within = Some(format!("source `{}`", vm.source));
    if let Some(id) = &vm.id {
        if source.id(id).is_none() {
            let nearest = nearest(id.as_str(), source.vms().map(|vm| vm.id.as_str()));
            let name = id.to_string();
            let problem = Problem::Unknown {
                kind: Kind::VmId,
                name,
                within,
                nearest,
            };
            out.error(plan(&format!("{path}.id")), problem);
            return None;
        }
        return Some(VmKey::new(vm.source.clone(), id.clone()));
    }
    let name = vm.name.as_ref()?;
    match source.name(name) {
        [one] => Some(VmKey::new(vm.source.clone(), one.id.clone())),
        [] => {
            let nearest = nearest(name.as_str(), source.names());
            let name = name.to_string();
            let problem = Problem::Unknown {
                kind: Kind::VmName,
                name,
                within,
                nearest,
            };
            out.error(plan(&format!("{path}.name")), problem);
            None
        }
        several => {
            let problem = Problem::Ambiguous {
                source_name: vm.source.clone(),
                name: name.to_string(),
                ids: several.iter().map(|vm| vm.id.clone()).collect(),
            };
            out.error(plan(&format!("{path}.name")), problem);
            None
        }
    }
}

/// The targets that the plan and its workloads name.
fn check_targets(spec: &PlanSpec, site: &Site<'_>, out: &mut Diagnostics) {
    site.known_target(&spec.target.name, plan("target.name"), out);
    for (i, workload) in spec.workloads.iter().enumerate() {
        if let Some(name) = workload
            .target
            .as_ref()
            .and_then(|target| target.name.as_ref())
        {
            site.known_target(name, plan(&format!("workloads[{i}].target.name")), out);
        }
    }
}

/// A workload that has nothing to move, and never had, would let its dependants go at once.
fn check_empty(
    spec: &PlanSpec,
    claims: &Claims,
    vms: &[ResolvedVm],
    exclusions: &[Exclusion],
    out: &mut Diagnostics,
) {
    let met: BTreeSet<usize> = claims.by_vm.values().map(|claim| claim.workload).collect();
    let moving: BTreeSet<&str> = vms.iter().map(|vm| vm.workload.as_str()).collect();
    for (i, workload) in spec.workloads.iter().enumerate() {
        let templates = exclusions
            .iter()
            .filter(|excluded| excluded.workload == workload.name)
            .all(|excluded| excluded.reason == ExclusionReason::Template);
        // Selectors that met nothing are told one by one.
        if met.contains(&i) && !moving.contains(workload.name.as_str()) && templates {
            let number = exclusions
                .iter()
                .filter(|excluded| excluded.workload == workload.name)
                .count();
            if number > 0 {
                let name = workload.name.to_string();
                let why = format!("its selectors meet {} only", count(number, "template"));
                let problem = Problem::EmptyWorkload { name, why };
                out.error(plan(&format!("workloads[{i}].select")), problem);
            }
        }
    }
}

fn plan(path: &str) -> Place {
    Place {
        file: File::Plan,
        path: path.to_owned(),
    }
}
