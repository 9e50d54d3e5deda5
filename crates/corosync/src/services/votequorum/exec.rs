//! Cluster messages of votequorum, and its part in a synchronisation.
//!
//! Source: `spec/corosync-services.md` §9.6, §9.7.

use std::time::Duration;

use base::NodeId;
use base::log::Priority;

use super::wire::{self, flag, function, param};
use super::{Node, NodeState, SUBSYS, TieBreaker, Votequorum};
use crate::cmap::Value;
use crate::engine::{Ctx, ServiceId};
use crate::ring::RingId;
use crate::wire::Fields;

/// A NODEINFO's body.
#[derive(Clone, Copy)]
struct NodeInfo {
    id: u32,
    votes: u32,
    expected: u32,
    flags: u32,
}

impl Votequorum {
    /// A cluster message. What is too short for what it claims is dropped.
    pub fn deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        function: u16,
        message: &Fields<'_>,
    ) {
        let done = match function {
            function::NODEINFO => self.nodeinfo(ctx, from, message),
            function::RECONFIGURE => self.reconfigure(ctx, message),
            function::QDEVICE_REG => self.device_registered(ctx, from, message),
            function::QDEVICE_RECONFIGURE => self.device_renamed(message),
            _ => Some(()),
        };
        if done.is_none() {
            ctx.log(Priority::Warning, SUBSYS, || {
                format!("malformed message {function} from node {from} ignored")
            });
        }
    }

    fn nodeinfo(&mut self, ctx: &mut Ctx<'_>, from: NodeId, message: &Fields<'_>) -> Option<()> {
        let info = NodeInfo {
            id: message.u32(16)?,
            votes: message.u32(20)?,
            expected: message.u32(24)?,
            flags: message.u32(28)?,
        };
        if info.id == 0 {
            return self.nodeinfo_of_device(ctx, from, info);
        }
        let mut is_new = self.add_node(info.id);
        let is_us = info.id == self.me.0;
        let us_expected_before = self.us_expected();
        let Some(at) = self.nodes.iter().position(|node| node.id == info.id) else {
            return Some(());
        };
        let before = self.nodes[at].clone();
        let node = &mut self.nodes[at];
        node.flags = info.flags;
        node.votes = info.votes;
        node.state = NodeState::Member;
        let (mut allow_downgrade, mut by_node) = (false, false);
        if info.flags & flag::LEAVING != 0 {
            node.state = NodeState::Leaving;
            (allow_downgrade, by_node) = (true, true);
        }
        if !self.is_quorate && info.flags & flag::QUORATE != 0 {
            allow_downgrade = true;
            if let Some(us) = self.us() {
                us.expected = info.expected;
            }
        }
        let expected = if info.flags & flag::QUORATE != 0 || self.ev_tracking {
            info.expected
        } else {
            self.us_expected()
        };
        self.nodes[at].expected = expected;
        if self.last_man_standing && info.votes > 1 {
            ctx.log(Priority::Warning, SUBSYS, || {
                "Last Man Standing feature is supported only when all cluster nodes votes are set \
                 to 1. Disabling LMS."
                    .into()
            });
            self.last_man_standing = false;
            self.lms_deadline = None;
        }
        is_new |= self.us_expected() != us_expected_before;
        if is_new || is_us || info.flags & flag::FIRST != 0 || self.nodes[at] != before {
            self.recalculate(ctx, allow_downgrade, by_node);
        }
        if self.wait_for_all
            && info.flags & flag::WFA_STATUS == 0
            && info.flags & flag::QUORATE != 0
        {
            self.set_wfa_status(ctx, false);
        }
        Some(())
    }

    fn nodeinfo_of_device(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        info: NodeInfo,
    ) -> Option<()> {
        let sender_is_quorate =
            self.nodes.iter().any(|node| node.id == from.0 && node.flags & flag::QUORATE != 0);
        let before = self.device.votes;
        if !self.is_quorate && sender_is_quorate {
            self.device.votes = info.votes;
        } else {
            self.device.votes = self.device.votes.max(info.votes);
        }
        if self.device.votes != before {
            self.recalculate(ctx, false, false);
        }
        Some(())
    }

    /// Adds a node where upstream's list would hold it; only the order of notifications shows it.
    fn add_node(&mut self, id: u32) -> bool {
        if self.nodes.iter().any(|node| node.id == id) {
            return false;
        }
        let last = self.nodes.len().saturating_sub(1);
        let at = self.nodes.iter().position(|node| node.id > id).unwrap_or(last);
        let node = Node { id, state: NodeState::Dead, votes: 0, expected: 0, flags: 0 };
        self.nodes.insert(at, node);
        true
    }

    fn reconfigure(&mut self, ctx: &mut Ctx<'_>, message: &Fields<'_>) -> Option<()> {
        let (id, value, what) = (message.u32(16)?, message.u32(20)?, message.u8(24)?);
        match what {
            param::EXPECTED_VOTES => {
                if value != 0 {
                    let members =
                        self.nodes.iter_mut().filter(|node| node.state == NodeState::Member);
                    for node in members {
                        node.expected = value;
                    }
                }
                self.tell_expected(ctx);
                self.ev_barrier = value;
                ctx.map.put("runtime.votequorum.ev_barrier", Value::U32(value));
                if self.ev_tracking {
                    let barrier = self.ev_tracking_barrier;
                    if let Some(us) = self.us() {
                        us.expected = us.expected.max(barrier);
                    }
                }
                self.recalculate(ctx, true, false);
            }
            param::NODE_VOTES => {
                if let Some(record) = self.record(id) {
                    record.votes = value;
                    self.recalculate(ctx, true, false);
                }
            }
            param::CANCEL_WFA => {
                self.set_wfa_status(ctx, false);
                ctx.log(Priority::Info, SUBSYS, || {
                    format!("wait_for_all_status reset by user on node {id}.")
                });
                self.recalculate(ctx, false, false);
            }
            _ => {}
        }
        Some(())
    }

    /// A synchronisation begins.
    pub fn sync_init(&mut self, ctx: &mut Ctx<'_>, members: &[NodeId], ring: RingId) {
        self.is_syncing = true;
        self.nodeinfo_sent = false;
        if members.len() > 1 {
            self.set_us_flag(flag::FIRST, false);
        }
        let mut somebody_left = false;
        for gone in self.members.iter().filter(|node| !members.contains(node)) {
            somebody_left = true;
            if let Some(node) = self.nodes.iter_mut().find(|node| node.id == gone.0) {
                node.state = NodeState::Dead;
            }
        }
        if self.last_man_standing {
            let count = members.len() as u32;
            let tie_breaker = self.tie_breaker != TieBreaker::None && self.is_member(self.lowest);
            if (count >= self.quorum && somebody_left) || (count <= self.quorum && tie_breaker) {
                self.lms_deadline =
                    Some(ctx.now + Duration::from_millis(self.lms_window_ms.into()));
            }
        }
        self.previous_members = std::mem::replace(&mut self.members, members.to_vec());
        self.ring = ring;
        let alive = flag::QDEVICE_REGISTERED | flag::QDEVICE_ALIVE;
        if self.us_flags() & alive == alive {
            let wait = self.device_sync_timeout_ms;
            self.device_deadline = Some(ctx.now + Duration::from_millis(wait.into()));
            self.wait_for_poll = true;
            let name = String::from_utf8_lossy(&self.device_name).into_owned();
            ctx.log(Priority::Info, SUBSYS, || {
                format!("waiting for quorum device {name} poll (but maximum for {wait} ms)")
            });
        }
    }

    /// Sends what the others need. False: ask again, the quorum device has not spoken.
    pub fn sync_process(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if !self.nodeinfo_sent {
            self.nodeinfo_sent = true;
            self.send_nodeinfo_us(ctx);
            self.send_nodeinfo_device(ctx);
            if !self.device_name.is_empty() {
                let message = wire::qdevice_reg(true, &self.device_name);
                ctx.mcast(ServiceId::Votequorum, function::QDEVICE_REG, message);
            }
            for tracker in &self.trackers {
                let event = wire::nodelist_event(tracker.context, self.ring, &self.members);
                ctx.event(tracker.conn, event);
            }
        }
        !(self.us_flags() & flag::QDEVICE_REGISTERED != 0 && self.wait_for_poll)
    }

    /// Everybody has sent: the verdict on the new membership.
    pub fn sync_activate(&mut self, ctx: &mut Ctx<'_>) {
        self.recalculate(ctx, false, false);
        self.give_verdict(ctx);
        self.is_syncing = false;
    }
}
