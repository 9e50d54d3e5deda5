//! The process that judges one password: `pacemaker-based check-login`, which the daemon runs.
//!
//! The name and the password come on standard input, so that no list of processes shows them; the
//! exit status is the verdict and standard error says why. PAM's modules may wait (they delay
//! refusals), crash or leak: it is this process that does, and it is ended when it takes too long.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use qb::mainloop::{ChildExit, ChildWatch};
use rustix::process::Signal;

use super::gate::Verdict;
use super::pam::{self, PamError};

/// The word that makes the daemon's program this one.
pub const WORD: &str = "check-login";
/// More than any name and password.
const INPUT_MAX: u64 = 8192;
const EXIT_WRONG: i32 = 1;
const EXIT_UNABLE: i32 = 2;

/// The process's part.
pub fn main() -> i32 {
    let mut input = String::new();
    if io::stdin().lock().take(INPUT_MAX).read_to_string(&mut input).is_err() {
        return EXIT_UNABLE;
    }
    let Some((user, password)) = input.split_once('\0') else { return EXIT_UNABLE };
    let service = std::env::var("CIB_pam_service").ok().filter(|name| !name.is_empty());
    match pam::check(service.as_deref().unwrap_or("login"), user, password) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            if matches!(error, PamError::Unable(_)) { EXIT_UNABLE } else { EXIT_WRONG }
        }
    }
}

/// A judgement that is under way. Dropping it ends the process.
#[derive(Debug)]
pub struct Check {
    child: Child,
    watch: ChildWatch,
    done: bool,
}

impl Check {
    /// Starts one.
    ///
    /// # Errors
    /// There can be no more processes.
    pub fn start(user: &str, password: &str) -> io::Result<Check> {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("pacemaker-based")
            .arg(WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        agents::start::with_default_signals(&mut command);
        let mut child = command.spawn()?;
        let watch = match ChildWatch::new(child.id()) {
            Ok(watch) => watch,
            Err(error) => {
                // Without a descriptor nobody would notice its end.
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        let mut check = Check { child, watch, done: false };
        if let Some(mut stdin) = check.child.stdin.take() {
            // A pipe takes more at once than a login may have, so this does not wait.
            stdin.write_all(&[user.as_bytes(), b"\0", password.as_bytes()].concat())?;
        }
        Ok(check)
    }

    /// The descriptor that becomes readable at its end.
    pub fn watch(&self) -> &ChildWatch {
        &self.watch
    }

    /// How it ended and what it said; `None` if it has not.
    pub fn verdict(&mut self) -> Option<(Verdict, String)> {
        let exit = match self.watch.try_reap() {
            Ok(None) => return None,
            Ok(Some(exit)) => exit,
            Err(error) => {
                self.done = true;
                return Some((Verdict::Unable, error.to_string()));
            }
        };
        self.done = true;
        let mut words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            // It ended: what it wrote is there, up to what a pipe holds. A module's own children
            // might hold the other end open, so nothing more is waited for.
            let mut buffer = [0; 512];
            if rustix::io::ioctl_fionread(&stderr).is_ok_and(|n| n > 0)
                && let Ok(n) = rustix::io::read(&stderr, &mut buffer)
            {
                words.extend_from_slice(buffer.get(..n).unwrap_or(&[]));
            }
        }
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        let verdict = match exit {
            ChildExit::Code(0) => Verdict::Right,
            ChildExit::Code(EXIT_WRONG) => Verdict::Wrong,
            ChildExit::Code(_) | ChildExit::Signal(_) => Verdict::Unable,
        };
        Some((verdict, words))
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        if !self.done {
            // That it ended by itself just now is as good.
            let _ = self.watch.kill(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
