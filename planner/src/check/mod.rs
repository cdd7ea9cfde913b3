//! Resolved plan × inventory → findings, and the plan without what is blocked.
//!
//! Every hazard of the engine that can be seen before anything is switched off is found here. A
//! check is a small pure function with an entry in [`table`]: what it reads, the engine's fact
//! behind it, and what a person can do. Nothing here changes where a VM goes; a blocker that is
//! not waived takes its VM out of the plan, and with it all that depend on it.

pub mod capacity;
pub mod catalogue;
mod disks;
mod files;
mod finder;
mod foretold;
mod guests;
mod identity;
pub mod losses;
mod machines;
mod names;
mod networks;
mod nics;
mod openstack;
mod ova;
mod people;
mod queue;
mod scratch;
pub mod shown;
pub mod table;
mod targets;
#[cfg(test)]
mod tests;
pub mod version;
mod vmware;
mod waivers;

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::{Finding, Severity, Subject};
use schemas::ids::{Namespace, ObjectName, TargetName, VmKey, WorkloadName};
use schemas::inventory::{Inventory, Observed, SourceInventory, SourceKind, TargetInventory, Vm};
use schemas::shown::shown;

use crate::resolve::{Exclusion, ExclusionReason, Index, ResolvedPlan, ResolvedTarget, ResolvedVm};
use crate::schedule::Room;
use capacity::CapacityLine;
use losses::Loss;
use table::Check;
use version::Version;

/// A plan whose VMs may all be moved, and what was found on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The plan, without the VMs that are blocked or depend on one that is.
    pub plan: ResolvedPlan,
    /// All findings, the worst first, then by code and subject.
    pub findings: Vec<Finding>,
    /// For each VM those that must not be under way at the same time: the engine would write the
    /// same files (N03). Sorted and symmetric; a VM without any is not here.
    pub excludes: BTreeMap<VmKey, Vec<VmKey>>,
    /// For each VM the codes that were waived, sorted.
    pub waived: BTreeMap<VmKey, Vec<String>>,
    /// What the VMs that are left need of what is limited, beside what there is.
    pub capacity: Vec<CapacityLine>,
    /// What machines may still take of each target whose snapshot says so.
    pub rooms: BTreeMap<TargetName, Room>,
    /// What the machine of each VM takes of it.
    pub takes: BTreeMap<VmKey, Room>,
    /// What of them will not survive.
    pub losses: Vec<Loss>,
}

/// What checks look at.
pub struct Estate<'a> {
    /// The plan, with all VMs that its selectors met and that are still to be moved.
    pub plan: &'a ResolvedPlan,
    inventory: &'a Inventory,
    index: Index<'a>,
    rows: Vec<Row<'a>>,
    /// Machines that are there already, and whether the engine made them.
    machines: BTreeMap<(&'a TargetName, &'a Namespace, &'a ObjectName), bool>,
}

/// One VM to move, with all that is known of it: most checks look at one row after the other.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// What is to become of it.
    pub to: &'a ResolvedVm,
    /// What its source says of it.
    pub vm: &'a Vm,
    /// What was seen of it when the snapshot was taken, if anything was.
    pub seen: Option<&'a Observed>,
    /// The source that it comes from.
    pub source: &'a SourceInventory,
    /// The snapshot of the target that it goes to, if there is one.
    pub target: Option<&'a TargetInventory>,
    /// Harvester's version there, if it is known.
    pub harvester: Option<Version>,
}

impl<'a> Estate<'a> {
    fn new(plan: &'a ResolvedPlan, inventory: &'a Inventory) -> Self {
        let mut machines = BTreeMap::new();
        let mut versions = BTreeMap::new();
        for (target, snapshot) in &inventory.targets {
            for vm in &snapshot.vms {
                machines.insert((target, &vm.namespace, &vm.name), vm.imported);
            }
            let tag = snapshot.about.harvester_version.as_deref();
            versions.insert(target, tag.and_then(Version::parse));
        }
        let index = Index::of(inventory);
        let row = |to: &'a ResolvedVm| {
            let source = index.source(&to.key.source)?;
            Some(Row {
                to,
                vm: source.id(&to.key.id)?,
                seen: source.inventory.observed.get(to.key.id.as_str()),
                source: source.inventory,
                target: inventory.targets.get(&to.target),
                harvester: versions.get(&to.target).copied().flatten(),
            })
        };
        let rows = plan.vms.iter().filter_map(row).collect();
        Self {
            plan,
            inventory,
            index,
            rows,
            machines,
        }
    }

    /// Whether the target has a machine where this one is to be; and if so, whether the engine
    /// made it.
    pub fn machine_there(&self, vm: &ResolvedVm) -> Option<bool> {
        self.machines
            .get(&(&vm.target, &vm.namespace, &vm.machine))
            .copied()
    }

    /// The VMs to move, each with all that is known of it, by key.
    pub fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// The VMs to move, each with what its source says of it.
    pub fn vms(&self) -> impl Iterator<Item = (&'a ResolvedVm, &'a Vm)> {
        self.rows.iter().map(|row| (row.to, row.vm))
    }

    /// Looks at each VM: what it has to say is the evidence.
    pub fn each(&self, look: impl Fn(&Row<'a>) -> Option<String>) -> Vec<Hit> {
        self.hits(|row| Some(Hit::vm(row.to, look(row)?)))
    }

    /// Looks at each VM from a source of that kind.
    pub fn each_of(&self, kind: SourceKind, look: impl Fn(&Row<'a>) -> Option<String>) -> Vec<Hit> {
        self.each(|row| (row.to.kind == kind).then(|| look(row)).flatten())
    }

    /// As [`Estate::each`], for hits that say more than their evidence.
    pub fn hits(&self, look: impl FnMut(&Row<'a>) -> Option<Hit>) -> Vec<Hit> {
        self.rows.iter().filter_map(look).collect()
    }

    /// All VMs of all sources that VMs to move come from.
    pub fn index(&self) -> &Index<'a> {
        &self.index
    }

    /// All snapshots.
    pub fn inventory(&self) -> &'a Inventory {
        self.inventory
    }

    /// The source that a VM comes from.
    pub fn source(&self, vm: &ResolvedVm) -> Option<&'a SourceInventory> {
        self.inventory.sources.get(&vm.key.source)
    }

    /// The snapshot of the target that a VM goes to.
    pub fn target(&self, vm: &ResolvedVm) -> Option<&'a TargetInventory> {
        self.inventory.targets.get(&vm.target)
    }

    /// The targets of the plan, each with its snapshot if there is one.
    pub fn targets(
        &self,
    ) -> impl Iterator<Item = (&'a ResolvedTarget, Option<&'a TargetInventory>)> {
        let inventory = self.inventory;
        self.plan
            .targets
            .values()
            .map(move |target| (target, inventory.targets.get(&target.name)))
    }
}

/// What a check met.
pub struct Hit {
    subject: Subject,
    path: Option<String>,
    evidence: String,
    severity: Option<Severity>,
    remedy: Option<String>,
}

impl Hit {
    /// On a VM, seen as `evidence`.
    pub fn vm(vm: &ResolvedVm, evidence: impl Into<String>) -> Self {
        Self::on(
            Subject::Vm {
                key: vm.key.clone(),
                name: vm.name.clone(),
            },
            evidence,
        )
        .at(vm.path.clone())
    }

    /// On anything, seen as `evidence`, which may hold names that others chose: it is escaped here,
    /// so that none of them can hide or forge a finding.
    pub fn on(subject: Subject, evidence: impl Into<String>) -> Self {
        let evidence = shown(&evidence.into()).into_owned();
        Self {
            subject,
            path: None,
            evidence,
            severity: None,
            remedy: None,
        }
    }

    /// In this field of the plan or site.
    #[must_use]
    pub fn at(self, path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }

    /// Not as bad as the check's other hits, or worse.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self {
            severity: Some(severity),
            ..self
        }
    }

    /// To be mended in another way than the check's other hits.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    /// The finding of that check.
    pub(crate) fn finding(self, check: &Check) -> Finding {
        Finding {
            code: check.code.to_owned(),
            severity: self.severity.unwrap_or(check.severity),
            subject: self.subject,
            path: self.path,
            evidence: self.evidence,
            remedy: self.remedy.unwrap_or_else(|| check.remedy.to_owned()),
            waived_by: None,
        }
    }
}

/// Checks all VMs of a resolved plan, and takes out what is blocked.
pub fn check(plan: ResolvedPlan, inventory: &Inventory) -> Checked {
    let estate = Estate::new(&plan, inventory);
    let mut findings: Vec<Finding> = table::CHECKS
        .iter()
        .flat_map(|check| {
            (check.run)(&estate)
                .into_iter()
                .map(move |hit| hit.finding(check))
        })
        .collect();
    let excludes = files::exclusive(&estate);

    let mut plan = plan;
    waivers::set_severities(&plan, &mut findings);
    let waived = waivers::waive(&plan, &mut findings);
    sort(&mut findings);
    exclude(&mut plan, &findings);
    let left = Estate::new(&plan, inventory);
    let (capacity, losses) = (capacity::lines(&left), losses::losses(&left));
    let (rooms, takes) = capacity::rooms(&left);
    let mut checked = Checked {
        plan,
        findings,
        excludes,
        waived,
        capacity,
        rooms,
        takes,
        losses,
    };
    checked.forget_excluded();
    checked
}

impl Checked {
    /// Keeps mutual exclusions and waivers of VMs that are to be moved.
    fn forget_excluded(&mut self) {
        let moving: BTreeSet<&VmKey> = self.plan.vms.iter().map(|vm| &vm.key).collect();
        self.waived.retain(|key, _| moving.contains(key));
        for loss in &mut self.losses {
            loss.vms.retain(|lost| moving.contains(&lost.vm));
        }
        self.losses.retain(|loss| !loss.vms.is_empty());
        self.excludes.retain(|key, others| {
            others.retain(|other| moving.contains(other));
            moving.contains(key) && !others.is_empty()
        });
    }

    /// Moves VMs with a reason from the plan's VMs to its exclusions.
    pub(crate) fn take_out(&mut self, reasons: BTreeMap<VmKey, ExclusionReason>) {
        take_out(&mut self.plan, reasons);
        self.forget_excluded();
    }

    /// Whether a finding blocks anything.
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(Finding::blocks)
    }
}

/// The worst first, then by code and subject.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (a.severity, &a.code, &a.subject, &a.evidence).cmp(&(
            b.severity,
            &b.code,
            &b.subject,
            &b.evidence,
        ))
    });
}

/// Takes blocked VMs out of the plan, and then, workload by workload, all that wait for one.
fn exclude(plan: &mut ResolvedPlan, findings: &[Finding]) {
    let mut blocked: BTreeMap<VmKey, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.blocks()) {
        if let Subject::Vm { key, .. } = &finding.subject {
            blocked
                .entry(key.clone())
                .or_default()
                .insert(finding.code.clone());
        }
    }
    let mut reasons: BTreeMap<VmKey, ExclusionReason> = blocked
        .into_iter()
        .map(|(key, codes)| (key, ExclusionReason::Blocked(codes.into_iter().collect())))
        .collect();
    fall(plan, &mut reasons);
    take_out(plan, reasons);
}

/// Adds to `reasons` the VMs that wait for one of them: a workload of which one VM stays behind
/// will never be complete, and its dependants wait for all of it.
fn fall(plan: &ResolvedPlan, reasons: &mut BTreeMap<VmKey, ExclusionReason>) {
    let mut members: BTreeMap<&WorkloadName, Vec<&VmKey>> = BTreeMap::new();
    for vm in &plan.vms {
        members.entry(&vm.workload).or_default().push(&vm.key);
    }
    // What stays behind in each workload, or in one that it waits for.
    let mut missing: BTreeMap<&WorkloadName, BTreeSet<VmKey>> = BTreeMap::new();
    let mut by_level: Vec<_> = plan.workloads.iter().collect();
    by_level.sort_by_key(|workload| workload.level);
    for workload in by_level {
        let before: BTreeSet<VmKey> = workload
            .depends_on
            .iter()
            .filter_map(|name| missing.get(name))
            .flatten()
            .cloned()
            .collect();
        let own = members.get(&workload.name).map_or(&[][..], Vec::as_slice);
        let mut gone: BTreeSet<VmKey> = own
            .iter()
            .filter(|key| reasons.contains_key(**key))
            .map(|key| (*key).clone())
            .collect();
        if !before.is_empty() {
            for key in own {
                reasons
                    .entry((*key).clone())
                    .or_insert_with(|| ExclusionReason::Behind(before.iter().cloned().collect()));
            }
            gone.extend(before);
        }
        missing.insert(&workload.name, gone);
    }
}

/// Moves VMs with a reason from the plan's VMs to its exclusions.
fn take_out(plan: &mut ResolvedPlan, mut reasons: BTreeMap<VmKey, ExclusionReason>) {
    let vms = std::mem::take(&mut plan.vms);
    for vm in vms {
        match reasons.remove(&vm.key) {
            None => plan.vms.push(vm),
            Some(reason) => plan.exclusions.push(Exclusion {
                key: vm.key,
                name: vm.name,
                workload: vm.workload,
                reason,
            }),
        }
    }
    plan.exclusions.sort_by(|a, b| a.key.cmp(&b.key));
}
