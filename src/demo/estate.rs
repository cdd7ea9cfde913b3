//! The built-in estate: `plans/demo`, compiled into the program, and what is true of it beyond what
//! the inventory says.

use std::collections::BTreeMap;

use schemas::ids::{SourceName, TargetName};
use schemas::inventory::{Inventory, SourceInventory, TargetInventory};
use schemas::plan::MigrationPlan;
use schemas::yaml;
use serde::de::DeserializeOwned;

/// Why a text that was compiled in can be relied on.
const BUILT_IN: &str = "plans/demo is valid: a test reads it";

/// Name of the VM whose export breaks off.
pub const FAILS: &str = "RPT-DB-01";

/// Plan and inventory.
pub fn estate() -> (MigrationPlan, Inventory) {
    let plan = yaml::read(include_str!("../../plans/demo/plan.yaml")).expect(BUILT_IN);
    (plan.value, inventory())
}

macro_rules! source {
    ($name:literal) => {
        SourceInventory {
            about: object(include_str!(concat!(
                "../../plans/demo/inventory/",
                $name,
                "/source.json"
            ))),
            vms: lines(include_str!(concat!(
                "../../plans/demo/inventory/",
                $name,
                "/vms.jsonl"
            ))),
            networks: lines(include_str!(concat!(
                "../../plans/demo/inventory/",
                $name,
                "/networks.jsonl"
            ))),
            storage: Vec::new(),
            hosts: Vec::new(),
            rules: Vec::new(),
            observed: lines(include_str!(concat!(
                "../../plans/demo/inventory/",
                $name,
                "/observed.jsonl"
            )))
            .into_iter()
            .map(|seen: schemas::inventory::Observed| (seen.id.clone(), seen))
            .collect(),
        }
    };
}

fn inventory() -> Inventory {
    let target = TargetInventory {
        about: object(include_str!("../../plans/demo/inventory/hv1/target.json")),
        ..TargetInventory::default()
    };
    Inventory {
        sources: BTreeMap::from([
            (SourceName::from("cloud1"), source!("cloud1")),
            (SourceName::from("dc1"), source!("dc1")),
        ]),
        targets: BTreeMap::from([(TargetName::from("hv1"), target)]),
        ..Inventory::default()
    }
}

fn object<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect(BUILT_IN)
}

/// The lines below the header.
fn lines<T: DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines().skip(1).map(object).collect()
}
