//! Attribute sets in the order in which they count, and values that have other names now.
//!
//! Source: `spec/cib.md` §12.5, step 1.

use std::cmp::Ordering;

use xml::{Element, Node};

use super::copies::is_original;
use crate::upgrade::message::Log;

pub(super) fn is_set(name: &str) -> bool {
    matches!(
        name,
        "cluster_property_set" | "instance_attributes" | "meta_attributes" | "utilization"
    )
}

pub(super) fn rewrite(at: &mut Element, log: &mut Log) {
    match at.name() {
        "cluster_property_set" => options(at, log),
        "fencing-topology" => at.retain_children(|level| {
            !level.get("index").is_some_and(|index| number(index).is_some_and(|i| i > 9.0))
        }),
        "date_spec" => moon(at, log),
        _ => {}
    }
    if is_set(at.name()) {
        at.retain_children(|pair| {
            pair.name() != "nvpair" || pair.has("value") || pair.has("id-ref")
        });
    }
    sort_sets(at);
    for child in at.children_mut() {
        rewrite(child, log);
    }
}

fn moon(spec: &mut Element, log: &mut Log) {
    if spec.unset("moon").is_some() && is_original(spec) {
        log.warn(format!(
            "Dropping moon attribute from date spec {} because moon phase is no longer supported",
            spec.id().unwrap_or("")
        ));
    }
}

fn options(set: &mut Element, log: &mut Log) {
    set.retain_children(|pair| {
        let drop = pair.get("name") == Some("remove-after-stop");
        if drop && is_original(pair) {
            log.warn(format!(
                "Dropping nvpair {} because the remove-after-stop property is unsupported",
                pair.id().unwrap_or("")
            ));
        }
        !drop
    });
    for pair in set.children_mut() {
        match pair.get("name").unwrap_or("") {
            "crmd-finalization-timeout" => pair.set("name", "join-finalization-timeout"),
            "crmd-integration-timeout" => pair.set("name", "join-integration-timeout"),
            "crmd-transition-delay" => pair.set("name", "transition-delay"),
            "stonith-action" if pair.get("value") == Some("poweroff") => pair.set("value", "off"),
            _ => {}
        }
    }
}

/// Everything else first, then the sets: cluster-wide options in front, then by score.
fn sort_sets(parent: &mut Element) {
    if !parent.children().any(|child| is_set(child.name())) {
        return;
    }
    let (mut sets, mut others): (Vec<Node>, Vec<Node>) = std::mem::take(parent.nodes_mut())
        .into_iter()
        .partition(|node| matches!(node, Node::Element(child) if is_set(child.name())));
    sets.sort_by(|a, b| match (a, b) {
        (Node::Element(a), Node::Element(b)) => rank(a).total_cmp(&rank(b)).reverse(),
        _ => Ordering::Equal,
    });
    others.append(&mut sets);
    *parent.nodes_mut() = others;
}

fn rank(set: &Element) -> f64 {
    if set.name() == "cluster_property_set" && set.id() == Some("cib-bootstrap-options") {
        return f64::INFINITY;
    }
    match set.get("score").unwrap_or("") {
        "INFINITY" | "+INFINITY" => f64::MAX,
        "-INFINITY" => f64::MIN,
        score => number(score).map_or(0.0, |score| score + 0.0),
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<i64>().ok().map(|number| number as f64)
}
