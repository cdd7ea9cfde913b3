//! Judges a finished schedule against its project, without knowing how it was made.

use super::project::{Project, Time};

/// A rule that a schedule breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not one start for each activity.
    #[error("{starts} starts for {activities} activities")]
    Incomplete {
        /// So many starts.
        starts: usize,
        /// So many activities.
        activities: usize,
    },
    /// Starts before one that must have ended.
    #[error("activity {activity} starts before activity {before} ends")]
    TooEarly {
        /// Which one.
        activity: usize,
        /// Which one must have ended.
        before: usize,
    },
    /// Starts when its release or calendar forbids it.
    #[error("activity {activity} may not start at {at}")]
    NotOpen {
        /// Which one.
        activity: usize,
        /// When it starts.
        at: Time,
    },
    /// More taken than there is.
    #[error("at {at} activities take {taken} of resource {resource}, which has {has}")]
    Exceeded {
        /// When.
        at: Time,
        /// Which resource.
        resource: usize,
        /// They take.
        taken: u64,
        /// There are.
        has: u64,
    },
}

/// All rules that the schedule breaks.
pub fn check(project: &Project, start: &[Time]) -> Vec<Fault> {
    let activities = &project.activities;
    if start.len() != activities.len() {
        return vec![Fault::Incomplete {
            starts: start.len(),
            activities: activities.len(),
        }];
    }
    let mut faults = Vec::new();
    for (position, (activity, at)) in activities.iter().zip(start).enumerate() {
        let end = at + activity.duration();
        let early = activity
            .successors
            .iter()
            .filter(|after| start[**after] < end);
        faults.extend(early.map(|after| Fault::TooEarly {
            activity: *after,
            before: position,
        }));
        let open = activity.calendar.is_none_or(|calendar| {
            let intervals = &project.calendars[calendar];
            intervals.iter().any(|(from, to)| from <= at && at < to)
        });
        if !open || *at < activity.release {
            faults.push(Fault::NotOpen {
                activity: position,
                at: *at,
            });
        }
    }
    for (resource, has) in project.capacities.iter().enumerate() {
        faults.extend(exceeded(project, start, resource, *has));
    }
    faults
}

/// The first time at which a resource is exceeded.
fn exceeded(project: &Project, start: &[Time], resource: usize, has: u64) -> Option<Fault> {
    // What is given back at a time is free for what starts then.
    let mut changes: Vec<(Time, bool, u64)> = Vec::new();
    for (activity, at) in project.activities.iter().zip(start) {
        let mut at = *at;
        for stage in &activity.stages {
            let end = at + stage.duration;
            if stage.duration > 0 {
                changes.push((at, true, stage.demands[resource]));
                changes.push((end, false, stage.demands[resource]));
            }
            at = end;
        }
    }
    changes.sort_unstable();
    let mut taken = 0;
    changes.into_iter().find_map(|(at, begins, amount)| {
        taken = if begins {
            taken + amount
        } else {
            taken - amount
        };
        (taken > has).then_some(Fault::Exceeded {
            at,
            resource,
            taken,
            has,
        })
    })
}
