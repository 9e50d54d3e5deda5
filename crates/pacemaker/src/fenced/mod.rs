//! The fencer: knows the devices that can cut a node off from power or storage, and sees to it
//! that one of them does when asked.
//!
//! Every fencer answers which devices *it* can use ([`device`]); the one that was asked to fence
//! (the originator) collects the answers, has one peer after the other do the work
//! ([`operation`]), and tells everybody the result. [`core`] is the state machine ([`registry`] its devices), [`wire`] its
//! language, [`config`] reads devices and levels from the CIB, [`shell`] is the daemon.
//!
//! Source: `spec/pacemaker-ipc.md` §9, `spec/pacemaker-cluster.md` §15, `spec/agents.md` §5.

pub mod config;
pub mod core;
#[cfg(test)]
mod core_tests;
pub mod device;
pub mod execute;
pub mod history;
pub mod operation;
pub mod originate;
mod registry;
pub mod shell;
pub mod wire;
