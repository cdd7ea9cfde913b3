//! (h) Bad input on real components: each tried, each one clear message (what was attempted, on
//! what, what to do), the right exit code, nothing half-written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::{PlanHead, ova};
use crate::case::{Case, kubeconfig_of};
use crate::command::tail;
use crate::estate::{Ova, Project, Vcenter};
use crate::kube::Kube;
use crate::world::World;

/// Refused; the input is not good.
const REFUSED: &[i32] = &[1];
/// The command line is wrong, or a file or a Secret cannot be read.
const INPUT: &[i32] = &[1, 2];
/// An outside system failed; the same command may work later.
const OUTSIDE: &[i32] = &[75];

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    files(case)?;
    sources(case)?;
    cluster(case)?;
    let imports = case.watch.imports().len();
    case.expect("none of this created an import", imports == 0, imports);
    let writes = case.writes()?;
    let made: Vec<String> = writes
        .iter()
        .filter(|w| w.counts() && w.done() && !w.is_question())
        .map(|w| format!("{} {} {}", w.verb, w.resource, w.name))
        .collect();
    case.expect(
        "none of this wrote anything to the cluster",
        made.is_empty(),
        made.join(", "),
    );
    Ok(())
}

/// Runs a command that must be refused: one of `codes`, all of `words` in the message, the message
/// short enough to be one.
fn refused(
    case: &mut Case<'_>,
    what: &str,
    kubeconfig: Option<&Path>,
    arguments: &[&str],
    codes: &[i32],
    words: &[&str],
) -> Result<()> {
    let mut run = case
        .world
        .windrow(&case.folder, arguments)
        .limit(Duration::from_mins(2));
    if let Some(kubeconfig) = kubeconfig {
        run = run.env("KUBECONFIG", kubeconfig);
    }
    let output = case.run_noted(&run)?;
    case.expect(
        format!("{what}: exit code {codes:?}"),
        codes.contains(&output.code),
        output.code,
    );
    let said = output.stderr.to_lowercase();
    let missing: Vec<&&str> = words
        .iter()
        .filter(|word| !said.contains(&word.to_lowercase()))
        .collect();
    case.expect(
        format!("{what}: the message says {words:?}"),
        missing.is_empty(),
        if missing.is_empty() {
            String::new()
        } else {
            format!("no {missing:?} in: {}", tail(&output.all(), 12))
        },
    );
    let errors = output
        .stderr
        .lines()
        .filter(|l| l.starts_with("error"))
        .count();
    case.expect(
        format!("{what}: one message"),
        errors == 1,
        format!("{errors} lines begin with `error`"),
    );
    Ok(())
}

fn files(case: &mut Case<'_>) -> Result<()> {
    let ova = Ova::make(case.world, &case.name("file"), "8M")?;
    let plan = ova::plan(
        case,
        &case.name("hall"),
        std::slice::from_ref(&ova),
        "400Mi",
    );
    let good = format!(
        "{plan}  workloads:\n    - name: legacy\n      select: [ {{ source: shelf, names: [{}] }} ]\n",
        ova.name
    );
    case.write("plan.yaml", &good)?;
    case.write("unknown.yaml", &good.replace("  workloads:", "  workload:"))?;
    case.write(
        "unit.yaml",
        &good.replace("capacity: 400Mi", "capacity: 400MB"),
    )?;
    refused(
        case,
        "an unknown field",
        None,
        &["plan", "unknown.yaml"],
        REFUSED,
        &["unknown.yaml:", "workload", "workloads"],
    )?;
    refused(
        case,
        "a wrong unit",
        None,
        &["plan", "unit.yaml"],
        REFUSED,
        &["unit.yaml:", "400MB"],
    )?;
    refused(
        case,
        "a file that is not there",
        None,
        &["plan", "nowhere.yaml"],
        INPUT,
        &["nowhere.yaml"],
    )?;
    case.expect(
        "no waves were written",
        !case.folder.join("waves").exists(),
        "",
    );
    Ok(())
}

/// What is wrong, the source, exit codes, words of the message.
type Bad<'b> = (&'b str, String, &'b [i32], &'b [&'b str]);

fn sources(case: &mut Case<'_>) -> Result<()> {
    let project = Project::make(case.world, &case.name(""), &["web"])?;
    secrets(case, &project)?;
    let network = "{ source: src, from: lan, to: default/production }".to_owned();
    let source = |what: String, secret: &str| {
        format!("{{ name: src, {what}, credentials: {{ engine: {secret} }} }}")
    };
    let cloud = |secret: &str| {
        let endpoint = &project.endpoint;
        let place = format!("openstack: {{ endpoint: \"{endpoint}\", region: RegionOne }}");
        source(place, secret)
    };
    let vcenter = |endpoint: &str, secret: &str| {
        let place = format!("vmware: {{ endpoint: \"{endpoint}\", datacenter: fra1 }}");
        source(place, secret)
    };
    let namespace = case.name("");
    let secret = |name: &str| format!("`{namespace}/{name}`");
    let missing = secret("no-such-secret");
    let (cloud_wrong, vcenter_wrong) = (secret("cloud-wrong"), secret("vcenter-wrong"));
    let untrusted = secret("vcenter-untrusted");
    let none = "https://127.0.0.1:1/sdk";
    let cases: [Bad<'_>; 5] = [
        (
            "a missing Secret",
            cloud("no-such-secret"),
            INPUT,
            &[&missing],
        ),
        (
            "a wrong password for OpenStack",
            cloud("cloud-wrong"),
            REFUSED,
            &["log in", &project.endpoint, &cloud_wrong],
        ),
        (
            "a wrong password for vCenter",
            vcenter(Vcenter::ENDPOINT, "vcenter-wrong"),
            REFUSED,
            &["log in", Vcenter::ENDPOINT, &vcenter_wrong],
        ),
        (
            "a vCenter that is not there",
            vcenter(none, "vcenter"),
            OUTSIDE,
            &["127.0.0.1:1", "refused"],
        ),
        (
            "a certificate that nobody vouches for",
            vcenter(Vcenter::ENDPOINT, "vcenter-untrusted"),
            REFUSED,
            &[Vcenter::ENDPOINT, "certificate", "caCert", &untrusted],
        ),
    ];
    for (what, source, codes, words) in cases {
        let head = PlanHead {
            name: "bad",
            namespace: &namespace,
            machines: &case.name("hall"),
            sources: &[source],
            networks: std::slice::from_ref(&network),
            scratch: "4Gi",
        }
        .yaml();
        case.write("source.yaml", &format!("{head}  workloads:\n    - name: web\n      select: [ {{ source: src, names: [web] }} ]\n"))?;
        refused(
            case,
            what,
            None,
            &[
                "inventory",
                "pull",
                "source.yaml",
                "--source",
                "src",
                "--out",
                "inventory-bad",
            ],
            codes,
            words,
        )?;
        case.expect(
            format!("{what}: nothing half-written"),
            files_below(&case.folder.join("inventory-bad")) == 0,
            "",
        );
    }
    Ok(())
}

/// Secrets with something wrong in them, and one that is right.
fn secrets(case: &Case<'_>, project: &Project) -> Result<()> {
    let (kube, namespace) = (&case.world.kube, case.name(""));
    let mut wrong = project.secret();
    wrong[1].1 = "not-the-password";
    kube.make_secret(&namespace, "cloud-wrong", &wrong)?;
    let good = Vcenter::secret(case.world)?;
    let good: Vec<(&str, &str)> = good.iter().map(|(k, v)| (*k, v.as_str())).collect();
    kube.make_secret(&namespace, "vcenter", &good)?;
    kube.make_secret(&namespace, "vcenter-untrusted", &good[..2])?;
    let wrong = [good[0], ("password", "not-the-password"), good[2]];
    kube.make_secret(&namespace, "vcenter-wrong", &wrong)
}

fn files_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                files_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

fn cluster(case: &mut Case<'_>) -> Result<()> {
    case.pull_and_plan("plan.yaml")?;
    let apply = ["apply", "plan.yaml", "--yes"];

    let kube = &case.world.kube;
    kube.apply(
        &serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "nobody", "namespace": case.name("")}})
        .to_string(),
    )?;
    let token = kube
        .run(["create", "token", "nobody", "-n", &case.name("")])
        .text()?;
    let nobody = case.write("nobody.kubeconfig", &kubeconfig_of(kube, token.trim())?)?;
    let words = ["may not create machinemigrations", "deploy/rbac"];
    refused(
        case,
        "no rights at all",
        Some(&nobody),
        &apply,
        REFUSED,
        &words,
    )?;
    case.world.kube.apply(&reader(&case.name("")))?;
    let place = format!("`{}`", case.name(""));
    let words = ["may not create machinemigrations", &place, "deploy/rbac"];
    refused(
        case,
        "rights to read only",
        Some(&nobody),
        &apply,
        REFUSED,
        &words,
    )?;

    let stranger = case.write("stranger.kubeconfig", &kubeconfig_of(kube, "not-a-token")?)?;
    refused(
        case,
        "a token that is not valid",
        Some(&stranger),
        &apply,
        &[1, 75],
        &["log in", "127.0.0.1:16443"],
    )?;

    let away = std::fs::read_to_string(&nobody)?.replace("127.0.0.1:16443", "127.0.0.1:1");
    let away = case.write("away.kubeconfig", &away)?;
    refused(
        case,
        "an API server that is not there",
        Some(&away),
        &apply,
        OUTSIDE,
        &["127.0.0.1:1", "refused"],
    )?;

    let missing = case.folder.join("no.kubeconfig");
    refused(
        case,
        "a kubeconfig that is not there",
        Some(&missing),
        &apply,
        INPUT,
        &["kubeconfig"],
    )?;

    let bare = Bare::start(case.world)?;
    refused(
        case,
        "kinds that are not installed",
        Some(&bare.kubeconfig()),
        &apply,
        REFUSED,
        &["not installed", "windrow crd"],
    )?;
    Ok(())
}

/// Lets the account `nobody` see everything, and do nothing.
fn reader(namespace: &str) -> String {
    let name = format!("{namespace}-reader");
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
         "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
         "subjects": [{"kind": "ServiceAccount", "name": "nobody", "namespace": namespace}]},
    ]})
    .to_string()
}

/// A second control plane without any of Windrow's kinds; gone when dropped.
struct Bare<'w> {
    world: &'w World,
    state: PathBuf,
}

impl<'w> Bare<'w> {
    fn start(world: &'w World) -> Result<Self> {
        let bare = Self {
            world,
            state: world.state.join("bare-testbed"),
        };
        bare.script("up")
            .args(["--no-install"])
            .limit(Duration::from_mins(3))
            .text()?;
        Ok(bare)
    }

    fn script(&self, name: &str) -> crate::command::Run {
        // Ports of its own, and no address of the engine: that one belongs to the rig beside it.
        self.world
            .script(&format!("harvester/{name}"))
            .env("STATE", &self.state)
            .env("API_PORT", "26443")
            .env("ETCD_PORT", "22379")
            .env("OVA_PORT", "28090")
            .env("ENGINE_ADDRESS", "127.0.0.1")
            .env("ENGINE", "")
    }

    fn kubeconfig(&self) -> PathBuf {
        Kube::new(&self.state.join("kubeconfig"))
            .kubeconfig()
            .to_owned()
    }
}

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        let _ = self
            .script("down")
            .args(["--wipe"])
            .limit(Duration::from_mins(1))
            .output();
    }
}
