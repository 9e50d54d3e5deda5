//! A child process as a descriptor that becomes readable when it ended.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io;

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildExit {
    /// It returned this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// Watches a child by pidfd. Dropping it neither kills nor reaps the child.
#[derive(Debug)]
pub struct ChildWatch {
    pid: u32,
    fd: OwnedFd,
}

impl ChildWatch {
    /// Watches a child of this process that was not reaped yet
    /// (`ChildWatch::new(child.id())` right after spawning).
    pub fn new(pid: u32) -> io::Result<ChildWatch> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let raw = i32::try_from(pid).map_err(|_| invalid())?;
        let target = Pid::from_raw(raw).ok_or_else(invalid)?;
        Ok(ChildWatch { pid, fd: rustix::process::pidfd_open(target, PidfdFlags::empty())? })
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Reaps the child if it ended. `Ok(None)`: it still runs.
    pub fn try_reap(&self) -> io::Result<Option<ChildExit>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        Ok(rustix::process::waitid(WaitId::PidFd(self.fd.as_fd()), options)?.map(|status| {
            match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ChildExit::Code(code),
                (None, Some(signal)) => ChildExit::Signal(signal),
                (None, None) => ChildExit::Code(status.raw_code()),
            }
        }))
    }

    /// Signals the child; cannot hit another process that got its id.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.fd, signal)?)
    }
}

impl AsFd for ChildWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mainloop::{Interest, Loop, Token};
    use std::process::Command;

    #[test]
    fn ends_of_children_are_seen() {
        let lp = Loop::new().unwrap();
        for (script, end) in [("exit 7", ChildExit::Code(7)), ("kill -9 $$", ChildExit::Signal(9))]
        {
            #[expect(clippy::zombie_processes, reason = "reaped by try_reap below")]
            let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let watch = ChildWatch::new(child.id()).unwrap();
            lp.add(&watch, Token(1), Interest::READ).unwrap();
            let mut events = vec![];
            lp.wait(None, &mut events).unwrap();
            assert_eq!(watch.try_reap().unwrap(), Some(end));
            lp.remove(&watch).unwrap();
        }
    }
}
