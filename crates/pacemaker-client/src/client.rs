//! The connection that all typed clients stand on: framed XML requests, responses and events.
//!
//! Requests are answered on the response channel if they ask for it ([`Client::call`]); everything
//! else arrives as events, to be read when [`Client::fd`] is readable ([`Client::try_event`]) or
//! waited for ([`Client::event`]).
//!
//! Source: `spec/pacemaker-ipc.md` §1.5, §3.3.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use ::cib::Rc;
use xml::Element;

use crate::account;
use crate::frame::{self, Frame, FrameError, flags};

/// How long a request waits for room and a response for its arrival, unless the caller says.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Ids are counted over all connections of the process, from 1.
static NEXT_ID: AtomicI32 = AtomicI32::new(1);

/// Why a connection or a message failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon is not there, went away, or did not answer in time.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Who listens is not one of the cluster's daemons.
    #[error("the server behind `{service}` runs as user {uid}, which is not trusted")]
    Untrusted {
        /// The service connected to.
        service: String,
        /// The user it runs as.
        uid: u32,
    },
    /// A message is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message's text is no XML.
    #[error("unreadable message: {0}")]
    Xml(#[from] xml::ParseError),
    /// A message is not what the protocol says.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// The daemon answered with an error.
    #[error("{0}")]
    Rc(Rc),
}

impl ClientError {
    /// As result code of the wire, which maps to an exit code.
    pub fn rc(&self) -> Rc {
        match self {
            ClientError::Io(error) if error.kind() == io::ErrorKind::NotFound => Rc::ENOTCONN,
            ClientError::Io(error) => Rc::of_io(error),
            ClientError::Untrusted { .. } => Rc::ECONNABORTED,
            ClientError::Frame(FrameError::TooBig { .. }) => Rc::EMSGSIZE,
            ClientError::Frame(_) | ClientError::Xml(_) => Rc::EBADMSG,
            ClientError::Protocol(_) => Rc::EPROTO,
            ClientError::Rc(rc) => *rc,
        }
    }

    /// True if the connection is gone for good.
    pub fn is_disconnect(&self) -> bool {
        matches!(self.rc(), Rc::ENOTCONN | Rc::ECONNRESET | Rc::ECONNREFUSED | Rc::ECONNABORTED)
            || self.rc() == Rc::EPIPE
    }
}

/// A connection to one service of a daemon.
#[derive(Debug)]
pub struct Client {
    ipc: qb::ipc::Client,
    service: String,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects with the default buffer.
    ///
    /// # Errors
    /// Nobody listens, or somebody who is not to be trusted.
    pub fn connect(service: &str) -> Result<Client, ClientError> {
        Client::connect_with(service, 0)
    }

    /// Connects with a buffer of at least that size.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(service: &str, buffer: usize) -> Result<Client, ClientError> {
        let size = u32::try_from(buffer.max(default_buffer())).unwrap_or(u32::MAX);
        let ipc = qb::ipc::Client::connect(service, size)?;
        let server = ipc.server();
        if !account::is_trusted_server(server.uid, server.gid) {
            return Err(ClientError::Untrusted { service: service.to_owned(), uid: server.uid });
        }
        Ok(Client { ipc, service: service.to_owned(), buffer: Vec::new() })
    }

    /// As [`connect`](Self::connect), trying again until the deadline while nobody listens.
    ///
    /// # Errors
    /// Those of the last try.
    pub fn connect_within(service: &str, patience: Duration) -> Result<Client, ClientError> {
        let deadline = Instant::now() + patience;
        loop {
            match Client::connect(service) {
                Err(ClientError::Io(_)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }

    /// As [`connect_with`](Self::connect_with), trying again while the daemon is there and only
    /// starts.
    ///
    /// # Errors
    /// Those of the last try.
    pub fn connect_patiently(
        service: &str,
        buffer: usize,
        patience: Duration,
    ) -> Result<Client, ClientError> {
        let deadline = Instant::now() + patience;
        loop {
            match Client::connect_with(service, buffer) {
                Err(ClientError::Io(error))
                    if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }

    /// Readable when an event came or the daemon went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.ipc.fd()
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Process id of the daemon.
    pub fn server_pid(&self) -> u32 {
        self.ipc.server().pid
    }

    /// Whether the daemon is still there.
    pub fn is_connected(&self) -> bool {
        self.ipc.is_connected()
    }

    /// Sends a request with these flags ([`flags`]) and returns its id.
    ///
    /// # Errors
    /// The daemon went or takes nothing for five seconds; the request is too large.
    pub fn send(&mut self, request: &Element, flags: u32) -> Result<i32, ClientError> {
        self.send_text(&request.to_text(), flags, DEFAULT_TIMEOUT)
    }

    fn send_text(&mut self, text: &str, flags: u32, timeout: Duration) -> Result<i32, ClientError> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let bytes = frame::encode(id, flags, text, self.ipc.max_msg_size() as usize)?;
        let deadline = Instant::now() + timeout;
        loop {
            match self.ipc.send(&[&bytes]) {
                Ok(()) => return Ok(id),
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// As [`send`](Self::send); no response in time; a response that is no message.
    pub fn call(&mut self, request: &Element, timeout: Duration) -> Result<Element, ClientError> {
        let id = self.send_text(&request.to_text(), flags::CLIENT_RESPONSE, timeout)?;
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = self.ipc.recv(&mut buffer, Some(left));
            let decoded = received.map(|()| frame::decode(&buffer));
            self.buffer = buffer;
            let Frame { id: answered, text, .. } = decoded??;
            // An answer to an earlier request that was given up.
            if answered < id {
                continue;
            }
            return Ok(xml::parse(&text)?);
        }
    }

    /// The next event, if one is there.
    ///
    /// # Errors
    /// The daemon went; an event that is no message.
    pub fn try_event(&mut self) -> Result<Option<Element>, ClientError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let received = self.ipc.try_event(&mut buffer);
        self.take(buffer, received)
    }

    /// Waits for the next event; `None` if there was none in time.
    ///
    /// # Errors
    /// As [`try_event`](Self::try_event).
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Element>, ClientError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let received = self.ipc.event(&mut buffer, Some(timeout));
        self.take(buffer, received)
    }

    fn take(
        &mut self,
        buffer: Vec<u8>,
        received: io::Result<bool>,
    ) -> Result<Option<Element>, ClientError> {
        let decoded = match received {
            Ok(true) => frame::decode(&buffer).map(Some),
            Ok(false) => Ok(None),
            Err(error) => {
                self.buffer = buffer;
                return Err(error.into());
            }
        };
        self.buffer = buffer;
        match decoded? {
            Some(frame) => Ok(Some(xml::parse(&frame.text)?)),
            None => Ok(None),
        }
    }
}

/// The buffer of connections that ask for nothing else: `PCMK_ipc_buffer`, or 128 KiB.
pub fn default_buffer() -> usize {
    let wish = std::env::var("PCMK_ipc_buffer").ok().and_then(|text| text.parse().ok());
    match wish {
        Some(0) | None => frame::DEFAULT_BUFFER,
        Some(size) => std::cmp::max(size, frame::MIN_BUFFER),
    }
}

/// The name tools and daemons show to servers: that of the program.
pub fn program_name() -> String {
    let name = std::env::args().next().unwrap_or_default();
    name.rsplit('/').next().unwrap_or("").to_owned()
}
