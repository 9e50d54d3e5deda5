//! Fencing of nodes, and clean shutdowns. Source: `spec/scheduler-actions.md` §10.

use ecow::eco_format;

use crate::action::{End, Needs, flag, rel};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::Severity;
use crate::model::{Sched, Variant};
use crate::text::op_key;
use crate::trace::Origin;

impl Sched {
    pub(crate) fn schedule_fencing_and_shutdowns(&mut self) {
        let have_managed = self.top.iter().any(|rsc| self.rscs[*rsc].managed);
        let (mut fencings, mut shutdowns): (Vec<ActIx>, Vec<ActIx>) = (Vec::new(), Vec::new());
        let mut dc_action = None;
        for node in self.node_order.clone() {
            if self.is_guest(node) {
                if self.nodes[node].remote_reset && have_managed && self.can_fence(Some(node)) {
                    self.fence_guest(node);
                }
                continue;
            }
            let unclean = self.nodes[node].unclean;
            if unclean && have_managed && self.can_fence(Some(node)) {
                let fence = self.fence_op(node, None, false, Some("node is unclean"), false);
                self.order_vs_fencing(node, fence);
                if self.nodes[node].is_dc {
                    dc_action = Some(fence);
                } else if self.options.concurrent_fencing {
                    fencings.push(fence);
                } else {
                    if let Some(previous) = fencings.last() {
                        self.relate(*previous, fence, rel::ORDERED);
                    }
                    fencings = vec![fence];
                }
            } else if self.nodes[node].online
                && self.nodes[node].shutdown
                && !self.is_remote_kind(node)
            {
                let shutdown = self.because(|| Origin::Shutdown, |sched| sched.shutdown_op(node));
                if self.nodes[node].is_dc {
                    dc_action = Some(shutdown);
                } else {
                    shutdowns.push(shutdown);
                }
            }
            if unclean && !(have_managed && self.can_fence(Some(node))) {
                let text =
                    format!("Node {} is unclean but cannot be fenced", self.nodes[node].name);
                self.say(Severity::ConfigWarning, "schedule_fencing_and_shutdowns", text);
            }
        }
        if let Some(dc) = dc_action {
            if self.actions[dc].task == "do_shutdown" {
                for shutdown in shutdowns.iter().rev() {
                    self.relate(*shutdown, dc, rel::ORDERED);
                }
            }
            for fencing in fencings.iter().rev() {
                self.relate(*fencing, dc, rel::ORDERED);
            }
        }
    }

    fn shutdown_op(&mut self, node: NodeIx) -> ActIx {
        let key = eco_format!("do_shutdown-{}", self.nodes[node].name);
        let shutdown = self.action(None, &key, "do_shutdown", Some(node), false);
        self.actions[shutdown].meta.insert("op_no_wait".into(), "true".into());
        let all: Vec<ActIx> = self.actions.ids().rev().collect();
        for ix in all {
            let action = &self.actions[ix];
            let Some(rsc) = action.rsc else { continue };
            if action.node != Some(node) || action.task != "stop" {
                continue;
            }
            let r = &self.rscs[rsc];
            if r.maintenance || (!r.managed && !r.blocked) {
                continue;
            }
            self.actions[ix].flags &= !flag::OPTIONAL;
            let stop = End { rsc: Some(rsc), key: None, action: Some(ix) };
            let end = End { action: Some(shutdown), ..End::default() };
            self.order(stop, end, rel::ORDERED | rel::UFB);
        }
        shutdown
    }

    /// Recovering a guest's container "fences" the guest. The action is a marker.
    fn fence_guest(&mut self, node: NodeIx) {
        let Some(launcher) = self.guest_launcher(node) else { return };
        let id = self.rscs[launcher].id.clone();
        let stop = self.first_action(launcher, Some(&op_key(&id, "stop", 0)), None, None);
        let start = self.first_action(launcher, Some(&op_key(&id, "start", 0)), None, None);
        let op = if start.is_some() { "reboot" } else { "off" };
        let fence = self.fence_op(node, Some(op), false, Some("guest is unclean"), false);
        self.actions[fence].flags &= !flag::OPTIONAL;
        self.actions[fence].flags |= flag::PSEUDO | flag::RUNNABLE;
        match stop {
            Some(stop) if self.actions[stop].not(flag::PSEUDO) => {
                self.relate(stop, fence, rel::UFB | rel::FIT);
            }
            Some(stop) => {
                let host = self.actions[stop].node;
                let name = host.map(|host| {
                    let action = self.options.fencing_action.clone();
                    eco_format!("stonith-{}-{action}", self.nodes[host].name)
                });
                if let Some(host_fence) = name.and_then(|key| self.singletons.get(&key).copied()) {
                    self.relate(host_fence, fence, rel::UFB | rel::FIT);
                }
            }
            None => {
                if let Some(connection) = self.nodes[node].connection {
                    let key = op_key(&self.rscs[connection].id, "stop", 0);
                    if let Some(stop) = self.first_action(connection, Some(&key), None, None) {
                        self.relate(stop, fence, rel::ORDERED);
                    }
                }
            }
        }
        self.order_vs_fencing(node, fence);
    }

    /// Source: §10.1.
    fn order_vs_fencing(&mut self, node: NodeIx, fence: ActIx) {
        for top in self.top.clone() {
            self.order_tree_vs_fencing(top, node, fence);
        }
    }

    fn order_tree_vs_fencing(&mut self, rsc: RscIx, node: NodeIx, fence: ActIx) {
        if self.rscs[rsc].variant != Variant::Primitive {
            for child in self.rscs[rsc].children.clone() {
                self.order_tree_vs_fencing(child, node, fence);
            }
            return;
        }
        if !self.rscs[rsc].managed {
            return;
        }
        self.order_starts_vs_fencing(rsc, node, fence);
        self.order_stops_vs_fencing(rsc, node, fence);
    }

    fn order_starts_vs_fencing(&mut self, rsc: RscIx, node: NodeIx, fence: ActIx) {
        for ix in self.rscs[rsc].actions.clone().into_iter().rev() {
            match self.actions[ix].needs {
                Needs::Nothing => {}
                Needs::Fencing => {
                    self.relate(fence, ix, rel::ORDERED);
                }
                Needs::Quorum => {
                    let r = &self.rscs[rsc];
                    if self.actions[ix].task == "start"
                        && r.allowed.get(node).is_some()
                        && r.probed.get(node).is_none()
                    {
                        self.relate(fence, ix, rel::ORDERED | rel::UFB);
                    }
                }
            }
        }
    }

    fn order_stops_vs_fencing(&mut self, rsc: RscIx, node: NodeIx, fence: ActIx) {
        let id = self.rscs[rsc].id.clone();
        let implicit = self.rscs[rsc].needs_fencing || self.is_guest(node);
        let bundled = self.is_bundled(rsc);
        let uber = self.uber(rsc);
        let parent_stop = self.first_action(uber, None, Some("stop"), None);
        for stop in self.find_actions(rsc, &op_key(&id, "stop", 0), Some(node)) {
            self.actions[stop].flags |= flag::PSEUDO | flag::RUNNABLE;
            if implicit {
                if !bundled {
                    self.relate(fence, stop, rel::GUEST_ALLOWED);
                }
                if let Some(parent_stop) = parent_stop {
                    self.relate(fence, parent_stop, rel::GUEST_ALLOWED);
                }
            }
            if self.rscs[rsc].notify {
                self.notify_after_fencing(rsc, fence);
            }
        }
        let n = &self.nodes[node];
        let lost = !n.online || n.unclean || self.rscs[rsc].failed;
        for demote in self.find_actions(rsc, &op_key(&id, "demote", 0), Some(node)) {
            if !lost {
                continue;
            }
            self.actions[demote].flags |= flag::PSEUDO | flag::RUNNABLE;
            if implicit && !bundled {
                self.relate(fence, demote, rel::ORDERED | rel::GUEST_ALLOWED);
            }
        }
    }
}
