//! `windrow approve`: says that waves may run as they are.

use camino::Utf8PathBuf;
use executor::put;
use kube::ResourceExt as _;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load;
use crate::output::Output;
use crate::progress::short;
use crate::{runtime, target};

/// Approve waves as they are
///
/// Writes `approvals/WAVE.yaml` beside the plan, for the wave's digest and its window's occurrence:
/// a wave that changes needs another one. Commit the file, in a folder that change managers own.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The waves, by name or by file name
    #[arg(value_name = "WAVE", required = true)]
    waves: Vec<String>,
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
    if !arguments.cluster {
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

/// Why nothing was approved.
#[derive(Debug, thiserror::Error)]
enum ApproveError {
    /// There is no such wave.
    #[error("find the wave `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
}
