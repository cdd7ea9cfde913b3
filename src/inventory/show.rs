//! `windrow inventory show`: what a snapshot of a source or target says, as a table or whole.

use camino::Utf8PathBuf;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use inventory::snapshot;
use schemas::ids::SourceName;
use schemas::inventory::{Observed, Power, SourceInventory, TargetInventory, TargetVm, Vm};
use schemas::suggest;
use schemas::units::Bytes;
use serde::Serialize;

use super::{counted, gaps, target};
use crate::cli::Format;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Show the VMs of a source, what a target has, or all that is known of one VM, from the snapshots
///
/// Reads files only. A VM is named by its id, or by its name where only one has it. Of a target: its
/// engine and scratch, storage classes, networks, nodes, quotas, and imports that are not Windrow's.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The source's or target's name in the site
    source: SourceName,
    /// A VM's id or name
    vm: Option<String>,
    /// Where the snapshots are
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    inventory: Utf8PathBuf,
    /// Print as a table, JSON or YAML
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum ShowError {
    #[error(
        "find a snapshot of `{source_name}`; there are {}",
        suggest::list(known)
    )]
    NoSource {
        source_name: SourceName,
        known: Vec<String>,
    },
    #[error("find a VM `{vm}` in the snapshot of `{source_name}`")]
    NoVm { vm: String, source_name: SourceName },
    #[error("choose a VM: {} are called `{vm}`", counted(ids.len(), "VM"))]
    Ambiguous { vm: String, ids: Vec<String> },
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let all = snapshot::read(&arguments.inventory).map_err(|error| {
        let hint = error.hint();
        let failure = Failure::misused(error);
        hint.into_iter().fold(failure, Failure::hint)
    })?;
    let target = all.targets.get(arguments.source.as_str());
    if let Some(target) = target {
        output.data(&match &arguments.vm {
            Some(wanted) => {
                let vm = machine(target, &arguments.source, wanted)?;
                target::machine(vm, arguments.output)
            }
            None => target::shown(target, arguments.output, output.width()),
        });
        return Ok(Outcome::Done);
    }
    let Some(source) = all.sources.get(&arguments.source) else {
        let sources = all.sources.keys().map(ToString::to_string);
        let targets = all.targets.keys().map(ToString::to_string);
        let known: Vec<String> = sources.chain(targets).collect();
        let source_name = arguments.source.clone();
        return Err(Failure::misused(ShowError::NoSource { source_name, known }));
    };
    match &arguments.vm {
        Some(wanted) => {
            let vm = one(source, &arguments.source, wanted)?;
            output.data(&detail(source, vm, arguments.output));
        }
        None => output.data(&list(source, arguments.output, output.width())),
    }
    Ok(Outcome::Done)
}

/// The VM with the id or, if only one has it, the name `wanted`.
fn one<'a>(
    source: &'a SourceInventory,
    name: &SourceName,
    wanted: &str,
) -> Result<&'a Vm, Failure> {
    let named = source.vms.iter();
    let named = named.map(|vm| (vm.id.as_str(), vm.name.as_str(), vm));
    named_so(&named.collect::<Vec<_>>(), name, wanted)
}

/// The same of a target, whose VMs have `namespace/name` for an id.
fn machine<'a>(
    target: &'a TargetInventory,
    name: &SourceName,
    wanted: &str,
) -> Result<&'a TargetVm, Failure> {
    let named = target.vms.iter();
    let named = named.map(|vm| (vm.id.as_str(), vm.name.as_str(), vm));
    named_so(&named.collect::<Vec<_>>(), name, wanted)
}

/// Of VMs with ids and names, the one with the id or, if only one has it, the name `wanted`.
fn named_so<'a, T>(
    all: &[(&'a str, &'a str, &'a T)],
    source: &SourceName,
    wanted: &str,
) -> Result<&'a T, Failure> {
    if let Some((_, _, vm)) = all.iter().find(|(id, _, _)| *id == wanted) {
        return Ok(vm);
    }
    let named: Vec<_> = all.iter().filter(|(_, name, _)| *name == wanted).collect();
    match named.as_slice() {
        [(_, _, vm)] => Ok(vm),
        [] => {
            let (vm, source_name) = (wanted.to_owned(), source.clone());
            let known = all.iter().map(|(_, name, _)| *name);
            let nearest = suggest::nearest(wanted, known);
            let hint = nearest.map(|nearest| format!("did you mean `{nearest}`?"));
            let failure = Failure::misused(ShowError::NoVm { vm, source_name });
            Err(hint.into_iter().fold(failure, Failure::hint))
        }
        several => {
            let ids: Vec<String> = several.iter().map(|(id, _, _)| (*id).to_owned()).collect();
            let hint = format!("name it by its id: {}", suggest::list(&ids));
            let vm = wanted.to_owned();
            Err(Failure::misused(ShowError::Ambiguous { vm, ids }).hint(hint))
        }
    }
}

/// A VM with what was observed of it; the keys stand in the order of the snapshot's lines.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    vm: &'a Vm,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<&'a Observed>,
}

fn whole<'a>(source: &'a SourceInventory, vm: &'a Vm) -> Whole<'a> {
    Whole {
        vm,
        observed: source.observed.get(vm.id.as_str()),
    }
}

/// All that is known of a VM. For people too this is YAML: it has no fixed columns.
fn detail(source: &SourceInventory, vm: &Vm, format: Format) -> String {
    match format {
        Format::Json => json(&whole(source, vm)),
        Format::Table | Format::Yaml => schemas::yaml::write(&whole(source, vm)),
    }
}

fn list(source: &SourceInventory, format: Format, width: usize) -> String {
    let all = || {
        source
            .vms
            .iter()
            .map(|vm| whole(source, vm))
            .collect::<Vec<_>>()
    };
    match format {
        Format::Table => table(source, width),
        Format::Json => json(&all()),
        Format::Yaml => schemas::yaml::write(&all()),
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("snapshot types have text keys");
    format!("{text}\n")
}

fn table(source: &SourceInventory, width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header([
            "NAME", "POWER", "CPUS", "MEMORY", "DISKS", "SIZE", "NETWORKS", "ID",
        ]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for column in [2, 3, 4, 5] {
        let column = table.column_mut(column).expect("the header has eight");
        column.set_cell_alignment(CellAlignment::Right);
    }
    // An id is there to be copied: it is never broken.
    let id = table.column_mut(7).expect("the header has eight");
    id.set_constraint(ColumnConstraint::ContentWidth);
    let mut vms: Vec<&Vm> = source.vms.iter().collect();
    vms.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    for vm in &vms {
        let size: Bytes = vm.disks.iter().map(|disk| disk.capacity_bytes).sum();
        let row = [
            vm.display_name
                .clone()
                .unwrap_or_else(|| vm.name.to_string()),
            power(source, vm).to_owned(),
            vm.vcpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
            vm.memory_mib
                .map(|mib| Bytes::from_mib(mib).to_string())
                .unwrap_or_default(),
            vm.disks.len().to_string(),
            size.to_string(),
            networks(vm),
            vm.id.to_string(),
        ];
        table.add_row(row.map(|cell| schemas::shown::shown(&cell).into_owned()));
    }
    let size: Bytes = vms
        .iter()
        .flat_map(|vm| &vm.disks)
        .map(|disk| disk.capacity_bytes)
        .sum();
    format!(
        "{}\n\n{}, {size} of disks\n{}",
        table.trim_fmt(),
        counted(vms.len(), "VM"),
        gaps::section(&gaps::of_source(source))
    )
}

fn power(source: &SourceInventory, vm: &Vm) -> &'static str {
    match source
        .observed
        .get(vm.id.as_str())
        .and_then(|observed| observed.power)
    {
        Some(Power::On) => "on",
        Some(Power::Off) => "off",
        Some(Power::Suspended) => "suspended",
        Some(Power::Paused) => "paused",
        Some(Power::Other) => "other",
        None => "",
    }
}

fn networks(vm: &Vm) -> String {
    let names = vm
        .nics
        .iter()
        .map(|nic| nic.network_name.as_deref().unwrap_or("?"));
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use schemas::inventory::{Disk, Nic, SourceAbout, SourceKind};

    use super::*;

    fn source() -> SourceInventory {
        let vm = |id: &str, name: &str, gib: u64| Vm {
            id: id.into(),
            name: name.into(),
            vcpus: Some(2),
            memory_mib: Some(2048),
            disks: vec![Disk {
                capacity_bytes: Bytes::from_gib(gib),
                ..Disk::default()
            }],
            nics: vec![Nic {
                network_name: Some("lan".to_owned()),
                ..Nic::default()
            }],
            ..Vm::default()
        };
        let on = Observed {
            id: "b".to_owned(),
            power: Some(Power::On),
            ..Observed::default()
        };
        let about = SourceAbout::new(SourceKind::Openstack, "", "plain");
        SourceInventory {
            vms: vec![vm("a", "web", 10), vm("b", "db", 20), vm("c", "web", 30)],
            observed: [("b".to_owned(), on)].into(),
            ..SourceInventory::new(about)
        }
    }

    // By name, then id; what was not observed is blank, not guessed.
    #[test]
    fn tables() {
        let expected = "\
NAME  POWER  CPUS  MEMORY  DISKS    SIZE  NETWORKS  ID
db    on        2   2 GiB      1  20 GiB  lan       b
web             2   2 GiB      1  10 GiB  lan       a
web             2   2 GiB      1  30 GiB  lan       c

3 VMs, 60 GiB of disks
";
        assert_eq!(table(&source(), 100), expected);
    }

    // An id always names one VM; a name only if it is the only one.
    #[test]
    fn naming_a_vm() {
        let (source, name) = (source(), SourceName::from("cloud"));
        let id = |wanted: &str| one(&source, &name, wanted).map(|vm| vm.id.to_string());
        assert_eq!(id("c").ok().as_deref(), Some("c"));
        assert_eq!(id("db").ok().as_deref(), Some("b"));
        let several = id("web").expect_err("two").render();
        assert!(several.contains("`a` and `c`"), "{several}");
        assert!(
            id("dbb")
                .expect_err("none")
                .render()
                .contains("did you mean `db`?")
        );
    }
}
