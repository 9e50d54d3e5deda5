//! The server: one descriptor in the daemon's loop, however many clients there are.
//!
//! A [`Server`] has an epoll descriptor of its own in which the listening socket, the clients and
//! a retry timer live; [`Server::fd`] is that descriptor. When it is readable, call
//! [`Server::next`] until it gives `None`. It hands out one thing at a time, so the daemon can
//! answer, send events or disconnect anybody in between, and nothing is copied twice.
//!
//! Nothing here blocks. One pass takes at most [`REQUESTS_PER_TURN`] requests of a client, so no
//! client starves the others.
//!
//! Source: `spec/libqb-ipc.md` §3–§8.

mod pass;
mod types;

pub use types::{ConnId, Credentials, ServerConfig, ServerEvent, Transport};

use pass::Took;

use super::address;
use super::conn::{Channel, ConnStats, FileOwner, Open};
use super::ring::RingError;
use super::wire;
use crate::mainloop::{Event, Interest, Loop, Token};
use base::log::Priority;
use rustix::event::EventfdFlags;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::time::{TimerfdClockId, TimerfdFlags};
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// As many as a client's socket has room for bytes, about.
const REQUESTS_PER_TURN: usize = 256;
/// Clients of one user that may be in their handshake; the oldest makes room for one more.
const HANDSHAKES_MAX: usize = 128;
/// How soon a message that found no room is tried again, while that helps …
const RETRY_MIN_NANOS: i64 = 100_000;
/// … and when the client turns out to be asleep.
const RETRY_MAX_NANOS: i64 = 5_000_000;

const LISTENER: u64 = 0;
const TIMER: u64 = 1;
const KICK: u64 = 2;
/// Tokens from here: connection id × 2, +1 for its request socket.
const FIRST_CONN: u64 = 2;

#[derive(Debug)]
enum State {
    /// The 24 bytes of the request, as far as they came.
    Handshake(Vec<u8>),
    /// Waiting for the daemon's decision, with the message limit asked for.
    Asking(u32),
    Open(Box<Open>),
}

#[derive(Debug)]
struct Conn {
    stream: OwnedFd,
    credentials: Credentials,
    state: State,
    interest: Interest,
    /// Requests it may still bring in this pass.
    turn: usize,
    /// Its stream ended; requests it left behind are still taken.
    hung_up: bool,
}

/// A service and its clients.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    epoll: Loop,
    listener: OwnedFd,
    timer: OwnedFd,
    /// The delay the timer is running with; 0 when it is not.
    retry_nanos: i64,
    kick: OwnedFd,
    /// Given up for a moment when there are no more descriptors.
    reserve: Option<OwnedFd>,
    conns: BTreeMap<u64, Conn>,
    next_id: u64,
    ready: VecDeque<u64>,
    outbox: VecDeque<ServerEvent>,
    events: Vec<Event>,
    in_pass: bool,
    closed: u64,
    /// Wakeups are put off until [`pay_wakeups`](Server::pay_wakeups).
    puts_off: bool,
    debtors: Vec<u64>,
}

impl Server {
    /// Listens under the service's name.
    pub fn bind(config: ServerConfig) -> io::Result<Server> {
        let dir = config.socket_dir.as_deref();
        if let Some(dir) = dir.filter(|dir| !dir.is_dir()) {
            base::log!(Priority::Crit, sub: "QB", "Required directory not present {}", dir.display());
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let address = address::service_address(&config.name, dir)?;
        if let Some(dir) = dir {
            // A stale socket of a predecessor; anything else makes bind fail.
            let _ = std::fs::remove_file(dir.join(&config.name));
        }
        rustix::net::bind(&listener, &address)?;
        if let Some(dir) = dir {
            let mode = rustix::fs::Mode::from_raw_mode(0o777);
            rustix::fs::chmod(dir.join(&config.name), mode)?;
        }
        // The kernel then attaches the sender's credentials, which upstream's clients read.
        sockopt::set_socket_passcred(&listener, true)?;
        rustix::net::listen(&listener, 128)?;
        base::log!(Priority::Info, sub: "QB", "server name: {}", config.name);
        let timer_flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, timer_flags)?;
        let kick = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = Loop::new()?;
        epoll.add(&listener, Token(LISTENER), Interest::READ)?;
        epoll.add(&timer, Token(TIMER), Interest::READ)?;
        epoll.add(&kick, Token(KICK), Interest::READ)?;
        Ok(Server {
            config,
            epoll,
            listener,
            timer,
            retry_nanos: 0,
            kick,
            reserve: reserve_descriptor(),
            conns: BTreeMap::new(),
            next_id: FIRST_CONN,
            ready: VecDeque::new(),
            outbox: VecDeque::new(),
            events: Vec::new(),
            in_pass: false,
            closed: 0,
            puts_off: false,
            debtors: Vec::new(),
        })
    }

    /// The descriptor to watch for reading. Level-triggered: readable as long as there is work.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The next thing that happened; `None` ends the pass. A request's bytes replace the content
    /// of `request`, which is otherwise left alone (pass the same buffer always).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, request: &mut Vec<u8>) -> Option<ServerEvent> {
        if !self.in_pass {
            self.in_pass = true;
            self.poll();
        }
        loop {
            if let Some(event) = self.outbox.pop_front() {
                return Some(event);
            }
            let Some(id) = self.ready.front().copied() else {
                self.in_pass = false;
                self.settle();
                return None;
            };
            match self.take_request(id, request) {
                Took::Request => return Some(ServerEvent::Request { conn: ConnId(id) }),
                Took::Nothing => {
                    self.ready.pop_front();
                }
                Took::End => {
                    self.ready.pop_front();
                    self.end(id);
                }
            }
        }
    }

    /// Ends the pass early. What is left makes [`fd`](Self::fd) readable again.
    pub fn break_off(&mut self) {
        self.in_pass = false;
        self.settle();
    }

    /// Lets a client in; its files belong to it alone.
    pub fn accept(&mut self, conn: ConnId) {
        if let Some(owner) = self.conns.get(&conn.0).map(|conn| FileOwner::client(conn.credentials))
        {
            self.accept_as(conn, owner);
        }
    }

    /// Lets a client in, with files of another owner or mode. (Pacemaker's daemons give them to
    /// the cluster's group, mode 0660.)
    pub fn accept_as(&mut self, conn: ConnId, owner: FileOwner) {
        let Some(client) = self.conns.get_mut(&conn.0) else { return };
        let State::Asking(wanted) = client.state else { return };
        let max = wanted.max(self.config.min_msg_size).min(self.config.max_msg_size);
        let made = Open::create(
            self.config.transport,
            &self.config.name,
            client.stream.as_raw_fd(),
            max,
            client.credentials,
            &owner,
            conn.0,
            self.config.queued_bytes_max,
        );
        let watched = made.and_then(|(open, answer)| match open.datagrams() {
            Some(datagrams) => {
                let token = Token(conn.0 * 2 + 1);
                match self.epoll.add(datagrams.calls_fd(), token, Interest::READ) {
                    Ok(()) => Ok((open, answer)),
                    Err(_) => Err(Errno::NOMEM),
                }
            }
            None => Ok((open, answer)),
        });
        let (open, answer) = match watched {
            Ok(made) => made,
            Err(error) => {
                self.reject(conn, error.raw_os_error());
                // The daemon believes it is in.
                self.outbox.push_back(ServerEvent::Disconnect { conn });
                return self.kick();
            }
        };
        let description = open.description();
        client.state = State::Open(Box::new(open));
        // One send: the client reads once. 12 kB always fit into an empty socket buffer.
        let sent = rustix::net::send(&client.stream, &answer, SendFlags::NOSIGNAL);
        if sent != Ok(answer.len()) {
            return self.end(conn.0);
        }
        base::log!(Priority::Debug, sub: "QB", "IPC credentials authenticated ({description})");
        // Requests may already be there.
        self.wake(conn.0);
    }

    /// Sends a client away with an errno (`libc::EACCES`, `libc::EAGAIN`, …).
    pub fn reject(&mut self, conn: ConnId, errno: i32) {
        let Some(client) = self.conns.get(&conn.0) else { return };
        if !matches!(client.state, State::Asking(_)) {
            return;
        }
        let pid = client.credentials.pid;
        match errno {
            libc::EACCES => {
                base::log!(Priority::Error, sub: "QB", "Invalid IPC credentials (process {pid}).");
            }
            libc::EAGAIN => base::log!(
                Priority::Warning, sub: "QB", "Denied connection, is not ready (process {pid})"
            ),
            _ => base::log!(
                Priority::Error, sub: "QB", "Error in connection setup (process {pid}): {} ({errno})",
                Errno::from_raw_os_error(errno)
            ),
        }
        let answer = wire::connect_denial(errno);
        // A client that is gone needs no answer.
        let _ = rustix::net::send(&client.stream, &answer, SendFlags::NOSIGNAL);
        self.conns.remove(&conn.0);
    }

    /// Answers a request. False: the client is gone or the answer larger than it can take.
    pub fn respond(&mut self, conn: ConnId, response: &[u8]) -> bool {
        self.send(conn, Channel::Response, &[response])
    }

    /// As [`respond`](Self::respond), of several parts that make one message.
    pub fn respond_parts(&mut self, conn: ConnId, parts: &[&[u8]]) -> bool {
        self.send(conn, Channel::Response, parts)
    }

    /// Sends an event. It waits in a queue when the client is slow; when that is full
    /// ([`ServerConfig::queued_bytes_max`]) the connection ends. False as for
    /// [`respond`](Self::respond).
    pub fn event(&mut self, conn: ConnId, event: &[u8]) -> bool {
        self.send(conn, Channel::Event, &[event])
    }

    /// As [`event`](Self::event), of several parts that make one message.
    pub fn event_parts(&mut self, conn: ConnId, parts: &[&[u8]]) -> bool {
        self.send(conn, Channel::Event, parts)
    }

    /// From now on events wake their clients only at [`pay_wakeups`](Self::pay_wakeups): for
    /// servers that send many in a row.
    pub fn put_off_wakeups(&mut self) {
        self.puts_off = true;
    }

    /// Wakes the clients of all events since [`put_off_wakeups`](Self::put_off_wakeups), which
    /// ends here.
    pub fn pay_wakeups(&mut self) {
        self.puts_off = false;
        for id in std::mem::take(&mut self.debtors) {
            let Some(client) = self.conns.get_mut(&id) else { continue };
            let State::Open(open) = &mut client.state else { continue };
            open.pays_later = false;
            if open.pay_bytes(&client.stream).is_err() {
                self.end(id);
            } else if open.bytes_owed > 0 {
                self.update_interest(id);
            }
        }
    }

    /// Ends a connection. The [`ServerEvent::Disconnect`] comes as for any other end.
    pub fn disconnect(&mut self, conn: ConnId) {
        self.end(conn.0);
        self.kick();
    }

    /// Sets the flow-control word: 0 lets requests flow, 1 stops them all, 2 stops CPG's
    /// multicasts. While it is not 0, the client's requests are not taken.
    pub fn set_flow_control(&mut self, conn: ConnId, word: u32) {
        let Some(client) = self.conns.get_mut(&conn.0) else { return };
        let State::Open(open) = &mut client.state else { return };
        open.is_soft = false;
        let before = open.set_flow_control(word);
        if before != 0 && word == 0 {
            self.wake(conn.0);
        }
        self.update_interest(conn.0);
    }

    /// Sets the flow-control word for the client to see; its requests are taken all the same. For
    /// clients that should send no more but must be able to ask.
    pub fn advise_flow_control(&mut self, conn: ConnId, word: u32) {
        let Some(client) = self.conns.get_mut(&conn.0) else { return };
        let State::Open(open) = &mut client.state else { return };
        if open.stats.flow_control_state == 0 {
            open.is_soft = true;
            open.set_flow_control(word);
        }
    }

    /// Events that wait for a slow client.
    pub fn queued(&self, conn: ConnId) -> usize {
        self.stats(conn).map_or(0, |stats| stats.queued)
    }

    /// What those events take, in bytes.
    pub fn queued_bytes(&self, conn: ConnId) -> usize {
        self.stats(conn).map_or(0, |stats| stats.queued_bytes)
    }

    /// A connection's statistics.
    pub fn stats(&self, conn: ConnId) -> Option<ConnStats> {
        self.open(conn).map(Open::stats)
    }

    /// Who a client is.
    pub fn credentials(&self, conn: ConnId) -> Option<Credentials> {
        self.conns.get(&conn.0).map(|conn| conn.credentials)
    }

    /// The largest message a connection carries.
    pub fn max_msg_size(&self, conn: ConnId) -> Option<u32> {
        self.open(conn).map(|open| open.max_msg_size)
    }

    /// The accepted connections, oldest first.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.conns
            .iter()
            .filter(|(_, conn)| matches!(conn.state, State::Open(_)))
            .map(|(id, _)| ConnId(*id))
    }

    /// Accepted connections that ended so far.
    pub fn closed_connections(&self) -> u64 {
        self.closed
    }

    fn open(&self, conn: ConnId) -> Option<&Open> {
        match &self.conns.get(&conn.0)?.state {
            State::Open(open) => Some(open),
            State::Handshake(_) | State::Asking(_) => None,
        }
    }

    fn send(&mut self, conn: ConnId, channel: Channel, parts: &[&[u8]]) -> bool {
        let Some(client) = self.conns.get_mut(&conn.0) else { return false };
        let State::Open(open) = &mut client.state else { return false };
        open.pays_later = self.puts_off;
        let debt = open.bytes_owed;
        match open.send(channel, parts, &client.stream) {
            Ok(()) if self.puts_off && channel == Channel::Event => {
                if debt == 0 && open.bytes_owed > 0 {
                    self.debtors.push(conn.0);
                }
                if self.retry_nanos == 0 && open.has_backlog() {
                    self.set_timer(RETRY_MIN_NANOS);
                }
                true
            }
            Ok(()) => {
                // What cannot go now goes by the timer or when the socket has room; both are
                // rare, so the common case costs one comparison.
                if self.retry_nanos == 0 && open.has_backlog() {
                    self.set_timer(RETRY_MIN_NANOS);
                }
                if self.conns.get(&conn.0).is_some_and(Conn::wants_change) {
                    self.update_interest(conn.0);
                }
                true
            }
            Err(RingError::TooBig) => {
                let size: usize = parts.iter().map(|part| part.len()).sum();
                base::log!(
                    Priority::Error, sub: "QB",
                    "a message of {size} bytes is too big for its connection ({})", open.description()
                );
                false
            }
            Err(error) => {
                if error == RingError::Full {
                    let stats = open.stats();
                    base::log!(
                        Priority::Error, sub: "QB",
                        "a client does not read: {} events ({} bytes) wait for it; it is \
                         disconnected ({})",
                        stats.queued, stats.queued_bytes, open.description()
                    );
                }
                self.disconnect(conn);
                false
            }
        }
    }
}

impl Conn {
    /// Whether epoll may have to be told something else.
    fn wants_change(&self) -> bool {
        self.wants_write() || matches!(&self.state, State::Open(open) if open.is_stopped())
    }

    fn wants_write(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.bytes_owed > 0)
    }
}

fn reserve_descriptor() -> Option<OwnedFd> {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC).ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(dir) = &self.config.socket_dir {
            let _ = std::fs::remove_file(dir.join(&self.config.name));
        }
    }
}
