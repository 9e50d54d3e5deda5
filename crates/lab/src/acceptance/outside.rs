//! Administration from outside of the cluster: `remote-tls-port` and `remote-clear-port`, on one
//! host with certificates.
//!
//! One host plays somebody with the tools and a password; passwords are judged by a PAM service of
//! the lab's own, so that no account of this machine is touched.

use std::io;

use super::Walk;
use crate::lab::{address, name};

const RIGHT: &str = "right-or-nothing";
const ANNS: &str = "what-ann-knows";
/// The host that is spoken to.
const SERVER: usize = 1;
/// The host that has a certificate and wants one.
const CERTIFIED: usize = 2;
/// Where the tools are called.
const OUTSIDE: usize = 3;

/// A call of the outsider's.
fn outside(port: u16, user: &str, password: &str, line: &str) -> String {
    let encrypted = if port == 4000 { "false" } else { "true" };
    let server = address(SERVER);
    format!(
        "export CIB_server={server} CIB_port={port} CIB_encrypted={encrypted} CIB_user={user} \
         CIB_passwd={password}; {line}"
    )
}

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    for n in [SERVER, CERTIFIED] {
        walk.power_on(n)?;
        accounts(walk, n);
    }
    certificates(walk);
    for n in [SERVER, CERTIFIED] {
        walk.lab.start_cluster(n)?;
    }
    walk.everything_on()?;
    walk.step("no fencing here", 1, "crm configure property stonith-enabled=false").check();
    for (what, port) in [("TLS", 4001), ("clear text", 4000)] {
        access(walk, what, port);
    }
    certified(walk);
    rights(walk);
    strangers(walk);
    Ok(())
}

/// Ann may administer the cluster, bob may not; PAM asks a list.
fn accounts(walk: &mut Walk, n: usize) {
    let list = format!("hacluster:{RIGHT}\\nann:{ANNS}\\nbob:{ANNS}\\n");
    let judge = "#!/bin/sh\\npassword=$(tr -d \"\\\\000\")\\n\
                 exec grep -qx \"$PAM_USER:$password\" /etc/lab-passwords\\n";
    let service = "auth required pam_exec.so expose_authtok quiet /etc/lab-judge\\n\
                   account required pam_permit.so\\n";
    let line = format!(
        "printf '{list}' >/etc/lab-passwords && printf '{judge}' >/etc/lab-judge && \
         chmod 755 /etc/lab-judge && printf '{service}' >/etc/pam.d/login && \
         printf 'ann:x:7001:7001::/:/bin/sh\\nbob:x:7002:7002::/:/bin/sh\\n' >>/etc/passwd && \
         sed -i '/^haclient:/s/:\\([^:]*\\)$/:ann,\\1/' /etc/group && grep ^haclient: /etc/group"
    );
    walk.step(&format!("accounts on {}", name(n)), n, &line).has(&["haclient:*ann*"]).check();
}

/// An authority, what it signed for two, and what somebody else signed for himself.
fn certificates(walk: &mut Walk) {
    let key = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let line = format!(
        "mkdir -p /run/lab/tls && cd /run/lab/tls && exec 2>openssl.log && \
         {key} -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem && \
         {key} -x509 -days 2 -subj /CN=other -keyout other.key -out other.pem && \
         for who in node tool; do \
         {key} -subj /CN=$who -keyout $who.key -out $who.csr && \
         openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -out $who.pem || exit 1; done; chmod 644 *.key; \
         for what in ca_file=ca.pem cert_file=node.pem key_file=node.key; do \
         echo PCMK_${{what%=*}}=/run/lab/tls/${{what#*=}}; done | tee /etc/default/pacemaker"
    );
    walk.step("certificates", CERTIFIED, &line).has(&["PCMK_key_file=*node.key"]).check();
}

/// With certificates both sides show one that the authority signed.
fn certified(walk: &mut Walk) {
    let call = |ca: &str, who: &str| {
        let files = format!(
            "cd /run/lab/tls; export CIB_ca_file=$PWD/{ca}.pem CIB_cert_file=$PWD/{who}.pem \
             CIB_key_file=$PWD/{who}.key CIB_server={}; crm_attribute -n x -G",
            address(CERTIFIED)
        );
        outside(4001, "hacluster", RIGHT, &files)
    };
    walk.step("certificates of one authority", OUTSIDE, &call("ca", "tool"))
        .has(&["*value=4000"])
        .within(30)
        .check();
    for (what, ca, who) in [
        ("  a client that another one signed is refused", "ca", "other"),
        ("  a server that another one signed is refused", "other", "tool"),
    ] {
        walk.step(what, OUTSIDE, &call(ca, who)).fails().lacks(&["*value=4000"]).within(30).check();
    }
    let line = format!("CIB_server={} crm_attribute -n x -G", address(CERTIFIED));
    let line = outside(4001, "hacluster", RIGHT, &line);
    walk.step("  and so is one without", OUTSIDE, &line)
        .fails()
        .lacks(&["*value=4000"])
        .within(30)
        .check();
}

fn access(walk: &mut Walk, what: &str, port: u16) {
    let attribute = if port == 4000 { "remote-clear-port" } else { "remote-tls-port" };
    let line = outside(port, "hacluster", RIGHT, "cibadmin -Q -o nodes");
    walk.step(&format!("{what}: nobody listens yet"), OUTSIDE, &line)
        .fails()
        .has(&["*Transport endpoint is not connected"])
        .within(30)
        .check();
    let open = format!("cibadmin -M -X '<cib {attribute}=\"{port}\"/>'");
    walk.step(&format!("{what}: the port is configured"), 2, &open).check();
    walk.step("  and open", OUTSIDE, &line).has(&[&name(2)]).within(20).check();
    let line = outside(
        port,
        "hacluster",
        RIGHT,
        &format!("crm_attribute -n x -v {port} && crm_attribute -n x -G && crm_mon -1"),
    );
    walk.step("  a change, and the status", OUTSIDE, &line)
        .has(&[&format!("*value={port}"), "*Online: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(30)
        .check();
    walk.step("  the change is everywhere", 2, "crm_attribute -n x -G")
        .has(&[&format!("*value={port}")])
        .within(10)
        .check();
    let line = outside(
        port,
        "hacluster",
        RIGHT,
        "cibadmin -Q >/tmp/all.xml && cibadmin -R -x /tmp/all.xml && cibadmin -B && \
         cibadmin -C -o resources -X '<primitive id=\"x\"/>'",
    );
    walk.step("  a whole document, and one that is refused", OUTSIDE, &line)
        .fails()
        .has(&["*Update does not conform to the configured schema"])
        .within(30)
        .check();
    for (who, user, password) in [
        ("a wrong password", "hacluster", "wrong"),
        ("nobody known", "nobody-knows", RIGHT),
        ("no member of haclient", "bob", ANNS),
    ] {
        let line = outside(port, user, password, "cibadmin -Q");
        walk.step(&format!("  {who} is refused"), OUTSIDE, &line)
            .fails()
            .has(&["*Protocol error"])
            .lacks(&["*<cib *"])
            .within(30)
            .check();
    }
    let line = format!("! grep -rE '{RIGHT}|{ANNS}' /var/log /var/lib/pacemaker");
    walk.step("  no password is in a log", SERVER, &line).check();
}

/// Access control holds for who comes from outside.
fn rights(walk: &mut Walk) {
    let line = "crm configure property enable-acl=true && cibadmin -C -o configuration -X \
                '<acls><acl_role id=\"look\"><acl_permission id=\"look-all\" kind=\"read\" xpath=\"/cib\"/>\
                </acl_role><acl_target id=\"ann\"><role id=\"look\"/></acl_target></acls>'";
    walk.step("ann may look", 1, line).check();
    let line = outside(4001, "ann", ANNS, "crm_attribute -n x -G");
    walk.step("  and does", OUTSIDE, &line).has(&["*value=4000"]).within(30).check();
    for words in ["-n x -v anns", "-n x -D"] {
        let line = outside(4001, "ann", ANNS, &format!("crm_attribute {words}"));
        walk.step(&format!("  not more: crm_attribute {words}"), OUTSIDE, &line)
            .fails()
            .has(&["*Permission denied*"])
            .within(30)
            .check();
    }
    walk.step("  nothing changed", 1, "crm_attribute -n x -G").has(&["*value=4000"]).check();
}

/// Those without a password cost little and go soon.
fn strangers(walk: &mut Walk) {
    let server = address(SERVER);
    let hold = format!(
        "for n in $(seq 40); do bash -c 'exec 3<>/dev/tcp/{server}/4001; timeout 60 cat <&3; \
         [ $? != 124 ] || echo one stayed' & done; wait"
    );
    walk.step("forty strangers who say nothing are sent away", OUTSIDE, &hold)
        .lacks(&["stayed"])
        .check();
    let noise = format!(
        "for port in 4000 4001; do for n in 1 2 3 4 5 6 7 8; do \
         timeout 20 bash -c 'head -c 50000 /dev/urandom >/dev/tcp/{server}/'$port; done; done; true"
    );
    walk.step("random bytes at both ports", OUTSIDE, &noise).check();
    let line = outside(4001, "hacluster", RIGHT, "crm_attribute -n x -G");
    // The last of the strangers may still be counted.
    walk.step("  then who has the password comes in", OUTSIDE, &line)
        .has(&["*value=4000"])
        .within(60)
        .check();
    let line = "cibadmin -M -X '<cib remote-clear-port=\"4002\"/>'";
    walk.step("another port", 1, line).check();
    let line = outside(4000, "hacluster", RIGHT, "cibadmin -Q");
    walk.step("  the old one is closed", OUTSIDE, &line)
        .fails()
        .has(&["*Transport endpoint is not connected"])
        .within(20)
        .check();
    let line = outside(4002, "hacluster", RIGHT, "CIB_encrypted=false crm_attribute -n x -G");
    walk.step("  the new one is open", OUTSIDE, &line).has(&["*value=4000"]).within(20).check();
}
