//! Asking pacemakerd how it is. Source: `spec/pacemaker-ipc.md` §6.

use std::time::{Duration, Instant};

use crate::ipc::{Connection, Envelope, payload};
use crate::rc::Rc;

/// What pacemakerd answers to a ping.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The subsystem that answered.
    pub from: String,
    /// Its state's word.
    pub state: String,
    /// When it last looked after its daemons, seconds since 1970.
    pub checked: i64,
}

impl Status {
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

    /// When it last looked after its daemons, in local time with zone.
    pub fn stamp(&self) -> String {
        crate::clock::iso_local(self.checked)
    }
}

/// Asks the local pacemakerd.
pub fn status(client: &str, timeout: Duration) -> Result<Status, Rc> {
    let mut connection = Connection::open("pacemakerd")?;
    let (mut message, reference) = Envelope {
        task: "ping",
        to: "pacemakerd",
        host: None,
        tool: "crmadmin",
        data: None,
        attrs: &[],
    }
    .build();
    message.set("crm_sys_from", format!("{}_{client}", std::process::id()));
    connection.request(&message, timeout)?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(answer) = connection.event(left)? else { return Err(Rc::ETIMEDOUT) };
        if answer.get("reference") != Some(reference.as_str()) {
            continue;
        }
        let Some(ping) = payload(&answer) else { return Err(Rc(71)) };
        return Ok(Status {
            from: ping.get("crm_subsystem").unwrap_or("pacemakerd").to_owned(),
            state: ping.get("pacemakerd_state").unwrap_or("invalid").to_owned(),
            checked: ping.get("crm-timestamp").and_then(|stamp| stamp.parse().ok()).unwrap_or(0),
        });
    }
}
