//! Counting votes: how many are needed, how many are here, and whether that is enough.
//!
//! Source: `spec/corosync-services.md` §9.5.

use base::NodeId;
use base::log::Priority;

use super::wire::{self, flag};
use super::{NodeState, SUBSYS, TieBreaker, Verdict, Votequorum};
use crate::cmap::Value;
use crate::engine::Ctx;

impl Votequorum {
    /// Votes needed, and votes here.
    pub(super) fn needed(&self, allow_decrease: bool, max_expected: u32) -> (u32, u32) {
        let mut max_expected = max_expected;
        if self.allow_downscale && allow_decrease && max_expected > 0 {
            max_expected = max_expected.max(self.ev_barrier);
        }
        let (mut highest, mut total, mut nodes) = (0u32, 0u32, 0u32);
        for node in self.nodes.iter().filter(|node| node.state == NodeState::Member) {
            highest = highest.max(node.expected);
            total = total.saturating_add(node.votes);
            nodes += 1;
        }
        if self.us_flags() & flag::QDEVICE_CAST_VOTE != 0 {
            total = total.saturating_add(self.device.votes);
            nodes += 1;
        }
        if max_expected > 0 {
            highest = max_expected;
        }
        let half = |votes: u32| (u64::from(votes) + 2) / 2;
        let mut new = u32::try_from(half(highest).max(half(total))).unwrap_or(u32::MAX);
        if !allow_decrease {
            new = new.max(self.quorum);
        }
        if self.two_node && nodes <= 2 {
            new = 1;
        }
        (new, total)
    }

    pub(super) fn recalculate(
        &mut self,
        ctx: &mut Ctx<'_>,
        allow_decrease: bool,
        by_current_nodes: bool,
    ) {
        let members = self.nodes.iter().filter(|node| node.state == NodeState::Member);
        let (mut total, mut count) = (0u32, 0u32);
        for node in members {
            total = total.saturating_add(node.votes);
            count += 1;
        }
        if self.device.votes != 0 {
            total = total.saturating_add(self.device.votes);
            count += 1;
        }
        let cluster_members = if by_current_nodes { count } else { 0 };
        if total > self.us_expected() {
            if let Some(us) = self.us() {
                us.expected = total;
            }
            self.tell_expected(ctx);
        }
        self.grow_tracking_barrier();
        let (quorum, total) = self.needed(allow_decrease, cluster_members);
        self.quorum = quorum;
        if cluster_members != 0 {
            for node in self.nodes.iter_mut().filter(|node| node.state == NodeState::Member) {
                node.expected = cluster_members;
            }
        }
        self.decide(ctx, total);
    }

    /// The barrier of `expected_votes_tracking` only grows.
    pub(super) fn grow_tracking_barrier(&mut self) {
        let expected = self.us_expected();
        if self.ev_tracking && expected > self.ev_tracking_barrier {
            self.ev_tracking_barrier = expected;
        }
    }

    fn decide(&mut self, ctx: &mut Ctx<'_>, total: u32) {
        let expected = self.us_expected();
        if self.wait_for_all && self.wfa_status {
            if total != expected {
                ctx.notice(
                    SUBSYS,
                    format!(
                        "Waiting for all cluster members. Current votes: {total} expected_votes: \
                         {expected}"
                    ),
                );
                return;
            }
            self.set_wfa_status(ctx, false);
        }
        let mut quorate = self.quorum <= total;
        if quorate {
            self.publish_extremes(ctx);
        }
        if self.tie_breaker != TieBreaker::None && total == expected / 2 {
            let lost = self.previous_members.len() as i64 - self.members.len() as i64;
            if lost < i64::from(self.quorum) && self.breaks_tie() {
                quorate = true;
            }
        }
        if self.device_master_wins && !quorate {
            let both = flag::QDEVICE_MASTER_WINS | flag::QDEVICE_CAST_VOTE;
            quorate = self
                .nodes
                .iter()
                .any(|node| node.state == NodeState::Member && node.flags & both == both);
        }
        let changed = quorate != self.is_quorate;
        if changed {
            ctx.log(Priority::Debug, SUBSYS, || {
                if quorate {
                    "quorum regained, resuming activity".into()
                } else {
                    "quorum lost, blocking activity".into()
                }
            });
        }
        self.is_quorate = quorate;
        self.set_us_flag(flag::QUORATE, quorate);
        if self.wait_for_all {
            self.set_wfa_status(ctx, !quorate);
        }
        if changed && !self.is_syncing {
            self.give_verdict(ctx);
        }
    }

    /// Tells the quorum service and the trackers.
    pub(super) fn give_verdict(&mut self, ctx: &mut Ctx<'_>) {
        self.verdicts.push(Verdict {
            members: self.members.clone(),
            is_quorate: self.is_quorate,
            ring: self.ring,
        });
        self.tell_quorum(ctx);
    }

    fn publish_extremes(&mut self, ctx: &mut Ctx<'_>) {
        let ids =
            || self.nodes.iter().filter(|node| node.state == NodeState::Member).map(|node| node.id);
        let (Some(lowest), Some(highest)) = (ids().min(), ids().max()) else { return };
        self.lowest = lowest;
        self.highest = highest;
        ctx.map.put("runtime.votequorum.lowest_node_id", Value::U32(lowest));
        ctx.map.put("runtime.votequorum.highest_node_id", Value::U32(highest));
    }

    /// Whether this half of an even split is the one that goes on.
    fn breaks_tie(&self) -> bool {
        match &self.tie_breaker {
            TieBreaker::None => false,
            TieBreaker::Lowest => self.is_member(self.lowest),
            TieBreaker::Highest => self.is_member(self.highest),
            TieBreaker::List(ids) => {
                for id in ids {
                    let id = NodeId(*id);
                    if self.members.contains(&id) {
                        return true;
                    }
                    if self.previous_members.contains(&id) {
                        return false;
                    }
                }
                false
            }
        }
    }

    pub(super) fn is_member(&self, id: u32) -> bool {
        self.nodes.iter().any(|node| node.id == id && node.state == NodeState::Member)
    }

    pub(super) fn set_wfa_status(&mut self, ctx: &mut Ctx<'_>, waiting: bool) {
        self.wfa_status = waiting;
        self.set_us_flag(flag::WFA_STATUS, waiting);
        ctx.map.put("runtime.votequorum.wait_for_all_status", Value::U8(u8::from(waiting)));
    }

    pub(super) fn tell_expected(&self, ctx: &mut Ctx<'_>) {
        for tracker in &self.trackers {
            let event = wire::expected_event(tracker.context, self.us_expected());
            ctx.event(tracker.conn, event);
        }
    }

    pub(super) fn tell_quorum(&self, ctx: &mut Ctx<'_>) {
        for tracker in &self.trackers {
            ctx.event(tracker.conn, self.quorum_event(tracker.context));
        }
    }

    pub(super) fn quorum_event(&self, context: u64) -> crate::wire::Message {
        let registered = self.us_flags() & flag::QDEVICE_REGISTERED != 0;
        let device = registered.then_some(&self.device);
        wire::quorum_event(self.is_quorate, context, &self.nodes, device)
    }
}
