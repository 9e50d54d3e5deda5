//! This node's operations: what the graph (or an administrator) asks for goes to the executor,
//! results go to the CIB, and a memory of both is kept for the next join.
//!
//! Source: `spec/pacemaker-cluster.md` §7, `spec/pacemaker-ipc.md` §8.

use std::collections::{BTreeMap, BTreeSet};

use base::log::Priority;
use xml::Element;

use super::core::{CibCall, CibRequest, Clock, Controller, Output, Service, cib_option};
use super::engine::is_recordable;
use super::fsm::{Action, State};
use super::history::{OpRecord, RscInfo, rc_word, status};
use super::metadata::{Cache, Metadata};
use super::status::Facts;
use crate::cluster::envelope;

/// Call options of the executor.
const DROP_RECURRING: u32 = 0x3;
const NOTIFY_CHANGES_ONLY: u32 = 0x4;
/// Upstream's answers.
const EINPROGRESS: i32 = -115;

/// What is remembered of one resource.
#[derive(Debug, Default)]
struct Memory {
    info: RscInfo,
    registered: bool,
    last: Option<OpRecord>,
    failed: Option<OpRecord>,
    recurring: BTreeMap<String, OpRecord>,
    /// Parameters that the running instance was started with.
    stop_params: BTreeMap<String, String>,
    last_call: i32,
}

/// An operation that the executor works on.
#[derive(Debug, Clone)]
struct Pending {
    op: OpRecord,
    /// Its history entry goes when it is cancelled, and this wants to hear of it.
    remove: Option<Requester>,
    lock: Option<String>,
}

/// Who asked for something.
#[derive(Debug, Clone, Default)]
pub(super) struct Requester {
    pub host: Option<String>,
    pub sys: String,
    /// The transition key to answer with.
    pub key: Option<String>,
}

/// A command that the executor has not answered.
#[derive(Debug)]
enum Call {
    Quiet,
    Exec { op: OpRecord, lock: Option<String> },
    Cancel { key: String, requester: Option<Requester> },
    Unregister { rsc: String, requester: Option<Requester> },
}

/// The executor part's memory.
#[derive(Debug, Default)]
pub(super) struct Lrm {
    resources: BTreeMap<String, Memory>,
    /// By call id.
    pending: BTreeMap<i32, Pending>,
    calls: BTreeMap<u64, Call>,
    metadata: Cache,
    metadata_pending: BTreeSet<String>,
    /// Results that wait for their agent's meta-data.
    waiting: Vec<(OpRecord, Option<Pending>)>,
    /// Resources to be forgotten when their last operation ended.
    deletions: BTreeMap<String, Vec<Requester>>,
}

impl Lrm {
    pub(super) fn forget_failure(&mut self, rsc: &str) {
        if let Some(memory) = self.resources.get_mut(rsc) {
            memory.failed = None;
        }
    }

    fn metadata_of(&self, rsc: &str) -> Option<&Metadata> {
        let key = self.resources.get(rsc)?.info.agent_key();
        self.metadata.get(&key)?.as_ref()
    }
}

/// `<status>` with one resource's entries.
pub(super) fn status_update(uuid: &str, node: &str, origin: &str, resource: Element) -> Element {
    Element::new("status").with_child(
        Element::new("node_state")
            .with("id", uuid)
            .with("uname", node)
            .with("crm-debug-origin", origin)
            .with_child(lrm(uuid, Element::new("lrm_resources").with_child(resource))),
    )
}

fn lrm(uuid: &str, resources: Element) -> Element {
    Element::new("lrm").with("id", uuid).with_child(resources)
}

fn resource_element(info: &RscInfo) -> Element {
    let mut element = Element::new("lrm_resource")
        .with("id", info.id.as_str())
        .with("type", info.agent.as_str())
        .with("class", info.class.as_str());
    if let Some(provider) = &info.provider {
        element.set("provider", provider.as_str());
    }
    element
}

/// Parameters of an `<attributes>` element (`spec/pacemaker-ipc.md` §8.4).
fn parameters(attributes: Option<&Element>) -> BTreeMap<String, String> {
    let mut params = BTreeMap::new();
    let Some(attributes) = attributes else { return params };
    for (name, value) in attributes.attrs() {
        params.insert(name.to_owned(), value.to_owned());
    }
    for param in attributes.children_named("param") {
        if let (Some(name), Some(value)) = (param.get("name"), param.get("value")) {
            params.insert(name.to_owned(), value.to_owned());
        }
    }
    params
}

fn attributes(params: &BTreeMap<String, String>) -> Element {
    let mut element = Element::new("attributes");
    for (name, value) in params {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            element.push(
                Element::new("param").with("name", name.as_str()).with("value", value.as_str()),
            );
        } else {
            element.set(name, value.as_str());
        }
    }
    element
}

fn meta_ms(params: &BTreeMap<String, String>, name: &str) -> u32 {
    params
        .get(name)
        .and_then(|text| text.trim().parse::<i64>().ok())
        .map_or(0, |ms| u32::try_from(ms.max(0)).unwrap_or(u32::MAX))
}

impl Controller {
    // --- requests -----------------------------------------------------------------------------

    /// A request to the executor part of this node.
    pub(super) fn lrm_invoke(&mut self, message: &Element) {
        let task = message.get("crm_task").unwrap_or("").to_owned();
        let sys = message.get("crm_sys_from").unwrap_or("tengine").to_owned();
        let data = envelope::data(message).cloned().unwrap_or_else(|| Element::new("none"));
        let requester = Requester {
            host: message
                .get("src")
                .filter(|_| sys != "tengine")
                .filter(|host| !host.is_empty())
                .map(str::to_owned),
            sys,
            key: data.get("transition-key").map(str::to_owned),
        };
        let operation = data.get("operation").unwrap_or("").to_owned();
        let node = data.get("on_node").unwrap_or("").to_owned();
        let info = rsc_info(&data);
        if !node.is_empty() && !self.is_own(&node) {
            self.note(
                Priority::Error,
                format!("Failing {task} {operation} because we have no connection to {node}"),
            );
            if let Some(info) = info {
                self.refuse(
                    &data,
                    &info,
                    &operation,
                    &requester,
                    status::NOT_CONNECTED,
                    "Not connected to remote executor",
                );
            }
            return;
        }
        match (task.as_str(), operation.as_str()) {
            ("lrm_refresh", _) => {}
            ("lrm_fail", _) => self.simulate_failure(&data, info, &requester),
            ("probe_again", _) | (_, "probe_again") => self.forget_everything(message, &requester),
            (_, "probe_complete") => {
                let own = self.own_name().to_owned();
                self.set_attribute(&own, "probe_complete", Some("true"));
            }
            ("lrm_delete", _) | (_, "delete") => match info {
                Some(info) => self.delete_resource(&info.id, Some(requester)),
                None => {
                    self.note(Priority::Error, "Invalid resource definition in a delete request")
                }
            },
            (_, "cancel") => match info {
                Some(info) => self.cancel(&data, &info, requester),
                None => {
                    self.note(Priority::Error, "Invalid resource definition in a cancel request")
                }
            },
            (_, "") => {
                self.note(Priority::Error, format!("Cannot perform {task:?}: no operation"));
            }
            _ => match info {
                Some(info) => self.execute_op(&data, info, &operation, requester),
                None => {
                    self.note(
                        Priority::Error,
                        format!("Invalid resource definition for {operation}"),
                    );
                }
            },
        }
    }

    fn new_op(&self, data: &Element, info: &RscInfo, operation: &str) -> OpRecord {
        let mut params = parameters(data.child("attributes"));
        params.remove("CRM_meta_op_target_rc");
        let interval_ms = meta_ms(&params, "CRM_meta_interval");
        let mut timeout_ms = meta_ms(&params, "CRM_meta_timeout");
        if info.class == "stonith"
            && interval_ms > 0
            && let Some(ms) = params
                .get("pcmk_monitor_timeout")
                .and_then(|text| base::interval::parse_ms(text).ok())
        {
            timeout_ms = ms;
        }
        if timeout_ms == 0 {
            timeout_ms = interval_ms;
        }
        OpRecord {
            rsc: info.id.clone(),
            task: operation.to_owned(),
            interval_ms,
            timeout_ms,
            start_delay_ms: meta_ms(&params, "CRM_meta_start_delay"),
            key: data.get("transition-key").map(str::to_owned),
            params,
            ..OpRecord::default()
        }
    }

    /// Answers that an operation was not (and will not be) executed.
    fn refuse(
        &mut self,
        data: &Element,
        info: &RscInfo,
        operation: &str,
        requester: &Requester,
        op_status: i32,
        reason: &str,
    ) {
        let mut op = self.new_op(data, info, operation);
        op.status = op_status;
        op.rc = 1;
        op.call_id = self.fake_call_id(&info.id);
        op.run_time = self.clock.epoch;
        op.rc_change = self.clock.epoch;
        op.exit_reason = reason.to_owned();
        self.note(Priority::Notice, format!("Not executing {operation} of {}: {reason}", info.id));
        self.acknowledge(requester, &op);
    }

    fn fake_call_id(&mut self, rsc: &str) -> i32 {
        match self.lrm.resources.get_mut(rsc) {
            Some(memory) => {
                memory.last_call = memory.last_call.saturating_add(1);
                memory.last_call
            }
            None => 999_999_999,
        }
    }

    fn execute_op(&mut self, data: &Element, info: RscInfo, operation: &str, requester: Requester) {
        let state = self.fsm.state();
        let refusal = if self.flags.shutdown && operation == "start" {
            Some("Not attempting start due to shutdown in progress")
        } else if !matches!(state, State::NotDc | State::PolicyEngine | State::TransitionEngine)
            && operation != "stop"
        {
            Some("Controller cannot attempt actions at this time")
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.refuse(data, &info, operation, &requester, status::INVALID, reason);
            return;
        }
        let rsc = info.id.clone();
        let agent_key = info.agent_key();
        let mut op = self.new_op(data, &info, operation);
        if matches!(operation, "reload" | "reload-agent") {
            let legacy = self
                .lrm
                .metadata
                .get(&agent_key)
                .and_then(Option::as_ref)
                .is_some_and(|metadata| metadata.reload_legacy && !metadata.reload_agent);
            op.task = if legacy { "reload" } else { "reload-agent" }.to_owned();
        }
        self.learn_metadata(&info, operation, &agent_key);
        let memory = self.lrm.resources.entry(rsc.clone()).or_default();
        memory.info = info.clone();
        let registered = std::mem::replace(&mut memory.registered, true);
        if operation == "stop" && !memory.stop_params.is_empty() {
            op.params.retain(|name, _| is_meta(name));
            op.params.extend(memory.stop_params.clone());
        }
        if !registered {
            let mut register = Element::new("lrmd_rsc")
                .with("lrmd_origin", "lrmd_api_register_rsc")
                .with("lrmd_rsc_id", rsc.as_str())
                .with("lrmd_class", info.class.as_str());
            if let Some(provider) = &info.provider {
                register.set("lrmd_provider", provider.as_str());
            }
            register.set("lrmd_type", info.agent.as_str());
            self.executor("lrmd_rsc_register", DROP_RECURRING, register, Call::Quiet);
        }
        if op.interval_ms == 0 && !matches!(operation, "monitor" | "notify") {
            self.cancel_recurring(&rsc);
        }
        let own = self.own_name().to_owned();
        self.note(
            Priority::Notice,
            format!(
                "Requesting local execution of {} operation for {rsc} on {own} | transition_key={} op_key={}",
                describe(&op),
                op.key.as_deref().unwrap_or(""),
                op.op_key()
            ),
        );
        let lock = data.get("shutdown-lock").map(str::to_owned);
        self.record_pending(&op);
        let exec = Element::new("lrmd_rsc")
            .with("lrmd_origin", "lrmd_api_exec")
            .with("lrmd_rsc_id", rsc)
            .with("lrmd_rsc_action", op.task.as_str())
            .with("lrmd_rsc_userdata_str", op.key.as_deref().unwrap_or(""))
            .with("lrmd_rsc_interval", op.interval_ms.to_string())
            .with("lrmd_timeout", op.timeout_ms.to_string())
            .with("lrmd_rsc_start_delay", op.start_delay_ms.to_string())
            .with_child(attributes(&op.params));
        self.executor("lrmd_rsc_exec", NOTIFY_CHANGES_ONLY, exec, Call::Exec { op, lock });
    }

    /// An operation that has begun stands in the history, so that a new DC waits for it.
    fn record_pending(&mut self, op: &OpRecord) {
        let wanted = op.params.get("CRM_meta_record_pending").is_none_or(|text| text != "false");
        if !wanted || !is_recordable(&op.task) {
            return;
        }
        let mut op = op.clone();
        op.call_id = -1;
        op.rc = 193;
        op.status = status::PENDING;
        op.run_time = self.clock.epoch;
        op.rc_change = self.clock.epoch;
        self.write_history(&op, None);
    }

    fn executor(&mut self, op: &str, options: u32, rsc: Element, call: Call) {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.lrm.calls.insert(tag, call);
        let command = Element::new("lrmd_command")
            .with("__name__", "lrmd_command")
            .with("t", "lrmd")
            .with("lrmd_op", op)
            .with("lrmd_timeout", "0")
            .with("lrmd_callopt", options.to_string())
            .with_child(Element::new("lrmd_calldata").with_child(rsc));
        self.output(Output::Executor(tag, command));
    }

    // --- agents' meta-data --------------------------------------------------------------------

    fn learn_metadata(&mut self, info: &RscInfo, operation: &str, key: &str) {
        let wanted = matches!(
            operation,
            "start"
                | "monitor"
                | "promote"
                | "demote"
                | "reload"
                | "reload-agent"
                | "migrate_to"
                | "migrate_from"
                | "notify"
        );
        if !wanted
            || !matches!(info.class.as_str(), "ocf" | "stonith")
            || (operation != "start" && self.lrm.metadata.contains_key(key))
            || !self.lrm.metadata_pending.insert(key.to_owned())
        {
            return;
        }
        self.output(Output::Metadata {
            key: key.to_owned(),
            class: info.class.clone(),
            provider: info.provider.clone(),
            agent: info.agent.clone(),
        });
    }

    /// An agent's meta-data is known (or will not be).
    pub fn metadata(&mut self, clock: Clock, key: &str, text: Option<&str>) {
        self.clock = clock;
        let parsed = text.and_then(Metadata::parse);
        if parsed.is_none() {
            self.note(Priority::Warning, format!("Could not get meta-data of {key}"));
        }
        let known = self.lrm.metadata.get(key).is_some_and(Option::is_some);
        if parsed.is_some() || !known {
            self.lrm.metadata.insert(key.to_owned(), parsed);
        }
        self.lrm.metadata_pending.remove(key);
        for (op, pending) in std::mem::take(&mut self.lrm.waiting) {
            self.result(op, pending);
        }
        self.run();
    }

    fn waits_for_metadata(&self, op: &OpRecord) -> bool {
        self.lrm.resources.get(&op.rsc).is_some_and(|memory| {
            let key = memory.info.agent_key();
            self.lrm.metadata_pending.contains(&key)
                && self.lrm.metadata.get(&key).is_none_or(Option::is_none)
        })
    }

    // --- cancelling ---------------------------------------------------------------------------

    fn cancel_recurring(&mut self, rsc: &str) {
        let keys: Vec<String> = self
            .lrm
            .pending
            .values()
            .filter(|pending| pending.op.rsc == rsc && pending.op.interval_ms > 0)
            .map(|pending| pending.op.op_key())
            .collect();
        for key in keys {
            self.executor_cancel(&key, None);
        }
    }

    fn executor_cancel(&mut self, key: &str, requester: Option<Requester>) {
        let Some(op) = self
            .lrm
            .pending
            .values()
            .find(|pending| pending.op.op_key() == key)
            .map(|pending| pending.op.clone())
        else {
            return;
        };
        let cancel = Element::new("lrmd_rsc")
            .with("lrmd_origin", "lrmd_api_cancel")
            .with("lrmd_rsc_action", op.task.as_str())
            .with("lrmd_rsc_id", op.rsc.as_str())
            .with("lrmd_rsc_interval", op.interval_ms.to_string());
        let call = Call::Cancel { key: key.to_owned(), requester };
        self.executor("lrmd_rsc_cancel", 0, cancel, call);
    }

    fn cancel(&mut self, data: &Element, info: &RscInfo, requester: Requester) {
        let params = parameters(data.child("attributes"));
        let Some(task) = params.get("CRM_meta_operation") else {
            self.note(Priority::Error, "Cannot cancel an operation without its name");
            return;
        };
        let interval = meta_ms(&params, "CRM_meta_interval");
        let key = format!("{}_{task}_{interval}", info.id);
        let running = self.lrm.pending.iter_mut().find(|(_, p)| p.op.op_key() == key);
        if let Some((_, pending)) = running {
            pending.remove = Some(requester.clone());
            self.executor_cancel(&key, Some(requester));
        } else {
            self.note(Priority::Info, format!("Nothing known about operation {key}: cancelled"));
            self.erase_entry(&info.id, &key, Some(requester));
        }
    }

    /// Removes a recurring operation's entry from memory and CIB.
    fn erase_entry(&mut self, rsc: &str, key: &str, requester: Option<Requester>) {
        if let Some(memory) = self.lrm.resources.get_mut(rsc) {
            memory.recurring.remove(key);
        }
        let own = self.own_name().to_owned();
        let xpath = format!(
            "//node_state[@uname='{own}']//lrm_resource[@id='{rsc}']/lrm_rsc_op[@id='{key}']"
        );
        let call = match requester {
            Some(requester) => {
                CibCall::Erased { key: key.to_owned(), rsc: rsc.to_owned(), requester }
            }
            None => CibCall::Quiet("cancelled operation"),
        };
        self.cib(
            call,
            CibRequest {
                op: "cib_delete",
                section: Some(xpath),
                options: cib_option::XPATH | cib_option::QUORUM_OVERRIDE,
                data: None,
                host: None,
            },
        );
    }

    /// The entry was not in the CIB, so nobody saw it go: tell who asked.
    pub(super) fn erased(&mut self, rsc: &str, rc: i32, requester: &Requester) {
        if rc == 0 {
            return;
        }
        let op = OpRecord {
            rsc: rsc.to_owned(),
            task: "cancel".to_owned(),
            call_id: self.fake_call_id(rsc),
            key: requester.key.clone(),
            run_time: self.clock.epoch,
            ..OpRecord::default()
        };
        self.acknowledge(requester, &op);
    }

    // --- forgetting ---------------------------------------------------------------------------

    fn delete_resource(&mut self, rsc: &str, requester: Option<Requester>) {
        self.note(Priority::Info, format!("Removing resource {rsc} from executor"));
        let unregister = Element::new("lrmd_rsc")
            .with("lrmd_origin", "lrmd_api_unregister_rsc")
            .with("lrmd_rsc_id", rsc);
        let call = Call::Unregister { rsc: rsc.to_owned(), requester };
        self.executor("lrmd_rsc_unregister", 0, unregister, call);
    }

    fn deleted(&mut self, rsc: &str, requester: Option<Requester>) {
        self.lrm.resources.remove(rsc);
        self.lrm.pending.retain(|_, pending| pending.op.rsc != rsc);
        let own = self.own_name().to_owned();
        let xpath = format!("//node_state[@uname='{own}']//lrm_resource[@id='{rsc}']");
        self.cib_delete_xpath("resource history", xpath, 0);
        let Some(requester) = requester else { return };
        let op = OpRecord {
            rsc: rsc.to_owned(),
            task: "delete".to_owned(),
            call_id: 999_999_999,
            key: requester.key.clone(),
            run_time: self.clock.epoch,
            ..OpRecord::default()
        };
        self.acknowledge(&requester, &op);
        if requester.sys != "tengine" {
            let now = self.clock.epoch.to_string();
            self.set_option("last-lrm-refresh", &now);
        }
    }

    /// Acknowledges a deletion that did not involve the executor.
    pub(super) fn acknowledge_delete(
        &mut self,
        message: &Element,
        data: &Element,
        rsc: &str,
        node: &str,
        rc: i32,
    ) {
        let sys = message.get("crm_sys_from").unwrap_or("tengine").to_owned();
        let requester = Requester {
            host: message.get("src").filter(|_| sys != "tengine").map(str::to_owned),
            sys,
            key: message
                .get("transition-key")
                .or_else(|| data.get("transition-key"))
                .map(str::to_owned),
        };
        let op = OpRecord {
            rsc: rsc.to_owned(),
            task: "delete".to_owned(),
            call_id: 999_999_999,
            rc,
            key: requester.key.clone(),
            run_time: self.clock.epoch,
            ..OpRecord::default()
        };
        let uuid = data
            .get("on_node_uuid")
            .map(str::to_owned)
            .or_else(|| self.group.peers().by_name(node).map(|peer| peer.uuid()))
            .unwrap_or_else(|| node.to_owned());
        self.acknowledge_for(&requester, &op, &uuid, node);
    }

    fn forget_everything(&mut self, message: &Element, requester: &Requester) {
        let all: Vec<String> = self.lrm.resources.keys().cloned().collect();
        for rsc in all {
            self.delete_resource(&rsc, None);
        }
        let own = self.own_name().to_owned();
        let xpath = format!("//node_state[@uname='{own}']/lrm");
        self.cib_delete_xpath("operation history", xpath, 0);
        self.set_attribute(&own, "probe_complete", None);
        if !matches!(requester.sys.as_str(), "pengine" | "tengine") {
            let reply = envelope::reply("controld", message, None);
            self.route(&reply, true);
        }
    }

    fn simulate_failure(&mut self, data: &Element, info: Option<RscInfo>, requester: &Requester) {
        let Some(info) = info else {
            self.note(Priority::Error, "Cannot fail a resource without its definition");
            return;
        };
        let mut op = self.new_op(data, &info, "asyncmon");
        op.interval_ms = 0;
        let memory = self.lrm.resources.entry(info.id.clone()).or_default();
        memory.info = info.clone();
        op.call_id = self.fake_call_id(&info.id);
        op.rc = 1;
        op.run_time = self.clock.epoch;
        op.rc_change = self.clock.epoch;
        op.exit_reason = "Simulated failure".to_owned();
        op.key = None;
        self.result(op.clone(), None);
        op.rc = 0;
        op.key.clone_from(&requester.key);
        op.exit_reason.clear();
        self.acknowledge(requester, &op);
    }

    // --- the executor answers -----------------------------------------------------------------

    /// The executor answered a command: with a call id, 0, or an error.
    pub fn executor_reply(&mut self, clock: Clock, tag: u64, rc: i32) {
        self.clock = clock;
        match self.lrm.calls.remove(&tag) {
            None | Some(Call::Quiet) => {}
            Some(Call::Exec { mut op, lock }) => {
                if rc > 0 {
                    op.call_id = rc;
                    if op.interval_ms > 0 {
                        // The executor replaces an operation of the same key.
                        let key = op.op_key();
                        self.lrm.pending.retain(|_, pending| pending.op.op_key() != key);
                    }
                    self.lrm.pending.insert(rc, Pending { op, remove: None, lock });
                } else {
                    op.status = status::NOT_CONNECTED;
                    op.rc = 1;
                    op.call_id = self.fake_call_id(&op.rsc);
                    op.run_time = self.clock.epoch;
                    op.rc_change = self.clock.epoch;
                    op.exit_reason = format!("Executor could not accept the operation: error {rc}");
                    self.result(op, None);
                }
            }
            Some(Call::Cancel { key, requester }) => {
                if rc != 0 {
                    let rsc = self
                        .lrm
                        .pending
                        .values()
                        .find(|pending| pending.op.op_key() == key)
                        .map(|pending| pending.op.rsc.clone());
                    self.lrm.pending.retain(|_, pending| pending.op.op_key() != key);
                    if let (Some(rsc), Some(requester)) = (rsc, requester) {
                        self.erase_entry(&rsc, &key, Some(requester));
                    }
                }
            }
            Some(Call::Unregister { rsc, requester }) => {
                if rc == EINPROGRESS {
                    let waiting = self.lrm.deletions.entry(rsc).or_default();
                    waiting.extend(requester);
                } else {
                    self.deleted(&rsc, requester);
                }
            }
        }
        self.run();
    }

    /// The executor tells that an operation ended (or changed its result).
    pub fn executor_notification(&mut self, clock: Clock, event: &Element) {
        self.clock = clock;
        if event.get("lrmd_op") != Some("lrmd_rsc_exec") {
            return;
        }
        let text = |name: &str| event.get(name).unwrap_or("");
        let number = |name: &str| text(name).parse::<i64>().unwrap_or(0);
        let small = |name: &str| u32::try_from(number(name).max(0)).unwrap_or(u32::MAX);
        let big = |name: &str| u64::try_from(number(name).max(0)).unwrap_or(0);
        let call_id = i32::try_from(number("lrmd_callid")).unwrap_or(-1);
        let known = self.lrm.pending.get(&call_id).cloned();
        let op = OpRecord {
            rsc: text("lrmd_rsc_id").to_owned(),
            task: text("lrmd_rsc_action").to_owned(),
            interval_ms: small("lrmd_rsc_interval"),
            timeout_ms: small("lrmd_timeout"),
            start_delay_ms: small("lrmd_rsc_start_delay"),
            call_id,
            rc: i32::try_from(number("lrmd_exec_rc")).unwrap_or(1),
            status: i32::try_from(number("lrmd_exec_op_status")).unwrap_or(status::ERROR),
            key: Some(text("lrmd_rsc_userdata_str").to_owned()).filter(|key| !key.is_empty()),
            run_time: big("lrmd_run_time"),
            rc_change: big("lrmd_rcchange_time"),
            exec_time: small("lrmd_exec_time"),
            queue_time: small("lrmd_queue_time"),
            exit_reason: text("lrmd_rsc_exit_reason").to_owned(),
            output: text("lrmd_rsc_output").to_owned(),
            params: known
                .as_ref()
                .map(|pending| pending.op.params.clone())
                .unwrap_or_else(|| parameters(event.child("attributes"))),
        };
        if known.is_some() && (op.interval_ms == 0 || op.status == status::CANCELLED) {
            self.lrm.pending.remove(&call_id);
        }
        let deleted = event.get("lrmd_rsc_deleted") == Some("1");
        let rsc = op.rsc.clone();
        if self.waits_for_metadata(&op) {
            self.lrm.waiting.push((op, known));
        } else {
            self.result(op, known);
        }
        if deleted && !self.lrm.pending.values().any(|pending| pending.op.rsc == rsc) {
            let waiting = self.lrm.deletions.remove(&rsc).unwrap_or_default();
            if waiting.is_empty() {
                self.deleted(&rsc, None);
            }
            for requester in waiting {
                self.deleted(&rsc, Some(requester));
            }
        }
        self.fsm.resume();
        self.run();
    }

    fn result(&mut self, mut op: OpRecord, pending: Option<Pending>) {
        if op.status == status::ERROR && matches!(op.rc, 7 | 8 | 190 | 191) {
            op.status = status::DONE;
        }
        let removing = pending.as_ref().and_then(|pending| pending.remove.clone());
        let lock = pending.and_then(|pending| pending.lock);
        self.log_result(&op);
        if op.status == status::CANCELLED {
            if op.interval_ms == 0 {
                let requester = Requester { sys: "tengine".to_owned(), ..Requester::default() };
                self.acknowledge(&requester, &op);
            } else if removing.is_some() {
                let key = op.op_key();
                self.erase_entry(&op.rsc.clone(), &key, removing);
            } else if let Some(memory) = self.lrm.resources.get_mut(&op.rsc) {
                memory.recurring.remove(&op.op_key());
            }
            return;
        }
        if is_recordable(&op.task) {
            self.write_history(&op, lock.as_deref());
        } else {
            let requester = Requester { sys: "tengine".to_owned(), ..Requester::default() };
            self.acknowledge(&requester, &op);
        }
        self.remember(op);
    }

    fn log_result(&mut self, op: &OpRecord) {
        let own = self.own_name().to_owned();
        let what = describe(op);
        let (outcome, priority) = match op.status {
            status::DONE => {
                let priority = if op.interval_ms > 0 && op.rc == op.target_rc() {
                    Priority::Info
                } else {
                    Priority::Notice
                };
                (rc_word(op.rc).to_owned(), priority)
            }
            status::CANCELLED => (status::word(op.status).to_owned(), Priority::Info),
            status::TIMEOUT => {
                (format!("{} after {}ms", status::word(op.status), op.timeout_ms), Priority::Error)
            }
            other => (status::word(other).to_owned(), Priority::Error),
        };
        let reason = match op.exit_reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        self.note(
            priority,
            format!(
                "Result of {what} operation for {} on {own}: {outcome}{reason} | graph action {}; call={} key={} rc={}",
                op.rsc,
                if op.interval_ms == 0 { "confirmed" } else { "unconfirmed" },
                op.call_id,
                op.op_key(),
                op.rc
            ),
        );
        if !op.output.is_empty() && (op.rc != op.target_rc() || op.status != status::DONE) {
            let (rsc, task) = (op.rsc.clone(), op.task.clone());
            for line in op.output.lines().take(20) {
                let text = format!("{rsc}_{task} output [ {line} ]");
                self.note(Priority::Notice, text);
            }
        }
    }

    fn remember(&mut self, op: OpRecord) {
        let Some(memory) = self.lrm.resources.get_mut(&op.rsc) else { return };
        memory.last_call = memory.last_call.max(op.call_id);
        if op.task == "notify" {
            return;
        }
        if op.did_fail() {
            if op.interval_ms == 0 {
                memory.last = Some(op.clone());
            }
            memory.failed = Some(op);
            return;
        }
        if op.interval_ms > 0 {
            memory.recurring.insert(op.op_key(), op);
            return;
        }
        if matches!(op.task.as_str(), "start" | "reload" | "reload-agent" | "monitor") {
            memory.stop_params = op
                .params
                .iter()
                .filter(|(name, _)| !is_meta(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
        }
        if op.task != "monitor" {
            memory.recurring.clear();
        }
        memory.last = Some(op);
    }

    // --- telling ------------------------------------------------------------------------------

    fn write_history(&mut self, op: &OpRecord, lock: Option<&str>) {
        let Some(memory) = self.lrm.resources.get(&op.rsc) else { return };
        let mut resource = resource_element(&memory.info);
        let gone = op.status == status::DONE
            && ((op.task == "stop" && op.rc == 0)
                || (op.task == "monitor" && op.interval_ms == 0 && op.rc == 7));
        match lock {
            Some(lock) if gone => resource.set("shutdown-lock", lock),
            _ if self.options.shutdown_lock && op.status != status::PENDING => {
                resource.set("shutdown-lock", "0");
            }
            _ => {}
        }
        let (uuid, own) = (self.own_uuid(), self.own_name().to_owned());
        for entry in op.to_xml(&own, "do_update_resource", self.lrm.metadata_of(&op.rsc)) {
            resource.push(entry);
        }
        let status = status_update(&uuid, &own, "do_update_resource", resource);
        let options = match self.fsm.state() {
            State::Election | State::Pending => cib_option::SCOPE_LOCAL,
            _ => 0,
        } | cib_option::CAN_CREATE;
        self.cib_modify(CibCall::History { rsc: op.rsc.clone() }, "status", options, status);
    }

    /// Sends a result past the CIB to who asked for it.
    fn acknowledge(&mut self, requester: &Requester, op: &OpRecord) {
        let (uuid, own) = (self.own_uuid(), self.own_name().to_owned());
        self.acknowledge_for(requester, op, &uuid, &own);
    }

    fn acknowledge_for(&mut self, requester: &Requester, op: &OpRecord, uuid: &str, node: &str) {
        let mut resource = Element::new("lrm_resource").with("id", op.rsc.as_str());
        if let Some(entry) = op.to_xml(node, "controld_ack_event_directly", None).into_iter().next()
        {
            resource.push(entry);
        }
        let state = Element::new("node_state")
            .with("id", uuid)
            .with("uname", node)
            .with("crm-debug-origin", "controld_ack_event_directly")
            .with_child(lrm(uuid, Element::new("lrm_resources").with_child(resource)));
        let sys = if requester.sys.is_empty() { "tengine" } else { requester.sys.as_str() };
        let host = requester.host.clone();
        let message = self.request("lrm_invoke", host.as_deref(), sys, "lrmd", Some(state));
        let is_local = host.as_deref().is_some_and(|host| self.is_own(host));
        if sys == "tengine" && self.flags.the_dc || is_local || self.clients.contains_key(sys) {
            self.route(&message, false);
        } else {
            self.send_peer(host.as_deref(), &message);
        }
    }

    /// Our node state with the whole executor state, for a join.
    pub(super) fn executor_state(&mut self, origin: &str) -> Element {
        let (uuid, own) = (self.own_uuid(), self.own_name().to_owned());
        let facts = Facts { cluster: true, peer: true, ..Facts::default() };
        let mut state = self
            .group
            .peers()
            .get(self.group.own_id())
            .cloned()
            .and_then(|peer| self.node_state(&peer, facts, origin))
            .unwrap_or_else(|| {
                Element::new("node_state").with("id", uuid.as_str()).with("uname", own.as_str())
            });
        let mut resources = Element::new("lrm_resources");
        for (rsc, memory) in &self.lrm.resources {
            let mut resource = resource_element(&memory.info);
            let metadata = self.lrm.metadata_of(rsc);
            let ops = memory.last.iter().chain(&memory.failed).chain(memory.recurring.values());
            for op in ops {
                for entry in op.to_xml(&own, "build_active_RAs", metadata) {
                    let id = entry.id().unwrap_or("").to_owned();
                    // A failure stands in both slots; the entry of the last operation wins.
                    if resource.child_with_id("lrm_rsc_op", &id).is_none() {
                        resource.push(entry);
                    }
                }
            }
            if !resource.is_leaf() {
                resources.push(resource);
            }
        }
        state.push(lrm(&uuid, resources));
        state
    }

    pub(super) fn executor_disconnect(&mut self) {
        if !self.connected.contains(&Service::Executor) {
            return;
        }
        if !self.flags.sent_stops {
            self.flags.sent_stops = true;
            let keys: Vec<String> = self
                .lrm
                .pending
                .values()
                .filter(|pending| pending.op.interval_ms > 0)
                .map(|pending| pending.op.op_key())
                .collect();
            for key in keys {
                self.executor_cancel(&key, None);
            }
        }
        let busy = self.lrm.pending.values().any(|pending| pending.op.interval_ms == 0);
        if busy && self.fsm.state() != State::Terminate {
            self.stall(Action::LrmDisconnect);
            return;
        }
        self.connected.remove(&Service::Executor);
        self.output(Output::Disconnect(Service::Executor));
    }
}

/// The resource that a request is about.
fn rsc_info(data: &Element) -> Option<RscInfo> {
    let rsc = data.children().find(|child| child.has("type"))?;
    Some(RscInfo {
        id: rsc.id()?.to_owned(),
        class: rsc.get("class")?.to_owned(),
        provider: rsc.get("provider").map(str::to_owned),
        agent: rsc.get("type")?.to_owned(),
    })
}

fn is_meta(name: &str) -> bool {
    name.starts_with("CRM_meta_") || name == "crm_feature_set"
}

/// How logs call an operation.
fn describe(op: &OpRecord) -> &str {
    if op.task == "monitor" && op.interval_ms == 0 { "probe" } else { &op.task }
}
