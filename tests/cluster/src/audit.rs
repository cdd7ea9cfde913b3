//! What was written to the API server and what the engine did, by their own logs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::kube::text;

/// A log from a moment on.
#[derive(Clone, Debug)]
pub struct LogFrom {
    path: PathBuf,
    offset: u64,
}

impl LogFrom {
    /// All that is written to `path` from now on.
    pub fn now(path: &Path) -> Self {
        let offset = std::fs::metadata(path).map_or(0, |m| m.len());
        Self {
            path: path.to_owned(),
            offset,
        }
    }

    /// What was.
    pub fn read(&self) -> Result<String> {
        let attempt = || -> std::io::Result<String> {
            let mut file = File::open(&self.path)?;
            // Shorter than it was: it has been rotated, and all of the new one is ours.
            let start = if file.metadata()?.len() < self.offset {
                0
            } else {
                self.offset
            };
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        attempt().with_context(|| format!("read `{}`", self.path.display()))
    }
}

/// One write to the API server that it carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// With its subresource, as in `machinemigrations/status`.
    pub resource: String,
    /// Where.
    pub namespace: String,
    /// Of what; of a creation, the name in its body.
    pub name: String,
    /// By which program.
    pub agent: String,
    /// By whom.
    pub user: String,
    /// The server's answer.
    pub code: i64,
}

impl Write {
    /// Whether Windrow did it.
    pub fn is_ours(&self) -> bool {
        self.agent.starts_with("windrow/")
    }

    /// Whether it counts by the project's measure: without leases, Events, and the status of plan
    /// and wave.
    pub fn counts(&self) -> bool {
        let spared = [
            "leases",
            "events",
            "migrationplans/status",
            "migrationwaves/status",
        ];
        self.is_ours() && !spared.contains(&self.resource.as_str())
    }

    /// Whether it only asks the API server something, and leaves no object.
    pub fn is_question(&self) -> bool {
        self.resource.ends_with("reviews")
    }

    /// Whether it is for one machine, not for the run as a whole.
    pub fn is_for_machine(&self) -> bool {
        let kinds = [
            "machinemigrations",
            "virtualmachineimports",
            "virtualmachineimages",
            "virtualmachines",
        ];
        kinds.contains(&self.resource.split('/').next().unwrap_or_default())
            || self.resource == "ovasources"
    }

    /// Whether it was carried out.
    pub fn done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    fn parse(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        let verb = text(&event, "/verb");
        if !["create", "update", "patch", "delete", "deletecollection"].contains(&verb) {
            return None;
        }
        let mut resource = text(&event, "/objectRef/resource").to_owned();
        let sub = text(&event, "/objectRef/subresource");
        if !sub.is_empty() {
            resource = format!("{resource}/{sub}");
        }
        let name = [
            text(&event, "/objectRef/name"),
            text(&event, "/requestObject/metadata/name"),
        ]
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default();
        Some(Self {
            verb: verb.to_owned(),
            resource,
            namespace: text(&event, "/objectRef/namespace").to_owned(),
            name: name.to_owned(),
            agent: text(&event, "/userAgent").to_owned(),
            user: text(&event, "/user/username").to_owned(),
            code: event
                .pointer("/responseStatus/code")
                .and_then(Value::as_i64)
                .unwrap_or(0),
        })
    }
}

/// All writes in the audit log since `from`.
pub fn writes(from: &LogFrom) -> Result<Vec<Write>> {
    Ok(from.read()?.lines().filter_map(Write::parse).collect())
}

/// How often each import was exported, by `namespace/name`, in the engine's own words.
pub fn exports(log: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in log
        .lines()
        .filter(|line| line.contains("msg=\"Exporting source VM\""))
    {
        let field = |name: &str| {
            line.split_whitespace()
                .find_map(|word| word.strip_prefix(name))
                .unwrap_or_default()
        };
        *found
            .entry(format!("{}/{}", field("namespace="), field("name=")))
            .or_default() += 1;
    }
    found
}

/// Whether the engine exported the import at `place` again of its own accord: one of its own status
/// writes met a conflict (it had read a stale cache, Q07), and until the import was deleted nobody
/// but the engine wrote to it after its creation.
pub fn engine_conflicted_alone(writes: &[Write], place: &str) -> bool {
    let kind = |write: &Write| write.resource.split('/').next() == Some("virtualmachineimports");
    let of: Vec<&Write> = writes
        .iter()
        .filter(|write| kind(write) && format!("{}/{}", write.namespace, write.name) == place)
        .take_while(|write| write.verb != "delete")
        .collect();
    let mut engine = of.iter().filter(|write| !write.is_ours()).peekable();
    let agent = engine.peek().map(|write| write.agent.clone());
    let conflict = |write: &&&Write| write.code == 409 && write.resource.ends_with("/status");
    of.iter().all(|write| {
        write.verb == "create" && write.is_ours() || Some(&write.agent) == agent.as_ref()
    }) && engine.any(|write| conflict(&write))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Exports are counted by import; other lines of the engine are not taken for one.
    #[test]
    fn exports_by_import() {
        let log = "time=\"t\" level=info msg=\"Exporting source VM\" name=w1 namespace=a spec.virtualMachineName=x\n\
                   time=\"t\" level=info msg=\"Sanitizing the import spec ...\" name=w1 namespace=a\n\
                   time=\"t\" level=info msg=\"Exporting source VM\" name=w1 namespace=a\n";
        assert_eq!(exports(log), BTreeMap::from([("a/w1".to_owned(), 2)]));
    }

    // A second export is the engine's own only where its own write met a conflict and nobody else
    // wrote to the import before its deletion.
    #[test]
    fn conflicts_of_the_engine() {
        let write = |verb: &str, resource: &str, agent: &str, code: i64| Write {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: "a".to_owned(),
            name: "w1".to_owned(),
            agent: agent.to_owned(),
            user: String::new(),
            code,
        };
        let create = write("create", "virtualmachineimports", "windrow/0.1.0", 201);
        let status = |code| write("update", "virtualmachineimports/status", "engine", code);
        let delete = write("delete", "virtualmachineimports", "windrow/0.1.0", 200);
        let collector = write("patch", "virtualmachineimports", "plane", 200);
        let alone = [create.clone(), status(200), status(409), delete, collector];
        assert!(engine_conflicted_alone(&alone, "a/w1"));
        assert!(!engine_conflicted_alone(&alone, "a/w2"));
        assert!(!engine_conflicted_alone(
            &[create.clone(), status(200)],
            "a/w1"
        ));
        let label = write("patch", "virtualmachineimports", "kubectl", 200);
        assert!(!engine_conflicted_alone(
            &[create.clone(), status(409), label],
            "a/w1"
        ));
        let ours = write("patch", "virtualmachineimports", "windrow/0.1.0", 200);
        assert!(!engine_conflicted_alone(
            &[create, status(409), ours],
            "a/w1"
        ));
    }

    // What counts: our writes, except leases and the status of waves; a creation has its name in
    // the body.
    #[test]
    fn writes_that_count() {
        let line = |resource: &str, agent: &str| {
            format!(
                r#"{{"verb":"create","userAgent":"{agent}","objectRef":{{"resource":"{resource}","namespace":"n"}},"requestObject":{{"metadata":{{"name":"w1"}}}},"responseStatus":{{"code":201}}}}"#
            )
        };
        let write = Write::parse(&line("virtualmachineimports", "windrow/0.1.0")).expect("a write");
        assert!(write.counts() && write.done());
        assert_eq!(write.name, "w1");
        assert!(
            !Write::parse(&line("leases", "windrow/0.1.0"))
                .expect("a write")
                .counts()
        );
        assert!(
            !Write::parse(&line("virtualmachineimports", "kubectl/v1"))
                .expect("a write")
                .counts()
        );
        assert_eq!(Write::parse("not JSON"), None);
    }
}
