//! (d) `kill -9` of `windrow apply`: during an export, in the image phase, and just after an import
//! was created. Each time it is started again and goes on; each VM is imported once.

use std::time::Duration;

use anyhow::Result;

use super::ova;
use crate::case::Case;
use crate::command::Background;
use crate::estate::Ova;
use crate::watch::Seen;
use crate::world::wait_while;

const APPLY: &[&str] = &["apply", "plan.yaml", "--yes"];

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&["", "hall"])?;
    let first = Ova::make(case.world, &case.name("first"), "48M")?;
    let second = Ova::make(case.world, &case.name("second"), "48M")?;
    let plan = ova::plan(
        case,
        &case.name("hall"),
        &[first.clone(), second.clone()],
        "400Mi",
    );
    case.write(
        "plan.yaml",
        &format!(
            "{plan}  workloads:\n    - name: first\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20   - name: second\n      dependsOn: [first]\n      select: [ {{ source: shelf, names: [{}] }} ]\n",
            first.name, second.name
        ),
    )?;
    case.pull_and_plan("plan.yaml")?;
    // Some 10 s of export and of image phase, so that there is a middle to be killed in.
    Ova::rate(2_500_000)?;
    case.world.kube.set_knobs(&[("image.minSeconds", "10")])?;

    let exporting =
        |s: &Seen| s.condition("VMPoweredOff").is_some() && s.condition("VMExported").is_none();
    let apply = case.windrow_background(APPLY, "apply-1.log")?;
    kill_when(case, apply, &first.name, "during its export", exporting)?;
    let apply = case.windrow_background(APPLY, "apply-2.log")?;
    kill_when(case, apply, &first.name, "in its image phase", |s| {
        s.last() == "diskImageSubmitted"
    })?;
    let apply = case.windrow_background(APPLY, "apply-3.log")?;
    kill_when(case, apply, &second.name, "at its creation", |_| true)?;
    // Nothing is interrupted from here on.
    Ova::rate(0)?;
    case.world.kube.set_knobs(&[])?;
    let mut apply = case.windrow_background(APPLY, "apply-4.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("the last `windrow apply`", &output, 0);

    case.expect_imported_once(&[&first.name, &second.name])?;
    case.expect_machine(&case.name("hall"), &first.name, &first.disks)?;
    case.expect_machine(&case.name("hall"), &second.name, &second.disks)?;
    case.expect_writes(2)?;
    Ok(())
}

/// Kills it once the import that looks for `find` is as wanted.
fn kill_when(
    case: &mut Case<'_>,
    mut apply: Background,
    find: &str,
    when: &str,
    wanted: fn(&Seen) -> bool,
) -> Result<()> {
    let seen = wait_while(
        &format!("the import of {find} to be {when}"),
        &mut apply,
        Duration::from_mins(3),
        || {
            Ok(case
                .watch
                .imports()
                .into_iter()
                .find(|s| s.find == find && wanted(s)))
        },
    )?;
    let running = apply.kill();
    case.note(format!(
        "`kill -9` of `windrow apply` (pid {}) {when} of {}",
        apply.pid(),
        seen.place
    ));
    case.expect(
        format!("`apply` was at work when killed {when} of `{find}`"),
        running,
        "",
    );
    Ok(())
}
