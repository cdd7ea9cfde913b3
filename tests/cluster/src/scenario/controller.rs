//! (g) The same four servers by `windrow controller`, which runs under the service account and the
//! rights of `deploy/` and nothing else. Plan, waves and approvals are put there by kubectl, as a
//! `GitOps` tool does; deleted and applied again, while an import is live and after all is done.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::openstack;
use crate::case::{Case, kubeconfig_of};
use crate::command::Background;
use crate::kube::{IMPORTS, text};
use crate::world::{wait_for, wait_while};

/// Waves and plans of Windrow.
const WAVES: &str = "migrationwaves.windrow.dev";

pub fn run(case: &mut Case<'_>) -> Result<()> {
    let project = openstack::prepare(case, "default/production")?;
    case.pull_and_plan("plan.yaml")?;
    let mut files = vec![case.folder.join("plan.yaml")];
    files.extend(case.waves()?);
    approve(case, &mut files)?;

    let mut controller = start_controller(case)?;
    apply(case, &files)?;
    let live = wait_while(
        "a live import",
        &mut controller,
        Duration::from_mins(4),
        || {
            Ok(case
                .watch
                .imports()
                .into_iter()
                .find(|s| s.condition("VMPoweredOff").is_some()))
        },
    )?;

    // Somebody deletes it all while an import is live, and syncs again.
    delete(case, &files)?;
    // That nothing happens has no condition to wait for: the collector, which acts within a second,
    // gets five.
    std::thread::sleep(Duration::from_secs(5));
    let name = live.place.rsplit('/').next().unwrap_or_default();
    let now = case.world.kube.get(IMPORTS, live.namespace(), name)?;
    case.expect(
        "deleting plan, waves and approvals collects no live import",
        now.as_ref()
            .is_some_and(|now| text(now, "/metadata/uid") == live.uid),
        &live.place,
    );
    apply(case, &files)?;
    wait_done(case, &mut controller)?;
    openstack::check_result(case, &project)?;

    // And once more, when all is done.
    delete(case, &files)?;
    apply(case, &files)?;
    wait_done(case, &mut controller)?;
    let ids: Vec<&str> = project.servers.iter().map(|s| s.id.as_str()).collect();
    case.expect_imported_once(&ids)?;
    case.expect_writes(project.servers.len())?;

    let users: std::collections::BTreeSet<String> = case
        .writes()?
        .into_iter()
        .filter(|w| w.is_ours() && !w.user.contains("admin"))
        .map(|w| w.user)
        .collect();
    case.expect(
        "all of it was done by one service account",
        users.len() == 1,
        users.iter().cloned().collect::<Vec<_>>().join(", "),
    );
    let denied: Vec<String> = case
        .writes()?
        .iter()
        .filter(|w| w.is_ours() && w.code == 403)
        .map(|w| format!("{} {} in {}", w.verb, w.resource, w.namespace))
        .collect();
    case.expect(
        "nothing was denied to it",
        denied.is_empty(),
        denied.join(", "),
    );
    controller.signal("TERM")?;
    let output = case.finish(&mut controller, Duration::from_secs(30))?;
    case.expect_exit("the controller, on SIGTERM,", &output, 0);
    Ok(())
}

/// `windrow approve` for each wave; its file joins the others.
fn approve(case: &mut Case<'_>, files: &mut Vec<PathBuf>) -> Result<()> {
    for wave in case.waves()? {
        let name = wave.file_name().unwrap_or_default().to_string_lossy();
        case.windrow_expect(&["approve", &name], 0)?;
    }
    let folder = case.folder.join("approvals");
    for entry in
        std::fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))?
    {
        files.push(
            entry
                .with_context(|| format!("list `{}`", folder.display()))?
                .path(),
        );
    }
    Ok(())
}

/// `deploy/` as it is, but for what runs the program: that is this process's child, with a token of
/// the service account.
fn start_controller(case: &Case<'_>) -> Result<Background> {
    let kube = &case.world.kube;
    let deploy = case.world.root.join("deploy");
    let all = kube
        .run(["kustomize"])
        .args([&deploy])
        .text()
        .context("build `deploy/`")?;
    let objects = kube
        .run(["create", "--dry-run=client", "-o", "json", "-f", "-"])
        .input(all)
        .text()?;
    let objects: Vec<Value> = serde_json::Deserializer::from_str(&objects)
        .into_iter::<Value>()
        .collect::<Result<Vec<_>, _>>()
        .context("read the objects of `deploy/`")?;
    let objects: Vec<Value> = objects
        .into_iter()
        .flat_map(
            |mut object| match object.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                _ => vec![object],
            },
        )
        .collect();
    let account = objects
        .iter()
        .find(|o| text(o, "/kind") == "ServiceAccount")
        .context("`deploy/` has no ServiceAccount")?;
    let (namespace, name) = (
        text(account, "/metadata/namespace"),
        text(account, "/metadata/name"),
    );
    case.world.kube.make_namespaces(&[namespace.to_owned()])?;
    for object in objects.iter().filter(|o| text(o, "/kind") != "Deployment") {
        kube.apply(&object.to_string())?;
    }
    let token = kube
        .run(["create", "token", name, "-n", namespace, "--duration=2h"])
        .text()?;
    let kubeconfig = case.write("controller.kubeconfig", &kubeconfig_of(kube, token.trim())?)?;
    case.note(format!("the controller is {namespace}/{name}"));
    let run = case
        .world
        .windrow(&case.folder, ["controller", "--target", "hv1"])
        .env("KUBECONFIG", kubeconfig);
    run.background(&case.folder.join("controller.log"))
}

fn apply(case: &Case<'_>, files: &[PathBuf]) -> Result<()> {
    let run = case
        .world
        .kube
        .run(["apply", "--server-side", "--field-manager=gitops"]);
    let output =
        case.run_noted(&run.args(files.iter().flat_map(|f| ["-f".as_ref(), f.as_os_str()])))?;
    anyhow::ensure!(
        output.code == 0,
        "kubectl apply ended with {}: {}",
        output.code,
        output.all()
    );
    Ok(())
}

fn delete(case: &Case<'_>, files: &[PathBuf]) -> Result<()> {
    let run = case.world.kube.run([
        "delete",
        "--ignore-not-found",
        "--wait=true",
        "--timeout=50s",
    ]);
    let output =
        case.run_noted(&run.args(files.iter().flat_map(|f| ["-f".as_ref(), f.as_os_str()])))?;
    anyhow::ensure!(
        output.code == 0,
        "kubectl delete ended with {}: {}",
        output.code,
        output.all()
    );
    Ok(())
}

/// Until every wave says that it succeeded, for the generation that is there.
fn wait_done(case: &Case<'_>, controller: &mut Background) -> Result<()> {
    let namespace = case.name("");
    wait_while(
        "all waves to be Ready",
        controller,
        Duration::from_mins(15),
        || {
            let waves = case.world.kube.list(WAVES, &namespace)?;
            let done = !waves.is_empty()
                && waves.iter().all(|wave| {
                    let conditions = wave.pointer("/status/conditions").and_then(Value::as_array);
                    wave.pointer("/status/observedGeneration")
                        == wave.pointer("/metadata/generation")
                        && conditions.into_iter().flatten().any(|c| {
                            text(c, "/type") == "Succeeded" && text(c, "/status") == "True"
                        })
                });
            std::thread::sleep(Duration::from_secs(1));
            Ok(done.then_some(()))
        },
    )?;
    wait_for("the last import to be gone", Duration::from_mins(1), || {
        Ok(case
            .watch
            .imports()
            .iter()
            .all(|i| i.gone.is_some())
            .then_some(()))
    })
}
