//! Signals as a descriptor: blocked in the process, read from a signalfd.
#![allow(unsafe_code)]

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::io;

/// Blocks some signals and lets them be read instead.
///
/// Make it early: threads started before keep the signals unblocked and would be killed by them.
/// Children started by `std::process::Command` begin with an empty mask, so nothing needs undoing.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks these signals (numbers of `libc`, e.g. `libc::SIGTERM`) for the calling thread and
    /// threads it starts from now on.
    pub fn new(signals: &[i32]) -> io::Result<Signals> {
        // SAFETY: `set` is a plain struct that sigemptyset initialises before any other use; all
        // pointers are to live locals; the returned descriptor is ours alone.
        unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&mut set);
            for signal in signals {
                if libc::sigaddset(&mut set, *signal) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Signals { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// The next signal that arrived, if any: its number and the sender's process id (0 when the
    /// kernel sent it).
    pub fn read(&self) -> Option<(i32, u32)> {
        let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` bytes into the local; it is read only when it
        // was filled wholly.
        unsafe {
            let got = libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size);
            if usize::try_from(got) != Ok(size) {
                return None;
            }
            let info = info.assume_init();
            Some((info.ssi_signo as i32, info.ssi_pid))
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_instead_of_killing() {
        // In a thread of its own: the mask is the thread's.
        std::thread::spawn(|| {
            let signals = Signals::new(&[libc::SIGUSR2]).unwrap();
            assert_eq!(signals.read(), None);
            // SAFETY: sends to the calling thread, which has the signal blocked.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
            assert_eq!(signals.read(), Some((libc::SIGUSR2, std::process::id())));
            assert_eq!(signals.read(), None);
        })
        .join()
        .unwrap();
    }
}
