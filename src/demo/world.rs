//! The built-in world: the engine's simulation behind the picture that the executor's machine looks
//! at. Does what the kube shell does, on a virtual clock and without a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::import::{DiskSpec, file_names};
use engine::sim::{ImageState, Life};
use engine::{Change, Fault, Guest, ImportId, ImportSpec, Millis, Profile, Sim, Timing, What};
use executor_machine::{
    Action, At, Import, Observed, Record, RunView, SourceObject, TargetMachine, Wave, step,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use planner::Planned;
use planner::resolve::ResolvedVm;
use schemas::ids::{ObjectName, VmKey};
use schemas::inventory::{Power, SourceKind};
use schemas::machine::MachineSpec;
use schemas::units::Bytes;

use super::estate;

/// Most looks at one instant: the machine has nothing more to say long before.
const LOOKS_MAX: usize = 100;

/// What came of a run.
pub struct Run {
    /// The engine at the end.
    pub sim: Sim,
    /// The import of each VM that was begun.
    pub imports: BTreeMap<VmKey, ImportId>,
    /// Everything that happened.
    pub changes: Vec<Change>,
    /// How the machine sees it.
    pub view: RunView,
}

/// Runs the waves with the executor's machine until nothing more happens.
pub fn run(planned: &Planned, start: Timestamp) -> Run {
    let mut world = World::new(planned, start);
    loop {
        let looked = world.look();
        if looked.finished || !world.pass(looked.wake) {
            return Run {
                imports: world.imports,
                changes: world.changes,
                sim: world.sim,
                view: looked.view,
            };
        }
    }
}

/// All imports at once, as one `kubectl apply` would create them, in the same world.
pub fn all_at_once(planned: &Planned) -> Run {
    let mut sim = Sim::new(Profile::vm_import());
    let mut imports = BTreeMap::new();
    for vm in &planned.checked.plan.vms {
        let name = schemas::machine::import_name(&vm.record, 1);
        let id = sim.create(import_spec(planned, vm, &name));
        imports.insert(vm.key.clone(), id);
    }
    let mut changes = Vec::new();
    while let Some(next) = sim.next_event() {
        changes.extend(sim.advance_to(next));
    }
    Run {
        sim,
        imports,
        changes,
        view: RunView::default(),
    }
}

/// What the machine said after it had nothing more to do at one instant.
struct Looked {
    wake: Option<Millis>,
    finished: bool,
    view: RunView,
}

struct World<'a> {
    planned: &'a Planned,
    start: Timestamp,
    sim: Sim,
    observed: Observed,
    imports: BTreeMap<VmKey, ImportId>,
    changes: Vec<Change>,
    versions: u64,
}

impl<'a> World<'a> {
    fn new(planned: &'a Planned, start: Timestamp) -> Self {
        let mut observed = Observed::default();
        let about = planned.checked.plan.targets.values().next();
        observed.cluster_uid = about
            .and_then(|target| target.cluster_uid.clone())
            .unwrap_or_default();
        for wave in &planned.rendered.waves {
            let namespace = wave.object.namespace().unwrap_or_default();
            let at = At::new(namespace, wave.object.name_any());
            let wave = Wave {
                spec: wave.object.spec.clone(),
                generation: 1,
                status: None,
                plan_suspended: false,
            };
            observed.waves.insert(at, wave);
        }
        Self {
            planned,
            start,
            sim: Sim::new(Profile::vm_import()),
            observed,
            imports: BTreeMap::new(),
            changes: Vec::new(),
            versions: 0,
        }
    }

    /// Lets the machine look and act, until it has nothing more to do now.
    fn look(&mut self) -> Looked {
        let now = self.instant(self.sim.now());
        for _ in 0..LOOKS_MAX {
            self.see(now);
            let step = step(&self.observed, now);
            if step.actions.is_empty() {
                let later = step.wake.and_then(|wake| self.millis(wake));
                return Looked {
                    wake: later,
                    finished: step.view.finished,
                    view: step.view,
                };
            }
            for action in step.actions {
                self.act(action, now);
            }
            let now = self.sim.now();
            let changes = self.sim.advance_to(now);
            self.changes.extend(changes);
        }
        unreachable!("the machine never comes to rest")
    }

    /// Lets time pass until something changes, or until `wake`; false: nothing ever will.
    fn pass(&mut self, wake: Option<Millis>) -> bool {
        loop {
            let next = self.sim.next_event().into_iter().chain(wake).min();
            let Some(next) = next else { return false };
            let changes = self.sim.advance_to(next);
            let seen = !changes.is_empty();
            self.changes.extend(changes);
            if seen || wake.is_some_and(|wake| wake <= next) {
                return true;
            }
        }
    }

    fn instant(&self, at: Millis) -> Timestamp {
        let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
        self.start
            .checked_add(jiff::SignedDuration::from_millis(millis))
            .unwrap_or(Timestamp::MAX)
    }

    fn millis(&self, at: Timestamp) -> Option<Millis> {
        let since = at.duration_since(self.start).as_millis();
        u64::try_from(since).ok().map(Millis)
    }

    fn version(&mut self) -> String {
        self.versions += 1;
        self.versions.to_string()
    }

    /// Does one action of the machine.
    fn act(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::CreateSource { at, spec } => {
                let object = SourceObject {
                    spec,
                    status: "clusterReady".to_owned(),
                    message: None,
                    created: now,
                };
                self.observed.sources.insert(at, object);
            }
            Action::OpenRecord { at, spec } => {
                let resource_version = self.version();
                let record = Record {
                    spec,
                    status: None,
                    generation: 1,
                    resource_version,
                };
                self.observed.records.insert(at, record);
            }
            Action::OpenAttempt { at, spec, .. } => {
                let resource_version = self.version();
                if let Some(record) = self.observed.records.get_mut(&at) {
                    record.spec = spec;
                    record.generation += 1;
                    record.resource_version = resource_version;
                }
            }
            Action::Record { at, status, .. } => {
                let resource_version = self.version();
                if let Some(record) = self.observed.records.get_mut(&at) {
                    record.status = Some(status);
                    record.resource_version = resource_version;
                }
            }
            Action::CreateImport {
                at,
                record,
                attempt,
                spec,
                ..
            } => {
                if self.create(&at, &record) {
                    let resource_version = self.version();
                    let import = Import {
                        uid: format!("{at}@{resource_version}"),
                        resource_version,
                        machine: Some(record),
                        attempt: Some(attempt),
                        spec,
                        ..Import::default()
                    };
                    self.observed.imports.insert(at, import);
                }
            }
            Action::NudgeImage { at, ready } => {
                if let Some(image) = self.observed.images.get_mut(&at) {
                    image.nudged = Some(ready);
                }
                for id in self.sim.ids() {
                    let import = self.sim.import(id);
                    let names = import.images().iter().map(|image| image.name.as_deref());
                    let own = import.spec().namespace == at.namespace;
                    if own && names.flatten().any(|name| at.name == *name) {
                        self.sim.nudge(id);
                    }
                }
            }
            Action::DeleteImport { at, .. } => {
                if let Some(id) = self.sim.find(&at.namespace, &at.name) {
                    self.sim.delete(id);
                }
            }
            Action::WaveStatus { at, status } => {
                if let Some(wave) = self.observed.waves.get_mut(&at) {
                    wave.status = Some(status);
                }
            }
        }
    }

    /// Creates the import of a record's VM in the engine.
    fn create(&mut self, at: &At, record: &ObjectName) -> bool {
        let of_record = |spec: &MachineSpec| spec.attempt.import == at.name;
        let mut records = self.observed.records.iter();
        let found = records.find(|(place, found)| place.name == *record && of_record(&found.spec));
        let vm = found.and_then(|(_, found)| self.planned.checked.plan.vm(&found.spec.vm));
        let Some(vm) = vm else { return false };
        let id = self.sim.create(import_spec(self.planned, vm, &at.name));
        self.imports.insert(vm.key.clone(), id);
        true
    }

    /// Brings the picture up to what the engine and the cluster have become.
    fn see(&mut self, now: Timestamp) {
        let files = self.sim.listing().into_iter().map(|(name, _)| name);
        self.observed.scratch_files = Some(files.collect());
        for id in self.imports.values() {
            let import = self.sim.import(*id);
            let spec = import.spec();
            let at = At::new(spec.namespace.clone(), spec.name.clone());
            if import.is_gone() {
                self.observed.imports.remove(&at);
                continue;
            }
            if let Some(seen) = self.observed.imports.get_mut(&at) {
                let status = import.status();
                if seen.status != status {
                    self.versions += 1;
                    seen.resource_version = self.versions.to_string();
                    seen.status = status;
                }
                seen.touched = import.life() >= Life::Held;
                seen.deleting = import.life() == Life::Deleting;
            }
            for image in import
                .images()
                .iter()
                .filter(|i| i.state > ImageState::Absent)
            {
                let name = ObjectName::new(image.name.clone().unwrap_or_default());
                let at = At::new(spec.namespace.clone(), name);
                let seen = self.observed.images.entry(at).or_default();
                if !seen.imported && !seen.given_up {
                    // Slow is not still: an image of this world always moves.
                    seen.changed = Some(now);
                }
                seen.imported = image.state == ImageState::Imported;
                seen.given_up = image.state == ImageState::Failed;
                seen.progress = progress(import, self.sim.now());
            }
            if import.times().machine.is_some() {
                let at = At::new(spec.namespace.clone(), spec.machine.clone());
                let machine = TargetMachine {
                    ready: import.times().ready.is_some(),
                    imported: true,
                    created: import.times().machine.map(|at| self.instant(at)),
                };
                self.observed.machines.insert(at, machine);
            }
        }
    }
}

/// Hundredths of an import's images, as Harvester shows them; one import's alone.
fn progress(import: &engine::Import, now: Millis) -> i64 {
    let (Some(exported), Some(disk)) = (import.times().exported, import.spec().disks.first())
    else {
        return 0;
    };
    let Timing::After(all) = disk.image else {
        return 0;
    };
    let share = now.saturating_sub(exported).0 * 100 / all.0.max(1);
    i64::try_from(share.min(99)).unwrap_or(99)
}

/// A VM as it truly is: by its sizes and the site's rates, a little off the plan's, as real ones
/// are; and one of them breaks.
fn import_spec(planned: &Planned, vm: &ResolvedVm, name: &ObjectName) -> Arc<ImportSpec> {
    let plan = &planned.checked.plan;
    let rates = &plan.assumptions;
    // 94 to 105 hundredths of what is assumed, by the VM's record: the same in every run. Guests
    // take their time: up to 12 hundredths more.
    let digits = vm.record.as_str().bytes().map(u64::from).sum::<u64>();
    let off = |seconds: u64, least: u64, salt: u64| {
        Timing::After(Millis(
            seconds * 10 * (least + (digits * 7 + salt * 5) % 12),
        ))
    };
    let footprint = &vm.footprint;
    let export = footprint.transfer.at_rate(rates.export_bytes_per_second.0);
    let images = footprint.disks.at_rate(rates.image_bytes_per_second.0);
    let files = file_names(vm.kind, &vm.namespace, name, &vm.machine, &[""]);
    let fails = vm.name == estate::FAILS;
    Arc::new(ImportSpec {
        namespace: vm.namespace.clone(),
        name: name.clone(),
        machine: vm.machine.clone(),
        kind: vm.kind,
        guest: match vm.power {
            Some(Power::Off) => Guest::Off,
            _ if vm.kind == SourceKind::Ova => Guest::Off,
            _ => Guest::On(off(rates.shutdown.0.0, 101, 1)),
        },
        shutdown_timeout: vm.shutdown_timeout.into(),
        peak: footprint.peak,
        archive: None,
        disks: files
            .into_iter()
            .map(|file| DiskSpec {
                file,
                written: footprint.resident,
                image: off(images.0, 94, 2),
            })
            .collect(),
        export: off(export.0, 94, 3),
        boot: off(rates.boot.0.0, 94, 4),
        fault: fails.then(|| Fault::ExportFails {
            at: 60,
            message: "error exporting VM: unexpected EOF".to_owned(),
        }),
    })
}

impl Run {
    /// Most scratch bytes held.
    pub fn scratch_peak(&self) -> Bytes {
        self.curve()
            .map(|(_, bytes)| bytes)
            .max()
            .unwrap_or_default()
    }

    /// Scratch over time: from then on, so much.
    pub fn curve(&self) -> impl Iterator<Item = (Millis, Bytes)> {
        self.changes.iter().filter_map(|change| match change.what {
            What::Scratch(bytes) => Some((change.at, bytes)),
            _ => None,
        })
    }

    /// VMs whose machine holds another one's disk.
    pub fn wrong_disks(&self) -> usize {
        let wrong = |id: &&ImportId| {
            let import = self.sim.import(**id);
            let mut images = import.images().iter();
            import.times().ready.is_some() && images.any(|i| i.content.is_some_and(|c| c != **id))
        };
        self.imports.values().filter(wrong).count()
    }
}
