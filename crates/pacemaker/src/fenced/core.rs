//! The fencer's state machine: clients, devices, requests. What follows a request is in the
//! neighbouring modules: [`execute`](super::execute) (this node's devices at work),
//! [`originate`](super::originate) (leading an operation), [`history`](super::history).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use agents::Outcome;
use agents::fence::Abilities;
use agents::judge::Ended;
use base::Time;
use base::log::Priority;
use xml::Element;

use super::config::{Config, Level};
use super::device::Device;
use super::execute::{Job, Search};
use super::operation::Operation;
use super::wire::{self, options};
use crate::service::acknowledgement;

/// The time on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For deadlines.
    pub mono: Time,
    /// Seconds since 1970, for records.
    pub epoch: i64,
}

/// What can happen to the fencer.
#[derive(Debug)]
pub enum Input<'a> {
    /// A client connected.
    Connected {
        /// Its number.
        client: u64,
        /// Its id for others.
        uuid: String,
        /// Its process.
        pid: u32,
        /// Root or the cluster user.
        privileged: bool,
    },
    /// A client is gone.
    Disconnected {
        /// Its number.
        client: u64,
    },
    /// A client sent something.
    Request {
        /// Its number.
        client: u64,
        /// Names the request if an answer on the response channel is awaited.
        ticket: Option<u64>,
        /// The message.
        request: &'a Element,
        /// An id nobody has used, for an operation it may start.
        fresh_id: String,
    },
    /// A message of a peer (our own broadcasts come back, too).
    Peer {
        /// The peer's name.
        from: &'a str,
        /// The message.
        message: &'a Element,
        /// As for requests.
        fresh_id: String,
    },
    /// The fencers there are now, with their nodes' ids.
    Peers(BTreeMap<String, u32>),
    /// An agent ended.
    Ended {
        /// Which run.
        job: u64,
        /// How.
        ended: Ended,
        /// What it said.
        stdout: String,
        /// And what it complained about.
        stderr: String,
    },
    /// An agent's metadata was read, or could not be.
    Learned {
        /// The agent.
        agent: String,
        /// What it can do.
        abilities: Option<Abilities>,
    },
    /// The CIB's part changed.
    Configured(Config),
}

/// What the fencer wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Answer a request on the response channel.
    Respond {
        /// The request's name.
        ticket: u64,
        /// The answer.
        message: Element,
    },
    /// Tell a client.
    Event {
        /// Whom.
        client: u64,
        /// What.
        message: Element,
    },
    /// Tell a peer, or all.
    Peer {
        /// Whom; `None`: all.
        to: Option<String>,
        /// What.
        message: Element,
    },
    /// Run a fence agent; end with [`Input::Ended`].
    Run {
        /// The run's name.
        job: u64,
        /// The agent.
        agent: String,
        /// What it reads.
        input: String,
        /// How long it may take.
        timeout: Duration,
    },
    /// Read an agent's metadata; end with [`Input::Learned`].
    Learn {
        /// The agent.
        agent: String,
    },
    /// Something for the log.
    Note(Priority, String),
}

/// To whom an answer goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ReplyTo {
    /// A client of this node.
    Client { client: u64, ticket: Option<u64> },
    /// A peer.
    Peer(String),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) uuid: String,
    pub(super) name: Option<String>,
    pub(super) pid: u32,
    pub(super) privileged: bool,
    pub(super) wants: BTreeSet<String>,
}

/// The fencer.
#[derive(Debug)]
pub struct Core {
    pub(super) own: String,
    pub(super) clients: BTreeMap<u64, Client>,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) abilities: BTreeMap<String, Abilities>,
    pub(super) learning: BTreeSet<String>,
    /// When metadata that could not be read is asked for again, and the wait after that.
    pub(super) relearn: BTreeMap<String, (Time, Duration)>,
    /// Registrations whose answer waits for the agent's metadata.
    pub(super) registering: Vec<(String, ReplyTo, Element)>,
    pub(super) cib_levels: Vec<Level>,
    pub(super) api_levels: Vec<Level>,
    pub(super) node_attributes: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) peers: BTreeMap<String, u32>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) last_job: u64,
    pub(super) searches: BTreeMap<u64, Search>,
    pub(super) last_search: u64,
    pub(super) operations: BTreeMap<String, Operation>,
    /// Who waits here for an operation's end.
    pub(super) awaiting: Vec<(String, ReplyTo, Element)>,
    pub(super) random: u64,
    pub(super) outputs: VecDeque<Output>,
}

impl Core {
    /// A fencer on the node `own`; `seed` is for delays that shall differ between nodes.
    pub fn new(own: &str, seed: u64) -> Core {
        Core {
            own: own.to_owned(),
            clients: BTreeMap::new(),
            devices: BTreeMap::new(),
            abilities: BTreeMap::new(),
            learning: BTreeSet::new(),
            relearn: BTreeMap::new(),
            registering: Vec::new(),
            cib_levels: Vec::new(),
            api_levels: Vec::new(),
            node_attributes: BTreeMap::new(),
            peers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            last_job: 0,
            searches: BTreeMap::new(),
            last_search: 0,
            operations: BTreeMap::new(),
            awaiting: Vec::new(),
            random: seed | 1,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in one event.
    pub fn handle_input(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Connected { client, uuid, pid, privileged } => {
                let wants = BTreeSet::new();
                self.clients.insert(client, Client { uuid, name: None, pid, privileged, wants });
            }
            Input::Disconnected { client } => {
                self.clients.remove(&client);
            }
            Input::Request { client, ticket, request, fresh_id } => {
                self.on_request(now, client, ticket, request, fresh_id);
            }
            Input::Peer { from, message, fresh_id } => self.on_peer(now, from, message, fresh_id),
            Input::Peers(peers) => {
                self.peers = peers;
                self.peers_changed(now);
            }
            Input::Ended { job, ended, stdout, stderr } => {
                self.on_ended(now, job, &ended, &stdout, &stderr);
            }
            Input::Learned { agent, abilities } => self.on_learned(now, &agent, abilities),
            Input::Configured(config) => self.on_config(config),
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Now) {
        let due: Vec<String> = self
            .relearn
            .iter()
            .filter(|(agent, (at, _))| *at <= now.mono && !self.learning.contains(*agent))
            .map(|(agent, _)| agent.clone())
            .collect();
        for agent in due {
            self.learn(&agent);
        }
        self.start_waiting_jobs(now);
        self.operations_timed_out(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn next_deadline(&self) -> Option<Time> {
        let relearn = self
            .relearn
            .iter()
            .filter(|(agent, _)| !self.learning.contains(*agent))
            .map(|(_, (at, _))| *at);
        let jobs = self.jobs.values().filter_map(|job| job.not_before);
        let operations = self.operations.values().filter(|op| !op.state.is_final());
        let operations =
            operations.flat_map(|op| op.query_deadline.into_iter().chain(op.step_deadline));
        relearn.chain(jobs).chain(operations).min()
    }

    /// Whether an agent is at work or an operation is under way.
    pub fn is_busy(&self) -> bool {
        !self.jobs.is_empty() || self.operations.values().any(|op| !op.state.is_final())
    }

    pub(super) fn note(&mut self, priority: Priority, text: impl Into<String>) {
        self.outputs.push_back(Output::Note(priority, text.into()));
    }

    pub(super) fn peer(&mut self, to: Option<&str>, message: Element) {
        self.outputs.push_back(Output::Peer { to: to.map(str::to_owned), message });
    }

    /// Sends an answer to whoever asked.
    pub(super) fn deliver(&mut self, to: &ReplyTo, message: Element) {
        match to {
            ReplyTo::Client { client, ticket } => match ticket {
                Some(ticket) => {
                    self.outputs.push_back(Output::Respond { ticket: *ticket, message });
                }
                None if self.clients.contains_key(client) => {
                    self.outputs.push_back(Output::Event { client: *client, message });
                }
                None => {}
            },
            ReplyTo::Peer(peer) => {
                let peer = peer.clone();
                self.peer(Some(&peer), message);
            }
        }
    }

    pub(super) fn answer(
        &mut self,
        to: &ReplyTo,
        request: &Element,
        outcome: &Outcome,
        data: Option<Element>,
    ) {
        let reply = wire::reply("stonith_construct_reply", request, outcome, data);
        self.deliver(to, reply);
    }

    /// Tells the clients that subscribed to a kind of news.
    pub(super) fn tell(&mut self, kind: &str, outcome: &Outcome, data: Option<Element>) {
        let message = wire::notification(kind, outcome, data);
        for (client, known) in &self.clients {
            if known.wants.contains(kind) {
                let message = message.clone();
                self.outputs.push_back(Output::Event { client: *client, message });
            }
        }
    }

    // --- requests ---------------------------------------------------------------------------

    fn on_request(
        &mut self,
        now: Now,
        client: u64,
        ticket: Option<u64>,
        request: &Element,
        fresh_id: String,
    ) {
        let Some(known) = self.clients.get_mut(&client) else { return };
        if known.name.is_none() {
            let name = request.get("st_clientname").unwrap_or("unknown");
            known.name = Some(format!("{name}.{}", known.pid));
        }
        let (uuid, privileged) = (known.uuid.clone(), known.privileged);
        let name = known.name.clone().unwrap_or_default();
        if request.get("crm_task") == Some("rm_node_cache") {
            let message = request.clone().with("t", "stonith-ng").with("st_op", "rm_node_cache");
            return self.peer(None, message);
        }
        let op = request.get("st_op").unwrap_or_default();
        let respond = |core: &mut Core, message: Element| {
            let to = ReplyTo::Client { client, ticket };
            core.deliver(&to, message);
        };
        match op {
            "register" => {
                let reply =
                    Element::new("reply").with("st_op", "register").with("st_clientid", uuid);
                return respond(self, reply);
            }
            "st_notify" => {
                if let Some(known) = self.clients.get_mut(&client) {
                    if let Some(kind) = request.get("st_notify_activate") {
                        known.wants.insert(kind.to_owned());
                    }
                    if let Some(kind) = request.get("st_notify_deactivate") {
                        known.wants.remove(kind);
                    }
                }
                if ticket.is_some() {
                    respond(self, acknowledgement("ack", "handle_request", 0));
                }
                return;
            }
            _ => {}
        }
        let mut stamped = request.clone();
        stamped.set("st_clientid", uuid);
        stamped.set("st_clientname", name);
        stamped.set("st_clientnode", self.own.as_str());
        let sync = wire::number(request, "st_callopt") & options::SYNC != 0;
        let to = ReplyTo::Client { client, ticket: ticket.filter(|_| sync) };
        if ticket.is_some() && !sync {
            // Somebody waits at the response channel although the answer comes as an event.
            respond(self, acknowledgement("ack", "handle_request", 0));
        }
        self.command(now, &to, &stamped, privileged, fresh_id);
    }

    /// A command of a client or, as far as they may send it, of a peer.
    pub(super) fn command(
        &mut self,
        now: Now,
        to: &ReplyTo,
        request: &Element,
        privileged: bool,
        fresh_id: String,
    ) {
        let op = request.get("st_op").unwrap_or_default();
        let refused = match op {
            "st_device_register" => "register device",
            "st_device_remove" => "delete device",
            "st_level_add" => "add level",
            "st_level_remove" => "delete level",
            _ => "",
        };
        if !privileged && !refused.is_empty() {
            let reason = format!("Unprivileged users must {refused} via CIB");
            return self.answer(to, request, &wire::invalid(4, reason), None);
        }
        match op {
            "st_execute" => self.on_execute(now, to, request),
            "st_query" => self.on_query(now, to, request),
            "st_fence" | "st_relay" => self.on_fence_request(now, to, request, fresh_id),
            "st_fence_history" => self.on_history_request(to, request),
            "st_device_register" => self.on_register(to, request),
            "st_device_remove" => {
                let id = wire::data_id(request);
                let outcome = self.remove_device(&id, true);
                self.device_changed("st_device_remove", &id, &outcome);
                self.answer(to, request, &outcome, None);
            }
            "st_level_add" | "st_level_remove" => {
                let outcome = self.change_levels(request, op == "st_level_add");
                self.answer(to, request, &outcome, None);
            }
            "st_timeout_update" => self.forward_timeout(request),
            other => {
                let reason = format!("Unknown IPC request type '{other}' (bug?)");
                self.answer(to, request, &wire::invalid(76, reason), None);
            }
        }
    }

    fn forward_timeout(&mut self, request: &Element) {
        let wanted = request.get("st_clientid").unwrap_or_default();
        let client = self.clients.iter().find(|(_, known)| known.uuid == wanted);
        if let Some((client, _)) = client {
            let message = Element::new("st-async-timeout-value")
                .with("t", "st-async-timeout-value")
                .with("st_callid", request.get("st_callid").unwrap_or_default())
                .with("st_timeout", request.get("st_timeout").unwrap_or_default());
            self.outputs.push_back(Output::Event { client: *client, message });
        }
    }
}
