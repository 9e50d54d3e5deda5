//! Engines on a pretended ring: one queue carries all multicasts to all members in one order.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::*;
use crate::config::parse::Parsed;
use crate::wire::Message;

/// Nothing around the engine.
struct Nowhere;
impl Surroundings for Nowhere {
    fn stats(&self) -> Vec<(String, Value)> {
        vec![("stats.srp.mcast_tx".into(), Value::U64(7))]
    }
    fn clear_stats(&self, _: &str) {}
    fn node_status(&self, node: NodeId) -> Option<NodeStatus> {
        (node.0 < 10).then(|| NodeStatus { is_reachable: true, ..NodeStatus::default() })
    }
    fn addresses(&self, node: NodeId) -> Vec<IpAddr> {
        if node.0 < 10 { vec![IpAddr::from([10, 0, 0, node.0 as u8])] } else { Vec::new() }
    }
    fn links(&self) -> Vec<(String, String)> {
        vec![("0 10.0.0.1".into(), "OK".into())]
    }
}

/// Some engines and the ring between those that are together.
pub(crate) struct Cluster {
    pub(crate) now: Time,
    engines: Vec<Engine>,
    parts: Vec<Vec<NodeId>>,
    seq: u64,
    /// What came out for clients and the shell, per node.
    pub(crate) seen: Vec<Vec<Output>>,
    queue: VecDeque<(NodeId, &'static [u8], Vec<u8>)>,
}

impl Cluster {
    /// `n` nodes, each alone, with these keys.
    pub(crate) fn new(n: u32, keys: &[(&str, Value)]) -> Cluster {
        let engines = (1..=n)
            .map(|id| {
                let mut map = Map::new();
                map.put("quorum.provider", "corosync_votequorum".into());
                for node in 0..n {
                    map.put(&format!("nodelist.node.{node}.nodeid"), Value::U32(node + 1));
                }
                map.put("nodelist.local_node_pos", Value::U32(id - 1));
                for (key, value) in keys {
                    map.put(key, value.clone());
                }
                let mut engine = Engine::new(NodeId(id), map);
                engine.load(Time::ZERO, 0).unwrap();
                engine
            })
            .collect();
        let mut cluster = Cluster {
            now: Time::ZERO,
            engines,
            parts: Vec::new(),
            seq: 4,
            seen: vec![Vec::new(); n as usize],
            queue: VecDeque::new(),
        };
        let alone: Vec<Vec<u32>> = (1..=n).map(|id| vec![id]).collect();
        let alone: Vec<&[u32]> = alone.iter().map(Vec::as_slice).collect();
        cluster.form(&alone);
        cluster
    }

    pub(crate) fn engine(&mut self, node: u32) -> &mut Engine {
        &mut self.engines[node as usize - 1]
    }

    /// New rings: each list is one. Nodes in none of them are dead.
    pub(crate) fn form(&mut self, rings: &[&[u32]]) {
        self.seq += 4;
        let old = std::mem::take(&mut self.parts);
        for ring in rings {
            let members: Vec<NodeId> = ring.iter().copied().map(NodeId).collect();
            let id = RingId { rep: members[0], seq: self.seq };
            for node in &members {
                let before =
                    old.iter().find(|part| part.contains(node)).cloned().unwrap_or_default();
                let trans: Vec<NodeId> =
                    before.iter().filter(|old| members.contains(old)).copied().collect();
                let change = |members: &[NodeId], is_transitional| Membership {
                    ring: id,
                    members: members.to_vec(),
                    left: before.iter().filter(|n| !members.contains(n)).copied().collect(),
                    joined: members.iter().filter(|n| !trans.contains(n)).copied().collect(),
                    is_transitional,
                };
                let text = |node: NodeId| format!("r(0) ip(10.0.0.{node}) ");
                let now = self.now;
                let engine = self.engine(node.0);
                let mut first = change(&trans, true);
                first.joined.clear();
                engine.handle_membership(now, &first, &text);
                let mut second = change(&members, false);
                second.left.clear();
                engine.handle_membership(now, &second, &text);
            }
            self.parts.push(members);
        }
        self.run();
    }

    /// Delivers until nothing is under way.
    pub(crate) fn run(&mut self) {
        loop {
            for (nth, engine) in self.engines.iter_mut().enumerate() {
                for output in engine.take_outputs() {
                    match output {
                        Output::Mcast { group, payload } => {
                            self.queue.push_back((engine.me, group, payload));
                        }
                        other => self.seen[nth].push(other),
                    }
                }
            }
            let Some((from, group, payload)) = self.queue.pop_front() else { return };
            let members = self.parts.iter().find(|part| part.contains(&from)).cloned();
            for node in members.unwrap_or_default() {
                let now = self.now;
                self.engine(node.0).handle_delivery(now, from, group, &payload, false);
            }
        }
    }

    pub(crate) fn connect(&mut self, node: u32, conn: u64, service: ServiceId) {
        self.engine(node).handle_connect(ConnId(conn), service);
    }

    pub(crate) fn disconnect(&mut self, node: u32, conn: u64) {
        let now = self.now;
        self.engine(node).handle_disconnect(now, ConnId(conn));
        self.run();
    }

    /// Sends a request and gives what the client got, answers first.
    pub(crate) fn ask(&mut self, node: u32, conn: u64, request: Vec<u8>) -> Vec<Vec<u8>> {
        let now = self.now;
        self.engine(node).handle_request(now, &Nowhere, ConnId(conn), &request, Admission::Room);
        self.run();
        self.replies(node, conn)
    }

    pub(crate) fn replies(&mut self, node: u32, conn: u64) -> Vec<Vec<u8>> {
        self.take(node, |output| match output {
            Output::Reply { conn: to, bytes } if to.0 == conn => Some(bytes.clone()),
            _ => None,
        })
    }

    pub(crate) fn events(&mut self, node: u32, conn: u64) -> Vec<Vec<u8>> {
        self.take(node, |output| match output {
            Output::Event { conn: to, bytes } if to.0 == conn => Some(bytes.clone()),
            _ => None,
        })
    }

    pub(crate) fn lines(&mut self, node: u32) -> Vec<String> {
        self.take(node, |output| match output {
            Output::Log { text, .. } => Some(text.clone()),
            _ => None,
        })
    }

    fn take<T>(&mut self, node: u32, pick: impl Fn(&Output) -> Option<T>) -> Vec<T> {
        let seen = &mut self.seen[node as usize - 1];
        let found: Vec<T> = seen.iter().filter_map(&pick).collect();
        seen.retain(|output| pick(output).is_none());
        found
    }
}

/// The error of an answer.
pub(crate) fn error(answers: &[Vec<u8>]) -> i32 {
    assert_eq!(answers.len(), 1, "exactly one answer");
    Fields::new(&answers[0]).i32(16).unwrap()
}

/// The id of a message.
pub(crate) fn id(message: &[u8]) -> i32 {
    Fields::new(message).i32(0).unwrap()
}

#[test]
fn three_nodes_become_quorate_together_and_not_apart() {
    let mut cluster = Cluster::new(3, &[]);
    for node in 1..=3 {
        assert!(!cluster.engine(node).is_quorate());
        assert!(cluster.engine(node).is_ipc_allowed());
    }
    cluster.form(&[&[1, 2, 3]]);
    for node in 1..=3 {
        assert!(cluster.engine(node).is_quorate());
        assert!(!cluster.engine(node).is_syncing());
    }
    let lines = cluster.lines(1);
    for wanted in [
        "Service engine loaded: corosync configuration map access [0]",
        "Using quorum provider corosync_votequorum",
        "Sync members[3]: 1 2 3",
        "Sync joined[2]: 2 3",
        "This node is within the primary component and will provide service.",
        "Members[3]: 1 2 3",
        "Completed service synchronization, ready to provide service.",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted} in {lines:#?}");
    }
    cluster.form(&[&[1, 2], &[3]]);
    assert!(cluster.engine(1).is_quorate() && !cluster.engine(3).is_quorate());
    assert!(cluster.lines(3).contains(
        &"This node is within the non-primary component and will NOT provide any services.".into()
    ));
    let status = |cluster: &mut Cluster, node: u32| {
        cluster.engine(1).map().get_text(&format!("runtime.members.{node}.status")).unwrap()
    };
    assert_eq!(
        (status(&mut cluster, 2), status(&mut cluster, 3)),
        ("joined".into(), "left".into())
    );
    cluster.form(&[&[1, 2, 3]]);
    assert!(cluster.engine(3).is_quorate());
    assert_eq!(cluster.engine(1).map().get_u32("runtime.members.3.join_count"), Some(2));
}

#[test]
fn a_service_that_cannot_load_says_why() {
    let mut map = Map::new();
    map.put("quorum.provider", "corosync_magic".into());
    let error = Engine::new(NodeId(1), map).load(Time::ZERO, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Service engine 'corosync_quorum' failed to load for reason 'Invalid quorum provider'"
    );
}

#[test]
fn votequorum_is_unloaded_first_then_the_others_by_number() {
    let mut cluster = Cluster::new(1, &[]);
    let order: Vec<usize> =
        cluster.engine(1).unload_order().iter().map(|service| service.id as usize).collect();
    assert_eq!(order, [5, 0, 1, 2, 3, 4, 6, 7]);
}

#[test]
fn requests_that_cannot_be_carried_are_refused_by_header_alone() {
    let mut cluster = Cluster::new(1, &[]);
    cluster.connect(1, 9, ServiceId::Cpg);
    let leave = Message::request(1, 160).into_bytes();
    for (admission, wanted) in [(Admission::Full, 6), (Admission::TooBig, 7), (Admission::Room, 12)]
    {
        cluster.engine(1).handle_request(Time::ZERO, &Nowhere, ConnId(9), &leave, admission);
        cluster.run();
        assert_eq!(error(&cluster.replies(1, 9)), wanted, "{admission:?}");
    }
    assert_eq!(error(&cluster.ask(1, 9, Message::request(99, 16).into_bytes())), 7);
    assert_eq!(error(&cluster.ask(1, 9, vec![0; 3])), 7);
    // The one request without answer gets none for being refused either.
    let mcast = Message::request(2, 40).into_bytes();
    cluster.engine(1).handle_request(Time::ZERO, &Nowhere, ConnId(9), &mcast, Admission::Full);
    cluster.run();
    assert_eq!(cluster.replies(1, 9).len(), 0);
}

#[test]
fn accounts_need_permission() {
    let mut cluster = Cluster::new(1, &[("uidgid.config.gid.77", Value::U8(1))]);
    let engine = cluster.engine(1);
    assert!(engine.is_permitted(0, 5) && engine.is_permitted(5, 0) && engine.is_permitted(5, 77));
    assert!(!engine.is_permitted(5, 5));
    engine.map_mut().put("uidgid.uid.5", Value::U8(1));
    assert!(engine.is_permitted(5, 5));
}

#[test]
fn a_reload_replaces_keys_and_reports_what_it_cannot() {
    let mut cluster =
        Cluster::new(1, &[("totem.transport", "udpu".into()), ("totem.token", Value::U32(1))]);
    cluster.connect(1, 9, ServiceId::Cfg);
    assert_eq!(cluster.ask(1, 9, Message::request(7, 16).into_bytes()).len(), 0);
    assert!(cluster.seen[0].contains(&Output::ReadConfig));
    let mut parsed = Parsed::default();
    for (key, value) in [
        ("totem.transport", Value::text("udp")),
        ("totem.join", Value::U32(77)),
        ("quorum.provider", "corosync_votequorum".into()),
        ("nodelist.node.0.nodeid", Value::U32(1)),
        ("nodelist.local_node_pos", Value::U32(0)),
        ("quorum.expected_votes", Value::U32(5)),
    ] {
        parsed.keys.insert(key.into(), value);
    }
    cluster.engine(1).handle_reload(Time::ZERO, Ok(parsed), &|_| Ok(()));
    cluster.run();
    assert_eq!(error(&cluster.replies(1, 9)), 1);
    let lines = cluster.lines(1);
    let refusal = "Modified entry 'totem.transport' in corosync.conf cannot be changed at run-time";
    assert!(lines.iter().any(|line| line == refusal), "{lines:#?}");
    let map = cluster.engine(1).map();
    assert_eq!(map.get_text("totem.transport").as_deref(), Some("udpu"));
    assert_eq!((map.get_u32("totem.join"), map.get_u32("totem.token")), (Some(77), None));
    assert_eq!(map.get("config.reload_status"), Some(&Value::I32(1)));
    // Five expected, one here.
    assert!(!cluster.engine(1).is_quorate());

    cluster.ask(1, 9, Message::request(7, 16).into_bytes());
    cluster.engine(1).handle_reload(Time::ZERO, Err("parser error: x:1: y".into()), &|_| Ok(()));
    cluster.run();
    assert_eq!(error(&cluster.replies(1, 9)), 7);
    assert!(
        cluster.lines(1).contains(&"Unable to reload config file: parser error: x:1: y".into())
    );
}

#[test]
fn random_messages_from_clients_and_peers_never_panic() {
    let mut cluster = Cluster::new(2, &[]);
    cluster.form(&[&[1, 2]]);
    let services =
        [ServiceId::Cmap, ServiceId::Cfg, ServiceId::Cpg, ServiceId::Quorum, ServiceId::Votequorum];
    for (nth, service) in services.iter().enumerate() {
        cluster.connect(1, nth as u64 + 1, *service);
    }
    let mut seed = 42u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as u32
    };
    for round in 0..4000u32 {
        let len = 16 + random() as usize % 420;
        let mut bytes: Vec<u8> =
            (0..len).map(|_| if random() % 3 == 0 { random() as u8 } else { 0 }).collect();
        let conn = u64::from(round % 5) + 1;
        bytes[..4].copy_from_slice(&(random() % 14).to_ne_bytes());
        cluster.ask(1, conn, bytes.clone());
        let exec = ((random() % 8) << 16) | (random() % 8);
        bytes[..4].copy_from_slice(&exec.to_ne_bytes());
        let swapped = random() % 4 == 0;
        let group = if random() % 4 == 0 { GROUP_SYNC } else { GROUP_SERVICES };
        cluster.engine(1).handle_delivery(Time::ZERO, NodeId(2), group, &bytes, swapped);
        cluster.run();
        cluster.seen[0].clear();
    }
}

#[test]
fn ykd_lets_the_majority_of_the_last_primary_go_on() {
    let provider = [("quorum.provider", Value::text("corosync_ykd"))];
    let mut cluster = Cluster::new(3, &provider);
    assert!((1..=3).all(|node| cluster.engine(node).is_quorate()));
    cluster.form(&[&[1, 2, 3]]);
    assert!((1..=3).all(|node| cluster.engine(node).is_quorate()));
    cluster.form(&[&[1], &[2, 3]]);
    let quorate: Vec<bool> = (1..=3).map(|node| cluster.engine(node).is_quorate()).collect();
    assert_eq!(quorate, [false, true, true]);
    assert!(!cluster.engine(1).is_loaded(ServiceId::Votequorum));
}

#[test]
fn the_load_test_is_declined() {
    let mut cluster = Cluster::new(1, &[]);
    let said = |engine: &mut Engine| {
        engine
            .take_outputs()
            .iter()
            .filter(|output| format!("{output:?}").contains("cpg-load"))
            .count()
    };
    let engine = cluster.engine(1);
    engine.map_mut().put("pload.start", "please".into());
    engine.handle_map_changed(Time::ZERO);
    assert_eq!(said(engine), 0);
    let word = "i_totally_understand_pload_will_crash_my_cluster_and_kill_corosync_on_exit";
    engine.map_mut().put("pload.start", word.into());
    engine.handle_map_changed(Time::ZERO);
    assert_eq!(said(engine), 1);
    // Begun by another node.
    let start = Message::request(4 << 16, 24).into_bytes();
    engine.handle_delivery(Time::ZERO, NodeId(2), GROUP_SERVICES, &start, false);
    assert_eq!(said(engine), 1);
}
