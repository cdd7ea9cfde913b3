//! What waits for machines and steps of another plan.

use schemas::approval::ApprovalSpec;
use schemas::gate::{Gate, GateFailure, GatePort, StepApproval, StepDone, StepRef, WaveStep};
use schemas::machine::Stage;
use schemas::units::Span;
use schemas::wave::{Prerequisite, PrerequisiteMachine};

use super::{deeds, exported, state};
use crate::fixture::{decide, key, observed, record, record_at, t, wave_at};
use crate::{Action, At, MachineState, Observed, StepState, Wait, step};

/// The wave of `web` waits for machine `ad` of another plan, and for a step there that follows it.
fn beside_another_plan() -> Observed {
    let mut picture = observed();
    decide(&mut picture, 10, |wave| {
        wave.workloads[0].depends_on = vec!["db".into(), "network/infra/dns".into()];
        wave.steps = vec![WaveStep {
            name: "network/infra/dns".into(),
            title: "switch the resolvers".to_owned(),
            depends_on: vec!["network/infra/ad".into()],
            done: StepDone {
                approval: Some(StepApproval::Required),
                tcp: None,
            },
        }];
        wave.prerequisites.push(Prerequisite {
            workload: "network/infra/ad".into(),
            machines: vec![PrerequisiteMachine {
                vm: key("ad"),
                record: "ad-00000001".into(),
            }],
        });
    });
    record(&mut picture, "db", Stage::Running, exported(100));
    picture
}

/// The record of `ad`, of the plan `infra` in `namespace`.
fn foreign(picture: &mut Observed, namespace: &str, stage: Stage) {
    let mut record = picture.records[&record_at("db")].clone();
    record.spec.vm = key("ad");
    record.spec.name = "AD-01".into();
    record.spec.plan = "infra".into();
    record.spec.machine = "ad-01".into();
    record.spec.attempt.import = "w000000011".into();
    let status = record.status.as_mut().expect("it runs");
    status.stage = stage;
    status.message = (stage != Stage::Running).then(|| "it broke".to_owned());
    picture
        .records
        .insert(At::new(namespace, "ad-00000001"), record);
}

/// Whether nothing more happens by itself, once all that is said is written.
fn is_over(picture: &Observed) -> bool {
    let mut picture = picture.clone();
    for action in step(&picture, t(300)).actions {
        if let Action::WaveStatus { at, status } = action {
            picture.waves.get_mut(&at).expect("a wave").status = Some(status);
        }
    }
    step(&picture, t(300)).view.finished
}

// What waits for a machine of another plan waits for its record, in that plan's namespace, with its
// gate, then for the step there; and is told what it waits for, by name.
#[test]
fn another_plan() {
    let mut picture = beside_another_plan();
    let waits = |picture: &Observed| match state(&step(picture, t(300)).view, "web") {
        MachineState::Waiting(Wait::Plan(other)) => other.to_string(),
        MachineState::Waiting(wait) => format!("{wait:?}"),
        state => panic!("{state:?}"),
    };
    let said = |picture: &Observed| {
        let actions = step(picture, t(300)).actions.into_iter();
        let mut written = actions.filter_map(|action| match action {
            Action::WaveStatus { at, status } if at == wave_at(10) => Some(status),
            _ => None,
        });
        written
            .next()
            .map(|status| status.common.conditions[0].message.clone())
    };
    let of = "`ad-00000001` of `network/infra/ad`, another plan";
    assert_eq!(waits(&picture), format!("{of}: not begun there"));
    // Nobody here will begin with it.
    picture.waves.remove(&wave_at(20));
    assert!(is_over(&picture));
    let message = format!("1/2 running; waits for {of}: not begun there");
    assert_eq!(said(&picture), Some(message));

    // One of that name in another namespace is another one.
    foreign(&mut picture, "migrations", Stage::Running);
    assert_eq!(waits(&picture), format!("{of}: not begun there"));
    picture
        .records
        .remove(&At::new("migrations", "ad-00000001"));

    foreign(&mut picture, "network", Stage::Withdrawn);
    assert_eq!(waits(&picture), format!("{of}: taken back there"));
    assert!(is_over(&picture));
    foreign(&mut picture, "network", Stage::Running);
    let at = At::new("network", "ad-00000001");
    let record = picture.records.get_mut(&at).expect("just put there");
    record.spec.gate = Some(Gate {
        tcp: vec![GatePort {
            port: 389,
            address: None,
        }],
        soak: None,
        timeout: Span::from_minutes(15),
        on_failure: GateFailure::Hold,
    });
    assert_eq!(
        waits(&picture),
        format!("{of}: it runs, and its gate does not hold yet")
    );
    assert!(!is_over(&picture));
    let record = picture.records.get_mut(&at).expect("as above");
    record.spec.gate = None;

    // Then the step: the word must be that plan's.
    assert!(waits(&picture).starts_with("Step"), "{}", waits(&picture));
    let word = |plan: &str| ApprovalSpec {
        wave: None,
        digest: None,
        step: Some(StepRef {
            plan: plan.into(),
            name: "dns".into(),
        }),
        occurrence: None,
        expires: None,
        reference: None,
    };
    let due = &step(&picture, t(300)).view.steps[0];
    assert_eq!(due.plan, At::new("network", "infra"));
    let how =
        "a person must say that it is done: windrow approve --step dns for plan `network/infra`";
    assert_eq!(due.state, StepState::Due(how.to_owned()));
    picture
        .approvals
        .insert(At::new("migrations", "a"), word("infra"));
    picture
        .approvals
        .insert(At::new("network", "b"), word("erp"));
    assert!(waits(&picture).starts_with("Step"));
    picture
        .approvals
        .insert(At::new("network", "c"), word("infra"));
    let opens = |action: &Action| matches!(action, Action::OpenRecord { .. });
    assert!(deeds(&picture, 300).iter().any(opens));
}

// A machine that failed or is held over there holds back what waits for it, and is named with its plan.
#[test]
fn another_plan_fails() {
    for stage in [Stage::Failed, Stage::Held] {
        let mut picture = beside_another_plan();
        foreign(&mut picture, "network", stage);
        let step = step(&picture, t(300));
        let expected = MachineState::Blocked {
            by: key("ad"),
            name: "AD-01".into(),
            plan: Some(At::new("network", "infra")),
        };
        assert_eq!(state(&step.view, "web"), expected);
        let said = step.actions.iter().find_map(|action| match action {
            Action::WaveStatus { at, status } if *at == wave_at(10) => Some(status),
            _ => None,
        });
        let ready = &said.expect("a status").common.conditions[0];
        let message = "1/2 running, 1 blocked; `AD-01` of plan `network/infra` failed";
        assert_eq!(
            (ready.reason.as_str(), ready.message.as_str()),
            ("ImportsFailed", message)
        );
    }
}
