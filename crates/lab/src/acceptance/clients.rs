//! Every function of Corosync's client libraries, called by a C program (`crates/lab/c`) that is
//! linked with Debian's own `libcpg`, `libcmap`, `libcfg`, `libquorum`, `libvotequorum` and
//! `libsam`. What it prints must be, line by line, what it prints with Debian's engine: that is
//! `c/clients.expected`. Where Debian's engine is installed it is asked again (not with
//! `QUORATE_CLIENTS_DEBIAN=0`, which saves a minute); with
//! `QUORATE_CLIENTS_OUT=DIR` what it says is written there, for a new `clients.expected`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Walk;
use crate::lab::wait_until;

const CONF: &str = include_str!("../../conf/clients.conf");
const DEVICE_CONF: &str = include_str!("../../conf/clients-device.conf");
const KNET_CONF: &str = include_str!("../../conf/clients-knet.conf");
const EXPECTED: &str = include_str!("../../c/clients.expected");

/// The program's sources.
const SOURCES: &[(&str, &str)] = &[
    ("clients.h", include_str!("../../c/clients.h")),
    ("main.c", include_str!("../../c/main.c")),
    ("cpg.c", include_str!("../../c/cpg.c")),
    ("cmap.c", include_str!("../../c/cmap.c")),
    ("cfg.c", include_str!("../../c/cfg.c")),
    ("quorum.c", include_str!("../../c/quorum.c")),
    ("load.c", include_str!("../../c/load.c")),
    ("sam.c", include_str!("../../c/sam.c")),
];

/// The parts, in the order in which they leave the engine fit for the next one.
const PARTS: &[&str] = &[
    "keys",
    "stats",
    "cpg",
    "cpg-more",
    "cmap",
    "access",
    "cfg",
    "quorum",
    "votequorum",
    "sam",
    "flood",
    "selfish",
    "live",
];

const KNET_PARTS: &[&str] = &["keys", "stats", "cfg"];

/// In the hosts.
const PROGRAM: &str = "/run/lab/clients";

/// Memory that a stalled client may cost the engine, in kB.
const STALLED_KB: u64 = 160_000;

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    let compiled = compile(&walk.lab.shared());
    let is_compiled = compiled.is_ok();
    walk.verdict("the C program compiles", compiled);
    if !is_compiled {
        return Ok(());
    }
    let tree = walk.lab.tree(1).to_owned();
    let ours = everything(walk, &tree, true)?;
    for (part, said) in &ours {
        walk.verdict(&format!("clients: {part}, as with Debian's engine"), compare(part, said));
    }
    stalled(walk)?;
    let is_asked = std::env::var_os("QUORATE_CLIENTS_DEBIAN").is_none_or(|word| word != "0");
    if is_asked && Path::new("/usr/sbin/corosync").exists() {
        let bare = walk.lab.shared().join("bare");
        fs::create_dir_all(bare.join("usr/bin"))?;
        let debian = everything(walk, &bare, false)?;
        if let Some(dir) = std::env::var_os("QUORATE_CLIENTS_OUT") {
            let all: String = debian.iter().map(|(_, said)| said.as_str()).collect();
            fs::write(Path::new(&dir).join("clients.expected"), all)?;
        }
        let wrong: Vec<String> = debian
            .iter()
            .filter_map(|(part, said)| {
                compare(part, said).err().map(|why| format!("{part}:\n{why}"))
            })
            .collect();
        let result = if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) };
        walk.verdict("clients: Debian's engine says what was written down", result);
    }
    for n in 1..=3 {
        walk.lab.power_off(n)?;
        walk.lab.set_tree(n, &tree, true);
    }
    Ok(())
}

fn compile(dir: &Path) -> Result<(), String> {
    let make = || -> io::Result<std::process::Output> {
        let sources = dir.join("c");
        fs::create_dir_all(&sources)?;
        for (name, text) in SOURCES {
            fs::write(sources.join(name), text)?;
        }
        let files: Vec<PathBuf> = SOURCES
            .iter()
            .filter(|(name, _)| name.ends_with(".c"))
            .map(|(name, _)| sources.join(name))
            .collect();
        Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
            .arg(dir.join("clients"))
            .args(files)
            .args(["-lcpg", "-lcmap", "-lcfg", "-lquorum", "-lvotequorum", "-lsam"])
            .arg("-lcorosync_common")
            .output()
    };
    let output = make().map_err(|error| {
        format!("cc: {error}; wants gcc and libcpg-dev libcmap-dev libcfg-dev libquorum-dev libvotequorum-dev libsam-dev")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Two hosts with this configuration, their engines up and quorate.
fn two(walk: &mut Walk, conf: &str, tree: &Path, hide: bool) -> io::Result<()> {
    for n in 1..=2 {
        walk.lab.reset(n, conf)?;
        walk.lab.set_tree(n, tree, hide);
        walk.lab.power_on(n)?;
        if conf.contains("ring1_addr") {
            walk.lab.second_cable(n)?;
            fs::write(walk.lab.host(n).disk().join("etc/corosync/authkey"), [7u8; 256])?;
        }
        walk.lab.start_engine(n)?;
    }
    let status = format!("{PROGRAM} formed");
    wait_until(Duration::from_secs(30), || {
        walk.lab.sh(1, &status).is_ok_and(|said| said.is_ok())
            && walk.lab.sh(2, &status).is_ok_and(|said| said.is_ok())
    })
    .ok_or_else(|| io::Error::other("two nodes did not form"))?;
    Ok(())
}

/// All parts and what they said.
fn everything(walk: &mut Walk, tree: &Path, hide: bool) -> io::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    two(walk, CONF, tree, hide)?;
    walk.lab.start(2, &[PROGRAM, "echo"], "/var/log/echo.out")?;
    let is_single_user = fs::read_to_string("/proc/self/uid_map")?
        .lines()
        .any(|line| line.split_whitespace().nth(2) == Some("1"));
    for part in PARTS {
        if *part == "access" && is_single_user {
            println!("     (without root there is but one user: `access` is left out)");
            continue;
        }
        let said = walk.lab.run(1, &["timeout", "100", PROGRAM, part])?;
        all.push(((*part).to_owned(), said.text));
    }
    // What the services tell when the other node dies.
    let watch = format!("WATCH_SECONDS=6 exec {PROGRAM} watch");
    walk.lab.start(1, &["/bin/sh", "-c", &watch], "/var/log/watch.out")?;
    let has_begun =
        || walk.lab.sh(1, "grep -q watching /var/log/watch.out").is_ok_and(|s| s.is_ok());
    wait_until(Duration::from_secs(10), has_begun);
    walk.lab.power_off(2)?;
    let is_over =
        || walk.lab.sh(1, "grep -q '^node 2' /var/log/watch.out").is_ok_and(|s| s.is_ok());
    wait_until(Duration::from_secs(20), is_over);
    all.push(("watch".into(), walk.lab.sh(1, "sleep 0.2; cat /var/log/watch.out")?.text));
    all.push(("shutdown".into(), walk.lab.run(1, &["timeout", "60", PROGRAM, "shutdown"])?.text));
    two(walk, DEVICE_CONF, tree, hide)?;
    all.push(("qdevice".into(), walk.lab.run(1, &["timeout", "60", PROGRAM, "qdevice"])?.text));
    // The parts that see the transport, on links.
    two(walk, KNET_CONF, tree, hide)?;
    // The path's MTU takes a moment to be known.
    std::thread::sleep(Duration::from_secs(4));
    for part in KNET_PARTS {
        let said = walk.lab.run(1, &["timeout", "60", PROGRAM, part])?;
        let text = said.text.replacen("=== ", "=== knet ", 1);
        all.push((format!("knet {part}"), text));
    }
    Ok(all)
}

/// The part of the expected text that begins with its heading.
fn expected(part: &str) -> Option<&'static str> {
    let heading = format!("=== {part}\n");
    let start = EXPECTED.find(&heading)?;
    let end = EXPECTED[start + 4..].find("\n=== ").map_or(EXPECTED.len(), |at| start + 5 + at);
    Some(&EXPECTED[start..end])
}

/// Line by line; the first differences are shown.
fn compare(part: &str, said: &str) -> Result<(), String> {
    let wanted = expected(part).ok_or("nothing is written down for this part")?;
    let (wanted, said): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), said.lines().collect());
    if wanted == said {
        return Ok(());
    }
    let at = wanted.iter().zip(&said).take_while(|(a, b)| a == b).count();
    let show = |lines: &[&str], mark: &str| -> String {
        lines.iter().skip(at).take(6).map(|line| format!("{mark} {line}\n")).collect()
    };
    Err(format!(
        "line {} of {} differs; expected (-), said (+):\n{}{}",
        at + 1,
        wanted.len(),
        show(&wanted, "-"),
        show(&said, "+")
    ))
}

/// A client that joins and never reads while another one floods: the flood is not held up, and
/// what the engine keeps for the stalled one is bounded.
fn stalled(walk: &mut Walk) -> io::Result<()> {
    let tree = walk.lab.tree(1).to_owned();
    two(walk, CONF, &tree, true)?;
    let stall = format!("WATCH_SECONDS=30 exec {PROGRAM} stalled");
    walk.lab.start(1, &["/bin/sh", "-c", &stall], "/var/log/stalled.out")?;
    for round in 1..=3 {
        walk.step(
            &format!("a stalled client holds up nobody ({round})"),
            1,
            &format!("{PROGRAM} flood"),
        )
        .has(&["sent 5000, received 5000, out of order 0"])
        .check();
    }
    let memory = "awk '/^VmRSS/ {print $2}' /proc/$(cat /run/corosync.pid)/status";
    let said = walk.lab.sh(1, memory)?.text;
    let result = match said.trim().parse::<u64>() {
        Ok(kb) if kb < STALLED_KB => Ok(()),
        _ => Err(format!("the engine takes {} kB", said.trim())),
    };
    walk.verdict("what waits for a stalled client is bounded", result);
    walk.step("a client that never reads is disconnected, and told", 1, "cat /var/log/stalled.out")
        .has(&["read *, out of order 0, then CS_ERR_LIBRARY"])
        .within(45)
        .check();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_expected_text() {
        let knet: Vec<String> = KNET_PARTS.iter().map(|part| format!("knet {part}")).collect();
        let others =
            ["watch", "shutdown", "qdevice"].into_iter().chain(knet.iter().map(String::as_str));
        for part in PARTS.iter().copied().chain(others) {
            let text = expected(part).unwrap_or("");
            assert!(text.lines().count() > 4, "{part}");
            assert!(compare(part, text).is_ok(), "{part}");
            assert!(compare(part, &text.replacen('s', "x", 1)).is_err(), "{part}");
        }
    }
}
