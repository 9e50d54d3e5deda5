//! What 4.0 has no successor for: agents of old classes, rkt bundles, some meta-attributes; and
//! what only existed for them.
//!
//! Source: `spec/cib.md` §12.5, step 4.

use std::collections::{BTreeMap, BTreeSet};

use xml::Element;

use super::copies::is_original;
use crate::upgrade::message::Log;

pub(super) fn remove(configuration: &mut Element, log: &mut Log) {
    let mut ids = BTreeSet::new();
    if let Some(resources) = configuration.child_mut("resources") {
        let templates: BTreeMap<String, &'static str> = resources
            .children_named("template")
            .filter_map(|template| Some((template.id()?.to_owned(), old_class(template)?)))
            .collect();
        Gone { templates, ids: &mut ids }.resources(resources, log);
        resource_options(resources, log);
    }
    if let Some(constraints) = configuration.child_mut("constraints")
        && !ids.is_empty()
    {
        constraints.for_each_mut(&mut |set| {
            if set.name() == "resource_set" {
                set.retain_children(|member| {
                    member.name() != "resource_ref"
                        || !member.id().is_some_and(|id| ids.contains(id))
                });
            }
        });
        constraints.retain_children(|constraint| {
            let names = ["rsc", "with-rsc", "first", "then"];
            let sets = constraint.children_named("resource_set").count();
            let emptied = |set: &&Element| set.is_leaf() && !set.has("id-ref");
            let all_empty =
                constraint.children_named("resource_set").filter(emptied).count() == sets;
            !(sets > 0 && all_empty
                || names.iter().any(|name| constraint.get(name).is_some_and(|id| ids.contains(id))))
        });
        for constraint in constraints.children_mut() {
            constraint.retain_children(|set| {
                set.name() != "resource_set" || !set.is_leaf() || set.has("id-ref")
            });
        }
    }
    if let Some(defaults) = configuration.child_mut("op_defaults") {
        for set in defaults.children_mut() {
            operation_options(set, log);
        }
    }
    if let Some(defaults) = configuration.child_mut("rsc_defaults") {
        for set in defaults.children_mut() {
            restart_type(set, log);
        }
    }
}

fn old_class(agent: &Element) -> Option<&'static str> {
    let class = agent.get("class")?;
    ["nagios", "upstart"].into_iter().find(|old| class.eq_ignore_ascii_case(old))
}

struct Gone<'a> {
    templates: BTreeMap<String, &'static str>,
    ids: &'a mut BTreeSet<String>,
}

impl Gone<'_> {
    fn class(&self, agent: &Element) -> Option<&'static str> {
        old_class(agent).or_else(|| self.templates.get(agent.get("template")?).copied())
    }

    /// True if nothing of a group or clone would be left.
    fn is_emptied(&self, resource: &Element) -> bool {
        match resource.name() {
            "primitive" => self.class(resource).is_some(),
            "group" | "clone" => {
                let mut members =
                    resource.children().filter(|m| matches!(m.name(), "primitive" | "group"));
                members.clone().next().is_some() && members.all(|member| self.is_emptied(member))
            }
            _ => false,
        }
    }

    fn resources(&mut self, at: &mut Element, log: &mut Log) {
        let mut dropped = Vec::new();
        for child in at.children_mut() {
            let id = child.id().unwrap_or("").to_owned();
            let is_gone = match child.name() {
                kind @ ("template" | "primitive") => {
                    let class = self.class(child);
                    if let Some(class) = class {
                        let what = if kind == "template" { "template" } else { "resource" };
                        log.warn(format!(
                            "Dropping {what} {id} because {class} resources are no longer supported"
                        ));
                    }
                    class.is_some()
                }
                "bundle" if child.child("rkt").is_some() => {
                    log.warn(format!(
                        "Dropping bundle resource {id} because rkt containers are no longer \
                         supported"
                    ));
                    true
                }
                kind @ ("group" | "clone") if self.is_emptied(child) => {
                    log.info(format!("Dropping {kind} {id} because it would become empty"));
                    true
                }
                _ => false,
            };
            if is_gone {
                let resources = child.descendants().filter(|e| {
                    matches!(e.name(), "template" | "primitive" | "group" | "clone" | "bundle")
                });
                self.ids.extend(resources.filter_map(|e| e.id().map(str::to_owned)));
                dropped.push((child.name().to_owned(), id));
            } else if matches!(child.name(), "group" | "clone" | "bundle") {
                self.resources(child, log);
            }
        }
        at.retain_children(|child| {
            !dropped.iter().any(|(name, id)| child.name() == name && child.id() == Some(id))
        });
    }
}

/// Meta-attributes of resources and their operations, in document order.
fn resource_options(at: &mut Element, log: &mut Log) {
    for child in at.children_mut() {
        match child.name() {
            "meta_attributes" => restart_type(child, log),
            "operations" => {
                for op in child.children_mut() {
                    for set in op.children_mut() {
                        operation_options(set, log);
                    }
                }
            }
            "template" | "primitive" | "group" | "clone" | "bundle" => resource_options(child, log),
            _ => {}
        }
    }
}

fn restart_type(set: &mut Element, log: &mut Log) {
    drop_pairs(set, &["restart-type"], "kind\" attribute for relevant constraints", log);
}

fn operation_options(set: &mut Element, log: &mut Log) {
    let names = ["can_fail", "role_after_failure"];
    drop_pairs(set, &names, "on-fail\" operation attribute instead", log);
}

fn drop_pairs(set: &mut Element, names: &[&str], instead: &str, log: &mut Log) {
    if set.name() != "meta_attributes" {
        return;
    }
    let id = set.id().unwrap_or("").to_owned();
    let tell = is_original(set);
    set.retain_children(|pair| {
        let Some(name) = pair.get("name").filter(|name| names.contains(name)) else { return true };
        if tell {
            log.warn(format!(
                "Dropping {name} meta-attribute from {id} because it is no longer supported. \
                 Consider setting the \"{instead}"
            ));
        }
        false
    });
}
