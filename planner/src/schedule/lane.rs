//! The engine of one target while an order is decoded: created imports in, what happens to them out.
//!
//! Two kinds, by the profile. One that blocks is vm-import-controller, and is played by its own
//! simulation (`engine::Sim`). One that does not has workers, image slots and phases that follow
//! each other by themselves; `Flow` plays it. Both take the executor's part in what happens after
//! the machine is ready: it is announced, and the finished import is deleted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use engine::admission::create_to_export;
use engine::{ImportId, ImportSpec, Millis, Profile, Sim, What};
use schemas::upstream::ImportState;

use super::{Job, decode::import_spec};

/// Something that may let another import start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The job's disks are copied.
    Exported(usize),
    /// One of its images is in, or its machine is made.
    Further,
    /// The engine says that its machine runs.
    Running(usize),
    /// Its scratch is free.
    Gone(usize),
}

/// When each step of a job happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    pub created: Millis,
    pub off: Option<Millis>,
    pub export_start: Option<Millis>,
    pub exported: Option<Millis>,
    pub images_in: Option<Millis>,
    pub machine: Option<Millis>,
    pub ready: Option<Millis>,
    pub running: Option<Millis>,
    pub released: Option<Millis>,
}

/// The engine of one target.
pub(super) enum Engine {
    Blocking(Box<Blocking>),
    Flow(Box<Flow>),
}

impl Engine {
    /// Of the profile, for `jobs` jobs of the problem.
    pub fn new(profile: &Profile, jobs: usize) -> Self {
        if profile.blocks {
            Self::Blocking(Box::new(Blocking {
                sim: Sim::new(profile.clone()),
                job_of: Vec::new(),
                import_of: vec![None; jobs],
            }))
        } else {
            Self::Flow(Box::new(Flow::new(profile.clone(), jobs)))
        }
    }

    /// How many imports may be created and not yet exported at one time.
    pub fn in_front_max(&self) -> usize {
        match self {
            Self::Blocking(_) => 1,
            Self::Flow(flow) => flow.profile.exporters as usize,
        }
    }

    /// Creates the import of a job, now.
    pub fn create(&mut self, now: Millis, position: usize, job: &Job, spec: &Arc<ImportSpec>) {
        match self {
            Self::Blocking(it) => {
                let id = it.sim.create(Arc::clone(spec));
                it.job_of.push(position);
                it.import_of[position] = Some(id);
            }
            Self::Flow(flow) => flow.create(now, position, job),
        }
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Millis> {
        match self {
            Self::Blocking(it) => it.sim.next_event(),
            Self::Flow(flow) => flow.timers.peek().map(|Reverse((at, ..))| *at),
        }
    }

    /// Lets time pass, and tells what happened.
    pub fn advance_to(&mut self, until: Millis, events: &mut Vec<Event>) {
        match self {
            Self::Blocking(it) => it.advance_to(until, events),
            Self::Flow(flow) => flow.advance_to(until, events),
        }
    }

    /// When the steps of a created job happened.
    pub fn steps(&self, position: usize) -> Steps {
        match self {
            Self::Blocking(it) => it.steps(position),
            Self::Flow(flow) => flow.steps[position],
        }
    }
}

/// vm-import-controller, by its own simulation.
pub(super) struct Blocking {
    sim: Sim,
    job_of: Vec<usize>,
    import_of: Vec<Option<ImportId>>,
}

impl Blocking {
    fn advance_to(&mut self, until: Millis, events: &mut Vec<Event>) {
        for change in self.sim.advance_to(until) {
            let Some(id) = change.import else { continue };
            let job = self.job_of[id.index()];
            match change.what {
                What::MachineReady => self.sim.nudge(id),
                What::Status { state, .. } => match state {
                    ImportState::DisksExported => events.push(Event::Exported(job)),
                    ImportState::VirtualMachineCreated => events.push(Event::Further),
                    ImportState::VirtualMachineRunning => {
                        self.sim.delete(id);
                        events.push(Event::Running(job));
                    }
                    _ => {}
                },
                What::ImageIn { .. } => events.push(Event::Further),
                What::Gone => events.push(Event::Gone(job)),
                _ => {}
            }
        }
    }

    fn steps(&self, position: usize) -> Steps {
        let Some(id) = self.import_of[position] else {
            return Steps::default();
        };
        let times = self.sim.import(id).times();
        Steps {
            created: times.created,
            off: times.off,
            export_start: times.export_start,
            exported: times.exported,
            images_in: times.images_in,
            machine: times.machine,
            ready: times.ready,
            running: times.running,
            released: times.released,
        }
    }
}

/// An engine in which nothing waits for a worker but exports and images: k exporters, m image slots
/// or a bandwidth that is shared, first come, first served.
pub(super) struct Flow {
    profile: Profile,
    steps: Vec<Steps>,
    /// By job: its place among all that were created.
    created: Vec<u32>,
    count: u32,
    /// What each job takes: export, images alone, boot.
    takes: Vec<[Millis; 3]>,
    /// Off and ready to be exported, by arrival.
    waiting: VecDeque<usize>,
    exporting: u32,
    /// Exported, by end of the export, and waiting for an image slot.
    submitted: VecDeque<usize>,
    images: Vec<Taken>,
    images_since: Millis,
    /// Counts changes of `images`: timers set before one are stale.
    round: u64,
    timers: BinaryHeap<Reverse<(Millis, Timer, u64)>>,
}

/// One job's images being taken in.
struct Taken {
    job: usize,
    /// Work left, in parts of a millisecond alone.
    left: u128,
}

/// Parts of a millisecond: images that share are counted exactly enough for any number of them.
const PARTS: u128 = 1 << 20;

/// In the order in which those of one time fire: ends before starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    ExportEnd,
    Images,
    Submit,
    Machine,
    Ready,
    Release,
    Export,
}

impl Flow {
    fn new(profile: Profile, jobs: usize) -> Self {
        Self {
            profile,
            steps: vec![Steps::default(); jobs],
            created: vec![0; jobs],
            count: 0,
            takes: vec![[Millis::ZERO; 3]; jobs],
            waiting: VecDeque::new(),
            exporting: 0,
            submitted: VecDeque::new(),
            images: Vec::new(),
            images_since: Millis::ZERO,
            round: 0,
            timers: BinaryHeap::new(),
        }
    }

    fn set(&mut self, at: Millis, timer: Timer, what: u64) {
        self.timers.push(Reverse((at, timer, what)));
    }

    fn create(&mut self, now: Millis, position: usize, job: &Job) {
        let estimates = &job.estimates;
        let shutdown: Millis = estimates.shutdown.value.into();
        self.steps[position] = Steps {
            created: now,
            // The guest is asked by the third of the calls, and down as soon as it is off.
            off: Some(if job.guest_runs {
                now + self.profile.call(job.kind) * 3 + shutdown
            } else {
                now
            }),
            ..Steps::default()
        };
        self.count += 1;
        self.created[position] = self.count;
        self.takes[position] = [
            estimates.export.value.into(),
            estimates.images.value.into(),
            estimates.boot.value.into(),
        ];
        let lead = create_to_export(&self.profile, job.kind, shutdown);
        if lead == Millis::ZERO {
            self.waiting.push_back(position);
            self.export_next(now);
        } else {
            self.set(now + lead, Timer::Export, position as u64);
        }
    }

    fn export_next(&mut self, now: Millis) {
        while self.exporting < self.profile.exporters
            && let Some(job) = self.waiting.pop_front()
        {
            self.exporting += 1;
            self.steps[job].export_start = Some(now);
            self.set(now + self.takes[job][0], Timer::ExportEnd, job as u64);
        }
    }

    fn advance_to(&mut self, until: Millis, events: &mut Vec<Event>) {
        while let Some(Reverse((now, timer, what))) = self.timers.peek().copied() {
            if now > until {
                break;
            }
            self.timers.pop();
            let job = usize::try_from(what).expect("a position");
            match timer {
                Timer::Export => {
                    self.waiting.push_back(job);
                    self.export_next(now);
                }
                Timer::ExportEnd => {
                    self.steps[job].exported = Some(now);
                    self.exporting -= 1;
                    events.push(Event::Exported(job));
                    self.set(now + self.profile.step * 2, Timer::Submit, what);
                    self.export_next(now);
                }
                Timer::Submit => {
                    let mut together = vec![job];
                    while let Some(Reverse((at, Timer::Submit, other))) =
                        self.timers.peek().copied()
                        && at == now
                    {
                        self.timers.pop();
                        together.push(usize::try_from(other).expect("a position"));
                    }
                    // Of those that end together the one that was created first goes first.
                    together.sort_by_key(|job| self.created[*job]);
                    self.submitted.extend(together);
                    self.take_in(now);
                }
                Timer::Images if what == self.round => self.images_end(now, events),
                Timer::Images => {}
                Timer::Machine => {
                    self.steps[job].machine = Some(now);
                    events.push(Event::Further);
                    self.set(now + self.takes[job][2], Timer::Ready, what);
                }
                Timer::Ready => {
                    self.steps[job].ready = Some(now);
                    let running = now + self.profile.step;
                    self.steps[job].running = Some(running);
                    let at = running + self.profile.step;
                    self.set(running, Timer::Release, what * 2);
                    self.steps[job].released = Some(at);
                }
                // Twice: it runs; its files are gone.
                Timer::Release => {
                    let job = job / 2;
                    if what.is_multiple_of(2) {
                        events.push(Event::Running(job));
                        self.set(now + self.profile.step, Timer::Release, what + 1);
                    } else {
                        events.push(Event::Gone(job));
                    }
                }
            }
        }
    }

    fn sharers(&self) -> u128 {
        if self.profile.images_share {
            self.images.len().max(1) as u128
        } else {
            1
        }
    }

    fn work_until(&mut self, now: Millis) {
        let passed = u128::from(now.saturating_sub(self.images_since).0);
        let parts = passed * PARTS / self.sharers();
        for image in &mut self.images {
            image.left = image.left.saturating_sub(parts);
            if image.left < PARTS / 1024 {
                image.left = 0;
            }
        }
        self.images_since = now;
    }

    /// As many as there are slots for begin.
    fn take_in(&mut self, now: Millis) {
        self.work_until(now);
        let slots = self
            .profile
            .image_slots
            .map_or(usize::MAX, |slots| slots as usize);
        while self.images.len() < slots
            && let Some(job) = self.submitted.pop_front()
        {
            let left = u128::from(self.takes[job][1].0) * PARTS;
            self.images.push(Taken { job, left });
        }
        self.round += 1;
        if let Some(left) = self.images.iter().map(|image| image.left).min() {
            let wait = (left * self.sharers()).div_ceil(PARTS);
            let wait = Millis(u64::try_from(wait).unwrap_or(u64::MAX / 2));
            self.set(now + wait, Timer::Images, self.round);
        }
    }

    fn images_end(&mut self, now: Millis, events: &mut Vec<Event>) {
        self.work_until(now);
        let machine = now + self.profile.step + self.profile.create_machine;
        let mut at = 0;
        while at < self.images.len() {
            if self.images[at].left > 0 {
                at += 1;
                continue;
            }
            let job = self.images.remove(at).job;
            self.steps[job].images_in = Some(now);
            events.push(Event::Further);
            self.set(machine, Timer::Machine, job as u64);
        }
        self.take_in(now);
    }
}

/// The spec of a job's import, for an engine that needs one.
pub(super) fn spec(job: &Job, position: usize) -> Arc<ImportSpec> {
    Arc::new(import_spec(job, position))
}
