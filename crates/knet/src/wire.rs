//! Packets as they lie in a datagram once it is decrypted.
//!
//! ```text
//!  0        1        2        3        4        5        6
//!  version  type     sender's id       0        0        …
//!  DATA   6 seq(2) 8 compress 9 – 10 bcast 11 fragments 12 nth 13 channel 14 data
//!  PING   6 link   7 time(16)            23 seq(2)              25 timed
//!  PMTUD  6 link   7 size(2)   9 filler
//! ```
//! Numbers are big endian, but the ping's time and the probe's size are only echoed and stay in
//! the order of the machine that sent them.
//!
//! Source: `spec/knet.md` §1.

use base::Time;

/// The protocol's version.
pub const VERSION: u8 = 1;
/// Bytes before the user's in a DATA packet.
pub const DATA_HEADER: usize = 14;
/// Size of PING and PONG; the largest header, which MTU arithmetic takes for all.
pub const BEAT_SIZE: usize = 26;
/// Size of a PMTUD_REPLY, and of a probe before its filler.
pub const PROBE_HEADER: usize = 9;
/// Packets with less than a header and a byte are nothing.
pub const SIZE_MIN: usize = 7;
/// Largest user message.
pub const MESSAGE_MAX: usize = 65_536;

const DATA: u8 = 0x00;
const PING: u8 = 0x81;
const PONG: u8 = 0x82;
const PROBE: u8 = 0x83;
const PROBE_REPLY: u8 = 0x84;
/// Set in the types of packets that carry a link id.
const CONTROL: u8 = 0x80;

/// What a DATA packet says about its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataHeader {
    /// The message's number, never 0.
    pub seq: u16,
    /// Model the message is compressed with, 0 for none.
    pub compress: u8,
    /// Whether it went to everybody.
    pub broadcast: bool,
    /// Number of fragments.
    pub fragments: u8,
    /// Which fragment this is: 1 to `fragments`; 0 when there is only one.
    pub nth: u8,
    /// The channel it belongs to.
    pub channel: i8,
}

/// The body of a PING, returned as it is in the PONG.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beat {
    /// The pinging node's id of the link.
    pub link: u8,
    /// When it was sent; means something to the pinging node only.
    pub time: [u8; 16],
    /// The pinging node's last data number.
    pub seq: u16,
    /// Sent by the timer, not because the numbers wrap.
    pub timed: bool,
}

/// A packet's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// Data of the user.
    Data(DataHeader, &'a [u8]),
    /// Are you there?
    Ping(Beat),
    /// I am.
    Pong(Beat),
    /// Does this size get through?
    Probe {
        /// The sender's link id.
        link: u8,
        /// The size tried, as the sender wrote it.
        size: [u8; 2],
    },
    /// It did.
    ProbeReply {
        /// The link id of the probe.
        link: u8,
        /// The size of the probe.
        size: [u8; 2],
    },
}

/// Why bytes are no packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Fewer bytes than its type needs.
    Short,
    /// Another version.
    Version,
    /// No known type.
    Type,
    /// Fields that contradict each other.
    Fields,
}

fn take<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    data.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or(Malformed::Short)
}

/// Reads a packet: who sent it, and what.
///
/// # Errors
/// What is wrong with it.
pub fn decode(data: &[u8]) -> Result<(u16, Body<'_>), Malformed> {
    if data.len() < SIZE_MIN {
        return Err(Malformed::Short);
    }
    let [version, kind]: [u8; 2] = take(data, 0)?;
    if version != VERSION {
        return Err(Malformed::Version);
    }
    let host = u16::from_be_bytes(take(data, 2)?);
    let body = match kind {
        DATA => {
            let [compress, _, broadcast, fragments, nth, channel] = take(data, 8)?;
            let header = DataHeader {
                seq: u16::from_be_bytes(take(data, 6)?),
                compress,
                broadcast: broadcast != 0,
                fragments,
                nth,
                channel: channel as i8,
            };
            let is_part = fragments > 1 && (1..=fragments).contains(&nth);
            if header.seq == 0 || !(is_part || fragments == 1) {
                return Err(Malformed::Fields);
            }
            Body::Data(header, data.get(DATA_HEADER..).ok_or(Malformed::Short)?)
        }
        PING | PONG => {
            let [link]: [u8; 1] = take(data, 6)?;
            let [timed]: [u8; 1] = take(data, 25)?;
            let beat = Beat {
                link,
                time: take(data, 7)?,
                seq: u16::from_be_bytes(take(data, 23)?),
                timed: timed != 0,
            };
            if kind == PING { Body::Ping(beat) } else { Body::Pong(beat) }
        }
        PROBE | PROBE_REPLY => {
            let [link]: [u8; 1] = take(data, 6)?;
            let size = take(data, 7)?;
            match kind {
                PROBE => Body::Probe { link, size },
                _ => Body::ProbeReply { link, size },
            }
        }
        _ => return Err(Malformed::Type),
    };
    Ok((host, body))
}

fn header(out: &mut Vec<u8>, kind: u8, host: u16) {
    let [high, low] = host.to_be_bytes();
    out.extend_from_slice(&[VERSION, kind, high, low, 0, 0]);
}

/// Appends a DATA packet.
pub fn put_data(out: &mut Vec<u8>, host: u16, data: &DataHeader, bytes: &[u8]) {
    header(out, DATA, host);
    out.extend_from_slice(&data.seq.to_be_bytes());
    out.extend_from_slice(&[
        data.compress,
        0,
        u8::from(data.broadcast),
        data.fragments,
        data.nth,
        data.channel as u8,
    ]);
    out.extend_from_slice(bytes);
}

fn put_beat(out: &mut Vec<u8>, kind: u8, host: u16, beat: &Beat) {
    header(out, kind, host);
    out.push(beat.link);
    out.extend_from_slice(&beat.time);
    out.extend_from_slice(&beat.seq.to_be_bytes());
    out.push(u8::from(beat.timed));
}

/// Appends a PING.
pub fn put_ping(out: &mut Vec<u8>, host: u16, beat: &Beat) {
    put_beat(out, PING, host, beat);
}

/// Appends the PONG to a PING.
pub fn put_pong(out: &mut Vec<u8>, host: u16, beat: &Beat) {
    put_beat(out, PONG, host, beat);
}

/// Appends a probe that is `len` bytes long.
pub fn put_probe(out: &mut Vec<u8>, host: u16, link: u8, size: [u8; 2], len: usize) {
    let start = out.len();
    header(out, PROBE, host);
    out.push(link);
    out.extend_from_slice(&size);
    out.resize(start + len.max(PROBE_HEADER), 0);
}

/// Appends the answer to a probe.
pub fn put_probe_reply(out: &mut Vec<u8>, host: u16, link: u8, size: [u8; 2]) {
    header(out, PROBE_REPLY, host);
    out.push(link);
    out.extend_from_slice(&size);
}

/// Whether a packet carries a link id (or would, if it were one).
pub fn is_control(data: &[u8]) -> bool {
    data.get(1).is_some_and(|kind| kind & CONTROL != 0)
}

/// A point in time as a PING carries it: seconds and nanoseconds of this machine's clock.
pub fn stamp(at: Time) -> [u8; 16] {
    let mut time = [0; 16];
    time[..8].copy_from_slice(&(at.as_nanos() / 1_000_000_000).to_ne_bytes());
    time[8..].copy_from_slice(&(at.as_nanos() % 1_000_000_000).to_ne_bytes());
    time
}

/// The point in time in a returned [`stamp`]; `None` for one this machine cannot have written.
pub fn unstamp(time: [u8; 16]) -> Option<Time> {
    let half = |from: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&time[from..from + 8]);
        u64::from_ne_bytes(word)
    };
    let (secs, nanos) = (half(0), half(8));
    let total = secs.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    (nanos < 1_000_000_000).then_some(Time::from_nanos(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn captured_packets_are_read_and_written() {
        let ping = hex("01 81 0002 00 00  00  390d000000000000 2b6c481200000000  0000  01");
        let (host, body) = decode(&ping).unwrap();
        let Body::Ping(beat) = body else { panic!("{body:?}") };
        assert_eq!((host, beat.link, beat.seq, beat.timed), (2, 0, 0, true));
        assert_eq!(unstamp(beat.time), Some(Time::from_nanos(3_385_306_736_171)));
        let mut out = Vec::new();
        put_ping(&mut out, 2, &beat);
        assert_eq!(out, ping);
        out.clear();
        put_pong(&mut out, 1, &beat);
        assert_eq!(out, hex("018200010000 00 390d000000000000 2b6c481200000000 0000 01"));
        let probe = hex("01 83 0002 0000 00 dc05 0000");
        assert_eq!(decode(&probe), Ok((2, Body::Probe { link: 0, size: [0xdc, 5] })));
        out.clear();
        put_probe_reply(&mut out, 1, 0, [0xdc, 5]);
        assert_eq!(out, hex("01 84 0001 0000 00 dc05"));
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, wanted) in [
            ("0100 0001 0000", Malformed::Short),
            ("0200 0001 0000 0001 00 00 01 01 00 00 aa", Malformed::Version),
            ("0185 0001 0000 0001 00 00 01 01 00 00 aa", Malformed::Type),
            ("0100 0001 0000 0000 00 00 01 01 00 00 aa", Malformed::Fields),
            ("0100 0001 0000 0001 00 00 01 00 00 00 aa", Malformed::Fields),
            ("0100 0001 0000 0001 00 00 01 02 00 00 aa", Malformed::Fields),
            ("0100 0001 0000 0001 00 00 01 02 03 00 aa", Malformed::Fields),
            ("0100 0001 0000 0001 00 00 01 01 00", Malformed::Short),
            ("0181 0001 0000 00 0000", Malformed::Short),
            ("0183 0001 0000 00 00", Malformed::Short),
        ] {
            assert_eq!(decode(&hex(text)), Err(wanted), "{text}");
        }
    }
}
