//! What may hold a job back when an engine is due for it.

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::Millis;
use schemas::ids::{OccurrenceId, VmKey, WindowName};
use schemas::units::{Bytes, Seconds};

use super::decode::{Decoder, Estate, Prepared, vm};
use super::waits::Opener;
use super::{Held, Job, Problem, Resource, Room, UnplacedReason, Window};

/// What keeps a job back: [`Held`] by positions, for it is asked often and told once.
#[derive(Clone, Debug)]
pub(super) enum Hold {
    /// The next window that is long enough opens then; none: never.
    Window(Option<Seconds>),
    /// This job is under way.
    Exclusion(usize),
    /// So much scratch is lacking beside these jobs.
    Scratch(Bytes, Rc<[usize]>),
    /// All slots of its host are taken.
    Host(usize),
    /// The target has no room left for its machine, and never will.
    Room(Resource),
    /// A service has the engine to itself.
    Service(usize),
    /// What its service waits for outside has not come.
    ServiceWaits(usize),
    /// It would be in the way of this job, whose creation is fixed; until that moment is past.
    Fixed(usize, Millis),
    /// Its own creation is fixed for then.
    Until(Millis),
}

impl Hold {
    /// When time alone changes it.
    pub fn until(&self) -> Option<Millis> {
        match self {
            Self::Window(at) => at.map(Millis::from),
            Self::Until(at) | Self::Fixed(_, at) => Some(*at),
            _ => None,
        }
    }

    /// For people.
    pub fn told(&self, problem: &Problem) -> Held {
        match self {
            Self::Window(opens) => Held::Window {
                opens: opens.unwrap_or_default(),
            },
            Self::Exclusion(other) => Held::Exclusion {
                with: vm(problem, *other),
            },
            Self::Scratch(lacking, holders) => {
                let mut holders: Vec<VmKey> = holders.iter().map(|job| vm(problem, *job)).collect();
                holders.sort();
                Held::Scratch {
                    lacking: *lacking,
                    holders,
                }
            }
            Self::Host(host) => Held::Host {
                host: problem.hosts[*host].name.clone(),
            },
            Self::Room(resource) => Held::Room {
                resource: *resource,
            },
            Self::Service(service) | Self::ServiceWaits(service) => Held::Service {
                service: problem.services[*service].name.clone(),
            },
            Self::Fixed(other, _) => Held::Fixed {
                of: vm(problem, *other),
            },
            Self::Until(_) => Held::Approved,
        }
    }
}

/// A service that must be together.
pub(super) struct Service {
    /// Its position in the problem.
    pub position: usize,
    /// Its jobs that keep windows, sorted.
    pub jobs: Vec<usize>,
    /// From its first creation to its last gate, at least.
    pub needs: Seconds,
    /// The longest window that any of them has.
    pub longest: Seconds,
}

impl Estate<'_> {
    /// Fills in what follows from the problem alone.
    pub fn prepare(&mut self) {
        let problem = self.problem;
        let mut known: BTreeMap<(&WindowName, &OccurrenceId), usize> = BTreeMap::new();
        for calendar in &problem.calendars {
            let mut of = Vec::with_capacity(calendar.len());
            for window in calendar {
                let next = known.len();
                let key = (&window.name, &window.occurrence);
                let occurrence = *known.entry(key).or_insert(next);
                if occurrence == self.occurrences.len() {
                    self.occurrences.push(window.vms_max);
                }
                of.push(occurrence);
            }
            self.occurrence_of.push(of);
        }
        let positions: BTreeMap<&VmKey, usize> =
            problem.jobs.iter().map(|job| &job.vm).zip(0..).collect();
        for (position, job) in problem.jobs.iter().enumerate() {
            let mut prepared = Prepared::new(problem, position);
            let windows = self.windows(position).map(|own| own.map(|(_, it)| it));
            prepared.hopeless = hopeless(problem, job, &prepared, windows);
            let excludes = job.excludes.iter().filter_map(|vm| positions.get(vm));
            prepared.excludes = excludes
                .copied()
                // Engines of different targets share no files.
                .filter(|other| problem.jobs[*other].target == job.target)
                .collect();
            self.jobs.push(prepared);
        }
        // Whoever excludes is excluded.
        for job in 0..self.jobs.len() {
            for other in self.jobs[job].excludes.clone() {
                if !self.jobs[other].excludes.contains(&job) {
                    self.jobs[other].excludes.push(job);
                }
            }
        }
        for job in &mut self.jobs {
            job.excludes.sort_by_key(|other| &problem.jobs[*other].vm);
        }
        self.find_services();
    }

    fn find_services(&mut self) {
        let problem = self.problem;
        for (position, service) in problem.services.iter().enumerate() {
            let mut service_jobs: Vec<usize> = Vec::new();
            for (job, it) in problem.jobs.iter().enumerate() {
                let keeps = it.calendar.is_some() && self.jobs[job].hopeless.is_none();
                if service.together && keeps && service.workloads.contains(&it.workload) {
                    service_jobs.push(job);
                }
            }
            if service_jobs.is_empty() {
                continue;
            }
            let windows = service_jobs.iter().filter_map(|job| self.windows(*job));
            let longest = windows
                .flatten()
                .map(|(_, window)| window.to.saturating_sub(window.from))
                .max();
            for job in &service_jobs {
                self.jobs[*job].service = Some(self.services.len());
            }
            // No less than what only some may do at once on one engine, or its longest cut.
            let narrow = (0..problem.targets.len()).filter_map(|target| -> Option<Seconds> {
                let profile = &problem.targets[target].profile;
                let (phase, at_once) = profile.narrow()?;
                let own = service_jobs.iter().map(|job| &problem.jobs[*job]);
                let own = own.filter(|job| job.target == target);
                let all: Seconds = own.map(|job| job.estimates.of(phase.lasts)).sum();
                Some(Seconds(all.0 / u64::from(at_once.max(1))))
            });
            let cuts = service_jobs
                .iter()
                .map(|job| problem.jobs[*job].cut_p90 + problem.jobs[*job].gate);
            let needs = narrow.chain(cuts).max().unwrap_or_default();
            self.services.push(Service {
                position,
                jobs: service_jobs,
                needs,
                longest: longest.unwrap_or_default(),
            });
        }
    }
}

/// Why a job can never be placed, whatever the others do.
fn hopeless<'a>(
    problem: &Problem,
    job: &Job,
    prepared: &Prepared,
    windows: Option<impl Iterator<Item = &'a Window>>,
) -> Option<UnplacedReason> {
    let target = &problem.targets[job.target];
    let for_ever = target.occupied.iter().filter(|it| it.until.is_none());
    let for_ever: Bytes = for_ever.map(|it| it.bytes).sum();
    let usable = target.usable.saturating_sub(for_ever);
    if prepared.peak > usable {
        return Some(UnplacedReason::LargerThanScratch {
            needs: prepared.peak,
            usable,
        });
    }
    let closed = job.host.is_some_and(|host| problem.hosts[host].slots == 0);
    if closed || target.profile.lacks_slots() {
        return Some(UnplacedReason::NoExporter);
    }
    let lasts = |w: &Window| w.to.saturating_sub(w.from + w.reserve);
    let Some(longest) = windows?.map(lasts).max() else {
        return Some(UnplacedReason::NoWindow);
    };
    let too_short = longest < job.cut_p90;
    too_short.then_some(UnplacedReason::WindowsTooShort {
        needs: job.cut_p90,
        longest,
    })
}

impl Decoder<'_> {
    /// Whether the job may start now; in which occurrence and which window of its calendar, or what
    /// keeps it back.
    pub fn may_start(
        &self,
        lane: usize,
        job: usize,
        live: &mut Option<Rc<[usize]>>,
    ) -> Result<Option<(usize, usize)>, Hold> {
        let (problem, prepared) = (self.estate.problem, &self.estate.jobs[job]);
        let (lane, it) = (&self.lanes[lane], &problem.jobs[job]);
        self.fixed_lets(job)?;
        self.services_let(job)?;
        let window = match it.calendar {
            None => None,
            Some(calendar) => Some(self.window(job, calendar)?),
        };
        for other in &prepared.excludes {
            if lane
                .live
                .binary_search_by_key(other, |(job, _)| *job)
                .is_ok()
            {
                return Err(Hold::Exclusion(*other));
            }
        }
        if let Some(host) = it
            .host
            .filter(|host| self.on_host[*host] >= problem.hosts[*host].slots)
        {
            return Err(Hold::Host(host));
        }
        if let Some(room) = &problem.targets[it.target].room
            && let Some(resource) = lacking(room, &lane.used, &self.takes_at_creation(it))
        {
            return Err(Hold::Room(resource));
        }
        let usable = problem.targets[it.target].usable;
        let needs = lane.held + prepared.peak;
        if needs > usable {
            let live = live.get_or_insert_with(|| lane.live.iter().map(|(job, _)| *job).collect());
            return Err(Hold::Scratch(needs - usable, Rc::clone(live)));
        }
        Ok(window)
    }

    /// Storage is taken from the beginning of the stage on, where there is one.
    fn takes_at_creation(&self, job: &Job) -> Room {
        let staged = self.estate.problem.targets[job.target].profile.has_stage();
        Room {
            storage: if staged {
                Bytes::ZERO
            } else {
                job.takes.storage
            },
            ..job.takes
        }
    }

    /// What is fixed is created then; nothing else is put in front of it that would still be under way:
    /// with the exporter, scratch or bandwidth that it needs.
    fn fixed_lets(&self, job: usize) -> Result<(), Hold> {
        let it = &self.estate.problem.jobs[job];
        if let Some(at) = it.fixed.map(Millis::from) {
            return if at > self.now {
                Err(Hold::Until(at))
            } else {
                Ok(())
            };
        }
        // Moments are told in whole seconds: what it waited for may come within the one that is told.
        let past = |at: Millis| at + Millis::from_seconds(1);
        let mut coming = self.fixed[it.target].iter().rev();
        let Some((at, other)) = coming.find(|(at, _)| past(*at) > self.now) else {
            return Ok(());
        };
        let until = self.now + self.estate.jobs[job].until_gone;
        if until > *at {
            return Err(Hold::Fixed(*other, past(*at)));
        }
        Ok(())
    }

    /// A service that has begun has the engine to itself; one begins only when nothing outside of it
    /// is missing.
    fn services_let(&self, job: usize) -> Result<(), Hold> {
        if self.together.is_empty() {
            return Ok(());
        }
        let (estate, own) = (self.estate, self.estate.jobs[job].service);
        let target = estate.problem.jobs[job].target;
        for (at, service) in estate.services.iter().enumerate() {
            let state = &self.together[at];
            let begun = state.occurrence.is_some() && state.left > 0;
            if own == Some(at) || !begun {
                continue;
            }
            let here = |job: &&usize| {
                estate.problem.jobs[**job].target == target && self.placed[**job].is_none()
            };
            if service.jobs.iter().any(|job| here(&job)) {
                return Err(Hold::Service(service.position));
            }
        }
        let Some(own) = own.filter(|own| self.together[*own].occurrence.is_none()) else {
            return Ok(());
        };
        let service = &estate.services[own];
        let workloads = &estate.problem.services[service.position].workloads;
        if self
            .waits
            .outside_done(estate.problem, &service.jobs, workloads)
        {
            Ok(())
        } else {
            Err(Hold::ServiceWaits(service.position))
        }
    }

    /// The window that is open now and long enough, or when the next one opens.
    fn window(&self, job: usize, calendar: usize) -> Result<(usize, usize), Hold> {
        let (estate, now) = (self.estate, self.now.seconds());
        let windows = &estate.problem.calendars[calendar];
        let service = estate.jobs[job]
            .service
            .map(|service| &self.together[service]);
        let mut coming = self.over[calendar].get();
        while windows.get(coming).is_some_and(|window| window.to <= now) {
            coming += 1;
        }
        self.over[calendar].set(coming);
        let own = estate.windows_from(job, coming).into_iter().flatten();
        for (at, window) in own {
            let occurrence = estate.occurrence_of[calendar][at];
            let start = window.from.max(now);
            let cut = estate.problem.jobs[job].cut_p90;
            if start >= window.last_start || start + cut + window.reserve > window.to {
                continue;
            }
            let full = estate.occurrences[occurrence];
            if full.is_some_and(|max| self.started[occurrence] >= max) {
                continue;
            }
            match service {
                Some(state) if state.occurrence.is_some_and(|begun| begun != occurrence) => {
                    continue;
                }
                Some(state) if state.occurrence.is_none() => {
                    let count = u32::try_from(state.left).unwrap_or(u32::MAX);
                    let crowded = full.is_some_and(|max| self.started[occurrence] + count > max);
                    if crowded || start + state.needs + window.reserve > window.to {
                        continue;
                    }
                }
                _ => {}
            }
            return if start == now {
                Ok((occurrence, at))
            } else {
                Err(Hold::Window(Some(start)))
            };
        }
        Err(Hold::Window(None))
    }

    /// When a step outside that waits for nobody may begin, from now on; none: never.
    pub fn step_begins(&self, workload: usize) -> Option<Millis> {
        let step = self.estate.problem.workloads[workload].step.as_ref()?;
        let pools = self.estate.problem.pools.iter();
        if step
            .needs
            .iter()
            .zip(pools)
            .any(|(needs, pool)| *needs > pool.capacity)
        {
            return None;
        }
        // Begins with a whole second, and no earlier than the general core would.
        let wanted = self.estate.begins.get(workload).copied();
        let begins = Seconds(self.now.0.div_ceil(1000)).max(step.from);
        let begins = begins.max(wanted.unwrap_or_default());
        let Some(calendar) = step.calendar else {
            return Some(begins.into());
        };
        let windows = self.estate.problem.calendars[calendar].iter();
        let mut starts = windows.filter_map(|window| {
            let start = begins.max(window.from);
            let fits = start < window.last_start && start + step.takes <= window.to;
            fits.then_some(start)
        });
        starts.next().map(Millis::from)
    }

    /// Whether the pools have what a step takes; then it has it.
    pub fn take(&mut self, workload: usize) -> bool {
        let problem = self.estate.problem;
        let Some(step) = &problem.workloads[workload].step else {
            return false;
        };
        let pools = problem.pools.iter().zip(&self.pooled);
        let free = pools.map(|(pool, taken)| pool.capacity - taken);
        if step
            .needs
            .iter()
            .zip(free)
            .any(|(needs, free)| *needs > free)
        {
            return false;
        }
        for (taken, needs) in self.pooled.iter_mut().zip(&step.needs) {
            *taken += needs;
        }
        true
    }

    /// What an ended step took is free for those that wait for it.
    pub fn give_back(&mut self, workload: usize) {
        if let Some(step) = &self.estate.problem.workloads[workload].step {
            for (taken, needs) in self.pooled.iter_mut().zip(&step.needs) {
                *taken -= needs;
            }
        }
    }

    /// Whether a service did not fit where it was put; then it needs more than was thought.
    pub fn widen(&self, needs: &mut [Seconds]) -> bool {
        let mut again = false;
        for (at, service) in self.estate.services.iter().enumerate() {
            let state = &self.together[at];
            let Some(occurrence) = state.occurrence else {
                continue;
            };
            let created = service
                .jobs
                .iter()
                .filter(|job| self.placed[**job].is_some());
            let target = |job: &usize| self.estate.problem.jobs[*job].target;
            let created = created.map(|job| self.lanes[target(job)].engine.steps(*job).created);
            let first = created.min().unwrap_or_default().seconds();
            let held = service.jobs.iter().map(|job| self.waits.held_at[*job]);
            let last = held.clone().flatten().max().unwrap_or_default();
            let span = Seconds(last.0.div_ceil(1000)).saturating_sub(first);
            let closes = self.closes(service, occurrence);
            let whole = state.left == 0 && held.clone().all(|at| at.is_some());
            if !whole || first + span > closes {
                let more = needs[at] + Seconds(needs[at].0 / 4 + 60);
                needs[at] = if whole {
                    span.max(needs[at] + Seconds(60))
                } else {
                    more
                };
                again = true;
            }
        }
        again
    }

    fn closes(&self, service: &Service, occurrence: usize) -> Seconds {
        let problem = self.estate.problem;
        let mut closes = Seconds::ZERO;
        for job in &service.jobs {
            let (Some(calendar), Some(windows)) =
                (problem.jobs[*job].calendar, self.estate.windows(*job))
            else {
                continue;
            };
            let of = &self.estate.occurrence_of[calendar];
            for (at, window) in windows {
                if of[at] == occurrence {
                    closes = closes.max(window.to.saturating_sub(window.reserve));
                }
            }
        }
        closes
    }

    /// Why a job was never created.
    pub fn reason(&self, job: usize, needs: &[Seconds]) -> UnplacedReason {
        let (problem, prepared) = (self.estate.problem, &self.estate.jobs[job]);
        if let Some(reason) = &prepared.hopeless {
            return reason.clone();
        }
        match self.waits.missing(problem, job) {
            Some(Opener::Job(other)) => {
                return UnplacedReason::Behind {
                    vm: vm(problem, other),
                };
            }
            Some(Opener::Step(step)) => {
                return UnplacedReason::BehindStep {
                    step: problem.workloads[step].name.clone(),
                };
            }
            None => {}
        }
        if let Some((_, Hold::Room(resource))) = &self.held[job] {
            return UnplacedReason::TargetFull {
                resource: *resource,
            };
        }
        if let Some(at) = prepared.service
            && self.together[at].left > 0
        {
            let service = &self.estate.services[at];
            return UnplacedReason::ServiceTooLong {
                service: problem.services[service.position].name.clone(),
                needs: needs[at],
                longest: service.longest,
            };
        }
        UnplacedReason::WindowsFull
    }
}

/// Which resource is too little for another machine.
fn lacking(room: &Room, used: &Room, takes: &Room) -> Option<Resource> {
    if used.memory + takes.memory > room.memory {
        Some(Resource::Memory)
    } else if used.cpu_milli + takes.cpu_milli > room.cpu_milli {
        Some(Resource::Cpu)
    } else if used.storage + takes.storage > room.storage {
        Some(Resource::Storage)
    } else {
        None
    }
}
