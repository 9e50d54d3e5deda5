//! Orderings become relations between actions, and what is required, possible or superfluous
//! spreads along them. Source: `spec/scheduler-actions.md` §11.

mod collective;
mod flags;
mod probes;
mod update;

pub(crate) use flags::base_task;

use crate::action::{End, flag, rel};
use crate::ids::{ActIx, RscIx};
use crate::model::{Role, Sched};
use crate::text::{op_key, parse_op_key};
use crate::trace::Origin;

/// Loops that take longer to find are taken for none.
const LOOP_STEPS_MAX: u32 = 5_000_000;

impl Sched {
    /// Stage L of the pipeline (`spec/scheduler.md` §3).
    pub(crate) fn apply_orderings(&mut self) {
        let orderings = std::mem::take(&mut self.orderings);
        for (at, ordering) in orderings.iter().enumerate() {
            self.note_applying(Some(at));
            self.apply_ordering(&ordering.first, &ordering.then, ordering.flags);
        }
        self.note_applying(None);
        let all: Vec<ActIx> = self.actions.ids().rev().collect();
        for ix in &all {
            self.block_colocation_dependents(*ix);
        }
        self.because(|| Origin::Probe, |sched| sched.order_probes(&orderings));
        self.orderings = orderings;
        for ix in &all {
            self.update_action(*ix);
        }
        self.disable_invalid_relations();
    }

    /// Actions that an end of an ordering means.
    fn actions_of(&self, rsc: RscIx, key: &str) -> Vec<ActIx> {
        let found = self.find_actions(rsc, key, None);
        if !found.is_empty() {
            return found;
        }
        match parse_op_key(key) {
            Some((_, task, interval)) => {
                let own = op_key(&self.rscs[rsc].id, task, interval);
                if own == key { Vec::new() } else { self.find_actions(rsc, &own, None) }
            }
            None => Vec::new(),
        }
    }

    fn apply_ordering(&mut self, first: &End, then: &End, flags: u32) {
        let firsts = match (first.action, first.rsc, &first.key) {
            (Some(action), ..) => vec![action],
            (None, Some(rsc), Some(key)) => {
                let found = self.actions_of(rsc, key);
                if found.is_empty() && then.rsc != Some(rsc) {
                    self.create_first(rsc, key).into_iter().collect()
                } else {
                    found
                }
            }
            _ => Vec::new(),
        };
        for first in firsts {
            let thens = match (then.action, then.rsc, &then.key) {
                (Some(action), ..) => vec![action],
                (None, Some(rsc), Some(key)) => self.actions_of(rsc, key),
                _ => Vec::new(),
            };
            let mut flags = flags;
            let action = &self.actions[first];
            if action.is(flag::MIGRATION_ABORT) && action.rsc.is_some() && action.rsc == then.rsc {
                flags &= !rel::FIT;
            }
            for then in thens {
                self.relate(first, then, flags);
            }
        }
    }

    /// The first action of an ordering, if it should exist at all.
    fn create_first(&mut self, rsc: RscIx, key: &str) -> Option<ActIx> {
        let (_, task, interval) = parse_op_key(key)?;
        let role = self.role(rsc, true);
        if (role == Role::Stopped && task == "stop")
            || (role == Role::Unpromoted && task == "demote")
        {
            return None;
        }
        let key = op_key(&self.rscs[rsc].id, task, interval);
        Some(self.action(Some(rsc), &key, task, None, true))
    }

    /// What cannot start takes its mandatory dependents with it. Source: §11.2.
    pub(crate) fn block_colocation_dependents(&mut self, ix: ActIx) {
        let action = &self.actions[ix];
        let is_promote = action.task == "promote";
        let Some(own) = action.rsc else { return };
        if action.is(flag::RUNNABLE) || !(is_promote || action.task == "start") {
            return;
        }
        let task = action.task.clone();
        let uber = self.uber(own);
        let rsc = self.rscs[uber].parent.unwrap_or(uber);
        for child in &self.rscs[rsc].children {
            match self.first_action(*child, None, Some(&task), None) {
                Some(other) if self.actions[other].not(flag::RUNNABLE) => {}
                _ => return,
            }
        }
        let reason = format!("colocation with {}", self.rscs[own].id);
        for colocation in self.rscs[rsc].with_this.clone() {
            let c = &self.colocations[colocation];
            if c.score < crate::score::INFINITY || (is_promote && c.primary_role != Role::Promoted)
            {
                continue;
            }
            let task = if c.dependent_role == Role::Promoted { "promote" } else { "start" };
            let dependent = c.dependent;
            self.block_task(dependent, task, &reason);
        }
    }

    fn block_task(&mut self, rsc: RscIx, task: &str, reason: &str) {
        for ix in self.rscs[rsc].actions.clone().into_iter().rev() {
            let action = &self.actions[ix];
            if action.not(flag::RUNNABLE) || action.task != task {
                continue;
            }
            self.actions[ix].flags &= !flag::RUNNABLE;
            self.set_reason(ix, reason, false);
            self.block_colocation_dependents(ix);
            self.update_action(ix);
        }
        for child in self.rscs[rsc].children.clone() {
            self.block_task(child, task, reason);
        }
    }

    /// Source: §11 step 5.
    fn disable_invalid_relations(&mut self) {
        let all: Vec<ActIx> = self.actions.ids().rev().collect();
        for ix in all {
            for at in (0..self.actions[ix].before.len()).rev() {
                if self.relation_is_invalid(ix, at) {
                    self.actions[ix].before[at].flags = rel::NONE;
                }
            }
        }
    }

    fn relation_is_invalid(&mut self, ix: ActIx, at: usize) -> bool {
        let input = self.actions[ix].before[at];
        let first = &self.actions[input.action];
        if input.flags & rel::GUEST_ALLOWED == 0
            && first.rsc.is_some()
            && let (Some(rsc), Some(node)) = (self.actions[ix].rsc, first.node)
            && self.guest_launcher(node) == Some(rsc)
        {
            return true;
        }
        input.flags == rel::IF_ON_SAME_NODE_OR_TARGET
            && self.actions[ix].rsc.is_some()
            && self.actions[ix].task == "migrate_to"
            && self.makes_loop(ix, ix, at)
    }

    fn makes_loop(&mut self, start: ActIx, ix: ActIx, at: usize) -> bool {
        let input = self.actions[ix].before[at];
        self.loop_steps = self.loop_steps.saturating_add(1);
        if self.actions[input.action].is(flag::DETECT_LOOP) || self.loop_steps > LOOP_STEPS_MAX {
            return false;
        }
        if !self.accept_input(ix, at) {
            return false;
        }
        if input.action == start {
            return true;
        }
        self.actions[input.action].flags |= flag::DETECT_LOOP;
        let mut found = false;
        for next in (0..self.actions[input.action].before.len()).rev() {
            if self.makes_loop(start, input.action, next) {
                found = true;
                break;
            }
        }
        self.actions[input.action].flags &= !flag::DETECT_LOOP;
        found
    }
}
