//! A clean start for child processes: daemons block the signals they read as data, and a blocked
//! signal stays blocked in whatever they run. An agent or daemon that starts with SIGTERM blocked
//! cannot be stopped.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has a command start with no signal blocked and with SIGPIPE's default effect.
pub fn with_default_signals(command: &mut Command) {
    // SAFETY: between fork and exec only sigemptyset, sigprocmask and signal are called, all of
    // them async-signal-safe; the set is a local, initialised by sigemptyset.
    unsafe {
        command.pre_exec(|| {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&mut set);
            if libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            Ok(())
        });
    }
}

/// Has a command start in a session of its own.
pub fn in_own_session(command: &mut Command) {
    // SAFETY: between fork and exec only setsid is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(io::Error::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_signals_are_not_inherited() {
        // In a thread of its own: the mask is the thread's.
        let blocked = std::thread::spawn(|| {
            // SAFETY: as above; this thread ends with the test.
            unsafe {
                let mut set = std::mem::zeroed::<libc::sigset_t>();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, libc::SIGTERM);
                libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            }
            let mut command = Command::new("/bin/grep");
            command.args(["SigBlk", "/proc/self/status"]);
            with_default_signals(&mut command);
            in_own_session(&mut command);
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        });
        assert_eq!(blocked.join().unwrap().trim(), "SigBlk:\t0000000000000000");
    }
}
