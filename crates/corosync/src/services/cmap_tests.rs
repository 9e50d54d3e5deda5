use super::*;
use crate::engine::tests::{Cluster, error};

fn set(key: &str, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut request = Message::request(0, 296 + value.len());
    request.put_name(16, key.as_bytes());
    request.put_u64(280, value.len() as u64);
    request.put_u8(288, kind);
    request.put(296, value);
    request.into_bytes()
}

fn get(key: &str, room: u64) -> Vec<u8> {
    let mut request = Message::request(2, 288);
    request.put_name(16, key.as_bytes());
    request.put_u64(280, room);
    request.into_bytes()
}

fn with_handle(id: i32, handle: u64) -> Vec<u8> {
    let mut request = Message::request(id, 24);
    request.put_u64(16, handle);
    request.into_bytes()
}

fn track(key: &str, kind: u32, instance: u64) -> Vec<u8> {
    let mut request = Message::request(7, 296);
    request.put_name(16, key.as_bytes());
    request.put_u32(280, kind);
    request.put_u64(288, instance);
    request.into_bytes()
}

fn one() -> Cluster {
    let mut cluster = Cluster::new(1, &[]);
    cluster.connect(1, 9, ServiceId::Cmap);
    cluster
}

#[test]
fn values_are_set_and_got() {
    let mut cluster = one();
    assert_eq!(error(&cluster.ask(1, 9, set("my.key", 11, b"text"))), 1);
    let answer = cluster.ask(1, 9, get("my.key", 0));
    let fields = Fields::new(&answer[0]);
    assert_eq!((answer[0].len(), fields.u64(24), fields.u8(32)), (40, Some(5), Some(11)));
    let answer = cluster.ask(1, 9, get("my.key", 10));
    assert_eq!(&answer[0][40..], b"text\0\0\0\0\0\0");
    assert_eq!(error(&cluster.ask(1, 9, get("my.key", 4))), 7);
    assert_eq!(error(&cluster.ask(1, 9, get("my.other", 0))), 12);
    assert_eq!(error(&cluster.ask(1, 9, set("totem.version", 6, &[0; 4]))), 11);
    assert_eq!(error(&cluster.ask(1, 9, set("bad key", 6, &[0; 4]))), 13);
    assert_eq!(error(&cluster.ask(1, 9, set("my.key", 6, &[0; 3]))), 7);
}

#[test]
fn trackers_hear_of_changes_before_the_answer() {
    let mut cluster = one();
    let answer = cluster.ask(1, 9, track("my.", 8 | 4 | 2 | 1, 77));
    let handle = Fields::new(&answer[0]).u64(24).unwrap();
    cluster.ask(1, 9, set("my.key", 2, &[1]));
    let event = cluster.events(1, 9).remove(0);
    let fields = Fields::new(&event);
    assert_eq!((fields.i32(0), fields.u64(24), fields.u32(296)), (Some(9), Some(77), Some(4)));
    assert_eq!(fields.name(32), Some(&b"my.key"[..]));
    assert_eq!((fields.u64(320), fields.u64(328), &event[336..]), (Some(1), Some(0), &[1u8][..]));
    cluster.ask(1, 9, set("my.key", 2, &[1]));
    assert_eq!(cluster.events(1, 9).len(), 0, "no change, no event");
    let mut adjust = Message::request(3, 288);
    adjust.put_name(16, b"my.key");
    adjust.put_u32(280, 5);
    assert_eq!(error(&cluster.ask(1, 9, adjust.into_bytes())), 1);
    let event = cluster.events(1, 9).remove(0);
    assert_eq!((Fields::new(&event).u32(296), &event[336..]), (Some(2), &[6u8, 1][..]));
    let mut delete = Message::request(1, 280);
    delete.put_name(16, b"my.key");
    assert_eq!(error(&cluster.ask(1, 9, delete.into_bytes())), 1);
    assert_eq!(Fields::new(&cluster.events(1, 9)[0]).u32(296), Some(1));
    let answer = cluster.ask(1, 9, with_handle(8, handle));
    assert_eq!(Fields::new(&answer[0]).u64(24), Some(77));
    assert_eq!(error(&cluster.ask(1, 9, with_handle(8, handle))), 9);
}

#[test]
fn iterations_end_with_no_sections() {
    let mut cluster = one();
    let mut init = Message::request(4, 280);
    init.put_name(16, b"runtime.votequorum.t");
    let answer = cluster.ask(1, 9, init.into_bytes());
    let handle = Fields::new(&answer[0]).u64(24).unwrap();
    let mut keys = Vec::new();
    loop {
        let answer = cluster.ask(1, 9, with_handle(5, handle));
        if error(&answer) != 1 {
            assert_eq!(error(&answer), 27);
            break;
        }
        let name = Fields::new(&answer[0]).name(24).unwrap().to_vec();
        keys.push(String::from_utf8(name).unwrap());
    }
    assert_eq!(keys, ["runtime.votequorum.this_node_id", "runtime.votequorum.two_node"]);
    let select = |map| {
        let mut request = Message::request(9, 24);
        request.put_u32(16, map);
        request.into_bytes()
    };
    assert_eq!(error(&cluster.ask(1, 9, select(1))), 10, "an iterator is open");
    assert_eq!(error(&cluster.ask(1, 9, with_handle(6, handle))), 1);
    assert_eq!(error(&cluster.ask(1, 9, select(5))), 12);
    assert_eq!(error(&cluster.ask(1, 9, select(1))), 1);
    let answer = cluster.ask(1, 9, get("stats.srp.mcast_tx", 8));
    assert_eq!(&answer[0][40..], 7u64.to_ne_bytes());
    assert_eq!(error(&cluster.ask(1, 9, set("stats.clear.all", 6, &[1, 0, 0, 0]))), 1);
    assert_eq!(error(&cluster.ask(1, 9, set("stats.srp.mcast_tx", 8, &[0; 8]))), 11);
}

#[test]
fn counters_of_cluster_messages_are_in_the_map() {
    let mut cluster = one();
    let answer = cluster.ask(1, 9, get("runtime.services.cmap.0.rx", 8));
    assert_eq!(&answer[0][40..], 1u64.to_ne_bytes());
}

#[test]
fn the_version_message_is_upstreams_and_stale_nodes_stop() {
    let mut cluster = Cluster::new(2, &[]);
    cluster.form(&[&[1, 2]]);
    assert_eq!(cluster.engine(1).map().get_u64("runtime.members.2.config_version"), Some(0));
    assert!(!cluster.seen[0].contains(&Output::Shutdown));

    let mut cluster = Cluster::new(2, &[(VERSION_KEY, Value::U64(5))]);
    cluster.engine(2).map_mut().put(VERSION_KEY, Value::U64(6));
    cluster.form(&[&[1, 2]]);
    // (A node alone has nothing to compare with.)
    assert!(cluster.seen[0].contains(&Output::Shutdown));
    assert!(!cluster.seen[1].contains(&Output::Shutdown));
    assert!(cluster.lines(1).contains(
        &"Received config version (6) is different than my config version (5)! Exiting".into()
    ));
}

#[test]
fn keys_of_the_statistics_that_come_and_go_are_told() {
    let mut cluster = one();
    let mut select = Message::request(9, 24);
    select.put_u32(16, 1);
    assert_eq!(error(&cluster.ask(1, 9, select.into_bytes())), 1);
    assert_eq!(error(&cluster.ask(1, 9, track("stats.ipcs.", 8 | 4, 5))), 19);
    assert_eq!(error(&cluster.ask(1, 9, track("stats.ipcs.", 8 | 4 | 1, 5))), 1);
    let key = "stats.ipcs.service2.77.0x5.procname";
    cluster.engine(1).handle_stats_key(Time::ZERO, key, &"crm_mon".into(), true);
    cluster.engine(1).handle_stats_key(Time::ZERO, key, &"crm_mon".into(), false);
    cluster.run();
    let events = cluster.events(1, 9);
    let kinds: Vec<_> = events.iter().map(|event| Fields::new(event).u32(296)).collect();
    assert_eq!(kinds, [Some(4), Some(1)]);
    assert_eq!(&events[0][336..], b"crm_mon\0");
    // The configuration's trackers have nothing to do with it.
    cluster.ask(1, 9, set("stats.clear.all", 2, &[1]));
    assert_eq!(cluster.events(1, 9).len(), 0);
}
