//! `windrow apply`: runs the approved waves of a plan from files, and tells how it goes.
//!
//! What it puts into the cluster (plan, waves, approvals) is what `windrow controller` and
//! `windrow status` read there too, so either may take over from it.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, BufRead as _};
use std::time::Duration;

use camino::Utf8PathBuf;
use executor::{Cluster, Ended, Lease, Scope, Until, drive, put};
use executor_machine::{At, Hold, MachineState, RunView};
use jiff::Timestamp;
use kube::ResourceExt as _;
use schemas::approval::WaveApproval;
use schemas::ids::{Namespace, TargetName, WaveName};
use schemas::wave::MigrationWave;
use tokio::sync::watch;

use crate::cli::PlanArgument;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Loaded, LoadedPlan};
use crate::output::Output;
use crate::progress::{Progress, hold_text, label, of_plan, short};
use crate::target;
use crate::{interrupt, runtime};

/// For the lease, while somebody else has it: longer than one who died blocks it (15 s).
const LEASE_PATIENCE: Duration = Duration::from_secs(25);

/// Run the approved waves of a plan
///
/// Puts plan, waves and approvals into the target's cluster, then imports one VM after the other:
/// creates each import just in time, follows it, and deletes it once its machine runs and that is
/// recorded. Asks before it approves a wave; without a terminal, a wave that nobody has approved is
/// left out. Kill it at any moment and run it again: it goes on, and imports nothing twice.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    /// Folder of the waves [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    waves: Option<Utf8PathBuf>,
    /// The target, where the waves are for several
    #[arg(long, value_name = "NAME")]
    target: Option<TargetName>,
    /// Approve every wave as it is, without asking
    #[arg(long, visible_alias = "yes")]
    approve: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    runtime::block_on(apply(arguments, output))
}

async fn apply(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let plan = load::plan(&arguments.plan.plan)?;
    let folder = target::waves_folder(&plan, arguments.waves.as_ref());
    let mut waves = target::waves(&plan, &folder)?;
    let name = target::choose(&plan, arguments.target.as_ref(), &waves)?;
    waves.retain(|wave| wave.value.spec.target.name == name);
    if waves.is_empty() {
        return Err(Failure::refused(ApplyError::NoWaves {
            folder,
            target: name,
        })
        .hint("decide them with `windrow plan`"));
    }
    let cluster = target::connect(&plan, &name).await?;
    check(&cluster, &plan, &waves).await?;
    announce(output, &plan, &waves, &cluster);
    let (waves, approvals) = approved(arguments, output, &plan, &cluster, waves).await?;

    let stop = interrupt::watch();
    let lease = take_lease(&cluster, output).await?;
    let ended = run_waves(&cluster, &lease, &plan, &waves, &approvals, stop, output).await;
    lease.release().await;
    conclude(ended, output)
}

/// Everything that can be known before something is created.
async fn check(
    cluster: &Cluster,
    plan: &LoadedPlan,
    waves: &[Loaded<MigrationWave>],
) -> Result<(), Failure> {
    cluster.check().await.map_err(target::failed)?;
    let machines: BTreeSet<Namespace> = waves
        .iter()
        .flat_map(|wave| {
            wave.value
                .spec
                .imports
                .iter()
                .map(|import| import.namespace.clone())
        })
        .collect();
    let mut namespaces = machines.clone();
    namespaces.insert(plan.namespace());
    cluster
        .check_namespaces(&namespaces)
        .await
        .map_err(target::failed)?;
    cluster
        .check_rights(&plan.namespace(), &machines)
        .await
        .map_err(target::failed)?;
    let uid = cluster.uid().await.map_err(target::failed)?;
    let other = waves.iter().find(|wave| {
        wave.value
            .spec
            .target
            .cluster_uid
            .as_ref()
            .is_some_and(|expected| *expected != uid)
    });
    if let Some(wave) = other {
        let path = wave.file.path.clone();
        return Err(Failure::refused(ApplyError::OtherCluster {
            path,
            url: cluster.url().into(),
        })
        .hint("look at the kubeconfig's context, or pull the target's inventory and plan again"));
    }
    let secrets: BTreeSet<At> = waves
        .iter()
        .flat_map(|wave| {
            wave.value
                .spec
                .sources
                .iter()
                .filter_map(|s| s.credentials.clone())
        })
        .map(|secret| At::new(plan.namespace(), secret))
        .collect();
    cluster
        .check_secrets(&secrets)
        .await
        .map_err(target::failed)
}

/// Says what would change before anything does.
fn announce(
    output: &Output,
    plan: &LoadedPlan,
    waves: &[Loaded<MigrationWave>],
    cluster: &Cluster,
) {
    let vms: usize = waves.iter().map(|wave| wave.value.spec.imports.len()).sum();
    let target = &waves[0].value.spec.target.name;
    output.say(&format!(
        "{}: {} in {} into {target} ({})",
        plan.name(),
        count(vms, "VM"),
        count(waves.len(), "wave"),
        cluster.url().trim_end_matches('/'),
    ));
    for wave in waves {
        let spec = &wave.value.spec;
        let window = spec.window.as_ref().map_or_else(String::new, |window| {
            format!(
                ", window {} {} from {}",
                window.name, window.occurrence, window.from
            )
        });
        output.say(&format!(
            "  {:<24} {}, {}{window}",
            wave.value.name_any(),
            count(spec.imports.len(), "VM"),
            short(spec.digest.as_str()),
        ));
    }
}

/// The waves that may run, and what approves them: files, objects in the cluster, or the person at
/// the terminal, whose answer becomes a file.
async fn approved(
    arguments: &Arguments,
    output: &Output,
    plan: &LoadedPlan,
    cluster: &Cluster,
    waves: Vec<Loaded<MigrationWave>>,
) -> Result<(Vec<Loaded<MigrationWave>>, Vec<WaveApproval>), Failure> {
    let now = Timestamp::now();
    let mut approvals: Vec<WaveApproval> = target::approvals(plan)?
        .into_iter()
        .map(|approval| approval.value)
        .collect();
    let there = put::approvals(cluster, &plan.namespace())
        .await
        .map_err(target::failed)?;
    let (mut run, mut left) = (Vec::new(), Vec::new());
    for wave in waves {
        let known = approvals.iter().chain(&there);
        if !target::is_approved(&wave.value, known, now) {
            if !(arguments.approve || asked(output, &wave.value)) {
                output.say(&format!(
                    "{} is not approved and stays out",
                    wave.value.name_any()
                ));
                left.push(WaveName::new(wave.value.name_any()));
                continue;
            }
            let approval = target::approval_of(&wave.value, Some(reference()));
            let path = target::write_approval(plan, &wave, &approval)?;
            output.say(&format!("wrote {path}"));
            approvals.push(approval);
        }
        run.push(wave);
    }
    if run.is_empty() {
        return Err(Failure::refused(ApplyError::NotApproved { waves: left })
            .hint("windrow approve WAVE…, or run this with --approve"));
    }
    // Old approvals of other digests stay in Git; the cluster needs only those that hold.
    let names: BTreeSet<String> = run.iter().map(|wave| wave.value.name_any()).collect();
    approvals.retain(|approval| {
        let wave = approval.spec.wave.as_ref();
        wave.is_none_or(|wave| names.contains(wave.as_str()))
    });
    Ok((run, approvals))
}

fn asked(output: &Output, wave: &MigrationWave) -> bool {
    if !output.interactive() {
        return false;
    }
    output.say(&format!(
        "approve {} ({}, {})? Its guests will be shut down, one after the other. [y/N]",
        wave.name_any(),
        count(wave.spec.imports.len(), "VM"),
        short(wave.spec.digest.as_str()),
    ));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}

fn reference() -> String {
    let user = env::var("USER").ok().filter(|user| !user.is_empty());
    format!("windrow apply by {}", user.as_deref().unwrap_or("somebody"))
}

/// The lease, as this process: another one of the same person is another holder.
async fn take_lease(cluster: &Cluster, output: &Output) -> Result<Lease, Failure> {
    let host = env::var("HOSTNAME")
        .ok()
        .or_else(host_name)
        .unwrap_or_else(|| "host".to_owned());
    let identity = format!(
        "apply@{host}:{}:{:x}",
        std::process::id(),
        Timestamp::now().as_millisecond()
    );
    let mut said = String::new();
    let waiting = |holder: &str| {
        if said != holder {
            output.say(&format!("waiting for `{holder}`, which drives this engine"));
            holder.clone_into(&mut said);
        }
    };
    Lease::take(cluster, &identity, Some(LEASE_PATIENCE), waiting)
        .await
        .map_err(target::failed)
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/etc/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

async fn run_waves(
    cluster: &Cluster,
    lease: &Lease,
    plan: &LoadedPlan,
    waves: &[Loaded<MigrationWave>],
    approvals: &[WaveApproval],
    stop: watch::Receiver<bool>,
    output: &Output,
) -> Result<Ended, executor::Error> {
    let mut object = plan.plan.value.clone();
    object.metadata.namespace = Some(plan.namespace().to_string());
    put::plan(cluster, &object).await?;
    // Approvals first: a controller that drives this engine next must not find a wave without.
    for approval in approvals {
        put::approval(cluster, approval).await?;
    }
    for wave in waves {
        put::wave(cluster, &wave.value).await?;
    }
    let waves = waves.iter().map(|wave| &wave.value);
    let scope = Scope::of_plan(plan.namespace(), plan.name(), waves);
    let mut progress = Progress::new(output, plan.name().as_str());
    drive(
        cluster,
        lease,
        scope,
        Until::Finished,
        stop,
        &mut progress,
        false,
    )
    .await
}

/// What it came to, and the last words.
fn conclude(ended: Result<Ended, executor::Error>, output: &Output) -> Result<Outcome, Failure> {
    match ended {
        Ok(Ended::Finished(view)) => Ok(finished(&view, output)),
        Ok(Ended::Stopped(view)) => {
            let active = view
                .machines
                .iter()
                .filter(|m| matches!(m.state, MachineState::Active(_)));
            output.say(&format!(
                "interrupted: {} on their way go on in the cluster; the same command resumes",
                count(active.count(), "import"),
            ));
            Ok(Outcome::Unfinished)
        }
        Err(error) => Err(target::failed(error)),
    }
}

fn finished(view: &RunView, output: &Output) -> Outcome {
    let total = view.machines.len();
    let done = view
        .machines
        .iter()
        .filter(|m| m.state == MachineState::Done)
        .count();
    output.say(&format!("{done} of {} running", count(total, "VM")));
    for machine in &view.machines {
        let why = match &machine.state {
            MachineState::Done => continue,
            MachineState::Failed(why) => format!("failed: {why}"),
            MachineState::Blocked { by, name, plan } => {
                let plan = of_plan(plan.as_ref());
                format!("held back: `{name}` ({by}){plan} failed")
            }
            MachineState::Waiting(wait) => {
                format!("not begun: waits for {}", crate::progress::wait_text(wait))
            }
            MachineState::Active(stage) => crate::progress::stage_name(*stage).to_owned(),
        };
        output.say(&format!("  {:<24} {why}", label(view, machine)));
    }
    let unfinished = |hold: &&Hold| {
        let mut machines = view.machines.iter();
        machines.any(|m| m.wave == hold.wave && m.state != MachineState::Done)
    };
    for hold in view.holds.iter().filter(unfinished) {
        output.say(&format!("  wave {}: {}", hold.wave, hold_text(hold)));
    }
    let begun = view
        .machines
        .iter()
        .any(|machine| machine.attempt.is_some());
    match (done == total, begun) {
        (true, _) => Outcome::Done,
        (false, true) => Outcome::Unfinished,
        (false, false) => Outcome::Refused,
    }
}

/// `1 VM`, `2 VMs`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    /// No waves.
    #[error("find waves for `{target}` in `{folder}`")]
    NoWaves {
        /// Where.
        folder: Utf8PathBuf,
        /// For which target.
        target: TargetName,
    },
    /// The wave is for another cluster.
    #[error("run `{path}` on `{url}`: the wave is for another cluster")]
    OtherCluster {
        /// The wave's file.
        path: Utf8PathBuf,
        /// The API server.
        url: String,
    },
    /// No approval.
    #[error("run {}: not approved", target::list(waves.iter()))]
    NotApproved {
        /// Which waves.
        waves: Vec<WaveName>,
    },
}
