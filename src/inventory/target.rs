//! What a target's snapshot says: what there is to move to, what has room, what others do there.

use comfy_table::{CellAlignment, Table, presets};
use schemas::inventory::{
    LedgerLine, TargetAbout, TargetClaim, TargetImage, TargetImport, TargetInventory, TargetNode,
    TargetSource, TargetVm,
};
use schemas::units::Bytes;
use serde::Serialize;

use super::{counted, gaps};
use crate::cli::Format;

/// All of a snapshot, by the names of its files.
#[derive(Serialize)]
struct Whole<'a> {
    target: &'a TargetAbout,
    vms: &'a [TargetVm],
    images: &'a [TargetImage],
    claims: &'a [TargetClaim],
    imports: &'a [TargetImport],
    sources: &'a [TargetSource],
    ledger: &'a [LedgerLine],
}

/// A target, as a table of what planning looks at, or whole.
pub fn shown(target: &TargetInventory, format: Format, width: usize) -> String {
    let whole = Whole {
        target: &target.about,
        vms: &target.vms,
        images: &target.images,
        claims: &target.claims,
        imports: &target.imports,
        sources: &target.sources,
        ledger: &target.ledger,
    };
    match format {
        Format::Table => sections(target, width),
        Format::Json => super::show::json(&whole),
        Format::Yaml => schemas::yaml::write(&whole),
    }
}

/// One machine of a target. For people too this is YAML: it has no fixed columns.
pub fn machine(vm: &TargetVm, format: Format) -> String {
    match format {
        Format::Json => super::show::json(vm),
        Format::Table | Format::Yaml => schemas::yaml::write(vm),
    }
}

fn sections(target: &TargetInventory, width: usize) -> String {
    let about = &target.about;
    let mut text = head(about);
    let mut add = |title: &str, columns: &[&str], right: &[usize], rows: Vec<Vec<String>>| {
        let rows_of = if rows.is_empty() {
            "none".to_owned()
        } else {
            table(columns, right, rows, width)
        };
        text.extend(["\n", title, "\n", &rows_of, "\n"]);
    };
    add(
        "Storage classes",
        &[
            "NAME",
            "DEFAULT",
            "PROVISIONER",
            "BINDING",
            "REPLICAS",
            "VOLUMES",
        ],
        &[4],
        storage_classes(about),
    );
    add(
        "Networks",
        &["NAME", "KIND", "VLAN", "MTU", "CLUSTER NETWORK", "CIDR"],
        &[2, 3],
        networks(about),
    );
    add(
        "Nodes",
        &["NAME", "STATE", "CPUS", "RESERVED", "MEMORY", "RESERVED"],
        &[2, 3, 4, 5],
        about.nodes.iter().map(node).collect(),
    );
    add(
        "Longhorn's disks",
        &["NAME", "STATE", "SIZE", "PROMISED", "FREE"],
        &[2, 3, 4],
        disks(about),
    );
    add(
        "Quotas",
        &["NAMESPACE", "NAME", "RESOURCE", "USED", "OF"],
        &[3, 4],
        quotas(about),
    );
    let foreign = target.imports.iter().filter(|import| !import.ours);
    add(
        "Imports of others",
        &["NAME", "VM", "SOURCE", "STATE"],
        &[],
        foreign.map(import).collect(),
    );
    let ours = target.imports.iter().filter(|import| import.ours).count();
    let counts = [
        counted(target.vms.len(), "VM"),
        counted(target.images.len(), "image"),
        counted(target.claims.len(), "claim"),
        format!("{} of Windrow", counted(ours, "import")),
        counted(target.ledger.len(), "machine") + " in the ledger",
    ];
    text.extend(["\n", &counts.join(", "), "\n"]);
    let told: Vec<String> = about.gaps.iter().map(gaps::line).collect();
    text.push_str(&gaps::section(&told));
    text
}

/// Versions, the engine and its scratch, a line each.
fn head(about: &TargetAbout) -> String {
    let unknown = || "unknown".to_owned();
    let known = |text: &Option<String>| text.clone().unwrap_or_else(unknown);
    let engine = about.engine.as_ref().map_or_else(String::new, |engine| {
        let ready = engine.ready.map_or_else(unknown, |ready| ready.to_string());
        format!(
            ", {ready} of {} ready",
            counted(engine.replicas as usize, "copy")
        )
    });
    let scratch = about.scratch.as_ref().map_or_else(unknown, |scratch| {
        let kind = match scratch.kind {
            schemas::inventory::ScratchKind::EmptyDir => "emptyDir".to_owned(),
            schemas::inventory::ScratchKind::Claim => {
                let name = scratch.claim.as_ref().map(ToString::to_string);
                format!("claim {}", name.unwrap_or_default())
            }
            schemas::inventory::ScratchKind::Other => "of another kind".to_owned(),
        };
        let size = match (scratch.capacity_bytes, scratch.kind) {
            (Some(bytes), _) => format!("size {bytes}"),
            (None, schemas::inventory::ScratchKind::EmptyDir) => "without limit".to_owned(),
            (None, _) => "size unknown".to_owned(),
        };
        let used = scratch.used_bytes;
        let used = used.map_or_else(unknown, |bytes| bytes.to_string());
        format!("{kind}, {size}, used {used}")
    });
    let lines = [
        ("Cluster", about.cluster_uid.clone()),
        ("Kubernetes", known(&about.kubernetes_version)),
        ("Harvester", known(&about.harvester_version)),
        ("Engine", known(&about.engine_version) + &engine),
        ("Scratch", scratch),
    ];
    let line = |(name, value): &(&str, String)| format!("{name:<11} {value}\n");
    lines.iter().map(line).collect()
}

fn storage_classes(about: &TargetAbout) -> Vec<Vec<String>> {
    let row = |class: &schemas::inventory::TargetStorageClass| {
        vec![
            class.name.to_string(),
            yes(class.default),
            class.provisioner.clone(),
            class.binding_mode.clone().unwrap_or_default(),
            class
                .parameters
                .get("numberOfReplicas")
                .cloned()
                .unwrap_or_default(),
            class.capabilities.join(", "),
        ]
    };
    about.storage_classes.iter().map(row).collect()
}

fn networks(about: &TargetAbout) -> Vec<Vec<String>> {
    let row = |network: &schemas::inventory::TargetNetwork| {
        vec![
            network.id.clone(),
            network.kind.clone().unwrap_or_default(),
            network
                .vlan
                .map(|vlan| vlan.to_string())
                .unwrap_or_default(),
            network.mtu.map(|mtu| mtu.to_string()).unwrap_or_default(),
            network.cluster_network.clone().unwrap_or_default(),
            network.cidr.clone().unwrap_or_default(),
        ]
    };
    about.networks.iter().map(row).collect()
}

fn node(node: &TargetNode) -> Vec<String> {
    let state = match (node.ready, node.schedulable) {
        (true, true) => "ready",
        (true, false) => "cordoned",
        (false, _) => "not ready",
    };
    let memory = |bytes: Bytes| format!("{} GiB", bytes.0 >> 30);
    vec![
        node.name.clone(),
        state.to_owned(),
        cpus(node.cpu_milli),
        node.cpu_reserved_milli.map(cpus).unwrap_or_default(),
        memory(node.memory_bytes),
        node.memory_reserved_bytes.map(memory).unwrap_or_default(),
    ]
}

/// Thousandths of a core as cores, one digit behind the point.
fn cpus(milli: u64) -> String {
    format!("{}.{}", milli / 1000, milli % 1000 / 100)
}

fn disks(about: &TargetAbout) -> Vec<Vec<String>> {
    let gib = |bytes: Bytes| format!("{} GiB", bytes.0 >> 30);
    let row = |disk: &schemas::inventory::TargetDisk| {
        let state = if disk.schedulable { "open" } else { "closed" };
        vec![
            disk.id.clone(),
            state.to_owned(),
            gib(disk.capacity_bytes),
            gib(disk.scheduled_bytes),
            gib(disk.available_bytes),
        ]
    };
    about.disks.iter().map(row).collect()
}

/// A row a resource. CPU is in thousandths of a core, memory and storage in bytes.
fn quotas(about: &TargetAbout) -> Vec<Vec<String>> {
    let amount = |resource: &str, amount: u64| {
        if resource.ends_with("cpu") {
            cpus(amount)
        } else if resource.ends_with("memory") || resource.ends_with("storage") {
            Bytes(amount).to_string()
        } else {
            amount.to_string()
        }
    };
    let mut rows = Vec::new();
    for quota in &about.quotas {
        for (resource, hard) in &quota.hard {
            let used = quota.used.get(resource);
            rows.push(vec![
                quota.namespace.to_string(),
                quota.name.clone(),
                resource.clone(),
                used.map(|used| amount(resource, *used)).unwrap_or_default(),
                amount(resource, *hard),
            ]);
        }
    }
    rows
}

fn import(import: &TargetImport) -> Vec<String> {
    vec![
        import.id.clone(),
        import.virtual_machine_name.clone(),
        import.source.clone().unwrap_or_default(),
        import
            .state
            .clone()
            .unwrap_or_else(|| "not begun".to_owned()),
    ]
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "" }.to_owned()
}

fn table(columns: &[&str], right: &[usize], rows: Vec<Vec<String>>, width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(columns.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for column in right {
        let column = table.column_mut(*column).expect("the header has it");
        column.set_cell_alignment(CellAlignment::Right);
    }
    let safe = |cell: String| schemas::shown::shown(&cell).into_owned();
    let rows = rows
        .into_iter()
        .map(|row| row.into_iter().map(safe).collect::<Vec<_>>());
    table.add_rows(rows);
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use schemas::inventory::{
        ScratchKind, TargetEngine, TargetNetwork, TargetQuota, TargetScratch, TargetStorageClass,
    };

    use super::*;

    fn target() -> TargetInventory {
        let about = TargetAbout {
            cluster_uid: "uid-1".to_owned(),
            harvester_version: Some("v1.6.0".to_owned()),
            engine_version: Some("v0.4.0".to_owned()),
            engine: Some(TargetEngine {
                replicas: 1,
                ready: Some(1),
                ..TargetEngine::default()
            }),
            scratch: Some(TargetScratch {
                kind: ScratchKind::EmptyDir,
                used_bytes: Some(Bytes::from_gib(3)),
                ..TargetScratch::default()
            }),
            storage_classes: vec![TargetStorageClass {
                name: "harvester-longhorn".into(),
                provisioner: "driver.longhorn.io".to_owned(),
                default: true,
                parameters: [("numberOfReplicas".to_owned(), "3".to_owned())].into(),
                ..TargetStorageClass::default()
            }],
            networks: vec![TargetNetwork {
                id: "default/vlan20".to_owned(),
                vlan: Some(20),
                ..TargetNetwork::default()
            }],
            nodes: vec![TargetNode {
                name: "n1".to_owned(),
                ready: true,
                schedulable: true,
                cpu_milli: 7_900,
                cpu_reserved_milli: Some(1_250),
                memory_bytes: Bytes::from_gib(31),
                ..TargetNode::default()
            }],
            quotas: vec![TargetQuota {
                namespace: "erp".into(),
                name: "small".to_owned(),
                hard: [
                    ("limits.cpu".to_owned(), 4_000),
                    ("requests.storage".to_owned(), 1 << 40),
                ]
                .into(),
                used: [("limits.cpu".to_owned(), 500)].into(),
            }],
            gaps: vec![schemas::inventory::Gap {
                what: "Longhorn's disks".to_owned(),
                object: None,
                reason: "its kind is not installed".to_owned(),
            }],
            ..TargetAbout::default()
        };
        let import = |id: &str, ours| TargetImport {
            id: id.to_owned(),
            virtual_machine_name: "web".to_owned(),
            ours,
            ..TargetImport::default()
        };
        TargetInventory {
            about,
            imports: vec![import("erp/a", true), import("erp/theirs", false)],
            ..TargetInventory::default()
        }
    }

    // What planning looks at, a section each; what is not known is said or blank, never a zero;
    // our own imports are counted, those of others are listed.
    #[test]
    fn sections_of_a_target() {
        insta::assert_snapshot!(shown(&target(), Format::Table, 100));
    }

    // As JSON it is whole, by the names of the snapshot's files.
    #[test]
    fn whole_as_json() {
        let json: serde_json::Value =
            serde_json::from_str(&shown(&target(), Format::Json, 100)).expect("JSON");
        assert_eq!(
            json["target"]["storage_classes"][0]["name"],
            "harvester-longhorn"
        );
        assert_eq!(json["imports"][1]["id"], "erp/theirs");
        assert!(json["ledger"].as_array().is_some_and(Vec::is_empty));
    }
}
