//! Names and ids. Each has its own type, so that a VM's name can never stand where its id must.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, max $max:literal $(, pattern $pattern:literal)?) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; what its form must be is checked by the file's schema.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "minLength": 1, "maxLength": $max
                    $(, "pattern": $pattern)?
                })
            }
        }
    };
}

id! {
    /// A source's name in the site: also the name of its object in the target cluster.
    SourceName, max 52, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// A target's name in the site: one Harvester cluster with its engine and scratch.
    TargetName, max 52, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// A workload's name in its plan.
    WorkloadName, max 52, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// A window's name in the site.
    WindowName, max 52, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// The day or id of one occurrence of a window, as in `2026-11-28` or `2027-W06`.
    OccurrenceId, max 52, pattern "^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$"
}
id! {
    /// A plan's name (`metadata.name`).
    PlanName, max 52, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// A wave's name (`metadata.name`): plan and file stem, as in `erp-020-db`.
    WaveName, max 63, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// What names a VM for ever within its source: vSphere's instance UUID, OpenStack's server id,
    /// the item's name of an OVA source.
    VmId, max 255
}
id! {
    /// A VM's name as its source shows it: not unique, any characters.
    VmName, max 255
}
id! {
    /// A Kubernetes namespace.
    Namespace, max 63, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
}
id! {
    /// The name of a Kubernetes object.
    ObjectName, max 253, pattern "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
}
id! {
    /// A network's name at its source, as the engine computes it for a NIC.
    SourceNetworkName, max 255
}
id! {
    /// A network of the target cluster, `namespace/name` (W10).
    TargetNetworkName, max 253, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
}
id! {
    /// `sha256:` and 64 hex digits.
    Digest, max 71, pattern "^sha256:[0-9a-f]{64}$"
}

/// A VM of one source: the key of everything that is planned and done. Written `SOURCE/ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmKey {
    /// The source it is in.
    pub source: SourceName,
    /// Its id there.
    pub id: VmId,
}

impl VmKey {
    /// The VM `id` of `source`.
    pub fn new(source: impl Into<SourceName>, id: impl Into<VmId>) -> Self {
        Self {
            source: source.into(),
            id: id.into(),
        }
    }
}

impl fmt::Display for VmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.id)
    }
}

/// Why a text is not a VM's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a VM: write `SOURCE/ID`")]
pub struct VmKeyError(String);

impl FromStr for VmKey {
    type Err = VmKeyError;

    fn from_str(text: &str) -> Result<Self, VmKeyError> {
        // A source's name has no slash, so the first one ends it; an id may have some.
        match text.split_once('/') {
            Some((source, id)) if !source.is_empty() && !id.is_empty() => Ok(Self::new(source, id)),
            _ => Err(VmKeyError(text.to_owned())),
        }
    }
}

impl Serialize for VmKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VmKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for VmKey {
    fn schema_name() -> Cow<'static, str> {
        "VmKey".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 308, "pattern": "^[^/]+/.+$" })
    }
}

/// A plan by name: in the namespace that is given, else in that of whoever names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanRef {
    /// Its namespace, where that is another one.
    pub namespace: Option<Namespace>,
    /// Its name.
    pub name: PlanName,
}

impl fmt::Display for PlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// A workload that others wait for: `db` of the same plan, `infra/ad` of another one in the same
/// namespace, `network/infra/ad` of one in another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    /// The plan; absent: the one that names it.
    pub plan: Option<PlanRef>,
    /// The workload.
    pub name: WorkloadName,
}

impl WorkloadRef {
    /// The workload, if it is of the plan that names it.
    pub fn own(&self) -> Option<&WorkloadName> {
        self.plan.is_none().then_some(&self.name)
    }

    /// The namespace of its plan, where that is another one.
    pub fn namespace(&self) -> Option<&Namespace> {
        self.plan.as_ref()?.namespace.as_ref()
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.plan {
            Some(plan) => write!(f, "{plan}/{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl From<&str> for WorkloadRef {
    /// Takes the text as it is; what its form must be is checked by the file's schema.
    fn from(text: &str) -> Self {
        let (plan, name) = match text.rsplit_once('/') {
            None => (None, text),
            Some((plan, name)) => {
                let (namespace, plan) = match plan.split_once('/') {
                    None => (None, plan),
                    Some((namespace, plan)) => (Some(Namespace::from(namespace)), plan),
                };
                let name_of_plan = PlanName::from(plan);
                let plan = PlanRef {
                    namespace,
                    name: name_of_plan,
                };
                (Some(plan), name)
            }
        };
        Self {
            plan,
            name: WorkloadName::from(name),
        }
    }
}

impl From<WorkloadName> for WorkloadRef {
    fn from(name: WorkloadName) -> Self {
        Self { plan: None, name }
    }
}

impl PartialEq<WorkloadName> for WorkloadRef {
    fn eq(&self, other: &WorkloadName) -> bool {
        self.own() == Some(other)
    }
}

impl PartialEq<&str> for WorkloadRef {
    fn eq(&self, other: &&str) -> bool {
        let other = Self::from(*other);
        *self == other
    }
}

impl Serialize for WorkloadRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkloadRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

impl JsonSchema for WorkloadRef {
    fn schema_name() -> Cow<'static, str> {
        "WorkloadRef".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 169, "pattern": WORKLOAD_REF })
    }
}

/// The form of a [`WorkloadRef`].
pub(crate) const WORKLOAD_REF: &str =
    "^([a-z0-9]([-a-z0-9]*[a-z0-9])?/){0,2}[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

#[cfg(test)]
mod tests {
    use super::*;

    // What is written is what was read, with and without plan and namespace.
    #[test]
    fn workloads_of_other_plans() {
        for text in ["db", "infra/ad", "network/infra/ad"] {
            assert_eq!(WorkloadRef::from(text).to_string(), text);
        }
        let far = WorkloadRef::from("network/infra/ad");
        assert_eq!(far.namespace(), Some(&Namespace::from("network")));
        assert_eq!((far.own(), far.name.as_str()), (None, "ad"));
        assert_eq!(WorkloadRef::from("db"), WorkloadName::from("db"));
        assert_ne!(WorkloadRef::from("infra/db"), WorkloadName::from("db"));
    }
}
