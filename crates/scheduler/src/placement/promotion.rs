//! Choosing which instances are promoted. Source: `spec/scheduler-placement.md` §8.

use std::cmp::Ordering;

use ecow::eco_format;

use super::propagate::Mode;
use super::stable_sort;
use crate::ids::{NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::options::NoQuorum;
use crate::score::{self, INFINITY};
use crate::scores::ScoreLine;
use crate::text::base_id;
use crate::trace::{PromotionSource, Source};

impl Sched {
    /// Source: §8.1.
    pub(crate) fn add_promotion_scores(&mut self, clone: RscIx) {
        if self.rscs[clone].clone.promotion_scores_added {
            return;
        }
        self.rscs[clone].clone.promotion_scores_added = true;
        for child in self.rscs[clone].children.clone() {
            for node in self.in_order(&self.rscs[child].allowed) {
                if !self.available(node, None, false) {
                    continue;
                }
                let (value, _) = self.promotion_score(child, node);
                if value > 0 {
                    if let Some(entry) = self.rscs[child].allowed.get_mut(node) {
                        entry.score = score::add(entry.score, value);
                    }
                    self.note_added(child, node, value, |_| Source::Promotion);
                    let r = &mut self.rscs[child];
                    r.priority = r.priority.max(value);
                }
            }
        }
    }

    /// The promotion score of an instance on a node, and whether that is only the default.
    /// Source: §8.3.
    pub(crate) fn promotion_score(&self, rsc: RscIx, node: NodeIx) -> (i32, bool) {
        let r = &self.rscs[rsc];
        if r.variant != Variant::Primitive {
            let mut sum = 0;
            let mut is_default = true;
            for child in &r.children {
                let (value, default) = self.promotion_score(*child, node);
                sum = score::add(sum, value);
                is_default &= default;
            }
            return (sum, is_default);
        }
        if !self.promotion_score_applies(rsc, node) {
            return (0, true);
        }
        let value = self.promotion_attr(rsc, node, self.history_name(rsc)).or_else(|| {
            (!r.unique).then(|| self.promotion_attr(rsc, node, base_id(&r.id))).flatten()
        });
        match value {
            Some(value) => (value, false),
            None => (0, true),
        }
    }

    fn promotion_attr(&self, rsc: RscIx, node: NodeIx, name: &str) -> Option<i32> {
        let r = &self.rscs[rsc];
        let target = r.meta.get("container-attribute-target");
        let assigned = !r.unassigned;
        let value = self.node_attr(
            node,
            &eco_format!("master-{name}"),
            target.map(|t| t.as_str()),
            assigned,
        )?;
        Some(score::parse(value, self.options.health).unwrap_or(0))
    }

    fn promotion_score_applies(&self, rsc: RscIx, node: NodeIx) -> bool {
        let r = &self.rscs[rsc];
        let applies = || {
            if !r.unique {
                let twins: Vec<RscIx> = self
                    .leaves(self.uber(rsc))
                    .into_iter()
                    .filter(|t| self.rscs[*t].xml.id() == r.xml.id())
                    .collect();
                match twins.iter().find(|t| self.rscs[**t].active.contains(&node)) {
                    Some(active) if *active == rsc => return true,
                    None if twins.iter().any(|t| self.rscs[*t].probed.get(node).is_some()) => {
                        return true;
                    }
                    _ => {}
                }
            }
            if r.active.is_empty() && r.probed.is_empty() {
                return true;
            }
            r.probed.get(node).is_some() || r.active.contains(&node)
        };
        applies() && r.allowed.get(node).is_some_and(|entry| entry.score >= 0)
    }

    /// Source: §8.2.
    pub(crate) fn set_instance_roles(&mut self, clone: RscIx) {
        for entry in self.rscs[clone].allowed.values_mut() {
            entry.count = 0;
        }
        for child in self.rscs[clone].children.clone() {
            self.set_promotion_priority(clone, child);
        }
        self.sort_for_promotion(clone);
        self.promote_instances(clone);
    }

    fn set_promotion_priority(&mut self, clone: RscIx, child: RscIx) {
        for r in self.tree(child) {
            if self.rscs[r].orig_role == Role::Started {
                self.rscs[r].orig_role = Role::Unpromoted;
            }
        }
        let Some(node) = self.single_location(child, false) else {
            self.rscs[child].promotion_priority = self.rscs[child].priority;
            return;
        };
        match self.role(child, false) {
            Role::Started | Role::Unknown => {
                let (value, is_default) = self.promotion_score(child, node);
                self.rscs[child].priority = if is_default { -1 } else { value };
                let source = if is_default {
                    PromotionSource::NoAttribute
                } else {
                    PromotionSource::Attribute
                };
                self.note_promotion(child, source, self.rscs[child].priority);
            }
            Role::Unpromoted | Role::Stopped => {
                self.rscs[child].priority = -INFINITY;
                self.note_promotion(child, PromotionSource::Role, -INFINITY);
            }
            Role::Promoted => {}
        }
        let own = self.rscs[child].locations.clone();
        let of_clone = self.rscs[clone].locations.clone();
        for ix in own.into_iter().rev().chain(of_clone.into_iter().rev()) {
            let location = &self.locations[ix];
            if location.role != Role::Promoted {
                continue;
            }
            if let Some((_, value)) = location.nodes.iter().find(|(n, _)| *n == node) {
                let value = *value;
                let sum = score::add(self.rscs[child].priority, value);
                self.rscs[child].priority = sum;
                self.note_promotion(child, PromotionSource::Location(ix), sum);
            }
        }
        for ix in self.this_with(child) {
            let primary = self.colocations[ix].primary;
            let before = self.rscs[child].priority;
            self.apply_colocation(child, primary, ix, true);
            let after = self.rscs[child].priority;
            if after != before {
                self.note_promotion(child, PromotionSource::Colocation(ix), after);
            }
        }
        self.rscs[child].promotion_priority = self.rscs[child].priority;
        if self.role(child, false) == Role::Promoted {
            self.rscs[child].promotion_priority = INFINITY;
        }
    }

    fn sort_for_promotion(&mut self, clone: RscIx) {
        if self.rscs[clone].clone.promotion_constrained {
            return;
        }
        self.rscs[clone].clone.promotion_constrained = true;
        for child in self.rscs[clone].children.clone() {
            let priority = self.rscs[child].promotion_priority;
            if priority < 0 {
                continue;
            }
            if let Some(node) = self.single_location(child, false)
                && let Some(entry) = self.rscs[clone].allowed.get_mut(node)
            {
                entry.score = score::add(entry.score, priority);
            }
        }
        self.note(clone, |_| Source::Promotion);
        let mut nodes = self.rscs[clone].allowed.clone();
        for ix in self.with_this(clone) {
            let colocation = &self.colocations[ix];
            if colocation.primary_role != Role::Promoted || !self.has_influence(ix, None) {
                continue;
            }
            let factor = colocation.score as f32 / INFINITY as f32;
            let mode = Mode { active: true, nonnegative: true, this_with: false };
            let dependent = colocation.dependent;
            let mut guard = vec![clone];
            let nodes = Some(&mut nodes);
            self.add_colocated(dependent, clone, nodes, Some(ix), factor, mode, &mut guard);
        }
        self.rscs[clone].allowed = nodes;
        self.note(clone, |_| Source::Promotion);
        let no_ticket = self.rscs[clone].tickets.iter().find(|constraint| {
            constraint.role == Role::Promoted
                && self
                    .tickets
                    .get(&constraint.ticket)
                    .is_some_and(|ticket| !ticket.granted || ticket.standby)
        });
        if let Some(constraint) = no_ticket {
            let source = Source::Ticket(constraint.ticket.clone());
            self.ban_everywhere(clone, &source);
        }
        for child in self.rscs[clone].children.clone() {
            let node = self.single_location(child, false);
            let r = &self.rscs[child];
            let priority = if !r.managed && self.role(child, false) == Role::Promoted {
                INFINITY
            } else if let Some(node) = node {
                if r.promotion_priority < 0 {
                    continue;
                }
                self.rscs[clone].allowed.get(node).map_or(-INFINITY, |entry| entry.score)
            } else {
                -INFINITY
            };
            if self.rscs[child].promotion_priority != priority {
                self.note_promotion(child, PromotionSource::Clone, priority);
            }
            self.rscs[child].promotion_priority = priority;
        }
        let mut children = self.rscs[clone].children.clone();
        stable_sort(&mut children, &mut |a, b| self.cmp_promotion(a, b));
        self.rscs[clone].children = children;
    }

    fn cmp_promotion(&self, a: RscIx, b: RscIx) -> Ordering {
        let priority = |rsc: RscIx| self.rscs[rsc].promotion_priority;
        priority(b)
            .cmp(&priority(a))
            .then_with(|| self.role(b, true).cmp(&self.role(a, true)))
            .then_with(|| self.cmp_instances(a, b))
    }

    fn promote_instances(&mut self, clone: RscIx) {
        let mut promoted = 0;
        for child in self.rscs[clone].children.clone() {
            if self.show_scores {
                let node = self.single_location(child, false);
                let r = &self.rscs[child];
                let line = ScoreLine::Promotion {
                    rsc: r.id.clone(),
                    node: node.map(|node| self.nodes[node].name.clone()),
                    score: r.promotion_priority,
                };
                self.score_lines.push(line);
            }
            let done = self.promote_if_possible(clone, child, promoted);
            self.note_verdict(clone, child, promoted, done);
            promoted += i32::from(done);
        }
    }

    fn promote_if_possible(&mut self, clone: RscIx, child: RscIx, promoted: i32) -> bool {
        let wanted = self.rscs[child].promotion_priority >= 0
            && (promoted < self.rscs[clone].clone.promoted_max || !self.rscs[clone].managed);
        let frozen = !self.quorate
            && self.options.no_quorum == NoQuorum::Freeze
            && self.role(child, true) < Role::Promoted;
        if wanted
            && !frozen
            && let Some(node) = self.promotable_on(clone, child)
        {
            if let Some(entry) = self.rscs[clone].allowed.get_mut(node) {
                entry.count += 1;
            }
            for r in self.tree(child) {
                if self.rscs[r].next_role == Role::Unknown {
                    self.rscs[r].next_role = Role::Promoted;
                }
            }
            return true;
        }
        self.set_unpromoted(child);
        false
    }

    fn set_unpromoted(&mut self, rsc: RscIx) {
        for r in self.tree(rsc) {
            let assigned = self.rscs[r].assigned.is_some()
                || (self.rscs[r].variant != Variant::Primitive
                    && !self.locations_of(r, false).is_empty());
            self.rscs[r].next_role = if assigned { Role::Unpromoted } else { Role::Stopped };
        }
    }

    fn promotable_on(&self, clone: RscIx, child: RscIx) -> Option<NodeIx> {
        for descendant in self.tree(child) {
            if descendant != child && self.promotable_here(clone, descendant).is_none() {
                return None;
            }
        }
        self.promotable_here(clone, child)
    }

    fn promotable_here(&self, clone: RscIx, rsc: RscIx) -> Option<NodeIx> {
        let node = self.single_location(rsc, false)?;
        let r = &self.rscs[rsc];
        if !r.managed {
            if self.role(rsc, true) < Role::Promoted {
                return None;
            }
        } else {
            if r.priority < 0 {
                return None;
            }
            let placed = self.leaves(rsc).first().and_then(|leaf| self.rscs[*leaf].assigned);
            let score = placed.map(|placed| placed.entry.score);
            if !self.available(node, score.map(|s| s.max(0)), true) {
                return None;
            }
        }
        let entry = self.rscs[clone].allowed.get(node)?;
        (entry.count < self.rscs[clone].clone.promoted_node_max || !r.managed).then_some(node)
    }
}
