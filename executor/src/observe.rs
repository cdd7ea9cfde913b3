//! Looking: one watch for each kind, and the picture they give together.
//!
//! Takes a cluster and a scope; gives an [`Observed`] at any moment. Reads only. The ledger and
//! the imports are listed by quorum, so that a program which starts after another one died sees
//! all that the other did; for the rest an answer from the API server's cache is good enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use executor_machine::{
    At, Image, Import, Observed, Record, SourceObject, StopMode, TargetMachine, Wave,
};
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use schemas::approval::{ApprovalSpec, WaveApproval};
use schemas::ids::{Namespace, PlanName, TargetName, WaveName};
use schemas::machine::MachineMigration;
use schemas::plan::MigrationPlan;
use schemas::upstream::{
    OpenstackSource, OvaSource, VirtualMachine, VirtualMachineImage, VirtualMachineImport,
    VmwareSource,
};
use schemas::wave::MigrationWave;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::cluster::{Cluster, kind_of};
use crate::error::Error;
use crate::parts::{self, PlanPart, STOP_NAME, WavePart};
use crate::table::{Table, revision};

/// Objects in one page of a list.
const PAGE_SIZE: u32 = 500;
/// Shortest and longest pause between two tries of a watch that fails; kube's own goes up to 30 s,
/// too long for a loop that stands still meanwhile.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Which waves a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `apply`: these waves of a plan.
    Plan {
        /// Their namespace, and the plan's.
        namespace: Namespace,
        /// The plan.
        plan: PlanName,
        /// The waves.
        waves: BTreeSet<WaveName>,
        /// Namespaces of other plans whose workloads these wait for.
        others: BTreeSet<Namespace>,
    },
    /// `controller`: every wave for a target.
    Target(TargetName),
}

impl Scope {
    /// `apply` and `status`: these waves of a plan.
    pub fn of_plan<'w>(
        namespace: Namespace,
        plan: PlanName,
        waves: impl IntoIterator<Item = &'w MigrationWave>,
    ) -> Self {
        let (mut names, mut others) = (BTreeSet::new(), BTreeSet::new());
        for wave in waves {
            names.insert(WaveName::new(wave.name_any()));
            let machines = wave.spec.prerequisites.iter().map(|it| &it.workload);
            let steps = wave.spec.steps.iter().map(|it| &it.name);
            let elsewhere = machines.chain(steps).filter_map(|it| it.namespace());
            others.extend(elsewhere.cloned());
        }
        Self::Plan {
            namespace,
            plan,
            waves: names,
            others,
        }
    }

    /// Where ledger and approvals are looked at: everywhere if that is allowed, else here; the own
    /// namespace first. None: everywhere or not at all.
    fn namespaces(&self) -> Vec<&Namespace> {
        match self {
            Self::Plan {
                namespace, others, ..
            } => std::iter::once(namespace).chain(others).collect(),
            Self::Target(_) => Vec::new(),
        }
    }

    fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Plan { namespace, .. } => Some(namespace),
            Self::Target(_) => None,
        }
    }

    fn has(&self, at: &At, wave: &WavePart) -> bool {
        match self {
            Self::Plan {
                namespace,
                plan,
                waves,
                ..
            } => {
                at.namespace == *namespace
                    && wave.spec.plan == *plan
                    && waves.contains(at.name.as_str())
            }
            Self::Target(target) => wave.spec.target.name == *target,
        }
    }
}

/// A kind that we write, for waiting until a watch shows the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Record,
    Import,
    Image,
    Wave,
    Plan,
    Source(SourceKind),
}

/// The engine's kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Vmware,
    Openstack,
    Ova,
}

/// What a watch has to show before a write of ours counts as seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    kind: Kind,
    at: At,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Revision(u64),
    /// The object with this uid is gone: its deletion has no revision that we are told.
    Gone(String),
}

impl Write {
    /// A write that was answered with the object.
    pub(crate) fn of<K: Resource>(kind: Kind, at: &At, object: &K) -> Self {
        let version = object.meta().resource_version.as_deref();
        Self {
            kind,
            at: at.clone(),
            seen: Seen::Revision(revision(version)),
        }
    }

    /// A deletion that took effect at once.
    pub(crate) fn gone(kind: Kind, at: &At, uid: &str) -> Self {
        Self {
            kind,
            at: at.clone(),
            seen: Seen::Gone(uid.to_owned()),
        }
    }
}

/// The watches of one target cluster; dropping it ends them.
pub struct Watches {
    cluster_uid: String,
    scope: Scope,
    waves: Arc<Table<WavePart>>,
    plans: Arc<Table<PlanPart>>,
    /// Of all namespaces, or one table for each that is looked at, the own one first.
    approvals: Vec<Arc<Table<ApprovalSpec>>>,
    /// The same.
    records: Vec<Arc<Table<Record>>>,
    imports: Arc<Table<Import>>,
    images: Arc<Table<Image>>,
    machines: Arc<Table<TargetMachine>>,
    vmware: Arc<Table<SourceObject>>,
    openstack: Arc<Table<SourceObject>>,
    ova: Arc<Table<SourceObject>>,
    stops: Arc<Table<StopMode>>,
    changed: Arc<Notify>,
    /// Aborts the watches when it is dropped.
    _tasks: JoinSet<()>,
}

impl Watches {
    /// Starts watching. Whoever holds the lease calls this after taking it, so that the first
    /// lists show all that the holder before did.
    pub async fn start(cluster: &Cluster, scope: Scope) -> Result<Self, Error> {
        let client = cluster.client();
        let cluster_uid = cluster.uid().await?;
        let own = scope.namespace();
        let namespaces = scope.namespaces();
        let mut starter = Starter {
            client,
            changed: Arc::new(Notify::new()),
            tasks: JoinSet::new(),
        };
        let fresh = watcher::Config::default().page_size(PAGE_SIZE);
        let cached = fresh.clone().any_semantic();
        let stop = cached.clone().fields(&format!("metadata.name={STOP_NAME}"));
        Ok(Self {
            waves: starter
                .watch::<MigrationWave, _>(own, &cached, parts::wave)
                .await?,
            plans: starter
                .watch::<MigrationPlan, _>(own, &cached, parts::plan)
                .await?,
            approvals: starter
                .widest::<WaveApproval, _>(&namespaces, &cached, parts::approval)
                .await?,
            records: starter
                .widest::<MachineMigration, _>(&namespaces, &fresh, parts::record)
                .await?,
            imports: starter
                .watch::<VirtualMachineImport, _>(None, &fresh, parts::import)
                .await?,
            images: starter
                .watch::<VirtualMachineImage, _>(None, &cached, parts::image)
                .await?,
            machines: starter
                .watch::<VirtualMachine, _>(None, &cached, parts::machine)
                .await?,
            vmware: starter
                .watch::<VmwareSource, _>(own, &cached, parts::vmware)
                .await?,
            openstack: starter
                .watch::<OpenstackSource, _>(own, &cached, parts::openstack)
                .await?,
            ova: starter
                .watch::<OvaSource, _>(own, &cached, parts::ova)
                .await?,
            stops: starter
                .widest::<ConfigMap, _>(own.as_slice(), &stop, parts::stop)
                .await?
                .swap_remove(0),
            cluster_uid,
            scope,
            changed: starter.changed,
            _tasks: starter.tasks,
        })
    }

    /// Whether every watch has a complete list.
    pub(crate) fn synced(&self) -> bool {
        self.waves.synced()
            && self.plans.synced()
            && self.approvals.iter().all(|table| table.synced())
            && self.records.iter().all(|table| table.synced())
            && self.imports.synced()
            && self.images.synced()
            && self.machines.synced()
            && self.vmware.synced()
            && self.openstack.synced()
            && self.ova.synced()
            && self.stops.synced()
    }

    /// Waits until something is heard. A change that came before the call counts.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A watch that is failing: its kind, for how long, and why.
    pub(crate) fn trouble(&self) -> Option<(&'static str, Duration, String)> {
        let all = [
            ("MigrationWave", self.waves.trouble()),
            ("MigrationPlan", self.plans.trouble()),
            ("WaveApproval", trouble_of(&self.approvals)),
            ("MachineMigration", trouble_of(&self.records)),
            ("VirtualMachineImport", self.imports.trouble()),
            ("VirtualMachineImage", self.images.trouble()),
            ("VirtualMachine", self.machines.trouble()),
            ("VmwareSource", self.vmware.trouble()),
            ("OpenstackSource", self.openstack.trouble()),
            ("OvaSource", self.ova.trouble()),
            ("ConfigMap", self.stops.trouble()),
        ];
        all.into_iter().find_map(|(kind, trouble)| {
            let (since, text) = trouble?;
            Some((kind, since, text))
        })
    }

    /// Whether the watches show what was written.
    pub(crate) fn show(&self, write: &Write) -> bool {
        fn shows<P: Clone>(table: &Table<P>, write: &Write) -> bool {
            match &write.seen {
                Seen::Revision(revision) => table.has_seen(*revision),
                Seen::Gone(uid) => table.get(&write.at).is_none_or(|row| row.uid != *uid),
            }
        }
        match write.kind {
            // We write in our own namespace alone.
            Kind::Record => shows(&self.records[0], write),
            Kind::Import => shows(&self.imports, write),
            Kind::Image => shows(&self.images, write),
            Kind::Wave => shows(&self.waves, write),
            Kind::Plan => shows(&self.plans, write),
            Kind::Source(SourceKind::Vmware) => shows(&self.vmware, write),
            Kind::Source(SourceKind::Openstack) => shows(&self.openstack, write),
            Kind::Source(SourceKind::Ova) => shows(&self.ova, write),
        }
    }

    /// The picture, now.
    pub(crate) fn picture(&self) -> Picture {
        let plans = self.plans.parts();
        let suspended = |namespace: &Namespace, plan: &PlanName| {
            plans
                .get(&At::new(namespace.clone(), plan.as_str()))
                .is_some_and(|p| p.suspended)
        };
        let waves = self.waves.collect(|at, row| {
            let wave = &row.part;
            self.scope.has(at, wave).then(|| Wave {
                spec: wave.spec.clone(),
                generation: wave.generation,
                status: wave.status.clone(),
                plan_suspended: suspended(&at.namespace, &wave.spec.plan),
            })
        });
        let mut sources = self.vmware.parts();
        sources.extend(self.openstack.parts());
        sources.extend(self.ova.parts());
        Picture {
            plans,
            observed: Observed {
                cluster_uid: self.cluster_uid.clone(),
                waves,
                approvals: parts_of(&self.approvals),
                records: parts_of(&self.records),
                imports: self.imports.parts(),
                images: self.images.parts(),
                machines: self.machines.parts(),
                sources,
                stops: self
                    .stops
                    .parts()
                    .into_iter()
                    .map(|(at, mode)| (at.namespace, mode))
                    .collect(),
                scratch_files: None,
                refused: BTreeMap::new(),
                probes: BTreeMap::new(),
                require_approval: false,
            },
        }
    }
}

/// What is, and what the machine need not know but the shell does.
pub(crate) struct Picture {
    /// For the machine.
    pub observed: Observed,
    /// The plans.
    pub plans: BTreeMap<At, PlanPart>,
}

struct Starter<'a> {
    client: &'a Client,
    changed: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Starter<'_> {
    /// Watches a kind in one namespace, or in all; an error where we may not.
    async fn watch<K, P>(
        &mut self,
        namespace: Option<&Namespace>,
        config: &watcher::Config,
        reduce: fn(K) -> P,
    ) -> Result<Arc<Table<P>>, Error>
    where
        K: Watched,
        P: Clone + Send + 'static,
    {
        let api: Api<DeserializeGuard<K>> = match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace.as_str()),
            None => Api::all(self.client.clone()),
        };
        // A watch reports what it may not do for ever; ask once, and say it.
        let mut probe = ListParams::default().limit(1);
        probe.field_selector.clone_from(&config.field_selector);
        api.list_metadata(&probe).await.map_err(|error| {
            let place = namespace.map_or("all namespaces".to_owned(), |n| format!("`{n}`"));
            Error::of(
                "list",
                format!("{} objects in {place}", kind_of::<K>()),
                error,
            )
        })?;
        let table = Arc::new(Table::new());
        let events = watcher(api, config.clone()).backoff(Pauses::default());
        let (into, changed) = (Arc::clone(&table), Arc::clone(&self.changed));
        self.tasks.spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                if let Err(error) = &event {
                    tracing::debug!(kind = kind_of::<K>(), %error, "watch");
                }
                into.take(event, reduce);
                changed.notify_one();
            }
        });
        Ok(table)
    }

    /// As [`Self::watch`], in all namespaces where that is allowed, else in each of these. At least one
    /// table.
    async fn widest<K, P>(
        &mut self,
        namespaces: &[&Namespace],
        config: &watcher::Config,
        reduce: fn(K) -> P,
    ) -> Result<Vec<Arc<Table<P>>>, Error>
    where
        K: Watched,
        P: Clone + Send + 'static,
    {
        match self.watch(None, config, reduce).await {
            Err(Error::Forbidden { .. }) if !namespaces.is_empty() => {
                let mut tables = Vec::with_capacity(namespaces.len());
                for namespace in namespaces {
                    tables.push(self.watch(Some(namespace), config, reduce).await?);
                }
                Ok(tables)
            }
            answer => Ok(vec![answer?]),
        }
    }
}

/// What all tables have together.
fn parts_of<P: Clone>(tables: &[Arc<Table<P>>]) -> BTreeMap<At, P> {
    tables.iter().flat_map(|table| table.parts()).collect()
}

fn trouble_of<P: Clone>(tables: &[Arc<Table<P>>]) -> Option<(Duration, String)> {
    tables.iter().find_map(|table| table.trouble())
}

/// Pauses between tries: doubled each time, from the start again once something was heard.
#[derive(Default)]
struct Pauses {
    last: Option<Duration>,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let next = self
            .last
            .map_or(RETRY_PAUSE_MIN, |last| (2 * last).min(RETRY_PAUSE_MAX));
        self.last = Some(next);
        Some(next)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.last = None;
    }
}

/// What a watch needs of a kind.
trait Watched:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static
{
}
