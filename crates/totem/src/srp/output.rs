//! What the machine asks of its surroundings.

use super::Event;
use crate::pg::Groups;
use crate::{Bytes, RingId};
use base::NodeId;

/// One thing for the shell to do, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Send to every other node. The machine hears its own multicasts without the network's
    /// help: a transport need not loop them back (and does no harm if it does).
    Multicast(Bytes),
    /// Send to one other node (tokens). Tokens to oneself never leave the machine.
    Unicast {
        /// The destination.
        to: NodeId,
        /// The packet.
        packet: Bytes,
    },
    /// Write the ring's sequence number where the next start will find it, before anything that
    /// follows is sent.
    Persist {
        /// The number.
        ring_seq: u64,
    },
    /// A message arrived in its place in the total order.
    Deliver(Delivery),
    /// The membership changed, at this place in the total order.
    Config(ConfigChange),
    /// The token went on after a [`Srp::request_token_sent`](super::Srp::request_token_sent).
    TokenSent,
    /// The ring that is being formed has this many members (udp and udpu watch their interface
    /// more closely when alone).
    Processors(usize),
    /// The token was lost: see whether the local interface is still there.
    CheckInterface,
    /// A notable fact, for logs and statistics.
    Event(Event),
}

/// A message, delivered in total order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Who sent it.
    pub from: NodeId,
    /// The groups it is for.
    pub groups: Groups,
    /// What was sent.
    pub payload: Bytes,
    /// Whether the sender's byte order is not this machine's.
    pub foreign_order: bool,
}

/// Which of the two changes that every new ring brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfigKind {
    /// The survivors of the old ring, among whom its last messages are delivered.
    Transitional,
    /// The new ring.
    Regular,
}

/// A change of membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigChange {
    /// Transitional or regular.
    pub kind: ConfigKind,
    /// The new ring's id (for both kinds).
    pub ring_id: RingId,
    /// Who is in this configuration.
    pub members: Vec<NodeId>,
    /// Who of the previous one is not (transitional only).
    pub left: Vec<NodeId>,
    /// Who is new (regular only).
    pub joined: Vec<NodeId>,
}

/// The guarantee asked for. The ring delivers both alike (so does upstream).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Guarantee {
    /// Total order.
    #[default]
    Agreed,
    /// Asked: nobody delivers before everybody has it.
    Safe,
}
