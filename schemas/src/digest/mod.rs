//! Digests of typed content: what an approval speaks of.
//!
//! A digest is the SHA-256 of a value's canonical JSON: keys sorted at every depth, no spaces,
//! defaults left out by the types themselves. So neither a comment, nor the order of keys, nor a
//! default that is spelt out changes it; any decision does.

mod canonical;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::canonical::Omitted;
use crate::ids::Digest;
use crate::wave::WaveSpec;

/// Fields of a wave that its digest does not cover: itself, who wrote it, a switch that people own,
/// and what only `diff` looks at.
const NOT_IN_WAVE_DIGEST: [Omitted; 4] = [
    Omitted {
        of: None,
        field: "digest",
    },
    Omitted {
        of: None,
        field: "generator",
    },
    Omitted {
        of: None,
        field: "suspend",
    },
    Omitted {
        of: Some("inputs"),
        field: "inventory",
    },
];

impl WaveSpec {
    /// The digest of its decisions; what `self.digest` must be.
    pub fn compute_digest(&self) -> Digest {
        without(self, &NOT_IN_WAVE_DIGEST)
    }
}

/// The digest of `value`: `sha256:` and 64 hex digits.
///
/// # Panics
/// Where `value` has no JSON form (a map whose keys are not strings), which no type of ours lacks.
pub fn of<T: Serialize>(value: &T) -> Digest {
    without(value, &[])
}

fn without<T: Serialize>(value: &T, omitted: &[Omitted]) -> Digest {
    let hash = Sha256::digest(canonical::write(value, omitted).expect(HAVE_JSON));
    let mut text = String::from("sha256:");
    for byte in hash {
        write!(text, "{byte:02x}").expect("a String takes everything");
    }
    Digest::new(text)
}

/// The canonical JSON of `value`: keys sorted at every depth, no spaces.
///
/// # Panics
/// As [`of`].
pub fn canonical_json<T: Serialize>(value: &T) -> String {
    let json = canonical::write(value, &[]).expect(HAVE_JSON);
    String::from_utf8(json).expect("JSON is UTF-8")
}

const HAVE_JSON: &str = "our types have string keys and finite numbers";

/// Sorts keys ourselves: a dependency may turn on `preserve_order` in `serde_json`.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wave() -> Value {
        json!({
            "plan": "erp",
            "target": { "name": "hv1", "engine": "vmImport" },
            "approval": "required",
            "admission": "balanced",
            "rates": {
                "exportBytesPerSecond": "110Mi", "imageBytesPerSecond": "300Mi",
                "shutdown": "1m", "boot": "1m30s",
            },
            "scratch": "360Gi",
            "sources": [{
                "name": "shelf-erp", "source": "shelf", "ova": { "url": "https://files/erp.ova" },
            }],
            "imports": [{
                "vm": "shelf/erp", "order": 10, "name": "erp", "workload": "db",
                "record": "erp-00c0ffee", "from": "shelf-erp", "find": "erp",
                "namespace": "erp", "machine": "erp", "storageClass": "harvester-lh-v1",
                "networks": [{ "from": "VM Network", "to": "default/vlan10" }],
                "shutdownTimeout": "30m",
                "size": { "peak": "12Gi", "resident": "10Gi", "transfer": "2Gi", "disks": "10Gi" },
            }],
            "inputs": {
                "plan": format!("sha256:{}", "a".repeat(64)),
                "inventory": format!("sha256:{}", "b".repeat(64)),
            },
            "generator": "windrow 0.1.0",
            "digest": format!("sha256:{}", "0".repeat(64)),
        })
    }

    fn digest(wave: Value) -> Digest {
        serde_json::from_value::<WaveSpec>(wave)
            .expect("a valid wave")
            .compute_digest()
    }

    // What is no decision leaves the digest as it is: approvals survive it.
    #[test]
    fn unchanged() {
        let before = digest(wave());
        assert_eq!(before.as_str().len(), 71);
        for (pointer, value) in [
            ("/generator", json!("windrow 9.9.9")),
            ("/digest", json!(format!("sha256:{}", "1".repeat(64)))),
            ("/suspend", json!(true)),
            (
                "/inputs/inventory",
                json!(format!("sha256:{}", "c".repeat(64))),
            ),
            // The same decision, spelt differently.
            ("/scratch", json!("368640Mi")),
            ("/rates/boot", json!("90s")),
            ("/workloads", json!([])),
        ] {
            assert_eq!(digest(with(pointer, value)), before, "{pointer}");
        }
    }

    // Every leaf that is left is a decision: change it, and the approval no longer holds.
    #[test]
    fn changed() {
        let before = digest(wave());
        for (pointer, value) in [
            ("/plan", json!("crm")),
            ("/target/name", json!("hv2")),
            ("/target/clusterUid", json!("1-2-3")),
            ("/approval", json!("none")),
            ("/admission", json!("throughput")),
            ("/rates/boot", json!("91s")),
            ("/scratch", json!("361Gi")),
            ("/sources/0/ova/url", json!("https://files/other.ova")),
            ("/imports/0/order", json!(20)),
            ("/imports/0/find", json!("erp2")),
            ("/imports/0/machine", json!("erp2")),
            ("/imports/0/storageClass", json!("fast")),
            ("/imports/0/networks/0/to", json!("default/vlan20")),
            ("/imports/0/size/peak", json!("13Gi")),
            ("/imports/0/excludes", json!(["shelf/crm"])),
            ("/inputs/plan", json!(format!("sha256:{}", "d".repeat(64)))),
        ] {
            assert_ne!(digest(with(pointer, value)), before, "{pointer}");
        }
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut wave = wave();
        let (parent, field) = pointer
            .rsplit_once('/')
            .expect("a pointer begins with a slash");
        match wave.pointer_mut(parent) {
            Some(Value::Object(fields)) => fields.insert(field.to_owned(), value),
            other => panic!("{parent} is {other:?}"),
        };
        wave
    }

    // The bytes that are hashed do not depend on the order in which keys were given.
    #[test]
    fn canonical() {
        let value = json!({ "b": [{ "z": 1, "a": "ü" }], "a": null });
        assert_eq!(
            canonical_json(&value),
            r#"{"a":null,"b":[{"a":"ü","z":1}]}"#
        );
    }
}
