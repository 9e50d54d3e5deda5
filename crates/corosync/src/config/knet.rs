//! What the knet transport needs to know: links, their timers, encryption, compression.
//!
//! Source: `spec/corosync-conf-and-tools.md` §3.1–§3.3; `spec/knet.md` §3.1, §6, §8.3.

use std::net::IpAddr;
use std::path::Path;

use base::NodeId;
use knet::{Cipher, Compression, Crypto, Hash, Model, Policy};

use super::host::{Host, IpVersion};
use super::timing::Timing;
use super::totem::{Node, Warnings, parse_error};
use crate::cmap::{Map, Value};

/// Where the key is when nothing else is said.
const KEY_FILE: &str = "/etc/corosync/authkey";
/// The first link's port; the others follow.
const PORT: u16 = 5405;

/// One link of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, the same on all nodes.
    pub number: u8,
    /// This node's address on it.
    pub local: IpAddr,
    /// The port of all nodes.
    pub port: u16,
    /// Its rank; higher is better.
    pub priority: u8,
    /// Time between two pings, in milliseconds.
    pub ping_interval: u32,
    /// Silence after which it is down, in milliseconds.
    pub ping_timeout: u32,
    /// How many round trips the mean latency remembers.
    pub ping_precision: u32,
    /// Pongs needed before the one that brings it up.
    pub pong_count: u32,
    /// The other nodes' addresses on it.
    pub peers: Vec<(NodeId, IpAddr)>,
}

/// The settings of the transport.
#[derive(Clone, Debug)]
pub struct KnetConfig {
    /// The links, ascending by number.
    pub links: Vec<Link>,
    /// How several links are used.
    pub policy: Policy,
    /// Encryption; `None` sends clear packets.
    pub crypto: Option<CryptoConfig>,
    /// Compression.
    pub compression: Compression,
    /// Seconds between two explorations of a path.
    pub pmtud_interval: u32,
    /// Size of packets instead of exploring; 0 to explore.
    pub mtu: u32,
}

/// The settings of encryption.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoConfig {
    /// Upstream's library: makes no difference to the bytes.
    pub model: String,
    /// The cipher.
    pub cipher: Cipher,
    /// The hash.
    pub hash: Hash,
    /// The shared key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for CryptoConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}, ***", self.model, self.cipher.as_str(), self.hash.as_str())
    }
}

impl CryptoConfig {
    /// The keys, prepared.
    ///
    /// # Errors
    /// The text for the log.
    pub fn prepare(&self) -> Result<Option<Crypto>, String> {
        Crypto::new(self.cipher, self.hash, &self.key).map_err(|error| error.to_string())
    }
}

/// Reads the settings of encryption, key included.
///
/// # Errors
/// The line to log.
pub fn read_crypto(map: &Map, host: &dyn Host) -> Result<Option<CryptoConfig>, String> {
    let secauth = map.get_text("totem.secauth").as_deref() == Some("on");
    let word = |key: &str, secure: &str| {
        map.get_text(key).unwrap_or_else(|| if secauth { secure.into() } else { "none".into() })
    };
    let (cipher, hash) =
        (word("totem.crypto_cipher", "aes256"), word("totem.crypto_hash", "sha256"));
    let cipher = Cipher::parse(&cipher).ok_or("Invalid cipher type")?;
    let hash = Hash::parse(&hash).ok_or("Invalid hash type")?;
    if cipher != Cipher::None && hash == Hash::None {
        return Err("crypto_cipher requires crypto_hash with value other than none".into());
    }
    if hash == Hash::None {
        return Ok(None);
    }
    let model = map.get_text("totem.crypto_model").unwrap_or_else(|| "nss".into());
    Ok(Some(CryptoConfig { model, cipher, hash, key: read_key(map, host)? }))
}

fn read_key(map: &Map, host: &dyn Host) -> Result<Vec<u8>, String> {
    let file = map.get_text("totem.keyfile");
    if file.is_none()
        && let Some(text) = map.get_text("totem.key")
    {
        // As upstream stores it: with the byte that ends a C string.
        let mut key = text.into_bytes();
        key.push(0);
        return match key.len() {
            len if len < knet::crypto::KEY_MIN => Err("key is too short".into()),
            len if len > knet::crypto::KEY_MAX => Err("key is too long".into()),
            _ => Ok(key),
        };
    }
    let file = file.unwrap_or_else(|| KEY_FILE.into());
    let mut key = host.read_file(Path::new(&file)).map_err(|error| {
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_owned();
        format!("Could not open {file}: {text}")
    })?;
    if key.len() < knet::crypto::KEY_MIN {
        let bits = key.len() * 8;
        return Err(format!("Could only read {bits} bits of minimum 1024 bits from {file}."));
    }
    key.truncate(knet::crypto::KEY_MAX);
    Ok(key)
}

/// Addresses of a listed node on all links: link number, what is written, what it resolves to.
///
/// # Errors
/// The line to log.
pub fn addresses(
    map: &Map,
    host: &dyn Host,
    ip_version: IpVersion,
    position: u32,
    is_local: bool,
) -> Result<Vec<(u8, IpAddr)>, String> {
    let mut found = Vec::new();
    for number in 0..knet::LINKS {
        let Some(text) = map.get_text(&format!("nodelist.node.{position}.ring{number}_addr"))
        else {
            continue;
        };
        let kind = if is_local { "bindnet" } else { "node" };
        let ip = ip_version
            .choose(&host.resolve(&text))
            .ok_or_else(|| format!("failed to parse {kind} address '{text}'"))?;
        found.push((number, ip));
    }
    Ok(found)
}

/// Reads the rest, once nodes and timing are known, and publishes what was derived.
///
/// # Errors
/// The line to log.
pub fn read(
    map: &mut Map,
    me: NodeId,
    nodes: &[Node],
    timing: &Timing,
    crypto: Option<CryptoConfig>,
    warnings: &mut Warnings,
) -> Result<KnetConfig, String> {
    check_nodes(nodes)?;
    if map.get("nozzle.name").is_some() {
        warnings.push("nozzle devices are not available in this build: nozzle is ignored".into());
    }
    let own = nodes.iter().find(|node| node.id == me).map_or(&[][..], |node| &node.addrs);
    let mut links = Vec::new();
    for (number, local) in own {
        let link = read_link(map, *number, *local, me, nodes, timing)?;
        let base = format!("totem.interface.{number}");
        map.put(&format!("{base}.bindnetaddr"), Value::text(local.to_string()));
        let base = format!("runtime.config.{base}");
        map.put(&format!("{base}.knet_ping_interval"), Value::U32(link.ping_interval));
        map.put(&format!("{base}.knet_ping_timeout"), Value::U32(link.ping_timeout));
        links.push(link);
    }
    let mode = map.get_text("totem.link_mode").unwrap_or_else(|| "passive".into());
    let policy = Policy::parse(&mode).ok_or_else(|| {
        parse_error(format_args!(
            "The Knet link mode \"{mode}\" specified is invalid.  It must be active, passive or rr."
        ))
    })?;
    let word = map.get_text("totem.knet_compression_model").unwrap_or_else(|| "none".into());
    let model = Model::parse(&word).ok_or("Invalid compression model")?;
    let number = |key: &str| map.get_u32(key).unwrap_or(0);
    let level = match map.get("totem.knet_compression_level") {
        Some(Value::I32(level)) => *level,
        _ => 0,
    };
    let (pmtud_interval, mtu) = link_numbers(map);
    Ok(KnetConfig {
        links,
        policy,
        crypto,
        compression: Compression {
            model,
            threshold: number("totem.knet_compression_threshold") as usize,
            level,
        },
        pmtud_interval,
        mtu,
    })
}

/// The numbers that may also be changed in the map: seconds between explorations of a path, and
/// the size of packets.
pub fn link_numbers(map: &Map) -> (u32, u32) {
    let number = |key: &str| map.get_u32(key).unwrap_or(0);
    let interval = number("totem.knet_pmtud_interval");
    (if interval == 0 { 30 } else { interval }, number("totem.knet_mtu"))
}

fn read_link(
    map: &Map,
    number: u8,
    local: IpAddr,
    me: NodeId,
    nodes: &[Node],
    timing: &Timing,
) -> Result<Link, String> {
    let key = |name: &str| format!("totem.interface.{number}.{name}");
    match map.get_text(&key("knet_transport")).as_deref() {
        None | Some("udp") => {}
        Some("sctp") => {
            return Err(parse_error(format_args!(
                "knet_transport sctp is not available in this build: link {number} has to use udp"
            )));
        }
        Some(_) => {
            return Err(parse_error("Unrecognised knet_transport. expected 'udp' or 'sctp'"));
        }
    }
    let given = |name: &str| map.get_u32(&key(name)).filter(|value| *value != 0);
    let pong_count = given("knet_pong_count").unwrap_or(2);
    let port = match map.get(&key("mcastport")) {
        Some(Value::U16(port)) if *port != 0 => *port,
        _ => PORT + u16::from(number),
    };
    let of = |node: &Node| Some((node.id, node.addrs.iter().find(|(n, _)| *n == number)?.1));
    Ok(Link {
        number,
        local,
        port,
        priority: map.get_u8(&key("knet_link_priority")).unwrap_or(1),
        ping_interval: given("knet_ping_interval")
            .unwrap_or(timing.token / pong_count.saturating_mul(2).max(1))
            .max(1),
        ping_timeout: given("knet_ping_timeout").unwrap_or(timing.token / pong_count).max(1),
        ping_precision: given("knet_ping_precision").unwrap_or(2048),
        pong_count,
        peers: nodes.iter().filter(|node| node.id != me).filter_map(of).collect(),
    })
}

fn check_nodes(nodes: &[Node]) -> Result<(), String> {
    let Some(first) = nodes.first() else { return Ok(()) };
    let is_multi = nodes.iter().any(|node| node.addrs.len() > 1);
    if is_multi && nodes.iter().any(|node| node.name.is_none()) {
        return Err(parse_error(
            "for a multi-link configuration, all nodes must have a 'name' attribute",
        ));
    }
    let numbers = |node: &Node| node.addrs.iter().map(|(number, _)| *number).collect::<Vec<u8>>();
    if nodes.iter().any(|node| numbers(node) != numbers(first)) {
        return Err(parse_error("Not all nodes have the same number of links"));
    }
    for (at, (number, ip)) in first.addrs.iter().enumerate() {
        let other = nodes.iter().filter_map(|node| node.addrs.get(at));
        if let Some((_, other)) =
            other.into_iter().find(|(_, other)| other.is_ipv4() != ip.is_ipv4())
        {
            return Err(parse_error(format_args!(
                "Nodes for link {number} have different IP families (compared {ip} with {other})"
            )));
        }
    }
    Ok(())
}

/// Why the links of a new configuration cannot replace the present ones while they run.
pub fn refuse_change(old: &KnetConfig, new: &KnetConfig) -> Option<String> {
    let all = |config: &KnetConfig| -> Vec<(u8, Option<NodeId>, IpAddr)> {
        let each = config.links.iter().flat_map(|link| {
            let own = [(link.number, None, link.local)];
            own.into_iter()
                .chain(link.peers.iter().map(|(node, ip)| (link.number, Some(*node), *ip)))
        });
        each.collect()
    };
    let (before, after) = (all(old), all(new));
    before.iter().find_map(|(number, node, ip)| {
        let now = after.iter().find(|(n, who, _)| (n, who) == (number, node))?;
        (now.2 != *ip).then(|| {
            format!(
                "new config has different address for link {number} (addr changed from {ip} to \
                 {}). Internal value was NOT changed.",
                now.2
            )
        })
    })
}
