//! Pacemaker's IPC framing: a libqb header, four fields of its own, one XML text.
//!
//! A pure codec: bytes in, text out, and back. Long texts are compressed with bzip2 when they do
//! not fit into the connection's buffer; a receiver always honours the size of the compressed form.
//!
//! Source: `spec/pacemaker-ipc.md` §1 (layout of 2.1.x, 3.0.0 and 3.0.1).

use std::io::Read;

use bzip2::Compression;
use bzip2::read::{BzDecoder, BzEncoder};

/// Bytes in front of the text.
pub const HEADER_LEN: usize = 40;

/// The default buffer of servers and clients (`PCMK_ipc_buffer`).
pub const DEFAULT_BUFFER: usize = 131_072;

/// The smallest buffer that `PCMK_ipc_buffer` may ask for: libqb's own handshake must fit.
pub const MIN_BUFFER: usize = 12_336;

/// The largest text a peer may announce behind its compressed form. Upstream has no limit; without
/// one a few bytes of a hostile client make a server allocate gigabytes.
pub const MAX_TEXT: usize = 256 * 1024 * 1024;

/// Protocol version in the header; receivers refuse higher ones.
pub const VERSION: u8 = 1;

/// Bits of the header's `flags` (§1.3).
pub mod flags {
    /// The body is bzip2.
    pub const COMPRESSED: u32 = 0x0000_0001;
    /// The message comes through a Pacemaker Remote proxy.
    pub const PROXIED: u32 = 0x0000_0100;
    /// The sender of the request waits for a response on the response channel.
    pub const CLIENT_RESPONSE: u32 = 0x0000_0200;
    /// The message is on the event channel.
    pub const SERVER_EVENT: u32 = 0x0001_0000;
    /// Upstream's internal ownership flag, which leaks onto the wire.
    pub const SERVER_FREE: u32 = 0x0002_0000;
    /// An event that stands in for a response, for proxied clients.
    pub const PROXIED_RELAY_RESPONSE: u32 = 0x0004_0000;
}

/// One message, out of its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// libqb's message id: a response carries the request's.
    pub id: i32,
    /// See [`flags`].
    pub flags: u32,
    /// The XML text, without its final NUL.
    pub text: String,
}

/// Why bytes are no message, or a message does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than the header announces or needs.
    #[error("message of {got} bytes is shorter than the {wanted} its header needs")]
    Short {
        /// Bytes there are.
        got: usize,
        /// Bytes there should be.
        wanted: usize,
    },
    /// A protocol version from the future.
    #[error("protocol version {0} is not supported")]
    Version(u8),
    /// The announced length of the text is zero or beyond [`MAX_TEXT`].
    #[error("announced text length {0} is not acceptable")]
    Length(usize),
    /// The compressed body is broken or has another length than announced.
    #[error("compressed body is broken")]
    Compressed,
    /// The text does not end in NUL or is no UTF-8.
    #[error("body is no NUL-terminated UTF-8 text")]
    Text,
    /// The message does not fit into the connection's buffer, not even compressed.
    #[error("message of {len} bytes does not fit into a buffer of {max}")]
    TooBig {
        /// Bytes after compression.
        len: usize,
        /// What the connection carries.
        max: usize,
    },
}

/// Puts a text into a frame for a connection whose messages may have `max_send` bytes.
///
/// # Errors
/// [`FrameError::TooBig`] if even the compressed form does not fit.
pub fn encode(id: i32, flags: u32, text: &str, max_send: usize) -> Result<Vec<u8>, FrameError> {
    let plain_len = text.len() + 1;
    if HEADER_LEN + plain_len < max_send {
        let mut bytes = header(id, flags & !flags::COMPRESSED, plain_len, 0, plain_len);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        return Ok(bytes);
    }
    let packed = compress(text);
    let len = HEADER_LEN + packed.len();
    if packed.len() > max_send || len > max_send {
        return Err(FrameError::TooBig { len, max: max_send });
    }
    let mut bytes = header(id, flags | flags::COMPRESSED, plain_len, packed.len(), packed.len());
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}

fn header(id: i32, flags: u32, plain: usize, packed: usize, body: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body);
    bytes.extend_from_slice(&id.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&((HEADER_LEN + body) as i32).to_ne_bytes());
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&(plain as u32).to_ne_bytes());
    bytes.extend_from_slice(&(packed as u32).to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
    bytes
}

/// Takes a message out of its frame. Bytes behind the announced body are ignored.
///
/// # Errors
/// Whatever is wrong with the bytes; none of it can make this panic.
pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let short = |wanted| FrameError::Short { got: bytes.len(), wanted };
    let Some((head, body)) = bytes.split_at_checked(HEADER_LEN) else {
        return Err(short(HEADER_LEN));
    };
    if head[36] > VERSION {
        return Err(FrameError::Version(head[36]));
    }
    let plain = word(head, 24) as usize;
    let packed = word(head, 28) as usize;
    if plain == 0 || plain > MAX_TEXT {
        return Err(FrameError::Length(plain));
    }
    let text = if packed == 0 {
        body.get(..plain).ok_or_else(|| short(HEADER_LEN.saturating_add(plain)))?.to_vec()
    } else {
        let packed_body =
            body.get(..packed).ok_or_else(|| short(HEADER_LEN.saturating_add(packed)))?;
        decompress(packed_body, plain).ok_or(FrameError::Compressed)?
    };
    Ok(Frame { id: word(head, 0) as i32, flags: word(head, 32), text: text_of(text)? })
}

fn word(head: &[u8], at: usize) -> u32 {
    head.get(at..at + 4).map_or(0, |four| u32::from_ne_bytes([four[0], four[1], four[2], four[3]]))
}

pub(crate) fn text_of(mut bytes: Vec<u8>) -> Result<String, FrameError> {
    if bytes.pop() != Some(0) {
        return Err(FrameError::Text);
    }
    // An embedded NUL ends the text for every C receiver; it must for us too.
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    String::from_utf8(bytes).map_err(|_| FrameError::Text)
}

/// bzip2 of a text and its final NUL, with upstream's block size (also used on the CPG wire).
pub fn compress(text: &str) -> Vec<u8> {
    let mut input = text.as_bytes().chain(&[0_u8][..]);
    let mut packed = Vec::new();
    // Reading from memory cannot fail; an empty result would be refused by every receiver.
    if BzEncoder::new(&mut input, Compression::new(4)).read_to_end(&mut packed).is_err() {
        packed.clear();
    }
    packed
}

/// Reverses [`compress`]: exactly `plain` bytes, the final NUL included.
pub fn decompress(packed: &[u8], plain: usize) -> Option<Vec<u8>> {
    if plain > MAX_TEXT {
        return None;
    }
    let mut text = Vec::new();
    // One byte more than announced, to notice a text that is longer.
    BzDecoder::new(packed).take(plain as u64 + 1).read_to_end(&mut text).ok()?;
    (text.len() == plain).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_register_request_is_reproduced() {
        let text = "<cib_command t=\"cib\" cib_op=\"register\" cib_clientname=\"x\" \
                    cib_callopt=\"4096\"/>";
        let bytes = encode(1, flags::CLIENT_RESPONSE, text, DEFAULT_BUFFER).unwrap();
        assert_eq!(bytes.len(), HEADER_LEN + text.len() + 1);
        assert_eq!(bytes[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[8] as usize, bytes.len());
        assert_eq!(bytes[24] as usize, text.len() + 1);
        assert_eq!(bytes[28..40], [0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0]);
        let frame = decode(&bytes).unwrap();
        assert_eq!(frame, Frame { id: 1, flags: 0x200, text: text.into() });
    }

    #[test]
    fn what_does_not_fit_is_compressed_or_refused() {
        let text = format!("<a b=\"{}\"/>", "x".repeat(300_000));
        let bytes = encode(7, 0, &text, DEFAULT_BUFFER).unwrap();
        assert!(bytes.len() < 1000);
        let frame = decode(&bytes).unwrap();
        assert_eq!((frame.id, frame.flags & 1, frame.text == text), (7, 1, true));

        let mut seed = 1_u64;
        let noise: String = (0..400_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b' ' + ((seed >> 33) % 90) as u8)
            })
            .collect();
        assert!(matches!(encode(1, 0, &noise, DEFAULT_BUFFER), Err(FrameError::TooBig { .. })));
    }

    #[test]
    fn broken_frames_are_refused() {
        let good = encode(1, 0, "<a/>", DEFAULT_BUFFER).unwrap();
        for cut in 0..good.len() {
            assert!(decode(&good[..cut]).is_err(), "cut at {cut}");
        }
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            decode(&bytes)
        };
        assert_eq!(with(36, 2), Err(FrameError::Version(2)));
        assert_eq!(with(24, 0), Err(FrameError::Length(0)));
        assert_eq!(with(44, b'x'), Err(FrameError::Text));
        assert_eq!(with(28, 3), Err(FrameError::Compressed));
        // A bomb: announces less than it holds.
        let mut bomb = encode(1, 0, &"<a/>".repeat(100_000), DEFAULT_BUFFER).unwrap();
        bomb[24..28].copy_from_slice(&10_u32.to_ne_bytes());
        assert_eq!(decode(&bomb), Err(FrameError::Compressed));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut seed = 0x9e37_79b9_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..2000 {
            let len = (next() % 200) as usize;
            let mut bytes: Vec<u8> = (0..len).map(|_| next() as u8).collect();
            if len > 37 {
                bytes[36] = 1;
                bytes[26] = 0;
                bytes[27] = 0;
            }
            let _ = decode(&bytes);
        }
    }
}
