//! First stage: the configuration becomes nodes and resources.
//! Source: `spec/scheduler-unpack.md` §4–5 and §7–8.

use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use crate::ids::{Allowed, NodeIx, ProbeMode, RscIx};
use crate::model::{Node, NodeKind, Sched, Severity, Variant};
use crate::rules::unpack_blocks;
use crate::score::{self, INFINITY};
use crate::text;
use crate::trace::Source;

impl Sched {
    /// Reads everything below `configuration` that describes nodes and resources.
    pub(crate) fn unpack_configuration(&mut self) {
        let cib = self.cib.clone();
        self.quorate = text::is_true(cib.get("have-quorum"));
        self.rsc_defaults = only_section(&cib, "rsc_defaults");
        self.op_defaults = only_section(&cib, "op_defaults");
        self.unpack_options();
        let Some(configuration) = cib.child("configuration") else { return };
        if let Some(nodes) = configuration.child("nodes") {
            self.unpack_nodes(nodes);
        }
        let resources = configuration.child("resources").cloned().unwrap_or_default();
        let resources = self.unpack_remote_nodes(resources);
        self.unpack_resources(&resources);
        self.unpack_tags(configuration);
        self.check_fencing_setup();
    }

    fn check_fencing_setup(&mut self) {
        if self.options.fencing && !self.have_fencing {
            for line in [
                "Resource start-up disabled since no STONITH resources have been defined",
                "Either configure some or disable STONITH with the stonith-enabled option",
                "NOTE: Clusters with shared data need STONITH to ensure data integrity",
            ] {
                self.say(Severity::ConfigError, "unpack_resources", line);
            }
        }
    }

    fn unpack_nodes(&mut self, nodes: &Element) {
        for xml in nodes.children_named("node") {
            let Some(id) = xml.id() else {
                self.say(
                    Severity::ConfigError,
                    "unpack_nodes",
                    "Ignoring <node> entry in configuration without id",
                );
                continue;
            };
            let kind = match xml.get("type").map(str::to_ascii_lowercase).as_deref() {
                None | Some("member") => NodeKind::Cluster,
                Some("remote") => NodeKind::Remote,
                Some(_) => return,
            };
            let score =
                xml.get("score").and_then(|s| score::parse(s, self.options.health)).unwrap_or(0);
            let name = xml.get("uname").unwrap_or(id);
            let node = self.create_node(id, name, kind, score);
            if kind == NodeKind::Cluster {
                self.nodes[node].unclean = self.options.startup_fencing;
            }
            self.add_node_attrs(node, xml);
            self.add_node_utilization(node, xml);
        }
    }

    /// Creates a node with its built-in attributes.
    pub(crate) fn create_node(
        &mut self,
        id: &str,
        name: &str,
        kind: NodeKind,
        score: i32,
    ) -> NodeIx {
        let is_dc = self.cib.get("dc-uuid").is_some_and(|dc| dc.eq_ignore_ascii_case(id));
        let mut node = Node {
            id: id.into(),
            name: name.into(),
            kind,
            attrs: Default::default(),
            utilization: Default::default(),
            base: Allowed { score, ..Allowed::default() },
            online: false,
            unclean: false,
            pending: false,
            shutdown: false,
            maintenance: false,
            standby: false,
            fail_standby: false,
            seen: false,
            unpacked: false,
            expected_up: false,
            probes_allowed: true,
            remote_reset: false,
            remote_fenced: false,
            remote_maint: false,
            is_dc: false,
            priority: 0,
            num_resources: 0,
            running: Vec::new(),
            connection: None,
            state: None,
        };
        let mut set = |name: &str, value: &str| node.attrs.insert(name.into(), value.into());
        if kind == NodeKind::Remote {
            set("#kind", "remote");
            self.have_remote_nodes = true;
        } else {
            set("#kind", "cluster");
        }
        set("#uname", name);
        set("#id", id);
        set("#is_dc", if is_dc { "true" } else { "false" });
        if let Some(cluster) = &self.options.cluster_name {
            set("#cluster-name", cluster);
        }
        node.is_dc = is_dc;
        let ix = self.nodes.push(node);
        if is_dc {
            self.dc = Some(ix);
        }
        // Behind all names that are not greater... and before equal ones.
        let at = self
            .node_order
            .iter()
            .position(|n| text::compare_names(name, &self.nodes[*n].name).is_le())
            .unwrap_or(self.node_order.len());
        self.node_order.insert(at, ix);
        self.set_site_name(ix);
        ix
    }

    fn set_site_name(&mut self, node: NodeIx) {
        let attrs = &mut self.nodes[node].attrs;
        let site = attrs.get("site-name").or_else(|| attrs.get("#cluster-name")).cloned();
        if let Some(site) = site {
            attrs.insert("#site-name".into(), site);
        }
    }

    /// Permanent attributes.
    fn add_node_attrs(&mut self, node: NodeIx, xml: &Element) {
        let mut attrs = std::mem::take(&mut self.nodes[node].attrs);
        let current = attrs.clone();
        let mut input = self.rule_input();
        input.node_attrs = Some(&current);
        unpack_blocks(xml, "instance_attributes", None, &input, false, &mut attrs);
        let change = input.next_change.get();
        self.nodes[node].attrs = attrs;
        self.recheck_at(change);
        self.set_site_name(node);
    }

    /// Transient attributes, which win.
    pub(crate) fn overwrite_node_attrs(&mut self, node: NodeIx, xml: &Element) {
        let mut attrs = std::mem::take(&mut self.nodes[node].attrs);
        let current = attrs.clone();
        let mut input = self.rule_input();
        input.node_attrs = Some(&current);
        unpack_blocks(xml, "instance_attributes", None, &input, true, &mut attrs);
        self.nodes[node].attrs = attrs;
        self.set_site_name(node);
        // Capacities may be transient, too.
        self.add_node_utilization(node, xml);
    }

    fn add_node_utilization(&mut self, node: NodeIx, xml: &Element) {
        let mut found = Default::default();
        let attrs = self.nodes[node].attrs.clone();
        let mut input = self.rule_input();
        input.node_attrs = Some(&attrs);
        unpack_blocks(xml, "utilization", None, &input, false, &mut found);
        self.nodes[node].utilization.extend(to_numbers(found));
    }

    /// Creates the nodes that resources provide, and the connections of guests.
    fn unpack_remote_nodes(&mut self, mut resources: Element) -> Element {
        let mut connections: Vec<Element> = Vec::new();
        let all: Vec<Arc<Element>> = resources.shared_children().cloned().collect();
        let exists =
            |id: &str| resources.descendants().any(|e| is_resource(e.name()) && e.id() == Some(id));
        for xml in &all {
            let primitives: Vec<&Element> = match xml.name() {
                "primitive" if is_connection_xml(xml) => {
                    if let Some(id) = xml.id()
                        && self.find_node(Some(id), Some(id)).is_none()
                    {
                        self.create_node(id, id, NodeKind::Remote, 0);
                    }
                    continue;
                }
                "primitive" => vec![xml],
                "group" => xml.children_named("primitive").collect(),
                _ => continue,
            };
            for primitive in primitives {
                let Some(connection) = guest_connection(primitive) else { continue };
                let Some(name) = connection.id().map(EcoString::from) else { continue };
                if exists(&name) || connections.iter().any(|c| c.id() == Some(&name)) {
                    continue;
                }
                connections.push(connection);
                if self.find_node(Some(&name), Some(&name)).is_none() {
                    self.create_node(&name, &name, NodeKind::Remote, 0);
                }
            }
        }
        connections.into_iter().for_each(|c| resources.push(c));
        resources
    }

    fn unpack_resources(&mut self, resources: &Element) {
        for xml in resources.children_named("template") {
            if let Some(id) = xml.id() {
                self.template_xml.insert(id.into(), Arc::new(xml.clone()));
            }
        }
        for xml in resources.shared_children() {
            if xml.name() == "template" {
                if let Some(id) = xml.id() {
                    self.templates.entry(id.into()).or_default();
                }
                continue;
            }
            if !is_resource(xml.name()) {
                continue;
            }
            match self.unpack_resource(xml, None, None) {
                Some(rsc) => {
                    self.top.push(rsc);
                    self.register_tree(rsc);
                }
                None => {
                    let text = format!(
                        "Ignoring <{}> resource '{}' because configuration is invalid",
                        xml.name(),
                        xml.id().unwrap_or("(no id)")
                    );
                    self.say(Severity::ConfigError, "unpack_resources", text);
                }
            }
        }
        for rsc in self.top.clone() {
            self.link_launchers(rsc);
        }
        for rsc in self.top.clone() {
            self.link_connections(rsc);
        }
        self.sort_top_by_priority();
    }

    fn sort_top_by_priority(&mut self) {
        let mut top = std::mem::take(&mut self.top);
        top.sort_by_key(|rsc| std::cmp::Reverse(self.rscs[*rsc].priority));
        self.top = top;
    }

    /// Makes a resource and what is below it findable by id.
    pub(crate) fn register_tree(&mut self, rsc: RscIx) {
        for r in self.tree(rsc) {
            let id = self.rscs[r].id.clone();
            self.by_id.entry(id).or_insert(r);
        }
    }

    /// Meta attribute `container` makes a resource live inside another.
    pub(crate) fn link_launchers(&mut self, rsc: RscIx) {
        for leaf in self.leaves(rsc) {
            let Some(container) = self.rscs[leaf].meta.get("container").cloned() else { continue };
            let Some(launcher) = self.find_resource(&container) else { continue };
            if launcher == leaf || self.rscs[leaf].launcher.is_some() {
                continue;
            }
            self.rscs[leaf].launcher = Some(launcher);
            self.rscs[launcher].launched.push(leaf);
        }
    }

    /// Connections know their node and the reverse.
    pub(crate) fn link_connections(&mut self, rsc: RscIx) {
        for leaf in self.leaves(rsc) {
            if !self.rscs[leaf].is_connection {
                continue;
            }
            let id = self.rscs[leaf].id.clone();
            let Some(node) = self.find_node(Some(&id), Some(&id)) else { continue };
            self.nodes[node].connection = Some(leaf);
            if self.rscs[leaf].launcher.is_none() {
                self.nodes[node].unclean = self.options.startup_fencing;
            } else {
                self.nodes[node].attrs.insert("#kind".into(), "container".into());
            }
        }
    }

    fn unpack_tags(&mut self, configuration: &Element) {
        for tag in configuration.child("tags").into_iter().flat_map(|t| t.children_named("tag")) {
            let Some(id) = tag.id() else { continue };
            let list = self.tags.entry(id.into()).or_default();
            for reference in tag.children_named("obj_ref").filter_map(Element::id) {
                if !list.iter().any(|known| known == reference) {
                    list.push(reference.into());
                }
            }
        }
    }

    /// A resource by id or history id.
    pub fn find_resource(&self, id: &str) -> Option<RscIx> {
        self.by_id.get(id).copied()
    }

    /// Adds to a resource's score on a node, and to those of all below it.
    pub(crate) fn add_score(&mut self, rsc: RscIx, node: NodeIx, score: i32, source: &Source) {
        self.add_score_unless(rsc, node, score, false, source);
    }

    /// [`add_score`](Self::add_score); the default of symmetric clusters spares resources and
    /// nodes with special probing.
    pub(crate) fn add_score_unless(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        score: i32,
        default: bool,
        source: &Source,
    ) {
        for r in self.tree(rsc) {
            let special = self.rscs[r].exclusive_probes
                || self.nodes[node].base.probe_mode == ProbeMode::Never;
            if default && special {
                continue;
            }
            let base = Allowed { count: 0, ..self.nodes[node].base };
            let table = &mut self.rscs[r].allowed;
            if table.get(node).is_none() {
                table.insert(node, base);
            }
            if let Some(entry) = table.get_mut(node) {
                entry.score = score::add(entry.score, score);
            }
            self.note_added(r, node, score, |_| source.clone());
        }
    }

    /// Adds to a resource's score on all nodes.
    pub(crate) fn add_score_everywhere(&mut self, rsc: RscIx, score: i32, source: &Source) {
        for node in self.node_order.clone() {
            self.add_score(rsc, node, score, source);
        }
    }

    /// Bans a resource (and all below it) from every node it is allowed on.
    pub(crate) fn ban_everywhere(&mut self, rsc: RscIx, source: &Source) {
        self.add_score_everywhere(rsc, -INFINITY, source);
    }

    /// Can a node be fenced, should that become necessary? Source: `spec/scheduler-unpack.md` §4.
    pub(crate) fn can_fence(&self, node: Option<NodeIx>) -> bool {
        self.can_fence_below(node, 0)
    }

    /// `depth` guards against containers that are said to run inside themselves.
    fn can_fence_below(&self, node: Option<NodeIx>, depth: u32) -> bool {
        use crate::options::NoQuorum;
        if let Some(node) = node
            && let Some(launcher) = self.guest_launcher(node)
        {
            return self.rscs[launcher].active.iter().all(|host| {
                self.nodes[*host].online
                    || (depth < 8 && self.can_fence_below(Some(*host), depth + 1))
            });
        }
        if !self.options.fencing || !self.have_fencing {
            return false;
        }
        if self.quorate || self.options.no_quorum == NoQuorum::Ignore {
            return true;
        }
        let Some(node) = node else { return false };
        if !self.nodes[node].online {
            return false;
        }
        if self.is_remote_kind(node) && !self.options.fence_remote_without_quorum {
            return self.nodes[node]
                .connection
                .is_none_or(|c| self.rscs[c].allowed.keys().all(|n| self.nodes[n].online));
        }
        true
    }

    /// A node attribute; for guests optionally that of the host. Source: `spec/…-unpack.md` §9.
    pub(crate) fn node_attr(
        &self,
        node: NodeIx,
        name: &str,
        target: Option<&str>,
        assigned: bool,
    ) -> Option<&EcoString> {
        let host = target.is_some_and(|t| t.eq_ignore_ascii_case("host"));
        if host && let Some(launcher) = self.guest_launcher(node) {
            let launcher = &self.rscs[launcher];
            let host = if assigned {
                launcher.assigned.map(|placed| placed.node)
            } else {
                launcher.active.first().copied()
            };
            return self.nodes[host?].attrs.get(name);
        }
        self.nodes[node].attrs.get(name)
    }

    /// True if the collective this belongs to is a bundle.
    pub(crate) fn parent_is_bundle(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].parent.is_some_and(|p| self.rscs[p].variant == Variant::Bundle)
    }
}

/// Numbers of a utilization block.
pub(crate) fn to_numbers(attrs: crate::model::Attrs) -> std::collections::BTreeMap<EcoString, i64> {
    attrs.into_iter().map(|(name, value)| (name, text::scan_int(&value).unwrap_or(0))).collect()
}

/// The only element of that name in the document.
fn only_section(cib: &Element, name: &str) -> Option<Arc<Element>> {
    let configuration = cib.child("configuration")?;
    let mut found = configuration.shared_children().filter(|c| c.name() == name);
    let first = found.next()?;
    found.next().is_none().then(|| first.clone())
}

pub(crate) fn is_resource(name: &str) -> bool {
    matches!(name, "primitive" | "group" | "clone" | "master" | "bundle")
}

pub(crate) fn is_connection_xml(xml: &Element) -> bool {
    let is = |attr: &str, word: &str| xml.get(attr).is_some_and(|v| v.eq_ignore_ascii_case(word));
    is("class", "ocf") && is("provider", "pacemaker") && is("type", "remote")
}

/// The hidden connection of a primitive that is a guest node (meta attribute `remote-node`).
fn guest_connection(primitive: &Element) -> Option<Element> {
    let container = primitive.id()?;
    let mut found: [Option<&str>; 6] = [None; 6];
    const NAMES: [&str; 6] = [
        "remote-node",
        "remote-addr",
        "remote-port",
        "remote-connect-timeout",
        "remote-allow-migrate",
        "is-managed",
    ];
    for pair in primitive.children_named("meta_attributes").flat_map(|m| m.children_named("nvpair"))
    {
        if let Some(at) = NAMES.iter().position(|name| pair.get("name") == Some(name)) {
            found[at] = pair.get("value");
        }
    }
    let [name, addr, port, timeout, migrate, managed] = found;
    Some(connection_xml(name?, container, migrate, managed, timeout, addr, port, true))
}

/// The element of a hidden connection resource. Source: `spec/scheduler-unpack.md` §8.
pub(crate) fn connection_xml(
    name: &str,
    container: &str,
    migrate: Option<&str>,
    managed: Option<&str>,
    start_timeout: Option<&str>,
    addr: Option<&str>,
    port: Option<&str>,
    with_start: bool,
) -> Element {
    let pair = |set: &str, name: &str, value: &str| {
        Element::new("nvpair")
            .with("id", format!("{set}-{name}"))
            .with("name", name)
            .with("value", value)
    };
    let mut xml = Element::new("primitive")
        .with("id", name)
        .with("class", "ocf")
        .with("provider", "pacemaker")
        .with("type", "remote");
    let set = format!("{name}-meta_attributes");
    let mut meta = Element::new("meta_attributes").with("id", set.as_str());
    meta.push(pair(&set, "internal_rsc", "true"));
    meta.push(pair(&set, "container", container));
    for (name, value) in [("allow-migrate", migrate), ("is-managed", managed)] {
        if let Some(value) = value {
            meta.push(pair(&set, name, value));
        }
    }
    xml.push(meta);
    if addr.is_some() || port.is_some() {
        let set = format!("{name}-instance_attributes");
        let mut params = Element::new("instance_attributes").with("id", set.as_str());
        for (name, value) in [("addr", addr), ("port", port)] {
            if let Some(value) = value {
                params.push(pair(&set, name, value));
            }
        }
        xml.push(params);
    }
    let mut operations = Element::new("operations").with_child(
        Element::new("op")
            .with("id", format!("{name}-monitor-interval-30s"))
            .with("name", "monitor")
            .with("interval", "30s")
            .with("timeout", "30s"),
    );
    if with_start {
        operations.push(
            Element::new("op")
                .with("id", format!("{name}-start-interval-0"))
                .with("name", "start")
                .with("interval", "0")
                .with("timeout", start_timeout.unwrap_or("60s")),
        );
    }
    xml.push(operations);
    xml
}
