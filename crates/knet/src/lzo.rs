//! LZO1X, from the description of its stream format in the Linux kernel's documentation
//! (`Documentation/staging/lzo.rst`): a reader that never leaves its buffers, and a simple greedy
//! writer.
//!
//! A stream is a row of instructions. Each but the literal runs copies something that was there
//! before and has two bits S: so many literals follow it. What the codes 0 to 15 mean depends on S
//! of the instruction before.

/// Matches farther away need their own instruction.
const NEAR: usize = 2048;
const MIDDLE: usize = 16_384;
const FAR: usize = 49_151;
/// The instruction that ends a stream.
const END: [u8; 3] = [0x11, 0, 0];
/// Shortest match worth an instruction.
const MATCH_MIN: usize = 4;
const HASH_BITS: u32 = 13;

struct Source<'a> {
    data: &'a [u8],
}

impl<'a> Source<'a> {
    fn byte(&mut self) -> Option<usize> {
        let (first, rest) = self.data.split_first()?;
        self.data = rest;
        Some(usize::from(*first))
    }

    fn pair(&mut self) -> Option<usize> {
        Some(self.byte()? | self.byte()? << 8)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.data.split_at_checked(len)?;
        self.data = rest;
        Some(taken)
    }

    /// A length that did not fit its bits goes on in bytes: zeros count 255 each.
    fn length(&mut self, bits: usize, full: usize, limit: usize) -> Option<usize> {
        if bits != 0 {
            return Some(bits);
        }
        let mut length = full;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Some(length + last),
            }
            if length > limit {
                return None;
            }
        }
    }
}

/// Unpacks a stream into at most `limit` bytes. `None` for what is no stream, or too long.
pub fn decompress(data: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut source = Source { data };
    let mut out = Vec::new();
    // Literals of the last instruction; 4 stands for a run of them.
    let mut state = 0;
    if let Some(first) = data.first().copied().filter(|first| *first > 17) {
        source.byte()?;
        let len = usize::from(first) - 17;
        if len > limit {
            return None;
        }
        out.extend_from_slice(source.take(len)?);
        state = len.min(4);
    }
    loop {
        let code = source.byte()?;
        let (distance, length, literals);
        match code {
            0..16 if state == 0 => {
                let run = 3 + source.length(code & 15, 15, limit)?;
                out.extend_from_slice(source.take(run)?);
                if out.len() > limit {
                    return None;
                }
                state = 4;
                continue;
            }
            0..16 => {
                let high = source.byte()?;
                let near = state < 4;
                distance = (high << 2) + (code >> 2 & 3) + if near { 1 } else { 2049 };
                length = if near { 2 } else { 3 };
                literals = code & 3;
            }
            16..32 => {
                length = 2 + source.length(code & 7, 7, limit)?;
                let pair = source.pair()?;
                distance = MIDDLE + ((code >> 3 & 1) << 14) + (pair >> 2);
                literals = pair & 3;
                if distance == MIDDLE {
                    let is_end = length == 3 && source.data.is_empty();
                    return is_end.then_some(out);
                }
            }
            32..64 => {
                length = 2 + source.length(code & 31, 31, limit)?;
                let pair = source.pair()?;
                distance = (pair >> 2) + 1;
                literals = pair & 3;
            }
            _ => {
                let (base, bits) = if code < 128 { (3, code >> 5 & 1) } else { (5, code >> 5 & 3) };
                length = base + bits;
                distance = (source.byte()? << 3) + (code >> 2 & 7) + 1;
                literals = code & 3;
            }
        }
        let start = out.len().checked_sub(distance)?;
        if out.len() + length + literals > limit {
            return None;
        }
        // The source may run into what is being written.
        for from in start..start + length {
            let byte = *out.get(from)?;
            out.push(byte);
        }
        out.extend_from_slice(source.take(literals)?);
        state = literals;
    }
}

/// Packs bytes. The result may be larger than they are.
pub fn compress(data: &[u8]) -> Vec<u8> {
    let mut writer = Writer { out: Vec::with_capacity(data.len() / 2 + 32), s_at: None };
    let mut seen = vec![usize::MAX; 1 << HASH_BITS];
    let (mut at, mut done) = (0, 0);
    while let Some(four) = data.get(at..at + MATCH_MIN) {
        let word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        let slot = (word.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize;
        let candidate = std::mem::replace(&mut seen[slot], at);
        let distance = at.wrapping_sub(candidate);
        let matches = candidate != usize::MAX
            && distance <= FAR
            // The code of this distance with the shortest length would end the stream.
            && distance != MIDDLE
            && data.get(candidate..candidate + MATCH_MIN) == Some(four);
        if !matches {
            at += 1;
            continue;
        }
        let same = data[candidate..].iter().zip(&data[at..]).take_while(|(a, b)| a == b).count();
        writer.literals(&data[done..at]);
        writer.copy(distance, same);
        at += same;
        done = at;
    }
    writer.literals(&data[done..]);
    writer.out.extend_from_slice(&END);
    writer.out
}

struct Writer {
    out: Vec<u8>,
    /// Where the two bits S of the last instruction are.
    s_at: Option<usize>,
}

impl Writer {
    fn literals(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        match (len, self.s_at) {
            (0, _) => {}
            (1..=3, Some(at)) => self.out[at] |= len as u8,
            (1..=238, None) => self.out.push(len as u8 + 17),
            _ => self.length(0, len - 3, 15),
        }
        self.out.extend_from_slice(bytes);
    }

    /// An instruction's code with a length in its low bits, or behind it.
    fn length(&mut self, code: u8, len: usize, full: usize) {
        if len <= full {
            self.out.push(code | len as u8);
            return;
        }
        self.out.push(code);
        let mut rest = len - full;
        while rest > 255 {
            self.out.push(0);
            rest -= 255;
        }
        self.out.push(rest as u8);
    }

    fn copy(&mut self, distance: usize, len: usize) {
        if len <= 8 && distance <= NEAR {
            let d = distance - 1;
            let code = match len {
                3 | 4 => 64 | (len - 3) << 5,
                _ => 128 | (len - 5) << 5,
            };
            self.s_at = Some(self.out.len());
            self.out.push((code | (d & 7) << 2) as u8);
            self.out.push((d >> 3) as u8);
            return;
        }
        let d = if distance <= MIDDLE {
            self.length(32, len - 2, 31);
            distance - 1
        } else {
            let d = distance - MIDDLE;
            self.length(16 | (d >> 14 << 3) as u8, len - 2, 7);
            d & 0x3FFF
        };
        self.s_at = Some(self.out.len());
        self.out.push((d << 2) as u8);
        self.out.push((d >> 6) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    #[test]
    fn instructions_of_every_kind_are_read() {
        // Written by hand from the description: literals, each distance class, runs into itself.
        for (stream, wanted) in [
            (&[18, b'a', 0x11, 0, 0][..], &b"a"[..]),
            (&[21, b'a', b'b', b'c', b'd', 0x11, 0, 0], b"abcd"),
            (&[1, b'a', b'b', b'c', b'd', 0x11, 0, 0], b"abcd"),
            // 5 bytes back 1: a run.
            (&[18, b'x', 0x80, 0, 0x11, 0, 0], b"xxxxxx"),
            // 3 bytes back 2, and a literal behind.
            (&[19, b'x', b'y', 0x45, 0, b'!', 0x11, 0, 0], b"xyxyx!"),
            // state 1: two bytes back 2.
            (&[18 + 1, b'x', b'y', 0x04, 0, 0x11, 0, 0], b"xyxy"),
            // 34 bytes and more, within 16 KiB.
            (&[18, b'z', 32, 1, 0, 0, 0x11, 0, 0], &[b'z'; 35]),
        ] {
            assert_eq!(decompress(stream, 1000).as_deref(), Some(wanted), "{stream:?}");
        }
    }

    #[test]
    fn what_is_packed_is_read_again() {
        let mut rng = StdRng::seed_from_u64(1);
        for round in 0..600 {
            let len = rng.random_range(1..if round % 20 == 0 { 66_000 } else { 2000 });
            let symbols = [1, 2, 5, 256][round % 4];
            let mut data: Vec<u8> = (0..len).map(|_| rng.random_range(0..symbols) as u8).collect();
            if round % 3 == 0 {
                let copy = data.clone();
                data.extend_from_slice(&copy);
            }
            let packed = compress(&data);
            assert_eq!(decompress(&packed, data.len()), Some(data.clone()), "round {round}");
            assert_eq!(decompress(&packed, data.len() - 1), None);
            assert_eq!(decompress(&packed[..packed.len() - 1], data.len()), None);
        }
    }

    #[test]
    fn rubbish_is_refused_within_bounds() {
        let mut rng = StdRng::seed_from_u64(2);
        for _ in 0..100_000 {
            let mut data = vec![0; rng.random_range(0..60)];
            rng.fill_bytes(&mut data);
            if let Some(out) = decompress(&data, 4096) {
                assert!(out.len() <= 4096);
            }
        }
    }
}
