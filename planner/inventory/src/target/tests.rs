//! Which requests there are, against an API server over a real socket.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::NoProgress;

/// A cluster that has an engine with a claim, and one page of nothing of all else.
fn answer(request: &Request) -> ResponseTemplate {
    let body = match request.url.path() {
        "/version" => json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.4", "gitCommit": "", "buildDate": "",
            "gitTreeState": "", "goVersion": "", "compiler": "", "platform": "",
        }),
        "/api/v1/namespaces/kube-system" => {
            json!({"metadata": {"name": "kube-system", "uid": "u"}})
        }
        "/api/v1/pods" => json!({"metadata": {}, "items": [{
            "metadata": {"namespace": ENGINE_NAMESPACE, "name": format!("{ENGINE_NAME}-1")},
            "spec": {"nodeName": "n1", "containers": []},
        }]}),
        path if path.ends_with("/proxy/stats/summary") => json!({"pods": []}),
        path if path.ends_with(&format!("/deployments/{ENGINE_NAME}")) => json!({
            "metadata": {"name": ENGINE_NAME},
            "spec": {"replicas": 1, "selector": {}, "template": {"spec": {
                "containers": [{"name": "engine", "image": "engine:v1",
                    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]}],
                "volumes": [{"name": "scratch", "persistentVolumeClaim": {"claimName": "scratch"}}],
            }}},
        }),
        path if path.ends_with("/persistentvolumeclaims/scratch") => json!({
            "metadata": {"name": "scratch"}, "spec": {}, "status": {"capacity": {"storage": "1Gi"}},
        }),
        _ if request.url.query().is_some() => json!({"metadata": {}, "items": []}),
        _ => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                "status": "Failure", "message": "no such thing", "reason": "NotFound", "code": 404});
            return ResponseTemplate::new(404).set_body_json(status);
        }
    };
    ResponseTemplate::new(200).set_body_json(body)
}

/// A request as roles speak of it: verb, group, resource. `/version` is open to everybody.
fn right(request: &Request) -> Option<(String, String, String)> {
    assert_eq!(request.method.as_str(), "GET", "{}", request.url);
    let parts: Vec<&str> = request.url.path().trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["version"] => return None,
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        other => panic!("no API path: {other:?}"),
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (verb, resource) = match rest {
        [resource] => ("list", (*resource).to_owned()),
        [resource, _] => ("get", (*resource).to_owned()),
        [resource, _, part, ..] => ("get", format!("{resource}/{part}")),
        [] => panic!("no resource: {parts:?}"),
    };
    Some((verb.to_owned(), group.to_owned(), resource))
}

/// What `deploy/rbac/inventory.yaml` gives.
fn granted() -> BTreeSet<(String, String, String)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/rbac/inventory.yaml"
    );
    let text = std::fs::read_to_string(path).expect("readable");
    let role = schemas::yaml::documents(&text).expect("YAML").remove(0);
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().expect("a list");
        list.iter()
            .map(|text| text.as_str().expect("text").to_owned())
            .collect()
    };
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    granted.insert((verb, group.clone(), resource.clone()));
                }
            }
        }
    }
    granted
}

// Only reads are sent, and the role in `deploy/` has the right to each of them and to nothing else.
#[tokio::test]
async fn rights_are_those_that_are_used() {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let config = kube::Config::new(server.uri().parse().expect("an address"));
    let client = Client::try_from(config).expect("a client");
    let inventory = pull(client, &"hv1".into(), &NoProgress)
        .await
        .expect("pulled");
    assert_eq!(inventory.about.cluster_uid, "u");
    let requests = server.received_requests().await.expect("recorded");
    let used: BTreeSet<_> = requests.iter().filter_map(right).collect();
    assert_eq!(used, granted());
}
