//! 2.10 → 3.0: options, parameters and attributes under their present names.
//!
//! Source: `spec/cib.md` §12.2–§12.4.

use xml::Element;

use super::message::Log;
use super::{operations, references};

/// The document with 3.0's names; `None` if a reference leads nowhere or to several elements.
pub(super) fn to_three(cib: &Element, log: &mut Log) -> Option<Element> {
    let mut cib = references::expand(cib)?;
    cib.set("validate-with", "pacemaker-3.0");
    if let Some(configuration) = cib.child_mut("configuration") {
        options(configuration, log);
        for element in configuration.children_mut() {
            match element.name() {
                "nodes" => nodes(element, log),
                "resources" => resources(element, log),
                "constraints" => {
                    let of_kind = |c: &&mut Element| c.name() == "rsc_colocation";
                    element.children_mut().filter(of_kind).for_each(|c| colocation(c, log));
                }
                _ => {}
            }
        }
    }
    references::collapse(&mut cib, log);
    Some(cib)
}

fn colocation(constraint: &mut Element, log: &mut Log) {
    let id = constraint.id().unwrap_or("").to_owned();
    for name in ["score-attribute", "score-attribute-mangle"] {
        if constraint.unset(name).is_some() {
            log.info(format!("Constraints-colocation: {id}: dropping {name}"));
            log.info("Constraints-colocation: ... was actually never in effect".to_owned());
        }
    }
}

/// What becomes of a cluster option.
enum Fate {
    Keep,
    Rename(&'static str),
    Move {
        section: &'static str,
        name: &'static str,
        value: Option<&'static str>,
    },
    /// With the values that made it so, if others would not have, and what to do instead.
    Drop {
        matching: &'static str,
        hint: &'static str,
    },
}

const OTHER_STACKS: &str =
    " for matching heartbeat|openais|classic openais|classic openais (with plugin)|cman";

fn fate(name: &str, value: &str) -> Fate {
    let rsc = |name, value| Fate::Move { section: "rsc_defaults", name, value };
    let drop = |hint| Fate::Drop { matching: "", hint };
    match name {
        "cluster-infrastructure" => match value {
            "heartbeat"
            | "openais"
            | "classic openais"
            | "classic openais (with plugin)"
            | "cman" => Fate::Drop {
                matching: OTHER_STACKS,
                hint: "corosync (2+) infrastructure can be used instead, though the value is not \
                       of significance",
            },
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
            if value == "-INFINITY" {
                rsc("migration-threshold", Some("1"))
            } else {
                drop("migration-threshold in rsc_defaults can be configured instead")
            }
        }
        "default-migration-threshold" | "default_migration_threshold" => {
            drop("migration-threshold in rsc_defaults can be configured instead")
        }
        "expected-quorum-votes" => drop("corosync (2+) infrastructure tracks quorum on its own"),
        "notification-agent" | "notification-recipient" => {
            drop("standalone alerts can be configured instead")
        }
        _ => Fate::Keep,
    }
}

fn options(configuration: &mut Element, log: &mut Log) {
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
            let old = pair.get("name").unwrap_or("");
            let about = format!("Cluster properties: {}:", pair.id().unwrap_or(""));
            match fate(old, pair.get("value").unwrap_or("")) {
                Fate::Keep => kept.push(node),
                Fate::Rename(name) => {
                    log.debug(format!("{about} renaming {old} as {name}"));
                    let mut pair = Element::clone(pair);
                    pair.set("name", name);
                    kept.push(xml::Node::Element(pair.into()));
                }
                Fate::Move { section, name, value } => {
                    let redefined = value.map_or_else(String::new, |value| {
                        format!(", redefined as {value}, for matching -INFINITY")
                    });
                    log.debug(format!(
                        "{about} moving {old} under {section} as {name} unless already defined \
                         there{redefined}"
                    ));
                    let mut pair = Element::clone(pair);
                    pair.set("name", name);
                    if let Some(value) = value {
                        pair.set("value", value);
                    }
                    moved.push((section, pair));
                }
                Fate::Drop { matching, hint } => {
                    log.info(format!("{about} dropping {old}{matching}"));
                    log.info(format!("Cluster properties: ... {hint}"));
                }
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

fn nodes(nodes: &mut Element, log: &mut Log) {
    for node in nodes.children_mut() {
        if node.get("type") == Some("normal") {
            log.debug(format!(
                "Cluster node: {} (id={}): keeping type as type, redefined as member, for \
                 matching normal",
                node.get("uname").unwrap_or(""),
                node.id().unwrap_or("")
            ));
            node.set("type", "member");
        }
    }
}

fn resources(resources: &mut Element, log: &mut Log) {
    for child in resources.children_mut() {
        match child.name() {
            "primitive" | "template" => agent(child, log),
            "group" | "clone" | "master" | "bundle" => self::resources(child, log),
            _ => {}
        }
    }
}

fn agent(primitive: &mut Element, log: &mut Log) {
    let rsc_id = primitive.id().unwrap_or("").to_owned();
    let mut of_operations = Log::default();
    let mut emptied: Vec<String> = Vec::new();
    let mut requires: Option<(String, String)> = None;
    let mut sets_from_ops: Vec<(bool, Element)> = Vec::new();
    for child in primitive.children_mut() {
        match child.name() {
            "instance_attributes" => device_params(child, log),
            "meta_attributes" => {
                if meta(child, &rsc_id, log)
                    && let Some(id) = child.id()
                {
                    emptied.push(id.to_owned());
                }
            }
            "operations" => {
                operations::tell(child, &rsc_id, log);
                operations::tell_attributes(child, &rsc_id, &mut of_operations);
                for op in child.children_mut() {
                    operations::operation(op, &mut requires, &mut sets_from_ops);
                }
            }
            _ => {}
        }
    }
    log.0.append(&mut of_operations.0);
    primitive.retain_children(|child| match child.name() {
        "instance_attributes" => child.has("id-ref") || !child.is_leaf(),
        "meta_attributes" => !child.id().is_some_and(|id| emptied.iter().any(|gone| gone == id)),
        _ => true,
    });
    let defined = primitive
        .children_named("meta_attributes")
        .filter(|set| set.child("rule").is_none())
        .any(|set| operations::has_pair(set, "requires"));
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

fn device_params(set: &mut Element, log: &mut Log) {
    let drop = |pair: &Element| {
        pair.get("name") == Some("pcmk_arg_map")
            && !pair
                .get("value")
                .is_some_and(|value| value.starts_with("port:") && !value.contains(','))
    };
    for pair in set.children_mut() {
        let about = format!("Resource instance_attributes: {}:", pair.id().unwrap_or(""));
        if drop(pair) {
            log.debug(format!("{about} dropping pcmk_arg_map"));
            continue;
        }
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
        let old = pair.get("name").unwrap_or("").to_owned();
        let mut how = "";
        if name == "pcmk_host_argument" {
            how = " for matching port: prefix that will, meanwhile, get dropped";
            let value = pair.get("value").unwrap_or("").trim_start_matches("port:").to_owned();
            pair.set("value", value);
        }
        log.debug(format!("{about} renaming {old} as {name}{how}"));
        pair.set("name", name);
    }
    set.retain_children(|pair| !drop(pair));
}

/// True if nothing is left of a set that had something.
fn meta(set: &mut Element, rsc: &str, log: &mut Log) -> bool {
    let had_content = !set.is_leaf();
    let about = "Resource meta_attributes:";
    let whose = format!("{rsc} (meta={})", set.id().unwrap_or(""));
    for pair in set.children_named("nvpair") {
        match pair.get("name").unwrap_or("") {
            name
            @ ("isolation" | "isolation-host" | "isolation-instance" | "isolation-wrapper") => {
                log.warn(format!(
                    "{about} {whose}: renaming {name} as target-role, redefined as Stopped"
                ));
                log.warn(format!(
                    "{about} ... i.e. resource at hand disabled; isolation wrappers obsoleted with \
                     bundle resources"
                ));
            }
            name @ ("resource-failure-stickiness" | "resource_failure_stickiness") => {
                if pair.get("value") == Some("-INFINITY") {
                    log.debug(format!(
                        "{about} {whose}: renaming {name} as migration-threshold, redefined as 1, \
                         for matching -INFINITY"
                    ));
                } else {
                    log.info(format!("{about} {whose}: dropping {name}"));
                    log.info(format!("{about} ... migration-threshold can be configured instead"));
                }
            }
            _ => {}
        }
    }
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
