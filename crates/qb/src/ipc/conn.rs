//! One accepted connection as the server has it: the transport, and what could not be sent yet.
//!
//! Upstream's rings have no queue beyond themselves; like corosync's layer above them, a message
//! that finds its ring full waits here, in order, and the server tries again soon.
//!
//! Source: `spec/libqb-ipc.md` §5–§8, §13.

use super::datagram::{CONTROL_FILE, Datagrams};
use super::ring::{Ring, RingError};
use super::server::{Credentials, Transport};
use super::shm::{self, ConnectionDir};
use super::wire::ConnectResponse;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose the files of a connection shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileOwner {
    /// Owner; by default the client.
    pub uid: u32,
    /// Group; by default the client's.
    pub gid: u32,
    /// Mode of the files; by default 0600.
    pub mode: u32,
}

impl FileOwner {
    /// The client itself, and nobody else.
    pub fn client(credentials: Credentials) -> FileOwner {
        FileOwner { uid: credentials.uid, gid: credentials.gid, mode: 0o600 }
    }
}

/// What a connection did so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ConnStats {
    /// Requests taken.
    pub requests: u64,
    /// Responses sent.
    pub responses: u64,
    /// Events sent.
    pub events: u64,
    /// Times a response or event found no room.
    pub send_retries: u64,
    /// Times a wakeup found no request.
    pub recv_retries: u64,
    /// The flow-control word now.
    pub flow_control_state: u32,
    /// Times it changed.
    pub flow_control_count: u64,
    /// Events the client has not read yet.
    pub event_q_length: u32,
    /// Events that wait in our queue because the client's is full.
    pub queued: usize,
    /// What those events take, in bytes.
    pub queued_bytes: usize,
}

/// What an event in the queue costs beyond its bytes.
const QUEUED_OVERHEAD: usize = 48;

/// Room for so many waiting events is kept.
const QUEUE_KEPT: usize = 1024;

/// So many events are not kept from a client for the sake of fewer system calls.
const WAKE_AFTER: u64 = 64;

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Channel {
    Response,
    Event,
}

#[derive(Debug)]
enum Channels {
    Shm { request: Ring, response: Ring, event: Ring },
    Socket(Datagrams),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Open {
    // Before the directory, so that mappings go first.
    channels: Channels,
    dir: ConnectionDir,
    pub(crate) max_msg_size: u32,
    responses: VecDeque<Vec<u8>>,
    events: VecDeque<Vec<u8>>,
    /// What waits in `events`, and how much may.
    queued_bytes: usize,
    queued_bytes_max: usize,
    /// The flow-control word is only for the client: its requests are taken all the same.
    pub(crate) is_soft: bool,
    /// Bytes that tell the client of events already in the ring, which the socket had no room for.
    pub(crate) bytes_owed: u64,
    /// The server pays the bytes of many events at once.
    pub(crate) pays_later: bool,
    pub(crate) stats: ConnStats,
}

impl Open {
    /// Makes the transport's objects. Also returns the handshake's answer.
    pub(crate) fn create(
        transport: Transport,
        service: &str,
        stream_fd: i32,
        max_msg_size: u32,
        credentials: Credentials,
        owner: &FileOwner,
        id: u64,
        queued_bytes_max: usize,
    ) -> Result<(Open, Vec<u8>), Errno> {
        let mut dir = ConnectionDir::create(credentials.pid, stream_fd)?;
        let prepare = |file: &File| shm::give(file, owner);
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let (channels, names) = match transport {
            Transport::Shm => {
                let mut ring = |direction: &str| -> Result<(Ring, PathBuf), Errno> {
                    let base = dir.object(&format!("qb-{direction}-{service}"))?;
                    dir.owns(Ring::files(&base));
                    Ok((Ring::create(&base, max_msg_size, &prepare)?, base))
                };
                let (request, request_base) = ring("request")?;
                let (response, response_base) = ring("response")?;
                let (event, event_base) = ring("event")?;
                let names = [bytes(&request_base), bytes(&response_base), bytes(&event_base)];
                (Channels::Shm { request, response, event }, names)
            }
            Transport::Socket => {
                let control_path = dir.object(&format!("qb-control-{service}"))?;
                let base = bytes(&dir.object(&format!("qb-{service}"))?);
                dir.owns([control_path.clone()]);
                let control = shm::create_file(&control_path, CONTROL_FILE)?;
                prepare(&control)?;
                let datagrams = Datagrams::server(&control, &base, max_msg_size)?;
                (Channels::Socket(datagrams), [bytes(&control_path), base, Vec::new()])
            }
        };
        dir.hand_over(owner)?;
        let [request, response, event] = names;
        let answer = ConnectResponse {
            connection_type: transport.wire(),
            max_msg_size,
            connection: id,
            request,
            response,
            event,
        };
        let open = Open {
            channels,
            dir,
            max_msg_size,
            responses: VecDeque::new(),
            events: VecDeque::new(),
            queued_bytes: 0,
            queued_bytes_max,
            is_soft: false,
            bytes_owed: 0,
            pays_later: false,
            stats: ConnStats::default(),
        };
        Ok((open, answer.encode()))
    }

    pub(crate) fn description(&self) -> String {
        self.dir.description()
    }

    /// The request socket, if this transport has one.
    pub(crate) fn datagrams(&self) -> Option<&Datagrams> {
        match &self.channels {
            Channels::Shm { .. } => None,
            Channels::Socket(datagrams) => Some(datagrams),
        }
    }

    pub(crate) fn recv_request(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RingError> {
        match &mut self.channels {
            Channels::Shm { request, .. } => request.read(buffer),
            Channels::Socket(datagrams) => datagrams.recv_request(buffer),
        }
    }

    fn flow_word(&self) -> &AtomicU32 {
        match &self.channels {
            Channels::Shm { request, .. } => request.flow_control(),
            Channels::Socket(datagrams) => datagrams.flow_control(),
        }
    }

    /// Publishes the flow-control word. Returns the word before.
    pub(crate) fn set_flow_control(&mut self, word: u32) -> u32 {
        let before = self.stats.flow_control_state;
        if before != word {
            self.flow_word().store(word, Ordering::Release);
            self.stats.flow_control_state = word;
            self.stats.flow_control_count += 1;
        }
        before
    }

    pub(crate) fn stats(&self) -> ConnStats {
        let event_q_length = match &self.channels {
            Channels::Shm { event, .. } => event.chunks(),
            Channels::Socket(datagrams) => datagrams.events_unread(),
        };
        let (queued, queued_bytes) = (self.events.len(), self.queued_bytes);
        ConnStats { event_q_length, queued, queued_bytes, ..self.stats }
    }

    /// Whether requests stay where they are: by flow control, or because the client does not take
    /// the answers it has (it could ask for more for ever).
    pub(crate) fn is_stopped(&self) -> bool {
        (self.stats.flow_control_state != 0 && !self.is_soft) || !self.responses.is_empty()
    }

    pub(crate) fn has_backlog(&self) -> bool {
        !self.responses.is_empty() || !self.events.is_empty()
    }

    /// Sends or queues. `Err`: the connection is beyond repair, or the message too big for it.
    pub(crate) fn send(
        &mut self,
        channel: Channel,
        parts: &[&[u8]],
        stream: &OwnedFd,
    ) -> Result<(), RingError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > self.max_msg_size as usize {
            return Err(RingError::TooBig);
        }
        let queue_is_empty = match channel {
            Channel::Response => self.responses.is_empty(),
            Channel::Event => self.events.is_empty(),
        };
        let sent = if queue_is_empty { self.put(channel, parts) } else { Err(RingError::Full) };
        match sent {
            Ok(()) => self.sent(channel, stream),
            Err(RingError::Full) => {
                self.stats.send_retries += 1;
                let message = parts.concat();
                match channel {
                    Channel::Response => self.responses.push_back(message),
                    Channel::Event => {
                        let size = message.len() + QUEUED_OVERHEAD;
                        if self.queued_bytes + size > self.queued_bytes_max {
                            return Err(RingError::Full);
                        }
                        self.queued_bytes += size;
                        self.events.push_back(message);
                    }
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn flush(&mut self, stream: &OwnedFd) -> Result<(), RingError> {
        self.pays_later = false;
        for channel in [Channel::Response, Channel::Event] {
            loop {
                let queue = match channel {
                    Channel::Response => &mut self.responses,
                    Channel::Event => &mut self.events,
                };
                let Some(message) = queue.pop_front() else { break };
                let put = self.put(channel, &[&message]);
                if channel == Channel::Event && put != Err(RingError::Full) {
                    self.queued_bytes -= message.len() + QUEUED_OVERHEAD;
                }
                match put {
                    Ok(()) => self.sent(channel, stream)?,
                    Err(RingError::Full) => {
                        match channel {
                            Channel::Response => self.responses.push_front(message),
                            Channel::Event => self.events.push_front(message),
                        }
                        break;
                    }
                    // The kernel refuses a datagram of this size: it can never go.
                    Err(RingError::TooBig) => base::log!(
                        base::log::Priority::Error, sub: "QB",
                        "dropped a message of {} bytes, too big for its transport ({})",
                        message.len(), self.dir.description()
                    ),
                    Err(error) => return Err(error),
                }
            }
        }
        if self.events.is_empty() && self.events.capacity() > QUEUE_KEPT {
            self.events.shrink_to(QUEUE_KEPT);
        }
        Ok(())
    }

    fn put(&mut self, channel: Channel, parts: &[&[u8]]) -> Result<(), RingError> {
        match (&mut self.channels, channel) {
            (Channels::Shm { response, .. }, Channel::Response) => response.write(parts),
            (Channels::Shm { event, .. }, Channel::Event) => event.write(parts),
            (Channels::Socket(datagrams), Channel::Response) => datagrams.send_response(parts),
            (Channels::Socket(datagrams), Channel::Event) => datagrams.send_event(parts),
        }
    }

    fn sent(&mut self, channel: Channel, stream: &OwnedFd) -> Result<(), RingError> {
        match channel {
            Channel::Response => self.stats.responses += 1,
            Channel::Event => {
                self.stats.events += 1;
                if matches!(self.channels, Channels::Shm { .. }) {
                    self.bytes_owed += 1;
                    if !self.pays_later || self.bytes_owed >= WAKE_AFTER {
                        self.pay_bytes(stream)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends as many of the owed wakeup bytes as the socket takes: exactly one per event, ever.
    pub(crate) fn pay_bytes(&mut self, stream: &OwnedFd) -> Result<(), RingError> {
        const BYTES: [u8; 256] = [0; 256];
        while self.bytes_owed > 0 {
            let count = usize::try_from(self.bytes_owed).unwrap_or(BYTES.len()).min(BYTES.len());
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(stream.as_fd(), &BYTES[..count], flags) {
                Ok(sent) => self.bytes_owed -= sent as u64,
                Err(Errno::AGAIN | Errno::NOBUFS) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(RingError::Corrupt),
            }
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // The owner's last word, for clients that look: nobody serves these rings any more.
        if let Channels::Shm { request, response, event } = &self.channels {
            for ring in [request, response, event] {
                ring.ref_count().store(0, Ordering::Release);
            }
        }
    }
}
