//! (render) What `windrow render` writes, as the real API server takes it: by server-side dry run with
//! strict field validation, for every tool and every release of Harvester; whatever folders and
//! networks are called.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::ova;
use crate::case::Case;
use crate::command::{Output, tail};
use crate::estate::Ova;
use crate::kube::{IMPORTS, text};

const TOOLS: [&str; 3] = ["argocd", "flux", "plain"];

/// Releases that `render` knows, oldest first.
const RELEASES: [&str; 9] = [
    "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9",
];

/// What folders and networks may be called in a vCenter; each must arrive as it is.
const NAMES: [&str; 16] = [
    "prod",
    "a: b #c",
    "{{ x }}",
    "{% raw %}",
    "${HOME}",
    "$(id)",
    "`id`",
    "<b>&amp;",
    "=HYPERLINK(\"http:\")",
    "&anchor",
    "!!tag",
    "- a",
    "'",
    "no",
    "012",
    "größe 生産\u{200a}",
];

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    let live = live_fields(case)?;
    files(case, &live)?;
    drafted(case)?;
    names(case)?;
    releases(case, &live)?;
    let made = case.watch.imports().len();
    case.expect("none of this created an import", made == 0, made);
    Ok(())
}

/// The fields of an import's `spec` that the engine's own definition has in this cluster.
fn live_fields(case: &mut Case<'_>) -> Result<BTreeSet<String>> {
    let crd = case
        .world
        .kube
        .get("customresourcedefinition", "default", IMPORTS)?
        .context("the engine has installed its kinds")?;
    let properties =
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    let fields: BTreeSet<String> = keys(properties.unwrap_or(&Value::Null));
    case.expect(
        "the definition in the cluster says which fields an import has",
        fields.contains("virtualMachineName"),
        list(&fields),
    );
    Ok(fields)
}

/// A plan of an OVA file whose target was pulled from this very cluster.
fn files(case: &mut Case<'_>, live: &BTreeSet<String>) -> Result<()> {
    let ova = Ova::make(case.world, &case.name("legacy"), "8M")?;
    let head = ova::plan(
        case,
        &case.name("hall"),
        std::slice::from_ref(&ova),
        "400Mi",
    );
    let workload = format!(
        "  workloads:\n    - name: legacy\n      select: [ {{ source: shelf, names: [{}] }} ]\n",
        ova.name
    );
    case.write("ova/plan.yaml", &(head + &workload))?;
    let pull = [
        "inventory",
        "pull",
        "ova/plan.yaml",
        "--out",
        "ova/inventory",
    ];
    case.windrow_expect(&pull, 0)?;
    case.windrow_expect(&["plan", "ova/plan.yaml"], 0)?;
    let about = std::fs::read_to_string(case.folder.join("ova/inventory/hv1/target.json"))?;
    let about: Value = serde_json::from_str(&about).context("read the target's snapshot")?;
    let pulled: BTreeSet<String> = about["import_fields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    case.expect(
        "the target's snapshot has the fields of the definition in the cluster",
        pulled == *live,
        list(&pulled),
    );
    for tool in TOOLS {
        let out = format!("ova/{tool}");
        case.windrow_expect(
            &["render", "ova/plan.yaml", "--for", tool, "--out", &out],
            0,
        )?;
        accepted(case, tool, &out)?;
    }
    let older = [
        "render",
        "ova/plan.yaml",
        "--for",
        "plain",
        "--out",
        "ova/old",
    ];
    let refused = case.windrow(&[&older[..], &["--harvester", "1.6"]].concat())?;
    case.expect(
        "an engine without OVA sources gets none: refused, and nothing written",
        refused.code == 1 && !case.folder.join("ova/old").exists(),
        tail(&refused.all(), 5),
    );
    Ok(())
}

/// From nothing to a plan in one command, which reads source and target by itself.
fn drafted(case: &mut Case<'_>) -> Result<()> {
    let ova = Ova::make(case.world, &case.name("shelf"), "8M")?;
    case.windrow_expect(
        &[
            "init",
            "--ova",
            &ova.url,
            "--inventory",
            "drafted/inventory",
            "--out",
            "drafted/plan.yaml",
        ],
        0,
    )?;
    let plan = std::fs::read_to_string(case.folder.join("drafted/plan.yaml"))?;
    case.expect(
        "the draft has the file, and the cluster's storage class",
        plan.contains(&ova.url) && plan.contains("# the cluster's default"),
        tail(&plan, 40),
    );
    case.windrow_expect(&["validate", "drafted/plan.yaml"], 0)?;
    Ok(())
}

/// Folders and networks that are called anything.
fn names(case: &mut Case<'_>) -> Result<()> {
    estate(case)?;
    case.windrow_expect(&["plan", "names/plan.yaml"], 0)?;
    for tool in TOOLS {
        let out = format!("names/{tool}");
        case.windrow_expect(
            &["render", "names/plan.yaml", "--for", tool, "--out", &out],
            0,
        )?;
        let imports = accepted(case, tool, &out)?;
        for (what, pointer) in [
            ("folder", "/spec/folder"),
            ("network", "/spec/networkMapping/0/sourceNetwork"),
        ] {
            let arrived: BTreeSet<&str> = imports.iter().map(|i| text(i, pointer)).collect();
            case.expect(
                format!("{tool}: every {what}'s name arrives as it is"),
                arrived == NAMES.into(),
                format!("{arrived:?}"),
            );
        }
    }
    // The check can fail: the server does look.
    let path = case.folder.join("names/plain/010-all/1/imports.yaml");
    let good =
        std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    let bad = good.replace("\n  folder:", "\n  folders:");
    let refused = dry_run(case, &["create", "--validate=strict"], &bad)?;
    case.expect(
        "a field that the engine does not have is refused by the server",
        refused.code != 0 && refused.stderr.contains("unknown field \"spec.folders\""),
        tail(&refused.all(), 3),
    );
    Ok(())
}

/// What the table of releases writes, against the definition in the cluster.
fn releases(case: &mut Case<'_>, live: &BTreeSet<String>) -> Result<()> {
    let mut before = BTreeSet::new();
    for release in RELEASES {
        let out = format!("names/{release}");
        let render = ["render", "names/plan.yaml", "--for", "plain", "--out", &out];
        case.windrow_expect(&[&render[..], &["--harvester", release]].concat(), 0)?;
        let imports = accepted(case, release, &out)?;
        let written: BTreeSet<String> = imports.iter().flat_map(|i| keys(&i["spec"])).collect();
        case.expect(
            format!("{release}: only fields that the definition has, and none less than before"),
            written.is_subset(live) && before.is_subset(&written),
            list(&written),
        );
        before = written;
    }
    let (by_snapshot, by_table) = (
        manifests(&case.folder.join("names/plain"))?,
        manifests(&case.folder.join("names/1.8"))?,
    );
    let same = by_snapshot.iter().map(read).eq(by_table.iter().map(read));
    case.expect(
        "the table gives for 1.8 what the snapshot of a 1.8 gives",
        same,
        "",
    );
    Ok(())
}

fn read(path: &PathBuf) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Takes every manifest of a rendered folder to the server, as its tool would; the imports as they
/// would be stored.
fn accepted(case: &mut Case<'_>, what: &str, out: &str) -> Result<Vec<Value>> {
    let mut imports = Vec::new();
    for path in manifests(&case.folder.join(out))? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        // Sources come with their namespaces, which are there.
        let of_sources = path.ends_with("sources.yaml");
        let ways: &[&[&str]] = match what {
            "argocd" => &[&["apply", "--validate=strict"]],
            "flux" => &[&["apply", "--validate=strict", "--server-side"]],
            _ if of_sources => &[&["apply", "--validate=strict"]],
            _ => &[&["create", "--validate=strict"]],
        };
        for way in ways {
            let output = dry_run(case, way, &text)?;
            let name = path.strip_prefix(&case.folder).unwrap_or(&path).display();
            case.expect(
                format!(
                    "{what}: the server takes {name} by `kubectl {}`",
                    way.join(" ")
                ),
                output.code == 0,
                tail(&output.stderr, 5),
            );
            imports.extend(stored(&output)?);
        }
    }
    imports.retain(|object| object["kind"] == "VirtualMachineImport");
    case.expect(
        format!("{what}: there are imports in {out}"),
        !imports.is_empty(),
        "",
    );
    Ok(imports)
}

fn dry_run(case: &Case<'_>, way: &[&str], manifest: &str) -> Result<Output> {
    let fixed = ["--dry-run=server", "-o", "json", "-f", "-"];
    let run = case
        .world
        .kube
        .run(way.iter().chain(&fixed))
        .input(manifest);
    case.run_noted(&run)
}

/// The objects that kubectl printed: one, or a list.
fn stored(output: &Output) -> Result<Vec<Value>> {
    let objects = serde_json::Deserializer::from_str(&output.stdout).into_iter::<Value>();
    let mut all = Vec::new();
    for object in objects {
        match object.context("read what kubectl printed")? {
            mut list if list["kind"] == "List" => {
                all.extend(
                    list["items"]
                        .as_array_mut()
                        .into_iter()
                        .flatten()
                        .map(Value::take),
                );
            }
            object => all.push(object),
        }
    }
    Ok(all)
}

/// Files of sources and imports below a folder, in the order of their folders.
fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("imports.yaml") || path.ends_with("sources.yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A plan with an inventory: one VM in a folder of each name, on a network of that name.
fn estate(case: &Case<'_>) -> Result<()> {
    let lines = |kind: &str, items: Vec<Value>| {
        let head = json!({ "schema": "windrow.inventory/1", "kind": kind });
        let lines: Vec<String> = std::iter::once(head)
            .chain(items)
            .map(|item| item.to_string())
            .collect();
        lines.join("\n") + "\n"
    };
    let vms = NAMES.iter().enumerate().map(|(i, name)| {
        json!({
            "id": format!("5001a9f1-0000-0000-0000-{i:012}"), "ref": format!("vm-{i}"),
            "name": format!("host-{i}"), "dc": "DC0", "folder": name,
            "vcpus": 1, "cores_per_socket": 1, "memory_mib": 1024, "firmware": "bios",
            "disks": [{
                "key": "2000", "controller": "ParaVirtualSCSIController", "bus": 0, "unit": 0,
                "capacity_bytes": 1 << 30, "backing": "flat", "thin": true, "mode": "persistent",
                "storage": "datastore-1", "file": format!("[san1] host-{i}/host-{i}.vmdk"),
            }],
            "nics": [{
                "key": "4000", "model": "VirtualVmxnet3", "mac": format!("00:50:56:9a:01:{i:02x}"),
                "network": format!("net-{i:02}"), "network_name": name, "connected": true,
            }],
        })
    });
    let networks = NAMES.iter().enumerate().map(
        |(i, name)| json!({ "id": format!("net-{i:02}"), "name": name, "kind": "dvportgroup" }),
    );
    let source = json!({
        "schema": "windrow.inventory/1", "kind": "vmware",
        "endpoint": "https://vcenter.example/sdk", "instance": "vcenter-of-a-test", "datacenter": "DC0",
        "product": "VMware vCenter Server 8.0.2", "tls": "ca",
    });
    case.write("names/inventory/dc1/source.json", &format!("{source:#}\n"))?;
    case.write(
        "names/inventory/dc1/vms.jsonl",
        &lines("vms", vms.collect()),
    )?;
    case.write(
        "names/inventory/dc1/networks.jsonl",
        &lines("networks", networks.collect()),
    )?;
    let target = case.folder.join("ova/inventory/hv1");
    for entry in std::fs::read_dir(&target)
        .with_context(|| format!("list `{}`", target.display()))?
        .flatten()
    {
        let content = std::fs::read_to_string(entry.path())?;
        let name = entry.file_name();
        case.write(
            &format!("names/inventory/hv1/{}", name.to_string_lossy()),
            &content,
        )?;
    }
    let mapping: Vec<String> = NAMES
        .iter()
        .map(|name| {
            let name = Value::from(*name);
            format!(
                "      - {{ source: dc1, from: {name}, to: default/production, model: virtio }}\n"
            )
        })
        .collect();
    let mapping = mapping.concat();
    let plan = format!(
        "apiVersion: windrow.dev/v1alpha1\n\
         kind: MigrationPlan\n\
         metadata: {{ name: names, namespace: {} }}\n\
         spec:\n  inlineSite:\n    sources:\n    - name: dc1\n\
         \x20     vmware: {{ endpoint: \"https://vcenter.example/sdk\", datacenter: DC0 }}\n\
         \x20     credentials: {{ engine: vsphere-import }}\n\
         \x20   targets:\n    - name: hv1\n      storageClass: longhorn-engine-v1\n\
         \x20     scratch: {{ capacity: 20Gi }}\n      networks:\n{mapping}\
         \x20 target: {{ name: hv1, namespace: {} }}\n\
         \x20 workloads:\n  - name: all\n    select: [ {{ source: dc1, match: \"*\" }} ]\n",
        case.name(""),
        case.name("hall")
    );
    case.write("names/plan.yaml", &plan)?;
    Ok(())
}

fn keys(object: &Value) -> BTreeSet<String> {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, _)| name.clone()).collect()
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}
