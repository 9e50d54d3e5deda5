//! What is known about the keys of `corosync.conf`: their types, their allowed words, and which
//! of them are survivors of old generations that no longer do anything.
//!
//! Source: `spec/corosync-conf-and-tools.md` §3 and §5.

use crate::cmap::Value;

/// Types of numeric keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned 8 bits.
    U8,
    /// Unsigned 16 bits.
    U16,
    /// Unsigned 32 bits.
    U32,
    /// Unsigned 64 bits.
    U64,
    /// Signed 32 bits.
    I32,
}

impl Kind {
    /// Smallest and largest number.
    pub fn range(self) -> (i128, i128) {
        match self {
            Kind::U8 => (0, u8::MAX.into()),
            Kind::U16 => (0, u16::MAX.into()),
            Kind::U32 => (0, u32::MAX.into()),
            Kind::U64 => (0, u64::MAX.into()),
            Kind::I32 => (i32::MIN.into(), i32::MAX.into()),
        }
    }

    /// Reads a decimal number of this type.
    pub fn read(self, text: &str) -> Option<Value> {
        let number: i128 = text.parse().ok()?;
        Some(match self {
            Kind::U8 => Value::U8(number.try_into().ok()?),
            Kind::U16 => Value::U16(number.try_into().ok()?),
            Kind::U32 => Value::U32(number.try_into().ok()?),
            Kind::U64 => Value::U64(number.try_into().ok()?),
            Kind::I32 => Value::I32(number.try_into().ok()?),
        })
    }
}

const NUMBERS: &[(Kind, &str, &[&str])] = &[
    (
        Kind::U32,
        "totem",
        &[
            "version",
            "nodeid",
            "threads",
            "token",
            "token_coefficient",
            "token_warning",
            "token_retransmits_before_loss_const",
            "token_retransmit",
            "hold",
            "join",
            "send_join",
            "consensus",
            "merge",
            "downcheck",
            "fail_recv_const",
            "seqno_unchanged_const",
            "heartbeat_failures_allowed",
            "max_network_delay",
            "window_size",
            "max_messages",
            "miss_count_const",
            "netmtu",
            "knet_pmtud_interval",
            "knet_mtu",
            "knet_compression_threshold",
            "rrp_token_expired_timeout",
            "rrp_problem_count_timeout",
            "rrp_problem_count_threshold",
            "rrp_problem_count_mcast_threshold",
            "rrp_autorecovery_check_timeout",
        ],
    ),
    (Kind::I32, "totem", &["knet_compression_level"]),
    (Kind::U64, "totem", &["config_version"]),
    (Kind::U8, "totem.interface", &["linknumber", "ttl", "knet_link_priority"]),
    (Kind::U16, "totem.interface", &["mcastport"]),
    (
        Kind::U32,
        "totem.interface",
        &["knet_ping_interval", "knet_ping_timeout", "knet_ping_precision", "knet_pong_count"],
    ),
    (Kind::U32, "nodelist.node", &["nodeid", "quorum_votes"]),
    (
        Kind::U32,
        "quorum",
        &["expected_votes", "votes", "last_man_standing_window", "leaving_timeout"],
    ),
    (
        Kind::U8,
        "quorum",
        &[
            "two_node",
            "wait_for_all",
            "last_man_standing",
            "auto_tie_breaker",
            "allow_downscale",
            "expected_votes_tracking",
        ],
    ),
    (Kind::U32, "quorum.device", &["timeout", "sync_timeout", "votes"]),
    (Kind::U8, "quorum.device", &["master_wins"]),
    (Kind::U32, "resources", &["watchdog_timeout"]),
    (Kind::U64, "resources.system.memory_used", &["poll_period"]),
    (Kind::U64, "resources.system.load_15min", &["poll_period"]),
    (Kind::U32, "pload", &["count", "size"]),
];

/// The numeric type of a key, if it has one.
pub fn number_kind(section: &str, key: &str) -> Option<Kind> {
    NUMBERS
        .iter()
        .find(|(_, of, keys)| *of == section && keys.contains(&key))
        .map(|(kind, _, _)| *kind)
}

const WORDS: &[(&str, &str, &[&str], &str)] = &[
    ("totem", "ip_version", &["ipv4", "ipv6", "ipv6-4", "ipv4-6"], "Invalid ip_version type"),
    (
        "totem",
        "crypto_model",
        &["nss", "openssl"],
        "Invalid crypto model. Should be nss or openssl",
    ),
    (
        "totem",
        "crypto_cipher",
        &["none", "aes256", "aes192", "aes128"],
        "Invalid cipher type. Should be none, aes256, aes192 or aes128",
    ),
    (
        "totem",
        "crypto_hash",
        &["none", "md5", "sha1", "sha256", "sha384", "sha512"],
        "Invalid hash type. Should be none, md5, sha1, sha256, sha384 or sha512",
    ),
    (
        "totem",
        "knet_compression_model",
        &["none", "zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"],
        "Invalid compression model. Should be zlib, lz4, lz4hc, lzo2, lzma, bzip2 or zstd",
    ),
    ("system", "qb_ipc_type", &["native", "shm", "socket"], "Invalid system.qb_ipc_type"),
    ("system", "sched_rr", &["yes", "no"], "Invalid system.sched_rr value"),
    ("system", "move_to_root_cgroup", &["yes", "no", "auto"], "Invalid system.move_to_root_cgroup"),
    (
        "system",
        "allow_knet_handle_fallback",
        &["yes", "no"],
        "Invalid system.allow_knet_handle_fallback",
    ),
];

/// The text that refuses `value` for a key with a closed list of words.
pub fn refused_word(section: &str, key: &str, value: &str) -> Option<&'static str> {
    WORDS
        .iter()
        .find(|(of, name, words, _)| *of == section && *name == key && !words.contains(&value))
        .map(|(_, _, _, text)| *text)
}

/// Text keys that do something, beside the numeric ones. `*` stands for any key.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "totem",
        &[
            "cluster_name",
            "transport",
            "clear_node_high_bit",
            "ip_version",
            "crypto_model",
            "crypto_cipher",
            "crypto_hash",
            "secauth",
            "keyfile",
            "key",
            "link_mode",
            "block_unlisted_ips",
            "cancel_token_hold_on_retransmit",
            "knet_compression_model",
        ],
    ),
    ("totem.interface", &["bindnetaddr", "mcastaddr", "broadcast", "knet_transport", "ringnumber"]),
    ("totem.interface.member", &["memberaddr"]),
    ("nodelist.node", &["*"]),
    ("quorum", &["provider", "auto_tie_breaker_node"]),
    ("quorum.device", &["*"]),
    (
        "logging",
        &[
            "timestamp",
            "fileline",
            "function_name",
            "blackbox",
            "to_stderr",
            "to_syslog",
            "to_logfile",
            "to_file",
            "logfile",
            "logfile_priority",
            "syslog_facility",
            "syslog_priority",
            "syslog_level",
            "debug",
        ],
    ),
    ("logging.logger_subsys", &["*"]),
    ("logging.logging_daemon", &["*"]),
    ("uidgid", &["uid", "gid"]),
    (
        "system",
        &[
            "qb_ipc_type",
            "sched_rr",
            "priority",
            "move_to_root_cgroup",
            "allow_knet_handle_fallback",
            "state_dir",
        ],
    ),
    ("resources", &["*"]),
    ("nozzle", &["*"]),
];

/// What a key is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Read and obeyed (or left to a program that reads it from cmap).
    Known,
    /// Meant something to an older corosync; accepted without effect.
    Legacy,
    /// Nobody knows it; accepted without effect, probably misspelt.
    Unknown,
}

/// Old keys and whole old sections.
const LEGACY: &[(&str, &[&str])] = &[
    (
        "totem",
        &[
            "threads",
            "vsftype",
            "rrp_mode",
            "rrp_token_expired_timeout",
            "rrp_problem_count_timeout",
            "rrp_problem_count_threshold",
            "rrp_problem_count_mcast_threshold",
            "rrp_autorecovery_check_timeout",
            "crypto_type",
            "crypto_compat",
            "crypto_accept",
        ],
    ),
    ("service", &["*"]),
    ("aisexec", &["*"]),
    ("amf", &["*"]),
    ("event", &["*"]),
    ("", &["compatibility"]),
];

fn lists(table: &[(&str, &[&str])], section: &str, key: &str) -> bool {
    table.iter().any(|(of, keys)| {
        let whole = keys.contains(&"*");
        let inside = section.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
        (*of == section && (whole || keys.contains(&key))) || (whole && inside && !of.is_empty())
    })
}

/// What a key of a section is to us.
pub fn standing(section: &str, key: &str) -> Standing {
    if lists(LEGACY, section, key) {
        Standing::Legacy
    } else if number_kind(section, key).is_some() || lists(TEXTS, section, key) {
        Standing::Known
    } else {
        Standing::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_all_generations_have_a_standing() {
        for (section, key, wanted) in [
            ("totem", "token", Standing::Known),
            ("totem", "vsftype", Standing::Legacy),
            ("totem", "thread", Standing::Unknown),
            ("service", "ver", Standing::Legacy),
            ("amf", "mode", Standing::Legacy),
            ("logging.logger_subsys", "tags", Standing::Known),
            ("quorum.device.net", "host", Standing::Known),
            ("nodelist.node", "ring7_addr", Standing::Known),
            ("totem.interface", "mcastport", Standing::Known),
            ("", "compatibility", Standing::Legacy),
        ] {
            assert_eq!(standing(section, key), wanted, "{section}.{key}");
        }
    }

    #[test]
    fn numbers_know_their_range() {
        assert_eq!(Kind::U8.read("255"), Some(Value::U8(255)));
        assert_eq!(Kind::U8.read("256"), None);
        assert_eq!(Kind::U32.read("-1"), None);
        assert_eq!(Kind::I32.read("-1"), Some(Value::I32(-1)));
        assert_eq!(Kind::U32.read("2 "), None);
        assert_eq!(refused_word("totem", "crypto_hash", "sha257").map(str::len), Some(70));
        assert_eq!(refused_word("totem", "crypto_hash", "none"), None);
    }
}
