//! Imports as a person makes them without Windrow: source objects and imports by `kubectl`, to see
//! what the engine makes of a hazard that the plan has found.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::case::Case;
use crate::command::tail;
use crate::kube::{IMPORTS, MACHINES, text};
use crate::watch::Seen;
use crate::world::wait_for;

/// Harvester's images.
pub const IMAGES: &str = "virtualmachineimages.harvesterhci.io";
/// Longest wait for something that the engine does in seconds; it pauses up to 5 min between tries
/// of one import, but not in its first minute.
const SEEN_WITHIN: Duration = Duration::from_mins(3);

/// One import by hand.
pub struct Hand<'h> {
    /// Namespace of import, source object and machine.
    pub namespace: &'h str,
    /// Its name.
    pub name: &'h str,
    /// Kind and name of its source object.
    pub source: (&'h str, &'h str),
    /// What the engine is to look for.
    pub find: &'h str,
    /// VMware's folder.
    pub folder: Option<&'h str>,
    /// Networks: from, to.
    pub networks: &'h [(&'h str, &'h str)],
    /// Its storage class.
    pub storage: &'h str,
}

impl Hand<'_> {
    /// Creates it; its place.
    pub fn create(&self, case: &Case<'_>) -> Result<String> {
        let networks: Vec<Value> = self
            .networks
            .iter()
            .map(|(from, to)| json!({"sourceNetwork": from, "destinationNetwork": to}))
            .collect();
        let mut spec = json!({
            "sourceCluster": {
                "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": self.source.0,
                "name": self.source.1, "namespace": self.namespace,
            },
            "virtualMachineName": self.find, "storageClass": self.storage, "networkMapping": networks,
        });
        if let Some(folder) = self.folder {
            spec["folder"] = json!(folder);
        }
        create(
            case,
            "VirtualMachineImport",
            self.namespace,
            self.name,
            &spec,
        )?;
        let place = format!("{}/{}", self.namespace, self.name);
        case.note(format!("by hand: import {place} of `{}`", self.find));
        Ok(place)
    }
}

/// Creates a source object and waits until the engine has logged in.
pub fn source(
    case: &Case<'_>,
    kind: &str,
    namespace: &str,
    name: &str,
    spec: &Value,
) -> Result<()> {
    create(case, kind, namespace, name, spec)?;
    let plural = format!("{}s.migration.harvesterhci.io", kind.to_lowercase());
    wait_for(&format!("{kind} {name} to be ready"), SEEN_WITHIN, || {
        let object = case.world.kube.get(&plural, namespace, name)?;
        Ok(object
            .filter(|o| text(o, "/status/status") == "clusterReady")
            .map(drop))
    })
}

fn create(case: &Case<'_>, kind: &str, namespace: &str, name: &str, spec: &Value) -> Result<()> {
    let object = json!({
        "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    });
    case.world
        .kube
        .run(["create", "-f", "-"])
        .input(object.to_string())
        .text()
        .map(drop)
}

/// Waits until an import made by hand is as it should be.
pub fn wait_import(
    case: &Case<'_>,
    place: &str,
    what: &str,
    holds: impl Fn(&Seen) -> bool,
) -> Result<Seen> {
    let found = wait_for(&format!("{place} {what}"), SEEN_WITHIN, || {
        Ok(import(case, place).filter(&holds))
    });
    found.with_context(|| {
        let last =
            import(case, place).map_or_else(|| "never seen".to_owned(), |i| i.last().to_owned());
        let log = case.engine_log().unwrap_or_default();
        format!("it was last `{last}`; the engine: {}", tail(&log, 12))
    })
}

fn import(case: &Case<'_>, place: &str) -> Option<Seen> {
    case.watch
        .imports()
        .into_iter()
        .rev()
        .find(|i| i.place == place)
}

/// Waits until an import has come to a state.
pub fn wait_state(case: &Case<'_>, place: &str, state: &str) -> Result<Seen> {
    wait_import(case, place, &format!("to be `{state}`"), |seen| {
        seen.state(state).is_some()
    })
}

/// Waits until one line of the engine's log has all of these words, and notes it.
pub fn wait_log(case: &Case<'_>, words: &[&str]) -> Result<()> {
    let found = wait_for(
        &format!("the engine's log to say {}", words.join(" … ")),
        SEEN_WITHIN,
        || {
            let log = case.engine_log()?;
            let line = log
                .lines()
                .find(|line| words.iter().all(|w| line.contains(w)));
            Ok(line.map(str::to_owned))
        },
    );
    let line = found.with_context(|| tail(&case.engine_log().unwrap_or_default(), 12))?;
    case.note(format!("the engine's log: {line}"));
    Ok(())
}

/// Waits for the machine `name`, made by the engine.
pub fn wait_machine(case: &Case<'_>, namespace: &str, name: &str) -> Result<Value> {
    wait_for(&format!("machine {namespace}/{name}"), SEEN_WITHIN, || {
        case.world.kube.get(MACHINES, namespace, name)
    })
}

/// Removes all that was made by hand in a namespace, and what the engine made of it; a machine
/// that the engine did not make stays.
pub fn tidy(case: &Case<'_>, namespace: &str) -> Result<()> {
    let kube = &case.world.kube;
    let delete = |kind: &str, which: &[&str]| {
        kube.run(["delete", kind, "-n", namespace, "--timeout=170s"])
            .args(which)
            .limit(SEEN_WITHIN)
            .text()
    };
    delete(IMPORTS, &["--all"])?;
    delete(MACHINES, &["-l", "migration.harvesterhci.io/imported"])?;
    delete("persistentvolumeclaims", &["--all"])?;
    delete(IMAGES, &["--all"])?;
    for kind in ["ovasources", "vmwaresources", "openstacksources"] {
        delete(&format!("{kind}.migration.harvesterhci.io"), &["--all"])?;
    }
    Ok(())
}

/// Pulls the inventory, and what `windrow plan` finds then: code and name of the VM that it is about,
/// an empty one for anything else. A plan with errors in it is an error here.
pub fn pull_and_find(case: &Case<'_>, plan: &str) -> Result<BTreeSet<(String, String)>> {
    let pull = case.windrow(&["inventory", "pull", plan, "--out", "inventory"])?;
    ensure!(
        pull.code == 0,
        "the inventory was not pulled: {}",
        tail(&pull.all(), 15)
    );
    let output = case.windrow(&["plan", plan, "-o", "json"])?;
    let report: Value = serde_json::from_str(&output.stdout).with_context(|| {
        format!(
            "read the report of `windrow plan`: {}",
            tail(&output.all(), 15)
        )
    })?;
    let wrong = report["diagnostics"].as_array().into_iter().flatten();
    let wrong: Vec<&str> = wrong
        .filter(|d| text(d, "/level") == "error")
        .map(|d| text(d, "/message"))
        .collect();
    ensure!(
        wrong.is_empty(),
        "the plan has errors: {}",
        wrong.join("; ")
    );
    let of = |finding: &Value| {
        let name = text(finding, "/subject/vm/name");
        (text(finding, "/code").to_owned(), name.to_owned())
    };
    let listed = report["findings"]
        .as_array()
        .context("a list of findings")?;
    Ok(listed.iter().map(of).collect())
}

/// Each of `(code, name)` is among what the plan finds.
pub fn expect_found(
    case: &mut Case<'_>,
    found: &BTreeSet<(String, String)>,
    hazards: &[(&str, &str)],
) {
    for (code, name) in hazards {
        let key = ((*code).to_owned(), (*name).to_owned());
        let others = list(found.iter().filter(|(_, n)| n == name));
        case.expect(
            format!("`windrow plan` finds {code} of `{name}`"),
            found.contains(&key),
            others,
        );
    }
}

/// None of `(code, name)` is among what the plan finds.
pub fn expect_gone(
    case: &mut Case<'_>,
    found: &BTreeSet<(String, String)>,
    hazards: &[(&str, &str)],
) {
    for (code, name) in hazards {
        let key = ((*code).to_owned(), (*name).to_owned());
        case.expect(
            format!("with the remedy, `windrow plan` finds no {code} of `{name}`"),
            !found.contains(&key),
            "",
        );
    }
}

fn list<'f>(found: impl Iterator<Item = &'f (String, String)>) -> String {
    let codes: Vec<&str> = found.map(|(code, _)| code.as_str()).collect();
    codes.join(", ")
}
