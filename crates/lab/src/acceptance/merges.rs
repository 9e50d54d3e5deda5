//! Partitions that mend: each node in turn is cut off (the controller, the node that runs the
//! resource, the one that does neither), both sides choose a controller, and the cable is put back.
//! Each time all must be one cluster again, seen from every node, with the resource running once.
//! `QUORATE_MERGES` says how often (6).

use std::io;

use super::Walk;
use crate::lab::name;

/// How often, when nobody says.
const ROUNDS: usize = 6;

/// The scenario.
pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    let rounds =
        std::env::var("QUORATE_MERGES").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    walk.everything_on()?;
    for line in [
        "crm_attribute -n stonith-enabled -v false",
        "crm configure primitive d ocf:pacemaker:Dummy op monitor interval=5s timeout=20s",
        "crm_resource --wait",
    ] {
        walk.step(line, 1, line).check();
    }
    for round in 0..rounds {
        let lonely = match round % 3 {
            0 => walk.dc(1).unwrap_or(1),
            1 => walk.place_of(1, "d").unwrap_or(1),
            _ => round / 3 % 3 + 1,
        };
        merge(walk, lonely)?;
    }
    Ok(())
}

/// Cuts `lonely` off until both sides have a controller, and puts the cable back.
fn merge(walk: &mut Walk, lonely: usize) -> io::Result<()> {
    let others: Vec<usize> = (1..=3).filter(|n| *n != lonely).collect();
    walk.lab.partition(&[lonely])?;
    walk.step(&format!("{} is cut off", name(lonely)), lonely, "crm_mon -1")
        .has(&[
            &format!("Current DC: {}*WITHOUT quorum", name(lonely)),
            &format!("Online: [ {} ]", name(lonely)),
        ])
        .within(60)
        .check();
    walk.step("  the others go on", others[0], "crm_mon -1")
        .has(&["partition with quorum", &format!("OFFLINE: [ {} ]", name(lonely)), "d*Started"])
        .within(60)
        .check();
    walk.lab.heal()?;
    for n in [lonely, others[0], others[1]] {
        walk.step(&format!("  mended, says {}", name(n)), n, "crm_mon -1")
            .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]", "partition with quorum"])
            .within(60)
            .check();
    }
    let state = "crm_resource --wait; find /run /var/run /tmp -name 'Dummy-d.state' 2>/dev/null";
    let mut runs = 0;
    for n in 1..=3 {
        runs += usize::from(walk.lab.sh(n, state)?.text.contains("Dummy-d.state"));
    }
    let verdict =
        if runs == 1 { Ok(()) } else { Err(format!("the resource runs on {runs} nodes")) };
    walk.verdict("  the resource runs once", verdict);
    Ok(())
}
