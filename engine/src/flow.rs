//! Any profile on a virtual clock: phases that follow each other as its pools let them.
//!
//! Takes imports with how long each of their phases lasts, and gives what began and what ended. A phase
//! begins when the one before it has ended and all pools that it takes have room, first come, first
//! served; one that the executor begins, when [`Flow::go`] says so. It knows nothing of faults and
//! polls: an engine whose worker blocks is [`crate::Sim`]'s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::profile::{By, Capacity, Phase, PhaseName, Profile, Scope};
use crate::time::Millis;

/// One import: its phases' lengths by their place in the profile, and where its disks come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// How long each phase lasts, alone.
    pub lasts: Vec<Millis>,
    /// The host that its disks are copied from, if that is known.
    pub host: Option<usize>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When.
    pub at: Millis,
    /// To which import: its number.
    pub import: usize,
    /// In which phase.
    pub phase: PhaseName,
    /// Whether it has ended; else it has begun.
    pub ended: bool,
}

/// Parts of a millisecond: what is shared is counted exactly enough for any number of imports.
const PARTS: u128 = 1 << 20;

/// In the order in which those of one time fire: ends before beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A phase of an import ends.
    End { phase: usize, import: usize },
    /// Something that shares a pool may be through, unless the pool has changed since.
    Shared { pool: usize, round: u64 },
    /// An import comes to a phase; of those of one time the one that was created first.
    Arrive {
        phase: usize,
        created: u32,
        import: usize,
    },
}

/// The engine of a profile.
#[derive(Clone, Debug)]
pub struct Flow {
    profile: Profile,
    /// By phase: positions of the pools that it takes, and how much.
    takes: Vec<Vec<(usize, u32)>>,
    imports: Vec<Option<Under>>,
    created: u32,
    /// By phase: those that wait for its pools.
    waiting: Vec<VecDeque<usize>>,
    /// What is taken of each pool, and where it has places, of each place.
    taken: BTreeMap<(usize, Option<usize>), u32>,
    /// By pool, where it is a bandwidth: who shares it.
    shared: Vec<Bandwidth>,
    timers: BinaryHeap<Reverse<(Millis, Timer)>>,
    passed: Vec<Passed>,
}

/// An import under way.
#[derive(Clone, Debug)]
struct Under {
    passage: Passage,
    created: u32,
    /// The phase that it is in, or comes to.
    phase: usize,
    /// That phase waits for the executor.
    held: bool,
    spans: Vec<(Option<Millis>, Option<Millis>)>,
}

/// A bandwidth and those who share it.
#[derive(Clone, Debug, Default)]
struct Bandwidth {
    /// With the work left, in parts of a millisecond alone.
    sharers: Vec<(usize, u128)>,
    since: Millis,
    /// Counts changes: timers set before one are stale.
    round: u64,
}

impl Flow {
    /// An idle engine.
    pub fn new(profile: Profile) -> Self {
        let place = |name: &str| profile.pools.iter().position(|pool| pool.name == name);
        let takes = |phase: &Phase| {
            let takes = phase.takes.iter();
            takes
                .filter_map(|(name, takes)| Some((place(name)?, *takes)))
                .collect()
        };
        Self {
            takes: profile.phases.iter().map(takes).collect(),
            imports: Vec::new(),
            created: 0,
            waiting: vec![VecDeque::new(); profile.phases.len()],
            taken: BTreeMap::new(),
            shared: vec![Bandwidth::default(); profile.pools.len()],
            timers: BinaryHeap::new(),
            passed: Vec::new(),
            profile,
        }
    }

    /// Creates an import under a number of the caller's, now: its first phase begins as soon as it can.
    pub fn create(&mut self, now: Millis, import: usize, passage: Passage) {
        if import >= self.imports.len() {
            self.imports.resize(import + 1, None);
        }
        self.created += 1;
        self.imports[import] = Some(Under {
            spans: vec![(None, None); passage.lasts.len()],
            passage,
            created: self.created,
            phase: 0,
            held: false,
        });
        self.wait(now, 0, import);
    }

    /// The executor lets an import go on that waits for it; nothing, if it does not.
    pub fn go(&mut self, now: Millis, import: usize) {
        let Some(under) = self.imports[import].as_mut().filter(|it| it.held) else {
            return;
        };
        under.held = false;
        let phase = under.phase;
        if self.profile.before(self.profile.phases[phase].name) == Millis::ZERO {
            self.wait(now, phase, import);
        } else {
            self.arrive(now, phase, import);
        }
    }

    /// Whether the first phase of an import of that place could begin at once.
    pub fn has_room(&self, host: Option<usize>) -> bool {
        self.waiting.first().is_some_and(VecDeque::is_empty) && self.fits(0, host)
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<Millis> {
        let untold = self.passed.first().map(|passed| passed.at);
        untold.or_else(|| self.timers.peek().map(|Reverse((at, _))| *at))
    }

    /// When a phase of an import began and ended.
    pub fn span(&self, import: usize, phase: PhaseName) -> (Option<Millis>, Option<Millis>) {
        let place = self.profile.phases.iter().position(|it| it.name == phase);
        let under = self.imports.get(import).and_then(Option::as_ref);
        match (under, place) {
            (Some(under), Some(place)) => under.spans[place],
            _ => (None, None),
        }
    }

    /// Lets time pass, and gives what happened, in that order.
    pub fn advance_to(&mut self, until: Millis) -> Vec<Passed> {
        while let Some(Reverse((now, timer))) = self.timers.peek().copied() {
            if now > until {
                break;
            }
            self.timers.pop();
            match timer {
                Timer::End { phase, import } => self.end(now, phase, import),
                Timer::Shared { pool, round } => {
                    if self.shared[pool].round == round {
                        self.shared_end(now, pool);
                    }
                }
                Timer::Arrive { phase, import, .. } => self.wait(now, phase, import),
            }
        }
        std::mem::take(&mut self.passed)
    }

    fn arrive(&mut self, now: Millis, phase: usize, import: usize) {
        let at = now + self.profile.before(self.profile.phases[phase].name);
        let created = self.imports[import].as_ref().map_or(0, |it| it.created);
        let arrive = Timer::Arrive {
            phase,
            created,
            import,
        };
        self.timers.push(Reverse((at, arrive)));
    }

    /// An import is there, and begins as soon as the phase's pools have room.
    fn wait(&mut self, now: Millis, phase: usize, import: usize) {
        self.waiting[phase].push_back(import);
        self.begin_waiting(now, phase);
    }

    /// Which of a pool's places an import takes of.
    fn place(&self, pool: usize, host: Option<usize>) -> (usize, Option<usize>) {
        match self.profile.pools[pool].of {
            Scope::Engine => (pool, None),
            Scope::Host => (pool, host),
        }
    }

    fn fits(&self, phase: usize, host: Option<usize>) -> bool {
        self.takes[phase].iter().all(|(pool, takes)| {
            let Capacity::Slots(slots) = self.profile.pools[*pool].capacity else {
                return true;
            };
            let taken = self.taken.get(&self.place(*pool, host));
            taken.copied().unwrap_or(0) + takes <= slots
        })
    }

    /// Those begin that came first and whose pools have room.
    fn begin_waiting(&mut self, now: Millis, phase: usize) {
        let mut at = 0;
        while let Some(&import) = self.waiting[phase].get(at) {
            let host = self.imports[import].as_ref().and_then(|it| it.passage.host);
            if !self.fits(phase, host) {
                // What comes from another place may begin before it.
                at += 1;
                continue;
            }
            self.waiting[phase].remove(at);
            self.begin(now, phase, import, host);
        }
    }

    fn begin(&mut self, now: Millis, phase: usize, import: usize, host: Option<usize>) {
        let mut shares = None;
        for n in 0..self.takes[phase].len() {
            let (pool, takes) = self.takes[phase][n];
            *self.taken.entry(self.place(pool, host)).or_default() += takes;
            if self.profile.pools[pool].capacity == Capacity::Shared {
                shares = Some(pool);
            }
        }
        let Some(under) = self.imports[import].as_mut() else {
            return;
        };
        under.spans[phase].0 = Some(now);
        let lasts = under.passage.lasts[phase];
        self.tell(now, phase, import, false);
        match shares {
            None => self
                .timers
                .push(Reverse((now + lasts, Timer::End { phase, import }))),
            Some(pool) => {
                self.work_until(now, pool);
                let work = u128::from(lasts.0) * PARTS;
                self.shared[pool].sharers.push((import, work));
                self.set_shared(now, pool);
            }
        }
    }

    fn end(&mut self, now: Millis, phase: usize, import: usize) {
        let Some(under) = self.imports[import].as_mut() else {
            return;
        };
        under.spans[phase].1 = Some(now);
        let host = under.passage.host;
        under.phase = phase + 1;
        let next = self.profile.phases.get(phase + 1);
        under.held = next.is_some_and(|next| next.by == By::Executor);
        let goes_on = next.is_some() && !under.held;
        self.tell(now, phase, import, true);
        for n in 0..self.takes[phase].len() {
            let (pool, takes) = self.takes[phase][n];
            let place = self.place(pool, host);
            *self.taken.entry(place).or_default() -= takes;
        }
        if goes_on {
            self.arrive(now, phase + 1, import);
        }
        if !self.takes[phase].is_empty() {
            for other in 0..self.waiting.len() {
                self.begin_waiting(now, other);
            }
        }
    }

    fn tell(&mut self, at: Millis, phase: usize, import: usize, ended: bool) {
        self.passed.push(Passed {
            at,
            import,
            phase: self.profile.phases[phase].name,
            ended,
        });
    }

    fn work_until(&mut self, now: Millis, pool: usize) {
        let shared = &mut self.shared[pool];
        let passed = u128::from(now.saturating_sub(shared.since).0);
        let parts = passed * PARTS / shared.sharers.len().max(1) as u128;
        for (_, left) in &mut shared.sharers {
            *left = left.saturating_sub(parts);
            if *left < PARTS / 1024 {
                *left = 0;
            }
        }
        shared.since = now;
    }

    fn set_shared(&mut self, now: Millis, pool: usize) {
        let shared = &mut self.shared[pool];
        shared.round += 1;
        let (round, count) = (shared.round, shared.sharers.len() as u128);
        if let Some(left) = shared.sharers.iter().map(|(_, left)| *left).min() {
            let wait = (left * count).div_ceil(PARTS);
            let wait = Millis(u64::try_from(wait).unwrap_or(u64::MAX / 2));
            let timer = Timer::Shared { pool, round };
            self.timers.push(Reverse((now + wait, timer)));
        }
    }

    fn shared_end(&mut self, now: Millis, pool: usize) {
        self.work_until(now, pool);
        let sharers = std::mem::take(&mut self.shared[pool].sharers);
        let (through, left): (Vec<_>, Vec<_>) = sharers.into_iter().partition(|(_, l)| *l == 0);
        self.shared[pool].sharers = left;
        for (import, _) in through {
            let phase = self.imports[import].as_ref().map_or(0, |it| it.phase);
            self.end(now, phase, import);
        }
        self.set_shared(now, pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(lasts: [u64; 5], host: Option<usize>) -> Passage {
        Passage {
            lasts: lasts.map(Millis).to_vec(),
            host,
        }
    }

    /// Runs all that goes on by itself, letting go whatever waits for the executor.
    fn run(flow: &mut Flow) {
        while let Some(at) = flow.next_event() {
            for passed in flow.advance_to(at) {
                flow.go(at, passed.import);
            }
        }
    }

    // One exporter: the second copies when the first has; two image slots: both are taken in at once.
    #[test]
    fn slots() {
        let mut flow = Flow::new(Profile::ideal(1, 2));
        flow.create(Millis::ZERO, 0, passage([0, 10, 50, 5, 0], None));
        flow.create(Millis::ZERO, 1, passage([0, 20, 30, 5, 0], None));
        run(&mut flow);
        let span = |import, phase| {
            let (from, to) = flow.span(import, phase);
            (from.map(|at| at.0), to.map(|at| at.0))
        };
        assert_eq!(span(0, PhaseName::Export), (Some(0), Some(10)));
        assert_eq!(span(1, PhaseName::Export), (Some(10), Some(30)));
        assert_eq!(span(0, PhaseName::Images), (Some(10), Some(60)));
        assert_eq!(span(1, PhaseName::Images), (Some(30), Some(60)));
        assert_eq!(span(1, PhaseName::Boot), (Some(60), Some(65)));
    }

    // A bandwidth: two that share it take as long as both one after the other.
    #[test]
    fn bandwidth() {
        let mut profile = Profile::ideal(2, 0);
        profile.pools[1].capacity = Capacity::Shared;
        let mut flow = Flow::new(profile);
        for import in 0..2 {
            flow.create(Millis::ZERO, import, passage([0, 10, 50, 0, 0], None));
        }
        run(&mut flow);
        for import in 0..2 {
            let (_, to) = flow.span(import, PhaseName::Images);
            assert_eq!(to, Some(Millis(110)));
        }
    }

    // A pool of each host: those of one host follow each other, one of another overtakes them.
    #[test]
    fn hosts() {
        let mut profile = Profile::ideal(1, 9);
        profile.pools[0].of = Scope::Host;
        let mut flow = Flow::new(profile);
        for (import, host) in [0, 0, 1].into_iter().enumerate() {
            flow.create(Millis::ZERO, import, passage([0, 10, 0, 0, 0], Some(host)));
        }
        run(&mut flow);
        let begins = |import| flow.span(import, PhaseName::Export).0.map(|at| at.0);
        assert_eq!(
            [begins(0), begins(1), begins(2)],
            [Some(0), Some(10), Some(0)]
        );
    }
}
