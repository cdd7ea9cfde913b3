//! The ERP plan, and in it everything that people may call as they like, called what does harm where
//! it is taken for something other than text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::Folder;

/// Markup, templates, expansions, formulas, commands to runners and terminals, ends of lines and of
/// quotes, words that YAML has plans for, and what only looks odd.
pub const NAMES: [&str; 53] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- x",
    "-->",
    "]]>",
    "&amp;",
    "&#64;",
    "a & b",
    "{{ 7*7 }}",
    "{% raw %}",
    "${HOME}",
    "$(touch owned)",
    "`touch owned`",
    "'; touch owned; '",
    "\"; touch owned; \"",
    "--flag",
    "-rf",
    "=HYPERLINK(\"http://x.example\")",
    "+1",
    "-1",
    "@SUM(A1)",
    "＝1+1",
    "a|b",
    "a;b,c",
    "*bold* _em_ ~~gone~~",
    "[a](javascript:x)",
    "![i](http://x.example/i.png)",
    "https://x.example/y",
    "www.x.example",
    "@team",
    "#123",
    "# heading",
    "- item",
    "> quote",
    "```",
    "~~~",
    "::error::forged",
    "  ::warning file=x::forged",
    "##[add-path]/tmp",
    "##vso[task.complete]",
    "%0A::error::x",
    "line\nforged: yes",
    "line\r\nforged",
    "tab\there",
    "nul\u{0} bell\u{7}",
    "\u{1b}[31mred\u{1b}[0m\u{1b}]0;t\u{7}",
    "gpj.\u{202e}exe",
    "zero\u{200b}width\u{feff}",
    "\u{fffe}\u{ffff}",
    "party-🎉 größe 生産",
    " space ",
    "a\\b\\",
    "~",
];

/// Names that a machine on the target can have, and that YAML takes for something else.
pub const WORDS: [&str; 11] = [
    "no",
    "on",
    "y",
    "null",
    "true",
    "1e3",
    "1e400",
    "0x1f",
    "012",
    "1",
    "2026-01-01",
];

/// One of 255 characters.
pub fn long() -> String {
    "x".repeat(255)
}

/// All hostile names.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = NAMES.iter().map(ToString::to_string).collect();
    names.push(long());
    names
}

/// Machines of each name that stay behind, because nothing on the target can be called so; machines
/// `mv0`, `mv1`, … that move, with folder, network, tag, guest, service, owner, change, step and waiver
/// of these names; and machines that are called as words of YAML.
pub struct Estate {
    /// The folder of plan, site and snapshots.
    pub folder: Folder,
}

impl Estate {
    /// Writes it.
    pub fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp");
        let folder = Folder::copy_of(&root);
        fs::create_dir(folder.path().join(".git")).expect("the root of a repository");
        let estate = Self { folder };
        estate.snapshot();
        estate.site();
        estate.plan();
        estate
    }

    /// Runs `windrow`.
    pub fn run(&self, arguments: &[&str]) -> crate::harness::Run {
        self.folder.run(arguments)
    }

    /// A file's text.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).expect("the file is there")
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.path().join(path), text).expect("written");
    }

    /// Changes every machine of the snapshot.
    pub fn change(&self, mut change: impl FnMut(&mut Value)) {
        let path = "inventory/dc1/vms.jsonl";
        let mut text = String::new();
        for line in self.read(path).lines() {
            let mut vm: Value = serde_json::from_str(line).expect("a VM");
            change(&mut vm);
            writeln!(text, "{vm}").expect("a String takes everything");
        }
        self.write(path, &text);
    }

    fn snapshot(&self) {
        let path = "inventory/dc1/vms.jsonl";
        let mut text = self.read(path);
        let lines = text.lines().map(serde_json::from_str);
        let vms: Vec<Value> = lines.collect::<Result<_, _>>().expect("VMs");
        let model = vms.iter().find(|vm| vm["name"] == "erp-app-04");
        let model = model.expect("one with an independent disk").clone();
        let mut number = 0;
        let mut add = |name: &str, folder: &str, text: &mut String| {
            let mut vm = model.clone();
            vm["id"] = json!(format!("50ff0000-0000-4000-8000-{number:012}"));
            vm["bios_uuid"] = json!(format!("42ff0000-0000-4000-8000-{number:012}"));
            vm["ref"] = json!(format!("vm-9{number:03}"));
            vm["nics"][0]["mac"] = json!(format!("00:50:56:aa:00:{number:02x}"));
            vm["name"] = json!(name);
            vm["folder"] = json!(folder);
            number += 1;
            writeln!(text, "{vm}").expect("a String takes everything");
        };
        for name in names() {
            add(&name, "left", &mut text);
        }
        for word in WORDS {
            add(word, "words", &mut text);
        }
        for (number, name) in names().iter().enumerate() {
            add(&format!("mv{number}"), &format!("go/{name}"), &mut text);
        }
        self.write(path, &text);
        self.change(|vm| {
            let own = |vm: &Value| {
                vm["folder"]
                    .as_str()?
                    .strip_prefix("go/")
                    .map(str::to_owned)
            };
            let Some(name) = own(vm) else {
                return;
            };
            vm["nics"][0]["network_name"] = json!(name);
            vm["nics"][0]["network"] = json!(format!("dvportgroup-{}", vm["name"]));
            vm["guest_os"] = json!({ "id": name, "family": name });
            vm["tags"] = json!([name]);
            vm["other_devices"] = json!([name]);
        });
    }

    fn site(&self) {
        let mut networks = "    networks:\n".to_owned();
        for name in names() {
            let name = quoted(&name);
            writeln!(
                networks,
                "    - {{ source: dc1, from: {name}, to: default/vlan10 }}"
            )
            .expect("a String takes everything");
        }
        let site = self.read("site.yaml");
        self.write("site.yaml", &site.replacen("    networks:\n", &networks, 1));
    }

    fn plan(&self) {
        let mut workloads = "  workloads:
  - { name: left, select: [ { source: dc1, folder: left } ] }
  - { name: words, select: [ { source: dc1, folder: words } ] }
"
        .to_owned();
        let mut services = "  services:\n".to_owned();
        let mut waivers = "  - { code: V07, vms: [\"dc1/*\"], reason: a cache }\n".to_owned();
        for (number, name) in names().iter().enumerate() {
            let (text, change) = (quoted(name), name.chars().take(64).collect::<String>());
            let change = quoted(&change);
            write!(workloads, "  - {{ name: w{number}, select: [ {{ source: dc1, names: [mv{number}] }} ] }}
  - {{ name: s{number}, dependsOn: [w{number}], external: {{ title: {text}, estimate: 5m, done: {{ approval: required }} }} }}
").expect("a String takes everything");
            writeln!(services, "  - {{ name: v{number}, workloads: [w{number}, s{number}], owner: {text}, refs: {{ change: {change} }} }}")
                .expect("a String takes everything");
            writeln!(
                waivers,
                "  - {{ code: V07, vms: [mv{number}], reason: {text} }}"
            )
            .expect("a String takes everything");
        }
        services.push_str("  - { name: stays, workloads: [left, words], owner: nobody }\n");
        let plan = self.read("plan.yaml");
        let plan = plan.replacen("  workloads:\n", &workloads, 1);
        let plan = plan.replacen("  waivers:\n", &format!("  waivers:\n{waivers}"), 1);
        self.write("plan.yaml", &format!("{}\n{services}", plan.trim_end()));
    }

    /// All names of the source's machines.
    pub fn vms(&self) -> BTreeSet<String> {
        let text = self.read("inventory/dc1/vms.jsonl");
        let vms = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a VM"));
        vms.filter_map(|vm| vm["name"].as_str().map(str::to_owned))
            .collect()
    }
}

/// In double quotes, as every YAML reader takes it.
fn quoted(text: &str) -> String {
    schemas::yaml::json(&Value::from(text).to_string())
}
