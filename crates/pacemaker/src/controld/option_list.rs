//! What `pacemaker-controld metadata` prints: the cluster options that the controller obeys, in
//! the form of an agent's meta-data (crmsh and pcs read it).
//!
//! Source: `spec/cib.md` §15.1, §15.3.

use xml::Element;

struct Listed {
    name: &'static str,
    kind: &'static str,
    default: Option<&'static str>,
    short: &'static str,
    long: &'static str,
}

const fn option(
    name: &'static str,
    kind: &'static str,
    default: Option<&'static str>,
    short: &'static str,
    long: &'static str,
) -> Listed {
    Listed { name, kind, default, short, long }
}

const ADVANCED: &str = "*** Advanced Use Only ***";
const NO_NEED: &str = "Whoever needs to change this has most likely found a bug.";
/// Values of the one option that is a choice.
const NO_QUORUM_POLICIES: [&str; 5] = ["stop", "freeze", "ignore", "demote", "suicide"];

const OPTIONS: [Listed; 17] = [
    option(
        "dc-version",
        "string",
        Some("none"),
        "Pacemaker version on cluster node elected Designated Controller (DC)",
        "Set by the cluster; with a hash that identifies the build. For diagnosis.",
    ),
    option(
        "cluster-infrastructure",
        "string",
        Some("corosync"),
        "The messaging stack on which Pacemaker is currently running",
        "Set by the cluster. For information and diagnosis.",
    ),
    option(
        "cluster-name",
        "string",
        None,
        "An arbitrary name for the cluster",
        "For people, for rules (node attribute #cluster-name), and for tools and agents.",
    ),
    option(
        "dc-deadtime",
        "time",
        Some("20s"),
        "How long to wait for a response from other nodes during start-up",
        "The best value depends on the network and on how long switches take.",
    ),
    option(
        "cluster-recheck-interval",
        "time",
        Some("15min"),
        "Polling interval to recheck cluster state and evaluate rules with date specifications",
        "The cluster acts on events and knows when a failure expires; this is the safety net, \
         and when rules with dates are looked at. Zero disables it.",
    ),
    option(
        "load-threshold",
        "percentage",
        Some("80%"),
        "Maximum amount of system load that should be used by cluster nodes",
        "Near this CPU load the cluster starts fewer actions at a time.",
    ),
    option(
        "node-action-limit",
        "integer",
        Some("0"),
        "Maximum number of jobs that can be scheduled per node (defaults to 2x cores)",
        "Maximum number of jobs that can be scheduled per node (defaults to 2x cores)",
    ),
    option(
        "fence-reaction",
        "string",
        Some("stop"),
        "How a cluster node should react if notified of its own fencing",
        "A node hears of its own fencing when fencing is misconfigured or cuts something else \
         than the cluster's network: \"stop\" stops Pacemaker there, \"panic\" resets the host.",
    ),
    option("election-timeout", "time", Some("2min"), ADVANCED, NO_NEED),
    option("shutdown-escalation", "time", Some("20min"), ADVANCED, NO_NEED),
    option("join-integration-timeout", "time", Some("3min"), ADVANCED, NO_NEED),
    option("join-finalization-timeout", "time", Some("30min"), ADVANCED, NO_NEED),
    option(
        "transition-delay",
        "time",
        Some("0s"),
        "*** Advanced Use Only *** Enabling this option will slow down cluster recovery under all \
         conditions",
        "Wait this long for more events before a new transition is computed.",
    ),
    option(
        "stonith-watchdog-timeout",
        "time",
        Some("0"),
        "How long before nodes can be assumed to be safely down when watchdog-based self-fencing \
         via SBD is in use",
        "0: no self-fencing by watchdog is assumed. Positive: a lost node is taken for down after \
         this time; it must be longer than SBD_WATCHDOG_TIMEOUT on every node that uses it. \
         Negative: twice SBD_WATCHDOG_TIMEOUT of the local node.",
    ),
    option(
        "stonith-max-attempts",
        "integer",
        Some("10"),
        "How many times fencing can fail before it will no longer be immediately re-attempted on \
         a target",
        "How many times fencing can fail before it will no longer be immediately re-attempted on \
         a target",
    ),
    option(
        "no-quorum-policy",
        "select",
        Some("stop"),
        "What to do when the cluster does not have quorum",
        "What to do when the cluster does not have quorum  Allowed values: stop, freeze, ignore, \
         demote, suicide",
    ),
    option(
        "shutdown-lock",
        "boolean",
        Some("false"),
        "Whether to lock resources to a cleanly shut down node",
        "With true, the resources of a node that was shut down cleanly stay with it: they run \
         nowhere else until it is back, or until shutdown-lock-limit has passed.",
    ),
];

fn text(name: &str, text: &str) -> Element {
    let mut element = Element::new(name).with("lang", "en");
    element.push_text(text);
    element
}

/// The document.
pub(super) fn document() -> String {
    let mut parameters = Element::new("parameters");
    for listed in &OPTIONS {
        let mut content = Element::new("content").with("type", listed.kind);
        if let Some(default) = listed.default {
            content.set("default", default);
        }
        if listed.kind == "select" {
            for value in NO_QUORUM_POLICIES {
                content.push(Element::new("option").with("value", value));
            }
        }
        parameters.push(
            Element::new("parameter")
                .with("name", listed.name)
                .with_child(text("longdesc", listed.long))
                .with_child(text("shortdesc", listed.short))
                .with_child(content),
        );
    }
    let mut version = Element::new("version");
    version.push_text("1.1");
    let agent = Element::new("resource-agent")
        .with("name", "pacemaker-controld")
        .with("version", crate::daemon::VERSION)
        .with_child(version)
        .with_child(text("longdesc", "Cluster options used by Pacemaker's controller"))
        .with_child(text("shortdesc", "Pacemaker controller options"))
        .with_child(parameters);
    format!("<?xml version=\"1.0\"?>\n{}", agent.to_pretty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_options_are_listed() {
        let text = super::document();
        let tree = xml::parse(&text).unwrap();
        assert_eq!(tree.child("parameters").unwrap().children().count(), 17);
    }
}
