//! Judges a finished schedule against its problem, without knowing how it was made.
//!
//! Shares no code with the decoder and does not ask the engine's simulation: only the sizes,
//! durations and limits of the problem, and the times of the schedule.

mod dependencies;
mod limits;

use std::collections::BTreeMap;

use engine::Profile;
use engine::profile::{Part, PhaseName};
use schemas::ids::VmKey;
use schemas::units::{Bytes, Seconds};

use super::{Job, Problem, Resource, Schedule, Slot, Window};

/// Later than anything.
const NEVER: Seconds = Seconds(u64::MAX);

/// A rule that a schedule breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Not exactly one slot or one reason.
    #[error("`{vm}` has {slots} slots and {reasons} reasons for having none")]
    NotPlacedOnce {
        /// Which VM.
        vm: VmKey,
        /// Its slots.
        slots: usize,
        /// Its reasons.
        reasons: usize,
    },
    /// A slot for something else.
    #[error("`{vm}` has a slot and is no VM of the problem")]
    Unknown {
        /// Which VM.
        vm: VmKey,
    },
    /// A step before the one that must precede it.
    #[error("`{vm}` is {step} before it is {before}")]
    Backwards {
        /// Which VM.
        vm: VmKey,
        /// The step.
        step: &'static str,
        /// What must come before.
        before: &'static str,
    },
    /// Shorter than it can be.
    #[error("`{vm}` takes {takes} for its {phase}, which needs {needs}")]
    TooFast {
        /// Which VM.
        vm: VmKey,
        /// Which phase.
        phase: &'static str,
        /// As scheduled.
        takes: Seconds,
        /// As estimated.
        needs: Seconds,
    },
    /// Sent into its cut on an engine that copies ahead, and never copied.
    #[error("`{vm}` is cut over and was not copied ahead")]
    NotStaged {
        /// Which VM.
        vm: VmKey,
    },
    /// More at once than there is room for.
    #[error("at {at} there are {count} {what} on {place}, {most} are allowed")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// Of which target, host or occurrence.
        place: String,
        /// When.
        at: Seconds,
        /// So many.
        count: u64,
        /// So many are allowed.
        most: u64,
    },
    /// The machines of a target take more of it than there is.
    #[error("machines on {target} take more {resource} than it has room for")]
    NoRoom {
        /// The target.
        target: schemas::ids::TargetName,
        /// Of what.
        resource: Resource,
    },
    /// A step outside that cannot be done so.
    #[error("the step `{step}` {fault}")]
    Outside {
        /// Which step.
        step: schemas::ids::WorkloadName,
        /// What is wrong.
        fault: &'static str,
    },
    /// Created before a step outside has ended.
    #[error("`{vm}` is created before the step `{step}` can have ended")]
    BeforeStep {
        /// Which VM.
        vm: VmKey,
        /// The step's workload.
        step: schemas::ids::WorkloadName,
    },
    /// Created before it was approved to be.
    #[error("`{vm}` is created at {at}, before the {fixed} that is fixed")]
    BeforeFixed {
        /// Which VM.
        vm: VmKey,
        /// When it is created.
        at: Seconds,
        /// When it was to be.
        fixed: Seconds,
    },
    /// A service that must be together is not.
    #[error("service `{service}` is not inside one occurrence")]
    Scattered {
        /// Which.
        service: schemas::ids::WorkloadName,
    },
    /// More scratch than there is.
    #[error("at {at} `{target}` holds {held} of {usable} usable scratch")]
    ScratchExceeded {
        /// The target.
        target: schemas::ids::TargetName,
        /// When.
        at: Seconds,
        /// So much.
        held: Bytes,
        /// So much is allowed.
        usable: Bytes,
    },
    /// Created before one that it depends on runs.
    #[error("`{vm}` is created before `{on}` runs")]
    TooEarly {
        /// Which VM.
        vm: VmKey,
        /// Which one it depends on.
        on: VmKey,
    },
    /// Depends on one that is never imported.
    #[error("`{vm}` is created although `{on}` has no slot")]
    WithoutDependency {
        /// Which VM.
        vm: VmKey,
        /// Which one it depends on.
        on: VmKey,
    },
    /// Both under way at the same time.
    #[error("`{first}` and `{second}` exclude each other and are under way at the same time")]
    Together {
        /// One.
        first: VmKey,
        /// The other.
        second: VmKey,
    },
    /// Started outside its windows.
    #[error("`{vm}` is created at {at}, when none of its windows lets it")]
    OutsideWindow {
        /// Which VM.
        vm: VmKey,
        /// When.
        at: Seconds,
    },
}

/// All rules that the schedule breaks; none, if it may be carried out. An end after a window's
/// close is no violation: this engine cannot abort an export, so it can only be predicted
/// ([`Slot::overrun`]).
pub fn check_schedule(problem: &Problem, schedule: &Schedule) -> Vec<Violation> {
    let jobs: BTreeMap<&VmKey, &Job> = problem.jobs.iter().map(|job| (&job.vm, job)).collect();
    let mut found = placement(problem, schedule);
    let mut pairs = Vec::new();
    for slot in &schedule.slots {
        match jobs.get(&slot.vm) {
            Some(job) => pairs.push((*job, slot)),
            None => found.push(Violation::Unknown {
                vm: slot.vm.clone(),
            }),
        }
    }
    for (job, slot) in &pairs {
        steps(&problem.targets[job.target].profile, job, slot, &mut found);
        windows(problem, job, slot, &mut found);
    }
    for target in 0..problem.targets.len() {
        let own: Vec<(&Job, &Slot)> = pairs
            .iter()
            .copied()
            .filter(|(job, _)| job.target == target)
            .collect();
        scratch(problem, target, &own, &mut found);
    }
    dependencies::judge(problem, schedule, &pairs, &mut found);
    exclusions(&pairs, &mut found);
    limits::judge(problem, &pairs, &mut found);
    found
}

/// Every job has exactly one slot, or exactly one reason.
fn placement(problem: &Problem, schedule: &Schedule) -> Vec<Violation> {
    let mut count: BTreeMap<&VmKey, (usize, usize)> = BTreeMap::new();
    for slot in &schedule.slots {
        count.entry(&slot.vm).or_default().0 += 1;
    }
    for unplaced in &schedule.unplaced {
        count.entry(&unplaced.vm).or_default().1 += 1;
    }
    let counted = problem.jobs.iter().map(|job| {
        let (slots, reasons) = count.get(&job.vm).copied().unwrap_or_default();
        (job, slots, reasons)
    });
    counted
        .filter(|(_, slots, reasons)| slots + reasons != 1)
        .map(|(job, slots, reasons)| Violation::NotPlacedOnce {
            vm: job.vm.clone(),
            slots,
            reasons,
        })
        .collect()
}

/// Its own steps follow each other, and none is shorter than it can be.
fn steps(profile: &Profile, job: &Job, slot: &Slot, found: &mut Vec<Violation>) {
    let t = &slot.times;
    let order = [
        ("created", t.created),
        ("off", t.off),
        ("being exported", t.export_start),
        ("exported", t.exported),
        ("taken in", t.images_in),
        ("created as a machine", t.machine),
        ("ready", t.ready),
        ("seen running", t.running),
        ("released", t.released),
    ];
    for pair in order.windows(2) {
        if pair[0].1 > pair[1].1 {
            found.push(Violation::Backwards {
                vm: slot.vm.clone(),
                step: pair[1].0,
                before: pair[0].0,
            });
        }
    }
    for phase in profile.phases {
        let Some((from, to)) = span(profile, phase.name, job, slot) else {
            found.push(Violation::NotStaged {
                vm: slot.vm.clone(),
            });
            continue;
        };
        let (takes, needs) = (to.saturating_sub(from), job.estimates.of(phase.lasts));
        // Both ends are rounded down to whole seconds.
        if takes + Seconds(1) < needs {
            found.push(Violation::TooFast {
                vm: slot.vm.clone(),
                phase: called(phase.name),
                takes,
                needs,
            });
        }
        if phase.part == Part::Stage && to > slot.times.created {
            found.push(Violation::Backwards {
                vm: slot.vm.clone(),
                step: "created",
                before: "copied ahead",
            });
        }
    }
}

/// When a phase is under way; nothing for a stage that never was. Images may have waited for their turn:
/// only their end is told.
fn span(profile: &Profile, phase: PhaseName, job: &Job, slot: &Slot) -> Option<(Seconds, Seconds)> {
    let t = &slot.times;
    Some(match phase {
        PhaseName::Stage => slot.stage?,
        PhaseName::Shutdown => (t.created, t.off),
        PhaseName::Export => (t.export_start, t.exported),
        PhaseName::Images if profile.shares(phase) => (t.exported, t.images_in),
        PhaseName::Images => {
            let lasts = job.estimates.phase(profile, phase);
            (
                t.images_in.saturating_sub(lasts).max(t.exported),
                t.images_in,
            )
        }
        PhaseName::Boot => (t.machine, t.ready),
        PhaseName::Release => (t.running, t.released),
    })
}

fn called(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Stage => "stage",
        PhaseName::Shutdown => "shutdown",
        PhaseName::Export => "export",
        PhaseName::Images => "images",
        PhaseName::Boot => "boot",
        PhaseName::Release => "release",
    }
}

/// It is created inside of a window, not in its lockout, and so that its cut (at its P90) and the
/// reserve fit; and not before it was approved.
fn windows(problem: &Problem, job: &Job, slot: &Slot, found: &mut Vec<Violation>) {
    let at = slot.times.created;
    if let Some(fixed) = job.fixed.filter(|fixed| *fixed > at) {
        let vm = slot.vm.clone();
        found.push(Violation::BeforeFixed { vm, at, fixed });
    }
    let Some(calendar) = job.calendar else {
        return;
    };
    let mut calendar = problem.calendars[calendar].iter();
    if !calendar.any(|window| lets(window, job, at) && slot.window.as_ref() == Some(window)) {
        found.push(Violation::OutsideWindow {
            vm: slot.vm.clone(),
            at,
        });
    }
}

/// Whether the job may be created then, for all that the window says.
fn lets(window: &Window, job: &Job, at: Seconds) -> bool {
    let open = window.from <= at && at < window.last_start.min(window.to);
    open && at + job.cut_p90 + window.reserve <= window.to
}

/// At the start of each export, which is when the scratch fills: its peak, and what all others
/// hold that are exported and not released.
fn scratch(problem: &Problem, target: usize, own: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
    let limit = &problem.targets[target];
    // What becomes free at a time is free for what starts then: releases come first.
    let mut events: Vec<(Seconds, u8, Bytes)> = Vec::with_capacity(own.len() * 3);
    for (job, slot) in own {
        let holds_from = |phase| job.holds(limit.profile.holds_from(phase));
        let (peak, resident) = (holds_from(PhaseName::Export), holds_from(PhaseName::Images));
        let times = &slot.times;
        events.push((times.released, 0, resident));
        events.push((times.exported, 1, resident));
        events.push((times.exported, 2, peak));
        events.push((times.export_start, 3, peak));
    }
    let mut resident = Bytes::ZERO;
    for occupied in &limit.occupied {
        resident += occupied.bytes;
        events.extend(occupied.until.map(|until| (until, 0, occupied.bytes)));
    }
    events.sort_unstable();
    let mut exporting = Bytes::ZERO;
    for (at, what, bytes) in events {
        match what {
            0 => resident = resident.saturating_sub(bytes),
            1 => resident += bytes,
            2 => exporting = exporting.saturating_sub(bytes),
            _ => {
                exporting += bytes;
                if resident + exporting > limit.usable {
                    found.push(Violation::ScratchExceeded {
                        target: limit.name.clone(),
                        at,
                        held: resident + exporting,
                        usable: limit.usable,
                    });
                }
            }
        }
    }
}

/// Those that would write the same files are never under way together.
fn exclusions(pairs: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
    let slots: BTreeMap<&VmKey, &Slot> = pairs.iter().map(|(job, slot)| (&job.vm, *slot)).collect();
    for (job, slot) in pairs {
        let others = job.excludes.iter().filter(|other| **other > job.vm);
        for other in others.filter_map(|other| slots.get(other)) {
            // Engines of different targets share no files.
            let (a, b) = (&slot.times, &other.times);
            let apart = a.released <= b.created || b.released <= a.created;
            if slot.target == other.target && !apart {
                found.push(Violation::Together {
                    first: slot.vm.clone(),
                    second: other.vm.clone(),
                });
            }
        }
    }
}
