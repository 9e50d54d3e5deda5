//! The event loop: level-triggered epoll and nothing else.
//!
//! There are no callbacks. A daemon adds descriptors under tokens of its own choice, waits until
//! its core's next deadline, and looks at what came: `lp.wait(core.next_deadline(), &mut events)`.
//! Signals ([`Signals`]) and child processes ([`ChildWatch`]) are descriptors like all others.

mod child;
mod signals;

pub use child::{ChildExit, ChildWatch};
pub use signals::Signals;

use base::Time;
use rustix::event::epoll;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};
use std::io;

/// The caller's name for a descriptor in the loop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What to wait for. Hang-up and errors are always reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// Wake when there is something to read, or the peer shut down its side.
    pub read: bool,
    /// Wake when there is room to write.
    pub write: bool,
}

impl Interest {
    /// Only hang-up and errors.
    pub const NONE: Interest = Interest { read: false, write: false };
    /// Wait for something to read.
    pub const READ: Interest = Interest { read: true, write: false };
    /// Wait for room to write.
    pub const WRITE: Interest = Interest { read: false, write: true };
    /// Wait for either.
    pub const BOTH: Interest = Interest { read: true, write: true };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        if self.read {
            flags |= epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        }
        if self.write {
            flags |= epoll::EventFlags::OUT;
        }
        flags
    }
}

/// What happened on a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose event it is.
    pub token: Token,
    /// There is something to read (end of file counts).
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The peer closed, wholly or its sending side.
    pub hangup: bool,
    /// The descriptor has an error.
    pub error: bool,
}

/// An epoll descriptor. All methods take `&self`, so descriptors may come and go while events
/// are being handled; an event of a descriptor that was removed in the same round may still be in
/// the caller's list, so look the token up before acting on it.
#[derive(Debug)]
pub struct Loop {
    epoll: OwnedFd,
}

/// How many events one wait may report; the others come with the next.
const EVENTS_MAX: usize = 256;

impl Loop {
    /// A loop that watches nothing yet.
    pub fn new() -> io::Result<Loop> {
        Ok(Loop { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Starts watching a descriptor.
    pub fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token.0), interest.flags())?)
    }

    /// Changes what a watched descriptor is waited for (or its token).
    pub fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token.0), interest.flags())?)
    }

    /// Stops watching. (Closing the only copy of a descriptor does so, too.)
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something happens or the deadline passes; `None` waits without end, a past
    /// deadline only looks. `events` is cleared first. A signal handler that runs meanwhile ends
    /// the wait with no events.
    pub fn wait(&self, deadline: Option<Time>, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let timeout = deadline.map(|deadline| {
            // Rounded up to the next millisecond: waking too early would only make us spin.
            let nanos = deadline.since(now()).as_nanos();
            let millis = i64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(i64::MAX);
            // Epoll's own limit is i32 milliseconds; waking once in 24 days harms nobody.
            let millis = millis.min(i64::from(i32::MAX));
            Timespec { tv_sec: millis / 1000, tv_nsec: (millis % 1000) * 1_000_000 }
        });
        let mut raw = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; EVENTS_MAX];
        let ready = match epoll::wait(&self.epoll, raw.as_mut_slice(), timeout.as_ref()) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        events.extend(ready.iter().map(|event| {
            let flags = event.flags;
            Event {
                token: Token(event.data.u64()),
                readable: flags.intersects(epoll::EventFlags::IN),
                writable: flags.intersects(epoll::EventFlags::OUT),
                hangup: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::RDHUP),
                error: flags.intersects(epoll::EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

impl AsFd for Loop {
    /// A loop can be watched by another one: it is readable when one of its descriptors is ready.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The time on the clock deadlines are meant on: `CLOCK_MONOTONIC`.
pub fn now() -> Time {
    let t = rustix::time::clock_gettime(ClockId::Monotonic);
    // The monotonic clock is never negative.
    Time::from_nanos((t.tv_sec as u64).saturating_mul(1_000_000_000) + t.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    #[test]
    fn readiness_is_level_triggered_and_carries_the_token() {
        let lp = Loop::new().unwrap();
        let (mut a, b) = UnixStream::pair().unwrap();
        lp.add(&b, Token(7), Interest::READ).unwrap();
        let mut events = vec![];
        lp.wait(Some(now()), &mut events).unwrap();
        assert_eq!(events, []);
        a.write_all(b"x").unwrap();
        for _ in 0..2 {
            lp.wait(None, &mut events).unwrap();
            assert_eq!((events.len(), events[0].token, events[0].readable), (1, Token(7), true));
        }
        lp.modify(&b, Token(8), Interest::BOTH).unwrap();
        lp.wait(None, &mut events).unwrap();
        assert!(events[0].token == Token(8) && events[0].writable);
        drop(a);
        lp.wait(None, &mut events).unwrap();
        assert!(events[0].hangup);
        lp.remove(&b).unwrap();
        lp.wait(Some(now()), &mut events).unwrap();
        assert_eq!(events, []);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_not_before() {
        let lp = Loop::new().unwrap();
        let deadline = now() + Duration::from_millis(20);
        lp.wait(Some(deadline), &mut vec![]).unwrap();
        assert!(now() >= deadline);
    }

    #[test]
    fn loops_nest() {
        let (outer, inner) = (Loop::new().unwrap(), Loop::new().unwrap());
        let (mut a, b) = UnixStream::pair().unwrap();
        inner.add(&b, Token(1), Interest::READ).unwrap();
        outer.add(&inner, Token(2), Interest::READ).unwrap();
        a.write_all(b"x").unwrap();
        let mut events = vec![];
        outer.wait(None, &mut events).unwrap();
        assert_eq!(events[0].token, Token(2));
    }
}
