//! Closed process groups: messages to all members of a group, in one order everywhere, and the
//! groups' memberships in the same order.
//!
//! Source: `spec/corosync-services.md` §5.

use crate::call::{Connection, Fields, client_methods};
use crate::{CsError, RingId, retry};
use base::NodeId;
use qb::ipc::wire;
use std::collections::BTreeMap;
use std::time::Duration;

const JOIN: i32 = 0;
const LEAVE: i32 = 1;
const MCAST: i32 = 2;
const MEMBERSHIP: i32 = 3;
const LOCAL_GET: i32 = 4;
const ITERATION_INITIALIZE: i32 = 5;
const ITERATION_NEXT: i32 = 6;
const ITERATION_FINALIZE: i32 = 7;
const FINALIZE: i32 = 8;
const PARTIAL_MCAST: i32 = 12;

const EVENT_CONFCHG: i32 = 4;
const EVENT_DELIVER: i32 = 5;
const EVENT_TOTEM_CONFCHG: i32 = 13;
const EVENT_PARTIAL_DELIVER: i32 = 17;

const NAME_MAX: usize = 128;
const ADDRESS: usize = 24;
const AGREED: u32 = 2;
const PARTIAL_FIRST: u32 = 1;
const PARTIAL_CONTINUED: u32 = 2;
const PARTIAL_LAST: u32 = 3;
/// What a message may have besides its payload.
const OVERHEAD: u32 = 1024;
/// A joiner that wants [`Event::TotemConfchg`] at once.
pub const DELIVER_INITIAL_TOTEM_CONF: u32 = 1;

/// Why somebody is in a joined or left list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// None given (members).
    None,
    /// Joined.
    Join,
    /// Left.
    Leave,
    /// Its node went.
    NodeDown,
    /// Its node came.
    NodeUp,
    /// Its process died.
    ProcDown,
    /// A number this library does not know.
    Other(u32),
}

impl Reason {
    fn from_wire(raw: u32) -> Reason {
        match raw {
            0 => Reason::None,
            1 => Reason::Join,
            2 => Reason::Leave,
            3 => Reason::NodeDown,
            4 => Reason::NodeUp,
            5 => Reason::ProcDown,
            other => Reason::Other(other),
        }
    }
}

/// A process in a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Member {
    /// Its node.
    pub node: NodeId,
    /// Its process id there.
    pub pid: u32,
    /// Why it is in the list.
    pub reason: Reason,
}

/// Something the engine tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A message.
    Deliver {
        /// The group.
        group: Vec<u8>,
        /// The sender's node.
        node: NodeId,
        /// The sender's process there.
        pid: u32,
        /// The bytes.
        message: Vec<u8>,
    },
    /// The group's membership changed.
    Confchg {
        /// The group.
        group: Vec<u8>,
        /// Who is in it now.
        members: Vec<Member>,
        /// Who left.
        left: Vec<Member>,
        /// Who joined.
        joined: Vec<Member>,
    },
    /// The nodes' membership changed.
    TotemConfchg {
        /// The ring.
        ring: RingId,
        /// Its nodes.
        members: Vec<NodeId>,
    },
}

/// What to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Iterate<'a> {
    /// Each group once.
    Names,
    /// The members of one group.
    Group(&'a [u8]),
    /// All members of all groups.
    All,
}

/// A member, as listed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// The group.
    pub group: Vec<u8>,
    /// The node (0 when only names are listed).
    pub node: NodeId,
    /// The process (0 when only names are listed).
    pub pid: u32,
}

/// A connection to the group service. It can be in one group.
#[derive(Debug)]
pub struct Cpg {
    connection: Connection,
    group: Vec<u8>,
    /// Messages of which not all parts came yet, by sender.
    partial: BTreeMap<(NodeId, u32), Vec<u8>>,
}

fn put_name(message: &mut Vec<u8>, at: usize, group: &[u8]) -> Result<(), CsError> {
    if group.is_empty() || group.len() > NAME_MAX {
        return Err(CsError::NAME_TOO_LONG);
    }
    wire::put_u32(message, at, group.len() as u32);
    wire::put(message, at + 8, group);
    Ok(())
}

fn name(fields: &Fields<'_>, at: usize) -> Result<Vec<u8>, CsError> {
    let length = (fields.u32(at)? as usize).min(NAME_MAX);
    Ok(fields.bytes(at + 8, length)?.to_vec())
}

fn members(fields: &Fields<'_>, at: usize, count: u32) -> Result<Vec<Member>, CsError> {
    let bytes = fields.bytes(at, (count as usize).saturating_mul(ADDRESS))?;
    bytes
        .chunks_exact(ADDRESS)
        .map(|address| {
            let address = Fields(address);
            Ok(Member {
                node: NodeId(address.u32(0)?),
                pid: address.u32(8)?,
                reason: Reason::from_wire(address.u32(16)?),
            })
        })
        .collect()
}

impl Cpg {
    /// Connects to the engine of this host.
    pub fn connect() -> Result<Cpg, CsError> {
        let connection = Connection::connect("cpg")?;
        Ok(Cpg { connection, group: Vec::new(), partial: BTreeMap::new() })
    }

    client_methods!();

    /// Joins a group. Its [`Event::Confchg`] follows. `flags`: 0 or
    /// [`DELIVER_INITIAL_TOTEM_CONF`].
    pub fn join(&mut self, group: &[u8], flags: u32) -> Result<(), CsError> {
        let mut request = wire::request(JOIN, 168);
        put_name(&mut request, 16, group)?;
        wire::put_u32(&mut request, 152, std::process::id());
        wire::put_u32(&mut request, 160, flags);
        self.connection.call(&[&request])?;
        self.group = group.to_vec();
        Ok(())
    }

    /// Leaves the group. The last event is a [`Event::Confchg`] without us.
    pub fn leave(&mut self) -> Result<(), CsError> {
        let mut request = wire::request(LEAVE, 160);
        put_name(&mut request, 16, &self.group)?;
        wire::put_u32(&mut request, 152, std::process::id());
        self.connection.call(&[&request]).map(|_| ())
    }

    /// The largest payload that goes as one message.
    pub fn max_atomic_msg_size(&self) -> usize {
        self.connection.client.max_msg_size().saturating_sub(OVERHEAD) as usize
    }

    /// Sends a message, made of several parts, to the group. It comes back as an event like
    /// everybody else's. Larger ones than [`max_atomic_msg_size`](Self::max_atomic_msg_size) go
    /// in fragments, which takes longer and blocks while the engine is busy.
    pub fn mcast(&mut self, parts: &[&[u8]]) -> Result<(), CsError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.connection.client.set_flow_control_max(2);
        let sent = if length > self.max_atomic_msg_size() {
            self.mcast_fragments(parts, length)
        } else {
            self.mcast_atomic(parts, length)
        };
        self.connection.client.set_flow_control_max(1);
        sent
    }

    fn mcast_atomic(&mut self, parts: &[&[u8]], length: usize) -> Result<(), CsError> {
        let mut header = wire::request(MCAST, 40);
        wire::put_u32(&mut header, 8, 40 + length as u32);
        wire::put_u32(&mut header, 24, AGREED);
        wire::put_u32(&mut header, 32, length as u32);
        let mut all: Vec<&[u8]> = vec![&header];
        all.extend_from_slice(parts);
        Ok(self.connection.client.send(&all)?)
    }

    fn mcast_fragments(&mut self, parts: &[&[u8]], length: usize) -> Result<(), CsError> {
        let total = u32::try_from(length).map_err(|_| CsError::TOO_BIG)?;
        let fragment_max = self.max_atomic_msg_size();
        let mut sent = 0;
        for fragment in parts.iter().flat_map(|part| part.chunks(fragment_max)) {
            let kind = match sent {
                0 => PARTIAL_FIRST,
                _ if sent + fragment.len() == length => PARTIAL_LAST,
                _ => PARTIAL_CONTINUED,
            };
            let mut header = wire::request(PARTIAL_MCAST, 56);
            wire::put_u32(&mut header, 8, (56 + fragment.len()) as u32);
            wire::put_u32(&mut header, 24, AGREED);
            wire::put_u32(&mut header, 32, total);
            wire::put_u32(&mut header, 40, fragment.len() as u32);
            wire::put_u32(&mut header, 48, kind);
            // Once begun, a message must be finished: what came of it cannot be called back.
            let again = if sent == 0 { 0 } else { 10_000 };
            if sent > 0 {
                self.connection.client.set_flow_control_max(1);
            }
            retry(again, Duration::from_millis(10), || {
                self.connection.call(&[&header, fragment]).map(|_| ())
            })?;
            sent += fragment.len();
        }
        Ok(())
    }

    /// The members of a group.
    pub fn membership(&mut self, group: &[u8]) -> Result<Vec<Member>, CsError> {
        let mut request = wire::request(MEMBERSHIP, 152);
        put_name(&mut request, 16, group)?;
        let response = Fields(self.connection.call(&[&request])?);
        let found = members(&response, 32, response.u32(24)?)?;
        // The reason is undefined here.
        Ok(found.into_iter().map(|member| Member { reason: Reason::None, ..member }).collect())
    }

    /// This node's id.
    pub fn local_get(&mut self) -> Result<NodeId, CsError> {
        let request = wire::request(LOCAL_GET, 16);
        Ok(NodeId(Fields(self.connection.call(&[&request])?).u32(24)?))
    }

    /// Lists groups or their members, all at once.
    pub fn iterate(&mut self, what: Iterate<'_>) -> Result<Vec<Entry>, CsError> {
        let mut entries = Vec::new();
        let handle = self.iteration_initialize(what)?;
        let end = loop {
            match self.iteration_next(handle) {
                Ok(entry) => entries.push(entry),
                Err(error) => break error,
            }
        };
        let mut request = wire::request(ITERATION_FINALIZE, 24);
        wire::put_u64(&mut request, 16, handle);
        self.connection.call(&[&request])?;
        if end == CsError::NO_SECTIONS { Ok(entries) } else { Err(end) }
    }

    fn iteration_initialize(&mut self, what: Iterate<'_>) -> Result<u64, CsError> {
        let mut request = wire::request(ITERATION_INITIALIZE, 160);
        let kind = match what {
            Iterate::Names => 1,
            Iterate::Group(group) => {
                put_name(&mut request, 16, group)?;
                2
            }
            Iterate::All => 3,
        };
        wire::put_u32(&mut request, 152, kind);
        Fields(self.connection.call(&[&request])?).u64(24)
    }

    fn iteration_next(&mut self, handle: u64) -> Result<Entry, CsError> {
        let mut request = wire::request(ITERATION_NEXT, 24);
        wire::put_u64(&mut request, 16, handle);
        let response = Fields(self.connection.call(&[&request])?);
        Ok(Entry {
            group: name(&response, 24)?,
            node: NodeId(response.u32(160)?),
            pid: response.u32(164)?,
        })
    }

    /// Leaves in order: everything sent before is on its way when this returns.
    pub fn finalize(mut self) -> Result<(), CsError> {
        let request = wire::request(FINALIZE, 16);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// The next event, if one is there.
    pub fn dispatch(&mut self) -> Result<Option<Event>, CsError> {
        loop {
            let Some(bytes) = self.connection.event()? else { return Ok(None) };
            if let Some(event) = parse(bytes, &mut self.partial)? {
                return Ok(Some(event));
            }
        }
    }
}

/// `Ok(None)`: a part of a message that is not complete yet.
fn parse(
    bytes: &[u8],
    partial: &mut BTreeMap<(NodeId, u32), Vec<u8>>,
) -> Result<Option<Event>, CsError> {
    let event = Fields(bytes);
    Ok(Some(match wire::id(bytes).ok_or(CsError::LIBRARY)? {
        EVENT_DELIVER => Event::Deliver {
            group: name(&event, 24)?,
            node: NodeId(event.u32(168)?),
            pid: event.u32(176)?,
            message: event.bytes(184, event.u32(160)? as usize)?.to_vec(),
        },
        EVENT_CONFCHG => {
            let (member_count, joined_count, left_count) =
                (event.u32(160)?, event.u32(168)?, event.u32(176)?);
            let left_at = 184 + member_count as usize * ADDRESS;
            let joined_at = left_at + left_count as usize * ADDRESS;
            let left = members(&event, left_at, left_count)?;
            // Whoever left will not finish what it began.
            for member in &left {
                partial.remove(&(member.node, member.pid));
            }
            Event::Confchg {
                group: name(&event, 24)?,
                members: members(&event, 184, member_count)?,
                left,
                joined: members(&event, joined_at, joined_count)?,
            }
        }
        EVENT_TOTEM_CONFCHG => Event::TotemConfchg {
            ring: RingId::parse(bytes, 24).ok_or(CsError::LIBRARY)?,
            members: event.nodes(44, event.u32(40)?)?,
        },
        EVENT_PARTIAL_DELIVER => {
            let (node, pid, kind) = (NodeId(event.u32(176)?), event.u32(184)?, event.u32(192)?);
            let fragment = event.bytes(200, event.u32(168)? as usize)?;
            if kind == PARTIAL_FIRST {
                partial.insert((node, pid), Vec::new());
            }
            // Without its beginning (we joined meanwhile) it is nobody's message.
            let Some(message) = partial.get_mut(&(node, pid)) else { return Ok(None) };
            message.extend_from_slice(fragment);
            let total = event.u32(160)? as usize;
            if kind != PARTIAL_LAST && message.len() < total {
                return Ok(None);
            }
            let message = partial.remove(&(node, pid)).unwrap_or_default();
            if kind != PARTIAL_LAST || message.len() != total {
                return Ok(None);
            }
            Event::Deliver { group: name(&event, 24)?, node, pid, message }
        }
        _ => return Err(CsError::LIBRARY),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_members_come_before_joined_ones() {
        let mut bytes = wire::response(EVENT_CONFCHG, 1, 184);
        put_name(&mut bytes, 24, b"g").unwrap();
        for (at, count) in [(160, 1), (168, 1), (176, 1)] {
            wire::put_u32(&mut bytes, at, count);
        }
        for (n, reason) in [(1, 0), (2, 5), (3, 1)] {
            let at = bytes.len();
            wire::put_u32(&mut bytes, at, n);
            wire::put_u32(&mut bytes, at + 8, 10 * n);
            wire::put_u32(&mut bytes, at + 16, reason);
            bytes.resize(at + ADDRESS, 0);
        }
        let member = |node, reason| Member { node: NodeId(node), pid: 10 * node, reason };
        let mut partial = BTreeMap::from([((NodeId(2), 20), vec![1]), ((NodeId(3), 30), vec![1])]);
        let event = parse(&bytes, &mut partial).unwrap().unwrap();
        assert_eq!(
            event,
            Event::Confchg {
                group: b"g".to_vec(),
                members: vec![member(1, Reason::None)],
                left: vec![member(2, Reason::ProcDown)],
                joined: vec![member(3, Reason::Join)],
            }
        );
        assert!(!partial.contains_key(&(NodeId(2), 20)) && partial.len() == 1);
    }

    #[test]
    fn fragments_of_several_senders_are_put_together() {
        let fragment = |node, kind, bytes: &[u8]| {
            let mut event = wire::response(EVENT_PARTIAL_DELIVER, 1, 200);
            put_name(&mut event, 24, b"g").unwrap();
            wire::put_u32(&mut event, 160, 4);
            wire::put_u32(&mut event, 168, bytes.len() as u32);
            wire::put_u32(&mut event, 176, node);
            wire::put_u32(&mut event, 184, 7);
            wire::put_u32(&mut event, 192, kind);
            event.extend_from_slice(bytes);
            event
        };
        let mut partial = BTreeMap::new();
        let mut got = vec![];
        for event in [
            fragment(9, 3, b"zz"),
            fragment(1, 1, b"ab"),
            fragment(2, 1, b"A"),
            fragment(1, 3, b"cd"),
            fragment(2, 2, b"BC"),
            fragment(2, 3, b"D"),
        ] {
            if let Some(Event::Deliver { node, message, .. }) = parse(&event, &mut partial).unwrap()
            {
                got.push((node.0, message));
            }
        }
        assert_eq!(got, [(1, b"abcd".to_vec()), (2, b"ABCD".to_vec())]);
        assert!(partial.is_empty());
    }

    #[test]
    fn short_events_are_errors_not_panics() {
        for id in [4, 5, 13, 17, 99] {
            let mut bytes = wire::response(id, 1, 24);
            for at in [160, 168, 176, 40] {
                wire::put_u32(&mut bytes, at, u32::MAX);
            }
            for length in 0..bytes.len() {
                assert!(parse(&bytes[..length], &mut BTreeMap::new()).is_err());
            }
        }
    }
}
