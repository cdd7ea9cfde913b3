//! `windrow crd`: the custom resource definitions, for `kubectl apply`.

use schemas::crd;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Print the custom resource definitions as YAML
///
/// For `windrow crd | kubectl apply --server-side -f -`; the same files are in `deploy/crds`.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub fn run(_arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    output.exact(&crd::manifests(&crd::all()));
    Ok(Outcome::Done)
}
