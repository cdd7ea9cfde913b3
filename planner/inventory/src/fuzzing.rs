//! Doors for the fuzz targets (`fuzz/`), which know nothing of what is behind them.

/// Reads an answer of a vCenter.
pub fn soap(data: &[u8]) {
    crate::vsphere::fuzzing::answer(data);
}
