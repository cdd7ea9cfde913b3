//! A notice in words: Markdown for a ticket, plain text for a mail.

use std::fmt::Write as _;

use schemas::shown::lines;

use super::{Cut, Notice, Step};
use crate::diagnostic::count;
use crate::markdown::{cell, plain, span, words};
use crate::report::Clock;

const INFALLIBLE: &str = "a String takes everything";

/// Most machines, findings and machines left out that are listed one by one.
const LISTED_MAX: usize = 60;

/// When it is down and for how long, in one line.
pub fn headline(notice: &Notice) -> String {
    let clock = Clock::new(notice.origin, &notice.time_zone);
    let Some(first) = notice.cuts.first() else {
        return format!("{}: nothing of it is moved", notice.service);
    };
    let when = format!(
        "{} to {}",
        clock.moment(first.starts),
        clock.until(first.starts, first.ends)
    );
    match notice.cuts.len() {
        1 => format!("{}: down for {}, {when}", notice.service, notice.downtime),
        more => format!(
            "{}: down for {} in {more} parts, the first {when}",
            notice.service, notice.downtime
        ),
    }
}

/// Who answers, which change, how times are to be read.
fn about(notice: &Notice) -> Vec<(&'static str, String)> {
    let nobody = || "nobody is named".to_owned();
    let mut lines = vec![
        ("Owner", notice.owner.clone().unwrap_or_else(nobody)),
        (
            "Change",
            notice.change.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("Plan", notice.plan.to_string()),
    ];
    if let Some(budget) = notice.budget {
        let over = notice.downtime > budget;
        let over = if over { ", which this exceeds" } else { "" };
        lines.push(("Budget", format!("{budget}{over}")));
    }
    let times = match notice.origin {
        Some(_) => format!("in {}, as foretold", notice.time_zone),
        None => "from the start, which is not fixed yet".to_owned(),
    };
    lines.push(("Times", times));
    lines
}

/// What one cut is called.
fn title(notice: &Notice, cut: &Cut) -> String {
    let clock = Clock::new(notice.origin, &notice.time_zone);
    let window = cut.window.as_ref();
    let window = window.map_or_else(String::new, |(name, id)| format!(", window {name} {id}"));
    format!(
        "{} to {}, {}{window}",
        clock.moment(cut.starts),
        clock.until(cut.starts, cut.ends),
        cut.downtime()
    )
}

/// For a ticket or a pull request.
pub fn markdown(notice: &Notice) -> String {
    let clock = Clock::new(notice.origin, &notice.time_zone);
    let mut text = format!(
        "<!-- windrow:notice:{}:{} -->\n# {}\n\n",
        notice.plan,
        notice.service,
        plain(&headline(notice))
    );
    for (what, value) in about(notice) {
        writeln!(text, "- {what}: {}", words(&value)).expect(INFALLIBLE);
    }
    for cut in &notice.cuts {
        write!(
            text,
            "\n## {}\n\n| machine | goes off | is ready | down for |\n|---|---|---|--:|\n",
            plain(&title(notice, cut))
        )
        .expect(INFALLIBLE);
        for machine in cut.machines.iter().take(LISTED_MAX) {
            let off = if machine.runs {
                clock.moment(machine.off)
            } else {
                "off already".to_owned()
            };
            let down = machine.ready.saturating_sub(machine.off);
            writeln!(
                text,
                "| {} | {off} | {} | {down} |",
                cell(&machine.name),
                clock.moment(machine.ready),
            )
            .expect(INFALLIBLE);
        }
        more(&mut text, cut.machines.len());
    }
    if !notice.steps.is_empty() {
        text.push_str("\n## Done by people\n\n");
        for step in &notice.steps {
            writeln!(text, "- {}: {}", words(&step.title), span_of(&clock, step))
                .expect(INFALLIBLE);
        }
    }
    if !notice.losses.is_empty() {
        text.push_str("\n## What will be different\n\n");
        for (title, number) in &notice.losses {
            writeln!(text, "- {}: {}", plain(title), count(*number, "machine")).expect(INFALLIBLE);
        }
    }
    if !notice.findings.is_empty() {
        text.push_str("\n## To be looked at before\n\n");
        for (severity, name, what) in notice.findings.iter().take(LISTED_MAX) {
            writeln!(text, "- {severity}: {}: {}", span(name), span(what)).expect(INFALLIBLE);
        }
        more(&mut text, notice.findings.len());
    }
    if !notice.left_out.is_empty() {
        text.push_str("\n## Not moved\n\n");
        for (name, reason) in notice.left_out.iter().take(LISTED_MAX) {
            writeln!(text, "- {}: {}", span(name), plain(reason)).expect(INFALLIBLE);
        }
        more(&mut text, notice.left_out.len());
    }
    lines(&text).into_owned()
}

/// For a mail.
pub fn text(notice: &Notice) -> String {
    let clock = Clock::new(notice.origin, &notice.time_zone);
    let mut text = format!("{}\n\n", headline(notice));
    for (what, value) in about(notice) {
        writeln!(text, "{:<8}{value}", format!("{what}:")).expect(INFALLIBLE);
    }
    for cut in &notice.cuts {
        writeln!(text, "\n{}", title(notice, cut)).expect(INFALLIBLE);
        let listed = || cut.machines.iter().take(LISTED_MAX);
        let width = listed().map(|m| m.name.chars().count()).max().unwrap_or(0);
        for machine in listed() {
            let down = machine.ready.saturating_sub(machine.off);
            let off = if machine.runs {
                format!("goes off {}", clock.moment(machine.off))
            } else {
                "is off already".to_owned()
            };
            writeln!(
                text,
                "  {:<width$}  {off}, ready {}, down for {down}",
                machine.name,
                clock.moment(machine.ready),
            )
            .expect(INFALLIBLE);
        }
        more(&mut text, cut.machines.len());
    }
    if !notice.steps.is_empty() {
        text.push_str("\nDone by people\n");
        for step in &notice.steps {
            writeln!(text, "  {}: {}", step.title, span_of(&clock, step)).expect(INFALLIBLE);
        }
    }
    if !notice.losses.is_empty() {
        text.push_str("\nWhat will be different\n");
        for (title, number) in &notice.losses {
            writeln!(text, "  {title}: {}", count(*number, "machine")).expect(INFALLIBLE);
        }
    }
    if !notice.findings.is_empty() {
        text.push_str("\nTo be looked at before\n");
        for (severity, name, what) in notice.findings.iter().take(LISTED_MAX) {
            writeln!(text, "  {severity}: {name}: {what}").expect(INFALLIBLE);
        }
        more(&mut text, notice.findings.len());
    }
    if !notice.left_out.is_empty() {
        text.push_str("\nNot moved\n");
        for (name, reason) in notice.left_out.iter().take(LISTED_MAX) {
            writeln!(text, "  {name}: {reason}").expect(INFALLIBLE);
        }
        more(&mut text, notice.left_out.len());
    }
    // Durations keep together by a space that not every mail shows.
    lines(&text.replace('\u{a0}', " ")).into_owned()
}

/// When a step outside is to be done.
fn span_of(clock: &Clock, step: &Step) -> String {
    format!(
        "{} to {}",
        clock.moment(step.starts),
        clock.until(step.starts, step.ends)
    )
}

/// Says how many there are beside those that are listed.
fn more(text: &mut String, number: usize) {
    if number > LISTED_MAX {
        writeln!(text, "\nand {} more", number - LISTED_MAX).expect(INFALLIBLE);
    }
}
