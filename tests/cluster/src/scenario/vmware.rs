//! (c) A `VMware` VM: the simulated vCenter shuts its guest down and exports a real disk, nearly all
//! holes, which is compared with what `govc` exports.

use std::time::Duration;

use anyhow::Result;

use super::PlanHead;
use crate::case::Case;
use crate::estate::Vcenter;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "app"])?;
    // A small one, as the disk goes through many hands; it is off when the simulator begins.
    let vm = Vcenter::vm(case.world, "disk-tiny")?;
    Vcenter::power(&vm, "poweredOn")?;
    let secret = Vcenter::secret(case.world)?;
    let secret: Vec<(&str, &str)> = secret
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    case.world
        .kube
        .make_secret(&case.name(""), "vcenter", &secret)?;
    let head = PlanHead {
        name: "estate",
        namespace: &case.name(""),
        machines: &case.name("app"),
        sources: &[format!(
            "{{ name: dc1, vmware: {{ endpoint: \"{}\", datacenter: {} }}, credentials: {{ engine: vcenter }} }}",
            Vcenter::ENDPOINT, vm.datacenter
        )],
        networks: &[format!("{{ source: dc1, from: {}, to: default/production }}", vm.network)],
        scratch: "60Gi",
    }
    .yaml();
    case.write(
        "plan.yaml",
        &format!(
            "{head}  workloads:\n    - name: app\n      select: [ {{ source: dc1, ids: [{}] }} ]\n",
            vm.uuid
        ),
    )?;
    case.pull_and_plan("plan.yaml")?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(10))?;
    case.expect_exit("`windrow apply`", &output, 0);
    case.expect_imported_once(&[&vm.name])?;
    let digest = Vcenter::disk_sha256(case.world, &vm, &case.folder)?;
    case.expect_machine(&case.name("app"), &vm.name, &[digest])?;
    case.expect_writes(1)?;
    Ok(())
}
