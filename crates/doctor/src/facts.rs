//! What the doctor knows when it judges: plain data, filled by [`crate::gather`] on a real machine
//! and by hand in tests.

use crate::session::PeerFact;
use base::NodeId;
use corosync::cmap::Map;
use corosync::config::host::LocalAddress;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `uname -n`.
    pub node: String,
    /// The configuration file.
    pub config_path: String,
    /// Its keys as the engine's map holds them, or why it cannot be read.
    pub config: Option<Result<Map, String>>,
    /// What reading warned of.
    pub config_warnings: Vec<String>,
    /// What the engine makes of the keys: this node's id, or its refusal.
    pub engine_view: Option<Result<NodeId, String>>,
    /// The host's addresses.
    pub addresses: Vec<LocalAddress>,
    /// MTU by interface.
    pub mtus: BTreeMap<String, u32>,
    /// What names stand for: the host's own name and every name in the nodelist.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// The key file, when the configuration wants one.
    pub key: Option<KeyFile>,
    /// Whether the kernel believes its clock to be synchronised.
    pub clock_synchronised: Option<bool>,
    /// The firewall's rules that may drop the ring's packets, as text lines.
    pub firewall: Vec<String>,
    /// The running engine, if it runs.
    pub engine: Option<Engine>,
    /// The cluster's configuration, if one can be read.
    pub cluster: Option<Cluster>,
    /// What the other nodes' doctors told; empty when none were asked.
    pub peers: Vec<PeerFact>,
    /// Whether peers were asked at all.
    pub asked: bool,
}

/// The authentication key on disk.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// Where it is or should be.
    pub path: String,
    /// Its size in bytes, or why it cannot be read.
    pub size: Result<u64, String>,
    /// Its permission bits.
    pub mode: u32,
}

/// What the running engine says.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    /// Whether this partition has quorum; `None` without a quorum provider.
    pub quorate: Option<bool>,
    /// The ring's members.
    pub members: Vec<NodeId>,
    /// Their addresses on the first link.
    pub addresses: Vec<(NodeId, IpAddr)>,
    /// Links as `corosync-cfgtool -s` shows them: name and status.
    pub links: Vec<(String, String)>,
}

/// What the CIB says.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Where it was read.
    pub source: String,
    /// `stonith-enabled`.
    pub fencing_enabled: bool,
    /// Fencing devices that are configured.
    pub fencing_devices: Vec<String>,
    /// `no-quorum-policy`.
    pub no_quorum_policy: String,
    /// `have-watchdog`.
    pub watchdog: bool,
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// `maintenance-mode`.
    pub maintenance: bool,
}

/// A node of the nodelist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// `nodeid`, or 0.
    pub id: NodeId,
    /// `name`, or the first address.
    pub name: String,
    /// Whether it has a `name`.
    pub named: bool,
    /// `ringX_addr` by link.
    pub addresses: Vec<(u8, String)>,
}

impl Facts {
    /// The configuration's keys, when it could be read.
    pub fn map(&self) -> Option<&Map> {
        self.config.as_ref()?.as_ref().ok()
    }

    /// The text of a key, numbers included.
    pub fn text(&self, key: &str) -> Option<String> {
        self.map()?.get(key).map(|value| value.to_string())
    }

    /// The nodelist.
    pub fn listed(&self) -> Vec<Listed> {
        let Some(map) = self.map() else { return Vec::new() };
        let mut nodes: BTreeMap<u32, Listed> = BTreeMap::new();
        for (key, value) in map.iter("nodelist.node.") {
            let mut words = key.split('.').skip(2);
            let (Some(Ok(position)), Some(word)) =
                (words.next().map(str::parse::<u32>), words.next())
            else {
                continue;
            };
            let node = nodes.entry(position).or_insert_with(|| Listed {
                id: NodeId(0),
                name: String::new(),
                named: false,
                addresses: Vec::new(),
            });
            match word {
                "nodeid" => node.id = NodeId(value.to_string().parse().unwrap_or(0)),
                "name" => (node.name, node.named) = (value.to_string(), true),
                _ => {
                    let link = word.strip_prefix("ring").and_then(|w| w.strip_suffix("_addr"));
                    if let Some(Ok(link)) = link.map(str::parse::<u8>) {
                        node.addresses.push((link, value.to_string()));
                    }
                }
            }
        }
        let mut nodes: Vec<Listed> = nodes.into_values().collect();
        for node in &mut nodes {
            node.addresses.sort();
            if !node.named {
                node.name = node.addresses.first().map_or(String::new(), |(_, a)| a.clone());
            }
        }
        nodes
    }

    /// `totem.transport`, or its default.
    pub fn transport(&self) -> String {
        let default = if self.listed().is_empty() { "udp" } else { "knet" };
        self.text("totem.transport").unwrap_or_else(|| default.into())
    }

    /// Whether this is one of the host's addresses.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip == ip)
    }
}
