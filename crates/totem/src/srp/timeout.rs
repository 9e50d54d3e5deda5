//! What happens when nothing happens. Source: `spec/totem.md` §4, §5.7.

use super::{Event, GatherReason, Output, Srp, State, Timer};
use crate::wire;
use base::Time;

impl Srp {
    /// Lets time pass. Early, late and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(token) = self.self_token.take() {
            // Our own encoding decodes.
            let _ = self.dispatch(now, &token, true);
        }
        while let Some(timer) = self.timers.pop(now) {
            self.on_timer(now, timer);
        }
        self.drain_loopback(now);
    }

    fn on_timer(&mut self, now: Time, timer: Timer) {
        match timer {
            Timer::TokenLoss | Timer::Heartbeat => self.on_token_loss(now),
            Timer::TokenWarning => {
                let span = self.config.token * self.config.token_warning / 100;
                self.event(Event::TokenWarning { ms: span.as_millis() as u64 });
                self.timers.set(Timer::TokenWarning, now + span);
            }
            Timer::TokenRetransmit => {
                if self.state != State::Gather {
                    self.holding = false;
                    self.send_stored_token();
                    self.timers.set(Timer::TokenRetransmit, now + self.config.token_retransmit);
                }
            }
            Timer::TokenHold => {
                if matches!(self.state, State::Operational | State::Recovery) {
                    self.holding = false;
                    self.send_stored_token();
                }
            }
            Timer::Linger => self.end_linger(now),
            Timer::Join => {
                if matches!(self.state, State::Gather | State::Commit) {
                    self.send_join();
                    self.timers.set(Timer::Join, now + self.config.join);
                }
            }
            Timer::SendJoin => {
                if self.state == State::Gather {
                    self.send_join();
                }
            }
            Timer::Consensus => {
                if self.state == State::Gather {
                    self.stats.consensus_timeouts += 1;
                    self.consensus_expired(now);
                }
            }
            Timer::Merge => self.send_merge_detect(),
            Timer::Pause => {
                self.check_pause(now);
                self.restart_pause(now);
            }
        }
    }

    fn on_token_loss(&mut self, now: Time) {
        self.timers.cancel(Timer::TokenWarning);
        match self.state {
            State::Operational => {
                self.event(Event::TokenLostOperational);
                self.event(Event::TokenTimedOut {
                    token_ms: self.config.token.as_millis() as u64,
                    consensus_ms: self.config.consensus.as_millis() as u64,
                });
                self.outputs.push_back(Output::CheckInterface);
                self.stats.operational_token_lost += 1;
                self.enter_gather(now, GatherReason::TokenLostOperational);
            }
            State::Gather => {
                let ms = self.config.consensus.as_millis() as u64;
                self.event(Event::ConsensusExpired { ms });
                self.stats.gather_token_lost += 1;
                self.consensus_expired(now);
                self.enter_gather(now, GatherReason::ConsensusExpired);
            }
            State::Commit => {
                self.stats.commit_token_lost += 1;
                self.enter_gather(now, GatherReason::TokenLostCommit);
            }
            State::Recovery => {
                self.leave_trial_ring();
                self.stats.recovery_token_lost += 1;
                self.enter_gather(now, GatherReason::TokenLostRecovery);
            }
        }
    }

    /// (Re)starts the timers that watch a token just sent.
    pub(super) fn start_token_timers(&mut self, now: Time) {
        self.timers.set(Timer::TokenLoss, now + self.config.token);
        if self.config.token_warning > 0 {
            let span = self.config.token * self.config.token_warning / 100;
            self.timers.set(Timer::TokenWarning, now + span);
        }
        if self.state != State::Gather {
            self.timers.set(Timer::TokenRetransmit, now + self.config.token_retransmit);
        }
    }
}

// The packets of `loopback` and `self_token` are read by the same decoder as those of the
// network; this keeps the assumption in the comments above honest.
const _: () = assert!(wire::MAX_PROCESSORS * 28 + 41 < wire::MAX_PACKET);
