//! The identity of a membership.

use base::NodeId;
use qb::ipc::wire::{get_u32, get_u64};
use std::fmt;

/// A membership: who formed it and its ever-growing number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RingId {
    /// The representative, `NodeId(0)` when the source does not tell.
    pub node: NodeId,
    /// The number.
    pub seq: u64,
}

impl RingId {
    /// Reads `{u32 nodeid, pad, u64 seq}`.
    pub(crate) fn parse(message: &[u8], at: usize) -> Option<RingId> {
        Some(RingId { node: NodeId(get_u32(message, at)?), seq: get_u64(message, at + 8)? })
    }
}

impl fmt::Display for RingId {
    /// As tools print it: both parts in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.node.0, self.seq)
    }
}
