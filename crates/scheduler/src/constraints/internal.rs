//! Orderings and colocations that resources imply by their nature.
//! Source: `spec/scheduler-constraints.md` §7.

use super::Colocation;
use crate::action::{End, flag, rel};
use crate::ids::{NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::options::Placement;
use crate::score::INFINITY;
use crate::text::op_key;
use crate::trace::{Origin, Source};

impl Sched {
    /// Everything a resource implies, depth first.
    pub(crate) fn internal_constraints(&mut self, rsc: RscIx) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.because(|| Origin::Own(rsc), |s| s.primitive_internal(rsc)),
            Variant::Group => self.because(|| Origin::Group(rsc), |s| s.group_internal(rsc)),
            Variant::Clone => self.because(|| Origin::Clone(rsc), |s| s.clone_internal(rsc)),
            Variant::Bundle => self.because(|| Origin::Bundle(rsc), |s| s.bundle_internal(rsc)),
        }
    }

    fn own(&mut self, rsc: RscIx, first: &str, then: &str, flags: u32) {
        self.order_tasks(rsc, first, rsc, then, flags);
    }

    fn primitive_internal(&mut self, rsc: RscIx) {
        if !self.rscs[rsc].managed {
            return;
        }
        let check_unfencing = !self.rscs[rsc].fence_device
            && self.unfencing_enabled
            && self.rscs[rsc].needs_unfencing;
        let check_utilization =
            !self.rscs[rsc].utilization.is_empty() && self.options.placement != Placement::Default;
        self.own(rsc, "stop", "start", rel::ORDERED | rel::FIT | rel::INTERMEDIATE_STOP);
        let top = self.uber(rsc);
        if self.rscs[top].promotable || self.rscs[rsc].orig_role > Role::Unpromoted {
            self.own(rsc, "demote", "stop", rel::PROMOTED_TIF);
            self.own(rsc, "start", "promote", rel::UFB);
        }
        self.own(rsc, "lrm_delete", "monitor", rel::IF_ON_SAME_NODE | rel::THEN_CANCELS_FIRST);
        let allowed = self.in_order(&self.rscs[rsc].allowed);
        if check_unfencing {
            self.order_unfencing(rsc, &allowed);
        }
        if check_utilization {
            self.order_load(rsc, &allowed);
        }
        if let Some(launcher) = self.rscs[rsc].launcher {
            self.launched_internal(rsc, launcher);
        }
        let r = &self.rscs[rsc];
        if r.is_connection || r.fence_device {
            for node in self.in_order(&self.rscs[rsc].allowed) {
                if self.nodes[node].connection.is_some()
                    && let Some(entry) = self.rscs[rsc].allowed.get_mut(node)
                {
                    entry.score = -INFINITY;
                }
            }
            self.note(rsc, |_| Source::NotOnRemote);
        }
    }

    fn order_unfencing(&mut self, rsc: RscIx, allowed: &[NodeIx]) {
        for node in allowed {
            let unfence = self.fence_op(*node, Some("on"), true, None, false);
            let stop = End::key(rsc, op_key(&self.rscs[rsc].id, "stop", 0));
            let start = End::key(rsc, op_key(&self.rscs[rsc].id, "start", 0));
            let end = End { action: Some(unfence), ..End::default() };
            self.order(stop, end.clone(), rel::ORDERED | rel::IF_ON_SAME_NODE);
            self.order(end, start, rel::FIRST_IMPLIES_SAME_NODE_THEN | rel::IF_ON_SAME_NODE);
        }
    }

    fn load_stopped(&mut self, node: NodeIx) -> crate::ids::ActIx {
        let name = format!("load_stopped_{}", self.nodes[node].name);
        let ix = self.pseudo_op(&name);
        if self.actions[ix].node.is_none() {
            self.actions[ix].node = Some(node);
            self.actions[ix].flags &= !flag::OPTIONAL;
        }
        ix
    }

    fn order_load(&mut self, rsc: RscIx, allowed: &[NodeIx]) {
        let flags = rel::IF_ON_SAME_NODE_OR_TARGET;
        for node in self.rscs[rsc].active.clone() {
            let load = self.load_stopped(node);
            let stop = End::key(rsc, op_key(&self.rscs[rsc].id, "stop", 0));
            self.order(stop, End { action: Some(load), ..End::default() }, flags);
        }
        for node in allowed {
            let load = self.load_stopped(*node);
            for task in ["start", "migrate_to"] {
                let then = End::key(rsc, op_key(&self.rscs[rsc].id, task, 0));
                self.order(End { action: Some(load), ..End::default() }, then, flags);
            }
        }
    }

    fn launched_internal(&mut self, rsc: RscIx, launcher: RscIx) {
        let nesting = self.rscs[rsc].remote_nesting_allowed;
        let is_connection = self.rscs[rsc].is_connection;
        if is_connection {
            if !nesting {
                let remotes: Vec<NodeIx> = self
                    .in_order(&self.rscs[launcher].allowed)
                    .into_iter()
                    .filter(|n| self.is_remote_kind(*n))
                    .collect();
                for node in remotes {
                    if let Some(entry) = self.rscs[launcher].allowed.get_mut(node) {
                        entry.score = -INFINITY;
                    }
                }
                self.note(launcher, |_| Source::Container);
            }
            self.order_tasks(launcher, "monitor", rsc, "stop", rel::ORDERED);
        }
        let remote = if is_connection {
            None
        } else if self.rscs[launcher].is_connection {
            Some(launcher)
        } else {
            self.rscs[launcher].launched.iter().copied().find(|r| self.rscs[*r].is_connection)
        };
        if let Some(remote) = remote {
            for node in self.in_order(&self.rscs[rsc].allowed) {
                if self.nodes[node].connection != Some(remote)
                    && let Some(entry) = self.rscs[rsc].allowed.get_mut(node)
                {
                    entry.score = -INFINITY;
                }
            }
            self.note(rsc, |_| Source::Container);
            return;
        }
        self.order_tasks(launcher, "start", rsc, "start", rel::FIT | rel::UFB);
        self.order_tasks(rsc, "stop", launcher, "stop", rel::TIF);
        self.new_colocation(Colocation {
            id: "#resource-with-container".into(),
            dependent: rsc,
            primary: launcher,
            score: if nesting { 10_000 } else { INFINITY },
            dependent_role: Role::Unknown,
            primary_role: Role::Unknown,
            node_attribute: "#uname".into(),
            explicit: false,
            influence: true,
        });
    }

    fn group_internal(&mut self, group: RscIx) {
        self.own(group, "stop", "stopped", rel::UFB);
        self.own(group, "stopped", "start", rel::ORDERED);
        self.own(group, "start", "running", rel::UFB);
        let (ordered, colocated) = (self.rscs[group].ordered, self.rscs[group].colocated);
        let promotable = self.rscs[self.uber(group)].promotable;
        let mut previous: Option<RscIx> = None;
        let mut last_active: Option<RscIx> = None;
        for member in self.rscs[group].children.clone() {
            self.internal_constraints(member);
            if let Some(previous) = previous.filter(|_| colocated) {
                self.new_colocation(Colocation {
                    id: "#group-members".into(),
                    dependent: member,
                    primary: previous,
                    score: INFINITY,
                    dependent_role: Role::Unknown,
                    primary_role: Role::Unknown,
                    node_attribute: "#uname".into(),
                    explicit: false,
                    influence: self.rscs[member].critical,
                });
            }
            let (mut down, mut post_down) = (rel::TIFG, rel::FITG);
            if previous.is_none() && ordered {
                down |= rel::ORDERED;
                post_down = rel::FIT;
            }
            let up = rel::UFB | rel::FIT | rel::FITG;
            if promotable {
                self.order_tasks(group, "demote", member, "demote", down);
                self.order_tasks(member, "demote", group, "demoted", post_down);
                self.order_tasks(member, "promote", group, "promoted", up);
                self.order_tasks(group, "promote", member, "promote", rel::TIFG);
            }
            self.order_tasks(group, "stop", member, "stop", down);
            self.order_tasks(member, "stop", group, "stopped", post_down);
            self.order_tasks(group, "start", member, "start", rel::TIFG);
            self.order_tasks(member, "start", group, "running", up);
            if !ordered {
                let flags = rel::FIT | rel::UFB | rel::TIFG;
                self.order_tasks(group, "start", member, "start", flags);
                if promotable {
                    self.order_tasks(group, "promote", member, "promote", flags);
                }
            } else if let Some(previous) = previous {
                self.order_member(previous, member, promotable);
            }
            let active = !self.rscs[member].active.is_empty();
            if active
                && ordered
                && let Some(previous) = previous
                && self.rscs[previous].active.is_empty()
                && let Some(last) = last_active
            {
                self.order_tasks(member, "stop", last, "stop", rel::ORDERED);
            }
            if active {
                last_active = Some(member);
            }
            previous = Some(member);
        }
    }

    fn order_member(&mut self, previous: RscIx, member: RscIx, promotable: bool) {
        self.order_tasks(previous, "start", member, "start", rel::FIT | rel::UFB);
        self.order_tasks(member, "stop", previous, "stop", rel::ORDERED | rel::INTERMEDIATE_STOP);
        if !self.rscs[member].active.is_empty() && self.rscs[previous].active.is_empty() {
            self.order_tasks(member, "stop", previous, "start", rel::TIF | rel::UFB);
        }
        if promotable {
            self.order_tasks(previous, "promote", member, "promote", rel::FIT | rel::UFB);
            self.order_tasks(member, "demote", previous, "demote", rel::ORDERED);
        }
    }

    fn clone_internal(&mut self, clone: RscIx) {
        self.own(clone, "stopped", "start", rel::ORDERED);
        self.own(clone, "start", "running", rel::UFB);
        self.own(clone, "stop", "stopped", rel::UFB);
        let promotable = self.rscs[clone].promotable;
        let ordered = self.rscs[clone].clone.ordered;
        if promotable {
            self.own(clone, "demoted", "stop", rel::ORDERED);
            self.own(clone, "running", "promote", rel::UFB);
        }
        if ordered {
            self.sort_children_by_number(clone);
        }
        let children = self.rscs[clone].children.clone();
        for (n, child) in children.iter().copied().enumerate() {
            self.internal_constraints(child);
            self.order_tasks(clone, "start", child, "start", rel::UFB | rel::TIFG);
            self.order_tasks(child, "start", clone, "running", rel::FITG);
            self.order_tasks(clone, "stop", child, "stop", rel::TIFG);
            self.order_tasks(child, "stop", clone, "stopped", rel::FITG);
            if ordered {
                for later in &children[n + 1..] {
                    self.order_tasks(child, "start", *later, "start", rel::ORDERED);
                    self.order_tasks(*later, "stop", child, "stop", rel::ORDERED);
                }
            }
        }
        if promotable {
            self.promotable_internal(clone, &children, ordered);
        }
    }

    /// A promotable collective finishes one thing before it starts the next.
    fn restart_set(&mut self, rsc: RscIx) {
        for (first, then) in [
            ("stopped", "start"),
            ("stopped", "promote"),
            ("demoted", "stop"),
            ("demoted", "start"),
            ("demoted", "promote"),
            ("running", "promote"),
            ("demote", "demoted"),
        ] {
            self.own(rsc, first, then, rel::ORDERED);
        }
    }

    fn promotable_internal(&mut self, clone: RscIx, children: &[RscIx], ordered: bool) {
        self.restart_set(clone);
        let mut previous: Option<RscIx> = None;
        for child in children.iter().copied() {
            self.order_tasks(child, "demote", child, "promote", rel::ORDERED);
            self.order_tasks(clone, "promote", child, "promote", rel::ORDERED);
            self.order_tasks(child, "promote", clone, "promoted", rel::ORDERED);
            if let Some(previous) = previous.filter(|_| ordered) {
                self.order_tasks(previous, "promote", child, "promote", rel::ORDERED);
            }
            self.order_tasks(clone, "demote", child, "demote", rel::TIFG);
            self.order_tasks(child, "demote", clone, "demoted", rel::FITG);
            if let Some(previous) = previous.filter(|_| ordered) {
                self.order_tasks(child, "demote", previous, "demote", rel::ORDERED);
            }
            previous = Some(child);
        }
    }

    fn bundle_internal(&mut self, bundle: RscIx) {
        for replica in self.rscs[bundle].bundle.replicas.clone() {
            let container = replica.container;
            self.internal_constraints(container);
            self.order_tasks(bundle, "start", container, "start", rel::UFB | rel::TIFG);
            if let Some(child) = replica.child {
                self.order_tasks(bundle, "stop", child, "stop", rel::TIFG);
            }
            self.order_tasks(bundle, "stop", container, "stop", rel::TIFG);
            self.order_tasks(container, "start", bundle, "running", rel::FITG);
            self.order_tasks(container, "stop", bundle, "stopped", rel::FITG);
            if let Some(ip) = replica.ip {
                self.internal_constraints(ip);
                self.order_tasks(ip, "start", container, "start", rel::UFB | rel::GUEST_ALLOWED);
                self.order_tasks(container, "stop", ip, "stop", rel::TIF | rel::GUEST_ALLOWED);
                self.new_colocation(Colocation {
                    id: "#ip-with-container".into(),
                    dependent: ip,
                    primary: container,
                    score: INFINITY,
                    dependent_role: Role::Unknown,
                    primary_role: Role::Unknown,
                    node_attribute: "#uname".into(),
                    explicit: false,
                    influence: true,
                });
            }
            if let Some(remote) = replica.remote {
                self.internal_constraints(remote);
            }
        }
        let Some(inner) = self.rscs[bundle].bundle.inner else { return };
        self.order_tasks(bundle, "start", inner, "start", rel::TIFG);
        self.order_tasks(inner, "running", bundle, "running", rel::FITG);
        self.order_tasks(bundle, "stop", inner, "stop", rel::TIFG);
        self.order_tasks(inner, "stopped", bundle, "stopped", rel::FITG);
        self.internal_constraints(inner);
        if self.rscs[inner].promotable {
            self.restart_set(bundle);
            self.order_tasks(bundle, "demote", inner, "demote", rel::TIFG);
            self.order_tasks(inner, "demoted", bundle, "demoted", rel::FITG);
            self.order_tasks(bundle, "promote", inner, "promote", rel::TIFG);
            self.order_tasks(inner, "promoted", bundle, "promoted", rel::FITG);
        }
    }
}
