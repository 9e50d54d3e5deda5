//! The name of one ring: who formed it, and a number that only grows.

use base::NodeId;
use std::fmt;

/// Identifies a ring configuration: its representative (lowest member) and a sequence number
/// above every ring number any member has seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RingId {
    /// The node that created the ring.
    pub rep: NodeId,
    /// Its number.
    pub seq: u64,
}

impl RingId {
    /// Both halves together.
    pub const fn new(rep: u32, seq: u64) -> RingId {
        RingId { rep: NodeId(rep), seq }
    }
}

/// `<rep>.<seq>`, both in hex, as the logs print it.
impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.rep.0, self.seq)
    }
}

impl fmt::Debug for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
