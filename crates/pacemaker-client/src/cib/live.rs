//! The connection to the live CIB manager.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ::cib::Rc;
use xml::Element;

use super::calls::{self, Calls, Event, read_event, read_reply};
use super::{Failure, Op, Request, call};
use crate::client::{Client, ClientError};
use crate::envelope;

/// The buffer asked for: documents travel here.
const BUFFER: usize = 512 * 1024;

/// A connection to `cib_ro`, `cib_rw` or `cib_shm`.
#[derive(Debug)]
pub struct Live {
    client: Client,
    calls: Calls,
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
        let reply = client.call(&calls::registration(name), Duration::from_secs(60))?;
        let calls = Calls::registered(&reply)
            .ok_or_else(|| ClientError::Protocol("no registration".into()))?;
        Ok(Live { client, calls })
    }

    /// Readable when an event came or the manager went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Whether the manager is still there.
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
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
        let (_, command) = self.calls.command(op, request, request.options | call::SYNC);
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
        let (number, command) = self.calls.command(op, request, request.options & !call::SYNC);
        self.client.send(&command, 0)?;
        Ok(number)
    }

    /// Turns a kind of notification on or off: `cib_diff_notify`, `cib_refresh_notify`.
    ///
    /// # Errors
    /// The manager went, or does not know the kind.
    pub fn notify(&mut self, kind: &str, on: bool) -> Result<(), ClientError> {
        let ack = self.client.call(&calls::subscription(kind, on), Duration::from_secs(60))?;
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
