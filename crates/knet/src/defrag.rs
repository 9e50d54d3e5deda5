//! Putting fragments together again. A peer has 32 messages in the making at most, none larger than
//! a message may be; the oldest gives way to a new one.
//!
//! Source: `spec/knet.md` §4.4.

use crate::dedupe::{Ring, Window};
use crate::wire::{DataHeader, MESSAGE_MAX};
use base::Time;

/// Messages in the making, of one peer.
const BUFFERS: usize = 32;
/// A compressed message may be a little larger than a message.
const SIZE_MAX: usize = MESSAGE_MAX + 1024;

/// One message in the making.
#[derive(Debug)]
struct Buffer {
    seq: u16,
    touched: Time,
    fragments: u8,
    /// Length of all fragments but the last, once one of them came.
    size: Option<usize>,
    /// The last fragment, kept apart until the others' length is known.
    last: Option<Vec<u8>>,
    /// Bit n stands for fragment n.
    got: [u64; 4],
    count: u8,
    bytes: Vec<u8>,
}

/// The messages in the making of one peer.
#[derive(Debug, Default)]
pub struct Defrag {
    buffers: Vec<Buffer>,
}

impl Defrag {
    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.buffers.clear();
    }

    /// Forgets those that the window has left behind.
    pub fn expire(&mut self, window: &Window) {
        self.buffers.retain(|buffer| window.is_recent(buffer.seq, BUFFERS as u16 + 1));
    }

    /// Number of messages in the making.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// Takes a fragment; gives the message when it is the last one missing.
    pub fn take(
        &mut self,
        now: Time,
        window: &mut Window,
        header: &DataHeader,
        data: &[u8],
    ) -> Option<Vec<u8>> {
        let at = match self.buffers.iter().position(|buffer| buffer.seq == header.seq) {
            Some(at) => at,
            None => {
                if !window.is_new(header.seq, Ring::Begun) {
                    // Its buffer had to give way: it can no longer become whole.
                    return None;
                }
                window.mark(header.seq, Ring::Begun);
                self.begin(now, header)
            }
        };
        let done = self.buffers[at].add(now, header, data);
        match done {
            Progress::Incomplete => None,
            Progress::Whole => Some(self.buffers.swap_remove(at).bytes),
            Progress::Contradiction => {
                self.buffers.swap_remove(at);
                None
            }
        }
    }

    fn begin(&mut self, now: Time, header: &DataHeader) -> usize {
        if self.buffers.len() >= BUFFERS {
            let oldest = self.buffers.iter().enumerate().min_by_key(|(_, buffer)| buffer.touched);
            if let Some(oldest) = oldest.map(|(at, _)| at) {
                self.buffers.swap_remove(oldest);
            }
        }
        self.buffers.push(Buffer {
            seq: header.seq,
            touched: now,
            fragments: header.fragments,
            size: None,
            last: None,
            got: [0; 4],
            count: 0,
            bytes: Vec::new(),
        });
        self.buffers.len() - 1
    }
}

enum Progress {
    Incomplete,
    Whole,
    Contradiction,
}

impl Buffer {
    fn add(&mut self, now: Time, header: &DataHeader, data: &[u8]) -> Progress {
        if header.fragments != self.fragments {
            return Progress::Contradiction;
        }
        let (word, bit) = (usize::from(header.nth) / 64, 1 << (header.nth % 64));
        if self.got[word] & bit != 0 {
            return Progress::Incomplete;
        }
        let before_last = usize::from(self.fragments) - 1;
        if header.nth == self.fragments {
            self.last = Some(data.to_vec());
        } else {
            let size = *self.size.get_or_insert(data.len());
            if size != data.len() || size == 0 || size * before_last > SIZE_MAX {
                return Progress::Contradiction;
            }
            let start = (usize::from(header.nth) - 1) * size;
            if self.bytes.len() < start + size {
                self.bytes.resize(start + size, 0);
            }
            self.bytes[start..start + size].copy_from_slice(data);
        }
        self.got[word] |= bit;
        self.count += 1;
        self.touched = now;
        if self.count < self.fragments {
            return Progress::Incomplete;
        }
        // The last may be longer than the others only in damaged messages; bounded it is anyway.
        match self.last.take() {
            Some(last) if self.bytes.len() + last.len() <= SIZE_MAX => {
                self.bytes.extend_from_slice(&last);
                Progress::Whole
            }
            _ => Progress::Contradiction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(seq: u16, fragments: u8, nth: u8) -> DataHeader {
        DataHeader { seq, compress: 0, broadcast: true, fragments, nth, channel: 0 }
    }

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn any_order_and_doubles_make_the_same_message() {
        let message: Vec<u8> = (0..250u8).collect();
        let parts: Vec<&[u8]> = message.chunks(100).collect();
        for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 1, 2]] {
            let (mut defrag, mut window) = (Defrag::default(), Window::default());
            let mut done = None;
            for nth in order {
                assert_eq!(done, None);
                let data = parts[usize::from(nth) - 1];
                done = defrag.take(at(1), &mut window, &header(7, 3, nth), data);
                if done.is_none() {
                    let again = defrag.take(at(1), &mut window, &header(7, 3, nth), data);
                    assert_eq!(again, None);
                }
            }
            assert_eq!(done.as_deref(), Some(message.as_slice()));
            assert!(defrag.is_empty());
        }
    }

    #[test]
    fn memory_is_bounded_and_what_gave_way_does_not_come_back() {
        let (mut defrag, mut window) = (Defrag::default(), Window::default());
        for seq in 1..=100u16 {
            let none = defrag.take(at(seq.into()), &mut window, &header(seq, 2, 1), b"ab");
            assert_eq!(none, None);
        }
        assert_eq!(defrag.len(), BUFFERS);
        assert_eq!(defrag.take(at(200), &mut window, &header(1, 2, 2), b"c"), None);
        assert_eq!(defrag.take(at(200), &mut window, &header(1, 2, 1), b"ab"), None);
        let last = defrag.take(at(200), &mut window, &header(100, 2, 2), b"c");
        assert_eq!(last.as_deref(), Some(b"abc".as_slice()));
    }

    #[test]
    fn contradicting_fragments_end_a_message() {
        for (first, second) in [
            ((3, 1, 100), (3, 2, 99)),
            ((3, 1, 100), (4, 2, 100)),
            ((255, 1, 60_000), (255, 2, 60_000)),
            ((2, 1, 0), (2, 2, 10)),
        ] {
            let (mut defrag, mut window) = (Defrag::default(), Window::default());
            for (fragments, nth, len) in [first, second] {
                let data = vec![0; len];
                let part = header(9, fragments, nth);
                assert_eq!(defrag.take(at(1), &mut window, &part, &data), None);
            }
            assert!(defrag.is_empty(), "{first:?} {second:?}");
        }
    }
}
