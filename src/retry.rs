//! `windrow retry`: another attempt for machines that failed, another look at gates that did.

use std::io::{self, BufRead as _};

use camino::Utf8PathBuf;
use executor::put::{self, GateWord, Retry};
use executor_machine::At;
use jiff::Timestamp;
use schemas::ids::TargetName;
use schemas::wave::{MigrationWave, WaveImport};

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Loaded};
use crate::output::Output;
use crate::progress::stage_name;
use crate::{runtime, target};

/// Let machines that failed be tried again
///
/// Deletes what is left of the failed import, and takes its attempt back: the next `apply`, or the
/// controller, opens another one. That is a second full export with the guest off. A machine that
/// runs is never touched: where only its gate failed, that is looked at again.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The machines: NAME, SOURCE/NAME or SOURCE/ID
    #[arg(value_name = "VM", required = true)]
    vms: Vec<String>,
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(long, value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    /// Folder of the waves [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    waves: Option<Utf8PathBuf>,
    /// Go on without the gates of these machines: what waits for them starts
    #[arg(long)]
    accept: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let plan = load::plan(&arguments.plan)?;
    let waves = target::waves(
        &plan,
        &target::waves_folder(&plan, arguments.waves.as_ref()),
    )?;
    let mut chosen = Vec::new();
    for name in &arguments.vms {
        chosen.push(find(&waves, name)?);
    }
    if !arguments.yes && !arguments.accept && !asked(output, &chosen) {
        return Err(Failure::refused(RetryError::NotAsked).hint("say --yes"));
    }
    runtime::block_on(async {
        let mut outcome = Outcome::Done;
        for (name, import) in chosen {
            let cluster = target::connect(&plan, &name).await?;
            let record = At::new(plan.namespace(), import.record.clone());
            let now = Timestamp::now();
            let word = if arguments.accept {
                GateWord::Accept("a person goes on without it: `windrow retry --accept`".to_owned())
            } else {
                GateWord::Again
            };
            match put::retry(&cluster, &record, &word, now)
                .await
                .map_err(target::failed)?
            {
                Retry::Gate if arguments.accept => {
                    output.say(&format!("{}: its gate counts as holding", import.name));
                }
                Retry::Gate => {
                    output.say(&format!(
                        "{}: the next run looks at its gate again",
                        import.name
                    ));
                }
                Retry::Ready => {
                    output.say(&format!("{}: the next run tries again", import.name));
                }
                Retry::NotFailed(stage) => {
                    output.say(&format!(
                        "{}: has not failed, it is {}: nothing done",
                        import.name,
                        stage_name(stage)
                    ));
                    outcome = Outcome::Refused;
                }
                Retry::HasMachine(machine) => {
                    output.say(&format!(
                        "{}: machine `{machine}` was made after all, and deleting the import now \
                         would take its disks: the import goes on once it is ready; to begin \
                         anew, delete machine and import yourself. Nothing done",
                        import.name
                    ));
                    outcome = Outcome::Refused;
                }
                Retry::NoRecord => {
                    output.say(&format!("{}: was never begun: nothing done", import.name));
                    outcome = Outcome::Refused;
                }
            }
        }
        Ok(outcome)
    })
}

/// The import that `name` means, and its target.
fn find<'w>(
    waves: &'w [Loaded<MigrationWave>],
    name: &str,
) -> Result<(TargetName, &'w WaveImport), Failure> {
    let found: Vec<_> = waves
        .iter()
        .flat_map(|wave| {
            let target = &wave.value.spec.target.name;
            wave.value
                .spec
                .imports
                .iter()
                .map(move |import| (target, import))
        })
        .filter(|(_, import)| {
            import.name.as_str() == name
                || import.vm.to_string() == name
                || format!("{}/{}", import.vm.source, import.name) == name
        })
        .collect();
    match found.as_slice() {
        [(target, import)] => Ok(((*target).clone(), *import)),
        [] => Err(Failure::refused(RetryError::Unknown {
            name: name.to_owned(),
        })
        .hint("`windrow status` lists the machines of the plan")),
        several => Err(Failure::refused(RetryError::Ambiguous {
            name: name.to_owned(),
        })
        .hint(format!(
            "say which: {}",
            target::list(several.iter().map(|(_, i)| &i.vm))
        ))),
    }
}

fn asked(output: &Output, chosen: &[(TargetName, &WaveImport)]) -> bool {
    if !output.interactive() {
        return false;
    }
    let names = target::list(chosen.iter().map(|(_, import)| &import.name));
    output.say(&format!(
        "try {names} again? What is left of a failed import is deleted, and the guest will be \
         shut down for a second export. [y/N]"
    ));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum RetryError {
    /// There is no such machine.
    #[error("find the machine `{name}` in the waves")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// There are several.
    #[error("tell which machine `{name}` is: several bear the name")]
    Ambiguous {
        /// What was asked for.
        name: String,
    },
    /// Nobody said yes.
    #[error("try again: not confirmed")]
    NotAsked,
}
