//! The report as a comment on a pull request: the first line alone must do, details are folded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::finding::{Finding, Severity};
use schemas::gate::GateFailure;
use schemas::shown::{lines, shown};

use super::actual::ActualGate;
use super::{Clock, PlanReport};
use crate::check::table;
use crate::diagnostic::count;
use crate::markdown::{CHARACTERS_MAX, about, cell, plain, span};

/// Most findings of one code that are listed; `windrow plan` tells them all.
const FINDINGS_SHOWN_MAX: usize = 20;

/// Most machines that are listed; the page and the table have all of them.
const MACHINES_SHOWN_MAX: usize = 40;

const INFALLIBLE: &str = "a String takes everything";

/// The report in Markdown, with a hidden mark by which a comment is found again and replaced.
/// `locate` says where a field of plan or site stands.
pub fn render(report: &PlanReport, locate: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = format!(
        "<!-- windrow:plan:{} -->\n**{}**\n",
        report.plan,
        plain(&headline(report))
    );
    let parts = [
        waves(report),
        services(report),
        gates(report),
        steps(report),
        others(report),
        happened(report),
        at_once(report),
        room(report),
        left_out(report),
        losses(report),
        findings(report, locate),
    ];
    for part in parts.into_iter().flatten() {
        if text.chars().count() + part.chars().count() > CHARACTERS_MAX {
            text.push_str(
                "\nThere is more than a comment holds; `windrow plan` tells all of it.\n",
            );
            break;
        }
        text.push_str(&part);
    }
    lines(&text).into_owned()
}

/// How much, when it is done, how long anything is down, and what is wrong, in one line.
fn headline(report: &PlanReport) -> String {
    let clock = Clock::new(report.origin, &report.time_zone);
    if report.vms == 0 {
        return super::text::headline(report);
    }
    let mut said = format!(
        "{}: {} in {}, ends {}",
        report.plan,
        count(report.vms, "VM"),
        count(report.waves.len(), "wave"),
        clock.moment(report.ends)
    );
    let worst = &report.downtime;
    write!(said, " · worst downtime {}", worst.worst).expect(INFALLIBLE);
    if let Some(vm) = &worst.worst_vm {
        write!(said, " ({vm})").expect(INFALLIBLE);
    }
    let missed = report.left_out.iter().filter(|out| out.missed()).count();
    if missed > 0 {
        write!(said, " · {missed} left out").expect(INFALLIBLE);
    }
    for severity in [Severity::Blocker, Severity::Warning] {
        let number = report.count(severity);
        if number > 0 {
            let name = severity.to_string();
            write!(said, " · {}", count(number, &name)).expect(INFALLIBLE);
        }
    }
    said
}

fn waves(report: &PlanReport) -> Vec<String> {
    if report.waves.is_empty() {
        return Vec::new();
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let mut text =
        "\n| wave | VMs | window | starts | ends | downtime p50 | worst | scratch peak |\n\
                    |---|--:|---|---|---|--:|--:|--:|\n"
            .to_owned();
    for wave in &report.waves {
        let window = wave.window.as_ref().map_or_else(String::new, |window| {
            wave.occurrence.as_ref().map_or_else(
                || cell(window.as_str()),
                |id| cell(&format!("{window} {id}")),
            )
        });
        let whose = wave.downtime.worst_vm.as_ref();
        writeln!(
            text,
            "| {} | {} | {window} | {} | {} | {} | {}{} | {} of {}{} |",
            cell(&wave.stem),
            wave.vms,
            clock.moment(wave.starts),
            clock.until(wave.starts, wave.ends),
            wave.downtime.p50,
            wave.downtime.worst,
            whose.map_or_else(String::new, |vm| format!(" {}", cell(vm.as_str()))),
            wave.scratch_peak,
            wave.scratch_usable,
            if wave.tight { ", tight" } else { "" },
        )
        .expect(INFALLIBLE);
    }
    match report.origin {
        Some(_) => writeln!(text, "\nTimes in {}.", plain(&report.time_zone)),
        None => writeln!(text, "\nTimes from the start."),
    }
    .expect(INFALLIBLE);
    vec![text]
}

fn services(report: &PlanReport) -> Vec<String> {
    if report.services.is_empty() {
        return Vec::new();
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let mut text = "\n| service | owner | starts | ends | down for | budget |\n\
                    |---|---|---|---|--:|--:|\n"
        .to_owned();
    for service in &report.services {
        let over = service.budget.is_some_and(|b| service.downtime > b);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {}{} |",
            cell(service.name.as_str()),
            service.owner.as_deref().map_or_else(String::new, cell),
            clock.moment(service.starts),
            clock.until(service.starts, service.ends),
            service.downtime,
            service.budget.map_or_else(String::new, |b| b.to_string()),
            if over { ", **exceeded**" } else { "" },
        )
        .expect(INFALLIBLE);
    }
    vec![text]
}

fn steps(report: &PlanReport) -> Vec<String> {
    if report.steps.is_empty() {
        return Vec::new();
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let mut text =
        "\n| step outside | may begin | done by | who says so | what |\n|---|---|---|---|---|\n"
            .to_owned();
    for step in &report.steps {
        writeln!(
            text,
            "| {}{} | {} | {} | {} | {} |",
            cell(step.step.as_str()),
            if step.critical {
                ", decides the end"
            } else {
                ""
            },
            clock.moment(step.starts),
            clock.until(step.starts, step.ends),
            cell(&step.said_by()),
            cell(&step.title),
        )
        .expect(INFALLIBLE);
    }
    vec![text]
}

fn others(report: &PlanReport) -> Vec<String> {
    if report.others.is_empty() {
        return Vec::new();
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let mut text = "\n| waits for, of another plan | done by |\n|---|---|\n".to_owned();
    for other in &report.others {
        let (name, done) = (other.workload.to_string(), clock.moment(other.done));
        writeln!(text, "| {} | {done} |", cell(&name)).expect(INFALLIBLE);
    }
    text.push('\n');
    vec![text]
}

/// What machines must show before those that depend on them start.
fn gates(report: &PlanReport) -> Vec<String> {
    let gated = report.workloads.iter();
    let gated: Vec<_> = gated
        .filter_map(|line| Some((line, line.gate.as_ref()?)))
        .collect();
    if gated.is_empty() {
        return Vec::new();
    }
    let clock = Clock::new(report.origin, &report.time_zone);
    let mut text = "\n| gate of | VMs | ports | soak | all hold by | if not |\n\
                    |---|--:|---|--:|---|---|\n"
        .to_owned();
    for (line, gate) in gated {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            cell(line.name.as_str()),
            line.vms,
            cell(&super::steps::ports(gate)),
            gate.soak
                .map_or_else(String::new, |soak| soak.0.to_string()),
            clock.moment(line.ends),
            match gate.on_failure {
                GateFailure::Hold => "what depends on it waits",
                GateFailure::Continue => "noted",
            },
        )
        .expect(INFALLIBLE);
    }
    vec![text]
}

/// What a run came to, beside what was foretold: the sentence, by wave, and folded by machine.
fn happened(report: &PlanReport) -> Vec<String> {
    let Some(actual) = &report.actual else {
        return Vec::new();
    };
    let clock = Clock::new(Some(actual.origin), &report.time_zone);
    let mut text = format!("\nSo far: {}.\n\n", plain(&actual.headline()));
    text.push_str(
        "| wave | run | ends foretold | ended | down p50 foretold | came | worst foretold | came |\n\
         |---|--:|---|---|--:|--:|--:|--:|\n",
    );
    for wave in &actual.waves {
        let (foretold, came) = (&wave.foretold, &wave.came);
        writeln!(
            text,
            "| {} | {} of {} | {} | {} | {} | {} | {} | {} |",
            cell(&wave.stem),
            wave.vms.len(),
            wave.machines,
            clock.moment(foretold.ends),
            clock.moment(came.ends),
            foretold.downtime_p50,
            came.downtime_p50,
            foretold.downtime_worst,
            came.downtime_worst,
        )
        .expect(INFALLIBLE);
    }
    if !actual.steps.is_empty() {
        text.push_str(
            "\n| step outside | done foretold | could begin | done by |\n|---|---|---|---|\n",
        );
    }
    for step in &actual.steps {
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(step.step.as_str()),
            clock.moment(step.ends),
            step.could_start
                .map_or_else(String::new, |at| clock.moment(at)),
            clock.moment(step.done_by),
        )
        .expect(INFALLIBLE);
    }
    let mut parts = vec![text];
    let vms = || actual.waves.iter().flat_map(|wave| &wave.vms);
    let gated = vms().any(|vm| vm.gate.is_some());
    let mut folded = format!(
        "\n<details><summary>Foretold and come: {}</summary>\n\n\
         | VM | ready foretold | ready | down foretold | down |{}\n|---|---|---|--:|--:|{}\n",
        count(vms().count(), "machine"),
        if gated { " gate |" } else { "" },
        if gated { "---|" } else { "" },
    );
    for vm in vms().take(MACHINES_SHOWN_MAX) {
        let (foretold, came) = (&vm.foretold, &vm.came);
        writeln!(
            folded,
            "| {} | {} | {} | {} | {} |{}",
            cell(vm.name.as_str()),
            clock.moment(foretold.ready),
            clock.moment(came.ready),
            foretold.downtime(),
            came.downtime(),
            match &vm.gate {
                Some(gate) => format!(" {} |", came_of(gate, &clock)),
                None if gated => " |".to_owned(),
                None => String::new(),
            },
        )
        .expect(INFALLIBLE);
    }
    rest(&mut folded, vms().count());
    folded.push_str("\n</details>\n");
    parts.push(folded);
    parts
}

/// `held Sat 28 Nov 22:40`.
fn came_of(gate: &ActualGate, clock: &Clock) -> String {
    let at = gate.holds.or(gate.failed);
    let at = at.map_or_else(String::new, |at| format!(" {}", clock.moment(at)));
    format!("{}{at}", gate.word())
}

/// Says how many more machines there are than are listed.
fn rest(text: &mut String, number: usize) {
    if number > MACHINES_SHOWN_MAX {
        let more = number - MACHINES_SHOWN_MAX;
        writeln!(text, "\nand {more} more").expect(INFALLIBLE);
    }
}

/// What is left of what is limited.
fn room(report: &PlanReport) -> Vec<String> {
    if report.capacity.is_empty() {
        return Vec::new();
    }
    let mut text = "\n<details><summary>Room</summary>\n\n\
                    | where | what | needs | has | used |\n|---|---|--:|--:|--:|\n"
        .to_owned();
    for line in &report.capacity {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} %{} |",
            cell(&line.place),
            plain(&shown(&line.what)),
            line.unit.show(line.needs),
            line.unit.show(line.has),
            line.percent(),
            if line.fits() { "" } else { ", **too little**" },
        )
        .expect(INFALLIBLE);
    }
    text.push_str("\n</details>\n");
    vec![text]
}

/// What will not survive, kind by kind.
fn losses(report: &PlanReport) -> Vec<String> {
    if report.losses.is_empty() {
        return Vec::new();
    }
    let mut text = "\n<details><summary>What will not survive</summary>\n\n".to_owned();
    for loss in &report.losses {
        let number = count(loss.vms.len(), "VM");
        writeln!(text, "- {} ({}): {number}", plain(loss.title), loss.code).expect(INFALLIBLE);
    }
    text.push_str("\n</details>\n");
    vec![text]
}

fn at_once(report: &PlanReport) -> Vec<String> {
    if report.vms < 2 {
        return Vec::new();
    }
    let at_once = &report.all_at_once;
    vec![format!(
        "\nApplied all at once, the same {} VMs would be down for {} on average and {} at most, and \
         need {} of scratch.\n",
        report.vms, at_once.downtime_mean, at_once.downtime_worst, at_once.scratch
    )]
}

fn left_out(report: &PlanReport) -> Vec<String> {
    let missed: Vec<_> = report.left_out.iter().filter(|out| out.missed()).collect();
    if missed.is_empty() {
        return Vec::new();
    }
    let mut text = format!(
        "\n<details><summary>Left out: {}</summary>\n\n",
        count(missed.len(), "VM")
    );
    for out in missed.iter().take(MACHINES_SHOWN_MAX) {
        writeln!(
            text,
            "- {}: {}",
            span(out.name.as_str()),
            plain(&shown(&out.reason))
        )
        .expect(INFALLIBLE);
    }
    rest(&mut text, missed.len());
    text.push_str("\n</details>\n");
    vec![text]
}

/// One folded part for each code: the worst first, as the findings come.
fn findings(report: &PlanReport, locate: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut codes: Vec<(&str, Severity)> = Vec::new();
    let mut of: BTreeMap<(&str, Severity), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        let key = (finding.code.as_str(), finding.severity);
        let known = of.entry(key).or_default();
        if known.is_empty() {
            codes.push(key);
        }
        known.push(finding);
    }
    codes
        .into_iter()
        .map(|key| group(key, &of[&key], locate))
        .collect()
}

fn group(
    (code, severity): (&str, Severity),
    findings: &[&Finding],
    locate: &dyn Fn(&str) -> Option<String>,
) -> String {
    let title = table::check(code).map_or("", |check| check.title);
    let waived = findings.iter().filter(|f| f.waived_by.is_some()).count();
    // What is waived everywhere stops nobody.
    let (word, some) = match waived {
        0 => (severity.to_string(), String::new()),
        all if all == findings.len() => ("waived".to_owned(), String::new()),
        some => (severity.to_string(), format!(", {some} waived")),
    };
    let mut text = format!(
        "\n<details><summary>{word} {code}: {}: {}{some}</summary>\n\n",
        plain(title),
        count(findings.len(), "time"),
    );
    if let Some(first) = findings.first() {
        writeln!(text, "{}\n", plain(&first.remedy)).expect(INFALLIBLE);
    }
    for finding in findings.iter().take(FINDINGS_SHOWN_MAX) {
        let about = about(&finding.subject);
        let place = finding.path.as_deref().and_then(locate);
        writeln!(
            text,
            "- {about}: {}{}{}",
            span(&finding.evidence),
            place.map_or_else(String::new, |place| format!(" ({})", span(&place))),
            finding
                .waived_by
                .as_ref()
                .map_or_else(String::new, |why| format!(", waived: {}", span(why))),
        )
        .expect(INFALLIBLE);
    }
    if let Some(more) = findings.len().checked_sub(FINDINGS_SHOWN_MAX)
        && more > 0
    {
        writeln!(text, "- and {more} more").expect(INFALLIBLE);
    }
    text.push_str("\n</details>\n");
    text
}
