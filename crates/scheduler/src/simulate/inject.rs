//! Events put into a state before planning. Source: `spec/scheduler-graph.md` §8.

use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use super::{OpSpec, Places, Record, Step, count_change, node_state, record_op};
use crate::model::Sched;
use crate::text::parse_bool;

/// What to inject.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // named as the options of crm_simulate
pub struct Injections {
    pub quorum: Option<EcoString>,
    pub watchdog: Option<EcoString>,
    pub node_up: Vec<EcoString>,
    pub node_down: Vec<EcoString>,
    pub node_fail: Vec<EcoString>,
    pub ticket_grant: Vec<EcoString>,
    pub ticket_revoke: Vec<EcoString>,
    pub ticket_standby: Vec<EcoString>,
    pub ticket_activate: Vec<EcoString>,
    pub op_inject: Vec<EcoString>,
}

impl Injections {
    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.quorum.is_none()
            && self.watchdog.is_none()
            && self.op_inject.is_empty()
            && [
                &self.node_up,
                &self.node_down,
                &self.node_fail,
                &self.ticket_grant,
                &self.ticket_revoke,
                &self.ticket_standby,
                &self.ticket_activate,
            ]
            .iter()
            .all(|list| list.is_empty())
    }
}

fn set_attr(state: &mut Element, name: &str, value: &str) {
    let node_id: EcoString = state.id().unwrap_or("").into();
    let attrs = state.child_or_new("transient_attributes");
    if attrs.id().is_none() {
        attrs.set("id", node_id.clone());
    }
    let set = attrs.child_or_new("instance_attributes");
    if set.id().is_none() {
        set.set("id", node_id.clone());
    }
    let set_id = set.id().unwrap_or(&node_id);
    let id = format!("{set_id}-{}", name.replace(['#', ':'], "."));
    for pair in set.children_mut() {
        if pair.get("name") == Some(name) {
            pair.set("value", value);
            return;
        }
    }
    set.push(Element::new("nvpair").with("id", id).with("name", name).with("value", value));
}

fn get_attr<'a>(state: &'a Element, name: &str) -> Option<&'a str> {
    state
        .at(&["transient_attributes", "instance_attributes"])?
        .children()
        .find(|pair| pair.get("name") == Some(name))?
        .get("value")
}

/// Counts a failure.
pub(crate) fn add_failcount(
    state: &mut Element,
    rsc: &str,
    task: &str,
    interval: u32,
    infinite: bool,
    now: i64,
) -> [Step; 2] {
    let name = format!("fail-count-{rsc}#{task}_{interval}");
    let old = get_attr(state, &name).and_then(crate::text::scan_int).unwrap_or(0);
    let value = if infinite { "INFINITY".to_owned() } else { old.saturating_add(1).to_string() };
    set_attr(state, &name, &value);
    let last = format!("last-failure-{rsc}#{task}_{interval}");
    set_attr(state, &last, &now.to_string());
    let node: EcoString = state.id().unwrap_or("").into();
    [(name, value), (last, now.to_string())].map(|(name, value)| Step::Attribute {
        name: name.into(),
        value: value.into(),
        path: "/node_state".into(),
        node: node.clone(),
    })
}

/// Puts events into a CIB; returns what was done. `sched` is its state before.
pub fn inject(
    cib: &mut Arc<Element>,
    injections: &Injections,
    sched: &Sched,
    now: i64,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(quorum) = &injections.quorum {
        steps.push(Step::Quorum(quorum.clone()));
        let have = if parse_bool(quorum) == Some(true) { "1" } else { "0" };
        if cib.get("have-quorum") != Some(have) {
            Arc::make_mut(cib).set("have-quorum", have);
            count_change(cib, false);
        }
    }
    if let Some(watchdog) = &injections.watchdog {
        steps.push(Step::Watchdog(watchdog.clone()));
        set_option(cib, "have-watchdog", watchdog);
    }
    for (list, action, member, online) in [
        (&injections.node_up, "Online", true, true),
        (&injections.node_down, "Offline", false, false),
        (&injections.node_fail, "Failing", false, true),
    ] {
        for node in list {
            steps.push(Step::Node { node: node.clone(), action });
            if !set_node(cib, sched, node, (member, online)) {
                steps.push(Step::Wrong(format!("Node {node} is not in the configuration")));
            }
        }
    }
    for (list, action, name, value) in [
        (&injections.ticket_grant, "Granting", "granted", "true"),
        (&injections.ticket_revoke, "Revoking", "granted", "false"),
        (&injections.ticket_standby, "Standby", "standby", "true"),
        (&injections.ticket_activate, "Activating", "standby", "false"),
    ] {
        for ticket in list {
            steps.push(Step::Ticket { ticket: ticket.clone(), action });
            set_ticket(cib, ticket, name, value);
        }
    }
    for text in &injections.op_inject {
        steps.push(Step::Spec(text.clone()));
        match OpSpec::parse(text) {
            Ok(spec) => steps.extend(inject_op(cib, &spec, sched, now)),
            Err(message) => steps.push(Step::Wrong(message)),
        }
    }
    steps
}

fn set_option(cib: &mut Arc<Element>, name: &str, value: &str) {
    let config = Arc::make_mut(cib).child_or_new("configuration").child_or_new("crm_config");
    let set = config.child_or_new("cluster_property_set");
    if set.id().is_none() {
        set.set("id", "cib-bootstrap-options");
    }
    let mut known = None;
    for pair in set.children_mut() {
        if known.is_none() && pair.get("name") == Some(name) {
            known = Some(pair.get("value") == Some(value));
            pair.set("value", value);
        }
    }
    if known.is_none() {
        set.push(
            Element::new("nvpair")
                .with("id", format!("cib-bootstrap-options-{name}"))
                .with("name", name)
                .with("value", value),
        );
    }
    if known != Some(true) {
        count_change(cib, true);
    }
}

fn node_id(cib: &Element, sched: &Sched, name: &str) -> Option<EcoString> {
    if let Some(node) = sched.node_by_name(name) {
        return Some(sched.nodes[node].id.clone());
    }
    // It may have come by an earlier event.
    let nodes = cib.at(&["configuration", "nodes"])?;
    nodes.children_named("node").find(|n| n.get("uname") == Some(name))?.id().map(EcoString::from)
}

/// Sets a node's membership; false if there is no such node, and none can be made.
fn set_node(
    cib: &mut Arc<Element>,
    sched: &Sched,
    name: &str,
    (member, online): (bool, bool),
) -> bool {
    let id = match node_id(cib, sched, name) {
        Some(id) => id,
        None if member && online => {
            // A node that nobody has heard of joins.
            let nodes = Arc::make_mut(cib).child_or_new("configuration").child_or_new("nodes");
            nodes.push(Element::new("node").with("id", name).with("uname", name));
            count_change(cib, true);
            name.into()
        }
        None => return false,
    };
    let state = node_state(cib, name, Some(&id));
    let word = |yes: &'static str, no: &'static str| if online { yes } else { no };
    let changed = set_state(
        state,
        &[
            ("in_ccm", if member { "true" } else { "false" }),
            ("crmd", word("online", "offline")),
            ("join", word("member", "down")),
            ("expected", word("member", "down")),
            ("crm-debug-origin", "crm_simulate"),
        ],
    );
    let forgotten = if online { 0 } else { forget(state) };
    for _ in 0..changed + forgotten {
        count_change(cib, false);
    }
    true
}

/// Sets attributes of a node's state; how many changes of the document that is.
pub(super) fn set_state(state: &mut Element, attributes: &[(&str, &str)]) -> usize {
    let changed = attributes.iter().any(|(name, value)| state.get(name) != Some(value));
    for (name, value) in attributes {
        state.set(name, *value);
    }
    usize::from(changed)
}

/// Removes what a node that is down knows no more; how many changes of the document that is.
pub(super) fn forget(state: &mut Element) -> usize {
    let volatile = |child: &Element| matches!(child.name(), "lrm" | "transient_attributes");
    let count = state.children().filter(|child| volatile(child)).count();
    state.retain_children(|child| !volatile(child));
    count
}

fn set_ticket(cib: &mut Arc<Element>, ticket: &str, name: &str, value: &str) {
    let tickets = Arc::make_mut(cib).child_or_new("status").child_or_new("tickets");
    if tickets.child_with_id("ticket_state", ticket).is_none() {
        tickets.push(Element::new("ticket_state").with("id", ticket));
    }
    if let Some(state) = tickets.child_with_id_mut("ticket_state", ticket)
        && state.get(name) != Some(value)
    {
        state.set(name, value);
        count_change(cib, false);
    }
}

fn inject_op(cib: &mut Arc<Element>, spec: &OpSpec, sched: &Sched, now: i64) -> Vec<Step> {
    let Some(rsc) = sched.find_resource(&spec.rsc).or_else(|| sched.constraint_rsc(&spec.rsc))
    else {
        return vec![Step::Wrong(format!("Invalid resource name: {}", spec.rsc))];
    };
    let Some(id) = node_id(cib, sched, &spec.node) else {
        return vec![Step::Wrong(format!("Node {} is not in the configuration", spec.node))];
    };
    let (class, provider, kind) = sched.agent(rsc);
    let state = node_state(cib, &spec.node, Some(&id));
    let mut steps = Vec::new();
    let probe = spec.task == "monitor" && spec.interval == 0;
    if spec.rc != 0 && !(probe && spec.rc == 7) {
        let infinite =
            spec.task == "stop" || (spec.task == "start" && sched.options.start_failure_fatal);
        steps.extend(add_failcount(state, &spec.rsc, &spec.task, spec.interval, infinite, now));
    }
    let record = Record {
        rsc: &spec.rsc,
        config_id: &spec.rsc,
        op_name: None,
        class,
        provider,
        kind,
        task: &spec.task,
        interval: spec.interval,
        rc: spec.rc,
        target_rc: 0,
        reason: "Simulated action result",
        digest: None,
        migrate: None,
        notify: None,
        now,
    };
    record_op(state, &spec.node, &record, &mut Places::default());
    count_change(cib, false);
    steps
}
