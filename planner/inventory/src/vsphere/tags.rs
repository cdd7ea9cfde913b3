//! Tags, which only a vCenter has, and only tells over REST.
//!
//! Gives `category/tag` by VM reference. Speaks both flavours: `/rest` (6.5 to 8.0), and `/api`
//! (from 7.0 U2) where the first is gone. A failure is a gap, not an error: a plan that needs no
//! tags works without. The REST session is closed however the reading ends.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::VsphereError;
use super::session::{Account, Session};
use crate::http::{Answer, Retry};

/// The header that carries a REST session.
const SESSION_HEADER: &str = "vmware-api-session-id";
/// Tags whose objects are asked for at once: answers are capped at 7 MB.
const BATCH: usize = 50;
/// Questions in flight.
const IN_FLIGHT: usize = 2;

/// `category/tag` of each VM, sorted, by reference.
pub(crate) type Tags = BTreeMap<String, Vec<String>>;

/// Reads all tags of VMs. What fails is noted; only an interruption is an error.
pub(crate) async fn read(session: &Session<'_>) -> Result<Tags, VsphereError> {
    if !session.service.is_vcenter {
        return Ok(Tags::new());
    }
    let result = match Rest::log_in(session).await {
        Ok(rest) => {
            let tags = rest.tags().await;
            rest.log_out().await;
            tags
        }
        Err(failure) => Err(failure),
    };
    match result {
        Ok(tags) => Ok(tags),
        Err(Failure::Stopped(error)) => Err(error),
        Err(Failure::Said(reason)) => {
            session.note("tags", &reason);
            Ok(Tags::new())
        }
    }
}

/// Why there are no tags.
enum Failure {
    /// For this reason.
    Said(String),
    /// The whole pull is broken off.
    Stopped(VsphereError),
}

impl From<VsphereError> for Failure {
    fn from(error: VsphereError) -> Self {
        Self::Stopped(error)
    }
}

/// The two ways to say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// `/rest/com/vmware/cis`, values wrapped in `{"value": …}`.
    Rest,
    /// `/api`.
    Api,
}

/// A REST session.
struct Rest<'s, 'a> {
    session: &'s Session<'a>,
    flavour: Flavour,
    id: HeaderValue,
}

#[derive(Deserialize)]
struct Wrapped<T> {
    value: T,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    category_id: String,
}

#[derive(Deserialize)]
struct Category {
    name: String,
}

#[derive(Deserialize)]
struct Attached {
    tag_id: String,
    /// Absent or null for a tag that nothing has.
    #[serde(default)]
    object_ids: Option<Vec<Object>>,
}

#[derive(Deserialize)]
struct Object {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

impl<'s, 'a> Rest<'s, 'a> {
    /// Opens a session, at most once in each flavour, and never with a password that was refused.
    async fn log_in(session: &'s Session<'a>) -> Result<Self, Failure> {
        let mut answer = open(session, Flavour::Rest).await?;
        let mut flavour = Flavour::Rest;
        if answer.status.as_u16() == 404 {
            flavour = Flavour::Api;
            answer = open(session, flavour).await?;
        }
        let id: String = unwrap(flavour, &answer)?;
        let mut id = HeaderValue::from_str(&id)
            .map_err(|_| Failure::Said("the session's id is no text".to_owned()))?;
        id.set_sensitive(true);
        Ok(Self {
            session,
            flavour,
            id,
        })
    }

    async fn log_out(&self) {
        let request = self.request(Method::DELETE, "session", &[]);
        if let Err(error) = self.session.http().send(request, Retry::Never).await {
            tracing::debug!(%error, "REST session is left to end by itself");
        }
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = address(self.session.url(), self.flavour, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.session
            .http()
            .request(method, url)
            .header(SESSION_HEADER, self.id.clone())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(self.request(Method::GET, path, &[])).await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let sent = self.session.http().send(request, Retry::Read);
        let answer = self.session.unless_stopped(sent).await?;
        let answer = answer.map_err(|error| Failure::Said(error.to_string()))?;
        unwrap(self.flavour, &answer)
    }

    async fn tags(&self) -> Result<Tags, Failure> {
        let ids: Vec<String> = self.get("tagging/tag").await?;
        let one = |id: String| async move {
            let path = match self.flavour {
                Flavour::Rest => format!("tagging/tag/id:{id}"),
                Flavour::Api => format!("tagging/tag/{id}"),
            };
            let tag: Tag = self.get(&path).await?;
            Ok::<_, Failure>((id, tag))
        };
        let tags: BTreeMap<String, Tag> = futures::stream::iter(ids)
            .map(one)
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut categories = BTreeMap::new();
        for tag in tags.values() {
            if !categories.contains_key(&tag.category_id) {
                let path = match self.flavour {
                    Flavour::Rest => format!("tagging/category/id:{}", tag.category_id),
                    Flavour::Api => format!("tagging/category/{}", tag.category_id),
                };
                let category: Category = self.get(&path).await?;
                categories.insert(tag.category_id.clone(), category.name);
            }
        }
        let mut found = Tags::new();
        let ids: Vec<&String> = tags.keys().collect();
        for batch in ids.chunks(BATCH) {
            for attached in self.attached(batch).await? {
                let Some(tag) = tags.get(&attached.tag_id) else {
                    continue;
                };
                let name = format!("{}/{}", categories[&tag.category_id], tag.name);
                let vms = attached.object_ids.into_iter().flatten();
                for vm in vms.filter(|object| object.kind == "VirtualMachine") {
                    found.entry(vm.id).or_default().push(name.clone());
                }
            }
        }
        for tags in found.values_mut() {
            tags.sort();
            tags.dedup();
        }
        Ok(found)
    }

    /// The objects of some tags. It is a POST, and changes nothing.
    async fn attached(&self, tags: &[&String]) -> Result<Vec<Attached>, Failure> {
        let action = match self.flavour {
            Flavour::Rest => "~action",
            Flavour::Api => "action",
        };
        let query = [(action, "list-attached-objects-on-tags")];
        let request = self
            .request(Method::POST, "tagging/tag-association", &query)
            .json(&serde_json::json!({ "tag_ids": tags }));
        self.send(request).await
    }
}

/// Asks for a session. The password goes into a header that is marked as secret.
async fn open(session: &Session<'_>, flavour: Flavour) -> Result<Answer, Failure> {
    let Account { user, password } = session.account();
    let request = session
        .http()
        .request(Method::POST, address(session.url(), flavour, "session"))
        .basic_auth(user, Some(password.expose_secret()));
    // Not broken off: a session that nobody knows of could not be closed.
    let answer = session.http().send(request, Retry::Never).await;
    answer.map_err(|error| Failure::Said(error.to_string()))
}

fn address(sdk: &Url, flavour: Flavour, path: &str) -> Url {
    let mut url = sdk.clone();
    url.set_query(None);
    url.set_path(&match (flavour, path) {
        (Flavour::Rest, path) => format!("/rest/com/vmware/cis/{path}"),
        (Flavour::Api, "session") => "/api/session".to_owned(),
        (Flavour::Api, path) => format!("/api/cis/{path}"),
    });
    url
}

fn unwrap<T: DeserializeOwned>(flavour: Flavour, answer: &Answer) -> Result<T, Failure> {
    if !answer.status.is_success() {
        return Err(Failure::Said(format!(
            "the server answers with status {}",
            answer.status.as_u16()
        )));
    }
    let value = match flavour {
        Flavour::Rest => {
            serde_json::from_slice::<Wrapped<T>>(&answer.body).map(|wrapped| wrapped.value)
        }
        Flavour::Api => serde_json::from_slice(&answer.body),
    };
    value.map_err(|_| Failure::Said("the server's answer is not what it should be".to_owned()))
}
