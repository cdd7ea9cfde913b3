//! Logging in to Keystone: who, where to, in which of the ways that a Secret or an environment has.
//!
//! Credentials that Keystone refuses are never sent again: three wrong tries lock accounts.

use std::time::Duration;

use reqwest::{Method, Url};
use schemas::inventory::{Identity, Project};
use schemas::site::OpenstackSource;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::OpenstackError;
use super::session::{CatalogEntry, append_unless_there, refused};
use crate::Credentials;
use crate::http::{Answer, Http, Retry, parse_url, shown};

/// Who logs in, where to.
pub(super) struct Login {
    url: Url,
    who: Who,
}

/// What proves who we are.
enum Who {
    Password {
        user: Named,
        password: SecretString,
        project: Named,
    },
    /// It knows its project by itself; naming one as well is refused.
    ApplicationCredential {
        /// The credential, by id, or by name together with its user.
        credential: Named,
        user: Option<Named>,
        secret: SecretString,
    },
    /// One that somebody asked for before, and that gives another.
    Token { token: SecretString, project: Named },
}

/// A user, project or credential, by id or by name in a domain.
#[derive(Clone, PartialEq, Eq)]
enum Named {
    Id(String),
    Name(String, Option<Domain>),
}

#[derive(Clone, PartialEq, Eq)]
enum Domain {
    Id(String),
    Name(String),
}

impl Domain {
    fn body(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name(name) => json!({ "name": name }),
        }
    }

    fn shown(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text) => text,
        }
    }
}

impl Named {
    fn body(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name(name, None) => json!({ "name": name }),
            Self::Name(name, Some(domain)) => json!({ "name": name, "domain": domain.body() }),
        }
    }

    fn shown(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text, _) => text,
        }
    }

    fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Id(_) => None,
            Self::Name(_, domain) => domain.as_ref(),
        }
    }
}

/// What Keystone gave.
pub(super) struct Granted {
    pub(super) token: SecretString,
    pub(super) project: Project,
    pub(super) user: String,
    pub(super) catalog: Vec<CatalogEntry>,
    /// Whether user and project are in different domains, where the answer says so.
    pub(super) two_domains: Option<bool>,
    /// How long the token lives, by the server's own clock.
    pub(super) life: Option<Duration>,
    /// When the password expires, where it does.
    pub(super) password_expires: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    project: Scope,
    #[serde(default)]
    user: UserName,
    #[serde(default)]
    catalog: Vec<CatalogEntry>,
    #[serde(default)]
    issued_at: Option<jiff::Timestamp>,
    #[serde(default)]
    expires_at: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(flatten)]
    project: Project,
    #[serde(default)]
    domain: Option<DomainId>,
}

#[derive(Default, Deserialize)]
struct UserName {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    domain: Option<DomainId>,
    #[serde(default)]
    password_expires_at: Option<String>,
}

#[derive(PartialEq, Eq, Deserialize)]
struct DomainId {
    id: String,
}

impl Login {
    /// The login that the credentials describe: the engine's keys (`username`, `password`,
    /// `project_name`, `domain_name`), or those of an environment.
    pub(super) fn new(
        place: &OpenstackSource,
        credentials: &Credentials,
    ) -> Result<Self, OpenstackError> {
        let text = |key| {
            let value = credentials.get(key).map(ExposeSecret::expose_secret);
            value.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let needed = |key| text(key).ok_or(OpenstackError::MissingKey { key });
        let domain = |of: [&'static str; 2]| {
            let id = text(of[0]).map(Domain::Id);
            let name = text(of[1]).or_else(|| text("domain_name"));
            id.or(name.map(Domain::Name))
        };
        let user = || -> Result<Named, OpenstackError> {
            if let Some(id) = text("user_id") {
                return Ok(Named::Id(id));
            }
            let name = needed("username")?;
            let domain = domain(["user_domain_id", "user_domain_name"]);
            let domain = domain.ok_or(OpenstackError::MissingKey { key: "domain_name" })?;
            Ok(Named::Name(name, Some(domain)))
        };
        let url = token_url(&place.endpoint)?;
        if let Some(secret) = credentials.get("application_credential_secret") {
            let by_id = text("application_credential_id");
            let (credential, user) = if let Some(id) = by_id {
                (Named::Id(id), None)
            } else {
                let name = needed("application_credential_name")?;
                (Named::Name(name, None), Some(user()?))
            };
            let secret = secret.clone();
            let who = Who::ApplicationCredential {
                credential,
                user,
                secret,
            };
            return Ok(Self { url, who });
        }
        let project = || -> Result<Named, OpenstackError> {
            Ok(match text("project_id") {
                Some(id) => Named::Id(id),
                None => Named::Name(
                    needed("project_name")?,
                    domain(["project_domain_id", "project_domain_name"]),
                ),
            })
        };
        if let Some(token) = credentials.get("token") {
            let (token, project) = (token.clone(), project()?);
            let who = Who::Token { token, project };
            return Ok(Self { url, who });
        }
        let user = user()?;
        let password = credentials
            .get("password")
            .ok_or(OpenstackError::MissingKey { key: "password" })?
            .clone();
        let who = Who::Password {
            user,
            password,
            project: project()?,
        };
        Ok(Self { url, who })
    }

    /// Where tokens are asked for and given back.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Another address of the same Keystone: `path` below its version.
    pub(super) fn sibling(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .expect("HTTP addresses have a path")
            .pop()
            .pop()
            .extend(path.split('/'));
        url
    }

    /// How it logs in, where the engine's Secret has no keys for that. `two_domains`: what Keystone
    /// said of user and project, which one may have named by id and the other by name.
    pub(super) fn beyond_the_engine(&self, two_domains: Option<bool>) -> Option<Identity> {
        let identity = match &self.who {
            Who::ApplicationCredential { .. } => Identity {
                application_credential: true,
                ..Identity::default()
            },
            Who::Token { .. } => Identity {
                token: true,
                ..Identity::default()
            },
            Who::Password { user, project, .. } => Identity {
                two_domains: two_domains.unwrap_or_else(|| {
                    let domains = user.domain().zip(project.domain());
                    domains.is_some_and(|(of_user, of_project)| of_user != of_project)
                }),
                ..Identity::default()
            },
        };
        (identity != Identity::default()).then_some(identity)
    }

    /// Asks for a token.
    pub(super) async fn send(&self, http: &Http) -> Result<Granted, OpenstackError> {
        let request = http
            .request(Method::POST, self.url.clone())
            .header("Accept", "application/json")
            .json(&self.body());
        let answer = http.send(request, Retry::Read).await?;
        match answer.status.as_u16() {
            200..300 => {}
            401 => return Err(self.denied()),
            403 | 429 | 500.. => return Err(refused(&answer)),
            _ => return Err(self.not_keystone(&answer)),
        }
        let body: TokenAnswer =
            serde_json::from_slice(&answer.body).map_err(|_| self.not_keystone(&answer))?;
        let token = answer
            .headers
            .get("X-Subject-Token")
            .and_then(|token| token.to_str().ok())
            .ok_or_else(|| self.not_keystone(&answer))?;
        let body = body.token;
        // By the server's clock alone: ours may differ.
        let life = body.issued_at.zip(body.expires_at).and_then(|(from, to)| {
            let life = to.duration_since(from);
            Duration::try_from(life).ok()
        });
        Ok(Granted {
            password_expires: body.user.password_expires_at.as_deref().and_then(instant),
            token: SecretString::from(token),
            two_domains: body
                .user
                .domain
                .zip(body.project.domain)
                .map(|(of_user, of_project)| of_user != of_project),
            project: body.project.project,
            user: body.user.name.unwrap_or_else(|| self.user().to_owned()),
            catalog: body.catalog,
            life,
        })
    }

    fn body(&self) -> Value {
        let identity = match &self.who {
            Who::Password { user, password, .. } => {
                let mut user = user.body();
                user["password"] = password.expose_secret().into();
                json!({ "methods": ["password"], "password": { "user": user } })
            }
            Who::ApplicationCredential {
                credential,
                user,
                secret,
            } => {
                let mut credential = credential.body();
                credential["secret"] = secret.expose_secret().into();
                if let Some(user) = user {
                    credential["user"] = user.body();
                }
                json!({ "methods": ["application_credential"],
                        "application_credential": credential })
            }
            Who::Token { token, .. } => {
                json!({ "methods": ["token"], "token": { "id": token.expose_secret() } })
            }
        };
        match &self.who {
            Who::Password { project, .. } | Who::Token { project, .. } => json!({ "auth": {
                "identity": identity, "scope": { "project": project.body() },
            }}),
            Who::ApplicationCredential { .. } => json!({ "auth": { "identity": identity } }),
        }
    }

    fn user(&self) -> &str {
        match &self.who {
            Who::Password { user, .. } => user.shown(),
            Who::ApplicationCredential {
                credential, user, ..
            } => user.as_ref().unwrap_or(credential).shown(),
            Who::Token { .. } => "",
        }
    }

    fn denied(&self) -> OpenstackError {
        let url = shown(&self.url);
        match &self.who {
            Who::Password { user, project, .. } => OpenstackError::Denied {
                url,
                user: user.shown().to_owned(),
                domain: user
                    .domain()
                    .map_or_else(String::new, |domain| domain.shown().to_owned()),
                project: project.shown().to_owned(),
            },
            Who::ApplicationCredential { credential, .. } => OpenstackError::CredentialDenied {
                url,
                credential: credential.shown().to_owned(),
            },
            Who::Token { project, .. } => OpenstackError::TokenDenied {
                url,
                project: project.shown().to_owned(),
            },
        }
    }

    fn not_keystone(&self, answer: &Answer) -> OpenstackError {
        OpenstackError::NotKeystone {
            url: shown(&self.url),
            status: answer.status.as_u16(),
            excerpt: answer.excerpt(),
        }
    }
}

/// A moment as Keystone writes it. That of a password stands without a zone and is meant in UTC
/// (`2016-11-06T15:32:17.000000`, Identity API v3). One that reads like neither is not known.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    let in_utc = || {
        let at: jiff::civil::DateTime = text.parse().ok()?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(at.timestamp())
    };
    text.parse().ok().or_else(in_utc)
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

#[cfg(test)]
mod tests {
    use super::*;

    // Keystone writes the end of a password without a zone, newer ones may add it.
    #[test]
    fn moments_of_keystone() {
        for (text, expected) in [
            ("2026-11-06T15:32:17.000000", Some("2026-11-06T15:32:17Z")),
            ("2026-11-06T15:32:17Z", Some("2026-11-06T15:32:17Z")),
            ("soon", None),
        ] {
            let at = instant(text).map(|at| at.to_string());
            assert_eq!(at.as_deref(), expected, "{text}");
        }
    }

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
