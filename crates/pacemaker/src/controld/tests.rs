//! Several controllers in one test: elections, joins, hand-over, and a transition, with a wire
//! that keeps one order and daemons that answer at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::{NodeId, Time};
use xml::Element;

use super::core::{CibRequest, Clock, Controller, Output, Setup};
use super::fsm::State;
use crate::cluster::envelope;
use crate::cluster::group::{Address, Event, Group};

struct Node {
    core: Controller,
    address: Address,
    up: bool,
    exit: Option<i32>,
    executor: Vec<Element>,
    attrd: Vec<Element>,
    cib: Vec<CibRequest>,
    log: Vec<String>,
    next_call: i32,
}

struct Room {
    nodes: Vec<Node>,
    wire: VecDeque<(usize, Vec<u8>)>,
    now: Time,
    /// The graph that schedulers answer with, without its number.
    graph: String,
    next_graph: u32,
    ring: u64,
}

impl Room {
    fn new(n: u32) -> Room {
        let names: BTreeMap<NodeId, String> =
            (1..=n).map(|id| (NodeId(id), format!("n{id}"))).collect();
        let nodes = (1..=n).map(|id| {
            let address = Address { node: NodeId(id), pid: 100 + id };
            let mut group = Group::new(address, &format!("n{id}"), false);
            group.set_names(names.clone());
            let setup = Setup {
                te_uuid: format!("0000000{id}-0000-4000-8000-000000000000"),
                version: "2.1.5-test".into(),
                cluster_name: Some("c".into()),
                n_configured: Some(n as usize),
                have_watchdog: false,
                start_state: None,
                node_action_limit: None,
                n_cores: 4,
                pid: address.pid,
            };
            Node {
                core: Controller::new(group, setup),
                address,
                up: true,
                exit: None,
                executor: Vec::new(),
                attrd: Vec::new(),
                cib: Vec::new(),
                log: Vec::new(),
                next_call: 1,
            }
        });
        let nodes = nodes.collect();
        Room {
            nodes,
            wire: VecDeque::new(),
            now: Time::from_millis(1000),
            graph: String::new(),
            next_graph: 0,
            ring: 4,
        }
    }

    fn clock(&self, at: usize) -> Clock {
        // The lower the number, the older the process.
        Clock { now: self.now, epoch: 1000 + self.now.as_millis() / 1000, age: (50 - at as u64, 0) }
    }

    fn start(&mut self) {
        for at in 0..self.nodes.len() {
            let clock = self.clock(at);
            self.nodes[at].core.start(clock);
            self.drain(at);
        }
        self.membership(&[]);
        self.run();
    }

    /// Everybody who is up sees the same members, in CPG and in quorum.
    fn membership(&mut self, left: &[Address]) {
        self.ring += 4;
        let members: Vec<Address> =
            self.nodes.iter().filter(|node| node.up).map(|node| node.address).collect();
        let ids: Vec<NodeId> = members.iter().map(|member| member.node).collect();
        let quorate = ids.len() * 2 > self.nodes.len();
        for at in 0..self.nodes.len() {
            if !self.nodes[at].up {
                continue;
            }
            let clock = self.clock(at);
            let node = &mut self.nodes[at];
            let gone: Vec<NodeId> = left.iter().map(|address| address.node).collect();
            node.core.group_leaving(&gone);
            for event in node.core.group.confchg(clock.now, &members, left) {
                node.core.group_event(clock, &event);
            }
            node.core.quorum(clock, quorate, self.ring, &ids);
            self.drain(at);
        }
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].core.poll_output() {
            let clock = self.clock(at);
            let node = &mut self.nodes[at];
            match output {
                Output::Connect(service) => node.core.connected(clock, service, true),
                Output::Cib(tag, request) => {
                    let answer = match (request.op, request.section.as_deref()) {
                        ("cib_query", Some(_)) => (-6, None),
                        ("cib_query", None) => (
                            0,
                            Some(
                                xml::parse(
                                    "<cib admin_epoch='0' epoch='5' num_updates='2'>\
                                     <configuration><crm_config/></configuration><status/></cib>",
                                )
                                .unwrap(),
                            ),
                        ),
                        _ => (0, None),
                    };
                    node.cib.push(request);
                    node.core.cib_reply(clock, tag, answer.0, answer.1.as_ref());
                }
                Output::Executor(tag, command) => {
                    let is_exec = command.get("lrmd_op") == Some("lrmd_rsc_exec");
                    let rc = if is_exec { node.next_call } else { 0 };
                    node.next_call += i32::from(is_exec);
                    node.executor.push(command);
                    node.core.executor_reply(clock, tag, rc);
                }
                Output::Scheduler(request) => {
                    let mut reply = envelope::reply("pe", &request, None);
                    let text = format!(
                        "<transition_graph cluster-delay='60s' stonith-timeout='60s' \
                         transition_id='{}'>{}</transition_graph>",
                        self.next_graph, self.graph
                    );
                    self.next_graph += 1;
                    let graph = xml::parse(&text).unwrap();
                    reply.push(Element::new("crm_xml").with_child(graph));
                    node.core.scheduler_message(clock, &reply);
                }
                Output::Metadata { key, .. } => node.core.metadata(clock, &key, None),
                Output::Attrd(update) => node.attrd.push(update),
                Output::Note(_, text) => node.log.push(text),
                Output::Exit(code) => node.exit = Some(code),
                Output::Alert(_)
                | Output::Fencer(..)
                | Output::Disconnect(_)
                | Output::JoinGroup
                | Output::LeaveGroup
                | Output::OpenIpc
                | Output::CloseIpc
                | Output::Client(..)
                | Output::Panic(_) => {}
            }
        }
        let now = self.now;
        let wire = &mut self.wire;
        self.nodes[at].core.group.flush(now, |bytes| {
            wire.push_back((at, bytes.to_vec()));
            true
        });
    }

    fn run(&mut self) {
        let mut n_messages = 0;
        while let Some((from, bytes)) = self.wire.pop_front() {
            n_messages += 1;
            assert!(n_messages < 2000, "message storm: {:#?}", self.nodes[0].log);
            if !self.nodes[from].up {
                continue;
            }
            let sender = self.nodes[from].address.node;
            for at in 0..self.nodes.len() {
                if !self.nodes[at].up {
                    continue;
                }
                let clock = self.clock(at);
                let node = &mut self.nodes[at];
                for event in node.core.group.deliver(sender, &bytes) {
                    assert!(!matches!(event, Event::Refused { .. }), "{event:?}");
                    node.core.group_event(clock, &event);
                }
                self.drain(at);
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let next = (0..self.nodes.len())
                .filter(|at| self.nodes[*at].up)
                .filter_map(|at| self.nodes[at].core.next_deadline())
                .min()
                .unwrap_or(end);
            self.now = next.max(self.now).min(end);
            for at in 0..self.nodes.len() {
                let clock = self.clock(at);
                self.nodes[at].core.timed_out(clock);
                self.drain(at);
            }
            self.run();
            if self.now >= end {
                return;
            }
            self.now = self.now + Duration::from_millis(1);
        }
    }

    fn states(&self) -> Vec<State> {
        self.nodes.iter().map(|node| node.core.state()).collect()
    }

    fn dcs(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|at| self.nodes[*at].up && self.nodes[*at].core.is_dc())
            .collect()
    }

    fn crash(&mut self, at: usize) {
        self.nodes[at].up = false;
        let left = [self.nodes[at].address];
        self.membership(&left);
        self.run();
    }
}

#[test]
fn three_nodes_elect_the_oldest_and_are_idle_within_a_second() {
    let mut room = Room::new(3);
    room.start();
    room.wait(Duration::from_secs(1));
    assert_eq!(room.states(), [State::Idle, State::NotDc, State::NotDc]);
    assert_eq!(room.dcs(), [0]);
}

#[test]
fn a_missing_node_is_waited_for() {
    let mut room = Room::new(3);
    room.nodes[2].up = false;
    room.start();
    room.wait(Duration::from_secs(15));
    assert_eq!(room.dcs(), [], "dc-deadtime is not over");
    room.wait(Duration::from_secs(6));
    assert_eq!(room.dcs(), [0]);
}

#[test]
fn the_next_node_takes_over_from_a_dead_dc() {
    let mut room = Room::new(3);
    room.start();
    room.wait(Duration::from_secs(1));
    room.crash(0);
    room.wait(Duration::from_millis(100));
    assert_eq!(room.dcs(), [1], "{:#?}", room.nodes[1].log);
    assert_eq!(room.states()[1..], [State::Idle, State::NotDc]);
    let wrote_quorum = room.nodes[1]
        .cib
        .iter()
        .any(|request| request.data.as_ref().is_some_and(|data| data.get("dc-uuid") == Some("2")));
    assert!(wrote_quorum);
}

#[test]
fn a_request_to_shut_down_becomes_an_attribute() {
    let mut room = Room::new(3);
    room.start();
    room.wait(Duration::from_secs(1));
    let clock = room.clock(2);
    room.nodes[2].core.shutdown(clock);
    room.drain(2);
    room.run();
    let asked = room.nodes[0].attrd.iter().any(|update| {
        update.get("attr_name") == Some("shutdown") && update.get("attr_host") == Some("n3")
    });
    assert!(asked, "{:#?}", room.nodes[0].attrd);
}

const START_D: &str = "<synapse id='0'><action_set><rsc_op id='1' operation='start' \
    operation_key='D_start_0' on_node='n2' on_node_uuid='2'><primitive id='D' class='ocf' \
    provider='heartbeat' type='Dummy'/><attributes crm_feature_set='3.16.1' \
    CRM_meta_timeout='20000' CRM_meta_name='start'/></rsc_op></action_set><inputs/></synapse>";

/// Runs the start of D on node 2 up to its result, and hands the DC what the CIB would tell.
fn start_d(rc: i32) -> Room {
    let mut room = Room::new(2);
    room.graph = START_D.to_owned();
    room.start();
    room.wait(Duration::from_secs(1));
    let exec = room.nodes[1].executor.iter().find(|c| c.get("lrmd_op") == Some("lrmd_rsc_exec"));
    let key = exec
        .and_then(|c| c.at(&["lrmd_calldata", "lrmd_rsc"]))
        .and_then(|rsc| rsc.get("lrmd_rsc_userdata_str"))
        .expect("the start reached the executor")
        .to_owned();
    assert_eq!(room.states()[0], State::TransitionEngine);
    room.graph.clear();
    let result = Element::new("lrmd_notify")
        .with("lrmd_op", "lrmd_rsc_exec")
        .with("lrmd_rsc_id", "D")
        .with("lrmd_rsc_action", "start")
        .with("lrmd_rsc_interval", "0")
        .with("lrmd_timeout", "20000")
        .with("lrmd_callid", "1")
        .with("lrmd_exec_rc", rc.to_string())
        .with("lrmd_exec_op_status", "0")
        .with("lrmd_rsc_userdata_str", key)
        .with("lrmd_run_time", "1000");
    let clock = room.clock(1);
    room.nodes[1].cib.clear();
    room.nodes[1].core.executor_notification(clock, &result);
    room.drain(1);
    let written = room.nodes[1].cib[0].data.clone().unwrap();
    let state = written.child("node_state").unwrap().clone();
    let diff = Element::new("diff").with("format", "2").with_child(
        Element::new("change")
            .with("operation", "create")
            .with("path", "/cib/status")
            .with_child(state),
    );
    let clock = room.clock(0);
    room.nodes[0].core.cib_changed(clock, &diff);
    room.drain(0);
    room.run();
    room
}

#[test]
fn an_action_goes_to_its_node_and_its_result_ends_the_transition() {
    let room = start_d(0);
    assert_eq!(room.states()[0], State::Idle, "{:#?}", room.nodes[0].log);
    let log = room.nodes[0].log.join("\n");
    assert!(log.contains("Initiating start operation D_start_0 on n2"), "{log}");
    assert!(log.contains("(Complete=1, Pending=0"), "{log}");
    assert!(room.nodes[1].log.join("\n").contains("Result of start operation for D on n2: ok"));
}

#[test]
fn a_failed_start_is_counted_and_scheduled_anew() {
    let room = start_d(1);
    let log = room.nodes[0].log.join("\n");
    assert!(log.contains("Event failed"), "{log}");
    let counted = room.nodes[0].attrd.iter().flat_map(|update| update.children()).any(|op| {
        op.get("attr_name") == Some("fail-count-D#start_0")
            && op.get("attr_value") == Some("INFINITY")
            && op.get("attr_host") == Some("n2")
    });
    assert!(counted, "{:#?}", room.nodes[0].attrd);
    assert_eq!(room.states()[0], State::Idle);
}

#[test]
fn a_dead_nodes_actions_fail() {
    let mut room = Room::new(3);
    room.graph = START_D.to_owned();
    room.start();
    room.wait(Duration::from_secs(1));
    assert_eq!(room.states()[0], State::TransitionEngine);
    room.graph.clear();
    room.crash(1);
    room.wait(Duration::from_millis(100));
    assert_eq!(room.states()[0], State::Idle, "{:#?}", room.nodes[0].log);
    assert!(room.nodes[0].log.join("\n").contains("Node failure"));
}

#[test]
fn random_messages_crash_nobody() {
    let mut room = Room::new(2);
    room.start();
    room.wait(Duration::from_secs(1));
    let tasks = [
        "vote",
        "no-vote",
        "join_announce",
        "join_offer",
        "join_request",
        "join_ack_nack",
        "join_confirm",
        "lrm_invoke",
        "lrm_delete",
        "lrm_fail",
        "probe_again",
        "throttle",
        "clear_failcount",
        "ping",
        "node-info",
        "rm_node_cache",
        "noop",
        "dance",
        "",
    ];
    let datas = [
        "<none/>",
        "<rsc_op operation='cancel'><primitive id='D' class='ocf' type='x'/></rsc_op>",
        "<rsc_op operation='start' on_node='elsewhere'/>",
        "<rsc_op mode='cib'><primitive type='x'/></rsc_op>",
    ];
    for task in tasks {
        for to in ["crmd", "dc", "lrmd", "tengine", "cib", "nobody", ""] {
            for data in datas {
                let mut message = Element::new("m")
                    .with("t", "crmd")
                    .with("subt", "request")
                    .with("crm_task", task)
                    .with("crm_sys_to", to)
                    .with("crm_sys_from", "x")
                    .with("join_id", "99999999999")
                    .with("election-id", "-3");
                message.push(Element::new("crm_xml").with_child(xml::parse(data).unwrap()));
                let clock = room.clock(0);
                room.nodes[0].core.client_message(clock, "client", "root", &message);
                message.set("src", "n2");
                let event =
                    Event::Message { from: NodeId(2), name: "n2".into(), xml: message.clone() };
                room.nodes[0].core.group_event(clock, &event);
                room.drain(0);
                room.run();
            }
        }
    }
}

impl Room {
    /// The controller of a node dies; the node lives on.
    fn kill_controller(&mut self, at: usize) {
        self.nodes[at].up = false;
        let left = [self.nodes[at].address];
        let members: Vec<Address> =
            self.nodes.iter().filter(|node| node.up).map(|node| node.address).collect();
        for other in 0..self.nodes.len() {
            if self.nodes[other].up {
                let clock = self.clock(other);
                let node = &mut self.nodes[other];
                node.core.group_leaving(&[left[0].node]);
                for event in node.core.group.confchg(clock.now, &members, &left) {
                    node.core.group_event(clock, &event);
                }
                self.drain(other);
            }
        }
        self.run();
    }

    fn n_scheduled(&self) -> u32 {
        self.next_graph
    }
}

#[test]
fn a_killed_controller_gets_a_moment_to_come_back() {
    for (victim, dc) in [(1, 0), (0, 1)] {
        let mut room = Room::new(3);
        room.start();
        room.wait(Duration::from_secs(1));
        let before = room.n_scheduled();
        room.kill_controller(victim);
        room.wait(Duration::from_millis(1500));
        assert_eq!(room.n_scheduled(), before, "nothing is recovered yet");
        let told = room.nodes[dc]
            .cib
            .iter()
            .filter_map(|request| request.data.as_ref())
            .any(|d| d.descendants().any(|e| e.get("crmd") == Some("offline")));
        assert!(!told);
        room.wait(Duration::from_millis(1000));
        assert!(room.n_scheduled() > before, "it did not come back");
        assert_eq!(room.dcs(), [dc]);
        assert_eq!(room.nodes[dc].core.state(), State::Idle);
    }
}

/// What node 1 sends to client `c1` for a request of `user`.
fn ask_lrm(user: &str, task: &str) -> (Room, Vec<Element>) {
    let mut room = Room::new(1);
    room.start();
    room.wait(Duration::from_secs(1));
    let request = xml::parse(&format!(
        "<m t='crmd' subt='request' crm_task='{task}' crm_sys_to='crmd' crm_host_to='n1' \
         reference='r'><crm_xml><rsc_op transition-key='0:9:0:xxxxxxxx-xrsc-opxx-xcrm-resourcexxxx' \
         on_node='n1'><primitive id='D' class='ocf' provider='heartbeat' type='Dummy'/>\
         <attributes crm_feature_set='3.16.1'/></rsc_op></crm_xml></m>"
    ))
    .unwrap();
    let clock = room.clock(0);
    room.nodes[0].core.client_message(clock, "c1", user, &request);
    let mut told = Vec::new();
    while let Some(output) = room.nodes[0].core.poll_output() {
        match output {
            Output::Client(client, message) if client == "c1" => told.push(message),
            Output::Cib(tag, request) => {
                // Only the dry run asks for another user's permission: refuse it.
                let rc = if request.user.is_some() { -13 } else { 0 };
                room.nodes[0].cib.push(request);
                room.nodes[0].core.cib_reply(clock, tag, rc, None);
            }
            Output::Executor(tag, command) => {
                room.nodes[0].executor.push(command);
                room.nodes[0].core.executor_reply(clock, tag, 0);
            }
            _ => {}
        }
    }
    (room, told)
}

fn rc_of(message: &Element) -> Option<String> {
    let op = message.descendants().find(|element| element.name() == "lrm_rsc_op")?;
    op.get("rc-code").map(str::to_owned)
}

#[test]
fn failing_and_deleting_need_permission() {
    for (user, task, rc) in [
        ("root", "lrm_fail", "0"),
        ("root", "lrm_delete", "0"),
        ("mallory", "lrm_fail", "4"),
        ("mallory", "lrm_delete", "4"),
    ] {
        let (room, told) = ask_lrm(user, task);
        assert_eq!(told.len(), 1, "{user} {task}");
        assert_eq!(told[0].get("crm_task"), Some("lrm_invoke"));
        assert_eq!(rc_of(&told[0]).as_deref(), Some(rc), "{user} {task}: {}", told[0]);
        let deleted = room.nodes[0]
            .executor
            .iter()
            .any(|command| command.get("lrmd_op") == Some("lrmd_rsc_unregister"));
        assert_eq!(deleted, user == "root" && task == "lrm_delete");
    }
}
