//! Decodes an exact order of exports: each starts as early as it can, and never before the one in
//! front of it in the order.
//!
//! A chronological simulation in integers. Its whole state is small and can be kept and compared,
//! so that a search decodes again only from the first place that it changed, and stops where the
//! state is again what it was.

use std::collections::VecDeque;

use super::model::{Model, NEVER};

/// The engine between two exports of an order.
#[derive(Debug, Default)]
pub struct State {
    /// The last export started then.
    pub now: u32,
    /// Exports under way: end, start, job; by end.
    pub exporting: Vec<(u32, u32, u32)>,
    /// When each image slot is free, ascending.
    slots: Vec<u32>,
    /// What will be released: when, by which job; by time.
    releases: VecDeque<(u32, u32)>,
    /// Free scratch.
    pub free: i64,
    /// The window that is open now or next.
    pub window: usize,
}

impl Clone for State {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        copy.clone_from(self);
        copy
    }

    fn clone_from(&mut self, other: &Self) {
        self.now = other.now;
        self.exporting.clone_from(&other.exporting);
        self.slots.clone_from(&other.slots);
        self.releases.clone_from(&other.releases);
        self.free = other.free;
        self.window = other.window;
    }
}

impl State {
    /// Whether all that follows is the same from both: slots that are free by now are.
    pub fn is_like(&self, other: &Self) -> bool {
        let free = |state: &Self, slot: usize| state.slots[slot].max(state.now);
        self.now == other.now
            && self.free == other.free
            && self.exporting == other.exporting
            && self.releases == other.releases
            && (0..self.slots.len()).all(|slot| free(self, slot) == free(other, slot))
            && self.window == other.window
    }

    /// Before the first.
    pub fn new(model: &Model) -> Self {
        Self {
            slots: vec![0; model.slots],
            free: model.scratch,
            ..Self::default()
        }
    }

    /// The next thing that happens by itself; [`NEVER`]: nothing.
    pub fn next_event(&self) -> u32 {
        let export = self.exporting.first().map_or(NEVER, |it| it.0);
        let release = self.releases.front().map_or(NEVER, |it| it.0);
        export.min(release)
    }
}

/// When everything happens.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// By job: its export starts.
    pub start: Vec<u32>,
    /// By job: it runs; [`NEVER`] while it is exported.
    pub running: Vec<u32>,
    /// By job: its images begin to be taken in.
    pub images: Vec<u32>,
}

impl Line {
    /// Of nothing yet.
    pub fn new(jobs: usize) -> Self {
        Self {
            start: vec![0; jobs],
            running: vec![NEVER; jobs],
            images: vec![0; jobs],
        }
    }

    /// Lets everything happen that happens by itself until `now`.
    #[inline]
    pub fn pass(&mut self, model: &Model, state: &mut State, now: u32) {
        while let Some(&(end, _, job)) = state.exporting.first() {
            if end > now {
                break;
            }
            state.exporting.remove(0);
            let it = &model.jobs[job as usize];
            state.free += it.peak - it.resident;
            let begin = state.slots[0].max(end);
            let done = begin + it.images;
            let mut at = 1;
            while at < state.slots.len() && state.slots[at] < done {
                state.slots[at - 1] = state.slots[at];
                at += 1;
            }
            state.slots[at - 1] = done;
            let running = begin + it.images + it.boot;
            self.images[job as usize] = begin;
            self.running[job as usize] = running;
            let mut at = state.releases.len();
            while at > 0 && state.releases[at - 1] > (running, job) {
                at -= 1;
            }
            state.releases.insert(at, (running, job));
        }
        while let Some(&(at, job)) = state.releases.front() {
            if at > now {
                break;
            }
            state.free += model.jobs[job as usize].resident;
            state.releases.pop_front();
        }
    }

    /// Starts a job's export as early as it can be. False: it never can.
    #[inline]
    pub fn place(&mut self, model: &Model, state: &mut State, job: u32) -> bool {
        let it = &model.jobs[job as usize];
        let mut now = state.now;
        for before in model.before.of(job) {
            let running = self.running[*before as usize];
            if running != NEVER {
                now = now.max(running);
            }
        }
        loop {
            self.pass(model, state, now);
            let next = self.earliest(model, state, job, now);
            if next == now {
                break;
            }
            if next == NEVER {
                return false;
            }
            now = next;
        }
        state.now = now;
        state.free -= it.peak;
        self.start[job as usize] = now;
        self.running[job as usize] = NEVER;
        // Of those that end together the one that was placed first goes first.
        let end = now + it.export;
        let mut at = state.exporting.len();
        while at > 0 && state.exporting[at - 1].0 > end {
            at -= 1;
        }
        state.exporting.insert(at, (end, now, job));
        true
    }

    /// `now`, if the job may start; else the next time at which that could have changed.
    #[inline]
    pub fn earliest(&self, model: &Model, state: &mut State, job: u32, now: u32) -> u32 {
        let it = &model.jobs[job as usize];
        if state.exporting.len() >= model.exporters {
            return state.exporting[0].0;
        }
        for before in model.before.of(job) {
            let running = self.running[*before as usize];
            if running == NEVER {
                return state.next_event();
            }
            if running > now {
                return running;
            }
        }
        if it.peak > state.free {
            return state.next_event();
        }
        if model.exporters > 1 {
            let (mut same, mut first) = (0, NEVER);
            for (end, _, other) in &state.exporting {
                if model.jobs[*other as usize].host == it.host {
                    same += 1;
                    first = first.min(*end);
                }
            }
            if same >= model.hosts[it.host as usize] {
                return first;
            }
        }
        if model.windows.is_empty() {
            return now;
        }
        while let Some([_, last, _]) = model.windows.get(state.window)
            && *last <= now
        {
            state.window += 1;
        }
        for [from, last, to] in &model.windows[state.window.min(model.windows.len())..] {
            let start = now.max(*from);
            if start < *last && u64::from(start) + u64::from(it.cut) <= u64::from(*to) {
                return start;
            }
        }
        NEVER
    }

    /// Decodes a whole order; false if a job of it can never start.
    pub fn decode(&mut self, model: &Model, state: &mut State, order: &[u32]) -> bool {
        let all = order.iter().all(|job| self.place(model, state, *job));
        self.pass(model, state, NEVER - 1);
        all
    }
}
