//! kube and tokio around the run's state machine (`executor_machine`).
//!
//! [`cluster`] is the way in and the checks before anything is created; [`observe`] watches and
//! gives the machine its picture; `act` turns its answers into API requests; `probe` tries ports; [`mod@drive`] is the loop
//! of both; [`lease`] keeps two loops from driving one engine; [`put`] is what a person's command
//! writes (waves, approvals, `windrow-stop`). Two shells use it: `windrow apply` and
//! `windrow controller`.
//!
//! What is absent: any choice of a VM, a moment or an order (the machine's), any write to a source
//! (there is no client for one here), any read of a Secret's content.

mod act;
pub mod cluster;
pub mod drive;
pub mod error;
pub mod lease;
pub mod observe;
mod parts;
mod plan_status;
mod probe;
pub mod put;
mod scratch;
mod table;

pub use cluster::Cluster;
pub use drive::{Ended, Notice, Observer, Until, drive};
pub use error::{Class, Error};
pub use lease::Lease;
pub use observe::Scope;
