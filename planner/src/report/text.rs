//! The report in words, at most 100 columns wide and readable without colour.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use schemas::finding::{Finding, Severity, Subject};
use schemas::forecast::OtherForecast;
use schemas::shown::shown;
use schemas::units::Bytes;

use super::beside;
use super::clock::Clock;
use super::{LeftOut, PlanReport, WaveLine, WorkloadFindings};
use crate::check::table;
use crate::diagnostic::{count, list};
use crate::schedule::Feasibility;

/// Columns that no line of prose passes.
const WIDTH_MAX: usize = 100;
/// Most reasons for leaving VMs out that are told; JSON has them all.
const REASONS_SHOWN_MAX: usize = 12;

/// From so many open findings on they are told by workload too.
const FINDINGS_BY_WORKLOAD_MIN: usize = 20;
/// Most workloads that are told with what was found in them; JSON has them all.
const WORKLOADS_SHOWN_MAX: usize = 10;
/// Most names of several VMs that are told; JSON has them all.
const TWINS_SHOWN_MAX: usize = 5;
/// Most VMs of one name that are told; JSON has them all.
const TWIN_VMS_SHOWN_MAX: usize = 8;

/// The report as `windrow plan` prints it. `locate` says where a field of plan or site stands, as
/// in `plans/erp/plan.yaml:22`.
pub fn render(report: &PlanReport, locate: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &headline(report));
    lacking(&mut text, report);
    if report.vms > 0 {
        text.push('\n');
        waves(&mut text, report);
        services(&mut text, report);
        steps(&mut text, report);
        others(&mut text, report);
        text.push('\n');
        outcome(&mut text, report);
    }
    left_out(&mut text, report);
    twins(&mut text, report);
    if !report.findings.is_empty() {
        text.push('\n');
        text.push_str(&findings(&report.findings, locate));
        by_workload(&mut text, report);
    }
    beside::room(&mut text, report);
    beside::losses(&mut text, report);
    text
}

/// Does it all fit, how much is it, when is it done.
pub(super) fn headline(report: &PlanReport) -> String {
    let name = &report.plan;
    let missed = report.left_out.iter().filter(|out| out.missed()).count();
    let total = report.vms + missed;
    let moved = match report.moved {
        0 => String::new(),
        moved => format!("; {} moved before", count(moved, "VM")),
    };
    if total == 0 {
        return format!("{name}: nothing to move{moved}");
    }
    if report.vms == 0 {
        return format!("{name}: none of {} can be moved{moved}", count(total, "VM"));
    }
    let windows = if report.waves.iter().any(|wave| wave.window.is_some()) {
        " the windows"
    } else {
        ""
    };
    let fit = match (missed, total) {
        (0, 1) => format!("1 VM fits{windows}"),
        (0, total) => format!("all {total} VMs fit{windows}"),
        (missed, total) => {
            format!(
                "{} of {total} VMs fit{windows}, {missed} left out",
                report.vms
            )
        }
    };
    let clock = Clock::new(report.origin, &report.time_zone);
    let done = match report.origin {
        Some(_) => format!("done {}", whole(clock.moment(report.ends))),
        None => format!("done {} after the start", whole(report.ends)),
    };
    format!(
        "{name}: {fit}: {}, from {} into {}; {done}{moved}",
        whole(report.disks),
        names(&report.sources),
        names(&report.targets)
    )
}

/// What the engine needs beside what the windows give, where that is less; with the levers.
fn lacking(text: &mut String, report: &PlanReport) {
    let short = |fit: &&Feasibility| fit.given < fit.needs;
    let missed = report.left_out.iter().any(|out| out.kind == "noWindow");
    for fit in report.windows.iter().filter(short).filter(|_| missed) {
        let more = match fit.occurrences_lacking() {
            0 => "more or longer occurrences".to_owned(),
            lacking => format!("{lacking} more, or longer ones"),
        };
        let off = match fit.off {
            0 => String::new(),
            off => format!(
                ", or `policy.poweredOff: anyTime` for the {} ({} of it)",
                off_ones(off),
                whole(fit.needs_off)
            ),
        };
        let prose = format!(
            "{} needs {} for the {} that keep windows, which give {} in {}: {} % fits; {more}, \
             another target{off} would help",
            fit.target,
            whole(fit.needs),
            count(fit.inside, "VM"),
            whole(fit.given),
            count(fit.occurrences, "occurrence"),
            fit.percent(),
        );
        paragraph(text, "  ", &prose);
    }
}

fn off_ones(count: usize) -> String {
    match count {
        1 => "VM that is off".to_owned(),
        more => format!("{more} VMs that are off"),
    }
}

/// The table of services, where there are any.
fn services(text: &mut String, report: &PlanReport) {
    if report.services.is_empty() {
        return;
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let head = [
        "service", "VMs", "owner", "starts", "ends", "down", "budget",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for service in &report.services {
        let over = service.budget.is_some_and(|b| b < service.downtime);
        let budget = service.budget.map(|budget| budget.to_string());
        let times = match service.occurrences {
            0 | 1 => String::new(),
            n => format!(" in {n} parts"),
        };
        rows.push([
            service.name.to_string(),
            service.vms.to_string(),
            clipped(service.owner.as_deref().unwrap_or_default()),
            clock.moment(service.starts),
            clock.until(service.starts, service.ends),
            format!("{}{times}", service.downtime),
            format!(
                "{}{}",
                budget.unwrap_or_default(),
                if over { " ◀ over" } else { "" }
            ),
        ]);
    }
    text.push('\n');
    table_of(text, &rows, |column| match column {
        2 => report
            .services
            .iter()
            .any(|service| service.owner.is_some()),
        6 => report
            .services
            .iter()
            .any(|service| service.budget.is_some()),
        _ => true,
    });
}

/// The table of steps outside, where there are any.
fn steps(text: &mut String, report: &PlanReport) {
    if report.steps.is_empty() {
        return;
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let head = ["step outside", "may begin", "done by", "says so", "what"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(report.steps.iter().map(|step| {
        [
            step.step.to_string(),
            clock.moment(step.starts),
            clock.until(step.starts, step.ends),
            shown(&step.said_by()).into_owned(),
            clipped(&step.title),
        ]
    }));
    text.push('\n');
    table_of(text, &rows, |_| true);
}

/// Most characters of what people write that a cell of a table holds; `-o json` has all of it.
const CELL_CHARACTERS_MAX: usize = 48;

/// Somebody else's words in a cell: in one line, and no wider than others can be read beside.
fn clipped(text: &str) -> String {
    let text = shown(text);
    if text.chars().count() <= CELL_CHARACTERS_MAX {
        return text.into_owned();
    }
    let kept: String = text.chars().take(CELL_CHARACTERS_MAX - 1).collect();
    format!("{kept}…")
}

/// The table of workloads of other plans, where any are waited for.
fn others(text: &mut String, report: &PlanReport) {
    if report.others.is_empty() {
        return;
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let mut rows = vec![["waits for, of another plan", "done by"].map(str::to_owned)];
    let line = |other: &OtherForecast| [other.workload.to_string(), clock.moment(other.done)];
    rows.extend(report.others.iter().map(line));
    text.push('\n');
    table_of(text, &rows, |_| true);
}

fn names<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.join(""),
    }
}

/// The table of waves; its columns are as wide as what is in them.
fn waves(text: &mut String, report: &PlanReport) {
    let clock = Clock::new(report.origin, &report.time_zone);
    let windows = report.waves.iter().any(|wave| wave.window.is_some());
    let mut rows = vec![
        [
            "wave",
            "VMs",
            "window",
            "starts",
            "ends",
            "down p50",
            "worst",
            "scratch peak",
        ]
        .map(str::to_owned),
    ];
    for wave in &report.waves {
        rows.push([
            wave.stem.clone(),
            wave.vms.to_string(),
            wave.window
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            clock.moment(wave.starts),
            clock.until(wave.starts, wave.ends),
            wave.downtime.p50.to_string(),
            wave.downtime.worst.to_string(),
            scratch(wave),
        ]);
    }
    table_of(text, &rows, |column| column != 2 || windows);
}

/// Rows whose columns are as wide as what is in them; the second one holds numbers. `shown` says
/// which columns are there at all.
pub(crate) fn table_of<const N: usize>(
    text: &mut String,
    rows: &[[String; N]],
    shown: impl Fn(usize) -> bool,
) {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = " ".to_owned();
        for (column, cell) in row.iter().enumerate() {
            match column {
                hidden if !shown(hidden) => {}
                1 => write!(line, " {cell:>width$} ", width = widths[column]).expect(INFALLIBLE),
                _ => write!(line, " {cell:<width$} ", width = widths[column]).expect(INFALLIBLE),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

const INFALLIBLE: &str = "a String takes everything";

fn scratch(wave: &WaveLine) -> String {
    let tight = if wave.tight { " ◀ tight" } else { "" };
    let (peak, usable) = (
        wave.scratch_peak.to_string(),
        wave.scratch_usable.to_string(),
    );
    // The unit once, where it is the same.
    match (peak.split_once(' '), usable.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => {
            format!("{number} of {usable}{tight}")
        }
        _ => format!("{peak} of {usable}{tight}"),
    }
}

/// When it ends, how good that is, and what it is worth.
fn outcome(text: &mut String, report: &PlanReport) {
    let clock = Clock::new(report.origin, &report.time_zone);
    let times = match report.origin {
        Some(_) => format!("times in {}", report.time_zone),
        None => "times from the start".to_owned(),
    };
    let least = whole(clock.moment(report.ends_at_least));
    let gap = match report.gap_percent {
        0 => "no schedule ends earlier".to_owned(),
        gap => format!("no schedule can end before {least}: at most {gap} % could be saved"),
    };
    let done = report.done.map(|done| {
        let at = whole(clock.then(report.ends, done));
        format!("; the last gate holds and the last step outside is done {at}")
    });
    paragraph(
        text,
        "  ",
        &format!("{times}; {gap}{}", done.unwrap_or_default()),
    );
    band(text, report, &clock);
    if report.vms < 2 {
        return;
    }
    let at_once = &report.all_at_once;
    let most: Bytes = report
        .waves
        .iter()
        .map(|wave| wave.scratch_peak)
        .max()
        .unwrap_or_default();
    let worst = report
        .downtime
        .worst_vm
        .as_ref()
        .map(|vm| format!(" (`{vm}`)"));
    paragraph(
        text,
        "  ",
        &format!(
            "down for {} at the median and {} at most{}, with {} of scratch; applied all at once, \
             the same {} VMs would be down for {} on average and {} at most, and need {}",
            whole(report.downtime.p50),
            whole(report.downtime.worst),
            worst.unwrap_or_default(),
            whole(most),
            report.vms,
            whole(at_once.downtime_mean),
            whole(at_once.downtime_worst),
            whole(at_once.scratch)
        ),
    );
}

/// Between which moments it ends, and which imports decide that.
fn band(text: &mut String, report: &PlanReport, clock: &Clock) {
    let band = &report.band;
    if band.late <= band.early {
        return;
    }
    let missed = match band.late_missed {
        0 => String::new(),
        n => format!(
            "; were all of them slow, {} would move in a later window than planned",
            count(usize::try_from(n).unwrap_or(usize::MAX), "VM"),
        ),
    };
    let steps = report.steps.iter().filter(|step| step.critical).count();
    let chain = match (report.critical_path.len(), steps) {
        (0 | 1, 0) => String::new(),
        (n, 0) => format!("; a chain of {n} imports decides the end"),
        (n, steps) => format!(
            "; a chain of {} and {} decides the end",
            count(n, "import"),
            count(steps, "step")
        ),
    };
    let prose = format!(
        "ends between {} and {}, by how fast imports turn out{missed}{chain}",
        whole(clock.moment(band.early)),
        whole(clock.then(band.early, band.late))
    );
    paragraph(text, "  ", &prose);
}

/// Who is not moved and why, one entry for each reason; what was moved before is a number in the
/// headline.
fn left_out(text: &mut String, report: &PlanReport) {
    let mut reasons: BTreeMap<(&str, &str), Vec<&LeftOut>> = BTreeMap::new();
    for out in report.left_out.iter().filter(|out| out.kind != "moved") {
        reasons
            .entry((out.kind, &out.reason))
            .or_default()
            .push(out);
    }
    let number: usize = reasons.values().map(Vec::len).sum();
    if number == 0 {
        return;
    }
    writeln!(text, "\n{} selected and not moved", count(number, "VM")).expect(INFALLIBLE);
    for ((_, reason), group) in reasons.iter().take(REASONS_SHOWN_MAX) {
        let vms = group
            .iter()
            .map(|out| (out.vm.to_string(), out.name.to_string()))
            .collect();
        paragraph(text, "  ", &format!("{}: {reason}", vms_by_name(&vms)));
    }
    if reasons.len() > REASONS_SHOWN_MAX {
        let more = reasons.len() - REASONS_SHOWN_MAX;
        let noun = count(more, "more reason");
        writeln!(text, "  and {noun}; `-o json` lists all").expect(INFALLIBLE);
    }
}

/// VMs that bear one name, each with what tells it apart.
fn twins(text: &mut String, report: &PlanReport) {
    for twins in report.twins.iter().take(TWINS_SHOWN_MAX) {
        writeln!(
            text,
            "\n{} of {} are called `{}`",
            count(twins.vms.len(), "VM"),
            twins.source,
            shown(twins.name.as_str())
        )
        .expect(INFALLIBLE);
        for twin in twins.vms.iter().take(TWIN_VMS_SHOWN_MAX) {
            let left = if twin.planned { "" } else { " (not moved)" };
            let line = format!("{}{left}: {}", twin.vm.id, twin.twin);
            paragraph(text, "  ", &shown(&line));
        }
        if twins.vms.len() > TWIN_VMS_SHOWN_MAX {
            let more = count(twins.vms.len() - TWIN_VMS_SHOWN_MAX, "more VM");
            writeln!(text, "  and {more}; `-o json` lists all").expect(INFALLIBLE);
        }
    }
    if let Some(more) = report
        .twins
        .len()
        .checked_sub(TWINS_SHOWN_MAX)
        .filter(|n| *n > 0)
    {
        let noun = count(more, "more name");
        writeln!(text, "\n{noun} of several VMs; `-o json` lists all").expect(INFALLIBLE);
    }
}

/// Whose VMs have most of what was found, where that is more than can be looked through.
fn by_workload(text: &mut String, report: &PlanReport) {
    let open = report
        .findings
        .iter()
        .filter(|finding| finding.waived_by.is_none());
    if open.count() < FINDINGS_BY_WORKLOAD_MIN {
        return;
    }
    let workload = |line: &WorkloadFindings| {
        let parts = [(line.blockers, "blocker"), (line.warnings, "warning")];
        let parts = parts.into_iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts.map(|(number, noun)| count(number, noun)).collect();
        format!("{}: {}", line.workload, parts.join(", "))
    };
    let worst = report
        .found
        .iter()
        .filter(|line| line.blockers + line.warnings > 0);
    let mut lines: Vec<String> = worst.map(workload).collect();
    let more = lines.len().saturating_sub(WORKLOADS_SHOWN_MAX);
    lines.truncate(WORKLOADS_SHOWN_MAX);
    if more > 0 {
        lines.push(format!(
            "{}; `-o json` lists all",
            count(more, "more workload")
        ));
    }
    if !lines.is_empty() {
        paragraph(text, "  ", &format!("by workload: {}", lines.join("; ")));
    }
}

/// Findings in words: how many, then one entry for each code, with the VMs that have it.
pub fn findings(findings: &[Finding], locate: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &counts(findings));
    let mut groups: BTreeMap<(Severity, bool, &str, Option<&str>), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        // Findings about one mapping are one entry; those about VMs are one by remedy.
        let waived = finding.waived_by.is_some();
        let remedy = finding.waived_by.as_deref().unwrap_or(&finding.remedy);
        let key = (
            finding.severity,
            waived,
            finding.code.as_str(),
            Some(remedy),
        );
        groups.entry(key).or_default().push(finding);
    }
    // The worst first, and of those what most have; within a code the remedies stay together.
    let mut by_code: BTreeMap<(Severity, bool, &str), usize> = BTreeMap::new();
    for ((severity, waived, code, _), group) in &groups {
        *by_code.entry((*severity, *waived, code)).or_default() += group.len();
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((severity, waived, code, _), _)| {
        let number = by_code[&(*severity, *waived, *code)];
        (*severity, *waived, Reverse(number), *code)
    });
    for ((severity, waived, code, remedy), group) in groups {
        let word = match (severity, waived) {
            (_, true) => "waived",
            (Severity::Blocker, false) => "blocker",
            (Severity::Warning, false) => "warning",
            (Severity::Info, false) => "info",
        };
        let title = table::check(code).map_or("", |check| check.title);
        let head = format!("  {word:<7} {code:<5} ");
        let indent = " ".repeat(head.chars().count());
        let mut entry = String::new();
        paragraph(&mut entry, &indent, title);
        entry.replace_range(..indent.len(), &head);
        text.push_str(&entry);
        let evidence = match group.as_slice() {
            [one] => one.evidence.clone(),
            several => format!("as in: {}", several[0].evidence),
        };
        paragraph(
            &mut text,
            &indent,
            &format!("{}: {evidence}", subjects(&group)),
        );
        let place = group[0].path.as_deref().and_then(locate);
        let place = place.map(|place| format!("{place}  ")).unwrap_or_default();
        paragraph(
            &mut text,
            &indent,
            &format!("{place}{}", remedy.unwrap_or_default()),
        );
    }
    text
}

fn counts(findings: &[Finding]) -> String {
    let open = |severity: Severity| {
        findings
            .iter()
            .filter(|f| f.severity == severity && f.waived_by.is_none())
            .count()
    };
    let waived = findings.iter().filter(|f| f.waived_by.is_some()).count();
    let mut parts = Vec::new();
    for (number, noun) in [
        (open(Severity::Blocker), "blocker"),
        (open(Severity::Warning), "warning"),
    ] {
        if number > 0 {
            parts.push(count(number, noun));
        }
    }
    for (number, word) in [(open(Severity::Info), "info"), (waived, "waived")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    parts.join(", ")
}

/// What a group of findings is about.
fn subjects(group: &[&Finding]) -> String {
    let mut vms: BTreeMap<String, String> = BTreeMap::new();
    let mut others = Vec::new();
    for finding in group {
        match &finding.subject {
            Subject::Vm { key, name } => {
                vms.insert(key.to_string(), name.to_string());
            }
            other => others.push(other.in_words(|name| format!("`{name}`"))),
        }
    }
    if !vms.is_empty() {
        others.push(vms_by_name(&vms));
    }
    others.dedup();
    others.join(", ")
}

/// `` `a` ``, or `` 3 VMs (`a`, `b`, `c`) ``, from keys and names; VMs of one name by their key.
fn vms_by_name(vms: &BTreeMap<String, String>) -> String {
    let mut names: BTreeMap<&String, usize> = BTreeMap::new();
    for name in vms.values() {
        *names.entry(name).or_default() += 1;
    }
    let shown: Vec<&String> = vms
        .iter()
        .map(|(key, name)| if names[name] == 1 { name } else { key })
        .collect();
    match shown.as_slice() {
        [one] => format!("`{one}`"),
        several => format!("{} ({})", count(several.len(), "VM"), list(several)),
    }
}

/// A value that must not be torn apart at the end of a line.
pub(crate) fn whole(value: impl Display) -> String {
    value.to_string().replace(' ', NO_BREAK)
}

/// Stands for a space until a line is finished.
const NO_BREAK: &str = "\u{a0}";

/// Appends prose, broken at spaces so that no line passes [`WIDTH_MAX`]; lines after the first are
/// indented by as much.
pub(crate) fn paragraph(text: &mut String, indent: &str, prose: &str) {
    let mut line = indent.to_owned();
    let mut empty = true;
    let start = text.len();
    // The space that holds a value together is ours; whatever else hides is somebody else's.
    let pieces: Vec<_> = prose.split(NO_BREAK).map(shown).collect();
    let prose = pieces.join(NO_BREAK);
    for word in prose.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH_MAX {
            text.push_str(line.trim_end());
            text.push('\n');
            indent.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
    let finished = text.split_off(start).replace(NO_BREAK, " ");
    text.push_str(&finished);
}
