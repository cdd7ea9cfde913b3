//! What all datacenters of a vCenter have in common: its places, attributes and tags. Where several
//! of its datacenters are read in one run, it is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::inventory::Gap;

use super::cache::{Digest, Surroundings};
use super::places::Places;
use super::session::Session;
use super::tags::Tags;

/// What is known of vCenters, for as long as one run lasts.
#[derive(Debug, Default)]
pub struct Vcenters(Mutex<BTreeMap<Key, Arc<Common>>>);

/// Instance or address, account, API version: what decides what is seen.
type Key = [String; 3];

/// Of one vCenter.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) places: Places,
    /// Names of custom attributes by their key.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) tags: Tags,
    /// What VMs refer to, to be compared with that of an earlier pull.
    pub(super) surroundings: Surroundings,
    /// What could not be read of it.
    gaps: Vec<Gap>,
    /// Properties that it does not know.
    unknown: BTreeSet<&'static str>,
}

impl Common {
    /// What was read in this session, which has read nothing else yet.
    pub(super) fn new(
        session: &Session<'_>,
        places: Places,
        fields: BTreeMap<String, String>,
        tags: Tags,
    ) -> Self {
        let mut names = places.names();
        for (key, name) in &fields {
            let _ = writeln!(names, "attribute {key} {name:?}");
        }
        let networks = places.iter().filter_map(|(id, _)| {
            let name = places.network_name(id)?;
            Some((id.to_owned(), name.to_owned()))
        });
        Self {
            surroundings: Surroundings {
                places: Digest::of(&names).to_string(),
                networks: networks.collect(),
            },
            places,
            fields,
            tags,
            gaps: session.gaps(),
            unknown: session.unknown(),
        }
    }
}

impl Vcenters {
    /// What is known of this session's vCenter; its gaps are then this session's too.
    pub(super) fn get(&self, session: &Session<'_>) -> Option<Arc<Common>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let common = known.get(&key(session))?.clone();
        for path in &common.unknown {
            session.leave_out(path);
        }
        for gap in &common.gaps {
            session.note(&gap.what, &gap.reason);
        }
        Some(common)
    }

    /// Keeps it for the next datacenter.
    pub(super) fn keep(&self, session: &Session<'_>, common: &Arc<Common>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key(session), common.clone());
    }
}

fn key(session: &Session<'_>) -> Key {
    let instance = session.service.instance.clone();
    [
        instance.unwrap_or_else(|| session.endpoint()),
        session.account().user.to_owned(),
        session.version.to_owned(),
    ]
}
