//! Waivers: which findings of which VMs are accepted.

use schemas::ids::VmKey;
use schemas::plan::PlanSpec;

use super::ResolvedWaiver;
use super::index::Index;
use super::reference;
use super::select::Claims;
use crate::check::table;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

/// Resolves codes and VMs of all waivers.
pub(super) fn resolve(
    spec: &PlanSpec,
    index: &Index<'_>,
    claims: &Claims,
    out: &mut Diagnostics,
) -> Vec<ResolvedWaiver> {
    let mut waivers = Vec::new();
    for (position, waiver) in spec.waivers.iter().enumerate() {
        let path = format!("waivers[{position}]");
        let place = |field: &str| Place {
            file: File::Plan,
            path: format!("{path}{field}"),
        };
        match table::check(&waiver.code) {
            None => {
                let nearest = nearest(&waiver.code, table::CHECKS.iter().map(|check| check.code));
                let name = waiver.code.clone();
                let problem = Problem::Unknown {
                    kind: Kind::Code,
                    name,
                    within: None,
                    nearest,
                };
                out.error(place(".code"), problem);
            }
            Some(check) => {
                if let Some(why) = check.never_waived {
                    let code = waiver.code.clone();
                    out.error(place(".code"), Problem::NotWaivable { code, why });
                }
            }
        }
        let mut vms = Vec::new();
        for (n, text) in waiver.vms.iter().enumerate() {
            match one_vm(text, index, claims) {
                Ok(key) => vms.push(key),
                Err(problem) => out.error(place(&format!(".vms[{n}]")), problem),
            }
        }
        waivers.push(ResolvedWaiver {
            code: waiver.code.clone(),
            vms,
            reason: waiver.reason.clone(),
            position,
        });
    }
    waivers
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
