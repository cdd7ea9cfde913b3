//! All imports at once, as `kubectl apply -f` or one Git sync would do it: the comparison that says
//! what a plan is worth. Simulated by the same engine, with scratch without end.

use engine::{Sim, What};
use schemas::units::{Bytes, Seconds};

use super::{Problem, mean_and_max};

/// What would happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllAtOnce {
    /// The last machine is ready.
    pub ends: Seconds,
    /// Mean downtime.
    pub mean: Seconds,
    /// Longest downtime.
    pub max: Seconds,
    /// Scratch that it would need, on the target that would need most.
    pub scratch: Bytes,
}

/// Creates every import at the origin, by VM, and lets the engine run.
pub fn all_at_once(problem: &Problem) -> AllAtOnce {
    let mut downtimes = Vec::new();
    let mut result = AllAtOnce::default();
    for target in 0..problem.targets.len() {
        let mut sim = Sim::new(problem.targets[target].profile.clone());
        let jobs = problem.by_vm().into_iter();
        for job in jobs.filter(|job| problem.jobs[*job].target == target) {
            sim.create(super::decode::import_spec(&problem.jobs[job], job));
        }
        while let Some(at) = sim.next_event() {
            for change in sim.advance_to(at) {
                match (change.what, change.import) {
                    (What::Scratch(bytes), _) => result.scratch = result.scratch.max(bytes),
                    // As the two-minute poll does not belong to the comparison.
                    (What::MachineReady, Some(id)) => sim.nudge(id),
                    _ => {}
                }
            }
        }
        for id in sim.ids() {
            let times = sim.import(id).times();
            downtimes.extend(times.downtime().map(engine::Millis::seconds));
            let ready = times.ready.unwrap_or_default().seconds();
            result.ends = result.ends.max(ready);
        }
    }
    (result.mean, result.max) = mean_and_max(downtimes.into_iter());
    result
}
