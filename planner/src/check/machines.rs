//! The state that a VM is in, at its source and in the ledger.

use engine::Profile;
use schemas::finding::Severity;
use schemas::inventory::Power;
use schemas::machine::Stage;

use super::Hit;
use super::table::Check;
use crate::estimate::Estimates;

/// VMs that cannot be exported as they are.
pub const V05: Check = Check {
    code: "V05",
    severity: Severity::Blocker,
    title: "is a template, or in a state in which it cannot be exported",
    reads: "whether it is a template; vSphere's connection state, question and fault tolerance",
    why: "Such a VM cannot be switched off or exported; the import fails or waits for ever \
          (VW:202).",
    when: "a template was selected by its id, the host lost the VM, a question waits for an \
             answer, or fault tolerance is on",
    see: "`govc vm.info -json PATH` and look at `config.template`, `runtime.connectionState`, \
             `runtime.question`, `runtime.faultToleranceState`",
    remedy: "turn the template into a VM, or mend the connection of its host, and pull again",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for (resolved, vm) in estate.vms() {
            if vm.template {
                hits.push(Hit::vm(resolved, "it is a template"));
            }
            if let Some(state) = &vm.ft {
                let remedy = "switch fault tolerance off for it, and pull again";
                let hit = Hit::vm(resolved, format!("fault tolerance is `{state}`"));
                hits.push(hit.remedy(remedy));
            }
            let observed = estate
                .source(resolved)
                .and_then(|source| source.observed.get(vm.id.as_str()));
            if let Some(state) = observed.and_then(|seen| seen.connection_state.as_ref()) {
                hits.push(Hit::vm(
                    resolved,
                    format!("its connection state is `{state}`"),
                ));
            }
            if let Some(question) = observed.and_then(|seen| seen.question.as_ref()) {
                let hit = Hit::vm(resolved, format!("it waits for an answer: `{question}`"));
                hits.push(hit.remedy("answer it (`govc vm.question -vm PATH`), and pull again"));
            }
        }
        hits
    },
};

/// An earlier attempt went wrong.
pub const WR002: Check = Check {
    code: "WR002",
    severity: Severity::Warning,
    title: "failed before, or is held for a person",
    reads: "the ledger in the target's snapshot",
    why: "A machine that failed is not tried again by itself: a retry is a second full export with \
          the guest off. It stays in its wave, and its dependants wait.",
    when: "the ledger says that an earlier attempt failed or is held",
    see: "`kubectl get machinemigrations -A`",
    remedy: "see its record (`kubectl get machinemigrations`), mend the cause, then let it be tried \
             again",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for vm in &estate.plan.vms {
            let Some(moved) = &vm.ledger else { continue };
            let what = match moved.stage {
                Stage::Failed => "failed",
                Stage::Held => "is held",
                _ => continue,
            };
            let wave = moved.wave.as_ref().map(|wave| format!(" in wave `{wave}`"));
            let runs = vm.power != Some(Power::Off);
            let size = vm.footprint.size();
            let again = Estimates::new(&size, runs, &estate.plan.assumptions);
            let evidence = format!(
                "record `{}` on {} {what}{}; another attempt takes {} with its guest off",
                vm.record,
                moved.target,
                wave.unwrap_or_default(),
                again.retry(&Profile::vm_import())
            );
            hits.push(Hit::vm(vm, evidence));
        }
        hits
    },
};

/// Begun on another target.
pub const WR007: Check = Check {
    code: "WR007",
    severity: Severity::Blocker,
    title: "was begun on another target",
    reads: "the ledgers of all targets",
    why: "A controller does not see the ledger of another cluster. It would import the VM a second \
          time while the first import goes on, or is retried.",
    when: "the plan says another target than the one whose ledger knows the VM",
    see: "`kubectl --context OTHER get machinemigrations -A`",
    remedy: "plan it to that target again, or delete its record and its import there first",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        for vm in &estate.plan.vms {
            if let Some(moved) = vm.ledger.as_ref().filter(|moved| moved.target != vm.target) {
                let evidence = format!(
                    "record `{}` on {} is {:?}; the plan says {}",
                    vm.record, moved.target, moved.stage, vm.target
                );
                hits.push(Hit::vm(vm, evidence));
            }
        }
        hits
    },
};
