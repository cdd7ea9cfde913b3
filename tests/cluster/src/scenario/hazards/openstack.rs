//! Hazards of `OpenStack` servers, mended by the script that `windrow remedy` writes, and imported.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::files::stuck;
use super::hand::{
    Hand, expect_found, expect_gone, pull_and_find, source, tidy, wait_import, wait_log, wait_state,
};
use super::script::{Complete, run_remedy};
use crate::case::Case;
use crate::estate::Project;
use crate::kube::{MACHINES, text};
use crate::scenario::PlanHead;

const PAUSED: &str = "paused";
const ODD: &str = "app_server";

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    let project = Project::make(case.world, &case.name(""), &[PAUSED, ODD])?;
    let (paused, odd) = (project.servers[0].clone(), project.servers[1].clone());
    for namespace in ["", "hall"] {
        case.world
            .kube
            .make_secret(&case.name(namespace), "cloud", &project.secret())?;
    }
    project.openstack(&["server", "pause", &paused.id])?;
    let plan = PlanHead {
        name: "cloud",
        namespace: &case.name(""),
        machines: &case.name("hall"),
        sources: &[format!(
            "{{ name: cloud, openstack: {{ endpoint: \"{}\", region: {} }}, credentials: {{ engine: cloud }} }}",
            project.endpoint, project.region
        )],
        networks: &["{ source: cloud, from: lan, to: default/production }".to_owned()],
        scratch: "4Gi",
    }
    .yaml();
    let ids = format!("{}, {}", paused.id, odd.id);
    case.write(
        "plan.yaml",
        &format!("{plan}  workloads:\n    - name: all\n      select: [ {{ source: cloud, ids: [{ids}] }} ]\n"),
    )?;
    let hazards = [("O09", PAUSED), ("P07", ODD)];
    let found = pull_and_find(case, "plan.yaml")?;
    expect_found(case, &found, &hazards);

    show(case, &project)?;
    tidy(case, &case.name("hall"))?;
    let variables = project.environment();
    run_remedy(
        case,
        "openstack",
        &["O09", "P07"],
        &[] as &[Complete<'_>],
        |run| {
            variables
                .iter()
                .fold(run, |run, (name, value)| run.env(name, value))
        },
    )?;
    let found = pull_and_find(case, "plan.yaml")?;
    expect_gone(case, &found, &hazards);
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(10))?;
    case.expect_exit("`windrow apply`", &output, 0);
    let hall = case.name("hall");
    case.expect_machine(&hall, PAUSED, &[paused.sha256])?;
    let machines = case.world.kube.list(MACHINES, &hall)?;
    let other = machines
        .iter()
        .map(|m| text(m, "/metadata/name"))
        .find(|name| *name != PAUSED);
    let other = other.unwrap_or_default().to_owned();
    case.expect(
        "the renamed one has a name that DNS takes",
        other.starts_with("app-server-"),
        &other,
    );
    case.expect_machine(&hall, &other, &[odd.sha256])
}

/// Both on the engine, by hand.
fn show(case: &mut Case<'_>, project: &Project) -> Result<()> {
    let hall = case.name("hall");
    source(
        case,
        "OpenstackSource",
        &hall,
        "cloud",
        &json!({
            "endpoint": project.endpoint, "region": project.region,
            "credentials": {"name": "cloud", "namespace": hall},
        }),
    )?;
    let import = |case: &Case<'_>, name: &str, find: &str| {
        Hand {
            namespace: &hall,
            name,
            source: ("OpenstackSource", "cloud"),
            find,
            folder: None,
            networks: &[("lan", "default/production")],
            storage: "longhorn-engine-v1",
        }
        .create(case)
    };
    let odd = import(case, "odd", ODD)?;
    wait_state(case, &odd, "virtualMachineImportInvalid")?;
    case.expect("P07: ends as Invalid", true, "");
    let paused = import(case, PAUSED, PAUSED)?;
    wait_state(case, &paused, "sourceReady")?;
    wait_log(case, &["error syncing", "hall/paused", "409"])?;
    wait_import(case, &paused, "to have no condition", |seen| {
        seen.conditions.is_empty()
    })?;
    stuck(case, "O09", &paused, "sourceReady");
    Ok(())
}
