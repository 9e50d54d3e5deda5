//! From a message to datagrams.
//!
//! Source: `spec/knet.md` §2.

use super::{Knet, LINKS, Output, Policy, To};
use crate::wire::{self, DataHeader, MESSAGE_MAX};
use base::Time;
use std::net::SocketAddr;

/// At every so many messages, peers are told the number: those that got none of them must not
/// take it for a restart when it wraps.
const TELL_EVERY: u16 = 8191;

impl Knet {
    /// Sends a message. False if nobody can be reached (or it is too large): it is gone.
    pub fn send(&mut self, now: Time, to: To, channel: i8, message: &[u8]) -> bool {
        if message.is_empty() || message.len() > MESSAGE_MAX {
            return false;
        }
        let me = self.config.me;
        let is_own = matches!(to, To::All) || to == To::Host(me);
        if is_own && let Some(link) = self.peers.get_mut(&me).and_then(|peer| peer.link_mut(0)) {
            link.stats.tx.data.add(message.len());
            link.stats.rx.data.add(message.len());
            if self.config.deliver_own {
                self.out.push_back(Output::Own { channel, data: message.to_vec() });
            }
        }
        let is_for = |host: u16| host != me && (to == To::All || to == To::Host(host));
        if !self.peers.iter().any(|(host, peer)| is_for(*host) && peer.is_reachable) {
            return to == To::Host(me);
        }
        let packed = self.pack(message);
        let (compress, data) = match &packed {
            Some(packed) => (self.config.compression.model as u8, packed.as_slice()),
            None => (0, message),
        };
        // Should the paths be so small that there are too many fragments, larger ones may get
        // through all the same: the kernel cuts what does not fit.
        let size = self.data_mtu.max(data.len().div_ceil(usize::from(u8::MAX)));
        let fragments = data.len().div_ceil(size) as u8;
        self.seq = self.seq.checked_add(1).unwrap_or(1);
        let seq = self.seq;
        if seq.is_multiple_of(TELL_EVERY) {
            self.tell_seq(now);
        }
        for (index, part) in data.chunks(size).enumerate() {
            let nth = if fragments == 1 { 0 } else { index as u8 + 1 };
            let broadcast = to == To::All;
            let header = DataHeader { seq, compress, broadcast, fragments, nth, channel };
            let mut packet = Vec::with_capacity(wire::DATA_HEADER + part.len() + 128);
            wire::put_data(&mut packet, me, &header, part);
            let packet = self.wrap(packet);
            let bytes = packet.as_ref().len();
            let peers = self.peers.iter_mut().filter(|(host, _)| is_for(**host));
            for (host, peer) in peers {
                let used = match self.config.policy {
                    Policy::RoundRobin => peer.active.get(..peer.active.len().min(1)),
                    Policy::Passive | Policy::Active => peer.active.get(..),
                };
                for number in used.unwrap_or_default() {
                    let slot = peer.links.get_mut(usize::from(*number));
                    let Some(link) = slot.and_then(Option::as_mut) else { continue };
                    let Some(to) = link.remote else { continue };
                    link.stats.tx.data.add(bytes);
                    let packet = packet.clone();
                    self.out.push_back(Output::Transmit { host: *host, link: *number, to, packet });
                }
            }
        }
        if self.config.policy == Policy::RoundRobin {
            for (_, peer) in self.peers.iter_mut().filter(|(host, _)| is_for(**host)) {
                if !peer.active.is_empty() {
                    peer.active.rotate_left(1);
                }
            }
        }
        true
    }

    /// The message made smaller, if that is wanted and works.
    fn pack(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let started = self.config.stopwatch.map(|clock| clock());
        let packed = self.config.compression.compress(message);
        match &packed {
            Some(packed) => {
                if let (Some(clock), Some(started)) = (self.config.stopwatch, started) {
                    self.stats.tx_compress.add(clock().since(started));
                }
                self.stats.tx_compressed_packets += 1;
                self.stats.tx_compressed_original_bytes += message.len() as u64;
                self.stats.tx_compressed_size_bytes += packed.len() as u64;
            }
            None => self.stats.tx_uncompressed_packets += 1,
        }
        packed
    }

    fn tell_seq(&mut self, now: Time) {
        let hosts: Vec<u16> = self.peers.keys().copied().collect();
        for host in hosts {
            for number in 0..LINKS {
                self.ping(now, host, number, false);
            }
        }
    }

    /// The kernel did not take a datagram.
    pub fn handle_send_error(&mut self, link: u8, to: SocketAddr) {
        let Some(host) = self.host_at(link, to) else { return };
        if let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(link)) {
            // Which kind it was is not remembered; nearly all are data.
            let errors = &mut link.stats.tx_errors;
            errors.data = errors.data.saturating_add(1);
        }
    }
}
