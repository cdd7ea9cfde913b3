//! Predicted times as people say them: clock times where the plan has an origin, else how long
//! after the start.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, Zoned};
use schemas::units::Seconds;

/// Says times.
pub(crate) struct Clock {
    origin: Option<Timestamp>,
    zone: TimeZone,
}

impl Clock {
    /// Counting from `origin`, in the zone of that name.
    pub fn new(origin: Option<Timestamp>, zone: &str) -> Self {
        let zone = TimeZoneDatabase::bundled()
            .get(zone)
            .unwrap_or(TimeZone::UTC);
        Self { origin, zone }
    }

    fn at(&self, time: Seconds) -> Option<Zoned> {
        let instant = self
            .origin?
            .checked_add(SignedDuration::from_secs(time.signed()))
            .ok()?;
        Some(instant.to_zoned(self.zone.clone()))
    }

    /// `Sat 28 Nov 22:00`, or `+1 h 05 min`.
    pub fn moment(&self, time: Seconds) -> String {
        self.at(time).map_or_else(
            || format!("+{time}"),
            |zoned| zoned.strftime("%a %d %b %H:%M").to_string(),
        )
    }

    /// For sentences: `05:41` on the day of `start`, else as [`Clock::moment`].
    pub fn then(&self, start: Seconds, end: Seconds) -> String {
        match (self.at(start), self.at(end)) {
            (Some(from), Some(to)) if from.date() == to.date() => to.strftime("%H:%M").to_string(),
            _ => self.moment(end),
        }
    }

    /// For columns: `05:41`, or `05:41 +1 d` where it is another day than `start`; else as
    /// [`Clock::moment`].
    pub fn until(&self, start: Seconds, end: Seconds) -> String {
        let (Some(from), Some(to)) = (self.at(start), self.at(end)) else {
            return self.moment(end);
        };
        let days = from.date().duration_until(to.date()).as_hours() / 24;
        let clock = to.strftime("%H:%M");
        if days == 0 {
            clock.to_string()
        } else {
            format!("{clock} +{days} d")
        }
    }
}
