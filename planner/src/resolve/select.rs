//! Selectors: which VMs belong to which workload, and which are out of scope.
//!
//! The fields of an item must all hold, and any item is enough. Names are case-sensitive; one that
//! three VMs bear takes all three, by id. Each name and id that is written must meet a VM: a typing
//! error must not leave a machine behind in silence, nor take one that was to be left out.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{SourceName, VmId, VmKey};
use schemas::inventory::Vm;
use schemas::plan::{PlanSpec, Selector};

use super::index::{Index, SourceIndex};
use super::matcher::Matcher;
use super::site::Site;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

/// Unknown names of one selector for which a similar one is looked for: a list of a hundred thousand
/// wrong names must not be compared with every VM.
const SUGGESTIONS_MAX: usize = 20;

/// Which workload has which VM.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// By VM.
    pub by_vm: BTreeMap<VmKey, Claim>,
    /// VMs that are out of scope, each with its position in the plan's `outOfScope`.
    pub out_of_scope: BTreeMap<VmKey, usize>,
}

/// A workload's hold on a VM.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The workload's position among those written in the plan and those made from `workloadsFrom`.
    pub workload: usize,
    /// Where the selector stands, as in `workloads[1].select[0]`.
    pub path: String,
    /// Whether its id was given, rather than a name or a pattern that it meets.
    pub by_id: bool,
}

/// Looks selectors up in their sources.
pub(super) struct Look<'s, 'a> {
    site: &'s Site<'a>,
    index: &'s Index<'a>,
    snapshots_missing: BTreeSet<SourceName>,
}

/// What a selector that meets no VM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// A mistake.
    Error,
    /// Probably a mistake.
    Warning,
}

impl<'s, 'a> Look<'s, 'a> {
    /// In the sources of a site.
    pub fn new(site: &'s Site<'a>, index: &'s Index<'a>) -> Self {
        Self {
            site,
            index,
            snapshots_missing: BTreeSet::new(),
        }
    }

    /// The snapshot of the source that something at `path` names.
    pub fn source(
        &mut self,
        name: &SourceName,
        path: &str,
        out: &mut Diagnostics,
    ) -> Option<&'s SourceIndex<'a>> {
        let place = || Place {
            file: File::Plan,
            path: format!("{path}.source"),
        };
        self.site.known_source(name, place(), out)?;
        let source = self.index.source(name);
        if source.is_none() && self.snapshots_missing.insert(name.clone()) {
            out.error(place(), Problem::NoSnapshot(name.clone()));
        }
        source
    }

    /// The VMs that a selector takes, by id.
    fn select(
        &mut self,
        selector: &Selector,
        path: &str,
        empty: Empty,
        out: &mut Diagnostics,
    ) -> Vec<&'a Vm> {
        self.source(&selector.source, path, out)
            .map(|source| select(selector, source, path, empty, out))
            .unwrap_or_default()
    }
}

/// Applies `workloads` and `outOfScope`.
pub(super) fn claim(spec: &PlanSpec, look: &mut Look<'_, '_>, out: &mut Diagnostics) -> Claims {
    let mut claims = Claims::default();
    for (w, workload) in spec.workloads.iter().enumerate() {
        let mut excluded = BTreeSet::new();
        for (i, selector) in workload.exclude.iter().enumerate() {
            let path = format!("workloads[{w}].exclude[{i}]");
            for vm in look.select(selector, &path, Empty::Warning, out) {
                excluded.insert(VmKey::new(selector.source.clone(), vm.id.clone()));
            }
        }
        for (i, selector) in workload.select.iter().enumerate() {
            let path = format!("workloads[{w}].select[{i}]");
            let mut met = look.select(selector, &path, Empty::Error, out);
            let met_any = !met.is_empty();
            met.retain(|vm| {
                let key = VmKey::new(selector.source.clone(), vm.id.clone());
                !excluded.contains(&key)
            });
            let claim = Claim {
                workload: w,
                path: path.clone(),
                by_id: selector.ids.is_some(),
            };
            let place = Place {
                file: File::Plan,
                path,
            };
            if met_any && met.is_empty() {
                out.error(place.clone(), Problem::AllExcluded);
            }
            claims.add(spec, selector, &met, &claim, &place, out);
        }
    }
    claims.leave_out(spec, look, out);
    claims
}

impl Claims {
    fn add(
        &mut self,
        spec: &PlanSpec,
        selector: &Selector,
        met: &[&Vm],
        claim: &Claim,
        place: &Place,
        out: &mut Diagnostics,
    ) {
        let mut taken: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
        for vm in met {
            let key = VmKey::new(selector.source.clone(), vm.id.clone());
            match self.by_vm.get_mut(&key) {
                Some(earlier) if earlier.workload != claim.workload => {
                    taken
                        .entry((earlier.workload, earlier.path.clone()))
                        .or_default()
                        .push(format!("{key} ({})", vm.name));
                }
                Some(earlier) => earlier.by_id |= claim.by_id,
                None => {
                    self.by_vm.insert(key, claim.clone());
                }
            }
        }
        for ((owner, by), vms) in taken {
            let owner = spec.workloads[owner].name.to_string();
            let problem = Problem::ClaimedTwice { vms, owner, by };
            out.error(place.clone(), problem);
        }
    }

    /// Applies `outOfScope`. What a workload selects cannot be out of scope too.
    fn leave_out(&mut self, spec: &PlanSpec, look: &mut Look<'_, '_>, out: &mut Diagnostics) {
        for (i, entry) in spec.out_of_scope.iter().enumerate() {
            let path = format!("outOfScope[{i}]");
            let mut both: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
            for vm in look.select(&entry.vms, &path, Empty::Warning, out) {
                let key = VmKey::new(entry.vms.source.clone(), vm.id.clone());
                if let Some(claim) = self.by_vm.get(&key) {
                    both.entry((claim.workload, claim.path.clone()))
                        .or_default()
                        .push(format!("{key} ({})", vm.name));
                } else {
                    self.out_of_scope.entry(key).or_insert(i);
                }
            }
            for ((owner, by), vms) in both {
                let owner = spec.workloads[owner].name.to_string();
                let place = Place {
                    file: File::Plan,
                    path: path.clone(),
                };
                out.error(place, Problem::ClaimedTwice { vms, owner, by });
            }
        }
    }
}

/// The VMs that all fields of `selector` hold for, by id.
fn select<'a>(
    selector: &Selector,
    source: &SourceIndex<'a>,
    path: &str,
    empty: Empty,
    out: &mut Diagnostics,
) -> Vec<&'a Vm> {
    let Some(matcher) = Matcher::new(selector, source.kind(), path, out) else {
        return Vec::new();
    };
    let mut met: BTreeSet<&'a VmId> = BTreeSet::new();
    let mut written = Written {
        matcher: &matcher,
        source,
        path,
        unknown: 0,
        complete: true,
        met: &mut met,
    };
    if let Some(ids) = &selector.ids {
        for (n, id) in ids.iter().enumerate() {
            let found = source.id(id);
            written.take(found.as_slice(), (Kind::VmId, n, id.as_str()), out);
        }
    } else if let Some(names) = &selector.names {
        for (n, name) in names.iter().enumerate() {
            written.take(source.name(name), (Kind::VmName, n, name.as_str()), out);
        }
    } else {
        let vms = matcher.candidates(source).into_iter();
        let vms = vms.filter(|vm| matcher.takes(vm, source));
        written.met.extend(vms.map(|vm| &vm.id));
    }
    // A name or id without a VM was told by itself.
    if written.complete && met.is_empty() {
        let place = Place {
            file: File::Plan,
            path: path.to_owned(),
        };
        let problem = Problem::SelectsNothing {
            source_name: selector.source.clone(),
            why: why(&matcher, source),
        };
        match empty {
            Empty::Error => out.error(place, problem),
            Empty::Warning => out.warning(place, problem),
        }
    }
    met.into_iter().filter_map(|id| source.id(id)).collect()
}

/// Takes VMs by names or ids that are written one by one.
struct Written<'w, 'a> {
    matcher: &'w Matcher<'w>,
    source: &'w SourceIndex<'a>,
    path: &'w str,
    unknown: usize,
    complete: bool,
    met: &'w mut BTreeSet<&'a VmId>,
}

impl<'a> Written<'_, 'a> {
    /// Takes those of `found`, the VMs that the `n`th name or id meets, for which the other fields
    /// hold. Says so if there is none.
    fn take(
        &mut self,
        found: &[&'a Vm],
        (kind, n, name): (Kind, usize, &str),
        out: &mut Diagnostics,
    ) {
        let mut any = false;
        for vm in found
            .iter()
            .filter(|vm| self.matcher.takes(vm, self.source))
        {
            self.met.insert(&vm.id);
            any = true;
        }
        if any {
            return;
        }
        self.complete = false;
        let source_name = self.matcher.selector().source.clone();
        let problem = if found.is_empty() {
            self.unknown += 1;
            let similar = self.unknown <= SUGGESTIONS_MAX;
            let nearest = match kind {
                _ if !similar => None,
                Kind::VmId => nearest(name, self.source.vms().map(|vm| vm.id.as_str())),
                _ => nearest(name, self.source.names()),
            };
            Problem::Unknown {
                kind,
                name: name.to_owned(),
                within: Some(format!("source `{source_name}`")),
                nearest,
            }
        } else {
            let name = name.to_owned();
            Problem::NameRuledOut { source_name, name }
        };
        let field = if kind == Kind::VmId { "ids" } else { "names" };
        let place = Place {
            file: File::Plan,
            path: format!("{}.{field}[{n}]", self.path),
        };
        out.error(place, problem);
    }
}

/// What might have been meant by patterns that meet nothing.
fn why(matcher: &Matcher<'_>, source: &SourceIndex<'_>) -> Option<String> {
    if source.vms().next().is_none() {
        return Some("its snapshot has no VMs".to_owned());
    }
    let selector = matcher.selector();
    if let Some(folder) = &selector.folder {
        let folders: BTreeSet<&str> = source.vms().filter_map(|vm| vm.folder.as_deref()).collect();
        let wanted = folder.trim_end_matches(['*', '/']);
        if !folders.contains(wanted)
            && let Some(nearest) = nearest(wanted, folders.iter().copied())
        {
            return Some(format!(
                "no folder is like `{folder}`; the nearest one is `{nearest}`"
            ));
        }
    }
    // The VM that fails on fewest fields says which one is too narrow.
    let (vm, misses) = source
        .vms()
        .map(|vm| (vm, matcher.misses(vm, source)))
        .min_by_key(|(_, misses)| misses.len())?;
    let miss = misses.first()?;
    Some(format!("`{}` comes nearest, but {miss}", vm.name))
}
