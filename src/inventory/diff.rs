//! `windrow inventory diff`: what changed between two snapshots, in words.

use camino::{Utf8Path, Utf8PathBuf};
use inventory::snapshot::{self, SnapshotError};
use schemas::inventory::Inventory;

use super::changes::{Change, changes};
use super::counted;
use crate::cli::Format;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Say what changed between two snapshots
///
/// Each is a folder of snapshots, as `windrow inventory pull` writes it, or the folder of one
/// source in it. VMs are compared by id: a VM that was renamed, moved or resized is the same one.
/// Exits with 0 whether there are changes or not.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The earlier snapshots
    #[arg(value_name = "A")]
    before: Utf8PathBuf,
    /// The later ones
    #[arg(value_name = "B")]
    after: Utf8PathBuf,
    /// Print as a table, JSON or YAML
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let (mut before, mut after) = (read(&arguments.before)?, read(&arguments.after)?);
    call_alike(&mut before, &mut after);
    let found = changes(&before, &after);
    output.data(&match arguments.output {
        Format::Table => text(&found),
        Format::Json => {
            let text = serde_json::to_string_pretty(&found).expect("changes are texts");
            format!("{text}\n")
        }
        Format::Yaml => schemas::yaml::write(&found),
    });
    Ok(Outcome::Done)
}

/// All snapshots in a folder, or the one that the folder is.
fn read(folder: &Utf8Path) -> Result<Inventory, Failure> {
    let read = snapshot::read_one(folder).and_then(|one| match one {
        Some(one) => Ok(one),
        None => snapshot::read(folder),
    });
    read.map_err(|error: SnapshotError| {
        let hint = error.hint();
        let failure = Failure::misused(error);
        hint.into_iter().fold(failure, Failure::hint)
    })
}

/// Two folders of one source each are compared whatever the folders are called.
fn call_alike(before: &mut Inventory, after: &mut Inventory) {
    let one = |inventory: &Inventory| inventory.sources.len() == 1 && inventory.targets.is_empty();
    if one(before)
        && one(after)
        && let Some(name) = after.sources.keys().next().cloned()
        && let Some((_, source)) = before.sources.pop_first()
    {
        before.sources.insert(name, source);
    }
}

/// A heading for each place, a line for each change.
fn text(found: &[Change]) -> String {
    use std::fmt::Write as _;

    use schemas::shown::shown;

    let mut text = String::new();
    let mut place = "";
    for change in found {
        if change.place != place {
            place = &change.place;
            let count = found.iter().filter(|other| other.place == place).count();
            let heading = counted(count, "change");
            writeln!(text, "{place}: {heading}").expect("texts take all");
        }
        let name = change.name.as_deref().unwrap_or(&change.id);
        let (what, change) = (change.what, shown(&change.text));
        let name = shown(name);
        writeln!(text, "  {what} `{name}`: {change}").expect("texts take all");
    }
    if found.is_empty() {
        text.push_str("nothing changed\n");
    }
    text
}
