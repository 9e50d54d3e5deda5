//! The store of a ring's messages, by sequence number: what was received waits here until it is
//! contiguous, and stays until every member is known to have it.
//!
//! Source: `spec/totem.md` §1 (size), §6.3 (miss counters).

use crate::Bytes;
use std::collections::VecDeque;

/// Most messages kept beyond the last released one.
pub const SORT_QUEUE_SIZE: u32 = 16384;

#[derive(Clone, Debug, Default)]
struct Slot {
    packet: Option<Bytes>,
    misses: u32,
}

/// Messages `released()+1 ..= released()+SORT_QUEUE_SIZE`, with holes.
#[derive(Clone, Debug, Default)]
pub struct SortQueue {
    released: u32,
    slots: VecDeque<Slot>,
}

impl SortQueue {
    /// Empty; the first message will be `released + 1`.
    pub fn new(released: u32) -> SortQueue {
        SortQueue { released, slots: VecDeque::new() }
    }

    /// Everything up to this number was let go.
    pub fn released(&self) -> u32 {
        self.released
    }

    /// Index of `seq`; `None` when it was released or lies beyond the queue.
    fn index(&self, seq: u32) -> Option<usize> {
        let index = seq.wrapping_sub(self.released).wrapping_sub(1);
        (index < SORT_QUEUE_SIZE).then_some(index as usize)
    }

    /// Whether `seq` could be stored.
    pub fn in_range(&self, seq: u32) -> bool {
        self.index(seq).is_some()
    }

    /// Stores a message; `false` when it is out of range or there already.
    pub fn insert(&mut self, seq: u32, packet: Bytes) -> bool {
        let Some(index) = self.index(seq) else { return false };
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.slots[index];
        if slot.packet.is_some() {
            return false;
        }
        slot.packet = Some(packet);
        true
    }

    /// The message, if held.
    pub fn get(&self, seq: u32) -> Option<&Bytes> {
        self.slots.get(self.index(seq)?)?.packet.as_ref()
    }

    /// Whether the message is held.
    pub fn contains(&self, seq: u32) -> bool {
        self.get(seq).is_some()
    }

    /// Counts one more rotation in which `seq` was missing, and tells how many that makes.
    pub fn miss(&mut self, seq: u32) -> u32 {
        let Some(index) = self.index(seq) else { return 0 };
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.slots[index];
        slot.misses = slot.misses.saturating_add(1);
        slot.misses
    }

    /// Lets go of everything up to `seq`; each message is handed to `dispose`.
    pub fn release(&mut self, seq: u32, mut dispose: impl FnMut(Bytes)) {
        let Some(last) = self.index(seq) else { return };
        let count = (last + 1).min(self.slots.len());
        self.slots.drain(..count).filter_map(|slot| slot.packet).for_each(&mut dispose);
        self.released = seq;
    }

    /// Held messages beyond `after`, ascending, up to and with `last`.
    pub fn range(&self, after: u32, last: u32) -> impl Iterator<Item = (u32, &Bytes)> {
        let distance = last.wrapping_sub(after).min(SORT_QUEUE_SIZE);
        (1..=distance).filter_map(move |step| {
            let seq = after.wrapping_add(step);
            self.get(seq).map(|packet| (seq, packet))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_releases_and_refuses() {
        for base in [0u32, u32::MAX - 2] {
            let at = |n: u32| base.wrapping_add(n);
            let mut queue = SortQueue::new(base);
            assert!(queue.insert(at(3), Bytes::copy_of(b"3")));
            assert!(!queue.insert(at(3), Bytes::copy_of(b"again")));
            assert!(!queue.insert(base, Bytes::copy_of(b"old")));
            assert!(!queue.insert(at(SORT_QUEUE_SIZE + 1), Bytes::copy_of(b"far")));
            assert!(queue.insert(at(1), Bytes::copy_of(b"1")));
            assert_eq!((queue.miss(at(2)), queue.miss(at(2))), (1, 2));
            let held: Vec<_> = queue.range(base, at(9)).map(|(seq, _)| seq).collect();
            assert_eq!(held, [at(1), at(3)]);
            let mut gone = 0;
            queue.release(at(2), |_| gone += 1);
            assert_eq!(gone, 1);
            assert_eq!(queue.released(), at(2));
            assert!(!queue.contains(at(1)) && queue.contains(at(3)));
            queue.release(at(1), drop);
            assert_eq!(queue.released(), at(2), "never goes back");
        }
    }
}
