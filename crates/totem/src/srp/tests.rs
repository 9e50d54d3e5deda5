//! The machine by hand: rings of one and two, without a simulator (see crate `sim` for storms).

use super::*;
use crate::Config;
use crate::pg::Admission;
use std::time::Duration;

/// Some machines and an ideal network without delay, driven until a point in time.
struct Bench {
    now: Time,
    nodes: Vec<Srp>,
    up: Vec<bool>,
    log: Vec<(u32, Output)>,
    /// Whether configuration changes are acknowledged at once (no services to synchronise).
    auto_ack: bool,
    /// This node gets no sequenced frames.
    deaf: Option<u32>,
}

impl Bench {
    fn new(count: u32) -> Bench {
        let nodes = (1..=count)
            .map(|id| Srp::new(Config::with_token(1000), NodeId(id), 0, u64::from(id)))
            .collect::<Vec<_>>();
        let up = vec![true; nodes.len()];
        let mut bench = Bench {
            now: Time::from_millis(100),
            nodes,
            up,
            log: Vec::new(),
            auto_ack: true,
            deaf: None,
        };
        for index in 0..bench.nodes.len() {
            bench.nodes[index].interface_changed(bench.now);
            bench.drain();
        }
        bench
    }

    fn drain(&mut self) {
        loop {
            let mut packets: Vec<(u32, Option<NodeId>, Bytes)> = Vec::new();
            for index in 0..self.nodes.len() {
                let id = index as u32 + 1;
                while let Some(output) = self.nodes[index].poll_output() {
                    match &output {
                        Output::Multicast(packet) => packets.push((id, None, packet.clone())),
                        Output::Unicast { to, packet } => {
                            packets.push((id, Some(*to), packet.clone()));
                        }
                        Output::Config(change)
                            if change.kind == ConfigKind::Regular && self.auto_ack =>
                        {
                            self.nodes[index].trans_ack(self.now);
                        }
                        _ => {}
                    }
                    if self.up[index] {
                        self.log.push((id, output));
                    }
                }
            }
            if packets.is_empty() {
                return;
            }
            for (from, to, packet) in packets {
                for index in 0..self.nodes.len() {
                    let id = index as u32 + 1;
                    let deaf = self.deaf == Some(id) && packet[3] == Kind::Mcast as u8;
                    let reaches = id != from && to.is_none_or(|to| to.0 == id) && !deaf;
                    if reaches && self.up[index] && self.up[from as usize - 1] {
                        self.nodes[index].handle_packet(self.now, &packet).unwrap();
                    }
                }
            }
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let up = self.up.clone();
            let next =
                self.nodes.iter().zip(up).filter(|(_, up)| *up).filter_map(|n| n.0.next_deadline());
            let Some(at) = next.min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            for index in 0..self.nodes.len() {
                if self.up[index] {
                    self.nodes[index].handle_timeout(self.now);
                }
            }
            self.drain();
        }
        self.now = end;
    }

    fn send(&mut self, id: u32, body: &[u8]) {
        let now = self.now;
        let node = &mut self.nodes[id as usize - 1];
        assert!(matches!(
            node.multicast(now, Guarantee::Agreed, b"a", &[body]),
            Admission::Room(_)
        ));
        self.drain();
    }

    fn delivered(&self, id: u32) -> Vec<Vec<u8>> {
        let of = |(node, output): &(u32, Output)| match output {
            Output::Deliver(delivery) if *node == id => Some(delivery.payload.to_vec()),
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }

    fn events(&self, id: u32) -> Vec<String> {
        let of = |(node, output): &(u32, Output)| match output {
            Output::Event(event) if *node == id => Some(event.to_string()),
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }
}

#[test]
fn a_lone_node_forms_its_ring() {
    let mut bench = Bench::new(1);
    bench.run(500);
    assert_eq!(bench.nodes[0].state(), State::Operational);
    assert_eq!(bench.nodes[0].ring_id(), RingId::new(1, 5));
    assert!(
        bench
            .events(1)
            .contains(&"A new membership (1.5) was formed. Members joined: 1".to_string())
    );
    bench.send(1, b"to myself");
    bench.run(100);
    assert_eq!(bench.delivered(1), [b"to myself".to_vec()]);
    assert!(bench.log.iter().any(|(_, output)| *output == Output::Persist { ring_seq: 5 }));
}

#[test]
fn an_idle_ring_is_quiet() {
    let mut bench = Bench::new(2);
    bench.run(2000);
    bench.log.clear();
    bench.run(1000);
    let tokens =
        bench.log.iter().filter(|(_, output)| matches!(output, Output::Unicast { .. })).count();
    // hold is 180 ms with a token of 1000: one rotation (two packets) each.
    assert!((8..=14).contains(&tokens), "{tokens} tokens in a second");
}

#[test]
fn two_nodes_deliver_in_one_order() {
    let mut bench = Bench::new(2);
    bench.run(1000);
    assert_eq!(bench.nodes[0].members(), [NodeId(1), NodeId(2)]);
    assert_eq!(bench.nodes[1].ring_id(), bench.nodes[0].ring_id());
    for n in 0..200u32 {
        bench.send(1 + n % 2, &n.to_be_bytes());
    }
    let big: Vec<u8> = (0..900_000u32).map(|n| n as u8).collect();
    bench.send(2, &big);
    bench.run(2000);
    let (one, two) = (bench.delivered(1), bench.delivered(2));
    assert_eq!(one.len(), 201);
    assert!(one == two);
    assert!(one.contains(&big));
}

#[test]
fn a_dead_member_is_gone_after_token_and_consensus() {
    let mut bench = Bench::new(3);
    bench.run(1000);
    assert_eq!(bench.nodes[0].members().len(), 3);
    bench.up[2] = false;
    let died = bench.now;
    while bench.nodes[0].members().len() == 3 {
        bench.run(10);
        assert!(bench.now.since(died) < Duration::from_millis(2400), "too late");
    }
    assert!(bench.now.since(died) > Duration::from_millis(1900));
    assert!(bench.events(1).iter().any(|text| text.ends_with("was formed. Members left: 3")));
    bench.up[2] = true;
    bench.run(4000);
    assert_eq!(bench.nodes[2].members().len(), 3);
}

#[test]
fn a_partner_that_met_a_third_node_does_not_cost_a_token_timeout() {
    let mut bench = Bench::new(1);
    bench.run(500);
    let join = |proc_list: &[u32]| {
        let ids = |list: &[u32]| list.iter().copied().map(NodeId).collect();
        let message = Message::Join(wire::Join {
            system_from: NodeId(2),
            ring_seq: 1,
            proc_list: ids(proc_list),
            failed_list: Vec::new(),
        });
        wire::encode(&Header::own(Kind::Join, NodeId(2), 0), &message)
    };
    let now = bench.now;
    let one = &mut bench.nodes[0];
    one.handle_packet(now, &join(&[1, 2])).unwrap();
    one.handle_packet(now, &join(&[1, 2])).unwrap();
    assert_eq!(one.state(), State::Commit);
    // What it says without news is old: the commit token may still reach it.
    one.handle_packet(now, &join(&[1, 2])).unwrap();
    assert_eq!(one.state(), State::Commit);
    one.handle_packet(now, &join(&[1, 2, 3])).unwrap();
    assert_eq!(one.state(), State::Gather);
    assert!(one.processors().contains(&NodeId(3)));
}

#[test]
fn leaving_in_order_needs_no_timeout() {
    let mut bench = Bench::new(3);
    bench.run(1000);
    let now = bench.now;
    bench.nodes[2].leave(now);
    bench.drain();
    bench.up[2] = false;
    bench.run(150);
    assert_eq!(bench.nodes[0].members(), [NodeId(1), NodeId(2)]);
    assert!(!bench.events(1).iter().any(|text| text.contains("Failed to receive the leave")));
}

#[test]
fn the_synchronisation_overtakes_and_the_rest_waits() {
    let mut bench = Bench::new(2);
    bench.auto_ack = false;
    bench.run(1000);
    for index in 0..2 {
        assert!(bench.nodes[index].waiting_trans_ack());
        bench.nodes[index].trans_ack(bench.now);
    }
    bench.send(1, b"before");
    bench.run(100);
    // A third ring configuration: queue while GATHER, synchronise after.
    bench.nodes[0].interface_changed(bench.now);
    let now = bench.now;
    assert!(matches!(
        bench.nodes[0].multicast(now, Guarantee::Agreed, b"a", &[b"application"]),
        Admission::Room(_)
    ));
    bench.drain();
    bench.run(300);
    assert!(bench.nodes[0].waiting_trans_ack());
    bench.send(1, b"sync");
    bench.run(100);
    assert_eq!(bench.delivered(2), [b"before".to_vec(), b"sync".to_vec()]);
    for index in 0..2 {
        bench.nodes[index].trans_ack(bench.now);
    }
    bench.drain();
    bench.run(100);
    assert_eq!(bench.delivered(2).last().unwrap(), b"application");
}

#[test]
fn a_full_queue_refuses_and_drains() {
    let mut bench = Bench::new(1);
    bench.run(500);
    let now = bench.now;
    let node = &mut bench.nodes[0];
    assert_eq!(node.admit(8 << 20), Admission::TooBig);
    let mut queued = 0;
    while let Admission::Room(_) = node.multicast(now, Guarantee::Agreed, b"a", &[&[0u8; 60_000]]) {
        queued += 1;
    }
    assert!((60..=75).contains(&queued), "{queued} of 60000 bytes fit 4 MiB");
    assert_eq!(node.queue_level(), QueueLevel::Critical);
    bench.run(1000);
    assert_eq!(bench.delivered(1).len(), queued);
    assert_eq!(bench.nodes[0].queue_level(), QueueLevel::Low);
}

#[test]
fn a_token_callback_comes_once() {
    let mut bench = Bench::new(2);
    bench.run(2000);
    bench.log.clear();
    let now = bench.now;
    bench.nodes[1].request_token_sent(now);
    bench.drain();
    bench.run(5);
    let count = bench.log.iter().filter(|(_, output)| *output == Output::TokenSent).count();
    assert_eq!(count, 1, "at once, although the token was held");
}

#[test]
fn who_cannot_receive_excludes_itself_and_comes_back() {
    let mut bench = Bench::new(2);
    for node in &mut bench.nodes {
        node.set_config(Config { fail_recv_const: 20, ..Config::with_token(1000) });
    }
    bench.run(1000);
    bench.deaf = Some(2);
    bench.send(1, b"unheard");
    // The idle ring turns once in 180 ms.
    bench.run(6000);
    assert!(bench.events(2).contains(&"FAILED TO RECEIVE".to_string()));
    assert_eq!(bench.delivered(1), [b"unheard".to_vec()]);
    bench.deaf = None;
    bench.run(3000);
    assert_eq!(bench.nodes[1].members(), [NodeId(1), NodeId(2)]);
    bench.send(1, b"heard");
    bench.run(100);
    assert_eq!(bench.delivered(2).last().unwrap(), b"heard");
}

#[test]
fn heartbeats_find_a_loss_before_the_token_timeout() {
    let mut bench = Bench::new(2);
    let config = Config { heartbeat_failures_allowed: 2, ..Config::with_token(1000) };
    assert_eq!(config.heartbeat(), Some(Duration::from_millis(2 * 238 + 50)));
    for node in &mut bench.nodes {
        node.set_config(config.clone());
    }
    bench.run(1000);
    // The representative dies (one that holds the token hears no heartbeat: upstream's way).
    bench.up[0] = false;
    // From the death: 526 ms of heartbeats (or up to the rest of a rotation more), 1200 of
    // consensus; the token alone would take 2200.
    bench.run(1950);
    assert_eq!(bench.nodes[1].members(), [NodeId(2)]);
}

#[test]
fn a_brake_slows_the_token_and_lets_go() {
    let mut bench = Bench::new(3);
    bench.run(2000);
    let tokens = |bench: &Bench| bench.nodes[0].stats(bench.now).orf_token_rx;
    // Busy, so that the token is not held.
    let spin = |bench: &mut Bench, ms: u64| {
        let (end, before) = (bench.now + Duration::from_millis(ms), tokens(bench));
        while bench.now < end {
            bench.send(2, b"x");
            bench.run(1);
        }
        tokens(bench) - before
    };
    let free = spin(&mut bench, 200);
    bench.nodes[2].set_brake(Duration::from_millis(20));
    let slow = spin(&mut bench, 200);
    assert!(free > 100 && (5..=12).contains(&slow), "{free} {slow}");
    // More than the ring bears is not done: nobody thinks the token lost.
    bench.nodes[2].set_brake(Duration::from_secs(9));
    let ring = bench.nodes[0].ring_id();
    assert!(spin(&mut bench, 2000) >= 10);
    assert_eq!(bench.nodes[0].ring_id(), ring);
    bench.nodes[2].set_brake(Duration::ZERO);
    assert!(spin(&mut bench, 200) > 100);
}

/// Messages that pour in are gathered; one after the other is not kept waiting.
#[test]
fn only_a_flood_is_gathered() {
    let mut bench = Bench::new(2);
    bench.run(2000);
    for _ in 0..20 {
        bench.send(2, b"one");
        bench.run(1);
    }
    assert!(!bench.nodes[1].is_flooded(bench.now));
    let now = bench.now;
    for _ in 0..20 {
        bench.nodes[1].multicast(now, Guarantee::Agreed, b"a", &[b"many"]);
    }
    assert!(bench.nodes[1].is_flooded(now));
    bench.drain();
    bench.run(3);
    assert_eq!(bench.delivered(1).len(), 40);
    assert!(bench.nodes[1].is_flooded(bench.now));
    bench.run(10);
    assert!(!bench.nodes[1].is_flooded(bench.now));
}

/// The representative has the token of an idle ring: its message leaves without a rotation.
#[test]
fn a_held_token_takes_the_message_along() {
    let mut bench = Bench::new(3);
    bench.run(2000);
    bench.log.clear();
    let now = bench.now;
    bench.nodes[0].multicast(now, Guarantee::Agreed, b"a", &[b"at once"]);
    let mut kinds = Vec::new();
    while let Some(output) = bench.nodes[0].poll_output() {
        match output {
            Output::Multicast(packet) | Output::Unicast { packet, .. } => kinds.push(packet[3]),
            Output::Deliver(_) => kinds.push(99),
            _ => {}
        }
    }
    assert_eq!(kinds, [Kind::Mcast as u8, Kind::Token as u8, 99]);
}
