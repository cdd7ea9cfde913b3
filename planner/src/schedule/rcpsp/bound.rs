//! What no schedule can beat.

use super::project::{Network, Project, Side, Time};

/// The largest of: the longest chain; and for each resource the work of those activities that have
/// at least so much before and so much behind them, at full capacity, with that before and behind.
pub(super) fn lower_bound(project: &Project, network: &Network) -> Time {
    let by_resource =
        (0..project.capacities.len()).map(|resource| work(project, network, resource));
    by_resource
        .max()
        .unwrap_or_default()
        .max(network.critical_path())
}

fn work(project: &Project, network: &Network, resource: usize) -> Time {
    let capacity = u128::from(project.capacities[resource].max(1));
    // Head, tail and work of those that use it, the latest head first.
    let mut users: Vec<(Time, Time, u128)> = (0..)
        .zip(&network.position)
        .map(|(number, position)| {
            let stages = &project.activities[*position].stages;
            let used = stages
                .iter()
                .map(|s| u128::from(s.duration) * u128::from(s.demands[resource]));
            let head = network.head(Side::Forward, number);
            (head, network.head(Side::Backward, number), used.sum())
        })
        .filter(|(_, _, work)| *work > 0)
        .collect();
    users.sort_unstable_by(|a, b| b.cmp(a));
    let mut best = 0;
    // Those with at least this head, by tail, the longest first.
    let mut by_tail: Vec<(Time, u128)> = Vec::with_capacity(users.len());
    for (head, tail, used) in users {
        let at = by_tail.partition_point(|(other, _)| *other >= tail);
        by_tail.insert(at, (tail, used));
        let mut sum = 0;
        for (tail, used) in &by_tail {
            sum += used;
            let least = u128::from(head) + sum.div_ceil(capacity) + u128::from(*tail);
            best = best.max(least);
        }
    }
    Time::try_from(best).expect("times are in range")
}
