//! The loop: look, step, act, and again.
//!
//! Takes a cluster, a scope and the lease; runs the machine against the watches until the run is
//! finished, somebody stops it, or the lease is lost. It keeps what the machine is promised:
//! - no step before every watch has a complete list, nor while one of them fails;
//! - no step on a picture older than our own last write;
//! - an action that fails is dropped, never kept for later: the next step says it again.
//!
//! What it must never do: decide anything. Which VM, which moment and which order are the
//! machine's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use executor_machine::{Action, At, MachineState, RunView, Step};
use jiff::{SignedDuration, Timestamp};
use schemas::machine::Stage;
use tokio::sync::watch;

use crate::act::{Hands, Outcome};
use crate::cluster::Cluster;
use crate::error::{Class, Error};
use crate::lease::Lease;
use crate::observe::{Picture, Scope, Watches, Write};
use crate::plan_status::plan_status;
use crate::probe::Probes;
use crate::scratch;

/// Changes come in bursts (an image makes several a second); so long they are gathered.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// For the first lists. A cluster that needs longer for 500 objects a page is in trouble.
const SYNC_TIMEOUT: Duration = Duration::from_mins(1);
/// For a watch to show our own writes. After that the loop goes on: what it would do wrongly on an
/// old picture, the preconditions of its actions refuse.
const OWN_WRITES_TIMEOUT: Duration = Duration::from_secs(15);
/// A watch that has failed for so long ends the run: it is better seen than waited for.
const BLIND_MAX: Duration = Duration::from_mins(5);
/// Pauses after a step of which an action failed: doubled each time.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// After a step that met a cluster other than its picture, if no change is seen earlier.
const LOOK_AGAIN_PAUSE: Duration = Duration::from_secs(1);
/// Between two writes of one status, so that `kubectl get --watch` stays readable.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// A guest that shuts down is written into its record after so long only: most are off by then, and
/// the record that says so has both times (the engine's own). Saves a write for most machines.
const SHUTDOWN_IS_NEWS_AFTER: Duration = Duration::from_secs(15);
/// As well for a machine that boots: the record that says that it runs has all its times.
const BOOTING_IS_NEWS_AFTER: Duration = Duration::from_mins(1);
/// Between two listings of the scratch.
const SCRATCH_EVERY: Duration = Duration::from_secs(30);

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When nothing more will happen: `apply`. What we may not do ends it too.
    Finished,
    /// Never: `controller`.
    Stopped,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing more will happen by itself.
    Finished(RunView),
    /// It was stopped; what is under way goes on without us.
    Stopped(RunView),
}

/// Something worth telling that is not in a [`RunView`].
#[derive(Debug)]
pub enum Notice<'a> {
    /// Every watch has a complete list.
    Synced,
    /// An action was carried out.
    Did(&'a Action),
    /// An action failed; it is tried again after `pause`.
    Failed {
        /// Why.
        error: &'a Error,
        /// When again.
        pause: Duration,
    },
    /// A watch fails; nothing is decided until it is back.
    Blind {
        /// Of which kind.
        kind: &'static str,
        /// Why.
        reason: &'a str,
    },
    /// All watches are back.
    SeesAgain,
}

/// Who wants to know how a run goes.
pub trait Observer: Send {
    /// How it stands, after every step.
    fn view(&mut self, view: &RunView, now: Timestamp);
    /// Something happened.
    fn notice(&mut self, notice: Notice<'_>);
}

/// Drives the engine of `cluster` for what `scope` says, holding `lease`, until it ends or `stop`
/// becomes true. With `require_approval` a wave that says it needs no approval needs one all the same.
pub async fn drive(
    cluster: &Cluster,
    lease: &Lease,
    scope: Scope,
    until: Until,
    stop: watch::Receiver<bool>,
    observer: &mut dyn Observer,
    require_approval: bool,
) -> Result<Ended, Error> {
    // Boxed: a dozen watches start in it.
    let watches = Box::pin(Watches::start(cluster, scope)).await?;
    let mut driver = Driver {
        cluster,
        lease,
        until,
        stop,
        observer,
        hands: Hands::new(cluster.client().clone()),
        probes: Probes::new(cluster.client().clone()),
        watches,
        unseen: Vec::new(),
        failures: 0,
        blind: false,
        statuses: BTreeMap::new(),
        scratch: None,
        refused: BTreeMap::new(),
        require_approval,
        view: RunView::default(),
    };
    let ended = Box::pin(driver.run()).await;
    ended.map_err(|error| broken_off(error, until, &driver.view))
}

/// How the run stands, without doing anything: for `windrow status`. Needs no lease.
pub async fn look(cluster: &Cluster, scope: Scope) -> Result<RunView, Error> {
    let watches = Box::pin(Watches::start(cluster, scope)).await?;
    let synced = async {
        while !watches.synced() {
            watches.changed().await;
        }
    };
    if tokio::time::timeout(SYNC_TIMEOUT, synced).await.is_err() {
        return Err(too_blind(&watches));
    }
    Ok(executor_machine::step(&watches.picture().observed, Timestamp::now()).view)
}

struct Driver<'a> {
    cluster: &'a Cluster,
    lease: &'a Lease,
    until: Until,
    stop: watch::Receiver<bool>,
    observer: &'a mut dyn Observer,
    hands: Hands,
    probes: Probes,
    watches: Watches,
    /// Writes of ours that the watches do not show yet.
    unseen: Vec<Write>,
    /// Steps in a row of which an action failed.
    failures: u32,
    /// A watch is failing, and the observer knows.
    blind: bool,
    /// When each status was last written.
    statuses: BTreeMap<StatusOf, Instant>,
    /// The last listing of the scratch, and when.
    scratch: Option<(Instant, Option<BTreeSet<String>>)>,
    /// Imports that the API server will not have, and why.
    require_approval: bool,
    refused: BTreeMap<At, String>,
    view: RunView,
}

/// An object whose status we write at intervals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum StatusOf {
    Wave(At),
    Plan(At),
}

/// What came of carrying out a step.
#[derive(Default)]
struct Done {
    /// Look again after so long even if nothing changes.
    pause: Option<Duration>,
    /// Something was to be done.
    busy: bool,
}

impl Driver<'_> {
    async fn run(&mut self) -> Result<Ended, Error> {
        let began = Instant::now();
        while !self.watches.synced() {
            if self.stopped()? {
                return Ok(self.end());
            }
            if began.elapsed() > SYNC_TIMEOUT {
                return Err(too_blind(&self.watches));
            }
            self.wait(Some(LOOK_AGAIN_PAUSE)).await;
        }
        self.observer.notice(Notice::Synced);
        loop {
            if self.stopped()? {
                return Ok(self.end());
            }
            if !self.sees().await? {
                continue;
            }
            let picture = self.look().await;
            let now = Timestamp::now();
            let step = executor_machine::step(&picture.observed, now);
            self.observer.view(&step.view, now);
            self.view = step.view.clone();
            self.probes.start(&step.probes);
            let done = self.carry_out(&step, &picture, now).await?;
            if step.view.finished && !done.busy && self.until == Until::Finished {
                return Ok(Ended::Finished(std::mem::take(&mut self.view)));
            }
            let wake = step.wake.map(|at| unsigned(at.duration_since(now)));
            let pause = [wake, done.pause].into_iter().flatten().min();
            if done.busy && done.pause.is_none() {
                // All went well: the next step needs only to see it.
                continue;
            }
            self.wait(pause).await;
        }
    }

    /// Whether somebody asked us to stop; an error if the lease is lost.
    fn stopped(&self) -> Result<bool, Error> {
        self.lease.check()?;
        Ok(*self.stop.borrow())
    }

    fn end(&mut self) -> Ended {
        Ended::Stopped(std::mem::take(&mut self.view))
    }

    /// Waits for a change, but no longer than `pause`, then gathers what comes with it.
    async fn wait(&mut self, pause: Option<Duration>) {
        let mut stop = self.stop.clone();
        let timer = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.watches.changed() => tokio::time::sleep(DEBOUNCE).await,
            () = self.probes.came() => tokio::time::sleep(DEBOUNCE).await,
            () = timer => {}
            // An error means that nobody can stop us any more: a stop.
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.lease.lost() => {}
        }
    }

    /// Whether the picture is fit to decide on: the watches work, and show what we wrote. If not,
    /// it has waited a little.
    async fn sees(&mut self) -> Result<bool, Error> {
        if let Some((kind, since, reason)) = self.watches.trouble() {
            if since > BLIND_MAX {
                return Err(too_blind(&self.watches));
            }
            if !self.blind {
                self.observer.notice(Notice::Blind {
                    kind,
                    reason: &reason,
                });
                self.blind = true;
            }
            self.wait(Some(LOOK_AGAIN_PAUSE)).await;
            return Ok(false);
        }
        if self.blind {
            self.observer.notice(Notice::SeesAgain);
            self.blind = false;
        }
        let began = Instant::now();
        loop {
            let watches = &self.watches;
            self.unseen.retain(|write| !watches.show(write));
            if self.unseen.is_empty() {
                return Ok(true);
            }
            if began.elapsed() > OWN_WRITES_TIMEOUT {
                tracing::warn!(writes = ?self.unseen, "watches do not show our writes");
                self.unseen.clear();
                return Ok(true);
            }
            if self.stopped()? {
                return Ok(false);
            }
            self.wait(Some(LOOK_AGAIN_PAUSE)).await;
        }
    }

    /// The picture, with the scratch's files where those tell more.
    async fn look(&mut self) -> Picture {
        let mut picture = self.watches.picture();
        if picture.observed.wants_scratch_files() {
            let files = match self.scratch.take() {
                Some((when, files)) if when.elapsed() < SCRATCH_EVERY => (when, files),
                _ => (Instant::now(), scratch::files(self.cluster.client()).await),
            };
            picture.observed.scratch_files.clone_from(&files.1);
            self.scratch = Some(files);
        }
        picture.observed.refused.clone_from(&self.refused);
        picture.observed.probes = self.probes.results();
        picture.observed.require_approval = self.require_approval;
        picture
    }

    /// Carries out the actions of a step in their order, then says how the plans stand.
    async fn carry_out(
        &mut self,
        step: &Step,
        picture: &Picture,
        now: Timestamp,
    ) -> Result<Done, Error> {
        let mut done = Done::default();
        let mut failed = false;
        // The cluster is no longer what the picture says. Then nothing new is begun on it; what is
        // seen of the others is still recorded, so that one object in trouble keeps none back.
        let mut stale = false;
        for action in &step.actions {
            if self.stopped()? {
                break;
            }
            if stale && begins(action) {
                continue;
            }
            if let Action::WaveStatus { at, .. } = action
                && let Some(pause) = self.too_early(StatusOf::Wave(at.clone()), step)
            {
                done.wait(pause);
                continue;
            }
            if let Some(pause) = is_no_news(action, picture, now) {
                done.wait(pause);
                continue;
            }
            done.busy = true;
            match self
                .hands
                .act(action, &picture.observed, &step.actions)
                .await
            {
                Ok(Outcome::Done(write)) => {
                    tracing::debug!(action = name_of(action), "done");
                    self.unseen.push(write);
                    self.observer.notice(Notice::Did(action));
                }
                Ok(Outcome::LookAgain) => {
                    done.wait(LOOK_AGAIN_PAUSE);
                    stale = true;
                }
                Err(error) => {
                    if let Some((import, why)) = refusal(action, &error) {
                        tracing::warn!(%import, why, "refused");
                        self.refused.insert(import, why);
                        continue;
                    }
                    if self.until == Until::Finished && matches!(error, Error::Forbidden { .. }) {
                        return Err(error);
                    }
                    failed = true;
                    let pause = pause_after(self.failures);
                    done.wait(pause);
                    self.observer.notice(Notice::Failed {
                        error: &error,
                        pause,
                    });
                    // An API server in trouble would fail the others too; one object that it
                    // refuses is no reason to keep the others waiting.
                    if error.class() == Class::Unavailable {
                        break;
                    }
                }
            }
        }
        self.failures = if failed {
            self.failures.saturating_add(1)
        } else {
            0
        };
        self.say_plans(step, picture, now, &mut done).await;
        Ok(done)
    }

    /// How long a status has to wait for its turn; none when it is due. The last word is always due.
    fn too_early(&mut self, status: StatusOf, step: &Step) -> Option<Duration> {
        if !step.view.finished
            && let Some(last) = self.statuses.get(&status)
            && let Some(rest) = STATUS_EVERY.checked_sub(last.elapsed())
        {
            return Some(rest);
        }
        self.statuses.insert(status, Instant::now());
        None
    }

    /// Writes the status of every plan that has waves in the run, where it has changed.
    async fn say_plans(&mut self, step: &Step, picture: &Picture, now: Timestamp, done: &mut Done) {
        let mut waves: BTreeMap<At, Vec<&str>> = BTreeMap::new();
        for (at, wave) in &picture.observed.waves {
            let plan = At::new(at.namespace.clone(), wave.spec.plan.as_str());
            waves.entry(plan).or_default().push(at.name.as_str());
        }
        for (at, waves) in waves {
            let Some(plan) = picture.plans.get(&at) else {
                continue;
            };
            let before = plan.status.as_ref();
            let status = plan_status(&step.view, &waves, &at, plan.generation, now, before);
            if before == Some(&status) {
                continue;
            }
            if let Some(pause) = self.too_early(StatusOf::Plan(at.clone()), step) {
                done.wait(pause);
                continue;
            }
            match self.hands.plan_status(&at, &status).await {
                Ok(Outcome::Done(write)) => self.unseen.push(write),
                Ok(Outcome::LookAgain) => {}
                // A plan's status is for people: a run does not depend on it.
                Err(error) => tracing::warn!(plan = %at, %error, "status not written"),
            }
        }
    }
}

/// The error of a run that ends by itself and had to end early: with machines begun, that is what
/// its caller has to know first.
fn broken_off(error: Error, until: Until, view: &RunView) -> Error {
    let begun = view.machines.iter().any(|m| m.attempt.is_some());
    let done = view.machines.iter().all(|m| m.state == MachineState::Done);
    if until == Until::Finished && begun && !done {
        let source = Box::new(error);
        return Error::Midway { source };
    }
    error
}

/// The import that the API server will not have, and what it says: its namespace is gone or
/// going, a quota, a policy. Not what mends itself, nor a name that is taken.
fn refusal(action: &Action, error: &Error) -> Option<(At, String)> {
    let Action::CreateImport { at, .. } = action else {
        return None;
    };
    Some((at.clone(), error.refused_creation()?))
}

/// The error of watches that have shown nothing new for too long.
fn too_blind(watches: &Watches) -> Error {
    let (kind, since, reason) = watches.trouble().unwrap_or_else(|| {
        (
            "all",
            SYNC_TIMEOUT,
            "the first lists did not come".to_owned(),
        )
    });
    Error::Blind {
        kind,
        minutes: since.as_secs() / 60,
        reason,
    }
}

impl Done {
    fn wait(&mut self, pause: Duration) {
        self.pause = Some(self.pause.map_or(pause, |before| before.min(pause)));
    }
}

/// The pause after a step that failed, `failures` such steps before it.
fn pause_after(failures: u32) -> Duration {
    (RETRY_PAUSE_MIN * 2_u32.pow(failures.min(5))).min(RETRY_PAUSE_MAX)
}

/// How long a write may wait that the next one will probably make superfluous. The first one of an
/// attempt never may: it says that the import is there.
fn is_no_news(action: &Action, picture: &Picture, now: Timestamp) -> Option<Duration> {
    let Action::Record { at, status, .. } = action else {
        return None;
    };
    let (began, after) = match status.stage {
        Stage::ShuttingDown => (status.times.shutdown?, SHUTDOWN_IS_NEWS_AFTER),
        Stage::Booting => (status.times.machine?, BOOTING_IS_NEWS_AFTER),
        _ => return None,
    };
    let known = picture.observed.records.get(at)?.status.as_ref()?;
    if known.attempt != status.attempt || known.uid != status.uid {
        return None;
    }
    after.checked_sub(unsigned(now.duration_since(began)))
}

/// An instant that is past is due now.
fn unsigned(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

/// Whether an action sets something going.
fn begins(action: &Action) -> bool {
    matches!(
        action,
        Action::OpenRecord { .. } | Action::OpenAttempt { .. } | Action::CreateImport { .. }
    )
}

/// What an action is called in logs.
pub(crate) fn name_of(action: &Action) -> &'static str {
    match action {
        Action::CreateSource { .. } => "createSource",
        Action::OpenRecord { .. } => "openRecord",
        Action::OpenAttempt { .. } => "openAttempt",
        Action::CreateImport { .. } => "createImport",
        Action::Record { .. } => "record",
        Action::NudgeImage { .. } => "nudgeImage",
        Action::DeleteImport { .. } => "deleteImport",
        Action::WaveStatus { .. } => "waveStatus",
    }
}

#[cfg(test)]
mod tests {
    use executor_machine::{MachineView, Observed, Record};
    use jiff::ToSpan as _;
    use kube::core::Status;
    use schemas::machine::{Attempt, MachineSpec, MachineStatus, Times};
    use schemas::upstream::VirtualMachineImportSpec;

    use super::*;

    fn answered(verb: &'static str, code: u16) -> Error {
        let status = Status {
            code,
            message: format!("code {code}"),
            ..Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        Error::of(verb, "VirtualMachineImport `erp/w1`", error)
    }

    // What the API server will not have is a machine's failure; what mends itself, what is ours to
    // mend and what other requests got is not.
    #[test]
    fn refusals() {
        let action = Action::CreateImport {
            at: At::new("erp", "w1"),
            record: "erp-1".into(),
            plan: "erp".into(),
            attempt: 1,
            spec: VirtualMachineImportSpec::default(),
        };
        for code in [400, 401, 403, 404, 409, 422, 429, 500, 503] {
            let refused = refusal(&action, &answered("create", code));
            assert_eq!(
                refused.map(|(_, said)| said),
                matches!(code, 400 | 403 | 404 | 422).then(|| format!("code {code}")),
            );
        }
        assert_eq!(refusal(&action, &answered("get", 403)), None);
        let other = Action::DeleteImport {
            at: At::new("erp", "w1"),
            uid: "u".to_owned(),
            resource_version: None,
        };
        assert_eq!(refusal(&other, &answered("create", 403)), None);
    }

    // A run that breaks off with machines begun says so; one that had not begun, or had done all,
    // says what went wrong.
    #[test]
    fn midway() {
        let machine = |state, number: Option<u32>| MachineView {
            vm: "shelf/erp".parse().expect("a key"),
            name: "erp".into(),
            machine: At::new("erp", "erp"),
            wave: "erp-010".into(),
            workload: "erp".into(),
            record: At::new("plans", "erp-1"),
            state,
            attempt: number.map(|number| Attempt {
                number,
                import: "w1".into(),
                opened: Timestamp::UNIX_EPOCH,
            }),
            times: schemas::machine::Times::default(),
            off: None,
            ready: None,
        };
        let class = |machines: Vec<MachineView>, until| {
            let view = RunView {
                machines,
                ..RunView::default()
            };
            broken_off(answered("create", 403), until, &view).class()
        };
        let active = machine(MachineState::Active(Stage::Exporting), Some(1));
        let failed = machine(MachineState::Failed("no".to_owned()), None);
        let done = machine(MachineState::Done, Some(1));
        let until = Until::Finished;
        assert_eq!(class(vec![active.clone()], until), Class::Unfinished);
        assert_eq!(
            class(vec![done.clone(), failed.clone()], until),
            Class::Unfinished
        );
        assert_eq!(class(vec![active], Until::Stopped), Class::Refused);
        assert_eq!(class(vec![failed], until), Class::Refused);
        assert_eq!(class(vec![done], until), Class::Refused);
        assert_eq!(class(Vec::new(), until), Class::Refused);
    }

    // A machine that boots is written into its record only once that has lasted; never where the
    // record does not know its import yet.
    #[test]
    fn news() {
        let made = Timestamp::UNIX_EPOCH;
        let status = |stage, uid: Option<&str>| MachineStatus {
            stage,
            attempt: 1,
            uid: uid.map(str::to_owned),
            times: Times {
                machine: Some(made),
                ..Times::default()
            },
            ..MachineStatus::default()
        };
        let at = At::new("plans", "erp-1");
        let pause = |known: MachineStatus, seconds: i64| {
            let spec: MachineSpec = serde_json::from_value(serde_json::json!({
                "vm": "shelf/erp", "name": "erp", "plan": "erp", "wave": "erp-010",
                "digest": "sha256:0", "namespace": "erp", "machine": "erp",
                "size": { "peak": "2Gi", "resident": "1Gi", "transfer": "1Gi", "disks": "1Gi" },
                "attempt": { "number": 1, "import": "w1", "opened": "2026-11-28T00:00:00Z" },
            }))
            .expect("a spec");
            let record = Record {
                spec,
                status: Some(known),
                generation: 1,
                resource_version: "7".to_owned(),
            };
            let mut observed = Observed::default();
            observed.records.insert(at.clone(), record);
            let picture = Picture {
                observed,
                plans: BTreeMap::new(),
            };
            let action = Action::Record {
                at: at.clone(),
                resource_version: "7".to_owned(),
                status: status(Stage::Booting, Some("u")),
            };
            is_no_news(&action, &picture, made + seconds.seconds())
        };
        let known = || status(Stage::Imaging, Some("u"));
        assert_eq!(pause(known(), 20), Some(Duration::from_secs(40)));
        assert_eq!(pause(known(), 61), None);
        assert_eq!(pause(status(Stage::Admitted, None), 20), None);
    }
}
