//! What the watch of one kind has shown so far.
//!
//! Takes a watcher's events and keeps, of each object, only what a picture needs: the objects
//! themselves (managed fields and all) are dropped at once. Knows how far the watch has come, so
//! that the loop can wait until it sees its own writes, and whether the watch is in trouble.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use executor_machine::At;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};

use crate::error::Cause;

/// A watch counts as in trouble for so long after its last error, since one that recovered may have
/// nothing to say: longer than the longest from one error to the next, or a watch that never works
/// would pass for healthy in between. That is a pause (5 s and its jitter, [`crate::observe`]) and
/// a try that ends in the connection's time-out (5 s, [`crate::cluster`]), once for the list and
/// once for the watch.
const TROUBLE_LASTS: Duration = Duration::from_secs(20);

/// One object, reduced.
#[derive(Clone, Debug)]
pub(crate) struct Row<P> {
    /// `metadata.uid`.
    pub uid: String,
    /// What a picture needs of it.
    pub part: P,
}

/// All objects of one kind.
pub(crate) struct Table<P> {
    inner: Mutex<Inner<P>>,
}

struct Inner<P> {
    rows: BTreeMap<At, Row<P>>,
    /// Of a list that is under way; it replaces `rows` when it is complete.
    listing: Option<Listing<P>>,
    /// Highest revision that the watch has shown.
    revision: u64,
    /// A list was complete once.
    synced: bool,
    trouble: Option<Trouble>,
}

struct Listing<P> {
    rows: BTreeMap<At, Row<P>>,
    /// Highest revision in it: shown when the list is, not before.
    revision: u64,
}

impl<P> Default for Listing<P> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            revision: 0,
        }
    }
}

struct Trouble {
    since: Instant,
    last: Instant,
    reason: String,
}

impl<P: Clone> Table<P> {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                rows: BTreeMap::new(),
                listing: None,
                revision: 0,
                synced: false,
                trouble: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<P>> {
        // Nothing below panics half-way through a change, so what is inside is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the watch says. An object that cannot be read is left out, and said so.
    pub(crate) fn take<K>(
        &self,
        event: watcher::Result<Event<DeserializeGuard<K>>>,
        reduce: fn(K) -> P,
    ) where
        K: kube::Resource<DynamicType = ()>,
    {
        let mut inner = self.lock();
        let event = match event {
            Ok(event) => event,
            Err(error) => return inner.failed(error),
        };
        match event {
            Event::Init => inner.listing = Some(Listing::default()),
            Event::InitApply(object) => {
                let listing = inner.listing.get_or_insert_default();
                let shown = revision(object.meta().resource_version.as_deref());
                listing.revision = listing.revision.max(shown);
                if let Some((at, row)) = row(object, reduce) {
                    listing.rows.insert(at, row);
                }
            }
            Event::InitDone => {
                let listing = inner.listing.take().unwrap_or_default();
                inner.rows = listing.rows;
                inner.revision = inner.revision.max(listing.revision);
                inner.synced = true;
                inner.trouble = None;
            }
            Event::Apply(object) => {
                inner.saw(object.meta().resource_version.as_deref());
                if let Some((at, row)) = row(object, reduce) {
                    inner.rows.insert(at, row);
                }
                inner.trouble = None;
            }
            Event::Delete(object) => {
                inner.saw(object.meta().resource_version.as_deref());
                if let Some(at) = place(&object) {
                    inner.rows.remove(&at);
                }
                inner.trouble = None;
            }
        }
    }

    /// Whether a list was complete once.
    pub(crate) fn synced(&self) -> bool {
        self.lock().synced
    }

    /// For how long the watch has been failing, if it is, and why.
    pub(crate) fn trouble(&self) -> Option<(Duration, String)> {
        let inner = self.lock();
        let trouble = inner.trouble.as_ref()?;
        (trouble.last.elapsed() < TROUBLE_LASTS)
            .then(|| (trouble.since.elapsed(), trouble.reason.clone()))
    }

    /// Whether the watch has come as far as `revision`.
    pub(crate) fn has_seen(&self, revision: u64) -> bool {
        self.lock().revision >= revision
    }

    /// The object at `at`.
    pub(crate) fn get(&self, at: &At) -> Option<Row<P>> {
        self.lock().rows.get(at).cloned()
    }

    /// What a picture needs of all objects.
    pub(crate) fn parts(&self) -> BTreeMap<At, P> {
        self.collect(|_, row| Some(row.part.clone()))
    }

    /// All objects, as `make` has them; those it has no use for are left out.
    pub(crate) fn collect<Q>(&self, make: impl Fn(&At, &Row<P>) -> Option<Q>) -> BTreeMap<At, Q> {
        let inner = self.lock();
        inner
            .rows
            .iter()
            .filter_map(|(at, row)| Some((at.clone(), make(at, row)?)))
            .collect()
    }
}

impl<P> Inner<P> {
    fn saw(&mut self, version: Option<&str>) {
        self.revision = self.revision.max(revision(version));
    }

    fn failed(&mut self, error: watcher::Error) {
        let reason = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Cause::from(error).to_string(),
            // The watch fell behind what the server keeps: it lists anew at once.
            watcher::Error::WatchError(status) if status.code == 410 => return,
            watcher::Error::WatchError(status) => status.message,
            watcher::Error::NoResourceVersion => "no resource version".to_owned(),
        };
        let now = Instant::now();
        let since = match &self.trouble {
            Some(trouble) if trouble.last.elapsed() < TROUBLE_LASTS => trouble.since,
            _ => now,
        };
        self.trouble = Some(Trouble {
            since,
            last: now,
            reason,
        });
    }
}

/// An object reduced to what is needed of it; none where it cannot be read, which is said.
fn row<K, P>(object: DeserializeGuard<K>, reduce: fn(K) -> P) -> Option<(At, Row<P>)>
where
    K: kube::Resource<DynamicType = ()>,
{
    let at = place(&object)?;
    let uid = object.meta().uid.clone().unwrap_or_default();
    match object.0 {
        Ok(object) => Some((
            at,
            Row {
                uid,
                part: reduce(object),
            },
        )),
        Err(error) => {
            tracing::warn!(kind = %K::kind(&()), object = %at, error = %error.error, "unreadable");
            None
        }
    }
}

fn place<K: kube::Resource<DynamicType = ()>>(object: &DeserializeGuard<K>) -> Option<At> {
    Some(At::new(object.namespace()?, object.meta().name.clone()?))
}

/// A resource version as the number it is: etcd's revision. The API calls it opaque but for
/// equality; every API server counts it up nevertheless, and watches depend on it. One that is no
/// number counts as already seen: the loop then decides a moment early, and its actions are safe
/// to repeat.
pub(crate) fn revision(version: Option<&str>) -> u64 {
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use schemas::upstream::OvaSource;
    use serde_json::json;

    use super::*;

    fn source(name: &str, version: &str) -> DeserializeGuard<OvaSource> {
        let object = json!({
            "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": "OvaSource",
            "metadata": { "name": name, "namespace": "erp", "uid": "1", "resourceVersion": version },
            "spec": { "url": "http://x/a.ova" },
        });
        serde_json::from_value(object).expect("a source")
    }

    fn names(table: &Table<()>) -> Vec<String> {
        table
            .collect(|_, _| Some(()))
            .into_keys()
            .map(|at| at.name.to_string())
            .collect()
    }

    // A list replaces what was there only when it is complete, and what it lacks is gone.
    #[test]
    fn lists_replace() {
        let table = Table::new();
        let take = |event| table.take(Ok(event), |_: OvaSource| ());
        take(Event::Init);
        take(Event::InitApply(source("a", "5")));
        assert!(!table.synced() && names(&table).is_empty());
        take(Event::InitDone);
        assert!(table.synced());
        take(Event::Apply(source("b", "7")));
        assert_eq!(names(&table), ["a", "b"]);
        take(Event::Init);
        take(Event::InitApply(source("b", "9")));
        assert_eq!(names(&table), ["a", "b"]);
        assert!(!table.has_seen(9), "it is not shown yet");
        take(Event::InitDone);
        assert_eq!(names(&table), ["b"]);
        assert!(table.has_seen(9));
    }

    // Deletions count as progress of the watch too.
    #[test]
    fn revisions() {
        let table = Table::new();
        let take = |event| table.take(Ok(event), |_: OvaSource| ());
        take(Event::Apply(source("a", "9")));
        assert!(table.has_seen(9) && !table.has_seen(10));
        take(Event::Delete(source("a", "12")));
        assert!(table.has_seen(10) && names(&table).is_empty());
    }

    // An object that this program cannot read does not hide its neighbours.
    #[test]
    fn unreadable() {
        let table = Table::new();
        let bad: DeserializeGuard<OvaSource> = serde_json::from_value(json!({
            "metadata": { "name": "x", "namespace": "erp", "resourceVersion": "3" },
            "spec": { "url": 7 },
        }))
        .expect("metadata can be read");
        table.take(Ok(Event::Apply(bad)), |_: OvaSource| ());
        table.take(Ok(Event::Apply(source("a", "4"))), |_: OvaSource| ());
        assert_eq!(names(&table), ["a"]);
    }

    // Errors are trouble until something is heard again; falling behind is not.
    #[test]
    fn trouble() {
        let table = Table::<()>::new();
        let take = |event| table.take(event, |_: OvaSource| ());
        let gone = kube::core::Status::failure("too old", "Expired")
            .with_code(410)
            .boxed();
        take(Err(watcher::Error::WatchError(gone)));
        assert!(table.trouble().is_none());
        let down = kube::core::Status::failure("etcd is down", "")
            .with_code(500)
            .boxed();
        take(Err(watcher::Error::WatchError(down)));
        assert_eq!(
            table.trouble().map(|(_, text)| text).as_deref(),
            Some("etcd is down")
        );
        take(Ok(Event::Apply(source("a", "1"))));
        assert!(table.trouble().is_none());
    }
}
