//! Freezes: days on which nothing is cut over, and what they leave of a window's occurrences.

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use schemas::ids::WorkloadName;

use super::site::Site;
use super::{ResolvedOccurrence, ResolvedWindow};
use crate::diagnostic::{Diagnostics, Kind, Problem, nearest};

/// Days on which nothing is cut over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedFreeze {
    /// Its position in the site's `freezes`, for paths.
    pub position: usize,
    /// Its first day, from midnight on.
    pub from: Date,
    /// Its last day, to the end of it.
    pub to: Date,
    /// The zone of its days; absent: that of the window it meets.
    pub time_zone: Option<String>,
    /// Why.
    pub reason: String,
    /// The services that it binds; empty: everything.
    pub services: Vec<WorkloadName>,
}

/// Resolves all freezes of a site.
pub(super) fn resolve(site: &Site<'_>, out: &mut Diagnostics) -> Vec<ResolvedFreeze> {
    let freezes = &site.spec.freezes;
    if !freezes.is_empty() && site.spec.windows.is_empty() {
        out.error(site.place("freezes"), Problem::FreezeWithoutWindows);
    }
    let zones = TimeZoneDatabase::bundled();
    let resolve = |(position, freeze): (usize, &schemas::site::Freeze)| {
        if let Some(zone) = &freeze.time_zone
            && zones.get(zone).is_err()
        {
            let known: Vec<String> = zones.available().map(|name| name.to_string()).collect();
            let problem = Problem::Unknown {
                kind: Kind::TimeZone,
                name: zone.clone(),
                within: Some("the IANA database".to_owned()),
                nearest: nearest(zone, known.iter().map(String::as_str)),
            };
            out.error(
                site.place(&format!("freezes[{position}].timeZone")),
                problem,
            );
        }
        if freeze.to < freeze.from {
            let problem = Problem::EmptyFreeze {
                from: freeze.from.to_string(),
                to: freeze.to.to_string(),
            };
            out.error(site.place(&format!("freezes[{position}].to")), problem);
        }
        ResolvedFreeze {
            position,
            from: freeze.from,
            to: freeze.to,
            time_zone: freeze.time_zone.clone(),
            reason: freeze.reason.clone(),
            services: freeze.services.clone(),
        }
    };
    freezes.iter().enumerate().map(resolve).collect()
}

impl ResolvedFreeze {
    /// Whether it binds the workloads of that service; none: workloads that are in no service.
    pub fn binds(&self, service: Option<&WorkloadName>) -> bool {
        self.services.is_empty() || service.is_some_and(|name| self.services.contains(name))
    }

    /// When it begins and ends, for a window whose times are those of `zone`. A day whose midnight
    /// a clock change skips begins with its first instant.
    pub fn instants(&self, zone: Option<&str>) -> Option<(Timestamp, Timestamp)> {
        let name = self.time_zone.as_deref().or(zone);
        let zone = match name {
            Some(name) => TimeZoneDatabase::bundled().get(name).ok()?,
            None => TimeZone::UTC,
        };
        let midnight = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp());
        Some((
            midnight(self.from)?,
            midnight(self.to.checked_add(1.day()).ok()?)?,
        ))
    }
}

/// What freezes leave of a window's occurrences. One that reaches into a freeze is shortened, one
/// that reaches across it becomes two; of what is left each has room to start something.
pub(super) fn open<'a>(
    window: &ResolvedWindow,
    freezes: impl Iterator<Item = &'a ResolvedFreeze>,
) -> Vec<ResolvedOccurrence> {
    let mut open = window.occurrences.clone();
    for freeze in freezes {
        let Some((from, to)) = freeze.instants(window.time_zone.as_deref()) else {
            continue;
        };
        open = open
            .into_iter()
            .flat_map(|occurrence| outside(&occurrence, from, to))
            .collect();
    }
    open
}

/// The parts of an occurrence before and after a freeze.
fn outside(
    occurrence: &ResolvedOccurrence,
    from: Timestamp,
    to: Timestamp,
) -> Vec<ResolvedOccurrence> {
    if occurrence.to <= from || to <= occurrence.from {
        return vec![occurrence.clone()];
    }
    let lockout: SignedDuration = occurrence.to.duration_since(occurrence.last_start);
    let part = |from: Timestamp, to: Timestamp| ResolvedOccurrence {
        id: occurrence.id.clone(),
        from,
        to,
        last_start: to.checked_sub(lockout).unwrap_or(from),
    };
    [
        part(occurrence.from, from.min(occurrence.to)),
        part(to.max(occurrence.from), occurrence.to),
    ]
    .into_iter()
    .filter(|part| part.last_start > part.from)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn freeze(from: &str, to: &str, zone: Option<&str>) -> ResolvedFreeze {
        ResolvedFreeze {
            position: 0,
            from: from.parse().expect("a day"),
            to: to.parse().expect("a day"),
            time_zone: zone.map(str::to_owned),
            reason: "year end".to_owned(),
            services: Vec::new(),
        }
    }

    fn night() -> ResolvedOccurrence {
        ResolvedOccurrence {
            id: "n".into(),
            from: at("2026-12-17T21:00:00Z"),
            to: at("2026-12-18T05:00:00Z"),
            last_start: at("2026-12-18T04:30:00Z"),
        }
    }

    // A night that reaches into the freeze ends at local midnight, with its lockout before it.
    #[test]
    fn shortened() {
        let (from, to) = freeze("2026-12-18", "2027-01-06", None)
            .instants(Some("Europe/Berlin"))
            .expect("days");
        assert_eq!(
            (from, to),
            (at("2026-12-17T23:00:00Z"), at("2027-01-06T23:00:00Z"))
        );
        let [left] = &outside(&night(), from, to)[..] else {
            panic!("one part")
        };
        assert_eq!((left.from, left.to), (at("2026-12-17T21:00:00Z"), from));
        assert_eq!(left.last_start, at("2026-12-17T22:30:00Z"));
    }

    // Inside a freeze nothing is left; across a short one there are two parts; beside it all.
    #[test]
    fn swallowed_cut_in_two_and_untouched() {
        let night = night();
        assert!(outside(&night, night.from, night.to).is_empty());
        let (from, to) = (at("2026-12-17T23:00:00Z"), at("2026-12-18T01:00:00Z"));
        let parts = outside(&night, from, to);
        assert_eq!(
            parts.iter().map(|p| (p.from, p.to)).collect::<Vec<_>>(),
            [(night.from, from), (to, night.to)]
        );
        let untouched = outside(&night, night.to, night.to);
        assert_eq!(untouched, std::slice::from_ref(&night));
    }

    // A day is its zone's, also where a clock change makes it 23 or 25 hours long, or skips its
    // midnight (Beirut, 2026-03-29).
    #[test]
    fn days_of_three_zones() {
        let hours = |day: &str, zone: &str| {
            let (from, to) = freeze(day, day, Some(zone)).instants(None).expect("a day");
            to.duration_since(from).as_hours()
        };
        assert_eq!(hours("2026-03-29", "Europe/Berlin"), 23);
        assert_eq!(hours("2026-11-01", "America/New_York"), 25);
        assert_eq!(hours("2026-03-29", "Asia/Beirut"), 23);
        assert_eq!(hours("2026-03-29", "Asia/Kolkata"), 24);
        let (from, _) = freeze("2026-03-29", "2026-03-29", Some("Asia/Beirut"))
            .instants(None)
            .expect("a day");
        assert_eq!(from, at("2026-03-28T22:00:00Z"));
    }
}
