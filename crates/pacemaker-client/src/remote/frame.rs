//! The frame of messages over TCP: 40 bytes, then XML and a NUL, possibly packed with bzip2.
//!
//! A pure codec. The other end may be anybody, so a [`Decoder`] believes nothing: it refuses a
//! message as soon as its header announces more than the limit, and holds no more bytes than came.
//!
//! Source: `spec/pacemaker-cluster.md` §17.2.

use crate::frame::{MAX_TEXT, decompress, text_of};

/// Bytes in front of a message.
pub const HEADER_LEN: usize = 40;

/// The first four bytes, in the sender's byte order.
const ENDIAN: u32 = 0xBADA_DBBD;

/// The version of the frame that we send.
const VERSION: u32 = 1;

/// Why bytes are no message. After any of these the stream cannot be followed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFrameError {
    /// The stream does not begin a message where one should be.
    #[error("this is not Pacemaker's remote protocol")]
    Magic,
    /// The lengths in the header contradict each other.
    #[error("a message's header contradicts itself")]
    Header,
    /// A message that is larger than this connection may send.
    #[error("a message of {len} bytes is larger than {limit}")]
    TooBig {
        /// What the header announces.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The packed body is broken.
    #[error("a packed message is broken")]
    Packed,
    /// The body is no text.
    #[error("a message is no NUL-terminated UTF-8 text")]
    Text,
}

/// Puts a text into its frame. `id` counts the messages of a connection.
///
/// In TLS the first [`HEADER_LEN`] bytes must be a record of their own: upstream's 2.1.5 loses the
/// rest of a record that does not end with the header (found by experiment).
pub fn encode(id: u64, text: &str) -> Vec<u8> {
    let plain = text.len() + 1;
    let mut bytes = Vec::with_capacity(HEADER_LEN + plain);
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes();
    bytes.extend_from_slice(&ENDIAN.to_ne_bytes());
    bytes.extend_from_slice(&VERSION.to_ne_bytes());
    bytes.extend_from_slice(&id.to_ne_bytes());
    bytes.extend_from_slice(&0_u64.to_ne_bytes());
    bytes.extend_from_slice(&word(HEADER_LEN + plain));
    bytes.extend_from_slice(&word(HEADER_LEN));
    bytes.extend_from_slice(&word(0));
    bytes.extend_from_slice(&word(plain));
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

/// What a header says.
struct Header {
    total: usize,
    offset: usize,
    packed: usize,
    plain: usize,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Where the next message begins in `bytes`.
    start: usize,
    limit: usize,
    packed_allowed: bool,
}

impl Decoder {
    /// For messages of at most `limit` bytes, header included, and none that is packed: what a
    /// stranger may send.
    pub fn strict(limit: usize) -> Decoder {
        Decoder { bytes: Vec::new(), start: 0, limit, packed_allowed: false }
    }

    /// For messages as large as this implementation takes them anywhere.
    pub fn trusting() -> Decoder {
        let mut decoder = Decoder::strict(0);
        decoder.trust();
        decoder
    }

    /// From now on large and packed messages are taken: the peer has shown who it is.
    pub fn trust(&mut self) {
        self.limit = MAX_TEXT;
        self.packed_allowed = true;
    }

    /// Adds bytes that came. Then call [`next`](Self::next) until it gives `None`, so that no
    /// more than one message's worth is ever held.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// The next message that is there wholly.
    ///
    /// # Errors
    /// The bytes are no message or one that is too large; nothing can be read after that.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<String>, RemoteFrameError> {
        let waiting = self.bytes.get(self.start..).unwrap_or(&[]);
        // What is no message is noticed before its fortieth byte: who speaks another protocol
        // may be waiting for an answer.
        if let Some(magic) = word(waiting, 0, false)
            && magic != ENDIAN
            && magic.swap_bytes() != ENDIAN
        {
            return Err(RemoteFrameError::Magic);
        }
        let Some(head) = waiting.get(..HEADER_LEN) else { return Ok(None) };
        let header = read_header(head)?;
        let len = header.total.max(header.plain);
        if len > self.limit {
            return Err(RemoteFrameError::TooBig { len, limit: self.limit });
        }
        if header.packed > 0 && !self.packed_allowed {
            return Err(RemoteFrameError::Packed);
        }
        let Some(message) = waiting.get(..header.total) else { return Ok(None) };
        let body = message.get(header.offset..).unwrap_or(&[]);
        let text = if header.packed == 0 {
            body.to_vec()
        } else {
            decompress(body, header.plain).ok_or(RemoteFrameError::Packed)?
        };
        let text = text_of(text).map_err(|_| RemoteFrameError::Text)?;
        self.start += header.total;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            // A connection that once sent a whole document does not keep room for one.
            self.bytes.shrink_to(64 * 1024);
        }
        Ok(Some(text))
    }
}

fn word(bytes: &[u8], at: usize, swapped: bool) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    let number = u32::from_ne_bytes(four);
    Some(if swapped { number.swap_bytes() } else { number })
}

fn read_header(head: &[u8]) -> Result<Header, RemoteFrameError> {
    let magic = word(head, 0, false).ok_or(RemoteFrameError::Header)?;
    let swapped = match magic {
        ENDIAN => false,
        other if other.swap_bytes() == ENDIAN => true,
        _ => return Err(RemoteFrameError::Magic),
    };
    let number = |at| word(head, at, swapped).map_or(0, |number| number as usize);
    let header =
        Header { total: number(24), offset: number(28), packed: number(32), plain: number(36) };
    let body = if header.packed > 0 { header.packed } else { header.plain };
    let fits = header.plain > 0
        && header.offset >= HEADER_LEN
        && header.offset.checked_add(body) == Some(header.total);
    if fits { Ok(header) } else { Err(RemoteFrameError::Header) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str =
        "<cib_command op=\"authenticate\" user=\"u\" password=\"p\" hidden=\"password\"/>";

    /// The first message of Debian's `cibadmin` on a clear-text port.
    #[test]
    fn the_captured_header_is_reproduced() {
        let text = "x".repeat(86);
        let bytes = encode(1, &text);
        let captured = [
            0xbd, 0xdb, 0xda, 0xba, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0x7f, 0, 0, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x57, 0, 0, 0,
        ];
        assert_eq!(bytes[..HEADER_LEN], captured);
        assert_eq!(bytes.last(), Some(&0));
    }

    #[test]
    fn messages_come_out_however_they_were_cut() {
        let texts = [LOGIN, "<a/>", "<b>\u{e4}</b>"];
        let stream: Vec<u8> =
            texts.iter().zip(1..).flat_map(|(text, id)| encode(id, text)).collect();
        for step in 1..stream.len() {
            let mut decoder = Decoder::strict(4096);
            let mut got = Vec::new();
            for part in stream.chunks(step) {
                decoder.push(part);
                while let Some(text) = decoder.next().unwrap() {
                    got.push(text);
                }
            }
            assert_eq!(got, texts, "in steps of {step}");
            assert_eq!(decoder.held(), 0);
        }
    }

    #[test]
    fn the_other_byte_order_is_read() {
        let mut bytes = encode(3, "<a/>");
        for range in [0..4, 4..8, 8..16, 16..24, 24..28, 28..32, 32..36, 36..40] {
            bytes[range].reverse();
        }
        let mut decoder = Decoder::strict(4096);
        decoder.push(&bytes);
        assert_eq!(decoder.next(), Ok(Some("<a/>".into())));
    }

    fn packed(text: &str, plain: usize) -> Vec<u8> {
        let body = crate::frame::compress(text);
        let mut bytes = encode(1, "");
        bytes.truncate(HEADER_LEN);
        bytes[24..28].copy_from_slice(&((HEADER_LEN + body.len()) as u32).to_ne_bytes());
        bytes[32..36].copy_from_slice(&(body.len() as u32).to_ne_bytes());
        bytes[36..40].copy_from_slice(&(plain as u32).to_ne_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    #[test]
    fn packed_messages_are_for_friends_and_bombs_for_nobody() {
        let text = "<a/>".repeat(1000);
        let good = packed(&text, text.len() + 1);
        let next = |decoder: &mut Decoder, bytes: &[u8]| {
            decoder.push(bytes);
            decoder.next()
        };
        assert_eq!(next(&mut Decoder::trusting(), &good), Ok(Some(text.clone())));
        assert_eq!(next(&mut Decoder::strict(100_000), &good), Err(RemoteFrameError::Packed));
        let bomb = packed(&text, 10);
        assert_eq!(next(&mut Decoder::trusting(), &bomb), Err(RemoteFrameError::Packed));
    }

    #[test]
    fn strangers_are_stopped_at_the_header() {
        let limit = 1000;
        let with = |at: usize, number: u32| {
            let mut bytes = encode(1, LOGIN);
            bytes.truncate(HEADER_LEN);
            bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
            let mut decoder = Decoder::strict(limit);
            decoder.push(&bytes);
            decoder.next()
        };
        assert_eq!(with(0, 0x0003_0116), Err(RemoteFrameError::Magic));
        for (at, number) in [(24, 0), (28, 0), (28, 39), (36, 0), (36, 5), (32, 7)] {
            assert_eq!(with(at, number), Err(RemoteFrameError::Header), "{at} {number}");
        }
        let big = encode(1, &"x".repeat(limit));
        let mut decoder = Decoder::strict(limit);
        decoder.push(&big[..HEADER_LEN]);
        assert!(matches!(decoder.next(), Err(RemoteFrameError::TooBig { .. })));
        // A browser, a port scanner.
        let mut decoder = Decoder::strict(limit);
        decoder.push(b"GET / HTTP/1.0\r\n");
        assert_eq!(decoder.next(), Err(RemoteFrameError::Magic));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for round in 0..2000 {
            let mut bytes = encode(1, LOGIN);
            let n = bytes.len() as u64;
            for _ in 0..=round % 4 {
                let at = (next() % n) as usize;
                bytes[at] = next() as u8;
            }
            let mut decoder = if round % 2 == 0 { Decoder::trusting() } else { Decoder::strict(9) };
            for part in bytes.chunks(1 + (next() % 50) as usize) {
                decoder.push(part);
                while let Ok(Some(_)) = decoder.next() {}
            }
        }
    }
}
