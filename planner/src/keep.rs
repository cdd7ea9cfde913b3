//! What stays where it was written down: waves that are approved, or that the ledger has begun.
//!
//! A new plan changes as little of these as it can: their imports keep their wave, their occurrence
//! and their predicted moment, and a wave whose decisions are the same stays the same file, with
//! the digest that was approved. All others are placed around them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::forecast::Forecast;
use schemas::ids::{Digest, VmKey, WaveName};
use schemas::wave::{MigrationWave, WaveInputs, WaveSpec};

use crate::resolve::ResolvedPlan;
use crate::schedule::Problem;

/// What stays.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    waves: BTreeMap<WaveName, WaveSpec>,
    /// For each import its wave, and when it was to be created, where that was foretold.
    imports: BTreeMap<VmKey, (WaveName, Option<Timestamp>)>,
}

impl Keep {
    /// Of the committed waves those that are `named`, with what was foretold of them.
    pub fn new(
        committed: &[MigrationWave],
        forecast: Option<&Forecast>,
        named: &BTreeSet<WaveName>,
    ) -> Self {
        let mut foretold: BTreeMap<&VmKey, Timestamp> = BTreeMap::new();
        if let Some(forecast) = forecast
            && let Some(origin) = forecast.origin
        {
            for import in forecast.waves.iter().flat_map(|wave| &wave.imports) {
                let since = SignedDuration::from_secs(import.created.signed());
                if let Ok(at) = origin.checked_add(since) {
                    foretold.insert(&import.vm, at);
                }
            }
        }
        let mut keep = Self::default();
        for wave in committed {
            let name = WaveName::new(wave.metadata.name.clone().unwrap_or_default());
            if !named.contains(&name) {
                continue;
            }
            for import in &wave.spec.imports {
                let at = foretold.get(&import.vm).copied();
                keep.imports.insert(import.vm.clone(), (name.clone(), at));
            }
            keep.waves.insert(name, wave.spec.clone());
        }
        keep
    }

    /// Fixes the imports that stay: each to its occurrence, and to its moment where that is still
    /// to come.
    pub(crate) fn fix(&self, problem: &mut Problem, plan: &ResolvedPlan) {
        let mut narrowed: BTreeMap<(usize, WaveName), Option<usize>> = BTreeMap::new();
        for job in &mut problem.jobs {
            let Some((name, at)) = self.imports.get(&job.vm) else {
                continue;
            };
            if let Some(calendar) = job.calendar
                && let Some(window) = self.waves[name].window.as_ref()
            {
                let calendars = &mut problem.calendars;
                let only = narrowed.entry((calendar, name.clone())).or_insert_with(|| {
                    let from = plan.since_start(window.from);
                    let is_it = |w: &&crate::schedule::Window| {
                        w.occurrence == window.occurrence && w.from == from
                    };
                    let kept = calendars[calendar].iter().find(is_it)?.clone();
                    calendars.push(vec![kept]);
                    Some(calendars.len() - 1)
                });
                // An occurrence that is no more keeps nothing.
                let Some(only) = *only else { continue };
                job.calendar = Some(only);
            }
            let start = plan.start.unwrap_or(Timestamp::UNIX_EPOCH);
            job.fixed = at.filter(|at| *at >= start).map(|at| plan.since_start(at));
        }
    }

    /// The wave that an import stays in: its file's name without `.yaml`.
    pub(crate) fn stem(&self, plan: &ResolvedPlan, vm: &VmKey) -> Option<String> {
        let (wave, _) = self.imports.get(vm)?;
        let stem = wave.as_str().strip_prefix(plan.name.as_str())?;
        Some(stem.strip_prefix('-')?.to_owned())
    }

    /// What was committed of a wave, if `spec` decides the same: what it was made from may have
    /// changed elsewhere, and a new digest would void an approval for nothing.
    pub(crate) fn same(&self, name: &WaveName, spec: &WaveSpec) -> Option<WaveSpec> {
        let committed = self.waves.get(name)?;
        (decisions(committed) == decisions(spec)).then(|| committed.clone())
    }
}

/// A wave without what it was made from.
fn decisions(spec: &WaveSpec) -> WaveSpec {
    WaveSpec {
        inputs: WaveInputs {
            plan: Digest::default(),
            inventory: Digest::default(),
        },
        generator: String::new(),
        digest: Digest::default(),
        suspend: None,
        ..spec.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, vsphere_vm};
    use crate::{Planned, plan_keeping};

    const PLAN: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: web, select: [ { source: cloud1, names: [web] } ], dependsOn: [db] }
machines:
- { vm: { source: cloud1, id: c-web2 }, target: { namespace: web-2 } }
- { vm: { source: cloud1, id: c-web3 }, target: { namespace: web-3 } }
"#;

    const NIGHTS: &str = r#"- name: night
  every: { cron: "0 22 * * *", timeZone: Europe/Berlin, lasts: 3h }"#;

    fn planned(fixture: &Fixture, committed: &[MigrationWave], keep: &Keep) -> Planned {
        let Fixture {
            plan,
            site,
            inventory,
        } = fixture;
        plan_keeping(plan, site, inventory, committed, keep).expect("a plan")
    }

    fn waves(planned: &Planned) -> Vec<MigrationWave> {
        let waves = planned.rendered.waves.iter();
        waves.map(|wave| wave.object.clone()).collect()
    }

    // One VM more, in front of the others by its name, and a start that is an hour later: the wave
    // that is approved stays the same to the byte, and its imports at their moments.
    #[test]
    fn approved_stays() {
        let first = planned(&Fixture::new(PLAN).windows(NIGHTS), &[], &Keep::default());
        let committed = waves(&first);
        let named = BTreeSet::from([WaveName::from("erp-010-db")]);
        let keep = Keep::new(&committed, Some(&first.rendered.forecast), &named);

        let mut more = Fixture::new(PLAN)
            .windows(NIGHTS)
            .add("dc1", vsphere_vm("42-db0", "erp/db", "ERP-DB-00"));
        more.plan.spec.start = Some("2026-11-23T01:00:00+01:00".parse().expect("an instant"));
        let kept = planned(&more, &committed, &keep);
        let again = waves(&kept);
        let of = |name: &str, waves: &[MigrationWave]| {
            let mut waves = waves.iter();
            waves
                .find(|wave| wave.metadata.name.as_deref() == Some(name))
                .cloned()
        };
        assert_eq!(of("erp-010-db", &again), of("erp-010-db", &committed));
        let added = of("erp-010-db-2", &again).expect("a wave for the one that is new");
        assert_eq!(added.spec.imports.len(), 1);
        for slot in &first.schedule.slots {
            if slot.name.as_str().starts_with("ERP-DB") {
                let now = kept.schedule.slot(&slot.vm).expect("it has a place");
                let hour = schemas::units::Seconds(3600);
                assert_eq!(
                    now.times.created + hour,
                    slot.times.created,
                    "{}",
                    slot.name
                );
            }
        }
        // Without it, the new one goes into the wave, and its digest changes.
        let moved = waves(&planned(&more, &committed, &Keep::default()));
        assert_ne!(of("erp-010-db", &moved), of("erp-010-db", &committed));
    }
}
