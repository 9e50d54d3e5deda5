//! What a simulation did: one step an item, as line for people or as facts for other formats.
//! Source: `spec/scheduler-graph.md` §7 and §8.

use ecow::EcoString;

/// One thing that a simulation did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named as what is shown")]
pub enum Step {
    /// The cluster has quorum, or not.
    Quorum(EcoString),
    /// There is a watchdog, or not.
    Watchdog(EcoString),
    /// A node comes (`Online`), goes (`Offline`) or fails (`Failing`).
    Node { node: EcoString, action: &'static str },
    /// A ticket changes: `Granting`, `Revoking`, `Standby`, `Activating`.
    Ticket { ticket: EcoString, action: &'static str },
    /// An operation's result was put into the history.
    Spec(EcoString),
    /// A transient attribute was set: a failure was counted.
    Attribute { name: EcoString, value: EcoString, path: EcoString, node: EcoString },
    /// Something asked for makes no sense.
    Wrong(String),
    /// A pseudo action.
    Pseudo { task: EcoString, node: Option<EcoString> },
    /// An action of a resource.
    Resource { rsc: EcoString, task: EcoString, interval: u32, node: EcoString },
    /// An action of the cluster itself.
    Cluster { task: EcoString, rsc: Option<EcoString>, node: EcoString },
    /// A node was fenced.
    Fence { node: EcoString, op: EcoString },
    /// An action failed because somebody wanted it to.
    Pretended { id: i64, rc: i32 },
}

impl Step {
    /// The step as an item of a list.
    pub fn text(&self) -> String {
        match self {
            Step::Quorum(value) => format!("Setting quorum: {value}"),
            Step::Watchdog(value) => format!("Setting watchdog: {value}"),
            Step::Node { node, action: "Online" } => format!("Bringing node {node} online"),
            Step::Node { node, action: "Offline" } => format!("Taking node {node} offline"),
            Step::Node { node, action } => format!("{action} node {node}"),
            Step::Ticket { ticket, action: "Standby" } => {
                format!("Making ticket {ticket} standby")
            }
            Step::Ticket { ticket, action } => format!("{action} ticket {ticket}"),
            Step::Spec(spec) => format!("Injecting {spec} into the configuration"),
            Step::Attribute { name, value, path, node } => {
                format!("Injecting attribute {name}={value} into {path} '{node}'")
            }
            Step::Wrong(what) => what.clone(),
            Step::Pseudo { task, node: None } => format!("Pseudo action:   {task}"),
            Step::Pseudo { task, node: Some(node) } => {
                format!("Pseudo action:   {task} on {node}")
            }
            Step::Resource { rsc, task, interval: 0, node } => {
                format!("Resource action: {rsc:<15} {task} on {node}")
            }
            Step::Resource { rsc, task, interval, node } => {
                format!("Resource action: {rsc:<15} {task}={interval} on {node}")
            }
            Step::Cluster { task, rsc: None, node } => {
                format!("Cluster action:  {task} on {node}")
            }
            Step::Cluster { task, rsc: Some(rsc), node } => {
                format!("Cluster action:  {task} for {rsc} on {node}")
            }
            Step::Fence { node, op } => format!("Fencing {node} ({op})"),
            Step::Pretended { id, rc } => format!("Pretending action {id} failed with rc={rc}"),
        }
    }
}
