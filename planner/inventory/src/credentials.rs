//! Secrets: where they come from, and a type that never shows them.
//!
//! The site names Kubernetes Secrets; they are read from the cluster, from a folder as Kubernetes
//! mounts it (`<secret>/<key>`), or from a manifest file with one or more Secrets. The values stay
//! in [`SecretString`]: neither `Debug` nor any error of this module can show them.

use std::collections::BTreeMap;
use std::{fmt, io};

use camino::{Utf8Path, Utf8PathBuf};
use k8s_openapi::api::core::v1::Secret;
use schemas::ids::{Namespace, ObjectName};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::http::RootCause;

/// One Secret's data by key.
#[derive(Default)]
pub struct Credentials(BTreeMap<String, SecretString>);

impl Credentials {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&SecretString> {
        self.0.get(key)
    }

    /// Whose they are, if the key `username` says so. A user's name is no secret.
    pub fn user(&self) -> Option<&str> {
        self.get("username").map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Credentials {
    /// The keys only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Credentials {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let secret = |value: V| SecretString::from(value.into());
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), secret(value)))
                .collect(),
        )
    }
}

/// Where Secrets come from.
#[derive(Clone)]
pub enum CredentialSource {
    /// The cluster that runs the plan.
    Cluster(kube::Client),
    /// A folder with one folder a Secret and one file a key, as Kubernetes mounts them.
    Directory(Utf8PathBuf),
    /// A file with one or more Secrets as manifests, in YAML or JSON.
    Manifest(Utf8PathBuf),
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl CredentialSource {
    /// The folder or manifest file at `path`.
    pub fn at_path(path: &Utf8Path) -> Result<Self, CredentialError> {
        let about = path.metadata().map_err(|source| CredentialError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(if about.is_dir() {
            Self::Directory(path.to_owned())
        } else {
            Self::Manifest(path.to_owned())
        })
    }

    /// Reads one Secret. In a manifest file, one without a namespace fits any.
    pub async fn load(
        &self,
        namespace: &Namespace,
        name: &ObjectName,
    ) -> Result<Credentials, CredentialError> {
        match self {
            Self::Cluster(client) => from_cluster(client, namespace, name).await,
            Self::Directory(path) => from_directory(&path.join(name.as_str())),
            Self::Manifest(path) => from_manifest(path, namespace, name),
        }
    }

    /// Where that is, for messages.
    pub fn place(&self) -> String {
        match self {
            Self::Cluster(_) => "the cluster".to_owned(),
            Self::Directory(path) | Self::Manifest(path) => format!("`{path}`"),
        }
    }
}

/// Why a Secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is no such Secret.
    #[error("find the Secret `{namespace}/{name}` in {place}")]
    Missing {
        /// Its namespace.
        namespace: Namespace,
        /// Its name.
        name: ObjectName,
        /// Where it was looked for.
        place: String,
    },
    /// The cluster does not let us read it.
    #[error("read the Secret `{namespace}/{name}` from the cluster: {message}")]
    Refused {
        /// Its namespace.
        namespace: Namespace,
        /// Its name.
        name: ObjectName,
        /// The API server's words.
        message: String,
    },
    /// The cluster could not be reached.
    #[error("read the Secret `{namespace}/{name}` from the cluster")]
    Unreachable {
        /// Its namespace.
        namespace: Namespace,
        /// Its name.
        name: ObjectName,
        /// Why.
        source: RootCause,
    },
    /// A file or folder could not be read.
    #[error("read `{path}`")]
    File {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else than Kubernetes manifests. What it holds is not repeated,
    /// since it may be a password.
    #[error("read Secrets from `{path}`: it holds something else than Kubernetes objects")]
    NotAManifest {
        /// Which file.
        path: Utf8PathBuf,
    },
    /// A value is not text.
    #[error("use the key `{key}` of the Secret `{name}`: its value is not UTF-8 text")]
    NotText {
        /// The Secret.
        name: String,
        /// The key.
        key: String,
    },
}

impl CredentialError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } | Self::Refused { .. } | Self::Unreachable { .. } => Some(
                "create it, or give it with `--credentials`: a Secret's manifest, or a folder \
                 `<secret>/<key>`"
                    .to_owned(),
            ),
            Self::NotAManifest { .. } => {
                Some("a manifest has `apiVersion: v1` and `kind: Secret`".to_owned())
            }
            Self::File { .. } | Self::NotText { .. } => None,
        }
    }
}

async fn from_cluster(
    client: &kube::Client,
    namespace: &Namespace,
    name: &ObjectName,
) -> Result<Credentials, CredentialError> {
    let api = kube::Api::<Secret>::namespaced(client.clone(), namespace.as_str());
    let failed = |error| match error {
        kube::Error::Api(status) if status.code < 500 => CredentialError::Refused {
            namespace: namespace.clone(),
            name: name.clone(),
            message: status.message.clone(),
        },
        error => CredentialError::Unreachable {
            namespace: namespace.clone(),
            name: name.clone(),
            source: RootCause::of(&error),
        },
    };
    let secret = api.get_opt(name.as_str()).await.map_err(failed)?;
    let secret = secret.ok_or_else(|| CredentialError::Missing {
        namespace: namespace.clone(),
        name: name.clone(),
        place: "the cluster".to_owned(),
    })?;
    from_object(name.as_str(), secret)
}

/// `data` and, with precedence as in Kubernetes, `stringData`.
fn from_object(name: &str, secret: Secret) -> Result<Credentials, CredentialError> {
    let mut values = BTreeMap::new();
    for (key, value) in secret.data.unwrap_or_default() {
        let text = String::from_utf8(value.0).map_err(|_| CredentialError::NotText {
            name: name.to_owned(),
            key: key.clone(),
        })?;
        values.insert(key, SecretString::from(text));
    }
    for (key, text) in secret.string_data.unwrap_or_default() {
        values.insert(key, SecretString::from(text));
    }
    Ok(Credentials(values))
}

/// A file a key. Names that begin with a dot are Kubernetes' own bookkeeping. One newline at the
/// end is an editor's, not the password's.
fn from_directory(folder: &Utf8Path) -> Result<Credentials, CredentialError> {
    let failed = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| CredentialError::File { path, source }
    };
    let mut values = BTreeMap::new();
    for entry in folder.read_dir_utf8().map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        let (key, path) = (entry.file_name(), entry.path());
        if key.starts_with('.') || !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(path).map_err(failed(path))?;
        let text = String::from_utf8(bytes).map_err(|_| CredentialError::NotText {
            name: folder.file_name().unwrap_or_default().to_owned(),
            key: key.to_owned(),
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        values.insert(key.to_owned(), SecretString::from(text));
    }
    Ok(Credentials(values))
}

fn from_manifest(
    path: &Utf8Path,
    namespace: &Namespace,
    name: &ObjectName,
) -> Result<Credentials, CredentialError> {
    let text = std::fs::read_to_string(path).map_err(|source| CredentialError::File {
        path: path.to_owned(),
        source,
    })?;
    let not_a_manifest = || CredentialError::NotAManifest {
        path: path.to_owned(),
    };
    for object in schemas::yaml::documents(&text).map_err(|_| not_a_manifest())? {
        let text_at = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let fits = text_at("/kind").ok_or_else(not_a_manifest)? == "Secret"
            && text_at("/metadata/name") == Some(name.as_str())
            && text_at("/metadata/namespace").is_none_or(|there| there == namespace.as_str());
        if fits {
            let secret = serde_json::from_value(object).map_err(|_| not_a_manifest())?;
            return from_object(name.as_str(), secret);
        }
    }
    Err(CredentialError::Missing {
        namespace: namespace.clone(),
        name: name.clone(),
        place: format!("`{path}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(credentials: &Credentials, key: &str) -> Option<String> {
        credentials
            .get(key)
            .map(|value| value.expose_secret().to_owned())
    }

    // A manifest with several Secrets: the one of that name and namespace is found, in both forms
    // of data, and neither Debug nor an error shows a value.
    #[tokio::test]
    async fn manifest_of_several() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = Utf8Path::from_path(folder.path())
            .expect("UTF-8")
            .join("secrets.yaml");
        let text = "\
apiVersion: v1
kind: Secret
metadata: { name: cloud, namespace: other }
stringData: { username: wrong }
---
# what the engine uses
apiVersion: v1
kind: Secret
metadata: { name: cloud }
data: { username: cGxhbm5lcg== }
stringData: { password: hunter2 }
---
apiVersion: v1
kind: Secret
metadata: { name: broken }
data: { username: '%%hunter2%%' }
";
        std::fs::write(&path, text).expect("written");
        let source = CredentialSource::at_path(&path).expect("a file");
        let namespace = Namespace::from("migrations");
        let found = source
            .load(&namespace, &"cloud".into())
            .await
            .expect("found");
        assert_eq!(shown(&found, "username").as_deref(), Some("planner"));
        assert_eq!(shown(&found, "password").as_deref(), Some("hunter2"));
        assert_eq!(format!("{found:?}"), r#"{"password", "username"}"#);

        let missing = source
            .load(&namespace, &"none".into())
            .await
            .expect_err("not there");
        assert!(matches!(missing, CredentialError::Missing { .. }));
        let broken = source
            .load(&namespace, &"broken".into())
            .await
            .expect_err("not base64");
        assert!(!format!("{broken} {broken:?}").contains("hunter2"));
    }

    // A folder as Kubernetes mounts it: files are keys, `..data` is not, and an editor's newline
    // does not become part of the password.
    #[tokio::test]
    async fn mounted_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        std::fs::create_dir_all(root.join("cloud/..data")).expect("made");
        std::fs::write(root.join("cloud/password"), "hunter2\n").expect("written");
        let source = CredentialSource::at_path(root).expect("a folder");
        let found = source
            .load(&"any".into(), &"cloud".into())
            .await
            .expect("found");
        assert_eq!(shown(&found, "password").as_deref(), Some("hunter2"));
        assert_eq!(format!("{found:?}"), r#"{"password"}"#);
        assert!(source.load(&"any".into(), &"none".into()).await.is_err());
    }
}
