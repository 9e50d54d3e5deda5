//! The packets of doctors: a question, and its answer of the same length.
//!
//! They go to the ring's own port (or ten above it while an engine holds that), so that what is
//! tried is the way the ring will take. Anybody may send one: nothing in them is believed further
//! than to be shown, and an answer is never longer than its question.
//!
//! ```text
//!  0 "QDOC" 4 version 5 kind 6 flags 7 0   8 nonce u64  16 sent µs u64  24 echoed µs u64
//! 32 node id u32   36 proof [32]   68 name length u8   69 settings u8   70 length u16
//! 72 name, then settings: 4 bytes hash of the key, 4 of its value; then zeros
//! ```
//! All numbers are little endian.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 4] = b"QDOC";
const VERSION: u8 = 1;
const HEAD: usize = 72;
const PROOF: std::ops::Range<usize> = 36..68;
/// Settings that fit with a long name into the smallest question.
pub const MAX_SETTINGS: usize = 60;
const MAX_NAME: usize = 64;
/// The smallest question: everything fits.
pub const SMALLEST: usize = HEAD + MAX_NAME + 8 * MAX_SETTINGS;
/// The longest datagram.
pub const LONGEST: usize = 65_507;

/// A question or an answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Packet {
    /// It answers a question.
    pub answer: bool,
    /// The sender has had answers from the receiver.
    pub heard: bool,
    /// The question went to the multicast group.
    pub multicast: bool,
    /// An engine runs at the sender.
    pub engine: bool,
    /// Names the question.
    pub nonce: u64,
    /// When it was sent, by the sender's clock: microseconds since 1970.
    pub sent: u64,
    /// In an answer: when the question was sent, by the asker's clock.
    pub echoed: u64,
    /// The sender's node id; 0 when it has none.
    pub node: u32,
    /// The sender's name.
    pub name: String,
    /// Hashes of the settings that must be the same everywhere.
    pub settings: Vec<(u32, u32)>,
    /// The whole length.
    pub length: usize,
}

/// What a proof says about the sender's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Proof {
    /// The sender has no key.
    #[default]
    None,
    /// Made with our key.
    Ours,
    /// Made with another one, or we have none.
    Other,
}

fn proof(packet: &[u8], key: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(&packet[..PROOF.start]);
    mac.update(&packet[PROOF.end..]);
    Some(mac.finalize().into_bytes().into())
}

/// The hash of a setting's key or value.
pub fn hash(text: &str) -> u32 {
    let digest = Sha256::digest(text.as_bytes());
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Packet {
    /// The bytes, proved with the key if there is one.
    pub fn encode(&self, key: Option<&[u8]>) -> Vec<u8> {
        let mut name = self.name.as_bytes();
        name = &name[..name.len().min(MAX_NAME)];
        let settings = &self.settings[..self.settings.len().min(MAX_SETTINGS)];
        let length = self.length.clamp(HEAD + name.len() + 8 * settings.len(), LONGEST);
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(MAGIC);
        let flags = u8::from(self.heard)
            | u8::from(self.multicast) << 1
            | u8::from(self.engine) << 2
            | u8::from(key.is_some()) << 3;
        out.extend_from_slice(&[VERSION, u8::from(self.answer), flags, 0]);
        for word in [self.nonce, self.sent, self.echoed] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.node.to_le_bytes());
        out.resize(PROOF.end, 0);
        // Both were cut to less than 256 and the length to less than 65536 above.
        out.extend_from_slice(&[name.len() as u8, settings.len() as u8]);
        out.extend_from_slice(&(length as u16).to_le_bytes());
        out.extend_from_slice(name);
        for (key, value) in settings {
            out.extend_from_slice(&key.to_le_bytes());
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.resize(length, 0);
        if let Some(proof) = key.and_then(|key| proof(&out, key)) {
            out[PROOF].copy_from_slice(&proof);
        }
        out
    }

    /// Reads a packet; `None` for anything that is none.
    pub fn decode(bytes: &[u8], key: Option<&[u8]>) -> Option<(Packet, Proof)> {
        if bytes.len() < HEAD || bytes.len() > LONGEST || !bytes.starts_with(MAGIC) {
            return None;
        }
        let (version, kind, flags) = (bytes[4], bytes[5], bytes[6]);
        let length = usize::from(u16::from_le_bytes(number(bytes, 70)?));
        if version != VERSION || kind > 1 || length != bytes.len() {
            return None;
        }
        let name_end = HEAD + usize::from(bytes[68]).min(MAX_NAME);
        let name = bytes.get(HEAD..name_end)?;
        // What is shown on a terminal must not steer it.
        let name: String =
            String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).collect();
        let count = usize::from(bytes[69]);
        if count > MAX_SETTINGS {
            return None;
        }
        let settings = bytes.get(name_end..name_end + 8 * count)?;
        let settings = settings
            .chunks_exact(8)
            .filter_map(|pair| {
                let key = u32::from_le_bytes(number(pair, 0)?);
                Some((key, u32::from_le_bytes(number(pair, 4)?)))
            })
            .collect();
        let proved = if flags & 8 == 0 {
            Proof::None
        } else if key.and_then(|key| proof(bytes, key)).is_some_and(|p| p[..] == bytes[PROOF]) {
            Proof::Ours
        } else {
            Proof::Other
        };
        let packet = Packet {
            answer: kind == 1,
            heard: flags & 1 != 0,
            multicast: flags & 2 != 0,
            engine: flags & 4 != 0,
            nonce: u64::from_le_bytes(number(bytes, 8)?),
            sent: u64::from_le_bytes(number(bytes, 16)?),
            echoed: u64::from_le_bytes(number(bytes, 24)?),
            node: u32::from_le_bytes(number(bytes, 32)?),
            name,
            settings,
            length,
        };
        Some((packet, proved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet {
        Packet {
            answer: true,
            heard: true,
            multicast: true,
            engine: true,
            nonce: 7,
            sent: 8,
            echoed: 9,
            node: 3,
            name: "pacemaker01".into(),
            settings: vec![(1, 2), (3, 4)],
            length: 900,
        }
    }

    #[test]
    fn there_and_back() {
        let key: &[u8] = b"secret";
        for (sent_with, read_with, expected) in [
            (None, None, Proof::None),
            (None, Some(key), Proof::None),
            (Some(key), Some(key), Proof::Ours),
            (Some(key), Some(&b"other"[..]), Proof::Other),
            (Some(key), None, Proof::Other),
        ] {
            let bytes = packet().encode(sent_with);
            assert_eq!(bytes.len(), 900);
            assert_eq!(Packet::decode(&bytes, read_with), Some((packet(), expected)));
        }
    }

    #[test]
    fn damaged_packets_are_none_or_unproved() {
        let key: &[u8] = b"secret";
        let good = packet().encode(Some(key));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            assert_ne!(Packet::decode(&bad, Some(key)).map(|(_, proof)| proof), Some(Proof::Ours));
            assert_eq!(Packet::decode(&good[..at], Some(key)), None);
        }
    }

    #[test]
    fn long_names_and_many_settings_are_cut() {
        let long =
            Packet { name: "n".repeat(300), settings: vec![(1, 1); 300], length: 0, ..packet() };
        let bytes = long.encode(None);
        assert_eq!(bytes.len(), SMALLEST);
        assert!(Packet::decode(&bytes, None).is_some());
    }
}
