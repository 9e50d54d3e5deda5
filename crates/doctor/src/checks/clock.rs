//! The clock of this node. (Differences between nodes: [`super::peers`].)

use crate::facts::Facts;
use crate::finding::Finding;

const CHECK: &str = "clock";

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    match facts.clock_synchronised {
        Some(true) => vec![Finding::good(CHECK, "the kernel holds its clock for synchronised")],
        Some(false) => vec![Finding::warning(
            CHECK,
            "the kernel holds its clock for unsynchronised",
            "run chrony or systemd-timesyncd: rules with dates, failure timeouts and logs of all \
             nodes go by the clock",
        )],
        None => Vec::new(),
    }
}
