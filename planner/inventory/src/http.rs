//! The one HTTP client of all collectors, and its rules for waiting, retrying and trusting.
//!
//! Takes requests and gives answers of any status: what a 404 means is the collector's business.
//! Retries only what it is told is an idempotent read. An API's redirects are followed on its own
//! host only, a file's wherever they lead, without its credentials. Error texts show addresses without user info and query, where people keep secrets.

mod error;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Request, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

pub use self::error::{HttpError, RootCause, Untrusted};
use crate::credentials::Credentials;

/// A host that does not even accept a connection in this time is not there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest silence inside an answer: a vCenter computes a page of 1000 VMs for up to a minute.
const READ_TIME_MAX: Duration = Duration::from_mins(2);
/// Repeats after a first try; with the waits below they bridge 15 s, a service's restart.
const REPEATS_MAX: u32 = 4;
/// A server that has never answered is probably a wrong address: one repeat, not a minute's wait.
const REPEATS_UNREACHED_MAX: u32 = 1;
/// The first wait; each further one is twice as long.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// No `Retry-After` makes us wait longer.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Requests in flight to one source.
const IN_FLIGHT_MAX: usize = 4;
/// Redirects followed.
const REDIRECTS_MAX: usize = 5;
/// Bytes of an answer that are quoted where it is none of an API: a login page says who it is within.
const EXCERPT_BYTES: usize = 200;
/// Largest answer kept in memory. A page of 1000 VMs is about 25 MiB at most.
const BODY_BYTES_MAX: usize = 256 << 20;

/// What a certificate is checked against.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// PEM of authorities trusted beside the system's.
    ca: Option<Vec<u8>>,
    /// Check nothing. Has to be asked for, and is recorded in the snapshot.
    insecure: bool,
    /// Trust those of `ca` alone, where there are some.
    only: bool,
    /// The Secret's key for `ca`, which differs by kind of source; for messages.
    ca_key: &'static str,
}

impl Trust {
    /// What the Secret says: authorities under `ca_key` (the engine's name for it), and
    /// `insecure: "true"`, which only Windrow understands.
    pub(crate) fn new(credentials: Option<&Credentials>, ca_key: &'static str) -> Self {
        let text = |key| {
            credentials
                .and_then(|c| c.get(key))
                .map(|v| v.expose_secret().to_owned())
        };
        Self {
            ca: text(ca_key)
                .filter(|pem| !pem.trim().is_empty())
                .map(String::into_bytes),
            insecure: text("insecure").is_some_and(|value| value.trim() == "true"),
            only: false,
            ca_key,
        }
    }

    /// The same with the Secret's authorities in the place of the system's, not beside them.
    pub(crate) fn only_given(self) -> Self {
        Self { only: true, ..self }
    }

    /// Whether the system's authorities count for nothing.
    pub(super) fn is_closed(&self) -> bool {
        self.only && self.ca.is_some()
    }

    /// How the certificate of `url`'s server is checked, as `source.json` records it.
    pub(crate) fn mode(&self, url: &Url) -> &'static str {
        match (url.scheme(), self.insecure, &self.ca) {
            ("http", ..) => "plain",
            (_, true, _) => "insecure",
            (_, false, Some(_)) => "ca",
            (_, false, None) => "verified",
        }
    }
}

/// What may be sent again when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// An idempotent read: again after a broken connection, 429, 500, 502, 503, 504.
    Read,
    /// The same without 500, which is how SOAP sends its faults.
    SoapRead,
    /// Never.
    Never,
}

impl Retry {
    fn takes(self, status: StatusCode) -> bool {
        match status.as_u16() {
            429 | 502 | 503 | 504 => self != Self::Never,
            500 => self == Self::Read,
            _ => false,
        }
    }
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Where it came from, after redirects.
    pub(crate) url: Url,
    /// Its status, of any kind.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, unpacked.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The beginning of the body as one line of text, for messages.
    pub(crate) fn excerpt(&self) -> String {
        excerpt(&self.body)
    }
}

/// The first [`EXCERPT_BYTES`] as one line of text, in which nothing can hide.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(EXCERPT_BYTES)];
    let text = String::from_utf8_lossy(head);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    schemas::shown::shown(&line).into_owned()
}

/// The client of one source.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    trust: Trust,
    in_flight: Semaphore,
    /// Jitter comes from here and the request, so that two runs behave alike.
    seed: u64,
    /// Whether any answer has come: before, a wrong address is likelier than a hiccup.
    reached: AtomicBool,
    wait_first: Duration,
}

impl Http {
    /// A client that trusts as told. `seed` is anything that tells sources apart, as their name.
    pub(crate) fn new(trust: Trust, seed: &str) -> Result<Self, HttpError> {
        Self::with_redirects(trust, seed, redirects(|from, to| from.host() == to.host()))
    }

    /// A client for files, which may lie elsewhere than their address says. The client itself takes
    /// user and password along to the same host and port only.
    pub(crate) fn for_files(trust: Trust, seed: &str) -> Result<Self, HttpError> {
        Self::with_redirects(trust, seed, redirects(|_, _| true))
    }

    fn with_redirects(trust: Trust, seed: &str, redirects: Policy) -> Result<Self, HttpError> {
        let mut builder = Client::builder()
            .user_agent(concat!("windrow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIME_MAX)
            .read_timeout(READ_TIME_MAX)
            .pool_max_idle_per_host(IN_FLIGHT_MAX)
            .referer(false)
            .redirect(redirects)
            .tls_danger_accept_invalid_certs(trust.insecure);
        if let Some(pem) = &trust.ca {
            let authorities = Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|list| !list.is_empty())
                .ok_or(HttpError::BadAuthority { key: trust.ca_key })?;
            builder = if trust.is_closed() {
                builder.tls_certs_only(authorities)
            } else {
                builder.tls_certs_merge(authorities)
            };
        }
        let client = builder.build().map_err(|source| match trust.ca {
            Some(_) => HttpError::BadAuthority { key: trust.ca_key },
            None => HttpError::Setup {
                source: RootCause::of(&source),
            },
        })?;
        Ok(Self {
            client,
            trust,
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            seed: hash(seed.as_bytes()),
            reached: AtomicBool::new(false),
            wait_first: WAIT_FIRST,
        })
    }

    /// The same with waits so short that tests need not wait for them.
    #[cfg(test)]
    pub(crate) fn impatient(mut self) -> Self {
        self.wait_first = Duration::from_millis(2);
        self
    }

    /// What it trusts.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Begins a request; `send` or `open` end it.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request and reads its whole answer. The last answer is given back whatever its
    /// status; an error means that there was none.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        retry: Retry,
    ) -> Result<Answer, HttpError> {
        let request = request.build().map_err(|source| HttpError::Setup {
            source: RootCause::of(&source),
        })?;
        let mut attempt = 0;
        loop {
            let result = self.exchange(&request).await;
            let Some(wait) = self.wait_before_repeat(&request, &result, retry, attempt) else {
                return result;
            };
            pause(&request, wait, attempt).await;
            attempt += 1;
        }
    }

    /// Sends a request and gives the answer as soon as its head is in, for bodies that are looked
    /// into, not kept.
    pub(crate) async fn open(
        &self,
        request: RequestBuilder,
        retry: Retry,
    ) -> Result<Response, HttpError> {
        let request = request.build().map_err(|source| HttpError::Setup {
            source: RootCause::of(&source),
        })?;
        let mut attempt = 0;
        loop {
            let result = self.head(&request).await;
            let Some(wait) = self.wait_before_repeat(&request, &result, retry, attempt) else {
                return result;
            };
            pause(&request, wait, attempt).await;
            attempt += 1;
        }
    }

    /// One try up to the answer's head.
    async fn head(&self, request: &Request) -> Result<Response, HttpError> {
        let copy = request
            .try_clone()
            .expect("bodies are kept in memory, never streamed");
        let response = self
            .client
            .execute(copy)
            .await
            .map_err(|source| HttpError::from_exchange(request.url(), &self.trust, source))?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(response)
    }

    /// One try with the whole body.
    async fn exchange(&self, request: &Request) -> Result<Answer, HttpError> {
        let _permit = self
            .in_flight
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut response = self.head(request).await?;
        let mut body = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|source| HttpError::from_exchange(request.url(), &self.trust, source))?
        {
            if body.len() + part.len() > BODY_BYTES_MAX {
                return Err(HttpError::TooLarge {
                    url: shown(request.url()),
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer {
            url: response.url().clone(),
            status: response.status(),
            headers: response.headers().clone(),
            body,
        })
    }

    /// How long to wait before the request is sent again; `None`: it is not.
    fn wait_before_repeat<T: Head>(
        &self,
        request: &Request,
        result: &Result<T, HttpError>,
        retry: Retry,
        attempt: u32,
    ) -> Option<Duration> {
        let asked = match result {
            Ok(answer) if retry.takes(answer.status()) => asked_wait(answer.headers()),
            Err(error) if retry != Retry::Never && error.is_transient() => None,
            _ => return None,
        };
        let reached = self.reached.load(Ordering::Relaxed);
        let repeats_max = if reached {
            REPEATS_MAX
        } else {
            REPEATS_UNREACHED_MAX
        };
        if attempt >= repeats_max {
            return None;
        }
        let spread = hash(request.url().as_str().as_bytes()) ^ self.seed ^ u64::from(attempt);
        Some(asked.unwrap_or_else(|| jittered(self.wait_first * 2u32.pow(attempt), spread)))
    }
}

/// What a decision about repeating looks at.
trait Head {
    fn status(&self) -> StatusCode;
    fn headers(&self) -> &HeaderMap;
}

impl Head for Answer {
    fn status(&self) -> StatusCode {
        self.status
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Head for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }
}

async fn pause(request: &Request, wait: Duration, attempt: u32) {
    tracing::debug!(
        url = shown(request.url()),
        ?wait,
        attempt,
        "request is repeated"
    );
    tokio::time::sleep(wait).await;
}

/// Follows redirects that `may` lead from one address to the other, and that do not leave TLS.
fn redirects(may: impl Fn(&Url, &Url) -> bool + Send + Sync + 'static) -> Policy {
    Policy::custom(move |attempt| {
        let from = attempt.previous().last();
        let allowed = from.is_some_and(|from| {
            let leaves_tls = from.scheme() == "https" && attempt.url().scheme() != "https";
            may(from, attempt.url()) && !leaves_tls
        });
        if allowed && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// What `Retry-After` asks for, in either form, at most [`WAIT_MAX`]. A date is compared with the
/// server's own clock where it sends one.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let now = headers
            .get(DATE)
            .and_then(|date| http_date(date.to_str().ok()?));
        let until = http_date(text)?.duration_since(now.unwrap_or_else(Timestamp::now));
        Duration::try_from(until).unwrap_or_default()
    };
    Some(wait.min(WAIT_MAX))
}

/// Reads an HTTP date, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp())
}

/// `wait`, 20 % more or less.
fn jittered(wait: Duration, spread: u64) -> Duration {
    let percent = 80 + u32::try_from(hash(&spread.to_le_bytes()) % 41).expect("below 41");
    wait * percent / 100
}

/// FNV-1a: spreads waits and names files, guards nothing.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// An address for messages and files: without user info, query and fragment.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both only fail for addresses that cannot have user info.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// An address that stands in somebody's object, for files: without user info, query and fragment;
/// empty where it is none.
pub(crate) fn shown_text(text: &str) -> String {
    Url::parse(text).map(|url| shown(&url)).unwrap_or_default()
}

/// Reads an address that a person wrote: HTTP or HTTPS, with a host, without user info.
pub(crate) fn parse_url(text: &str) -> Result<Url, HttpError> {
    let reason = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "it is neither http nor https",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "it carries a user or a password, which belong into a Secret"
        }
        Ok(url) => return Ok(url),
        Err(_) => "it is not an absolute address",
    };
    // What stands before an `@` may be a password.
    let shown = text.rsplit('@').next().unwrap_or_default().to_owned();
    Err(HttpError::BadAddress {
        text: shown,
        reason,
    })
}
