//! Running resources whose configuration has changed. Source: `spec/scheduler-actions.md` §4.

use std::collections::HashMap;
use std::sync::Arc;

use ecow::{EcoString, eco_format};
use xml::Element;

use crate::action::{End, flag, rel};
use crate::digest::Change;
use crate::history::{active_window, sorted_ops};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Sched, Variant};
use crate::scores::ScoreLine;
use crate::text::{op_key, parse_interval_ms_attr};

const DEFINITION: &str = "resource definition change";

impl Sched {
    /// Compares all histories with the configuration.
    pub(crate) fn handle_config_changes(&mut self) {
        let mut index: HashMap<EcoString, Vec<RscIx>> = HashMap::new();
        for rsc in self.top.iter().flat_map(|top| self.tree(*top)) {
            let r = &self.rscs[rsc];
            if r.variant != Variant::Primitive {
                continue;
            }
            index.entry(r.id.clone()).or_default().push(rsc);
            if let Some(history) = r.history_id.clone().filter(|h| *h != r.id) {
                index.entry(history).or_default().push(rsc);
            }
        }
        for node in self.node_order.clone() {
            if !self.nodes[node].maintenance && !self.available(node, None, false) {
                continue;
            }
            let Some(state) = self.nodes[node].state.clone() else { continue };
            let Some(histories) = state.at(&["lrm", "lrm_resources"]) else { continue };
            for history in histories.children_named("lrm_resource") {
                let found = history.id().and_then(|id| index.get(id));
                for rsc in found.into_iter().flatten().rev().copied().collect::<Vec<_>>() {
                    if !history.is_leaf() {
                        self.check_history(history, rsc, node);
                    }
                }
            }
        }
    }

    fn check_history(&mut self, history: &Element, rsc: RscIx, node: NodeIx) {
        if self.rscs[rsc].removed {
            let uber = self.uber(rsc);
            if !self.is_anonymous_clone(uber) {
                self.schedule_cleanup(rsc, node);
            }
            return;
        }
        if !self.rscs[rsc].active.contains(&node) {
            if self.agent_changed(rsc, node, history, false) {
                self.schedule_cleanup(rsc, node);
            }
            return;
        }
        if self.agent_changed(rsc, node, history, true) {
            self.schedule_cleanup(rsc, node);
        }
        let ops = sorted_ops(history);
        let (start, stop) = active_window(&ops);
        if start < stop {
            return;
        }
        for (i, op) in ops.iter().enumerate() {
            if (i as i64) < start {
                continue;
            }
            self.check_op(rsc, node, op);
        }
    }

    fn check_op(&mut self, rsc: RscIx, node: NodeIx, op: &Arc<Element>) {
        let interval = parse_interval_ms_attr(op);
        let task: EcoString = op.get("operation").unwrap_or("").into();
        if interval > 0 && (self.rscs[rsc].maintenance || self.nodes[node].maintenance) {
            self.schedule_cancel(rsc, op.get("call-id"), &task, interval, node);
            return;
        }
        if interval == 0
            && !matches!(task.as_str(), "monitor" | "start" | "promote" | "migrate_from")
        {
            return;
        }
        if self.is_uname_connection(rsc) {
            self.param_checks.push((rsc, node, op.clone(), false));
        } else if self.config_changed(rsc, node, op) && self.failcount(rsc, node, false).0 != 0 {
            self.clear_failcount_action(rsc, node);
        }
    }

    /// Checks of bundle connections that had to wait for the host to be known.
    pub(crate) fn check_deferred_params(&mut self) {
        for (rsc, node, op, failure) in std::mem::take(&mut self.param_checks) {
            if failure {
                let digests = self.compare_digests(rsc, node, &op);
                if matches!(digests.change, Change::Restart | Change::Mismatch) {
                    self.clear_failcount_action(rsc, node);
                }
            } else if self.config_changed(rsc, node, &op) && self.failcount(rsc, node, false).0 != 0
            {
                self.clear_failcount_action(rsc, node);
            }
        }
    }

    fn agent_changed(&mut self, rsc: RscIx, node: NodeIx, history: &Element, active: bool) -> bool {
        let mut changed = false;
        for name in ["type", "class", "provider"] {
            let now = self.rscs[rsc].xml.get(name);
            if now != history.get(name) {
                changed = true;
                self.trigger_unfencing(Some(rsc), node, "Device definition changed");
            }
        }
        if changed && active {
            self.stop_action(rsc, node, false);
            self.rscs[rsc].start_pending = true;
        }
        changed
    }

    fn config_changed(&mut self, rsc: RscIx, node: NodeIx, op: &Arc<Element>) -> bool {
        let interval = parse_interval_ms_attr(op);
        let task: EcoString = op.get("operation").unwrap_or("").into();
        if interval > 0 && self.find_op(rsc, &task, interval, false).is_none() {
            if self.options.cancel_removed {
                self.schedule_cancel(rsc, op.get("call-id"), &task, interval, node);
            }
            return true;
        }
        // Probes, promotions and arrivals were given the parameters of the start.
        let task: EcoString = match task.as_str() {
            "monitor" | "migrate_from" | "promote" if interval == 0 => "start".into(),
            _ => task,
        };
        let forced =
            op.id().is_some_and(|id| self.force_reschedule.contains(&(node, EcoString::from(id))));
        let digests = self.compare_digests(rsc, node, op);
        let change = if forced { Change::Restart } else { digests.change };
        if self.sanitized
            && !forced
            && change != Change::Match
            && let (Some(now), Some(then)) = (&digests.secure, op.get("op-secure-digest"))
            && now == then
        {
            if self.show_scores || self.show_utilization {
                self.score_lines.push(ScoreLine::Info(format!(
                    "Only 'private' parameters to {}-interval {task} for {} on {} changed: {}",
                    crate::text::readable_interval(interval),
                    self.rscs[rsc].id,
                    self.nodes[node].name,
                    op.get("transition-magic").unwrap_or("")
                )));
            }
            return false;
        }
        match change {
            Change::Match => false,
            Change::Restart => {
                self.force_restart(rsc, &task, interval);
                true
            }
            Change::Unknown | Change::Mismatch => {
                if interval > 0 {
                    self.trigger_unfencing(
                        Some(rsc),
                        node,
                        "Device parameters changed (reschedule)",
                    );
                    let key = op_key(&self.rscs[rsc].id, &task, interval);
                    let action = self.action(Some(rsc), &key, &task, Some(node), true);
                    self.actions[action].flags |= flag::RESCHEDULE;
                } else if op.has("op-restart-digest") {
                    self.trigger_unfencing_if_device(rsc, node);
                    self.schedule_reload(rsc, node);
                } else {
                    self.trigger_unfencing_if_device(rsc, node);
                    self.force_restart(rsc, &task, interval);
                }
                true
            }
        }
    }

    fn trigger_unfencing_if_device(&mut self, rsc: RscIx, node: NodeIx) {
        self.trigger_unfencing(Some(rsc), node, "Device parameters changed");
    }

    fn force_restart(&mut self, rsc: RscIx, task: &str, interval: u32) {
        let key = op_key(&self.rscs[rsc].id, task, interval);
        let action = self.action(Some(rsc), &key, task, None, false);
        self.set_reason(action, DEFINITION, true);
    }

    fn schedule_reload(&mut self, rsc: RscIx, node: NodeIx) {
        let r = &self.rscs[rsc];
        if !r.managed || r.failed {
            return;
        }
        if r.start_pending {
            self.stop_action(rsc, node, false);
            return;
        }
        self.rscs[rsc].reload = true;
        let reload = self.task_action(rsc, "reload-agent", Some(node), false);
        self.set_reason(reload, DEFINITION, false);
        for task in ["stop", "demote"] {
            let then = End::key(rsc, op_key(&self.rscs[rsc].id, task, 0));
            let first = End { action: Some(reload), ..End::default() };
            self.order(first, then, rel::ORDERED | rel::THEN_CANCELS_FIRST);
        }
    }

    fn schedule_cleanup(&mut self, rsc: RscIx, node: NodeIx) {
        let n = &self.nodes[node];
        if self.rscs[rsc].failed || n.unclean || !n.online {
            return;
        }
        self.task_action(rsc, "delete", Some(node), false);
        self.order_tasks(rsc, "stop", rsc, "delete", rel::ORDERED);
        self.order_tasks(rsc, "delete", rsc, "start", rel::ORDERED);
    }

    /// Turns a recurring operation into its cancellation.
    pub(crate) fn cancel_action(
        &mut self,
        rsc: RscIx,
        task: &str,
        interval: u32,
        node: NodeIx,
    ) -> ActIx {
        let key = op_key(&self.rscs[rsc].id, task, interval);
        let ix = self.action(Some(rsc), &key, "cancel", Some(node), false);
        let action = &mut self.actions[ix];
        action.task = "cancel".into();
        action.cancel_task = Some(task.into());
        action.meta.insert("operation".into(), task.into());
        action.meta.insert("interval".into(), eco_format!("{interval}"));
        ix
    }

    fn schedule_cancel(
        &mut self,
        rsc: RscIx,
        call_id: Option<&str>,
        task: &str,
        interval: u32,
        node: NodeIx,
    ) {
        let cancel = self.cancel_action(rsc, task, interval, node);
        if let Some(call_id) = call_id {
            self.actions[cancel].meta.insert("call-id".into(), call_id.into());
        }
        let stop = End::key(rsc, op_key(&self.rscs[rsc].id, "stop", 0));
        self.order(stop, End { action: Some(cancel), ..End::default() }, rel::ORDERED);
    }

    /// Makes a node be unfenced, because of a device or because of itself.
    pub(crate) fn trigger_unfencing(&mut self, rsc: Option<RscIx>, node: NodeIx, reason: &str) {
        if !self.unfencing_enabled || rsc.is_some_and(|rsc| !self.rscs[rsc].fence_device) {
            return;
        }
        let suitable = |sched: &Sched, n: NodeIx| {
            let n = &sched.nodes[n];
            n.online && !n.unclean && !n.shutdown
        };
        if suitable(self, node) && rsc.is_none() {
            self.fence_op(node, Some("on"), false, Some(reason), false);
            return;
        }
        if let Some(rsc) = rsc {
            if suitable(self, node) {
                self.fence_op(node, Some("on"), false, Some(reason), false);
                return;
            }
            for other in self.in_order(&self.rscs[rsc].allowed) {
                if suitable(self, other) {
                    self.fence_op(other, Some("on"), false, Some(reason), false);
                }
            }
        }
    }
}
