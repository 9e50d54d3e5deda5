//! Votes: who has how many, how many are needed, the quorum device.
//!
//! Source: `spec/corosync-services.md` §9.1.

use crate::call::{Connection, Fields, client_methods};
use crate::{CsError, RingId};
use base::NodeId;
use qb::ipc::wire;

const GET_INFO: i32 = 0;
const SET_EXPECTED: i32 = 1;
const SET_VOTES: i32 = 2;
const TRACK_START: i32 = 3;
const TRACK_STOP: i32 = 4;
const QDEVICE_REGISTER: i32 = 5;
const QDEVICE_UNREGISTER: i32 = 6;
const QDEVICE_UPDATE: i32 = 7;
const QDEVICE_POLL: i32 = 8;
const QDEVICE_MASTER_WINS: i32 = 9;
const EVENT_QUORUM: i32 = 3;
const EVENT_EXPECTED_VOTES: i32 = 4;
const EVENT_NODE_LIST: i32 = 5;
const NAME_MAX: usize = 255;

/// [`Info::flags`]: two-node mode.
pub const FLAG_TWO_NODE: u32 = 1;
/// [`Info::flags`]: quorate.
pub const FLAG_QUORATE: u32 = 2;
/// [`Info::flags`]: waits for all nodes once.
pub const FLAG_WAIT_FOR_ALL: u32 = 4;
/// [`Info::flags`]: last man standing.
pub const FLAG_LAST_MAN_STANDING: u32 = 8;
/// [`Info::flags`]: auto tie breaker.
pub const FLAG_AUTO_TIE_BREAKER: u32 = 16;
/// [`Info::flags`]: expected votes may shrink.
pub const FLAG_ALLOW_DOWNSCALE: u32 = 32;
/// [`Info::flags`]: a quorum device is registered.
pub const FLAG_QDEVICE_REGISTERED: u32 = 64;
/// [`Info::flags`]: it polls.
pub const FLAG_QDEVICE_ALIVE: u32 = 128;
/// [`Info::flags`]: it votes.
pub const FLAG_QDEVICE_CAST_VOTE: u32 = 256;
/// [`Info::flags`]: its side wins.
pub const FLAG_QDEVICE_MASTER_WINS: u32 = 512;

/// What is known of a node's votes and of the cluster's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// The node.
    pub node: NodeId,
    /// 1 member, 2 dead, 3 leaving.
    pub state: u32,
    /// Its votes.
    pub votes: u32,
    /// The votes it expects in the cluster.
    pub expected_votes: u32,
    /// The most any node expects.
    pub highest_expected: u32,
    /// The votes present.
    pub total_votes: u32,
    /// The votes needed.
    pub quorum: u32,
    /// `FLAG_*` of this module.
    pub flags: u32,
    /// The device's votes.
    pub qdevice_votes: u32,
    /// The device's name.
    pub qdevice_name: String,
}

/// Something the engine tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Quorum and the nodes' states.
    Quorum {
        /// Whether this partition has it.
        quorate: bool,
        /// What [`Votequorum::track_start`] was given.
        context: u64,
        /// Nodes with their states (as [`Info::state`]).
        nodes: Vec<(NodeId, u32)>,
    },
    /// Other expected votes.
    ExpectedVotes {
        /// What [`Votequorum::track_start`] was given.
        context: u64,
        /// How many.
        expected_votes: u32,
    },
    /// Another membership.
    NodeList {
        /// What [`Votequorum::track_start`] was given.
        context: u64,
        /// The ring.
        ring: RingId,
        /// Its nodes.
        nodes: Vec<NodeId>,
    },
}

/// A connection to the votes service.
#[derive(Debug)]
pub struct Votequorum {
    connection: Connection,
}

fn put_device(message: &mut Vec<u8>, at: usize, name: &str) -> Result<(), CsError> {
    if name.is_empty() || name.len() >= NAME_MAX {
        return Err(CsError::INVALID_PARAM);
    }
    wire::put(message, at, name.as_bytes());
    Ok(())
}

impl Votequorum {
    /// Connects to the engine of this host.
    pub fn connect() -> Result<Votequorum, CsError> {
        Ok(Votequorum { connection: Connection::connect("votequorum")? })
    }

    client_methods!();

    /// What is known of a node (0: this one).
    pub fn info(&mut self, node: NodeId) -> Result<Info, CsError> {
        let mut request = wire::request(GET_INFO, 24);
        wire::put_u32(&mut request, 16, node.0);
        let response = Fields(self.connection.call(&[&request])?);
        Ok(Info {
            node: NodeId(response.u32(24)?),
            state: response.u32(28)?,
            votes: response.u32(32)?,
            expected_votes: response.u32(36)?,
            highest_expected: response.u32(40)?,
            total_votes: response.u32(44)?,
            quorum: response.u32(48)?,
            flags: response.u32(52)?,
            qdevice_votes: response.u32(56)?,
            qdevice_name: response.text(60, NAME_MAX)?,
        })
    }

    /// Sets the cluster's expected votes.
    pub fn set_expected(&mut self, votes: u32) -> Result<(), CsError> {
        let mut request = wire::request(SET_EXPECTED, 24);
        wire::put_u32(&mut request, 16, votes);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Sets a node's votes (0: this one's).
    pub fn set_votes(&mut self, node: NodeId, votes: u32) -> Result<(), CsError> {
        let mut request = wire::request(SET_VOTES, 24);
        wire::put_u32(&mut request, 16, votes);
        wire::put_u32(&mut request, 20, node.0);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Asks for events; `flags` is a sum of the crate's `TRACK_*`, `context` comes back in them.
    pub fn track_start(&mut self, context: u64, flags: u32) -> Result<(), CsError> {
        let mut request = wire::request(TRACK_START, 32);
        wire::put_u64(&mut request, 16, context);
        wire::put_u32(&mut request, 24, flags);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Asks for no more events.
    pub fn track_stop(&mut self) -> Result<(), CsError> {
        self.connection.call(&[&wire::request(TRACK_STOP, 16)]).map(|_| ())
    }

    /// Registers a quorum device for this node. Returns when all nodes know.
    pub fn qdevice_register(&mut self, name: &str) -> Result<(), CsError> {
        let mut request = wire::request(QDEVICE_REGISTER, 272);
        put_device(&mut request, 16, name)?;
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Takes the device's registration back.
    pub fn qdevice_unregister(&mut self, name: &str) -> Result<(), CsError> {
        let mut request = wire::request(QDEVICE_UNREGISTER, 272);
        put_device(&mut request, 16, name)?;
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Renames the device.
    pub fn qdevice_update(&mut self, old: &str, new: &str) -> Result<(), CsError> {
        let mut request = wire::request(QDEVICE_UPDATE, 528);
        put_device(&mut request, 16, old)?;
        put_device(&mut request, 271, new)?;
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Says that the device lives, and whether it votes for this partition of this ring.
    pub fn qdevice_poll(&mut self, name: &str, vote: bool, ring: RingId) -> Result<(), CsError> {
        let mut request = wire::request(QDEVICE_POLL, 296);
        put_device(&mut request, 16, name)?;
        wire::put_u32(&mut request, 272, u32::from(vote));
        wire::put_u32(&mut request, 280, ring.node.0);
        wire::put_u64(&mut request, 288, ring.seq);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Lets the device's side win.
    pub fn qdevice_master_wins(&mut self, name: &str, allow: bool) -> Result<(), CsError> {
        let mut request = wire::request(QDEVICE_MASTER_WINS, 280);
        put_device(&mut request, 16, name)?;
        wire::put_u32(&mut request, 272, u32::from(allow));
        self.connection.call(&[&request]).map(|_| ())
    }

    /// The next event, if one is there.
    pub fn dispatch(&mut self) -> Result<Option<Event>, CsError> {
        match self.connection.event()? {
            Some(bytes) => parse(bytes).map(Some),
            None => Ok(None),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Event, CsError> {
    let event = Fields(bytes);
    Ok(match wire::id(bytes) {
        Some(EVENT_QUORUM) => {
            let count = event.u32(40)? as usize;
            let nodes = event.bytes(48, count.saturating_mul(8))?;
            Event::Quorum {
                quorate: event.u32(24)? != 0,
                context: event.u64(32)?,
                nodes: nodes
                    .chunks_exact(8)
                    .map(|node| Ok((NodeId(Fields(node).u32(0)?), Fields(node).u32(4)?)))
                    .collect::<Result<_, CsError>>()?,
            }
        }
        Some(EVENT_EXPECTED_VOTES) => {
            Event::ExpectedVotes { context: event.u64(24)?, expected_votes: event.u32(32)? }
        }
        Some(EVENT_NODE_LIST) => Event::NodeList {
            context: event.u64(24)?,
            ring: RingId::parse(bytes, 32).ok_or(CsError::LIBRARY)?,
            nodes: event.nodes(56, event.u32(48)?)?,
        },
        _ => return Err(CsError::LIBRARY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_short_ones_refused() {
        let mut quorum = wire::response(EVENT_QUORUM, 1, 48);
        for (at, word) in [(24, 1), (32, 9), (40, 2), (48, 1), (52, 1), (56, 2), (60, 2)] {
            wire::put_u32(&mut quorum, at, word);
        }
        let mut list = wire::response(EVENT_NODE_LIST, 1, 56);
        for (at, word) in [(24, 9), (32, 1), (40, 0xd4), (48, 2), (56, 1), (60, 2)] {
            wire::put_u32(&mut list, at, word);
        }
        let mut votes = wire::response(EVENT_EXPECTED_VOTES, 1, 36);
        for (at, word) in [(24, 9), (32, 5)] {
            wire::put_u32(&mut votes, at, word);
        }
        let nodes = vec![(NodeId(1), 1), (NodeId(2), 2)];
        let ring = RingId { node: NodeId(1), seq: 0xd4 };
        for (bytes, event) in [
            (quorum, Event::Quorum { quorate: true, context: 9, nodes }),
            (list, Event::NodeList { context: 9, ring, nodes: vec![NodeId(1), NodeId(2)] }),
            (votes, Event::ExpectedVotes { context: 9, expected_votes: 5 }),
        ] {
            assert_eq!(parse(&bytes), Ok(event));
            for length in 0..bytes.len() {
                assert!(parse(&bytes[..length]).is_err());
            }
        }
    }
}
