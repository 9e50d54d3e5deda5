//! One path to one peer: is it there, how far away is it, how much fits through.
//!
//! A link comes up after `pong_count` + 1 pongs in time and goes down when none came for the
//! timeout. Right after a change it is given ten times as long, less by one each second.
//!
//! Source: `spec/knet.md` §3.1–§3.4.

use crate::mtu::Envelope;
use crate::stats::LinkStats;
use base::Time;
use std::net::SocketAddr;
use std::time::Duration;

/// How often the timeout a link starts with.
const BACKOFF: u32 = 10;
/// How long each step of the way back to once takes.
const BACKOFF_STEP: Duration = Duration::from_secs(1);

/// When a link counts as up and down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Time between two pings.
    pub interval: Duration,
    /// Silence after which the link is down.
    pub timeout: Duration,
    /// How many round trips the mean latency remembers.
    pub precision: u32,
    /// Pongs that a link needs before the one that brings it up.
    pub pong_count: u32,
}

impl Default for Heartbeat {
    fn default() -> Heartbeat {
        Heartbeat {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            precision: 2048,
            pong_count: 5,
        }
    }
}

/// What a link is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    /// Where the peer listens.
    pub remote: SocketAddr,
    /// Its rank when links are used one at a time; higher is better.
    pub priority: u8,
    /// Its timers.
    pub heartbeat: Heartbeat,
}

/// What is seen of a link from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// Packets get through in both directions.
    pub connected: bool,
    /// Most user bytes in a packet.
    pub mtu: usize,
    /// Where the peer listens; nowhere for the link to oneself.
    pub remote: Option<SocketAddr>,
    /// Its rank.
    pub priority: u8,
    /// Its counters.
    pub stats: LinkStats,
}

/// What a pong did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pong {
    Late,
    Counted(u32),
    Up,
    Refreshed,
}

#[derive(Debug)]
pub(crate) struct Link {
    /// `None` is the link to oneself.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) priority: u8,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) connected: bool,
    pub(crate) mtu: usize,
    pub(crate) has_valid_mtu: bool,
    /// When its path is to be explored next.
    pub(crate) pmtud_at: Option<Time>,
    pub(crate) stats: LinkStats,
    pinged_at: Option<Time>,
    ponged_at: Option<Time>,
    pongs: u32,
    backoff_since: Time,
    /// Mean round trip in microseconds.
    latency: u64,
}

impl Link {
    pub(crate) fn new(now: Time, config: &LinkConfig, envelope: Envelope) -> Link {
        Link {
            remote: Some(config.remote),
            priority: config.priority,
            heartbeat: config.heartbeat,
            connected: false,
            mtu: envelope.initial(config.remote.ip()),
            has_valid_mtu: true,
            pmtud_at: None,
            stats: LinkStats::default(),
            pinged_at: None,
            ponged_at: None,
            pongs: 0,
            backoff_since: now,
            latency: 0,
        }
    }

    pub(crate) fn to_oneself(now: Time) -> Link {
        Link {
            remote: None,
            priority: 0,
            heartbeat: Heartbeat::default(),
            connected: true,
            mtu: crate::wire::MESSAGE_MAX,
            has_valid_mtu: true,
            pmtud_at: None,
            stats: LinkStats::default(),
            pinged_at: None,
            ponged_at: None,
            pongs: 0,
            backoff_since: now,
            latency: 0,
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        LinkStatus {
            connected: self.connected,
            mtu: self.mtu,
            remote: self.remote,
            priority: self.priority,
            stats: self.stats,
        }
    }

    /// Whether data may go this way.
    pub(crate) fn carries_data(&self) -> bool {
        self.connected && self.has_valid_mtu
    }

    pub(crate) fn ping_deadline(&self) -> Option<Time> {
        self.remote?;
        Some(self.pinged_at.map_or(Time::ZERO, |at| at + self.heartbeat.interval))
    }

    pub(crate) fn pinged(&mut self, now: Time) {
        self.pinged_at = Some(now);
    }

    /// How long a silence is borne at the moment.
    pub(crate) fn patience(&self, now: Time) -> Duration {
        self.patience_at(self.backoff(now))
    }

    fn backoff(&self, now: Time) -> u32 {
        let steps = now.since(self.backoff_since).as_secs() / BACKOFF_STEP.as_secs();
        BACKOFF.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX)).max(1)
    }

    fn patience_at(&self, backoff: u32) -> Duration {
        self.heartbeat.timeout.saturating_mul(backoff) + Duration::from_micros(self.latency * 2)
    }

    /// When the present silence becomes too long. Patience shrinks step by step, so the end is
    /// either reached within a step or at the beginning of a later one.
    pub(crate) fn silence_deadline(&self) -> Option<Time> {
        let since = self.ponged_at?;
        (1..=BACKOFF)
            .map(|backoff| {
                let begins = self.backoff_since + BACKOFF_STEP * (BACKOFF - backoff);
                (since + self.patience_at(backoff)).max(begins)
            })
            .min()
    }

    pub(crate) fn is_silent(&self, now: Time) -> bool {
        self.ponged_at.is_some_and(|at| now.since(at) >= self.patience(now))
    }

    /// Takes a pong whose ping was sent at `sent`.
    pub(crate) fn pong(&mut self, now: Time, sent: Option<Time>) -> Pong {
        let patience = self.patience(now);
        self.ponged_at = Some(now);
        let Some(trip) = sent.filter(|at| *at <= now).map(|at| now.since(at)) else {
            return Pong::Late;
        };
        if trip > self.heartbeat.timeout {
            return Pong::Late;
        }
        self.measure(trip);
        if self.connected {
            Pong::Refreshed
        } else if trip >= patience {
            Pong::Late
        } else if self.pongs >= self.heartbeat.pong_count {
            self.connected = true;
            self.stats.up_count = self.stats.up_count.saturating_add(1);
            Pong::Up
        } else {
            self.pongs += 1;
            Pong::Counted(self.pongs)
        }
    }

    fn measure(&mut self, trip: Duration) {
        let micros = u64::try_from(trip.as_micros()).unwrap_or(u64::MAX).min(u32::MAX.into());
        let stats = &mut self.stats;
        if stats.latency_samples < self.heartbeat.precision.max(1) {
            stats.latency_samples += 1;
        }
        let n = u64::from(stats.latency_samples);
        self.latency = (self.latency * (n - 1) + micros) / n;
        let micros = micros as u32;
        stats.latency_min = if n == 1 { micros } else { stats.latency_min.min(micros) };
        stats.latency_max = stats.latency_max.max(micros);
        stats.latency_ave = u32::try_from(self.latency).unwrap_or(u32::MAX);
    }

    /// It does not work (any more); true if it did.
    pub(crate) fn down(&mut self, now: Time) -> bool {
        self.pongs = 0;
        self.ponged_at = None;
        self.backoff_since = now;
        self.pmtud_at = None;
        if self.connected {
            self.stats.down_count = self.stats.down_count.saturating_add(1);
        }
        std::mem::take(&mut self.connected)
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        let heartbeat = Heartbeat {
            interval: Duration::from_millis(750),
            timeout: Duration::from_millis(1500),
            precision: 2048,
            pong_count: 2,
        };
        let remote = "10.0.0.2:5405".parse().unwrap();
        let config = LinkConfig { remote, priority: 1, heartbeat };
        Link::new(Time::ZERO, &config, Envelope::default())
    }

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn the_third_pong_brings_it_up_and_silence_down() {
        let mut link = link();
        assert_eq!(link.pong(ms(1), Some(ms(0))), Pong::Counted(1));
        assert_eq!(link.pong(ms(751), Some(ms(750))), Pong::Counted(2));
        assert_eq!(link.pong(ms(1501), Some(ms(1500))), Pong::Up);
        assert_eq!(link.pong(ms(12_000), Some(ms(11_999))), Pong::Refreshed);
        assert_eq!((link.stats.latency_ave, link.stats.latency_samples), (1000, 4));
        // Twice the mean latency is borne on top.
        assert_eq!(link.silence_deadline(), Some(ms(13_502)));
        assert!(!link.is_silent(ms(13_501)) && link.is_silent(ms(13_502)));
        assert!(link.down(ms(13_502)));
        assert_eq!((link.stats.up_count, link.stats.down_count), (1, 1));
        assert_eq!(link.silence_deadline(), None);
    }

    #[test]
    fn a_new_link_is_given_more_time() {
        let mut link = link();
        link.pong(ms(0), Some(ms(0)));
        assert_eq!(link.patience(ms(0)), Duration::from_millis(15_000));
        assert_eq!(link.patience(ms(3_000)), Duration::from_millis(10_500));
        let deadline = link.silence_deadline().unwrap();
        assert!(link.is_silent(deadline), "{deadline:?}");
        let before = Time::from_nanos(deadline.as_nanos() - 1);
        assert!(!link.is_silent(before), "{deadline:?}");
    }

    #[test]
    fn late_and_strange_pongs_do_not_count() {
        let mut link = link();
        assert_eq!(link.pong(ms(5_000), Some(ms(0))), Pong::Late);
        assert_eq!(link.pong(ms(5_000), Some(ms(6_000))), Pong::Late);
        assert_eq!(link.pong(ms(5_000), None), Pong::Late);
        assert_eq!(link.stats.latency_samples, 0);
    }
}
