//! (findings) `windrow plan` on everything the rich vCenter and the real OpenStack have: what their
//! ground truths say is wrong is found with the right code, and nothing else blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::case::Case;
use crate::estate::Vcenter;
use crate::truth::hazards::{DECIDED, Known, known};
use crate::truth::{lines, list, text};

const PROJECT: &str = "harbor";
const TARGET_NETWORK: &str = "default/production";

pub fn run(case: &mut Case<'_>) -> Result<()> {
    let truth = |rig: &str| -> Result<Value> {
        let path = case.world.state.join(rig).join("ground-truth.json");
        let text = std::fs::read_to_string(&path);
        Ok(serde_json::from_str(
            &text.with_context(|| format!("read `{}`", path.display()))?,
        )?)
    };
    let (vsphere, openstack) = (truth("vsphere-testbed")?, truth("openstack-testbed")?);
    let sources = write_plan(case, &vsphere, &openstack)?;
    let pull = [
        "inventory",
        "pull",
        "plan.yaml",
        "--credentials",
        "secrets.yaml",
    ];
    case.windrow_expect(&pull, 0)?;
    let output = case.windrow(&["plan", "plan.yaml", "-o", "json"])?;
    let report: Value = serde_json::from_str(&output.stdout).with_context(|| {
        format!(
            "read what `plan -o json` printed; it said: {}",
            output.stderr
        )
    })?;
    let found = by_vm(case, &sources, &report)?;
    judge(case, &known(&vsphere, &openstack, PROJECT), &found);
    Ok(())
}

/// What was found, by the rig's own id: codes, and whether each blocks.
type Found = BTreeMap<String, BTreeMap<String, bool>>;

fn by_vm(case: &Case<'_>, sources: &[String], report: &Value) -> Result<Found> {
    let mut ids = BTreeMap::new();
    let mut found = Found::new();
    for source in sources {
        for vm in lines(&case.folder.join("inventory").join(source).join("vms.jsonl"))? {
            let reference = text(&vm["ref"]);
            let id = if reference.is_empty() {
                text(&vm["id"])
            } else {
                reference
            };
            // Every datacenter's snapshot has its own VMs only; no id can come twice.
            found.entry(id.clone()).or_default();
            ids.insert(format!("{source}/{}", text(&vm["id"])), id);
        }
    }
    for finding in list(&report["findings"]) {
        let key = text(&finding["subject"]["vm"]["key"]);
        if let Some(id) = ids.get(&key) {
            let codes = found.entry(id.clone()).or_default();
            *codes.entry(text(&finding["code"])).or_default() |= finding["severity"] == "blocker";
        }
    }
    Ok(found)
}

fn judge(case: &mut Case<'_>, known: &[Known], found: &Found) {
    let (mut expected, mut seen, mut plain, mut blocked, mut failing) = (0, 0, 0, 0, 0);
    let mut codes = BTreeSet::new();
    let (mut missing, mut beyond, mut wrongly) = (Vec::new(), Vec::new(), Vec::new());
    let nothing = BTreeMap::new();
    for vm in known {
        let who = format!("{} `{}`", vm.id, vm.name);
        let Some(here) = found.get(&vm.id) else {
            missing.push(format!("{who} was not pulled"));
            continue;
        };
        for (code, blocks) in &vm.hazards {
            expected += 1;
            codes.insert(*code);
            match here.get(*code) {
                Some(is) if is == blocks => seen += 1,
                Some(is) => missing.push(format!("{who}: {code} blocks: {is}, not {blocks}")),
                None => missing.push(format!("{who}: {code} was not found")),
            }
        }
        if vm.export_fails {
            failing += 1;
            if !here.values().any(|blocks| *blocks) {
                missing.push(format!("{who}: its export fails, and nothing blocks it"));
            }
        }
        let others = here
            .iter()
            .filter(|(code, _)| !vm.hazards.contains_key(code.as_str()));
        for (code, blocks) in others {
            if *blocks {
                wrongly.push(format!("{who}: {code} blocks"));
            } else if DECIDED.contains(&code.as_str()) {
                beyond.push(format!("{who}: {code}"));
            }
        }
        if !vm.hazards.values().any(|blocks| *blocks) {
            plain += 1;
            let here = found.get(&vm.id).unwrap_or(&nothing);
            blocked += usize::from(here.values().any(|blocks| *blocks));
        }
    }
    case.count(format!(
        "{} VMs with {expected} hazards of {} codes by the ground truths: {seen} found, {} missed",
        known.len(),
        codes.len(),
        missing.len()
    ));
    case.count(format!(
        "{failing} VMs whose export the vCenter refuses; {plain} VMs without a hazard that blocks: {blocked} blocked; {} blockers and {} other findings \
         that the ground truths do not know",
        wrongly.len(),
        beyond.len()
    ));
    for (what, failures) in [
        (
            "every hazard of the ground truths is found with its code",
            missing,
        ),
        (
            "no VM is blocked without a reason in the ground truths",
            wrongly,
        ),
        (
            "a code that the ground truths decide is found nowhere else",
            beyond,
        ),
    ] {
        case.expect(what, failures.is_empty(), failures.join("\n"));
    }
}

/// A plan that moves all there is, with every network mapped that can be; gives the sources' names.
fn write_plan(case: &mut Case<'_>, vsphere: &Value, openstack: &Value) -> Result<Vec<String>> {
    let (mut sources, mut lines, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    for (at, datacenter) in list(&vsphere["datacenters"]).iter().enumerate() {
        let name = format!("dc{at}");
        lines.push(format!(
            "{{ name: {name}, vmware: {{ endpoint: \"{}\", datacenter: {} }}, credentials: {{ engine: vcenter }} }}",
            Vcenter::ENDPOINT,
            datacenter["path"]
        ));
        let vms = list(&vsphere["vms"]).iter();
        let nics = vms
            .filter(|vm| vm["datacenter"] == datacenter["path"])
            .flat_map(|vm| list(&vm["nics"]));
        let named = nics.filter(|nic| nic["kind"] != "opaque" && nic["kind"] != "none");
        let networks: BTreeSet<String> = named.map(|nic| nic["network"].to_string()).collect();
        maps.extend(
            networks.iter().map(|network| {
                format!("{{ source: {name}, from: {network}, to: {TARGET_NETWORK} }}")
            }),
        );
        sources.push(name);
    }
    lines.push(format!(
        "{{ name: {PROJECT}, openstack: {{ endpoint: {}, region: RegionOne }}, credentials: {{ engine: harbor }} }}",
        openstack["auth_url"]
    ));
    let networks = list(&openstack["networks"]).iter();
    maps.extend(
        networks
            .filter(|network| network["project"] == PROJECT)
            .map(|network| {
                format!(
                    "{{ source: {PROJECT}, from: {}, to: {TARGET_NETWORK} }}",
                    network["name"]
                )
            }),
    );
    sources.push(PROJECT.to_owned());
    let mut plan = format!(
        "apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\nmetadata: {{ name: findings, namespace: {0} }}\n\
         spec:\n  target: {{ name: hv1, namespace: {0} }}\n  inlineSite:\n    sources:\n",
        case.name("")
    );
    for line in &lines {
        writeln!(plan, "    - {line}")?;
    }
    plan.push_str(
        "    targets:\n    - name: hv1\n      storageClass: longhorn-engine-v1\n\
         \x20     scratch: { capacity: 200Ti }\n      networks:\n",
    );
    for map in &maps {
        writeln!(plan, "      - {map}")?;
    }
    plan.push_str("  workloads:\n  - name: all\n    select:\n");
    for source in &sources {
        writeln!(plan, "    - {{ source: {source}, match: \"*\" }}")?;
    }
    case.write("plan.yaml", &plan)?;
    let secret = |name: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data})
            .to_string()
    };
    let vcenter: BTreeMap<_, _> = Vcenter::secret(case.world)?.into();
    let project = json!({"username": "planner", "password": "testbed-user", "project_name": PROJECT,
                         "domain_name": "Default"});
    let secrets = [secret("vcenter", json!(vcenter)), secret("harbor", project)];
    case.write("secrets.yaml", &secrets.join("\n---\n"))?;
    Ok(sources)
}
