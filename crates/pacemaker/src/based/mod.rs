//! pacemaker-based: the manager of the CIB, the replicated document of configuration and status.
//!
//! Every node holds a full copy. A request that changes it goes unchanged to all nodes through the
//! group `cib` and is applied by each in the one order of the ring; the node it came from answers
//! its client. [`core`] is the state machine for clients, [`peers`] what it does with messages of
//! the group, [`messages`] the elements they speak in, [`disk`] keeps the document, [`shell`] is
//! the daemon around it.
//!
//! Source: `spec/pacemaker-ipc.md` §4, `spec/pacemaker-cluster.md` §14, `spec/cib.md`.

pub mod core;
pub mod disk;
pub mod messages;
pub mod peers;
pub mod remote;
pub mod shell;
#[cfg(test)]
mod tests;
