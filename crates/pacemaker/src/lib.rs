//! the resource manager's daemons.

pub mod attrd;
pub mod cluster;
pub mod controld;
pub mod execd;

use base::Applet;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    Vec::new()
}
