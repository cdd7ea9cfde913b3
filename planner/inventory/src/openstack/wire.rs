//! Answers of the OpenStack services, as far as we look at them.
//!
//! Keys that only administrators see are optional, and so is what some release lacks. Everything
//! else of an answer is skipped while it is read.

use std::collections::BTreeMap;

use schemas::inventory::Project;
use serde::de::IgnoredAny;
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
    #[serde(default)]
    pub(super) created: Option<String>,
    #[serde(default)]
    pub(super) key_name: Option<String>,
    /// `"True"` or an empty text.
    #[serde(default)]
    pub(super) config_drive: Option<String>,
    #[serde(default)]
    pub(super) security_groups: Vec<Name>,
    /// Administrators see these two.
    #[serde(rename = "OS-EXT-SRV-ATTR:root_device_name", default)]
    pub(super) root_device: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:user_data", default)]
    pub(super) user_data: UserData,
    #[serde(rename = "os-extended-volumes:volumes_attached", default)]
    pub(super) volumes: Vec<Id>,
}

/// Whether a server was given user data. What it was given may be a secret: it is skipped while
/// the answer is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UserData {
    #[default]
    NotShown,
    None,
    Some,
}

impl<'de> Deserialize<'de> for UserData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Option::<IgnoredAny>::deserialize(deserializer)?;
        Ok(given.map_or(Self::None, |_| Self::Some))
    }
}

/// A server of the census, `GET /servers`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Counted {
    pub(super) id: String,
    /// Only of servers whose cell is down.
    #[serde(default)]
    pub(super) status: Option<String>,
}

/// `GET /os-server-groups`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ServerGroup {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    /// Before microversion 2.64 a list, of one.
    #[serde(default)]
    pub(super) policies: Vec<String>,
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) members: Vec<String>,
}

impl ServerGroup {
    /// `affinity`, `anti-affinity`, `soft-affinity`, `soft-anti-affinity`.
    pub(super) fn policy(&self) -> &str {
        let listed = self.policies.first().map(String::as_str);
        self.policy.as_deref().or(listed).unwrap_or_default()
    }
}

/// `GET /limits` of Cinder; -1 is no limit.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Limits {
    pub(super) limits: AllLimits,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct AllLimits {
    #[serde(default)]
    pub(super) absolute: BTreeMap<String, i64>,
}

/// `GET /v3/projects`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Projects {
    #[serde(default)]
    pub(super) projects: Vec<Project>,
}

/// The numbers of an endpoint's root, of which there may be several.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Versions {
    #[serde(default)]
    pub(super) version: Option<Version>,
    #[serde(default)]
    pub(super) versions: Vec<Version>,
}

/// One version of a service.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Version {
    /// Newest microversion; empty where there are none.
    #[serde(default)]
    pub(super) version: String,
}

/// An object of which only the name matters.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Name {
    #[serde(default)]
    pub(super) name: String,
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
    /// GiB.
    #[serde(default)]
    pub(super) disk: u64,
    #[serde(default)]
    pub(super) extra_specs: BTreeMap<String, String>,
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
    /// GiB.
    #[serde(default)]
    pub(super) disk: u64,
    #[serde(rename = "os-flavor-access:is_public", default)]
    pub(super) public: Option<bool>,
    /// From microversion 2.61 on, where the account may see them.
    #[serde(default)]
    pub(super) extra_specs: BTreeMap<String, String>,
}

/// `GET /volumes/detail`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Volume {
    pub(super) id: String,
    /// GiB.
    pub(super) size: u64,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) availability_zone: Option<String>,
    /// Administrators see it.
    #[serde(rename = "os-vol-host-attr:host", default)]
    pub(super) host: Option<String>,
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
    pub(super) fixed_ips: Vec<FixedIp>,
    #[serde(rename = "binding:vnic_type", default)]
    pub(super) vnic_type: Option<String>,
}

/// An address of a port.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct FixedIp {
    #[serde(default)]
    pub(super) ip_address: String,
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
    #[serde(default)]
    pub(super) mtu: Option<u32>,
    #[serde(default)]
    pub(super) subnets: Vec<String>,
    #[serde(rename = "router:external", default)]
    pub(super) external: bool,
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
