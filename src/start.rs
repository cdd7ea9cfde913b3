//! `windrow start`: takes a stop back.

use executor::put;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::stop::Place;
use crate::{runtime, target};

/// Take a stop back
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    runtime::block_on(async {
        let (plan, name, namespace) = arguments.place.read()?;
        let cluster = target::connect(&plan, &name).await?;
        let was_there = put::start(&cluster, &namespace)
            .await
            .map_err(target::failed)?;
        output.say(&if was_there {
            format!("what is in namespace `{namespace}` of {name} goes on")
        } else {
            format!("nothing was stopped in namespace `{namespace}` of {name}")
        });
        Ok(Outcome::Done)
    })
}
