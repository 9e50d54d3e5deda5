//! Messages of votequorum, as bytes.
//!
//! Source: `spec/corosync-services.md` §9.1, §9.2.

use base::NodeId;

use super::Node;
use crate::engine::{ServiceId, exec_id};
use crate::ring::RingId;
use crate::wire::{CsError, Message};

/// Size of a quorum device's name with its NUL.
pub const DEVICE_NAME: usize = 255;

/// Functions of the cluster messages.
pub mod function {
    /// What a node says about a node.
    pub const NODEINFO: u16 = 0;
    /// A change of votes.
    pub const RECONFIGURE: u16 = 1;
    /// A quorum device came or went.
    pub const QDEVICE_REG: u16 = 2;
    /// A quorum device's new name.
    pub const QDEVICE_RECONFIGURE: u16 = 3;
}

/// Flags of a node in NODEINFO.
pub mod flag {
    /// Its partition is quorate.
    pub const QUORATE: u32 = 1;
    /// It leaves in order.
    pub const LEAVING: u32 = 2;
    /// It waits for all.
    pub const WFA_STATUS: u32 = 4;
    /// It has never been with others.
    pub const FIRST: u32 = 8;
    /// It has a quorum device.
    pub const QDEVICE_REGISTERED: u32 = 16;
    /// That answers.
    pub const QDEVICE_ALIVE: u32 = 32;
    /// That votes for it.
    pub const QDEVICE_CAST_VOTE: u32 = 64;
    /// Whose vote decides.
    pub const QDEVICE_MASTER_WINS: u32 = 128;
}

/// What a RECONFIGURE changes.
pub mod param {
    /// The expected votes of all.
    pub const EXPECTED_VOTES: u8 = 1;
    /// The votes of a node.
    pub const NODE_VOTES: u8 = 2;
    /// No longer waiting for all.
    pub const CANCEL_WFA: u8 = 3;
}

/// NODEINFO.
pub fn nodeinfo(id: u32, votes: u32, expected: u32, flags: u32) -> Vec<u8> {
    let mut message = Message::request(exec_id(ServiceId::Votequorum, function::NODEINFO), 32);
    message.put_u32(16, id);
    message.put_u32(20, votes);
    message.put_u32(24, expected);
    message.put_u32(28, flags);
    message.into_bytes()
}

/// RECONFIGURE.
pub fn reconfigure(node: u32, value: u32, param: u8) -> Vec<u8> {
    let mut message = Message::request(exec_id(ServiceId::Votequorum, function::RECONFIGURE), 32);
    message.put_u32(16, node);
    message.put_u32(20, value);
    message.put_u8(24, param);
    message.into_bytes()
}

/// QDEVICE_REG.
pub fn qdevice_reg(register: bool, name: &[u8]) -> Vec<u8> {
    let mut message = Message::request(exec_id(ServiceId::Votequorum, function::QDEVICE_REG), 280);
    message.put_u32(16, u32::from(register));
    message.put(20, cut(name));
    message.into_bytes()
}

/// QDEVICE_RECONFIGURE.
pub fn qdevice_reconfigure(old: &[u8], new: &[u8]) -> Vec<u8> {
    let id = exec_id(ServiceId::Votequorum, function::QDEVICE_RECONFIGURE);
    let mut message = Message::request(id, 528);
    message.put(16, cut(old));
    message.put(271, cut(new));
    message.into_bytes()
}

fn cut(name: &[u8]) -> &[u8] {
    &name[..name.len().min(DEVICE_NAME - 1)]
}

/// Facts of a GETINFO answer.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of the message")]
pub struct Info {
    pub node: u32,
    pub state: u32,
    pub votes: u32,
    pub expected: u32,
    pub highest_expected: u32,
    pub total: u32,
    pub quorum: u32,
    pub flags: u32,
    pub qdevice_votes: u32,
    pub qdevice_name: Vec<u8>,
}

/// Flags of a GETINFO answer.
pub mod info_flag {
    #![allow(missing_docs, reason = "the names say it")]
    pub const TWONODE: u32 = 1;
    pub const QUORATE: u32 = 2;
    pub const WAIT_FOR_ALL: u32 = 4;
    pub const LAST_MAN_STANDING: u32 = 8;
    pub const AUTO_TIE_BREAKER: u32 = 16;
    pub const ALLOW_DOWNSCALE: u32 = 32;
    pub const QDEVICE_REGISTERED: u32 = 64;
    pub const QDEVICE_ALIVE: u32 = 128;
    pub const QDEVICE_CAST_VOTE: u32 = 256;
    pub const QDEVICE_MASTER_WINS: u32 = 512;
}

/// GETINFO's answer.
pub fn info(error: CsError, info: &Info) -> Message {
    let mut message = Message::response(1, 320, error);
    for (nth, value) in [
        info.node,
        info.state,
        info.votes,
        info.expected,
        info.highest_expected,
        info.total,
        info.quorum,
        info.flags,
        info.qdevice_votes,
    ]
    .into_iter()
    .enumerate()
    {
        message.put_u32(24 + 4 * nth, value);
    }
    message.put(60, cut(&info.qdevice_name));
    message
}

/// QUORUM_NOTIFICATION.
pub fn quorum_event(quorate: bool, context: u64, nodes: &[Node], device: Option<&Node>) -> Message {
    let count = nodes.len() + usize::from(device.is_some());
    let mut event = Message::response(3, 48 + 8 * count, CsError::Ok);
    event.put_u32(24, u32::from(quorate));
    event.put_u64(32, context);
    event.put_u32(40, count as u32);
    for (nth, node) in nodes.iter().chain(device).enumerate() {
        event.put_u32(48 + 8 * nth, node.id);
        event.put_u32(52 + 8 * nth, node.state as u32);
    }
    event
}

/// EXPECTEDVOTES_NOTIFICATION.
pub fn expected_event(context: u64, expected: u32) -> Message {
    let mut event = Message::response(4, 40, CsError::Ok);
    event.put_u64(24, context);
    event.put_u32(32, expected);
    event
}

/// NODELIST_NOTIFICATION.
pub fn nodelist_event(context: u64, ring: RingId, members: &[NodeId]) -> Message {
    let mut event = Message::response(5, 56 + 4 * members.len(), CsError::Ok);
    event.put_u64(24, context);
    event.put_u32(32, ring.rep.0);
    event.put_u64(40, ring.seq);
    event.put_u32(48, members.len() as u32);
    for (nth, node) in members.iter().enumerate() {
        event.put_u32(56 + 4 * nth, node.0);
    }
    event
}
