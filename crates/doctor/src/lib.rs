//! `quorate doctor`: looks for what breaks clusters, on this node and between nodes, and says what
//! to do about it.
//!
//! Three steps, and only the first and second touch the machine: [`gather`] collects [`facts`]
//! (configuration, names, interfaces, key, clock, firewall, what the engine and the CIB say);
//! [`talk`] exchanges questions and answers with the doctors of other nodes through the machine in
//! [`session`], packets of [`packet`]; [`checks`] are pure functions from facts to [`finding`]s.

pub mod checks;
mod command;
pub mod facts;
pub mod finding;
mod gather;
pub mod packet;
pub mod session;
mod sys;
mod talk;

use base::Applet;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    vec![Applet { name: "doctor", dir: "", run: command::run }]
}
