//! The gate, fed by hand.

use std::net::{IpAddr, Ipv4Addr};

use base::Time;
use pacemaker_client::remote::frame::{Decoder, HEADER_LEN, encode};
use xml::Element;

use super::gate::{Gate, Output, Verdict};

const LOGIN: &str =
    "<cib_command op='authenticate' user='hacluster' password='geheim' hidden='password'/>";

fn t(millis: u64) -> Time {
    Time::from_millis(1_000_000 + millis)
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn gate() -> Gate {
    Gate::new(|user| user == "hacluster" || user == "ann")
}

/// Everything the gate wants, as words; what was logged is looked at for secrets.
fn outputs(gate: &mut Gate) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(output) = gate.poll_output() {
        assert!(!format!("{output:?}").contains("geheim"), "{output:?}");
        match output {
            Output::Check { conn, user, password } => {
                words.push(format!("check {conn} {user} {}", password.reveal()));
            }
            Output::Admitted { conn, uuid, user } => {
                words.push(format!("admitted {conn} {uuid} {user}"));
            }
            Output::Close { conn, was_client } => words.push(format!("close {conn} {was_client}")),
            Output::Note(..) => {}
        }
    }
    words
}

fn accept(gate: &mut Gate, conn: u64) {
    assert!(gate.accept(t(0), conn, format!("uuid{conn}"), address(conn as u8)));
}

/// Everything there is to write, in pieces of the given size at most; the messages.
fn written(gate: &mut Gate, conn: u64, step: usize) -> Vec<String> {
    let (mut decoder, mut messages) = (Decoder::trusting(), Vec::new());
    while let Some(bytes) = gate.to_write(conn) {
        let n = bytes.len().min(step);
        decoder.push(&bytes[..n]);
        gate.wrote(conn, n);
        while let Some(text) = decoder.next().unwrap() {
            messages.push(text);
        }
    }
    messages
}

fn admit(gate: &mut Gate, conn: u64) {
    accept(gate, conn);
    gate.bytes(t(1), conn, &encode(1, LOGIN));
    gate.checked(t(2), conn, Verdict::Right);
    outputs(gate);
    written(gate, conn, usize::MAX);
}

#[test]
fn a_right_password_opens() {
    let mut gate = gate();
    accept(&mut gate, 7);
    let login = encode(1, LOGIN);
    let (first, second) = login.split_at(50);
    gate.bytes(t(1), 7, first);
    assert_eq!(outputs(&mut gate), [""; 0]);
    gate.bytes(t(2), 7, second);
    assert_eq!(outputs(&mut gate), ["check 7 hacluster geheim"]);
    assert!(!gate.wants_bytes(7) && gate.to_write(7).is_none());
    gate.checked(t(3), 7, Verdict::Right);
    assert_eq!(outputs(&mut gate), ["admitted 7 uuid7 hacluster"]);
    // The header is a piece of its own.
    assert_eq!(gate.to_write(7).unwrap().len(), HEADER_LEN);
    let hello = written(&mut gate, 7, 13);
    assert_eq!(hello, ["<cib_result cib_op=\"register\" cib_clientid=\"uuid7\"/>"]);
    assert!(gate.next_request().is_none());
    assert!(gate.wants_bytes(7) && gate.next_deadline().is_none());
    gate.lost(t(9), 7);
    assert_eq!(outputs(&mut gate), ["close 7 true"]);
}

#[test]
fn everything_else_does_not() {
    let messages = [
        "<cib_command op='authenticate' user='hacluster'/>",
        "<cib_command op='authenticate' user='' password='geheim'/>",
        "<cib_command op='authenticate' user='bob' password='geheim'/>",
        "<cib_command op='register' user='hacluster' password='geheim'/>",
        "<other op='authenticate' user='hacluster' password='geheim'/>",
        "<cib_command t='cib' cib_op='cib_query'/>",
        "no XML at all: geheim",
        "",
    ];
    for message in messages {
        let mut gate = gate();
        accept(&mut gate, 1);
        gate.bytes(t(1), 1, &encode(1, message));
        assert_eq!(outputs(&mut gate), ["close 1 false"], "{message}");
        assert!(gate.next_request().is_none() && gate.to_write(1).is_none());
    }
    for verdict in [Verdict::Wrong, Verdict::Unable] {
        let mut gate = gate();
        accept(&mut gate, 1);
        gate.bytes(t(1), 1, &encode(1, LOGIN));
        outputs(&mut gate);
        gate.checked(t(2), 1, verdict);
        assert_eq!(outputs(&mut gate), ["close 1 false"]);
    }
    // Too long for a stranger, noticed at its header.
    let mut gate = gate();
    accept(&mut gate, 1);
    let long = encode(1, &LOGIN.replace("geheim", &"x".repeat(5000)));
    gate.bytes(t(1), 1, &long[..HEADER_LEN]);
    assert_eq!(outputs(&mut gate), ["close 1 false"]);
}

#[test]
fn requests_sent_ahead_of_the_answer_wait_for_it() {
    let mut gate = gate();
    accept(&mut gate, 1);
    let mut ahead = encode(1, LOGIN);
    ahead.extend(encode(2, "<cib_command cib_op='cib_erase'/>"));
    gate.bytes(t(1), 1, &ahead);
    assert!(gate.next_request().is_none());
    outputs(&mut gate);
    gate.checked(t(2), 1, Verdict::Wrong);
    assert!(gate.next_request().is_none());
    accept(&mut gate, 2);
    gate.bytes(t(3), 2, &ahead);
    outputs(&mut gate);
    gate.checked(t(4), 2, Verdict::Right);
    assert_eq!(gate.next_request().unwrap().1.get("cib_op"), Some("cib_erase"));
}

#[test]
fn strangers_have_ten_seconds_and_judges_thirty() {
    let mut gate = gate();
    accept(&mut gate, 1);
    // A byte now and then does not help.
    for second in 1..10 {
        gate.bytes(t(second * 1000), 1, &encode(1, LOGIN)[second as usize..=second as usize][..0]);
    }
    assert_eq!(gate.next_deadline(), Some(t(10_000)));
    gate.timed_out(t(9_999));
    assert_eq!(outputs(&mut gate), [""; 0]);
    gate.timed_out(t(10_000));
    assert_eq!(outputs(&mut gate), ["close 1 false"]);
    accept(&mut gate, 2);
    gate.bytes(t(5_000), 2, &encode(1, LOGIN));
    outputs(&mut gate);
    assert_eq!(gate.next_deadline(), Some(t(35_000)));
    gate.timed_out(t(35_000));
    assert_eq!(outputs(&mut gate), ["close 2 false"]);
    // A judgement that comes too late is for nobody.
    gate.checked(t(36_000), 2, Verdict::Right);
    assert_eq!(outputs(&mut gate), [""; 0]);
}

#[test]
fn strangers_are_few_and_few_are_judged_at_a_time() {
    let mut gate = gate();
    for conn in 0..16 {
        assert!(gate.accept(t(0), conn, "u".into(), address(1)));
    }
    assert!(!gate.accept(t(0), 16, "u".into(), address(1)), "too many from one place");
    for conn in 100..148 {
        assert!(gate.accept(t(0), conn, "u".into(), address(conn as u8)));
    }
    assert!(!gate.accept(t(0), 200, "u".into(), address(200)), "too many");
    outputs(&mut gate);
    for conn in 0..6 {
        gate.bytes(t(1), conn, &encode(1, LOGIN));
    }
    let judged = |gate: &mut Gate| outputs(gate).len();
    assert_eq!(judged(&mut gate), 4);
    gate.checked(t(2), 0, Verdict::Right);
    // That one is a client now, which makes room; the fifth is judged.
    assert_eq!(judged(&mut gate), 2);
    gate.lost(t(3), 1);
    assert_eq!(judged(&mut gate), 2);
    assert!(gate.accept(t(4000), 300, "u".into(), address(1)));
}

#[test]
fn a_flood_is_neither_let_in_nor_logged() {
    let mut gate = gate();
    let (mut n_in, mut n_lines) = (0, 0);
    // Ten seconds of a stranger each millisecond, who goes at once.
    for millis in 0..10_000 {
        if gate.accept(t(millis), millis, "u".into(), address(1)) {
            n_in += 1;
            gate.failed(t(millis), millis, "no TLS");
        }
        while let Some(output) = gate.poll_output() {
            n_lines += usize::from(matches!(output, Output::Note(..)));
        }
    }
    assert!((64 + 315..=64 + 320).contains(&n_in), "{n_in}");
    // Each line that is told later comes with one that counts those that were not.
    assert!(n_lines <= 100 + 2 * 20, "{n_lines}");
    assert!(gate.accept(t(11_000), 99_999, "u".into(), address(1)), "calm again");
}

#[test]
fn clients_take_turns_and_wait_while_they_do_not_read() {
    let mut gate = gate();
    admit(&mut gate, 1);
    admit(&mut gate, 2);
    let request = |id: u32| encode(1, &format!("<r id='{id}'/>"));
    gate.bytes(t(5), 1, &[request(1), request(2), request(3)].concat());
    gate.bytes(t(5), 2, &request(4));
    assert!(!gate.wants_bytes(1), "what is held comes first");
    let mut order = Vec::new();
    while let Some((conn, request)) = gate.next_request() {
        order.push((conn, request.get("id").unwrap().to_owned()));
        if order.len() == 2 {
            let answer = Element::new("a").with("x", "y".repeat(2 * 1024 * 1024));
            gate.send(1, &answer);
        }
    }
    assert_eq!(order, [(1, "1".into()), (2, "4".into())]);
    assert!(!gate.wants_bytes(1) && gate.wants_bytes(2));
    assert_eq!(written(&mut gate, 1, 10_000).len(), 1);
    assert_eq!(gate.next_request().unwrap().1.get("id"), Some("2"));
    assert_eq!(gate.next_request().unwrap().1.get("id"), Some("3"));
    assert!(gate.next_request().is_none() && gate.wants_bytes(1));
    // Who never reads is sent away.
    let event = Element::new("notify").with("x", "y".repeat(8 * 1024 * 1024));
    for _ in 0..9 {
        gate.send(2, &event);
    }
    assert_eq!(outputs(&mut gate), ["close 2 true"]);
}

#[test]
fn noise_never_opens_and_never_panics() {
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..3000_u64 {
        let mut gate = gate();
        accept(&mut gate, 1);
        if round % 3 == 0 {
            gate.bytes(t(1), 1, &encode(1, LOGIN));
            gate.checked(t(1), 1, Verdict::Right);
        }
        let mut bytes = encode(2, "<cib_command t='cib' cib_op='cib_query' cib_callid='2'/>");
        let n = bytes.len() as u64;
        for _ in 0..next() % 4 {
            let at = (next() % n) as usize;
            bytes[at] = next() as u8;
        }
        for part in bytes.chunks(1 + (next() % 60) as usize) {
            gate.bytes(t(2), 1, part);
            while gate.next_request().is_some() {
                assert_eq!(round % 3, 0, "a stranger was heard");
            }
        }
        gate.timed_out(t(60_000));
    }
}
