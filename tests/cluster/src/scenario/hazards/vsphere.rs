//! Hazards of vSphere VMs. Those that can be mended in the simulator are mended by the script that
//! `windrow remedy` writes, and imported; of the others the engine shows what it makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::files::{failure, interfaces};
use super::hand::{
    Hand, expect_found, expect_gone, pull_and_find, source, tidy, wait_log, wait_machine,
    wait_state,
};
use super::script::run_remedy;
use crate::case::Case;
use crate::command::Run;
use crate::estate::{Vcenter, Vm};
use crate::kube::{MACHINES, text};
use crate::scenario::PlanHead;

/// Code, case of the simulator's ground truth: mended, then imported.
const MENDED: &[(&str, &str)] = &[
    ("P07", "name-underscore"),
    ("T01", "cores-per-socket"),
    ("V01", "tools-missing"),
    ("V04", "suspended"),
    ("V10", "name-glob-star"),
];
/// Shown only: the simulator has no call that would mend them.
const SHOWN: &[(&str, &str)] = &[
    ("V06", "encrypted"),
    ("V07", "disk-rdm-physical"),
    ("V07", "disk-independent"),
    ("W06", "nic-sriov"),
];
/// Disks of these VMs are 20 GiB of holes: their images are taken for complete after so many bytes.
const READ_AT_MOST: &str = "8388608";

type Vms = BTreeMap<&'static str, Vm>;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    case.world
        .kube
        .set_knobs(&[("image.readAtMost", READ_AT_MOST)])?;
    let secret = Vcenter::secret(case.world)?;
    let secret: Vec<(&str, &str)> = secret
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    for namespace in ["", "hall"] {
        case.world
            .kube
            .make_secret(&case.name(namespace), "vcenter", &secret)?;
    }
    let mut vms = Vms::new();
    for (_, name) in MENDED.iter().chain(SHOWN) {
        vms.insert(name, Vcenter::vm(case.world, name)?);
    }
    case.write("plan.yaml", &plan(case, &vms, true))?;
    let found = pull_and_find(case, "plan.yaml")?;
    let named = |list: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        list.iter()
            .map(|(code, name)| (*code, vms[name].name.clone()))
            .collect()
    };
    let hazards: Vec<_> = named(MENDED).into_iter().chain(named(SHOWN)).collect();
    let hazards: Vec<(&str, &str)> = hazards
        .iter()
        .map(|(code, name)| (*code, name.as_str()))
        .collect();
    expect_found(case, &found, &hazards);

    show(case, &vms)?;
    tidy(case, &case.name("hall"))?;
    mend(case, &vms)?;

    case.write("plan.yaml", &plan(case, &vms, false))?;
    let found = pull_and_find(case, "plan.yaml")?;
    expect_gone(case, &found, &hazards);
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply`", &output, 0);
    let machines = case.world.kube.list(MACHINES, &case.name("hall"))?;
    let running = machines
        .iter()
        .filter(|m| m.pointer("/status/ready") == Some(&json!(true)));
    let running = running.count();
    case.expect(
        "every mended VM runs on the target",
        running == MENDED.len(),
        running,
    );
    let cores = machines
        .iter()
        .find(|m| text(m, "/metadata/name") == vms["cores-per-socket"].name)
        .and_then(|m| m.pointer("/spec/template/spec/domain/cpu").cloned())
        .unwrap_or_default();
    case.expect(
        "T01: one core a socket before, so the machine has one socket now",
        cores["sockets"] == 1 && cores["cores"] == 8,
        cores,
    );
    Ok(())
}

fn plan(case: &Case<'_>, vms: &Vms, all: bool) -> String {
    let networks: Vec<String> = ["fra-vlan100-web", "fra-vlan110-app"]
        .iter()
        .map(|from| format!("{{ source: dc1, from: {from}, to: default/production }}"))
        .collect();
    let head = PlanHead {
        name: "estate",
        namespace: &case.name(""),
        machines: &case.name("hall"),
        sources: &[format!(
            "{{ name: dc1, vmware: {{ endpoint: \"{}\", datacenter: fra1 }}, credentials: {{ engine: vcenter }} }}",
            Vcenter::ENDPOINT
        )],
        networks: &networks,
        scratch: "400Gi",
    }
    .yaml();
    let ids: Vec<&str> = vms
        .iter()
        .filter(|(name, _)| all || MENDED.iter().any(|(_, mended)| mended == *name))
        .map(|(_, vm)| vm.uuid.as_str())
        .collect();
    format!(
        "{head}  workloads:\n    - name: all\n      select: [ {{ source: dc1, ids: [{}] }} ]\n",
        ids.join(", ")
    )
}

/// Each on the engine, by hand.
fn show(case: &mut Case<'_>, vms: &Vms) -> Result<()> {
    let hall = case.name("hall");
    source(
        case,
        "VmwareSource",
        &hall,
        "dc1",
        &json!({
            "endpoint": Vcenter::ENDPOINT, "dc": "fra1",
            "credentials": {"name": "vcenter", "namespace": hall},
        }),
    )?;
    let import = |case: &Case<'_>, name: &str| {
        let vm = &vms[name];
        let folder = vm
            .path
            .strip_prefix("/fra1/vm/")
            .and_then(|path| path.rsplit_once('/'));
        Hand {
            namespace: &hall,
            name,
            source: ("VmwareSource", "dc1"),
            find: &vm.name,
            folder: folder.map(|(folder, _)| folder),
            networks: &[
                ("fra-vlan100-web", "default/production"),
                ("fra-vlan110-app", "default/production"),
            ],
            storage: "longhorn-engine-v1",
        }
        .create(case)
    };
    for (code, name) in [
        ("P07", "name-underscore"),
        ("V01", "tools-missing"),
        ("V04", "suspended"),
        ("V10", "name-glob-star"),
    ] {
        let place = import(case, name)?;
        wait_state(case, &place, "virtualMachineImportInvalid")?;
        wait_log(case, &[name, "level=error"])?;
        case.note(format!(
            "{code}: ends as Invalid, the reason only in the engine's log"
        ));
    }
    for (code, name) in [("V06", "encrypted"), ("V07", "disk-rdm-physical")] {
        let place = import(case, name)?;
        let seen = wait_state(case, &place, "VMMigrationFailed")?;
        let why = failure(&seen.object);
        case.expect(
            format!("{code}: the export fails, after the guest is off"),
            seen.condition("VMPoweredOff").is_some() && !why.is_empty(),
            why,
        );
    }
    for (code, name, disks, nics) in [
        ("T01", "cores-per-socket", 1, 1),
        ("V07", "disk-independent", 1, 1),
        ("W06", "nic-sriov", 1, 1),
    ] {
        let place = import(case, name)?;
        wait_state(case, &place, "virtualMachineCreated")?;
        let machine = wait_machine(case, &hall, &vms[name].name)?;
        let claims = machine
            .pointer("/spec/template/spec/volumes")
            .and_then(|v| v.as_array());
        let claims = claims
            .into_iter()
            .flatten()
            .filter(|v| v.get("persistentVolumeClaim").is_some());
        let seen = (claims.count(), interfaces(&machine).0);
        let cpu = machine
            .pointer("/spec/template/spec/domain/cpu")
            .cloned()
            .unwrap_or_default();
        let said = match code {
            "T01" => "4 cores a socket are taken for 4 sockets of 8 cores",
            "V07" => "the independent disk is left out without a word",
            _ => "the NIC is left out without a word",
        };
        let holds =
            seen == (disks, nics) && (code != "T01" || (cpu["sockets"] == 4 && cpu["cores"] == 8));
        case.expect(
            format!("{code}: {said}"),
            holds,
            format!("disks and NICs {seen:?}, {cpu}"),
        );
    }
    Ok(())
}

/// What `windrow remedy --as govc` writes, run as it is but for what a person has to decide.
fn mend(case: &mut Case<'_>, vms: &Vms) -> Result<()> {
    let path = case.world.state.join("vsphere-testbed/env");
    let env =
        std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    let variables: Vec<(String, String)> = env
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect();
    let bin = case.world.state.join("vsphere-testbed/bin");
    let with = |run: Run| {
        let path = std::env::var("PATH").unwrap_or_default();
        let run = run.env("PATH", format!("{}:{path}", bin.display()));
        variables
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value))
    };
    run_remedy(case, "govc", &["P07", "T01", "V04", "V10"], &[], with)?;
    // The simulator does not take T01's command; the script says what to do then.
    Vcenter::one_core_a_socket(case.world, &vms["cores-per-socket"])?;
    // What has to be done inside of the guests: both are shut down there.
    for name in ["tools-missing", "suspended"] {
        Vcenter::power(&vms[name], "poweredOff")?;
        case.note(format!("`{}` is shut down from inside", vms[name].name));
    }
    Ok(())
}
