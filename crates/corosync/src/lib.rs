//! The cluster engine, its services and tools.

pub mod tools;
pub mod transport;

use base::Applet;

pub mod cmap;
pub mod config;
pub mod engine;
pub mod ring;
pub mod services;
pub mod shell;
pub mod wire;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    let mut applets = vec![shell::COROSYNC];
    applets.extend(tools::applets());
    applets
}
