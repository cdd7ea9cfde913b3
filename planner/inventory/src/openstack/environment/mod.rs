//! The environment of OpenStack's own tools, as a way in: a cloud of `clouds.yaml`, or `OS_*`.
//!
//! Takes variables by name, the folder we are in and a source's place; gives what a Secret for it
//! would hold. Values are understood as `openstack` understands them; what proves who we are stays
//! in its wrapper. A way in that the engine has no words for is a way to read all the same: the
//! snapshot says so under `identity` (O13).

mod files;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use reqwest::Url;
use schemas::site::OpenstackSource;
use schemas::suggest;
use secrecy::{ExposeSecret, SecretString};

use super::CA_KEY;
use crate::Credentials;

/// The settings that we look at; a variable is `OS_` and one of these in capitals.
const SETTINGS: [&str; 28] = [
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
    "auth_plugin",
    "auth_token",
    "auth_type",
    "auth_url",
    "cacert",
    "default_domain",
    "domain_id",
    "domain_name",
    "insecure",
    "password",
    "project_domain_id",
    "project_domain_name",
    "project_id",
    "project_name",
    "region_name",
    "system_scope",
    "tenant_id",
    "tenant_name",
    "token",
    "user_domain_id",
    "user_domain_name",
    "user_id",
    "username",
    "user_name",
    "verify",
];
/// The domain of a user or project for whom none is named, as `openstack` has it.
const DEFAULT_DOMAIN: &str = "default";
/// The name by which `OS_CLOUD` may ask for the variables.
const ENVIRONMENT: &str = "envvars";

/// What the environment says of one Keystone.
#[derive(Debug)]
pub struct Cloud {
    /// By the keys of a Secret.
    pub credentials: Credentials,
    /// Who logs in, for messages: `as …` or `with …`.
    pub who: String,
    /// Where that is written, for messages.
    pub way: String,
}

/// Why the environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// A file cannot be read.
    #[error("read `{path}`")]
    File {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else than clouds. What it holds is not repeated, since it may be a
    /// password.
    #[error("read clouds from `{path}`: it has no mapping `clouds` in YAML or JSON")]
    NotClouds {
        /// Which.
        path: Utf8PathBuf,
    },
    /// `OS_CLOUD` names one that is not there.
    #[error(
        "find the cloud `{name}` of OS_CLOUD in {place}, which has {}",
        suggest::list(known)
    )]
    NoCloud {
        /// Its name.
        name: String,
        /// Where it was looked for.
        place: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// `OS_CLOUD` is set, and there is no file of clouds.
    #[error("find the cloud `{name}` of OS_CLOUD: there is no clouds.yaml")]
    NoFile {
        /// Its name.
        name: String,
    },
    /// The cloud does not say where it is.
    #[error("log in by {way}: it has no `auth_url`")]
    NoAddress {
        /// Where it is written.
        way: String,
    },
    /// A setting is missing.
    #[error("log in by {way}: it has no `{name}`")]
    Missing {
        /// Where it is written.
        way: String,
        /// Which.
        name: &'static str,
    },
    /// A value that YAML does not take for text or a whole number.
    #[error("log in by {way}: the value of `{key}` is no text")]
    NotText {
        /// Where it is written.
        way: String,
        /// Which.
        key: String,
    },
    /// A way of proving who one is that we do not know.
    #[error("log in by {way}: its `auth_type` is `{method}`, which is not supported")]
    Method {
        /// Where it is written.
        way: String,
        /// The type.
        method: String,
    },
}

impl CloudError {
    /// What the reader can do about it.
    pub fn hint(&self) -> String {
        let what = match self {
            Self::File { .. } => "let it be read",
            Self::NotClouds { .. } => "write it as for `openstack`",
            Self::NoCloud { .. } | Self::NoFile { .. } => "set OS_CLOUD to a cloud of clouds.yaml",
            Self::NoAddress { .. } => "write its `auth_url`, since built-in profiles are not known",
            Self::Missing { .. } => "complete it",
            Self::NotText { .. } => "put it in quotes",
            Self::Method { .. } => {
                "use `password`, `v3applicationcredential`, or `token` with what `openstack token \
                 issue` gives"
            }
        };
        format!("{what}; or give the source's Secret with --credentials, which is taken instead")
    }
}

/// One cloud's settings by name, wherever they were written.
#[derive(Debug, Default)]
struct Settings(BTreeMap<String, SecretString>);

impl Settings {
    /// The first of these that is set and not empty.
    fn get(&self, names: &[&str]) -> Option<&str> {
        let mut values = names.iter().filter_map(|name| self.0.get(*name));
        values
            .find(|value| !value.expose_secret().is_empty())
            .map(ExposeSecret::expose_secret)
    }

    fn is(&self, name: &str, truth: bool) -> bool {
        let words: [&str; 5] = if truth {
            ["1", "t", "true", "on", "yes"]
        } else {
            ["0", "f", "false", "off", "no"]
        };
        self.get(&[name])
            .is_some_and(|value| words.contains(&value.trim().to_ascii_lowercase().as_str()))
    }
}

impl Cloud {
    /// Reads the environment, if it is about this Keystone and region; `None` if it is about another
    /// one, or about none. `variable` gives a variable by name; `folder` is the one we are in.
    pub fn for_source(
        place: &OpenstackSource,
        folder: &Utf8Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, CloudError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let named = set("OS_CLOUD").filter(|name| name != ENVIRONMENT);
        let from_variables = named.is_none() && set("OS_AUTH_URL").is_some();
        let (settings, regions, way) = if from_variables {
            let values = SETTINGS.iter().filter_map(|name| {
                let value = set(&format!("OS_{}", name.to_ascii_uppercase()))?;
                Some(((*name).to_owned(), SecretString::from(value)))
            });
            let way = "OS_* of the environment".to_owned();
            (Settings(values.collect()), Vec::new(), way)
        } else {
            let Some(found) = files::cloud(named.as_deref(), folder, &set)? else {
                return Ok(None);
            };
            (found.settings, found.regions, found.way)
        };
        let Some(address) = settings.get(&["auth_url"]) else {
            return match named {
                Some(_) => Err(CloudError::NoAddress { way }),
                None => Ok(None),
            };
        };
        let region = settings.get(&["region_name"]);
        let elsewhere = match region {
            Some(region) => region != place.region,
            None => !regions.is_empty() && !regions.contains(&place.region),
        };
        if elsewhere || !is_same_keystone(address, &place.endpoint) {
            return Ok(None);
        }
        let (mut values, who) = identity(&settings, &way)?;
        if settings.is("insecure", true) || settings.is("verify", false) {
            values.push(("insecure", "true".to_owned()));
        }
        if let Some(path) = settings.get(&["cacert"]) {
            values.push((CA_KEY, files::authorities(path, &set)?));
        }
        let credentials = values.into_iter().collect();
        Ok(Some(Self {
            credentials,
            who,
            way,
        }))
    }
}

type Values = Vec<(&'static str, String)>;

/// What proves who we are, by the keys of a Secret, and who that is.
fn identity(settings: &Settings, way: &str) -> Result<(Values, String), CloudError> {
    let missing = |name| CloudError::Missing {
        way: way.to_owned(),
        name,
    };
    let needed = |names: &[&'static str]| {
        let value = settings.get(names).map(str::to_owned);
        value.ok_or_else(|| missing(names[0]))
    };
    let method = settings.get(&["auth_type", "auth_plugin"]);
    let guessed = if settings.get(&["application_credential_secret"]).is_some() {
        "v3applicationcredential"
    } else if settings.get(&["token", "auth_token"]).is_some()
        && settings.get(&["password"]).is_none()
    {
        "v3token"
    } else {
        "v3password"
    };
    let mut values = Values::new();
    let who = match method.unwrap_or(guessed) {
        "v3applicationcredential" => {
            let secret = needed(&["application_credential_secret"])?;
            values.push(("application_credential_secret", secret));
            let name = if let Some(id) = settings.get(&["application_credential_id"]) {
                values.push(("application_credential_id", id.to_owned()));
                id
            } else {
                let name = needed(&["application_credential_name"])?;
                values.push(("application_credential_name", name));
                user(settings, &mut values, &needed)?;
                settings
                    .get(&["application_credential_name"])
                    .unwrap_or_default()
            };
            return Ok((values, format!("with the application credential `{name}`")));
        }
        "v3token" | "token" => {
            values.push(("token", needed(&["token", "auth_token"])?));
            "with a token".to_owned()
        }
        "v3password" | "password" => {
            values.push(("password", needed(&["password"])?));
            format!("as `{}`", user(settings, &mut values, &needed)?)
        }
        method => {
            return Err(CloudError::Method {
                way: way.to_owned(),
                method: method.to_owned(),
            });
        }
    };
    let project = if let Some(id) = settings.get(&["project_id", "tenant_id"]) {
        values.push(("project_id", id.to_owned()));
        id
    } else {
        let name = needed(&["project_name", "tenant_name"])?;
        values.push(("project_name", name));
        let keys = ["project_domain_id", "project_domain_name"];
        values.push(domain(settings, keys));
        settings
            .get(&["project_name", "tenant_name"])
            .unwrap_or_default()
    };
    Ok((values, format!("{who} of project `{project}`")))
}

/// The user, by id or by name in a domain.
fn user<'a>(
    settings: &'a Settings,
    values: &mut Values,
    needed: &dyn Fn(&[&'static str]) -> Result<String, CloudError>,
) -> Result<&'a str, CloudError> {
    if let Some(id) = settings.get(&["user_id"]) {
        values.push(("user_id", id.to_owned()));
        return Ok(id);
    }
    let names = ["username", "user_name"];
    values.push(("username", needed(&names)?));
    values.push(domain(settings, ["user_domain_id", "user_domain_name"]));
    Ok(settings.get(&names).unwrap_or_default())
}

/// A domain by its own settings, by those for both, or the default.
fn domain(settings: &Settings, [id, name]: [&'static str; 2]) -> (&'static str, String) {
    let own = settings.get(&[id]).map(|value| (id, value));
    let own = own.or_else(|| settings.get(&[name]).map(|value| (name, value)));
    let both = || settings.get(&["domain_id"]).map(|value| (id, value));
    let both = || both().or_else(|| settings.get(&["domain_name"]).map(|value| (name, value)));
    let default = || settings.get(&["default_domain"]).unwrap_or(DEFAULT_DOMAIN);
    let (key, value) = own.or_else(both).unwrap_or_else(|| (id, default()));
    (key, value.to_owned())
}

/// Whether two addresses are of one Keystone: the version at their end does not matter.
fn is_same_keystone(ours: &str, theirs: &str) -> bool {
    let parts = |text: &str| {
        let url = Url::parse(text).ok()?;
        let path = url.path().trim_end_matches('/');
        let versions = ["/v3", "/v2.0", "/v2"];
        let path = versions
            .iter()
            .find_map(|version| path.strip_suffix(version))
            .unwrap_or(path);
        let host = url.host_str()?.to_owned();
        let scheme = url.scheme().to_owned();
        Some((scheme, host, url.port_or_known_default()?, path.to_owned()))
    };
    parts(ours).is_some_and(|ours| Some(ours) == parts(theirs))
}
