//! The executor's state machine: resources, their queues, recurring actions, notifications.
//!
//! Rules: one action runs per resource, the others wait in order; a waiting action whose start
//! delay has not passed holds up those behind it; different resources do not wait for each other.
//! A recurring action stays with its resource between runs and runs again an interval after each
//! completion. Source: `spec/pacemaker-cluster.md` §16.1.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use agents::class::{AgentName, Class};
use agents::{Call, Outcome};
use base::Time;
use xml::Element;

use super::command::{Cmd, JobId, Now};
use super::queue::expire;
use super::wire::{self, EACCES, EINPROGRESS, EINVAL, ENODEV, EOPNOTSUPP, EPROTO, EPROTONOSUPPORT};

/// What can happen to the executor.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client connected.
    Connected {
        /// Its number, chosen by the shell.
        client: u64,
        /// Its unique id, told to it when it registers.
        uuid: String,
        /// Root or the cluster user.
        privileged: bool,
    },
    /// A client went away.
    Disconnected {
        /// Its number.
        client: u64,
    },
    /// A client sent a message.
    Request {
        /// Its number.
        client: u64,
        /// The message.
        request: &'a Element,
    },
    /// A job ended.
    Ended {
        /// Which.
        job: JobId,
        /// The verdict.
        outcome: Outcome,
        /// What the agent printed: errors if any, else output.
        output: String,
    },
    /// The connection to the fencer was lost: what it was told to watch is unknown.
    FencerLost,
}

/// What the executor wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Answer the request that is being handled.
    Reply {
        /// To whom.
        client: u64,
        /// The answer.
        reply: Element,
    },
    /// Tell a client.
    Event {
        /// Whom.
        client: u64,
        /// What.
        event: Element,
    },
    /// Run an agent; end with [`Input::Ended`].
    Start {
        /// Its name from now on.
        job: JobId,
        /// What to run.
        call: Call,
    },
    /// Ask the fencer; end with [`Input::Ended`].
    Fence {
        /// Its name from now on.
        job: JobId,
        /// What to ask.
        call: Call,
    },
    /// End a job by force; it still ends with [`Input::Ended`].
    Kill {
        /// Which.
        job: JobId,
        /// Its whole process group.
        group: bool,
    },
    /// Run an alert agent; nobody waits for it.
    Alert {
        /// The alert's id.
        id: String,
        /// The program.
        path: String,
        /// Its environment.
        env: BTreeMap<String, String>,
        /// How long it may take.
        timeout: Duration,
    },
    /// Check the watchdog timeout against the local sbd.
    CheckWatchdog {
        /// The cluster option's value.
        value: String,
    },
}

/// What is known about a fence device's state, for probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum DeviceState {
    /// Never started here.
    #[default]
    Inactive,
    /// Started here.
    Active,
    /// The fencer that had it is gone.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) agent: AgentName,
    pub(super) drop_recurring: bool,
    pub(super) active: Option<Cmd>,
    pub(super) pending: VecDeque<Cmd>,
    /// Recurring actions that wait for their next time.
    pub(super) recurring: Vec<Cmd>,
    pub(super) device: DeviceState,
}

#[derive(Debug)]
pub(super) struct Client {
    uuid: String,
    name: Option<String>,
    privileged: bool,
}

/// The executor.
#[derive(Debug, Default)]
pub struct Core {
    clients: BTreeMap<u64, Client>,
    pub(super) resources: BTreeMap<String, Resource>,
    /// Actions still running of resources that were unregistered.
    pub(super) orphans: Vec<Cmd>,
    last_call_id: u32,
    /// How many alerts this executor was asked for.
    last_alert: u32,
    pub(super) last_job: u64,
    pub(super) outputs: VecDeque<Output>,
}

impl Core {
    /// An executor that knows no resource.
    pub fn new() -> Core {
        Core::default()
    }

    /// Takes in one event.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Connected { client, uuid, privileged } => {
                self.clients.insert(client, Client { uuid, name: None, privileged });
            }
            Input::Disconnected { client } => self.on_disconnect(now, client),
            Input::Request { client, request } => self.on_request(now, client, request),
            Input::Ended { job, outcome, output } => self.on_ended(now, job, outcome, output),
            Input::FencerLost => self.on_fencer_lost(),
        }
    }

    /// Lets time pass. Early, late and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        let ids: Vec<String> = self.resources.keys().cloned().collect();
        for id in ids {
            let Some(rsc) = self.resources.get_mut(&id) else { continue };
            let mut at = 0;
            while at < rsc.recurring.len() {
                if rsc.recurring[at].not_before.is_none_or(|due| due <= now.mono) {
                    let mut cmd = rsc.recurring.remove(at);
                    cmd.not_before = None;
                    cmd.queued_at = now.mono;
                    rsc.pending.push_back(cmd);
                } else {
                    at += 1;
                }
            }
            if let Some(cmd) = &mut rsc.active {
                expire(now, cmd, &mut self.outputs);
            }
            self.run_next(now, &id);
        }
        for cmd in &mut self.orphans {
            expire(now, cmd, &mut self.outputs);
        }
    }

    /// The next thing to do; `None` once all consequences are out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn next_deadline(&self) -> Option<Time> {
        let per_resource = self.resources.values().flat_map(|rsc| {
            let active = rsc.active.iter().filter_map(|cmd| cmd.deadline);
            let waiting = rsc.recurring.iter().filter_map(|cmd| cmd.not_before);
            let idle = rsc.active.is_none();
            let first = rsc.pending.front().filter(|_| idle).and_then(|cmd| cmd.not_before);
            active.chain(waiting).chain(first)
        });
        per_resource.chain(self.orphans.iter().filter_map(|cmd| cmd.deadline)).min()
    }

    /// Whether any action runs or waits for its turn.
    pub fn is_busy(&self) -> bool {
        !self.orphans.is_empty()
            || self.resources.values().any(|rsc| rsc.active.is_some() || !rsc.pending.is_empty())
    }

    // --- clients ----------------------------------------------------------------------------

    fn on_disconnect(&mut self, now: Now, client: u64) {
        self.clients.remove(&client);
        let ids: Vec<String> = self
            .resources
            .iter()
            .filter(|(_, rsc)| rsc.drop_recurring)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let Some(rsc) = self.resources.get(&id) else { continue };
            let all = rsc.recurring.iter().chain(&rsc.pending).chain(&rsc.active);
            let theirs: Vec<(String, u32)> = all
                .filter(|cmd| cmd.client == client && cmd.interval_ms > 0)
                .map(|cmd| (cmd.action.clone(), cmd.interval_ms))
                .collect();
            for (action, interval_ms) in theirs {
                self.cancel(now, &id, &action, interval_ms);
            }
        }
    }

    fn reply(&mut self, client: u64, reply: Element) {
        self.outputs.push_back(Output::Reply { client, reply });
    }

    fn broadcast(&mut self, event: &Element) {
        for (client, known) in &self.clients {
            if known.name.is_some() {
                self.outputs.push_back(Output::Event { client: *client, event: event.clone() });
            }
        }
    }

    /// Tells of a completion whoever wants to know.
    pub(super) fn tell(&mut self, cmd: &mut Cmd, deleted: bool) {
        let result = (cmd.outcome.rc, cmd.outcome.status);
        if cmd.told == Some(result) && cmd.options & wire::OPT_NOTIFY_CHANGES != 0 {
            return;
        }
        cmd.told = Some(result);
        let event = cmd.notification(deleted);
        if cmd.options & wire::OPT_NOTIFY_ORIGINATOR != 0 {
            if self.clients.contains_key(&cmd.client) {
                self.outputs.push_back(Output::Event { client: cmd.client, event });
            }
        } else {
            self.broadcast(&event);
        }
    }

    // --- requests ---------------------------------------------------------------------------

    fn on_request(&mut self, now: Now, client: u64, request: &Element) {
        // Counted for every message, as upstream does: ids of actions have gaps.
        self.last_call_id = self.last_call_id.wrapping_add(1).max(1) & 0x7fff_ffff;
        let call_id = self.last_call_id;
        let op = request.get("lrmd_op").unwrap_or_default();
        let Some(known) = self.clients.get_mut(&client) else { return };
        if !known.privileged && !matches!(op, "register" | "lrmd_rsc_poke") {
            return self.reply(client, wire::reply("process_lrmd_message", EACCES, call_id));
        }
        let rsc = wire::data(request, "lrmd_rsc");
        let rsc_id = rsc.and_then(|rsc| rsc.get("lrmd_rsc_id")).unwrap_or_default();
        let mut rc = 0;
        let mut notify = false;
        match op {
            "register" => {
                let version = request.get("lrmd_protocol_version").unwrap_or("1.0");
                let mut reply = wire::reply("process_lrmd_signon", 0, call_id)
                    .with("lrmd_op", "register")
                    .with("lrmd_clientid", known.uuid.as_str())
                    .with("lrmd_protocol_version", wire::PROTOCOL_VERSION);
                if !wire::version_accepted(version) {
                    reply.set("lrmd_rc", EPROTO.to_string());
                } else if request.get("lrmd_is_ipc_provider") == Some("true") {
                    reply.set("lrmd_rc", EPROTONOSUPPORT.to_string());
                } else {
                    let name = request.get("lrmd_clientname").unwrap_or("unknown");
                    known.name = Some(name.to_owned());
                }
                return self.reply(client, reply);
            }
            "lrmd_rsc_register" => {
                rc = self.register(now, request, rsc);
                notify = true;
            }
            "lrmd_rsc_unregister" => {
                rc = self.unregister(now, rsc_id);
                notify = rc == 0 || rc == EINPROGRESS;
            }
            "lrmd_rsc_info" => {
                let reply = wire::reply("process_lrmd_get_rsc_info", 0, call_id);
                let reply = match self.resources.get(rsc_id) {
                    Some(rsc) => described(reply, rsc_id, &rsc.agent),
                    None => wire::reply("process_lrmd_get_rsc_info", ENODEV, call_id),
                };
                return self.reply(client, reply);
            }
            "lrmd_rsc_exec" => {
                let accepted = match rsc {
                    Some(rsc) if !rsc_id.is_empty() => {
                        self.resources.get(rsc_id).map(|_| rsc).ok_or(ENODEV)
                    }
                    _ => Err(EINVAL),
                };
                match accepted {
                    Ok(rsc) => {
                        let answer = i32::try_from(call_id).unwrap_or(i32::MAX);
                        self.reply(client, wire::reply("process_lrmd_message", answer, call_id));
                        let cmd = Cmd::from_request(now, client, call_id, request, rsc);
                        return self.schedule(now, cmd);
                    }
                    Err(code) => rc = code,
                }
            }
            "lrmd_rsc_cancel" => {
                rc = match rsc {
                    None => EINVAL,
                    Some(_) if rsc_id.is_empty() => EINVAL,
                    Some(_) if !self.resources.contains_key(rsc_id) => ENODEV,
                    Some(rsc) => {
                        let action = rsc.get("lrmd_rsc_action").unwrap_or_default();
                        let interval_ms = wire::number(rsc, "lrmd_rsc_interval");
                        if self.cancel(now, rsc_id, action, interval_ms) { 0 } else { EOPNOTSUPP }
                    }
                };
            }
            "lrmd_rsc_poke" => notify = true,
            "lrmd_check" => {
                let value = request
                    .descendants()
                    .find_map(|element| element.get("lrmd_watchdog"))
                    .unwrap_or_default();
                self.outputs.push_back(Output::CheckWatchdog { value: value.to_owned() });
                return;
            }
            "lrmd_alert_exec" => rc = self.alert(request),
            "lrmd_get_recurring" => {
                let reply = self.recurring_reply(rsc_id, call_id);
                return self.reply(client, reply);
            }
            _ => rc = EOPNOTSUPP,
        }
        self.reply(client, wire::reply("process_lrmd_message", rc, call_id));
        if notify {
            self.broadcast(&wire::generic_notify(rc, call_id, op, rsc_id));
        }
    }

    fn register(&mut self, now: Now, request: &Element, data: Option<&Element>) -> i32 {
        let Some(data) = data else { return EINVAL };
        let id = data.get("lrmd_rsc_id").unwrap_or_default();
        let class = data.get("lrmd_class").and_then(Class::parse);
        let kind = data.get("lrmd_type").unwrap_or_default();
        let (Some(class), false, false) = (class, id.is_empty(), kind.is_empty()) else {
            return EINVAL;
        };
        let agent = AgentName::new(class, data.get("lrmd_provider"), kind);
        let options = wire::number(request, "lrmd_callopt");
        let drop_recurring = options & wire::OPT_DROP_RECURRING == wire::OPT_DROP_RECURRING;
        if self.resources.get(id).is_some_and(|known| known.agent == agent) {
            return 0;
        }
        if self.resources.contains_key(id) {
            self.unregister(now, id);
        }
        let rsc = Resource {
            agent,
            drop_recurring,
            active: None,
            pending: VecDeque::new(),
            recurring: Vec::new(),
            device: DeviceState::Inactive,
        };
        self.resources.insert(id.to_owned(), rsc);
        0
    }

    fn unregister(&mut self, now: Now, id: &str) -> i32 {
        if id.is_empty() {
            return ENODEV;
        }
        let Some(rsc) = self.resources.remove(id) else { return 0 };
        for mut cmd in rsc.pending.into_iter().chain(rsc.recurring) {
            self.report_cancelled(now, &mut cmd, true);
        }
        match rsc.active {
            Some(mut cmd) => {
                if cmd.interval_ms > 0 {
                    self.kill_cancelled(&mut cmd);
                }
                self.orphans.push(cmd);
                EINPROGRESS
            }
            None => 0,
        }
    }

    fn alert(&mut self, request: &Element) -> i32 {
        let Some(data) = wire::data(request, "lrmd_alert") else { return EINVAL };
        let (Some(id), Some(path)) = (data.get("lrmd_alert_id"), data.get("lrmd_alert_path"))
        else {
            return EINVAL;
        };
        let timeout = match wire::number(data, "lrmd_timeout") {
            0 => 30_000,
            ms => ms,
        };
        let mut env = wire::params_of(data.child("attributes"));
        self.last_alert = self.last_alert.wrapping_add(1);
        for prefix in ["CRM_alert", "CRM_notify"] {
            env.insert(format!("{prefix}_node_sequence"), self.last_alert.to_string());
        }
        self.outputs.push_back(Output::Alert {
            id: id.to_owned(),
            path: path.to_owned(),
            env,
            timeout: Duration::from_millis(timeout.into()),
        });
        0
    }

    fn recurring_reply(&self, id: &str, call_id: u32) -> Element {
        if !id.is_empty() && !self.resources.contains_key(id) {
            return wire::reply("process_lrmd_get_recurring", ENODEV, call_id);
        }
        let mut reply = wire::reply("process_lrmd_get_recurring", 0, call_id);
        for (name, rsc) in &self.resources {
            if !id.is_empty() && id != name {
                continue;
            }
            let mut element = Element::new("lrmd_rsc").with("lrmd_rsc_id", name.as_str());
            let repeated = rsc.pending.iter().chain(&rsc.active).filter(|cmd| cmd.interval_ms > 0);
            for cmd in rsc.recurring.iter().chain(repeated) {
                element.push(
                    Element::new("lrmd_rsc_op")
                        .with("lrmd_rsc_action", cmd.action.as_str())
                        .with("lrmd_rsc_interval", cmd.interval_ms.to_string())
                        .with("lrmd_timeout", cmd.timeout_ms.to_string()),
                );
            }
            reply.push(element);
        }
        reply
    }
}

fn described(reply: Element, id: &str, agent: &AgentName) -> Element {
    let mut reply = reply.with("lrmd_rsc_id", id).with("lrmd_class", agent.class.as_str());
    if let Some(provider) = &agent.provider {
        reply.set("lrmd_provider", provider.as_str());
    }
    reply.with("lrmd_type", agent.kind.as_str())
}
