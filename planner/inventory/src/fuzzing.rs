//! Doors for the fuzz targets (`fuzz/`), which know nothing of what is behind them.

/// Reads an answer of a vCenter.
pub fn soap(data: &[u8]) {
    crate::vsphere::fuzzing::answer(data);
}

/// Reads answers of an OpenStack cloud.
pub fn json(data: &[u8]) {
    crate::openstack::fuzzing::answers(data);
}

/// Reads pieces of an archive.
pub fn tar(data: &[u8]) {
    crate::ova::fuzzing::pieces(data);
}

/// Reads a descriptor and a manifest.
pub fn ovf(data: &[u8]) {
    crate::ova::fuzzing::papers(data);
}
