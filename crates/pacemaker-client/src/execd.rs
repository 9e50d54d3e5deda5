//! Client of the executor: register resources, run and cancel operations, hear of results.
//!
//! Source: `spec/pacemaker-ipc.md` §8.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ::cib::Rc;
use xml::Element;

use crate::client::{Client, ClientError};

/// Protocol spoken by 2.1.5.
pub const PROTOCOL: &str = "1.1";

/// Tell only the client that asked for the operation about its result.
pub const NOTIFY_ORIGINATOR_ONLY: u32 = 0x2;
/// Stop this resource's recurring operations when we disconnect.
pub const DROP_RECURRING: u32 = 0x3;
/// Report a recurring operation only when its result changes.
pub const NOTIFY_CHANGES_ONLY: u32 = 0x4;

/// An operation to be run.
#[derive(Debug, Clone, Default)]
pub struct Operation<'a> {
    /// The resource.
    pub resource: &'a str,
    /// `start`, `monitor`, ….
    pub action: &'a str,
    /// Comes back with the result.
    pub user_data: Option<&'a str>,
    /// Milliseconds between repetitions; 0 runs once.
    pub interval_ms: u32,
    /// Milliseconds it may take.
    pub timeout_ms: u32,
    /// Milliseconds to wait before.
    pub start_delay_ms: u32,
    /// Parameters, `CRM_meta_…` included.
    pub params: BTreeMap<String, String>,
    /// See the constants of this module.
    pub options: u32,
}

/// What the executor reports.
#[derive(Debug, Clone)]
pub enum Event {
    /// An operation ended.
    Executed(Box<Executed>),
    /// Anything else (`lrmd_rsc_register`, …): operation, resource, result.
    Other {
        /// The operation.
        op: String,
        /// The resource, if it concerns one.
        resource: Option<String>,
        /// The result.
        rc: i32,
    },
}

/// The end of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executed {
    /// The resource.
    pub resource: String,
    /// The action.
    pub action: String,
    /// What the request gave along.
    pub user_data: String,
    /// Number of the call, as the request's answer had it.
    pub call_id: i32,
    /// Milliseconds between repetitions.
    pub interval_ms: u32,
    /// Milliseconds it was allowed.
    pub timeout_ms: u32,
    /// Milliseconds it waited before.
    pub start_delay_ms: u32,
    /// The agent's exit code.
    pub rc: i32,
    /// Execution status (0 done, 1 cancelled, 2 timeout, …).
    pub status: i32,
    /// The resource was unregistered meanwhile.
    pub is_deleted: bool,
    /// When it ran last, seconds since 1970.
    pub run_time: u64,
    /// When its result changed last, seconds since 1970.
    pub rc_change_time: u64,
    /// Milliseconds it took.
    pub exec_ms: u32,
    /// Milliseconds it queued.
    pub queue_ms: u32,
    /// The agent's own word on why.
    pub exit_reason: Option<String>,
    /// What it printed.
    pub output: Option<String>,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
}

/// A connection to the local executor.
#[derive(Debug)]
pub struct Execd {
    client: Client,
    token: String,
}

impl Execd {
    /// Connects and registers under a name.
    ///
    /// # Errors
    /// The executor does not run or refuses the protocol.
    pub fn connect(name: &str) -> Result<Execd, ClientError> {
        let mut client = Client::connect("lrmd")?;
        let hello = Element::new("lrmd_command")
            .with("t", "lrmd")
            .with("lrmd_op", "register")
            .with("lrmd_clientname", name)
            .with("lrmd_protocol_version", PROTOCOL);
        let reply = client.call(&hello, Duration::from_secs(30))?;
        rc_of(&reply)?;
        let token = match (reply.get("lrmd_op"), reply.get("lrmd_clientid")) {
            (Some("register"), Some(token)) => token.to_owned(),
            _ => return Err(ClientError::Protocol("no registration".into())),
        };
        Ok(Execd { client, token })
    }

    /// Readable when an event came or the executor went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Sends a command and returns its reply.
    ///
    /// # Errors
    /// The executor went or does not answer.
    pub fn command(
        &mut self,
        op: &str,
        data: Option<Element>,
        timeout_ms: u32,
        options: u32,
    ) -> Result<Element, ClientError> {
        let mut command = Element::new("lrmd_command")
            .with("t", "lrmd")
            .with("lrmd_async_id", self.token.as_str())
            .with("lrmd_op", op)
            .with("lrmd_timeout", timeout_ms.to_string())
            .with("lrmd_callopt", options.to_string());
        if let Some(data) = data {
            command.push(Element::new("lrmd_calldata").with_child(data));
        }
        self.client.call(&command, Duration::from_secs(60))
    }

    /// Makes a resource known.
    ///
    /// # Errors
    /// As [`command`](Self::command), or the executor's own.
    pub fn register(
        &mut self,
        id: &str,
        class: &str,
        provider: Option<&str>,
        agent: &str,
        options: u32,
    ) -> Result<(), ClientError> {
        let mut rsc = resource(id).with("lrmd_class", class);
        if let Some(provider) = provider {
            rsc.set("lrmd_provider", provider);
        }
        rsc.set("lrmd_type", agent);
        rc_of(&self.command("lrmd_rsc_register", Some(rsc), 0, options)?).map(|_| ())
    }

    /// Forgets a resource. `EINPROGRESS`: it will be gone when its operation ends.
    ///
    /// # Errors
    /// As [`command`](Self::command), or the executor's own.
    pub fn unregister(&mut self, id: &str) -> Result<(), ClientError> {
        rc_of(&self.command("lrmd_rsc_unregister", Some(resource(id)), 0, 0)?).map(|_| ())
    }

    /// Class, provider and type of a registered resource; `None` if it is unknown.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn info(
        &mut self,
        id: &str,
    ) -> Result<Option<(String, Option<String>, String)>, ClientError> {
        let reply = self.command("lrmd_rsc_info", Some(resource(id)), 0, 0)?;
        match rc_of(&reply) {
            Err(ClientError::Rc(Rc::ENODEV)) => return Ok(None),
            other => other?,
        };
        let get = |name: &str| reply.get(name).map(str::to_owned);
        Ok(get("lrmd_class")
            .zip(get("lrmd_type"))
            .map(|(class, agent)| (class, get("lrmd_provider"), agent)))
    }

    /// Runs an operation; returns the number its result will carry.
    ///
    /// # Errors
    /// As [`command`](Self::command), or the executor's own (`ENODEV`: not registered).
    pub fn exec(&mut self, operation: &Operation<'_>) -> Result<i32, ClientError> {
        let mut rsc = resource(operation.resource).with("lrmd_rsc_action", operation.action);
        if let Some(user_data) = operation.user_data {
            rsc.set("lrmd_rsc_userdata_str", user_data);
        }
        rsc.set("lrmd_rsc_interval", operation.interval_ms.to_string());
        rsc.set("lrmd_timeout", operation.timeout_ms.to_string());
        rsc.set("lrmd_rsc_start_delay", operation.start_delay_ms.to_string());
        rsc.push(attributes(&operation.params));
        let timeout = operation.timeout_ms;
        rc_of(&self.command("lrmd_rsc_exec", Some(rsc), timeout, operation.options)?)
    }

    /// Stops a recurring operation (or one that waits). `EOPNOTSUPP`: there is none.
    ///
    /// # Errors
    /// As [`command`](Self::command), or the executor's own.
    pub fn cancel(&mut self, id: &str, action: &str, interval_ms: u32) -> Result<(), ClientError> {
        let rsc = resource(id)
            .with("lrmd_rsc_action", action)
            .with("lrmd_rsc_interval", interval_ms.to_string());
        rc_of(&self.command("lrmd_rsc_cancel", Some(rsc), 0, 0)?).map(|_| ())
    }

    /// Asks for a sign of life, answered to all clients.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn poke(&mut self) -> Result<(), ClientError> {
        rc_of(&self.command("lrmd_rsc_poke", None, 0, 0)?).map(|_| ())
    }

    /// Runs an alert agent.
    ///
    /// # Errors
    /// As [`command`](Self::command), or the executor's own.
    pub fn alert(
        &mut self,
        id: &str,
        path: &str,
        timeout_ms: u32,
        env: &BTreeMap<String, String>,
    ) -> Result<(), ClientError> {
        let data = Element::new("lrmd_alert")
            .with("lrmd_origin", "lrmd_api_exec_alert")
            .with("lrmd_alert_id", id)
            .with("lrmd_alert_path", path)
            .with("lrmd_timeout", timeout_ms.to_string())
            .with_child(attributes(env));
        let options = NOTIFY_ORIGINATOR_ONLY;
        rc_of(&self.command("lrmd_alert_exec", Some(data), timeout_ms, options)?).map(|_| ())
    }

    /// The next event that is there.
    ///
    /// # Errors
    /// The executor went.
    pub fn try_event(&mut self) -> Result<Option<Event>, ClientError> {
        Ok(self.client.try_event()?.map(|event| read_event(&event)))
    }
}

fn resource(id: &str) -> Element {
    Element::new("lrmd_rsc").with("lrmd_origin", "lrmd_client").with("lrmd_rsc_id", id)
}

fn rc_of(reply: &Element) -> Result<i32, ClientError> {
    let rc = reply.get("lrmd_rc").and_then(|rc| rc.parse::<i32>().ok());
    match rc {
        Some(rc) if rc >= 0 => Ok(rc),
        Some(rc) => Err(ClientError::Rc(Rc::from_wire(rc))),
        None => Err(ClientError::Protocol("reply without result".into())),
    }
}

/// Parameters as `<attributes>`; names that are no XML names go into `<param>` children.
pub fn attributes(params: &BTreeMap<String, String>) -> Element {
    let mut element = Element::new("attributes");
    for (name, value) in params {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            let param = Element::new("param").with("name", name.as_str());
            element.push(param.with("value", value.as_str()));
        } else {
            element.set(name, value.as_str());
        }
    }
    element
}

/// Reverses [`attributes`].
pub fn params_of(element: &Element) -> BTreeMap<String, String> {
    let mut params: BTreeMap<String, String> =
        element.attrs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for param in element.children_named("param") {
        if let (Some(name), Some(value)) = (param.get("name"), param.get("value")) {
            params.insert(name.to_owned(), value.to_owned());
        }
    }
    params
}

/// Reads an event of the executor.
pub fn read_event(event: &Element) -> Event {
    let text = |name: &str| event.get(name).unwrap_or("").to_owned();
    let number =
        |name: &str| event.get(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let small = |name: &str| u32::try_from(number(name)).unwrap_or(0);
    let op = text("lrmd_op");
    if op != "lrmd_rsc_exec" {
        let resource = event.get("lrmd_rsc_id").map(str::to_owned);
        return Event::Other { op, resource, rc: number("lrmd_rc") as i32 };
    }
    Event::Executed(Box::new(Executed {
        resource: text("lrmd_rsc_id"),
        action: text("lrmd_rsc_action"),
        user_data: text("lrmd_rsc_userdata_str"),
        call_id: number("lrmd_callid") as i32,
        interval_ms: small("lrmd_rsc_interval"),
        timeout_ms: small("lrmd_timeout"),
        start_delay_ms: small("lrmd_rsc_start_delay"),
        rc: number("lrmd_exec_rc") as i32,
        status: number("lrmd_exec_op_status") as i32,
        is_deleted: number("lrmd_rsc_deleted") != 0,
        run_time: u64::try_from(number("lrmd_run_time")).unwrap_or(0),
        rc_change_time: u64::try_from(number("lrmd_rcchange_time")).unwrap_or(0),
        exec_ms: small("lrmd_exec_time"),
        queue_ms: small("lrmd_queue_time"),
        exit_reason: event.get("lrmd_rsc_exit_reason").map(str::to_owned),
        output: event.get("lrmd_rsc_output").map(str::to_owned),
        params: event.child("attributes").map(params_of).unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_both_ways() {
        let params: BTreeMap<String, String> =
            [("ip", "10.0.0.1"), ("1st", "x"), ("CRM_meta_timeout", "20000")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        assert_eq!(params_of(&attributes(&params)), params);
    }

    #[test]
    fn a_result_is_read() {
        let event = xml::parse(
            "<lrmd_notify lrmd_op='lrmd_rsc_exec' lrmd_rsc_id='ip' lrmd_rsc_action='start' \
             lrmd_exec_rc='7' lrmd_exec_op_status='0' lrmd_callid='12' lrmd_exec_time='33' \
             lrmd_rsc_exit_reason='no'><attributes a='1'/></lrmd_notify>",
        )
        .unwrap();
        let Event::Executed(done) = read_event(&event) else { panic!("no result") };
        assert_eq!((done.rc, done.call_id, done.exec_ms), (7, 12, 33));
        assert_eq!(done.exit_reason.as_deref(), Some("no"));
    }
}
