//! What an engine does, as data and a deterministic simulation: one model for the schedule, the
//! demonstration, the executor and the tests.
//!
//! The engine is Harvester's vm-import-controller. Facts about it come from two pages of
//! `docs/engine.md`: what its source says (cited here as `VM:391`, file and line of v1.8.1) and
//! what the real controller did when it was run (cited as "measured", with a section).
//!
//! The map:
//! - [`footprint`]: how much scratch an import needs, and what its export moves;
//! - [`profile`]: an engine's pools, phases and polls, as data;
//! - [`import`]: what the simulation is told of one import;
//! - [`sim`]: vm-import-controller on a virtual clock; created, deleted, touched, killed, observed;
//! - [`flow`]: any profile on a virtual clock, without faults: phases that follow each other;
//! - [`admission`]: when the next import is due, given the one before;
//! - [`time`]: the virtual clock's unit.
//!
//! It reads no clock and no file, draws no random number, and keeps every list in a stated order:
//! the same calls give the same changes on every machine.

pub mod admission;
pub mod flow;
pub mod footprint;
pub mod import;
pub mod profile;
pub mod sim;
pub mod time;

pub use flow::Flow;
pub use import::{DiskSpec, Fault, Guest, ImportSpec, Timing};
pub use profile::Profile;
pub use sim::{Change, Import, ImportId, Sim, What};
pub use time::Millis;
