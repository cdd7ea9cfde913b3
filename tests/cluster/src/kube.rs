//! `kubectl`, as the person at the other end would use it: the stand-in for a `GitOps` tool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::command::Run;

/// The engine's imports. The full name: Harvester's and `KubeVirt`'s kinds have similar ones.
pub const IMPORTS: &str = "virtualmachineimports.migration.harvesterhci.io";
/// `KubeVirt`'s machines.
pub const MACHINES: &str = "virtualmachines.kubevirt.io";
/// The ledger.
pub const RECORDS: &str = "machinemigrations.windrow.dev";
/// The engine's namespace.
pub const ENGINE_NAMESPACE: &str = "harvester-system";

/// A cluster, as somebody.
#[derive(Clone, Debug)]
pub struct Kube {
    kubeconfig: PathBuf,
}

impl Kube {
    /// By a kubeconfig.
    pub fn new(kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `kubectl ARGUMENTS`.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::new("kubectl")
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
    }

    /// One object, if it is there.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        let text = self
            .run([
                "get",
                kind,
                name,
                "-n",
                namespace,
                "-o",
                "json",
                "--ignore-not-found",
            ])
            .text()?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("read {kind} {namespace}/{name}"))
    }

    /// All objects of a kind in a namespace; in all of them when it is empty.
    pub fn list(&self, kind: &str, namespace: &str) -> Result<Vec<Value>> {
        let place: &[&str] = if namespace.is_empty() {
            &["-A"]
        } else {
            &["-n", namespace]
        };
        let text = self.run(["get", kind, "-o", "json"]).args(place).text()?;
        let mut list: Value =
            serde_json::from_str(&text).with_context(|| format!("read the list of {kind}"))?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Server-side apply of whatever it is; as in a `GitOps` tool.
    pub fn apply(&self, text: &str) -> Result<String> {
        self.run(["apply", "--server-side", "-f", "-"])
            .input(text)
            .text()
    }

    /// Makes namespaces.
    pub fn make_namespaces(&self, names: &[String]) -> Result<()> {
        let items: Vec<Value> = names
            .iter()
            .map(
                |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            )
            .collect();
        self.apply(&list(&items)).map(drop)
    }

    /// Removes namespaces with all that is in them: imports first and one kind after another, as
    /// deleting a namespace leaves files in the engine's scratch (L06). The namespaces themselves
    /// take their time; `wait` is whether for that too.
    pub fn remove_namespaces(&self, names: &[String], wait: bool) -> Result<()> {
        let there: Vec<&String> = names
            .iter()
            .filter(|name| matches!(self.get("namespace", "default", name), Ok(Some(_))))
            .collect();
        for kind in [IMPORTS, MACHINES] {
            for name in &there {
                self.run(["delete", kind, "--all", "-n", name, "--timeout=170s"])
                    .limit(Duration::from_mins(3))
                    .text()?;
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        self.run([
            "delete",
            "namespace",
            "--ignore-not-found",
            "--timeout=170s",
            if wait { "--wait=true" } else { "--wait=false" },
        ])
        .args(there)
        .limit(Duration::from_mins(3))
        .text()
        .map(drop)
    }

    /// A Secret of texts.
    pub fn make_secret(&self, namespace: &str, name: &str, entries: &[(&str, &str)]) -> Result<()> {
        self.apply(&secret(namespace, name, entries)).map(drop)
    }

    /// Sets the double's knobs (`tests/testbed/harvester/README.md`), all others to their defaults.
    pub fn set_knobs(&self, knobs: &[(&str, &str)]) -> Result<()> {
        let data: serde_json::Map<String, Value> = knobs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "testbed-double", "namespace": ENGINE_NAMESPACE}, "data": data,
        });
        self.run(["replace", "-f", "-"])
            .input(object.to_string())
            .text()
            .map(drop)
    }
}

/// The manifest of a Secret of texts.
pub fn secret(namespace: &str, name: &str, entries: &[(&str, &str)]) -> String {
    let data: serde_json::Map<String, Value> = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace}, "stringData": data,
    })
    .to_string()
}

/// Several manifests in one text.
fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A text below an object, or an empty one.
pub fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// `namespace/name` of an object.
pub fn place(object: &Value) -> String {
    format!(
        "{}/{}",
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}
