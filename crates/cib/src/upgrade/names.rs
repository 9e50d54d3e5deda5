//! 2.10 → 3.0: options, parameters and attributes under their present names.
//!
//! Source: `spec/cib.md` §12.2–§12.4.

use xml::Element;

use super::references;

/// The document with 3.0's names; `None` if a reference leads nowhere or to several elements.
pub(super) fn to_three(cib: &Element) -> Option<Element> {
    let mut cib = references::expand(cib)?;
    cib.set("validate-with", "pacemaker-3.0");
    if let Some(configuration) = cib.child_mut("configuration") {
        options(configuration);
        for element in configuration.children_mut() {
            match element.name() {
                "nodes" => nodes(element),
                "resources" => resources(element),
                "constraints" => {
                    for constraint in element.children_mut() {
                        if constraint.name() == "rsc_colocation" {
                            constraint.unset("score-attribute");
                            constraint.unset("score-attribute-mangle");
                        }
                    }
                }
                _ => {}
            }
        }
    }
    references::collapse(&mut cib);
    Some(cib)
}

/// What becomes of a cluster option.
enum Fate {
    Keep,
    Rename(&'static str),
    Move { section: &'static str, name: &'static str, value: Option<&'static str> },
    Drop,
}

fn fate(name: &str, value: &str) -> Fate {
    let rsc = |name, value| Fate::Move { section: "rsc_defaults", name, value };
    match name {
        "cluster-infrastructure" => match value {
            "heartbeat"
            | "openais"
            | "classic openais"
            | "classic openais (with plugin)"
            | "cman" => Fate::Drop,
            _ => Fate::Keep,
        },
        "cluster_recheck_interval" => Fate::Rename("cluster-recheck-interval"),
        "dc_deadtime" => Fate::Rename("dc-deadtime"),
        "election_timeout" => Fate::Rename("election-timeout"),
        "no_quorum_policy" => Fate::Rename("no-quorum-policy"),
        "remove_after_stop" => Fate::Rename("remove-after-stop"),
        "shutdown_escalation" => Fate::Rename("shutdown-escalation"),
        "startup_fencing" => Fate::Rename("startup-fencing"),
        "stonith_action" => Fate::Rename("stonith-action"),
        "stonith_enabled" => Fate::Rename("stonith-enabled"),
        "stop_orphan_actions" => Fate::Rename("stop-orphan-actions"),
        "stop_orphan_resources" => Fate::Rename("stop-orphan-resources"),
        "symmetric_cluster" => Fate::Rename("symmetric-cluster"),
        "transition_idle_timeout" => Fate::Rename("cluster-delay"),
        "default-action-timeout" | "default_action_timeout" => {
            Fate::Move { section: "op_defaults", name: "timeout", value: None }
        }
        "default-resource-stickiness" | "default_resource_stickiness" => {
            rsc("resource-stickiness", None)
        }
        "is-managed-default" | "is_managed_default" => rsc("is-managed", None),
        "default-resource-failure-stickiness" | "default_resource_failure_stickiness" => {
            if value == "-INFINITY" { rsc("migration-threshold", Some("1")) } else { Fate::Drop }
        }
        "default-migration-threshold"
        | "default_migration_threshold"
        | "expected-quorum-votes"
        | "notification-agent"
        | "notification-recipient" => Fate::Drop,
        _ => Fate::Keep,
    }
}

fn options(configuration: &mut Element) {
    let mut moved: Vec<(&'static str, Element)> = Vec::new();
    let Some(crm_config) = configuration.child_mut("crm_config") else { return };
    for set in crm_config.children_mut() {
        let mut kept = Vec::new();
        for node in std::mem::take(set.nodes_mut()) {
            let xml::Node::Element(pair) = &node else {
                kept.push(node);
                continue;
            };
            if pair.name() != "nvpair" {
                kept.push(node);
                continue;
            }
            match fate(pair.get("name").unwrap_or(""), pair.get("value").unwrap_or("")) {
                Fate::Keep => kept.push(node),
                Fate::Rename(name) => {
                    let mut pair = Element::clone(pair);
                    pair.set("name", name);
                    kept.push(xml::Node::Element(pair.into()));
                }
                Fate::Move { section, name, value } => {
                    let mut pair = Element::clone(pair);
                    pair.set("name", name);
                    if let Some(value) = value {
                        pair.set("value", value);
                    }
                    moved.push((section, pair));
                }
                Fate::Drop => {}
            }
        }
        *set.nodes_mut() = kept;
    }
    crm_config.retain_children(|set| set.has("id-ref") || !set.is_leaf());
    for (section, pair) in moved {
        add_default(configuration, section, pair);
    }
}

/// Puts a pair into the first set without rule of a defaults section, unless its name is there.
fn add_default(configuration: &mut Element, section: &str, pair: Element) {
    let section_element = configuration.child_or_new(section);
    let name = pair.get("name").unwrap_or("").to_owned();
    let plain = section_element
        .children_mut()
        .find(|set| set.name() == "meta_attributes" && set.child("rule").is_none());
    match plain {
        Some(set) => {
            if !set.children_named("nvpair").any(|other| other.get("name") == Some(&name)) {
                set.push(pair);
            }
        }
        None => {
            let id = format!("_2TO3_-{}", section.replace('_', "-"));
            section_element.push(Element::new("meta_attributes").with("id", id).with_child(pair));
        }
    }
}

fn nodes(nodes: &mut Element) {
    for node in nodes.children_mut() {
        if node.get("type") == Some("normal") {
            node.set("type", "member");
        }
    }
}

fn resources(resources: &mut Element) {
    for child in resources.children_mut() {
        match child.name() {
            "primitive" | "template" => agent(child),
            "group" | "clone" | "master" | "bundle" => self::resources(child),
            _ => {}
        }
    }
}

fn agent(primitive: &mut Element) {
    let rsc_id = primitive.id().unwrap_or("").to_owned();
    let mut emptied: Vec<String> = Vec::new();
    let mut requires: Option<(String, String)> = None;
    let mut sets_from_ops: Vec<(bool, Element)> = Vec::new();
    for child in primitive.children_mut() {
        match child.name() {
            "instance_attributes" => device_params(child),
            "meta_attributes" => {
                if meta(child)
                    && let Some(id) = child.id()
                {
                    emptied.push(id.to_owned());
                }
            }
            "operations" => {
                for op in child.children_mut() {
                    operation(op, &mut requires, &mut sets_from_ops);
                }
            }
            _ => {}
        }
    }
    primitive.retain_children(|child| match child.name() {
        "instance_attributes" => child.has("id-ref") || !child.is_leaf(),
        "meta_attributes" => !child.id().is_some_and(|id| emptied.iter().any(|gone| gone == id)),
        _ => true,
    });
    let defined = primitive
        .children_named("meta_attributes")
        .filter(|set| set.child("rule").is_none())
        .any(|set| has_pair(set, "requires"));
    if defined {
        sets_from_ops.retain(|set| set.1.child("rule").is_some());
    } else if let Some((op_id, value)) = requires {
        let pair = Element::new("nvpair")
            .with("id", format!("_2TO3_{op_id}-meta-requires"))
            .with("name", "requires")
            .with("value", value);
        let id = format!("_2TO3_{rsc_id}-meta");
        primitive.push(Element::new("meta_attributes").with("id", id).with_child(pair));
        sets_from_ops.retain(|set| set.1.child("rule").is_some());
    }
    // Of the sets without rule the last wins, and those from meta attributes over the others.
    let is_plain = |set: &&(bool, Element)| set.1.child("rule").is_none();
    let winner = sets_from_ops
        .iter()
        .filter(is_plain)
        .rfind(|set| set.0)
        .or_else(|| sets_from_ops.iter().rfind(is_plain))
        .map(|set| set.1.clone());
    for (_, set) in sets_from_ops {
        if set.child("rule").is_some() || winner.as_ref() == Some(&set) {
            primitive.push(set);
        }
    }
}

fn has_pair(set: &Element, name: &str) -> bool {
    set.children_named("nvpair").any(|pair| pair.get("name") == Some(name))
}

fn device_params(set: &mut Element) {
    set.retain_children(|pair| {
        pair.get("name") != Some("pcmk_arg_map")
            || pair
                .get("value")
                .is_some_and(|value| value.starts_with("port:") && !value.contains(','))
    });
    for pair in set.children_mut() {
        let name = match pair.get("name").unwrap_or("") {
            "pcmk_list_cmd" => "pcmk_list_action",
            "pcmk_monitor_cmd" => "pcmk_monitor_action",
            "pcmk_off_cmd" => "pcmk_off_action",
            "pcmk_on_cmd" => "pcmk_on_action",
            "pcmk_reboot_cmd" => "pcmk_reboot_action",
            "pcmk_status_cmd" => "pcmk_status_action",
            "pcmk_arg_map" => "pcmk_host_argument",
            _ => continue,
        };
        pair.set("name", name);
        if name == "pcmk_host_argument" {
            let value = pair.get("value").unwrap_or("").trim_start_matches("port:").to_owned();
            pair.set("value", value);
        }
    }
}

fn meta(set: &mut Element) -> bool {
    let had_content = !set.is_leaf();
    let mut replaced = false;
    set.retain_children(|pair| match pair.get("name") {
        Some("isolation" | "isolation-host" | "isolation-instance" | "isolation-wrapper") => {
            !std::mem::replace(&mut replaced, true)
        }
        Some("resource-failure-stickiness" | "resource_failure_stickiness") => {
            pair.get("value") == Some("-INFINITY") && !std::mem::replace(&mut replaced, true)
        }
        _ => true,
    });
    for pair in set.children_mut() {
        let (name, value) = match pair.get("name").unwrap_or("") {
            "isolation" | "isolation-host" | "isolation-instance" | "isolation-wrapper" => {
                ("target-role", "Stopped")
            }
            "resource-failure-stickiness" | "resource_failure_stickiness" => {
                ("migration-threshold", "1")
            }
            _ => continue,
        };
        pair.set("name", name);
        pair.set("value", value);
    }
    had_content && set.is_leaf()
}

const OP_PARAMS: [&str; 7] =
    ["interval-origin", "start-delay", "enabled", "on-fail", "record-pending", "role", "timeout"];

fn operation(
    op: &mut Element,
    requires: &mut Option<(String, String)>,
    sets: &mut Vec<(bool, Element)>,
) {
    let op_id = op.id().unwrap_or("").to_owned();
    let counts = matches!(op.get("name"), Some("start" | "promote"));
    if let Some(value) = op.unset("requires")
        && counts
    {
        *requires = Some((op_id.clone(), value.to_string()));
    }
    let mut plain: Vec<Element> = Vec::new();
    let mut ruled: Vec<Element> = Vec::new();
    for set in op.children_mut() {
        let is_instance = set.name() == "instance_attributes";
        let taken: Vec<Element> = set
            .children_named("nvpair")
            .filter(|pair| {
                let name = pair.get("name").unwrap_or("");
                name == "requires" || is_instance && OP_PARAMS.contains(&name)
            })
            .cloned()
            .collect();
        if taken.is_empty() {
            continue;
        }
        set.retain_children(|child| !taken.contains(child));
        let mut shell = set.clone();
        shell.retain_children(|child| child.name() == "rule");
        shell.rename("meta_attributes");
        shell.set("id", format!("_2TO3_{}", set.id().unwrap_or("")));
        for pair in taken {
            let is_requires = pair.get("name") == Some("requires");
            if is_requires && counts {
                sets.push((!is_instance, shell.clone().with_child(pair)));
            } else if is_requires {
                // Without meaning for other operations.
            } else if shell.child("rule").is_some() {
                ruled.push(shell.clone().with_child(pair));
            } else {
                // Of several values of a name the last wins.
                plain.retain(|other: &Element| other.get("name") != pair.get("name"));
                plain.push(pair);
            }
        }
    }
    op.retain_children(|set| {
        !matches!(set.name(), "instance_attributes" | "meta_attributes")
            || set.has("id-ref")
            || set.child("nvpair").is_some()
    });
    if !plain.is_empty() {
        let target = op
            .children_mut()
            .find(|set| set.name() == "meta_attributes" && set.child("rule").is_none());
        match target {
            Some(set) => {
                for pair in plain {
                    if !has_pair(set, pair.get("name").unwrap_or("")) {
                        set.push(pair);
                    }
                }
            }
            None => {
                let mut set =
                    Element::new("meta_attributes").with("id", format!("_2TO3_{op_id}-meta"));
                plain.into_iter().for_each(|pair| set.push(pair));
                op.push(set);
            }
        }
    }
    ruled.into_iter().for_each(|set| op.push(set));
}
