//! `windrow explain`: what a finding means, and why a VM is where it is. Reads files only.

use camino::Utf8PathBuf;
use planner::Refusal;
use planner::check::table;
use planner::explain;
use planner::resolve::{Index, reference};
use schemas::ids::VmKey;
use schemas::inventory::Inventory;
use schemas::yaml;

use crate::cli::{Format, InputArguments};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs};
use crate::output::Output;
use crate::plan::PlanError;

/// Explain a finding's code, or why a VM is where it is
///
/// A code such as `W01` prints the page about that finding. A VM prints what its source says of it,
/// what the plan makes of it, when it moves, and what was found. The plan is decided anew from its
/// files, and nothing is written.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A finding's code, or a VM: `NAME`, `SOURCE/NAME` or `SOURCE/ID`
    #[arg(value_name = "CODE|VM")]
    what: String,
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(long, value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    #[command(flatten)]
    input: InputArguments,
    /// Print a VM's part as text, JSON or YAML
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    if let Some(page) = table::page(&arguments.what) {
        output.data(&page);
        return Ok(Outcome::Done);
    }
    let Inputs {
        plan: loaded,
        inventory,
        committed,
    } = load::inputs(&arguments.plan, &arguments.input, None)?;
    let key = one_vm(&arguments.what, &inventory)?;
    let planned = planner::plan_after(&loaded.plan.value, loaded.site(), &inventory, &committed);
    let planned = match planned {
        Ok(planned) => planned,
        Err(Refusal::Invalid(found)) => {
            return Err(Failure::diagnostics(loaded.diagnostics(&found)));
        }
        Err(Refusal::Blocked { findings, .. }) => {
            let blockers = findings.iter().filter(|finding| finding.blocks()).count();
            return Err(
                Failure::refused(PlanError::Blocked(blockers)).hint("`windrow plan` lists them")
            );
        }
        Err(Refusal::Unsound(violations)) => return Err(PlanError::unsound(violations)),
    };
    let explained = explain::explain(&planned, &inventory, &key, &|path| loaded.locate(path))
        .expect("the VM was found in this inventory");
    match arguments.output {
        Format::Table => output.data(&explained.text()),
        Format::Json => output.data(&format!(
            "{:#}\n",
            serde_json::to_value(&explained).expect("it has a JSON form")
        )),
        Format::Yaml => output.exact(&yaml::write(&explained)),
    }
    Ok(Outcome::Done)
}

/// The one VM of the inventory that `text` means.
pub(crate) fn one_vm(text: &str, inventory: &Inventory) -> Result<VmKey, Failure> {
    let index = Index::of(inventory);
    let found = reference::find(text, &index);
    let text = text.to_owned();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let names = index.sources().flat_map(|(_, vms)| vms.names());
            let codes = table::CHECKS.iter().map(|check| check.code);
            let near = planner::diagnostic::nearest(&text, names.chain(codes));
            let hint = near.map_or_else(
                || "`windrow inventory show` lists all VMs".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Err(Failure::refused(ExplainError::Unknown { text }).hint(hint))
        }
        several => {
            let hint = format!("write one of {}", planner::diagnostic::list(several));
            let number = several.len();
            Err(Failure::refused(ExplainError::Ambiguous { text, number }).hint(hint))
        }
    }
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    /// Neither a code nor a VM.
    #[error("tell what `{text}` is: no finding has that code, and no VM that name")]
    Unknown {
        /// As written.
        text: String,
    },
    /// Several VMs.
    #[error("tell what `{text}` is: {number} VMs are called so")]
    Ambiguous {
        /// As written.
        text: String,
        /// How many.
        number: usize,
    },
}
