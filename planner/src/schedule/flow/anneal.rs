//! Improves an exact order by annealing: a job moved, two swapped, a block moved, a stretch ruined
//! and made again; never a job in front of one that it waits for.
//!
//! Integers only, one seed, and a budget in decoded orders: the same result on every machine. What
//! is minimised is the makespan, and a little of when the exports start on average, weighted by
//! their length: that tells two orders of equal makespan apart by how much idle time they have
//! early.

use super::line::{Line, State};
use super::model::Model;

/// Chance: `SplitMix64` (Steele, Lea, Flood 2014).
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    #[inline]
    pub fn below(&mut self, end: usize) -> usize {
        let below = (u128::from(self.next()) * end as u128) >> 64;
        usize::try_from(below).expect("less than `end`")
    }

    /// The natural logarithm of one over a random number, in 65,536ths: how many temperatures worse
    /// an order may be. By repeated squaring, so that no machine has another last bit.
    pub fn patience(&mut self) -> u64 {
        let drawn = (self.next() >> 32).max(1);
        let zeros = u64::from(drawn.leading_zeros()) - 32;
        // drawn = 2^(31 - zeros) · m / 2^31, with m from 2^31 up to 2^32.
        let mut mantissa = drawn << zeros;
        let mut log2 = 0;
        for bit in (0..16).rev() {
            mantissa = (mantissa * mantissa) >> 31;
            if mantissa >= 1 << 32 {
                mantissa >>= 1;
                log2 |= 1 << bit;
            }
        }
        // log2(1/x) = zeros + 1 - fraction; ln = log2 · 0.6931.
        let inverse = ((zeros + 1) << 16) - log2;
        (inverse * 45_426) >> 16
    }
}

/// What is minimised, scaled so that both parts are whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost(u64);

/// Parts of the mean start in the cost, against one makespan.
const MAKESPAN_PARTS: u64 = 4;

/// An order that is being improved.
pub struct Anneal<'a> {
    model: &'a Model,
    chance: Chance,
    /// Jobs to a block; states are kept at the start of each.
    block: usize,
    order: Vec<u32>,
    place: Vec<u32>,
    line: Line,
    kept: Vec<State>,
    /// By block: last job running, sum of export times starts.
    sums: Vec<(u32, u64)>,
    exports: u64,
    cost: Cost,
    makespan: u32,
    mean_export: u32,
    best: (u32, Vec<u32>),
    trial: Trial,
}

/// An order that is being tried.
struct Trial {
    order: Vec<u32>,
    line: Line,
    kept: Vec<State>,
    state: State,
    stretch: Vec<u32>,
}

impl<'a> Anneal<'a> {
    /// From an order that can be decoded.
    pub fn new(model: &'a Model, order: Vec<u32>, seed: u64) -> Self {
        let jobs = model.len();
        let block = (jobs / 48).clamp(4, 64);
        let blocks = jobs.div_ceil(block);
        let line = Line::new(jobs);
        let exports: u64 = model.jobs.iter().map(|job| u64::from(job.export)).sum();
        let mut it = Self {
            model,
            chance: Chance(seed),
            block,
            place: vec![0; jobs],
            kept: vec![State::new(model); blocks],
            sums: vec![(0, 0); blocks],
            exports: exports.max(1),
            cost: Cost(0),
            makespan: 0,
            mean_export: u32::try_from(exports / jobs.max(1) as u64).unwrap_or(u32::MAX),
            best: (0, order.clone()),
            trial: Trial {
                order: order.clone(),
                line: line.clone(),
                kept: vec![State::new(model); blocks],
                state: State::new(model),
                stretch: Vec::new(),
            },
            line,
            order,
        };
        it.begin();
        it.best.0 = it.makespan;
        it
    }

    /// The best makespan and its order.
    pub fn best(&self) -> (u32, &[u32]) {
        (self.best.0, &self.best.1)
    }

    fn begin(&mut self) {
        for (place, job) in (0..).zip(&self.order) {
            self.place[*job as usize] = place;
        }
        let mut state = State::new(self.model);
        for (at, job) in self.order.iter().enumerate() {
            if at % self.block == 0 {
                self.kept[at / self.block].clone_from(&state);
            }
            let placed = self.line.place(self.model, &mut state, *job);
            debug_assert!(placed, "the order can be decoded");
        }
        self.line
            .pass(self.model, &mut state, super::model::NEVER - 1);
        self.trial.line.clone_from(&self.line);
        for block in 0..self.sums.len() {
            self.sums[block] = self.sum(&self.order, &self.line, block);
        }
        let (last, starts) = total(&self.sums);
        self.makespan = last;
        self.cost = self.cost_of(last, starts);
    }

    /// Whether what is kept is what decoding from the start gives.
    #[cfg(test)]
    pub fn is_consistent(&self) -> bool {
        let mut line = Line::new(self.order.len());
        line.decode(self.model, &mut State::new(self.model), &self.order);
        let sums = self.sums.iter().enumerate();
        line.start == self.line.start
            && line.running == self.line.running
            && line.images == self.line.images
            && self.trial.order == self.order
            && self.trial.line.running == self.line.running
            && line.running.iter().max() == Some(&self.makespan)
            && sums
                .into_iter()
                .all(|(block, sum)| *sum == self.sum(&self.order, &line, block))
    }

    fn sum(&self, order: &[u32], line: &Line, block: usize) -> (u32, u64) {
        let end = order.len().min((block + 1) * self.block);
        let (mut last, mut starts) = (0, 0);
        for job in &order[block * self.block..end] {
            let job = *job as usize;
            last = last.max(line.running[job]);
            starts += u64::from(self.model.jobs[job].export) * u64::from(line.start[job]);
        }
        (last, starts)
    }

    fn cost_of(&self, makespan: u32, starts: u64) -> Cost {
        // In sixteenths of a unit.
        let mean = u128::from(starts) * 16 / u128::from(self.exports);
        let mean = u64::try_from(mean).unwrap_or(u64::MAX / 2);
        Cost(u64::from(makespan) * 16 * MAKESPAN_PARTS + mean)
    }

    /// Tries one move at a temperature, in 65,536ths of a unit; gives whether it was one.
    pub fn step(&mut self, temperature: u64) -> bool {
        let Some((first, last)) = self.propose() else {
            return false;
        };
        let patience = (u128::from(temperature) * u128::from(self.chance.patience())) >> 28;
        let patience = u64::try_from(patience).unwrap_or(u64::MAX / 16);
        let limit = self.cost.0 + patience * MAKESPAN_PARTS;
        // Patience is in sixteenths of a unit, as costs are.
        let late = u32::try_from(patience / 8).unwrap_or(u32::MAX);
        let late = late.saturating_add(self.mean_export);
        let (from, until, cost) = self.decode(first, last, late);
        if let Some((cost, makespan)) = cost.filter(|(cost, _)| cost.0 <= limit) {
            self.accept(first, last, from, until);
            self.cost = cost;
            self.makespan = makespan;
            if makespan < self.best.0 {
                self.best.0 = makespan;
                self.best.1.clone_from(&self.order);
            }
        } else {
            self.reject(first, last, from, until);
        }
        true
    }

    /// Changes `trial.order`; gives the first and last place that differ.
    fn propose(&mut self) -> Option<(usize, usize)> {
        let jobs = self.order.len();
        if jobs < 2 {
            return None;
        }
        match self.chance.below(16) {
            0..=4 => {
                let far = 64 << self.chance.below(7);
                self.insert(far.min(jobs))
            }
            5..=8 => {
                let far = 8 << self.chance.below(8);
                self.insert(far)
            }
            9..=10 => self.swap(jobs),
            11..=12 => self.swap(24),
            13..=14 => self.move_block(),
            _ => self.ruin(),
        }
    }

    /// A job somewhere else, at most `far` places away.
    fn insert(&mut self, far: usize) -> Option<(usize, usize)> {
        let at = self.chance.below(self.order.len());
        let job = self.order[at];
        let place = |job: &u32| self.place[*job as usize] as usize;
        let before = self.model.before.of(job).iter().map(place).max();
        let after = self.model.after.of(job).iter().map(place).min();
        let least = before
            .map_or(0, |place| place + 1)
            .max(at.saturating_sub(far));
        let most = after.map_or(self.order.len(), |place| place) - 1;
        let most = most.min(at + far);
        if least >= most {
            return None;
        }
        let to = least + self.chance.below(most - least + 1);
        if to == at {
            return None;
        }
        if to > at {
            self.trial.order[at..=to].rotate_left(1);
        } else {
            self.trial.order[to..=at].rotate_right(1);
        }
        Some((at.min(to), at.max(to)))
    }

    fn swap(&mut self, far: usize) -> Option<(usize, usize)> {
        let jobs = self.order.len();
        let at = self.chance.below(jobs);
        let lowest = at.saturating_sub(far);
        let highest = (at + far).min(jobs - 1);
        let to = lowest + self.chance.below(highest - lowest + 1);
        let (first, last) = (at.min(to), at.max(to));
        let place = |job: &u32| self.place[*job as usize] as usize;
        let mut after = self.model.after.of(self.order[first]).iter().map(place);
        let mut before = self.model.before.of(self.order[last]).iter().map(place);
        if first == last || after.any(|at| at <= last) || before.any(|at| at >= first) {
            return None;
        }
        self.trial.order.swap(first, last);
        Some((first, last))
    }

    /// A few neighbours, together, past those before or behind them.
    fn move_block(&mut self) -> Option<(usize, usize)> {
        let jobs = self.order.len();
        let length = 2 + self.chance.below(6);
        let past = 1 + self.chance.below(30);
        let back = self.chance.below(2) == 0;
        let size = length + past;
        if size > jobs {
            return None;
        }
        let first = self.chance.below(jobs - size + 1);
        let cut = first + if back { past } else { length };
        let end = first + size;
        for job in &self.order[first..cut] {
            for next in self.model.after.of(*job) {
                let place = self.place[*next as usize] as usize;
                if place >= cut && place < end {
                    return None;
                }
            }
        }
        self.trial.order[first..end].rotate_left(cut - first);
        Some((first, end - 1))
    }

    /// A stretch is taken out and filled again: by chance, by length, or by size.
    fn ruin(&mut self) -> Option<(usize, usize)> {
        let jobs = self.order.len();
        let length = (3 + self.chance.below(10)).min(jobs);
        let first = self.chance.below(jobs - length + 1);
        let rule = self.chance.below(4);
        let model = self.model;
        let chance = &mut self.chance;
        let mut urgency = |job: u32| -> u64 {
            let it = &model.jobs[job as usize];
            let drawn = chance.next() >> 32;
            match rule {
                0 => drawn,
                1 => u64::from(it.export) << 8 | drawn & 255,
                2 => u64::from(NEVER_KEY - it.export) << 8 | drawn & 255,
                _ => u64::try_from(i64::MAX - it.peak).unwrap_or(0),
            }
        };
        let stretch = &mut self.trial.stretch;
        stretch.clear();
        stretch.extend(&self.order[first..first + length]);
        let mut keys = [0; 16];
        for (slot, job) in keys.iter_mut().zip(stretch.iter()) {
            *slot = urgency(*job);
        }
        for at in first..first + length {
            // The least of those that wait for none of the others.
            let mut best: Option<usize> = None;
            for (candidate, job) in stretch.iter().enumerate() {
                let free = model.before.of(*job).iter().all(|b| !stretch.contains(b));
                if free && best.is_none_or(|best| keys[candidate] < keys[best]) {
                    best = Some(candidate);
                }
            }
            let best = best?;
            self.trial.order[at] = stretch.swap_remove(best);
            keys[best] = keys[stretch.len()];
        }
        Some((first, first + length - 1))
    }

    /// Decodes the trial from the block of `first` on. Gives the first place decoded, the place
    /// where everything is as it was again, and the cost.
    /// Exports that are later than before by more than `late`, once the change has settled, hardly catch
    /// up: such an order is given up at once.
    fn decode(
        &mut self,
        first: usize,
        last: usize,
        late: u32,
    ) -> (usize, usize, Option<(Cost, u32)>) {
        let (jobs, begin) = (self.order.len(), first / self.block);
        let from = begin * self.block;
        let trial = &mut self.trial;
        trial.state.clone_from(&self.kept[begin]);
        for (_, _, job) in &trial.state.exporting {
            trial.line.running[*job as usize] = super::model::NEVER;
        }
        let mut until = jobs;
        for at in from..jobs {
            if at % self.block == 0 && at > from {
                let block = at / self.block;
                if at > last && trial.state.is_like(&self.kept[block]) {
                    until = at;
                    break;
                }
                let before = self.kept[block].now;
                if at > last + SETTLED && trial.state.now > before.saturating_add(late) {
                    return (from, at, None);
                }
                trial.kept[block].clone_from(&trial.state);
            }
            if !trial
                .line
                .place(self.model, &mut trial.state, trial.order[at])
            {
                return (from, at, None);
            }
        }
        if until == jobs {
            trial
                .line
                .pass(self.model, &mut trial.state, super::model::NEVER - 1);
        } else {
            for (_, _, job) in &trial.state.exporting {
                let job = *job as usize;
                trial.line.running[job] = self.line.running[job];
                trial.line.images[job] = self.line.images[job];
            }
        }
        let (mut makespan, mut starts) = (0, 0);
        // Images of what was being exported when the decoding began may now be in at another time.
        let touched = |block: usize| {
            let exporting = self.kept[begin].exporting.iter();
            let mut places = exporting.map(|(_, _, job)| self.place[*job as usize] as usize);
            places.any(|place| place / self.block == block)
        };
        for block in 0..self.sums.len() {
            let place = block * self.block;
            let (end, sum) = if (place >= from && place < until) || touched(block) {
                self.sum(&self.trial.order, &self.trial.line, block)
            } else {
                self.sums[block]
            };
            makespan = makespan.max(end);
            starts += sum;
        }
        let cost = self.cost_of(makespan, starts);
        (from, until, Some((cost, makespan)))
    }

    fn accept(&mut self, first: usize, last: usize, from: usize, until: usize) {
        for at in first..=last {
            self.order[at] = self.trial.order[at];
            self.place[self.order[at] as usize] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        let begin = from / self.block;
        for n in 0..self.kept[begin].exporting.len() {
            let job = self.kept[begin].exporting[n].2 as usize;
            self.line.running[job] = self.trial.line.running[job];
            self.line.images[job] = self.trial.line.images[job];
            let block = self.place[job] as usize / self.block;
            self.sums[block] = self.sum(&self.order, &self.line, block);
        }
        for at in from..until {
            let job = self.order[at] as usize;
            self.line.start[job] = self.trial.line.start[job];
            self.line.running[job] = self.trial.line.running[job];
            self.line.images[job] = self.trial.line.images[job];
        }
        for block in begin..until.div_ceil(self.block) {
            if block > begin {
                std::mem::swap(&mut self.kept[block], &mut self.trial.kept[block]);
            }
            self.sums[block] = self.sum(&self.order, &self.line, block);
        }
    }

    fn reject(&mut self, first: usize, last: usize, from: usize, until: usize) {
        let begin = from / self.block;
        for (_, _, job) in &self.kept[begin].exporting {
            let job = *job as usize;
            self.trial.line.running[job] = self.line.running[job];
            self.trial.line.images[job] = self.line.images[job];
        }
        let until = (until + 1).min(self.order.len());
        for at in from..until {
            let job = self.trial.order[at] as usize;
            self.trial.line.start[job] = self.line.start[job];
            self.trial.line.running[job] = self.line.running[job];
            self.trial.line.images[job] = self.line.images[job];
        }
        self.trial.order[first..=last].copy_from_slice(&self.order[first..=last]);
    }
}

/// Places behind a change from which on its effect is judged.
const SETTLED: usize = 32;

/// Larger than any export of a stretch's key.
const NEVER_KEY: u32 = u32::MAX;

fn total(sums: &[(u32, u64)]) -> (u32, u64) {
    let starts = sums.iter().map(|(_, starts)| starts).sum();
    (
        sums.iter().map(|(last, _)| *last).max().unwrap_or(0),
        starts,
    )
}
