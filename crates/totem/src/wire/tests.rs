//! The captured vectors of `spec/totem.md` §15, and damage of every kind.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter_map(|b| (b as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn vectors() -> Vec<(Vec<u8>, Header, Message)> {
    let header = |kind, nodeid, target| Header {
        order: Order::Little,
        kind,
        encapsulated: 0,
        nodeid,
        target,
    };
    let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
    vec![
        (
            hex("70c0 03 02 00 02000000 00000000 02000000 02000000 ba00000000000000"),
            header(Kind::MergeDetect, 2, 0),
            Message::MergeDetect { system_from: NodeId(2), ring_id: RingId::new(2, 0xba) },
        ),
        (
            hex("70c0 03 03 00 01000000 00000000 01000000 02000000 00000000 ba00000000000000
                 01000000 02000000"),
            header(Kind::Join, 1, 0),
            Message::Join(Join {
                system_from: NodeId(1),
                ring_seq: 0xba,
                proc_list: nodes(&[1, 2]),
                failed_list: vec![],
            }),
        ),
        (
            hex("70c0 03 03 00 00000000 00000000 02000000 01000000 01000000 be00000000000000
                 01000000 02000000"),
            header(Kind::Join, 0, 0),
            Message::Join(Join {
                system_from: NodeId(2),
                ring_seq: 0xbe,
                proc_list: nodes(&[1]),
                failed_list: nodes(&[2]),
            }),
        ),
        (
            hex("70c0 03 04 00 01000000 02000000 01000000 01000000 be00000000000000 00000000
                 01000000 02000000 01000000 02000000
                 01000000 ba00000000000000 06000000 06000000 01000000
                 00000000 0000000000000000 00000000 00000000 00000000"),
            header(Kind::Commit, 1, 2),
            Message::Commit(CommitToken {
                token_seq: 1,
                ring_id: RingId::new(1, 0xbe),
                retrans_flg: 0,
                memb_index: 1,
                members: nodes(&[1, 2]),
                entries: vec![
                    CommitEntry {
                        ring_id: RingId::new(1, 0xba),
                        aru: 6,
                        high_delivered: 6,
                        received_flg: 1,
                    },
                    CommitEntry::default(),
                ],
            }),
        ),
        (
            hex("70c0 03 00 00 01000000 02000000 00000000 00000000 ffffffff 01000000
                 01000000 be00000000000000 00000000 00000000 00000000 00000000"),
            header(Kind::Token, 1, 2),
            Message::Token(Token {
                aru: u32::MAX,
                aru_addr: 1,
                ring_id: RingId::new(1, 0xbe),
                ..Token::default()
            }),
        ),
    ]
}

#[test]
fn captured_messages_decode_and_encode_to_the_same_bytes() {
    for (bytes, header, message) in vectors() {
        assert_eq!(decode(&bytes), Ok((header, message.clone())));
        assert_eq!(encode(&header, &message), bytes);
    }
}

#[test]
fn a_captured_multicast_is_read_and_sealed_alike() {
    let bytes = hex("70c0 03 01 02 01000000 00000000 01000000 07000000 09000000
        01000000 be00000000000000 00000000 00000000
        0000 0000 00 00 0100 2800 0100 0400 73796e63
        00000000 00000000 20000000 00000000 01000000 be00000000000000 00000000");
    assert_eq!(bytes.len(), 95);
    let (header, message) = decode(&bytes).unwrap();
    let Message::Mcast(mcast) = message else { panic!("not a multicast") };
    assert_eq!(header.encapsulated, McastHeader::PLAIN);
    assert_eq!((mcast.seq, mcast.this_seqno), (7, 9));
    if Order::NATIVE == Order::Little {
        let mut again = bytes.clone();
        again[..MCAST_LEN].fill(0);
        seal_mcast(&mut again, McastHeader::PLAIN, &mcast);
        assert_eq!(again, bytes);
    }
}

#[test]
fn the_other_byte_order_reads_the_same() {
    for (_, header, message) in vectors() {
        let header = Header { order: Order::Big, ..header };
        assert_eq!(decode(&encode(&header, &message)), Ok((header, message)));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (bytes, ..) in vectors() {
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} of {}", bytes.len());
        }
    }
}

#[test]
fn announced_lists_are_bounded() {
    for (kind, at) in [(3, 17), (3, 21), (4, 37), (0, 53)] {
        for count in [385u32, 0x4000_0000, u32::MAX] {
            let mut bytes = vec![0; 4096];
            bytes[..4].copy_from_slice(&[0x70, 0xc0, 3, kind]);
            bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
            assert!(matches!(decode(&bytes), Err(DecodeError::BadList(_))), "{kind} {count}");
        }
    }
}

#[test]
fn foreign_traffic_is_named() {
    for (bytes, text) in [
        ("00", "is too short...  Ignoring 1."),
        (
            "ffff03000000000000000000 00",
            "has bad magic number (probably sent by Corosync 2.2).. Ignoring",
        ),
        ("70c0 04 00 00 00000000 00000000", "has unsupported version 4... Ignoring"),
        ("70c0 03 06 00 00000000 00000000", "has wrong type...  ignoring 6."),
    ] {
        assert_eq!(decode(&hex(bytes)).unwrap_err().to_string(), text);
    }
}
