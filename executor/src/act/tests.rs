//! Single calls, against an API server that is a script.

use std::pin::pin;

use executor_machine::{Import, Record};
use http::{Method, Request, Response};
use kube::client::Body;
use schemas::machine::Attempt;
use schemas::upstream::VirtualMachineImportStatus;
use serde_json::Value;
use tower_test::mock::{self, Handle};

use super::*;

type Server = Handle<Request<Body>, Response<Body>>;

fn hands() -> (Hands, Server) {
    let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
    (Hands::new(Client::new(service, "default")), server)
}

/// One request that is expected and its answer.
struct Turn {
    method: Method,
    path: &'static str,
    code: u16,
    answer: Value,
}

fn turn(method: Method, path: &'static str, code: u16, answer: Value) -> Turn {
    Turn {
        method,
        path,
        code,
        answer,
    }
}

/// Plays `turns`; gives the bodies that were sent.
async fn play(server: Server, turns: Vec<Turn>) -> Vec<Value> {
    let mut server = pin!(server);
    let mut bodies = Vec::new();
    for turn in turns {
        let (request, send) = server.next_request().await.expect("one more request");
        assert_eq!(
            (request.method(), request.uri().path()),
            (&turn.method, turn.path)
        );
        let body = request.into_body().collect_bytes().await.expect("a body");
        bodies.push(serde_json::from_slice(&body).unwrap_or(Value::Null));
        let answer = Response::builder()
            .status(turn.code)
            .body(Body::from(turn.answer.to_string().into_bytes()))
            .expect("an answer");
        send.send_response(answer);
    }
    bodies
}

fn status(code: u16, reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code, "reason": reason, "message": format!("server says {reason}"),
    })
}

const RECORD: &str = "/apis/windrow.dev/v1alpha1/namespaces/plans/machinemigrations/erp-00c0ffee";
const IMPORTS: &str =
    "/apis/migration.harvesterhci.io/v1beta1/namespaces/erp/virtualmachineimports";
const IMPORT: &str =
    "/apis/migration.harvesterhci.io/v1beta1/namespaces/erp/virtualmachineimports/w00c0ffee1";

fn record_at() -> At {
    At::new("plans", "erp-00c0ffee")
}

fn import_at() -> At {
    At::new("erp", "w00c0ffee1")
}

fn spec() -> MachineSpec {
    MachineSpec {
        vm: "shelf/erp".parse().expect("a key"),
        instance: None,
        name: "erp".into(),
        plan: "erp".into(),
        wave: "erp-010".into(),
        digest: schemas::ids::Digest::new("sha256:0"),
        namespace: "erp".into(),
        machine: "erp".into(),
        size: serde_json::from_value(json!({
            "peak": "2Gi", "resident": "1Gi", "transfer": "1Gi", "disks": "1Gi",
        }))
        .expect("a size"),
        gate: None,
        attempt: Attempt {
            number: 1,
            import: "w00c0ffee1".into(),
            opened: jiff::Timestamp::UNIX_EPOCH,
        },
    }
}

fn record(status: &Value) -> Value {
    json!({
        "apiVersion": "windrow.dev/v1alpha1", "kind": "MachineMigration",
        "metadata": { "name": "erp-00c0ffee", "namespace": "plans", "resourceVersion": "8" },
        "spec": spec(), "status": status,
    })
}

fn import(version: &str) -> Value {
    json!({
        "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": "VirtualMachineImport",
        "metadata": { "name": "w00c0ffee1", "namespace": "erp", "uid": "u", "resourceVersion": version },
        "spec": import_spec(),
    })
}

fn import_spec() -> VirtualMachineImportSpec {
    VirtualMachineImportSpec {
        virtual_machine_name: "erp".to_owned(),
        ..VirtualMachineImportSpec::default()
    }
}

/// A picture in which the record is, and the import in `state` where there is one.
fn seen(state: Option<ImportState>) -> Observed {
    let mut seen = Observed::default();
    let record = Record {
        spec: spec(),
        status: None,
        generation: 1,
        resource_version: "7".to_owned(),
    };
    seen.records.insert(record_at(), record);
    if let Some(import_status) = state {
        let status = VirtualMachineImportStatus {
            import_status,
            ..VirtualMachineImportStatus::default()
        };
        seen.imports.insert(
            import_at(),
            Import {
                status,
                ..Import::default()
            },
        );
    }
    seen
}

fn create_import() -> Action {
    Action::CreateImport {
        at: import_at(),
        record: "erp-00c0ffee".into(),
        plan: "erp".into(),
        attempt: 1,
        spec: import_spec(),
    }
}

async fn act(
    action: Action,
    seen: Observed,
    turns: Vec<Turn>,
) -> (Result<Outcome, Error>, Vec<Value>) {
    let (hands, server) = hands();
    let acting = async move { hands.act(&action, &seen, &[]).await };
    let (outcome, bodies) = tokio::join!(acting, play(server, turns));
    (outcome, bodies)
}

// The ledger is asked first; then the import is posted complete, with its marks.
#[tokio::test]
async fn import_is_created() {
    let turns = vec![
        turn(Method::GET, RECORD, 200, record(&json!({ "attempt": 0 }))),
        turn(Method::POST, IMPORTS, 201, import("9")),
    ];
    let (outcome, bodies) = act(create_import(), seen(None), turns).await;
    let expected = Write::of(
        Kind::Import,
        &import_at(),
        &serde_json::from_value::<VirtualMachineImport>(import("9")).expect("an import"),
    );
    assert_eq!(outcome.expect("created"), Outcome::Done(expected));
    let metadata = &bodies[1]["metadata"];
    assert_eq!(metadata["labels"]["windrow.dev/machine"], "erp-00c0ffee");
    assert_eq!(metadata["labels"]["windrow.dev/plan"], "erp");
    assert_eq!(metadata["annotations"]["windrow.dev/attempt"], "1");
    assert!(bodies[1].get("status").is_none());
}

// A ledger that knows more than our copy of it keeps us from importing twice: nothing is posted.
#[tokio::test]
async fn import_that_was_seen_is_not_created_again() {
    for ledger in [
        record(&json!({ "attempt": 1, "uid": "u", "stage": "Running" })),
        record(&json!({ "attempt": 1, "stage": "Withdrawn" })),
        record(&json!({ "attempt": 1, "stage": "Held" })),
    ] {
        let turns = vec![turn(Method::GET, RECORD, 200, ledger)];
        let (outcome, _) = act(create_import(), seen(None), turns).await;
        assert_eq!(outcome.expect("no error"), Outcome::LookAgain);
    }
}

// The same where its record was deleted, or is nowhere in the picture.
#[tokio::test]
async fn import_without_a_record_is_not_created() {
    let gone = vec![turn(Method::GET, RECORD, 404, status(404, "NotFound"))];
    let (outcome, _) = act(create_import(), seen(None), gone).await;
    assert_eq!(outcome.expect("no error"), Outcome::LookAgain);
    let (outcome, _) = act(create_import(), Observed::default(), vec![]).await;
    assert_eq!(outcome.expect("no error"), Outcome::LookAgain);
}

// Somebody was faster, perhaps ourselves before a restart: the next picture tells.
#[tokio::test]
async fn already_exists_is_no_error() {
    let turns = vec![
        turn(Method::GET, RECORD, 200, record(&json!({ "attempt": 0 }))),
        turn(Method::POST, IMPORTS, 409, status(409, "AlreadyExists")),
    ];
    let (outcome, _) = act(create_import(), seen(None), turns).await;
    assert_eq!(outcome.expect("no error"), Outcome::LookAgain);
}

// A namespace that is missing will not appear by looking again.
#[tokio::test]
async fn missing_namespace_is_an_error() {
    let turns = vec![
        turn(Method::GET, RECORD, 200, record(&json!({ "attempt": 0 }))),
        turn(Method::POST, IMPORTS, 404, status(404, "NotFound")),
    ];
    let (outcome, _) = act(create_import(), seen(None), turns).await;
    let error = outcome.expect_err("refused");
    assert_eq!(
        error.to_string(),
        "create VirtualMachineImport `erp/w00c0ffee1`"
    );
}

// What we may not do is told apart, with what was attempted.
#[tokio::test]
async fn forbidden() {
    let turns = vec![
        turn(Method::GET, RECORD, 200, record(&json!({ "attempt": 0 }))),
        turn(Method::POST, IMPORTS, 403, status(403, "Forbidden")),
    ];
    let (outcome, _) = act(create_import(), seen(None), turns).await;
    let error = outcome.expect_err("refused");
    assert!(
        matches!(error, Error::Forbidden { verb: "create", .. }),
        "{error}"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("deploy/rbac"))
    );
}

// A status goes over exactly the record that was seen; somebody else's write in between is no error.
#[tokio::test]
async fn record_conflict() {
    const STATUS: &str =
        "/apis/windrow.dev/v1alpha1/namespaces/plans/machinemigrations/erp-00c0ffee/status";
    let action = Action::Record {
        at: record_at(),
        resource_version: "7".to_owned(),
        status: MachineStatus {
            attempt: 1,
            stage: Stage::Exporting,
            ..MachineStatus::default()
        },
    };
    let turns = vec![turn(Method::PUT, STATUS, 409, status(409, "Conflict"))];
    let (outcome, bodies) = act(action, seen(None), turns).await;
    assert_eq!(outcome.expect("no error"), Outcome::LookAgain);
    assert_eq!(bodies[0]["metadata"]["resourceVersion"], "7");
    assert_eq!(bodies[0]["status"]["stage"], "Exporting");
}

// Before an import is written down as gone or failed, the API server is asked: our watch may be
// behind. One that is as we see it is written down.
#[tokio::test]
async fn an_end_is_asked_for() {
    const STATUS: &str =
        "/apis/windrow.dev/v1alpha1/namespaces/plans/machinemigrations/erp-00c0ffee/status";
    let ended = |stage| Action::Record {
        at: record_at(),
        resource_version: "7".to_owned(),
        status: MachineStatus {
            attempt: 1,
            stage,
            ..MachineStatus::default()
        },
    };
    let mut exporting = seen(Some(ImportState::SourceReady));
    let known = exporting.imports.get_mut(&import_at()).expect("the import");
    known.resource_version = "9".to_owned();
    for (stage, picture, live) in [
        (Stage::Held, seen(None), import("9")),
        (Stage::Failed, exporting.clone(), import("10")),
    ] {
        let turns = vec![turn(Method::GET, IMPORT, 200, live)];
        let (outcome, _) = act(ended(stage), picture, turns).await;
        assert_eq!(outcome.expect("no error"), Outcome::LookAgain, "{stage:?}");
    }
    let turns = vec![
        turn(Method::GET, IMPORT, 200, import("9")),
        turn(Method::PUT, STATUS, 200, record(&json!({ "attempt": 1 }))),
    ];
    let (outcome, _) = act(ended(Stage::Failed), exporting, turns).await;
    assert!(matches!(outcome, Ok(Outcome::Done(_))));
}

// A finished import leaves its images behind even if the engine has not taken them out yet; one
// that is withdrawn is deleted only in the state that was seen.
#[tokio::test]
async fn deletions() {
    let delete = |resource_version: Option<&str>| Action::DeleteImport {
        at: import_at(),
        uid: "u".to_owned(),
        resource_version: resource_version.map(str::to_owned),
    };
    let turns = vec![turn(Method::DELETE, IMPORT, 200, import("12"))];
    let finished = seen(Some(ImportState::VirtualMachineRunning));
    let (_, bodies) = act(delete(None), finished, turns).await;
    assert_eq!(bodies[0]["propagationPolicy"], "Orphan");
    assert_eq!(bodies[0]["preconditions"], json!({ "uid": "u" }));

    let turns = vec![turn(Method::DELETE, IMPORT, 409, status(409, "Conflict"))];
    let (outcome, bodies) = act(delete(Some("7")), seen(Some(ImportState::New)), turns).await;
    assert_eq!(outcome.expect("no error"), Outcome::LookAgain);
    assert_eq!(
        bodies[0]["preconditions"],
        json!({ "uid": "u", "resourceVersion": "7" })
    );
    assert!(bodies[0].get("propagationPolicy").is_none());

    let turns = vec![turn(Method::DELETE, IMPORT, 404, status(404, "NotFound"))];
    let (outcome, _) = act(delete(None), seen(None), turns).await;
    let gone = Write::gone(Kind::Import, &import_at(), "u");
    assert_eq!(
        outcome.expect("gone is what was wanted"),
        Outcome::Done(gone)
    );
}
