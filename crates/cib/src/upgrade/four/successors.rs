//! Constructs that have a successor: several values of one name, ping nodes, promotable clones,
//! location constraints with several rules.
//!
//! Source: `spec/cib.md` §12.5, step 2.

use std::collections::BTreeMap;
use std::sync::Arc;

use xml::{Element, Node};

use super::values::is_set;
use super::{PREFIX, copies, replace_children};

pub(super) fn rewrite(configuration: &mut Element) {
    configuration.for_each_mut(&mut |element| {
        if is_set(element.name()) {
            first_values(element);
        } else if element.name() == "master" {
            promotable(element);
        } else if element.name() == "bundle" {
            for container in element.children_mut() {
                if matches!(container.name(), "docker" | "podman" | "rkt")
                    && let Some(masters) = container.unset("masters")
                {
                    container.set("promoted-max", masters);
                }
            }
        }
    });
    let ping = ping_nodes(configuration);
    let mut split: BTreeMap<String, usize> = BTreeMap::new();
    if let Some(constraints) = configuration.child_mut("constraints") {
        replace_children(constraints, |constraint| one_rule_each(constraint, &mut split));
        ping.into_iter().for_each(|ban| constraints.push(ban));
    }
    if split.is_empty() {
        return;
    }
    if let Some(acls) = configuration.child_mut("acls") {
        acls.for_each_mut(&mut |entry| {
            let count = entry.get("reference").and_then(|id| split.get(id)).copied();
            if let Some(count) = count
                && let Some(id) = entry.unset("reference")
            {
                let ids: Vec<String> =
                    (1..=count).map(|n| format!("@id = '{PREFIX}{id}-{n}'")).collect();
                entry.set("xpath", format!("//*[{}]", ids.join(" or ")));
            }
        });
    }
}

/// Of several pairs of a name one counts: the last if it restores the default, else the first
/// behind the last that does.
fn first_values(set: &mut Element) {
    let is_default = |pair: &Element| pair.get("value") == Some("#default");
    let mut counts: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    for (at, pair) in set.children().enumerate().filter(|(_, pair)| pair.name() == "nvpair") {
        let Some(name) = pair.get("name") else { continue };
        match counts.get_mut(name) {
            Some(kept) if is_default(pair) || kept.1 => *kept = (at, is_default(pair)),
            Some(_) => {}
            None => {
                counts.insert(name.to_owned(), (at, is_default(pair)));
            }
        }
    }
    let mut at = 0;
    set.retain_children(|pair| {
        let here = at;
        at += 1;
        let name = pair.get("name").filter(|_| pair.name() == "nvpair");
        name.is_none_or(|name| counts.get(name).is_none_or(|kept| kept.0 == here))
    });
}

fn promotable(master: &mut Element) {
    master.rename("clone");
    let id = format!("{PREFIX}promotable-legacy-{}-meta_attributes", master.id().unwrap_or(""));
    let pair = Element::new("nvpair")
        .with("id", format!("{id}-promotable"))
        .with("name", "promotable")
        .with("value", "true");
    let set = Element::new("meta_attributes").with("id", id).with("score", "INFINITY");
    master.nodes_mut().insert(0, Node::Element(Arc::new(set.with_child(pair))));
}

/// Makes members of ping nodes; the result keeps resources away from them.
fn ping_nodes(configuration: &mut Element) -> Vec<Element> {
    let Some(nodes) = configuration.child_mut("nodes") else { return Vec::new() };
    let mut bans = Vec::new();
    for node in nodes.children_mut().filter(|node| node.get("type") == Some("ping")) {
        node.set("type", "member");
        let name = node.get("uname").unwrap_or("").to_owned();
        bans.push(
            Element::new("rsc_location")
                .with("id", format!("{PREFIX}ping-node-ban-{name}"))
                .with("rsc-pattern", ".*")
                .with("node", name)
                .with("score", "-INFINITY")
                .with("resource-discovery", "never"),
        );
    }
    bans
}

fn one_rule_each(constraint: Element, split: &mut BTreeMap<String, usize>) -> Vec<Element> {
    let rules: Vec<Element> = constraint.children_named("rule").cloned().collect();
    if constraint.name() != "rsc_location" || rules.len() < 2 {
        return vec![constraint];
    }
    let id = constraint.id().unwrap_or("").to_owned();
    split.insert(id.clone(), rules.len());
    let part = |(n, rule): (usize, Element)| {
        let mut part = constraint.clone();
        part.set("id", format!("{PREFIX}{id}-{}", n + 1));
        let mut seen = false;
        replace_children(&mut part, |mut child| {
            if child.name() != "rule" {
                if n > 0 {
                    copies::mark(&mut child);
                }
                vec![child]
            } else if std::mem::replace(&mut seen, true) {
                Vec::new()
            } else {
                vec![rule.clone()]
            }
        });
        part
    };
    rules.into_iter().enumerate().map(part).collect()
}
