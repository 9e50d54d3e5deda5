//! Mixed rings: engines of ours and Debian's in one ring, on every transport. Messages of mixed
//! sizes flow from all nodes while each node is switched off and comes back, while the network
//! parts and merges, while everything goes wrong at random, and while the nodes are replaced one
//! after the other. [`check`] holds what the talkers wrote down against what the engine promises.
//!
//! `QUORATE_MIXED_MESSAGES` is how many messages each ring exchanges at least (3000),
//! `QUORATE_MIXED_SECONDS` how long things go wrong at random (20), `QUORATE_MIXED_SEED` which
//! things (1), `QUORATE_MIXED_ONLY` a word that the rings' names must have, `QUORATE_MIXED_KEEP` a
//! directory for records and logs of what failed, `QUORATE_MIXED_DEBUG` makes the engines talk.

mod check;
mod record;
mod storm;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::record::{Event, Record};
use super::Walk;
use super::knet::KEY;
use crate::lab::wait_until;

/// A transport as the configuration says it.
pub(super) struct Transport {
    pub name: &'static str,
    totem: &'static str,
    links: usize,
}

const TRANSPORTS: [Transport; 5] = [
    Transport { name: "udp", totem: "transport: udp", links: 1 },
    Transport { name: "udpu", totem: "transport: udpu", links: 1 },
    Transport { name: "knet", totem: "transport: knet", links: 1 },
    Transport {
        name: "knet aes256/sha256",
        totem: "transport: knet\n crypto_cipher: aes256\n crypto_hash: sha256",
        links: 1,
    },
    Transport { name: "knet on 2 links", totem: "transport: knet", links: 2 },
];

/// Patience with what must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// A talker that is started again counts its lives from a number of its own.
const LIVES: usize = 1000;
/// Messages a second from each node, once the first ones are through.
const RATE: &str = "150";

/// What the environment asks for.
struct Wish {
    messages: usize,
    seconds: u64,
    seed: u64,
    only: String,
}

impl Wish {
    fn read() -> Wish {
        let number = |name: &str, default: u64| {
            std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        Wish {
            messages: number("QUORATE_MIXED_MESSAGES", 3000) as usize,
            seconds: number("QUORATE_MIXED_SECONDS", 20),
            seed: number("QUORATE_MIXED_SEED", 1),
            only: std::env::var("QUORATE_MIXED_ONLY").unwrap_or_default(),
        }
    }
}

pub(super) fn run(walk: &mut Walk) -> io::Result<()> {
    if !Path::new("/usr/sbin/corosync").exists() {
        println!("SKIPPED: Debian's corosync is not installed here, so NO mixed ring is tested");
        println!("         (apt-get install corosync, with a policy-rc.d that forbids starts)");
        return Ok(());
    }
    let ours = walk.lab.tree(1).to_owned();
    let debian = walk.lab.shared().join("debian");
    fs::create_dir_all(debian.join("usr/bin"))?;
    fs::copy(ours.join("usr/bin/quorate"), debian.join("usr/bin/quorate"))?;
    let wish = Wish::read();
    let result = rings(walk, &wish, &ours, &debian);
    walk.lab.set_weather(None);
    for n in 1..=3 {
        walk.lab.power_off(n)?;
        walk.lab.set_tree(n, &ours, true);
    }
    result
}

fn rings(walk: &mut Walk, wish: &Wish, ours: &Path, debian: &Path) -> io::Result<()> {
    type Plot = fn(&mut Ring<'_>, &Wish) -> Result<(), String>;
    let mut plots: Vec<(String, &Transport, &[usize], Plot)> = Vec::new();
    for transport in &TRANSPORTS {
        for nodes in [&[2][..], &[1, 3]] {
            let name = format!("{}, {} of ours + {}", transport.name, nodes.len(), 3 - nodes.len());
            plots.push((name, transport, nodes, kills_and_parts));
        }
    }
    plots.push(("rolling replacement on knet".into(), &TRANSPORTS[3], &[], replace));
    plots.push(("rolling replacement on udpu".into(), &TRANSPORTS[1], &[], replace));
    plots.push(("random faults on knet".into(), &TRANSPORTS[3], &[1, 3], storm::run));
    plots.push(("random faults on udpu".into(), &TRANSPORTS[1], &[2], storm::run));
    for (name, transport, nodes, plot) in plots {
        if !name.contains(&wish.only) {
            continue;
        }
        walk.lab.set_weather(None);
        let mut ring = Ring::new(walk, transport, nodes, ours, debian)?;
        let result = plot(&mut ring, wish).and_then(|()| ring.judge());
        let result = match result {
            Ok(text) => {
                println!("     {text}");
                Ok(())
            }
            Err(why) => Err(format!("{why}\n{}", ring.logs(&name))),
        };
        walk.verdict(&name, result);
    }
    Ok(())
}

/// Three hosts, their engines and their talkers.
pub(super) struct Ring<'a> {
    pub walk: &'a mut Walk,
    transport: &'a Transport,
    ours: &'a Path,
    /// Where the talkers write.
    dir: PathBuf,
    /// Which engine was there in each thousand of lives.
    is_debian: Vec<bool>,
}

/// What a talker says of itself.
#[derive(Clone, Copy)]
struct Status {
    own: usize,
    members: usize,
}

impl<'a> Ring<'a> {
    /// Three hosts, those of `nodes` with our engine, all off.
    fn new(
        walk: &'a mut Walk,
        transport: &'a Transport,
        nodes: &[usize],
        ours: &'a Path,
        debian: &'a Path,
    ) -> io::Result<Ring<'a>> {
        let dir = walk.lab.shared().join("talk");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&dir)?,
        }
        for n in 1..=3 {
            walk.lab.reset(n, &conf(transport))?;
            let is_ours = nodes.contains(&n);
            walk.lab.set_tree(n, if is_ours { ours } else { debian }, is_ours);
        }
        Ok(Ring { walk, transport, ours, dir, is_debian: vec![false] })
    }

    /// Power, engine and talker. The talker's first `burst` messages come as fast as they go.
    pub fn switch_on(&mut self, n: usize, burst: usize, members: usize) -> Result<(), String> {
        (|| {
            let lab = &mut self.walk.lab;
            lab.power_on(n)?;
            if self.transport.links > 1 {
                lab.second_cable(n)?;
            }
            fs::write(lab.host(n).disk().join("etc/corosync/authkey"), KEY)?;
            lab.start_engine(n)?;
            let life = self.is_debian.len() * LIVES;
            self.is_debian.push(lab.tree(n) != self.ours);
            let (life, burst, members) = (life.to_string(), burst.to_string(), members.to_string());
            let words = ["quorate", "lab-talk", "/run/lab/talk", &life, &burst, &members, RATE];
            lab.start(n, &words, "/var/log/talk.out")
        })()
        .map_err(|error: io::Error| format!("switching on host {n}: {error}"))
    }

    pub fn switch_off(&mut self, n: usize) -> Result<(), String> {
        let off = self.walk.lab.power_off(n);
        off.map_err(|error| format!("switching off host {n}: {error}"))?;
        // What it said last is not what it says.
        match fs::remove_file(self.dir.join(format!("status.{n}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// Cuts a host off from the others.
    pub fn part(&mut self, n: usize) -> Result<(), String> {
        let lab = &mut self.walk.lab;
        let second = if self.transport.links > 1 { lab.plug_link(n, 1, false) } else { Ok(()) };
        second.and_then(|()| lab.partition(&[n])).map_err(|error| format!("partition: {error}"))
    }

    /// One network again.
    pub fn merge(&mut self, n: usize) -> Result<(), String> {
        let lab = &mut self.walk.lab;
        let second = if self.transport.links > 1 { lab.plug_link(n, 1, true) } else { Ok(()) };
        second.and_then(|()| lab.heal()).map_err(|error| format!("heal: {error}"))
    }

    fn status(&self, n: usize) -> Option<Status> {
        let text = fs::read_to_string(self.dir.join(format!("status.{n}"))).ok()?;
        let words: Vec<usize> = text.split_whitespace().flat_map(str::parse).collect();
        let [_, _, own, _, members] = words[..] else { return None };
        Some(Status { own, members })
    }

    /// Waits until these hosts' talkers see so many members.
    pub fn see(&self, what: &str, hosts: &[usize], members: usize) -> Result<(), String> {
        let sees = |n: &usize| self.status(*n).is_some_and(|status| status.members == members);
        wait_until(PATIENCE, || hosts.iter().all(sees)).map(|_| ()).ok_or_else(|| {
            let seen: Vec<String> = hosts
                .iter()
                .map(|n| {
                    self.status(*n)
                        .map_or("nothing".into(), |status| format!("{} members", status.members))
                })
                .collect();
            format!("{what}: hosts {hosts:?} should see {members} members, see {}", seen.join(", "))
        })
    }

    /// All three on, `burst` messages from each exchanged.
    pub fn begin(&mut self, burst: usize) -> Result<(), String> {
        for n in 1..=3 {
            self.switch_on(n, burst, 3)?;
        }
        self.see("the ring forms", &[1, 2, 3], 3)?;
        // As long as it goes on.
        let mut last = 0;
        loop {
            let own = |n: usize| self.status(n).map_or(0, |status| status.own);
            if wait_until(PATIENCE, || (1..=3).all(|n| own(n) >= burst)).is_some() {
                return Ok(());
            }
            let sum = (1..=3).map(own).sum();
            if sum <= last {
                return Err(format!("{burst} messages from each: it stops after {sum} in all"));
            }
            last = sum;
        }
    }

    /// Ends the talkers, reads their records, checks them; what there was, in numbers.
    fn judge(&mut self) -> Result<String, String> {
        self.see("at the end", &[1, 2, 3], 3)?;
        fs::write(self.dir.join("stop"), "").map_err(|error| error.to_string())?;
        let mut records = Vec::new();
        wait_until(PATIENCE, || {
            records = self.records().unwrap_or_default();
            records.iter().filter(|record| record.ended.is_some()).count() == 3
        });
        let records = self.records()?;
        let found = check::check(&records);
        let ended = records.iter().filter(|record| record.ended.is_some());
        let (ended, nodes) = (ended.clone().count(), ended.map(|r| r.node).collect::<Vec<_>>());
        if ended != 3 {
            let found = found.join("\n");
            return Err(format!("talkers ended in order: {nodes:?}, not all three\n{found}"));
        }
        if !found.is_empty() {
            return Err(found.join("\n"));
        }
        let count = |is: fn(&Event) -> bool| -> usize {
            records.iter().map(|record| record.events.iter().filter(|e| is(e)).count()).sum()
        };
        let mut all: Vec<record::MessageId> = records.iter().flat_map(Record::messages).collect();
        all.sort_unstable();
        all.dedup();
        Ok(format!(
            "{} messages, {} deliveries and {} memberships seen in {} lives",
            all.len(),
            count(|event| matches!(event, Event::Message(_))),
            count(|event| matches!(event, Event::Ring { .. })),
            records.len()
        ))
    }

    fn records(&self) -> Result<Vec<Record>, String> {
        let said = |error: io::Error| error.to_string();
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(said)? {
            let entry = entry.map_err(said)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("record.") {
                let text = fs::read_to_string(entry.path()).map_err(said)?;
                let mut record = Record::parse(&text).map_err(|why| format!("{name}: {why}"))?;
                let engine = self.is_debian.get(record.life as usize / LIVES);
                record.is_debian = engine.copied().unwrap_or(false);
                records.push(record);
            }
        }
        records.sort_by_key(|record| (record.node, record.life));
        Ok(records)
    }

    /// The ends of the engines' logs.
    fn logs(&self, name: &str) -> String {
        let mut text = String::new();
        if let Some(dir) = std::env::var_os("QUORATE_MIXED_KEEP") {
            text.push_str(&self.keep(&Path::new(&dir).join(name.replace(['/', ' '], "-"))));
        }
        for n in 1..=3 {
            let log = self.walk.lab.host(n).disk().join("var/log/corosync.out");
            let log = fs::read_to_string(log).unwrap_or_default();
            text.push_str(&format!("host {n}:\n{}\n", super::tail(&log, 12)));
        }
        text
    }

    /// Records and logs, for whoever looks into it.
    fn keep(&self, dir: &Path) -> String {
        let copy = || -> io::Result<()> {
            fs::create_dir_all(dir)?;
            for entry in fs::read_dir(&self.dir)? {
                let entry = entry?;
                fs::copy(entry.path(), dir.join(entry.file_name()))?;
            }
            for n in 1..=3 {
                let log = self.walk.lab.host(n).disk().join("var/log/corosync.out");
                fs::copy(log, dir.join(format!("corosync.{n}.log")))?;
            }
            Ok(())
        };
        match copy() {
            Ok(()) => format!("records and logs are in {}\n", dir.display()),
            Err(error) => format!("records and logs: {error}\n"),
        }
    }
}

/// Messages, the power cut of each node, a partition.
fn kills_and_parts(ring: &mut Ring<'_>, wish: &Wish) -> Result<(), String> {
    ring.begin(wish.messages.div_ceil(3))?;
    for n in 1..=3 {
        let others: Vec<usize> = (1..=3).filter(|other| *other != n).collect();
        ring.switch_off(n)?;
        ring.see(&format!("host {n} is switched off"), &others, 2)?;
        ring.switch_on(n, 0, 1)?;
        ring.see(&format!("host {n} comes back"), &[1, 2, 3], 3)?;
    }
    ring.part(1)?;
    ring.see("the network parts", &[2, 3], 2)?;
    ring.see("the network parts", &[1], 1)?;
    ring.merge(1)?;
    ring.see("the network is one again", &[1, 2, 3], 3)
}

/// Debian's engines on all nodes become ours, one after the other.
fn replace(ring: &mut Ring<'_>, wish: &Wish) -> Result<(), String> {
    ring.begin(wish.messages.div_ceil(3))?;
    for n in 1..=3 {
        let others: Vec<usize> = (1..=3).filter(|other| *other != n).collect();
        let end = "kill -TERM $(cat /run/corosync.pid); while pidof corosync; do sleep 0.05; done";
        let said = ring.walk.lab.sh(n, &format!("timeout 30 sh -c '{end}'"));
        let said = said.map_err(|error| error.to_string())?;
        if !said.is_ok() {
            return Err(format!("the engine of host {n} does not end: {}", said.text));
        }
        ring.see(&format!("host {n} leaves"), &others, 2)?;
        ring.switch_off(n)?;
        ring.walk.lab.set_tree(n, ring.ours, true);
        ring.switch_on(n, 0, 1)?;
        ring.see(&format!("host {n} comes back with our engine"), &[1, 2, 3], 3)?;
        let said = ring.walk.lab.sh(n, "corosync -v");
        let said = said.map_err(|error| error.to_string())?;
        if !said.text.contains("Quorate") {
            return Err(format!("host {n} does not run ours: {}", said.text));
        }
    }
    Ok(())
}

fn conf(transport: &Transport) -> String {
    let node = |n: usize| {
        let second = match transport.links {
            1 => String::new(),
            _ => format!("  ring1_addr: 192.168.101.{}\n", 9 + n),
        };
        format!(
            " node {{\n  nodeid: {n}\n  name: {}\n  ring0_addr: {}\n{second} }}\n",
            crate::lab::name(n),
            crate::lab::address(n)
        )
    };
    let debug = std::env::var_os("QUORATE_MIXED_DEBUG").map_or("off", |_| "on");
    format!(
        "totem {{\n version: 2\n cluster_name: mixed\n {}\n token: 700\n token_coefficient: 0\n \
         consensus: 840\n}}\nnodelist {{\n{}{}{}}}\nquorum {{\n provider: corosync_votequorum\n}}\n\
         logging {{\n to_stderr: yes\n to_syslog: no\n timestamp: hires\n debug: {debug}\n}}\n",
        transport.totem,
        node(1),
        node(2),
        node(3)
    )
}
