//! When a VM moves, and why not earlier.

use schemas::ids::{VmKey, WorkloadRef};
use schemas::units::{Bytes, GIB, Seconds};

use super::Subject;
use crate::critical;
use crate::diagnostic::{count, list};
use crate::report::Clock;
use crate::schedule::{Held, Job, Slot, schedule};

/// Its wave and its predicted times; what kept it from starting earlier; what it waits for and what
/// waits for it.
pub(super) fn lines(subject: &Subject<'_>) -> Vec<String> {
    let planned = subject.planned;
    let forecast = &planned.rendered.forecast;
    let clock = Clock::new(forecast.origin, &planned.report.time_zone);
    let slot = planned.schedule.slot(subject.key);
    let job = planned
        .problem
        .jobs
        .iter()
        .find(|job| job.vm == *subject.key);
    let (Some(slot), Some(job)) = (slot, job) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (wave, rendered) in forecast.waves.iter().zip(&planned.rendered.waves) {
        if let Some(place) = wave.imports.iter().position(|i| i.vm == *subject.key) {
            let import = &wave.imports[place];
            lines.push(format!(
                "wave {}, {} of {}, {} to {}: down for {} ({})",
                rendered.stem,
                place + 1,
                wave.imports.len(),
                clock.moment(import.off),
                clock.until(import.off, import.ready),
                import.downtime(),
                phases(job)
            ));
        }
    }
    lines.push(not_earlier(subject, slot, &clock));
    lines.extend(more_scratch(subject, slot));
    lines.extend(neighbours(subject));
    if let Some(budget) = over(subject, slot) {
        lines.push(budget);
    }
    if critical::path(&planned.checked.plan, &planned.schedule)
        .iter()
        .filter_map(|link| link.import())
        .any(|import| import.vm == slot.vm)
    {
        lines.push("on the critical path: the plan ends earlier if this import does".to_owned());
    }
    lines
}

/// `export 1 h 31 min, images 34 min, boot 90 s; basis: 110 MiB/s assumed`.
fn phases(job: &Job) -> String {
    let estimates = &job.estimates;
    let shutdown = if job.guest_runs {
        format!("shutdown {}, ", estimates.shutdown.value)
    } else {
        "its guest is off already, ".to_owned()
    };
    format!(
        "{shutdown}export {} at {}, images {} at {}, boot {}; at its worst {} from creation to ready",
        estimates.export.value,
        estimates.export.basis,
        estimates.images.value,
        estimates.images.basis,
        estimates.boot.value,
        job.cut_p90
    )
}

fn not_earlier(subject: &Subject<'_>, slot: &Slot, clock: &Clock) -> String {
    let planned = subject.planned;
    let name = |vm: &VmKey| {
        let slot = planned.schedule.slot(vm);
        slot.map_or_else(|| vm.to_string(), |slot| slot.name.to_string())
    };
    let scratch = &planned.schedule.scratch[slot.target];
    match &slot.held {
        Held::Nothing => "it starts as soon as the plan does".to_owned(),
        Held::Turn { after } => format!(
            "not earlier because the engine exports one after the other: it follows `{}`",
            name(after)
        ),
        Held::Dependency { on } => {
            let ready = planned.schedule.slot(on).map(|on| on.times.running);
            let until = ready.map(|at| format!(" until {}", clock.moment(at)));
            format!(
                "not earlier because `{}`, which it waits for, did not run{}",
                name(on),
                until.unwrap_or_default()
            )
        }
        Held::Scratch { lacking, holders } => {
            let needs = slot_peak(subject, slot);
            let free = needs.saturating_sub(*lacking);
            let held = scratch.usable.saturating_sub(free);
            let names: Vec<String> = holders.iter().map(name).collect();
            format!(
                "not earlier because of scratch: it needs {needs}, and {held} of {} are held by {} \
                 until {}",
                scratch.usable,
                list(&names),
                clock.moment(slot.times.created)
            )
        }
        Held::Window { opens } => {
            let window = slot.window.as_ref();
            let window = window.map(|w| format!("`{} {}`", w.name, w.occurrence));
            format!(
                "not earlier because {} opens at {}",
                window.unwrap_or_else(|| "its window".to_owned()),
                clock.moment(*opens)
            )
        }
        Held::Exclusion { with } => format!(
            "not earlier because `{}`, which uses the same scratch files (N03), was under way",
            name(with)
        ),
        Held::Stage => "not earlier because its disks were still copied ahead".to_owned(),
        Held::Step { step } => {
            let plan = &planned.checked.plan;
            let other = plan.others.get(&WorkloadRef::from(step.as_str()));
            match other.and_then(|other| other.done) {
                Some(done) => format!(
                    "not earlier because `{step}`, of another plan, is predicted to be done at {}",
                    clock.moment(plan.since_start(done))
                ),
                None => format!("not earlier because the step `{step}` had not ended"),
            }
        }
        Held::Host { host } => {
            format!("not earlier because host `{host}` exports as many as it may")
        }
        Held::Room { resource } => {
            format!("not earlier because the target had no {resource} left for its machine")
        }
        Held::Service { service } => format!(
            "not earlier because service `{service}` is moved together, with the engine to itself"
        ),
        Held::Fixed { of } => format!(
            "not earlier because it would have been in the way of `{}`, which is approved or running",
            name(of)
        ),
        Held::Approved => "it stays where it was: approved or running".to_owned(),
    }
}

fn slot_peak(subject: &Subject<'_>, slot: &Slot) -> Bytes {
    let jobs = subject.planned.problem.jobs.iter();
    let own = jobs.filter(|job| job.vm == slot.vm);
    own.map(|job| job.size.peak.0).next().unwrap_or(Bytes::ZERO)
}

/// What more scratch would give, where scratch is what it waited for.
fn more_scratch(subject: &Subject<'_>, slot: &Slot) -> Option<String> {
    let Held::Scratch { lacking, .. } = &slot.held else {
        return None;
    };
    let more = Bytes(lacking.0.next_multiple_of(10 * GIB));
    let mut problem = subject.planned.problem.clone();
    problem.targets[slot.target].usable += more;
    problem.targets[slot.target].capacity += more;
    let other = schedule(&problem).ok()?;
    let start = other.slot(&slot.vm)?.times.created;
    let sooner = slot.times.created.saturating_sub(start);
    Some(if sooner > Seconds(60) {
        format!("would start {sooner} earlier with {more} more of usable scratch")
    } else {
        format!("{more} more of usable scratch alone would not let it start earlier")
    })
}

/// What it waits for by itself, and how many wait for its workload.
fn neighbours(subject: &Subject<'_>) -> Vec<String> {
    let plan = &subject.planned.checked.plan;
    let Some((vm, workload)) = plan
        .vm(subject.key)
        .and_then(|vm| Some((vm, plan.workload(&vm.workload)?)))
    else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    let name = |key: &VmKey| {
        plan.vm(key)
            .map_or_else(|| key.to_string(), |vm| vm.name.to_string())
    };
    let mut after: Vec<String> = workload
        .depends_on
        .iter()
        .map(|name| format!("workload {name}"))
        .collect();
    after.extend(workload.others.iter().map(|name| {
        let other = plan.others.get(name);
        let step = other.is_some_and(|other| other.step.is_some());
        let what = if step { "step" } else { "workload" };
        match other.and_then(|other| other.done) {
            Some(_) => format!("{what} {name} of another plan"),
            None => format!("{what} {name} of another plan, which runs"),
        }
    }));
    after.extend(vm.after.iter().map(name));
    if !after.is_empty() {
        let place = format!("workloads[{}].dependsOn", workload.position);
        let place = if workload.waits_for().next().is_none() {
            String::new()
        } else {
            format!(" ({})", (subject.locate)(&place))
        };
        parts.push(format!("after: {}{place}", list(&after)));
    }
    let waiting = plan
        .workloads
        .iter()
        .filter(|other| other.depends_on.contains(&workload.name));
    for other in waiting {
        let vms = plan.vms.iter().filter(|vm| vm.workload == other.name);
        parts.push(format!(
            "before: {} of {}",
            count(vms.count(), "VM"),
            other.name
        ));
    }
    for other in plan
        .vms
        .iter()
        .filter(|other| other.after.contains(subject.key))
    {
        parts.push(format!("before: {}", other.name));
    }
    if let Some(wave) = workload.wave.map(|wave| &plan.waves[wave])
        && !wave.canaries.is_empty()
    {
        parts.push(if wave.canaries.contains(subject.key) {
            format!("a canary: the rest of wave {} waits for it", wave.name)
        } else {
            let names: Vec<String> = wave.canaries.iter().map(name).collect();
            format!("after the canaries of wave {}: {}", wave.name, list(&names))
        });
    }
    if let Some(service) = plan.service(workload) {
        let together = if service.together {
            ", moved together"
        } else {
            ""
        };
        parts.push(format!("part of service {}{together}", service.name));
    }
    parts
}

/// Its downtime beside the budget of its workload.
fn over(subject: &Subject<'_>, slot: &Slot) -> Option<String> {
    let plan = &subject.planned.checked.plan;
    let budget = plan.workload(&plan.vm(subject.key)?.workload)?.budget?.0;
    let down = slot.times.downtime();
    Some(if down > budget {
        format!(
            "over its downtime budget of {budget} by {}",
            down.saturating_sub(budget)
        )
    } else {
        format!("within its downtime budget of {budget}")
    })
}
