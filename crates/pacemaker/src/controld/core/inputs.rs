//! What the shell tells the controller, and the loop that runs until nothing is left to do.

use super::*;

impl Controller {
    /// The process starts.
    pub fn start(&mut self, clock: Clock) {
        self.clock = clock;
        self.note(Priority::Notice, "Starting Pacemaker cluster node agent (Quorate controller)");
        self.input(Input::Startup, Cause::Startup, "crmd_init");
        self.run();
    }

    /// A connection attempt that was asked for has ended.
    pub fn connected(&mut self, clock: Clock, service: Service, ok: bool) {
        self.clock = clock;
        self.connecting.remove(&service);
        if ok {
            self.connected.insert(service);
            self.connect_tries.remove(&service);
            self.timers.wait = None;
            if service == Service::Fencer {
                self.timers.fence_history = self.after(Duration::from_secs(30));
            }
        } else {
            *self.connect_tries.entry(service).or_default() += 1;
            if self.timers.wait.is_none() {
                self.timers.wait = self.after(CONNECT_RETRY);
            }
        }
        self.run();
    }

    /// Something happened in the group.
    pub fn group_event(&mut self, clock: Clock, event: &GroupEvent) {
        self.clock = clock;
        match event {
            GroupEvent::Message { name, xml, from } => self.peer_message(*from, name, xml),
            GroupEvent::Peer(change) => self.peer_changed(change),
            GroupEvent::Membership { .. } => self.leaving.clear(),
            GroupEvent::Refused { from, why } => {
                self.note(Priority::Error, format!("Dropped message of node {from}: {why}"));
            }
            GroupEvent::Evicted => {
                self.note(Priority::Crit, "Lost connection to cluster layer, shutting down");
                self.exit_code = 102;
                self.exit_code_for(102);
            }
        }
        self.run();
    }

    /// Tells, before the events of a configuration change, whom it took.
    pub fn group_leaving(&mut self, left: &[NodeId]) {
        self.leaving = left.to_vec();
    }

    /// A deadline has passed.
    pub fn timed_out(&mut self, clock: Clock) {
        self.clock = clock;
        self.pop_timers();
        self.run();
    }

    /// When [`timed_out`](Self::timed_out) is wanted.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers
            .all()
            .into_iter()
            .flatten()
            .chain(self.election.next_deadline())
            .chain(self.graph.next_deadline())
            .chain(self.grace.values().copied())
            .chain(self.lrm.confirming)
            .min()
    }

    /// SIGTERM, or a client asked for it.
    pub fn shutdown(&mut self, clock: Clock) {
        self.clock = clock;
        self.begin_shutdown();
        self.run();
    }

    pub(in crate::controld) fn begin_shutdown(&mut self) {
        if self.flags.shutdown {
            self.note(Priority::Error, "Escalating shutdown");
            self.input_first(Input::Error, Cause::Shutdown, "crm_shutdown");
            return;
        }
        self.note(Priority::Notice, "Shutting down cluster resource manager");
        self.flags.shutdown = true;
        self.fsm.shutting_down = true;
        self.input(Input::Shutdown, Cause::Shutdown, "crm_shutdown");
        self.timers.shutdown = self.after(self.options.shutdown_escalation);
    }

    pub(in crate::controld) fn exit_code_for(&mut self, code: i32) {
        let code = if self.flags.stay_down && code == 0 { 100 } else { code };
        let code = if self.flags.in_recovery && code == 0 { 1 } else { code };
        self.halted = true;
        self.output(Output::Exit(code));
    }

    /// Runs until nothing is left to do without new input.
    pub(in crate::controld) fn run(&mut self) {
        self.fsm.resume();
        loop {
            while let Some(step) = if self.halted { None } else { self.fsm.step() } {
                match step {
                    Step::Took(event, change) => {
                        self.current = event;
                        if let Some(change) = change {
                            self.state_changed(change.from, change.to);
                        }
                    }
                    Step::Do(action) => self.execute(action),
                }
            }
            if !std::mem::take(&mut self.pass_wanted) || self.halted {
                break;
            }
            self.graph_pass();
            // Some wait for the end of the transition.
            self.fsm.resume();
        }
        self.maybe_start_fast();
    }

    /// When everybody who is configured is there and quorate, there is no point in waiting
    /// `dc-deadtime` for a DC that may be booting: one that exists would have answered by now.
    pub(super) fn maybe_start_fast(&mut self) {
        if self.fsm.state() != State::Pending || self.dc_name.is_some() {
            self.fast_armed = false;
            return;
        }
        let Some(deadline) = self.timers.dc else { return };
        let wanted = self.setup.n_configured.unwrap_or(usize::MAX);
        // Who has been part of this cluster before knows that its DC died a moment ago.
        let complete = self.flags.join_ok || self.group.peers().n_active() >= wanted;
        if self.fast_armed || !self.quorate || !complete {
            return;
        }
        self.fast_armed = true;
        self.timers.dc = Some(deadline.min(self.clock.now + FAST_START));
    }

    /// Whether a load sample is wanted ([`loaded`](Self::loaded)).
    pub fn wants_load(&mut self) -> bool {
        std::mem::take(&mut self.throttle_wanted)
    }

    /// This host's load.
    pub fn loaded(&mut self, clock: Clock, sample: crate::controld::throttle::Sample) {
        self.clock = clock;
        if let Some(mode) = self.throttle.news(sample) {
            let max = self.throttle.job_max();
            let mut message = self.request("throttle", None, "crmd", "crmd", None);
            message.set("crm-limit-mode", (mode as u32).to_string());
            message.set("crm-limit-max", max.to_string());
            self.send_peer(None, &message);
        }
        self.run();
    }

    /// The single action of a stalled step.
    pub(in crate::controld) fn stall(&mut self, action: Action) {
        let current = self.current.clone();
        self.fsm.stall(action, &current);
    }
}
