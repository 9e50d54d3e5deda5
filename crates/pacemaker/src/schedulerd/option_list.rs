//! What `pacemaker-schedulerd metadata` prints: the cluster options that the scheduler obeys, in
//! the form of an agent's meta-data (crmsh and pcs read it).
//!
//! Source: `spec/cib.md` §15.2, §15.3.

use xml::Element;

/// An option: name, type, default, values to choose from, and what it is for. A description that
/// begins with `!` marks an option for experts.
type Listed = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str);

const OPTIONS: &[Listed] = &[
    (
        "no-quorum-policy",
        "select",
        "stop",
        &["stop", "freeze", "ignore", "demote", "suicide"],
        "What to do when the cluster does not have quorum",
    ),
    (
        "shutdown-lock",
        "boolean",
        "false",
        &[],
        "Whether to lock resources to a cleanly shut down node",
    ),
    (
        "shutdown-lock-limit",
        "time",
        "0",
        &[],
        "Do not lock resources to a cleanly shut down node longer than this",
    ),
    (
        "symmetric-cluster",
        "boolean",
        "true",
        &[],
        "Whether resources can run on any node by default",
    ),
    (
        "maintenance-mode",
        "boolean",
        "false",
        &[],
        "Whether the cluster should refrain from monitoring, starting, and stopping resources",
    ),
    (
        "start-failure-is-fatal",
        "boolean",
        "true",
        &[],
        "Whether a start failure should prevent a resource from being recovered on the same node",
    ),
    (
        "enable-startup-probes",
        "boolean",
        "true",
        &[],
        "Whether the cluster should check for active resources during start-up",
    ),
    ("stonith-enabled", "boolean", "true", &[], "!Whether nodes may be fenced as part of recovery"),
    (
        "stonith-action",
        "select",
        "reboot",
        &["reboot", "off", "poweroff"],
        "Action to send to fence device when a node needs to be fenced",
    ),
    (
        "stonith-timeout",
        "time",
        "60s",
        &[],
        "How long to wait for on, off, and reboot fence actions to complete by default",
    ),
    (
        "have-watchdog",
        "boolean",
        "false",
        &[],
        "Whether watchdog integration is enabled (set by the cluster)",
    ),
    (
        "concurrent-fencing",
        "boolean",
        "false",
        &[],
        "Allow performing fencing operations in parallel",
    ),
    ("startup-fencing", "boolean", "true", &[], "!Whether to fence unseen nodes at start-up"),
    (
        "priority-fencing-delay",
        "time",
        "0",
        &[],
        "Apply fencing delay targeting the lost nodes with the highest total resource priority",
    ),
    ("cluster-delay", "time", "60s", &[], "Maximum time for node-to-node communication"),
    (
        "batch-limit",
        "integer",
        "0",
        &[],
        "Maximum number of jobs that the cluster may execute in parallel across all nodes",
    ),
    (
        "migration-limit",
        "integer",
        "-1",
        &[],
        "The number of live migration actions that the cluster is allowed to execute in parallel on a node (-1 means no limit)",
    ),
    (
        "stop-all-resources",
        "boolean",
        "false",
        &[],
        "Whether the cluster should stop all active resources",
    ),
    (
        "stop-orphan-resources",
        "boolean",
        "true",
        &[],
        "Whether to stop resources that were removed from the configuration",
    ),
    (
        "stop-orphan-actions",
        "boolean",
        "true",
        &[],
        "Whether to cancel recurring actions removed from the configuration",
    ),
    (
        "remove-after-stop",
        "boolean",
        "false",
        &[],
        "?Whether to remove stopped resources from the executor",
    ),
    (
        "pe-error-series-max",
        "integer",
        "-1",
        &[],
        "The number of scheduler inputs resulting in errors to save",
    ),
    (
        "pe-warn-series-max",
        "integer",
        "5000",
        &[],
        "The number of scheduler inputs resulting in warnings to save",
    ),
    (
        "pe-input-series-max",
        "integer",
        "4000",
        &[],
        "The number of scheduler inputs without errors or warnings to save",
    ),
    (
        "node-health-strategy",
        "select",
        "none",
        &["none", "migrate-on-red", "only-green", "progressive", "custom"],
        "How cluster should react to node health attributes",
    ),
    (
        "node-health-base",
        "integer",
        "0",
        &[],
        "Base health score assigned to a node (strategy progressive)",
    ),
    (
        "node-health-green",
        "integer",
        "0",
        &[],
        "The score to use for a node health attribute whose value is \"green\"",
    ),
    (
        "node-health-yellow",
        "integer",
        "0",
        &[],
        "The score to use for a node health attribute whose value is \"yellow\"",
    ),
    (
        "node-health-red",
        "integer",
        "-INFINITY",
        &[],
        "The score to use for a node health attribute whose value is \"red\"",
    ),
    (
        "placement-strategy",
        "select",
        "default",
        &["default", "utilization", "minimal", "balanced"],
        "How the cluster should allocate resources to nodes",
    ),
];

fn text(name: &str, content: &str) -> Element {
    let mut element = Element::new(name).with("lang", "en");
    element.push_text(content);
    element
}

/// The document.
pub(super) fn document() -> String {
    let mut parameters = Element::new("parameters");
    for (name, kind, default, values, description) in OPTIONS {
        let short = if let Some(rest) = description.strip_prefix('!') {
            format!("*** Advanced Use Only *** {rest}")
        } else if let Some(rest) = description.strip_prefix('?') {
            format!("*** Deprecated *** {rest}")
        } else {
            (*description).to_owned()
        };
        let mut long = description.trim_start_matches(['!', '?']).to_owned();
        let mut content = Element::new("content").with("type", *kind).with("default", *default);
        if !values.is_empty() {
            long.push_str(&format!("  Allowed values: {}", values.join(", ")));
            for value in *values {
                content.push(Element::new("option").with("value", *value));
            }
        }
        parameters.push(
            Element::new("parameter")
                .with("name", *name)
                .with_child(text("longdesc", &long))
                .with_child(text("shortdesc", &short))
                .with_child(content),
        );
    }
    let mut version = Element::new("version");
    version.push_text("1.1");
    let agent = Element::new("resource-agent")
        .with("name", "pacemaker-schedulerd")
        .with("version", crate::daemon::VERSION)
        .with_child(version)
        .with_child(text("longdesc", "Cluster options used by Pacemaker's scheduler"))
        .with_child(text("shortdesc", "Pacemaker scheduler options"))
        .with_child(parameters);
    format!("<?xml version=\"1.0\"?>\n{}", agent.to_pretty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_printed_is_meta_data() {
        let tree = xml::parse(&super::document()).unwrap();
        let parameters = tree.child("parameters").unwrap();
        let fencing =
            parameters.children().find(|p| p.get("name") == Some("stonith-enabled")).unwrap();
        assert_eq!(fencing.child("content").unwrap().get("default"), Some("true"));
    }
}
