//! Whether this node's partition has quorum, and who is in it.
//!
//! Source: `spec/corosync-services.md` §8.1.

use crate::call::{Connection, Fields, client_methods};
use crate::{CsError, RingId};
use base::NodeId;
use qb::ipc::wire;

const GET_QUORATE: i32 = 0;
const TRACK_START: i32 = 1;
const TRACK_STOP: i32 = 2;
const GET_TYPE: i32 = 3;
const MODEL_GET_TYPE: i32 = 4;
const EVENT_QUORUM: i32 = 3;
const EVENT_QUORUM_V1: i32 = 6;
const EVENT_NODE_LIST_V1: i32 = 7;

/// Something the engine tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Quorum, and the view it is about.
    Quorum {
        /// Whether this partition has it.
        quorate: bool,
        /// The ring (model 0: its number only).
        ring: RingId,
        /// The members.
        members: Vec<NodeId>,
    },
    /// The membership (model 1 only).
    NodeList {
        /// The ring.
        ring: RingId,
        /// The members.
        members: Vec<NodeId>,
        /// Who is new.
        joined: Vec<NodeId>,
        /// Who went.
        left: Vec<NodeId>,
    },
}

/// A connection to the quorum service.
#[derive(Debug)]
pub struct Quorum {
    connection: Connection,
    has_provider: bool,
}

impl Quorum {
    /// Connects with the first model of events.
    pub fn connect() -> Result<Quorum, CsError> {
        Quorum::open(wire::request(GET_TYPE, 16))
    }

    /// Connects with model 1: node lists, and rings with their node.
    pub fn connect_v1() -> Result<Quorum, CsError> {
        let mut request = wire::request(MODEL_GET_TYPE, 24);
        wire::put_u32(&mut request, 16, 1);
        Quorum::open(request)
    }

    fn open(request: Vec<u8>) -> Result<Quorum, CsError> {
        let mut connection = Connection::connect("quorum")?;
        let has_provider = Fields(connection.call(&[&request])?).u32(24)? != 0;
        Ok(Quorum { connection, has_provider })
    }

    client_methods!();

    /// Whether a quorum provider is configured. Without one there is always quorum.
    pub fn has_provider(&self) -> bool {
        self.has_provider
    }

    /// Whether this partition has quorum now.
    pub fn is_quorate(&mut self) -> Result<bool, CsError> {
        let request = wire::request(GET_QUORATE, 16);
        Ok(Fields(self.connection.call(&[&request])?).u32(24)? != 0)
    }

    /// Asks for events; `flags` is a sum of the crate's `TRACK_*`.
    pub fn track_start(&mut self, flags: u32) -> Result<(), CsError> {
        let mut request = wire::request(TRACK_START, 24);
        wire::put_u32(&mut request, 16, flags);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Asks for no more events.
    pub fn track_stop(&mut self) -> Result<(), CsError> {
        let request = wire::request(TRACK_STOP, 16);
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
        Some(EVENT_QUORUM) => Event::Quorum {
            quorate: event.u32(24)? != 0,
            ring: RingId { node: NodeId(0), seq: event.u64(32)? },
            members: event.nodes(44, event.u32(40)?)?,
        },
        Some(EVENT_QUORUM_V1) => Event::Quorum {
            quorate: event.u32(24)? != 0,
            ring: RingId::parse(bytes, 32).ok_or(CsError::LIBRARY)?,
            members: event.nodes(52, event.u32(48)?)?,
        },
        Some(EVENT_NODE_LIST_V1) => {
            let (members, joined, left) = (event.u32(40)?, event.u32(48)?, event.u32(56)?);
            let joined_at = 60 + members as usize * 4;
            let left_at = joined_at + joined as usize * 4;
            Event::NodeList {
                ring: RingId::parse(bytes, 24).ok_or(CsError::LIBRARY)?,
                members: event.nodes(60, members)?,
                joined: event.nodes(joined_at, joined)?,
                left: event.nodes(left_at, left)?,
            }
        }
        _ => return Err(CsError::LIBRARY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_lists_are_read() {
        let mut bytes = wire::response(EVENT_NODE_LIST_V1, 1, 64);
        wire::put_u32(&mut bytes, 24, 1);
        wire::put_u64(&mut bytes, 32, 0xd4);
        for (at, value) in [(40, 2), (48, 1), (56, 1), (60, 1), (64, 2), (68, 2), (72, 3)] {
            wire::put_u32(&mut bytes, at, value);
        }
        let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let ring = RingId { node: NodeId(1), seq: 0xd4 };
        assert_eq!(ring.to_string(), "1.d4");
        assert_eq!(
            parse(&bytes),
            Ok(Event::NodeList {
                ring,
                members: nodes(&[1, 2]),
                joined: nodes(&[2]),
                left: nodes(&[3]),
            })
        );
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err());
        }
    }
}
