//! pacemaker-controld: elects the DC, lets nodes join, and on the DC executes what the scheduler
//! decides.
//!
//! [`fsm`] is the frame in which everything happens. Source: `spec/pacemaker-cluster.md` §4–10.

pub mod diff;
pub mod fsm;
mod fsm_table;
pub mod graph;
pub mod history;
pub mod key;
pub mod metadata;
