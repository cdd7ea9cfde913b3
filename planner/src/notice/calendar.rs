//! A notice as an iCalendar file (RFC 5545): an event for each time during which the service is down.
//!
//! An event keeps its UID for ever: the n-th cut of a service of a plan. Its SEQUENCE counts what was
//! published before: equal events keep theirs, a changed one has the next, one that is no more is
//! published once more as cancelled. What was published is in the file itself, so that no state is
//! kept anywhere else, and the same plan gives the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use schemas::shown::shown;

use super::{Cut, Notice, words};

/// Octets of a line beside its end (RFC 5545, 3.1).
const LINE_OCTETS_MAX: usize = 75;

/// The file, after `before`, which is what it held until now. None where the plan has no start: an
/// appointment needs a date.
pub fn render(notice: &Notice, before: Option<&str>) -> Option<String> {
    let origin = notice.origin?;
    let known = known(before.unwrap_or_default());
    let mut text = String::new();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//windrow.dev//windrow//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
    ] {
        fold(&mut text, line);
    }
    let mut uids = Vec::new();
    for (number, cut) in notice.cuts.iter().enumerate() {
        let uid = uid(notice, number);
        let lines = event(notice, cut, origin);
        // What differs only by its number is the same.
        let sequence = known
            .get(&uid)
            .map_or(0, |event| event.sequence + u64::from(event.lines != lines));
        write_event(&mut text, &uid, sequence, &lines);
        uids.push(uid);
    }
    for (uid, event) in known.iter().filter(|(uid, _)| !uids.contains(uid)) {
        let cancelled = "STATUS:CANCELLED";
        let sequence = event.sequence + u64::from(!event.lines.iter().any(|l| l == cancelled));
        let lines = event.lines.iter().map(|line| match line.as_str() {
            "STATUS:CONFIRMED" => cancelled.to_owned(),
            line => line.to_owned(),
        });
        write_event(&mut text, uid, sequence, &lines.collect::<Vec<_>>());
    }
    fold(&mut text, "END:VCALENDAR");
    Some(text)
}

/// An event that was published.
struct Published {
    sequence: u64,
    /// Everything but its UID and SEQUENCE, unfolded.
    lines: Vec<String>,
}

/// What a file of ours holds, by UID. What is not as we write it is not ours, and left out.
fn known(text: &str) -> BTreeMap<String, Published> {
    let mut events = BTreeMap::new();
    let (mut uid, mut event): (Option<String>, Option<Published>) = (None, None);
    for line in text.replace("\r\n ", "").split("\r\n") {
        match (line, event.as_mut()) {
            ("BEGIN:VEVENT", _) => {
                uid = None;
                event = Some(Published {
                    sequence: 0,
                    lines: Vec::new(),
                });
            }
            ("END:VEVENT", Some(_)) => {
                events.extend(uid.take().zip(event.take()));
            }
            (line, Some(event)) => match line.split_once(':') {
                Some(("UID", value)) => uid = Some(value.to_owned()),
                Some(("SEQUENCE", value)) => event.sequence = value.parse().unwrap_or(0),
                _ => event.lines.push(line.to_owned()),
            },
            _ => {}
        }
    }
    events
}

/// Of names of Kubernetes objects, which need no escape.
fn uid(notice: &Notice, number: usize) -> String {
    format!(
        "{}.{}.{}.{}@windrow.dev",
        number + 1,
        notice.service,
        notice.plan,
        notice.namespace
    )
}

fn event(notice: &Notice, cut: &Cut, origin: Timestamp) -> Vec<String> {
    let instant = |time| notice.instant(time).unwrap_or(origin);
    let service = notice.service.as_str();
    let mut description = words::text(notice);
    // A gate may hold later, and people may be done later, than the window allows a guest to go down.
    if let Some(closes) = cut.closes.filter(|closes| instant(cut.ends) <= *closes) {
        write!(
            description,
            "\nAt the latest it is over when the window closes, at {} UTC.\n",
            closes.strftime("%a %d %b %H:%M")
        )
        .expect("a String takes everything");
    }
    let mut lines = vec![
        // The plan's start: no file of ours tells when it was written.
        format!("DTSTAMP:{}", utc(origin)),
        format!("DTSTART:{}", utc(instant(cut.starts))),
        format!("DTEND:{}", utc(instant(cut.ends))),
        format!(
            "SUMMARY:{}",
            escaped(&format!(
                "{service} is down for {}: it moves",
                cut.downtime()
            ))
        ),
        format!("DESCRIPTION:{}", escaped(&description)),
        "CATEGORIES:MIGRATION".to_owned(),
        "CLASS:PUBLIC".to_owned(),
        "TRANSP:TRANSPARENT".to_owned(),
        "STATUS:CONFIRMED".to_owned(),
    ];
    if let Some(owner) = &notice.owner {
        lines.push(format!("CONTACT:{}", escaped(owner)));
    }
    if let Some(change) = &notice.change {
        lines.push(format!("COMMENT:{}", escaped(&format!("Change {change}"))));
    }
    lines
}

fn write_event(text: &mut String, uid: &str, sequence: u64, lines: &[String]) {
    fold(text, "BEGIN:VEVENT");
    fold(text, &format!("UID:{uid}"));
    fold(text, &format!("SEQUENCE:{sequence}"));
    for line in lines {
        fold(text, line);
    }
    fold(text, "END:VEVENT");
}

fn utc(instant: Timestamp) -> String {
    instant.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A value of the type TEXT (RFC 5545, 3.3.11). Characters that hide others are shown as escapes
/// first, ends of lines alone stay.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let text = text.replace('\u{a0}', " ");
    for (number, line) in text.trim_end().split('\n').enumerate() {
        if number > 0 {
            safe.push_str("\\n");
        }
        for c in shown(line).chars() {
            if matches!(c, '\\' | ';' | ',') {
                safe.push('\\');
            }
            safe.push(c);
        }
    }
    safe
}

/// Writes a line, folded before it is too long: a space begins what continues it. No character is
/// torn apart.
fn fold(text: &mut String, line: &str) {
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > LINE_OCTETS_MAX {
            text.push_str("\r\n ");
            octets = 1;
        }
        text.push(c);
        octets += c.len_utf8();
    }
    text.push_str("\r\n");
}
