//! How colocated resources' preferences add up along chains of constraints.
//! Source: `spec/scheduler-placement.md` §5.3–5.5.

use ecow::EcoString;

use crate::ids::{ColIx, NodeIx, NodeTable, RscIx};
use crate::model::{Sched, Variant};
use crate::score::{self, INFINITY, SENTINEL};
use crate::trace::Source;

/// How to propagate.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mode {
    /// Never turn a usable node into an unusable one.
    pub nonnegative: bool,
    /// Do nothing if no node would be left.
    pub active: bool,
    /// Follow the constraints of the resource instead of those on it.
    pub this_with: bool,
}

impl Sched {
    /// The value of a colocation's node attribute for a resource on a node.
    pub(crate) fn colocation_attr(
        &self,
        node: NodeIx,
        name: &str,
        rsc: RscIx,
    ) -> Option<&EcoString> {
        // What is inside a bundle is where its container is, as far as others are concerned.
        let uber = self.uber(rsc);
        let inner = self.rscs[uber]
            .parent
            .is_some_and(|bundle| self.rscs[bundle].bundle.inner == Some(uber));
        if inner && self.is_bundle_node(node) {
            return self.node_attr(node, name, Some("host"), true);
        }
        let target = self.rscs[rsc].meta.get("container-attribute-target");
        self.node_attr(node, name, target.map(EcoString::as_str), true)
    }

    /// Lets a dependent's wishes count for the primary that is being assigned.
    pub(crate) fn add_dependent_scores(&mut self, ix: ColIx, primary: RscIx) {
        if !self.has_influence(ix, None) {
            return;
        }
        let colocation = &self.colocations[ix];
        let factor = colocation.score as f32 / INFINITY as f32;
        let mode = Mode {
            active: true,
            nonnegative: self.rscs[primary].variant == Variant::Clone,
            this_with: false,
        };
        let dependent = colocation.dependent;
        let mut nodes = std::mem::take(&mut self.rscs[primary].allowed);
        // The table is looked at through its owner, too.
        self.rscs[primary].allowed = nodes.clone();
        let guard = &mut Vec::new();
        self.add_colocated(dependent, primary, Some(&mut nodes), Some(ix), factor, mode, guard);
        self.rscs[primary].allowed = nodes;
        self.note(primary, |_| Source::Dependents(ix));
    }

    /// Adds the preferences of `source` (and of what is colocated with it) to `nodes`. Without
    /// nodes, returns those of `source` itself.
    pub(crate) fn add_colocated(
        &self,
        source: RscIx,
        target: RscIx,
        nodes: Option<&mut NodeTable>,
        colocation: Option<ColIx>,
        factor: f32,
        mut mode: Mode,
        guard: &mut Vec<RscIx>,
    ) -> Option<NodeTable> {
        let r = &self.rscs[source];
        if r.variant == Variant::Group {
            let member = if nodes.as_ref().is_none_or(|n| n.is_empty()) {
                r.children.last()
            } else {
                r.children.first()
            };
            let member = *member?;
            return self.add_colocated(member, target, nodes, colocation, factor, mode, guard);
        }
        if guard.contains(&source) {
            return None;
        }
        guard.push(source);
        let target = if nodes.is_none() { source } else { target };
        let mut work = match (&nodes, colocation) {
            (Some(nodes), Some(colocation)) => {
                let mut work = (**nodes).clone();
                let only_positive = mode.nonnegative;
                self.add_matching(&mut work, source, target, colocation, factor, only_positive);
                work
            }
            _ => r.allowed.clone(),
        };
        if self.any_available(&work) {
            let list = if mode.this_with { self.this_with(source) } else { self.with_this(source) };
            mode.active = true;
            for ix in list {
                let other = if mode.this_with {
                    self.colocations[ix].primary
                } else {
                    if !self.has_influence(ix, None) {
                        continue;
                    }
                    self.colocations[ix].dependent
                };
                let nested = factor * self.colocations[ix].score as f32 / INFINITY as f32;
                self.add_colocated(other, target, Some(&mut work), Some(ix), nested, mode, guard);
            }
        } else if mode.active {
            guard.pop();
            return None;
        }
        if mode.nonnegative {
            for entry in work.values_mut() {
                if entry.score == SENTINEL {
                    entry.score = 1;
                }
            }
        }
        guard.pop();
        match nodes {
            Some(nodes) => {
                *nodes = work;
                None
            }
            None => Some(work),
        }
    }

    fn add_matching(
        &self,
        work: &mut NodeTable,
        source: RscIx,
        target: RscIx,
        ix: ColIx,
        factor: f32,
        only_positive: bool,
    ) {
        let colocation = &self.colocations[ix];
        let attribute = colocation.node_attribute.as_str();
        let table = self.source_table(source, ix);
        let nodes: Vec<NodeIx> = work.keys().collect();
        for node in nodes {
            let Some(current) = work.get(node).map(|entry| entry.score) else { continue };
            let score = self.best_matching(&table, source, target, node, attribute);
            if factor < 0.0 && score < 0 {
                let primary_sticks = self.rscs[colocation.primary].stickiness >= -score;
                if primary_sticks
                    || !self.has_influence(ix, None)
                    || !self.allowed_on_one(colocation.dependent)
                {
                    continue;
                }
            }
            if current == SENTINEL {
                continue;
            }
            let new = score::add(score::share(factor, score), current);
            if only_positive && new < 0 {
                if current > 0
                    && let Some(entry) = work.get_mut(node)
                {
                    entry.score = SENTINEL;
                    continue;
                }
                if current == 0 {
                    continue;
                }
            }
            if let Some(entry) = work.get_mut(node) {
                entry.score = new;
            }
        }
    }

    /// What the source thinks of nodes: a group's constraints do not show in the tables of its
    /// later members, so for those they are applied here.
    fn source_table(&self, source: RscIx, ix: ColIx) -> NodeTable {
        let r = &self.rscs[source];
        let colocation = &self.colocations[ix];
        if let Some(parent) = r.parent
            && self.rscs[parent].variant == Variant::Group
            && colocation.dependent == source
            && colocation.explicit
            && self.rscs[parent].children.first() != Some(&source)
        {
            let mut table = r.allowed.clone();
            for location in self.rscs[parent].locations.iter().rev() {
                for (node, score) in &self.locations[*location].nodes {
                    if let Some(entry) = table.get_mut(*node) {
                        entry.score = score::add(entry.score, *score);
                    }
                }
            }
            return table;
        }
        r.allowed.clone()
    }

    fn best_matching(
        &self,
        table: &NodeTable,
        source: RscIx,
        target: RscIx,
        node: NodeIx,
        attribute: &str,
    ) -> i32 {
        let bundled = self.is_bundled(source) || self.is_bundled(target);
        if attribute == "#uname" && !bundled && !self.is_guest(node) {
            let own = table.get(node).filter(|_| self.available(node, None, false));
            return own.map_or(-INFINITY, |entry| entry.score.max(-INFINITY));
        }
        let value = self.colocation_attr(node, attribute, target);
        let mut best = -INFINITY;
        for (other, entry) in table.iter() {
            if entry.score > best
                && self.available(other, None, false)
                && same_value(value, self.colocation_attr(other, attribute, source))
            {
                best = entry.score;
            }
        }
        best
    }

    fn allowed_on_one(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].allowed.iter().filter(|(_, entry)| entry.score >= 0).count() == 1
    }
}

/// Node attribute values compare without case; two missing ones are equal.
pub(crate) fn same_value(a: Option<&EcoString>, b: Option<&EcoString>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}
