//! How actions on fence devices are passed on: `start` registers the device with the fencer and
//! has it monitored once, `stop` unregisters it, `monitor` asks the fencer to run the agent.
//!
//! Requests are asynchronous: answers come as events and carry the request's number.
//!
//! Source: `spec/pacemaker-ipc.md` §9, `spec/pacemaker-cluster.md` §16.5.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use agents::judge::{ExecStatus, ocf};
use agents::{Call, Outcome};
use pacemaker_client::frame::{self, flags};
use qb::ipc;
use xml::Element;

use super::command::JobId;
use super::wire;

/// How long the fencer may take to let us register.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);

/// What an answer is waited for.
#[derive(Debug)]
enum Awaited {
    /// The device's registration; monitor it next.
    Registration(JobId, Call),
    /// The end of the job.
    Last(JobId, String),
}

/// A connection to the fencer and what was asked over it.
#[derive(Debug)]
pub struct Fencer {
    client: ipc::Client,
    last_id: i32,
    last_call: u32,
    awaited: BTreeMap<u32, Awaited>,
}

impl Fencer {
    /// Connects and introduces itself.
    pub fn connect() -> io::Result<Fencer> {
        let size = u32::try_from(frame::DEFAULT_BUFFER).unwrap_or(u32::MAX);
        let mut client = ipc::Client::connect("stonith-ng", size)?;
        let hello = Element::new("stonith_command")
            .with("t", "stonith-ng")
            .with("st_op", "register")
            .with("st_clientname", "pacemaker-execd");
        let bytes = encode(1, flags::CLIENT_RESPONSE, &hello)?;
        client.send(&[&bytes])?;
        let mut answer = Vec::new();
        client.recv(&mut answer, Some(REGISTER_TIMEOUT))?;
        let answer = frame::decode(&answer).map_err(io::Error::other)?;
        let answer = xml::parse(&answer.text).map_err(io::Error::other)?;
        if answer.get("st_op") != Some("register") || answer.get("st_clientid").is_none() {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        Ok(Fencer { client, last_id: 1, last_call: 1, awaited: BTreeMap::new() })
    }

    /// The descriptor to watch for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Passes a job on. An immediate verdict is returned when there is nothing to ask.
    pub fn start(&mut self, job: JobId, call: Call) -> Option<Outcome> {
        let sent = match call.action.as_str() {
            "start" => self.register(&call).map(|id| (id, Awaited::Registration(job, call))),
            "stop" => {
                let device = Element::new("st_device_id")
                    .with("st_origin", "stonith_api_remove_device")
                    .with("id", call.resource.as_str());
                self.ask("st_device_remove", device, 0)
                    .map(|id| (id, Awaited::Last(job, call.action)))
            }
            "monitor" | "status" => {
                self.monitor(&call).map(|id| (id, Awaited::Last(job, call.action)))
            }
            _ => return Some(Outcome::new(ocf::UNIMPLEMENTED, ExecStatus::NotSupported)),
        };
        self.expect(sent)
    }

    /// Takes what has come in: jobs that ended. An error means that the connection is lost.
    pub fn advance(&mut self) -> io::Result<Vec<(JobId, Outcome)>> {
        let mut ended = Vec::new();
        let mut bytes = Vec::new();
        while self.client.try_event(&mut bytes)? {
            let Some(reply) = frame::decode(&bytes).ok().and_then(|f| xml::parse(&f.text).ok())
            else {
                continue;
            };
            let call_id = wire::number(&reply, "st_callid");
            match self.awaited.remove(&call_id) {
                None => {}
                Some(Awaited::Last(job, action)) => ended.push((job, verdict(&reply, &action))),
                Some(Awaited::Registration(job, call)) => {
                    let outcome = verdict(&reply, "start");
                    if outcome.rc != ocf::OK || outcome.status != ExecStatus::Done {
                        ended.push((job, outcome));
                        continue;
                    }
                    let sent = self.monitor(&call).map(|id| (id, Awaited::Last(job, call.action)));
                    ended.extend(self.expect(sent).map(|outcome| (job, outcome)));
                }
            }
        }
        if !self.client.is_connected() {
            return Err(io::Error::from_raw_os_error(libc::ENOTCONN));
        }
        Ok(ended)
    }

    /// The jobs whose answers will not come any more.
    pub fn abandoned(self) -> Vec<JobId> {
        self.awaited
            .into_values()
            .map(|awaited| match awaited {
                Awaited::Registration(job, _) | Awaited::Last(job, _) => job,
            })
            .collect()
    }

    fn expect(&mut self, sent: io::Result<(u32, Awaited)>) -> Option<Outcome> {
        match sent {
            Ok((id, awaited)) => {
                self.awaited.insert(id, awaited);
                None
            }
            Err(error) => Some(not_connected(&error)),
        }
    }

    fn register(&mut self, call: &Call) -> io::Result<u32> {
        let mut device = Element::new("st_device_id")
            .with("id", call.resource.as_str())
            .with("st_origin", "stonith_api_register_device")
            .with("agent", call.agent.kind.as_str());
        if let Some(provides) = call.params.get("CRM_meta_provides") {
            device.set("rsc_provides", provides.as_str());
        }
        device.push(wire::params_to(&call.params));
        self.ask("st_device_register", device, 0)
    }

    fn monitor(&mut self, call: &Call) -> io::Result<u32> {
        let data = Element::new("st_device_id")
            .with("st_origin", "stonith_api_call")
            .with("st_device_id", call.resource.as_str())
            .with("st_device_action", "monitor");
        let seconds = call.timeout.as_secs().clamp(1, 24 * 3600);
        self.ask("st_execute", data, seconds)
    }

    fn ask(&mut self, op: &str, data: Element, timeout: u64) -> io::Result<u32> {
        self.last_call += 1;
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let message = Element::new("stonith_command")
            .with("__name__", "stonith_command")
            .with("t", "stonith-ng")
            .with("st_async_id", format!("execd-{}", self.last_call))
            .with("st_op", op)
            .with("st_callid", self.last_call.to_string())
            .with("st_callopt", "0")
            .with("st_timeout", timeout.to_string())
            .with_child(Element::new("st_calldata").with_child(data));
        let bytes = encode(self.last_id, 0, &message)?;
        self.client.send(&[&bytes])?;
        Ok(self.last_call)
    }
}

fn encode(id: i32, flags: u32, message: &Element) -> io::Result<Vec<u8>> {
    frame::encode(id, flags, &message.to_text(), frame::DEFAULT_BUFFER).map_err(io::Error::other)
}

/// The verdict when the fencer cannot be reached.
pub fn not_connected(error: &io::Error) -> Outcome {
    Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::NotConnected)
        .because(format!("Could not reach the fencer: {error}"))
}

/// What a reply of the fencer means for an action of the executor.
fn verdict(reply: &Element, action: &str) -> Outcome {
    let legacy = reply.get("st_rc").and_then(|rc| rc.parse::<i32>().ok());
    let exit = reply.get("rc-code").and_then(|rc| rc.parse::<i32>().ok());
    let status = reply.get("op-status").and_then(|code| code.parse::<i32>().ok());
    let (exit, status) = match (exit, status) {
        (Some(exit), Some(status)) => {
            (exit, ExecStatus::from_code(status).unwrap_or(ExecStatus::Error))
        }
        _ => match legacy.unwrap_or(0) {
            0 => (0, ExecStatus::Done),
            -19 => (1, ExecStatus::NoFenceDevice),
            -62 => (1, ExecStatus::Timeout),
            -95 => (1, ExecStatus::NotSupported),
            _ => (1, ExecStatus::Error),
        },
    };
    let rc = if exit == 0 { ocf::OK } else { ocf::UNKNOWN_ERROR };
    let mut outcome = match (status, action) {
        (ExecStatus::NotConnected | ExecStatus::Invalid, _) => {
            Outcome::new(ocf::UNKNOWN_ERROR, ExecStatus::Error)
        }
        (ExecStatus::NoFenceDevice, "monitor" | "status") => {
            Outcome::new(ocf::NOT_RUNNING, ExecStatus::Error)
        }
        (ExecStatus::NoFenceDevice, "stop") => Outcome::new(ocf::OK, ExecStatus::Done),
        (ExecStatus::NoFenceDevice, _) => Outcome::new(ocf::NOT_INSTALLED, ExecStatus::Error),
        (ExecStatus::NotSupported, _) => Outcome::new(ocf::UNIMPLEMENTED, status),
        _ => Outcome::new(rc, status),
    };
    if outcome.rc != ocf::OK {
        outcome.reason = reply.get("exit-reason").map(str::to_owned);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_judged() {
        for (text, action, rc, status) in [
            ("<r rc-code='0' op-status='0'/>", "monitor", 0, ExecStatus::Done),
            ("<r rc-code='1' op-status='10'/>", "monitor", 7, ExecStatus::Error),
            ("<r rc-code='1' op-status='10'/>", "start", 5, ExecStatus::Error),
            ("<r rc-code='1' op-status='10'/>", "stop", 0, ExecStatus::Done),
            ("<r rc-code='124' op-status='2'/>", "start", 1, ExecStatus::Timeout),
            ("<r st_rc='-19'/>", "monitor", 7, ExecStatus::Error),
            ("<r st_rc='0'/>", "start", 0, ExecStatus::Done),
            ("<r/>", "stop", 0, ExecStatus::Done),
        ] {
            let outcome = verdict(&xml::parse(text).unwrap(), action);
            assert_eq!((outcome.rc, outcome.status), (rc, status), "{text} {action}");
        }
    }
}
