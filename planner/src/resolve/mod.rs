//! Plan × site × inventory → what exactly moves where.
//!
//! Takes what people wrote and what the sources hold; gives a [`ResolvedPlan`] in which every VM
//! is one with an id, a target, a name there and a network for each NIC, or all that is wrong with
//! the plan, each with its field. It judges no VM: that is [`crate::check`]'s part. It never
//! guesses: a name that fits two VMs, or none, is an error.

mod dependencies;
mod expand;
pub mod facts;
mod freezes;
mod index;
mod machines;
pub(crate) mod matcher;
mod order;
mod others;
pub(crate) mod pattern;
pub mod reference;
mod select;
pub mod selection;
mod services;
mod site;
#[cfg(test)]
mod tests;
mod waivers;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use engine::footprint::Footprint;
use jiff::Timestamp;
use jiff::civil::Date;
use schemas::finding::Severity;
use schemas::gate::{External, Gate};
use schemas::ids::{
    Namespace, ObjectName, OccurrenceId, PlanName, SourceNetworkName, TargetName, VmKey, VmName,
    WindowName, WorkloadName, WorkloadRef,
};
use schemas::inventory::{Inventory, Power, SourceKind};
use schemas::machine::Stage;
use schemas::plan::MigrationPlan;
use schemas::site::{Assumptions, Policy, SiteSpec};
use schemas::units::{Bytes, Seconds, Span};
use schemas::wave::{WaveNetwork, WaveSource};

use crate::diagnostic::{Diagnostic, Diagnostics, Level};

pub use expand::Generated;
pub use facts::{Facts, ResolvedRequirement};
pub use freezes::ResolvedFreeze;
pub use index::{Index, SourceIndex};
pub use machines::moved;
pub use others::ResolvedOther;
pub use services::ResolvedService;

/// A plan in which nothing is left to choose but the time.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedPlan {
    /// The plan's name.
    pub name: PlanName,
    /// The namespace of its objects.
    pub namespace: Namespace,
    /// Origin of time; there as soon as there are windows.
    pub start: Option<Timestamp>,
    /// How waves are run.
    pub policy: Policy,
    /// Rates and durations to plan with.
    pub assumptions: Assumptions,
    /// The target that the plan names; others are named by workloads and machines.
    pub default_target: TargetName,
    /// The targets that VMs go to, by name.
    pub targets: BTreeMap<TargetName, ResolvedTarget>,
    /// Change windows, in the site's order; empty: anything may start at any time.
    pub windows: Vec<ResolvedWindow>,
    /// Days on which nothing is cut over, in the site's order.
    pub freezes: Vec<ResolvedFreeze>,
    /// What owners call "my system", in the plan's order.
    pub services: Vec<ResolvedService>,
    /// Workloads, in the plan's order.
    pub workloads: Vec<ResolvedWorkload>,
    /// Their positions, sorted by name: they are looked up for every VM.
    by_name: Vec<usize>,
    /// Workloads of other plans that something here waits for, and those that steps among them wait
    /// for.
    pub others: BTreeMap<WorkloadRef, ResolvedOther>,
    /// What people pinned of the waves, in the plan's order.
    pub waves: Vec<ResolvedWave>,
    /// The VMs to move, sorted by key.
    pub vms: Vec<ResolvedVm>,
    /// VMs that a selector met and that the plan does not move, sorted by key.
    pub exclusions: Vec<Exclusion>,
    /// VMs that are out of scope, each with its position in the plan's `outOfScope`.
    pub out_of_scope: BTreeMap<VmKey, usize>,
    /// Until when what is out of scope is so, by position in the plan's `outOfScope`.
    pub scope_ends: BTreeMap<usize, Date>,
    /// Workloads that `workloadsFrom` made; their positions count on from those of `workloads`.
    pub generated: Vec<Generated>,
    /// What people know of VMs.
    pub facts: Facts,
    /// What must be known of them, in the site's order.
    pub requirements: Vec<ResolvedRequirement>,
    /// The day on which ages and expiries are judged.
    pub day: Option<Date>,
    /// How bad findings are here, in the plan's order.
    pub severities: Vec<ResolvedSeverity>,
    /// Findings that are accepted, in the plan's order.
    pub waivers: Vec<ResolvedWaiver>,
    /// What stands before a path of the site in findings: `inlineSite.`, or nothing where the site
    /// is a file of its own.
    pub site_prefix: &'static str,
    /// Warnings about the files. There are no errors where there is a resolved plan.
    pub warnings: Vec<Diagnostic>,
}

impl ResolvedPlan {
    /// The VM of that key, if it is to be moved.
    pub fn vm(&self, key: &VmKey) -> Option<&ResolvedVm> {
        let at = self.vms.binary_search_by(|vm| vm.key.cmp(key)).ok()?;
        Some(&self.vms[at])
    }

    /// The workload of that name.
    pub fn workload(&self, name: &WorkloadName) -> Option<&ResolvedWorkload> {
        let of = |at: &usize| self.workloads[*at].name.cmp(name);
        let at = self.by_name.binary_search_by(of).ok()?;
        Some(&self.workloads[self.by_name[at]])
    }

    /// What a workload waits for, by itself or by way of steps outside.
    pub fn before(&self, workload: &ResolvedWorkload) -> Ahead<'_> {
        let mut ahead = Ahead::default();
        let mut next: Vec<WorkloadRef> = workload.waits_for().collect();
        while let Some(name) = next.pop() {
            if name.plan.is_some() {
                let other = self.others.get(&name);
                if let Some(other) = other.filter(|other| ahead.others.insert(&other.name)) {
                    let step = other.step.iter();
                    next.extend(step.flat_map(|step| step.depends_on.iter().cloned()));
                }
                continue;
            }
            match self.workload(&name.name) {
                Some(it) if it.external.is_none() => {
                    ahead.sets.insert(&it.name);
                }
                Some(it) if ahead.steps.insert(&it.name) => next.extend(it.waits_for()),
                _ => {}
            }
        }
        ahead
    }

    /// How long the gate of a VM's machine is predicted to take once it runs, if it has one.
    pub fn gate(&self, vm: &ResolvedVm) -> Option<Seconds> {
        let gate = self.workload(&vm.workload)?.gate.as_ref()?;
        Some(gate.predicted(self.assumptions.service_start.0))
    }

    /// Where a workload stands: as in `workloads[1]`, or `workloadsFrom[0]` for those that it made.
    pub fn workload_path(&self, workload: &ResolvedWorkload) -> String {
        let written = self.workloads.len() - self.generated.len();
        match workload.position.checked_sub(written) {
            Some(made) => format!("workloadsFrom[{}]", self.generated[made].from),
            None => format!("workloads[{}]", workload.position),
        }
    }

    /// The service that a workload is in.
    pub fn service(&self, workload: &ResolvedWorkload) -> Option<&ResolvedService> {
        self.services.get(workload.service?)
    }

    /// The occurrences in which imports of a workload may start: those of its window, or the one
    /// that was pinned, without what freezes take of them. None: it may start at any time.
    pub fn occurrences(&self, workload: &ResolvedWorkload) -> Option<Vec<ResolvedOccurrence>> {
        let window = self.window(workload.window.as_ref()?)?;
        let service = self.service(workload).map(|service| &service.name);
        let binding = self.freezes.iter().filter(|freeze| freeze.binds(service));
        let mut open = freezes::open(window, binding);
        if let Some(pinned) = &workload.occurrence {
            open.retain(|occurrence| occurrence.id == *pinned);
        }
        Some(open)
    }

    /// What decides the occurrences of a workload: those that ask for the same have the same.
    pub(crate) fn asked<'a>(&'a self, workload: &'a ResolvedWorkload) -> Option<Asked<'a>> {
        let window = workload.window.as_ref()?;
        let service = self.service(workload).map(|service| &service.name);
        let freezes = self.freezes.iter().filter(|freeze| freeze.binds(service));
        let freezes = freezes.map(|freeze| freeze.position).collect();
        Some((window, workload.occurrence.as_ref(), freezes))
    }

    /// How long after the plan's start an instant is; nothing for what is before.
    pub fn since_start(&self, instant: Timestamp) -> Seconds {
        let origin = self.start.unwrap_or(Timestamp::UNIX_EPOCH);
        let seconds = instant.as_second() - origin.as_second();
        Seconds(u64::try_from(seconds).unwrap_or(0))
    }

    /// Whether a VM of this plan was moved and runs.
    pub fn runs(&self, key: &VmKey) -> bool {
        let gone = self.exclusions.binary_search_by(|gone| gone.key.cmp(key));
        let reason = gone.ok().map(|at| &self.exclusions[at].reason);
        matches!(reason, Some(ExclusionReason::Moved { .. }))
    }

    /// The record of a VM of this plan, if it is to be moved or was.
    pub fn record(&self, key: &VmKey) -> Option<&ObjectName> {
        let moved = || {
            let at = self
                .exclusions
                .binary_search_by(|gone| gone.key.cmp(key))
                .ok()?;
            match &self.exclusions[at].reason {
                ExclusionReason::Moved { record, .. } => Some(record),
                _ => None,
            }
        };
        self.vm(key).map(|vm| &vm.record).or_else(moved)
    }

    /// The window of that name.
    pub fn window(&self, name: &WindowName) -> Option<&ResolvedWindow> {
        self.windows.iter().find(|window| window.name == *name)
    }
}

/// A window, its pinned occurrence, and the positions of the freezes that bind.
pub(crate) type Asked<'a> = (&'a WindowName, Option<&'a OccurrenceId>, Vec<usize>);

/// What a workload waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead<'a> {
    /// Workloads with VMs.
    pub sets: BTreeSet<&'a WorkloadName>,
    /// Steps outside.
    pub steps: BTreeSet<&'a WorkloadName>,
    /// Either, of other plans.
    pub others: BTreeSet<&'a WorkloadRef>,
}

/// A Harvester cluster that VMs go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedTarget {
    /// Its name in the site.
    pub name: TargetName,
    /// Its position in the site's `targets`, for paths.
    pub position: usize,
    /// The cluster's identity, where its snapshot gave it.
    pub cluster_uid: Option<String>,
    /// The scratch volume's size.
    pub capacity: Bytes,
    /// What schedules may use of it: capacity less reserve.
    pub usable: Bytes,
    /// Storage class of every disk.
    pub storage_class: ObjectName,
}

/// A change window with its occurrences from the plan's start on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedWindow {
    /// Its name in the site.
    pub name: WindowName,
    /// The zone that its times are shown in, if it has one.
    pub time_zone: Option<String>,
    /// Nothing starts in the last so much of an occurrence.
    pub lockout: Seconds,
    /// What must be left of an occurrence after an import has ended at its worst.
    pub rollback_reserve: Option<Span>,
    /// Most machines in one occurrence.
    pub max_vms: Option<u32>,
    /// Its occurrences, by start; those that begin before the plan's start are left out.
    pub occurrences: Vec<ResolvedOccurrence>,
}

/// One occurrence of a window: half-open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedOccurrence {
    /// Its name: the local day on which it opens, or what the site calls it.
    pub id: OccurrenceId,
    /// It opens.
    pub from: Timestamp,
    /// It closes.
    pub to: Timestamp,
    /// No import starts at or after this instant: the close less the window's lockout.
    pub last_start: Timestamp,
}

/// A workload, with its place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedWorkload {
    /// Its name.
    pub name: WorkloadName,
    /// Its position in the plan's `workloads`, for paths.
    pub position: usize,
    /// Workloads whose machines must all run first, sorted.
    pub depends_on: Vec<WorkloadName>,
    /// Workloads of other plans that must be done first, sorted.
    pub others: Vec<WorkloadRef>,
    /// Longest chain of workloads before it; 0 where it depends on nothing.
    pub level: usize,
    /// Position in [`ResolvedPlan::waves`] of the pinned wave that it is in.
    pub wave: Option<usize>,
    /// The window that its imports must start in; absent where the site has no windows.
    pub window: Option<WindowName>,
    /// The one occurrence of it that was pinned.
    pub occurrence: Option<OccurrenceId>,
    /// Position in [`ResolvedPlan::services`] of the service that it is in.
    pub service: Option<usize>,
    /// None of its machines should be down for longer.
    pub budget: Option<Span>,
    /// How much its downtime counts; 1 where nothing is said.
    pub weight: u64,
    /// What its machines must show, once they run, before those that depend on them start.
    pub gate: Option<Gate>,
    /// It is a step outside, without VMs.
    pub external: Option<External>,
}

impl ResolvedWorkload {
    /// All that it waits for by itself: of this plan, then of others.
    pub fn waits_for(&self) -> impl Iterator<Item = WorkloadRef> {
        let own = self.depends_on.iter().cloned().map(WorkloadRef::from);
        own.chain(self.others.iter().cloned())
    }
}

/// What people pinned of a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedWave {
    /// Its name.
    pub name: WorkloadName,
    /// Its position in the plan's `waves`, for paths.
    pub position: usize,
    /// Its workloads, in the plan's order.
    pub workloads: Vec<WorkloadName>,
    /// VMs of it that go first; the others start when these run. Sorted.
    pub canaries: Vec<VmKey>,
    /// Positions of the waves whose machines must all run first, sorted.
    pub after: Vec<usize>,
}

/// A waiver whose VMs are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedWaiver {
    /// The finding's code.
    pub code: String,
    /// The VMs, as they are written.
    pub entries: Vec<WaivedVms>,
    /// Why it is accepted.
    pub reason: String,
    /// Its last day, if that is over.
    pub expired: Option<Date>,
    /// Its position in the plan's `waivers`, for paths.
    pub position: usize,
}

impl ResolvedWaiver {
    /// All its VMs; one that two entries meet comes twice.
    pub fn vms(&self) -> impl Iterator<Item = &VmKey> {
        self.entries.iter().flat_map(|entry| &entry.vms)
    }
}

/// An entry of a waiver's `vms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaivedVms {
    /// As written: one VM, or a glob.
    pub text: String,
    /// The VMs of the plan that it means.
    pub vms: Vec<VmKey>,
    /// Where it stands, as in `waivers[0].vms[1]`.
    pub path: String,
}

/// How bad findings of one code are in this plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSeverity {
    /// The code.
    pub code: String,
    /// What they are to be.
    pub severity: Severity,
}

/// One VM, and exactly what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedVm {
    /// The VM.
    pub key: VmKey,
    /// Its name at the source.
    pub name: VmName,
    /// Its source's kind.
    pub kind: SourceKind,
    /// Its workload.
    pub workload: WorkloadName,
    /// The selector that met it, as in `workloads[1].select[0]` or `workloadsFrom[0]`.
    pub path: String,
    /// Whether its id was given, rather than a name or a pattern that it meets.
    pub by_id: bool,
    /// The position of its entry in the plan's `machines`, if it has one.
    pub entry: Option<usize>,
    /// The target it goes to.
    pub target: TargetName,
    /// Its namespace there.
    pub namespace: Namespace,
    /// Its name there: the source's in lower case, which the engine never rewrites (P07); an OVA's
    /// is its item's. Whether it is a name at all, the check P07 says.
    pub machine: ObjectName,
    /// What the ledger calls it: by its source's instance and its id, or as it is called there
    /// already.
    pub record: ObjectName,
    /// The source object that its import names.
    pub source: WaveSource,
    /// What the engine looks for: OpenStack's server id, always (a name is a pattern there, O01,
    /// and need not be unique, O02); vSphere's name as stored; an OVA's machine name.
    pub find: String,
    /// vSphere: the folder to look in (V10).
    pub folder: Option<String>,
    /// Storage class of its disks.
    pub storage_class: ObjectName,
    /// What becomes of each of its NICs, in the source's order.
    pub nics: Vec<ResolvedNic>,
    /// How long its guest may take to shut down.
    pub shutdown_timeout: Span,
    /// What its import needs: of the inventory's provisioned sizes, or as the plan says.
    pub footprint: Footprint,
    /// VMs of the plan whose machines must run first, beside what its workload waits for. Sorted.
    pub after: Vec<VmKey>,
    /// Whether it runs, if that was seen.
    pub power: Option<Power>,
    /// What the ledger says of earlier attempts: it is under way, failed or held.
    pub ledger: Option<Moved>,
}

impl ResolvedVm {
    /// Networks as the import names them: one line for each network that is mapped (the engine
    /// refuses a network named twice, P09), sorted.
    pub fn networks(&self) -> Vec<WaveNetwork> {
        let mut networks: Vec<WaveNetwork> = self
            .nics
            .iter()
            .filter_map(|nic| match &nic.fate {
                NicFate::Mapped(network) => Some(network.clone()),
                NicFate::Dropped | NicFate::Unmapped => None,
            })
            .collect();
        networks.sort();
        networks.dedup();
        networks
    }
}

/// One NIC and its network on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedNic {
    /// Its network's name as the engine computes it; absent where it could not be read.
    pub network: Option<SourceNetworkName>,
    /// What becomes of it.
    pub fate: NicFate,
    /// The line of the site's mapping that says so, as in `targets[0].networks[2]`.
    pub path: Option<String>,
}

/// What becomes of a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NicFate {
    /// It is attached to this network.
    Mapped(WaveNetwork),
    /// The site says that it is left behind.
    Dropped,
    /// Nothing is said: the engine would drop it without a word (W01).
    Unmapped,
}

/// A VM that a selector met and that the plan does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The VM.
    pub key: VmKey,
    /// Its name.
    pub name: VmName,
    /// The workload whose selector met it.
    pub workload: WorkloadName,
    /// Why not.
    pub reason: ExclusionReason,
}

/// Why a VM that was selected is not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExclusionReason {
    /// A template: it is moved only where its id is given.
    Template,
    /// The ledger of a target says that it runs there.
    Moved {
        /// By which record.
        record: ObjectName,
        /// Where.
        moved: Moved,
    },
    /// Findings that block it, by code.
    Blocked(Vec<String>),
    /// VMs before it are blocked.
    Behind(Vec<VmKey>),
    /// No occurrence of its window has room for it.
    NoWindow(WindowName),
}

/// What a ledger says of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// When its steps came, where the ledger says so.
    pub times: Box<schemas::machine::Times>,
    /// The target whose ledger it is.
    pub target: TargetName,
    /// How far it is.
    pub stage: Stage,
    /// The wave that moved it.
    pub wave: Option<String>,
}

/// Resolves a plan.
///
/// # Errors
/// All that is wrong with plan and site, warnings too, in the order of the files.
pub fn resolve(
    plan: &MigrationPlan,
    site: &SiteSpec,
    inventory: &Inventory,
) -> Result<ResolvedPlan, Vec<Diagnostic>> {
    let mut diagnostics = Diagnostics::default();
    let out = &mut diagnostics;
    let inline = plan.spec.inline_site.is_some();

    let site = site::look_up(site, inline, inventory, out);
    let index = Index::of(inventory);
    index::check(inventory, out);
    let day = facts::day(&plan.spec, &site, inventory);
    facts::check_day(&plan.spec, &site, day, out);
    let mut look = select::Look::new(&site, &index);
    let mut claims = select::claim(&plan.spec, &mut look, out);
    let generated = expand::expand(&plan.spec, &mut look, &mut claims, out);
    let spec = &expand::expanded(&plan.spec, &generated);
    let windows = windows::resolve(&site, spec.start, out);
    let freezes = freezes::resolve(&site, out);
    let (mut workloads, mut waves) = dependencies::resolve(spec, &site, &windows, out);
    let name = PlanName::new(plan.metadata.name.clone().unwrap_or_default());
    let namespace = plan.metadata.namespace.as_deref();
    let namespace = namespace.map_or_else(schemas::site::default_namespace, Namespace::from);
    let written = plan.spec.workloads.len();
    let own = (&namespace, &name);
    let others = others::resolve(spec, written, own, inventory, &mut workloads, out);
    let services = services::resolve(spec, &mut workloads, out);
    let own = machines::own_entries(spec, &site, &index, &claims, out);
    let (mut vms, exclusions) =
        machines::resolve(spec, &site, &index, &claims, &own, inventory, out);
    order::resolve(
        spec,
        (&site, &index, &claims),
        &workloads,
        &mut waves,
        &mut vms,
        out,
    );
    let people = facts::join(spec, &site, &index, &own, inventory, out);
    let requirements = facts::requirements(&site, out);
    let waivers = waivers::resolve(spec, &index, &claims, day, out);
    let severities = waivers::severities(spec, out);
    let used: BTreeSet<&TargetName> = vms.iter().map(|vm| &vm.target).collect();
    let targets = site::resolve_targets(&site, &used, out);
    let mut found = diagnostics.into_vec();
    expand::name_places(&plan.spec, &generated, &mut found);
    if found.iter().any(|found| found.level == Level::Error) {
        return Err(found);
    }

    let mut by_name: Vec<usize> = (0..workloads.len()).collect();
    by_name.sort_by(|a, b| workloads[*a].name.cmp(&workloads[*b].name));
    Ok(ResolvedPlan {
        name,
        namespace,
        start: spec.start,
        policy: site.spec.policy.clone(),
        assumptions: site.spec.assumptions.clone(),
        default_target: spec.target.name.clone(),
        targets,
        windows,
        freezes,
        services,
        workloads,
        by_name,
        others,
        waves,
        vms,
        exclusions,
        out_of_scope: claims.out_of_scope,
        scope_ends: spec
            .out_of_scope
            .iter()
            .enumerate()
            .filter_map(|(i, entry)| Some((i, entry.by?)))
            .collect(),
        generated,
        facts: people,
        requirements,
        day,
        severities,
        waivers,
        site_prefix: if inline { "inlineSite." } else { "" },
        warnings: found,
    })
}
