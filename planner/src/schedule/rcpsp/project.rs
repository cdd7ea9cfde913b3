//! What is to be scheduled, and its network of precedences made ready for the search.

/// A point or span of time, in whatever unit the project has.
pub type Time = u32;

/// Activities that need shares of resources, some of them before others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// What there is of each resource at any time.
    pub capacities: Vec<u64>,
    /// Lists of intervals in which an activity may start, each `[from, to)`, by time and apart.
    pub calendars: Vec<Vec<(Time, Time)>>,
    /// The activities.
    pub activities: Vec<Activity>,
}

/// One activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Its stages, one right after the other.
    pub stages: Vec<Stage>,
    /// Positions of the activities that may start only when it has ended.
    pub successors: Vec<usize>,
    /// It may not start earlier.
    pub release: Time,
    /// Position of the calendar that its start must keep; none: it may start at any time.
    pub calendar: Option<usize>,
}

/// A part of an activity with constant demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Time,
    /// What it takes of each resource meanwhile.
    pub demands: Vec<u64>,
}

impl Activity {
    /// How long all of it takes.
    pub fn duration(&self) -> Time {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}

impl Project {
    /// Whether each activity can be placed when it is alone, and times stay in their range.
    fn validate(&self) -> Result<(), Unsolvable> {
        let mut latest = 0_u64;
        let mut length = 0_u64;
        for (position, activity) in self.activities.iter().enumerate() {
            for demands in activity.stages.iter().map(|stage| &stage.demands) {
                let both = demands.iter().zip(&self.capacities).enumerate();
                if let Some((resource, (needs, has))) = both.into_iter().find(|(_, (n, c))| n > c) {
                    return Err(Unsolvable::TooLarge {
                        activity: position,
                        resource,
                        needs: *needs,
                        has: *has,
                    });
                }
            }
            let stages = activity
                .stages
                .iter()
                .map(|stage| u64::from(stage.duration));
            length += stages.sum::<u64>();
            let opens = activity.calendar.and_then(|at| self.calendars[at].last());
            latest = latest
                .max(activity.release.into())
                .max(opens.map_or(0, |(from, _)| (*from).into()));
        }
        if length + latest > u64::from(Time::MAX / 2) {
            return Err(Unsolvable::TooLong);
        }
        Ok(())
    }
}

/// Why a project cannot be scheduled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsolvable {
    /// Activities wait for each other.
    #[error("activity {activity} waits for itself")]
    Cycle {
        /// One of them.
        activity: usize,
    },
    /// More than there is.
    #[error("activity {activity} needs {needs} of resource {resource}, which has {has}")]
    TooLarge {
        /// Which activity.
        activity: usize,
        /// Which resource.
        resource: usize,
        /// It needs.
        needs: u64,
        /// There are.
        has: u64,
    },
    /// Its calendar is over before its turn comes.
    #[error("calendars are over before every activity has its turn")]
    CalendarFull,
    /// The sum of all durations and the latest release leave the range of times.
    #[error("the project lasts longer than times can tell")]
    TooLong,
}

/// Lists of lists in one piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    first: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    fn new(lists: &[Vec<u32>]) -> Self {
        let mut made = Self {
            first: vec![0],
            items: Vec::new(),
        };
        for list in lists {
            made.items.extend(list);
            made.first
                .push(u32::try_from(made.items.len()).expect("fewer than 2^32 precedences"));
        }
        made
    }

    pub fn of(&self, list: u32) -> &[u32] {
        let (from, to) = (self.first[list as usize], self.first[list as usize + 1]);
        &self.items[from as usize..to as usize]
    }
}

/// The direction in which time runs while a schedule is made: the mirror image of a project has
/// its precedences the other way round, and what is early in it is late in the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Forward,
    Backward,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// A project whose activities are numbered so that each comes before its successors.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// By number: the activity's position in the project.
    pub position: Vec<usize>,
    pub duration: Vec<Time>,
    /// By direction: those that must end before a number starts.
    before: [Lists; 2],
    /// By direction: longest chain of what must end before a number starts.
    head: [Vec<Time>; 2],
}

impl Network {
    pub fn new(project: &Project) -> Result<Self, Unsolvable> {
        let activities = &project.activities;
        let position = topological(activities)?;
        project.validate()?;
        let mut number = vec![0_u32; activities.len()];
        for (n, position) in (0..).zip(&position) {
            number[*position] = n;
        }
        let mut before = vec![Vec::new(); position.len()];
        let mut after = vec![Vec::new(); position.len()];
        for (n, position) in (0_u32..).zip(&position) {
            for successor in &activities[*position].successors {
                let other = number[*successor];
                before[other as usize].push(n);
                after[n as usize].push(other);
            }
        }
        for list in before.iter_mut().chain(&mut after) {
            list.sort_unstable();
            list.dedup();
        }
        let durations = position.iter().map(|at| activities[*at].duration());
        let mut network = Self {
            duration: durations.collect(),
            position,
            before: [Lists::new(&before), Lists::new(&after)],
            head: [Vec::new(), Vec::new()],
        };
        network.head = [
            network.heads(project, Side::Forward),
            network.heads(project, Side::Backward),
        ];
        Ok(network)
    }

    pub fn len(&self) -> usize {
        self.duration.len()
    }

    /// Those that must have ended before it starts.
    pub fn before(&self, side: Side, number: u32) -> &[u32] {
        self.before[side as usize].of(number)
    }

    /// The earliest start without regard to resources.
    pub fn head(&self, side: Side, number: u32) -> Time {
        self.head[side as usize][number as usize]
    }

    /// The longest chain.
    pub fn critical_path(&self) -> Time {
        let ends = (0..)
            .zip(&self.duration)
            .map(|(n, d)| self.head(Side::Forward, n) + d);
        ends.max().unwrap_or_default()
    }

    fn heads(&self, project: &Project, side: Side) -> Vec<Time> {
        let mut heads = vec![0; self.len()];
        for k in 0..self.len() {
            let n = match side {
                Side::Forward => k,
                Side::Backward => self.len() - 1 - k,
            };
            let number = u32::try_from(n).expect("fewer than 2^32 activities");
            let before = self.before(side, number).iter().map(|b| *b as usize);
            let chain = before.map(|b| heads[b] + self.duration[b]).max();
            let chain = chain.unwrap_or_default();
            heads[n] = match side {
                Side::Forward => chain.max(project.activities[self.position[n]].release),
                Side::Backward => chain,
            };
        }
        heads
    }
}

/// When activities may start, seen from either end of time.
pub(super) struct Calendars<'a> {
    /// By number: the release, and the intervals to keep; none if both bind nothing.
    of: Vec<Option<Binding<'a>>>,
    duration: &'a [Time],
}

struct Binding<'a> {
    release: Time,
    intervals: &'a [(Time, Time)],
}

/// No calendar: any time.
const ALWAYS: [(Time, Time); 1] = [(0, Time::MAX)];

impl<'a> Calendars<'a> {
    pub fn new(project: &'a Project, network: &'a Network) -> Self {
        let of = |position: &usize| {
            let activity = &project.activities[*position];
            let calendar = activity.calendar.map(|at| project.calendars[at].as_slice());
            (activity.release > 0 || calendar.is_some()).then(|| Binding {
                release: activity.release,
                intervals: calendar.unwrap_or(&ALWAYS),
            })
        };
        Self {
            of: network.position.iter().map(of).collect(),
            duration: &network.duration,
        }
    }

    /// Whether the activity may not start at just any time.
    #[inline]
    pub fn bind(&self, activity: u32) -> bool {
        self.of[activity as usize].is_some()
    }

    /// Whether any activity may not start at just any time.
    pub fn bind_any(&self) -> bool {
        self.of.iter().any(Option::is_some)
    }

    /// The first time from `from` on at which the activity may start; backwards, times count down
    /// from the horizon.
    pub fn open_from(&self, side: Side, horizon: Time, activity: u32, from: Time) -> Option<Time> {
        let Some(binding) = &self.of[activity as usize] else {
            return Some(from);
        };
        match side {
            Side::Forward => binding.first_from(from),
            Side::Backward => {
                let duration = self.duration[activity as usize];
                let latest = horizon.checked_sub(from.checked_add(duration)?)?;
                Some(horizon - duration - binding.last_until(latest)?)
            }
        }
    }
}

impl Binding<'_> {
    fn first_from(&self, from: Time) -> Option<Time> {
        let from = from.max(self.release);
        let next = self.intervals.partition_point(|(_, to)| *to <= from);
        self.intervals.get(next).map(|(opens, _)| from.max(*opens))
    }

    fn last_until(&self, until: Time) -> Option<Time> {
        let past = self.intervals.partition_point(|(from, _)| *from <= until);
        let (_, to) = self.intervals[..past].last()?;
        Some(until.min(to - 1)).filter(|at| *at >= self.release)
    }
}

/// Positions of the activities, each before its successors; among those that are free, as listed.
fn topological(activities: &[Activity]) -> Result<Vec<usize>, Unsolvable> {
    let mut open = vec![0_usize; activities.len()];
    for successor in activities.iter().flat_map(|activity| &activity.successors) {
        open[*successor] += 1;
    }
    let mut order: Vec<usize> = (0..activities.len()).filter(|at| open[*at] == 0).collect();
    let mut next = 0;
    while let Some(at) = order.get(next) {
        next += 1;
        for successor in activities[*at].successors.clone() {
            open[successor] -= 1;
            if open[successor] == 0 {
                order.push(successor);
            }
        }
    }
    match open.iter().position(|open| *open > 0) {
        Some(activity) => Err(Unsolvable::Cycle { activity }),
        None => Ok(order),
    }
}
