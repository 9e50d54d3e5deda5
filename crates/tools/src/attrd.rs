//! Asking the attribute manager. Source: `spec/pacemaker-ipc.md` §5.

use std::time::Duration;

use xml::Element;

use crate::ipc::{Connection, ack_status};
use crate::rc::Rc;

/// A change of a transient attribute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Update<'a> {
    /// The attribute.
    pub name: Option<&'a str>,
    /// Or all attributes whose names match.
    pub pattern: Option<&'a str>,
    /// Its new value; none removes it.
    pub value: Option<&'a str>,
    /// The node; none for the local one.
    pub node: Option<&'a str>,
    /// How long to wait for further changes before it is written.
    pub dampening: Option<&'a str>,
    /// The set it is written to.
    pub set: Option<&'a str>,
    /// Whether it is utilization.
    pub utilization: bool,
    /// Never written to the CIB.
    pub private: bool,
    /// The dampening changes with the value (`update-both`) or alone (`update-delay`).
    pub task: Option<&'a str>,
    /// Until when to wait: `local` or `cluster`.
    pub wait: Option<&'a str>,
    /// Whether the node is a Pacemaker Remote node.
    pub remote: bool,
}

const TIMEOUT: Duration = Duration::from_secs(30);

fn op(task: &str) -> Element {
    Element::new("create_attrd_op")
        .with("t", "attrd")
        .with("src", "attrd_updater")
        .with("task", task)
}

fn send(message: &Element) -> Result<Element, Rc> {
    let mut connection = Connection::open_patiently("attrd", Duration::from_secs(5))?;
    connection.request(message, TIMEOUT)
}

/// Changes or removes an attribute.
pub fn update(change: &Update<'_>) -> Result<(), Rc> {
    let mut message = op(change.task.unwrap_or("update"));
    for (attr, value) in [
        ("attr_name", change.name),
        ("attr_regex", change.pattern),
        ("attr_value", change.value),
        ("attr_dampening", change.dampening),
        ("attr_host", change.node),
        ("attr_set", change.set),
        ("attr_sync_point", change.wait),
    ] {
        if let Some(value) = value {
            message.set(attr, value);
        }
    }
    if change.utilization {
        message.set("attr_set_type", "utilization");
    }
    message.set("attr_is_remote", if change.remote { "1" } else { "0" });
    message.set("attr_is_private", if change.private { "1" } else { "0" });
    let ack = send(&message)?;
    match ack_status(&ack) {
        Some(0 | 112) | None => Ok(()),
        Some(_) => Err(Rc::ERROR),
    }
}

/// Writes all attributes to the CIB now.
pub fn refresh() -> Result<(), Rc> {
    send(&op("refresh")).map(drop)
}

/// Forgets failures: of a resource (or all), on a node (or all), of an operation (or all).
pub fn clear_failures(
    node: Option<&str>,
    resource: Option<&str>,
    operation: Option<&str>,
    interval: Option<&str>,
) -> Result<(), Rc> {
    let mut message = op("clear-failure");
    for (attr, value) in [
        ("attr_host", node),
        ("attr_resource", resource),
        ("attr_clear_operation", operation),
        ("attr_clear_interval", interval),
    ] {
        if let Some(value) = value {
            message.set(attr, value);
        }
    }
    send(&message).map(drop)
}

/// Forgets a node: all its attributes.
pub fn purge(node: &str) -> Result<(), Rc> {
    let message = op("peer-remove").with("attr_host", node);
    let mut connection = Connection::open_patiently("attrd", Duration::from_secs(5))?;
    connection.send(&message)
}

/// Reads an attribute: host and value (none when it was removed) for each node, or for the one
/// asked for. `None`: there is no such attribute.
pub fn query(name: &str, node: Option<&str>) -> Result<Option<Vec<(String, Option<String>)>>, Rc> {
    let mut message = op("query").with("attr_name", name);
    if let Some(node) = node {
        message.set("attr_host", node);
    }
    let answer = send(&message)?;
    if answer.get("attr_name").is_none() {
        return Ok(None);
    }
    let text = |node: &Element, attr: &str| node.get(attr).map(str::to_owned);
    Ok(Some(
        answer
            .children()
            .filter_map(|node| Some((text(node, "attr_host")?, text(node, "attr_value"))))
            .collect(),
    ))
}
