//! The cluster options that the controller reads from the CIB.
//!
//! Source: `spec/pacemaker-cluster.md` §4.10.

use std::collections::BTreeMap;
use std::time::Duration;

use xml::Element;

/// What to do when quorum is lost, as far as the controller cares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How long to wait for a DC.
    pub dc_deadtime: Duration,
    /// How long a vote waits for answers.
    pub election_timeout: Duration,
    /// How long a shutdown may take.
    pub shutdown_escalation: Duration,
    /// How long nodes may take to ask for their place.
    pub integration_timeout: Duration,
    /// How long they may take to confirm it.
    pub finalization_timeout: Duration,
    /// How long to wait for more changes before asking the scheduler.
    pub transition_delay: Duration,
    /// How often to ask it without a reason; zero is never.
    pub recheck_interval: Duration,
    /// Jobs per node; 0 is "by its cores".
    pub node_action_limit: u32,
    /// CPU load, in percent, above which fewer jobs are given.
    pub load_threshold: u32,
    /// `no-quorum-policy=suicide`.
    pub suicide_without_quorum: bool,
    /// `fence-reaction=panic`.
    pub panic_when_fenced: bool,
    /// Failures of fencing a node before giving up for now.
    pub stonith_max_attempts: u32,
    /// `shutdown-lock`.
    pub shutdown_lock: bool,
    /// `cluster-name`, if set.
    pub cluster_name: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options::read(&BTreeMap::new())
    }
}

/// Name-value pairs of the cluster options in a `<crm_config>` (or an `xpath-query` around it).
/// The set `cib-bootstrap-options` comes first; of equal names the first counts.
pub fn pairs(found: &Element) -> BTreeMap<String, String> {
    let mut sets: Vec<&Element> =
        found.descendants().filter(|e| e.name() == "cluster_property_set").collect();
    sets.sort_by_key(|set| set.id() != Some("cib-bootstrap-options"));
    let mut pairs = BTreeMap::new();
    for nvpair in sets.iter().flat_map(|set| set.children_named("nvpair")) {
        if let (Some(name), Some(value)) = (nvpair.get("name"), nvpair.get("value")) {
            pairs.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    pairs
}

impl Options {
    /// Takes the options from name-value pairs; what is missing or makes no sense has its default.
    pub fn read(pairs: &BTreeMap<String, String>) -> Options {
        let text = |names: &[&str]| names.iter().find_map(|name| pairs.get(*name));
        let span = |names: &[&str], default: u64| {
            text(names)
                .and_then(|text| base::interval::parse(text).ok())
                .unwrap_or(Duration::from_secs(default))
        };
        let number = |name: &str, default: u32| {
            text(&[name])
                .and_then(|text| text.trim().trim_end_matches('%').parse().ok())
                .unwrap_or(default)
        };
        let is_true = |name: &str| {
            text(&[name]).is_some_and(|text| {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1" | "y")
            })
        };
        Options {
            dc_deadtime: span(&["dc-deadtime"], 20),
            election_timeout: span(&["election-timeout"], 120),
            shutdown_escalation: span(&["shutdown-escalation"], 1200),
            integration_timeout: span(
                &["join-integration-timeout", "crmd-integration-timeout"],
                180,
            ),
            finalization_timeout: span(
                &["join-finalization-timeout", "crmd-finalization-timeout"],
                1800,
            ),
            transition_delay: span(&["transition-delay", "crmd-transition-delay"], 0),
            recheck_interval: span(&["cluster-recheck-interval"], 900),
            node_action_limit: number("node-action-limit", 0),
            load_threshold: number("load-threshold", 80),
            suicide_without_quorum: text(&["no-quorum-policy"]).is_some_and(|p| p == "suicide"),
            panic_when_fenced: text(&["fence-reaction"]).is_some_and(|p| p == "panic"),
            stonith_max_attempts: number("stonith-max-attempts", 10).max(1),
            shutdown_lock: is_true("shutdown-lock"),
            cluster_name: pairs.get("cluster-name").cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bootstrap_set_comes_first() {
        let xml = xml::parse(
            "<xpath-query><crm_config><cluster_property_set id='other'><nvpair id='o' \
             name='dc-deadtime' value='5s'/></cluster_property_set><cluster_property_set \
             id='cib-bootstrap-options'><nvpair id='b' name='dc-deadtime' value='2min'/><nvpair \
             id='c' name='no-quorum-policy' value='suicide'/><nvpair id='d' \
             name='crmd-transition-delay' value='2s'/></cluster_property_set></crm_config>\
             </xpath-query>",
        )
        .unwrap();
        let options = Options::read(&pairs(&xml));
        assert_eq!(options.dc_deadtime, Duration::from_secs(120));
        assert_eq!(options.transition_delay, Duration::from_secs(2));
        assert!(options.suicide_without_quorum && !options.panic_when_fenced);
        assert_eq!(options.recheck_interval, Duration::from_secs(900));
    }
}
