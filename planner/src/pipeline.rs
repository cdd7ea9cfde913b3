//! The whole way: plan, site and inventory in; waves, forecast and report out.

use std::collections::BTreeMap;

use schemas::finding::Finding;
use schemas::ids::VmKey;
use schemas::inventory::Inventory;
use schemas::plan::MigrationPlan;
use schemas::site::{OnBlocker, SiteSpec};
use schemas::units::Seconds;

use crate::before::Before;
use crate::check::{self, Checked};
use crate::diagnostic::Diagnostic;
use crate::keep::Keep;
use crate::predict::{Predicted, predict};
use crate::report::PlanReport;
use crate::resolve::{ExclusionReason, resolve};
use crate::schedule::{
    Problem, Schedule, UnplacedReason, Violation, check_schedule, feasibility, schedule, steady,
};
use crate::waves::{Inputs, Rendered, render};
use crate::{downtime, filling, unplaced};

/// What `windrow plan` makes of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Waves and forecast, to be written.
    pub rendered: Rendered,
    /// What will happen, and what was found.
    pub report: PlanReport,
    /// Warnings about the files.
    pub warnings: Vec<Diagnostic>,
    /// The plan with its findings, without what is left out.
    pub checked: Checked,
    /// What was scheduled.
    pub problem: Problem,
    /// When each import starts, and why not earlier.
    pub schedule: Schedule,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Plan or site are wrong.
    Invalid(Vec<Diagnostic>),
    /// Blockers, and the site's policy refuses the plan for them.
    Blocked {
        /// All findings.
        findings: Vec<Finding>,
        /// Warnings about the files.
        warnings: Vec<Diagnostic>,
    },
    /// The schedule breaks a rule: a bug of ours.
    Unsound(Vec<Violation>),
}

/// Plans, as if for the first time.
///
/// # Errors
/// Why there is no plan.
pub fn plan(
    plan: &MigrationPlan,
    site: &SiteSpec,
    inventory: &Inventory,
) -> Result<Planned, Refusal> {
    plan_after(plan, site, inventory, &Before::default())
}

/// Plans. Machines keep the occurrence, the wave, the turn and the number that they had `before`, unless
/// it is better by more than a hundredth to plan without.
///
/// # Errors
/// Why there is no plan.
pub fn plan_after(
    plan: &MigrationPlan,
    site: &SiteSpec,
    inventory: &Inventory,
    before: &Before,
) -> Result<Planned, Refusal> {
    plan_keeping(plan, site, inventory, before, &Keep::default())
}

/// Plans, and leaves what is to be kept where it is.
///
/// # Errors
/// Why there is no plan.
pub fn plan_keeping(
    plan: &MigrationPlan,
    site: &SiteSpec,
    inventory: &Inventory,
    before: &Before,
    keep: &Keep,
) -> Result<Planned, Refusal> {
    let mut resolved = resolve(plan, site, inventory).map_err(Refusal::Invalid)?;
    resolved.start = keep.origin(resolved.start);
    let mut checked = check::check(resolved, inventory);
    let whole = problem_of(&checked, keep);
    let fits = feasibility(&whole);
    let (problem, schedule) = place(&mut checked, whole, keep, before)?;
    checked
        .findings
        .extend(downtime::over_budget(&checked.plan, &schedule));
    let full = filling::too_full(&checked, &problem, &schedule);
    checked.findings.extend(full);
    check::sort(&mut checked.findings);
    if checked.plan.policy.on_blocker == OnBlocker::Refuse && checked.is_blocked() {
        return Err(Refusal::Blocked {
            findings: checked.findings,
            warnings: checked.plan.warnings,
        });
    }
    let violations = check_schedule(&problem, &schedule);
    if !violations.is_empty() {
        return Err(Refusal::Unsound(violations));
    }
    let predicted = predict(&checked.plan, &problem, &schedule, inventory);
    checked.findings.extend(predicted.findings.iter().cloned());
    check::sort(&mut checked.findings);
    let rendered = render(
        &checked,
        &schedule,
        (&predicted.schedule, predicted.band),
        Inputs {
            plan: &plan.spec,
            site,
            inventory,
            committed: &before.waves,
            keep,
        },
    );
    let Predicted {
        schedule: foreseen,
        problem,
        ..
    } = predicted;
    let report = PlanReport::new(&checked, &problem, &foreseen, &rendered, inventory, fits);
    Ok(Planned {
        rendered,
        report,
        warnings: checked.plan.warnings.clone(),
        checked,
        problem,
        schedule: foreseen,
    })
}

fn problem_of(checked: &Checked, keep: &Keep) -> Problem {
    let mut problem = Problem::new(checked);
    keep.fix(&mut problem, &checked.plan);
    problem
}

/// Schedules, and takes out what has no place.
fn place(
    checked: &mut Checked,
    problem: Problem,
    keep: &Keep,
    before: &Before,
) -> Result<(Problem, Schedule), Refusal> {
    let fresh = schedule(&problem).expect("resolving refuses workloads that wait for each other");
    // What is kept says more than what was written down: it is placed around that.
    let schedule = if keep.is_empty() {
        let since_start = |at| checked.plan.since_start(at);
        steady(&problem, fresh, &before.places(), since_start)
    } else {
        fresh
    };
    if schedule.unplaced.is_empty() {
        late(checked, &schedule);
        return Ok((problem, schedule));
    }
    let mut reasons: BTreeMap<VmKey, ExclusionReason> = BTreeMap::new();
    for out in &schedule.unplaced {
        let Some(vm) = checked.plan.vm(&out.vm) else {
            continue;
        };
        let window = checked
            .plan
            .workload(&vm.workload)
            .and_then(|w| w.window.clone());
        if let UnplacedReason::Behind { vm: before } = &out.reason {
            let reason = ExclusionReason::Behind(vec![before.clone()]);
            reasons.insert(out.vm.clone(), reason);
            continue;
        }
        if let Some(told) = unplaced::told(&checked.plan, &problem, vm, &out.reason) {
            let hit = check::Hit::vm(vm, told.evidence).remedy(told.remedy);
            let check = check::table::check("WR004").expect("in the table");
            checked.findings.push(hit.finding(check));
        }
        let reason = window.map_or(
            ExclusionReason::Blocked(vec!["WR004".to_owned()]),
            ExclusionReason::NoWindow,
        );
        reasons.insert(out.vm.clone(), reason);
    }
    check::sort(&mut checked.findings);
    checked.take_out(reasons);
    // What is left had a place beside those; it is placed again without them.
    let left = problem_of(checked, keep);
    place(checked, left, keep, before)
}

/// Says which imports are predicted to run past their window.
fn late(checked: &mut Checked, schedule: &Schedule) {
    let check = check::table::check("WR006").expect("in the table");
    for slot in &schedule.slots {
        let (overrun, Some(window)) = (slot.overrun(), &slot.window) else {
            continue;
        };
        let Some(vm) = checked
            .plan
            .vm(&slot.vm)
            .filter(|_| overrun > Seconds::ZERO)
        else {
            continue;
        };
        let evidence = format!(
            "ends {overrun} after `{} {}` closes",
            window.name, window.occurrence
        );
        checked
            .findings
            .push(check::Hit::vm(vm, evidence).finding(check));
    }
    check::sort(&mut checked.findings);
}
