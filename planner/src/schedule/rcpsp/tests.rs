//! Laws that every schedule keeps, and instances whose optimum an exhaustive search proves.

use std::cell::Cell;

use proptest::prelude::*;

use super::random::Random;
use super::{Activity, Budget, Fault, Project, Stage, Time, Unsolvable, check, solve};

/// An activity of one stage.
fn activity(duration: Time, demands: &[u64], successors: &[usize]) -> Activity {
    Activity {
        stages: vec![Stage {
            duration,
            demands: demands.to_vec(),
        }],
        successors: successors.to_vec(),
        ..Activity::default()
    }
}

/// A project of chance: capacities of about twice a demand, up to three successors each.
fn project(seed: u64, activities: usize, resources: usize) -> Project {
    let mut random = Random::new(seed);
    let one = |at: usize, random: &mut Random| {
        let demands: Vec<u64> = (0..resources)
            .map(|_| random.below(8).saturating_sub(1))
            .collect();
        let later = activities - at - 1;
        let successors = (0..random.place(4).min(later)).map(|_| at + 1 + random.place(later));
        let mut successors: Vec<usize> = successors.collect();
        successors.sort_unstable();
        successors.dedup();
        let duration = Time::try_from(random.below(9)).unwrap();
        activity(duration, &demands, &successors)
    };
    Project {
        capacities: (0..resources).map(|_| 6 + random.below(6)).collect(),
        calendars: Vec::new(),
        activities: (0..activities).map(|at| one(at, &mut random)).collect(),
    }
}

/// As [`project`], with releases, calendars and activities of several stages.
fn timed_project(seed: u64, activities: usize) -> Project {
    let mut project = project(seed, activities, 2);
    let mut random = Random::new(!seed);
    let nights = (0..4000).map(|night| (night * 20, night * 20 + 7));
    let weekends = (0..1000).map(|week| (week * 90 + 60, week * 90 + 85));
    project.calendars = vec![nights.collect(), weekends.collect()];
    for activity in &mut project.activities {
        activity.calendar = [None, Some(0), Some(1)][random.place(3)];
        activity.release = if random.chance(1, 3) { 30 } else { 0 };
        let rest = Stage {
            duration: Time::try_from(random.below(5)).unwrap(),
            demands: activity.stages[0].demands.iter().map(|d| d / 2).collect(),
        };
        activity.stages.push(rest);
    }
    project
}

/// The least makespan, by trying all lists: each schedule that cannot be improved by moving one
/// activity earlier comes of a list, and one of them is optimal.
fn optimum(project: &Project) -> Time {
    let length: Time = project.activities.iter().map(Activity::duration).sum();
    let width = project.capacities.len();
    let free = project.capacities.repeat(length as usize);
    let mut best = length;
    let mut start = vec![None; project.activities.len()];
    extend(project, &mut start, &free, width, &mut best);
    best
}

fn extend(
    project: &Project,
    start: &mut Vec<Option<Time>>,
    free: &[u64],
    width: usize,
    best: &mut Time,
) {
    let end = |at: usize, start: &[Option<Time>]| {
        start[at].map(|s| s + project.activities[at].duration())
    };
    let latest = (0..start.len())
        .filter_map(|at| end(at, start))
        .max()
        .unwrap_or_default();
    if latest >= *best {
        return;
    }
    if start.iter().all(Option::is_some) {
        *best = latest;
        return;
    }
    for at in 0..start.len() {
        let before = (0..start.len()).filter(|b| project.activities[*b].successors.contains(&at));
        let ends: Option<Vec<Time>> = before.map(|b| end(b, start)).collect();
        let (None, Some(ends)) = (start[at], ends) else {
            continue;
        };
        let stage = &project.activities[at].stages[0];
        let fits = |from: Time| {
            (from..from + stage.duration).all(|time| {
                let cell = &free[time as usize * width..];
                stage
                    .demands
                    .iter()
                    .zip(cell)
                    .all(|(needs, has)| needs <= has)
            })
        };
        let ready = ends.into_iter().max().unwrap_or_default();
        let from = (ready..=Time::MAX / 2).find(|from| fits(*from)).unwrap();
        let mut left = free.to_vec();
        for time in from..from + stage.duration {
            for (resource, needs) in stage.demands.iter().enumerate() {
                left[time as usize * width + resource] -= needs;
            }
        }
        start[at] = Some(from);
        extend(project, start, &left, width, best);
        start[at] = None;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Small projects are solved to the optimum, and no bound is above it.
    #[test]
    fn small_projects_are_solved_to_the_optimum(seed: u64) {
        let project = project(seed, 7, 2);
        let solution = solve(&project, &Budget::schedules(2000), seed).unwrap();
        prop_assert_eq!(check(&project, &solution.start), []);
        prop_assert_eq!(solution.makespan, optimum(&project));
        prop_assert!(solution.lower_bound <= solution.makespan);
        prop_assert!(solution.critical_path <= solution.lower_bound);
    }

    /// Precedences, capacities, releases and calendars hold, on both kinds of profile.
    #[test]
    fn every_schedule_keeps_all_rules(seed: u64) {
        for project in [project(seed, 40, 4), project(seed, 30, 6), timed_project(seed, 25)] {
            let solution = solve(&project, &Budget::schedules(300), seed).unwrap();
            prop_assert_eq!(check(&project, &solution.start), []);
            let ends = project.activities.iter().zip(&solution.start);
            let last = ends.map(|(activity, start)| start + activity.duration()).max();
            prop_assert_eq!(last, Some(solution.makespan));
            prop_assert!(solution.lower_bound <= solution.makespan);
            prop_assert!(solution.schedules <= 300);
        }
    }

    /// Both kinds of profile give the same schedules: a fifth resource that nobody needs rules out
    /// the one for short projects.
    #[test]
    fn profiles_agree(seed: u64) {
        let short = project(seed, 30, 4);
        let mut long = short.clone();
        long.capacities.push(1);
        for activity in &mut long.activities {
            activity.stages[0].demands.push(0);
        }
        let budget = Budget::schedules(200);
        prop_assert_eq!(solve(&short, &budget, seed), solve(&long, &budget, seed));
    }
}

/// The same seed gives the same schedule, and a larger budget none that is worse.
#[test]
fn the_seed_decides() {
    let project = project(7, 60, 4);
    let with = |schedules| solve(&project, &Budget::schedules(schedules), 3).unwrap();
    assert_eq!(with(500), with(500));
    assert!(with(5000).makespan <= with(50).makespan);
}

/// One schedule is made even with no budget; then the caller is asked whether to go on.
#[test]
fn the_caller_may_stop_it() {
    let project = project(11, 60, 4);
    let asked = Cell::new(0);
    let elapsed = || asked.replace(asked.get() + 100);
    let budget = Budget {
        schedules: u64::MAX,
        elapsed: Some(&elapsed),
    };
    let solution = solve(&project, &budget, 1).unwrap();
    assert!(solution.schedules < 20, "{}", solution.schedules);
    assert_eq!(
        solve(&project, &Budget::schedules(0), 1).unwrap().schedules,
        1
    );
}

/// A schedule as short as the bound ends the search.
#[test]
fn it_stops_at_the_bound() {
    let mut project = project(5, 30, 2);
    project.capacities = vec![10_000; 2];
    let solution = solve(&project, &Budget::schedules(5000), 1).unwrap();
    assert_eq!(
        (solution.schedules, solution.makespan),
        (1, solution.critical_path)
    );
}

/// Work that has others before and behind it counts with them.
#[test]
fn the_bound_knows_what_is_before_and_behind() {
    // A start of 4, five of 3 that exclude each other, an end of 2.
    let mut activities = vec![activity(4, &[0], &[1, 2, 3, 4, 5])];
    activities.extend((0..5).map(|_| activity(3, &[2], &[6])));
    activities.push(activity(2, &[0], &[]));
    let project = Project {
        capacities: vec![3],
        calendars: Vec::new(),
        activities,
    };
    let solution = solve(&project, &Budget::schedules(100), 1).unwrap();
    assert_eq!(solution.critical_path, 9);
    assert_eq!(solution.lower_bound, 4 + 10 + 2);
    assert_eq!(solution.makespan, 4 + 15 + 2);
}

/// The checker finds each kind of fault.
#[test]
fn the_checker_finds_faults() {
    let mut project = Project {
        capacities: vec![3],
        calendars: vec![vec![(0, 5), (10, 20)]],
        activities: vec![
            activity(4, &[2], &[1]),
            activity(2, &[2], &[]),
            activity(3, &[2], &[]),
        ],
    };
    project.activities[1].calendar = Some(0);
    project.activities[2].release = 1;
    assert_eq!(check(&project, &[0, 10, 4]), []);
    let incomplete = Fault::Incomplete {
        starts: 2,
        activities: 3,
    };
    assert_eq!(check(&project, &[0, 0]), [incomplete]);
    let early = Fault::TooEarly {
        activity: 1,
        before: 0,
    };
    assert_eq!(check(&project, &[10, 4, 20]), [early]);
    let closed = |activity, at| Fault::NotOpen { activity, at };
    assert_eq!(check(&project, &[0, 5, 7]), [closed(1, 5)]);
    assert_eq!(check(&project, &[4, 10, 0]), [closed(2, 0)]);
    let exceeded = Fault::Exceeded {
        at: 3,
        resource: 0,
        taken: 4,
        has: 3,
    };
    assert_eq!(check(&project, &[0, 10, 3]), [exceeded]);
}

/// Projects without a schedule are told apart from hard ones.
#[test]
fn what_cannot_be_scheduled_is_named() {
    let try_it = |project: &Project| solve(project, &Budget::schedules(10), 1).unwrap_err();
    let mut project = Project {
        capacities: vec![3],
        calendars: vec![vec![(0, 1)]],
        activities: vec![activity(4, &[2], &[1]), activity(2, &[2], &[0])],
    };
    assert_eq!(try_it(&project), Unsolvable::Cycle { activity: 0 });
    project.activities[1].successors.clear();
    project.activities[1].calendar = Some(0);
    assert_eq!(try_it(&project), Unsolvable::CalendarFull);
    project.activities[1].stages[0].demands = vec![4];
    let too_large = Unsolvable::TooLarge {
        activity: 1,
        resource: 0,
        needs: 4,
        has: 3,
    };
    assert_eq!(try_it(&project), too_large);
    project.activities[1].stages[0] = Stage {
        duration: Time::MAX - 1,
        demands: vec![1],
    };
    assert_eq!(try_it(&project), Unsolvable::TooLong);
}
