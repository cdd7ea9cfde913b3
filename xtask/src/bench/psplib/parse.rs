//! The two formats of public project scheduling instances → a [`Project`].

use anyhow::{Context as _, Result, bail, ensure};
use planner::schedule::rcpsp::{Activity, Project, Stage};

/// An instance in the format of PSPLIB, single mode (`.sm`; Kolisch & Sprecher 1997).
pub fn sm(text: &str) -> Result<Project> {
    let mut project = Project::default();
    let mut section = "";
    for (line, at) in text.lines().zip(1..) {
        let first = line.split_whitespace().next().unwrap_or_default();
        match first {
            "PRECEDENCE" | "REQUESTS/DURATIONS:" | "RESOURCEAVAILABILITIES:" => section = first,
            _ if !first.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ => sm_line(section, line, &mut project).with_context(|| format!("line {at}"))?,
        }
    }
    ensure!(
        !project.activities.is_empty(),
        "it lists no jobs under `PRECEDENCE RELATIONS:`"
    );
    ensure!(
        !project.capacities.is_empty(),
        "it lists no `RESOURCEAVAILABILITIES:`"
    );
    complete(project)
}

/// A line of numbers in a section.
fn sm_line(section: &str, line: &str, project: &mut Project) -> Result<()> {
    let number = |word: &str| {
        word.parse::<u64>()
            .with_context(|| format!("read `{word}`"))
    };
    let numbers = || {
        line.split_whitespace()
            .map(number)
            .collect::<Result<Vec<u64>>>()
    };
    match section {
        "PRECEDENCE" => {
            let numbers = numbers()?;
            let [job, modes, count, successors @ ..] = numbers.as_slice() else {
                bail!("a job needs a number, its modes and its count of successors");
            };
            let due = u64::try_from(project.activities.len())? + 1;
            ensure!(*job == due, "job {job} stands where job {due} is due");
            ensure!(
                *modes == 1,
                "job {job} has {modes} modes; only one is understood"
            );
            ensure!(
                *count == u64::try_from(successors.len())?,
                "job {job} says {count} successors and lists {}",
                successors.len()
            );
            project.activities.push(Activity {
                successors: successors
                    .iter()
                    .map(|job| position(*job))
                    .collect::<Result<_>>()?,
                ..Activity::default()
            });
        }
        "REQUESTS/DURATIONS:" => {
            let numbers = numbers()?;
            let [job, _mode, duration, demands @ ..] = numbers.as_slice() else {
                bail!("a job needs a number, a mode and a duration");
            };
            let activity = project.activities.get_mut(position(*job)?);
            let activity = activity.with_context(|| format!("job {job} has no successors"))?;
            activity.stages = vec![Stage {
                duration: u32::try_from(*duration)?,
                demands: demands.to_vec(),
            }];
        }
        "RESOURCEAVAILABILITIES:" => project.capacities = numbers()?,
        _ => {}
    }
    Ok(())
}

/// An instance in the format of Patterson (`.rcp`): one stream of numbers.
pub fn rcp(text: &str) -> Result<Project> {
    let mut words = text.split_whitespace();
    let mut next = |what: &str| -> Result<u64> {
        let word = words
            .next()
            .with_context(|| format!("it ends where {what} is due"))?;
        word.parse()
            .with_context(|| format!("read `{word}` as {what}"))
    };
    let jobs = next("the count of jobs")?;
    let resources = next("the count of resources")?;
    let mut project = Project::default();
    for _ in 0..resources {
        project.capacities.push(next("a capacity")?);
    }
    for _ in 0..jobs {
        let duration = u32::try_from(next("a duration")?)?;
        let demands = (0..resources)
            .map(|_| next("a demand"))
            .collect::<Result<_>>()?;
        let count = next("a count of successors")?;
        let successors = (0..count).map(|_| position(next("a successor")?));
        project.activities.push(Activity {
            successors: successors.collect::<Result<_>>()?,
            stages: vec![Stage { duration, demands }],
            ..Activity::default()
        });
    }
    complete(project)
}

/// Jobs are counted from 1.
fn position(job: u64) -> Result<usize> {
    let position = job.checked_sub(1).context("jobs are counted from 1")?;
    Ok(usize::try_from(position)?)
}

/// Every job that is named is there, with a demand for each resource.
fn complete(project: Project) -> Result<Project> {
    let jobs = project.activities.len();
    for (activity, job) in project.activities.iter().zip(1..) {
        let [stage] = activity.stages.as_slice() else {
            bail!("job {job} has no duration");
        };
        ensure!(
            stage.demands.len() == project.capacities.len(),
            "job {job} has {} demands, and there are {} resources",
            stage.demands.len(),
            project.capacities.len()
        );
        if let Some(other) = activity.successors.iter().find(|other| **other >= jobs) {
            bail!(
                "job {job} has the successor {}, and there are {jobs} jobs",
                other + 1
            );
        }
    }
    Ok(project)
}

#[cfg(test)]
mod tests {
    use super::{rcp, sm};

    const SM: &str = "\
projects                      :  1
jobs (incl. supersource/sink ):  4
  - renewable                 :  2   R
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          2           2   3
   2        1          1           4
   3        1          1           4
   4        1          0
****************
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2
----------------
  1      1     0       0    0
  2      1     3       2    0
  3      1     4       1    5
  4      1     0       0    0
****************
RESOURCEAVAILABILITIES:
  R 1  R 2
    2    6
";

    /// Both formats give the same project.
    #[test]
    fn the_formats_say_the_same() {
        let rcp = rcp("4 2 2 6  0 0 0 2 2 3  3 2 0 1 4  4 1 5 1\n4  0 0 0 0").unwrap();
        assert_eq!(sm(SM).unwrap(), rcp);
        assert_eq!(rcp.activities[2].stages[0].demands, [1, 5]);
        assert_eq!(rcp.activities[0].successors, [1, 2]);
    }

    /// What is wrong is named with its line, or with what was due.
    #[test]
    fn mistakes_are_named() {
        let said = |text: &str| format!("{:#}", sm(text).unwrap_err());
        let modes = SM.replace("   3        1          1", "   3        2          1");
        assert_eq!(
            said(&modes),
            "line 8: job 3 has 2 modes; only one is understood"
        );
        let far = SM.replace("1           4\n   3", "1           5\n   3");
        assert_eq!(
            said(&far),
            "job 2 has the successor 5, and there are 4 jobs"
        );
        let short = SM.replace("       1    5", "       1");
        assert_eq!(
            said(&short),
            "job 3 has 1 demands, and there are 2 resources"
        );
        assert_eq!(said(""), "it lists no jobs under `PRECEDENCE RELATIONS:`");
        let cut = rcp("4 2 2 6  0 0 0 2 2").unwrap_err();
        assert_eq!(cut.to_string(), "it ends where a successor is due");
    }
}
