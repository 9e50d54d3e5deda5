//! The links: three hosts with two networks and encryption. Losing a network goes unnoticed by the
//! ring, a wrong key stays outside and is counted, the key is changed while messages flow.

use std::fs;
use std::io;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::{KNET_CONF, Walk};
use crate::lab::wait_until;

/// The key of all hosts.
pub(super) const KEY: [u8; 256] = [7; 256];

/// Switches a host on with both cables and a key.
pub(super) fn power_on(walk: &mut Walk, n: usize, key: &[u8]) -> io::Result<()> {
    walk.lab.power_on(n)?;
    walk.lab.second_cable(n)?;
    fs::write(walk.lab.host(n).disk().join("etc/corosync/authkey"), key)
}

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    for n in 1..=3 {
        walk.lab.reset(n, KNET_CONF)?;
        power_on(walk, n, &KEY)?;
        walk.lab.start_engine(n)?;
    }
    members(walk, "three nodes form", 1, 3);
    both_links(walk);
    walk.step("cfgtool -n: sizes are explored, encryption counted", 2, "corosync-cfgtool -n")
        .has(&[
            "Local node ID 2, transport knet",
            "nodeid: 3 reachable",
            "LINK: 0 udp (192.168.100.11->192.168.100.12) enabled connected mtu: 1397",
            "LINK: 1 udp (192.168.101.11->192.168.101.12) enabled connected mtu: 1397",
        ])
        .within(10)
        .check();
    walk.step("the log says what upstream's says", 2, "cat /var/log/corosync.out")
        .has(&[
            "notice*[TOTEM ] Initializing transport (Kronosnet).",
            "info*[TOTEM ] Configured link number 1: local addr: 192.168.101.11, port=5406",
            "warning*[KNET  ] host: host: 1 has no active links",
            "info*[KNET  ] rx: host: 1 link: 0 is up",
            "info*[KNET  ] host: host: 1 (passive) best link: 0 (pri: 2)",
            "info*[KNET  ] pmtud: Global data MTU changed to: 1397",
        ])
        .check();
    load(walk, "messages of all three arrive in one order", "500", |_| Ok(()))?;
    load(walk, "large messages too", "60000", |_| Ok(()))?;
    // Programs that send as fast as they can: the readers must not be run over.
    let words = ["-d", "3", "-w", "0", "-s", "60000"];
    load_with(walk, "a flood of them disconnects nobody", &words, |_| Ok(()))?;
    walk.step("and no reader was given up", 1, "cat /var/log/corosync.out")
        .lacks(&["does not read"])
        .check();
    lose_a_link(walk)?;
    change_the_key(walk)?;
    wrong_key(walk)?;
    walk.lab.power_off(2)?;
    members(walk, "a dead node leaves", 1, 2);
    walk.step("its links are down", 1, "corosync-cfgtool -s")
        .has(&["nodeid:*2:*disconnected", "nodeid:*3:*connected"])
        .check();
    Ok(())
}

fn members(walk: &mut Walk, name: &str, host: usize, count: usize) {
    walk.step(name, host, "corosync-quorumtool -s")
        .has(&["Quorate:*Yes", &format!("Nodes:*{count}")])
        .any_status()
        .within(30)
        .check();
}

fn both_links(walk: &mut Walk) {
    walk.step("both links connect everybody", 1, "corosync-cfgtool -s -b")
        .has(&["LINK ID 0 udp", "LINK ID 1 udp", "status*= n33"])
        .lacks(&["status*1"])
        .within(15)
        .check();
}

fn ring(walk: &Walk, host: usize) -> String {
    let said = walk.lab.sh(host, "corosync-quorumtool -s | grep 'Ring ID'");
    said.map_or_else(|error| error.to_string(), |said| said.text)
}

/// Load from all hosts, with something that happens in its midst; content and order are checked.
fn load(
    walk: &mut Walk,
    name: &str,
    size: &str,
    meanwhile: impl FnOnce(&mut Walk) -> io::Result<()>,
) -> io::Result<()> {
    load_with(walk, name, &["-w", "100", "-d", "5", "-s", size], meanwhile)
}

/// The same with other words for `cpg-load`.
fn load_with(
    walk: &mut Walk,
    name: &str,
    how: &[&str],
    meanwhile: impl FnOnce(&mut Walk) -> io::Result<()>,
) -> io::Result<()> {
    let words = ["timeout", "60", "quorate", "cpg-load", "-v", "-n", "3"];
    let words: Vec<&str> = words.iter().chain(how).copied().collect();
    let mut running = Vec::new();
    for n in 1..=3 {
        let mut command = walk.lab.command(n, &words)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        running.push(command.spawn()?);
    }
    sleep(Duration::from_secs(1));
    meanwhile(walk)?;
    let mut said = Vec::new();
    for child in running {
        let output = child.wait_with_output()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        said.push(text);
    }
    let order = |text: &String| text.split("\"order\":").nth(1).map(str::to_owned);
    let orders: Vec<Option<String>> = said.iter().map(order).collect();
    let is_equal = orders[0].is_some() && orders.iter().all(|one| *one == orders[0]);
    let holds = is_equal && said.iter().all(|text| text.contains("\"faults\":0"));
    walk.verdict(name, if holds { Ok(()) } else { Err(said.join("\n")) });
    Ok(())
}

fn lose_a_link(walk: &mut Walk) -> io::Result<()> {
    let before = ring(walk, 1);
    load(walk, "a network is lost under load", "500", |walk| walk.lab.plug_link(2, 0, false))?;
    walk.step("the link is down, the other one up", 1, "corosync-cfgtool -s -b")
        .has(&["status*= n13", "status*= n33"])
        .within(10)
        .check();
    walk.step("the other one carries the data", 1, "grep 'best link: 1' /var/log/corosync.out")
        .has(&["host: host: 2 (passive) best link: 1 (pri: 1)"])
        .check();
    let after = ring(walk, 1);
    let result = if before == after { Ok(()) } else { Err(format!("{before} became {after}")) };
    walk.verdict("the membership did not change", result);
    walk.lab.plug_link(2, 0, true)?;
    both_links(walk);
    Ok(())
}

fn change_the_key(walk: &mut Walk) -> io::Result<()> {
    let before = ring(walk, 1);
    let mut said = None;
    load(walk, "key and cipher change under load", "500", |walk| {
        for n in 1..=3 {
            let etc = walk.lab.host(n).disk().join("etc/corosync");
            fs::write(etc.join("authkey"), [9u8; 256])?;
            let conf = KNET_CONF.replace("sha256", "sha512").replace("aes256", "aes128");
            fs::write(etc.join("corosync.conf"), conf)?;
        }
        said = Some(walk.lab.sh(1, "corosync-cfgtool -R")?);
        Ok(())
    })?;
    let said = said.map_or_else(String::new, |said| said.text);
    let result = if said.contains("Done") { Ok(()) } else { Err(said) };
    walk.verdict("cfgtool -R says so", result);
    let after = ring(walk, 1);
    let result = if before == after { Ok(()) } else { Err(format!("{before} became {after}")) };
    walk.verdict("the membership did not change by that", result);
    walk.step("packets have the new size", 3, "corosync-cfgtool -n")
        .has(&["enabled connected mtu: 1365"])
        .lacks(&["1397"])
        .within(10)
        .check();
    Ok(())
}

fn failures(walk: &Walk, host: usize) -> u64 {
    let line = "corosync-cmapctl -m stats -q -g stats.knet.handle.rx_crypt_failures";
    walk.lab.sh(host, line).ok().and_then(|said| said.text.trim().parse().ok()).unwrap_or(0)
}

fn wrong_key(walk: &mut Walk) -> io::Result<()> {
    walk.lab.power_off(3)?;
    members(walk, "two go on", 1, 2);
    let conf = KNET_CONF.replace("sha256", "sha512").replace("aes256", "aes128");
    walk.lab.reset(3, &conf)?;
    power_on(walk, 3, &[8; 256])?;
    let before = failures(walk, 1);
    walk.lab.start_engine(3)?;
    let counted = wait_until(Duration::from_secs(10), || failures(walk, 1) >= before + 5);
    let result = counted.map(|_| ()).ok_or_else(|| format!("{} packets", failures(walk, 1)));
    walk.verdict("packets of a wrong key are counted", result);
    walk.step("it does not get in", 1, "corosync-quorumtool -s; corosync-cfgtool -s")
        .has(&["Nodes:*2", "nodeid:*3:*disconnected"])
        .any_status()
        .check();
    walk.step("the log says why", 1, "cat /var/log/corosync.out")
        .has(&["error*[KNET  ] rx: Unable to decrypt packet from 192.168.10*.12"])
        .check();
    walk.lab.power_off(3)?;
    power_on(walk, 3, &[9; 256])?;
    walk.lab.start_engine(3)?;
    members(walk, "with the right key it does", 3, 3);
    Ok(())
}
