//! Placement: every resource gets a node and a role, or none. Source: `spec/scheduler-placement.md`.
//!
//! Assigning one resource first assigns what it must be with, so the order in which resources are
//! looked at is part of the result (and of the score lines).

mod bundle;
mod colocate;
mod instances;
mod lists;
mod primitive;
mod promotion;
mod propagate;
mod utilization;

use std::cmp::Ordering;

use crate::ids::{NodeIx, NodeTable, RscIx};
use crate::model::{Placed, Role, Sched, Variant};
use crate::options::Placement;
use crate::score::INFINITY;
use crate::scores::ScoreLine;
use crate::trace::Source;

/// A stable merge sort that, unlike the standard library's, bears with an order that is not total.
pub(crate) fn stable_sort<T: Copy>(items: &mut Vec<T>, cmp: &mut dyn FnMut(T, T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    stable_sort(items, cmp);
    stable_sort(&mut right, cmp);
    let left = std::mem::take(items);
    let (mut a, mut b) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => {
                let next = if cmp(*x, *y).is_le() { a.next() } else { b.next() };
                items.extend(next);
            }
            (Some(_), None) => items.extend(a.next()),
            (None, Some(_)) => items.extend(b.next()),
            (None, None) => break,
        }
    }
}

impl Sched {
    /// Stickiness, failure thresholds, exclusive discovery. Source: `spec/scheduler.md` §3.1–3.3.
    pub(crate) fn apply_node_criteria(&mut self) {
        if self.options.shutdown_lock {
            for rsc in self.top.clone() {
                self.shutdown_lock(rsc);
            }
        }
        self.apply_locations();
        for rsc in self.top.clone() {
            for leaf in self.leaves(rsc) {
                self.apply_stickiness(leaf);
            }
        }
        let all: Vec<(RscIx, Vec<RscIx>)> =
            self.top.iter().map(|top| (*top, self.leaves(*top))).collect();
        for node in self.node_order.clone() {
            for (rsc, leaves) in &all {
                for leaf in leaves {
                    self.check_threshold(*leaf, node);
                }
                self.apply_exclusive_probes(*rsc, node);
            }
        }
    }

    fn apply_stickiness(&mut self, rsc: RscIx) {
        let r = &self.rscs[rsc];
        if !r.managed || r.stickiness < 1 {
            return;
        }
        let [node] = r.active[..] else { return };
        if !self.options.symmetric && r.allowed.get(node).is_none() {
            return;
        }
        let stickiness = r.stickiness;
        self.add_score(rsc, node, stickiness, &Source::Stickiness);
    }

    /// Has the resource failed too often there? The second value is what that bans.
    pub(crate) fn threshold_reached(&mut self, rsc: RscIx, node: NodeIx) -> Option<RscIx> {
        let threshold = self.rscs[rsc].ban_after_failures;
        if threshold == 0 || self.rscs[rsc].ignore_failure {
            return None;
        }
        let (count, _) = self.failcount(rsc, node, true);
        if count <= 0 || count < threshold {
            return None;
        }
        Some(if self.rscs[rsc].unique { rsc } else { self.uber(rsc) })
    }

    fn check_threshold(&mut self, rsc: RscIx, node: NodeIx) {
        if !self.rscs[rsc].actions.is_empty() {
            let key = self.rscs[rsc].task_key("clear_failcount");
            if !self.find_actions(rsc, &key, Some(node)).is_empty() {
                return;
            }
        }
        if let Some(banned) = self.threshold_reached(rsc, node) {
            let source = self.threshold_source(rsc, node);
            self.add_score(banned, node, -INFINITY, &source);
        }
    }

    fn threshold_source(&mut self, rsc: RscIx, node: NodeIx) -> Source {
        if self.trace.is_none() {
            return Source::Unknown;
        }
        let (count, _) = self.failcount(rsc, node, true);
        Source::Threshold { failed: rsc, count, limit: self.rscs[rsc].ban_after_failures }
    }

    fn apply_exclusive_probes(&mut self, rsc: RscIx, node: NodeIx) {
        let top = self.uber(rsc);
        if !self.rscs[rsc].exclusive_probes && !self.rscs[top].exclusive_probes {
            return;
        }
        for child in self.rscs[rsc].children.clone() {
            self.apply_exclusive_probes(child, node);
        }
        if let Some(entry) = self.rscs[rsc].allowed.get_mut(node)
            && entry.probe_mode != crate::ids::ProbeMode::Exclusive
        {
            entry.score = -INFINITY;
            self.note(rsc, |_| Source::Discovery);
        }
    }

    /// Keeps resources of cleanly stopped nodes where they were. Source: §11.
    fn shutdown_lock(&mut self, rsc: RscIx) {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Group => {
                for member in r.children.clone() {
                    self.shutdown_lock(member);
                }
                return;
            }
            Variant::Clone | Variant::Bundle => return,
            Variant::Primitive => {}
        }
        if r.fence_device || r.is_connection {
            return;
        }
        if let Some(locked) = r.lock_node
            && !r.active.is_empty()
        {
            self.clear_history_action(rsc, locked);
            self.rscs[rsc].lock_node = None;
            self.rscs[rsc].lock_time = 0;
        }
        let r = &self.rscs[rsc];
        if r.lock_node.is_none()
            && let [node] = r.active[..]
            && self.nodes[node].shutdown
            && !self.nodes[node].unclean
        {
            let time = self.nodes[node]
                .attrs
                .get("shutdown")
                .and_then(|v| crate::text::scan_int(v))
                .unwrap_or(0);
            let r = &mut self.rscs[rsc];
            r.lock_node = Some(node);
            r.lock_time = if time > 0 { time } else { self.now };
        }
        let Some(locked) = self.rscs[rsc].lock_node else { return };
        let limit = self.options.shutdown_lock_limit_s;
        if limit > 0 {
            self.recheck_at(self.rscs[rsc].lock_time.saturating_add(limit).saturating_add(1));
        }
        for node in self.in_order(&self.rscs[rsc].allowed) {
            if node != locked {
                self.add_score(rsc, node, -INFINITY, &Source::ShutdownLock(locked));
            }
        }
    }

    /// Assigns all resources. Source: §1.
    pub(crate) fn assign_resources(&mut self) {
        if self.options.placement != Placement::Default {
            self.sort_by_placement();
        }
        self.show_capacities("Original");
        let connections: Vec<RscIx> = if self.have_remote_nodes {
            self.top.iter().copied().filter(|rsc| self.rscs[*rsc].is_connection).collect()
        } else {
            Vec::new()
        };
        for rsc in connections.iter().copied() {
            let prefer = self.rscs[rsc].partial_target;
            self.assign(rsc, prefer, true);
        }
        for rsc in self.top.clone() {
            if !connections.contains(&rsc) {
                self.assign(rsc, None, true);
            }
        }
        self.show_capacities("Remaining");
    }

    /// Assigns a resource as its variant demands; its node, if it has a single one.
    pub(crate) fn assign(
        &mut self,
        rsc: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.assign_primitive(rsc, prefer, stop_if_fail),
            Variant::Group => self.assign_group(rsc, prefer, stop_if_fail),
            Variant::Clone => self.assign_clone(rsc, prefer, stop_if_fail),
            Variant::Bundle => self.assign_bundle(rsc, prefer, stop_if_fail),
        }
    }

    fn assign_group(
        &mut self,
        group: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if !self.rscs[group].unassigned {
            return self.rscs[group].assigned.map(|placed| placed.node);
        }
        if self.rscs[group].assigning {
            return None;
        }
        self.rscs[group].assigning = true;
        let members = self.rscs[group].children.clone();
        if let Some(first) = members.first() {
            self.rscs[group].orig_role = self.rscs[*first].orig_role;
        }
        self.show_scores(group, "pcmk__group_assign");
        let mut chosen = None;
        for member in &members {
            let node = self.assign(*member, prefer, stop_if_fail);
            chosen = chosen.or(node);
        }
        if let Some(first) = members.first() {
            self.rscs[group].next_role = self.rscs[*first].next_role;
        }
        self.rscs[group].assigning = false;
        self.rscs[group].unassigned = false;
        // A group whose members go their own ways is nowhere itself: it takes up no place of a
        // clone's instance on its first member's node. The specification leaves this open; it is
        // what Pacemaker 2.1.5 shows.
        chosen.filter(|_| self.rscs[group].colocated)
    }

    /// Nodes in order of preference. Source: §2.
    pub(crate) fn sorted_nodes(&self, table: &NodeTable, active: Option<NodeIx>) -> Vec<NodeIx> {
        let mut nodes = self.in_order(table);
        stable_sort(&mut nodes, &mut |a, b| self.compare_nodes(table, a, b, active));
        nodes
    }

    fn compare_nodes(
        &self,
        table: &NodeTable,
        a: NodeIx,
        b: NodeIx,
        active: Option<NodeIx>,
    ) -> Ordering {
        let key = |node: NodeIx| {
            let score = table.get(node).map_or(-INFINITY, |entry| entry.score);
            if self.available(node, None, false) { score } else { -INFINITY }
        };
        let by_score = key(b).cmp(&key(a));
        if by_score.is_ne() {
            return by_score;
        }
        if self.options.placement != Placement::Minimal {
            if self.options.placement == Placement::Balanced {
                let by_capacity = self.compare_capacity(a, b);
                if by_capacity.is_ne() {
                    return by_capacity;
                }
            }
            let by_load = self.nodes[a].num_resources.cmp(&self.nodes[b].num_resources);
            if by_load.is_ne() {
                return by_load;
            }
        }
        match active {
            Some(active) if active == a => return Ordering::Less,
            Some(active) if active == b => return Ordering::Greater,
            _ => {}
        }
        self.nodes[a].name.as_bytes().cmp(self.nodes[b].name.as_bytes())
    }

    /// Score lines of a resource and all below it.
    pub(crate) fn show_scores(&mut self, rsc: RscIx, source: &'static str) {
        if !self.show_scores || self.rscs[rsc].removed {
            return;
        }
        for node in self.in_order(&self.rscs[rsc].allowed) {
            let score = self.rscs[rsc].allowed.get(node).map_or(0, |entry| entry.score);
            self.score_lines.push(ScoreLine::Allocation {
                function: source,
                rsc: self.rscs[rsc].id.clone(),
                node: self.nodes[node].name.clone(),
                score,
            });
        }
        for child in self.rscs[rsc].children.clone() {
            self.show_scores(child, source);
        }
    }

    /// Puts a resource (with all below it) on a node, or on none. Source: §3.2.
    pub(crate) fn assign_to(
        &mut self,
        rsc: RscIx,
        node: Option<NodeIx>,
        force: bool,
        stop_if_fail: bool,
    ) -> bool {
        if self.rscs[rsc].variant != Variant::Primitive {
            let mut changed = false;
            for child in self.rscs[rsc].children.clone() {
                changed |= self.assign_to(child, node, force, stop_if_fail);
            }
            return changed;
        }
        let mut node = node;
        if let Some(wanted) = node
            && !force
        {
            let score = self.rscs[rsc].allowed.get(wanted).map_or(0, |entry| entry.score);
            if score < 0 || (!self.available(wanted, Some(score), false) && !self.is_guest(wanted))
            {
                node = None;
                if stop_if_fail {
                    self.rscs[rsc].next_role = Role::Stopped;
                }
            }
        }
        self.note_placed(rsc, node);
        let before = self.rscs[rsc].assigned.map(|placed| placed.node);
        let changed = before != node;
        self.unassign(rsc);
        self.rscs[rsc].unassigned = false;
        let Some(node) = node else {
            self.assigned_nowhere(rsc, stop_if_fail);
            return changed;
        };
        let entry = match self.rscs[rsc].allowed.get_mut(node) {
            Some(entry) => {
                entry.count += 1;
                *entry
            }
            None => self.nodes[node].base,
        };
        self.rscs[rsc].assigned = Some(Placed { node, entry });
        self.nodes[node].num_resources += 1;
        self.consume_capacity(rsc, node);
        changed
    }

    fn assigned_nowhere(&mut self, rsc: RscIx, stop_if_fail: bool) {
        use crate::action::flag;
        if !stop_if_fail {
            return;
        }
        self.rscs[rsc].next_role = Role::Stopped;
        for ix in self.rscs[rsc].actions.clone() {
            let recurring = self.action_meta_int(ix, "interval").is_some_and(|ms| ms > 0);
            let target = self.action_meta_int(ix, "op_target_rc");
            let action = &mut self.actions[ix];
            match action.task.as_str() {
                "stop" => action.flags &= !flag::OPTIONAL,
                "start" => action.flags &= !flag::RUNNABLE,
                _ if recurring && target != Some(7) => action.flags &= !flag::RUNNABLE,
                _ => {}
            }
        }
    }

    /// Takes an assignment back.
    pub(crate) fn unassign(&mut self, rsc: RscIx) {
        self.rscs[rsc].unassigned = true;
        if self.rscs[rsc].variant != Variant::Primitive {
            for child in self.rscs[rsc].children.clone() {
                self.unassign(child);
            }
            return;
        }
        let Some(placed) = self.rscs[rsc].assigned.take() else { return };
        self.nodes[placed.node].num_resources -= 1;
        if let Some(entry) = self.rscs[rsc].allowed.get_mut(placed.node) {
            entry.count -= 1;
        }
        self.release_capacity(rsc, placed.node);
    }

    /// True if some node of the table may be used.
    pub(crate) fn any_available(&self, table: &NodeTable) -> bool {
        table.iter().any(|(node, entry)| self.available(node, Some(entry.score), false))
    }
}
