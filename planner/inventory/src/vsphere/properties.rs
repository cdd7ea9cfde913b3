//! Lists of objects with some of their properties: the property collector, page by page.
//!
//! Takes a [`Query`], gives its [`Object`]s mapped by the caller. Lives with what real servers do
//! on the way: sessions that end, properties that this release does not know, objects that are
//! deleted meanwhile, tokens that are no longer valid. Whatever is left out is noted as a gap.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::VsphereError;
use super::session::Session;
use super::soap::{Fault, Members, Ref};
use crate::xml::{Element, escape};

/// How often one list is begun anew, be it for a session that ended or a token that is gone. More
/// often than a busy vCenter needs; a server that never lets a list end is not waited for.
const RESTARTS_MAX: u32 = 3;

/// Classes and the paths wanted of each. Every path stands under every concrete class: servers do
/// not all merge those of a base class in.
pub(crate) type Wanted = [(&'static str, &'static [&'static str])];

/// Which objects.
#[derive(Clone, Debug)]
pub(crate) enum Scope<'a> {
    /// Those of the wanted classes anywhere below a folder or datacenter.
    Below(&'a Ref),
    /// These; one that is gone is left out.
    These(&'a [Ref]),
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Query<'a> {
    /// Classes and paths.
    pub(crate) wanted: &'a Wanted,
    /// Of which objects.
    pub(crate) scope: Scope<'a>,
    /// Objects a page. A real vCenter cuts at 100 by itself, the simulator never.
    pub(crate) page: u32,
}

/// One object as it is read; it lives as long as its page is in memory.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// The class, as in `VirtualMachine`.
    pub(crate) kind: &'a str,
    /// The id on this server, as in `vm-7`.
    pub(crate) id: &'a str,
    /// The whole of it as the server wrote it.
    pub(crate) text: &'a str,
    /// Values by path; an unset property is absent.
    values: Vec<(&'a str, Element<'a>)>,
    /// Paths that were refused, and the fault's class.
    pub(crate) refused: Vec<(&'a str, &'a str)>,
}

impl<'a> Object<'a> {
    /// Reads an `objects` element, whose text is `text`.
    pub(crate) fn from_element(element: Element<'a>, text: &'a str) -> Self {
        let mut object = Self {
            kind: "",
            id: "",
            text,
            values: Vec::with_capacity(32),
            refused: Vec::new(),
        };
        for child in element.children() {
            match child.name() {
                "obj" => {
                    object.kind = child.kind().unwrap_or_default();
                    object.id = child.text();
                }
                "propSet" => {
                    let name = child.text_of("name").unwrap_or_default();
                    // From the second page on, the simulator sends unset ones without a value.
                    let value = child.child("val");
                    object.values.extend(value.map(|value| (name, value)));
                }
                "missingSet" => {
                    let path = child.text_of("path").unwrap_or_default();
                    let fault = child.at(&["fault", "fault"]);
                    let kind = fault.and_then(Element::class).unwrap_or_default();
                    object.refused.push((path, kind));
                }
                _ => {}
            }
        }
        object
    }

    /// The value of a path.
    pub(crate) fn get(&self, path: &str) -> Option<Element<'a>> {
        let found = self.values.iter().find(|(name, _)| *name == path);
        found.map(|(_, value)| *value)
    }

    /// The text of a path; empty text counts as none.
    pub(crate) fn text(&self, path: &str) -> Option<&'a str> {
        self.get(path)
            .map(Element::text)
            .filter(|text| !text.is_empty())
    }

    /// The same to keep.
    pub(crate) fn owned(&self, path: &str) -> Option<String> {
        self.text(path).map(str::to_owned)
    }

    /// The number or truth value of a path.
    pub(crate) fn value<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.get(path)?.parsed()
    }

    /// The members of the list that a path holds.
    pub(crate) fn list(&self, path: &str) -> impl Iterator<Item = Element<'a>> {
        self.get(path).into_iter().flat_map(Element::children)
    }

    /// Deleted while the list was read.
    pub(crate) fn is_gone(&self) -> bool {
        self.refused
            .iter()
            .any(|(_, kind)| *kind == "ManagedObjectNotFound")
    }

    /// A server may answer 200 and refuse every path, when the session is over.
    fn lost_session(&self) -> bool {
        self.values.is_empty()
            && !self.refused.is_empty()
            && self
                .refused
                .iter()
                .all(|(_, kind)| *kind == "NotAuthenticated")
    }
}

/// What becomes of the objects of a list: see [`list_but`].
struct How<K, M, F> {
    known: Option<K>,
    map: M,
    told: F,
}

/// What one list has learnt to leave out.
#[derive(Debug, Default)]
struct Learnt {
    /// Objects that are gone.
    gone: BTreeSet<String>,
    /// How often the list was begun anew.
    restarts: u32,
}

/// Reads a list to its end, each object mapped. `told` hears how many there are so far.
pub(crate) async fn list<T>(
    session: &Session<'_>,
    query: &Query<'_>,
    map: impl Fn(&Object<'_>) -> T,
    told: impl Fn(usize),
) -> Result<Vec<T>, VsphereError> {
    let known = None::<fn(&str) -> Option<T>>;
    list_but(session, query, known, map, told).await
}

/// The same, but of an object whose text, as the server writes it, is `known`, that is taken, and
/// the text not read.
pub(crate) async fn list_but<T>(
    session: &Session<'_>,
    query: &Query<'_>,
    known: Option<impl Fn(&str) -> Option<T>>,
    map: impl Fn(&Object<'_>) -> T,
    told: impl Fn(usize),
) -> Result<Vec<T>, VsphereError> {
    let how = How { known, map, told };
    let mut learnt = Learnt::default();
    loop {
        let logins = session.logins();
        let unknown = session.unknown();
        match list_once(session, query, &learnt, &unknown, &how).await {
            Err(VsphereError::Fault { method, fault }) => {
                if !mend(session, query, &mut learnt, &unknown, &fault, logins).await? {
                    return Err(VsphereError::Fault { method, fault });
                }
                tracing::debug!(kind = fault.kind, text = fault.text, "list is begun anew");
            }
            other => return other,
        }
    }
}

/// Does what makes another try worth while; `false`: there is nothing.
async fn mend(
    session: &Session<'_>,
    query: &Query<'_>,
    learnt: &mut Learnt,
    unknown: &BTreeSet<&'static str>,
    fault: &Fault,
    logins: u32,
) -> Result<bool, VsphereError> {
    match (fault.kind.as_str(), &fault.property, &fault.object) {
        ("NotAuthenticated", ..) if learnt.restarts < RESTARTS_MAX => {
            learnt.restarts += 1;
            session.log_in_after(logins).await?;
            Ok(true)
        }
        ("InvalidProperty", Some(path), _) if path != "token" => {
            let Some(path) = query.asks_for(path) else {
                return Ok(false);
            };
            session.leave_out(path);
            // Another batch may have learnt it meanwhile.
            Ok(!unknown.contains(path))
        }
        ("ManagedObjectNotFound", _, Some(id)) if query.names(id) => {
            Ok(learnt.gone.insert(id.clone()))
        }
        // A token that is no longer valid, or the view of a session that ended.
        ("InvalidProperty" | "ManagedObjectNotFound", ..) if learnt.restarts < RESTARTS_MAX => {
            learnt.restarts += 1;
            Ok(true)
        }
        _ => Ok(false),
    }
}

impl Query<'_> {
    fn names(&self, id: &str) -> bool {
        matches!(self.scope, Scope::These(refs) if refs.iter().any(|one| one.id == id))
    }

    /// Our own spelling of a path that a server complains about, be it in full or its last part.
    fn asks_for(&self, path: &str) -> Option<&'static str> {
        let mut paths = self.wanted.iter().flat_map(|(_, paths)| paths.iter());
        paths
            .find(|ours| {
                let rest = ours.strip_suffix(path);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
            .copied()
    }
}

/// One try, with a view of its own where one is needed.
async fn list_once<T>(
    session: &Session<'_>,
    query: &Query<'_>,
    learnt: &Learnt,
    unknown: &BTreeSet<&'static str>,
    how: &How<impl Fn(&str) -> Option<T>, impl Fn(&Object<'_>) -> T, impl Fn(usize)>,
) -> Result<Vec<T>, VsphereError> {
    match query.scope {
        Scope::Below(container) => {
            let view = create_view(session, container, query.wanted).await?;
            let result = pages(session, query, unknown, &through(&view), how).await;
            // Views die with their session, which is about to end: a failure here is no loss.
            if let Err(error) = session.read("DestroyView", &view, "", |_| ()).await {
                tracing::debug!(%error, "view is left to its session");
            }
            result
        }
        Scope::These(refs) => {
            let left = refs.iter().filter(|one| !learnt.gone.contains(&one.id));
            let mut objects = String::new();
            for one in left {
                let _ = write!(objects, "<objectSet>{}</objectSet>", one.element("obj"));
            }
            if objects.is_empty() {
                return Ok(Vec::new());
            }
            pages(session, query, unknown, &objects, how).await
        }
    }
}

async fn create_view(
    session: &Session<'_>,
    container: &Ref,
    wanted: &Wanted,
) -> Result<Ref, VsphereError> {
    let mut arguments = container.element("container");
    for (class, _) in wanted {
        let _ = write!(arguments, "<type>{class}</type>");
    }
    arguments.push_str("<recursive>true</recursive>");
    let manager = &session.service.view_manager;
    let view = session
        .read("CreateContainerView", manager, &arguments, |answer| {
            answer.child("returnval").map(Ref::from_element)
        })
        .await?;
    view.ok_or(VsphereError::Lacking {
        method: "CreateContainerView",
        what: "returnval",
    })
}

/// The `objectSet` that leads from a view to its members.
fn through(view: &Ref) -> String {
    format!(
        "<objectSet>{}<skip>true</skip><selectSet xsi:type=\"TraversalSpec\"><name>view</name>\
         <type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet>",
        view.element("obj")
    )
}

/// The pages of one list. Element order is fixed by the schema.
async fn pages<T>(
    session: &Session<'_>,
    query: &Query<'_>,
    unknown: &BTreeSet<&'static str>,
    objects: &str,
    how: &How<impl Fn(&str) -> Option<T>, impl Fn(&Object<'_>) -> T, impl Fn(usize)>,
) -> Result<Vec<T>, VsphereError> {
    let mut specification = String::from("<specSet>");
    for (class, paths) in query.wanted {
        let _ = write!(specification, "<propSet><type>{class}</type>");
        for path in paths.iter().filter(|path| !unknown.contains(**path)) {
            let _ = write!(specification, "<pathSet>{path}</pathSet>");
        }
        specification.push_str("</propSet>");
    }
    specification.push_str(objects);
    if matches!(query.scope, Scope::These(_)) {
        specification
            .push_str("<reportMissingObjectsInResults>true</reportMissingObjectsInResults>");
    }
    let _ = write!(
        specification,
        "</specSet><options><maxObjects>{}</maxObjects></options>",
        query.page
    );

    let mut found = Vec::new();
    let mut next = ("RetrievePropertiesEx", specification);
    loop {
        let (method, arguments) = next;
        let mut is_over = false;
        let mut unread = Vec::new();
        let take = &mut unread;
        let known = how.known.as_ref().map(|known| {
            move |text: &str| {
                let known = known(text);
                let is_known = known.is_some();
                take.extend(known);
                is_known
            }
        });
        let each = |element: Element<'_>, text: &str| {
            let mut object = Object::from_element(element, text);
            is_over |= object.lost_session();
            object.refused.retain(|(path, kind)| {
                let is_unknown = *kind == "InvalidProperty";
                if is_unknown && let Some(path) = query.asks_for(path) {
                    session.leave_out(path);
                }
                !is_unknown
            });
            found.push((how.map)(&object));
        };
        let collector = &session.service.property_collector;
        let members = Members {
            list: ("returnval", "objects"),
            known,
            each,
        };
        let token = |answer: Element<'_>| {
            let token = answer.child("returnval")?.child("token")?;
            Some(token.text().to_owned())
        };
        let token = session
            .read_list(method, collector, &arguments, members, token)
            .await?;
        found.extend(unread);
        if is_over {
            let fault = Fault {
                kind: "NotAuthenticated".to_owned(),
                ..Fault::default()
            };
            return Err(VsphereError::Fault { method, fault });
        }
        (how.told)(found.len());
        // Whether there is more is told by the element; "0" is a token like any other.
        let Some(token) = token else {
            return Ok(found);
        };
        let token = format!("<token>{}</token>", escape(&token));
        next = ("ContinueRetrievePropertiesEx", token);
    }
}
