//! Messages: which are for whom, and what each request means.
//!
//! Source: `spec/pacemaker-cluster.md` §4.11, `spec/pacemaker-ipc.md` §7.2–7.3.

use base::NodeId;
use base::log::Priority;
use xml::Element;

use super::core::{Clock, Controller, Output, cib_option};
use super::fsm::{Action, Actions, Cause, Input, State};
use super::graph::{Completion, INFINITY};
use super::throttle::Mode;
use crate::cluster::envelope;
use crate::cluster::peers::State as PeerState;

impl Controller {
    // --- where messages come from -------------------------------------------------------------

    pub(super) fn peer_message(&mut self, from: NodeId, name: &str, message: &Element) {
        let now = self.clock.now;
        if self.group.peers().get(from).is_some_and(|peer| !peer.online) {
            self.group.peers_mut().seen_in_group(now, from);
            for event in self.group.take_peer_events() {
                if let crate::cluster::group::Event::Peer(change) = event {
                    self.peer_changed(&change);
                }
            }
        }
        let own = self.is_own(name);
        if self.flags.the_dc && !own && message.get("crm_sys_from") == Some("dc") {
            if self.fsm.state() != State::Election {
                self.note(Priority::Error, format!("Another DC detected: {name}"));
                self.input(Input::Election, Cause::Message, "crmd_ha_msg_filter");
            }
            return;
        }
        if !self.flags.the_dc && message.get("crm_sys_to") == Some("dc") {
            return;
        }
        self.route(message, false);
    }

    /// A client said something. `client` is its id, `user` its account.
    pub fn client_message(&mut self, clock: Clock, client: &str, user: &str, message: &Element) {
        self.clock = clock;
        let mut message = message.clone();
        message.set("crm_user", user);
        message.set("acl_target", user);
        message.set("crm_sys_from", client);
        self.clients.insert(client.to_owned(), user.to_owned());
        self.route(&message, true);
        self.run();
    }

    /// Clients that are gone are forgotten; these are left.
    pub fn keep_clients(&mut self, alive: &[String]) {
        self.clients.retain(|client, _| alive.contains(client));
    }

    // --- routing ------------------------------------------------------------------------------

    pub(super) fn route(&mut self, message: &Element, from_client: bool) {
        let task = message.get("crm_task").unwrap_or("");
        if task == "hello" {
            return;
        }
        let Some(to) = message.get("crm_sys_to").filter(|to| !to.is_empty()) else {
            self.note(
                Priority::Warning,
                format!("Cannot route {task:?} message without destination"),
            );
            return;
        };
        if message.get("t") != Some("crmd") {
            self.note(
                Priority::Warning,
                format!("Cannot route message of type {:?}", message.get("t")),
            );
            return;
        }
        let host = message.get("crm_host_to").filter(|host| !host.is_empty()).map(str::to_owned);
        let is_local = match &host {
            None => match to {
                "dc" | "tengine" => false,
                "crmd" => !from_client || matches!(task, "node-info" | "list-nodes"),
                _ => true,
            },
            Some(host) => self.is_own(host),
        };
        let from_cib = to == "crmd"
            && task == "lrm_delete"
            && envelope::data(message).is_some_and(|data| data.get("mode") == Some("cib"));
        let is_local = is_local || from_cib;
        match to {
            "dc" | "dcib" | "tengine" => {
                if self.flags.the_dc {
                    if to == "tengine" {
                        self.engine_message(message);
                    } else {
                        self.handle(message);
                    }
                } else if from_client
                    && !matches!(message.get("crm_sys_from"), Some("pengine" | "tengine"))
                {
                    self.send_peer(host.as_deref(), message);
                }
            }
            "crmd" | "cib" if is_local => self.handle(message),
            _ if is_local => self.deliver(to, message),
            _ => self.send_peer(host.as_deref(), message),
        }
    }

    fn deliver(&mut self, to: &str, message: &Element) {
        match to {
            "tengine" => self.engine_message(message),
            "lrmd" => {
                let mut message = message.clone();
                if !message.has("src") {
                    let own = self.own_name().to_owned();
                    message.set("src", own);
                }
                self.lrm_invoke(&message);
            }
            client if self.clients.contains_key(client) => {
                let mut message = message.clone();
                if !message.has("src") {
                    let own = self.own_name().to_owned();
                    message.set("src", own);
                }
                self.output(Output::Client(client.to_owned(), message));
            }
            _ => self.note(Priority::Debug, format!("Dropped message to unknown {to:?}")),
        }
    }

    fn engine_message(&mut self, message: &Element) {
        if message.get("crm_task") == Some("lrm_invoke")
            && message.get("crm_sys_from") == Some("lrmd")
            && let Some(data) = envelope::data(message).cloned()
        {
            self.direct_results(&data);
        }
    }

    // --- requests -----------------------------------------------------------------------------

    fn handle(&mut self, message: &Element) {
        match message.get("subt") {
            Some("request") => self.handle_request(message),
            Some("response") => {}
            other => self.note(Priority::Error, format!("Unknown message type {other:?}")),
        }
    }

    fn handle_request(&mut self, message: &Element) {
        let task = message.get("crm_task").unwrap_or("").to_owned();
        let from = message.get("src").unwrap_or("").to_owned();
        if self.flags.the_dc {
            match task.as_str() {
                "req_shutdown" => return self.shutdown_requested(&from),
                "join_announce" => {
                    return self.input_message(Input::NodeJoin, message, "handle_request");
                }
                "join_request" => {
                    return self.input_message(Input::JoinRequest, message, "handle_request");
                }
                "join_confirm" => {
                    return self.input_message(Input::JoinResult, message, "handle_request");
                }
                "do_shutdown" => {
                    if self.flags.shutdown && self.is_own(&from) {
                        self.input_first(Input::Stop, Cause::Message, "handle_shutdown_self_ack");
                    } else if self.is_own(&from) || self.fsm.state() == State::Stopping {
                        self.input_first(
                            Input::Terminate,
                            Cause::Message,
                            "handle_shutdown_self_ack",
                        );
                    } else {
                        self.input_first(
                            Input::Election,
                            Cause::Message,
                            "handle_shutdown_self_ack",
                        );
                    }
                    return;
                }
                _ => {}
            }
        }
        match task.as_str() {
            "vote" | "no-vote" => {
                let actions = Actions::of(&[Action::ElectionCount, Action::ElectionCheck]);
                self.queue_actions(actions, Some(message));
            }
            "throttle" => {
                let number = |name: &str| message.get(name).and_then(|text| text.parse().ok());
                let mode = Mode::of(number("crm-limit-mode").unwrap_or(0));
                self.throttle.told(&from, mode, number("crm-limit-max").unwrap_or(0));
                self.pass_wanted = true;
            }
            "join_offer" => self.join_check_offer(message),
            "join_ack_nack" => self.input_message(Input::JoinResult, message, "handle_request"),
            "clear_failcount" => self.clear_failcount(message),
            "lrm_delete"
                if envelope::data(message).is_some_and(|d| d.get("mode") == Some("cib")) =>
            {
                self.delete_history_from_cib(message);
            }
            "lrm_delete" | "lrm_fail" | "lrm_refresh" | "probe_again" => {
                let mut message = message.clone().with("crm_sys_to", "lrmd");
                if task == "probe_again" && envelope::data(&message).is_some() {
                    message.unset("crm_host_to");
                }
                self.lrm_invoke(&message);
            }
            "ping" => self.answer_ping(message),
            "node-info" => self.answer_node_info(message),
            "list-nodes" => self.answer_list_nodes(message),
            "rm_node_cache" => self.remove_node(message),
            "start_shutdown" => self.begin_shutdown(),
            "do_shutdown" => self.told_to_shut_down(&from),
            "req_shutdown" => {
                if let Some(id) = self.group.peers().by_name(&from).map(|peer| peer.id) {
                    self.join.expected.insert(id, "down");
                }
            }
            "maintenance_nodes" | "remote_state" | "noop" | "join_announce" | "join_request"
            | "join_confirm" | "hello" => {}
            other => {
                self.note(Priority::Error, format!("Unexpected request ({other}) from {from}"));
            }
        }
    }

    fn shutdown_requested(&mut self, from: &str) {
        let Some(id) = self.group.peers().by_name(from).map(|peer| peer.id) else { return };
        self.note(Priority::Info, format!("Creating shutdown request for {from}"));
        self.join.expected.insert(id, "down");
        let now = self.clock.epoch.to_string();
        self.set_attribute(from, "shutdown", Some(&now));
    }

    fn told_to_shut_down(&mut self, from: &str) {
        if self.dc_name.as_deref().is_some_and(|dc| !dc.eq_ignore_ascii_case(from)) {
            self.note(
                Priority::Warning,
                format!("Ignoring shutdown order from {from}: not our DC"),
            );
            return;
        }
        if !self.flags.shutdown {
            self.note(Priority::Error, format!("Shutting ourselves down because of {from}"));
            self.flags.stay_down = true;
        }
        self.input_first(Input::Stop, Cause::Message, "handle_shutdown_request");
    }

    fn answer(&mut self, message: &Element, data: Element) {
        let reply = envelope::reply("controld", message, Some(data));
        self.route(&reply, true);
    }

    fn answer_ping(&mut self, message: &Element) {
        let data = Element::new("ping_response")
            .with("crm_subsystem", message.get("crm_sys_to").unwrap_or("crmd"))
            .with("crmd_state", self.fsm.state().as_str())
            .with("result", "ok");
        self.answer(message, data);
    }

    fn answer_node_info(&mut self, message: &Element) {
        let id = message.get("id").and_then(|id| id.parse::<u32>().ok()).filter(|id| *id != 0);
        let name = message.get("uname").map(str::to_owned);
        let mut data = Element::new("node")
            .with("crm_subsystem", "crmd")
            .with("have-quorum", if self.quorate { "true" } else { "false" });
        let peers = self.group.peers();
        let peer = match (id, name) {
            (Some(id), _) => peers.get(NodeId(id)),
            (None, Some(name)) => peers.by_name(&name),
            (None, None) => peers.get(self.group.own_id()),
        };
        if let Some(peer) = peer {
            data.set("id", peer.uuid());
            if let Some(name) = &peer.name {
                data.set("uname", name.as_str());
            }
            data.set("crmd", peer.state.map_or("lost", PeerState::as_str));
            data.set("remote_node", "false");
        }
        self.answer(message, data);
    }

    fn answer_list_nodes(&mut self, message: &Element) {
        let mut data = Element::new("nodes");
        for peer in self.group.peers().iter() {
            let mut node = Element::new("node").with("id", peer.id.to_string());
            if let Some(name) = &peer.name {
                node.set("uname", name.as_str());
            }
            node.set("in_ccm", peer.state.map_or("lost", PeerState::as_str));
            data.push(node);
        }
        self.answer(message, data);
    }

    fn remove_node(&mut self, message: &Element) {
        let id = message.get("id").and_then(|id| id.parse().ok()).filter(|id: &NodeId| id.0 != 0);
        let name = message.get("uname").map(str::to_owned);
        if !message.has("src") {
            let mut broadcast = self.request("rm_node_cache", None, "crmd", "crmd", None);
            if let Some(id) = id {
                broadcast.set("id", id.to_string());
            }
            if let Some(name) = &name {
                broadcast.set("uname", name.as_str());
            }
            self.send_peer(None, &broadcast);
            return;
        }
        if id.is_none() && name.is_none() {
            return;
        }
        self.group.peers_mut().forget(id, name.as_deref());
        self.fencing.forget_failures(name.as_deref());
    }

    fn clear_failcount(&mut self, message: &Element) {
        let Some(data) = envelope::data(message) else { return };
        let Some(rsc) = data.children().find(|child| child.has("type")).and_then(Element::id)
        else {
            return;
        };
        let (rsc, node) = (rsc.to_owned(), data.get("on_node").unwrap_or("").to_owned());
        let meta = |name: &str| data.child("attributes").and_then(|a| a.get(name));
        let operation = meta("CRM_meta_clear_failure_op").map(str::to_owned);
        let interval = meta("CRM_meta_clear_failure_interval").map(str::to_owned);
        let mut clear = Element::new("create_attrd_op")
            .with("t", "attrd")
            .with("src", "crmd")
            .with("task", "clear-failure")
            .with("attr_host", node.as_str())
            .with("attr_resource", rsc.as_str());
        if let Some(operation) = &operation {
            clear.set("attr_clear_operation", operation.as_str());
        }
        if let Some(interval) = &interval {
            clear.set("attr_clear_interval", interval.as_str());
        }
        self.output(Output::Attrd(clear));
        let which = match (&operation, &interval) {
            (Some(operation), Some(interval)) => {
                let ms = base::interval::parse_ms(interval).unwrap_or(0);
                format!("@id='{rsc}_last_failure_0' and @operation_key='{rsc}_{operation}_{ms}'")
            }
            _ => format!("@id='{rsc}_last_failure_0'"),
        };
        let xpath =
            format!("//node_state[@uname='{node}']//lrm_resource[@id='{rsc}']/lrm_rsc_op[{which}]");
        self.cib_delete_xpath("failure record", xpath, 0);
        self.lrm.forget_failure(&rsc);
        // The graph's action is done by this; nothing will come back through the CIB.
        if let Some(key) = message.get("transition-key").and_then(super::key::Key::parse)
            && self.flags.the_dc
            && key.uuid == self.setup.te_uuid
            && key.transition == self.graph.id
        {
            self.confirm_action(key.action);
        }
    }

    fn delete_history_from_cib(&mut self, message: &Element) {
        let Some(data) = envelope::data(message).cloned() else { return };
        let Some(rsc) = data.children().find(|c| c.has("type")).and_then(Element::id) else {
            return;
        };
        let (rsc, node) = (rsc.to_owned(), data.get("on_node").unwrap_or("").to_owned());
        let xpath = format!("//node_state[@uname='{node}']//lrm_resource[@id='{rsc}']");
        self.cib_delete_xpath("resource history", xpath, cib_option::QUORUM_OVERRIDE);
        self.acknowledge_delete(message, &data, &rsc, &node, 0);
        if self.flags.the_dc && message.get("crm_sys_from") != Some("tengine") {
            self.abort_transition(INFINITY, Completion::Restart, "Resource history deleted");
        }
    }
}
