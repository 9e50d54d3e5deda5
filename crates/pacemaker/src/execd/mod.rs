//! The executor: runs resource agents on this node, for the controller.
//!
//! Clients register resources and ask for actions; one action runs per resource at a time, others
//! wait; recurring actions repeat until cancelled; completions are told to all clients. The
//! [`core`] is the state machine of that (no process, socket or clock in it; its queues are in [`queue`]), [`wire`] its
//! language, [`shell`] the daemon around it, [`fencer`] how actions on fence devices are passed on
//! to the fencer, [`secrets`] how parameters kept out of the CIB are read.
//!
//! Source: `spec/pacemaker-ipc.md` §8, `spec/pacemaker-cluster.md` §16.

pub mod command;
pub mod core;
#[cfg(test)]
mod core_tests;
pub mod fencer;
pub mod job;
mod queue;
pub mod secrets;
pub mod shell;
pub mod wire;
