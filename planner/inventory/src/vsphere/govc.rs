//! The environment of `govc`, as a way in: who has it set needs no Secret to read a vCenter.
//!
//! Takes variables by name and a server's address, gives what a Secret for it would hold. Values are
//! understood as `govc` understands them; the password stays in its wrapper.

use std::io;

use camino::Utf8Path;
use reqwest::Url;

use super::CA_KEY;
use crate::Credentials;

/// What the environment says.
#[derive(Debug)]
pub struct Govc {
    /// User, password, authorities and `insecure`, by the keys of a Secret.
    pub credentials: Credentials,
}

/// Why the environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GovcError {
    /// A variable is missing.
    #[error("log in to the server of GOVC_URL: {name} is not set")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// A file of `GOVC_TLS_CA_CERTS` cannot be read.
    #[error("read `{path}`, which GOVC_TLS_CA_CERTS names")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Govc {
    /// Reads the environment, if it is about the server at `endpoint`; `None` if it is about another
    /// one, or about none. `variable` gives a variable by name.
    pub fn for_server(
        endpoint: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, GovcError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let Some(url) = set("GOVC_URL").and_then(|text| parse(&text)) else {
            return Ok(None);
        };
        if !is_same_server(&url, endpoint) {
            return Ok(None);
        }
        let decoded = |part: &str| unescaped(part).filter(|part| !part.is_empty());
        let user = set("GOVC_USERNAME").or_else(|| decoded(url.username()));
        let password = set("GOVC_PASSWORD").or_else(|| decoded(url.password()?));
        let needed = |value: Option<String>, name| value.ok_or(GovcError::Missing { name });
        let mut values = vec![
            ("username", needed(user, "GOVC_USERNAME")?),
            ("password", needed(password, "GOVC_PASSWORD")?),
        ];
        if set("GOVC_INSECURE").is_some_and(|value| is_true(&value)) {
            values.push(("insecure", "true".to_owned()));
        }
        if let Some(files) = set("GOVC_TLS_CA_CERTS") {
            values.push((CA_KEY, authorities(&files)?));
        }
        Ok(Some(Self {
            credentials: values.into_iter().collect(),
        }))
    }
}

fn is_same_server(ours: &Url, endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|theirs| {
        ours.host() == theirs.host()
            && ours.port_or_known_default() == theirs.port_or_known_default()
    })
}

/// An address in any of its forms: with or without scheme, user, password and path.
fn parse(text: &str) -> Option<Url> {
    let text = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None => format!("https://{text}"),
    };
    let url = Url::parse(&text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Text of an address with its escapes resolved; one that is no UTF-8 is none.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        if let Some(byte) = escaped.flatten() {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// As Go reads a truth value.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// All authorities of a list of files, parted as the platform parts paths.
fn authorities(files: &str) -> Result<String, GovcError> {
    let mut pem = String::new();
    for path in std::env::split_paths(files) {
        let path = path.to_string_lossy().into_owned();
        let text =
            std::fs::read_to_string(Utf8Path::new(&path)).map_err(|source| GovcError::File {
                path: path.clone(),
                source,
            })?;
        pem.push_str(&text);
        pem.push('\n');
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret;

    use super::*;

    fn govc(pairs: &[(&str, &str)]) -> Result<Option<Govc>, GovcError> {
        at("https://vc.example/sdk", pairs)
    }

    fn at(endpoint: &str, pairs: &[(&str, &str)]) -> Result<Option<Govc>, GovcError> {
        let variables: BTreeMap<&str, &str> = pairs.iter().copied().collect();
        Govc::for_server(endpoint, |name| {
            variables.get(name).map(|value| (*value).to_owned())
        })
    }

    fn found(pairs: &[(&str, &str)]) -> (String, String) {
        let govc = govc(pairs).expect("fine").expect("there");
        let value = |key| {
            let value = govc.credentials.get(key);
            value.map_or(String::new(), |value| value.expose_secret().to_owned())
        };
        (value("username"), value("password"))
    }

    // Every form of an address that `govc` takes; variables win over what the address says.
    #[test]
    fn addresses() {
        let expected = ("a@b".to_owned(), "p w".to_owned());
        for url in [
            "https://a%40b:p%20w@vc.example/sdk",
            "https://a%40b:p%20w@vc.example",
            "a%40b:p%20w@vc.example",
            "a%40b:p%20w@vc.example/sdk",
        ] {
            assert_eq!(found(&[("GOVC_URL", url)]), expected, "{url}");
        }
        let user = ("GOVC_USERNAME", "a@b");
        let password = ("GOVC_PASSWORD", "p w");
        assert_eq!(
            found(&[("GOVC_URL", "vc.example"), user, password]),
            expected
        );
        assert_eq!(
            found(&[("GOVC_URL", "x:y@vc.example"), user, password]),
            expected
        );
    }

    // What is missing is named; nothing that may be a password is repeated.
    #[test]
    fn what_is_missing() {
        assert!(matches!(govc(&[]), Ok(None)));
        assert!(matches!(govc(&[("GOVC_URL", "")]), Ok(None)));
        let missing = govc(&[("GOVC_URL", "u@vc.example")]).expect_err("no password");
        assert!(missing.to_string().contains("GOVC_PASSWORD"), "{missing}");
        let files = [
            ("GOVC_URL", "u:hunter2@vc.example"),
            ("GOVC_TLS_CA_CERTS", "/nowhere/ca.pem"),
        ];
        let error = govc(&files).expect_err("no file").to_string();
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
        let there = govc(&[("GOVC_URL", "u:hunter2@vc.example")]).expect("fine");
        assert!(!format!("{there:?}").contains("hunter2"));
    }

    // The environment is for one server only, and broken only for that; TLS is taken along.
    #[test]
    fn which_server() {
        let here = [("GOVC_URL", "u:p@vc.example"), ("GOVC_INSECURE", "1")];
        for endpoint in ["https://vc.example:443/sdk", "https://VC.example/sdk"] {
            let govc = at(endpoint, &here).expect("fine").expect("this server");
            assert!(govc.credentials.get("insecure").is_some());
        }
        let other = [("GOVC_URL", "u@vc.example")];
        for endpoint in [
            "https://vc.example:8443/sdk",
            "https://other.example/sdk",
            "vc.example",
        ] {
            assert!(matches!(at(endpoint, &other), Ok(None)), "{endpoint}");
        }
        for url in ["https://", "ftp://u:p@vc.example", "u:p@"] {
            assert!(matches!(govc(&[("GOVC_URL", url)]), Ok(None)), "{url}");
        }
        let plain = [("GOVC_URL", "http://u:p@127.0.0.1:8989")];
        assert!(matches!(
            at("http://127.0.0.1:8989/sdk", &plain),
            Ok(Some(_))
        ));
    }
}
