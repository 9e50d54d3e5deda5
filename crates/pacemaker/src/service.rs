//! A daemon's IPC endpoint as Pacemaker's clients know it: framing, who the client is, what it
//! may do, acknowledgements, and the eviction of clients that do not read.
//!
//! A [`Service`] is one descriptor in the daemon's loop. When it is readable, call
//! [`Service::next`] until it gives `None`; answer with [`respond`](Service::respond) (on the
//! response channel, to a request with [`wants_response`](Request::wants_response)) or
//! [`event`](Service::event).
//!
//! Source: `spec/pacemaker-ipc.md` §1–§3, §3A.1.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::BorrowedFd;

use pacemaker_client::account;
use pacemaker_client::frame::{self, flags};
use qb::ipc::{ConnId, FileOwner, Server, ServerConfig, ServerEvent, Transport};
use xml::Element;

/// Events a client may leave unread before it is watched for eviction.
const BACKLOG_MAX: usize = 500;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The id others know it by (`st_clientid`, `lrmd_clientid`, …).
    pub uuid: String,
    /// Login name of its user; `#unprivileged` if the user is unknown.
    pub user: String,
    /// Its process.
    pub pid: u32,
    /// Its user id.
    pub uid: u32,
    /// Root or the cluster user: may do everything.
    pub privileged: bool,
    backlog: usize,
    limit: usize,
}

/// A request out of its frame.
#[derive(Debug)]
pub struct Request {
    /// To be repeated in the response.
    pub id: i32,
    /// The flags it came with.
    pub flags: u32,
    /// The message; `None` if it was no XML (answer with status 76 where wanted).
    pub xml: Option<Element>,
}

impl Request {
    /// The client waits for something on the response channel.
    pub fn wants_response(&self) -> bool {
        self.flags & flags::CLIENT_RESPONSE != 0
    }
}

/// What happened at the endpoint.
#[derive(Debug)]
pub enum Event {
    /// A client connected.
    Connected(u64),
    /// A client sent a request.
    Request(u64, Request),
    /// A client is gone.
    Disconnected(u64),
}

/// An IPC endpoint and its clients, which are known by number.
#[derive(Debug)]
pub struct Service {
    server: Server,
    clients: BTreeMap<u64, Client>,
    buffer: Vec<u8>,
    max_send: usize,
    last_event: i32,
    cluster_uid: Option<u32>,
    cluster_gid: Option<u32>,
    refusing: bool,
}

/// The buffer size that `PCMK_ipc_buffer` asks for.
pub fn buffer_size() -> usize {
    let wanted = std::env::var("PCMK_ipc_buffer").ok().and_then(|text| text.trim().parse().ok());
    match wanted {
        Some(0) | None => frame::DEFAULT_BUFFER,
        Some(size) => std::cmp::max(size, frame::MIN_BUFFER),
    }
}

/// A random UUID (version 4), from the hasher's random keys.
pub fn uuid() -> String {
    let word = || RandomState::new().build_hasher().finish();
    let (a, b) = (word(), word());
    let high = (a & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (b & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

impl Service {
    /// Listens under a service's name.
    pub fn bind(name: &str) -> io::Result<Service> {
        let max_send = buffer_size();
        let mut config = ServerConfig::new(name);
        config.min_msg_size = u32::try_from(max_send).unwrap_or(u32::MAX);
        if std::env::var("PCMK_ipc_type").is_ok_and(|kind| kind == "socket") {
            config.transport = Transport::Socket;
        }
        let cluster = account::daemon_ids();
        Ok(Service {
            server: Server::bind(config)?,
            clients: BTreeMap::new(),
            buffer: Vec::new(),
            max_send,
            last_event: 0,
            cluster_uid: cluster.map(|ids| ids.0),
            cluster_gid: cluster.map(|ids| ids.1),
            refusing: false,
        })
    }

    /// The descriptor to watch for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.server.fd()
    }

    /// From now on nobody is let in any more (shutting down).
    pub fn refuse_new_clients(&mut self) {
        self.refusing = true;
    }

    /// A client's particulars.
    pub fn client(&self, client: u64) -> Option<&Client> {
        self.clients.get(&client)
    }

    /// All clients.
    pub fn clients(&self) -> impl Iterator<Item = (u64, &Client)> {
        self.clients.iter().map(|(number, client)| (*number, client))
    }

    /// Raises the number of events a client may leave unread before it is evicted.
    pub fn set_backlog_limit(&mut self, client: u64, limit: usize) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.limit = limit.max(BACKLOG_MAX);
        }
    }

    /// The next thing that happened; `None` when there is nothing more for now.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            match self.server.next(&mut self.buffer)? {
                ServerEvent::Connect { conn, credentials } => {
                    if self.refusing {
                        self.server.reject(conn, libc::EPERM);
                        continue;
                    }
                    let mut owner = FileOwner::client(credentials);
                    if credentials.uid != 0
                        && let Some(gid) = self.cluster_gid
                    {
                        owner.gid = gid;
                        owner.mode = 0o660;
                    }
                    let user = account::user_name(credentials.uid);
                    let privileged =
                        credentials.uid == 0 || Some(credentials.uid) == self.cluster_uid;
                    let client = Client {
                        uuid: uuid(),
                        user: user.unwrap_or_else(|| "#unprivileged".to_owned()),
                        pid: credentials.pid,
                        uid: credentials.uid,
                        privileged,
                        backlog: 0,
                        limit: BACKLOG_MAX,
                    };
                    self.clients.insert(conn.0, client);
                    self.server.accept_as(conn, owner);
                    return Some(Event::Connected(conn.0));
                }
                ServerEvent::Request { conn } => {
                    let request = match frame::decode(&self.buffer) {
                        Ok(frame) => Request {
                            id: frame.id,
                            flags: frame.flags,
                            xml: xml::parse(&frame.text).ok(),
                        },
                        Err(error) => {
                            base::warning!("Ignoring unreadable IPC message: {error}");
                            // The header says whether somebody waits for an answer.
                            let word = |at| qb::ipc::wire::get_u32(&self.buffer, at).unwrap_or(0);
                            Request { id: word(0) as i32, flags: word(32), xml: None }
                        }
                    };
                    return Some(Event::Request(conn.0, request));
                }
                ServerEvent::Disconnect { conn } => {
                    self.clients.remove(&conn.0);
                    return Some(Event::Disconnected(conn.0));
                }
            }
        }
    }

    /// Answers a request on the response channel. `request_flags` are echoed, as upstream does.
    pub fn respond(&mut self, client: u64, id: i32, request_flags: u32, message: &Element) {
        let flags = (request_flags & !flags::COMPRESSED) | flags::SERVER_FREE;
        match frame::encode(id, flags, &message.to_text(), self.max_send) {
            Ok(bytes) => {
                self.server.respond(ConnId(client), &bytes);
            }
            Err(error) => base::error!("Could not answer an IPC client: {error}"),
        }
    }

    /// Acknowledges a request with a status, if the client waits for one.
    pub fn acknowledge(&mut self, client: u64, request: &Request, function: &str, status: i32) {
        if request.wants_response() {
            let ack = acknowledgement("ack", function, status);
            self.respond(client, request.id, request.flags, &ack);
        }
    }

    /// Sends an event.
    pub fn event(&mut self, client: u64, message: &Element) {
        self.event_to(&[client], message);
    }

    /// Sends an event to several clients; it is put into a frame once.
    pub fn event_to(&mut self, clients: &[u64], message: &Element) {
        self.last_event = self.last_event.wrapping_add(1).max(1);
        let flags = flags::SERVER_EVENT | flags::SERVER_FREE;
        let bytes = match frame::encode(self.last_event, flags, &message.to_text(), self.max_send) {
            Ok(bytes) => bytes,
            Err(error) => {
                base::error!("Could not send an event to IPC clients: {error}");
                return;
            }
        };
        for client in clients {
            self.server.event(ConnId(*client), &bytes);
            self.judge_backlog(*client);
        }
    }

    /// Ends a connection.
    pub fn disconnect(&mut self, client: u64) {
        self.server.disconnect(ConnId(client));
    }

    /// Evicts a client whose backlog is beyond its limit and has not shrunk since the last look.
    fn judge_backlog(&mut self, number: u64) {
        let queued = self.server.queued(ConnId(number));
        let Some(client) = self.clients.get_mut(&number) else { return };
        if queued > client.limit {
            // Looked at each time the backlog has grown by another limit's worth.
            if client.backlog >= client.limit && queued >= client.backlog.saturating_mul(2) {
                base::warning!(
                    "Evicting client {} (process {}) due to backlog of {queued} messages",
                    client.uuid,
                    client.pid
                );
                self.disconnect(number);
                return;
            }
            if client.backlog == 0 {
                base::warning!(
                    "Client {} (process {}) has a backlog of {queued} messages",
                    client.uuid,
                    client.pid
                );
                client.backlog = queued;
            }
        } else {
            client.backlog = 0;
        }
    }
}

/// An acknowledgement; `tag` is `ack`, for some daemons and cases `nack`.
pub fn acknowledgement(tag: &str, function: &str, status: i32) -> Element {
    Element::new(tag)
        .with("function", function)
        .with("line", line!().to_string())
        .with("status", status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_form_and_differ() {
        let (a, b) = (uuid(), uuid());
        assert_ne!(a, b);
        let parts: Vec<usize> = a.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(a.as_bytes()[14], b'4');
    }

    #[test]
    fn acknowledgements_carry_a_status() {
        let ack = acknowledgement("ack", "f", 112);
        assert_eq!((ack.name(), ack.get("status")), ("ack", Some("112")));
    }
}
