//! (e) What `GitOps` does to files: a wave is renamed while its import is under way, a finished plan
//! is run again, the plan is in another namespace than the machines. Nothing is imported a second
//! time, and nothing collects a live import.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::ova;
use crate::case::Case;
use crate::command::Background;
use crate::estate::Ova;
use crate::kube::{IMPORTS, text};
use crate::watch::Seen;
use crate::world::{wait_for, wait_while};

const APPLY: &[&str] = &["apply", "plan.yaml", "--yes"];

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    let one = Ova::make(case.world, &case.name("one"), "48M")?;
    let two = Ova::make(case.world, &case.name("two"), "24M")?;
    let head = ova::plan(
        case,
        &case.name("hall"),
        &[one.clone(), two.clone()],
        "400Mi",
    );
    let plan = |wave: &str| {
        format!(
            "{head}  workloads:\n    - name: one\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20   - name: two\n      dependsOn: [one]\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20 waves:\n    - {{ name: {wave}, workloads: [one, two] }}\n",
            one.name, two.name
        )
    };
    case.write("plan.yaml", &plan("pilot"))?;
    case.pull_and_plan("plan.yaml")?;
    let pilot = wave_of(case)?;
    Ova::rate(3_000_000)?;

    let mut apply = case.windrow_background(APPLY, "apply-1.log")?;
    let import = wait_condition(case, &mut apply, &one.name, "VMPoweredOff")?;
    apply.signal("INT")?;
    let output = case.finish(&mut apply, Duration::from_secs(30))?;
    case.expect(
        "an interrupted `apply` does not end with 0",
        output.code != 0,
        output.code,
    );

    case.write("plan.yaml", &plan("opening"))?;
    case.windrow_expect(&["plan", "plan.yaml"], 0)?;
    // An approved wave is never removed by `plan`: whoever renames it does that, as `git mv` would.
    let kept = case.waves()?.iter().any(|path| path.ends_with(&pilot));
    case.expect("`plan` keeps the old wave, which is approved", kept, "");
    for folder in ["waves", "approvals"] {
        std::fs::remove_file(case.folder.join(folder).join(&pilot))
            .with_context(|| format!("remove the old file in `{folder}`"))?;
    }
    let opening = wave_of(case)?;
    case.expect(
        "the wave's file has its new name",
        opening != pilot,
        format!("{pilot} → {opening}"),
    );
    let mut apply = case.windrow_background(APPLY, "apply-2.log")?;
    let live = case.world.kube.get(
        IMPORTS,
        import.namespace(),
        import.place.rsplit('/').next().unwrap_or_default(),
    )?;
    let live = live.context("the live import is gone after its wave was renamed")?;
    case.expect(
        "the live import is the same object",
        text(&live, "/metadata/uid") == import.uid,
        &import.uid,
    );
    case.expect(
        "nobody owns the live import",
        live.pointer("/metadata/ownerReferences").is_none(),
        "",
    );
    case.expect(
        "it is in the machines' namespace, its source in the plan's",
        import.namespace() == case.name("hall")
            && text(&live, "/spec/sourceCluster/namespace") == case.name(""),
        &import.place,
    );
    wait_condition(case, &mut apply, &one.name, "VMExported")?;
    // What is still to come need not be slow.
    Ova::rate(0)?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect(
        "`apply` of the renamed wave ends with 0",
        output.code == 0,
        output.code,
    );
    case.expect_imported_once(&[&one.name, &two.name])?;
    case.expect_writes(2)?;

    run_again(case, &opening)?;
    case.expect_imported_once(&[&one.name, &two.name])?;
    case.expect_machine(&case.name("hall"), &one.name, &one.disks)?;
    case.expect_machine(&case.name("hall"), &two.name, &two.disks)?;
    Ok(())
}

/// The import that looks for `find`, once it has a condition.
fn wait_condition(
    case: &Case<'_>,
    apply: &mut Background,
    find: &str,
    condition: &str,
) -> Result<Seen> {
    let what = format!("{condition} of {find}");
    wait_while(&what, apply, Duration::from_mins(3), || {
        let mut imports = case.watch.imports().into_iter();
        Ok(imports.find(|s| s.find == find && s.condition(condition).is_some()))
    })
}

/// A finished plan, run again: as it is, and with the file renamed by hand.
fn run_again(case: &mut Case<'_>, wave: &str) -> Result<()> {
    // A question about one's rights is a creation too, of nothing that stays.
    let changes = |case: &Case<'_>| -> Result<Vec<String>> {
        let writes = case.writes()?;
        let ours = writes.iter().filter(|w| w.counts() && !w.is_question());
        Ok(ours.map(|w| format!("{} {}", w.verb, w.resource)).collect())
    };
    let before = changes(case)?.len();
    case.windrow_expect(APPLY, 0)?;
    let again = changes(case)?.split_off(before);
    case.expect(
        "a finished plan run again writes nothing",
        again.is_empty(),
        again.join(", "),
    );
    let path = case.folder.join("waves").join(wave);
    std::fs::rename(&path, path.with_file_name("999-moved.yaml"))
        .context("rename a wave by hand")?;
    let output = case.windrow(APPLY)?;
    case.note(format!(
        "with a wave renamed by hand, `apply` ends with {}",
        output.code
    ));
    wait_for("the cluster to be quiet", Duration::from_secs(10), || {
        Ok(case
            .watch
            .imports()
            .iter()
            .all(|i| i.gone.is_some())
            .then_some(()))
    })?;
    Ok(())
}

/// The one wave's file name.
fn wave_of(case: &Case<'_>) -> Result<String> {
    let waves = case.waves()?;
    let [path] = waves.as_slice() else {
        anyhow::bail!("one wave was expected, there are {}", waves.len())
    };
    Ok(path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned())
}
