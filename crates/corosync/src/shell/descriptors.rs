//! File descriptors are finite: before they run out, new clients are refused, and it is said once
//! that they are, and once that it is over. What the engine itself needs (its log, shared memory
//! of a client that is there already) must still be possible then.
//!
//! Source: `spec/libqb-ipc.md` §9 (texts). Upstream's limit is its event library's, and once
//! reached clients are refused for good; here they are welcome again when there is room.

use std::os::fd::{AsFd, AsRawFd};

/// So many are kept for the engine.
const KEPT: u64 = 16;
/// So many must be free again before clients are welcome.
const ENOUGH: u64 = 24;

/// Whether clients are refused.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    is_short: bool,
}

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// From now on clients are refused.
    Refusing,
    /// From now on they are welcome.
    Allowing,
}

impl Descriptors {
    /// Takes in how many are free.
    pub(super) fn update(&mut self, available: u64) -> Option<Turn> {
        match self.is_short {
            false if available < KEPT => {
                self.is_short = true;
                Some(Turn::Refusing)
            }
            true if available >= ENOUGH => {
                self.is_short = false;
                Some(Turn::Allowing)
            }
            _ => None,
        }
    }

    /// Looks how many are free, says what has to be said; whether a client may come.
    pub(super) fn admit(&mut self, any: impl AsFd) -> bool {
        let available = available(any);
        match self.update(available) {
            Some(Turn::Refusing) => {
                base::warning!(
                    sub: "MAIN",
                    "refusing new connections (fds_available:{available})"
                );
            }
            Some(Turn::Allowing) => {
                base::notice!(
                    sub: "MAIN",
                    "allowing new connections (fds_available:{available})"
                );
            }
            None => {}
        }
        !self.is_short
    }

    /// Whether it is worth looking again.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }
}

/// How many more descriptors can be had. The kernel gives the lowest number that is free: all
/// below are used, few above.
fn available(any: impl AsFd) -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let Some(limit) = limit else { return u64::MAX };
    match rustix::io::fcntl_dupfd_cloexec(any, 0) {
        Ok(lowest) => limit.saturating_sub(u64::try_from(lowest.as_raw_fd()).unwrap_or(0)),
        Err(rustix::io::Errno::MFILE) => 0,
        // Not the question.
        Err(_) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_said_once() {
        let mut descriptors = Descriptors::default();
        let said: Vec<Option<Turn>> = [1000, 16, 15, 3, 0, 20, 23, 24, 40, 15]
            .into_iter()
            .map(|available| descriptors.update(available))
            .collect();
        let (off, on) = (Some(Turn::Refusing), Some(Turn::Allowing));
        assert_eq!(said, [None, None, off, None, None, None, None, on, None, off]);
        assert!(descriptors.is_short());
    }

    #[test]
    fn this_process_has_some() {
        assert!(available(std::io::stderr()) > 0);
    }
}
