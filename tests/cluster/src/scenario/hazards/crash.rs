//! OVA files on which the engine crashes, and takes everybody's imports with it: found by the plan,
//! seen by hand, packed again, imported.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::hand::{Hand, expect_found, expect_gone, pull_and_find, source, tidy};
use crate::case::Case;
use crate::estate::Ova;
use crate::kube::IMPORTS;
use crate::scenario::ova;
use crate::world::wait_for;

/// Code, machine, defect of its descriptor, and what the engine says when it ends.
const CRASHES: &[(&str, &str, &str, &str)] = &[
    ("A05", "blank", "blank-disk", "nil pointer dereference"),
    ("A06", "nowhere", "no-host-resource", "index out of range"),
    (
        "A07",
        "unnumbered",
        "no-quantity",
        "nil pointer dereference",
    ),
];

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    let mut ovas = Vec::new();
    for (_, name, defect, _) in CRASHES {
        let options = ["--disks", "8M", "--nics", "lan", "--defect", defect];
        ovas.push(Ova::make_with(case.world, &case.name(name), &options)?);
    }
    write_plan(case, &ovas)?;
    let found = pull_and_find(case, "plan.yaml")?;
    let names: Vec<String> = CRASHES
        .iter()
        .map(|(_, name, ..)| case.name(name))
        .collect();
    let hazards: Vec<(&str, &str)> = (CRASHES.iter().zip(&names))
        .map(|((code, ..), name)| (*code, name.as_str()))
        .collect();
    expect_found(case, &found, &hazards);
    for ((code, name, _, words), ova) in CRASHES.iter().zip(&ovas) {
        crash(case, code, name, &ova.url, words)?;
    }
    tidy(case, &case.name("hall"))?;

    for ((_, name, ..), ova) in CRASHES.iter().zip(&mut ovas) {
        *ova = Ova::make(case.world, &case.name(name), "8M")?;
    }
    write_plan(case, &ovas)?;
    let found = pull_and_find(case, "plan.yaml")?;
    expect_gone(case, &found, &hazards);
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply`", &output, 0);
    for ova in &ovas {
        case.expect_machine(&case.name("hall"), &ova.name, &ova.disks)?;
    }
    Ok(())
}

fn write_plan(case: &Case<'_>, ovas: &[Ova]) -> Result<()> {
    let plan = ova::plan(case, &case.name("hall"), ovas, "400Mi");
    let plan = format!(
        "{plan}  workloads:\n    - name: all\n      select: [ {{ source: shelf, match: \"*\" }} ]\n"
    );
    case.write("plan.yaml", &plan).map(drop)
}

/// The engine ends, and stays up after a start once the import is deleted.
fn crash(case: &mut Case<'_>, code: &str, name: &str, url: &str, words: &str) -> Result<()> {
    let hall = case.name("hall");
    source(case, "OvaSource", &hall, "file", &json!({"url": url}))?;
    Hand {
        namespace: &hall,
        name,
        source: ("OvaSource", "file"),
        find: name,
        folder: None,
        networks: &[("lan", "default/production")],
        storage: "longhorn-engine-v1",
    }
    .create(case)?;
    wait_for("the engine to end", Duration::from_mins(2), || {
        Ok(case
            .world
            .engine("status")?
            .contains("not running")
            .then_some(()))
    })?;
    let log = case.engine_log()?;
    case.expect(format!("{code}: the engine ends"), log.contains(words), "");
    // Started with the import in its way it would end again: the import has to go first.
    let kube = &case.world.kube;
    kube.run(["delete", IMPORTS, name, "-n", &hall, "--wait=false"])
        .text()?;
    case.restart_engine()?;
    wait_for("the import to be gone", Duration::from_mins(1), || {
        Ok(case
            .world
            .kube
            .get(IMPORTS, &hall, name)?
            .is_none()
            .then_some(()))
    })?;
    let up = !case.world.engine("status")?.contains("not running");
    case.expect(
        format!("{code}: with the import deleted, it stays up"),
        up,
        "",
    );
    tidy(case, &hall)
}
