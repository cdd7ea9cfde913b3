//! Source objects: created when absent, never written to afterwards.
//!
//! The engine checks a source once and believes it from then on (L11); an import made before its
//! source is ready is refused for good (P02). So nothing is admitted from a source that is not
//! `clusterReady`.

use std::collections::BTreeMap;

use schemas::ids::ObjectName;

use crate::action::{Action, HoldReason};
use crate::observed::{At, Observed, SourceSpec, Wave};

/// What the engine says of a source that it could log in to.
const READY: &str = "clusterReady";

/// What is missing, and what is held back by it.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    /// Sources to be created, each once.
    pub create: BTreeMap<At, SourceSpec>,
    /// By wave and name in it.
    pub holds: BTreeMap<(&'a At, &'a ObjectName), HoldReason>,
}

impl<'a> Sources<'a> {
    /// Looks at the sources of the wave at `at` that are `needed`. One that is not there is created
    /// if `may_create`.
    pub fn look(
        &mut self,
        at: &'a At,
        wave: &'a Wave,
        needed: impl Fn(&ObjectName) -> bool,
        may_create: bool,
        observed: &Observed,
    ) {
        for source in wave.spec.sources.iter().filter(|s| needed(&s.name)) {
            let place = At::new(at.namespace.clone(), source.name.clone());
            let Some(spec) = SourceSpec::of(&at.namespace, source) else {
                let reason = HoldReason::SourceDiffers { source: place };
                self.holds.insert((at, &source.name), reason);
                continue;
            };
            let reason = match observed.sources.get(&place) {
                None => {
                    if may_create {
                        self.create.entry(place.clone()).or_insert(spec);
                    }
                    HoldReason::SourceNotReady {
                        source: place,
                        since: None,
                        message: None,
                    }
                }
                Some(object) if object.spec != spec => HoldReason::SourceDiffers { source: place },
                Some(object) if object.status == READY => continue,
                Some(object) => HoldReason::SourceNotReady {
                    source: place,
                    since: Some(object.created),
                    message: object.message.clone(),
                },
            };
            self.holds.insert((at, &source.name), reason);
        }
    }

    /// The actions that create what is missing.
    pub fn actions(&self) -> impl Iterator<Item = Action> + '_ {
        self.create.iter().map(|(at, spec)| Action::CreateSource {
            at: at.clone(),
            spec: spec.clone(),
        })
    }
}
