//! The core of a daemon's membership in its CPG group: messages and configuration changes in,
//! typed events and bytes to multicast out.
//!
//! Source: `spec/pacemaker-cluster.md` §1. The shell around it is [`Cluster`](super::Cluster).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::{NodeId, Time};
use xml::Element;

use super::message::{self, Drop, Kind, To};
use super::peers::{PeerCache, PeerChange};

/// Messages sent in one go before others get their turn.
const BURST: usize = 200;

/// What happened in the group.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A message for us (our own broadcasts too). The element has `src` set to the sender's name.
    Message {
        /// The sending node.
        from: NodeId,
        /// Its name.
        name: String,
        /// The element.
        xml: Element,
    },
    /// Something about a peer changed.
    Peer(PeerChange),
    /// Nothing else is left of this configuration change; `left` names whom it took.
    Membership {
        /// Nodes whose daemon left the group.
        left: Vec<NodeId>,
    },
    /// A message was dropped that should not have been sent.
    Refused {
        /// Who sent it.
        from: NodeId,
        /// What is wrong with it.
        why: Drop,
    },
    /// We are no member of the group any more.
    Evicted,
}

/// Whom the configuration change that `events` belong to took: what stands in the
/// [`Event::Membership`] that ends them.
pub fn leaving(events: &[Event]) -> Vec<NodeId> {
    let left = events.iter().find_map(|event| match event {
        Event::Membership { left } => Some(left.clone()),
        _ => None,
    });
    left.unwrap_or_default()
}

/// One entry of a configuration change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The node.
    pub node: NodeId,
    /// The process.
    pub pid: u32,
}

/// The core.
#[derive(Debug)]
pub struct Group {
    own: Address,
    own_name: String,
    /// Names by configuration (corosync's nodelist).
    names: BTreeMap<NodeId, String>,
    peers: PeerCache,
    seq: u32,
    queue: VecDeque<Vec<u8>>,
    /// No sending before this time.
    hold_until: Option<Time>,
}

impl Group {
    /// A group that `own` is about to join.
    pub fn new(own: Address, own_name: &str, autoreap: bool) -> Group {
        let mut peers = PeerCache::new(autoreap);
        peers.ensure(own.node, Some(own_name));
        Group {
            own,
            own_name: own_name.to_owned(),
            names: BTreeMap::new(),
            peers,
            seq: 0,
            queue: VecDeque::new(),
            hold_until: None,
        }
    }

    /// Our node id.
    pub fn own_id(&self) -> NodeId {
        self.own.node
    }

    /// Our node's name.
    pub fn own_name(&self) -> &str {
        &self.own_name
    }

    /// The peers.
    pub fn peers(&self) -> &PeerCache {
        &self.peers
    }

    /// The peers, to feed from quorum notifications; what changes comes out of
    /// [`take_peer_events`](Self::take_peer_events).
    pub fn peers_mut(&mut self) -> &mut PeerCache {
        &mut self.peers
    }

    /// Tells the names that corosync's nodelist has.
    pub fn set_names(&mut self, names: BTreeMap<NodeId, String>) {
        for (id, name) in &names {
            if self.peers.get(*id).is_some_and(|peer| peer.name.is_none()) {
                self.peers.ensure(*id, Some(name));
            }
        }
        self.names = names;
    }

    /// The nodelist's names.
    pub fn names(&self) -> &BTreeMap<NodeId, String> {
        &self.names
    }

    /// The name of a node, as far as anybody told it.
    pub fn name_of(&self, id: NodeId) -> Option<&str> {
        self.peers
            .get(id)
            .and_then(|peer| peer.name.as_deref())
            .or_else(|| self.names.get(&id).map(String::as_str))
    }

    /// Events of changes that came from elsewhere (quorum).
    pub fn take_peer_events(&mut self) -> Vec<Event> {
        self.peers.take_changes().into_iter().map(Event::Peer).collect()
    }

    /// CPG delivered a message.
    pub fn deliver(&mut self, from: NodeId, bytes: &[u8]) -> Vec<Event> {
        let decoded = match message::decode(bytes, from, self.own.node, &self.own_name) {
            Ok(decoded) => decoded,
            Err(Drop::NotForUs) => return Vec::new(),
            Err(why) => return vec![Event::Refused { from, why }],
        };
        let told = Some(decoded.sender_name.as_str()).filter(|name| !name.is_empty());
        let configured = self.names.get(&from).map(String::as_str);
        self.peers.ensure(from, told.or(configured));
        let mut events = self.take_peer_events();
        let name = match told {
            Some(name) => name.to_owned(),
            None => self.name_of(from).unwrap_or_default().to_owned(),
        };
        let mut xml = decoded.xml;
        xml.set("src", name.as_str());
        events.push(Event::Message { from, name, xml });
        events
    }

    /// CPG reported a configuration change.
    pub fn confchg(&mut self, now: Time, members: &[Address], left: &[Address]) -> Vec<Event> {
        let mut gone = Vec::new();
        for entry in left {
            if self.peers.get(entry.node).is_some()
                && !members.iter().any(|member| member.node == entry.node)
            {
                gone.push(entry.node);
                self.peers.set_online(entry.node, false);
            }
        }
        for member in members {
            if member.node == self.own.node && member.pid != self.own.pid {
                continue;
            }
            let name = self.names.get(&member.node).cloned();
            self.peers.ensure(member.node, name.as_deref());
            self.peers.seen_in_group(now, member.node);
        }
        let mut events = self.take_peer_events();
        events.push(Event::Membership { left: gone });
        if !members.iter().any(|member| member.node == self.own.node) {
            events.push(Event::Evicted);
        }
        events
    }

    /// Queues a message.
    pub fn send(&mut self, to: &To, kind: Kind, xml: &Element) {
        self.seq = self.seq.wrapping_add(1);
        let bytes = message::encode(self.seq, self.own.pid, &self.own_name, kind, to, xml);
        self.queue.push_back(bytes);
    }

    /// Sends what waits, as much as the engine takes. `send` returns false for "try again".
    pub fn flush(&mut self, now: Time, mut send: impl FnMut(&[u8]) -> bool) {
        if self.hold_until.is_some_and(|until| now < until) {
            return;
        }
        self.hold_until = None;
        let mut n_sent = 0;
        while let Some(bytes) = self.queue.front() {
            if n_sent == BURST {
                self.hold_until = Some(now + Duration::from_millis(100));
                return;
            }
            if !send(bytes) {
                let wait = (200 + 10 * self.queue.len() as u64).min(1000);
                self.hold_until = Some(now + Duration::from_millis(wait));
                return;
            }
            self.queue.pop_front();
            n_sent += 1;
        }
    }

    /// When [`flush`](Self::flush) is wanted again.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.queue.is_empty() { None } else { self.hold_until }
    }

    /// How many messages wait.
    pub fn n_queued(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address { node: NodeId(1), pid: 10 };
    const B: Address = Address { node: NodeId(2), pid: 20 };

    fn group() -> Group {
        Group::new(A, "a", true)
    }

    #[test]
    fn what_one_sends_the_other_gets() {
        let mut a = group();
        let mut b = Group::new(B, "b", true);
        let xml = xml::parse("<x src='forged'/>").unwrap();
        a.send(&To::All, Kind::Attrd, &xml);
        let mut wire = Vec::new();
        a.flush(Time::ZERO, |bytes| {
            wire.push(bytes.to_vec());
            true
        });
        let events = b.deliver(A.node, &wire[0]);
        let Some(Event::Message { name, xml, .. }) = events.last() else { panic!("{events:?}") };
        assert_eq!((name.as_str(), xml.get("src")), ("a", Some("a")));
        assert_eq!(b.peers().by_name("a").map(|peer| peer.id), Some(A.node));
    }

    #[test]
    fn a_node_is_gone_when_its_last_process_left() {
        let mut a = group();
        let twin = Address { pid: 21, ..B };
        a.confchg(Time::ZERO, &[A, B, twin], &[]);
        assert!(
            a.confchg(Time::ZERO, &[A, twin], &[B]).contains(&Event::Membership { left: vec![] })
        );
        let events = a.confchg(Time::ZERO, &[A], &[twin]);
        assert!(events.contains(&Event::Membership { left: vec![B.node] }), "{events:?}");
        assert!(a.confchg(Time::ZERO, &[B], &[A]).contains(&Event::Evicted));
    }

    #[test]
    fn a_full_engine_is_asked_again_later() {
        let mut a = group();
        for _ in 0..3 {
            a.send(&To::All, Kind::Attrd, &Element::new("x"));
        }
        let mut budget = 1;
        a.flush(Time::ZERO, |_| {
            budget -= 1;
            budget >= 0
        });
        assert_eq!(a.n_queued(), 2);
        assert_eq!(a.next_deadline(), Some(Time::from_millis(220)));
        a.flush(Time::from_millis(219), |_| panic!("too early"));
        a.flush(Time::from_millis(220), |_| true);
        assert_eq!((a.n_queued(), a.next_deadline()), (0, None));
    }
}
