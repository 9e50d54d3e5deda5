//! What must be refused: broken configurations, broken updates, bytes from nowhere.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::{HANDBOOK_CONF, MODERN_CONF, Walk};
use crate::lab::wait_until;

/// Every service of every daemon.
const IPC_NAMES: &str = "cmap cfg cpg quorum votequorum cib_rw cib_ro cib_shm crmd attrd lrmd \
                         stonith-ng pengine pacemakerd";

/// How long the noise lasts; `QUORATE_NOISE_SECONDS` sets another (the full ten minutes: 600).
const NOISE: Duration = Duration::from_secs(20);

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    broken_configurations(walk)?;
    walk.lab.reset(1, HANDBOOK_CONF)?;
    walk.everything_on()?;
    broken_updates(walk);
    noise(walk)
}

fn broken_configurations(walk: &mut Walk) -> io::Result<()> {
    walk.lab.power_on(1)?;
    for (what, conf, patterns) in [
        (
            "a value that is no number",
            MODERN_CONF.replace("token: 1000", "token: banana"),
            vec!["totem.token", "banana"],
        ),
        (
            "an unclosed section",
            MODERN_CONF.replace("timestamp: hires\n}", "timestamp: hires\n"),
            vec!["corosync.conf", "closing"],
        ),
        ("a wrong version", MODERN_CONF.replace("version: 2", "version: 3"), vec!["version"]),
        (
            "no key and value",
            MODERN_CONF.replace("transport: udpu", "transport udpu"),
            vec!["corosync.conf:4", "transport udpu"],
        ),
    ] {
        std::fs::write(walk.lab.host(1).disk().join("etc/corosync/corosync.conf"), conf)?;
        walk.step(&format!("corosync -t refuses {what}"), 1, "corosync -t")
            .fails()
            .has(&patterns)
            .check();
        walk.step(
            &format!("corosync -f refuses {what}"),
            1,
            "timeout 5 corosync -f; s=$?; echo status $s; exit $s",
        )
        .fails()
        .has(&patterns)
        .lacks(&["status 124"])
        .check();
    }
    Ok(())
}

fn broken_updates(walk: &mut Walk) {
    walk.step(
        "fencing is off for this one",
        1,
        "crm configure property stonith-enabled=false && crm_resource --wait",
    )
    .check();
    let before =
        walk.lab.sh(1, "cibadmin -Q -o configuration").map(|said| said.text).unwrap_or_default();
    for (what, xml) in [
        ("an unknown element", "<nonsense id=\"x\"/>"),
        ("a primitive without a class", "<primitive id=\"x\" type=\"Dummy\"/>"),
        (
            "an id that is no id",
            "<primitive id=\"1 2\" class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"/>",
        ),
        ("half an element", "<primitive id=\"x\" class=\"ocf\""),
    ] {
        walk.step(
            &format!("cibadmin refuses {what}"),
            1,
            &format!("cibadmin -C -o resources -X '{xml}'"),
        )
        .fails()
        .check();
    }
    walk.step("cibadmin refuses a dangling reference", 1, "cibadmin -C -o constraints -X '<rsc_location id=\"l\" rsc=\"nosuch\" node=\"pacemaker01\" score=\"1\"/>'")
        .fails()
        .check();
    let after =
        walk.lab.sh(1, "cibadmin -Q -o configuration").map(|said| said.text).unwrap_or_default();
    let same = if before == after && !after.is_empty() {
        Ok(())
    } else {
        Err("the configuration changed".to_owned())
    };
    walk.verdict("nothing changed", same);
}

/// Random bytes at the totem port of every host and at the IPC sockets of one.
fn noise(walk: &mut Walk) -> io::Result<()> {
    let span = std::env::var("QUORATE_NOISE_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(NOISE, Duration::from_secs);
    let pids = |walk: &Walk| {
        let said = walk.lab.sh(1, "pgrep -f '^(corosync|pacemakerd|/usr/lib/pacemaker/)' | sort");
        said.map(|said| said.text).unwrap_or_default()
    };
    let before = pids(walk);
    let memory_before = memory(walk);
    let seconds = span.as_secs();
    let until = Instant::now() + span;
    let udp = std::thread::spawn(move || udp_noise(until));
    let storm = format!("quorate ipc-storm -d {seconds} {IPC_NAMES}");
    walk.step(&format!("random bytes at the IPC sockets for {seconds} s"), 1, &storm).check();
    let packets = udp.join().unwrap_or(0);
    let enough =
        if packets > 100 { Ok(()) } else { Err(format!("{packets} packets are no flood")) };
    walk.verdict(&format!("{packets} random packets at the totem ports"), enough);
    let after = pids(walk);
    let alive = if before == after && before.lines().count() >= 8 {
        Ok(())
    } else {
        Err(format!("before: {before}\nafter: {after}"))
    };
    walk.verdict("no daemon died of it", alive);
    let grown = growth(&memory_before, &memory(walk));
    walk.verdict("no daemon grew by it", grown);
    let formed = wait_until(Duration::from_secs(30), || {
        walk.lab
            .sh(1, "crm_mon -1")
            .is_ok_and(|said| said.text.contains("Online: [ pacemaker01 pacemaker02 pacemaker03 ]"))
    });
    walk.verdict("the cluster is whole", formed.map(|_| ()).ok_or_else(|| "it is not".into()));
    Ok(())
}

/// What each daemon of the first host has in memory of its own, in KiB.
fn memory(walk: &Walk) -> Vec<(String, u64)> {
    let line = "for d in /proc/[0-9]*; do k=$(awk '/^Private_Dirty:/ {print $2}' $d/smaps_rollup \
                2>/dev/null); tr '\\0' ' ' <$d/cmdline | sed \"s/^/$k /\"; echo; done | \
                grep -E '^[0-9]+ (corosync|pacemakerd|/usr/lib/pacemaker/)'";
    let text = walk.lab.sh(1, line).map(|said| said.text).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (kilobytes, command) = line.split_once(' ')?;
            Some((command.trim().to_owned(), kilobytes.parse().ok()?))
        })
        .collect()
}

/// Daemons may keep what a burst of clients needed, not more.
const GROWTH_MAX: u64 = 8 * 1024;

fn growth(before: &[(String, u64)], after: &[(String, u64)]) -> Result<(), String> {
    let mut story = String::new();
    let mut is_bounded = before.len() >= 8;
    for (daemon, kilobytes) in after {
        let was = before.iter().find(|(known, _)| known == daemon).map_or(0, |(_, was)| *was);
        story.push_str(&format!("{daemon}: {was} KiB before, {kilobytes} KiB after\n"));
        is_bounded &= kilobytes.saturating_sub(was) <= GROWTH_MAX;
    }
    println!("     ({})", story.trim().replace('\n', "; ").replace("/usr/lib/pacemaker/", ""));
    if is_bounded { Ok(()) } else { Err(story) }
}

/// A generator that needs no seed from outside: the noise is the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Random bytes; every other time behind a start that parsers accept.
    fn bytes(&mut self, start: &[u8]) -> Vec<u8> {
        let length = (self.next() % 1400) as usize;
        let mut bytes: Vec<u8> =
            if self.next().is_multiple_of(2) { start.to_vec() } else { Vec::new() };
        bytes.extend((0..length).map(|_| (self.next() >> 24) as u8));
        bytes
    }
}

/// A totem header: magic, version, type, no encapsulation, node id, target (`spec/totem.md` §2.1).
fn totem_start(kind: u8) -> Vec<u8> {
    let mut start = vec![0x70, 0xc0, 0x03, kind, 0];
    start.extend(1_084_777_483u32.to_le_bytes());
    start.extend(0u32.to_le_bytes());
    start
}

fn udp_noise(until: Instant) -> u64 {
    let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else { return 0 };
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut sent = 0;
    while Instant::now() < until {
        let start = totem_start((noise.next() % 8) as u8);
        let bytes = noise.bytes(&start);
        let target = match noise.next() % 4 {
            0 => Ipv4Addr::new(239, 255, 100, 0),
            n => Ipv4Addr::new(192, 168, 100, 9 + n as u8),
        };
        sent += u64::from(socket.send_to(&bytes, (target, 5405)).is_ok());
        std::thread::sleep(Duration::from_micros(500));
    }
    sent
}
