//! What one talker saw: the lines that `lab-talk` writes, and the events they stand for.
//!
//! A talker whose engine or host died leaves a record that ends anywhere; a last line without its
//! end is no line.

use std::fmt;

/// Names a message: its sender, the sender's life, a number that counts from 0 in each life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct MessageId {
    pub node: u32,
    pub life: u32,
    pub count: u32,
}

/// A membership's identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Ring {
    pub node: u32,
    pub seq: u64,
}

/// Why somebody joined or left the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// By itself: the change has its place among the messages.
    Itself,
    /// With its node, when the ring changed.
    Node,
}

/// One thing that a talker saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// Who was in the group when this talker came.
    Present { node: u32, pid: u32 },
    /// Somebody joined.
    Joined { node: u32, pid: u32, why: Why },
    /// Somebody left.
    Left { node: u32, pid: u32, why: Why },
    /// A message.
    Message(MessageId),
    /// A message that is not what its sender sent.
    Garbled { node: u32 },
    /// A membership, after all that belongs to the one before.
    Ring { ring: Ring, members: Vec<u32> },
}

/// One life of one talker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub node: u32,
    pub life: u32,
    pub pid: u32,
    pub events: Vec<Event>,
    /// Whether its engine was Debian's: see [`super::check`] on what that one forgets.
    pub is_debian: bool,
    /// How many messages it had sent when it ended in order; `None` when it was cut off.
    pub ended: Option<u32>,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} life {}", self.node, self.life)
    }
}

impl Record {
    /// Reads a record.
    pub(crate) fn parse(text: &str) -> Result<Record, String> {
        let mut record = Record::default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (number, line) in whole.lines().enumerate() {
            record.line(line).ok_or_else(|| format!("line {}: `{line}`", number + 1))?;
        }
        Ok(record)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let mut id = || number().and_then(|n| u32::try_from(n).ok());
        let event = match kind {
            "me" => {
                (self.node, self.life, self.pid) = (id()?, id()?, id()?);
                return Some(());
            }
            "end" => {
                self.ended = Some(id()?);
                return Some(());
            }
            "p" => Event::Present { node: id()?, pid: id()? },
            "j" => Event::Joined { node: id()?, pid: id()?, why: why(id()?) },
            "l" => Event::Left { node: id()?, pid: id()?, why: why(id()?) },
            "m" => Event::Message(MessageId { node: id()?, life: id()?, count: id()? }),
            "bad" => Event::Garbled { node: id()? },
            "r" => {
                let ring = Ring { node: id()?, seq: number()? };
                let members = words.map(str::parse).collect::<Result<_, _>>().ok()?;
                Event::Ring { ring, members }
            }
            _ => return None,
        };
        self.events.push(event);
        Some(())
    }

    /// The messages, in their order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = MessageId> {
        self.events.iter().filter_map(|event| match event {
            Event::Message(id) => Some(*id),
            _ => None,
        })
    }
}

/// 1: by itself, 0: with its node.
fn why(word: u32) -> Why {
    if word == 0 { Why::Node } else { Why::Itself }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events() {
        let text =
            "me 1 2000 77\np 2 9\nj 1 77 1\nr 1 8 1 2\nm 2 0 5\nbad 2\nl 2 9 0\nend 3\nm 1 20";
        let record = Record::parse(text).unwrap();
        assert_eq!((record.node, record.life, record.pid, record.ended), (1, 2000, 77, Some(3)));
        let expected = [
            Event::Present { node: 2, pid: 9 },
            Event::Joined { node: 1, pid: 77, why: Why::Itself },
            Event::Ring { ring: Ring { node: 1, seq: 8 }, members: vec![1, 2] },
            Event::Message(MessageId { node: 2, life: 0, count: 5 }),
            Event::Garbled { node: 2 },
            Event::Left { node: 2, pid: 9, why: Why::Node },
        ];
        assert_eq!(record.events, expected);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in ["m 1 2\n", "x\n", "m 1 2 99999999999\n", "r 1\n", "r 1 2 x\n", "\n\n"] {
            assert!(Record::parse(text).is_err(), "{text:?}");
        }
        assert!(Record::parse("").is_ok_and(|record| record.events.is_empty()));
    }
}
