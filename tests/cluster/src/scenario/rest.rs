//! The rest of a run that is half done: one machine runs, one failed, one waits for it, and a new one
//! is added to the plan. `plan --keep --status` leaves what is done alone and places what is left; what
//! it writes is applied to the end.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::ova;
use crate::case::Case;
use crate::command::tail;
use crate::estate::Ova;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&[""])?;
    let make = |name: &str| Ova::make(case.world, &case.name(name), "8M");
    let ovas = [make("done")?, make("fails")?, make("waits")?, make("new")?];
    let [done, fails, waits, new] = &ovas;
    plan_of(case, &ovas, &[])?;
    case.pull_and_plan("plan.yaml")?;
    let broken = format!("^{}/.*{}", case.name(""), fails.name);
    case.world.kube.set_knobs(&[("image.fail", &broken)])?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "first.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(8))?;
    case.expect_exit("`windrow apply` with an image that fails", &output, 4);
    case.world.kube.set_knobs(&[])?;

    let before = waves(case)?;
    let status = case.windrow(&["status", "plan.yaml", "-o", "json"])?;
    case.write("status.json", &status.stdout)?;
    plan_of(case, &ovas, &[("new", new)])?;
    let kept = &["plan", "plan.yaml", "--keep", "--status", "status.json"];
    let output = case.windrow_expect(kept, 0)?;
    let said = output.stdout.contains("WR002") && output.stdout.contains(&fails.name);
    case.expect("it names what failed", said, tail(&output.stdout, 30));
    let after = waves(case)?;
    let of = |name: &str, files: &[(String, String)]| {
        let has = |(_, text): &&(String, String)| text.contains(&format!("name: {name}"));
        files.iter().find(has).cloned()
    };
    let same = of(&done.name, &before).is_some_and(|file| after.contains(&file));
    case.expect("the wave of what runs is the same file", same, "");
    let there = of(&new.name, &after).is_some() && of(&new.name, &before).is_none();
    case.expect("what is new has a place", there, "");
    let again = case.windrow_expect(kept, 0)?;
    let same = waves(case)? == after;
    case.expect("asked again, it writes the same", same, again.all());

    case.windrow_expect(&["retry", &fails.name, "--plan", "plan.yaml", "--yes"], 0)?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "rest.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply` of the rest", &output, 0);
    for (ova, times) in [(done, 1), (fails, 2), (waits, 1), (new, 1)] {
        let imports = case.watch.imports();
        let created = imports.iter().filter(|i| i.find == ova.name).count();
        let what = format!("`{}` was imported {times} times", ova.name);
        case.expect(what, created == times, created);
        case.expect_machine(&case.name(""), &ova.name, &ova.disks)?;
    }
    Ok(())
}

/// The plan of the three, and of what is added to it.
fn plan_of(case: &Case<'_>, ovas: &[Ova; 4], added: &[(&str, &Ova)]) -> Result<()> {
    let [done, fails, waits, _] = ovas;
    let one = |name: &str, ova: &Ova, after: &str| {
        format!(
            "    - name: {name}\n      select: [ {{ source: shelf, names: [{}] }} ]\n{after}",
            ova.name
        )
    };
    let mut text = ova::plan(case, &case.name(""), ovas, "4Gi");
    text.push_str("  workloads:\n");
    text.push_str(&one("done", done, ""));
    text.push_str(&one("fails", fails, "      dependsOn: [done]\n"));
    text.push_str(&one("waits", waits, "      dependsOn: [fails]\n"));
    for (name, ova) in added {
        text.push_str(&one(name, ova, ""));
    }
    case.write("plan.yaml", &text).map(drop)
}

/// Files of waves and what is in them, sorted.
fn waves(case: &Case<'_>) -> Result<Vec<(String, String)>> {
    let files = case.waves()?.into_iter().map(|path| {
        let text =
            fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        Ok((path.display().to_string(), text))
    });
    files.collect()
}
