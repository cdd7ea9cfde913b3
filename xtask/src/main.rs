//! Windrow.
fn main() {}
