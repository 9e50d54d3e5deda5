//! Whole clusters in one process: the daemons' cores above a perfect ring.
//!
//! [`crate::world`] puts the ring itself through storms. Here the ring is given ([`engine`]), and
//! what is above it is tried: elections, joins, the configuration's copies, transitions, attributes.
//! Each host runs the cores of pacemaker-based, -attrd, -controld, -execd and -schedulerd, wired as
//! their shells wire them ([`host`], [`attrd`], [`controld`]), with agents that only remember what
//! runs ([`agents`]). Nodes crash, part, freeze and come back, daemons die, administrators change
//! things meanwhile ([`storm`]); afterwards all must be one healthy cluster again ([`check`]).
//!
//! A run is a function of its seed.

mod agents;
mod attrd;
mod check;
mod controld;
mod engine;
mod host;
mod storm;

pub use storm::{StackOutcome, StackStorm, run_stack_storm};

use std::collections::BTreeMap;
use std::time::Duration;

use base::{NodeId, Time};
use pacemaker::cluster::group::{Event as GroupEvent, Group};
use pacemaker::cluster::message::To;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use xml::Element;

use engine::{Engine, Listener, Party, Told};
use host::{Env, Host, Mail, Port};

/// Hands what the engine told to a group's core.
fn taken_in(group: &mut Group, now: Time, told: Told) -> Vec<GroupEvent> {
    match told {
        Told::Message { from, bytes } => group.deliver(from, &bytes),
        Told::Group { members, left } => group.confchg(now, &members, &left),
        Told::Quorum { .. } => Vec::new(),
    }
}

/// Where a message for a node of that name goes, as the shells address it.
fn addressed(group: &Group, to: Option<&str>) -> To {
    match to {
        None => To::All,
        Some(name) => {
            let id = group.peers().by_name(name).map_or(NodeId(0), |peer| peer.id);
            To::Node { id, name: name.to_owned() }
        }
    }
}

/// A cluster.
struct Cluster {
    hosts: Vec<Host>,
    engine: Engine,
    now: Time,
    random: StdRng,
    talk: bool,
    /// Events handled, and a checksum of their course.
    trace: (u64, u64),
}

impl Cluster {
    fn new(seed: u64, hosts: usize, document: &Element, talk: bool) -> Cluster {
        Cluster {
            hosts: (0..hosts).map(|at| Host::new(at, hosts, document.clone())).collect(),
            engine: Engine::new(hosts),
            now: Time::from_millis(1000),
            random: StdRng::seed_from_u64(seed),
            talk,
            trace: (0, seed),
        }
    }

    fn say(&self, text: impl std::fmt::Display) {
        if self.talk {
            println!("{:>9.3} -- {text}", self.now.as_millis() as f64 / 1000.0);
        }
    }

    /// Calls into a host and carries away what comes of it.
    fn with_host<T>(&mut self, at: usize, call: impl FnOnce(&mut Host, &mut Env<'_>) -> T) -> T {
        let tracked = self.tracks(at);
        let mut env = Env { now: self.now, random: &mut self.random, talk: self.talk };
        let result = call(&mut self.hosts[at], &mut env);
        for party in std::mem::take(&mut self.hosts[at].deaths) {
            let told = self.engine.died((at, party));
            self.tell(told);
        }
        for (party, pid, post) in std::mem::take(&mut self.hosts[at].posts) {
            self.engine.post((at, party), pid, post);
        }
        // Who begins to follow the quorum service hears how it stands.
        if !tracked && self.tracks(at) {
            let told = self.engine.quorum(at);
            self.tell(vec![((at, Party::Controld), told)]);
        }
        if self.hosts[at].panicked {
            self.crash(at);
        }
        result
    }

    fn tracks(&mut self, at: usize) -> bool {
        self.hosts[at].controld().is_some_and(|side| side.tracks)
    }

    fn tell(&mut self, told: Vec<(Listener, Told)>) {
        for ((at, party), told) in told {
            if self.hosts[at].life.is_none() {
                continue;
            }
            let port = match told {
                Told::Quorum { .. } => Port::Quorum,
                _ => Port::Group(party),
            };
            let mut env = Env { now: self.now, random: &mut self.random, talk: self.talk };
            self.hosts[at].put(&mut env, port, Mail::Told(told));
        }
    }

    // --- what may happen to hosts ---------------------------------------------------------------

    fn islands(&self) -> Vec<Option<usize>> {
        (0..self.hosts.len()).map(|at| self.engine.island_of(at)).collect()
    }

    fn regroup(&mut self, islands: Vec<Option<usize>>) {
        let tracking: Vec<bool> = (0..self.hosts.len()).map(|at| self.tracks(at)).collect();
        let told = self.engine.regroup(islands, &tracking);
        self.tell(told);
    }

    fn boot(&mut self, at: usize) {
        if self.hosts[at].life.is_some() {
            return;
        }
        self.say(format!("n{} boots", at + 1));
        let mut islands = self.islands();
        islands[at] = Some(islands.iter().flatten().min().copied().unwrap_or(0));
        self.regroup(islands);
        self.with_host(at, |host, env| host.boot(env));
    }

    fn crash(&mut self, at: usize) {
        if self.hosts[at].life.is_none() {
            return;
        }
        self.say(format!("n{} crashes", at + 1));
        self.hosts[at].crash();
        let mut islands = self.islands();
        islands[at] = None;
        self.regroup(islands);
    }

    /// Parts those who are on: `side` says where each belongs.
    fn part(&mut self, side: &[usize]) {
        self.say(format!("islands: {side:?}"));
        let islands = self.islands();
        let parted = islands.iter().zip(side).map(|(old, side)| old.map(|_| *side)).collect();
        self.regroup(parted);
    }

    // --- the course of events -------------------------------------------------------------------

    /// Does one thing, or lets time pass to the next. False if there is nothing before `until`.
    fn step(&mut self, until: Time) -> bool {
        enum Choice {
            Order,
            Mail(usize, Port),
            Due(usize),
        }
        let mut choices = Vec::new();
        if self.engine.has_posts() {
            choices.push(Choice::Order);
        }
        for (at, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.life.is_some()) {
            choices.extend(host.ready(self.now).into_iter().map(|port| Choice::Mail(at, port)));
            if host.is_due(self.now) {
                choices.push(Choice::Due(at));
            }
        }
        if choices.is_empty() {
            let alive = self.hosts.iter().filter(|host| host.life.is_some());
            let next = alive.filter_map(Host::next_event).min();
            return match next {
                Some(next) if next <= until => {
                    self.now = self.now.max(next);
                    true
                }
                _ => {
                    self.now = self.now.max(until);
                    false
                }
            };
        }
        let pick = self.random.random_range(0..choices.len());
        let mark = match choices.swap_remove(pick) {
            Choice::Order => {
                let told = self.engine.order(&mut self.random);
                let mark = told.len() as u64;
                self.tell(told);
                mark
            }
            Choice::Mail(at, port) => {
                self.with_host(at, |host, env| host.handle(env, port));
                1000 + at as u64
            }
            Choice::Due(at) => {
                self.with_host(at, Host::time_passes);
                2000 + at as u64
            }
        };
        self.trace.0 += 1;
        self.trace.1 =
            (self.trace.1 ^ mark ^ self.now.as_nanos()).wrapping_mul(0x0000_0100_0000_01b3);
        true
    }

    fn run_for(&mut self, span: Duration) {
        let until = self.now + span;
        while self.step(until) {}
    }

    /// Values of an attribute in a host's copy of the document, by node.
    fn attribute(&self, at: usize, name: &str) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        let Some(status) = self.hosts[at].document().and_then(|cib| cib.child("status")) else {
            return values;
        };
        for state in status.children_named("node_state") {
            let found = state
                .children_named("transient_attributes")
                .flat_map(Element::descendants)
                .find(|pair| pair.name() == "nvpair" && pair.get("name") == Some(name));
            if let (Some(node), Some(value)) =
                (state.get("uname"), found.and_then(|pair| pair.get("value")))
            {
                values.insert(node.to_owned(), value.to_owned());
            }
        }
        values
    }
}
