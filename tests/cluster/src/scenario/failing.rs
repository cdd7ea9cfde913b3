//! (f) Imports that fail. An image that never arrives (S08, which the engine does not notice), and a
//! server that is gone before its turn (which the engine retries for ever). Dependants stay up,
//! neighbours are moved, and the message says which failed and why.

use std::time::Duration;

use anyhow::Result;

use super::PlanHead;
use crate::case::Case;
use crate::command::tail;
use crate::estate::{Ova, Project};

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    let ovas = ["base", "front", "alone"].map(|name| Ova::make(case.world, &case.name(name), "8M"));
    let [base, front, alone] = ovas;
    let (base, front, alone) = (base?, front?, alone?);
    let project = Project::make(case.world, &case.name(""), &["gone", "tail"])?;
    case.world
        .kube
        .make_secret(&case.name(""), "cloud", &project.secret())?;
    let items: Vec<String> = [&base, &front, &alone]
        .iter()
        .map(|ova| format!("{{ url: \"{}\", name: {} }}", ova.url, ova.name))
        .collect();
    let head = PlanHead {
        name: "mixed",
        namespace: &case.name(""),
        machines: &case.name("hall"),
        sources: &[
            format!("{{ name: shelf, ova: {{ items: [ {} ] }} }}", items.join(", ")),
            format!(
                "{{ name: cloud, openstack: {{ endpoint: \"{}\", region: {} }}, credentials: {{ engine: cloud }} }}",
                project.endpoint, project.region
            ),
        ],
        networks: &[
            "{ source: shelf, from: lan, to: default/production }".to_owned(),
            "{ source: cloud, from: lan, to: default/production }".to_owned(),
        ],
        scratch: "4Gi",
    }
    .yaml();
    case.write(
        "plan.yaml",
        &format!(
            "{head}  workloads:\n\
             \x20   - name: base\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20   - name: front\n      dependsOn: [base]\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20   - name: alone\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20   - name: gone\n      select: [ {{ source: cloud, names: [gone] }} ]\n\
             \x20   - name: tail\n      dependsOn: [gone]\n      select: [ {{ source: cloud, names: [tail] }} ]\n",
            base.name, front.name, alone.name
        ),
    )?;
    case.pull_and_plan("plan.yaml")?;
    let gone = &project.servers[0];
    project.delete_server(&gone.id)?;
    case.note(format!("OpenStack: server `gone` ({}) is deleted", gone.id));
    case.world.kube.set_knobs(&[(
        "image.fail",
        &format!("^{}/.*{}", case.name("hall"), base.name),
    )])?;

    check(case, &project, &base, &front, &alone)
}

fn check(
    case: &mut Case<'_>,
    project: &Project,
    base: &Ova,
    front: &Ova,
    alone: &Ova,
) -> Result<()> {
    let last = &project.servers[1];
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(15))?;
    let said = output.all();
    case.expect(
        "`windrow apply` ends with 4: begun, not all done",
        output.code == 4,
        output.code,
    );
    case.expect_machine(&case.name("hall"), &alone.name, &alone.disks)?;
    for (name, why) in [(base.name.as_str(), "image"), ("gone", "")] {
        let line = said
            .lines()
            .rev()
            .find(|l| l.trim_start().starts_with(name));
        case.expect(
            format!("the message says that `{name}` failed, and why"),
            line.is_some_and(|l| l.contains("failed: ") && l.contains(why)),
            line.map_or_else(|| tail(&said, 12), str::to_owned),
        );
    }
    for name in [front.name.as_str(), "tail"] {
        case.expect(
            format!("the message says that `{name}` is held back"),
            said.lines()
                .any(|l| l.trim_start().starts_with(name) && l.contains("held back: ")),
            "",
        );
    }
    let finds: Vec<String> = case
        .watch
        .imports()
        .iter()
        .map(|i| i.find.clone())
        .collect();
    case.expect(
        "no dependant was begun",
        !finds.contains(&front.name) && !finds.contains(&last.id),
        finds.join(", "),
    );
    case.expect(
        "the dependant's guest still runs",
        server_status(project, &last.id)? == "ACTIVE",
        "",
    );
    let output = case.windrow(&["status"])?;
    case.expect(
        "`status` names what failed",
        output.all().contains(&base.name),
        tail(&output.all(), 12),
    );
    Ok(())
}

fn server_status(project: &Project, id: &str) -> Result<String> {
    Ok(project
        .openstack(&["server", "show", id, "-f", "value", "-c", "status"])?
        .trim()
        .to_owned())
}
