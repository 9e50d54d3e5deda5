//! Fencing: whether a node that hangs can be got rid of.

use crate::facts::Facts;
use crate::finding::Finding;

const CHECK: &str = "fencing";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(cluster) = &facts.cluster else {
        return vec![Finding::note(CHECK, "no CIB can be read here, so fencing was not looked at")];
    };
    let nodes = cluster.nodes.len().max(facts.listed().len());
    let mut found = Vec::new();
    let fencing =
        cluster.fencing_enabled && (!cluster.fencing_devices.is_empty() || cluster.watchdog);
    if cluster.fencing_enabled && !fencing {
        found.push(Finding::problem(
            CHECK,
            "stonith-enabled is true, but there is no fencing device: no resource will start",
            "configure a fencing device (`stonith_admin -I` lists agents); only for a test: \
             crm configure property stonith-enabled=false",
        ));
    }
    if !cluster.fencing_enabled && nodes > 1 {
        let two = nodes == 2;
        let what = if two {
            "two nodes without fencing: when they lose sight of each other, both run everything"
        } else {
            "fencing is off: a node that hangs keeps its resources, and what it writes"
        };
        let advice = "configure fencing devices and set stonith-enabled=true before data matters";
        found.push(if two {
            Finding::problem(CHECK, what, advice)
        } else {
            Finding::warning(CHECK, what, advice)
        });
    }
    if cluster.no_quorum_policy == "ignore" && nodes > 2 {
        found.push(Finding::problem(
            CHECK,
            "no-quorum-policy=ignore with more than two nodes: parts of a split cluster all run \
             everything",
            "set no-quorum-policy=stop (the default)",
        ));
    }
    if cluster.maintenance {
        found.push(Finding::note(CHECK, "maintenance-mode is on: the cluster changes nothing"));
    }
    if found.is_empty() {
        let devices = cluster.fencing_devices.join(", ");
        found.push(Finding::good(CHECK, format!("devices: {devices}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};
    use crate::facts::Cluster;

    #[test]
    fn fencing() {
        let device = vec!["f1".to_owned()];
        for (nodes, enabled, devices, policy, expected) in [
            (3, true, device.clone(), "stop", ""),
            (3, true, vec![], "stop", "PROBLEM: stonith-enabled is true, but"),
            (3, false, vec![], "stop", "warning: fencing is off"),
            (2, false, vec![], "stop", "PROBLEM: two nodes without fencing"),
            (3, true, device, "ignore", "PROBLEM: no-quorum-policy=ignore"),
        ] {
            let mut facts = facts(&conf(nodes, ""));
            facts.cluster = Some(Cluster {
                fencing_enabled: enabled,
                fencing_devices: devices,
                no_quorum_policy: policy.into(),
                ..Cluster::default()
            });
            let said = said(&check(&facts));
            let text = said.first().map_or("", String::as_str);
            assert!(
                text.starts_with(expected) && text.is_empty() == expected.is_empty(),
                "{said:?}"
            );
        }
    }
}
