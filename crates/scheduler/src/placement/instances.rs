//! Spreading the instances of a clone (or the containers of a bundle).
//! Source: `spec/scheduler-placement.md` §6.

use std::cmp::Ordering;

use super::propagate::Mode;
use super::stable_sort;
use crate::ids::{Allowed, NodeIx, NodeTable, RscIx};
use crate::model::Sched;
use crate::resource::instance_number;
use crate::score::{self, INFINITY};
use crate::trace::Source;

impl Sched {
    pub(crate) fn assign_clone(
        &mut self,
        clone: RscIx,
        prefer: Option<NodeIx>,
        _stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if !self.rscs[clone].unassigned || self.rscs[clone].assigning {
            return None;
        }
        self.rscs[clone].assigning = true;
        if self.rscs[clone].promotable {
            self.add_promotion_scores(clone);
        }
        for ix in self.this_with(clone) {
            let primary = self.colocations[ix].primary;
            self.assign(primary, prefer, true);
        }
        for ix in self.with_this(clone) {
            self.add_dependent_scores(ix, clone);
        }
        self.show_scores(clone, "pcmk__clone_assign");
        let mut children = self.rscs[clone].children.clone();
        stable_sort(&mut children, &mut |a, b| self.cmp_instances(a, b));
        self.rscs[clone].children = children.clone();
        let (max, per_node) =
            (self.rscs[clone].clone.clone_max, self.rscs[clone].clone.clone_node_max);
        self.assign_instances(clone, &children, max, per_node);
        if self.rscs[clone].promotable {
            self.set_instance_roles(clone);
        }
        self.rscs[clone].unassigned = false;
        self.rscs[clone].assigning = false;
        None
    }

    /// Source: §6.2.
    pub(crate) fn assign_instances(
        &mut self,
        collective: RscIx,
        instances: &[RscIx],
        max_total: i32,
        max_per_node: i32,
    ) {
        let mut usable = 0;
        for node in self.in_order(&self.rscs[collective].allowed) {
            usable += i32::from(self.available(node, None, false));
            if let Some(entry) = self.rscs[collective].allowed.get_mut(node) {
                entry.count = 0;
            }
        }
        let optimal = if usable == 0 { 1 } else { (max_total / usable).max(1) };
        let mut assigned = 0;
        for instance in instances.iter().copied() {
            if assigned >= max_total {
                break;
            }
            if !self.rscs[instance].unassigned {
                continue;
            }
            if let Some(node) = self.preferred_node(collective, instance, optimal)
                && self.assign_early(collective, instance, node, max_total - assigned, max_per_node)
            {
                assigned += 1;
            }
        }
        for instance in instances.iter().copied() {
            if !self.rscs[instance].unassigned {
                continue;
            }
            if assigned >= max_total {
                self.ban_everywhere(instance, &Source::InstanceMax);
            } else if self.assign_instance(collective, instance, None, max_per_node).is_some() {
                assigned += 1;
            }
        }
    }

    fn preferred_node(&self, collective: RscIx, instance: RscIx, optimal: i32) -> Option<NodeIx> {
        let r = &self.rscs[instance];
        if r.active.is_empty() || r.failed {
            return None;
        }
        let node = self.current_node(instance)?;
        if !self.available(node, Some(self.nodes[node].base.score), false) {
            return None;
        }
        let count = self.rscs[collective].allowed.get(node)?.count;
        (count < optimal).then_some(node)
    }

    fn cannot_run(
        &self,
        collective: RscIx,
        instance: RscIx,
        node: NodeIx,
        max_per_node: i32,
    ) -> bool {
        if self.rscs[instance].removed || !self.available(node, None, false) {
            return true;
        }
        match self.rscs[collective].allowed.get(node) {
            None => true,
            Some(entry) => entry.score < 0 || entry.count >= max_per_node,
        }
    }

    fn assign_instance(
        &mut self,
        collective: RscIx,
        instance: RscIx,
        prefer: Option<NodeIx>,
        max_per_node: i32,
    ) -> Option<NodeIx> {
        if self.rscs[instance].assigning {
            return None;
        }
        for node in self.in_order(&self.rscs[instance].allowed) {
            if !self.cannot_run(collective, instance, node, max_per_node) {
                continue;
            }
            let members = self.rscs[instance].children.clone();
            for r in std::iter::once(instance).chain(members) {
                if let Some(entry) = self.rscs[r].allowed.get_mut(node) {
                    entry.score = -INFINITY;
                    self.note(r, |_| Source::Instance);
                }
            }
        }
        let chosen = self.assign(instance, prefer, prefer.is_none())?;
        if let Some(entry) = self.rscs[collective].allowed.get_mut(chosen) {
            entry.count += 1;
        }
        Some(chosen)
    }

    /// Tries to keep an active instance where it is, reserving places for instances that would
    /// rather have its node than be elsewhere.
    fn assign_early(
        &mut self,
        collective: RscIx,
        instance: RscIx,
        current: NodeIx,
        available: i32,
        max_per_node: i32,
    ) -> bool {
        let usable = self.rscs[instance]
            .allowed
            .get(current)
            .is_some_and(|entry| self.available(current, Some(entry.score), false));
        if !usable {
            return false;
        }
        let tree = self.tree(instance);
        let saved: Vec<NodeTable> = tree.iter().map(|r| self.rscs[*r].allowed.clone()).collect();
        let saved_counts = self.rscs[collective].allowed.clone();
        let mark = self.note_mark(&tree);
        let mut reserved = 0;
        let mut kept = false;
        while reserved < available {
            let chosen = self.assign_instance(collective, instance, Some(current), max_per_node);
            if chosen == Some(current) {
                kept = true;
                break;
            }
            for (r, table) in tree.iter().zip(&saved) {
                self.rscs[*r].allowed = table.clone();
            }
            self.note_forget(&mark, &tree);
            if chosen.is_none() {
                // Its members, if any, stay as they are.
                self.rscs[instance].unassigned = true;
                break;
            }
            reserved += 1;
            self.unassign(instance);
        }
        self.rscs[collective].allowed = saved_counts;
        if kept && let Some(entry) = self.rscs[collective].allowed.get_mut(current) {
            entry.count += 1;
        }
        kept
    }

    /// Source: §6.3.
    pub(crate) fn cmp_instances(&self, a: RscIx, b: RscIx) -> Ordering {
        let active = |rsc: RscIx| self.active_choice(rsc);
        let ((node_a, count_a, _), (node_b, count_b, _)) = (active(a), active(b));
        if count_a > 0 && count_b > 0 && count_a != count_b {
            return count_a.cmp(&count_b);
        }
        let allowed = |rsc: RscIx, node: Option<NodeIx>| {
            node.is_none_or(|n| self.rscs[rsc].allowed.get(n).is_some_and(|entry| entry.score >= 0))
        };
        let (can_a, can_b) = (allowed(a, node_a), allowed(b, node_b));
        if can_a != can_b {
            return can_b.cmp(&can_a);
        }
        let node_a = node_a.filter(|_| can_a);
        let node_b = node_b.filter(|_| can_b);
        let by_priority = self.rscs[b].priority.cmp(&self.rscs[a].priority);
        if by_priority.is_ne() {
            return by_priority;
        }
        let (node_a, node_b) = match (node_a, node_b) {
            (None, None) => return Ordering::Equal,
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let usable = |node: NodeIx| self.available(node, None, false);
        let by_use = usable(node_b).cmp(&usable(node_a));
        if by_use.is_ne() {
            return by_use;
        }
        let in_parent = |rsc: RscIx, node: NodeIx| {
            self.rscs[rsc].parent.and_then(|p| self.rscs[p].allowed.get(node).copied())
        };
        let (entry_a, entry_b) = (in_parent(a, node_a), in_parent(b, node_b));
        let by_presence = entry_b.is_some().cmp(&entry_a.is_some());
        if by_presence.is_ne() {
            return by_presence;
        }
        let count = |entry: Option<Allowed>| entry.map_or(0, |entry| entry.count);
        let by_count = count(entry_a).cmp(&count(entry_b));
        if by_count.is_ne() {
            return by_count;
        }
        let failed = |rsc: RscIx| self.any_in(rsc, &|r| r.failed);
        failed(a)
            .cmp(&failed(b))
            .then_with(|| self.colocated_score(b, node_b).cmp(&self.colocated_score(a, node_a)))
            .then_with(|| instance_number(&self.rscs[a].id).cmp(&instance_number(&self.rscs[b].id)))
    }

    /// What colocated resources think of an instance's node.
    fn colocated_score(&self, instance: RscIx, node: NodeIx) -> i32 {
        let mut nodes = NodeTable::default();
        nodes.insert(node, self.nodes[node].base);
        let factor = |score: i32| score as f32 / INFINITY as f32;
        for ix in self.this_with(instance) {
            let colocation = &self.colocations[ix];
            let (primary, factor) = (colocation.primary, factor(colocation.score));
            let mode = Mode::default();
            let guard = &mut Vec::new();
            self.add_colocated(primary, instance, Some(&mut nodes), Some(ix), factor, mode, guard);
        }
        for ix in self.with_this(instance) {
            if !self.has_influence(ix, Some(instance)) {
                continue;
            }
            let colocation = &self.colocations[ix];
            let (dependent, factor) = (colocation.dependent, factor(colocation.score));
            let mode = Mode { nonnegative: true, ..Mode::default() };
            let guard = &mut Vec::new();
            self.add_colocated(
                dependent,
                instance,
                Some(&mut nodes),
                Some(ix),
                factor,
                mode,
                guard,
            );
        }
        nodes.get(node).map_or(0, |entry| score::add(entry.score, 0))
    }
}
