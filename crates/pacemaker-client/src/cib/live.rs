//! The connection to the live CIB manager, on this host or another one.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use ::cib::Rc;
use xml::Element;

use super::calls::{self, Calls, Event, read_event, read_reply};
use super::remote::{Remote, Target};
use super::{Failure, Op, Request, call};
use crate::client::{Client, ClientError};
use crate::envelope;

/// The buffer asked for: documents travel here.
const BUFFER: usize = 512 * 1024;

/// How long a remote manager may take nothing of a request.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Link {
    /// By IPC.
    Local(Box<Client>),
    /// Over TCP.
    Remote(Box<Remote>),
}

/// A connection to `cib_ro`, `cib_rw` or `cib_shm`, or to a manager on another host.
#[derive(Debug)]
pub struct Live {
    link: Link,
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

    /// Connects to a manager on another host.
    ///
    /// # Errors
    /// Nobody answers; TLS fails; the login is refused.
    pub fn connect_to(target: &Target, name: &str) -> Result<Live, ClientError> {
        let (remote, calls) = Remote::connect(target, name)?;
        Ok(Live { link: Link::Remote(Box::new(remote)), calls })
    }

    fn register(mut client: Client, name: &str) -> Result<Live, ClientError> {
        let reply = client.call(&calls::registration(name), Duration::from_secs(60))?;
        let calls = Calls::registered(&reply)
            .ok_or_else(|| ClientError::Protocol("no registration".into()))?;
        Ok(Live { link: Link::Local(Box::new(client)), calls })
    }

    /// Readable when an event came or the manager went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.link {
            Link::Local(client) => client.fd(),
            Link::Remote(remote) => remote.fd(),
        }
    }

    /// Whether the manager is still there.
    pub fn is_connected(&self) -> bool {
        match &self.link {
            Link::Local(client) => client.is_connected(),
            Link::Remote(remote) => remote.is_connected(),
        }
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
        let (number, command) = self.calls.command(op, request, request.options | call::SYNC);
        let reply = match &mut self.link {
            Link::Local(client) => client.call(&command, timeout),
            Link::Remote(remote) => {
                let deadline = Instant::now() + timeout;
                remote.send(&command, deadline).and_then(|()| {
                    if request.options & call::DISCARD_REPLY != 0 {
                        return Ok(Element::new("ack").with("status", "0"));
                    }
                    remote.wait_for_reply(number, deadline)
                })
            }
        };
        let reply = reply.map_err(|error| error.rc())?;
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
        match &mut self.link {
            Link::Local(client) => {
                client.send(&command, 0)?;
            }
            Link::Remote(remote) => remote.send(&command, Instant::now() + SEND_TIMEOUT)?,
        }
        Ok(number)
    }

    /// Turns a kind of notification on or off: `cib_diff_notify`, `cib_refresh_notify`.
    ///
    /// # Errors
    /// The manager went, or does not know the kind.
    pub fn notify(&mut self, kind: &str, on: bool) -> Result<(), ClientError> {
        let mut request = calls::subscription(kind, on);
        let ack = match &mut self.link {
            Link::Local(client) => client.call(&request, Duration::from_secs(60))?,
            // Over TCP this has another name and is not answered.
            Link::Remote(remote) => {
                request.rename("cib_command");
                return remote.send(&request, Instant::now() + SEND_TIMEOUT);
            }
        };
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
        let event = match &mut self.link {
            Link::Local(client) => client.try_event()?,
            Link::Remote(remote) => remote.try_next()?,
        };
        Ok(event.map(read_event))
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// The manager went.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Event>, ClientError> {
        let event = match &mut self.link {
            Link::Local(client) => client.event(timeout)?,
            Link::Remote(remote) => remote.receive(Instant::now() + timeout)?,
        };
        Ok(event.map(read_event))
    }
}
