//! From the map's `totem.` and `nodelist.` keys to what the ring needs: transport, addresses,
//! ids, timers. Reading also writes back what was derived, as upstream does.
//!
//! Files of all generations work. With a nodelist this is corosync 3; without one it is corosync
//! 1/2: `bindnetaddr` selects the interface, ids come from addresses, and the default transport is
//! `udp` (with `member {}` entries `udpu`).
//!
//! Source: `spec/corosync-conf-and-tools.md` §3.1–3.3, §4; `spec/totem.md` §10, §12.

use std::net::IpAddr;

use base::NodeId;

use super::host::{Host, IpVersion, LocalAddress};
use super::identity::{self, Entry};
use super::knet::{self, KnetConfig};
use super::timing::Timing;
use crate::cmap::{Map, Value};

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Redundant, encrypted links: the default since corosync 3.
    Knet,
    /// Multicast or broadcast.
    Udp,
    /// A datagram to each node.
    Udpu,
}

impl Transport {
    /// The word in `corosync.conf`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Knet => "knet",
            Transport::Udp => "udp",
            Transport::Udpu => "udpu",
        }
    }
}

/// A listed node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its address on link 0.
    pub addr: IpAddr,
    /// Its addresses on all links, ascending by link.
    pub addrs: Vec<(u8, IpAddr)>,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// What the ring needs to know.
#[derive(Clone, Debug)]
pub struct TotemConfig {
    /// How messages travel.
    pub transport: Transport,
    /// This node's id.
    pub node_id: NodeId,
    /// The address to bind to.
    pub bind: IpAddr,
    /// The netmask of that address.
    pub netmask: IpAddr,
    /// The index of its interface.
    pub if_index: u32,
    /// The multicast group or 255.255.255.255 (transport udp).
    pub mcast: Option<IpAddr>,
    /// Whether `mcast` is the broadcast address.
    pub is_broadcast: bool,
    /// UDP port.
    pub port: u16,
    /// Time to live of multicasts.
    pub ttl: u8,
    /// The listed nodes; empty on an unlisted (1.x/2.x multicast) ring.
    pub nodes: Vec<Node>,
    /// Timers and counts.
    pub timing: Timing,
    /// Largest payload of a totem frame.
    pub net_mtu: u32,
    /// Whether generated ids lack their highest bit.
    pub clear_high_bit: bool,
    /// The links (transport knet).
    pub knet: Option<KnetConfig>,
}

impl TotemConfig {
    /// The address of a node: listed, or what its id was generated from.
    pub fn address_of(&self, id: NodeId) -> Option<IpAddr> {
        match self.nodes.iter().find(|node| node.id == id) {
            Some(node) => Some(node.addr),
            None if id == self.node_id => Some(self.bind),
            None if self.nodes.is_empty() => identity::address_of(id, self.bind, self.netmask),
            None => None,
        }
    }

    /// All addresses of a node, by link.
    pub fn addresses_of(&self, id: NodeId) -> Vec<(u8, IpAddr)> {
        match self.nodes.iter().find(|node| node.id == id) {
            Some(node) => node.addrs.clone(),
            None => self.address_of(id).map(|ip| (0, ip)).into_iter().collect(),
        }
    }
}

/// Messages of the reading: warnings to log even when it succeeds.
pub type Warnings = Vec<String>;

/// MTU of an Ethernet without its IP headers taken off, as upstream counts.
const MTU_DEFAULT: u32 = 1500;
/// knet cuts messages itself.
const MTU_KNET: u32 = 65_536;
/// Two MCAST headers: an encapsulated message carries a second one.
const MTU_OVERHEAD: u32 = 90;

pub(super) fn parse_error(text: impl std::fmt::Display) -> String {
    format!("parse error in config: {text}")
}

/// Reads and validates. Derived values are written into the map.
///
/// # Errors
/// The line to log; the map is then not to be used.
pub fn read(
    map: &mut Map,
    host: &dyn Host,
    warnings: &mut Warnings,
) -> Result<TotemConfig, String> {
    let listed = node_positions(map);
    let transport = transport(map, &listed)?;
    let crypto = knet::read_crypto(map, host)?;
    if map.get_text("totem.link_mode").is_some_and(|mode| mode.len() >= 64) {
        return Err("totem.link_mode is too long".into());
    }
    let default = if transport == Transport::Udp { IpVersion::V4 } else { IpVersion::V6Then4 };
    let ip_version = map
        .get_text("totem.ip_version")
        .and_then(|word| IpVersion::parse(&word))
        .unwrap_or(default);
    let clear_high_bit = map.get_text("totem.clear_node_high_bit").as_deref() == Some("yes");

    remark_on_old_style(map, !listed.is_empty(), warnings);
    let ring = if listed.is_empty() {
        unlisted(map, host, ip_version, clear_high_bit, transport)?
    } else {
        from_nodelist(map, host, ip_version, clear_high_bit, &listed, transport)?
    };
    let timing = Timing::read(map, ring.nodes.len());

    check_interface(map, transport)?;
    if map.get_u32("totem.version") != Some(2) {
        return Err(parse_error("This totem parser can only parse version 2 configurations."));
    }
    timing.validate().map_err(parse_error)?;
    check_nodes(&ring.nodes)?;
    if let Some(mode) = map.get_text("totem.link_mode")
        && !["active", "passive", "rr"].contains(&mode.as_str())
    {
        return Err(parse_error(format_args!(
            "The Knet link mode \"{mode}\" specified is invalid.  It must be active, passive or rr."
        )));
    }
    if transport != Transport::Knet && ring.links > 1 {
        return Err(parse_error(format_args!(
            "{} is too many configured interfaces for non-Knet transport.",
            ring.links
        )));
    }
    if transport != Transport::Knet && crypto.is_some() {
        return Err(parse_error(
            "crypto_cipher & crypto_hash are only valid for the Knet transport.",
        ));
    }
    let group = multicast_group(map, transport, &ring)?;

    if !listed.is_empty() {
        map.put("totem.interface.0.bindnetaddr", Value::text(ring.local.ip.to_string()));
    }
    let default = if transport == Transport::Knet { MTU_KNET } else { MTU_DEFAULT };
    let mtu = map.get_u32("totem.netmtu").filter(|mtu| *mtu != 0).unwrap_or(default);
    timing.publish(map);
    let knet = match transport {
        Transport::Knet => {
            Some(knet::read(map, ring.node_id, &ring.nodes, &timing, crypto, warnings)?)
        }
        Transport::Udp | Transport::Udpu => {
            // Nobody pings, but the keys are there.
            let base = "runtime.config.totem.interface.0";
            map.put(&format!("{base}.knet_ping_interval"), Value::U32(timing.token / 4));
            map.put(&format!("{base}.knet_ping_timeout"), Value::U32(timing.token / 2));
            None
        }
    };
    Ok(TotemConfig {
        transport,
        node_id: ring.node_id,
        bind: ring.local.ip,
        netmask: ring.local.netmask,
        if_index: ring.local.index,
        mcast: group.addr,
        is_broadcast: group.is_broadcast,
        port: group.port,
        ttl: map.get_u8("totem.interface.0.ttl").filter(|ttl| *ttl != 0).unwrap_or(1),
        nodes: ring.nodes,
        timing,
        net_mtu: mtu.clamp(576, 65_536) - MTU_OVERHEAD,
        clear_high_bit,
        knet,
    })
}

/// Positions of the `nodelist.node.N` sections, ascending by number.
fn node_positions(map: &Map) -> Vec<u32> {
    let mut positions: Vec<u32> = map
        .iter("nodelist.node.")
        .filter_map(|(key, _)| key["nodelist.node.".len()..].split('.').next()?.parse().ok())
        .collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

fn transport(map: &mut Map, listed: &[u32]) -> Result<Transport, String> {
    let has_members = map.iter("totem.interface.0.member.").next().is_some();
    let word = match map.get_text("totem.transport") {
        Some(word) => word,
        // The default was `udp` in the generations whose files have no nodelist.
        None if listed.is_empty() => {
            let word = if has_members { "udpu" } else { "udp" };
            map.put("totem.transport", word.into());
            word.to_owned()
        }
        None => "knet".to_owned(),
    };
    match word.as_str() {
        "udp" => Ok(Transport::Udp),
        "udpu" => Ok(Transport::Udpu),
        "knet" => Ok(Transport::Knet),
        _ => Err("Invalid transport type. Should be udpu, udp or knet".into()),
    }
}

fn remark_on_old_style(map: &Map, has_nodelist: bool, warnings: &mut Warnings) {
    let before = warnings.len();
    let has_members = map.iter("totem.interface.").any(|(key, _)| key.contains(".member."));
    if has_members && has_nodelist {
        warnings.push("member section is used together with nodelist. Members ignored.".into());
    } else if has_members {
        warnings.push("member section is deprecated.".into());
    }
    if map.get("totem.nodeid").is_some() {
        warnings.push(
            "nodeid in totem section is deprecated and ignored. Nodelist (or autogenerated) nodeid \
             is going to be used."
                .into(),
        );
    }
    if has_nodelist && map.get("totem.interface.0.bindnetaddr").is_some() {
        warnings.push(
            "interface section bindnetaddr is used together with nodelist. Nodelist one is going \
             to be used."
                .into(),
        );
    }
    if warnings.len() > before {
        warnings.push("Please migrate config file to nodelist.".into());
    }
}

struct Ring {
    nodes: Vec<Node>,
    node_id: NodeId,
    local: LocalAddress,
    links: usize,
}

fn from_nodelist(
    map: &mut Map,
    host: &dyn Host,
    ip_version: IpVersion,
    clear_high_bit: bool,
    listed: &[u32],
    transport: Transport,
) -> Result<Ring, String> {
    let entries: Vec<Entry> = listed
        .iter()
        .map(|pos| Entry {
            pos: *pos,
            name: map.get_text(&format!("nodelist.node.{pos}.name")),
            addr: map.get_text(&format!("nodelist.node.{pos}.ring0_addr")),
            id: map.get_u32(&format!("nodelist.node.{pos}.nodeid")),
        })
        .collect();
    let local_pos = identity::find_local(&entries, host)
        .ok_or_else(|| parse_error("No valid name found for local host"))?;
    map.put("nodelist.local_node_pos", Value::U32(local_pos));

    let mut nodes = Vec::new();
    let mut local = None;
    let mut links = 1;
    for entry in &entries {
        let pos = entry.pos;
        links = links.max(count_links(map, pos)?);
        let addr = entry.addr.as_deref().unwrap_or("");
        let kind = if pos == local_pos { "bindnet" } else { "node" };
        let ip = ip_version
            .choose(&host.resolve(addr))
            .ok_or_else(|| format!("failed to parse {kind} address '{addr}'"))?;
        let id_key = format!("nodelist.node.{pos}.nodeid");
        let (id, generated) = match map.get_u32(&id_key).and_then(NodeId::from_wire) {
            Some(id) if transport == Transport::Knet && id.0 > u32::from(u16::MAX) => {
                return Err(format!(
                    "Knet requires nodeid to be less than 65536 for address '{addr}'."
                ));
            }
            Some(id) => (id, false),
            None if transport == Transport::Knet => {
                return Err(if pos == local_pos {
                    "Knet requires an explicit nodeid for the local node".into()
                } else {
                    format!(
                        "Knet requires an explicit nodeid to be specified for address '{addr}'."
                    )
                });
            }
            None => {
                let id = identity::node_id_of(ip, clear_high_bit).ok_or_else(|| {
                    format!(
                        "An IPV6 network requires that a node ID be specified for address '{addr}'."
                    )
                })?;
                map.put(&id_key, Value::U32(id.0));
                (id, true)
            }
        };
        if nodes.iter().any(|node: &Node| node.id == id) {
            let from =
                if generated { format!("(autogenerated from {addr})") } else { String::new() };
            return Err(format!("Nodeid {id}{from} appears twice in corosync.conf"));
        }
        if pos == local_pos {
            local = Some((id, ip));
        }
        let addrs = match transport {
            Transport::Knet => knet::addresses(map, host, ip_version, pos, pos == local_pos)?,
            Transport::Udp | Transport::Udpu => vec![(0, ip)],
        };
        nodes.push(Node { id, addr: ip, addrs, name: entry.name.clone() });
    }
    let (node_id, ip) = local.ok_or_else(|| parse_error("No valid name found for local host"))?;
    // An address that no interface has yet: the transport waits for it.
    let local =
        host.addresses().into_iter().find(|address| address.ip == ip).unwrap_or_else(|| {
            LocalAddress {
                interface: String::new(),
                index: 0,
                ip,
                netmask: host_mask(ip),
                is_up: false,
            }
        });
    Ok(Ring { nodes, node_id, local, links })
}

/// The netmask that makes an address a network of its own.
fn host_mask(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::BROADCAST),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::MAX)),
    }
}

fn count_links(map: &Map, pos: u32) -> Result<usize, String> {
    let prefix = format!("nodelist.node.{pos}.ring");
    let mut links = 0;
    for (key, _) in map.iter(&prefix) {
        let Some(number) = key[prefix.len()..].strip_suffix("_addr") else { continue };
        match number.parse::<usize>() {
            Ok(number) if number <= 7 => links += 1,
            Ok(number) => {
                return Err(parse_error(format_args!(
                    "interface ring number {number} is bigger than allowed maximum 7"
                )));
            }
            Err(_) => {}
        }
    }
    Ok(links)
}

fn unlisted(
    map: &mut Map,
    host: &dyn Host,
    ip_version: IpVersion,
    clear_high_bit: bool,
    transport: Transport,
) -> Result<Ring, String> {
    let Some(wanted) = map.get_text("totem.interface.0.bindnetaddr") else {
        return Err(parse_error("No interfaces defined"));
    };
    let bindnet = ip_version
        .choose(&host.resolve(&wanted))
        .or_else(|| host.resolve(&wanted).first().copied())
        .ok_or_else(|| format!("failed to parse bindnet address '{wanted}'"))?;
    let local = identity::bind_address(bindnet, &host.addresses()).cloned().ok_or_else(|| {
        parse_error(format_args!(
            "No local interface is in the network of bindnetaddr {wanted} for interface 0"
        ))
    })?;
    let id_of = |ip: IpAddr| {
        identity::node_id_of(ip, clear_high_bit).ok_or_else(|| {
            parse_error("An IPV6 network requires that a node ID be specified for interface 0")
        })
    };
    let node_id = id_of(local.ip)?;
    let mut nodes = Vec::new();
    if transport == Transport::Udpu {
        for (_, value) in map.iter("totem.interface.0.member.") {
            let text = value.as_text().unwrap_or_default();
            let ip = ip_version
                .choose(&host.resolve(&text))
                .ok_or_else(|| format!("failed to parse node address '{text}'"))?;
            let id = id_of(ip)?;
            if !nodes.iter().any(|node: &Node| node.id == id) {
                nodes.push(Node { id, addr: ip, addrs: vec![(0, ip)], name: None });
            }
        }
        if !nodes.iter().any(|node| node.id == node_id) {
            let addrs = vec![(0, local.ip)];
            nodes.push(Node { id: node_id, addr: local.ip, addrs, name: None });
        }
    }
    Ok(Ring { nodes, node_id, local, links: 1 })
}

fn check_interface(map: &Map, transport: Transport) -> Result<(), String> {
    for (key, value) in map.iter("totem.interface.") {
        let rest = &key["totem.interface.".len()..];
        let Some((number, name)) = rest.split_once('.') else { continue };
        let Ok(link) = number.parse::<u32>() else { continue };
        if link > 7 {
            return Err(parse_error(format_args!(
                "interface ring number {link} is bigger than allowed maximum 7"
            )));
        }
        if name == "ttl" && transport != Transport::Udp && *value != Value::U8(1) {
            return Err(parse_error(format_args!(
                "Can only set ttl on multicast transport types for interface {link}"
            )));
        }
        if name == "knet_link_priority" && transport != Transport::Knet && *value != Value::U8(1) {
            return Err(parse_error(format_args!(
                "Can only set link priority on knet transport type for interface {link}"
            )));
        }
    }
    Ok(())
}

fn check_nodes(nodes: &[Node]) -> Result<(), String> {
    let Some(first) = nodes.first() else { return Ok(()) };
    match nodes.iter().find(|node| node.addr.is_ipv4() != first.addr.is_ipv4()) {
        Some(other) => Err(parse_error(format_args!(
            "Nodes for link 0 have different IP families (compared {} with {})",
            first.addr, other.addr
        ))),
        None => Ok(()),
    }
}

struct Group {
    addr: Option<IpAddr>,
    is_broadcast: bool,
    port: u16,
}

fn multicast_group(map: &mut Map, transport: Transport, ring: &Ring) -> Result<Group, String> {
    let port = match map.get("totem.interface.0.mcastport") {
        Some(Value::U16(port)) if *port != 0 => *port,
        _ => 5405,
    };
    let is_broadcast = map.get_text("totem.interface.0.broadcast").as_deref() == Some("yes");
    if transport != Transport::Udp {
        return Ok(Group { addr: None, is_broadcast: false, port });
    }
    let ipv6 = ring.local.ip.is_ipv6();
    let addr = if is_broadcast {
        IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
    } else if let Some(text) = map.get_text("totem.interface.0.mcastaddr") {
        text.parse().map_err(|_| format!("failed to parse mcast address '{text}'"))?
    } else if let Some(Value::Str(name)) = map.get("totem.cluster_name") {
        let addr = identity::multicast_address(name, 0, ipv6);
        map.put("totem.interface.0.mcastaddr", Value::text(addr.to_string()));
        map.put("totem.interface.0.mcastport", Value::U16(port));
        addr
    } else {
        return Err(parse_error("No multicast address specified for interface 0"));
    };
    if !is_broadcast && !addr.is_multicast() {
        return Err(parse_error("mcastaddr is not a correct multicast address for interface 0"));
    }
    if addr.is_ipv6() != ipv6 {
        return Err(parse_error(
            "Multicast address family does not match bind address family for interface 0",
        ));
    }
    Ok(Group { addr: Some(addr), is_broadcast, port })
}

#[cfg(test)]
#[path = "totem_tests.rs"]
mod tests;
