//! The propagation along relations. Source: `spec/scheduler-actions.md` §11.1 and §11.5.

use crate::action::{flag, rel};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Role, Sched, Severity, Variant};
use crate::orderings::flags::completed_task;
use crate::text::{notify_key, op_key, parse_op_key};

/// Which side of a relation was changed.
pub(crate) const FIRST: u8 = 1;
/// Longer chains of consequences than this are no sensible configuration's.
const DEPTH_MAX: u32 = 50_000;

/// More updates than this, and this many for each action, are a circle in which two relations undo
/// each other's work for ever.
const STEPS_MIN: u64 = 1_000_000;
/// See [`STEPS_MIN`].
const STEPS_PER_ACTION: u64 = 200;

/// See [`FIRST`].
pub(crate) const THEN: u8 = 2;

impl Sched {
    /// Updates an action from all that comes before it, and all that follows from that.
    pub(crate) fn update_action(&mut self, then: ActIx) {
        self.update_steps += 1;
        let tired = self.update_steps > STEPS_MIN + STEPS_PER_ACTION * self.actions.len() as u64;
        if self.update_depth >= DEPTH_MAX || tired {
            if !self.update_given_up {
                self.update_given_up = true;
                let text = format!("Gave up on the consequences of {}", self.actions[then].key);
                self.say(Severity::Error, "update_action", text);
            }
            return;
        }
        self.update_depth += 1;
        self.update_action_here(then);
        self.update_depth -= 1;
    }

    fn update_action_here(&mut self, then: ActIx) {
        let saved = self.actions[then].flags;
        let mut changed = 0;
        if self.actions[then].required_runnable_before > 0 {
            self.actions[then].runnable_before = 0;
            self.actions[then].flags &= !flag::RUNNABLE;
        }
        for at in (0..self.actions[then].before.len()).rev() {
            changed &= !FIRST;
            let (first, change) = self.update_from(then, at);
            changed |= change;
            if changed & FIRST != 0 {
                let following: Vec<ActIx> =
                    self.actions[first].after.iter().rev().map(|r| r.action).collect();
                for next in following {
                    self.update_action(next);
                }
                self.update_action(first);
            }
        }
        if self.actions[then].required_runnable_before > 0 {
            if self.actions[then].flags == saved {
                changed &= !THEN;
            } else {
                changed |= THEN;
            }
        }
        if changed & THEN != 0 {
            if saved & flag::RUNNABLE != 0 && self.actions[then].not(flag::RUNNABLE) {
                self.block_colocation_dependents(then);
            }
            self.update_action(then);
            let following: Vec<ActIx> =
                self.actions[then].after.iter().rev().map(|r| r.action).collect();
            for next in following {
                self.update_action(next);
            }
        }
    }

    /// The place of a group's start.
    fn relation_node(&self, ix: ActIx) -> Option<NodeIx> {
        let action = &self.actions[ix];
        if let Some(rsc) = action.rsc
            && self.rscs[rsc].variant == Variant::Group
            && action.task == "start"
            && let Some(node) = self.single_location(rsc, false)
        {
            return Some(node);
        }
        action.node
    }

    fn update_from(&mut self, then: ActIx, at: usize) -> (ActIx, u8) {
        let relation = self.actions[then].before[at];
        let mut first = relation.action;
        let first_node = self.relation_node(first);
        let then_node = self.relation_node(then);
        if relation.flags & rel::IF_ON_SAME_NODE != 0
            && first_node.is_some()
            && then_node.is_some()
            && first_node != then_node
        {
            self.actions[then].before[at].flags = rel::NONE;
            return (first, 0);
        }
        if relation.flags & rel::THEN_CANCELS_FIRST != 0 && self.actions[then].not(flag::OPTIONAL) {
            self.actions[first].flags |= flag::OPTIONAL;
            if self.actions[first].task == "reload-agent"
                && let Some(rsc) = self.actions[first].rsc
            {
                self.rscs[rsc].reload = false;
            }
        }
        if let (Some(a), Some(b)) = (self.actions[first].rsc, self.actions[then].rsc)
            && a != b
            && !self.is_ancestor(a, b)
        {
            first = self.ordered_as(first);
        }
        if first != relation.action {
            self.note_relation_moved((relation.action, then), (first, then));
            if self.relate(first, then, relation.flags) {
                self.actions[then].before[at].flags = rel::NONE;
                return (first, THEN);
            }
            return (first, 0);
        }
        let first_flags = self.flags_for_relation(first, then_node);
        let then_flags = self.flags_for_relation(then, first_node);
        let change = self.apply_relation(first, then, first_flags, then_flags, at);
        (first, change)
    }

    /// The action that stands for a collective's action in relations with others: its completion.
    fn ordered_as(&self, ix: ActIx) -> ActIx {
        let action = &self.actions[ix];
        let Some(rsc) = action.rsc else { return ix };
        if self.rscs[rsc].variant == Variant::Primitive || action.key.contains("notify") {
            return ix;
        }
        let Some((_, task, 0)) = parse_op_key(&action.key) else { return ix };
        let Some(completed) = completed_task(task) else { return ix };
        let id = &self.rscs[rsc].id;
        let key = if self.notifies(rsc) {
            notify_key(id, "confirmed-post", completed)
        } else {
            op_key(id, completed, 0)
        };
        self.first_action(rsc, Some(&key), None, None).unwrap_or(ix)
    }

    fn apply_relation(
        &mut self,
        first: ActIx,
        then: ActIx,
        first_flags: u32,
        then_flags: u32,
        at: usize,
    ) -> u8 {
        let mut changed = 0;
        let mut node = self.actions[then].node;
        let mut flags = self.actions[then].before[at].flags;
        let then_rsc = self.actions[then].rsc;
        let first_rsc = self.actions[first].rsc;
        if flags & rel::FIRST_IMPLIES_SAME_NODE_THEN != 0 {
            flags = (flags & !rel::FIRST_IMPLIES_SAME_NODE_THEN) | rel::FIT;
            self.actions[then].before[at].flags = flags;
            node = self.actions[first].node;
        }
        let required = first_flags & flag::OPTIONAL == 0;
        if flags & rel::FIT != 0 {
            if let Some(rsc) = then_rsc {
                changed |= self.update_pair(
                    rsc,
                    first,
                    then,
                    node,
                    first_flags & flag::OPTIONAL,
                    flag::OPTIONAL,
                    rel::FIT,
                );
            } else if required && self.actions[then].is(flag::OPTIONAL) {
                self.actions[then].flags &= !flag::OPTIONAL;
                self.note_cleared(then, flag::OPTIONAL, first);
                changed |= THEN;
            }
        }
        if flags & rel::INTERMEDIATE_STOP != 0
            && let Some(rsc) = then_rsc
        {
            let filter = flag::OPTIONAL | flag::RUNNABLE;
            changed |= self.update_pair(
                rsc,
                first,
                then,
                node,
                first_flags,
                filter,
                rel::INTERMEDIATE_STOP,
            );
        }
        if flags & rel::TIF != 0 {
            if let Some(rsc) = first_rsc {
                changed |= self.update_pair(
                    rsc,
                    first,
                    then,
                    self.actions[first].node,
                    first_flags,
                    flag::OPTIONAL,
                    rel::TIF,
                );
            } else if required && self.actions[first].is(flag::RUNNABLE) {
                self.actions[first].flags &= !flag::RUNNABLE;
                self.note_cleared(first, flag::RUNNABLE, then);
                changed |= FIRST;
            }
        }
        if flags & rel::PROMOTED_TIF != 0
            && let Some(rsc) = then_rsc
        {
            changed |= self.update_pair(
                rsc,
                first,
                then,
                node,
                first_flags & flag::OPTIONAL,
                flag::OPTIONAL,
                rel::PROMOTED_TIF,
            );
        }
        if flags & rel::MIN_RUNNABLE != 0 {
            if let Some(rsc) = then_rsc {
                changed |= self.update_pair(
                    rsc,
                    first,
                    then,
                    node,
                    first_flags,
                    flag::RUNNABLE,
                    rel::MIN_RUNNABLE,
                );
            } else if first_flags & flag::RUNNABLE != 0 {
                let action = &mut self.actions[then];
                action.runnable_before += 1;
                if action.runnable_before >= action.required_runnable_before
                    && action.not(flag::RUNNABLE)
                {
                    action.flags |= flag::RUNNABLE;
                    changed |= THEN;
                }
            }
        }
        if flags & rel::NESTED_REMOTE_PROBE != 0
            && let Some(rsc) = then_rsc
        {
            let active = first_rsc.is_some_and(|r| !self.rscs[r].active.is_empty());
            if first_flags & flag::RUNNABLE == 0 && active {
                self.actions[then].before[at].flags = rel::NONE;
            } else {
                changed |=
                    self.update_pair(rsc, first, then, node, first_flags, flag::RUNNABLE, rel::UFB);
            }
        }
        if flags & rel::UFB != 0 {
            if let Some(rsc) = then_rsc {
                changed |=
                    self.update_pair(rsc, first, then, node, first_flags, flag::RUNNABLE, rel::UFB);
            } else if first_flags & flag::RUNNABLE == 0 && self.actions[then].is(flag::RUNNABLE) {
                self.actions[then].flags &= !flag::RUNNABLE;
                self.note_cleared(then, flag::RUNNABLE, first);
                changed |= THEN;
            }
        }
        if let Some(rsc) = then_rsc {
            for (kind, filter) in [
                (rel::UNMIGRATABLE_THEN_BLOCKS, flag::OPTIONAL),
                (rel::FIRST_ELSE_THEN, flag::OPTIONAL),
                (rel::ORDERED, flag::RUNNABLE),
                (rel::ASYMMETRIC, flag::RUNNABLE),
            ] {
                if flags & kind != 0 {
                    changed |= self.update_pair(rsc, first, then, node, first_flags, filter, kind);
                }
            }
        }
        self.after_relation(first, then, first_flags, then_flags, flags) | changed
    }

    fn after_relation(
        &mut self,
        first: ActIx,
        then: ActIx,
        first_flags: u32,
        then_flags: u32,
        flags: u32,
    ) -> u8 {
        if self.actions[first].is(flag::RUNNABLE)
            && flags & rel::FITG != 0
            && first_flags & flag::OPTIONAL == 0
        {
            self.actions[then].flags |= flag::ALWAYS;
        }
        if flags & rel::TIFG != 0 && then_flags & flag::OPTIONAL == 0 {
            self.actions[first].flags |= flag::ALWAYS;
        }
        let blocked_stop = self.actions[first].task == "stop"
            && self.actions[first].not(flag::RUNNABLE)
            && self.actions[first]
                .rsc
                .is_some_and(|r| !self.rscs[r].managed && self.rscs[r].blocked);
        if flags & (rel::FIT | rel::TIF | rel::INTERMEDIATE_STOP) != 0
            && blocked_stop
            && self.actions[then].is(flag::RUNNABLE)
        {
            self.actions[then].flags &= !flag::RUNNABLE;
            self.note_cleared(then, flag::RUNNABLE, first);
            return THEN;
        }
        0
    }

    /// Lets a relation of one kind act, as the resource's variant demands.
    pub(crate) fn update_pair(
        &mut self,
        rsc: RscIx,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        flags: u32,
        filter: u32,
        kind: u32,
    ) -> u8 {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.update_base(first, then, flags, filter, kind),
            Variant::Group => {
                let mut changed = self.update_base(first, then, flags, filter, kind);
                let task = self.actions[then].task.clone();
                for member in self.rscs[rsc].children.clone() {
                    if let Some(action) = self.first_action(member, None, Some(&task), node) {
                        changed |=
                            self.update_pair(member, first, action, node, flags, filter, kind);
                    }
                }
                changed
            }
            Variant::Clone | Variant::Bundle => {
                self.update_collective(first, then, node, flags, filter, kind)
            }
        }
    }

    /// Clears a flag of `action` because of `cause`.
    fn clear_because(&mut self, action: ActIx, which: u32, cause: ActIx) {
        if self.actions[action].not(which) {
            return;
        }
        self.actions[action].flags &= !which;
        self.note_cleared(action, which, cause);
        if self.actions[action].rsc == self.actions[cause].rsc {
            return;
        }
        let word = match which {
            flag::RUNNABLE => "unrunnable",
            flag::MIGRATABLE => "unmigrateable",
            _ => "required",
        };
        let cause = &self.actions[cause];
        let reason = match cause.rsc {
            Some(rsc) => format!("{word} {} {}", self.rscs[rsc].id, cause.task),
            None => format!("{word} {}", cause.task),
        };
        self.set_reason(action, reason, false);
    }

    /// Source: §11.5, base function.
    pub(crate) fn update_base(
        &mut self,
        first: ActIx,
        then: ActIx,
        flags: u32,
        filter: u32,
        kind: u32,
    ) -> u8 {
        let first_flags = self.actions[first].flags;
        let then_flags = self.actions[then].flags;
        let then_required = then_flags & flag::OPTIONAL == 0;
        let then_migratable = then_flags & flag::MIGRATABLE != 0;
        if kind & rel::ASYMMETRIC != 0 {
            self.update_asymmetric(first, then);
        }
        if kind & rel::TIF != 0 && then_required {
            if filter & flag::OPTIONAL != 0
                && flags & flag::OPTIONAL == 0
                && first_flags & flag::OPTIONAL != 0
            {
                self.clear_because(first, flag::OPTIONAL, then);
            }
            if flags & flag::MIGRATABLE != 0 && !then_migratable {
                self.clear_because(first, flag::MIGRATABLE, then);
            }
        }
        if kind & rel::PROMOTED_TIF != 0
            && filter & flag::OPTIONAL != 0
            && then_required
            && self.actions[then].rsc.is_some_and(|r| self.rscs[r].orig_role == Role::Promoted)
        {
            self.clear_because(first, flag::OPTIONAL, then);
            if first_flags & flag::MIGRATABLE != 0 && !then_migratable {
                self.clear_because(first, flag::MIGRATABLE, then);
            }
        }
        if kind & rel::UNMIGRATABLE_THEN_BLOCKS != 0 && filter & flag::OPTIONAL != 0 {
            let both = flag::MIGRATABLE | flag::RUNNABLE;
            if self.actions[then].flags & both != both {
                self.clear_because(first, flag::RUNNABLE, then);
            }
            if self.actions[then].not(flag::OPTIONAL) {
                self.clear_because(first, flag::OPTIONAL, then);
            }
        }
        if kind & rel::FIRST_ELSE_THEN != 0
            && filter & flag::OPTIONAL != 0
            && first_flags & flag::RUNNABLE == 0
        {
            self.clear_because(then, flag::MIGRATABLE, first);
            self.actions[then].flags &= !flag::PSEUDO;
        }
        if kind & rel::UFB != 0
            && filter & flag::RUNNABLE != 0
            && then_flags & flag::RUNNABLE != 0
            && flags & flag::RUNNABLE == 0
        {
            self.clear_because(then, flag::RUNNABLE, first);
            self.clear_because(then, flag::MIGRATABLE, first);
        }
        if kind & rel::FIT != 0
            && filter & flag::OPTIONAL != 0
            && then_flags & flag::OPTIONAL != 0
            && flags & flag::OPTIONAL == 0
            && first_flags & flag::MIGRATABLE == 0
        {
            self.clear_because(then, flag::OPTIONAL, first);
        }
        if kind & rel::INTERMEDIATE_STOP != 0 {
            self.update_restart(first, then, filter);
        }
        let mut changed = 0;
        if self.actions[then].flags != then_flags {
            changed |= THEN;
            if self.actions[then].rsc.is_some_and(|r| self.rscs[r].parent.is_some()) {
                self.update_action(then);
            }
        }
        if self.actions[first].flags != first_flags {
            changed |= FIRST;
        }
        changed
    }

    fn update_asymmetric(&mut self, first: ActIx, then: ActIx) {
        let Some(rsc) = self.actions[then].rsc else { return };
        if self.actions[first].is(flag::RUNNABLE) {
            return;
        }
        let action = &self.actions[then];
        if action.is(flag::OPTIONAL) {
            let role = self.role(rsc, true);
            if role == Role::Stopped && action.task == "stop" {
                return;
            }
            if role >= Role::Started
                && action.task == "start"
                && action.node.is_some()
                && self.rscs[rsc].active.len() == 1
                && self.rscs[rsc].active.first().copied() == action.node
            {
                return;
            }
        }
        self.clear_because(then, flag::OPTIONAL, first);
        self.clear_because(then, flag::RUNNABLE, first);
    }

    fn update_restart(&mut self, first: ActIx, then: ActIx, filter: u32) {
        let t = &self.actions[then];
        let required = filter & flag::OPTIONAL != 0 && t.not(flag::OPTIONAL);
        let impossible = filter & flag::RUNNABLE != 0
            && t.not(flag::RUNNABLE)
            && t.rsc.is_some_and(|r| self.rscs[r].managed)
            && t.rsc == self.actions[first].rsc;
        if !required && !impossible {
            return;
        }
        if self.actions[first].is(flag::RUNNABLE) {
            self.clear_because(first, flag::OPTIONAL, then);
        }
        if self.actions[then].not(flag::OPTIONAL) {
            self.clear_because(first, flag::OPTIONAL, then);
        }
        if self.actions[then].not(flag::MIGRATABLE) {
            self.clear_because(first, flag::MIGRATABLE, then);
        }
        if self.actions[first].not(flag::OPTIONAL) && self.actions[first].not(flag::RUNNABLE) {
            self.clear_because(then, flag::RUNNABLE, first);
        }
    }
}
