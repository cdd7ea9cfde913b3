//! What clippy forbids, crate by crate.
//!
//! Clippy reads the `clippy.toml` nearest to a crate's manifest and no other: a crate without one
//! would inherit its parent folder's, and two never merge. So each crate's file is generated in
//! full, from the lists below.

use std::fmt::Write as _;

/// What a crate must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// No IO and no order that changes from run to run (ARCHITECTURE.md, invariant 1).
    Pure,
    /// As pure; and the YAML crates, which this crate has, stay inside of its one door.
    PureWithDoor,
    /// IO is its purpose; hash maps and the system's time zones are forbidden all the same.
    Edge,
}

/// Every crate's folder and rules. The root package's file also holds for whatever is forgotten.
pub const CRATES: [(&str, Rules); 12] = [
    ("", Rules::Edge),
    ("schemas", Rules::PureWithDoor),
    ("engine", Rules::Pure),
    ("planner", Rules::Pure),
    ("planner/inventory", Rules::Edge),
    ("executor", Rules::Edge),
    ("executor/machine", Rules::Pure),
    ("tests/cluster", Rules::Edge),
    ("tests/double", Rules::Edge),
    ("tests/page", Rules::Edge),
    ("tests/world", Rules::Pure),
    ("xtask", Rules::Edge),
];

/// A banned path, and why.
type Ban = (&'static str, &'static str);

const CLOCK: &str = "time is an argument";
const IO: &str = "the core does no IO";
const ORDER: &str = "its order changes from run to run and would leak into files; use a BTree";
const THREADS: &str = "threads run in no stated order";
const ZONES: &str = "it reads the system's zones; use TimeZoneDatabase::bundled()";
const DOOR: &str = "YAML goes through schemas::yaml";

/// Types that no crate may use.
const ORDER_TYPES: [Ban; 3] = [
    ("std::collections::HashMap", ORDER),
    ("std::collections::HashSet", ORDER),
    ("std::hash::RandomState", ORDER),
];

/// Types that no pure crate may use.
const PURE_TYPES: [Ban; 11] = [
    ("std::time::Instant", CLOCK),
    ("std::time::SystemTime", CLOCK),
    ("std::fs::File", IO),
    ("std::fs::OpenOptions", IO),
    ("std::net::TcpListener", IO),
    ("std::net::TcpStream", IO),
    ("std::net::UdpSocket", IO),
    ("std::process::Command", IO),
    ("std::io::Stdin", IO),
    ("std::io::Stdout", IO),
    ("std::io::Stderr", IO),
];

/// Functions that no pure crate may call.
const PURE_METHODS: [Ban; 33] = [
    ("std::env::args", IO),
    ("std::env::args_os", IO),
    ("std::env::current_dir", IO),
    ("std::env::temp_dir", IO),
    ("std::env::var", IO),
    ("std::env::var_os", IO),
    ("std::env::vars", IO),
    ("std::fs::canonicalize", IO),
    ("std::fs::copy", IO),
    ("std::fs::create_dir", IO),
    ("std::fs::create_dir_all", IO),
    ("std::fs::exists", IO),
    ("std::fs::metadata", IO),
    ("std::fs::read", IO),
    ("std::fs::read_dir", IO),
    ("std::fs::read_to_string", IO),
    ("std::fs::remove_dir", IO),
    ("std::fs::remove_dir_all", IO),
    ("std::fs::remove_file", IO),
    ("std::fs::rename", IO),
    ("std::fs::write", IO),
    ("std::path::Path::canonicalize", IO),
    ("std::path::Path::exists", IO),
    ("std::path::Path::is_dir", IO),
    ("std::path::Path::is_file", IO),
    ("std::path::Path::metadata", IO),
    ("std::path::Path::read_dir", IO),
    ("std::process::exit", IO),
    ("std::thread::sleep", CLOCK),
    ("std::thread::spawn", THREADS),
    ("std::time::Instant::now", CLOCK),
    ("std::time::SystemTime::now", CLOCK),
    ("jiff::Timestamp::now", CLOCK),
];

/// Functions that read the system's time zones: the same plan must mean the same everywhere.
const ZONE_METHODS: [Ban; 11] = [
    ("jiff::tz::TimeZone::get", ZONES),
    ("jiff::tz::TimeZone::system", ZONES),
    ("jiff::tz::TimeZone::try_system", ZONES),
    ("jiff::tz::TimeZoneDatabase::from_dir", ZONES),
    ("jiff::tz::TimeZoneDatabase::from_env", ZONES),
    ("jiff::tz::db", ZONES),
    ("jiff::Timestamp::in_tz", ZONES),
    ("jiff::Zoned::in_tz", ZONES),
    ("jiff::civil::Date::in_tz", ZONES),
    ("jiff::civil::DateTime::in_tz", ZONES),
    ("jiff::Zoned::now", ZONES),
];

/// What only `schemas/src/yaml` may use. Other crates cannot: their manifests do not have it.
const DOOR_TYPES: [Ban; 4] = [
    ("granit_parser::Parser", DOOR),
    ("serde_yaml::Deserializer", DOOR),
    ("serde_yaml::Value", DOOR),
    ("serde_saphyr::SerializerOptions", DOOR),
];

/// As [`DOOR_TYPES`].
const DOOR_METHODS: [Ban; 8] = [
    ("serde_yaml::from_reader", DOOR),
    ("serde_yaml::from_slice", DOOR),
    ("serde_yaml::from_str", DOOR),
    ("serde_yaml::from_value", DOOR),
    (
        "serde_yaml::to_string",
        "it leaves unquoted what Kubernetes misreads; schemas::yaml writes",
    ),
    (
        "serde_yaml::to_writer",
        "it leaves unquoted what Kubernetes misreads; schemas::yaml writes",
    ),
    ("serde_saphyr::to_string", DOOR),
    ("serde_saphyr::to_string_with_options", DOOR),
];

/// Names that are no code, though they look so.
const WORDS: [&str; 12] = [
    "OpenStack",
    "KubeVirt",
    "VMware",
    "vCenter",
    "vSphere",
    "GitOps",
    "GiB",
    "MiB",
    "TiB",
    "YAML",
    "ESXi",
    "OVA",
];

/// Every `clippy.toml`, by its folder.
pub fn files() -> impl Iterator<Item = (&'static str, String)> {
    CRATES
        .into_iter()
        .map(|(folder, rules)| (folder, file(rules)))
}

/// The `clippy.toml` of a crate under `rules`.
pub fn file(rules: Rules) -> String {
    let mut types: Vec<Ban> = ORDER_TYPES.into();
    let mut methods: Vec<Ban> = ZONE_METHODS.into();
    if rules != Rules::Edge {
        types.extend(PURE_TYPES);
        methods.extend(PURE_METHODS);
    }
    if rules == Rules::PureWithDoor {
        types.extend(DOOR_TYPES);
        methods.extend(DOOR_METHODS);
    }
    let mut text = String::from(
        "# Generated by `cargo xtask gen` from xtask/src/clippy.rs. Clippy reads the nearest such\n\
         # file only, so each crate has its own.\n\
         allow-unwrap-in-tests = true\n",
    );
    let words: Vec<String> = WORDS.iter().map(|word| format!("\"{word}\"")).collect();
    writeln!(text, "doc-valid-idents = [{}, \"..\"]", words.join(", "))
        .expect("a String takes everything");
    list(&mut text, "disallowed-types", types);
    list(&mut text, "disallowed-methods", methods);
    text
}

fn list(text: &mut String, name: &str, mut bans: Vec<Ban>) {
    bans.sort_unstable();
    bans.dedup_by_key(|(path, _)| *path);
    if bans.is_empty() {
        return;
    }
    writeln!(text, "{name} = [").expect("a String takes everything");
    for (path, reason) in bans {
        // `allow-invalid`: not every crate has every dependency.
        writeln!(
            text,
            "    {{ path = \"{path}\", reason = \"{reason}\", allow-invalid = true }},"
        )
        .expect("a String takes everything");
    }
    text.push_str("]\n");
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;
    use std::{env, fs};

    use super::*;

    // The file of a pure crate stops what it names: a crate that breaks its rules does not pass.
    #[test]
    fn violations_are_found() {
        let folder = env::temp_dir().join(format!("windrow-gate-{}", std::process::id()));
        let code = "\
            pub fn order() -> std::collections::HashMap<u8, u8> { std::collections::HashMap::new() }\n\
            pub fn clock() -> bool { std::time::SystemTime::now().elapsed().is_ok() }\n\
            pub fn file() -> bool { std::fs::read(\"plan.yaml\").is_ok() }\n\
            pub fn environment() -> bool { std::env::var(\"HOME\").is_ok() }\n\
            pub fn network() -> bool { std::net::TcpStream::connect(\"a:1\").is_ok() }\n";
        let manifest = "[package]\nname = \"impure\"\nedition = \"2024\"\n[workspace]\n";
        fs::create_dir_all(folder.join("src")).expect("a folder for the crate");
        for (path, text) in [
            ("Cargo.toml", manifest),
            ("src/lib.rs", code),
            ("clippy.toml", &file(Rules::Pure)),
        ] {
            fs::write(folder.join(path), text).expect("a file of the crate");
        }
        let run = clippy(&folder);
        fs::remove_dir_all(&folder).expect("the crate's folder is ours");
        assert!(!run.0, "{}", run.1);
        for banned in [
            "std::collections::HashMap",
            "std::time::SystemTime::now",
            "std::fs::read",
            "std::env::var",
            "std::net::TcpStream",
        ] {
            assert!(
                run.1.contains(&format!("`{banned}`")),
                "{banned} passed:\n{}",
                run.1
            );
        }
    }

    fn clippy(folder: &Path) -> (bool, String) {
        let output = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
            .args(["clippy", "--quiet", "--offline", "--", "--deny", "warnings"])
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env_remove("CLIPPY_CONF_DIR")
            .env_remove("CARGO_MANIFEST_DIR")
            .output()
            .expect("cargo runs this test, so it is there");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}
