//! A network in one process: hosts with several links, one virtual clock, one seed. Datagrams are
//! lost, doubled, delayed and so overtake each other; interfaces and paths have sizes.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "scaffolding of which each test uses a part"
)]

use base::Time;
use knet::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn address(host: u16, link: u8) -> SocketAddr {
    SocketAddr::from(([10, link, 0, host as u8], 5405 + u16::from(link)))
}

pub fn key(variant: u8) -> Vec<u8> {
    (0..=255u8).map(|n| n.wrapping_mul(7).wrapping_add(variant)).collect()
}

pub fn config(me: u16) -> Config {
    Config {
        me,
        seed: [me as u8; 32],
        policy: Policy::Passive,
        pmtud_interval: Duration::from_secs(30),
        manual_mtu: 0,
        access_lists: true,
        compression: Compression::default(),
        deliver_own: false,
        stopwatch: None,
    }
}

pub fn heartbeat() -> Heartbeat {
    Heartbeat { interval: ms(200), timeout: ms(1000), precision: 2048, pong_count: 2 }
}

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub loss: f64,
    pub doubled: f64,
    pub delay_max_us: u64,
    /// Largest IP packet of the interface; the kernel refuses more.
    pub interface: usize,
    /// Largest IP packet of the path; more is lost.
    pub path: usize,
}

impl Default for Network {
    fn default() -> Network {
        Network { loss: 0.0, doubled: 0.0, delay_max_us: 300, interface: 1500, path: 1500 }
    }
}

pub struct World {
    pub now: Time,
    pub nodes: BTreeMap<u16, Knet>,
    pub network: Network,
    /// Links (network, not host) that carry nothing.
    pub cut: Vec<u8>,
    /// Hosts nobody hears.
    pub silent: Vec<u16>,
    pub got: BTreeMap<u16, Vec<(u16, Vec<u8>)>>,
    pub events: Vec<(u16, Event)>,
    flying: BTreeMap<(Time, u64), (u16, IpAddr, Vec<u8>)>,
    count: u64,
    rng: StdRng,
}

impl World {
    pub fn new(hosts: u16, links: u8, seed: u64, adapt: impl Fn(&mut Config)) -> World {
        let mut world = World {
            now: Time::from_millis(1000),
            nodes: BTreeMap::new(),
            network: Network::default(),
            cut: Vec::new(),
            silent: Vec::new(),
            got: BTreeMap::new(),
            events: Vec::new(),
            flying: BTreeMap::new(),
            count: 0,
            rng: StdRng::seed_from_u64(seed),
        };
        for me in 1..=hosts {
            let mut config = config(me);
            adapt(&mut config);
            world.start(config, hosts, links);
        }
        world
    }

    pub fn start(&mut self, config: Config, hosts: u16, links: u8) {
        let me = config.me;
        let mut knet = Knet::new(config);
        knet.add_loopback(self.now);
        for host in (1..=hosts).filter(|host| *host != me) {
            for link in 0..links {
                let remote = address(host, link);
                let link_config = LinkConfig { remote, priority: 1, heartbeat: heartbeat() };
                knet.add_link(self.now, host, link, &link_config);
            }
        }
        self.nodes.insert(me, knet);
    }

    pub fn encrypt(&mut self, host: u16, cipher: Cipher, hash: Hash, variant: u8) {
        let now = self.now;
        let crypto = Crypto::new(cipher, hash, &key(variant)).unwrap();
        let knet = self.nodes.get_mut(&host).unwrap();
        knet.set_crypto(now, Slot::One, crypto);
        knet.use_crypto(now, Some(Slot::One));
        knet.allow_clear(false);
    }

    pub fn send(&mut self, from: u16, to: To, data: &[u8]) -> bool {
        let now = self.now;
        let sent = self.nodes.get_mut(&from).unwrap().send(now, to, 0, data);
        self.drain(from);
        sent
    }

    pub fn drain(&mut self, host: u16) {
        loop {
            let now = self.now;
            let Some(knet) = self.nodes.get_mut(&host) else { return };
            let Some(output) = knet.poll_output() else { return };
            match output {
                Output::Event(event) => self.events.push((host, event)),
                Output::Own { data, .. } => {
                    self.got.entry(host).or_default().push((host, data));
                }
                Output::Probe { host: peer, link, to, packet } => {
                    let size = packet.as_ref().len() + 28;
                    if size > self.network.interface {
                        let mtu = Some(self.network.interface);
                        knet.handle_refused(now, peer, link, mtu);
                    } else {
                        self.fly(host, link, to, packet.as_ref());
                    }
                }
                Output::Transmit { link, to, packet, .. } => {
                    assert!(packet.as_ref().len() + 28 <= self.network.interface);
                    self.fly(host, link, to, packet.as_ref());
                }
            }
        }
    }

    pub fn fly(&mut self, from: u16, link: u8, to: SocketAddr, packet: &[u8]) {
        let lost = self.rng.random_bool(self.network.loss);
        let SocketAddr::V4(v4) = to else { return };
        let target = u16::from(v4.ip().octets()[3]);
        let cut = self.cut.contains(&link)
            || self.silent.contains(&from)
            || self.silent.contains(&target);
        if lost || cut || packet.len() + 28 > self.network.path {
            return;
        }
        let copies = if self.rng.random_bool(self.network.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.rng.random_range(50..=self.network.delay_max_us);
            let at = self.now + Duration::from_micros(delay);
            self.count += 1;
            let source = address(from, link).ip();
            self.flying.insert((at, self.count), (target, source, packet.to_vec()));
        }
    }

    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let packet = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timer = self.nodes.values().filter_map(Knet::next_deadline).min();
            let next = [packet, timer].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if packet == Some(next) {
                let Some((_, (to, from, data))) = self.flying.pop_first() else { continue };
                let now = self.now;
                let Some(knet) = self.nodes.get_mut(&to) else { continue };
                if let Some(message) = knet.handle_packet(now, from, &data) {
                    let message = (message.from, message.data.to_vec());
                    self.got.entry(to).or_default().push(message);
                }
                self.drain(to);
            } else {
                let hosts: Vec<u16> = self.nodes.keys().copied().collect();
                for host in hosts {
                    let now = self.now;
                    if let Some(knet) = self.nodes.get_mut(&host) {
                        knet.handle_timeout(now);
                    }
                    self.drain(host);
                }
            }
        }
        self.now = end;
    }

    pub fn all_reach_all(&self) -> bool {
        self.nodes.iter().all(|(me, knet)| {
            self.nodes.keys().filter(|host| *host != me).all(|host| knet.is_reachable(*host))
        })
    }

    pub fn take_got(&mut self, host: u16) -> Vec<(u16, Vec<u8>)> {
        self.got.remove(&host).unwrap_or_default()
    }

    pub fn downs(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::LinkDown { .. })).count()
    }
}
