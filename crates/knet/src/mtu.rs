//! How much fits: from the size of an IP packet to the user's bytes in it, and back.
//!
//! Source: `spec/knet.md` §5.1.

use crate::wire::BEAT_SIZE;
use std::net::IpAddr;

/// Bytes that encryption adds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    /// Whether there is a cipher: then a salt goes before, and the rest is whole blocks.
    pub cipher: bool,
    /// Size of the authentication code.
    pub hash: usize,
}

/// A block, and the salt.
const BLOCK: usize = 16;

impl Envelope {
    /// Most user bytes in a datagram's payload of `payload` bytes.
    pub fn max_data(self, payload: usize) -> usize {
        let inner = if self.cipher {
            let room = payload.saturating_sub(BLOCK + self.hash);
            (room - room % BLOCK).saturating_sub(1)
        } else {
            payload.saturating_sub(self.hash)
        };
        inner.saturating_sub(BEAT_SIZE)
    }

    /// The datagram's payload that `clear` bytes become.
    pub fn out_len(self, clear: usize) -> usize {
        if self.cipher {
            (clear / BLOCK + 1) * BLOCK + BLOCK + self.hash
        } else {
            clear + self.hash
        }
    }

    /// The data MTU that every path has.
    pub fn minimum(self) -> usize {
        self.max_data(576 - (40 + 28))
    }

    /// What a link is given before its path is explored.
    pub fn initial(self, remote: IpAddr) -> usize {
        let smallest = if remote.is_ipv4() { 576 } else { 1280 };
        self.max_data(smallest - ip_overhead(remote))
    }
}

/// Size of the IP and UDP headers.
pub fn ip_overhead(remote: IpAddr) -> usize {
    8 + if remote.is_ipv4() { 20 } else { 40 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_on_captured_wires() {
        let v4: IpAddr = "10.0.0.1".parse().unwrap();
        for (cipher, hash, minimum, initial, at_1500) in [
            (false, 0, 482, 522, 1446),
            (false, 64, 418, 458, 1382),
            (true, 20, 437, 485, 1397),
            (true, 32, 421, 469, 1397),
        ] {
            let envelope = Envelope { cipher, hash };
            assert_eq!(envelope.minimum(), minimum, "{envelope:?}");
            assert_eq!(envelope.initial(v4), initial, "{envelope:?}");
            assert_eq!(envelope.max_data(1472), at_1500, "{envelope:?}");
        }
        let v6: IpAddr = "fd00::1".parse().unwrap();
        assert_eq!(Envelope::default().initial(v6), 1206);
        assert_eq!(Envelope::default().max_data(1500 - ip_overhead(v6)), 1426);
        assert_eq!(Envelope { cipher: true, hash: 32 }.out_len(26), 80);
        assert_eq!(Envelope { cipher: true, hash: 64 }.max_data(3), 0);
    }
}
