//! Why an import has no place, and what would give it one: for each reason what was seen, and the
//! ways out with their figures.

use schemas::units::{Bytes, Seconds};

use crate::diagnostic::count;
use crate::report::Clock;
use crate::resolve::{ResolvedPlan, ResolvedVm, ResolvedWindow, ResolvedWorkload};
use crate::schedule::{Job, Problem, UnplacedReason, Window, feasibility};

/// What was seen, and what would help.
pub(crate) struct Told {
    pub evidence: String,
    pub remedy: String,
}

/// Tells why `vm` has no place; nothing where only one before it has none.
pub(crate) fn told(
    plan: &ResolvedPlan,
    problem: &Problem,
    vm: &ResolvedVm,
    reason: &UnplacedReason,
) -> Option<Told> {
    let workload = plan.workload(&vm.workload)?;
    let job = problem.jobs.iter().find(|job| job.vm == vm.key)?;
    let it = It {
        plan,
        problem,
        workload,
        job,
    };
    Some(match reason {
        UnplacedReason::Behind { .. } => return None,
        UnplacedReason::LargerThanScratch { needs, usable } => it.too_large(*needs, *usable),
        UnplacedReason::WindowsTooShort { .. }
        | UnplacedReason::WindowsFull
        | UnplacedReason::NoWindow => it.too_short().unwrap_or_else(|| it.no_turn()),
        UnplacedReason::ServiceTooLong {
            service,
            needs,
            longest,
        } => Told {
            evidence: reason.to_string(),
            remedy: format!(
                "open the window for at least {needs} (now {longest}), or leave `together` out of \
                 service `{service}`"
            ),
        },
        UnplacedReason::TargetFull { resource } => Told {
            evidence: reason.to_string(),
            remedy: format!("give the target more {resource}, or send some to another one"),
        },
        UnplacedReason::BehindStep { step } => Told {
            evidence: reason.to_string(),
            remedy: format!("give the step `{step}` a window that it fits"),
        },
        UnplacedReason::NoExporter => Told {
            evidence: reason.to_string(),
            remedy: "give the engine an exporter, or the host a slot".to_owned(),
        },
    })
}

struct It<'a> {
    plan: &'a ResolvedPlan,
    problem: &'a Problem,
    workload: &'a ResolvedWorkload,
    job: &'a Job,
}

impl It<'_> {
    fn too_large(&self, needs: Bytes, usable: Bytes) -> Told {
        let target = &self.problem.targets[self.job.target];
        // The reserve keeps its share of the larger volume too.
        let capacity = u128::from(needs.0) * u128::from(target.capacity.0)
            / u128::from(target.usable.0.max(1));
        let capacity = Bytes(u64::try_from(capacity).unwrap_or(u64::MAX));
        let name = &target.name;
        Told {
            evidence: format!("needs {needs} of scratch, {usable} are usable on {name}"),
            remedy: format!(
                "give {name} a scratch of at least {capacity}, or set `scratch` in its entry of \
                 `machines` if its disks hold less"
            ),
        }
    }

    /// No occurrence is open for as long as it takes at its worst, with the time to roll back.
    fn too_short(&self) -> Option<Told> {
        let (window, windows) = self.windows()?;
        let fits = |w: &Window| w.from + self.job.cut_p90 + w.reserve <= w.to;
        if windows.iter().any(fits) {
            return None;
        }
        let longest = windows.iter().map(|w| w.to.saturating_sub(w.from)).max()?;
        let reserve = windows.iter().map(|w| w.reserve).max().unwrap_or_default();
        let needs = self.job.cut_p90 + reserve;
        let of_it = match reserve {
            Seconds::ZERO => String::new(),
            reserve => format!(", {reserve} of it to roll back"),
        };
        let name = &window.name;
        Some(Told {
            evidence: format!(
                "takes up to {needs}{of_it}, and no occurrence of `{name}` is open longer than \
                 {longest}"
            ),
            remedy: format!(
                "open `{name}` for at least {needs}, or pin it to a wave with a longer window{}",
                if reserve > Seconds::ZERO {
                    ", or lower its `rollbackReserve`"
                } else {
                    ""
                }
            ),
        })
    }

    /// Its windows are gone: by freezes, before what it waits for, or used up.
    fn no_turn(&self) -> Told {
        let Some((window, windows)) = self.windows() else {
            let evidence = "what it waits for has no place".to_owned();
            let remedy = "see the findings of those before it".to_owned();
            return Told { evidence, remedy };
        };
        if windows.is_empty() {
            return self.swallowed(window);
        }
        if let Some(told) = self.before_another_plan(window, windows) {
            return told;
        }
        if let Some(told) = self.before_its_dependency(window, windows) {
            return told;
        }
        if let Some(told) = self.full(window, windows) {
            return told;
        }
        let target = &self.problem.targets[self.job.target].name;
        let fits = feasibility(self.problem);
        let of_it = fits.iter().find(|fit| fit.target == *target);
        let (needs, given) = of_it.map_or_else(Default::default, |fit| (fit.needs, fit.given));
        let name = &window.name;
        let why = if needs > given {
            format!("{target} needs {needs}, its windows give {given}")
        } else {
            "those in front of it, and what it waits for, take up what they give".to_owned()
        };
        let over = match windows.len() {
            1 => format!("the one occurrence of `{name}` that it may use is over before its turn"),
            n => {
                format!("the {n} occurrences of `{name}` that it may use are over before its turn")
            }
        };
        Told {
            evidence: format!("{over}: {why}"),
            remedy: format!(
                "give `{name}` more or longer occurrences, pin fewer workloads to it, or send some \
                 to another target"
            ),
        }
    }

    fn swallowed(&self, window: &ResolvedWindow) -> Told {
        let name = &window.name;
        let pinned = self.workload.occurrence.as_ref();
        let asked = |id| pinned.is_none_or(|pinned| *pinned == id);
        let closed: Vec<_> = window
            .occurrences
            .iter()
            .filter(|o| asked(o.id.clone()))
            .collect();
        if closed.is_empty() {
            return Told {
                evidence: format!("`{name}` has no occurrence after the plan's start"),
                remedy: format!("give `{name}` an occurrence, or let the plan start earlier"),
            };
        }
        let service = self
            .plan
            .service(self.workload)
            .map(|service| &service.name);
        let freezes: Vec<String> = self
            .plan
            .freezes
            .iter()
            .filter(|freeze| freeze.binds(service))
            .filter(|freeze| {
                let span = freeze.instants(window.time_zone.as_deref());
                span.is_some_and(|(from, to)| closed.iter().any(|o| from < o.to && o.from < to))
            })
            .map(|freeze| format!("`{}` ({} to {})", freeze.reason, freeze.from, freeze.to))
            .collect();
        let all = match (pinned, closed.len()) {
            (Some(id), _) => format!("occurrence `{id}` of `{name}` lies"),
            (None, 1) => format!("the only occurrence of `{name}` lies"),
            (None, n) => format!("all {n} occurrences of `{name}` lie"),
        };
        Told {
            evidence: format!("{all} in a freeze: {}", freezes.join(", ")),
            remedy: format!(
                "give `{name}` an occurrence outside of it, or let the freeze name the services \
                 that it is for"
            ),
        }
    }

    /// A workload that it waits for may only start when its own windows are over.
    fn before_its_dependency(&self, window: &ResolvedWindow, own: &[Window]) -> Option<Told> {
        let last = own.iter().map(|w| w.last_start).max()?;
        let mut seen = vec![false; self.problem.workloads.len()];
        let mut open = vec![self.job.workload];
        while let Some(at) = open.pop() {
            for before in &self.problem.workloads[at].after {
                if !std::mem::replace(&mut seen[*before], true) {
                    open.push(*before);
                }
            }
        }
        let clock = self.clock();
        let earliest = |workload: usize| {
            let jobs = self.problem.jobs.iter().filter(|j| j.workload == workload);
            let opens = jobs.filter_map(|j| self.problem.calendars[j.calendar?].first());
            opens.map(|w| w.from).min()
        };
        let (workload, from) = (0..seen.len())
            .filter(|at| seen[*at])
            .filter_map(|at| Some((at, earliest(at)?)))
            .find(|(_, from)| *from >= last)?;
        let (before, name) = (&self.problem.workloads[workload].name, &window.name);
        Some(Told {
            evidence: format!(
                "waits for `{before}`, which cannot start before {}; nothing of `{name}` that it \
                 may use starts after {}",
                clock.moment(from),
                clock.moment(last)
            ),
            remedy: format!(
                "pin `{before}` to an earlier occurrence, or `{}` to one after it",
                self.workload.name
            ),
        })
    }

    /// What it waits for in another plan is predicted to be done when too little is left of its windows.
    fn before_another_plan(&self, window: &ResolvedWindow, own: &[Window]) -> Option<Told> {
        let before = self.plan.before(self.workload);
        let others = before.others.into_iter().filter_map(|name| {
            let done = self.plan.others.get(name)?.done?;
            Some((self.plan.since_start(done), name))
        });
        let (done, other) = others.max()?;
        let fits = |w: &Window| {
            let start = w.from.max(done);
            start < w.last_start && start + self.job.cut_p90 + w.reserve <= w.to
        };
        if own.iter().any(fits) {
            return None;
        }
        let (clock, name) = (self.clock(), &window.name);
        Some(Told {
            evidence: format!(
                "waits for `{other}`, which its plan predicts to be done at {}; nothing of `{name}` \
                 that it may use leaves the {} that it takes at its worst after that",
                clock.moment(done),
                self.job.cut_p90
            ),
            remedy: format!(
                "let `{other}` be done earlier in its plan, pin `{}` to an occurrence after it, or \
                 give `{name}` one",
                self.workload.name
            ),
        })
    }

    /// As many machines as its occurrences may take are there already.
    fn full(&self, window: &ResolvedWindow, own: &[Window]) -> Option<Told> {
        let most = window.max_vms?;
        let mut ids: Vec<_> = own.iter().map(|w| &w.occurrence).collect();
        ids.dedup();
        let room = u64::from(most) * ids.len() as u64;
        let asking = self.problem.jobs.iter().filter(|job| {
            let mut theirs = job
                .calendar
                .iter()
                .flat_map(|c| &self.problem.calendars[*c]);
            theirs.any(|w| w.name == window.name)
        });
        let asking = asking.count() as u64;
        let name = &window.name;
        (asking > room).then(|| Told {
            evidence: format!(
                "{asking} VMs are to move in `{name}`, and its {} take {most} each",
                count(ids.len(), "occurrence")
            ),
            remedy: format!("raise `maxVms` of `{name}`, or give it more occurrences"),
        })
    }

    fn windows(&self) -> Option<(&ResolvedWindow, &[Window])> {
        let window = self.plan.window(self.workload.window.as_ref()?)?;
        Some((window, &self.problem.calendars[self.job.calendar?]))
    }

    fn clock(&self) -> Clock {
        let mut zones = self.plan.windows.iter();
        let zone = zones.find_map(|window| window.time_zone.as_deref());
        Clock::new(self.plan.start, zone.unwrap_or("UTC"))
    }
}
