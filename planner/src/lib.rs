//! From a plan and an inventory to waves, with the reasons; pure.
//!
//! ```text
//! plan, site, inventory ─ resolve ─▶ ResolvedPlan ─ check ─▶ Checked ─ schedule ─▶ Schedule ─ waves ─▶ files
//!                            │                        │                                │
//!                        Diagnostics              findings                      report, forecast
//! ```
//!
//! Every choice is made here, and each stage has a type of its own: a function that needs a
//! resolved plan cannot be given a raw one. A stage gives its result *and* the grounds for it, and
//! collects all that is wrong before it answers. Nothing here reads a clock, a file, the network,
//! the environment or a random source: the same input gives the same bytes, whatever the order in
//! which an inventory lists its VMs.

mod before;
pub mod check;
pub mod coverage;
pub mod critical;
pub mod diagnostic;
pub mod diff;
pub mod downtime;
pub mod draft;
pub mod estimate;
pub mod explain;
mod filling;
#[cfg(test)]
mod fixture;
pub mod graph;
pub mod keep;
pub mod learned;
pub mod manifests;
mod markdown;
pub mod notice;
pub mod pipeline;
mod predict;
pub mod ready;
pub mod remedy;
pub mod report;
pub mod resolve;
pub mod schedule;
pub mod simulate;
pub mod tradeoff;
mod unplaced;
pub mod waves;

pub use before::Before;
pub use keep::Keep;
pub use pipeline::{Planned, Refusal, plan, plan_after, plan_keeping};
