//! One session with a vCenter or ESXi host: login, calls, logout.
//!
//! Takes method names and the XML of their arguments, gives what the caller makes of the answers.
//! The password is put together with its envelope only while a login is sent. A session that is
//! told to stop (`stop`) ends its reads with an error, but neither a login nor a logout
//! that is under way: so no session stays behind.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use schemas::inventory::Gap;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::VsphereError;
use super::machine::SINCE_67;
use super::soap::{Members, NO_LIST, Ref, VERSION_OLDEST, envelope, unpack, version_of};
use crate::Stopped;
use crate::http::{Answer, Http, HttpError, Retry, shown};
use crate::xml::{Element, escape};

/// The cookie that is the session.
const COOKIE_NAME: &str = "vmware_soap_session=";
/// A logout that is not answered by then is given up: the session ends by itself (30 min idle).
const LOGOUT_TIME_MAX: Duration = Duration::from_secs(10);

/// What the server says of itself before anybody is logged in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    /// Where the inventory begins.
    pub(crate) root_folder: Ref,
    /// Reads properties.
    pub(crate) property_collector: Ref,
    /// Makes views.
    pub(crate) view_manager: Ref,
    /// Logs in and out.
    pub(crate) session_manager: Ref,
    /// Knows who may do what.
    pub(crate) authorization: Option<Ref>,
    /// Knows custom attributes; an ESXi host has none.
    pub(crate) custom_fields: Option<Ref>,
    /// Product and version.
    pub(crate) product: Option<String>,
    /// Names this vCenter for ever; an ESXi host may have none.
    pub(crate) instance: Option<String>,
    /// A vCenter, not a single host.
    pub(crate) is_vcenter: bool,
}

impl Service {
    fn from_answer(answer: Element<'_>) -> Result<Self, VsphereError> {
        let content = answer.child("returnval");
        let reference = |name| content.and_then(|c| c.child(name)).map(Ref::from_element);
        let needed = |what| {
            reference(what).ok_or(VsphereError::Lacking {
                method: "RetrieveServiceContent",
                what,
            })
        };
        let about = content.and_then(|content| content.child("about"));
        let text = |name| {
            about
                .and_then(|about| about.text_of(name))
                .map(str::to_owned)
        };
        Ok(Self {
            root_folder: needed("rootFolder")?,
            property_collector: needed("propertyCollector")?,
            view_manager: needed("viewManager")?,
            session_manager: needed("sessionManager")?,
            authorization: reference("authorizationManager"),
            custom_fields: reference("customFieldsManager"),
            product: text("fullName"),
            instance: text("instanceUuid"),
            is_vcenter: text("apiType").as_deref() != Some("HostAgent"),
        })
    }
}

/// Who logs in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    /// The user's name; not a secret.
    pub(crate) user: &'a str,
    /// The password.
    pub(crate) password: &'a SecretString,
}

/// What changes while a session is used.
#[derive(Debug, Default)]
struct State {
    /// The latest cookie, as the server spelt it.
    cookie: Option<String>,
    /// The session's own key, which questions about rights ask for.
    key: Option<String>,
    /// Counts logins, so that of two requests that lost the session only one logs in again.
    logins: u32,
    /// What could not be read, see [`Session::note`].
    gaps: Vec<Gap>,
    /// Properties that this server does not know.
    unknown: BTreeSet<&'static str>,
}

/// A session, once [`Session::log_in`] was called.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    http: &'a Http,
    url: reqwest::Url,
    account: Account<'a>,
    stopped: watch::Receiver<Option<Stopped>>,
    /// The API version in use.
    pub(crate) version: &'static str,
    /// The server's objects.
    pub(crate) service: Service,
    state: Mutex<State>,
    login: tokio::sync::Mutex<()>,
}

impl<'a> Session<'a> {
    /// Finds the version to speak and the server's objects. Nobody is logged in yet.
    pub(crate) async fn connect(
        http: &'a Http,
        url: reqwest::Url,
        account: Account<'a>,
        stopped: watch::Receiver<Option<Stopped>>,
    ) -> Result<Self, VsphereError> {
        let version = tokio::select! {
            version = version_of(http, &url) => version?,
            reason = told_to_stop(stopped.clone()) => return Err(reason.into()),
        };
        let mut session = Self {
            http,
            url,
            account,
            stopped,
            version,
            service: Service::default(),
            state: Mutex::default(),
            login: tokio::sync::Mutex::default(),
        };
        if version == VERSION_OLDEST {
            session.state().unknown.insert(SINCE_67);
        }
        let this = Ref::new("ServiceInstance", "ServiceInstance");
        session.service = session
            .read("RetrieveServiceContent", &this, "", Service::from_answer)
            .await??;
        Ok(session)
    }

    /// Logs in. A refused login is not tried again: accounts get locked.
    pub(crate) async fn log_in(&self) -> Result<(), VsphereError> {
        self.log_in_after(0).await
    }

    /// Logs in, unless that has happened since `seen` logins were counted.
    pub(crate) async fn log_in_after(&self, seen: u32) -> Result<(), VsphereError> {
        let _turn = self.login.lock().await;
        if self.logins() != seen {
            return Ok(());
        }
        if seen > 0 {
            // A server refuses a login on a session that is still good.
            self.log_out().await;
        }
        let Account { user, password } = self.account;
        let arguments = format!(
            "<userName>{}</userName><password>{}</password><locale>en_US</locale>",
            escape(user),
            escape(password.expose_secret())
        );
        let manager = &self.service.session_manager;
        let answer = self
            .send("Login", manager, &arguments, Retry::Never)
            .await?;
        let key = unpack("Login", &answer, NO_LIST, |answer| {
            let key = answer.child("returnval")?.text_of("key")?;
            Some(key.to_owned())
        });
        match key {
            Ok(key) => {
                let mut state = self.state();
                state.logins += 1;
                state.key = key;
                Ok(())
            }
            Err(VsphereError::Fault { fault, .. }) if fault.kind == "InvalidLogin" => {
                let url = self.endpoint();
                Err(VsphereError::WrongPassword {
                    url,
                    user: user.to_owned(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// The server's address, for messages and files.
    pub(crate) fn endpoint(&self) -> String {
        shown(&self.url)
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &reqwest::Url {
        &self.url
    }

    /// How the server's certificate is checked.
    pub(crate) fn tls(&self) -> &'static str {
        self.http.trust().mode(&self.url)
    }

    /// Who is logged in.
    pub(crate) fn account(&self) -> Account<'a> {
        self.account
    }

    /// The session's own key.
    pub(crate) fn key(&self) -> Option<String> {
        self.state().key.clone()
    }

    /// How often this session has logged in.
    pub(crate) fn logins(&self) -> u32 {
        self.state().logins
    }

    /// Ends the session, if there is one. That it cannot be ended is no reason to lose what was
    /// read.
    pub(crate) async fn log_out(&self) {
        if self.state().cookie.is_none() {
            return;
        }
        let manager = &self.service.session_manager;
        let call = self.send("Logout", manager, "", Retry::Never);
        match tokio::time::timeout(LOGOUT_TIME_MAX, call).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "session is left to end by itself"),
            Err(_) => tracing::debug!("logout is not answered, session is left to end by itself"),
        }
        self.state().cookie = None;
    }

    /// Keeps what could not be read for `source.json`, once.
    pub(crate) fn note(&self, what: &str, reason: &str) {
        self.keep_gap(what, None, reason);
    }

    /// The same of one object.
    pub(crate) fn note_of(&self, what: &str, object: &str, reason: &str) {
        self.keep_gap(what, Some(object), reason);
    }

    fn keep_gap(&self, what: &str, object: Option<&str>, reason: &str) {
        let gap = Gap {
            what: what.to_owned(),
            object: object.map(str::to_owned),
            reason: reason.to_owned(),
        };
        let mut state = self.state();
        if !state.gaps.contains(&gap) {
            state.gaps.push(gap);
        }
    }

    /// Properties that are not asked for any more.
    pub(crate) fn unknown(&self) -> BTreeSet<&'static str> {
        self.state().unknown.clone()
    }

    /// Asks no more for a property that this server does not know.
    pub(crate) fn leave_out(&self, path: &'static str) {
        if self.state().unknown.insert(path) {
            self.note(path, "this server does not know the property");
        }
    }

    /// What was noted so far, sorted.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = self.state().gaps.clone();
        gaps.sort();
        gaps
    }

    /// Calls a method that changes nothing; it may be sent again. `take` is given the answer.
    pub(crate) async fn read<T>(
        &self,
        method: &'static str,
        this: &Ref,
        arguments: &str,
        take: impl FnOnce(Element<'_>) -> T,
    ) -> Result<T, VsphereError> {
        self.read_list(method, this, arguments, NO_LIST, take).await
    }

    /// The same, with the members of a list handed over one by one.
    pub(crate) async fn read_list<T>(
        &self,
        method: &'static str,
        this: &Ref,
        arguments: &str,
        members: Members<impl FnMut(&str) -> bool, impl FnMut(Element<'_>, &str)>,
        end: impl FnOnce(Element<'_>) -> T,
    ) -> Result<T, VsphereError> {
        let answer = self
            .unless_stopped(self.send(method, this, arguments, Retry::SoapRead))
            .await??;
        unpack(method, &answer, members, end)
    }

    /// Waits for `work`, unless the session is told to stop meanwhile.
    pub(crate) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, VsphereError> {
        tokio::select! {
            result = work => Ok(result),
            reason = told_to_stop(self.stopped.clone()) => Err(reason.into()),
        }
    }

    /// The client, for what is not SOAP.
    pub(crate) fn http(&self) -> &Http {
        self.http
    }

    /// Sends one call.
    async fn send(
        &self,
        method: &'static str,
        this: &Ref,
        arguments: &str,
        retry: Retry,
    ) -> Result<Answer, HttpError> {
        let mut request = self
            .http
            .request(Method::POST, self.url.clone())
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", format!("\"urn:vim25/{}\"", self.version))
            .body(envelope(method, this, arguments));
        if let Some(cookie) = self.state().cookie.clone() {
            request = request.header(COOKIE, cookie);
        }
        let answer = self.http.send(request, retry).await?;
        self.keep_cookie(&answer);
        Ok(answer)
    }

    fn keep_cookie(&self, answer: &Answer) {
        for value in answer.headers.get_all(SET_COOKIE) {
            let pair = value
                .to_str()
                .ok()
                .and_then(|value| value.split(';').next());
            let ours = pair.filter(|pair| pair.trim().starts_with(COOKIE_NAME));
            if let Some(pair) = ours {
                self.state().cookie = Some(pair.trim().to_owned());
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

/// Comes back once there is a reason to stop.
async fn told_to_stop(mut stopped: watch::Receiver<Option<Stopped>>) -> Stopped {
    match stopped.wait_for(Option::is_some).await {
        Ok(reason) => reason.expect("waited for"),
        // Nobody is left who could tell.
        Err(_) => std::future::pending().await,
    }
}
