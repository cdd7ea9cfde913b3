//! What the page shows, in the shape in which its script wants it: one list for each property of a
//! VM, so that 5,000 of them stay small, and positions instead of names.

mod found;
mod steps;
mod vms;

use std::collections::{BTreeMap, BTreeSet};

use schemas::forecast::Band;
use schemas::ids::{SourceName, WorkloadName};
use schemas::shown::shown;
use schemas::units::Seconds;
use serde::Serialize;

use self::found::{Found, Lost, Room, findings, losses};
use self::steps::{Outside, outside};
use self::vms::{Ran, Vms};
use crate::critical::{self, Link};
use crate::pipeline::Planned;
use crate::report::LeftOut;
use crate::report::steps::ports;
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
    /// The last gate holds and the last step is done, where that is later.
    done: Option<Seconds>,
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
    /// Steps outside.
    steps: Vec<Outside>,
    /// The chain that decides the end, by start: positions of VMs, and numbers of steps.
    path: Vec<usize>,
    band: Band,
    findings: Vec<Found>,
    losses: Vec<Lost>,
    room: Vec<Room>,
    left_out: Vec<Left>,
    assumptions: Vec<Assumption>,
    /// What a run came to.
    actual: Option<Ran>,
    /// Texts that others name by their positions here: many VMs share one.
    texts: Vec<String>,
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
    /// None of one that runs already.
    peak: Option<u64>,
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
    /// Ports that its machines must answer on before others start, in words.
    gate: Option<String>,
    budget: Option<Seconds>,
    /// From its first guest off to its last machine ready, its gate holding; absent: nothing of it
    /// moves.
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

/// Texts, each once.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: &impl ToString) -> usize {
        let text = safe(text);
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        self.list.push(text.clone());
        self.places.insert(text, self.list.len() - 1);
        self.list.len() - 1
    }
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
        let sources = sources(planned);
        let (waves, mut texts) = (waves(planned), Texts::default());
        let vms = Vms::placed(planned, &workloads, &sources, &waves, &mut texts);
        let findings = findings(planned, &vms.places, locate, &mut texts);
        let losses = losses(planned, &vms.places, &mut texts);
        let steps = outside(planned, &workloads);
        let path = critical::path(plan, &planned.schedule).into_iter();
        let path = path.filter_map(|link| match link {
            Link::Import(slot) => vms.places.get(&slot.vm).copied(),
            Link::Step(slot) => {
                let name = &plan.workloads.get(slot.workload)?.name;
                steps::place(&steps, vms.places.len(), name)
            }
        });
        let path = path.collect();
        let ran = report.actual.as_ref();
        let ran = ran.map(|actual| Ran::new(actual, &vms.places, &waves));
        Self {
            plan: safe(&report.plan),
            headline: crate::report::text::headline(report),
            // Without an origin, times of what is left count from whenever it starts.
            origin: report
                .origin
                .or_else(|| {
                    let actual = report.actual.as_ref()?;
                    (report.vms == 0).then_some(actual.origin)
                })
                .map(jiff::Timestamp::as_second),
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
            waves,
            sources: sources.iter().map(safe).collect(),
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
                    gate: workload.gate.as_ref().map(|gate| safe(&ports(gate))),
                    budget: workload.budget.map(|budget| budget.0),
                    down: report
                        .workloads
                        .iter()
                        .find(|line| line.name == workload.name)
                        .map(|line| line.downtime),
                })
                .collect(),
            services: services(planned),
            steps,
            path,
            done: report.done,
            band: report.band,
            findings,
            losses,
            room: report.capacity.iter().map(Room::new).collect(),
            left_out: report.left_out.iter().map(Left::new).collect(),
            assumptions: assumptions(plan),
            actual: ran,
            vms: vms.lists,
            texts: texts.list,
        }
    }
}

/// Text for the page: characters that could hide or reorder what stands around them are escaped.
fn safe(text: &impl ToString) -> String {
    shown(&text.to_string()).into_owned()
}

/// Where machines come from, those that run already too; sorted.
fn sources(planned: &Planned) -> Vec<SourceName> {
    let actual = planned.report.actual.iter();
    let ran = actual.flat_map(|actual| actual.waves.iter().flat_map(|wave| &wave.vms));
    let ran = ran.map(|vm| &vm.vm.source);
    let all: BTreeSet<&SourceName> = planned.report.sources.iter().chain(ran).collect();
    all.into_iter().cloned().collect()
}

fn targets(planned: &Planned) -> Vec<Target> {
    let left = &planned.rendered.forecast.scratch;
    let foretold = planned.report.actual.as_ref().map(|actual| &actual.scratch);
    let curves = match foretold {
        Some(foretold) if planned.report.vms == 0 => foretold,
        _ => left,
    };
    curves
        .iter()
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

/// Those of which machines run already, and those that are left; one of which some do is once there.
fn waves(planned: &Planned) -> Vec<Wave> {
    let actual = planned.report.actual.iter();
    let ran = actual.flat_map(|actual| &actual.waves).map(|wave| Wave {
        stem: safe(&wave.stem),
        target: safe(&wave.target),
        window: None,
        starts: wave.foretold.starts,
        ends: wave.foretold.ends,
        peak: None,
        usable: 0,
        tight: false,
        p50: wave.foretold.downtime_p50,
        worst: wave.foretold.downtime_worst,
        vms: wave.vms.len(),
    });
    let mut waves: Vec<Wave> = ran.collect();
    for line in &planned.report.waves {
        let wave = Wave {
            stem: safe(&line.stem),
            target: safe(&line.target),
            window: line.window.as_ref().map(|window| {
                let occurrence = line.occurrence.as_ref();
                occurrence.map_or_else(|| safe(window), |id| safe(&format!("{window} {id}")))
            }),
            starts: line.starts,
            ends: line.ends,
            peak: Some(line.scratch_peak.0),
            usable: line.scratch_usable.0,
            tight: line.tight,
            p50: line.downtime.p50,
            worst: line.downtime.worst,
            vms: line.vms,
        };
        match waves.iter_mut().find(|known| known.stem == wave.stem) {
            Some(known) => {
                *known = Wave {
                    starts: known.starts.min(wave.starts),
                    ends: known.ends.max(wave.ends),
                    worst: known.worst.max(wave.worst),
                    vms: known.vms + wave.vms,
                    ..wave
                }
            }
            None => waves.push(wave),
        }
    }
    waves
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
    let site = "the site's assumptions";
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
