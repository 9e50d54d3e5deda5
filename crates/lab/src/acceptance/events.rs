//! What the cluster tells and asks beyond resources: alerts, systemd's units, a policy that wants
//! fencing, and questions that nobody can answer yet.

use std::io;
use std::time::{Duration, Instant};

use super::Walk;
use crate::lab::name;

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    nobody_to_ask(walk)?;
    walk.everything_on()?;
    walk.step("no fencing here", 1, "crm configure property stonith-enabled=false").check();
    alerts(walk)?;
    units(walk)?;
    suicide(walk)
}

/// Asked before there is a DC, `crmadmin -D` waits as long as it is told to, and says so.
fn nobody_to_ask(walk: &mut Walk) -> io::Result<()> {
    walk.lab.power_on(1)?;
    walk.lab.start_cluster(1)?;
    let ready = "until crmadmin -t 1 -S pacemaker01 >/dev/null 2>&1; do sleep 0.05; done";
    walk.step("one of three is up", 1, ready).check();
    let begun = Instant::now();
    let cpu = "s=$(awk '{print $14 + $15 + $16 + $17}' /proc/$$/stat)";
    let more = "e=$(awk '{print $14 + $15 + $16 + $17}' /proc/$$/stat); echo ticks $((e - s))";
    let line = format!("{cpu}; crmadmin -t 3s -D; r=$?; {more}; exit $r");
    let said = walk
        .step("crmadmin -D without a DC gives up in time", 1, &line)
        .has(&[
            "error: No reply received from controller before timeout (3000ms)",
            "error: Command failed: Connection timed out",
        ])
        .lacks(&["Designated Controller"])
        .fails()
        .check();
    let took = begun.elapsed();
    let in_time = took >= Duration::from_secs(3) && took < Duration::from_secs(8);
    walk.verdict(
        "  in the time it was given",
        if in_time { Ok(()) } else { Err(format!("{took:?}")) },
    );
    let ticks = said.lines().find_map(|line| line.strip_prefix("ticks ")?.parse::<u32>().ok());
    let idle = ticks.is_some_and(|ticks| ticks < 50);
    walk.verdict("  asleep", if idle { Ok(()) } else { Err(format!("CPU ticks: {ticks:?}")) });
    Ok(())
}

/// Writes the facts of an alert on one line, in one piece: others write there, too.
const ALERT: &str = "#!/bin/sh\n\
    facts=$(set | grep '^CRM_alert_' | sort | tr '\\n' ' ')\n\
    echo \"$facts who=$who user=$(id -un)\" >>/var/lib/alerts/told\n";

const ALERTS: &str = "<alerts>\
    <alert id=\"all\" path=\"/var/lib/alerts/agent\"><meta_attributes id=\"all-m\">\
    <nvpair id=\"all-f\" name=\"timestamp-format\" value=\"at %s.%03N\"/></meta_attributes>\
    <instance_attributes id=\"all-i\"><nvpair id=\"all-w\" name=\"who\" value=\"x y\"/></instance_attributes>\
    <select><select_nodes/><select_fencing/><select_resources/>\
    <select_attributes><attribute id=\"all-a\" name=\"tell\"/></select_attributes></select>\
    <recipient id=\"one\" value=\"first\"/><recipient id=\"two\" value=\"second\"/></alert>\
    <alert id=\"slow\" path=\"/var/lib/alerts/slow\"><meta_attributes id=\"slow-m\">\
    <nvpair id=\"slow-t\" name=\"timeout\" value=\"1s\"/></meta_attributes>\
    <select><select_nodes/></select></alert></alerts>";

fn alerts(walk: &mut Walk) -> io::Result<()> {
    for n in 1..=3 {
        let dir = walk.lab.host(n).disk().join("alerts");
        std::fs::create_dir_all(&dir)?;
        let line = format!(
            "mkdir -p /var/lib/alerts && chmod 777 /var/lib/alerts && cd /var/lib/alerts && \
             printf '%s' '{}' >agent && printf '#!/bin/sh\\nsleep 60; touch over\\n' >slow && \
             chmod 755 agent slow",
            ALERT.replace('\'', "'\\''")
        );
        walk.step(&format!("an alert agent on {}", name(n)), n, &line).check();
    }
    let line = format!("cibadmin -M --allow-create -o configuration -X '{ALERTS}'; sleep 1");
    walk.step("two alerts are configured", 1, &line).check();
    let line = "crm configure primitive a ocf:pacemaker:Dummy op monitor interval=5s timeout=20s \
                && crm configure location a-1 a 100: pacemaker01 && crm_resource --wait";
    walk.step("a resource is started", 1, line).check();
    let told = "cat /var/lib/alerts/told";
    walk.step("its node's alert tells of it, each recipient once", 1, told)
        .has(&[
            "CRM_alert_desc='ok' *kind='resource' *node='pacemaker01' *recipient='first' *rsc='a' \
             *status='0' *target_rc='0' *task='start' *timestamp='at 1*.*' *timestamp_epoch='1\
             *timestamp_usec=*version='2.1.5' *who=x y user=hacluster",
            "recipient='second' *rsc='a' *task='start'",
            "kind='resource' *rsc='a' *task='monitor'",
        ])
        .within(10)
        .check();
    walk.step(
        "  and no expected probe",
        2,
        "test ! -e /var/lib/alerts/told || cat /var/lib/alerts/told",
    )
    .lacks(&["task='monitor'"])
    .check();
    walk.step("attributes", 1, "attrd_updater -n tell -U 7 && attrd_updater -n mute -U 7").check();
    let everywhere = "cat /run/lab/told";
    let collect = |walk: &mut Walk| {
        for n in 1..=3 {
            // A host without a story has nothing to add.
            let _ = walk.lab.sh(n, "cat /var/lib/alerts/told >>/run/lab/told 2>/dev/null");
        }
    };
    walk.step("  sleep", 1, "sleep 2; : >/run/lab/told").check();
    collect(walk);
    walk.step("  told once to each recipient", 1, "grep -c attribute_name /run/lab/told")
        .has(&["2"])
        .check();
    walk.step("  the writer tells of the selected one", 1, everywhere)
        .has(&["attribute_name='tell' *attribute_value='7' *kind='attribute' *node='pacemaker01'"])
        .lacks(&["mute"])
        .check();
    walk.lab.power_off(3)?;
    walk.step("a node is lost", 1, told)
        .has(&["CRM_alert_desc='lost' *kind='node' *node='pacemaker03' *nodeid='1084777484'"])
        .within(20)
        .check();
    walk.step("its loss is confirmed by a human", 1, "stonith_admin --confirm pacemaker03").check();
    walk.step("  which is told as fencing", 1, told)
        .has(&["desc='Operation off of pacemaker03 by a human for stonith_admin*@pacemaker01: OK \
             (ref=*)' *kind='fencing' *node='pacemaker03' *rc='0' *task='st_notify_fence'"])
        .within(10)
        .check();
    walk.step("a slow agent was ended in time", 1, "sleep 1; pgrep -f alerts/slo[w]")
        .fails()
        .check();
    walk.step("alerts are gone", 1, "cibadmin -D -X '<alerts/>'").any_status().check();
    walk.everything_on()
}

/// A unit of systemd's as a resource. What stands behind the bus is a stand-in.
fn units(walk: &mut Walk) -> io::Result<()> {
    let unit = "mkdir -p /etc/systemd/system && printf '[Unit]\\nDescription=lab\\n[Service]\\n\
                ExecStart=sleep 7654321\\n' >/etc/systemd/system/lab-unit.service";
    for n in 1..=3 {
        walk.step(&format!("a unit on {}", name(n)), n, unit).check();
        walk.lab.start(n, &["quorate", "lab-systemd"], "/var/log/lab-systemd.out")?;
    }
    let line = "cibadmin -C -o resources -X \
        '<primitive id=\"u\" class=\"systemd\" type=\"lab-unit\"><operations><op id=\"u-m\" \
        name=\"monitor\" interval=\"1s\" timeout=\"20s\"/></operations></primitive>' && \
        crm_resource --wait";
    walk.step("a resource of class systemd", 1, line).check();
    let runs = "pgrep -f 'sleep 765432[1]'";
    walk.step("it is started", 1, "crm_mon -1")
        .has(&["u*(systemd:lab-unit):*Started pacemaker0*"])
        .within(20)
        .check();
    let host = walk.place_of(1, "u").unwrap_or(1);
    walk.step("  the unit's process runs", host, runs).check();
    walk.step(
        "  the cluster's drop-in is there",
        host,
        "cat /run/systemd/system/lab-unit.service.d/50-pacemaker.conf",
    )
    .has(&["Description=Cluster Controlled lab-unit.service", "Restart=no"])
    .check();
    walk.step("  systemd was asked over D-Bus", host, "cat /var/log/lab-systemd.out")
        .has(&["LoadUnit lab-unit.service", "StartUnit lab-unit.service", "Reload"])
        .check();
    walk.step("the process is killed", host, &format!("kill $({runs})")).check();
    walk.step("  which is seen, counted, recovered", host, "crm_mon -1 -f")
        .has(&["u:*fail-count=1", "u*Started pacemaker0"])
        .within(20)
        .check();
    walk.step("  it runs again", host, &format!("crm_resource --wait; {runs}")).within(10).check();
    walk.step("it is stopped", 1, "crm resource stop u && crm_resource --wait; crm_mon -1 -r")
        .has(&["u*Stopped (disabled)"])
        .within(20)
        .check();
    walk.step("  its process is gone", host, runs).fails().check();
    walk.step("  the drop-in, too", host, "ls /run/systemd/system/lab-unit.service.d/*.conf")
        .fails()
        .check();
    walk.step(
        "it is deleted",
        1,
        "crm_resource --cleanup -r u; crm_resource --wait; sleep 1; crm configure delete u && crm_resource --wait",
    )
    .check();
    Ok(())
}

/// `no-quorum-policy=suicide` needs fencing: without, it is `stop`; with fencing but nobody who
/// could do it, a node without quorum is unclean and keeps what it runs.
fn suicide(walk: &mut Walk) -> io::Result<()> {
    for line in [
        "crm configure primitive d ocf:pacemaker:Dummy op monitor interval=5s timeout=20s",
        // The shell does not commit what crm_verify calls an error.
        "crm_attribute -n no-quorum-policy -v suicide",
        "crm_resource --wait",
    ] {
        walk.step(line, 1, line).check();
    }
    let state = "find /run /var/run /tmp -name 'Dummy-d.state' 2>/dev/null | grep .";
    let lonely = walk.place_of(1, "d").unwrap_or(1);
    let other = if lonely == 1 { 2 } else { 1 };
    walk.lab.partition(&[lonely])?;
    walk.step("suicide without fencing: the minority stops", lonely, "crm_mon -1")
        .has(&["partition WITHOUT quorum"])
        .lacks(&["d*Started"])
        .within(40)
        .check();
    walk.step("  nothing is left running there", lonely, state).fails().within(10).check();
    walk.step("  the log says why", lonely, "cat /var/log/pacemaker/pacemaker.log")
        .has(&["Resetting no-quorum-policy to 'stop' because fencing is disabled"])
        .check();
    walk.step("  all daemons live on", lonely, "pgrep -c -f lib/pacemaker/[p]acemaker-")
        .has(&["6"])
        .check();
    walk.step("  the majority takes over", other, "crm_mon -1")
        .has(&["d*Started pacemaker0"])
        .within(40)
        .check();
    walk.lab.heal()?;
    walk.step("healed", other, "crm_mon -1")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(60)
        .check();
    let line = "crm_resource --wait; crm_attribute -n stonith-enabled -v true; crm_resource --wait";
    walk.step("fencing is on, and nobody can do it", other, line).within(30).check();
    let lonely = walk.place_of(1, "d").unwrap_or(1);
    let other = if lonely == 1 { 2 } else { 1 };
    walk.lab.partition(&[lonely])?;
    walk.step("suicide with fencing: the minority cannot", lonely, "crm_mon -1")
        .has(&[
            "partition WITHOUT quorum",
            &format!("d*Started {}", name(lonely)),
            "UNCLEAN (offline)",
        ])
        .within(40)
        .check();
    walk.step("  it keeps what it has", lonely, state).check();
    walk.step("  the majority does not run it twice", other, &format!("crm_mon -1; {state}"))
        .fails()
        .has(&["UNCLEAN"])
        .within(20)
        .check();
    walk.lab.heal()?;
    walk.step("healed again", other, "crm_mon -1")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(60)
        .check();
    Ok(())
}
