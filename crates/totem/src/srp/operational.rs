//! Becoming OPERATIONAL: the last messages of the old ring, the two configuration changes, and
//! the new ring begins. Source: `spec/totem.md` §5.6.

use super::{ConfigChange, ConfigKind, Event, Srp, State};
use crate::seq;
use crate::srp::deliver::Item;
use crate::wire::{MCAST_LEN, McastHeader};
use base::{NodeId, Time};

/// Members become operational within one round of the token of each other.
const SETTLED: u8 = 2;

impl Srp {
    /// Counts the token's rounds.
    pub(super) fn count_round(&mut self) {
        if self.state == State::Operational {
            self.rounds = self.rounds.saturating_add(1).min(SETTLED);
        }
    }

    pub(super) fn enter_operational(&mut self, now: Time) {
        self.consensus.clear();
        let old = self.saved.take();
        self.event(Event::ResettingState);
        let mut old_high = old.map_or(self.my_high_seq, |saved| saved.high_seq);
        let last_recovered = self.move_recovered(&mut old_high);

        // The part of the old ring that everybody delivers: up to the first hole.
        self.deliver_contiguous(old_high);
        let minus = |a: &[NodeId], b: &[NodeId]| -> Vec<NodeId> {
            a.iter().copied().filter(|id| !b.contains(id)).collect()
        };
        let left = minus(&self.memb, &self.trans_memb);
        let joined = minus(&self.new_memb, &self.trans_memb);
        self.memb = self.new_memb.clone();
        self.items.push_back(Item::Config(ConfigChange {
            kind: ConfigKind::Transitional,
            ring_id: self.ring_id,
            members: self.trans_memb.clone(),
            left: left.clone(),
            joined: Vec::new(),
        }));
        self.items.push_back(Item::QueueTransitional);
        self.trans_pending = true;
        // Beyond a hole, only what survivors sent: the lost message may have come before what
        // the others said.
        self.deliver_survivors(old_high);
        self.items.push_back(Item::AssembleTransitional);
        self.items.push_back(Item::Config(ConfigChange {
            kind: ConfigKind::Regular,
            ring_id: self.ring_id,
            members: self.memb.clone(),
            left: Vec::new(),
            joined: joined.clone(),
        }));

        self.regular = std::mem::take(&mut self.recovery);
        self.recovery_out.clear();
        self.my_last_aru = 0;
        self.proc_list = self.new_memb.clone();
        self.failed_list.clear();
        self.my_high_delivered = last_recovered;
        self.regular.release(last_recovered, drop);
        self.last_released = last_recovered;

        self.event(Event::EnteringOperational);
        let silent: Vec<NodeId> =
            left.iter().copied().filter(|id| !self.leavers.contains(id)).collect();
        // After what the services say about the change, as in upstream's log.
        let formed = Event::NewMembership { ring_id: self.ring_id, joined, left };
        self.items.push_back(Item::Event(formed));
        if !silent.is_empty() {
            self.items.push_back(Item::Event(Event::LeaveMessageMissing(silent)));
        }
        self.leavers.clear();
        self.state = State::Operational;
        self.rounds = 0;
        self.my_received_flg = true;
        self.old_ring_id = self.ring_id;
        self.restart_pause(now);
        self.stats.operational_entered += 1;
        self.stats.continuous_gather = 0;
    }

    /// Whether the token has been round since this node became operational, so that every other
    /// member is operational too.
    ///
    /// Until then strangers are not listened to: to gather for one now would throw those back who
    /// are still recovering, with their list of failed nodes not yet forgotten, and the stranger
    /// on it. Two large rings that form side by side would do that to each other for ever.
    /// Strangers repeat themselves, so nothing is lost. (Upstream reacts at once.)
    pub(super) fn settled(&self) -> bool {
        self.memb.len() < 2 || self.rounds >= SETTLED
    }

    /// Unwraps what came of our old ring; returns the number of the last recovery message.
    ///
    /// A member may be operational before us, and its first new message here already. Therefore
    /// the last *wrapped* message ends the recovery, not the last one held.
    fn move_recovered(&mut self, old_high: &mut u32) -> u32 {
        let mut last = 0;
        let mut moved = Vec::new();
        for (number, packet) in self.recovery.range(0, self.my_aru) {
            let Some((header, _)) = McastHeader::of_packet(packet) else { continue };
            if header.encapsulated != McastHeader::ENCAPSULATED {
                continue;
            }
            last = number;
            let inner = packet.slice(MCAST_LEN..packet.len());
            if let Some((_, old)) = McastHeader::of_packet(&inner)
                && old.ring_id == self.old_ring_id
            {
                moved.push((old.seq, inner));
            }
        }
        for (number, packet) in moved {
            if self.regular.insert(number, packet) {
                *old_high = seq::max(*old_high, number);
            }
        }
        last
    }
}
