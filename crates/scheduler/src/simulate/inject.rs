//! Events put into a state before planning. Source: `spec/scheduler-graph.md` §8.

use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use super::{OpSpec, Record, node_state, record_op};
use crate::model::Sched;
use crate::present::Line;
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
    pub op_inject: Vec<OpSpec>,
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
        set.set("id", format!("status-{node_id}"));
    }
    let id = format!("status-{node_id}-{}", name.replace(['#', ':'], "."));
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
) -> Vec<(String, String)> {
    let name = format!("fail-count-{rsc}#{task}_{interval}");
    let old = get_attr(state, &name).and_then(crate::text::scan_int).unwrap_or(0);
    let value = if infinite { "INFINITY".to_owned() } else { old.saturating_add(1).to_string() };
    set_attr(state, &name, &value);
    let last = format!("last-failure-{rsc}#{task}_{interval}");
    set_attr(state, &last, &now.to_string());
    vec![(name, value), (last, now.to_string())]
}

/// Puts events into a CIB; returns what was done, one line an item. `sched` is its state before.
pub fn inject(
    cib: &mut Arc<Element>,
    injections: &Injections,
    sched: &Sched,
    now: i64,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |text: String| lines.push(Line { level: 1, text });
    if let Some(quorum) = &injections.quorum {
        say(format!("Setting quorum: {quorum}"));
        let have = if parse_bool(quorum) == Some(true) { "1" } else { "0" };
        Arc::make_mut(cib).set("have-quorum", have);
    }
    if let Some(watchdog) = &injections.watchdog {
        say(format!("Setting watchdog: {watchdog}"));
        set_option(cib, "have-watchdog", watchdog);
    }
    for node in &injections.node_up {
        say(format!("Bringing node {node} online"));
        set_node(cib, node, true, true);
    }
    for node in &injections.node_down {
        say(format!("Taking node {node} offline"));
        set_node(cib, node, false, false);
    }
    for node in &injections.node_fail {
        say(format!("Failing node {node}"));
        set_node(cib, node, false, true);
    }
    for (list, what, name, value) in [
        (&injections.ticket_grant, "Granting ticket", "granted", "true"),
        (&injections.ticket_revoke, "Revoking ticket", "granted", "false"),
        (&injections.ticket_standby, "Making ticket", "standby", "true"),
        (&injections.ticket_activate, "Activating ticket", "standby", "false"),
    ] {
        for ticket in list {
            let tail = if value == "true" && name == "standby" { " standby" } else { "" };
            say(format!("{what} {ticket}{tail}"));
            set_ticket(cib, ticket, name, value);
        }
    }
    for spec in &injections.op_inject {
        say(format!("Injecting {} into the configuration", spec.text));
        for text in inject_op(cib, spec, sched, now) {
            say(text);
        }
    }
    lines
}

fn set_option(cib: &mut Arc<Element>, name: &str, value: &str) {
    let config = Arc::make_mut(cib).child_or_new("configuration").child_or_new("crm_config");
    let set = config.child_or_new("cluster_property_set");
    if set.id().is_none() {
        set.set("id", "cib-bootstrap-options");
    }
    for pair in set.children_mut() {
        if pair.get("name") == Some(name) {
            pair.set("value", value);
            return;
        }
    }
    set.push(
        Element::new("nvpair")
            .with("id", format!("cib-bootstrap-options-{name}"))
            .with("name", name)
            .with("value", value),
    );
}

fn node_id(cib: &Element, name: &str) -> Option<EcoString> {
    let nodes = cib.at(&["configuration", "nodes"])?;
    nodes.children_named("node").find(|n| n.get("uname") == Some(name))?.id().map(EcoString::from)
}

fn set_node(cib: &mut Arc<Element>, name: &str, member: bool, online: bool) {
    let mut id = node_id(cib, name);
    if id.is_none() && online {
        // A node that nobody has heard of joins.
        let nodes = Arc::make_mut(cib).child_or_new("configuration").child_or_new("nodes");
        nodes.push(Element::new("node").with("id", name).with("uname", name));
        id = Some(name.into());
    }
    let state = node_state(cib, name, id.as_deref());
    state.set("in_ccm", if member { "true" } else { "false" });
    let word = |yes: &'static str, no: &'static str| if online { yes } else { no };
    state.set("crmd", word("online", "offline"));
    state.set("join", word("member", "down"));
    state.set("expected", word("member", "down"));
    state.set("crm-debug-origin", "crm_simulate");
    if !online {
        state.retain_children(|c| c.name() != "lrm" && c.name() != "transient_attributes");
    }
}

fn set_ticket(cib: &mut Arc<Element>, ticket: &str, name: &str, value: &str) {
    let tickets = Arc::make_mut(cib).child_or_new("status").child_or_new("tickets");
    if tickets.child_with_id("ticket_state", ticket).is_none() {
        tickets.push(Element::new("ticket_state").with("id", ticket));
    }
    if let Some(state) = tickets.child_with_id_mut("ticket_state", ticket) {
        state.set(name, value);
    }
}

fn inject_op(cib: &mut Arc<Element>, spec: &OpSpec, sched: &Sched, now: i64) -> Vec<String> {
    let Some(node) = sched.node_by_name(&spec.node) else {
        return vec![format!("Node {} does not exist", spec.node)];
    };
    let Some(rsc) = sched.find_resource(&spec.rsc).or_else(|| sched.constraint_rsc(&spec.rsc))
    else {
        return vec![format!("Resource {} does not exist", spec.rsc)];
    };
    let (class, provider, kind) = sched.agent(rsc);
    let (id, name) = (sched.nodes[node].id.clone(), sched.nodes[node].name.clone());
    let state = node_state(cib, &name, Some(&id));
    let probe = spec.task == "monitor" && spec.interval == 0;
    let mut texts = Vec::new();
    if spec.rc != 0 && !(probe && spec.rc == 7) {
        let infinite =
            spec.task == "stop" || (spec.task == "start" && sched.options.start_failure_fatal);
        let path = format!("//node_state[@uname='{name}']");
        for (attr, value) in
            add_failcount(state, &spec.rsc, &spec.task, spec.interval, infinite, now)
        {
            texts.push(format!("Injecting attribute {attr}={value} into {path} '{id}'"));
        }
    }
    let record = Record {
        rsc: &spec.rsc,
        config_id: &spec.rsc,
        class,
        provider,
        kind,
        task: &spec.task,
        interval: spec.interval,
        rc: spec.rc,
        target_rc: if probe { 7 } else { 0 },
        transition: "-1:-1:0:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
            .replace(":0:", if probe { ":7:" } else { ":0:" }),
        digest: None,
        migrate: None,
        notify_key: None,
        now,
    };
    record_op(state, &name, &record);
    texts
}
