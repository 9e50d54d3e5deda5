//! The engine by itself: every generation of its configuration, formation, the tools' layouts.

use std::io;

use super::{HANDBOOK_CONF, MODERN_CONF, Walk};

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    for (name, conf) in [
        ("the handbook's (2.x)", HANDBOOK_CONF),
        ("the details' (2.x, secauth)", include_str!("../../conf/details.conf")),
        ("the deployment's (1.x plug-in)", include_str!("../../conf/deployment.conf")),
        ("the notes' (1.x)", include_str!("../../conf/notes.conf")),
        ("a node list (3.x, udpu)", MODERN_CONF),
    ] {
        for n in 1..=3 {
            walk.lab.reset(n, conf)?;
            walk.lab.power_on(n)?;
            // `secauth: on` wants a key; all hosts share one.
            std::fs::write(walk.lab.host(n).disk().join("etc/corosync/authkey"), [7u8; 256])?;
            walk.lab.start_engine(n)?;
        }
        walk.step(&format!("{name}: three nodes form"), 1, "corosync-cmapctl runtime.members")
            .has(&["members.*.status (str) = joined"])
            .within(20)
            .check();
        walk.step(
            &format!("{name}: all three are members"),
            1,
            "corosync-cmapctl | grep -c '^runtime.members.*status (str) = joined'",
        )
        .has(&["3"])
        .within(20)
        .check();
    }
    // The last one: ids and names come from the list.
    walk.step("node list: ids and names", 1, "corosync-quorumtool -l")
        .has(&["Nodeid*Votes*Name", "1*1*pacemaker01 (local)", "3*1*pacemaker03"])
        .within(10)
        .any_status()
        .check();

    for n in 1..=3 {
        walk.lab.reset(n, HANDBOOK_CONF)?;
        walk.lab.power_on(n)?;
        walk.lab.start_engine(n)?;
    }
    walk.step("handbook: quorate", 1, "corosync-quorumtool -s")
        .has(&["Quorate:*Yes", "Nodes:*3", "Expected votes:*3"])
        .any_status()
        .within(20)
        .check();
    walk.step("handbook: quorumtool -l", 1, "corosync-quorumtool -l")
        .has(&[
            "Membership information",
            "Nodeid*Votes*Name",
            "1084777482*1*pacemaker01 (local)",
            "1084777483*1*pacemaker02",
            "1084777484*1*pacemaker03",
        ])
        .check();
    walk.step("handbook: cfgtool -s -a, as it is typed there", 1, "corosync-cfgtool -s -a")
        .has(&["Local node ID 1084777482", "192.168.100.10"])
        .check();
    walk.step("handbook: cfgtool -s", 1, "corosync-cfgtool -s")
        .has(&[
            "Local node ID 1084777482",
            "RING ID 0",
            "id*= 192.168.100.10",
            "status*= ring 0 active with no faults",
        ])
        .check();
    walk.step("handbook: cmapctl", 1, "corosync-cmapctl")
        .has(&[
            "aisexec.group (str) = root",
            "amf.mode (str) = disabled",
            "internal_configuration.service.0.name (str) = corosync_cmap",
            "internal_configuration.service.0.ver (u32) = 0",
            "logging.debug (str) = off",
            "logging.logger_subsys.AMF.debug (str) = off",
            "quorum.expected_votes (u32) = 3",
            "quorum.provider (str) = corosync_votequorum",
            "runtime.members.1084777482.ip (str) = r(0) ip(192.168.100.10)",
            "runtime.members.1084777482.join_count (u32) = 1",
            "runtime.members.1084777484.status (str) = joined",
            "service.name (str) = pacemaker",
            "totem.interface.0.bindnetaddr (str) = 192.168.100",
            "totem.interface.0.mcastaddr (str) = 239.255.100.0",
            "totem.interface.0.mcastport (u16) = 5405",
            "totem.token (u32) = 3000",
            "totem.rrp_mode (str) = active",
            "totem.secauth (str) = off",
            "totem.version (u32) = 2",
            "totem.vsftype (str) = none",
        ])
        .check();
    walk.step("handbook: the log", 1, "cat /var/log/corosync.out")
        .has(&[
            "Corosync Cluster Engine",
            "notice*[TOTEM ] A new membership (*) was formed. Members joined: 1084777482",
            "notice*[QUORUM] Members[3]: 1084777482 1084777483 1084777484",
            "notice*[QUORUM] This node is within the primary component and will provide service.",
            "notice*[MAIN  ] Completed service synchronization, ready to provide service.",
        ])
        .check();
    walk.step("cmapctl sets, gets and deletes", 1, "corosync-cmapctl -s a.b u32 7 && corosync-cmapctl -g a.b && corosync-cmapctl -d a.b && ! corosync-cmapctl -g a.b")
        .has(&["a.b (u32) = 7"])
        .check();
    walk.step("keygen", 1, "corosync-keygen -k /tmp/key && stat -c %a,%s /tmp/key")
        .has(&["Writing corosync key to /tmp/key", "400,"])
        .check();
    walk.step("cpgtool", 1, "corosync-cpgtool").check();
    walk.lab.power_off(3)?;
    walk.step("a dead node leaves", 1, "corosync-quorumtool -l")
        .has(&["1084777482*pacemaker01 (local)", "1084777483*pacemaker02"])
        .lacks(&["pacemaker03"])
        .within(15)
        .check();
    walk.lab.power_off(2)?;
    walk.step("alone there is no quorum", 1, "corosync-quorumtool -s")
        .has(&["Quorate:*No", "Nodes:*1"])
        .any_status()
        .within(15)
        .check();
    Ok(())
}
