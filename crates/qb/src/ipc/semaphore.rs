//! glibc's process-shared `sem_t` on a 64-bit machine, driven by atomics and futexes.
//!
//! The value is the low half of a u64, the number of waiters the high half; a marker of 128 after
//! it says "process-shared", that is non-private futexes. Written out here, it works under any C
//! library, and a hostile peer's values can do no harm: a wrong value only makes the ring look
//! empty or corrupt.
//!
//! Source: `spec/libqb-ipc.md` §5.5.

use super::map::Mapping;
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const SHARED: u32 = 128;
const WAITER: u64 = 1 << 32;
const VALUE: u64 = WAITER - 1;

/// The semaphore at an offset of a mapping.
pub(crate) struct Semaphore<'a> {
    map: &'a Mapping,
    at: usize,
}

impl<'a> Semaphore<'a> {
    pub(crate) fn new(map: &'a Mapping, at: usize) -> Semaphore<'a> {
        Semaphore { map, at }
    }

    /// Initialises it with value 0.
    pub(crate) fn init(&self) {
        self.map.write(self.at, &[0; 32]);
        self.map.u32_at(self.at + 8).store(SHARED, Ordering::Release);
    }

    pub(crate) fn value(&self) -> u32 {
        (self.map.u64_at(self.at).load(Ordering::Acquire) & VALUE) as u32
    }

    pub(crate) fn post(&self) {
        let before = self.map.u64_at(self.at).fetch_add(1, Ordering::Release);
        if before & !VALUE != 0 {
            // Fails only for bad addresses, which ours is not.
            let _ = futex::wake(self.map.u32_at(self.at), futex::Flags::empty(), 1);
        }
    }

    pub(crate) fn try_wait(&self) -> bool {
        self.take(0)
    }

    /// Takes 1 from the value, and `waiters` from the waiters, if the value is not 0.
    fn take(&self, waiters: u64) -> bool {
        let word = self.map.u64_at(self.at);
        word.fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
            (word & VALUE > 0).then(|| word.wrapping_sub(1).wrapping_sub(waiters))
        })
        .is_ok()
    }

    /// Waits until it can be taken; false after the timeout.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        if self.try_wait() {
            return true;
        }
        let deadline = Instant::now() + timeout;
        let word = self.map.u64_at(self.at);
        word.fetch_add(WAITER, Ordering::Relaxed);
        loop {
            if self.take(WAITER) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                word.fetch_sub(WAITER, Ordering::Relaxed);
                return false;
            }
            let left = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let futex_word = self.map.u32_at(self.at);
            match futex::wait(futex_word, futex::Flags::empty(), 0, Some(&left)) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
                Err(_) => {
                    word.fetch_sub(WAITER, Ordering::Relaxed);
                    return false;
                }
            }
        }
    }
}
