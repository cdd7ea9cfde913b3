//! The plain numbers of a problem on an engine that does not block, for a search that decodes
//! thousands of orders a second.
//!
//! One target, one calendar for all; times in whole units (the greatest common divisor of all that
//! occur), sizes in bytes. Each job: export (one of k exporters, one slot of its host), images (one
//! of m slots, first come, first served by the end of the export), boot. The scratch is held at the
//! peak while exporting and at what is resident until running.

/// Later than anything.
pub const NEVER: u32 = u32::MAX;

/// A problem as numbers. Jobs are positions.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Exports at once.
    pub exporters: usize,
    /// Images at once.
    pub slots: usize,
    /// Usable scratch.
    pub scratch: i64,
    /// Exports at once, by host.
    pub hosts: Vec<u32>,
    /// Windows, by start: open from, no start from, must end by.
    pub windows: Vec<[u32; 3]>,
    /// By job.
    pub jobs: Vec<Times>,
    /// By job: those that must run before.
    pub before: Lists,
    /// By job: those that wait for it.
    pub after: Lists,
}

/// One job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Of its export.
    pub export: u32,
    /// Of its images.
    pub images: u32,
    /// From images in to running.
    pub boot: u32,
    /// Which host it comes from.
    pub host: u32,
    /// What must be left of a window at its start.
    pub cut: u32,
    /// Scratch while it is exported.
    pub peak: i64,
    /// And from then until it runs.
    pub resident: i64,
}

/// A list for each job, in one piece.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    start: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Of lists.
    pub fn new(lists: &[Vec<u32>]) -> Self {
        let mut it = Self {
            start: vec![0],
            items: Vec::new(),
        };
        for list in lists {
            it.items.extend(list);
            it.start
                .push(u32::try_from(it.items.len()).unwrap_or(NEVER));
        }
        it
    }

    /// The list of a job.
    #[inline]
    pub fn of(&self, job: u32) -> &[u32] {
        let at = job as usize;
        &self.items[self.start[at] as usize..self.start[at + 1] as usize]
    }
}

impl Model {
    /// All jobs, by position.
    pub fn all(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.jobs.len()).expect("far fewer than 2³² jobs")
    }

    /// How many jobs there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are windows to be kept.
    pub fn has_windows(&self) -> bool {
        !self.windows.is_empty()
    }

    /// When each job could end its images and boot at the earliest after the end of its export, and
    /// all that waits for it: the longest way behind its export.
    pub fn tails(&self) -> Vec<u64> {
        let mut tails = vec![0; self.len()];
        for job in self.topological().into_iter().rev() {
            let it = &self.jobs[job as usize];
            let behind = self.after.of(job).iter();
            let behind =
                behind.map(|x| u64::from(self.jobs[*x as usize].export) + tails[*x as usize]);
            tails[job as usize] =
                u64::from(it.images) + u64::from(it.boot) + behind.max().unwrap_or(0);
        }
        tails
    }

    /// Every job behind those that it waits for; by position where that leaves a choice.
    pub fn topological(&self) -> Vec<u32> {
        let mut open: Vec<usize> = Vec::with_capacity(self.len());
        let mut order: Vec<u32> = Vec::with_capacity(self.len());
        for job in self.all() {
            let before = self.before.of(job).len();
            open.push(before);
            if before == 0 {
                order.push(job);
            }
        }
        let mut at = 0;
        while at < order.len() {
            for next in self.after.of(order[at]) {
                open[*next as usize] -= 1;
                if open[*next as usize] == 0 {
                    order.push(*next);
                }
            }
            at += 1;
        }
        order
    }
}
