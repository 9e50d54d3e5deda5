//! A storm over a whole cluster: a random course of faults and of administrators' wishes, then
//! calm.

use std::time::Duration;

use pacemaker_client::cib::{Op, Request, call};
use rand::RngExt;
use xml::Element;

use super::Cluster;
use super::check::check;
use super::engine::Party;
use super::host::{ADMIN, Mail, Port};

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct StackStorm {
    /// The seed of everything random.
    pub seed: u64,
    /// Hosts.
    pub nodes: usize,
    /// How many faults, 20 ms to 12 s apart.
    pub faults: usize,
    /// Whether to print what the daemons log.
    pub talk: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct StackOutcome {
    /// What was wrong in the end; nothing is the aim.
    pub wrong: Vec<String>,
    /// Events and checksum: equal for equal seeds.
    pub trace: (u64, u64),
    /// Virtual time that passed.
    pub lasted: Duration,
}

/// Time given to become one cluster again: far less than the timers that give up on an election
/// (two minutes) or a join (three).
const CALM: Duration = Duration::from_secs(60);

/// Resources whose death is noticed.
const MONITORED: [&str; 3] = ["a", "d", "e"];

/// Two plain resources, a group, a clone; no fencing.
const DOCUMENT: &str = "<cib crm_feature_set='3.16.1' validate-with='pacemaker-3.9' epoch='1' \
    num_updates='0' admin_epoch='0'><configuration><crm_config>\
    <cluster_property_set id='cib-bootstrap-options'>\
    <nvpair id='o-1' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>\
    <nodes/><resources>\
    <primitive id='a' class='ocf' provider='heartbeat' type='Dummy'><operations>\
    <op id='a-m' name='monitor' interval='10s' timeout='20s'/></operations></primitive>\
    <primitive id='b' class='ocf' provider='heartbeat' type='Dummy'/>\
    <group id='g'><primitive id='c' class='ocf' provider='heartbeat' type='Dummy'/>\
    <primitive id='d' class='ocf' provider='heartbeat' type='Dummy'><operations>\
    <op id='d-m' name='monitor' interval='5s' timeout='20s'/></operations></primitive></group>\
    <clone id='k'><primitive id='e' class='ocf' provider='heartbeat' type='Dummy'><operations>\
    <op id='e-m' name='monitor' interval='7s' timeout='20s'/></operations></primitive></clone>\
    </resources><constraints/></configuration><status/></cib>";

impl Cluster {
    /// An administrator asks a host's CIB manager.
    fn administrate(&mut self, at: usize, op: Op, section: &str, data: Element) {
        self.with_host(at, |host, env| {
            let Some(mut calls) = host.connect_cib(env, ADMIN, "cibadmin", &[]) else { return };
            let request = Request {
                section: Some(section),
                data: Some(data),
                options: call::CAN_CREATE,
                ..Request::default()
            };
            let (_, command) = calls.command(op, &request, request.options);
            host.put(env, Port::ToCib(ADMIN), Mail::Xml(command));
        });
    }

    fn set_attribute(&mut self, at: usize, name: &str, value: &str) -> bool {
        let update = Element::new("attrd_update")
            .with("t", "attrd")
            .with("src", "attrd_updater")
            .with("task", "update")
            .with("attr_name", name)
            .with("attr_value", value)
            .with("attr_is_private", "0")
            .with("attr_is_remote", "0");
        self.with_host(at, |host, env| host.update_attribute(env, &update))
    }

    fn standby(&mut self, at: usize, node: usize, on: bool) {
        let (id, name) = (node + 1, format!("n{}", node + 1));
        let value = if on { "on" } else { "off" };
        let text = format!(
            "<node id='{id}' uname='{name}'><instance_attributes id='nodes-{id}'>\
             <nvpair id='nodes-{id}-standby' name='standby' value='{value}'/>\
             </instance_attributes></node>"
        );
        if let Ok(data) = xml::parse(&text) {
            self.administrate(at, Op::Modify, "nodes", data);
        }
    }

    fn fault(&mut self) {
        let count = self.hosts.len();
        let pick = self.random.random_range(0..count);
        match self.random.random_range(0..16) {
            0 | 1 => self.crash(pick),
            2 | 3 => (0..count).for_each(|at| self.boot(at)),
            4 => self.boot(pick),
            5..=7 => {
                let side: Vec<usize> =
                    (0..count).map(|_| usize::from(self.random.random_bool(0.4))).collect();
                self.part(&side);
            }
            8 | 9 => self.part(&vec![0; count]),
            10 => {
                let millis = self.random.random_range(100..8000);
                self.say(format!("n{} freezes for {millis} ms", pick + 1));
                self.hosts[pick].frozen_until = self.now + Duration::from_millis(millis);
            }
            11 => {
                let party = Party::ALL[self.random.random_range(0..3)];
                let is_up = self.hosts[pick].life.as_ref().is_some_and(|life| match party {
                    Party::Based => life.based.is_some(),
                    Party::Attrd => life.attrd.is_some(),
                    Party::Controld => life.controld.is_some(),
                });
                if is_up {
                    self.say(format!("n{}: {party:?} is killed", pick + 1));
                    self.with_host(pick, |host, env| host.die(env, party));
                }
            }
            12 => {
                let resource = MONITORED[self.random.random_range(0..MONITORED.len())];
                if self.hosts[pick].running.kill(resource) {
                    self.say(format!("n{}: {resource} dies", pick + 1));
                }
            }
            13 => {
                let value = self.random.random_range(0..1000).to_string();
                self.say(format!("n{}: attribute x = {value}", pick + 1));
                self.set_attribute(pick, "x", &value);
            }
            14 => {
                let node = self.random.random_range(0..count);
                let on = self.random.random_bool(0.5);
                self.say(format!("n{} asks for standby={on} of n{}", pick + 1, node + 1));
                self.standby(pick, node, on);
            }
            _ => {
                let text = format!(
                    "<cluster_property_set id='cib-bootstrap-options'><nvpair id='o-2' \
                     name='cluster-delay' value='{}s'/></cluster_property_set>",
                    self.random.random_range(30..90)
                );
                if let Ok(data) = xml::parse(&text) {
                    self.say(format!("n{}: the configuration is changed", pick + 1));
                    self.administrate(pick, Op::Modify, "crm_config", data);
                }
            }
        }
    }
}

/// Runs a storm to its end.
pub fn run_stack_storm(storm: &StackStorm) -> StackOutcome {
    let Ok(document) = xml::parse(DOCUMENT) else {
        return StackOutcome {
            wrong: vec!["the document of the simulation is no XML".into()],
            trace: (0, 0),
            lasted: Duration::ZERO,
        };
    };
    let mut cluster = Cluster::new(storm.seed, storm.nodes, &document, storm.talk);
    for at in 0..storm.nodes {
        cluster.boot(at);
        let pause = cluster.random.random_range(0..3000);
        cluster.run_for(Duration::from_millis(pause));
    }
    if cluster.random.random_bool(0.7) {
        cluster.run_for(Duration::from_secs(10));
    }
    for _ in 0..storm.faults {
        cluster.fault();
        let pause = match cluster.random.random_range(0..4) {
            0 => cluster.random.random_range(20..300),
            1 | 2 => cluster.random.random_range(300..3000),
            _ => cluster.random.random_range(3000..12_000),
        };
        cluster.run_for(Duration::from_millis(pause));
    }
    cluster.say("calm");
    cluster.part(&vec![0; storm.nodes]);
    for at in 0..storm.nodes {
        cluster.boot(at);
    }
    // What daemons that were just killed do not hear is the administrator's to repeat.
    cluster.run_for(CALM);
    let mut wrong = check(&mut cluster);
    for wrong in &mut wrong {
        wrong.insert_str(0, "early: ");
    }
    for node in 0..storm.nodes {
        cluster.standby(0, node, false);
    }
    let mut wanted = Vec::new();
    for at in 0..storm.nodes {
        let value = format!("last-{at}");
        if cluster.set_attribute(at, "x", &value) {
            wanted.push((format!("n{}", at + 1), value));
        }
    }
    cluster.run_for(CALM);
    wrong.append(&mut check(&mut cluster));
    for at in 0..storm.nodes {
        let found = cluster.attribute(at, "x");
        for (node, value) in &wanted {
            if found.get(node) != Some(value) {
                let found = found.get(node).map_or("nothing", String::as_str);
                wrong.push(format!("n{}: x of {node} is {found}, not {value}", at + 1));
            }
        }
    }
    if storm.talk
        && let Some(cib) = cluster.hosts[0].document()
    {
        println!("{}", cib.to_pretty());
    }
    StackOutcome {
        wrong,
        trace: cluster.trace,
        lasted: cluster.now.since(base::Time::from_millis(1000)),
    }
}
