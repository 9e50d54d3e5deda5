//! The client: a connection to a daemon, ours or upstream's.
//!
//! Calls may block up to a timeout of the caller's; events are read without blocking when
//! [`Client::fd`] is readable. Errors are `io::Error`s that carry the errno upstream's library
//! would return, because its clients tell "again" from "gone" by them.
//!
//! Source: `spec/libqb-ipc.md` §4.1, §7, §12.

use super::address::{self, path_of};
use super::datagram::Datagrams;
use super::peer;
use super::ring::{Ring, RingError};
use super::server::Credentials;
use super::wire::{self, ConnectResponse};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::process::Pid;
use rustix::time::Timespec;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a server may take to let us in.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a wait for a response looks whether the server still lives.
const SLICE: Duration = Duration::from_millis(250);
/// So many events are taken before their wakeup bytes are, all in one call.
const OWED_MAX: usize = 64;

#[derive(Debug)]
enum Channels {
    Shm { request: Ring, response: Ring, event: Ring },
    Socket(Datagrams),
}

/// A connection to a service.
#[derive(Debug)]
pub struct Client {
    channels: Channels,
    stream: OwnedFd,
    server: Credentials,
    max_msg_size: u32,
    flow_control_max: u32,
    /// Set once the connection was found broken; it never mends.
    broken: bool,
    /// Events taken whose wakeup bytes still lie in the stream.
    owed: usize,
    /// The connection's files: the server's to remove, ours if it died before.
    files: Vec<PathBuf>,
}

fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

impl Client {
    /// Connects to a service by name. `max_msg_size` is the largest message wanted; the server
    /// has the last word, see [`max_msg_size`](Self::max_msg_size).
    pub fn connect(service: &str, max_msg_size: u32) -> io::Result<Client> {
        let dir = address::forced_socket_dir();
        let address = address::service_address(service, dir.as_deref())?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&stream, &address)?;
        sockopt::set_socket_passcred(&stream, true)?;
        let wanted = max_msg_size.max(wire::CONNECT_RESPONSE as u32);
        rustix::net::send(&stream, &wire::connect_request(wanted), SendFlags::NOSIGNAL)?;
        let answer = receive_answer(&stream)?;
        sockopt::set_socket_passcred(&stream, false)?;
        let answer = ConnectResponse::parse(&answer).map_err(io::Error::from_raw_os_error)?;
        let server = peer::credentials(&stream)?;
        let files = match answer.connection_type {
            1 => [&answer.request, &answer.response, &answer.event]
                .into_iter()
                .flat_map(|base| Ring::files(path_of(base)))
                .collect(),
            _ => vec![path_of(&answer.request).to_owned()],
        };
        let channels = match answer.connection_type {
            1 => Channels::Shm {
                request: Ring::open(path_of(&answer.request), true)?,
                response: Ring::open(path_of(&answer.response), false)?,
                event: Ring::open(path_of(&answer.event), false)?,
            },
            0 => {
                let control = super::shm::open_file(path_of(&answer.request))?;
                let max = answer.max_msg_size;
                Channels::Socket(Datagrams::client(&control, &answer.response, max)?)
            }
            2 | 3 => return Err(error(Errno::NOTSUP)),
            _ => return Err(error(Errno::INVAL)),
        };
        Ok(Client {
            channels,
            stream,
            server,
            max_msg_size: answer.max_msg_size,
            flow_control_max: 1,
            broken: false,
            owed: 0,
            files,
        })
    }

    /// The descriptor that becomes readable when an event came or the server went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.channels {
            Channels::Shm { .. } => self.stream.as_fd(),
            Channels::Socket(datagrams) => datagrams.events_fd(),
        }
    }

    /// The stream socket. With datagrams it is not [`fd`](Self::fd) and only tells, by becoming
    /// readable, that the server went; watch it, too, to learn that at once.
    pub fn liveness_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Who the server is.
    pub fn server(&self) -> Credentials {
        self.server
    }

    /// The largest message this connection carries.
    pub fn max_msg_size(&self) -> u32 {
        self.max_msg_size
    }

    /// Which flow-control words stop our requests: those from 1 to this. (CPG's multicasts obey
    /// 2, everything else 1.)
    pub fn set_flow_control_max(&mut self, word: u32) {
        self.flow_control_max = word;
    }

    /// Whether the server is still there.
    pub fn is_connected(&self) -> bool {
        !self.broken && !poll(&self.stream, PollFlags::RDHUP, Duration::ZERO).hung_up
    }

    fn gone(&mut self) -> io::Error {
        self.broken = true;
        error(Errno::NOTCONN)
    }

    /// Sends a request made of several parts. EAGAIN: no room, or the server asks to slow down.
    pub fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > self.max_msg_size as usize {
            return Err(error(Errno::MSGSIZE));
        }
        if self.broken {
            return Err(error(Errno::NOTCONN));
        }
        let (flow_control, attached) = match &self.channels {
            Channels::Shm { request, .. } => (
                request.flow_control().load(Ordering::Acquire),
                request.ref_count().load(Ordering::Acquire) == 2,
            ),
            Channels::Socket(d) => (d.flow_control().load(Ordering::Acquire), true),
        };
        if !attached {
            return Err(self.gone());
        }
        if flow_control > 0 && flow_control <= self.flow_control_max {
            return Err(error(Errno::AGAIN));
        }
        let sent = match &mut self.channels {
            Channels::Shm { request, .. } => request.write(parts),
            Channels::Socket(datagrams) => datagrams.send_request(parts),
        };
        match sent {
            Ok(()) => {}
            Err(RingError::Full) if self.is_connected() => return Err(error(Errno::AGAIN)),
            Err(RingError::TooBig) => return Err(error(Errno::MSGSIZE)),
            Err(RingError::Full | RingError::Corrupt) => return Err(self.gone()),
        }
        if matches!(self.channels, Channels::Shm { .. }) {
            self.send_wakeup()?;
        }
        Ok(())
    }

    /// One byte per request. It must get through: the request is in the ring already.
    fn send_wakeup(&mut self) -> io::Result<()> {
        loop {
            match rustix::net::send(&self.stream, &[0], SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => {
                    if poll(&self.stream, PollFlags::OUT, SLICE).hung_up {
                        return Err(self.gone());
                    }
                }
                Err(_) => return Err(self.gone()),
            }
        }
    }

    /// Waits for the next response and puts it into the buffer. `None` waits as long as the
    /// server lives. ETIMEDOUT: it did not come.
    pub fn recv(&mut self, response: &mut Vec<u8>, timeout: Option<Duration>) -> io::Result<()> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if self.broken {
                return Err(error(Errno::NOTCONN));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.unwrap_or(SLICE).min(SLICE);
            let got = match &mut self.channels {
                Channels::Shm { response: ring, .. } => ring.read_wait(response, slice),
                Channels::Socket(datagrams) => match datagrams.recv_response(response) {
                    Ok(false) => {
                        // The stream has only its end to tell, so waiting for both is right.
                        poll_two(datagrams.calls_fd(), self.stream.as_fd(), slice);
                        datagrams.recv_response(response)
                    }
                    got => got,
                },
            };
            match got {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(_) => return Err(self.gone()),
            }
            if !self.is_connected() {
                return Err(self.gone());
            }
            if left.is_some_and(|left| left <= slice) {
                return Err(error(Errno::TIMEDOUT));
            }
        }
    }

    /// Sends a request and waits for its response, as [`send`](Self::send) and
    /// [`recv`](Self::recv).
    pub fn call(
        &mut self,
        request: &[&[u8]],
        response: &mut Vec<u8>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.send(request)?;
        self.recv(response, timeout)
    }

    /// Takes the next event if there is one. ENOTCONN: the server is gone.
    pub fn try_event(&mut self, event: &mut Vec<u8>) -> io::Result<bool> {
        if self.broken {
            return Err(error(Errno::NOTCONN));
        }
        let got = match &mut self.channels {
            Channels::Shm { event: ring, .. } => match ring.read(event) {
                // What remains in the stream belongs to events that are still to come.
                Ok(false) if self.owed > 0 => {
                    self.take_wakeups();
                    Ok(false)
                }
                // A byte follows its event, so one that is there without an event is one too many.
                // Left alone it would keep us awake for ever.
                Ok(false) if has_byte(&self.stream) => match ring.read(event) {
                    Ok(false) => {
                        self.owed = 1;
                        self.take_wakeups();
                        Ok(false)
                    }
                    got => got,
                },
                got => got,
            },
            Channels::Socket(datagrams) => datagrams.recv_event(event),
        };
        match got {
            Ok(true) => {
                if matches!(self.channels, Channels::Shm { .. }) {
                    self.owed += 1;
                    if self.owed >= OWED_MAX {
                        self.take_wakeups();
                    }
                }
                Ok(true)
            }
            Ok(false) if self.is_connected() => Ok(false),
            Ok(false) | Err(_) => Err(self.gone()),
        }
    }

    /// Waits for the next event; `None` waits as long as the server lives. `Ok(false)`: none came.
    pub fn event(&mut self, event: &mut Vec<u8>, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if self.try_event(event)? {
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            poll_two(self.fd(), self.stream.as_fd(), left.unwrap_or(SLICE).min(SLICE));
        }
    }

    /// Waits until an event is there or the server is gone (true), or until the deadline.
    pub fn wait_readable(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        Ok(poll_two(self.fd(), self.stream.as_fd(), left.unwrap_or(SLICE)))
    }

    /// Takes the bytes of the events taken so far. A byte is sent after its event, so the last
    /// ones may be on their way still: they stay owed. Never more bytes are taken than events, so
    /// that the stream is readable as long as an event waits.
    fn take_wakeups(&mut self) {
        let mut bytes = [0u8; OWED_MAX];
        while self.owed > 0 {
            let wanted = self.owed.min(bytes.len());
            match rustix::net::recv(&self.stream, &mut bytes[..wanted], RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    self.broken = true;
                    return;
                }
                Ok((got, _)) => self.owed = self.owed.saturating_sub(got),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
    }
}

impl Client {
    /// Whether the server's process is gone for good. One that just closed the connection may be
    /// on its way out, so this is asked a few times.
    fn server_is_dead(&self) -> bool {
        if self.is_connected() {
            return false;
        }
        let pid = i32::try_from(self.server.pid).ok().and_then(Pid::from_raw);
        (0..4).any(|attempt| {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH))
        })
    }

    /// Removes what a dead server left of this connection.
    fn remove_files(&self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        if let Some(dir) = self.files.first().and_then(|file| file.parent()) {
            let _ = std::fs::remove_dir(dir);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.server_is_dead() {
            self.remove_files();
        }
        let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Both);
        if let Channels::Shm { request, response, event } = &self.channels {
            // libqb's clients do so, and servers only look for "2".
            for ring in [request, response, event] {
                ring.ref_count().store(0, Ordering::Release);
            }
        }
    }
}

pub(super) fn receive_answer(stream: &OwnedFd) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut answer = vec![0u8; wire::CONNECT_RESPONSE];
    let mut filled = 0;
    while filled < answer.len() {
        match rustix::net::recv(stream, &mut answer[filled..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(error(Errno::NOTCONN)),
            Ok((got, _)) => filled += got,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(error(Errno::TIMEDOUT));
                }
                poll(stream, PollFlags::IN, left);
            }
            Err(errno) => return Err(error(errno)),
        }
    }
    Ok(answer)
}

/// Whether a byte waits in a stream; its end does not count.
fn has_byte(stream: &OwnedFd) -> bool {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    matches!(rustix::net::recv(stream, &mut [0u8; 1], flags), Ok((1.., _)))
}

struct Polled {
    hung_up: bool,
}

fn timespec(timeout: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    }
}

/// Waits for a socket; an interrupted or failed wait counts as nothing happened.
fn poll(fd: impl AsFd, flags: PollFlags, timeout: Duration) -> Polled {
    let fd = fd.as_fd();
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    let done = rustix::event::poll(&mut fds, Some(&timespec(timeout)));
    let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR | PollFlags::NVAL;
    Polled { hung_up: done.is_ok() && fds[0].revents().intersects(gone) }
}

/// Waits for either of two sockets; whatever woke us, the caller looks at both.
fn poll_two(a: BorrowedFd<'_>, b: BorrowedFd<'_>, timeout: Duration) -> bool {
    let flags = PollFlags::IN;
    let mut fds = [PollFd::from_borrowed_fd(a, flags), PollFd::from_borrowed_fd(b, flags)];
    rustix::event::poll(&mut fds, Some(&timespec(timeout))).is_ok_and(|ready| ready > 0)
}
