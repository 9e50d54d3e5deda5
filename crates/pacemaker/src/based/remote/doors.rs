//! The sockets around the [`gate`](super::gate): listeners that open and close as the document
//! says, connections, and the processes that judge passwords.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use base::Time;
use base::log::Priority;
use pacemaker_client::account;
use pacemaker_client::remote::channel::Channel;
use pacemaker_client::remote::gnutls::{Credentials, Files, Session, Side};
use qb::mainloop::{Event, Interest, Loop, Token};
use xml::Element;

use super::gate::{Gate, Output, Verdict};
use super::login::Check;

/// Tokens from here on are ours.
pub const FIRST_TOKEN: u64 = 1000;
/// The two listeners, then two tokens for each connection: its socket and its judge.
const FIRST_CONN: u64 = FIRST_TOKEN + 2;
/// When a port cannot be listened on, it is tried again this much later.
const RETRY: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// Connections taken, and reads of one connection, before others have their turn.
const TURNS_MAX: usize = 16;

/// What happened to clients.
#[derive(Debug)]
pub enum Change {
    /// There is a new one.
    Came {
        /// Its connection.
        conn: u64,
        /// Its token.
        uuid: String,
        /// Its user.
        user: String,
    },
    /// One is gone.
    Went(u64),
}

/// What a port is wanted for, and whether it is listened on.
#[derive(Debug)]
struct Door {
    /// The attribute of `<cib>` that names the port.
    attribute: &'static str,
    is_tls: bool,
    /// The attribute's text, as last seen.
    wanted: Option<String>,
    listener: Option<TcpListener>,
    retry_at: Option<Time>,
    told: bool,
}

#[derive(Debug)]
struct Conn {
    channel: Channel,
    shaking: bool,
    interest: Interest,
}

/// All that belongs to remote access.
#[derive(Debug)]
pub struct Doors {
    gate: Gate,
    doors: [Door; 2],
    conns: BTreeMap<u64, Conn>,
    checks: BTreeMap<u64, Check>,
    /// Connections that may have more to read than their descriptor tells.
    again: BTreeSet<u64>,
    changes: Vec<Change>,
    next: u64,
    is_shut: bool,
}

fn may_enter(user: &str) -> bool {
    account::groups_of_user(user).iter().any(|group| group == account::DAEMON_GROUP)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What TLS is set up with: certificates if the host has them, else no names at all.
fn credentials() -> io::Result<Rc<Credentials>> {
    match Files::from_environment("PCMK", variable) {
        Some(files) => Credentials::certificate(&files),
        None => {
            let bits = variable("PCMK_dh_min_bits").and_then(|text| text.parse().ok());
            Credentials::anonymous_server(bits.unwrap_or(0))
        }
    }
}

impl Default for Doors {
    fn default() -> Doors {
        let door = |attribute, is_tls| Door {
            attribute,
            is_tls,
            wanted: None,
            listener: None,
            retry_at: None,
            told: false,
        };
        Doors {
            gate: Gate::new(may_enter),
            doors: [door("remote-tls-port", true), door("remote-clear-port", false)],
            conns: BTreeMap::new(),
            checks: BTreeMap::new(),
            again: BTreeSet::new(),
            changes: Vec::new(),
            next: 0,
            is_shut: false,
        }
    }
}

impl Doors {
    /// Opens and closes ports as the document says.
    pub fn follow(&mut self, lp: &Loop, now: Time, document: &Element) {
        if self.is_shut {
            return;
        }
        for (at, door) in self.doors.iter_mut().enumerate() {
            let wanted = document.get(door.attribute).filter(|text| !text.is_empty());
            let is_new = wanted != door.wanted.as_deref();
            let is_due = door.retry_at.is_some_and(|at| at <= now);
            if !is_new && !is_due {
                continue;
            }
            if is_new {
                door.close(lp);
                door.told = false;
                door.wanted = wanted.map(str::to_owned);
            }
            door.retry_at = None;
            if let Some(text) = &door.wanted {
                match open(text, door.is_tls) {
                    Ok(listener) => {
                        let token = Token(FIRST_TOKEN + at as u64);
                        match lp.add(&listener, token, Interest::READ) {
                            Ok(()) => door.listener = Some(listener),
                            Err(error) => door.failed(now, &error),
                        }
                    }
                    Err(error) => door.failed(now, &error),
                }
            }
        }
    }

    /// Nobody is let in any more, whatever the document says.
    pub fn shut(&mut self, lp: &Loop) {
        self.is_shut = true;
        for door in &mut self.doors {
            door.close(lp);
            door.retry_at = None;
        }
    }

    /// When [`timed_out`](Self::timed_out) is to be called.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        let more = self.again.iter().any(|number| self.gate.wants_bytes(*number));
        let again = (more || self.gate.has_request()).then_some(now);
        let doors = self.doors.iter().filter_map(|door| door.retry_at);
        self.gate.next_deadline().into_iter().chain(again).chain(doors).min()
    }

    /// What time brings: strangers who took too long, and reading on where others had a turn.
    pub fn timed_out(&mut self, lp: &Loop, now: Time) {
        self.gate.timed_out(now);
        let more: Vec<u64> =
            self.again.iter().copied().filter(|number| self.gate.wants_bytes(*number)).collect();
        for number in more {
            self.again.remove(&number);
            self.go_on(now, number);
        }
        self.settle(lp, now);
    }

    /// Something happened on a descriptor of ours.
    pub fn on_event(&mut self, lp: &Loop, now: Time, event: &Event) {
        let Some(ours) = event.token.0.checked_sub(FIRST_TOKEN) else { return };
        match ours {
            0 | 1 => self.accept(lp, now, ours as usize),
            _ => {
                let (number, is_check) = ((ours - 2) / 2, ours % 2 == 1);
                let is_deaf = self.conns.get(&number).is_some_and(|conn| !conn.interest.read);
                if is_check {
                    self.on_check(lp, now, number);
                } else if is_deaf && (event.hangup || event.error) {
                    // This is told whatever is waited for, again and again: the end of who is not
                    // read from right now must not be left for later.
                    self.gate.lost(now, number);
                } else {
                    self.go_on(now, number);
                }
            }
        }
        self.settle(lp, now);
    }

    /// The next request of a client.
    pub fn next_request(&mut self) -> Option<(u64, Element)> {
        self.gate.next_request()
    }

    /// What happened to clients since the last call.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Sends something to a client; [`settle`](Self::settle) comes after.
    pub fn send(&mut self, conn: u64, message: &Element) {
        self.gate.send(conn, message);
    }

    /// Sends a client away.
    pub fn disconnect(&mut self, conn: u64) {
        self.gate.close(conn);
    }

    fn accept(&mut self, lp: &Loop, now: Time, at: usize) {
        for _ in 0..TURNS_MAX {
            let Some(door) = self.doors.get_mut(at) else { return };
            let Some(listener) = &door.listener else { return };
            let (stream, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    // No descriptors left: trying again at once would only spin.
                    _ => {
                        door.close(lp);
                        return door.failed(now, &error);
                    }
                },
            };
            let is_tls = door.is_tls;
            let number = self.next;
            self.next += 1;
            if !self.gate.accept(now, number, crate::service::uuid(), address.ip()) {
                continue;
            }
            let token = Token(FIRST_CONN + 2 * number);
            let made = channel(stream, is_tls)
                .and_then(|channel| lp.add(&channel, token, Interest::READ).map(|()| channel));
            match made {
                Ok(channel) => {
                    let conn = Conn { channel, shaking: is_tls, interest: Interest::READ };
                    self.conns.insert(number, conn);
                }
                Err(error) => self.gate.failed(now, number, &error.to_string()),
            }
        }
    }

    fn on_check(&mut self, lp: &Loop, now: Time, number: u64) {
        let Some(check) = self.checks.get_mut(&number) else { return };
        let Some((verdict, words)) = check.verdict() else { return };
        if verdict != Verdict::Right && !words.is_empty() {
            base::error!("PAM: {words}");
        }
        if let Some(check) = self.checks.remove(&number) {
            // Closing the descriptor with the value would do as well.
            let _ = lp.remove(check.watch());
        }
        self.gate.checked(now, number, verdict);
    }

    /// Goes on with a connection's handshake, or reads.
    fn go_on(&mut self, now: Time, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        if conn.shaking {
            match conn.channel.handshake() {
                Ok(()) => conn.shaking = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.gate.failed(now, number, &error.to_string()),
            }
        }
        let mut buffer = vec![0; CHUNK];
        for _ in 0..TURNS_MAX {
            if !self.gate.wants_bytes(number) {
                break;
            }
            match conn.channel.read(&mut buffer) {
                Ok(0) => return self.gate.lost(now, number),
                Ok(n) => self.gate.bytes(now, number, buffer.get(..n).unwrap_or(&[])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.gate.failed(now, number, &error.to_string()),
            }
        }
        // What TLS read ahead does not make the descriptor readable.
        self.again.insert(number);
    }

    /// Does what the gate wants, writes what there is to write, and waits for the right things.
    pub fn settle(&mut self, lp: &Loop, now: Time) {
        let numbers: Vec<u64> = self.conns.keys().copied().collect();
        for number in &numbers {
            self.write(now, *number);
        }
        while let Some(output) = self.gate.poll_output() {
            match output {
                Output::Check { conn, user, password } => {
                    let started = Check::start(&user, password.reveal()).and_then(|check| {
                        lp.add(check.watch(), Token(FIRST_CONN + 2 * conn + 1), Interest::READ)?;
                        Ok(check)
                    });
                    match started {
                        Ok(check) => {
                            self.checks.insert(conn, check);
                        }
                        Err(error) => {
                            base::error!("Cannot judge a password: {error}");
                            self.gate.checked(now, conn, Verdict::Unable);
                        }
                    }
                }
                Output::Admitted { conn, uuid, user } => {
                    self.changes.push(Change::Came { conn, uuid, user });
                    self.write(now, conn);
                }
                Output::Close { conn, was_client } => {
                    self.checks.remove(&conn);
                    self.again.remove(&conn);
                    if let Some(mut closed) = self.conns.remove(&conn) {
                        closed.channel.bye();
                    }
                    if was_client {
                        self.changes.push(Change::Went(conn));
                    }
                }
                Output::Note(priority, text) => base::log!(priority, "{text}"),
            }
        }
        for number in numbers {
            self.watch(lp, number);
        }
    }

    fn write(&mut self, now: Time, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        if conn.shaking {
            return;
        }
        while let Some(bytes) = self.gate.to_write(number) {
            match conn.channel.write(bytes) {
                Ok(0) => break,
                Ok(n) => self.gate.wrote(number, n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return self.gate.failed(now, number, &error.to_string()),
            }
        }
    }

    fn watch(&mut self, lp: &Loop, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        let wish = if conn.shaking {
            let write = conn.channel.wants_write();
            Interest { read: !write, write }
        } else {
            Interest {
                read: self.gate.wants_bytes(number),
                write: self.gate.to_write(number).is_some(),
            }
        };
        if wish != conn.interest {
            match lp.modify(&conn.channel, Token(FIRST_CONN + 2 * number), wish) {
                Ok(()) => conn.interest = wish,
                Err(error) => base::error!("Cannot watch a remote CIB client: {error}"),
            }
        }
    }
}

impl Door {
    fn close(&mut self, lp: &Loop) {
        if let Some(listener) = self.listener.take() {
            base::notice!("Closing the listener of {}", self.attribute);
            // Closing the descriptor would do as well.
            let _ = lp.remove(&listener);
        }
    }

    fn failed(&mut self, now: Time, error: &io::Error) {
        self.listener = None;
        self.retry_at = Some(now + RETRY);
        let priority = if self.told { Priority::Debug } else { Priority::Error };
        self.told = true;
        let port = self.wanted.as_deref().unwrap_or("");
        base::log!(priority, "Cannot listen on {} {port}: {error}", self.attribute);
    }
}

fn open(port: &str, is_tls: bool) -> io::Result<TcpListener> {
    let number: Option<u16> = port.trim().parse().ok().filter(|number| *number != 0);
    let number = number.ok_or_else(|| io::Error::other("this is no port"))?;
    if is_tls {
        // What TLS needs is missed before anybody connects.
        credentials()?;
        base::notice!("Starting TLS listener on port {number}");
    } else {
        base::warning!("Starting plain-text listener on port {number}");
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn channel(stream: TcpStream, is_tls: bool) -> io::Result<Channel> {
    stream.set_nodelay(true)?;
    // Peers that vanished are noticed, so that they do not count for ever.
    rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(&stream, Duration::from_secs(60))?;
    if is_tls {
        Ok(Channel::Tls(Session::new(Side::Server, stream, &credentials()?)?))
    } else {
        Channel::clear(stream)
    }
}
