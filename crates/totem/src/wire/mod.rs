//! The messages of the ring as bytes.
//!
//! All structures are packed and in the *sender's* byte order; a receiver sees the order in the
//! magic number. A decoder here never panics and never trusts an announced length.
//!
//! Source: `spec/totem.md` §2.

mod commit;
mod join;
mod mcast;
mod order;
mod token;

pub use commit::{CommitEntry, CommitToken};
pub use join::Join;
pub use mcast::{McastHeader, seal_mcast};
pub use order::{Order, Reader, Writer};
pub use token::{RtrItem, Token};

use crate::RingId;
use base::NodeId;

/// First two bytes of every message, in the sender's order.
pub const MAGIC: u16 = 0xC070;
/// The only header version there is.
pub const VERSION: u8 = 3;
/// Size of the common header.
pub const HEADER_LEN: usize = 13;
/// Size of a multicast's header, in front of its frame.
pub const MCAST_LEN: usize = 45;
/// Most processors in a membership.
pub const MAX_PROCESSORS: usize = 384;
/// Most retransmission requests in a token.
pub const MAX_RTR: usize = 30;
/// Longest message on any transport.
pub const MAX_PACKET: usize = 65536;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The token of a formed ring.
    Token = 0,
    /// A sequenced frame.
    Mcast = 1,
    /// "This ring exists", for rings that do not know each other.
    MergeDetect = 2,
    /// Who a node can hear, who it gave up on.
    Join = 3,
    /// The token that forms a new ring.
    Commit = 4,
    /// "Release the token, I have something to send".
    HoldCancel = 5,
}

/// The common header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The byte order the rest is in.
    pub order: Order,
    /// What follows.
    pub kind: Kind,
    /// For multicasts: 1 an old ring's message is inside, 2 not. Otherwise 0.
    pub encapsulated: u8,
    /// The sender; 0 in a leave message.
    pub nodeid: u32,
    /// knet's destination; meaningless on udp and udpu.
    pub target: u32,
}

/// Why a packet was not a message. The wording completes `Message received from <ip> `.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not even a header.
    #[error("is too short...  Ignoring {0}.")]
    TooShort(usize),
    /// Another protocol or version of it.
    #[error("has bad magic number (probably sent by {0}).. Ignoring")]
    BadMagic(&'static str),
    /// A version other than 3.
    #[error("has unsupported version {0}... Ignoring")]
    BadVersion(u8),
    /// An unknown type.
    #[error("has wrong type...  ignoring {0}.")]
    BadType(u8),
    /// Shorter than its type and lists demand (upstream's text stands alone).
    #[error("Received {0} message is too short...  ignoring.")]
    BodyTooShort(&'static str),
    /// A list longer than anything valid.
    #[error("Received {0} message has an invalid list length...  ignoring.")]
    BadList(&'static str),
}

/// A decoded message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// See [`Token`].
    Token(Token),
    /// See [`McastHeader`]; the frame is the packet from [`MCAST_LEN`] on.
    Mcast(McastHeader),
    /// A ring announces itself.
    MergeDetect {
        /// Who says so.
        system_from: NodeId,
        /// Its ring.
        ring_id: RingId,
    },
    /// See [`Join`].
    Join(Join),
    /// See [`CommitToken`].
    Commit(CommitToken),
    /// A member of that ring wants the token released.
    HoldCancel {
        /// The ring meant.
        ring_id: RingId,
    },
}

/// Guess at who sends packets with a foreign first word.
fn foreign_sender(data: &[u8]) -> &'static str {
    match (data[0], data[1]) {
        (0xFF, 0xFF) => "Corosync 2.2",
        (0xFE, 0xFE) => "Corosync 2.3+",
        (1, _) => "unencrypted Kronosnet",
        (0..=5, _) => "unencrypted Corosync 2.0/2.1/1.x/OpenAIS",
        _ => "encrypted Kronosnet/Corosync 2.0/2.1/1.x/OpenAIS or unknown",
    }
}

impl Header {
    /// Reads and checks the first 13 bytes, in upstream's order of checks.
    pub fn decode(data: &[u8]) -> Result<Header, DecodeError> {
        if data.len() < HEADER_LEN {
            return Err(DecodeError::TooShort(data.len()));
        }
        let order = match [data[0], data[1]] {
            magic if magic == MAGIC.to_le_bytes() => Order::Little,
            magic if magic == MAGIC.to_be_bytes() => Order::Big,
            _ => return Err(DecodeError::BadMagic(foreign_sender(data))),
        };
        if data[2] != VERSION {
            return Err(DecodeError::BadVersion(data[2]));
        }
        let kind = match data[3] {
            0 => Kind::Token,
            1 => Kind::Mcast,
            2 => Kind::MergeDetect,
            3 => Kind::Join,
            4 => Kind::Commit,
            5 => Kind::HoldCancel,
            other => return Err(DecodeError::BadType(other)),
        };
        let mut reader = Reader::new(&data[5..], order);
        let nodeid = reader.u32().ok_or(DecodeError::TooShort(data.len()))?;
        let target = reader.u32().ok_or(DecodeError::TooShort(data.len()))?;
        Ok(Header { order, kind, encapsulated: data[4], nodeid, target })
    }

    /// Appends the 13 bytes.
    pub fn encode(&self, w: &mut Writer<'_>) {
        w.u16(MAGIC);
        w.u8(VERSION);
        w.u8(self.kind as u8);
        w.u8(self.encapsulated);
        w.u32(self.nodeid);
        w.u32(self.target);
    }

    /// A header as this machine sends it.
    pub fn own(kind: Kind, me: NodeId, target: u32) -> Header {
        Header { order: Order::NATIVE, kind, encapsulated: 0, nodeid: me.0, target }
    }
}

/// Reads a packet. The frame of a multicast is not looked at.
pub fn decode(data: &[u8]) -> Result<(Header, Message), DecodeError> {
    let header = Header::decode(data)?;
    let mut r = Reader::new(&data[HEADER_LEN..], header.order);
    let message = match header.kind {
        Kind::Token => Message::Token(Token::decode(&mut r)?),
        Kind::Mcast => {
            Message::Mcast(McastHeader::decode(&mut r).ok_or(DecodeError::BodyTooShort("mcast"))?)
        }
        Kind::MergeDetect => {
            let (from, ring_id) = r
                .u32()
                .and_then(|from| Some((from, r.ring_id()?)))
                .ok_or(DecodeError::BodyTooShort("memb_merge_detect"))?;
            Message::MergeDetect { system_from: NodeId(from), ring_id }
        }
        Kind::Join => Message::Join(Join::decode(&mut r)?),
        Kind::Commit => Message::Commit(CommitToken::decode(&mut r)?),
        Kind::HoldCancel => Message::HoldCancel {
            ring_id: r.ring_id().ok_or(DecodeError::BodyTooShort("token_hold_cancel"))?,
        },
    };
    Ok((header, message))
}

/// Writes a message other than a multicast (see [`seal_mcast`] for those).
pub fn encode(header: &Header, message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut w = Writer::new(&mut out, header.order);
    header.encode(&mut w);
    match message {
        Message::Token(token) => token.encode(&mut w),
        Message::Mcast(mcast) => mcast.encode(&mut w),
        Message::MergeDetect { system_from, ring_id } => {
            w.u32(system_from.0);
            w.ring_id(*ring_id);
        }
        Message::Join(join) => join.encode(&mut w),
        Message::Commit(commit) => commit.encode(&mut w),
        Message::HoldCancel { ring_id } => w.ring_id(*ring_id),
    }
    out
}

#[cfg(test)]
mod tests;
