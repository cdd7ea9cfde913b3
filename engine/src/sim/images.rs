//! Disk images on their way into Harvester: in parallel, sharing the bandwidth where the profile
//! says so.
//!
//! Integers only. Work is counted in parts of 2⁻²⁰ ms of an image that is alone; with n images at
//! once each gets one n-th of the time that passes.

use crate::time::Millis;

use super::ImportId;

const PARTS: u64 = 1 << 20;

/// One image.
#[derive(Clone, Debug)]
struct Active {
    import: ImportId,
    disk: usize,
    left: u64,
}

/// All images that are being taken in.
#[derive(Clone, Debug)]
pub(super) struct ImagePool {
    share: bool,
    active: Vec<Active>,
    /// Work is counted up to here.
    since: Millis,
    /// Counts the changes, so that a timer set before one is known to be stale.
    pub round: u64,
}

impl ImagePool {
    pub fn new(share: bool) -> Self {
        Self {
            share,
            active: Vec::new(),
            since: Millis::ZERO,
            round: 0,
        }
    }

    /// An image begins that alone takes `alone`.
    pub fn begin(&mut self, now: Millis, import: ImportId, disk: usize, alone: Millis) {
        self.work_until(now);
        self.active.push(Active {
            import,
            disk,
            left: alone.0 * PARTS,
        });
        self.round += 1;
    }

    /// Images of the import that is gone stop.
    pub fn forget(&mut self, now: Millis, import: ImportId) {
        self.work_until(now);
        self.active.retain(|image| image.import != import);
        self.round += 1;
    }

    /// Every image breaks off; gives them.
    pub fn break_off(&mut self, now: Millis) -> Vec<(ImportId, usize)> {
        self.since = now;
        self.round += 1;
        let images = self.active.drain(..);
        images.map(|image| (image.import, image.disk)).collect()
    }

    /// Those that are in by now.
    pub fn finished(&mut self, now: Millis) -> Vec<(ImportId, usize)> {
        self.work_until(now);
        let mut done = Vec::new();
        self.active.retain(|image| {
            if image.left == 0 {
                done.push((image.import, image.disk));
            }
            image.left > 0
        });
        self.round += 1;
        done
    }

    /// When the next one will be in, if none begins or stops before.
    pub fn next(&self) -> Option<Millis> {
        let least = self.active.iter().map(|image| image.left).min()?;
        Some(self.since + Millis((least * self.sharers()).div_ceil(PARTS)))
    }

    fn sharers(&self) -> u64 {
        if self.share {
            self.active.len() as u64
        } else {
            1
        }
    }

    fn work_until(&mut self, now: Millis) {
        let parts = now.saturating_sub(self.since).0 * PARTS / self.sharers().max(1);
        for image in &mut self.active {
            // Less than one millisecond's share is nothing: it would only cost another event.
            image.left = image.left.saturating_sub(parts);
            if image.left < PARTS / 1024 {
                image.left = 0;
            }
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two images that begin together take twice as long each; a later one shares what is left.
    #[test]
    fn sharing() {
        let (a, b) = (ImportId(0), ImportId(1));
        let mut pool = ImagePool::new(true);
        pool.begin(Millis(0), a, 0, Millis(10_000));
        pool.begin(Millis(4_000), b, 0, Millis(10_000));
        assert_eq!(pool.next(), Some(Millis(16_000)));
        assert_eq!(pool.finished(Millis(16_000)), [(a, 0)]);
        assert_eq!(pool.next(), Some(Millis(20_000)));
        assert_eq!(pool.finished(Millis(20_000)), [(b, 0)]);
    }

    // Without sharing each takes its own time.
    #[test]
    fn alone() {
        let mut pool = ImagePool::new(false);
        pool.begin(Millis(0), ImportId(0), 0, Millis(10_000));
        pool.begin(Millis(0), ImportId(1), 0, Millis(12_000));
        assert_eq!(pool.next(), Some(Millis(10_000)));
    }
}
