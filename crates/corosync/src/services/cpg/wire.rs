//! Messages of the closed process groups, as bytes.
//!
//! Source: `spec/corosync-services.md` §5.1–§5.3.

use base::NodeId;

use super::Process;
use crate::engine::{ServiceId, exec_id};
use crate::ring::RingId;
use crate::wire::{CsError, Fields, Message, RESPONSE_HEADER};

/// Longest group name.
pub const NAME_MAX: usize = 128;
/// Most nodes in a down list.
const NODES_MAX: usize = 384;
/// Most members of a membership answer.
const MEMBERS_MAX: usize = 384;
const ADDRESS_SIZE: usize = 24;
const JOINLIST_ENTRY: usize = 144;

/// Functions of the cluster messages.
pub mod function {
    /// A process joined.
    pub const PROCJOIN: u16 = 0;
    /// A process left.
    pub const PROCLEAVE: u16 = 1;
    /// The processes of a node, at synchronisation.
    pub const JOINLIST: u16 = 2;
    /// A message.
    pub const MCAST: u16 = 3;
    /// The down list of old versions.
    pub const DOWNLIST_OLD: u16 = 4;
    /// The nodes that left, at synchronisation.
    pub const DOWNLIST: u16 = 5;
    /// A piece of a big message.
    pub const PARTIAL_MCAST: u16 = 6;
}

/// Why a process joined or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// It asked to.
    Join = 1,
    /// It asked to.
    Leave = 2,
    /// Its node left the ring.
    NodeDown = 3,
    /// Its node came into the ring.
    NodeUp = 4,
    /// It died.
    ProcDown = 5,
}

/// Reads a `mar_cpg_name_t`.
pub fn group_at(message: &Fields<'_>, offset: usize) -> Option<Vec<u8>> {
    let len = message.u32(offset)? as usize;
    if len > NAME_MAX {
        return None;
    }
    Some(message.slice(offset + 8, len)?.to_vec())
}

fn put_group(message: &mut Message, offset: usize, group: &[u8]) {
    let group = &group[..group.len().min(NAME_MAX)];
    message.put_u32(offset, group.len() as u32);
    message.put(offset + 8, group);
}

fn put_address(message: &mut Message, offset: usize, node: NodeId, pid: u32, reason: u32) {
    message.put_u32(offset, node.0);
    message.put_u32(offset + 8, pid);
    message.put_u32(offset + 16, reason);
}

/// PROCJOIN or PROCLEAVE.
pub fn proc_change(function: u16, group: &[u8], pid: u32, reason: Reason) -> Vec<u8> {
    let mut message = Message::request(exec_id(ServiceId::Cpg, function), 168);
    put_group(&mut message, 16, group);
    message.put_u32(152, pid);
    message.put_u32(160, reason as u32);
    message.into_bytes()
}

/// Group, pid and reason of a PROCJOIN or PROCLEAVE.
pub fn read_proc_change(message: &Fields<'_>) -> Option<(Vec<u8>, u32, u32)> {
    Some((group_at(message, 16)?, message.u32(152)?, message.u32(160)?))
}

/// MCAST.
pub fn mcast(group: &[u8], pid: u32, source: NodeId, body: &[u8]) -> Vec<u8> {
    let mut message = Message::request(exec_id(ServiceId::Cpg, function::MCAST), 184 + body.len());
    put_group(&mut message, 16, group);
    message.put_u32(152, body.len() as u32);
    message.put_u32(160, pid);
    message.put_u32(168, source.0);
    message.put(184, body);
    message.into_bytes()
}

/// A piece of a big message, as clients send it and as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Size of the whole message.
    pub total: u32,
    /// 1 first, 2 continued, 3 last.
    pub kind: u32,
    /// The bytes.
    pub body: &'a [u8],
}

/// The kind of the first fragment.
pub const FIRST: u32 = 1;

/// PARTIAL_MCAST.
pub fn partial_mcast(group: &[u8], pid: u32, source: NodeId, fragment: Fragment<'_>) -> Vec<u8> {
    let size = 200 + fragment.body.len();
    let mut message = Message::request(exec_id(ServiceId::Cpg, function::PARTIAL_MCAST), size);
    put_group(&mut message, 16, group);
    message.put_u32(152, fragment.total);
    message.put_u32(160, fragment.body.len() as u32);
    message.put_u32(168, pid);
    message.put_u32(176, fragment.kind);
    message.put_u32(184, source.0);
    message.put(200, fragment.body);
    message.into_bytes()
}

/// JOINLIST: the local processes.
pub fn joinlist<'a>(processes: impl ExactSizeIterator<Item = &'a Process>) -> Vec<u8> {
    let size = RESPONSE_HEADER + JOINLIST_ENTRY * processes.len();
    let mut message = Message::request(exec_id(ServiceId::Cpg, function::JOINLIST), size);
    for (nth, process) in processes.enumerate() {
        let at = RESPONSE_HEADER + JOINLIST_ENTRY * nth;
        message.put_u32(at, process.pid);
        put_group(&mut message, at + 8, &process.group);
    }
    message.into_bytes()
}

/// Pids and groups of a JOINLIST. A cut entry ends the list.
pub fn read_joinlist(message: &Fields<'_>) -> Vec<(u32, Vec<u8>)> {
    let mut entries = Vec::new();
    let mut at = RESPONSE_HEADER;
    while at + JOINLIST_ENTRY <= message.len() {
        let (Some(pid), Some(group)) = (message.u32(at), group_at(message, at + 8)) else { break };
        entries.push((pid, group));
        at += JOINLIST_ENTRY;
    }
    entries
}

/// DOWNLIST.
pub fn downlist(old_members: usize, left: &[NodeId]) -> Vec<u8> {
    let mut message = Message::request(exec_id(ServiceId::Cpg, function::DOWNLIST), 1568);
    message.put_u32(16, old_members as u32);
    message.put_u32(24, left.len().min(NODES_MAX) as u32);
    for (nth, node) in left.iter().take(NODES_MAX).enumerate() {
        message.put_u32(32 + 4 * nth, node.0);
    }
    message.into_bytes()
}

/// A process with the reason it is listed for; 0 in member lists.
pub type Listed = (NodeId, u32, u32);

/// CONFCHG event.
pub fn confchg(group: &[u8], members: &[Listed], left: &[Listed], joined: &[Listed]) -> Message {
    let size = 184 + ADDRESS_SIZE * (members.len() + left.len() + joined.len());
    let mut message = Message::response(4, size, CsError::Ok);
    put_group(&mut message, 24, group);
    message.put_u32(160, members.len() as u32);
    message.put_u32(168, joined.len() as u32);
    message.put_u32(176, left.len() as u32);
    for (nth, (node, pid, reason)) in members.iter().chain(left).chain(joined).enumerate() {
        put_address(&mut message, 184 + ADDRESS_SIZE * nth, *node, *pid, *reason);
    }
    message
}

/// DELIVER event.
pub fn deliver(group: &[u8], node: NodeId, pid: u32, body: &[u8]) -> Message {
    let mut message = Message::response(5, 184 + body.len(), CsError::Ok);
    put_group(&mut message, 24, group);
    message.put_u32(160, body.len() as u32);
    message.put_u32(168, node.0);
    message.put_u32(176, pid);
    message.put(184, body);
    message
}

/// PARTIAL_DELIVER event.
pub fn partial_deliver(group: &[u8], node: NodeId, pid: u32, fragment: Fragment<'_>) -> Message {
    let mut message = Message::response(17, 200 + fragment.body.len(), CsError::Ok);
    put_group(&mut message, 24, group);
    message.put_u32(160, fragment.total);
    message.put_u32(168, fragment.body.len() as u32);
    message.put_u32(176, node.0);
    message.put_u32(184, pid);
    message.put_u32(192, fragment.kind);
    message.put(200, fragment.body);
    message
}

/// TOTEM_CONFCHG event.
pub fn totem_confchg(ring: RingId, members: &[NodeId]) -> Message {
    let mut message = Message::response(13, 48 + 4 * members.len(), CsError::Ok);
    message.put_u32(24, ring.rep.0);
    message.put_u64(32, ring.seq);
    message.put_u32(40, members.len() as u32);
    for (nth, node) in members.iter().enumerate() {
        message.put_u32(44 + 4 * nth, node.0);
    }
    message
}

/// Answer to MEMBERSHIP.
pub fn membership(members: &[Listed]) -> Message {
    let mut message = Message::response(3, 32 + ADDRESS_SIZE * MEMBERS_MAX, CsError::Ok);
    message.put_u32(24, members.len().min(MEMBERS_MAX) as u32);
    for (nth, (node, pid, reason)) in members.iter().take(MEMBERS_MAX).enumerate() {
        put_address(&mut message, 32 + ADDRESS_SIZE * nth, *node, *pid, *reason);
    }
    message
}

/// Answer to ITERATIONNEXT.
pub fn iteration_next(process: &Process) -> Message {
    let mut message = Message::response(10, 168, CsError::Ok);
    put_group(&mut message, 24, &process.group);
    message.put_u32(160, process.node.0);
    message.put_u32(164, process.pid);
    message
}
