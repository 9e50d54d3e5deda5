//! The transition in words: one line for each resource that changes, one for each node fenced.
//! Source: `spec/scheduler-graph.md` §6.

use crate::action::flag;
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::present::Line;

/// A resource's line before it is aligned.
struct Change {
    verb: &'static str,
    rsc: String,
    details: String,
    reason: String,
}

impl Sched {
    /// The items of the transition summary.
    pub fn transition_summary(&mut self, level: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for ix in self.actions.ids().rev() {
            let action = &self.actions[ix];
            if action.rsc.is_some() || action.is(flag::OPTIONAL) {
                continue;
            }
            let (Some(node), Some(reason)) = (action.node, &action.reason) else { continue };
            let mut name = self.nodes[node].name.to_string();
            let text = match action.task.as_str() {
                "do_shutdown" => format!("Shutdown {name} '{reason}'"),
                "stonith" => {
                    if let Some(launcher) = self.guest_launcher(node) {
                        name.push_str(&format!(" (resource: {})", self.rscs[launcher].id));
                    }
                    let op = action.meta.get("stonith_action").map_or("", |op| op.as_str());
                    format!("Fence ({op}) {name} '{reason}'")
                }
                _ => continue,
            };
            lines.push(Line { level, text });
        }
        let mut changes = Vec::new();
        for rsc in self.top.clone() {
            self.summarize(rsc, &mut changes);
        }
        let width = |of: &dyn Fn(&Change) -> usize| changes.iter().map(of).max().unwrap_or(0);
        let rsc_width = width(&|c| c.rsc.len() + 2);
        let detail_width = width(&|c| c.details.len());
        for c in changes {
            let mut text =
                format!("{:<10} {:<rsc_width$}  ( {:>detail_width$} )", c.verb, c.rsc, c.details);
            if !c.reason.is_empty() {
                text.push_str("  ");
                text.push_str(&c.reason);
            }
            lines.push(Line { level, text });
        }
        lines
    }

    fn summarize(&mut self, rsc: RscIx, out: &mut Vec<Change>) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.summarize_primitive(rsc, out),
            Variant::Group | Variant::Clone => {
                for child in self.rscs[rsc].children.clone() {
                    self.summarize(child, out);
                }
            }
            Variant::Bundle => {
                for replica in self.rscs[rsc].bundle.replicas.clone() {
                    let parts =
                        [replica.ip, Some(replica.container), replica.remote, replica.child];
                    for part in parts.into_iter().flatten() {
                        self.summarize(part, out);
                    }
                }
            }
        }
    }

    fn task_on(&mut self, rsc: RscIx, task: &str, node: Option<NodeIx>) -> Option<ActIx> {
        let key = crate::text::op_key(&self.rscs[rsc].id, task, 0);
        self.claim_actions(rsc, &key, node).first().copied()
    }

    fn is_off(&self, ix: Option<ActIx>, which: u32) -> bool {
        ix.is_some_and(|ix| self.actions[ix].not(which))
    }

    fn summarize_primitive(&mut self, rsc: RscIx, out: &mut Vec<Change>) {
        let next = self.rscs[rsc].assigned.map(|placed| placed.node);
        let current = self.current_node(rsc);
        if current.is_some() && self.rscs[rsc].orig_role == Role::Stopped {
            self.rscs[rsc].orig_role = Role::Started;
        }
        let r = &self.rscs[rsc];
        if (current.is_none() && next.is_none() && r.removed) || !r.managed {
            return;
        }
        if current.is_none() && next.is_none() {
            return;
        }
        let (stop_unexpected, same_role) = (r.stop_unexpected, r.orig_role == r.next_role);
        let moving = current.is_some() && next.is_some() && current != next;
        let start = next.and_then(|n| self.task_on(rsc, "start", Some(n)));
        let unstartable = start.is_none_or(|s| self.actions[s].not(flag::RUNNABLE));
        let mut stop = if unstartable {
            self.task_on(rsc, "stop", None)
        } else {
            self.task_on(rsc, "stop", current)
        };
        if stop.is_none() && stop_unexpected {
            stop = self.task_on(rsc, "stop", None);
        }
        let promote = next.and_then(|n| self.task_on(rsc, "promote", Some(n)));
        let demote = next.and_then(|n| self.task_on(rsc, "demote", Some(n)));
        if same_role {
            self.summarize_same_role(rsc, current, next, moving, start, stop, promote, demote, out);
        } else {
            self.summarize_new_role(rsc, current, next, moving, start, stop, promote, demote, out);
        }
    }

    fn summarize_same_role(
        &mut self,
        rsc: RscIx,
        current: Option<NodeIx>,
        next: Option<NodeIx>,
        moving: bool,
        start: Option<ActIx>,
        stop: Option<ActIx>,
        promote: Option<ActIx>,
        demote: Option<ActIx>,
        out: &mut Vec<Change>,
    ) {
        let migrate = next.and_then(|n| self.task_on(rsc, "migrate_from", Some(n)));
        let r = &self.rscs[rsc];
        let mut line = |verb, from, to, action: Option<ActIx>, source: Option<ActIx>| {
            out.extend(self.change(verb, rsc, from, to, action, source));
        };
        if migrate.is_some_and(|m| self.actions[m].is(flag::RUNNABLE)) && current.is_some() {
            line("Migrate", current, next, start, None);
        } else if r.reload {
            line("Reload", current, next, start, None);
        } else if start.is_none_or(|s| self.actions[s].is(flag::OPTIONAL)) {
            if self.is_off(demote, flag::OPTIONAL) && self.is_off(promote, flag::OPTIONAL) {
                line("Re-promote", current, next, promote, demote);
            }
        } else if self.is_off(start, flag::RUNNABLE) {
            let source = stop.filter(|s| self.actions[*s].reason.is_some()).or(start);
            line("Stop", current, None, stop, source);
        } else if moving {
            line(if r.failed { "Recover" } else { "Move" }, current, next, stop, None);
        } else if r.failed {
            line("Recover", current, None, stop, None);
        } else {
            line("Restart", current, next, start, None);
        }
    }

    fn summarize_new_role(
        &mut self,
        rsc: RscIx,
        current: Option<NodeIx>,
        next: Option<NodeIx>,
        moving: bool,
        start: Option<ActIx>,
        stop: Option<ActIx>,
        promote: Option<ActIx>,
        demote: Option<ActIx>,
        out: &mut Vec<Change>,
    ) {
        let r = &self.rscs[rsc];
        let stopping =
            stop.is_some() && (r.next_role == Role::Stopped || self.is_off(start, flag::RUNNABLE));
        if stopping {
            for node in r.active.clone() {
                let stop = self.task_on(rsc, "stop", Some(node));
                let source = stop.filter(|s| self.actions[*s].reason.is_some()).or(start);
                out.extend(self.change("Stop", rsc, Some(node), None, stop, source));
            }
            return;
        }
        let mut line = |verb, from, to, action: Option<ActIx>, source: Option<ActIx>| {
            out.extend(self.change(verb, rsc, from, to, action, source));
        };
        if stop.is_some() && r.failed && r.stop_if_failed {
            line("Recover", current, next, stop, start);
        } else if moving {
            line("Move", current, next, stop, None);
        } else if r.reload {
            line("Reload", current, next, start, None);
        } else if self.is_off(stop, flag::OPTIONAL) {
            line("Restart", current, next, start, None);
        } else if r.orig_role == Role::Promoted {
            line("Demote", current, next, demote, None);
        } else if r.next_role == Role::Promoted {
            line("Promote", current, next, promote, None);
        } else if r.orig_role == Role::Stopped && r.next_role > Role::Stopped {
            line("Start", current, next, start, None);
        }
    }

    fn change(
        &self,
        verb: &'static str,
        rsc: RscIx,
        from: Option<NodeIx>,
        to: Option<NodeIx>,
        action: Option<ActIx>,
        source: Option<ActIx>,
    ) -> Option<Change> {
        let r = &self.rscs[rsc];
        if from.is_none() && to.is_none() {
            return None;
        }
        let need_role = r.orig_role > Role::Started || r.next_role > Role::Unpromoted;
        let same_role = r.orig_role == r.next_role;
        let name = |node: NodeIx| self.nodes[node].name.as_str();
        let (old, new) = (r.orig_role.name(), r.next_role.name());
        let details = match (from, to) {
            (None, Some(to)) => {
                if need_role {
                    format!("{old} -> {new} {}", name(to))
                } else {
                    name(to).to_owned()
                }
            }
            (Some(from), None) => {
                if need_role {
                    format!("{old} {}", name(from))
                } else {
                    name(from).to_owned()
                }
            }
            (Some(from), Some(to)) => {
                let same_host = from == to;
                if same_role && same_host {
                    if need_role { format!("{old} {}", name(from)) } else { name(from).to_owned() }
                } else if same_role {
                    let role = if need_role { format!(" {old}") } else { String::new() };
                    format!("{} -> {}{role}", name(from), name(to))
                } else if same_host {
                    format!("{old} -> {new} {}", name(from))
                } else {
                    format!("{old} {} -> {new} {}", name(from), name(to))
                }
            }
            (None, None) => return None,
        };
        let source = source.or(action);
        let blocked = action.is_some_and(|a| self.actions[a].not(flag::RUNNABLE));
        let reason = match source.and_then(|s| self.actions[s].reason.as_ref()) {
            Some(reason) if blocked => format!("due to {reason} (blocked)"),
            Some(reason) => format!("due to {reason}"),
            None if blocked => "blocked".into(),
            None => String::new(),
        };
        Some(Change { verb, rsc: self.printable_rsc(rsc), details, reason })
    }

    fn printable_rsc(&self, rsc: RscIx) -> String {
        self.rscs[rsc].id.to_string()
    }
}
