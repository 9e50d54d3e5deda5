//! Exploring one path: which is the largest packet that arrives?
//!
//! The first probe is as large as IP allows. The kernel refuses what the interface cannot carry and
//! mostly says what it could; what gets lost on the way is found by halving. A probe that was not
//! answered is sent a second time before its size counts as too large, as packets do get lost.
//! (Upstream instead waits longer and longer when packets are encrypted.)
//!
//! Source: `spec/knet.md` §5.2.

use crate::mtu::Envelope;
use crate::wire::BEAT_SIZE;
use base::Time;
use std::time::Duration;

/// Largest IP packet.
const LARGEST: usize = 65_535;
/// Sizes tried before giving up.
const ROUNDS: u32 = 30;
/// How often a size is tried.
const ATTEMPTS: u32 = 2;

/// A probe to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Probe {
    /// Length of the clear packet.
    pub(crate) clear: usize,
    /// The size on the wire, IP header included, as it is written into the probe.
    pub(crate) size: [u8; 2],
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Send(Probe),
    /// The path carries this many user bytes.
    Done(usize),
    /// Nothing arrives, or not even the least.
    Failed,
}

/// An exploration that is under way.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) host: u16,
    pub(crate) link: u8,
    pub(crate) deadline: Time,
    wait: Duration,
    envelope: Envelope,
    overhead: usize,
    good: usize,
    bad: usize,
    onwire: usize,
    rounds: u32,
    attempt: u32,
    /// What the kernel said the interface carries.
    promised: Option<usize>,
    /// Size of the last probe's datagram.
    pub(crate) probe_bytes: usize,
    /// The path did not keep that promise; said once.
    pub(crate) is_misconfigured: Option<usize>,
}

impl Run {
    pub(crate) fn new(
        host: u16,
        link: u8,
        envelope: Envelope,
        overhead: usize,
        wait: Duration,
    ) -> Run {
        Run {
            host,
            link,
            deadline: Time::ZERO,
            wait,
            envelope,
            overhead,
            good: envelope.out_len(BEAT_SIZE) + overhead,
            bad: 0,
            onwire: LARGEST,
            rounds: 0,
            attempt: 0,
            promised: None,
            probe_bytes: 0,
            is_misconfigured: None,
        }
    }

    /// The probe of the present size.
    pub(crate) fn probe(&mut self, now: Time) -> Step {
        if self.attempt == 0 {
            self.rounds += 1;
        }
        let data = self.envelope.max_data(self.onwire.saturating_sub(self.overhead));
        if self.rounds > ROUNDS || data == 0 {
            return Step::Failed;
        }
        let clear = data + BEAT_SIZE;
        self.onwire = self.envelope.out_len(clear) + self.overhead;
        self.deadline = now + self.wait;
        self.attempt += 1;
        let size = u16::try_from(self.onwire).unwrap_or(u16::MAX).to_ne_bytes();
        Step::Send(Probe { clear, size })
    }

    /// The kernel did not send the probe; `mtu` is what it would have.
    pub(crate) fn refused(&mut self, now: Time, mtu: Option<usize>) -> Step {
        let mtu = mtu.filter(|mtu| (1..self.onwire).contains(mtu));
        self.bad = mtu.map_or(self.onwire, |mtu| mtu + 1);
        self.promised = mtu.or(self.promised);
        let next = mtu.unwrap_or((self.good + self.bad) / 2);
        self.next(now, next)
    }

    /// No answer came in time.
    pub(crate) fn timeout(&mut self, now: Time) -> Step {
        if self.attempt < ATTEMPTS {
            return self.probe(now);
        }
        if let Some(mtu) = self.promised.take() {
            self.is_misconfigured = Some(mtu);
        }
        self.bad = self.onwire;
        self.next(now, (self.good + self.bad) / 2)
    }

    /// An answer came.
    pub(crate) fn reply(&mut self, now: Time, size: [u8; 2]) -> Option<Step> {
        if usize::from(u16::from_ne_bytes(size)) != self.onwire {
            return None;
        }
        // Encrypted packets grow in steps of a block.
        let step = if self.envelope.cipher { 16 } else { 1 };
        let finished = self.onwire + step >= LARGEST
            || (self.bad != 0 && self.bad <= self.onwire + step)
            || self.bad == self.good;
        if finished {
            return Some(self.done());
        }
        self.good = self.onwire;
        let next = if self.bad == 0 { LARGEST } else { (self.good + self.bad) / 2 };
        Some(self.next(now, next))
    }

    fn done(&self) -> Step {
        let mtu = self.envelope.max_data(self.onwire - self.overhead);
        if mtu < self.envelope.minimum() { Step::Failed } else { Step::Done(mtu) }
    }

    fn next(&mut self, now: Time, onwire: usize) -> Step {
        if self.bad <= self.good {
            // Not even a ping's size got through.
            return Step::Failed;
        }
        self.onwire = onwire;
        self.attempt = 0;
        self.probe(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Explores a path: `kernel` is refused above (and says so if `talks`), `path` is lost above.
    fn explore(envelope: Envelope, kernel: usize, talks: bool, path: usize) -> (Step, u32) {
        let mut run = Run::new(2, 0, envelope, 28, Duration::from_millis(100));
        let mut now = Time::ZERO;
        let mut step = run.probe(now);
        while let Step::Send(probe) = step {
            let size = usize::from(u16::from_ne_bytes(probe.size));
            assert_eq!(size, envelope.out_len(probe.clear) + 28);
            step = if size > kernel {
                run.refused(now, talks.then_some(kernel))
            } else if size > path {
                now = run.deadline;
                run.timeout(now)
            } else {
                run.reply(now, probe.size).unwrap()
            };
        }
        (step, run.rounds)
    }

    #[test]
    fn the_size_is_found() {
        let clear = Envelope::default();
        let full = Envelope { cipher: true, hash: 32 };
        for (envelope, kernel, talks, path, wanted) in [
            (clear, 1500, true, 65_535, Step::Done(1446)),
            (full, 1500, true, 65_535, Step::Done(1397)),
            (clear, 9000, true, 1500, Step::Done(1446)),
            (clear, 1500, false, 65_535, Step::Done(1446)),
            (full, 1500, false, 65_535, Step::Done(1397)),
            (full, 65_535, true, 1400, Step::Done(1285)),
            (clear, 65_535, true, 65_535, Step::Done(65_481)),
            (clear, 1500, true, 300, Step::Failed),
            (full, 1500, true, 0, Step::Failed),
        ] {
            let (step, rounds) = explore(envelope, kernel, talks, path);
            assert_eq!(step, wanted, "{envelope:?} {kernel} {talks} {path}");
            assert!(rounds <= ROUNDS + 1, "{rounds}");
        }
        assert_eq!(explore(clear, 1500, true, 65_535).1, 2);
    }

    #[test]
    fn a_lost_probe_is_not_a_small_path() {
        let mut run = Run::new(2, 0, Envelope::default(), 28, Duration::from_millis(100));
        let first = run.probe(Time::ZERO);
        assert!(matches!(first, Step::Send(_)));
        let Step::Send(probe) = run.timeout(run.deadline) else { panic!("gave up") };
        assert_eq!(first, Step::Send(probe));
        assert_eq!(run.reply(run.deadline, [1, 1]), None);
        assert_eq!(run.reply(run.deadline, probe.size), Some(Step::Done(65_481)));
    }
}
