//! The send queue: messages wait here as bytes and are cut into frames only when the token is
//! there, so frames are as full as they can be. Also admission and fill levels.
//!
//! Source: `spec/totem.md` §8.3, §8.5.

use super::FRAME_HEADER;
use std::collections::VecDeque;

/// A rest of a frame smaller than this is left empty rather than used for a sliver of a message.
const SMALLEST_FRAGMENT: usize = 16;

/// Messages of at most this many frames are kept together where possible.
const SHORT_FRAMES: usize = 4;

/// The answer to "may I send this?".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Yes; it needs this many queue slots.
    Room(usize),
    /// Not now.
    Full,
    /// Never: more than the ring can carry.
    TooBig,
}

/// How full the queue is, with upstream's hysteresis between the bands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum QueueLevel {
    /// Below 30 %.
    #[default]
    Low,
    /// 41 to 49 %.
    Good,
    /// 61 to 69 %.
    High,
    /// 75 % and above.
    Critical,
}

impl QueueLevel {
    /// The level after the fill became `percent`.
    pub fn next(self, percent: i64) -> QueueLevel {
        match percent {
            75.. => QueueLevel::Critical,
            ..30 => QueueLevel::Low,
            41..=49 => QueueLevel::Good,
            61..=69 => QueueLevel::High,
            _ => self,
        }
    }
}

/// Messages in order, and how much of the first was already sent.
#[derive(Debug)]
pub struct SendQueue {
    max_frame: usize,
    data: VecDeque<u8>,
    lengths: VecDeque<usize>,
    /// Bytes of the first message that earlier frames carried. They stay in `data` until the
    /// message is out, so that it can be sent anew.
    head_sent: usize,
    /// The number the next frame continues; 0 when it begins with a fresh message.
    continuation: u8,
}

impl SendQueue {
    /// Empty; frames will be at most `max_frame` bytes.
    pub fn new(max_frame: usize) -> SendQueue {
        SendQueue {
            max_frame: max_frame.max(FRAME_HEADER + 2 + SMALLEST_FRAGMENT),
            data: VecDeque::new(),
            lengths: VecDeque::new(),
            head_sent: 0,
            continuation: 0,
        }
    }

    /// Appends a message given in parts.
    pub fn push(&mut self, parts: &[&[u8]]) {
        let mut len = 0;
        for part in parts {
            self.data.extend(*part);
            len += part.len();
        }
        self.lengths.push_back(len);
    }

    /// Moves everything of `other` behind what is here. A message that `other` has half sent is
    /// sent anew as a whole.
    pub fn append(&mut self, other: &mut SendQueue) {
        self.data.append(&mut other.data);
        self.lengths.append(&mut other.lengths);
        other.head_sent = 0;
        other.continuation = 0;
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Messages waiting.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// How many frames the waiting messages will take, about.
    pub fn frames(&self) -> usize {
        let bytes = self.data.len() - self.head_sent + 2 * self.lengths.len();
        bytes.div_ceil(self.max_frame - FRAME_HEADER)
    }

    /// The next frame, behind `headroom` zero bytes (for the headers to come), in `buffer`, which
    /// must be empty; `None` when nothing waits. `frames_left` is how many frames, this one included, may be sent before others
    /// have their turn: a short message is not begun if it would not end within them, because a
    /// change of membership in its middle would keep it from those who join.
    pub fn next_frame(
        &mut self,
        headroom: usize,
        frames_left: u32,
        buffer: impl FnOnce() -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        if self.lengths.is_empty() {
            return None;
        }
        let mut lengths: Vec<u16> = Vec::new();
        let mut bytes = 0;
        let mut fragmented = 0;
        let mut finished = 0;
        let mut offset = self.head_sent;
        for &len in &self.lengths {
            let left = len - offset;
            let used = FRAME_HEADER + 2 * (lengths.len() + 1) + bytes;
            let space = self.max_frame.saturating_sub(used).min(usize::from(u16::MAX));
            if left > space {
                let first = lengths.is_empty();
                let per_frame = self.max_frame - FRAME_HEADER - 2;
                let short = left <= SHORT_FRAMES * per_frame;
                let further = (left - space).div_ceil(per_frame) + 1;
                let in_time = further <= frames_left as usize;
                if !first && (space < SMALLEST_FRAGMENT || (short && !in_time)) {
                    break;
                }
                // A message's first cut is number 1: receivers that threw something away resume
                // there. Later cuts count on, skipping 0.
                fragmented = match (first, self.continuation) {
                    (false, _) | (true, 0 | u8::MAX) => 1,
                    (true, previous) => previous + 1,
                };
                lengths.push(space as u16);
                bytes += space;
                break;
            }
            lengths.push(left as u16);
            bytes += left;
            finished += 1;
            offset = 0;
        }
        let size = headroom + FRAME_HEADER + 2 * lengths.len() + bytes;
        let mut out = buffer();
        out.reserve_exact(size);
        out.resize(headroom, 0);
        out.extend_from_slice(&[0, 0, 0, 0, fragmented, self.continuation]);
        out.extend_from_slice(&(lengths.len() as u16).to_ne_bytes());
        for len in &lengths {
            out.extend_from_slice(&len.to_ne_bytes());
        }
        copy_range(&self.data, self.head_sent, bytes, &mut out);
        let done: usize = self.lengths.drain(..finished).sum();
        self.head_sent = self.head_sent + bytes - done;
        self.data.drain(..done);
        self.continuation = fragmented;
        Some(out)
    }
}

fn copy_range(data: &VecDeque<u8>, from: usize, len: usize, out: &mut Vec<u8>) {
    let (front, back) = data.as_slices();
    let split = front.len();
    let cut = |slice: &[u8], start: usize, end: usize, out: &mut Vec<u8>| {
        out.extend_from_slice(&slice[start.min(slice.len())..end.min(slice.len())]);
    };
    cut(front, from, from + len, out);
    cut(back, from.saturating_sub(split), (from + len).saturating_sub(split), out);
}

#[cfg(test)]
mod tests {
    use super::super::{Assembler, Frame};
    use super::*;
    use crate::Bytes;
    use crate::wire::Order;

    fn frames(queue: &mut SendQueue) -> Vec<Vec<u8>> {
        let all: Vec<_> = std::iter::from_fn(|| queue.next_frame(0, 9, Vec::new)).collect();
        assert!(all.iter().all(|frame| frame.len() <= queue.max_frame));
        all
    }

    #[test]
    fn whatever_goes_in_comes_out() {
        for max in [64, 100, 1410, 65446] {
            let mut queue = SendQueue::new(max);
            let mut sent = Vec::new();
            for n in 0..400usize {
                let len = (n * n * 7919) % if n % 13 == 0 { 90_000 } else { 150 };
                let body: Vec<u8> = (0..len).map(|i| (i * 31 + n) as u8).collect();
                let (a, b) = body.split_at(len / 3);
                queue.push(&[a, b]);
                sent.push(body);
            }
            let estimate = queue.frames();
            let frames = frames(&mut queue);
            assert!(queue.is_empty() && queue.data.is_empty());
            assert!(estimate <= frames.len() + 1 && frames.len() < estimate * 3 / 2 + 2);
            let mut assembler = Assembler::default();
            let mut got = Vec::new();
            for frame in frames {
                assembler.feed(&Bytes::from(frame), Order::NATIVE, &mut got).unwrap();
            }
            assert_eq!(got.len(), sent.len());
            assert!(got.iter().zip(&sent).all(|(a, b)| **a == **b));
        }
    }

    #[test]
    fn cuts_are_numbered_from_one_for_each_message() {
        let mut queue = SendQueue::new(64);
        queue.push(&[&[1; 120]]);
        queue.push(&[&[2; 60]]);
        let numbers: Vec<_> = frames(&mut queue)
            .iter()
            .map(|f| Frame::parse(f, Order::NATIVE).unwrap())
            .map(|f| (f.continuation, f.fragmented, f.pieces.len()))
            .collect();
        assert_eq!(numbers, [(0, 1, 1), (1, 2, 1), (2, 1, 2), (1, 0, 1)]);
    }

    #[test]
    fn a_short_message_is_not_begun_with_the_last_frame() {
        let mut queue = SendQueue::new(64);
        queue.push(&[&[1; 20]]);
        queue.push(&[&[2; 40]]);
        let last = queue.next_frame(0, 1, Vec::new).unwrap();
        assert_eq!((last.len(), last[4]), (8 + 2 + 20, 0));
        let mut queue = SendQueue::new(64);
        queue.push(&[&[1; 20]]);
        queue.push(&[&[2; 40]]);
        let cut = queue.next_frame(0, 2, Vec::new).unwrap();
        assert_eq!((cut.len(), cut[4]), (64, 1), "its end fits the second frame");
    }

    #[test]
    fn a_cut_never_numbers_zero() {
        let mut queue = SendQueue::new(40);
        queue.push(&[&[7; 40 * 300]]);
        let all = frames(&mut queue);
        let cuts: Vec<u8> = all.iter().map(|f| f[4]).collect();
        assert_eq!(cuts.iter().filter(|c| **c == 0).count(), 1);
        assert_eq!(cuts.last(), Some(&0));
        assert!(all.windows(2).all(|pair| pair[0][4] == pair[1][5]));
    }

    #[test]
    fn moving_restarts_a_half_sent_message() {
        let mut a = SendQueue::new(64);
        let mut b = SendQueue::new(64);
        b.push(&[&[9; 100]]);
        assert!(b.next_frame(45, 9, Vec::new).is_some_and(|frame| frame.len() == 45 + 64));
        a.append(&mut b);
        assert!(b.is_empty());
        let total: usize = frames(&mut a).iter().map(|f| f.len() - 10).sum();
        assert_eq!(total, 100);
    }

    #[test]
    fn levels_have_hysteresis() {
        let mut level = QueueLevel::Low;
        for (percent, expected) in [
            (10, QueueLevel::Low),
            (35, QueueLevel::Low),
            (45, QueueLevel::Good),
            (55, QueueLevel::Good),
            (65, QueueLevel::High),
            (72, QueueLevel::High),
            (80, QueueLevel::Critical),
            (72, QueueLevel::Critical),
            (0, QueueLevel::Low),
        ] {
            level = level.next(percent);
            assert_eq!(level, expected, "{percent}");
        }
    }
}
