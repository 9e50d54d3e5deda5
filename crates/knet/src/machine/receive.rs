//! From a datagram to a message.
//!
//! Source: `spec/knet.md` §4.

use super::{Knet, LINKS, Message};
use crate::compress;
use crate::dedupe::Ring;
use crate::event::Event;
use crate::wire::{self, Body, DataHeader, Malformed};
use base::Time;
use std::net::IpAddr;
use std::ops::Range;

/// Where a message lies once it is whole.
enum Place {
    /// In the packet.
    Packet(Range<usize>),
    /// In the buffer for assembled ones.
    Assembled,
}

/// Where the packet lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Raw,
    Decrypted,
    Dropped,
}

impl Knet {
    /// Takes a datagram. Gives the message that is now complete, if one is.
    pub fn handle_packet<'a>(
        &'a mut self,
        now: Time,
        from: IpAddr,
        datagram: &'a [u8],
    ) -> Option<Message<'a>> {
        let mut clear = std::mem::take(&mut self.clear);
        let source = self.open(now, from, datagram, &mut clear);
        let found = match source {
            Source::Raw => self.take(now, from, datagram, datagram.len()),
            Source::Decrypted => self.take(now, from, &clear, datagram.len()),
            Source::Dropped => None,
        };
        self.clear = clear;
        let (host, channel, place) = found?;
        let data = match (place, source) {
            (Place::Packet(range), Source::Raw) => datagram.get(range)?,
            (Place::Packet(range), _) => self.clear.get(range)?,
            (Place::Assembled, _) => &self.assembled,
        };
        Some(Message { from: host, channel, data })
    }

    fn open(&mut self, now: Time, from: IpAddr, datagram: &[u8], clear: &mut Vec<u8>) -> Source {
        if self.crypto.iter().any(Option::is_some) {
            let first = self.in_use.map_or(0, |slot| slot as usize);
            for slot in [first, 1 - first] {
                let Some(crypto) = &self.crypto[slot] else { continue };
                let started = self.config.stopwatch.map(|clock| clock());
                if crypto.open(datagram, clear) {
                    if let (Some(clock), Some(started)) = (self.config.stopwatch, started) {
                        self.stats.rx_crypt.add(clock().since(started));
                    }
                    self.stats.rx_crypt_packets += 1;
                    return Source::Decrypted;
                }
            }
            if !self.is_clear_allowed {
                self.stats.rx_crypt_failures += 1;
                let (size, count) = (datagram.len(), self.stats.rx_crypt_failures);
                self.complain(now, Event::Undecryptable { from, size, count });
                return Source::Dropped;
            }
        } else if !self.is_clear_allowed {
            self.stats.rx_dropped += 1;
            return Source::Dropped;
        }
        Source::Raw
    }

    fn drop_packet(&mut self, now: Time, from: IpAddr, reason: &'static str) {
        self.stats.rx_dropped += 1;
        self.complain(now, Event::Malformed { from, reason });
    }

    /// Takes a clear packet that was `bytes` long on the wire.
    fn take(
        &mut self,
        now: Time,
        from: IpAddr,
        packet: &[u8],
        bytes: usize,
    ) -> Option<(u16, i8, Place)> {
        let (host, body) = match wire::decode(packet) {
            Ok(found) => found,
            Err(error) => {
                let reason = match error {
                    Malformed::Short => "Packet is too short",
                    Malformed::Version => "Packet version does not match",
                    Malformed::Type => "Packet type is not known",
                    Malformed::Fields => "Packet contradicts itself",
                };
                self.drop_packet(now, from, reason);
                return None;
            }
        };
        let Some(peer) = self.peers.get(&host).filter(|_| host != self.config.me) else {
            self.drop_packet(now, from, "Unable to find source host for this packet");
            return None;
        };
        let number = match &body {
            Body::Ping(beat) | Body::Pong(beat) => beat.link % LINKS,
            Body::Probe { link, .. } | Body::ProbeReply { link, .. } => link % LINKS,
            Body::Data(..) => match peer.link_from(from) {
                Some(number) => number,
                None => {
                    let text =
                        "Unable to determine source link for data packet. Discarding packet.";
                    self.drop_packet(now, from, text);
                    return None;
                }
            },
        };
        if self.config.access_lists && !self.is_listed(number, from) {
            self.stats.rx_dropped += 1;
            self.complain(now, Event::Rejected { from });
            return None;
        }
        match body {
            Body::Ping(beat) => self.handle_ping(host, &beat, bytes),
            Body::Pong(beat) => self.handle_pong(now, host, &beat, bytes),
            Body::Probe { link, size } => self.handle_probe(host, link, size, bytes),
            Body::ProbeReply { link, size } => {
                self.handle_probe_reply(now, host, link, size, bytes);
            }
            Body::Data(header, data) => {
                let link = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number));
                if let Some(link) = link {
                    link.stats.rx.data.add(bytes);
                }
                let start = packet.len() - data.len();
                let place = self.take_data(now, host, &header, data, start)?;
                return Some((host, header.channel, place));
            }
        }
        None
    }

    fn take_data(
        &mut self,
        now: Time,
        host: u16,
        header: &DataHeader,
        data: &[u8],
        start: usize,
    ) -> Option<Place> {
        let peer = self.peers.get_mut(&host)?;
        if !peer.is_reachable {
            self.stats.rx_dropped += 1;
            return None;
        }
        peer.got_data = true;
        let is_new = peer.window.is_new(header.seq, Ring::Delivered);
        if !is_new {
            self.stats.rx_duplicates += 1;
            return None;
        }
        peer.defrag.expire(&peer.window);
        let whole = if header.fragments > 1 {
            self.assembled = peer.defrag.take(now, &mut peer.window, header, data)?;
            None
        } else {
            Some(data)
        };
        if header.compress != 0 {
            let packed = whole.unwrap_or(&self.assembled);
            let started = self.config.stopwatch.map(|clock| clock());
            let Some(unpacked) = compress::decompress(header.compress, packed) else {
                self.stats.rx_dropped += 1;
                let event = Event::Undecompressable { host, model: header.compress };
                self.complain(now, event);
                return None;
            };
            if let (Some(clock), Some(started)) = (self.config.stopwatch, started) {
                self.stats.rx_compress.add(clock().since(started));
            }
            self.stats.rx_compressed_packets += 1;
            self.stats.rx_compressed_size_bytes += packed.len() as u64;
            self.stats.rx_compressed_original_bytes += unpacked.len() as u64;
            self.assembled = unpacked;
        }
        let peer = self.peers.get_mut(&host)?;
        peer.window.mark(header.seq, Ring::Delivered);
        let is_in_packet = whole.is_some() && header.compress == 0;
        Some(if is_in_packet { Place::Packet(start..start + data.len()) } else { Place::Assembled })
    }
}
