//! Results: what a change of the CIB or a direct message says about the actions of the graph.
//!
//! Source: `spec/pacemaker-cluster.md` §6.7.

use base::log::Priority;
use xml::Element;

use super::core::{CibCall, Clock, Controller, Output};
use super::diff::{self, Reaction};
use super::fsm::State;
use super::graph::{Completion, INFINITY};
use super::history::{rc_word, status};
use super::key::Key;

impl Controller {
    /// The CIB changed: `diff` is the patch set.
    pub fn cib_changed(&mut self, clock: Clock, diff: &Element) {
        self.clock = clock;
        if diff::touches(diff, "crm_config") || diff::touches(diff, "alerts") {
            self.read_config();
        }
        if self.flags.the_dc {
            self.engine_reads(diff);
        }
        if diff::brings_history(diff, &self.own_uuid()) {
            self.release_history();
        }
        self.run();
    }

    /// The document was replaced as a whole. `sections`: 1 nodes, 2 alerts, 4 status. The status
    /// that came with it may lack what the nodes know: everybody joins anew and tells.
    pub fn cib_replaced(&mut self, clock: Clock, sections: u32) {
        self.clock = clock;
        let settled =
            matches!(self.fsm.state(), State::Idle | State::PolicyEngine | State::TransitionEngine);
        if self.flags.the_dc && settled && sections & 0x5 != 0 {
            self.note(Priority::Notice, "The CIB was replaced: all nodes join anew");
            self.populate_nodes();
            self.input(super::fsm::Input::Election, super::fsm::Cause::Internal, "do_cib_replaced");
        }
        self.run();
    }

    fn engine_reads(&mut self, diff: &Element) {
        let state = self.fsm.state();
        if self.graph.complete
            && !matches!(state, State::Idle | State::TransitionEngine | State::PolicyEngine)
        {
            return;
        }
        // A failed operation stands in the history twice, as the last one and as the last failure.
        let mut seen = std::collections::BTreeSet::new();
        for reaction in diff::reactions(diff) {
            match reaction {
                Reaction::Abort(reason) => {
                    self.abort_transition(INFINITY, Completion::Restart, reason);
                    return;
                }
                Reaction::AbortUnlessDown { reason, node, removed, last } => {
                    if !removed || self.graph.down_action(&node).is_none() {
                        self.abort_transition(INFINITY, Completion::Restart, reason);
                    }
                    if last {
                        return;
                    }
                }
                Reaction::OpRemoved { node, op } => self.op_removed(&node, &op),
                Reaction::HistoryRefresh => {
                    let n_pending = self
                        .graph
                        .actions()
                        .filter(|action| action.executed && !action.confirmed)
                        .count();
                    if n_pending == 0 {
                        self.abort_transition(INFINITY, Completion::Restart, "History refresh");
                    }
                }
                Reaction::Event { node, op } => {
                    let text = |name: &str| op.get(name).unwrap_or("").to_owned();
                    let identity = (
                        node.clone(),
                        text("operation_key"),
                        text("call-id"),
                        text("transition-magic"),
                    );
                    if seen.insert(identity) {
                        self.process_event(&node, &op);
                    }
                }
            }
        }
    }

    fn op_removed(&mut self, node: &str, op: &str) {
        if let Some(id) = self.pending_cancel(node, op) {
            let text = format!(
                "Cancellation of {op} on {} confirmed | action {id}",
                self.name_of_uuid(node)
            );
            self.note(Priority::Info, text);
            self.confirm_action(id);
        } else {
            self.abort_transition(INFINITY, Completion::Restart, "Resource operation removal");
        }
    }

    fn pending_cancel(&self, node: &str, key: &str) -> Option<i32> {
        self.graph
            .actions()
            .find(|action| {
                action.task() == "cancel"
                    && action.executed
                    && !action.confirmed
                    && action.on_node_uuid() == node
                    && action.key() == key
            })
            .map(|action| action.id)
    }

    pub(super) fn name_of_uuid(&self, uuid: &str) -> String {
        uuid.parse()
            .ok()
            .and_then(|id| self.group.name_of(id))
            .map(str::to_owned)
            .or_else(|| self.node_cache.get(uuid).cloned())
            .unwrap_or_else(|| uuid.to_owned())
    }

    /// Results that a peer's executor part sent directly.
    pub(super) fn direct_results(&mut self, data: &Element) {
        for state in std::iter::once(data)
            .chain(data.descendants().skip(1))
            .filter(|element| element.name() == "node_state")
        {
            let node = state.id().unwrap_or("").to_owned();
            let ops: Vec<Element> =
                state.descendants().filter(|e| e.name() == "lrm_rsc_op").cloned().collect();
            for op in ops {
                self.process_event(&node, &op);
            }
        }
    }

    fn process_event(&mut self, node: &str, op: &Element) {
        let Some(key_text) = op.get("transition-key").filter(|key| !key.is_empty()) else { return };
        let number =
            |name: &str| op.get(name).and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
        let op_status = number("op-status");
        if op_status == status::PENDING {
            return;
        }
        let rc = match number("rc-code") {
            190 => 0,
            191 => 8,
            rc => rc,
        };
        let interval: u32 = op.get("interval").and_then(|text| text.parse().ok()).unwrap_or(0);
        let op_key = op.get("operation_key").unwrap_or("").to_owned();
        let Some(key) = Key::parse(key_text) else {
            self.note(Priority::Warning, format!("Ignoring malformed transition key {key_text:?}"));
            self.abort_transition(INFINITY, Completion::Restart, "Bad event");
            return;
        };
        let mut ignore_failures = false;
        if key.transition == -1 {
            self.abort_transition(INFINITY, Completion::Restart, "Unexpected event");
        } else if key.action < 0 || key.uuid != self.setup.te_uuid {
            self.abort_transition(INFINITY, Completion::Restart, "Foreign event");
        } else if key.transition != self.graph.id || self.graph.complete {
            if interval != 0 && op_status == status::CANCELLED {
                if let Some(id) = self.pending_cancel(node, &op_key) {
                    self.confirm_action(id);
                }
                return;
            }
            let reason = if interval != 0 {
                "Change in recurring result"
            } else if key.transition != self.graph.id {
                "Old event"
            } else {
                "Inactive graph"
            };
            self.abort_transition(INFINITY, Completion::Restart, reason);
        } else {
            let Some(action) = self.graph.action_mut(key.action) else {
                self.abort_transition(INFINITY, Completion::Restart, "Unknown event");
                return;
            };
            if action.confirmed {
                return;
            }
            ignore_failures = action.meta("CRM_meta_on_fail") == Some("ignore");
            let failed = rc != key.target_rc && !ignore_failures;
            action.failed |= failed;
            action.deadline = None;
            let failed = action.failed;
            let node_name = action.on_node().to_owned();
            self.confirm_action(key.action);
            self.note(
                Priority::Info,
                format!(
                    "Transition {} action {} ({op_key} on {node_name}): expected '{}' and got '{}'",
                    self.graph.id,
                    key.action,
                    rc_word(key.target_rc),
                    rc_word(rc)
                ),
            );
            if failed {
                let priority = self.graph.priority_of(key.action).saturating_add(1);
                self.abort_transition(priority, Completion::Restart, "Event failed");
            }
        }
        if op_status != status::INVALID && rc != key.target_rc {
            self.count_failure(node, op, &key, rc, interval, ignore_failures);
        }
    }

    /// A result that nobody wanted raises the resource's fail count.
    fn count_failure(
        &mut self,
        node: &str,
        op: &Element,
        key: &Key,
        rc: i32,
        interval: u32,
        ignore: bool,
    ) {
        if op.get("crm-debug-origin") == Some("build_active_RAs") {
            return;
        }
        let Some((rsc, task)) = op.get("operation_key").and_then(split_key) else { return };
        let (rsc, task) = (rsc.to_owned(), task.to_owned());
        let value = if interval != 0 || matches!(task.as_str(), "promote" | "demote") {
            "value++"
        } else if task == "start" {
            offset(&self.graph.failed_start_offset)
        } else if task == "stop" {
            offset(&self.graph.failed_stop_offset)
        } else if key.transition == -1 {
            "value++"
        } else {
            return;
        };
        let host = self.name_of_uuid(node);
        let text = format!(
            "Updating failcount for {rsc} on {host} after failed {task}: rc={rc} (update={value}, time={})",
            self.clock.epoch
        );
        self.note(if ignore { Priority::Info } else { Priority::Notice }, text);
        let mut list = Element::new("create_attrd_op")
            .with("t", "attrd")
            .with("src", "crmd")
            .with("task", "update");
        let op = |name: String, value: &str| {
            Element::new("op")
                .with("task", "update")
                .with("attr_name", name)
                .with("attr_value", value)
                .with("attr_host", host.as_str())
                .with("attr_is_remote", if node.parse::<u32>().is_ok() { "0" } else { "1" })
        };
        if !ignore {
            list.push(op(format!("fail-count-{rsc}#{task}_{interval}"), value));
        }
        let now = self.clock.epoch.to_string();
        list.push(op(format!("last-failure-{rsc}#{task}_{interval}"), &now));
        self.output(Output::Attrd(list));
    }

    // --- answers of the CIB manager -----------------------------------------------------------

    /// The CIB manager answered.
    pub fn cib_reply(&mut self, clock: Clock, tag: u64, rc: i32, output: Option<&Element>) {
        self.clock = clock;
        let Some(call) = self.cib_calls.remove(&tag) else { return };
        match call {
            CibCall::Quiet(what) => {
                // ENXIO: what was to be deleted is not there.
                if rc != 0 && rc != -6 {
                    let text = format!("Update of the CIB ({what}) failed: error {rc}");
                    self.note(Priority::Warning, text);
                }
            }
            CibCall::Config => self.configured(rc, output),
            CibCall::JoinQuery { offer } => self.join_queried(&offer, rc, output),
            CibCall::JoinSync { join_id } => self.join_synced(join_id, rc),
            CibCall::JoinConfirmed { join_id } => {
                if rc == 0 {
                    self.note(
                        Priority::Debug,
                        format!("join-{join_id} node history update complete"),
                    );
                    self.check_join_state("join_update_complete_callback");
                } else {
                    let text = format!("join-{join_id} node history update failed: error {rc}");
                    self.note(Priority::Error, text);
                    self.error(super::fsm::Input::Error, "join_update_complete_callback");
                }
            }
            CibCall::Schedule { serial } => self.schedule(serial, rc, output),
            CibCall::Takeover => {
                if rc != 0 {
                    self.note(Priority::Error, format!("Could not update feature set: error {rc}"));
                    self.error(super::fsm::Input::Error, "feature_update_callback");
                }
            }
            CibCall::ClusterName => self.cluster_name_queried(rc),
            CibCall::Down { target } => {
                if rc != 0 {
                    let text = format!("Could not record that {target} was fenced: error {rc}");
                    self.note(Priority::Crit, text);
                    self.abort_transition(INFINITY, Completion::Shutdown, "CIB update failed");
                }
            }
            CibCall::DeleteAllowed { rsc, requester } => {
                self.delete_tried(&rsc, rc, requester);
            }
            CibCall::Erased { key, rsc, requester } => {
                if rc != 0 && rc != -6 {
                    let text = format!("Could not erase history of {key}: error {rc}");
                    self.note(Priority::Error, text);
                }
                self.erased(&rsc, rc, &requester);
            }
            CibCall::History { rsc } => {
                if rc != 0 {
                    let text = format!("Resource history update for {rsc} failed: error {rc}");
                    self.note(Priority::Error, text);
                }
            }
        }
        if self.schedule_wanted && self.n_cib_writes() == 0 {
            self.schedule_wanted = false;
            self.invoke_scheduler();
        }
        self.run();
    }

    /// The connection to a daemon is gone.
    pub fn disconnected(&mut self, clock: Clock, service: super::core::Service) {
        use super::core::Service;
        use super::fsm::{Cause, Input};
        self.clock = clock;
        if !self.connected.remove(&service) {
            return;
        }
        match service {
            Service::Cib => {
                self.cib_calls.clear();
                if !self.flags.shutdown {
                    self.note(Priority::Crit, "Lost connection to the CIB manager, shutting down");
                }
                self.input(Input::Error, Cause::Internal, "handle_cib_disconnect");
            }
            Service::Executor => {
                if !self.flags.shutdown {
                    self.note(Priority::Crit, "Lost connection to local executor");
                }
                self.input(Input::Error, Cause::Internal, "lrm_connection_destroy");
            }
            Service::Scheduler => {
                self.timers.scheduler = None;
                if self.flags.pe_required {
                    // Its answer, if one is due, will not come: ask the next one.
                    self.note(Priority::Error, "Lost connection to the scheduler");
                    let waiting = self.schedule_reference.take().is_some();
                    if waiting || self.fsm.state() == State::PolicyEngine {
                        self.queue_actions(
                            super::fsm::Actions::of(&[super::fsm::Action::PeInvoke]),
                            None,
                        );
                    }
                }
            }
            Service::Fencer => self.fencer_lost(),
        }
        self.run();
    }
}

/// `RSC_TASK_INTERVAL` split into resource and task.
fn split_key(key: &str) -> Option<(&str, &str)> {
    let (rest, interval) = key.rsplit_once('_')?;
    if !interval.bytes().all(|byte| byte.is_ascii_digit()) || interval.is_empty() {
        return None;
    }
    for task in ["migrate_to", "migrate_from"] {
        if let Some(rsc) = rest.strip_suffix(task).and_then(|rest| rest.strip_suffix('_')) {
            return Some((rsc, task));
        }
    }
    rest.rsplit_once('_')
}

/// The literal that attrd understands for a configured offset.
fn offset(text: &str) -> &'static str {
    match text {
        "1" => "value++",
        "0" => "0",
        _ => "INFINITY",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_keys_are_split_from_behind() {
        for (key, want) in [
            ("a_start_0", Some(("a", "start"))),
            ("web_1_monitor_10000", Some(("web_1", "monitor"))),
            ("x_migrate_to_0", Some(("x", "migrate_to"))),
            ("x_start_", None),
            ("x", None),
        ] {
            assert_eq!(split_key(key), want, "{key}");
        }
    }
}
