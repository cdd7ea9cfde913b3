//! What the page shows, in the shape in which its script wants it: one list for each property of a
//! VM, so that 5,000 of them stay small, and positions instead of names.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::{Severity, Subject};
use schemas::forecast::ImportForecast;
use schemas::ids::{VmKey, WorkloadName};
use schemas::inventory::Power;
use schemas::shown::shown;
use schemas::units::Seconds;
use serde::Serialize;

use crate::check::table;
use crate::critical;
use crate::pipeline::Planned;
use crate::report::LeftOut;
use crate::resolve::ResolvedPlan;

/// Everything on the page. Times are seconds from the origin, sizes bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageData {
    plan: String,
    /// The first line of the report in words.
    headline: String,
    /// Seconds since 1970; absent: times count from whenever the plan starts.
    origin: Option<i64>,
    zone: String,
    ends: Seconds,
    ends_at_least: Seconds,
    gap_percent: u64,
    at_once: AtOnce,
    fits: Vec<Fit>,
    targets: Vec<Target>,
    windows: Vec<Window>,
    freezes: Vec<Freeze>,
    waves: Vec<Wave>,
    sources: Vec<String>,
    workloads: Vec<Workload>,
    services: Vec<Service>,
    vms: Vms,
    findings: Vec<Finding>,
    left_out: Vec<Left>,
    assumptions: Vec<Assumption>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct AtOnce {
    mean: Seconds,
    worst: Seconds,
    scratch: u64,
}

/// What a target's engine needs beside what the windows give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Fit {
    target: String,
    needs: Seconds,
    given: Seconds,
    percent: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    name: String,
    usable: u64,
    capacity: u64,
    /// Time and bytes held from then on.
    curve: Vec<(Seconds, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Window {
    name: String,
    id: String,
    from: Seconds,
    to: Seconds,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Freeze {
    days: String,
    reason: String,
    services: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wave {
    stem: String,
    target: String,
    window: Option<String>,
    starts: Seconds,
    ends: Seconds,
    peak: u64,
    usable: u64,
    tight: bool,
    p50: Seconds,
    worst: Seconds,
    vms: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Workload {
    name: String,
    service: Option<usize>,
    after: Vec<usize>,
    budget: Option<Seconds>,
    /// From its first guest off to its last machine ready; absent: nothing of it moves.
    down: Option<Seconds>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Service {
    name: String,
    owner: Option<String>,
    change: Option<String>,
    budget: Option<Seconds>,
    /// As a workload's.
    down: Option<Seconds>,
    /// In so many occurrences of its windows.
    occurrences: usize,
}

/// One list for each property; all of the same length, by wave and start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Vms {
    key: Vec<String>,
    name: Vec<String>,
    to: Vec<String>,
    wave: Vec<usize>,
    source: Vec<usize>,
    workload: Vec<usize>,
    disks: Vec<u64>,
    /// 1 where its guest runs, or where nobody knows.
    runs: Vec<u8>,
    /// 1 where the last machine would be ready earlier if this one were.
    critical: Vec<u8>,
    created: Vec<Seconds>,
    off: Vec<Seconds>,
    exported: Vec<Seconds>,
    images_in: Vec<Seconds>,
    ready: Vec<Seconds>,
    released: Vec<Seconds>,
    /// Positions of single VMs that run first, beside what the workload waits for.
    after: Vec<Vec<usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    code: String,
    severity: Severity,
    title: &'static str,
    subject: String,
    vm: Option<usize>,
    evidence: String,
    remedy: String,
    waived: Option<String>,
    place: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Left {
    vm: String,
    name: String,
    kind: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Assumption {
    what: &'static str,
    value: String,
    basis: &'static str,
}

impl PageData {
    /// Of a plan that was made.
    pub fn new(planned: &Planned, locate: &dyn Fn(&str) -> Option<String>) -> Self {
        let plan = &planned.checked.plan;
        let report = &planned.report;
        let workloads: BTreeMap<&WorkloadName, usize> =
            plan.workloads.iter().map(|w| &w.name).zip(0..).collect();
        let vms = Vms::new(planned, &workloads);
        let places: BTreeMap<&str, usize> = vms.key.iter().map(String::as_str).zip(0..).collect();
        let findings = findings(planned, &places, locate);
        Self {
            plan: safe(&report.plan),
            headline: crate::report::text::headline(report),
            origin: report.origin.map(jiff::Timestamp::as_second),
            zone: report.time_zone.clone(),
            ends: report.ends,
            ends_at_least: report.ends_at_least,
            gap_percent: report.gap_percent,
            at_once: AtOnce {
                mean: report.all_at_once.downtime_mean,
                worst: report.all_at_once.downtime_worst,
                scratch: report.all_at_once.scratch.0,
            },
            fits: report
                .windows
                .iter()
                .map(|fit| Fit {
                    target: safe(&fit.target),
                    needs: fit.needs,
                    given: fit.given,
                    percent: fit.percent(),
                })
                .collect(),
            targets: targets(planned),
            windows: windows(plan),
            freezes: freezes(plan),
            waves: waves(planned),
            sources: report.sources.iter().map(safe).collect(),
            workloads: plan
                .workloads
                .iter()
                .map(|workload| Workload {
                    name: safe(&workload.name),
                    service: workload.service,
                    after: workload
                        .depends_on
                        .iter()
                        .filter_map(|name| workloads.get(name).copied())
                        .collect(),
                    budget: workload.budget.map(|budget| budget.0),
                    down: report
                        .workloads
                        .iter()
                        .find(|line| line.name == workload.name)
                        .map(|line| line.downtime),
                })
                .collect(),
            services: services(planned),
            findings,
            left_out: report.left_out.iter().map(Left::new).collect(),
            assumptions: assumptions(plan),
            vms,
        }
    }
}

/// Text for the page: characters that could hide or reorder what stands around them are escaped.
fn safe(text: &impl ToString) -> String {
    shown(&text.to_string()).into_owned()
}

impl Vms {
    fn new(planned: &Planned, workloads: &BTreeMap<&WorkloadName, usize>) -> Self {
        let plan = &planned.checked.plan;
        let critical: BTreeSet<VmKey> = critical::path(&planned.schedule)
            .into_iter()
            .map(|link| link.vm.clone())
            .collect();
        let sources: BTreeMap<_, usize> = planned.report.sources.iter().zip(0..).collect();
        let mut vms = Self::default();
        let mut places: BTreeMap<&VmKey, usize> = BTreeMap::new();
        let mut after = Vec::new();
        for (number, wave) in planned.rendered.forecast.waves.iter().enumerate() {
            for import in &wave.imports {
                let Some(vm) = plan.vm(&import.vm) else {
                    continue;
                };
                places.insert(&vm.key, vms.key.len());
                after.push(&vm.after);
                vms.key.push(safe(&vm.key));
                vms.name.push(safe(&vm.name));
                vms.to
                    .push(safe(&format!("{}/{}", vm.namespace, vm.machine)));
                vms.wave.push(number);
                vms.source
                    .push(sources.get(&vm.key.source).copied().unwrap_or(0));
                vms.workload
                    .push(workloads.get(&vm.workload).copied().unwrap_or(0));
                vms.disks.push(vm.footprint.disks.0);
                vms.runs.push(u8::from(vm.power != Some(Power::Off)));
                vms.critical.push(u8::from(critical.contains(&vm.key)));
                vms.times(import);
            }
        }
        vms.after = after
            .into_iter()
            .map(|keys| {
                keys.iter()
                    .filter_map(|key| places.get(key).copied())
                    .collect()
            })
            .collect();
        vms
    }

    fn times(&mut self, import: &ImportForecast) {
        self.created.push(import.created);
        self.off.push(import.off);
        self.exported.push(import.exported);
        self.images_in.push(import.images_in);
        self.ready.push(import.ready);
        self.released.push(import.released);
    }
}

fn targets(planned: &Planned) -> Vec<Target> {
    let curves = planned.rendered.forecast.scratch.iter();
    curves
        .map(|scratch| Target {
            name: safe(&scratch.target),
            usable: scratch.usable.0,
            capacity: scratch.capacity.0,
            curve: scratch
                .curve
                .iter()
                .map(|step| (step.at, step.bytes.0))
                .collect(),
        })
        .collect()
}

fn windows(plan: &ResolvedPlan) -> Vec<Window> {
    let windows = plan.windows.iter();
    windows
        .flat_map(|window| {
            window.occurrences.iter().map(|occurrence| Window {
                name: safe(&window.name),
                id: safe(&occurrence.id),
                from: plan.since_start(occurrence.from),
                to: plan.since_start(occurrence.to),
            })
        })
        .collect()
}

fn freezes(plan: &ResolvedPlan) -> Vec<Freeze> {
    let freezes = plan.freezes.iter();
    freezes
        .map(|freeze| Freeze {
            days: format!("{} to {}", freeze.from, freeze.to),
            reason: safe(&freeze.reason),
            services: freeze.services.iter().map(safe).collect(),
        })
        .collect()
}

fn waves(planned: &Planned) -> Vec<Wave> {
    let waves = planned.report.waves.iter();
    waves
        .map(|wave| Wave {
            stem: safe(&wave.stem),
            target: safe(&wave.target),
            window: wave.window.as_ref().map(|window| {
                let occurrence = wave.occurrence.as_ref();
                occurrence.map_or_else(|| safe(window), |id| safe(&format!("{window} {id}")))
            }),
            starts: wave.starts,
            ends: wave.ends,
            peak: wave.scratch_peak.0,
            usable: wave.scratch_usable.0,
            tight: wave.tight,
            p50: wave.downtime.p50,
            worst: wave.downtime.worst,
            vms: wave.vms,
        })
        .collect()
}

fn services(planned: &Planned) -> Vec<Service> {
    let services = planned.checked.plan.services.iter();
    services
        .map(|service| {
            let mut lines = planned.report.services.iter();
            let line = lines.find(|line| line.name == service.name);
            Service {
                name: safe(&service.name),
                owner: service.owner.as_ref().map(safe),
                change: service.change.as_ref().map(safe),
                budget: service.budget.map(|budget| budget.0),
                down: line.map(|line| line.downtime),
                occurrences: line.map_or(0, |line| line.occurrences),
            }
        })
        .collect()
}

fn findings(
    planned: &Planned,
    places: &BTreeMap<&str, usize>,
    locate: &dyn Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let findings = planned.report.findings.iter();
    findings
        .map(|finding| {
            let (subject, vm) = match &finding.subject {
                Subject::Vm { key, name } => (safe(name), places.get(safe(key).as_str()).copied()),
                Subject::Workload(name) => (format!("workload {}", safe(name)), None),
                Subject::Service(name) => (format!("service {}", safe(name)), None),
                Subject::Source(name) => (format!("source {}", safe(name)), None),
                Subject::Target(name) => (format!("target {}", safe(name)), None),
                Subject::Plan => ("the plan".to_owned(), None),
            };
            Finding {
                code: safe(&finding.code),
                severity: finding.severity,
                title: table::check(&finding.code).map_or("", |check| check.title),
                subject,
                vm,
                evidence: safe(&finding.evidence),
                remedy: safe(&finding.remedy),
                waived: finding.waived_by.as_ref().map(safe),
                place: finding.path.as_deref().and_then(locate),
            }
        })
        .collect()
}

impl Left {
    fn new(out: &LeftOut) -> Self {
        Self {
            vm: safe(&out.vm),
            name: safe(&out.name),
            kind: out.kind,
            reason: safe(&out.reason),
        }
    }
}

fn assumptions(plan: &ResolvedPlan) -> Vec<Assumption> {
    let assumed = &plan.assumptions;
    let site = "the site's `assumptions`";
    [
        (
            "export, bytes a second",
            format!("{}/s", assumed.export_bytes_per_second.0),
        ),
        (
            "images, bytes a second",
            format!("{}/s", assumed.image_bytes_per_second.0),
        ),
        ("shutdown of a guest", assumed.shutdown.0.to_string()),
        ("boot of a machine", assumed.boot.0.to_string()),
    ]
    .map(|(what, value)| Assumption {
        what,
        value,
        basis: site,
    })
    .into()
}
