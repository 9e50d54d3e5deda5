use super::*;
use crate::engine::tests::{Cluster, error, id};

fn word(id: i32, value: u32) -> Vec<u8> {
    let mut request = Message::request(id, 24);
    request.put_u32(16, value);
    request.into_bytes()
}

fn bare(id: i32) -> Vec<u8> {
    Message::request(id, 16).into_bytes()
}

/// Two nodes; on node 1 the clients 7, 8 and 9.
fn two() -> Cluster {
    let mut cluster = Cluster::new(2, &[]);
    cluster.form(&[&[1, 2]]);
    for conn in 7..=9 {
        cluster.connect(1, conn, ServiceId::Cfg);
    }
    cluster
}

#[test]
fn without_trackers_a_shutdown_is_granted_at_once() {
    let mut cluster = two();
    assert_eq!(error(&cluster.ask(1, 9, word(3, 0))), 1);
    assert!(cluster.seen[0].contains(&Output::Shutdown));
    assert!(!cluster.seen[1].contains(&Output::Shutdown));
    assert!(cluster.lines(2).contains(&"Node 1 was shut down by sysadmin".into()));
}

#[test]
fn trackers_vote_about_a_shutdown() {
    for (votes, flags, wanted) in [([1, 1], 0, 1), ([1, 0], 0, 10), ([0, 0], FLAG_REGARDLESS, 1)] {
        let mut cluster = two();
        for conn in [7, 8] {
            assert_eq!(error(&cluster.ask(1, conn, word(10, 0))), 1);
        }
        assert_eq!(cluster.ask(1, 9, word(3, flags)).len(), 0, "no answer yet");
        assert_eq!(error(&cluster.ask(1, 8, word(3, 0))), 14);
        for (conn, vote) in [7, 8].into_iter().zip(votes) {
            let event = cluster.events(1, conn).remove(0);
            assert_eq!((id(&event), Fields::new(&event).u32(24)), (10, Some(flags)));
            assert_eq!(error(&cluster.ask(1, conn, word(4, vote))), 1);
        }
        assert_eq!(error(&cluster.replies(1, 9)), wanted, "{votes:?}");
        assert_eq!(cluster.seen[0].contains(&Output::Shutdown), wanted == 1);
        assert_eq!(error(&cluster.ask(1, 7, word(4, 1))), 11, "nothing to vote about");
    }
}

#[test]
fn silence_is_a_no_and_a_gone_tracker_a_yes() {
    let mut cluster = two();
    cluster.ask(1, 7, word(10, 0));
    cluster.ask(1, 9, word(3, 0));
    cluster.events(1, 7);
    let later = cluster.engine(1).next_deadline().unwrap();
    assert_eq!(later.as_millis(), 5000);
    cluster.engine(1).handle_timeout(later);
    cluster.run();
    assert_eq!(error(&cluster.replies(1, 9)), 10);
    assert!(cluster.events(1, 7).is_empty(), "nobody is told of the end");

    cluster.ask(1, 9, word(3, 0));
    cluster.disconnect(1, 7);
    assert_eq!(error(&cluster.replies(1, 9)), 1);
}

#[test]
fn only_members_can_be_killed() {
    let mut cluster = two();
    let kill = |node: u32| {
        let mut request = Message::request(2, 288);
        request.put_u32(16, node);
        request.put_u16(24, 4);
        request.put(26, b"why?");
        request.into_bytes()
    };
    assert_eq!(error(&cluster.ask(1, 9, kill(5))), 12);
    assert_eq!(error(&cluster.ask(1, 9, kill(2))), 1);
    assert!(cluster.seen[1].contains(&Output::Die { status: 15 }));
    assert!(cluster.lines(2).contains(&"Killed by node 1 : why?".into()));
}

#[test]
fn states_and_addresses_are_answered() {
    let mut cluster = two();
    let ring = cluster.ask(1, 9, bare(0)).remove(0);
    assert_eq!(
        (ring.len(), &ring[32..42], &ring[2080..2082]),
        (10_272, &b"0 10.0.0.1"[..], &b"OK"[..])
    );
    assert_eq!(error(&cluster.ask(1, 9, bare(1))), 19);
    let local = cluster.ask(1, 9, bare(6)).remove(0);
    assert_eq!(Fields::new(&local).u32(24), Some(1));
    let address = cluster.ask(1, 9, word(5, 2)).remove(0);
    let fields = Fields::new(&address);
    assert_eq!(
        (fields.u32(24), fields.u32(28), &address[32..36]),
        (Some(2), Some(1), &[10, 0, 0, 2][..])
    );
    assert_eq!(error(&cluster.ask(1, 9, word(5, 99))), 12);
    let status = |node: u32, version: u32| {
        let mut request = Message::request(9, 32);
        request.put_u32(16, node);
        request.put_u32(24, version);
        request.into_bytes()
    };
    assert_eq!(cluster.ask(1, 9, status(2, 1)).remove(0).len(), 4200);
    assert_eq!(error(&cluster.ask(1, 9, status(99, 1))), 21);
    assert_eq!(error(&cluster.ask(1, 9, status(2, 7))), 19);
}
