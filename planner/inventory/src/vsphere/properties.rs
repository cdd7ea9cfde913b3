//! Lists of objects with some of their properties: the property collector, page by page.
//!
//! Takes a [`Query`], gives its [`Object`]s mapped by the caller. Lives with what real servers do
//! on the way: sessions that end, properties that this release does not know, objects that are
//! deleted meanwhile, tokens that are no longer valid. Whatever is left out is noted as a gap.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::VsphereError;
use super::session::{Fault, Ref, Session};
use crate::xml::{Node, escape};

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

/// One object as it was read.
#[derive(Debug)]
pub(crate) struct Object {
    /// Which.
    pub(crate) reference: Ref,
    /// Values by path; an unset property is absent.
    values: Vec<(String, Node)>,
    /// Paths that were refused, and the fault's class.
    pub(crate) refused: Vec<(String, String)>,
}

impl Object {
    /// Reads an `objects` element.
    pub(crate) fn from_node(mut node: Node) -> Self {
        let mut object = Self {
            reference: Ref::default(),
            values: Vec::new(),
            refused: Vec::new(),
        };
        for mut child in node.children.drain(..) {
            match child.name.as_str() {
                "obj" => object.reference = Ref::from_node(&child),
                "propSet" => {
                    let name = child.text_of("name").unwrap_or_default().to_owned();
                    let value = child.children.pop().filter(|value| value.name == "val");
                    // From the second page on, the simulator sends unset ones without a value.
                    object.values.extend(value.map(|value| (name, value)));
                }
                "missingSet" => {
                    let path = child.text_of("path").unwrap_or_default().to_owned();
                    let fault = child.at(&["fault", "fault"]);
                    let kind = fault
                        .and_then(|fault| fault.class.clone())
                        .unwrap_or_default();
                    object.refused.push((path, kind));
                }
                _ => {}
            }
        }
        object
    }

    /// The value of a path.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.values
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, value)| value)
    }

    /// The text of a path; empty text counts as none.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.get(path)
            .map(|value| value.text.clone())
            .filter(|text| !text.is_empty())
    }

    /// The number or truth value of a path.
    pub(crate) fn value<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.get(path)?.text.trim().parse().ok()
    }

    /// The members of the list that a path holds.
    pub(crate) fn list(&self, path: &str) -> &[Node] {
        self.get(path).map_or(&[], |value| &value.children)
    }

    /// Deleted while the list was read.
    pub(crate) fn is_gone(&self) -> bool {
        self.refused
            .iter()
            .any(|(_, kind)| kind == "ManagedObjectNotFound")
    }

    /// A server may answer 200 and refuse every path, when the session is over.
    fn lost_session(&self) -> bool {
        self.values.is_empty()
            && !self.refused.is_empty()
            && self
                .refused
                .iter()
                .all(|(_, kind)| kind == "NotAuthenticated")
    }
}

/// What one list has learnt to leave out.
#[derive(Debug, Default)]
struct Learnt {
    /// Paths that this server does not know.
    unknown: BTreeSet<String>,
    /// Objects that are gone.
    gone: BTreeSet<String>,
    /// How often the list was begun anew.
    restarts: u32,
}

/// Reads a list to its end, each object mapped. `told` hears how many there are so far.
pub(crate) async fn list<T>(
    session: &Session<'_>,
    query: &Query<'_>,
    map: impl Fn(Object) -> T,
    told: impl Fn(usize),
) -> Result<Vec<T>, VsphereError> {
    let mut learnt = Learnt::default();
    loop {
        let logins = session.logins();
        match list_once(session, query, &learnt, &map, &told).await {
            Err(VsphereError::Fault { method, fault }) => {
                if !mend(session, query, &mut learnt, &fault, logins).await? {
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
            session.note(path, "this server does not know the property");
            Ok(learnt.unknown.insert(path.clone()))
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
}

/// One try, with a view of its own where one is needed.
async fn list_once<T>(
    session: &Session<'_>,
    query: &Query<'_>,
    learnt: &Learnt,
    map: &impl Fn(Object) -> T,
    told: &impl Fn(usize),
) -> Result<Vec<T>, VsphereError> {
    match query.scope {
        Scope::Below(container) => {
            let view = create_view(session, container, query.wanted).await?;
            let result = pages(session, query, learnt, &through(&view), map, told).await;
            // Views die with their session, which is about to end: a failure here is no loss.
            if let Err(error) = session.read("DestroyView", &view, "").await {
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
            pages(session, query, learnt, &objects, map, told).await
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
    let answer = session
        .read("CreateContainerView", manager, &arguments)
        .await?;
    let view = answer.child("returnval").map(Ref::from_node);
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
    learnt: &Learnt,
    objects: &str,
    map: &impl Fn(Object) -> T,
    told: &impl Fn(usize),
) -> Result<Vec<T>, VsphereError> {
    let mut specification = String::from("<specSet>");
    for (class, paths) in query.wanted {
        let _ = write!(specification, "<propSet><type>{class}</type>");
        for path in paths.iter().filter(|path| !learnt.unknown.contains(**path)) {
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
        let take = |node| {
            let mut object = Object::from_node(node);
            is_over |= object.lost_session();
            object.refused.retain(|(path, kind)| {
                let unknown = kind == "InvalidProperty";
                if unknown {
                    session.note(path, "this server does not know the property");
                }
                !unknown
            });
            found.push(map(object));
        };
        let collector = &session.service.property_collector;
        let list = ("returnval", "objects");
        let answer = session
            .read_list(method, collector, &arguments, list, take)
            .await?;
        if is_over {
            let fault = Fault {
                kind: "NotAuthenticated".to_owned(),
                ..Fault::default()
            };
            return Err(VsphereError::Fault { method, fault });
        }
        told(found.len());
        // Whether there is more is told by the element; "0" is a token like any other.
        match answer
            .child("returnval")
            .and_then(|page| page.child("token"))
        {
            Some(token) => {
                let token = format!("<token>{}</token>", escape(&token.text));
                next = ("ContinueRetrievePropertiesEx", token);
            }
            None => return Ok(found),
        }
    }
}
