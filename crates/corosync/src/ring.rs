//! The ring's name. (Replaced by the totem core's when that lands.)
use base::NodeId;
/// Ring id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct RingId {
    /// Representative.
    pub rep: NodeId,
    /// Number.
    pub seq: u64,
}
