//! `windrow init`: a draft of a plan from an inventory, which it reads first where it is told from
//! where.

mod sources;

use std::fs;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use planner::draft::{self, By, Options};
use schemas::inventory::Inventory;
use schemas::plan::MigrationPlan;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::runtime;

/// Draft a plan from an inventory
///
/// The inventory is read first from the sources that --vmware, --openstack and --ova name; without
/// them, it is what `windrow inventory pull` wrote before.
///
/// Puts every VM of the snapshots into a workload: by vApp, affinity rule, tag, folder, name or
/// network, whatever first puts it beside another one, or by what `--by` says. Dependencies that the
/// sources' rules or the names of the groups suggest are written as proposals. The draft is valid and
/// can be planned at once; comments say what to look at.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the snapshots are, or go
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    inventory: Utf8PathBuf,
    #[command(flatten)]
    draft: DraftArguments,
    /// Group VMs by this alone
    #[arg(long, value_enum)]
    by: Option<ByName>,
    #[command(flatten)]
    sources: sources::SourceArguments,
}

/// What a draft is called and where it goes.
#[derive(Debug, clap::Args)]
pub struct DraftArguments {
    /// The plan's name
    #[arg(long, default_value = "fleet")]
    name: String,
    /// The namespace of the plan's objects, and of its machines
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The file; it must not be there yet. `-` prints it
    #[arg(long, value_name = "FILE", default_value = "plan.yaml")]
    out: Utf8PathBuf,
}

/// By what VMs are grouped.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ByName {
    /// The vApp that they are in
    Vapp,
    /// An affinity rule that they share
    Rule,
    /// A tag
    Tag,
    /// Their folder
    Folder,
    /// Their name without the number at its end
    Name,
    /// The network of their first interface
    Network,
}

impl From<ByName> for By {
    fn from(by: ByName) -> Self {
        match by {
            ByName::Vapp => Self::Vapp,
            ByName::Rule => Self::Rule,
            ByName::Tag => Self::Tag,
            ByName::Folder => Self::Folder,
            ByName::Name => Self::Name,
            ByName::Network => Self::Network,
        }
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    arguments.draft.is_free()?;
    if !arguments.sources.is_empty() {
        let (name, namespace) = (&arguments.draft.name, &arguments.draft.namespace);
        let pull = &arguments.sources;
        runtime::block_on(pull.pull(name, namespace, &arguments.inventory, output))?;
    }
    let inventory = snapshots(&arguments.inventory)?;
    let options = arguments.draft.options(arguments.by.map(By::from));
    let text = draft::draft(&inventory, &options);
    arguments.draft.write(&text, output)
}

/// The snapshots in a folder.
pub(crate) fn snapshots(folder: &Utf8Path) -> Result<Inventory, Failure> {
    let inventory = inventory::snapshot::read(folder).map_err(|error| {
        let hint = error.hint().unwrap_or_else(|| {
            "name a source to read first: --vmware URL --datacenter NAME, --openstack URL, or --ova URL"
                .to_owned()
        });
        Failure::misused(error).hint(hint)
    })?;
    if inventory
        .sources
        .values()
        .all(|source| source.vms.iter().all(|vm| vm.template))
    {
        return Err(Failure::refused(NoVms(folder.to_owned())).hint("pull a source that has VMs"));
    }
    Ok(inventory)
}

impl DraftArguments {
    /// The file is not there yet: better said before a source is read.
    fn is_free(&self) -> Result<(), Failure> {
        if self.out == "-" || !self.out.exists() {
            return Ok(());
        }
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        Err(self.taken(source))
    }

    fn taken(&self, source: io::Error) -> Failure {
        Failure::refused(WriteError {
            path: self.out.clone(),
            source,
        })
        .hint("move it away, or write elsewhere with --out")
    }

    /// For the draft.
    pub(crate) fn options(&self, by: Option<By>) -> Options {
        Options {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            by,
        }
    }

    /// Writes a draft that can be read again.
    pub(crate) fn write(&self, text: &str, output: &Output) -> Result<Outcome, Failure> {
        if let Err(error) = schemas::yaml::read::<MigrationPlan>(text) {
            let first = error
                .problems
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            // All else in it is ours.
            let named = error.problems.iter().all(|problem| {
                problem.path.starts_with("metadata") || problem.path.ends_with("namespace")
            });
            let failure = if named {
                Outcome::Misused
            } else {
                Outcome::Bug
            };
            return Err(Failure::new(failure, Unreadable(first))
                .hint("give another --name or --namespace, or report the inventory"));
        }
        if self.out == "-" {
            output.data(text);
            return Ok(Outcome::Done);
        }
        let failed = |source| {
            Failure::misused(WriteError {
                path: self.out.clone(),
                source,
            })
        };
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.out);
        let mut file = match file {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.taken(error));
            }
            other => other.map_err(failed)?,
        };
        file.write_all(text.as_bytes()).map_err(failed)?;
        output.say(&format!("wrote {}", self.out));
        output.say(&format!("next: edit it, then `windrow plan {}`", self.out));
        Ok(Outcome::Done)
    }
}

/// A draft cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("write `{path}`")]
struct WriteError {
    path: Utf8PathBuf,
    source: io::Error,
}

/// There is nothing to draft from.
#[derive(Debug, thiserror::Error)]
#[error("draft a plan: `{0}` has no VMs")]
struct NoVms(Utf8PathBuf);

/// Our own door does not take the draft.
#[derive(Debug, thiserror::Error)]
#[error("draft a plan that can be read: {0}")]
struct Unreadable(String);
