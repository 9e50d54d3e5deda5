//! The message that Pacemaker's daemons send each other through a CPG group: a packed header of
//! 592 bytes and the text of an XML element, compressed when it is large.
//!
//! Source: `spec/pacemaker-cluster.md` §1.2–1.4. A receiver acts on the header only to tell
//! whether the message is for it; the origin is what CPG says, never what the header says.

use base::NodeId;
use bzip2::{Action, Compress, Compression, Decompress, Status};
use xml::Element;

/// Bytes of the header.
pub const HEADER_SIZE: usize = 592;
/// Texts of this size (with their NUL) and more are compressed.
const COMPRESS_FROM: usize = 128 * 1024;
/// Sanity bound of a decompressed text: more than any CIB that was ever seen.
const TEXT_SIZE_MAX: usize = 1 << 30;
const HEADER_OK: i32 = 1;
const HOST_OFF: usize = 32;
const SENDER_OFF: usize = 308;
const NAME_SIZE: usize = 256;

/// The type field of senders and destinations (2.1.5's numbers). Receivers only log it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// Nothing in particular.
    None = 0,
    /// pacemakerd.
    Ais = 1,
    /// The executor part of a controller.
    Lrmd = 2,
    /// The CIB manager.
    Cib = 3,
    /// The controller.
    Crmd = 4,
    /// The attribute manager.
    Attrd = 5,
    /// The fencer's old name.
    Stonithd = 6,
    /// The transition engine of the DC.
    Te = 7,
    /// The scheduler.
    Pe = 8,
    /// The fencer.
    StonithNg = 9,
}

impl Kind {
    /// The type of a `crm_sys_to` (`spec/pacemaker-ipc.md` §7.2, rule 5).
    pub fn of_subsystem(name: &str) -> Kind {
        match name {
            "cib" => Kind::Cib,
            "lrmd" => Kind::Lrmd,
            "attrd" => Kind::Attrd,
            "tengine" => Kind::Te,
            "pengine" => Kind::Pe,
            "stonithd" => Kind::Stonithd,
            "stonith-ng" => Kind::StonithNg,
            _ => Kind::Crmd,
        }
    }
}

/// Where a message goes: to every member of the group or to one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum To {
    /// Everybody, the sender too.
    All,
    /// One node; the others drop it.
    Node {
        /// Its id; 0 while only its name is known.
        id: NodeId,
        /// Its name.
        name: String,
    },
}

/// What a decoded message says.
#[derive(Clone, PartialEq, Debug)]
pub struct Decoded {
    /// Name of the sender as it calls itself; empty if it did not say.
    pub sender_name: String,
    /// The element.
    pub xml: Element,
}

/// Why a delivered message is not handed on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Drop {
    /// It is for another node; nothing is wrong.
    #[error("message is for another node")]
    NotForUs,
    /// The sender claims another node id than CPG reports.
    #[error("claims to come from node {claimed}, but node {actual} sent it")]
    Forged {
        /// Id in the header.
        claimed: u32,
        /// Id CPG reports.
        actual: NodeId,
    },
    /// Sizes or marks contradict each other.
    #[error("invalid message: {0}")]
    Malformed(&'static str),
    /// The compressed text cannot be restored.
    #[error("could not decompress message")]
    Compression,
    /// The text is no XML.
    #[error("invalid XML in message: {0}")]
    Xml(String),
}

/// Makes the bytes of a message. `seq` counts the messages of this process from 1.
pub fn encode(seq: u32, pid: u32, own_name: &str, kind: Kind, to: &To, xml: &Element) -> Vec<u8> {
    let mut text = xml.to_text().into_bytes();
    text.push(0);
    let packed = if text.len() >= COMPRESS_FROM { compress(&text) } else { None };
    let payload = packed.as_deref().unwrap_or(&text);

    let mut out = vec![0u8; HEADER_SIZE];
    put(&mut out, 8, (HEADER_SIZE + payload.len()) as u32);
    put(&mut out, 16, HEADER_OK as u32);
    put(&mut out, 24, seq);
    put(&mut out, 28, u32::from(packed.is_some()));
    if let To::Node { id, name } = to {
        put(&mut out, HOST_OFF, id.0);
        put_name(&mut out, HOST_OFF, name);
    }
    put(&mut out, HOST_OFF + 12, kind as u32);
    put(&mut out, SENDER_OFF + 4, pid);
    put(&mut out, SENDER_OFF + 12, kind as u32);
    put_name(&mut out, SENDER_OFF, own_name);
    put(&mut out, 584, text.len() as u32);
    put(&mut out, 588, packed.as_ref().map_or(0, Vec::len) as u32);
    out.extend_from_slice(payload);
    out
}

/// Reads a message that CPG delivered from `from`, if it is meant for this node.
pub fn decode(bytes: &[u8], from: NodeId, own_id: NodeId, own_name: &str) -> Result<Decoded, Drop> {
    if bytes.len() <= HEADER_SIZE {
        return Err(Drop::Malformed("shorter than its header"));
    }
    let claimed = get(bytes, SENDER_OFF);
    if claimed != 0 && claimed != from.0 {
        return Err(Drop::Forged { claimed, actual: from });
    }
    let host_id = get(bytes, HOST_OFF);
    if host_id != 0 && host_id != own_id.0 {
        return Err(Drop::NotForUs);
    }
    if get(bytes, HOST_OFF + 16) != 0
        && !get_name(bytes, HOST_OFF).eq_ignore_ascii_case(own_name.as_bytes())
    {
        return Err(Drop::NotForUs);
    }
    if get(bytes, 16) != HEADER_OK as u32 {
        return Err(Drop::Malformed("error mark in the header"));
    }
    let payload = &bytes[HEADER_SIZE..];
    let (size, compressed_size) = (get(bytes, 584) as usize, get(bytes, 588) as usize);
    let compressed = get(bytes, 28) != 0;
    let expected = if compressed { compressed_size } else { size };
    if get(bytes, 8) as usize != HEADER_SIZE + expected || payload.len() < expected {
        return Err(Drop::Malformed("sizes do not match"));
    }
    let payload = &payload[..expected];
    let restored;
    let text = if compressed {
        restored = decompress(payload, size).ok_or(Drop::Compression)?;
        restored.as_slice()
    } else {
        payload
    };
    let Some((0, text)) = text.split_last() else {
        return Err(Drop::Malformed("text without its end mark"));
    };
    if text.last().is_none_or(|byte| *byte == 0) {
        return Err(Drop::Malformed("empty text"));
    }
    let text = String::from_utf8_lossy(text);
    let xml = xml::parse(&text).map_err(|error| Drop::Xml(error.to_string()))?;
    let sender_name = String::from_utf8_lossy(get_name(bytes, SENDER_OFF)).into_owned();
    Ok(Decoded { sender_name, xml })
}

fn put(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Writes the size and the name of a host struct. Names longer than the field are cut: corosync
/// refuses them long before.
fn put_name(out: &mut [u8], host: usize, name: &str) {
    let name = &name.as_bytes()[..name.len().min(NAME_SIZE - 1)];
    put(out, host + 16, name.len() as u32);
    out[host + 20..host + 20 + name.len()].copy_from_slice(name);
}

fn get_name(bytes: &[u8], host: usize) -> &[u8] {
    let field = &bytes[host + 20..host + 20 + NAME_SIZE];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(NAME_SIZE);
    if get(bytes, host + 16) == 0 { &[] } else { &field[..end] }
}

fn compress(text: &[u8]) -> Option<Vec<u8>> {
    let mut coder = Compress::new(Compression::new(4), 20);
    let mut out = Vec::with_capacity(text.len() + text.len() / 100 + 600);
    match coder.compress_vec(text, &mut out, Action::Finish) {
        Ok(Status::StreamEnd) if out.len() < text.len() => Some(out),
        _ => None,
    }
}

fn decompress(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    if size == 0 || size > TEXT_SIZE_MAX {
        return None;
    }
    let mut coder = Decompress::new(false);
    let mut out = Vec::with_capacity(size);
    match coder.decompress_vec(packed, &mut out) {
        Ok(Status::StreamEnd) if out.len() == size => Some(out),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: NodeId = NodeId(2);
    const PEER: NodeId = NodeId(1);

    fn sample() -> Element {
        xml::parse("<a t='crmd'><b/></a>").unwrap()
    }

    #[test]
    fn the_header_is_upstreams() {
        let to = To::Node { id: US, name: "node2".into() };
        let bytes = encode(7, 99, "node1", Kind::Crmd, &to, &sample());
        let text = sample().to_text();
        assert_eq!(bytes.len(), 592 + text.len() + 1);
        assert_eq!(get(&bytes, 0), 0);
        assert_eq!(get(&bytes, 8) as usize, bytes.len());
        assert_eq!((get(&bytes, 16), get(&bytes, 24), get(&bytes, 28)), (1, 7, 0));
        assert_eq!((get(&bytes, 32), get(&bytes, 36), get(&bytes, 40)), (2, 0, 0));
        assert_eq!((get(&bytes, 44), get(&bytes, 48)), (4, 5));
        assert_eq!(&bytes[52..58], b"node2\0");
        assert_eq!((get(&bytes, 308), get(&bytes, 312)), (0, 99));
        assert_eq!(&bytes[328..334], b"node1\0");
        assert_eq!((get(&bytes, 584) as usize, get(&bytes, 588)), (text.len() + 1, 0));
        assert_eq!(bytes.last(), Some(&0));
    }

    #[test]
    fn messages_for_others_are_not_ours() {
        let to = To::Node { id: US, name: "node2".into() };
        let bytes = encode(1, 9, "node1", Kind::Cib, &to, &sample());
        let got = decode(&bytes, PEER, US, "NODE2").unwrap();
        assert_eq!((got.sender_name.as_str(), &got.xml), ("node1", &sample()));
        assert_eq!(decode(&bytes, PEER, NodeId(3), "node2"), Err(Drop::NotForUs));
        assert_eq!(decode(&bytes, PEER, US, "other"), Err(Drop::NotForUs));
    }

    /// At start a daemon may have to address a peer of which it has heard nothing but the name.
    #[test]
    fn a_name_alone_finds_its_node() {
        let to = To::Node { id: NodeId(0), name: "node2".into() };
        let bytes = encode(1, 9, "node1", Kind::Cib, &to, &sample());
        assert_eq!(decode(&bytes, PEER, US, "node2").unwrap().xml, sample());
        assert_eq!(decode(&bytes, PEER, NodeId(3), "node3"), Err(Drop::NotForUs));
    }

    #[test]
    fn a_large_text_is_compressed_and_restored() {
        let big = sample().with("v", "abc".repeat(100_000));
        let bytes = encode(1, 9, "node1", Kind::Cib, &To::All, &big);
        assert!(bytes.len() < 100_000);
        assert_eq!(get(&bytes, 28), 1);
        assert_eq!(decode(&bytes, PEER, US, "node2").unwrap().xml, big);
    }

    #[test]
    fn a_forged_origin_is_refused() {
        let mut bytes = encode(1, 9, "node1", Kind::Cib, &To::All, &sample());
        put(&mut bytes, SENDER_OFF, 5);
        assert_eq!(
            decode(&bytes, PEER, US, "node2"),
            Err(Drop::Forged { claimed: 5, actual: PEER })
        );
    }

    #[test]
    fn damaged_messages_never_panic() {
        let good = encode(1, 9, "node1", Kind::Cib, &To::All, &sample());
        let packed =
            encode(1, 9, "n", Kind::Cib, &To::All, &sample().with("v", "x".repeat(200_000)));
        // A small xorshift generator: deterministic, no dependency.
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as usize
        };
        for round in 0..2000 {
            let mut bytes = if round % 2 == 0 { good.clone() } else { packed.clone() };
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            bytes.truncate(random() % (bytes.len() + 1));
            let _ = decode(&bytes, PEER, US, "node2");
        }
    }
}
