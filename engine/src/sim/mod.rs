//! The engine on a virtual clock.
//!
//! Takes imports and what is done to them, and gives the changes that follow, in order. Time moves
//! only in [`Sim::advance_to`]; [`Sim::next_event`] says how far it may go without missing
//! anything. Whoever drives it (schedule, demonstration, the executor's simulated worlds, the
//! test double) acts between two advances, at the time it is then.
//!
//! Durations are either modelled ([`crate::Timing::After`]) or left to the outside world
//! ([`crate::Timing::External`]): then the matching [`What`] asks for the work (`GuestAsked`,
//! `ExportStarted`, `ImageCreated`, `MachineCreated`), and [`Sim::guest_off`],
//! [`Sim::export_done`], [`Sim::image_ready`], [`Sim::image_failed`] and [`Sim::machine_ready`]
//! report it.
//!
//! The parts: `table` (which step an import takes in its state), `work` (what the worker does in
//! it), `queue`, `scratch`, `images`, `view` (what can be seen). It must never know a policy: when
//! to create an import is others' business ([`crate::admission`]).

mod adopt;
mod images;
mod queue;
mod scratch;
mod table;
#[cfg(test)]
mod tests;
mod view;
mod work;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use schemas::ids::{Namespace, ObjectName};
use schemas::units::Bytes;
use schemas::upstream::ImportState;

use crate::import::{ImportSpec, Timing};
use crate::profile::{PhaseName, Profile};
use crate::time::Millis;

pub use scratch::{File, Scratch};
pub use view::{Condition, Image, ImageState, Import, Life, Times};

use images::ImagePool;
use queue::WorkQueue;
use table::Step;
use work::Work;

/// Names an import of one simulation: its place in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportId(u32);

impl ImportId {
    /// Its place, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Millis,
    /// To which import; none: to the engine.
    pub import: Option<ImportId>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The engine wrote the import's status.
    Status {
        /// The state it is in now.
        state: ImportState,
        /// The condition that was added, if one was.
        condition: Option<Condition>,
    },
    /// A write of the engine was refused, silently: it will do that step again (Q06).
    Refused,
    /// The guest was asked to shut down.
    GuestAsked,
    /// The guest is off.
    GuestOff,
    /// The worker is blocked by the copying of disks.
    ExportStarted,
    /// It is free again.
    ExportEnded {
        /// Whether they are copied.
        ok: bool,
    },
    /// An image object was created.
    ImageCreated {
        /// The disk it is of.
        disk: usize,
    },
    /// An image is in.
    ImageIn {
        /// The disk it is of.
        disk: usize,
    },
    /// An image will never be in.
    ImageFailed {
        /// The disk it is of.
        disk: usize,
    },
    /// The machine was created.
    MachineCreated,
    /// The machine is ready.
    MachineReady,
    /// The import's files were removed from the scratch.
    Released,
    /// The import object is gone.
    Gone,
    /// The scratch holds so much from now on.
    Scratch(Bytes),
    /// The engine's process died.
    EngineDown {
        /// Killed, or why it panicked.
        reason: &'static str,
    },
    /// It is up again.
    EngineUp,
}

/// What happens by itself at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    WorkDone(u64),
    /// With the process's incarnation: its timers die with it.
    Enqueue(ImportId, u32),
    GuestOff(ImportId),
    Images(u64),
    MachineReady(ImportId),
    Restart(u32),
}

/// The engine, and as much of the world as it changes.
#[derive(Clone, Debug)]
pub struct Sim {
    profile: Profile,
    now: Millis,
    imports: Vec<Import>,
    queue: WorkQueue,
    work: Option<Work>,
    up: bool,
    incarnation: u32,
    crashes: u32,
    scratch: Scratch,
    scratch_told: Bytes,
    images: ImagePool,
    /// How the external export that is being reported ended.
    export_error: Option<String>,
    timers: BinaryHeap<Reverse<(Millis, u64, Timer)>>,
    timers_set: u64,
    tickets: u64,
    changes: Vec<Change>,
}

impl Sim {
    /// A running engine without imports, at the clock's origin.
    pub fn new(profile: Profile) -> Self {
        Self {
            images: ImagePool::new(profile.shares(PhaseName::Images)),
            profile,
            now: Millis::ZERO,
            imports: Vec::new(),
            queue: WorkQueue::default(),
            work: None,
            up: true,
            incarnation: 0,
            crashes: 0,
            scratch: Scratch::default(),
            scratch_told: Bytes::ZERO,
            export_error: None,
            timers: BinaryHeap::new(),
            timers_set: 0,
            tickets: 0,
            changes: Vec::new(),
        }
    }

    // ---- time -------------------------------------------------------------------------------

    /// What time it is.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// When something happens next by itself, or the worker could take something up; none: nothing
    /// ever will. It may turn out to be nothing that can be seen.
    pub fn next_event(&self) -> Option<Millis> {
        if self.up && self.work.is_none() && !self.queue.is_empty() {
            return Some(self.now);
        }
        self.timers.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Lets time pass until `until` (not at all, if that is past) and gives what changed since the
    /// last call, in the order in which it did.
    pub fn advance_to(&mut self, until: Millis) -> Vec<Change> {
        loop {
            while self.dispatch() {}
            self.tell_scratch();
            match self.timers.peek() {
                Some(Reverse((at, _, _))) if *at <= until => {
                    let Some(Reverse((at, _, timer))) = self.timers.pop() else {
                        break;
                    };
                    self.now = self.now.max(at);
                    self.fire(timer);
                    self.tell_scratch();
                }
                _ => break,
            }
        }
        self.now = self.now.max(until);
        std::mem::take(&mut self.changes)
    }

    // ---- what users do ----------------------------------------------------------------------

    /// Creates an import. The worker looks at it when it comes to it.
    pub fn create(&mut self, spec: impl Into<Arc<ImportSpec>>) -> ImportId {
        let id = ImportId(u32::try_from(self.imports.len()).expect("far fewer than 2³² imports"));
        self.imports.push(Import::new(spec.into(), self.now));
        self.enqueue(id);
        id
    }

    /// Deletes an import. One that the worker has never had in hand is gone at once; any other when
    /// the worker is free (Q09; measured §5).
    pub fn delete(&mut self, id: ImportId) {
        let import = &mut self.imports[id.index()];
        import.version += 1;
        match import.life {
            Life::Untouched => self.let_go(id),
            Life::Held => {
                import.life = Life::Deleting;
                self.enqueue(id);
            }
            Life::Deleting | Life::Gone => {}
        }
    }

    /// Somebody writes to the import. During its export that costs a second one (Q06); a finished
    /// import is tidied again (Q05).
    pub fn touch(&mut self, id: ImportId) {
        let import = &mut self.imports[id.index()];
        if !import.is_gone() {
            import.version += 1;
            self.enqueue(id);
        }
    }

    /// Somebody writes to one of the import's images: the engine looks at the import, which itself
    /// stays as it was (fact 9; measured 1b). Nothing, once the images have no owner any more.
    pub fn nudge(&mut self, id: ImportId) {
        let import = &self.imports[id.index()];
        let mut images = import.images.iter();
        let owned = images.any(|image| image.state > ImageState::Absent);
        if owned && !import.is_gone() && import.state != ImportState::VirtualMachineRunning {
            self.enqueue(id);
        }
    }

    /// The import's fault no longer holds: its source is ready, its machine may be created.
    pub fn heal(&mut self, id: ImportId) {
        self.imports[id.index()].healed = true;
    }

    /// Kills the engine's process. An export under way is lost, its files stay; images that are
    /// being fetched from it break off (L01, L02).
    pub fn kill(&mut self) {
        self.stop("killed");
    }

    /// Starts it again: it looks at all imports, in the order of their names (fact 6).
    pub fn restart(&mut self) {
        if self.up {
            return;
        }
        self.up = true;
        self.changes.push(Change {
            at: self.now,
            import: None,
            what: What::EngineUp,
        });
        let mut ids: Vec<ImportId> = self
            .ids()
            .filter(|id| !self.import(*id).is_gone())
            .collect();
        ids.sort_by_key(|id| {
            let spec = self.import(*id).spec();
            (spec.namespace.clone(), spec.name.clone())
        });
        for id in ids {
            self.queue.add(id);
        }
    }

    // ---- what the outside world reports -----------------------------------------------------

    /// The guest is off at its source, whoever did it.
    pub fn guest_off(&mut self, id: ImportId) {
        let now = self.now;
        let times = &mut self.imports[id.index()].times;
        if times.off.is_none() {
            times.off = Some(now);
            self.note(id, What::GuestOff);
        }
    }

    /// The export under way is over; with the error, if it failed. Nothing, if `id` is not being
    /// exported.
    pub fn export_done(&mut self, id: ImportId, result: Result<(), String>) {
        if let Some(work) = self.work.filter(|work| work.import == id)
            && work.step == Step::Export
        {
            self.export_error = result.err();
            self.finish_work(work);
        }
    }

    /// An image is in.
    pub fn image_ready(&mut self, id: ImportId, disk: usize) {
        let now = self.now;
        let import = &mut self.imports[id.index()];
        let file = self.scratch.file(&import.spec.disks[disk].file);
        let image = &mut import.images[disk];
        if image.state >= ImageState::Imported {
            return;
        }
        image.state = ImageState::Imported;
        if let Some(file) = file {
            image.content = Some(file.content);
        }
        if import.images_in() {
            import.times.images_in = Some(now);
        }
        self.note(id, What::ImageIn { disk });
        self.enqueue(id);
    }

    /// An image will never be in: the engine asks for no retry, so the first failure is final (S08).
    pub fn image_failed(&mut self, id: ImportId, disk: usize) {
        self.imports[id.index()].images[disk].state = ImageState::Failed;
        self.note(id, What::ImageFailed { disk });
        self.enqueue(id);
    }

    /// The machine is ready. The engine does not watch machines: it finds out at its next poll.
    pub fn machine_ready(&mut self, id: ImportId) {
        let now = self.now;
        let times = &mut self.imports[id.index()].times;
        if times.ready.is_none() {
            times.ready = Some(now);
            self.note(id, What::MachineReady);
        }
    }

    /// The image's name, where somebody else gives names.
    pub fn name_image(&mut self, id: ImportId, disk: usize, name: String) {
        self.imports[id.index()].images[disk].name = Some(name);
    }

    // ---- what can be seen -------------------------------------------------------------------

    /// An import, also one that is gone.
    pub fn import(&self, id: ImportId) -> &Import {
        &self.imports[id.index()]
    }

    /// All imports ever created, in that order.
    pub fn ids(&self) -> impl Iterator<Item = ImportId> + use<> {
        let count = u32::try_from(self.imports.len()).expect("counted when created");
        (0..count).map(ImportId)
    }

    /// The import of that name that is not gone.
    pub fn find(&self, namespace: &Namespace, name: &ObjectName) -> Option<ImportId> {
        self.ids().find(|id| {
            let import = self.import(*id);
            !import.is_gone() && import.spec.namespace == *namespace && import.spec.name == *name
        })
    }

    /// The import that blocks the engine with its export.
    pub fn exporting(&self) -> Option<ImportId> {
        let work = self.work.filter(|work| work.step == Step::Export)?;
        Some(work.import)
    }

    /// Whether the engine's process is up.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// The scratch.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Names and sizes as the engine's file server lists them, those of the export under way as
    /// far as they have grown (measured 14).
    pub fn listing(&self) -> Vec<(String, Bytes)> {
        let mut files: std::collections::BTreeMap<String, Bytes> = self
            .scratch
            .files()
            .filter(|(name, _)| !name.starts_with('/'))
            .map(|(name, file)| (name.to_owned(), file.bytes))
            .collect();
        if let Some(id) = self.exporting() {
            let grown = work::partial(self.import(id).spec(), self.export_share());
            files.extend(grown.map(|(name, bytes, _)| (name.to_string(), bytes)));
        }
        files.into_iter().collect()
    }

    // ---- inside -----------------------------------------------------------------------------

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::WorkDone(ticket) => {
                if let Some(work) = self.work.filter(|work| work.ticket == ticket) {
                    self.finish_work(work);
                }
            }
            Timer::Enqueue(id, incarnation) if incarnation == self.incarnation => self.enqueue(id),
            Timer::GuestOff(id) => self.guest_off(id),
            Timer::Images(round) if round == self.images.round => {
                for (id, disk) in self.images.finished(self.now) {
                    self.image_ready(id, disk);
                }
                self.set_image_timer();
            }
            Timer::MachineReady(id) => self.machine_ready(id),
            Timer::Restart(incarnation) if incarnation == self.incarnation => self.restart(),
            Timer::Enqueue(..) | Timer::Images(_) | Timer::Restart(_) => {}
        }
    }

    fn set(&mut self, at: Millis, timer: Timer) {
        self.timers_set += 1;
        self.timers.push(Reverse((at, self.timers_set, timer)));
    }

    fn set_image_timer(&mut self) {
        if let Some(at) = self.images.next() {
            self.set(at, Timer::Images(self.images.round));
        }
    }

    fn enqueue(&mut self, id: ImportId) {
        if self.up && !self.imports[id.index()].is_gone() {
            self.queue.add(id);
        }
    }

    fn note(&mut self, id: ImportId, what: What) {
        self.changes.push(Change {
            at: self.now,
            import: Some(id),
            what,
        });
    }

    fn tell_scratch(&mut self) {
        let held = self.scratch.held();
        if std::mem::replace(&mut self.scratch_told, held) != held {
            self.changes.push(Change {
                at: self.now,
                import: None,
                what: What::Scratch(held),
            });
        }
    }

    /// The object goes; before it is finished its images go with it (L04).
    fn let_go(&mut self, id: ImportId) {
        let import = &mut self.imports[id.index()];
        import.life = Life::Gone;
        if import.state != ImportState::VirtualMachineRunning {
            self.images.forget(self.now, id);
            self.set_image_timer();
        }
        self.note(id, What::Gone);
    }

    /// The process dies by itself; the kubelet starts it again after 10 s, 20 s, … 5 min.
    fn crash(&mut self, reason: &'static str) {
        self.stop(reason);
        if let Some(first) = self.profile.restart {
            let after = Millis(first.0 << self.crashes.min(16)).min(Millis::from_minutes(5));
            self.set(self.now + after, Timer::Restart(self.incarnation));
        }
        self.crashes += 1;
    }

    fn stop(&mut self, reason: &'static str) {
        if !std::mem::replace(&mut self.up, false) {
            return;
        }
        let share = self.export_share();
        if let Some(id) = self.exporting() {
            self.scratch.end();
            self.leave_partial(id, share, true);
        }
        self.work = None;
        self.incarnation += 1;
        self.queue.clear();
        for import in &mut self.imports {
            import.failures = 0;
        }
        self.changes.push(Change {
            at: self.now,
            import: None,
            what: What::EngineDown { reason },
        });
        for (id, disk) in self.images.break_off(self.now) {
            self.image_failed(id, disk);
        }
        self.tell_scratch();
    }

    /// Hundredths of the export under way, as far as its time is known.
    fn export_share(&self) -> u64 {
        match self.work {
            Some(work) if work.step == Step::Export => {
                let spent = self.now.saturating_sub(work.since);
                match self.import(work.import).spec.export {
                    Timing::After(all) if all > Millis::ZERO => spent.0 * 100 / all.0,
                    _ => 0,
                }
            }
            _ => 0,
        }
    }
}
