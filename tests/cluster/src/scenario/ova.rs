//! (b) An OVA file: no credentials, two disks, one network.

use std::time::Duration;

use anyhow::Result;

use super::PlanHead;
use crate::case::Case;
use crate::estate::Ova;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&[""])?;
    let ova = Ova::make(case.world, &case.name("legacy"), "24M,8M")?;
    let plan = plan(case, &case.name(""), std::slice::from_ref(&ova), "400Mi");
    case.write(
        "plan.yaml",
        &format!("{plan}  workloads:\n    - name: legacy\n      select: [ {{ source: shelf, names: [{}] }} ]\n", ova.name),
    )?;
    case.pull_and_plan("plan.yaml")?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply`", &output, 0);
    case.expect_imported_once(&[&ova.name])?;
    case.expect_machine(&case.name(""), &ova.name, &ova.disks)?;
    case.expect_writes(1)?;
    Ok(())
}

/// The head of a plan in the scenario's own namespace that takes OVA files.
pub fn plan(case: &Case<'_>, machines: &str, ovas: &[Ova], scratch: &str) -> String {
    let items: Vec<String> = ovas
        .iter()
        .map(|ova| format!("{{ url: \"{}\", name: {} }}", ova.url, ova.name))
        .collect();
    PlanHead {
        name: "files",
        namespace: &case.name(""),
        machines,
        sources: &[format!(
            "{{ name: shelf, ova: {{ items: [ {} ] }} }}",
            items.join(", ")
        )],
        networks: &["{ source: shelf, from: lan, to: default/production }".to_owned()],
        scratch,
    }
    .yaml()
}
