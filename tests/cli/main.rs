//! The real binary: exit code, stdout and stderr of a command as one snapshot.

mod diff;
mod draft;
mod harness;
mod help;
mod validate;
