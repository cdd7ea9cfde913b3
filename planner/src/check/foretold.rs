//! Checks of what a schedule foretells. The pipeline finds them, once there is a schedule; here is
//! what people read about them.

use schemas::finding::Severity;

use super::table::Check;

pub(super) const WR040: Check = Check {
    code: "WR040",
    severity: Severity::Warning,
    title: "is predicted to be down for longer than its budget",
    reads: "predicted downtimes, and `downtimeBudget` of workloads and services",
    why: "A machine is down from its guest's power-off until it is ready on the target. A service \
          is down from the first of its guests that goes off to the last that is ready; where it \
          moves in several occurrences, these times add up.",
    when: "disks are large for the rate of the engine's one exporter, or a service has many machines \
           that are exported one after the other",
    see: "`windrow plan --tradeoff`: what another admission policy or more scratch would give",
    remedy: "choose `admission: downtime`, cut the service in two, move disks to faster storage, or \
             raise the budget",
    never_waived: None,
    run: |_| Vec::new(),
};

pub(super) const WR042: Check = Check {
    code: "WR042",
    severity: Severity::Warning,
    title: "comes when its target is full",
    reads: "what is left of the target's memory, CPUs and storage by its snapshot, less what the machines \
            take that come before it in the schedule",
    why: "A machine without room stays `virtualMachineCreated`, or its volumes are never attached: after \
          the whole export, with its guest off, and its files stay on the scratch (HP:96-100).",
    when: "the machines that were moved before it leave too little memory, CPUs or storage",
    see: "`kubectl describe nodes`, Longhorn's page of nodes, and `windrow plan`, the lines of room",
    remedy: "add nodes or disks before that day, or send some machines to another target",
    never_waived: None,
    run: |_| Vec::new(),
};

pub(super) const WR041: Check = Check {
    code: "WR041",
    severity: Severity::Warning,
    title: "would miss its window at the measured rates",
    reads: "the records of finished imports in the target's snapshot, beside the site's assumptions",
    why: "Waves are decided by the site's assumptions, so that a measurement changes no file that was \
          approved. What was measured since is slower than assumed, and this import's turn would come \
          too late.",
    when: "the engine or a source is slower than the site assumes",
    see: "the bases of the estimates: `windrow explain VM`",
    remedy: "put the measured rates into the site's `assumptions` and plan again",
    never_waived: None,
    run: |_| Vec::new(),
};
