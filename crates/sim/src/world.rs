//! Virtual time and a bad network.

use crate::cable::{Links, Posted};
use crate::node::{Life, Node};
use base::Time;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use totem::{Bytes, Config};

/// What a frozen node's socket buffer holds.
const INBOX: usize = 500;
/// Packets remembered for tampering.
const RECENT: usize = 64;
/// Links between two nodes at most.
const LINKS: usize = knet::LINKS as usize;
/// A run with more events than this a second of its time feeds itself; it is stopped, and will not
/// have converged.
const MOST_EVENTS_A_SECOND: u64 = 2_000_000;
/// The longest UDP payload that paths between linked nodes carry.
const PATH: usize = 1472;
/// A machine that wants to run at once does so after this much virtual time.
const SCHEDULING: Duration = Duration::from_micros(20);

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Network {
    /// Packets lost, of a thousand.
    pub loss: u32,
    /// Packets that arrive twice, of a thousand.
    pub duplicates: u32,
    /// Shortest way, in microseconds.
    pub delay_min: u64,
    /// Longest way, in microseconds. More than the shortest means reordering.
    pub delay_max: u64,
    /// `blocked[a][b]`: nothing gets from a to b.
    pub blocked: Vec<Vec<bool>>,
    /// `unplugged[link][node]`: that node's end of that link carries nothing.
    pub unplugged: Vec<Vec<bool>>,
}

impl Network {
    /// A good network for `count` nodes.
    pub fn good(count: usize) -> Network {
        Network {
            loss: 0,
            duplicates: 0,
            delay_min: 300,
            delay_max: 500,
            blocked: vec![vec![false; count]; count],
            unplugged: vec![vec![false; count]; LINKS],
        }
    }
}

#[derive(Debug)]
enum Event {
    Arrival { from: usize, to: usize, link: u8, packet: Bytes },
    Wakeup { node: usize },
}

/// The simulated cluster.
#[derive(Debug)]
pub struct World {
    /// The network, to be made better or worse at will.
    pub network: Network,
    pub(crate) random: StdRng,
    now: Time,
    nodes: Vec<Node>,
    events: BTreeMap<(Time, u64), Event>,
    next_event: u64,
    config: Config,
    links: Option<Links>,
    /// Events handled, and a running checksum of what they were: equal for equal seeds.
    trace: (u64, u64),
    /// The last packets sent, for those who want to tamper with them.
    recent: VecDeque<Bytes>,
}

impl World {
    /// `count` nodes with ids 1.., all off.
    pub fn new(seed: u64, count: usize, config: Config) -> World {
        World {
            network: Network::good(count),
            random: StdRng::seed_from_u64(seed),
            now: Time::from_millis(1),
            nodes: (1..=count as u32).map(Node::new).collect(),
            events: BTreeMap::new(),
            next_event: 0,
            config,
            links: None,
            trace: (0, 0),
            recent: VecDeque::new(),
        }
    }

    /// Lays knet's links between the nodes, instead of the bare network. To be called before the
    /// first node starts.
    pub fn link(&mut self, links: Links) {
        self.links = Some(Links { count: links.count.clamp(1, knet::LINKS), ..links });
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Events handled so far and their checksum.
    pub fn trace(&self) -> (u64, u64) {
        self.trace
    }

    /// The nodes; number 0 has id 1.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All lives of all nodes.
    pub fn lives(&self) -> Vec<Life> {
        self.nodes.iter().flat_map(Node::lives).collect()
    }

    /// Prints what every machine says of itself, with the time, as it happens.
    pub fn talk(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.talkative = true);
    }

    /// Powers a node on.
    pub fn start(&mut self, index: usize) {
        if self.nodes[index].srp.is_none() {
            let seed = self.random.random();
            let (now, config, count) = (self.now, self.config.clone(), self.nodes.len());
            self.nodes[index].start(now, config, seed, count, self.links);
            self.settle(index);
        }
    }

    /// Takes a node's power.
    pub fn crash(&mut self, index: usize) {
        self.nodes[index].crash();
    }

    /// A node leaves in order, then is off.
    pub fn leave(&mut self, index: usize) {
        let now = self.now;
        if !self.nodes[index].frozen
            && let Some(srp) = &mut self.nodes[index].srp
        {
            srp.leave(now);
            self.settle(index);
        }
        self.nodes[index].crash();
    }

    /// Stops a node's process (as SIGSTOP does).
    pub fn freeze(&mut self, index: usize) {
        if self.nodes[index].srp.is_some() {
            self.nodes[index].frozen = true;
        }
    }

    /// Lets it run again: it finds its timers expired and its socket full.
    pub fn thaw(&mut self, index: usize) {
        if !std::mem::take(&mut self.nodes[index].frozen) {
            return;
        }
        // The wakeup it had slept through is gone.
        self.nodes[index].wakeup = None;
        if self.random.random_bool(0.5) {
            self.wake(index);
        }
        for (from, link, packet) in std::mem::take(&mut self.nodes[index].inbox) {
            self.arrive(from, index, link, &packet);
        }
        self.wake(index);
    }

    /// One node multicasts a message.
    pub fn send(&mut self, index: usize, size: usize) {
        if !self.nodes[index].frozen {
            let now = self.now;
            self.nodes[index].send(now, size);
            self.settle(index);
        }
    }

    /// A packet from nowhere reaches a node, as if the next one had sent it.
    pub fn inject(&mut self, index: usize, packet: &[u8]) {
        self.arrive((index + 1) % self.nodes.len(), index, 0, packet);
    }

    /// A node's timers: what is due happens.
    fn wake(&mut self, index: usize) {
        let now = self.now;
        for posted in self.nodes[index].handle_timeout(now) {
            self.post(index, posted);
        }
        self.settle(index);
    }

    /// The last packets sent by anybody.
    pub fn recent(&self) -> &VecDeque<Bytes> {
        &self.recent
    }

    /// Runs for a while.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let most = MOST_EVENTS_A_SECOND * (1 + end.as_nanos() / 1_000_000_000);
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > end || self.trace.0 > most {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = end;
    }

    fn handle(&mut self, event: Event) {
        let mark = match &event {
            Event::Arrival { to, packet, .. } => (*to as u64) << 32 | packet.len() as u64,
            Event::Wakeup { node } => *node as u64,
        };
        let mixed = self.trace.1.rotate_left(7) ^ mark ^ self.now.as_nanos();
        self.trace = (self.trace.0 + 1, mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        match event {
            Event::Arrival { from, to, link, packet } if self.nodes[to].frozen => {
                let inbox = &mut self.nodes[to].inbox;
                if inbox.len() < INBOX {
                    inbox.push((from, link, packet));
                }
            }
            Event::Arrival { from, to, link, packet } => self.arrive(from, to, link, &packet),
            Event::Wakeup { node } => {
                let due = self.nodes[node].wakeup.is_some_and(|at| at <= self.now);
                if due && !self.nodes[node].frozen {
                    self.nodes[node].wakeup = None;
                    self.wake(node);
                }
            }
        }
    }

    fn arrive(&mut self, from: usize, to: usize, link: u8, packet: &[u8]) {
        let now = self.now;
        for posted in self.nodes[to].receive(now, from, link, packet) {
            self.post(to, posted);
        }
        self.settle(to);
    }

    /// Acts on a node's outputs and arranges for its next deadline.
    fn settle(&mut self, index: usize) {
        let now = self.now;
        for posted in self.nodes[index].drain(now) {
            self.post(index, posted);
        }
        let node = &mut self.nodes[index];
        let Some(at) = node.next_deadline() else { return };
        let at = at.max(now + SCHEDULING);
        if node.wakeup.is_none_or(|scheduled| at < scheduled) {
            node.wakeup = Some(at);
            self.schedule(at, Event::Wakeup { node: index });
        }
    }

    fn post(&mut self, from: usize, posted: Posted) {
        let Posted { to, link, packet } = posted;
        if to >= self.nodes.len() || (self.links.is_some() && packet.len() > PATH) {
            return;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(packet.clone());
        let ends = &self.network.unplugged[usize::from(link) % LINKS];
        if self.network.blocked[from][to] || ends[from] || ends[to] {
            return;
        }
        let twice = self.random.random_range(0..1000) < self.network.duplicates;
        for _ in 0..=u32::from(twice) {
            if self.random.random_range(0..1000) < self.network.loss {
                continue;
            }
            let delay = self.random.random_range(self.network.delay_min..=self.network.delay_max);
            let at = self.now + Duration::from_micros(delay);
            self.schedule(at, Event::Arrival { from, to, link, packet: packet.clone() });
        }
    }

    fn schedule(&mut self, at: Time, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }
}
