//! Two values of one type, field by field, in words.
//!
//! Works on their JSON, so that a field which a type gains later is compared as well; known fields
//! have the names that people use.

use schemas::shown::shown;
use schemas::units::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::FieldChange;

/// Most characters of a value that are told.
const VALUE_CHARACTERS_MAX: usize = 60;

/// What people call a field.
const NAMES: [(&str, &str); 41] = [
    ("bios_uuid", "BIOS UUID"),
    ("boot_image", "boot image"),
    ("cbt", "changed block tracking"),
    ("clusterUid", "cluster"),
    ("cores_per_socket", "cores a socket"),
    ("dc", "datacenter"),
    ("disks", "provisioned disks"),
    ("excludes", "kept apart from"),
    ("find", "what the engine looks for"),
    ("from", "source object"),
    ("ft", "fault tolerance"),
    ("guest_os", "guest system"),
    ("host_group", "cluster"),
    ("hw_version", "hardware version"),
    ("lastStart", "last start"),
    ("machine", "name on the target"),
    ("memory_mib", "memory"),
    ("other_devices", "other devices"),
    ("passthrough", "devices passed through"),
    ("peak", "scratch peak"),
    ("prerequisites", "what must run before"),
    ("record", "record"),
    ("ref", "reference"),
    ("resident", "scratch until it runs"),
    ("root_disk", "system disk"),
    ("secure_boot", "secure boot"),
    ("shutdownTimeout", "shutdown timeout"),
    ("storageClass", "storage class"),
    ("tpm", "TPM"),
    ("transfer", "bytes to export"),
    ("vapp", "vApp"),
    ("vcpus", "vCPUs"),
    ("waived", "waived findings"),
    ("dependsOn", "depends on"),
    ("capacity_bytes", "size"),
    ("network_name", "network"),
    ("file_bytes", "file size"),
    ("used_bytes", "used"),
    ("exportBytesPerSecond", "export rate"),
    ("imageBytesPerSecond", "image rate"),
    ("engine", "engine"),
];

/// What differs between two values; fields in `skip` (paths with dots) are not looked at.
pub(super) fn fields<T: Serialize>(before: &T, now: &T, skip: &[&str]) -> Vec<FieldChange> {
    let value = |value: &T| serde_json::to_value(value).expect("our types have a JSON form");
    let mut found = Vec::new();
    walk(&value(before), &value(now), "", "", skip, &mut found);
    found
}

fn walk(
    before: &Value,
    now: &Value,
    path: &str,
    label: &str,
    skip: &[&str],
    found: &mut Vec<FieldChange>,
) {
    if before == now || skip.contains(&path) {
        return;
    }
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            objects(before, now, path, label, skip, found);
        }
        (Value::Array(before), Value::Array(now))
            if before.iter().chain(now).all(|item| id(item).is_some()) =>
        {
            lists(before, now, path, label, skip, found);
        }
        // In a list of plain values only those are told that came or went.
        (Value::Array(before), Value::Array(now))
            if !before.is_empty() && !now.is_empty() && scalars(before) && scalars(now) =>
        {
            let gone = before
                .iter()
                .filter(|item| !now.contains(item))
                .cloned()
                .collect();
            let new = now
                .iter()
                .filter(|item| !before.contains(item))
                .cloned()
                .collect();
            change(label, path, &Value::Array(gone), &Value::Array(new), found);
        }
        _ => change(label, path, before, now, found),
    }
}

fn scalars(items: &[Value]) -> bool {
    items
        .iter()
        .all(|item| !item.is_object() && !item.is_array())
}

fn objects(
    before: &Map<String, Value>,
    now: &Map<String, Value>,
    path: &str,
    label: &str,
    skip: &[&str],
    found: &mut Vec<FieldChange>,
) {
    let keys = before
        .keys()
        .chain(now.keys().filter(|key| !before.contains_key(*key)));
    for key in keys {
        let null = Value::Null;
        let (was, is) = (
            before.get(key).unwrap_or(&null),
            now.get(key).unwrap_or(&null),
        );
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        walk(was, is, &path, &joined(label, &name(key)), skip, found);
    }
}

/// Lists whose items have an identity are compared item by item, wherever they stand.
fn lists(
    before: &[Value],
    now: &[Value],
    path: &str,
    label: &str,
    skip: &[&str],
    found: &mut Vec<FieldChange>,
) {
    let null = Value::Null;
    let of = |list: &[Value], wanted: &str| {
        list.iter()
            .find(|item| id(item).as_deref() == Some(wanted))
            .cloned()
    };
    let ids = before.iter().chain(
        now.iter()
            .filter(|item| !before.iter().any(|other| id(other) == id(item))),
    );
    for item in ids.filter_map(id) {
        let (was, is) = (of(before, &item), of(now, &item));
        let label = format!("{} `{}`", singular(label), shown(&item));
        match (&was, &is) {
            (Some(was), Some(is)) => walk(was, is, path, &label, skip, found),
            _ => change(
                &label,
                path,
                was.as_ref().unwrap_or(&null),
                is.as_ref().unwrap_or(&null),
                found,
            ),
        }
    }
}

/// What names an item of a list.
fn id(item: &Value) -> Option<String> {
    ["key", "id", "name", "workload", "from", "what"]
        .iter()
        .find_map(|field| item.get(field)?.as_str())
        .map(str::to_owned)
}

fn change(label: &str, path: &str, before: &Value, now: &Value, found: &mut Vec<FieldChange>) {
    let field = path.rsplit('.').next().unwrap_or(path);
    found.push(FieldChange {
        what: label.to_owned(),
        before: told(before, field),
        now: told(now, field),
    });
}

/// A value in words; nothing where there is none.
fn told(value: &Value, field: &str) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) if scalars(items) => {
            let items: Vec<String> = items.iter().filter_map(|item| told(item, field)).collect();
            items.join(", ")
        }
        Value::String(text) => shown(text).into_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => match number.as_u64() {
            Some(bytes) if field.ends_with("_bytes") => Bytes(bytes).to_string(),
            Some(mib) if field.ends_with("_mib") => Bytes::from_mib(mib).to_string(),
            Some(gib) if field.ends_with("_gib") => Bytes::from_gib(gib).to_string(),
            _ => number.to_string(),
        },
        Value::Object(fields) => match fields.get("capacity_bytes").and_then(Value::as_u64) {
            Some(bytes) => Bytes(bytes).to_string(),
            None => match fields.get("network_name").or_else(|| fields.get("to")) {
                Some(Value::String(name)) => shown(name).into_owned(),
                _ => value.to_string(),
            },
        },
        Value::Array(_) => value.to_string(),
    };
    if text.chars().count() <= VALUE_CHARACTERS_MAX {
        return Some(text);
    }
    let short: String = text.chars().take(VALUE_CHARACTERS_MAX - 1).collect();
    Some(format!("{short}…"))
}

fn name(field: &str) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == field);
    match known {
        Some((_, name)) => (*name).to_owned(),
        None => words(field),
    }
}

/// `gracefulTimeout`, `graceful_timeout` → `graceful timeout`.
fn words(field: &str) -> String {
    let mut words = String::with_capacity(field.len() + 2);
    for c in field.chars() {
        if c == '_' {
            words.push(' ');
        } else if c.is_uppercase() {
            words.push(' ');
            words.extend(c.to_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

fn joined(label: &str, name: &str) -> String {
    // `size` only groups: its fields say what they are.
    match label {
        "" | "size" => name.to_owned(),
        label => format!("{label}: {name}"),
    }
}

fn singular(label: &str) -> &str {
    match label {
        "provisioned disks" => "disk",
        "nics" => "NIC",
        "networks" => "network",
        label => label.strip_suffix('s').unwrap_or(label),
    }
}
