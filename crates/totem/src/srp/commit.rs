//! COMMIT: the commit token collects what each member brings. Source: `spec/totem.md` §5.5.

use super::{Event, Output, SavedRing, Srp, State, Timer};
use crate::RingId;
use crate::wire::{CommitEntry, CommitToken, Kind, Message};
use base::{NodeId, Time};

impl Srp {
    pub(super) fn create_commit_token(&mut self, now: Time) {
        self.event(Event::CreatingCommitToken);
        let mut members = self.candidates();
        members.sort();
        members.dedup();
        let token = CommitToken {
            ring_id: RingId { rep: self.me, seq: self.token_ring_id_seq.wrapping_add(4) },
            entries: vec![CommitEntry::default(); members.len()],
            members,
            ..CommitToken::default()
        };
        self.enter_commit(now, token);
    }

    fn enter_commit(&mut self, now: Time, mut token: CommitToken) {
        if self.saved.is_none() {
            self.old_ring_id = self.ring_id;
            let saved = SavedRing { aru: self.my_aru, high_seq: self.my_high_seq };
            self.saved = Some(saved);
            self.event(Event::SavingState { aru: saved.aru, high_seq: saved.high_seq });
        }
        let aru = self.saved.map_or(self.my_aru, |saved| saved.aru);
        self.new_memb = token.members.clone();
        let index = token.memb_index as usize;
        let Some(own) = token.entries.get_mut(index) else { return };
        self.my_received_flg = self.my_aru == self.my_high_seq;
        *own = CommitEntry {
            ring_id: self.old_ring_id,
            aru,
            high_delivered: self.my_high_delivered,
            received_flg: u32::from(self.my_received_flg),
        };
        let filled = &mut token.entries[..=index];
        let old_ring = self.old_ring_id;
        let high_aru =
            filled.iter().filter(|e| e.ring_id == old_ring).map(|e| e.aru).max().unwrap_or(aru);
        for entry in filled.iter_mut().filter(|e| e.ring_id == old_ring && e.aru < high_aru) {
            entry.received_flg = 0;
        }
        if aru < high_aru {
            self.my_received_flg = false;
        }
        token.memb_index += 1;

        for timer in [Timer::Join, Timer::SendJoin, Timer::Consensus] {
            self.timers.cancel(timer);
        }
        self.ring_id = token.ring_id;
        self.token_ring_id_seq = token.ring_id.seq;
        self.event(Event::StoringRingSeq(token.ring_id.seq));
        self.outputs.push_back(Output::Persist { ring_seq: token.ring_id.seq });
        self.event(Event::EnteringCommit);
        self.state = State::Commit;
        self.stats.commit_entered += 1;
        (self.my_trc, self.my_pbl, self.my_cbl) = (0, 0, 0);
        self.send_commit_token(token);
        self.start_token_timers(now);
    }

    /// Forwards the commit token and keeps a copy.
    pub(super) fn send_commit_token(&mut self, mut token: CommitToken) {
        token.token_seq = token.token_seq.wrapping_add(1);
        self.stats.memb_commit_token_tx += 1;
        self.store_token(&Message::Commit(token), Kind::Commit);
        self.send_stored_token();
    }

    pub(super) fn on_commit_token(&mut self, now: Time, token: CommitToken) {
        self.event(Event::CommitTokenReceived);
        let complete = token.memb_index as usize == token.members.len();
        match self.state {
            State::Operational => {}
            State::Gather => {
                let mut expected = self.candidates();
                expected.sort();
                let mine = token.members.get(token.memb_index as usize) == Some(&self.me);
                let sound = token.ring_id.rep != NodeId(0)
                    && token.members.is_sorted_by(|a, b| a < b)
                    && token.members == expected;
                if mine && sound && token.ring_id.seq > self.ring_id.seq {
                    self.enter_commit(now, token);
                }
            }
            State::Commit => {
                if complete && token.ring_id == self.ring_id && token.members == self.new_memb {
                    self.enter_recovery(now, token);
                }
            }
            State::Recovery => {
                if self.is_rep() && token.ring_id == self.ring_id && !self.initial_token_sent {
                    self.send_initial_token(now);
                }
            }
        }
    }
}
