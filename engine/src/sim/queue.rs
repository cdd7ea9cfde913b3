//! The engine's work queue: first in, first out, each import in it at most once.
//!
//! As client-go's: an import that is announced while the worker has it in hand comes back to the
//! tail when the worker lets go of it (facts 1 and 2; LS controller.go:234).

use std::collections::VecDeque;

use super::ImportId;

/// Imports that wait for the worker.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkQueue {
    waiting: VecDeque<ImportId>,
    /// By import: is it in `waiting`?
    queued: Vec<bool>,
    in_hand: Option<ImportId>,
    /// Announced while in hand.
    again: bool,
}

impl WorkQueue {
    /// Something happened to the import: the worker shall look at it.
    pub fn add(&mut self, id: ImportId) {
        if self.in_hand == Some(id) {
            self.again = true;
            return;
        }
        if self.queued.len() <= id.index() {
            self.queued.resize(id.index() + 1, false);
        }
        if !std::mem::replace(&mut self.queued[id.index()], true) {
            self.waiting.push_back(id);
        }
    }

    /// The worker takes the first.
    pub fn take(&mut self) -> Option<ImportId> {
        let id = self.waiting.pop_front()?;
        self.queued[id.index()] = false;
        self.in_hand = Some(id);
        self.again = false;
        Some(id)
    }

    /// The worker lets go of what it has in hand.
    pub fn done(&mut self) {
        if let Some(id) = self.in_hand.take()
            && self.again
        {
            self.add(id);
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The process died: the queue was only in its memory.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Announced twice is there once; announced while in hand comes back at the tail.
    #[test]
    fn fifo_without_doubles() {
        let (a, b) = (ImportId(0), ImportId(1));
        let mut queue = WorkQueue::default();
        for id in [a, b, a] {
            queue.add(id);
        }
        assert_eq!(queue.take(), Some(a));
        queue.add(a);
        queue.done();
        assert_eq!(queue.take(), Some(b));
        queue.done();
        assert_eq!(queue.take(), Some(a));
        queue.done();
        assert!(queue.is_empty());
    }
}
