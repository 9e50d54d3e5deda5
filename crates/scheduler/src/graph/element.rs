//! One action as XML. Source: `spec/scheduler-graph.md` §2.

use ecow::{EcoString, eco_format};
use xml::Element;

use crate::action::flag;
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Attrs, Sched, Variant};
use crate::orderings_base_task as base_task;
use crate::text::{notify_key, op_key};

impl Sched {
    /// The key that the executor will report, where it differs from the action's own.
    pub(crate) fn history_key(&self, ix: ActIx) -> Option<EcoString> {
        let action = &self.actions[ix];
        let name = self.rscs[action.rsc?].history_id.as_ref()?;
        let interval =
            self.action_meta_int(ix, "interval").unwrap_or(0).clamp(0, i64::from(u32::MAX));
        let interval = interval as u32;
        Some(if action.task == "notify" {
            let field = |name: &str| action.meta.get(name).map_or("", |v| v.as_str());
            notify_key(name, field("notify_type"), field("notify_operation")).into()
        } else if let Some(task) = &action.cancel_task {
            op_key(name, task, interval).into()
        } else {
            op_key(name, &action.task, interval).into()
        })
    }

    /// The cluster node that executes an action on a remote or guest node.
    fn router(&self, ix: ActIx, node: NodeIx) -> Option<NodeIx> {
        let action = &self.actions[ix];
        if !self.is_remote_kind(node) || action.task == "stonith" {
            return None;
        }
        let connection = self.nodes[node].connection?;
        let began = self.current_node(connection);
        let ended = self.rscs[connection].assigned.map(|placed| placed.node);
        let (began, ended) = match (began, ended) {
            (None, other) | (other, None) => return other,
            (Some(a), Some(b)) if a == b => return Some(a),
            (Some(a), Some(b)) => (a, b),
        };
        let task = if action.task == "notify" {
            action.meta.get("notify_operation").map_or("notify", |t| t.as_str())
        } else {
            action.task.as_str()
        };
        let partial = self.rscs[connection].partial_target.is_some();
        let before = match task {
            "cancel" | "stop" | "demote" | "migrate_to" | "migrate_from" => {
                !(partial && self.rscs[connection].launcher.is_none())
            }
            _ => false,
        };
        Some(if before { began } else { ended })
    }

    /// An action's element; the full form for the action set, the short one for a trigger.
    pub(crate) fn action_element(&self, ix: ActIx, full: bool) -> Element {
        let action = &self.actions[ix];
        let pseudo = action.is(flag::PSEUDO);
        let name = match action.task.as_str() {
            "stonith" if pseudo => "pseudo_event",
            "stonith" | "do_shutdown" | "clear_failcount" | "lrm_delete" => "crm_event",
            _ if pseudo => "pseudo_event",
            _ => "rsc_op",
        };
        let mut xml = Element::new(name);
        if action.task == "lrm_delete" {
            xml.set("mode", "cib");
        }
        xml.set("id", (crate::ids::Id::index(ix) + 1).to_string());
        xml.set("operation", action.task.clone());
        match self.history_key(ix) {
            Some(key) => {
                xml.set("operation_key", key);
                xml.set("internal_operation_key", action.key.clone());
            }
            None => xml.set("operation_key", action.key.clone()),
        }
        if let Some(node) = self.element_node(ix) {
            xml.set("on_node", self.nodes[node].name.clone());
            xml.set("on_node_uuid", self.nodes[node].id.clone());
            if let Some(router) = self.router(ix, node) {
                xml.set("router_node", self.nodes[router].name.clone());
            }
        }
        if full {
            self.add_details(ix, &mut xml);
        }
        xml
    }

    /// The node that an action's element names: markers have none, except those of fencing.
    fn element_node(&self, ix: ActIx) -> Option<NodeIx> {
        let action = &self.actions[ix];
        action.node.filter(|_| action.not(flag::PSEUDO) || action.task == "stonith")
    }

    fn add_details(&self, ix: ActIx, xml: &mut Element) {
        let action = &self.actions[ix];
        if let Some(rsc) = action.rsc
            && action.not(flag::PSEUDO)
        {
            self.add_primitive(ix, rsc, xml);
        }
        xml.push(self.attributes_element(ix));
        self.add_downed(ix, xml);
        if self.actions[ix].task == "maintenance_nodes" {
            let mut list = Element::new("maintenance");
            for node in self.node_order.iter().copied() {
                let n = &self.nodes[node];
                if self.is_remote_kind(node) && n.maintenance != n.remote_maint {
                    list.push(
                        Element::new("node")
                            .with("id", n.id.clone())
                            .with("node_in_maintenance", if n.maintenance { "1" } else { "0" }),
                    );
                }
            }
            xml.push(list);
        }
    }

    fn add_primitive(&self, ix: ActIx, rsc: RscIx, xml: &mut Element) {
        let (action, r) = (&self.actions[ix], &self.rscs[rsc]);
        if let (Some(locked), Some(node)) = (r.lock_node, action.node)
            && locked == node
            && !(self.nodes[node].shutdown && action.task != "stop")
        {
            xml.set("shutdown-lock", r.lock_time.to_string());
        }
        let mut element = Element::new(r.xml.name());
        let xml_id = r.xml.id().unwrap_or(&r.id);
        match &r.history_id {
            Some(history) if r.removed => {
                element.set("id", history.clone());
                element.set("long-id", r.id.clone());
            }
            _ if r.unique => element.set("id", r.id.clone()),
            Some(history) if history != xml_id => {
                element.set("id", xml_id);
                element.set("long-id", history.clone());
            }
            _ => {
                element.set("id", xml_id);
                element.set("long-id", r.id.clone());
            }
        }
        for name in ["class", "provider", "type"] {
            if let Some(value) = r.xml.get(name) {
                element.set(name, value);
            }
        }
        xml.push(element);
    }

    fn attributes_element(&self, ix: ActIx) -> Element {
        let action = &self.actions[ix];
        let mut attrs = Attrs::new();
        let mut digits: Vec<(EcoString, EcoString)> = Vec::new();
        let feature_set = if self.compat_2_1 { crate::FEATURE_SET_2_1 } else { crate::FEATURE_SET };
        attrs.insert("crm_feature_set".into(), feature_set.into());
        let mut add = |name: &EcoString, value: &EcoString| {
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                digits.push((name.clone(), value.clone()));
            } else {
                attrs.insert_new(name.clone(), value.clone());
            }
        };
        for (name, value) in &action.extra {
            add(name, value);
        }
        if let Some(rsc) = action.rsc {
            if self.is_uname_connection(rsc)
                && let Some(host) = self.bundle_remote_host(rsc)
            {
                add(&"addr".into(), &self.nodes[host].name);
            }
            if let Some(node) = action.node {
                for (name, value) in self.params(rsc, Some(node)).iter() {
                    add(name, value);
                }
            } else if self.is_primitive(rsc) {
                for (name, value) in self.params(rsc, None).iter() {
                    add(name, value);
                }
            }
        }
        if let Some(node) = self.element_node(ix) {
            add(&"CRM_meta_on_node".into(), &self.nodes[node].name);
            add(&"CRM_meta_on_node_uuid".into(), &self.nodes[node].id);
        }
        for (name, value) in action.meta.iter() {
            if name.contains(['#', ':']) {
                continue;
            }
            let name = eco_format!("CRM_meta_{}", name.as_str().replace('-', "_"));
            add(&name, value);
        }
        let mut at = action.rsc;
        while let Some(rsc) = at {
            self.add_environment(rsc, &mut add);
            at = self.rscs[rsc].parent;
        }
        self.add_host(ix, &mut add);
        let mut element = Element::new("attributes");
        for (name, value) in attrs {
            element.set(&name, value);
        }
        for (name, value) in digits {
            element.push(Element::new("param").with("name", name).with("value", value));
        }
        element
    }

    /// What agents learn of the collective they belong to.
    fn add_environment(&self, rsc: RscIx, add: &mut dyn FnMut(&EcoString, &EcoString)) {
        let r = &self.rscs[rsc];
        match r.variant {
            Variant::Primitive => {
                for (meta, name) in [
                    ("clone", "CRM_meta_clone"),
                    ("remote-node", "CRM_meta_remote_node"),
                    ("external-ip", "pcmk_external_ip"),
                ] {
                    if let Some(value) = r.meta.get(meta) {
                        add(&name.into(), value);
                    }
                }
                let mut at = Some(rsc);
                while let Some(current) = at {
                    if let Some(launcher) = self.rscs[current].launcher {
                        add(&"CRM_meta_container".into(), &self.rscs[launcher].id);
                    }
                    at = self.rscs[current].parent;
                }
            }
            Variant::Clone => {
                let boolean = |value: bool| if value { "true" } else { "false" };
                let data = &r.clone;
                let mut number = |name: &str, value: i32| {
                    add(&eco_format!("CRM_meta_{name}"), &eco_format!("{value}"));
                };
                number("clone_max", data.clone_max);
                number("clone_node_max", data.clone_node_max);
                if r.promotable {
                    number("promoted_max", data.promoted_max);
                    number("promoted_node_max", data.promoted_node_max);
                    number("master_max", data.promoted_max);
                    number("master_node_max", data.promoted_node_max);
                }
                add(&"CRM_meta_globally_unique".into(), &boolean(r.unique).into());
                add(&"CRM_meta_notify".into(), &boolean(r.notify).into());
            }
            Variant::Group | Variant::Bundle => {}
        }
    }

    fn add_host(&self, ix: ActIx, add: &mut dyn FnMut(&EcoString, &EcoString)) {
        let action = &self.actions[ix];
        let (Some(rsc), Some(node)) = (action.rsc, action.node) else { return };
        let Some(launcher) = self.guest_launcher(node) else { return };
        let task = if matches!(action.task.as_str(), "notify" | "notified") {
            action.meta.get("notify_operation").map_or("", |t| t.as_str())
        } else {
            action.task.as_str()
        };
        let host = match base_task(task) {
            "stop" | "demote" => self.current_node(launcher),
            "start" | "monitor" | "promote" => self.rscs[launcher].assigned.map(|p| p.node),
            _ => None,
        };
        let Some(host) = host else { return };
        if let Some(target) = self.rscs[rsc].meta.get("container-attribute-target") {
            add(&"CRM_meta_container_attribute_target".into(), target);
        }
        add(&"CRM_meta_physical_host".into(), &self.nodes[host].name);
    }

    fn add_downed(&self, ix: ActIx, xml: &mut Element) {
        let action = &self.actions[ix];
        let mut downed: Vec<EcoString> = Vec::new();
        match action.task.as_str() {
            "do_shutdown" => downed.extend(action.node.map(|n| self.nodes[n].id.clone())),
            "stonith" => {
                let op = action.meta.get("stonith_action").map_or("", |op| op.as_str());
                if matches!(op, "off" | "reboot") {
                    downed.extend(action.node.map(|n| self.nodes[n].id.clone()));
                    let running = action.node.map(|n| self.nodes[n].running.clone());
                    for rsc in running.into_iter().flatten() {
                        let guest =
                            self.node_order.iter().copied().find(|n| {
                                self.nodes[*n].connection == Some(rsc) && self.is_guest(*n)
                            });
                        downed.extend(guest.map(|n| self.nodes[n].id.clone()));
                    }
                }
            }
            "stop" if action.not(flag::PSEUDO) => {
                let Some(rsc) = action.rsc.filter(|r| self.rscs[*r].is_connection) else { return };
                let migrating = action.before.iter().any(|relation| {
                    let input = &self.actions[relation.action];
                    input.rsc == Some(rsc) && input.task == "migrate_from"
                });
                if !migrating {
                    downed.push(self.rscs[rsc].id.clone());
                }
            }
            _ => {}
        }
        if downed.is_empty() {
            return;
        }
        let mut list = Element::new("downed");
        for id in downed {
            list.push(Element::new("node").with("id", id));
        }
        xml.push(list);
    }
}
