//! Workloads among each other: what waits for what, and what people pinned of the waves.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::WorkloadName;
use schemas::plan::{PinnedWave, PlanSpec};

use super::site::{Site, unknown};
use super::{ResolvedWave, ResolvedWindow, ResolvedWorkload};
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};
use crate::graph::{Cycle, Dag};

/// Resolves names of workloads, the order among them, and pinned waves.
pub(super) fn resolve(
    spec: &PlanSpec,
    site: &Site<'_>,
    windows: &[ResolvedWindow],
    out: &mut Diagnostics,
) -> (Vec<ResolvedWorkload>, Vec<ResolvedWave>) {
    let mut positions: BTreeMap<&WorkloadName, usize> = BTreeMap::new();
    for (i, workload) in spec.workloads.iter().enumerate() {
        if positions.insert(&workload.name, i).is_some() {
            let name = workload.name.to_string();
            let place = plan(&format!("workloads[{i}].name"));
            out.error(
                place,
                Problem::Duplicate {
                    kind: Kind::Workload,
                    name,
                },
            );
        }
    }
    let before: Vec<Vec<usize>> = (0..spec.workloads.len())
        .map(|i| depends_on(spec, i, &positions, out))
        .collect();
    let levels = levels(&before).unwrap_or_else(|Cycle { members: cycle }| {
        let names = |i: &usize| spec.workloads[*i].name.to_string();
        let cycle: Vec<String> = cycle.iter().chain(cycle.first()).map(names).collect();
        let first = positions
            .get(&WorkloadName::new(cycle[0].as_str()))
            .copied()
            .unwrap_or(0);
        out.error(
            plan(&format!("workloads[{first}].dependsOn")),
            Problem::Cycle { cycle },
        );
        vec![0; before.len()]
    });
    let pins = pins(spec, site, windows, &positions, out);

    let workloads = (0..spec.workloads.len())
        .map(|i| {
            let pin = pins.get(&i).map(|wave| &spec.waves[*wave]);
            ResolvedWorkload {
                name: spec.workloads[i].name.clone(),
                position: i,
                depends_on: spec.workloads[i]
                    .depends_on
                    .iter()
                    .filter_map(|name| name.own().cloned())
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                others: Vec::new(),
                level: levels[i],
                wave: pins.get(&i).copied(),
                window: pin
                    .and_then(|wave| wave.window.clone())
                    .or_else(|| site.spec.windows.first().map(|window| window.name.clone()))
                    .filter(|_| spec.workloads[i].external.is_none()),
                occurrence: pin.and_then(|wave| wave.occurrence.clone()),
                service: None,
                budget: spec.workloads[i].downtime_budget,
                weight: u64::from(spec.workloads[i].weight.unwrap_or(1)),
                gate: spec.workloads[i].gate.clone(),
                external: spec.workloads[i].external.clone(),
            }
        })
        .collect();
    let waves = spec
        .waves
        .iter()
        .enumerate()
        .map(|(position, wave)| ResolvedWave {
            name: wave.name.clone(),
            position,
            workloads: Vec::new(),
            canaries: Vec::new(),
            after: Vec::new(),
        })
        .collect();
    (workloads, waves)
}

fn plan(path: &str) -> Place {
    Place {
        file: File::Plan,
        path: path.to_owned(),
    }
}

fn unknown_workload(name: &WorkloadName, positions: &BTreeMap<&WorkloadName, usize>) -> Problem {
    Problem::Unknown {
        kind: Kind::Workload,
        name: name.to_string(),
        within: None,
        nearest: nearest(name.as_str(), positions.keys().map(|name| name.as_str())),
    }
}

/// Positions of the workloads of this plan that the one at `i` waits for.
fn depends_on(
    spec: &PlanSpec,
    i: usize,
    positions: &BTreeMap<&WorkloadName, usize>,
    out: &mut Diagnostics,
) -> Vec<usize> {
    let mut before = Vec::new();
    for (n, name) in spec.workloads[i].depends_on.iter().enumerate() {
        let Some(name) = name.own() else { continue };
        match positions.get(name) {
            Some(position) => {
                before.push(*position);
            }
            None => out.error(
                plan(&format!("workloads[{i}].dependsOn[{n}]")),
                unknown_workload(name, positions),
            ),
        }
    }
    before
}

/// For each workload the longest chain before it.
///
/// # Errors
/// A circle, member by member, each waiting for the next.
fn levels(before: &[Vec<usize>]) -> Result<Vec<usize>, Cycle> {
    let dag = Dag::new(before)?;
    let mut levels = vec![0; before.len()];
    for &workload in dag.order() {
        let chain = before[workload]
            .iter()
            .map(|earlier| levels[*earlier] + 1)
            .max();
        levels[workload] = chain.unwrap_or(0);
    }
    Ok(levels)
}

/// For each pinned workload its wave's position.
fn pins(
    spec: &PlanSpec,
    site: &Site<'_>,
    windows: &[ResolvedWindow],
    positions: &BTreeMap<&WorkloadName, usize>,
    out: &mut Diagnostics,
) -> BTreeMap<usize, usize> {
    let mut pins: BTreeMap<usize, usize> = BTreeMap::new();
    for (w, wave) in spec.waves.iter().enumerate() {
        if spec.waves[..w].iter().any(|known| known.name == wave.name) {
            let name = wave.name.to_string();
            let place = plan(&format!("waves[{w}].name"));
            out.error(
                place,
                Problem::Duplicate {
                    kind: Kind::Wave,
                    name,
                },
            );
        }
        check_window(w, wave, site, windows, out);
        for (n, name) in wave.workloads.iter().enumerate() {
            let place = plan(&format!("waves[{w}].workloads[{n}]"));
            match positions.get(name) {
                None => out.error(place, unknown_workload(name, positions)),
                Some(i) if spec.workloads[*i].external.is_some() => {
                    let step = name.to_string();
                    out.error(place, Problem::StepInWave { step });
                }
                Some(i) => match pins.insert(*i, w) {
                    Some(other) if other != w => out.error(
                        place,
                        Problem::WorkloadInTwoWaves {
                            workload: name.to_string(),
                            other: spec.waves[other].name.to_string(),
                        },
                    ),
                    _ => {}
                },
            }
        }
    }
    pins
}

/// The window and occurrence that a pinned wave names.
fn check_window(
    w: usize,
    wave: &PinnedWave,
    site: &Site<'_>,
    windows: &[ResolvedWindow],
    out: &mut Diagnostics,
) {
    let known = site.spec.windows.iter().map(|window| window.name.as_str());
    if let Some(name) = &wave.window
        && !site.spec.windows.iter().any(|window| window.name == *name)
    {
        let problem = unknown(Kind::Window, name.as_str(), known);
        out.error(plan(&format!("waves[{w}].window")), problem);
        return;
    }
    let Some(id) = &wave.occurrence else { return };
    let place = plan(&format!("waves[{w}].occurrence"));
    let Some(window) = wave
        .window
        .as_ref()
        .or(site.spec.windows.first().map(|w| &w.name))
    else {
        out.error(place, Problem::NoWindows);
        return;
    };
    // Without a start there are none to look at, and that is said already.
    let Some(window) = windows.iter().find(|known| known.name == *window) else {
        return;
    };
    if !window.occurrences.iter().any(|known| known.id == *id) {
        let known = window
            .occurrences
            .iter()
            .map(|occurrence| occurrence.id.as_str());
        out.error(
            place,
            Problem::Unknown {
                kind: Kind::Occurrence,
                name: id.to_string(),
                within: Some(format!("window `{}` after the plan's start", window.name)),
                nearest: nearest(id.as_str(), known),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A level is the longest chain before it, not the shortest.
    #[test]
    fn levels_are_longest_chains() {
        let before = [vec![1, 2], vec![2], vec![], vec![]];
        assert_eq!(levels(&before), Ok(vec![2, 1, 0, 0]));
    }
}
