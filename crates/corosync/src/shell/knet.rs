//! The knet transport of a running daemon: opened from the configuration, changed by a reload,
//! shown by `corosync-cfgtool` and the statistics map.
//!
//! A change of key takes three steps, so that no packet is lost: every node loads the new key at
//! the reload's place in the total order; when its announcement of that comes back it sends with
//! it; and when the next one comes back it forgets the old key.
//!
//! Source: `spec/knet.md` §6.1, §8.3; `spec/corosync-services.md` §6.1, §7.3.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::{NodeId, Time};
use knet::stats::{Count, Effort};
use knet::{Heartbeat, LinkConfig};
use qb::mainloop::now;

use super::daemon::Daemon;
use super::files::{self, strerror};
use crate::cmap::Value;
use crate::config::knet::{KnetConfig, Link, link_numbers, refuse_change};
use crate::config::totem::TotemConfig;
use crate::engine::{CryptoPhase, LinkStatus, NodeStatus};
use crate::transport::{Knet, KnetLink};

/// A node's number on the links. The configuration refuses larger ones.
fn host_id(node: NodeId) -> u16 {
    u16::try_from(node.0).unwrap_or(0)
}

fn heartbeat(link: &Link) -> Heartbeat {
    Heartbeat {
        interval: Duration::from_millis(link.ping_interval.into()),
        timeout: Duration::from_millis(link.ping_timeout.into()),
        precision: link.ping_precision,
        pong_count: link.pong_count,
    }
}

fn links(config: &KnetConfig) -> Vec<KnetLink> {
    let each = config.links.iter().map(|link| {
        let peer = |(node, ip): &(NodeId, _)| {
            let remote = SocketAddr::new(*ip, link.port);
            let peer = LinkConfig { remote, priority: link.priority, heartbeat: heartbeat(link) };
            (host_id(*node), peer)
        };
        KnetLink {
            number: link.number,
            local: SocketAddr::new(link.local, link.port),
            peers: link.peers.iter().map(peer).collect(),
        }
    });
    each.collect()
}

/// Opens the transport.
pub(super) fn open(config: &TotemConfig, settings: &KnetConfig) -> std::io::Result<Knet> {
    let crypto = match &settings.crypto {
        Some(crypto) => crypto.prepare().map_err(std::io::Error::other)?,
        None => None,
    };
    if let Some(crypto) = &settings.crypto {
        base::notice!(
            sub: "TOTEM",
            "kronosnet crypto initialized: {}/{}",
            crypto.cipher.as_str(), crypto.hash.as_str()
        );
    }
    let core = knet::Config {
        me: host_id(config.node_id),
        seed: files::secret_seed()?,
        policy: settings.policy,
        pmtud_interval: Duration::from_secs(settings.pmtud_interval.into()),
        manual_mtu: settings.mtu,
        access_lists: config.timing.block_unlisted_ips,
        compression: settings.compression,
        deliver_own: false,
        stopwatch: Some(now),
    };
    let mut knet = Knet::new(core, &links(settings), crypto)?;
    // The loop begins with all of them.
    knet.take_opened();
    base::notice!(sub: "TOTEM", "totemknet initialized");
    Ok(knet)
}

/// Whether a new configuration can replace the running one.
pub(super) fn check_change(current: &TotemConfig, new: &TotemConfig) -> Result<(), String> {
    let (Some(old), Some(fresh)) = (&current.knet, &new.knet) else { return Ok(()) };
    if let Some(reason) = refuse_change(old, fresh) {
        base::error!(sub: "TOTEM", "{reason}");
        return Err(
            "To reconfigure an interface it must be deleted and recreated. A working interface \
             needs to be available to corosync at all times"
                .into(),
        );
    }
    match &fresh.crypto {
        Some(crypto) => crypto.prepare().map(|_| ()),
        None => Ok(()),
    }
}

impl Daemon {
    /// Takes over what a reload changed.
    pub(super) fn change_links(&mut self, now: Time, new: KnetConfig) {
        let block = self.config.timing.block_unlisted_ips;
        let Some(knet) = self.transport.knet_mut() else { return };
        let keys_before = link_stats(knet);
        let core = knet.core_mut();
        core.set_access_lists(block);
        core.set_pmtud_interval(Duration::from_secs(new.pmtud_interval.into()));
        core.set_manual_mtu(now, new.mtu);
        core.set_compression(new.compression);
        if let Err(error) = knet.set_links(&links(&new)) {
            base::error!(sub: "TOTEM", "Can't open a link: {}", strerror(&error));
        }
        let opened = knet.take_opened();
        let keys_after = link_stats(knet);
        // Unlike other statistics, links come and go: who watches them is told.
        for (key, value) in keys_before.iter().filter(|(key, _)| !keys_after.contains_key(*key)) {
            self.engine.handle_stats_key(now, key, value, false);
        }
        for (key, value) in keys_after.iter().filter(|(key, _)| !keys_before.contains_key(*key)) {
            self.engine.handle_stats_key(now, key, value, true);
        }
        let old = self.config.knet.replace(new);
        self.watch(&opened);
        let before = old.and_then(|old| old.crypto);
        let wanted = self.config.knet.as_ref().and_then(|new| new.crypto.clone());
        if before == wanted {
            return;
        }
        // Checked before anything was changed.
        let crypto = wanted.as_ref().and_then(|crypto| crypto.prepare().ok().flatten());
        let words = wanted.as_ref().map_or(("nss", "none", "none"), |crypto| {
            (crypto.model.as_str(), crypto.cipher.as_str(), crypto.hash.as_str())
        });
        if let Some(knet) = self.transport.knet_mut() {
            let number = knet.prepare_crypto(crypto);
            base::info!(
                sub: "TOTEM",
                "kronosnet crypto reconfigured on index {number}: {}/{}/{}",
                words.0, words.1, words.2
            );
        }
        self.engine.handle_crypto_loaded(now);
    }

    /// Takes over what may be changed in the map while running.
    pub(super) fn tune_links(&mut self, now: Time) {
        let (interval, mtu) = link_numbers(self.engine.map());
        let block = self.config.timing.block_unlisted_ips;
        let Some(knet) = self.transport.knet_mut() else { return };
        let core = knet.core_mut();
        core.set_access_lists(block);
        core.set_pmtud_interval(Duration::from_secs(interval.into()));
        core.set_manual_mtu(now, mtu);
        knet.settle();
    }

    /// Goes on with a change of key.
    pub(super) fn change_crypto(&mut self, phase: CryptoPhase) {
        let is_encrypted = self.config.knet.as_ref().is_some_and(|knet| knet.crypto.is_some());
        let Some(knet) = self.transport.knet_mut() else { return };
        match phase {
            CryptoPhase::Activate => knet.activate_crypto(),
            CryptoPhase::CleanUp => knet.clean_up_crypto(is_encrypted),
        }
    }
}

/// An address as upstream prints it: IPv6 ones with the scope it always gives them.
fn shown(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{v6}%2"),
    }
}

/// A node's links as `cfg` tells them.
pub(super) fn node_status(
    knet: &Knet,
    config: &KnetConfig,
    me: NodeId,
    node: NodeId,
) -> Option<NodeStatus> {
    let core = knet.core();
    let host = host_id(node);
    // The way to oneself has no limit but that of a packet's length.
    let small = |mtu: usize| u32::try_from(mtu).unwrap_or(u32::MAX).min(65_535);
    let links = config.links.iter().filter_map(|link| {
        let status = core.link(host, link.number)?;
        let other = status.remote.map_or(link.local, |remote| remote.ip());
        Some(LinkStatus {
            number: link.number,
            is_enabled: true,
            is_connected: status.connected,
            mtu: small(status.mtu),
            source: shown(link.local),
            destination: shown(other),
        })
    });
    let links: Vec<LinkStatus> = links.collect();
    let is_reachable = node == me || core.is_reachable(host);
    (!links.is_empty()).then_some(NodeStatus { is_reachable, links })
}

/// Name of each link and, for each node, a character: `n` oneself, `3` up, `1` down.
pub(super) fn ring_status(
    knet: &Knet,
    config: &KnetConfig,
    all: &TotemConfig,
) -> Vec<(String, String)> {
    let mut nodes: Vec<NodeId> = all.nodes.iter().map(|node| node.id).collect();
    nodes.sort_unstable();
    let each = config.links.iter().map(|link| {
        let state = |node: &NodeId| match knet.core().link(host_id(*node), link.number) {
            _ if *node == all.node_id => 'n',
            Some(status) if status.connected => '3',
            Some(_) => '1',
            None => 'd',
        };
        let status = nodes.iter().map(state).collect();
        (format!("{} {}", link.number, link.local), status)
    });
    each.collect()
}

/// The keys of the links to other nodes, with their values.
fn link_stats(knet: &Knet) -> BTreeMap<String, Value> {
    let mut all = Vec::new();
    stats(knet, &mut all);
    all.into_iter().filter(|(key, _)| key.starts_with("stats.knet.node")).collect()
}

/// The keys below `stats.knet.`.
pub(super) fn stats(knet: &Knet, all: &mut Vec<(String, Value)>) {
    for (host, number, link) in knet.core().links() {
        let base = format!("stats.knet.node{host}.link{number}");
        let stats = &link.stats;
        let mut put = |key: &str, value: Value| all.push((format!("{base}.{key}"), value));
        put("enabled", Value::U8(1));
        put("connected", Value::U8(u8::from(link.connected)));
        put("mtu", Value::U32(u32::try_from(link.mtu).unwrap_or(u32::MAX)));
        for (way, traffic) in [("tx", &stats.tx), ("rx", &stats.rx)] {
            let total = traffic.total();
            let kinds: [(&str, Count); 5] = [
                ("data", traffic.data),
                ("ping", traffic.ping),
                ("pong", traffic.pong),
                ("pmtu", traffic.pmtu),
                ("total", total),
            ];
            for (kind, count) in kinds {
                put(&format!("{way}_{kind}_packets"), Value::U64(count.packets));
                put(&format!("{way}_{kind}_bytes"), Value::U64(count.bytes));
            }
        }
        let errors = stats.tx_errors;
        let sum = [errors.data, errors.ping, errors.pong, errors.pmtu];
        put("tx_total_errors", Value::U64(sum.iter().copied().map(u64::from).sum()));
        // A datagram is tried again at once or given up: nothing is counted as a retry.
        put("rx_total_retries", Value::U64(0));
        for (kind, count) in [
            ("pmtu", errors.pmtu),
            ("ping", errors.ping),
            ("pong", errors.pong),
            ("data", errors.data),
        ] {
            put(&format!("tx_{kind}_errors"), Value::U32(count));
            put(&format!("tx_{kind}_retries"), Value::U32(0));
        }
        for (key, value) in [
            ("latency_min", stats.latency_min),
            ("latency_max", stats.latency_max),
            ("latency_ave", stats.latency_ave),
            ("latency_samples", stats.latency_samples),
            ("down_count", stats.down_count),
            ("up_count", stats.up_count),
        ] {
            put(key, Value::U32(value));
        }
    }
    handle_stats(knet, all);
}

fn handle_stats(knet: &Knet, all: &mut Vec<(String, Value)>) {
    let stats = knet.core().stats();
    let mut put = |key: &str, value: u64| {
        all.push((format!("stats.knet.handle.{key}"), Value::U64(value)));
    };
    for (key, value) in [
        ("tx_uncompressed_packets", stats.tx_uncompressed_packets),
        ("tx_compressed_packets", stats.tx_compressed_packets),
        ("tx_compressed_original_bytes", stats.tx_compressed_original_bytes),
        ("tx_compressed_size_bytes", stats.tx_compressed_size_bytes),
        ("rx_compressed_packets", stats.rx_compressed_packets),
        ("rx_compressed_original_bytes", stats.rx_compressed_original_bytes),
        ("rx_compressed_size_bytes", stats.rx_compressed_size_bytes),
        ("tx_crypt_packets", stats.tx_crypt_packets),
        ("tx_crypt_byte_overhead", stats.tx_crypt_byte_overhead),
        ("rx_crypt_packets", stats.rx_crypt_packets),
        // Ours; upstream does not count these.
        ("rx_crypt_failures", stats.rx_crypt_failures),
        ("rx_dropped_packets", stats.rx_dropped),
        ("rx_duplicate_packets", stats.rx_duplicates),
    ] {
        put(key, value);
    }
    let efforts: [(&str, Effort); 4] = [
        ("tx_compress", stats.tx_compress),
        ("rx_compress", stats.rx_compress),
        ("tx_crypt", stats.tx_crypt),
        ("rx_crypt", stats.rx_crypt),
    ];
    for (key, effort) in efforts {
        put(&format!("{key}_time_min"), effort.min);
        put(&format!("{key}_time_max"), effort.max);
        put(&format!("{key}_time_ave"), effort.ave);
    }
}
