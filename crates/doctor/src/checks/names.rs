//! Names and addresses of the nodelist: every node must know itself and find the others.

use crate::facts::{Facts, Listed};
use crate::finding::Finding;
use std::collections::BTreeMap;
use std::net::IpAddr;

const CHECK: &str = "names";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let listed = facts.listed();
    own_name(facts, &mut found);
    if listed.is_empty() {
        return found;
    }
    let mut seen: BTreeMap<IpAddr, String> = BTreeMap::new();
    let mut local = None;
    for node in &listed {
        for (link, address) in &node.addresses {
            let found_here = resolve(facts, address);
            match found_here.first() {
                None => found.push(Finding::problem(
                    CHECK,
                    format!("`{address}` (link {link} of node {}) cannot be resolved", node.name),
                    "add it to /etc/hosts on every node, or write the address itself",
                )),
                Some(ip) if ip.is_loopback() => found.push(Finding::problem(
                    CHECK,
                    format!("`{address}` of node {} stands for {ip}, the loopback", node.name),
                    "take the name off the 127.* line of /etc/hosts: the other nodes cannot reach \
                     this one there",
                )),
                Some(ip) => {
                    if let Some(other) = seen.insert(*ip, node.name.clone())
                        && other != node.name
                    {
                        found.push(Finding::problem(
                            CHECK,
                            format!("nodes {other} and {} both have the address {ip}", node.name),
                            "give each node its own ringX_addr",
                        ));
                    }
                    if facts.is_local(*ip) {
                        local = Some(node.name.clone());
                    }
                }
            }
            let families =
                found_here.iter().any(IpAddr::is_ipv4) && found_here.iter().any(IpAddr::is_ipv6);
            if families {
                found.push(Finding::note(
                    CHECK,
                    format!(
                        "`{address}` stands for IPv4 and IPv6 addresses; totem.ip_version decides \
                         which is used"
                    ),
                ));
            }
        }
    }
    ids(&listed, &mut found);
    links(&listed, &mut found);
    match local {
        None => found.push(Finding::problem(
            CHECK,
            format!("none of the listed addresses is one of this host, {}", facts.node),
            "this node is not in the nodelist, or its interface is down or has another address",
        )),
        Some(name) if name != facts.node && listed.iter().any(|n| n.named && n.name == name) => {
            found.push(Finding::note(
                CHECK,
                format!(
                    "this host calls itself {}, the nodelist calls it {name}; the cluster uses \
                     the nodelist's name",
                    facts.node
                ),
            ));
        }
        Some(name) => found.push(Finding::good(CHECK, format!("this host is node {name}"))),
    }
    found
}

fn resolve(facts: &Facts, address: &str) -> Vec<IpAddr> {
    address.parse().map_or_else(
        |_| facts.names.get(address).cloned().unwrap_or_default(),
        |ip: IpAddr| vec![ip],
    )
}

fn own_name(facts: &Facts, found: &mut Vec<Finding>) {
    match facts.names.get(&facts.node).map(Vec::as_slice) {
        None | Some([]) => found.push(Finding::warning(
            CHECK,
            format!("this host's own name, {}, cannot be resolved", facts.node),
            "add it to /etc/hosts on every node; agents and crm_node go by it",
        )),
        Some(ips) if ips.iter().all(IpAddr::is_loopback) => found.push(Finding::warning(
            CHECK,
            format!("this host's own name, {}, stands for the loopback only", facts.node),
            "give the name its real address in /etc/hosts (installers write 127.0.1.1)",
        )),
        Some(_) => found.push(Finding::good(CHECK, format!("{} resolves", facts.node))),
    }
}

fn ids(listed: &[Listed], found: &mut Vec<Finding>) {
    let mut seen = BTreeMap::new();
    for node in listed {
        if node.id.0 == 0 {
            continue; // the engine's own refusal names it
        }
        if let Some(other) = seen.insert(node.id, &node.name) {
            found.push(Finding::problem(
                CHECK,
                format!("nodes {other} and {} both have nodeid {}", node.name, node.id),
                "give each node its own nodeid",
            ));
        }
    }
    let unnamed = listed.iter().filter(|node| !node.named).count();
    if unnamed > 0 {
        found.push(Finding::note(
            CHECK,
            format!(
                "{unnamed} of {} listed nodes have no `name`; pacemaker then goes by each host's \
                 own name",
                listed.len()
            ),
        ));
    }
}

fn links(listed: &[Listed], found: &mut Vec<Finding>) {
    let numbers = |node: &Listed| node.addresses.iter().map(|(n, _)| *n).collect::<Vec<_>>();
    let Some(first) = listed.first() else { return };
    for node in listed.iter().filter(|node| numbers(node) != numbers(first)) {
        found.push(Finding::problem(
            CHECK,
            format!("nodes {} and {} do not have the same links", first.name, node.name),
            "every node needs a ringX_addr for each link X",
        ));
    }
    if first.addresses.len() == 1 && listed.len() > 1 {
        found.push(Finding::good(CHECK, "every node has one link"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};

    #[test]
    fn names_that_lead_nowhere() {
        let text = conf(3, "").replace("10.0.0.2", "two").replace("10.0.0.3", "10.0.0.1");
        let mut facts = facts(&text);
        facts.names.insert("n1".into(), vec![[127, 0, 1, 1].into()]);
        assert_eq!(
            said(&check(&facts)),
            [
                "warning: this host's own name, n1, stands for the loopback only",
                "PROBLEM: `two` (link 0 of node n2) cannot be resolved",
                "PROBLEM: nodes n1 and n3 both have the address 10.0.0.1",
                "note: this host calls itself n1, the nodelist calls it n3; the cluster uses the \
                 nodelist's name",
            ]
        );
    }

    #[test]
    fn a_stranger_and_doubled_ids() {
        let mut facts = facts(&conf(2, "").replace("nodeid: 2", "nodeid: 1"));
        facts.addresses.clear();
        assert_eq!(
            said(&check(&facts)),
            [
                "PROBLEM: nodes n1 and n2 both have nodeid 1",
                "PROBLEM: none of the listed addresses is one of this host, n1",
            ]
        );
    }
}
