//! The scenarios. Each makes its own machines at the sources and its own namespaces, uses Windrow by
//! its commands only, and checks what it finds at the other end.

mod bad_input;
mod controller;
mod failing;
mod findings;
mod gates;
mod gitops;
mod hazards;
mod inventory;
mod kill;
mod openstack;
mod ova;
mod ready;
mod renamed;
mod render;
mod rest;
mod vmware;

use anyhow::{Result, bail};

use crate::case::Case;
use crate::world::World;

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What `cargo xtask e2e` takes.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Which rigs it needs.
    pub rigs: &'static [&'static str],
    /// Why it is run only where it is named, if so.
    pub apart: Option<&'static str>,
    /// Why it cannot be run here, if it cannot.
    pub skip: fn(&World) -> Option<String>,
    /// It itself.
    pub run: fn(&mut Case<'_>) -> Result<()>,
}

fn never(_: &World) -> Option<String> {
    None
}

/// Those of hazards that are not among the quick ones.
const SLOW: &str = "it takes minutes; `remedies` shows the same way for other hazards";

/// Our double plays the engine's states, not its faults.
fn real_only(world: &World) -> Option<String> {
    (world.engine == "double").then(|| "our double plays none of the engine's faults".to_owned())
}

const ALL: &[Scenario] = &[
    Scenario {
        name: "a",
        title: "OpenStack: three servers of one name and a database, in order, on a tight scratch",
        rigs: &["harvester", "openstack"],
        apart: None,
        skip: never,
        run: openstack::run,
    },
    Scenario {
        name: "b",
        title: "an OVA file with two disks",
        rigs: &["harvester"],
        apart: None,
        skip: never,
        run: ova::run,
    },
    Scenario {
        name: "c",
        title: "a VMware VM through vCenter's export",
        rigs: &["harvester", "vsphere"],
        apart: None,
        skip: never,
        run: vmware::run,
    },
    Scenario {
        name: "d",
        title: "`apply` killed during an export, in the image phase and at a creation, and resumed",
        rigs: &["harvester"],
        apart: None,
        skip: never,
        run: kill::run,
    },
    Scenario {
        name: "e",
        title: "a renamed wave, a finished plan run again, plan and machines in different namespaces",
        rigs: &["harvester"],
        apart: None,
        skip: never,
        run: renamed::run,
    },
    Scenario {
        name: "f",
        title: "imports that fail: dependants held back, neighbours done",
        rigs: &["harvester", "openstack"],
        apart: None,
        skip: never,
        run: failing::run,
    },
    Scenario {
        name: "g",
        title: "the controller under its own account, objects deleted and applied again",
        rigs: &["harvester", "openstack"],
        apart: None,
        skip: never,
        run: controller::run,
    },
    Scenario {
        name: "gates",
        title: "a gate that holds, one that does not, and a step that a person says is done",
        rigs: &["harvester"],
        apart: None,
        skip: never,
        run: gates::run,
    },
    Scenario {
        name: "ready",
        title: "go or no go: approval, logins, passwords about to expire, drift and the engine's health",
        rigs: &["harvester", "openstack"],
        apart: None,
        skip: never,
        run: ready::run,
    },
    Scenario {
        name: "rest",
        title: "the rest of a run that is half done, planned by its status, with a machine that is new",
        rigs: &["harvester"],
        apart: None,
        skip: never,
        run: rest::run,
    },
    Scenario {
        name: "h",
        title: "bad input on real components: each one clear message, nothing half-written",
        rigs: &["harvester", "openstack", "vsphere"],
        apart: None,
        skip: never,
        run: bad_input::run,
    },
    Scenario {
        name: "inventory-vsphere",
        title: "every VM of a vCenter as it is, twice the same, by reads only",
        rigs: &["harvester", "vsphere"],
        apart: None,
        skip: never,
        run: inventory::vsphere,
    },
    Scenario {
        name: "inventory-openstack",
        title: "every server of a project as it is, twice the same, by any way, by listed reads only",
        rigs: &["harvester", "openstack"],
        apart: None,
        skip: never,
        run: inventory::openstack,
    },
    Scenario {
        name: "findings",
        title: "a plan of all there is finds what the ground truths say is wrong, and blocks nothing else",
        rigs: &["harvester", "openstack", "vsphere"],
        apart: None,
        skip: never,
        run: findings::run,
    },
    Scenario {
        name: "remedies",
        title: "hazards of OVA files: found, seen on the engine, mended, imported",
        rigs: &["harvester"],
        apart: None,
        skip: real_only,
        run: hazards::files::run,
    },
    Scenario {
        name: "remedies-vsphere",
        title: "hazards of vSphere VMs: found, seen on the engine, mended by `windrow remedy`, imported",
        rigs: &["harvester", "vsphere"],
        apart: Some(SLOW),
        skip: real_only,
        run: hazards::vsphere::run,
    },
    Scenario {
        name: "remedies-openstack",
        title: "hazards of OpenStack servers: found, seen on the engine, mended by `windrow remedy`, imported",
        rigs: &["harvester", "openstack"],
        apart: Some(SLOW),
        skip: real_only,
        run: hazards::openstack::run,
    },
    Scenario {
        name: "crashes",
        title: "OVA files that crash the engine: found, seen, packed again, imported",
        rigs: &["harvester"],
        apart: Some(SLOW),
        skip: real_only,
        run: hazards::crash::run,
    },
    Scenario {
        name: "render",
        title: "rendered manifests, as the API server takes them: strict, for each tool and release",
        rigs: &["harvester"],
        apart: None,
        skip: never,
        run: render::run,
    },
    Scenario {
        name: "gitops",
        title: "rendered manifests synced by Argo CD and Flux: in order, and not past a failure",
        rigs: &["harvester"],
        apart: Some("it takes four minutes, and programs that most of an hour builds"),
        skip: gitops::skip,
        run: gitops::run,
    },
];

/// Their names and what they show, for help.
pub fn names() -> Vec<(&'static str, &'static str)> {
    ALL.iter().map(|s| (s.name, s.title)).collect()
}

/// Those that are run only where they are named, and why.
pub fn apart() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().filter_map(|s| Some((s.name, s.apart?)))
}

/// Those that are named, in their own order; when none is, all but those that stand apart.
pub fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| ALL.iter().all(|s| s.name != name.as_str()))
    {
        let known: Vec<&str> = ALL.iter().map(|s| s.name).collect();
        bail!(
            "there is no scenario `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    Ok(ALL
        .iter()
        .filter(|s| {
            let asked_for = names.iter().any(|n| n == s.name);
            asked_for || (names.is_empty() && s.apart.is_none())
        })
        .collect())
}

/// A plan up to its `spec`, with the target `hv1`. `sources` and `networks` are list items, each
/// line ready to stand where it does.
pub(crate) struct PlanHead<'p> {
    /// Its name.
    pub name: &'p str,
    /// Its namespace.
    pub namespace: &'p str,
    /// Where machines go unless it says otherwise.
    pub machines: &'p str,
    /// Sources, one a line, in YAML's flow style.
    pub sources: &'p [String],
    /// Mappings of networks, likewise.
    pub networks: &'p [String],
    /// Size of the scratch, as in `2500Mi`.
    pub scratch: &'p str,
}

impl PlanHead<'_> {
    /// As a person would write it.
    pub fn yaml(&self) -> String {
        let items = |lines: &[String], indent: usize| {
            let dash = format!("{:indent$}- ", "");
            lines
                .iter()
                .flat_map(|line| {
                    [
                        dash.as_str(),
                        line,
                        "
",
                    ]
                })
                .collect::<String>()
        };
        format!(
            "apiVersion: windrow.dev/v1alpha1\n\
             kind: MigrationPlan\n\
             metadata:\n  name: {}\n  namespace: {}\n\
             spec:\n  inlineSite:\n    sources:\n{}\
             \x20   targets:\n      - name: hv1\n        storageClass: longhorn-engine-v1\n\
             \x20       scratch: {{ capacity: {} }}\n        networks:\n{}\
             \x20   assumptions:\n      exportBytesPerSecond: 40Mi\n      imageBytesPerSecond: 200Mi\n\
             \x20     shutdown: 10s\n      boot: 5s\n\
             \x20 target: {{ name: hv1, namespace: {} }}\n",
            self.name,
            self.namespace,
            items(self.sources, 6),
            self.scratch,
            items(self.networks, 10),
            self.machines
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // An unknown name is an error that lists the known ones; order and doubles do not matter.
    #[test]
    fn chosen_by_name() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let chosen = choose(&names(&["d", "a", "d"])).expect("known");
        assert_eq!(
            chosen.iter().map(|s| s.name).collect::<Vec<_>>(),
            ["a", "d"]
        );
        assert!(
            choose(&names(&["z"]))
                .err()
                .expect("unknown")
                .to_string()
                .contains("a, b, c")
        );
        let without = choose(&[]).expect("all");
        assert_eq!(without.len() + apart().count(), ALL.len());
        assert!(apart().all(|(name, _)| without.iter().all(|s| s.name != name)));
    }
}
