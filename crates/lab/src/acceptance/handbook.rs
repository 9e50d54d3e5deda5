//! The walk of the handbook (seed 002), its commands typed as they stand there, and what it asks:
//! "if pacemaker01 dies, the address goes to another host; when it comes back, does it return?"

use std::io;
use std::time::{Duration, Instant};

use super::{KNET_CONF, Walk};
use crate::client::{self, Client};
use crate::demo::SERVICE;
use crate::lab::{name, wait_until};

/// Token timeout and consensus of the handbook's configuration.
const DETECTION: Duration = Duration::from_millis(3000 + 3600);

/// The same on two encrypted links instead of multicast.
pub(super) fn run_on_links(walk: &mut Walk) -> io::Result<()> {
    for n in 1..=3 {
        walk.lab.reset(n, KNET_CONF)?;
    }
    walk.on_links = true;
    run(walk)
}

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    form(walk)?;
    configure(walk);
    the_page(walk);
    move_it(walk);
    let served_by = walk.place_of(1, "WebSite").unwrap_or(1);
    power_cut(walk, "the node that serves", served_by)?;
    let dc = walk.dc(1).unwrap_or(1);
    power_cut(walk, "the DC", dc)
}

/// Power on, and the manager's first words.
fn form(walk: &mut Walk) -> io::Result<()> {
    walk.everything_on()?;
    for n in 1..=3 {
        let line = format!(
            "mkdir -p /var/www/html && printf '<html>\\n<body>My Test Site - {}</body>\\n</html>\\n' > /var/www/html/index.html",
            name(n)
        );
        walk.lab.sh(n, &line)?;
    }
    walk.step("the daemons have their names and users", 1, "ps -eo user:12,args")
        .has(&[
            "root*pacemakerd",
            "hacluster*/usr/lib/pacemaker/pacemaker-based",
            "root*/usr/lib/pacemaker/pacemaker-fenced",
            "root*/usr/lib/pacemaker/pacemaker-execd",
            "hacluster*/usr/lib/pacemaker/pacemaker-attrd",
            "hacluster*/usr/lib/pacemaker/pacemaker-schedulerd",
            "hacluster*/usr/lib/pacemaker/pacemaker-controld",
        ])
        .check();
    walk.step("crm_mon -1, before anything is configured", 1, "crm_mon -1")
        .has(&[
            "Current DC: pacemaker0*partition with quorum",
            "3 nodes configured",
            "0 resource instances configured",
        ])
        .check();
    walk.step("crm_verify -L -V has its three errors", 1, "crm_verify -L -V")
        .fails()
        .has(&[
            "error: Resource start-up disabled since no STONITH resources have been defined",
            "error: Either configure some or disable STONITH with the stonith-enabled option",
            "error: NOTE: Clusters with shared data need STONITH to ensure data integrity",
            "config not valid",
        ])
        .check();
    Ok(())
}

fn configure(walk: &mut Walk) {
    walk.step("property stonith-enabled=false", 1, "crm configure property stonith-enabled=false")
        .check();
    walk.step("crm_verify is content", 1, "crm_verify -L -V").lacks(&["error"]).check();
    walk.step("ra classes", 1, "crm ra classes")
        .has(&["lsb", "ocf / *heartbeat*pacemaker", "service", "stonith"])
        .check();
    walk.step("ra list ocf heartbeat", 1, "crm ra list ocf heartbeat")
        .has(&["IPaddr2", "apache", "Filesystem"])
        .check();
    walk.step("ra list ocf pacemaker", 1, "crm ra list ocf pacemaker")
        .has(&["Dummy", "Stateful", "ping"])
        .check();
    walk.step("ra info", 1, "crm ra info ocf:heartbeat:IPaddr2")
        .has(&[
            "Manages virtual IPv4 and IPv6 addresses (Linux specific version) (ocf:heartbeat:IPaddr2)",
            "Parameters (*: required, []: default):",
            "ip* (string): IPv4 or IPv6 address",
            "cidr_netmask (string): CIDR netmask",
            "Operations' defaults (advisory minimum):",
            "start         timeout=20s",
        ])
        .check();
    walk.step(
        "ClusterIP",
        1,
        "crm configure primitive ClusterIP ocf:heartbeat:IPaddr2 params ip=192.168.100.100 cidr_netmask=24 op monitor interval=30s",
    )
    .check();
    walk.step("ClusterIP starts", 1, "crm_mon -1")
        .has(&["ClusterIP*(ocf:*heartbeat:IPaddr2):*Started pacemaker0"])
        .within(30)
        .check();
    let at = walk.place_of(1, "ClusterIP").unwrap_or(1);
    walk.step("the address is a secondary one there", at, "ip addr")
        .has(&["inet 192.168.100.100/24"])
        .check();
    walk.step("rsc_defaults", 1, "crm configure rsc_defaults resource-stickiness=100").check();
    walk.step(
        "WebSite",
        1,
        "crm configure primitive WebSite ocf:heartbeat:apache params configfile=/etc/apache2/apache2.conf statusurl=\"http://127.0.0.1/server-status\" op monitor interval=1min",
    )
    .check();
    walk.step("op_defaults", 1, "crm configure op_defaults timeout=240s").check();
    walk.step(
        "colocation",
        1,
        "crm configure colocation website-with-ip INFINITY: WebSite ClusterIP",
    )
    .check();
    walk.step("order", 1, "crm configure order apache-after-ip mandatory: ClusterIP WebSite")
        .check();
    let (first, third) = (walk.node_id(1), walk.node_id(3));
    walk.step("configure show", 1, "crm configure show")
        .has(&[
            &format!("node {first}: pacemaker01"),
            "primitive ClusterIP IPaddr2 \\",
            "params ip=192.168.100.100 cidr_netmask=24 \\",
            "op monitor interval=30s",
            "primitive WebSite apache \\",
            "colocation website-with-ip inf: WebSite ClusterIP",
            "order apache-after-ip Mandatory: ClusterIP WebSite",
            "property cib-bootstrap-options: \\",
            "stonith-enabled=false",
            "resource-stickiness=100",
            "timeout=240s",
        ])
        .check();
    walk.step("configure show xml", 1, "crm configure show xml")
        .has(&[
            "<?xml version=\"1.0\" ?>",
            &format!("<node id=\"{third}\" uname=\"pacemaker03\"/>"),
            "<nvpair name=\"statusurl\" value=\"http://127.0.0.1/server-status\" id=\"WebSite-instance_attributes-statusurl\"/>",
            "<op name=\"monitor\" interval=\"1min\" id=\"WebSite-monitor-1min\"/>",
            "<rsc_colocation id=\"website-with-ip\" score=\"INFINITY\" rsc=\"WebSite\" with-rsc=\"ClusterIP\"/>",
            "<rsc_order id=\"apache-after-ip\" kind=\"Mandatory\" first=\"ClusterIP\" then=\"WebSite\"/>",
            "<nvpair name=\"timeout\" value=\"240s\" id=\"op-options-timeout\"/>",
        ])
        .check();
}

fn the_page(walk: &mut Walk) {
    walk.step("both run, together", 1, "crm_mon -1")
        .has(&[
            "ClusterIP*Started pacemaker0",
            "WebSite*(ocf:*heartbeat:apache):*Started pacemaker0",
        ])
        .within(60)
        .check();
    let (ip, web) = (walk.place_of(1, "ClusterIP"), walk.place_of(1, "WebSite"));
    let together = if ip.is_some() && ip == web {
        Ok(())
    } else {
        Err(format!("ClusterIP on {ip:?}, WebSite on {web:?}"))
    };
    walk.verdict("the colocation holds", together);
    let expected = format!("My Test Site - {}", web.map_or_else(String::new, name));
    page_says(walk, "the page answers from outside", &expected);
}

fn page_says(walk: &mut Walk, step: &str, expected: &str) {
    let mut last = String::new();
    let answered = wait_until(Duration::from_secs(20), || {
        last = client::get(SERVICE, 80).unwrap_or_else(|error| error.to_string());
        last.contains(expected)
    });
    walk.verdict(
        step,
        answered.map(|_| ()).ok_or_else(|| format!("expected `{expected}`, found: {last}")),
    );
}

fn move_it(walk: &mut Walk) {
    let target = if walk.place_of(1, "WebSite") == Some(2) { 3 } else { 2 };
    let host = name(target);
    walk.step("resource move", 1, &format!("crm resource move WebSite {host}")).check();
    walk.step("both moved", 1, "crm_mon -1")
        .has(&[&format!("ClusterIP*Started {host}"), &format!("WebSite*Started {host}")])
        .within(60)
        .check();
    page_says(walk, "the page comes from there", &format!("My Test Site - {host}"));
    walk.step("resource unmigrate", 1, "crm resource unmigrate WebSite && crm configure show")
        .lacks(&["cli-prefer"])
        .check();
    walk.step("it stays there", 1, "crm_resource --wait; crm_mon -1")
        .has(&[&format!("WebSite*Started {host}")])
        .check();
}

/// For how long, since the machine was started, somebody had to wait for a processor.
fn overbooked() -> Duration {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("some ")?.rsplit_once("total=")?.1.parse().ok());
    Duration::from_micros(total.unwrap_or(0))
}

/// Cuts a host's power and measures how long the page was away; then power on again.
fn power_cut(walk: &mut Walk, what: &str, victim: usize) -> io::Result<()> {
    let other = if victim == 1 { 2 } else { 1 };
    let gone = name(victim);
    let served = walk.place_of(other, "WebSite") == Some(victim);
    let asking = Client::start(SERVICE, 80);
    wait_until(Duration::from_secs(10), || asking.samples().iter().any(|s| s.page.is_some()));
    let cut = Instant::now();
    let overbooked_before = overbooked();
    walk.lab.power_off(victim)?;
    if served {
        let back = wait_until(Duration::from_secs(60), || {
            asking.outage_after(cut).is_some_and(|outage| !outage.is_zero())
        });
        let outage = asking.outage_after(cut).unwrap_or_default();
        println!(
            "     (the page was away for {:.2} s; detection takes {:.1} s)",
            outage.as_secs_f64(),
            DETECTION.as_secs_f64()
        );
        // On a machine that has other things to do, the time it did them is not ours.
        let waited = overbooked().saturating_sub(overbooked_before).min(outage);
        let limit = DETECTION + Duration::from_secs(2) + waited;
        let result = match back {
            Some(_) if outage <= limit => Ok(()),
            Some(_) => Err(format!(
                "{outage:.2?} is more than {limit:.2?} (no processor free: {waited:.2?})"
            )),
            None => Err("the page did not come back within a minute".to_owned()),
        };
        walk.verdict(
            &format!("power off {what}: the service answers within token + consensus + 2 s"),
            result,
        );
    }
    walk.step(&format!("power off {what}: the others go on"), other, "crm_mon -1")
        .has(&[
            &format!("OFFLINE: [ {gone} ]"),
            "WebSite*Started pacemaker0",
            "partition with quorum",
        ])
        .lacks(&[&format!("Started {gone}"), &format!("Current DC: {gone}")])
        .within(30)
        .check();
    drop(asking);
    let place = walk.place_of(other, "WebSite");
    walk.power_on(victim)?;
    walk.lab.start_cluster(victim)?;
    walk.step(&format!("power on: {gone} rejoins"), other, "crm_mon -1")
        .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]"])
        .within(60)
        .check();
    walk.step("the cluster settles", other, "crm_resource --wait").within(30).check();
    let now = walk.place_of(other, "WebSite");
    let stayed = if now.is_some() && now == place {
        Ok(())
    } else {
        Err(format!("was on {place:?}, is on {now:?}"))
    };
    walk.verdict("nothing moves back", stayed);
    same_cib(walk);
    Ok(())
}

/// The document is equal on all hosts.
pub(super) fn same_cib(walk: &mut Walk) {
    let digests = |walk: &Walk| -> Vec<String> {
        (1..=3)
            .map(|n| {
                let said = walk.lab.sh(
                    n,
                    "cibadmin -Q -l | cibadmin -6 -p -V 2>/dev/null; cibadmin -Q -l | md5sum",
                );
                said.map_or_else(|error| error.to_string(), |said| said.text)
            })
            .collect()
    };
    let mut found = Vec::new();
    let equal = wait_until(Duration::from_secs(10), || {
        found = digests(walk);
        found.windows(2).all(|two| two[0] == two[1])
    });
    walk.verdict(
        "the CIB is equal on all nodes",
        equal.map(|_| ()).ok_or_else(|| found.join("\n")),
    );
}
