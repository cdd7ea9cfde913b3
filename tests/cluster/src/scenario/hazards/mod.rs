//! Hazards on the real engine. The plan finds them; imports made by hand (`hand`) show that the
//! engine does what the finding says; the remedy is carried out, the finding is gone, and `apply`
//! imports the machine.

pub mod crash;
pub mod files;
mod hand;
pub mod openstack;
mod script;
pub mod vsphere;
