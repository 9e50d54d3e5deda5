//! The promises of the ring, checked on what the nodes saw.
//!
//! - *Integrity*: a message is delivered as it was sent, at most once in a life of a node.
//! - *Total order*: two nodes deliver the messages they have in common in the same order.
//! - *Own messages*: who does not crash delivers everything it sent, in order.
//! - *No gap*: between two configurations a sender's messages come without holes.
//! - *Agreement*: a ring id means the same members everywhere.
//! - *Virtual synchrony*: nodes that go together from one configuration to the next deliver the
//!   same messages in between, the transitional configuration at the same place.
//!
//! Messages of several fragments are exempt where a node joined after their first fragment was
//! sent (upstream's format has no way to repeat it).

use crate::node::{Life, MessageId, Seen};
use base::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use totem::{ConfigKind, RingId};

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The texts in the fields say it.
pub enum Violation {
    Garbled(String),
    Twice(String),
    Order(String),
    OwnMissing(String),
    Gap(String),
    Members(String),
    Synchrony(String),
    NotConverged(String),
}

/// Everything that is wrong.
pub fn check(lives: &[Life]) -> Vec<Violation> {
    let mut found = Vec::new();
    for life in lives {
        check_life(life, &mut found);
    }
    check_order(lives, &mut found);
    check_members(lives, &mut found);
    check_synchrony(lives, &mut found);
    found
}

fn name(life: &Life) -> String {
    format!("node {} life {}", life.node, life.number)
}

fn messages(life: &Life) -> impl Iterator<Item = MessageId> {
    life.seen.iter().filter_map(|seen| match seen {
        Seen::Message(id) => Some(*id),
        Seen::Garbled | Seen::Config(_) => None,
    })
}

fn check_life(life: &Life, found: &mut Vec<Violation>) {
    let mut all = BTreeSet::new();
    let mut last: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let mut together: BTreeSet<NodeId> = BTreeSet::new();
    let mut long_gap = BTreeSet::new();
    for seen in &life.seen {
        match seen {
            Seen::Garbled => found.push(Violation::Garbled(name(life))),
            Seen::Config(change) if change.kind == ConfigKind::Transitional => {
                together = change.members.iter().copied().collect();
            }
            Seen::Config(change) => {
                // Whoever is new may have said things we never heard.
                last.retain(|(sender, _), _| together.contains(&NodeId(*sender)));
                long_gap.extend(change.joined.iter().map(|id| id.0));
            }
            Seen::Message(id) => {
                if !all.insert(*id) {
                    found.push(Violation::Twice(format!("{}: {id:?}", name(life))));
                }
                let key = (id.sender, id.life);
                let previous = last.insert(key, id.count);
                if let Some(previous) = previous
                    && id.count != previous + 1
                    && !(id.count > previous && long_gap.contains(&id.sender))
                {
                    found.push(Violation::Gap(format!("{}: {previous} then {id:?}", name(life))));
                }
            }
        }
    }
    let own: Vec<u32> = messages(life)
        .filter(|id| id.sender == life.node && id.life == life.number)
        .map(|id| id.count)
        .collect();
    let complete = own.iter().copied().eq(0..own.len() as u32);
    if !complete || (life.survived && own.len() != life.sent as usize) {
        let text = format!("{}: sent {}, delivered {} of them", name(life), life.sent, own.len());
        found.push(Violation::OwnMissing(text));
    }
}

fn check_order(lives: &[Life], found: &mut Vec<Violation>) {
    let places: Vec<BTreeMap<MessageId, usize>> = lives
        .iter()
        .map(|life| messages(life).enumerate().map(|(n, id)| (id, n)).collect())
        .collect();
    for (a, life) in lives.iter().enumerate() {
        for (b, other) in lives.iter().enumerate().take(a) {
            let common =
                messages(life).filter_map(|id| places[b].get(&id).map(|place| (id, *place)));
            let mut last = None;
            for (id, place) in common {
                if last.is_some_and(|last| place < last) {
                    let text = format!("{} and {}: {id:?}", name(life), name(other));
                    found.push(Violation::Order(text));
                    break;
                }
                last = Some(place);
            }
        }
    }
}

fn check_members(lives: &[Life], found: &mut Vec<Violation>) {
    let mut rings: BTreeMap<RingId, &[NodeId]> = BTreeMap::new();
    for life in lives {
        let mut mine = BTreeSet::new();
        for seen in &life.seen {
            let Seen::Config(change) = seen else { continue };
            if change.kind != ConfigKind::Regular {
                continue;
            }
            let known = rings.entry(change.ring_id).or_insert(&change.members);
            if **known != *change.members || !mine.insert(change.ring_id) {
                let text = format!("{}: {:?} in {}", name(life), change.members, change.ring_id);
                found.push(Violation::Members(text));
            }
        }
    }
}

fn check_synchrony(lives: &[Life], found: &mut Vec<Violation>) {
    // (old ring, new ring, survivors) -> what was seen from the one to the other
    let mut known: BTreeMap<(RingId, RingId, Vec<NodeId>), (String, Vec<Option<MessageId>>)> =
        BTreeMap::new();
    for life in lives {
        let mut from: Option<RingId> = None;
        let mut survivors = Vec::new();
        let mut between = Vec::new();
        for seen in &life.seen {
            match seen {
                Seen::Garbled => {}
                Seen::Message(id) if id.long => {}
                Seen::Message(id) => between.push(Some(*id)),
                Seen::Config(change) if change.kind == ConfigKind::Transitional => {
                    survivors.clone_from(&change.members);
                    between.push(None);
                }
                Seen::Config(change) => {
                    let between = std::mem::take(&mut between);
                    if let Some(from) = from {
                        let key = (from, change.ring_id, survivors.clone());
                        let (who, expected) =
                            known.entry(key).or_insert_with(|| (name(life), between.clone()));
                        if *expected != between {
                            let text = format!(
                                "{} and {who} from {from} to {}: {} and {} things, first \
                                 difference at {:?}",
                                name(life),
                                change.ring_id,
                                between.len(),
                                expected.len(),
                                between.iter().zip(expected.iter()).position(|(a, b)| a != b),
                            );
                            found.push(Violation::Synchrony(text));
                        }
                    }
                    from = Some(change.ring_id);
                }
            }
        }
    }
}
