//! GATHER: join and leave messages, agreement on the members, foreign rings.
//!
//! Source: `spec/totem.md` §5.2 to §5.4, §5.8, §5.9.

use super::{Event, GatherReason, Output, Srp, State, Timer};
use crate::RingId;
use crate::wire::{Header, Join, Kind, MAX_PROCESSORS, McastHeader, Message};
use base::{NodeId, Time};
use std::collections::BTreeSet;
use std::time::Duration;

/// After a pause, join messages this young are taken for leftovers in the socket.
const FLUSH_AFTER_PAUSE: Duration = Duration::from_millis(10);

fn add(list: &mut Vec<NodeId>, node: NodeId) {
    if !list.contains(&node) && list.len() < MAX_PROCESSORS {
        list.push(node);
    }
}

fn same_set(a: &[NodeId], b: &[NodeId]) -> bool {
    let set = |list: &[NodeId]| list.iter().copied().collect::<BTreeSet<_>>();
    set(a) == set(b)
}

fn subset(part: &[NodeId], whole: &[NodeId]) -> bool {
    part.iter().all(|node| whole.contains(node))
}

impl Srp {
    pub(super) fn enter_gather(&mut self, now: Time, reason: GatherReason) {
        self.discard_tokens = true;
        self.initial_token_sent = false;
        self.self_token = None;
        self.token_held = false;
        self.holding = false;
        self.forget_kept();
        let me = self.me;
        add(&mut self.proc_list, me);
        if self.config.send_join.is_zero() {
            self.send_join();
        } else {
            let limit = u64::try_from(self.config.send_join.as_nanos()).unwrap_or(u64::MAX);
            let delay = Duration::from_nanos(self.random_below(limit));
            self.timers.set(Timer::SendJoin, now + delay);
        }
        self.timers.set(Timer::Join, now + self.config.join);
        self.timers.set(Timer::Consensus, now + self.config.consensus);
        for timer in [
            Timer::TokenRetransmit,
            Timer::TokenLoss,
            Timer::TokenWarning,
            Timer::Merge,
            Timer::TokenHold,
            Timer::Heartbeat,
        ] {
            self.timers.cancel(timer);
        }
        self.consensus = BTreeSet::from([me]);
        self.event(Event::Gather(reason));
        self.state = State::Gather;
        self.stats.gather_entered += 1;
        if reason == GatherReason::ConsensusExpired {
            self.stats.continuous_gather += 1;
        }
    }

    pub(super) fn send_join(&mut self) {
        self.stats.memb_join_tx += 1;
        let message = Message::Join(Join {
            system_from: self.me,
            ring_seq: self.ring_id.seq,
            proc_list: self.proc_list.clone(),
            failed_list: self.failed_list.clone(),
        });
        self.multicast_control(&self.own_header(Kind::Join), &message);
    }

    pub(super) fn send_leave(&mut self, _now: Time) {
        let me = self.me;
        self.failed_list.retain(|id| *id != me);
        self.failed_list.push(me);
        self.stats.memb_join_tx += 1;
        let message = Message::Join(Join {
            system_from: me,
            ring_seq: self.ring_id.seq,
            proc_list: self.proc_list.iter().copied().filter(|id| *id != me).collect(),
            failed_list: self.failed_list.clone(),
        });
        let header = Header { nodeid: 0, ..self.own_header(Kind::Join) };
        self.multicast_control(&header, &message);
    }

    pub(super) fn on_join(&mut self, now: Time, header_nodeid: u32, join: Join) {
        let zero = NodeId(0);
        if join.system_from == zero
            || join.proc_list.contains(&zero)
            || join.failed_list.contains(&zero)
        {
            self.stats.rx_msg_dropped += 1;
            return;
        }
        self.check_pause(now);
        if now < self.flush_until && join.system_from != self.me {
            self.stats.rx_msg_dropped += 1;
            return;
        }
        self.token_ring_id_seq = self.token_ring_id_seq.max(join.ring_seq);
        let committed =
            self.new_memb.contains(&join.system_from) && join.ring_seq >= self.ring_id.seq;
        // A partner of the ring being formed that has meanwhile heard of one more node will not
        // take the commit token: it gathers again, and so must we. (Upstream sits out the token
        // timeout here, which is why its nodes sometimes need seconds to find each other.)
        let moved_on = header_nodeid != 0
            && self.new_memb.contains(&join.system_from)
            && !subset(&join.proc_list, &self.proc_list);
        match self.state {
            State::Operational => {
                let member = self.memb.contains(&join.system_from);
                let stale = member && join.ring_seq < self.ring_id.seq;
                // A stranger who has given up on any of us will not be in a ring with all of us
                // until it has had one of its own: then it forgets, and the rings merge. To
                // gather for it now would only make us give up on it in turn, and two large
                // rings would keep that up for ever. (Upstream looks for itself alone.)
                let grudge = join.failed_list.iter().any(|id| self.memb.contains(id));
                let stranger = !member && (grudge || !self.settled());
                if !join.failed_list.contains(&self.me) && !stale && !stranger {
                    self.process_join(now, header_nodeid, &join);
                }
            }
            State::Gather => self.process_join(now, header_nodeid, &join),
            State::Commit if committed || moved_on => {
                self.note_leave(header_nodeid, &join);
                self.merge_lists(&join);
                self.enter_gather(now, GatherReason::JoinCommit);
            }
            State::Recovery if committed => {
                self.note_leave(header_nodeid, &join);
                self.merge_lists(&join);
                self.leave_trial_ring();
                self.enter_gather(now, GatherReason::JoinRecovery);
            }
            State::Commit | State::Recovery => {}
        }
    }

    fn note_leave(&mut self, header_nodeid: u32, join: &Join) {
        if header_nodeid == 0
            && let Some(leaver) = join.failed_list.last()
        {
            self.leavers.insert(*leaver);
            self.event(Event::LeaveReceived(*leaver));
        }
    }

    /// Takes over what the message tells beyond what is known; `false` if that is nothing.
    ///
    /// A failed list that may not be believed is no news either: were it answered with a join
    /// message of our own, two nodes with different lists would answer each other for ever.
    fn merge_lists(&mut self, join: &Join) -> bool {
        let news = !subset(&join.proc_list, &self.proc_list)
            || !subset(&join.failed_list, &self.failed_list);
        if !news || self.failed_list.contains(&join.system_from) {
            return false;
        }
        let before = (self.proc_list.len(), self.failed_list.len());
        for node in &join.proc_list {
            add(&mut self.proc_list, *node);
        }
        if join.failed_list.contains(&self.me) {
            add(&mut self.failed_list, join.system_from);
        } else if self.memb.contains(&join.system_from) {
            // Only a member of our ring may tell us who failed in it.
            for node in &join.failed_list {
                add(&mut self.failed_list, *node);
            }
        }
        before != (self.proc_list.len(), self.failed_list.len())
    }

    fn process_join(&mut self, now: Time, header_nodeid: u32, join: &Join) {
        self.note_leave(header_nodeid, join);
        let equal = same_set(&join.proc_list, &self.proc_list)
            && same_set(&join.failed_list, &self.failed_list);
        if equal {
            if header_nodeid != 0 {
                self.consensus.insert(join.system_from);
            }
            if self.consensus_agreed() {
                if self.failed_to_recv {
                    self.failed_to_recv = false;
                    self.proc_list = vec![self.me];
                    self.failed_list.clear();
                    self.create_commit_token(now);
                    return;
                }
                if self.candidates().iter().min() == Some(&self.me) {
                    self.create_commit_token(now);
                    return;
                }
            }
        } else if self.merge_lists(join) {
            self.enter_gather(now, GatherReason::MergeJoin);
            return;
        }
        if self.state == State::Operational {
            self.enter_gather(now, GatherReason::JoinOperational);
        }
    }

    /// Those the next ring would have: heard of and not given up on.
    pub(super) fn candidates(&self) -> Vec<NodeId> {
        self.proc_list.iter().copied().filter(|id| !self.failed_list.contains(id)).collect()
    }

    pub(super) fn consensus_agreed(&self) -> bool {
        self.candidates().iter().all(|id| self.consensus.contains(id))
    }

    /// The consensus timer's action: start over with those who agreed, or wait for the commit
    /// token if all did. Source: §5.7.
    pub(super) fn consensus_expired(&mut self, now: Time) {
        if self.consensus_agreed() {
            self.consensus = BTreeSet::from([self.me]);
            self.start_token_timers(now);
        } else {
            for node in self.proc_list.clone() {
                if !self.consensus.contains(&node) {
                    add(&mut self.failed_list, node);
                }
            }
            self.enter_gather(now, GatherReason::ConsensusTimeout);
        }
    }

    /// A frame of another ring: its sender should be in ours, or we in its.
    pub(super) fn on_foreign_mcast(&mut self, now: Time, mcast: &McastHeader) {
        let from = mcast.system_from;
        // What a member sent in a ring before this one is merely late.
        let late = self.memb.contains(&from) && mcast.ring_id.seq < self.ring_id.seq;
        if self.state == State::Operational && late {
            return;
        }
        self.hear_of(now, from, GatherReason::ForeignOperational, GatherReason::ForeignGather);
    }

    pub(super) fn on_merge_detect(&mut self, now: Time, from: NodeId, ring_id: RingId) {
        if ring_id == self.ring_id {
            return;
        }
        let late = self.memb.contains(&from) && ring_id.seq < self.ring_id.seq;
        if self.state == State::Operational && late {
            return;
        }
        self.hear_of(now, from, GatherReason::MergeOperational, GatherReason::MergeGather);
    }

    fn hear_of(
        &mut self,
        now: Time,
        from: NodeId,
        operational: GatherReason,
        gathering: GatherReason,
    ) {
        if from == self.me || from == NodeId(0) {
            return;
        }
        match self.state {
            State::Operational if !self.memb.contains(&from) && !self.settled() => {}
            State::Operational => {
                add(&mut self.proc_list, from);
                self.enter_gather(now, operational);
            }
            State::Gather if !self.proc_list.contains(&from) => {
                add(&mut self.proc_list, from);
                self.enter_gather(now, gathering);
            }
            State::Gather | State::Commit | State::Recovery => {}
        }
    }

    pub(super) fn restart_pause(&mut self, now: Time) {
        self.pause_stamp = now;
        self.timers.set(Timer::Pause, now + self.config.token / 5);
    }

    /// Notices that this process did not run for a while: join messages that piled up meanwhile
    /// tell of a world long gone.
    pub(super) fn check_pause(&mut self, now: Time) {
        if !self.timers.runs(Timer::Pause) {
            return;
        }
        let gap = now.since(self.pause_stamp);
        if gap > self.config.token / 2 {
            self.event(Event::ProcessPause { ms: gap.as_millis() as u64 });
            self.flush_until = now + FLUSH_AFTER_PAUSE;
            self.pause_stamp = now;
        }
    }

    pub(super) fn send_merge_detect(&mut self) {
        if self.state != State::Operational || !self.is_rep() {
            return;
        }
        self.stats.memb_merge_detect_tx += 1;
        let message = Message::MergeDetect { system_from: self.me, ring_id: self.ring_id };
        let packet = crate::wire::encode(&self.own_header(Kind::MergeDetect), &message);
        self.outputs.push_back(Output::Multicast(packet.into()));
    }
}
