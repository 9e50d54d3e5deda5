//! One requested action, from its arrival to its last notification.

use std::collections::BTreeMap;
use std::time::Duration;

use agents::Outcome;
use agents::judge::{ExecStatus, ocf};
use base::Time;
use xml::Element;

use super::wire;

/// Names a running action between core and shell. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(pub u64);

/// The time on both clocks: monotonic for spans, seconds since 1970 for records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For deadlines.
    pub mono: Time,
    /// For `lrmd_run_time` and the like.
    pub epoch: i64,
}

/// An action somebody asked for. A recurring one lives on after each run.
#[derive(Clone, Debug)]
pub struct Cmd {
    /// Id given to the requester.
    pub call_id: u32,
    /// The requesting client's number in the shell.
    pub client: u64,
    /// Options of the request.
    pub options: u32,
    /// The resource.
    pub rsc: String,
    /// The action.
    pub action: String,
    /// 0 for one-shot actions.
    pub interval_ms: u32,
    /// How long it may take; 0 means without limit.
    pub timeout_ms: u32,
    /// How long to wait before the first run.
    pub start_delay_ms: u32,
    /// The requester's own text (the transition key), returned as it is.
    pub userdata: String,
    /// Parameters, returned as they are.
    pub params: BTreeMap<String, String>,

    /// When it may run, as long as it waits for a start delay, or (recurring) for the next time.
    pub not_before: Option<Time>,
    /// Since when it waits for its turn.
    pub queued_at: Time,
    /// When its current or last run began.
    pub started_at: Option<Time>,
    /// When the current run is to be ended by force.
    pub deadline: Option<Time>,
    /// The running process's name.
    pub job: Option<JobId>,
    /// It was cancelled while it ran.
    pub cancelled: bool,

    /// Result of the last run.
    pub outcome: Outcome,
    /// What the last run printed.
    pub output: String,
    /// Wall time of the last run's begin.
    pub run_epoch: i64,
    /// Wall time of the last change of the exit code; 0 before the first result.
    pub change_epoch: i64,
    /// The exit code before this run, if there was a run.
    pub last_rc: Option<i32>,
    /// Duration of the last run.
    pub exec_time: Duration,
    /// How long it waited for the last run.
    pub queue_time: Duration,
    /// What was last told to clients.
    pub told: Option<(i32, ExecStatus)>,
}

impl Cmd {
    /// Reads a `lrmd_rsc_exec` request.
    pub fn from_request(
        now: Now,
        client: u64,
        call_id: u32,
        request: &Element,
        rsc: &Element,
    ) -> Cmd {
        let attr = |name: &str| rsc.get(name).unwrap_or_default().to_owned();
        let start_delay_ms = wire::number(rsc, "lrmd_rsc_start_delay");
        Cmd {
            call_id,
            client,
            options: wire::number(request, "lrmd_callopt"),
            rsc: attr("lrmd_rsc_id"),
            action: attr("lrmd_rsc_action"),
            interval_ms: wire::number(rsc, "lrmd_rsc_interval"),
            timeout_ms: wire::number(rsc, "lrmd_timeout"),
            start_delay_ms,
            userdata: attr("lrmd_rsc_userdata_str"),
            params: wire::params_of(rsc.child("attributes")),
            not_before: (start_delay_ms > 0)
                .then(|| now.mono + Duration::from_millis(start_delay_ms.into())),
            queued_at: now.mono,
            started_at: None,
            deadline: None,
            job: None,
            cancelled: false,
            outcome: Outcome::new(ocf::OK, ExecStatus::Unknown),
            output: String::new(),
            run_epoch: 0,
            change_epoch: 0,
            last_rc: None,
            exec_time: Duration::ZERO,
            queue_time: Duration::ZERO,
            told: None,
        }
    }

    /// The timeout as a span.
    pub fn timeout(&self) -> Duration {
        match self.timeout_ms {
            // Upstream has no limit then either; a week keeps the arithmetic finite.
            0 => Duration::from_secs(7 * 24 * 3600),
            ms => Duration::from_millis(ms.into()),
        }
    }

    /// Whether this is the same recurring action.
    pub fn same_recurring(&self, action: &str, interval_ms: u32) -> bool {
        self.interval_ms == interval_ms && self.action.eq_ignore_ascii_case(action)
    }

    /// Marks the begin of a run.
    pub fn begin(&mut self, now: Now, job: JobId) {
        self.not_before = None;
        self.queue_time = now.mono.since(self.queued_at);
        self.started_at = Some(now.mono);
        self.run_epoch = now.epoch;
        self.deadline = Some(now.mono + self.timeout());
        self.job = Some(job);
        self.cancelled = false;
    }

    /// Takes in a result.
    pub fn end(&mut self, now: Now, outcome: Outcome, output: String) {
        self.exec_time = self.started_at.map_or(Duration::ZERO, |start| now.mono.since(start));
        if self.last_rc != Some(outcome.rc) {
            self.change_epoch = now.epoch;
        }
        self.last_rc = Some(outcome.rc);
        self.outcome = outcome;
        self.output = output;
        self.job = None;
        self.deadline = None;
    }

    /// The completion notification. Source: `spec/pacemaker-ipc.md` §8.3.
    pub fn notification(&self, deleted: bool) -> Element {
        let ms = |span: Duration| span.as_millis().to_string();
        let mut notify = Element::new("lrmd_notify")
            .with("lrmd_origin", "send_cmd_complete_notify")
            .with("lrmd_timeout", self.timeout_ms.to_string())
            .with("lrmd_rsc_interval", self.interval_ms.to_string())
            .with("lrmd_rsc_start_delay", self.start_delay_ms.to_string())
            .with("lrmd_exec_rc", self.outcome.rc.to_string())
            .with("lrmd_exec_op_status", self.outcome.status.code().to_string())
            .with("lrmd_callid", self.call_id.to_string())
            .with("lrmd_rsc_deleted", if deleted { "1" } else { "0" })
            .with("lrmd_run_time", self.run_epoch.to_string())
            .with("lrmd_rcchange_time", self.change_epoch.to_string())
            .with("lrmd_exec_time", ms(self.exec_time))
            .with("lrmd_queue_time", ms(self.queue_time))
            .with("lrmd_op", "lrmd_rsc_exec")
            .with("lrmd_rsc_id", self.rsc.as_str())
            .with("lrmd_rsc_action", self.action.as_str())
            .with("lrmd_rsc_userdata_str", self.userdata.as_str());
        if let Some(reason) = &self.outcome.reason {
            notify.set("lrmd_rsc_exit_reason", reason.as_str());
        }
        if !self.output.is_empty() {
            notify.set("lrmd_rsc_output", self.output.as_str());
        }
        notify.push(wire::params_to(&self.params));
        notify
    }
}
