//! What breaks: processes of resources, networks, our own daemons.

use std::io;
use std::time::Duration;

use super::Walk;
use super::handbook::same_cib;
use crate::lab::{name, wait_until};

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    walk.everything_on()?;
    for line in [
        "crm configure property stonith-enabled=false",
        "crm configure rsc_defaults resource-stickiness=100 migration-threshold=3",
        "crm configure primitive d ocf:pacemaker:Dummy op monitor interval=1s timeout=20s",
        "crm configure primitive e ocf:pacemaker:Dummy op monitor interval=1s timeout=20s",
    ] {
        walk.step(line, 1, line).check();
    }
    walk.step("they run", 1, "crm_mon -1")
        .has(&["d*Started pacemaker0", "e*Started pacemaker0"])
        .within(30)
        .check();
    failures(walk)?;
    partition(walk)?;
    daemons(walk)
}

/// The state file of a Dummy: without it the agent finds that it does not run.
const STATE: &str = "$(find /run /var/run /tmp -name 'Dummy-d.state' 2>/dev/null | head -1)";

fn failures(walk: &mut Walk) -> io::Result<()> {
    let first = walk.place_of(1, "d").unwrap_or(1);
    for count in 1..=2 {
        walk.step(&format!("failure {count}: d is killed"), first, &format!("rm {STATE}")).check();
        walk.step("  it is noticed and counted", first, "crm_mon -1 -f")
            .has(&[&format!("d: migration-threshold=3 fail-count={count}")])
            .within(20)
            .check();
        walk.step("  and recovered in place", first, "crm_resource --wait; crm_mon -1")
            .has(&[&format!("d*Started {}", name(first))])
            .within(20)
            .check();
    }
    walk.step("failure 3: d is killed", first, &format!("rm {STATE}")).check();
    walk.step("  it moves to another node", 1, "crm_mon -1")
        .has(&["d*Started pacemaker0"])
        .lacks(&[
            &format!("  d*Started {}", name(first)),
            &format!("* d\t*Started {}", name(first)),
        ])
        .within(30)
        .check();
    let moved = wait_until(Duration::from_secs(20), || {
        walk.place_of(1, "d").is_some_and(|place| place != first)
    });
    walk.verdict("  really", moved.map(|_| ()).ok_or_else(|| "it is still there".into()));
    walk.step("cleanup forgets", 1, "crm resource cleanup d && crm_resource --wait; crm_mon -1 -f")
        .lacks(&["fail-count", "Failed Resource Actions"])
        .within(20)
        .check();
    Ok(())
}

fn partition(walk: &mut Walk) -> io::Result<()> {
    let lonely = walk.place_of(1, "d").unwrap_or(1);
    let other = if lonely == 1 { 2 } else { 1 };
    walk.lab.partition(&[lonely])?;
    walk.step("cut off: the minority stops its resources", lonely, "crm_mon -1")
        .has(&["partition WITHOUT quorum"])
        .lacks(&["Started pacemaker0"])
        .any_status()
        .within(40)
        .check();
    walk.step("cut off: nothing is left running there", lonely, &format!("test -z \"{STATE}\""))
        .within(10)
        .check();
    walk.step("cut off: the majority runs them", other, "crm_mon -1")
        .has(&[
            "partition with quorum",
            "d*Started pacemaker0",
            "e*Started pacemaker0",
            &format!("OFFLINE: [ {} ]", name(lonely)),
        ])
        .lacks(&[&format!("Started {}", name(lonely))])
        .within(40)
        .check();
    walk.lab.heal()?;
    walk.step("healed: one membership", other, "crm_mon -1")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(60)
        .check();
    walk.step("healed: the cluster settles", other, "crm_resource --wait").within(30).check();
    let copies = (1..=3)
        .filter(|n| walk.lab.sh(*n, &format!("test -n \"{STATE}\"")).is_ok_and(|said| said.is_ok()))
        .count();
    walk.verdict(
        "healed: one copy of everything",
        if copies == 1 { Ok(()) } else { Err(format!("{copies} copies of d run")) },
    );
    same_cib(walk);
    Ok(())
}

/// The engine, which nobody respawns in a lab: the manager's daemons that stand on it end, and
/// pacemakerd starts them again as soon as there is an engine.
fn engine(walk: &mut Walk, host: usize) -> io::Result<()> {
    let other = if host == 1 { 2 } else { 1 };
    walk.step("kill -9 corosync", host, "kill -9 $(pgrep -o -x corosync)").check();
    walk.step("  the others see it go", other, "crm_mon -1")
        .has(&[&format!("OFFLINE: [ {} ]", name(host))])
        .within(20)
        .check();
    walk.step("  pacemakerd waits for it", host, "cat /var/log/pacemaker/pacemaker.log")
        .has(&["Not respawning pacemaker-based subdaemon until cluster returns"])
        .within(10)
        .check();
    walk.lab.start_engine(host)?;
    walk.step("  it is back, and with it the daemons", host, "crm_mon -1")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]", "d*Started pacemaker0"])
        .lacks(&["pending"])
        .within(60)
        .check();
    walk.step("  the cluster settles", host, "crm_resource --wait").within(30).check();
    Ok(())
}

/// Every daemon, killed in turn on the node that runs `d`: it is respawned, and `d` does not notice.
fn daemons(walk: &mut Walk) -> io::Result<()> {
    let host = walk.place_of(1, "d").unwrap_or(1);
    let stamp = format!("stat -c %Y.%Z.%i {STATE}");
    let before = walk.lab.sh(host, &stamp)?.text;
    for daemon in ["based", "fenced", "execd", "attrd", "schedulerd", "controld"] {
        let pid = format!("pgrep -f 'pacemaker/pacemaker-{daemon}'");
        let old = walk.lab.sh(host, &pid)?.text;
        walk.step(
            &format!("kill -9 pacemaker-{daemon}"),
            host,
            &format!("kill -9 $({pid} | head -1)"),
        )
        .check();
        let respawned = wait_until(Duration::from_secs(30), || {
            walk.lab
                .sh(host, &pid)
                .is_ok_and(|said| said.is_ok() && said.text.lines().next() != old.lines().next())
        });
        walk.verdict("  it is respawned", respawned.map(|_| ()).ok_or_else(|| "it is not".into()));
        walk.step("  the node is online", host, "crm_mon -1")
            .has(&[
                "Online: [ pacemaker01 pacemaker02 pacemaker03 ]",
                &format!("d*Started {}", name(host)),
            ])
            .lacks(&["pending"])
            .within(60)
            .check();
        walk.step("  the cluster settles", host, "crm_resource --wait").within(30).check();
        let now = walk.lab.sh(host, &stamp)?.text;
        let same =
            if now == before { Ok(()) } else { Err(format!("d was restarted: {before}{now}")) };
        walk.verdict("  no resource was interrupted", same);
    }
    let pid = "pgrep -o -x pacemakerd || pgrep -o -f '^pacemakerd'";
    walk.step("kill -9 pacemakerd, and start it again", host, &format!("kill -9 $({pid})")).check();
    std::thread::sleep(Duration::from_secs(1));
    walk.lab.start(host, &["pacemakerd", "-f"], "/var/log/pacemakerd.out")?;
    walk.step("  it takes its children back", host, "crm_mon -1")
        .has(&[
            "Online: [ pacemaker01 pacemaker02 pacemaker03 ]",
            &format!("d*Started {}", name(host)),
        ])
        .within(60)
        .check();
    let now = walk.lab.sh(host, &stamp)?.text;
    let same = if now == before { Ok(()) } else { Err(format!("d was restarted: {before}{now}")) };
    walk.verdict("  no resource was interrupted", same);
    engine(walk, host)
}
