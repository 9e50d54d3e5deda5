//! What is counted, per link and over all.
//!
//! Source: `spec/knet.md` §11, `spec/corosync-services.md` §7.3.

use std::time::Duration;

/// Packets and bytes of one kind in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// One of them was not sent after all.
    pub(crate) fn take_back(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }
}

/// One direction of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// The user's messages.
    pub data: Count,
    /// Pings.
    pub ping: Count,
    /// Pongs.
    pub pong: Count,
    /// Probes and their answers.
    pub pmtu: Count,
}

impl Traffic {
    /// All kinds together.
    pub fn total(&self) -> Count {
        let all = [self.data, self.ping, self.pong, self.pmtu];
        Count {
            packets: all.iter().map(|count| count.packets).sum(),
            bytes: all.iter().map(|count| count.bytes).sum(),
        }
    }
}

/// Packets that the kernel refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refused {
    /// The user's messages.
    pub data: u32,
    /// Pings.
    pub ping: u32,
    /// Pongs.
    pub pong: u32,
    /// Probes and their answers.
    pub pmtu: u32,
}

/// A link's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    /// Sent.
    pub tx: Traffic,
    /// Received.
    pub rx: Traffic,
    /// Refused by the kernel.
    pub tx_errors: Refused,
    /// Shortest round trip in microseconds.
    pub latency_min: u32,
    /// Longest.
    pub latency_max: u32,
    /// Running mean.
    pub latency_ave: u32,
    /// How many made the mean.
    pub latency_samples: u32,
    /// How often it went down.
    pub down_count: u32,
    /// How often it came up.
    pub up_count: u32,
}

/// Time taken by an operation on each packet, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effort {
    /// Shortest.
    pub min: u64,
    /// Longest.
    pub max: u64,
    /// Mean.
    pub ave: u64,
    count: u64,
}

impl Effort {
    pub(crate) fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.min = if self.count == 0 { nanos } else { self.min.min(nanos) };
        self.max = self.max.max(nanos);
        let sum = self.ave.saturating_mul(self.count).saturating_add(nanos);
        self.count += 1;
        self.ave = sum / self.count;
    }
}

/// Counters over all links.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HandleStats {
    /// Messages sent as they were.
    pub tx_uncompressed_packets: u64,
    /// Messages sent compressed.
    pub tx_compressed_packets: u64,
    /// Their size before,
    pub tx_compressed_original_bytes: u64,
    /// and after.
    pub tx_compressed_size_bytes: u64,
    /// Time it took.
    pub tx_compress: Effort,
    /// Compressed messages received.
    pub rx_compressed_packets: u64,
    /// Their size unpacked,
    pub rx_compressed_original_bytes: u64,
    /// and packed.
    pub rx_compressed_size_bytes: u64,
    /// Time it took.
    pub rx_compress: Effort,
    /// Packets encrypted.
    pub tx_crypt_packets: u64,
    /// Bytes that encryption added.
    pub tx_crypt_byte_overhead: u64,
    /// Time it took.
    pub tx_crypt: Effort,
    /// Packets decrypted.
    pub rx_crypt_packets: u64,
    /// Time it took.
    pub rx_crypt: Effort,
    /// Packets that no key of ours made (not counted by upstream).
    pub rx_crypt_failures: u64,
    /// Packets that made no sense or came from nobody we know (not counted by upstream).
    pub rx_dropped: u64,
    /// Messages that came a second time (not counted by upstream).
    pub rx_duplicates: u64,
}
