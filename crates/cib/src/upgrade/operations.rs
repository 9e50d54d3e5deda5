//! 2.10 → 3.0, operations: `requires` belongs to the resource, and options of operations that were
//! given as parameters are meta attributes.
//!
//! Source: `spec/cib.md` §12.3 (operations).

use xml::Element;

use super::message::Log;

const OP_PARAMS: [&str; 7] =
    ["interval-origin", "start-delay", "enabled", "on-fail", "record-pending", "role", "timeout"];

/// Says what will become of the pairs of operations: per operation its instance attributes, then
/// its meta attributes.
pub(super) fn tell(operations: &Element, rsc: &str, log: &mut Log) {
    for op in operations.children_named("op") {
        let about = "Resources-operation instance_attributes";
        for set in op.children_named("instance_attributes") {
            let whose = whose(op, rsc, set.id());
            for name in set.children_named("nvpair").filter_map(|pair| pair.get("name")) {
                if name == "requires" {
                    requires(op, about, &whose, "per-resource-meta_attributes", log);
                } else if OP_PARAMS.contains(&name) {
                    log.debug(format!(
                        "{about}: {whose}: moving {name} under meta_attributes as {name} unless \
                         already defined there"
                    ));
                }
            }
        }
        for set in op.children_named("meta_attributes") {
            let whose = whose(op, rsc, set.id());
            for _ in set.children_named("nvpair").filter(|pair| is_requires(pair)) {
                requires(op, "Resources-operation", &whose, "meta_attributes", log);
            }
        }
    }
}

/// Says what will become of the attributes of operations, when all else of the resource is told.
pub(super) fn tell_attributes(operations: &Element, rsc: &str, log: &mut Log) {
    for op in operations.children_named("op").filter(|op| op.has("requires")) {
        requires(op, "Resources-operation", &whose(op, rsc, None), "meta_attributes", log);
    }
}

fn whose(op: &Element, rsc: &str, set: Option<&str>) -> String {
    let id = op.id().unwrap_or("");
    match set {
        Some(set) => format!("{id} (rsc={rsc}, meta={set})"),
        None => format!("{id} (rsc={rsc})"),
    }
}

fn requires(op: &Element, about: &str, whose: &str, target: &str, log: &mut Log) {
    if counts(op) {
        log.debug(format!(
            "{about}: {whose}: moving requires under {target} as requires unless already defined \
             there for matching start|promote"
        ));
    } else {
        log.info(format!("{about}: {whose}: dropping requires"));
        log.info(format!("{about}: ... only start/promote operation taken into account"));
    }
}

fn is_requires(pair: &Element) -> bool {
    pair.get("name") == Some("requires")
}

/// What a resource requires is asked when it starts or is promoted.
fn counts(op: &Element) -> bool {
    matches!(op.get("name"), Some("start" | "promote"))
}

/// Takes out of an operation what belongs elsewhere. Sets that belong to the resource go to `sets`
/// (true: from meta attributes).
pub(super) fn operation(
    op: &mut Element,
    requires: &mut Option<(String, String)>,
    sets: &mut Vec<(bool, Element)>,
) {
    let op_id = op.id().unwrap_or("").to_owned();
    let counts = counts(op);
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

pub(super) fn has_pair(set: &Element, name: &str) -> bool {
    set.children_named("nvpair").any(|pair| pair.get("name") == Some(name))
}
