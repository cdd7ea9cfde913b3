//! Selectors: which VMs belong to which workload.
//!
//! The fields of an item must all hold, and any item is enough. Names are case-sensitive; one that
//! three VMs bear takes all three, by id. Each name and id that is written must meet a VM: a typing
//! error must not leave a machine behind in silence.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};
use schemas::ids::VmKey;
use schemas::inventory::{SourceKind, Vm};
use schemas::plan::{PlanSpec, Selector};

use super::index::{Index, SourceIndex};
use super::site::Site;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

/// Which workload has which VM.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// By VM.
    pub by_vm: BTreeMap<VmKey, Claim>,
}

/// A workload's hold on a VM.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The workload's position in the plan.
    pub workload: usize,
    /// The selector's position in its `select`.
    pub item: usize,
    /// Whether its id was given, rather than a name or a pattern that it meets.
    pub by_id: bool,
}

/// Applies all selectors of a plan.
pub(super) fn claim(
    spec: &PlanSpec,
    site: &Site<'_>,
    index: &Index<'_>,
    out: &mut Diagnostics,
) -> Claims {
    let mut claims = Claims::default();
    let mut snapshots_missing = BTreeSet::new();
    for (w, workload) in spec.workloads.iter().enumerate() {
        for (i, selector) in workload.select.iter().enumerate() {
            let path = format!("workloads[{w}].select[{i}]");
            let place = |field: &str| Place {
                file: File::Plan,
                path: format!("{path}{field}"),
            };
            if site
                .known_source(&selector.source, place(".source"), out)
                .is_none()
            {
                continue;
            }
            let Some(source) = index.source(&selector.source) else {
                if snapshots_missing.insert(&selector.source) {
                    let problem = Problem::NoSnapshot(selector.source.clone());
                    out.error(place(".source"), problem);
                }
                continue;
            };
            let met = select(selector, source, &path, out);
            let claim = Claim {
                workload: w,
                item: i,
                by_id: selector.ids.is_some(),
            };
            claims.add(spec, selector, &met, &claim, &place(""), out);
        }
    }
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
        let mut taken: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for vm in met {
            let key = VmKey::new(selector.source.clone(), vm.id.clone());
            match self.by_vm.get_mut(&key) {
                Some(earlier) if earlier.workload != claim.workload => {
                    taken
                        .entry(earlier.workload)
                        .or_default()
                        .push(format!("{key} ({})", vm.name));
                }
                Some(earlier) => earlier.by_id |= claim.by_id,
                None => {
                    self.by_vm.insert(key, claim.clone());
                }
            }
        }
        for (owner, vms) in taken {
            let owner = spec.workloads[owner].name.to_string();
            out.error(place.clone(), Problem::ClaimedTwice { vms, owner });
        }
    }
}

/// The VMs that all fields of `selector` hold for, by id.
fn select<'a>(
    selector: &Selector,
    source: &SourceIndex<'a>,
    path: &str,
    out: &mut Diagnostics,
) -> Vec<&'a Vm> {
    let place = |field: &str| Place {
        file: File::Plan,
        path: format!("{path}{field}"),
    };
    let mut readable = true;
    if selector.folder.is_some() && source.kind() != SourceKind::Vmware {
        out.error(
            place(".folder"),
            Problem::NoFolders(selector.source.clone()),
        );
        readable = false;
    }
    let mut pattern = |read: Result<Pattern, String>, text: &str, field: &str| match read {
        Ok(pattern) => Some(pattern),
        Err(reason) => {
            let pattern = text.to_owned();
            out.error(place(field), Problem::BadPattern { pattern, reason });
            readable = false;
            None
        }
    };
    let folder = selector.folder.as_deref();
    let folder = folder.and_then(|text| pattern(Pattern::folder(text), text, ".folder"));
    let name = selector.r#match.as_deref();
    let name = name.and_then(|text| pattern(Pattern::name(text), text, ".match"));
    if !readable {
        return Vec::new();
    }
    let holds = |vm: &Vm| {
        let is_in = |pattern: &Pattern| vm.folder.as_ref().is_some_and(|f| pattern.holds(f));
        let is_called = |pattern: &Pattern| pattern.holds(vm.name.as_str());
        folder.as_ref().is_none_or(is_in) && name.as_ref().is_none_or(is_called)
    };

    let mut complete = true;
    let mut met: BTreeSet<&schemas::ids::VmId> = BTreeSet::new();
    if let Some(ids) = &selector.ids {
        for (n, id) in ids.iter().enumerate() {
            let vm = source.id(id);
            let here = place(&format!(".ids[{n}]"));
            let named = |vm: &Vm| {
                selector
                    .names
                    .as_ref()
                    .is_none_or(|all| all.contains(&vm.name))
            };
            complete &= written(
                vm.as_slice(),
                |vm| holds(vm) && named(vm),
                &mut met,
                || (here, Kind::VmId, id.as_str()),
                selector,
                source,
                out,
            );
        }
    } else if let Some(names) = &selector.names {
        for (n, name) in names.iter().enumerate() {
            let here = place(&format!(".names[{n}]"));
            complete &= written(
                source.name(name),
                holds,
                &mut met,
                || (here, Kind::VmName, name.as_str()),
                selector,
                source,
                out,
            );
        }
    } else {
        met.extend(source.vms().filter(|vm| holds(vm)).map(|vm| &vm.id));
    }
    // A name or id without a VM was told by itself.
    if met.is_empty() && complete {
        let problem = Problem::SelectsNothing {
            source_name: selector.source.clone(),
            why: why(selector, source),
        };
        out.error(place(""), problem);
    }
    met.into_iter().filter_map(|id| source.id(id)).collect()
}

/// Takes those of `found`, the VMs that one written name or id meets, for which the other fields
/// hold. Says so, and gives false, if there is none.
fn written<'a, 'n>(
    found: &[&'a Vm],
    holds: impl Fn(&Vm) -> bool,
    met: &mut BTreeSet<&'a schemas::ids::VmId>,
    what: impl FnOnce() -> (Place, Kind, &'n str),
    selector: &Selector,
    source: &SourceIndex<'a>,
    out: &mut Diagnostics,
) -> bool {
    let before = met.len();
    let hits: Vec<_> = found
        .iter()
        .filter(|vm| holds(vm))
        .map(|vm| &vm.id)
        .collect();
    let any = !hits.is_empty();
    met.extend(hits);
    debug_assert!(met.len() >= before, "taking never loses");
    if any {
        return true;
    }
    let (place, kind, name) = what();
    let problem = if found.is_empty() {
        let nearest = match kind {
            Kind::VmId => nearest(name, source.vms().map(|vm| vm.id.as_str())),
            _ => nearest(name, source.names()),
        };
        let within = Some(format!("source `{}`", selector.source));
        Problem::Unknown {
            kind,
            name: name.to_owned(),
            within,
            nearest,
        }
    } else {
        let name = name.to_owned();
        Problem::NameRuledOut {
            source_name: selector.source.clone(),
            name,
        }
    };
    out.error(place, problem);
    false
}

/// What might have been meant by patterns that meet nothing.
fn why(selector: &Selector, source: &SourceIndex<'_>) -> Option<String> {
    if source.vms().next().is_none() {
        return Some("its snapshot has no VMs".to_owned());
    }
    let folder = selector.folder.as_ref()?;
    let folders: BTreeSet<&str> = source.vms().filter_map(|vm| vm.folder.as_deref()).collect();
    let nearest = nearest(folder.trim_end_matches(['*', '/']), folders.iter().copied())?;
    Some(format!(
        "no folder is like `{folder}`; the nearest one is `{nearest}`"
    ))
}

/// What a name or a folder's path must look like; case counts.
enum Pattern {
    /// Just so.
    Literal(String),
    /// A glob.
    Glob(GlobMatcher),
    /// A folder and all below it.
    Below {
        inside: GlobMatcher,
        itself: Box<Pattern>,
    },
}

impl Pattern {
    /// Of a name: `*` takes anything.
    fn name(text: &str) -> Result<Self, String> {
        Self::read(text, false)
    }

    /// Of a folder's path: `*` stops at a slash, `**` does not, and `erp/**` takes `erp` too.
    fn folder(text: &str) -> Result<Self, String> {
        match (Self::read(text, true)?, text.strip_suffix("/**")) {
            (Self::Glob(inside), Some(itself)) => {
                let itself = Box::new(Self::read(itself, true)?);
                Ok(Self::Below { inside, itself })
            }
            (pattern, _) => Ok(pattern),
        }
    }

    fn read(text: &str, separator: bool) -> Result<Self, String> {
        // Most are plain names, and compiling a glob takes longer than all that follows.
        if !text.contains(['*', '?', '[', ']', '{', '}', '\\']) {
            return Ok(Self::Literal(text.to_owned()));
        }
        GlobBuilder::new(text)
            .literal_separator(separator)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| error.kind().to_string())
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Glob(glob) => glob.is_match(text),
            Self::Below { inside, itself } => inside.is_match(text) || itself.holds(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // `*` is one folder's name, `**` any number of folders; case counts.
    #[test]
    fn patterns() {
        let folder =
            |pattern: &str, folder: &str| Pattern::folder(pattern).expect("readable").holds(folder);
        assert!(folder("erp/*", "erp/app"));
        assert!(!folder("erp/*", "erp/app/old"));
        assert!(!folder("erp/*", "erp"));
        assert!(folder("erp/**", "erp/app/old"));
        assert!(folder("erp/**", "erp"));
        assert!(!folder("erp/**", "erp2"));
        assert!(folder("*/app/**", "erp/app"));
        assert!(folder("**", "") && folder("**", "erp/app"));
        assert!(folder("**/app", "erp/app"));
        assert!(!folder("ERP/*", "erp/app"));
        assert!(folder("", ""));
        assert!(Pattern::name("app[").is_err());
        assert!(Pattern::name("a*b").expect("readable").holds("a/b"));
        assert!(!Pattern::name("a.b").expect("readable").holds("a-b"));
    }
}
