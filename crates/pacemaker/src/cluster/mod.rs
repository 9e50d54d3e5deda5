//! What all daemons that talk to peers share: the CPG group with Pacemaker's messages in it, the
//! peer cache, elections, and the envelope of requests and replies.
//!
//! Start with [`group::Group`] (the core) and [`message`] (the bytes). Source:
//! `spec/pacemaker-cluster.md` §1–3.

pub mod election;
pub mod envelope;
pub mod group;
pub mod message;
pub mod peers;
pub mod wire;
