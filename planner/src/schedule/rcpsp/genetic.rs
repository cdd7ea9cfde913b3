//! A genetic search with two populations, one for each direction of time.
//!
//! After Debels & Vanhoucke (2005, 2007): a schedule that was packed to one side gives, by the ends
//! of its activities, a list for packing to the other side (justification; Valls, Ballestín &
//! Quintanilla 2005). Children of one population are made to the other side and take the places of
//! their mothers' last children there if they are as good.

use super::Budget;
use super::generate::Generator;
use super::project::{Network, Project, Side, Time, Unsolvable};
use super::random::Random;

/// The search's parameters, chosen on half of the instances of J30 and J90.
#[derive(Clone, Debug)]
pub(super) struct Tuning {
    /// Size of a population in percent of what [`population`] says.
    pub population: usize,
    /// Individuals of which the best becomes father.
    pub tournament: usize,
    /// Neighbours swapped in a child's list, for each 1,000 activities.
    pub swaps: usize,
    /// Children out of 1,000 whose father is a new list of chance.
    pub strangers: usize,
    /// Length of the part that is ordered as the father's: least and most, in percent.
    pub part: (usize, usize),
}

impl Tuning {
    pub const CHOSEN: Self = Self {
        population: 100,
        tournament: 2,
        swaps: 50,
        strangers: 100,
        part: (25, 75),
    };
}

/// Fewest and most individuals of a population.
const POPULATION: (usize, usize) = (10, 2000);

/// Individuals that suit a project and the schedules that can be generated in all: more time bears
/// more variety, and larger projects need more generations. As measured on half of J30 and J90, about
/// `1.62 · schedules^(2/3) / √activities`.
fn population(activities: usize, schedules: u64) -> usize {
    let schedules = u128::from(schedules.min(1_000_000_000));
    let activities = activities.max(1) as u128;
    let enough = |size: usize| (size as u128).pow(6) * activities.pow(3) >= 18 * schedules.pow(4);
    let (least, most) = POPULATION;
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = usize::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The best schedule found.
pub(super) struct Found {
    pub start: Vec<Time>,
    pub makespan: Time,
    pub schedules: u64,
}

/// A schedule that was packed to one side.
#[derive(Clone, Debug, Default)]
struct Individual {
    /// Latest end, and the sum of all starts: what is less is better.
    score: (Time, u64),
    /// By number, in its side's time.
    start: Vec<Time>,
    /// The list that it gives for the other side.
    list: Vec<u32>,
}

struct Search<'a> {
    network: &'a Network,
    budget: &'a Budget<'a>,
    tuning: &'a Tuning,
    generator: Generator<'a>,
    /// Calendars bind: schedules packed to the right hold for their horizon only.
    timed: bool,
    random: Random,
    enough: Time,
    /// The best schedule so far, forwards, by number.
    best: Vec<Time>,
    makespan: Time,
    schedules: u64,
    // Room for work.
    list: Vec<u32>,
    stranger: Vec<u32>,
    place: Vec<usize>,
    count: Vec<usize>,
    open: Vec<usize>,
    free: Vec<u32>,
}

/// Searches until the budget is spent or a schedule is as short as `enough`.
pub(super) fn search(
    project: &Project,
    network: &Network,
    budget: &Budget,
    enough: Time,
    seed: u64,
    tuning: &Tuning,
) -> Result<Found, Unsolvable> {
    let n = network.len();
    let mut search = Search {
        network,
        budget,
        tuning,
        generator: Generator::new(project, network),
        timed: super::project::Calendars::new(project, network).bind_any(),
        random: Random::new(seed),
        enough,
        best: vec![0; n],
        makespan: Time::MAX,
        schedules: 0,
        list: Vec::with_capacity(n),
        stranger: Vec::with_capacity(n),
        place: vec![0; n],
        count: Vec::new(),
        open: vec![0; n],
        free: Vec::with_capacity(n),
    };
    search.run();
    if search.makespan == Time::MAX {
        return Err(Unsolvable::CalendarFull);
    }
    let mut start = vec![0; n];
    for (number, position) in network.position.iter().enumerate() {
        start[*position] = search.best[number];
    }
    Ok(Found {
        start,
        makespan: search.makespan,
        schedules: search.schedules,
    })
}

impl Search<'_> {
    fn over(&self) -> bool {
        self.makespan <= self.enough
            || self.schedules > 0
                && (self.schedules >= self.budget.schedules || self.budget.elapsed() >= 1000)
    }

    /// Schedules that the budget is expected to allow in all; time is judged by what it gave so far.
    fn expected(&self) -> u64 {
        let pace = match self.budget.elapsed() {
            0 => u64::MAX,
            elapsed => self.schedules * 1000 / u64::from(elapsed),
        };
        pace.min(self.budget.schedules)
    }

    fn run(&mut self) {
        let mut populations = [self.first(), Vec::new()];
        if populations[0].is_empty() {
            return;
        }
        let mut spare = Individual::default();
        let mut side = Side::Forward;
        while !self.over() {
            let [forward, backward] = &mut populations;
            let (parents, children) = match side {
                Side::Forward => (&*forward, backward),
                Side::Backward => (&*backward, forward),
            };
            for mother in 0..parents.len() {
                if self.over() {
                    return;
                }
                if !self.child(side, parents, mother, &mut spare) {
                    return;
                }
                let Some(last) = children.get_mut(mother) else {
                    children.push(std::mem::take(&mut spare));
                    continue;
                };
                if spare.score <= last.score && !is_among(children, &spare) {
                    std::mem::swap(&mut children[mother], &mut spare);
                }
            }
            side = side.other();
        }
    }

    /// The first population: lists of chance with a preference for those with much behind them.
    fn first(&mut self) -> Vec<Individual> {
        let mut population = Vec::new();
        let mut tried = 0;
        while !self.over() && tried < self.size() {
            tried += 1;
            let mut list = std::mem::take(&mut self.list);
            self.sample(Side::Forward, &mut list);
            let mut individual = Individual::default();
            if self.generate(Side::Forward, 0, &list, &mut individual) {
                population.push(individual);
            }
            self.list = list;
        }
        population
    }

    /// Individuals of a population.
    fn size(&self) -> usize {
        let size = population(self.network.len(), self.expected()) * self.tuning.population / 100;
        size.max(2)
    }

    /// A child of the mother, made to the other side; false if the budget was spent on a list for
    /// which a calendar had no place.
    fn child(
        &mut self,
        side: Side,
        parents: &[Individual],
        mother: usize,
        child: &mut Individual,
    ) -> bool {
        let mut list = std::mem::take(&mut self.list);
        let horizon = parents[mother].score.0;
        self.conceive(side, parents, mother, &mut list);
        let mut made = self.generate(side.other(), horizon, &list, child);
        if !made && !self.over() {
            // Justification of the mother is always possible.
            made = self.generate(side.other(), horizon, &parents[mother].list, child);
        }
        self.list = list;
        made
    }

    /// The list of a child: the mother's, with a part of it in the order of the father.
    fn conceive(&mut self, side: Side, parents: &[Individual], mother: usize, list: &mut Vec<u32>) {
        let mut stranger = std::mem::take(&mut self.stranger);
        let to = side.other();
        let (mother, father) = if self.random.chance(self.tuning.strangers, 1000) {
            self.sample(to, &mut stranger);
            (&parents[mother], &stranger)
        } else {
            let father = self.father(parents);
            (&parents[mother], &parents[father].list)
        };
        let n = mother.list.len();
        let (least, most) = self.tuning.part;
        let length = n * least / 100 + self.random.place((n * (most - least) / 100).max(1));
        let from = self.random.place(n - length + 1);
        for (place, number) in mother.list.iter().enumerate() {
            self.place[*number as usize] = place;
        }
        list.clear();
        list.extend(&mother.list[..from]);
        let part = from..from + length;
        list.extend(
            father
                .iter()
                .filter(|number| part.contains(&self.place[**number as usize])),
        );
        list.extend(&mother.list[from + length..]);
        self.stranger = stranger;
        self.swap_neighbours(to, list);
    }

    fn father(&mut self, parents: &[Individual]) -> usize {
        let mut best = self.random.place(parents.len());
        for _ in 1..self.tuning.tournament {
            let other = self.random.place(parents.len());
            if parents[other].score < parents[best].score {
                best = other;
            }
        }
        best
    }

    fn swap_neighbours(&mut self, side: Side, list: &mut [u32]) {
        let swaps = list.len() * self.tuning.swaps;
        let swaps = swaps / 1000 + usize::from(self.random.chance(swaps % 1000, 1000));
        for _ in 0..swaps {
            let at = self.random.place(list.len() - 1);
            if !self.network.before(side, list[at + 1]).contains(&list[at]) {
                list.swap(at, at + 1);
            }
        }
    }

    /// Makes a schedule of the list; false if there is no place for an activity.
    fn generate(&mut self, side: Side, horizon: Time, list: &[u32], made: &mut Individual) -> bool {
        self.schedules += 1;
        made.start.resize(list.len(), 0);
        let Some(end) = self.generator.serial(side, horizon, list, &mut made.start) else {
            return false;
        };
        made.score = (end, made.start.iter().map(|start| u64::from(*start)).sum());
        self.by_end(side, end, made);
        if end < self.makespan && (side == Side::Forward || !self.timed) {
            self.makespan = end;
            for (number, start) in made.start.iter().enumerate() {
                self.best[number] = match side {
                    Side::Forward => *start,
                    Side::Backward => end - start - self.network.duration[number],
                };
            }
        }
        true
    }

    /// The list for the other side: the latest end first; at equal ends, those that others wait
    /// for in the other side's time.
    fn by_end(&mut self, side: Side, end: Time, made: &mut Individual) {
        let n = made.start.len();
        let key = |number: usize| end - made.start[number] - self.network.duration[number];
        made.list.resize(n, 0);
        let numbered = (0..n).map(|k| match side {
            Side::Forward => n - 1 - k,
            Side::Backward => k,
        });
        if end as usize > n * 8 {
            for (number, slot) in numbered.zip(&mut made.list) {
                *slot = numbered_as(number);
            }
            made.list.sort_by_key(|number| {
                end - made.start[*number as usize] - self.network.duration[*number as usize]
            });
            return;
        }
        self.count.clear();
        self.count.resize(end as usize + 2, 0);
        for number in 0..n {
            self.count[key(number) as usize + 1] += 1;
        }
        let mut sum = 0;
        for count in &mut self.count {
            sum += *count;
            *count = sum;
        }
        for number in numbered {
            let count = &mut self.count[key(number) as usize];
            made.list[*count] = numbered_as(number);
            *count += 1;
        }
    }

    /// A list of chance: among those that are free, by how much is behind them (regret-based
    /// sampling; Drexl 1991).
    fn sample(&mut self, side: Side, list: &mut Vec<u32>) {
        let (network, other) = (self.network, side.other());
        let behind = |number: u32| network.head(other, number) + network.duration[number as usize];
        list.clear();
        self.free.clear();
        for number in 0..numbered_as(network.len()) {
            let before = network.before(side, number).len();
            self.open[number as usize] = before;
            if before == 0 {
                self.free.push(number);
            }
        }
        while !self.free.is_empty() {
            let least = self
                .free
                .iter()
                .map(|n| behind(*n))
                .min()
                .unwrap_or_default();
            let weight = |number: u32| u64::from(behind(number) - least + 1).pow(2);
            let sum: u64 = self.free.iter().map(|n| weight(*n)).sum();
            let mut left = self.random.below(sum);
            let mut chosen = 0;
            while left >= weight(self.free[chosen]) {
                left -= weight(self.free[chosen]);
                chosen += 1;
            }
            let number = self.free.swap_remove(chosen);
            list.push(number);
            for after in network.before(other, number) {
                let open = &mut self.open[*after as usize];
                *open -= 1;
                if *open == 0 {
                    self.free.push(*after);
                }
            }
        }
    }
}

/// An activity's number as lists have it.
fn numbered_as(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than 2^32 activities")
}

/// Whether the very same schedule is among them.
fn is_among(population: &[Individual], one: &Individual) -> bool {
    let mut same = population.iter().filter(|other| other.score == one.score);
    same.any(|other| other.start == one.start)
}
