//! Joining the pieces of one sender's messages.
//!
//! Where pieces are missing (a sender was half through a message when this node joined), the
//! first whole message after the gap is delivered. Upstream's receiver drops a little more: it
//! skips all of the first frame it could use again.
//!
//! Source: `spec/totem.md` §8.4.

use super::MAX_MESSAGE;
use super::frame::{Frame, FrameError};
use crate::Bytes;
use crate::wire::Order;

/// A complete message.
pub type Assembled = Bytes;

/// The state for one sender.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    /// Earlier pieces of the message under way.
    partial: Vec<u8>,
    /// The cut the next frame must continue.
    last_cut: u8,
}

impl Assembler {
    /// Takes in a frame and appends the messages it completes to `out`. `Ok(false)` says that a
    /// piece without its beginning was thrown away.
    pub fn feed(
        &mut self,
        frame: &Bytes,
        order: Order,
        out: &mut Vec<Assembled>,
    ) -> Result<bool, FrameError> {
        let parsed = Frame::parse(frame, order)?;
        let known = parsed.continuation == self.last_cut;
        if !known {
            self.partial.clear();
        }
        self.last_cut = parsed.fragmented;
        let last = parsed.pieces.len().wrapping_sub(1);
        let mut whole = known || parsed.continuation == 0;
        for (index, piece) in parsed.pieces.iter().enumerate() {
            let cut = index == last && parsed.fragmented != 0;
            if index == 0 && parsed.continuation != 0 {
                if whole {
                    self.partial.extend_from_slice(&frame[piece.clone()]);
                    if self.partial.len() > MAX_MESSAGE {
                        self.partial = Vec::new();
                        whole = false;
                    } else if !cut {
                        out.push(Bytes::from(std::mem::take(&mut self.partial)));
                    }
                }
                if cut && !whole {
                    // The end of this message will find no beginning.
                    self.last_cut = 0;
                }
            } else if cut {
                self.partial.extend_from_slice(&frame[piece.clone()]);
            } else {
                out.push(frame.slice(piece.clone()));
            }
        }
        Ok(known || parsed.continuation == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(continuation: u8, fragmented: u8, pieces: &[&[u8]]) -> Bytes {
        let mut data = vec![0, 0, 0, 0, fragmented, continuation];
        data.extend_from_slice(&(pieces.len() as u16).to_ne_bytes());
        for piece in pieces {
            data.extend_from_slice(&(piece.len() as u16).to_ne_bytes());
        }
        data.extend(pieces.concat());
        Bytes::from(data)
    }

    fn run(frames: &[Bytes]) -> Vec<Vec<u8>> {
        let mut assembler = Assembler::default();
        let mut out = Vec::new();
        for frame in frames {
            assembler.feed(frame, Order::NATIVE, &mut out).unwrap();
        }
        out.iter().map(|m| m.to_vec()).collect()
    }

    #[test]
    fn pieces_join() {
        let got = run(&[
            frame(0, 1, &[b"one", b"tw"]),
            frame(1, 1, &[b"o", b"thr"]),
            frame(1, 0, &[b"ee"]),
        ]);
        assert_eq!(got, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn after_a_gap_the_first_whole_message_is_delivered() {
        // joined in the middle of a long message
        let got = run(&[
            frame(4, 5, &[b"lost"]),
            frame(5, 0, &[b"lost", b"kept"]),
            frame(0, 0, &[b"next"]),
        ]);
        assert_eq!(got, [b"kept".to_vec(), b"next".to_vec()]);
        // the sender began anew
        let got = run(&[frame(0, 1, &[b"half"]), frame(0, 0, &[b"whole"])]);
        assert_eq!(got, [b"whole".to_vec()]);
        // a different cut than the one that waits
        let got =
            run(&[frame(0, 1, &[b"half"]), frame(7, 1, &[b"tail", b"a"]), frame(1, 0, &[b"b"])]);
        assert_eq!(got, [b"ab".to_vec()]);
    }

    #[test]
    fn an_endless_message_is_dropped() {
        let chunk = vec![0u8; 60_000];
        let mut frames = vec![frame(0, 1, &[&chunk])];
        for n in 1..30 {
            frames.push(frame(n, n + 1, &[&chunk]));
        }
        frames.push(frame(30, 0, &[&chunk, b"after"]));
        assert_eq!(run(&frames), [b"after".to_vec()]);
    }
}
