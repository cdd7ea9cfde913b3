//! `cargo xtask gates`: proof that the core does no IO (ARCHITECTURE.md, invariant 1), three ways.
//!
//! 1. No pure crate's manifest names an IO crate, a build script, or a dependency's IO features;
//!    and no crate but `schemas` names a YAML crate.
//! 2. Nothing that a pure crate depends on, however far down, is on the deny list.
//! 3. Each crate's folder has the `clippy.toml` that bans clocks, files and hash maps in its code;
//!    clippy itself then finds violations (`cargo xtask check`).

#![expect(clippy::print_stderr, reason = "what it has to say")]

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::clippy::{self, CRATES, Rules};

/// Prove that the core does no IO
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Crates that do IO, know the time or roll dice. A pure crate has none of them, at any depth.
const IMPURE: [&str; 33] = [
    "async-std",
    "chrono",
    "console",
    "curl",
    "fastrand",
    "fs-err",
    "getrandom",
    "h2",
    "hyper",
    "hyper-util",
    "iana-time-zone",
    "indicatif",
    "kube-client",
    "kube-runtime",
    "memmap2",
    "mio",
    "native-tls",
    "notify",
    "openssl",
    "polling",
    "rand",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing-subscriber",
    "tungstenite",
    "ureq",
    "uuid",
    "walkdir",
];

/// Crates that read or write YAML: `schemas` has the one door.
const YAML: [&str; 8] = [
    "granit-parser",
    "saphyr",
    "serde-saphyr",
    "serde-yaml-ng",
    "serde_norway",
    "serde_yaml",
    "serde_yml",
    "yaml_serde",
];

/// Dependencies that are pure only with some of their features, and those that are.
const PURE_FEATURES: [(&str, &[&str]); 2] = [
    ("kube", &["derive"]),
    ("jiff", &["std", "serde", "tzdb-bundle-always"]),
];

/// Runs all gates; false if one does not hold.
pub fn run(root: &Path) -> Result<bool> {
    let metadata: Value = serde_json::from_str(&cargo(
        root,
        &["metadata", "--format-version", "1", "--no-deps"],
    )?)?;
    let packages = packages(&metadata, root)?;

    let mut broken = Vec::new();
    broken.extend(manifests(&packages));
    for package in packages.iter().filter(|package| package.is_pure()) {
        let name = &package.name;
        let tree = cargo(
            root,
            &[
                "tree",
                "-p",
                name,
                "-e",
                "normal,build",
                "--prefix",
                "none",
                "-f",
                "{p}",
            ],
        )?;
        broken.extend(trees(name, &tree));
    }
    broken.extend(clippy_files(root, &packages));

    for violation in &broken {
        eprintln!("gate: {violation}");
    }
    if broken.is_empty() {
        let pure: Vec<&str> = packages
            .iter()
            .filter(|p| p.is_pure())
            .map(|p| p.name.as_str())
            .collect();
        eprintln!("gates hold: {} do no IO", pure.join(", "));
    }
    Ok(broken.is_empty())
}

/// A crate of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    /// Its folder from the root.
    folder: String,
    build_script: bool,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    development: bool,
    default_features: bool,
    features: Vec<String>,
}

impl Package {
    fn rules(&self) -> Option<Rules> {
        CRATES
            .iter()
            .find(|(folder, _)| *folder == self.folder)
            .map(|(_, rules)| *rules)
    }

    fn is_pure(&self) -> bool {
        matches!(self.rules(), Some(Rules::Pure | Rules::PureWithDoor))
    }
}

/// Gate 1.
fn manifests(packages: &[Package]) -> Vec<String> {
    let mut broken = Vec::new();
    for package in packages {
        let name = &package.name;
        for dependency in &package.dependencies {
            let uses = &dependency.name;
            if YAML.contains(&uses.as_str()) && package.rules() != Some(Rules::PureWithDoor) {
                broken.push(format!(
                    "`{name}` names `{uses}`: YAML goes through schemas::yaml"
                ));
            }
            if !package.is_pure() || dependency.development {
                continue;
            }
            if IMPURE.contains(&uses.as_str()) {
                broken.push(format!("`{name}` is pure and names `{uses}`"));
            }
            let Some((_, pure)) = PURE_FEATURES.iter().find(|(name, _)| name == uses) else {
                continue;
            };
            if dependency.default_features {
                broken.push(format!(
                    "`{name}` is pure and takes `{uses}` with default features"
                ));
            }
            for feature in &dependency.features {
                if !pure.contains(&feature.as_str()) {
                    broken.push(format!(
                        "`{name}` is pure and takes `{uses}` with `{feature}`"
                    ));
                }
            }
        }
        if package.is_pure() && package.build_script {
            broken.push(format!("`{name}` is pure and has a build script"));
        }
    }
    broken
}

/// Gate 2, for one crate: `tree` has a line `NAME vVERSION …` for everything it depends on.
fn trees(name: &str, tree: &str) -> Vec<String> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|dependency| IMPURE.contains(dependency))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .iter()
        .map(|dependency| {
            format!("`{name}` is pure and depends on `{dependency}`: see `cargo tree -p {name} -i {dependency}`")
        })
        .collect()
}

/// Gate 3: every crate is on the list and has its file.
fn clippy_files(root: &Path, packages: &[Package]) -> Vec<String> {
    let mut broken = Vec::new();
    for package in packages {
        let Some(rules) = package.rules() else {
            let name = &package.name;
            broken.push(format!(
                "`{name}` is not among CRATES in xtask/src/clippy.rs"
            ));
            continue;
        };
        let path = root.join(&package.folder).join("clippy.toml");
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found != clippy::file(rules) {
            broken.push(format!(
                "{} is missing or stale: run `cargo xtask gen`",
                path.display()
            ));
        }
    }
    broken
}

fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists packages")?;
    packages
        .iter()
        .map(|package| {
            let manifest = text(&package["manifest_path"]).context("a package has a manifest")?;
            let folder = Path::new(&manifest)
                .parent()
                .context("a manifest is in a folder")?;
            let folder = folder.strip_prefix(root).unwrap_or(folder);
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            Ok(Package {
                name: text(&package["name"]).context("a package has a name")?,
                folder: folder.to_string_lossy().into_owned(),
                build_script: package["targets"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|target| target["kind"][0] == "custom-build"),
                dependencies: dependencies
                    .map(|dependency| Dependency {
                        name: text(&dependency["name"]).unwrap_or_default(),
                        development: dependency["kind"] == "dev",
                        default_features: dependency["uses_default_features"] == true,
                        features: dependency["features"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(text)
                            .collect(),
                    })
                    .collect(),
            })
        })
        .collect()
}

/// What `cargo` prints.
fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .with_context(|| format!("run cargo {}", arguments.join(" ")))?;
    ensure!(
        output.status.success(),
        "cargo {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, uses: &str, features: &[&str]) -> Package {
        Package {
            name: folder.replace('/', "-"),
            folder: folder.to_owned(),
            build_script: false,
            dependencies: vec![Dependency {
                name: uses.to_owned(),
                development: false,
                default_features: false,
                features: features
                    .iter()
                    .map(|feature| (*feature).to_owned())
                    .collect(),
            }],
        }
    }

    // Gate 1 falls for an IO crate, an IO feature, a build script, YAML outside of the door; and
    // for nothing else.
    #[test]
    fn manifests_that_break_the_rules() {
        assert_eq!(
            manifests(&[package("engine", "serde", &["derive"])]),
            [""; 0]
        );
        assert_eq!(manifests(&[package("schemas", "serde_yaml", &[])]), [""; 0]);
        assert_eq!(manifests(&[package("executor", "tokio", &[])]), [""; 0]);
        assert_eq!(
            manifests(&[package("executor/machine", "tokio", &["time"])]),
            ["`executor-machine` is pure and names `tokio`"]
        );
        assert_eq!(
            manifests(&[package("schemas", "kube", &["derive", "client"])]),
            ["`schemas` is pure and takes `kube` with `client`"]
        );
        assert_eq!(
            manifests(&[package("planner/inventory", "serde_yaml", &[])]),
            ["`planner-inventory` names `serde_yaml`: YAML goes through schemas::yaml"]
        );
        let script = Package {
            build_script: true,
            ..package("engine", "serde", &[])
        };
        assert_eq!(
            manifests(&[script]),
            ["`engine` is pure and has a build script"]
        );
    }

    // Gate 2 falls for what comes in through others.
    #[test]
    fn trees_that_break_the_rules() {
        let good = "planner v0.1.0 (/src/planner)\npetgraph v0.8.3\nserde v1.0.228 (*)\n";
        assert_eq!(trees("planner", good), [""; 0]);
        let bad = format!("{good}getrandom v0.3.4\nrand v0.9.2\nrand v0.10.0\n");
        let broken = trees("planner", &bad);
        assert_eq!(broken.len(), 2);
        assert!(broken[0].starts_with("`planner` is pure and depends on `getrandom`"));
    }

    // Gate 3 falls for a crate that nobody put on the list, and for a missing file.
    #[test]
    fn crates_without_rules() {
        let nowhere = Path::new("/nonexistent");
        let broken = clippy_files(nowhere, &[package("new", "serde", &[])]);
        assert_eq!(broken, ["`new` is not among CRATES in xtask/src/clippy.rs"]);
        let broken = clippy_files(nowhere, &[package("engine", "serde", &[])]);
        assert!(broken[0].contains("missing or stale"), "{broken:?}");
    }
}
