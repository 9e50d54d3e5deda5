//! What the engine asks about the ring and the clients while it answers a request.
//!
//! Source: `spec/corosync-services.md` §6.1, §7.3.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;

use base::{NodeId, Time};
use totem::Srp;

use super::ipc::Ipc;
use crate::cmap::Value;
use crate::config::totem::TotemConfig;
use crate::engine::{LinkStatus, NodeStatus, Surroundings};
use crate::transport::{Link, Transport};

/// The daemon, as far as a request may look at it.
pub(super) struct View<'a> {
    pub(super) now: Time,
    pub(super) srp: &'a Srp,
    pub(super) config: &'a TotemConfig,
    pub(super) transport: &'a Transport,
    pub(super) ipc: &'a Ipc,
    pub(super) send_failures: u32,
    /// When the process was not scheduled, newest first.
    pub(super) sched_misses: &'a VecDeque<(u64, f32)>,
    /// Statistics to reset when the request is done.
    pub(super) cleared: RefCell<Vec<String>>,
}

impl Surroundings for View<'_> {
    fn stats(&self) -> Vec<(String, Value)> {
        let mut all = self.ring_stats();
        self.client_stats(&mut all);
        for (nth, (epoch, delay)) in self.sched_misses.iter().enumerate() {
            let base = format!("stats.schedmiss.{nth}");
            all.push((format!("{base}.timestamp"), Value::U64(*epoch)));
            all.push((format!("{base}.delay"), Value::F32(*delay)));
        }
        if let Some(knet) = self.transport.knet() {
            super::knet::stats(knet, &mut all);
        }
        all
    }

    fn clear_stats(&self, what: &str) {
        self.cleared.borrow_mut().push(what.to_owned());
    }

    fn node_status(&self, node: NodeId) -> Option<NodeStatus> {
        if let (Some(knet), Some(config)) = (self.transport.knet(), &self.config.knet) {
            return super::knet::node_status(knet, config, self.config.node_id, node);
        }
        let listed = self.config.nodes.iter().any(|listed| listed.id == node);
        let known = listed || self.srp.processors().contains(&node);
        let address = match self.config.address_of(node).filter(|_| known) {
            Some(address) => address,
            // Other transports know nothing of nodes they have not heard of, and say so politely.
            None => return Some(NodeStatus::default()),
        };
        let is_reachable = self.srp.processors().contains(&node);
        let link = LinkStatus {
            is_enabled: matches!(self.transport.link(), Link::Up(_)),
            is_connected: is_reachable,
            mtu: self.config.net_mtu,
            source: address.to_string(),
            ..LinkStatus::default()
        };
        Some(NodeStatus { is_reachable, links: vec![link] })
    }

    fn addresses(&self, node: NodeId) -> Vec<IpAddr> {
        let known = self.config.nodes.iter().any(|listed| listed.id == node)
            || self.srp.processors().contains(&node);
        let addresses = self.config.addresses_of(node).into_iter().map(|(_, ip)| ip);
        addresses.filter(|_| known).collect()
    }

    fn links(&self) -> Vec<(String, String)> {
        if let (Some(knet), Some(config)) = (self.transport.knet(), &self.config.knet) {
            return super::knet::ring_status(knet, config, self.config);
        }
        let status = match self.transport.link() {
            Link::Up(_) => "OK",
            Link::Down => "FAULTY",
        };
        vec![(format!("0 {}", self.config.bind), status.to_owned())]
    }
}

impl View<'_> {
    fn ring_stats(&self) -> Vec<(String, Value)> {
        let stats = self.srp.stats(self.now);
        let firewall = stats.continuous_gather > 3 || self.send_failures > 30;
        let mut all: Vec<(String, Value)> = Vec::new();
        for (key, value) in [
            ("orf_token_tx", stats.orf_token_tx),
            ("orf_token_rx", stats.orf_token_rx),
            ("memb_merge_detect_tx", stats.memb_merge_detect_tx),
            ("memb_merge_detect_rx", stats.memb_merge_detect_rx),
            ("memb_join_tx", stats.memb_join_tx),
            ("memb_join_rx", stats.memb_join_rx),
            ("mcast_tx", stats.mcast_tx),
            ("mcast_retx", stats.mcast_retx),
            ("mcast_rx", stats.mcast_rx),
            ("memb_commit_token_tx", stats.memb_commit_token_tx),
            ("memb_commit_token_rx", stats.memb_commit_token_rx),
            ("token_hold_cancel_tx", stats.token_hold_cancel_tx),
            ("token_hold_cancel_rx", stats.token_hold_cancel_rx),
            ("operational_entered", stats.operational_entered),
            ("operational_token_lost", stats.operational_token_lost),
            ("gather_entered", stats.gather_entered),
            ("gather_token_lost", stats.gather_token_lost),
            ("commit_entered", stats.commit_entered),
            ("commit_token_lost", stats.commit_token_lost),
            ("recovery_entered", stats.recovery_entered),
            ("recovery_token_lost", stats.recovery_token_lost),
            ("consensus_timeouts", stats.consensus_timeouts),
            ("rx_msg_dropped", stats.rx_msg_dropped),
            ("time_since_token_last_received", stats.time_since_token_last_received),
        ] {
            all.push((format!("stats.srp.{key}"), Value::U64(value)));
        }
        for (key, value) in [
            ("continuous_gather", stats.continuous_gather),
            ("continuous_sendmsg_failures", self.send_failures),
            ("mtt_rx_token", stats.mtt_rx_token),
            ("avg_token_workload", stats.avg_token_workload),
            ("avg_backlog_calc", stats.avg_backlog_calc),
        ] {
            all.push((format!("stats.srp.{key}"), Value::U32(value)));
        }
        let firewall = Value::U8(u8::from(firewall));
        all.push(("stats.srp.firewall_enabled_or_nic_failure".into(), firewall));
        let small = |value: usize| Value::U32(u32::try_from(value).unwrap_or(u32::MAX));
        all.push(("stats.pg.msg_queue_avail".into(), small(self.srp.queue_available())));
        all.push(("stats.pg.msg_reserved".into(), small(self.srp.reserved())));
        all
    }

    fn client_stats(&self, all: &mut Vec<(String, Value)>) {
        let (mut active, mut closed) = (0u64, 0u64);
        for (index, endpoint) in self.ipc.endpoints.iter().enumerate() {
            closed += endpoint.server.closed_connections();
            for own in endpoint.server.connections() {
                active += 1;
                let conn = Ipc::conn(index, own);
                let Some(stats) = endpoint.server.stats(own) else { continue };
                let Some(base) = self.ipc.stats_base(conn) else { continue };
                let mine = self.ipc.clients.get(&conn).cloned().unwrap_or_default();
                let queued = u32::try_from(stats.queued).unwrap_or(u32::MAX);
                for (key, value) in [
                    ("queueing", Value::I32(i32::from(stats.queued > 0))),
                    ("queued", Value::U32(queued)),
                    ("invalid_request", Value::U64(mine.invalid_request)),
                    ("overload", Value::U64(mine.overload)),
                    ("sent", Value::U32(stats.events as u32)),
                    ("procname", Value::text(mine.procname)),
                    ("requests", Value::U64(stats.requests)),
                    ("responses", Value::U64(stats.responses)),
                    ("dispatched", Value::U64(stats.events)),
                    ("send_retries", Value::U64(stats.send_retries)),
                    ("recv_retries", Value::U64(stats.recv_retries)),
                    ("flow_control", Value::U32(stats.flow_control_state)),
                    ("flow_control_count", Value::U64(stats.flow_control_count)),
                ] {
                    all.push((format!("{base}.{key}"), value));
                }
            }
        }
        all.push(("stats.ipcs.global.active".into(), Value::U64(active)));
        all.push(("stats.ipcs.global.closed".into(), Value::U64(closed)));
    }
}
