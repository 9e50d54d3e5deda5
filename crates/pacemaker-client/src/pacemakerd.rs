//! Client of pacemakerd: is it up, and please stop.
//!
//! Source: `spec/pacemaker-ipc.md` §6.

use std::time::{Duration, Instant};

use xml::Element;

use crate::client::{Client, ClientError};
use crate::envelope;

/// What pacemakerd answers to a ping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// `running`, `starting_daemons`, ….
    pub state: String,
    /// When all children were last seen well, seconds since 1970.
    pub last_good: Option<u64>,
    /// The subsystem that answered.
    pub sys_from: String,
}

impl Ping {
    /// The state as people are told.
    pub fn friendly(&self) -> &'static str {
        match self.state.as_str() {
            "init" => "Initializing pacemaker",
            "starting_daemons" => "Pacemaker daemons are starting",
            "wait_for_ping" => "Waiting for startup trigger from SBD",
            "running" => "Pacemaker is running",
            "shutting_down" => "Pacemaker daemons are shutting down",
            "shutdown_complete" => "Pacemaker daemons are shut down (reporting to SBD)",
            "remote" => "pacemaker-remoted is running (on a Pacemaker Remote node)",
            _ => "invalid",
        }
    }
}

/// A connection to the local pacemakerd.
#[derive(Debug)]
pub struct Pacemakerd {
    client: Client,
    sender: String,
}

impl Pacemakerd {
    /// Connects.
    ///
    /// # Errors
    /// pacemakerd does not run; on a remote node `EREMOTEIO`.
    pub fn connect(program: &str) -> Result<Pacemakerd, ClientError> {
        Ok(Pacemakerd { client: Client::connect("pacemakerd")?, sender: envelope::sender(program) })
    }

    fn call(&mut self, task: &str, timeout: Duration) -> Result<Element, ClientError> {
        let request = envelope::request(task, Some("pacemakerd"), &self.sender, None, None);
        let deadline = Instant::now() + timeout;
        let ack = self.client.call(&request, timeout)?;
        match envelope::ack_status(&ack) {
            Some(112) => {}
            Some(0) | None => return Ok(ack),
            Some(status) => return Err(ClientError::Protocol(format!("refused: {status}"))),
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.event(left)? {
                Some(reply) if reply.get("crm_task") == Some(task) => return Ok(reply),
                Some(_) => {}
                None => return Err(ClientError::Rc(::cib::Rc::ETIMEDOUT)),
            }
        }
    }

    /// Asks how it is.
    ///
    /// # Errors
    /// No answer in time.
    pub fn ping(&mut self, timeout: Duration) -> Result<Ping, ClientError> {
        let reply = self.call("ping", timeout)?;
        let data = envelope::data(&reply)
            .ok_or_else(|| ClientError::Protocol("ping reply without data".into()))?;
        Ok(Ping {
            state: data.get("pacemakerd_state").unwrap_or("").to_owned(),
            last_good: data.get("crm-timestamp").and_then(|text| text.parse().ok()),
            sys_from: data.get("crm_subsystem").unwrap_or("").to_owned(),
        })
    }

    /// Asks it to stop everything.
    ///
    /// # Errors
    /// No answer in time, or no permission (`EACCES`).
    pub fn shutdown(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let reply = self.call("quit", timeout)?;
        match envelope::data(&reply).and_then(|data| data.get("op-status")) {
            Some("0") | None => Ok(()),
            Some(_) => Err(ClientError::Rc(::cib::Rc::EACCES)),
        }
    }
}
