//! `windrow stop`: nothing more is begun.

use executor::put;
use executor_machine::StopMode;
use schemas::ids::{Namespace, TargetName};
use schemas::upstream::ENGINE_NAMESPACE;

use crate::cli::PlanArgument;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, LoadedPlan};
use crate::output::Output;
use crate::{runtime, target};

/// Begin nothing more
///
/// Creates a config map named `windrow-stop`, which no Git tool owns; any one of that name stops, also
/// one made by hand. Imports that the engine has begun go on: it cannot be interrupted.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// What to stop
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
}

/// Which runs are meant: those of the plan's namespace, or all of a target.
#[derive(Debug, clap::Args)]
pub struct Place {
    #[command(flatten)]
    plan: PlanArgument,
    /// Everything on this target of the plan's site, not only what is in the plan's namespace
    #[arg(long, value_name = "NAME")]
    target: Option<TargetName>,
}

/// What a stop stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// Create no more imports
    #[default]
    Admit,
    /// And delete those that the engine has not begun
    Withdraw,
}

impl Place {
    /// The plan, the target whose cluster is meant, and the namespace.
    pub fn read(&self) -> Result<(LoadedPlan, TargetName, Namespace), Failure> {
        let plan = load::plan(&self.plan.plan)?;
        let name = target::choose(&plan, self.target.as_ref(), &[])?;
        let namespace = match self.target {
            Some(_) => Namespace::from(ENGINE_NAMESPACE),
            None => plan.namespace(),
        };
        Ok((plan, name, namespace))
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    runtime::block_on(async {
        let (plan, name, namespace) = arguments.place.read()?;
        let cluster = target::connect(&plan, &name).await?;
        let mode = match arguments.mode {
            Mode::Admit => StopMode::Admit,
            Mode::Withdraw => StopMode::Withdraw,
        };
        put::stop(&cluster, &namespace, mode)
            .await
            .map_err(target::failed)?;
        output.say(&format!(
            "stopped in namespace `{namespace}` of {name}: nothing more is begun; windrow start \
             takes it back"
        ));
        Ok(Outcome::Done)
    })
}
