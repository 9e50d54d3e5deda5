//! A whole ring in one process: one seed, any fault.
//!
//! The very machines of the daemon run here on virtual time and a network that loses, delays,
//! duplicates, reorders and partitions; nodes crash, restart and freeze. A [`World`] is a function
//! of its seed: the same seed gives the same run, event by event, so every failure can be replayed
//! (`quorate sim --seed SEED`). Afterwards [`check`] compares what the nodes delivered with what the ring
//! promises.
//!
//! Reading order: [`world`] (time, network), [`node`] (a machine and its small service above),
//! [`cable`] (the bare network, or knet's machine with several links, below it),
//! [`storm`] (what goes wrong when), [`check`] (the promises). [`stack`] does the same for the
//! daemons above the ring.

pub mod cable;
pub mod check;
mod command;
pub mod node;
pub mod stack;
pub mod storm;
pub mod world;

pub use cable::Links;
pub use check::{Violation, check};
pub use storm::{Outcome, Storm, run_storm};
pub use world::{Network, World};

use base::Applet;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    command::applets()
}
