//! The engine as the daemons above see it: groups, agreed order, membership, quorum.
//!
//! The ring itself is proven elsewhere ([`crate::world`]); here it is perfect and quick, so that
//! what goes wrong is the daemons' fault. What it promises is what Corosync promises: messages of
//! all members in one order; a change of the membership at one point of that order, told to the
//! quorum service's clients before any message that was sent afterwards.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use base::NodeId;
use pacemaker::cluster::group::Address;
use rand::RngExt;
use rand::rngs::StdRng;

/// A group: one for each daemon that has peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Party {
    Based,
    Attrd,
    Controld,
}

impl Party {
    pub(super) const ALL: [Party; 3] = [Party::Based, Party::Attrd, Party::Controld];
}

/// What a daemon asks of its group.
#[derive(Debug)]
pub(super) enum Post {
    Join,
    Leave,
    Message(Vec<u8>),
}

/// What the engine tells.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// A message of the group.
    Message { from: NodeId, bytes: Rc<[u8]> },
    /// The group changed.
    Group { members: Vec<Address>, left: Vec<Address> },
    /// The membership changed.
    Quorum { quorate: bool, ring: u64, members: Vec<NodeId> },
}

/// To whom: a host's daemon.
pub(super) type Listener = (usize, Party);

/// All hosts' engines.
pub(super) struct Engine {
    /// Which hosts hear each other; `None` is switched off.
    island: Vec<Option<usize>>,
    ring: Vec<u64>,
    next_ring: u64,
    /// Process ids of the members.
    joined: BTreeMap<Listener, u32>,
    /// What each member was told last.
    seen: BTreeMap<Listener, Vec<Address>>,
    posts: BTreeMap<Listener, VecDeque<(u32, Post)>>,
}

/// A host's node id.
pub(super) fn id_of(host: usize) -> NodeId {
    NodeId(host as u32 + 1)
}

impl Engine {
    pub(super) fn new(hosts: usize) -> Engine {
        Engine {
            island: vec![None; hosts],
            ring: vec![0; hosts],
            next_ring: 4,
            joined: BTreeMap::new(),
            seen: BTreeMap::new(),
            posts: BTreeMap::new(),
        }
    }

    pub(super) fn is_on(&self, host: usize) -> bool {
        self.island[host].is_some()
    }

    /// Which hosts hear each other; `None` is switched off.
    pub(super) fn island_of(&self, host: usize) -> Option<usize> {
        self.island[host]
    }

    /// Hosts in one island with `host`, itself included.
    fn members(&self, host: usize) -> Vec<usize> {
        (0..self.island.len())
            .filter(|other| self.is_on(*other) && self.island[*other] == self.island[host])
            .collect()
    }

    /// The state of the membership as the host's quorum service has it.
    pub(super) fn quorum(&self, host: usize) -> Told {
        let members = self.members(host);
        Told::Quorum {
            quorate: members.len() * 2 > self.island.len(),
            ring: self.ring[host],
            members: members.into_iter().map(id_of).collect(),
        }
    }

    pub(super) fn post(&mut self, who: Listener, pid: u32, post: Post) {
        self.posts.entry(who).or_default().push_back((pid, post));
    }

    pub(super) fn has_posts(&self) -> bool {
        self.posts.values().any(|queue| !queue.is_empty())
    }

    /// Orders one post of somebody and tells whom it concerns.
    pub(super) fn order(&mut self, random: &mut StdRng) -> Vec<(Listener, Told)> {
        let waiting: Vec<Listener> = self
            .posts
            .iter()
            .filter(|((host, _), queue)| self.is_on(*host) && !queue.is_empty())
            .map(|(who, _)| *who)
            .collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let who = waiting[random.random_range(0..waiting.len())];
        let Some((pid, post)) = self.posts.get_mut(&who).and_then(VecDeque::pop_front) else {
            return Vec::new();
        };
        match post {
            Post::Join => {
                self.joined.insert(who, pid);
                self.tell_groups()
            }
            Post::Leave => {
                self.forget(who);
                self.tell_groups()
            }
            Post::Message(_) if self.joined.get(&who) != Some(&pid) => Vec::new(),
            Post::Message(bytes) => {
                let bytes: Rc<[u8]> = bytes.into();
                let from = id_of(who.0);
                self.members(who.0)
                    .into_iter()
                    .map(|host| (host, who.1))
                    .filter(|listener| self.joined.contains_key(listener))
                    .map(|listener| (listener, Told::Message { from, bytes: bytes.clone() }))
                    .collect()
            }
        }
    }

    fn forget(&mut self, who: Listener) {
        self.joined.remove(&who);
        self.seen.remove(&who);
    }

    /// A daemon died: its group hears of it in order with everything else.
    pub(super) fn died(&mut self, who: Listener) -> Vec<(Listener, Told)> {
        self.posts.remove(&who);
        self.forget(who);
        self.tell_groups()
    }

    /// New islands; `None` is switched off. `tracking` hosts follow the quorum service.
    pub(super) fn regroup(
        &mut self,
        island: Vec<Option<usize>>,
        tracking: &[bool],
    ) -> Vec<(Listener, Told)> {
        let before: Vec<Vec<usize>> = (0..island.len()).map(|host| self.members(host)).collect();
        let was_on: Vec<bool> = (0..island.len()).map(|host| self.is_on(host)).collect();
        self.island = island;
        for host in 0..self.island.len() {
            if !self.is_on(host) {
                for party in Party::ALL {
                    self.posts.remove(&(host, party));
                    self.forget((host, party));
                }
            }
        }
        let mut rings: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
        let mut told = self.tell_groups();
        for host in 0..self.island.len() {
            let members = self.members(host);
            if !self.is_on(host) || was_on[host] && members == before[host] {
                continue;
            }
            let next = &mut self.next_ring;
            self.ring[host] = *rings.entry(members).or_insert_with(|| {
                *next += 4;
                *next
            });
            if tracking[host] {
                told.push(((host, Party::Controld), self.quorum(host)));
            }
        }
        told
    }

    /// Tells every member of a group what changed since it heard of its group last: first who
    /// left, then who is there.
    fn tell_groups(&mut self) -> Vec<(Listener, Told)> {
        let mut told = Vec::new();
        let listeners: Vec<Listener> = self.joined.keys().copied().collect();
        for listener in listeners {
            let members: Vec<Address> = self
                .members(listener.0)
                .into_iter()
                .filter_map(|host| {
                    let pid = *self.joined.get(&(host, listener.1))?;
                    Some(Address { node: id_of(host), pid })
                })
                .collect();
            let before = self.seen.insert(listener, members.clone()).unwrap_or_default();
            if before == members {
                continue;
            }
            let (stay, left): (Vec<Address>, Vec<Address>) =
                before.into_iter().partition(|member| members.contains(member));
            if !left.is_empty() {
                told.push((listener, Told::Group { members: stay.clone(), left }));
            }
            if stay.len() < members.len() {
                told.push((listener, Told::Group { members, left: Vec::new() }));
            }
        }
        told
    }
}
