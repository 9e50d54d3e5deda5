//! The transition engine: asks the scheduler, starts what the graph allows, and knows when to
//! ask again.
//!
//! Source: `spec/pacemaker-cluster.md` §6.1–6.5, §6.8.

mod initiate;

use base::log::Priority;
use xml::Element;

use super::core::{CibCall, CibRequest, Controller, Output, Service, cib_option};
use super::fsm::{Action, Actions, Cause, Input, State};
use super::graph::{Completion, Graph, GraphAction, INFINITY, Kind, Pass};
use super::history::{OpRecord, status};
use super::key::Key;
use crate::cluster::envelope;

/// How long the scheduler may think.
const SCHEDULER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

impl Controller {
    // --- the scheduler ------------------------------------------------------------------------

    pub(super) fn invoke_scheduler(&mut self) {
        if !self.flags.the_dc {
            self.note(Priority::Error, "Not invoking scheduler because not DC");
            return;
        }
        if !self.connected.contains(&Service::Scheduler) {
            if self.flags.shutdown {
                self.note(Priority::Error, "Cannot shut down gracefully without the scheduler");
                self.input_first(Input::Terminate, Cause::Internal, "do_pe_invoke");
            } else {
                self.stall(Action::PeInvoke);
                self.fsm.add(Actions::of(&[Action::PeStart]));
            }
            return;
        }
        if self.fsm.state() != State::PolicyEngine {
            return;
        }
        if !self.flags.have_cib {
            self.note(Priority::Error, "Attempted to invoke scheduler without consistent CIB");
            self.input_first(Input::Election, Cause::Internal, "do_pe_invoke");
            return;
        }
        self.schedule_reference = None;
        self.schedule_held = !self.grace.is_empty();
        if self.schedule_held {
            return;
        }
        // Updates of our own that are still under way would make the answer outdated at once:
        // the last of them brings us back here.
        self.schedule_wanted = self.n_cib_writes() > 0;
        if self.schedule_wanted {
            return;
        }
        self.schedule_serial += 1;
        let serial = self.schedule_serial;
        self.cib(
            CibCall::Schedule { serial },
            CibRequest {
                op: "cib_query",
                section: None,
                options: cib_option::SCOPE_LOCAL,
                data: None,
                host: None,
                user: None,
            },
        );
    }

    /// Updates of the CIB by us that are not answered yet.
    pub(super) fn n_cib_writes(&self) -> usize {
        self.cib_calls
            .values()
            .filter(|call| {
                matches!(
                    call,
                    CibCall::Quiet(_)
                        | CibCall::JoinConfirmed { .. }
                        | CibCall::Takeover
                        | CibCall::ClusterName
                )
            })
            .count()
    }

    /// The CIB for the scheduler is here.
    pub(super) fn schedule(&mut self, serial: u64, rc: i32, cib: Option<&Element>) {
        if serial != self.schedule_serial
            || !self.flags.the_dc
            || self.fsm.state() != State::PolicyEngine
        {
            return;
        }
        let Some(cib) = cib.filter(|_| rc == 0) else {
            self.note(Priority::Error, format!("Could not retrieve the CIB: error {rc}"));
            self.error(Input::Error, "do_pe_invoke_callback");
            return;
        };
        if self.n_cib_writes() > 0 {
            self.invoke_scheduler();
            return;
        }
        self.learn_nodes(cib);
        let mut cib = cib.clone();
        cib.set("dc-uuid", self.own_uuid());
        cib.set("have-quorum", if self.quorate { "1" } else { "0" });
        force_option(
            &mut cib,
            "have-watchdog",
            if self.setup.have_watchdog { "true" } else { "false" },
        );
        if self.ever_quorate && !self.quorate {
            cib.set("no-quorum-panic", "1");
        }
        let request = self.request("pe_calc", None, "pengine", "dc", Some(cib));
        self.schedule_reference = request.get("reference").map(str::to_owned);
        self.timers.scheduler = self.after(SCHEDULER_TIMEOUT);
        self.output(Output::Scheduler(request));
    }

    /// Names of nodes that the CIB knows (remote ones too).
    fn learn_nodes(&mut self, cib: &Element) {
        self.node_cache.clear();
        if let Some(nodes) = cib.at(&["configuration", "nodes"]) {
            for node in nodes.children_named("node") {
                if let (Some(id), Some(name)) = (node.id(), node.get("uname")) {
                    self.node_cache.insert(id.to_owned(), name.to_owned());
                }
            }
        }
        if let Some(status) = cib.child("status") {
            for node in status.children_named("node_state") {
                if let (Some(id), Some(name)) = (node.id(), node.get("uname")) {
                    self.node_cache.entry(id.to_owned()).or_insert_with(|| name.to_owned());
                }
            }
        }
    }

    /// The scheduler sent something.
    pub fn scheduler_message(&mut self, clock: super::core::Clock, message: &Element) {
        self.clock = clock;
        if message.get("crm_task") == Some("pe_calc") && message.get("subt") == Some("response") {
            if self.schedule_reference.is_some()
                && self.schedule_reference.as_deref() == message.get("reference")
            {
                self.timers.scheduler = None;
                if self.grace.is_empty() {
                    self.input_message(Input::PeSuccess, message, "handle_response");
                } else {
                    // Its actions for that node would go to nobody.
                    self.note(Priority::Info, "Plan ignored: a controller died meanwhile");
                    self.schedule_reference = None;
                    self.schedule_held = true;
                }
            } else {
                self.note(Priority::Info, "Superseded scheduler reply ignored");
            }
        }
        self.run();
    }

    pub(super) fn invoke_engine(&mut self, message: &Element) {
        if !self.flags.the_dc || self.fsm.state() != State::TransitionEngine {
            return;
        }
        let source = message.get("crm-tgraph-in").unwrap_or("unknown").to_owned();
        let Some(xml) = envelope::data(message) else {
            self.note(Priority::Error, "No graph in the scheduler's reply");
            self.input(Input::PeCalc, Cause::Internal, "do_te_invoke");
            return;
        };
        if !self.graph.complete {
            self.abort_transition(INFINITY, Completion::Restart, "Transition Active");
            return;
        }
        if self.timers.transition.is_some() {
            self.note(Priority::Debug, "The transition timer wins over this new graph");
            return;
        }
        let Some(graph) = Graph::unpack(xml, &source) else {
            self.note(Priority::Error, "The scheduler's graph makes no sense");
            self.error(Input::Error, "do_te_invoke");
            return;
        };
        let text = format!(
            "Processing graph {} (ref={}) derived from {source}",
            graph.id,
            message.get("reference").unwrap_or("")
        );
        self.note(Priority::Info, text);
        self.schedule_reference = None;
        self.graph = graph;
        self.flags.in_transition = true;
        self.pass_wanted = true;
    }

    /// A new DC has no graph yet.
    pub(super) fn graph_blank(&mut self) {
        self.graph = Graph::default();
        self.flags.in_transition = false;
    }

    fn engine_is_off(&self) -> bool {
        matches!(
            self.fsm.state(),
            State::Starting
                | State::Pending
                | State::NotDc
                | State::Halt
                | State::Stopping
                | State::Terminate
        )
    }

    // --- one pass -----------------------------------------------------------------------------

    pub(super) fn graph_pass(&mut self) {
        if self.engine_is_off() || self.graph.complete {
            return;
        }
        let n_peers = self.group.peers().n_active();
        let batch_limit = self.throttle.batch_limit(self.graph.batch_limit, n_peers);
        let throttle = &self.throttle;
        let started = self.graph.fire(batch_limit, |graph, action| throttle.allows(graph, action));
        for id in &started {
            self.initiate(*id);
        }
        let pass = self.graph.outcome();
        match pass {
            Pass::Active => {
                // Those that were done at once may have made room for others.
                self.pass_wanted |= !started.is_empty()
                    && started
                        .iter()
                        .any(|id| self.graph.action(*id).is_none_or(|action| action.confirmed));
            }
            Pass::Pending => {}
            Pass::Complete | Pass::Terminated => self.graph_done(pass),
        }
    }

    fn graph_done(&mut self, pass: Pass) {
        let counts = self.graph.counts;
        let (word, priority) = match pass {
            Pass::Terminated => ("Terminated", Priority::Warning),
            _ if counts.skipped > 0 => ("Stopped", Priority::Notice),
            _ => ("Complete", Priority::Notice),
        };
        let text = format!(
            "Transition {} (Complete={}, Pending={}, Fired={}, Skipped={}, Incomplete={}, Source={}): {word}",
            self.graph.id,
            counts.completed,
            counts.pending,
            counts.fired,
            counts.skipped,
            counts.incomplete,
            self.graph.source
        );
        self.note(priority, text);
        self.flags.in_transition = false;
        let completion = std::mem::replace(&mut self.graph.completion, Completion::Done);
        let state = self.fsm.state();
        match completion {
            Completion::Done | Completion::Wait => {
                if state == State::TransitionEngine {
                    self.input(Input::TeSuccess, Cause::Internal, "notify_crmd");
                }
            }
            Completion::Restart => {
                if state == State::TransitionEngine {
                    if self.options.transition_delay.is_zero() {
                        self.input(Input::PeCalc, Cause::Internal, "notify_crmd");
                    } else {
                        self.timers.transition = self.after(self.options.transition_delay);
                    }
                } else if state == State::PolicyEngine {
                    self.queue_actions(Actions::of(&[Action::PeInvoke]), None);
                }
            }
            Completion::Shutdown => {
                let input = if self.flags.shutdown { Input::Stop } else { Input::Terminate };
                self.input(input, Cause::Internal, "notify_crmd");
            }
        }
    }

    /// Whatever was planned is outdated.
    pub(super) fn abort_transition(&mut self, priority: i32, completion: Completion, reason: &str) {
        if self.engine_is_off() {
            return;
        }
        self.schedule_reference = None;
        self.timers.scheduler = None;
        if self.graph.complete {
            let text = format!("Transition {} aborted: {reason} | complete=true", self.graph.id);
            self.note(Priority::Info, text);
            if self.options.transition_delay.is_zero() {
                self.input(Input::PeCalc, Cause::Internal, "abort_transition_graph");
            } else {
                self.timers.transition = self.after(self.options.transition_delay);
            }
            return;
        }
        if self.graph.abort(priority, completion, reason) {
            let text = format!(
                "Transition {} aborted: {reason} | complete=false, action on completion: {}",
                self.graph.id,
                self.graph.completion.as_str()
            );
            self.note(Priority::Notice, text);
        }
        self.pass_wanted = true;
    }
}

/// Whether an operation leaves a trace in the CIB.
pub(super) fn is_recordable(task: &str) -> bool {
    !matches!(task, "cancel" | "delete" | "notify" | "meta-data")
}

/// Sets a cluster option in a copy of the CIB, wherever it stands.
fn force_option(cib: &mut Element, name: &str, value: &str) {
    let Some(config) = cib.at_mut(&["configuration", "crm_config"]) else { return };
    for set in config.children_mut() {
        for nvpair in set.children_mut() {
            if nvpair.get("name") == Some(name) {
                nvpair.set("value", value);
                return;
            }
        }
    }
    if config.child("cluster_property_set").is_none() {
        config.push(Element::new("cluster_property_set").with("id", "cib-bootstrap-options"));
    }
    if let Some(set) = config.child_mut("cluster_property_set") {
        let id = format!("{}-{name}", set.id().unwrap_or("cib-bootstrap-options"));
        set.push(Element::new("nvpair").with("id", id).with("name", name).with("value", value));
    }
}
