//! The steps of a primitive from its role to the next. Source: `spec/scheduler-actions.md` §7.1.

use crate::action::{flag, rel};
use crate::ids::{NodeIx, RscIx};
use crate::model::{MultipleActive, Role, Sched};
use crate::trace::{Origin, Restart};

/// The role on the way from one to another.
fn next_step(from: Role, to: Role) -> Role {
    use Role::{Promoted, Started, Stopped, Unknown, Unpromoted};
    match (from, to) {
        (Unknown, _) => Stopped,
        (Stopped, Started) => Started,
        (Stopped, Unpromoted | Promoted) => Unpromoted,
        (Stopped, _) => Stopped,
        (Started, Unpromoted) => Unpromoted,
        (Started, Promoted) => Promoted,
        (Started, Started) => Started,
        (Started, _) => Stopped,
        (Unpromoted, Promoted) => Promoted,
        (Unpromoted, Unpromoted) => Unpromoted,
        (Unpromoted, _) => Stopped,
        (Promoted, Promoted) => Promoted,
        (Promoted, Unknown) => Stopped,
        (Promoted, _) => Unpromoted,
    }
}

impl Sched {
    /// Does what leads from one role to the next; false if nothing does.
    fn step(
        &mut self,
        rsc: RscIx,
        from: Role,
        to: Role,
        node: Option<NodeIx>,
        optional: bool,
    ) -> bool {
        match (from, to) {
            (Role::Unknown | Role::Started | Role::Unpromoted, Role::Stopped) => {
                self.step_stop(rsc, optional);
            }
            (Role::Stopped, Role::Started | Role::Unpromoted) => {
                self.step_start(rsc, node, optional);
            }
            (Role::Started | Role::Unpromoted, Role::Promoted) => {
                self.step_promote(rsc, node, optional);
            }
            (Role::Promoted, _) => self.step_demote(rsc, optional),
            _ => return false,
        }
        true
    }

    fn is_expected(&self, rsc: RscIx, node: Option<NodeIx>) -> bool {
        let r = &self.rscs[rsc];
        r.stop_unexpected
            && r.restarting
            && r.next_role > Role::Stopped
            && node.is_some()
            && r.assigned.map(|placed| placed.node) == node
    }

    fn step_stop(&mut self, rsc: RscIx, optional: bool) {
        let assigned = self.rscs[rsc].assigned.map(|placed| placed.node);
        for node in self.rscs[rsc].active.clone() {
            if self.is_expected(rsc, Some(node)) {
                continue;
            }
            let mut optional = optional;
            if let Some(target) = self.rscs[rsc].partial_target {
                if target == node && assigned == Some(node) {
                    continue;
                }
                optional = false;
            }
            let stop = self.stop_action(rsc, node, optional);
            let r = &self.rscs[rsc];
            if assigned.is_none() {
                self.set_reason(stop, "node availability", true);
            } else if r.restarting && r.stop_unexpected {
                self.set_reason(stop, "being multiply active", true);
            }
            if !self.rscs[rsc].managed {
                self.actions[stop].flags &= !flag::RUNNABLE;
            }
            if self.rscs[rsc].needs_unfencing {
                let unfence = self.fence_op(node, Some("on"), true, None, false);
                self.relate(stop, unfence, rel::TIF);
            }
        }
    }

    fn step_start(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) {
        let start = self.task_action(rsc, "start", node, true);
        if let Some(node) = node {
            self.order_vs_unfence(rsc, node, start, rel::FIT);
        }
        if self.actions[start].is(flag::RUNNABLE) && !optional {
            self.actions[start].flags &= !flag::OPTIONAL;
        }
        if self.is_expected(rsc, node) {
            self.actions[start].flags |= flag::PSEUDO;
        }
    }

    fn step_promote(&mut self, rsc: RscIx, node: Option<NodeIx>, optional: bool) {
        let key = crate::text::op_key(&self.rscs[rsc].id, "start", 0);
        let startable = self
            .find_actions(rsc, &key, node)
            .into_iter()
            .all(|start| self.actions[start].is(flag::RUNNABLE));
        if startable {
            let promote = self.task_action(rsc, "promote", node, optional);
            if self.is_expected(rsc, node) {
                self.actions[promote].flags |= flag::PSEUDO;
            }
            return;
        }
        let key = crate::text::op_key(&self.rscs[rsc].id, "promote", 0);
        for promote in self.claim_actions(rsc, &key, node) {
            self.actions[promote].flags &= !flag::RUNNABLE;
        }
    }

    fn step_demote(&mut self, rsc: RscIx, optional: bool) {
        for node in self.rscs[rsc].active.clone() {
            if !self.is_expected(rsc, Some(node)) {
                self.task_action(rsc, "demote", Some(node), optional);
            }
        }
    }

    pub(crate) fn create_primitive(&mut self, rsc: RscIx) {
        let assigned = self.rscs[rsc].assigned.map(|placed| placed.node);
        if self.rscs[rsc].next_role == Role::Unknown {
            self.rscs[rsc].next_role =
                if assigned.is_none() { Role::Stopped } else { Role::Started };
        }
        let (current, all, clean) = self.active_choice(rsc);
        for node in self.rscs[rsc].dangling_sources.clone() {
            let stop = self.stop_action(rsc, node, false);
            self.actions[stop].flags |= flag::MIGRATION_ABORT;
        }
        let (mut need_stop, mut need_promote, mut moving, mut migrate) =
            (false, false, false, false);
        if current.is_some()
            && assigned.is_some()
            && current != assigned
            && self.rscs[rsc].next_role >= Role::Started
        {
            moving = true;
            need_stop = true;
            migrate = self.can_migrate(rsc, current);
            self.note_restart(rsc, if migrate { Restart::Migrate } else { Restart::Move });
        }
        let r = &self.rscs[rsc];
        if r.partial_source.is_some()
            && r.partial_target.is_some()
            && migrate
            && all == 2
            && current == r.partial_source
            && assigned == r.partial_target
        {
            // Let it finish.
        } else if r.partial_source.is_some() || r.partial_target.is_some() {
            need_stop = true;
            migrate = false;
            self.note_restart(rsc, Restart::PartialMigration);
            let r = &mut self.rscs[rsc];
            r.partial_source = None;
            r.partial_target = None;
        } else {
            let multiply_active = if r.needs_fencing { all } else { clean } > 1;
            let mut unexpected = false;
            if multiply_active {
                match r.multiple_active {
                    MultipleActive::StopStart => need_stop = true,
                    MultipleActive::StopUnexpected => {
                        need_stop = true;
                        unexpected = true;
                    }
                    MultipleActive::StopOnly | MultipleActive::Block => {}
                }
            }
            self.rscs[rsc].stop_unexpected = unexpected;
            if multiply_active && need_stop {
                self.note_restart(rsc, Restart::MultiplyActive);
            }
        }
        if self.rscs[rsc].start_pending {
            let start = self.task_action(rsc, "start", assigned, true);
            self.actions[start].flags |= flag::ALWAYS;
        }
        let r = &self.rscs[rsc];
        if moving {
            // The move restarts it anyway.
        } else if r.failed {
            if r.stop_if_failed {
                need_stop = true;
                self.note_restart(rsc, Restart::Failed);
            } else if r.next_role == Role::Promoted {
                need_promote = true;
            }
        } else if r.blocked {
            need_stop = true;
            self.note_restart(rsc, Restart::Blocked);
        } else if r.orig_role > Role::Started && current.is_some() && assigned.is_some() {
            let start = self.task_action(rsc, "start", assigned, true);
            if self.actions[start].not(flag::OPTIONAL) {
                need_stop = true;
                self.note_restart(rsc, Restart::StartAgain);
            }
        }
        self.restart_steps(rsc, current, assigned, need_stop, need_promote);
        self.role_steps(rsc, assigned);
        self.because(|| Origin::Recurring, |sched| sched.create_recurring(rsc));
        if migrate && let (Some(current), Some(assigned)) = (current, assigned) {
            self.because(
                || Origin::Migration,
                |sched| sched.create_migration(rsc, current, assigned),
            );
        }
    }

    /// Down to stopped and up again, optional unless the resource must restart.
    fn restart_steps(
        &mut self,
        rsc: RscIx,
        current: Option<NodeIx>,
        assigned: Option<NodeIx>,
        need_stop: bool,
        need_promote: bool,
    ) {
        self.rscs[rsc].restarting = true;
        let mut role = self.rscs[rsc].orig_role;
        while role != Role::Stopped {
            let next = next_step(role, Role::Stopped);
            if !self.step(rsc, role, next, current, !need_stop) {
                break;
            }
            role = next;
        }
        while self.rscs[rsc].orig_role <= self.rscs[rsc].next_role
            && role != self.rscs[rsc].orig_role
            && !self.rscs[rsc].blocked
        {
            let next = next_step(role, self.rscs[rsc].orig_role);
            let required = need_stop || (next == Role::Promoted && need_promote);
            if next == role || !self.step(rsc, role, next, assigned, !required) {
                break;
            }
            role = next;
        }
        self.rscs[rsc].restarting = false;
    }

    fn role_steps(&mut self, rsc: RscIx, assigned: Option<NodeIx>) {
        let mut role = self.rscs[rsc].orig_role;
        while role != self.rscs[rsc].next_role {
            let next = next_step(role, self.rscs[rsc].next_role);
            if next == role || !self.step(rsc, role, next, assigned, false) {
                break;
            }
            role = next;
        }
    }
}
