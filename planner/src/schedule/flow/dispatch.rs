//! Starting orders: priority rules, of which the first job that fits is taken; and the rule of
//! windows.
//!
//! A window lets exports start in it and end later. Whatever is exported while it is closed is
//! gained, so the last export of a window should be a long one. The rule: as many of the longest as
//! there are windows left are kept back; nothing else is started that would end after the last
//! moment at which one may start; and then the longest that fits is.

use super::line::{Line, State};
use super::model::{Model, NEVER};

/// How orders are made of priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// No heed is paid to the close of a window.
    Ignored,
    /// The rule of windows. In the last so many units the longest goes first, whatever its
    /// priority.
    Crossed {
        /// So many.
        near: u32,
    },
}

/// The exact order that comes of offering jobs by priority; none, if one can never start.
pub fn dispatch(model: &Model, priority: &[u32], windows: Windows) -> Option<Vec<u32>> {
    let mut it = Dispatch::new(model, priority);
    let mut order = Vec::with_capacity(model.len());
    while order.len() < model.len() {
        it.line.pass(model, &mut it.state, it.now);
        it.free_dependants();
        let picked = if it.state.exporting.len() < model.exporters && it.is_open() {
            it.pick(windows)
        } else {
            None
        };
        if let Some(at) = picked {
            let job = it.ready.remove(at).1;
            it.state.now = it.now;
            if !it.line.place(model, &mut it.state, job) {
                return None;
            }
            it.left -= u64::from(model.jobs[job as usize].export);
            it.started[job as usize] = true;
            it.under_way.push(job);
            order.push(job);
        } else {
            let next = it.next(windows);
            if next == NEVER {
                return None;
            }
            it.now = next;
        }
    }
    Some(order)
}

struct Dispatch<'a> {
    model: &'a Model,
    line: Line,
    state: State,
    now: u32,
    /// Rank and job, by rank: those that wait for nobody.
    ready: Vec<(u32, u32)>,
    rank: Vec<u32>,
    open: Vec<usize>,
    /// Started, and dependants not freed yet.
    under_way: Vec<u32>,
    started: Vec<bool>,
    /// All jobs, longest export first.
    longest: Vec<u32>,
    /// Kept for the ends of windows.
    kept: Vec<bool>,
    /// `kept` was computed in this window.
    kept_in: Option<usize>,
    /// Export time of all that is not started.
    left: u64,
}

impl<'a> Dispatch<'a> {
    fn new(model: &'a Model, priority: &[u32]) -> Self {
        let mut rank = vec![0; model.len()];
        for (place, job) in (0..).zip(priority) {
            rank[*job as usize] = place;
        }
        let open: Vec<usize> = model.all().map(|job| model.before.of(job).len()).collect();
        let ready = priority.iter().filter(|job| open[**job as usize] == 0);
        let mut longest: Vec<u32> = model.all().collect();
        longest.sort_by_key(|job| (std::cmp::Reverse(model.jobs[*job as usize].export), *job));
        Self {
            line: Line::new(model.len()),
            state: State::new(model),
            now: 0,
            ready: ready.map(|job| (rank[*job as usize], *job)).collect(),
            rank,
            open,
            under_way: Vec::new(),
            started: vec![false; model.len()],
            longest,
            kept: vec![false; model.len()],
            kept_in: None,
            left: model.jobs.iter().map(|job| u64::from(job.export)).sum(),
            model,
        }
    }

    /// Those that wait only for jobs that run now become ready.
    fn free_dependants(&mut self) {
        let mut at = 0;
        while at < self.under_way.len() {
            let job = self.under_way[at];
            let running = self.line.running[job as usize];
            if running == NEVER || running > self.now {
                at += 1;
                continue;
            }
            self.under_way.swap_remove(at);
            for next in self.model.after.of(job) {
                self.open[*next as usize] -= 1;
                if self.open[*next as usize] == 0 {
                    let entry = (self.rank[*next as usize], *next);
                    let place = self.ready.partition_point(|other| *other < entry);
                    self.ready.insert(place, entry);
                }
            }
        }
    }

    /// Whether a window is open; passes those that are over.
    fn is_open(&mut self) -> bool {
        if self.model.windows.is_empty() {
            return true;
        }
        while let Some([_, last, _]) = self.model.windows.get(self.state.window)
            && *last <= self.now
        {
            self.state.window += 1;
        }
        let window = self.model.windows.get(self.state.window);
        window.is_some_and(|[from, ..]| *from <= self.now)
    }

    fn fits(&mut self, job: u32) -> bool {
        let now = self.now;
        self.line.earliest(self.model, &mut self.state, job, now) == now
    }

    /// The place in `ready` of the job to start now.
    fn pick(&mut self, windows: Windows) -> Option<usize> {
        let Windows::Crossed { near } = windows else {
            return (0..self.ready.len()).find(|at| self.fits(self.ready[*at].1));
        };
        let last = self.model.windows[self.state.window][1];
        if last == NEVER {
            return (0..self.ready.len()).find(|at| self.fits(self.ready[*at].1));
        }
        self.keep();
        let left = last - 1 - self.now;
        if left <= near {
            let inside =
                self.longest_of(|it, job| !it.kept[job as usize] && it.export(job) <= left);
            return inside.or_else(|| self.longest_of(|_, _| true));
        }
        let first = (0..self.ready.len()).find(|at| {
            let job = self.ready[*at].1;
            !self.kept[job as usize] && self.export(job) <= left && self.fits(job)
        });
        if first.is_some() {
            return first;
        }
        // Better one that was kept than nothing; the shortest of them.
        let mut best: Option<(u32, usize)> = None;
        for at in 0..self.ready.len() {
            let job = self.ready[at].1;
            let export = self.export(job);
            if export <= left && best.is_none_or(|(least, _)| export < least) && self.fits(job) {
                best = Some((export, at));
            }
        }
        let nothing_comes = self.state.next_event() == NEVER;
        best.map(|(_, at)| at).or_else(|| {
            // What is too long for the rest of the window waits for its end, if anything can end.
            nothing_comes
                .then(|| self.longest_of(|_, _| true))
                .flatten()
        })
    }

    fn export(&self, job: u32) -> u32 {
        self.model.jobs[job as usize].export
    }

    /// The longest that fits and is `wanted`; of equals the first.
    fn longest_of(&mut self, wanted: impl Fn(&Self, u32) -> bool) -> Option<usize> {
        let mut best: Option<(u32, usize)> = None;
        for at in 0..self.ready.len() {
            let job = self.ready[at].1;
            let export = self.export(job);
            if best.is_none_or(|(most, _)| export > most) && wanted(self, job) && self.fits(job) {
                best = Some((export, at));
            }
        }
        best.map(|(_, at)| at)
    }

    /// Marks the longest, as many as there will be ends of windows to be crossed.
    fn keep(&mut self) {
        let window = self.state.window;
        if self.kept_in.replace(window) == Some(window) {
            return;
        }
        self.kept.fill(false);
        let mut longest = self
            .longest
            .iter()
            .filter(|job| !self.started[**job as usize]);
        let mut left = i128::from(self.left);
        let mut from = self.now;
        let exporters = self.model.exporters as i128;
        for (at, [_, last, _]) in self.model.windows.iter().enumerate().skip(window) {
            left -= i128::from(last.saturating_sub(from)) * exporters;
            if left <= 0 {
                return;
            }
            let Some([opens, ..]) = self.model.windows.get(at + 1) else {
                return;
            };
            for _ in 0..self.model.exporters {
                let Some(job) = longest.next() else { return };
                self.kept[*job as usize] = true;
                left -= i128::from(self.export(*job).min(opens.saturating_sub(*last)));
            }
            from = *opens;
        }
    }

    /// When to look again.
    fn next(&self, windows: Windows) -> u32 {
        let mut next = self.state.next_event();
        // Behind the image slots things end that are no event of the state.
        for job in &self.under_way {
            let running = self.line.running[*job as usize];
            if running > self.now {
                next = next.min(running);
            }
        }
        if let Some([from, last, _]) = self.model.windows.get(self.state.window)
            && self.state.exporting.len() < self.model.exporters
        {
            let near = match windows {
                Windows::Ignored => 0,
                Windows::Crossed { near } => near,
            };
            let times = [
                *from,
                last.saturating_sub(near + 1),
                last.saturating_sub(1),
                *last,
            ];
            for at in times {
                if at > self.now {
                    next = next.min(at);
                }
            }
        }
        next
    }
}
