//! The virtual clock's unit. Milliseconds, because the engine's own steps take tenths of a second
//! (measured §2) while plans count in seconds.

use std::fmt;
use std::ops::{Add, AddAssign, Mul};

use schemas::units::{Seconds, Span};

/// An instant of the virtual clock, counted from its origin, or a length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The origin, or no time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// So many minutes.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(minutes * 60_000)
    }

    /// Whole seconds, rounded down: keeps the order of instants.
    pub const fn seconds(self) -> Seconds {
        Seconds(self.0 / 1000)
    }

    /// The difference, or zero where it would be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The next multiple of `step`, or itself if it is one.
    #[must_use]
    pub const fn round_up_to(self, step: Self) -> Self {
        Self(self.0.next_multiple_of(step.0))
    }
}

impl From<Seconds> for Millis {
    fn from(seconds: Seconds) -> Self {
        Self::from_seconds(seconds.0)
    }
}

impl From<Span> for Millis {
    fn from(span: Span) -> Self {
        span.0.into()
    }
}

impl Add for Millis {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Millis {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Mul<u64> for Millis {
    type Output = Self;
    fn mul(self, times: u64) -> Self {
        Self(self.0 * times)
    }
}

impl fmt::Display for Millis {
    /// Seconds with one decimal, as the measured tables write them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{} s", self.0 / 1000, self.0 % 1000 / 100))
    }
}
