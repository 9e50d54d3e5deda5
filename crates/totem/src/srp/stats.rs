//! Counters, as published under `stats.srp.` and `stats.pg.`. Source: `spec/totem.md` §14.

use base::Time;
use std::collections::VecDeque;

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // The names are the published ones and say it all.
pub struct Stats {
    pub orf_token_tx: u64,
    pub orf_token_rx: u64,
    pub memb_merge_detect_tx: u64,
    pub memb_merge_detect_rx: u64,
    pub memb_join_tx: u64,
    pub memb_join_rx: u64,
    pub mcast_tx: u64,
    pub mcast_retx: u64,
    pub mcast_rx: u64,
    pub memb_commit_token_tx: u64,
    pub memb_commit_token_rx: u64,
    pub token_hold_cancel_tx: u64,
    pub token_hold_cancel_rx: u64,
    pub operational_entered: u64,
    pub operational_token_lost: u64,
    pub gather_entered: u64,
    pub gather_token_lost: u64,
    pub commit_entered: u64,
    pub commit_token_lost: u64,
    pub recovery_entered: u64,
    pub recovery_token_lost: u64,
    pub consensus_timeouts: u64,
    pub rx_msg_dropped: u64,
    pub continuous_gather: u32,
    pub mtt_rx_token: u32,
    pub avg_token_workload: u32,
    pub avg_backlog_calc: u32,
    /// Milliseconds since the last token, at the time of asking.
    pub time_since_token_last_received: u64,
}

/// How many tokens the averages look back on.
const HISTORY: usize = 100;

/// The times of the last tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenTimes {
    seen: VecDeque<(Time, Time, u32)>,
}

impl TokenTimes {
    /// Notes a token: when it came, when it went, how much was waiting.
    pub(super) fn note(&mut self, rx: Time, tx: Time, backlog: u32) {
        if self.seen.len() == HISTORY {
            self.seen.pop_front();
        }
        self.seen.push_back((rx, tx, backlog));
    }

    /// When the last one came.
    pub(super) fn last(&self) -> Option<Time> {
        self.seen.back().map(|(rx, ..)| *rx)
    }

    /// Mean time between tokens (ms), mean time of handling one (ms), mean backlog.
    pub(super) fn averages(&self) -> (u32, u32, u32) {
        let count = self.seen.len() as u64;
        let (Some(first), Some(last)) = (self.seen.front(), self.seen.back()) else {
            return (0, 0, 0);
        };
        let small = |v: u64| u32::try_from(v).unwrap_or(u32::MAX);
        let between = last.0.since(first.0).as_millis() as u64 / (count - 1).max(1);
        let work: u64 = self.seen.iter().map(|(rx, tx, _)| tx.since(*rx).as_millis() as u64).sum();
        let backlog: u64 = self.seen.iter().map(|seen| u64::from(seen.2)).sum();
        (small(between), small(work / count), small(backlog / count))
    }
}
