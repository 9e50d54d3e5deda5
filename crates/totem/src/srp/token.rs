//! Holding the token: retransmit, send, say what is missing, pass it on.
//!
//! Source: `spec/totem.md` §6.

use super::{Event, GatherReason, Output, Srp, State, Timer};
use crate::Bytes;
use crate::seq;
use crate::sort_queue::SORT_QUEUE_SIZE;
use crate::wire::{Kind, MAX_RTR, McastHeader, Message, RtrItem, Token, seal_mcast};
use base::Time;

/// How far beyond what is complete a token's visit looks for missing messages: many times what
/// can be asked for at once.
const MISSING_SCAN: u32 = 1024;

impl Srp {
    pub(super) fn on_token(&mut self, now: Time, mut token: Token) {
        if self.discard_tokens || !matches!(self.state, State::Operational | State::Recovery) {
            return;
        }
        // Upstream looks at the sequence numbers first; a stranger's or a repeated token tells
        // nothing about our ring, so it is dropped before it can touch the idle detection.
        if token.ring_id != self.ring_id || seq::le(token.token_seq, self.my_token_seq) {
            return;
        }
        if self.linger(now, &token) {
            return;
        }
        self.count_round();
        self.note_idleness(now, &token);
        let limit = self.config.seqno_unchanged_const;
        self.token_held = if self.is_rep() {
            self.my_seq_unchanged > limit
        } else {
            self.my_seq_unchanged >= limit
        };
        self.holding = self.is_rep() && self.token_held;
        if self.state == State::Operational {
            self.free_messages(token.aru);
        }

        let last_aru = std::mem::replace(&mut self.my_last_aru, token.aru);
        let mut allowed = self.flow_control(&token);
        let retransmitted = self.retransmit(&mut token, &mut allowed);
        if self.config.cancel_token_hold_on_retransmit
            && self.token_held
            && (retransmitted > 0 || !token.rtr.is_empty())
        {
            self.token_held = false;
            self.holding = false;
        }
        let horizon = self
            .last_released
            .wrapping_add(SORT_QUEUE_SIZE)
            .wrapping_sub(allowed)
            .wrapping_sub(self.config.window_size);
        if seq::lt(horizon, token.seq) {
            allowed = 0;
        }
        self.request_missing(&mut token);
        let sent = retransmitted + self.send_new(now, &mut token, allowed);
        self.account(&mut token, sent);
        if self.update_token_aru(&mut token, last_aru) {
            self.fail_to_receive(now);
            return;
        }

        self.my_token_seq = token.token_seq;
        token.token_seq = token.token_seq.wrapping_add(1);
        let recovered = self.state == State::Recovery && self.recovery_step(&mut token);
        self.token_times.note(now, now, token.backlog);
        self.store_token(&Message::Token(token), Kind::Token);
        if recovered {
            self.enter_operational(now);
        }
        if !self.holding {
            self.send_stored_token();
        }
        self.note_token_let_go(now);
        if self.state == State::Operational {
            self.deliver_contiguous(self.my_high_seq);
        }
        self.start_token_timers(now);
        if self.holding {
            self.timers.set(Timer::TokenHold, now + self.config.hold);
        }
        self.emit_token_sent();
        match self.config.heartbeat() {
            Some(timeout) if !self.holding => self.timers.set(Timer::Heartbeat, now + timeout),
            _ => self.timers.cancel(Timer::Heartbeat),
        }
    }

    /// An unchanged sequence number means nobody sent: count towards holding the token, and let
    /// other rings know of this one.
    fn note_idleness(&mut self, now: Time, token: &Token) {
        if token.seq == self.my_last_seq {
            if !self.timers.runs(Timer::Merge) {
                self.timers.set(Timer::Merge, now + self.config.merge);
            }
            self.my_seq_unchanged = self.my_seq_unchanged.saturating_add(1);
            self.recount_under_way();
        } else {
            self.timers.cancel(Timer::Merge);
            self.timers.cancel(Timer::TokenHold);
            self.my_seq_unchanged = 0;
        }
        self.my_last_seq = token.seq;
    }

    /// Lets go of what everybody has and we delivered.
    fn free_messages(&mut self, token_aru: u32) {
        let all_have = seq::min(seq::min(token_aru, self.my_last_aru), self.my_high_delivered);
        if seq::lt(self.last_released, all_have) {
            let pool = &mut self.pool;
            self.regular.release(all_have, |packet| pool.give(packet));
            self.last_released = self.regular.released();
        }
    }

    fn flow_control(&mut self, token: &Token) -> u32 {
        let window = self.config.window_size;
        let mut allowed = self.config.max_messages.min(window.saturating_sub(token.fcc));
        let waiting = match self.state {
            State::Recovery => self.recovery_out.len(),
            State::Operational | State::Gather | State::Commit => self.backlog(),
        };
        self.my_cbl = u32::try_from(waiting).unwrap_or(u32::MAX);
        let total = token.backlog.wrapping_add(self.my_cbl).wrapping_sub(self.my_pbl);
        if total != 0 {
            let share = u64::from(window) * u64::from(self.my_pbl) / u64::from(total);
            if share > 0 {
                allowed = allowed.min(u32::try_from(share).unwrap_or(u32::MAX));
            }
        }
        allowed
    }

    /// Sends again what others miss and we have.
    fn retransmit(&mut self, token: &mut Token, allowed: &mut u32) -> u32 {
        if token.rtr.is_empty() {
            return 0;
        }
        self.event(Event::RetransmitList(token.rtr.iter().map(|item| item.seq).collect()));
        let queue = if self.state == State::Recovery { &self.recovery } else { &self.regular };
        let mut sent = 0;
        let outputs = &mut self.outputs;
        let ring_id = self.ring_id;
        token.rtr.retain(|item| {
            if item.ring_id != ring_id {
                return false;
            }
            let Some(packet) = queue.get(item.seq).filter(|_| sent < *allowed) else {
                return true;
            };
            outputs.push_back(Output::Multicast(packet.clone()));
            sent += 1;
            false
        });
        *allowed -= sent;
        self.stats.mcast_retx += u64::from(sent);
        sent
    }

    /// Asks for what has been missing for some rotations.
    fn request_missing(&mut self, token: &mut Token) {
        let queue =
            if self.state == State::Recovery { &mut self.recovery } else { &mut self.regular };
        let mut number = self.my_aru;
        let horizon = number.wrapping_add(MISSING_SCAN);
        while seq::lt(number, token.seq) && number != horizon && token.rtr.len() < MAX_RTR {
            number = number.wrapping_add(1);
            if !queue.in_range(number) {
                break;
            }
            if queue.contains(number) || queue.miss(number) < self.config.miss_count_const {
                continue;
            }
            if !token.rtr.iter().any(|item| item.seq == number) {
                token.rtr.push(RtrItem { ring_id: self.ring_id, seq: number });
            }
        }
    }

    /// Sends what waits, as far as allowed, and gives it the next numbers.
    pub(super) fn send_new(&mut self, now: Time, token: &mut Token, allowed: u32) -> u32 {
        let recovering = self.state == State::Recovery;
        let mut sent = 0;
        while sent < allowed {
            let (packet, encapsulated) = if recovering {
                (self.recovery_out.pop_front(), McastHeader::ENCAPSULATED)
            } else {
                let frame = self.next_frame(allowed - sent);
                (frame, McastHeader::PLAIN)
            };
            let Some(mut packet) = packet else { break };
            token.seq = token.seq.wrapping_add(1);
            let mcast = McastHeader {
                system_from: self.me,
                seq: token.seq,
                this_seqno: self.this_seqno,
                ring_id: self.ring_id,
                node_id: 0,
                guarantee: 0,
            };
            self.this_seqno = self.this_seqno.wrapping_add(1);
            seal_mcast(&mut packet, encapsulated, &mcast);
            let packet = Bytes::from(packet);
            let queue = if recovering { &mut self.recovery } else { &mut self.regular };
            queue.insert(token.seq, packet.clone());
            self.outputs.push_back(Output::Multicast(packet));
            sent += 1;
        }
        if sent > 0 {
            self.stats.mcast_tx += u64::from(sent);
            self.my_high_seq = token.seq;
            if recovering {
                self.timers.set(Timer::TokenRetransmit, now + self.config.token_retransmit);
            }
        }
        self.update_aru();
        sent
    }

    /// Writes our part of the flow control sums into the token.
    fn account(&mut self, token: &mut Token, sent: u32) {
        token.fcc = token.fcc.wrapping_add(sent).wrapping_sub(self.my_trc);
        token.backlog = token.backlog.wrapping_add(self.my_cbl).wrapping_sub(self.my_pbl);
        self.my_trc = sent;
        self.my_pbl = self.my_cbl;
    }

    /// Lowers or raises the all-received-up-to mark; `true` when this node has been the one that
    /// lags for too long.
    fn update_token_aru(&mut self, token: &mut Token, last_aru: u32) -> bool {
        let me = self.me.0;
        if seq::lt(self.my_aru, token.aru) || token.aru_addr == me || token.aru_addr == 0 {
            token.aru = self.my_aru;
            token.aru_addr = if token.aru == token.seq { 0 } else { me };
        }
        if token.aru == last_aru && token.aru_addr != 0 {
            self.my_aru_count = self.my_aru_count.saturating_add(1);
        } else {
            self.my_aru_count = 0;
        }
        self.my_aru_count > self.config.fail_recv_const && token.aru_addr == me
    }

    fn fail_to_receive(&mut self, now: Time) {
        self.event(Event::FailedToReceive);
        self.failed_to_recv = true;
        let me = self.me;
        if !self.failed_list.contains(&me) {
            self.failed_list.push(me);
        }
        self.leave_trial_ring();
        self.enter_gather(now, GatherReason::FailedToReceive);
    }
}
