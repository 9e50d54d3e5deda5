//! What the running engine says of the ring.

use crate::facts::Facts;
use crate::finding::Finding;

const CHECK: &str = "ring";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(engine) = &facts.engine else {
        return vec![Finding::note(CHECK, "no engine runs here, so the ring was not looked at")];
    };
    let mut found = Vec::new();
    let listed = facts.listed();
    let missing: Vec<&str> = listed
        .iter()
        .filter(|node| !engine.members.contains(&node.id))
        .map(|node| node.name.as_str())
        .collect();
    if missing.is_empty() {
        let count = engine.members.len();
        found.push(Finding::good(CHECK, format!("{count} members, nobody listed is missing")));
    } else {
        found.push(Finding::problem(
            CHECK,
            format!("listed, but not in the ring: {}", missing.join(", ")),
            "run `quorate doctor --answer` there, and this again: it tells what does not get \
             through",
        ));
    }
    let strangers: Vec<String> = engine
        .members
        .iter()
        .filter(|id| !listed.is_empty() && !listed.iter().any(|node| node.id == **id))
        .map(ToString::to_string)
        .collect();
    if !strangers.is_empty() {
        found.push(Finding::problem(
            CHECK,
            format!("in the ring, but not in this node's nodelist: {}", strangers.join(", ")),
            "the nodes have different configuration files: make them equal, then \
             corosync-cfgtool -R",
        ));
    }
    for (name, status) in &engine.links {
        let low = status.to_lowercase();
        let bad = ["fault", "disconnected", "3", "2"].iter().any(|word| low.contains(word))
            && !low.contains("no faults");
        if bad {
            found.push(Finding::problem(
                CHECK,
                format!("link {name}: {status}"),
                "see corosync-cfgtool -s; check cable, switch and firewall of that link",
            ));
        }
    }
    if engine.quorate == Some(false) {
        found.push(Finding::problem(
            CHECK,
            "this partition has no quorum",
            "bring the missing nodes back; only when they are surely dead: \
             corosync-quorumtool -e",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};
    use crate::facts::Engine;
    use base::NodeId;

    #[test]
    fn members_links_quorum() {
        let mut facts = facts(&conf(3, ""));
        facts.engine = Some(Engine {
            quorate: Some(false),
            members: vec![NodeId(1), NodeId(9)],
            addresses: vec![],
            links: vec![
                ("0 10.0.0.1".into(), "OK".into()),
                ("1 10.1.0.1".into(), "ring 1 FAULTY".into()),
                ("2 10.1.0.1".into(), "ring 0 active with no faults".into()),
            ],
        });
        assert_eq!(
            said(&check(&facts)),
            [
                "PROBLEM: listed, but not in the ring: n2, n3",
                "PROBLEM: in the ring, but not in this node's nodelist: 9",
                "PROBLEM: link 1 10.1.0.1: ring 1 FAULTY",
                "PROBLEM: this partition has no quorum",
            ]
        );
    }
}
