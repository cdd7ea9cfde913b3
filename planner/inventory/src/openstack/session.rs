//! A session with one OpenStack cloud: token, catalog, and one way to read from a service.
//!
//! The identity is what the engine can use, user and project of one domain, or what people have in
//! their environment: two domains, ids for names, an application credential. A token that dies in
//! the middle of a listing is replaced once; credentials that Keystone refuses are never tried
//! again, since three tries lock accounts.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use schemas::inventory::{Identity, Project};
use schemas::site::OpenstackSource;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::error::OpenstackError;
use super::login::Login;
use crate::Credentials;
use crate::http::{Answer, Http, Retry, parse_url, shown};

/// A token is renewed so long before its end.
const RENEWAL_MARGIN: Duration = Duration::from_mins(1);

/// The services we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Nova.
    Compute,
    /// Cinder.
    Volume,
    /// Glance.
    Image,
    /// Neutron.
    Network,
    /// Keystone.
    Identity,
}

impl Service {
    /// Its types in a catalog; clouds differ, the first that is there is taken.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::Compute => &["compute"],
            Self::Volume => &["block-storage", "block-store", "volumev3"],
            Self::Image => &["image"],
            Self::Network => &["network", "networking"],
            Self::Identity => &["identity"],
        }
    }

    /// The version that a catalog's address may lack.
    fn version(self) -> Option<&'static str> {
        match self {
            Self::Compute | Self::Volume => None,
            Self::Image => Some("v2"),
            Self::Network => Some("v2.0"),
            Self::Identity => Some("v3"),
        }
    }

    /// The name in the header that asks for a microversion.
    fn microversion_name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::Network => "network",
            Self::Identity => "identity",
        }
    }
}

/// A token, and how many came before it.
struct Token {
    text: SecretString,
    generation: u32,
    /// When to ask for the next one before this one dies, by our clock; absent if the answer's
    /// times made no sense.
    renew: Option<Instant>,
}

/// A session with one cloud.
pub(super) struct Session {
    http: Http,
    login: Login,
    region: String,
    catalog: Vec<CatalogEntry>,
    project: Project,
    user: String,
    two_domains: Option<bool>,
    token_life: Option<Duration>,
    password_expires: Option<jiff::Timestamp>,
    token: Mutex<Token>,
}

#[derive(Deserialize)]
pub(super) struct CatalogEntry {
    r#type: String,
    #[serde(default)]
    endpoints: Vec<CatalogEndpoint>,
}

#[derive(Deserialize)]
struct CatalogEndpoint {
    interface: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

impl CatalogEndpoint {
    fn is_in(&self, region: &str) -> bool {
        [&self.region, &self.region_id]
            .iter()
            .any(|name| name.as_deref() == Some(region))
    }
}

impl Session {
    /// Logs in.
    pub(super) async fn open(
        http: Http,
        place: &OpenstackSource,
        credentials: &Credentials,
    ) -> Result<Self, OpenstackError> {
        let login = Login::new(place, credentials)?;
        let granted = login.send(&http).await?;
        let session = Self {
            http,
            login,
            region: place.region.clone(),
            catalog: granted.catalog,
            project: granted.project,
            user: granted.user,
            two_domains: granted.two_domains,
            token_life: granted.life,
            password_expires: granted.password_expires,
            token: Mutex::new(Token {
                text: granted.token,
                generation: 0,
                renew: renewal(granted.life),
            }),
        };
        session.check_region()?;
        Ok(session)
    }

    /// Gives the token back. What fails here is no failure of the pull: it expires anyway.
    pub(super) async fn close(self) {
        let token = token_header(&self.token.lock().await.text);
        let request = self
            .http
            .request(Method::DELETE, self.login.url().clone())
            .header("X-Auth-Token", token.clone())
            .header("X-Subject-Token", token);
        if let Err(error) = self.http.send(request, Retry::Never).await {
            tracing::debug!(%error, "token is left to expire");
        }
    }

    /// The project of the token.
    pub(super) fn project(&self) -> &Project {
        &self.project
    }

    /// The user's name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// How it logged in, where the engine could not do the same.
    pub(super) fn identity_used(&self) -> Option<Identity> {
        self.login.beyond_the_engine(self.two_domains)
    }

    /// How long a token lives here.
    pub(super) fn token_seconds(&self) -> Option<u64> {
        self.token_life.map(|life| life.as_secs())
    }

    /// When the account's password expires, where it does.
    pub(super) fn password_expires(&self) -> Option<jiff::Timestamp> {
        self.password_expires
    }

    /// How certificates are checked.
    pub(super) fn tls(&self) -> &'static str {
        self.http.trust().mode(self.login.url())
    }

    /// Reads from a service: `path` below its endpoint, at a microversion if one is given.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &str,
        query: &[(&str, &str)],
        microversion: Option<&str>,
    ) -> Result<T, OpenstackError> {
        let mut url = self.endpoint(service)?;
        url.path_segments_mut()
            .expect("HTTP addresses have a path")
            .pop_if_empty()
            .extend(path.split('/'));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let answer = self.read(service, &url, microversion).await?;
        parse(&answer)
    }

    /// Reads the root of a service's endpoint, where it tells its versions: the catalog's address
    /// up to and with the version.
    pub(super) async fn root<T: DeserializeOwned>(
        &self,
        service: Service,
    ) -> Result<T, OpenstackError> {
        let mut url = self.endpoint(service)?;
        let is_version = |part: &str| {
            part.strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let parts: Vec<String> = url
            .path_segments()
            .map(|parts| parts.map(str::to_owned).collect())
            .unwrap_or_default();
        let end = parts.iter().position(|part| is_version(part));
        let kept = &parts[..end.map_or(parts.len(), |at| at + 1)];
        url.set_path(&format!("/{}/", kept.join("/").trim_end_matches('/')));
        parse(&self.read(service, &url, None).await?)
    }

    /// Reads from Keystone, at the address that we logged in at.
    pub(super) async fn identity<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<T, OpenstackError> {
        let url = self.login.sibling(path);
        parse(&self.read(Service::Identity, &url, None).await?)
    }

    /// Sends the request, once more with a new token if the first has died.
    async fn read(
        &self,
        service: Service,
        url: &Url,
        microversion: Option<&str>,
    ) -> Result<Answer, OpenstackError> {
        let (token, generation) = self.current_token().await?;
        let answer = self.send(service, url, microversion, token).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return successful(answer);
        }
        let token = self.renewed_token(generation).await?;
        successful(self.send(service, url, microversion, token).await?)
    }

    async fn send(
        &self,
        service: Service,
        url: &Url,
        microversion: Option<&str>,
        token: HeaderValue,
    ) -> Result<Answer, OpenstackError> {
        let mut request = self
            .http
            .request(Method::GET, url.clone())
            .header("Accept", "application/json")
            .header("X-Auth-Token", token);
        if let Some(version) = microversion {
            let name = service.microversion_name();
            request = request.header("OpenStack-API-Version", format!("{name} {version}"));
            if service == Service::Compute {
                request = request.header("X-OpenStack-Nova-API-Version", version);
            }
        }
        Ok(self.http.send(request, Retry::Read).await?)
    }

    /// The token, or a new one where it is about to die.
    async fn current_token(&self) -> Result<(HeaderValue, u32), OpenstackError> {
        let mut token = self.token.lock().await;
        if token.renew.is_some_and(|renew| Instant::now() >= renew) {
            self.renew(&mut token).await?;
        }
        Ok((token_header(&token.text), token.generation))
    }

    /// A token newer than `generation`: of several requests that saw the same one die, the first
    /// logs in and the others take what it got.
    async fn renewed_token(&self, generation: u32) -> Result<HeaderValue, OpenstackError> {
        let mut token = self.token.lock().await;
        if token.generation == generation {
            self.renew(&mut token).await?;
        }
        Ok(token_header(&token.text))
    }

    async fn renew(&self, token: &mut Token) -> Result<(), OpenstackError> {
        tracing::debug!("token is dead or about to die, logging in again");
        let granted = self.login.send(&self.http).await?;
        token.text = granted.token;
        token.renew = renewal(granted.life);
        token.generation += 1;
        Ok(())
    }

    /// The public endpoint of a service in our region; the engine always uses the public one.
    fn endpoint(&self, service: Service) -> Result<Url, OpenstackError> {
        let found = service.types().iter().find_map(|wanted| {
            let entries = self.catalog.iter().filter(|entry| entry.r#type == *wanted);
            entries
                .flat_map(|entry| &entry.endpoints)
                .find(|endpoint| endpoint.interface == "public" && endpoint.is_in(&self.region))
        });
        let endpoint = found.ok_or_else(|| OpenstackError::NoService {
            service: service.types()[0],
            region: self.region.clone(),
        })?;
        let mut url = parse_url(&endpoint.url)?;
        if let Some(version) = service.version() {
            append_unless_there(&mut url, version);
        }
        Ok(url)
    }

    /// A wrong region is said as such, with those there are, not as a missing service.
    fn check_region(&self) -> Result<(), OpenstackError> {
        let endpoints = || self.catalog.iter().flat_map(|entry| &entry.endpoints);
        if endpoints().any(|endpoint| endpoint.is_in(&self.region)) {
            return Ok(());
        }
        let mut known: Vec<String> = endpoints().filter_map(|e| e.region.clone()).collect();
        known.sort();
        known.dedup();
        Err(OpenstackError::NoRegion {
            region: self.region.clone(),
            known,
        })
    }
}

/// When to renew a token that lives so long: a minute before its end. One that lives no longer than
/// that is used until a service refuses it.
fn renewal(life: Option<Duration>) -> Option<Instant> {
    let margin = life?.checked_sub(RENEWAL_MARGIN)?;
    (!margin.is_zero()).then(|| Instant::now() + margin)
}

/// Makes `part` the last part of the path, unless it is.
pub(super) fn append_unless_there(url: &mut Url, part: &str) {
    let path = url.path().trim_end_matches('/').to_owned();
    if path.rsplit('/').next() == Some(part) {
        url.set_path(&path);
    } else {
        url.set_path(&format!("{path}/{part}"));
    }
}

fn token_header(token: &SecretString) -> HeaderValue {
    let mut value = HeaderValue::from_str(token.expose_secret())
        .expect("the token came in a header, so it fits into one");
    value.set_sensitive(true);
    value
}

fn successful(answer: Answer) -> Result<Answer, OpenstackError> {
    if answer.status.is_success() {
        Ok(answer)
    } else {
        Err(refused(&answer))
    }
}

pub(super) fn refused(answer: &Answer) -> OpenstackError {
    OpenstackError::Refused {
        url: shown(&answer.url),
        status: answer.status.as_u16(),
        message: message(answer),
    }
}

/// What a refusal says: `{"itemNotFound": {"message": …}}` in several spellings, else its text.
fn message(answer: &Answer) -> String {
    let parsed = serde_json::from_slice::<Value>(&answer.body).ok();
    let inner = parsed
        .as_ref()
        .and_then(Value::as_object)
        .and_then(|object| {
            object
                .values()
                .find_map(|value| value.get("message").and_then(Value::as_str))
        });
    inner.map_or_else(
        || answer.excerpt(),
        |text| schemas::shown::shown(text).into_owned(),
    )
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, OpenstackError> {
    serde_json::from_slice(&answer.body).map_err(|source| OpenstackError::NotJson {
        url: shown(&answer.url),
        excerpt: answer.excerpt(),
        source,
    })
}
