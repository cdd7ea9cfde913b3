//! (inventory-vsphere) What `windrow inventory pull` reads of a vCenter, field by field.

use anyhow::Result;

use crate::case::Case;
use crate::inventory::Inventory;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    let inventory = Inventory {
        windrow: case.world.windrow.clone(),
        rig: case.world.state.join("vsphere-testbed"),
        folder: case.folder.join("inventory"),
    };
    let failures = inventory.check()?;
    case.expect(
        "every VM is as the ground truth says, twice the same, by reads only",
        failures.is_empty(),
        failures.join("\n"),
    );
    Ok(())
}
