//! What a change of state brings, and what timers do.
//!
//! Source: `spec/pacemaker-cluster.md` §4.5, §4.10.

use super::*;

impl Controller {
    // --- state changes ------------------------------------------------------------------------

    pub(in crate::controld) fn state_changed(&mut self, from: State, to: State) {
        let text = format!(
            "State transition {} -> {} | input={} cause={} origin={}",
            from.as_str(),
            to.as_str(),
            self.current.input.as_str(),
            self.current.cause.as_str(),
            self.current.origin
        );
        self.note(Priority::Notice, text);
        if to != State::Election && from != State::ReleaseDc {
            self.election.stop_timer();
        }
        let mut actions = vec![
            if to == State::Integration {
                Action::IntegrateTimerStart
            } else {
                Action::IntegrateTimerStop
            },
            if to == State::FinalizeJoin {
                Action::FinalizeTimerStart
            } else {
                Action::FinalizeTimerStop
            },
        ];
        if to != State::Pending {
            actions.push(Action::DcTimerStop);
        }
        if to != State::Idle {
            self.timers.recheck = None;
        }
        if from == State::FinalizeJoin && to == State::PolicyEngine {
            self.populate_nodes();
            self.populate_status(Facts::ALL, "do_state_transition");
        }
        match to {
            State::Pending => {
                self.cib_primary(false);
                self.forget_dc();
            }
            State::Election => self.forget_dc(),
            State::NotDc => {
                self.fencing.clear_cleanup();
                if self.flags.shutdown {
                    actions.push(Action::ShutdownReq);
                }
            }
            State::Recovery => actions.push(Action::Recover),
            State::PolicyEngine => self.check_confirmed(),
            State::Stopping | State::Terminate => {
                self.flags.shutdown = true;
                self.fsm.shutting_down = true;
            }
            State::Idle => {
                if self.flags.shutdown {
                    actions.push(Action::ShutdownReq);
                }
                self.start_recheck_timer();
            }
            _ => {}
        }
        if !matches!(to, State::Recovery | State::Pending) {
            self.fsm.remove(Actions::of(&[Action::Recover]));
        }
        self.fsm.add(Actions::of(&actions));
    }

    pub(super) fn check_confirmed(&mut self) {
        let n_active = self.group.peers().n_active();
        let n_confirmed = self.join.count(Phase::Confirmed);
        let n_finalized = self.join.count(Phase::Finalized);
        if n_finalized > 0 {
            let text = format!("{n_finalized} cluster nodes failed to confirm their join");
            self.note(Priority::Error, text);
        }
        if n_confirmed > n_active {
            self.note(Priority::Warning, "More join confirmations than active peers");
            self.input(Input::Election, Cause::Internal, "do_state_transition");
        } else if n_confirmed < n_active && self.join_is_outdated() {
            self.input(Input::NodeJoin, Cause::Internal, "do_state_transition");
        }
    }

    pub(super) fn start_recheck_timer(&mut self) {
        let mut period = self.options.recheck_interval;
        if let Some(recheck_by) = self.graph.recheck_by {
            let left = recheck_by.saturating_sub(self.clock.epoch);
            let until = if left == 0 {
                std::time::Duration::from_millis(500)
            } else {
                std::time::Duration::from_secs(left)
            };
            period = if period.is_zero() { until } else { period.min(until) };
        }
        self.timers.recheck = if period.is_zero() { None } else { self.after(period) };
    }

    // --- timers -------------------------------------------------------------------------------

    pub(in crate::controld) fn pop_timers(&mut self) {
        let now = self.clock.now;
        fn due(timer: &mut Option<base::Time>, now: base::Time) -> bool {
            let due = timer.is_some_and(|at| at <= now);
            if due {
                *timer = None;
            }
            due
        }
        if due(&mut self.timers.wait, now)
            && self.flags.started
            && !self.flags.shutdown
            && !self.connected.contains(&Service::Fencer)
        {
            self.output(Output::Connect(Service::Fencer));
        }
        if due(&mut self.timers.dc, now) {
            self.note(Priority::Info, "Election trigger: no DC answered");
            self.input(Input::DcTimeout, Cause::Timer, "crm_timer_popped");
        }
        if due(&mut self.timers.integrate, now) {
            let input = if self.join.count(Phase::Welcomed) == 0 {
                Input::Election
            } else {
                Input::Integrated
            };
            // Who did not ask in time is left out of this round.
            self.join_drop_welcomed();
            self.input(input, Cause::Timer, "crm_timer_popped");
        }
        if due(&mut self.timers.finalize, now) && self.fsm.state() == State::FinalizeJoin {
            self.input(Input::Election, Cause::Timer, "crm_timer_popped");
        }
        if due(&mut self.timers.recheck, now) && self.fsm.state() == State::Idle {
            self.input(Input::PeCalc, Cause::Timer, "crm_timer_popped");
        }
        if due(&mut self.timers.transition, now) {
            self.input(Input::PeCalc, Cause::Timer, "crm_timer_popped");
        }
        if due(&mut self.timers.shutdown, now) {
            self.note(Priority::Error, "Shutdown took too long, escalating");
            self.input(Input::Stop, Cause::Timer, "crm_timer_popped");
        }
        if due(&mut self.timers.quorum_gained, now) {
            self.abort_transition(INFINITY, Completion::Restart, "Quorum gained");
        }
        if due(&mut self.timers.scheduler, now) && self.flags.the_dc {
            self.note(Priority::Crit, "The scheduler did not answer in time; exiting");
            self.exit_code_for(100);
        }
        if due(&mut self.timers.throttle, now) {
            self.timers.throttle = self.after(std::time::Duration::from_secs(30));
            self.throttle_wanted = true;
        }
        if due(&mut self.timers.fence_history, now) {
            self.sync_fence_history();
        }
        let outcome = self.election.timed_out(now);
        self.election_out(outcome);
        self.grace_ends();
        if self.lrm.confirming.is_some_and(|end| end <= now) {
            self.release_history();
        }
        self.actions_lost();
    }
}
