//! One simulated node: the ring's machine, a stable store for the ring number, and above it the
//! smallest service that behaves like the engine's: after each regular configuration the members
//! exchange barriers, and only then application messages flow again.

use crate::cable::{Cable, Links, Posted};
use base::{NodeId, Time};
use std::collections::BTreeSet;
use totem::{
    Admission, Config, ConfigChange, ConfigKind, Delivery, Guarantee, Output, RingId, Srp,
};

/// Names a message: sender, the sender's life, a counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageId {
    /// Who sent it.
    pub sender: u32,
    /// In which of its lives.
    pub life: u32,
    /// Counts from 0 in each life.
    pub count: u32,
    /// Whether it was long enough to be cut into fragments.
    pub long: bool,
}

impl MessageId {
    fn encode(self, size: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(size.max(16));
        for word in [self.sender, self.life, self.count, u32::from(self.long)] {
            body.extend(word.to_le_bytes());
        }
        while body.len() < size {
            body.push((body.len() as u32 ^ self.count) as u8);
        }
        body
    }

    fn decode(body: &[u8]) -> Option<MessageId> {
        let word = |at: usize| {
            body.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)
        };
        let id =
            MessageId { sender: word(0)?, life: word(4)?, count: word(8)?, long: word(12)? != 0 };
        let intact =
            body.iter().enumerate().skip(16).all(|(i, b)| *b == (i as u32 ^ id.count) as u8);
        intact.then_some(id)
    }
}

/// What a node saw, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// A message.
    Message(MessageId),
    /// A message that is not what its sender sent.
    Garbled,
    /// A configuration change.
    Config(ConfigChange),
}

/// One life of a node, from start to crash.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The node.
    pub node: u32,
    /// Which of its lives.
    pub number: u32,
    /// Messages the ring accepted from it.
    pub sent: u32,
    /// What it delivered.
    pub seen: Vec<Seen>,
    /// Whether it lived to the end of the run.
    pub survived: bool,
}

/// The node.
#[derive(Debug)]
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) srp: Option<Srp>,
    pub(crate) cable: Option<Cable>,
    pub(crate) frozen: bool,
    /// What arrived while frozen.
    pub(crate) inbox: Vec<(usize, u8, totem::Bytes)>,
    /// The wakeup that is scheduled, so that stale ones are recognised.
    pub(crate) wakeup: Option<Time>,
    stored_seq: u64,
    /// Whether to print what the machine says of itself.
    pub(crate) talkative: bool,
    life: Life,
    past: Vec<Life>,
    sync_ring: RingId,
    sync_members: Vec<NodeId>,
    sync_seen: BTreeSet<NodeId>,
}

impl Node {
    pub(crate) fn new(id: u32) -> Node {
        Node {
            id: NodeId(id),
            srp: None,
            cable: None,
            frozen: false,
            inbox: Vec::new(),
            wakeup: None,
            stored_seq: 0,
            talkative: false,
            life: Life { node: id, ..Life::default() },
            past: Vec::new(),
            sync_ring: RingId::default(),
            sync_members: Vec::new(),
            sync_seen: BTreeSet::new(),
        }
    }

    pub(crate) fn start(
        &mut self,
        now: Time,
        config: Config,
        seed: u64,
        nodes: usize,
        links: Option<Links>,
    ) {
        self.cable = Some(Cable::new(now, self.id.0 as usize - 1, nodes, links, seed));
        let mut srp = Srp::new(config, self.id, self.stored_seq, seed);
        srp.interface_changed(now);
        self.srp = Some(srp);
    }

    pub(crate) fn crash(&mut self) {
        if self.srp.take().is_none() {
            return;
        }
        self.cable = None;
        self.frozen = false;
        self.inbox.clear();
        self.wakeup = None;
        let number = self.life.number + 1;
        let next = Life { node: self.id.0, number, ..Life::default() };
        self.past.push(std::mem::replace(&mut self.life, next));
    }

    /// The machine, while the node is powered on.
    pub fn srp(&self) -> Option<&Srp> {
        self.srp.as_ref()
    }

    /// All its lives.
    pub fn lives(&self) -> Vec<Life> {
        let mut all = self.past.clone();
        if self.srp.is_some() {
            all.push(Life { survived: true, ..self.life.clone() });
        }
        all
    }

    /// Whether the services of the present ring are in step.
    pub fn synced(&self) -> bool {
        self.srp.as_ref().is_some_and(|srp| !srp.waiting_trans_ack())
    }

    /// Multicasts one message of about `size` bytes, if the ring takes it.
    pub(crate) fn send(&mut self, now: Time, size: usize) {
        let Some(srp) = &mut self.srp else { return };
        // As the engine: applications wait while services synchronise.
        if srp.waiting_trans_ack() {
            return;
        }
        let long = size > 1000;
        let id =
            MessageId { sender: self.id.0, life: self.life.number, count: self.life.sent, long };
        let body = id.encode(size);
        if let Admission::Room(_) = srp.multicast(now, Guarantee::Agreed, b"a", &[&body]) {
            self.life.sent += 1;
        }
    }

    /// Acts on everything the machine puts out; returns what goes on the network.
    pub(crate) fn drain(&mut self, now: Time) -> Vec<Posted> {
        let mut packets = Vec::new();
        while let Some(output) = self.srp.as_mut().and_then(Srp::poll_output) {
            match output {
                Output::Multicast(packet) => self.post(now, None, &packet, &mut packets),
                Output::Unicast { to, packet } => self.post(now, Some(to), &packet, &mut packets),
                Output::Persist { ring_seq } => self.stored_seq = ring_seq,
                Output::Deliver(delivery) => self.deliver(now, &delivery),
                Output::Config(change) => {
                    if change.kind == ConfigKind::Regular {
                        self.begin_sync(now, &change);
                    }
                    self.life.seen.push(Seen::Config(change));
                }
                Output::Event(event) if self.talkative => {
                    let micros = now.as_nanos() / 1000;
                    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                    println!("{seconds:3}.{micros:06} node {}: {event}", self.id);
                }
                _ => {}
            }
        }
        packets
    }

    fn post(
        &mut self,
        now: Time,
        to: Option<NodeId>,
        packet: &totem::Bytes,
        out: &mut Vec<Posted>,
    ) {
        if let Some(cable) = &mut self.cable {
            cable.send(now, to, packet, out);
        }
    }

    /// Something came over a link: packets to send at once.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        from: usize,
        link: u8,
        packet: &[u8],
    ) -> Vec<Posted> {
        let mut out = Vec::new();
        let Some(cable) = &mut self.cable else { return out };
        let message = cable.receive(now, from, link, packet, &mut out);
        if let (Some(srp), Some(message)) = (&mut self.srp, message) {
            // What is no packet of the ring was injected; the machine has counted it.
            let _ = srp.handle_packet(now, &message);
        }
        out
    }

    /// When it wants to be woken.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let ring = self.srp.as_ref().and_then(Srp::next_deadline);
        let cable = self.cable.as_ref().and_then(Cable::next_deadline);
        [ring, cable].into_iter().flatten().min()
    }

    /// Lets time pass: packets to send at once.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Vec<Posted> {
        let mut out = Vec::new();
        if let Some(cable) = &mut self.cable {
            cable.handle_timeout(now, &mut out);
        }
        if let Some(srp) = &mut self.srp {
            srp.handle_timeout(now);
        }
        out
    }

    fn begin_sync(&mut self, now: Time, change: &ConfigChange) {
        self.sync_ring = change.ring_id;
        self.sync_members = change.members.clone();
        self.sync_seen.clear();
        let barrier = format!("{}", change.ring_id);
        if let Some(srp) = &mut self.srp {
            srp.multicast(now, Guarantee::Agreed, b"sync", &[barrier.as_bytes()]);
        }
    }

    fn deliver(&mut self, now: Time, delivery: &Delivery) {
        if delivery.groups.contains(b"a") {
            let seen = MessageId::decode(&delivery.payload).map_or(Seen::Garbled, Seen::Message);
            self.life.seen.push(seen);
            return;
        }
        if *delivery.payload != *self.sync_ring.to_string().as_bytes() {
            return;
        }
        self.sync_seen.insert(delivery.from);
        if self.sync_members.iter().all(|id| self.sync_seen.contains(id))
            && let Some(srp) = &mut self.srp
        {
            srp.trans_ack(now);
        }
    }
}
