//! One seed's run: a world, an executor that looks, acts and dies, and people who interfere.

use std::collections::{BTreeMap, VecDeque};

use engine::{Guest, Millis, Timing};
use executor_machine::{
    Action, At, MachineState, Observed, Probe, Probed, RunView, StopMode, Wait, Wave, step,
};
use jiff::Timestamp;
use schemas::inventory::SourceKind;
use schemas::site::OnFailure;
use schemas::units::{Bytes, Quantity};
use schemas::upstream::ENGINE_NAMESPACE;
use schemas::wave::WaveSize;

use crate::fleet::{Fleet, HOME, approval, step_approval};
use crate::rng::Rng;
use crate::world::{Answer, World};

/// A run that is not over by then never will be.
const LENGTH_MAX: Millis = Millis::from_minutes(60 * 24 * 30);
/// Nor one that takes so many turns.
const TURNS_MAX: u32 = 200_000;
/// How often a stormy run's executor dies with an action under way, and right after it: that is
/// where it hurts.
const KILLED_PERCENT: u64 = 4;
/// How often its engine dies right after an import was created, or a stop comes right after a
/// record was opened.
const AMBUSHED_PERCENT: u64 = 6;
/// A watch may lag by so much.
const LAG_MAX: Millis = Millis::from_seconds(20);
/// Writes for a VM that nobody disturbs (the project's measure).
const WRITES_MAX: u32 = 10;

/// And for its gate: that it answers, that it holds.
const WRITES_OF_GATE: u32 = 2;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// What happened, line by line.
    pub transcript: Vec<String>,
    /// How the machine saw it at last.
    pub view: RunView,
    /// Most writes of the executor for one VM.
    pub writes_max: u32,
    /// The law that was broken, if one was.
    pub broken: Option<String>,
}

/// How much is to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing at all.
    Calm,
    /// VMs fail.
    Faulty,
    /// And people and processes interfere.
    Stormy,
}

/// What somebody does at some time.
#[derive(Clone, Debug)]
enum Event {
    KillExecutor,
    KillEngine,
    Stop(&'static str, StopMode),
    Start(&'static str),
    Suspend(usize, bool),
    RemoveApprovals,
    Approve,
    Rename(usize),
    Replan(usize),
    RemovePlan,
    ApplyPlan,
    /// A step outside is done: whoever must say so does.
    StepDone,
    RetryGates,
    /// Another plan's machine is further.
    OtherPlan,
    Foreign(u64),
    DeleteImport(usize),
    Heal,
}

/// Runs the world of `seed` to its end.
pub fn run(seed: u64, mood: Mood) -> Report {
    let origin: Timestamp = "2026-11-28T00:00:00Z".parse().expect("it is an instant");
    let faults = match mood {
        Mood::Calm => 0,
        Mood::Faulty | Mood::Stormy => 20,
    };
    let mut rng = Rng::new(seed, "run");
    let mut world = World::new(Fleet::new(seed, origin, faults), origin);
    world.source_delay = Millis::from_seconds(rng.within(0, 20));
    let mut run = Run {
        script: match mood {
            Mood::Stormy => storm(&mut rng, world.fleet.vms.len()),
            Mood::Calm | Mood::Faulty => VecDeque::new(),
        },
        mood,
        origin,
        renamed: 0,
        last: world.observe(),
        looked: Millis::ZERO,
        executor: Executor::default(),
        view: RunView::default(),
        rng,
        world,
    };
    for step in run.world.fleet.steps.clone().iter().flatten() {
        run.plan_event(step.done_at, Event::StepDone);
    }
    for other in run.world.fleet.elsewhere.clone().iter().flatten() {
        for (at, _) in &other.story {
            run.plan_event(*at, Event::OtherPlan);
        }
    }
    run.apply_plan();
    run.approve();
    run.finish()
}

struct Run {
    world: World,
    rng: Rng,
    origin: Timestamp,
    mood: Mood,
    script: VecDeque<(Millis, Event)>,
    renamed: u32,
    executor: Executor,
    /// An older picture: some of what is seen may still be from it.
    last: Observed,
    /// When that was.
    looked: Millis,
    view: RunView,
}

/// The process around the machine. All that it holds is lost when it dies.
#[derive(Debug, Default)]
struct Executor {
    /// What it was told to do, not done yet.
    todo: VecDeque<Action>,
    /// It does the next of it, or looks, at this time.
    busy_until: Millis,
    /// It has been told to look again at this time.
    wake: Option<Millis>,
    /// Something has changed since it looked.
    is_dirty: bool,
    /// A request of one that died, and when it arrives.
    in_flight: Option<(Millis, Action)>,
    /// What came of the ports that it tried.
    probes: BTreeMap<Probe, Probed>,
    /// It has written since it looked: older pictures are no good any more.
    has_written: bool,
}

impl Run {
    fn finish(mut self) -> Report {
        self.executor.is_dirty = true;
        let mut turns = 0;
        while self.world.broken.is_none() {
            turns += 1;
            let Some(next) = self.next() else {
                break;
            };
            if turns > TURNS_MAX || next > LENGTH_MAX {
                self.world.fail(format!("no end: {:?}", self.view));
                break;
            }
            self.turn(next);
        }
        self.world.data_laws();
        self.final_laws();
        self.rest_law();
        Report {
            writes_max: self.world.writes.values().copied().max().unwrap_or(0),
            broken: self.world.broken.clone(),
            transcript: self.world.transcript,
            view: self.view,
        }
    }

    /// When something happens next; none: never again.
    fn next(&self) -> Option<Millis> {
        let executor = &self.executor;
        let is_at_work = executor.is_dirty || !executor.todo.is_empty();
        let is_over = self.view.finished && self.script.is_empty() && !is_at_work;
        if is_over && executor.in_flight.is_none() {
            return None;
        }
        let now = self.world.sim.now();
        [
            self.world.next_event(),
            self.script.front().map(|(at, _)| *at),
            executor.in_flight.as_ref().map(|(at, _)| *at),
            executor.wake,
            is_at_work.then_some(executor.busy_until),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| at.max(now))
        // A month without anything: the bound will tell.
        .or(Some(now + LENGTH_MAX))
    }

    fn turn(&mut self, now: Millis) {
        if self.world.advance_to(now) {
            self.executor.is_dirty = true;
        }
        while self.script.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, event)) = self.script.pop_front() {
                self.happen(&event);
                self.executor.is_dirty = true;
            }
        }
        if let Some((_, action)) = self.executor.in_flight.take_if(|(at, _)| *at <= now) {
            self.world.act(&action);
            self.executor.is_dirty = true;
        }
        if self.executor.wake.is_some_and(|at| at <= now) {
            self.executor.wake = None;
            self.executor.is_dirty = true;
        }
        if self.executor.busy_until > now {
            return;
        }
        let is_at_work = !self.executor.todo.is_empty();
        if is_at_work && self.mood == Mood::Stormy && self.rng.percent(KILLED_PERCENT) {
            // With a request on its way, or just before it.
            self.happen(&Event::KillExecutor);
        } else if let Some(action) = self.executor.todo.pop_front() {
            let answer = self.world.act(&action);
            self.executor.has_written |= answer == Answer::Done;
            self.executor.busy_until = now + Millis(self.rng.within(5, 400));
            if answer == Answer::Conflict {
                // The picture was stale: look again.
                self.executor.todo.clear();
            }
            self.executor.is_dirty = true;
            if self.mood == Mood::Stormy {
                self.ambush(&action);
            }
        } else if self.executor.is_dirty {
            self.look();
        }
    }

    /// The worst moments: right after a deed, and with an import that the engine has not seen.
    fn ambush(&mut self, after: &Action) {
        let now = self.world.sim.now();
        if matches!(after, Action::CreateImport { .. }) && self.rng.percent(AMBUSHED_PERCENT) {
            self.happen(&Event::KillEngine);
            if self.rng.percent(60) {
                let stop = now + Millis(self.rng.within(0, 20_000));
                let start = stop + Millis(self.rng.within(0, 300_000));
                self.plan_event(stop, Event::Stop(HOME, StopMode::Withdraw));
                self.plan_event(start, Event::Start(HOME));
            }
        }
        if matches!(after, Action::OpenRecord { .. }) && self.rng.percent(AMBUSHED_PERCENT) {
            self.happen(&Event::Stop(HOME, StopMode::Admit));
            let start = now + Millis(self.rng.within(0, 300_000));
            self.plan_event(start, Event::Start(HOME));
        }
        if self.rng.percent(KILLED_PERCENT) {
            self.happen(&Event::KillExecutor);
        }
    }

    fn plan_event(&mut self, at: Millis, event: Event) {
        let place = self.script.partition_point(|(other, _)| *other <= at);
        self.script.insert(place, (at, event));
    }

    /// The executor looks, and is told what to do.
    fn look(&mut self) {
        let (mut observed, is_stale) = self.picture();
        observed.probes.clone_from(&self.executor.probes);
        let now = self.world.now();
        let step = step(&observed, now);
        if self.rng.percent(1) && step != executor_machine::step(&observed, now) {
            self.world
                .fail("the same picture, another answer".to_owned());
        }
        let executor = &mut self.executor;
        executor.todo = step.actions.into();
        executor.wake = step.wake.map(|at| millis(self.origin, at));
        if is_stale {
            // Its watches bring the rest a little later.
            let soon = self.world.sim.now() + Millis::from_seconds(2);
            executor.wake = Some(executor.wake.map_or(soon, |wake| wake.min(soon)));
        }
        executor.is_dirty = !step.probes.is_empty();
        for probe in step.probes {
            let probed = self.world.probe(&probe);
            executor.probes.insert(probe, probed);
        }
        executor.has_written = false;
        executor.busy_until = self.world.sim.now() + Millis(self.rng.within(5, 300));
        self.view = step.view;
    }

    /// What the executor sees, and whether some of it is old: each kind of object as it is, or as
    /// it was at its last look, but never older than its own last write.
    fn picture(&mut self) -> (Observed, bool) {
        let fresh = self.world.observe();
        let old = std::mem::replace(&mut self.last, fresh.clone());
        let mut picture = fresh;
        let mut is_stale = false;
        let now = self.world.sim.now();
        let lag = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        if self.mood == Mood::Stormy && !self.executor.has_written && lag <= LAG_MAX {
            let mut is_old = || {
                let is_old = self.rng.percent(10);
                is_stale |= is_old;
                is_old
            };
            if is_old() {
                picture.imports = old.imports;
            }
            if is_old() {
                picture.images = old.images;
            }
            if is_old() {
                picture.machines = old.machines;
            }
            if is_old() {
                picture.waves = old.waves;
                picture.approvals = old.approvals;
                picture.stops = old.stops;
            }
            if is_old() {
                picture.scratch_files = None;
            }
        }
        (picture, is_stale)
    }

    fn happen(&mut self, event: &Event) {
        let now = self.world.sim.now();
        self.world.say(now, &format!("* {event:?}"));
        match *event {
            Event::KillExecutor => {
                let mut died = std::mem::take(&mut self.executor);
                if let Some(action) = died.todo.pop_front()
                    && self.rng.percent(60)
                {
                    let arrives = now + Millis(self.rng.within(0, 3000));
                    self.executor.in_flight = Some((arrives, action));
                }
                // A person is quick, a Lease is not.
                let absent = *self.rng.pick(&[1000, 5000, 120_000]);
                self.executor.busy_until = now + Millis(self.rng.within(100, absent));
                self.executor.is_dirty = true;
                self.executor.has_written = true;
            }
            Event::KillEngine => {
                self.world.sim.kill();
                let after = *self.rng.pick(&[20, 100, 400]);
                let after = Millis::from_seconds(self.rng.within(5, after));
                self.world.restart_engine_after(after);
            }
            Event::Stop(namespace, mode) => {
                self.world.stops.insert(namespace.into(), mode);
            }
            Event::Start(namespace) => {
                self.world.stops.remove(namespace);
            }
            Event::Suspend(n, suspend) => self.edit(n, |wave| wave.spec.suspend = Some(suspend)),
            Event::RemoveApprovals => self.world.approvals.clear(),
            Event::Approve => self.approve(),
            Event::Rename(n) => self.rename(n),
            Event::Replan(n) => self.edit(n, |wave| {
                // Another decision: another digest, and so another approval.
                let storage = wave.spec.imports.first().map(|i| i.storage_class.clone());
                for import in &mut wave.spec.imports {
                    import.storage_class =
                        format!("{}-x", storage.as_ref().map_or("", |s| s.as_str())).into();
                }
                wave.spec.digest = wave.spec.compute_digest();
            }),
            Event::RemovePlan => self.world.waves.clear(),
            Event::ApplyPlan => self.apply_plan(),
            Event::StepDone => self.approve_steps(),
            Event::RetryGates => self.world.retry_gates(),
            Event::OtherPlan => self.world.hear_of_others(),
            Event::Foreign(n) => self.foreign(n),
            Event::DeleteImport(n) => {
                let vm = n % self.world.fleet.vms.len();
                self.world.delete_by_hand(vm);
            }
            Event::Heal => {
                for id in self.world.sim.ids() {
                    self.world.sim.heal(id);
                }
            }
        }
    }

    fn apply_plan(&mut self) {
        for (at, spec) in self.world.fleet.waves.clone() {
            let wave = Wave {
                spec,
                generation: 1,
                status: None,
                plan_suspended: false,
            };
            self.world.waves.entry(at).or_insert(wave);
        }
    }

    fn approve(&mut self) {
        for (at, wave) in &self.world.waves {
            let approval = approval(at, &wave.spec);
            self.world.approvals.insert(at.clone(), approval);
        }
        self.approve_steps();
    }

    fn approve_steps(&mut self) {
        let now = self.world.sim.now();
        let steps = self.world.fleet.steps.iter().flatten();
        let done = steps.filter(|step| step.done_at <= now);
        let approvals = done.map(|step| step_approval(&step.wave));
        self.world.approvals.extend(approvals);
    }

    fn edit(&mut self, n: usize, edit: impl FnOnce(&mut Wave)) {
        let count = self.world.waves.len().max(1);
        if let Some(wave) = self.world.waves.values_mut().nth(n % count) {
            edit(wave);
            wave.generation += 1;
        }
    }

    /// The file of a wave gets another name; whoever syncs deletes the old object.
    fn rename(&mut self, n: usize) {
        let count = self.world.waves.len().max(1);
        let Some(at) = self.world.waves.keys().nth(n % count).cloned() else {
            return;
        };
        if let Some(wave) = self.world.waves.remove(&at) {
            self.renamed += 1;
            let name = format!("{}-again{}", at.name, self.renamed);
            self.world.waves.insert(At::new(HOME, name), wave);
        }
    }

    fn foreign(&mut self, n: u64) {
        let at = At::new("other", format!("theirs{n}"));
        let minutes = |rng: &mut Rng| Timing::After(Millis::from_minutes(rng.within(1, 40)));
        let rng = &mut self.rng;
        let nothing = Quantity(Bytes(0));
        let size = WaveSize {
            peak: nothing,
            resident: nothing,
            transfer: nothing,
            disks: nothing,
        };
        let spec = engine::ImportSpec::of_size(
            (
                at.namespace.clone(),
                at.name.clone(),
                format!("theirs{n}").into(),
            ),
            SourceKind::Openstack,
            &size,
            Guest::Off,
            (minutes(rng), minutes(rng), minutes(rng)),
        );
        self.world.create_foreign(&at, spec);
    }

    // ---- laws at the end --------------------------------------------------------------------

    fn final_laws(&mut self) {
        if self.world.broken.is_some() {
            return;
        }
        for machine in self.view.machines.clone() {
            let record = &machine.record.name;
            let Some(vm) = self.world.fleet.find(record) else {
                continue;
            };
            let runs = self.world.runs(vm);
            let is_done = machine.state == MachineState::Done;
            let is_shut = runs && self.world.is_shut(vm);
            if is_done != runs && !is_shut {
                self.world
                    .fail(format!("VM {vm} runs: {runs}, and is {:?}", machine.state));
            }
            if !is_done && !self.is_excused(vm, &machine.state) {
                self.world
                    .fail(format!("VM {vm} is sound, and is {:?}", machine.state));
            }
            let writes = self.world.writes.get(&machine.record).copied().unwrap_or(0);
            let of_gate = match self.world.fleet.gates[self.world.fleet.vms[vm].workload] {
                Some(_) => WRITES_OF_GATE,
                None => 0,
            };
            if self.mood == Mood::Calm && writes > WRITES_MAX + of_gate {
                self.world.fail(format!("{writes} writes for VM {vm}"));
            }
        }
    }

    /// A run that calls itself finished begins nothing any more, even half a day later.
    fn rest_law(&mut self) {
        let later = self.world.sim.now() + Millis::from_minutes(12 * 60);
        self.world.advance_to(later);
        let step = step(&self.world.observe(), self.world.now());
        let begins = |action: &Action| {
            matches!(
                action,
                Action::OpenRecord { .. }
                    | Action::OpenAttempt { .. }
                    | Action::CreateImport { .. }
            )
        };
        if let Some(action) = step.actions.into_iter().find(begins) {
            self.world
                .fail(format!("it had finished, and then: {action:?}"));
        }
    }

    /// There is a reason for which it does not run.
    fn is_excused(&self, vm: usize, state: &MachineState) -> bool {
        let truth = &self.world.fleet.vms[vm];
        match state {
            MachineState::Failed(_) => {
                !truth.is_sound()
                    || self.world.is_shut(vm)
                    || self.world.meddled.contains(&vm)
                    || self.world.is_spoilt(vm)
            }
            // Those in front of it hold what it needs, and only a person can take it from them; or
            // its window is over.
            MachineState::Blocked { plan: Some(_), .. } => {
                let mut others = self.world.fleet.elsewhere.iter().flatten();
                others.any(|other| other.runs_at().is_none())
            }
            MachineState::Blocked { plan: None, .. }
            | MachineState::Waiting(
                Wait::Scratch { .. }
                | Wait::Exclusion { .. }
                | Wait::Dependency { .. }
                | Wait::Barrier { .. }
                | Wait::TooLate { .. },
            ) => true,
            // Nobody begins with it over there.
            MachineState::Waiting(Wait::Plan(_)) => {
                let other = self.world.fleet.elsewhere[truth.workload].as_ref();
                other.is_some_and(|other| other.runs_at().is_none())
            }
            MachineState::Waiting(Wait::Wave) => {
                let mut waves = self.world.waves.values();
                waves.any(|wave| wave.spec.window.is_some())
                    || self.world.fleet.on_failure != OnFailure::Isolate
            }
            MachineState::Waiting(_) | MachineState::Active(_) | MachineState::Done => false,
        }
    }
}

fn millis(origin: Timestamp, at: Timestamp) -> Millis {
    let since = at.duration_since(origin).as_millis();
    Millis(u64::try_from(since).unwrap_or(0))
}

/// What people and processes do in a stormy run: everything that stops it is undone after a while.
fn storm(rng: &mut Rng, vms: usize) -> VecDeque<(Millis, Event)> {
    let mut script = Vec::new();
    // While it lasts: a VM takes some eight minutes.
    let length = vms as u64 * 8 * 60;
    for n in 0..rng.within(1, 20) {
        let at = Millis::from_seconds(rng.within(0, length));
        let later = at + Millis::from_seconds(rng.within(1, 30 * 60));
        let wave = usize::try_from(rng.within(0, 4)).unwrap_or(0);
        let place = *rng.pick(&[HOME, ENGINE_NAMESPACE]);
        match rng.within(0, 15) {
            0..=3 => script.push((at, Event::KillExecutor)),
            4 | 5 => script.push((at, Event::KillEngine)),
            6 => {
                script.push((at, Event::Stop(place, StopMode::Admit)));
                script.push((later, Event::Start(place)));
            }
            7 | 8 => {
                script.push((at, Event::Stop(place, StopMode::Withdraw)));
                script.push((later, Event::Start(place)));
            }
            9 => {
                script.push((at, Event::Suspend(wave, true)));
                script.push((later, Event::Suspend(wave, false)));
            }
            10 => {
                script.push((at, Event::RemoveApprovals));
                script.push((later, Event::Approve));
            }
            11 => {
                script.push((at, Event::Rename(wave)));
                script.push((later, Event::Approve));
            }
            12 => {
                script.push((at, Event::Replan(wave)));
                script.push((later, Event::Approve));
            }
            13 => {
                script.push((at, Event::RemovePlan));
                script.push((later, Event::ApplyPlan));
                script.push((later, Event::Approve));
            }
            _ => {
                script.push((at, Event::Foreign(n)));
                script.push((later, Event::DeleteImport(wave * 3)));
                script.push((later, Event::Heal));
            }
        }
    }
    script.sort_by_key(|(at, _)| *at);
    // Whatever was stopped goes on in the end.
    let end = Millis::from_seconds(length) + Millis::from_minutes(60);
    for event in [
        Event::Start(HOME),
        Event::Start(ENGINE_NAMESPACE),
        Event::Suspend(0, false),
        Event::Suspend(1, false),
        Event::Suspend(2, false),
        Event::Suspend(3, false),
        Event::ApplyPlan,
        Event::Approve,
        Event::RetryGates,
    ] {
        script.push((end, event));
    }
    script.into()
}
