//! `lifetime`: of location constraints it becomes part of the rule; elsewhere it is dropped, and
//! only its rules survive if something else refers to them.
//!
//! Source: `spec/cib.md` §12.5, step 3.

use std::collections::BTreeSet;

use xml::Element;

use super::{PREFIX, copies};
use crate::upgrade::message::Log;

pub(super) fn fold(configuration: &mut Element, log: &mut Log) {
    let Some(constraints) = configuration.child_mut("constraints") else { return };
    let mut dropped: Vec<Element> = Vec::new();
    for constraint in constraints.children_mut() {
        match constraint.name() {
            "rsc_location" => location(constraint),
            "rsc_colocation" | "rsc_order" if constraint.child("lifetime").is_some() => {
                log.warn(format!(
                    "Dropping lifetime element from constraint {} because lifetime elements are \
                     no longer supported. Any rules contained there will no longer apply to the \
                     constraint",
                    constraint.id().unwrap_or("")
                ));
                dropped.extend(rules(constraint));
                constraint.retain_children(|child| child.name() != "lifetime");
            }
            _ => {}
        }
    }
    keep_referenced(configuration, dropped);
}

fn rules(constraint: &Element) -> Vec<Element> {
    let lifetimes = constraint.children_named("lifetime");
    lifetimes.flat_map(|lifetime| lifetime.children_named("rule").cloned()).collect()
}

fn location(constraint: &mut Element) {
    let lifetimes = rules(constraint);
    constraint.retain_children(|child| child.name() != "lifetime");
    if lifetimes.is_empty() {
        return;
    }
    let prefix = format!("{PREFIX}{}", constraint.id().unwrap_or(""));
    let (node, score) = (constraint.unset("node"), constraint.unset("score"));
    let inner = constraint.child("rule").cloned().unwrap_or_else(|| {
        let expression = Element::new("expression")
            .with("id", format!("{prefix}-node-score-rule-expr"))
            .with("attribute", "#uname")
            .with("operation", "eq")
            .with("value", node.unwrap_or_default());
        Element::new("rule")
            .with("id", format!("{prefix}-node-score-rule"))
            .with("score", score.unwrap_or_default())
            .with_child(expression)
    });
    let mut both = Element::new("rule")
        .with("id", format!("{prefix}-lifetime-and-rule"))
        .with("boolean-op", "and")
        .with_child(inner);
    match <[Element; 1]>::try_from(lifetimes) {
        Ok([only]) => both.push(only),
        Err(several) => {
            let mut any = Element::new("rule")
                .with("id", format!("{prefix}-lifetime-or-rule"))
                .with("boolean-op", "or");
            several.into_iter().for_each(|rule| any.push(rule));
            both.push(any);
        }
    }
    constraint.retain_children(|child| child.name() != "rule");
    constraint.push(both);
}

/// Rules that were defined in a dropped lifetime and are used elsewhere move to a constraint that
/// matches no resource.
fn keep_referenced(configuration: &mut Element, dropped: Vec<Element>) {
    let used: BTreeSet<String> = configuration
        .descendants()
        .filter(|rule| rule.name() == "rule" && !copies::is_original(rule))
        .filter_map(|rule| rule.id().map(str::to_owned))
        .collect();
    let kept: Vec<Element> = dropped
        .into_iter()
        .filter(|rule| copies::is_original(rule) && rule.id().is_some_and(|id| used.contains(id)))
        .collect();
    let Some(constraints) = configuration.child_mut("constraints").filter(|_| !kept.is_empty())
    else {
        return;
    };
    let id = format!("{PREFIX}coloc-order-lifetime-rules");
    let mut holder =
        Element::new("rule").with("id", format!("{id}-rule")).with("score", "-INFINITY");
    kept.into_iter().for_each(|rule| holder.push(rule));
    constraints.push(
        Element::new("rsc_location").with("id", id).with("rsc-pattern", "a^").with_child(holder),
    );
}
