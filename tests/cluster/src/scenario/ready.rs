//! Go or no go, asked of the real ones: a wave is approved, its logins are tried, its passwords looked
//! at, and each thing that could stop it at night is made to happen once, and mended.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::PlanHead;
use crate::case::Case;
use crate::estate::Project;
use crate::kube::{ENGINE_NAMESPACE, text};

/// The engine's Deployment.
const ENGINE: &str = "harvester-vm-import-controller";
const WAVE: &str = "night-010-db";

pub fn run(case: &mut Case<'_>) -> Result<()> {
    let project = prepare(case)?;
    case.pull_and_plan("plan.yaml")?;
    replicas(case, 1)?;

    no_go(case, "nobody has approved it", "approval", "there is none")?;
    case.windrow_expect(&["approve", WAVE, "--plan", "plan.yaml"], 0)?;
    go(case, "all is well")?;

    logins(case, &project)?;
    passwords(case, &project)?;

    let server = &project.servers[0].id;
    project.openstack(&["server", "set", "--name", "db-renamed", server])?;
    no_go(case, "the server has another name", "drift", "db-renamed")?;
    project.openstack(&["server", "set", "--name", "db", server])?;

    replicas(case, 0)?;
    let switched_off = no_go(case, "the engine is off", "engine", "switched off");
    replicas(case, 1)?;
    switched_off?;
    go(case, "all is mended")?;

    let output = case.windrow(&["ready", WAVE, "--plan", "plan.yaml"])?;
    let lines = output.stdout.lines().map(|line| line.chars().count());
    let widest = lines.max().unwrap_or_default();
    case.expect("its table fits 100 columns", widest <= 100, widest);
    Ok(())
}

/// A project of one server; its plan has a window that opens tomorrow, and a Secret for each of the
/// two who log in.
fn prepare(case: &Case<'_>) -> Result<Project> {
    case.make_namespaces(&[""])?;
    let project = Project::make(case.world, &case.name(""), &["db"])?;
    for secret in ["cloud", "cloud-read"] {
        let kube = &case.world.kube;
        kube.make_secret(&case.name(""), secret, &project.secret())?;
    }
    let head = PlanHead {
        name: "night",
        namespace: &case.name(""),
        machines: &case.name(""),
        sources: &[format!(
            "{{ name: cloud, openstack: {{ endpoint: \"{}\", region: {} }}, \
             credentials: {{ engine: cloud, inventory: cloud-read }} }}",
            project.endpoint, project.region
        )],
        networks: &["{ source: cloud, from: lan, to: default/production }".to_owned()],
        scratch: "4Gi",
    }
    .yaml();
    let windows = format!(
        "    windows:\n      - name: night\n        occurrences:\n          \
         - {{ id: first, from: \"{}\", to: \"{}\" }}\n    assumptions:",
        instant(20)?,
        instant(26)?
    );
    let head = head.replacen("    assumptions:", &windows, 1);
    let start = format!("  start: \"{}\"\n  target:", instant(0)?);
    let head = head.replacen("  target:", &start, 1);
    case.write(
        "plan.yaml",
        &format!(
            "{head}  workloads:\n    - name: db\n      select: [ {{ source: cloud, ids: [{}] }} ]\n",
            project.servers[0].id
        ),
    )?;
    Ok(project)
}

/// Two Secrets, two logins: the one that is wrong is named, and no other.
fn logins(case: &mut Case<'_>, project: &Project) -> Result<()> {
    for (secret, kind) in [("cloud", "engineSecret"), ("cloud-read", "login")] {
        let mut wrong = project.secret();
        wrong.retain(|(key, _)| *key != "password");
        wrong.push(("password", "of-last-year"));
        let (kube, namespace) = (&case.world.kube, case.name(""));
        kube.make_secret(&namespace, secret, &wrong)?;
        let why = format!("the password in `{secret}` is wrong");
        let output = no_go(case, &why, kind, "refuses (401)")?;
        let kept = !output.contains("of-last-year") && !output.contains(&project.password);
        case.expect("no password is told", kept, "");
        let (kube, namespace) = (&case.world.kube, case.name(""));
        kube.make_secret(&namespace, secret, &project.secret())?;
    }
    Ok(())
}

/// A password that expires in time for the next attempts is worth a word, one that expires before the
/// window closes is a no.
fn passwords(case: &mut Case<'_>, project: &Project) -> Result<()> {
    expire(case, project, &instant(26 + 72)?)?;
    let checks = asked(case, 0, "a password expires three days after the wave")?;
    for kind in ["login", "engineSecret"] {
        let check = check(&checks, kind, "cloud");
        let holds = text(check, "/state") == "caution" && text(check, "/found").contains("expires");
        case.expect(format!("{kind} says when"), holds, check);
    }
    expire(case, project, &instant(24)?)?;
    let why = "the password expires while the window is open";
    no_go(case, why, "login", "before the window closes")?;
    expire(case, project, "never")
}

fn expire(case: &Case<'_>, project: &Project, when: &str) -> Result<()> {
    let script = case.world.script("openstack/project");
    let script = script.args(["expire", &project.name, when]);
    script.limit(Duration::from_mins(1)).text().map(drop)
}

/// Asks; a check of `kind` says no, for the reason that is looked for, and nothing else is against it.
fn no_go(case: &mut Case<'_>, why: &str, kind: &str, found: &str) -> Result<String> {
    let checks = asked(case, 1, why)?;
    let against: Vec<&Value> = checks
        .iter()
        .filter(|check| text(check, "/state") == "noGo")
        .collect();
    let says = |check: &&&Value| text(check, "/found").contains(found);
    case.expect(
        format!("{why}: `{kind}` says so"),
        against
            .iter()
            .filter(says)
            .any(|check| text(check, "/kind") == kind),
        json!(against),
    );
    // Both Secrets are of one account here, and both may say the same.
    let others = against.iter().filter(|check| !says(check)).count();
    let told = json!(checks).to_string();
    case.expect(
        format!("{why}: nothing else is against it"),
        others == 0,
        &told,
    );
    Ok(told)
}

fn go(case: &mut Case<'_>, why: &str) -> Result<()> {
    let checks = asked(case, 0, why)?;
    for kind in ["login", "engineSecret"] {
        let check = check(&checks, kind, "cloud");
        let holds = text(check, "/state") == "go";
        case.expect(format!("{why}: {kind} holds"), holds, check);
    }
    Ok(())
}

/// The checks as JSON.
fn asked(case: &mut Case<'_>, code: i32, why: &str) -> Result<Vec<Value>> {
    case.note(why);
    let output = case.windrow(&["ready", WAVE, "--plan", "plan.yaml", "-o", "json"])?;
    case.expect_exit(format!("`windrow ready`, as {why},"), &output, code);
    let json: Value = serde_json::from_str(&output.stdout)
        .with_context(|| format!("read what `windrow ready` printed: {}", output.all()))?;
    let checks = json["checks"].as_array();
    Ok(checks.context("it has checks")?.clone())
}

fn check<'c>(checks: &'c [Value], kind: &str, subject: &str) -> &'c Value {
    let is_it = |check: &&Value| text(check, "/kind") == kind && text(check, "/subject") == subject;
    checks.iter().find(is_it).unwrap_or(&Value::Null)
}

/// Switches the engine's Deployment. In the rig nothing runs from it, so nobody else says what is ready.
fn replicas(case: &Case<'_>, number: u32) -> Result<()> {
    let kube = &case.world.kube;
    let patch = |what: &[&str], patch: Value| {
        let run = kube.run(["patch", "deployment", ENGINE, "-n", ENGINE_NAMESPACE]);
        run.args(what).args(["-p", &patch.to_string()]).text()
    };
    patch(&[], json!({"spec": {"replicas": number}}))?;
    let status = json!({"status": {"replicas": number, "readyReplicas": number}});
    patch(&["--subresource=status"], status).map(drop)
}

/// So many hours from now, as RFC 3339, on the full minute.
fn instant(hours: u64) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let at = i64::try_from(now.as_secs() / 60 * 60 + hours * 3600)?;
    Ok(jiff::Timestamp::from_second(at)?.to_string())
}
