//! The whole way: plan, site and inventory in; waves, forecast and report out.

use std::collections::BTreeMap;

use schemas::finding::Finding;
use schemas::ids::VmKey;
use schemas::inventory::Inventory;
use schemas::plan::MigrationPlan;
use schemas::site::{OnBlocker, SiteSpec};
use schemas::units::Seconds;
use schemas::wave::MigrationWave;

use crate::check::{self, Checked};
use crate::diagnostic::Diagnostic;
use crate::report::PlanReport;
use crate::resolve::{ExclusionReason, resolve};
use crate::schedule::{Problem, Schedule, UnplacedReason, Violation, check_schedule, schedule};
use crate::waves::{Inputs, Rendered, render};

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
    plan_after(plan, site, inventory, &[])
}

/// Plans. In the waves that are `committed` machines keep their numbers as far as they still start
/// in that order; nothing else is taken from them.
///
/// # Errors
/// Why there is no plan.
pub fn plan_after(
    plan: &MigrationPlan,
    site: &SiteSpec,
    inventory: &Inventory,
    committed: &[MigrationWave],
) -> Result<Planned, Refusal> {
    let resolved = resolve(plan, site, inventory).map_err(Refusal::Invalid)?;
    let mut checked = check::check(resolved, inventory);
    let (problem, schedule) = place(&mut checked)?;
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
    let rendered = render(
        &checked,
        &schedule,
        Inputs {
            plan: &plan.spec,
            site,
            inventory,
            committed,
        },
    );
    let report = PlanReport::new(&checked, &problem, &schedule, &rendered, inventory);
    Ok(Planned {
        rendered,
        report,
        warnings: checked.plan.warnings.clone(),
        checked,
        schedule,
    })
}

/// Schedules, and takes out what has no place.
fn place(checked: &mut Checked) -> Result<(Problem, Schedule), Refusal> {
    let problem = Problem::new(checked);
    let schedule =
        schedule(&problem).expect("resolving refuses workloads that wait for each other");
    if schedule.unplaced.is_empty() {
        late(checked, &schedule);
        return Ok((problem, schedule));
    }
    let mut reasons: BTreeMap<VmKey, ExclusionReason> = BTreeMap::new();
    for unplaced in &schedule.unplaced {
        let Some(vm) = checked.plan.vm(&unplaced.vm) else {
            continue;
        };
        let window = checked
            .plan
            .workload(&vm.workload)
            .and_then(|w| w.window.clone());
        let evidence = match &unplaced.reason {
            UnplacedReason::Behind { vm: before } => {
                let reason = ExclusionReason::Behind(vec![before.clone()]);
                reasons.insert(unplaced.vm.clone(), reason);
                continue;
            }
            reason => reason.to_string(),
        };
        checked.findings.push(
            check::Hit::vm(vm, evidence)
                .finding(check::table::check("WR004").expect("in the table")),
        );
        let reason = window.map_or(
            ExclusionReason::Blocked(vec!["WR004".to_owned()]),
            ExclusionReason::NoWindow,
        );
        reasons.insert(unplaced.vm.clone(), reason);
    }
    check::sort(&mut checked.findings);
    checked.take_out(reasons);
    // What is left had a place beside those; it is placed again without them.
    place(checked)
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
