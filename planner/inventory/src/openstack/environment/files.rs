//! `clouds.yaml` and `secure.yaml`: where they lie, and what one cloud of them says.
//!
//! The first file found is taken, as `openstack` does it: the one that a variable names, else in the
//! folder we are in, the user's own, the machine's. What `secure.yaml` has goes over the other.

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{CloudError, SETTINGS, Settings};

/// Endings of these files, in the order they are looked for in each folder.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// Levels of merge keys (`<<`) that are followed; a file that people write has one or two.
const MERGES_MAX: u32 = 16;

/// A cloud of a file.
pub(super) struct Found {
    pub(super) settings: Settings,
    /// Regions that it names, where it names several.
    pub(super) regions: Vec<String>,
    pub(super) way: String,
}

/// The cloud of that name or, without a name, the only one there is.
pub(super) fn cloud(
    named: Option<&str>,
    folder: &Utf8Path,
    set: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Found>, CloudError> {
    let folders = folders(folder, set);
    let path = find("clouds", set("OS_CLIENT_CONFIG_FILE"), &folders);
    let secure = find("secure", set("OS_CLIENT_SECURE_FILE"), &folders);
    let mut clouds = Map::new();
    for path in [&path, &secure].into_iter().flatten() {
        merge(&mut clouds, read(path)?);
    }
    let name = match named {
        Some(name) => name.to_owned(),
        None if clouds.len() == 1 => clouds.keys().next().cloned().unwrap_or_default(),
        None => return Ok(None),
    };
    let Some(path) = path.or(secure) else {
        return Err(CloudError::NoFile { name });
    };
    let Some(cloud) = clouds.get(&name).and_then(Value::as_object) else {
        return Err(CloudError::NoCloud {
            name,
            place: format!("`{path}`"),
            known: clouds.keys().cloned().collect(),
        });
    };
    let way = format!("the cloud `{name}` of `{path}`");
    let settings = settings(cloud, &way)?;
    Ok(Some(Found {
        settings,
        regions: regions(cloud),
        way,
    }))
}

/// The text of a file of authorities; `~` is the user's home.
pub(super) fn authorities(
    path: &str,
    set: &impl Fn(&str) -> Option<String>,
) -> Result<String, CloudError> {
    let home = path.strip_prefix("~/").zip(set("HOME"));
    let path = home.map_or_else(
        || path.into(),
        |(rest, home)| Utf8Path::new(&home).join(rest),
    );
    std::fs::read_to_string(&path).map_err(|source| CloudError::File { path, source })
}

/// Where such files lie, the first first.
fn folders(folder: &Utf8Path, set: &impl Fn(&str) -> Option<String>) -> Vec<Utf8PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let home = set("HOME").map(Utf8PathBuf::from);
    let user = set("XDG_CONFIG_HOME").map(Utf8PathBuf::from);
    if cfg!(target_os = "macos") {
        let library = home
            .iter()
            .map(|home| home.join("Library/Application Support"));
        folders.extend(library.map(|folder| folder.join("openstack")));
    }
    let own = home.map(|home| home.join(".config"));
    folders.extend(
        user.into_iter()
            .chain(own)
            .map(|folder| folder.join("openstack")),
    );
    let shared = set("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let shared = shared.split(':').filter(|folder| !folder.is_empty());
    folders.extend(shared.map(|folder| Utf8Path::new(folder).join("openstack")));
    folders.push("/etc/openstack".into());
    folders
}

fn find(stem: &str, named: Option<String>, folders: &[Utf8PathBuf]) -> Option<Utf8PathBuf> {
    let inside = folders.iter().flat_map(|folder| {
        let file = |ending: &&str| folder.join(format!("{stem}.{ending}"));
        ENDINGS.iter().map(file).collect::<Vec<_>>()
    });
    // One that is named and not there is passed over, as the others' tools do.
    let named = named.map(Utf8PathBuf::from);
    named.into_iter().chain(inside).find(|path| path.is_file())
}

fn read(path: &Utf8Path) -> Result<Map<String, Value>, CloudError> {
    let text = std::fs::read_to_string(path).map_err(|source| CloudError::File {
        path: path.to_owned(),
        source,
    })?;
    let mut documents = schemas::yaml::documents(&text)
        .unwrap_or_default()
        .into_iter();
    let first = documents.next().map(|value| merged(value, MERGES_MAX));
    let clouds = first.and_then(|mut file| file.get_mut("clouds").map(Value::take));
    match clouds {
        Some(Value::Object(clouds)) => Ok(clouds),
        _ => Err(CloudError::NotClouds {
            path: path.to_owned(),
        }),
    }
}

/// The value with its merge keys (`<<`) resolved: what a mapping has itself wins.
fn merged(value: Value, levels: u32) -> Value {
    let Value::Object(mut own) = value else {
        return value;
    };
    let parents = match own.remove("<<") {
        Some(Value::Array(parents)) => parents,
        Some(parent) => vec![parent],
        None => Vec::new(),
    };
    let mut map = Map::new();
    if levels > 0 {
        for parent in parents.into_iter().rev() {
            if let Value::Object(parent) = merged(parent, levels - 1) {
                map.extend(parent);
            }
        }
    }
    let inner = levels.saturating_sub(1);
    map.extend(
        own.into_iter()
            .map(|(key, value)| (key, merged(value, inner))),
    );
    Value::Object(map)
}

/// Lays `over` on `under`, mapping by mapping.
fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Settings stand in a cloud itself or under its `auth`, with `_` or `-`.
fn settings(cloud: &Map<String, Value>, way: &str) -> Result<Settings, CloudError> {
    let mut settings = Settings::default();
    let auth = cloud.get("auth").and_then(Value::as_object);
    for (key, value) in cloud.iter().chain(auth.into_iter().flatten()) {
        let name = key.replace('-', "_");
        if !SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            _ => {
                return Err(CloudError::NotText {
                    way: way.to_owned(),
                    key: key.clone(),
                });
            }
        };
        settings.0.insert(name, SecretString::from(text));
    }
    Ok(settings)
}

/// `regions`: names, or mappings with a name.
fn regions(cloud: &Map<String, Value>) -> Vec<String> {
    let listed = cloud.get("regions").and_then(Value::as_array);
    let name = |region: &Value| {
        let name = region.get("name").unwrap_or(region);
        name.as_str().map(str::to_owned)
    };
    listed.into_iter().flatten().filter_map(name).collect()
}
