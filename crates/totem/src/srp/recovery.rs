//! RECOVERY: members exchange what some of them missed of the old ring.
//!
//! Source: `spec/totem.md` §5.6.

use super::{Event, Output, Srp, State};
use crate::seq;
use crate::sort_queue::SortQueue;
use crate::wire::{CommitToken, Kind, MCAST_LEN, Message, Token};
use base::Time;

impl Srp {
    pub(super) fn enter_recovery(&mut self, now: Time, token: CommitToken) {
        self.discard_tokens = false;
        self.recovery = SortQueue::new(0);
        self.recovery_out.clear();
        self.my_token_seq = u32::MAX;

        self.trans_memb = self
            .memb
            .iter()
            .copied()
            .filter(|node| {
                token.members.iter().position(|id| id == node).is_some_and(|at| {
                    token.entries.get(at).is_some_and(|e| e.ring_id == self.old_ring_id)
                })
            })
            .collect();
        for (index, node) in self.trans_memb.clone().into_iter().enumerate() {
            self.event(Event::TransMember { index, node });
        }
        for (index, (node, entry)) in token.members.iter().zip(&token.entries).enumerate() {
            self.event(Event::Position {
                index,
                node: *node,
                ring_id: entry.ring_id,
                aru: entry.aru,
                high_delivered: entry.high_delivered,
                received: entry.received_flg,
            });
        }
        self.originate_old_messages(&token);
        self.outputs.push_back(Output::Processors(token.members.len()));
        self.send_commit_token(token);

        self.my_aru = 0;
        self.my_high_seq = 0;
        self.my_install_seq = 0;
        self.last_released = 0;
        self.my_aru_count = 0;
        self.my_seq_unchanged = 0;
        self.my_last_seq = 0;
        self.my_last_aru = 0;
        self.my_rotation_counter = 0;
        self.my_retrans_flg_count = 0;
        self.my_set_retrans_flg = false;
        self.token_held = false;
        self.holding = false;
        self.start_token_timers(now);
        self.event(Event::EnteringRecovery);
        self.state = State::Recovery;
        self.stats.recovery_entered += 1;
    }

    /// Queues every old message that one of the survivors may lack.
    fn originate_old_messages(&mut self, token: &CommitToken) {
        let Some(saved) = self.saved else { return };
        let trans = || {
            token.members.iter().zip(&token.entries).filter(|(node, entry)| {
                self.trans_memb.contains(node) && entry.ring_id == self.old_ring_id
            })
        };
        if trans().all(|(_, entry)| entry.received_flg != 0) {
            self.event(Event::NoRecoveryNeeded);
            return;
        }
        let low = trans().map(|(_, entry)| entry.aru).fold(saved.high_seq, seq::min);
        if saved.high_seq == low {
            self.event(Event::NoRecoveryNeeded);
            return;
        }
        let queued: Vec<Vec<u8>> = self
            .regular
            .range(low, saved.high_seq)
            .map(|(_, packet)| {
                let mut wrapped = Vec::with_capacity(MCAST_LEN + packet.len());
                wrapped.resize(MCAST_LEN, 0);
                wrapped.extend_from_slice(packet);
                wrapped
            })
            .collect();
        let first = low.wrapping_add(1);
        self.event(Event::CopyingOldMessages { first, last: saved.high_seq });
        self.event(Event::OriginatedInRecovery(queued.len()));
        self.recovery_out.extend(queued);
    }

    /// The representative starts the new ring's token, once the commit token made two rounds.
    pub(super) fn send_initial_token(&mut self, now: Time) {
        self.event(Event::InitialToken);
        self.initial_token_sent = true;
        self.my_set_retrans_flg = !self.recovery_out.is_empty();
        let token = Token {
            aru: u32::MAX,
            aru_addr: self.me.0,
            ring_id: self.ring_id,
            retrans_flg: u32::from(self.my_set_retrans_flg),
            ..Token::default()
        };
        self.stats.orf_token_tx += 1;
        self.store_token(&Message::Token(token), Kind::Token);
        self.send_stored_token();
        self.start_token_timers(now);
    }

    /// What a token does in RECOVERY before it is forwarded; `true` when recovery is complete.
    pub(super) fn recovery_step(&mut self, token: &mut Token) -> bool {
        if !self.recovery_out.is_empty() {
            if token.retrans_flg == 0 {
                token.retrans_flg = 1;
                self.my_set_retrans_flg = true;
            }
        } else if token.retrans_flg == 1 && self.my_set_retrans_flg {
            token.retrans_flg = 0;
            self.my_set_retrans_flg = false;
        }
        if token.retrans_flg == 0 {
            self.my_retrans_flg_count += 1;
        } else {
            self.my_retrans_flg_count = 0;
        }
        if self.my_retrans_flg_count == 2 {
            self.my_install_seq = token.seq;
        }
        if self.my_retrans_flg_count >= 2 && seq::le(self.my_install_seq, self.my_aru) {
            self.my_received_flg = true;
        }
        if self.my_retrans_flg_count >= 3 && seq::le(self.my_install_seq, token.aru) {
            self.my_rotation_counter += 1;
        } else {
            self.my_rotation_counter = 0;
        }
        let complete = self.my_rotation_counter == 2;
        if complete {
            self.my_rotation_counter = 0;
            self.my_retrans_flg_count = 0;
        }
        complete
    }

    /// Gives up a ring that did not become operational: what is known of the old one counts
    /// again.
    pub(super) fn leave_trial_ring(&mut self) {
        if self.state != State::Recovery {
            return;
        }
        if let Some(saved) = self.saved {
            self.my_aru = saved.aru;
            self.my_high_seq = saved.high_seq;
            self.event(Event::RestoringState { aru: saved.aru, high_seq: saved.high_seq });
        }
    }
}
