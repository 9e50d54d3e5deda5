//! What a primary's place means for a dependent. Source: `spec/scheduler-placement.md` §4 and §7.

use ecow::EcoString;

use super::propagate::same_value;
use crate::ids::{ColIx, NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::score::{self, INFINITY};
use crate::trace::{How, Source};

/// What a colocation touches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affects {
    Nothing,
    Location,
    Role,
}

impl Sched {
    /// Applies a colocation; returns what it adds to the dependent's priority.
    pub(crate) fn apply_colocation(
        &mut self,
        dependent: RscIx,
        primary: RscIx,
        ix: ColIx,
        for_dependent: bool,
    ) -> i32 {
        if for_dependent {
            return match self.rscs[dependent].variant {
                Variant::Primitive => self.apply_colocation(dependent, primary, ix, false),
                Variant::Group => self.apply_to_group(dependent, primary, ix),
                Variant::Clone | Variant::Bundle => 0,
            };
        }
        match self.rscs[primary].variant {
            Variant::Primitive => match self.colocation_affects(dependent, primary, ix, false) {
                Affects::Nothing => 0,
                Affects::Location => {
                    self.apply_primary_scores(dependent, primary, ix);
                    0
                }
                Affects::Role => self.apply_primary_priority(dependent, primary, ix),
            },
            Variant::Group => self.apply_group(dependent, primary, ix),
            Variant::Clone => self.apply_clone(dependent, primary, ix),
            Variant::Bundle => self.apply_bundle(dependent, primary, ix),
        }
    }

    fn apply_to_group(&mut self, group: RscIx, primary: RscIx, ix: ColIx) -> i32 {
        if self.rscs[group].colocated {
            let Some(first) = self.rscs[group].children.first().copied() else { return 0 };
            let delta = self.apply_colocation(first, primary, ix, true);
            if delta != 0 {
                self.rscs[group].priority = score::add(self.rscs[group].priority, delta);
            }
            return delta;
        }
        if self.colocations[ix].score >= INFINITY {
            return 0;
        }
        let mut sum = 0;
        for member in self.rscs[group].children.clone() {
            let delta = self.apply_colocation(member, primary, ix, false);
            sum = score::add(sum, delta);
        }
        if sum != 0 {
            self.rscs[group].priority = score::add(self.rscs[group].priority, sum);
        }
        sum
    }

    fn apply_group(&mut self, dependent: RscIx, group: RscIx, ix: ColIx) -> i32 {
        if self.rscs[group].unassigned {
            return 0;
        }
        let mandatory = self.colocations[ix].score >= INFINITY;
        let members = self.rscs[group].children.clone();
        if self.rscs[group].colocated {
            let member = if mandatory { members.last() } else { members.first() };
            return member.map_or(0, |m| self.apply_colocation(dependent, *m, ix, false));
        }
        if mandatory {
            return 0;
        }
        members
            .into_iter()
            .fold(0, |sum, m| score::add(sum, self.apply_colocation(dependent, m, ix, false)))
    }

    fn per_node_max(&self, rsc: RscIx) -> i32 {
        match self.rscs[rsc].variant {
            Variant::Bundle => self.rscs[rsc].bundle.replicas_per_host,
            _ => self.rscs[rsc].clone.clone_node_max,
        }
    }

    fn interleaves(&self, ix: ColIx) -> bool {
        let colocation = &self.colocations[ix];
        let dependent = colocation.dependent;
        matches!(self.rscs[dependent].variant, Variant::Clone | Variant::Bundle)
            && self.meta_is_true(dependent, "interleave")
            && self.per_node_max(dependent) == self.per_node_max(colocation.primary)
    }

    fn apply_clone(&mut self, dependent: RscIx, clone: RscIx, ix: ColIx) -> i32 {
        if self.rscs[clone].unassigned {
            return 0;
        }
        let colocation = self.colocations[ix].clone();
        if self.rscs[clone].promotable && colocation.primary_role != Role::Unknown {
            if self.rscs[dependent].unassigned {
                self.apply_promoted_location(dependent, clone, ix);
                return 0;
            }
            if colocation.dependent_role == Role::Promoted {
                return self.apply_promoted_priority(dependent, clone, ix);
            }
        }
        if self.interleaves(ix) {
            match self.compatible_instance(dependent, clone, Role::Unknown, false) {
                Some(instance) => return self.apply_colocation(dependent, instance, ix, true),
                None if colocation.score >= INFINITY => {
                    self.note_decision(dependent, How::NoPartner(ix), &[], None, None);
                    self.assign_to(dependent, None, true, true);
                    return 0;
                }
                None => return 0,
            }
        }
        if colocation.score >= INFINITY {
            let mut nodes = Vec::new();
            for instance in self.rscs[clone].children.clone() {
                if let Some(node) = self.single_location(instance, false)
                    && !self.any_in(instance, &|r| r.blocked)
                {
                    nodes.push(node);
                }
            }
            self.intersect(dependent, &nodes, ix);
            return 0;
        }
        self.rscs[clone]
            .children
            .clone()
            .into_iter()
            .fold(0, |sum, i| score::add(sum, self.apply_colocation(dependent, i, ix, false)))
    }

    /// Bans the dependent from nodes that do not match any of these.
    fn intersect(&mut self, dependent: RscIx, nodes: &[NodeIx], ix: ColIx) {
        let colocation = self.colocations[ix].clone();
        let attribute = colocation.node_attribute.as_str();
        for node in self.in_order(&self.rscs[dependent].allowed) {
            let value = self.colocation_attr(node, attribute, dependent).cloned();
            let matches = nodes.iter().any(|other| {
                *other == node
                    || (attribute != "#uname"
                        && same_value(
                            value.as_ref(),
                            self.colocation_attr(*other, attribute, colocation.primary),
                        ))
            });
            if !matches && let Some(entry) = self.rscs[dependent].allowed.get_mut(node) {
                entry.score = -INFINITY;
            }
        }
        self.note(dependent, |_| Source::With(ix));
    }

    fn apply_bundle(&mut self, dependent: RscIx, bundle: RscIx, ix: ColIx) -> i32 {
        if self.rscs[bundle].unassigned {
            return 0;
        }
        let colocation = self.colocations[ix].clone();
        if matches!(self.rscs[colocation.dependent].variant, Variant::Clone | Variant::Bundle) {
            match self.compatible_container(dependent, bundle) {
                Some(container) => {
                    return self.apply_colocation(dependent, container, ix, true);
                }
                None if colocation.score >= INFINITY => {
                    self.note_decision(dependent, How::NoPartner(ix), &[], None, None);
                    self.assign_to(dependent, None, true, true);
                }
                None => {}
            }
            return 0;
        }
        let mut nodes = Vec::new();
        let mut sum = 0;
        for replica in self.rscs[bundle].bundle.replicas.clone() {
            if colocation.score < INFINITY {
                let delta = self.apply_colocation(dependent, replica.container, ix, false);
                sum = score::add(sum, delta);
                continue;
            }
            let promoted_only = colocation.primary_role == Role::Promoted;
            let promoted =
                replica.child.is_some_and(|child| self.role(child, false) >= Role::Promoted);
            if let Some(node) = self.single_location(replica.container, false)
                && !self.any_in(replica.container, &|r| r.blocked)
                && (!promoted_only || promoted)
            {
                nodes.push(node);
            }
        }
        if colocation.score >= INFINITY {
            self.intersect(dependent, &nodes, ix);
        }
        sum
    }

    fn compatible_container(&self, dependent: RscIx, bundle: RscIx) -> Option<RscIx> {
        let container_on = |node: NodeIx| {
            self.rscs[bundle]
                .bundle
                .replicas
                .iter()
                .map(|r| r.container)
                .find(|c| self.single_location(*c, false) == Some(node))
        };
        if let Some(node) = self.single_location(dependent, false) {
            let host = self
                .guest_launcher(node)
                .filter(|_| self.is_bundle_node(node))
                .and_then(|l| self.rscs[l].assigned.map(|p| p.node));
            return container_on(host.unwrap_or(node));
        }
        self.sorted_nodes(&self.rscs[dependent].allowed, None).into_iter().find_map(container_on)
    }

    /// The instance of a collective that goes with a resource. Source: §7.
    pub(crate) fn compatible_instance(
        &self,
        match_rsc: RscIx,
        collective: RscIx,
        role: Role,
        current: bool,
    ) -> Option<RscIx> {
        if let Some(node) = self.single_location(match_rsc, current) {
            return self.instance_on(collective, node, role, current, None);
        }
        self.sorted_nodes(&self.rscs[match_rsc].allowed, None)
            .into_iter()
            .find_map(|node| self.instance_on(collective, node, role, current, None))
    }

    fn instances_of(&self, collective: RscIx) -> Vec<RscIx> {
        match self.rscs[collective].variant {
            Variant::Bundle => {
                self.rscs[collective].bundle.replicas.iter().map(|r| r.container).collect()
            }
            _ => self.rscs[collective].children.clone(),
        }
    }

    fn instance_on(
        &self,
        collective: RscIx,
        node: NodeIx,
        role: Role,
        current: bool,
        attribute: Option<&str>,
    ) -> Option<RscIx> {
        self.instances_of(collective).into_iter().find(|instance| {
            if role != Role::Unknown && self.role(*instance, current) != role {
                return false;
            }
            if self.any_in(*instance, &|r| r.blocked) {
                return false;
            }
            let Some(there) = self.single_location(*instance, current) else { return false };
            there == node
                || attribute.is_some_and(|name| {
                    name != "#uname"
                        && same_value(
                            self.colocation_attr(there, name, *instance),
                            self.colocation_attr(node, name, *instance),
                        )
                })
        })
    }

    // --- primitives ---------------------------------------------------------------------------

    /// Source: §4.1.
    pub(crate) fn colocation_affects(
        &self,
        dependent: RscIx,
        primary: RscIx,
        ix: ColIx,
        preview: bool,
    ) -> Affects {
        let colocation = &self.colocations[ix];
        if !preview && self.rscs[primary].unassigned {
            return Affects::Nothing;
        }
        let dependent_rsc = self.role_holder(dependent);
        let primary_rsc = self.role_holder(primary);
        if colocation.dependent_role >= Role::Unpromoted
            && self.rscs[dependent_rsc].parent.is_some_and(|p| self.rscs[p].promotable)
            && !self.rscs[dependent_rsc].unassigned
        {
            return Affects::Role;
        }
        if !preview && !self.rscs[dependent].unassigned {
            return Affects::Nothing;
        }
        let role_fits =
            |role: Role, rsc: RscIx| role == Role::Unknown || role == self.rscs[rsc].next_role;
        if !role_fits(colocation.dependent_role, dependent_rsc)
            || !role_fits(colocation.primary_role, primary_rsc)
        {
            return Affects::Nothing;
        }
        Affects::Location
    }

    /// Whose role counts: of a replica's container that of what is inside.
    fn role_holder(&self, rsc: RscIx) -> RscIx {
        if self.rscs[rsc].replica_container {
            self.child_of_container(rsc).unwrap_or(rsc)
        } else {
            rsc
        }
    }

    fn child_of_container(&self, container: RscIx) -> Option<RscIx> {
        let bundle = self.rscs[container].parent?;
        self.rscs[bundle].bundle.replicas.iter().find(|r| r.container == container)?.child
    }

    /// Source: §4.2.
    fn apply_primary_scores(&mut self, dependent: RscIx, primary: RscIx, ix: ColIx) {
        let colocation = self.colocations[ix].clone();
        let attribute = colocation.node_attribute.as_str();
        let place = self.rscs[primary].assigned.map(|placed| placed.node);
        if place.is_none() && colocation.score < 0 {
            return;
        }
        let value: Option<EcoString> =
            place.and_then(|node| self.colocation_attr(node, attribute, primary).cloned());
        let mut work = self.rscs[dependent].allowed.clone();
        let nodes: Vec<NodeIx> = work.keys().collect();
        for node in nodes {
            let here = self.colocation_attr(node, attribute, dependent);
            let same = same_value(here, value.as_ref());
            let Some(entry) = work.get_mut(node) else { continue };
            if place.is_none() {
                entry.score = score::add(-colocation.score, entry.score);
            } else if same {
                if colocation.score < INFINITY {
                    entry.score = score::add(colocation.score, entry.score);
                }
            } else if colocation.score >= INFINITY {
                entry.score = score::add(-INFINITY, entry.score);
            }
        }
        if colocation.score.abs() >= INFINITY || self.any_available(&work) {
            self.rscs[dependent].allowed = work;
            self.note(dependent, |_| Source::With(ix));
        }
    }

    /// Source: §4.3.
    fn apply_primary_priority(&mut self, dependent: RscIx, primary: RscIx, ix: ColIx) -> i32 {
        let colocation = self.colocations[ix].clone();
        let attribute = colocation.node_attribute.as_str();
        let Some(here) = self.rscs[dependent].assigned.map(|p| p.node) else { return 0 };
        let there = self.rscs[primary].assigned.map(|p| p.node);
        if there.is_some()
            && colocation.primary_role != Role::Unknown
            && colocation.primary_role != self.rscs[self.role_holder(primary)].next_role
        {
            return 0;
        }
        let own = self.colocation_attr(here, attribute, dependent);
        let other = there.and_then(|node| self.colocation_attr(node, attribute, primary));
        let delta = if there.is_some() && same_value(own, other) {
            if colocation.dependent_role == Role::Unpromoted {
                -colocation.score
            } else {
                colocation.score
            }
        } else if colocation.score >= INFINITY && colocation.dependent_role == Role::Promoted {
            -INFINITY
        } else {
            return 0;
        };
        self.rscs[dependent].priority = score::add(delta, self.rscs[dependent].priority);
        delta
    }

    // --- promotable primaries -----------------------------------------------------------------

    /// Source: §4.4.
    fn apply_promoted_location(&mut self, dependent: RscIx, clone: RscIx, ix: ColIx) {
        let colocation = self.colocations[ix].clone();
        let attribute = colocation.node_attribute.as_str();
        let mut collected: Vec<(NodeIx, i32)> = Vec::new();
        for instance in self.rscs[clone].children.clone() {
            let Some(node) = self.single_location(instance, false) else { continue };
            if self.role(instance, false) != colocation.primary_role {
                continue;
            }
            if colocation.score < INFINITY {
                let value = self.colocation_attr(node, attribute, colocation.primary).cloned();
                for other in self.in_order(&self.rscs[dependent].allowed) {
                    let same = same_value(
                        self.colocation_attr(other, attribute, dependent),
                        value.as_ref(),
                    );
                    if same && let Some(entry) = self.rscs[dependent].allowed.get_mut(other) {
                        entry.score = score::add(entry.score, colocation.score);
                    }
                }
            }
            let entry = self.leaves(instance).first().and_then(|leaf| self.rscs[*leaf].assigned);
            self.note(dependent, |_| Source::With(ix));
            collected.push((node, entry.map_or(0, |placed| placed.entry.score)));
        }
        if colocation.score < INFINITY
            || (colocation.dependent_role == Role::Promoted
                && colocation.primary_role == Role::Promoted)
        {
            return;
        }
        for node in self.in_order(&self.rscs[dependent].allowed) {
            let found = collected.iter().find(|(other, _)| {
                *other == node
                    || (attribute != "#uname"
                        && same_value(
                            self.colocation_attr(*other, attribute, colocation.primary),
                            self.colocation_attr(node, attribute, dependent),
                        ))
            });
            let found = found.copied();
            if let Some(entry) = self.rscs[dependent].allowed.get_mut(node) {
                entry.score = match found {
                    Some((_, score)) => score::add(entry.score, score),
                    None => -INFINITY,
                };
            }
        }
        self.note(dependent, |_| Source::With(ix));
    }

    /// Source: §4.5.
    fn apply_promoted_priority(&mut self, dependent: RscIx, clone: RscIx, ix: ColIx) -> i32 {
        let colocation = self.colocations[ix].clone();
        let attribute = colocation.node_attribute.as_str();
        let role = colocation.primary_role;
        let found = match self.single_location(dependent, false) {
            Some(node) => self.instance_on(clone, node, role, false, Some(attribute)),
            None => self
                .sorted_nodes(&self.rscs[dependent].allowed, None)
                .into_iter()
                .find_map(|node| self.instance_on(clone, node, role, false, Some(attribute))),
        };
        let delta = if found.is_some() {
            colocation.score
        } else if colocation.score >= INFINITY {
            -INFINITY
        } else {
            return 0;
        };
        self.rscs[dependent].priority = score::add(self.rscs[dependent].priority, delta);
        delta
    }
}
