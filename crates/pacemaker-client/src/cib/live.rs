//! The connection to the live CIB manager.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ::cib::Rc;
use xml::Element;

use super::{Failure, Op, Request, call};
use crate::client::{Client, ClientError};
use crate::envelope;

/// The buffer asked for: documents travel here.
const BUFFER: usize = 512 * 1024;

/// What the manager tells without being asked right now.
#[derive(Debug, Clone)]
pub enum Event {
    /// An asynchronous request ended.
    Reply {
        /// Its call number.
        call: u32,
        /// How.
        rc: Rc,
        /// With what.
        output: Option<Element>,
    },
    /// The document changed (or an attempt to change it failed, by `rc`).
    Diff {
        /// How the operation ended.
        rc: Rc,
        /// Which operation.
        op: String,
        /// The patch, to be applied to the copy one holds.
        patch: Option<Element>,
        /// The whole notification.
        notify: Element,
    },
    /// The document was replaced and sections changed (bits: 1 nodes, 2 alerts, 4 status).
    Refresh {
        /// The bits.
        sections: u32,
    },
    /// Anything else.
    Other(Element),
}

/// A connection to `cib_ro`, `cib_rw` or `cib_shm`.
#[derive(Debug)]
pub struct Live {
    client: Client,
    token: String,
    next_call: u32,
}

impl Live {
    /// Connects to a service and registers under a name.
    ///
    /// # Errors
    /// The manager does not run.
    pub fn connect(service: &str, name: &str) -> Result<Live, ClientError> {
        Live::register(Client::connect_with(service, BUFFER)?, name)
    }

    /// As [`connect`](Self::connect), with patience for a manager that only starts.
    ///
    /// # Errors
    /// The manager does not run.
    pub fn connect_patiently(
        service: &str,
        name: &str,
        patience: Duration,
    ) -> Result<Live, ClientError> {
        Live::register(Client::connect_patiently(service, BUFFER, patience)?, name)
    }

    fn register(mut client: Client, name: &str) -> Result<Live, ClientError> {
        let hello = Element::new("cib_command")
            .with("t", "cib")
            .with("cib_op", "register")
            .with("cib_clientname", name)
            .with("cib_callopt", call::SYNC.to_string());
        let reply = client.call(&hello, Duration::from_secs(60))?;
        let token = match (reply.get("cib_op"), reply.get("cib_clientid")) {
            (Some("register"), Some(token)) => token.to_owned(),
            _ => return Err(ClientError::Protocol("no registration".into())),
        };
        Ok(Live { client, token, next_call: 2 })
    }

    /// Readable when an event came or the manager went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Whether the manager is still there.
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    fn command(&mut self, op: Op, request: &Request<'_>, options: u32) -> (u32, Element) {
        let number = self.next_call;
        self.next_call = self.next_call.wrapping_add(1).max(1);
        let mut command = Element::new("cib_command")
            .with("__name__", "cib_command")
            .with("t", "cib")
            .with("cib_async_id", self.token.as_str())
            .with("cib_op", op.as_str());
        if let Some(host) = request.host {
            command.set("cib_host", host);
        }
        if let Some(section) = request.section {
            command.set("cib_section", section);
        }
        command.set("cib_callid", number.to_string());
        if let Some(user) = request.user {
            command.set("cib_user", user);
        }
        command.set("cib_callopt", options.to_string());
        if let Some(data) = &request.data {
            command.push(Element::new("cib_calldata").with_child(data.clone()));
        }
        (number, command)
    }

    /// Performs an operation and waits for its end.
    ///
    /// # Errors
    /// Whatever the operation ends with; connection problems as their errno.
    pub fn call(
        &mut self,
        op: Op,
        request: &Request<'_>,
        timeout: Duration,
    ) -> Result<Option<Element>, Failure> {
        let (_, command) = self.command(op, request, request.options | call::SYNC);
        let reply = self.client.call(&command, timeout).map_err(|error| error.rc())?;
        if let Some(status) = envelope::ack_status(&reply) {
            let rc = if status == 0 { Rc::OK } else { Rc::EPROTO };
            return rc.ok().map(|()| None).map_err(Failure::from);
        }
        let (rc, output) = read_reply(&reply);
        match rc.ok() {
            Ok(()) => Ok(output),
            Err(rc) => Err(Failure { rc, output }),
        }
    }

    /// Sends an operation; its end comes as [`Event::Reply`] with the returned call number
    /// (unless [`call::DISCARD_REPLY`] is set).
    ///
    /// # Errors
    /// The manager went, or takes nothing for five seconds.
    pub fn send(&mut self, op: Op, request: &Request<'_>) -> Result<u32, ClientError> {
        let (number, command) = self.command(op, request, request.options & !call::SYNC);
        self.client.send(&command, 0)?;
        Ok(number)
    }

    /// Turns a kind of notification on or off: `cib_diff_notify`, `cib_refresh_notify`.
    ///
    /// # Errors
    /// The manager went, or does not know the kind.
    pub fn notify(&mut self, kind: &str, on: bool) -> Result<(), ClientError> {
        let request = Element::new("cib-callback")
            .with("cib_op", "cib_notify")
            .with("cib_notify_type", kind)
            .with("cib_notify_activate", if on { "1" } else { "0" });
        let ack = self.client.call(&request, Duration::from_secs(60))?;
        match envelope::ack_status(&ack) {
            Some(0) | None => Ok(()),
            Some(_) => Err(ClientError::Rc(Rc::EINVAL)),
        }
    }

    /// Subscribes to changes of the document.
    ///
    /// # Errors
    /// As [`notify`](Self::notify).
    pub fn subscribe(&mut self) -> Result<(), ClientError> {
        self.notify("cib_diff_notify", true)
    }

    /// The next event that is there.
    ///
    /// # Errors
    /// The manager went.
    pub fn try_event(&mut self) -> Result<Option<Event>, ClientError> {
        Ok(self.client.try_event()?.map(read_event))
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// The manager went.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Event>, ClientError> {
        Ok(self.client.event(timeout)?.map(read_event))
    }
}

/// Result code and data of a reply. A patch that arrived too late is no error for clients.
fn read_reply(reply: &Element) -> (Rc, Option<Element>) {
    let rc = reply.get("cib_rc").and_then(|rc| rc.parse().ok()).map_or(Rc::EPROTO, Rc::from_wire);
    let rc = if rc == Rc::DIFF_RESYNC { Rc::OK } else { rc };
    let output = reply.child("cib_calldata").and_then(|wrapper| wrapper.children().next());
    (rc, output.cloned())
}

fn read_event(event: Element) -> Event {
    let number = |name: &str| event.get(name).and_then(|text| text.parse::<i64>().ok());
    match (event.get("t"), event.get("subt")) {
        (Some("cib"), _) => {
            let (rc, output) = read_reply(&event);
            let call = u32::try_from(number("cib_callid").unwrap_or(0)).unwrap_or(0);
            Event::Reply { call, rc, output }
        }
        (Some("cib_notify"), Some("cib_diff_notify")) => {
            let rc = number("cib_rc").and_then(|rc| i32::try_from(rc).ok()).unwrap_or(0);
            let patch = event
                .child("cib_update_result")
                .and_then(|wrapper| wrapper.children().next())
                .cloned();
            let op = event.get("cib_op").unwrap_or("").to_owned();
            Event::Diff { rc: Rc::from_wire(rc), op, patch, notify: event }
        }
        (Some("cib_notify"), Some("cib_refresh_notify")) => {
            let bits = number("cib_change_section").unwrap_or(7);
            Event::Refresh { sections: u32::try_from(bits).unwrap_or(7) }
        }
        _ => Event::Other(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_and_notifications_are_read() {
        let reply = xml::parse(
            "<cib-reply t='cib' cib_op='cib_query' cib_callid='3' cib_rc='-6'>\
             <cib_calldata><a/></cib_calldata></cib-reply>",
        )
        .unwrap();
        let Event::Reply { call, rc, output } = read_event(reply) else { panic!("no reply") };
        assert_eq!((call, rc, output.unwrap().name().to_owned()), (3, Rc::ENXIO, "a".to_owned()));
        let notify = xml::parse(
            "<notify t='cib_notify' subt='cib_diff_notify' cib_op='cib_modify' cib_rc='0'>\
             <cib_update_result><diff format='2'/></cib_update_result></notify>",
        )
        .unwrap();
        let Event::Diff { rc, patch, .. } = read_event(notify) else { panic!("no diff") };
        assert!(rc.is_ok() && patch.unwrap().name() == "diff");
    }
}
