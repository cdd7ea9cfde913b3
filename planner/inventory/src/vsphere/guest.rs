//! What a guest's id says about it.

/// Beginnings of the ids of Linux guests.
const LINUX: &[&str] = &[
    "almalinux",
    "amazonlinux",
    "asianux",
    "centos",
    "coreos",
    "crxPod",
    "crxSys",
    "debian",
    "fedora",
    "flatcar",
    "linux",
    "mandrake",
    "mandriva",
    "nld",
    "oes",
    "opensuse",
    "oracleLinux",
    "redhat",
    "rhel",
    "rockylinux",
    "sjds",
    "sles",
    "suse",
    "turboLinux",
    "ubuntu",
    "vmwarePhoton",
];

/// The family of a configured guest, in vSphere's words. `guest.guestFamily` would say it too, but
/// only while the tools run: power must not change a VM's configuration.
pub(crate) fn guest_family(id: &str) -> Option<&'static str> {
    let is_linux = LINUX.iter().any(|prefix| id.starts_with(prefix)) || id.contains("Linux");
    match id {
        _ if id.starts_with("win") => Some("windowsGuest"),
        _ if is_linux => Some("linuxGuest"),
        _ if id.starts_with("darwin") => Some("darwinGuestFamily"),
        _ if id.starts_with("solaris") => Some("solarisGuest"),
        _ if id.starts_with("netware") => Some("netwareGuest"),
        "" => None,
        _ => Some("otherGuestFamily"),
    }
}
