//! Trying the TCP ports that gates and steps ask for.
//!
//! Takes ports from the machine's answers and connects, beside the loop and never in its way; what
//! came of it goes into the next picture. Sends nothing over a connection, and decides nothing: not
//! when to try again, nor what a closed port means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use executor_machine::{At, Probe, Probed};
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// For one connection: a port that needs longer is of no use to those who wait for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For all of one try, the API server's answer included.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);

/// What was tried, and what is being tried.
pub(crate) struct Probes {
    client: Client,
    shared: Arc<Shared>,
    /// Aborts what is under way when it is dropped.
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    came: Notify,
}

#[derive(Default)]
struct Known {
    results: BTreeMap<Probe, Probed>,
    trying: BTreeSet<Probe>,
}

impl Probes {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            shared: Arc::new(Shared::default()),
            tasks: JoinSet::new(),
        }
    }

    /// Begins to try these, as far as they are not being tried.
    pub(crate) fn start(&mut self, probes: &BTreeSet<Probe>) {
        while self.tasks.try_join_next().is_some() {}
        for probe in probes {
            if !self.shared.lock().trying.insert(probe.clone()) {
                continue;
            }
            let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
            let probe = probe.clone();
            self.tasks.spawn(async move {
                let tried = tokio::time::timeout(TRY_TIMEOUT, try_port(&client, &probe)).await;
                let failure = match tried {
                    Ok(Ok(())) => None,
                    Ok(Err(why)) => Some(why),
                    Err(_) => Some("no answer".to_owned()),
                };
                tracing::debug!(port = %probe, failure, "probe");
                let at = Timestamp::now();
                let mut known = shared.lock();
                known.trying.remove(&probe);
                known.results.insert(probe, Probed { at, failure });
                drop(known);
                shared.came.notify_one();
            });
        }
    }

    /// What came of all that were tried.
    pub(crate) fn results(&self) -> BTreeMap<Probe, Probed> {
        self.shared.lock().results.clone()
    }

    /// Waits until something came. What came before the call counts.
    pub(crate) async fn came(&self) {
        self.shared.came.notified().await;
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing panics half-way through a change, so what is inside is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects once; of a machine with several addresses, one that answers is enough.
async fn try_port(client: &Client, probe: &Probe) -> Result<(), String> {
    let (hosts, port) = match probe {
        Probe::Host { host, port } => (vec![host.clone()], *port),
        Probe::Machine { machine, port } => (addresses(client, machine).await?, *port),
    };
    let mut said = "it has no address yet".to_owned();
    for host in hosts {
        let connect = TcpStream::connect((host.as_str(), port));
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => said = format!("{host}: {error}"),
            Err(_) => said = format!("{host}: no answer"),
        }
    }
    Err(said)
}

/// The addresses that KubeVirt knows of a machine.
async fn addresses(client: &Client, machine: &At) -> Result<Vec<String>, String> {
    let path = format!(
        "/apis/kubevirt.io/v1/namespaces/{}/virtualmachineinstances/{}",
        machine.namespace, machine.name
    );
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    let instance: Value = client
        .request(request)
        .await
        .map_err(|error| format!("its VirtualMachineInstance: {error}"))?;
    Ok(addresses_of(&instance))
}

fn addresses_of(instance: &Value) -> Vec<String> {
    let interfaces = instance["status"]["interfaces"].as_array();
    let addresses = interfaces.into_iter().flatten();
    addresses
        .filter_map(|interface| interface["ipAddress"].as_str())
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tokio::net::TcpListener;
    use tower_test::mock;

    use super::*;

    async fn result(probes: &mut Probes, probe: &Probe) -> Option<String> {
        probes.start(&BTreeSet::from([probe.clone()]));
        probes.came().await;
        probes.results()[probe].failure.clone()
    }

    // A machine's port is tried at the address that its instance has; one that nobody listens on
    // is closed, and so is one of a machine without an address.
    #[tokio::test]
    async fn a_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
        let machine = At::new("erp", "db");
        let playing = async move {
            let mut server = pin!(server);
            let up = json!({ "status": { "interfaces": [{}, { "ipAddress": "127.0.0.1" }] } });
            for answer in [up.clone(), json!({}), up] {
                let (request, send) = server.next_request().await.expect("a request");
                let path = "/apis/kubevirt.io/v1/namespaces/erp/virtualmachineinstances/db";
                assert_eq!(request.uri().path(), path);
                send.send_response(Response::new(Body::from(answer.to_string().into_bytes())));
            }
        };
        let asking = async move {
            let mut probes = Probes::new(Client::new(service, "default"));
            let probe = Probe::Machine { machine, port };
            assert_eq!(result(&mut probes, &probe).await, None);
            let said = result(&mut probes, &probe).await;
            assert_eq!(said.as_deref(), Some("it has no address yet"));
            drop(listener);
            let said = result(&mut probes, &probe).await.expect("closed");
            assert!(said.starts_with("127.0.0.1: "), "{said}");
        };
        tokio::join!(asking, playing);
    }
}
