//! What the engine's account may do with each VM.
//!
//! Asks the server; does not try. Takes references of VMs, gives what is missing by reference. A
//! server that does not answer is a gap, not an error.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::VsphereError;
use super::session::Session;
use super::soap::Members;
use crate::xml::{Element, escape};

/// What the engine does with a VM: it exports it, and switches it off before.
const NEEDED: [&str; 2] = ["VApp.Export", "VirtualMachine.Interact.PowerOff"];
/// VMs a question.
const BATCH: usize = 1000;

/// Whose rights are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    /// Those of the account that reads, which is the engine's too.
    Ours,
    /// Those of another user, the engine's.
    Of(&'a str),
}

/// What that account lacks, by reference of the VM; `None` if it could not be asked for.
pub(crate) async fn missing(
    session: &Session<'_>,
    whose: Whose<'_>,
    vms: &[&str],
) -> Result<Option<BTreeMap<String, Vec<String>>>, VsphereError> {
    let Some(manager) = &session.service.authorization else {
        session.note("privileges", "the server has no authorization manager");
        return Ok(None);
    };
    let mut missing = BTreeMap::new();
    for batch in vms.chunks(BATCH) {
        let (method, arguments) = question(session, whose, batch);
        let take = |answer: Element<'_>, _: &str| {
            let vm = answer.text_of("entity").unwrap_or_default();
            let lacking = answer
                .all("privAvailability")
                .filter(|one| one.value("isGranted") == Some(false))
                .filter_map(|one| one.text_of("privId"));
            let mut lacking: Vec<String> = lacking.map(str::to_owned).collect();
            lacking.sort();
            if !lacking.is_empty() {
                missing.insert(vm.to_owned(), lacking);
            }
        };
        let list = ("HasPrivilegeOnEntitiesResponse", "returnval");
        let list = match whose {
            Whose::Ours => list,
            Whose::Of(_) => ("HasUserPrivilegeOnEntitiesResponse", "returnval"),
        };
        let asked = session
            .read_list(
                method,
                manager,
                &arguments,
                Members::all(list, take),
                |_| (),
            )
            .await;
        match asked {
            Ok(()) => {}
            Err(VsphereError::Fault { fault, .. }) => {
                session.note("privileges", &fault.kind);
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(missing))
}

fn question(session: &Session<'_>, whose: Whose<'_>, vms: &[&str]) -> (&'static str, String) {
    let mut arguments = String::new();
    let (method, entity) = match whose {
        Whose::Ours => ("HasPrivilegeOnEntities", "entity"),
        Whose::Of(_) => ("HasUserPrivilegeOnEntities", "entities"),
    };
    for vm in vms {
        let vm = escape(vm);
        let _ = write!(
            arguments,
            "<{entity} type=\"VirtualMachine\">{vm}</{entity}>"
        );
    }
    let _ = match whose {
        Whose::Ours => {
            let key = session.key().unwrap_or_default();
            write!(arguments, "<sessionId>{}</sessionId>", escape(&key))
        }
        Whose::Of(user) => write!(arguments, "<userName>{}</userName>", escape(user)),
    };
    for privilege in NEEDED {
        let _ = write!(arguments, "<privId>{privilege}</privId>");
    }
    (method, arguments)
}
