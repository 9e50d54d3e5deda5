//! The frame: a header, the lengths of its pieces, the pieces. Source: `spec/totem.md` §8.1.

use crate::wire::Order;
use std::ops::Range;

/// Bytes before the lengths.
pub const FRAME_HEADER: usize = 8;

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Shorter than the header, or than the lengths announced.
    #[error("frame is too short")]
    TooShort,
    /// The lengths do not add up to the frame.
    #[error("frame lengths do not match its size")]
    BadLength,
}

/// A frame taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Number of the cut at its end, 0 when its last piece is complete.
    pub fragmented: u8,
    /// Number of the cut its first piece continues, 0 when that piece begins a message.
    pub continuation: u8,
    /// Where the pieces are, from the frame's start.
    pub pieces: Vec<Range<usize>>,
}

impl Frame {
    /// Takes a frame apart; the bytes are in the sender's order.
    pub fn parse(data: &[u8], order: Order) -> Result<Frame, FrameError> {
        if data.len() < FRAME_HEADER {
            return Err(FrameError::TooShort);
        }
        let count = usize::from(order.get_u16([data[6], data[7]]));
        let lengths =
            data.get(FRAME_HEADER..FRAME_HEADER + 2 * count).ok_or(FrameError::TooShort)?;
        let mut at = FRAME_HEADER + 2 * count;
        let mut pieces = Vec::with_capacity(count);
        for pair in lengths.chunks_exact(2) {
            let len = usize::from(order.get_u16([pair[0], pair[1]]));
            pieces.push(at..at + len);
            at += len;
        }
        if at != data.len() {
            return Err(FrameError::BadLength);
        }
        Ok(Frame { fragmented: data[4], continuation: data[5], pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_add_up() {
        let good = [0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 2, 0, b'a', b'b', b'c'];
        let frame = Frame::parse(&good, Order::Little).unwrap();
        assert_eq!(frame.pieces, [12..13, 13..15]);
        assert_eq!(Frame::parse(&good[..14], Order::Little), Err(FrameError::BadLength));
        assert_eq!(Frame::parse(&good[..10], Order::Little), Err(FrameError::TooShort));
        assert_eq!(Frame::parse(&good[..7], Order::Little), Err(FrameError::TooShort));
        assert_eq!(Frame::parse(&good, Order::Big), Err(FrameError::TooShort));
    }
}
