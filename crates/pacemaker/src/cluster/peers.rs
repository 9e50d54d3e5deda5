//! The peer cache: what a daemon knows about the other nodes.
//!
//! Two sources feed it: configuration changes of the daemon's CPG group tell where the same daemon
//! runs ([`PeerCache::set_online`]), quorum notifications tell which nodes are members of the
//! cluster ([`PeerCache::set_members`]). A daemon without the second source sets `autoreap`: then
//! the first stands for both, and a peer that left is forgotten.
//!
//! Source: `spec/pacemaker-cluster.md` §2.2–2.3.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{NodeId, Time};

/// How long a peer that CPG shows but quorum does not may stay "not a member".
const CPG_OVERRULES_AFTER: Duration = Duration::from_secs(60);

/// Membership of a node, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Part of the cluster.
    Member,
    /// Was part of it.
    Lost,
}

impl State {
    /// The word in messages and in the CIB.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Member => "member",
            State::Lost => "lost",
        }
    }
}

/// One node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Its name, once known.
    pub name: Option<String>,
    /// Membership; `None` until something was heard.
    pub state: Option<State>,
    /// Whether the same daemon runs there (upstream's process bit "cpg").
    pub online: bool,
    /// Ring id of the last membership it was part of.
    pub last_seen: u64,
    /// When CPG first showed it although quorum called it lost.
    pub when_lost: Option<Time>,
}

impl Peer {
    fn new(id: NodeId, name: Option<String>) -> Peer {
        Peer { id, name, state: None, online: false, last_seen: 0, when_lost: None }
    }

    /// Member and running this daemon.
    pub fn is_active(&self) -> bool {
        self.online && self.state == Some(State::Member)
    }

    /// The node's id in the CIB.
    pub fn uuid(&self) -> String {
        self.id.to_string()
    }

    /// Its name, or a text that says that it is not known.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("(unknown)")
    }
}

/// What changed about a peer. `peer` is how it is now (for a reaped one: how it was last).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerChange {
    /// The peer.
    pub peer: Peer,
    /// What changed.
    pub what: Change,
}

/// Which fact about a peer changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Its name became known.
    Name,
    /// Its membership; the field is what it was.
    State(Option<State>),
    /// Whether the daemon runs there; the field is what it was.
    Online(bool),
}

/// All peers, ourselves included.
#[derive(Debug, Default)]
pub struct PeerCache {
    peers: BTreeMap<NodeId, Peer>,
    autoreap: bool,
    changes: Vec<PeerChange>,
    seen_members: bool,
}

impl PeerCache {
    /// An empty cache. With `autoreap` the daemon has no other source than its CPG group.
    pub fn new(autoreap: bool) -> PeerCache {
        PeerCache { autoreap, ..PeerCache::default() }
    }

    /// Everybody, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// The peer with that id.
    pub fn get(&self, id: NodeId) -> Option<&Peer> {
        self.peers.get(&id)
    }

    /// The peer with that name (in any letter case).
    pub fn by_name(&self, name: &str) -> Option<&Peer> {
        self.peers
            .values()
            .find(|peer| peer.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))
    }

    /// Whether the node of that name is active.
    pub fn is_active(&self, name: &str) -> bool {
        self.by_name(name).is_some_and(Peer::is_active)
    }

    /// Number of active peers.
    pub fn n_active(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_active()).count()
    }

    /// What changed since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<PeerChange> {
        std::mem::take(&mut self.changes)
    }

    fn changed(&mut self, id: NodeId, what: Change) {
        if let Some(peer) = self.peers.get(&id) {
            self.changes.push(PeerChange { peer: peer.clone(), what });
        }
    }

    /// Makes sure a peer is known; learns its name.
    ///
    /// A node that comes back under another id drives out its inactive predecessors of the same
    /// name. Between two different known names for one id the first stays.
    pub fn ensure(&mut self, id: NodeId, name: Option<&str>) -> &Peer {
        let name = name.filter(|name| !name.is_empty());
        let peer = self.peers.entry(id).or_insert_with(|| Peer::new(id, None));
        if let (None, Some(name)) = (&peer.name, name) {
            peer.name = Some(name.to_owned());
            self.peers.retain(|other_id, other| {
                *other_id == id
                    || other.is_active()
                    || !other.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
            });
            self.changed(id, Change::Name);
        }
        self.peers.entry(id).or_insert_with(|| Peer::new(id, None))
    }

    /// Notes whether the daemon runs on a node.
    pub fn set_online(&mut self, id: NodeId, online: bool) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.online != online {
            peer.online = online;
            self.changed(id, Change::Online(!online));
        }
        if self.autoreap {
            self.set_state(id, if online { State::Member } else { State::Lost });
        }
    }

    /// Notes a node's membership.
    pub fn set_state(&mut self, id: NodeId, state: State) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let was = peer.state;
        if state == State::Member {
            peer.when_lost = None;
        }
        if was == Some(state) {
            return;
        }
        peer.state = Some(state);
        self.changed(id, Change::State(was));
        if self.autoreap && state == State::Lost {
            self.peers.remove(&id);
        }
    }

    /// CPG shows a member of the group: it is online, and if that lasts while quorum calls the
    /// node lost, CPG is believed.
    pub fn seen_in_group(&mut self, now: Time, id: NodeId) {
        self.set_online(id, true);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.state.is_none() || peer.state == Some(State::Member) {
            return;
        }
        let since = *peer.when_lost.get_or_insert(now);
        if now.since(since) > CPG_OVERRULES_AFTER {
            self.set_state(id, State::Member);
        }
    }

    /// A quorum notification: these nodes form the membership `ring_id`. Peers never heard of
    /// stay unset, the others that are not listed are lost. Returns false for the empty list that
    /// corosync sends before the first membership.
    pub fn set_members(&mut self, ring_id: u64, members: &[NodeId]) -> bool {
        if members.is_empty() && !self.seen_members {
            return false;
        }
        self.seen_members = true;
        for peer in self.peers.values_mut() {
            peer.last_seen = 0;
        }
        for id in members {
            self.ensure(*id, None);
            if let Some(peer) = self.peers.get_mut(id) {
                peer.last_seen = ring_id;
            }
            self.set_state(*id, State::Member);
        }
        let gone: Vec<NodeId> = self
            .peers
            .values()
            .filter(|peer| peer.last_seen != ring_id && peer.state.is_some())
            .map(|peer| peer.id)
            .collect();
        for id in gone {
            self.set_state(id, State::Lost);
        }
        true
    }

    /// Forgets inactive peers that match (`crm_node --remove`). Returns how many there were.
    pub fn forget(&mut self, id: Option<NodeId>, name: Option<&str>) -> usize {
        let before = self.peers.len();
        self.peers.retain(|peer_id, peer| {
            let matches = match (id, name) {
                (Some(id), _) if id == *peer_id => true,
                (None, Some(name)) => {
                    peer.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
                }
                _ => false,
            };
            !matches || peer.is_active()
        });
        before - self.peers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn whats(cache: &mut PeerCache) -> Vec<(NodeId, Change)> {
        cache.take_changes().into_iter().map(|change| (change.peer.id, change.what)).collect()
    }

    #[test]
    fn a_lost_peer_is_known_but_not_active() {
        let mut cache = PeerCache::new(false);
        cache.ensure(A, Some("a"));
        cache.ensure(B, Some("b"));
        assert!(!cache.set_members(0, &[]));
        assert!(cache.set_members(4, &[A, B]));
        cache.set_online(A, true);
        cache.set_online(B, true);
        assert_eq!(cache.n_active(), 2);
        let _ = whats(&mut cache);
        cache.set_online(B, false);
        cache.set_members(8, &[A]);
        assert_eq!(
            whats(&mut cache),
            [(B, Change::Online(true)), (B, Change::State(Some(State::Member)))]
        );
        assert!(!cache.is_active("B") && cache.by_name("B").is_some());
    }

    #[test]
    fn with_autoreap_the_group_is_the_membership() {
        let mut cache = PeerCache::new(true);
        cache.ensure(A, Some("a"));
        cache.set_online(A, true);
        assert!(cache.is_active("a"));
        cache.set_online(A, false);
        assert!(cache.get(A).is_none());
        let last = cache.take_changes().pop().unwrap();
        assert_eq!(last.what, Change::State(Some(State::Member)));
        assert_eq!(last.peer.name.as_deref(), Some("a"));
    }

    #[test]
    fn a_node_with_a_new_id_replaces_its_old_self() {
        let mut cache = PeerCache::new(false);
        cache.ensure(A, Some("a"));
        cache.ensure(B, Some("A"));
        assert!(cache.get(A).is_none());
        assert_eq!(cache.get(B).unwrap().name.as_deref(), Some("A"));
    }

    #[test]
    fn cpg_overrules_quorum_after_a_minute() {
        let mut cache = PeerCache::new(false);
        cache.ensure(A, Some("a"));
        cache.ensure(B, Some("b"));
        cache.set_members(1, &[A, B]);
        cache.set_members(2, &[A]);
        cache.seen_in_group(Time::from_millis(1000), B);
        assert!(!cache.is_active("b"));
        cache.seen_in_group(Time::from_millis(62_000), B);
        assert!(cache.is_active("b"));
    }
}
