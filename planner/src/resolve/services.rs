//! Services: workloads that an owner calls "my system".

use std::collections::BTreeMap;

use schemas::ids::WorkloadName;
use schemas::plan::PlanSpec;
use schemas::units::Span;

use super::ResolvedWorkload;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

/// A service, with its place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedService {
    /// Its name.
    pub name: WorkloadName,
    /// Its position in the plan's `services`, for paths.
    pub position: usize,
    /// Its workloads, in the plan's order.
    pub workloads: Vec<WorkloadName>,
    /// It should be down no longer.
    pub budget: Option<Span>,
    /// All of it in one occurrence of its window.
    pub together: bool,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The change's number in another system.
    pub change: Option<String>,
}

/// Resolves all services, and notes in each workload which it is in.
pub(super) fn resolve(
    spec: &PlanSpec,
    workloads: &mut [ResolvedWorkload],
    out: &mut Diagnostics,
) -> Vec<ResolvedService> {
    let positions: BTreeMap<WorkloadName, usize> =
        workloads.iter().map(|w| w.name.clone()).zip(0..).collect();
    let mut services: Vec<ResolvedService> = Vec::with_capacity(spec.services.len());
    for (position, service) in spec.services.iter().enumerate() {
        let place = |field: &str| Place {
            file: File::Plan,
            path: format!("services[{position}]{field}"),
        };
        if services.iter().any(|known| known.name == service.name) {
            let name = service.name.to_string();
            let kind = Kind::Service;
            out.error(place(".name"), Problem::Duplicate { kind, name });
        }
        let mut own: Vec<usize> = Vec::new();
        for (n, name) in service.workloads.iter().enumerate() {
            let place = place(&format!(".workloads[{n}]"));
            let Some(at) = positions.get(name).copied() else {
                let problem = Problem::Unknown {
                    kind: Kind::Workload,
                    name: name.to_string(),
                    within: None,
                    nearest: nearest(name.as_str(), positions.keys().map(WorkloadName::as_str)),
                };
                out.error(place, problem);
                continue;
            };
            match workloads[at].service {
                Some(other) if other != position => {
                    let problem = Problem::WorkloadInTwoServices {
                        workload: name.to_string(),
                        other: spec.services[other].name.to_string(),
                    };
                    out.error(place, problem);
                }
                _ => {
                    workloads[at].service = Some(position);
                    let own_weight = spec.workloads[at].weight.or(service.weight);
                    workloads[at].weight = u64::from(own_weight.unwrap_or(1));
                    own.push(at);
                }
            }
        }
        own.sort_unstable();
        own.dedup();
        if service.together {
            one_occurrence(
                service.name.as_str(),
                &own,
                workloads,
                &place(".together"),
                out,
            );
        }
        services.push(ResolvedService {
            name: service.name.clone(),
            position,
            workloads: own.iter().map(|at| workloads[*at].name.clone()).collect(),
            budget: service.downtime_budget,
            together: service.together,
            owner: service.owner.clone(),
            change: service.refs.change.clone(),
        });
    }
    services
}

/// What is to be kept together must not be pinned apart.
fn one_occurrence(
    service: &str,
    own: &[usize],
    workloads: &[ResolvedWorkload],
    place: &Place,
    out: &mut Diagnostics,
) {
    let pins: Vec<(&ResolvedWorkload, String)> = own
        .iter()
        .map(|at| &workloads[*at])
        .filter_map(|workload| {
            let window = workload.window.as_ref()?;
            let occurrence = workload.occurrence.as_ref();
            Some((
                workload,
                occurrence.map_or_else(
                    || format!("window `{window}`"),
                    |id| format!("`{window} {id}`"),
                ),
            ))
        })
        .collect();
    let apart = pins.windows(2).find(|pair| {
        let (a, b) = (pair[0].0, pair[1].0);
        a.window != b.window
            || (a.occurrence.is_some() && b.occurrence.is_some() && a.occurrence != b.occurrence)
    });
    if let Some([(a, in_a), (b, in_b)]) = apart {
        let problem = Problem::TogetherApart {
            service: service.to_owned(),
            workloads: [a.name.to_string(), b.name.to_string()],
            windows: [in_a.clone(), in_b.clone()],
        };
        out.error(place.clone(), problem);
    }
}
