//! Waivers and severities: which findings of which VMs are accepted, and how bad they are here.

use jiff::civil::Date;
use schemas::finding::Severity;
use schemas::ids::VmKey;
use schemas::plan::PlanSpec;

use super::index::Index;
use super::pattern::Pattern;
use super::reference;
use super::select::Claims;
use super::{ResolvedSeverity, ResolvedWaiver, WaivedVms};
use crate::check::table;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

fn plan(path: String) -> Place {
    Place {
        file: File::Plan,
        path,
    }
}

/// Resolves codes and VMs of all waivers. `day`: that on which expiries are judged.
pub(super) fn resolve(
    spec: &PlanSpec,
    index: &Index<'_>,
    claims: &Claims,
    day: Option<Date>,
    out: &mut Diagnostics,
) -> Vec<ResolvedWaiver> {
    let mut waivers = Vec::new();
    for (position, waiver) in spec.waivers.iter().enumerate() {
        let path = format!("waivers[{position}]");
        if let Some(check) = known(&waiver.code, format!("{path}.code"), out)
            && let Some(why) = check.never_waived
        {
            let code = waiver.code.clone();
            out.error(
                plan(format!("{path}.code")),
                Problem::NotWaivable { code, why },
            );
        }
        let mut entries = Vec::new();
        for (n, text) in waiver.vms.iter().enumerate() {
            let found = if Pattern::is_glob(text) && reference::find(text, index).is_empty() {
                several(text, index, claims)
            } else {
                one_vm(text, index, claims).map(|key| vec![key])
            };
            match found {
                Ok(vms) if vms.is_empty() => {
                    let place = plan(format!("{path}.vms[{n}]"));
                    out.warning(place, Problem::MeetsNothing(text.clone()));
                }
                Ok(vms) => entries.push(WaivedVms {
                    text: text.clone(),
                    vms,
                    path: format!("{path}.vms[{n}]"),
                }),
                Err(problem) => out.error(plan(format!("{path}.vms[{n}]")), problem),
            }
        }
        waivers.push(ResolvedWaiver {
            code: waiver.code.clone(),
            entries,
            reason: waiver.reason.clone(),
            expired: match (waiver.expires, day) {
                (Some(last), Some(day)) if last < day => Some(last),
                _ => None,
            },
            position,
        });
    }
    waivers
}

/// Resolves the plan's severities.
pub(super) fn severities(spec: &PlanSpec, out: &mut Diagnostics) -> Vec<ResolvedSeverity> {
    let mut rules: Vec<ResolvedSeverity> = Vec::new();
    for (i, rule) in spec.severities.iter().enumerate() {
        let path = format!("severities[{i}]");
        let Some(check) = known(&rule.code, format!("{path}.code"), out) else {
            continue;
        };
        if check.severity == Severity::Blocker && rule.severity != Severity::Blocker {
            let code = rule.code.clone();
            out.error(
                plan(format!("{path}.severity")),
                Problem::NeverLowered { code },
            );
        }
        if rules.iter().any(|other| other.code == rule.code) {
            let (kind, name) = (Kind::Code, rule.code.clone());
            out.error(
                plan(format!("{path}.code")),
                Problem::Duplicate { kind, name },
            );
        }
        rules.push(ResolvedSeverity {
            code: rule.code.clone(),
            severity: rule.severity,
        });
    }
    rules
}

/// The check of that code, or an error.
fn known(code: &str, path: String, out: &mut Diagnostics) -> Option<&'static table::Check> {
    let check = table::check(code);
    if check.is_none() {
        let nearest = nearest(code, table::CHECKS.iter().map(|check| check.code));
        let problem = Problem::Unknown {
            kind: Kind::Code,
            name: code.to_owned(),
            within: None,
            nearest,
        };
        out.error(plan(path), problem);
    }
    check
}

/// The VMs of the plan that a glob on `NAME`, `SOURCE/NAME` or `SOURCE/ID` meets.
fn several(text: &str, index: &Index<'_>, claims: &Claims) -> Result<Vec<VmKey>, Problem> {
    let pattern = Pattern::name(text).map_err(|reason| {
        let pattern = text.to_owned();
        Problem::BadPattern { pattern, reason }
    })?;
    let meets = |key: &VmKey| {
        index.vm(key).is_some_and(|vm| {
            pattern.holds(vm.name.as_str())
                || pattern.holds(&format!("{}/{}", key.source, vm.name))
                || pattern.holds(&key.to_string())
        })
    };
    Ok(claims
        .by_vm
        .keys()
        .filter(|key| meets(key))
        .cloned()
        .collect())
}

/// The one VM of the plan that `NAME`, `SOURCE/NAME` or `SOURCE/ID` means.
pub(super) fn one_vm(text: &str, index: &Index<'_>, claims: &Claims) -> Result<VmKey, Problem> {
    let known = reference::find(text, index);
    let selected: Vec<VmKey> = known
        .iter()
        .filter(|key| claims.by_vm.contains_key(*key))
        .cloned()
        .collect();
    match (selected.as_slice(), known.as_slice()) {
        ([one], _) => Ok(one.clone()),
        ([], []) => Err(Problem::Unknown {
            kind: Kind::VmName,
            name: text.to_owned(),
            within: None,
            nearest: nearest(text, index.sources().flat_map(|(_, vms)| vms.names())),
        }),
        ([], [other, ..]) => Err(Problem::NotSelected(other.clone())),
        (several, _) => Err(Problem::AmbiguousVm {
            text: text.to_owned(),
            vms: several.iter().map(ToString::to_string).collect(),
        }),
    }
}
