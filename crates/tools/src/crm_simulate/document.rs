//! A simulation as XML: what the states, the events, the plan and its execution are made of.
//! Source: `spec/cli-pacemaker.md` §9.

use scheduler::scores::ScoreLine;
use scheduler::simulate::Step;
use scheduler::summary::{Change, Item};
use xml::Element;

use crate::status::{Show, View};

/// A state.
pub(super) fn status(name: &str, view: &mut View, show: &Show) -> Element {
    let mut status = Element::new(name);
    for section in view.elements(show) {
        status.push(section);
    }
    status
}

/// Events that were put into a state.
pub(super) fn modifications(steps: &[Step]) -> Element {
    let mut all = Element::new("modifications");
    for step in steps {
        match step {
            Step::Quorum(value) => all.set("quorum", value.clone()),
            Step::Watchdog(value) => all.set("watchdog", value.clone()),
            step => {
                if let Some(element) = step_element(step) {
                    all.push(element);
                }
            }
        }
    }
    all
}

/// Actions that were executed.
pub(super) fn transition(steps: &[Step]) -> Element {
    let mut all = Element::new("transition");
    for element in steps.iter().filter_map(step_element) {
        all.push(element);
    }
    all
}

fn step_element(step: &Step) -> Option<Element> {
    let new = Element::new;
    Some(match step {
        Step::Node { node, action } => {
            new("modify_node").with("action", *action).with("node", node.clone())
        }
        Step::Ticket { ticket, action } => {
            new("modify_ticket").with("action", *action).with("ticket", ticket.clone())
        }
        Step::Spec(spec) => new("inject_spec").with("spec", spec.clone()),
        Step::Attribute { name, value, path, node } => new("inject_attr")
            .with("name", name.clone())
            .with("value", value.clone())
            .with("node_path", path.clone())
            .with("cib_node", node.clone()),
        Step::Pseudo { task, node } => {
            let element = new("pseudo_action").with("task", task.clone());
            match node {
                Some(node) => element.with("node", node.clone()),
                None => element,
            }
        }
        Step::Resource { rsc, task, interval, node } => {
            let element = new("rsc_action")
                .with("resource", rsc.clone())
                .with("op", task.clone())
                .with("node", node.clone());
            match interval {
                0 => element,
                ms => element.with("interval", ms.to_string()),
            }
        }
        Step::Cluster { task, rsc, node } => {
            let element =
                new("cluster_action").with("task", task.clone()).with("node", node.clone());
            match rsc {
                Some(rsc) => element.with("id", rsc.clone()),
                None => element,
            }
        }
        Step::Fence { node, op } => {
            new("fencing_action").with("target", node.clone()).with("op", op.clone())
        }
        Step::Quorum(_) | Step::Watchdog(_) | Step::Wrong(_) | Step::Pretended { .. } => {
            return None;
        }
    })
}

/// Scores and capacities, in a list named after which of them were asked for.
pub(super) fn scores(lines: &[ScoreLine], scores: bool, utilization: bool) -> Element {
    let mut all = Element::new(match (scores, utilization) {
        (true, true) => "allocations_utilizations",
        (true, false) => "allocations",
        (false, _) => "utilizations",
    });
    for element in lines.iter().filter_map(score_element) {
        all.push(element);
    }
    all
}

fn score_element(line: &ScoreLine) -> Option<Element> {
    let text = scheduler::score::text;
    Some(match line {
        ScoreLine::Allocation { function, rsc, node, score } => Element::new("node_weight")
            .with("function", *function)
            .with("node", node.clone())
            .with("score", text(*score))
            .with("id", rsc.clone()),
        ScoreLine::Promotion { rsc, node, score } => {
            let element =
                Element::new("promotion_score").with("id", rsc.clone()).with("score", text(*score));
            match node {
                Some(node) => element.with("node", node.clone()),
                None => element,
            }
        }
        ScoreLine::Utilization { function, rsc, node, values } => with_values(
            Element::new("utilization")
                .with("resource", rsc.clone())
                .with("node", node.clone())
                .with("function", *function),
            values,
        ),
        ScoreLine::Capacity { comment, node, values } => with_values(
            Element::new("capacity").with("node", node.clone()).with("comment", *comment),
            values,
        ),
        ScoreLine::Info(_) => return None,
    })
}

fn with_values(mut element: Element, values: &[(impl AsRef<str>, i64)]) -> Element {
    for (name, value) in values {
        // Any word may name an amount, but not any word an element.
        let mut tag: String = name
            .as_ref()
            .chars()
            .map(|c| if c.is_alphanumeric() || "_-.".contains(c) { c } else { '_' })
            .collect();
        if !tag.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            tag.insert(0, '_');
        }
        element.push(crate::output::text_element(&tag, &value.to_string()));
    }
    element
}

/// What is going to be done.
pub(super) fn actions(items: &[Item]) -> Element {
    let mut all = Element::new("actions");
    for item in items {
        all.push(match item {
            Item::Node { task, node, reason } => Element::new("node_action")
                .with("task", task.as_str())
                .with("node", node.as_str())
                .with("reason", reason.as_str()),
            Item::Rsc(change) => rsc_action(change),
        });
    }
    all
}

fn rsc_action(change: &Change) -> Element {
    let (old, new) = change.roles;
    let mut element = Element::new("rsc_action")
        .with("action", change.verb.to_lowercase())
        .with("resource", change.rsc.as_str());
    let roles = change.show_roles;
    match (change.from.as_deref(), change.to.as_deref()) {
        (None, Some(to)) if roles => {
            element = element.with("role", old).with("next-role", new).with("dest", to);
        }
        (Some(from), None) if roles => element = element.with("role", old).with("node", from),
        (None, Some(node)) | (Some(node), None) => element.set("node", node),
        (Some(from), Some(to)) if change.same_role() => {
            if from != to {
                element = element.with("source", from).with("dest", to);
            }
            if roles {
                element.set("role", old);
            }
            if from == to {
                element.set("source", from);
            }
        }
        (Some(from), Some(to)) if from == to => {
            element = element.with("role", old).with("next-role", new).with("source", from);
        }
        (Some(from), Some(to)) => {
            element = element
                .with("role", old)
                .with("source", from)
                .with("next-role", new)
                .with("dest", to);
        }
        (None, None) => {}
    }
    if let Some(reason) = &change.reason {
        element.set("reason", reason.as_str());
    }
    if change.blocked {
        element.set("blocked", "true");
    }
    element
}
