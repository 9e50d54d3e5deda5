//! The executor's queues: whose turn it is, what repeats when, and cancelling.
//!
//! Source: `spec/pacemaker-cluster.md` §16.1.

use std::collections::VecDeque;
use std::time::Duration;

use agents::class::Class;
use agents::judge::{ExecStatus, ocf};
use agents::{Call, Outcome};
use base::Time;

use super::command::{Cmd, JobId, Now};
use super::core::{Core, DeviceState, Output, Resource};

impl Core {
    pub(super) fn schedule(&mut self, now: Now, cmd: Cmd) {
        let id = cmd.rsc.clone();
        if cmd.action == "stop" {
            // Nothing may be watched any more once it is being stopped.
            let repeated: Vec<(String, u32)> =
                self.resources.get(&id).map_or_else(Vec::new, |rsc| {
                    let waiting = rsc.pending.iter().chain(&rsc.recurring).chain(&rsc.active);
                    waiting
                        .filter(|cmd| cmd.interval_ms > 0)
                        .map(|cmd| (cmd.action.clone(), cmd.interval_ms))
                        .collect()
                });
            for (action, interval_ms) in repeated {
                self.cancel(now, &id, &action, interval_ms);
            }
        }
        let Some(rsc) = self.resources.get_mut(&id) else { return };
        match merge_recurring(rsc, &cmd) {
            true => self.handle_timeout(now),
            false => {
                rsc.pending.push_back(cmd);
                self.run_next(now, &id);
            }
        }
    }

    /// Starts the first waiting action of a resource if it may run.
    pub(super) fn run_next(&mut self, now: Now, id: &str) {
        let Some(rsc) = self.resources.get_mut(id) else { return };
        let ready =
            rsc.pending.front().is_some_and(|cmd| cmd.not_before.is_none_or(|due| due <= now.mono));
        if rsc.active.is_some() || !ready {
            return;
        }
        let Some(mut cmd) = rsc.pending.pop_front() else { return };
        self.last_job += 1;
        let job = JobId(self.last_job);
        cmd.begin(now, job);
        let is_device = rsc.agent.class == Class::Stonith;
        let known = (is_device && cmd.interval_ms == 0 && is_monitor(&cmd.action))
            .then(|| probed(rsc.device));
        let call = Call {
            agent: rsc.agent.clone(),
            resource: id.to_owned(),
            action: cmd.action.clone(),
            params: cmd.params.clone(),
            timeout: cmd.timeout(),
        };
        rsc.active = Some(cmd);
        match known {
            Some(outcome) => self.on_ended(now, job, outcome, String::new()),
            None if is_device => self.outputs.push_back(Output::Fence { job, call }),
            None => self.outputs.push_back(Output::Start { job, call }),
        }
    }

    pub(super) fn on_ended(&mut self, now: Now, job: JobId, outcome: Outcome, output: String) {
        if let Some(at) = self.orphans.iter().position(|cmd| cmd.job == Some(job)) {
            let mut cmd = self.orphans.remove(at);
            let cancelled = cmd.cancelled;
            cmd.end(now, outcome, output);
            if cancelled {
                self.report_cancelled(now, &mut cmd, true);
            } else {
                self.tell(&mut cmd, true);
            }
            return;
        }
        let is_ours = |rsc: &Resource| rsc.active.as_ref().is_some_and(|cmd| cmd.job == Some(job));
        let Some((id, rsc)) = self.resources.iter_mut().find(|(_, rsc)| is_ours(rsc)) else {
            return;
        };
        let id = id.clone();
        let Some(mut cmd) = rsc.active.take() else { return };
        if rsc.agent.class == Class::Stonith {
            rsc.device = device_after(rsc.device, &cmd, &outcome);
        }
        if outcome.status == ExecStatus::Pending && !cmd.cancelled && is_monitor(&cmd.action) {
            // In between two states (systemd): asked again until it is in one, or time is over.
            if let Some(again) = ask_again_at(now, &cmd) {
                cmd.not_before = Some(again);
                cmd.job = None;
                rsc.pending.push_front(cmd);
                return;
            }
        }
        let outcome = match outcome.status {
            ExecStatus::Pending => Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Timeout)
                .because("Resource did not reach a stable state in time"),
            _ => outcome,
        };
        let cancelled = cmd.cancelled;
        cmd.end(now, outcome, output);
        if cancelled {
            self.report_cancelled(now, &mut cmd, false);
        } else {
            self.tell(&mut cmd, false);
            if cmd.interval_ms > 0
                && let Some(rsc) = self.resources.get_mut(&id)
            {
                cmd.not_before = Some(now.mono + Duration::from_millis(cmd.interval_ms.into()));
                rsc.recurring.push(cmd);
            }
        }
        self.run_next(now, &id);
    }

    // --- cancelling -------------------------------------------------------------------------

    /// Cancels an action that waits, or a recurring one in any state. `false`: no such action.
    pub(super) fn cancel(&mut self, now: Now, id: &str, action: &str, interval_ms: u32) -> bool {
        let Some(rsc) = self.resources.get_mut(id) else { return false };
        let waiting = rsc.pending.iter().position(|cmd| cmd.same_recurring(action, interval_ms));
        if let Some(mut cmd) = waiting.and_then(|at| rsc.pending.remove(at)) {
            self.report_cancelled(now, &mut cmd, false);
            self.run_next(now, id);
            return true;
        }
        if let Some(at) =
            rsc.recurring.iter().position(|cmd| cmd.same_recurring(action, interval_ms))
        {
            let mut cmd = rsc.recurring.remove(at);
            self.report_cancelled(now, &mut cmd, false);
            return true;
        }
        let running = rsc
            .active
            .take_if(|cmd| cmd.interval_ms > 0 && cmd.same_recurring(action, interval_ms));
        let Some(mut cmd) = running else { return false };
        self.kill_cancelled(&mut cmd);
        if let Some(rsc) = self.resources.get_mut(id) {
            rsc.active = Some(cmd);
        }
        true
    }

    pub(super) fn kill_cancelled(&mut self, cmd: &mut Cmd) {
        if let (Some(job), false) = (cmd.job, cmd.cancelled) {
            self.outputs.push_back(Output::Kill { job, group: true });
        }
        cmd.cancelled = true;
        cmd.deadline = None;
    }

    pub(super) fn report_cancelled(&mut self, now: Now, cmd: &mut Cmd, deleted: bool) {
        if cmd.run_epoch == 0 {
            cmd.run_epoch = now.epoch;
        }
        let rc = cmd.told.map_or(ocf::OK, |(rc, _)| rc);
        cmd.outcome = Outcome::new(rc, ExecStatus::Cancelled);
        cmd.output.clear();
        self.tell(cmd, deleted);
    }

    pub(super) fn on_fencer_lost(&mut self) {
        for rsc in self.resources.values_mut() {
            if rsc.agent.class == Class::Stonith && rsc.device == DeviceState::Active {
                rsc.device = DeviceState::Unknown;
            }
        }
    }
}

fn is_monitor(action: &str) -> bool {
    matches!(action, "monitor" | "status")
}

/// Ends an action by force when its time is over.
pub(super) fn expire(now: Now, cmd: &mut Cmd, outputs: &mut VecDeque<Output>) {
    if let (Some(job), Some(deadline)) = (cmd.job, cmd.deadline)
        && deadline <= now.mono
    {
        cmd.deadline = None;
        // An administrator who wants a failure to block wants to look at what is left of it.
        let group = cmd.params.get("CRM_meta_on_fail").is_none_or(|value| value != "block");
        outputs.push_back(Output::Kill { job, group });
    }
}

/// Folds a recurring action into the one that is there already. It then runs at once.
fn merge_recurring(rsc: &mut Resource, cmd: &Cmd) -> bool {
    if cmd.interval_ms == 0 {
        return false;
    }
    let all = rsc.pending.iter_mut().chain(&mut rsc.recurring).chain(&mut rsc.active);
    let mut same =
        all.filter(|known| !known.cancelled && known.same_recurring(&cmd.action, cmd.interval_ms));
    let Some(known) = same.next() else { return false };
    known.call_id = cmd.call_id;
    known.client = cmd.client;
    known.options = cmd.options;
    known.userdata = cmd.userdata.clone();
    known.params = cmd.params.clone();
    known.timeout_ms = cmd.timeout_ms;
    known.told = None;
    if known.job.is_none() {
        known.not_before = None;
    }
    true
}

/// What a probe of a fence device says, from memory: devices are registrations, not processes.
fn probed(device: DeviceState) -> Outcome {
    match device {
        DeviceState::Inactive => Outcome::new(ocf::NOT_RUNNING, ExecStatus::Done),
        DeviceState::Active => Outcome::new(ocf::OK, ExecStatus::Done),
        DeviceState::Unknown => Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::NotConnected)
            .because("Lost connection to fencer"),
    }
}

fn device_after(before: DeviceState, cmd: &Cmd, outcome: &Outcome) -> DeviceState {
    let good = outcome.rc == ocf::OK && outcome.status == ExecStatus::Done;
    match cmd.action.as_str() {
        "start" if good => DeviceState::Active,
        "start" | "stop" if outcome.status == ExecStatus::NotConnected => DeviceState::Unknown,
        "start" => DeviceState::Inactive,
        "stop" if good => DeviceState::Inactive,
        _ => before,
    }
}

/// When to ask an undecided service again; `None` if that would be after its timeout.
fn ask_again_at(now: Now, cmd: &Cmd) -> Option<Time> {
    let timeout = cmd.timeout();
    let delay = Duration::from_secs(2).min(timeout / 10).max(Duration::from_millis(10));
    let again = now.mono + delay;
    (again.since(cmd.queued_at) < timeout).then_some(again)
}
