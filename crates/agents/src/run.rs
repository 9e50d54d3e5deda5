//! Runs a whole plan while the caller waits. For tools; daemons use [`crate::process`] from their
//! event loop.

use std::fs;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::call::{Call, Command, Plan, Step};
use crate::class::{AgentName, Class};
use crate::find::Places;
use crate::judge::{Ended, ExecStatus, Outcome, error_text, ocf};
use crate::meta::{Metadata, MetadataError};
use crate::process::{Finished, Process};

/// The result of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The verdict.
    pub outcome: Outcome,
    /// Standard output of the judged process.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
}

/// Runs a call to its end or until its timeout.
pub fn call(call: &Call, places: &Places) -> Ran {
    let plan = call.plan(places);
    let steps = match &plan {
        Plan::Done(outcome) => {
            return Ran { outcome: outcome.clone(), stdout: String::new(), stderr: String::new() };
        }
        Plan::Steps(steps, _) => steps,
    };
    let deadline = Instant::now() + call.timeout;
    let mut last =
        Finished { ended: Ended::Exited(0), stdout: String::new(), stderr: String::new() };
    for step in steps {
        match step {
            Step::Run(command) => last = command_until(command, deadline),
            Step::Prepare(command) => drop(command_until(command, deadline)),
            Step::Write { .. } | Step::Remove(_) => {
                if let Err(outcome) = file_step(step) {
                    return Ran { outcome, stdout: last.stdout, stderr: last.stderr };
                }
            }
        }
    }
    let outcome = plan.judge(&last.ended, &last.stderr, call.timeout);
    Ran { outcome, stdout: last.stdout, stderr: last.stderr }
}

/// Does a step that only touches a file. Steps that run something are no business of it.
pub fn file_step(step: &Step) -> Result<(), Outcome> {
    let (path, result) = match step {
        Step::Write { path, text } => {
            let write = || {
                if let Some(dir) = path.parent() {
                    fs::create_dir_all(dir)?;
                }
                fs::write(path, text)
            };
            (path, write())
        }
        Step::Remove(path) => (
            path,
            match fs::remove_file(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                other => other,
            },
        ),
        Step::Prepare(_) | Step::Run(_) => return Ok(()),
    };
    result.map_err(|error| {
        let text = error.raw_os_error().map_or_else(|| error.to_string(), error_text);
        Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Error)
            .because(format!("{}: {text}", path.display()))
    })
}

/// Runs one command to its end or for that long.
pub fn command(command: &Command, timeout: Duration) -> Finished {
    command_until(command, Instant::now() + timeout)
}

fn command_until(command: &Command, deadline: Instant) -> Finished {
    let mut process = match Process::start(command) {
        Ok(process) => process,
        Err(ended) => return Finished { ended, stdout: String::new(), stderr: String::new() },
    };
    loop {
        if let Some(finished) = process.advance() {
            return finished;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            process.kill(true);
        }
        // After a kill the end comes at once; a short wait covers a process stuck in the kernel.
        let wait = if left.is_zero() { Duration::from_millis(50) } else { left };
        let wait = Timespec::try_from(wait.min(Duration::from_secs(3600))).ok();
        let mut fds: Vec<PollFd<'_>> = process
            .wakers()
            .into_iter()
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // An interrupted or failed wait only means looking again.
        let _ = poll(&mut fds, wait.as_ref());
    }
}

/// Why an agent's metadata could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such agent.
    #[error("agent {0} not found")]
    NotFound(AgentName),
    /// It could not be run, or failed.
    #[error("agent {agent} failed to give its metadata: {why}")]
    Failed {
        /// The agent.
        agent: AgentName,
        /// What went wrong.
        why: String,
    },
    /// It printed something else.
    #[error("metadata of {agent} cannot be read")]
    Unreadable {
        /// The agent.
        agent: AgentName,
        /// Why.
        #[source]
        source: MetadataError,
    },
}

/// How long an agent may take to print its metadata.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(30);

/// The metadata text of an agent, as tools print it.
pub fn metadata_text(agent: &AgentName, places: &Places) -> Result<String, FetchError> {
    let agent = places.resolve(agent);
    if !places.exists(&agent) {
        return Err(FetchError::NotFound(agent));
    }
    let failed = |why: String| FetchError::Failed { agent: agent.clone(), why };
    match agent.class {
        Class::Ocf => {
            let call = Call {
                agent: agent.clone(),
                resource: agent.kind.clone(),
                action: "meta-data".into(),
                params: Default::default(),
                timeout: METADATA_TIMEOUT,
            };
            let ran = self::call(&call, places);
            if ran.outcome.rc == ocf::OK && ran.outcome.status == ExecStatus::Done {
                Ok(ran.stdout)
            } else {
                let code = format!("exit code {}", ran.outcome.rc);
                Err(failed(ran.outcome.reason.unwrap_or(code)))
            }
        }
        Class::Lsb => {
            let path = places.init_script(&agent.kind);
            let script = fs::read(path).map_err(|error| failed(error.to_string()))?;
            Ok(crate::lsb::metadata(&agent.kind, &String::from_utf8_lossy(&script)))
        }
        Class::Systemd => {
            let file = places.unit_file(&agent.kind).map(fs::read_to_string);
            let text = file.transpose().map_err(|error| failed(error.to_string()))?;
            let text = text.unwrap_or_default();
            let description = crate::systemd::description_of(&text).unwrap_or(&agent.kind);
            Ok(crate::systemd::metadata(&agent.kind, description))
        }
        Class::Stonith => {
            let path = places.fence_agent(&agent.kind);
            let path = path.ok_or_else(|| FetchError::NotFound(agent.clone()))?;
            let spec = crate::fence::metadata_command(&path);
            let ran = command(&spec, METADATA_TIMEOUT);
            if ran.ended != Ended::Exited(0) {
                let why = ran.stderr.lines().next().unwrap_or("it failed").to_owned();
                return Err(failed(why));
            }
            crate::fence::patched_metadata(&ran.stdout)
                .map_err(|source| FetchError::Unreadable { agent: agent.clone(), source })
        }
        Class::Service | Class::Upstart | Class::Nagios | Class::Heartbeat => {
            Err(FetchError::NotFound(agent))
        }
    }
}

/// The metadata of an agent, read.
pub fn metadata(agent: &AgentName, places: &Places) -> Result<Metadata, FetchError> {
    let text = metadata_text(agent, places)?;
    Metadata::parse(&text).map_err(|source| FetchError::Unreadable { agent: agent.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh", &["-c", script])
    }

    #[test]
    fn output_and_end_are_collected() {
        let ran = command(&shell("echo out; echo err >&2; exit 7"), Duration::from_secs(10));
        assert_eq!(ran.ended, Ended::Exited(7));
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
        let killed = command(&shell("kill -9 $$"), Duration::from_secs(10));
        assert_eq!(killed.ended, Ended::Signaled(9));
        let missing = command(&Command::new("/no/such", &[]), Duration::from_secs(1));
        assert_eq!(missing.ended, Ended::Unstartable { path: "/no/such".into(), errno: 2 });
    }

    #[test]
    fn a_slow_agent_is_killed_with_its_children() {
        let started = Instant::now();
        let ran = command(&shell("sleep 30 & echo $!; sleep 30"), Duration::from_millis(300));
        assert_eq!(ran.ended, Ended::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(5));
        let child = ran.stdout.trim();
        std::thread::sleep(Duration::from_millis(100));
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }

    #[test]
    fn a_daemon_that_keeps_the_pipe_does_not_hold_the_result() {
        let started = Instant::now();
        let ran = command(&shell("sleep 20 & exit 0"), Duration::from_secs(30));
        assert_eq!(ran.ended, Ended::Exited(0));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn standard_input_is_fed_and_floods_are_bounded() {
        let mut cat = Command::new("/bin/cat", &[]);
        cat.stdin = Some(b"action=metadata\n".to_vec());
        assert_eq!(command(&cat, Duration::from_secs(5)).stdout, "action=metadata\n");
        let flood = command(&shell("head -c 3000000 /dev/zero"), Duration::from_secs(20));
        assert_eq!(flood.ended, Ended::Exited(0));
        assert_eq!(flood.stdout.len(), 1 << 20);
    }
}
