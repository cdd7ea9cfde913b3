//! Snapshot files (stub).
