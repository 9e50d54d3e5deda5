//! Probes: finding out what runs where nothing is known. Source: `spec/scheduler-actions.md` §5.

use crate::action::{End, flag, rel};
use crate::ids::{NodeIx, ProbeMode, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::text::op_key;

impl Sched {
    pub(crate) fn schedule_probes(&mut self) {
        for node in self.node_order.clone() {
            if !self.nodes[node].online {
                if self.is_remote_kind(node) && self.connection_failed(node) {
                    self.fence_node(node, "the connection is unrecoverable", false);
                }
                continue;
            }
            if self.nodes[node].unclean || !self.nodes[node].probes_allowed {
                continue;
            }
            for rsc in self.top.clone() {
                self.probe(rsc, node);
            }
        }
    }

    fn probe(&mut self, rsc: RscIx, node: NodeIx) -> bool {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.create_probe(rsc, node),
            Variant::Group => self.probe_all(rsc, node),
            Variant::Clone => self.probe_clone(rsc, node),
            Variant::Bundle => self.probe_bundle(rsc, node),
        }
    }

    fn probe_all(&mut self, rsc: RscIx, node: NodeIx) -> bool {
        let mut any = false;
        for child in self.rscs[rsc].children.clone() {
            any |= self.probe(child, node);
        }
        any
    }

    fn probe_clone(&mut self, clone: RscIx, node: NodeIx) -> bool {
        if self.rscs[clone].exclusive_probes {
            let exclusive = self.rscs[clone]
                .allowed
                .get(node)
                .is_some_and(|entry| entry.probe_mode == ProbeMode::Exclusive);
            if !exclusive {
                self.rscs[clone].allowed.remove(node);
                return false;
            }
        }
        self.sort_children_by_number(clone);
        if self.rscs[clone].unique {
            return self.probe_all(clone, node);
        }
        let children = self.rscs[clone].children.clone();
        let known = |child: &RscIx| {
            self.tree(*child).iter().any(|r| {
                self.rscs[*r].variant == Variant::Primitive
                    && self.rscs[*r].probed.get(node).is_some()
            })
        };
        let chosen = children
            .iter()
            .find(|child| known(child))
            .or_else(|| children.iter().find(|c| self.single_location(**c, false) == Some(node)))
            .or(children.first())
            .copied();
        chosen.is_some_and(|child| self.probe(child, node))
    }

    fn probe_bundle(&mut self, bundle: RscIx, node: NodeIx) -> bool {
        let mut any = false;
        let replicas = self.rscs[bundle].bundle.replicas.clone();
        for replica in &replicas {
            if let Some(ip) = replica.ip {
                any |= self.probe(ip, node);
            }
            if let Some(child) = replica.child
                && replica.node == Some(node)
            {
                any |= self.probe(child, node);
            }
            if self.probe(replica.container, node) {
                any = true;
                if self.rscs[bundle].bundle.replicas_per_host == 1 {
                    for other in &replicas {
                        if other.container != replica.container {
                            self.order_tasks(
                                replica.container,
                                "monitor",
                                other.container,
                                "start",
                                rel::ORDERED | rel::IF_ON_SAME_NODE,
                            );
                        }
                    }
                }
            }
            if let Some(remote) = replica.remote
                && self.probe(remote, node)
            {
                any = true;
                let key = op_key(&self.rscs[remote].id, "monitor", 0);
                if let Some(probe) = self.first_action(remote, Some(&key), None, Some(node)) {
                    let start = op_key(&self.rscs[replica.container].id, "start", 0);
                    self.order(
                        End::key(replica.container, start),
                        End { action: Some(probe), ..End::default() },
                        rel::NESTED_REMOTE_PROBE,
                    );
                }
            }
        }
        any
    }

    /// Will the guest's container go away?
    fn guest_will_stop(&self, node: NodeIx, launcher: RscIx) -> bool {
        let n = &self.nodes[node];
        let l = &self.rscs[launcher];
        let moving = l.assigned.is_some_and(|placed| !l.active.contains(&placed.node));
        n.remote_reset || n.unclean || l.failed || l.next_role == Role::Stopped || moving
    }

    fn create_probe(&mut self, rsc: RscIx, node: NodeIx) -> bool {
        let uber = self.uber(rsc);
        let top = if self.rscs[uber].variant == Variant::Clone { uber } else { rsc };
        let r = &self.rscs[rsc];
        if self.is_remote_kind(node) {
            let guest_on_guest =
                self.is_guest(node) && r.launched.iter().any(|l| self.rscs[*l].is_connection);
            if r.fence_device || guest_on_guest || r.is_connection {
                return false;
            }
        }
        if (r.launcher.is_some() && !r.is_connection) || r.removed || r.probed.get(node).is_some() {
            return false;
        }
        let entry = r.allowed.get(node).copied();
        if r.exclusive_probes || self.rscs[top].exclusive_probes {
            let Some(entry) = entry else { return false };
            if entry.probe_mode != ProbeMode::Exclusive {
                return false;
            }
        }
        if entry.unwrap_or(self.nodes[node].base).probe_mode == ProbeMode::Never {
            return false;
        }
        if let Some(launcher) = self.guest_launcher(node) {
            if self.rscs[launcher].orig_role == Role::Stopped {
                let unprobed = self.rscs[launcher]
                    .assigned
                    .is_some_and(|p| self.rscs[launcher].probed.get(p.node).is_none());
                if unprobed {
                    self.order_tasks(launcher, "monitor", top, "start", rel::ORDERED);
                }
                return false;
            }
            if self.guest_will_stop(node, launcher) {
                self.order_tasks(launcher, "stop", top, "start", rel::ORDERED);
                return false;
            }
        }
        let probe = self.task_action(rsc, "monitor", Some(node), false);
        self.actions[probe].flags &= !flag::OPTIONAL;
        self.order_vs_unfence(rsc, node, probe, rel::ORDERED);
        let r = &self.rscs[rsc];
        let target = if !r.active.contains(&node) {
            Some("7")
        } else if r.orig_role == Role::Promoted {
            Some("8")
        } else {
            None
        };
        if let Some(target) = target {
            self.actions[probe].meta.insert("op_target_rc".into(), target.into());
        }
        let mut flags = rel::ORDERED;
        if self.actions[probe].not(flag::RUNNABLE) && self.rscs[top].active.is_empty() {
            flags |= rel::UFB;
        }
        let start = self.rscs[top].task_key("start");
        let reload = self.rscs[rsc].task_key("reload-agent");
        let first = End { action: Some(probe), ..End::default() };
        self.order(first.clone(), End::key(top, start), flags);
        self.order(first, End::key(rsc, reload), rel::ORDERED);
        true
    }

    /// Orders unfencing of a node before an action that needs it.
    pub(crate) fn order_vs_unfence(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        action: crate::ids::ActIx,
        flags: u32,
    ) {
        let r = &self.rscs[rsc];
        if !((r.fence_device && self.unfencing_enabled) || r.needs_unfencing) {
            return;
        }
        let unfence = self.fence_op(node, Some("on"), true, None, false);
        self.relate(unfence, action, flags);
        let fenced = self.nodes[node].attrs.get("#node-unfenced").is_none_or(|v| v == "0");
        if fenced {
            let reason = format!("required by {} {}", self.rscs[rsc].id, self.actions[action].task);
            self.trigger_unfencing(None, node, &reason);
        }
    }
}
