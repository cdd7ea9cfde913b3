//! Every file and status format of Windrow, its ids and units, and the one YAML door.
//!
//! Takes bytes and gives typed values, and the other way round. Pure: reads no clock, no file, no
//! network. What is in a type here works; what is not built yet is not here, so that a file which
//! asks for it is refused instead of silently half obeyed.
//!
//! The map:
//! - written by people: [`site`], [`plan`], [`approval`];
//! - written by the planner: [`wave`], [`forecast`], [`finding`];
//! - written by the collectors: [`inventory`];
//! - written by the executor: [`machine`];
//! - other people's objects in the target cluster: [`upstream`];
//! - the words all of them use: [`ids`], [`units`], [`conditions`];
//! - between bytes and typed values: [`yaml`]; what the files' kinds have in common: [`mod@file`];
//! - from typed values to what is approved: [`digest`]; from types to schemas: [`crd`];
//! - for messages: [`suggest`], [`shown`].

pub mod approval;
pub mod conditions;
pub mod crd;
pub mod digest;
pub mod facts;
pub mod file;
pub mod finding;
pub mod forecast;
pub mod gate;
pub mod ids;
pub mod inventory;
pub mod machine;
pub mod natural;
pub mod objects;
pub mod other;
pub mod plan;
pub mod select;
pub mod shown;
pub mod site;
pub mod status;
pub mod suggest;
pub mod units;
pub mod upstream;
pub mod wave;
pub mod yaml;

/// The API group of every Windrow object.
pub const GROUP: &str = "windrow.dev";
/// The version of every Windrow object.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every Windrow object.
pub const API_VERSION: &str = "windrow.dev/v1alpha1";
