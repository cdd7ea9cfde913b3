//! Change windows, from cron and zone to instants.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use schemas::ids::OccurrenceId;
use schemas::site::{Recurrence, Window};
use schemas::units::Seconds;

use super::site::Site;
use super::{ResolvedOccurrence, ResolvedWindow};
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

/// Most occurrences of one window that are looked at: a year of nights, as many as the site's schema
/// lets people list. What needs more is a plan to be cut in two.
const OCCURRENCES_MAX: usize = 400;

/// Clock changes are told so far ahead: half a year, so that the next one always is. Later ones
/// will be told by a later plan.
const CLOCK_CHANGES_TOLD_DAYS: i64 = 190;

/// Resolves all windows of a site from the plan's start on.
pub(super) fn resolve(
    site: &Site<'_>,
    start: Option<Timestamp>,
    out: &mut Diagnostics,
) -> Vec<ResolvedWindow> {
    let windows = &site.spec.windows;
    let Some(start) = start else {
        if !windows.is_empty() {
            out.error(
                Place {
                    file: File::Plan,
                    path: String::new(),
                },
                Problem::NoStart,
            );
        }
        return Vec::new();
    };
    let mut resolved: Vec<ResolvedWindow> = Vec::with_capacity(windows.len());
    for (i, window) in windows.iter().enumerate() {
        let path = format!("windows[{i}]");
        if resolved.iter().any(|known| known.name == window.name) {
            let name = window.name.to_string();
            out.error(
                site.place(&format!("{path}.name")),
                Problem::Duplicate {
                    kind: Kind::Window,
                    name,
                },
            );
        }
        resolved.push(ResolvedWindow {
            name: window.name.clone(),
            time_zone: window.every.as_ref().map(|every| every.time_zone.clone()),
            lockout: window.lockout.map_or(Seconds::ZERO, |span| span.0),
            rollback_reserve: window.rollback_reserve,
            max_vms: window.max_vms,
            occurrences: occurrences(window, start, site, &path, out),
        });
    }
    resolved
}

fn occurrences(
    window: &Window,
    start: Timestamp,
    site: &Site<'_>,
    path: &str,
    out: &mut Diagnostics,
) -> Vec<ResolvedOccurrence> {
    let lockout = window.lockout.map_or(Seconds::ZERO, |span| span.0);
    if let Some(every) = &window.every {
        return recurring(every, lockout, start, site, path, out);
    }
    let mut found = Vec::new();
    for (i, given) in window.occurrences.iter().flatten().enumerate() {
        let place = site.place(&format!("{path}.occurrences[{i}]"));
        if found
            .iter()
            .any(|known: &ResolvedOccurrence| known.id == given.id)
        {
            let name = given.id.to_string();
            out.error(
                place,
                Problem::Duplicate {
                    kind: Kind::Occurrence,
                    name,
                },
            );
            continue;
        }
        let occurrence = occurrence(given.id.clone(), given.from, given.to, lockout);
        if occurrence.last_start <= occurrence.from {
            out.error(place, Problem::EmptyOccurrence(given.id.to_string()));
        } else if occurrence.from >= start {
            found.push(occurrence);
        }
    }
    found.sort_by_key(|occurrence| occurrence.from);
    found
}

fn occurrence(
    id: OccurrenceId,
    from: Timestamp,
    to: Timestamp,
    lockout: Seconds,
) -> ResolvedOccurrence {
    let last_start = to - SignedDuration::from_secs(lockout.signed());
    ResolvedOccurrence {
        id,
        from,
        to,
        last_start,
    }
}

/// The cron expression names local times, so it is asked on a clock without a zone, and each of
/// its answers is then looked up in the zone: one that a clock change skips or repeats is told,
/// not guessed.
fn recurring(
    every: &Recurrence,
    lockout: Seconds,
    start: Timestamp,
    site: &Site<'_>,
    path: &str,
    out: &mut Diagnostics,
) -> Vec<ResolvedOccurrence> {
    let cron_place = site.place(&format!("{path}.every.cron"));
    let zones = TimeZoneDatabase::bundled();
    let cron = parse(&every.cron);
    if let Err(reason) = &cron {
        let problem = Problem::BadCron {
            cron: every.cron.clone(),
            reason: reason.clone(),
        };
        out.error(cron_place.clone(), problem);
    }
    let zone = zones.get(&every.time_zone);
    if zone.is_err() {
        let known: Vec<String> = zones.available().map(|name| name.to_string()).collect();
        out.error(
            site.place(&format!("{path}.every.timeZone")),
            Problem::Unknown {
                kind: Kind::TimeZone,
                name: every.time_zone.clone(),
                within: Some("the IANA database".to_owned()),
                nearest: nearest(&every.time_zone, known.iter().map(String::as_str)),
            },
        );
    }
    if every.lasts.0 <= lockout {
        let problem = Problem::EmptyOccurrence(every.cron.clone());
        out.error(site.place(&format!("{path}.every.lasts")), problem);
        return Vec::new();
    }
    let (Ok(cron), Ok(zone)) = (cron, zone) else {
        return Vec::new();
    };

    let lasts = SignedDuration::from_secs(every.lasts.0.signed());
    let mut found: Vec<ResolvedOccurrence> = Vec::new();
    let first = zone.to_datetime(start);
    let told = SignedDuration::from_hours(24 * CLOCK_CHANGES_TOLD_DAYS);
    for local in local_times(&cron, first).take(OCCURRENCES_MAX) {
        let from = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
            // Told only where it is near.
            _ if local.duration_since(first) > told => None,
            ambiguous => {
                let repeated = matches!(ambiguous, AmbiguousOffset::Fold { .. });
                let local = local.strftime("%Y-%m-%d %H:%M").to_string();
                let zone = every.time_zone.clone();
                let problem = Problem::ClockChange {
                    local,
                    zone,
                    repeated,
                };
                out.warning(cron_place.clone(), problem);
                None
            }
        };
        let Some(from) = from.filter(|from| *from >= start) else {
            continue;
        };
        let Ok(to) = from.checked_add(lasts) else {
            break;
        };
        found.push(occurrence(name(local, &found), from, to, lockout));
    }
    found
}

/// The local day; with the time where the day has an occurrence already.
fn name(local: civil::DateTime, before: &[ResolvedOccurrence]) -> OccurrenceId {
    let day = OccurrenceId::new(local.date().to_string());
    if before.iter().any(|known| known.id == day) {
        OccurrenceId::new(local.strftime("%Y-%m-%d.%H%M").to_string())
    } else {
        day
    }
}

fn parse(cron: &str) -> Result<croner::Cron, String> {
    croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Disallowed)
        .year(croner::parser::Year::Disallowed)
        .build()
        .parse(cron)
        .map_err(|error| error.to_string().trim_end_matches('.').to_lowercase())
}

/// The times that `cron` names on a clock without a zone, from `first` on.
fn local_times(
    cron: &croner::Cron,
    first: civil::DateTime,
) -> impl Iterator<Item = civil::DateTime> + '_ {
    let mut at = first.to_zoned(TimeZone::UTC).ok();
    let mut inclusive = true;
    std::iter::from_fn(move || {
        let next = cron.find_next_occurrence(at.as_ref()?, inclusive).ok();
        inclusive = false;
        at = next;
        at.as_ref().map(jiff::Zoned::datetime)
    })
}
