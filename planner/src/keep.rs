//! What stays where it was written down: waves that are approved, or that the ledger has begun.
//!
//! A new plan changes as little of these as it can: their imports keep their wave, their occurrence
//! and their predicted moment, and a wave whose decisions are the same stays the same file, with
//! the digest that was approved. All others are placed around them.
//!
//! The rest of a plan that is half done is planned from an instant: what runs is left out, what is
//! under way goes on with what is left of it, what is late follows in its order, and what missed its
//! occurrence gets another, in a wave of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::forecast::Forecast;
use schemas::ids::{Digest, VmKey, WaveName};
use schemas::machine::Stage;
use schemas::units::Seconds;
use schemas::wave::{MigrationWave, WaveInputs, WaveSpec, WaveWindow};

use crate::resolve::{Moved, ResolvedPlan};
use crate::schedule::{Job, Problem, Window};

/// What stays.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    waves: BTreeMap<WaveName, WaveSpec>,
    /// For each import its wave, and when it was to be created, where that was foretold.
    imports: BTreeMap<VmKey, (WaveName, Option<Timestamp>)>,
    /// What is still to come is planned from then on.
    from: Option<Timestamp>,
}

impl Keep {
    /// Whether it keeps nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.waves.is_empty() && self.from.is_none()
    }

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

    /// The same, for the rest of a plan from an instant on.
    #[must_use]
    pub fn from(self, from: Option<Timestamp>) -> Self {
        Self { from, ..self }
    }

    /// The origin that a plan is scheduled from: its start, or later.
    pub(crate) fn origin(&self, start: Option<Timestamp>) -> Option<Timestamp> {
        start.max(self.from)
    }

    /// Fixes the imports that stay: each to its occurrence, and to its moment where that is still
    /// to come.
    pub(crate) fn fix(&self, problem: &mut Problem, plan: &ResolvedPlan) {
        let mut narrowed: BTreeMap<(usize, WaveName), Option<usize>> = BTreeMap::new();
        let start = plan.start.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut late: Vec<(usize, Timestamp, usize)> = Vec::new();
        let calendars = &mut problem.calendars;
        for (position, job) in problem.jobs.iter_mut().enumerate() {
            let Some((name, at)) = self.imports.get(&job.vm) else {
                continue;
            };
            let window = self.waves[name].window.as_ref();
            if let Some((done, moved)) = under_way(plan, &job.vm) {
                left_of(job, done, moved, start);
                job.calendar = window.map(|window| {
                    calendars.push(vec![begun(window, plan)]);
                    calendars.len() - 1
                });
                // The furthest first.
                late.push((STEPS - done, Timestamp::MIN, position));
                continue;
            }
            if let Some(calendar) = job.calendar
                && let Some(window) = window
            {
                let only = narrowed.entry((calendar, name.clone())).or_insert_with(|| {
                    let from = plan.since_start(window.from);
                    let is_it = |w: &&Window| w.occurrence == window.occurrence && w.from == from;
                    let kept = calendars[calendar].iter().find(is_it)?.clone();
                    calendars.push(vec![kept]);
                    Some(calendars.len() - 1)
                });
                // An occurrence that is no more keeps nothing.
                let Some(only) = *only else { continue };
                job.calendar = Some(only);
            }
            match at {
                Some(at) if *at >= start => job.fixed = Some(plan.since_start(*at)),
                Some(at) if self.from.is_some() => late.push((STEPS + 1, *at, position)),
                _ => {}
            }
        }
        // What is under way, and behind it what should have begun: a second apart, so that they keep
        // their order.
        late.sort_unstable();
        for (second, (_, _, position)) in (0..).zip(late) {
            problem.jobs[position].fixed = Some(Seconds(second));
        }
    }

    /// The wave that an import stays in: its file's name without `.yaml`.
    pub(crate) fn stem(&self, plan: &ResolvedPlan, vm: &VmKey) -> Option<String> {
        let (wave, _) = self.imports.get(vm)?;
        let window = self.waves[wave].window.as_ref();
        let over = window.is_some_and(|window| Some(window.last_start) <= plan.start);
        if over && under_way(plan, vm).is_none() {
            return None;
        }
        let stem = wave.as_str().strip_prefix(plan.name.as_str())?;
        Some(stem.strip_prefix('-')?.to_owned())
    }

    /// Stems of files that stay: no other wave is called so.
    pub(crate) fn stems(&self, plan: &ResolvedPlan) -> BTreeSet<String> {
        let prefix = format!("{}-", plan.name);
        let stems = self.waves.keys();
        stems
            .filter_map(|wave| Some(wave.as_str().strip_prefix(&prefix)?.to_owned()))
            .collect()
    }

    /// What was committed of a wave, if `spec` decides the same of all that is not yet done: what it was
    /// made from may have changed elsewhere, and a new digest would void an approval for nothing.
    pub(crate) fn same(
        &self,
        name: &WaveName,
        spec: &WaveSpec,
        done: impl Fn(&VmKey) -> bool,
    ) -> Option<WaveSpec> {
        let committed = self.waves.get(name)?;
        let (before, now) = (decisions(committed), decisions(spec));
        if !before.imports.iter().any(|import| done(&import.vm)) {
            return (before == now).then(|| committed.clone());
        }
        // What only those needed that are done is not in it any more.
        let kept = now.sources.iter().all(|it| before.sources.contains(it))
            && now.workloads.iter().all(|it| before.workloads.contains(it))
            && now
                .prerequisites
                .iter()
                .all(|it| before.prerequisites.contains(it))
            && now.barriers.iter().all(|it| before.barriers.contains(it));
        let mut rest = WaveSpec {
            sources: now.sources.clone(),
            workloads: now.workloads.clone(),
            prerequisites: now.prerequisites.clone(),
            barriers: now.barriers.clone(),
            ..before
        };
        rest.imports.retain(|import| !done(&import.vm));
        (kept && rest == now).then(|| committed.clone())
    }
}

/// Steps of an import that the ledger tells apart.
const STEPS: usize = 4;

/// How many steps of an import are behind it, and what the ledger says of it; none, where none is under
/// way.
fn under_way<'a>(plan: &'a ResolvedPlan, vm: &VmKey) -> Option<(usize, &'a Moved)> {
    let moved = plan.vm(vm)?.ledger.as_ref()?;
    let done = match moved.stage {
        Stage::Admitted | Stage::ShuttingDown => 0,
        Stage::Exporting => 1,
        Stage::Imaging => 2,
        Stage::Booting => 3,
        Stage::Running | Stage::Failed | Stage::Withdrawn | Stage::Held => return None,
    };
    Some((done, moved))
}

/// Makes of an import what is left of it at an instant.
fn left_of(job: &mut Job, done: usize, moved: &Moved, now: Timestamp) {
    let times = &moved.times;
    let begun = [times.shutdown, times.off, times.exported, times.machine];
    let it = &mut job.estimates;
    let steps = [
        &mut it.shutdown,
        &mut it.export,
        &mut it.images,
        &mut it.boot,
    ];
    for (n, (step, begun)) in steps.into_iter().zip(begun).enumerate() {
        let since = begun.map_or(0, |begun| now.duration_since(begun).as_secs());
        if n < done {
            step.value = Seconds::ZERO;
        } else if n == done {
            let since = Seconds(u64::try_from(since).unwrap_or(0));
            step.value = step.value.saturating_sub(since);
        }
    }
    job.under_way = true;
    job.guest_runs &= done == 0;
    job.cut_p90 = Seconds::ZERO;
    if done > 1 {
        job.size.peak = job.size.resident;
    }
}

/// The occurrence in which something is under way: nothing of it binds any more.
fn begun(window: &WaveWindow, plan: &ResolvedPlan) -> Window {
    let to = plan.since_start(window.to).max(Seconds::from_minutes(1));
    Window {
        name: window.name.clone(),
        occurrence: window.occurrence.clone(),
        from: plan.since_start(window.from),
        to,
        last_start: to,
        reserve: Seconds::ZERO,
        vms_max: None,
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
    use schemas::machine::Times;

    use super::*;
    use crate::fixture::{Fixture, vsphere_vm};
    use crate::{Before, Planned, plan_keeping};

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
        plan_keeping(plan, site, inventory, &Before::of(committed.to_vec()), keep).expect("a plan")
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

    const THREE: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: web, select: [ { source: cloud1, names: [web] } ], dependsOn: [db] }
machines:
- { vm: { source: cloud1, id: c-web2 }, target: { namespace: web-2 } }
- { vm: { source: cloud1, id: c-web3 }, target: { namespace: web-3 } }
"#;

    /// The fixture with a ledger line for each of these: how far it is, and when its steps came.
    fn run(fixture: Fixture, lines: &[(&str, &str, &str, Stage, Times)]) -> Fixture {
        let instance = |source: &str| match source {
            "dc1" => "vcenter-uuid",
            _ => "project-id",
        };
        lines
            .iter()
            .fold(fixture, |fixture, (source, id, wave, stage, times)| {
                // A record is called as it was when the wave was written.
                let name = id.replace("42-db", "ERP-DB-0");
                let line = fixture.ledger(instance(source), source, id, &name, *stage);
                line.target(|target| {
                    let last = target.ledger.last_mut().expect("just added");
                    last.wave = Some((*wave).to_owned());
                    last.times = times.clone();
                })
            })
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    // Half a night is done: one runs, one is being copied since half an hour, the rest waits. The wave
    // stays the same to the byte; what runs has no slot; what is copied ends with what is left of it;
    // the others follow from now on, in their order.
    #[test]
    fn half_done() {
        let fresh = || Fixture::new(THREE).windows(NIGHTS);
        let first = planned(&fresh(), &[], &Keep::default());
        let committed = waves(&first);
        let db = &first.rendered.waves[0];
        assert_eq!(db.stem, "010-db");
        let [one, two] = &db.object.spec.imports[..] else {
            panic!("two databases")
        };
        let (one, two) = if one.order < two.order {
            (one, two)
        } else {
            (two, one)
        };
        let now = at("2026-11-23T22:40:00+01:00");
        let half = Times {
            off: Some(at("2026-11-23T22:10:00+01:00")),
            ..Times::default()
        };
        let wave = "erp-010-db";
        let half_done = run(
            fresh(),
            &[
                (
                    "dc1",
                    one.vm.id.as_str(),
                    wave,
                    Stage::Running,
                    Times::default(),
                ),
                ("dc1", two.vm.id.as_str(), wave, Stage::Exporting, half),
            ],
        );
        let named = BTreeSet::from([WaveName::from(wave)]);
        let keep = Keep::new(&committed, Some(&first.rendered.forecast), &named);
        let rest = planned(&half_done, &committed, &keep.from(Some(now)));
        assert_eq!(rest.rendered.waves[0].object, db.object, "the same file");
        assert_eq!(rest.rendered.forecast.origin, Some(now));
        assert!(rest.schedule.slot(&one.vm).is_none(), "it runs");
        let full = first.schedule.slot(&two.vm).expect("a slot").times;
        let left = rest.schedule.slot(&two.vm).expect("it is under way").times;
        let (export, left) = (full.exported - full.export_start, left.exported);
        assert!(
            left < export && left + Seconds(1900) > export,
            "{left} of {export}"
        );
        for slot in &rest.schedule.slots {
            let before = first.schedule.slot(&slot.vm).expect("planned before");
            if slot.vm != two.vm {
                assert!(slot.times.created >= left, "{} before {left}", slot.name);
                assert_eq!(slot.window.is_some(), before.window.is_some());
            }
        }
        assert_eq!(check(&rest), []);
    }

    // The night is over and half of its wave is not begun: that half gets another night, in a file of
    // another name; the old file is not written again.
    #[test]
    fn missed() {
        let fresh = || Fixture::new(THREE).windows(NIGHTS);
        let first = planned(&fresh(), &[], &Keep::default());
        let committed = waves(&first);
        let imports = &first.rendered.waves[0].object.spec.imports;
        let (done, failed) = (&imports[0].vm, &imports[1].vm);
        let wave = "erp-010-db";
        let stage = |vm: &VmKey, stage| ("dc1", vm.id.as_str().to_owned(), wave, stage);
        let lines = [stage(done, Stage::Running), stage(failed, Stage::Failed)];
        let lines: Vec<_> = lines
            .iter()
            .map(|(source, id, wave, stage)| {
                (*source, id.as_str(), *wave, *stage, Times::default())
            })
            .collect();
        let half = run(fresh(), &lines);
        let named = BTreeSet::from([WaveName::from(wave)]);
        let keep = Keep::new(&committed, Some(&first.rendered.forecast), &named);
        let now = at("2026-11-24T09:00:00+01:00");
        let rest = planned(&half, &committed, &keep.from(Some(now)));
        let stems: Vec<&str> = rest
            .rendered
            .waves
            .iter()
            .map(|w| w.stem.as_str())
            .collect();
        assert!(
            !stems.contains(&"010-db") && stems.contains(&"010-db-2"),
            "{stems:?}"
        );
        let slot = rest.schedule.slot(failed).expect("another night");
        let night = slot
            .window
            .as_ref()
            .map(|window| window.occurrence.as_str());
        assert_eq!(night, Some("2026-11-24"));
        let said = &rest.report.findings;
        assert!(
            said.iter().any(|finding| finding.code == "WR002"),
            "what failed is said"
        );
    }

    fn check(planned: &Planned) -> Vec<crate::schedule::Violation> {
        crate::schedule::check_schedule(&planned.problem, &planned.schedule)
    }
}
