//! Collects the facts of this machine: the only place, with [`crate::talk`], that touches it.
//!
//! Nothing is changed, and what cannot be read is left out: a doctor must work on a broken node.

use crate::checks::{common_settings, key_wanted};
use crate::facts::{Cluster, Engine, Facts, KeyFile};
use crate::sys;
use base::NodeId;
use corosync::cmap::Map;
use corosync::config::host::Host as _;
use corosync::config::totem;
use corosync::shell::Machine;
use std::path::Path;
use std::process::Command;
use xml::Element;

const CIB: &str = "/var/lib/pacemaker/cib/cib.xml";
const KEY: &str = "/etc/corosync/authkey";
/// Firewall rules shown at most.
const RULES: usize = 5;

/// Everything but the peers.
pub(crate) fn facts(config: &Path) -> Facts {
    let mut facts = Facts {
        node: Machine.nodename(),
        config_path: config.display().to_string(),
        addresses: Machine.addresses(),
        clock_synchronised: sys::clock_synchronised(),
        firewall: firewall(),
        ..Facts::default()
    };
    read_config(config, &mut facts);
    for address in &facts.addresses {
        let path = format!("/sys/class/net/{}/mtu", address.interface);
        let mtu = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(mtu) = mtu {
            facts.mtus.insert(address.interface.clone(), mtu);
        }
    }
    let listed = facts.listed().into_iter().flat_map(|node| node.addresses);
    let mut names: Vec<String> = listed.map(|(_, address)| address).collect();
    names.push(facts.node.clone());
    for name in names.into_iter().filter(|name| name.parse::<std::net::IpAddr>().is_err()) {
        let found = Machine.resolve(&name);
        facts.names.insert(name, found);
    }
    facts.key = key_wanted(&facts).then(|| key_file(&facts));
    facts.engine = engine();
    facts.cluster = cluster(facts.engine.is_some());
    facts
}

fn read_config(config: &Path, facts: &mut Facts) {
    if !config.exists() {
        return;
    }
    facts.config = Some(corosync::shell::read_config(config).map(|parsed| {
        facts.config_warnings = parsed.warnings;
        let mut map = Map::new();
        for (key, value) in parsed.keys {
            map.put(&key, value);
        }
        map
    }));
    if let Some(map) = facts.map() {
        let mut warnings = Vec::new();
        // Reading writes derived keys; the checks look at the file's own.
        let view = totem::read(&mut map.clone(), &Machine, &mut warnings);
        facts.engine_view = Some(view.map(|config| config.node_id));
        facts.config_warnings.extend(warnings);
    }
}

fn key_path(facts: &Facts) -> String {
    facts.text("totem.keyfile").unwrap_or_else(|| KEY.into())
}

fn key_file(facts: &Facts) -> KeyFile {
    use std::os::unix::fs::PermissionsExt as _;
    let path = key_path(facts);
    if let Some(key) = facts.text("totem.key") {
        let size = Ok(key.len() as u64);
        return KeyFile { path: "totem.key".into(), size, mode: 0o400 };
    }
    match std::fs::metadata(&path) {
        Ok(meta) => {
            KeyFile { path, size: Ok(meta.len()), mode: meta.permissions().mode() & 0o7777 }
        }
        Err(error) => KeyFile { path, size: Err(error.to_string()), mode: 0 },
    }
}

/// The key itself, for proofs; it is never shown.
pub(crate) fn key(facts: &Facts) -> Option<Vec<u8>> {
    facts.key.as_ref()?;
    match facts.text("totem.key") {
        Some(key) => Some(key.into_bytes()),
        None => std::fs::read(key_path(facts)).ok(),
    }
}

/// Settings for the conversation: what must be equal, and what the engine made of it.
pub(crate) fn settings(facts: &Facts) -> Vec<(String, String)> {
    common_settings(facts)
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Rules that drop or reject. Which packets they meet is for people to read.
fn firewall() -> Vec<String> {
    let nft = output("nft", &["list", "ruleset"]).unwrap_or_default();
    let iptables = output("iptables", &["-S"]).unwrap_or_default();
    let drops = |line: &&str| {
        ["policy drop", " drop", " reject", "-j DROP", "-j REJECT", "INPUT DROP"]
            .iter()
            .any(|word| line.contains(word))
    };
    let mut rules: Vec<String> =
        nft.lines().chain(iptables.lines()).filter(drops).map(|l| l.trim().to_owned()).collect();
    rules.dedup();
    rules.truncate(RULES);
    rules
}

fn engine() -> Option<Engine> {
    let mut cfg = corosync_client::cfg::Cfg::connect().ok()?;
    let links = cfg.ring_status().unwrap_or_default();
    let quorate = corosync_client::quorum::Quorum::connect()
        .ok()
        .filter(corosync_client::quorum::Quorum::has_provider)
        .and_then(|mut quorum| quorum.is_quorate().ok());
    let entries = corosync_client::cmap::Cmap::connect()
        .ok()
        .and_then(|mut cmap| cmap.entries("runtime.members.").ok())
        .unwrap_or_default();
    let id = |key: &str| key.split('.').nth(2)?.parse().ok().map(NodeId);
    let joined = |(key, value): &(String, _)| {
        let value: &corosync_client::cmap::Value = value;
        (value.as_str() == Some("joined")).then(|| id(key))?
    };
    let members: Vec<NodeId> = entries.iter().filter_map(joined).collect();
    let addresses = entries
        .iter()
        .filter(|(key, _)| key.ends_with(".ip"))
        .filter_map(|(key, value)| Some((id(key)?, first_address(value.as_str()?)?)))
        .filter(|(id, _)| members.contains(id))
        .collect();
    let links = links.into_iter().map(|link| (link.name, link.status)).collect();
    Some(Engine { quorate, members, addresses, links })
}

/// `r(0) ip(192.168.100.10) …`
fn first_address(text: &str) -> Option<std::net::IpAddr> {
    let (_, rest) = text.split_once("ip(")?;
    rest.split_once(')')?.0.parse().ok()
}

fn cluster(running: bool) -> Option<Cluster> {
    let wish = tools::source::Wish { tool: "doctor", writes: false, user: None };
    let live = || {
        let mut source = tools::source::Source::open_live(&wish, None).ok()?;
        Some((source.document().ok()?, "the running cluster".to_owned()))
    };
    let stored = || {
        let text = std::fs::read_to_string(CIB).ok()?;
        Some((xml::parse(&text).ok()?, CIB.to_owned()))
    };
    let (document, source) = if running { live().or_else(stored) } else { stored() }?;
    Some(judge_cib(&document, source))
}

fn judge_cib(document: &Element, source: String) -> Cluster {
    let option = |name: &str| {
        document
            .at(&["configuration", "crm_config"])
            .into_iter()
            .flat_map(|section| section.descendants())
            .filter(|element| element.name() == "nvpair" && element.get("name") == Some(name))
            .find_map(|element| element.get("value").map(str::to_owned))
    };
    let is_true =
        |value: &str| matches!(value.to_lowercase().as_str(), "true" | "on" | "yes" | "y" | "1");
    let resources = document.at(&["configuration", "resources"]);
    let nodes = document.at(&["configuration", "nodes"]);
    Cluster {
        source,
        fencing_enabled: option("stonith-enabled")
            .or_else(|| option("fencing-enabled"))
            .is_none_or(|value| is_true(&value)),
        fencing_devices: resources
            .into_iter()
            .flat_map(Element::descendants)
            .filter(|element| {
                element.name() == "primitive" && element.get("class") == Some("stonith")
            })
            .filter_map(|element| element.id().map(str::to_owned))
            .collect(),
        no_quorum_policy: option("no-quorum-policy").unwrap_or_else(|| "stop".into()),
        watchdog: option("have-watchdog").is_some_and(|value| is_true(&value)),
        nodes: nodes
            .into_iter()
            .flat_map(|section| section.children_named("node"))
            .filter_map(|node| node.get("uname").map(str::to_owned))
            .collect(),
        maintenance: option("maintenance-mode").is_some_and(|value| is_true(&value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_members() {
        assert_eq!(
            first_address("r(0) ip(10.0.0.1) r(1) ip(10.1.0.1) "),
            Some([10, 0, 0, 1].into())
        );
        assert_eq!(first_address("r(0) ip()"), None);
    }

    #[test]
    fn what_the_cib_says() {
        let text = r#"<cib><configuration><crm_config><cluster_property_set id="a">
            <nvpair id="b" name="stonith-enabled" value="off"/>
            <nvpair id="c" name="no-quorum-policy" value="freeze"/>
            </cluster_property_set></crm_config><nodes><node id="1" uname="n1"/></nodes>
            <resources><primitive id="f" class="stonith" type="x"/></resources></configuration></cib>"#;
        let cluster = judge_cib(&xml::parse(text).expect("xml"), String::new());
        assert!(!cluster.fencing_enabled);
        assert_eq!(cluster.no_quorum_policy, "freeze");
        assert_eq!((cluster.fencing_devices, cluster.nodes), (vec!["f".into()], vec!["n1".into()]));
    }
}
