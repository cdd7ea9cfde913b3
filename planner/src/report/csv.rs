//! The report as a table for a spreadsheet: one row for each VM that the plan speaks of, those that
//! it leaves out and those that run already too, and one for each step outside. No cell is taken for a formula.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use schemas::finding::{Finding, Subject};
use schemas::forecast::ImportForecast;
use schemas::ids::{VmKey, WorkloadName};
use schemas::shown;
use schemas::units::Seconds;

use super::actual::{ActualStep, ActualVm};
use super::{LeftOut, PlanReport, StepLine, WaveLine};
use crate::pipeline::Planned;
use crate::resolve::{ResolvedPlan, ResolvedVm};

/// The first row. Times are RFC 3339 in UTC where the plan has a start, else seconds from it.
const HEAD: [&str; 30] = [
    "source",
    "id",
    "name",
    "workload",
    "service",
    "owner",
    "standing",
    "reason",
    "wave",
    "window",
    "occurrence",
    "target",
    "namespace",
    "machine",
    "disks_bytes",
    "guest_off",
    "ready",
    "downtime_seconds",
    "critical_path",
    "findings",
    "waived",
    "losses",
    "actual_ready",
    "actual_downtime_seconds",
    "gate_holds",
    "actual_gate",
    "actual_gate_at",
    "step_starts",
    "step_done",
    "actual_step_done_by",
];

/// The table.
pub fn render(planned: &Planned) -> String {
    let rows = Rows::new(planned);
    let plan = &planned.checked.plan;
    let moving = rows.forecasts.iter().filter_map(|(wave, import)| {
        let vm = plan.vm(&import.vm)?;
        Some(rows.moving(vm, *wave, import))
    });
    let gone = planned.report.left_out.iter().map(|out| rows.gone(out));
    let head = HEAD.map(str::to_owned);
    let over = planned.report.actual.iter().flat_map(|it| &it.steps);
    let over = over.map(|step| rows.over(step));
    let outside = planned.report.steps.iter().map(|step| rows.outside(step));
    let machines = std::iter::once(head).chain(moving).chain(gone);
    shown::csv(machines.chain(over).chain(outside))
}

/// What rows are made from, by VM.
struct Rows<'p> {
    plan: &'p ResolvedPlan,
    report: &'p PlanReport,
    forecasts: Vec<(Option<&'p WaveLine>, &'p ImportForecast)>,
    critical: BTreeSet<&'p VmKey>,
    findings: BTreeMap<&'p VmKey, Vec<&'p Finding>>,
    losses: BTreeMap<&'p VmKey, Vec<&'p str>>,
    ran: BTreeMap<&'p VmKey, &'p ActualVm>,
}

impl<'p> Rows<'p> {
    fn new(planned: &'p Planned) -> Self {
        let report = &planned.report;
        let mut findings: BTreeMap<&VmKey, Vec<&Finding>> = BTreeMap::new();
        for finding in &report.findings {
            if let Subject::Vm { key, .. } = &finding.subject {
                findings.entry(key).or_default().push(finding);
            }
        }
        let mut losses: BTreeMap<&VmKey, Vec<&str>> = BTreeMap::new();
        for loss in &report.losses {
            for vm in &loss.vms {
                losses.entry(&vm.vm).or_default().push(loss.kind);
            }
        }
        let prefix = format!("{}-", report.plan);
        let lines: BTreeMap<&str, &WaveLine> = report
            .waves
            .iter()
            .map(|line| (line.stem.as_str(), line))
            .collect();
        let waves = planned.rendered.forecast.waves.iter();
        let forecasts = waves.flat_map(|wave| {
            let name = wave.wave.as_str();
            let line = lines.get(name.strip_prefix(&prefix).unwrap_or(name));
            wave.imports
                .iter()
                .map(move |import| (line.copied(), import))
        });
        let ran = report.actual.iter().flat_map(|actual| &actual.waves);
        Self {
            plan: &planned.checked.plan,
            report,
            forecasts: forecasts.collect(),
            critical: report.critical_path.iter().collect(),
            findings,
            losses,
            ran: ran
                .flat_map(|wave| wave.vms.iter().map(|vm| (&vm.vm, vm)))
                .collect(),
        }
    }

    fn moving(
        &self,
        vm: &ResolvedVm,
        wave: Option<&WaveLine>,
        import: &ImportForecast,
    ) -> [String; HEAD.len()] {
        let mut row = self.row(&vm.key, vm.name.as_str(), vm.workload.as_str(), "planned");
        let text = |value: Option<String>| value.unwrap_or_default();
        row[8] = text(wave.map(|wave| wave.stem.clone()));
        row[9] = text(wave.and_then(|wave| Some(wave.window.as_ref()?.to_string())));
        row[10] = text(wave.and_then(|wave| Some(wave.occurrence.as_ref()?.to_string())));
        row[11] = vm.target.to_string();
        row[12] = vm.namespace.to_string();
        row[13] = vm.machine.to_string();
        row[14] = vm.footprint.disks.0.to_string();
        row[15] = self.time(import.off);
        row[16] = self.time(import.ready);
        row[17] = import.downtime().0.to_string();
        let critical = self.critical.contains(&vm.key);
        let critical = if critical { "yes" } else { "no" };
        critical.clone_into(&mut row[18]);
        row[24] = text(import.gate.map(|gate| self.time(gate)));
        row
    }

    /// A step outside that is to come.
    fn outside(&self, step: &StepLine) -> [String; HEAD.len()] {
        let mut row = self.step(&step.step, &step.title, "step");
        row[7] = format!("{} says that it is done", step.said_by());
        let critical = if step.critical { "yes" } else { "no" };
        critical.clone_into(&mut row[18]);
        row[27] = self.time(step.starts);
        row[28] = self.time(step.ends);
        row
    }

    /// A step outside that is over.
    fn over(&self, step: &ActualStep) -> [String; HEAD.len()] {
        let mut row = self.step(&step.step, &step.title, "step over");
        row[27] = self.time(step.starts);
        row[28] = self.time(step.ends);
        row[29] = self.came(step.done_by);
        row
    }

    /// What every step has: its title for a name.
    fn step(&self, name: &WorkloadName, title: &str, standing: &str) -> [String; HEAD.len()] {
        let mut row = [const { String::new() }; HEAD.len()];
        title.clone_into(&mut row[2]);
        row[3] = name.to_string();
        (row[4], row[5]) = self.service(name.as_str());
        standing.clone_into(&mut row[6]);
        row
    }

    /// The service of a workload, and who answers for it.
    fn service(&self, workload: &str) -> (String, String) {
        let mut services = self.plan.services.iter();
        let service = services.find(|s| s.workloads.iter().any(|own| own.as_str() == workload));
        service.map_or_else(Default::default, |service| {
            (
                service.name.to_string(),
                service.owner.clone().unwrap_or_default(),
            )
        })
    }

    /// A time of the run.
    fn came(&self, at: Seconds) -> String {
        let Some(actual) = &self.report.actual else {
            return String::new();
        };
        (actual.origin + SignedDuration::from_secs(at.signed())).to_string()
    }

    fn gone(&self, out: &LeftOut) -> [String; HEAD.len()] {
        let exclusions = self.plan.exclusions.iter();
        let workload = exclusions
            .filter(|gone| gone.key == out.vm)
            .map(|gone| gone.workload.as_str())
            .next();
        let mut row = self.row(
            &out.vm,
            out.name.as_str(),
            workload.unwrap_or_default(),
            out.kind,
        );
        row[7].clone_from(&out.reason);
        if let Some(vm) = self.ran.get(&out.vm) {
            row[15] = self.time(vm.foretold.off);
            row[16] = self.time(vm.foretold.ready);
            row[17] = vm.foretold.downtime().0.to_string();
            row[22] = self.came(vm.came.ready);
            row[23] = vm.came.downtime().0.to_string();
            if let Some(gate) = &vm.gate {
                row[24] = gate.foretold.map(|at| self.time(at)).unwrap_or_default();
                gate.word().clone_into(&mut row[25]);
                let at = gate.holds.or(gate.failed);
                row[26] = at.map(|at| self.came(at)).unwrap_or_default();
            }
        }
        row
    }

    /// What every row has.
    fn row(&self, key: &VmKey, name: &str, workload: &str, standing: &str) -> [String; HEAD.len()] {
        let codes = |waived: bool| {
            let found = self.findings.get(key).into_iter().flatten();
            let found = found.filter(|finding| finding.waived_by.is_some() == waived);
            let codes: BTreeSet<&str> = found.map(|finding| finding.code.as_str()).collect();
            codes.into_iter().collect::<Vec<_>>().join(" ")
        };
        let mut row = [const { String::new() }; HEAD.len()];
        row[0] = key.source.to_string();
        row[1] = key.id.to_string();
        name.clone_into(&mut row[2]);
        workload.clone_into(&mut row[3]);
        (row[4], row[5]) = self.service(workload);
        standing.clone_into(&mut row[6]);
        row[19] = codes(false);
        row[20] = codes(true);
        let losses = self.losses.get(key);
        row[21] = losses.map(|kinds| kinds.join(" ")).unwrap_or_default();
        row
    }

    fn time(&self, seconds: Seconds) -> String {
        match self.report.origin {
            Some(origin) => (origin + SignedDuration::from_secs(seconds.signed())).to_string(),
            None => seconds.0.to_string(),
        }
    }
}
