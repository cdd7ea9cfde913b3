//! An order of imports → a schedule, on the engine's own model.
//!
//! Plays the executor: at each moment at which an engine is due for another import
//! (`engine::admission`), the first one of the order that may start is created. All targets run on
//! one clock, because dependencies cross them. What holds a job back is in `rules`, what waits for
//! what in `waits`, what the engines do in `lane`.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use engine::admission::{Ahead, Due, due, lead};
use engine::profile::PhaseName;
use engine::{Guest, ImportSpec, Millis, Timing};
use schemas::ids::VmKey;
use schemas::units::{Bytes, Seconds};

use super::lane::{self, Engine, Event};
use super::rules::{Hold, Service};
use super::waits::{Opener, Waits};
use super::{Held, Problem, ScratchUse, Slot, SlotTimes, StepSlot, Unplaced, Window};
use crate::graph::Dag;

/// What is the same for every order of a problem.
pub(super) struct Estate<'a> {
    pub problem: &'a Problem,
    pub waits: Waits,
    pub jobs: Vec<Prepared>,
    /// By calendar, by window: the occurrence that it is of.
    pub occurrence_of: Vec<Vec<usize>>,
    /// Most jobs of each occurrence.
    pub occurrences: Vec<Option<u32>>,
    /// Services that must be together, of jobs that keep windows.
    pub services: Vec<Service>,
    /// By workload: its step should not begin before; empty: any may at once.
    pub begins: Vec<Seconds>,
    /// By job: the windows of its calendar that it may keep.
    within: Vec<Range<usize>>,
}

/// One job, ready for the engine.
pub(super) struct Prepared {
    pub spec: Arc<ImportSpec>,
    /// From creation to the look that finds its guest off.
    pub lead: Millis,
    /// From creation until it runs and its scratch is free, on an idle engine.
    pub until_gone: Millis,
    /// Positions of those that it excludes, on its target.
    pub excludes: Vec<usize>,
    /// The most that it holds of the scratch.
    pub peak: Bytes,
    /// Position of the service that it must be together with.
    pub service: Option<usize>,
    /// It is copied ahead.
    staged: bool,
    /// It can never be placed.
    pub hopeless: Option<super::UnplacedReason>,
}

/// How an order is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Preferences: the first that may start does.
    FirstThatFits,
    /// The order of creation on each target.
    Exact,
}

/// What came of an order.
pub(super) struct Decoded {
    /// By creation, then by VM; with the job's position.
    pub slots: Vec<(usize, Slot)>,
    /// By VM.
    pub unplaced: Vec<Unplaced>,
    /// By start, then by workload.
    pub steps: Vec<StepSlot>,
    pub scratch: Vec<ScratchUse>,
}

impl<'a> Estate<'a> {
    pub fn new(problem: &'a Problem, dag: &Dag) -> Self {
        Self::within(problem, dag, vec![ANY_WINDOW; problem.jobs.len()])
    }

    /// The same, where each job may keep some windows of its calendar only: by position in that.
    pub fn within(problem: &'a Problem, dag: &Dag, within: Vec<Range<usize>>) -> Self {
        let mut estate = Self {
            problem,
            waits: Waits::new(problem, dag),
            jobs: Vec::new(),
            occurrence_of: Vec::new(),
            occurrences: Vec::new(),
            services: Vec::new(),
            begins: Vec::new(),
            within,
        };
        estate.prepare();
        estate
    }

    /// The windows that a job must keep one of, each with its position in the job's calendar; none:
    /// it may start at any time.
    pub fn windows(&self, job: usize) -> Option<impl Iterator<Item = (usize, &'a Window)>> {
        self.windows_from(job, 0)
    }

    /// The same, without those before that position.
    pub fn windows_from(
        &self,
        job: usize,
        first: usize,
    ) -> Option<impl Iterator<Item = (usize, &'a Window)>> {
        let windows = &self.problem.calendars[self.problem.jobs[job].calendar?];
        let within = &self.within[job];
        let (from, to) = (within.start.max(first), within.end.min(windows.len()));
        Some((from..).zip(windows.get(from..to).unwrap_or_default()))
    }

    /// The schedule that comes of offering the jobs in this order.
    pub fn decode(&self, order: &[usize], mode: Mode) -> Decoded {
        self.play(order, mode).decoded()
    }

    /// The same, before anything of it is told.
    pub fn play(&self, order: &[usize], mode: Mode) -> Played<'_> {
        let mut needs: Vec<Seconds> = self.services.iter().map(|s| s.needs).collect();
        let mut tries = 0;
        loop {
            let mut decoder = Decoder::new(self, order, mode, &needs);
            decoder.run();
            tries += 1;
            if tries > SERVICE_TRIES_MAX || !decoder.widen(&mut needs) {
                return Played { decoder, needs };
            }
        }
    }
}

/// Of an [`Estate`]: no window is too early or too late.
pub(super) const ANY_WINDOW: Range<usize> = 0..usize::MAX;

/// An order that was played to its end. Most are weighed and forgotten: what people are told of the
/// imports is made only of one that is taken.
pub(super) struct Played<'a> {
    decoder: Decoder<'a>,
    needs: Vec<Seconds>,
}

impl Played<'_> {
    /// How many jobs have no place.
    pub fn unplaced(&self) -> usize {
        let placed = self.decoder.placed.iter();
        placed.filter(|placed| placed.is_none()).count()
    }

    /// The jobs that have a place, each with its times and its window.
    pub fn times(&self) -> impl Iterator<Item = (usize, SlotTimes, Option<&Window>)> {
        let placed = self.decoder.placed.iter().enumerate();
        placed.filter_map(|(job, placed)| {
            let window = self.decoder.window_of(job, placed.as_ref()?);
            Some((job, self.decoder.times(job), window))
        })
    }

    /// The whole of it.
    pub fn decoded(self) -> Decoded {
        self.decoder.decoded(&self.needs)
    }
}

/// How often a service that did not fit is given a later, longer occurrence.
const SERVICE_TRIES_MAX: usize = 12;

/// As the engine's simulation takes a job. Files get names of their own: jobs whose real files have
/// equal names exclude each other.
pub(super) fn import_spec(job: &super::Job, position: usize) -> ImportSpec {
    let name = format!("j{position}");
    let shutdown = Timing::from(job.estimates.shutdown.value);
    ImportSpec {
        // The estimate says when the guest is off, whoever cuts its power.
        shutdown_timeout: Millis::from(job.estimates.shutdown.value) + Millis::from_minutes(60),
        ..ImportSpec::of_size(
            ("plan".into(), name.as_str().into(), name.as_str().into()),
            job.kind,
            &job.size,
            if job.guest_runs {
                Guest::On(shutdown)
            } else {
                Guest::Off
            },
            (
                job.estimates.export.value.into(),
                job.estimates.images.value.into(),
                job.estimates.boot.value.into(),
            ),
        )
    }
}

impl Prepared {
    pub fn new(problem: &Problem, position: usize) -> Self {
        let job = &problem.jobs[position];
        let profile = &problem.targets[job.target].profile;
        let shutdown: Millis = job.estimates.shutdown.value.into();
        let cut = job.estimates.cut(profile, job.kind);
        Self {
            spec: lane::spec(job, position),
            lead: lead(profile, job.kind, shutdown),
            until_gone: Millis::from(cut) + profile.ready_poll,
            excludes: Vec::new(),
            peak: job.holds(profile.holds_from(PhaseName::Shutdown)),
            service: None,
            staged: profile.has_stage(),
            hopeless: None,
        }
    }
}

/// One target while it is decoded.
pub(super) struct Lane {
    pub engine: Engine,
    /// Jobs under way, and what they may hold of the scratch; sorted.
    pub live: Vec<(usize, Bytes)>,
    pub held: Bytes,
    /// Created, and not through the phase that only some may be in at once.
    pub in_front: usize,
    /// That phase, and how many those are.
    narrow: Option<(PhaseName, usize)>,
    /// Ranks of the jobs whose stage has not begun, most urgent first.
    unstaged: Vec<u32>,
    last: Option<usize>,
    created: usize,
    /// Ranks of the jobs that wait for nobody, most urgent first.
    ready: VecDeque<u32>,
    /// Ranks of its jobs, if the order is exact.
    sequence: Vec<u32>,
    /// Something changed that may let a job start.
    look: bool,
    /// When time alone may let one start.
    wake: Option<Millis>,
    /// All that wait for nobody wait for time alone, at least until then.
    shut: Option<Millis>,
    pub used: super::Room,
}

/// What the clock alone brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Somebody else's scratch is free.
    Vacated { target: usize, bytes: Bytes },
    /// A job's gate holds.
    GateHolds(usize),
    /// A step outside has ended. Ends come before starts: what one gives back another may take.
    StepEnds(usize),
    /// A step outside may begin.
    StepBegins(usize),
}

pub(super) struct Decoder<'a> {
    pub estate: &'a Estate<'a>,
    pub lanes: Vec<Lane>,
    mode: Mode,
    order: Vec<usize>,
    rank: Vec<u32>,
    pub waits: Waits,
    alarms: BinaryHeap<Reverse<(Millis, Alarm)>>,
    /// By job: what kept it back when it was last looked at, and when that was.
    pub held: Vec<Option<(Millis, Hold)>>,
    pub placed: Vec<Option<Placed>>,
    /// By occurrence.
    pub started: Vec<u32>,
    /// By host: created and not exported.
    pub on_host: Vec<u32>,
    /// By calendar: windows that are over.
    pub over: Vec<Cell<usize>>,
    /// By service: what it needs of an occurrence, the one it is in, jobs still to be created.
    pub together: Vec<Together>,
    /// By target: fixed jobs that are not created yet, by time.
    pub fixed: Vec<Vec<(Millis, usize)>>,
    /// By pool: what steps outside have taken of it.
    pub pooled: Vec<u64>,
    /// Steps outside that might begin, and lack something of a pool.
    queued: Vec<usize>,
    steps: Vec<StepSlot>,
    pub now: Millis,
}

/// A job that was created.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// What kept it from starting earlier.
    why: Why,
    /// The window that it is in, by position in its calendar.
    window: Option<usize>,
    /// Its place on the target.
    place: usize,
}

/// What kept a job from starting earlier: [`Held`] by positions.
#[derive(Clone, Debug)]
enum Why {
    Nothing,
    /// It was refused for this.
    Refused(Hold),
    /// This came last of what it waited for.
    Opened(Opener),
    Stage,
    /// The one before it.
    Turn(usize),
}

impl Why {
    fn told(&self, problem: &Problem) -> Held {
        match self {
            Self::Nothing => Held::Nothing,
            Self::Refused(hold) => hold.told(problem),
            Self::Opened(Opener::Job(other)) => Held::Dependency {
                on: vm(problem, *other),
            },
            Self::Opened(Opener::Step(step)) => Held::Step {
                step: problem.workloads[*step].name.clone(),
            },
            Self::Stage => Held::Stage,
            Self::Turn(other) => Held::Turn {
                after: vm(problem, *other),
            },
        }
    }
}

/// How far a service is.
#[derive(Clone, Debug)]
pub(super) struct Together {
    pub needs: Seconds,
    pub occurrence: Option<usize>,
    pub left: usize,
}

impl<'a> Decoder<'a> {
    fn new(estate: &'a Estate<'a>, order: &[usize], mode: Mode, needs: &[Seconds]) -> Self {
        let problem = estate.problem;
        let mut order = order.to_vec();
        if mode == Mode::FirstThatFits {
            // What is fixed is offered first, by time.
            let fixed = |job: &usize| problem.jobs[*job].fixed;
            order.sort_by_key(|job| (fixed(job).is_none(), fixed(job)));
        }
        let mut rank = vec![0; problem.jobs.len()];
        for (place, job) in order.iter().enumerate() {
            rank[*job] = u32::try_from(place).expect("far fewer than 2³² jobs");
        }
        let lane = |target: &super::Target| Lane {
            narrow: target
                .profile
                .narrow()
                .map(|(phase, most)| (phase.name, most as usize)),
            unstaged: Vec::new(),
            engine: Engine::new(&target.profile, problem.jobs.len()),
            live: Vec::new(),
            held: target.occupied.iter().map(|it| it.bytes).sum(),
            in_front: 0,
            last: None,
            created: 0,
            ready: VecDeque::new(),
            sequence: Vec::new(),
            look: true,
            wake: None,
            shut: None,
            used: super::Room::default(),
        };
        let mut lanes: Vec<Lane> = problem.targets.iter().map(lane).collect();
        let mut fixed = vec![Vec::new(); problem.targets.len()];
        for (position, job) in problem.jobs.iter().enumerate() {
            if let Some(at) = job.fixed {
                fixed[job.target].push((at.into(), position));
            }
        }
        for list in &mut fixed {
            list.sort_unstable_by_key(|(at, job)| (Reverse(*at), rank[*job]));
        }
        for job in &order {
            let it = &problem.jobs[*job];
            let staged = problem.targets[it.target].profile.has_stage();
            if staged && estate.jobs[*job].hopeless.is_none() {
                lanes[it.target].unstaged.push(rank[*job]);
            }
        }
        if mode == Mode::Exact {
            for job in order.iter().rev() {
                lanes[problem.jobs[*job].target].sequence.push(rank[*job]);
            }
        }
        let together = estate.services.iter().zip(needs);
        Self {
            lanes,
            mode,
            order,
            rank,
            waits: estate.waits.clone(),
            alarms: BinaryHeap::new(),
            held: vec![None; problem.jobs.len()],
            placed: vec![None; problem.jobs.len()],
            started: vec![0; estate.occurrences.len()],
            on_host: vec![0; problem.hosts.len()],
            over: vec![Cell::new(0); problem.calendars.len()],
            together: together
                .map(|(service, needs)| Together {
                    needs: *needs,
                    occurrence: None,
                    left: service.jobs.len(),
                })
                .collect(),
            fixed,
            pooled: vec![0; problem.pools.len()],
            queued: Vec::new(),
            steps: Vec::new(),
            now: Millis::ZERO,
            estate,
        }
    }

    fn run(&mut self) {
        let problem = self.estate.problem;
        for (target, it) in problem.targets.iter().enumerate() {
            for occupied in &it.occupied {
                if let Some(until) = occupied.until {
                    let bytes = occupied.bytes;
                    let alarm = Alarm::Vacated { target, bytes };
                    self.alarms.push(Reverse((until.into(), alarm)));
                }
            }
        }
        for job in self.order.clone() {
            if self.waits.is_ready(problem, job) {
                self.ready(job);
            }
        }
        for step in self.waits.steps_ready(problem) {
            self.alarms
                .push(Reverse((Millis::ZERO, Alarm::StepBegins(step))));
        }
        let mut events = Vec::new();
        loop {
            for lane in 0..self.lanes.len() {
                self.begin_stages(lane);
                while self.admit(lane) {}
            }
            let lanes = self.lanes.iter();
            let times = lanes.flat_map(|lane| [lane.engine.next_event(), lane.wake]);
            let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
            let Some(next) = times.flatten().chain(alarm).min() else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(Reverse((at, alarm))) = self.alarms.peek().copied()
                && at <= self.now
            {
                self.alarms.pop();
                self.alarm(alarm);
            }
            for lane in 0..self.lanes.len() {
                let it = &mut self.lanes[lane];
                it.look |= it.wake.is_some_and(|wake| wake <= self.now);
                it.engine.advance_to(self.now, &mut events);
                for event in events.drain(..) {
                    self.react(lane, event);
                }
            }
        }
    }

    /// A job waits for nobody any more.
    fn ready(&mut self, job: usize) {
        if self.estate.jobs[job].hopeless.is_some() {
            return;
        }
        let lane = &mut self.lanes[self.estate.problem.jobs[job].target];
        let rank = self.rank[job];
        let at = lane.ready.partition_point(|other| *other < rank);
        lane.ready.insert(at, rank);
        lane.look = true;
        lane.shut = None;
    }

    fn alarm(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Vacated { target, bytes } => {
                let lane = &mut self.lanes[target];
                lane.held = lane.held.saturating_sub(bytes);
                lane.look = true;
            }
            Alarm::GateHolds(job) => self.holds(job),
            Alarm::StepBegins(step) => {
                if let Some(begins) = self.step_begins(step) {
                    if begins > self.now {
                        self.alarms.push(Reverse((begins, Alarm::StepBegins(step))));
                    } else {
                        self.begin(step);
                    }
                }
            }
            Alarm::StepEnds(step) => {
                self.waits.steps_ended[step] = Some(self.now);
                self.give_back(step);
                for other in std::mem::take(&mut self.queued) {
                    let again = (self.now, Alarm::StepBegins(other));
                    self.alarms.push(Reverse(again));
                }
                self.opened(|waits, problem| waits.step_done(problem, step));
            }
        }
    }

    /// A step begins, or waits for what it lacks.
    fn begin(&mut self, step: usize) {
        if !self.take(step) {
            self.queued.push(step);
            return;
        }
        let takes = self.estate.problem.workloads[step].step.as_ref();
        let takes = takes.map_or(Seconds::ZERO, |step| step.takes);
        let ends = self.now + takes.into();
        self.steps.push(StepSlot {
            begins: self.now.seconds(),
            ends: ends.seconds(),
            workload: step,
        });
        self.alarms.push(Reverse((ends, Alarm::StepEnds(step))));
    }

    fn react(&mut self, lane: usize, event: Event) {
        let host = |job: usize| self.estate.problem.jobs[job].host;
        let target = &mut self.lanes[lane];
        match event {
            Event::Ended(job, PhaseName::Stage) => {
                if self.waits.staged(self.estate.problem, job) {
                    self.waits.ready_at[job] = self.now;
                    self.ready(job);
                }
            }
            Event::Ended(job, phase) => {
                target.look = true;
                if target.narrow.is_some_and(|(narrow, _)| narrow == phase) {
                    target.in_front -= 1;
                }
                if phase == PhaseName::Export {
                    let profile = &self.estate.problem.targets[lane].profile;
                    let hold = profile.holds_from(PhaseName::Images);
                    target.hold(job, self.estate.problem.jobs[job].holds(hold));
                    if let Some(host) = host(job) {
                        self.on_host[host] -= 1;
                        self.look_everywhere();
                    }
                }
            }
            Event::Further => target.look = true,
            Event::Running(job) => {
                let gate = self.estate.problem.jobs[job].gate;
                if gate == Seconds::ZERO {
                    self.holds(job);
                } else {
                    let at = self.now + gate.into();
                    self.alarms.push(Reverse((at, Alarm::GateHolds(job))));
                }
            }
            Event::Gone(job) => {
                target.hold(job, Bytes::ZERO);
                target.live.retain(|(other, _)| *other != job);
                target.look = true;
            }
        }
    }

    /// A job's machine runs and its gate holds: others may be free to start.
    fn holds(&mut self, job: usize) {
        self.waits.held_at[job] = Some(self.now);
        self.opened(|waits, problem| waits.job_done(problem, job));
        // A service may wait for it as a whole.
        if !self.together.is_empty() {
            self.look_everywhere();
        }
    }

    fn opened(&mut self, done: impl FnOnce(&mut Waits, &Problem) -> (Vec<usize>, Vec<usize>)) {
        let (jobs, steps) = done(&mut self.waits, self.estate.problem);
        for job in jobs {
            self.waits.ready_at[job] = self.now;
            self.ready(job);
        }
        for step in steps {
            self.alarms
                .push(Reverse((self.now, Alarm::StepBegins(step))));
        }
    }

    fn look_everywhere(&mut self) {
        for lane in &mut self.lanes {
            lane.look = true;
        }
    }

    /// Begins the stages that have room, in the order. Nothing but that binds them; room on the target is
    /// taken from here on.
    fn begin_stages(&mut self, lane: usize) {
        let problem = self.estate.problem;
        let mut place = 0;
        while let Some(rank) = self.lanes[lane].unstaged.get(place) {
            let job = self.order[*rank as usize];
            let (it, target) = (&problem.jobs[job], &mut self.lanes[lane]);
            let room = problem.targets[lane].room.as_ref();
            let storage =
                room.is_none_or(|room| target.used.storage + it.takes.storage <= room.storage);
            if !storage {
                self.held[job] = Some((self.now, Hold::Room(super::Resource::Storage)));
            }
            if !storage || !target.engine.can_stage(it) {
                place += 1;
                continue;
            }
            target.unstaged.remove(place);
            target.used.storage += it.takes.storage;
            target.engine.stage(self.now, job, it);
        }
    }

    /// Creates the next import of a target, if one is due and may start; else notes when to look
    /// again.
    fn admit(&mut self, lane: usize) -> bool {
        let target = &mut self.lanes[lane];
        if !target.look || target.ready.is_empty() {
            return false;
        }
        target.look = false;
        target.wake = None;
        if target.shut.is_some_and(|shut| shut > self.now) {
            target.wake = target.shut;
            return false;
        }
        target.shut = None;
        if target
            .narrow
            .is_some_and(|(_, most)| target.in_front >= most)
        {
            return false;
        }
        let mut live: Option<Rc<[usize]>> = None;
        let mut opens = None;
        // A service may find its window sooner, when another of it has begun elsewhere.
        let mut by_time = self.together.is_empty();
        for place in 0..self.lanes[lane].ready.len() {
            let rank = self.lanes[lane].ready[place];
            if self.mode == Mode::Exact && self.lanes[lane].sequence.last() != Some(&rank) {
                break;
            }
            let job = self.order[rank as usize];
            match self.may_start(lane, job, &mut live) {
                Ok(window) => {
                    match self.due(lane, job) {
                        Due::Now => {
                            self.create(lane, place, window);
                            self.lanes[lane].look = true;
                            return true;
                        }
                        Due::At(at) => self.lanes[lane].wake = Some(at),
                        Due::Later => {}
                    }
                    return false;
                }
                Err(hold) => {
                    match hold.until() {
                        Some(at) => opens = Some(opens.map_or(at, |opens: Millis| opens.min(at))),
                        None => by_time = false,
                    }
                    self.held[job] = Some((self.now, hold));
                }
            }
        }
        // Nobody may start: time alone changes that only where a window opens.
        let target = &mut self.lanes[lane];
        target.wake = opens;
        if by_time && self.mode == Mode::FirstThatFits {
            target.shut = opens;
        }
        false
    }

    /// When a job that may start is due, after those under way: the executor's rule. An engine
    /// that does not block makes nobody wait but for an exporter.
    fn due(&self, lane: usize, job: usize) -> Due {
        let (policy, lead) = (self.estate.problem.admission, self.estate.jobs[job].lead);
        if self.estate.problem.jobs[job].under_way {
            return Due::Now;
        }
        let lane = &self.lanes[lane];
        if let Engine::Flow(_) = lane.engine {
            return Due::Now;
        }
        let ahead = lane.live.iter().map(|(other, _)| {
            let images = self.estate.problem.jobs[*other].estimates.images.value;
            lane.ahead(*other, images.into())
        });
        ahead
            .map(|ahead| due(policy, ahead, lead, self.now))
            .max()
            .unwrap_or(Due::Now)
    }

    /// `window`: its occurrence, and its position in the job's calendar.
    fn create(&mut self, lane: usize, place: usize, window: Option<(usize, usize)>) {
        let (now, problem) = (self.now, self.estate.problem);
        let target = &mut self.lanes[lane];
        let rank = target.ready.remove(place).expect("it was offered");
        let job = self.order[rank as usize];
        target.sequence.pop();
        let before = target.last.replace(job);
        let before = before.map(|before| (target.engine.steps(before).created, before));
        let it = &problem.jobs[job];
        target
            .engine
            .create(now, job, it, &self.estate.jobs[job].spec);
        target.in_front += usize::from(target.narrow.is_some());
        let at = target.live.partition_point(|(other, _)| *other < job);
        target.live.insert(at, (job, Bytes::ZERO));
        target.hold(job, self.estate.jobs[job].peak);
        target.used.memory += it.takes.memory;
        target.used.cpu_milli += it.takes.cpu_milli;
        if !problem.targets[lane].profile.has_stage() {
            target.used.storage += it.takes.storage;
        }
        let place = target.created;
        target.created += 1;
        if let Some(host) = it.host {
            self.on_host[host] += 1;
        }
        if let Some((occurrence, _)) = &window {
            self.started[*occurrence] += 1;
        }
        if let Some(service) = self.estate.jobs[job].service {
            let together = &mut self.together[service];
            together.left -= 1;
            together.occurrence = window.as_ref().map(|(occurrence, _)| *occurrence);
        }
        self.fixed[lane].retain(|(_, other)| *other != job);
        self.placed[job] = Some(Placed {
            why: self.why(job, before),
            window: window.map(|(_, at)| at),
            place,
        });
    }

    /// What kept a job that starts now from starting earlier: what it was last refused for, unless
    /// another was preferred to it since.
    fn why(&self, job: usize, before: Option<(Millis, usize)>) -> Why {
        let refused = self.held[job].as_ref();
        let refused = refused.filter(|(at, _)| before.is_none_or(|(created, _)| *at >= created));
        if let Some((_, hold)) = refused {
            return Why::Refused(hold.clone());
        }
        let since = before.map_or(Millis::ZERO, |(created, _)| created);
        if self.waits.ready_at[job] > since {
            match self.waits.opened_by(self.estate.problem, job) {
                Some(opener) => return Why::Opened(opener),
                None if self.estate.jobs[job].staged => return Why::Stage,
                None => {}
            }
        }
        before.map_or(Why::Nothing, |(_, other)| Why::Turn(other))
    }

    /// The times of a job that was created.
    fn times(&self, job: usize) -> SlotTimes {
        let target = self.estate.problem.jobs[job].target;
        let steps = self.lanes[target].engine.steps(job);
        let seconds = |at: Option<Millis>| at.unwrap_or_default().seconds();
        SlotTimes {
            created: steps.created.seconds(),
            off: seconds(steps.off),
            export_start: seconds(steps.export_start),
            exported: seconds(steps.exported),
            images_in: seconds(steps.images_in),
            machine: seconds(steps.machine),
            ready: seconds(steps.ready),
            running: seconds(steps.running),
            released: seconds(steps.released),
        }
    }

    fn window_of(&self, job: usize, placed: &Placed) -> Option<&'a Window> {
        let problem = self.estate.problem;
        let calendar = problem.jobs[job].calendar?;
        Some(&problem.calendars[calendar][placed.window?])
    }

    fn decoded(self, needs: &[Seconds]) -> Decoded {
        let problem = self.estate.problem;
        let mut slots = Vec::new();
        for (job, placed) in self.placed.iter().enumerate() {
            let Some(placed) = placed else {
                continue;
            };
            let it = &problem.jobs[job];
            let steps = self.lanes[it.target].engine.steps(job);
            let slot = Slot {
                vm: it.vm.clone(),
                name: it.name.clone(),
                target: it.target,
                place: placed.place,
                window: self.window_of(job, placed).cloned(),
                stage: steps.stage.map(|(from, to)| (from.seconds(), to.seconds())),
                times: self.times(job),
                held: placed.why.told(problem),
            };
            slots.push((job, slot));
        }
        slots.sort_by(|(_, a), (_, b)| (a.times.created, &a.vm).cmp(&(b.times.created, &b.vm)));
        let scratch = super::scratch::curves(problem, &slots);
        let unplaced = self.unplaced(needs);
        let mut steps = self.steps;
        steps.sort_unstable();
        Decoded {
            slots,
            unplaced,
            steps,
            scratch,
        }
    }

    /// The reasons of those that were never created, by VM.
    fn unplaced(&self, needs: &[Seconds]) -> Vec<Unplaced> {
        let problem = self.estate.problem;
        let mut missing: Vec<usize> = (0..problem.jobs.len())
            .filter(|job| self.placed[*job].is_none())
            .collect();
        missing.sort_by(|a, b| problem.jobs[*a].vm.cmp(&problem.jobs[*b].vm));
        missing
            .into_iter()
            .map(|job| Unplaced {
                vm: problem.jobs[job].vm.clone(),
                name: problem.jobs[job].name.clone(),
                reason: self.reason(job, needs),
            })
            .collect()
    }
}

impl Lane {
    /// How far an import is, as the executor sees it. `images` is how long its images are predicted
    /// to take.
    fn ahead(&self, job: usize, images: Millis) -> Ahead {
        let steps = self.engine.steps(job);
        match (steps.machine, steps.exported) {
            (Some(_), _) => Ahead::Created,
            (None, None) => Ahead::Exporting,
            (None, Some(exported)) => Ahead::Imaging {
                images_in: steps.images_in.unwrap_or(exported + images),
            },
        }
    }

    /// A job under way may hold so much from now on.
    fn hold(&mut self, job: usize, bytes: Bytes) {
        if let Ok(at) = self.live.binary_search_by_key(&job, |(job, _)| *job) {
            let before = std::mem::replace(&mut self.live[at].1, bytes);
            self.held = self.held.saturating_sub(before) + bytes;
        }
    }
}

/// The VM of a job.
pub(super) fn vm(problem: &Problem, job: usize) -> VmKey {
    problem.jobs[job].vm.clone()
}
