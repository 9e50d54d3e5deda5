//! What the core asks its shell while it answers a request.

use std::net::IpAddr;

use base::NodeId;

use crate::cmap::Value;

/// The state of one link to a node.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LinkStatus {
    /// Its number.
    pub number: u8,
    /// The link is configured and bound.
    pub is_enabled: bool,
    /// Packets get through.
    pub is_connected: bool,
    /// Largest payload.
    pub mtu: u32,
    /// The address of this end (udp and udpu name the other).
    pub source: String,
    /// The address of the other end (knet).
    pub destination: String,
}

/// The state of a node.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct NodeStatus {
    /// It takes part in the membership protocol, or is within reach of the links.
    pub is_reachable: bool,
    /// Its links.
    pub links: Vec<LinkStatus>,
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
