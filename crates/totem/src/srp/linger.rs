//! Patience under a flood.
//!
//! On a fast network a token is round in some ten microseconds, and while programs pour messages
//! in it would find one or two of them at every visit: the ring would spend its processors on
//! tokens, and the programs would not get them. A node whose own messages pile up therefore keeps
//! the token until a fraction of a millisecond has passed since it let it go the last time, or
//! until enough waits for it. Where a rotation takes longer than that anyway, and while few
//! messages are under way (each waiting for the one before), nothing is ever kept.
//!
//! The same stop serves as a brake ([`Srp::set_brake`]): where a program cannot take its messages
//! as fast as the whole ring sends them, only the ring's own pace can help.
//!
//! Other members see a holder that is busy for a moment, as any holder may be.

use super::{Srp, State, Timer};
use crate::seq;
use crate::wire::Token;
use base::Time;
use std::time::Duration;

/// Shortest rotation under a flood.
const ROTATION: Duration = Duration::from_micros(100);
/// So many own messages under way are a flood …
const FLOOD: usize = 8;
/// … and for so long after.
const MEMORY: Duration = Duration::from_millis(5);
/// Frames that are worth a visit.
const WORTHWHILE: usize = 12;

/// What a node knows of its own haste.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Own messages queued and not delivered yet.
    under_way: usize,
    flooded_until: Time,
    let_go_at: Option<Time>,
    kept: Option<Token>,
    brake: Duration,
}

impl Srp {
    /// Whether this node's messages pile up: it pays to take many requests at once.
    pub fn is_flooded(&self, now: Time) -> bool {
        self.state == State::Operational && now < self.patience.flooded_until
    }

    /// From now on the token leaves here at most once in `brake` (0: as fast as it can), but often
    /// enough that nobody thinks it lost, even if all members brake.
    pub fn set_brake(&mut self, brake: Duration) {
        let members = u32::try_from(self.memb.len()).unwrap_or(u32::MAX).max(1);
        let before = self.patience.brake;
        self.patience.brake = brake.min(self.config.token / 2 / members);
        if self.patience.brake < before
            && self.patience.kept.is_some()
            && let Some(at) = self.patience.let_go_at
        {
            self.timers.set(Timer::Linger, at + self.patience.brake);
        }
    }

    /// Whether enough waits for the next visit of the token.
    pub fn has_worthwhile_backlog(&self) -> bool {
        self.backlog() >= WORTHWHILE
    }

    /// A message was queued.
    pub(super) fn note_queued(&mut self, now: Time) {
        self.patience.under_way += 1;
        if self.patience.under_way >= FLOOD {
            self.patience.flooded_until = now + MEMORY;
        }
        let brakes = !self.patience.brake.is_zero();
        if self.patience.kept.is_some() && !brakes && self.has_worthwhile_backlog() {
            self.end_linger(now);
        }
    }

    /// A message of ours came back.
    pub(super) fn note_own_delivery(&mut self) {
        self.patience.under_way = self.patience.under_way.saturating_sub(1);
    }

    /// Nothing was sent for a rotation: what is under way is what waits here.
    pub(super) fn recount_under_way(&mut self) {
        self.patience.under_way = self.normal_queue.len() + self.trans_queue.len();
    }

    pub(super) fn note_token_let_go(&mut self, now: Time) {
        self.patience.let_go_at = Some(now);
    }

    /// Keeps the token for later (true), or not.
    pub(super) fn linger(&mut self, now: Time, token: &Token) -> bool {
        if let Some(kept) = &self.patience.kept
            && kept.ring_id == token.ring_id
            && seq::le(token.token_seq, kept.token_seq)
        {
            return true;
        }
        let gathers = self.is_flooded(now)
            && !self.waiting_trans_ack
            && token.rtr.is_empty()
            && !self.has_worthwhile_backlog();
        let rotation = if gathers { ROTATION } else { Duration::ZERO };
        let until = self.patience.let_go_at.map(|at| at + rotation.max(self.patience.brake));
        match until.filter(|until| *until > now && self.state == State::Operational) {
            Some(until) => {
                self.patience.kept = Some(token.clone());
                self.timers.set(Timer::Linger, until);
                true
            }
            None => {
                self.forget_kept();
                false
            }
        }
    }

    /// Uses the token that was kept.
    pub(super) fn end_linger(&mut self, now: Time) {
        self.timers.cancel(Timer::Linger);
        if let Some(token) = self.patience.kept.take() {
            self.patience.let_go_at = None;
            self.on_token(now, token);
        }
    }

    /// The ring is another one, or the token went on.
    pub(super) fn forget_kept(&mut self) {
        self.timers.cancel(Timer::Linger);
        self.patience.kept = None;
    }
}
