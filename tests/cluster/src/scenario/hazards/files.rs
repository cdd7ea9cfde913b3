//! Hazards of OVA files, each with its remedy: found by the plan, seen on the engine by hand, mended
//! in the plan, the cluster or the file, and then imported by `apply`.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::hand::{
    Hand, IMAGES, expect_found, expect_gone, pull_and_find, source, tidy, wait_import, wait_log,
    wait_machine, wait_state,
};
use crate::case::Case;
use crate::estate::Ova;
use crate::kube::{MACHINES, text};
use crate::scenario::PlanHead;
use crate::world::wait_for;

/// The codes that are shown, each with the machine that has it.
const HAZARDS: &[(&str, &str)] = &[
    ("A03", "digest"),
    ("N01", "twin"),
    ("N02", "taken"),
    ("N09", "hash"),
    ("P09", "nowhere"),
    ("W01", "half"),
    ("W02", "cell"),
];
/// Where machines go that a quota holds back.
const TIGHT: &str = "tight";

/// Files, machines, and what is wrong with them.
struct Shelf {
    ovas: Vec<(&'static str, Ova)>,
    /// The other file whose machine is called `twin`.
    other_twin: Ova,
}

impl Shelf {
    fn make(case: &Case<'_>) -> Result<Self> {
        let lan = ["--disks", "8M", "--nics", "lan"];
        let of = |name: &'static str, options: &[&str]| -> Result<(&'static str, Ova)> {
            Ok((name, Ova::make_with(case.world, &case.name(name), options)?))
        };
        Ok(Self {
            ovas: vec![
                of("twin", &lan)?,
                of("taken", &lan)?,
                of("digest", &[&lan[..], &["--digest", "sha512"]].concat())?,
                of("hash", &[&lan[..], &["--href", "disk#"]].concat())?,
                of("nowhere", &["--disks", "8M", "--nics", "dmz"])?,
                of("half", &["--disks", "8M", "--nics", "lan,backup"])?,
                of("cell", &["--disks", "8M", "--nics", "cell"])?,
                of(TIGHT, &lan)?,
            ],
            other_twin: Ova::make(case.world, &case.name("other-twin"), "8M")?,
        })
    }

    fn get(&self, name: &str) -> Result<&Ova> {
        let found = self.ovas.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, ova)| ova)
            .with_context(|| format!("there is no `{name}`"))
    }

    /// The plan before and after its remedies.
    fn plan(&self, case: &Case<'_>, mended: bool) -> String {
        let items: Vec<String> = (self.ovas.iter())
            .map(|(name, ova)| format!("{{ url: \"{}\", name: {name} }}", ova.url))
            .collect();
        let mut networks = vec![
            "{ source: shelf, from: lan, to: default/production }".to_owned(),
            "{ source: annex, from: lan, to: default/production }".to_owned(),
            format!(
                "{{ source: shelf, from: dmz, to: default/{} }}",
                if mended { "isolated" } else { "nowhere" }
            ),
        ];
        if mended {
            for name in ["backup", "cell"] {
                networks.push(format!(
                    "{{ source: shelf, from: {name}, to: default/isolated }}"
                ));
            }
        }
        let mut plan = PlanHead {
            name: "shelf",
            namespace: &case.name(""),
            machines: &case.name("hall"),
            sources: &[
                format!(
                    "{{ name: shelf, ova: {{ items: [ {} ] }} }}",
                    items.join(", ")
                ),
                format!(
                    "{{ name: annex, ova: {{ items: [ {{ url: \"{}\", name: twin }} ] }} }}",
                    self.other_twin.url
                ),
            ],
            networks: &networks,
            scratch: "400Mi",
        }
        .yaml();
        plan.push_str(
            "  workloads:\n\
             \x20   - name: shelf\n      select: [ { source: shelf, match: \"*\" } ]\n\
             \x20   - name: annex\n      select: [ { source: annex, match: \"*\" } ]\n\
             \x20 machines:\n",
        );
        let mut place = |source: &str, name: &str, namespace: &str| {
            let namespace = case.name(namespace);
            let _ = writeln!(
                plan,
                "    - {{ vm: {{ source: {source}, name: {name} }}, target: {{ namespace: {namespace} }} }}"
            );
        };
        place("shelf", TIGHT, TIGHT);
        if mended {
            place("annex", "twin", "yard");
            place("shelf", "taken", "yard");
        }
        plan
    }
}

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall", "yard", TIGHT])?;
    let mut shelf = Shelf::make(case)?;
    obstruct(case)?;
    case.write("plan.yaml", &shelf.plan(case, false))?;
    let found = pull_and_find(case, "plan.yaml")?;
    expect_found(case, &found, HAZARDS);
    // A quota is a matter of the target, for all machines of the namespace.
    expect_found(case, &found, &[("S10", "")]);

    show(case, &shelf)?;
    tidy(case, &case.name("hall"))?;
    tidy(case, &case.name(TIGHT))?;

    // The remedies: the plan's own in `plan`, the file packed again, the quota raised.
    let lan = ["--disks", "8M", "--nics", "lan"];
    for (name, ova) in &mut shelf.ovas {
        if matches!(*name, "digest" | "hash") {
            *ova = Ova::make_with(case.world, &case.name(name), &lan)?;
        }
    }
    quota(case, "1Gi")?;
    case.write("plan.yaml", &shelf.plan(case, true))?;
    let found = pull_and_find(case, "plan.yaml")?;
    expect_gone(case, &found, HAZARDS);
    expect_gone(case, &found, &[("S10", "")]);
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "apply.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply`", &output, 0);
    for (name, ova) in &shelf.ovas {
        let namespace = match *name {
            TIGHT => TIGHT,
            "taken" => "yard",
            _ => "hall",
        };
        case.expect_machine(&case.name(namespace), name, &ova.disks)?;
    }
    case.expect_machine(&case.name("yard"), "twin", &shelf.other_twin.disks)
}

/// A machine that takes a name, and a quota that no disk fits in.
fn obstruct(case: &Case<'_>) -> Result<()> {
    let machine = json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"name": "taken", "namespace": case.name("hall")},
        "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": {"devices": {}}}}},
    });
    case.world.kube.apply(&machine.to_string())?;
    quota(case, "4Mi")
}

fn quota(case: &Case<'_>, storage: &str) -> Result<()> {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "disks", "namespace": case.name(TIGHT)},
        "spec": {"hard": {"requests.storage": storage}},
    });
    case.world.kube.apply(&quota.to_string())?;
    let name = case.name(TIGHT);
    wait_for("the quota to be counted", Duration::from_mins(1), || {
        let quota = case
            .world
            .kube
            .get("resourcequota", &name, "disks")?
            .unwrap_or_default();
        Ok((text(&quota, "/status/hard/requests.storage") == storage).then_some(()))
    })
}

/// Each hazard on the engine, all imports created at once as people do.
#[expect(
    clippy::too_many_lines,
    reason = "one hazard after the other, in the engine's order"
)]
fn show(case: &mut Case<'_>, shelf: &Shelf) -> Result<()> {
    let hall = case.name("hall");
    let lan: &[(&str, &str)] = &[("lan", "default/production")];
    let import =
        |case: &Case<'_>, namespace: &str, name: &str, url: &str, find: &str, networks: &[_]| {
            source(
                case,
                "OvaSource",
                namespace,
                &format!("{name}-file"),
                &json!({"url": url}),
            )?;
            Hand {
                namespace,
                name,
                source: ("OvaSource", &format!("{name}-file")),
                find,
                folder: None,
                networks,
                storage: "longhorn-engine-v1",
            }
            .create(case)
        };
    let by_hand = |case: &Case<'_>, name: &str, networks: &[_]| {
        import(case, &hall, name, &shelf.get(name)?.url, name, networks)
    };
    // What the engine refuses at once.
    let nowhere = by_hand(case, "nowhere", &[("dmz", "default/nowhere")])?;
    wait_state(case, &nowhere, "virtualMachineImportInvalid")?;
    wait_log(case, &["nowhere"])?;
    case.note("P09: Invalid, the reason only in the engine's log");

    let digest = by_hand(case, "digest", lan)?;
    let taken = by_hand(case, "taken", lan)?;
    let hash = by_hand(case, "hash", lan)?;
    let partly = by_hand(case, "half", lan)?;
    let cell = by_hand(case, "cell", lan)?;
    let twin = by_hand(case, "twin", lan)?;
    let tight = import(
        case,
        &case.name(TIGHT),
        TIGHT,
        &shelf.get(TIGHT)?.url,
        TIGHT,
        lan,
    )?;

    let seen = wait_state(case, &digest, "VMMigrationFailed")?;
    let why = failure(&seen.object);
    case.expect(
        "A03: fails after the whole download",
        why.contains("checksum algorithm"),
        why,
    );
    wait_state(case, &taken, "diskImagesReady")?;
    wait_log(case, &["taken", "already exists"])?;
    stuck(case, "N02", &taken, "diskImagesReady");
    wait_image_failed(case, &hall, "hash")?;
    stuck(case, "N09", &hash, "diskImageSubmitted");
    for (code, place, name) in [("W01", &partly, "half"), ("W02", &cell, "cell")] {
        wait_state(case, place, "virtualMachineCreated")?;
        let machine = wait_machine(case, &hall, name)?;
        let (count, masquerade) = interfaces(&machine);
        case.expect(
            format!(
                "{code}: the machine has one NIC{}",
                if code == "W02" {
                    ", on the pod network"
                } else {
                    " of two"
                }
            ),
            count == 1 && masquerade == (code == "W02"),
            format!("{count} NICs, masquerade: {masquerade}"),
        );
    }
    wait_state(case, &tight, "diskImagesReady")?;
    wait_log(case, &["tight", "exceeded quota"])?;
    stuck(case, "S10", &tight, "diskImagesReady");

    // Last, as it needs the first one's machine.
    wait_state(case, &twin, "virtualMachineCreated")?;
    let other = import(
        case,
        &hall,
        "other-twin",
        &shelf.other_twin.url,
        "Twin",
        lan,
    )?;
    wait_state(case, &other, "virtualMachineCreated")?;
    wait_for("machine twin to be ready", Duration::from_mins(1), || {
        let machine = case
            .world
            .kube
            .get(MACHINES, &hall, "twin")?
            .unwrap_or_default();
        Ok((machine.pointer("/status/ready") == Some(&json!(true))).then_some(()))
    })?;
    // The engine looks again at once where an image is annotated, else within two minutes.
    case.world
        .kube
        .run([
            "annotate",
            IMAGES,
            "-n",
            &hall,
            "--all",
            "windrow.dev/look=again",
        ])
        .text()?;
    wait_state(case, &other, "virtualMachineRunning")?;
    case.note("N01: the second import says that its machine runs");
    case.expect_machine(&hall, "twin", &shelf.get("twin")?.disks)?;
    wait_import(case, &other, "to name the first one's machine", |seen| {
        text(&seen.object, "/status/importedVirtualMachineName") == "twin"
    })
    .map(drop)
}

/// An import is still in that state: it says nothing of what is wrong.
pub fn stuck(case: &mut Case<'_>, code: &str, place: &str, state: &str) {
    let imports = case.watch.imports();
    let last = imports
        .iter()
        .rev()
        .find(|i| i.place == place)
        .map_or("", |i| i.last());
    case.expect(
        format!("{code}: stays `{state}`, with no reason in its status"),
        last == state,
        last,
    );
}

/// Waits until an image of that import gave up.
fn wait_image_failed(case: &Case<'_>, namespace: &str, name: &str) -> Result<()> {
    let prefix = format!("vm-import-{name}-");
    wait_for(
        &format!("an image of {name} to give up"),
        Duration::from_mins(2),
        || {
            let images = case.world.kube.list(IMAGES, namespace)?;
            let of = |image: &&Value| text(image, "/spec/displayName").starts_with(&prefix);
            Ok(images.iter().filter(of).any(gave_up).then_some(()))
        },
    )
}

fn gave_up(image: &Value) -> bool {
    let conditions = image
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        text(condition, "/type") == "RetryLimitExceeded" && text(condition, "/status") == "True"
    })
}

/// The message of a failed export.
pub fn failure(import: &Value) -> String {
    let conditions = import
        .pointer("/status/importConditions")
        .and_then(Value::as_array);
    let failed = (conditions.into_iter().flatten()).find(|c| text(c, "/type") == "VMExportFailed");
    failed.map_or_else(String::new, |condition| {
        format!(
            "{}{}",
            text(condition, "/reason"),
            text(condition, "/message")
        )
    })
}

/// How many NICs a machine has, and whether one is behind masquerading.
pub fn interfaces(machine: &Value) -> (usize, bool) {
    let pointer = "/spec/template/spec/domain/devices/interfaces";
    let all = machine.pointer(pointer).and_then(Value::as_array);
    let all = all.map_or(&[][..], Vec::as_slice);
    (
        all.len(),
        all.iter().any(|nic| nic.get("masquerade").is_some()),
    )
}
