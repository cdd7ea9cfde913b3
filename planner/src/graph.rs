//! What must run before what: the dependencies between workloads as a graph.
//!
//! Takes pairs of positions and gives an order in which every workload stands behind those it
//! depends on, or the members of a cycle, one by one. Weights of what lies behind a workload
//! (its tail, its dependants) come from here too.

use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Bfs, EdgeRef};
use petgraph::{Direction, Graph};
use schemas::units::Seconds;

/// Workloads, by position, and which must run before which.
#[derive(Clone, Debug)]
pub struct Dag {
    /// An edge from each workload to those that depend on it.
    graph: DiGraph<usize, ()>,
    /// Each workload behind all that it depends on.
    order: Vec<usize>,
}

/// Workloads that wait for each other: none of them could ever start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("workloads {members:?} wait for each other")]
pub struct Cycle {
    /// Their positions, in the order in which each depends on the next, and the last on the first.
    pub members: Vec<usize>,
}

impl Dag {
    /// Of `after[i]`: the positions of those that `i` depends on.
    ///
    /// # Errors
    /// Where some wait for each other.
    ///
    /// # Panics
    /// Where a position in `after` is none of a workload.
    pub fn new(after: &[Vec<usize>]) -> Result<Self, Cycle> {
        let mut graph = Graph::with_capacity(after.len(), after.len());
        for position in 0..after.len() {
            graph.add_node(position);
        }
        for (position, before) in after.iter().enumerate() {
            for other in before {
                graph.update_edge(NodeIndex::new(*other), NodeIndex::new(position), ());
            }
        }
        match toposort(&graph, None) {
            Ok(order) => Ok(Self {
                order: order.into_iter().map(NodeIndex::index).collect(),
                graph,
            }),
            Err(_) => Err(Cycle {
                members: cycle(&graph),
            }),
        }
    }

    /// Each workload behind all that it depends on.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Those that directly depend on the workload, by position.
    pub fn dependants(&self, workload: usize) -> impl Iterator<Item = usize> {
        let edges = self.graph.edges(NodeIndex::new(workload));
        edges.map(|edge| edge.target().index())
    }

    /// How many workloads depend on each, directly or not.
    pub fn dependants_count(&self) -> Vec<usize> {
        let reached = |start: NodeIndex| {
            let mut walk = Bfs::new(&self.graph, start);
            std::iter::from_fn(|| walk.next(&self.graph)).count() - 1
        };
        self.graph.node_indices().map(reached).collect()
    }

    /// For each workload the longest way through those that depend on it, itself included, where
    /// each takes as long as `takes` says. One with nothing left to move takes `None`: its
    /// dependants wait for nothing, and the way ends there.
    pub fn tails(&self, takes: &[Option<Seconds>]) -> Vec<Seconds> {
        let mut tails = vec![Seconds::ZERO; takes.len()];
        for &workload in self.order.iter().rev() {
            if let Some(own) = takes[workload] {
                let behind = self.dependants(workload).map(|other| tails[other]).max();
                tails[workload] = own + behind.unwrap_or_default();
            }
        }
        tails
    }
}

/// The members of one cycle of the graph: the one with the lowest position, from that position on.
fn cycle(graph: &DiGraph<usize, ()>) -> Vec<usize> {
    let mut knots: Vec<Vec<NodeIndex>> = tarjan_scc(graph)
        .into_iter()
        .filter(|knot| knot.len() > 1 || knot.iter().any(|n| graph.contains_edge(*n, *n)))
        .collect();
    for knot in &mut knots {
        knot.sort();
    }
    let Some(knot) = knots.into_iter().min() else {
        return Vec::new();
    };
    // Walk from dependant to dependency inside the knot until a member comes again.
    let (mut path, mut at): (Vec<NodeIndex>, _) = (Vec::new(), knot[0]);
    loop {
        if let Some(first) = path.iter().position(|seen| *seen == at) {
            let mut members: Vec<usize> = path.split_off(first).iter().map(|n| n.index()).collect();
            let lowest = (0..members.len()).min_by_key(|i| members[*i]).unwrap_or(0);
            members.rotate_left(lowest);
            return members;
        }
        path.push(at);
        let before = graph.neighbors_directed(at, Direction::Incoming);
        match before
            .filter(|other| knot.binary_search(other).is_ok())
            .min()
        {
            Some(next) => at = next,
            None => return Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // db ← app ← web, and a lone one: order, tails and counts.
    #[test]
    fn a_chain() {
        let dag = Dag::new(&[vec![1], vec![2], vec![], vec![]]).expect("no cycle");
        let place = |w| dag.order().iter().position(|o| *o == w);
        assert!(place(2) < place(1) && place(1) < place(0));
        assert_eq!(dag.dependants_count(), [0, 1, 2, 0]);
        let takes = [10, 20, 30, 5].map(|seconds| Some(Seconds(seconds)));
        assert_eq!(
            dag.tails(&takes),
            [Seconds(10), Seconds(30), Seconds(60), Seconds(5)]
        );
        let moved = [Some(Seconds(10)), None, Some(Seconds(30)), None];
        assert_eq!(dag.tails(&moved)[2], Seconds(30));
    }

    // A cycle is named member by member, each followed by what it depends on, and nothing else.
    #[test]
    fn a_cycle() {
        let after = [vec![], vec![3, 0], vec![1], vec![2], vec![3]];
        let found = Dag::new(&after).expect_err("a cycle");
        assert_eq!(found.members, [1, 3, 2]);
        let own = Dag::new(&[vec![], vec![1]]).expect_err("waits for itself");
        assert_eq!(own.members, [1]);
    }
}
