//! Relations that touch clones and bundles: with each instance, or instance by instance.
//! Source: `spec/scheduler-actions.md` §11.5, last paragraph.

use super::update::{FIRST, THEN};
use crate::action::{flag, rel};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::trace::How;

impl Sched {
    fn collective_instances(&self, rsc: RscIx) -> Vec<RscIx> {
        match self.rscs[rsc].variant {
            Variant::Bundle => self.rscs[rsc].bundle.replicas.iter().map(|r| r.container).collect(),
            _ => self.rscs[rsc].children.clone(),
        }
    }

    fn relation_interleaves(&self, first: ActIx, then: ActIx) -> bool {
        let (Some(a), Some(b)) = (self.actions[first].rsc, self.actions[then].rsc) else {
            return false;
        };
        if a == b || self.rscs[a].variant < Variant::Clone || self.rscs[b].variant < Variant::Clone
        {
            return false;
        }
        let rsc = if matches!(self.actions[then].task.as_str(), "stop" | "demote") { a } else { b };
        self.meta_is_true(rsc, "interleave")
    }

    pub(crate) fn update_collective(
        &mut self,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        flags: u32,
        filter: u32,
        kind: u32,
    ) -> u8 {
        if self.relation_interleaves(first, then) {
            return self.update_interleaved(first, then, node, filter, kind);
        }
        let Some(rsc) = self.actions[then].rsc else { return 0 };
        let mut changed = self.update_base(first, then, flags, filter, kind);
        let task = self.actions[then].task.clone();
        for instance in self.collective_instances(rsc) {
            let Some(action) = self.first_action(instance, None, Some(&task), node) else {
                continue;
            };
            if self.flags_seen(action, node) & flag::RUNNABLE == 0 {
                continue;
            }
            let change = self.update_pair(instance, first, action, node, flags, filter, kind);
            if change & THEN != 0 {
                let following: Vec<ActIx> =
                    self.actions[action].after.iter().rev().map(|r| r.action).collect();
                for next in following {
                    self.update_action(next);
                }
            }
            changed |= change;
        }
        changed
    }

    /// The replica's inner resource, where that is what really acts.
    fn acting(&self, instance: RscIx, task: &str, is_first: bool) -> RscIx {
        if !self.rscs[instance].replica_container {
            return instance;
        }
        let inner = if is_first {
            // What comes first is the service inside, except that it is stopped with its container.
            !matches!(task, "stop" | "stopped")
        } else {
            matches!(task, "promote" | "promoted" | "demote" | "demoted")
        };
        if !inner {
            return instance;
        }
        self.rscs[instance]
            .parent
            .and_then(|bundle| {
                self.rscs[bundle].bundle.replicas.iter().find(|r| r.container == instance)
            })
            .and_then(|replica| replica.child)
            .unwrap_or(instance)
    }

    fn instance_action(
        &self,
        ix: ActIx,
        instance: RscIx,
        task: &str,
        node: Option<NodeIx>,
        is_first: bool,
    ) -> Option<ActIx> {
        let rsc = self.acting(instance, &self.actions[ix].task, is_first);
        self.first_action(rsc, None, Some(task), node)
    }

    fn update_interleaved(
        &mut self,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        filter: u32,
        kind: u32,
    ) -> u8 {
        let (Some(first_rsc), Some(then_rsc)) = (self.actions[first].rsc, self.actions[then].rsc)
        else {
            return 0;
        };
        let key = &self.actions[first].key;
        let current = key.ends_with("_stopped_0") || key.ends_with("_demoted_0");
        let first_task = self.instance_task(first);
        let then_task = self.actions[then].task.clone();
        let mut changed = 0;
        for then_instance in self.collective_instances(then_rsc) {
            let found = self.compatible_instance(then_instance, first_rsc, Role::Unknown, current);
            let Some(first_instance) = found else {
                if !current
                    && kind & (rel::UFB | rel::FIT) != 0
                    && self.assign_to(then_instance, None, true, true)
                {
                    self.note_decision(then_instance, How::NoPeer(first_rsc), &[], None, None);
                    changed |= THEN;
                }
                continue;
            };
            let Some(a) = self.instance_action(first, first_instance, &first_task, None, true)
            else {
                continue;
            };
            let Some(b) = self.instance_action(then, then_instance, &then_task, None, false) else {
                continue;
            };
            self.note_relation_moved((first, then), (a, b));
            if self.relate(a, b, kind) {
                changed |= FIRST | THEN;
            }
            let seen = self.flags_seen(a, node);
            changed |= self.update_pair(then_instance, a, b, node, seen, filter, kind);
        }
        changed
    }
}
