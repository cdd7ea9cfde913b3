//! The run as a state machine: what is, and the time, in; what to do, and when to look again, out.
//!
//! Pure: reads no clock, no cluster, no file. Works by level: [`step`] decides from the picture
//! alone, so that the process around it may die anywhere.

mod action;
mod observed;

pub use action::{Action, Hold, HoldReason, MachineState, MachineView, RunView, Step, Wait};
pub use observed::{
    At, Image, Import, Observed, Record, SourceObject, SourceSpec, StopMode, TargetMachine, Wave,
};
