//! Waivers: findings that the plan accepts, and waivers that do not do what they say.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::{Finding, Severity, Subject};
use schemas::ids::VmKey;

use super::Hit;
use super::table::Check;
use crate::diagnostic::{count, list};
use crate::resolve::ResolvedPlan;

/// A glob may meet this many VMs without the finding for each one that has it; above, it would
/// accept what nobody has seen yet.
const IDLE_TO_USED_MAX: usize = 1;

/// A waiver without a finding.
pub const WR055: Check = Check {
    code: "WR055",
    severity: Severity::Warning,
    title: "has a waiver that accepts nothing",
    reads: "the plan's waivers, and the findings of their VMs",
    why: "Somebody accepted a hazard that is not there. Either it was mended, and the waiver would \
          silently accept it when it comes back, or the waiver names the wrong code or VM.",
    when: "a waiver names a VM that has no finding of its code",
    see: "`windrow explain VM` lists what was found of it",
    remedy: "remove it, or mend its code or VMs",
    never_waived: Some("it is about a waiver"),
    run: |_| Vec::new(),
};

/// A waiver whose time is over.
pub const WR056: Check = Check {
    code: "WR056",
    severity: Severity::Warning,
    title: "has a waiver that has expired",
    reads: "the last day of each waiver, and the day on which the plan starts (or `--as-of`)",
    why: "What was accepted for a time is not accepted after it: the finding counts again.",
    when: "`expires` lies before the day on which the plan starts",
    see: "compare `expires` with the plan's `start`",
    remedy: "mend what was accepted, or let its owner accept it anew with a later `expires`",
    never_waived: Some("it is about a waiver"),
    run: |_| Vec::new(),
};

/// A waiver that would accept what nobody has seen.
pub const WR057: Check = Check {
    code: "WR057",
    severity: Severity::Warning,
    title: "has a waiver that is wider than what it accepts",
    reads: "how many VMs a glob of a waiver meets, and how many of them have the finding",
    why: "A glob also accepts the finding for VMs that get it tomorrow, and nobody will be asked.",
    when: "a glob meets more VMs without the finding than with it",
    see: "`windrow plan` lists the waived findings; compare their VMs with those of the glob",
    remedy: "name the VMs that have it, or narrow the glob",
    never_waived: Some("it is about a waiver"),
    run: |_| Vec::new(),
};

/// Makes findings as bad as the plan says. What blocks by itself is never made less.
pub(super) fn set_severities(plan: &ResolvedPlan, findings: &mut [Finding]) {
    let rules: BTreeMap<&str, Severity> = plan
        .severities
        .iter()
        .map(|rule| (rule.code.as_str(), rule.severity))
        .collect();
    for finding in findings {
        if let Some(severity) = rules.get(finding.code.as_str())
            && finding.severity != Severity::Blocker
        {
            finding.severity = *severity;
        }
    }
}

/// Accepts findings that the plan waives, and adds one for each waiver that does not do what it
/// says. Gives the waived codes by VM.
pub(super) fn waive(
    plan: &ResolvedPlan,
    findings: &mut Vec<Finding>,
) -> BTreeMap<VmKey, Vec<String>> {
    let mut by_vm: BTreeMap<(&str, &VmKey), Vec<usize>> = BTreeMap::new();
    for (i, finding) in findings.iter().enumerate() {
        if let Subject::Vm { key, .. } = &finding.subject {
            by_vm.entry((&finding.code, key)).or_default().push(i);
        }
    }
    let mut accepted: BTreeMap<usize, &str> = BTreeMap::new();
    let mut waived: BTreeMap<VmKey, BTreeSet<String>> = BTreeMap::new();
    let mut about = Vec::new();
    for waiver in &plan.waivers {
        let path = format!("waivers[{}]", waiver.position);
        let code = waiver.code.as_str();
        if let Some(last) = waiver.expired {
            let vms: BTreeSet<&VmKey> = waiver.vms().collect();
            let day = plan.day.map(|day| day.to_string()).unwrap_or_default();
            let evidence = format!(
                "the waiver of `{code}` for {} held until {last}, and {day} is after that",
                count(vms.len(), "VM"),
            );
            about.push(Hit::on(Subject::Plan, evidence).at(path).finding(&WR056));
            continue;
        }
        for entry in &waiver.entries {
            let mut idle = Vec::new();
            let mut used = 0;
            for key in &entry.vms {
                if let Some(hits) = by_vm.get(&(code, key)) {
                    used += 1;
                    accepted.extend(hits.iter().map(|hit| (*hit, waiver.reason.as_str())));
                    waived
                        .entry(key.clone())
                        .or_default()
                        .insert(code.to_owned());
                } else if plan.vm(key).is_some() {
                    // What has been moved has no findings any more; its waiver is no mistake.
                    idle.push(key);
                }
            }
            let at = |hit: Hit| hit.at(entry.path.clone());
            if used == 0 && !idle.is_empty() {
                let evidence = format!("no finding `{code}` of {}", list(&idle));
                about.push(at(Hit::on(Subject::Plan, evidence)).finding(&WR055));
            } else if idle.len() > used * IDLE_TO_USED_MAX {
                let evidence = format!(
                    "`{}` meets {}, of which {used} {} `{code}`",
                    entry.text,
                    count(used + idle.len(), "VM"),
                    if used == 1 { "has" } else { "have" },
                );
                about.push(at(Hit::on(Subject::Plan, evidence)).finding(&WR057));
            }
        }
    }
    let accepted: Vec<(usize, String)> = accepted
        .into_iter()
        .map(|(hit, reason)| (hit, reason.to_owned()))
        .collect();
    drop(by_vm);
    for (hit, reason) in accepted {
        findings[hit].waived_by = Some(reason);
    }
    findings.append(&mut about);
    waived
        .into_iter()
        .map(|(key, codes)| (key, codes.into_iter().collect()))
        .collect()
}
