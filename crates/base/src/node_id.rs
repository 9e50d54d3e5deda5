//! Cluster node ids.

use std::fmt;
use std::str::FromStr;

/// A corosync node id. 0 is never a valid node: fields that may lack one are `Option<NodeId>`,
/// wire fields that may be 0 are converted at the edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u32);

impl NodeId {
    /// `None` for 0, which on the wire means "no node".
    pub fn from_wire(raw: u32) -> Option<NodeId> {
        (raw != 0).then_some(NodeId(raw))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<NodeId, Self::Err> {
        s.parse().map(NodeId)
    }
}
