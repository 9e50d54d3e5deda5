//! Resetting the host: the last resort when it may run what it must not.
//!
//! Source: `spec/pacemaker-cluster.md` §19.

use std::fs;
use std::io;

use base::CrmExit;
use rustix::process::{Pid, Signal, kill_process};
use rustix::system::RebootCommand;

use crate::watchdog;

/// What `PCMK_panic_action` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// Write out what is in memory first.
    pub sync: bool,
    /// What then.
    pub end: Ending,
}

/// How the host ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Start again.
    Reboot,
    /// Switch off.
    Off,
    /// Crash, for a kernel dump.
    Crash,
}

impl Action {
    /// Reads the option; anything unknown means `reboot`.
    pub fn parse(text: Option<&str>) -> Action {
        let (sync, end) = match text.unwrap_or_default().trim() {
            "crash" => (false, Ending::Crash),
            "sync-crash" => (true, Ending::Crash),
            "sync-reboot" => (true, Ending::Reboot),
            "off" => (false, Ending::Off),
            "sync-off" => (true, Ending::Off),
            _ => (false, Ending::Reboot),
        };
        Action { sync, end }
    }

    const fn sysrq(self) -> &'static str {
        match self.end {
            Ending::Reboot => "b",
            Ending::Off => "o",
            Ending::Crash => "c",
        }
    }
}

/// The inode of the host's own process namespace (a constant of the kernel's interface).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Whether this is a container. There, the kernel's trigger would reset somebody else's host;
/// rebooting ends the container alone.
fn in_container() -> bool {
    fs::read_link("/proc/self/ns/pid")
        .map_or(true, |link| link.to_string_lossy() != INITIAL_PID_NAMESPACE)
}

/// Resets the host. Returns the exit status to end with if it is still alive.
pub fn panic(action: Action) -> CrmExit {
    if let Some(pid) = watchdog::sbd_pid().and_then(|pid| i32::try_from(pid).ok())
        && let Some(pid) = Pid::from_raw(pid)
    {
        base::crit!("Killing sbd to have the watchdog reset this host");
        // Without its daemon the watchdog fires.
        if kill_process(pid, Signal::KILL).is_ok() {
            return CrmExit::Panic;
        }
    }
    base::crit!("Resetting this host ({:?})", action.end);
    if action.sync {
        rustix::fs::sync();
    }
    if !in_container()
        && let Err(error) = trigger(action)
    {
        base::error!("Could not use the kernel's trigger: {error}");
    }
    let command = match action.end {
        Ending::Off => RebootCommand::PowerOff,
        Ending::Reboot | Ending::Crash => RebootCommand::Restart,
    };
    if let Err(error) = rustix::system::reboot(command) {
        base::crit!("Could not reset this host: {error}");
    }
    CrmExit::Panic
}

fn trigger(action: Action) -> io::Result<()> {
    fs::write("/proc/sys/kernel/sysrq", "1")?;
    fs::write("/proc/sysrq-trigger", action.sysrq())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read() {
        for (text, sync, end) in [
            (None, false, Ending::Reboot),
            (Some("crash"), false, Ending::Crash),
            (Some("sync-off"), true, Ending::Off),
            (Some("nonsense"), false, Ending::Reboot),
        ] {
            assert_eq!(Action::parse(text), Action { sync, end });
        }
    }
}
