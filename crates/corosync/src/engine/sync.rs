//! Synchronisation: after each membership change all nodes walk through their services together,
//! one barrier per service, before application messages flow again.
//!
//! A core of its own: the engine asks it what to do next ([`Step`]) and does it.
//!
//! Source: `spec/corosync-services.md` §4.

use std::collections::BTreeSet;

use base::NodeId;

use crate::ring::RingId;
use crate::wire::{Fields, Message};

/// Size of a SERVICE_BUILD message.
const SERVICE_BUILD_SIZE: usize = 552;
/// Size of a BARRIER message.
const BARRIER_SIZE: usize = 32;
/// Most services in a list.
const SERVICES_MAX: usize = 128;

/// What the engine has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Let this service send what the others need; then call [`Sync::processed`].
    Process(u32),
    /// All nodes processed this service: it takes the new state over.
    Activate(u32),
    /// Everything is synchronised.
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between synchronisations.
    Idle,
    /// Waiting for everybody's list of services.
    Building,
    /// Waiting for the own service to finish sending.
    Processing,
    /// Waiting for everybody's barrier.
    Barrier,
}

/// The state of one synchronisation.
#[derive(Debug)]
pub struct Sync {
    phase: Phase,
    ring: RingId,
    members: Vec<NodeId>,
    trans: Vec<NodeId>,
    received: BTreeSet<NodeId>,
    services: Vec<u32>,
    index: usize,
}

impl Default for Sync {
    fn default() -> Sync {
        Sync {
            phase: Phase::Idle,
            ring: RingId::default(),
            members: Vec::new(),
            trans: Vec::new(),
            received: BTreeSet::new(),
            services: Vec::new(),
            index: 0,
        }
    }
}

impl Sync {
    /// Any membership change began. Gives the service whose processing it interrupts.
    pub fn interrupt(&mut self) -> Option<u32> {
        let interrupted = match self.phase {
            Phase::Processing | Phase::Barrier => self.services.get(self.index).copied(),
            Phase::Idle | Phase::Building => None,
        };
        self.phase = Phase::Idle;
        // Barriers of the old ring that still arrive must not count.
        self.ring = RingId::default();
        interrupted
    }

    /// The members that stay together, from the transitional configuration.
    pub fn set_transitional(&mut self, members: &[NodeId]) {
        self.trans = members.to_vec();
    }

    /// Starts over with a new membership. Gives the message to multicast.
    pub fn start(&mut self, members: &[NodeId], ring: RingId, services: &[u32]) -> Vec<u8> {
        self.phase = Phase::Building;
        self.ring = ring;
        self.members = members.to_vec();
        self.received.clear();
        self.services = services.to_vec();
        self.index = 0;
        self.trans.retain(|node| members.contains(node));
        let mut message = Message::request(1, SERVICE_BUILD_SIZE);
        put_ring(&mut message, ring);
        message.put_u32(32, services.len() as u32);
        for (nth, id) in services.iter().take(SERVICES_MAX).enumerate() {
            message.put_u32(40 + 4 * nth, *id);
        }
        message.into_bytes()
    }

    /// Old members that are in the new ring too.
    pub fn transitional(&self) -> &[NodeId] {
        &self.trans
    }

    /// The membership being synchronised.
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// The ring being synchronised.
    pub fn ring(&self) -> RingId {
        self.ring
    }

    /// Whether a service has to be asked again whether it is done.
    pub fn unfinished(&self) -> Option<u32> {
        (self.phase == Phase::Processing).then(|| self.services.get(self.index).copied())?
    }

    /// The current service sent everything. Gives the BARRIER to multicast.
    pub fn processed(&mut self) -> Vec<u8> {
        self.phase = Phase::Barrier;
        let mut message = Message::request(0, BARRIER_SIZE);
        put_ring(&mut message, self.ring);
        message.into_bytes()
    }

    /// A message of the group `sync`. What belongs to another ring is dropped.
    pub fn receive(&mut self, from: NodeId, message: &Fields<'_>) -> Vec<Step> {
        // A peer of the other byte order cannot take part: nothing is converted, ids differ.
        if message.is_swapped() || ring_of(message) != Some(self.ring) {
            return Vec::new();
        }
        match message.i32(0) {
            Some(1) => self.receive_build(from, message),
            Some(0) => self.receive_barrier(from),
            _ => Vec::new(),
        }
    }

    fn receive_build(&mut self, from: NodeId, message: &Fields<'_>) -> Vec<Step> {
        let count = message.u32(32).map_or(0, |count| count as usize).min(SERVICES_MAX);
        for nth in 0..count {
            let Some(id) = message.u32(40 + 4 * nth) else { break };
            if !self.services.contains(&id) {
                self.services.push(id);
            }
        }
        self.services.sort_unstable();
        self.mark(from);
        if self.phase != Phase::Building || !self.all_received() {
            return Vec::new();
        }
        self.received.clear();
        self.next_service()
    }

    fn receive_barrier(&mut self, from: NodeId) -> Vec<Step> {
        self.mark(from);
        if self.phase != Phase::Barrier || !self.all_received() {
            return Vec::new();
        }
        self.received.clear();
        let Some(done) = self.services.get(self.index).copied() else { return Vec::new() };
        self.index += 1;
        let mut steps = vec![Step::Activate(done)];
        steps.extend(self.next_service());
        steps
    }

    fn next_service(&mut self) -> Vec<Step> {
        match self.services.get(self.index) {
            Some(id) => {
                self.phase = Phase::Processing;
                vec![Step::Process(*id)]
            }
            None => {
                self.phase = Phase::Idle;
                vec![Step::Complete]
            }
        }
    }

    fn mark(&mut self, from: NodeId) {
        if self.members.contains(&from) {
            self.received.insert(from);
        }
    }

    fn all_received(&self) -> bool {
        self.members.iter().all(|node| self.received.contains(node))
    }
}

fn put_ring(message: &mut Message, ring: RingId) {
    message.put_u32(16, ring.rep.0);
    message.put_u64(20, ring.seq);
}

fn ring_of(message: &Fields<'_>) -> Option<RingId> {
    Some(RingId { rep: NodeId(message.u32(16)?), seq: message.u64(20)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: RingId = RingId { rep: NodeId(1), seq: 0xbe };

    #[test]
    fn the_barrier_on_the_wire_is_upstreams() {
        let mut sync = Sync { ring: RING, ..Sync::default() };
        let mut wanted = vec![0u8; 32];
        wanted[8] = 0x20;
        wanted[16] = 1;
        wanted[20] = 0xbe;
        assert_eq!(sync.processed(), wanted);
    }

    #[test]
    fn two_nodes_walk_through_their_services_together() {
        let nodes = [NodeId(1), NodeId(2)];
        let mut a = Sync::default();
        let mut b = Sync::default();
        let build_a = a.start(&nodes, RING, &[0, 2]);
        let build_b = b.start(&nodes, RING, &[0, 7]);
        assert_eq!(build_a.len(), 552);
        assert_eq!(a.receive(NodeId(1), &Fields::new(&build_a)), []);
        assert_eq!(a.receive(NodeId(2), &Fields::new(&build_b)), [Step::Process(0)]);
        assert_eq!(a.unfinished(), Some(0));
        for (service, next) in [(0, Step::Process(2)), (2, Step::Process(7)), (7, Step::Complete)] {
            let barrier = a.processed();
            // The other node may be faster or slower than we are.
            assert_eq!(a.receive(NodeId(2), &Fields::new(&barrier)), []);
            let steps = a.receive(NodeId(1), &Fields::new(&barrier));
            assert_eq!(steps, [Step::Activate(service), next]);
        }
        assert_eq!(a.unfinished(), None);
    }

    #[test]
    fn barriers_of_an_old_ring_do_not_count() {
        let mut sync = Sync::default();
        let build = sync.start(&[NodeId(1)], RING, &[0]);
        assert_eq!(sync.receive(NodeId(1), &Fields::new(&build)), [Step::Process(0)]);
        let barrier = sync.processed();
        assert_eq!(sync.interrupt(), Some(0));
        sync.start(&[NodeId(1)], RingId { rep: NodeId(1), seq: 0xc2 }, &[0]);
        assert_eq!(sync.receive(NodeId(1), &Fields::new(&barrier)), []);
        assert_eq!(sync.receive(NodeId(1), &Fields::new(&[1, 2, 3])), []);
    }
}
