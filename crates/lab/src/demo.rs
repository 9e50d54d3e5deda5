//! The demo: three hosts, a web page on a floating address, a power cut, and how long the page was
//! away.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::lab::{Lab, wait_until};
use crate::timeline;

/// The floating address of the handbook.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 100);
const PORT: u16 = 80;

/// The engine's configuration of `n` hosts: unicast UDP, a token timeout of one second, times in
/// milliseconds in the log.
pub fn engine_conf(n: usize) -> String {
    let nodes: String = (1..=n)
        .map(|i| {
            format!(
                "    node {{\n        ring0_addr: {}\n        name: {}\n        nodeid: {i}\n    }}\n",
                crate::lab::address(i),
                crate::lab::name(i)
            )
        })
        .collect();
    format!(
        "totem {{\n    version: 2\n    cluster_name: demo\n    transport: udpu\n    token: 1000\n    \
         # With more than two nodes each adds 650 ms to the token timeout, unless told not to.\n    \
         token_coefficient: 0\n}}\n\
         nodelist {{\n{nodes}}}\n\
         quorum {{\n    provider: corosync_votequorum\n}}\n\
         logging {{\n    to_stderr: yes\n    to_syslog: no\n    timestamp: hires\n}}\n"
    )
}

fn failed(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// Runs the demo. Only inside of a sandbox.
pub fn run(tree: &Path) -> io::Result<()> {
    println!("Three hosts, a switch and a client, in namespaces of this machine:");
    let conf = engine_conf(3);
    let mut lab = Lab::new(3, tree, &conf)?;
    for n in 1..=3 {
        lab.power_on(n)?;
        println!("  {}  {}", lab.host(n).name(), lab.host(n).address());
    }
    let begun = Instant::now();
    for n in 1..=3 {
        lab.start_cluster(n)?;
    }
    let idle = wait_until(Duration::from_secs(60), || {
        (1..=3).all(|n| {
            lab.sh(n, "crm_mon -1").is_ok_and(|said| {
                said.text.contains("Online: [ pacemaker01 pacemaker02 pacemaker03 ]")
            })
        })
    });
    if idle.is_none() {
        println!(
            "{}",
            lab.sh(
                1,
                "crm_mon -1; tail -n 20 /var/log/corosync.out /var/log/pacemaker/pacemaker.log"
            )?
            .text
        );
        return Err(failed("the cluster did not form within a minute"));
    }
    println!(
        "The cluster is up {:.1} s after the daemons were started.\n",
        begun.elapsed().as_secs_f64()
    );

    for line in [
        "crm configure property stonith-enabled=false",
        "crm configure rsc_defaults resource-stickiness=100",
        "crm configure primitive ClusterIP ocf:quorate:IPaddr params ip=192.168.100.100 cidr_netmask=24 op monitor interval=5s",
        "crm configure primitive WebSite ocf:quorate:Web op monitor interval=5s",
        "crm configure group WebService ClusterIP WebSite",
    ] {
        println!("pacemaker01# {line}");
        let said = lab.sh(1, line)?;
        print!("{}", said.text);
        if !said.is_ok() {
            return Err(failed("that command failed"));
        }
    }
    let client = Client::start(SERVICE, PORT);
    let begun = Instant::now();
    if wait_until(Duration::from_secs(30), || client.first_good_after(begun).is_some()).is_none() {
        println!("{}", lab.sh(1, "crm_mon -1 -rf")?.text);
        return Err(failed("the page did not answer within 30 seconds"));
    }
    println!("pacemaker01# crm_mon -1");
    println!("{}", lab.sh(1, "crm_mon -1")?.text);

    // Let the first monitors pass, so that the cut meets a cluster at rest.
    std::thread::sleep(Duration::from_secs(1));
    let served_by = (1..=3)
        .find(|n| {
            lab.sh(*n, "crm_resource -W -r WebSite").is_ok_and(|said| {
                said.text.contains(&format!("is running on: {}", lab.host(*n).name()))
            })
        })
        .ok_or_else(|| failed("no host says that it runs WebSite"))?;
    let survivor = if served_by == 1 { 2 } else { 1 };
    println!("The page comes from {}. Its power is cut now.\n", lab.host(served_by).name());
    let moment = timeline::now();
    let cut = Instant::now();
    lab.power_off(served_by)?;
    if wait_until(Duration::from_secs(60), || good_again(&client, cut)).is_none() {
        println!("{}", lab.sh(survivor, "crm_mon -1 -rf")?.text);
        return Err(failed("the page did not come back within a minute"));
    }
    let outage = client.outage_after(cut).unwrap_or_default();
    let answer = client.samples().into_iter().rev().find(|sample| sample.page.is_some());
    let answered = answer.as_ref().map_or(cut, |sample| sample.at);

    println!("  time after the cut");
    println!("  {:>7.3} s  {:<12} the power is cut", 0.0, lab.host(served_by).name());
    let first = first_good(&client, cut).unwrap_or(answered);
    let limit = (first - cut).as_secs_f64() + 0.05;
    for event in timeline::since(&lab, moment) {
        if event.after <= limit && event.host != lab.host(served_by).name() {
            println!("  {:>7.3} s  {:<12} {}", event.after, event.host, event.what);
        }
    }
    let page = answer.and_then(|sample| sample.page).unwrap_or_default();
    println!(
        "  {:>7.3} s  {:<12} first good request: {}",
        (first - cut).as_secs_f64(),
        "client",
        page.trim().replace('\n', " ")
    );
    println!(
        "\nThe service was away for {:.2} s (token timeout 1.00 s, consensus 1.20 s).\n",
        outage.as_secs_f64()
    );

    println!("{}'s power is restored.", lab.host(served_by).name());
    lab.power_on(served_by)?;
    lab.start_cluster(served_by)?;
    let back = wait_until(Duration::from_secs(60), || {
        lab.sh(survivor, "crm_mon -1")
            .is_ok_and(|said| said.text.contains("Online: [ pacemaker01 pacemaker02 pacemaker03 ]"))
    });
    let Some(back) = back else {
        println!("{}", lab.sh(survivor, "crm_mon -1")?.text);
        return Err(failed("the host did not come back within a minute"));
    };
    println!(
        "It is a member again after {:.1} s; nothing moved back (resource-stickiness):\n",
        back.as_secs_f64()
    );
    println!("pacemaker0{survivor}# crm_mon -1");
    println!("{}", lab.sh(survivor, "crm_mon -1")?.text);
    Ok(())
}

/// Whether a request failed after the cut and a later one succeeded.
fn good_again(client: &Client, cut: Instant) -> bool {
    first_good(client, cut).is_some()
}

/// The first good answer behind the first failed one after the cut.
fn first_good(client: &Client, cut: Instant) -> Option<Instant> {
    let samples = client.samples();
    let failed = samples.iter().find(|sample| sample.at > cut && sample.page.is_none())?;
    samples.iter().find(|sample| sample.at > failed.at && sample.page.is_some()).map(|s| s.at)
}
