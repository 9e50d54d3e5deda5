//! The acceptance walk: what the tutorials show, and what must hold when things break, on three
//! hosts with nothing but our commands (the agents are Debian's `resource-agents`, the web server
//! is its `apache2`).
//!
//! `quorate acceptance` runs all scenarios, `quorate acceptance NAME…` some. Every step is one line
//! of output; the last line counts them.

mod clients;
mod doctor;
mod engine;
mod events;
mod faults;
mod handbook;
mod input;
mod knet;
mod merges;
mod mixed;
mod notes;
mod outside;
mod report;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab::{Lab, Said};

/// A scenario: its name, what it is about, and its steps.
type Scenario = (&'static str, &'static str, fn(&mut Walk) -> io::Result<()>);

const SCENARIOS: &[Scenario] = &[
    ("engine", "every generation of corosync.conf, and the engine's tools", engine::run),
    ("clients", "a C program that calls every function of Corosync's libraries", clients::run),
    ("knet", "two links, encrypted: lost networks, wrong and new keys", knet::run),
    ("mixed", "rings of ours and Debian's engines: order, faults, replacement", mixed::run),
    ("handbook", "the handbook, command by command; power cuts", handbook::run),
    ("handbook-knet", "the handbook on encrypted links", handbook::run_on_links),
    ("notes", "groups, rules, standby, clones, promotable clones, services", notes::run),
    ("faults", "failing resources, partitions, killed daemons", faults::run),
    ("events", "alerts, systemd units, suicide, questions without a DC", events::run),
    ("merges", "partitions that mend", merges::run),
    ("doctor", "what breaks clusters is found and named", doctor::run),
    ("report", "secrets brought to all nodes, a report from all nodes without any", report::run),
    ("outside", "tools beyond the cluster, over TLS and in clear text", outside::run),
    ("input", "bad configuration, bad updates, random bytes", input::run),
];

/// Runs the scenarios named (all, without names). `true` when every step held.
pub fn run(tree: &Path, names: &[String]) -> io::Result<bool> {
    if let Some(unknown) = names.iter().find(|name| SCENARIOS.iter().all(|(n, ..)| n != name)) {
        let known: Vec<&str> = SCENARIOS.iter().map(|(name, ..)| *name).collect();
        return Err(io::Error::other(format!(
            "no scenario `{unknown}`; there are: {}",
            known.join(", ")
        )));
    }
    let mut walk = Walk {
        lab: Lab::new(3, tree, HANDBOOK_CONF)?,
        on_links: false,
        passed: 0,
        failed: Vec::new(),
    };
    for (name, about, scenario) in SCENARIOS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("== {name}: {about}");
        let begun = Instant::now();
        for n in 1..=3 {
            walk.lab.reset(n, HANDBOOK_CONF)?;
        }
        walk.on_links = false;
        if let Err(error) = scenario(&mut walk) {
            walk.verdict(name, Err(format!("the scenario could not go on: {error}")));
        }
        println!("   ({:.0} s)", begun.elapsed().as_secs_f64());
    }
    for name in &walk.failed {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed", walk.passed, walk.failed.len());
    Ok(walk.failed.is_empty() && walk.passed > 0)
}

/// The handbook's configuration, to the letter.
pub(crate) const HANDBOOK_CONF: &str = include_str!("../../conf/handbook.conf");

/// A node list of today, unicast.
pub(crate) const MODERN_CONF: &str = include_str!("../../conf/modern.conf");

/// Two links, encrypted.
pub(crate) const KNET_CONF: &str = include_str!("../../conf/knet.conf");

/// A lab, and the score so far.
pub(crate) struct Walk {
    pub lab: Lab,
    /// The hosts have two cables and a key, their ids are 1, 2, 3.
    pub on_links: bool,
    passed: usize,
    failed: Vec<String>,
}

/// One step under construction: a command on a host and what its output must look like.
pub(crate) struct Step<'a> {
    walk: &'a mut Walk,
    name: String,
    host: usize,
    line: String,
    has: Vec<String>,
    lacks: Vec<String>,
    within: Duration,
    status: Status,
}

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Ok,
    Fails,
    Any,
}

impl Walk {
    /// A step: the shell line `line` on host `n`.
    pub(crate) fn step(&mut self, name: &str, host: usize, line: &str) -> Step<'_> {
        Step {
            walk: self,
            name: name.to_owned(),
            host,
            line: line.to_owned(),
            has: Vec::new(),
            lacks: Vec::new(),
            within: Duration::ZERO,
            status: Status::Ok,
        }
    }

    /// Records what was found out without a command.
    pub(crate) fn verdict(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("ok   {name}");
            }
            Err(why) => {
                println!("FAIL {name}");
                for line in why.lines() {
                    println!("     | {line}");
                }
                self.failed.push(name.to_owned());
                self.keep_logs(name);
            }
        }
    }

    /// What the hosts logged until a step failed: all of it beside the tree, the end of it here,
    /// for whoever reads the output of a machine that is gone.
    fn keep_logs(&self, failed: &str) {
        let tree = self.lab.tree(1);
        let folder = tree.parent().unwrap_or(tree).join("acceptance-logs");
        let _ = std::fs::create_dir_all(&folder);
        for n in 1..=self.lab.hosts().len() {
            for log in ["pacemaker/pacemaker.log", "cluster/corosync.log"] {
                let line = format!("cat /var/log/{log}");
                let Ok(said) = self.lab.sh(n, &line) else { continue };
                let kept = folder.join(format!(
                    "{}-{}-{}",
                    self.failed.len(),
                    crate::lab::name(n),
                    log.rsplit('/').next().unwrap_or(log)
                ));
                let _ = std::fs::write(kept, format!("# {failed}\n{}", said.text));
                if self.failed.len() == 1 {
                    println!("     {}: end of {log}:", crate::lab::name(n));
                    for line in tail(&said.text, 12).lines() {
                        println!("     | {line}");
                    }
                }
            }
        }
    }

    /// The host that runs a resource, as host `asked` sees it.
    pub(crate) fn place_of(&self, asked: usize, resource: &str) -> Option<usize> {
        let said = self.lab.sh(asked, &format!("crm_resource -W -r {resource}")).ok()?;
        (1..=3).find(|n| said.text.contains(&format!("is running on: {}", crate::lab::name(*n))))
    }

    /// The controller, as host `asked` sees it.
    pub(crate) fn dc(&self, asked: usize) -> Option<usize> {
        let said = self.lab.sh(asked, "crmadmin -D").ok()?;
        (1..=3).find(|n| said.text.contains(&crate::lab::name(*n)))
    }

    /// Power on, with what the scenario's engine needs beside its configuration.
    pub(crate) fn power_on(&mut self, n: usize) -> io::Result<()> {
        if self.on_links { knet::power_on(self, n, &knet::KEY) } else { self.lab.power_on(n) }
    }

    /// The id of a host's engine.
    pub(crate) fn node_id(&self, n: usize) -> u32 {
        if self.on_links { n as u32 } else { self.lab.host(n).node_id() }
    }

    /// Power on with all daemons, on every host that is off.
    pub(crate) fn everything_on(&mut self) -> io::Result<()> {
        for n in 1..=3 {
            if self.lab.host(n).pid().is_none() {
                self.power_on(n)?;
                self.lab.start_cluster(n)?;
            }
        }
        self.step("three nodes are online", 1, "crm_mon -1")
            .has(&["Online: [ pacemaker01 pacemaker02 pacemaker03 ]", "partition with quorum"])
            .within(60)
            .check();
        Ok(())
    }
}

impl Step<'_> {
    /// Patterns that some line must match; `*` stands for anything.
    pub(crate) fn has(mut self, patterns: &[&str]) -> Self {
        self.has.extend(patterns.iter().map(|p| (*p).to_owned()));
        self
    }

    /// Patterns that no line may match.
    pub(crate) fn lacks(mut self, patterns: &[&str]) -> Self {
        self.lacks.extend(patterns.iter().map(|p| (*p).to_owned()));
        self
    }

    /// Seconds in which it may become true.
    pub(crate) fn within(mut self, seconds: u64) -> Self {
        self.within = Duration::from_secs(seconds);
        self
    }

    /// The command must fail.
    pub(crate) fn fails(mut self) -> Self {
        self.status = Status::Fails;
        self
    }

    /// The exit status does not matter.
    pub(crate) fn any_status(mut self) -> Self {
        self.status = Status::Any;
        self
    }

    /// Does it. Gives what the command said last.
    pub(crate) fn check(self) -> String {
        let begun = Instant::now();
        loop {
            let said = self.walk.lab.sh(self.host, &self.line).unwrap_or_else(|error| Said {
                status: 255,
                text: format!("could not be run: {error}"),
            });
            let problem = self.problem(&said);
            if problem.is_none() || begun.elapsed() >= self.within {
                let result = match problem {
                    None => Ok(()),
                    Some(problem) => Err(format!(
                        "{}# {}   (status {})\n{problem}{}",
                        crate::lab::name(self.host),
                        self.line,
                        said.status,
                        tail(&said.text, 25)
                    )),
                };
                self.walk.verdict(&self.name, result);
                return said.text;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn problem(&self, said: &Said) -> Option<String> {
        let mut text = String::new();
        for pattern in &self.has {
            if !said.text.lines().any(|line| matches(line, pattern)) {
                text.push_str(&format!("missing: {pattern}\n"));
            }
        }
        for pattern in &self.lacks {
            if said.text.lines().any(|line| matches(line, pattern)) {
                text.push_str(&format!("should not be there: {pattern}\n"));
            }
        }
        match self.status {
            Status::Ok if said.status != 0 => text.push_str("it should succeed\n"),
            Status::Fails if said.status == 0 => text.push_str("it should fail\n"),
            _ => {}
        }
        (!text.is_empty()).then_some(text)
    }
}

fn tail(text: &str, n: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n)..].join("\n")
}

/// Whether `pattern` is somewhere in `line`; `*` in it stands for anything.
pub(crate) fn matches(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    for part in pattern.split('*') {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches(
            "  * ClusterIP\t(ocf:heartbeat:IPaddr2):\t Started n1",
            "ClusterIP*Started n1"
        ));
        assert!(!matches("ClusterIP (x): Stopped", "ClusterIP*Started"));
        assert!(matches("abc", "b"));
        assert!(!matches("started x", "x*started"));
    }
}
