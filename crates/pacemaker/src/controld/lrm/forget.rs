//! Cancelling operations and forgetting resources.
//!
//! Source: `spec/pacemaker-cluster.md` §7.1.

use super::*;

impl Controller {
    // --- cancelling ---------------------------------------------------------------------------

    pub(super) fn cancel_recurring(&mut self, rsc: &str) {
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

    pub(super) fn executor_cancel(&mut self, key: &str, requester: Option<Requester>) {
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

    pub(super) fn cancel(&mut self, data: &Element, info: &RscInfo, requester: Requester) {
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
    pub(super) fn erase_entry(&mut self, rsc: &str, key: &str, requester: Option<Requester>) {
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
                user: None,
            },
        );
    }

    /// The entry was not in the CIB, so nobody saw it go: tell who asked.
    pub(in crate::controld) fn erased(&mut self, rsc: &str, rc: i32, requester: &Requester) {
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

    pub(super) fn delete_resource(&mut self, rsc: &str, requester: Option<Requester>) {
        self.note(Priority::Info, format!("Removing resource {rsc} from executor"));
        let unregister = Element::new("lrmd_rsc")
            .with("lrmd_origin", "lrmd_api_unregister_rsc")
            .with("lrmd_rsc_id", rsc);
        let call = Call::Unregister { rsc: rsc.to_owned(), requester };
        self.executor("lrmd_rsc_unregister", 0, unregister, call);
    }

    pub(super) fn deleted(&mut self, rsc: &str, requester: Option<Requester>) {
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
    pub(in crate::controld) fn acknowledge_delete(
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

    pub(super) fn forget_everything(&mut self, message: &Element, requester: &Requester) {
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

    pub(super) fn simulate_failure(
        &mut self,
        data: &Element,
        info: Option<RscInfo>,
        requester: &Requester,
    ) {
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

    // --- permissions --------------------------------------------------------------------------

    /// Tells a user that this is not theirs to do.
    pub(super) fn deny(
        &mut self,
        data: &Element,
        info: Option<RscInfo>,
        task: &str,
        requester: &Requester,
    ) {
        let Some(info) = info else { return };
        let mut op = self.new_op(data, &info, task);
        op.rc = 4;
        op.status = status::ERROR;
        op.call_id = self.fake_call_id(&info.id);
        op.run_time = self.clock.epoch;
        op.exit_reason = "Unprivileged user cannot do this".to_owned();
        self.acknowledge(requester, &op);
    }

    /// Tries out whether a user may delete a resource's history from the CIB.
    pub(super) fn try_delete(&mut self, rsc: &str, user: String, requester: Requester) {
        let own = self.own_name().to_owned();
        let xpath = format!("//node_state[@uname='{own}']//lrm_resource[@id='{rsc}']");
        self.cib(
            CibCall::DeleteAllowed { rsc: rsc.to_owned(), requester },
            CibRequest {
                op: "cib_delete",
                section: Some(xpath),
                options: cib_option::XPATH | cib_option::QUORUM_OVERRIDE | cib_option::DRYRUN,
                data: None,
                host: None,
                user: Some(user),
            },
        );
    }

    pub(in crate::controld) fn delete_tried(&mut self, rsc: &str, rc: i32, requester: Requester) {
        // ENXIO: there is nothing to delete, which is no secret.
        if rc == 0 || rc == -6 {
            self.delete_resource(rsc, Some(requester));
            return;
        }
        let op = OpRecord {
            rsc: rsc.to_owned(),
            task: "delete".to_owned(),
            rc: 4,
            status: status::ERROR,
            call_id: 999_999_999,
            key: requester.key.clone(),
            run_time: self.clock.epoch,
            ..OpRecord::default()
        };
        self.acknowledge(&requester, &op);
    }
}
