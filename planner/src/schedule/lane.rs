//! The engine of one target while an order is decoded: created imports in, what happens to them out.
//!
//! Two kinds, by the profile. One that blocks is vm-import-controller, and is played by its own
//! simulation (`engine::Sim`). Any other is played by its phases and pools (`engine::Flow`). Both take
//! the executor's part in what happens after the machine is ready: it is announced, and the finished
//! import is deleted.

use std::sync::Arc;

use engine::admission::create_to_export;
use engine::flow::Passage;
use engine::profile::PhaseName;
use engine::{Flow, ImportId, ImportSpec, Millis, Profile, Sim, What};
use schemas::upstream::ImportState;

use super::{Job, decode::import_spec};

/// Something that may let another import start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A phase of the job has ended.
    Ended(usize, PhaseName),
    /// One of its images is in, or its machine is made.
    Further,
    /// The engine says that its machine runs.
    Running(usize),
    /// It holds nothing any more.
    Gone(usize),
}

/// When each step of a job happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// From when to when it was copied ahead.
    pub stage: Option<(Millis, Millis)>,
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
    Flow(Box<Flowing>),
}

impl Engine {
    /// Of the profile, for `jobs` jobs of the problem.
    pub fn new(profile: &Profile, jobs: usize) -> Self {
        if profile.blocks() {
            Self::Blocking(Box::new(Blocking {
                sim: Sim::new(profile.clone()),
                job_of: Vec::new(),
                import_of: vec![None; jobs],
            }))
        } else {
            Self::Flow(Box::new(Flowing {
                flow: Flow::new(profile.clone()),
                profile: profile.clone(),
                offs: vec![None; jobs],
            }))
        }
    }

    /// Whether the stage of a job's import could begin at once.
    pub fn can_stage(&self, job: &Job) -> bool {
        match self {
            Self::Blocking(_) => false,
            Self::Flow(it) => it.flow.has_room(job.host),
        }
    }

    /// Begins the stage of a job's import, now.
    pub fn stage(&mut self, now: Millis, position: usize, job: &Job) {
        if let Self::Flow(it) = self {
            let passage = it.passage(job);
            it.flow.create(now, position, passage);
        }
    }

    /// Creates the import of a job, or sends the one that is staged into its cut, now.
    pub fn create(&mut self, now: Millis, position: usize, job: &Job, spec: &Arc<ImportSpec>) {
        match self {
            Self::Blocking(it) => {
                let id = it.sim.create(Arc::clone(spec));
                it.job_of.push(position);
                it.import_of[position] = Some(id);
            }
            Self::Flow(it) => it.cut(now, position, job),
        }
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Millis> {
        match self {
            Self::Blocking(it) => it.sim.next_event(),
            Self::Flow(it) => it.flow.next_event(),
        }
    }

    /// Lets time pass, and tells what happened.
    pub fn advance_to(&mut self, until: Millis, events: &mut Vec<Event>) {
        match self {
            Self::Blocking(it) => it.advance_to(until, events),
            Self::Flow(it) => it.advance_to(until, events),
        }
    }

    /// When the steps of a created job happened.
    pub fn steps(&self, position: usize) -> Steps {
        match self {
            Self::Blocking(it) => it.steps(position),
            Self::Flow(it) => it.steps(position),
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
                    ImportState::DisksExported => {
                        events.push(Event::Ended(job, PhaseName::Export));
                    }
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
            stage: None,
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

/// Any engine that does not block, by its phases.
pub(super) struct Flowing {
    flow: Flow,
    profile: Profile,
    /// By job: when its guest is off.
    offs: Vec<Option<Millis>>,
}

impl Flowing {
    fn passage(&self, job: &Job) -> Passage {
        let lasts = |name| match name {
            // As the engine sees it, by its polls.
            PhaseName::Shutdown => {
                let shutdown = job.estimates.shutdown.value.into();
                create_to_export(&self.profile, job.kind, shutdown)
            }
            PhaseName::Release => self.profile.step,
            _ => job.estimates.phase(&self.profile, name).into(),
        };
        let phases = self.profile.phases.iter();
        Passage {
            lasts: phases.map(|phase| lasts(phase.name)).collect(),
            host: job.host,
        }
    }

    fn cut(&mut self, now: Millis, position: usize, job: &Job) {
        let shutdown: Millis = job.estimates.shutdown.value.into();
        self.offs[position] = Some(if job.guest_runs {
            // The guest is asked by the third of the calls, and down as soon as it is off.
            now + self.profile.call(job.kind) * 3 + shutdown
        } else {
            now
        });
        if self.profile.has_stage() {
            self.flow.go(now, position);
        } else {
            let passage = self.passage(job);
            self.flow.create(now, position, passage);
        }
    }

    fn advance_to(&mut self, until: Millis, events: &mut Vec<Event>) {
        loop {
            let passed = self.flow.advance_to(until);
            if passed.is_empty() {
                return;
            }
            for it in passed {
                let job = it.import;
                match (it.phase, it.ended) {
                    (PhaseName::Release, false) => events.push(Event::Running(job)),
                    (PhaseName::Release, true) => events.push(Event::Gone(job)),
                    (PhaseName::Boot, true) => self.flow.go(it.at, job),
                    (PhaseName::Boot, false) => events.push(Event::Further),
                    (phase, true) => events.push(Event::Ended(job, phase)),
                    (_, false) => {}
                }
            }
        }
    }

    /// A phase that the engine does not have is over when the one before it is.
    fn steps(&self, position: usize) -> Steps {
        let span = |name, before: Option<Millis>| match self.profile.phase(name) {
            Some(_) => self.flow.span(position, name),
            None => (before, before),
        };
        let stage = self.flow.span(position, PhaseName::Stage);
        let (created, asked) = span(PhaseName::Shutdown, None);
        let (export_start, exported) = span(PhaseName::Export, asked);
        let (_, images_in) = span(PhaseName::Images, exported);
        let (machine, ready) = span(PhaseName::Boot, images_in);
        let (running, released) = span(PhaseName::Release, ready);
        Steps {
            stage: stage.0.zip(stage.1),
            created: created.unwrap_or_default(),
            off: self.offs[position],
            export_start,
            exported,
            images_in,
            machine,
            ready,
            running,
            released,
        }
    }
}

/// The spec of a job's import, for an engine that needs one.
pub(super) fn spec(job: &Job, position: usize) -> Arc<ImportSpec> {
    Arc::new(import_spec(job, position))
}
