//! Resources as XML. Source: `spec/cli-pacemaker.md` §6.7.

use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::{Resource, Role, Variant};
use xml::Element;

use super::{Show, View, replica_members};

pub(super) fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

impl View {
    /// The `<resources>` element; `None` when there is nothing to show.
    pub fn resources_xml(&self, show: &Show) -> Option<Element> {
        let mut list = Element::new("resources");
        for rsc in self.sched.top.iter().copied() {
            // What is configured no more and runs nowhere is history; below something that is
            // still there it is listed.
            if self.sched.rscs[rsc].removed && !self.sched.is_active(rsc, false) {
                continue;
            }
            if let Some(element) = self.resource_xml(rsc, show) {
                list.push(element);
            }
        }
        (!list.is_leaf()).then_some(list)
    }

    /// Active only where nobody asked.
    fn is_elsewhere(&self, show: &Show, rsc: RscIx) -> bool {
        show.only_nodes.is_some()
            && self.sched.is_active(rsc, false)
            && !self.sched.leaves(rsc).into_iter().any(|leaf| {
                self.sched.rscs[leaf].active.iter().any(|node| self.wants_node(show, *node))
            })
    }

    /// The primitives of a resource, those a bundle makes up included.
    pub fn parts_of(&self, rsc: RscIx) -> Vec<RscIx> {
        let r = &self.sched.rscs[rsc];
        match r.variant {
            Variant::Bundle => r.bundle.replicas.iter().flat_map(replica_members).collect(),
            _ => self.sched.leaves(rsc),
        }
    }

    /// One resource with what is below it.
    pub fn resource_xml(&self, rsc: RscIx, show: &Show) -> Option<Element> {
        let r = &self.sched.rscs[rsc];
        if !self.wants_resource(show, rsc) {
            return None;
        }
        match r.variant {
            _ if self.is_elsewhere(show, rsc) => None,
            Variant::Bundle => self.bundle_xml(rsc, show),
            Variant::Primitive => Some(self.primitive_xml(rsc, None, show)),
            Variant::Group => Some(self.group_xml(rsc, show)),
            Variant::Clone => Some(self.clone_xml(rsc, show)),
        }
    }

    fn children_into(&self, parent: RscIx, show: &Show, element: &mut Element) {
        let whole = self.names_resource(show, parent) || self.is_below_named(show, parent);
        for child in self.sched.rscs[parent].children.iter().copied() {
            let named = whole
                || self.sched.tree(child).into_iter().any(|below| self.names_resource(show, below));
            if named && let Some(child) = self.resource_xml(child, show) {
                element.push(child);
            }
        }
    }

    fn is_below_named(&self, show: &Show, rsc: RscIx) -> bool {
        let mut above = self.sched.rscs[rsc].parent;
        while let Some(parent) = above {
            if self.names_resource(show, parent) {
                return true;
            }
            above = self.sched.rscs[parent].parent;
        }
        false
    }

    fn group_xml(&self, rsc: RscIx, show: &Show) -> Element {
        let r = &self.sched.rscs[rsc];
        let mut below = Element::new("group");
        self.children_into(rsc, show, &mut below);
        let mut element = Element::new("group")
            .with("id", r.id.as_str())
            .with("number_resources", below.children().count().to_string())
            .with("maintenance", flag(r.maintenance))
            .with("managed", flag(r.managed))
            .with("disabled", flag(self.sched.is_disabled(rsc)));
        self.describe(r, show, &mut element);
        for child in below.shared_children() {
            element.push(child.clone());
        }
        element
    }

    fn clone_xml(&self, rsc: RscIx, show: &Show) -> Element {
        let r = &self.sched.rscs[rsc];
        let mut element = Element::new("clone")
            .with("id", r.id.as_str())
            .with("multi_state", flag(r.promotable))
            .with("unique", flag(r.unique))
            .with("maintenance", flag(r.maintenance))
            .with("managed", flag(r.managed))
            .with("disabled", flag(self.sched.is_disabled(rsc)))
            .with("failed", flag(r.failed))
            .with("failure_ignored", flag(r.ignore_failure));
        if let Some(role) = r.meta.get("target-role") {
            element.set("target_role", role.as_str());
        }
        self.describe(r, show, &mut element);
        self.children_into(rsc, show, &mut element);
        element
    }

    fn bundle_xml(&self, rsc: RscIx, show: &Show) -> Option<Element> {
        let r = &self.sched.rscs[rsc];
        let mut element = Element::new("bundle")
            .with("id", r.id.as_str())
            .with("type", r.bundle.runtime.as_str())
            .with("image", r.bundle.image.as_str())
            .with("unique", flag(r.unique))
            .with("maintenance", flag(r.maintenance))
            .with("managed", flag(r.managed))
            .with("failed", flag(r.failed));
        self.describe(r, show, &mut element);
        let whole = self.names_resource(show, rsc);
        for replica in &r.bundle.replicas {
            if self.is_elsewhere(show, replica.container) {
                continue;
            }
            let members: Vec<RscIx> = replica_members(replica)
                .filter(|member| whole || self.names_resource(show, *member))
                .collect();
            if members.is_empty() {
                continue;
            }
            let mut part = Element::new("replica").with("id", replica.index.to_string());
            for member in members {
                part.push(self.primitive_xml(member, None, show));
            }
            element.push(part);
        }
        (!element.is_leaf()).then_some(element)
    }

    fn describe(&self, resource: &Resource, show: &Show, element: &mut Element) {
        if show.description
            && let Some(text) = resource.xml.get("description")
        {
            element.set("description", text);
        }
    }

    /// A primitive; below its node (`on`) the nodes are left out.
    pub fn primitive_xml(&self, rsc: RscIx, on: Option<NodeIx>, show: &Show) -> Element {
        let r = &self.sched.rscs[rsc];
        let promotable = self.sched.rscs[self.sched.uber(rsc)].promotable;
        let role =
            if r.orig_role == Role::Started && promotable { Role::Unpromoted } else { r.orig_role };
        let mut element = Element::new("resource")
            .with("id", self.sched.printable_id(rsc))
            .with("resource_agent", self.agent_text(rsc))
            .with("role", role.name());
        if let Some(role) = r.meta.get("target-role") {
            element.set("target_role", role.as_str());
        }
        let nodes = &r.active;
        element = element
            .with("active", flag(self.sched.is_active(rsc, true)))
            .with("orphaned", flag(r.removed))
            .with("removed", flag(r.removed))
            .with("blocked", flag(r.blocked))
            .with("maintenance", flag(r.maintenance))
            .with("managed", flag(r.managed))
            .with("failed", flag(r.failed))
            .with("failure_ignored", flag(r.ignore_failure))
            .with("nodes_running_on", nodes.len().to_string());
        let pending = match r.pending_action.as_deref() {
            Some("start") => Some("Starting"),
            Some("stop") => Some("Stopping"),
            Some("migrate_to" | "migrate_from") => Some("Migrating"),
            Some("promote") => Some("Promoting"),
            Some("demote") => Some("Demoting"),
            Some("monitor") => Some("Monitoring"),
            _ => None,
        };
        if let Some(pending) = pending {
            element.set("pending", pending);
        }
        if let Some(node) = r.lock_node {
            element.set("locked_to", self.sched.nodes[node].name.as_str());
        }
        self.describe(r, show, &mut element);
        if on.is_none() {
            for node in nodes {
                let n = &self.sched.nodes[*node];
                let node =
                    Element::new("node").with("name", n.name.as_str()).with("id", n.id.as_str());
                element.push(node.with("cached", flag(n.online)));
            }
        }
        element
    }
}
