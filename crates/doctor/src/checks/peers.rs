//! What the conversation with the other nodes' doctors showed.

use super::key::is_secure;
use super::network::port;
use crate::facts::Facts;
use crate::finding::Finding;
use crate::packet::Proof;
use crate::session::PeerFact;

const CHECK: &str = "peers";
/// Clocks further apart than this are worth a word, microseconds: about what NTP never shows.
const CLOCK: u64 = 1_000_000;
/// IP and UDP headers.
const HEADERS: usize = 28;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if !facts.asked {
        return vec![Finding::note(
            CHECK,
            "the other nodes were not asked; run `quorate doctor --answer` on them first, then \
             `quorate doctor --peers` here",
        )];
    }
    facts.peers.iter().flat_map(|peer| one(facts, peer)).collect()
}

fn one(facts: &Facts, peer: &PeerFact) -> Vec<Finding> {
    let (name, address, port) = (&peer.name, peer.address, port(facts));
    let mut found = Vec::new();
    if peer.answers == 0 {
        found.push(if peer.questions > 0 {
            Finding::problem(
                CHECK,
                format!("{name}'s packets arrive here, but nothing gets from here to {name}"),
                format!(
                    "a one-way link: open UDP port {port} in {name}'s firewall for this host, and \
                     in this host's for outgoing packets"
                ),
            )
        } else {
            Finding::problem(
                CHECK,
                format!("nothing comes back from {name} ({address}, UDP port {port})"),
                format!(
                    "is `quorate doctor --answer` running there? If so, the network or a firewall \
                     stops UDP port {port}: try `ping {address}`, then look at nft/iptables on \
                     both"
                ),
            )
        });
        return found;
    }
    if peer.questions > 2 && peer.satisfied == 0 {
        found.push(Finding::problem(
            CHECK,
            format!("{name} does not get our answers to its questions"),
            format!("open UDP port {port} in {name}'s firewall for this host"),
        ));
    }
    if let Some(too_long) = peer.too_long {
        let fits = peer.largest + HEADERS;
        found.push(Finding::problem(
            CHECK,
            format!(
                "packets of {} bytes get to {name} and back, those of {} do not",
                fits,
                too_long + HEADERS
            ),
            format!("a smaller MTU on the way: mend that, or set totem.netmtu: {fits} everywhere"),
        ));
    }
    match peer.proof {
        Proof::Ours => found.push(Finding::good(CHECK, format!("{name} has the same key"))),
        Proof::Other if is_secure(facts) => found.push(Finding::problem(
            CHECK,
            format!("{name} has another key"),
            "copy the key file from one node to all others (mode 0400)",
        )),
        Proof::Other => found.push(Finding::problem(
            CHECK,
            format!("{name} authenticates its packets, this node does not"),
            "make secauth/crypto_cipher/crypto_hash the same on all nodes",
        )),
        Proof::None if is_secure(facts) => found.push(Finding::problem(
            CHECK,
            format!("this node authenticates its packets, {name} does not, or has no key"),
            "make secauth/crypto_cipher/crypto_hash the same on all nodes, and copy the key",
        )),
        Proof::None => {}
    }
    if !peer.differing.is_empty() || peer.unshared > 0 {
        let mut what = format!("{name} has another configuration");
        if !peer.differing.is_empty() {
            what += &format!(": {} differ", peer.differing.join(", "));
        }
        if peer.unshared > 0 {
            what += &format!("; {} settings are only on one side", peer.unshared);
        }
        found.push(Finding::problem(
            CHECK,
            what,
            "copy the file of the right node to all others, then corosync-cfgtool -R",
        ));
    }
    let apart = peer.clock.unsigned_abs();
    if apart > CLOCK + peer.round_trip {
        let direction = if peer.clock > 0 { "ahead of" } else { "behind" };
        found.push(Finding::warning(
            CHECK,
            format!("{name}'s clock is {} s {direction} ours", apart / 1_000_000),
            "run chrony or systemd-timesyncd on all nodes",
        ));
    }
    let wants_multicast = facts.transport() == "udp" && facts.engine.is_none();
    if wants_multicast && !peer.engine && !peer.multicast {
        found.push(Finding::problem(
            CHECK,
            format!("multicasts do not reach {name}, plain packets do"),
            "enable the IGMP querier of the switch or turn its snooping off, or use transport \
             knet or udpu",
        ));
    }
    if found.iter().all(|finding| finding.level == crate::finding::Level::Good) {
        found.push(Finding::good(
            CHECK,
            format!(
                "{name} answers in {}.{:03} ms, packets up to {} bytes pass",
                peer.round_trip / 1000,
                peer.round_trip % 1000,
                peer.largest + HEADERS
            ),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};
    use base::NodeId;

    #[test]
    fn each_trouble_has_its_words() {
        let good = PeerFact {
            node: NodeId(2),
            name: "n2".into(),
            address: [10, 0, 0, 2].into(),
            answers: 9,
            questions: 9,
            satisfied: 8,
            largest: 1472,
            too_long: None,
            multicast: true,
            proof: Proof::None,
            clock: 20,
            round_trip: 200,
            differing: vec![],
            unshared: 0,
            engine: false,
        };
        let mut facts = facts(&conf(2, ""));
        assert!(said(&check(&facts))[0].starts_with("note: the other nodes were not asked"));
        facts.asked = true;
        for (peer, expected) in [
            (good.clone(), ""),
            (PeerFact { answers: 0, ..good.clone() }, "PROBLEM: n2's packets arrive here, but"),
            (PeerFact { answers: 0, questions: 0, ..good.clone() }, "PROBLEM: nothing comes back"),
            (PeerFact { satisfied: 0, ..good.clone() }, "PROBLEM: n2 does not get our answers"),
            (
                PeerFact { largest: 1300, too_long: Some(1308), ..good.clone() },
                "PROBLEM: packets of 1328 bytes get to n2 and back, those of 1336 do not",
            ),
            (PeerFact { proof: Proof::Other, ..good.clone() }, "PROBLEM: n2 authenticates its"),
            (
                PeerFact { differing: vec!["totem.token".into()], unshared: 2, ..good.clone() },
                "PROBLEM: n2 has another configuration: totem.token differ; 2 settings are only",
            ),
            (PeerFact { clock: -9_000_000, ..good.clone() }, "warning: n2's clock is 9 s behind"),
        ] {
            facts.peers = vec![peer];
            let said = said(&check(&facts));
            let text = said.first().map_or("", String::as_str);
            assert!(
                text.starts_with(expected) && text.is_empty() == expected.is_empty(),
                "{said:?}"
            );
        }
    }
}
