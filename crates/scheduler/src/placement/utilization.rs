//! Capacities of nodes and demands of resources. Source: `spec/scheduler-placement.md` §10.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use ecow::EcoString;

use super::colocate::Affects;
use super::propagate::Mode;
use super::stable_sort;
use crate::ids::{NodeIx, NodeTable, RscIx};
use crate::model::{Sched, Variant};
use crate::options::Placement;
use crate::score::INFINITY;
use crate::scores::ScoreLine;

type Load = BTreeMap<EcoString, i64>;

impl Sched {
    /// Which of two nodes has more room: that one first.
    pub(crate) fn compare_capacity(&self, a: NodeIx, b: NodeIx) -> Ordering {
        let (of_a, of_b) = (&self.nodes[a].utilization, &self.nodes[b].utilization);
        let mut sum = 0;
        for (name, value) in of_a {
            match value.cmp(&of_b.get(name).copied().unwrap_or(0)) {
                Ordering::Greater => sum -= 1,
                Ordering::Less => sum += 1,
                Ordering::Equal => {}
            }
        }
        for (name, value) in of_b {
            if !of_a.contains_key(name) {
                match value.cmp(&0) {
                    Ordering::Greater => sum += 1,
                    Ordering::Less => sum -= 1,
                    Ordering::Equal => {}
                }
            }
        }
        sum.cmp(&0)
    }

    pub(crate) fn consume_capacity(&mut self, rsc: RscIx, node: NodeIx) {
        self.change_capacity(rsc, node, -1);
    }

    pub(crate) fn release_capacity(&mut self, rsc: RscIx, node: NodeIx) {
        self.change_capacity(rsc, node, 1);
    }

    fn change_capacity(&mut self, rsc: RscIx, node: NodeIx, sign: i64) {
        if self.options.placement == Placement::Default && !self.show_utilization {
            return;
        }
        let demand = self.rscs[rsc].utilization.clone();
        for (name, value) in &demand {
            if let Some(capacity) = self.nodes[node].utilization.get_mut(name) {
                *capacity = capacity.saturating_add(value.saturating_mul(sign));
            }
        }
        if sign < 0 && self.show_utilization {
            self.score_lines.push(ScoreLine::Utilization {
                function: "pcmk__assign_resource",
                rsc: self.rscs[rsc].id.clone(),
                node: self.nodes[node].name.clone(),
                values: demand.into_iter().collect(),
            });
        }
    }

    pub(crate) fn show_capacities(&mut self, comment: &'static str) {
        if !self.show_utilization {
            return;
        }
        for node in self.node_order.clone() {
            // Nodes inside bundles have none of their own.
            if self.is_bundle_node(node) {
                continue;
            }
            let n = &self.nodes[node];
            self.score_lines.push(ScoreLine::Capacity {
                comment,
                node: n.name.clone(),
                values: n.utilization.iter().map(|(name, value)| (name.clone(), *value)).collect(),
            });
        }
    }

    /// Sorts the resources so that what is wanted most is placed first. Source: §10.1.
    pub(crate) fn sort_by_placement(&mut self) {
        let mut all = NodeTable::default();
        for node in self.node_order.iter().copied() {
            all.insert(node, self.nodes[node].base);
        }
        let nodes = self.sorted_nodes(&all, None);
        let mut keyed: Vec<(RscIx, i32, Option<i32>, Vec<i32>)> = Vec::new();
        for rsc in self.top.iter().copied() {
            let mode = Mode { this_with: true, ..Mode::default() };
            let table = self
                .add_colocated(rsc, rsc, None, None, 1.0, mode, &mut Vec::new())
                .unwrap_or_default();
            let score = |node: NodeIx| table.get(node).map_or(-INFINITY, |entry| entry.score);
            let current = self.current_node(rsc).map(score);
            keyed.push((
                rsc,
                self.rscs[rsc].priority,
                current,
                nodes.iter().map(|n| score(*n)).collect(),
            ));
        }
        let mut order: Vec<usize> = (0..keyed.len()).collect();
        stable_sort(&mut order, &mut |a, b| {
            let (a, b) = (&keyed[a], &keyed[b]);
            b.1.cmp(&a.1)
                .then_with(|| b.2.unwrap_or(-INFINITY).cmp(&a.2.unwrap_or(-INFINITY)))
                .then_with(|| b.3.cmp(&a.3))
        });
        self.top = order.into_iter().map(|at| keyed[at].0).collect();
    }

    /// Bans nodes without room for a resource and what must be with it; where no node has room for
    /// all, returns the one with most. Source: §10.2.
    pub(crate) fn ban_insufficient_capacity(&mut self, rsc: RscIx) -> Option<NodeIx> {
        if self.options.placement == Placement::Default {
            return None;
        }
        let mut set = Vec::new();
        self.collect_mandatory(rsc, &mut set);
        if !set.contains(&rsc) {
            set.insert(0, rsc);
        }
        let mut together = Load::new();
        self.sum_unassigned(&set, &mut together);
        let alone = self.rscs[rsc].utilization.clone();
        let mut any_capable = false;
        let (mut most_capable, mut incapable) = (None, Vec::new());
        let mut cannot_alone = Vec::new();
        for node in self.in_order(&self.rscs[rsc].allowed) {
            let Some(entry) = self.rscs[rsc].allowed.get(node) else { continue };
            if !self.available(node, Some(entry.score), false) {
                continue;
            }
            if self.has_room(node, &together) {
                any_capable = true;
            } else {
                incapable.push(node);
            }
            if !self.has_room(node, &alone) {
                cannot_alone.push(node);
            }
            if most_capable.is_none_or(|best| self.compare_capacity(node, best).is_lt()) {
                most_capable = Some(node);
            }
        }
        let banned = if any_capable { &incapable } else { &cannot_alone };
        for node in banned.iter().copied() {
            self.add_score(rsc, node, -INFINITY, &crate::trace::Source::Capacity);
        }
        if any_capable { None } else { most_capable }
    }

    fn has_room(&self, node: NodeIx, demand: &Load) -> bool {
        // Of what a node does not mention it has none.
        demand.iter().all(|(name, value)| {
            *value <= self.nodes[node].utilization.get(name).copied().unwrap_or(0)
        })
    }

    fn collect_mandatory(&self, rsc: RscIx, set: &mut Vec<RscIx>) {
        if set.contains(&rsc) {
            return;
        }
        set.push(rsc);
        for ix in self.this_with(rsc) {
            let colocation = &self.colocations[ix];
            if colocation.score < INFINITY || set.contains(&colocation.primary) {
                continue;
            }
            if self.colocation_affects(rsc, colocation.primary, ix, true) == Affects::Location {
                self.collect_mandatory(colocation.primary, set);
            }
        }
        for ix in self.with_this(rsc) {
            let colocation = &self.colocations[ix];
            let dependent = colocation.dependent;
            if colocation.score < INFINITY || set.contains(&dependent) {
                continue;
            }
            if self.rscs[rsc].variant == Variant::Clone
                && self.rscs[dependent].variant != Variant::Clone
            {
                continue;
            }
            if self.colocation_affects(dependent, rsc, ix, true) == Affects::Location {
                self.collect_mandatory(dependent, set);
            }
        }
    }

    fn sum_unassigned(&self, set: &[RscIx], total: &mut Load) {
        for rsc in set.iter().copied() {
            if !self.rscs[rsc].unassigned {
                continue;
            }
            self.add_demand(rsc, set, total);
        }
    }

    fn add_demand(&self, rsc: RscIx, set: &[RscIx], total: &mut Load) {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive => {
                for (name, value) in &r.utilization {
                    let sum = total.entry(name.clone()).or_insert(0);
                    *sum = sum.saturating_add(*value);
                }
            }
            Variant::Group => {
                for member in &r.children {
                    if self.rscs[*member].unassigned && !set.contains(member) {
                        self.add_demand(*member, set, total);
                    }
                }
            }
            Variant::Clone => {
                let counted = r.children.iter().any(|child| {
                    set.contains(child)
                        || self.rscs[*child].children.iter().any(|m| set.contains(m))
                });
                if !counted && let Some(first) = r.children.first() {
                    self.add_demand(*first, set, total);
                }
            }
            Variant::Bundle => {
                if let Some(replica) = r.bundle.replicas.first() {
                    self.add_demand(replica.container, set, total);
                }
            }
        }
    }
}
