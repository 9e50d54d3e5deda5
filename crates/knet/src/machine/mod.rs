//! The machine: all peers, all links, one sequence of numbers.
//!
//! Drive it like this: after every `send`, `handle_*` or change, take [`Knet::poll_output`] until
//! it is empty; call [`Knet::handle_timeout`] at [`Knet::next_deadline`].

mod configure;
mod discovery;
mod heartbeat;
mod peer;
mod receive;
mod send;

use crate::compress::Compression;
use crate::crypto::Crypto;
use crate::event::Event;
use crate::link::LinkStatus;
use crate::mtu::Envelope;
use crate::pmtud::Run;
use crate::stats::HandleStats;
use base::Time;
use peer::Peer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Links to one peer, at most.
pub const LINKS: u8 = 8;
/// Complaints about strange packets are worded at most this often; all are counted.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

/// How several links to one peer are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// The best one carries everything.
    #[default]
    Passive,
    /// Each carries everything.
    Active,
    /// They take turns, message by message.
    RoundRobin,
}

impl Policy {
    /// Reads the word in `corosync.conf`.
    pub fn parse(word: &str) -> Option<Policy> {
        match word {
            "passive" => Some(Policy::Passive),
            "active" => Some(Policy::Active),
            "rr" => Some(Policy::RoundRobin),
            _ => None,
        }
    }
}

/// What holds for all links.
#[derive(Clone, Debug)]
pub struct Config {
    /// This host's id.
    pub me: u16,
    /// Seed of the salts: from the system's random source, never the same twice.
    pub seed: [u8; 32],
    /// How several links are used.
    pub policy: Policy,
    /// How often paths are explored anew.
    pub pmtud_interval: Duration,
    /// Size of packets (IP header included) instead of exploring; 0 to explore.
    pub manual_mtu: u32,
    /// Whether packets from addresses that no peer has are dropped unread.
    pub access_lists: bool,
    /// How messages are compressed.
    pub compression: Compression,
    /// Whether one's own messages come back, as [`Output::Own`].
    pub deliver_own: bool,
    /// A clock to measure the cost of encryption and compression with. It decides nothing.
    pub stopwatch: Option<fn() -> Time>,
}

/// Whom a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// Every host.
    All,
    /// One host.
    Host(u16),
}

/// A datagram. The same one may go to several peers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet(Arc<Vec<u8>>);

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// What is to be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// The peer.
        host: u16,
        /// Which link's socket to use.
        link: u8,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        packet: Packet,
    },
    /// Send a datagram that may be too large, at once, and tell [`Knet::handle_refused`] if the
    /// kernel does not take it.
    Probe {
        /// The peer.
        host: u16,
        /// Which link's socket to use.
        link: u8,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        packet: Packet,
    },
    /// One's own message comes back.
    Own {
        /// Its channel.
        channel: i8,
        /// The message.
        data: Vec<u8>,
    },
    /// Something worth saying.
    Event(Event),
}

/// A peer's message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// Who sent it.
    pub from: u16,
    /// The channel it belongs to.
    pub channel: i8,
    /// What was sent.
    pub data: &'a [u8],
}

/// Which of the two encryption settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// The first.
    One,
    /// The second.
    Two,
}

impl Slot {
    /// The other one.
    pub fn other(self) -> Slot {
        match self {
            Slot::One => Slot::Two,
            Slot::Two => Slot::One,
        }
    }
}

/// The machine.
#[derive(Debug)]
pub struct Knet {
    config: Config,
    rng: StdRng,
    peers: BTreeMap<u16, Peer>,
    crypto: [Option<Crypto>; 2],
    in_use: Option<Slot>,
    is_clear_allowed: bool,
    /// The last message's number; 0 before the first.
    seq: u16,
    /// User bytes in a packet, so that it fits every link.
    data_mtu: usize,
    run: Option<Run>,
    out: VecDeque<Output>,
    stats: HandleStats,
    complained_at: Option<Time>,
    /// The last packet decrypted.
    clear: Vec<u8>,
    /// The last message put together or unpacked.
    assembled: Vec<u8>,
}

impl Knet {
    /// A machine without links, which sends and takes clear packets.
    pub fn new(config: Config) -> Knet {
        let rng = StdRng::from_seed(config.seed);
        let mut knet = Knet {
            rng,
            peers: BTreeMap::new(),
            crypto: [None, None],
            in_use: None,
            is_clear_allowed: true,
            seq: 0,
            data_mtu: Envelope::default().minimum(),
            run: None,
            out: VecDeque::new(),
            stats: HandleStats::default(),
            complained_at: None,
            clear: Vec::new(),
            assembled: Vec::new(),
            config,
        };
        knet.event(Event::ManualMtu { mtu: knet.config.manual_mtu });
        knet.tell_compression();
        knet
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// This host's id.
    pub fn me(&self) -> u16 {
        self.config.me
    }

    /// The state of a link.
    pub fn link(&self, host: u16, link: u8) -> Option<LinkStatus> {
        let link = self.peers.get(&host)?.links.get(usize::from(link))?.as_ref()?;
        Some(link.status())
    }

    /// All links: host, link, state.
    pub fn links(&self) -> impl Iterator<Item = (u16, u8, LinkStatus)> + '_ {
        self.peers.iter().flat_map(|(host, peer)| {
            peer.each_link().map(move |(number, link)| (*host, number, link.status()))
        })
    }

    /// The host that listens there on a link.
    pub fn host_at(&self, link: u8, remote: SocketAddr) -> Option<u16> {
        let found = self
            .peers
            .iter()
            .find(|(_, peer)| peer.link(link).is_some_and(|link| link.remote == Some(remote)));
        found.map(|(host, _)| *host)
    }

    /// Whether data gets to a host.
    pub fn is_reachable(&self, host: u16) -> bool {
        self.peers.get(&host).is_some_and(|peer| peer.is_reachable)
    }

    /// User bytes that fit into one packet at the moment.
    pub fn data_mtu(&self) -> usize {
        self.data_mtu
    }

    /// Counters over all links.
    pub fn stats(&self) -> &HandleStats {
        &self.stats
    }

    /// Counts from zero again.
    pub fn clear_stats(&mut self) {
        self.stats = HandleStats::default();
        for peer in self.peers.values_mut() {
            for link in peer.links.iter_mut().flatten() {
                link.stats = crate::stats::LinkStats::default();
            }
        }
    }

    /// Messages of peers that are in the making, over all.
    pub fn fragments_held(&self) -> usize {
        self.peers.values().map(|peer| peer.defrag.len()).sum()
    }

    fn envelope(&self) -> Envelope {
        self.active_crypto().map_or_else(Envelope::default, Crypto::envelope)
    }

    fn active_crypto(&self) -> Option<&Crypto> {
        self.in_use.and_then(|slot| self.crypto[slot as usize].as_ref())
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Says something about a strange packet, unless that was done a moment ago.
    fn complain(&mut self, now: Time, event: Event) {
        if self.complained_at.is_none_or(|at| now.since(at) >= COMPLAINT_EVERY) {
            self.complained_at = Some(now);
            self.event(event);
        }
    }

    /// Encrypts a packet, if that is wanted, and makes it ready to be sent.
    fn wrap(&mut self, mut packet: Vec<u8>) -> Packet {
        let mut salt = [0; 16];
        self.rng.fill_bytes(&mut salt);
        if let Some(crypto) = self.in_use.and_then(|slot| self.crypto[slot as usize].as_ref()) {
            let clear = packet.len();
            let started = self.config.stopwatch.map(|clock| clock());
            crypto.seal(salt, &mut packet);
            if let (Some(clock), Some(started)) = (self.config.stopwatch, started) {
                self.stats.tx_crypt.add(clock().since(started));
            }
            self.stats.tx_crypt_packets += 1;
            self.stats.tx_crypt_byte_overhead += (packet.len() - clear) as u64;
        }
        Packet(Arc::new(packet))
    }

    /// Where a link leads.
    fn remote(&self, host: u16, link: u8) -> Option<SocketAddr> {
        self.peers.get(&host)?.links.get(usize::from(link))?.as_ref()?.remote
    }

    /// Whether some peer has this address on this link.
    fn is_listed(&self, link: u8, ip: IpAddr) -> bool {
        self.peers.values().any(|peer| peer.link(link).is_some_and(|link| link.is_at(ip)))
    }
}
