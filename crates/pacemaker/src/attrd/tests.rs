//! Several managers in one test, with a wire that keeps one order.

use std::collections::VecDeque;
use std::time::Duration;

use base::{NodeId, Time};
use xml::Element;

use super::core::{Answer, Attrd, Ctx, Output};
use crate::cluster::peers::{PeerCache, State};

struct Node {
    name: String,
    attrd: Attrd,
    peers: PeerCache,
    age: u64,
}

struct Room {
    nodes: Vec<Node>,
    wire: VecDeque<(usize, Option<String>, Element)>,
    writes: Vec<(usize, u64, Element)>,
    told: Vec<(usize, crate::alerts::Call)>,
    now: Time,
}

macro_rules! ctx {
    ($room:ident, $node:expr) => {
        Ctx { now: $room.now, epoch: 1000, age: ($node.age, 0), peers: &$node.peers }
    };
}

impl Room {
    fn new(n: u32) -> Room {
        let nodes = (1..=n).map(|id| {
            let mut peers = PeerCache::new(true);
            for other in 1..=n {
                peers.ensure(NodeId(other), Some(&format!("n{other}")));
                peers.set_online(NodeId(other), true);
            }
            peers.take_changes();
            let name = format!("n{id}");
            Node { attrd: Attrd::new(&name, NodeId(id)), name, peers, age: u64::from(10 - id) }
        });
        let nodes = nodes.collect();
        let mut room = Room {
            nodes,
            wire: VecDeque::new(),
            writes: Vec::new(),
            told: Vec::new(),
            now: Time::from_millis(10_000),
        };
        for at in 0..room.nodes.len() {
            room.nodes[at].attrd.started();
        }
        room.run();
        room
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.nodes[at].attrd.poll_output() {
            match output {
                Output::Peer { to, xml } => self.wire.push_back((at, to, xml)),
                Output::Write { tag, status, .. } => self.writes.push((at, tag, status)),
                Output::Alert(call) => self.told.push((at, call)),
                Output::Note(..) => {}
            }
        }
    }

    fn run(&mut self) {
        for at in 0..self.nodes.len() {
            self.drain(at);
        }
        let mut n = 0;
        while let Some((from, to, mut xml)) = self.wire.pop_front() {
            n += 1;
            assert!(n < 500, "message storm");
            let src = self.nodes[from].name.clone();
            xml.set("src", src.as_str());
            for at in 0..self.nodes.len() {
                let node = &mut self.nodes[at];
                if node.peers.by_name(&src).is_none()
                    || to.as_ref().is_some_and(|to| *to != node.name)
                {
                    continue;
                }
                let ctx = ctx!(self, node);
                node.attrd.peer_message(ctx, &xml);
                self.drain(at);
            }
        }
    }

    fn ask(&mut self, at: usize, text: &str) -> Answer {
        let node = &mut self.nodes[at];
        let ctx = ctx!(self, node);
        let answer = node.attrd.client(ctx, &xml::parse(text).unwrap());
        self.run();
        answer
    }

    fn finish_writes(&mut self) {
        for (at, tag, _) in self.writes.clone() {
            let node = &mut self.nodes[at];
            let ctx = ctx!(self, node);
            node.attrd.written(ctx, tag, 0);
        }
        self.writes.clear();
        self.run();
    }

    fn value(&mut self, at: usize, name: &str, host: &str) -> Option<String> {
        let query = format!("<q task='query' attr_name='{name}' attr_host='{host}'/>");
        let Answer::Reply(reply) = self.ask(at, &query) else { panic!("no reply") };
        reply.children().next()?.get("attr_value").map(str::to_owned)
    }
}

#[test]
fn an_update_reaches_all_and_one_writes_it() {
    let mut room = Room::new(3);
    room.ask(1, "<u task='update' attr_name='pingd' attr_value='100'/>");
    for at in 0..3 {
        assert_eq!(room.value(at, "pingd", "n2").as_deref(), Some("100"), "node {at}");
    }
    let writers: Vec<usize> = room.writes.iter().map(|(at, ..)| *at).collect();
    assert_eq!(writers, [0], "the oldest process is the writer");
    assert_eq!(
        room.writes[0].2.to_text(),
        "<status><node_state id=\"2\"><transient_attributes id=\"2\"><instance_attributes \
         id=\"status-2\"><nvpair id=\"status-2-pingd\" name=\"pingd\" value=\"100\"/>\
         </instance_attributes></transient_attributes></node_state></status>"
    );
}

#[test]
fn the_writer_tells_the_alerts_that_selected_an_attribute() {
    let mut room = Room::new(2);
    let config = "<alerts><alert id='a' path='/x'><select><select_attributes><attribute id='i' \
                  name='pingd'/></select_attributes></select></alert></alerts>";
    for at in 0..2 {
        let node = &mut room.nodes[at];
        let ctx = ctx!(room, node);
        node.attrd.configured(ctx, Some(&xml::parse(config).unwrap()));
    }
    room.ask(1, "<u task='update' attr_name='pingd' attr_value='100'/>");
    room.ask(1, "<u task='update' attr_name='other' attr_value='1'/>");
    let told: Vec<(usize, String)> = room
        .told
        .iter()
        .map(|(at, call)| (*at, call.request(Duration::from_secs(1)).to_text()))
        .collect();
    let [(0, text)] = told.as_slice() else { panic!("the writer, once: {told:?}") };
    for part in
        ["attribute_name=\"pingd\"", "attribute_value=\"100\"", "node=\"n2\"", "nodeid=\"2\""]
    {
        assert!(text.contains(&format!("CRM_alert_{part}")), "{part}: {text}");
    }
}

#[test]
fn increments_and_lists_and_failures() {
    let mut room = Room::new(2);
    let list = "<u task='update'><op task='update' attr_name='fail-count-D#start_0' \
                attr_value='value++'/><op task='update' attr_name='last-failure-D#start_0' \
                attr_value='77'/></u>";
    room.ask(0, list);
    room.ask(0, list);
    assert_eq!(room.value(1, "fail-count-D#start_0", "n1").as_deref(), Some("2"));
    assert_eq!(room.value(1, "last-failure-D#start_0", "n1").as_deref(), Some("77"));
    room.ask(1, "<u task='clear-failure' attr_resource='D' attr_host='n1'/>");
    assert_eq!(room.value(0, "fail-count-D#start_0", "n1"), None);
}

#[test]
fn dampening_waits_for_more() {
    let mut room = Room::new(1);
    room.ask(0, "<u task='update' attr_name='a' attr_value='1' attr_dampening='5s'/>");
    room.ask(0, "<u task='update' attr_name='x' attr_value='1'/>");
    room.finish_writes();
    room.ask(0, "<u task='update' attr_name='a' attr_value='2' attr_dampening='5s'/>");
    assert!(room.writes.is_empty());
    let deadline = room.nodes[0].attrd.next_deadline().unwrap();
    assert_eq!(deadline, room.now + Duration::from_secs(5));
    room.now = deadline;
    let node = &mut room.nodes[0];
    let ctx = ctx!(room, node);
    node.attrd.timed_out(ctx);
    room.run();
    assert!(room.writes[0].2.to_text().contains("value=\"2\""));
}

#[test]
fn private_attributes_stay_out_of_the_cib() {
    let mut room = Room::new(1);
    room.ask(0, "<u task='update' attr_name='p' attr_value='1' attr_is_private='1'/>");
    assert_eq!(room.value(0, "p", "localhost").as_deref(), Some("1"));
    assert!(room.writes.is_empty());
}

#[test]
fn the_next_writer_takes_over() {
    let mut room = Room::new(2);
    room.ask(0, "<u task='update' attr_name='a' attr_value='1'/>");
    room.ask(1, "<u task='update' attr_name='a' attr_value='1'/>");
    room.finish_writes();
    assert!(room.nodes[0].attrd.is_writer());
    let node = &mut room.nodes[1];
    node.peers.set_online(NodeId(1), false);
    for change in node.peers.take_changes() {
        let ctx = ctx!(room, node);
        node.attrd.peer_changed(ctx, &change);
    }
    room.nodes.swap(0, 1);
    room.nodes.pop();
    room.run();
    assert!(room.nodes[0].attrd.is_writer());
    assert_eq!(room.value(0, "a", "n1"), None);
    assert_eq!(room.value(0, "a", "n2").as_deref(), Some("1"));
}

#[test]
fn a_newcomer_learns_everything_and_keeps_its_own() {
    let mut room = Room::new(2);
    room.ask(0, "<u task='update' attr_name='a' attr_value='1'/>");
    room.finish_writes();
    let node = &mut room.nodes[1];
    node.attrd = Attrd::new("n2", NodeId(2));
    node.peers.set_state(NodeId(1), State::Member);
    node.attrd.started();
    room.run();
    room.ask(1, "<u task='update' attr_name='own' attr_value='7'/>");
    let node = &mut room.nodes[0];
    node.peers.set_online(NodeId(2), false);
    node.peers.take_changes();
    node.peers.ensure(NodeId(2), Some("n2"));
    node.peers.set_online(NodeId(2), true);
    for change in node.peers.take_changes() {
        let ctx = ctx!(room, node);
        node.attrd.peer_changed(ctx, &change);
    }
    room.run();
    assert_eq!(room.value(1, "a", "n1").as_deref(), Some("1"));
    assert_eq!(room.value(0, "own", "n2").as_deref(), Some("7"));
}

#[test]
fn nonsense_is_refused_politely() {
    let mut room = Room::new(1);
    for text in [
        "<u/>",
        "<u task='update'/>",
        "<u task='update' attr_regex='('/>",
        "<u task='peer-remove'/>",
        "<u task='update-delay' attr_name='nobody'/>",
        "<u task='update-both' attr_name='a' attr_dampening='never'/>",
    ] {
        room.ask(0, text);
    }
    for text in ["<m src='n1' task='dance'/>", "<m src='n1' task='sync-response'><x/></m>"] {
        let node = &mut room.nodes[0];
        let ctx = ctx!(room, node);
        node.attrd.peer_message(ctx, &xml::parse(text).unwrap());
        room.run();
    }
}

#[test]
fn a_killed_managers_successor_takes_up_its_attributes() {
    let mut room = Room::new(2);
    room.ask(1, "<u task='update' attr_name='master-s' attr_value='10'/>");
    room.finish_writes();
    let node = &mut room.nodes[0];
    node.peers.set_online(NodeId(2), false);
    for change in node.peers.take_changes() {
        let ctx = ctx!(room, node);
        node.attrd.peer_changed(ctx, &change);
    }
    assert_eq!(room.value(0, "master-s", "n2"), None);
    let node = &mut room.nodes[0];
    node.peers.ensure(NodeId(2), Some("n2"));
    node.peers.set_online(NodeId(2), true);
    let node = &mut room.nodes[1];
    node.attrd = Attrd::new("n2", NodeId(2));
    node.attrd.started();
    node.attrd.restore(
        &xml::parse(
            "<transient_attributes id='2'><instance_attributes id='status-2'><nvpair \
             id='status-2-master-s' name='master-s' value='10'/></instance_attributes>\
             </transient_attributes>",
        )
        .unwrap(),
    );
    room.run();
    assert_eq!(room.value(0, "master-s", "n2").as_deref(), Some("10"));
}

#[test]
fn erased_attributes_are_written_again_unless_their_node_leaves() {
    let mut room = Room::new(2);
    room.ask(1, "<u task='update' attr_name='a' attr_value='1'/>");
    room.finish_writes();
    let node = &mut room.nodes[0];
    let ctx = ctx!(room, node);
    node.attrd.erased(ctx, "2");
    room.run();
    assert_eq!(room.writes.len(), 1);
    room.finish_writes();
    room.ask(1, "<u task='update' attr_name='shutdown' attr_value='1234'/>");
    room.finish_writes();
    let node = &mut room.nodes[0];
    let ctx = ctx!(room, node);
    node.attrd.erased(ctx, "2");
    room.run();
    assert!(room.writes.is_empty());
}
