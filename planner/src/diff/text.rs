//! A diff in words, at most 100 columns wide and readable without colour.

use std::fmt::Write as _;

use schemas::shown::shown;
use schemas::units::Seconds;

use super::machines::signed;
use super::{Change, FieldChange, PlanDiff, VmDiff, VmFate, WaveDiff, WaveFate};
use crate::diagnostic::count;
use crate::report::clock::Clock;
use crate::report::text::{findings, paragraph, whole};

/// Most VMs of one wave that are told one by one; JSON has them all.
const VMS_SHOWN_MAX: usize = 40;

const INFALLIBLE: &str = "a String takes everything";

/// The diff as `windrow diff` prints it. `locate` says where a field of plan or site stands.
pub fn render(diff: &PlanDiff, locate: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &summary(diff));
    for wave in &diff.waves {
        text.push('\n');
        paragraph(&mut text, "  ", &wave_line(diff, wave));
        for change in &wave.changes {
            paragraph(&mut text, "      ", &field(change));
        }
        let vms: Vec<&VmDiff> = diff
            .vms
            .iter()
            .filter(|vm| vm.stands_in(&wave.name))
            .collect();
        for vm in vms.iter().take(VMS_SHOWN_MAX) {
            machine(&mut text, diff, vm);
        }
        if vms.len() > VMS_SHOWN_MAX {
            let more = count(vms.len() - VMS_SHOWN_MAX, "more VM");
            paragraph(
                &mut text,
                "    ",
                &format!("and {more}; `-o json` lists all"),
            );
        }
    }
    workloads(&mut text, diff);
    if !diff.findings.is_empty() {
        text.push_str("\nnew: ");
        text.push_str(&findings(&diff.findings, locate));
    }
    if !diff.mended.is_empty() {
        text.push_str("\nmended: ");
        text.push_str(&findings(&diff.mended, locate));
    }
    if diff.untold {
        text.push('\n');
        paragraph(
            &mut text,
            "",
            "what the sources say of these VMs has changed; nothing that was decided rests on it, and the \
             snapshots before are not known: `--before DIR` or `--base REF` tells what it is",
        );
    }
    text
}

/// The whole in one sentence: what changed, and what it comes to.
pub fn summary(diff: &PlanDiff) -> String {
    let name = &diff.plan;
    if diff.equal {
        return format!("{name}: nothing has changed since the waves were committed");
    }
    let mut parts = Vec::new();
    for (fate, word) in [
        (VmFate::Added, "new"),
        (VmFate::Removed, "no longer moved"),
        (VmFate::Moved, "in another wave"),
        (VmFate::Changed, "changed"),
    ] {
        let number = diff.vms.iter().filter(|vm| vm.fate == fate).count();
        if number > 0 {
            parts.push(format!("{} {word}", count(number, "VM")));
        }
    }
    if diff.shifted.vms > 0 {
        parts.push(format!("{} at another time", count(diff.shifted.vms, "VM")));
    }
    if parts.is_empty() {
        parts.push(format!("{} changed", count(diff.waves.len(), "wave")));
    }
    let mut text = format!("{name}: {}", parts.join(", "));
    let clock = Clock::new(diff.origin, &diff.time_zone);
    if diff.ends.is_change()
        && let Some(now) = diff.ends.now
    {
        write!(text, "; ends {}", whole(clock.moment(now))).expect(INFALLIBLE);
        text.push_str(&later(diff.ends.by(), "later", "earlier"));
    }
    if diff.worst.is_change()
        && let Some(now) = diff.worst.now
    {
        write!(text, "; worst downtime {}", whole(now)).expect(INFALLIBLE);
        if let Some(by) = diff.worst.by() {
            write!(text, " ({})", whole(signed(by))).expect(INFALLIBLE);
        }
    }
    let lost = diff
        .waves
        .iter()
        .filter(|wave| wave.approval_lost.is_some())
        .count();
    if lost > 0 {
        let verb = if lost == 1 { "holds" } else { "hold" };
        write!(text, "; {} no longer {verb}", count(lost, "approval")).expect(INFALLIBLE);
    }
    text
}

/// `, 38 min later`.
fn later(by: Option<i64>, after: &str, before: &str) -> String {
    match by {
        None | Some(0) => String::new(),
        Some(by) => {
            let word = if by > 0 { after } else { before };
            format!(", {} {word}", whole(Seconds(by.unsigned_abs())))
        }
    }
}

/// What became of a wave.
pub(super) fn wave_line(diff: &PlanDiff, wave: &WaveDiff) -> String {
    let vms = count(wave.vms, "VM");
    let mut text = match wave.fate {
        WaveFate::Added => format!("{}: new, {vms}", wave.name),
        WaveFate::Removed => format!("{}: no longer made, {vms}", wave.name),
        WaveFate::Changed => format!("{}: changed, {vms}", wave.name),
        WaveFate::Kept => format!(
            "{}: the same decisions, and its sources have drifted",
            wave.name
        ),
    };
    if wave.reordered > 0 {
        write!(text, "; {} at another place", count(wave.reordered, "VM")).expect(INFALLIBLE);
    }
    let mut shifted = diff.vms.iter().filter(|vm| vm.stands_in(&wave.name));
    if wave.fate == WaveFate::Changed
        && wave.changes.is_empty()
        && wave.reordered == 0
        && shifted.next().is_none()
    {
        text.push_str("; what others wait for in it, or it for others, is different");
    }
    if let Some(lost) = &wave.approval_lost {
        let reference = lost
            .reference
            .as_ref()
            .map(|said| format!(" ({})", shown(said)));
        write!(
            text,
            "; its approval `{}`{} no longer holds",
            lost.name,
            reference.unwrap_or_default()
        )
        .expect(INFALLIBLE);
    } else if wave.fate == WaveFate::Kept && !wave.needs_approval {
        text.push_str(" since it was approved");
    }
    text
}

fn machine(text: &mut String, diff: &PlanDiff, vm: &VmDiff) {
    let mark = match vm.fate {
        VmFate::Added => '+',
        VmFate::Removed => '-',
        VmFate::Moved => '>',
        VmFate::Changed => '~',
    };
    let mut said = vec![headline(diff, vm)];
    said.extend(vm.changes.iter().map(field));
    said.extend(
        vm.drift
            .iter()
            .map(|change| format!("at its source: {}", field(change))),
    );
    said.extend(vm.consequences.iter().cloned());
    let said: Vec<String> = said.into_iter().filter(|said| !said.is_empty()).collect();
    let mut entry = String::new();
    let indent = "        ";
    paragraph(
        &mut entry,
        indent,
        &format!(
            "`{}` in `{}`: {}",
            shown(vm.name.as_str()),
            vm.workload,
            said.join("; ")
        ),
    );
    entry.replace_range(..indent.len(), &format!("    {mark}   "));
    text.push_str(&entry);
}

/// What became of a VM, if that is not plain from its changes.
pub(super) fn headline(diff: &PlanDiff, vm: &VmDiff) -> String {
    let clock = Clock::new(diff.origin, &diff.time_zone);
    match vm.fate {
        VmFate::Added => match (vm.starts.now, vm.downtime.now) {
            (Some(starts), Some(downtime)) => format!(
                "new, goes off {} for {}",
                whole(clock.moment(starts)),
                whole(downtime)
            ),
            _ => "new".to_owned(),
        },
        VmFate::Moved => {
            let was = vm
                .wave
                .before
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let starts = vm
                .starts
                .now
                .map(|starts| format!(", goes off {}", whole(clock.moment(starts))));
            format!("from wave {was}{}", starts.unwrap_or_default())
        }
        VmFate::Removed | VmFate::Changed => String::new(),
    }
}

/// A field before and now.
pub(super) fn field(change: &FieldChange) -> String {
    let what = &change.what;
    match (&change.before, &change.now) {
        (Some(before), Some(now)) => format!("{what} {} → {}", whole(before), whole(now)),
        (None, Some(now)) => format!("{what} {}, not there before", whole(now)),
        (Some(before), None) => format!("{what} gone, {} before", whole(before)),
        (None, None) => format!("{what} has changed"),
    }
}

fn workloads(text: &mut String, diff: &PlanDiff) {
    if diff.workloads.is_empty() {
        return;
    }
    text.push_str("\n  workload downtime, first guest off to last machine ready\n");
    for line in workload_rows(diff) {
        paragraph(text, "    ", &line);
    }
    if diff.shifted.vms > 0 {
        let mut said = Vec::new();
        for (most, word) in [
            (diff.shifted.later, "later"),
            (diff.shifted.earlier, "earlier"),
        ] {
            if most > Seconds::ZERO {
                said.push(format!("at most {} {word}", whole(most)));
            }
        }
        let vms = count(diff.shifted.vms, "VM");
        paragraph(
            text,
            "    ",
            &format!("{vms} unchanged, at another time: {}", said.join(", ")),
        );
    }
}

/// One line for each workload whose times have changed.
pub(super) fn workload_rows(diff: &PlanDiff) -> Vec<String> {
    let clock = Clock::new(diff.origin, &diff.time_zone);
    diff.workloads
        .iter()
        .map(|workload| {
            let name = &workload.name;
            let downtime = values(&workload.downtime);
            let by = workload.downtime.by().filter(|by| *by != 0);
            let by = by
                .map(|by| format!(" ({})", whole(signed(by))))
                .unwrap_or_default();
            let starts = workload.starts.now.map(|starts| {
                format!(
                    "; goes off {}{}",
                    whole(clock.moment(starts)),
                    later(workload.starts.by(), "later", "earlier")
                )
            });
            let vms = if workload.vms.is_change() {
                let (was, is) = (
                    workload.vms.before.unwrap_or(0),
                    workload.vms.now.unwrap_or(0),
                );
                format!("; {was} → {}", count(is, "VM"))
            } else {
                String::new()
            };
            format!("{name}: {downtime}{by}{}{vms}", starts.unwrap_or_default())
        })
        .collect()
}

fn values(change: &Change<Seconds>) -> String {
    match (change.before, change.now) {
        (Some(before), Some(now)) if before == now => whole(now),
        (Some(before), Some(now)) => format!("{} → {}", whole(before), whole(now)),
        (None, Some(now)) => whole(now),
        (Some(before), None) => format!("{} before, nothing left to move", whole(before)),
        (None, None) => "not predicted".to_owned(),
    }
}
