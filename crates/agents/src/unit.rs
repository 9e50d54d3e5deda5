//! One action on a systemd unit over the system bus: the process that the executor runs for
//! resources of class systemd, `quorate systemd-unit ACTION UNIT`.
//!
//! It is a process of its own so that the executor's limits, kills and cancellations work as for
//! every other agent. What it found out is its exit status: those of OCF, [`PENDING`] for a unit
//! between two states, [`NO_BUS`] when systemd could not be asked; the reason goes to standard
//! error in the words of OCF agents.
//!
//! Jobs are followed to their end by systemd's own signal, as Pacemaker 3 does; 2.1 looks again
//! every few seconds.
//!
//! Source: `spec/pacemaker-cluster.md` §16.4.

use crate::dbus::{Bus, CallError, Value};
use crate::judge::{EXIT_REASON_PREFIX, ocf};

/// The exit status for a unit that is being started or stopped.
pub const PENDING: i32 = 193;
/// The exit status when there is no bus, or systemd does not answer on it.
pub const NO_BUS: i32 = 189;
/// The exit status when systemd itself gave the unit up for lateness.
pub const LATE: i32 = 124;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const BUS: &str = "org.freedesktop.DBus";

/// How it ended: exit status and reason.
type End = (i32, String);

/// Runs the command: `systemd-unit ACTION [UNIT]`.
pub fn main(args: &[String]) -> i32 {
    let action = args.get(1).map_or("", String::as_str);
    let unit = args.get(2).map_or("", String::as_str);
    let (code, reason) = match Systemd::connect() {
        Ok(mut systemd) => match systemd.act(action, unit) {
            Ok(end) | Err(end) => end,
        },
        Err(error) => failure(&error),
    };
    if !reason.is_empty() {
        eprintln!("{EXIT_REASON_PREFIX}{reason}");
    }
    code
}

fn failure(error: &CallError) -> End {
    match error {
        CallError::Io(_) => (NO_BUS, error.to_string()),
        CallError::Refused(name, words) if is_absent(name) => {
            (ocf::NOT_INSTALLED, words.to_owned())
        }
        CallError::Refused(name, _) if name.starts_with("org.freedesktop.DBus.Error") => {
            (NO_BUS, error.to_string())
        }
        CallError::Refused(..) => (ocf::UNKNOWN_ERROR, error.to_string()),
    }
}

/// Errors that say that there is no such unit.
fn is_absent(name: &str) -> bool {
    ["NoSuchUnit", "LoadFailed"]
        .iter()
        .any(|known| name.strip_prefix("org.freedesktop.systemd1.") == Some(known))
        || name == "org.freedesktop.DBus.Error.InvalidName"
        || name == "org.freedesktop.systemd1.InvalidName"
}

struct Systemd {
    bus: Bus,
}

impl Systemd {
    fn connect() -> Result<Systemd, CallError> {
        Ok(Systemd { bus: Bus::system()? })
    }

    fn manager(&mut self, method: &str, args: &[&str]) -> Result<Vec<Value>, CallError> {
        let args: Vec<Value> = args.iter().map(|arg| Value::Str((*arg).to_owned())).collect();
        self.bus.call(SYSTEMD, OBJECT, Some(MANAGER), method, &args)
    }

    fn act(&mut self, action: &str, unit: &str) -> Result<End, End> {
        if action == "reload" {
            return self.manager("Reload", &[]).map(|_| done()).map_err(|error| failure(&error));
        }
        let path = match self.manager("LoadUnit", &[unit]) {
            Ok(answer) => answer.first().and_then(Value::text).unwrap_or_default().to_owned(),
            // What does not exist is stopped.
            Err(CallError::Refused(name, _)) if action == "stop" && is_absent(&name) => {
                return Ok(done());
            }
            Err(error) => return Err(failure(&error)),
        };
        match action {
            "monitor" | "status" => self.state(&path).map_err(|error| failure(&error)),
            "start" => self.job("StartUnit", unit, &path),
            "stop" => self.job("StopUnit", unit, &path),
            "restart" => self.job("RestartUnit", unit, &path),
            _ => Ok((ocf::UNIMPLEMENTED, String::new())),
        }
    }

    fn state(&mut self, path: &str) -> Result<End, CallError> {
        let which = [UNIT, "ActiveState"].map(|arg| Value::Str(arg.to_owned()));
        let interface = "org.freedesktop.DBus.Properties";
        let answer = self.bus.call(SYSTEMD, path, Some(interface), "Get", &which)?;
        let state = answer.first().and_then(Value::text).unwrap_or_default().to_owned();
        Ok(match state.as_str() {
            "active" | "reloading" => done(),
            "activating" | "deactivating" => (PENDING, state),
            _ => (ocf::NOT_RUNNING, state),
        })
    }

    /// Has a job done and waits for its end.
    fn job(&mut self, method: &str, unit: &str, path: &str) -> Result<End, End> {
        let is_stop = method == "StopUnit";
        let told = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
        let rule = [Value::Str(told.to_owned())];
        let followed = self
            .bus
            .call(BUS, "/org/freedesktop/DBus", None, "AddMatch", &rule)
            .and_then(|_| self.manager("Subscribe", &[]));
        followed.map_err(|error| failure(&error))?;
        let job = match self.manager(method, &[unit, "replace"]) {
            Ok(answer) => answer.first().and_then(Value::text).unwrap_or_default().to_owned(),
            Err(CallError::Refused(name, _)) if is_stop && is_absent(&name) => return Ok(done()),
            Err(error) => return Err(failure(&error)),
        };
        let result = loop {
            let signal = self.bus.signal().map_err(|error| failure(&error.into()))?;
            // JobRemoved(id, job, unit, result)
            let is_ours = signal.member == "JobRemoved"
                && signal.body.get(1).and_then(Value::text) == Some(job.as_str());
            if is_ours {
                break signal.body.get(3).and_then(Value::text).unwrap_or_default().to_owned();
            }
        };
        if result == "timeout" {
            return Err((LATE, format!("systemd gave up on {unit}")));
        }
        let (code, state) = self.state(path).map_err(|error| failure(&error))?;
        match (is_stop, code) {
            (true, ocf::NOT_RUNNING) | (false, ocf::OK) => Ok(done()),
            // Done, says systemd, and it is not: the unit's own business, as for upstream.
            (true, _) => Ok((ocf::UNKNOWN_ERROR, format!("{unit} is {state} ({result})"))),
            (false, PENDING) if result == "done" => Ok(done()),
            (false, _) => Ok((ocf::UNKNOWN_ERROR, format!("{unit} is {state} ({result})"))),
        }
    }
}

fn done() -> End {
    (ocf::OK, String::new())
}
