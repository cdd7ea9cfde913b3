//! How long a schedule is searched for.

/// Until either is over. With a number of orders alone, the same problem gives the same schedule on
/// every machine.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Orders that may be decoded beside those of the priority rules.
    pub iterations: u64,
    /// Where chance begins.
    pub seed: u64,
    /// How many thousandths of a limit of time are spent. One that looks at a clock makes the
    /// result depend on the machine.
    pub elapsed: Option<&'a dyn Fn() -> u32>,
}

impl Budget<'_> {
    /// So many orders, however long they take.
    pub const fn iterations(iterations: u64, seed: u64) -> Self {
        Self {
            iterations,
            seed,
            elapsed: None,
        }
    }

    /// Thousandths of the budget that are spent after so many orders.
    pub(super) fn spent(&self, tried: u64) -> u64 {
        let share = u128::from(tried) * 1000 / u128::from(self.iterations.max(1));
        let share = u64::try_from(share).unwrap_or(1000);
        let time = self.elapsed.map_or(0, |elapsed| u64::from(elapsed()));
        share.max(time).min(1000)
    }
}
