//! The timers of the machine: deadlines, nothing more. Source: `spec/totem.md` §4.

use base::Time;

/// Names a timer. The order is the order in which simultaneous ones fire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(super) enum Timer {
    /// Token or commit token did not come: it is lost.
    TokenLoss,
    /// Worth a warning before that.
    TokenWarning,
    /// The successor seems not to have got the token.
    TokenRetransmit,
    /// The representative of an idle ring lets the token go once more.
    TokenHold,
    /// The token was kept long enough for messages to gather.
    Linger,
    /// Say again whom we hear.
    Join,
    /// A join message that waits its random time.
    SendJoin,
    /// Those who did not agree by now are out.
    Consensus,
    /// Announce the idle ring.
    Merge,
    /// A tick to notice that this process was stopped.
    Pause,
    /// No token for several heartbeats.
    Heartbeat,
}

impl Timer {
    const ALL: [Timer; 11] = [
        Timer::TokenLoss,
        Timer::TokenWarning,
        Timer::TokenRetransmit,
        Timer::TokenHold,
        Timer::Linger,
        Timer::Join,
        Timer::SendJoin,
        Timer::Consensus,
        Timer::Merge,
        Timer::Pause,
        Timer::Heartbeat,
    ];
}

/// When each timer fires, if it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers([Option<Time>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn runs(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one timer that is due.
    pub(super) fn pop(&mut self, now: Time) -> Option<Timer> {
        let due = |timer: &Timer| self.0[*timer as usize].is_some_and(|at| at <= now);
        let timer = Timer::ALL.into_iter().find(due)?;
        self.cancel(timer);
        Some(timer)
    }
}
