//! What the layer above asks: send this, may I, how full is it; the synchronisation is done; tell
//! me when the token has passed. Source: `spec/totem.md` §6.4, §8.5, §8.6.

use super::{Event, Guarantee, Output, Srp, State, Timer};
use crate::pg::{Admission, QueueLevel, SendQueue, group_header};
use crate::wire::{self, Kind, MCAST_LEN, Message};
use base::Time;

/// Frame overhead that admission reckons with (upstream's constant).
const ADMISSION_OVERHEAD: usize = 24;

impl Srp {
    /// Queues a message to a group. It comes back as [`Output::Deliver`] on every member, this
    /// one included. [`Admission::Room`] means it is queued; otherwise nothing happened.
    pub fn multicast(
        &mut self,
        now: Time,
        _guarantee: Guarantee,
        group: &[u8],
        parts: &[&[u8]],
    ) -> Admission {
        let header = group_header(group);
        let size = header.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let admission = self.admit(size);
        if let Admission::Room(_) = admission {
            let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
            all.push(&header);
            all.extend(parts);
            self.active_queue().push(&all);
            self.want_token(now);
            self.note_queued(now);
        }
        admission
    }

    /// Whether a message of `size` bytes would be taken now.
    pub fn admit(&self, size: usize) -> Admission {
        let mtu = self.config.net_mtu;
        let per_frame = mtu.saturating_sub(ADMISSION_OVERHEAD).max(1);
        let limit = (self.config.queue_slots().saturating_sub(3)) * per_frame;
        if size >= limit {
            return Admission::TooBig;
        }
        let needed = size / per_frame + 1;
        if needed > self.queue_available() { Admission::Full } else { Admission::Room(needed) }
    }

    /// Reserves room for a request that is about to be handled; pair with
    /// [`release`](Self::release) of the same number of slots.
    pub fn reserve(&mut self, size: usize) -> Admission {
        let admission = self.admit(size);
        if let Admission::Room(slots) = admission {
            self.reserved += slots;
        }
        admission
    }

    /// Gives reserved slots back.
    pub fn release(&mut self, slots: usize) {
        self.reserved = self.reserved.saturating_sub(slots);
    }

    /// Slots reserved (`stats.pg.msg_reserved`).
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// Free slots of the queue that is in use (`stats.pg.msg_queue_avail`).
    pub fn queue_available(&self) -> usize {
        let queue = if self.waiting_trans_ack { &self.trans_queue } else { &self.normal_queue };
        self.config.queue_slots().saturating_sub(queue.frames() + 2)
    }

    /// How full the queue is, for the clients' flow control. Ask after each call that may have
    /// changed it: the answer remembers the last one.
    pub fn queue_level(&mut self) -> QueueLevel {
        let slots = self.config.queue_slots() as i64;
        let free = self.queue_available() as i64 - self.reserved as i64;
        self.level = self.level.next(100 - free * 100 / slots.max(1));
        self.level
    }

    /// Whether messages are held back until the synchronisation is complete.
    pub fn waiting_trans_ack(&self) -> bool {
        self.waiting_trans_ack
    }

    /// The synchronisation of the services is complete: application messages flow again.
    pub fn trans_ack(&mut self, now: Time) {
        if !self.waiting_trans_ack && !self.assembling_trans {
            return;
        }
        self.waiting_trans_ack = false;
        self.assembling_trans = false;
        self.event(Event::WaitingTransAck(false));
        // What the services still had to say must not wait for the next change of membership.
        self.normal_queue.append(&mut self.trans_queue);
        if !self.normal_queue.is_empty() {
            self.want_token(now);
        }
    }

    /// Asks for one [`Output::TokenSent`] after the next token was forwarded.
    pub fn request_token_sent(&mut self, now: Time) {
        self.token_sent_wanted = true;
        self.want_token(now);
    }

    /// Takes such a wish back.
    pub fn cancel_token_sent(&mut self) {
        self.token_sent_wanted = false;
    }

    pub(super) fn active_queue(&mut self) -> &mut SendQueue {
        if self.waiting_trans_ack { &mut self.trans_queue } else { &mut self.normal_queue }
    }

    /// How many frames the token will find. A new ring stops application messages at once, even
    /// before the shell has polled that far.
    pub(super) fn backlog(&self) -> usize {
        let held_back = self.waiting_trans_ack || self.trans_pending;
        if held_back { self.trans_queue.frames() } else { self.normal_queue.frames() }
    }

    /// The next frame to be sent, with room for its headers.
    pub(super) fn next_frame(&mut self, frames_left: u32) -> Option<Vec<u8>> {
        let held_back = self.waiting_trans_ack || self.trans_pending;
        let queue = if held_back { &mut self.trans_queue } else { &mut self.normal_queue };
        queue.next_frame(MCAST_LEN, frames_left, || self.pool.take())
    }

    /// If the representative may be holding the token: ask for it.
    fn want_token(&mut self, now: Time) {
        if !self.token_held {
            return;
        }
        self.token_held = false;
        if self.use_held_token(now) {
            return;
        }
        self.stats.token_hold_cancel_tx += 1;
        let message = Message::HoldCancel { ring_id: self.ring_id };
        self.multicast_control(&self.own_header(Kind::HoldCancel), &message);
        self.drain_loopback(now);
    }

    /// The representative of an idle ring has the token already: its own message goes with it at
    /// once. (Upstream's lets the token go and sends when it comes back.)
    fn use_held_token(&mut self, now: Time) -> bool {
        if !self.holding || self.state != State::Operational {
            return false;
        }
        let Some(Ok((_, Message::Token(mut token)))) =
            self.stored_token.as_deref().map(wire::decode)
        else {
            return false;
        };
        self.holding = false;
        self.my_seq_unchanged = 0;
        self.timers.cancel(Timer::TokenHold);
        let room = self.config.window_size.saturating_sub(token.fcc);
        let sent = self.send_new(now, &mut token, room.min(self.config.max_messages));
        token.fcc = token.fcc.wrapping_add(sent);
        self.my_trc = self.my_trc.wrapping_add(sent);
        if token.aru_addr == self.me.0 || token.aru_addr == 0 {
            token.aru = self.my_aru;
            token.aru_addr = if token.aru == token.seq { 0 } else { self.me.0 };
        }
        self.store_token(&Message::Token(token), Kind::Token);
        self.send_stored_token();
        self.note_token_let_go(now);
        self.deliver_contiguous(self.my_high_seq);
        true
    }

    pub(super) fn on_hold_cancel(&mut self) {
        self.my_seq_unchanged = 0;
        if self.holding {
            self.holding = false;
            self.timers.cancel(Timer::TokenHold);
            self.send_stored_token();
        }
    }

    pub(super) fn emit_token_sent(&mut self) {
        if std::mem::take(&mut self.token_sent_wanted) {
            self.outputs.push_back(Output::TokenSent);
        }
    }
}
