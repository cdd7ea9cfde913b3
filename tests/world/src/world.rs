//! The cluster with its engine: what the executor can see of it, and what its actions do to it.
//!
//! The engine is the one of the crate [`engine`]; the API server keeps objects with uids and
//! resource versions and refuses what it would refuse. Laws that must hold at every moment are
//! asserted here, where the deeds are done; the first that is broken ends the run.

use std::collections::{BTreeMap, BTreeSet};

use engine::sim::{ImageState, Life};
use engine::{Change, ImportId, Millis, Profile, Sim, What};
use executor_machine::{
    Action, At, Image, Import, Observed, Probe, Probed, Record, SourceObject, StopMode,
    TargetMachine, Wave,
};
use jiff::{SignedDuration, Timestamp};
use schemas::approval::ApprovalSpec;
use schemas::gate::{GateFailure, GateStatus};
use schemas::ids::{Namespace, ObjectName};
use schemas::machine::Stage;
use schemas::units::Seconds;
use schemas::upstream::{ImportState, VirtualMachineImportSpec, VirtualMachineImportStatus};

use crate::fleet::{CLUSTER, Fleet, Vm};

/// `millis` after `origin`.
pub fn instant(origin: Timestamp, millis: Millis) -> Timestamp {
    let since = SignedDuration::from_millis(i64::try_from(millis.0).unwrap_or(i64::MAX));
    origin.checked_add(since).unwrap_or(Timestamp::MAX)
}

/// An engine that is away for longer than this may cost the VMs that it has in hand: the shortest
/// of the machine's clocks is two minutes.
const OUTAGE: Millis = Millis::from_seconds(100);

/// What the API server says to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// It is there already, or is not what it was.
    Conflict,
}

/// An import as it was posted.
#[derive(Clone, Debug)]
struct Posted {
    id: ImportId,
    machine: Option<ObjectName>,
    attempt: Option<u32>,
    spec: VirtualMachineImportSpec,
    /// The VM of the fleet; none: somebody else's.
    vm: Option<usize>,
}

/// What the API server knows of an image beside the engine.
#[derive(Clone, Debug, Default)]
struct ImageNotes {
    created: Millis,
    changed: Millis,
    nudged: Option<Timestamp>,
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    /// Its fleet.
    pub fleet: Fleet,
    /// The engine.
    pub sim: Sim,
    origin: Timestamp,
    /// Waves, as they are in the cluster now.
    pub waves: BTreeMap<At, Wave>,
    /// Approvals.
    pub approvals: BTreeMap<At, ApprovalSpec>,
    /// The ledger.
    pub records: BTreeMap<At, Record>,
    /// Stops.
    pub stops: BTreeMap<Namespace, StopMode>,
    sources: BTreeMap<At, (SourceObject, Millis)>,
    /// From creation until a source is ready.
    pub source_delay: Millis,
    posted: BTreeMap<At, Posted>,
    images: BTreeMap<(ImportId, usize), ImageNotes>,
    /// When the engine wrote each condition of an import.
    conditions: BTreeMap<(ImportId, &'static str), Millis>,
    /// When it last wrote to each.
    written: BTreeMap<ImportId, Millis>,
    version: u64,
    /// Writes by the executor, by record.
    pub writes: BTreeMap<At, u32>,
    /// The imports that were created of each VM.
    pub imported: BTreeMap<usize, Vec<ImportId>>,
    /// The engine is started again then.
    restart_at: Option<Millis>,
    /// A person has taken a hand in this VM: what becomes of it is no law.
    pub meddled: BTreeSet<usize>,
    /// What happened.
    pub transcript: Vec<String>,
    /// The first law that was broken.
    pub broken: Option<String>,
}

impl World {
    /// The world of `fleet`, with nothing in it yet.
    pub fn new(fleet: Fleet, origin: Timestamp) -> Self {
        Self {
            fleet,
            sim: Sim::new(Profile::vm_import()),
            origin,
            waves: BTreeMap::new(),
            approvals: BTreeMap::new(),
            records: BTreeMap::new(),
            stops: BTreeMap::new(),
            sources: BTreeMap::new(),
            source_delay: Millis::from_seconds(2),
            posted: BTreeMap::new(),
            images: BTreeMap::new(),
            conditions: BTreeMap::new(),
            written: BTreeMap::new(),
            version: 0,
            writes: BTreeMap::new(),
            imported: BTreeMap::new(),
            restart_at: None,
            meddled: BTreeSet::new(),
            transcript: Vec::new(),
            broken: None,
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        instant(self.origin, self.sim.now())
    }

    /// When something happens next by itself.
    pub fn next_event(&self) -> Option<Millis> {
        let now = self.sim.now();
        let sources = self.sources.values().map(|(_, ready)| *ready);
        let sources = sources.filter(|ready| *ready > now).min();
        [self.sim.next_event(), sources, self.restart_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets time pass; true, if anything happened.
    pub fn advance_to(&mut self, until: Millis) -> bool {
        let before = self.sim.now();
        let mut changes = self.sim.advance_to(until);
        if self.restart_at.is_some_and(|at| at <= until) {
            self.restart_at = None;
            self.sim.restart();
            changes.extend(self.sim.advance_to(until));
        }
        let mut sources = self.sources.values();
        let source = sources.any(|(_, ready)| before < *ready && *ready <= until);
        for change in &changes {
            self.see(change);
        }
        self.note_finalizers();
        source || !changes.is_empty()
    }

    /// The engine's first write to an import is its finalizer, which it does not tell.
    fn note_finalizers(&mut self) {
        let now = self.sim.now();
        for posted in self.posted.values() {
            if self.sim.import(posted.id).life() > Life::Untouched {
                self.written.entry(posted.id).or_insert(now);
            }
        }
    }

    /// Starts the engine again after so long. What it has in hand may well be given up meanwhile.
    pub fn restart_engine_after(&mut self, millis: Millis) {
        if millis > OUTAGE {
            let there = self.posted.values();
            let there = there.filter(|posted| !self.sim.import(posted.id).is_gone());
            self.meddled.extend(there.filter_map(|posted| posted.vm));
        }
        self.restart_at = Some(self.sim.now() + millis);
    }

    fn see(&mut self, change: &Change) {
        let at = change.at;
        let name = change.import.map(|id| self.name_of(id));
        let name = name.as_deref().unwrap_or("engine");
        match &change.what {
            What::Scratch(held) => {
                let left = self.left_over();
                self.law(*held <= self.fleet.usable + left, || {
                    format!("the scratch holds {held:?}")
                });
                return;
            }
            What::EngineDown { reason } if *reason != "killed" => {
                self.restart_at = Some(at + Millis::from_seconds(10));
            }
            What::Status { condition, .. } => {
                if let Some(id) = change.import {
                    self.written.insert(id, at);
                    if let Some(condition) = condition {
                        self.conditions.insert((id, condition.name()), at);
                    }
                }
            }
            What::ImageCreated { disk } => {
                if let Some(id) = change.import {
                    let notes = self.images.entry((id, *disk)).or_default();
                    (notes.created, notes.changed) = (at, at);
                }
            }
            What::ImageIn { disk } | What::ImageFailed { disk } => {
                if let Some(id) = change.import {
                    self.images.entry((id, *disk)).or_default().changed = at;
                }
            }
            _ => {}
        }
        self.say(at, &format!("{name}: {:?}", change.what));
    }

    /// What the engine never removes: download directories of exports that were killed, which its
    /// listing does not show (S04), and files of imports that somebody deleted under way (L03).
    fn left_over(&self) -> schemas::units::Bytes {
        let files = self.sim.scratch().files();
        files
            .filter(|(name, file)| name.starts_with('/') || self.sim.import(file.content).is_gone())
            .map(|(_, file)| file.bytes)
            .sum()
    }

    /// Notes what happened.
    pub fn say(&mut self, at: Millis, what: &str) {
        let seconds = at.0 / 1000;
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        self.transcript.push(format!("{h:3}:{m:02}:{s:02}  {what}"));
    }

    fn law(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            let what = what();
            self.say(self.sim.now(), &format!("BROKEN: {what}"));
            self.broken = Some(what);
        }
    }

    fn name_of(&self, id: ImportId) -> String {
        let spec = self.sim.import(id).spec();
        format!("{}/{}", spec.namespace, spec.name)
    }

    // ---- what can be seen -------------------------------------------------------------------

    /// The picture of this moment.
    pub fn observe(&self) -> Observed {
        let files = self.sim.listing().into_iter().map(|(name, _)| name);
        Observed {
            require_approval: false,
            cluster_uid: CLUSTER.to_owned(),
            waves: self.waves.clone(),
            approvals: self.approvals.clone(),
            records: self.records.clone(),
            imports: self.imports(),
            images: self.observe_images(),
            machines: self.machines(),
            sources: self.observe_sources(),
            stops: self.stops.clone(),
            scratch_files: Some(files.collect()),
            refused: BTreeMap::new(),
            probes: BTreeMap::new(),
        }
    }

    /// The records of other plans' machines say what they say by now.
    pub fn hear_of_others(&mut self) {
        for other in self.fleet.elsewhere.iter().flatten() {
            if let Some(record) = other.record(self.sim.now(), self.origin) {
                self.records.insert(other.record.clone(), record);
            }
        }
    }

    /// Tries a port.
    pub fn probe(&self, probe: &Probe) -> Probed {
        let answers = match probe {
            Probe::Host { host, .. } => self.step_is_done(host),
            Probe::Machine { machine, .. } => {
                let mut vms = self.fleet.vms.iter();
                let is_it = |vm: &Vm| {
                    vm.import.namespace == machine.namespace && vm.import.machine == machine.name
                };
                let vm = vms.position(is_it);
                vm.and_then(|vm| self.answers_at(vm))
                    .is_some_and(|at| at <= self.sim.now())
            }
        };
        Probed {
            at: self.now(),
            failure: (!answers).then(|| "connection refused".to_owned()),
        }
    }

    /// When the port of a VM's machine answers.
    fn answers_at(&self, vm: usize) -> Option<Millis> {
        let imports = self.imported.get(&vm).into_iter().flatten();
        let ready = imports.filter_map(|id| self.sim.import(*id).times().ready);
        Some(ready.min()? + self.fleet.vms[vm].answers_after)
    }

    /// By that name: people or gear are done with it.
    fn step_is_done(&self, name: &str) -> bool {
        let mut steps = self.fleet.steps.iter().flatten();
        steps.any(|step| step.wave.name.name == *name && step.done_at <= self.sim.now())
    }

    /// Whether the gate of a VM that runs truly lets those behind it through.
    fn gate_is_free(&self, vm: usize) -> bool {
        let it = &self.fleet.vms[vm];
        let Some(gate) = &self.fleet.gates[it.workload] else {
            return true;
        };
        let soak = gate.soak.map_or(Seconds::ZERO, |soak| soak.0);
        let held = self.answers_at(vm).map(|at| at + soak.into());
        held.is_some_and(|at| at <= self.sim.now())
            || gate.on_failure == GateFailure::Continue && {
                let record = At::new(crate::fleet::HOME, it.import.record.clone());
                let status = self.records.get(&record).and_then(|r| r.status.as_ref());
                let since = status.and_then(|status| status.times.ended);
                since.is_some_and(|since| {
                    self.now().duration_since(since).as_secs() >= gate.timeout.0.signed()
                })
            }
    }

    /// Whether its gate keeps those behind it back for good, as far as nobody looks again.
    pub fn is_shut(&self, vm: usize) -> bool {
        let it = &self.fleet.vms[vm];
        let gate = self.fleet.gates[it.workload].as_ref();
        gate.is_some_and(|gate| gate.on_failure == GateFailure::Hold)
            && it.answers_after >= Millis::from_minutes(10)
    }

    /// A person says of each gate that failed: look again.
    pub fn retry_gates(&mut self) {
        let now = self.now();
        for record in self.records.values_mut() {
            self.version += 1;
            let status = record.status.as_mut();
            let gate = status.and_then(|status| status.gate.as_mut());
            if let Some(gate) = gate.filter(|gate| gate.failed.is_some() && gate.holds.is_none()) {
                *gate = GateStatus {
                    since: Some(now),
                    ..GateStatus::default()
                };
                record.resource_version = self.version.to_string();
            }
        }
    }

    fn imports(&self) -> BTreeMap<At, Import> {
        let posted = self.posted.iter();
        let there = posted.filter(|(_, posted)| !self.sim.import(posted.id).is_gone());
        there
            .map(|(at, posted)| {
                let import = self.sim.import(posted.id);
                let picture = Import {
                    uid: format!("uid-{}", posted.id.index()),
                    resource_version: self.import_version(posted.id),
                    machine: posted.machine.clone(),
                    attempt: posted.attempt,
                    touched: import.life() > Life::Untouched,
                    deleting: import.life() == Life::Deleting,
                    changed: self
                        .written
                        .get(&posted.id)
                        .map(|at| instant(self.origin, *at)),
                    spec: posted.spec.clone(),
                    status: self.import_status(posted.id),
                };
                (at.clone(), picture)
            })
            .collect()
    }

    /// Its status, with the times of its conditions: whole seconds, as the engine writes them.
    fn import_status(&self, id: ImportId) -> VirtualMachineImportStatus {
        let mut status = self.sim.import(id).status();
        for condition in &mut status.import_conditions {
            let written = self
                .conditions
                .iter()
                .find(|((of, name), _)| *of == id && *name == condition.r#type);
            condition.last_transition_time = written.map(|(_, at)| {
                let at = Millis::from_seconds(at.seconds().0);
                instant(self.origin, at).to_string()
            });
        }
        status
    }

    /// Anything that anybody writes to an import changes this.
    fn import_version(&self, id: ImportId) -> String {
        let import = self.sim.import(id);
        format!("{:?} {:?}", import.life(), import.status())
    }

    fn observe_images(&self) -> BTreeMap<At, Image> {
        let mut images = BTreeMap::new();
        for ((id, disk), notes) in &self.images {
            let import = self.sim.import(*id);
            let image = &import.images()[*disk];
            let is_gone = import.is_gone() && *import.state() != ImportState::VirtualMachineRunning;
            let Some(name) = image.name.as_ref().filter(|_| !is_gone) else {
                continue;
            };
            let (progress, changed) = self.progress(*id, *disk, notes);
            let at = At::new(import.spec().namespace.clone(), name.as_str());
            let failed = image.state == ImageState::Failed;
            let picture = Image {
                imported: image.state == ImageState::Imported,
                given_up: failed,
                progress,
                nudged: notes.nudged,
                changed: Some(instant(self.origin, changed)),
                message: failed.then(|| "HTTP 404".to_owned()),
            };
            images.insert(at, picture);
        }
        images
    }

    /// Progress grows evenly over the time that the image takes alone; it stops short of the end.
    fn progress(&self, id: ImportId, disk: usize, notes: &ImageNotes) -> (i64, Millis) {
        let import = self.sim.import(id);
        match (import.images()[disk].state, import.spec().disks[disk].image) {
            (ImageState::Imported, _) => (100, notes.changed),
            (ImageState::Importing, engine::Timing::After(all)) => {
                let elapsed = self.sim.now().saturating_sub(notes.created);
                let progress = (elapsed.0 * 90 / all.0.max(1)).min(99);
                (i64::try_from(progress).unwrap_or(99), self.sim.now())
            }
            _ => (0, notes.changed),
        }
    }

    fn machines(&self) -> BTreeMap<At, TargetMachine> {
        let mut machines = BTreeMap::new();
        for vm in &self.fleet.vms {
            if let Some(imported) = vm.name_taken {
                let at = At::new(vm.import.namespace.clone(), vm.import.machine.clone());
                let ready = true;
                machines.insert(
                    at,
                    TargetMachine {
                        ready,
                        imported,
                        created: None,
                    },
                );
            }
        }
        for id in self.sim.ids() {
            let import = self.sim.import(id);
            if import.times().machine.is_some() {
                let spec = import.spec();
                let at = At::new(spec.namespace.clone(), spec.machine.clone());
                let ready = import.times().ready.is_some();
                let imported = true;
                machines.insert(
                    at,
                    TargetMachine {
                        ready,
                        imported,
                        created: None,
                    },
                );
            }
        }
        machines
    }

    fn observe_sources(&self) -> BTreeMap<At, SourceObject> {
        let sources = self.sources.iter();
        sources
            .map(|(at, (object, ready))| {
                let is_ready = *ready <= self.sim.now();
                let status = if is_ready { "clusterReady" } else { "" };
                let object = SourceObject {
                    status: status.to_owned(),
                    ..object.clone()
                };
                (at.clone(), object)
            })
            .collect()
    }

    // ---- what the executor does -------------------------------------------------------------

    /// Does it, as the API server would.
    pub fn act(&mut self, action: &Action) -> Answer {
        let answer = self.try_act(action);
        let mark = match answer {
            Answer::Done => "",
            Answer::Conflict => " (refused)",
        };
        if !matches!(action, Action::WaveStatus { .. }) {
            self.say(self.sim.now(), &format!("  > {}{mark}", brief(action)));
        }
        if answer == Answer::Done
            && let Some(record) = self.record_of(action)
        {
            *self.writes.entry(record).or_default() += 1;
        }
        answer
    }

    fn try_act(&mut self, action: &Action) -> Answer {
        match action {
            Action::CreateSource { at, spec } => {
                let ready = self.sim.now() + self.source_delay;
                let object = SourceObject {
                    spec: spec.clone(),
                    status: String::new(),
                    message: None,
                    created: self.now(),
                };
                if self.sources.contains_key(at) {
                    return Answer::Conflict;
                }
                self.sources.insert(at.clone(), (object, ready));
                Answer::Done
            }
            Action::OpenRecord { at, spec } => {
                if self.records.contains_key(at) {
                    return Answer::Conflict;
                }
                let record = Record {
                    spec: spec.clone(),
                    status: None,
                    generation: 1,
                    resource_version: self.next_version(),
                };
                self.records.insert(at.clone(), record);
                Answer::Done
            }
            Action::OpenAttempt {
                at,
                resource_version,
                spec,
            } => self.write_record(at, resource_version, |record| {
                record.spec = spec.clone();
                record.generation += 1;
            }),
            Action::Record {
                at,
                resource_version,
                status,
            } => {
                let before = self.records.get(at).and_then(|r| r.status.clone());
                let was_running = before.filter(|s| s.stage == Stage::Running);
                let answer = self.write_record(at, resource_version, |record| {
                    record.status = Some(status.clone());
                });
                // Of a machine that runs only the gate is still open, and only once.
                let is_gate = was_running.is_none_or(|was| {
                    let held = was.gate.as_ref().is_some_and(|gate| gate.holds.is_some());
                    let only = status.stage == was.stage
                        && status.times == was.times
                        && status.uid == was.uid;
                    !held && only && status.gate != was.gate
                });
                self.law(is_gate || answer == Answer::Conflict, || {
                    format!("`{at}` runs, and its record is written again")
                });
                answer
            }
            Action::CreateImport { .. } => self.create_import(action),
            Action::NudgeImage { at, ready } => self.nudge(at, *ready),
            Action::DeleteImport {
                at,
                uid,
                resource_version,
            } => self.delete_import(at, uid, resource_version.as_ref()),
            Action::WaveStatus { at, status } => match self.waves.get_mut(at) {
                Some(wave) => {
                    wave.status = Some(status.clone());
                    Answer::Done
                }
                None => Answer::Conflict,
            },
        }
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn write_record(&mut self, at: &At, seen: &str, write: impl FnOnce(&mut Record)) -> Answer {
        let version = self.next_version();
        match self.records.get_mut(at) {
            Some(record) if record.resource_version == seen => {
                write(record);
                record.resource_version = version;
                Answer::Done
            }
            _ => Answer::Conflict,
        }
    }

    fn create_import(&mut self, action: &Action) -> Answer {
        let Action::CreateImport {
            at,
            record,
            attempt,
            spec,
            ..
        } = action
        else {
            return Answer::Conflict;
        };
        if self.is_taken(at) {
            return Answer::Conflict;
        }
        let Some(vm) = self.fleet.find(record) else {
            self.law(false, || format!("`{record}` is of no VM"));
            return Answer::Conflict;
        };
        self.admission_laws(vm);
        let spec_at_engine = self.fleet.vms[vm].at_engine(at);
        self.post(
            at,
            spec_at_engine,
            Some(vm),
            Some(record.clone()),
            Some(*attempt),
            spec,
        );
        Answer::Done
    }

    /// Somebody else's import.
    pub fn create_foreign(&mut self, at: &At, spec: engine::ImportSpec) {
        self.post(
            at,
            spec,
            None,
            None,
            None,
            &VirtualMachineImportSpec::default(),
        );
    }

    fn post(
        &mut self,
        at: &At,
        at_engine: engine::ImportSpec,
        vm: Option<usize>,
        machine: Option<ObjectName>,
        attempt: Option<u32>,
        spec: &VirtualMachineImportSpec,
    ) {
        let id = self.sim.create(at_engine);
        if let Some(vm) = vm {
            self.imported.entry(vm).or_default().push(id);
        }
        let posted = Posted {
            id,
            machine,
            attempt,
            spec: spec.clone(),
            vm,
        };
        self.posted.insert(at.clone(), posted);
    }

    fn is_taken(&self, at: &At) -> bool {
        let posted = self.posted.get(at);
        posted.is_some_and(|posted| !self.sim.import(posted.id).is_gone())
    }

    /// Laws that hold whenever an import is created.
    fn admission_laws(&mut self, vm: usize) {
        let missing = self.fleet.prerequisites(vm).find(|p| !self.runs(*p));
        self.law(missing.is_none(), || {
            format!("VM {vm} is imported before VM {missing:?}")
        });
        let shut = self
            .fleet
            .prerequisites(vm)
            .find(|p| !self.gate_is_free(*p));
        self.law(shut.is_none(), || {
            format!("VM {vm} is imported before the gate of VM {shut:?} holds")
        });
        let step = self.fleet.steps[self.fleet.vms[vm].workload].as_ref();
        let undone = step
            .filter(|step| step.done_at > self.sim.now())
            .map(|step| step.wave.name.clone());
        self.law(undone.is_none(), || {
            format!("VM {vm} is imported before {undone:?} is done")
        });
        let other = self.fleet.elsewhere[self.fleet.vms[vm].workload].as_ref();
        let absent = other
            .filter(|other| other.runs_at().is_none_or(|at| at > self.sim.now()))
            .map(|other| other.workload.clone());
        self.law(absent.is_none(), || {
            format!("VM {vm} is imported before {absent:?} of another plan runs")
        });
        let late = self.fleet.latest_end(vm, self.now());
        self.law(late.is_none(), || {
            format!("VM {vm} is imported so late that its window may close first: {late:?}")
        });
        let excludes = self.fleet.vms[vm].import.excludes.clone();
        let beside = self.posted.values().find(|posted| {
            let other = posted.vm.map(|vm| &self.fleet.vms[vm].import.vm);
            !self.sim.import(posted.id).is_gone() && other.is_some_and(|o| excludes.contains(o))
        });
        let beside = beside.and_then(|posted| posted.vm);
        self.law(beside.is_none(), || {
            format!("VM {vm} is imported beside VM {beside:?} (N03)")
        });
        let front = self.front();
        self.law(front.is_none(), || {
            format!("VM {vm} is imported before VM {front:?} is exported (Q01)")
        });
        let before = self.imported.get(&vm).into_iter().flatten();
        let begun = before.clone().any(|id| self.is_begun(*id));
        self.law(!begun, || format!("VM {vm} is imported a second time"));
        let taken = self.fleet.vms[vm].name_taken;
        self.law(taken.is_none(), || format!("VM {vm} has a taken name"));
    }

    /// A VM whose import is not exported yet, and that nobody has given up.
    fn front(&self) -> Option<usize> {
        let mut posted = self.posted.values();
        let posted = posted.find(|posted| {
            let import = self.sim.import(posted.id);
            let is_given_up = posted.machine.as_ref().is_some_and(|record| {
                let at = At::new(crate::fleet::HOME, record.clone());
                let status = self.records.get(&at).and_then(|r| r.status.as_ref());
                status.is_some_and(|status| status.stage.is_final())
            });
            posted.vm.is_some()
                && import.life() < Life::Deleting
                && import.times().exported.is_none()
                && !import.state().is_final()
                && !is_given_up
        })?;
        posted.vm
    }

    /// The engine has done something to its source.
    fn is_begun(&self, id: ImportId) -> bool {
        let import = self.sim.import(id);
        import.exports() > 0 || import.has(engine::sim::Condition::ShutdownGuest)
    }

    /// Its machine runs, by the engine's word.
    pub fn runs(&self, vm: usize) -> bool {
        let imports = self.imported.get(&vm).into_iter().flatten();
        imports
            .map(|id| self.sim.import(*id))
            .any(|import| import.times().running.is_some())
    }

    fn nudge(&mut self, at: &At, ready: Timestamp) -> Answer {
        let mut found = self.images.iter_mut().find(|((id, disk), _)| {
            let import = self.sim.import(*id);
            import.spec().namespace == at.namespace
                && import.images()[*disk].name.as_deref() == Some(at.name.as_str())
        });
        match found.as_mut() {
            Some(((id, _), notes)) => {
                notes.nudged = Some(ready);
                self.sim.nudge(*id);
                Answer::Done
            }
            None => Answer::Conflict,
        }
    }

    fn delete_import(&mut self, at: &At, uid: &str, version: Option<&String>) -> Answer {
        let Some(posted) = self.posted.get(at).filter(|_| self.is_taken(at)) else {
            return Answer::Conflict;
        };
        let (id, vm) = (posted.id, posted.vm);
        let is_it = format!("uid-{}", id.index()) == uid;
        if !is_it || version.is_some_and(|version| *version != self.import_version(id)) {
            return Answer::Conflict;
        }
        let import = self.sim.import(id);
        let is_safe = import.times().running.is_some() || !self.is_begun(id);
        self.law(is_safe, || {
            format!("the import of VM {vm:?} is deleted under way (L04)")
        });
        self.sim.delete(id);
        Answer::Done
    }

    /// Somebody deletes the import of a VM by hand.
    pub fn delete_by_hand(&mut self, vm: usize) {
        let Some(id) = self.imported.get(&vm).and_then(|ids| ids.last()).copied() else {
            return;
        };
        if !self.sim.import(id).is_gone() {
            self.sim.delete(id);
            self.meddled.insert(vm);
        }
    }

    fn record_of(&self, action: &Action) -> Option<At> {
        match action {
            Action::OpenRecord { at, .. }
            | Action::OpenAttempt { at, .. }
            | Action::Record { at, .. } => Some(at.clone()),
            Action::CreateImport { record, .. } => {
                Some(At::new(crate::fleet::HOME, record.clone()))
            }
            Action::DeleteImport { at, .. } => {
                let record = self.posted.get(at)?.machine.clone()?;
                Some(At::new(crate::fleet::HOME, record))
            }
            Action::NudgeImage { at, .. } => {
                let mut images = self.images.keys();
                let (id, _) = images.find(|(id, disk)| {
                    let import = self.sim.import(*id);
                    import.spec().namespace == at.namespace
                        && import.images()[*disk].name.as_deref() == Some(at.name.as_str())
                })?;
                let posted = self.posted.values().find(|posted| posted.id == *id)?;
                Some(At::new(crate::fleet::HOME, posted.machine.clone()?))
            }
            Action::CreateSource { .. } | Action::WaveStatus { .. } => None,
        }
    }

    // ---- laws at the end --------------------------------------------------------------------

    /// What must be true of each VM that runs: it was exported by one import only, and its images
    /// hold its own disks.
    pub fn data_laws(&mut self) {
        for (vm, ids) in self.imported.clone() {
            let exported = ids.iter().filter(|id| self.sim.import(**id).exports() > 0);
            let exported = exported.count();
            self.law(exported <= 1, || {
                format!("VM {vm} was exported by {exported} imports")
            });
            for id in ids {
                let import = self.sim.import(id);
                let is_own = import
                    .images()
                    .iter()
                    .all(|image| image.content == Some(id));
                let is_right = import.times().running.is_none() || is_own;
                self.law(is_right, || {
                    format!("VM {vm} has somebody else's disk (N03)")
                });
            }
        }
    }

    /// An image of it failed, or its export broke off, whoever is to blame.
    pub fn is_spoilt(&self, vm: usize) -> bool {
        let imports = self.imported.get(&vm).into_iter().flatten();
        imports.map(|id| self.sim.import(*id)).any(|import| {
            matches!(
                import.state(),
                ImportState::Invalid | ImportState::MigrationFailed
            ) || import
                .images()
                .iter()
                .any(|i| i.state == ImageState::Failed)
        })
    }

    /// Ends the run with this law broken.
    pub fn fail(&mut self, what: String) {
        self.law(false, || what);
    }
}

/// An action in a few words.
fn brief(action: &Action) -> String {
    match action {
        Action::CreateSource { at, spec } => format!("create {} {at}", spec.kind()),
        Action::OpenRecord { at, spec } => {
            format!("open record {at} for {}", spec.attempt.import)
        }
        Action::OpenAttempt { at, spec, .. } => {
            format!("open attempt {} of {at}", spec.attempt.number)
        }
        Action::CreateImport { at, record, .. } => format!("create import {at} of {record}"),
        Action::Record { at, status, .. } => {
            let message = status.message.as_deref().unwrap_or_default();
            let gate = status.gate.as_ref().map(|gate| {
                let word = match (gate.holds, gate.failed, gate.open) {
                    (Some(_), ..) => "holds",
                    (_, Some(_), _) => "failed",
                    (.., Some(_)) => "answers",
                    _ => "does not answer",
                };
                format!("its gate {word}")
            });
            let gate = gate.unwrap_or_default();
            format!("record {at}: {:?} {message}{gate}", status.stage)
        }
        Action::NudgeImage { at, .. } => format!("nudge image {at}"),
        Action::DeleteImport { at, .. } => format!("delete import {at}"),
        Action::WaveStatus { at, .. } => format!("say of wave {at}"),
    }
}
