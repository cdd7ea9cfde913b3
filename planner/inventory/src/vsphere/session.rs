//! One session with a vCenter or ESXi host: envelopes, login, faults, logout.
//!
//! Takes method names and the XML of their arguments, gives the trees of the answers or the
//! [`Fault`]. The password is put together with its envelope only while a login is sent. Nothing
//! here decides whether a fault can be lived with: that is `properties.rs`.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use schemas::inventory::Gap;
use secrecy::{ExposeSecret, SecretString};

use super::VsphereError;
use crate::http::{Answer, Http, Retry, shown};
use crate::xml::{self, Node, escape};

/// API versions that this client was tried with, newest first; a server shows only what the
/// version named in a request knew.
const VERSIONS: [&str; 9] = [
    "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.2", "7.0", "6.7.3", "6.7", "6.5",
];
/// What is spoken with a server that does not list its versions.
const VERSION_OLDEST: &str = VERSIONS[VERSIONS.len() - 1];
/// The cookie that is the session.
const COOKIE_NAME: &str = "vmware_soap_session=";
/// A logout that is not answered by then is given up: the session ends by itself (30 min idle).
const LOGOUT_TIME_MAX: Duration = Duration::from_secs(10);

/// A managed object reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ref {
    /// Its class, as in `VirtualMachine`.
    pub(crate) kind: String,
    /// Its id on this server, as in `vm-7`.
    pub(crate) id: String,
}

impl Ref {
    /// A reference that the API defines, or one made up by a test.
    pub(crate) fn new(kind: &str, id: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The reference that an element holds.
    pub(crate) fn from_node(node: &Node) -> Self {
        Self::new(node.attribute("type").unwrap_or_default(), &node.text)
    }

    /// An element that holds this reference.
    pub(crate) fn element(&self, name: &str) -> String {
        format!(
            "<{name} type=\"{}\">{}</{name}>",
            escape(&self.kind),
            escape(&self.id)
        )
    }
}

/// A SOAP fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Its class, as in `NoPermission`.
    pub kind: String,
    /// The server's words.
    pub text: String,
    /// Which property, of an `InvalidProperty`.
    pub property: Option<String>,
    /// Which object, of a `ManagedObjectNotFound`.
    pub object: Option<String>,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.kind)?;
        if self.text.is_empty() {
            Ok(())
        } else {
            write!(f, " (\"{}\")", self.text)
        }
    }
}

impl Fault {
    fn from_node(fault: &Node) -> Self {
        let detail = fault
            .child("detail")
            .and_then(|detail| detail.children.first());
        let kind = detail.map(|detail| match &detail.class {
            Some(class) => class.clone(),
            None => detail
                .name
                .strip_suffix("Fault")
                .unwrap_or(&detail.name)
                .to_owned(),
        });
        let of = |name| {
            detail
                .and_then(|detail| detail.text_of(name))
                .map(str::to_owned)
        };
        Self {
            kind: kind.unwrap_or_default(),
            text: fault.text_of("faultstring").unwrap_or_default().to_owned(),
            property: of("name"),
            object: of("obj"),
        }
    }
}

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
    /// Knows custom attributes; an ESXi host has none.
    pub(crate) custom_fields: Option<Ref>,
    /// Product and version.
    pub(crate) product: Option<String>,
    /// Names this vCenter for ever; an ESXi host may have none.
    pub(crate) instance: Option<String>,
}

impl Service {
    fn from_answer(answer: &Node) -> Result<Self, VsphereError> {
        let content = answer.child("returnval");
        let reference = |name| content.and_then(|c| c.child(name)).map(Ref::from_node);
        let needed = |what| {
            reference(what).ok_or(VsphereError::Lacking {
                method: "RetrieveServiceContent",
                what,
            })
        };
        let about = |name| {
            let about = content.and_then(|content| content.child("about"))?;
            about.text_of(name).map(str::to_owned)
        };
        Ok(Self {
            root_folder: needed("rootFolder")?,
            property_collector: needed("propertyCollector")?,
            view_manager: needed("viewManager")?,
            session_manager: needed("sessionManager")?,
            custom_fields: reference("customFieldsManager"),
            product: about("fullName"),
            instance: about("instanceUuid"),
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
    /// Counts logins, so that of two requests that lost the session only one logs in again.
    logins: u32,
    /// What could not be read, see [`Session::note`].
    gaps: Vec<Gap>,
}

/// A session, logged in.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    http: &'a Http,
    url: reqwest::Url,
    account: Account<'a>,
    /// The API version in use.
    pub(crate) version: &'static str,
    /// The server's objects.
    pub(crate) service: Service,
    state: Mutex<State>,
    login: tokio::sync::Mutex<()>,
}

impl<'a> Session<'a> {
    /// Finds the version to speak, and logs in. A refused login is not tried again: accounts get
    /// locked.
    pub(crate) async fn open(
        http: &'a Http,
        url: reqwest::Url,
        account: Account<'a>,
    ) -> Result<Self, VsphereError> {
        let version = version_of(http, &url).await?;
        let mut session = Self {
            http,
            url,
            account,
            version,
            service: Service::default(),
            state: Mutex::default(),
            login: tokio::sync::Mutex::default(),
        };
        let this = Ref::new("ServiceInstance", "ServiceInstance");
        let answer = session.read("RetrieveServiceContent", &this, "").await?;
        session.service = Service::from_answer(&answer)?;
        session.log_in_after(0).await?;
        Ok(session)
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
            self.state().cookie = None;
        }
        let Account { user, password } = self.account;
        let arguments = format!(
            "<userName>{}</userName><password>{}</password><locale>en_US</locale>",
            escape(user),
            escape(password.expose_secret())
        );
        let manager = &self.service.session_manager;
        match self
            .call("Login", manager, &arguments, Retry::Never, ("", ""), |_| ())
            .await
        {
            Ok(_) => {
                self.state().logins += 1;
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

    /// How the server's certificate is checked.
    pub(crate) fn tls(&self) -> &'static str {
        self.http.trust().mode(&self.url)
    }

    /// The user that is logged in.
    pub(crate) fn user(&self) -> &str {
        self.account.user
    }

    /// How often this session has logged in.
    pub(crate) fn logins(&self) -> u32 {
        self.state().logins
    }

    /// Ends the session. That it cannot be ended is no reason to lose what was read.
    pub(crate) async fn log_out(&self) {
        let manager = &self.service.session_manager;
        let call = self.call("Logout", manager, "", Retry::Never, ("", ""), |_| ());
        match tokio::time::timeout(LOGOUT_TIME_MAX, call).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "session is left to end by itself"),
            Err(_) => tracing::debug!("logout is not answered, session is left to end by itself"),
        }
    }

    /// Keeps what could not be read for `source.json`, once.
    pub(crate) fn note(&self, what: &str, reason: &str) {
        let gap = Gap {
            what: what.to_owned(),
            object: None,
            reason: reason.to_owned(),
        };
        let mut state = self.state();
        if !state.gaps.contains(&gap) {
            state.gaps.push(gap);
        }
    }

    /// What was noted so far, sorted.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = self.state().gaps.clone();
        gaps.sort();
        gaps
    }

    /// Calls a method that changes nothing; it may be sent again.
    pub(crate) async fn read(
        &self,
        method: &'static str,
        this: &Ref,
        arguments: &str,
    ) -> Result<Node, VsphereError> {
        self.call(method, this, arguments, Retry::SoapRead, ("", ""), |_| ())
            .await
    }

    /// The same, with the members of the list `list` handed over one by one (see
    /// [`xml::read_each`]).
    pub(crate) async fn read_list(
        &self,
        method: &'static str,
        this: &Ref,
        arguments: &str,
        list: (&str, &str),
        take: impl FnMut(Node),
    ) -> Result<Node, VsphereError> {
        self.call(method, this, arguments, Retry::SoapRead, list, take)
            .await
    }

    /// Sends one call and gives the element that answers it.
    async fn call(
        &self,
        method: &'static str,
        this: &Ref,
        arguments: &str,
        retry: Retry,
        list: (&str, &str),
        take: impl FnMut(Node),
    ) -> Result<Node, VsphereError> {
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
        unpack(method, &answer, list, take)
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

fn envelope(method: &str, this: &Ref, arguments: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><e:Body>\
         <{method} xmlns=\"urn:vim25\">{}{arguments}</{method}></e:Body></e:Envelope>",
        this.element("_this")
    )
}

/// The answer's element in its envelope, or the fault that is there instead.
fn unpack(
    method: &'static str,
    answer: &Answer,
    list: (&str, &str),
    take: impl FnMut(Node),
) -> Result<Node, VsphereError> {
    let text = String::from_utf8_lossy(&answer.body);
    let is_soap = text
        .chars()
        .take(400)
        .collect::<String>()
        .contains("Envelope");
    if !is_soap || !matches!(answer.status.as_u16(), 200 | 500) {
        return Err(VsphereError::NotSoap {
            url: shown(&answer.url),
            status: answer.status.as_u16(),
            excerpt: answer.excerpt(),
        });
    }
    let mut root = xml::read_each(&text, list, take)
        .map_err(|source| VsphereError::Unreadable { method, source })?;
    let body = root.children.iter_mut().find(|node| node.name == "Body");
    match body.and_then(|body| body.children.pop()) {
        Some(fault) if fault.name == "Fault" => Err(VsphereError::Fault {
            method,
            fault: Fault::from_node(&fault),
        }),
        Some(answer) => Ok(answer),
        None => Err(VsphereError::Lacking {
            method,
            what: "Body",
        }),
    }
}

/// The newest version that both sides know. A server that does not tell is spoken to in the
/// oldest; only one that cannot be reached is an error here.
async fn version_of(http: &Http, url: &reqwest::Url) -> Result<&'static str, VsphereError> {
    let mut list = url.clone();
    list.set_query(None);
    list.set_path(&format!(
        "{}/vimServiceVersions.xml",
        url.path().trim_end_matches('/')
    ));
    let answer = http
        .send(http.request(Method::GET, list), Retry::Read)
        .await?;
    let root = xml::read(&String::from_utf8_lossy(&answer.body)).unwrap_or_default();
    let vim = root
        .all("namespace")
        .find(|space| space.text_of("name") == Some("urn:vim25"));
    let knows = |wanted: &&str| {
        vim.is_some_and(|vim| {
            let prior = vim
                .child("priorVersions")
                .into_iter()
                .flat_map(|list| list.all("version"));
            vim.all("version")
                .chain(prior)
                .any(|version| version.text == *wanted)
        })
    };
    Ok(VERSIONS.into_iter().find(knows).unwrap_or(VERSION_OLDEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fault is named by its class, or by its element where the class is left out.
    #[test]
    fn fault_names() {
        let classed = r#"<Fault><faultstring>no</faultstring><detail><x i:type="v:InvalidProperty"
            xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><name>token</name></x></detail></Fault>"#;
        let fault = Fault::from_node(&xml::read(classed).expect("fine"));
        assert_eq!(
            (fault.kind.as_str(), fault.text.as_str()),
            ("InvalidProperty", "no")
        );
        assert_eq!(fault.property.as_deref(), Some("token"));

        let plain = "<Fault><detail><NotAuthenticatedFault/></detail></Fault>";
        assert_eq!(
            Fault::from_node(&xml::read(plain).expect("fine")).kind,
            "NotAuthenticated"
        );
        assert_eq!(
            Fault::from_node(&xml::read("<Fault/>").expect("fine")),
            Fault::default()
        );
    }

    /// What people put into names and passwords must not become markup.
    #[test]
    fn envelopes_are_escaped() {
        let this = Ref::new("VirtualMachine", "<&\">");
        let text = envelope("Logout", &this, "");
        let root = xml::read(&text).expect("well-formed");
        let logout = root.at(&["Body", "Logout", "_this"]).expect("there");
        assert_eq!(Ref::from_node(logout), this);
    }
}
