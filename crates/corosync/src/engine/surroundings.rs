//! What the core asks its shell while it answers a request.

use std::net::IpAddr;

use base::NodeId;

use crate::cmap::Value;

/// The state of a node's link.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NodeStatus {
    /// It takes part in the membership protocol.
    pub is_reachable: bool,
    /// The link is configured and bound.
    pub is_enabled: bool,
    /// Packets get through.
    pub is_connected: bool,
    /// Largest payload.
    pub mtu: u32,
    /// Its address.
    pub address: String,
}

/// What the core asks the shell while it answers a request.
pub trait Surroundings {
    /// The keys of the statistics map.
    fn stats(&self) -> Vec<(String, Value)>;
    /// Resets statistics: `knet`, `ipc`, `totem`, `schedmiss` or `all`.
    fn clear_stats(&self, what: &str);
    /// A node's links.
    fn node_status(&self, node: NodeId) -> Option<NodeStatus>;
    /// A node's addresses, one per link; empty for an unknown node.
    fn addresses(&self, node: NodeId) -> Vec<IpAddr>;
    /// Name and status of each local link.
    fn links(&self) -> Vec<(String, String)>;
}
