//! The SOCKET transport: one datagram is one message.
//!
//! Both sides have one socket for requests and responses and one for events, under abstract
//! names made from the connection's base name, and share a control file with three pairs of
//! counters (messages under way, flow control). Anybody may send to an abstract name, so both
//! sides drop what does not come from their peer's.
//!
//! Source: `spec/libqb-ipc.md` §6.

use super::address::DatagramNames;
use super::map::Mapping;
use super::ring::RingError;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, sockopt,
};
use std::fs::File;
use std::io::IoSlice;
use std::sync::atomic::{AtomicU32, Ordering};

/// Length of the control file: three pairs of {sent, flow control}.
pub(crate) const CONTROL_FILE: usize = 24;
const REQUEST: usize = 0;
const RESPONSE: usize = 8;
const EVENT: usize = 16;

/// One side's sockets.
#[derive(Debug)]
pub(crate) struct Datagrams {
    control: Mapping,
    max_msg_size: u32,
    /// Requests come or go, responses go or come.
    calls: Socket,
    events: Socket,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    peer: SocketAddrUnix,
}

impl Socket {
    fn bind(own: &SocketAddrUnix, peer: SocketAddrUnix, max: u32) -> Result<Socket, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        rustix::net::bind(&fd, own)?;
        let max = max as usize;
        if sockopt::socket_send_buffer_size(&fd)? <= max {
            sockopt::set_socket_send_buffer_size(&fd, max)?;
        }
        if sockopt::socket_recv_buffer_size(&fd)? <= max {
            sockopt::set_socket_recv_buffer_size(&fd, max)?;
        }
        Ok(Socket { fd, peer })
    }

    fn send(&self, parts: &[&[u8]]) -> Result<(), RingError> {
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let mut no_control = SendAncillaryBuffer::default();
        match rustix::net::sendmsg_addr(&self.fd, &self.peer, &parts, &mut no_control, flags) {
            Ok(_) => Ok(()),
            // Refused: the client has not bound its end yet (or is gone, which its stream tells).
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM | Errno::CONNREFUSED) => {
                Err(RingError::Full)
            }
            Err(Errno::MSGSIZE) => Err(RingError::TooBig),
            Err(_) => Err(RingError::Corrupt),
        }
    }

    /// The next datagram of the peer, replacing the buffer's content.
    fn recv(&self, buffer: &mut Vec<u8>, max: u32) -> Result<bool, RingError> {
        loop {
            buffer.clear();
            buffer.reserve(max as usize);
            let room = rustix::buffer::spare_capacity(buffer);
            match rustix::net::recvfrom(&self.fd, room, RecvFlags::DONTWAIT) {
                Ok((_, _, from)) => {
                    let from = from.and_then(|from| SocketAddrUnix::try_from(from).ok());
                    // Otherwise a stranger's.
                    if from.as_ref() == Some(&self.peer) {
                        return Ok(true);
                    }
                }
                // Refused: an error of an earlier send that the kernel reports late.
                Err(Errno::INTR | Errno::CONNREFUSED) => {}
                Err(Errno::AGAIN) => {
                    buffer.clear();
                    return Ok(false);
                }
                Err(_) => return Err(RingError::Corrupt),
            }
        }
    }
}

impl Datagrams {
    /// The server's end.
    pub(crate) fn server(control: &File, base: &[u8], max: u32) -> Result<Datagrams, Errno> {
        let names = DatagramNames::new(base)?;
        Ok(Datagrams {
            control: Mapping::new(control, CONTROL_FILE)?,
            max_msg_size: max,
            calls: Socket::bind(&names.request, names.response, max)?,
            events: Socket::bind(&names.event_tx, names.event, max)?,
        })
    }

    /// The client's end.
    pub(crate) fn client(control: &File, base: &[u8], max: u32) -> Result<Datagrams, Errno> {
        let names = DatagramNames::new(base)?;
        if super::shm::length(control)? < CONTROL_FILE as u64 {
            return Err(Errno::INVAL);
        }
        Ok(Datagrams {
            control: Mapping::new(control, CONTROL_FILE)?,
            max_msg_size: max,
            calls: Socket::bind(&names.response, names.request, max)?,
            events: Socket::bind(&names.event, names.event_tx, max)?,
        })
    }

    /// The socket of requests and responses.
    pub(crate) fn calls_fd(&self) -> BorrowedFd<'_> {
        self.calls.fd.as_fd()
    }

    /// The socket of events.
    pub(crate) fn events_fd(&self) -> BorrowedFd<'_> {
        self.events.fd.as_fd()
    }

    pub(crate) fn flow_control(&self) -> &AtomicU32 {
        self.control.u32_at(REQUEST + 4)
    }

    /// Messages under way in the event channel, as far as the peer keeps to the rules.
    pub(crate) fn events_unread(&self) -> u32 {
        self.control.u32_at(EVENT).load(Ordering::Relaxed)
    }

    fn send(&self, socket: &Socket, pair: usize, parts: &[&[u8]]) -> Result<(), RingError> {
        // Counted before: a quick receiver would count it off before we count it in.
        let sent = self.control.u32_at(pair);
        sent.fetch_add(1, Ordering::AcqRel);
        let done = socket.send(parts);
        if done.is_err() {
            sent.fetch_sub(1, Ordering::AcqRel);
        }
        done
    }

    fn recv(&self, socket: &Socket, pair: usize, buffer: &mut Vec<u8>) -> Result<bool, RingError> {
        let came = socket.recv(buffer, self.max_msg_size)?;
        if came {
            self.control.u32_at(pair).fetch_sub(1, Ordering::AcqRel);
        }
        Ok(came)
    }

    pub(crate) fn send_request(&self, parts: &[&[u8]]) -> Result<(), RingError> {
        self.send(&self.calls, REQUEST, parts)
    }

    pub(crate) fn recv_request(&self, buffer: &mut Vec<u8>) -> Result<bool, RingError> {
        self.recv(&self.calls, REQUEST, buffer)
    }

    pub(crate) fn send_response(&self, parts: &[&[u8]]) -> Result<(), RingError> {
        self.send(&self.calls, RESPONSE, parts)
    }

    pub(crate) fn recv_response(&self, buffer: &mut Vec<u8>) -> Result<bool, RingError> {
        self.recv(&self.calls, RESPONSE, buffer)
    }

    pub(crate) fn send_event(&self, parts: &[&[u8]]) -> Result<(), RingError> {
        self.send(&self.events, EVENT, parts)
    }

    pub(crate) fn recv_event(&self, buffer: &mut Vec<u8>) -> Result<bool, RingError> {
        self.recv(&self.events, EVENT, buffer)
    }
}
