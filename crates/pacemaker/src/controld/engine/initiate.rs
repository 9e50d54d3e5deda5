//! Actions whose turn has come are handed to who does them.

use super::*;

impl Controller {
    pub(super) fn initiate(&mut self, id: i32) {
        let Some(action) = self.graph.action(id).cloned() else { return };
        let done = match action.kind {
            Kind::Pseudo => {
                self.note(
                    Priority::Debug,
                    format!("Pseudo-action {id} ({}) fired and confirmed", action.key()),
                );
                if action.task() == "maintenance_nodes" {
                    self.send_maintenance(&action);
                }
                true
            }
            Kind::Cluster if action.task() == "stonith" => {
                self.fence(&action);
                return;
            }
            Kind::Cluster => self.initiate_cluster(&action),
            Kind::Resource => self.initiate_resource(&action),
        };
        if done {
            self.confirm_action(id);
        }
    }

    pub(super) fn send_maintenance(&mut self, action: &GraphAction) {
        let request =
            self.request("maintenance_nodes", None, "crmd", "tengine", Some(action.xml.clone()));
        self.send_peer(None, &request);
    }

    pub(super) fn action_key(&self, action: &GraphAction) -> String {
        Key {
            action: action.id,
            transition: self.graph.id,
            target_rc: action.target_rc(),
            uuid: self.setup.te_uuid.clone(),
        }
        .to_string()
    }

    /// Returns true if the action is done by this.
    pub(super) fn initiate_cluster(&mut self, action: &GraphAction) -> bool {
        let task = action.task().to_owned();
        let from_cib = action.xml.get("mode") == Some("cib");
        let node = action.on_node().to_owned();
        let router = if from_cib { self.own_name().to_owned() } else { action.router().to_owned() };
        let own = self.is_own(&router);
        let locally = if own { " locally" } else { "" };
        self.note(
            Priority::Notice,
            format!(
                "Requesting controller on {router} perform '{task}' on {node}{locally} | action {}",
                action.id
            ),
        );
        if task == "do_shutdown" {
            if own {
                self.note(Priority::Info, "crm-event: do_shutdown is a local shutdown");
                self.graph.completion = Completion::Shutdown;
                self.graph.abort_reason = "local shutdown".to_owned();
                return true;
            }
            if let Some(id) = self.group.peers().by_name(&node).map(|peer| peer.id) {
                self.join.expected.insert(id, "down");
            }
        }
        let key = self.action_key(action);
        let mut request =
            self.request(&task, Some(&router), "crmd", "tengine", Some(action.xml.clone()));
        request.set("transition-key", key);
        if own {
            let mut local = request;
            let name = self.own_name().to_owned();
            local.set("src", name);
            self.route(&local, false);
        } else {
            self.send_peer(Some(&router), &request);
        }
        if action.meta("CRM_meta_op_no_wait") == Some("true") {
            return true;
        }
        let timeout =
            if action.timeout.is_zero() { self.graph.network_delay } else { action.timeout };
        let deadline = self.after(timeout + self.graph.network_delay);
        if let Some(action) = self.graph.action_mut(action.id) {
            action.deadline = deadline;
        }
        false
    }

    /// Returns true if the action is done by this.
    pub(super) fn initiate_resource(&mut self, action: &GraphAction) -> bool {
        let router = action.router().to_owned();
        let own = self.is_own(&router);
        let key = self.action_key(action);
        let no_wait = action.meta("CRM_meta_op_no_wait") == Some("true");
        let name = action.xml.get("internal_operation_key").unwrap_or(action.key());
        self.note(
            Priority::Notice,
            format!(
                "Initiating {} operation {name}{} on {}{} | action {}",
                action.task(),
                if own { " locally" } else { "" },
                action.on_node(),
                if no_wait { " without waiting" } else { "" },
                action.id
            ),
        );
        let mut xml = action.xml.clone();
        xml.set("transition-key", key);
        let mut request = self.request("lrm_invoke", Some(&router), "lrmd", "tengine", Some(xml));
        // The timer first: a local operation may be answered before this returns.
        if !no_wait {
            let deadline = self.after(action.timeout + self.graph.network_delay);
            if let Some(action) = self.graph.action_mut(action.id) {
                action.deadline = deadline;
            }
        }
        if own {
            let name = self.own_name().to_owned();
            request.set("src", name);
            self.lrm_invoke(&request);
        } else {
            self.send_peer(Some(&router), &request);
        }
        no_wait
    }

    /// An action's result is known and good, or marked bad before.
    pub(in crate::controld) fn confirm_action(&mut self, id: i32) {
        self.graph.finish(id);
        self.pass_wanted = true;
    }

    /// Actions whose result did not come in time.
    pub(in crate::controld) fn actions_lost(&mut self) {
        if self.graph.complete {
            return;
        }
        for id in self.graph.overdue(self.clock.now) {
            let Some(action) = self.graph.action_mut(id) else { continue };
            action.deadline = None;
            action.failed = true;
            let action = action.clone();
            let node = action.on_node().to_owned();
            let router = action.router().to_owned();
            let own = self.is_own(&router);
            let text = format!(
                "Node {router} did not send {} result (via {}) within {}ms (action timeout plus cluster-delay)",
                action.task(),
                if own { "executor" } else { "controller" },
                (action.timeout + self.graph.network_delay).as_millis()
            );
            self.note(Priority::Error, text);
            self.graph.finish(id);
            self.abort_transition(INFINITY, Completion::Restart, "Action lost");
            if action.kind == Kind::Resource && is_recordable(action.task()) {
                self.record_lost(&action, &node, own, &router);
            }
        }
    }

    pub(super) fn record_lost(
        &mut self,
        action: &GraphAction,
        node: &str,
        own: bool,
        router: &str,
    ) {
        let Some(rsc) = action.xml.child("primitive") else { return };
        let mut op = OpRecord {
            rsc: rsc.id().unwrap_or("").to_owned(),
            task: action.task().to_owned(),
            interval_ms: action
                .meta("CRM_meta_interval")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            call_id: -1,
            rc: 1,
            status: status::TIMEOUT,
            key: Some(self.action_key(action)),
            run_time: self.clock.epoch,
            rc_change: self.clock.epoch,
            ..OpRecord::default()
        };
        op.exit_reason = if own {
            "Local executor did not return result in time".to_owned()
        } else {
            format!("Controller on {router} did not return result in time")
        };
        let mut resource = Element::new("lrm_resource").with("id", op.rsc.as_str());
        for name in ["type", "class", "provider"] {
            if let Some(value) = rsc.get(name) {
                resource.set(name, value);
            }
        }
        for entry in op.to_xml(node, "controld_record_action_timeout", None) {
            resource.push(entry);
        }
        let uuid = action.on_node_uuid().to_owned();
        let status = crate::controld::lrm::status_update(
            &uuid,
            node,
            "controld_record_action_timeout",
            resource,
        );
        self.cib_modify(CibCall::Quiet("lost action"), "status", cib_option::CAN_CREATE, status);
    }
}
