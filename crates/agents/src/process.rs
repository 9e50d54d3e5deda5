//! One agent process: started in a process group of its own, its output collected without ever
//! blocking the caller, killed with its whole group.
//!
//! The owner watches [`Process::wakers`] for readability and calls [`Process::advance`] when one
//! is ready; `advance` says when the process has ended.
//!
//! Source: `spec/pacemaker-cluster.md` §16.3.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command as StdCommand, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::call::Command;
use crate::judge::Ended;

/// How much of each output is kept. Agents say little; one that does not must not eat the memory
/// of the machine it is to keep alive.
const OUTPUT_MAX: usize = 1 << 20;

/// A running agent.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: OwnedFd,
    stdin: Option<(ChildStdin, Vec<u8>)>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    out: Vec<u8>,
    err: Vec<u8>,
    killed: bool,
}

/// How a process ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output; bytes that are no UTF-8 replaced.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
}

impl Process {
    /// Starts a command. The error is a verdict already: it says which file could not be run.
    pub fn start(command: &Command) -> Result<Process, Ended> {
        let failed = |error: std::io::Error| Ended::Unstartable {
            path: command.program.to_string_lossy().into_owned(),
            errno: error.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error()),
        };
        let mut std_command = StdCommand::new(&command.program);
        std_command
            .args(&command.args)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        crate::start::with_default_signals(&mut std_command);
        if let Some((uid, gid)) = command.run_as {
            std_command.uid(uid).gid(gid);
        }
        let mut child = std_command.spawn().map_err(failed)?;
        let prepared = prepare(&mut child, command.stdin.as_deref());
        let (pidfd, stdin) = match prepared {
            Ok(parts) => parts,
            Err(error) => {
                // Without its handles it cannot be watched: end it rather than lose it.
                drop(child.kill());
                drop(child.wait());
                return Err(failed(error.into()));
            }
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Ok(Process {
            child,
            pidfd,
            stdin,
            stdout,
            stderr,
            out: Vec::new(),
            err: Vec::new(),
            killed: false,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// All descriptors to watch for readability: the process itself, and its outputs while open.
    pub fn wakers(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds = vec![self.pidfd.as_fd()];
        fds.extend(self.stdout.as_ref().map(|fd| fd.as_fd()));
        fds.extend(self.stderr.as_ref().map(|fd| fd.as_fd()));
        fds
    }

    /// Its standard output while open.
    pub fn stdout_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stdout.as_ref().map(|fd| fd.as_fd())
    }

    /// Its error output while open.
    pub fn stderr_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stderr.as_ref().map(|fd| fd.as_fd())
    }

    /// Collects output; returns the end once the process has exited.
    pub fn advance(&mut self) -> Option<Finished> {
        self.feed();
        // Ask first, read after: what it wrote before it ended is then complete.
        let status = match self.child.try_wait() {
            Ok(status) => status,
            // Somebody else has reaped it: there is no status to be had.
            Err(_) => Some(std::process::ExitStatus::from_raw(1 << 8)),
        };
        drain(&mut self.stdout, &mut self.out);
        drain(&mut self.stderr, &mut self.err);
        let status = status?;
        let ended = if self.killed {
            Ended::TimedOut
        } else {
            match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Exited(code),
                (None, Some(signal)) => Ended::Signaled(signal),
                (None, None) => Ended::Exited(1),
            }
        };
        let text = |bytes: &mut Vec<u8>| {
            String::from_utf8(std::mem::take(bytes))
                .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
        };
        Some(Finished { ended, stdout: text(&mut self.out), stderr: text(&mut self.err) })
    }

    /// Kills the process, no questions asked, with its whole group if so wanted; the end will
    /// read as a timeout.
    pub fn kill(&mut self, group: bool) {
        self.killed = true;
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // What is gone already needs no killing: errors do not matter here.
        match pid {
            Some(pid) if group => {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            _ => {
                let _ = self.child.kill();
            }
        }
    }

    fn feed(&mut self) {
        let Some((pipe, rest)) = &mut self.stdin else { return };
        loop {
            match pipe.write(rest) {
                Ok(written) => {
                    rest.drain(..written);
                    if rest.is_empty() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It does not want to read: its own business.
                Err(_) => break,
            }
        }
        self.stdin = None;
    }
}

fn prepare(
    child: &mut Child,
    input: Option<&[u8]>,
) -> rustix::io::Result<(OwnedFd, Option<(ChildStdin, Vec<u8>)>)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(rustix::io::Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    for fd in [
        child.stdout.as_ref().map(|fd| fd.as_fd()),
        child.stderr.as_ref().map(|fd| fd.as_fd()),
        child.stdin.as_ref().map(|fd| fd.as_fd()),
    ]
    .into_iter()
    .flatten()
    {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    let stdin = child.stdin.take().zip(input.map(<[u8]>::to_vec));
    Ok((pidfd, stdin))
}

/// Reads what is there. At the end of the stream the pipe is closed; output beyond the limit is
/// read and dropped, so that the agent does not block on it.
fn drain<R: Read>(pipe: &mut Option<R>, kept: &mut Vec<u8>) {
    let Some(reader) = pipe else { return };
    let mut chunk = [0u8; 8192];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => {
                let room = OUTPUT_MAX.saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..n.min(room)]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => break,
        }
    }
    *pipe = None;
}
