//! (a) Three `OpenStack` servers named `web` and one `db`: by id, a namespace each, one at a time
//! where file names are equal (N03), `db` first, and a scratch that could not hold them all.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::PlanHead;
use crate::case::Case;
use crate::estate::Project;
use crate::kube::{RECORDS, text};
use crate::watch::Seen;
use crate::world::wait_for;

/// The scratch of the plan, in MiB: less than `db` and one `web` together, less the reserve.
const SCRATCH_MIB: u64 = 3300;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    let project = prepare(case, "default/production")?;
    case.pull_and_plan("plan.yaml")?;
    check_waves(case, &project)?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(15))?;
    case.expect_exit("`windrow apply`", &output, 0);
    check_result(case, &project)?;
    case.expect_writes(project.servers.len())?;
    case.windrow_expect(&["status"], 0)?;
    Ok(())
}

/// The project, its Secret, namespaces and the plan; also what scenario g moves.
pub fn prepare(case: &Case<'_>, network: &str) -> Result<Project> {
    case.make_namespaces(&["", "db", "web-1", "web-2", "web-3"])?;
    let project = Project::make(case.world, &case.name(""), &["web", "web", "web", "db:2"])?;
    for server in &project.servers {
        case.note(format!(
            "OpenStack: server `{}` is {}",
            server.name, server.id
        ));
    }
    case.world
        .kube
        .make_secret(&case.name(""), "cloud", &project.secret())?;
    let mut plan = PlanHead {
        name: "shop",
        namespace: &case.name(""),
        machines: &case.name("db"),
        sources: &[format!(
            "{{ name: cloud, openstack: {{ endpoint: \"{}\", region: {} }}, credentials: {{ engine: cloud }} }}",
            project.endpoint, project.region
        )],
        networks: &[format!("{{ source: cloud, from: lan, to: {network} }}")],
        scratch: &format!("{SCRATCH_MIB}Mi"),
    }
    .yaml();
    plan.push_str(
        "  workloads:\n    - name: web\n      select: [ { source: cloud, names: [web] } ]\n      dependsOn: [db]\n\
         \x20   - name: db\n      select: [ { source: cloud, names: [db] } ]\n  machines:\n",
    );
    for (server, n) in project.named("web").zip(1..) {
        let namespace = case.name(&format!("web-{n}"));
        let id = &server.id;
        let _ = writeln!(
            plan,
            "    - {{ vm: {{ source: cloud, id: {id} }}, target: {{ namespace: {namespace} }} }}"
        );
    }
    case.write("plan.yaml", &plan)?;
    Ok(project)
}

/// The waves name servers by id only, and planning again changes nothing.
pub fn check_waves(case: &mut Case<'_>, project: &Project) -> Result<()> {
    let read = |case: &Case<'_>| -> Result<Vec<(std::path::PathBuf, String)>> {
        case.waves()?
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("read `{}`", path.display()))?;
                Ok((path, text))
            })
            .collect()
    };
    let before = read(case)?;
    for server in &project.servers {
        case.expect(
            format!("the waves look for `{}` by its id", server.name),
            before.iter().any(|(_, text)| {
                text.lines()
                    .any(|l| l.contains("find") && l.contains(&server.id))
            }),
            &server.id,
        );
    }
    case.windrow_expect(&["plan", "plan.yaml"], 0)?;
    case.expect(
        "planning again writes the same bytes",
        read(case)? == before,
        "",
    );
    Ok(())
}

/// Everything that must be true after the four were moved.
pub fn check_result(case: &mut Case<'_>, project: &Project) -> Result<()> {
    let ids: Vec<&str> = project.servers.iter().map(|s| s.id.as_str()).collect();
    case.expect_imported_once(&ids)?;
    let imports = case.watch.imports();
    let of = |id: &str| imports.iter().find(|i| i.find == id);

    let db = project.named("db").next().context("there is a db")?;
    let ready = case.watch.ready(&format!("{}/db", case.name("db")));
    for web in project.named("web") {
        let created = of(&web.id).map(|i| i.created);
        case.expect(
            format!("`db` ran before web {} was begun", &web.id[..8]),
            ready
                .zip(created)
                .is_some_and(|(ready, created)| ready <= created),
            format!("db ready {ready:?}, import created {created:?}"),
        );
    }
    let mut webs: Vec<&Seen> = project.named("web").filter_map(|web| of(&web.id)).collect();
    webs.sort_by(|a, b| a.created.total_cmp(&b.created));
    for pair in webs.windows(2) {
        case.expect(
            format!(
                "{} was gone before {} was created: never two `web-0.img`",
                pair[0].place, pair[1].place
            ),
            pair[0].gone.is_some_and(|gone| gone <= pair[1].created),
            format!("gone {:?}, created {:.1}", pair[0].gone, pair[1].created),
        );
    }
    let peak = case.watch.scratch_peak() >> 20;
    case.expect(
        "the scratch never held more than the plan gives it",
        peak <= SCRATCH_MIB,
        format!("{peak} MiB of {SCRATCH_MIB} MiB; all four at once need 5120 MiB"),
    );

    case.expect_machine(&case.name("db"), "db", std::slice::from_ref(&db.sha256))?;
    for (index, web) in project.named("web").enumerate() {
        case.expect_machine(
            &case.name(&format!("web-{}", index + 1)),
            "web",
            std::slice::from_ref(&web.sha256),
        )?;
    }
    // `apply` ends when the deletion is asked for; the engine's finalizer takes a moment.
    wait_for(
        "the last import to be gone",
        Duration::from_secs(30),
        || {
            let gone = case.watch.imports().iter().all(|i| i.gone.is_some());
            Ok(gone.then_some(()))
        },
    )?;
    case.note("every import was deleted once its machine was recorded");
    for server in &project.servers {
        let Some(import) = of(&server.id) else {
            continue;
        };
        let machine = format!("{}/{}", import.namespace(), server.name);
        let downtime = import
            .condition("VMPoweredOff")
            .zip(case.watch.ready(&machine))
            .map(|(off, ready)| ready - off);
        case.note(format!(
            "downtime of {machine}: {:.1} s",
            downtime.unwrap_or(f64::NAN)
        ));
    }
    let records = case.world.kube.list(RECORDS, &case.name(""))?;
    let running = records
        .iter()
        .filter(|r| text(r, "/status/stage") == "Running")
        .count();
    case.expect(
        "the ledger says of all four that they run",
        running == 4 && records.len() == 4,
        format!("{running} of {}", records.len()),
    );
    case.expect(
        "nobody owns the records",
        records
            .iter()
            .all(|r| r.pointer("/metadata/ownerReferences").is_none()),
        "",
    );
    Ok(())
}
