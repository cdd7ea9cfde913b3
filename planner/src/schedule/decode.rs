//! An order of imports → a schedule, on the engine's own simulation.
//!
//! Plays the executor: at each moment at which the engine is due for another import
//! (`engine::admission`), the first one of the order that may start is created; a machine that is
//! ready is announced to the engine, and an import that is finished is deleted. All targets run on
//! one clock, because dependencies cross them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use engine::admission::{Ahead, Due, due, lead};
use engine::{Change, Guest, ImportId, ImportSpec, Millis, Sim, Timing, What};
use schemas::forecast::ScratchStep;
use schemas::ids::VmKey;
use schemas::units::{Bytes, Seconds};
use schemas::upstream::ImportState;

use super::{Held, Problem, ScratchUse, Slot, SlotTimes, Unplaced, UnplacedReason, Window};
use crate::graph::Dag;

/// What is the same for every order of a problem.
pub(super) struct Estate<'a> {
    problem: &'a Problem,
    dag: &'a Dag,
    jobs: Vec<Prepared>,
}

/// One job, ready for the engine.
struct Prepared {
    spec: Arc<ImportSpec>,
    /// From creation to the look that finds its guest off.
    lead: Millis,
    /// From creation until its machine is ready, on an idle engine.
    cut: Seconds,
    /// Positions of those that it excludes.
    excludes: Vec<usize>,
    peak: Bytes,
    resident: Bytes,
    /// It can never be placed.
    hopeless: Option<UnplacedReason>,
}

/// What came of an order.
pub(super) struct Decoded {
    /// By creation, then by VM; with the job's position.
    pub slots: Vec<(usize, Slot)>,
    /// By VM.
    pub unplaced: Vec<Unplaced>,
    pub scratch: Vec<ScratchUse>,
}

impl<'a> Estate<'a> {
    pub fn new(problem: &'a Problem, dag: &'a Dag) -> Self {
        let positions: BTreeMap<&VmKey, usize> =
            problem.jobs.iter().map(|job| &job.vm).zip(0..).collect();
        let prepare = |(position, job): (usize, &super::Job)| {
            let shutdown: Millis = job.estimates.shutdown.value.into();
            let cut = job.cut_p90;
            let profile = &problem.targets[job.target].profile;
            let excludes = job.excludes.iter();
            Prepared {
                spec: Arc::new(import_spec(job, position)),
                lead: lead(profile, job.kind, shutdown),
                cut,
                excludes: excludes
                    .filter_map(|vm| positions.get(vm).copied())
                    .collect(),
                peak: job.size.peak.0.max(job.size.resident.0),
                resident: job.size.resident.0,
                hopeless: hopeless(problem, job, cut),
            }
        };
        Self {
            problem,
            dag,
            jobs: problem
                .jobs
                .iter()
                .zip(0..)
                .map(|(job, n)| prepare((n, job)))
                .collect(),
        }
    }

    /// The schedule that comes of offering the jobs in this order.
    pub fn decode(&self, order: &[usize]) -> Decoded {
        Decoder::new(self, order).run()
    }
}

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

/// Why a job can never be placed, whatever the others do.
fn hopeless(problem: &Problem, job: &super::Job, cut: Seconds) -> Option<UnplacedReason> {
    let usable = problem.targets[job.target].usable;
    if job.size.peak.0 > usable {
        return Some(UnplacedReason::LargerThanScratch {
            needs: job.size.peak.0,
            usable,
        });
    }
    let windows = &problem.calendars[job.calendar?];
    let longest = windows.iter().map(|w| w.to.saturating_sub(w.from)).max()?;
    (longest < cut).then_some(UnplacedReason::WindowsTooShort {
        needs: cut,
        longest,
    })
}

/// One target while it is decoded.
struct Lane {
    sim: Sim,
    /// The job of each import.
    job_of: Vec<usize>,
    /// Jobs under way: their import, and what they may hold of the scratch.
    live: BTreeMap<usize, (ImportId, Bytes)>,
    held: Bytes,
    last: Option<ImportId>,
    /// Jobs not yet created, most urgent first.
    waiting: Vec<usize>,
    /// Something changed that may let a job start.
    look: bool,
    /// When time alone may let one start.
    wake: Option<Millis>,
    curve: Vec<ScratchStep>,
}

/// What keeps a job back: [`Held`] by positions, for it is asked often and told once.
#[derive(Clone, Debug)]
enum Hold {
    /// Somebody it depends on does not run.
    Dependency,
    /// The next window that is long enough opens then.
    Window(Seconds),
    /// This job is under way.
    Exclusion(usize),
    /// So much scratch is lacking beside these jobs.
    Scratch(Bytes, Rc<[usize]>),
}

struct Decoder<'a> {
    estate: &'a Estate<'a>,
    lanes: Vec<Lane>,
    /// By workload: jobs that do not run yet.
    left: Vec<usize>,
    /// By workload: direct dependencies that do not all run yet.
    open: Vec<usize>,
    /// By workload: the job that was the last of its dependencies to run.
    opened_by: Vec<Option<usize>>,
    /// By job: what kept it back when it was last looked at, and when that was.
    held: Vec<Option<(Millis, Hold)>>,
    /// By job: the import created before it, the window it is in.
    placed: Vec<Option<(ImportId, Held, Option<Window>)>>,
    now: Millis,
}

impl<'a> Decoder<'a> {
    fn new(estate: &'a Estate<'a>, order: &[usize]) -> Self {
        let problem = estate.problem;
        let lane = |target: usize| Lane {
            sim: Sim::new(problem.targets[target].profile.clone()),
            job_of: Vec::new(),
            live: BTreeMap::new(),
            held: Bytes::ZERO,
            last: None,
            waiting: order
                .iter()
                .copied()
                .filter(|job| problem.jobs[*job].target == target)
                .filter(|job| estate.jobs[*job].hopeless.is_none())
                .collect(),
            look: true,
            wake: None,
            curve: Vec::new(),
        };
        let mut left = vec![0; problem.workloads.len()];
        for job in &problem.jobs {
            left[job.workload] += 1;
        }
        let unfinished = |w: &super::Workload| w.after.iter().filter(|w| left[**w] > 0).count();
        Self {
            lanes: (0..problem.targets.len()).map(lane).collect(),
            open: problem.workloads.iter().map(unfinished).collect(),
            opened_by: vec![None; problem.workloads.len()],
            left,
            held: vec![None; problem.jobs.len()],
            placed: vec![None; problem.jobs.len()],
            now: Millis::ZERO,
            estate,
        }
    }

    fn run(mut self) -> Decoded {
        loop {
            for lane in 0..self.lanes.len() {
                self.admit(lane);
            }
            let next = |lane: &Lane| {
                [lane.sim.next_event(), lane.wake]
                    .into_iter()
                    .flatten()
                    .min()
            };
            let Some(next) = self.lanes.iter().filter_map(next).min() else {
                break;
            };
            self.now = self.now.max(next);
            for lane in 0..self.lanes.len() {
                self.advance(lane);
            }
        }
        self.decoded()
    }

    /// Lets a target's clock run to now, and does what the executor does about what happened.
    fn advance(&mut self, lane: usize) {
        let at = self.now;
        let woken = self.lanes[lane].wake.is_some_and(|wake| wake <= at);
        self.lanes[lane].look |= woken;
        for change in self.lanes[lane].sim.advance_to(at) {
            self.react(lane, &change);
        }
    }

    fn react(&mut self, lane: usize, change: &Change) {
        if let What::Scratch(bytes) = change.what {
            push_step(&mut self.lanes[lane].curve, change.at.seconds(), bytes);
        }
        let Some(id) = change.import else { return };
        let target = &mut self.lanes[lane];
        let job = target.job_of[id.index()];
        match &change.what {
            What::MachineReady => target.sim.nudge(id),
            What::Status { state, .. } => match state {
                ImportState::DisksExported => {
                    target.hold(job, self.estate.jobs[job].resident);
                    target.look = true;
                }
                ImportState::VirtualMachineCreated => target.look = true,
                ImportState::VirtualMachineRunning => {
                    target.sim.delete(id);
                    self.runs(job);
                }
                _ => {}
            },
            What::ImageIn { .. } => target.look = true,
            What::Gone => {
                target.hold(job, Bytes::ZERO);
                target.live.remove(&job);
                // Exclusions cross targets no more than engines do, but dependencies may.
                target.look = true;
            }
            _ => {}
        }
    }

    /// A job's machine runs: dependants of its workload may be free to start.
    fn runs(&mut self, job: usize) {
        let workload = self.estate.problem.jobs[job].workload;
        self.left[workload] -= 1;
        if self.left[workload] == 0 {
            for dependant in self.estate.dag.dependants(workload) {
                self.open[dependant] -= 1;
                self.opened_by[dependant] = Some(job);
            }
            for lane in &mut self.lanes {
                lane.look = true;
            }
        }
    }

    /// Creates the next import of a target, if one is due and may start; else notes when to look
    /// again.
    fn admit(&mut self, lane: usize) {
        let target = &mut self.lanes[lane];
        if !target.look || target.waiting.is_empty() {
            return;
        }
        target.look = false;
        target.wake = None;
        let target = &self.lanes[lane];
        if target.live.values().any(|(id, _)| target.is_in_front(*id)) {
            return;
        }
        let live: Rc<[usize]> = target.live.keys().copied().collect();
        let mut opens = None;
        for place in 0..self.lanes[lane].waiting.len() {
            let job = self.lanes[lane].waiting[place];
            match self.may_start(lane, job, &live) {
                Ok(window) => {
                    match self.due(lane, job) {
                        Due::Now => self.create(lane, place, window),
                        Due::At(at) => self.lanes[lane].wake = Some(at),
                        Due::Later => {}
                    }
                    return;
                }
                Err(held) => {
                    if let Hold::Window(at) = held {
                        opens = Some(opens.map_or(at, |opens: Seconds| opens.min(at)));
                    }
                    self.held[job] = Some((self.now, held));
                }
            }
        }
        // Nobody may start: time alone changes that only where a window opens.
        self.lanes[lane].wake = opens.filter(|at| *at < NEVER).map(Millis::from);
    }

    /// When a job that may start is due, after those under way: the executor's rule.
    fn due(&self, lane: usize, job: usize) -> Due {
        let (policy, lead) = (self.estate.problem.admission, self.estate.jobs[job].lead);
        let lane = &self.lanes[lane];
        let ahead = lane.live.iter().map(|(other, (id, _))| {
            let images = self.estate.problem.jobs[*other].estimates.images.value;
            lane.ahead(*id, images.into())
        });
        ahead
            .map(|ahead| due(policy, ahead, lead, self.now))
            .max()
            .unwrap_or(Due::Now)
    }

    /// Whether the job may start now; in which window, or what keeps it back.
    fn may_start(
        &self,
        lane: usize,
        job: usize,
        live: &Rc<[usize]>,
    ) -> Result<Option<Window>, Hold> {
        let (problem, prepared) = (self.estate.problem, &self.estate.jobs[job]);
        let (lane, it) = (&self.lanes[lane], &problem.jobs[job]);
        if self.open[it.workload] > 0 {
            return Err(Hold::Dependency);
        }
        let window = match it.calendar {
            None => None,
            Some(calendar) => Some(self.window(&problem.calendars[calendar], prepared.cut)?),
        };
        let mut excludes = prepared.excludes.iter();
        if let Some(other) = excludes.find(|other| lane.live.contains_key(other)) {
            return Err(Hold::Exclusion(*other));
        }
        let usable = problem.targets[it.target].usable;
        let needs = lane.held + prepared.peak;
        if needs > usable {
            return Err(Hold::Scratch(needs - usable, Rc::clone(live)));
        }
        Ok(window)
    }

    /// The window that is open now and long enough for a cut, or when the next one opens.
    fn window(&self, windows: &[Window], cut: Seconds) -> Result<Window, Hold> {
        let now = self.now.seconds();
        let coming = windows.partition_point(|window| window.to <= now);
        for window in &windows[coming..] {
            let start = window.from.max(now);
            if start >= window.last_start || start + cut + window.reserve > window.to {
                continue;
            }
            return if start == now {
                Ok(window.clone())
            } else {
                Err(Hold::Window(start))
            };
        }
        Err(Hold::Window(NEVER))
    }

    fn create(&mut self, lane: usize, place: usize, window: Option<Window>) {
        let target = &mut self.lanes[lane];
        let job = target.waiting.remove(place);
        let before = target.last.map(|last| {
            let created = target.sim.import(last).times().created;
            (created, target.job_of[last.index()])
        });
        let id = target.sim.create(Arc::clone(&self.estate.jobs[job].spec));
        target.job_of.push(job);
        target.last = Some(id);
        target.live.insert(job, (id, Bytes::ZERO));
        target.hold(job, self.estate.jobs[job].peak);
        let held = self.why(job, before);
        self.placed[job] = Some((id, held, window));
    }

    /// What kept a job that starts now from starting earlier: what it was last refused for, unless
    /// another was preferred to it since.
    fn why(&self, job: usize, before: Option<(Millis, usize)>) -> Held {
        let vm = |job: usize| self.estate.problem.jobs[job].vm.clone();
        let refused = self.held[job].as_ref();
        let refused = refused.filter(|(at, _)| before.is_none_or(|(created, _)| *at >= created));
        match (refused.map(|(_, hold)| hold), before) {
            (None, None) => Held::Nothing,
            (None, Some((_, other))) => Held::Turn { after: vm(other) },
            (Some(Hold::Dependency), _) => {
                let last = self.opened_by[self.estate.problem.jobs[job].workload];
                Held::Dependency {
                    on: vm(last.expect("a workload is opened by the last one before it")),
                }
            }
            (Some(Hold::Window(opens)), _) => Held::Window { opens: *opens },
            (Some(Hold::Exclusion(other)), _) => Held::Exclusion { with: vm(*other) },
            (Some(Hold::Scratch(lacking, holders)), _) => {
                let mut holders: Vec<VmKey> = holders.iter().map(|other| vm(*other)).collect();
                holders.sort();
                Held::Scratch {
                    lacking: *lacking,
                    holders,
                }
            }
        }
    }

    fn decoded(self) -> Decoded {
        let problem = self.estate.problem;
        let mut slots = Vec::new();
        for (job, placed) in self.placed.iter().enumerate() {
            let Some((id, held, window)) = placed else {
                continue;
            };
            let it = &problem.jobs[job];
            let times = self.lanes[it.target].sim.import(*id).times();
            let seconds = |at: Option<Millis>| at.unwrap_or_default().seconds();
            slots.push((
                job,
                Slot {
                    vm: it.vm.clone(),
                    name: it.name.clone(),
                    target: it.target,
                    place: id.index(),
                    window: window.clone(),
                    times: SlotTimes {
                        created: times.created.seconds(),
                        off: seconds(times.off),
                        export_start: seconds(times.export_start),
                        exported: seconds(times.exported),
                        images_in: seconds(times.images_in),
                        machine: seconds(times.machine),
                        ready: seconds(times.ready),
                        running: seconds(times.running),
                        released: seconds(times.released),
                    },
                    held: held.clone(),
                },
            ));
        }
        slots.sort_by(|(_, a), (_, b)| (a.times.created, &a.vm).cmp(&(b.times.created, &b.vm)));
        let scratch = self.lanes.iter().zip(&problem.targets);
        Decoded {
            slots,
            unplaced: self.unplaced(),
            scratch: scratch
                .map(|(lane, target)| ScratchUse {
                    target: target.name.clone(),
                    capacity: target.capacity,
                    usable: target.usable,
                    curve: lane.curve.clone(),
                })
                .collect(),
        }
    }

    /// The reasons of those that were never created.
    fn unplaced(&self) -> Vec<Unplaced> {
        let problem = self.estate.problem;
        let missing = problem.by_vm();
        let missing = missing
            .into_iter()
            .filter(|job| self.placed[*job].is_none());
        let missing: Vec<usize> = missing.collect();
        let first_of = |workload: usize| {
            let vm = missing.iter().map(|job| &problem.jobs[*job]);
            vm.clone()
                .find(|job| job.workload == workload)
                .map(|job| job.vm.clone())
        };
        let reason = |job: usize| {
            if let Some(reason) = &self.estate.jobs[job].hopeless {
                return reason.clone();
            }
            let after = &problem.workloads[problem.jobs[job].workload].after;
            match after.iter().find_map(|workload| first_of(*workload)) {
                Some(vm) => UnplacedReason::Behind { vm },
                None => UnplacedReason::WindowsFull,
            }
        };
        missing
            .iter()
            .map(|job| Unplaced {
                vm: problem.jobs[*job].vm.clone(),
                name: problem.jobs[*job].name.clone(),
                reason: reason(*job),
            })
            .collect()
    }
}

impl Lane {
    /// Whether an import is created and not yet exported: no other one is created beside it.
    fn is_in_front(&self, id: ImportId) -> bool {
        self.sim.import(id).times().exported.is_none()
    }

    /// How far an import is, as the executor sees it. `images` is how long its images are predicted
    /// to take.
    fn ahead(&self, id: ImportId, images: Millis) -> Ahead {
        let times = self.sim.import(id).times();
        match (times.machine, times.exported) {
            (Some(_), _) => Ahead::Created,
            (None, None) => Ahead::Exporting,
            (None, Some(exported)) => Ahead::Imaging {
                images_in: times.images_in.unwrap_or(exported + images),
            },
        }
    }

    /// A job under way may hold so much from now on.
    fn hold(&mut self, job: usize, bytes: Bytes) {
        if let Some((_, before)) = self.live.get_mut(&job) {
            self.held = self.held.saturating_sub(*before) + bytes;
            *before = bytes;
        }
    }
}

/// Later than anything.
const NEVER: Seconds = Seconds(u64::MAX);

/// Adds a step; of several in one second the last counts.
fn push_step(curve: &mut Vec<ScratchStep>, at: Seconds, bytes: Bytes) {
    match curve.last_mut() {
        Some(last) if last.at == at => last.bytes = bytes,
        _ => curve.push(ScratchStep { at, bytes }),
    }
}
