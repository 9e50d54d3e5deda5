//! The checks: from facts to findings. Each is a pure function; the order below is the order in
//! which an administrator should read them, since a later one often follows from an earlier one.

mod clock;
mod configuration;
mod fencing;
mod key;
mod names;
mod network;
mod peers;
mod running;
mod votes;

use crate::facts::Facts;
use crate::finding::Finding;

pub(crate) use key::is_secure as key_wanted;
pub(crate) use network::{port as ring_port, used as ring_addresses};

/// Everything there is to say.
pub fn all(facts: &Facts) -> Vec<Finding> {
    [
        configuration::check,
        names::check,
        network::check,
        key::check,
        votes::check,
        clock::check,
        running::check,
        peers::check,
        fencing::check,
    ]
    .iter()
    .flat_map(|check| check(facts))
    .collect()
}

/// Settings of the configuration that must be the same on all nodes: `(key, value)`.
pub fn common_settings(facts: &Facts) -> Vec<(String, String)> {
    let Some(map) = facts.map() else { return Vec::new() };
    let own = |key: &str| {
        // What belongs to one node, or is derived when the file is read, or is secret.
        key.ends_with(".bindnetaddr")
            || key.starts_with("totem.key")
            || matches!(key, "totem.nodeid" | "nodelist.local_node_pos")
    };
    ["totem.", "nodelist.", "quorum."]
        .iter()
        .flat_map(|prefix| map.iter(prefix))
        .filter(|(key, _)| !own(key))
        .map(|(key, value)| (key.to_owned(), value.to_string()))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use base::NodeId;
    use corosync::cmap::Map;
    use corosync::config::parse::{Accounts, Parsed, parse};

    struct Nobody;

    impl Accounts for Nobody {
        fn uid(&self, _: &str) -> Option<u32> {
            None
        }
        fn gid(&self, _: &str) -> Option<u32> {
            None
        }
    }

    /// Facts of node `n1` at 10.0.0.1 with this configuration and nothing wrong.
    pub(crate) fn facts(conf: &str) -> Facts {
        let mut parsed = Parsed::default();
        parse("corosync.conf", conf.as_bytes(), &Nobody, &mut parsed).expect("configuration");
        let mut map = Map::new();
        for (key, value) in parsed.keys {
            map.put(&key, value);
        }
        let address = |last: u8, interface: &str| corosync::config::host::LocalAddress {
            interface: interface.into(),
            index: 1,
            ip: [10, 0, 0, last].into(),
            netmask: [255, 255, 255, 0].into(),
            is_up: true,
        };
        let mut facts = Facts {
            node: "n1".into(),
            config_path: "corosync.conf".into(),
            config: Some(Ok(map)),
            engine_view: Some(Ok(NodeId(1))),
            addresses: vec![address(1, "eth0")],
            mtus: [("eth0".to_owned(), 1500)].into(),
            clock_synchronised: Some(true),
            ..Facts::default()
        };
        facts.names.insert("n1".into(), vec![[10, 0, 0, 1].into()]);
        facts
    }

    /// A nodelist of `count` nodes `nX` at 10.0.0.X, and more.
    pub(crate) fn conf(count: u8, more: &str) -> String {
        let nodes: String = (1..=count)
            .map(|n| format!("node {{\nring0_addr: 10.0.0.{n}\nname: n{n}\nnodeid: {n}\n}}\n"))
            .collect();
        format!("totem {{\nversion: 2\ntransport: udpu\n}}\nnodelist {{\n{nodes}}}\n{more}")
    }

    /// The findings worth saying, as `level: text`.
    pub(crate) fn said(findings: &[Finding]) -> Vec<String> {
        findings
            .iter()
            .filter(|finding| finding.level > crate::finding::Level::Good)
            .map(|finding| format!("{}: {}", finding.level.word(), finding.what))
            .collect()
    }

    const QUORUM: &str = "quorum {\nprovider: corosync_votequorum\n}\n";

    #[test]
    fn a_sound_cluster_has_no_finding() {
        let said = said(&all(&facts(&conf(3, QUORUM))));
        assert!(said.iter().all(|text| text.starts_with("note: ")), "{said:?}");
    }

    #[test]
    fn common_settings_leave_out_what_is_ones_own() {
        let facts = facts("totem {\nversion: 2\nnodeid: 4\nkey: secret\ntoken: 3000\n}\n");
        let keys: Vec<String> = common_settings(&facts).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["totem.token", "totem.version"]);
    }
}
