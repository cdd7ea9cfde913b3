//! Time as the machine counts it: instants from outside, spans in whole seconds.
//!
//! Nothing here asks what time it is.

use jiff::{SignedDuration, Timestamp};
use schemas::units::Seconds;

/// `span` after `instant`; the end of time where there is no such instant.
pub(crate) fn after(instant: Timestamp, span: Seconds) -> Timestamp {
    let span = SignedDuration::from_secs(i64::try_from(span.0).unwrap_or(i64::MAX));
    instant.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// `span` before `instant`; absent where there is no such instant.
pub(crate) fn before(instant: Timestamp, span: Seconds) -> Option<Timestamp> {
    let span = SignedDuration::from_secs(i64::try_from(span.0).ok()?);
    instant.checked_sub(span).ok()
}

/// From `from` to `to`, rounded down; nothing where that lies in the past.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Seconds {
    Seconds(u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0))
}

/// The earliest instant at which time alone changes something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarm {
    now: Timestamp,
    next: Option<Timestamp>,
}

impl Alarm {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, next: None }
    }

    /// Look again at `instant`. What is past needs no looking at.
    pub(crate) fn at(&mut self, instant: impl Into<Option<Timestamp>>) {
        if let Some(instant) = instant.into().filter(|&i| i > self.now) {
            self.next = Some(self.next.map_or(instant, |next| next.min(instant)));
        }
    }

    pub(crate) fn next(self) -> Option<Timestamp> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The earliest instant to come wins; what is past does not count.
    #[test]
    fn alarm() {
        let now: Timestamp = "2026-11-28T00:00:00Z".parse().unwrap();
        let mut alarm = Alarm::new(now);
        alarm.at(now);
        alarm.at(None);
        assert_eq!(alarm.next(), None);
        alarm.at(after(now, Seconds(9)));
        alarm.at(after(now, Seconds(3)));
        alarm.at(after(now, Seconds(5)));
        assert_eq!(alarm.next(), Some(after(now, Seconds(3))));
        assert_eq!(between(now, after(now, Seconds(7))), Seconds(7));
        assert_eq!(between(after(now, Seconds(7)), now), Seconds(0));
    }
}
