//! What is free of each resource over time.
//!
//! Two structures with one use: [`Cells`] has a word for each unit of time and suits short
//! projects with a few small capacities, [`Steps`] has an entry for each change and suits all.

use super::project::{Activity, Project, Side, Time};

/// What is free of each resource over time, from 0 on; nothing is taken at first.
pub(super) trait Profile {
    /// Takes everything back.
    fn clear(&mut self);
    /// The first time from `from` on at which the activity fits.
    fn fits_from(&self, side: Side, activity: u32, from: Time) -> Time;
    /// Takes what the activity needs; it must fit.
    fn take(&mut self, side: Side, activity: u32, start: Time);
}

/// Bits of a lane; the highest one stays free and catches the borrow.
const LANE: u32 = 16;
/// The highest bit of each lane.
const GUARD: u64 = 0x8000_8000_8000_8000;

/// One word for each unit of time, with a lane of 16 bits for each of at most four resources.
pub(super) struct Cells {
    duration: Vec<Time>,
    demand: Vec<u64>,
    full: u64,
    free: Vec<u64>,
    /// Cells from here on are full.
    used: usize,
}

impl Cells {
    /// Longest project that it is used for: 32 KiB, the first-level cache of a core.
    const LENGTH_MAX: u64 = 4096;

    /// By number; none if it does not suit the project.
    pub fn new(project: &Project, position: &[usize]) -> Option<Self> {
        let activities = || position.iter().map(|at| &project.activities[*at]);
        let length: u64 = activities()
            .map(|activity| u64::from(activity.duration()))
            .sum();
        let small = project.capacities.len() <= 4
            && project
                .capacities
                .iter()
                .all(|capacity| *capacity < 1 << (LANE - 1))
            && length <= Self::LENGTH_MAX
            && activities().all(|activity| {
                activity.stages.len() <= 1 && activity.release == 0 && activity.calendar.is_none()
            });
        let pack = |lanes: &[u64]| lanes.iter().rev().fold(0, |word, lane| word << LANE | lane);
        let demands = activities().map(|activity| {
            activity
                .stages
                .first()
                .map_or(0, |stage| pack(&stage.demands))
        });
        small.then(|| Self {
            duration: activities().map(Activity::duration).collect(),
            demand: demands.collect(),
            full: pack(&project.capacities) | GUARD,
            free: vec![
                pack(&project.capacities) | GUARD;
                usize::try_from(length).expect("it is small")
            ],
            used: 0,
        })
    }
}

impl Profile for Cells {
    fn clear(&mut self) {
        self.free[..self.used].fill(self.full);
        self.used = 0;
    }

    #[inline]
    fn fits_from(&self, _: Side, activity: u32, from: Time) -> Time {
        let demand = self.demand[activity as usize];
        if demand == 0 {
            return from;
        }
        let duration = self.duration[activity as usize];
        let mut start = from;
        // Cells of `start..known` fit.
        let mut known = start;
        'place: loop {
            let end = start + duration;
            for at in (known..end).rev() {
                if (self.free[at as usize] - demand) & GUARD != GUARD {
                    known = end;
                    start = at + 1;
                    continue 'place;
                }
            }
            return start;
        }
    }

    #[inline]
    fn take(&mut self, _: Side, activity: u32, start: Time) {
        let demand = self.demand[activity as usize];
        if demand == 0 {
            return;
        }
        let (start, duration) = (start as usize, self.duration[activity as usize] as usize);
        for free in &mut self.free[start..start + duration] {
            *free -= demand;
        }
        self.used = self.used.max(start + duration);
    }
}

/// An entry for each time at which something changes.
pub(super) struct Steps {
    /// By number, forwards: stages, each with its offset from the start.
    stages: Vec<Vec<Span>>,
    duration: Vec<Time>,
    capacities: Vec<u64>,
    /// When it changes, ascending; the first is 0.
    times: Vec<Time>,
    /// What is free from then on, one after the other.
    free: Vec<u64>,
}

/// A stage as seen from the start of its activity.
struct Span {
    from: Time,
    to: Time,
    /// What it needs: resource and amount.
    demands: Vec<(usize, u64)>,
}

impl Span {
    /// From when to when after the start, in a direction of time.
    fn seen(&self, side: Side, duration: Time) -> (Time, Time) {
        match side {
            Side::Forward => (self.from, self.to),
            Side::Backward => (duration - self.to, duration - self.from),
        }
    }
}

impl Steps {
    pub fn new(project: &Project, position: &[usize]) -> Self {
        let spans = |activity: &Activity| {
            let mut from = 0;
            let spans = activity.stages.iter().map(|stage| {
                let to = from + stage.duration;
                let demands = stage.demands.iter().copied().enumerate();
                let span = Span {
                    from,
                    to,
                    demands: demands.filter(|(_, amount)| *amount > 0).collect(),
                };
                from = to;
                span
            });
            let spans = spans.filter(|span| span.from < span.to && !span.demands.is_empty());
            spans.collect()
        };
        let activities = || position.iter().map(|at| &project.activities[*at]);
        let mut steps = Self {
            stages: activities().map(spans).collect(),
            duration: activities().map(Activity::duration).collect(),
            capacities: project.capacities.clone(),
            times: Vec::new(),
            free: Vec::new(),
        };
        steps.clear();
        steps
    }

    fn fits(&self, step: usize, demands: &[(usize, u64)]) -> bool {
        let free = &self.free[step * self.capacities.len()..];
        demands
            .iter()
            .all(|(resource, amount)| *amount <= free[*resource])
    }

    /// The step that a time belongs to.
    fn step_at(&self, at: Time) -> usize {
        self.times.partition_point(|time| *time <= at) - 1
    }

    /// The step that begins at a time, made if there is none.
    fn cut(&mut self, at: Time) -> usize {
        let step = self.step_at(at);
        if self.times[step] == at {
            return step;
        }
        let width = self.capacities.len();
        self.times.insert(step + 1, at);
        let end = self.free.len();
        self.free
            .extend_from_within(step * width..(step + 1) * width);
        self.free[(step + 1) * width..].rotate_right(width);
        debug_assert_eq!(self.free.len(), end + width);
        step + 1
    }

    /// The start nearest after `start` at which this span leaves the first step in which it does
    /// not fit; none if it fits as it is.
    fn conflict(&self, span: &Span, seen: (Time, Time), start: Time) -> Option<Time> {
        let (from, to) = (start + seen.0, start + seen.1);
        let mut step = self.step_at(from);
        while step < self.times.len() && self.times[step] < to {
            if !self.fits(step, &span.demands) {
                // The last step is free of everything, and so it always fits.
                return Some(self.times[step + 1] - seen.0);
            }
            step += 1;
        }
        None
    }
}

impl Profile for Steps {
    fn clear(&mut self) {
        self.times.clear();
        self.times.push(0);
        self.free.clear();
        self.free.extend(&self.capacities);
    }

    fn fits_from(&self, side: Side, activity: u32, from: Time) -> Time {
        let duration = self.duration[activity as usize];
        let spans = &self.stages[activity as usize];
        let mut start = from;
        'place: loop {
            for span in spans {
                if let Some(later) = self.conflict(span, span.seen(side, duration), start) {
                    start = later;
                    continue 'place;
                }
            }
            return start;
        }
    }

    fn take(&mut self, side: Side, activity: u32, start: Time) {
        let duration = self.duration[activity as usize];
        let width = self.capacities.len();
        for span in 0..self.stages[activity as usize].len() {
            let (from, to) = self.stages[activity as usize][span].seen(side, duration);
            let (first, past) = (self.cut(start + from), self.cut(start + to));
            for step in first..past {
                for (resource, amount) in &self.stages[activity as usize][span].demands {
                    self.free[step * width + resource] -= amount;
                }
            }
        }
    }
}
