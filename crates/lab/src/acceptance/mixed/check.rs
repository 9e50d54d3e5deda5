//! What the engine promises a process group, held against what every talker saw.
//!
//! - *Integrity*: a message is delivered as it was sent, at most once.
//! - *Per sender*: while the sender is a member its messages come without a gap, and from the first
//!   one on if it joined while we were there; nothing comes from who is no member.
//! - *One order*: two talkers deliver the messages they have in common in the same order.
//! - *Own messages*: who ends in order has delivered everything it sent.
//! - *Memberships*: a ring's identity means the same members everywhere.
//! - *Virtual synchrony*: talkers that go together from one membership to the next have delivered
//!   the same things in between, in the same order. (Not those few messages that are so long that
//!   the client library sends them in parts: a newcomer may lack the first part.)
//!
//! One thing is let pass on Debian's engine: when its synchronisation is interrupted by the next
//! membership, it forgets who was lost in between (`corosync-services.md` §5.8: the down list knows
//! the last change only). So where a record of its skips a ring number (they go up by four), who
//! stays may have been away.
//!
//! Records in, complaints out: nothing here reads a file or a clock.
//! Source: `spec/corosync-services.md` §5.5, §5.8 (what is delivered when), `spec/totem.md` §9.

use std::collections::BTreeMap;

use crate::talk::is_in_parts;

use super::record::{Event, MessageId, Record, Ring, Why};

/// No more of one kind than this are told.
const TOLD: usize = 6;

/// Everything that is wrong with these records; empty when all promises were kept.
pub(crate) fn check(records: &[Record]) -> Vec<String> {
    let mut found = Vec::new();
    for record in records {
        found.extend(senders(record).into_iter().take(TOLD));
        found.extend(own(record));
    }
    found.extend(order(records).into_iter().take(TOLD));
    found.extend(memberships(records).into_iter().take(TOLD));
    found.extend(synchrony(records).into_iter().take(TOLD));
    found
}

/// What is known of a sender.
#[derive(Clone, Copy)]
enum Expect {
    /// It joined before our eyes: its first message is number 0 of a new life.
    First,
    /// It was there before us, or came with its node: any number to begin with.
    Any,
    /// The one behind this one.
    After(MessageId),
}

fn senders(record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    // A node's process, and what to expect of it.
    let mut present: BTreeMap<u32, (u32, Expect)> = BTreeMap::new();
    // The highest number of every life, for who comes back.
    let mut highest: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for (at, event) in record.events.iter().enumerate() {
        match event {
            Event::Present { node, pid } => {
                present.insert(*node, (*pid, Expect::Any));
            }
            Event::Joined { node, pid, why } => {
                let expect = if *why == Why::Itself { Expect::First } else { Expect::Any };
                present.insert(*node, (*pid, expect));
            }
            Event::Left { node, pid, .. } => {
                // The one after it may be there already.
                if present.get(node).is_some_and(|(known, _)| known == pid) {
                    present.remove(node);
                }
            }
            Event::Garbled { node } => {
                found.push(format!("{record}: a message of node {node} is not as it was sent"));
            }
            Event::Ring { .. } => {}
            Event::Message(id) => {
                let known = highest.get(&(id.node, id.life)).copied();
                let why = match present.get(&id.node).map(|(_, expect)| *expect) {
                    None => Some("from no member".to_owned()),
                    Some(Expect::First) if id.count != 0 => Some("is its first".to_owned()),
                    Some(Expect::First | Expect::Any) => {
                        known.filter(|known| id.count <= *known).map(|k| format!("after {k}"))
                    }
                    Some(Expect::After(last)) => {
                        let next = MessageId { count: last.count.wrapping_add(1), ..last };
                        let is_let_pass =
                            || known.is_none_or(|known| id.count > known) && forgets(record, at);
                        (*id != next && !is_let_pass()).then(|| format!("after {last:?}"))
                    }
                };
                if let Some(why) = why {
                    found.push(format!("{record}: {id:?} {why}"));
                }
                present.entry(id.node).and_modify(|(_, expect)| *expect = Expect::After(*id));
                highest.insert((id.node, id.life), known.map_or(id.count, |k| k.max(id.count)));
            }
        }
    }
    found
}

/// Whether Debian's engine may have forgotten somebody around this event: between the last
/// membership before it and the next one after it, or at either of them, rings were skipped.
fn forgets(record: &Record, at: usize) -> bool {
    let ring = |event: &Event| match event {
        Event::Ring { ring, .. } => Some(*ring),
        _ => None,
    };
    let mut before = record.events[..at].iter().rev().filter_map(ring);
    let (last, older) = (before.next(), before.next());
    let next = record.events[at..].iter().find_map(ring);
    record.is_debian
        && [(older, last), (last, next)]
            .iter()
            .any(|(from, to)| from.zip(*to).is_some_and(|(from, to)| skips(from, to)))
}

/// Whether there was a ring in between.
fn skips(from: Ring, to: Ring) -> bool {
    to.seq > from.seq + 4
}

fn own(record: &Record) -> Option<String> {
    let sent = record.ended?;
    let own = record.messages().filter(|id| (id.node, id.life) == (record.node, record.life));
    let delivered = own.count();
    (delivered != sent as usize)
        .then(|| format!("{record}: sent {sent}, delivered {delivered} of them"))
}

fn order(records: &[Record]) -> Vec<String> {
    let mut found = Vec::new();
    let places: Vec<BTreeMap<MessageId, usize>> = records
        .iter()
        .map(|record| record.messages().enumerate().map(|(at, id)| (id, at)).collect())
        .collect();
    for (a, record) in records.iter().enumerate() {
        for (other, places) in records.iter().zip(&places).take(a) {
            let mut last: Option<usize> = None;
            for (id, at) in record.messages().filter_map(|id| Some((id, *places.get(&id)?))) {
                if last.is_some_and(|last| at < last) {
                    found.push(format!("{record} and {other}: {id:?} is not at the same place"));
                    break;
                }
                last = Some(at);
            }
        }
    }
    found
}

fn memberships(records: &[Record]) -> Vec<String> {
    let mut found = Vec::new();
    let mut known: BTreeMap<Ring, (&Record, &[u32])> = BTreeMap::new();
    for record in records {
        for event in &record.events {
            let Event::Ring { ring, members } = event else { continue };
            let (who, expected) = known.entry(*ring).or_insert((record, members));
            if *expected != *members {
                found.push(format!("{record}: {ring:?} has {members:?}, {who} says {expected:?}"));
            }
        }
    }
    found
}

/// From one membership to the next, and who went that way together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Passage {
    from: Ring,
    to: Ring,
    survivors: Vec<u32>,
}

/// What was seen on a passage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Thing {
    Message(MessageId),
    Joined { node: u32, pid: u32 },
    Left { node: u32 },
}

struct Leg<'a> {
    record: &'a Record,
    /// Whether the talker came in the midst of it.
    is_first: bool,
    /// Nodes that were not with the talker's before this membership. A message of theirs that
    /// began to be sent before cannot be put together here, nor can what shares its packets:
    /// of each of them the talker may lack the first ones (`totem.md` §8.4).
    fresh: Vec<u32>,
    things: Vec<Thing>,
}

fn legs(record: &Record) -> Vec<(Passage, Leg<'_>)> {
    let mut found = Vec::new();
    let mut from: Option<(Ring, Vec<u32>)> = None;
    let mut things = Vec::new();
    let mut lost = Vec::new();
    // In this leg, and in the next one.
    let (mut fresh, mut coming) = (Vec::new(), Vec::new());
    let mut is_first = true;
    // Memberships are told to every client, also before it is in a group.
    let is_own =
        |event: &Event| matches!(event, Event::Joined { node, .. } if *node == record.node);
    let start = record.events.iter().position(is_own).unwrap_or(record.events.len());
    for event in &record.events[start..] {
        match event {
            Event::Present { .. } | Event::Garbled { .. } => {}
            Event::Message(id) if is_in_parts(id.count) => {}
            Event::Message(id) => things.push(Thing::Message(*id)),
            Event::Joined { node, pid, why: Why::Itself } => {
                things.push(Thing::Joined { node: *node, pid: *pid });
            }
            Event::Left { node, why: Why::Itself, .. } => things.push(Thing::Left { node: *node }),
            Event::Joined { node, .. } => coming.push(*node),
            Event::Left { node, .. } => lost.push(*node),
            Event::Ring { ring, members } => {
                let things = std::mem::take(&mut things);
                let lost = std::mem::take(&mut lost);
                // Who came, and who has not been heard since it came.
                let has_spoken = |node: &u32| {
                    things
                        .iter()
                        .any(|thing| matches!(thing, Thing::Message(id) if id.node == *node))
                };
                coming.extend(fresh.iter().filter(|node| !has_spoken(node)));
                let was_fresh = std::mem::replace(&mut fresh, std::mem::take(&mut coming));
                let is_told_again = from.as_ref().is_some_and(|(from, _)| from == ring);
                if from.is_none() || is_told_again {
                    fresh.clone_from(members);
                }
                if is_told_again {
                    // Told at its coming what the running synchronisation is about, the talker
                    // is told again when that ends: there it begins.
                    is_first = false;
                    continue;
                }
                if let Some((from, mut survivors)) = from.replace((*ring, members.clone())) {
                    if record.is_debian && skips(from, *ring) {
                        is_first = false;
                        continue;
                    }
                    survivors.retain(|node| !lost.contains(node) && members.contains(node));
                    let passage = Passage { from, to: *ring, survivors };
                    found.push((passage, Leg { record, is_first, fresh: was_fresh, things }));
                    is_first = false;
                }
            }
        }
    }
    found
}

fn synchrony(records: &[Record]) -> Vec<String> {
    let mut together: BTreeMap<Passage, Vec<Leg<'_>>> = BTreeMap::new();
    for (passage, leg) in records.iter().flat_map(legs) {
        together.entry(passage).or_default().push(leg);
    }
    let mut found = Vec::new();
    for (passage, legs) in &together {
        for (at, one) in legs.iter().enumerate() {
            for other in &legs[..at] {
                let (mine, theirs) = (since_join(one, other), since_join(other, one));
                let (mine, theirs) = (whole(mine, theirs, other), whole(theirs, mine, one));
                if mine == theirs {
                    continue;
                }
                let place = mine.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
                found.push(format!(
                    "{} and {} from {:?} to {:?}: {} and {} things, the first that differs is \
                     number {place}: {:?}, {:?}",
                    one.record,
                    other.record,
                    passage.from,
                    passage.to,
                    mine.len(),
                    theirs.len(),
                    mine.get(place),
                    theirs.get(place)
                ));
            }
        }
    }
    found
}

/// What `one` saw since `other` came: all, unless `other` came in the midst.
fn since_join<'a>(one: &'a Leg<'_>, other: &Leg<'_>) -> &'a [Thing] {
    let (node, pid) = (other.record.node, other.record.pid);
    let joined = one.things.iter().rposition(|thing| *thing == Thing::Joined { node, pid });
    match joined {
        // The newcomer counts from the membership it is told at once, just behind its own coming.
        Some(at) if other.is_first => &one.things[at + 1..],
        _ => &one.things,
    }
}

/// Without the first messages of who was fresh to `other`, up to the first that it has.
fn whole(things: &[Thing], theirs: &[Thing], other: &Leg<'_>) -> Vec<Thing> {
    let message = |thing: &Thing| match thing {
        Thing::Message(id) => Some(*id),
        Thing::Joined { .. } | Thing::Left { .. } => None,
    };
    let is_early = |thing: &Thing| {
        let Some(id) = message(thing).filter(|id| other.fresh.contains(&id.node)) else {
            return false;
        };
        let first = theirs.iter().filter_map(message).find(|there| there.node == id.node);
        first.is_none_or(|first| first.life == id.life && id.count < first.count)
    };
    things.iter().filter(|thing| !is_early(thing)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events in the record's own words, all in one line.
    fn record(node: u32, life: u32, line: &str) -> Record {
        let text = format!("me {node} {life} {}\n{}\n", node * 10, line.replace(", ", "\n"));
        Record::parse(&text).unwrap()
    }

    /// Two talkers that see the same; then the second one's record is changed.
    fn two(change: impl Fn(&str) -> String) -> Vec<String> {
        let line = "p 1 10, j 2 20 1, r 1 4 1 2, m 1 0 0, m 2 0 0, m 1 0 1, l 1 10 0, r 2 8 2, m 2 0 1, \
                    j 1 10 0, r 1 12 1 2, m 1 0 5, m 2 0 2, l 3 30 0, r 1 16 1 2, end 3";
        let first = "j 1 10 1, r 1 4 1 2, j 2 20 1, m 1 0 0, m 2 0 0, m 1 0 1, l 2 20 0, r 1 8 1, \
                     m 1 0 2, m 1 0 3, m 1 0 4, j 2 20 0, r 1 12 1 2, m 1 0 5, m 2 0 2, l 3 30 0, \
                     r 1 16 1 2, end 6";
        check(&[record(1, 0, first), record(2, 0, &change(line))])
    }

    #[test]
    fn what_is_right_is_right() {
        assert_eq!(two(str::to_owned), Vec::<String>::new());
        assert_eq!(check(&[]), Vec::<String>::new());
    }

    #[test]
    fn every_broken_promise_is_named() {
        let cases = [
            ("m 2 0 1, ", "", "Message"),                           // a gap
            ("m 2 0 0, m 1 0 1", "m 1 0 1, m 2 0 0", "same place"), // another order
            ("m 2 0 1, ", "m 2 0 1, m 2 0 1, ", "after"),           // twice
            ("m 2 0 1, ", "m 2 0 1, m 1 0 2, ", "from no member"),
            ("m 1 0 5", "m 1 0 1", "after 1"), // again, after it came back
            ("m 1 0 0, ", "bad 1, ", "not as it was sent"),
            ("end 3", "end 4", "sent 4, delivered 3"),
            ("r 1 12 1 2", "r 1 12 1 2 3", "says [1, 2]"),
            ("m 2 0 2, l 3", "l 3", "from Ring"), // gone together, one message short
        ];
        for (from, to, what) in cases {
            let found = two(|line| {
                assert!(line.contains(from), "{from}");
                line.replacen(from, to, 1)
            });
            assert!(found.iter().any(|text| text.contains(what)), "{from} -> {to}: {found:?}");
        }
    }

    /// Debian's engine forgets who was away; ours does not.
    #[test]
    fn what_debian_forgets_is_let_pass() {
        let line = "p 1 10, j 2 20 1, r 1 4 1 2, m 1 0 0, m 1 0 4, l 3 30 0, r 1 16 1 2, m 1 0 7";
        let ours = record(2, 0, line);
        assert_eq!(check(std::slice::from_ref(&ours)).len(), 2);
        assert_eq!(check(&[Record { is_debian: true, ..ours }]).len(), 0);
        let steady = record(2, 0, &line.replace("r 1 16", "r 1 8"));
        assert_eq!(check(&[Record { is_debian: true, ..steady }]).len(), 2);
    }

    #[test]
    fn a_talker_that_joins_is_heard_from_its_first_message() {
        let one = "j 1 10 1, r 1 4 1 2, j 2 20 1, m 2 7 1, end 0";
        let found = check(&[record(1, 0, one)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("is its first"), "{found:?}");
    }

    #[test]
    fn who_came_in_the_midst_is_compared_from_there() {
        let old = "j 1 10 1, r 1 4 1 2, m 1 0 0, j 2 20 1, m 1 0 1, m 1 0 2, r 1 8 1 2";
        let new = "r 1 4 1 2, p 1 10, j 2 20 1, r 1 4 1 2, m 1 0 1, m 1 0 2, r 1 8 1 2";
        assert_eq!(check(&[record(1, 0, old), record(2, 0, new)]), Vec::<String>::new());
        // The other way round: it came while the ring was not yet synchronised.
        let early = "p 1 10, j 2 20 1, r 1 4 1 2, m 1 0 0, r 1 4 1 2, m 1 0 1, m 1 0 2, r 1 8 1 2";
        let before = "j 1 10 1, j 2 20 1, m 1 0 0, r 1 4 1 2, m 1 0 1, m 1 0 2, r 1 8 1 2";
        assert_eq!(check(&[record(1, 0, before), record(2, 0, early)]), Vec::<String>::new());
        let short = new.replace("m 1 0 2, ", "");
        let found = check(&[record(1, 0, old), record(2, 0, &short)]);
        assert!(found.iter().any(|text| text.contains("1 and 2 things")), "{found:?}");
    }

    #[test]
    fn the_first_messages_of_the_others_may_be_missing_after_a_merge() {
        let one = "j 1 10 1, r 1 4 1, j 2 20 0, r 1 8 1 2, m 1 0 0, m 1 0 1, m 2 0 3, m 1 0 2, r 1 12 1 2";
        let two = "j 2 20 1, r 2 4 2, m 2 0 0, m 2 0 1, m 2 0 2, j 1 10 0, r 1 8 1 2, m 1 0 1, m 2 0 3, m 1 0 2, r 1 12 1 2";
        let of = |two: &str| check(&[record(1, 0, one), record(2, 0, two)]);
        assert_eq!(of(two), Vec::<String>::new());
        // Only the first ones, and only the others'.
        assert!(!of(&two.replace("m 1 0 2, ", "")).is_empty());
        assert!(!of(&two.replace("m 2 0 3, ", "")).is_empty());
        // Later nothing may be missing.
        let late = |line: &str| line.replace("m 1 0 1", "r 1 10 1 2, m 1 0 1");
        let one = record(1, 0, &late(one).replace("m 1 0 0, ", ""));
        let two = record(2, 0, &late(two).replace("m 1 0 1, ", ""));
        assert!(!check(&[one, two]).is_empty());
    }

    #[test]
    fn who_parted_in_between_is_not_compared() {
        // Node 2 lost node 1 on the way: what it delivered then is its own affair.
        let one = "j 1 10 1, r 1 4 1 2, j 2 20 1, m 2 0 0, r 1 8 1 2";
        let two = "j 2 20 1, r 1 4 1 2, m 2 0 0, m 2 0 1, l 1 10 0, j 1 10 0, r 1 8 1 2";
        assert_eq!(check(&[record(1, 0, one), record(2, 0, two)]), Vec::<String>::new());
    }
}
