//! pacemaker-attrd: the manager of transient node attributes.
//!
//! [`core`] is the state machine, [`values`] the data, [`write`] the way into the CIB. Source:
//! `spec/pacemaker-cluster.md` §13, `spec/pacemaker-ipc.md` §5.

pub mod core;
pub mod shell;
#[cfg(test)]
mod tests;
pub mod values;
pub mod write;
