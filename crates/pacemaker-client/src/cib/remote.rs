//! The connection to a CIB manager on another host, over `remote-tls-port` or
//! `remote-clear-port`.
//!
//! Upstream's library logs in twice and keeps one connection for requests that wait for their
//! answer and one for all others. The server does not care, so there is only one here.
//!
//! Source: `spec/pacemaker-ipc.md` §4.8, `spec/cli-pacemaker.md` §4 (variables).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use qb::mainloop::{Interest, Loop, Token};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use xml::Element;

use super::calls::Calls;
use crate::client::ClientError;
use crate::remote::channel::Channel;
use crate::remote::frame::{Decoder, HEADER_LEN, encode};
use crate::remote::gnutls::{Credentials, Files, Session, Side};

/// How long one address of the server may take to answer at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may take to agree on TLS and to look at the password (which systems delay
/// on purpose when it is wrong).
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// A password, which no log and no error message ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Keeps a password.
    pub fn new(text: impl Into<String>) -> Password {
        Password(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("*****")
    }
}

/// Which manager to speak to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host's name or address.
    pub host: String,
    /// The port; `None` if what was given is none.
    pub port: Option<u16>,
    /// The user to log in as.
    pub user: String,
    /// Its password; to be asked for if nobody gave it.
    pub password: Option<Password>,
    /// Whether the port is one for TLS.
    pub encrypted: bool,
    /// Certificates, if they are used.
    pub files: Option<Files>,
}

impl Target {
    /// What the variables `CIB_port`, `CIB_server`, … say: `None` without `CIB_port`, which alone
    /// turns this on.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Option<Target> {
        let port = get("CIB_port")?;
        let filled = |name: &str| get(name).filter(|value| !value.is_empty());
        let off = |value: &str| {
            ["false", "off", "no", "n", "0"].iter().any(|word| value.eq_ignore_ascii_case(word))
        };
        Some(Target {
            host: filled("CIB_server").unwrap_or_else(|| "localhost".to_owned()),
            port: port.parse().ok().filter(|port| *port != 0),
            user: filled("CIB_user").unwrap_or_else(|| crate::account::DAEMON_USER.to_owned()),
            password: filled("CIB_passwd").map(Password::new),
            encrypted: !get("CIB_encrypted").is_some_and(|value| off(&value)),
            files: Files::from_environment("CIB", &get),
        })
    }
}

/// A connection that is logged in.
#[derive(Debug)]
pub struct Remote {
    channel: Channel,
    decoder: Decoder,
    inbox: VecDeque<Element>,
    sent: u64,
    connected: bool,
    /// Readable when the socket is or the bell rings.
    watch: Loop,
    /// Rings while messages wait that came while an answer was waited for.
    bell: OwnedFd,
}

impl Remote {
    /// Connects and logs in. `name` is what the server is told that the client is called.
    ///
    /// # Errors
    /// `ENOTCONN` if nobody answers, `EPERM` if TLS fails, a protocol error if the login is
    /// refused, as upstream has it.
    pub fn connect(target: &Target, name: &str) -> Result<(Remote, Calls), ClientError> {
        let stream = dial(target).map_err(|_| ClientError::Rc(cib::Rc::ENOTCONN))?;
        // Answers of one line should not wait for more.
        stream.set_nodelay(true)?;
        let channel = if target.encrypted {
            let credentials = match &target.files {
                Some(files) => Credentials::certificate(files),
                None => Credentials::anonymous_client(),
            };
            Channel::Tls(Session::new(Side::Client, stream, &credentials?)?)
        } else {
            Channel::clear(stream)?
        };
        let watch = Loop::new()?;
        let bell =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
        watch.add(&channel, Token(0), Interest::READ)?;
        watch.add(&bell, Token(1), Interest::READ)?;
        let mut remote = Remote {
            channel,
            decoder: Decoder::trusting(),
            inbox: VecDeque::new(),
            sent: 0,
            connected: true,
            watch,
            bell,
        };
        let deadline = Instant::now() + LOGIN_TIMEOUT;
        remote.handshake(deadline)?;
        let calls = remote.log_in(target, deadline)?.named(name);
        Ok((remote, calls))
    }

    fn handshake(&mut self, deadline: Instant) -> Result<(), ClientError> {
        loop {
            match self.channel.handshake() {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let flags =
                        if self.channel.wants_write() { PollFlags::OUT } else { PollFlags::IN };
                    self.wait(flags, deadline)?;
                }
                Err(error) => {
                    base::error!("No secure connection: {error}");
                    return Err(ClientError::Rc(cib::Rc::EPERM));
                }
            }
        }
    }

    fn log_in(&mut self, target: &Target, deadline: Instant) -> Result<Calls, ClientError> {
        let password = target.password.as_ref().map_or("", Password::reveal);
        let login = Element::new("cib_command")
            .with("op", "authenticate")
            .with("user", target.user.as_str())
            .with("password", password)
            .with("hidden", "password");
        let refused = || ClientError::Protocol("the login is refused".to_owned());
        self.send(&login, deadline)?;
        let answer = match self.receive(deadline) {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(ClientError::Rc(cib::Rc::ETIME)),
            // Upstream's server says no by hanging up.
            Err(ClientError::Io(_)) => return Err(refused()),
            Err(error) => return Err(error),
        };
        Calls::registered(&answer).ok_or_else(refused)
    }

    /// Readable when a message waits or the server went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Whether the server is still there, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Sends a message. What comes meanwhile is taken in, so that neither waits for the other.
    ///
    /// # Errors
    /// The server went, or takes nothing until the deadline.
    pub fn send(&mut self, message: &Element, deadline: Instant) -> Result<(), ClientError> {
        self.sent += 1;
        let bytes = encode(self.sent, &message.to_text());
        let (header, body) = bytes.split_at_checked(HEADER_LEN).unwrap_or((&bytes, &[]));
        self.write_all(header, deadline)?;
        self.write_all(body, deadline)
    }

    fn write_all(&mut self, mut rest: &[u8], deadline: Instant) -> Result<(), ClientError> {
        while !rest.is_empty() {
            match self.channel.write(rest) {
                Ok(0) => return Err(self.lost(io::ErrorKind::WriteZero.into())),
                Ok(n) => rest = rest.get(n..).unwrap_or(&[]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT | PollFlags::IN, deadline)?;
                    self.take_in()?;
                }
                Err(error) => return Err(self.lost(error)),
            }
        }
        Ok(())
    }

    /// Waits for a call's reply; other messages are kept for [`try_next`](Self::try_next).
    ///
    /// # Errors
    /// The server went; nothing came in time; what came is no message.
    pub fn wait_for_reply(&mut self, call: u32, deadline: Instant) -> Result<Element, ClientError> {
        let call = call.to_string();
        let is_it = |message: &Element| {
            message.get("t") == Some("cib") && message.get("cib_callid") == Some(call.as_str())
        };
        loop {
            if let Some(at) = self.inbox.iter().position(is_it)
                && let Some(found) = self.inbox.remove(at)
            {
                self.ring();
                return Ok(found);
            }
            if !self.connected {
                return Err(gone());
            }
            self.wait(PollFlags::IN, deadline)?;
            self.take_in()?;
        }
    }

    /// The next message that is there.
    ///
    /// # Errors
    /// The server went; what came is no message.
    pub fn try_next(&mut self) -> Result<Option<Element>, ClientError> {
        if self.inbox.is_empty() {
            self.take_in()?;
        }
        let next = self.inbox.pop_front();
        self.ring();
        Ok(next)
    }

    /// Waits for the next message; `None` if there is none in time.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn receive(&mut self, deadline: Instant) -> Result<Option<Element>, ClientError> {
        loop {
            if let Some(next) = self.try_next()? {
                return Ok(Some(next));
            }
            match self.wait(PollFlags::IN, deadline) {
                Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(None);
                }
                other => other?,
            }
        }
    }

    /// Reads what is there. The end of the connection is an error only when nothing is left to
    /// be handed out.
    fn take_in(&mut self) -> Result<(), ClientError> {
        let mut buffer = vec![0; CHUNK];
        let end = loop {
            match self.channel.read(&mut buffer) {
                Ok(0) => break Some(gone()),
                Ok(n) => self.decoder.push(buffer.get(..n).unwrap_or(&[])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) => break Some(ClientError::Io(error)),
            }
            loop {
                match self.decoder.next() {
                    Ok(Some(text)) => self.inbox.push_back(xml::parse(&text)?),
                    Ok(None) => break,
                    Err(error) => {
                        self.connected = false;
                        return Err(ClientError::Protocol(error.to_string()));
                    }
                }
            }
        };
        match end {
            Some(error) => {
                self.connected = false;
                if self.inbox.is_empty() { Err(error) } else { Ok(()) }
            }
            None => Ok(()),
        }
    }

    fn lost(&mut self, error: io::Error) -> ClientError {
        self.connected = false;
        ClientError::Io(error)
    }

    /// Has the bell ring exactly while messages wait.
    fn ring(&self) {
        // Both fail only by having nothing to change.
        if self.inbox.is_empty() {
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        } else {
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    fn wait(&self, flags: PollFlags, deadline: Instant) -> Result<(), ClientError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClientError::Io(Errno::TIMEDOUT.into()));
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.channel, flags)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(ClientError::Io(error.into())),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.channel.bye();
    }
}

fn gone() -> ClientError {
    ClientError::Io(Errno::CONNRESET.into())
}

/// The first of the host's addresses that answers.
fn dial(target: &Target) -> io::Result<TcpStream> {
    let port = target.port.ok_or(io::ErrorKind::InvalidInput)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (target.host.as_str(), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
