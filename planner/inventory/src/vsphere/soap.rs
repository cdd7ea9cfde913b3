//! SOAP as vim25 speaks it: references, envelopes, faults, versions.
//!
//! Takes method names and the XML of their arguments, gives text to send; takes answers, gives the
//! element that answers or the [`Fault`]. Sends one thing itself: the question for the versions.

use reqwest::Method;

use super::VsphereError;
use crate::http::{Answer, Http, Retry, shown};
use crate::xml::{self, Element, escape, read_flat};

/// API versions that this client was tried with, newest first; a server shows only what the
/// version named in a request knew.
const VERSIONS: [&str; 9] = [
    "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.2", "7.0", "6.7.3", "6.7", "6.5",
];
/// What is spoken with a server that does not list its versions.
pub(crate) const VERSION_OLDEST: &str = VERSIONS[VERSIONS.len() - 1];

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
    pub(crate) fn from_element(element: Element<'_>) -> Self {
        Self::new(element.kind().unwrap_or_default(), element.text())
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
    fn from_element(fault: Element<'_>) -> Self {
        let detail = fault
            .child("detail")
            .and_then(|detail| detail.children().next());
        let kind = detail.map(|detail| match detail.class() {
            Some(class) => class,
            None => detail.name().strip_suffix("Fault").unwrap_or(detail.name()),
        });
        let of = |name| {
            detail
                .and_then(|detail| detail.text_of(name))
                .map(str::to_owned)
        };
        Self {
            kind: kind.unwrap_or_default().to_owned(),
            text: fault.text_of("faultstring").unwrap_or_default().to_owned(),
            property: of("name"),
            object: of("obj"),
        }
    }
}

/// One call as it is sent.
pub(crate) fn envelope(method: &str, this: &Ref, arguments: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><e:Body>\
         <{method} xmlns=\"urn:vim25\">{}{arguments}</{method}></e:Body></e:Envelope>",
        this.element("_this")
    )
}

/// A list in an answer, and what becomes of its members.
pub(crate) struct Members<K, E> {
    /// The names of the list and of a member.
    pub(crate) list: (&'static str, &'static str),
    /// Given a member's text, tags and all: whether it need not be read. `None`: all are read.
    pub(crate) known: Option<K>,
    /// Given each of the others, and its text.
    pub(crate) each: E,
}

/// The kind of [`Members::known`] where it is not asked.
type Unasked = fn(&str) -> bool;

impl<E> Members<Unasked, E> {
    /// All of them are read.
    pub(crate) fn all(list: (&'static str, &'static str), each: E) -> Self {
        let known = None;
        Self { list, known, each }
    }
}

/// What an answer without a list gives: nothing.
pub(crate) const NO_LIST: Members<Unasked, fn(Element<'_>, &str)> = Members {
    list: ("", ""),
    known: None,
    each: |_, _| (),
};

/// Hands the members of a list on and the answer's element, without them, to `end`; or gives the
/// fault that is there instead.
pub(crate) fn unpack<T>(
    method: &'static str,
    answer: &Answer,
    members: Members<impl FnMut(&str) -> bool, impl FnMut(Element<'_>, &str)>,
    end: impl FnOnce(Element<'_>) -> T,
) -> Result<T, VsphereError> {
    let head = &answer.body[..answer.body.len().min(400)];
    let is_soap = String::from_utf8_lossy(head).contains("Envelope");
    if !is_soap || !matches!(answer.status.as_u16(), 200 | 500) {
        return Err(VsphereError::NotSoap {
            url: shown(&answer.url),
            status: answer.status.as_u16(),
            excerpt: answer.excerpt(),
        });
    }
    let Members { list, known, each } = members;
    // The strict reader is the quicker one.
    let text = std::str::from_utf8(&answer.body).map_or_else(
        |_| String::from_utf8_lossy(&answer.body),
        std::borrow::Cow::Borrowed,
    );
    let text = match known {
        Some(known) => xml::leave_out(&text, list.1, known),
        None => text,
    };
    let tree = xml::read_each(&text, list, each)
        .map_err(|source| VsphereError::Unreadable { method, source })?;
    let body = tree.root().child("Body");
    match body.and_then(|body| body.children().next()) {
        Some(fault) if fault.name() == "Fault" => Err(VsphereError::Fault {
            method,
            fault: Fault::from_element(fault),
        }),
        Some(answer) => Ok(end(answer)),
        None => Err(VsphereError::Lacking {
            method,
            what: "Body",
        }),
    }
}

/// The newest version that both sides know. A server that does not tell is spoken to in the
/// oldest; only one that cannot be reached is an error here.
pub(crate) async fn version_of(
    http: &Http,
    url: &reqwest::Url,
) -> Result<&'static str, VsphereError> {
    let mut list = url.clone();
    list.set_query(None);
    list.set_path(&format!(
        "{}/vimServiceVersions.xml",
        url.path().trim_end_matches('/')
    ));
    let answer = http
        .send(http.request(Method::GET, list), Retry::Read)
        .await?;
    Ok(newest(&String::from_utf8_lossy(&answer.body)))
}

/// The newest of [`VERSIONS`] in a server's list.
pub(crate) fn newest(list: &str) -> &'static str {
    let Ok(tree) = read_flat(list) else {
        return VERSION_OLDEST;
    };
    let vim = tree
        .root()
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
                .any(|version| version.text() == *wanted)
        })
    };
    VERSIONS.into_iter().find(knows).unwrap_or(VERSION_OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        Fault::from_element(read_flat(text).expect("fine").root())
    }

    // A fault is named by its class, or by its element where the class is left out.
    #[test]
    fn fault_names() {
        let classed = fault(
            r#"<Fault><faultstring>no</faultstring><detail><x i:type="v:InvalidProperty"
            xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><name>token</name></x></detail></Fault>"#,
        );
        assert_eq!(
            (classed.kind.as_str(), classed.text.as_str()),
            ("InvalidProperty", "no")
        );
        assert_eq!(classed.property.as_deref(), Some("token"));
        let plain = fault("<Fault><detail><NotAuthenticatedFault/></detail></Fault>");
        assert_eq!(plain.kind, "NotAuthenticated");
        assert_eq!(fault("<Fault/>"), Fault::default());
    }

    // What people put into names and passwords must not become markup.
    #[test]
    fn envelopes_are_escaped() {
        let this = Ref::new("VirtualMachine", "<'&\">");
        let text = envelope("Logout", &this, "");
        let tree = read_flat(&text).expect("well-formed");
        let found = tree.root().at(&["Body", "Logout", "_this"]).expect("there");
        assert_eq!(found.text(), this.id);
        assert_eq!(Ref::from_element(found), this);
    }

    // The newest version that both know, from what servers of each release list; a server that
    // lists nothing, or a page of a proxy, is spoken to in the oldest.
    #[test]
    fn versions() {
        let list = |own: &str, prior: &[&str]| {
            let prior = prior.join("</version><version>");
            format!(
                "<namespaces version=\"1.0\"><namespace><name>urn:vim25</name>\
                 <version>{own}</version><priorVersions><version>{prior}</version></priorVersions></namespace>\
                 <namespace><name>urn:sms</name><version>9.9</version></namespace></namespaces>"
            )
        };
        let older = ["6.7.3", "6.7", "6.5", "6.0", "5.5"];
        assert_eq!(newest(&list("6.5", &["6.0", "5.5"])), "6.5");
        assert_eq!(newest(&list("6.7.3", &older[1..])), "6.7.3");
        assert_eq!(newest(&list("7.0.3.2", &older)), "7.0.3.2");
        assert_eq!(newest(&list("8.0.3.0", &["8.0.2.0", "7.0"])), "8.0.3.0");
        assert_eq!(newest(&list("9.0.0.0", &["8.0.3.0", "7.0"])), "8.0.3.0");
        assert_eq!(newest(&list("5.5", &[])), "6.5");
        assert_eq!(newest("<html><body>proxy</body></html>"), "6.5");
        assert_eq!(newest("not found"), "6.5");
    }
}
