use super::*;
use crate::engine::tests::{Cluster, error, id};

const GROUP: &[u8] = b"crmd";

fn join(group: &[u8], pid: u32, flags: u32) -> Vec<u8> {
    let mut request = Message::request(0, 168);
    request.put_u32(16, group.len() as u32);
    request.put(24, group);
    request.put_u32(152, pid);
    request.put_u32(160, flags);
    request.into_bytes()
}

fn leave(group: &[u8], pid: u32) -> Vec<u8> {
    let mut request = Message::request(1, 160);
    request.put_u32(16, group.len() as u32);
    request.put(24, group);
    request.put_u32(152, pid);
    request.into_bytes()
}

fn send(text: &[u8]) -> Vec<u8> {
    let mut request = Message::request(2, 40 + text.len());
    request.put_u32(32, text.len() as u32);
    request.put(40, text);
    request.into_bytes()
}

fn part(total: u32, kind: u32, text: &[u8]) -> Vec<u8> {
    let mut request = Message::request(12, 56 + text.len());
    request.put_u32(32, total);
    request.put_u32(40, text.len() as u32);
    request.put_u32(48, kind);
    request.put(56, text);
    request.into_bytes()
}

/// Members, left and joined of a CONFCHG, as (node, pid, reason).
type Confchg = [Vec<(u32, u32, u32)>; 3];

fn confchg(event: &[u8]) -> Confchg {
    let fields = Fields::new(event);
    assert_eq!(fields.i32(0), Some(4));
    let count = |at| fields.u32(at).unwrap() as usize;
    let (members, joined, left) = (count(160), count(168), count(176));
    assert_eq!(event.len(), 184 + 24 * (members + joined + left));
    let list = |from: usize, len: usize| {
        (from..from + len)
            .map(|nth| {
                let at = 184 + 24 * nth;
                let word = |offset| fields.u32(at + offset).unwrap();
                (word(0), word(8), word(16))
            })
            .collect()
    };
    [list(0, members), list(members, left), list(members + left, joined)]
}

fn delivered(events: Vec<Vec<u8>>) -> Vec<(u32, u32, String)> {
    let texts = events.iter().filter(|event| id(event) == 5).map(|event| {
        let fields = Fields::new(event);
        let text = String::from_utf8(event[184..].to_vec()).unwrap();
        (fields.u32(168).unwrap(), fields.u32(176).unwrap(), text)
    });
    texts.collect()
}

/// Nodes 1 to n in one ring, one client each (connection 9, pid 100 + node) in the group.
fn group_of(n: u32) -> Cluster {
    let mut cluster = Cluster::new(n, &[]);
    let all: Vec<u32> = (1..=n).collect();
    cluster.form(&[&all]);
    for node in all {
        cluster.connect(node, 9, ServiceId::Cpg);
        assert_eq!(error(&cluster.ask(node, 9, join(GROUP, 100 + node, 0))), 1);
    }
    cluster
}

#[test]
fn members_see_each_other_come_and_go() {
    let mut cluster = group_of(2);
    let first: Vec<Confchg> = cluster.events(1, 9).iter().map(|event| confchg(event)).collect();
    assert_eq!(first[0], [vec![(1, 101, 0)], vec![], vec![(1, 101, 1)]]);
    assert_eq!(first[1], [vec![(1, 101, 0), (2, 102, 0)], vec![], vec![(2, 102, 1)]]);
    assert_eq!(error(&cluster.ask(2, 9, leave(GROUP, 102))), 1);
    assert_eq!(confchg(&cluster.events(1, 9)[0]), [vec![(1, 101, 0)], vec![(2, 102, 2)], vec![]]);
    // The one who left hears of it, and then cannot come back on the same connection.
    assert_eq!(cluster.events(2, 9).len(), 2);
    assert_eq!(error(&cluster.ask(2, 9, join(GROUP, 102, 0))), 14);
    assert_eq!(error(&cluster.ask(2, 9, join(b"other", 102, 0))), 10);
}

#[test]
fn messages_arrive_everywhere_in_one_order() {
    let mut cluster = group_of(3);
    for node in 1..=3 {
        cluster.events(node, 9);
    }
    for (node, text) in [(2, "a"), (1, "b"), (3, ""), (2, "d")] {
        assert_eq!(cluster.ask(node, 9, send(text.as_bytes())).len(), 0);
    }
    let wanted: Vec<(u32, u32, String)> =
        [(2, 102, "a"), (1, 101, "b"), (3, 103, ""), (2, 102, "d")]
            .map(|(node, pid, text)| (node, pid, text.to_owned()))
            .to_vec();
    for node in 1..=3 {
        assert_eq!(delivered(cluster.events(node, 9)), wanted);
    }
}

#[test]
fn who_is_in_no_group_can_neither_send_nor_leave() {
    let mut cluster = Cluster::new(1, &[]);
    cluster.connect(1, 9, ServiceId::Cpg);
    assert_eq!(cluster.ask(1, 9, send(b"x")).len(), 0);
    assert!(cluster.lines(1).iter().any(|line| line.contains("can't mcast to group")));
    assert_eq!(error(&cluster.ask(1, 9, leave(GROUP, 1))), 12);
    assert_eq!(error(&cluster.ask(1, 9, join(GROUP, 1, 0))), 1);
    assert_eq!(error(&cluster.ask(1, 9, join(GROUP, 1, 0))), 14);
    assert_eq!(error(&cluster.ask(1, 9, join(b"other", 1, 0))), 14);
    let mut long = Message::request(0, 168);
    long.put_u32(16, 129);
    assert_eq!(error(&cluster.ask(1, 9, long.into_bytes())), 13);
}

#[test]
fn a_closed_connection_is_a_dead_process() {
    let mut cluster = group_of(2);
    cluster.events(1, 9);
    cluster.disconnect(2, 9);
    assert_eq!(confchg(&cluster.events(1, 9)[0])[1], [(2, 102, 5)]);
    // A finalised client leaves at once and hears nothing more.
    assert_eq!(id(&cluster.ask(1, 9, Message::request(8, 16).into_bytes())[0]), 12);
    assert_eq!(cluster.events(1, 9).len(), 0);
}

#[test]
fn lost_nodes_leave_and_found_nodes_join() {
    let mut cluster = group_of(3);
    for node in 1..=3 {
        cluster.events(node, 9);
    }
    cluster.form(&[&[1, 2], &[3]]);
    let events = cluster.events(1, 9);
    let both = vec![(1, 101, 0), (2, 102, 0)];
    assert_eq!(confchg(&events[0]), [both.clone(), vec![(3, 103, 3)], vec![]]);
    // Then the ring itself: id, members.
    let ring = Fields::new(&events[1]);
    assert_eq!((ring.i32(0), ring.u32(40), ring.u32(44)), (Some(13), Some(2), Some(1)));
    let alone = confchg(&cluster.events(3, 9)[0]);
    assert_eq!(alone, [vec![(3, 103, 0)], vec![(1, 101, 3), (2, 102, 3)], vec![]]);
    cluster.form(&[&[1, 2, 3]]);
    let all = vec![(1, 101, 0), (2, 102, 0), (3, 103, 0)];
    assert_eq!(confchg(&cluster.events(1, 9)[0]), [all.clone(), vec![], vec![(3, 103, 4)]]);
    let [members, left, joined] = confchg(&cluster.events(3, 9)[0]);
    assert_eq!((members, left, joined.len()), (all, vec![], 2));
    assert!(joined.iter().all(|(_, _, reason)| *reason == 4));
}

/// Node 3 leaves and returns while synchronisations are interrupted: at the end it has been away.
#[test]
fn who_was_lost_in_between_has_left() {
    let nodes = |ids: &[u32]| -> Vec<NodeId> { ids.iter().copied().map(NodeId).collect() };
    let mut cpg = Cpg { old_members: nodes(&[1, 2, 3]), ..Cpg::default() };
    let steps: [(&[u32], &[u32], &[u32]); 4] = [
        (&[2, 3], &[2, 3], &[1]),
        (&[2], &[2], &[1, 3]),
        (&[2], &[2, 3], &[1, 3]),
        (&[2, 3], &[1, 2, 3], &[1, 3]),
    ];
    for (trans, members, left) in steps {
        cpg.sync_init(&nodes(trans), &nodes(members), RingId::default());
        assert_eq!(cpg.left_nodes, nodes(left));
        cpg.sync_abort();
    }
}

#[test]
fn a_big_message_is_interrupted_by_a_membership_change() {
    let mut cluster = group_of(2);
    assert_eq!(error(&cluster.ask(1, 9, part(6, 1, b"abc"))), 1);
    assert_eq!(error(&cluster.ask(1, 9, part(6, 3, b"def"))), 1);
    let parts = cluster.events(2, 9);
    let parts: Vec<&Vec<u8>> = parts.iter().filter(|event| id(event) == 17).collect();
    assert_eq!(parts.len(), 2);
    assert_eq!((&parts[0][200..], &parts[1][200..]), (&b"abc"[..], &b"def"[..]));
    assert_eq!(Fields::new(parts[1]).u32(192), Some(3));
    assert_eq!(error(&cluster.ask(1, 9, part(6, 1, b"abc"))), 1);
    cluster.disconnect(2, 9);
    assert_eq!(error(&cluster.ask(1, 9, part(6, 3, b"def"))), 16);
    assert_eq!(error(&cluster.ask(1, 9, part(6, 1, b"abc"))), 1);
}

#[test]
fn groups_and_members_can_be_listed() {
    let mut cluster = group_of(2);
    cluster.connect(1, 8, ServiceId::Cpg);
    assert_eq!(error(&cluster.ask(1, 8, join(b"attrd", 55, 0))), 1);
    let list = |cluster: &mut Cluster, kind: u32| {
        let mut request = Message::request(5, 160);
        request.put_u32(16, 4);
        request.put(24, GROUP);
        request.put_u32(152, kind);
        let answer = cluster.ask(1, 8, request.into_bytes());
        let handle = Fields::new(&answer[0]).u64(24).unwrap();
        let mut found = Vec::new();
        loop {
            let mut next = Message::request(6, 24);
            next.put_u64(16, handle);
            let answer = cluster.ask(1, 8, next.into_bytes());
            if error(&answer) == 27 {
                break;
            }
            let fields = Fields::new(&answer[0]);
            let name = wire::group_at(&fields, 24).unwrap();
            found.push((String::from_utf8(name).unwrap(), fields.u32(160), fields.u32(164)));
        }
        let mut end = Message::request(7, 24);
        end.put_u64(16, handle);
        let end = end.into_bytes();
        assert_eq!(error(&cluster.ask(1, 8, end.clone())), 1);
        assert_eq!(error(&cluster.ask(1, 8, end)), 9);
        found
    };
    let names: Vec<String> = list(&mut cluster, 1).into_iter().map(|found| found.0).collect();
    assert_eq!(names, ["crmd", "attrd"]);
    assert_eq!(list(&mut cluster, 2).len(), 2);
    assert_eq!(list(&mut cluster, 3).len(), 3);
    let mut request = Message::request(3, 152);
    request.put_u32(16, 4);
    request.put(24, GROUP);
    let answer = cluster.ask(1, 8, request.into_bytes());
    assert_eq!(answer[0].len(), 9248);
    assert_eq!(Fields::new(&answer[0]).u32(24), Some(2));
}

#[test]
fn a_client_may_ask_for_the_ring_with_its_first_event() {
    let mut cluster = Cluster::new(1, &[]);
    cluster.connect(1, 9, ServiceId::Cpg);
    cluster.ask(1, 9, join(GROUP, 1, 1));
    let ids: Vec<i32> = cluster.events(1, 9).iter().map(|event| id(event)).collect();
    assert_eq!(ids, [4, 13]);
}

#[test]
fn names_are_printed_safely() {
    assert_eq!(printable(b"a\\b\x01 c"), "a\\\\b\\x01 c");
}
