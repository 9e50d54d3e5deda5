//! The timers and counts of totem: defaults, derived values, limits.
//!
//! Source: `spec/totem.md` §12.1, `spec/corosync-conf-and-tools.md` §3.1.

use crate::cmap::{Map, Value};

/// Shortest timer, from the days of a 100 Hz clock.
const MIN_MS: u32 = 30;
/// Shortest hold time.
const HOLD_MIN_MS: u32 = 14;

/// Effective values, as published under `runtime.config.totem.`. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the keys of corosync.conf, explained there")]
pub struct Timing {
    pub token: u32,
    pub token_warning: u32,
    pub token_retransmits_before_loss_const: u32,
    pub token_retransmit: u32,
    pub hold: u32,
    pub join: u32,
    pub send_join: u32,
    pub consensus: u32,
    pub merge: u32,
    pub downcheck: u32,
    pub fail_recv_const: u32,
    pub seqno_unchanged_const: u32,
    pub heartbeat_failures_allowed: u32,
    pub max_network_delay: u32,
    pub window_size: u32,
    pub max_messages: u32,
    pub miss_count_const: u32,
    pub block_unlisted_ips: bool,
    pub cancel_token_hold_on_retransmit: bool,
    /// Whether `token_retransmit` was derived from the token, for the wording of its refusal.
    retransmit_is_derived: bool,
}

impl Timing {
    /// Reads the keys of `totem.` for a ring of `nodes` listed nodes.
    pub fn read(map: &Map, nodes: usize) -> Timing {
        let given = |key: &str| map.get_u32(&format!("totem.{key}"));
        let or =
            |key: &str, default: u32| given(key).filter(|value| *value != 0).unwrap_or(default);
        let switch =
            |key: &str, default: bool| match map.get_text(&format!("totem.{key}")).as_deref() {
                Some("yes") => true,
                Some("no") => false,
                _ => default,
            };
        let extra = u32::try_from(nodes.saturating_sub(2)).unwrap_or(u32::MAX);
        // The coefficient 0 is a wish (no growth with the ring), not "the default".
        let coefficient = given("token_coefficient").unwrap_or(650);
        let token = or("token", 3000).saturating_add(extra.saturating_mul(coefficient));
        let retransmits = or("token_retransmits_before_loss_const", 4);
        let derived = (f64::from(token) / (f64::from(retransmits) + 0.2)) as u32;
        let token_retransmit = or("token_retransmit", derived);
        let hold = or("hold", (f64::from(token_retransmit) * 0.8 - 10.0).max(0.0) as u32);
        Timing {
            token,
            token_warning: given("token_warning").unwrap_or(75),
            token_retransmits_before_loss_const: retransmits,
            token_retransmit,
            hold,
            join: or("join", 50),
            send_join: given("send_join").unwrap_or(0),
            consensus: or("consensus", (f64::from(token) * 1.2) as u32),
            merge: or("merge", 200),
            downcheck: or("downcheck", 1000),
            fail_recv_const: or("fail_recv_const", 2500),
            seqno_unchanged_const: or("seqno_unchanged_const", 30),
            heartbeat_failures_allowed: given("heartbeat_failures_allowed").unwrap_or(0),
            max_network_delay: or("max_network_delay", 50),
            window_size: or("window_size", 50),
            max_messages: or("max_messages", 17),
            miss_count_const: or("miss_count_const", 5),
            block_unlisted_ips: switch("block_unlisted_ips", true),
            cancel_token_hold_on_retransmit: switch("cancel_token_hold_on_retransmit", false),
            retransmit_is_derived: given("token_retransmit").is_none_or(|value| value == 0),
        }
    }

    /// The first limit that is broken, worded as upstream does (without `parse error in config: `).
    ///
    /// # Errors
    /// The text.
    pub fn validate(&self) -> Result<(), String> {
        let at_least = |what: &str, value: u32, min: u32| {
            if value < min {
                Err(format!("The {what} parameter ({value} ms) may not be less than ({min} ms)."))
            } else {
                Ok(())
            }
        };
        at_least("max_network_delay", self.max_network_delay, MIN_MS)?;
        at_least("token timeout", self.token, MIN_MS)?;
        if self.token_warning > 100 {
            return Err(format!(
                "The token warning parameter ({}%) must be between 0 (disabled) and 100.",
                self.token_warning
            ));
        }
        if self.retransmit_is_derived && self.token_retransmit < MIN_MS {
            return Err(
                "Not appropriate token or token_retransmits_before_loss_const value set".into()
            );
        }
        at_least("token retransmit timeout", self.token_retransmit, MIN_MS)?;
        at_least("token hold timeout", self.hold, HOLD_MIN_MS)?;
        at_least("join timeout", self.join, MIN_MS)?;
        at_least("consensus timeout", self.consensus, MIN_MS)?;
        if self.consensus < self.join {
            return Err(format!(
                "The consensus timeout parameter ({} ms) may not be less than join timeout ({} ms).",
                self.consensus, self.join
            ));
        }
        at_least("merge timeout", self.merge, MIN_MS)?;
        at_least("downcheck timeout", self.downcheck, MIN_MS)
    }

    /// Publishes the values under `runtime.config.totem.`.
    pub fn publish(&self, map: &mut Map) {
        for (key, value) in [
            ("token", self.token),
            ("token_warning", self.token_warning),
            ("token_retransmits_before_loss_const", self.token_retransmits_before_loss_const),
            ("token_retransmit", self.token_retransmit),
            ("hold", self.hold),
            ("join", self.join),
            ("send_join", self.send_join),
            ("consensus", self.consensus),
            ("merge", self.merge),
            ("downcheck", self.downcheck),
            ("fail_recv_const", self.fail_recv_const),
            ("seqno_unchanged_const", self.seqno_unchanged_const),
            ("heartbeat_failures_allowed", self.heartbeat_failures_allowed),
            ("max_network_delay", self.max_network_delay),
            ("window_size", self.window_size),
            ("max_messages", self.max_messages),
            ("miss_count_const", self.miss_count_const),
            ("block_unlisted_ips", u32::from(self.block_unlisted_ips)),
            ("cancel_token_hold_on_retransmit", u32::from(self.cancel_token_hold_on_retransmit)),
        ] {
            map.put(&format!("runtime.config.totem.{key}"), Value::U32(value));
        }
        let unsigned = |key: &str, default: u32| map.get_u32(key).unwrap_or(default);
        let interval = unsigned("totem.knet_pmtud_interval", 30);
        let mtu = unsigned("totem.knet_mtu", 0);
        let threshold = unsigned("totem.knet_compression_threshold", 0);
        let model = map.get("totem.knet_compression_model").cloned().unwrap_or("none".into());
        let level = map.get("totem.knet_compression_level").cloned().unwrap_or(Value::I32(0));
        for (key, value) in [
            ("knet_pmtud_interval", Value::U32(interval)),
            ("knet_mtu", Value::U32(mtu)),
            ("knet_compression_threshold", Value::U32(threshold)),
            ("knet_compression_model", model),
            ("knet_compression_level", level),
        ] {
            map.put(&format!("runtime.config.totem.{key}"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(keys: &[(&str, u32)], nodes: usize) -> Timing {
        let mut map = Map::new();
        for (key, value) in keys {
            map.put(&format!("totem.{key}"), Value::U32(*value));
        }
        Timing::read(&map, nodes)
    }

    #[test]
    fn defaults_follow_from_the_token() {
        let two = timing(&[], 2);
        assert_eq!(
            (two.token, two.token_retransmit, two.hold, two.consensus),
            (3000, 714, 561, 3600)
        );
        assert_eq!(timing(&[], 5).token, 3000 + 3 * 650);
        assert_eq!(timing(&[("token", 1000)], 3).token, 1650);
        assert_eq!(timing(&[("token", 1000), ("token_coefficient", 0)], 3).token, 1000);
        let seed = timing(
            &[("token", 3000), ("token_retransmits_before_loss_const", 10), ("consensus", 3600)],
            0,
        );
        assert_eq!((seed.token_retransmit, seed.hold), (294, 225));
        assert_eq!(seed.validate(), Ok(()));
    }

    #[test]
    fn limits_are_named() {
        for (keys, wanted) in [
            (
                &[("token", 20)][..],
                "The token timeout parameter (20 ms) may not be less than (30 ms).",
            ),
            (
                &[("token", 100)],
                "Not appropriate token or token_retransmits_before_loss_const value set",
            ),
            (
                &[("join", 5000)],
                "The consensus timeout parameter (3600 ms) may not be less than join timeout (5000 ms).",
            ),
            (
                &[("token_warning", 101)],
                "The token warning parameter (101%) must be between 0 (disabled) and 100.",
            ),
            (&[("merge", 1)], "The merge timeout parameter (1 ms) may not be less than (30 ms)."),
        ] {
            assert_eq!(timing(keys, 2).validate().unwrap_err(), wanted);
        }
    }

    #[test]
    fn no_number_overflows() {
        let huge = timing(&[("token", u32::MAX), ("token_coefficient", u32::MAX)], usize::MAX);
        assert_eq!(huge.token, u32::MAX);
    }
}
