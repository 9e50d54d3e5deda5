//! Recurring operations. Source: `spec/scheduler-actions.md` §8.

use std::sync::Arc;

use xml::Element;

use crate::action::{End, flag, rel};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Role, Sched};
use crate::text::{op_key, parse_interval};

struct Recurring {
    name: String,
    interval: u32,
    key: String,
    role: Role,
}

impl Sched {
    /// A configured operation that is to recur.
    fn recurring_op(&self, rsc: RscIx, op: &Arc<Element>) -> Option<Recurring> {
        let interval = parse_interval(op.get("interval"));
        op.id()?;
        let name = op.get("name")?;
        if interval == 0
            || matches!(
                name,
                "stop"
                    | "start"
                    | "promote"
                    | "demote"
                    | "migrate_to"
                    | "migrate_from"
                    | "cancel"
                    | "delete"
                    | "notify"
                    | "reload"
                    | "reload-agent"
                    | "meta-data"
            )
        {
            return None;
        }
        let twins = self
            .ops(rsc)
            .iter()
            .filter(|other| {
                other.get("name") == Some(name) && parse_interval(other.get("interval")) == interval
            })
            .count();
        if twins > 1 {
            return None;
        }
        let role = match op.get("role") {
            None => Role::Unknown,
            Some(text) => match Role::parse(text)? {
                Role::Started | Role::Unpromoted if text.eq_ignore_ascii_case("started") => {
                    Role::Started
                }
                role => role,
            },
        };
        self.find_op(rsc, name, interval, false)?;
        let key = op_key(&self.rscs[rsc].id, name, interval);
        Some(Recurring { name: name.to_owned(), interval, key, role })
    }

    pub(crate) fn create_recurring(&mut self, rsc: RscIx) {
        let r = &self.rscs[rsc];
        if r.blocked || r.maintenance {
            return;
        }
        let assigned = r.assigned.map(|placed| placed.node);
        let start = match assigned {
            None => None,
            Some(node) if self.nodes[node].maintenance => None,
            Some(_) if r.next_role == Role::Stopped && r.managed => None,
            Some(node) => Some(self.task_action(rsc, "start", Some(node), true)),
        };
        for op in self.ops(rsc) {
            let Some(op) = self.recurring_op(rsc, &op) else { continue };
            if op.role == Role::Stopped {
                self.recurring_inactive(rsc, assigned, &op);
            } else if let Some(start) = start {
                self.recurring_active(rsc, start, assigned, &op);
            }
        }
    }

    fn keep_optional(&self, rsc: RscIx, node: Option<NodeIx>, key: &str, start: ActIx) -> bool {
        let Some(node) = node else { return false };
        if self.actions[start].not(flag::OPTIONAL) {
            return false;
        }
        let known = self.exact_actions(rsc, key, node);
        !known.is_empty() && known.iter().all(|a| self.actions[*a].not(flag::RESCHEDULE))
    }

    fn exact_actions(&self, rsc: RscIx, key: &str, node: NodeIx) -> Vec<ActIx> {
        self.rscs[rsc]
            .actions
            .iter()
            .copied()
            .filter(|a| {
                self.actions[*a].node == Some(node)
                    && self.actions[*a].key.eq_ignore_ascii_case(key)
            })
            .collect()
    }

    fn recurring_active(&mut self, rsc: RscIx, start: ActIx, node: Option<NodeIx>, op: &Recurring) {
        let next_role = self.rscs[rsc].next_role;
        let optional = self.keep_optional(rsc, node, &op.key, start);
        let role_fits = match op.role {
            Role::Unknown => next_role != Role::Promoted,
            role => role == next_role,
        };
        if !role_fits {
            if optional && let Some(node) = node {
                self.cancel_for_role(rsc, node, op);
            }
            return;
        }
        let monitor = self.action(Some(rsc), &op.key, &op.name, node, optional);
        let lost = node.is_none_or(|n| !self.nodes[n].online || self.nodes[n].unclean);
        if self.actions[start].not(flag::RUNNABLE) || lost {
            self.actions[monitor].flags &= !flag::RUNNABLE;
        }
        if next_role == Role::Promoted {
            self.actions[monitor].meta.insert("op_target_rc".into(), "8".into());
        }
        if node.is_none() || self.rscs[rsc].managed {
            let id = self.rscs[rsc].id.clone();
            let then = End { rsc: Some(rsc), key: None, action: Some(monitor) };
            let after = |sched: &mut Sched, task: &str, flags: u32| {
                sched.order(End::key(rsc, op_key(&id, task, 0)), then.clone(), flags);
            };
            after(self, "start", rel::FIT | rel::UFB);
            after(self, "reload-agent", rel::FIT | rel::UFB);
            if next_role == Role::Promoted {
                after(self, "promote", rel::ORDERED | rel::UFB);
            } else if self.rscs[rsc].orig_role == Role::Promoted {
                after(self, "demote", rel::ORDERED | rel::UFB);
            }
        }
    }

    fn cancel_for_role(&mut self, rsc: RscIx, node: NodeIx, op: &Recurring) {
        let cancel = self.cancel_action(rsc, &op.name, op.interval, node);
        let r = &self.rscs[rsc];
        let after = match (r.orig_role, r.next_role) {
            (Role::Unpromoted | Role::Started, Role::Promoted) => "promote",
            (_, Role::Stopped) => "stop",
            (Role::Promoted, _) => "demote",
            (_, Role::Promoted) => "promote",
            _ => return,
        };
        let then = End::key(rsc, op_key(&r.id, after, 0));
        let first = End { action: Some(cancel), ..End::default() };
        self.order(first, then, rel::UFB);
    }

    fn recurring_inactive(&mut self, rsc: RscIx, assigned: Option<NodeIx>, op: &Recurring) {
        if !self.rscs[rsc].unique {
            return;
        }
        let next_role = self.rscs[rsc].next_role;
        for node in self.node_order.clone() {
            let known = !self.exact_actions(rsc, &op.key, node).is_empty();
            if assigned == Some(node) {
                if known {
                    let cancel = self.cancel_action(rsc, &op.name, op.interval, node);
                    if matches!(next_role, Role::Started | Role::Unpromoted) {
                        let start = End::key(rsc, op_key(&self.rscs[rsc].id, "start", 0));
                        self.order(End { action: Some(cancel), ..End::default() }, start, rel::UFB);
                    }
                }
                continue;
            }
            self.inactive_monitor(rsc, node, op, known);
        }
    }

    fn inactive_monitor(&mut self, rsc: RscIx, node: NodeIx, op: &Recurring, optional: bool) {
        let monitor = self.action(Some(rsc), &op.key, &op.name, Some(node), optional);
        self.actions[monitor].meta.insert("op_target_rc".into(), "7".into());
        let managed = self.rscs[rsc].managed;
        if managed {
            let key = op_key(&self.rscs[rsc].id, "monitor", 0);
            for probe in self.find_actions(rsc, &key, Some(node)) {
                self.relate(probe, monitor, rel::UFB);
            }
        }
        let mut runnable = true;
        let key = op_key(&self.rscs[rsc].id, "stop", 0);
        for stop in self.find_actions(rsc, &key, Some(node)) {
            if self.actions[stop].not(flag::OPTIONAL | flag::RUNNABLE) {
                runnable = false;
            }
            if managed {
                self.order(
                    End { action: Some(stop), ..End::default() },
                    End { rsc: Some(rsc), key: None, action: Some(monitor) },
                    rel::FIT | rel::UFB,
                );
            }
        }
        let n = &self.nodes[node];
        if !runnable || !n.online || n.unclean {
            self.actions[monitor].flags &= !flag::RUNNABLE;
        }
    }
}
