//! The watchdog daemon sbd: whether it runs, and whether a configured watchdog timeout fits it.
//!
//! Source: `spec/pacemaker-cluster.md` §19.

use std::fs;

/// The process id of a running sbd, if there is one.
pub fn sbd_pid() -> Option<u32> {
    let from_file =
        fs::read_to_string("/run/sbd.pid").ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = from_file
        && fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("sbd"))
    {
        return Some(pid);
    }
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        (name.trim_end() == "sbd").then_some(pid)
    })
}

/// Why a watchdog timeout cannot be relied on. The daemon that finds this must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutError {
    /// Nothing would reset this node.
    #[error("stonith-watchdog-timeout is configured but sbd is not running")]
    NoSbd,
    /// The watchdog would fire too late.
    #[error(
        "stonith-watchdog-timeout {wanted_ms} ms is shorter than sbd's watchdog timeout {sbd_ms} ms"
    )]
    TooShort {
        /// What is configured.
        wanted_ms: i64,
        /// What sbd needs.
        sbd_ms: i64,
    },
}

/// The watchdog timeout in effect: 0 when there is none; a negative value means twice sbd's own.
pub fn effective_timeout_ms(
    configured_ms: i64,
    sbd_ms: Option<i64>,
    sbd_runs: bool,
) -> Result<i64, TimeoutError> {
    let own = sbd_ms.unwrap_or(0);
    match configured_ms {
        0 => Ok(0),
        ms if ms < 0 => Ok(own.saturating_mul(2)),
        _ if !sbd_runs => Err(TimeoutError::NoSbd),
        ms if ms < own => Err(TimeoutError::TooShort { wanted_ms: ms, sbd_ms: own }),
        ms => Ok(ms),
    }
}

/// sbd's own timeout, from the environment its configuration file fills.
pub fn sbd_timeout_ms() -> Option<i64> {
    let seconds: i64 = std::env::var("SBD_WATCHDOG_TIMEOUT").ok()?.trim().parse().ok()?;
    seconds.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_judged() {
        for (configured, sbd, runs, want) in [
            (0, None, false, Ok(0)),
            (-1, Some(5000), false, Ok(10_000)),
            (-1, None, false, Ok(0)),
            (10_000, Some(5000), true, Ok(10_000)),
            (10_000, Some(5000), false, Err(TimeoutError::NoSbd)),
            (1000, Some(5000), true, Err(TimeoutError::TooShort { wanted_ms: 1000, sbd_ms: 5000 })),
        ] {
            assert_eq!(effective_timeout_ms(configured, sbd, runs), want);
        }
    }
}
