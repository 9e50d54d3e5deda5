//! The knet transport: sockets for the links of a [`knet::Knet`] core, one for each link.
//!
//! Totem's packets are its messages; the token's destination is written into totem's header, as
//! receivers look there whether a message is for them. What the ring sends goes into a queue for
//! each socket, so that many datagrams leave in one call; the core's own packets (pings, probes)
//! go the same way.
//!
//! Source: `spec/knet.md` §8.

use super::Link;
use super::outbox::Outbox;
use super::sockets::{socket_addr, udp_socket_with};
use super::sys::RecvBatch;
use super::sys_errors::{self, Report};
use base::{NodeId, Time};
use knet::{Config, Crypto, Knet as Core, LinkConfig, Message, Output, Packet, Slot, To};
use qb::mainloop::now;
use socket2::{SockAddr, Socket};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use totem::Bytes;

/// Where totem's header has the destination, and the end of it.
const TARGET: Range<usize> = 9..13;
/// Buffers asked for, as upstream does.
const SOCKET_BUFFER: usize = 8_388_608;
/// Batches of packets for the links alone (pings, fragments) before the loop has its turn.
const FILLS_MAX: usize = 16;

/// A link of this node and whom it leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnetLink {
    /// Its number.
    pub number: u8,
    /// The address to send from and to listen at.
    pub local: SocketAddr,
    /// The peers on it.
    pub peers: BTreeMap<u16, LinkConfig>,
}

#[derive(Debug)]
struct LinkSocket {
    number: u8,
    local: SocketAddr,
    socket: Socket,
    outbox: Outbox<Packet>,
}

/// The transport.
#[derive(Debug)]
pub struct Knet {
    core: Core,
    links: Vec<LinkSocket>,
    slot: Slot,
    batch: RecvBatch,
    /// Messages of the last batch, one behind the other.
    arena: Vec<u8>,
    messages: Vec<(Range<usize>, IpAddr)>,
    reports: Vec<(u8, Report)>,
    scratch: Vec<u8>,
    /// The last look found no socket with more than it took.
    is_drained: bool,
    /// Descriptors that nobody polls yet.
    opened: Vec<RawFd>,
}

impl Knet {
    /// Opens the links' sockets.
    ///
    /// # Errors
    /// The system's; addresses need not exist yet.
    pub fn new(config: Config, links: &[KnetLink], crypto: Option<Crypto>) -> io::Result<Knet> {
        let now = now();
        let mut core = Core::new(config);
        let is_encrypted = crypto.is_some();
        core.set_crypto(now, Slot::One, crypto);
        core.use_crypto(now, Some(Slot::One));
        core.allow_clear(!is_encrypted);
        core.add_loopback(now);
        let mut knet = Knet {
            core,
            links: Vec::new(),
            slot: Slot::One,
            batch: RecvBatch::new(),
            arena: Vec::new(),
            messages: Vec::new(),
            reports: Vec::new(),
            scratch: Vec::new(),
            is_drained: false,
            opened: Vec::new(),
        };
        knet.set_links(links)?;
        Ok(knet)
    }

    /// The core, to look at.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The core, to change settings; call [`settle`](Self::settle) afterwards.
    pub fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Does what the core asks for.
    pub fn settle(&mut self) {
        self.drain();
        self.flush();
    }

    /// The links as they shall be: missing ones are opened, others closed, timers taken over.
    ///
    /// # Errors
    /// The system's, for a socket that cannot be opened; the other links are as wanted.
    pub fn set_links(&mut self, links: &[KnetLink]) -> io::Result<()> {
        let now = now();
        let mut result = Ok(());
        let wanted: BTreeSet<(u16, u8)> = links
            .iter()
            .flat_map(|link| link.peers.keys().map(|host| (*host, link.number)))
            .collect();
        let me = self.core.me();
        let present: Vec<(u16, u8)> =
            self.core.links().map(|(host, number, _)| (host, number)).collect();
        for (host, number) in present {
            if host != me && !wanted.contains(&(host, number)) {
                self.core.remove_link(now, host, number);
            }
        }
        self.links.retain(|open| {
            links.iter().any(|link| link.number == open.number && link.local == open.local)
        });
        for link in links {
            // Said at every reload, for links that stay too.
            base::info!(sub: "TOTEM", "Configuring link {}", link.number);
            if !self.links.iter().any(|open| open.number == link.number) {
                match open(link.local) {
                    Ok(socket) => {
                        let (number, local) = (link.number, link.local);
                        let outbox = Outbox::default();
                        self.opened.push(socket.as_raw_fd());
                        self.links.push(LinkSocket { number, local, socket, outbox });
                    }
                    Err(error) => {
                        result = Err(error);
                        continue;
                    }
                }
            }
            base::info!(
                sub: "TOTEM",
                "Configured link number {}: local addr: {}, port={}",
                link.number, link.local.ip(), link.local.port()
            );
            for (host, config) in &link.peers {
                match self.core.link(*host, link.number) {
                    Some(status) if status.remote == Some(config.remote) => {
                        self.core.set_heartbeat(*host, link.number, config.heartbeat);
                        self.core.set_priority(*host, link.number, config.priority);
                    }
                    _ => self.core.add_link(now, *host, link.number, config),
                }
            }
        }
        self.settle();
        result
    }

    /// Descriptors opened since this was last asked: they want to be polled.
    pub fn take_opened(&mut self) -> Vec<RawFd> {
        std::mem::take(&mut self.opened)
    }

    /// Loads the encryption to come: it serves for receiving at once. Gives its number, 1 or 2.
    pub fn prepare_crypto(&mut self, crypto: Option<Crypto>) -> u8 {
        self.slot = self.slot.other();
        if crypto.is_none() {
            self.core.allow_clear(true);
        }
        self.core.set_crypto(now(), self.slot, crypto);
        self.settle();
        match self.slot {
            Slot::One => 1,
            Slot::Two => 2,
        }
    }

    /// Sends with the encryption that was loaded last.
    pub fn activate_crypto(&mut self) {
        self.core.use_crypto(now(), Some(self.slot));
        self.settle();
    }

    /// Forgets the encryption before.
    pub fn clean_up_crypto(&mut self, is_encrypted: bool) {
        self.core.set_crypto(now(), self.slot.other(), None);
        if is_encrypted {
            self.core.allow_clear(false);
        }
        self.settle();
    }

    pub(super) fn send_mcast(&mut self, packet: &Bytes) {
        // Totem writes the destination "everybody" itself.
        self.core.send(now(), To::All, 0, packet);
        self.drain();
    }

    pub(super) fn send_token(&mut self, to: NodeId, packet: &Bytes) {
        let Ok(host) = u16::try_from(to.0) else { return };
        self.scratch.clear();
        self.scratch.extend_from_slice(packet);
        if let Some(target) = self.scratch.get_mut(TARGET) {
            target.copy_from_slice(&to.0.to_ne_bytes());
        }
        self.core.send(now(), To::Host(host), 0, &self.scratch);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { link, to, packet, .. } => {
                    if let Some(open) = self.links.iter_mut().find(|open| open.number == link) {
                        open.outbox.push(to.into(), packet);
                    }
                }
                Output::Probe { host, link, to, packet } => self.probe(host, link, to, &packet),
                // The ring hears itself without our help.
                Output::Own { .. } => {}
                Output::Event(event) => {
                    if let knet::Event::Reachable { .. } = event {
                        base::debug!(sub: "TOTEM", "{event}");
                    } else {
                        base::log!(event.priority(), sub: "KNET", "{}: {event}", event.part());
                    }
                }
            }
        }
    }

    /// Sends a packet that may be too large, behind what was queued before it.
    fn probe(&mut self, host: u16, link: u8, to: SocketAddr, packet: &Packet) {
        let Some(open) = self.links.iter_mut().find(|open| open.number == link) else { return };
        for _ in 0..3 {
            match open.socket.send_to(packet.as_ref(), &to.into()) {
                Ok(_) => return,
                Err(error) => {
                    let mut mtu = None;
                    while let Some(report) = sys_errors::next_report(open.socket.as_fd()) {
                        if report.errno == libc::EMSGSIZE && report.mtu > 0 {
                            mtu = Some(report.mtu);
                        } else {
                            self.reports.push((link, report));
                        }
                    }
                    match error.raw_os_error() {
                        Some(libc::EMSGSIZE | libc::EPERM) => {
                            self.core.handle_refused(now(), host, link, mtu);
                            return;
                        }
                        // An error of an earlier datagram, or no room: again.
                        Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH) => {}
                        _ => return,
                    }
                }
            }
        }
    }

    pub(super) fn flush(&mut self) -> usize {
        let mut failures = 0;
        for open in &mut self.links {
            let (socket, number, reports) = (&open.socket, open.number, &mut self.reports);
            if !open.outbox.is_empty() {
                failures += open.outbox.flush_with(socket, &mut || {
                    let before = reports.len();
                    collect(socket, number, reports);
                    reports[before..].iter().any(|(_, report)| report.errno != libc::EMSGSIZE)
                });
                for to in open.outbox.lost().iter().filter_map(SockAddr::as_socket) {
                    self.core.handle_send_error(number, to);
                }
            }
        }
        self.follow_reports();
        failures
    }

    /// Acts on what the kernel said about earlier datagrams.
    fn follow_reports(&mut self) {
        if self.reports.is_empty() {
            return;
        }
        let now = now();
        for (link, report) in std::mem::take(&mut self.reports) {
            let Some(to) = report.to else { continue };
            match report.errno {
                libc::EMSGSIZE => {
                    if let Some(host) = self.core.host_at(link, to) {
                        self.core.handle_too_big(now, host, link);
                    }
                }
                libc::ECONNREFUSED
                | libc::ECONNABORTED
                | libc::ENONET
                | libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::EHOSTDOWN
                | libc::ENETDOWN => self.core.handle_unreachable(now, to),
                _ => {}
            }
        }
        self.drain();
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.links.iter().all(|open| open.outbox.is_empty())
    }

    pub(super) fn recv_batch(&mut self) -> usize {
        self.arena.clear();
        self.messages.clear();
        let me = u32::from(self.core.me());
        for round in 0..FILLS_MAX {
            let mut any = false;
            self.is_drained = true;
            for open in &self.links {
                let count = self.batch.fill(open.socket.as_fd());
                any |= count > 0;
                self.is_drained &= !self.batch.is_full() && !self.batch.is_failed();
                if self.batch.is_failed() || (count == 0 && round == 0) {
                    // Reports lie in a queue of their own, and a socket with one is ready for
                    // ever. The error that announces them may have been taken by a send: nothing
                    // to read is reason enough to look.
                    any |= collect(&open.socket, open.number, &mut self.reports) > 0;
                }
                let at = now();
                for index in 0..count {
                    let Some((datagram, from)) = self.batch.get(index) else { continue };
                    let Some(message) = self.core.handle_packet(at, from, datagram) else {
                        continue;
                    };
                    if is_for(&message, me) {
                        let start = self.arena.len();
                        self.arena.extend_from_slice(message.data);
                        self.messages.push((start..self.arena.len(), from));
                    }
                }
            }
            self.drain();
            if !any || !self.messages.is_empty() {
                break;
            }
        }
        self.flush();
        self.messages.len()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.is_drained
    }

    pub(super) fn packet(&self, index: usize) -> (&[u8], IpAddr) {
        let found = self.messages.get(index);
        match found.and_then(|(range, from)| Some((self.arena.get(range.clone())?, *from))) {
            Some(found) => found,
            None => (&[], IpAddr::from([0, 0, 0, 0])),
        }
    }

    pub(super) fn fds(&self) -> Vec<RawFd> {
        self.links.iter().map(|open| open.socket.as_raw_fd()).collect()
    }

    pub(super) fn link(&self) -> Link {
        match self.links.first() {
            Some(open) => Link::Up(open.local.ip()),
            None => Link::Down,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.core.next_deadline()
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.core.handle_timeout(now);
        self.settle();
    }
}

/// Whether a message of the ring is for this node: for all, or for it alone.
fn is_for(message: &Message<'_>, me: u32) -> bool {
    if message.channel != 0 {
        return false;
    }
    let Ok(header) = totem::wire::Header::decode(message.data) else {
        // The ring says what is wrong with it.
        return true;
    };
    header.target == 0 || header.target == me
}

fn collect(socket: &Socket, number: u8, reports: &mut Vec<(u8, Report)>) -> usize {
    let before = reports.len();
    // The kernel keeps as many as fit its buffer; more than a few at a time are repetitions.
    for _ in 0..64 {
        match sys_errors::next_report(socket.as_fd()) {
            Some(report) => reports.push((number, report)),
            None => break,
        }
    }
    reports.len() - before
}

fn open(local: SocketAddr) -> io::Result<Socket> {
    let prepare = |socket: &Socket| sys_errors::prepare(socket.as_fd(), local.is_ipv6());
    udp_socket_with(&socket_addr(local.ip(), local.port(), 0), false, SOCKET_BUFFER, prepare)
}

#[cfg(test)]
#[path = "knet_tests.rs"]
mod tests;
