//! The engine's one queue: what stands in it beside this plan, and what holds it up.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::{Severity, Subject};
use schemas::ids::{ObjectName, TargetName};
use schemas::inventory::{SourceKind, TargetImport, TargetInventory};
use schemas::machine::import_name;
use schemas::units::Seconds;
use schemas::upstream::ImportState;

use super::table::Check;
use super::{Estate, Hit};
use crate::diagnostic::{count, list};
use crate::resolve::ResolvedTarget;

/// How far an import of the snapshot is, in the engine's words.
pub(super) fn state(import: &TargetImport) -> ImportState {
    let text = import.state.as_deref().unwrap_or_default();
    text.parse().unwrap_or_else(|never| match never {})
}

fn on(target: &ResolvedTarget, evidence: String) -> Hit {
    Hit::on(Subject::Target(target.name.clone()), evidence)
}

/// The imports of a target that are not Windrow's and that `wanted` takes, by id.
fn foreign(
    snapshot: Option<&TargetInventory>,
    wanted: impl Fn(&ImportState) -> bool,
) -> Vec<String> {
    let imports = snapshot.map_or(&[][..], |snapshot| &snapshot.imports);
    imports
        .iter()
        .filter(|import| !import.ours && wanted(&state(import)))
        .map(|import| import.id.clone())
        .collect()
}

/// Imports of others under way.
pub const Q01: Check = Check {
    code: "Q01",
    severity: Severity::Warning,
    title: "has imports of others under way, on the same single worker",
    reads: "the imports of any state in the target's snapshot that are not Windrow's",
    why: "All imports of a cluster share one worker and one scratch. Imports that are applied \
          together switch their guests off early and then wait for each other: four at once meant \
          a mean downtime of four exports (VM:391-406, CT:105; measured).",
    when: "somebody else applied a VirtualMachineImport that has not come to its end",
    see: "`kubectl get virtualmachineimports -A`: what is neither `virtualMachineRunning`, \
          `virtualMachineImportInvalid` nor `VMMigrationFailed` is under way",
    remedy: "let them end before the first wave, or delete those that wait; Windrow admits nothing \
             while one of them exports",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let busy = foreign(snapshot, |state| !state.is_final());
            if !busy.is_empty() {
                let number = count(busy.len(), "import");
                hits.push(on(
                    target,
                    format!("{number} of others under way: {}", list(&busy)),
                ));
            }
        }
        hits
    },
};

/// Half of a night's window of eight hours: whoever waits behind such an export notices.
const EXPORT_LONG: Seconds = Seconds(4 * 3600);

/// An export that blocks all others for long.
pub const Q02: Check = Check {
    code: "Q02",
    severity: Severity::Info,
    title: "is exported for hours, and nothing else moves meanwhile",
    reads: "bytes that its export moves, at the rate that the site assumes",
    why: "An export runs inside the engine's only worker. Until it ends no other import moves in any \
          state, none is deleted, and a machine that is ready stays `virtualMachineCreated` \
          (VM:485; measured).",
    when: "its disks are large for the rate, four hours and more",
    see: "the forecast beside the waves has the time of each import: `forecast.json`",
    remedy: "give it a window of its own, or the end of one; split its data disks off and copy those \
             by other means",
    never_waived: None,
    run: |estate| {
        let rate = estate.plan.assumptions.export_bytes_per_second.0;
        estate.each(|row| {
            let takes = row.to.footprint.transfer.at_rate(rate);
            (takes >= EXPORT_LONG)
                .then(|| format!("{} at {rate}/s take {takes}", row.to.footprint.transfer))
        })
    },
};

/// A source object called like an import.
pub const Q04: Check = Check {
    code: "Q04",
    severity: Severity::Warning,
    title: "would share its import's name with a source object",
    reads: "the names that its imports will have, and the source objects of the plan and of the \
            target's snapshot",
    why: "The engine counts errors by namespace and name only, for imports and sources alike: a \
          source in trouble then slows down the import, by up to five minutes a try (CT:38).",
    when: "a source is called `w` and nine or more digits, in the namespace of the machine",
    see: "`kubectl get vmwaresources,openstacksources,ovasources -A`",
    remedy: "give the source another name in the site",
    never_waived: None,
    run: q04,
};

fn q04(estate: &Estate<'_>) -> Vec<Hit> {
    // Few sources look like an import, so that most VMs are compared with nothing.
    let import_like = |name: &str| {
        let digits = name.strip_prefix('w').unwrap_or_default();
        digits.len() > 8 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut sources: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (_, snapshot) in estate.targets() {
        for known in snapshot.map_or(&[][..], |snapshot| &snapshot.sources) {
            let mut parts = known.id.splitn(3, '/').skip(1);
            if let (Some(namespace), Some(name)) = (parts.next(), parts.next()) {
                sources.insert((namespace, name));
            }
        }
    }
    for row in estate.rows() {
        sources.insert((estate.plan.namespace.as_str(), row.to.source.name.as_str()));
    }
    sources.retain(|(_, name)| import_like(name));
    if sources.is_empty() {
        return Vec::new();
    }
    estate.each(|row| {
        let stem = import_stem(&row.to.record);
        let clash = sources.iter().find(|(namespace, name)| {
            let attempt = name.strip_prefix(stem.as_str());
            *namespace == row.to.namespace.as_str()
                && attempt.is_some_and(|attempt| attempt.bytes().all(|b| b.is_ascii_digit()))
        });
        clash.map(|(namespace, name)| format!("source `{namespace}/{name}`"))
    })
}

/// What the names of all imports of a record begin with; the attempt's number follows.
pub(super) fn import_stem(record: &ObjectName) -> String {
    let first = import_name(record, 1).to_string();
    first[..first.len().saturating_sub(1)].to_owned()
}

/// Finished imports of others.
pub const Q05: Check = Check {
    code: "Q05",
    severity: Severity::Info,
    title: "keeps finished imports of others",
    reads: "the imports of any state in the target's snapshot that are not Windrow's",
    why: "The engine looks at a finished import again: up to two minutes after its end, after each \
          restart and every ten hours. Each time it logs in to the source and removes its scratch \
          files once more, whoever wrote them by then (VM:175-204, SH:113-128; measured).",
    when: "an import ended and its object was left in the cluster",
    see: "`kubectl get virtualmachineimports -A`",
    remedy: "delete those that are `virtualMachineRunning`: their machines, disks and images stay",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let done = foreign(snapshot, ImportState::is_final);
            if !done.is_empty() {
                let number = count(done.len(), "finished import");
                hits.push(on(target, format!("{number} of others: {}", list(&done))));
            }
        }
        hits
    },
};

/// A source object that the engine does not take for ready.
pub const P04: Check = Check {
    code: "P04",
    severity: Severity::Warning,
    title: "has a source object that the engine cannot log in to",
    reads: "the state of the source objects in the target's snapshot that this plan's imports name",
    why: "An import of a source that is not ready waits at its first state for ever, and says \
          nothing. It goes on by itself once the source is ready (HP:110-113; measured).",
    when: "the source's address or Secret is wrong, or it did not answer when the engine tried",
    see: "`kubectl get vmwaresources,openstacksources,ovasources -A -o wide`, and the conditions of \
          the one in question",
    remedy: "mend its address or Secret, then touch the source object so that it is tried again",
    never_waived: None,
    run: |estate| {
        let mut waiting: BTreeMap<&str, (&TargetName, &str)> = BTreeMap::new();
        for (target, snapshot) in estate.targets() {
            for source in snapshot.map_or(&[][..], |snapshot| &snapshot.sources) {
                if let Some(state) = source.state.as_deref().filter(|s| *s != "clusterReady") {
                    waiting.insert(&source.id, (&target.name, state));
                }
            }
        }
        if waiting.is_empty() {
            return Vec::new();
        }
        let mut told = BTreeSet::new();
        estate.hits(|row| {
            let kind = match row.to.kind {
                SourceKind::Vmware => "VmwareSource",
                SourceKind::Openstack => "OpenstackSource",
                SourceKind::Ova => "OvaSource",
            };
            let id = format!("{kind}/{}/{}", estate.plan.namespace, row.to.source.name);
            let (target, state) = waiting.get(id.as_str())?;
            let evidence = format!("`{id}` on {target} is `{state}`");
            let subject = Subject::Source(row.to.key.source.clone());
            (**target == row.to.target && told.insert(id)).then(|| Hit::on(subject, evidence))
        })
    },
};

/// The engine itself.
pub const WR029: Check = Check {
    code: "WR029",
    severity: Severity::Warning,
    title: "has no engine that runs",
    reads: "the engine's Deployment and its custom resource, in the target's snapshot",
    why: "Without the add-on there is no kind of object to create, and with it scaled to zero an \
          import stays as it was created: nothing looks at it.",
    when: "the add-on vm-import-controller is not enabled, or its Deployment has no replica",
    see: "`kubectl get addons.harvesterhci.io -A`, `kubectl -n harvester-system get deployment \
          harvester-vm-import-controller`",
    remedy: "enable the add-on, wait until its pod is ready, and pull the inventory again",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let engine = snapshot.and_then(|snapshot| snapshot.about.engine.as_ref());
            let Some(engine) = engine else { continue };
            if engine.replicas == 0 {
                hits.push(on(target, format!("`{}` is scaled to zero", engine.image)));
            } else if engine.ready == Some(0) {
                hits.push(on(target, format!("no pod of `{}` is ready", engine.image)));
            }
        }
        hits
    },
};

/// What the add-on asks for by default; older versions ran out of memory with it.
const MEMORY_LIMIT_DEFAULT_GIB: u64 = 4;

/// The engine's limits.
pub const L12: Check = Check {
    code: "L12",
    severity: Severity::Warning,
    title: "gives the engine too little memory",
    reads: "the limits of the engine's Deployment, in the target's snapshot",
    why: "Converting a disk needs memory, and old versions ran out of the 4 GiB that the add-on \
          gives by default: the pod is killed in the middle of an export, with the guest off, and \
          exports from the beginning (#6674, #8921; CH: values.yaml).",
    when: "the memory limit is below 4 GiB",
    see: "`kubectl -n harvester-system get deployment harvester-vm-import-controller -o \
          jsonpath='{.spec.template.spec.containers[*].resources}'`",
    remedy: "raise it through the add-on's `valuesContent` (`resources.limits.memory`), before the \
             first wave: a change restarts the pod",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let engine = snapshot.and_then(|snapshot| snapshot.about.engine.as_ref());
            let limit = engine.and_then(|engine| engine.memory_limit_bytes);
            if let Some(limit) = limit
                && limit < schemas::units::Bytes::from_gib(MEMORY_LIMIT_DEFAULT_GIB)
            {
                hits.push(on(target, format!("its memory limit is {limit}")));
            }
        }
        hits
    },
};

/// An engine that empties its scratch when it ends.
pub const L02: Check = Check {
    code: "L02",
    severity: Severity::Warning,
    title: "has an engine that empties its scratch when it stops",
    reads: "the engine's version, in the target's snapshot",
    why: "Until 1.6 the engine removed the whole scratch directory at its end, also on a claim. \
          Images that were still being fetched then fail, and a failed one is final (SV:48, S08).",
    when: "the engine's version is 1.6 or older",
    see: "`kubectl -n harvester-system get deployment harvester-vm-import-controller -o \
          jsonpath='{.spec.template.spec.containers[*].image}'`",
    remedy: "upgrade the add-on before the first wave, or keep nodes and add-on untouched during one",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let tag = snapshot.and_then(|snapshot| snapshot.about.engine_version.as_deref());
            if let Some(version) = tag.and_then(super::version::Version::parse)
                && version < super::version::Version(1, 7, 0)
            {
                hits.push(on(target, format!("the engine is {version}")));
            }
        }
        hits
    },
};

/// The address space of qemu-img, used up by its threads.
pub const V20: Check = Check {
    code: "V20",
    severity: Severity::Warning,
    title: "has an engine whose conversions may run out of address space",
    reads: "the environment of the engine's Deployment, in the target's snapshot, and the kinds of \
            the plan's sources",
    why: "The engine gives qemu-img 1 GiB of address space (package/qemu-wrapper.sh), and glibc \
          reserves 64 MiB of it for each thread that allocates. 9 of 150 conversions of a 24 MiB \
          disk failed so on a busy machine, none of 300 with `MALLOC_ARENA_MAX=1` (measured): `VMMigrationFailed`, \
          with the guest off.",
    when: "VMs come from VMware or OVA files, whose disks are converted, and `MALLOC_ARENA_MAX` is not \
             set for the engine",
    see: "`kubectl -n harvester-system get deployment harvester-vm-import-controller -o \
          jsonpath='{.spec.template.spec.containers[*].env}'`",
    remedy: "`kubectl -n harvester-system set env deployment/harvester-vm-import-controller \
             MALLOC_ARENA_MAX=1` while nothing is imported, as the pod restarts; the add-on has no \
             value for it, so its next upgrade takes it away again. Then pull the inventory again; \
             `windrow retry` runs a VM that failed so",
    never_waived: None,
    run: |estate| {
        let mut converted: BTreeMap<&TargetName, usize> = BTreeMap::new();
        for row in estate.rows() {
            if row.to.kind != SourceKind::Openstack {
                *converted.entry(&row.to.target).or_default() += 1;
            }
        }
        let mut hits = Vec::new();
        for (target, snapshot) in estate.targets() {
            let engine = snapshot.and_then(|snapshot| snapshot.about.engine.as_ref());
            if let (Some(engine), Some(number)) = (engine, converted.get(&target.name))
                && engine.malloc_arena_max.is_none()
            {
                let disks = count(*number, "VM");
                let evidence = format!(
                    "`MALLOC_ARENA_MAX` is not set for `{}`, which converts the disks of {disks}",
                    engine.image
                );
                hits.push(on(target, evidence));
            }
        }
        hits
    },
};
