//! A tool's connection to a daemon: XML elements out, XML elements in.
//!
//! Source: `spec/pacemaker-ipc.md` §1, §3A.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pacemaker_client::frame::{self, flags};
use qb::ipc::Client;
use xml::Element;

use crate::rc::Rc;

/// Buffer size that clients other than those of the CIB ask for.
const BUFFER: u32 = 131_072;
/// Buffer size of the CIB's clients.
pub const CIB_BUFFER: u32 = 524_288;

/// Requests of all connections of a process are counted together.
static NEXT_ID: AtomicI32 = AtomicI32::new(1);
/// Counter in the references of requests.
static NEXT_REFERENCE: AtomicI32 = AtomicI32::new(0);

/// A connection.
pub struct Connection {
    client: Client,
}

fn rc_of(error: &std::io::Error) -> Rc {
    match error.raw_os_error() {
        // A daemon that is not there has no socket: to its clients that is a refused connection.
        Some(2) => Rc::ECONNREFUSED,
        Some(errno) => Rc(errno),
        None => Rc::EIO,
    }
}

impl Connection {
    /// Connects to a service: `cib_rw`, `crmd`, `attrd`, `pacemakerd`, ….
    ///
    /// # Errors
    /// `ECONNREFUSED` when no such daemon runs.
    pub fn open(service: &str) -> Result<Connection, Rc> {
        let buffer = if service.starts_with("cib_") { CIB_BUFFER } else { BUFFER };
        let client = Client::connect(service, buffer).map_err(|error| rc_of(&error))?;
        Ok(Connection { client })
    }

    /// Connects as [`open`](Self::open), and keeps trying while the daemon only starts.
    pub fn open_patiently(service: &str, patience: Duration) -> Result<Connection, Rc> {
        let deadline = Instant::now() + patience;
        loop {
            match Connection::open(service) {
                Err(Rc::EAGAIN) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100))
                }
                other => return other,
            }
        }
    }

    /// The descriptor that becomes readable when an event came.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    fn put(
        &mut self,
        message: &Element,
        with_response: bool,
        timeout: Duration,
    ) -> Result<i32, Rc> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let bits = if with_response { flags::CLIENT_RESPONSE } else { 0 };
        let bytes =
            frame::encode(id, bits, &message.to_text(), self.client.max_msg_size() as usize)
                .map_err(|_| Rc(90))?;
        let deadline = Instant::now() + timeout;
        loop {
            match self.client.send(&[&bytes]) {
                Ok(()) => return Ok(id),
                Err(error) if error.raw_os_error() == Some(11) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(rc_of(&error)),
            }
        }
    }

    /// Sends a message that is not answered (or by an event later).
    pub fn send(&mut self, message: &Element) -> Result<(), Rc> {
        self.put(message, false, Duration::from_secs(5)).map(drop)
    }

    /// Sends a message and waits for its response.
    pub fn request(&mut self, message: &Element, timeout: Duration) -> Result<Element, Rc> {
        let id = self.put(message, true, timeout)?;
        let deadline = Instant::now() + timeout;
        let mut bytes = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.client.recv(&mut bytes, Some(left)).map_err(|error| rc_of(&error))?;
            let frame = frame::decode(&bytes).map_err(|_| Rc(71))?;
            // An answer that came too late for an earlier request is nobody's any more.
            if frame.id < id {
                continue;
            }
            return xml::parse(&frame.text).map_err(|_| Rc(74));
        }
    }

    /// Waits for the next event; `None` when none came in time.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Element>, Rc> {
        let mut bytes = Vec::new();
        if !self.client.event(&mut bytes, Some(timeout)).map_err(|error| rc_of(&error))? {
            return Ok(None);
        }
        let frame = frame::decode(&bytes).map_err(|_| Rc(71))?;
        xml::parse(&frame.text).map(Some).map_err(|_| Rc(74))
    }
}

/// The exit status in an `<ack>`.
pub fn ack_status(ack: &Element) -> Option<i32> {
    ack.get("status").and_then(|status| status.parse().ok())
}

/// A message in the envelope of controllers (`spec/pacemaker-ipc.md` §3A.2).
pub struct Envelope<'a> {
    /// What is asked.
    pub task: &'a str,
    /// Which subsystem answers.
    pub to: &'a str,
    /// Which node's; none for the local one or all.
    pub host: Option<&'a str>,
    /// The program that asks.
    pub tool: &'a str,
    /// What belongs to it.
    pub data: Option<Element>,
    /// Further attributes of the envelope.
    pub attrs: &'a [(&'a str, &'a str)],
}

impl Envelope<'_> {
    /// The message, and the reference that its answer carries.
    pub fn build(&self) -> (Element, String) {
        let from = format!("{}_{}", std::process::id(), self.tool);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let count = NEXT_REFERENCE.fetch_add(1, Ordering::Relaxed);
        let reference = format!("{}-{from}-{now}-{count}", self.task);
        let mut message = Element::new("create_request_adv")
            .with("origin", self.tool)
            .with("t", "crmd")
            .with("version", crate::source::FEATURE_SET)
            .with("subt", "request")
            .with("reference", reference.as_str())
            .with("crm_task", self.task)
            .with("crm_sys_to", self.to)
            .with("crm_sys_from", from);
        if let Some(host) = self.host {
            message.set("crm_host_to", host);
        }
        for (name, value) in self.attrs {
            message.set(name, *value);
        }
        if let Some(data) = &self.data {
            message.push(Element::new("crm_xml").with_child(data.clone()));
        }
        (message, reference)
    }
}

/// The payload of a message in the controllers' envelope.
pub fn payload(message: &Element) -> Option<&Element> {
    message.child("crm_xml").and_then(|wrapper| wrapper.children().next())
}
