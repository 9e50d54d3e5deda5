//! This node's operations: what the graph (or an administrator) asks for goes to the executor,
//! results go to the CIB, and a memory of both is kept for the next join.
//!
//! Source: `spec/pacemaker-cluster.md` §7, `spec/pacemaker-ipc.md` §8.

mod forget;
mod results;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::Time;
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

/// How an operation stands in the history while it runs; `None` if it does not.
fn begun(op: &OpRecord, epoch: u64) -> Option<OpRecord> {
    let wanted = op.params.get("CRM_meta_record_pending").is_none_or(|text| text != "false");
    (wanted && is_recordable(&op.task)).then(|| OpRecord {
        call_id: -1,
        rc: 193,
        status: status::PENDING,
        run_time: epoch,
        rc_change: epoch,
        ..op.clone()
    })
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
    /// The DC is about to put our confirmed history into the CIB; waited for until then.
    pub(super) confirming: Option<Time>,
    /// Records that wait for that.
    held: Vec<(OpRecord, Option<String>)>,
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
        let src = message.get("src").filter(|src| !src.is_empty());
        if sys == "tengine" && (src.is_none() || src == self.dc_name.as_deref()) {
            // The DC asks for actions once the history of all who joined is in the CIB.
            self.release_history();
        }
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
            ("lrm_fail", _) if !is_privileged(message) => {
                self.deny(&data, info, "fail", &requester)
            }
            ("lrm_fail", _) => self.simulate_failure(&data, info, &requester),
            ("probe_again", _) | (_, "probe_again") => self.forget_everything(message, &requester),
            (_, "probe_complete") => {
                let own = self.own_name().to_owned();
                self.set_attribute(&own, "probe_complete", Some("true"));
            }
            ("lrm_delete", _) | (_, "delete") => match info {
                Some(info) if is_privileged(message) => {
                    self.delete_resource(&info.id, Some(requester));
                }
                Some(info) => {
                    let user = message.get("crm_user").unwrap_or("").to_owned();
                    self.try_delete(&info.id, user, requester);
                }
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
        if let Some(op) = begun(op, self.clock.epoch) {
            self.write_history(&op, None);
        }
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

/// Whether a request needs no permission of the CIB.
fn is_privileged(message: &Element) -> bool {
    message.get("crm_user").is_none_or(|user| matches!(user, "" | "root" | "hacluster"))
}

fn is_meta(name: &str) -> bool {
    name.starts_with("CRM_meta_") || name == "crm_feature_set"
}

/// How logs call an operation.
fn describe(op: &OpRecord) -> &str {
    if op.task == "monitor" && op.interval_ms == 0 { "probe" } else { &op.task }
}
