//! One program drives an engine at a time: the Lease `windrow` beside the engine.
//!
//! Whoever drives it holds the Lease, `apply` at a terminal as well as the controller. It keeps
//! two from working against each other; that nothing is imported twice does not rest on it. A
//! holder that died is taken over once its Lease has stood still for its whole duration by *our*
//! clock, so that no two clocks need to agree.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use executor_machine::At;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use schemas::upstream::ENGINE_NAMESPACE;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::parts::FIELD_MANAGER;

/// The Lease's name.
pub const LEASE_NAME: &str = "windrow";
/// How long a Lease holds after it was last renewed: a holder that died blocks no longer than that.
const DURATION: Duration = Duration::from_secs(15);
const DURATION_SECONDS: i32 = 15;
/// Between two renewals: two may fail before the Lease is in danger.
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// Without a renewal for so long, counted from before its request, we stop: 4 s before anybody else
/// may begin.
const LOST_AFTER: Duration = Duration::from_secs(11);
/// Between two looks at a Lease that somebody else holds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A Lease that we hold; it is renewed until this is released or dropped.
pub struct Lease {
    keeper: Arc<Keeper>,
    renewals: JoinHandle<()>,
    state: watch::Receiver<State>,
}

/// Whether we still have it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Held(Since),
    Lost { holder: Option<String> },
}

/// An instant by both clocks: the one does not count while the computer sleeps, the other may be
/// set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    steady: Instant,
    wall: SystemTime,
}

impl Since {
    fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// By the clock that says more.
    fn elapsed(self) -> Duration {
        let wall = self.wall.elapsed().unwrap_or_default();
        self.steady.elapsed().max(wall)
    }
}

/// What came of a renewal.
#[derive(Debug, PartialEq, Eq)]
enum Renewal {
    Done,
    /// Somebody wrote in between: the next look tells who.
    Unclear,
    /// It is this one's now.
    Taken(String),
}

struct Keeper {
    api: Api<Object>,
    identity: String,
}

impl Lease {
    /// Takes the Lease of the cluster's engine as `identity`. Waits while somebody else has it, up
    /// to `patience` (absent: for ever), and tells `waiting` for whom.
    pub async fn take(
        cluster: &Cluster,
        identity: &str,
        patience: Option<Duration>,
        mut waiting: impl FnMut(&str),
    ) -> Result<Self, Error> {
        // Whoever drives the engine goes by the time.
        cluster.check_clock().await?;
        let keeper = Arc::new(Keeper::new(cluster.client(), identity));
        let began = Instant::now();
        let mut written;
        let mut seen: Option<(String, Instant)> = None;
        loop {
            let found = keeper.get().await?;
            written = Since::now();
            let Some(mut object) = found else {
                if keeper.create().await? {
                    break;
                }
                continue;
            };
            let holder = holder_of(&object);
            let version = object.metadata.resource_version.clone().unwrap_or_default();
            let stands_still = match &seen {
                Some((before, since)) if *before == version => {
                    since.elapsed() >= duration_of(&object)
                }
                _ => {
                    seen = Some((version, Instant::now()));
                    false
                }
            };
            if holder.is_empty() || holder == identity || stands_still {
                if keeper.put(&mut object, identity).await? {
                    break;
                }
                continue;
            }
            if patience.is_some_and(|patience| began.elapsed() >= patience) {
                return Err(Error::LeaseHeld {
                    lease: place(),
                    holder,
                });
            }
            waiting(&holder);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let (sender, state) = watch::channel(State::Held(written));
        let renewals = tokio::spawn(Arc::clone(&keeper).renew(sender, written));
        Ok(Self {
            keeper,
            renewals,
            state,
        })
    }

    /// An error once the Lease is lost.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &*self.state.borrow() {
            // We may have slept, and the renewals not be awake yet.
            State::Held(since) if since.elapsed() >= LOST_AFTER => Err(Error::LeaseLost {
                lease: place(),
                holder: None,
            }),
            State::Held(_) => Ok(()),
            State::Lost { holder } => Err(Error::LeaseLost {
                lease: place(),
                holder: holder.clone(),
            }),
        }
    }

    /// Returns when the Lease is lost.
    pub(crate) async fn lost(&self) {
        let mut state = self.state.clone();
        // An error means that the renewals ended, which is a loss as well.
        let _ = state
            .wait_for(|state| matches!(state, State::Lost { .. }))
            .await;
    }

    /// Gives the Lease back, so that the next one need not wait. Failing to is no error: it expires.
    pub async fn release(self) {
        self.renewals.abort();
        if let Ok(Some(mut object)) = self.keeper.get().await
            && holder_of(&object) == self.keeper.identity
            && let Err(error) = self.keeper.put(&mut object, "").await
        {
            tracing::debug!(%error, "lease not released");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

impl Keeper {
    fn new(client: &Client, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), ENGINE_NAMESPACE),
            identity: identity.to_owned(),
        }
    }

    async fn get(&self) -> Result<Option<Object>, Error> {
        self.api
            .get_opt(LEASE_NAME)
            .await
            .map_err(|error| Error::of("get", what(), error))
    }

    /// Creates the Lease as ours; false where somebody was faster.
    async fn create(&self) -> Result<bool, Error> {
        let object = Object {
            metadata: ObjectMeta {
                name: Some(LEASE_NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(spec(&self.identity, 0)),
        };
        match self.api.create(&params(), &object).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(kube::Error::Api(status)) if status.is_not_found() => Err(Error::NoEngine {
                namespace: ENGINE_NAMESPACE,
            }),
            Err(error) => Err(Error::of("create", what(), error)),
        }
    }

    /// Writes `holder` over the Lease as it was seen; false where somebody was faster.
    async fn put(&self, object: &mut Object, holder: &str) -> Result<bool, Error> {
        let before = object.spec.as_ref();
        let transitions = before
            .and_then(|spec| spec.lease_transitions)
            .unwrap_or_default();
        let same = holder_of(object) == holder;
        let acquired = before
            .and_then(|spec| spec.acquire_time.clone())
            .filter(|_| same);
        let mut next = spec(holder, transitions + i32::from(!same && !holder.is_empty()));
        next.acquire_time = acquired.or(next.acquire_time);
        object.spec = Some(next);
        object.metadata.managed_fields = None;
        match self.api.replace(LEASE_NAME, &params(), object).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 || status.is_not_found() => {
                Ok(false)
            }
            Err(error) => Err(Error::of("update", what(), error)),
        }
    }

    async fn renew(self: Arc<Self>, state: watch::Sender<State>, mut renewed: Since) {
        let lost = |holder| {
            // Nobody listens any more: the run has ended, which is what a loss is to bring about.
            let _ = state.send(State::Lost { holder });
        };
        loop {
            tokio::time::sleep(turn(renewed.elapsed())).await;
            let began = Since::now();
            match tokio::time::timeout(turn(renewed.elapsed()), self.renew_once()).await {
                Ok(Ok(Renewal::Done)) => {
                    renewed = began;
                    let _ = state.send(State::Held(began));
                }
                Ok(Ok(Renewal::Unclear)) => tracing::debug!("lease written by somebody"),
                Ok(Ok(Renewal::Taken(holder))) => return lost(Some(holder)),
                Ok(Err(error)) => tracing::debug!(%error, "lease not renewed"),
                Err(_) => tracing::debug!("lease not renewed in time"),
            }
            if renewed.elapsed() >= LOST_AFTER {
                return lost(None);
            }
        }
    }

    /// Renews, unless it is no longer ours.
    async fn renew_once(&self) -> Result<Renewal, Error> {
        let Some(mut object) = self.get().await? else {
            return self.create().await.map(Renewal::of);
        };
        let holder = holder_of(&object);
        if holder != self.identity {
            return Ok(Renewal::Taken(holder));
        }
        let written = self.put(&mut object, &self.identity).await;
        written.map(Renewal::of)
    }
}

impl Renewal {
    fn of(is_written: bool) -> Self {
        if is_written {
            Self::Done
        } else {
            Self::Unclear
        }
    }
}

/// How long to sleep, or to wait for an answer, this long after the last renewal: never beyond the
/// moment at which the Lease counts as lost.
fn turn(since_renewal: Duration) -> Duration {
    RENEW_EVERY.min(LOST_AFTER.saturating_sub(since_renewal))
}

fn spec(holder: &str, transitions: i32) -> LeaseSpec {
    let now = MicroTime(jiff::Timestamp::now());
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(DURATION_SECONDS),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    }
}

fn holder_of(object: &Object) -> String {
    object
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.clone())
        .unwrap_or_default()
}

fn duration_of(object: &Object) -> Duration {
    let seconds = object
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    seconds
        .and_then(|s| u64::try_from(s).ok())
        .map_or(DURATION, Duration::from_secs)
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

fn place() -> At {
    At::new(ENGINE_NAMESPACE, LEASE_NAME)
}

fn what() -> String {
    format!("Lease `{}`", place())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower_test::mock;

    use super::*;

    fn lease(holder: &str) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "windrow", "namespace": "harvester-system", "resourceVersion": "5" },
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 2 },
        })
    }

    /// Renews once against a server that gives `turns`; gives the answer and what was put last.
    async fn renew(turns: Vec<(Method, u16, Value)>) -> (Renewal, Value) {
        let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
        let keeper = Keeper::new(&Client::new(service, "default"), "me");
        let playing = async move {
            let mut server = pin!(server);
            let mut last = Value::Null;
            for (method, code, answer) in turns {
                let (request, send) = server.next_request().await.expect("one more request");
                assert_eq!(*request.method(), method);
                let body = request.into_body().collect_bytes().await.expect("a body");
                last = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let answer = Body::from(answer.to_string().into_bytes());
                send.send_response(
                    Response::builder()
                        .status(code)
                        .body(answer)
                        .expect("an answer"),
                );
            }
            last
        };
        let (answer, last) = tokio::join!(async move { keeper.renew_once().await }, playing);
        (answer.expect("no error"), last)
    }

    // Ours is renewed over exactly what was seen, without counting as a change of holder.
    #[tokio::test]
    async fn renewed() {
        let turns = vec![
            (Method::GET, 200, lease("me")),
            (Method::PUT, 200, lease("me")),
        ];
        let (renewal, put) = renew(turns).await;
        assert_eq!(renewal, Renewal::Done);
        assert_eq!(put["metadata"]["resourceVersion"], "5");
        assert_eq!(put["spec"]["leaseTransitions"], 2);
    }

    // One that somebody else has is lost; it is not written.
    #[tokio::test]
    async fn lost() {
        let (renewal, _) = renew(vec![(Method::GET, 200, lease("other"))]).await;
        assert_eq!(renewal, Renewal::Taken("other".to_owned()));
    }

    // A write that lost against somebody else's is no renewal.
    #[tokio::test]
    async fn unclear() {
        let conflict = json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 409,
            "reason": "Conflict", "message": "somebody was faster",
        });
        let turns = vec![
            (Method::GET, 200, lease("me")),
            (Method::PUT, 409, conflict),
        ];
        assert_eq!(renew(turns).await.0, Renewal::Unclear);
    }

    // We stop before anybody else may begin, whatever hangs, and also if the steady clock stood
    // still because the computer slept.
    #[test]
    fn stops_in_time() {
        let mut since = Duration::ZERO;
        while since < LOST_AFTER {
            // Nothing answers: a pause and a request that takes all its time.
            since += turn(since);
            since += turn(since);
        }
        assert_eq!(since, LOST_AFTER);
        assert!(LOST_AFTER + Duration::from_secs(3) < DURATION);
        let slept = Since {
            steady: Instant::now(),
            wall: SystemTime::now() - DURATION,
        };
        assert!(slept.elapsed() >= LOST_AFTER);
    }
}
