//! Multicast frames: their header, and sealing one that was built in place.
//! Source: `spec/totem.md` §2.3.

use super::{HEADER_LEN, Header, Kind, MCAST_LEN, Order, Reader, Writer};
use crate::RingId;
use base::NodeId;

/// What stands between the common header and a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct McastHeader {
    /// Who sent it first.
    pub system_from: NodeId,
    /// Its place in the order of `ring_id`.
    pub seq: u32,
    /// How many frames the sender sent before.
    pub this_seqno: u32,
    /// The ring that ordered it.
    pub ring_id: RingId,
    /// Always 0.
    pub node_id: u32,
    /// 0 agreed, 1 safe; not interpreted.
    pub guarantee: u32,
}

impl McastHeader {
    /// `header.encapsulated` when an old ring's message is inside.
    pub const ENCAPSULATED: u8 = 1;
    /// `header.encapsulated` of ordinary frames.
    pub const PLAIN: u8 = 2;

    pub(super) fn decode(r: &mut Reader<'_>) -> Option<McastHeader> {
        Some(McastHeader {
            system_from: NodeId(r.u32()?),
            seq: r.u32()?,
            this_seqno: r.u32()?,
            ring_id: r.ring_id()?,
            node_id: r.u32()?,
            guarantee: r.u32()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.system_from.0);
        w.u32(self.seq);
        w.u32(self.this_seqno);
        w.ring_id(self.ring_id);
        w.u32(self.node_id);
        w.u32(self.guarantee);
    }

    /// Reads both headers of a stored or encapsulated multicast; `None` if it is anything else.
    pub fn of_packet(packet: &[u8]) -> Option<(Header, McastHeader)> {
        let header = Header::decode(packet).ok()?;
        if header.kind != Kind::Mcast {
            return None;
        }
        let mcast = McastHeader::decode(&mut Reader::new(&packet[HEADER_LEN..], header.order))?;
        Some((header, mcast))
    }
}

/// Writes both headers into the [`MCAST_LEN`] bytes a packet begins with, in native order. The
/// frame behind them was built in place before its number was known.
pub fn seal_mcast(packet: &mut [u8], encapsulated: u8, mcast: &McastHeader) {
    let mut head = Vec::with_capacity(MCAST_LEN);
    let mut w = Writer::new(&mut head, Order::NATIVE);
    Header { encapsulated, ..Header::own(Kind::Mcast, mcast.system_from, 0) }.encode(&mut w);
    mcast.encode(&mut w);
    if let Some(front) = packet.get_mut(..MCAST_LEN) {
        front.copy_from_slice(&head);
    }
}
