//! What the executor answers and tells, and who gets to hear of it: the CIB, or whoever asked.
//!
//! Source: `spec/pacemaker-cluster.md` §7.3–7.4.

use super::*;
use crate::alerts;

/// How long the DC's update for a confirmed join is waited for.
const CONFIRMING: Duration = Duration::from_secs(10);

impl Controller {
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
        self.run();
    }

    pub(super) fn result(&mut self, mut op: OpRecord, pending: Option<Pending>) {
        if op.status == status::ERROR && matches!(op.rc, 7 | 8 | 190 | 191) {
            op.status = status::DONE;
        }
        let removing = pending.as_ref().and_then(|pending| pending.remove.clone());
        let lock = pending.and_then(|pending| pending.lock);
        self.log_result(&op);
        self.alert_result(&op);
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

    fn alert_result(&mut self, op: &OpRecord) {
        let target_rc = op.target_rc();
        let is_probe = op.task == "monitor" && op.interval_ms == 0;
        if is_probe && op.status == status::DONE && op.rc == target_rc {
            return;
        }
        let own = self.own_name().to_owned();
        let exec_time = match op.status {
            status::TIMEOUT if op.exec_time == 0 => op.timeout_ms,
            _ => op.exec_time,
        };
        let text = if op.status == status::DONE { rc_word(op.rc) } else { status::word(op.status) };
        self.alert(&alerts::Event::Resource {
            node: &own,
            rsc: &op.rsc,
            task: &op.task,
            interval_ms: op.interval_ms,
            target_rc,
            status: op.status,
            rc: op.rc,
            exec_time,
            text,
        });
    }

    pub(super) fn log_result(&mut self, op: &OpRecord) {
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

    pub(super) fn remember(&mut self, op: OpRecord) {
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

    /// Puts a record into the CIB's history of our node.
    ///
    /// Not between confirming a join and the DC's update for it: that update puts in place of the
    /// whole history the one that was confirmed, and a result written in between would be lost.
    /// The DC would start elsewhere what has just been started here. (Found by `quorate sim
    /// --stack`; the spec's joins have the gap.)
    pub(super) fn write_history(&mut self, op: &OpRecord, lock: Option<&str>) {
        if self.lrm.confirming.is_some() {
            self.lrm.held.push((op.clone(), lock.map(str::to_owned)));
            return;
        }
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

    /// Our history was confirmed to the DC: what is recorded from now on waits until the DC has
    /// put it into the CIB, but not for long, in case that DC is gone.
    pub(in crate::controld) fn history_confirmed(&mut self) {
        self.lrm.confirming = self.after(CONFIRMING);
    }

    /// The DC's update is there, or is waited for no more.
    pub(in crate::controld) fn release_history(&mut self) {
        if self.lrm.confirming.take().is_none() {
            return;
        }
        for (op, lock) in std::mem::take(&mut self.lrm.held) {
            self.write_history(&op, lock.as_deref());
        }
    }

    /// Sends a result past the CIB to who asked for it.
    pub(super) fn acknowledge(&mut self, requester: &Requester, op: &OpRecord) {
        let (uuid, own) = (self.own_uuid(), self.own_name().to_owned());
        self.acknowledge_for(requester, op, &uuid, &own);
    }

    pub(super) fn acknowledge_for(
        &mut self,
        requester: &Requester,
        op: &OpRecord,
        uuid: &str,
        node: &str,
    ) {
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
    pub(in crate::controld) fn executor_state(&mut self, origin: &str) -> Element {
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
        // What runs at this moment stands in the history too, so that the DC waits for it.
        let epoch = self.clock.epoch;
        let pending = self.lrm.pending.values().map(|pending| &pending.op);
        let running: Vec<OpRecord> = pending
            .chain(self.lrm.waiting.iter().map(|(op, _)| op))
            .filter(|op| op.interval_ms == 0)
            .filter_map(|op| begun(op, epoch))
            .collect();
        for (rsc, memory) in &self.lrm.resources {
            let mut resource = resource_element(&memory.info);
            let metadata = self.lrm.metadata_of(rsc);
            let running = running.iter().filter(|op| op.rsc == *rsc);
            let ran = memory.last.iter().map(|op| (op, false));
            let failed = memory.failed.iter().map(|op| (op, true));
            let recurring = memory.recurring.values().map(|op| (op, false));
            // A failure stands in two slots. One, that of what ran last, belongs to what runs now
            // or ran later; the other to the latest failure, which need not be what ran last.
            let mut entries: Vec<Element> = Vec::new();
            for (op, is_latest_failure) in
                running.map(|op| (op, false)).chain(ran).chain(failed).chain(recurring)
            {
                for entry in op.to_xml(&own, "build_active_RAs", metadata) {
                    let is_failure = entry.id().is_some_and(|id| id.ends_with("_last_failure_0"));
                    match entries.iter_mut().find(|known| known.id() == entry.id()) {
                        Some(known) if is_latest_failure && is_failure => *known = entry,
                        Some(_) => {}
                        None => entries.push(entry),
                    }
                }
            }
            for entry in entries {
                resource.push(entry);
            }
            if !resource.is_leaf() {
                resources.push(resource);
            }
        }
        state.push(lrm(&uuid, resources));
        state
    }

    pub(in crate::controld) fn executor_disconnect(&mut self) {
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
