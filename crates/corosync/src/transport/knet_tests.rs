use super::*;
use knet::{Cipher, Compression, Hash, Heartbeat, Policy};
use socket2::SockAddr;
use std::time::Duration;

fn config(me: u16) -> Config {
    Config {
        me,
        seed: [me as u8; 32],
        policy: Policy::Passive,
        pmtud_interval: Duration::from_secs(30),
        manual_mtu: 0,
        access_lists: true,
        compression: Compression::default(),
        deliver_own: false,
        stopwatch: Some(now),
    }
}

fn node(me: u16, other: u16, links: u8, port: u16) -> Knet {
    let at = |node: u16, number: u8| {
        SocketAddr::from(([127, 0, 1 + number, node as u8], port + u16::from(number)))
    };
    let heartbeat = Heartbeat {
        interval: Duration::from_millis(10),
        timeout: Duration::from_millis(500),
        precision: 100,
        pong_count: 2,
    };
    let links: Vec<KnetLink> = (0..links)
        .map(|number| KnetLink {
            number,
            local: at(me, number),
            peers: [(other, LinkConfig { remote: at(other, number), priority: 1, heartbeat })]
                .into(),
        })
        .collect();
    let key: Vec<u8> = (0..=255).collect();
    let crypto = Crypto::new(Cipher::Aes256, Hash::Sha256, &key).unwrap();
    Knet::new(config(me), &links, crypto).unwrap()
}

/// Lets both run until `done` or two seconds are over; gives what the second one received.
fn run(
    one: &mut Knet,
    two: &mut Knet,
    done: impl Fn(&Knet, &Knet, &[Vec<u8>]) -> bool,
) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    let end = now() + Duration::from_secs(5);
    while !done(one, two, &got) {
        assert!(now() < end, "{:?}", one.core().links().collect::<Vec<_>>());
        for knet in [&mut *one, &mut *two] {
            let at = now();
            if knet.next_deadline().is_some_and(|deadline| deadline <= at) {
                knet.handle_timeout(at);
            }
        }
        while one.recv_batch() > 0 {}
        loop {
            let count = two.recv_batch();
            if count == 0 {
                break;
            }
            got.extend((0..count).map(|index| two.packet(index).0.to_vec()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    got
}

/// A totem message for a node (0 for all), with some bytes behind its header.
fn message(target: u32, len: usize) -> Bytes {
    let mut bytes = 0xC070u16.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&[3, 1, 2]);
    bytes.extend_from_slice(&1u32.to_ne_bytes());
    bytes.extend_from_slice(&target.to_ne_bytes());
    bytes.resize(13 + len, 7);
    Bytes::from(bytes)
}

#[test]
fn encrypted_messages_travel_over_two_links() {
    let (mut one, mut two) = (node(1, 2, 2, 45_505), node(2, 1, 2, 45_505));
    assert!(one.take_opened() == one.fds() && one.fds().len() == 2);
    let explored = |one: &Knet, two: &Knet, _: &[Vec<u8>]| {
        [one, two].iter().all(|knet| knet.core().data_mtu() > 1000)
    };
    run(&mut one, &mut two, explored);
    one.send_mcast(&message(0, 60_000));
    one.send_token(NodeId(2), &message(0, 50));
    assert_eq!(one.flush(), 0);
    let got = run(&mut one, &mut two, |_, _, got| got.len() >= 2);
    assert_eq!(got, [message(0, 60_000).to_vec(), message(2, 50).to_vec()]);
}

#[test]
fn a_closed_port_takes_the_link_down_at_once() {
    let (mut one, mut two) = (node(1, 2, 1, 45_515), node(2, 1, 1, 45_515));
    run(&mut one, &mut two, |one, two, _| one.core().is_reachable(2) && two.core().is_reachable(1));
    two.links.clear();
    let gone = now();
    run(&mut one, &mut two, |one, _, _| !one.core().is_reachable(2));
    assert!(now().since(gone) < Duration::from_millis(400), "not by silence");
}

#[test]
fn links_come_and_go() {
    let (mut one, mut two) = (node(1, 2, 2, 45_525), node(2, 1, 2, 45_525));
    run(&mut one, &mut two, |one, _, _| one.core().link(2, 1).is_some_and(|link| link.connected));
    one.set_links(&[]).unwrap();
    assert!(one.fds().is_empty());
    assert!(!one.core().is_reachable(2));
    assert_eq!(one.link(), Link::Down);
}

/// Two datagrams are refused and a send takes the error: the reports must not stay and keep the
/// socket ready.
#[test]
fn reports_do_not_keep_a_socket_ready() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut one = node(1, 2, 1, 45_535);
    one.drain();
    one.flush();
    let closed: SockAddr = SocketAddr::from(([127, 0, 1, 2], 45_535)).into();
    let zero = Timespec::try_from(Duration::ZERO).unwrap();
    let is_ready = |one: &Knet| {
        let mut fds = [PollFd::new(&one.links[0].socket, PollFlags::IN)];
        poll(&mut fds, Some(&zero)).unwrap() > 0
    };
    for _ in 0..4 {
        // One of two is told the error of the one before it.
        let _ = one.links[0].socket.send_to(b"x", &closed);
    }
    assert!(is_ready(&one), "the loopback reports refusals at once");
    for _ in 0..3 {
        assert_eq!(one.recv_batch(), 0);
    }
    assert!(!is_ready(&one));
}
