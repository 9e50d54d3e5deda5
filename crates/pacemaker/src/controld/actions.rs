//! What the state machine's actions do, what a change of state brings, and what timers do.
//!
//! Source: `spec/pacemaker-cluster.md` §4.3, §4.5, §4.8, §4.10.

mod change;

use base::log::Priority;
use xml::Element;

use super::core::{
    CONNECT_TRIES_MAX, CibCall, CibRequest, Controller, Output, Service, cib_option,
};
use super::fsm::{Action, Actions, Cause, Input, State};
use super::graph::{Completion, Graph, INFINITY};
use super::join::Phase;
use super::options::{Options, pairs};
use super::status::Facts;
use crate::alerts::Alerts;
use crate::cluster::election::{Outcome, Phase as ElectionPhase};
use crate::cluster::envelope::FEATURE_SET;

impl Controller {
    /// Executes one action.
    pub(super) fn execute(&mut self, action: Action) {
        let message = self.current.message.clone();
        let message = message.as_ref();
        match action {
            Action::Error | Action::Warn => {
                let text = format!(
                    "Input {} received in state {} from {}",
                    self.current.input.as_str(),
                    self.fsm.state().as_str(),
                    self.current.origin
                );
                let priority =
                    if action == Action::Error { Priority::Error } else { Priority::Warning };
                self.note(priority, text);
            }
            Action::Log => {}
            Action::Exit0 => self.exit(0),
            Action::Exit1 => self.exit(1),
            Action::LrmReconnect | Action::CibRestart | Action::PeRestart | Action::TeRestart => {}
            Action::Startup => {}
            Action::CibStart => self.connect(Service::Cib, action),
            Action::HaConnect => {
                self.output(Output::JoinGroup);
                self.populate_nodes();
            }
            Action::Readconfig => self.read_config(),
            Action::LrmConnect => self.connect(Service::Executor, action),
            Action::TeStart => self.graph_blank(),
            Action::TeStop => {
                self.graph = Graph::default();
                self.flags.in_transition = false;
            }
            Action::PeStart => {
                self.flags.pe_required = true;
                self.connect(Service::Scheduler, action);
            }
            Action::PeStop => {
                self.flags.pe_required = false;
                self.schedule_reference = None;
                self.timers.scheduler = None;
                if self.connected.remove(&Service::Scheduler) {
                    self.output(Output::Disconnect(Service::Scheduler));
                }
            }
            Action::DcTimerStop => self.timers.dc = None,
            Action::DcTimerStart => {
                self.timers.dc = self.after(self.options.dc_deadtime);
                if self.flags.the_dc {
                    self.input(Input::Election, Cause::Internal, "do_timer_control");
                }
            }
            Action::IntegrateTimerStop => self.timers.integrate = None,
            Action::IntegrateTimerStart => {
                self.timers.integrate = self.after(self.options.integration_timeout);
            }
            Action::FinalizeTimerStop => self.timers.finalize = None,
            Action::FinalizeTimerStart => {
                self.timers.finalize = self.after(self.options.finalization_timeout);
            }
            Action::MsgRoute => {
                if let Some(message) = message {
                    self.route(message, false);
                }
            }
            Action::Recover => {
                self.note(Priority::Warning, "Fast-tracking shutdown in response to errors");
                self.flags.in_recovery = true;
                self.input_first(Input::Terminate, Cause::Internal, "do_recover");
            }
            Action::ClJoinResult => {
                if let Some(message) = message {
                    self.join_result(message);
                }
            }
            Action::ClJoinRequest => {
                if let Some(message) = message {
                    self.join_request(message);
                }
            }
            Action::ShutdownReq => {
                self.flags.shutdown = true;
                self.note(
                    Priority::Info,
                    format!(
                        "Sending shutdown request to all peers (DC is {})",
                        self.dc_name.as_deref().unwrap_or("not set")
                    ),
                );
                let request = self.request("req_shutdown", None, "crmd", "crmd", None);
                self.send_peer(None, &request);
            }
            Action::ElectionVote | Action::ElectionStart => self.call_election(),
            Action::ElectionCount => {
                if let Some(message) = message {
                    self.count_vote(message);
                }
            }
            Action::ElectionCheck => self.check_election(),
            Action::LrmEvent | Action::LrmInvoke => {}
            Action::Started => self.started(),
            Action::ClJoinQuery => self.join_announce(),
            Action::ClJoinAnnounce => {
                if self.fsm.state() == State::Pending {
                    self.join_announce();
                }
            }
            Action::DcTakeover => self.take_over(),
            Action::DcRelease => self.flags.the_dc = false,
            Action::DcReleased => self.released(),
            Action::DcJoinFinal => self.join_final(),
            Action::DcJoinOfferAll => self.join_offer_all(),
            Action::DcJoinOfferOne => self.join_offer_one(message),
            Action::DcJoinProcessReq => {
                if let Some(message) = message {
                    self.join_process_request(message);
                }
            }
            Action::DcJoinProcessAck => {
                if let Some(message) = message {
                    self.join_process_confirm(message);
                }
            }
            Action::DcJoinFinalize => self.join_finalize(),
            Action::TeHalt => {
                self.abort_transition(INFINITY, Completion::Wait, "Peer Halt");
            }
            Action::TeCancel => {
                self.abort_transition(INFINITY, Completion::Restart, "Peer Cancelled");
            }
            Action::PeInvoke => self.invoke_scheduler(),
            Action::TeInvoke => {
                if let Some(message) = message {
                    self.invoke_engine(message);
                }
            }
            Action::Shutdown => {
                self.flags.shutdown = true;
                self.fsm.shutting_down = true;
                if self.connected.remove(&Service::Fencer) {
                    self.output(Output::Disconnect(Service::Fencer));
                }
            }
            Action::LrmDisconnect => self.executor_disconnect(),
            Action::HaDisconnect => self.output(Output::LeaveGroup),
            Action::CibStop => self.cib_stop(),
            Action::Stop => {
                self.output(Output::CloseIpc);
                self.input(Input::Terminate, Cause::Internal, "do_stop");
            }
        }
    }

    fn exit(&mut self, code: i32) {
        let code = if code == 0 { self.exit_code } else { code };
        self.exit_code_for(code);
    }

    fn connect(&mut self, service: Service, action: Action) {
        if self.connected.contains(&service) {
            return;
        }
        if service == Service::Scheduler && self.flags.shutdown && !self.flags.the_dc {
            return;
        }
        let tries = self.connect_tries.get(&service).copied().unwrap_or(0);
        if tries >= CONNECT_TRIES_MAX {
            self.note(
                Priority::Error,
                format!("Could not connect to {service:?} after {tries} attempts"),
            );
            self.error(Input::Error, "connect");
            return;
        }
        // The shell tries at once and reports back; until then this action waits, unless a
        // pause after a failed attempt is running.
        if self.timers.wait.is_none() && self.connecting.insert(service) {
            self.output(Output::Connect(service));
        }
        self.stall(action);
    }

    pub(super) fn read_config(&mut self) {
        if self.timers.throttle.is_none() {
            self.timers.throttle = self.after(std::time::Duration::from_secs(1));
        }
        self.cib(
            CibCall::Config,
            CibRequest {
                op: "cib_query",
                section: Some("//crm_config|//alerts".to_owned()),
                options: cib_option::SCOPE_LOCAL | cib_option::XPATH,
                data: None,
                host: None,
                user: None,
            },
        );
    }

    /// The options were read (or there are none).
    pub(super) fn configured(&mut self, rc: i32, output: Option<&Element>) {
        // ENXIO: nothing is configured.
        if rc != 0 && rc != -6 {
            self.note(Priority::Error, format!("Local CIB query resulted in an error: {rc}"));
            self.error(Input::Error, "config_query_callback");
            return;
        }
        let now = i64::try_from(self.clock.epoch).unwrap_or(i64::MAX);
        self.alerts = output.map(|found| Alerts::read(found, now)).unwrap_or_default();
        let pairs = output.map(pairs).unwrap_or_default();
        self.options = Options::read(&pairs);
        self.election.set_period(self.options.election_timeout);
        self.throttle.set_limit(self.options.node_action_limit);
        self.throttle.target = f64::from(self.options.load_threshold) / 100.0;
        self.flags.read_config = true;
    }

    fn started(&mut self) {
        let ready = self.flags.membership
            && self.connected.contains(&Service::Executor)
            && self.connected.contains(&Service::Cib)
            && self.flags.read_config
            && self.flags.peer_data;
        if !ready {
            self.stall(Action::Started);
            return;
        }
        self.output(Output::OpenIpc);
        self.output(Output::Connect(Service::Fencer));
        self.flags.started = true;
        self.note(
            Priority::Notice,
            "Pacemaker controller successfully started and accepting connections",
        );
        self.input(Input::Pending, Cause::Internal, "do_started");
    }

    fn cib_stop(&mut self) {
        if self.cib_calls.values().any(|call| matches!(call, CibCall::History { .. })) {
            self.stall(Action::CibStop);
            return;
        }
        if self.connected.contains(&Service::Cib) {
            self.cib_primary(false);
            self.connected.remove(&Service::Cib);
            self.output(Output::Disconnect(Service::Cib));
        }
    }

    fn cib_primary(&mut self, primary: bool) {
        self.cib(
            CibCall::Quiet("primary"),
            CibRequest {
                op: if primary { "cib_master" } else { "cib_slave" },
                section: None,
                options: cib_option::SCOPE_LOCAL,
                data: None,
                host: None,
                user: None,
            },
        );
    }

    // --- elections ----------------------------------------------------------------------------

    pub(super) fn election_out(&mut self, outcome: Outcome) {
        if let Some(vote) = outcome.vote {
            self.send_peer(None, &vote);
        }
        if let Some((to, no_vote)) = outcome.no_vote {
            self.send_peer(Some(&to), &no_vote);
        }
        if outcome.won {
            self.input(Input::ElectionDc, Cause::Internal, "election_win_cb");
        }
    }

    fn call_election(&mut self) {
        if matches!(
            self.fsm.state(),
            State::Starting | State::Recovery | State::Stopping | State::Terminate
        ) {
            let input = if self.flags.the_dc { Input::ReleaseDc } else { Input::Pending };
            self.input(input, Cause::Internal, "do_election_vote");
            return;
        }
        let clock = self.clock;
        let outcome = self.election.vote(clock.now, clock.epoch, clock.age, self.group.peers());
        self.election_out(outcome);
    }

    fn count_vote(&mut self, message: &Element) {
        let clock = self.clock;
        let can_win = self.fsm.state() != State::Starting;
        let outcome = self.election.count(
            clock.now,
            clock.epoch,
            clock.age,
            self.group.peers(),
            message,
            can_win,
        );
        let lost = outcome.no_vote.is_some();
        self.election_out(outcome);
        match self.election.phase() {
            ElectionPhase::Start => {
                self.input(Input::Election, Cause::Internal, "do_election_count_vote");
            }
            ElectionPhase::Lost if lost => {
                self.forget_dc();
                if self.flags.the_dc {
                    self.input(Input::ReleaseDc, Cause::Internal, "do_election_count_vote");
                    self.cib_primary(false);
                } else if self.fsm.state() != State::Starting {
                    self.input(Input::Pending, Cause::Internal, "do_election_count_vote");
                }
            }
            _ => {}
        }
    }

    fn check_election(&mut self) {
        if self.fsm.state() != State::Election {
            return;
        }
        let outcome = self.election.check(self.group.peers());
        self.election_out(outcome);
    }

    // --- being the DC -------------------------------------------------------------------------

    fn take_over(&mut self) {
        self.note(Priority::Info, "Taking over DC status for this partition");
        self.flags.the_dc = true;
        self.fencing_cleanup();
        self.election.reset();
        self.flags.join_ok = true;
        self.quorum_written = None;
        self.cib_primary(true);
        let cib = Element::new("cib").with("crm_feature_set", FEATURE_SET);
        self.cib_modify(CibCall::Takeover, "cib", 0, cib);
        let watchdog = if self.setup.have_watchdog { "true" } else { "false" };
        let version = self.setup.version.clone();
        self.set_option("have-watchdog", watchdog);
        self.set_option("dc-version", &version);
        self.set_option("cluster-infrastructure", "corosync");
        self.cib(
            CibCall::ClusterName,
            CibRequest {
                op: "cib_query",
                section: Some("//crm_config//nvpair[@name='cluster-name']".to_owned()),
                options: cib_option::SCOPE_LOCAL | cib_option::XPATH,
                data: None,
                host: None,
                user: None,
            },
        );
        self.read_config();
    }

    /// The cluster name in the CIB was looked for: set it if nobody has.
    pub(super) fn cluster_name_queried(&mut self, rc: i32) {
        if rc != 0
            && self.flags.the_dc
            && let Some(name) = self.setup.cluster_name.clone()
        {
            self.set_option("cluster-name", &name);
        }
    }

    pub(super) fn set_option(&mut self, name: &str, value: &str) {
        let set = "cib-bootstrap-options";
        let config = Element::new("crm_config").with_child(
            Element::new("cluster_property_set").with("id", set).with_child(
                Element::new("nvpair")
                    .with("id", format!("{set}-{name}"))
                    .with("name", name)
                    .with("value", value),
            ),
        );
        self.cib_modify(CibCall::Quiet("cluster option"), "crm_config", 0, config);
    }

    fn released(&mut self) {
        if self.flags.shutdown {
            let own = self.group.own_id();
            self.join.expected.insert(own, "down");
            let peer = self.group.peers().get(own).cloned();
            let facts = Facts { expected: true, ..Facts::default() };
            if let Some(state) =
                peer.and_then(|peer| self.node_state(&peer, facts, "do_dc_release"))
            {
                let status = Element::new("status").with_child(state);
                self.cib_modify(CibCall::Quiet("node state"), "status", 0, status);
            }
        }
        self.input(Input::ReleaseSuccess, Cause::Internal, "do_dc_release");
    }
}
