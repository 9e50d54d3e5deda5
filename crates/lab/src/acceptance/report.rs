//! What reaches other nodes by ssh: secrets that are brought to all of them, and a report that is
//! collected from all of them and holds none.

use std::io;

use super::Walk;
use crate::lab::name;

/// Programs of a lab's own in place of ssh and scp.
const PATH: &str = "PATH=/run/lab/bin:$PATH";

/// A secret of each way to have one.
const IN_CIB: &str = "hush-in-the-cib";
const IN_FILE: &str = "hush-in-a-file";
const OLD: &str = "hush-of-yesterday";

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    walk.everything_on()?;
    ssh(walk)?;
    walk.step("no fencing here", 1, "crm configure property stonith-enabled=false").check();
    secrets(walk);
    logs(walk);
    report(walk);
    Ok(())
}

/// Every host can reach the others.
fn ssh(walk: &mut Walk) -> io::Result<()> {
    let line = "mkdir -p /run/lab/bin && cd /run/lab/bin && for name in ssh scp; do \
                printf '#!/bin/sh\\nexec quorate lab-%s \"$@\"\\n' $name >$name; chmod 755 $name; done";
    walk.step("stand-ins for ssh and scp", 1, line).check();
    for n in 1..=3 {
        walk.lab.start(n, &["quorate", "lab-sshd"], "/var/log/sshd.out")?;
    }
    for n in 2..=3 {
        let line = format!("{PATH} ssh {} -- uname -n", name(n));
        walk.step("  they get to other hosts", 1, &line).has(&[&name(n)]).within(10).check();
    }
    Ok(())
}

fn secrets(walk: &mut Walk) {
    // The agent writes down what it was called with.
    let line = "crm configure primitive keen ocf:pacemaker:Dummy params passwd=plain-to-see \
                envfile=/var/lib/keen meta target-role=Stopped && crm_resource --wait";
    walk.step("a resource with a password", 1, line).within(20).check();
    let line = format!(
        "{PATH} cibsecret delete keen passwd && {PATH} cibsecret set keen passwd {IN_FILE}"
    );
    walk.step("cibsecret set", 1, &line)
        // In the order of the configuration, which is that in which they came.
        .has(&[
            "INFO: syncing /var/lib/pacemaker/lrm/secrets/keen/passwd to * pacemaker02 *...",
            "INFO: syncing /var/lib/pacemaker/lrm/secrets/keen/passwd to * pacemaker03 *...",
        ])
        .check();
    walk.step("  the CIB has it not", 1, "cibadmin -Q -o resources")
        .has(&["name=\"passwd\" value=\"lrm://\""])
        .lacks(&[IN_FILE])
        .check();
    for n in 2..=3 {
        let line = "cibsecret check keen passwd && cibsecret get keen passwd && \
                    stat -c '%a %U' /var/lib/pacemaker/lrm/secrets/keen/passwd";
        let line = format!("export {PATH}; {line}");
        walk.step(&format!("  {} has it", name(n)), n, &line).has(&[IN_FILE, "600 root"]).check();
    }
    let line = "crm_resource -r keen --meta -p target-role -v Started && \
                crm_resource --move -r keen -N pacemaker03 --force && crm_resource --wait";
    walk.step("the agent gets it, on a node it was brought to", 1, line).within(20).check();
    let line = format!("grep -x OCF_RESKEY_passwd={IN_FILE} /var/lib/keen");
    walk.step("  its very bytes", 3, &line).within(10).check();
    for (name, commands) in [
        ("unstash and stash", "unstash keen passwd|stash keen passwd"),
        ("-C leaves the CIB alone", "-C set other key v|-C get other key|-C delete other key"),
        ("sync", "sync"),
    ] {
        let line: Vec<String> =
            commands.split('|').map(|words| format!("{PATH} cibsecret {words}")).collect();
        walk.step(&format!("cibsecret: {name}"), 1, &line.join(" && ")).lacks(&["ERROR"]).check();
    }
    let line = format!("{PATH} cibsecret get keen passwd");
    walk.step("  after which it is still there", 3, &line).has(&[IN_FILE]).check();
    let line = format!("{PATH} crm resource secret keen show passwd");
    walk.step("  as the shell shows it", 2, &line).has(&[IN_FILE]).check();
    let line = format!("{PATH} cibsecret get keen nosuch; [ $? = 78 ]");
    walk.step("cibsecret: what is no secret", 1, &line).has(&["ERROR: *nothing to check"]).check();
}

/// Logs as time leaves them, with secrets where they should not be.
fn logs(walk: &mut Walk) {
    let line = format!(
        "crm configure primitive plain ocf:pacemaker:Dummy params passwd={OLD} && \
         crm_resource -r plain -p passwd -v {IN_CIB} && crm_resource --wait"
    );
    walk.step("a password in the CIB, and one that was there", 1, &line).within(20).check();
    for n in 1..=3 {
        let line = format!(
            "now=$(date '+%b %e %T') && cd /var/log && \
             echo \"$now $(uname -n) agent: ERROR: login with {IN_FILE} failed\" >messages && \
             echo \"$now $(uname -n) agent: connect passwd={OLD}, then -p {IN_CIB}\" >messages.1 && \
             gzip messages.1"
        );
        walk.step(&format!("logs on {}", name(n)), n, &line).check();
    }
}

fn report(walk: &mut Walk) {
    let from = "-f \"$(date -d '-1 hour' '+%F %T')\"";
    let line = format!("cd /var/tmp && {PATH} crm_report {from} all && tar xjf all.tar.bz2");
    walk.step("crm_report collects three nodes", 1, &line)
        .has(&["Collected results are available in /var/tmp/all.tar.bz2"])
        .lacks(&["WARN"])
        .check();
    for n in 1..=3 {
        let line = "for file in cib.xml cib.txt crm_mon.txt corosync.conf corosync.dump members.txt \
                    sysinfo.txt report.out RUNNING pacemaker.log.extract.txt \
                    messages.extract.txt analysis.txt; do ls -s $file | grep -v '^0 [^R]'; done && \
                    grep -c . messages.extract.txt && cat messages.extract.txt";
        walk.step(
            &format!("  {} is there", name(n)),
            1,
            &format!("cd /var/tmp/all/{} && {line}", name(n)),
        )
        .has(&["cib.xml", "cib.txt", "crm_mon.txt", "corosync.conf", "corosync.dump"])
        .has(&["members.txt", "sysinfo.txt", "report.out", "RUNNING", "analysis.txt"])
        .has(&[
            "pacemaker.log.extract.txt",
            &format!("{} agent: ERROR: login with ****** failed", name(n)),
        ])
        .has(&["connect passwd=******"])
        .check();
    }
    let line = "cd /var/tmp/all && ls */pengine/*.bz2 | wc -l | grep -v '^0$' && cat analysis.txt";
    walk.step("  and what the scheduler was given", 1, line)
        .has(&["Diff members.txt... OK", "Diff corosync.conf... OK", "Diff cib.xml... "])
        .has(&["Log pattern matches from pacemaker03:"])
        .check();
    let line = format!(
        "cd /var/tmp/all && find . -name '*.bz2' -exec bunzip2 {{}} + && \
         for secret in {IN_CIB} {IN_FILE} {OLD}; do ! grep -r $secret . || exit 1; done"
    );
    walk.step("  but no secret", 1, &line).check();
    let line = format!(
        "cd /var/tmp && {PATH} crm_report {from} -n 'pacemaker01 pacemaker02 nowhere' some && \
         tar xjf some.tar.bz2 && ls some && \
         crm_report {from} -S -M -d one && ls one && crm_report -S {from} -d one; [ $? = 1 ]"
    );
    walk.step("nodes that are named; one that is nowhere", 1, &line)
        .has(&["WARN: nowhere is not part of this report", "pacemaker02", "already exists"])
        .lacks(&["pacemaker03"])
        .check();
}
