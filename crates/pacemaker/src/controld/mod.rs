//! pacemaker-controld: elects the DC, lets nodes join, and on the DC executes what the scheduler
//! decides.
//!
//! [`fsm`] is the frame in which everything happens. Source: `spec/pacemaker-cluster.md` §4–10.

mod actions;
mod agents;
pub mod core;
pub mod diff;
mod engine;
mod events;
mod fencing;
pub mod fsm;
mod fsm_table;
pub mod graph;
pub mod history;
mod join;
pub mod key;
mod lrm;
pub mod metadata;
pub mod options;
mod routing;
pub mod shell;
mod status;
#[cfg(test)]
mod tests;
pub mod throttle;
