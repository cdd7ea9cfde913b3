//! What is in the manifests, whatever things are called.

use std::collections::BTreeSet;

use schemas::ids::{Namespace, TargetName};
use schemas::units::Bytes;
use schemas::wave::MigrationWave;
use serde_json::Value;

use super::{Fields, ManifestSet, Options, RenderError, Tool, render};
use crate::fixture::{Fixture, vsphere_vm};
use crate::plan;

const TIERS: &str = r"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
- { name: other, select: [ { source: shelf, ids: [legacy] } ], dependsOn: [db] }
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ], dependsOn: [app] }
";

fn waves(fixture: &Fixture) -> Vec<MigrationWave> {
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    planned
        .rendered
        .waves
        .into_iter()
        .map(|wave| wave.object)
        .collect()
}

fn options(tool: Tool) -> Options {
    Options {
        tool,
        fields: Fields::of_release("1.8".parse().expect("a release")),
        at_once: None,
        repository: None,
        revision: "main".to_owned(),
        path: "rendered/erp".to_owned(),
        timeout: schemas::units::Span::from_minutes(720),
    }
}

fn made(waves: &[MigrationWave], options: &Options) -> Result<ManifestSet, RenderError> {
    let waves: Vec<&MigrationWave> = waves.iter().collect();
    let (target, namespace) = (TargetName::from("hv1"), Namespace::from("migrations"));
    render("erp", &target, &namespace, &waves, options)
}

/// All objects of a set, by file.
fn objects(set: &ManifestSet) -> Vec<(&str, Value)> {
    let yaml = set.files.iter().filter(|(path, _)| is_yaml(path));
    yaml.flat_map(|(path, text)| {
        let documents = schemas::yaml::documents(text)
            .unwrap_or_else(|error| panic!("{path}: {error}\n{text}"));
        documents.into_iter().map(|object| (path.as_str(), object))
    })
    .collect()
}

fn is_yaml(path: &str) -> bool {
    path.rsplit('.').next() == Some("yaml")
}

const TOOLS: [Tool; 3] = [Tool::Argocd, Tool::Flux, Tool::Plain];

// Every import of every wave once, complete, in the order of waves; the same each time; and nothing in
// it that changes from commit to commit.
#[test]
fn complete() {
    let waves = waves(&Fixture::new(TIERS));
    for tool in TOOLS {
        let set = made(&waves, &options(tool)).expect("manifests");
        assert_eq!(set, made(&waves, &options(tool)).expect("manifests"));
        let found = objects(&set);
        let imports: Vec<_> = found
            .iter()
            .filter(|(_, object)| object["kind"] == "VirtualMachineImport")
            .collect();
        let wanted: usize = waves.iter().map(|wave| wave.spec.imports.len()).sum();
        assert_eq!(imports.len(), wanted);
        let names: BTreeSet<_> = imports
            .iter()
            .map(|(_, import)| import["metadata"]["name"].to_string())
            .collect();
        assert_eq!(names.len(), wanted);
        for (path, import) in imports {
            assert!(import["spec"]["storageClass"].is_string(), "{path}");
            assert!(import.get("status").is_none() && import["spec"].get("suspend").is_none());
            let text = import.to_string();
            assert!(
                !text.contains("sha256:") && !text.contains(crate::waves::GENERATOR),
                "{text}"
            );
        }
        let mut again = waves.clone();
        for wave in &mut again {
            wave.spec.generator = "windrow 9.9.9".to_owned();
            wave.spec.digest = "sha256:0".into();
        }
        assert_eq!(
            set.files,
            made(&again, &options(tool)).expect("manifests").files
        );
    }
}

// What each tool is told, as measured with the real ones.
#[test]
fn told() {
    let waves = waves(&Fixture::new(TIERS));
    let set = made(&waves, &options(Tool::Argocd)).expect("manifests");
    let mut last = -30;
    for (path, object) in objects(&set)
        .iter()
        .filter(|(path, _)| !path.starts_with("argocd/"))
    {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(
            annotations["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false",
            "{path}"
        );
        assert_eq!(
            annotations["argocd.argoproj.io/compare-options"],
            "IgnoreExtraneous"
        );
        let wave: i32 = annotations["argocd.argoproj.io/sync-wave"]
            .as_str()
            .expect("text")
            .parse()
            .expect("a number");
        assert!(wave >= last, "{path}: {wave} after {last}");
        last = wave;
    }
    assert_eq!(last, 30, "ten times the number of the wave");
    let whole: String = set
        .files
        .iter()
        .filter(|(path, _)| is_yaml(path))
        .map(|(_, text)| text.as_str())
        .collect();
    for never in [
        "Replace=true,",
        "- Replace",
        "automated:",
        "selfHeal:",
        "- ApplyOutOfSyncOnly",
    ] {
        assert!(!whole.contains(never), "{never}");
    }

    let set = made(&waves, &options(Tool::Flux)).expect("manifests");
    let mut before = Value::Null;
    for (_, object) in objects(&set)
        .iter()
        .filter(|(_, object)| object["kind"] == "Kustomization")
    {
        let spec = &object["spec"];
        assert_eq!(spec["dependsOn"][0]["name"], before);
        before = object["metadata"]["name"].clone();
        assert_eq!(
            (&spec["wait"], &spec["prune"]),
            (&true.into(), &false.into())
        );
        assert_eq!(spec["deletionPolicy"], "Orphan");
        assert_eq!(spec["healthCheckExprs"].as_array().map(Vec::len), Some(4));
        let folder = spec["path"]
            .as_str()
            .and_then(|path| path.strip_prefix("./rendered/erp/"))
            .expect("below the path");
        assert!(
            set.files.keys().any(|path| path.starts_with(folder)),
            "{folder}"
        );
    }
    assert_eq!(before, "erp-030-web");
    for (path, object) in objects(&set)
        .iter()
        .filter(|(path, _)| !path.starts_with("flux/"))
    {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(
            annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled",
            "{path}"
        );
        assert!(
            annotations.get("kustomize.toolkit.fluxcd.io/ssa").is_none(),
            "never IfNotPresent"
        );
    }
}

// Whatever a VM, a folder or a network is called comes through as it is, and nowhere else.
#[test]
fn hostile() {
    for name in [
        "<script>alert(1)</script>",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "${HOME}",
        "a & b",
        "a\nkind: Pod",
        "=HYPERLINK(\"x\")",
        "no",
        "012",
        "---",
        "# x",
        "`id`",
        "$(reboot)",
        "a: {b: [",
        "\"'\\",
    ] {
        let fixture = Fixture::new(
            r"
workloads:
- { name: db, select: [ { source: dc1, ids: [u-hostile] } ] }
waivers: []
",
        );
        let mut waves = waves(&fixture.add("dc1", vsphere_vm("u-hostile", "x", "plain")));
        for import in waves.iter_mut().flat_map(|wave| &mut wave.spec.imports) {
            import.name = name.into();
            import.find = name.to_owned();
            import.folder = Some(format!("{name}/{name}"));
            import.networks[0].from = name.into();
        }
        for tool in TOOLS {
            let set = made(&waves, &options(tool)).expect("manifests");
            let found = objects(&set);
            let kinds: BTreeSet<&str> = found
                .iter()
                .filter_map(|(_, object)| object["kind"].as_str())
                .collect();
            assert!(!kinds.contains("Pod"), "{kinds:?}");
            let (_, import) = found
                .iter()
                .find(|(_, object)| object["kind"] == "VirtualMachineImport")
                .expect("one");
            let spec = &import["spec"];
            assert_eq!(spec["virtualMachineName"], name);
            assert_eq!(spec["folder"], format!("{name}/{name}"));
            assert_eq!(spec["networkMapping"][0]["sourceNetwork"], name);
            assert_eq!(import["metadata"]["annotations"]["windrow.dev/name"], name);
            // Neither the README nor the script speaks of it.
            for path in ["README.md", "run.sh"] {
                if let Some(text) = set.files.get(path).filter(|_| name.len() > 5) {
                    assert!(!text.contains(name), "{path}");
                }
            }
        }
    }
}

// Only what the target has; what is missed is said. No OVA where there is no such kind.
#[test]
fn fields() {
    let waves = waves(&Fixture::new(&TIERS.replace(
        "- { name: other, select: [ { source: shelf, ids: [legacy] } ], dependsOn: [db] }\n",
        "",
    )));
    let of = |release: &str| Options {
        fields: Fields::of_release(release.parse().expect("a release")),
        ..options(Tool::Plain)
    };
    for (release, warnings) in [("1.2", 2), ("1.5", 1), ("1.6", 0), ("1.9", 0)] {
        let set = made(&waves, &of(release)).expect("manifests");
        assert_eq!(
            set.warnings.len(),
            warnings,
            "{release}: {:?}",
            set.warnings
        );
        for (_, object) in objects(&set)
            .iter()
            .filter(|(_, object)| object["kind"] == "VirtualMachineImport")
        {
            let spec = object["spec"].as_object().expect("an object");
            let fields = of(release).fields;
            assert!(
                spec.keys().all(|name| fields.has(name)),
                "{release}: {spec:?}"
            );
            assert_eq!(
                spec.contains_key("storageClass"),
                fields.has("storageClass")
            );
        }
    }
    let with_ova = self::waves(&Fixture::new(TIERS));
    assert_eq!(
        made(&with_ova, &of("1.6")),
        Err(RenderError::NoOva("shelf-legacy".to_owned()))
    );
}

// What is created at once fits onto the scratch volume, waits for nothing in it, and does not write
// the same files.
#[test]
fn steps() {
    let mut waves = waves(&Fixture::new(TIERS));
    for wave in &mut waves {
        for import in &mut wave.spec.imports {
            import.size.peak.0 = Bytes::from_gib(200);
        }
    }
    let set = made(&waves, &options(Tool::Flux)).expect("manifests");
    // 360 GiB are usable: one at a time.
    let folders: Vec<&str> = set
        .files
        .keys()
        .filter(|path| path.ends_with("imports.yaml"))
        .map(String::as_str)
        .collect();
    let imports: usize = waves.iter().map(|wave| wave.spec.imports.len()).sum();
    assert_eq!(folders.len(), imports, "{folders:?}");

    let mut waves = self::waves(&Fixture::new(TIERS));
    let (first, second) = {
        let imports = &waves[0].spec.imports;
        (imports[0].vm.clone(), imports[1].vm.clone())
    };
    waves[0].spec.imports[0].excludes.push(second);
    let set = made(&waves, &options(Tool::Argocd)).expect("manifests");
    assert!(
        set.files.contains_key("010-db/1/imports.yaml")
            && set.files.contains_key("010-db/2/imports.yaml")
    );
    assert!(set.files["010-db/1/imports.yaml"].contains(&first.to_string()));

    let one = Options {
        at_once: Some(1),
        ..options(Tool::Plain)
    };
    let set = made(&self::waves(&Fixture::new(TIERS)), &one).expect("manifests");
    assert_eq!(
        set.files
            .keys()
            .filter(|path| path.ends_with("imports.yaml"))
            .count(),
        imports
    );

    waves[0].spec.imports[0].size.peak.0 = Bytes::from_gib(500);
    assert!(matches!(
        made(&waves, &options(Tool::Plain)),
        Err(RenderError::TooLarge(_))
    ));
}

// Too many for one Application: several, each with whole folders, the sources in the first.
#[test]
fn many() {
    let mut waves = waves(&Fixture::new(TIERS));
    let model = waves[0].clone();
    waves.clear();
    for n in 1..=12 {
        let mut wave = model.clone();
        wave.metadata.name = Some(format!("erp-{:03}-many", n * 10));
        let import = wave.spec.imports[0].clone();
        wave.spec.imports = (0..100)
            .map(|i| {
                let mut import = import.clone();
                import.vm = schemas::ids::VmKey::new("dc1", format!("{n:02}-{i:03}").as_str());
                import.record = format!("many-{n:04x}{i:04x}").as_str().into();
                import.size.peak.0 = Bytes::from_gib(1);
                import
            })
            .collect();
        wave.spec.prerequisites.clear();
        waves.push(wave);
    }
    let set = made(&waves, &options(Tool::Argocd)).expect("manifests");
    let applications: Vec<_> = objects(&set)
        .into_iter()
        .filter(|(_, object)| object["kind"] == "Application")
        .collect();
    assert_eq!(applications.len(), 3);
    let include = |i: usize| {
        applications[i].1["spec"]["source"]["directory"]["include"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    assert!(include(0).starts_with("{000-sources/") && !include(1).contains("000-sources"));
    let folders: usize = (0..3).map(|i| include(i).matches("-many/").count()).sum();
    assert_eq!(folders, 12);
}
