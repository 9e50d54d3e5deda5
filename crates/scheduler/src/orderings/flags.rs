//! What the flags of a collective's action are, seen through its members.
//! Source: `spec/scheduler-actions.md` §11.4.

use crate::action::flag;
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Sched, Variant};
use crate::text::parse_op_key;

/// The task that a completion completes.
pub(crate) fn base_task(task: &str) -> &str {
    match task {
        "running" => "start",
        "stopped" => "stop",
        "promoted" => "promote",
        "demoted" => "demote",
        other => other,
    }
}

/// The completion of a task.
pub(crate) fn completed_task(task: &str) -> Option<&'static str> {
    Some(match task {
        "start" | "running" => "running",
        "stop" | "stopped" => "stopped",
        "promote" | "promoted" => "promoted",
        "demote" | "demoted" => "demoted",
        _ => return None,
    })
}

impl Sched {
    /// The task of instances that a collective's action stands for. Only primitives have no
    /// completions of their own.
    pub(crate) fn instance_task(&self, ix: ActIx) -> String {
        let action = &self.actions[ix];
        let notified = matches!(action.task.as_str(), "notify" | "notified")
            .then(|| parse_op_key(&action.key))
            .flatten()
            .and_then(|(_, kind, _)| kind.split_once("_notify_"));
        let task = notified.map_or(action.task.as_str(), |(_, task)| task);
        let primitives = action.rsc.is_some_and(|rsc| {
            let r = &self.rscs[rsc];
            match r.variant {
                Variant::Bundle => true,
                _ => r.children.first().is_some_and(|child| self.is_primitive(*child)),
            }
        });
        if primitives { base_task(task).to_owned() } else { task.to_owned() }
    }

    /// Flags of an action as its resource's variant sees them.
    pub(crate) fn flags_seen(&mut self, ix: ActIx, node: Option<NodeIx>) -> u32 {
        let Some(rsc) = self.actions[ix].rsc else { return self.actions[ix].flags };
        match self.rscs[rsc].variant {
            Variant::Primitive => self.actions[ix].flags,
            Variant::Group => self.group_flags(rsc, ix, node),
            Variant::Clone => {
                let children = self.rscs[rsc].children.clone();
                self.collective_flags(&children, ix, node)
            }
            Variant::Bundle => {
                let task = self.instance_task(ix);
                let notify = matches!(self.actions[ix].task.as_str(), "notify" | "notified");
                let inner = notify || matches!(task.as_str(), "promote" | "demote");
                let instances: Vec<RscIx> = match self.rscs[rsc].bundle.inner {
                    Some(clone) if inner => self.rscs[clone].children.clone(),
                    _ => self.rscs[rsc].bundle.replicas.iter().map(|r| r.container).collect(),
                };
                self.collective_flags(&instances, ix, node)
            }
        }
    }

    fn group_flags(&mut self, group: RscIx, ix: ActIx, node: Option<NodeIx>) -> u32 {
        let mut flags = flag::OPTIONAL | flag::RUNNABLE | flag::PSEUDO;
        let task = self.actions[ix].task.clone();
        let base = base_task(&task).to_owned();
        for member in self.rscs[group].children.clone() {
            match self.first_action(member, None, Some(&base), node) {
                Some(action) => {
                    let seen = self.flags_seen(action, node);
                    if flags & flag::OPTIONAL != 0 && seen & flag::OPTIONAL == 0 {
                        flags &= !flag::OPTIONAL;
                        self.actions[ix].flags &= !flag::OPTIONAL;
                    }
                    if base != task && flags & flag::RUNNABLE != 0 && seen & flag::RUNNABLE == 0 {
                        flags &= !flag::RUNNABLE;
                        self.actions[ix].flags &= !flag::RUNNABLE;
                    }
                }
                None if base != "stop" && base != "demote" => flags &= !flag::RUNNABLE,
                None => {}
            }
        }
        flags
    }

    pub(crate) fn collective_flags(
        &mut self,
        instances: &[RscIx],
        ix: ActIx,
        node: Option<NodeIx>,
    ) -> u32 {
        let mut flags = flag::OPTIONAL | flag::RUNNABLE | flag::PSEUDO;
        let task = self.instance_task(ix);
        let mut any_runnable = false;
        for instance in instances {
            let at = if self.is_primitive(*instance) { node } else { None };
            let Some(action) = self.first_action(*instance, None, Some(&task), at) else {
                continue;
            };
            let seen = self.flags_seen(action, node);
            if flags & flag::OPTIONAL != 0 && seen & flag::OPTIONAL == 0 {
                flags &= !flag::OPTIONAL;
                self.actions[ix].flags &= !flag::OPTIONAL;
            }
            any_runnable |= seen & flag::RUNNABLE != 0;
        }
        if !any_runnable {
            flags &= !flag::RUNNABLE;
            if node.is_none() {
                self.actions[ix].flags &= !flag::RUNNABLE;
            }
        }
        flags
    }

    /// Flags that count in a relation with an action on `node`.
    pub(crate) fn flags_for_relation(&mut self, ix: ActIx, node: Option<NodeIx>) -> u32 {
        let Some(rsc) = self.actions[ix].rsc else { return self.actions[ix].flags };
        let flags = self.flags_seen(ix, None);
        if node.is_none() || self.rscs[rsc].variant != Variant::Clone {
            return flags;
        }
        let on_node = self.flags_seen(ix, node);
        if flags & flag::RUNNABLE != 0 && on_node & flag::RUNNABLE == 0 {
            return on_node | flag::RUNNABLE;
        }
        on_node
    }
}
