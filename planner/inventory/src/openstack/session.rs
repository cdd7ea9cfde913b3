//! A session with one OpenStack cloud: token, catalog, and one way to read from a service.
//!
//! The identity is what the engine can use: user and project of one domain. A token that dies in
//! the middle of a listing is replaced once; credentials that Keystone refuses are never tried
//! again, since three tries lock accounts.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use schemas::inventory::Project;
use schemas::site::OpenstackSource;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::error::OpenstackError;
use crate::Credentials;
use crate::http::{Answer, Http, Retry, parse_url, shown};

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
}

impl Service {
    /// Its types in a catalog; clouds differ, the first that is there is taken.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::Compute => &["compute"],
            Self::Volume => &["block-storage", "block-store", "volumev3"],
            Self::Image => &["image"],
            Self::Network => &["network", "networking"],
        }
    }

    /// The version that a catalog's address may lack.
    fn version(self) -> Option<&'static str> {
        match self {
            Self::Compute | Self::Volume => None,
            Self::Image => Some("v2"),
            Self::Network => Some("v2.0"),
        }
    }

    /// The name in the header that asks for a microversion.
    fn microversion_name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::Network => "network",
        }
    }
}

/// Who logs in, where to.
struct Login {
    url: Url,
    user: String,
    password: SecretString,
    domain: String,
    project: String,
}

/// A token, and how many came before it.
struct Token {
    text: SecretString,
    generation: u32,
}

/// A session with one cloud.
pub(super) struct Session {
    http: Http,
    login: Login,
    region: String,
    catalog: Vec<CatalogEntry>,
    project: Project,
    token: Mutex<Token>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    project: Project,
    #[serde(default)]
    catalog: Vec<CatalogEntry>,
}

#[derive(Deserialize)]
struct CatalogEntry {
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
        let key = |key| {
            credentials
                .get(key)
                .ok_or(OpenstackError::MissingKey { key })
        };
        let text = |name| key(name).map(|value| value.expose_secret().to_owned());
        let login = Login {
            url: token_url(&place.endpoint)?,
            user: text("username")?,
            password: key("password")?.clone(),
            domain: text("domain_name")?,
            project: text("project_name")?,
        };
        let (token, body) = login.send(&http).await?;
        let session = Self {
            http,
            login,
            region: place.region.clone(),
            catalog: body.catalog,
            project: body.project,
            token: Mutex::new(Token {
                text: token,
                generation: 0,
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
            .request(Method::DELETE, self.login.url.clone())
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
        &self.login.user
    }

    /// How certificates are checked.
    pub(super) fn tls(&self) -> &'static str {
        self.http.trust().mode(&self.login.url)
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

    /// Sends the request, once more with a new token if the first has died.
    async fn read(
        &self,
        service: Service,
        url: &Url,
        microversion: Option<&str>,
    ) -> Result<Answer, OpenstackError> {
        let (token, generation) = self.current_token().await;
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

    async fn current_token(&self) -> (HeaderValue, u32) {
        let token = self.token.lock().await;
        (token_header(&token.text), token.generation)
    }

    /// A token newer than `generation`: of several requests that saw the same one die, the first
    /// logs in and the others take what it got.
    async fn renewed_token(&self, generation: u32) -> Result<HeaderValue, OpenstackError> {
        let mut token = self.token.lock().await;
        if token.generation == generation {
            tracing::debug!("token died, logging in again");
            token.text = self.login.send(&self.http).await?.0;
            token.generation += 1;
        }
        Ok(token_header(&token.text))
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

impl Login {
    async fn send(&self, http: &Http) -> Result<(SecretString, TokenBody), OpenstackError> {
        let domain = json!({ "name": self.domain });
        let user = json!({
            "name": self.user, "domain": domain, "password": self.password.expose_secret(),
        });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": user } },
            "scope": { "project": { "name": self.project, "domain": domain } },
        }});
        let request = http
            .request(Method::POST, self.url.clone())
            .header("Accept", "application/json")
            .json(&body);
        let answer = http.send(request, Retry::Read).await?;
        match answer.status.as_u16() {
            200..300 => {}
            401 => {
                return Err(OpenstackError::Denied {
                    url: shown(&self.url),
                    user: self.user.clone(),
                    domain: self.domain.clone(),
                    project: self.project.clone(),
                });
            }
            403 | 429 | 500.. => return Err(refused(&answer)),
            _ => return Err(self.not_keystone(&answer)),
        }
        let body: TokenAnswer =
            serde_json::from_slice(&answer.body).map_err(|_| self.not_keystone(&answer))?;
        let token = answer
            .headers
            .get("X-Subject-Token")
            .and_then(|token| token.to_str().ok());
        let token = token.ok_or_else(|| self.not_keystone(&answer))?;
        Ok((SecretString::from(token), body.token))
    }

    fn not_keystone(&self, answer: &Answer) -> OpenstackError {
        OpenstackError::NotKeystone {
            url: shown(&self.url),
            status: answer.status.as_u16(),
        }
    }
}

/// Where tokens are asked for: `/v3` is added to the endpoint unless it is there.
fn token_url(endpoint: &str) -> Result<Url, OpenstackError> {
    let mut url = parse_url(endpoint)?;
    append_unless_there(&mut url, "v3");
    url.path_segments_mut()
        .expect("HTTP addresses have a path")
        .extend(["auth", "tokens"]);
    Ok(url)
}

/// Makes `part` the last part of the path, unless it is.
fn append_unless_there(url: &mut Url, part: &str) {
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

fn refused(answer: &Answer) -> OpenstackError {
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
    inner.map_or_else(|| answer.excerpt(), str::to_owned)
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, OpenstackError> {
    serde_json::from_slice(&answer.body).map_err(|source| OpenstackError::NotJson {
        url: shown(&answer.url),
        excerpt: answer.excerpt(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Keystone's address is taken with and without its version and slash.
    #[test]
    fn token_addresses() {
        for (endpoint, expected) in [
            ("https://k:5000", "https://k:5000/v3/auth/tokens"),
            ("https://k:5000/v3", "https://k:5000/v3/auth/tokens"),
            ("https://k:5000/v3/", "https://k:5000/v3/auth/tokens"),
            ("https://k/identity", "https://k/identity/v3/auth/tokens"),
        ] {
            assert_eq!(token_url(endpoint).expect("valid").as_str(), expected);
        }
        for endpoint in ["", "keystone:5000", "ftp://k/v3", "https://u:hunter2@k/v3"] {
            let error = token_url(endpoint).expect_err(endpoint);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
