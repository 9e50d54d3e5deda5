//! Brings an input to the form that the scheduler works on: references resolved, the syntax of
//! older schemas rewritten. Source: `spec/scheduler-unpack.md` §1, `spec/cib.md` §12.
//!
//! This is the effect of upstream's transformations as far as it can be observed in a decision.
//! What they do to layout only (order of blocks, references restored at the end) is left out; the
//! result is never stored.

use std::collections::HashMap;
use std::sync::Arc;

use ecow::EcoString;
use xml::{Element, Node};

const PREFIX: &str = "pcmk__3_10_upgrade-";

/// The input in current form. Costs nothing when nothing has to change.
pub fn upgrade(cib: &Arc<Element>) -> Arc<Element> {
    let mut cib = cib.clone();
    if cib.child("configuration").is_some_and(|c| c.descendants().any(|e| e.has("id-ref"))) {
        resolve_references(&mut cib);
    }
    let schema = cib.get("validate-with").unwrap_or("").to_owned();
    if schema.eq_ignore_ascii_case("none") {
        return cib;
    }
    let major: u32 = schema
        .strip_prefix("pacemaker-")
        .and_then(|v| v.split('.').next())
        .and_then(|v| v.parse().ok())
        .unwrap_or(3);
    if major < 3 {
        from_2(Arc::make_mut(&mut cib));
    }
    if major < 4 && needs_3(&cib) {
        from_3(Arc::make_mut(&mut cib));
    }
    cib
}

// --- references ---------------------------------------------------------------------------------

fn resolve_references(cib: &mut Arc<Element>) {
    let mut index: HashMap<(EcoString, EcoString), Option<Arc<Element>>> = HashMap::new();
    fn collect(at: &Element, index: &mut HashMap<(EcoString, EcoString), Option<Arc<Element>>>) {
        for child in at.shared_children() {
            if let Some(id) = child.id() {
                index
                    .entry((child.name().into(), id.into()))
                    .and_modify(|slot| *slot = None)
                    .or_insert_with(|| Some(child.clone()));
            }
            collect(child, index);
        }
    }
    if let Some(configuration) = cib.child("configuration") {
        collect(configuration, &mut index);
    }
    if let Some(configuration) = Arc::make_mut(cib).child_mut("configuration") {
        resolve_in(configuration, &index, 0);
    }
}

fn resolve_in(
    at: &mut Element,
    index: &HashMap<(EcoString, EcoString), Option<Arc<Element>>>,
    depth: usize,
) {
    if depth > 64 {
        return; // a reference to something that contains it
    }
    for node in at.nodes_mut() {
        let Node::Element(child) = node else { continue };
        if let Some(wanted) = child.get("id-ref") {
            let key = (EcoString::from(child.name()), EcoString::from(wanted));
            if let Some(Some(found)) = index.get(&key) {
                let mut copy = (**found).clone();
                if let Some(name) = child.get("name") {
                    copy.set("id", format!("{PREFIX}{wanted}-{name}"));
                    copy.set("name", name);
                }
                *child = Arc::new(copy);
            }
        }
        if child.descendants().any(|e| e.has("id-ref")) {
            resolve_in(Arc::make_mut(child), index, depth + 1);
        }
    }
}

// --- 2.x ----------------------------------------------------------------------------------------

const OPTION_NAMES: &[(&str, &str)] = &[
    ("cluster_recheck_interval", "cluster-recheck-interval"),
    ("dc_deadtime", "dc-deadtime"),
    ("election_timeout", "election-timeout"),
    ("no_quorum_policy", "no-quorum-policy"),
    ("startup_fencing", "startup-fencing"),
    ("stonith_action", "stonith-action"),
    ("stonith_enabled", "stonith-enabled"),
    ("stop_orphan_actions", "stop-orphan-actions"),
    ("stop_orphan_resources", "stop-orphan-resources"),
    ("symmetric_cluster", "symmetric-cluster"),
    ("transition_idle_timeout", "cluster-delay"),
];

/// Options that became defaults: old name, section, new name.
const MOVED_OPTIONS: &[(&str, &str, &str)] = &[
    ("default-action-timeout", "op_defaults", "timeout"),
    ("default_action_timeout", "op_defaults", "timeout"),
    ("default-resource-stickiness", "rsc_defaults", "resource-stickiness"),
    ("default_resource_stickiness", "rsc_defaults", "resource-stickiness"),
    ("is-managed-default", "rsc_defaults", "is-managed"),
    ("is_managed_default", "rsc_defaults", "is-managed"),
];

fn from_2(cib: &mut Element) {
    let Some(configuration) = cib.child_mut("configuration") else { return };
    let mut moved: Vec<(&str, &str, EcoString, EcoString)> = Vec::new();
    if let Some(options) = configuration.child_mut("crm_config") {
        for set in options.children_mut() {
            for pair in set.children_mut() {
                let name = pair.get("name").unwrap_or("").to_owned();
                if let Some((_, new)) = OPTION_NAMES.iter().find(|(old, _)| *old == name) {
                    pair.set("name", *new);
                }
            }
            set.retain_children(|pair| {
                let name = pair.get("name").unwrap_or("");
                let value = pair.get("value").unwrap_or("");
                let id = pair.id().unwrap_or("");
                if let Some((_, section, new)) = MOVED_OPTIONS.iter().find(|(old, ..)| *old == name)
                {
                    moved.push((section, new, id.into(), value.into()));
                    return false;
                }
                if name.replace('_', "-") == "default-resource-failure-stickiness" {
                    if value == "-INFINITY" {
                        moved.push(("rsc_defaults", "migration-threshold", id.into(), "1".into()));
                    }
                    return false;
                }
                true
            });
        }
    }
    for (section, name, id, value) in moved {
        let section = configuration.child_or_new(section);
        let set = section.child_or_new("meta_attributes");
        if set.id().is_none() {
            set.set("id", "_2TO3_-defaults");
        }
        if !set.children().any(|pair| pair.get("name") == Some(name)) {
            set.push(Element::new("nvpair").with("id", id).with("name", name).with("value", value));
        }
    }
    if let Some(nodes) = configuration.child_mut("nodes") {
        for node in nodes.children_mut() {
            if node.get("type") == Some("normal") {
                node.set("type", "member");
            }
        }
    }
    if let Some(resources) = configuration.child_mut("resources") {
        resources.for_each_mut(&mut |e| {
            if matches!(e.name(), "primitive" | "template") {
                primitive_from_2(e);
            }
        });
    }
}

/// Pairs among an operation's instance attributes that are really its meta attributes.
const OP_META: &[&str] =
    &["interval-origin", "start-delay", "enabled", "on-fail", "record-pending", "role", "timeout"];

fn primitive_from_2(primitive: &mut Element) {
    for set in primitive.children_mut().filter(|c| c.name() == "meta_attributes") {
        set.retain_children(|pair| {
            let stickiness = matches!(
                pair.get("name"),
                Some("resource-failure-stickiness" | "resource_failure_stickiness")
            );
            !stickiness || pair.get("value") == Some("-INFINITY")
        });
        for pair in set.children_mut() {
            if matches!(
                pair.get("name"),
                Some("resource-failure-stickiness" | "resource_failure_stickiness")
            ) {
                pair.set("name", "migration-threshold");
                pair.set("value", "1");
            }
        }
    }
    let mut requires = None;
    for operations in primitive.children_mut().filter(|c| c.name() == "operations") {
        for op in operations.children_mut() {
            let op_id: EcoString = op.id().unwrap_or("").into();
            let starts = matches!(op.get("name"), Some("start" | "promote"));
            if let Some(value) = op.unset("requires")
                && starts
            {
                requires = Some((op_id.clone(), value));
            }
            let mut meta = Vec::new();
            for set in op.children_mut() {
                if set.name() != "instance_attributes" && set.name() != "meta_attributes" {
                    continue;
                }
                let is_instance = set.name() == "instance_attributes";
                set.retain_children(|pair| {
                    let name = pair.get("name").unwrap_or("");
                    if name == "requires" {
                        if starts {
                            requires =
                                Some((op_id.clone(), pair.get("value").unwrap_or("").into()));
                        }
                        return false;
                    }
                    if is_instance && OP_META.contains(&name) {
                        meta.push(pair.clone());
                        return false;
                    }
                    true
                });
            }
            op.retain_children(|set| set.name() != "instance_attributes" || !set.is_leaf());
            if !meta.is_empty() {
                let set = op.child_or_new("meta_attributes");
                if set.id().is_none() {
                    set.set("id", format!("_2TO3_{op_id}-meta"));
                }
                meta.into_iter().for_each(|pair| set.push(pair));
            }
        }
    }
    if let Some((op_id, value)) = requires {
        let defined = primitive.children_named("meta_attributes").any(|set| {
            set.child("rule").is_none()
                && set.children_named("nvpair").any(|pair| pair.get("name") == Some("requires"))
        });
        if !defined {
            let id = format!("_2TO3_{}-meta", primitive.id().unwrap_or(""));
            let pair = Element::new("nvpair")
                .with("id", format!("_2TO3_{op_id}-meta-requires"))
                .with("name", "requires")
                .with("value", value);
            primitive.push(Element::new("meta_attributes").with("id", id).with_child(pair));
        }
    }
}

// --- 3.x ----------------------------------------------------------------------------------------

const DROPPED_OP_OPTIONS: &[&str] = &["can_fail", "role_after_failure"];

fn old_agent(e: &Element) -> bool {
    matches!(e.name(), "primitive" | "template")
        && e.get("class")
            .is_some_and(|c| c.eq_ignore_ascii_case("nagios") || c.eq_ignore_ascii_case("upstart"))
}

fn needs_3(cib: &Element) -> bool {
    cib.child("configuration").is_some_and(|c| {
        c.descendants().any(|e| match e.name() {
            "master" | "lifetime" | "rkt" => true,
            "node" => e.get("type") == Some("ping"),
            "docker" | "podman" => e.has("masters"),
            "rsc_location" => e.children_named("rule").count() > 1,
            "op" => DROPPED_OP_OPTIONS.iter().any(|name| e.has(name)),
            "nvpair" => {
                matches!(e.get("name"), Some("can_fail" | "role_after_failure" | "restart-type"))
            }
            _ => old_agent(e),
        })
    })
}

fn from_3(cib: &mut Element) {
    let Some(configuration) = cib.child_mut("configuration") else { return };
    let mut ping = Vec::new();
    if let Some(nodes) = configuration.child_mut("nodes") {
        for node in nodes.children_mut().filter(|n| n.get("type") == Some("ping")) {
            node.set("type", "member");
            ping.push(EcoString::from(node.get("uname").unwrap_or("")));
        }
    }
    if let Some(resources) = configuration.child_mut("resources") {
        resources_from_3(resources);
    }
    let old = configuration.child_mut("constraints").map(std::mem::take);
    if let Some(old) = old {
        let mut constraints = Element::new("constraints");
        for constraint in old.children() {
            split_location(constraint).into_iter().for_each(|c| constraints.push(c));
        }
        for name in ping {
            constraints.push(
                Element::new("rsc_location")
                    .with("id", format!("{PREFIX}ping-node-ban-{name}"))
                    .with("rsc-pattern", ".*")
                    .with("node", name)
                    .with("score", "-INFINITY")
                    .with("resource-discovery", "never"),
            );
        }
        configuration.retain_children(|c| c.name() != "constraints" && !c.name().is_empty());
        configuration.push(constraints);
    }
    for section in ["op_defaults", "rsc_defaults"] {
        if let Some(section) = configuration.child_mut(section) {
            for set in section.children_mut() {
                set.retain_children(|pair| {
                    !matches!(
                        pair.get("name"),
                        Some("can_fail" | "role_after_failure" | "restart-type")
                    )
                });
            }
        }
    }
}

fn resources_from_3(resources: &mut Element) {
    let old_templates: Vec<EcoString> = resources
        .children_named("template")
        .filter(|t| old_agent(t))
        .filter_map(|t| t.id().map(EcoString::from))
        .collect();
    fn prune(at: &mut Element, old: &[EcoString]) {
        for child in at.children_mut().filter(|c| matches!(c.name(), "group" | "clone" | "master"))
        {
            prune(child, old);
        }
        at.retain_children(|child| {
            let templated = child.get("template").is_some_and(|t| old.iter().any(|o| o == t));
            let empty = matches!(child.name(), "group" | "clone" | "master")
                && !child.children().any(|c| matches!(c.name(), "primitive" | "group"));
            let rkt = child.name() == "bundle" && child.child("rkt").is_some();
            !(old_agent(child) || templated || empty || rkt)
        });
    }
    prune(resources, &old_templates);
    resources.for_each_mut(&mut |e| match e.name() {
        "master" => {
            e.rename("clone");
            let id = format!("{PREFIX}promotable-legacy-{}-meta_attributes", e.id().unwrap_or(""));
            let pair = Element::new("nvpair")
                .with("id", format!("{id}-promotable"))
                .with("name", "promotable")
                .with("value", "true");
            let set = Element::new("meta_attributes")
                .with("id", id)
                .with("score", "INFINITY")
                .with_child(pair);
            e.nodes_mut().insert(0, Node::Element(Arc::new(set)));
        }
        "docker" | "podman" => {
            if let Some(masters) = e.unset("masters") {
                e.set("promoted-max", masters);
            }
        }
        "op" => DROPPED_OP_OPTIONS.iter().for_each(|name| {
            e.unset(name);
        }),
        "meta_attributes" => e.retain_children(|pair| {
            !matches!(pair.get("name"), Some("restart-type" | "can_fail" | "role_after_failure"))
        }),
        _ => {}
    });
}

/// One location constraint per rule, with the lifetime folded into the rule.
fn split_location(constraint: &Element) -> Vec<Element> {
    if constraint.name() != "rsc_location" {
        let mut copy = constraint.clone();
        copy.retain_children(|c| c.name() != "lifetime");
        return vec![copy];
    }
    let rules: Vec<&Element> = constraint.children_named("rule").collect();
    let mut parts = Vec::new();
    if rules.len() > 1 {
        let id = constraint.id().unwrap_or("");
        for (n, rule) in rules.iter().enumerate() {
            let mut copy = constraint.clone();
            copy.set("id", format!("{PREFIX}{id}-{}", n + 1));
            copy.retain_children(|c| c.name() != "rule");
            copy.push((*rule).clone());
            parts.push(copy);
        }
    } else {
        parts.push(constraint.clone());
    }
    parts.into_iter().map(fold_lifetime).collect()
}

fn fold_lifetime(mut constraint: Element) -> Element {
    let lifetimes: Vec<Element> = constraint
        .children_named("lifetime")
        .flat_map(|l| l.children_named("rule").cloned())
        .collect();
    constraint.retain_children(|c| c.name() != "lifetime");
    if lifetimes.is_empty() {
        return constraint;
    }
    let id: EcoString = constraint.id().unwrap_or("").into();
    let inner = match constraint.child("rule").cloned() {
        Some(rule) => rule,
        None => {
            let node = constraint.unset("node").unwrap_or_default();
            let score = constraint.unset("score").unwrap_or_default();
            Element::new("rule")
                .with("id", format!("{PREFIX}{id}-node-score-rule"))
                .with("score", score)
                .with_child(
                    Element::new("expression")
                        .with("id", format!("{PREFIX}{id}-node-score-rule-expr"))
                        .with("attribute", "#uname")
                        .with("operation", "eq")
                        .with("value", node),
                )
        }
    };
    let mut outer = Element::new("rule")
        .with("id", format!("{PREFIX}{id}-lifetime-and-rule"))
        .with("boolean-op", "and");
    for name in ["score", "score-attribute", "role"] {
        if let Some(value) = inner.get(name) {
            outer.set(name, value);
        }
    }
    outer.push(inner);
    match <[Element; 1]>::try_from(lifetimes) {
        Ok([only]) => outer.push(only),
        Err(several) => {
            let mut any = Element::new("rule")
                .with("id", format!("{PREFIX}{id}-lifetime-or-rule"))
                .with("boolean-op", "or");
            several.into_iter().for_each(|rule| any.push(rule));
            outer.push(any);
        }
    }
    constraint.retain_children(|c| c.name() != "rule");
    constraint.push(outer);
    constraint
}
