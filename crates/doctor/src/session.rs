//! Doctors in conversation: each asks every other node, answers what it is asked, and notes what
//! gets through. No socket and no clock in here: time and packets come in, packets go out.
//!
//! What can be told apart: nothing comes back; questions come but answers do not (a one-way link);
//! short packets pass and long ones do not (then the largest is searched for); unicast passes and
//! multicast does not; another key, other settings, another time.

use crate::packet::{LONGEST, Packet, Proof, SMALLEST, hash};
use base::NodeId;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Time between two questions to a node, microseconds.
const PACE: u64 = 100_000;
/// An answer later than this is none.
const PATIENCE: u64 = 90_000;
/// Questions of one length before it counts as not passing.
const TRIES: u32 = 3;
/// The search for the largest packet ends when it is this close.
const CLOSE: usize = 8;
/// Where a doctor listens while an engine holds the ring's port: this much above it.
pub const ASIDE: u16 = 10;

/// What a doctor knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Me {
    /// Node id.
    pub node: NodeId,
    /// Name.
    pub name: String,
    /// Whether an engine runs here.
    pub engine: bool,
    /// The authentication key, if the configuration wants one.
    pub key: Option<Vec<u8>>,
    /// Settings that must be the same everywhere.
    pub settings: Vec<(String, String)>,
    /// The ring's port.
    pub port: u16,
    /// The ring's multicast group.
    pub group: Option<IpAddr>,
    /// The longest datagram that the interface sends in one piece.
    pub full: usize,
    /// There is no nodelist: who asks is a peer.
    pub discover: bool,
}

/// Peers that are discovered at most; strangers may send packets too.
const MOST_PEERS: usize = 128;

/// Another node, and what was seen of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerFact {
    /// Its id in the nodelist.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where it was asked.
    pub address: IpAddr,
    /// Answers that came in time.
    pub answers: u32,
    /// Questions it asked us.
    pub questions: u32,
    /// Of those, how many said that it had had answers from us.
    pub satisfied: u32,
    /// The longest packet that came back.
    pub largest: usize,
    /// The shortest that did not, when long ones do not pass.
    pub too_long: Option<usize>,
    /// An answer to a multicast question came.
    pub multicast: bool,
    /// What its key is.
    pub proof: Proof,
    /// Its clock minus ours, microseconds, at the fastest answer.
    pub clock: i64,
    /// The fastest answer, microseconds.
    pub round_trip: u64,
    /// Settings that differ (by name), when it answered.
    pub differing: Vec<String>,
    /// It has settings that we lack, or we have ones that it lacks: how many.
    pub unshared: usize,
    /// An engine runs there.
    pub engine: bool,
}

/// A packet to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Search {
    asked: usize,
    tries: u32,
    /// The shortest length that is known not to pass.
    too_long: usize,
    port: Option<u16>,
    aside: bool,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    peer: Option<usize>,
    sent: u64,
    length: usize,
}

/// The conversation.
#[derive(Debug)]
pub struct Session {
    me: Me,
    hashes: Vec<(u32, u32)>,
    peers: Vec<PeerFact>,
    searches: Vec<Search>,
    open: BTreeMap<u64, Question>,
    next_nonce: u64,
    next_ask: u64,
}

impl Session {
    /// A conversation with the listed peers. `seed` makes the questions' names unguessable.
    pub fn new(me: Me, peers: &[(NodeId, String, IpAddr)], seed: u64) -> Session {
        let hashes = me.settings.iter().map(|(key, value)| (hash(key), hash(value))).collect();
        let full = me.full.clamp(SMALLEST, LONGEST);
        let mut session = Session {
            hashes,
            peers: Vec::new(),
            searches: Vec::new(),
            open: BTreeMap::new(),
            next_nonce: seed | 1,
            next_ask: 0,
            me: Me { full, ..me },
        };
        for (node, name, address) in peers {
            session.add(*node, name, *address);
        }
        session
    }

    fn add(&mut self, node: NodeId, name: &str, address: IpAddr) {
        self.peers.push(PeerFact {
            node,
            name: name.to_owned(),
            address,
            answers: 0,
            questions: 0,
            satisfied: 0,
            largest: 0,
            too_long: None,
            multicast: false,
            proof: Proof::None,
            clock: 0,
            round_trip: u64::MAX,
            differing: Vec::new(),
            unshared: 0,
            engine: false,
        });
        self.searches.push(Search {
            asked: SMALLEST,
            tries: 0,
            too_long: self.me.full + 1,
            port: None,
            aside: false,
        });
    }

    /// Without a nodelist, who speaks our language is a peer.
    fn discover(&mut self, from: SocketAddr, packet: &Packet) {
        let known = self.peers.iter().any(|peer| peer.address == from.ip());
        if self.me.discover && !known && self.peers.len() < MOST_PEERS {
            let name =
                if packet.name.is_empty() { from.ip().to_string() } else { packet.name.clone() };
            self.add(NodeId(packet.node), &name, from.ip());
        }
    }

    /// When to call [`poll`](Self::poll) next, microseconds.
    pub fn next_deadline(&self) -> u64 {
        self.next_ask
    }

    /// What is known of the peers.
    pub fn peers(&self) -> &[PeerFact] {
        &self.peers
    }

    /// Whether every peer was asked all there is to ask.
    pub fn is_done(&self) -> bool {
        self.peers.iter().all(|peer| {
            peer.largest >= self.me.full || peer.too_long.is_some_and(|n| n <= search_end(peer))
        })
    }

    fn question(&mut self, now: u64, peer: Option<usize>, length: usize) -> Vec<u8> {
        // A fixed odd step through all numbers: unguessable enough for strangers who do not
        // listen, and no answer is believed far.
        self.next_nonce = self.next_nonce.wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.open.insert(self.next_nonce, Question { peer, sent: now, length });
        Packet {
            heard: peer.is_some_and(|at| self.peers[at].answers > 0),
            multicast: peer.is_none(),
            engine: self.me.engine,
            nonce: self.next_nonce,
            sent: now,
            node: self.me.node.0,
            name: self.me.name.clone(),
            settings: self.hashes.clone(),
            length,
            ..Packet::default()
        }
        .encode(self.me.key.as_deref())
    }

    /// Asks, when it is time. `now` is microseconds since 1970.
    pub fn poll(&mut self, now: u64) -> Vec<Outgoing> {
        if now < self.next_ask {
            return Vec::new();
        }
        self.next_ask = now + PACE;
        self.open.retain(|_, question| question.sent + 10 * PACE > now);
        let mut out = Vec::new();
        for at in 0..self.peers.len() {
            self.plan(at);
            let length = self.searches[at].asked;
            let search = &mut self.searches[at];
            search.tries += 1;
            search.aside = !search.aside;
            let other = if search.aside { 0 } else { ASIDE };
            let port = search.port.unwrap_or(self.me.port.saturating_add(other));
            let to = SocketAddr::new(self.peers[at].address, port);
            let bytes = self.question(now, Some(at), length);
            out.push(Outgoing { to, bytes });
        }
        if let Some(group) = self.me.group {
            let bytes = self.question(now, None, SMALLEST);
            out.push(Outgoing { to: SocketAddr::new(group, self.me.port), bytes });
        }
        out
    }

    /// Chooses the length of the next question to a peer.
    fn plan(&mut self, at: usize) {
        let (peer, search) = (&mut self.peers[at], &mut self.searches[at]);
        let full = self.me.full;
        if peer.largest == 0 || peer.largest >= full {
            search.asked = SMALLEST.min(full);
            search.tries = 0;
            return;
        }
        if search.asked > peer.largest && search.tries >= TRIES {
            search.too_long = search.too_long.min(search.asked);
            peer.too_long = Some(search.too_long);
        }
        let next = if search.too_long > full {
            full
        } else if search.too_long > search_end(peer) {
            peer.largest.midpoint(search.too_long)
        } else {
            SMALLEST
        };
        if next != search.asked {
            search.asked = next;
            search.tries = 0;
        }
    }

    /// Takes a packet; returns the answer to a question.
    pub fn handle(&mut self, now: u64, from: SocketAddr, bytes: &[u8]) -> Option<Outgoing> {
        let (packet, proof) = Packet::decode(bytes, self.me.key.as_deref())?;
        if packet.answer {
            self.note_answer(now, from, &packet, proof);
            return None;
        }
        if packet.node == self.me.node.0 && packet.name == self.me.name {
            return None; // our own multicast
        }
        self.discover(from, &packet);
        let known = self.peers.iter_mut().find(|peer| peer.address == from.ip());
        if let Some(peer) = known.filter(|_| !packet.multicast) {
            peer.questions = peer.questions.saturating_add(1);
            peer.satisfied = peer.satisfied.saturating_add(u32::from(packet.heard));
        }
        let answer = Packet {
            answer: true,
            multicast: packet.multicast,
            engine: self.me.engine,
            nonce: packet.nonce,
            sent: now,
            echoed: packet.sent,
            node: self.me.node.0,
            name: self.me.name.clone(),
            settings: self.hashes.clone(),
            length: packet.length,
            ..Packet::default()
        };
        let bytes = answer.encode(self.me.key.as_deref());
        // Never more than was received: nobody shall use us to flood somebody else.
        (bytes.len() <= packet.length).then_some(Outgoing { to: from, bytes })
    }

    fn note_answer(&mut self, now: u64, from: SocketAddr, packet: &Packet, proof: Proof) {
        let Some(question) = self.open.get(&packet.nonce).copied() else { return };
        let at = match question.peer {
            Some(at) => at,
            None => {
                self.discover(from, packet);
                let found = self.peers.iter().position(|peer| peer.address == from.ip());
                if let Some(peer) = found.map(|at| &mut self.peers[at]) {
                    peer.multicast = true;
                }
                return;
            }
        };
        if from.ip() != self.peers[at].address {
            return;
        }
        self.open.remove(&packet.nonce);
        let took = now.saturating_sub(question.sent);
        if took > PATIENCE {
            return;
        }
        self.searches[at].port = Some(from.port());
        let peer = &mut self.peers[at];
        peer.answers = peer.answers.saturating_add(1);
        peer.largest = peer.largest.max(question.length);
        peer.proof = proof;
        peer.engine = packet.engine;
        if took < peer.round_trip {
            peer.round_trip = took;
            let middle = question.sent + took / 2;
            peer.clock = packet.sent.cast_signed().wrapping_sub(middle.cast_signed());
        }
        let theirs: BTreeMap<u32, u32> = packet.settings.iter().copied().collect();
        let (mut differing, mut shared) = (Vec::new(), 0);
        for ((name, _), (key, value)) in self.me.settings.iter().zip(&self.hashes) {
            if let Some(other) = theirs.get(key) {
                shared += 1;
                if other != value {
                    differing.push(name.clone());
                }
            }
        }
        peer.differing = differing;
        peer.unshared = self.hashes.len() + theirs.len() - 2 * shared;
    }
}

/// Below this, the search for the largest packet is over.
fn search_end(peer: &PeerFact) -> usize {
    peer.largest + CLOSE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ip(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    fn me(number: u8) -> Me {
        Me {
            node: NodeId(number.into()),
            name: format!("n{number}"),
            settings: vec![("totem.token".into(), "1000".into())],
            port: 5405,
            group: Some(IpAddr::V4(Ipv4Addr::new(239, 255, 1, 1))),
            full: 1472,
            ..Me::default()
        }
    }

    /// Two doctors; `pass(from, length, multicast)` is the network. The second one's clock is an
    /// hour ahead.
    fn talk(
        one: Me,
        two: Me,
        pass: impl Fn(u8, usize, bool) -> bool,
    ) -> (PeerFact, PeerFact, bool) {
        let mut sides = [
            Session::new(one, &[(NodeId(2), "n2".into(), ip(2))], 1),
            Session::new(two, &[(NodeId(1), "n1".into(), ip(1))], 2),
        ];
        let clock = |side: usize, now: u64| now + side as u64 * 3_600_000_000;
        for step in 0..80u64 {
            let now = 1_000_000_000 + step * PACE;
            for side in 0..2 {
                let from = |side: usize| SocketAddr::new(ip(side as u8 + 1), 5405);
                for sent in sides[side].poll(clock(side, now)) {
                    let multicast = sent.to.ip().is_multicast();
                    if !pass(side as u8 + 1, sent.bytes.len(), multicast) || sent.to.port() != 5405
                    {
                        continue;
                    }
                    let other = 1 - side;
                    let answer =
                        sides[other].handle(clock(other, now + 100), from(side), &sent.bytes);
                    if let Some(answer) = answer
                        && pass(other as u8 + 1, answer.bytes.len(), false)
                    {
                        let now = clock(side, now + 200);
                        assert_eq!(sides[side].handle(now, from(other), &answer.bytes), None);
                    }
                }
            }
        }
        (sides[0].peers()[0].clone(), sides[1].peers()[0].clone(), sides[0].is_done())
    }

    #[test]
    fn a_good_network() {
        let (fact, _, done) = talk(me(1), me(2), |_, _, _| true);
        assert!(done && fact.multicast && fact.answers > 20);
        assert_eq!((fact.largest, fact.too_long), (1472, None));
        assert_eq!((fact.clock, fact.round_trip), (3_600_000_000, 200));
        assert_eq!((fact.differing, fact.unshared), (vec![], 0));
    }

    #[test]
    fn a_one_way_link_is_seen_from_both_sides() {
        let (one, two, done) = talk(me(1), me(2), |from, _, _| from == 1);
        assert_eq!((one.answers, one.questions, done), (0, 0, false));
        assert_eq!((two.answers, two.satisfied), (0, 0));
        assert!(two.questions > 20, "{two:?}");
    }

    #[test]
    fn the_largest_packet_is_found() {
        let (fact, _, done) = talk(me(1), me(2), |_, length, _| length <= 1300);
        assert!(done);
        assert!((1300 - CLOSE..=1300).contains(&fact.largest), "{fact:?}");
        assert!(fact.too_long.is_some_and(|n| (1301..=1300 + CLOSE).contains(&n)), "{fact:?}");
    }

    #[test]
    fn multicast_key_and_settings() {
        let (fact, _, _) = talk(me(1), me(2), |_, _, multicast| !multicast);
        assert!(!fact.multicast && fact.answers > 0);
        let keyed = |number, key: &[u8]| Me { key: Some(key.to_vec()), ..me(number) };
        let (fact, _, _) = talk(keyed(1, b"a"), keyed(2, b"a"), |_, _, _| true);
        assert_eq!(fact.proof, Proof::Ours);
        let (fact, _, _) = talk(keyed(1, b"a"), keyed(2, b"b"), |_, _, _| true);
        assert_eq!(fact.proof, Proof::Other);
        let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let other = Me {
            settings: vec![setting("totem.token", "3000"), setting("totem.join", "1")],
            ..me(2)
        };
        let (fact, _, _) = talk(me(1), other, |_, _, _| true);
        assert_eq!((fact.differing, fact.unshared), (vec!["totem.token".to_owned()], 1));
    }

    #[test]
    fn without_a_nodelist_peers_find_each_other() {
        let discover = |n| Me { discover: true, ..me(n) };
        let mut one = Session::new(discover(1), &[], 1);
        let mut two = Session::new(discover(2), &[], 2);
        let at = |n| SocketAddr::new(ip(n), 5405);
        let question = one.poll(PACE).remove(0);
        let answer = two.handle(PACE, at(1), &question.bytes).expect("an answer");
        assert_eq!(one.handle(PACE, at(2), &answer.bytes), None);
        assert_eq!((one.peers()[0].name.as_str(), one.peers()[0].multicast), ("n2", true));
        assert_eq!(two.peers()[0].node, NodeId(1));
    }

    #[test]
    fn noise_is_ignored() {
        let mut session = Session::new(me(1), &[(NodeId(2), "n2".into(), ip(2))], 1);
        let mut state = 1u64;
        for length in 0..2000 {
            let noise: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let from = SocketAddr::new(ip(2), 9);
            assert_eq!(session.handle(5, from, &noise), None);
        }
        assert_eq!(session.peers()[0].answers, 0);
    }
}
