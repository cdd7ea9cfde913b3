//! Answers of the OpenStack services, as far as we look at them.
//!
//! Keys that only administrators see are optional, and so is what some release lacks. Everything
//! else of an answer is skipped while it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `GET /servers/detail` at microversion 2.26.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Server {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) tenant_id: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) locked: Option<bool>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) flavor: FlavorRef,
    /// `""` for a server that boots from a volume, else an object.
    #[serde(default, deserialize_with = "id_of_object")]
    pub(super) image: Option<String>,
    /// Network name to addresses.
    #[serde(default)]
    pub(super) addresses: BTreeMap<String, Vec<Address>>,
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    pub(super) task_state: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone", default)]
    pub(super) availability_zone: Option<String>,
    #[serde(rename = "os-extended-volumes:volumes_attached", default)]
    pub(super) volumes: Vec<Id>,
}

/// An object of which only the id matters.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Id {
    pub(super) id: String,
}

/// A server's flavor: its id before microversion 2.47, a copy of its values from then on.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct FlavorRef {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) original_name: Option<String>,
    #[serde(default)]
    pub(super) vcpus: Option<u32>,
    #[serde(default)]
    pub(super) ram: Option<u64>,
    #[serde(default)]
    pub(super) ephemeral: u64,
    #[serde(default, deserialize_with = "number_or_empty")]
    pub(super) swap: u64,
}

/// One address of a server.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Address {
    pub(super) addr: String,
    #[serde(rename = "OS-EXT-IPS-MAC:mac_addr", default)]
    pub(super) mac: Option<String>,
    #[serde(rename = "OS-EXT-IPS:type", default)]
    pub(super) kind: Option<String>,
}

/// `GET /flavors/detail`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Flavor {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) vcpus: u32,
    /// MiB.
    pub(super) ram: u64,
    /// GiB.
    #[serde(rename = "OS-FLV-EXT-DATA:ephemeral", default)]
    pub(super) ephemeral: u64,
    /// MiB; `""` for none before microversion 2.75.
    #[serde(default, deserialize_with = "number_or_empty")]
    pub(super) swap: u64,
}

/// `GET /volumes/detail`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Volume {
    pub(super) id: String,
    /// GiB.
    pub(super) size: u64,
    /// `"true"` or `"false"`, as text.
    #[serde(default)]
    pub(super) bootable: String,
    #[serde(rename = "volume_type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) multiattach: bool,
    #[serde(default)]
    pub(super) encrypted: Option<bool>,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
    /// A copy of its image's properties.
    #[serde(rename = "volume_image_metadata", default)]
    pub(super) image: BTreeMap<String, String>,
}

impl Volume {
    /// The image that it was made from, as the engine looks for it (O04).
    pub(super) fn image_id(&self) -> Option<&str> {
        self.image.get("image_id").map(String::as_str)
    }
}

/// Where a volume hangs, in Cinder's words.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Attachment {
    pub(super) server_id: String,
    #[serde(default)]
    pub(super) device: Option<String>,
}

/// `GET /servers/ID/os-volume_attachments`: the same in Nova's words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerAttachment {
    pub(super) volume_id: String,
    #[serde(default)]
    pub(super) device: Option<String>,
}

/// `GET /snapshots/detail`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: String,
    pub(super) volume_id: String,
}

/// `GET /types`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct VolumeType {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
}

/// `GET /v2.0/ports`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Port {
    pub(super) id: String,
    #[serde(default)]
    pub(super) device_id: String,
    #[serde(default)]
    pub(super) device_owner: String,
    #[serde(default)]
    pub(super) network_id: String,
    #[serde(default)]
    pub(super) mac_address: String,
    #[serde(default)]
    pub(super) fixed_ips: Vec<Value>,
    #[serde(rename = "binding:vnic_type", default)]
    pub(super) vnic_type: Option<String>,
}

/// `GET /v2.0/networks`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Network {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) tenant_id: Option<String>,
    #[serde(default)]
    pub(super) shared: bool,
    /// Administrators see these two.
    #[serde(rename = "provider:network_type", default)]
    pub(super) provider_type: Option<String>,
    #[serde(rename = "provider:segmentation_id", default)]
    pub(super) segment: Option<u64>,
}

/// `GET /v2/images/ID`: a flat object in which properties stand beside fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Image(BTreeMap<String, Value>);

impl Image {
    /// A property's text, if it has one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }
}

impl<'a> FromIterator<(&'a String, &'a String)> for Image {
    /// From a volume's copy of its image's properties.
    fn from_iter<I: IntoIterator<Item = (&'a String, &'a String)>>(pairs: I) -> Self {
        let text = |value: &String| Value::from(value.as_str());
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.clone(), text(value)))
                .collect(),
        )
    }
}

fn id_of_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.get("id").and_then(Value::as_str).map(str::to_owned))
}

fn number_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64().unwrap_or(0))
}
