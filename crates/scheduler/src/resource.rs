//! Unpacking one resource: template, meta attributes, and what each variant adds.
//! Source: `spec/scheduler-unpack.md` §6.

use std::sync::Arc;

use ecow::{EcoString, eco_format};
use xml::Element;

use crate::ids::{NodeIx, RscIx};
use crate::model::{Attrs, MultipleActive, Resource, Role, Sched, Severity, Variant};
use crate::options::NoQuorum;
use crate::rules::{RuleInput, unpack_blocks};
use crate::score::{self, INFINITY};
use crate::text::{is_true, parse_bool, parse_interval, scan_min_int};
use crate::unpack::{is_connection_xml, to_numbers};

/// More instances than this of one clone are not created, whatever the configuration says.
const INSTANCES_MAX: i32 = 10_000;

/// What kind of resources agents of a class can be.
pub(crate) struct Capabilities {
    /// May be a globally unique clone.
    pub unique: bool,
    /// May be promoted.
    pub promotable: bool,
}

pub(crate) fn capabilities(class: &str) -> Capabilities {
    let is = |word: &str| class.eq_ignore_ascii_case(word);
    Capabilities { unique: is("ocf") || is("stonith"), promotable: is("ocf") }
}

impl Sched {
    /// Unpacks a resource element; `None` if it is invalid.
    pub(crate) fn unpack_resource(
        &mut self,
        xml: &Arc<Element>,
        parent: Option<RscIx>,
        clone_number: Option<EcoString>,
    ) -> Option<RscIx> {
        let xml_id: EcoString = xml.id()?.into();
        let xml = self.expand_template(xml)?;
        let variant = match xml.name() {
            "primitive" | "lrm_resource" => Variant::Primitive,
            "group" => Variant::Group,
            "clone" | "master" => Variant::Clone,
            "bundle" => Variant::Bundle,
            _ => return None,
        };
        let id = match &clone_number {
            Some(n) => eco_format!("{xml_id}:{n}"),
            None => xml_id,
        };
        let mut rsc = new_resource(id, xml.clone(), variant, parent, clone_number);
        rsc.meta = self.meta_attributes(&rsc);
        let ix = self.rscs.push(rsc);
        self.fill_fields(ix);
        let valid = match variant {
            Variant::Primitive => self.unpack_primitive(ix),
            Variant::Group => self.unpack_group(ix),
            Variant::Clone => self.unpack_clone(ix),
            Variant::Bundle => self.unpack_bundle(ix),
        };
        if !valid {
            return None;
        }
        let nodes: Vec<NodeIx> = if self.options.symmetric {
            self.node_order.clone()
        } else if self.rscs[ix].is_connection && self.rscs[ix].meta.contains_key("container") {
            // Guests may run wherever their container does.
            self.node_order.clone()
        } else {
            Vec::new()
        };
        for node in nodes {
            self.add_score_unless(ix, node, 0, true, &crate::trace::Source::Base);
        }
        let mut found = Attrs::new();
        unpack_blocks(&xml, "utilization", None, &self.rule_input(), false, &mut found);
        self.rscs[ix].utilization = to_numbers(found);
        self.register_template(ix);
        Some(ix)
    }

    fn register_template(&mut self, rsc: RscIx) {
        // The expanded element no longer names its template; the marker attribute does.
        let r = &self.rscs[rsc];
        let Some(template) = r.xml.get("template").map(EcoString::from) else { return };
        let id: EcoString = r.xml.id().unwrap_or("").into();
        let list = self.templates.entry(template).or_default();
        if !list.contains(&id) {
            list.push(id);
        }
    }

    fn expand_template(&mut self, xml: &Arc<Element>) -> Option<Arc<Element>> {
        let Some(name) = xml.get("template") else { return Some(xml.clone()) };
        if xml.id() == Some(name) {
            return None;
        }
        let Some(template) = self.template_xml.get(name).cloned() else {
            let text = format!("No template named '{name}'");
            self.say(Severity::ConfigError, "unpack_template", text);
            return None;
        };
        let mut expanded = (*template).clone();
        expanded.rename(xml.name());
        expanded.set("id", xml.id()?);
        expanded.set("template", name);
        let own_ops = xml.child("operations");
        let template_ops: Vec<Element> = template
            .child("operations")
            .map(|ops| ops.children().cloned().collect())
            .unwrap_or_default();
        if own_ops.is_some() {
            expanded.retain_children(|c| c.name() != "operations");
        }
        for child in xml.children() {
            if child.name() != "operations" {
                expanded.push(child.clone());
                continue;
            }
            let mut ops = child.clone();
            let keys: Vec<_> = ops.children().map(op_identity).collect();
            for op in &template_ops {
                if !keys.contains(&op_identity(op)) {
                    ops.push(op.clone());
                }
            }
            expanded.push(ops);
        }
        Some(Arc::new(expanded))
    }

    fn meta_attributes(&mut self, rsc: &Resource) -> Attrs {
        let mut meta = Attrs::new();
        for (name, value) in rsc.xml.attrs() {
            meta.insert(name.into(), value.into());
        }
        if let Some(n) = &rsc.clone_number {
            meta.insert("clone".into(), n.clone());
            meta.insert("id".into(), rsc.id.clone());
        }
        let agent = (
            rsc.xml.get("class").unwrap_or(""),
            rsc.xml.get("provider"),
            rsc.xml.get("type").unwrap_or(""),
        );
        let input = RuleInput { agent: Some(agent), ..self.rule_input() };
        unpack_blocks(&rsc.xml, "meta_attributes", None, &input, false, &mut meta);
        let mut merge = |from: Attrs| {
            for (name, value) in from {
                meta.insert_new(name, value);
            }
        };
        let mut at = rsc.parent;
        while let Some(ancestor) = at {
            let mut found = Attrs::new();
            let xml = &self.rscs[ancestor].xml;
            unpack_blocks(xml, "meta_attributes", None, &input, false, &mut found);
            merge(found);
            at = self.rscs[ancestor].parent;
        }
        if let Some(defaults) = &self.rsc_defaults {
            let mut found = Attrs::new();
            unpack_blocks(defaults, "meta_attributes", None, &input, false, &mut found);
            merge(found);
        }
        if let Some(parent) = rsc.parent {
            merge(self.rscs[parent].meta.clone());
        }
        let change = input.next_change.get();
        self.recheck_at(change);
        meta
    }

    fn fill_fields(&mut self, ix: RscIx) {
        let meta = self.rscs[ix].meta.clone();
        let get = |name: &str| meta.get(name).map(EcoString::as_str);
        let health = self.options.health;
        let score = |name: &str| get(name).and_then(|s| score::parse(s, health));
        let maintenance_mode = self.options.maintenance;
        let uber = self.uber(ix);
        let top_is_clone = self.rscs[uber].variant == Variant::Clone;
        let params =
            if is_connection_xml(&self.rscs[ix].xml) { Some(self.params(ix, None)) } else { None };
        let is_guest_connection = params.is_some() && meta.contains_key("container");

        let r = &mut self.rscs[ix];
        r.managed = !maintenance_mode;
        r.priority = score("priority").unwrap_or(0);
        r.critical = get("critical").and_then(parse_bool) != Some(false);
        r.notify = is_true(get("notify"));
        if let Some(params) = &params {
            r.is_connection = true;
            r.is_remote = !is_guest_connection;
            if let Some(reconnect) = params.get("reconnect_interval").filter(|_| r.is_remote) {
                r.remote_reconnect_ms = parse_interval(Some(reconnect));
            }
        }
        r.migratable = match get("allow-migrate") {
            Some(value) => is_true(Some(value)),
            None => r.is_remote,
        };
        if let Some(value) = get("is-managed")
            && !value.eq_ignore_ascii_case("default")
        {
            r.managed = match parse_bool(value) {
                Some(managed) => managed,
                None => r.managed,
            };
        }
        if is_true(get("maintenance")) || maintenance_mode {
            r.managed = false;
            r.maintenance = true;
        }
        if top_is_clone {
            let node_max = get("clone-node-max").and_then(crate::text::scan_int).unwrap_or(1);
            r.unique = match get("globally-unique") {
                Some(value) => is_true(Some(value)),
                None => node_max > 1,
            };
            r.promotable = is_true(get("promotable"));
        } else {
            r.unique = true;
        }
        r.multiple_active = match get("multiple-active").map(str::to_ascii_lowercase).as_deref() {
            Some("stop_only") => MultipleActive::StopOnly,
            Some("block") => MultipleActive::Block,
            Some("stop_unexpected") => MultipleActive::StopUnexpected,
            _ => MultipleActive::StopStart,
        };
        r.stickiness = score("resource-stickiness").unwrap_or(0);
        r.ban_after_failures = match score("migration-threshold") {
            Some(n) if n >= 0 => n,
            _ => INFINITY,
        };
        if r.xml.get("class") == Some("stonith") {
            r.fence_device = true;
            self.have_fencing = true;
        }
        self.unpack_requires(ix, get("requires"));
        let r = &mut self.rscs[ix];
        r.failure_timeout_ms = if r.remote_reconnect_ms != 0 {
            r.remote_reconnect_ms
        } else {
            parse_interval(get("failure-timeout"))
        };
        if let Some(role) = self.target_role(ix) {
            self.rscs[ix].next_role = role;
        }
    }

    fn unpack_requires(&mut self, ix: RscIx, value: Option<&str>) {
        let fencing = self.options.fencing;
        let (fence_device, is_connection) = {
            let r = &self.rscs[ix];
            (r.fence_device, r.is_connection && r.variant == Variant::Primitive)
        };
        let default = || {
            if fence_device || is_connection {
                "quorum"
            } else if self.unfencing_enabled {
                "unfencing"
            } else if fencing {
                "fencing"
            } else if self.options.no_quorum == NoQuorum::Ignore {
                "nothing"
            } else {
                "quorum"
            }
        };
        let lower = value.map(str::to_ascii_lowercase);
        let mut wanted = match lower.as_deref() {
            Some(known @ ("nothing" | "quorum" | "fencing" | "unfencing")) => match known {
                "nothing" => "nothing",
                "quorum" => "quorum",
                "fencing" => "fencing",
                _ => "unfencing",
            },
            _ => default(),
        };
        if wanted == "unfencing" && (fence_device || !fencing) {
            wanted = "quorum";
        }
        if wanted == "fencing" && !fencing {
            let text = format!("{} requires fencing but fencing is disabled", self.rscs[ix].id);
            self.say(Severity::ConfigWarning, "unpack_requires", text);
        }
        let r = &mut self.rscs[ix];
        r.needs_quorum = wanted == "quorum";
        r.needs_fencing = matches!(wanted, "fencing" | "unfencing");
        r.needs_unfencing = wanted == "unfencing";
    }

    fn unpack_primitive(&mut self, ix: RscIx) -> bool {
        let uber = self.uber(ix);
        let class: EcoString = self.rscs[ix].xml.get("class").unwrap_or("").into();
        let can = capabilities(&class);
        if self.rscs[ix].promotable && !can.promotable {
            let text = format!(
                "Resource {} is of type {class} and therefore cannot be used as a promotable clone \
                 resource",
                self.rscs[ix].id
            );
            self.say(Severity::ConfigError, "native_unpack", text);
            return false;
        }
        if self.rscs[ix].unique && self.rscs[uber].variant == Variant::Clone && !can.unique {
            self.force_anonymous(uber, ix);
        }
        true
    }

    fn force_anonymous(&mut self, clone: RscIx, member: RscIx) {
        let nodes = i32::try_from(self.node_order.len()).unwrap_or(i32::MAX);
        let data = &mut self.rscs[clone].clone;
        data.clone_node_max = 1;
        data.clone_max = data.clone_max.min(nodes);
        // The member (and its group) may not be among the clone's children yet.
        let mut affected = self.tree(clone);
        let mut at = Some(member);
        while let Some(rsc) = at.filter(|rsc| *rsc != clone) {
            affected.push(rsc);
            at = self.rscs[rsc].parent;
        }
        for r in affected {
            let r = &mut self.rscs[r];
            r.unique = false;
            r.meta.insert("globally-unique".into(), "false".into());
        }
    }

    fn unpack_group(&mut self, ix: RscIx) -> bool {
        let flag =
            |meta: &Attrs, name: &str| meta.get(name).and_then(|v| parse_bool(v)) != Some(false);
        let r = &mut self.rscs[ix];
        r.ordered = flag(&r.meta, "ordered");
        r.colocated = flag(&r.meta, "collocated");
        let (xml, number) = (r.xml.clone(), r.clone_number.clone());
        for child in xml.shared_children().filter(|c| c.name() == "primitive") {
            if let Some(member) = self.unpack_resource(child, Some(ix), number.clone()) {
                self.rscs[ix].children.push(member);
            }
        }
        !self.rscs[ix].children.is_empty()
    }

    fn unpack_clone(&mut self, ix: RscIx) -> bool {
        let nodes = i32::try_from(self.node_order.len()).unwrap_or(i32::MAX).max(1);
        let r = &mut self.rscs[ix];
        let get = |name: &str| r.meta.get(name).map(EcoString::as_str);
        let non_negative =
            |value: Option<&str>, default: i32| match value.and_then(crate::text::scan_int) {
                Some(n) => n.clamp(0, i64::from(i32::MAX)) as i32,
                None => default,
            };
        let mut data = crate::model::CloneData {
            clone_max: non_negative(get("clone-max"), nodes),
            clone_node_max: non_negative(get("clone-node-max"), 1),
            ordered: is_true(get("ordered")),
            ..Default::default()
        };
        if r.promotable {
            data.promoted_max = non_negative(get("promoted-max").or_else(|| get("master-max")), 1);
            data.promoted_node_max =
                non_negative(get("promoted-node-max").or_else(|| get("master-node-max")), 1);
        }
        if !r.unique {
            data.clone_node_max = 1;
        }
        data.child_xml =
            r.xml.shared_children().find(|c| matches!(c.name(), "primitive" | "group")).cloned();
        if data.child_xml.is_none() {
            return false;
        }
        r.meta.insert_new("resource-stickiness".into(), "1".into());
        let unique = if r.unique { "true" } else { "false" };
        r.meta.insert("globally-unique".into(), unique.into());
        let instances = data.clone_max.clamp(1, INSTANCES_MAX);
        r.clone = data;
        for _ in 0..instances {
            if self.create_instance(ix).is_none() {
                return false;
            }
        }
        true
    }

    /// Adds an instance to a clone.
    pub(crate) fn create_instance(&mut self, clone: RscIx) -> Option<RscIx> {
        let data = &mut self.rscs[clone].clone;
        let number = data.instances_created;
        data.instances_created += 1;
        let beyond = number >= data.clone_max;
        let xml = data.child_xml.clone()?;
        let child = self.unpack_resource(&xml, Some(clone), Some(eco_format!("{number}")))?;
        if beyond {
            for r in self.tree(child) {
                self.rscs[r].removed = true;
            }
        }
        let clone_max = eco_format!("{}", self.rscs[clone].clone.clone_max);
        self.rscs[child].meta.insert("clone-max".into(), clone_max);
        self.rscs[clone].children.push(child);
        Some(child)
    }

    /// Instance attributes of a resource, with the attributes of a node for rules.
    pub(crate) fn params(&self, rsc: RscIx, node: Option<NodeIx>) -> Arc<Attrs> {
        if let Some(known) = self.params_cache.borrow().get(&(rsc, node)) {
            return known.clone();
        }
        let mut found = Attrs::new();
        let input = RuleInput {
            node_attrs: node.map(|n| &self.nodes[n].attrs),
            agent: Some(self.agent(rsc)),
            ..self.rule_input()
        };
        let mut at = Some(rsc);
        while let Some(current) = at {
            let r = &self.rscs[current];
            unpack_blocks(&r.xml, "instance_attributes", None, &input, false, &mut found);
            at = r.parent;
        }
        let found = Arc::new(found);
        self.params_cache.borrow_mut().insert((rsc, node), found.clone());
        found
    }

    /// Configured operations of a resource in document order.
    pub(crate) fn ops(&self, rsc: RscIx) -> Vec<Arc<Element>> {
        self.rscs[rsc]
            .xml
            .child("operations")
            .map(|ops| ops.shared_children().filter(|op| op.name() == "op").cloned().collect())
            .unwrap_or_default()
    }

    /// The configured operation of that name and interval.
    pub(crate) fn find_op(
        &self,
        rsc: RscIx,
        name: &str,
        interval_ms: u32,
        include_disabled: bool,
    ) -> Option<Arc<Element>> {
        let ops = self.rscs[rsc].xml.child("operations")?;
        ops.shared_children()
            .find(|op| {
                op.get("name") == Some(name)
                    && parse_interval(op.get("interval")) == interval_ms
                    && (include_disabled || op.get("enabled").and_then(parse_bool) != Some(false))
            })
            .cloned()
    }

    /// Is this the number of a clone's nodes and is it on all of them?
    pub(crate) fn is_universal(&self, clone: RscIx) -> bool {
        usize::try_from(self.rscs[clone].clone.clone_max) == Ok(self.node_order.len())
    }

    /// Sorts a collective's children by instance number.
    pub(crate) fn sort_children_by_number(&mut self, rsc: RscIx) {
        let mut children = std::mem::take(&mut self.rscs[rsc].children);
        children.sort_by_key(|child| instance_number(&self.rscs[*child].id));
        self.rscs[rsc].children = children;
    }

    /// An integer meta attribute, not negative.
    pub(crate) fn meta_int(&self, rsc: RscIx, name: &str) -> Option<i32> {
        self.rscs[rsc].meta.get(name).map(|v| scan_min_int(Some(v), 0))
    }
}

/// The number at the end of an instance's id: after the last colon, else after the last dash.
pub(crate) fn instance_number(id: &str) -> i64 {
    let digits = match (id.rfind(':'), id.rfind('-')) {
        (Some(at), _) | (None, Some(at)) => &id[at + 1..],
        (None, None) => "",
    };
    crate::text::scan_int(digits).unwrap_or(-1)
}

fn op_identity(op: &Element) -> (EcoString, Option<Role>) {
    let role = match op.get("role").and_then(Role::parse) {
        None | Some(Role::Started | Role::Unpromoted | Role::Unknown) => None,
        other => other,
    };
    (op.get("name").unwrap_or("").into(), role)
}

fn new_resource(
    id: EcoString,
    xml: Arc<Element>,
    variant: Variant,
    parent: Option<RscIx>,
    clone_number: Option<EcoString>,
) -> Resource {
    Resource {
        id,
        xml,
        variant,
        parent,
        children: Vec::new(),
        clone_number,
        meta: Attrs::new(),
        utilization: Default::default(),
        unassigned: true,
        assigning: false,
        managed: true,
        blocked: false,
        removed: false,
        removed_launched: false,
        failed: false,
        stop_if_failed: false,
        unique: false,
        promotable: false,
        notify: false,
        needs_quorum: false,
        needs_fencing: false,
        needs_unfencing: false,
        fence_device: false,
        is_connection: false,
        is_remote: false,
        remote_nesting_allowed: false,
        replica_container: false,
        migratable: false,
        critical: true,
        maintenance: false,
        exclusive_probes: false,
        ignore_failure: false,
        start_pending: false,
        reload: false,
        stop_unexpected: false,
        restarting: false,
        updating_nodes: false,
        ordered: false,
        colocated: false,
        orig_role: Role::Stopped,
        next_role: Role::Unknown,
        multiple_active: MultipleActive::StopStart,
        priority: 0,
        promotion_priority: 0,
        stickiness: 0,
        ban_after_failures: INFINITY,
        failure_timeout_ms: 0,
        remote_reconnect_ms: 0,
        allowed: Default::default(),
        probed: Default::default(),
        active: Vec::new(),
        assigned: None,
        lock_node: None,
        lock_time: 0,
        history_id: None,
        pending_action: None,
        pending_node: None,
        partial_source: None,
        partial_target: None,
        dangling_sources: Vec::new(),
        launcher: None,
        launched: Vec::new(),
        actions: Vec::new(),
        by_key: Vec::new(),
        task_keys: Vec::new(),
        locations: Vec::new(),
        this_with: Vec::new(),
        with_this: Vec::new(),
        tickets: Vec::new(),
        clone: Default::default(),
        bundle: Default::default(),
        notify_sets: Default::default(),
    }
}
