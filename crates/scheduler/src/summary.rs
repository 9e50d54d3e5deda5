//! The transition in words: one line for each resource that changes, one for each node fenced.
//! Source: `spec/scheduler-graph.md` §6.

use crate::action::flag;
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::present::Line;

/// One line of the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Something happens to a node: `Fence (reboot)`, `Shutdown`.
    Node {
        /// What.
        task: String,
        /// The node, with the resource it lives in if it is a guest.
        node: String,
        /// Why.
        reason: String,
    },
    /// Something happens to a resource.
    Rsc(Change),
}

/// What happens to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `Start`, `Move`, ….
    pub verb: &'static str,
    /// The resource.
    pub rsc: String,
    /// The node it leaves, or is on.
    pub from: Option<String>,
    /// The node it comes to.
    pub to: Option<String>,
    /// Its role before and after.
    pub roles: (&'static str, &'static str),
    /// The roles are worth a word.
    pub show_roles: bool,
    /// Why.
    pub reason: Option<String>,
    /// It cannot be done.
    pub blocked: bool,
}

impl Change {
    /// The roles are the same before and after.
    pub fn same_role(&self) -> bool {
        self.roles.0 == self.roles.1
    }

    fn details(&self) -> String {
        let (old, new) = self.roles;
        match (self.from.as_deref(), self.to.as_deref()) {
            (None, Some(to)) if self.show_roles => format!("{old} -> {new} {to}"),
            (Some(from), None) if self.show_roles => format!("{old} {from}"),
            (None, Some(node)) | (Some(node), None) => node.to_owned(),
            (Some(from), Some(to)) => {
                let same_host = from == to;
                if self.same_role() && same_host {
                    if self.show_roles { format!("{old} {from}") } else { from.to_owned() }
                } else if self.same_role() {
                    let role = if self.show_roles { format!(" {old}") } else { String::new() };
                    format!("{from} -> {to}{role}")
                } else if same_host {
                    format!("{old} -> {new} {from}")
                } else {
                    format!("{old} {from} -> {new} {to}")
                }
            }
            (None, None) => String::new(),
        }
    }

    fn why(&self) -> String {
        match &self.reason {
            Some(reason) if self.blocked => format!("  due to {reason} (blocked)"),
            Some(reason) => format!("  due to {reason}"),
            None if self.blocked => "  blocked".into(),
            None => String::new(),
        }
    }
}

/// The summary as items of a list, aligned.
pub fn lines(items: &[Item], level: usize) -> Vec<Line> {
    // Upstream widens the columns as it goes, the first by more than it needs.
    let (mut rsc_width, mut detail_width) = (5, 5);
    for item in items {
        let Item::Rsc(change) = item else { continue };
        if change.rsc.len() > rsc_width {
            rsc_width = change.rsc.len() + 2;
        }
        detail_width = detail_width.max(change.details().len());
    }
    let text = |item: &Item| match item {
        Item::Node { task, node, reason } => format!("{task} {node} '{reason}'"),
        Item::Rsc(c) => format!(
            "{:<10} {:<rsc_width$}   ( {:>detail_width$} ){}",
            c.verb,
            c.rsc,
            c.details(),
            c.why()
        ),
    };
    items.iter().map(|item| Line { level, text: text(item) }).collect()
}

impl Sched {
    /// The items of the transition summary.
    pub(crate) fn transition_summary(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        for ix in self.actions.ids().rev() {
            let action = &self.actions[ix];
            if action.rsc.is_some() || action.is(flag::OPTIONAL) {
                continue;
            }
            let (Some(node), Some(reason)) = (action.node, &action.reason) else { continue };
            let mut name = self.nodes[node].name.to_string();
            let task = match action.task.as_str() {
                "do_shutdown" => "Shutdown".to_owned(),
                "stonith" => {
                    if let Some(launcher) = self.guest_launcher(node) {
                        name.push_str(&format!(" (resource: {})", self.rscs[launcher].id));
                    }
                    let op = action.meta.get("stonith_action").map_or("", |op| op.as_str());
                    format!("Fence ({op})")
                }
                _ => continue,
            };
            items.push(Item::Node { task, node: name, reason: reason.to_string() });
        }
        let mut changes = Vec::new();
        for rsc in self.top.clone() {
            self.summarize(rsc, &mut changes);
        }
        items.extend(changes.into_iter().map(Item::Rsc));
        items
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
        let name = |node: NodeIx| self.nodes[node].name.to_string();
        let source = source.or(action);
        Some(Change {
            verb,
            rsc: r.id.to_string(),
            from: from.map(name),
            to: to.map(name),
            roles: (r.orig_role.name(), r.next_role.name()),
            show_roles: r.orig_role > Role::Started || r.next_role > Role::Unpromoted,
            reason: source.and_then(|s| self.actions[s].reason.as_ref()).map(ToString::to_string),
            blocked: action.is_some_and(|a| self.actions[a].not(flag::RUNNABLE)),
        })
    }
}
