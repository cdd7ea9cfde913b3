//! `windrow remedy`: a script for what is to be mended at the sources. Reads files only, runs nothing.

use camino::Utf8PathBuf;
use planner::check::{self, table};
use planner::diagnostic::count;
use planner::remedy::{self, Tool, Wanted};
use planner::resolve::resolve;

use crate::cli::InputArguments;
use crate::exit::Outcome;
use crate::explain::one_vm;
use crate::failure::Failure;
use crate::load::{self, Inputs};
use crate::output::Output;

/// Print a script that mends at the source what was found
///
/// Writes shell commands with comments to stdout: what was found of each VM, and the command that
/// mends it. What needs a decision or a value stands there as a comment. It runs nothing and
/// connects to nothing; waived findings are left out.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// VMs: `NAME`, `SOURCE/NAME` or `SOURCE/ID` [default: all of the plan]
    #[arg(value_name = "VM")]
    vms: Vec<String>,
    /// The command to write for
    #[arg(long = "as", value_name = "COMMAND", value_enum)]
    tool: ToolArgument,
    /// Only findings of this code; may be given several times
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(long, value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    #[command(flatten)]
    input: InputArguments,
}

/// Commands that scripts can be written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ToolArgument {
    /// VMware's govc, for vSphere
    Govc,
    /// The OpenStack client
    Openstack,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    for code in &arguments.code {
        if table::check(code).is_none() {
            let codes = table::CHECKS.iter().map(|check| check.code);
            let near = planner::diagnostic::nearest(code, codes);
            let failure = Failure::misused(RemedyError::Code(code.clone()));
            return Err(match near {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure,
            });
        }
    }
    let Inputs {
        plan, inventory, ..
    } = load::inputs(&arguments.plan, &arguments.input, None)?;
    let mut wanted = Wanted {
        codes: arguments.code.iter().cloned().collect(),
        ..Wanted::default()
    };
    for text in &arguments.vms {
        wanted.vms.insert(one_vm(text, &inventory)?);
    }
    let resolved = resolve(&plan.plan.value, plan.site(), &inventory)
        .map_err(|found| Failure::diagnostics(plan.diagnostics(&found)))?;
    let checked = check::check(resolved, &inventory);
    let tool = match arguments.tool {
        ToolArgument::Govc => Tool::Govc,
        ToolArgument::Openstack => Tool::Openstack,
    };
    let script = remedy::script(&checked, &inventory, tool, &wanted);
    output.data(&script.text);
    let left: usize = script.left.values().sum();
    let commands = count(script.mended, "finding");
    output.say(&format!(
        "{commands} with a remedy, {left} without; nothing was run"
    ));
    Ok(Outcome::Done)
}

/// Why no script was written.
#[derive(Debug, thiserror::Error)]
enum RemedyError {
    /// No such code.
    #[error("write a script: no finding has the code `{0}`")]
    Code(String),
}
