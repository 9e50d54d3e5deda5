//! The numbers that time and shape a ring, and how the old engine derives those left out.
//!
//! Source: `spec/totem.md` §12.1, §12.4.

use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Smallest value upstream accepts for most timeouts, in milliseconds.
pub const MINIMUM_TIMEOUT_MS: u64 = 30;
/// What `netmtu` loses to headers before it limits a frame (two multicast headers).
pub const HEADER_ALLOWANCE: usize = 90;
/// Default `netmtu` on udp and udpu.
pub const UDP_NETMTU: usize = 1500;
/// Default `netmtu` on knet, which fragments by itself.
pub const KNET_NETMTU: usize = 65536;

/// Everything configurable about the ring, with effective values (nothing means "default" here).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Silence after which the token counts as lost.
    pub token: Duration,
    /// Silence after which a warning is logged, in percent of `token`; 0 never.
    pub token_warning: u32,
    /// Silence after which the token is sent again.
    pub token_retransmit: Duration,
    /// How long an idle representative keeps the token.
    pub hold: Duration,
    /// Time between two join messages.
    pub join: Duration,
    /// Join messages are delayed by a random part of this.
    pub send_join: Duration,
    /// How long to wait for everybody's agreement before giving up on the silent.
    pub consensus: Duration,
    /// Time between two announcements of an idle ring.
    pub merge: Duration,
    /// Rotations a node may fail to receive before it excludes itself.
    pub fail_recv_const: u32,
    /// Idle rotations before the token is held.
    pub seqno_unchanged_const: u32,
    /// Lost heartbeats before the token counts as lost; 0 disables.
    pub heartbeat_failures_allowed: u32,
    /// Allowance for the network in the heartbeat timeout.
    pub max_network_delay: Duration,
    /// Frames all members together may send in a rotation.
    pub window_size: u32,
    /// Frames one member may send with one token.
    pub max_messages: u32,
    /// Rotations a message may be missing before it is asked for.
    pub miss_count_const: u32,
    /// Whether a retransmission releases a held token.
    pub cancel_token_hold_on_retransmit: bool,
    /// Longest frame, headers of multicasts not counted (`netmtu` − 90).
    pub net_mtu: usize,
}

impl Config {
    /// All defaults for this token timeout in milliseconds.
    pub fn with_token(token_ms: u64) -> Config {
        let token_ms = token_ms.max(MINIMUM_TIMEOUT_MS);
        let retransmit = Self::default_retransmit_ms(token_ms, 4);
        Config {
            token: ms(token_ms),
            token_warning: 75,
            token_retransmit: ms(retransmit),
            hold: ms(Self::default_hold_ms(retransmit)),
            join: ms(50),
            send_join: Duration::ZERO,
            consensus: ms(Self::default_consensus_ms(token_ms)),
            merge: ms(200),
            fail_recv_const: 2500,
            seqno_unchanged_const: 30,
            heartbeat_failures_allowed: 0,
            max_network_delay: ms(50),
            window_size: 50,
            max_messages: 17,
            miss_count_const: 5,
            cancel_token_hold_on_retransmit: false,
            net_mtu: UDP_NETMTU - HEADER_ALLOWANCE,
        }
    }

    /// The token timeout of `nodes` nodes: each beyond the second adds the coefficient.
    pub fn token_ms(base_ms: u64, coefficient_ms: u64, nodes: usize) -> u64 {
        base_ms + (nodes as u64).saturating_sub(2) * coefficient_ms
    }

    /// `token_retransmit` where it is not configured.
    pub fn default_retransmit_ms(token_ms: u64, retransmits_before_loss: u64) -> u64 {
        // Integers for token / (n + 0.2).
        token_ms * 10 / (retransmits_before_loss * 10 + 2)
    }

    /// `hold` where it is not configured.
    pub fn default_hold_ms(retransmit_ms: u64) -> u64 {
        (retransmit_ms * 8 / 10).saturating_sub(10).max(1)
    }

    /// `consensus` where it is not configured.
    pub fn default_consensus_ms(token_ms: u64) -> u64 {
        token_ms * 12 / 10
    }

    /// The heartbeat timeout, or `None` where heartbeats are off or would outlast the token.
    pub fn heartbeat(&self) -> Option<Duration> {
        let timeout =
            self.token_retransmit * self.heartbeat_failures_allowed + self.max_network_delay;
        (self.heartbeat_failures_allowed > 0 && timeout < self.token).then_some(timeout)
    }

    /// Slots of each send queue: 4 MiB worth of frames.
    pub fn queue_slots(&self) -> usize {
        (4 * 1_048_576 / self.net_mtu.max(1)).max(4)
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::with_token(3000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_a_stock_node() {
        let config = Config::default();
        assert_eq!(config.token_retransmit, ms(714));
        assert_eq!(config.hold, ms(561));
        assert_eq!(config.consensus, ms(3600));
        assert_eq!(config.net_mtu, 1410);
        assert_eq!(config.queue_slots(), 2974);
        assert_eq!(Config::token_ms(3000, 650, 2), 3000);
        assert_eq!(Config::token_ms(3000, 650, 5), 4950);
        assert_eq!(Config::with_token(1000).token_retransmit, ms(238));
    }
}
