//! `windrow controller`: the same run as `apply`, for every wave of one target, in its cluster.

use std::env;

use executor::{Cluster, Ended, Lease, Scope, Until, drive};
use jiff::Timestamp;
use schemas::ids::TargetName;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::{interrupt, runtime, target};

/// Run the waves of one target, in its cluster
///
/// Waits for the lease of the engine, then drives it for every wave of the target, in all
/// namespaces, until SIGTERM. Uses the pod's service account, else the current kubeconfig.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the target in the waves
    #[arg(long, value_name = "NAME")]
    target: TargetName,
    /// What the lease is held as [default: the host's name]
    #[arg(long, value_name = "TEXT")]
    identity: Option<String>,
    /// Run no wave without an approval, also none whose site asks for none: whoever may write a wave
    /// could otherwise do without the second pair of eyes
    #[arg(long)]
    require_approval: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    runtime::block_on(control(arguments, output))
}

async fn control(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let stop = interrupt::watch();
    let cluster = Cluster::infer().await.map_err(target::failed)?;
    cluster.check().await.map_err(target::failed)?;
    let host = || env::var("HOSTNAME").unwrap_or_else(|_| std::process::id().to_string());
    let name = arguments.identity.clone().unwrap_or_else(host);
    // A pod that is replaced keeps no name, a Deployment's restart does: two lives, two holders.
    let identity = format!("controller@{name}:{:x}", Timestamp::now().as_millisecond());

    let mut said = String::new();
    let waiting = |holder: &str| {
        if said != holder {
            output.say(&format!("waiting for `{holder}`, which drives this engine"));
            holder.clone_into(&mut said);
        }
    };
    let mut stopped = stop.clone();
    let lease = tokio::select! {
        lease = Lease::take(&cluster, &identity, None, waiting) => lease.map_err(target::failed)?,
        _ = stopped.wait_for(|stop| *stop) => return Ok(Outcome::Done),
    };
    output.say(&format!(
        "drives the engine of {} as `{identity}`",
        arguments.target
    ));

    let scope = Scope::Target(arguments.target.clone());
    let mut progress = Progress::lines(output);
    let ended = drive(
        &cluster,
        &lease,
        scope,
        Until::Stopped,
        stop,
        &mut progress,
        arguments.require_approval,
    )
    .await;
    lease.release().await;
    match ended {
        Ok(Ended::Finished(_) | Ended::Stopped(_)) => {
            output.say("stopped: imports that are under way go on");
            Ok(Outcome::Done)
        }
        Err(error) => Err(target::failed(error)),
    }
}
