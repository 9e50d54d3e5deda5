//! The notes' web service (seed 000) and what it names besides: groups, rules, standby, clones,
//! promotable clones, init scripts, removal.

use std::io;

use super::Walk;

/// An init script as an administrator has them.
const INIT_SCRIPT: &str = r#"#!/bin/sh
### BEGIN INIT INFO
# Provides:          labweb
# Required-Start:    $network
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: A service for the walk
# Description:       Remembers whether it runs.
### END INIT INFO
state=/run/labweb.state
case "$1" in
start) touch $state ;;
stop) rm -f $state ;;
restart) touch $state ;;
status) test -f $state && exit 0; exit 3 ;;
*) echo "usage: $0 start|stop|restart|status"; exit 2 ;;
esac
"#;

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    for n in 1..=3 {
        let dir = walk.lab.host(n).disk().join("etc/init.d");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("labweb"), INIT_SCRIPT)?;
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.join("labweb"), std::fs::Permissions::from_mode(0o755))?;
    }
    walk.everything_on()?;
    for line in [
        "crm configure property stonith-enabled=false",
        "crm configure property no-quorum-policy=ignore",
        "crm configure primitive webip ocf:heartbeat:IPaddr2 params ip=192.168.100.80 nic=eth0 cidr_netmask=16 op monitor interval=10s timeout=20s",
        "crm configure primitive webserver lsb:labweb op monitor interval=10s timeout=20s",
    ] {
        walk.step(line, 1, line).check();
    }
    walk.step("an lsb: service runs", 1, "crm_mon -1")
        .has(&["webserver*(lsb:labweb):*Started pacemaker0"])
        .within(30)
        .check();
    walk.step("group", 1, "crm configure group webservice webip webserver").check();
    walk.step("the group runs", 1, "crm_mon -1")
        .has(&[
            "Resource Group: webservice",
            "webip*Started pacemaker0",
            "webserver*Started pacemaker0",
        ])
        .within(30)
        .check();
    walk.step("location with a rule", 1, "crm configure location webip_on_node2 webservice rule 50: '#uname' eq pacemaker02 && crm configure show webip_on_node2")
        .has(&["rule 50: #uname eq pacemaker02"])
        .check();
    walk.step(
        "the blank behind # gets a helpful error",
        1,
        "crm configure location bad webservice rule 50: '#' uname eq pacemaker02",
    )
    .fails()
    .has(&["write `#uname`"])
    .check();
    walk.step("the rule moves the group", 1, "crm_mon -1")
        .has(&["webip*Started pacemaker02", "webserver*Started pacemaker02"])
        .within(30)
        .check();
    walk.step(
        "the old stickiness property",
        1,
        "crm configure property default-resource-stickiness=50 && crm configure show",
    )
    .has(&["deprecated", "resource-stickiness=50"])
    .check();
    walk.step("node standby", 1, "crm node standby pacemaker02 && crm_resource --wait")
        .within(30)
        .check();
    walk.step("its resources leave", 1, "crm_mon -1")
        .has(&["pacemaker02*standby", "webip*Started pacemaker0"])
        .lacks(&["Started pacemaker02"])
        .within(30)
        .check();
    walk.step("node online", 1, "crm node online pacemaker02 && crm_resource --wait; crm_mon -1")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(30)
        .check();
    walk.step("crm status", 1, "crm status")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]", "Resource Group: webservice"])
        .check();
    walk.step("crm node show", 1, "crm node show")
        .has(&["pacemaker01(1084777482): member", "standby=off"])
        .check();

    walk.step("colocation and order as the notes have them", 1, "crm configure primitive a ocf:pacemaker:Dummy && crm configure primitive b ocf:pacemaker:Dummy && crm configure colocation b_with_a inf: b a && crm configure order a_before_b Mandatory: a b").check();
    walk.step("both are together", 1, "crm_resource --wait; test \"$(crm_resource -W -r a | sed s/.*://)\" = \"$(crm_resource -W -r b | sed s/.*://)\"").within(30).check();
    walk.step("delete refuses a running resource", 1, "crm configure delete b")
        .fails()
        .has(&["is running, can't delete it"])
        .check();
    walk.step("delete of a stopped one takes its constraints along", 1, "crm resource stop b && crm_resource --wait && crm configure delete b && crm configure show")
        .lacks(&["b_with_a inf", "a_before_b Mandatory"])
        .within(20)
        .check();
    walk.step("resource stop, start, restart, status", 1, "crm resource stop a && crm_resource --wait && crm resource status a; crm resource start a && crm_resource --wait && crm resource restart a && crm resource status a")
        .has(&["resource a is NOT running", "resource a is running on: pacemaker0"])
        .check();

    walk.step("clone", 1, "crm configure primitive c ocf:pacemaker:Dummy op monitor interval=10s && crm configure clone c-clone c").check();
    walk.step("the clone runs everywhere", 1, "crm_mon -1")
        .has(&["Clone Set: c-clone [c]", "Started: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(30)
        .check();
    walk.step("ms", 1, "crm configure primitive s ocf:pacemaker:Stateful op monitor interval=10s role=Master op monitor interval=11s role=Slave && crm configure ms s-ms s").check();
    walk.step("one instance is promoted", 1, "crm_mon -1")
        .has(&[
            "Clone Set: s-ms [s] (promotable)",
            "Promoted: [ pacemaker0",
            "Unpromoted: [ pacemaker0",
        ])
        .within(40)
        .check();
    walk.step(
        "interactive lines by a pipe",
        1,
        "printf 'configure\\nshow webservice\\nup\\nresource\\nstatus a\\nbye\\n' | crm",
    )
    .has(&["group webservice webip webserver", "resource a is running on: pacemaker0"])
    .check();
    walk.step("edit", 1, "EDITOR=\"sed -i s/interval=10s/interval=15s/\" crm configure edit webip && crm configure show webip").has(&["interval=15s timeout=20s"]).check();
    walk.step("verify and commit", 1, "printf 'configure\\nprimitive e ocf:pacemaker:Dummy\\nverify\\ncommit\\n' | crm && crm configure show e").has(&["primitive e ocf:pacemaker:Dummy"]).check();
    walk.step("attributes", 1, "crm_attribute -N pacemaker01 -n rack -v 7 && crm_attribute -N pacemaker01 -n rack -G -q && crm_attribute -N pacemaker01 -n rack -D")
        .has(&["7"])
        .check();
    walk.step(
        "transient attributes",
        1,
        "attrd_updater -n lab-a -U 5 && sleep 1 && attrd_updater -n lab-a -Q -A",
    )
    .has(&["name=\"lab-a\"*value=\"5\""])
    .check();
    walk.step("crm_node", 1, "crm_node -l; crm_node -n; crm_node -i; crm_node -p; crm_node -q")
        .has(&["1084777483 pacemaker02 member", "pacemaker01", "1084777482", "1"])
        .check();
    walk.step(
        "crmadmin",
        1,
        "crmadmin -D; crmadmin -N; crmadmin -S $(crmadmin -D | sed 's/.*: //')",
    )
    .has(&["Designated Controller is: pacemaker0", "S_IDLE"])
    .within(10)
    .check();
    walk.step("crm_simulate -L -S", 1, "crm_simulate -L -S")
        .has(&["Current cluster status:"])
        .check();
    Ok(())
}
