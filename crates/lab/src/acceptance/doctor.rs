//! The doctor: what it finds between hosts, through the ring's own port and while an engine runs.

use std::io;

use super::{HANDBOOK_CONF, MODERN_CONF, Walk};

const ASK: &str = "quorate doctor --peers --verbose";

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    before_the_start(walk)?;
    different_nodes(walk)?;
    beside_the_engine(walk)
}

fn answer_on(walk: &Walk, hosts: &[usize]) -> io::Result<()> {
    for n in hosts {
        walk.lab.start(*n, &["quorate", "doctor", "--answer"], "/var/log/doctor.log")?;
    }
    Ok(())
}

/// The handbook's multicast ring: nobody is listed, doctors find each other by multicast.
fn before_the_start(walk: &mut Walk) -> io::Result<()> {
    (1..=3).try_for_each(|n| walk.lab.power_on(n))?;
    answer_on(walk, &[2, 3])?;
    walk.step("doctors find each other by multicast", 1, ASK)
        .has(&["pacemaker02 answers", "pacemaker03 answers", "up to 1500 bytes"])
        .lacks(&["PROBLEM"])
        .within(10)
        .check();
    Ok(())
}

/// A listed ring whose nodes are not alike, and a path that is too narrow.
fn different_nodes(walk: &mut Walk) -> io::Result<()> {
    let conf = MODERN_CONF.to_owned();
    for n in 1..=3 {
        walk.lab.power_off(n)?;
        walk.lab.reset(n, if n == 2 { "" } else { MODERN_CONF })?;
        walk.lab.power_on(n)?;
    }
    let other = conf.replace("token: 1000", "token: 3000");
    std::fs::write(walk.lab.host(2).disk().join("etc/corosync/corosync.conf"), other)?;
    answer_on(walk, &[2])?;
    walk.step("another configuration is named, a silent node too", 1, ASK)
        .fails()
        .has(&[
            "pacemaker02 has another configuration: totem.token differ",
            "nothing comes back from pacemaker03",
            "UDP port 5405",
        ])
        .check();
    answer_on(walk, &[3])?;
    walk.step("the way back is closed", 3, "ip route add blackhole 192.168.100.10").check();
    walk.step(
        "who cannot send hears nothing back",
        3,
        "pkill -INT -f '[d]octor --answer'; sleep 0.2; quorate doctor --peers --seconds 3",
    )
    .fails()
    .has(&["nothing comes back from pacemaker01"])
    .check();
    walk.step("a narrow interface", 2, "ip link set eth0 mtu 1300").check();
    walk.step("the largest packet that passes is found", 1, ASK)
        .fails()
        .has(&["bytes get to pacemaker02 and back, those of", "set totem.netmtu:"])
        .within(10)
        .check();
    Ok(())
}

fn beside_the_engine(walk: &mut Walk) -> io::Result<()> {
    for n in 1..=3 {
        walk.lab.power_off(n)?;
        walk.lab.reset(n, HANDBOOK_CONF)?;
    }
    walk.everything_on()?;
    walk.step("a running cluster without fencing devices", 1, "quorate doctor --verbose")
        .fails()
        .has(&["3 members", "there is no fencing device: no resource will start"])
        .within(20)
        .check();
    answer_on(walk, &[2])?;
    walk.step("peers are asked beside the engine's port", 1, ASK)
        .any_status()
        .has(&["3 members", "(192.168.100.11) answers"])
        .check();
    walk.step("findings for programs", 1, "quorate doctor --json")
        .fails()
        .has(&["\"format\": \"quorate-doctor\"", "\"level\": \"problem\""])
        .check();
    Ok(())
}
