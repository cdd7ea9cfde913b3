//! `windrow approve`: says that waves may run as they are, or that steps outside are done.

use camino::Utf8PathBuf;
use executor::put;
use kube::ResourceExt as _;
use schemas::approval::WaveApproval;
use schemas::ids::WorkloadName;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, LoadedPlan};
use crate::output::Output;
use crate::progress::short;
use crate::{runtime, target};

/// Approve waves as they are, or say that steps outside are done
///
/// Writes `approvals/WAVE.yaml` beside the plan, for the wave's digest and its window's occurrence:
/// a wave that changes needs another one. Commit the file, in a folder that change managers own.
/// With `--step` it writes `approvals/step-NAME.yaml`: what waits for that step of the plan starts
/// once all that comes before the step is done too.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The waves, by name or by file name
    #[arg(value_name = "WAVE", required_unless_present = "steps")]
    waves: Vec<String>,
    /// A step outside that is done, by the name of its workload; may be given more than once
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<String>,
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(long, value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    /// A ticket, or who said so
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// Create the object in the cluster instead of the file
    #[arg(long)]
    cluster: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let plan = load::plan(&arguments.plan)?;
    let waves = target::waves(&plan, &target::waves_folder(&plan, None))?;
    let mut chosen = Vec::new();
    for name in &arguments.waves {
        match waves.iter().find(|wave| target::is_called(wave, name)) {
            Some(wave) => chosen.push(wave),
            None => {
                return Err(
                    Failure::refused(ApproveError::Unknown { name: name.clone() }).hint(format!(
                        "the plan has {}",
                        target::list(waves.iter().map(|w| w.value.name_any()))
                    )),
                );
            }
        }
    }
    let mut steps = Vec::new();
    for name in &arguments.steps {
        steps.push(step(&plan, name, arguments.reference.clone())?);
    }
    if !arguments.cluster {
        for (name, approval) in &steps {
            let path = target::write_step(&plan, name, approval)?;
            output.say(&format!("wrote {path}"));
        }
        for wave in chosen {
            let approval = target::approval_of(&wave.value, arguments.reference.clone());
            let path = target::write_approval(&plan, wave, &approval)?;
            output.say(&format!(
                "wrote {path} for {}",
                short(wave.value.spec.digest.as_str())
            ));
        }
        return Ok(Outcome::Done);
    }
    runtime::block_on(async {
        for (name, approval) in &steps {
            for target in target::of_waves(&waves) {
                let cluster = target::connect(&plan, target).await?;
                let put = put::approval(&cluster, approval).await;
                put.map_err(target::failed)?;
            }
            output.say(&format!("said that {name} is done"));
        }
        for wave in chosen {
            let cluster = target::connect(&plan, &wave.value.spec.target.name).await?;
            let approval = target::approval_of(&wave.value, arguments.reference.clone());
            put::approval(&cluster, &approval)
                .await
                .map_err(target::failed)?;
            output.say(&format!(
                "approved {} as {}",
                wave.value.name_any(),
                short(wave.value.spec.digest.as_str())
            ));
        }
        Ok(Outcome::Done)
    })
}

/// The word that the step `name` of the plan is done.
fn step(
    plan: &LoadedPlan,
    name: &str,
    reference: Option<String>,
) -> Result<(WorkloadName, WaveApproval), Failure> {
    let workloads = &plan.plan.value.spec.workloads;
    let steps = || {
        let steps = workloads.iter().filter_map(|workload| {
            let external = workload.external.as_ref()?;
            Some((&workload.name, external.done.approval.is_some()))
        });
        steps.filter(|(_, is_said)| *is_said).map(|(name, _)| name)
    };
    let known = steps().find(|known| known.as_str() == name);
    let Some(known) = known else {
        let problem = Failure::refused(ApproveError::UnknownStep {
            name: name.to_owned(),
        });
        let hint = match steps().next() {
            None => "no step of the plan has `done: { approval: required }`".to_owned(),
            Some(_) => format!("a person says so of {}", target::list(steps())),
        };
        return Err(problem.hint(hint));
    };
    Ok((
        known.clone(),
        target::approval_of_step(plan, known, reference),
    ))
}

/// Why nothing was approved.
#[derive(Debug, thiserror::Error)]
enum ApproveError {
    /// There is no such step, or nobody's word is asked for.
    #[error("find the step `{name}` among those that a person says are done")]
    UnknownStep {
        /// What was asked for.
        name: String,
    },
    /// There is no such wave.
    #[error("find the wave `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
}
