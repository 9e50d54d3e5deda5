use super::*;
use crate::engine::tests::{Cluster, error, id};
use crate::wire::{Fields, Message};

fn on(key: &'static str) -> (&'static str, Value) {
    (key, Value::U8(1))
}

/// Expected, highest, total and needed votes and the flags, as `corosync-quorumtool -s` asks.
fn info(cluster: &mut Cluster, node: u32) -> [u32; 5] {
    cluster.connect(node, 5, ServiceId::Votequorum);
    let answer = cluster.ask(node, 5, Message::request(0, 24).into_bytes()).remove(0);
    let fields = Fields::new(&answer);
    [36, 40, 44, 48, 52].map(|at| fields.u32(at).unwrap())
}

fn wait(cluster: &mut Cluster, node: u32, ms: u64) {
    cluster.now = Time::from_nanos(cluster.now.as_nanos() + ms * 1_000_000);
    let now = cluster.now;
    cluster.engine(node).handle_timeout(now);
    cluster.run();
}

const QUORATE: u32 = info_flag::QUORATE;

#[test]
fn a_majority_of_the_listed_votes_is_needed() {
    let mut cluster = Cluster::new(3, &[]);
    assert_eq!(info(&mut cluster, 1), [3, 3, 1, 2, 0]);
    cluster.form(&[&[1, 2, 3]]);
    assert_eq!(info(&mut cluster, 1), [3, 3, 3, 2, QUORATE]);
    cluster.form(&[&[1, 2]]);
    assert_eq!(info(&mut cluster, 1), [3, 3, 2, 2, QUORATE]);
}

#[test]
fn two_nodes_wait_for_each_other_once() {
    let mut cluster = Cluster::new(2, &[on("quorum.two_node")]);
    let flags = info_flag::TWONODE | info_flag::WAIT_FOR_ALL;
    assert_eq!(info(&mut cluster, 1)[4], flags);
    assert!(
        cluster.lines(1).contains(
            &"Waiting for all cluster members. Current votes: 1 expected_votes: 2".into()
        )
    );
    cluster.form(&[&[1, 2]]);
    assert_eq!(info(&mut cluster, 1), [2, 2, 2, 1, flags | QUORATE]);
    assert_eq!(cluster.engine(1).map().get_u8("runtime.votequorum.wait_for_all_status"), Some(0));
    cluster.form(&[&[1]]);
    assert_eq!(info(&mut cluster, 1), [2, 2, 1, 1, flags | QUORATE]);
}

#[test]
fn two_nodes_without_waiting_start_alone() {
    let keys = [on("quorum.two_node"), ("quorum.wait_for_all", Value::U8(0))];
    let mut cluster = Cluster::new(2, &keys);
    assert!(cluster.engine(1).is_quorate());
}

#[test]
fn waiting_for_all_can_be_cancelled() {
    let mut cluster = Cluster::new(3, &[on("quorum.wait_for_all")]);
    cluster.form(&[&[1, 2]]);
    assert!(!cluster.engine(1).is_quorate());
    cluster.engine(1).map_mut().put("quorum.cancel_wait_for_all", Value::U8(1));
    wait(&mut cluster, 1, 1);
    assert!(cluster.engine(1).is_quorate() && cluster.engine(2).is_quorate());
    assert_eq!(cluster.engine(1).map().get_u8("quorum.cancel_wait_for_all"), Some(0));
}

#[test]
fn a_late_node_learns_quorum_from_the_quorate() {
    let mut cluster = Cluster::new(3, &[on("quorum.wait_for_all")]);
    cluster.form(&[&[1, 2, 3]]);
    cluster.form(&[&[1, 2]]);
    assert!(cluster.engine(1).is_quorate());
    // Node 3 lost it, and gets it back from the others.
    cluster.form(&[&[1, 2], &[3]]);
    assert!(!cluster.engine(3).is_quorate());
    cluster.form(&[&[1, 2, 3]]);
    assert!(cluster.engine(3).is_quorate());
}

#[test]
fn an_even_split_is_decided_by_the_tie_breaker() {
    let flags = info_flag::AUTO_TIE_BREAKER;
    let lowest = [on("quorum.auto_tie_breaker")];
    let mut cluster = Cluster::new(2, &lowest);
    cluster.form(&[&[1, 2]]);
    cluster.form(&[&[1], &[2]]);
    assert_eq!(info(&mut cluster, 1), [2, 2, 1, 2, flags | QUORATE]);
    assert_eq!(info(&mut cluster, 2), [2, 2, 1, 2, flags]);
    for (word, winner) in [("highest", 2), ("2 1", 2), ("1 2", 1)] {
        let keys = [on("quorum.auto_tie_breaker"), ("quorum.auto_tie_breaker_node", word.into())];
        let mut cluster = Cluster::new(2, &keys);
        cluster.form(&[&[1, 2]]);
        cluster.form(&[&[1], &[2]]);
        for node in [1, 2] {
            assert_eq!(cluster.engine(node).is_quorate(), node == winner, "{word}: node {node}");
        }
    }
}

#[test]
fn the_last_man_stands_after_the_window() {
    let keys =
        [on("quorum.last_man_standing"), ("quorum.last_man_standing_window", Value::U32(2000))];
    let flags = info_flag::LAST_MAN_STANDING | QUORATE;
    let mut cluster = Cluster::new(3, &keys);
    cluster.form(&[&[1, 2, 3]]);
    cluster.form(&[&[1, 2]]);
    assert_eq!(info(&mut cluster, 1), [3, 3, 2, 2, flags]);
    wait(&mut cluster, 1, 2000);
    wait(&mut cluster, 2, 0);
    assert_eq!(info(&mut cluster, 1), [2, 2, 2, 2, flags]);
    cluster.form(&[&[1]]);
    assert_eq!(info(&mut cluster, 1), [2, 2, 1, 2, info_flag::LAST_MAN_STANDING]);
}

#[test]
fn with_all_options_one_node_remains() {
    let keys =
        [on("quorum.last_man_standing"), on("quorum.wait_for_all"), on("quorum.auto_tie_breaker")];
    let mut cluster = Cluster::new(3, &keys);
    cluster.form(&[&[1, 2, 3]]);
    cluster.form(&[&[1, 2]]);
    wait(&mut cluster, 1, 10_000);
    wait(&mut cluster, 2, 0);
    assert_eq!(info(&mut cluster, 1)[..4], [2, 2, 2, 2]);
    cluster.form(&[&[1]]);
    wait(&mut cluster, 1, 10_000);
    assert_eq!(info(&mut cluster, 1)[..4], [1, 1, 1, 1]);
    assert!(cluster.engine(1).is_quorate());
}

#[test]
fn expected_votes_and_votes_can_be_set() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.form(&[&[1, 2, 3]]);
    cluster.connect(1, 6, ServiceId::Votequorum);
    let set = |id: i32, value: u32, node: u32| {
        let mut request = Message::request(id, 24);
        request.put_u32(16, value);
        request.put_u32(20, node);
        request.into_bytes()
    };
    assert_eq!(error(&cluster.ask(1, 6, set(1, 2, 0))), 7, "fewer than are here");
    assert_eq!(error(&cluster.ask(1, 6, set(1, 6, 0))), 7, "would block");
    assert_eq!(error(&cluster.ask(1, 6, set(1, 5, 0))), 1);
    assert_eq!(info(&mut cluster, 2)[..4], [5, 5, 3, 3]);
    assert_eq!(error(&cluster.ask(1, 6, set(2, 1, 9))), 17);
    assert_eq!(error(&cluster.ask(1, 6, set(2, 2, 3))), 1);
    assert_eq!(info(&mut cluster, 2)[..4], [5, 5, 4, 3]);
}

#[test]
fn trackers_get_nodes_and_quorum() {
    let mut cluster = Cluster::new(2, &[]);
    cluster.connect(1, 6, ServiceId::Votequorum);
    let mut track = Message::request(3, 32);
    track.put_u64(16, 0xabc);
    track.put_u32(24, TRACK_CHANGES);
    let track = track.into_bytes();
    assert_eq!(error(&cluster.ask(1, 6, track.clone())), 1);
    assert_eq!(cluster.events(1, 6).iter().map(|e| id(e)).collect::<Vec<_>>(), [5, 3]);
    assert_eq!(error(&cluster.ask(1, 6, track)), 14);
    cluster.events(1, 6);
    cluster.form(&[&[1, 2]]);
    let events = cluster.events(1, 6);
    let last = Fields::new(events.last().unwrap());
    assert_eq!((last.i32(0), last.u32(24), last.u64(32)), (Some(3), Some(1), Some(0xabc)));
    // Upstream's order of a second node.
    assert_eq!((last.u32(40), last.u32(48), last.u32(56)), (Some(2), Some(2), Some(1)));
}

#[test]
fn conflicts_refuse_to_start() {
    let device = ("quorum.device.model", Value::text("net"));
    for (keys, wanted) in [
        (
            vec![on("quorum.two_node"), device.clone()],
            "configuration error: two_node and quorum device cannot be configured at the same time!",
        ),
        (
            vec![on("quorum.last_man_standing"), device.clone()],
            "configuration error: quorum.device is not compatible with last_man_standing",
        ),
        (
            vec![device.clone(), ("quorum.expected_votes", Value::U32(3))],
            "configuration error: quorum.device.votes must be specified when quorum.expected_votes is set",
        ),
    ] {
        let mut map = crate::cmap::Map::new();
        map.put("quorum.provider", "corosync_votequorum".into());
        map.put("nodelist.node.0.nodeid", Value::U32(1));
        map.put("nodelist.node.1.nodeid", Value::U32(2));
        map.put("nodelist.local_node_pos", Value::U32(0));
        for (key, value) in keys {
            map.put(key, value);
        }
        let error = crate::engine::Engine::new(NodeId(1), map).load(Time::ZERO, 0).unwrap_err();
        assert_eq!(error.reason, wanted);
    }
}

#[test]
fn a_quorum_device_brings_a_vote() {
    let keys =
        [("quorum.device.model", Value::text("net")), ("quorum.device.votes", Value::U32(1))];
    let mut cluster = Cluster::new(2, &keys);
    cluster.form(&[&[1, 2]]);
    assert_eq!(info(&mut cluster, 1)[..4], [3, 3, 2, 2]);
    cluster.connect(1, 6, ServiceId::Votequorum);
    let register = |name: &[u8]| {
        let mut request = Message::request(5, 272);
        request.put(16, name);
        request.into_bytes()
    };
    assert_eq!(error(&cluster.ask(1, 6, register(b"mydev"))), 1);
    assert_eq!(error(&cluster.ask(1, 6, register(b"mydev"))), 1);
    assert_eq!(error(&cluster.ask(1, 6, register(b"other"))), 14);
    let seq = cluster.seen.len() as u64 * 4 + 4;
    let poll = |name: &[u8], cast: u32, seq: u64| {
        let mut request = Message::request(8, 296);
        request.put(16, name);
        request.put_u32(272, cast);
        request.put_u32(280, 1);
        request.put_u64(288, seq);
        request.into_bytes()
    };
    assert_eq!(error(&cluster.ask(1, 6, poll(b"mydev", 1, 999))), 22);
    assert_eq!(error(&cluster.ask(1, 6, poll(b"other", 1, seq))), 7);
    assert_eq!(error(&cluster.ask(1, 6, poll(b"mydev", 1, seq))), 1);
    let flags = QUORATE
        | info_flag::QDEVICE_REGISTERED
        | info_flag::QDEVICE_ALIVE
        | info_flag::QDEVICE_CAST_VOTE;
    assert_eq!(info(&mut cluster, 1), [3, 3, 3, 2, flags]);
    wait(&mut cluster, 1, 10_000);
    let lost = info_flag::QDEVICE_REGISTERED | QUORATE;
    assert_eq!(info(&mut cluster, 1), [3, 3, 2, 2, lost]);
}
