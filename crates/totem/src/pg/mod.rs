//! Process groups (totempg): messages of any size to named groups, packed into frames.
//!
//! A *message* here is the group header and the payload of one multicast. Many small ones share
//! a frame, a big one is cut across several; receivers join the pieces per sender.
//!
//! Source: `spec/totem.md` §8.

mod assembly;
mod frame;
mod queue;

pub use assembly::{Assembled, Assembler};
pub use frame::{FRAME_HEADER, Frame, FrameError};
pub use queue::{Admission, QueueLevel, SendQueue};

use crate::Bytes;
use crate::wire::Order;

/// Longest message a receiver will join together: 1 MiB and room for headers.
pub const MAX_MESSAGE: usize = 1_048_576 + 65_536;

/// The names a message was sent to. Source: `spec/totem.md` §8.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Groups {
    /// Count, lengths, names: as they were sent, and checked.
    header: Bytes,
    order: Order,
}

impl Groups {
    /// Whether the message is for this group.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.iter().any(|n| n == name)
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let count = word(&self.header, self.order, 0).unwrap_or(0);
        let mut at = 2 + 2 * count;
        (0..count).map_while(move |index| {
            let len = word(&self.header, self.order, 2 + 2 * index)?;
            let name = self.header.get(at..at + len)?;
            at += len;
            Some(name)
        })
    }
}

fn word(data: &[u8], order: Order, at: usize) -> Option<usize> {
    Some(usize::from(order.get_u16(data.get(at..at + 2)?.try_into().ok()?)))
}

/// Splits a reassembled message into its groups and its payload; `None` if it is malformed.
pub fn split_message(message: &Bytes, order: Order) -> Option<(Groups, Bytes)> {
    let count = word(message, order, 0)?;
    let mut at = 2 + 2 * count;
    for index in 0..count {
        at += word(message, order, 2 + 2 * index)?;
    }
    if at > message.len() {
        return None;
    }
    let header = message.slice(0..at);
    Some((Groups { header, order }, message.slice(at..message.len())))
}

/// The header of a message to one group.
pub fn group_header(name: &[u8]) -> Vec<u8> {
    let len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let name = &name[..usize::from(len)];
    [&1u16.to_ne_bytes(), &len.to_ne_bytes(), name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_headers_split_off() {
        let message = Bytes::from([group_header(b"sync"), b"payload".to_vec()].concat());
        let (groups, payload) = split_message(&message, Order::NATIVE).unwrap();
        assert!(groups.contains(b"sync") && !groups.contains(b"a"));
        assert_eq!(&*payload, b"payload");
        assert_eq!(group_header(b"a").len(), 5);
        for cut in 0..8 {
            assert_eq!(split_message(&message.slice(0..cut), Order::NATIVE), None, "{cut}");
        }
    }
}
