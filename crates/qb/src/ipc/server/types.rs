//! The words a server and its daemon use.

use crate::ipc::address;
use std::path::PathBuf;

/// A connection of one server. Never used twice in the life of the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// Who the client is, by the kernel's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Process id.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective primary group.
    pub gid: u32,
}

/// How messages travel. Clients accept either.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Rings in shared memory: fast, and messages as large as agreed.
    Shm,
    /// Datagram sockets: no shared memory, messages up to the kernel's socket buffer limits.
    Socket,
}

impl Transport {
    pub(crate) fn wire(self) -> i32 {
        match self {
            Transport::Shm => 1,
            Transport::Socket => 0,
        }
    }
}

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The service's name: that of the socket.
    pub name: String,
    /// How messages travel.
    pub transport: Transport,
    /// The message limit of a connection is at least this (0: the client's wish alone).
    pub min_msg_size: u32,
    /// And at most this: what a client may cost in `/dev/shm` is three times as much.
    pub max_msg_size: u32,
    /// Events may wait for a slow client up to this many bytes; one more ends its connection. A
    /// client that lost an event could not go on, and one that never reads must not cost more.
    pub queued_bytes_max: usize,
    /// Listen on `<dir>/<name>` instead of the abstract name.
    pub socket_dir: Option<PathBuf>,
}

impl ServerConfig {
    /// Upstream's defaults: shared memory, abstract name unless this host forces file-system
    /// sockets, the client's message limit.
    pub fn new(name: &str) -> ServerConfig {
        ServerConfig {
            name: name.to_owned(),
            transport: Transport::Shm,
            min_msg_size: 0,
            max_msg_size: 64 << 20,
            queued_bytes_max: 64 << 20,
            socket_dir: address::forced_socket_dir(),
        }
    }
}

/// What [`Server::next`](super::Server::next) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerEvent {
    /// Somebody wants in. Answer with [`Server::accept`](super::Server::accept) or [`Server::reject`](super::Server::reject), now or later.
    Connect {
        /// The connection to be.
        conn: ConnId,
        /// Who it is.
        credentials: Credentials,
    },
    /// A request is in the buffer: at least a header, and `size` in it is the buffer's length.
    Request {
        /// Whose request it is.
        conn: ConnId,
    },
    /// An accepted connection ended, whoever ended it; nothing more comes from it.
    Disconnect {
        /// Which one.
        conn: ConnId,
    },
}
