//! Three fencers that hear each other, with made-up agents.

use std::collections::BTreeMap;

use agents::fence::Abilities;
use agents::judge::Ended;
use base::Time;
use xml::Element;

use super::core::{Core, Input, Now, Output};

fn at(seconds: u64) -> Now {
    Now { mono: Time::from_millis(seconds * 1000), epoch: 1_700_000_000 + seconds as i64 }
}

const ALL: Abilities = Abilities {
    list: true,
    status: true,
    reboot: true,
    on: true,
    plug: false,
    port: true,
    nodeid: false,
    automatic: false,
    on_target: false,
};

struct Net {
    nodes: BTreeMap<String, Core>,
    /// What clients were told: (node, client or ticket, message).
    said: Vec<(String, String, Element)>,
    /// Runs of agents: node, agent's input.
    runs: Vec<(String, String)>,
    /// The agents' exit status.
    exit: i32,
    fresh: u32,
}

impl Net {
    fn new(n: usize) -> Net {
        let names: Vec<String> = (1..=n).map(|i| format!("n{i}")).collect();
        let mut nodes: BTreeMap<String, Core> =
            names.iter().map(|name| (name.clone(), Core::new(name, 7))).collect();
        let peers: BTreeMap<String, u32> =
            names.iter().enumerate().map(|(i, name)| (name.clone(), i as u32 + 1)).collect();
        for node in nodes.values_mut() {
            node.handle_input(at(0), Input::Peers(peers.clone()));
            let uuid = "client-1".to_owned();
            node.handle_input(
                at(0),
                Input::Connected { client: 1, uuid, pid: 42, privileged: true },
            );
        }
        Net { nodes, said: Vec::new(), runs: Vec::new(), exit: 0, fresh: 0 }
    }

    fn ask(&mut self, now: Now, node: &str, text: &str) {
        let request = xml::parse(text).unwrap();
        self.fresh += 1;
        let fresh_id = format!("op-{}", self.fresh);
        let sync = super::wire::number(&request, "st_callopt") & 0x1000 != 0;
        let input =
            Input::Request { client: 1, ticket: sync.then_some(9), request: &request, fresh_id };
        self.nodes.get_mut(node).unwrap().handle_input(now, input);
        self.settle(now);
    }

    fn time(&mut self, now: Now) {
        for node in self.nodes.values_mut() {
            node.handle_timeout(now);
        }
        self.settle(now);
    }

    /// Carries messages and runs agents until nothing more happens.
    fn settle(&mut self, now: Now) {
        loop {
            let mut outputs = Vec::new();
            for (name, node) in &mut self.nodes {
                while let Some(output) = node.poll_output() {
                    outputs.push((name.clone(), output));
                }
            }
            if outputs.is_empty() {
                return;
            }
            for (from, output) in outputs {
                match output {
                    Output::Peer { to, message } => {
                        for (name, node) in &mut self.nodes {
                            if to.as_ref().is_none_or(|to| to == name) {
                                let fresh_id = "relayed".to_owned();
                                let message = &message;
                                node.handle_input(
                                    now,
                                    Input::Peer { from: &from, message, fresh_id },
                                );
                            }
                        }
                    }
                    Output::Respond { ticket, message } => {
                        self.said.push((from, format!("ticket {ticket}"), message));
                    }
                    Output::Event { client, message } => {
                        self.said.push((from, format!("client {client}"), message));
                    }
                    Output::Run { job, input, .. } => {
                        self.runs.push((from.clone(), input));
                        let ended = Ended::Exited(self.exit);
                        let (stdout, stderr) = ("n2\n".to_owned(), String::new());
                        let input = Input::Ended { job, ended, stdout, stderr };
                        self.nodes.get_mut(&from).unwrap().handle_input(now, input);
                    }
                    Output::Learn { agent } => {
                        let abilities = (agent != "fence_broken").then_some(ALL);
                        let input = Input::Learned { agent, abilities };
                        self.nodes.get_mut(&from).unwrap().handle_input(now, input);
                    }
                    Output::Note(..) => {}
                }
            }
        }
    }

    fn register(&mut self, node: &str, id: &str, params: &str) {
        let text = format!(
            "<stonith_command st_op='st_device_register' st_callid='3' st_callopt='4096'><st_calldata>\
             <st_device_id id='{id}' agent='fence_x'><attributes {params}/></st_device_id></st_calldata></stonith_command>"
        );
        self.ask(at(1), node, &text);
        let (_, _, reply) = self.said.pop().unwrap();
        assert_eq!(reply.get("rc-code"), Some("0"));
    }

    fn fence(&mut self, now: Now, node: &str, target: &str, action: &str, callopt: u32) {
        let text = format!(
            "<stonith_command st_op='st_fence' st_callid='5' st_callopt='{callopt}' st_timeout='60'><st_calldata>\
             <st_fence st_target='{target}' st_device_action='{action}' st_timeout='60' st_tolerance='0'/></st_calldata></stonith_command>"
        );
        self.ask(now, node, &text);
    }

    fn last(&self) -> (&str, &str, Option<&str>, Option<&str>) {
        let (node, to, message) = self.said.last().unwrap();
        (node, to, message.get("op-status"), message.get("rc-code"))
    }
}

#[test]
fn without_a_device_a_request_fails_at_once() {
    let mut net = Net::new(3);
    net.fence(at(1), "n1", "n2", "reboot", 0x1000);
    assert_eq!(net.last(), ("n1", "ticket 9", Some("10"), Some("1")));
    assert_eq!(net.said.last().unwrap().2.get("st_rc"), Some("-19"));
    assert!(net.nodes.values().all(|node| !node.is_busy()));
}

#[test]
fn another_node_does_it_and_all_know() {
    let mut net = Net::new(3);
    net.register("n3", "dev", "pcmk_host_list='n2' ip='1'");
    for node in ["n1", "n2", "n3"] {
        net.ask(at(1), node, "<stonith_command st_op='st_notify' st_notify_activate='st_notify_fence' st_callopt='4096'/>");
    }
    net.said.clear();
    net.fence(at(2), "n1", "n2", "off", 0);
    assert_eq!(net.runs.len(), 1);
    assert_eq!(net.runs[0].0, "n3");
    assert!(net.runs[0].1.contains("action=off\nnodename=n2\n"), "{}", net.runs[0].1);
    let replies: Vec<_> = net.said.iter().filter(|(.., m)| m.name() == "st-reply").collect();
    assert_eq!(replies.len(), 1);
    assert_eq!((replies[0].0.as_str(), replies[0].2.get("st_callid")), ("n1", Some("5")));
    let news: Vec<_> = net.said.iter().filter(|(.., m)| m.name() == "notify").collect();
    assert_eq!(news.len(), 3);
    let data = news[2].2.child("st_calldata").unwrap().children().next().unwrap();
    assert_eq!(data.get("st_delegate"), Some("n3"));
    for node in ["n1", "n2", "n3"] {
        net.ask(at(3), node, "<stonith_command st_op='st_fence_history' st_callopt='4096' st_callid='7'><st_calldata><st_fence_history/></st_calldata></stonith_command>");
        let (_, _, reply) = net.said.last().unwrap();
        let entry = super::wire::with_attr(reply, "st_state").unwrap();
        assert_eq!((entry.get("st_state"), entry.get("st_target")), (Some("2"), Some("n2")));
    }
}

#[test]
fn failures_go_round_and_are_told() {
    let mut net = Net::new(3);
    net.register("n1", "dev", "pcmk_host_list='n2'");
    net.register("n3", "dev", "pcmk_host_list='n2'");
    net.exit = 1;
    net.fence(at(2), "n1", "n2", "off", 0x1000);
    for second in 3..20 {
        net.time(at(second));
    }
    // Two tries on each of two nodes.
    assert_eq!(net.runs.len(), 4);
    assert_eq!(net.last(), ("n1", "ticket 9", Some("4"), Some("1")));
}

#[test]
fn a_topology_takes_all_devices_of_a_level() {
    let mut net = Net::new(3);
    for id in ["p1", "p2"] {
        net.register("n3", id, "pcmk_host_list='n2'");
    }
    let level = "<stonith_command st_op='st_level_add' st_callopt='4096'><st_calldata><fencing-level index='1' target='n2' devices='p1,p2'/></st_calldata></stonith_command>";
    net.ask(at(1), "n1", level);
    assert_eq!(net.last(), ("n1", "ticket 9", Some("0"), Some("0")));
    net.fence(at(2), "n1", "n2", "reboot", 0x1000);
    let actions: Vec<_> = net.runs.iter().map(|(_, input)| input.lines().next().unwrap()).collect();
    assert_eq!(actions, ["action=off", "action=off", "action=on", "action=on"]);
    assert_eq!(net.last(), ("n1", "ticket 9", Some("0"), Some("0")));
}

#[test]
fn nobody_fences_itself_unless_allowed() {
    let mut net = Net::new(2);
    net.register("n2", "dev", "pcmk_host_list='n2'");
    net.fence(at(2), "n1", "n2", "off", 0x1000);
    assert_eq!(net.last().2, Some("10"));
    net.fence(at(3), "n1", "n2", "off", 0x1002);
    assert_eq!(net.last().2, Some("0"));
    assert_eq!(net.runs.last().unwrap().0, "n2");
}

#[test]
fn a_human_may_confirm() {
    let mut net = Net::new(2);
    net.fence(at(2), "n1", "n2", "off", 0x1008);
    assert_eq!(net.last(), ("n1", "ticket 9", Some("0"), Some("0")));
    assert!(net.runs.is_empty());
}

#[test]
fn dynamic_lists_are_asked_for_once_a_minute() {
    let mut net = Net::new(2);
    net.register("n1", "dev", "ip='1'");
    let query = "<stonith_command st_op='st_query' st_callopt='4096'><st_calldata><st_device_id st_target='n2' st_device_action='off'/></st_calldata></stonith_command>";
    for _ in 0..3 {
        net.ask(at(2), "n1", query);
        let (_, _, reply) = net.said.last().unwrap();
        assert_eq!(super::wire::attr(reply, "st-available-devices"), Some("1"));
    }
    assert_eq!(net.runs.len(), 1);
    net.ask(at(70), "n1", query);
    assert_eq!(net.runs.len(), 2);
}

#[test]
fn an_originator_that_dies_leaves_no_pending_entry() {
    let mut net = Net::new(3);
    net.register("n3", "dev", "pcmk_host_list='n2'");
    let query = xml::parse("<stonith_command t='stonith-ng' st_op='st_query' st_remote_op='X' st_target='n2' st_device_action='off' st_origin='n1'/>").unwrap();
    let node = net.nodes.get_mut("n3").unwrap();
    node.handle_input(at(2), Input::Peer { from: "n1", message: &query, fresh_id: String::new() });
    assert!(node.is_busy());
    node.handle_input(at(3), Input::Peers([("n3".to_owned(), 3)].into()));
    assert!(!node.is_busy());
}

#[test]
fn nonsense_and_strangers_are_refused() {
    let mut net = Net::new(1);
    for (text, status, rc) in [
        ("<stonith_command st_op='odd' st_callopt='4096'/>", "9", "76"),
        ("<stonith_command st_op='st_fence' st_callopt='4096'/>", "9", "2"),
        ("<stonith_command st_op='st_execute' st_callopt='4096'/>", "9", "76"),
        ("<stonith_command st_op='st_device_register' st_callopt='4096'/>", "9", "2"),
        (
            "<stonith_command st_op='st_level_add' st_callopt='4096'><x index='10' target='a'/></stonith_command>",
            "9",
            "2",
        ),
        (
            "<stonith_command st_op='st_level_remove' st_callopt='4096'><x index='0' target='a'/></stonith_command>",
            "0",
            "0",
        ),
    ] {
        net.ask(at(1), "n1", text);
        assert_eq!(net.last(), ("n1", "ticket 9", Some(status), Some(rc)), "{text}");
    }
    let node = net.nodes.get_mut("n1").unwrap();
    let uuid = "u".to_owned();
    node.handle_input(at(1), Input::Connected { client: 2, uuid, pid: 1, privileged: false });
    let request =
        xml::parse("<stonith_command st_op='st_device_remove' st_callopt='4096'/>").unwrap();
    let fresh_id = String::new();
    node.handle_input(
        at(1),
        Input::Request { client: 2, ticket: Some(3), request: &request, fresh_id },
    );
    let Some(Output::Respond { message, .. }) = node.poll_output() else { panic!("an answer") };
    assert_eq!(message.get("rc-code"), Some("4"));
}

/// Messages made of random pieces of the language, from clients and peers: never a panic, and
/// whatever was begun comes to an end.
#[test]
fn random_messages_are_survived() {
    const NAMES: [&str; 16] = [
        "st_op",
        "st_target",
        "st_device_action",
        "st_device_id",
        "st_callopt",
        "st_callid",
        "st_remote_op",
        "st_timeout",
        "st_delay",
        "index",
        "target",
        "devices",
        "agent",
        "id",
        "st_clientid",
        "st-available-devices",
    ];
    const VALUES: [&str; 24] = [
        "st_execute",
        "st_query",
        "st_fence",
        "st_relay",
        "st_fence_history",
        "st_device_register",
        "st_device_remove",
        "st_level_add",
        "st_level_remove",
        "st_notify",
        "st_timeout_update",
        "poke",
        "n1",
        "n2",
        "off",
        "reboot",
        "monitor",
        "0",
        "4096",
        "1048576",
        "-7",
        "99999999999",
        "op-1",
        "",
    ];
    const TAGS: [&str; 6] = [
        "stonith_command",
        "st_calldata",
        "st-reply",
        "st_device_id",
        "fencing-level",
        "st_history",
    ];
    let mut net = Net::new(2);
    net.register("n2", "dev", "pcmk_host_list='n1'");
    let mut state = 88_172_645_463_325_252_u64;
    let mut roll = |sides: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % sides as u64) as usize
    };
    for round in 0..5_000u64 {
        let mut element = Element::new(TAGS[roll(TAGS.len())]);
        for _ in 0..3 {
            let mut outer = Element::new(TAGS[roll(TAGS.len())]);
            for _ in 0..roll(6) {
                outer.set(NAMES[roll(NAMES.len())], VALUES[roll(VALUES.len())]);
            }
            outer.push(element);
            element = outer;
        }
        element.set("st_op", VALUES[roll(12)]);
        net.exit = roll(3) as i32;
        let now = at(round);
        let fresh_id = format!("random-{round}");
        let node = net.nodes.get_mut("n1").unwrap();
        let message = &element;
        if roll(2) == 0 {
            let ticket = (roll(2) == 0).then_some(9);
            node.handle_input(
                now,
                Input::Request { client: 1, ticket, request: message, fresh_id },
            );
        } else {
            node.handle_input(now, Input::Peer { from: "n2", message, fresh_id });
        }
        net.settle(now);
        if roll(10) == 0 {
            net.time(now);
        }
        net.said.clear();
        net.runs.clear();
    }
    for later in 0..2000 {
        net.time(at(10_000 + later * 60));
    }
    // What the random peer claimed to lead is over once that peer is gone.
    let alone: BTreeMap<String, u32> = [("n1".to_owned(), 1)].into();
    let node = net.nodes.get_mut("n1").unwrap();
    node.handle_input(at(200_000), Input::Peers(alone));
    net.settle(at(200_000));
    for later in 0..100 {
        net.time(at(200_000 + later * 60));
    }
    assert!(!net.nodes["n1"].is_busy());
}
