//! Votes: can the cluster have quorum, lose a node, and never have it twice.

use crate::facts::Facts;
use crate::finding::Finding;

const CHECK: &str = "votes";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.map().is_none() {
        return found;
    }
    let listed = facts.listed().len() as u32;
    if facts.text("quorum.provider").as_deref() != Some("corosync_votequorum") {
        found.push(Finding::warning(
            CHECK,
            "no quorum.provider is configured: every partition believes it has quorum",
            "add `quorum { provider: corosync_votequorum }`, or two halves of a parted cluster \
             run the same services",
        ));
        return found;
    }
    let number = |key: &str| facts.text(key).and_then(|text| text.parse::<u32>().ok());
    let on = |key: &str| number(key).is_some_and(|value| value == 1);
    let expected = number("quorum.expected_votes");
    let device = facts.map().is_some_and(|map| map.iter("quorum.device.").next().is_some());
    let two_node = on("quorum.two_node");
    let votes: u32 =
        (0..listed).map(|n| number(&format!("nodelist.node.{n}.quorum_votes")).unwrap_or(1)).sum();
    let total = expected.unwrap_or(votes);
    if total == 0 {
        found.push(Finding::problem(
            CHECK,
            "neither a nodelist nor quorum.expected_votes says how many votes there are",
            "set quorum.expected_votes to the number of nodes",
        ));
        return found;
    }
    if let Some(expected) = expected
        && listed > 0
        && !device
        && expected != votes
    {
        found.push(Finding::warning(
            CHECK,
            format!("expected_votes is {expected}, but the listed nodes have {votes}"),
            "leave expected_votes out: the nodelist tells it",
        ));
    }
    match total {
        _ if two_node && total != 2 => found.push(Finding::problem(
            CHECK,
            format!("two_node is set, but there are {total} votes"),
            "take two_node out",
        )),
        _ if device => found.push(Finding::good(CHECK, "a quorum device has a say")),
        1 => found.push(Finding::note(CHECK, "a single node is no high availability")),
        2 if !two_node => found.push(Finding::problem(
            CHECK,
            "two nodes without two_node: when one dies, the other has no quorum and stops \
             everything",
            "set quorum.two_node: 1 (and have fencing), or add a quorum device or a third node",
        )),
        2 if facts.text("quorum.wait_for_all").as_deref() == Some("0") => {
            found.push(Finding::warning(
                CHECK,
                "two_node with wait_for_all: 0: two nodes that start while parted fence each \
                 other in turn",
                "take wait_for_all: 0 out",
            ));
        }
        _ if total.is_multiple_of(2) && !two_node && !on("quorum.auto_tie_breaker") => {
            found.push(Finding::warning(
                CHECK,
                format!("{total} votes: in a split into equal halves neither has quorum"),
                "add a quorum device or one more node, or set quorum.auto_tie_breaker: 1",
            ));
        }
        _ => {
            found.push(Finding::good(CHECK, format!("{total} votes, quorum is {}", total / 2 + 1)))
        }
    }
    if on("quorum.last_man_standing") && !on("quorum.wait_for_all") && !two_node {
        found.push(Finding::warning(
            CHECK,
            "last_man_standing without wait_for_all",
            "set quorum.wait_for_all: 1 beside it, or a part that shrank and one that just \
             started may both have quorum",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};

    #[test]
    fn votes() {
        let quorum = |more: &str| format!("quorum {{\nprovider: corosync_votequorum\n{more}}}\n");
        for (nodes, more, expected) in [
            (3, quorum(""), ""),
            (2, quorum("two_node: 1\n"), ""),
            (2, quorum(""), "PROBLEM: two nodes without two_node"),
            (3, quorum("two_node: 1\n"), "PROBLEM: two_node is set, but there are 3 votes"),
            (4, quorum(""), "warning: 4 votes: in a split into equal halves"),
            (4, quorum("auto_tie_breaker: 1\n"), ""),
            (3, quorum("expected_votes: 5\n"), "warning: expected_votes is 5, but"),
            (3, String::new(), "warning: no quorum.provider"),
            (3, quorum("last_man_standing: 1\n"), "warning: last_man_standing without"),
            (1, quorum(""), "note: a single node"),
            (2, quorum("two_node: 1\nwait_for_all: 0\n"), "warning: two_node with wait_for_all"),
            (2, quorum("device {\nmodel: net\n}\n"), ""),
        ] {
            let said = said(&check(&facts(&conf(nodes, &more))));
            let text = said.first().map_or("", String::as_str);
            assert!(
                text.starts_with(expected) && text.is_empty() == expected.is_empty(),
                "{said:?}"
            );
        }
    }
}
