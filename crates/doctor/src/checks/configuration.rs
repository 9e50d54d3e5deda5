//! The file itself: is it there, can it be read, does the engine accept it.

use crate::facts::Facts;
use crate::finding::Finding;

const CHECK: &str = "configuration";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let path = &facts.config_path;
    let mut found = Vec::new();
    match &facts.config {
        None => {
            found.push(Finding::problem(
                CHECK,
                format!("there is no {path}"),
                "copy it from another node of the cluster, or write one from \
                 corosync.conf.example",
            ));
            return found;
        }
        Some(Err(why)) => {
            found.push(Finding::problem(
                CHECK,
                why.clone(),
                format!("mend that line; `corosync -t -c {path}` tells when it is right"),
            ));
            return found;
        }
        Some(Ok(_)) => {}
    }
    for warning in &facts.config_warnings {
        found.push(Finding::note(CHECK, warning.clone()));
    }
    match &facts.engine_view {
        Some(Err(why)) => found.push(Finding::problem(
            CHECK,
            format!("the engine refuses {path}: {why}"),
            "the engine will not start before that is mended",
        )),
        Some(Ok(id)) => {
            found.push(Finding::good(CHECK, format!("{path} is accepted; this is node {id}")));
        }
        None => {}
    }
    if facts.text("totem.cluster_name").is_none() && facts.transport() != "udp" {
        found.push(Finding::note(
            CHECK,
            "totem.cluster_name is not set; clusters in one network are told apart by it",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};

    #[test]
    fn what_is_wrong_with_the_file() {
        let mut broken = facts(&conf(3, ""));
        broken.engine_view = Some(Err("no".into()));
        assert_eq!(said(&check(&broken))[0], "PROBLEM: the engine refuses corosync.conf: no");
        broken.config = Some(Err("parser error: corosync.conf:3: what".into()));
        assert_eq!(said(&check(&broken)), ["PROBLEM: parser error: corosync.conf:3: what"]);
        broken.config = None;
        assert_eq!(said(&check(&broken)), ["PROBLEM: there is no corosync.conf"]);
    }
}
