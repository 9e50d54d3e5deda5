//! Interfaces and firewall of this host.

use crate::facts::Facts;
use crate::finding::Finding;
use corosync::config::host::{LocalAddress, same_network};
use std::net::IpAddr;

const CHECK: &str = "network";
/// What an Ethernet carries; totem's default assumes it.
const USUAL_MTU: u32 = 1500;

/// The local addresses that the ring uses.
pub(crate) fn used(facts: &Facts) -> Vec<&LocalAddress> {
    let listed: Vec<IpAddr> = facts
        .listed()
        .iter()
        .flat_map(|node| node.addresses.clone())
        .filter_map(|(_, address)| {
            let named = || facts.names.get(&address).and_then(|ips| ips.first()).copied();
            address.parse().ok().or_else(named)
        })
        .collect();
    let wanted: Vec<IpAddr> = (0..8)
        .filter_map(|link| facts.text(&format!("totem.interface.{link}.bindnetaddr")))
        .filter_map(|text| text.parse().ok())
        .collect();
    facts
        .addresses
        .iter()
        .filter(|own| {
            if listed.is_empty() {
                wanted.iter().any(|ip| same_network(own.ip, *ip, own.netmask))
            } else {
                listed.contains(&own.ip)
            }
        })
        .collect()
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.map().is_none() {
        return found;
    }
    let used = used(facts);
    if used.is_empty() && facts.listed().is_empty() {
        found.push(Finding::problem(
            CHECK,
            "no interface has an address in a totem.interface.bindnetaddr network",
            "write the network's (or the interface's) address; `ip address` shows them",
        ));
    }
    for own in used {
        let (name, ip) = (&own.interface, own.ip);
        if !own.is_up {
            found.push(Finding::problem(
                CHECK,
                format!("the interface {name} ({ip}) is down"),
                format!("ip link set {name} up"),
            ));
            continue;
        }
        if ip.is_loopback() && facts.listed().len() != 1 {
            found.push(Finding::problem(
                CHECK,
                format!("the ring would use the loopback, {ip}"),
                "use an address that the other nodes can reach",
            ));
        }
        match facts.mtus.get(name) {
            Some(mtu) if *mtu < USUAL_MTU && facts.text("totem.netmtu").is_none() => {
                found.push(Finding::problem(
                    CHECK,
                    format!("{name} carries {mtu} bytes; totem sends up to {USUAL_MTU}"),
                    format!("set totem.netmtu: {mtu} on all nodes, or raise the interface's MTU"),
                ));
            }
            _ => found.push(Finding::good(CHECK, format!("{name} ({ip}) is up"))),
        }
    }
    if !facts.firewall.is_empty() {
        found.push(Finding::note(
            CHECK,
            format!(
                "this host's firewall drops packets by rule: {}; the ring needs UDP port {} \
                 between all nodes",
                facts.firewall.join("; "),
                port(facts)
            ),
        ));
    }
    found
}

/// The ring's port on link 0.
pub(crate) fn port(facts: &Facts) -> u16 {
    let key = "totem.interface.0.mcastport";
    facts.text(key).and_then(|text| text.parse().ok()).unwrap_or(5405)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};

    #[test]
    fn interfaces() {
        let mut facts = facts(&conf(3, ""));
        facts.mtus.insert("eth0".into(), 1400);
        assert_eq!(
            said(&check(&facts)),
            ["PROBLEM: eth0 carries 1400 bytes; totem sends up to 1500"]
        );
        facts.addresses[0].is_up = false;
        assert_eq!(said(&check(&facts)), ["PROBLEM: the interface eth0 (10.0.0.1) is down"]);
    }

    #[test]
    fn bindnetaddr_selects_the_interface() {
        let conf = "totem {\nversion: 2\ninterface {\nringnumber: 0\nbindnetaddr: 10.0.0.0\n\
                    mcastaddr: 239.255.1.1\nmcastport: 5409\n}\n}\n";
        let mut facts = facts(conf);
        assert_eq!((used(&facts).len(), port(&facts)), (1, 5409));
        facts.addresses[0].ip = [10, 0, 1, 1].into();
        assert!(said(&check(&facts))[0].starts_with("PROBLEM: no interface has an address"));
    }
}
