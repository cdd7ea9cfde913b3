//! The real binary: exit code, stdout and stderr of a command as one snapshot.

#[cfg(unix)]
mod ci;
mod diff;
mod draft;
mod findings;
mod harness;
mod help;
mod hostile;
mod no_place;
mod notice;
mod other_plans;
mod outputs;
mod ready;
mod selecting;
mod validate;
