//! (inventory-vsphere, inventory-openstack) What `windrow inventory pull` reads of a real source,
//! field by field.

use anyhow::Result;

use crate::case::Case;
use crate::inventory::{Puller, Report, openstack, vsphere};

pub fn vsphere(case: &mut Case<'_>) -> Result<()> {
    let inventory = vsphere::Inventory {
        puller: puller(case),
        rig: case.world.state.join("vsphere-testbed"),
    };
    let report = inventory.check()?;
    judge(
        case,
        &report,
        "every VM is as the ground truth says, twice the same, by reads only",
    );
    Ok(())
}

pub fn openstack(case: &mut Case<'_>) -> Result<()> {
    let inventory = openstack::Inventory {
        puller: puller(case),
        rig: case.world.state.join("openstack-testbed"),
    };
    let report = inventory.check()?;
    judge(
        case,
        &report,
        "every server is as the ground truth says, twice the same, by any way, by listed reads only",
    );
    Ok(())
}

fn judge(case: &mut Case<'_>, report: &Report, what: &str) {
    for count in &report.counts {
        case.count(count);
    }
    case.expect(what, report.failures.is_empty(), report.failures.join("\n"));
}

fn puller(case: &Case<'_>) -> Puller {
    Puller {
        windrow: case.world.windrow.clone(),
        folder: case.folder.join("inventory"),
    }
}
