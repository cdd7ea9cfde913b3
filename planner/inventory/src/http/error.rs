//! Why there is no answer, and what the reader can do about it.

use std::error::Error as StdError;
use std::io;

use reqwest::Url;

use super::{BODY_BYTES_MAX, Trust, shown};

/// Why a certificate was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// Neither the system nor the Secret knows who signed it.
    UnknownIssuer,
    /// It is over, or has not begun.
    NotValidNow,
    /// It is for other names than the one in the address.
    OtherName,
    /// Anything else, see the chain of causes.
    Other,
}

impl std::fmt::Display for Untrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "its issuer is unknown",
            Self::NotValidNow => "it is not valid at this time",
            Self::OtherName => "it is not for this name",
            Self::Other => "it is not acceptable",
        })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address in the site is unusable.
    #[error("use the address `{text}`: {reason}")]
    BadAddress {
        /// The address, without what may be a password.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The Secret's authorities are no PEM certificates.
    #[error("read the certificate authority in the Secret's key `{key}`")]
    BadAuthority {
        /// The key.
        key: &'static str,
    },
    /// Client or request could not be made.
    #[error("prepare the HTTP client")]
    Setup {
        /// Why.
        source: RootCause,
    },
    /// Nobody answers there.
    #[error("connect to `{url}`")]
    Unreachable {
        /// The address.
        url: String,
        /// Why not.
        source: RootCause,
    },
    /// Its certificate cannot be trusted.
    #[error("trust the certificate of `{url}`: {reason}")]
    Certificate {
        /// The address.
        url: String,
        /// In what way it failed.
        reason: Untrusted,
        /// The Secret's key where an authority can be given.
        ca_key: &'static str,
        /// Whether that key is there and counts alone.
        closed: bool,
        /// The TLS library's words.
        source: RootCause,
    },
    /// The connection broke or went silent.
    #[error("get an answer from `{url}`")]
    Broken {
        /// The address.
        url: String,
        /// How.
        source: RootCause,
    },
    /// More than we keep in memory.
    #[error("read the answer of `{url}`: it is larger than {} MiB", BODY_BYTES_MAX >> 20)]
    TooLarge {
        /// The address.
        url: String,
    },
}

impl HttpError {
    /// Sorts a client error: certificate, connection, or later.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "goes straight into `map_err`"
    )]
    pub(crate) fn from_exchange(url: &Url, trust: &Trust, source: reqwest::Error) -> Self {
        let url = shown(url);
        let connecting = source.is_connect();
        let reason = causes(&source).find_map(|cause| match cause.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(reason)) => Some(untrusted(reason)),
            _ => None,
        });
        let source = RootCause::of(&source);
        match reason {
            Some(reason) => Self::Certificate {
                url,
                reason,
                ca_key: trust.ca_key,
                closed: trust.is_closed(),
                source,
            },
            None if connecting => Self::Unreachable { url, source },
            None => Self::Broken { url, source },
        }
    }

    /// Whether it may have been a moment's weakness.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. })
    }

    /// Whether an answer was on its way and did not come, or not to its end.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }

    /// Whether the same request may work later.
    pub(crate) fn is_outage(&self) -> bool {
        self.is_transient()
    }

    /// What the reader can do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::BadAuthority { key } => Some(format!(
                "`{key}` takes one or more certificates in PEM form (`-----BEGIN CERTIFICATE-----`)"
            )),
            Self::Certificate {
                reason,
                ca_key,
                closed,
                ..
            } => Some(certificate_hint(*reason, ca_key, *closed)),
            Self::Unreachable { .. } => {
                Some("check the address, and that this machine may reach it".to_owned())
            }
            _ => None,
        }
    }
}

/// The three ways out.
fn certificate_hint(reason: Untrusted, ca_key: &str, closed: bool) -> String {
    let mend = match reason {
        Untrusted::UnknownIssuer => {
            "give the server a certificate whose issuer this machine trusts"
        }
        Untrusted::NotValidNow => {
            "renew the server's certificate, if this machine's clock is right"
        }
        Untrusted::OtherName => {
            "use a name that stands in the certificate, or give the server one for this name"
        }
        Untrusted::Other => "mend the server's certificate",
    };
    let issuer = if closed {
        format!(
            "put its issuer's certificate (PEM) into the Secret's key `{ca_key}`: what stands there \
             counts alone, with the engine too"
        )
    } else {
        format!("put its issuer's certificate (PEM) into the Secret's key `{ca_key}`")
    };
    let issuer = match reason {
        Untrusted::UnknownIssuer | Untrusted::Other => issuer,
        _ => format!("if another one is meant, {issuer}"),
    };
    format!(
        "there are three ways out: {mend}; {issuer}; or `insecure: \"true\"` in the Secret to read \
         without checking, which the snapshot records"
    )
}

/// The innermost cause of an error, which is the one that says something: the layers above it read
/// "error sending request", "client error (Connect)".
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct RootCause {
    text: String,
}

impl RootCause {
    /// Of `error`: the innermost of its sources, or itself.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let innermost = causes(error)
            .last()
            .expect("an error is the first of its causes");
        Self {
            text: innermost.to_string(),
        }
    }
}

/// An error and what lies beneath it, outermost first. `io::Error` hides what it wraps from
/// `source`, so it is looked into by hand.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

fn untrusted(reason: &rustls::CertificateError) -> Untrusted {
    use rustls::CertificateError as E;
    match reason {
        E::UnknownIssuer => Untrusted::UnknownIssuer,
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            Untrusted::NotValidNow
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => Untrusted::OtherName,
        _ => Untrusted::Other,
    }
}
